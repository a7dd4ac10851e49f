"""The jobs that the panel gives to the worker (docs/contracts.md, section 7)."""

from pathlib import Path
from typing import Any

from OrbitalSegLib.product import CONTRACT
from OrbitalSegLib.reading import WARNINGS
from OrbitalSegLib.structures import INFERRED
from OrbitalSegPanel.words import code

Job = dict[str, Any]

INPUT, SERIES, RESULT = "scan.nrrd", "series", "result"
"""Names in a run's private folder."""


def phantom(folder: Path) -> Job:
    return {"contract": CONTRACT, "task": "phantom", "output": str(folder / RESULT)}


def insisted(settings: Any) -> Job:
    """What the user insists on of a scan that would be refused otherwise."""
    return {"grey_values": settings["greyValues"], "header": settings["header"] or None}


def info(folder: Path, settings: Any, origin: Job) -> Job:
    """What is to be said of the scan in `folder`, of the origin that is named."""
    return {"contract": CONTRACT, "task": "info", "input": str(folder / INPUT), **insisted(settings), **origin}


def segment(folder: Path, settings: Any, method: Any, region: Any, origin: Job) -> Job:
    """The scan in `folder`, of the origin that is named, with what the user has chosen."""
    job = {
        "contract": CONTRACT,
        "task": "segment",
        "input": str(folder / INPUT),
        "output": str(folder / RESULT),
        "region": region,
        "method": method.name,
        "parameters": settings["parameters"].get(method.name, {}),
        "surfaces": [INFERRED] if method.infers else [],
        "purpose": settings["purpose"] or None,
        "operator": settings["operator"] or None,
        **insisted(settings),
        **origin,
    }
    if method.needs_model:
        job |= {"device": settings["device"], "model": settings["model"] or None}
    return job


def settle(folder: Path, scan: Path, source: Path, record: Job, limits: dict[str, float], settings: Any) -> Job:
    """What the run of the result in `source` would have made of its scan with other limits of probability."""
    asked = record["settings"]
    return {
        "contract": CONTRACT,
        "task": "segment",
        **asked,
        "parameters": asked["parameters"] | {f"{name}_above": limit for name, limit in limits.items()},
        "input": str(scan),
        "output": str(folder / RESULT),
        "record": str(source),
        "acquisition": record["acquisition"],
        "warnings": [item for item in record.get("warnings", []) if item["code"] in WARNINGS],
        "model": settings["model"] or None,
        "purpose": settings["purpose"] or None,
        "operator": settings["operator"] or None,
    }


def modelling(settings: Any) -> Job:
    """How surfaces are made, as the user has chosen."""
    return {
        "smoothing": settings["smoothing"],
        "thicken_mm": settings["thickenMm"] or None,
        "simplify_mm": settings["simplifyMm"] or None,
    }


def surface(folder: Path, edited: str, changes: Job) -> Job:
    """The surfaces of the segmentation that was saved as `edited` in the folder."""
    return {
        "contract": CONTRACT,
        "task": "surface",
        "input": str(folder / edited),
        "output": str(folder / RESULT),
        **changes,
    }


def orbits(folder: Path, edited: str, region: str, said: Job) -> Job:
    """The room between the walls of the segmentation that was saved as `edited`, in the scan in `folder`, of which
    `said` is known; `region` says which orbit: `auto` (both), `left` or `right`."""
    return {
        "contract": CONTRACT,
        "task": "orbits",
        "input": str(folder / edited),
        "region": region,
        "ct": str(folder / INPUT),
        "output": str(folder / RESULT),
        **said,
    }


def reconstruct(folder: Path, edited: str, region: str, said: Job) -> Job:
    """The walls that were, of the segmentation that was saved as `edited`; see `orbits`."""
    return orbits(folder, edited, region, said) | {"task": "reconstruct"}


def dicom(folder: Path, edited: str, source: Path, names: tuple[str, ...], said: Job) -> Job:
    """Segments of the segmentation that was saved as `edited`, of the result in `source`, as DICOM."""
    return {
        "contract": CONTRACT,
        "task": "dicom",
        "input": str(folder / edited),
        "ct": str(folder / SERIES),
        "record": str(source),
        "segment": "+".join(names),
        "output": str(folder / RESULT),
        "grey_values": said["grey_values"],
    }


def collect(settings: Any) -> Job:
    """Cases of the accepted records in a folder."""
    return {
        "contract": CONTRACT,
        "task": "collect",
        "input": settings["reviewedFolder"],
        "scans": settings["scansFolder"],
        "output": settings["casesFolder"],
    }


def finetune(settings: Any) -> Job:
    """The chosen model package learns on from the cases, beside which the new one comes to lie."""
    cases = Path(settings["casesFolder"])
    return {
        "contract": CONTRACT,
        "task": "finetune",
        "input": str(cases),
        "output": str(cases.with_name(f"{cases.name}-learnt")),
        "model": settings["model"] or None,
        "device": settings["device"],
    }


def review(folder: Path, source: Path, output: Path, settings: Any, reviews: list[Job], said: Job | None) -> Job:
    """The result in `source` as a person left it, into `output`; of its scan, where it is there, `said` is known."""
    return {
        "contract": CONTRACT,
        "task": "review",
        "input": str(source),
        "edited": str(folder / "edited.seg.nrrd"),
        "ct": None if said is None else str(folder / INPUT),
        **(said or {}),
        "output": str(output),
        "purpose": settings["purpose"] or None,
        "operator": settings["operator"] or None,
        "language": code(),
        **modelling(settings),
        "reviews": reviews,
    }
