"""STL files: read back, and judged by programs that others wrote."""

import errno
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from judges import REPAIRS, admesh_repairs, closed_and_outward, pymeshlab_self_intersections
from vtkmodules.vtkIOGeometry import vtkSTLReader

import OrbitalSegLib
from OrbitalSegLib.errors import InputError, OutputError
from OrbitalSegLib.export import stl
from OrbitalSegLib.export.stl import read_stl, write_stl
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.surface import SurfaceParameters, surface_of_mask


def image_of(array, origin_mm):
    image = sitk.GetImageFromArray(np.asarray(array, np.uint8))
    image.SetSpacing((0.45, 0.45, 1.0))
    image.SetOrigin(origin_mm)
    return image


def ball(size):
    return np.linalg.norm(np.indices((size,) * 3) - (size - 1) / 2, axis=0) < size / 2 - 2


MASKS = {
    "ball": ball(30),
    "shell": ball(40) & ~np.pad(ball(38), 1),
    "checkerboard": np.indices((6, 6, 6)).sum(axis=0) % 2,
    "noise": np.random.default_rng(0).random((14, 14, 14)) < 0.5,
    "full": np.ones((4, 5, 6)),
}


@pytest.fixture(params=[(f, s) for f in MASKS for s in ("none", "faithful")], ids="-".join)
def model(request):
    """A surface far from the origin, where 32-bit coordinates are coarse."""
    name, smoothing = request.param
    return surface_of_mask(image_of(MASKS[name], (-250, 312, -1045)), SurfaceParameters(smoothing))[0]


@pytest.fixture
def stl_file(model, tmp_path):
    path = tmp_path / "bone.stl"
    write_stl(model, path, title="bone")
    return path


@pytest.fixture
def ball_model():
    return surface_of_mask(image_of(MASKS["ball"], (0, 0, 0)))[0]


def test_the_file_read_back_is_the_same_sound_surface(model, stl_file):
    before, after = mesh.check(model), mesh.check(read_stl(stl_file))
    assert after.sound
    assert (after.triangles, after.parts, after.tunnels) == (before.triangles, before.parts, before.tunnels)
    assert after.volume_ml == pytest.approx(before.volume_ml, rel=1e-9)


def test_trimesh_finds_it_closed_and_outward(model, stl_file):
    loaded = closed_and_outward(stl_file)
    assert loaded.volume / 1000 == pytest.approx(mesh.check(model).volume_ml, rel=1e-5)
    assert len(loaded.vertices) == model.GetNumberOfPoints()
    assert len(loaded.faces) == model.GetNumberOfCells()


def test_admesh_finds_nothing_to_repair(model, stl_file, require_tool):
    facets = {"Number of facets": model.GetNumberOfCells()}
    assert admesh_repairs(require_tool("admesh"), stl_file) == facets | dict.fromkeys(REPAIRS, 0)


def test_pymeshlab_finds_no_self_intersection(stl_file, pymeshlab_python):
    assert pymeshlab_self_intersections(pymeshlab_python, stl_file) == 0


def test_vtk_reads_the_same_bounds(model, stl_file):
    reader = vtkSTLReader()
    reader.SetFileName(str(stl_file))
    reader.Update()
    assert reader.GetOutput().GetBounds() == model.GetBounds()
    assert reader.GetOutput().GetNumberOfPoints() == model.GetNumberOfPoints()


def test_the_header_says_what_it_is(ball_model, tmp_path):
    write_stl(ball_model, tmp_path / "a.stl", title="thin wall")
    header = (tmp_path / "a.stl").read_bytes()[:80].decode("ascii")
    assert header.startswith(f"OrbitalSeg {OrbitalSegLib.__version__} ")
    for words in ("SPACE=LPS", "UNIT=mm", "not a medical device", "thin wall"):
        assert words in header


@pytest.mark.parametrize("title", ["", "Knochen für Ä", "x" * 200])
def test_any_title_leaves_a_header_of_eighty_bytes_that_says_the_rest(title, ball_model, tmp_path):
    write_stl(ball_model, tmp_path / "a.stl", title=title)
    content = (tmp_path / "a.stl").read_bytes()
    assert len(content) == 84 + 50 * ball_model.GetNumberOfCells()
    assert b"not a medical device" in content[:80]


def test_the_same_surface_gives_the_same_bytes(ball_model, tmp_path):
    for name in ("a", "b"):
        write_stl(ball_model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_normals_are_of_length_one_and_outward(ball_model, tmp_path):
    write_stl(ball_model, tmp_path / "a.stl")
    facets = np.fromfile(tmp_path / "a.stl", stl.FACET, offset=84)
    middle = facets["corners"].mean(axis=(0, 1))
    np.testing.assert_allclose(np.linalg.norm(facets["normal"], axis=1), 1, atol=1e-6)
    assert (np.einsum("ij,ij->i", facets["normal"], facets["corners"].mean(axis=1) - middle) > 0).all()


def test_a_folder_that_is_not_there_is_an_error(ball_model, tmp_path):
    with pytest.raises(OutputError) as caught:
        write_stl(ball_model, tmp_path / "none" / "a.stl")
    assert caught.value.code == "cannot-write"


def test_a_full_disk_is_an_error(ball_model):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OutputError) as caught:
        write_stl(ball_model, full)
    assert caught.value.code == "disk-full"


@pytest.mark.parametrize("change", [lambda _: None, lambda facets: facets[:-1], lambda facets: facets[::-1]])
def test_a_file_that_does_not_hold_what_was_written_is_an_error(change, ball_model, tmp_path, monkeypatch):
    read = stl._read_facets
    monkeypatch.setattr(stl, "_read_facets", lambda path: change(read(path)))
    with pytest.raises(OutputError) as caught:
        write_stl(ball_model, tmp_path / "a.stl")
    assert caught.value.code == "cannot-write"


def test_what_is_no_binary_stl_is_an_error(ball_model, tmp_path):
    path = tmp_path / "a.stl"
    write_stl(ball_model, path)
    whole = path.read_bytes()
    for content in (b"", b"solid text", whole[:-1], whole[:-50], whole + b"more than a triangle"):
        path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_stl(path)
        assert caught.value.code == "unreadable"


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(InputError) as caught:
        read_stl(tmp_path / "none.stl")
    assert caught.value.code == "unreadable"


def test_the_reason_of_a_failure_stays_with_the_error(ball_model, tmp_path):
    with pytest.raises(OutputError) as caught:
        write_stl(ball_model, tmp_path / "none" / "a.stl")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOENT
