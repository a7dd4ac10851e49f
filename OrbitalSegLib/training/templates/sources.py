"""All the anatomies that templates can be made of."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.training.templates.folder import folder_template
from OrbitalSegLib.training.templates.phantom import phantom_template
from OrbitalSegLib.training.templates.skull import MASK, skull_template
from OrbitalSegLib.training.templates.template import SPACING_MM, Template
from OrbitalSegLib.training.templates.visible_human import SCAN, visible_human_template

KNOWN = {MASK: skull_template, SCAN: visible_human_template}
"""What lies in a folder of data, and what is built of it."""


def templates(
    data: Path | None,
    folders: Sequence[Path] = (),
    spacing_mm: float = SPACING_MM,
    progress: Progress = silent,
) -> Iterator[Template]:
    """The phantom, the known anatomies that lie in a folder of data, and those in folders of their own.

    Building one takes about two minutes of processor time and 2.5 GB. Raises what `folder_template` raises.
    """
    yield phantom_template(spacing_mm, progress)
    if data is not None:
        for file, build_known in KNOWN.items():
            if (data / file).exists():
                yield build_known(data, spacing_mm, progress)
    for folder in folders:
        yield folder_template(folder, spacing_mm, progress)
