"""Folders for one run, that nobody else may read and that go away with their owner, after a crash too."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

PREFIX = "orbitalseg-run-"
HIDDEN = ".orbitalseg-"
OWNER = "owner"


class PrivateFolder:
    """A folder that only this user can read. Its owner holds a lock in it for as long as it lives."""

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._lock = (self.path / OWNER).open("w")
        _lock(self._lock)
        self.others: list[Path] = []

    def beside(self, parent: Path) -> Path:
        """Another folder of this run, in `parent`, which only this user can read: from there what is made can be moved
        to its place at once. It goes with this one. Raises `OSError`."""
        self.others.append(Path(tempfile.mkdtemp(prefix=HIDDEN, dir=parent)))
        return self.others[-1]

    def remove(self) -> None:
        """Remove the folder with all that is in it; a second time does nothing."""
        self._lock.close()
        for folder in (self.path, *self.others):
            shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path) -> int:
    """Remove the folders that a crash left behind; returns how many."""
    left = [folder for folder in parent.glob(PREFIX + "*") if folder.is_dir() and not _is_owned(folder / OWNER)]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left)


def _lock(file: IO[str]) -> None:
    """On Windows, a file that is open cannot be removed: that is lock enough."""
    if os.name == "posix":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_owned(owner: Path) -> bool:
    """Whether some process holds the lock. The system lets go of it when that process ends, however it ends."""
    if os.name == "posix":
        try:
            with owner.open("a") as file:
                _lock(file)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False
    try:
        owner.unlink()
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    return False
