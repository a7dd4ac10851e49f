"""What a report of a model has to hold [3532-1 5, A], and which of it a record lacks: one row for each entry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from OrbitalSegLib.structures import BONE

PROTOCOL, PURPOSE, METHOD, RECONSTRUCTION, REVIEW = (
    "acquisition protocol",
    "clinical purpose",
    "segmentation method",
    "3D reconstruction",
    "verification",
)
"""The parts that clause 5 names, and the verification that it asks of each step."""

NOT_STATED = "the scan does not state it"
NOT_GIVEN = "nobody has filled it in"
NOT_DONE = "it was not done"
OPEN = "it was not accepted"


@dataclass(frozen=True)
class RequiredEntry:
    """One entry. `find` gives what the record says of it, or None."""

    id: str
    term: str
    part: str
    find: Callable[[dict[str, Any]], Any]
    why: str = NOT_DONE
    """What is wrong where the entry is missing."""


def _acquired(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda record: record.get("acquisition", {}).get(name)


def _step(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda record: next((step for step in reversed(record["steps"]) if step["step"] == name), None)


def _deviation(record: dict[str, Any]) -> Any:
    """How far the surface of the bone lies from the mask's border."""
    modelling = _step("modelling")(record)
    return modelling and modelling["measured"].get(BONE, {}).get("quality", {}).get("deviation_mm")


def _accepted(kind: str) -> Callable[[dict[str, Any]], Any]:
    def find(record: dict[str, Any]) -> Any:
        last = next((review for review in reversed(record.get("reviews", [])) if review["kind"] == kind), None)
        return last if last and last["outcome"].startswith("accepted") else None

    return find


ENTRIES = (
    RequiredEntry("scanner", "Scanner: maker", PROTOCOL, _acquired("manufacturer"), NOT_STATED),
    RequiredEntry("scanner-model", "Scanner: model", PROTOCOL, _acquired("model"), NOT_STATED),
    RequiredEntry("position", "Patient position", PROTOCOL, _acquired("patient_position"), NOT_STATED),
    RequiredEntry("tube-voltage", "Tube voltage", PROTOCOL, _acquired("tube_voltage_kv"), NOT_STATED),
    RequiredEntry("tube-current", "Tube current", PROTOCOL, _acquired("tube_current_ma"), NOT_STATED),
    RequiredEntry("rotation-time", "Rotation time", PROTOCOL, _acquired("rotation_time_s"), NOT_STATED),
    RequiredEntry("scan-slice-thickness", "Scan slice thickness", PROTOCOL, _acquired("collimation_mm"), NOT_STATED),
    RequiredEntry(
        "slice-thickness", "Reconstructed slice thickness", PROTOCOL, _acquired("slice_thickness_mm"), NOT_STATED
    ),
    RequiredEntry("slice-spacing", "Slice spacing", PROTOCOL, _acquired("slice_distance_mm"), NOT_STATED),
    RequiredEntry("field-of-view", "Field of view", PROTOCOL, _acquired("field_of_view_mm"), NOT_STATED),
    RequiredEntry("matrix", "Matrix", PROTOCOL, _acquired("matrix"), NOT_STATED),
    RequiredEntry("kernel", "Reconstruction kernel", PROTOCOL, _acquired("kernel"), NOT_STATED),
    RequiredEntry("purpose", "Clinical purpose", PURPOSE, lambda record: record.get("purpose"), NOT_GIVEN),
    RequiredEntry("operator", "Operator", PURPOSE, lambda record: record.get("operator"), NOT_GIVEN),
    RequiredEntry("segmentation", "Segmentation method and parameters", METHOD, _step("segmenting")),
    RequiredEntry(
        "reconstruction", "Process and parameters of the 3D reconstruction", RECONSTRUCTION, _step("modelling")
    ),
    RequiredEntry("deviation", "How far smoothing moved the surface", RECONSTRUCTION, _deviation),
    RequiredEntry("slice-by-slice", "Operator's check, slice by slice", REVIEW, _accepted("slice-by-slice"), OPEN),
    RequiredEntry("physician", "Physician's review before manufacture", REVIEW, _accepted("physician"), OPEN),
)


def missing(record: dict[str, Any]) -> list[dict[str, str]]:
    """The entries that a record of a segmentation lacks, in the order of the report.

    Parameters
    ----------
    record
        As read from `record.json`.

    Returns
    -------
    entries
        Each with `id`, `term`, `part` of the standard, and `why` it is asked for.
    """
    return [
        {"id": entry.id, "term": entry.term, "part": entry.part, "why": entry.why}
        for entry in ENTRIES
        if entry.find(record) in (None, "", [])
    ]
