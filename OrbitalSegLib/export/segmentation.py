"""Segmentations as 3D Slicer writes and reads them (`.seg.nrrd`), and plain label maps."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import output_error, write_image
from OrbitalSegLib.progress import Warn, unheard
from OrbitalSegLib.reading import must_exist
from OrbitalSegLib.reading.volumes import Warnings, open_volume
from OrbitalSegLib.structures import BONE, STRUCTURES, Structure

_TERM = (
    "Segmentation category and type - 3D Slicer General Anatomy list~{}~{}~^^~Anatomic codes - DICOM master list~^^~^^"
)
"""Category and type, as in Slicer's SegmentationCategoryTypeModifier-SlicerGeneralAnatomy.json."""

LABELS_AT_MOST = 128
"""An image with more different values than this is a scan, not a label map."""

LARGEST_LABEL = 1 << 24
"""Single precision holds whole numbers up to this; larger labels are told apart from smaller ones only."""

_COMPRESSION_LEVEL = 1
"""Masks are mostly long runs: higher levels take several times as long for a few per cent."""

_BINARY = "Binary labelmap"

_CONVERSION = "Smoothing factor|0.0|No smoothing: it would make holes in walls that are a voxel thick.&"
"""What Slicer makes a closed surface with; its own default of 0.5 loses walls that are one voxel thick."""

_EMPTY_EXTENT = (0, -1)


def write_segmentation(
    segments: dict[str, sitk.Image], path: Path, structures: Mapping[str, Structure] = STRUCTURES
) -> None:
    """Write masks (8 bits, 1 and 0) as a segmentation that 3D Slicer opens; the same input gives the same bytes.

    The keys of `segments` are names of `structures`; each becomes a segment of that ID in a layer of
    its own, because they overlap. Raises `ValueError` if their grids differ, `OutputError` if it cannot be written.
    """
    masks = list(segments.values())
    if not all(mask.IsSameImageGeometryAs(masks[0]) for mask in masks):
        raise ValueError("The segments are not on the same grid.")
    try:
        with path.open("wb") as file:
            file.write(_header(segments, structures))
            for block in _compressed(masks):
                file.write(block)
    except OSError as error:
        raise output_error(error, path.parent) from error


def write_label_map(mask: sitk.Image, path: Path) -> None:
    """Write a mask as unsigned 8 bits, 1 and 0, in the format that the name's ending says. Raises `OutputError`."""
    write_image(sitk.Cast(mask != 0, sitk.sitkUInt8), path)


def read_segmentation(
    path: Path,
    segment: str = BONE,
    header: str | None = None,
    warn: Warn = unheard,
) -> sitk.Image:
    """Return one segment of a segmentation, or a plain label map, as a mask: unsigned 8 bits, 1 and 0.

    Reads `.seg.nrrd` as 3D Slicer writes it, which may be smaller than the scan; `segment` is a name or an ID, in
    capitals or not. In a plain label map (NRRD, NIfTI, MHA) every value but 0 is the mask and `segment` means nothing.
    `header` is the part of the file's header that is believed where parts contradict each other; `warn` hears of what
    is to be said of the header. Raises `InputError` `no-such-input`, `unreadable`, `inconsistent` or
    `not-a-segmentation`.
    """
    image, warnings = _opened(path, header)
    for code, text in warnings:
        warn(code, text)
    described = _described_segments(image)
    if described:
        return _select(image, described, segment)
    return _mask_of_label_map(image)


def segment_ids(path: Path, header: str | None = None) -> set[str]:
    """The IDs and names of a segmentation's segments, in small letters; none of a plain label map.

    Raises as `read_segmentation`.
    """
    image, _ = _opened(path, header)
    return {key.casefold() for segment in _described_segments(image) for key in (segment.id, segment.name)}


def _opened(path: Path, header: str | None) -> tuple[sitk.Image, Warnings]:
    must_exist(path)
    if path.is_dir():
        raise InputError("not-a-segmentation", "This is a folder, not a segmentation: choose the segmentation's file.")
    return open_volume(path, header, _check_dimensions)


def _check_dimensions(reader: sitk.ImageFileReader) -> None:
    size = reader.GetSize()
    if len(size) < 3 or any(count > 1 for count in size[3:]):
        raise _not_a_segmentation("it is not a volume of three dimensions")


def _not_a_segmentation(reason: str) -> InputError:
    text = f"This is not a segmentation: {reason}. Give a .seg.nrrd of 3D Slicer or a label map of whole numbers."
    return InputError("not-a-segmentation", text)


def _header(segments: dict[str, sitk.Image], structures: Mapping[str, Structure]) -> bytes:
    masks = list(segments.values())
    grid = masks[0]
    columns = np.reshape(grid.GetDirection(), (3, 3)).T * np.reshape(grid.GetSpacing(), (3, 1))
    lines = [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        "# http://teem.sourceforge.net/nrrd/format.html",
        "type: unsigned char",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: {len(masks)} " + " ".join(str(size) for size in grid.GetSize()),
        "space directions: none " + " ".join(_vector(column) for column in columns),
        "kinds: list domain domain domain",
        "encoding: gzip",
        f"space origin: {_vector(grid.GetOrigin())}",
        "measurement frame: (1,0,0) (0,1,0) (0,0,1)",
    ]
    for index, (name, mask) in enumerate(segments.items()):
        lines += [f"Segment{index}_{key}:={value}" for key, value in _described(structures[name], mask, index).items()]
    lines += [
        f"Segmentation_ContainedRepresentationNames:={_BINARY}|",
        f"Segmentation_ConversionParameters:={_CONVERSION}",
        f"Segmentation_MasterRepresentation:={_BINARY}",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ]
    return ("\n".join(lines) + "\n\n").encode()


def _vector(values: Iterable[float]) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"


def _described(structure: Structure, mask: sitk.Image, layer: int) -> dict[str, str]:
    return {
        "Color": " ".join(f"{part:g}" for part in structure.colour),
        "ColorAutoGenerated": "0",
        "Extent": " ".join(str(edge) for edge in _extent(mask)),
        "ID": structure.name,
        "LabelValue": "1",
        "Layer": str(layer),
        "Name": structure.title,
        "NameAutoGenerated": "0",
        "Tags": f"TerminologyEntry:{term_of(structure)}|",
    }


def term_of(structure: Structure) -> str:
    """What a structure is, as Slicer writes it."""
    codes = ((scheme, value, meaning) for value, scheme, meaning in (structure.category, structure.code))
    return _TERM.format(*("^".join(code) for code in codes))


def _extent(mask: sitk.Image) -> list[int]:
    """First and last voxel of the mask along x, y and z."""
    array = sitk.GetArrayViewFromImage(mask)
    along_yx = array.any(axis=0)
    used = (along_yx.any(axis=0), along_yx.any(axis=1), array.any(axis=(1, 2)))
    return [
        edge
        for axis in used
        for edge in ((int(axis.argmax()), axis.size - 1 - int(axis[::-1].argmax())) if axis.any() else _EMPTY_EXTENT)
    ]


def _compressed(masks: list[sitk.Image]) -> Iterator[bytes]:
    """The voxels with the layer as the fastest axis, a slice at a time, as one gzip stream without a date."""
    arrays = [sitk.GetArrayViewFromImage(mask) for mask in masks]
    compressor = zlib.compressobj(_COMPRESSION_LEVEL, wbits=16 + zlib.MAX_WBITS)
    for slices in zip(*arrays, strict=True):
        yield compressor.compress(np.stack(slices, axis=-1).tobytes())
    yield compressor.flush()


@dataclass(frozen=True)
class _Segment:
    """Where a segment's voxels are: those of a layer that have a value."""

    id: str
    name: str
    layer: int
    value: int


def _described_segments(image: sitk.Image) -> list[_Segment]:
    """The segments in the order of the file. Files from before Slicer 4.11 have no layers: each segment is its own."""
    keys = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    if keys.get("Segmentation_MasterRepresentation", _BINARY) != _BINARY:
        raise _not_a_segmentation("its segments are not saved as binary label maps")
    segments = []
    for index in takewhile(lambda number: f"Segment{number}_ID" in keys, count()):
        prefix = f"Segment{index}_"
        identity = keys[prefix + "ID"]
        try:
            layer, value = int(keys.get(prefix + "Layer", index)), int(keys.get(prefix + "LabelValue", 1))
        except ValueError as error:
            raise _damaged() from error
        segments.append(_Segment(identity, keys.get(prefix + "Name", identity), layer, value))
    return segments


def _damaged() -> InputError:
    return InputError("unreadable", "The segmentation is damaged: its list of segments makes no sense; save it again.")


def _select(image: sitk.Image, segments: list[_Segment], wanted: str) -> sitk.Image:
    key = wanted.strip().casefold()
    found = next((s for s in segments if key in (s.id.casefold(), s.name.casefold())), None)
    if found is None:
        names = ", ".join(segment.name for segment in segments)
        text = f"The segmentation has no segment {wanted}; it has: {names}. Name one of these."
        raise InputError("not-a-segmentation", text)
    layers = image.GetNumberOfComponentsPerPixel()
    if not 0 <= found.layer < layers:
        raise _damaged()
    layer = sitk.VectorIndexSelectionCast(image, found.layer) if _is_vector(image) else image
    return layer == found.value


def _is_vector(image: sitk.Image) -> bool:
    return bool(image.GetPixelIDTypeAsString().startswith("vector"))


def _mask_of_label_map(labels: sitk.Image) -> sitk.Image:
    if _is_vector(labels):
        raise _not_a_segmentation("it has several values a voxel, and no names for them")
    if "complex" in labels.GetPixelIDTypeAsString():
        raise _not_a_segmentation("its values are complex numbers")
    values = sitk.GetArrayViewFromImage(labels)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or not np.array_equal(values, np.rint(values)):
            raise _not_a_segmentation("its values are not whole numbers, as in a scan")
        values = np.clip(values, -1, LARGEST_LABEL).astype(np.int32)
    if values.min() < 0:
        raise _not_a_segmentation("it has values below 0, as in a scan")
    if int(values.max()) > LARGEST_LABEL:
        values = np.minimum(values, LARGEST_LABEL)
    seen = np.zeros(int(values.max()) + 1, bool)
    seen[values] = True
    if seen.sum() > LABELS_AT_MOST:
        raise _not_a_segmentation("it has too many different values, as in a scan")
    return labels != 0
