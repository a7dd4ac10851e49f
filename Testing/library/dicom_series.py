"""Small DICOM series, made in memory and changed by each test as it needs."""

from base64 import b64decode
from collections.abc import Callable, Sequence
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
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
    block = voxels[1:-2, 4 : rows // 2, 5 : columns // 2]
    block[:] = random.normal(900, 30, block.shape)
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
) -> Dataset:
    """One classic CT image: `voxels` (rows, columns) in HU. `changes` set attributes; None deletes one."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = uid.CTImageStorage
    dataset = Dataset()
    dataset.file_meta = meta
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
    change: Callable[[Dataset, int], None] = lambda _dataset, _index: None,
    **changes: Any,
) -> list[Dataset]:
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


def enhanced(slices: Sequence[Dataset]) -> Dataset:
    """The same images as one enhanced multi-frame object, its frames in the order of `slices`."""
    first = slices[0]
    whole = deepcopy(first)
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


def file_bytes(dataset: Dataset) -> bytes:
    """The data set as the bytes of a file."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def in_syntax(dataset: Dataset, syntax: uid.UID) -> Dataset:
    """The data set, native, in another of the uncompressed transfer syntaxes."""
    if not syntax.is_little_endian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def compressed(dataset: Dataset, how: str, folder: Path) -> Dataset:
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
    _encapsulate(dataset, coded, single.file_meta.TransferSyntaxUID)
    return dataset


def _encapsulate(dataset: Dataset, frames: list[bytes], syntax: str, fragments: int = 1) -> None:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(frames, fragments_per_frame=fragments, has_bot=fragments == 1)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


JPEG_LS_FRAME = b64decode(
    "/9j/9wALCwAgACABAREA/9oACAEBAAAAAC+GGMUTMyiZtJbaS20ltpLNFBCGCERDCIkYSSMSSYlTERfzH8z+Z/M/s/sgX9n9n9n9v7f2gvAA"
    "AAAIkIYIoIQwAEJLSS0ktVaBUU1qrBBVqrVWqtBUElqrCFdV1XV8Bwl/wh//f/AcJf8I/3//QHEf8R//f/A4j/iP/3/4HEf8R/9//BwAABEL"
    "wQhFE3//f8H/f/9//g//f/9/8H//f/9/g/9//3/8H/9//3/h/3//f/4f/3//f+H/f/9//h//f/9/4f9//3/+H/9//3/h/3//f/4f/3//f+H/"
    "f/9//h//f/9/4f9//3/+H/9//3/h/3//f/4f/3//f+D/2Q=="
)
"""`jpeg_ls_stored()` coded by CharLS 2, for which there is no encoder among the packages that tests may use."""


def jpeg_ls_stored() -> np.ndarray:
    """The stored values, 32 x 32, that `JPEG_LS_FRAME` holds."""
    row, column = np.mgrid[0:32, 0:32]
    inside = (row > 3) & (row < 12) & (column > 2) & (column < 11)
    return (np.where(inside, 2000, 24) + row * 3 + column % 5).astype(np.uint16)


def jpeg_ls_slices(count: int = 6, fragments: int = 1) -> list[Dataset]:
    """A series in JPEG-LS, every slice the same, with HU 1024 below the stored values."""
    hu = jpeg_ls_stored().astype(np.int16) - 1024
    slices = ct_slices(np.repeat(hu[None], count, 0), PixelRepresentation=0, RescaleIntercept=-1024)
    for dataset in slices:
        _encapsulate(dataset, [JPEG_LS_FRAME], uid.JPEGLSLossless, fragments)
    return slices
