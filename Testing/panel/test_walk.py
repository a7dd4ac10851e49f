"""The tutorial, walked by a hand: from a DICOM folder to STL and record, by clicking, typing and dragging alone."""

import importlib.util
import json
import os

import pytest

from fakes import Database
from hands import Hand
from host import LAUNCHER
from OrbitalSegLib.phantom import Anatomy, Scanner, scan, write_series
from OrbitalSegPanel import origin, packages
from OrbitalSegPanel.library import library_parent
from OrbitalSegPanel.process import Python

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 540

SCANNER = Scanner(128, 1.0, 0.9, 0.9, 84.0)
"""Of both orbits, coarse."""


@pytest.fixture
def python():
    """The real worker, behind a launcher as on the desktop."""
    return Python(LAUNCHER, library_parent())


@pytest.fixture
def imported(host, tmp_path, monkeypatch):
    """What *Add DICOM data* leaves in the scene: a volume, and the files that it is made of in Slicer's database."""
    folder = tmp_path / "CD"
    folder.mkdir()
    write_series(scan(Anatomy(), SCANNER), folder)
    database = Database(folder)
    monkeypatch.setattr(host.slicer, "dicomDatabase", database, raising=False)

    def load():
        volume = origin.series_as_volume(folder, "2: Head, thin")
        volume.SetAttribute("DICOM.instanceUIDs", " ".join(database.files))

    return load


@pytest.fixture
def hand(host, panel):
    """On the panel as wide and as high as Slicer shows it."""
    found = Hand(host, panel, PATIENCE_SECONDS)
    yield found
    found.put_down()


@pytest.mark.skipif(
    not any(map(importlib.util.find_spec, packages.ENGINES)) and not os.environ.get("ORBITALSEG_NO_SKIP"),
    reason="nothing here runs networks: install the extra infer",
)
def test_the_whole_tutorial(hand, panel, imported, tmp_path):
    ui, out = panel.ui, tmp_path / "for the printer"
    out.mkdir()

    # 2. The scan
    assert "choose a CT" in hand.reads(ui.nextLabel)
    imported()
    hand.choose(ui.volumeSelector, "2: Head, thin")
    hand.waits()
    assert "Head phantom by formula" in hand.reads(ui.whichLabel)
    assert "Table A.1 is not met in what decides: matrix 128 x 128" in hand.reads(ui.readingLabel)
    assert "Thin walls: borderline" in hand.reads(ui.feasibilityLabel)
    assert ui.conditionsTable.rowCount > 10
    hand.click(ui.checkButton)
    hand.waits()

    # 3. Region and method
    assert "press Segment" in hand.reads(ui.nextLabel)
    hand.opens(ui.regionSection)
    hand.choose(ui.regionBox, "Right orbit")
    hand.opens(ui.methodSection)
    assert hand.reads(ui.methodBox) == "Two networks, three planes"
    assert "GB" in hand.reads(ui.memoryLabel)

    # 4. Segment
    hand.click(ui.segmentButton)
    hand.click(ui.cancelButton)
    hand.waits()
    assert "nothing was left behind" in hand.reads(ui.messageLabel)
    hand.click(ui.segmentButton)
    hand.waits()
    assert "The segments are in the scene." in hand.reads(ui.messageLabel)
    assert "Verdict: " in hand.reads(ui.verdictLabel)
    assert "export it (8)" in hand.reads(ui.nextLabel)
    segmentation = ui.segmentationSelector.currentNode().GetSegmentation()

    # 5. Threshold
    hand.opens(ui.thresholdSection)
    before = panel.logic.settings["limits"]["thin"]
    hand.drags(hand.inside(ui.slidersBox, "limit_thin"), -0.1)
    assert "A preview" in hand.reads(ui.thresholdLabel)
    assert panel.logic.settings["limits"]["thin"] < before
    hand.waits(until_begun=True, cancelling=True)
    assert "A preview" in hand.reads(ui.thresholdLabel)
    hand.click(ui.settleButton)
    hand.waits()
    assert "The segments are what a run with these limits makes" in hand.reads(ui.thresholdLabel)

    # 6. Correct
    hand.opens(ui.correctSection)
    hand.click(ui.maskButton)
    hand.click(ui.thinBrushButton)
    assert ui.editorWidget.mrmlSegmentEditorNode().GetActiveEffectName() == "Paint"

    # 7. Orbit volume
    hand.opens(ui.orbitsSection)
    hand.click(ui.measureButton)
    hand.waits()
    assert "ml" in ui.orbitsTable.item(0, 1).text()

    # 8. Export
    hand.opens(ui.exportSection)
    hand.types(ui.exportFolderEdit, str(out))
    hand.click(ui.exportButton)
    hand.waits()
    assert "Files written and read back" in hand.reads(ui.exportLabel)
    assert (out / "bone-right.stl").stat().st_size > 100_000
    hand.click(ui.qualityButton)

    # 9. Review and record
    hand.opens(ui.reviewSection)
    for _ in range(3):
        hand.click(ui.nextSliceButton)
    hand.click(ui.markSliceButton)
    hand.types(ui.purposeEdit, "Plate for the right floor")
    hand.types(ui.operatorEdit, "Engineer")
    hand.types(ui.physicianEdit, "Dr. X")
    hand.choose(ui.outcomeBox, "Accepted")
    hand.types(ui.recordFolderEdit, str(out))
    hand.click(ui.recordButton)
    hand.waits()
    assert "Written: " in hand.reads(ui.recordLabel)
    assert "All steps are done" in hand.reads(ui.nextLabel)
    (page,) = out.glob("*/record.html")
    record = json.loads(page.with_name("record.json").read_text(encoding="utf-8"))
    assert record["purpose"] == "Plate for the right floor"
    assert [review["kind"] for review in record["reviews"]] == ["slice-by-slice", "physician"]
    assert record["reviews"][0]["marked"]
    assert "Dr. X" in page.read_text(encoding="utf-8")
    assert segmentation.GetSegment("bone") is not None
