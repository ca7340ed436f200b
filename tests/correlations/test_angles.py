"""Bond angles: crystals, random directions, a brute-force twin."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import glassdask as gd
from glassdask.correlations.angles import bond_angle_distribution
from glassdask.errors import BoxError, ParameterError
from glassdask.kernels import correlations as kernels
from glassdask.neighborhood.nearest import SANN, Cutoff, KNearest
from tests.conftest import pair_cutoffs
from tests.correlations.test_radial import BCC, FCC, crystal
from tests.neighborhood.brute_neighbors import sets


def brute_force(trajectory, cutoffs, edges):
    species = (trajectory["species"].values == "B").astype(int)
    counts = np.zeros((2, 2, 2, len(edges) - 1), int)
    for position, box in zip(trajectory["position"].values, trajectory["box"].values):
        for i, neighbors in enumerate(sets(position, species, box, cutoffs)):
            for (j, a), (k, b) in itertools.combinations(neighbors.items(), 2):
                cosine = np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
                here = np.searchsorted(edges, np.degrees(np.arccos(cosine)), side="right") - 1
                counts[species[i], species[j], species[k], here] += 1
                if species[j] != species[k]:
                    counts[species[i], species[k], species[j], here] += 1
    return counts


def test_equals_brute_force(liquid):
    cutoffs = np.array([[1.5, 1.3], [1.3, 1.1]])
    found = bond_angle_distribution(liquid, pair_cutoffs(cutoffs), n_bins=36)
    counts = brute_force(liquid, cutoffs, np.linspace(0, 180, 37))
    assert np.array_equal(found["triplets"].values, counts)
    np.testing.assert_allclose((found["probability"] * 5).sum("angle"), 1.0)
    np.testing.assert_allclose((found["probability_total"] * 5).sum(), 1.0)
    unlike = counts[:, 0, 1]
    total = counts[:, [0, 1], [0, 1]].sum(axis=(0, 1)) + unlike.sum(axis=0)
    np.testing.assert_allclose(found["probability_total"], total / total.sum() / 5)


@pytest.mark.parametrize(
    "basis, cutoff, angles",
    [
        (np.zeros((1, 3)), 1.2, {90: 12, 180: 3}),
        (FCC, 0.85, {60: 24, 90: 12, 120: 24, 180: 6}),
        (BCC, 0.95, {np.degrees(np.arccos(1 / 3)): 12, np.degrees(np.arccos(-1 / 3)): 12, 180: 4}),
        (np.zeros((1, 2)), 1.2, {90: 4, 180: 2}),
    ],
)
def test_crystals(basis, cutoff, angles):
    # 179 bins, so that no angle is on an edge but 180
    found = bond_angle_distribution(crystal(basis), cutoff, n_bins=179)
    counts = found["triplets"].values[0, 0, 0] / (5 ** basis.shape[1] * len(basis))
    for angle, number in angles.items():
        assert counts[min(int(angle / 180 * 179), 178)] == number
    assert counts.sum() == sum(angles.values())


@pytest.mark.parametrize("dimension", [2, 3])
def test_independent_neighbours(dimension):
    gas = gd.from_arrays(
        np.random.default_rng(1).random((20, 500, dimension)) * 10, species=["A"] * 500, box=[10.0] * dimension
    )
    found = bond_angle_distribution(gas, 1.5 if dimension == 3 else 0.6, n_bins=6)
    edges = np.radians(np.linspace(0, 180, 7))
    expected = np.full(6, 1 / 6) if dimension == 2 else -0.5 * np.diff(np.cos(edges))
    np.testing.assert_allclose(found["probability_total"] * 30, expected, atol=0.01)


@pytest.mark.parametrize("rule, number", [(KNearest(4), 6), (KNearest(12), 66)])
def test_other_rules_for_neighbours(liquid, rule, number):
    found = bond_angle_distribution(liquid, rule)
    like = found["triplets"].values[:, [0, 1], [0, 1]].sum() + found["triplets"].values[:, 0, 1].sum()
    assert like == number * 240 * 3


def test_sann_in_the_face_centred_cubic_crystal_is_its_first_shell():
    a = bond_angle_distribution(crystal(FCC), SANN(), n_bins=179)
    b = bond_angle_distribution(crystal(FCC), Cutoff(0.85), n_bins=179)
    assert np.array_equal(a["triplets"], b["triplets"])


def test_blocks_give_the_same_numbers(liquid, task_rows):
    whole = bond_angle_distribution(liquid, 1.4)
    task_rows(50)
    assert whole.identical(bond_angle_distribution(liquid, 1.4))


def test_triplets_that_do_not_occur_are_nan(liquid):
    lonely = bond_angle_distribution(liquid, 1e-3)
    assert np.isnan(lonely["probability"]).all()
    assert np.isnan(lonely["probability_total"]).all()


def test_a_neighbour_on_top_of_the_centre_has_no_direction():
    position = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [2.0, 1.0, 1.0], [1.0, 2.0, 1.0]])
    trajectory = gd.from_arrays(position, species=["A"] * 4, box=[5.0] * 3)
    counts = bond_angle_distribution(trajectory, 1.1, n_bins=3)["triplets"].values[0, 0, 0]
    # a right angle at each of the two on one point, angle 0 at each of the two others
    assert counts.tolist() == [2, 2, 0]


def test_bad_parameters(liquid):
    with pytest.raises(ParameterError, match="n_bins"):
        bond_angle_distribution(liquid, 1.4, n_bins=0)
    with pytest.raises(ParameterError, match="lacks A-B, B-B"):
        bond_angle_distribution(liquid, {("A", "A"): 1.0})
    with pytest.raises(BoxError, match="frame 0: within the cutoff"):
        bond_angle_distribution(liquid, 500.0)


def test_kernel_as_plain_python():
    rng = np.random.default_rng(2)
    vector = rng.normal(size=(4, 9))
    vector[3] = np.linalg.norm(vector[:3], axis=0)
    vector[:, 4] = 0.0
    vector[:, 8] = -2 * vector[:, 7]
    vector[3, 8] *= -1
    arguments = (
        np.array([0, 3]),
        np.array([0, 5, 9]),
        rng.integers(0, 5, 9),
        vector,
        np.array([0, 1, 0, 1, 1]),
        4 / np.pi,
    )
    compiled, plain = np.zeros((2, 2, 2, 4), np.int64), np.zeros((2, 2, 2, 4), np.int64)
    kernels.histogram_angles(*arguments, compiled)
    kernels.histogram_angles.py_func(*arguments, plain)
    assert np.array_equal(compiled, plain)
    assert compiled.sum() == 6 + 6
