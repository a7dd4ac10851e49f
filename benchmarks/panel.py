"""How long the panel takes to appear, and a slider of probability to show other bone.

On Slicer's core and the tests' Qt host, in the environment that `make slicer` makes:

    .venvs/slicer/bin/python benchmarks/panel.py

Aims: 1 s for the panel (Slicer itself already runs then), 200 ms for a redraw on the region of one orbit.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "Testing/panel"), str(ROOT / "OrbitalSeg")]

SPACING_MM = (0.45, 0.45, 0.6)
WORKING_MM = 0.5
REGIONS_MM = {"one orbit": (60.0, 60.0, 60.0), "both orbits": (130.0, 60.0, 60.0)}
MOVES = 11


def main() -> None:
    import host

    started = host.start()
    with measured() as cost:
        started.panel()
        started.kept[-1].show()
        started.qt.QApplication.processEvents()
    print(f"panel, from import to shown: {cost.wall:.2f} s, {cost.processor:.2f} s of the processor")
    for name, size_mm in REGIONS_MM.items():
        costs, surfaces, voxels = redraw_costs(started, size_mm)
        print(
            f"slider, {name}, {voxels / 1e6:.1f} million voxels: median {1000 * median(costs).wall:.0f} ms, "
            f"{1000 * median(costs).processor:.0f} ms of the processor; the surfaces after it rests: "
            f"{median(surfaces).wall:.2f} s, {median(surfaces).processor:.2f} s"
        )


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


def redraw_costs(started, size_mm) -> tuple[list[Cost], list[Cost], int]:
    """Of each move of a slider, from the new limit to the drawn axial slice; of surfaces; and the region's voxels."""
    import render
    from OrbitalSegPanel import results, segments, volumes
    from OrbitalSegPanel.thresholds import Thresholds

    slicer, scene = started.slicer, emptied_scene(started)
    views = render.Views(started.application_logic)
    volume, segmentation = scene_with_bone(scene, volumes, segments, size_mm)
    half = np.array(size_mm) / 2
    box = tuple(np.stack([-half, half], axis=1).ravel().tolist())
    fields = [probability(scene, volumes, name, size_mm) for name in ("cortical", "thin")]
    shown = results.Run({}, dict.fromkeys(("bone", "inferred")), {}, box)  # what a result shows in 3D
    thresholds = Thresholds(fields, segmentation, volume, shown, lambda _node: None)
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(volume.GetID())
    thresholds.move({"cortical": 0.5, "thin": 0.5})
    picture = Path(started.slicer.app.temporaryPath) / "redraw.png"
    views.draw_slice("Red", picture)
    costs, surfaces = [], []
    for limit in np.linspace(0.3, 0.7, MOVES):
        with measured() as cost:
            thresholds.move({"cortical": float(limit), "thin": 0.5})
            views.render("Red")
        costs.append(cost)
        with measured() as cost:
            thresholds.make_surfaces()
        surfaces.append(cost)
    return costs, surfaces, thresholds.voxels


def emptied_scene(started):
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
