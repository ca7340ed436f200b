"""Small datasets that are derived from a trajectory: computed and stored unless the same is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from glassdask.code import digest
from glassdask.declarations import plain
from glassdask.store.arrays import arrays, missing_chunks
from glassdask.store.groups import COMPLETE, attributes, content_hash, is_group
from glassdask.store.writing import write_dataset


def derive(
    path: str | os.PathLike[str],
    name: str,
    compute: Callable[[], xr.Dataset],
    code: str,
    parameters: dict[str, Any],
    made_from: dict[str, str] | None = None,
    overwrite: bool = False,
) -> bool:
    """Store ``reductions/NAME``, computed now, unless the same is there and whole; returns whether it was computed.

    Parameters
    ----------
    path, name : str or path or str
        The store, and the name of the reduction.
    compute : callable
        Gives the dataset.
    code : str
        The function that computes it, as "module:name".
    parameters, made_from, overwrite : dict or bool
        As those of `write_dataset`.

    Raises
    ------
    StoreError
        When another one is there, and must not be replaced.
    """
    group = f"{path}/reductions/{name}"
    wanted = {
        "parameters": plain(parameters), "code": digest(code), "made_from": made_from or {}, "input": content_hash(path)
    }  # fmt: skip
    if is_group(group):
        found = attributes(group)
        same = all(alike(found.get(key), value) for key, value in wanted.items()) and found["status"] == COMPLETE
        if same and not any(missing_chunks(info) for info in arrays(group)):
            return False
    write_dataset(
        compute(), path, f"reductions/{name}", parameters=wanted["parameters"], code=wanted["code"],
        made_from=made_from, overwrite=overwrite,
    )  # fmt: skip
    return True


def alike(one: Any, other: Any) -> bool:
    """Whether two `plain` values say the same: true is not 1; but 7 is 7.0, as the same number may be typed.

    >>> alike({"k": [7, "a"]}, {"k": [7.0, "a"]}), alike({"origins": 1}, {"origins": True}), alike([0], [False])
    (True, False, False)
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
