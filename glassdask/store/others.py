"""Zarr stores of other programs, such as xarray's `to_zarr`: told apart from ours, and left as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glassdask.errors import StoreError
from glassdask.files import read_json
from glassdask.store.ledger import FOLDER


def refuse_others(group: Any, path: Any) -> None:
    """Raise `StoreError` where a folder is a Zarr store that another program has written.

    Ours have a status in every group with arrays, and beside them the ledger.
    """
    if isinstance(group, Path) and of_others(group):
        raise StoreError(
            f"{path}: is a Zarr store that glassdask has not written: open it with xarray.open_zarr, and what that "
            "gives goes into a store by glassdask.save_trajectory"
        )


def of_others(group: Path) -> bool:
    """Whether a folder is a Zarr store, and none of ours.

    Examples
    --------
    >>> import tempfile, glassdask as gd
    >>> folder = tempfile.TemporaryDirectory()
    >>> pair = gd.from_arrays([[[0.0, 0], [1, 0]]], species=["A", "B"], box=[4.0, 4.0])
    >>> _ = pair.to_zarr(folder.name + "/other.zarr", zarr_format=2, consolidated=True)
    >>> _ = gd.save_trajectory(pair, folder.name + "/ours.zarr")
    >>> of_others(Path(folder.name, "other.zarr")), of_others(Path(folder.name, "ours.zarr"))
    (True, False)
    >>> folder.cleanup()
    """
    if (group / FOLDER).exists():
        return False
    if (group / ".zgroup").is_file() or (group / ".zarray").is_file():
        return not (group / "zarr.json").exists()
    return "status" not in _content(group).get("attributes", {"status": ""}) and any(
        _content(file.parent).get("node_type") == "array" for file in group.glob("*/zarr.json")
    )


def _content(folder: Path) -> dict[str, Any]:
    """The metadata as they are, whoever has written them; nothing where they cannot be read."""
    try:
        found = read_json(folder / "zarr.json") or {}
    except StoreError:
        return {}
    return found if isinstance(found.get("attributes", {}), dict) else {}
