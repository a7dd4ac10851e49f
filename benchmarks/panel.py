"""How long the panel takes to appear, and a slider of probability to show other bone; how long the window ever waits.

On Slicer's core and the tests' Qt host, in the environment that `make slicer` makes:

    .venvs/slicer/bin/python benchmarks/panel.py
    .venvs/slicer/bin/python benchmarks/panel.py build/phantom/series

Aims: 0.15 s for the module when Slicer starts, 1 s for the panel (Slicer itself already runs then), 200 ms for a redraw
on the region of one orbit. With a series, which `make demo` leaves there: a run by default on it, a slider that moves
and rests, and of each the longest time in which the window did nothing else.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "Testing/panel"), str(ROOT / "OrbitalSeg")]

SPACING_MM = (0.45, 0.45, 0.6)
WORKING_MM = 0.5
REGIONS_MM = {"one orbit": (60.0, 60.0, 60.0), "both orbits": (130.0, 60.0, 60.0)}
MOVES = 11
PATIENCE_SECONDS = 60


def main() -> None:
    import host

    started = host.start()
    import numpy  # noqa: F401 - Slicer itself has imported it by then

    with measured() as cost:
        import OrbitalSeg  # noqa: F401 - what Slicer's start waits for
    print(f"the module's import at the start of Slicer: {cost.wall:.2f} s, {cost.processor:.2f} s of the processor")
    with measured() as cost:
        started.panel()
        started.kept[-1].show()
        started.qt.QApplication.processEvents()
    print(f"panel, from import to shown: {cost.wall:.2f} s, {cost.processor:.2f} s of the processor")
    for name, size_mm in REGIONS_MM.items():
        costs, voxels = redraw_costs(started, size_mm)
        print(
            f"slider, {name}, {voxels / 1e6:.1f} million voxels: median {1000 * median(costs).wall:.0f} ms, "
            f"{1000 * median(costs).processor:.0f} ms of the processor"
        )
    if len(sys.argv) > 1:
        show_pauses(started, Path(sys.argv[1]))


@dataclass
class Cost:
    """Seconds on the clock, and of the processor: they differ where others use it too."""

    wall: float = 0.0
    processor: float = 0.0


def median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.processor for cost in costs))


@contextmanager
def measured() -> Iterator[Cost]:
    cost = Cost()
    wall, processor = time.perf_counter(), time.process_time()
    yield cost
    cost.wall, cost.processor = time.perf_counter() - wall, time.process_time() - processor


def show_pauses(started, series: Path) -> None:
    """A run and its sliders, as a user sees them: how long each takes, and how long the window waits for it at most."""
    from OrbitalSegPanel import origin

    emptied_scene(started)
    panel = started.panel()
    ui, runs = panel.ui, panel.logic.runs
    ui.volumeSelector.setCurrentNode(origin.series_as_volume(series, "scan"))
    ui.segmentButton.click()
    print(f"a run: {awaited(started, lambda: runs.running is None)}")
    ui.thresholdSection.collapsed = True
    ui.thresholdSection.collapsed = False
    turns = iter(range(5))
    print(f"opening the section: {awaited(started, lambda: next(turns, None) is None)}")
    slider = ui.slidersBox.findChild(started.qt.QWidget, "limit_thin")
    slider.value = 0.5
    print(f"the slider's first move: {awaited(started, panel.logic.is_preview)}")
    started.process_until(lambda: runs.running is not None, PATIENCE_SECONDS)
    print(f"the exact result, from when the slider has rested: {awaited(started, lambda: runs.running is None)}")
    panel.cleanup()


def awaited(started, done) -> str:
    """Seconds until something is so, and the longest of them in which the window did nothing else."""
    start, longest = time.perf_counter(), Cost()
    while not done():
        with measured() as turn:
            started.qt.QApplication.processEvents()
        longest = max(longest, turn, key=lambda cost: cost.wall)
        time.sleep(0.002)
    total = time.perf_counter() - start
    return f"{total:.1f} s; the window waited {longest.wall:.2f} s at most ({longest.processor:.2f} s of the processor)"


def redraw_costs(started, size_mm) -> tuple[list[Cost], int]:
    """Of each move of a slider, from the new limit to the drawn axial slice; and the region's voxels."""
    import render
    from OrbitalSegLib.structures import STRUCTURES
    from OrbitalSegPanel import results, segments, volumes
    from OrbitalSegPanel.thresholds import Thresholds

    slicer, scene = started.slicer, emptied_scene(started)
    views = render.Views(started.application_logic)
    volume, segmentation = scene_with_bone(scene, volumes, segments, size_mm)
    half = np.array(size_mm) / 2
    box = tuple(np.stack([-half, half], axis=1).ravel().tolist())
    fields = [probability(scene, volumes, name, size_mm) for name in ("cortical", "thin")]
    thresholds = Thresholds(
        fields, segmentation, volume, results.Run({}, {}, {}, box, "auto", dict(STRUCTURES)), lambda _node: None
    )
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(volume.GetID())
    thresholds.move({"cortical": 0.5, "thin": 0.5})
    picture = Path(started.slicer.app.temporaryPath) / "redraw.png"
    views.draw_slice("Red", picture)
    costs = []
    for limit in np.linspace(0.3, 0.7, MOVES):
        with measured() as cost:
            thresholds.move({"cortical": float(limit), "thin": 0.5})
            views.render("Red")
        costs.append(cost)
    return costs, thresholds.voxels


def emptied_scene(started) -> Any:
    """The scene without what an earlier region left in it."""
    for kind in ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLSliceNode", "vtkMRMLViewNode"):
        for node in started.slicer.util.getNodesByClass(kind):
            started.scene.RemoveNode(node)
    return started.scene


def scene_with_bone(scene, volumes, segments, size_mm):
    """A CT and a segmentation with the segments of a result, on the scan's grid."""
    size = [round((extent + 20) / step) for extent, step in zip(size_mm, SPACING_MM, strict=True)]
    image = sitk.Image(size, sitk.sitkInt16)
    image.SetSpacing(SPACING_MM)
    image.SetOrigin([-(count - 1) * step / 2 for count, step in zip(size, SPACING_MM, strict=True)])
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    volumes.put_image(volume, image)
    volume.CreateDefaultDisplayNodes()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "bone")
    for name in ("bone", "cortical", "thin"):
        node.GetSegmentation().AddEmptySegment(name, name)
    segments.show(node)
    return volume, node


def probability(scene, volumes, name: str, size_mm):
    """A smooth field with walls, as networks give one."""
    count = [round((extent + 20) / WORKING_MM) for extent in size_mm]
    z, y, x = np.indices(count[::-1], np.float32)
    turn = 0.0 if name == "cortical" else 1.5
    field = 0.5 + 0.5 * np.sin(x / 9 + turn) * np.sin(y / 11) * np.cos(z / 13)
    image = sitk.GetImageFromArray((255 * field).astype(np.uint8))
    image.SetSpacing([WORKING_MM] * 3)
    image.SetOrigin([-(c - 1) * WORKING_MM / 2 for c in count])
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    volumes.put_image(node, image)
    node.SetAttribute("OrbitalSeg.network", name)
    return node


if __name__ == "__main__":
    main()
