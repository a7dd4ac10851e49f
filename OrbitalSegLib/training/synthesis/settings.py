"""What a synthetic head and its scan may be: a range for everything that is drawn."""

from dataclasses import dataclass, replace
from typing import Literal, Self

Range = tuple[float, float]
"""Lowest and highest value. Equal ends pin the value, and nothing else that is drawn changes with it."""

Herniation = Literal["flat", "fat", "muscle", "blood", "air", "trapdoor"]
"""What a blow-out leaves: nothing but the hole; orbital fat that sags into the sinus; a muscle in that fat; blood in
its place; sinus air that enters the orbit; or fat under the plate of bone, which hangs on one edge."""

HERNIATIONS: tuple[Herniation, ...] = ("flat", "fat", "muscle", "blood", "air", "trapdoor")

ContentOfSinus = Literal["air", "lined", "fluid", "full"]
"""Air with hardly a lining; thickened mucosa; a fluid level; no air at all."""


@dataclass(frozen=True)
class FilledSinuses:
    """Sinuses that are full, besides those that `Settings.full_share` and `fluid_share` make: maxillary, ethmoid,
    frontal and sphenoid sinus of each side by itself, as far as a template has them."""

    share: float
    """Of these sinuses."""
    hu: Range = (10.0, 95.0)
    """Fluid, mucus or blood."""
    homogeneous_share: float = 0.6
    level_share: float = 0.2
    """Of the filled ones, those with air above the fluid."""


@dataclass(frozen=True)
class Markers:
    """Radio-opaque markers, wires and tubes outside the skin."""

    share: float
    """Of the heads."""
    number: tuple[int, int] = (1, 6)
    hu: Range = (150.0, 2500.0)
    """Drawn on a logarithmic scale."""
    radius_mm: Range = (0.6, 5.5)
    """The same; a tube's is the half."""
    off_share: float = 0.3
    """Of the markers, those that stand off the skin."""
    gap_mm: Range = (0.5, 12.0)
    """How far these are from it."""


@dataclass(frozen=True)
class Settings:
    """Ranges (low, high) of what `synthesize` draws; shares are probabilities.

    The defaults of walls are calibrated on unlabelled real scans (see `calibration.py`); those of tissues are usual
    densities in CT; those of the scanner span clinical head CT, wider than table A.1 allows [3532-2 A].
    """

    # The volume
    size_mm: tuple[float, float, float] = (100.0, 90.0, 90.0)
    """Left to right, front to back, down to up."""
    centre: Literal["both", "right", "left", "any"] = "any"
    """Which orbits are in the middle of the volume."""
    offset_mm: Range = (-14.0, 14.0)
    """How far the middle lies from there, along each axis."""
    far_share: float = 0.15
    """Volumes that lie 20 to 32 mm lower or higher: teeth, vault."""

    # The shape of the head
    rotation_degrees: Range = (-16.0, 16.0)
    """About the front-to-back and the up-down axis."""
    nod_degrees: Range = (-25.0, 25.0)
    """About the left-to-right axis: chin up or down."""
    scale: Range = (0.86, 1.16)
    """Along each axis, drawn one by one."""
    deformation_mm: Range = (0.5, 3.0)
    """Standard deviation of the smooth displacement that makes another face, and an asymmetric one."""
    ripple_mm: Range = (0.05, 0.35)
    """The same for unevenness over a few mm."""
    mirror_share: float = 0.5

    # Walls, thickness in mm on the scanned head
    wall_mm: Range = (0.15, 0.9)
    """Floor and medial wall, most of them; drawn on a logarithmic scale."""
    thicker_wall_mm: Range = (0.9, 1.6)
    thicker_share: float = 0.2
    roof_mm: Range = (0.15, 1.0)
    lateral_mm: Range = (0.4, 2.4)
    sinus_wall_mm: Range = (0.2, 1.2)
    """Between a sinus and the face or the brain."""
    septum_mm: Range = (0.08, 0.8)
    wall_variation: Range = (0.5, 1.0)
    """Standard deviation of the logarithm of the thickness along a wall."""
    thickest_edge_mm: Range = (0.0, 0.5)
    """What a wall gains where it runs into thick bone."""
    solid_shift_mm: Range = (-0.3, 0.3)
    """How far the surface of thick bone lies inside the template's."""

    # Bone, HU
    cortical_hu: Range = (750.0, 1900.0)
    thin_hu: Range = (500.0, 1200.0)
    trabecular_hu: Range = (120.0, 600.0)
    trabecular_texture_hu: Range = (20.0, 160.0)
    cortical_mm: Range = (0.8, 2.6)
    newborn_share: float = 0.05
    """Heads with soft bone: cortical bone 250 to 600 HU, thin bone 150 to 400 HU."""

    # Soft tissue
    fat_hu: Range = (-125.0, -70.0)
    muscle_hu: Range = (30.0, 75.0)
    brain_hu: Range = (22.0, 45.0)
    mucosa_hu: Range = (10.0, 60.0)
    water_hu: Range = (0.0, 25.0)
    enhanced_share: float = 0.15
    """Heads with contrast agent: muscle and mucosa 30 to 90 HU brighter."""
    oedema_share: float = 0.3
    """Orbits whose fat is stranded or bloody."""
    fat_share: Range = (0.2, 0.75)
    """How much of the soft face is fat."""

    # Sinuses
    lined_share: float = 0.45
    fluid_share: float = 0.15
    full_share: float = 0.1
    lining_mm: Range = (0.1, 1.0)
    """Mucosa on the wall where a sinus is counted as air."""
    thickened_mm: Range = (0.5, 6.0)
    septa: tuple[int, int] = (0, 0)
    """How many flat septa cut through the sinuses, besides the template's."""
    cells: tuple[int, int] = (0, 0)
    """How many round cells are set into the sinuses, at random places of the volume, besides the template's."""
    cell_mm: Range = (2.5, 8.0)
    """Radius of such a cell."""
    nasal_lining_mm: Range = (0.8, 5.0)
    """Mucosa of nose and turbinates."""
    filled: FilledSinuses | None = None
    """What fills whole sinuses; none: nothing besides the above."""

    # Fractures
    fracture_share: float = 0.5
    holes: tuple[int, int] = (1, 3)
    """How many holes a fractured head has."""
    hole_mm: Range = (2.0, 20.0)
    """Diameter; drawn on a logarithmic scale."""
    herniations: tuple[Herniation, ...] = HERNIATIONS
    herniation_depth: Range = (0.2, 1.0)
    """How far content passes the wall, in hole radii."""

    # What else is in the picture
    metal_share: float = 0.12
    teeth_metal_share: float = 0.3
    holder_share: float = 0.4
    markers: Markers | None = None
    """What lies on the skin; none: nothing."""

    # The scanner
    pixel_mm: Range = (0.35, 1.0)
    slice_mm: Range = (0.5, 3.0)
    """Thickness of a slice, a box."""
    thin_slice_share: float = 0.7
    """Scans whose slices are no thicker than `thin_slice_limit_mm`."""
    thin_slice_limit_mm: float = 1.25
    overlap: Range = (0.5, 1.0)
    """Slice distance over slice thickness, for thin slices half of which overlap; others touch."""
    point_spread_mm: Range = (0.28, 0.7)
    """Standard deviation in the slice, of a soft kernel; a bone kernel then gives back what it can."""
    slice_blur_mm: Range = (0.15, 0.4)
    """Standard deviation across the slice, besides its thickness."""
    bone_kernel_share: float = 0.45
    edge_gain: Range = (0.3, 1.8)
    """Of a bone kernel: how much of the detail it adds."""
    noise_hu: Range = (4.0, 60.0)
    noise_grain_mm: Range = (0.0, 0.7)
    """Correlation of the noise, standard deviation of a Gaussian."""
    streak_share: float = 0.35
    beam_hardening_hu: Range = (0.0, 30.0)
    shift_hu: Range = (-15.0, 15.0)
    far_shift_share: float = 0.1
    """Scans whose values are off by up to `far_shift_hu`."""
    far_shift_hu: Range = (-50.0, 50.0)
    quantised_share: float = 0.12
    """Scans whose values are multiples of 4 to 16 HU."""
    narrow_view_share: float = 0.1
    """Scans whose round field of view cuts off the volume's corners."""

    def with_wall(self, thickness_mm: float) -> Self:
        """The same with orbital walls and septa of one thickness everywhere."""
        pinned = (thickness_mm, thickness_mm)
        return replace(
            self, wall_mm=pinned, roof_mm=pinned, thicker_share=0.0, wall_variation=(0.0, 0.0),
            thickest_edge_mm=(0.0, 0.0), newborn_share=0.0,
        )  # fmt: skip

    def with_hole(self, diameter_mm: float, herniation: Herniation) -> Self:
        """The same with one hole of this size in every head."""
        return replace(
            self, fracture_share=1.0, holes=(1, 1), hole_mm=(diameter_mm, diameter_mm), herniations=(herniation,)
        )
