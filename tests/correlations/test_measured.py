"""Parameters from the first shells: measured once, only where wanted, and never for species that are not there."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask.correlations.measured import Measured
from glassdask.errors import SpeciesError


@pytest.fixture
def crystal():
    """Two species that alternate on a simple cubic lattice."""
    cubic = np.stack(np.meshgrid(*[np.arange(8.0)] * 3, indexing="ij"), axis=-1).reshape(1, 512, 3)
    jitter = np.random.default_rng(0).normal(scale=0.05, size=(4, 512, 3))
    species = np.where(cubic[0].sum(axis=-1) % 2 == 0, "A", "B")
    return gd.from_arrays(cubic + jitter, species=species, box=[8.0] * 3)


def test_what_is_not_given_is_a_first_minimum(crystal):
    told = []
    measured = Measured(crystal, {("A", "B"): 1.25}, told.append)
    assert measured.cutoffs == gd.first_minima(crystal, {("A", "B"): 1.25})
    assert measured.diameters == gd.first_peaks(crystal)
    assert measured.cutoffs is measured.defaults()["cutoffs"]()
    assert told == [measured]
    assert set(measured.shells) == {("A", "A"), ("B", "B")}


@pytest.mark.parametrize("given", [1.3, {("A", "A"): 1.4, ("A", "B"): 1.3, ("B", "B"): 1.2}])
def test_nothing_is_measured_that_is_given(crystal, given):
    measured = Measured(crystal, given)
    assert set(measured.cutoffs.values()) == ({given} if isinstance(given, float) else set(given.values()))
    assert "distribution" not in vars(measured)


def test_unknown_species(crystal):
    with pytest.raises(SpeciesError, match=r"given for C: the species here are A, B"):
        Measured(crystal, {("A", "A"): 1.0, ("C", "C"): 1.2})
