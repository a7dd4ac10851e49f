"""What the user has chosen, in a parameter node: it is saved with the scene and comes back with it."""

import json
from typing import Any

from OrbitalSegLib.structures import STRUCTURES

DEFAULTS: dict[str, Any] = {
    "greyValues": False,  # of the chosen volume: whether it is taken though its values are no HU
    "header": "",  # of the chosen volume: the part of its file's header that is believed
    "region": "auto",
    "method": "",  # the library's default
    "parameters": {},  # by method: only those that differ from the method's own
    "model": "",  # the shipped package
    "device": "auto",
    "wheels": "",  # a folder of Python packages, for computers without network
    "limits": {},  # by network, as the sliders are
    "runLimits": {},  # by network, as the networks' run had them
    "orbits": {},  # figures of the last measurement, its warnings, and a look at what was measured
    "showOrbits": True,
    "reconstruction": {},  # figures of the last reconstruction, its warnings, and a look at what it was made of
    "showReconstruction": True,
    "exportSegments": [name for name, one in STRUCTURES.items() if one.exported],
    "exportFormat": "stl",
    "exportSide": "both",
    "smoothing": "faithful",
    "thickenMm": 0.0,  # off
    "simplifyMm": 0.0,  # off
    "exportFolder": "",
    "recordFolder": "",
    "reviewedFolder": "",
    "scansFolder": "",
    "casesFolder": "",
    "purpose": "",
    "operator": "",
    "physician": "",
    "physicianOutcome": "",
    "physicianLook": "",  # what the segmentation held when the physician judged it
    "review": {},
    "summary": {},  # of the result in the scene
}
"""Parameters and what they are until someone chooses."""

VOLUME, ROI, SEGMENTATION, RESULT = "volume", "roi", "segmentation", "result"
"""Roles of the nodes that the parameter node refers to."""

PROBABILITY = "probability"
"""Role of the kept probabilities, one node for each network."""


ORBIT = "orbit"
"""Role of the models of what was measured, one node for each orbit."""


RECONSTRUCTED = "reconstructed"
"""Role of the models of orbits as they were, one node for each."""


class Settings:
    """The parameters of a node by name, typed; and the nodes that it refers to, by role."""

    def __init__(self, node: Any) -> None:
        self.node = node

    def __getitem__(self, name: str) -> Any:
        text = self.node.GetParameter(name)
        return json.loads(text) if text else DEFAULTS[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in DEFAULTS:
            raise KeyError(name)
        if self[name] != value:
            self.node.SetParameter(name, json.dumps(value))

    def reference(self, role: str) -> Any:
        """The node of a role, or None."""
        return self.node.GetNodeReference(role)

    def refer(self, role: str, target: Any) -> None:
        """Set the node of a role; None takes it away."""
        if self.reference(role) is not target:
            self.node.SetNodeReferenceID(role, target.GetID() if target else None)

    def references(self, role: str) -> list[Any]:
        """All nodes of a role."""
        count = self.node.GetNumberOfNodeReferences(role)
        return [found for index in range(count) if (found := self.node.GetNthNodeReference(role, index))]

    def refer_all(self, role: str, targets: list[Any]) -> None:
        self.node.RemoveNodeReferenceIDs(role)
        for target in targets:
            self.node.AddNodeReferenceID(role, target.GetID())
