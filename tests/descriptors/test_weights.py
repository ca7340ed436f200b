"""Weights of neighbours: kernels compiled and as plain Python, against the formula; memory that is used again."""

from __future__ import annotations

import numpy as np
import pytest

from glassdask.descriptors.weights import sharp, smooth
from glassdask.kernels import weights as kernels
from glassdask.neighborhood.configuration import BATCH_PAIRS, Configuration
from glassdask.neighborhood.scratch import Scratch

CUTOFFS = np.array([[1.5, 1.2], [1.2, 0.0]])


@pytest.fixture
def mixture():
    rng = np.random.default_rng(4)
    position = rng.random((400, 3)) * 6.0
    position[1] = position[0]
    species = (np.arange(400) % 3 == 0).astype(np.int8)
    position[3] = position[0]  # two of the excluded pair on top of each other
    return Configuration(position, species, np.eye(3) * 6.0, ("A", "B"))


def of_pairs(configuration, found):
    centers = np.repeat(found.centers, found.counts)
    return CUTOFFS[configuration.species[centers], configuration.species[found.index]], found.distance


@pytest.mark.parametrize("gamma", [1, 8, 7.5, 18, 200, np.inf])
def test_smooth_weights(mixture, gamma):
    """exp(-(r / r_c)^gamma) up to R, nothing beyond, whatever way the power is taken."""
    found = mixture.neighbors(np.arange(400), np.full((2, 2), 2.0))
    cutoff, r = of_pairs(mixture, found)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        expected = np.where(r < 1.3 * cutoff, np.exp(-((r / cutoff) ** float(gamma))), 0.0)
    weight = smooth(CUTOFFS, gamma, 1.3)(mixture, found)
    np.testing.assert_allclose(weight, expected, rtol=1e-10, atol=1e-300)
    assert (weight[cutoff == 0] == 0).all()
    assert (weight > 0).any()
    assert weight[(found.index == 1) & (np.repeat(found.centers, found.counts) == 0)] == [1.0]  # on top of each other


def test_sharp_weights(mixture):
    found = mixture.neighbors(np.arange(400), np.full((2, 2), 2.0))
    cutoff, r = of_pairs(mixture, found)
    np.testing.assert_array_equal(sharp(CUTOFFS)(mixture, found), (r < cutoff).astype(float))


@pytest.mark.parametrize("half_gamma", [4.0, 3.75])
def test_kernels_as_plain_python(mixture, half_gamma):
    found = mixture.neighbors(np.arange(12), np.full((2, 2), 2.0))
    pairs = found.centers, found.offsets, found.index, found.distance, mixture.species
    compiled, plain = np.empty((2, len(found.index)))
    kernels.sharp(*pairs, CUTOFFS, compiled)
    kernels.sharp.py_func(*pairs, CUTOFFS, plain)
    np.testing.assert_array_equal(plain, compiled)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse2 = 1.0 / CUTOFFS**2
        kernels.smooth_exponent(*pairs, inverse2, half_gamma, 1.69, compiled)
        kernels.smooth_exponent.py_func(*pairs, inverse2, half_gamma, 1.69, plain)
    np.testing.assert_allclose(plain, compiled, rtol=1e-13)


def test_searches_do_not_share_their_room(mixture):
    """A search inside another, or one that was given up, leaves the pairs of the others alone."""
    everybody, cutoffs = np.arange(400), np.full((2, 2), 2.0)
    expected = mixture.neighbors(everybody, cutoffs)
    for _, found in mixture.batches(everybody, cutoffs):
        index = found.index.copy()
        for _, inner in mixture.batches(everybody, cutoffs):
            assert not np.shares_memory(inner.vector, found.vector)
        given_up = mixture.batches(everybody, cutoffs)
        next(given_up)
        np.testing.assert_array_equal(found.index, index)
        given_up.close()
    again = mixture.neighbors(everybody, cutoffs)
    np.testing.assert_array_equal(again.index, expected.index)
    np.testing.assert_array_equal(again.vector, expected.vector)
    assert len(expected.index) < BATCH_PAIRS  # one batch, so that the rooms are those that are kept


def test_scratch_is_used_again():
    scratch = Scratch()
    first = scratch("a", 3, 5)
    assert first.shape == (3, 5)
    assert np.shares_memory(scratch("a", 4), first)
    assert not np.shares_memory(scratch("b", 4), first)
    assert scratch("a", 100, 100).shape == (100, 100)
    assert not np.shares_memory(scratch("a", 4), first)
