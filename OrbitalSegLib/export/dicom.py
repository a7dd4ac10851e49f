"""Results as DICOM for an archive, in the scan's study: a segmentation (highdicom), surfaces as Encapsulated STL."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, EncapsulatedSTLStorage, ExplicitVRLittleEndian, generate_uid

from OrbitalSegLib.dicom_files import save_dicom
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.headers import PATIENT_AND_STUDY, conceal, is_without_identity, named, unchecked
from OrbitalSegLib.files import writing
from OrbitalSegLib.methods import METHODS
from OrbitalSegLib.methods.method import FAMILIES, HISTOGRAM, NETWORKS
from OrbitalSegLib.product import NOTICE, PRODUCT, VERSION
from OrbitalSegLib.structures import STRUCTURES, Code, Structure

SEGMENTATION_SERIES, SURFACE_SERIES = 7301, 7302
"""Series numbers that scanners do not give."""

SEGMENTATION_FILE = "segmentation.dcm"

SAME_PLACE_MM = 1e-3
"""Slices this near to the planes of the scan grid are those planes. Readers want frames evenly spaced: slices that lie
a little off get positions of the grid's own."""

MILLIMETRE: Code = ("mm", "UCUM", "mm")
CAM_MODEL: Code = ("85040-4", "LN", "CT 3D CAM model")
SOURCE_IMAGE: Code = ("121324", "DCM", "Source image")


@dataclass(frozen=True)
class Algorithm:
    """What made a segmentation, as DICOM identifies it."""

    name: str
    """Of the method."""
    family: str
    """Of algorithms, a key of `FAMILIES`."""
    version: str
    parameters: dict[str, str]
    edited: bool = False
    """Whether a person changed the result."""


def algorithm_of(record: dict[str, Any]) -> Algorithm:
    """What a record says of how its segmentation was made."""
    step = next(step for step in record["steps"] if step["step"] == "segmenting")
    parameters = {name: str(value) for name, value in step["parameters"].items()}
    model = step["measured"].get("model")
    if model:
        parameters["model"] = f"{model['name']} {model['version']}"
    method = parameters.pop("method")
    family = METHODS[method].family if method in METHODS else NETWORKS if model else HISTOGRAM
    changes = record.get("edits", {}).get("segments", {}).values()
    edited = any(one["added_voxels"] or one["removed_voxels"] for one in changes)
    return Algorithm(method, family, record["product"]["version"], parameters, edited)


def check_can_write() -> None:
    """Raises `InputError` `needs-highdicom` where the package is missing."""
    if find_spec("highdicom") is None:
        raise InputError("needs-highdicom", "A DICOM segmentation needs highdicom: pip install 'orbitalseg[dicom]'.")


def write_dicom_segmentation(
    masks: dict[str, sitk.Image],
    headers: Sequence[Dataset],
    path: Path,
    algorithm: Algorithm,
    structures: Mapping[str, Structure] = STRUCTURES,
) -> None:
    """Write masks on the scan grid as a DICOM segmentation (binary) in the study of the source series.

    `headers` are those of the source's slices, as `headers.prepared` gives them, in the order of the scan grid's
    planes. Where the grid is the scanner's own, each frame refers to its source slice; where the scan was resampled (a
    tilted gantry), each frame carries its own position in the source's frame of reference. A segment without voxels is
    left out. Raises `InputError` `needs-highdicom`, `inconsistent` (headers that DICOM does not allow) and
    `OutputError`.
    """
    check_can_write()
    import highdicom as hd

    kept = {name: mask for name, mask in masks.items() if np.any(sitk.GetArrayViewFromImage(mask))}
    first = next(iter(kept.values()))
    segments = [_segment(hd, number, structures[name], algorithm) for number, name in enumerate(kept, 1)]
    sources = [_with_thickness(header, first) for header in headers]
    try:
        with warnings.catch_warnings(action="ignore"), unchecked():
            dataset = hd.seg.Segmentation(
                source_images=sources,
                pixel_array=np.stack([sitk.GetArrayFromImage(mask) for mask in kept.values()], axis=-1),
                segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=segments,
                series_instance_uid=generate_uid(),
                series_number=SEGMENTATION_SERIES,
                sop_instance_uid=generate_uid(),
                instance_number=1,
                manufacturer=PRODUCT,
                manufacturer_model_name=PRODUCT,
                software_versions=VERSION,
                device_serial_number="0",
                content_label="ORBITAL_BONE",
                content_description="Orbital bone; not a medical device",
                series_description=f"{PRODUCT} segmentation",
                **_geometry(hd, first, sources),
            )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(
            "inconsistent",
            f"No DICOM segmentation can be made of the scan's DICOM headers ({_cause(error)}): leave that output out.",
        ) from error
    # highdicom takes the header's slice distance where the pixels are the header's: that of a tilted table is another.
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence = _measures(hd, first)
    _save(dataset, headers, path)


def _save(dataset: Dataset, headers: Sequence[Dataset], path: Path) -> None:
    """Write a result of a scan with these headers, without any identity where they have none. Raises `OutputError`."""
    if is_without_identity(headers[0]):
        conceal(dataset)
    with writing(path.parent), unchecked():
        save_dicom(dataset, path)


def _cause(error: Exception) -> str:
    """The attribute by which highdicom fails, by its name in DICOM, or else what kind of error it is."""
    keyword = next((word for word in re.findall(r"\w+", str(error)) if tag_for_keyword(word)), None)
    return named(keyword) if keyword else type(error).__name__


def _segment(hd: Any, number: int, structure: Structure, algorithm: Algorithm) -> Any:
    types = hd.seg.SegmentAlgorithmTypeValues
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=structure.title,
        segmented_property_category=hd.sr.CodedConcept(*structure.category),
        segmented_property_type=hd.sr.CodedConcept(*structure.code),
        algorithm_type=types.SEMIAUTOMATIC if algorithm.edited else types.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=f"{PRODUCT} {algorithm.name}",
            family=hd.sr.CodedConcept(*FAMILIES[algorithm.family]),
            version=algorithm.version,
            source=PRODUCT,
            parameters=algorithm.parameters or None,
        ),
        tracking_uid=generate_uid(),
        tracking_id=f"{PRODUCT} {structure.name}",
        display_color=hd.color.CIELabColor.from_rgb(*(round(255 * part) for part in structure.colour)),
    )


def _with_thickness(header: Dataset, mask: sitk.Image) -> Dataset:
    """A header that highdicom takes; the thickness it asks for is replaced by the grid's own in what it makes."""
    if header.get("SliceThickness"):
        return header
    whole = Dataset()
    whole.update(header)
    whole.SliceThickness = mask.GetSpacing()[2]
    return whole


def _is_own_grid(mask: sitk.Image, headers: Sequence[Dataset]) -> bool:
    """Whether every plane of the grid is a slice of its own in the source."""
    if len(headers) != mask.GetSize()[2] or any("ImagePositionPatient" not in header for header in headers):
        return False
    places = np.array([mask.TransformIndexToPhysicalPoint((0, 0, index)) for index in range(len(headers))])
    stated = np.array([[float(value) for value in header.ImagePositionPatient] for header in headers])
    return bool(np.abs(places - stated).max() <= SAME_PLACE_MM)


def _geometry(hd: Any, mask: sitk.Image, headers: Sequence[Dataset]) -> dict[str, Any]:
    """Places, axes and sizes where they are the scan grid's own."""
    if _is_own_grid(mask, headers):
        return {}
    axes = np.reshape(mask.GetDirection(), (3, 3))
    return {
        "pixel_measures": _measures(hd, mask),
        "plane_positions": [
            hd.PlanePositionSequence("PATIENT", mask.TransformIndexToPhysicalPoint((0, 0, index)))
            for index in range(mask.GetSize()[2])
        ],
        "plane_orientation": hd.PlaneOrientationSequence("PATIENT", [*axes[:, 0], *axes[:, 1]]),
    }


def _measures(hd: Any, mask: sitk.Image) -> Any:
    columns_mm, rows_mm, slices_mm = mask.GetSpacing()
    return hd.PixelMeasuresSequence((rows_mm, columns_mm), slices_mm, slices_mm)


def write_dicom_surface(stl: Path, headers: Sequence[Dataset], path: Path, title: str) -> None:
    """Write an STL file (LPS, mm) as Encapsulated STL in the study and frame of reference of the source series.

    `headers` are those of `headers.prepared`. Raises `OutputError`.
    """
    header = headers[0]
    now = datetime.now().astimezone()
    dataset = Dataset()
    for keyword in ("SpecificCharacterSet", *PATIENT_AND_STUDY):
        if keyword in header:
            dataset[keyword] = header[keyword]
    dataset.SOPClassUID, dataset.SOPInstanceUID = EncapsulatedSTLStorage, generate_uid()
    dataset.Modality = "M3D"
    dataset.SeriesInstanceUID, dataset.SeriesNumber = generate_uid(), SURFACE_SERIES
    dataset.SeriesDescription = f"{PRODUCT} surface"
    dataset.FrameOfReferenceUID = header.FrameOfReferenceUID
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = dataset.ManufacturerModelName = PRODUCT
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "0", VERSION
    dataset.InstanceNumber = 1
    dataset.ContentDate, dataset.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.DocumentTitle = title
    dataset.ConceptNameCodeSequence = [_code(CAM_MODEL)]
    dataset.MIMETypeOfEncapsulatedDocument = "model/stl"
    dataset.MeasurementUnitsCodeSequence = [_code(MILLIMETRE)]
    dataset.ModelModification = "NO"
    dataset.ModelMirroring = "NO"
    dataset.ContentDescription = NOTICE[:64]
    dataset.SourceInstanceSequence = [_reference(source, SOURCE_IMAGE) for source in headers]
    series = Dataset()
    series.SeriesInstanceUID = header.SeriesInstanceUID
    series.ReferencedInstanceSequence = [_reference(source) for source in headers]
    dataset.ReferencedSeriesSequence = [series]
    content = stl.read_bytes()
    dataset.EncapsulatedDocumentLength = len(content)
    dataset.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _save(dataset, headers, path)


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _reference(source: Dataset, purpose: Code | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = UID(source.SOPClassUID)
    item.ReferencedSOPInstanceUID = UID(source.SOPInstanceUID)
    if purpose:
        item.PurposeOfReferenceCodeSequence = [_code(purpose)]
    return item
