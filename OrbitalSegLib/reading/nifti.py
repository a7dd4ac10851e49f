"""A NIfTI's voxels, and what its header says of where they lie: qform, sform, pixdim, unit, held against each other.

The NIfTI standard: with a code above 0 the qform (a rotation by a quaternion, sizes from pixdim) and the sform (an
affine map) each give places in RAS; the sform is the more general one. Without a code there are sizes only. Readers
differ in which one they take, and some take the sform's directions with pixdim's sizes: so it is decided here. The
voxels are read here too, since ITK makes 0 HU of what is no number, and takes those of `ct.nii` for a `ct.nii.gz` that
lies beside it.
"""

import gzip
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.reading.frames import (
    SAME_SIZE,
    UNKNOWN,
    Frame,
    Stated,
    chosen,
    contradiction,
    decided,
    in_mm,
    relation,
    without_size,
)

KIND = "NIfTI"

UNITS = {1: "m", 2: "mm", 3: "um"}
"""The three lowest bits of xyzt_units."""

SPATIAL_UNIT_BITS = 0x07

FIRST_TEMPLATE_CODE = 3
"""Codes from here on mean places in a standard brain (Talairach, MNI), not in the patient."""

LARGEST_QUATERNION = 1.01
"""The square of a rotation's quaternion without its first part is at most 1, but for rounding."""

STATISTICS = range(2, 25)
VECTORS = (*range(1003, 1010), *range(2001, 2006))
"""Intent codes of values that are neither numbers of a scan nor labels."""

TO_LPS = np.diag([-1.0, -1.0, 1.0])

TYPES = {
    **{2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1"},
    **{512: "u2", 768: "u4", 1024: "i8", 1280: "u8"},
}
"""Of a voxel, by the number that a header gives it: whole numbers, and those with a point."""

SMALLEST_HEADER, HEADER_BYTES = 348, 544
LEAST_OFFSET, LEAST_OFFSET_2, LARGEST_OFFSET = 352, 544, 1 << 30
"""Where voxels begin at the earliest, in NIfTI-1 and NIfTI-2, and at the latest in a file that is whole."""

UNIT_UNKNOWN = (
    "unit-unknown",
    "The NIfTI header does not say in which unit its lengths are: they were taken as mm, so check a length.",
)
TEMPLATE_SPACE = (
    "template-space",
    "The NIfTI header gives places in a standard brain: sizes may not be the patient's, so check a length.",
)


@dataclass(frozen=True, eq=False)
class _Header:
    size: tuple[int, ...]
    pixdim: np.ndarray
    """(4,): qfac, and the sizes along the three indices."""
    unit: int
    codes: tuple[int, int]
    """Of qform and sform; 0 and below: there is none."""
    quaternion: np.ndarray
    offset: np.ndarray
    sform: np.ndarray
    """(3, 4), RAS."""
    intent: int
    stored: np.dtype
    offset_bytes: float
    """Where the voxels begin."""
    scale: tuple[float, float]
    """Slope and intercept; a slope of 0, or one that is no number, is none."""

    @classmethod
    def of(cls, path: Path) -> "_Header":
        """Raises `OSError`, `EOFError`, `zlib.error`, `struct.error` or `KeyError` where there is no whole header."""
        with _opened(path) as file:
            data = file.read(HEADER_BYTES)
        order = next((order for order in "<>" if struct.unpack_from(f"{order}i", data)[0] in (348, 540)), None)
        if order is None:
            raise struct.error("no NIfTI")

        def at(offset: int, kinds: str) -> tuple[float, ...]:
            return struct.unpack_from(order + kinds, data, offset)

        if struct.unpack_from(f"{order}i", data)[0] == 540:
            size, pixdim, codes = at(16, "8q"), at(104, "4d"), at(344, "2i")
            quaternion, offset, rows = at(352, "3d"), at(376, "3d"), at(400, "12d")
            unit, intent = at(500, "i")[0], at(504, "i")[0]
            kind, begin, scale, least = at(12, "h")[0], at(168, "q")[0], at(176, "2d"), LEAST_OFFSET_2
        else:
            said = data[344:347] in (b"n+1", b"ni1")  # else Analyze, which has other things in these places
            size, pixdim, codes = at(40, "8h"), at(76, "4f"), at(252, "2h") if said else (0, 0)
            quaternion, offset, rows = at(256, "3f"), at(268, "3f"), at(280, "12f")
            unit, intent = data[123] if said else 0, at(68, "h")[0] if said else 0
            kind, begin, scale = at(70, "h")[0], at(108, "f")[0], at(112, "2f") if said else (0.0, 0.0)
            least = LEAST_OFFSET if data[344:347] == b"n+1" else 0
        return cls(
            tuple(int(count) for count in size[1:4]),
            np.array(pixdim),
            int(unit) & SPATIAL_UNIT_BITS,
            (max(int(codes[0]), 0), max(int(codes[1]), 0)),
            np.array(quaternion),
            np.array(offset),
            np.reshape(rows, (3, 4)),
            int(intent),
            np.dtype(f"{order}{TYPES.get(int(kind), 'V1')}"),
            max(float(begin), least),
            (scale[0], scale[1]),
        )

    @property
    def sizes_are_given(self) -> bool:
        return bool(np.isfinite(self.pixdim[1:]).all() and (self.pixdim[1:] > 0).all())

    def by_qform(self) -> Frame | None:
        """None where there is none, or it is no rotation with sizes."""
        square = float(self.quaternion @ self.quaternion)
        if not self.codes[0] or not self.sizes_are_given or not square <= LARGEST_QUATERNION:
            return None
        b, c, d = self.quaternion / max(np.sqrt(square), 1.0)
        a = np.sqrt(max(1.0 - min(square, 1.0), 0.0))
        rotation = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ]
        )
        sizes = self.pixdim[1:] * [1, 1, -1 if self.pixdim[0] < 0 else 1]
        frame = Frame(TO_LPS @ rotation * sizes, TO_LPS @ self.offset)
        return frame if frame.is_valid else None

    def by_sform(self) -> Frame | None:
        """None where there is none, or it gives no places."""
        frame = Frame(TO_LPS @ self.sform[:, :3], TO_LPS @ self.sform[:, 3])
        return frame if self.codes[1] and frame.is_valid else None


def stated(path: Path, wanted: str | None) -> Stated:
    """What the header of a NIfTI says; `wanted` is the part that is believed where parts contradict each other.

    Raises `InputError` `inconsistent` and `not-hu`, and what `_Header.of` raises.
    """
    header = _Header.of(path)
    if header.intent in STATISTICS or header.intent in VECTORS:
        raise InputError(
            "not-hu", "The NIfTI header says that the values are statistics or vectors: export the original CT series."
        )
    frame, warnings = _placed(header, wanted)
    unit = UNITS.get(header.unit, None if header.unit == 0 else f"number {header.unit}")
    frame, converted = in_mm(frame, unit, KIND, wanted)
    if header.unit == 0:
        converted = (*converted, UNIT_UNKNOWN)
    return Stated(frame, (*warnings, *converted))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    """What a file holds, packed or not, whatever its name says."""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        if not packed:
            yield plain
            return
        with gzip.GzipFile(fileobj=plain) as file:
            yield file


def voxels(path: Path) -> np.ndarray:
    """The values of a NIfTI of three dimensions, (k, j, i), scaled where its header says so.

    Raises as `_Header.of`, and `ValueError` for a file that is cut off or whose voxels lie elsewhere.
    """
    header = _Header.of(path)
    if min(header.size) < 1 or not SMALLEST_HEADER <= header.offset_bytes < LARGEST_OFFSET:
        raise ValueError("no place of voxels")
    count = int(np.prod(header.size, dtype=float))
    with _opened(path) as file:
        file.read(int(header.offset_bytes))
        data = file.read(count * header.stored.itemsize)
        while file.read(1 << 22):  # to its end, where a packed file tells whether it is whole
            pass
    values = np.frombuffer(data, header.stored, count).reshape(header.size[::-1])
    values = values.astype(header.stored.newbyteorder("="), copy=False)
    slope, intercept = header.scale
    if not np.isfinite(slope) or slope == 0 or (slope, intercept) == (1, 0):
        return values
    if not np.isfinite(intercept):
        raise ValueError("no scale of values")
    scaled = np.empty(values.shape, np.float64 if values.dtype == np.float64 else np.float32)
    for plane, said in zip(scaled, values, strict=True):
        plane[:] = said * float(slope) + float(intercept)
    return scaled


def _placed(header: _Header, wanted: str | None) -> tuple[Frame, list[tuple[str, str]]]:
    """The frame in the header's own unit, and what is said of it."""
    qform, sform = header.by_qform(), header.by_sform()
    if not any(header.codes):
        if not header.sizes_are_given:
            raise without_size(KIND)
        return Frame(np.diag(header.pixdim[1:]), np.zeros(3)), [UNKNOWN]
    if qform is None and sform is None:
        raise InputError(
            "inconsistent",
            "The NIfTI header gives numbers for its qform or sform that are no place of voxels: export the original CT "
            "as DICOM.",
        )
    if sform is None:
        assert qform is not None
        return qform, [*_alone(header.codes[0]), *_lost(header, "sform", 1), *_qfac(header)]
    if qform is None:
        frame, warnings = _sized(header, sform, wanted)
        return frame, [*warnings, *_alone(header.codes[1]), *_lost(header, "qform", 0)]
    how = relation(qform, sform, header.size)
    if how == "same":
        return sform, _alone(min(header.codes))
    if how == "moved":
        name, frame = ("qform", qform) if wanted == "qform" else ("sform", sform)
        if wanted in ("qform", "sform"):
            return frame, [chosen(name, KIND)]
        return sform, [decided(KIND, "qform and sform turn or shift the patient differently; the sform was taken")]
    if wanted in ("qform", "sform"):
        return (qform if wanted == "qform" else sform), [chosen(wanted, KIND)]
    raise contradiction(KIND, {"qform": qform.described, "sform": sform.described}, ("qform", "sform"))


def _sized(header: _Header, sform: Frame, wanted: str | None) -> tuple[Frame, list[tuple[str, str]]]:
    """The sform where it stands alone, held against the sizes in pixdim."""
    sizes = np.abs(header.pixdim[1:])
    if not np.isfinite(sizes).all() or not sizes.all():
        return sform, [decided(KIND, "its pixdim gives no size of a voxel; that of the sform was taken")]
    if np.abs(sform.spacing_mm / sizes - 1).max() <= SAME_SIZE:
        negative = bool((header.pixdim[1:] < 0).any())
        return sform, [decided(KIND, "its pixdim has sizes below 0; the sform was taken")] if negative else []
    by_pixdim = Frame(sform.directions * sizes, sform.origin_mm)
    if wanted in ("sform", "pixdim"):
        return (sform if wanted == "sform" else by_pixdim), [chosen(wanted, KIND)]
    raise contradiction(KIND, {"sform": sform.described, "pixdim": by_pixdim.described}, ("sform", "pixdim"))


def _alone(code: int) -> list[tuple[str, str]]:
    """What is said where nothing but places in a standard brain is given."""
    return [TEMPLATE_SPACE] if code >= FIRST_TEMPLATE_CODE else []


def _lost(header: _Header, name: str, index: int) -> list[tuple[str, str]]:
    """What is said of a form that has a code and makes no sense."""
    other = {"sform": "qform", "qform": "sform"}[name]
    what = f"its {name} is no place of voxels; the {other} was taken"
    return [decided(KIND, what)] if header.codes[index] else []


def _qfac(header: _Header) -> list[tuple[str, str]]:
    """What is said where the number that mirrors the slices is none, and no sform confirms what it stands for."""
    if abs(header.pixdim[0]) == 1:
        return []
    return [decided(KIND, "its qfac is neither 1 nor -1; its sign was taken, and 1 for none")]
