"""How much memory scans that are worked on at the same time may take."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from OrbitalSegLib.networks.resources import free_bytes

SHARE_OF_FREE = 0.8
"""Of the memory that is free at the start, what all together may take."""

BASE_BYTES, BYTES_PER_VOXEL = 700_000_000, 16
"""What a scan takes that is segmented in the region of both orbits: 0.49 GB by thresholds and 0.70 GB by networks on a
phantom of 4 million voxels; a voxel more is read, averaged and looked at."""


def needed_bytes(voxels: int) -> int:
    """What a scan is reckoned to take."""
    return BASE_BYTES + BYTES_PER_VOXEL * voxels


class Room:
    """Memory that is taken and given back; who asks for more than is left waits."""

    def __init__(self, size_bytes: int | None = None) -> None:
        self.bytes = int(free_bytes() * SHARE_OF_FREE) if size_bytes is None else size_bytes
        self._changed = threading.Condition()
        self._taken: list[int] = []

    @contextmanager
    def take(self, size_bytes: int) -> Iterator[None]:
        """Wait until there is room, or until nobody else has any."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or sum(self._taken) + size_bytes <= self.bytes)
            self._taken.append(size_bytes)
        try:
            yield
        finally:
            with self._changed:
                self._taken.remove(size_bytes)
                self._changed.notify_all()

    @property
    def is_shared(self) -> bool:
        """Whether more than one has room now."""
        return len(self._taken) > 1
