"""Files and folders that are written whole or not at all."""

import errno
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import SimpleITK as sitk

from OrbitalSegLib.errors import OutputError

FULL_DISK_BYTES = 1 << 20
"""A disk with less than this left is called full when a writer fails without saying why."""

FULL_DISK = "The disk is full: free some space, or choose another folder, and run again."
CANNOT_WRITE = "The result cannot be written there: choose a folder that exists and that you may write to."


@contextmanager
def whole(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`, for a file or a folder, and rename it to `path` when the block succeeds.

    On any exception, cancellation included, what was written is removed and an existing `path` stays as it was.
    Raises `OutputError` `exists`, `cannot-write` or `disk-full`.
    """
    if path.exists() and not overwrite:
        raise OutputError("exists", "A result of that name exists already: choose another name, or allow overwriting.")
    try:
        private = Path(tempfile.mkdtemp(prefix=f".{path.name[:80]}.partial-", dir=path.parent))
    except OSError as error:
        raise output_error(error, path.parent) from error
    try:
        yield private / path.name
        _swap(private, path)
    except OSError as error:
        raise output_error(error, path.parent) from error
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _swap(private: Path, path: Path) -> None:
    """Put private/NAME in the place of `path`; the old one is removed last, or put back if that fails."""
    old = private / f"old-{path.name[:80]}"
    if path.exists():
        path.rename(old)
    try:
        (private / path.name).rename(path)
    except OSError:
        if old.exists():
            with suppress(OSError):
                old.rename(path)
        raise


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
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80] or "segment"


def write_image(image: sitk.Image, path: Path) -> None:
    """Write an image in the format that the name's ending says, compressed. Raises `OutputError`."""
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise output_error(error, path.parent) from error
