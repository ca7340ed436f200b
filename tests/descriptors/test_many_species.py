"""Mixtures of any number of species: a species a particle gives what few species of the same sizes give."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from tests.neighborhood.brute_neighbors import sets

EDGE = 6.0


def mixture(names):
    position = np.random.default_rng(1).random((1, len(names), 3)) * EDGE
    return gd.from_arrays(position, species=names, box=[EDGE] * 3)


def numbered(n_species, n_particles=300):
    return np.array([f"p{k % n_species:03d}" for k in range(n_particles)])


@pytest.mark.parametrize(
    "n_species", [127, 128, 129, pytest.param(256, marks=pytest.mark.slow), pytest.param(300, marks=pytest.mark.slow)]
)
def test_coordination_equals_brute_force(n_species):
    names = numbered(n_species)
    diameters = np.random.default_rng(2).uniform(0.7, 1.3, n_species)
    cutoffs = 0.65 * (diameters[:, None] + diameters)
    labels = np.unique(names)
    pairs = {(a, b): cutoffs[i, j] for i, a in enumerate(labels) for j, b in enumerate(labels)}
    liquid = mixture(names)
    found = gd.describe(liquid, [gd.Coordination(cutoffs=pairs)])["coordination"].values[0]
    expected = sets(liquid["position"].values[0], np.arange(300) % n_species, np.eye(3) * EDGE, cutoffs)
    np.testing.assert_array_equal(found, [len(neighbors) for neighbors in expected])


@pytest.mark.parametrize("n_species", [128, 129, 300])
def test_sums_over_species_are_those_of_one_species(n_species):
    many, one = mixture(numbered(n_species)), mixture(numbered(1))
    grid = tuple(np.arange(0.8, 2.0, 0.1))
    density = gd.describe(many, [gd.RadialDensity(grid=grid, delta=0.1)])["radial_density"]
    plain = gd.describe(one, [gd.RadialDensity(grid=grid, delta=0.1, by_species=False)])["radial_density"]
    np.testing.assert_allclose(density.sum("neighbor_species"), plain, atol=1e-12)
    s, s_one = (gd.structure_factor(t, k_max=6, n_bins=6) for t in (many, one))
    np.testing.assert_allclose(s["S_total"], s_one["S_total"], atol=1e-12)
    g, g_one = (gd.radial_distribution(t, n_bins=20) for t in (many, one))
    np.testing.assert_array_equal(
        g["counts"].sum(["species_a", "species_b"]), g_one["counts"].sum(["species_a", "species_b"])
    )
    soap, soap_one = (gd.describe(t, [gd.SOAP(r_cut=1.4, n_max=2, l_max=2, sigma=0.3)])["soap"] for t in (many, one))
    np.testing.assert_array_equal(soap, soap_one)


def test_voronoi_cells_of_two_hundred_diameters():
    """The same sizes, given to a species a particle and to the four of them that differ."""
    sizes = np.array([0.8, 0.9, 1.0, 1.2])
    names = numbered(300)
    each = dict(zip(names, sizes[np.arange(300) % 4]))
    found = gd.describe(mixture(names), [gd.VoronoiCell(diameters=each)])["voronoi"]
    few = gd.describe(mixture(numbered(4)), [gd.VoronoiCell(diameters=dict(zip(numbered(4, 4), sizes)))])["voronoi"]
    np.testing.assert_allclose(found, few, atol=1e-12)
    np.testing.assert_allclose(found.sel(voronoi_feature="volume").sum(), EDGE**3)


@pytest.mark.parametrize("names", [["A B", "A", "B"], ["big A", "A", "C"], [" B", "B", "B "], ["1 2", "12", "2"]])
def test_centres_with_a_blank_in_their_name(names, tmp_path):
    """Rows of the feature matrix, and what a reduction is fitted on, are those of the species that was named."""
    species = np.repeat(names, [90, 110, 100])
    liquid = mixture(species)
    store = tmp_path / "run.zarr"
    gd.save_trajectory(liquid, store)
    for name in names:
        bo = gd.describe(gd.open_trajectory(store), {"some": gd.BondOrder(cutoffs=1.5)}, centers=name)
        gd.save_descriptors(bo, store, overwrite=True)
        for features in (bo["some"], gd.open_descriptors(store)["some"]):
            assert gd.feature_matrix(features).shape[0] == (species == name).sum()
            np.testing.assert_array_equal(np.isfinite(features.values[0]).any(-1), species == name)
            assert f'"n_samples": {(species == name).sum()}' in gd.reduce(features).attrs["reduction"]


def test_centres_of_older_stores(liquid):
    """They were one text."""
    features = gd.describe(liquid, [gd.BondOrder(cutoffs=1.5)])["bo"]
    old = features.assign_attrs(centers="A B")
    np.testing.assert_array_equal(gd.feature_matrix(old), gd.feature_matrix(features))
