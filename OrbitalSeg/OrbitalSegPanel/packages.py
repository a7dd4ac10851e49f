"""Python packages that a method needs beyond what Slicer ships, and how to ask for them."""

import importlib
import importlib.util
from dataclasses import dataclass

from slicer.i18n import tr as _


@dataclass(frozen=True)
class Package:
    """What is asked for, in words that a user can decide on."""

    requirement: str
    module: str
    download_mb: int
    purpose: str


OPENVINO = Package("openvino>=2024.4", "openvino", 60, _("runs the networks on any processor"))
HIGHDICOM = Package("highdicom>=0.25", "highdicom", 10, _("writes DICOM segmentations"))
MANIFOLD = Package("manifold3d>=3.1", "manifold3d", 2, _("makes surfaces of fewer triangles"))

LEARNING = (
    Package("torch>=2.2", "torch", 200, _("trains networks")),
    OPENVINO,
    Package("safetensors>=0.4", "safetensors", 1, _("writes model packages")),
    Package("scipy>=1.14", "scipy", 40, _("turns and scales what is learnt from")),
    Package("matplotlib>=3.8", "matplotlib", 30, _("draws curves")),
)

ENGINES = ("openvino", "torch")
"""Either of them runs networks."""


def missing_for_method(needs_model: bool) -> list[Package]:
    """What has to be installed before a method can run; thresholds need nothing."""
    return [] if not needs_model or any(map(_is_there, ENGINES)) else [OPENVINO]


def missing_for_export(dicom: bool, simplify: bool) -> list[Package]:
    """What has to be installed before an export; most of them need nothing."""
    wanted = [(HIGHDICOM, dicom), (MANIFOLD, simplify and not dicom)]
    return [package for package, is_wanted in wanted if is_wanted and not _is_there(package.module)]


def missing_for_learning() -> list[Package]:
    """What has to be installed before networks can learn."""
    return [package for package in LEARNING if not _is_there(package.module)]


def _is_there(name: str) -> bool:
    importlib.invalidate_caches()  # another process may have installed it just now
    return importlib.util.find_spec(name) is not None


def question(packages: list[Package], offline: bool) -> str:
    """What to ask before anything is installed."""
    lines = [
        _("{name}: {purpose}, about {size} MB").format(name=item.module, purpose=item.purpose, size=item.download_mb)
        for item in packages
    ]
    source = _("the chosen folder") if offline else _("the internet (pypi.org)")
    return (
        _("This needs a Python package that 3D Slicer does not ship:")
        + "\n\n"
        + "\n".join(lines)
        + "\n\n"
        + _(
            "It is installed into this Slicer only, from {source}. Without network, choose a folder of packages in "
            "section 3. Install it now?"
        ).format(source=source)
    )
