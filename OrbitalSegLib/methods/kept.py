"""The probabilities that a result kept, thresholded anew as often as one likes: no network runs again."""

from collections.abc import Mapping
from functools import reduce

import numpy as np
import SimpleITK as sitk

from OrbitalSegLib.images import mask_on_grid
from OrbitalSegLib.methods.by_networks import with_walls
from OrbitalSegLib.methods.method import Masks, split_by_value
from OrbitalSegLib.preprocessing import from_working, too_coarse
from OrbitalSegLib.region import Region
from OrbitalSegLib.structures import BONE, THIN, Structure, described

FULL = 255
"""The 8-bit value of a probability of 1."""


class KeptProbabilities:
    """Bone where the probability of any network is above its limit, on the scan grid inside the region.

    What post-processing removed from a result or filled in it is not known here: with the result's own limits, these
    masks are the result before post-processing. Wall is not inferred anew.
    """

    def __init__(
        self,
        ct: sitk.Image,
        probabilities: dict[str, sitk.Image],
        region: Region,
        structures: Mapping[str, Structure] | None = None,
    ) -> None:
        """`ct` is the scan, in HU; `probabilities` by field as section 6 of docs/contracts.md has them.

        `structures` are those that the result's record describes, by name.
        """
        self._of = {name: (structures or {}).get(name) or described(name) for name in probabilities}
        self._bones = [name for name, one in self._of.items() if one.kind == "seen"]
        self.grid = region.inner_part(ct)
        """The scan cut to the region."""
        self._inside = None if region.box_mm is None else region.within(self.grid)
        working = next(iter(probabilities.values()))
        self._working = working if too_coarse(self.grid, working) else None
        self._own = (
            []
            if self._working is None
            else [(name, sitk.GetArrayFromImage(probabilities[name])) for name in self._bones]
        )
        inside = 1 if self._inside is None else sitk.GetArrayFromImage(self._inside)
        self._fields = {
            name: sitk.GetArrayFromImage(from_working(field, self.grid)) * inside
            for name, field in probabilities.items()
        }

    def masks(self, limits: dict[str, float]) -> Masks:
        """`bone`, `cortical` and `thin`, and what else there is, with these limits of probability, by field."""
        found = {
            self._of[name].name: mask_on_grid(field > limits[name] * FULL, self.grid)
            for name, field in self._fields.items()
        }
        if not self._bones:
            return found
        found = {BONE: reduce(sitk.Or, [found[self._of[name].name] for name in self._bones])} | {
            name: mask for name, mask in found.items() if name != BONE
        }
        if self._working is not None:
            above = [field > limits[name] * FULL for name, field in self._own]
            own = mask_on_grid(np.logical_or.reduce(above), self._working)
            found = with_walls(found, own)
            if self._inside is not None:
                found = {name: mask & self._inside for name, mask in found.items()}
        return found if THIN in found else found | split_by_value(self.grid, found[BONE])
