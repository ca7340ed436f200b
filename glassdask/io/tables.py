"""What the columns of a text file are: which says the species, which are kept, and which hold sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from glassdask.errors import FormatError

ALL = "all"
SIZES = ("diameter", "radius")
CLASHING = ("position", "image", "velocity")  # of what readers make of several columns
TEXT = ("element", "typelabel", "species", "name")  # never numbers


def telling_species(
    labels: tuple[str, ...], found: list[str], table: dict[str, Any]
) -> tuple[str | None, tuple[str, ...]]:
    """Which of the columns of words says what the species are, and a line where there was a choice.

    The first of `labels` that is there, unless `type` tells particles apart that it does not: LAMMPS writes the element
    C for each type unless it is told otherwise.
    """
    first = next((name for name in labels if name in found), None)
    if first is None or "type" not in found or first == "type":
        return first or ("type" if "type" in found else None), ()
    words = table["words"]
    pairs = len(np.unique(table[first].astype(np.int64) * len(words["type"]) + table["type"]))
    n_first, n_type = len(words[first]), len(words["type"])
    if pairs == n_first:
        return first, ()
    line = f"species are the column type ({n_type} values), not {first} ({n_first})"
    return "type", (f"{line}: `columns={{'species': '{first}'}}` takes the other one",)


def of_diameters(values: np.ndarray, column: str) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The diameters of a column `radius` or `diameter`, and a line that says so; none where they are not positive."""
    if not (np.isfinite(values) & (values > 0)).all():
        return None, (f"{column} is not taken for sizes: not all of its values are positive",)
    twice = column.lower() == "radius"
    return (2.0 * values if twice else values), (f"diameter is {'twice ' if twice else ''}the column {column}",)


def kept_columns(keep: Sequence[str], found: list[str], roles: dict[str, str], words: Sequence[str] = ()) -> list[str]:
    """The columns to keep: those that are asked for, or all without one of the `roles` and without `words`."""
    if ALL in keep and ALL not in found:
        found = [name for name in found if name not in CLASHING or name in roles]
        return [name for name in found if name not in roles and name not in words and name not in TEXT]
    for name in keep:
        if name not in found:
            raise FormatError(f"no column '{name}' to keep: found {' '.join(found)}")
        if name in CLASHING and name not in roles:
            raise FormatError(
                f"the column '{name}' has a name that means something else in glassdask: leave it out of keep, or "
                "rename it in the file"
            )
        if roles.get(name, "diameter") != "diameter":
            raise FormatError(f"the column '{name}' is read as {roles[name]}, leave it out of keep")
    return [name for name in dict.fromkeys(keep) if name != "diameter"]


def column_of(table: dict[str, Any], name: str, roles: dict[str, str]) -> np.ndarray:
    """A column that is kept, as numbers."""
    values: np.ndarray = table[roles.get(name, name)]
    if name not in table["words"]:
        return values
    try:
        return np.take([int(word) for word in table["words"][name]], values)
    except ValueError:
        raise FormatError(f"the column '{name}' holds words, which are not kept: leave it out of keep") from None


def further(found: Sequence[str], keep: Sequence[str], value: Callable[[str], np.ndarray]) -> dict[str, Any]:
    """What a frame gets of columns that are none of its variables, of which `value` gives each: see `Frame`."""
    size = next((name for name in SIZES if name in found), None)
    kept = kept_columns(keep, list(found), {} if size is None else {size: "diameter"}, ())
    diameter, notes = (None, ()) if size is None else of_diameters(np.asarray(value(size), dtype=np.float64), size)
    columns = {name: np.asarray(value(name)) for name in kept}
    for name, values in columns.items():
        if values.dtype.kind not in "fiub":
            raise FormatError(f"the column '{name}' has dtype {values.dtype}, which is not kept: leave it out of keep")
    unread = tuple(name for name in found if name not in columns and name != size)
    return {"kept": columns, "diameter": diameter, "unread": unread, "notes": notes}
