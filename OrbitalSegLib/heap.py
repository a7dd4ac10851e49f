"""What memory costs beside what is done with it."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
"""Options of `mallopt(3)`."""

_LARGEST = (1 << 31) - 1


def keep_freed_memory() -> None:
    """Let the process keep what it frees, for what it asks for next, until it ends.

    Under glibc each array of some size comes new from the kernel and goes back, which clears it page by page: on a
    whole skull that was two fifths of the processor's time. Elsewhere nothing is changed. It is for a process that does
    one job and ends, not for one that a person works in.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _LARGEST), (_ARENA_MAX, 1)):
            mallopt(option, value)
