"""Particles whose species change, or that come and go, are not followed; in one frame everything works."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import dynamics
from glassdask.errors import SchemaError

RNG = np.random.default_rng(3)
POSITION = RNG.random((4, 60, 3)) * 0.2 + np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 3)[:60]
NAMES = np.array(["A", "B"] * 30)
MOVED = xr.DataArray(RNG.normal(size=(2, 60, 3)), dims=("replica", "particle", "space"))


def liquid(species=NAMES, **options):
    return gd.from_arrays(POSITION, species=species, box=[4.0] * 3, time=np.arange(4.0), **options)


SWAPPED = liquid([RNG.permutation(NAMES) for _ in range(4)])
GOING = liquid(present=np.arange(240).reshape(4, 60) != 130)

FUNCTIONS = {
    "unwrapped": dynamics.unwrapped,
    "displacements": dynamics.displacements,
    "self_correlations": lambda t: dynamics.self_correlations(t, k=7.0, a=0.3),
    "msd": dynamics.mean_square_displacement,
    "chi4": lambda t: dynamics.dynamic_susceptibility(t, a=0.3),
    "intermediate_scattering": lambda t: dynamics.intermediate_scattering(t, k=[7.0]),
    "van_hove": lambda t: dynamics.van_hove(t, r_max=1.5, n_bins=5),
    "collective_overlap": lambda t: dynamics.collective_overlap(t, a=0.3),
    "four_point": lambda t: dynamics.four_point(t, lag=1.0, a=0.3, n_bins=5),
    "velocity_autocorrelation": lambda t: dynamics.velocity_autocorrelation(
        t.assign(velocity=t["position"].rename("velocity"))
    ),
    "hops": lambda t: dynamics.hops(t, window=2.0, threshold=0.2),
    "bond_breaking": lambda t: dynamics.bond_breaking(t, cutoffs=1.4),
    "strings": lambda t: dynamics.strings(t, lag=1.0, distance=0.6),
    "d2min": lambda t: dynamics.d2min(t.isel(frame=[0]), t, 1.4),
    "d2min_of_pairs": lambda t: dynamics.d2min(t, t, 1.4),
    "replica_d2min": lambda t: dynamics.replica_d2min(MOVED, t, 1.4),
    "cage_relative": lambda t: dynamics.cage_relative(MOVED, t, 1.4),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_what_follows_particles_refuses_those_without_identity(function):
    with pytest.raises(SchemaError, match=r"species of particles change from frame to frame.*cannot be followed"):
        function(SWAPPED)
    with pytest.raises(SchemaError, match=r"particle 10 is absent from a frame.*are not followed"):
        function(GOING)


@pytest.mark.parametrize("function", list(FUNCTIONS.values())[:-2], ids=list(FUNCTIONS)[:-2])
def test_the_advice_works(function):
    trajectory = SWAPPED
    xr.testing.assert_equal(
        function(trajectory.assign(species=trajectory["species"].isel(frame=0, drop=True))),
        function(liquid(SWAPPED["species"].values[0])),
    )
    trajectory = GOING.chunk(frame=1)
    function(trajectory.isel(particle=trajectory["present"].all("frame").values))


@pytest.mark.parametrize("function", [dynamics.replica_d2min, dynamics.cage_relative])
def test_one_of_independent_samples_is_a_start(function):
    one = liquid(SWAPPED["species"].values[2]).isel(frame=[2])
    cutoffs = {("A", "A"): 1.4, ("A", "B"): 1.3, ("B", "B"): 1.2}
    xr.testing.assert_equal(function(MOVED, SWAPPED.isel(frame=[2]), cutoffs), function(MOVED, one, cutoffs))
    both = (SWAPPED.isel(frame=[2]), one)
    for reference in both:
        xr.testing.assert_equal(dynamics.d2min(reference, both[0], cutoffs), dynamics.d2min(one, one, cutoffs))
