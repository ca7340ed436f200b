"""One small exception class per kind of failure.

Each is a `GlassdaskError` *and* the builtin that a reader of the code would expect, so that ``except ValueError`` keeps
working. Every message is one line that says what was found, what was expected and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GlassdaskError(Exception):
    """Base of all errors that glassdask raises on purpose."""


class SchemaError(GlassdaskError, ValueError):
    """A dataset does not have the names, dimensions or types of `glassdask.schema`."""


class PositionError(GlassdaskError, ValueError):
    """A position is NaN or infinite."""


class BoxError(GlassdaskError, ValueError):
    """A box is singular, has the wrong shape, or is too small for the cutoff."""


class SpeciesError(GlassdaskError, ValueError):
    """A species is unknown, or the species of the particles change between frames."""


class ParameterError(GlassdaskError, ValueError):
    """A parameter is outside the range in which it means something."""


class FormatError(GlassdaskError, ValueError):
    """A file is empty, truncated, of an unknown format, or lacks columns."""


class StoreError(GlassdaskError, OSError):
    """A store cannot be created, written or read."""


class StoreVersionError(StoreError):
    """A store was written by a newer schema than this version knows."""


class IncompleteStoreError(StoreError):
    """A store, or a part of one, was interrupted while it was written."""


class BusyStoreError(StoreError):
    """Another process is writing the same part of a store."""


class CorruptStoreError(StoreError):
    """Chunks of a store are missing, truncated or altered."""


class ConvergenceError(GlassdaskError, RuntimeError):
    """An iteration ended before it met its tolerance."""


class SimulationError(GlassdaskError, RuntimeError):
    """LAMMPS reported an error."""


class SimulationKilledError(SimulationError):
    """LAMMPS' process was killed from outside; the simulation can go on from its last checkpoint."""


class ClusterError(GlassdaskError, RuntimeError):
    """Workers or the scheduler were lost, never answered, or never came."""


class WorkerMemoryError(ClusterError):
    """Workers died over their memory limit: `limit` is that of one in bytes, of its `threads` together."""

    def __init__(self, message: str, limit: int, threads: int):
        super().__init__(message, limit, threads)
        self.limit, self.threads = limit, threads

    def __str__(self) -> str:
        return str(self.args[0])


class MissingPackageError(GlassdaskError, ImportError):
    """An optional package that this needs is not installed."""


class PluginError(GlassdaskError, ImportError):
    """What another package adds to glassdask cannot be used."""


def brief(error: object) -> str:
    """What an error of another library says, for a line of ours: of such texts nobody knows how long they are.

    >>> brief(ValueError("not a number:\\n  " + "x" * 999))[:30], len(brief("x" * 999))
    ('not a number: xxxxxxxxxxxxxxxx', 200)
    """
    return " ".join(str(error).split())[:200]


def near(name: object, known: Iterable[object]) -> str:
    """A question about the known name that is nearest to one that is not known, for the end of messages.

    >>> near("cutof", ["gamma", "cutoffs"]), near("q", ["gamma", "cutoffs"])
    ("; did you mean 'cutoffs'?", '')
    """
    names = {str(each).lower(): str(each) for each in known}
    found = difflib.get_close_matches(str(name).lower(), list(names), 1)
    return f"; did you mean {names[found[0]]!r}?" if found else ""


def unknown(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error of a module that has no such name, with what may have been meant.

    >>> print(unknown("glassdask", "open", ["open_descriptors", "open_trajectory", "opened"]))
    module 'glassdask' has no attribute 'open': there are open_descriptors, open_trajectory
    >>> print(unknown("glassdask", "ingets", ["ingest"]))
    module 'glassdask' has no attribute 'ingets'; did you mean 'ingest'?
    """
    begun = [each for each in known if each.startswith(f"{name}_")]
    advice = f": there are {', '.join(begun)}" if begun else near(name, known)
    return AttributeError(f"module {module!r} has no attribute {name!r}{advice}")


def install(*extras: str) -> str:
    """What to type for optional packages, for messages; there is no package of this name on any index.

    >>> install("io", "learning")
    "pip install -e '.[io,learning]' in glassdask's folder"
    """
    return f"pip install -e '.[{','.join(extras)}]' in glassdask's folder"


def needed(module: str, package: str) -> None:
    """Raise `MissingPackageError` where a package that is no extra of ours cannot be imported."""
    try:
        __import__(module)
    except ImportError:
        raise MissingPackageError(f"this needs the package {package}: pip install {package}") from None
