"""How much memory a step takes, by what Linux tells of this process."""

from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Peak:
    """The most that the process held since this was made, less what it held then; bytes."""

    def __init__(self) -> None:
        CLEAR.write_text("5", encoding="ascii")  # the peak starts anew
        self._before = _told("VmRSS")

    def __call__(self) -> int:
        """So far."""
        return _told("VmHWM") - self._before


def _told(name: str) -> int:
    line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
