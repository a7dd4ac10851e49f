"""Small DICOM series, made in memory and changed by each test as it needs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.sequence import Sequence as Items

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
PIXEL_MM = 0.8
"""Pixels of 0.8 mm, slices of 1 mm, 20 x 24 pixels, 8 slices: so small, and no two sizes alike."""
SHAPE = (8, 20, 24)
PATIENT = "Secret^Name"
"""Must stand in no sentence and no file of ours."""


def head(shape: tuple[int, ...] = SHAPE, seed: int = 1) -> np.ndarray:
    """A head of sorts in HU: noisy air, soft tissue, and a block of bone in a corner of its own."""
    random = np.random.default_rng(seed)
    voxels = random.normal(-1000, 8, shape)
    _, rows, columns = shape
    voxels[:, 3:-3, 3:-3] = random.normal(40, 10, (shape[0], rows - 6, columns - 6))
    voxels[1:-2, 4 : rows // 2, 5 : columns // 2] = random.normal(900, 30, voxels[1:-2, 4 : rows // 2, 5 : columns // 2].shape)
    return np.clip(np.rint(voxels), -1024, 3071).astype(np.int16)


def normal_of(orientation: Sequence[float]) -> np.ndarray:
    return np.cross(orientation[:3], orientation[3:])


def _stored(voxels: np.ndarray, dataset: Dataset) -> bytes:
    """HU as the header says that they are stored."""
    values = np.rint((voxels - float(dataset.RescaleIntercept)) / float(dataset.RescaleSlope)).astype(np.int64)
    kind = f"{'i' if dataset.PixelRepresentation else 'u'}{dataset.BitsAllocated // 8}"
    return values.astype(kind).tobytes()


def ct_slice(
    voxels: np.ndarray,
    index: int = 0,
    position: Sequence[float] = (0.0, 0.0, 0.0),
    series: str = "1.2.826.1",
    **changes: Any,
) -> FileDataset:
    """One classic CT image: `voxels` (rows, columns) in HU. `changes` set attributes; None deletes one."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = uid.CTImageStorage
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    values = {
        "SOPClassUID": uid.CTImageStorage,
        "SOPInstanceUID": f"{series}.{index + 1}",
        "SeriesInstanceUID": series,
        "StudyInstanceUID": "1.2.826",
        "PatientName": PATIENT,
        "PatientID": PATIENT,
        "Modality": "CT",
        "SeriesNumber": 2,
        "SeriesDescription": "HEAD THIN",
        "BodyPartExamined": "HEAD",
        "InstanceNumber": index + 1,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "ImagePositionPatient": [float(v) for v in position],
        "ImageOrientationPatient": list(AXIAL),
        "PixelSpacing": [PIXEL_MM, PIXEL_MM],
        "SliceThickness": 1.0,
        "Rows": voxels.shape[0],
        "Columns": voxels.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "RescaleSlope": 1,
        "RescaleIntercept": 0,
    }
    for keyword, value in {**values, **changes}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    rescaled = "RescaleSlope" in dataset and "RescaleIntercept" in dataset
    stored = _stored(voxels, dataset) if rescaled else voxels.astype(np.int16).tobytes()
    dataset.add_new("PixelData", "OW", stored)
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    return dataset


def ct_slices(
    voxels: np.ndarray | None = None,
    positions: Sequence[Sequence[float]] | None = None,
    distance: float = 1.0,
    change: Callable[[FileDataset, int], None] = lambda _dataset, _index: None,
    **changes: Any,
) -> list[FileDataset]:
    """A series. Without `positions` the slices lie `distance` mm apart along their normal."""
    voxels = head() if voxels is None else voxels
    normal = normal_of(changes.get("ImageOrientationPatient", AXIAL))
    if positions is None:
        positions = [np.array([-7.25, 12.5, 100.0]) + index * distance * normal for index in range(len(voxels))]
    slices = []
    for index, (plane, position) in enumerate(zip(voxels, positions, strict=True)):
        dataset = ct_slice(plane, index, position, **changes)
        change(dataset, index)
        slices.append(dataset)
    return slices


def save(datasets: Sequence[Dataset], folder: Path, name: Callable[[int], str] = "I{}0".format) -> Path:
    """Write the data sets, each in its transfer syntax; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, dataset in enumerate(datasets):
        dataset.save_as(folder / name(index + 1), enforce_file_format=True)
    return folder


def enhanced(slices: Sequence[FileDataset]) -> FileDataset:
    """The same images as one enhanced multi-frame object, its frames in the order of `slices`."""
    first = slices[0]
    whole = pydicom.dcmread(_bytes(first))
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = uid.EnhancedCTImageStorage
    whole.NumberOfFrames = len(slices)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(whole, keyword)
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        delattr(whole, keyword)
    shared = Dataset()
    shared.PlaneOrientationSequence = Items([_only(first, "ImageOrientationPatient")])
    shared.PixelMeasuresSequence = Items([_only(first, "PixelSpacing", "SliceThickness")])
    kernel = Dataset()
    kernel.ConvolutionKernel = "STANDARD"
    shared.CTReconstructionSequence = Items([kernel])
    whole.SharedFunctionalGroupsSequence = Items([shared])
    frames = []
    for item in slices:
        frame = Dataset()
        frame.PlanePositionSequence = Items([_only(item, "ImagePositionPatient")])
        rescale = _only(item, "RescaleSlope", "RescaleIntercept")
        rescale.RescaleType = "HU"
        frame.PixelValueTransformationSequence = Items([rescale])
        frames.append(frame)
    whole.PerFrameFunctionalGroupsSequence = Items(frames)
    whole.PixelData = b"".join(item.PixelData for item in slices)
    return whole


def _only(dataset: Dataset, *keywords: str) -> Dataset:
    part = Dataset()
    for keyword in keywords:
        setattr(part, keyword, dataset[keyword].value)
    return part


def _bytes(dataset: FileDataset) -> Any:
    from io import BytesIO

    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return buffer


def compressed(dataset: FileDataset, how: str, folder: Path) -> FileDataset:
    """The data set with its frames in a compressed transfer syntax: `RLE` by pydicom, `JPEG`, `JPEG2000` by GDCM."""
    if how == "RLE":
        dataset.compress(uid.RLELossless, generate_instance_uid=False)
        return dataset
    frames = int(dataset.get("NumberOfFrames") or 1)
    kind = f"{'i' if dataset.PixelRepresentation else 'u'}2"
    stored = np.frombuffer(dataset.PixelData, kind).reshape(frames, dataset.Rows, dataset.Columns)
    coded = []
    for frame in stored:
        path = folder / "coded.dcm"
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(path))
        writer.UseCompressionOn()
        writer.SetCompressor(how)
        writer.Execute(sitk.GetImageFromArray(frame[None]))
        single = pydicom.dcmread(path)
        coded.append(get_frame(single.PixelData, 0, number_of_frames=1))
        path.unlink()
    dataset.file_meta.TransferSyntaxUID = single.file_meta.TransferSyntaxUID
    dataset.PixelData = encapsulate(coded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


@pytest.fixture
def write_ct(tmp_path: Path) -> Callable[..., Path]:
    """Writes a series under the test's folder and returns the folder: `write_ct("thin", SeriesNumber=3, ...)`."""

    def write(folder: str = "scan", **changes: Any) -> Path:
        name = changes.pop("name", "I{}0".format)
        return save(ct_slices(**changes), tmp_path / folder, name)

    return write
