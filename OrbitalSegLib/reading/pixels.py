"""The stored values of a DICOM file's frames, whatever the transfer syntax, before they are rescaled to HU."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import encaps, uid
from pydicom.dataset import Dataset, FileMetaDataset

from OrbitalSegLib.dicom_files import PYDICOM_2, save_dicom
from OrbitalSegLib.errors import InputError, OrbitalSegError
from OrbitalSegLib.files import temporary_files
from OrbitalSegLib.reading.headers import dataset_of

COMPRESSED = (
    uid.RLELossless,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.UID("1.2.840.10008.1.2.4.57"),  # JPEG lossless: pydicom 2 gives its name to another one
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless,
    uid.JPEG2000,
)
"""The transfer syntaxes that the GDCM inside SimpleITK decodes. Every Slicer has it, unlike pydicom's decoders."""

JPEG_FRAMES = (0xFFC0, 0xFFC1, 0xFFC3, 0xFFF7)
"""Markers of the frame header: baseline, extended, lossless, JPEG-LS."""

J2K_START = 0xFF4FFF51
"""Start of codestream, and the size marker that must follow."""

SMALLEST_TILE = 16
"""Pixels along a side: smaller tiles are a damaged size marker, and cost memory for each."""

PIXELS = (
    "PixelData",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    *(f"{0x60000102 + (group << 17):08x}" for group in range(16)),
)
"""What decoding needs; the last are Overlay Bit Position, of drawings that lie in the pixels' unused bits."""


class DamagedPixels(Exception):
    """The pixels are cut off, or are not what the header says."""


@dataclass(frozen=True)
class StoredFrame:
    """One frame as stored, each (rows, columns)."""

    words: np.ndarray
    """Whole, with the bits that the header calls unused."""
    values: np.ndarray
    """What the stored bits say."""
    beyond: np.ndarray
    """Where the unused bits say something else than the value's sign."""
    above: int
    """The number of unused bits above the stored ones."""


def stored_frames(path: Path, frames: Sequence[int], private: Path) -> Iterator[StoredFrame]:
    """The given frames of a file.

    `private` is a folder for a decoder's files. Raises `DamagedPixels`, and `InputError` `unreadable` for a
    compression that cannot be read.
    """
    try:
        with path.open("rb") as file:
            dataset = dataset_of(file, PIXELS, pixels=True)
        syntax = dataset.file_meta.get("TransferSyntaxUID", uid.ImplicitVRLittleEndian)
        layout = _Layout(dataset)
        data = dataset.PixelData
    except Exception as error:
        raise DamagedPixels from error
    if dataset["PixelData"].is_undefined_length:
        if syntax not in COMPRESSED:
            raise InputError(
                "unreadable",
                "The series is stored in a compression that OrbitalSeg cannot read: export it uncompressed.",
            )
        for frame in frames:
            yield layout.frame(_decompress(layout, data, syntax, frame, private))
    else:
        big_endian = not (dataset.read_little_endian if PYDICOM_2 else dataset.original_encoding[1])
        for frame in frames:
            yield layout.frame(layout.native(data, frame, big_endian))


class _Layout:
    """How a header says that pixels are stored. Raises `DamagedPixels` or whatever a senseless header provokes."""

    def __init__(self, dataset: Dataset) -> None:
        self.rows, self.columns = int(dataset.Rows), int(dataset.Columns)
        self.frames = int(dataset.get("NumberOfFrames") or 1)
        self.allocated = int(dataset.BitsAllocated)
        self.stored = int(dataset.get("BitsStored") or self.allocated)
        self.high_bit = int(dataset.get("HighBit") or self.stored - 1)
        self.signed = int(dataset.get("PixelRepresentation") or 0) == 1
        stored_bits = range(self.high_bit + 1 - self.stored, self.high_bit + 1)
        positions = {int(item.value) for item in dataset if item.tag.group >> 8 == 0x60 and item.value is not None}
        self.drawn = sum(1 << place for place in positions if place < self.allocated and place not in stored_bits)
        """Unused bits that the header says an overlay is drawn in."""
        if (
            self.allocated not in (8, 16, 32)
            or not 1 <= self.stored <= self.high_bit + 1 <= self.allocated
            or int(dataset.get("SamplesPerPixel") or 1) != 1
            or min(self.rows, self.columns, self.frames) < 1
        ):
            raise DamagedPixels

    def native(self, data: bytes, frame: int, big_endian: bool) -> np.ndarray:
        """A frame of uncompressed data, of which there must be enough for all frames."""
        count = self.rows * self.columns
        size = count * self.allocated // 8
        if len(data) < size * self.frames:
            raise DamagedPixels
        kind = f"{'>' if big_endian else '<'}{'i' if self.signed else 'u'}{self.allocated // 8}"
        return np.frombuffer(data, kind, count, size * frame).reshape(self.rows, self.columns)

    def frame(self, words: np.ndarray) -> StoredFrame:
        """Whole words apart into the value and what stands around it."""
        words = words.astype(words.dtype.newbyteorder("="), copy=False) & ~np.array(self.drawn).astype(words.dtype)
        above, unused = self.allocated - 1 - self.high_bit, self.allocated - self.stored
        if not unused:
            return StoredFrame(words, words, np.zeros(words.shape, bool), 0)
        values = (words << above) >> unused
        below = unused - above
        beyond = words != values << below
        if not (~beyond & (values < 0)).any():  # a sign need not reach into the unused bits
            beyond &= words != (values & ((1 << self.stored) - 1)) << below
        return StoredFrame(words, values, beyond, above)


def _check_codestream(code: bytes, layout: _Layout, syntax: str) -> None:
    """Raises `DamagedPixels` or struct.error unless the frame's own header agrees with the file's.

    The decoders believe the frame's own header, and one of them crashes on some that are damaged.
    """
    if syntax == uid.RLELossless:
        count, *offsets = struct.unpack_from("<16L", code)
        planes = layout.allocated // 8
        if (
            count != planes
            or offsets[0] != 64
            or offsets[:count] != sorted(offsets[:count])
            or max(offsets) > len(code)
        ):
            raise DamagedPixels
        return
    if syntax in (uid.JPEG2000Lossless, uid.JPEG2000):
        marker, x1, y1, x0, y0, tile_x, tile_y, components, precision = struct.unpack_from(">L4x4L2L8xHB", code)
        columns, rows, bits = x1 - x0, y1 - y0, (precision & 0x7F) + 1
        if marker != J2K_START or min(tile_x, tile_y) < min(SMALLEST_TILE, columns, rows):
            raise DamagedPixels
    else:
        bits, rows, columns, components = _jpeg_frame(code)
    if (rows, columns, components) != (layout.rows, layout.columns, 1) or not 2 <= bits <= layout.allocated:
        raise DamagedPixels


def _jpeg_frame(code: bytes) -> tuple[int, int, int, int]:
    """Precision, rows, columns and components of a JPEG or JPEG-LS frame."""
    place = 2
    while True:
        marker, length = struct.unpack_from(">HH", code, place)
        if marker in JPEG_FRAMES:
            return struct.unpack_from(">BHHB", code, place + 4)
        if marker >> 8 != 0xFF or length < 2:
            raise DamagedPixels
        place += 2 + length


def _code_of(data: bytes, frame: int, frames: int) -> bytes:
    """A frame as it is coded."""
    if PYDICOM_2:
        return next(islice(encaps.generate_pixel_data_frame(data, frames), frame, None))
    return encaps.get_frame(data, frame, number_of_frames=frames)


def _decompress(layout: _Layout, data: bytes, syntax: str, frame: int, private: Path) -> np.ndarray:
    """Decode one frame with GDCM, from a file of its own without rescale attributes, so that stored values return."""
    single = Dataset()
    single.Rows, single.Columns = layout.rows, layout.columns
    single.BitsAllocated = single.BitsStored = layout.allocated  # or the decoder cuts off what stands beyond
    single.HighBit, single.PixelRepresentation = layout.allocated - 1, int(layout.signed)
    single.SamplesPerPixel, single.PhotometricInterpretation = 1, "MONOCHROME2"
    single.SOPClassUID, single.SOPInstanceUID = uid.SecondaryCaptureImageStorage, "1.2.3"
    single.Modality = "OT"
    single.file_meta = FileMetaDataset()
    single.file_meta.TransferSyntaxUID = syntax
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    path = private / "frame.dcm"
    reader.SetFileName(str(path))
    try:
        code = _code_of(data, frame, layout.frames)
        _check_codestream(code, layout, syntax)
        single.PixelData = encaps.encapsulate([code])
        file = BytesIO()  # as pydicom's own word for a full disk does not tell that it is one
        save_dicom(single, file)
        with temporary_files():
            path.write_bytes(file.getvalue())
        values = sitk.GetArrayFromImage(reader.Execute())
    except OrbitalSegError:
        raise
    except Exception as error:
        raise DamagedPixels from error
    if values.shape != (1, layout.rows, layout.columns) or values.dtype.itemsize * 8 != layout.allocated:
        raise DamagedPixels
    return values[0]
