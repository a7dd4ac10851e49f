"""Synthetic cases: what physics and the contract promise of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from tiny_template import two_boxes

from OrbitalSegLib.evaluation.wall_points import Wall
from OrbitalSegLib.training.cases import Case, Flag, read_case
from OrbitalSegLib.training.synthesis import Settings, filled, markers, orbit, synthesize
from OrbitalSegLib.training.synthesis.deformation import Deformation
from OrbitalSegLib.training.synthesis.draw import Draw
from OrbitalSegLib.training.synthesis.fractures import Fractures
from OrbitalSegLib.training.synthesis.generate import generate
from OrbitalSegLib.training.synthesis.grids import Grid, SmoothField, behind, sheet
from OrbitalSegLib.training.synthesis.scanner import DrawnScanner, scan
from OrbitalSegLib.training.synthesis.settings import HERNIATIONS, FilledSinuses, Markers
from OrbitalSegLib.training.synthesis.tissues import Densities, Painter
from OrbitalSegLib.training.synthesis.walls import WallThicknesses
from OrbitalSegLib.training.templates.template import Template, write_template

pytestmark = pytest.mark.learn

TEMPLATE = two_boxes()

# A small volume with the wall of 24 x 24 mm in its middle, as the template has it, and a plain scanner.
PLAIN = Settings(
    size_mm=(28.0, 28.0, 34.0),
    centre="right",
    offset_mm=(0.0, 0.0),
    far_share=0.0,
    rotation_degrees=(0.0, 0.0),
    nod_degrees=(0.0, 0.0),
    scale=(1.0, 1.0),
    deformation_mm=(0.0, 0.0),
    ripple_mm=(0.0, 0.0),
    mirror_share=0.0,
    newborn_share=0.0,
    fracture_share=0.0,
    metal_share=0.0,
    teeth_metal_share=0.0,
    holder_share=0.0,
    fluid_share=0.0,
    full_share=0.0,
    lined_share=0.0,
    oedema_share=0.0,
    pixel_mm=(0.5, 0.5),
    slice_mm=(0.5, 0.5),
    overlap=(1.0, 1.0),
    point_spread_mm=(0.4, 0.4),
    bone_kernel_share=0.0,
    noise_hu=(0.0, 0.0),
    streak_share=0.0,
    beam_hardening_hu=(0.0, 0.0),
    shift_hu=(0.0, 0.0),
    far_shift_share=0.0,
    quantised_share=0.0,
    narrow_view_share=0.0,
)
WALL_AREA_MM2 = 24.0 * 24.0


def flagged(case: Case, flag: Flag) -> np.ndarray:
    return (sitk.GetArrayFromImage(case.label) & flag) > 0


@pytest.mark.parametrize("thickness_mm", [0.08, 0.3, 0.5, 1.3])
@pytest.mark.parametrize("offset_mm", [0.0, 0.13, 0.25])
def test_a_sheet_keeps_its_mass_however_thin_it_is_and_wherever_it_lies(thickness_mm: float, offset_mm: float) -> None:
    distance = np.arange(-4.0, 4.0, 0.5) + offset_mm
    assert sheet(distance, thickness_mm, 0.5).sum() * 0.5 == pytest.approx(thickness_mm, rel=1e-6)


@pytest.mark.parametrize("degrees", [5.0, 12.0])
@pytest.mark.parametrize("scale", [1.0, 1.15])
def test_a_wall_of_a_turned_and_scaled_head_has_the_mass_of_its_thickness(degrees: float, scale: float) -> None:
    settings = replace(
        PLAIN.with_wall(0.3),
        rotation_degrees=(degrees, degrees),
        scale=(scale, scale),
        sinus_wall_mm=(0.3, 0.3),
        lateral_mm=(0.3, 0.3),
        solid_shift_mm=(0.0, 0.0),
    )
    draw = Draw(3)
    deformation = Deformation(TEMPLATE, draw, settings)
    # In the wall's inner 12 x 12 mm, through its whole depth.
    grid = Grid((-20.0, -20.0, -20.0), (81, 81, 81), 0.5)
    anatomy = deformation.anatomy(grid)
    bone = WallThicknesses(draw, settings).bone(anatomy, Fractures(()))
    x, y, z = anatomy.places
    middle = (np.abs(x) < 6) & (np.abs(y) < 6) & (np.abs(z) < 3)
    mass_mm3 = bone.fraction[middle].sum() * 0.5**3
    volume_mm3 = middle.sum() * 0.5**3
    assert mass_mm3 == pytest.approx(0.3 * volume_mm3 / (6 * scale), rel=0.02)


def test_a_surface_fills_of_a_voxel_what_lies_behind_it() -> None:
    distance = np.array([-1.0, -0.25, 0.0, 0.125, 1.0])
    assert behind(distance, 0.5) == pytest.approx([1.0, 1.0, 0.5, 0.25, 0.0])


def test_a_smooth_field_has_the_same_value_at_a_place_on_every_grid() -> None:
    field = SmoothField(np.random.default_rng(1), 20.0, 5.0)
    coarse = field.on(Grid((-10.0, -10.0, -10.0), (11, 11, 11), 2.0))
    fine = field.on(Grid((-10.0, -10.0, -10.0), (41, 41, 41), 0.5))
    assert np.allclose(fine[::4, ::4, ::4], coarse, atol=1e-5)
    wide = SmoothField(np.random.default_rng(2), 60.0, 3.0).on(Grid((-60.0,) * 3, (61, 61, 61), 2.0))
    assert wide.std() == pytest.approx(1.0, abs=0.05)


def test_the_same_seed_gives_the_same_voxels_and_another_seed_another_head() -> None:
    settings = replace(Settings(), size_mm=(24.0, 24.0, 24.0), centre="right")
    first, second, other = (synthesize(TEMPLATE, seed, settings) for seed in (5, 5, 6))
    for name in ("ct", "working_ct", "clean", "label"):
        assert sitk.Hash(getattr(first, name)) == sitk.Hash(getattr(second, name)), name
    assert first.facts == second.facts
    assert np.array_equal(first.walls.points_mm, second.walls.points_mm)
    assert sitk.Hash(first.label) != sitk.Hash(other.label)


def test_a_pinned_setting_changes_no_other_value() -> None:
    thick = synthesize(TEMPLATE, 5, replace(PLAIN, slice_mm=(3.0, 3.0), noise_hu=(4.0, 60.0)))
    thin = synthesize(TEMPLATE, 5, replace(PLAIN, slice_mm=(0.5, 0.5), noise_hu=(4.0, 60.0)))
    assert {k: v for k, v in thick.facts["drawn"].items() if k != "slice mm"} == {
        k: v for k, v in thin.facts["drawn"].items() if k != "slice mm"
    }
    assert thick.ct.GetSpacing()[2] == pytest.approx(3.0)
    assert thin.ct.GetSpacing()[2] == pytest.approx(0.5)


@pytest.mark.parametrize("slice_mm", [0.5, 1.0])
@pytest.mark.parametrize("gain", [0.0, 1.0])
def test_the_scanner_keeps_the_mass_of_a_thin_wall(slice_mm: float, gain: float) -> None:
    grid = Grid((0.0, 0.0, 0.0), (40, 40, 48), 0.5)
    z = np.broadcast_to(grid.open_axes()[2] - 12.03, grid.shape).astype(np.float32)
    bone = sheet(z, 0.3, 0.5)
    scanner = DrawnScanner(
        pixel_mm=0.5, slice_mm=slice_mm, increment_mm=0.5, point_spread_mm=0.4, slice_blur_mm=0.3, edge_gain=gain,
        noise_hu=0.0, noise_grain_mm=0.0, streaks=False, beam_hardening_hu=0.0, shift_hu=0.0, step_hu=1, narrow=False,
    )  # fmt: skip
    scanned = scan(1000 * bone, bone, np.zeros_like(bone), grid, scanner, Draw(1))
    profile = sitk.GetArrayFromImage(scanned.ct)[:, 20, 20]
    assert profile.sum() * 0.5 == pytest.approx(300.0, rel=0.02)
    assert profile.max() < 1000 * 0.3 / 0.5


def test_a_thick_slice_hides_a_wall_that_a_thin_one_shows() -> None:
    def peak(slice_mm: float) -> int:
        case = synthesize(TEMPLATE, 2, replace(PLAIN.with_wall(0.4), slice_mm=(slice_mm, slice_mm), thin_hu=(900, 900)))
        wall = flagged(case, Flag.BONE) & flagged(case, Flag.WALL)
        return int(np.median(sitk.GetArrayFromImage(case.working_ct)[wall]))

    assert peak(0.5) > peak(3.0) + 50


def test_noise_has_the_standard_deviation_that_was_asked_for() -> None:
    quiet = synthesize(TEMPLATE, 4, PLAIN)
    noisy = synthesize(TEMPLATE, 4, replace(PLAIN, noise_hu=(20.0, 20.0)))
    difference = sitk.GetArrayFromImage(noisy.ct).astype(float) - sitk.GetArrayFromImage(quiet.ct)
    inside = sitk.GetArrayFromImage(quiet.ct) > -500
    assert difference[inside].std() == pytest.approx(20.0, rel=0.1)
    assert sitk.Hash(noisy.clean) == sitk.Hash(quiet.clean)


def test_values_are_those_of_twelve_bits_and_steps_are_kept() -> None:
    case = synthesize(
        TEMPLATE, 4, replace(PLAIN, quantised_share=1.0, cortical_hu=(9000.0, 9000.0), lateral_mm=(2.0, 2.4))
    )
    values = np.unique(sitk.GetArrayFromImage(case.ct))
    assert values.min() >= -1024
    assert values.max() <= 3071
    inner = values[(values > -1024) & (values < 3071)]
    assert (inner % 4 == 0).all()


def test_septa_and_cells_stand_in_the_sinus_alone_and_change_nothing_else() -> None:
    plain = synthesize(TEMPLATE, 8, PLAIN.with_wall(0.5))
    parted = synthesize(TEMPLATE, 8, replace(PLAIN.with_wall(0.5), septa=(3, 3), cells=(4, 4)))
    assert np.array_equal(plain.walls.points_mm, parted.walls.points_mm)
    more = flagged(parted, Flag.BONE) & ~flagged(plain, Flag.BONE)
    assert more.sum() > 500
    assert flagged(plain, Flag.AIRSPACE)[more].all()
    assert not (flagged(plain, Flag.BONE) & ~flagged(parted, Flag.BONE)).any()


def test_an_intact_wall_is_labelled_where_it_lies_and_has_no_hole() -> None:
    case = synthesize(TEMPLATE, 8, PLAIN.with_wall(0.2))
    bone, hole = flagged(case, Flag.BONE), flagged(case, Flag.HOLE)
    assert not hole.any()
    orbit, sinus = flagged(case, Flag.ORBIT), flagged(case, Flag.AIRSPACE)
    # Every column from orbit to sinus in the wall's middle meets bone.
    columns = (bone & flagged(case, Flag.WALL)).any(axis=0)[8:48, 8:48]
    assert columns.all()
    assert (orbit & sinus).sum() == 0
    floor = case.walls.wall == Wall.FLOOR
    assert case.walls.area_mm2[floor].sum() == pytest.approx(WALL_AREA_MM2, rel=0.05)
    inner = floor & (np.abs(case.walls.points_mm[:, :2]) < 9).all(axis=1)
    assert case.walls.thickness_mm[inner] == pytest.approx(0.2, abs=1e-5)
    assert case.walls.normals[floor].mean(axis=0) == pytest.approx([0, 0, -1], abs=0.1)
    assert not case.walls.hole.any()


@pytest.mark.parametrize("herniation", HERNIATIONS)
def test_a_hole_is_a_hole(herniation: str) -> None:
    settings = PLAIN.with_wall(0.5).with_hole(8.0, herniation)
    case = synthesize(TEMPLATE, 11, settings, truth=herniation == "flat")
    walls = case.walls
    hole_mm2 = walls.area_mm2[(walls.hole == 1) & (walls.wall == Wall.FLOOR)].sum()
    assert hole_mm2 == pytest.approx(np.pi * 4.0**2, rel=0.3)
    assert (walls.thickness_mm[walls.hole == 1] == 0).all()
    assert (walls.depth_mm[walls.hole == 1] > 0).all()
    hole = flagged(case, Flag.HOLE)
    assert hole.sum() * 0.5**3 == pytest.approx(hole_mm2 * 0.76, rel=0.5)
    assert not (hole & flagged(case, Flag.BONE)).any()
    if case.truth is not None:
        middle = walls.points_mm[walls.depth_mm.argmax()]
        x, y, z = case.truth.TransformPhysicalPointToIndex([float(v) for v in middle])
        assert sitk.GetArrayFromImage(case.truth)[z - 10 : z + 10, y, x].sum() == 0


def test_a_trapdoor_leaves_its_plate_below_the_hole() -> None:
    def plate(herniation: str) -> int:
        case = synthesize(TEMPLATE, 11, PLAIN.with_wall(0.5).with_hole(8.0, herniation))
        z = case.walls.points_mm[case.walls.hole == 1, 2].min() - 1.5
        top = case.label.TransformPhysicalPointToIndex([0.0, 0.0, float(z)])[2]
        inside = flagged(case, Flag.HOLE).any(axis=0)
        return int(flagged(case, Flag.BONE)[top - 8 : top, inside].sum())

    assert plate("flat") == 0
    assert plate("trapdoor") > 10


def test_a_hole_needs_more_than_the_fat_behind_the_wall_to_be_filled() -> None:
    def air_near_hole(herniation: str) -> float:
        settings = replace(PLAIN.with_wall(0.3).with_hole(10.0, herniation), herniation_depth=(1.0, 1.0))
        case = synthesize(TEMPLATE, 11, settings)
        walls, ct = case.walls, case.working_ct
        middle = walls.points_mm[walls.depth_mm.argmax()] + np.array([0, 0, -2.5])
        return float(ct[ct.TransformPhysicalPointToIndex([float(v) for v in middle])])

    assert air_near_hole("flat") < -700
    assert -200 < air_near_hole("fat") < 50
    assert air_near_hole("blood") > 20


def test_the_rim_of_a_hole_is_not_scored() -> None:
    case = synthesize(TEMPLATE, 11, PLAIN.with_wall(0.3).with_hole(8.0, "flat"))
    ignored = flagged(case, Flag.IGNORE)
    rim_mm2 = case.walls.area_mm2[np.abs(case.walls.depth_mm) < 0.5].sum()
    assert rim_mm2 == pytest.approx(2 * np.pi * 4.0, rel=0.3)
    assert ignored.any()
    assert flagged(case, Flag.HOLE)[~ignored].any()


def test_the_label_agrees_with_truth() -> None:
    pinned = dict.fromkeys(("sinus_wall_mm", "lateral_mm"), (1.2, 1.2))
    settings = replace(
        PLAIN.with_wall(1.2),
        **pinned,
        size_mm=(16.0, 16.0, 34.0),
        rotation_degrees=(8.0, 8.0),
        deformation_mm=(1.0, 1.0),
    )
    case = synthesize(TEMPLATE, 21, settings, truth=True)
    assert case.truth is not None
    on_label = sitk.GetArrayFromImage(
        sitk.Resample(sitk.Cast(case.truth, sitk.sitkFloat32), case.label, sitk.Transform(), sitk.sitkLinear)
    )
    wall, bone = flagged(case, Flag.WALL), flagged(case, Flag.BONE)
    assert wall.any()
    assert (on_label[wall & bone] > 0.05).mean() > 0.95
    assert (on_label[wall & ~bone] > 0.95).mean() < 0.01


def test_a_mirrored_head_has_its_sides_exchanged() -> None:
    sides = [synthesize(TEMPLATE, 3, replace(PLAIN, mirror_share=share)).walls.side for share in (0.0, 1.0)]
    assert (sides[0] == 0).all()
    assert (sides[1] == 1).all()


@pytest.mark.parametrize(("share", "lowest", "highest"), [("full_share", -100, 100), ("fluid_share", -950, 50)])
def test_a_sinus_holds_what_was_asked_for(share: str, lowest: float, highest: float) -> None:
    case = synthesize(TEMPLATE, 3, replace(PLAIN, **{share: 1.0}))
    hu = sitk.GetArrayFromImage(case.working_ct)
    inside = flagged(case, Flag.AIRSPACE) & ~flagged(case, Flag.BONE)
    assert lowest < hu[inside].mean() < highest
    if share == "fluid_share":
        # The patient lies on the back: air in front, fluid behind.
        front, back = (inside & (np.indices(hu.shape)[1] < 16)), (inside & (np.indices(hu.shape)[1] > 44))
        assert hu[front].mean() < hu[back].mean() - 300


def test_a_face_has_skin_air_before_it_and_what_lies_on_it() -> None:
    face = two_boxes(face=True)
    bare, held = (synthesize(face, 5, replace(PLAIN, holder_share=share)) for share in (0.0, 1.0))
    before = np.zeros(flagged(bare, Flag.BONE).shape, bool)
    before[:4, 0] = True  # below the eye, which stands out of the face
    assert np.median(sitk.GetArrayFromImage(bare.working_ct)[before]) == pytest.approx(-1000, abs=30)
    changed = sitk.GetArrayFromImage(bare.working_ct) != sitk.GetArrayFromImage(held.working_ct)
    assert changed.any()
    assert not changed[flagged(bare, Flag.AIRSPACE)].any()
    assert np.array_equal(flagged(bare, Flag.BONE), flagged(held, Flag.BONE))


def test_a_filled_sinus_is_of_its_own_density_and_no_bone() -> None:
    how = FilledSinuses(1.0, homogeneous_share=1.0, level_share=0.0)
    plain, full = (synthesize(TEMPLATE, 4, replace(PLAIN, filled=filled)) for filled in (None, how))
    assert sitk.Hash(plain.label) == sitk.Hash(full.label)
    assert np.array_equal(plain.walls.points_mm, full.walls.points_mm)
    inside = flagged(full, Flag.AIRSPACE) & ~ndimage.binary_dilation(flagged(full, Flag.BONE), iterations=3)
    assert inside.sum() > 10_000
    said = full.facts["drawn"]["right maxillary filled hu"]
    assert 10 <= said <= 95
    assert sitk.GetArrayFromImage(full.working_ct)[inside] == pytest.approx(said, abs=2)
    assert np.median(sitk.GetArrayFromImage(plain.working_ct)[inside]) < -900


def test_air_stands_before_the_fluid_of_a_sinus_with_a_level() -> None:
    hu = (20.0, 20.0)
    case = synthesize(
        TEMPLATE, 4, replace(PLAIN, filled=FilledSinuses(1.0, hu, homogeneous_share=1.0, level_share=1.0))
    )
    inside = flagged(case, Flag.AIRSPACE) & ~ndimage.binary_dilation(flagged(case, Flag.BONE), iterations=3)
    rows = [np.median(row[within]) for row, within in _rows(case, inside)]
    assert rows[0] < -900
    assert rows[-1] == pytest.approx(20, abs=2)
    assert (np.diff(rows) > -2).all()


def _rows(case: Case, inside: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    hu = sitk.GetArrayFromImage(case.working_ct)
    return [(hu[:, y], inside[:, y]) for y in range(hu.shape[1]) if inside[:, y].any()]


def test_frontal_ethmoid_and_sphenoid_sinus_are_told_by_their_place_and_share_out_all_above_the_nose() -> None:
    painter = _painter(replace(PLAIN, size_mm=(70.0, 70.0, 70.0)), Grid((-32.0,) * 3, (33, 33, 33), 2.0))
    painter.anatomy.nasal_mm[:] = -9.0
    part = {name.split()[1]: where for name, where in filled._sinuses(painter) if name.startswith("right")}
    _, y, z = painter.anatomy.places
    before, below = y - 11.0, z - 10.5  # apex, globe
    assert part["maxillary"].max() == 0
    assert sum(part.values())[below < -18].max() == 0
    assert sum(part.values())[below > -6] == pytest.approx(1.0, abs=1e-5)
    for name, where in (
        ("sphenoid", (before > 4) & (below > -6)),
        ("frontal", (before < -10) & (below > 18)),
        ("ethmoid", (before < -10) & (below > -6) & (below < 6)),
    ):
        assert where.sum() > 500
        assert part[name][where].min() == 1, name


@pytest.mark.parametrize("gap", ["on the skin", "off it"])
def test_markers_lie_outside_the_skin_and_are_no_bone(gap: str) -> None:
    how = Markers(1.0, number=(8, 8), off_share=float(gap == "off it"), gap_mm=(1.5, 3.0))
    bare, marked = (synthesize(two_boxes(face=True), 5, replace(PLAIN, markers=those)) for those in (None, how))
    assert sitk.Hash(bare.label) == sitk.Hash(marked.label)
    before, after = (sitk.GetArrayFromImage(case.working_ct) for case in (bare, marked))
    bright = (before < -900) & (after > 150)
    assert bright.sum() > 20
    assert not flagged(marked, Flag.BONE)[bright].any()

    painter = _painter(replace(PLAIN, markers=how), Grid((-14.0, -14.0, -17.0), (56, 56, 68), 0.5), face=True)
    depth_mm = orbit.skin_depth_mm(painter, orbit.eyes(painter))
    hu = np.zeros(depth_mm.shape, np.float32)
    markers.paint(painter, hu, depth_mm)
    painted = hu > 0
    assert painted.any()
    assert depth_mm[painted].max() < 0
    assert hu.max() <= how.hu[1]
    touching = (depth_mm[painted] > -1).mean()
    assert touching > 0.4 if gap == "on the skin" else touching < 0.2


def _painter(settings: Settings, grid: Grid, *, face: bool = False) -> Painter:
    template, draw = two_boxes(face=face), Draw(5)
    anatomy = Deformation(template, draw, settings).anatomy(grid)
    bone = WallThicknesses(draw, settings).bone(anatomy, Fractures(()))
    density = Densities.drawn(draw, settings)
    return Painter(anatomy, bone, Fractures(()), draw, settings, density, template.landmarks_mm)


def test_what_fills_sinuses_and_what_lies_on_skin_change_nothing_where_they_are_not_asked_for() -> None:
    small = replace(PLAIN, size_mm=(12.0, 28.0, 12.0))
    plain, none = (
        synthesize(two_boxes(face=True), 5, replace(small, filled=full, markers=on_skin))
        for full, on_skin in ((None, None), (FilledSinuses(0.0), Markers(0.0)))
    )
    assert sitk.Hash(plain.ct) == sitk.Hash(none.ct)
    assert not {"filled", "markers"} & (set(plain.facts["settings"]) | set(plain.facts["drawn"]))
    many = replace(small, filled=FilledSinuses(1.0), markers=Markers(1.0))
    first, second, third = (synthesize(two_boxes(face=True), seed, many) for seed in (5, 5, 6))
    assert sitk.Hash(first.ct) == sitk.Hash(second.ct) != sitk.Hash(third.ct)


def test_metal_is_as_bright_as_can_be_is_not_scored_and_throws_streaks() -> None:
    plain, metal = (synthesize(two_boxes(face=True), 7, replace(PLAIN, metal_share=share)) for share in (0.0, 1.0))
    hu = sitk.GetArrayFromImage(metal.working_ct)
    ignored = flagged(metal, Flag.IGNORE)
    assert hu.max() == 3071
    assert ignored.any()
    assert ignored[hu == 3071].mean() > 0.5
    assert (np.abs(hu - sitk.GetArrayFromImage(plain.working_ct).astype(int))[~ignored] > 20).any()


def test_beyond_a_narrow_field_of_view_nothing_is_seen_and_nothing_is_scored() -> None:
    case = synthesize(TEMPLATE, 7, replace(PLAIN, narrow_view_share=1.0))
    corner = sitk.GetArrayFromImage(case.working_ct)[:, :4, :4]
    assert (corner == -1024).all()
    assert flagged(case, Flag.IGNORE)[:, :4, :4].all()
    assert not flagged(case, Flag.IGNORE)[:, 28, 28].any()


@pytest.mark.parametrize("streaks", [0.0, 1.0])
def test_streaks_are_in_the_scan_and_not_in_the_clean_one(streaks: float) -> None:
    case = synthesize(TEMPLATE, 7, replace(PLAIN, streak_share=streaks))
    difference = sitk.GetArrayFromImage(case.working_ct).astype(int) - sitk.GetArrayFromImage(case.clean)
    assert difference.any() == bool(streaks)


@pytest.fixture
def template_folder(tmp_path: Path) -> Callable[[], Path]:
    def write() -> Path:
        write_template(TEMPLATE, tmp_path / "two-boxes")
        return tmp_path / "two-boxes"

    return write


def test_generating_goes_on_where_it_stopped(tmp_path: Path, template_folder: Callable[[], Path]) -> None:
    settings = replace(PLAIN, size_mm=(12.0, 12.0, 12.0))
    folder = tmp_path / "cases"
    source = template_folder()
    first = generate([source], folder, [0], settings)
    before = (first[0] / "ct.nrrd").stat().st_mtime_ns
    cases = generate([source], folder, [0, 1], settings)
    assert [case.name for case in cases] == ["two-boxes-00000", "two-boxes-00001"]
    assert (cases[0] / "ct.nrrd").stat().st_mtime_ns == before
    assert read_case(cases[1]).facts["seed"] == 1


SMALL = replace(PLAIN, size_mm=(12.0, 12.0, 12.0))


@pytest.mark.slow
def test_several_processes_make_the_same_cases(tmp_path: Path, template_folder: Callable[[], Path]) -> None:
    source = template_folder()
    one = generate([source], tmp_path / "one", range(3), SMALL)
    two = generate([source], tmp_path / "two", range(3), SMALL, workers=2)
    assert [case.name for case in one] == [case.name for case in two]
    for first, second in zip(one, two, strict=True):
        assert (first / "ct.nrrd").read_bytes() == (second / "ct.nrrd").read_bytes()


def test_generating_stops_after_the_case_that_is_made(tmp_path: Path, template_folder: Callable[[], Path]) -> None:
    made = generate([template_folder()], tmp_path / "cases", range(5), SMALL, stop=lambda: True)
    assert [case.name for case in made] == ["two-boxes-00000"]


def test_a_template_without_a_wall_in_view_gives_a_case_without_wall_points() -> None:
    case = synthesize(_all_soft(), 1, replace(PLAIN, size_mm=(12.0, 12.0, 12.0), fracture_share=1.0))
    assert len(case.walls.points_mm) == 0
    assert not flagged(case, Flag.HOLE).any()


def _all_soft() -> Template:
    far = TEMPLATE.cranial_mm
    return replace(TEMPLATE, orbit_mm=far, sinus_mm=far, exterior_mm=-far)
