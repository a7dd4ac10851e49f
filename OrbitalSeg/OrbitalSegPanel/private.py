"""Folders for one run, that nobody else may read and that go away with their owner, after a crash too."""

from contextlib import ExitStack
from pathlib import Path

from OrbitalSegLib.files import workplace


class PrivateFolder:
    """A folder that only this user can read. Its owner holds a lock in it for as long as it lives; making another one
    beside it later removes it if its owner has died. Raises `OutputError`."""

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        self._places = ExitStack()
        self.path = self._places.enter_context(workplace(parent))
        self.others: list[Path] = []

    def beside(self, parent: Path) -> Path:
        """Another folder of this run, in `parent`, which only this user can read: from there what is made can be moved
        to its place at once. It goes with this one. Raises `OutputError`."""
        self.others.append(self._places.enter_context(workplace(parent)))
        return self.others[-1]

    def remove(self) -> None:
        """Remove the folder with all that is in it; a second time does nothing."""
        self._places.close()
