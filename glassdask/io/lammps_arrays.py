"""Frames of LAMMPS dumps that are not lines of text with blanks: binary, yaml, netcdf and cfg, from arrays of columns.

What a column means is told by its name, as in text (`glassdask.io.lammps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glassdask.errors import FormatError
from glassdask.io import text
from glassdask.io.frame import Frame, encode
from glassdask.io.lammps import Header, frame_of


def frame_of_arrays(
    columns: dict[str, np.ndarray], header: Header, named: dict[str, str] | None, keep: Sequence[str]
) -> Frame:
    """A frame from its columns, of numbers or of words."""
    header.columns, header.n_particles = list(columns), len(next(iter(columns.values())))
    return frame_of(header, named or {}, keep, lambda fields: _table(columns, fields))


def _table(columns: dict[str, np.ndarray], fields: Sequence[text.Column]) -> dict[str, Any]:
    """What `glassdask.io.text.Lines.table` gives."""
    table: dict[str, Any] = {"words": {}}
    vectors: dict[str, dict[int, np.ndarray]] = {}
    for name, becomes, kind, component in fields:
        values = columns[name]
        if kind == "s":
            names: list[str | int] = []
            whole = values.astype(np.int64) if values.dtype.kind == "f" and _whole(values) else values
            table[becomes] = encode(whole, names)
            table["words"][becomes] = [str(word) for word in names]
        elif kind:
            vectors.setdefault(becomes, {})[component] = _numbers(values, name, kind)
    for becomes, parts in vectors.items():
        arrays = [parts[k] for k in sorted(parts)]
        table[becomes] = arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=1)
    return table


def _numbers(values: np.ndarray, name: str, kind: str) -> np.ndarray:
    try:
        numbers: np.ndarray = values.astype(np.float64)
    except ValueError as error:
        raise FormatError(f"column {name}: {error}: the file is damaged") from None
    if kind == "f":
        return numbers
    if not _whole(numbers):
        raise FormatError(f"column {name} holds numbers that are not whole: the file is damaged")
    return numbers.astype(np.int64)


def _whole(values: np.ndarray) -> bool:
    """Whether all are whole numbers that a float holds exactly."""
    return bool((np.abs(values) < 2.0**53).all() and (values == np.rint(values)).all())
