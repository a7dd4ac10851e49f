"""The tutorial names the controls of the panel as the panel does, and shows its own pictures."""

import re

import translations

PAGE = (translations.MODULE.parent / "docs/tutorial.md").read_text(encoding="utf-8")


def shown() -> set[str]:
    """Every text of the panel as somebody reads it."""
    texts = [text for part in translations.collected().values() for text in part]
    plain = {text.replace("&", "").rstrip(":.").removesuffix("...") for text in texts}
    return plain | {text.partition(",")[0] for text in plain}  # "Fewer triangles, by", "DICOM, for the archive"


def test_every_control_that_the_tutorial_names_is_there():
    named = {" ".join(name.split()).rstrip(":.") for name in re.findall(r"\*\*(.+?)\*\*", PAGE, re.DOTALL)}
    assert len(named) > 15
    assert {name for name in named if "medical device" not in name} - shown() == set()


def test_its_sections_are_the_panels_in_their_order():
    titles = [text for text in translations.collected()["OrbitalSeg"] if re.match(r"\d\. ", text)]
    mentioned = {int(number) for number in re.findall(r"[Ss]ection (\d)", PAGE)}
    assert mentioned <= {int(title[0]) for title in titles}
    assert len(titles) == 9


def test_every_picture_is_there():
    pictures = re.findall(r"\]\((\.\./Resources/[^)]+)\)", PAGE)
    assert len(pictures) > 8
    assert all((translations.MODULE.parent / "docs" / name).is_file() for name in pictures)
