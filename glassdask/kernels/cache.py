"""Where compiled kernels are kept: a folder named by the sources of all kernels.

numba looks only at the file of the function that it has compiled, but kernels inline helpers of other modules: after an
edit of such a helper it would go on with the old machine code. Here any edit of any kernel leads to another folder.
numba itself tells its versions and kinds of processors apart. Kernels of another package belong to all its sources;
those of a script, which may use whatever lies beside it, are compiled anew in every process.

A function is compiled by one process at a time: others that want it meanwhile wait, and find it in the folder. A folder
that `glassdask compile` has filled is marked by the kind of processor, and used where nobody can write, as in an image.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from llvmlite import binding
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.runtime import rtsys

from glassdask.errors import GlassdaskError
from glassdask.files import locked

PREFIX = "glassdask-"
FILLED = "filled"  # the file that marks a folder with all kernels
PATIENCE = 120.0  # seconds that one process waits for another that compiles what it needs
HERE = Path(__file__).parent
KEPT = 8  # folders of other sources that stay, those used last: branches that one changes between


def digest(*files: Path) -> str:
    """SHA-256 of the names and contents of source files."""
    whole = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        whole.update(f"{file.name} {len(content)} ".encode() + content)
    return whole.hexdigest()


def places() -> list[Path]:
    """Folders that may hold the cache, the one to be preferred first."""
    users = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    named = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    asked = [Path(named)] if named else []
    # never the temporary folder of the system: whoever can write there could put machine code of his own in its place
    return [*asked, Path(__file__).parent / "__pycache__", users / "glassdask"]


def is_ours(folder: Path) -> bool:
    """Whether what lies in a folder was put there by this user, or by whom the package or the machine belongs to.

    Machine code is run as it is found. Of a folder that others may write to, or may have put in the place of ours (in a
    shared ``/tmp``, where its name can be foretold), nothing is used.
    """
    found, above = folder.lstat(), folder.parent.stat()
    owners = {os.getuid(), 0, HERE.stat().st_uid}
    exchangeable = above.st_mode & stat.S_IWOTH and not above.st_mode & stat.S_ISVTX
    writable = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or not stat.S_ISDIR(found.st_mode)
    return {found.st_uid, above.st_uid} <= owners and not writable and not exchangeable


def folder_for(name: str) -> Path | None:
    """The folder of this name that is filled, or else in the first place where one can write; None without such."""
    for place in places():
        with suppress(OSError):
            if is_ours(place / name) and (place / name / FILLED).read_text() == processor():
                return place / name
    for place in places():
        folder = place / name
        with suppress(OSError):
            if not folder.is_dir():
                place.mkdir(mode=0o755, parents=True, exist_ok=True)
                folder.mkdir(mode=0o755, exist_ok=True)
                retire(place, folder)
            if not is_ours(folder):
                continue
            tempfile.TemporaryFile(dir=folder).close()
            os.utime(folder)  # used just now
            return folder
    return None


def processor() -> str:
    """What numba tells kinds of processors by, and its own version."""
    host: Any = binding  # without types
    return f"numba {numba.__version__}, {host.get_host_cpu_name()} {host.get_host_cpu_features().flatten()}"


def retire(place: Path, current: Path) -> None:
    """Remove what was used longest ago. A process that still uses it compiles again, see `Kept`."""
    with suppress(OSError):
        others = [folder for folder in place.glob(f"{PREFIX}*") if folder != current]
        for folder in sorted(others, key=lambda other: other.stat().st_mtime, reverse=True)[KEPT:]:
            shutil.rmtree(folder, ignore_errors=True)


SOURCES = digest(*sorted(HERE.glob("*.py")))
FOLDER = folder_for(f"{PREFIX}{SOURCES[:16]}")


def sources_of(package: str) -> str | None:
    """Digest of all sources of a package that is being imported; None where it is no package or has no sources."""
    folders = getattr(sys.modules.get(package), "__path__", ())
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.py"))
    with suppress(OSError):
        return digest(*files) if files else None
    return None


first_sources = cache(sources_of)  # as this process began to import the package


class Locator(_CacheLocator):
    """Tells numba the folder, and what makes an entry of it stale (the sources of a kernel that lies elsewhere)."""

    def __init__(self, function: Callable[..., Any], file: str, stamp: str):
        self._py_file, self._line, self._stamp = file, function.__code__.co_firstlineno, stamp
        self.ours = Path(file).parent == HERE

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> Locator | None:
        """The locator of a function; none where it is not known what it is compiled from.

        So it is at a prompt, in a script, and in a package that was edited since this process imported some of it.
        """
        if not os.path.exists(py_file):
            return None
        if Path(py_file).parent == HERE:
            return cls(py_func, py_file, SOURCES)
        package = py_func.__module__.partition(".")[0]
        stamp = first_sources(package)
        return cls(py_func, py_file, stamp) if stamp is not None and stamp == sources_of(package) else None

    def get_cache_path(self) -> str:
        """The folder."""
        return str(FOLDER)

    def get_source_stamp(self) -> str:
        """What an entry must have been compiled from."""
        return self._stamp

    def get_disambiguator(self) -> str:
        """What tells functions of one name from each other."""
        # files of two packages may have one name
        return f"{hashlib.sha256(self._py_file.encode()).hexdigest()[:8]}-{self._line}"


class Implementation(CompileResultCacheImpl):
    """numba's way to write and read compiled functions, in our folder."""

    _locator_classes: list[type[object]] = [Locator]  # noqa: RUF012


class Kept(FunctionCache):
    """A cache that never stops a computation: what cannot be read or written (a full disk) is compiled."""

    _impl_class = Implementation

    compiling: ExitStack | None = None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What is stored for a signature, or None: then this process is the one that compiles it."""
        found = self._stored(sig, target_context)
        if found is None and self.compiling is None:
            held = ExitStack()
            # numba calls this and `save_overload` in turn, one thread at a time
            with suppress(OSError, GlassdaskError):  # without a lock, or after a long time, it is compiled here too
                held.enter_context(locked(self._lock(), "a kernel", PATIENCE))
                self.compiling = held
            found = self._stored(sig, target_context)
            if found is not None:
                self._release()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store what was compiled for a signature, if possible."""
        with suppress(OSError):
            super().save_overload(sig, data)
        self._release()

    def _stored(self, sig: Any, target_context: Any) -> Any:
        try:
            if self._impl.locator.ours:
                # numba would first import all that it can compile from, a sixth of what a short command takes; machine
                # code of our kernels needs only its runtime, and what is compiled later imports the rest
                rtsys.initialize(target_context)
                found = self._load_overload(sig, target_context)
            else:
                found = super().load_overload(sig, target_context)
            if found is not None:  # numba believes the name of the file: what was copied there may be another kernel
                asked = (self._py_func.__module__, self._py_func.__qualname__, sig)
                if (found.fndesc.modname, found.fndesc.qualname, tuple(found.signature.args)) != asked:
                    raise LookupError(f"{self._cache_path}: not {asked}")
            return found
        except Exception:  # half a pickle can raise anything
            with suppress(OSError):
                self.flush()
            return None

    def _lock(self) -> Path:
        return Path(self._cache_path, f"{self._impl.filename_base}.lock")

    def _release(self) -> None:
        held, self.compiling = self.compiling, None
        if held is not None:
            held.close()


def remember(dispatcher: Any) -> Any:
    """Let a compiled function be kept, where there is a place for it."""
    if FOLDER is not None and hasattr(dispatcher, "py_func"):  # which NUMBA_DISABLE_JIT leaves plain functions
        with suppress(RuntimeError):  # numba's word for "no source"
            dispatcher._cache = Kept(dispatcher.py_func)
    return dispatcher
