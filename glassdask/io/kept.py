"""Columns of files that become variables of a store: one value a particle and frame, or a particle where they stay.

They are written as (frame, particle), and each block notes whether its frames are equal. Where all frames of all files
are, the array is replaced by one of a single frame. What is appended must then be equal, too.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from glassdask.errors import FormatError
from glassdask.files import writing
from glassdask.schema import DIMENSIONS
from glassdask.store.arrays import array_info, create_array, read_region, write_region
from glassdask.variables import TRAJECTORY, VARIABLES

# name -> dtype and number of components, 0 where a value is a single one
Kept = dict[str, tuple[str, int]]


def described(values: dict[str, np.ndarray]) -> Kept:
    """What is to be known of columns to make room for them."""
    return {name: (array.dtype.str, array.shape[1] if array.ndim > 1 else 0) for name, array in values.items()}


def stored_as(group: Path, name: str) -> tuple[str, int]:
    """What a store has of a column."""
    info = array_info(group, name)
    inner = [size for dim, size in zip(info.dims, info.shape) if dim not in ("frame", "particle")]
    return np.dtype(info.dtype).str, inner[0] if inner else 0


def in_common(tables: Iterable[Kept]) -> Kept:
    """What holds the columns of all files: a file may have written with a point what another wrote without."""
    found: Kept = {}
    for table in tables:
        for name, (dtype, width) in table.items():
            known, first = found.get(name, (dtype, width))
            found[name] = (np.result_type(np.dtype(known), np.dtype(dtype)).str, first)
    return found


def fit_columns(frame: Any, expected: Kept, names: Iterable[str], where: str) -> None:
    """Give the columns of a frame the dtypes that they are stored in; raise `FormatError` where they would change."""
    for name in names:
        if name not in expected or (values := frame.get(name)) is None:
            continue
        dtype, width = expected[name]
        found = described({name: values})[name]
        if found[1] != width or not np.can_cast(values.dtype, np.dtype(dtype), "safe"):
            raise FormatError(
                f"{where}: the column {name} holds {_kind(*found)}, before it held {_kind(dtype, width)}: write it "
                "alike in all frames, or ingest without it"
            )
        if name in frame.kept:
            frame.kept[name] = values.astype(dtype, copy=False)
        else:
            setattr(frame, name, values.astype(dtype, copy=False))


def _kind(dtype: str, width: int) -> str:
    name = np.dtype(dtype).name
    return f"{width} components of {name}" if width else name


def check_names(path: str, names: Iterable[str]) -> None:
    """Raise `FormatError` where a column is called as what a trajectory or its particles have already."""
    for name in names:
        known = TRAJECTORY.get(name) or VARIABLES.get(name)
        if name in DIMENSIONS or (known and (name in TRAJECTORY or "particle" in known.dims)):
            raise FormatError(
                f"{path}: the column {name} has a name that means something else in glassdask: leave it out of keep, "
                "or rename it in the file"
            )


def dims_of(name: str, width: int, n_space: int) -> tuple[str, ...]:
    """Dimensions behind (frame, particle): a vector of the space, or components of the column's own."""
    return () if not width else ("space",) if width == n_space else (f"{name}_component",)


def attrs_of(name: str) -> dict[str, str]:
    """Unit and meaning; of a column of the user only its name is known."""
    return TRAJECTORY[name].attrs if name in TRAJECTORY else {"units": "", "long_name": f"{name}, as in the files"}


def mark(values: np.ndarray) -> str | None:
    """The digest of what all frames of a block have, or None where they differ."""
    first = np.ascontiguousarray(values[0])
    same = np.array_equal(values, np.broadcast_to(first, values.shape), equal_nan=values.dtype.kind == "f")
    return hashlib.sha256(first.tobytes()).hexdigest()[:32] if same else None


def constant(marks: Iterable[dict[str, str | None]]) -> list[str]:
    """Names of columns that are the same in all frames, from the `mark`s of all blocks."""
    found: dict[str, set[str | None]] = {}
    for one in marks:
        for name, digest in one.items():
            found.setdefault(name, set()).add(digest)
    return [name for name, digests in found.items() if len(digests) == 1 and None not in digests]


def make_constant(group: Path, names: list[str]) -> None:
    """Replace arrays (frame, particle) whose frames are equal by the first frame."""
    for name in names:
        info = array_info(group, name)
        region = (slice(0, 1), *(slice(0, size) for size in info.shape[1:]))
        values = read_region(info, region)[0]
        with writing(group):
            shutil.rmtree(group / name)
        create_array(group, name, values.shape, info.unit[1:], info.dtype, info.dims[1:], attrs_of(name), decimal=True)
        for part in array_info(group, name).regions():
            write_region(group, name, part, values[part])


def forget_constant(group: Path, names: Iterable[str]) -> None:
    """Remove arrays of a single frame: an interrupted ingestion writes all frames again."""
    for name in names:
        if (group / name / "zarr.json").exists() and "frame" not in array_info(group, name).dims:
            with writing(group):
                shutil.rmtree(group / name)


def stored(group: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Values of the columns that are the same in all frames of a store."""
    infos = (array_info(group, name) for name in names)
    whole = ((info, tuple(slice(0, size) for size in info.shape)) for info in infos if "frame" not in info.dims)
    return {info.name: read_region(info, region) for info, region in whole}


def check_constant(where: str, frame: Any, constants: dict[str, np.ndarray]) -> None:
    """Raise `FormatError` where a frame has other values than those of all frames of the store."""
    for name, values in constants.items():
        if not np.array_equal(frame.get(name), values, equal_nan=values.dtype.kind == "f"):
            raise FormatError(
                f"{where}: {name} is another one than in all frames of the store: ingest all files together into "
                "another store"
            )
