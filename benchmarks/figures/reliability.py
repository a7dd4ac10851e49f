"""Do probabilities near floor and medial wall mean what they say? Heads of the left-out template.

Two things can be true of a voxel: that it is bone (truth at 0.2 mm), and that it is what the networks are taught to
call wall (the training label: bone, or within 0.38 mm of the mid-surface). Probabilities are of the second; the first
is what a reader may take them for. Both are given for method B's network and for method C, whose limits go by the
highest of its networks' calibrated probabilities. The network `thin` alone speaks of thin bone, as it was taught to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial

import numpy as np
import SimpleITK as sitk

from figures.common import Record, Run, draw_lines, markdown, records, spread
from figures.synthetic import SEED
from OrbitalSegLib.evaluation.reliability import (
    ASSUMED_SHARES,
    TRAINED_SHARE,
    Samples,
    at_share,
    near_walls,
    reliability,
)
from OrbitalSegLib.networks import engines
from OrbitalSegLib.networks.consensus import consensus_grid, triplanar
from OrbitalSegLib.networks.package import Calibration
from OrbitalSegLib.training import store
from OrbitalSegLib.training.cases import Case, Flag
from OrbitalSegLib.training.validation import fit_calibration

BINS = 200
"""Samples are kept as counts by probability, so finely."""

VALIDATION_SHIFT = 5000
METHOD_C = "cortical or thin"
UNCHANGED = Calibration(1.0, 0.0)


def count(run: Run, template: str, seed: int) -> Record:
    """Counts by probability as the networks give it, of what is true and of what lies in a hole, by network."""
    case = run.kept_case(template, seed, run.settings())
    networks = run.model.networks
    running = {name: engines.choose(run.model, name, threads=run.threads) for name in networks}
    said = triplanar(case.ct, running, consensus_grid(case.ct, run.model.spacing_mm), run.model.planes).probabilities
    if {"cortical", "thin"} <= networks.keys():
        arrays = [networks[name].calibration.apply(sitk.GetArrayFromImage(said[name])) for name in ("cortical", "thin")]
        said[METHOD_C] = sitk.GetImageFromArray(np.maximum(*arrays))
        said[METHOD_C].CopyInformation(said["thin"])
    events = {name: _truths(case, name) for name in said if name != "cortical"}
    return {
        name: {event: _histogram(near_walls(said[name], truth, case.walls)) for event, truth in truths.items()}
        for name, truths in events.items()
    }


def _truths(case: Case, network: str) -> dict[str, sitk.Image]:
    if network == "thin":
        flags = store.flags_of_case(sitk.GetArrayFromImage(case.label), sitk.GetArrayFromImage(case.clean))
        thin = sitk.GetImageFromArray((flags & store.FLAGS["thin"] > 0).astype(np.uint8))
        thin.CopyInformation(case.label)
        return {"label": thin}
    return {"label": sitk.And(case.label, int(Flag.BONE)), "bone": case.truth}


def _histogram(samples: Samples) -> Record:
    """Counts of samples by true, in a hole, and probability."""
    place = np.minimum((samples.probabilities * BINS).astype(int), BINS - 1)
    return {
        f"{'true' if true else 'false'} {'hole' if hole else 'wall'}": np.bincount(
            place[(samples.true == true) & (samples.in_hole == hole)], minlength=BINS
        )
        for true in (True, False)
        for hole in (True, False)
    }


def samples_of(counts: Sequence[Mapping[str, Sequence[int]]]) -> Samples:
    """The samples of such counts together, each in the middle of its bin."""
    parts = []
    for kind in counts[0]:
        many = np.sum([one[kind] for one in counts], axis=0).astype(int)
        probability = np.repeat((np.arange(BINS) + 0.5) / BINS, many)
        flags = (np.full(len(probability), word in kind) for word in ("true", "hole"))
        parts.append(Samples(probability, *flags))
    return Samples(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Samples)))


def error(samples: Samples, calibration: Calibration, share: float = TRAINED_SHARE) -> float:
    """The expected calibration error where a share of the wall is fractured."""
    said = at_share(calibration.apply(samples.probabilities).astype(float), share)
    return reliability(said, samples.true, samples.weights(share)).expected_calibration_error


def section(run: Run, validation: int = 6) -> str:
    """Count on test and validation heads, fit on the latter, and report on the former."""
    tests = {f"{run.left_out}-{SEED + n}": (run.left_out, SEED + n) for n in range(run.cases)}
    trained = run.trained_on
    fitted = {
        f"{trained[n % len(trained)]}-{SEED + VALIDATION_SHIFT + n}": (
            trained[n % len(trained)],
            SEED + VALIDATION_SHIFT + n,
        )
        for n in range(validation)
    }
    folder = run.out / "reliability"
    test = records(folder, {name: partial(count, run, *of) for name, of in tests.items()})
    fit = records(folder, {name: partial(count, run, *of) for name, of in fitted.items()})
    rows, curves = [], {}
    for network, events in next(iter(test.values()), {}).items():
        for event in events:
            refit = fit_calibration(samples_of([record[network][event] for record in fit.values()]))
            own = UNCHANGED if network == METHOD_C else run.model.networks[network].calibration
            each = [samples_of([record[network][event]]) for record in test.values()]
            together = samples_of([record[network][event] for record in test.values()])
            for name, calibration in (("package's", own), ("fitted here", refit)):
                errors = [f"{error(together, calibration, share):.3f}" for share in ASSUMED_SHARES]
                rows.append([network, event, name, f"{calibration.slope:.2f}, {calibration.offset:.2f}", *errors,
                             spread(error(one, calibration) for one in each)])  # fmt: skip
                diagram = reliability(
                    calibration.apply(together.probabilities).astype(float),
                    together.true,
                    together.weights(TRAINED_SHARE),
                )
                curves[f"{network}, {event}, {name}"] = diagram.mean_probability.tolist(), diagram.true_share.tolist()
    draw_lines(run.out / "reliability.png", "Within 1 mm of floor and medial wall, half of it fractured",
               "probability", "share that is true", {"ideal": ([0, 1], [0, 1]), **curves})  # fmt: skip
    titles = ["network", "true is", "calibration", "slope, offset",
              *(f"error, {share:.0%} fractured" for share in ASSUMED_SHARES), "error by head, 50%"]  # fmt: skip
    return "\n".join(
        [
            "## Probabilities\n",
            f"{len(test)} heads of `{run.left_out}`; fitted on {len(fit)} heads of {', '.join(trained)}. Expected "
            "calibration error within 1 mm of the mid-surface of floor and medial wall.\n",
            markdown(titles, rows),
            "![reliability](reliability.png)\n",
        ]
    )
