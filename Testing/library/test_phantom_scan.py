"""The phantom's scans: every variant is written and read back, and its voxels lie where their headers say."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.phantom import VARIANTS, Anatomy, Scanner, scan, write_phantom, write_series
from OrbitalSegLib.phantom.sampling import SliceGrid, density
from OrbitalSegLib.phantom.scanner import HIGHEST_HU, LOWEST_HU

TABLE_A1 = [
    "PatientPosition",
    "KVP",
    "XRayTubeCurrent",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SingleCollimationWidth",
    "RevolutionTime",
    "ReconstructionDiameter",
    "ConvolutionKernel",
    "FilterType",
    "GantryDetectorTilt",
]


def coarse(scanner: Scanner) -> Scanner:
    """The same scanner with few voxels over the same field."""
    factor = 24 / scanner.matrix
    return replace(
        scanner,
        matrix=24,
        pixel_mm=scanner.pixel_mm / factor,
        spacing_mm=6.0,
        missing=(5,) if scanner.missing else (),
    )


def read(folder) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def places_mm(slices: list[pydicom.Dataset]) -> np.ndarray:
    """Patient coordinates of every voxel, [slice, row, column, 3], from the headers alone."""
    columns, rows = np.arange(slices[0].Columns), np.arange(slices[0].Rows)
    found = []
    for part in slices:
        along_row, along_column = np.reshape(part.ImageOrientationPatient, (2, 3)).astype(float)
        down, across = map(float, part.PixelSpacing)
        found.append(
            np.array(part.ImagePositionPatient, float)
            + columns[None, :, None] * across * along_row
            + rows[:, None, None] * down * along_column
        )
    return np.array(found)


def hu(slices: list[pydicom.Dataset]) -> np.ndarray:
    return np.array([part.pixel_array * float(part.RescaleSlope) + float(part.RescaleIntercept) for part in slices])


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_written_with_every_attribute_of_table_a1(name, tmp_path):
    variant = VARIANTS[name]
    scanner = coarse(variant.scanner)
    scanned = scan(variant.anatomy, scanner)
    write_series(scanned, tmp_path, export=variant.export)
    slices = read(tmp_path)
    assert len(slices) == len(scanned.voxels) == round(scanner.height_mm / 6.0) + 1 - len(scanner.missing)
    for part in slices:
        assert all(part.get(keyword) not in (None, "") for keyword in TABLE_A1)
        assert part.PatientName == "Phantom^OrbitalSeg"
        assert part.PatientPosition == scanner.patient_position
    assert len({part.SOPInstanceUID for part in slices}) == len(slices)
    if variant.export == "hu":
        assert (hu(slices) == np.maximum(scanned.voxels, -1024)).all()


def test_mr_and_8_bit_are_what_their_names_say(tmp_path):
    for export, modality, bits in (("mr", "MR", 16), ("8-bit", "CT", 8), ("hu", "CT", 16)):
        folder = tmp_path / export
        folder.mkdir()
        write_series(scan(Anatomy(), coarse(VARIANTS["small"].scanner)), folder, export=export)
        first = read(folder)[0]
        assert (first.Modality, first.BitsAllocated) == (modality, bits)
        assert first.pixel_array.max() <= 255 or bits == 16


def test_the_plain_variant_meets_table_a1():
    scanner = VARIANTS["plain"].scanner
    assert scanner.matrix >= 512
    assert scanner.slice_thickness_mm < 1.0
    assert scanner.spacing_mm < 1.0
    assert 100 <= scanner.field_of_view_mm <= 150
    assert scanner.patient_position == "HFS"
    assert scanner.kernel == "standard"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tilt_degrees": 20.0},
        {"tilt_degrees": -20.0},
        {"patient_position": "FFS"},
        {"patient_position": "HFP"},
        {"patient_position": "FFP", "tilt_degrees": 10.0},
        {"uneven": True},
        {"missing": (3,)},
    ],
)
def test_a_voxel_holds_what_the_head_has_at_its_patient_coordinates(changes, tmp_path):
    scanner = Scanner(
        matrix=48, pixel_mm=1.0, slice_thickness_mm=1.0, spacing_mm=4.0, height_mm=32.0, point_spread_mm=0, noise_hu=0
    )
    scanner = replace(scanner, centre_mm=(22.0, 0.0, -6.0), **changes)
    write_series(scan(Anatomy(), scanner), tmp_path)
    slices = read(tmp_path)
    chosen = np.random.default_rng(0).permutation(hu(slices).size)[:600]
    places = places_mm(slices).reshape(-1, 3)[chosen]
    points = SliceGrid(places, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (1, 1), (1.0, 1.0, 1.0))
    expected = np.clip(density(Anatomy(), points).ravel(), LOWEST_HU, HIGHEST_HU)
    found = hu(slices).ravel()[chosen]
    # A turned voxel and one along the axes differ only beside a boundary.
    assert (np.abs(found - expected) < 60).mean() > 0.8
    assert np.corrcoef(found, expected)[0, 1] > 0.98
    mirrored = np.clip(density(Anatomy(), replace(points, origins=places * (1, 1, -1))).ravel(), LOWEST_HU, HIGHEST_HU)
    assert (np.abs(found - mirrored) < 60).mean() < 0.7


@pytest.mark.parametrize("position", ["HFS", "FFS", "HFP", "FFP"])
def test_left_is_left(position, tmp_path):
    """The left maxillary sinus is the larger one."""
    scanner = replace(
        VARIANTS["small"].scanner, matrix=96, pixel_mm=1.3, spacing_mm=3.0, patient_position=position, noise_hu=0
    )
    write_series(scan(Anatomy(), scanner), tmp_path)
    slices = read(tmp_path)
    x, y, z = np.moveaxis(places_mm(slices), -1, 0)
    sinus = (hu(slices) < -600) & (np.abs(np.abs(x) - 30) < 17) & (np.abs(y - 7) < 16) & (z < -10)
    assert (sinus & (x > 0)).sum() > 1.2 * (sinus & (x < 0)).sum() > 0


@pytest.mark.parametrize("degrees", [20.0, -20.0])
def test_a_tilted_gantry_shears_the_stack(degrees, tmp_path):
    write_series(scan(Anatomy(), coarse(VARIANTS[f"tilt-{'plus' if degrees > 0 else 'minus'}-20"].scanner)), tmp_path)
    slices = read(tmp_path)
    positions = np.array([part.ImagePositionPatient for part in slices], float)
    steps = np.diff(positions, axis=0)
    assert steps == pytest.approx(np.tile([0, 0, 6.0], (len(steps), 1)), abs=1e-5)
    row, column = np.reshape(slices[0].ImageOrientationPatient, (2, 3)).astype(float)
    assert row == pytest.approx([1, 0, 0])
    assert abs(column[2]) == pytest.approx(np.sin(np.radians(20)))
    assert np.sign(np.cross(row, column)[1]) == np.sign(degrees)
    assert slices[0].GantryDetectorTilt == degrees


def test_uneven_distances_lie_between_0_6_and_1_4():
    scanner = replace(VARIANTS["uneven-spacing"].scanner, spacing_mm=1.0)
    distances = np.diff(scanner.grid().origins[:, 2])
    assert distances.min() >= 0.55
    assert distances.max() <= 1.45
    assert distances.max() - distances.min() > 0.6


def test_a_missing_slice_leaves_a_gap():
    scanner = VARIANTS["missing-slice"].scanner
    distances = np.diff(scanner.grid().origins[:, 2])
    assert np.isclose(distances, 2 * scanner.spacing_mm).sum() == 1
    assert np.isclose(distances, scanner.spacing_mm).sum() == len(distances) - 1


def test_reverse_order_changes_names_only(tmp_path):
    scanned = scan(Anatomy(), coarse(VARIANTS["small"].scanner))
    for name in ("forward", "backward"):
        (tmp_path / name).mkdir()
        write_series(scanned, tmp_path / name, reverse=name == "backward")
    forward, backward = (
        [path.read_bytes() for path in sorted((tmp_path / n).iterdir())] for n in ("forward", "backward")
    )
    assert forward == backward[::-1]


def test_the_same_parameters_give_the_same_bytes(tmp_path):
    scanner = coarse(VARIANTS["metal"].scanner)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_series(scan(VARIANTS["metal"].anatomy, scanner), tmp_path / name)
    a, b = ([path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in ("a", "b"))
    assert a == b


def test_another_seed_gives_other_noise_of_the_same_strength():
    scanner = replace(VARIANTS["small"].scanner, matrix=64, pixel_mm=2.0, spacing_mm=9.0, noise_hu=20.0)
    clean = scan(Anatomy(), replace(scanner, noise_hu=0.0)).voxels.astype(float)
    inner = (clean > -900) & (clean < 3000)
    first, second = (scan(Anatomy(), replace(scanner, seed=seed)).voxels.astype(float) - clean for seed in (1, 2))
    for noise in (first, second):
        assert noise[inner].std() == pytest.approx(20.0, rel=0.05)
    assert abs(np.corrcoef(first[inner], second[inner])[0, 1]) < 0.05
    neighbours = np.corrcoef(first[:, :, 1:].ravel(), first[:, :, :-1].ravel())[0, 1]
    assert neighbours > 0.2


def test_metal_streaks_only_the_slices_that_hold_it():
    scanner = replace(
        VARIANTS["metal"].scanner,
        matrix=160,
        pixel_mm=0.78,
        spacing_mm=2.0,
        height_mm=8.0,
        centre_mm=(0.0, 15.0, -20.0),
        noise_hu=0,
    )
    streaked = scan(Anatomy(metal=True), scanner).voxels.astype(int)
    clean = scan(Anatomy(), scanner).voxels.astype(int)
    touched = (np.abs(streaked - clean) > 100).mean(axis=(1, 2))
    heights = scanner.grid().origins[:, 2]
    assert touched[np.abs(heights + 20) < 1].min() > 0.01
    assert touched[np.abs(heights + 20) > 3].max() == 0
    assert streaked.max() == HIGHEST_HU


@pytest.mark.parametrize(
    ("anatomy", "place", "expected_hu"),
    [
        (Anatomy(), (29.0, 7.0, -25.0), -1000),
        (Anatomy(opacified="left"), (29.0, 7.0, -25.0), 30),
        (Anatomy(opacified="right"), (29.0, 7.0, -25.0), -1000),
        (Anatomy(mucosa_mm=2.0), (29.0, 7.0, -25.0), -1000),
        (Anatomy(mucosa_mm=3.0), (8.0, 9.0, -3.0), 40),
        (Anatomy(fracture="floor"), (22.6, -4.5, -18.0), -100),
        (Anatomy(), (22.6, -4.5, -18.0), -1000),
        (Anatomy(), (30.0, -10.0, 4.0), 8),
        (Anatomy(), (0.0, 60.0, 24.0), 36),
        (Anatomy(), (0.0, -70.0, 0.0), -1000),
        (Anatomy(turned_degrees=90.0), (-7.0, 29.0, -25.0), -1000),
    ],
)
def test_tissues_lie_where_they_belong(anatomy, place, expected_hu):
    point = SliceGrid(np.array([place]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (1, 1), (0.2, 0.2, 0.2))
    assert float(density(anatomy, point).item()) == pytest.approx(expected_hu, abs=2)


def test_newborn_bone_is_soft():
    scanner = replace(VARIANTS["small"].scanner, matrix=100, pixel_mm=1.2, spacing_mm=6.0)
    adult = scan(Anatomy(), scanner).voxels
    newborn = scan(VARIANTS["newborn"].anatomy, scanner).voxels
    assert (newborn > 600).sum() == 0
    assert (adult > 600).sum() > 1000
    assert (newborn > 200).sum() > 1000


def test_the_sharp_kernel_overshoots():
    scanner = replace(VARIANTS["small"].scanner, matrix=128, pixel_mm=0.9, height_mm=5.0, noise_hu=0)
    standard = scan(Anatomy(), scanner).voxels
    sharp = scan(Anatomy(), replace(scanner, kernel="sharp")).voxels
    assert sharp.max() > standard.max()
    assert sharp.astype(float).std() > standard.astype(float).std()


@pytest.mark.parametrize(
    "wrong", [{"pixel_mm": 0.0}, {"matrix": 4}, {"noise_hu": -1.0}, {"tilt_degrees": 45.0}, {"spacing_mm": -1.0}]
)
def test_a_scanner_that_cannot_be_is_refused(wrong):
    with pytest.raises(JobError) as refused:
        Scanner(**wrong)
    assert refused.value.code == "invalid-job"


def test_a_phantom_is_written_with_its_truth(tmp_path, monkeypatch):
    monkeypatch.setattr("OrbitalSegLib.phantom.truth.ORBITS_MM", ((20.0, 30.0), (-5.0, 5.0), (-20.0, -10.0)))
    done = []
    write_phantom(replace(VARIANTS["small"], scanner=coarse(VARIANTS["small"].scanner)), tmp_path, done.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["series", "truth"]
    assert done == sorted(done)
    assert done[-1] == 1.0
