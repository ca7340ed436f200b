"""The formats that are written: their suffixes, where their writers are, and what a file of each can hold."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from glassdask.errors import FormatError
from glassdask.io.compression import SUFFIXES
from glassdask.io.writers.sheet import Sheet

FRAME = frozenset({"position", "species", "box", "periodic", "present"})
ALL = FRAME | {"origin", "image", "velocity", "energy", "time", "step", "id", "diameter"}


@dataclass(frozen=True)
class Writer:
    """How a format is written.

    Attributes
    ----------
    place : str
        ``module:function`` below this package; the function takes a `Sheet` and a stream.
    suffixes : tuple of str
        Of the names of files; the first one is in errors.
    holds : frozenset of str
        The variables of a trajectory that a file can have.
    text : bool, default True
        Whether it may be compressed, by a further suffix.
    columns : bool, default True
        Whether it can have further columns.
    diameter : str, optional
        The column that diameters are written as, where the format has no place of its own for them.
    words : bool, default False
        Whether the names of columns must be words.
    """

    place: str
    suffixes: tuple[str, ...]
    holds: frozenset[str]
    text: bool = True
    columns: bool = True
    diameter: str | None = None
    words: bool = False

    @property
    def write(self) -> Callable[[Sheet, Any], None]:
        """The function that writes."""
        found: Callable[[Sheet, Any], None] = getattr(self._module, self.place.partition(":")[2])
        return found

    @property
    def taken(self) -> frozenset[str]:
        """Names that columns must not have."""
        return getattr(self._module, "TAKEN", frozenset())

    def remarks(self, sheet: Sheet) -> list[str]:
        """What is not in a file as it was, or what its readers must know, beside what it does not hold."""
        found = getattr(self._module, "remarks", None)
        return [] if found is None else list(found(sheet))

    @property
    def _module(self) -> ModuleType:
        return importlib.import_module(f"glassdask.io.writers.{self.place.partition(':')[0]}")


WRITERS = {
    "xyz": Writer("xyz:write", (".extxyz", ".xyz"), ALL, diameter="radius", words=True),
    "lammps": Writer("lammps:write", (".lammpstrj", ".dump"), ALL, diameter="radius", words=True),
    "lammps_data": Writer(
        "lammps_data:write", (".data",), FRAME - {"periodic"} | {"origin", "image", "velocity", "id"}, columns=False
    ),
    "gsd": Writer("gsd:write", (".gsd",), ALL - {"periodic"}, text=False),
    "h5md": Writer("h5md:write", (".h5md", ".h5"), ALL, text=False),
    "csv": Writer("table:write_csv", (".csv",), ALL - {"box", "origin", "periodic"}, diameter="diameter"),
    "parquet": Writer("table:write_parquet", (".parquet",), ALL, text=False, diameter="diameter"),
}


def writer_of(path: Path, format: str | None = None) -> tuple[str, Writer]:
    """Name and writer of a file: of the format that is named, or else of the suffix, before that of a compression.

    >>> writer_of(Path("melt.lammpstrj.gz"))[0], writer_of(Path("melt"), "xyz")[0]
    ('lammps', 'xyz')
    """
    known = ", ".join(writer.suffixes[0] for writer in WRITERS.values())
    if format is not None and format not in WRITERS:
        raise FormatError(f"{path}: format {format!r} is not written: choose one of {', '.join(WRITERS)}")
    stem = path.name.lower()
    compressed = stem.endswith(SUFFIXES)
    if compressed:
        stem = stem.rpartition(".")[0]
    name = format or next((name for name, writer in WRITERS.items() if stem.endswith(writer.suffixes)), None)
    if name is None:
        raise FormatError(
            f"{path}: no format that is written has this suffix: choose one of {known}, or name the format"
        )
    if compressed and not WRITERS[name].text:
        raise FormatError(f"{path}: {name} is not compressed as a whole: leave out {path.suffix}")
    return name, WRITERS[name]
