"""What places of a patient are: LPS, in mm (docs/contracts.md, section 3)."""

from collections.abc import Sequence

Point = tuple[float, float, float]
"""x to the patient's left, y to the back, z to the head."""

Box = Sequence[float]
"""x0, x1, y0, y1, z0, z1: what lies between."""

Bounds = tuple[tuple[float, float], ...]
"""The same as lowest and highest x, y and z."""
