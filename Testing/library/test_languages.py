"""What people read in another language: the catalogue is whole, and a sentence with values is known again."""

import json
from pathlib import Path

import pytest

from OrbitalSegLib import languages
from OrbitalSegLib.languages import ENGLISH, LANGUAGES, told

FOLDER = Path(languages.__file__).parent
OTHERS = [language for language in LANGUAGES if language != ENGLISH]


@pytest.fixture
def klingon(monkeypatch):
    """A language of a few texts."""

    def of(texts: dict[str, str]) -> None:
        (known,) = [languages.Catalogue(texts, languages.sentences_of(texts))]
        monkeypatch.setattr(languages, "catalogue", lambda _language: known)

    return of


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_stands_in_the_order_of_the_alphabet(language):
    text = (FOLDER / f"{language}.json").read_text(encoding="utf-8")
    texts = json.loads(text)
    assert text == json.dumps(dict(sorted(texts.items())), ensure_ascii=False, indent=1) + "\n"
    assert all(texts.values())


def test_english_and_what_is_no_language_are_told_as_they_are():
    assert [told("Bone", language) for language in (ENGLISH, "xx", "../de")] == ["Bone"] * 3


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("met", "erfüllt"),
        ("Slices are {0}", "Slices are {0}"),
        ("The left orbit was not found.", "Die linke Orbita fehlt."),
        (
            "The left orbit was not found. The right orbit was not found.",
            "Die linke Orbita fehlt. Die rechte Orbita fehlt.",
        ),
        ("In 3 of 4 it lacks bone, wall.", "Von 4 fehlt es in 3 an Knochen, Wand."),
        ("bone, wall and what nobody knows", "Knochen, wall and what nobody knows"),
        ("slice spacing 2 mm", "Schichtabstand 2 mm"),
        ("", ""),
        ("?", "?"),
    ],
)
def test_a_sentence_with_values_is_known_again_and_its_values_are_translated(klingon, text, wanted):
    klingon(
        {
            "met": "erfüllt",
            "left": "linke",
            "right": "rechte",
            "bone": "Knochen",
            "wall": "Wand",
            "Slice spacing": "Schichtabstand",
            "The {0} orbit was not found.": "Die {0} Orbita fehlt.",
            "In {0} of {1} it lacks {2}.": "Von {1} fehlt es in {0} an {2}.",
        }
    )
    assert told(text, "de") == wanted


def test_the_sentence_that_says_most_is_the_one_that_is_meant(klingon):
    klingon({"{0} is there": "{0} ist da", "The {0} bone is there": "Der Knochen ({0}) ist da", "thin": "dünn"})
    assert told("The thin bone is there", "de") == "Der Knochen (dünn) ist da"


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_filled_in_is_filled_in_in_every_language(language):
    texts = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    for text, translation in texts.items():
        assert sorted(languages.FIELD.findall(text)) == sorted(languages.FIELD.findall(translation)), text
