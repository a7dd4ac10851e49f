"""The wall that an orbit had, against the phantom's formula without its hole."""

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from OrbitalSegLib import worker
from OrbitalSegLib.cavity import BONE, BRIDGED, END
from OrbitalSegLib.cavity.sphere import sphere
from OrbitalSegLib.defects import CANNOT_BE_TOLD, openings_of
from OrbitalSegLib.export.segmentation import read_segmentation, segment_ids, write_segmentation
from OrbitalSegLib.export.stl import read_stl
from OrbitalSegLib.locating import SIDES
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.model import ModelParameters, model_of
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.reconstruction import EDGE, MIRRORED, RIM, SEEN, Reconstruction, models, reconstruct
from OrbitalSegLib.reconstruction.models import PlateParameters, plate, wall_in
from OrbitalSegLib.reconstruction.sources import Face, bridge
from OrbitalSegLib.reconstruction.star import Star
from OrbitalSegLib.reconstruction.trust import uncertain_mm
from OrbitalSegLib.region import Region
from OrbitalSegLib.results import last_step
from OrbitalSegLib.structures import RECONSTRUCTED, STRUCTURES
from OrbitalSegLib.symmetry import plane_of
from OrbitalSegLib.tasks import reconstruct as task
from OrbitalSegLib.tasks.defects import Seen

pytestmark = pytest.mark.slow

AROUND_THE_HOLE = Region((12.0, 33.0, -15.0, 6.0, -24.0, -4.0))
"""All the bone that the tests of jobs get, so that they take a second."""


class Broken:
    """The left orbit as it is, its openings, the other one, and the orbit without the hole."""

    def __init__(self, head) -> None:
        self.cavity, self.other = head.measured("left"), head.measured("right")
        self.openings = openings_of(self.cavity, head.orbits.left, head.ct, head.bone)
        self.plane = plane_of(head.bone, head.orbits)
        self.truth = Star.of(head.measured("left", head.whole_bone()))

    def made(self, source: str = "mirror") -> Reconstruction:
        found = reconstruct(self.cavity, self.openings, self.other, self.plane, source)
        assert found is not None
        return found

    def off_mm(self, made: Reconstruction) -> np.ndarray:
        """How far each new place is off, across the wall."""
        cosine = np.abs((self.truth.normals * sphere().directions).sum(axis=1))
        return (np.abs(made.star.wall_mm - self.truth.wall_mm) * cosine)[made.is_new & self.truth.is_wall]


@pytest.fixture(scope="module")
def broken(head) -> Broken:
    return Broken(head)


@pytest.fixture(scope="module")
def made(broken) -> Reconstruction:
    return broken.made()


def test_the_mirrored_wall_is_where_the_wall_was(broken, made):
    off_mm = broken.off_mm(made)
    assert len(off_mm) > 100
    assert np.median(off_mm) < 0.1
    assert np.percentile(off_mm, 95) < 0.25
    true = replace(made.before, wall_mm=np.where(made.is_new, broken.truth.wall_mm, made.before.wall_mm))
    assert made.volume_ml == pytest.approx(mesh.volume_ml(true.points_mm, sphere().triangles), abs=0.03)


def test_the_bridge_is_further_off_than_the_mirrored_wall(broken, made):
    bridged = broken.made("bridge")
    assert bridged.source == "bridge"
    assert np.median(broken.off_mm(bridged)) > np.median(broken.off_mm(made))


def test_it_meets_intact_bone_without_a_step(broken, made):
    """At the rim, rays beside each other differ as those of the whole orbit do."""
    around, intact = sphere().neighbours, made.before.is_wall & ~made.is_new
    steps = []
    for row in around:
        rim = np.flatnonzero(made.is_new & intact[row])
        of_made, of_truth = (star.wall_mm[rim] - star.wall_mm[row[rim]] for star in (made.star, broken.truth))
        steps.append(np.abs(of_made - of_truth))
    assert np.percentile(np.concatenate(steps), 95) < 0.2


def test_nothing_else_is_moved_and_natural_openings_stay_open(made):
    assert not (made.is_new & made.is_natural).any()
    assert made.is_natural.any()
    assert (made.star.wall_mm[~made.is_new] == made.before.wall_mm[~made.is_new]).all()
    assert (made.uncertain_mm[~made.is_new] == 0).all()
    assert (made.origin[~made.is_new] == SEEN).all()


def test_every_new_place_says_where_it_is_from_and_what_is_uncertain_holds(broken, made):
    (opening,) = made.openings
    at = made.at(opening)
    assert at.mirrored_share == 1
    assert 0 < at.uncertain_mm <= at.uncertain_most_mm < 0.5
    new = made.is_new & broken.truth.is_wall
    assert (broken.off_mm(made) <= made.uncertain_mm[new] + 0.1).mean() > 0.9


def test_where_the_sides_differ_intact_bone_stays_and_the_wall_runs_into_it(broken):
    """The other orbit is up to 3 mm smaller below: bone there lies far outside its mirror image, and has not moved."""
    other = replace(broken.other, surface=vtkPolyData())
    other.surface.DeepCopy(broken.other.surface)
    smaller_mm = 3.0 * np.clip(-sphere().directions[:, 2], 0.0, 1.0)
    places = vtk_to_numpy(other.surface.GetPoints().GetData())
    places -= (sphere().directions * smaller_mm[:, None]).astype(places.dtype)
    found = reconstruct(broken.cavity, broken.openings, other, broken.plane)
    assert found.source == "mirror"
    near = ~found.before.is_wall
    for _ in range(EDGE + RIM):
        near = near | near[sphere().neighbours].any(axis=0)
    assert not (found.is_new & ~near).any()
    off_mm = broken.off_mm(found)
    assert np.median(off_mm) < 0.3
    assert np.percentile(off_mm, 95) < 0.8


def test_a_hole_over_a_canal_is_closed_whole_where_the_other_side_has_wall(broken, made):
    """The hole takes the roof of the infraorbital canal with it, which is listed apart."""
    assert "infraorbital canal" in {one.name for one in broken.openings}
    hole = (broken.truth.is_wall & ~made.before.is_wall)[sphere().neighbours].all(axis=0)
    assert hole.sum() > 100
    assert made.is_new[hole].all()
    alone = reconstruct(broken.cavity, broken.openings)
    assert not alone.is_new[hole].all()


def test_where_both_sides_are_broken_it_is_bridged_and_said(broken):
    other = broken.other
    end = other.surface.GetPointData().GetArray(END)
    kept = vtk_to_numpy(end).copy()
    floor = sphere().directions[:, 2] < -0.5
    try:
        vtk_to_numpy(end)[floor & (kept == BONE)] = BRIDGED
        found = broken.made()
    finally:
        vtk_to_numpy(end)[:] = kept
    assert found.source == "mirror"
    assert found.at(found.openings[0]).mirrored_share < 0.2


def test_without_the_other_side_everything_is_bridged(broken):
    found = reconstruct(broken.cavity, broken.openings, None, broken.plane)
    assert found.source == "bridge"
    assert MIRRORED not in found.origin


def test_small_openings_stay_and_without_any_there_is_nothing_to_do(broken):
    assert reconstruct(broken.cavity, broken.openings, broken.other, broken.plane, least_mm2=500.0) is None
    natural = [one for one in broken.openings if one.name is not None]
    assert reconstruct(broken.cavity, natural, broken.other, broken.plane) is None


def test_where_hardly_any_wall_is_known_nobody_says_how_far_it_is_off(made):
    star = made.before
    known = np.zeros_like(star.is_wall)
    expected = replace(bridge(Face(star, None, None)), known=known)
    assert np.isnan(uncertain_mm(star, expected, np.array([1.0, 5.0]))).all()


def test_the_plate_is_sound_as_thick_as_asked_for_and_inside_the_orbit(head, made):
    field = plate(made, PlateParameters(thickness_mm=1.2, margin_mm=2.0))
    model = model_of(field, ModelParameters())
    assert mesh.check(model.surface).sound
    assert model.measured["parts"] == 1
    here = sitk.Resample(head.bone, field.mask, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    both = sitk.GetArrayFromImage(sitk.And(here, field.mask)).sum()
    assert both < 0.05 * sitk.GetArrayFromImage(field.mask).sum()
    thickness_mm = model.of_vertices["thickness_mm"]
    assert np.median(thickness_mm[np.isfinite(thickness_mm)]) == pytest.approx(1.2, abs=0.15)
    wider = plate(made, PlateParameters(thickness_mm=1.2, margin_mm=4.0))
    assert sitk.GetArrayFromImage(wider.mask).sum() > 1.2 * sitk.GetArrayFromImage(field.mask).sum()


def test_the_wall_is_no_thinner_than_asked_for_and_fills_the_hole_alone(head, made):
    wall = wall_in(head.bone, made, 1.0)
    values = sitk.GetArrayFromImage(wall.mask).astype(bool)
    was = sitk.GetArrayFromImage(head.whole_bone()).astype(bool)
    now = sitk.GetArrayFromImage(head.bone).astype(bool)
    hole = was & ~now
    assert (values & hole).sum() > 0.8 * hole.sum()
    natural, new = made.before.points_mm[made.is_natural], made.star.points_mm[made.is_new]
    natural = [place for place in natural if np.linalg.norm(new - place, axis=1).min() > 1.0]
    assert len(natural) > 50
    index = [wall.mask.TransformPhysicalPointToIndex(place.tolist()) for place in natural]
    assert not any(wall.mask.GetPixel(place) for place in index)


def test_a_coarse_bone_gets_a_finer_grid_on_which_no_voxel_changes_sides():
    coarse = sitk.Image(6, 6, 6, sitk.sitkUInt8)
    coarse[2:4, 2:4, 2:4] = 1
    coarse.SetSpacing((0.5, 0.5, 1.0))
    fine = models._finer(coarse)
    assert fine.GetSpacing() == (0.5, 0.5, 0.5)
    assert sitk.GetArrayFromImage(fine).sum() == 2 * sitk.GetArrayFromImage(coarse).sum()


def run(folder: Path, head, **keys) -> tuple[dict, list[dict]]:
    """The last line and all lines of a job."""
    sitk.WriteImage(head.ct, str(folder / "ct.nrrd"))
    write_segmentation({"bone": AROUND_THE_HOLE.cut(head.bone, head.bone)}, folder / "bone.seg.nrrd")
    lines: list[dict] = []
    values = {"input": str(folder / "bone.seg.nrrd"), "ct": str(folder / "ct.nrrd"), "output": str(folder / "out")}
    worker.run({"contract": CONTRACT, "task": "reconstruct", **values, **keys}, lines.append)
    return lines[-1], lines


def test_the_job_writes_models_that_are_named_by_side_and_marks_what_was_reconstructed(
    monkeypatch, tmp_path, head, broken
):
    seen = {"left": Seen("found", broken.cavity, broken.openings), "right": Seen("found", broken.other, [])}
    monkeypatch.setattr(task, "look_at", lambda orbit, *_: seen[orbit.side])
    monkeypatch.setattr(task, "locate", lambda *_: head.orbits)
    monkeypatch.setattr(task, "plane_of", lambda *_: broken.plane)
    last, _ = run(tmp_path, head, region="left")
    assert last["event"] == "result", last
    (opening,) = last["summary"]["orbits"]["left"]["openings"]
    assert (opening["wall"], opening["mirrored_share"]) == ("floor", 1.0)
    out = tmp_path / "out"
    models = ("bone_reconstructed-left", "reconstructed-left")
    assert {f"{name}.{ending}" for name in models for ending in ("stl", "3mf")} <= set(last["files"])
    for name in models:
        assert mesh.check(read_stl(out / f"{name}.stl")).sound
    with zipfile.ZipFile(out / "bone_reconstructed-left.3mf") as archive:
        document = archive.read("3D/3dmodel.model").decode()
    colour = "".join(f"{round(255 * part):02X}" for part in STRUCTURES[RECONSTRUCTED].colour)
    assert f'"{STRUCTURES[RECONSTRUCTED].title}" displaycolor="#{colour}"' in document
    assert len(re.findall('pid="1" p1="1"', document)) > 100
    names = segment_ids(out / "segmentation.seg.nrrd") & set(STRUCTURES)
    assert names == {RECONSTRUCTED}
    wall, bone = read_segmentation(out / "segmentation.seg.nrrd", RECONSTRUCTED), tmp_path / "bone.seg.nrrd"
    assert sitk.GetArrayFromImage(wall).sum() > 0
    assert not sitk.GetArrayFromImage(sitk.And(wall, read_segmentation(bone))).any()
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(out / "orbit-left.vtp"))
    reader.Update()
    data = reader.GetOutput().GetPointData()
    assert {data.GetArrayName(n) for n in range(data.GetNumberOfArrays())} == {"origin", "uncertain_mm", "opening"}
    step = last_step(json.loads((out / "record.json").read_text(encoding="utf-8")), "reconstructing")
    assert step["parameters"] == {"thickness_mm": 1.0, "margin_mm": 3.0, "wall_from": "mirror"}


@pytest.mark.parametrize(
    ("seen", "code", "said"),
    [
        (Seen("found", None, []), "no-defect", "nothing to reconstruct"),
        (Seen(CANNOT_BE_TOLD), "no-defect", "slices are too thick"),
        (Seen("cut off"), "no-orbit", "lie whole in the scan"),
    ],
)
def test_why_nothing_is_reconstructed_is_said(monkeypatch, tmp_path, head, seen, code, said):
    monkeypatch.setattr(task, "look_at", lambda *_: seen)
    monkeypatch.setattr(task, "locate", lambda *_: head.orbits)
    monkeypatch.setattr(task, "plane_of", lambda *_: None)
    last, _ = run(tmp_path, head)
    assert (last["event"], last["code"]) == ("error", code)
    assert said in last["text"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("other", [Seen("cut off"), Seen(CANNOT_BE_TOLD)])
def test_a_side_that_cannot_be_mirrored_is_warned_of(head, broken, other):
    warned = []
    record = type("Heard", (), {"warn": staticmethod(lambda code, text: warned.append((code, text)))})
    job = task.ReconstructJob(segmentation=Path("s"), ct=Path("c"), output=Path("o"))
    seen = {"left": Seen("found", broken.cavity, broken.openings), "right": other}
    found = task._made(head.orbits.left, seen, broken.plane, job, record)
    assert found.source == "bridge"
    ((code, text),) = warned
    assert code == "no-mirror"
    assert text.startswith("The right orbit cannot be mirrored")
    assert set(SIDES) == set(task.OTHER)
