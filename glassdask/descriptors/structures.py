"""Several structures of the same particles, such as initial, inherent and cage: side by side, and the ways between."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from glassdask.declarations import shown
from glassdask.errors import SchemaError
from glassdask.frames import map_frames
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import validate

STRUCTURE = "structure"
STRUCTURES = "structures"  # what the parameters of a descriptor call them
PLACES = ("frame", "particle", "space")


def checked_structures(trajectory: xr.Dataset, structures: Iterable[str]) -> tuple[str, ...]:
    """Names of variables with positions, each once.

    Raises
    ------
    SchemaError
        When a name is no such variable, or none is given.
    """
    validate(trajectory)
    several = isinstance(structures, Iterable) and not isinstance(structures, str)
    names: tuple[Any, ...] = tuple(structures) if several else (structures,)
    if not names or len({str(name) for name in names}) < len(names):
        raise SchemaError(f"structures: found {shown(names)}, expected different names such as 'cage_position'")
    known = [str(name) for name, values in trajectory.data_vars.items() if values.dims == PLACES]
    for name in names:
        if not isinstance(name, str) or name not in known or trajectory[name].dtype.kind != "f":
            raise SchemaError(
                f"structures: found {shown(name)}, expected variables of positions {PLACES}; the trajectory has "
                f"{', '.join(known)}: join others with trajectory.assign"
            )
    return names


def of_structure(trajectory: xr.Dataset, name: str) -> xr.Dataset:
    """The trajectory whose positions are those of one of its structures."""
    if name == "position":
        return trajectory
    return trajectory.drop_vars("image", errors="ignore").assign(position=trajectory[name])


def side_by_side(described: Mapping[str, xr.Dataset], origin: str) -> xr.Dataset:
    """The variables (frame, particle, ...) of each structure as (frame, particle, structure, ...), still lazy.

    `origin` is the `identity` of the trajectory with all of them.
    """
    first = next(iter(described.values()))
    variables = {}
    for name, values in first.data_vars.items():
        data = da.stack([each[name].data for each in described.values()], axis=2)
        parameters = json.dumps({**json.loads(values.attrs["parameters"]), STRUCTURES: [*described]}, sort_keys=True)
        attrs = {**values.attrs, "parameters": parameters, "input": origin, "graph": data.name}
        variables[name] = (("frame", "particle", STRUCTURE, *values.dims[2:]), data, attrs)
    return xr.Dataset(variables, coords={**first.coords, STRUCTURE: list(described)}, attrs=first.attrs)


def displacement_between(trajectory: xr.Dataset, first: str, second: str) -> xr.DataArray:
    r"""From where each particle is in one structure to where it is in another one, the short way around the box.

    .. math:: \Delta_i = r_i'' - r_i' - L\, \mathrm{round}(L^{-1} (r_i'' - r_i'))

    with r' and r'' the positions in the two structures and L the cell; along open axes nothing is rounded.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory whose variables `first` and `second` (frame, particle, space) are positions of the same particles,
        such as ``position``, ``inherent_position`` and ``cage_position``.
    first, second : str

    Returns
    -------
    DataArray (frame, particle, space), lazy
        In the unit of the positions; NaN for absent particles. Its length is a number of every particle that
        `average_shells`, `coarse_grain` and models take as they take descriptors.

    Raises
    ------
    SchemaError
        When there are no such variables.

    Examples
    --------
    >>> import glassdask as gd
    >>> pair = gd.from_arrays([[[0.1, 0.0], [1.0, 1.0]]], species=["A", "A"], box=[4.0, 4.0])
    >>> relaxed = pair.assign(inherent_position=(("frame", "particle", "space"), [[[3.9, 0.0], [1.0, 1.5]]]))
    >>> displacement_between(relaxed, "position", "inherent_position").values[0].round(3).tolist()
    [[-0.2, 0.0], [0.0, 0.5]]
    """
    names = checked_structures(trajectory, (first, second) if first != second else (first,))
    begin, end = (trajectory[name] for name in (names[0], names[-1]))
    dims = {"particle": trajectory.sizes["particle"], "space": trajectory.sizes["space"]}
    found = map_frames(_between, trajectory, begin, end, dims=dims, microseconds=0.1)
    return found.assign_coords(space=trajectory["space"]) if "space" in trajectory.coords else found


def _between(configuration: Configuration, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return configuration.short_way(first, second)
