"""Files and folders that are written whole or not at all, and never in the place of what is not ours."""

import errno
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import SimpleITK as sitk

from OrbitalSegLib.errors import OutputError

FULL_DISK_BYTES = 1 << 20
"""A disk with less than this left is called full when a writer fails without saying why."""

RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
"""Names of devices on Windows, whatever the ending."""

FULL_DISK = "The disk is full: free some space, or choose another folder, and run again."
CANNOT_WRITE = "The result cannot be written there: choose a folder that exists and that you may write to."


@contextmanager
def whole(path: Path, replaceable: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Give a temporary path beside `path`, for a file or a folder, and rename it to `path` when the block succeeds.

    What exists under `path` is replaced only if `replaceable` is given and lets it pass; it raises to refuse. On any
    exception, cancellation included, what was written is removed and what existed stays. Raises `OutputError`
    `exists`, `cannot-write` or `disk-full`; an OSError of the block is the block's own (see `writing`).
    """
    with writing(path.parent):
        if path.exists() or path.is_symlink():
            if replaceable is None:
                raise OutputError(
                    "exists", "A result of that name exists already: choose another name, or allow overwriting."
                )
            replaceable(path)
        private = Path(tempfile.mkdtemp(prefix=".orbitalseg-", dir=path.parent))
    try:
        yield private / path.name
        with writing(path.parent):
            _swap(private / path.name, path)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _swap(new: Path, path: Path) -> None:
    """Put `new` in the place of `path`. Whatever happens, the old one stands there, or beside it, until then."""
    if not path.exists():
        new.rename(path)
        return
    old = Path(tempfile.mkdtemp(prefix=".orbitalseg-old-", dir=path.parent))
    try:
        path.rename(old / path.name)
        new.rename(path)
    except BaseException:
        if (old / path.name).exists():
            (old / path.name).rename(path)
        old.rmdir()
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an OSError of writing into `folder` into an `OutputError` with its sentence."""
    try:
        yield
    except OSError as error:
        raise output_error(error, folder) from error


def output_error(error: Exception, folder: Path) -> OutputError:
    """The sentence for a writer that failed in `folder`, with or without an errno."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT) or (number is None and _is_full(folder)):
        return OutputError("disk-full", FULL_DISK)
    return OutputError("cannot-write", CANNOT_WRITE)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_DISK_BYTES
    except OSError:
        return False


def safe_name(name: str) -> str:
    """A segment's name as a file name that every system takes (docs/contracts.md, section 6)."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80] or "segment"
    return f"{safe}_" if safe.upper() in RESERVED else safe


def write_image(image: sitk.Image, path: Path) -> None:
    """Write an image in the format that the name's ending says, compressed. Raises `OutputError`."""
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise output_error(error, path.parent) from error
