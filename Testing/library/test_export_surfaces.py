"""Every format gives back what was written, under a name that every file system takes."""

import errno
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from judges import prusa_slicer_info

from OrbitalSegLib.errors import OutputError
from OrbitalSegLib.export.stl import read_stl, write_stl
from OrbitalSegLib.export.surfaces import FORMATS, write_map, write_surface
from OrbitalSegLib.files import RESERVED
from OrbitalSegLib.modelling import mesh
from OrbitalSegLib.modelling.surface import surface_of_mask

pytestmark = pytest.mark.base

NAMES = [
    "bone",
    "thin wall/left",
    "..",
    "",
    "x" * 300,
    "Wände ✓",
    "a\0b\n\x01",
    "..\\..\\up",
    "con",
    "LPT1",
    'a:b?c*"<>|',
    "end. ",
    "-",
]


@pytest.fixture(scope="module")
def ball():
    inside = np.linalg.norm(np.indices((10, 10, 10)) - 4.5, axis=0) < 4
    image = sitk.GetImageFromArray(inside.astype(np.uint8))
    image.SetSpacing((0.451, 0.451, 1.0))
    image.SetOrigin((-101.3, 212.7, -1045.1))
    return surface_of_mask(image)[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("format_name", FORMATS)
def test_any_name_gives_one_file_that_holds_the_surface(ball, tmp_path, format_name, name):
    path = write_surface(ball, tmp_path, name, format_name)
    assert list(tmp_path.iterdir()) == [path]
    assert set(path.stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    points, triangles = mesh.arrays_of(read_stl(path)) if format_name == "stl" else FORMATS[format_name].read(path)
    assert path.stem.upper() not in RESERVED
    report = mesh.check(mesh.surface_of(points, triangles))
    assert report.sound
    assert report.volume_ml == pytest.approx(mesh.check(ball).volume_ml, rel=1e-9)


@pytest.mark.parametrize("format_name", ["3mf", "obj", "ply"])
def test_formats_with_numbered_points_give_them_back_bit_by_bit(ball, tmp_path, format_name):
    points, triangles = FORMATS[format_name].read(write_surface(ball, tmp_path, "bone", format_name))
    before = mesh.arrays_of(ball)
    np.testing.assert_array_equal(points, before[0])
    np.testing.assert_array_equal(triangles, before[1])


@pytest.mark.parametrize("format_name", ["obj", "ply", "stl"])
def test_trimesh_reads_the_same_surface(ball, tmp_path, format_name):
    trimesh = pytest.importorskip("trimesh")
    loaded = trimesh.load(write_surface(ball, tmp_path, "bone", format_name))
    assert loaded.is_watertight
    assert loaded.volume / 1000 == pytest.approx(mesh.check(ball).volume_ml, rel=1e-5)


def test_lib3mf_finds_nothing_wrong_with_a_3mf(ball, tmp_path):
    lib3mf = pytest.importorskip("lib3mf")
    model = lib3mf.get_wrapper().CreateModel()
    reader = model.QueryReader("3mf")
    reader.SetStrictModeActive(True)
    reader.ReadFromFile(str(write_surface(ball, tmp_path, "inferred", "3mf")))
    objects = model.GetMeshObjects()
    assert objects.MoveNext()
    found = objects.GetCurrentMeshObject()
    assert reader.GetWarningCount() == 0
    assert found.GetName() == "Inferred wall"
    assert found.IsManifoldAndOriented()
    assert found.GetTriangleCount() == ball.GetNumberOfCells()
    assert model.GetUnit() == lib3mf.ModelUnit.MilliMeter


@pytest.mark.parametrize("format_name", ["stl", "3mf"])
def test_prusa_slicer_has_nothing_to_repair(ball, prusa_slicer, tmp_path, format_name):
    info = prusa_slicer_info(prusa_slicer, write_surface(ball, tmp_path, "bone", format_name))
    assert info["manifold"] == "yes"
    assert int(info["number_of_facets"]) == ball.GetNumberOfCells()
    assert float(info["volume"]) / 1000 == pytest.approx(mesh.check(ball).volume_ml, rel=1e-4)


def test_prusa_slicer_would_tell_a_hole(ball, prusa_slicer, tmp_path):
    points, triangles = mesh.arrays_of(ball)
    write_stl(mesh.surface_of(points, triangles[5:]), tmp_path / "open.stl")
    assert prusa_slicer_info(prusa_slicer, tmp_path / "open.stl")["manifold"] == "no"


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_same_surface_gives_the_same_bytes(ball, tmp_path, format_name):
    first = write_surface(ball, tmp_path, "bone", format_name).read_bytes()
    assert write_surface(ball, tmp_path, "bone", format_name).read_bytes() == first


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_that_is_not_what_was_written_is_an_error(ball, tmp_path, format_name, monkeypatch):
    chosen = FORMATS[format_name]

    def spoilt(path):
        points, triangles = chosen.read(path)
        return points, triangles[1:]

    changed = replace(chosen, read=spoilt)
    monkeypatch.setitem(FORMATS, format_name, changed)
    with pytest.raises(OutputError) as caught:
        write_surface(ball, tmp_path, "bone", format_name)
    assert caught.value.code == "cannot-write"


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_folder_that_vanished_and_a_full_disk_are_errors(ball, tmp_path, format_name, monkeypatch):
    with pytest.raises(OutputError) as caught:
        write_surface(ball, tmp_path / "gone", "bone", format_name)
    assert caught.value.code == "cannot-write"

    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    changed = replace(FORMATS[format_name], write=full)
    monkeypatch.setitem(FORMATS, format_name, changed)
    with pytest.raises(OutputError) as caught:
        write_surface(ball, tmp_path, "bone", format_name)
    assert caught.value.code == "disk-full"


def test_a_map_is_read_back(ball, tmp_path):
    write_map(ball, tmp_path / "bone-quality.vtp")
    assert (tmp_path / "bone-quality.vtp").stat().st_size > 1000
