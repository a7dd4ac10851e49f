"""How much memory a network may take."""

import ctypes
import os
import sys
from pathlib import Path

SHARE_OF_FREE = 0.5
"""What may be used of the memory that is free, where nobody says more."""


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *((name, ctypes.c_ulonglong) for name in ("total", "free", "total_page", "free_page")),
        *((name, ctypes.c_ulonglong) for name in ("total_virtual", "free_virtual", "free_extended")),
    )


def free_bytes() -> int:
    """Memory that programs can have now; where the system does not say, half of what is built in."""
    if sys.platform == "win32":
        status = _MemoryStatus()
        status.length = ctypes.sizeof(status)
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.free)
    if sys.platform == "linux":
        available = _linux_available(Path("/proc/meminfo"))
        return min(available, _group_left(Path("/sys/fs/cgroup"), available))
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _linux_available(meminfo: Path) -> int:
    lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def _group_left(group: Path, without: int) -> int:
    """What a container's limit leaves, `without` where there is none."""
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return without
    return without if limit == "max" else max(int(limit) - used, 0)


def limit_bytes(memory_gb: float | None) -> int:
    """What may be used: as a person said, or half of what is free."""
    return int(free_bytes() * SHARE_OF_FREE) if memory_gb is None else int(memory_gb * 1e9)
