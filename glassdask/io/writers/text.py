"""Rows of numbers as text, and text into files, compressed by the suffix of their name.

Numbers are written as the shortest decimals that are read as the same double, by Arrow's writer of CSV, ten million a
second and core. Single precision is written as the double that it is.
"""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from glassdask.errors import MissingPackageError, SpeciesError, install

# what other programs take for chemical elements, and refuse all other names there
ELEMENTS = frozenset(
    [
        "H",
        "He",
        "Li",
        "Be",
        "B",
        "C",
        "N",
        "O",
        "F",
        "Ne",
        "Na",
        "Mg",
        "Al",
        "Si",
        "P",
        "S",
        "Cl",
        "Ar",
        "K",
        "Ca",
        "Sc",
        "Ti",
        "V",
        "Cr",
        "Mn",
        "Fe",
        "Co",
        "Ni",
        "Cu",
        "Zn",
        "Ga",
        "Ge",
        "As",
        "Se",
        "Br",
        "Kr",
        "Rb",
        "Sr",
        "Y",
        "Zr",
        "Nb",
        "Mo",
        "Tc",
        "Ru",
        "Rh",
        "Pd",
        "Ag",
        "Cd",
        "In",
        "Sn",
        "Sb",
        "Te",
        "I",
        "Xe",
        "Cs",
        "Ba",
        "La",
        "Ce",
        "Pr",
        "Nd",
        "Pm",
        "Sm",
        "Eu",
        "Gd",
        "Tb",
        "Dy",
        "Ho",
        "Er",
        "Tm",
        "Yb",
        "Lu",
        "Hf",
        "Ta",
        "W",
        "Re",
        "Os",
        "Ir",
        "Pt",
        "Au",
        "Hg",
        "Tl",
        "Pb",
        "Bi",
        "Po",
        "At",
        "Rn",
        "Fr",
        "Ra",
        "Ac",
        "Th",
        "Pa",
        "U",
        "Np",
        "Pu",
        "Am",
        "Cm",
        "Bk",
        "Cf",
        "Es",
        "Fm",
        "Md",
        "No",
        "Lr",
        "Rf",
        "Db",
        "Sg",
        "Bh",
        "Hs",
        "Mt",
        "Ds",
        "Rg",
        "Cn",
        "Nh",
        "Fl",
        "Mc",
        "Lv",
        "Ts",
        "Og",
    ]
)
BATCH = 1 << 16  # rows that Arrow formats at a time


def pyarrow(what: str) -> Any:
    """The package, or a one-line error about who needs it."""
    try:
        import pyarrow
        import pyarrow.csv
    except ImportError:
        raise MissingPackageError(f"{what} needs the package pyarrow: {install('io')}") from None
    return pyarrow


@contextmanager
def compressing(stream: BinaryIO, name: str) -> Iterator[Any]:
    """A stream that compresses what is written to it, or the stream itself, by the suffix of `name`."""
    with ExitStack() as stack:
        if name.endswith(".gz"):
            yield stack.enter_context(gzip.GzipFile("", "wb", compresslevel=4, fileobj=stream, mtime=0))
        elif name.endswith(".bz2"):
            yield stack.enter_context(bz2.open(stream, "wb"))
        elif name.endswith(".xz"):
            yield stack.enter_context(lzma.open(stream, "wb", preset=2))
        elif name.endswith(".zst"):
            try:
                import zstandard
            except ImportError:
                raise MissingPackageError(f"zstd needs the package zstandard: {install('io')}") from None
            yield stack.enter_context(zstandard.ZstdCompressor().stream_writer(stream, closefd=False))
        else:
            yield stream


@dataclass(frozen=True)
class Names:
    """A column of names: codes (row,) and the names that they are indices of."""

    codes: np.ndarray
    names: Sequence[str]


def rows(columns: Sequence[Any], counts: np.ndarray, separator: str = " ") -> Iterator[Any]:
    """The text of columns of equal lengths, one piece for each of the frames that have `counts` rows."""
    arrow = pyarrow("text")
    ready = [_array(arrow, column) for column in columns]
    made = arrow.table(ready, names=[str(k) for k in range(len(ready))])
    names = [name for column in columns if isinstance(column, Names) for name in column.names]
    quoting = "needed" if any(sign in name for name in names for sign in ',"\n\r') else "none"
    options = arrow.csv.WriteOptions(include_header=False, delimiter=separator, batch_size=BATCH, quoting_style=quoting)
    out = io.BytesIO()
    arrow.csv.write_csv(made, out, options)
    text = out.getbuffer()
    if len(counts) == 1:
        yield text
        return
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == 10) + 1
    edges = np.concatenate([[0], ends])[np.concatenate([[0], np.cumsum(counts)])]
    for begin, end in itertools.pairwise(edges):
        yield text[begin:end]


def _array(arrow: Any, column: Any) -> Any:
    if isinstance(column, Names):
        return arrow.DictionaryArray.from_arrays(column.codes, list(column.names))
    values = np.ascontiguousarray(column)
    return arrow.array(values.astype(np.float64) if values.dtype.kind == "f" else values)


def check_words(names: Sequence[str], where: str) -> None:
    """Raise `SpeciesError` where a name of a species is no word of a text file."""
    for name in names:
        if len(name.split()) != 1 or any(sign in name for sign in "\"'#,:"):
            raise SpeciesError(
                f"{where}: the species {name!r} is no word, as the columns of this format are: write .csv or "
                ".parquet, or rename it"
            )


def number(value: float) -> str:
    """The shortest decimal that is read as the same double.

    >>> number(np.float64(0.1)), number(1e300), number(2.0)
    ('0.1', '1e+300', '2.0')
    """
    return repr(float(value))
