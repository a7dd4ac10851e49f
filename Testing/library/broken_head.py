"""A phantom whose left floor has a hole, with its bone by formula, for tests of what is broken."""

import SimpleITK as sitk

from OrbitalSegLib.cavity import Cavity, measure
from OrbitalSegLib.defects import Opening, openings_of
from OrbitalSegLib.locating import locate
from OrbitalSegLib.phantom import Anatomy, Scanner, bone_fraction, orbits_grid, scan

AREA_MM2 = 90.0
SCANNER = Scanner(
    matrix=175, pixel_mm=0.8, slice_thickness_mm=0.8, spacing_mm=0.8, height_mm=84.0, centre_mm=(0.0, 15.0, 0.0),
    noise_hu=5.0,
)  # fmt: skip


class BrokenHead:
    """The left floor has a hole; the bone is by formula."""

    def __init__(self) -> None:
        self.anatomy = Anatomy(fracture="floor", fracture_side="left", fracture_area_mm2=AREA_MM2)
        taken = scan(self.anatomy, SCANNER)
        self.ct = sitk.GetImageFromArray(taken.voxels)
        self.ct.SetSpacing([SCANNER.pixel_mm] * 2 + [SCANNER.spacing_mm])
        self.ct.SetOrigin(taken.grid.origins[0].tolist())
        self.bone = sitk.Cast(bone_fraction(self.anatomy, orbits_grid(self.anatomy, 0.4)) > 0.4, sitk.sitkUInt8)
        self.orbits = locate(self.ct)

    def measured(self, side: str, bone: sitk.Image | None = None) -> Cavity:
        """One orbit, in its own bone or in other bone."""
        found = measure(self.ct, self.bone if bone is None else bone, None, getattr(self.orbits, side))
        assert found is not None
        return found

    def openings(self, side: str, probability: sitk.Image | None = None) -> list[Opening]:
        probabilities = None if probability is None else {"thin": probability}
        return openings_of(self.measured(side), getattr(self.orbits, side), self.ct, self.bone, probabilities)

    def whole_bone(self) -> sitk.Image:
        """The same without the hole."""
        anatomy = Anatomy()
        return sitk.Cast(bone_fraction(anatomy, orbits_grid(anatomy, 0.4)) > 0.4, sitk.sitkUInt8)
