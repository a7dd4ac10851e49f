"""A worker that does what a test says, and results as the real one writes them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkFiltersSources import vtkSphereSource
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from OrbitalSegLib.export.segmentation import write_segmentation
from OrbitalSegLib.export.stl import write_stl
from OrbitalSegLib.modelling.surface import SurfaceParameters, surface_of_mask
from OrbitalSegLib.scan import Acquisition, grid_of
from OrbitalSegLib.structures import structures_of
from OrbitalSegPanel.process import CANCELLED, Line, Outcome

SIZE_XYZ = (24, 20, 12)
SPACING_MM = (1.0, 1.0, 1.5)
ORIGIN_MM = (-12.0, -10.0, 100.0)
GLOBE = {"title": "Eyeball", "colour": [0.9, 0.9, 1.0], "code": ["81745001", "SCT", "Eye"], "kind": "soft tissue"}
"""A structure as a record has it that a model package brought."""
BOX_MM = (-8.0, 8.0, -8.0, 8.0, 102.0, 114.0)
"""The region of a pretended result, LPS."""


class FakeWork:
    """Says what it is told to say, and ends when it is told to."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.lines: list[Line] = []
        self.ending: Outcome | None = None
        self.asked_to_stop = self.killed = False

    def poll(self) -> list[Line]:
        lines, self.lines = self.lines, []
        self.outcome = self.ending
        return lines

    def cancel(self) -> None:
        self.asked_to_stop = True
        self.ending = Outcome(None, CANCELLED, "The work was cancelled; nothing was left behind.")

    def kill(self) -> None:
        self.killed = True

    def log(self) -> str:
        return "what it said\n"


class FakePython:
    """Starts pretended work, and remembers what was asked for."""

    def __init__(self) -> None:
        self.jobs: list[Line] = []
        self.checks: list[Line] = []
        """Jobs that only read the scan: the panel starts them by itself."""
        self.installed: list[tuple[list[str], Path | None]] = []
        self.work = FakeWork()
        self.folder = Path()

    def start(self, job: Line, folder: Path) -> FakeWork:
        (self.checks if job["task"] == "info" else self.jobs).append(job)
        return self._begin(folder)

    def install(self, packages: list[str], wheels: Path | None, folder: Path, _megabytes: float = 0) -> FakeWork:
        self.installed.append((packages, wheels))
        return self._begin(folder)

    def _begin(self, folder: Path) -> FakeWork:
        self.work, self.folder = FakeWork(), folder
        return self.work

    @property
    def result(self) -> Path:
        return Path(self.jobs[-1]["output"])

    def succeed(self, **summary: Any) -> None:
        self.work.ending = Outcome({"event": "result", "files": [], "summary": summary})

    def fail(self, text: str = "No bone was found.", code: str = "empty-result") -> None:
        self.work.ending = Outcome(None, code, text)


class Database:
    """Slicer's DICOM database, as far as the panel asks it; it holds the files of some folders."""

    isOpen = True  # noqa: N815 - as Slicer calls it

    def __init__(self, *folders: Path) -> None:
        self.files: dict[str, Path] = {}
        self._series: dict[str, str] = {}
        for path in sorted(path for folder in folders for path in folder.iterdir()):
            header = pydicom.dcmread(path, stop_before_pixels=True)
            self.files[str(header.SOPInstanceUID)] = path
            self._series[str(path)] = str(header.SeriesInstanceUID)

    def fileForInstance(self, uid: str) -> str:  # noqa: N802
        return str(self.files.get(uid, ""))

    def seriesForFile(self, path: str) -> str:  # noqa: N802
        return self._series.get(path, "")

    def filesForSeries(self, series: str) -> list[str]:  # noqa: N802
        return [path for path, uid in self._series.items() if uid == series]


def image_of(array: np.ndarray) -> sitk.Image:
    """An array (z, y, x) on the grid of these tests."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING_MM)
    image.SetOrigin(ORIGIN_MM)
    return image


def ct_image() -> sitk.Image:
    """Air with a block of tissue, and bone in it."""
    hu = np.full(SIZE_XYZ[::-1], -1000, np.int16)
    hu[1:11, 3:17, 3:21] = 40
    hu[3:9, 6:14, 6:18] = 700
    return image_of(hu)


def mask_array(grown: int = 0) -> np.ndarray:
    """A block of bone, or a larger one."""
    array = np.zeros(SIZE_XYZ[::-1], np.uint8)
    array[3:9, 6 - grown : 14 + grown, 6 - grown : 18 + grown] = 1
    return array


def write_result(
    folder: Path,
    networks: bool = True,
    grown: int = 0,
    asked: str = "auto",
    limits: tuple[float, float] = (0.5, 0.5),
    globe: bool = False,
) -> None:
    """A result folder with the files that the panel reads; `globe` is a structure that a model package brings."""
    folder.mkdir(parents=True)
    bone = mask_array(grown)
    thin = bone * (np.arange(SIZE_XYZ[0]) < 10).astype(np.uint8)
    wall = np.zeros_like(bone)
    wall[3:9, 15, 6:18] = 1
    masks = {"bone": image_of(bone), "cortical": image_of(bone - thin), "thin": image_of(thin)}
    if networks:
        masks["inferred"] = image_of(wall)
        for name, part in (("cortical", bone - thin), ("thin", thin)):
            array = np.where(part > 0, 200, 0).astype(np.uint8)
            array[2, 6:14, 6:18] = 100  # found by a lower limit only
            sitk.WriteImage(image_of(array), str(folder / f"probability-{name}.nrrd"))
    brought = {"globe": GLOBE} if globe else {}
    if globe:
        ball = np.zeros_like(bone)
        ball[5:8, 2:5, 8 : 14 + grown] = 1
        masks["globe"] = image_of(ball)
        sitk.WriteImage(image_of(200 * ball), str(folder / "probability-globe.nrrd"))
    write_segmentation(masks, folder / "segmentation.seg.nrrd", structures_of({"structures": brought}))
    mesh, _ = surface_of_mask(masks["bone"], SurfaceParameters())
    write_stl(mesh, folder / "bone.stl", title="bone")
    used = {"cortical_above": limits[0], "thin_above": limits[1], "inferred_above": 0.2}
    used = used if networks else {"lower_hu": 300.0}
    used |= {"globe_above": 0.5} if globe else {}
    record = {
        "settings": {
            "method": "multigrey" if networks else "threshold",
            "parameters": {},
            "region": asked,
            "grid": "auto",
        },
        "acquisition": asdict(Acquisition("nrrd", (SIZE_XYZ[1], SIZE_XYZ[0]), SPACING_MM[0], SPACING_MM[2])),
        "input": {"grid": grid_of(masks["bone"])},
        "region": {"asked": asked, "box_mm": list(BOX_MM), "margin_mm": 10.0},
        "steps": [
            {
                "step": "locating",
                "parameters": {},
                "measured": {side: {"status": "found"} for side in ("left", "right")},
            },
            {"step": "segmenting", "parameters": used, "measured": {}, "seconds": 1.0},
            {"step": "writing", "parameters": {}, "measured": {"grid": grid_of(masks["bone"])}, "seconds": 1.0},
        ],
    }
    record |= {"structures": brought} if globe else {}
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")


ORBIT_RADIUS_MM = 3.0
ORBIT_CENTRES_MM = {"right": (-6.0, -2.0, 108.0), "left": (6.0, -2.0, 108.0)}
"""Of pretended orbits, LPS."""


def orbits_summary(**left: Any) -> dict[str, Any]:
    """What the worker says of two orbits, or of a left one that is not whole."""
    right = {"status": "found", "volume_ml": 24.62, "bridged_share": 0.171, "inferred_share": 0.02, "beyond_ml": 0.0}
    if left:
        return {"orbits": {"right": right, "left": left}, "larger": None, "difference_ml": None}
    left = {"status": "found", "volume_ml": 26.04, "bridged_share": 0.094, "inferred_share": 0.0, "beyond_ml": 0.18}
    return {"orbits": {"right": right, "left": left}, "larger": "left", "difference_ml": 1.42}


def reconstruction_summary(**opening: Any) -> dict[str, Any]:
    """What the worker says of a whole orbit and of one whose floor it reconstructed."""
    one = {"number": 1, "wall": "floor", "area_mm2": 79.4, "mirrored_share": 0.9, "uncertain_mm": 0.42}
    left = {"status": "reconstructed", "wall_from": "mirror", "openings": [one | opening], "volume_ml": 24.6}
    return {"orbits": {"right": {"status": "no defect"}, "left": left}, "sides_known": True}


def write_reconstruction(folder: Path, summary: dict[str, Any]) -> None:
    """The orbits as they were, and files in the place of models."""
    write_orbits(folder, summary)
    for name in ("bone_reconstructed-left.stl", "bone_reconstructed-left.3mf", "reconstructed-left.stl", "record.json"):
        (folder / name).write_text(name, encoding="utf-8")


def write_orbits(folder: Path, summary: dict[str, Any]) -> None:
    """The surfaces of the orbits that were measured: balls whose front is the opening, and whose back is bridged."""
    folder.mkdir(parents=True)
    for side, orbit in summary["orbits"].items():
        if orbit["status"] in ("found", "reconstructed"):
            ball = vtkSphereSource()
            ball.SetCenter(*ORBIT_CENTRES_MM[side])
            ball.SetRadius(ORBIT_RADIUS_MM)
            ball.Update()
            surface = ball.GetOutput()
            deep_mm = vtk_to_numpy(surface.GetPoints().GetData())[:, 1] - ORBIT_CENTRES_MM[side][1]
            end, origin = np.select([deep_mm < -1, deep_mm > 1], [0, 3], 1), np.where(deep_mm > 1, 1, 0)
            for name, values in (("end", end), ("origin", origin)):
                array = numpy_to_vtk(values.astype(np.uint8), deep=True)
                array.SetName(name)
                surface.GetPointData().AddArray(array)
            writer = vtkXMLPolyDataWriter()
            writer.SetFileName(str(folder / f"orbit-{side}.vtp"))
            writer.SetInputData(surface)
            writer.Write()
