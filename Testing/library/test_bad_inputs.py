"""Every input that cannot be used gives its code, exit code 3 and one sentence, and leaves nothing behind."""

import json
import os
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import PATIENT, SHAPE, compressed, ct_slices, enhanced, head, in_syntax, save
from pydicom import uid
from pydicom.dataset import Dataset

from OrbitalSegLib import worker
from OrbitalSegLib.product import CONTRACT

pytestmark = pytest.mark.base

PIXEL_DATA = b"\xe0\x7f\x10\x00"
SMALL = head()[:5]


# Builders of bad inputs: each writes something under a folder and returns the input


def mr(folder: Path) -> Path:
    return save(ct_slices(Modality="MR", SOPClassUID=uid.MRImageStorage, RescaleSlope=1), folder / "scan")


def pet(folder: Path) -> Path:
    return save(ct_slices(Modality="PT", SOPClassUID=uid.PositronEmissionTomographyImageStorage), folder / "scan")


def scout_only(folder: Path) -> Path:
    return save(ct_slices(head()[:2], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), folder / "scan")


def one_slice(folder: Path) -> Path:
    return save(ct_slices(head()[:1]), folder / "scan")


def one_file_of_a_series(folder: Path) -> Path:
    return save(ct_slices(), folder / "scan") / "I30"


def dicom_time_series(folder: Path) -> Path:
    moments = [ct_slices(head(seed=seed)) for seed in (1, 2, 3)]
    for moment, slices in enumerate(moments):
        for item in slices:
            item.SOPInstanceUID += f".{moment}"
    return save([item for slices in moments for item in slices], folder / "scan")


def colour_dicom(folder: Path) -> Path:
    slices = ct_slices(SMALL, PhotometricInterpretation="RGB", SamplesPerPixel=3)
    for item in slices:
        item.BitsAllocated = item.BitsStored = 8
        item.HighBit, item.PixelRepresentation, item.PlanarConfiguration = 7, 0, 0
        item.PixelData = bytes(item.Rows * item.Columns * 3)
    return save(slices, folder / "scan")


def screen_captures(folder: Path) -> Path:
    changes = {"SOPClassUID": uid.SecondaryCaptureImageStorage, "ImagePositionPatient": None}
    return save(ct_slices(SMALL, Modality="OT", **changes), folder / "scan")


def eight_bit_export(folder: Path) -> Path:
    window = np.clip((head() + 160) * 255.0 / 400, 0, 255)
    slices = ct_slices(window, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0)
    return save(slices, folder / "scan")


def no_intercept(folder: Path) -> Path:
    return save(ct_slices(head() + 1024, RescaleIntercept=None, RescaleSlope=None), folder / "scan")


def other_rescale_type(folder: Path) -> Path:
    return save(ct_slices(RescaleType="Z_EFF"), folder / "scan")


def no_dicom(folder: Path) -> Path:
    (folder / "scan" / "deep").mkdir(parents=True)
    (folder / "scan" / "letter.txt").write_text(f"Dear {PATIENT}" * 20)
    (folder / "scan" / "deep" / "._I10").write_bytes(b"\0\x05\x16\x07" + bytes(400))
    return folder / "scan"


def empty_folder(folder: Path) -> Path:
    (folder / "scan").mkdir()
    return folder / "scan"


def reports_only(folder: Path) -> Path:
    slices = ct_slices(head()[:2], Modality="SR", SOPClassUID=uid.BasicTextSRStorage)
    for item in slices:
        for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
            delattr(item, keyword)
    return save(slices, folder / "scan")


def cut_at(marker: bytes, after: int, which: Callable[[int], bool]) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        scan = save(ct_slices(), folder / "scan")
        for index, path in enumerate(sorted(scan.iterdir())):
            data = path.read_bytes()
            if which(index):
                path.write_bytes(data[: data.index(marker) + after])
        return scan

    return build


def one(index: int) -> bool:
    return index == 3


def every(_index: int) -> bool:
    return True


def compressed_pixels_cut(folder: Path) -> Path:
    scan = save([compressed(item, "JPEG2000", folder) for item in ct_slices()], folder / "scan")
    path = scan / "I40"
    path.write_bytes(path.read_bytes()[:-40])
    return scan


def frames_cut(folder: Path) -> Path:
    scan = save([enhanced(ct_slices())], folder / "scan")
    path = scan / "I10"
    path.write_bytes(path.read_bytes()[:-500])
    return scan


def frame_without_a_place(folder: Path) -> Path:
    whole = enhanced(ct_slices())
    del whole.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence
    return save([whole], folder / "scan")


def frame_with(how: str, marker: bytes, after: int, value: bytes) -> Callable[[Path], Path]:
    """Compressed slices, in one of which the frame's own header says something else, `after` bytes from a marker."""

    def build(folder: Path) -> Path:
        slices = [compressed(item, how, folder) for item in ct_slices()]
        data = bytearray(slices[2].PixelData)
        place = data.index(marker) + after
        data[place : place + len(value)] = value
        slices[2].PixelData = bytes(data)
        return save(slices, folder / "scan")

    return build


def senseless(**changes: object) -> Callable[[Path], Path]:
    """Slices, one of which says what no scanner says."""

    def change(dataset: Dataset, index: int) -> None:
        if index == 4:
            for keyword, value in changes.items():
                setattr(dataset, keyword, value)

    return lambda folder: save(ct_slices(change=change), folder / "scan")


def deflated_header_damaged(folder: Path) -> Path:
    scan = save([in_syntax(item, uid.DeflatedExplicitVRLittleEndian) for item in ct_slices()], folder / "scan")
    for path in scan.iterdir():
        path.write_bytes(path.read_bytes()[:400] + bytes(400))
    return scan


def matrix_beyond_its_pixels(folder: Path) -> Path:
    slices = ct_slices()
    for item in slices:
        item.Rows = item.Columns = 4096
    return save(slices, folder / "scan")


def video(folder: Path) -> Path:
    slices = [compressed(item, "JPEG", folder) for item in ct_slices()]
    for item in slices:
        item.file_meta.TransferSyntaxUID = uid.HTJ2KLossless
    return save(slices, folder / "scan")


def no_such_input(folder: Path) -> Path:
    return folder / "nowhere"


def below_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "scan"


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def gap_in_the_region(folder: Path) -> Path:
    slices = ct_slices(head((20, *SHAPE[1:])))
    return save(slices[:8] + slices[13:], folder / "scan")


# Zips


def zip_of(folder: Path, content: bytes = b"") -> Path:
    path = folder / "ct.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if content:
            archive.writestr("content", content)
        for file in sorted(save(ct_slices(), folder / "scan").iterdir()):
            archive.write(file, file.name)
    return path


def patched_zip(offset_in_directory: int, value: bytes) -> Callable[[Path], Path]:
    """A zip whose directory says something else of its first member than its local header does."""

    def build(folder: Path) -> Path:
        path = zip_of(folder, bytes(20_000_000))
        data = bytearray(path.read_bytes())
        place = data.index(b"PK\x01\x02") + offset_in_directory
        data[place : place + len(value)] = value
        path.write_bytes(data)
        return path

    return build


def cut_zip(folder: Path) -> Path:
    path = zip_of(folder)
    path.write_bytes(path.read_bytes()[:-300])
    return path


def zip_of_letters(folder: Path) -> Path:
    path = folder / "letters.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "Dear colleague")
    return path


# Volume files


def volume(name: str, image: Callable[[], sitk.Image]) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        sitk.WriteImage(image(), str(folder / name))
        return folder / name

    return build


def bytes_named(name: str, data: bytes) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return build


def cut_volume(name: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        sitk.WriteImage(sitk.GetImageFromArray(head()), str(folder / name))
        (folder / name).write_bytes((folder / name).read_bytes()[:-2000])
        return folder / name

    return build


def sheared() -> sitk.Image:
    image = sitk.GetImageFromArray(head())
    image.SetDirection((1, 0, 0, 0, 1, 0.3, 0, 0, 0.95))
    return image


HUGE_NRRD = b"""NRRD0004
type: short
dimension: 3
sizes: 90000 90000 90000
encoding: raw
endian: little

0123456789"""

BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "MR": (mr, "wrong-modality"),
    "PET": (pet, "wrong-modality"),
    "scout only": (scout_only, "scout-only"),
    "one slice": (one_slice, "too-few-slices"),
    "one file of a series": (one_file_of_a_series, "too-few-slices"),
    "4D DICOM": (dicom_time_series, "time-series"),
    "4D NIfTI": (
        volume("ct.nii", lambda: sitk.JoinSeries([sitk.GetImageFromArray(head())] * 3)),
        "time-series",
    ),
    "colour DICOM": (colour_dicom, "colour"),
    "colour NRRD": (
        volume("ct.nrrd", lambda: sitk.GetImageFromArray(np.zeros((8, 9, 9, 3), np.uint8), True)),
        "colour",
    ),
    "vector NRRD": (
        volume("ct.nrrd", lambda: sitk.GetImageFromArray(np.zeros((8, 9, 9, 3), np.float32), True)),
        "colour",
    ),
    "complex NIfTI": (volume("ct.nii", lambda: sitk.GetImageFromArray(head().astype(np.complex64))), "colour"),
    "screen captures": (screen_captures, "no-ct"),
    "8-bit export": (eight_bit_export, "not-hu"),
    "8-bit NIfTI": (volume("ct.nii.gz", lambda: sitk.GetImageFromArray((head() > 300).astype(np.uint8))), "not-hu"),
    "intercept missing": (no_intercept, "not-hu"),
    "other rescale type": (other_rescale_type, "not-hu"),
    "nothing but air": (volume("ct.nrrd", lambda: sitk.Image(9, 9, 9, sitk.sitkInt16) - 1024), "not-hu"),
    "not a number anywhere": (
        volume("ct.nrrd", lambda: sitk.GetImageFromArray(np.full((8, 9, 9), np.nan, np.float32))),
        "not-hu",
    ),
    "no DICOM": (no_dicom, "no-dicom"),
    "empty folder": (empty_folder, "no-dicom"),
    "empty file": (bytes_named("scan", b""), "no-dicom"),
    "reports only": (reports_only, "no-dicom"),
    "one header cut before its matrix": (cut_at(b"\x28\0\x10\0", 6, one), "truncated"),
    "one header cut after its matrix": (cut_at(b"\x28\0\x11\0", 10, one), "truncated"),
    "one file cut before its pixels": (cut_at(PIXEL_DATA, 0, one), "truncated"),
    "one file cut in its pixels": (cut_at(PIXEL_DATA, 200, one), "truncated"),
    "all headers cut": (cut_at(b"\x20\0\x0e\0", 12, every), "truncated"),
    "all headers cut in their first group": (cut_at(b"\x02\0\x02\0", 9, every), "truncated"),
    "all files cut in their pixels": (cut_at(PIXEL_DATA, 200, every), "truncated"),
    "compressed pixels cut": (compressed_pixels_cut, "truncated"),
    "multi-frame pixels cut": (frames_cut, "truncated"),
    "a frame without a place": (frame_without_a_place, "truncated"),
    "a JPEG of another size": (frame_with("JPEG", b"\xff\xc3", 5, struct.pack(">HH", 60000, 60000)), "truncated"),
    "a JPEG of too many bits": (frame_with("JPEG", b"\xff\xc3", 4, b"\x18"), "truncated"),
    "a JPEG that is none": (frame_with("JPEG", b"\xff\xd8", 2, b"\0\0\0\0"), "truncated"),
    "a JPEG without end": (frame_with("JPEG", b"\xff\xc3", 0, b"\xff\xe0\xff\xff"), "truncated"),
    "a JPEG 2000 of another size": (frame_with("JPEG2000", b"\xff\x51", 6, struct.pack(">L", 60000)), "truncated"),
    "a JPEG 2000 in tiny tiles": (frame_with("JPEG2000", b"\xff\x51", 22, struct.pack(">LL", 1, 1)), "truncated"),
    "an RLE of too many planes": (frame_with("RLE", b"\x02\0\0\0\x40\0\0\0", 0, b"\x0f"), "truncated"),
    "an RLE beyond its end": (frame_with("RLE", b"\x02\0\0\0\x40\0\0\0", 8, b"\xff\xff\xff\x0f"), "truncated"),
    "deflated headers damaged": (deflated_header_damaged, "truncated"),
    "a position of two numbers": (senseless(ImagePositionPatient=[1.0, 2.0]), "truncated"),
    "a position out of this world": (senseless(ImagePositionPatient=[0.0, 0.0, 1e9]), "truncated"),
    "an orientation that is none": (senseless(ImageOrientationPatient=[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]), "truncated"),
    "pixels without a size": (senseless(PixelSpacing=[0.0, 0.5]), "truncated"),
    "a slope of nought": (senseless(RescaleSlope=0), "truncated"),
    "an intercept out of this world": (senseless(RescaleIntercept=1e9), "truncated"),
    "more bits stored than there are": (senseless(BitsStored=20), "truncated"),
    "a matrix beyond its pixels": (matrix_beyond_its_pixels, "truncated"),
    "a compression that cannot be read": (video, "unreadable"),
    "no such input": (no_such_input, "no-such-input"),
    "no such volume": (lambda folder: folder / "ct.nrrd", "no-such-input"),
    "below a file": (below_a_file, "no-such-input"),
    "a name beyond all limits": (lambda folder: folder / ("x" * 300), "unreadable"),
    "a pipe": (a_pipe, "unreadable"),
    "a gap in the region": (gap_in_the_region, "slice-gap"),
    "zip that states less than it holds": (patched_zip(24, struct.pack("<L", 1000)), "truncated"),
    "locked zip": (patched_zip(8, b"\x01\0"), "unsafe-zip"),
    "zip packed in an unknown way": (patched_zip(10, b"\x63\0"), "unsafe-zip"),
    "zip cut off": (cut_zip, "truncated"),
    "zip of letters": (zip_of_letters, "no-dicom"),
    "text named NIfTI": (bytes_named("ct.nii.gz", b"This is no image.\n" * 40), "unreadable"),
    "empty NRRD": (bytes_named("ct.nrrd", b""), "unreadable"),
    "huge NRRD": (bytes_named("ct.nrrd", HUGE_NRRD), "too-large"),
    **{f"{name} cut off": (cut_volume(name), "unreadable") for name in ("ct.nrrd", "ct.mha", "ct.nii", "ct.nii.gz")},
    "2D picture": (volume("ct.nrrd", lambda: sitk.Image(64, 64, sitk.sitkInt16)), "too-few-slices"),
    "one plane": (volume("ct.nii", lambda: sitk.Image(64, 64, 1, sitk.sitkInt16)), "too-few-slices"),
    "sheared volume": (volume("ct.nrrd", sheared), "inconsistent"),
}


class Desk:
    """A place to run bad jobs: an input, a folder for the result, and a folder for temporary files."""

    def __init__(self, folder: Path) -> None:
        self.inputs, self.results, self.temporary = (folder / name for name in ("inputs", "results", "temporary"))
        for path in (self.inputs, self.results, self.temporary):
            path.mkdir()

    def job(self, scan: Path, **changes: object) -> dict[str, object]:
        output = str(self.results / "result")
        job = {"contract": CONTRACT, "task": "segment", "input": str(scan), "output": output, "method": "threshold"}
        return job | changes

    def check_refused(self, job: dict[str, object], code: str) -> str:
        """Run the job in this process, and check everything that holds for every refusal. Returns the sentence."""
        lines: list[dict] = []
        assert worker.run(job, lines.append) == 3, lines[-1]
        return self.check_line(lines[-1], code)

    def check_line(self, line: dict, code: str) -> str:
        assert (line["event"], line["code"]) == ("error", code), line
        text = line["text"]
        assert re.fullmatch(r"[A-Z0-9].*[A-Za-z)0-9]\.", text), text
        assert ". " not in text, "more than one sentence"
        assert str(self.inputs.parent) not in text
        assert PATIENT not in text
        assert list(self.results.iterdir()) == []
        assert list(self.temporary.iterdir()) == []
        return text


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Desk:
    desk = Desk(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(desk.temporary))
    return desk


@pytest.mark.parametrize("name", BAD)
def test_a_bad_input_gives_its_sentence(desk, capfd, name):
    build, code = BAD[name]
    scan = build(desk.inputs)
    before = sorted(desk.inputs.rglob("*"))
    desk.check_refused(desk.job(scan), code)
    assert sorted(desk.inputs.rglob("*")) == before
    output = capfd.readouterr()
    assert output.out == ""
    assert "Traceback" not in output.err


def test_an_unknown_series_names_those_that_exist(desk):
    save(ct_slices(SeriesNumber=7), desk.inputs / "scan")
    assert "it has A7" in desk.check_refused(desk.job(desk.inputs / "scan", series="3"), "unknown-series")


def test_a_gap_names_the_slices(desk):
    assert "Between slice 8 and slice 14" in desk.check_refused(desk.job(gap_in_the_region(desk.inputs)), "slice-gap")


def test_a_damaged_slice_is_named(desk):
    scan = cut_at(PIXEL_DATA, 200, one)(desk.inputs)
    assert "The file of slice 4 is damaged" in desk.check_refused(desk.job(scan), "truncated")


@pytest.mark.parametrize(("limit", "value"), [("ZIP_LIMIT_BYTES", 5000), ("ZIP_LIMIT_MEMBERS", 3)])
def test_a_zip_over_the_limits_is_not_unpacked(desk, monkeypatch, limit, value):
    monkeypatch.setattr(f"OrbitalSegLib.reading.{limit}", value)
    monkeypatch.setattr("OrbitalSegLib.reading._unpack_member", lambda *_: pytest.fail("unpacked"))
    desk.check_refused(desk.job(zip_of(desk.inputs)), "unsafe-zip")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
@pytest.mark.parametrize("what", ["folder", "file", "input", "zip"])
def test_what_cannot_be_opened_is_said(desk, monkeypatch, what, error):
    """Permissions do not bind the superuser, so the system's refusal is played."""
    scan = save(ct_slices(), desk.inputs / "scan" / "inner").parent
    if what == "zip":
        scan = zip_of(desk.inputs / "scan")
    names = {"folder": "inner", "file": "I30", "input": "scan", "zip": "ct.zip"}

    def refusing(function: Callable[..., object]) -> Callable[..., object]:
        def refuse(path: object, *arguments: object, **keywords: object) -> object:
            if Path(str(path)).name == names[what]:
                raise error
            return function(path, *arguments, **keywords)

        return refuse

    if what == "folder":
        monkeypatch.setattr(os, "scandir", refusing(os.scandir))
    elif what == "input":
        monkeypatch.setattr(Path, "stat", refusing(Path.stat))
    else:
        monkeypatch.setattr(Path, "open", refusing(Path.open))
    desk.check_refused(desk.job(scan), "unreadable")


@pytest.mark.parametrize("name", ["MR", "compressed pixels cut", "text named NIfTI"])
def test_the_worker_process_exits_with_the_code(desk, name):
    build, code = BAD[name]
    job = desk.inputs / "job.json"
    job.write_text(json.dumps(desk.job(build(desk.inputs))))
    done = subprocess.run(
        [sys.executable, "-m", "OrbitalSegLib.worker", str(job)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "TMPDIR": str(desk.temporary)},
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines[:-1]] == ["progress"] * (len(lines) - 1)
    desk.check_line(lines[-1], code)
