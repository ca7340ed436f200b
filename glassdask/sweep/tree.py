"""Everything that is stored of a state, as one lazy tree."""

from __future__ import annotations

import os
from pathlib import Path

import xarray as xr

from glassdask.store import open_descriptors, open_reduction, open_trajectory
from glassdask.store.groups import COMPLETE, attributes, children, is_group


def open_state(path: str | os.PathLike[str]) -> xr.DataTree:
    """What is complete of a state, lazily: ``trajectory``, ``descriptors/NAME``, ``reductions/NAME`` as nodes.

    The same nodes below ``inherent`` and ``isoconfigurational`` hold what was simulated from it.
    """
    nodes: dict[str, xr.Dataset] = {}
    for store, prefix in ((Path(path), ""), *((Path(path) / name, f"{name}/") for name in _simulated(Path(path)))):
        if not _complete(store):
            continue
        nodes[f"{prefix}trajectory"] = open_trajectory(store)
        for kind in ("descriptors", "reductions"):
            for child in children(store / kind, "group") if is_group(store / kind) else []:
                if _complete(child):
                    opened = (
                        open_reduction(store, child.name)
                        if kind == "reductions"
                        else open_descriptors(store, [child.name])
                    )
                    nodes[f"{prefix}{kind}/{child.name}"] = opened
    return xr.DataTree.from_dict(nodes)


def _simulated(path: Path) -> list[str]:
    return [name for name in ("inherent", "isoconfigurational") if is_group(path / name)]


def _complete(path: Path) -> bool:
    return is_group(path) and attributes(path).get("status") == COMPLETE
