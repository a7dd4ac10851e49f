"""A result of a coarse scan, edited in the real Slicer core, and given to the tasks that go on with it."""

import math

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import worker
from OrbitalSegLib.export.segmentation import read_segmentation, segment_ids
from OrbitalSegLib.export.stl import read_stl
from OrbitalSegLib.modelling.distances import signed_distances_mm
from OrbitalSegLib.modelling.mesh import arrays_of
from OrbitalSegLib.phantom import Anatomy, Scanner, scan
from OrbitalSegLib.product import CONTRACT

FINE_MM = 0.5
AROUND_MM = 8.0


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    """Both orbits in slices of 3 mm."""
    taken = scan(Anatomy(), Scanner(104, 1.2, 3.0, 3.0, 60.0, (0.0, 15.0, 0.0)))
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetOrigin(taken.grid.origins[0].tolist())
    image.SetSpacing((1.2, 1.2, 3.0))
    path = tmp_path_factory.mktemp("ct") / "ct.nrrd"
    sitk.WriteImage(image, str(path))
    return path


def run(output, **job) -> dict:
    """The summary of a job."""
    lines: list[dict] = []
    worker.run({"contract": CONTRACT, "output": str(output), **job}, lines.append)
    assert lines[-1]["event"] == "result", lines[-1]
    return lines[-1]["summary"]


@pytest.fixture(scope="module")
def result(ct, tmp_path_factory):
    folder = tmp_path_factory.mktemp("result") / "result"
    run(folder, task="segment", input=str(ct), method="threshold", region="left", grid=FINE_MM)
    return folder


@pytest.fixture
def edited(slicer, scene, result, tmp_path):
    """The segmentation as Slicer saves it, one voxel of bone painted, and that voxel."""
    bone = read_segmentation(result / "segmentation.seg.nrrd")
    bumps = np.argwhere(painted_into(sitk.GetArrayFromImage(bone) > 0))
    z, y, x = min(bumps.tolist(), key=lambda place: math.dist(place, bumps.mean(axis=0)))
    node = scene.segmentations.LoadSegmentationFromFile(str(result / "segmentation.seg.nrrd"), True)
    labels = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation("bone", labels)
    assert labels.GetSpacing() == pytest.approx((FINE_MM,) * 3)
    labels.SetScalarComponentFromDouble(x, y, z, 0, 1)
    labels.Modified()
    scene.segmentations.SetBinaryLabelmapToSegment(labels, node, "bone")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "edited.seg.nrrd"))
    assert storage.WriteData(node)
    return tmp_path / "edited.seg.nrrd", (z, y, x)


def painted_into(bone: np.ndarray) -> np.ndarray:
    """Where a voxel lies upon bone, with none on its other side: a bump of one voxel."""
    free = np.zeros_like(bone)
    free[2:-2, 2:-2, 3:-3] = ~bone[2:-2, 2:-2, 3:-3] & bone[2:-2, 2:-2, 2:-4] & ~bone[2:-2, 2:-2, 4:-2]
    return free


def test_the_edit_of_a_voxel_is_there_in_all_that_follows_and_nothing_else_changes(result, ct, edited, tmp_path):
    path, voxel = edited
    before, after = (read_segmentation(file) for file in (result / "segmentation.seg.nrrd", path))
    inside = before.TransformPhysicalPointToIndex(after.GetOrigin())
    whole = np.zeros(before.GetSize()[::-1], bool)
    part = tuple(slice(n, n + size) for n, size in zip(inside[::-1], after.GetSize()[::-1], strict=True))
    whole[part] = sitk.GetArrayFromImage(after) > 0
    assert np.argwhere(whole != (sitk.GetArrayFromImage(before) > 0)).tolist() == [list(voxel)]

    said = run(tmp_path / "reviewed", task="review", input=str(result), edited=str(path), ct=str(ct))
    counts = {name: (one["added_voxels"], one["removed_voxels"]) for name, one in said["edits"]["segments"].items()}
    assert counts.pop("bone") == (1, 0)
    assert set(counts.values()) <= {(0, 0)}
    for name in segment_ids(result / "segmentation.seg.nrrd") & {"bone", "cortical", "thin"}:
        old, new = (
            read_segmentation(folder / "segmentation.seg.nrrd", name) for folder in (result, tmp_path / "reviewed")
        )
        assert new.IsSameImageGeometryAs(old)
        different = np.argwhere(sitk.GetArrayFromImage(old) != sitk.GetArrayFromImage(new)).tolist()
        assert different == ([list(voxel)] if name == "bone" else [])

    z, y, x = voxel
    place = np.array(before.TransformIndexToPhysicalPoint([x, y, z]))
    around = [float(edge) for at in place for edge in (at - AROUND_MM, at + AROUND_MM)]
    made = []
    for number, file in enumerate((result / "segmentation.seg.nrrd", path)):
        run(tmp_path / f"{number}", task="surface", input=str(file), ct=str(ct), region=around)
        made.append(arrays_of(read_stl(tmp_path / f"{number}" / "bone.stl")))
    points = made[1][0]
    moved_mm = np.abs(signed_distances_mm(points, *made[0]))
    away_mm = np.linalg.norm(points - place, axis=1)
    assert moved_mm[away_mm < 2 * FINE_MM].max() > FINE_MM / 2
    further = moved_mm[away_mm > 8 * FINE_MM]  # smoothing and repair carry an edit a little way
    assert np.percentile(further, 99) < 0.01
    assert further.max() < FINE_MM / 2

    own, left = (
        run(tmp_path / f"orbit-{number}", task="orbits", input=str(file), ct=str(ct), region="left")["orbits"]["left"]
        for number, file in enumerate((result, path))
    )
    assert own["volume_ml"] is not None
    assert left["volume_ml"] == pytest.approx(own["volume_ml"], abs=0.05)
