"""What a person does to the panel and to its segments, and what is then there."""

import numpy as np
import qt

from OrbitalSegPanel import segments


def choose(box, value):
    box.setCurrentIndex(box.findData(value))


def export_check(panel, name: str):
    """The box to tick for the export of a structure."""
    return panel.ui.exportSegmentsBox.findChild(qt.QCheckBox, f"export_{name}")


def voxels(node, identity: str) -> int:
    return int(segments.array_of(segments.label_map(node, identity)).sum())


def node_names(scene) -> list[str]:
    return sorted(scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes()))


def edit(node) -> None:
    """Empty one slice of the bone, through the editor's own logic."""
    labels = segments.label_map(node, "bone")
    array = segments.array_of(labels).astype(np.uint8)
    array[0] = 0
    segments.set_voxels(node, "bone", array, shifted(labels))


def shifted(labels):
    matrix, extent = segments.image_to_ras(labels), labels.GetExtent()
    matrix[:3, 3] += matrix[:3, :3] @ (extent[0], extent[2], extent[4])
    return matrix
