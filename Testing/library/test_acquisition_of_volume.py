"""What the scanner said of a volume file that was made of a DICOM series."""

import json
from dataclasses import asdict

import pytest
import SimpleITK as sitk
from dicom_series import ct_slices, save

from OrbitalSegLib import reading, worker
from OrbitalSegLib.errors import JobError
from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.scan import Acquisition, acquisition_from
from OrbitalSegLib.tasks import job_from

SAID = Acquisition("DICOM", (512, 512), 0.5, 0.6, slice_thickness_mm=0.6, kernel="H31s", tilt_degrees=0.0)


def test_headers_alone_give_what_reading_the_series_gives(tmp_path):
    folder = save(ct_slices(), tmp_path / "scan", "I{}".format)
    assert reading.acquisition_of(reading.series_in(sorted(folder.iterdir()), [])) == reading.read(folder).acquisition


def test_it_comes_back_from_json():
    assert acquisition_from(json.loads(json.dumps(asdict(SAID)))) == SAID


@pytest.mark.parametrize(
    "changes",
    [
        *({"patient": "x"}, {"matrix": [512]}, {"matrix": "512"}, {"pixel_mm": None}, {"kernel": 3}),
        *({"kernel": "x" * 300}, {"tube_voltage_kv": True}, {"contrast_agent": 1}, {"age_months": 1e12}),
    ],
)
def test_anything_else_is_refused(changes):
    values = json.loads(json.dumps(asdict(SAID))) | changes
    with pytest.raises(JobError, match="acquisition"):
        job_from({"contract": CONTRACT, "task": "info", "input": "x", "acquisition": values})


def test_a_volume_is_judged_by_it(tmp_path):
    folder = save(ct_slices(), tmp_path / "scan", "I{}".format)
    scan = reading.read(folder)
    sitk.WriteImage(scan.image, str(tmp_path / "scan.nrrd"))
    job = {"contract": CONTRACT, "task": "info", "region": "whole"}
    found = {}
    for name, given in (
        ("series", {"input": str(folder)}),
        ("volume", {"input": str(tmp_path / "scan.nrrd"), "acquisition": asdict(scan.acquisition)}),
    ):
        lines = []
        assert worker.run(job | given, lines.append) == 0
        found[name] = lines[-1]["summary"]
    assert found["volume"]["acquisition"] == found["series"]["acquisition"]
    assert found["volume"]["conditions"] == found["series"]["conditions"]
    assert found["volume"]["feasibility"] == found["series"]["feasibility"]
