"""A small DICOM series whose headers say something."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIZE = 16
COUNT = 8


def write_series(folder: Path) -> dict[str, Path]:
    """Write it; returns the files by SOP Instance UID."""
    folder.mkdir()
    series, study = generate_uid(), generate_uid()
    files = {}
    for number in range(COUNT):
        uid = generate_uid()
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, uid
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"{number}.dcm"
        item = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        item.SOPClassUID, item.SOPInstanceUID = CTImageStorage, uid
        item.SeriesInstanceUID, item.StudyInstanceUID, item.FrameOfReferenceUID = series, study, study
        item.Modality, item.SeriesNumber, item.InstanceNumber = "CT", 1, number
        item.PatientName, item.PatientID = "Doe^Jane", "secret-4711"
        item.KVP, item.SliceThickness, item.ConvolutionKernel = 100, 0.6, "H31s"
        item.ImagePositionPatient, item.ImageOrientationPatient = [0, 0, 0.6 * number], [1, 0, 0, 0, 1, 0]
        item.PixelSpacing, item.Rows, item.Columns = [0.5, 0.5], SIZE, SIZE
        item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
        item.BitsAllocated = item.BitsStored = 16
        item.HighBit, item.PixelRepresentation = 15, 1
        item.RescaleSlope, item.RescaleIntercept = 1, -1024
        item.PixelData = np.tile(np.array([24, 2000], np.int16), (SIZE, SIZE // 2)).tobytes()
        pydicom.dcmwrite(path, item, enforce_file_format=True)
        files[str(uid)] = path
    return files
