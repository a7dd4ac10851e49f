"""What a method found, post-processed as a job says: the step between segmenting and modelling."""

from dataclasses import asdict

import SimpleITK as sitk

from OrbitalSegLib.job import Job
from OrbitalSegLib.methods.method import Segmented
from OrbitalSegLib.postprocessing import keep_touching, postprocess
from OrbitalSegLib.progress import Steps
from OrbitalSegLib.record import Record
from OrbitalSegLib.region import Region
from OrbitalSegLib.structures import CORTICAL, THIN


def repair(found: Segmented, region: Region, job: Job, steps: Steps, record: Record) -> sitk.Image:
    """The bone that a method found, post-processed as the job says."""
    if job.postprocess is None:
        return found.bone
    with record.step("postprocessing", asdict(job.postprocess)) as measured:
        progress = steps.step("postprocessing")
        repaired, done = postprocess(found.bone, found.ct, job.postprocess, progress, joint=found.joint)
        if job.postprocess.thin_touches_cortical:
            classes = found.classes(repaired)
            thin, step = keep_touching(classes[THIN], classes[CORTICAL])
            repaired = sitk.Or(classes[CORTICAL], thin)
            done.append(step)
        measured["steps"] = done
        measured["counted_in"] = "scan" if region.box_mm is None else "region and margin"
    for entry in done:
        if "warning" in entry:
            record.warn("wall-flakes", entry["warning"])
    return repaired
