"""Templates of anatomy: spaces and walls found from bone and seeds, and files that are read as they were written."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError, OutputError
from OrbitalSegLib.images import on_grid
from OrbitalSegLib.modelling.mesh import arrays_of
from OrbitalSegLib.phantom import Anatomy, wall_midsurfaces
from OrbitalSegLib.phantom.anatomy import ROOF_MM
from OrbitalSegLib.training.templates import (
    Capsule,
    Compartment,
    Seeds,
    ball,
    build,
    folder_template,
    read_seeds,
    read_template,
    templates,
    write_template,
)
from OrbitalSegLib.training.templates.distance import capsules_mm, empty_grid, signed_mm, smooth, unsigned_mm
from OrbitalSegLib.training.templates.folder import BONE_LABEL
from OrbitalSegLib.training.templates.phantom import phantom_template

BOX_MM = ((-52.0, 52.0), (0.0, 72.0), (0.0, 92.0))
FLOOR_Z_MM = 38.5
"""The middle of the boxes' orbital floor, whose voxels lie at 38 and 39 mm."""
FISSURE_MM = (-26.0, 42.0, 53.0)
HOLE_MM = (-20.0, 25.0, FLOOR_Z_MM)

# Lowest and highest voxel of each space, mm.
SPACES = {
    Compartment.RIGHT_ORBIT: [((-38, -9), (10, 39), (40, 67))],
    Compartment.LEFT_ORBIT: [((9, 38), (10, 39), (40, 67))],
    Compartment.RIGHT_MAXILLARY: [((-38, -11), (14, 39), (12, 37))],
    Compartment.LEFT_MAXILLARY: [((11, 38), (14, 39), (12, 37))],
    Compartment.NASAL: [((-6, 6), (10, 39), (12, 65))],
    Compartment.CRANIAL: [((-38, 38), (44, 66), (40, 80)), ((-38, 38), (14, 66), (70, 80))],
}

BOXES = Seeds(
    name="boxes",
    source="A head of boxes",
    licence="none",
    seeds={
        Compartment.RIGHT_ORBIT: (Capsule((-24, 18, 54), (-24, 32, 54), 8),),
        Compartment.LEFT_ORBIT: (Capsule((24, 18, 54), (24, 32, 54), 8),),
        Compartment.RIGHT_MAXILLARY: (ball(-24, 27, 25, 6),),
        Compartment.LEFT_MAXILLARY: (ball(24, 27, 25, 6),),
        Compartment.NASAL: (Capsule((0, 20, 20), (0, 34, 58), 5),),
        Compartment.CRANIAL: (Capsule((0, 55, 50), (0, 55, 75), 6), Capsule((0, 20, 75), (0, 55, 75), 3)),
    },
    openings={"fissure": (Capsule((-26, 39, 53), (-26, 45, 53), 6),)},
    landmarks_mm={
        "globe_right": (-24, 20, 54),
        "globe_left": (24, 20, 54),
        "apex_right": (-24, 38, 54),
        "apex_left": (24, 38, 54),
        "nostril": (0, 8, 14),
    },
)


@pytest.fixture(scope="module")
def bone() -> sitk.Image:
    """A block of bone with the spaces cut out, a fissure behind the right orbit and a hole in its floor."""
    grid = empty_grid(BOX_MM, 1.0)
    block = np.zeros(grid.GetSize()[::-1], np.uint8)
    fill(block, ((-45, 45), (10, 70), (5, 85)), 1)
    for boxes in SPACES.values():
        for box in boxes:
            fill(block, box, 0)
    fill(block, ((-30, -22), (40, 43), (50, 56)), 0)
    fill(block, ((-22, -18), (23, 27), (38, 39)), 0)
    return on_grid(block, grid)


def fill(block: np.ndarray, box: tuple, value: int) -> None:
    (x0, x1), (y0, y1), (z0, z1) = box
    block[z0 : z1 + 1, y0 : y1 + 1, x0 + 52 : x1 + 53] = value


@pytest.fixture(scope="module")
def template(bone):
    return build(bone, BOXES, spacing_mm=1.0)


@pytest.fixture(scope="module")
def other(bone):
    """The same head with a thin wall between nose and left maxillary sinus, a skin, and no openings."""
    thin, head = sitk.GetArrayFromImage(bone), np.zeros(bone.GetSize()[::-1], np.uint8)
    fill(thin, ((7, 8), (14, 39), (12, 37)), 0)
    fill(head, ((-48, 48), (4, 72), (0, 92)), 1)
    return build(on_grid(thin, bone), replace(BOXES, openings={}), head=on_grid(head, bone), spacing_mm=1.0)


def at(image: sitk.Image, x_mm: float, y_mm: float, z_mm: float) -> float:
    return image.EvaluateAtPhysicalPoint((float(x_mm), float(y_mm), float(z_mm)), sitk.sitkLinear)


@pytest.mark.parametrize("which", SPACES, ids=lambda c: c.name)
def test_each_space_belongs_to_its_compartment(template, which):
    (x0, x1), (y0, y1), (z0, z1) = SPACES[which][0]
    found = sitk.GetArrayFromImage(template.compartment)
    inside = found[z0 : z1 + 1, y0 + 12 : y1 + 1, x0 + 52 : x1 + 53]
    assert np.mean(inside == which) > 0.97


def test_the_face_and_the_air_around_it_are_the_exterior(template):
    for place in ((0, 2, 50), (51, 30, 50), (24, 2, 54)):
        assert template.compartment[template.compartment.TransformPhysicalPointToIndex(place)] == Compartment.EXTERIOR


def test_the_middle_of_a_wall_lies_where_both_sides_are_equally_near(template):
    for x, y in ((-30, 30), (-14, 20), (24, 30)):
        wall = [(at(template.orbit_mm, x, y, z) - at(template.sinus_mm, x, y, z)) / 2 for z in (37, 40)]
        assert 37 + 3 * wall[0] / (wall[0] - wall[1]) == pytest.approx(FLOOR_Z_MM, abs=0.1)


def test_distances_are_negative_inside_and_grow_by_a_mm_per_mm(template):
    depth = [at(template.orbit_mm, 24, 25, z) for z in (41, 44, 47)]
    assert depth == pytest.approx([-2.5, -5.5, -8.5], abs=0.3)


def test_a_hole_in_the_floor_is_closed_and_a_fissure_is_open(template):
    assert at(template.opening_mm, *FISSURE_MM) < 0
    assert at(template.opening_mm, *HOLE_MM) > 0
    x, y, _ = HOLE_MM
    heights = np.arange(34.2, 44, 0.5)
    levels = np.array([at(template.orbit_mm, x, y, z) - at(template.sinus_mm, x, y, z) for z in heights])
    crossing = 34.2 + 0.5 * np.flatnonzero(np.diff(np.sign(levels)))
    assert crossing == pytest.approx([FLOOR_Z_MM], abs=1.5)


def test_without_a_name_a_fissure_is_a_fault_and_is_closed(other):
    assert at(other.opening_mm, *FISSURE_MM) > 0


def test_the_front_of_an_orbit_is_open(template):
    front = [min(at(template.opening_mm, x, y, 54) for y in range(4, 16)) for x in (-24, 24)]
    assert max(front) < 0


def test_thick_bone_is_solid_and_a_thin_wall_is_not(template):
    assert at(template.solid_mm, 42, 30, 30) < 0
    assert at(template.solid_mm, 24, 25, FLOOR_Z_MM) > 0.5


def test_the_thin_wall_between_nose_and_maxillary_sinus_is_a_septum(other):
    assert at(other.septum_mm, 9.5, 27, 25) < 0.6
    assert at(other.septum_mm, 24, 27, 25) > 5


def test_the_skin_lies_outside_the_bone(template):
    assert at(template.skin_mm, 0, 30, 50) < 0
    assert at(template.skin_mm, 0, 1, 50) > 0


def test_a_mask_of_the_head_gives_the_skin(other):
    assert at(other.skin_mm, 0, 1, 50) == pytest.approx(2.5, abs=0.3)


def test_a_missing_seed_is_named(bone):
    seeds = {which: some for which, some in BOXES.seeds.items() if which is not Compartment.NASAL}
    with pytest.raises(InputError, match="NASAL") as raised:
        build(bone, replace(BOXES, seeds=seeds), spacing_mm=2.0)
    assert raised.value.code == "inconsistent"


def test_a_missing_landmark_is_named(bone):
    landmarks_mm = {name: point for name, point in BOXES.landmarks_mm.items() if name != "apex_left"}
    with pytest.raises(InputError, match="apex_left"):
        build(bone, replace(BOXES, landmarks_mm=landmarks_mm))


def test_orbits_on_the_wrong_sides_are_refused(bone):
    seeds = dict(BOXES.seeds)
    right, left = Compartment.RIGHT_ORBIT, Compartment.LEFT_ORBIT
    seeds[right], seeds[left] = seeds[left], seeds[right]
    with pytest.raises(InputError, match="right orbit"):
        build(bone, replace(BOXES, seeds=seeds), spacing_mm=2.0)


def test_an_orbit_that_leaks_is_refused(bone):
    leaky = sitk.GetArrayFromImage(bone)
    fill(leaky, ((-30, -12), (12, 39), (38, 39)), 0)
    seeds = dict(BOXES.seeds)
    seeds[Compartment.RIGHT_MAXILLARY] = (ball(-37, 38, 13, 1.5),)
    with pytest.raises(InputError, match="RIGHT_ORBIT has"):
        build(on_grid(leaky, bone), replace(BOXES, seeds=seeds), spacing_mm=1.0)


def test_a_template_is_read_as_it_was_written(template, tmp_path):
    folder = tmp_path / "boxes"
    write_template(template, folder)
    again = read_template(folder)
    assert (again.name, again.licence, again.remarks) == (template.name, template.licence, template.remarks)
    assert again.landmarks_mm == template.landmarks_mm
    assert np.array_equal(sitk.GetArrayFromImage(again.compartment), sitk.GetArrayFromImage(template.compartment))
    for name, image in template.distances().items():
        np.testing.assert_allclose(
            sitk.GetArrayFromImage(again.distances()[name]), sitk.GetArrayFromImage(image), atol=0.00501
        )


def test_a_template_is_replaced_only_when_asked_and_nothing_else_ever(template, tmp_path):
    folder = tmp_path / "boxes"
    write_template(template, folder)
    with pytest.raises(OutputError, match="exists"):
        write_template(template, folder)
    write_template(replace(template, name="new"), folder, overwrite=True)
    assert read_template(folder).name == "new"
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(InputError):
        write_template(template, other, overwrite=True)
    assert (other / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda folder: (folder / "template.json").unlink(), "no-such-input"),
        (lambda folder: (folder / "template.json").write_text("{"), "unreadable"),
        (lambda folder: (folder / "template.json").write_text('{"template": 99}'), "unreadable"),
        (lambda folder: (folder / "orbit.nrrd").write_bytes(b"NRRD"), "unreadable"),
        (lambda folder: (folder / "orbit.nrrd").unlink(), "unreadable"),
        (lambda folder: sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkInt16), folder / "skin.nrrd"), "inconsistent"),
    ],
)
def test_a_damaged_template_is_refused(template, tmp_path, harm, code):
    folder = tmp_path / "boxes"
    write_template(template, folder)
    harm(folder)
    with pytest.raises(InputError) as raised:
        read_template(folder)
    assert raised.value.code == code


def seeds_json(seeds: Seeds) -> dict:
    def rows(capsules: tuple[Capsule, ...]) -> list[list[float]]:
        return [[*c.start_mm, *c.end_mm, c.radius_mm] for c in capsules]

    return {
        "name": seeds.name,
        "source": seeds.source,
        "licence": seeds.licence,
        "seeds": {which.name: rows(some) for which, some in seeds.seeds.items()},
        "openings": {name: rows(some) for name, some in seeds.openings.items()},
        "landmarks_mm": {name: list(point) for name, point in seeds.landmarks_mm.items()},
    }


def test_a_folder_with_a_skull_and_seeds_becomes_a_template(bone, tmp_path, monkeypatch):
    monkeypatch.setattr("OrbitalSegLib.training.templates.folder.build", lambda *given: given)
    sitk.WriteImage(bone, tmp_path / "skull.nrrd")
    (tmp_path / "seeds.json").write_text(json.dumps(seeds_json(BOXES)))
    skull, seeds, markers, head, spacing_mm, _ = folder_template(tmp_path, spacing_mm=1.0)
    assert np.array_equal(sitk.GetArrayFromImage(skull), sitk.GetArrayFromImage(bone))
    assert (seeds, markers, head, spacing_mm) == (BOXES, None, None, 1.0)


def test_a_labelled_scan_needs_no_seeds_where_it_is_labelled(bone, template, tmp_path):
    known = sitk.GetArrayFromImage(template.compartment) + 1
    labels = np.where(sitk.GetArrayFromImage(bone) > 0, BONE_LABEL, known).astype(np.uint8)
    sitk.WriteImage(on_grid(labels, bone), tmp_path / "compartments.nrrd")
    (tmp_path / "seeds.json").write_text(json.dumps(seeds_json(replace(BOXES, seeds={}))))
    again = folder_template(tmp_path, spacing_mm=1.0)
    assert np.array_equal(sitk.GetArrayFromImage(again.compartment), sitk.GetArrayFromImage(template.compartment))


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (None, "no-such-input"),
        ("{", "unreadable"),
        ('{"name": "x"}', "unreadable"),
        ('{"seeds": {"MIDDLE_EAR": []}}', "unreadable"),
        (json.dumps(seeds_json(BOXES)), "no-such-input"),
    ],
    ids=["no seeds", "no JSON", "no facts", "no such compartment", "no bone"],
)
def test_a_folder_without_an_anatomy_is_refused(tmp_path, facts, code):
    if facts is not None:
        (tmp_path / "seeds.json").write_text(facts)
    with pytest.raises(InputError) as raised:
        folder_template(tmp_path)
    assert raised.value.code == code


def test_seeds_may_be_balls_and_capsules(tmp_path):
    facts = seeds_json(replace(BOXES, seeds={}, openings={})) | {
        "seeds": {"NASAL": [[1, 2, 3, 4], [1, 2, 3, 5, 6, 7, 8]]}
    }
    (tmp_path / "seeds.json").write_text(json.dumps(facts | {"box_mm": BOX_MM}))
    seeds = read_seeds(tmp_path / "seeds.json")
    assert seeds.seeds[Compartment.NASAL] == (ball(1, 2, 3, 4), Capsule((1, 2, 3), (5, 6, 7), 8))
    assert seeds.box_mm == BOX_MM


def oblique_plane(spacing_mm: float = 0.4) -> tuple[sitk.Image, np.ndarray]:
    """A grid, and the signed distance to an oblique plane in the middle of it."""
    grid = empty_grid(((0, 16), (0, 16), (0, 16)), spacing_mm)
    z, y, x = (np.arange(n) * spacing_mm - 8 for n in grid.GetSize()[::-1])
    normal = np.array([0.3, 0.2, 1.0]) / np.linalg.norm([0.3, 0.2, 1.0])
    return grid, normal[2] * z[:, None, None] + normal[1] * y[None, :, None] + normal[0] * x[None, None, :]


INNER = (slice(8, -8),) * 3


def test_where_a_smoothed_distance_is_zero_is_finer_than_a_voxel():
    grid, exact = oblique_plane()
    error = (smooth(signed_mm(exact < 0, grid), grid) - exact)[INNER]
    assert np.abs(error[np.abs(exact[INNER]) < 0.1]).max() < 0.1
    assert np.abs(error[np.abs(exact[INNER]) < 2]).max() < 0.3


def test_the_distance_to_a_sheet_is_zero_in_its_middle():
    grid, exact = oblique_plane()
    error = (unsigned_mm(np.abs(exact) < 0.22, grid) - np.abs(exact))[INNER]
    assert np.abs(error[np.abs(exact[INNER]) < 0.1]).max() < 0.15
    assert np.abs(error[np.abs(exact[INNER]) < 3]).max() < 0.3


def test_the_distance_to_capsules_is_that_of_their_lines():
    grid = empty_grid(((0, 20), (0, 20), (0, 20)), 1.0)
    distance = capsules_mm((Capsule((5, 5, 5), (5, 5, 15), 2), ball(15, 15, 15, 3)), grid)
    assert distance[10, 5, 8] == pytest.approx(1)
    assert distance[15, 15, 15] == pytest.approx(-3)
    assert distance[0, 19, 0] > 10


@pytest.fixture(scope="module")
def phantom():
    return phantom_template(spacing_mm=1.2)


def test_the_phantoms_walls_are_those_of_its_formula(phantom):
    points, _ = arrays_of(wall_midsurfaces(Anatomy(), spacing_mm=2.0))
    wall = (phantom.orbit_mm - phantom.sinus_mm) / 2
    off = np.abs([at(wall, *point) for point in points])
    assert np.median(off) < 0.1
    assert np.percentile(off, 95) < 0.4


def test_the_phantoms_roof_lies_between_orbit_and_brain(phantom):
    orbit = Anatomy().orbit("left")
    face = next(z for z in np.arange(12, 24, 0.01) if orbit.wall_distance(*np.float32([31, 5, z])) > 0)
    assert at(phantom.orbit_mm, 31, 5, face) < -ROOF_MM / 2 + 0.3
    assert at(phantom.orbit_mm, 31, 5, face) == pytest.approx(-at(phantom.cranial_mm, 31, 5, face), abs=0.1)
    assert at(phantom.exterior_mm, 31, 5, face) > ROOF_MM


def test_the_phantoms_orbits_have_the_volume_of_their_formula_and_half_their_walls(phantom):
    found = sitk.GetArrayFromImage(phantom.compartment)
    for side, which in (("right", Compartment.RIGHT_ORBIT), ("left", Compartment.LEFT_ORBIT)):
        exact = Anatomy().orbit(side).volume_ml
        assert exact < np.sum(found == which) * 1.2**3 / 1000 < exact + 8


def test_a_template_names_its_licence_and_its_landmarks_lie_in_their_orbits(phantom):
    assert phantom.licence == "Apache-2.0"
    for side, which in (("right", Compartment.RIGHT_ORBIT), ("left", Compartment.LEFT_ORBIT)):
        index = phantom.compartment.TransformPhysicalPointToIndex(phantom.landmarks_mm[f"globe_{side}"])
        assert phantom.compartment[index] == which


def test_without_data_only_the_phantom_is_known(tmp_path):
    assert [found.name for found in templates(tmp_path, spacing_mm=2.5)] == ["phantom"]
