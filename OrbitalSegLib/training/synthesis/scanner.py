"""A CT scanner: what a head becomes on the way to the hospital's archive."""

from dataclasses import asdict, dataclass

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.training.synthesis.draw import Draw
from OrbitalSegLib.training.synthesis.grids import Grid
from OrbitalSegLib.training.synthesis.settings import Settings

LOWEST_HU, HIGHEST_HU = -1024, 3071
"""12 bits [3532-2 7]."""

EDGE_WIDTH = 1.5
"""A bone kernel adds what a blur of this many point spreads takes away."""

STEPS_HU = (4, 8, 16)
"""Steps in which some scanners' archives keep values."""

STREAKS_PER_SLICE = 3
STREAK_HU = (8.0, 40.0)
METAL_STREAK_HU = (80.0, 500.0)
METAL_STREAKS = 16


@dataclass(frozen=True)
class DrawnScanner:
    """How one head is scanned."""

    pixel_mm: float
    slice_mm: float
    """Width of the slice profile, a box."""
    increment_mm: float
    """Distance of neighbouring slices."""
    point_spread_mm: float
    slice_blur_mm: float
    edge_gain: float
    """0 for a soft kernel."""
    noise_hu: float
    noise_grain_mm: float
    streaks: bool
    beam_hardening_hu: float
    shift_hu: float
    step_hu: int
    """1, or the step in which values are kept."""
    narrow: bool
    """Whether the round field of view cuts off the corners."""

    @classmethod
    def drawn(cls, draw: Draw, settings: Settings) -> "DrawnScanner":
        thin = draw.chance("thin slices", settings.thin_slice_share)
        lowest, highest = settings.slice_mm
        limit = min(max(settings.thin_slice_limit_mm, lowest), highest)
        slice_mm = draw.log_uniform("slice mm", (lowest, limit) if thin else (limit, highest))
        overlap = draw.uniform("overlap", settings.overlap)
        if not draw.chance("overlapping", 0.5) or slice_mm > settings.thin_slice_limit_mm:
            overlap = settings.overlap[1]
        far = draw.chance("far shift", settings.far_shift_share)
        bone_kernel = draw.chance("bone kernel", settings.bone_kernel_share)
        return cls(
            pixel_mm=draw.uniform("pixel mm", settings.pixel_mm),
            slice_mm=slice_mm,
            increment_mm=max(slice_mm * overlap, 0.4),
            point_spread_mm=draw.uniform("point spread mm", settings.point_spread_mm),
            slice_blur_mm=draw.uniform("slice blur mm", settings.slice_blur_mm),
            edge_gain=draw.uniform("edge gain", settings.edge_gain) if bone_kernel else 0.0,
            noise_hu=draw.log_uniform("noise hu", settings.noise_hu) if settings.noise_hu[0] > 0 else 0.0,
            noise_grain_mm=draw.uniform("noise grain mm", settings.noise_grain_mm),
            streaks=draw.chance("streaks", settings.streak_share),
            beam_hardening_hu=draw.uniform("beam hardening hu", settings.beam_hardening_hu),
            shift_hu=draw.uniform("shift hu", settings.far_shift_hu if far else settings.shift_hu),
            step_hu=draw.choice("step hu", STEPS_HU) if draw.chance("quantised", settings.quantised_share) else 1,
            narrow=draw.chance("narrow view", settings.narrow_view_share),
        )

    def facts(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class DrawnScan:
    """What the scanner gives, with and without noise and streaks: HU, signed 16 bits, on the scanner's grid."""

    ct: sitk.Image
    clean: sitk.Image


def scan(
    hu: np.ndarray, bone: np.ndarray, metal: np.ndarray, grid: Grid, scanner: DrawnScanner, draw: Draw
) -> DrawnScan:
    """Scan a head, given its HU, bone fraction and metal fraction on a fine grid.

    The slices begin at the grid's first voxel and end within it.
    """
    counts = [
        _count(grid, axis, step) for axis, step in enumerate((scanner.pixel_mm, scanner.pixel_mm, scanner.increment_mm))
    ]
    hardened = hu - _beam_hardening(bone, metal, scanner)
    clean = _reconstructed(hardened, grid, counts, scanner)
    noisy = clean + _noise(clean.shape, scanner, draw)
    if scanner.streaks:
        noisy += _streaks(clean.shape, scanner, draw)
    if metal.any():
        strength = draw.uniform("metal streak hu", METAL_STREAK_HU)
        noisy += strength * _metal_streaks(_reconstructed(metal, grid, counts, scanner), scanner, draw)
    return DrawnScan(_stored(noisy, grid, scanner), _stored(clean, grid, scanner, stepped=False))


def _count(grid: Grid, axis: int, step_mm: float) -> int:
    return int((grid.size[axis] - 1) * grid.spacing_mm / step_mm + 1e-6) + 1


def _reconstructed(hu: np.ndarray, grid: Grid, counts: list[int], scanner: DrawnScanner) -> np.ndarray:
    """Point spread, slice profile and kernel, at the middle of each of the scanner's voxels."""
    across = _profile(
        grid.size[2], grid.spacing_mm, counts[2], scanner.increment_mm, scanner.slice_blur_mm, scanner.slice_mm
    )
    slices = np.tensordot(across, hu, 1)
    result = _in_plane(slices, grid, counts, scanner, scanner.point_spread_mm)
    if scanner.edge_gain:
        wide_mm = scanner.point_spread_mm * float(np.hypot(1, EDGE_WIDTH))
        result += np.float32(scanner.edge_gain) * (result - _in_plane(slices, grid, counts, scanner, wide_mm))
    return result


def _in_plane(slices: np.ndarray, grid: Grid, counts: list[int], scanner: DrawnScanner, spread_mm: float) -> np.ndarray:
    x, y = (
        _profile(grid.size[axis], grid.spacing_mm, counts[axis], scanner.pixel_mm, spread_mm, 0.0) for axis in (0, 1)
    )
    return y @ (slices @ x.T)


def _profile(size: int, spacing_mm: float, count: int, step_mm: float, spread_mm: float, box_mm: float) -> np.ndarray:
    """How much each fine voxel gives to each of the scanner's: a Gaussian over a box, (scanner's, fine).

    A fine voxel is itself a box, whose variance is taken off the Gaussian's.
    """
    distance = np.arange(count)[:, None] * step_mm - np.arange(size) * spacing_mm
    spread = np.sqrt(max(spread_mm**2 - spacing_mm**2 / 12, (0.25 * spacing_mm) ** 2))
    offsets = np.linspace(-0.5, 0.5, 9)[:, None, None] * max(box_mm - spacing_mm, 0) if box_mm else np.zeros((1, 1, 1))
    weights = np.exp(-0.5 * ((distance + offsets) / spread) ** 2).sum(axis=0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _noise(shape: tuple[int, ...], scanner: DrawnScanner, draw: Draw) -> np.ndarray:
    """Gaussian noise that is correlated in the slice; a bone kernel's has few low frequencies."""
    if not scanner.noise_hu:
        return np.zeros(shape, np.float32)
    noise = draw.stream("noise").standard_normal(shape, np.float32)
    grain = scanner.noise_grain_mm / scanner.pixel_mm
    noise = _blurred(noise, grain)
    if scanner.edge_gain:
        noise -= np.float32(0.8) * _blurred(noise, 1.5 + grain)
    neighbours = scanner.slice_mm / scanner.increment_mm - 1
    if neighbours > 0.05:
        # Overlapping slices share rays.
        noise[1:] += np.float32(0.5 * neighbours) * noise[:-1]
    return noise * np.float32(scanner.noise_hu / noise[:: max(shape[0] // 8, 1)].std())


def _streaks(shape: tuple[int, ...], scanner: DrawnScanner, draw: Draw) -> np.ndarray:
    """Fans of faint lines, mostly from side to side, as dense bone beside the orbits leaves them."""
    random = draw.stream("streaks")
    strength = draw.uniform("streak hu", STREAK_HU)
    y, x = (np.arange(n, dtype=np.float32) * np.float32(scanner.pixel_mm) for n in shape[1:])
    streaks = np.zeros(shape, np.float32)
    for plane in streaks:
        for _ in range(random.integers(STREAKS_PER_SLICE + 1)):
            angle, width = random.normal(0, 0.4), random.uniform(0.8, 4)
            across = (y[:, None] - random.uniform(0, y[-1])) * np.float32(np.cos(angle)) + (x - x.mean()) * np.float32(
                np.sin(angle)
            )
            wave = np.exp(-0.5 * (across / np.float32(width)) ** 2) * np.cos(
                across * np.float32(random.uniform(0.3, 1.5))
            )
            plane += np.float32(random.normal(0, strength)) * wave
    return streaks


def _metal_streaks(metal: np.ndarray, scanner: DrawnScanner, draw: Draw) -> np.ndarray:
    """Bright and dark rays through metal, in the slices that hold some: -1 to 1."""
    random = draw.stream("metal streaks")
    streaks = np.zeros(metal.shape, np.float32)
    for plane, held in zip(streaks, metal, strict=True):
        if held.max() < 0.3:
            continue
        where = np.argwhere(held > 0.3)
        middle = where.mean(axis=0)
        y, x = (
            (np.arange(n) - m).astype(np.float32) * np.float32(scanner.pixel_mm)
            for n, m in zip(held.shape, middle, strict=True)
        )
        away = np.hypot(y[:, None], x[None, :]) + 1
        angle = np.arctan2(y[:, None], x[None, :])
        rays = sum(
            random.normal() * np.cos(n * angle + random.uniform(0, 2 * np.pi)) for n in range(2, METAL_STREAKS, 2)
        )
        amount = min(1.0, len(where) * scanner.pixel_mm**2 / 30)
        plane += np.float32(amount) * rays * np.exp(-away / np.float32(30)) / 2
    return streaks


def _beam_hardening(bone: np.ndarray, metal: np.ndarray, scanner: DrawnScanner) -> np.ndarray:
    """HU that are lost where much bone is around."""
    step = 8
    coarse = (bone + 4 * metal)[::step, ::step, ::step]
    around = coarse
    for axis in range(3):
        around = np.moveaxis(_blurred_axis(np.moveaxis(around, axis, -1), 3.0), -1, axis)
    fine = around.repeat(step, 0).repeat(step, 1).repeat(step, 2)[: bone.shape[0], : bone.shape[1], : bone.shape[2]]
    return np.float32(scanner.beam_hardening_hu) * fine / max(float(around.max()), 1e-3)


def _stored(hu: np.ndarray, grid: Grid, scanner: DrawnScanner, *, stepped: bool = True) -> sitk.Image:
    """What the archive keeps: shifted, clipped, whole numbers or steps, and padding beyond the field of view."""
    shifted = hu + np.float32(scanner.shift_hu)
    step = scanner.step_hu if stepped else 1
    values = np.clip(np.rint(shifted / step) * step, LOWEST_HU, HIGHEST_HU).astype(np.int16)
    if scanner.narrow:
        values[:, outside_view(values.shape[1:])] = LOWEST_HU
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((scanner.pixel_mm, scanner.pixel_mm, scanner.increment_mm))
    image.SetOrigin(grid.origin_mm)
    return image


def outside_view(shape: tuple[int, ...]) -> np.ndarray:
    """Pixels (rows, columns) beyond the round field of view, an ellipse that touches the edges."""
    y, x = (np.linspace(-1, 1, n) for n in shape)
    return np.hypot(y[:, None], x[None, :]) > 1


def _blurred(stack: np.ndarray, sigma_pixels: float) -> np.ndarray:
    """Every slice blurred in its plane."""
    if sigma_pixels < 0.1:
        return stack.copy()
    turned = np.swapaxes(_blurred_axis(stack, sigma_pixels), 1, 2)
    return np.swapaxes(_blurred_axis(turned, sigma_pixels), 1, 2)


def _blurred_axis(array: np.ndarray, sigma: float) -> np.ndarray:
    """Blurred along the last axis."""
    distance = np.arange(array.shape[-1])[:, None] - np.arange(array.shape[-1])
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return array @ (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32).T
