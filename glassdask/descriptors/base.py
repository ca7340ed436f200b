"""What a descriptor is: a frozen dataclass of its parameters that can make a plan for a set of species."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from glassdask.errors import ParameterError
from glassdask.neighborhood.cutoffs import Cutoffs, allowed_pairs, pair_matrix

__all__ = ["Cutoffs", "Descriptor", "Plan", "allowed_pairs", "degree_range", "pair_matrix"]


@dataclass(frozen=True)
class Plan:
    """How one descriptor is computed for given species: its output's layout, its reach and its function.

    Attributes
    ----------
    dims, shape : names and sizes of the feature dimensions; both empty for one number per particle
    coords : coordinates of the features, name -> (dimension, values)
    cutoffs : (S, S) search radii of the shared neighbour list, or None for a descriptor that finds its own neighbours
    compute : with `cutoffs`, ``compute(configuration, neighbors, out)`` for a batch of centres, otherwise
        ``compute(configuration, centers, out)`` for all centres of a block; `out` has shape (centres, *shape)
    microseconds : what a particle takes, roughly, from which the size of a task follows
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: dict[str, tuple[str, np.ndarray]]
    cutoffs: np.ndarray | None
    compute: Callable[..., None]
    attrs: dict[str, Any] = field(default_factory=dict)
    microseconds: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """Base of all descriptors: fields are parameters, `name` is the variable that `describe` writes."""

    name: ClassVar[str]

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """Check the parameters against the species `names` and the number of dimensions, and prepare the work."""
        raise NotImplementedError

    def parameters(self) -> dict[str, Any]:
        """The parameters as plain JSON values, with the class name under ``"descriptor"``.

        Examples
        --------
        >>> import glassdask as gd
        >>> gd.BondOrder(l_max=6, cutoffs={("A", "A"): 1.4}).parameters()["cutoffs"]
        {'A-A': 1.4}
        """
        values = {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {"descriptor": type(self).__name__, **values}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {"-".join(map(str, k)) if isinstance(k, tuple) else str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(v) for v in value]
    return value


def degree_range(l_min: int, l_max: int) -> np.ndarray:
    """The degrees l_min..l_max, checked: 0 <= l_min <= l_max <= 32."""
    if not 0 <= l_min <= l_max <= 32:
        raise ParameterError(f"degrees l_min = {l_min} to l_max = {l_max}: expected 0 <= l_min <= l_max <= 32")
    return np.arange(l_min, l_max + 1)
