"""Where the scans of a batch come from: files all at once, or a PACS study by study, for which there is little room."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from OrbitalSegLib.errors import InputError, OrbitalSegError
from OrbitalSegLib.files import replacing, writing
from OrbitalSegLib.pacs.address import Address
from OrbitalSegLib.pacs.archives import NOTHING_THERE, Archive, fetch_series, opened
from OrbitalSegLib.pacs.store import Store, place_of, store_in

FETCHED = "fetched"
"""The folder for studies out of a PACS, while they are worked on."""

ENDS_ALL = ("no-archive", "not-let-in", "not-trusted")
"""Not of one study: whoever asks for the next one hears the same."""


@dataclass(frozen=True)
class Lot:
    """Scans that are found at the same time."""

    source: Path
    """As `find_scans` takes it."""
    problem: OrbitalSegError | None = None
    """Why it could not be fetched."""
    share: float = 1.0
    """Of all that is to be done, how much is begun with it."""
    whole: bool = True
    """Whether it is all that there is."""
    passing: bool = False
    """Whether `source` is ours, and goes when its scans are done."""

    @property
    def _mark(self) -> Path:
        return self.source.with_name(f"{self.source.name}.done")

    @property
    def is_done(self) -> bool:
        """Whether all its scans were done, now or earlier."""
        return self.passing and self._mark.is_file()

    @property
    def images(self) -> list[str]:
        """What lies in it, or lay in it before it was done."""
        here = sorted(path.relative_to(self.source).as_posix() for path in self.source.rglob("*.dcm"))
        if self.is_done:  # it may have become so while we looked
            return self._mark.read_text(encoding="utf-8").split()
        return here

    def drop(self) -> None:
        """All its scans are done."""
        if self.passing:
            with writing(self.source.parent), replacing(self._mark) as new:
                new.write_text("\n".join(self.images), encoding="utf-8")
            shutil.rmtree(self.source, ignore_errors=True)


Lots = Iterator[Lot | None]
"""None: there is nothing now, but there may be later."""


@contextmanager
def lots_of(source: Path | Address, calling: str, private: Path, is_done: Callable[[Lot], bool]) -> Iterator[Lots]:
    """The lots of a batch; `is_done` tells of one that nothing is left to do. Raises as `Archive` does."""
    if isinstance(source, Path):
        yield iter([Lot(source)])
        return
    folder = private / FETCHED
    with writing(private):
        folder.mkdir(exist_ok=True)
    with opened(source, calling) as archive, store_in(folder) as store:
        yield _studies(archive, store, is_done)


def _studies(archive: Archive, store: Store, is_done: Callable[[Lot], bool]) -> Lots:
    studies = archive.studies()
    if not studies:
        raise InputError("no-ct", NOTHING_THERE)
    for number, study in enumerate(studies, 1):
        lot = Lot(store.folder / place_of(study.uid), share=number / len(studies), whole=False, passing=True)
        if is_done(lot):
            continue
        try:
            for series in archive.series(study):
                fetch_series(archive, series, store)
        except InputError as error:
            if error.code in ENDS_ALL:
                raise
            lot = replace(lot, problem=error)
        yield lot
