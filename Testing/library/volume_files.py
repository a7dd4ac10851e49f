"""Volume files written byte by byte, so that their headers can say what no program would write.

What they hold is a head of sorts, with a block of bone at the patient's left, front and top.
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

SIZE = (16, 14, 12)
SPACING_MM = (1.0, 1.25, 1.5)
"""Along the patient's left-right, front-back and feet-head, however the voxels are stored."""
ORIGIN_MM = (-7.0, -9.0, 30.0)
BLOCK = (slice(9, 13), slice(2, 7), slice(6, 11))
"""x to the left, y to the back, z to the head."""
BLOCK_MM = (4.0, 6.25, 7.5)

TO_RAS = np.diag([-1.0, -1.0, 1.0])


def head() -> np.ndarray:
    """HU by x y z."""
    voxels = np.full(SIZE, -1000, np.int16)
    voxels[1:-1, 1:-1, 1:-1] = 40
    voxels[BLOCK] = 900
    return voxels


@dataclass
class Stored:
    """The head in some order of axes: voxels by i j k, and the affine map from i j k to LPS in mm."""

    voxels: np.ndarray
    axes_mm: np.ndarray
    origin_mm: np.ndarray
    letters: str = field(init=False)
    """Where each axis comes from, as ITK names it."""

    def __post_init__(self) -> None:
        names = ("RL", "AP", "IS")
        rows = np.abs(self.axes_mm).argmax(axis=0)
        self.letters = "".join(names[row][int(self.axes_mm[row, i] < 0)] for i, row in enumerate(rows))

    @property
    def spacing_mm(self) -> np.ndarray:
        return np.linalg.norm(self.axes_mm, axis=0)

    @property
    def directions(self) -> np.ndarray:
        return self.axes_mm / self.spacing_mm


def stored(order: tuple[int, ...] = (0, 1, 2), flips: tuple[bool, ...] = (False, False, False)) -> Stored:
    """The head with its axes in another order, some of them turned round; every voxel stays at its place."""
    voxels, axes, origin = head(), np.diag(SPACING_MM), np.array(ORIGIN_MM)
    voxels, axes = voxels.transpose(order), axes[:, list(order)]
    for axis, flip in enumerate(flips):
        if flip:
            origin = origin + axes[:, axis] * (voxels.shape[axis] - 1)
            axes = axes * np.where(np.arange(3) == axis, -1, 1)
            voxels = np.flip(voxels, axis)
    return Stored(voxels, axes, origin)


def is_right(image: sitk.Image) -> bool:
    """Whether the block is as large as it is, at the patient's left, front and top."""
    array = sitk.GetArrayFromImage(image).transpose(2, 1, 0) > 500
    if not array.any():
        return False
    places = np.argwhere(array)
    ends = [places.min(axis=0) - 0.5, places.max(axis=0) + 0.5]
    corners = np.array([image.TransformContinuousIndexToPhysicalPoint(end.tolist()) for end in ends])
    middle = image.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in image.GetSize()])
    towards = corners.mean(axis=0) - middle
    same_size = np.allclose(np.abs(corners[1] - corners[0]), BLOCK_MM, rtol=5e-3)
    return bool(same_size and towards[0] > 0 and towards[1] < 0 and towards[2] > 0)


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """b, c, d of a proper rotation, a not below 0."""
    squares = [1 + np.trace(rotation), *(1 + 2 * rotation[i, i] - np.trace(rotation) for i in range(3))]
    largest = int(np.argmax(squares))
    half = np.sqrt(squares[largest]) / 2
    r = rotation
    a_b_c_d = (
        (half, (r[2, 1] - r[1, 2]) / (4 * half), (r[0, 2] - r[2, 0]) / (4 * half), (r[1, 0] - r[0, 1]) / (4 * half)),
        ((r[2, 1] - r[1, 2]) / (4 * half), half, (r[0, 1] + r[1, 0]) / (4 * half), (r[0, 2] + r[2, 0]) / (4 * half)),
        ((r[0, 2] - r[2, 0]) / (4 * half), (r[0, 1] + r[1, 0]) / (4 * half), half, (r[1, 2] + r[2, 1]) / (4 * half)),
        ((r[1, 0] - r[0, 1]) / (4 * half), (r[0, 2] + r[2, 0]) / (4 * half), (r[1, 2] + r[2, 1]) / (4 * half), half),
    )[largest]
    return np.array(a_b_c_d[1:]) * (1 if a_b_c_d[0] >= 0 else -1)


def nifti(path: Path, it: Stored, order: str = "<", **lies: Any) -> Path:
    """Write a NIfTI-1. `lies`: qform and sform (axes in LPS mm), origin_mm, codes, pixdim, qfac, units, quaternion,
    slope, dims, intent, magic.
    """
    qform, sform = lies.get("qform", it.axes_mm), np.array(lies.get("sform", it.axes_mm))
    sizes = np.linalg.norm(qform, axis=0)
    rotation = TO_RAS @ (qform / sizes)
    qfac = 1.0 if np.linalg.det(rotation) > 0 else -1.0
    b_c_d = quaternion(rotation * [1, 1, qfac])
    origin = TO_RAS @ lies.get("origin_mm", it.origin_mm)
    values = it.voxels.astype(f"{order}{lies.get('dtype', 'i2')}")
    code, bits = {"i2": (4, 16), "f8": (64, 64), "u1": (2, 8)}[lies.get("dtype", "i2")]
    header = bytearray(352)
    struct.pack_into(f"{order}i", header, 0, 348)
    struct.pack_into(f"{order}8h", header, 40, *lies.get("dims", (3, *values.shape, 1, 1, 1, 1)))
    struct.pack_into(f"{order}3h", header, 68, lies.get("intent", 0), code, bits)
    pixdim = lies.get("pixdim", sizes)
    struct.pack_into(f"{order}8f", header, 76, lies.get("qfac", qfac), *pixdim, 0, 0, 0, 0)
    struct.pack_into(f"{order}3f", header, 108, 352, *lies.get("slope", (1, 0)))
    header[123] = lies.get("units", 2)
    struct.pack_into(f"{order}2h", header, 252, *lies.get("codes", (1, 1)))
    struct.pack_into(f"{order}6f", header, 256, *lies.get("quaternion", b_c_d), *origin)
    shifted = TO_RAS @ lies.get("sform_origin_mm", lies.get("origin_mm", it.origin_mm))
    rows = np.column_stack([TO_RAS @ sform, shifted])
    struct.pack_into(f"{order}12f", header, 280, *rows.ravel())
    header[344:348] = lies.get("magic", b"n+1\0")
    path.write_bytes(bytes(header) + values.tobytes(order="F"))
    return path


SPACES = {"left-posterior-superior": (1, 1, 1), "right-anterior-superior": (-1, -1, 1), "LAS": (1, -1, 1)}


def nrrd(path: Path, it: Stored, space: str | None = "left-posterior-superior", mm: float = 1.0, **lines: Any) -> Path:
    """Write an NRRD in one of the patient's spaces, or another one, whose unit is `mm` long. `lines`: further lines, or
    None for those that are left out.
    """
    turn = np.diag(SPACES.get(space or "", (1, 1, 1))) / mm
    axes, origin = turn @ it.axes_mm, turn @ it.origin_mm
    said = {
        "type": "short",
        "dimension": "3",
        "space": space,
        "sizes": " ".join(map(str, it.voxels.shape)),
        "space directions": " ".join(_vector(axis) for axis in axes.T),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": _vector(origin),
    } | {name.replace("_", " "): value for name, value in lines.items()}
    text = "".join(f"{name}: {value}\n" for name, value in said.items() if value is not None)
    path.write_bytes(f"NRRD0005\n{text}\n".encode() + it.voxels.astype("<i2").tobytes(order="F"))
    return path


def meta(path: Path, it: Stored, *more: str, mm: float = 1.0, **lines: Any) -> Path:
    """Write a MetaImage whose unit is `mm` long. `lines`: other lines, or None for those that are left out; `more`:
    whole lines, which may be repeated.
    """
    said = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "TransformMatrix": numbers(it.directions.T.ravel()),
        "Offset": numbers(it.origin_mm / mm),
        "AnatomicalOrientation": it.letters,
        "ElementSpacing": numbers(it.spacing_mm / mm),
        "DimSize": " ".join(map(str, it.voxels.shape)),
        "ElementType": "MET_SHORT",
    } | lines
    text = [f"{name} = {value}" for name, value in said.items() if value is not None]
    text += [*more, "ElementDataFile = LOCAL\n"]
    path.write_bytes("\n".join(text).encode() + it.voxels.astype("<i2").tobytes(order="F"))
    return path


def numbers(values: Any) -> str:
    """Numbers with spaces between them."""
    return " ".join(repr(float(value)) for value in values)


def _vector(values: Any) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"
