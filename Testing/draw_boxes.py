"""Draw the boxes of both orbits over slices of a scan with a grid in mm, so that a person can judge or draw them.

    python Testing/draw_boxes.py SCAN PICTURE.png [NAME]

`SCAN` is anything that OrbitalSeg reads; `NAME` is a scan of Testing/real/reference_boxes.json, whose boxes are drawn
dashed beside those that `locate` finds. Needs matplotlib. Pictures of patients stay out of the repository.
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import SimpleITK as sitk

from OrbitalSegLib import reading
from OrbitalSegLib.locating import SIDES, locate

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

REFERENCES = Path(__file__).parent / "real" / "reference_boxes.json"
MM_PER_PIXEL = 0.5
MARGIN_MM = 15.0
WINDOW_HU = (-300, 900)
SLICES = 4
INK = {"right": "tab:orange", "left": "tab:cyan"}


def slice_hu(ct: sitk.Image, axis: int, at_mm: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The slice across an axis of the patient through `at_mm`, between two corners of the shown box."""
    size = np.ceil((high - low) / MM_PER_PIXEL).astype(int)
    origin = low.copy()
    size[axis], origin[axis] = 1, at_mm
    grid = (size.tolist(), sitk.Transform(), sitk.sitkLinear, origin.tolist(), [MM_PER_PIXEL] * 3)
    plane = sitk.Resample(ct, *grid, np.eye(3).ravel().tolist(), -1024, sitk.sitkFloat32)
    return np.squeeze(sitk.GetArrayFromImage(plane), axis=2 - axis)


def draw(ct: sitk.Image, boxes: list[tuple[str, str, np.ndarray]], path: Path) -> None:
    """`boxes` are side, line style and (3, 2) mm. Rows of the picture: axial, coronal, and sagittal slices."""
    everything = np.array([box for _, _, box in boxes])
    low, high = everything[..., 0].min(axis=0) - MARGIN_MM, everything[..., 1].max(axis=0) + MARGIN_MM
    figure, rows = plt.subplots(3, SLICES, figsize=(5 * SLICES, 13))
    for axis, row in zip((2, 1, 0), rows, strict=True):
        across, down = (other for other in range(3) if other != axis)
        inner = np.linspace(low[axis] + MARGIN_MM, high[axis] - MARGIN_MM, SLICES + 2)[1:-1]
        for panel, at_mm in zip(row, inner, strict=True):
            extent = (low[across], high[across], high[down], low[down])
            panel.imshow(
                slice_hu(ct, axis, at_mm, low, high), "gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], extent=extent
            )
            if axis != 2:
                panel.invert_yaxis()
            for side, style, box in boxes:
                if box[axis, 0] <= at_mm <= box[axis, 1]:
                    corner, size = box[[across, down], 0], np.diff(box[[across, down]])[:, 0]
                    panel.add_patch(Rectangle(corner, *size, fill=False, edgecolor=INK[side], linestyle=style))
            panel.set_title(f"{'xyz'[axis]} = {at_mm:.1f} mm", fontsize=8)
            panel.set_xticks(np.arange(np.ceil(low[across] / 10) * 10, high[across], 10))
            panel.set_yticks(np.arange(np.ceil(low[down] / 10) * 10, high[down], 10))
            panel.tick_params(labelsize=6, rotation=45)
            panel.grid(color="white", linewidth=0.2)
    figure.tight_layout()
    figure.savefig(path, dpi=70)


def main(scan: str, picture: str, name: str = "") -> None:
    ct = reading.read(Path(scan)).image
    boxes = []
    for side in SIDES:
        orbit = getattr(locate(ct), side)
        print(side, orbit.status, orbit.confidence, orbit.box_mm and [round(face, 1) for face in orbit.box_mm])
        if orbit.box_mm:
            boxes.append((side, "-", np.reshape(orbit.box_mm, (3, 2))))
    references = json.loads(REFERENCES.read_text())["boxes"].get(name, {})
    boxes += [(side, "--", np.reshape(box, (3, 2))) for side, box in references.items()]
    if not boxes:
        sys.exit("No orbit was found, and there is no reference to draw.")
    draw(ct, boxes, Path(picture))


if __name__ == "__main__":
    main(*sys.argv[1:])
