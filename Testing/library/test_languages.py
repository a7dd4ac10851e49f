"""What people read in another language: the catalogue is whole, and a sentence with values is known again."""

import ast
import html
import itertools
import json
import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from OrbitalSegLib import acquisition, languages, monitoring
from OrbitalSegLib.languages import ENGLISH, LANGUAGES, told
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.product import NOTICE
from OrbitalSegLib.record import required
from OrbitalSegLib.structures import STRUCTURES
from OrbitalSegLib.tasks import parts

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
        filled, told_of = (set(languages.FIELD.findall(words)) for words in (text, translation))
        endings = set(re.findall(r"[a-z]\{(\d+)\}", text))  # of English words, as an s
        assert filled - endings <= told_of <= filled, text


LIBRARY = FOLDER.parent
PANEL = LIBRARY.parent / "OrbitalSeg"

APART = (
    *(
        "training",
        "cli.py",
        "pacs/front.py",
    ),  # the command line is English, and so is what engineers train networks with
    *("experiment/page.py", "archive/index.py", "evaluation/pictures.py"),  # pages for engineers
    *("record/html.py", "record/page.py"),  # see below: every text of the page itself is looked at
    *("networks/schema.py", "export/ply.py"),  # keys of a package's description, words of a file
)

IN_THE_PANEL = ("collecting", "comparing", "finetune", "quality", "dataset")
"""Of the training, what the panel tells too."""

OF_PROGRAMS = {
    *("Fatal Python error", "Traceback (most recent call last)", "(this line is none of the contract's)"),
    *("Installing collected packages", "No space left on device", "Temporary failure in name resolution"),
    "Tunnel connection failed",
}
"""What other programs say, and the log."""

OF_FILES = re.compile(r"[<>\n\\|~#]|SPACE=|^(kinds|type|space directions): ")
"""What stands in files, for programs."""

OURS = ("JobError", "InputError", "OutputError", "OrbitalSegError", "invalid")


def numbered(parts: list[str | None]) -> str:
    """A text of its parts, with a number for each that is filled in."""
    count = itertools.count()
    texts = ("{}" if part is None else re.sub(r"\{[a-z_]*(:[^{}]*)?\}", "{}", part) for part in parts)
    return re.sub(r"\{\}", lambda _field: f"{{{next(count)}}}", "".join(texts))


@cache
def texts_of(path: Path) -> set[str]:
    """Every text in a file of Python, but its docstrings and what only its own programmers read."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unread: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            unread.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            unread |= {id(part) for part in node.values}
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            unread |= set() if name in OURS or name.islower() else {id(part) for part in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in unread:
            continue
        if isinstance(node, ast.JoinedStr):
            found.add(numbered([p.value if isinstance(p, ast.Constant) else None for p in node.values]))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(numbered([node.value]))
    return found


def is_read(text: str) -> bool:
    """Whether a text is a sentence, or a piece of one: three words or more."""
    words = re.findall(r"[A-Za-z'-]+", re.sub(r"\{\d+\}|`[^`]*`", "", text))
    return (
        len(words) > 2
        and bool(re.search(r"[a-z]{2} [a-z]{2}", text))
        and not OF_FILES.search(text)
        and text not in OF_PROGRAMS
    )


def words() -> list[str]:
    """What is shorter, and shown by itself: names of steps, verdicts, terms and conditions."""
    steps = {name for path in LIBRARY.glob("tasks/*.py") for name in steps_of(path)} | steps_of(
        LIBRARY / "segmenting.py"
    )
    checks = [text for row in acquisition.CHECKS for text in (row.term, row.condition, row.kind)]
    entries = [text for row in required.ENTRIES for text in (row.term, row.part, row.why)]
    verdicts = [*get_args(monitoring.Verdict), acquisition.MET, acquisition.NOT_MET, acquisition.NOT_STATED]
    methods = [text for one in METHODS.values() for text in (one.title, *(item["title"] for item in one.describe()))]
    choices = [text for one in METHODS.values() for item in one.describe() for text in item.get("choices", {}).values()]
    structures = [text for one in STRUCTURES.values() for text in (one.title, one.told, one.heading or one.title)]
    outcomes = [*parts.REVIEW_OUTCOMES, "feasible", "borderline", "not feasible", NOTICE]
    return [*steps, *checks, *entries, *verdicts, *methods, *choices, *structures, *outcomes]


def steps_of(path: Path) -> set[str]:
    """The steps that a task tells of."""
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "steps.step"
        and isinstance(node.args[0], ast.Constant)
    }


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_of_library_and_worker_is_in_the_catalogue(language):
    texts = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    known = {numbered([text]) for text in texts}  # the panel names what it fills in
    said = [path for path in LIBRARY.rglob("*.py") if not path.relative_to(LIBRARY).as_posix().startswith(APART)]
    said += [LIBRARY / f"training/{name}.py" for name in IN_THE_PANEL]
    said += [PANEL / f"OrbitalSegPanel/{name}.py" for name in ("process", "volumes")]
    lacking = {text for path in said for text in texts_of(path) if is_read(text) and text not in known}
    assert lacking == set(), f"translate them in OrbitalSegLib/languages/{language}.json"


@pytest.mark.parametrize("language", OTHERS)
def test_every_name_of_a_step_a_verdict_a_term_and_a_condition_is_told(language):
    same = {"Format", "DICOM", "Matrix", "Kernel", "OBJ", "PLY"}
    kept = re.compile(r"[\d .a-zäöüß]*\d[\d .]*(mA|kV|HU|mm|s)?")
    untold = {
        text for text in words() if told(text, language) == text and text not in same and not kept.fullmatch(text)
    }
    assert untold == set()


@pytest.mark.parametrize("language", OTHERS)
def test_what_the_command_shows_of_a_scan_and_its_orbits_is_told(language):
    calls = ast.walk(ast.parse((LIBRARY / "cli.py").read_text(encoding="utf-8")))
    shown = [call for call in calls if isinstance(call, ast.Call) and ast.unparse(call.func) in ("_told", "_table")]
    texts = {part.value for call in shown for part in call.args if isinstance(part, ast.Constant)}
    assert len(texts) > 25
    assert {text for text in texts if told(text, language) == text} - {"Name", "mm"} == set()


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_holds_nothing_that_nobody_says(language):
    texts = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    said = "\n".join(text for path in [*LIBRARY.rglob("*.py"), *PANEL.rglob("*.py")] for text in literals_of(path))
    form = (PANEL / "Resources/UI/OrbitalSeg.ui").read_text(encoding="utf-8")
    said = "\n".join([said, html.unescape(form), *words()])
    keys = re.compile(r"[a-z0-9 .]+")  # of records, in words
    of_records = {text for text in texts if keys.fullmatch(text) and all(word in said for word in text.split())}
    unsaid = {text for text in texts if not all(part.strip() in said for part in languages.FIELD.split(text)[::2])}
    assert unsaid - of_records == set()


@cache
def literals_of(path: Path) -> list[str]:
    """Every piece of text in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_a_sentence_of_the_library_is_german_with_all_that_is_filled_in():
    said = "Thin walls: not feasible. Slices lie up to 3.00 mm apart; thin walls need 1.25 mm."
    assert told(said, "de") == (
        "Dünne Wände: nicht beurteilbar. Der Schichtabstand beträgt bis zu 3.00 mm; dünne Wände brauchen 1.25 mm."
    )
    said = "2 slices lie where others lie and were left out: check that the series was exported once."
    assert told(said, "de") == (
        "2 Schichten liegen, wo andere liegen, und wurden weggelassen: "
        "Prüfen Sie, dass die Serie nur einmal exportiert wurde."
    )
