"""Files and folders that are written whole or not at all, and never in the place of what is not ours."""

import errno
import hashlib
import platform
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import IO

import SimpleITK as sitk

from OrbitalSegLib.errors import OutputError

FULL_DISK_BYTES = 1 << 20
"""A disk with less than this left is called full when a writer fails without saying why."""

RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
"""Names of devices on Windows, whatever the ending."""

FULL_DISK = "The disk is full: free some space, or choose another folder, and run again."
FULL_TEMPORARY = (
    "The disk for temporary files is full: free some space there, or set TMPDIR (on Windows TEMP) to a folder on "
    "another disk, and run again."
)
NO_TEMPORARY = (
    "No temporary file can be written: set TMPDIR (on Windows TEMP) to a folder that exists and that you may write to, "
    "and run again."
)
CANNOT_WRITE = "The result cannot be written there: choose a folder that exists and that you may write to."
EXISTS = "A result of that name exists already: choose another name, or allow overwriting."
CAME_MEANWHILE = "Something else got that name while the run went on, and was left as it is."
CHANGED_MEANWHILE = "What was to be replaced was changed while the run went on, and was left as it is."
NOT_OURS = "The folder holds other files: choose an empty or a new one, or one in which the same work was begun."
ANOTHER_RUN = "Another run works in that folder: wait until it has ended, or choose another folder."
OLD_KEPT = "What stood there before is kept as {name}."
KEPT = "The finished result is kept beside it as {name}: rename it, or take it from there."

PREFIX = ".orbitalseg-"
NEW, OLD, OWNER = "new", "old", "owner"
"""What a run's private folder holds: what becomes the result, what it replaces, and the lock of the run."""

MARK = ".orbitalseg"
"""The lock of a folder in which a run works for long."""

LOCKED_BYTE = 1 << 20
"""Of the lock's file, on Windows: far beyond its end, so that the rest can be read."""

TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)
"""What systems say where a name is somebody else's."""

NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What systems say where a disk, as a USB stick, knows no hard links."""

Replaceable = Callable[[Path], None] | None
"""Lets what exists under a name pass, or raises to refuse; None: nothing may be replaced."""

# ---------------------------------------------------------------------------------------------------------------------
# Whole or not at all


@contextmanager
def whole(path: Path, replaceable: Replaceable = None, *, keep: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `path`, for a file or a folder, which becomes `path` when the block succeeds.

    What exists under `path` is replaced only if `replaceable` is given and lets it pass (it raises to refuse), and if
    it is, byte for byte, the same when the block ends; nothing else is ever moved or removed. Where the name is taken
    by then, what was written is kept beside it, under the next free name, unless `keep` says that it need not be; the
    error says where. On any exception of the block, cancellation included, what was written is removed. Raises
    `OutputError` `exists`, `cannot-write` or `disk-full`; an OSError of the block is the block's own (see `writing`).
    """
    path = path.absolute()
    with writing(path.parent):
        before = _replaced(path, replaceable)
    with workplace(path.parent) as private:
        (private / NEW).mkdir()
        new = private / NEW / path.name
        yield new
        with _too_late_to_cancel():
            try:
                with writing(path.parent):
                    _put(new, path, before, replaceable, private)
            except OutputError as error:
                if not keep or not _exists(new):
                    raise
                name = _name_or_leave(new, _names_after(path, new), private)
                raise _with(error, KEPT.format(name=name)) from error


def _replaced(path: Path, replaceable: Replaceable) -> str | None:
    """The fingerprint of what may be replaced, None where nothing stands there. Raises `OutputError` `exists`."""
    if not _exists(path):
        return None
    if replaceable is None:
        raise OutputError("exists", EXISTS)
    replaceable(path)
    return fingerprint(path)


def _put(new: Path, path: Path, before: str | None, replaceable: Replaceable, private: Path) -> None:
    """Give `new` its name. What had the name at the start lies in `private` until then, and comes back if need be."""
    new.lstat()
    old = private / OLD / path.name
    try:
        if before is not None and replaceable is not None and _exists(path):
            _check_same(path, before)
            replaceable(path)
            old.parent.mkdir()
            path.rename(old)
            _check_same(old, before)  # somebody may have written into it at the last moment
        give_name(new, path)
    except (OSError, OutputError) as error:
        raise _with(_output_error_of(error, path.parent), _given_back(old, path, private)) from error
    except BaseException:
        _given_back(old, path, private)
        raise


def _output_error_of(error: OSError | OutputError, folder: Path) -> OutputError:
    if isinstance(error, FileExistsError):
        return OutputError("exists", CAME_MEANWHILE)
    return error if isinstance(error, OutputError) else output_error(error, folder)


def _with(error: OutputError, more: str) -> OutputError:
    return OutputError(error.code, f"{error.text} {more}".strip())


def _given_back(old: Path, path: Path, private: Path) -> str:
    """Give what was to be replaced its name again; where that is taken another, of which a sentence is returned."""
    if not _exists(old):
        return ""
    name = _name_or_leave(old, chain([path], _names_after(path, old)), private)
    return "" if name == path.name else OLD_KEPT.format(name=name)


def _check_same(path: Path, before: str) -> None:
    if fingerprint(path) != before:
        raise OutputError("exists", CHANGED_MEANWHILE)


def _name_or_leave(thing: Path, names: Iterable[Path], private: Path) -> str:
    """The name that a thing of a private folder got; at worst it stays where it is, for ever."""
    try:
        return _name_first(thing, names).name
    except OSError:
        with suppress(OSError):
            (private / OWNER).rename(private / "left")  # what has no owner nobody tidies
        return thing.relative_to(private.parent).as_posix()


def _names_after(path: Path, new: Path) -> Iterator[Path]:
    """`case-2` after `case` for a folder, `bone-2.stl` after `bone.stl` for a file, and so on."""
    stem, ending = (path.name, "") if new.is_dir() else (path.stem, path.suffix)
    return (path.with_name(f"{stem}-{number}{ending}") for number in count(2))


def _name_first(new: Path, names: Iterable[Path]) -> Path:
    """Give the first of the names that nothing has."""
    for name in names:
        with suppress(FileExistsError):
            give_name(new, name)
            return name
    raise FileExistsError(errno.EEXIST, "taken")


@contextmanager
def _too_late_to_cancel() -> Iterator[None]:
    """Signals to stop are ignored: what is finished is not called cancelled."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def name_together(new: Sequence[Path], groups: Iterable[Sequence[Path]]) -> list[Path]:
    """Give files on the same disk that belong together the first group of names of which nothing has any.

    Raises OSError, and FileExistsError where there is no such group.
    """
    for names in groups:
        with suppress(FileExistsError):
            _name_all(new, names)
            return list(names)
    raise FileExistsError(errno.EEXIST, "taken")


def _name_all(new: Sequence[Path], names: Sequence[Path]) -> None:
    """All or none."""
    named: list[tuple[Path, Path]] = []
    try:
        for file, name in zip(new, names, strict=True):
            give_name(file, name)
            named.append((name, file))
    except BaseException:
        for name, file in named:
            name.rename(file)
        raise


def give_name(new: Path, path: Path) -> None:
    """Name a file or folder on the same disk `path`, at once, where nothing has that name; nothing is ever replaced.

    Raises FileExistsError where something has it, and OSError.
    """
    try:
        if sys.platform == "win32":
            new.rename(path)  # refuses what exists, there
        elif new.is_dir():
            path.mkdir()  # of all who try only one can
            _onto_claim(new, path, path.rmdir)  # a folder takes the place of an empty one alone
        else:
            _link(new, path)
    except OSError as error:
        if error.errno in TAKEN and _exists(path):
            raise FileExistsError(errno.EEXIST, "taken") from error
        raise


def _link(new: Path, path: Path) -> None:
    try:
        path.hardlink_to(new)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        path.touch(exist_ok=False)
        _onto_claim(new, path, path.unlink)
    else:
        new.unlink()


def _onto_claim(new: Path, path: Path, withdraw: Callable[[], None]) -> None:
    try:
        new.rename(path)
    except BaseException:
        with suppress(OSError):
            withdraw()
        raise


def fingerprint(path: Path) -> str:
    """The hash of a file, or of the names and contents of all that is in a folder. Raises OSError."""
    found = hashlib.sha256()
    for each in sorted(path.rglob("*")) if path.is_dir() and not path.is_symlink() else [path]:
        kind, content = "folder", ""
        if each.is_symlink():
            kind, content = "link", str(each.readlink())
        elif not each.is_dir():
            with each.open("rb") as file:
                kind, content = "file", hashlib.file_digest(file, "sha256").hexdigest()
        found.update(f"{kind}\0{each.relative_to(path).as_posix()}\0{content}\0".encode(errors="surrogateescape"))
    return found.hexdigest()


def _exists(path: Path) -> bool:
    """Whether something has that name, be it a link that leads nowhere."""
    return path.exists() or path.is_symlink()


# ---------------------------------------------------------------------------------------------------------------------
# The private folder of a run


@contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """An empty private folder in `folder`, on the same disk, which goes away with the block.

    What dead runs of this user on this computer left in `folder` is tidied first. Raises `OutputError`.
    """
    with writing(folder):
        tidy(folder)
        private = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
    try:
        with writing(folder):
            owner = (private / OWNER).open("a+")
        with owner:
            with suppress(OSError):  # without locks nobody tells the dead from the living, and nobody tidies
                _lock(owner, wait=True)
                owner.write(_computer())
                owner.flush()
            yield private
    finally:
        with _too_late_to_cancel():
            if (private / OWNER).exists():
                shutil.rmtree(private, ignore_errors=True)


@contextmanager
def alone(folder: Path, is_ours: Callable[[Path], bool]) -> Iterator[None]:
    """Work for long in a folder that is empty or `is_ours`, while no other run does. Raises `OutputError` `exists`."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        mark = folder / MARK
        if not mark.is_file() and any(folder.iterdir()) and not is_ours(folder):
            raise OutputError("exists", NOT_OURS)
        lock = mark.open("a+")
    with lock:
        try:
            _lock(lock, wait=False)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
                raise OutputError("exists", ANOTHER_RUN) from error
        yield


def tidy(folder: Path) -> None:
    """Remove what dead runs left behind; a result that one of them was about to replace gets its name again."""
    for private in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):  # of another user, or gone meanwhile
            if _is_dead(private / OWNER):
                for old in (private / OLD).glob("*"):
                    if _exists(private / NEW / old.name):
                        _name_first(old, chain([folder / old.name], _names_after(folder / old.name, old)))
                shutil.rmtree(private, ignore_errors=True)


def _is_dead(owner: Path) -> bool:
    """Whether the run that owned a folder on this computer has ended, however it ended."""
    if owner.is_symlink() or not owner.is_file():
        return False
    with owner.open("r+") as file:
        try:
            _lock(file, wait=False)
        except OSError:
            return False
        return file.read() == _computer()


def _lock(file: IO[str], *, wait: bool) -> None:
    """The system lets go of the lock when the process ends, however it ends. Raises OSError where another has it."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _computer() -> str:
    """This computer, in a word that says nothing of it: a lock on a shared disk may be unknown to another one."""
    return hashlib.sha256(platform.node().encode()).hexdigest()


# ---------------------------------------------------------------------------------------------------------------------
# Errors and names


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


@contextmanager
def temporary_files() -> Iterator[None]:
    """Turn an OSError of writing temporary files into an `OutputError` that says so."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError("disk-full", FULL_TEMPORARY) from error
        raise OutputError("cannot-write", NO_TEMPORARY) from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for temporary files that is gone after the block. Raises `OutputError` where none can be made."""
    with temporary_files():
        private = Path(tempfile.mkdtemp(prefix="orbitalseg-"))
    try:
        yield private
    finally:
        shutil.rmtree(private, ignore_errors=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` that takes its place when the block succeeds: a file of our own is never half-written."""
    new = path.with_name(f".{path.name}.new{path.suffix}")
    yield new
    new.replace(path)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_DISK_BYTES
    except OSError:
        return False


def safe_name(name: str) -> str:
    """A segment's name as a file name that every system takes (docs/contracts.md, section 6).

    Examples
    --------
    >>> safe_name("thin wall, left"), safe_name("con")
    ('thin_wall__left', 'con_')
    """
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80] or "segment"
    return f"{safe}_" if safe.upper() in RESERVED else safe


def write_image(image: sitk.Image, path: Path) -> None:
    """Write an image in the format that the name's ending says, compressed. Raises `OutputError`."""
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise output_error(error, path.parent) from error
