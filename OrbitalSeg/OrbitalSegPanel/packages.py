"""Python packages that a method needs beyond what Slicer ships, and how to ask for them."""

import importlib
import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """What is asked for, in words that a user can decide on."""

    requirement: str
    module: str
    download_mb: int
    purpose: str


OPENVINO = Package("openvino>=2024.4", "openvino", 60, "runs the networks on any processor")

ENGINES = ("openvino", "torch")
"""Either of them runs networks."""


def missing(needs_model: bool) -> list[Package]:
    """What has to be installed before a method can run; thresholds need nothing."""
    importlib.invalidate_caches()  # another process may have installed it just now
    if not needs_model or any(importlib.util.find_spec(name) for name in ENGINES):
        return []
    return [OPENVINO]


def question(packages: list[Package], offline: bool) -> str:
    """What to ask before anything is installed."""
    lines = [f"{item.module}: {item.purpose}, about {item.download_mb} MB" for item in packages]
    source = "the chosen folder" if offline else "the internet (pypi.org)"
    return (
        "This method needs a Python package that 3D Slicer does not ship:\n\n"
        + "\n".join(lines)
        + f"\n\nIt is installed into this Slicer only, from {source}. Thresholds need no package. Install it now?"
    )
