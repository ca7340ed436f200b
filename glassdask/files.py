"""Files that other processes read, write or leave half done: put in place at once, created by one, locked, unpickled.

What is written lies in ``NAME.RANDOM.partial`` until it is whole, so that a reader never sees half a file and a killed
writer leaves the file that was there before. What the file system refuses is one line, a `StoreError`.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import json
import os
import pickle
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, ParamSpec, TypeVar

from glassdask.errors import BusyStoreError, CorruptStoreError, GlassdaskError, StoreError
from glassdask.remote import Address, place

PARTIAL = ".partial"
ATTEMPTS = 5
POLL_SECONDS = 0.1
PIECE = 1 << 20  # bytes that are read at a time
FEW = 100  # inodes with which hardly anything can be done

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def writing(path: str | os.PathLike[str], needed: int | None = None) -> Iterator[None]:
    """Turn what the file system refuses into a one-line `StoreError` with its remedy; `needed`: bytes to be written."""
    try:
        check_links(place(path))
        yield
    except StoreError:
        raise
    except OSError as error:
        remedies = {
            errno.ENOSPC: "free space or choose another disk, then run the same command again (what is stored stays)",
            errno.EDQUOT: "free space in your quota, then run the same command again (what is stored stays)",
            errno.EFBIG: "raise the limit of the size of files (ulimit -f), then run the same command again",
            errno.EMFILE: "raise the limit of open files (ulimit -n), then run the same command again",
            errno.EACCES: "choose a place where you may write",
            errno.EPERM: "choose a place where you may write",
            errno.EROFS: "choose a place where you may write",
            errno.ENOENT: "make its folder first, or choose another path",
            errno.ENOTDIR: "a parent is a file: choose another path",
            errno.EEXIST: "a file is in the way: choose another path or remove it",
            errno.EISDIR: "a directory is in the way: choose another path or remove it",
        }
        remedy = remedies.get(error.errno or 0, "see to the file system, then run the same command again")
        room = f"{_room(Path(path), needed)}: " if error.errno == errno.ENOSPC else ""
        raise StoreError(f"{path}: cannot be written ({_reason(error)}): {room}{remedy}") from None


def _reason(error: OSError) -> str:
    """What the system says; some libraries say more, on several lines."""
    return os.strerror(error.errno) if error.errno else str(error.strerror or error) or type(error).__name__


def _advice(error: OSError) -> str:
    """What to do about a file that cannot be read."""
    if error.errno == errno.EISDIR:
        return "a folder is in its place, which glassdask repair removes from a store"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "raise the limit of open files (ulimit -n), or use fewer workers"
    return "check the path and its permissions"


def one_line(function: Callable[P, T]) -> Callable[P, T]:
    """A function that reads stores: of what the file system refuses it raises a one-line `StoreError`.

    A folder that may not be entered shows wherever one looks whether something is there.
    """

    @functools.wraps(function)
    def call(*given: P.args, **words: P.kwargs) -> T:
        try:
            return function(*given, **words)
        except OSError as error:
            if isinstance(error, GlassdaskError) or error.filename is None:
                raise
            raise StoreError(unreadable(error)) from None

    return call


def unreadable(error: OSError) -> str:
    """The line about a file that cannot be read; an error of our own has one."""
    if isinstance(error, GlassdaskError):
        return str(error)
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return f"{where}cannot be read ({_reason(error)}): {_advice(error)}"


def check_links(path: Path) -> None:
    """`StoreError` where nothing is written: at an address, or where a part of a store is a symbolic link."""
    if isinstance(path, Address):
        raise StoreError(f"{path}: nothing is written there: write to a folder of this machine, then copy it there")
    refuse_links(path, "written")


def refuse_links(path: Path, done: str = "read") -> None:
    """`StoreError` where a part of a store is a symbolic link: in a store from elsewhere it could lead anywhere.

    The store itself may be one.
    """
    if isinstance(path, Address):
        return
    inside, part = False, ""  # of plain strings: this is asked for every file
    for name in [*path.parts, "c"]:
        part = f"{part}/{name}" if part.rstrip("/") else f"{part}{name}"
        if inside and os.path.islink(part):
            raise StoreError(f"{part}: is a symbolic link, through which nothing is {done}: put what it names there")
        inside = inside or (name.endswith(".zarr") and name != ".zarr") or os.path.isfile(f"{part}/zarr.json")


def _room(path: Path, needed: int | None) -> str:
    """How much is free where `path` would be, and how much is needed."""
    folder = next(parent for parent in (path, *path.parents) if parent.is_dir())
    found, free = os.statvfs(folder), shutil.disk_usage(folder).free
    # a few are free again where what could not be written has been removed before anybody looks
    if found.f_files and found.f_favail <= (FEW if free > max(needed or 0, PIECE) else 0):
        more = f"no more than {found.f_favail}" if found.f_favail else "no more"
        return f"{more} files can be made in {folder} (its inodes are used up)"
    room = f"{free / 1e6:.3g} MB are free in {folder}"
    return room if needed is None else f"{room}, up to {needed / 1e6:.3g} MB are still to be written"


@contextmanager
def replacing(path: str | os.PathLike[str], *, sync: bool = True, new: bool = False) -> Iterator[BinaryIO]:
    """A stream whose content takes the place of `path` at once when the block has ended without an error.

    With `sync` it is on the disk by then, also if the power fails. With `new` nothing may be there, then as now.

    Raises
    ------
    StoreError
        The file system refuses.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with replacing(folder.name + "/numbers") as stream:
    ...     _ = stream.write(b"1 2 3")
    >>> Path(folder.name, "numbers").read_text(), os.listdir(folder.name)
    ('1 2 3', ['numbers'])
    >>> folder.cleanup()
    """
    with writing(path), whole(path, _link if new else os.replace, sync) as stream:
        yield stream


def put(path: str | os.PathLike[str], content: bytes | str, *, sync: bool = True) -> None:
    """Replace a file at once, or make it."""

    def write() -> None:
        with whole(path, os.replace, sync) as stream:
            stream.write(content if isinstance(content, bytes) else content.encode())

    retried(path, write)


def create(path: str | os.PathLike[str], content: bytes | str) -> bool:
    """Make a file, with its content, that must not exist yet; tells whether it was made.

    Of several processes that try it, on one machine or many, one succeeds.
    """

    def write() -> bool:
        try:
            with whole(path, _link) as stream:
                stream.write(content if isinstance(content, bytes) else content.encode())
        except FileExistsError:
            return False
        return True

    return retried(path, write)


@contextmanager
def whole(path: str | os.PathLike[str], place: Callable[[Path, Path], None], sync: bool = True) -> Iterator[BinaryIO]:
    """A stream into an unfinished file, which `place` puts where it belongs when the block has ended."""
    temporary = Path(path).with_name(f"{Path(path).name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with open(temporary, "w+b") as stream:
            yield stream
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        place(temporary, Path(path))
    finally:
        temporary.unlink(missing_ok=True)


def _link(temporary: Path, path: Path) -> None:
    """Give a file its name, unless that is taken."""
    try:
        os.link(temporary, path)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:  # a file system without hard links: there the file is empty for an instant
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        os.replace(temporary, path)


def retried(path: str | os.PathLike[str], action: Callable[[], T], needed: int | None = None) -> T:
    """The result of an action that writes `path` and may find its unfinished file gone.

    Another process that has just finished the same group removes what it takes for the left-overs of killed writers.
    """
    with writing(path, needed):
        for _ in range(ATTEMPTS - 1):
            try:
                return action()
            except FileNotFoundError:
                continue
        return action()


def sync(path: str | os.PathLike[str]) -> None:
    """Return when what a file holds, or which files a folder holds, is on the disk, also if the power fails."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: str | os.PathLike[str], n_bytes: int | None = None) -> str:
    """SHA-256 of the content of a file, or of so many bytes at its beginning; read in pieces."""
    with open(path, "rb") as stream:
        if n_bytes is None:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha256()
        while n_bytes > 0 and (piece := stream.read(min(n_bytes, PIECE))):
            digest.update(piece)
            n_bytes -= len(piece)
        return digest.hexdigest()


def mark(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """What tells without reading a file whether it was written again or replaced: device, number, time and size."""
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def write_json(path: str | os.PathLike[str], content: Any, *, sync: bool = True, indent: int | None = 2) -> None:
    """Replace a JSON file at once, or make it; without `indent` for no person to read, and ten times as fast."""
    put(path, json.dumps(content, indent=indent), sync=sync)


def read_json(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The object in a JSON file; None where there is no file.

    Raises
    ------
    CorruptStoreError
        It is empty or damaged, or holds something else.
    StoreError
        The file system refuses.
    """
    text = read_text(path)
    return None if text is None else parse_json(path, text)


def read_text(path: str | os.PathLike[str]) -> str | None:
    """What is in a JSON file, with the same errors."""
    try:
        return place(path).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise _damaged(path, error) from None
    except StoreError:  # of an address, which is an OSError, too
        raise
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({_reason(error)}): {_advice(error)}") from None


def parse_json(path: str | os.PathLike[str], text: str) -> dict[str, Any]:
    """The object that is the content of a JSON file."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    if not isinstance(content, dict):
        raise CorruptStoreError(f"{path}: holds {type(content).__name__}, expected a JSON object: write it again")
    return content


def _damaged(path: str | os.PathLike[str], error: Exception) -> CorruptStoreError:
    return CorruptStoreError(f"{path}: cannot be read ({error}): restore this file or write it again")


@contextmanager
def locked(file: Path, what: str | os.PathLike[str], patience: float = float("inf")) -> Iterator[None]:
    """Hold a lock while the block runs.

    ``flock`` gives it back when its owner ends, however that ends, also on NFS. The file says who holds it, and goes
    with the block. Where the file system has no such locks, or the file cannot be made, there is no lock; locks made of
    files alone would be worse there, as those of killed processes stay.

    Parameters
    ----------
    file : Path
        The lock.
    what : str or path
        What it guards, for the error.
    patience : float
        Seconds to wait for it.

    Raises
    ------
    BusyStoreError
        Another process holds it still; says which, where and since when.
    """
    descriptor = _acquire(file, what, patience)
    try:
        yield
    finally:
        if descriptor is not None:
            file.unlink(missing_ok=True)
            os.close(descriptor)


def _acquire(file: Path, what: str | os.PathLike[str], patience: float) -> int | None:
    end = time.monotonic() + patience
    while True:
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # whoever may not write here will be told so when the rest is written
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            if time.monotonic() > end:
                raise BusyStoreError(
                    f"{what}: is being written by {owner}: wait until it has ended, then run the same command again"
                ) from None
            time.sleep(POLL_SECONDS)
            continue
        except OSError:
            os.close(descriptor)
            return None
        if _is_open(file, descriptor):
            break
        os.close(descriptor)  # its last owner has just removed it
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())
    except OSError:  # a full disk: the lock holds without a name
        pass
    return descriptor


def _is_open(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False


class RefusedError(Exception):
    """A pickle asks for something that is not known to be harmless."""


def unpickle(content: bytes, known: Mapping[str, Any], *, encoding: str = "ASCII") -> Any:
    """What a pickle holds, which can call nothing but what is listed.

    Parameters
    ----------
    content : bytes
        The pickle.
    known : mapping
        Dotted names that the pickle may ask for, each with what it gets instead, or None for the thing itself.
    encoding : str
        Of the text in pickles of Python 2.

    Raises
    ------
    RefusedError
        It asks for anything else; says what.
    Exception
        Whatever a damaged pickle makes the machine of pickles stumble over.

    Examples
    --------
    >>> unpickle(pickle.dumps(range(3)), {"builtins.range": None})
    range(0, 3)
    >>> unpickle(pickle.dumps(print), {"builtins.range": None})
    Traceback (most recent call last):
    glassdask.files.RefusedError: builtins.print
    """
    return _Unpickler(known, content, encoding).load()


SIMPLE = (str, bytes, int, float, bool, type(None))


def _checked(key: Any) -> None:
    """Refuse a key whose hash could take for ever: of tuples that hold each other twice, sixty times in turn."""
    if not isinstance(key, SIMPLE) and not (type(key) is tuple and all(isinstance(part, SIMPLE) for part in key)):
        raise RefusedError(f"a key that is a {type(key).__name__}")


_Machine: Any = vars(pickle)["_Unpickler"]  # without types


class _Unpickler(_Machine):  # type: ignore[misc]
    """The machine in Python: that in C makes room for as many things, or bytes, as a pickle of a few bytes claims."""

    dispatch: ClassVar[dict[int, Any]] = dict(_Machine.dispatch)
    for _code in (pickle.EMPTY_SET, pickle.FROZENSET, pickle.ADDITEMS, pickle.BYTEARRAY8):
        del dispatch[_code[0]]

    def load_setitem(self) -> None:
        _checked(self.stack[-2])
        super().load_setitem()

    def load_setitems(self) -> None:
        for key in self.stack[::2]:
            _checked(key)
        super().load_setitems()

    def load_dict(self) -> None:
        for key in self.stack[::2]:
            _checked(key)
        super().load_dict()

    dispatch |= {
        pickle.SETITEM[0]: load_setitem, pickle.SETITEMS[0]: load_setitems, pickle.DICT[0]: load_dict,
    }  # fmt: skip

    def __init__(self, known: Mapping[str, Any], content: bytes, encoding: str):
        super().__init__(BytesIO(content), encoding=encoding)
        self.known = known

    def find_class(self, module: str, name: str) -> Any:
        # a dotted name would lead on from what is listed to what hangs on it
        if "." in name or f"{module}.{name}" not in self.known:
            raise RefusedError(f"{module}.{name}")
        instead = self.known[f"{module}.{name}"]
        return super().find_class(module, name) if instead is None else instead

    def persistent_load(self, pid: Any) -> Any:
        raise RefusedError("a persistent object")
