"""What a method found, post-processed: the step between segmenting and modelling."""

from typing import Any

import SimpleITK as sitk

from OrbitalSegLib.methods.method import Segmented
from OrbitalSegLib.postprocessing import PostprocessingParameters, keep_touching, postprocess
from OrbitalSegLib.progress import Progress, Warn, silent, unheard
from OrbitalSegLib.structures import CORTICAL, THIN


def repair(
    segmented: Segmented, parameters: PostprocessingParameters, progress: Progress = silent, warn: Warn = unheard
) -> tuple[sitk.Image, list[dict[str, Any]]]:
    """A method's bone post-processed, on the method's own grid, and what each step did, for the record."""
    repaired, done = postprocess(segmented.bone, segmented.ct, parameters, progress, joint=segmented.joint)
    if parameters.thin_touches_cortical:
        classes = segmented.classes(repaired)
        thin, step = keep_touching(classes[THIN], classes[CORTICAL])
        repaired = sitk.Or(classes[CORTICAL], thin)
        done.append(step)
    for entry in done:
        if "warning" in entry:
            warn("wall-flakes", entry["warning"])
    return repaired, done
