"""Pictures of the panel at every step, to be looked at: 100 % and 150 %, light and dark, in every language.

    .venvs/slicer/bin/python Testing/panel/look.py FOLDER

The worker only pretends, so that this takes a minute. Each picture is what Slicer's panel shows at 430 x 900 pixels,
and a line says how large the whole panel is; more than 430 pixels of width cannot be read without scrolling. Sheets of
all steps lie beside the pictures, and the whole panel where it is higher.
"""

import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "OrbitalSeg")]

WIDTH, HEIGHT = 430, 900

KINDS = [(scale, language) for scale in ("1", "1.5") for language in ("en", "de")]

DARK = {
    **{"Window": "#353535", "WindowText": "#ffffff", "Base": "#2a2a2a", "AlternateBase": "#353535", "Text": "#ffffff"},
    **{"Button": "#353535", "ButtonText": "#ffffff", "ToolTipBase": "#2a2a2a", "ToolTipText": "#ffffff"},
    **{"Light": "#505050", "Midlight": "#454545", "Mid": "#282828", "Dark": "#232323", "Shadow": "#141414"},
    **{"Highlight": "#2a82da", "HighlightedText": "#ffffff", "Link": "#2a82da", "PlaceholderText": "#909090"},
}

REASONS = [
    "Slices lie up to 1.50 mm apart; thin walls need 1.25 mm.",
    "The kernel BONE is no standard one: it sharpens and adds noise.",
    "Not every orbit is whole in this scan and region: right found, left cut off.",
]

LONG = "The slices' orientations or pixel sizes differ a little, as rounding makes them, and were taken as one: voxels "
WARNINGS = [
    ("resampled", "The slices are tilted or unevenly spaced; they were put on a regular grid by their true positions."),
    ("rounded-axes", LONG + "may lie up to 0.12 mm off."),
]

SURFACE = {"triangles": 596528, "closed": True, "parts": 1, "tunnels": 12, "open_edges": 0, "volume_ml": 69.11}
SURFACE |= {"quality": {"deviation_mm": {"p95": 0.11, "maximum": 0.42}, "walls": {"p05_mm": 0.61}}}


class Look:
    """A panel with a pretended worker, and a picture of each of its steps in a light theme and a dark one."""

    def __init__(self, folder: Path, name: str) -> None:
        import host

        self.host, self.folder, self.name = host.start(), folder, name
        from fakes import FakePython
        from host import scripted

        self.python = FakePython()
        language = name.partition("-")[2]
        scripted.SETTINGS.update({"Internationalization/Enabled": True, "language": language})
        from OrbitalSegPanel.language import translate_panel

        translate_panel()
        from OrbitalSeg import OrbitalSegLogic

        self.qt, self.widgets = self.host.qt, self.host.qt.QApplication
        self.widgets.setStyle("Fusion")
        self.light = self.widgets.palette()
        self.panel = self.host.panel(OrbitalSegLogic(self.python, folder / "private"))
        self.panel.ask = lambda _question: True
        self.ui = self.panel.ui
        self.area = self.qt.QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setWidget(self.host.kept[-1])
        self.area.resize(WIDTH, HEIGHT)
        self.area.show()
        self.count = 0

    def take(self, step: str, section: str | None = None) -> None:
        """Pictures of the panel with a section open."""
        if section is not None:
            getattr(self.ui, section).collapsed = False
        self.count += 1
        for theme, palette in (("light", self.light), ("dark", self.dark())):
            self.widgets.setPalette(palette)
            for _ in range(6):
                self.widgets.processEvents()
                self.panel.refresh()
            high = self.host.kept[-1].size.height()
            wide = self.host.kept[-1].size.width()
            print(f"{self.name} {theme} {step}: {wide} x {high}", flush=True)
            self.area.grab().save(str(self.folder / f"{self.name}-{theme}-{self.count:02d}-{step}.png"))
            if high > HEIGHT:
                self.host.kept[-1].grab().save(str(self.folder / f"whole-{self.name}-{theme}-{step}.png"))

    def dark(self):
        palette = self.qt.QPalette()
        for role, colour in DARK.items():
            palette.setColor(getattr(self.qt.QPalette, role), self.qt.QColor(colour))
            if role in ("WindowText", "Text", "ButtonText"):
                faint = self.qt.QColor("#7f7f7f")
                palette.setColor(self.qt.QPalette.Disabled, getattr(self.qt.QPalette, role), faint)
        return palette

    def says(self, *lines: dict) -> None:
        self.python.work.lines += lines

    def done(self, **summary) -> None:
        self.python.succeed(**summary)
        self.panel.logic.poll()

    def walk(self) -> None:
        from fakes import ct_image, orbits_summary, write_orbits, write_result
        from hands import choose
        from OrbitalSegPanel import volumes

        ui, warned = self.ui, [{"event": "warning", "code": code, "text": text} for code, text in WARNINGS]
        self.take("empty")
        volume = self.host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "2: Head 0.6 H31s")
        volumes.put_image(volume, ct_image())
        ui.volumeSelector.setCurrentNode(volume)
        self.says(*warned)
        self.done()
        self.take("scan", "scanSection")
        ui.checkButton.click()
        said = "The header says that the unit of the values is unspecified (Rescale Type US): choose the original CT "
        said += "series of a scanner, or ask for grey values, for a result that is not to be used on a patient."
        self.python.fail(said, "not-hu")
        self.panel.logic.poll()
        self.take("refused", "scanSection")
        ui.checkButton.click()
        self.done()
        self.take("region", "regionSection")
        self.take("method", "methodSection")
        ui.methodAdvancedSection.collapsed = False
        self.take("advanced")
        choose(ui.methodBox, "connected")
        ui.methodBox.currentIndexChanged.emit(ui.methodBox.currentIndex)
        self.take("classical")
        ui.methodAdvancedSection.collapsed = True
        choose(ui.methodBox, "multigrey")
        ui.methodBox.currentIndexChanged.emit(ui.methodBox.currentIndex)
        self.panel.logic.start_segment()
        self.says({"event": "progress", "percent": 42, "step": "postprocessing", "seconds_left": 75.0})
        self.panel.logic.poll()
        self.take("running")
        write_result(self.python.result)
        self.says(*warned)
        self.done(monitoring={"verdict": "check", "reasons": REASONS}, volumes_ml={"bone": 69.1})
        self.take("segmented")
        self.take("threshold", "thresholdSection")
        self.take("correct", "correctSection")
        ui.measureButton.click()
        summary = orbits_summary()
        write_orbits(self.python.result, summary)
        self.done(**summary)
        self.take("volume", "orbitsSection")
        self.take("defects", "reconstructionSection")
        out = self.folder / "models"
        out.mkdir(exist_ok=True)
        ui.exportFolderEdit.currentPath = str(out)
        ui.exportAdvancedSection.collapsed = False
        self.take("export", "exportSection")
        ui.exportButton.click()
        self.python.result.mkdir()
        for name in ("bone.stl", "bone-quality.vtp", "record.json"):
            (self.python.result / name).write_bytes(b"{}")
        self.done(surface=SURFACE)
        self.take("exported", "exportSection")
        for _ in range(4):
            ui.nextSliceButton.click()
        ui.markSliceButton.click()
        self.take("review", "reviewSection")
        ui.recordFolderEdit.currentPath = str(out)
        ui.recordButton.click()
        self.python.result.mkdir()
        self.done(missing=[{"term": "Tube voltage", "why": "the scan does not state it"}])
        self.take("record")
        self.take("learn", "learnSection")
        self.panel.cleanup()


def sheets(folder: Path) -> None:
    """All steps of a kind on one picture, five in a row."""
    from PySide6.QtGui import QImage, QPainter

    kinds = {path.name.rpartition("-")[0].rpartition("-")[0] for path in folder.glob("1*-*-*-*.png")}
    for kind in sorted(kinds):
        pictures = [QImage(str(path)) for path in sorted(folder.glob(f"{kind}-*.png"))]
        width, height = pictures[0].width() + 8, pictures[0].height() + 8
        for number in range(0, len(pictures), 5):
            sheet = QImage(5 * width, height, QImage.Format_RGB32)
            sheet.fill(0x8080C0)
            painter = QPainter(sheet)
            for place, picture in enumerate(pictures[number : number + 5]):
                painter.drawImage(place * width, 0, picture)
            painter.end()
            sheet.save(str(folder / f"sheet-{kind}-{number // 5 + 1}.png"))


def main(folder: Path) -> None:
    """A process for each scale and language: Qt asks for them once."""
    folder.mkdir(parents=True, exist_ok=True)
    for scale, language in KINDS:
        name = f"{round(100 * float(scale))}-{language}"
        environment = os.environ | {"QT_SCALE_FACTOR": scale}
        subprocess.run([sys.executable, __file__, str(folder), name], check=True, env=environment)
    sheets(folder)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        Look(Path(sys.argv[1]), sys.argv[2]).walk()
    else:
        main(Path(sys.argv[1]))
