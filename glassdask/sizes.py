"""Particles of many sizes by classes of their diameters."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from glassdask.declarations import Count, Positive, converted
from glassdask.errors import ParameterError, SchemaError
from glassdask.graphs import compute
from glassdask.schema import validate


def by_diameter(trajectory: xr.Dataset, classes: int | Iterable[float]) -> xr.Dataset:
    """The trajectory with classes of diameters in place of species: g(r), S(k), cutoffs and centres are then by size.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with the variable ``diameter``.
    classes : int or iterable of float
        How many, each with as many particles as the others (of all frames together); or increasing edges between which
        all diameters are, of which a class has its lower one, and the last one both.

    Returns
    -------
    Dataset
        ``species`` is "d1" for the smallest particles, then "d2", and so on (with as many digits for all), of each
        frame where a particle changes its class; its attribute ``edges`` has the edges. Classes may be without
        particles.

    Raises
    ------
    SchemaError
        When there are no diameters.
    ParameterError
        When a diameter is in no class, the edges do not increase, or there are more classes than diameters.

    Examples
    --------
    >>> import glassdask as gd
    >>> row = [[[x, 1.0] for x in range(4)]]
    >>> sized = gd.from_arrays(row, species=["A"] * 4, box=[4.0, 4.0], diameter=[0.8, 1.0, 1.2, 0.9])
    >>> by_diameter(sized, 2)["species"].values.tolist(), by_diameter(sized, (0.5, 1.0, 1.5))["species"].values.tolist()
    (['d1', 'd2', 'd2', 'd1'], ['d1', 'd2', 'd2', 'd1'])
    """
    validate(trajectory)
    if "diameter" not in trajectory:
        raise SchemaError("there is no variable 'diameter': give the diameters, from_arrays(diameter=...)")
    diameter, *there = compute(trajectory["diameter"], *([trajectory["present"]] if "present" in trajectory else []))
    values = diameter.values
    known = values
    if there:
        present = there[0].values
        known = values[present] if values.ndim == 2 else np.broadcast_to(values, present.shape)[present]
        values = np.where(np.isfinite(values), values, known[0])  # of absent particles, which have no size
    if isinstance(classes, Iterable):
        edges = np.array(converted(classes, tuple[Positive, ...], "by_diameter.classes"))
        if len(edges) < 2 or (np.diff(edges) <= 0).any():
            raise ParameterError(f"by_diameter.classes: expected two or more increasing edges, found {edges.tolist()}")
    else:
        number = converted(classes, Count, "by_diameter.classes")
        edges = np.quantile(known, np.linspace(0.0, 1.0, number + 1))
        if number > 1 and (np.diff(edges) <= 0).any():
            raise ParameterError(f"by_diameter.classes: {number} of equal numbers need more different diameters")
    outside = (known < edges[0]) | (known > edges[-1])
    if outside.any():
        raise ParameterError(
            f"by_diameter.classes: a diameter of {known[outside][0]:.6g} is not between {edges[0]:.6g} and "
            f"{edges[-1]:.6g}: give wider edges"
        )
    number = np.clip(np.searchsorted(edges, values, side="right"), 1, len(edges) - 1)
    digits = len(str(len(edges) - 1))
    names = np.array([f"d{k:0{digits}d}" for k in range(len(edges))])
    attrs = {**trajectory["species"].attrs, "edges": edges.tolist()}
    if number.ndim == 2 and (number == number[0]).all():  # particles can be followed
        number = number[0]
    return trajectory.assign(species=(diameter.dims[-number.ndim :], names[number], attrs))
