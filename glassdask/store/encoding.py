"""How labelled variables are stored: names of particles as codes, other text in the group's attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassdask.errors import CorruptStoreError, SpeciesError, StoreError
from glassdask.names import coded
from glassdask.texts import CONTROL


def is_text(dtype: np.dtype) -> bool:
    """Whether an array of this type holds text."""
    return dtype.kind in "UO" or dtype.kind == "T"


def encode_names(names: np.ndarray, where: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Codes and the attributes ``flag_values`` and ``flag_meanings`` of names of particles, of each frame too.

    As in the CF conventions, but the meanings are a list: there they are one text that is split at its blanks, which a
    name may have.

    >>> codes, attrs = encode_names(np.array(["B", "big A", "B"]), "species")
    >>> codes.tolist(), attrs["flag_meanings"]
    ([0, 1, 0], ['B', 'big A'])
    """
    from glassdask.schema import CODE  # with xarray and dask, which reading names does without

    found, codes = coded(np.asarray(names).astype(str))
    if "" in found:
        raise SpeciesError(f"{where}: a name is empty: give every particle a name such as 'A'")
    for name in filter(CONTROL.search, found):
        raise SpeciesError(f"{where}: the name {name!r} would control a terminal: give particles names such as 'A'")
    return codes.astype(CODE), {"flag_values": list(range(len(found))), "flag_meanings": list(found)}


def decode_names(codes: np.ndarray, attrs: dict[str, Any], where: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The names of `encode_names`, and the attributes without the flags. Meanings are one text in older stores.

    >>> decode_names(np.array([1, 0]), {"flag_values": [0, 1], "flag_meanings": ["A", "B"]}, "species")
    (array(['B', 'A'], dtype='<U1'), {})
    """
    meanings = attrs["flag_meanings"]
    names = np.array(meanings.split() if isinstance(meanings, str) else meanings, dtype=str)
    for name in filter(CONTROL.search, names.tolist()):
        raise CorruptStoreError(f"{where}: the name {name!r} would control a terminal: name the species in its files")
    values = np.asarray(attrs.get("flag_values", range(len(names))))
    index = np.searchsorted(values, codes)
    if not len(names) == len(values) or (index >= len(names)).any() or (values[index] != codes).any():
        raise CorruptStoreError(f"{where}: codes without a name (there are {len(names)} names): write the store again")
    return names[index], {key: value for key, value in attrs.items() if not key.startswith("flag_")}


def encode_text(values: np.ndarray, dims: tuple[str, ...], attrs: dict[str, Any], where: str) -> dict[str, Any]:
    """Text that does not belong to particles (labels of features), as it is kept in the group's attributes."""
    array = np.asarray(values)
    if array.dtype.kind == "O" and not all(isinstance(item, str) for item in array.ravel()):
        raise StoreError(f"{where}: dtype object holds other things than text: convert it to numbers or text")
    return {"dims": list(dims), "values": array.astype(str).tolist(), "attrs": attrs}


def decode_text(stored: dict[str, Any]) -> tuple[tuple[str, ...], np.ndarray, dict[str, Any]]:
    """Dimensions, values and attributes of `encode_text`.

    >>> decode_text({"dims": ["pair"], "values": ["A-A", "A-B"], "attrs": {}})
    (('pair',), array(['A-A', 'A-B'], dtype='<U3'), {})
    """
    return tuple(stored["dims"]), np.array(stored["values"], dtype=str), dict(stored.get("attrs", {}))
