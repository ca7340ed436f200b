"""Cutoffs and diameters that nobody has given: from the trajectory's own g(r), measured once and only where wanted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import xarray as xr

from glassdask.correlations.radial import radial_distribution
from glassdask.correlations.shells import FirstShell, first_peaks, first_shell
from glassdask.errors import SpeciesError
from glassdask.schema import species_names


class Measured:
    """What the first shells of a trajectory say about the parameters of its descriptors.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory.
    given : dict or float, optional
        Cutoffs that are known, one for all pairs or one for each of some.
    tell : callable
        Called with this object when the cutoffs have been found.

    Raises
    ------
    SpeciesError
        A cutoff is given for a species that is not there.

    Examples
    --------
    >>> import numpy as np, glassdask as gd
    >>> jitter = np.random.default_rng(0).normal(scale=0.05, size=(4, 512, 3))
    >>> cubic = np.stack(np.meshgrid(*[np.arange(8.0)] * 3), axis=-1).reshape(1, 512, 3)
    >>> measured = Measured(gd.from_arrays(cubic + jitter, species=["A"] * 512, box=[8.0, 8.0, 8.0]))
    >>> round(measured.cutoffs[("A", "A")], 1), round(measured.diameters["A"], 1)
    (1.2, 1.0)
    """

    def __init__(
        self,
        trajectory: xr.Dataset,
        given: Mapping[tuple[str, str], float] | float | None = None,
        tell: Callable[[Measured], None] = lambda found: None,
    ):
        self.trajectory, self.tell = trajectory, tell
        self.pairs = list(itertools.combinations_with_replacement(species_names(trajectory), 2))
        self.given = dict(given or {}) if not isinstance(given, float) else dict.fromkeys(self.pairs, given)
        unknown = sorted({name for pair in self.given if pair not in self.pairs for name in pair})
        if unknown:
            names = ", ".join(species_names(trajectory))
            raise SpeciesError(f"cutoffs are given for {', '.join(unknown)}: the species here are {names}")

    @cached_property
    def distribution(self) -> xr.Dataset:
        """g(r)."""
        return radial_distribution(self.trajectory)

    @cached_property
    def shells(self) -> dict[tuple[str, str], FirstShell]:
        """The first shells of the pairs whose cutoff is not given; without any such pair nothing is measured."""
        return {pair: first_shell(self.distribution, *pair) for pair in self.pairs if pair not in self.given}

    @cached_property
    def cutoffs(self) -> dict[tuple[str, str], float]:
        """Of every pair: what is given, else the first minimum of its g(r)."""
        found = {pair: self.given[pair] if pair in self.given else self.shells[pair].minimum for pair in self.pairs}
        self.tell(self)
        return found

    @cached_property
    def diameters(self) -> dict[str, float]:
        """Of every species: the first peak of g(r) with its own kind."""
        return first_peaks(self.distribution)

    def defaults(self) -> dict[str, Callable[[], Any]]:
        """Parameters of descriptors by name, as functions that measure them."""
        return {"cutoffs": lambda: self.cutoffs, "diameters": lambda: self.diameters}
