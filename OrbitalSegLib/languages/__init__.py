"""What people read, in their language: the code speaks English, and each other language has one catalogue.

A catalogue (`de.json`) gives the translation of every text. What is filled into a text stands there as `{0}`, `{1}` ...
in the order of the English text. So a sentence of an error, a warning or a record, which is English wherever it is
kept, is known again when somebody reads it, and what was filled in is translated in its turn, but for `{0:kept}`, as
words of a job are.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ENGLISH = "en"
LANGUAGES = (ENGLISH, *sorted(path.stem for path in Path(__file__).parent.glob("*.json")))
"""By their codes [ISO 639]."""

FIELD = re.compile(r"\{(\d+)(?::kept)?\}")

FILLED = r"((?:(?![.!?] [A-Z]).)*?)"
"""What may be filled in: never the end of one sentence and the beginning of another."""

SEAMS = {r"(?<=[.!?]) (?=[A-Z])": 0, r"(?<=[:;]) ": 1, r"(?<=,) ": 0, r" (?=\d)": 0, r"(?<=\d) ": 0}
"""Between sentences, behind a heading, between the items of a list, before a figure and behind it; and how many of them
are cut at most, where not all are."""

TIMES = 8
"""How deep texts lie in each other at most."""


@dataclass(frozen=True)
class Sentence:
    """A text with places that are filled in."""

    pattern: re.Pattern[str]
    translation: str


@dataclass(frozen=True)
class Catalogue:
    """What is known of one language."""

    texts: dict[str, str]
    sentences: list[Sentence]
    """Those that say most first: they are the surest."""

    def exactly(self, text: str) -> str | None:
        """The translation of a text that stands in the catalogue, in capitals or not."""
        return self.texts.get(text) or self.texts.get(text[:1].upper() + text[1:])


@dataclass(frozen=True)
class Filled:
    """What was filled into a sentence."""

    text: str
    language: str
    times: int

    def __format__(self, wish: str) -> str:
        return self.text if wish == "kept" else told(self.text, self.language, self.times)


def told(text: str, language: str, times: int = TIMES) -> str:
    """An English text in a language, as `de`; what the language does not know is told as it is."""
    known = catalogue(language)
    if known is None or not text or not times:
        return text
    if found := known.exactly(text):
        return found
    if text[-1] in ".,;:" and (found := known.exactly(text[:-1])):
        return found + text[-1]
    for sentence in known.sentences:
        if match := sentence.pattern.fullmatch(text):
            return sentence.translation.format(*(Filled(value, language, times - 1) for value in match.groups()))
    for seam, most in SEAMS.items():
        parts = re.split(seam, text, maxsplit=most)
        if len(parts) > 1:
            return " ".join(told(part, language, times - 1) for part in parts)
    return text


@cache
def catalogue(language: str) -> Catalogue | None:
    """What is known of a language; None for English, and for one that has no catalogue."""
    if language == ENGLISH or language not in LANGUAGES:
        return None
    path = Path(__file__).parent / f"{language}.json"
    texts: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return Catalogue(texts, sentences_of(texts))


def sentences_of(texts: dict[str, str]) -> list[Sentence]:
    """The texts with places that are filled in, the longest first."""
    filled = sorted(filter(FIELD.search, texts), key=lambda text: len(FIELD.sub("", text)), reverse=True)
    return [Sentence(_pattern(text), texts[text]) for text in filled]


def _pattern(text: str) -> re.Pattern[str]:
    """Finds a text in what was made of it."""
    return re.compile(FILLED.join(map(re.escape, FIELD.split(text)[::2])), re.DOTALL)
