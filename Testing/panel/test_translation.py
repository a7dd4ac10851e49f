"""The panel in another language: every text goes through one catalogue, and the German one is whole."""

import ast
import string

import pytest

import translations
from fakes import write_result
from hands import choose
from host import scripted
from OrbitalSegPanel import language, words

GERMAN = translations.read("de")


@pytest.fixture
def speak(host, monkeypatch):
    """Sets Slicer's language, as its settings do."""
    qt = host.qt

    def in_language(name):
        monkeypatch.setitem(scripted.SETTINGS, "Internationalization/Enabled", True)
        monkeypatch.setitem(scripted.SETTINGS, "language", name)
        return language.translate_panel()

    yield in_language
    for translator in language._KEPT.values():
        qt.QCoreApplication.removeTranslator(translator)
    language._KEPT.clear()


def fields(text: str) -> set[str]:
    """What is filled into a text."""
    return {f"{name}:{form}" for _, name, form, _ in string.Formatter().parse(text) if name is not None}


def shown(panel) -> dict[str, str]:
    """By widget and property every text of the form that somebody sees."""
    texts = {}
    for name, widget in vars(panel.ui).items():
        for told in ("text", "toolTip", "placeholderText", "accessibleName", "noneDisplay"):
            has_it = hasattr(widget, "metaObject") and widget.metaObject().indexOfProperty(told) >= 0
            has_it = has_it and not (told == "text" and hasattr(widget, "setMaximum"))  # a bar's or a spin box's number
            value = getattr(widget, told) if has_it else None
            if isinstance(value, str) and any(letter.isalpha() for letter in value):
                texts[f"{name}.{told}"] = value
        if hasattr(widget, "itemText"):
            texts |= {f"{name}.{index}": widget.itemText(index) for index in range(widget.count)}
    return texts


def test_the_german_catalogue_holds_every_text_of_the_panel():
    assert translations.lacking(GERMAN) == set(), "translate them in OrbitalSegLib/languages/de.json"


def test_what_is_filled_in_is_filled_in_in_german_too():
    for text, told in GERMAN.items():
        assert fields(told) == fields(text) or "{0" in text, text
        assert told.count("&") == text.count("&"), text


def test_texts_by_name_come_from_tables_that_the_catalogue_knows():
    by_name = {
        translations.context_of(path)
        for path in translations.sources()
        if any(not isinstance(call, ast.Constant) for call in translations.calls_of(path))
    }
    assert by_name == set(translations.tables())


def test_what_slicer_reads_is_made_of_the_catalogue(host, tmp_path):
    shipped, made = host.qt.QTranslator(), host.qt.QTranslator()
    assert shipped.load(str(translations.FOLDER / "OrbitalSeg_de.qm"))
    assert made.load(str(translations.compiled("de", GERMAN, tmp_path / "fresh.qm")))
    for context, texts in translations.collected().items():
        for text in texts:
            told = shipped.translate(context, text)
            assert told == made.translate(context, text) == GERMAN[text], "run Testing/panel/translations.py"


def test_every_text_of_the_form_is_german_where_slicer_is(host, logic, speak):
    english = host.panel(logic)
    before = shown(english)
    english.cleanup()
    assert speak("de_DE")
    german = host.panel(logic)
    after = shown(german)
    german.cleanup()
    same = {key: text for key, text in before.items() if after[key] == text}
    assert len(before) > 150
    assert after["segmentButton.text"] == "&Segmentieren"
    # Numbers, names of formats and of parts of files' headers are the same in both languages.
    assert {text for text in same.values() if GERMAN.get(text, "") != text} <= set(NAMES)


NAMES = {
    "Box",
    *("ISO/IEC 3532-2 D.3, method C; Ekman", "ISO/IEC 3532-2 D.4, method A"),
    *("qform", "sform", "pixdim", "mm", "directions", "spacings", "TransformMatrix", "Orientation", "Rotation"),
    *("CT", "Format", "Offset", "Origin", "Position", "ElementSpacing", "AnatomicalOrientation"),
}


def test_a_text_without_a_translation_stays_english(host, speak, tmp_path, monkeypatch):
    known = {text: told for text, told in GERMAN.items() if text != "&Segment"}
    translations.compiled("de", known, tmp_path / "OrbitalSeg_de.qm")
    monkeypatch.setattr(language, "TRANSLATIONS", tmp_path)
    assert speak("de")
    assert host.qt.QCoreApplication.translate("OrbitalSeg", "&Segment") == "&Segment"
    assert host.qt.QCoreApplication.translate("OrbitalSeg", "Cance&l") == "A&bbrechen"


@pytest.mark.parametrize("name", ["", "en_US", "fr"])
def test_other_languages_are_english(speak, name):
    assert not speak(name)


def test_words_of_the_worker_are_german_where_they_are_shown_and_english_in_what_is_kept(segment, python, speak):
    from OrbitalSegPanel.sections.segment import _sentence

    assert speak("de")
    assert _sentence({"step": "segmenting", "seconds_left": None}) == "Segmentierung..."
    assert words.told("a word that nobody knows") == "a word that nobody knows"
    segment()
    assert python.jobs[-1]["task"] == "segment"


def test_what_reading_and_monitoring_say_is_german_in_the_panel(host, logic, python, volume, speak):
    """And so are the terms of the conditions, the names of the segments, and why a run failed."""
    assert speak("de_DE")
    panel = host.panel(logic)
    ui = panel.ui
    ui.volumeSelector.setCurrentNode(volume)
    said = "The slices are tilted or unevenly spaced; they were put on a regular grid by their true positions."
    python.work.lines.append({"event": "warning", "code": "resampled", "text": said})
    python.succeed()
    panel.logic.poll()
    assert "Die Schichten sind gekippt" in ui.readingLabel.text
    table = ui.conditionsTable
    texts = [table.item(row, column).text() for row in range(table.rowCount) for column in (1, 3)]
    assert texts[:4] == [
        "Bereich",
        "von 1 cm über dem Foramen supraorbitale bis zum Foramen infraorbitale",
        "Lagerung",
        "Rückenlage",
    ]
    assert "Dünne Wände: " in ui.feasibilityLabel.text
    choose(ui.methodBox, "threshold")
    ui.segmentButton.click()
    write_result(python.result)
    reason = "The scan is noisier or smoother than usual: 30 HU."
    python.succeed(monitoring={"verdict": "check", "reasons": [reason]})
    panel.logic.poll()
    assert "Urteil: prüfen." in ui.verdictLabel.text
    assert "Der Scan rauscht stärker oder ist glatter als üblich: 30 HU." in ui.verdictLabel.text
    node = ui.segmentationSelector.currentNode()
    assert node.GetSegmentation().GetSegment("bone").GetName() == "Knochen der Orbita"
    ui.recordFolderEdit.currentPath = str(logic.folder.parent)
    ui.recordButton.click()
    assert python.jobs[-1]["language"] == "de"
    python.fail("The input does not exist: check its name and that its disk is connected.", "no-such-input")
    panel.logic.poll()
    assert ui.messageLabel.text.startswith("Die Eingabe gibt es nicht")
    panel.cleanup()


WIDTH, BAR = 430, 16
"""Of Slicer's module panel, and of its scroll bar, in pixels."""


@pytest.mark.parametrize("spoken", ["", "de"])
def test_no_step_is_wider_than_slicers_panel_in_any_language(host, logic, python, volume, speak, spoken):
    from OrbitalSegPanel.sections.steps import STEPS

    speak(spoken)
    panel = host.panel(logic)
    ui, window = panel.ui, host.kept[-1]
    ui.volumeSelector.setCurrentNode(volume)
    python.fail("The header says that the unit of the values is unspecified (Rescale Type US): nothing.", "not-hu")
    panel.logic.poll()
    assert ui.greyCheck.isVisibleTo(window)
    wide = {}
    window.show()
    for section in STEPS:
        getattr(ui, section).collapsed = False
        ui.methodAdvancedSection.collapsed = ui.exportAdvancedSection.collapsed = False
        for _ in range(3):
            host.qt.QApplication.processEvents()
        wide[section] = window.minimumSizeHint.width()
    window.hide()
    panel.cleanup()
    assert {section: width for section, width in wide.items() if width > WIDTH - BAR} == {}


def test_what_was_said_of_another_reading_does_not_stay(ready, python):
    python.fail("The scan is too small.", "too-few-slices")
    ready.logic.poll()
    assert "too small" in ready.ui.readingLabel.text
    assert ready.ui.messageLabel.text == ""  # it stands in section 1, and beside Segment
    ready.ui.segmentButton.click()
    python.fail("The disk is full.", "cannot-write")
    ready.logic.poll()
    assert "disk is full" in ready.ui.messageLabel.text
    ready.ui.checkButton.click()
    assert ready.ui.messageLabel.text == ""
