"""Scans that come by themselves: sent by a PACS, or falling into a folder; each is taken when it has been quiet."""

import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock

from OrbitalSegLib.archive.lots import Lot, Lots
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import PREFIX, writing
from OrbitalSegLib.pacs.address import Address
from OrbitalSegLib.pacs.archives import receiver_of
from OrbitalSegLib.pacs.store import Store, store_in, uids_of
from OrbitalSegLib.reading import must_exist
from OrbitalSegLib.reading.volumes import volume_kind

ARRIVING, ARRIVED = "arriving", "arrived"
"""Folders for studies that more may come of, and for those that are worked on."""

OTHER_OBJECT = "What was sent is not the object that was announced."


class Arrivals:
    """Images as they come, study by study, from several senders at once."""

    def __init__(self, store: Store, arrived: Path, quiet_s: float) -> None:
        self._store, self._arrived, self._quiet_s = store, arrived, quiet_s
        self._lock = Lock()
        self._last = {path.name: time.monotonic() for path in _folders(store.folder)}
        self._done = lru_cache(maxsize=16)(self._images_of)

    def keep(self, content: bytes, announced: str) -> None:
        """Keep an image once, whenever and however often it comes. See `receiver.Keep` for what it raises."""
        uids = uids_of(content)
        if uids[-1] != announced:
            raise InputError("other-object", OTHER_OBJECT)
        path = self._store.path_of(*uids)
        study = path.parent.parent.name
        with self._lock:
            if path.relative_to(self._store.folder / study).as_posix() not in self._done(study):
                self._store.keep(content)
                self._last[study] = time.monotonic()

    def _images_of(self, study: str) -> frozenset[str]:
        """What came of a study before, and is worked on or done."""
        lists = [Lot(path, passing=True).images for path in _lots(self._arrived, study)]
        return frozenset(image for images in lists for image in images)

    def quiet(self) -> Iterator[Lot]:
        """Studies of which nothing more came for a while. What comes later of them is a lot of its own."""
        with self._lock:
            now = time.monotonic()
            studies = [study for study, last in self._last.items() if now - last >= self._quiet_s]
            for study in studies:
                del self._last[study]
                target = self._arrived / f"{study}-{len(_lots(self._arrived, study)) + 1}"
                with writing(self._arrived):
                    (self._store.folder / study).rename(target)
                self._done.cache_clear()
        for study in studies:
            yield Lot(_lots(self._arrived, study)[-1], whole=False, passing=True)

    def left(self) -> Iterator[Lot]:
        """What an earlier run had begun."""
        for path in _folders(self._arrived):
            yield Lot(path, whole=False, passing=True)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(PREFIX))


def _lots(arrived: Path, study: str) -> list[Path]:
    """The lots of a study, in the order in which they came, those that were done too."""
    names = {path.name.partition(".")[0] for path in arrived.glob(f"{study}-*")}
    return [arrived / f"{study}-{number}" for number in range(1, len(names) + 1)]


@contextmanager
def sent_to(
    address: Address, allowed: Collection[str], most_bytes: int, quiet_s: float, private: Path
) -> Iterator[Lots]:
    """The lots of what is sent to an address. Raises `InputError` `needs-pacs` and `cannot-listen`, `OutputError`."""
    receiving = receiver_of()
    arriving, arrived = private / ARRIVING, private / ARRIVED
    with writing(private):
        arriving.mkdir(exist_ok=True)
        arrived.mkdir(exist_ok=True)
    with store_in(arriving) as store:
        arrivals = Arrivals(store, arrived, quiet_s)
        with receiving(address, allowed, most_bytes, arrivals.keep):
            yield _endless(arrivals.left(), arrivals.quiet)


@contextmanager
def fallen_into(folder: Path, quiet_s: float) -> Iterator[Lots]:
    """The lots of what falls into a folder: each zip, volume file or folder in it.

    Links to folders are no scans. Raises `InputError` `no-such-input`, later too where the folder goes away.
    """
    must_exist(folder)
    seen: dict[Path, tuple[object, float, bool]] = {}
    """By path what it was when it changed last, when that was, and whether it was given."""

    def quiet() -> Iterator[Lot]:
        for path in _scans_in(folder):
            now = time.monotonic()  # others were worked on since the one before
            state = _state(path)
            before, since, given = seen.get(path, (None, now, False))
            if state != before:
                seen[path] = (state, now, False)
            elif not given and now - since >= quiet_s:
                seen[path] = (state, since, True)
                yield Lot(path, whole=False)

    yield _endless(iter(()), quiet)


def _scans_in(folder: Path) -> list[Path]:
    must_exist(folder)
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    folders = [path for path in paths if path.is_dir() and not path.is_symlink()]
    files = [path for path in paths if path.is_file() and (volume_kind(path) or path.suffix.lower() == ".zip")]
    return sorted([*folders, *files])


def _state(path: Path) -> object:
    """Other where anything under a path is."""
    try:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return [(str(file), status.st_size, status.st_mtime_ns) for file in files for status in [_status(file)]]
    except OSError:  # it goes away while we look
        return object()


def _status(file: Path) -> os.stat_result:
    """Of what a link leads to, or of the link where it leads nowhere."""
    try:
        return file.stat()
    except FileNotFoundError:
        return file.lstat()


def _endless(first: Iterator[Lot], quiet: Callable[[], Iterator[Lot]]) -> Lots:
    yield from first
    while True:
        yield from quiet()
        yield None
