"""The tutorial's pictures, made by the product: the panel on the tests' host, the views by Slicer's own drawing code.

    .venv/bin/orbitalseg phantom build/phantom
    .venvs/slicer/bin/python Testing/panel/make_pictures.py build/phantom/series Resources

`QT_SCALE_FACTOR=1.5` makes the panel's pictures as a screen at 150 % shows it, `ORBITALSEG_LANGUAGE=de` in German.
"""

import os
import sys
import tempfile
from pathlib import Path

ICON = Path(__file__).resolve().parents[2] / "OrbitalSeg/Resources/Icons/PracticeScan.png"
PANEL_WIDTH = 430
PATIENCE_SECONDS = 1200

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parent))


def main(series: Path, folder: Path) -> None:
    import host
    import render

    started = host.start()
    spoken = os.environ.get("ORBITALSEG_LANGUAGE", "")
    from host import scripted
    from OrbitalSegPanel.language import translate_panel

    scripted.SETTINGS.update({"Internationalization/Enabled": True, "language": spoken})
    translate_panel()
    views = render.Views(started.application_logic)
    panel = started.panel()
    ui = panel.ui
    scale = "-150" if os.environ.get("QT_SCALE_FACTOR") == "1.5" else ""
    scale += f"-{spoken}" if spoken else ""
    save_panel(started, folder / f"panel-empty{scale}.png")

    from OrbitalSegPanel import origin

    volume = origin.series_as_volume(series, "Practice scan")
    ui.volumeSelector.setCurrentNode(volume)
    wait(started, panel)  # until the scan was read
    ui.scanSection.collapsed = False
    save_panel(started, folder / f"tutorial-scan{scale}.png")
    ui.methodSection.collapsed = False
    ui.segmentButton.click()
    started.process_until(lambda: ui.progressBar.value >= 30 or not panel.logic.runs.running, PATIENCE_SECONDS)
    save_panel(started, folder / f"tutorial-running{scale}.png")
    wait(started, panel)
    save_panel(started, folder / f"tutorial-segmented{scale}.png")
    if not scale:
        for name in ("Red", "Green"):
            views.draw_slice(name, folder / f"tutorial-{render.ORIENTATIONS[name].lower()}.png")
        views.draw_3d(folder / "tutorial-3d.png")
        save_icon(folder / "tutorial-3d.png")
    ui.thresholdSection.collapsed = False
    save_panel(started, folder / f"tutorial-threshold{scale}.png")
    ui.maskButton.click()
    ui.thinBrushButton.click()
    ui.correctSection.collapsed = False
    save_panel(started, folder / f"tutorial-correct{scale}.png")
    ui.measureButton.click()
    wait(started, panel)
    ui.orbitsSection.collapsed = False
    save_panel(started, folder / f"tutorial-volume{scale}.png")
    if not scale:
        views.draw_3d(folder / "tutorial-volume-3d.png")
    with tempfile.TemporaryDirectory() as out:
        ui.exportFolderEdit.currentPath = out
        ui.exportButton.click()
        wait(started, panel)
        ui.exportFolderEdit.currentPath = "models"
        ui.exportSection.collapsed = False
        save_panel(started, folder / f"tutorial-export{scale}.png")
    for edit, text in ((ui.purposeEdit, "Pre-bending of a plate, right floor"), (ui.operatorEdit, "Engineer")):
        edit.setText(text)
        edit.textEdited.emit(text)
    for _ in range(12):
        ui.nextSliceButton.click()
    ui.reviewSection.collapsed = False
    save_panel(started, folder / f"tutorial-review{scale}.png")
    ui.scanSection.collapsed = False
    save_panel(started, folder / f"panel{scale}.png")
    panel.cleanup()


def save_icon(picture: Path) -> None:
    """The practice scan's thumbnail for the module Sample Data."""
    from PySide6.QtCore import QRect, QSize, Qt
    from PySide6.QtGui import QImage

    whole = QImage(str(picture))
    part = whole.copy(QRect((whole.width() - whole.height()) // 2, 0, whole.height(), whole.height()))
    small = part.scaled(QSize(192, 192), Qt.KeepAspectRatio, Qt.SmoothTransformation)
    small.convertToFormat(QImage.Format_Indexed8).save(str(ICON))


def wait(started, panel) -> None:
    started.process_until(lambda: panel.logic.runs.running is None, PATIENCE_SECONDS)
    print(panel.ui.messageLabel.text)


def save_panel(started, path: Path) -> None:
    """The panel as high as it needs to be, at the width of Slicer's module panel."""
    window = started.kept[-1]
    window.show()
    for _ in range(4):  # labels that wrap find their height only after their width
        window.resize(PANEL_WIDTH, max(200, window.layout().totalHeightForWidth(PANEL_WIDTH)))
        started.qt.QApplication.processEvents()
    few = started.qt.QImage.Format_Indexed8  # Git keeps every picture for ever
    window.grab().toImage().convertToFormat(few, started.qt.Qt.AvoidDither).save(str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
