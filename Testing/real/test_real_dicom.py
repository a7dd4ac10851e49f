"""Results in DICOM of real scans, tilted and uneven ones too: read back by others, in the right place."""

import pytest
from dicom_judges import dcmqi_agrees, errors_in, errors_in_series, highdicom_agrees

from OrbitalSegLib import reading
from OrbitalSegLib.export import dicom
from OrbitalSegLib.export.headers import prepared
from OrbitalSegLib.export.stl import write_stl
from OrbitalSegLib.modelling.surface import SurfaceParameters, surface_of_mask

pytestmark = pytest.mark.slow

SCANS = ("toshiba-head-3mm", "ge-tilted-irregular", "philips-skull-phantom/tilted")


@pytest.mark.parametrize("name", SCANS)
def test_a_segmentation_in_dicom_is_read_back_in_its_place(real_scans, tmp_path, require_tool, name):
    program = require_tool("dciodvfy", "dicom3tools")
    ct = reading.read(real_scans / name).image
    masks = {"bone": ct > 300, "cortical": ct > 700}
    headers, _ = prepared(reading.read_headers(real_scans / name))
    dicom.write_dicom_segmentation(
        masks, headers, tmp_path / "seg.dcm", dicom.Algorithm("threshold", "Histogram Analysis", "1.0.0", {})
    )
    assert highdicom_agrees(tmp_path / "seg.dcm", list(masks.values()))
    assert dcmqi_agrees(tmp_path / "seg.dcm", list(masks.values()), tmp_path)
    assert errors_in(tmp_path / "seg.dcm", program) <= errors_in_series(real_scans / name, program)


def test_a_surface_in_dicom_has_no_error_of_its_own(real_scans, tmp_path, require_tool):
    program = require_tool("dciodvfy", "dicom3tools")
    folder = real_scans / "toshiba-head-3mm"
    mesh, _ = surface_of_mask(reading.read(folder).image > 1500, SurfaceParameters(smoothing="none"))
    write_stl(mesh, tmp_path / "bone.stl")
    headers, _ = prepared(reading.read_headers(folder))
    dicom.write_dicom_surface(tmp_path / "bone.stl", headers, tmp_path / "bone.dcm", "Bone")
    assert errors_in(tmp_path / "bone.dcm", program) <= errors_in_series(folder, program)
