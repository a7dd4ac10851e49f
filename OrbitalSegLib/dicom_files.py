"""DICOM files written alike by the two versions of pydicom that 3D Slicer ships."""

from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

PYDICOM_2 = pydicom.__version__.startswith("2.")
"""3D Slicer 5.10 ships pydicom 2.4, whose writer has other parameters."""


def save_dicom(dataset: Dataset, path: Path | BytesIO) -> None:
    """Write a DICOM file with preamble and file meta, in the transfer syntax that it names. Raises OSError."""
    if PYDICOM_2:
        syntax = dataset.file_meta.TransferSyntaxUID
        dataset.is_little_endian, dataset.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
        dataset.save_as(path, write_like_original=False)
    else:
        dataset.save_as(path, enforce_file_format=True)
