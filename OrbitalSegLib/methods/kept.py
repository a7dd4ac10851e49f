"""The probabilities that a result kept, thresholded anew as often as one likes: no network runs again."""

from collections.abc import Mapping
from functools import cached_property, reduce

import SimpleITK as sitk

from OrbitalSegLib.images import mask_on_grid
from OrbitalSegLib.methods.by_networks import with_walls
from OrbitalSegLib.methods.method import Masks, split_by_value
from OrbitalSegLib.preprocessing import from_working, to_working, too_coarse, working_grid_of
from OrbitalSegLib.region import Region
from OrbitalSegLib.result_grid import GridChoice, asked_grid, is_finer
from OrbitalSegLib.structures import BONE, THIN, Structure, described

FULL = 255
"""The 8-bit value of a probability of 1."""


class KeptProbabilities:
    """Bone where the probability of any network is above its limit, on the result grid inside the region.

    What post-processing removed from a result or filled in it is not known here: with the result's own limits, these
    masks are the result before post-processing. Wall is not inferred anew.
    """

    def __init__(
        self,
        ct: sitk.Image,
        probabilities: dict[str, sitk.Image],
        region: Region,
        structures: Mapping[str, Structure] | None = None,
        grid: GridChoice = "auto",
    ) -> None:
        """`ct` is the scan, in HU; `probabilities` by field as section 6 of docs/contracts.md has them.

        `structures` are those that the result's record describes, by name.
        """
        self._of = {name: (structures or {}).get(name) or described(name) for name in probabilities}
        self._bones = [name for name, one in self._of.items() if one.kind == "seen"]
        working = next(iter(probabilities.values()))
        self._ct, coarse = ct, False
        if not isinstance(grid, str):
            self.grid = region.inner_part(to_working(ct, asked_grid(ct, grid, region)))
            """The grid of the masks."""
            fields = {name: from_working(field, self.grid) for name, field in probabilities.items()}
            coarse = too_coarse(self.grid, working)
        elif grid == "auto" and is_finer(working, ct):
            fields = {name: region.inner_part(field) for name, field in probabilities.items()}
            self.grid = next(iter(fields.values()))
        else:
            self.grid = region.inner_part(ct)
            fields = {name: from_working(field, self.grid) for name, field in probabilities.items()}
            coarse = too_coarse(self.grid, working)
        self._finer = [(name, probabilities[name]) for name in self._bones if coarse]
        """Of bone, where the grid of the masks is too coarse for walls: they are looked for on the finer one."""
        self._inside = None if region.box_mm is None else region.within(self.grid)
        self._fields = {name: sitk.GetArrayFromImage(field) for name, field in fields.items()}

    @cached_property
    def _hu(self) -> sitk.Image:
        """The scan on the grid of the masks."""
        if self.grid.GetSpacing() == self._ct.GetSpacing():
            return self.grid
        return to_working(self._ct, working_grid_of(self._ct, self.grid))

    def masks(self, limits: dict[str, float]) -> Masks:
        """`bone`, `cortical` and `thin`, and what else there is, with these limits of probability, by field."""
        found = {
            self._of[name].name: mask_on_grid(field > limits[name] * FULL, self.grid)
            for name, field in self._fields.items()
        }
        if self._bones:
            bone = reduce(sitk.Or, [found[self._of[name].name] for name in self._bones])
            found = {BONE: bone} | {name: mask for name, mask in found.items() if name != BONE}
        if self._finer:
            above = [sitk.Cast(field > limits[name] * FULL, sitk.sitkUInt8) for name, field in self._finer]
            found = with_walls(found, reduce(sitk.Or, above))
        if self._inside is not None:
            found = {name: mask & self._inside for name, mask in found.items()}
        return found if THIN in found or not self._bones else found | split_by_value(self._hu, found[BONE])
