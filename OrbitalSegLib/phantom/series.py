"""A scanned phantom as a DICOM series that carries every attribute of table A.1 [3532-2 A]."""

from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from OrbitalSegLib.dicom_files import save_dicom
from OrbitalSegLib.phantom.scanner import Scanned
from OrbitalSegLib.product import VERSION
from OrbitalSegLib.progress import Progress, silent

INTERCEPT_HU = -1024
WINDOW_HU = (-200, 300)
"""What an 8-bit export keeps [3532-2 8.2]."""

# Settings that meet table A.1 [3532-2 A].
TUBE_VOLTAGE_KV, TUBE_CURRENT_MA, ROTATION_TIME_S, COLLIMATION_MM = 100, 300, 1.0, 0.6


def write_series(
    scanned: Scanned,
    folder: Path,
    *,
    export: Literal["hu", "mr", "8-bit"] = "hu",
    reverse: bool = False,
    progress: Progress = silent,
) -> None:
    """Write one file for each slice into an existing folder; `reverse` numbers the files from the last slice on.

    The same phantom gives the same bytes.
    """
    series = _series(scanned, export)
    count = len(scanned.voxels)
    for index, voxels in enumerate(scanned.voxels):
        number = count - index if reverse else index + 1
        save_dicom(_slice(series, scanned, index, voxels, export), folder / f"IM{number:04d}.dcm")
        progress((index + 1) / count)


def _series(scanned: Scanned, export: str) -> Dataset:
    """What all slices share."""
    scanner = scanned.scanner
    dataset = Dataset()
    dataset.SOPClassUID = MRImageStorage if export == "mr" else CTImageStorage
    dataset.Modality = "MR" if export == "mr" else "CT"
    dataset.PatientName = "Phantom^OrbitalSeg"
    dataset.PatientID = "ORBITALSEG-PHANTOM"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = "20260101"
    dataset.StudyTime = "120000"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.StudyInstanceUID = _uid(scanned, export, "study")
    dataset.SeriesInstanceUID = _uid(scanned, export, "series")
    dataset.FrameOfReferenceUID = _uid(scanned, export, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.SeriesNumber = 1
    dataset.AcquisitionNumber = 1
    dataset.SeriesDescription = "Head phantom by formula"
    dataset.BodyPartExamined = "ORBIT"
    dataset.ImageType = ["DERIVED", "SECONDARY"] if export == "8-bit" else ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Manufacturer = "OrbitalSeg"
    dataset.ManufacturerModelName = "Phantom"
    dataset.SoftwareVersions = VERSION
    dataset.PatientPosition = scanner.patient_position
    dataset.KVP = TUBE_VOLTAGE_KV
    dataset.XRayTubeCurrent = TUBE_CURRENT_MA
    dataset.RevolutionTime = ROTATION_TIME_S
    dataset.SingleCollimationWidth = COLLIMATION_MM
    dataset.ReconstructionDiameter = round(scanner.field_of_view_mm, 3)
    dataset.SliceThickness = scanner.slice_thickness_mm
    dataset.SpacingBetweenSlices = scanner.spacing_mm
    dataset.GantryDetectorTilt = scanner.tilt_degrees
    dataset.ConvolutionKernel = "STANDARD" if scanner.kernel == "standard" else "BONE"
    dataset.FilterType = "NONE"
    dataset.Rows, dataset.Columns = scanned.grid.shape
    dataset.PixelSpacing = [round(scanner.pixel_mm, 8)] * 2
    dataset.ImageOrientationPatient = [round(float(v), 10) for v in (*scanned.grid.row, *scanned.grid.column)]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (8, 8, 7) if export == "8-bit" else (16, 12, 11)
    dataset.PixelRepresentation = 0
    if export != "mr":
        dataset.RescaleIntercept = 0 if export == "8-bit" else INTERCEPT_HU
        dataset.RescaleSlope = 1
    return dataset


def _slice(series: Dataset, scanned: Scanned, index: int, voxels: np.ndarray, export: str) -> Dataset:
    dataset = Dataset()
    dataset.update(series)
    dataset.SOPInstanceUID = _uid(scanned, export, f"slice {index}")
    dataset.InstanceNumber = index + 1
    origin = scanned.grid.origins[index]
    dataset.ImagePositionPatient = [round(float(v), 6) for v in origin]
    dataset.SliceLocation = round(float(origin @ scanned.grid.normal), 6)
    if export == "8-bit":
        low, high = WINDOW_HU
        grey = np.clip((voxels.astype(np.float32) - low) * 255 / (high - low), 0, 255)
        dataset.PixelData = grey.astype(np.uint8).tobytes()
        dataset["PixelData"].VR = "OB"
    else:
        dataset.PixelData = (voxels.astype(np.int32) - INTERCEPT_HU).astype("<u2").tobytes()
        dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _uid(scanned: Scanned, export: str, what: str) -> UID:
    return generate_uid(entropy_srcs=[repr(scanned.anatomy), repr(scanned.scanner), export, what])
