"""Descriptors of whole trajectories: lazy, many at a time, a task for each (frames, block of central particles)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from glassdask import code
from glassdask.declarations import Count, converted, digest, plain, shown
from glassdask.descriptors.base import Descriptor, Plan, Search, check_name
from glassdask.descriptors.structures import checked_structures, of_structure, side_by_side
from glassdask.errors import ParameterError
from glassdask.frames import map_blocks
from glassdask.neighborhood.boxes import check_reach
from glassdask.neighborhood.configuration import Configuration, require_diameters
from glassdask.neighborhood.cutoffs import chosen_species
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.schema import labels, species_names, validate
from glassdask.store import identity
from glassdask.variables import annotated


def describe(
    trajectory: xr.Dataset,
    descriptors: Iterable[Descriptor | str] | Mapping[str, Descriptor] | Descriptor | str,
    *,
    centers: str | Iterable[str] | None = None,
    block: int | None = None,
    structures: Iterable[str] | None = None,
) -> xr.Dataset:
    """Descriptors of every particle of every frame, in one pass over the same neighbours.

    Nothing is computed before the result is stored, plotted or fitted. Neighbours are searched once for the largest
    cutoff, and once for each rule such as `SANN`, a cache-sized batch of centres at a time.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory, in memory or lazy.
    descriptors : iterable of Descriptor or str, dict, Descriptor or str
        One or a list, or a mapping from the variable's name where the same class is wanted twice. Text such as
        ``"sbo"``, ``"SOAP:r_cut=1.6,n_max=6,l_max=8,sigma=0.2"`` or ``"wide=sbo:gamma=4"`` is what the command line
        takes: cutoffs and diameters that are not given are measured of the trajectory's g(r), at once.
    centers : str or iterable of str, optional
        Species of the central particles; None is all.
    block : int, optional
        Most central particles to a task; by default as many as make a task of the usual length and size, a second and
        48 MiB unless dask is configured otherwise (`glassdask.graphs`).
    structures : iterable of str, optional
        Variables (frame, particle, space) with positions of the same particles, such as ``["position",
        "inherent_position", "cage_position"]``: all descriptors of each of them, side by side along a dimension
        ``structure`` after ``particle``. Cutoffs that are measured are those of ``position``. None: of ``position``,
        without that dimension. `displacement_between` gives the ways from one to another.

    Returns
    -------
    xarray.Dataset
        One lazy variable (frame, particle, features...) for each descriptor, with the coordinates ``species``
        (particle), or (frame, particle) where species change, and ``time``, ``step`` (frame) and ``id`` (particle)
        where the trajectory has them (``trajectory.assign(q=q.drop_vars("species"))`` makes a variable ``q`` a part of
        it, where the species are no coordinate), and the attributes ``centers``, ``parameters`` and
        ``code`` (`glassdask.code.digest`), and ``input`` and ``graph``, by which `save_descriptors` knows what it was
        computed from. Rows of other particles are NaN, and those of absent ones. Two descriptors whose feature
        dimensions have the same name but not the same values get ``dim_name`` for the later. Close to an open border
        values are NaN, see `glassdask.neighborhood.borders`.

    Raises
    ------
    SpeciesError, ParameterError, BoxError
        Before any work, where it can be known; otherwise when the block with the offending frame is computed.
    SchemaError
        When the trajectory is none, or has no such structure.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> features = gd.describe(crystal, [gd.BondOrder(cutoffs=1.2), gd.LechnerDellago(cutoffs=1.2)])
    >>> features["bo"].dims, features["ld"].shape
    (('frame', 'particle', 'l'), (1, 27, 8))
    >>> relaxed = crystal.assign(inherent_position=crystal["position"])
    >>> both = gd.describe(relaxed, [gd.BondOrder(cutoffs=1.2)], structures=["position", "inherent_position"])
    >>> both["bo"].dims, both["structure"].values.tolist()
    (('frame', 'particle', 'structure', 'l'), ['position', 'inherent_position'])
    """
    validate(trajectory)
    named = _named(descriptors, trajectory)
    if structures is not None:
        places = checked_structures(trajectory, structures)
        found = {name: describe(of_structure(trajectory, name), named, centers=centers, block=block) for name in places}
        return side_by_side(found, identity(trajectory, places))
    block = converted(block, Count | None, "describe.block")
    names = species_names(trajectory)
    dimension = trajectory.sizes["space"]
    plans = {name: descriptor.plan(names, dimension) for name, descriptor in named.items()}
    _check_names(plans)
    for name, plan in plans.items():
        needs = plan.needs_diameters or (isinstance(plan.search, Neighborhood) and plan.search.needs_diameters)
        if needs:
            require_diameters(trajectory, name)
    wanted = chosen_species(names, centers)
    is_center = np.isin(names, wanted)
    searches = _searches(list(plans.values()))
    for search, _ in searches:
        check_reach(trajectory, search.reach(names) if isinstance(search, Neighborhood) else float(search.max()))
    sizes = [int(np.prod(plan.shape)) for plan in plans.values()]
    microseconds = sum(plan.microseconds for plan in plans.values())
    microseconds += sum(search.microseconds for search, _ in searches if isinstance(search, Neighborhood))
    packed = map_blocks(
        _Work(tuple(plans.values()), searches, is_center), trajectory, columns=sizes, microseconds=microseconds,
        block=block, token=[tuple(named.values()), dimension, wanted],
    )  # fmt: skip

    described = identity(trajectory)

    variables: dict[str, Any] = {}
    coords: dict[str, Any] = {**labels(trajectory)}
    sizes_of: dict[str, int] = {}
    first = 0
    for (name, plan), size in zip(plans.items(), sizes):
        data = packed[:, :, first : first + size]
        first += size
        data = data.reshape(*data.shape[:2], *plan.shape) if plan.shape else data[:, :, 0]
        renamed = _free_dimensions(name, plan, coords, sizes_of)
        sizes_of.update({renamed[dim]: size for dim, size in zip(plan.dims, plan.shape)})
        for coordinate, (dim, values) in plan.coords.items():
            moved = coordinate if renamed[dim] == dim else f"{coordinate}_{name}"
            coords[moved] = (renamed[dim], values)
        parameters = json.dumps(plain(named[name]), sort_keys=True)
        origin = {"code": code_of(named[name]), "input": described, "graph": data.name}
        attrs = {**plan.attrs, "centers": wanted, "parameters": parameters, **origin}
        variables[name] = (("frame", "particle", *(renamed[d] for d in plan.dims)), data, attrs)
    known = annotated(xr.Dataset(coords=coords)).coords
    return xr.Dataset(variables, coords=known, attrs=dict(trajectory.attrs))


def code_of(descriptor: Descriptor) -> str:
    """The `glassdask.code.digest` of what computes a descriptor."""
    return code.digest(descriptor, _Work)


@dataclass(frozen=True)
class _Work:
    """What is computed of every frame. It is made once and goes with the graph to every worker."""

    plans: tuple[Plan, ...]
    searches: list[tuple[Search, list[int]]]
    is_center: np.ndarray  # of the species

    def only(self, wanted: Sequence[int]) -> _Work:
        """The work of some of the plans."""
        plans = tuple(self.plans[k] for k in wanted)
        return _Work(plans, _searches(plans), self.is_center)

    def __call__(self, configuration: Configuration, particles: np.ndarray, *, out: np.ndarray) -> None:
        rows = np.nonzero(self.is_center[configuration.species[particles]])[0]
        if len(rows):
            _describe_frame(configuration, particles[rows], self, out, rows)


def _describe_frame(
    configuration: Configuration,
    centers: np.ndarray,
    work: _Work,
    out: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Rows of `out` (particles, all features side by side) for the `centers`."""
    plans, scratch = work.plans, configuration.scratch
    ends = np.cumsum([int(np.prod(plan.shape)) for plan in plans])
    columns = [slice(end - int(np.prod(plan.shape)), end) for plan, end in zip(plans, ends)]
    for k, plan in enumerate(plans):
        if plan.search is None:
            part = scratch("features", len(centers), *plan.shape)
            part[...] = np.nan
            plan.compute(configuration, centers, part)
            out[rows, columns[k]] = part.reshape(len(centers), -1)
    for search, members in work.searches:
        if isinstance(search, Neighborhood):
            batches = search.batches(configuration, centers)
        else:
            batches = configuration.batches(centers, search)
        for which, neighbors in batches:
            for k in members:
                part = scratch("features", len(which), *plans[k].shape)
                plans[k].compute(configuration, neighbors, part)
                own = plans[k].search
                known = configuration.sees(neighbors.centers, own) if isinstance(own, np.ndarray) else neighbors.known
                if known is not None:
                    part[~known] = np.nan
                out[rows[which], columns[k]] = part.reshape(len(which), -1)


def _searches(plans: Sequence[Plan]) -> list[tuple[Search, list[int]]]:
    """The searches that the plans need and which plans share each: one for all distances, one for each rule."""
    found: list[tuple[Search, list[int]]] = []
    within = {k: plan.search for k, plan in enumerate(plans) if isinstance(plan.search, np.ndarray)}
    if within:
        found.append((np.max(list(within.values()), axis=0), list(within)))
    by_rule: dict[str, tuple[Search, list[int]]] = {}
    for k, plan in enumerate(plans):
        if isinstance(plan.search, Neighborhood):
            by_rule.setdefault(digest(plan.search), (plan.search, []))[1].append(k)
    return found + list(by_rule.values())


def _named(
    descriptors: Iterable[Descriptor | str] | Mapping[str, Descriptor] | Descriptor | str, trajectory: xr.Dataset
) -> dict[str, Descriptor]:
    several = isinstance(descriptors, Iterable) and not isinstance(descriptors, str)
    listed: list[Any] = list(descriptors) if several else [descriptors]  # type: ignore[arg-type]
    named = dict(descriptors) if isinstance(descriptors, Mapping) else {}
    for each in named.values() or listed:
        if not isinstance(each, Descriptor) and not (isinstance(each, str) and not named):
            raise ParameterError(
                f"descriptors: found {shown(each)}, expected descriptors such as BondOrder(cutoffs=1.4) or 'bo'"
            )
    if not named and any(isinstance(each, str) for each in listed):
        from glassdask.descriptors.registry import from_texts

        made = from_texts([each for each in listed if isinstance(each, str)], trajectory)
        others = [each for each in listed if not isinstance(each, str)]
        named = {**made, **{descriptor.name: descriptor for descriptor in others}}
    named = named or {descriptor.name: descriptor for descriptor in listed}
    if len(named) < len(listed):
        raise ParameterError(
            f"{len(listed)} descriptors but only the names {', '.join(named)}: give a mapping from names of your "
            "choice, such as {'sharp': BondOrder(...), 'wide': BondOrder(...)}"
        )
    if not named:
        raise ParameterError("no descriptors: give at least one, such as SmoothedBondOrder(cutoffs=...)")
    return named


def _check_names(plans: Mapping[str, Plan]) -> None:
    """`ParameterError` where a descriptor is called like a dimension or coordinate of the features."""
    features = {each for plan in plans.values() for each in (*plan.dims, *plan.coords)}
    features |= {f"{each}_{name}" for each in features for name in plans}  # see `_free_dimensions`
    for name in plans:
        check_name(name)
        if name in features:
            raise ParameterError(f"descriptors: a descriptor cannot be called {name}, as a coordinate is: rename it")


def _free_dimensions(name: str, plan: Plan, coords: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, str]:
    """New name of each feature dimension: its own, unless it is taken by one with other labels or size."""
    renamed = {}
    for dim, size in zip(plan.dims, plan.shape):
        own = {c: values for c, (along, values) in plan.coords.items() if along == dim}
        clash = any(c in coords and not np.array_equal(coords[c][1], values) for c, values in own.items())
        renamed[dim] = f"{dim}_{name}" if clash or sizes.get(dim, size) != size else dim
    return renamed
