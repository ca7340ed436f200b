"""Softness: planted planes and planted laws are found, what is no barrier is told, and hops by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.dynamics import hops
from glassdask.errors import ParameterError, SchemaError
from glassdask.learning import (
    LogisticRegression,
    arrhenius_test,
    hop_labels,
    rearrangement_probability,
    softness,
)

TEMPERATURES = np.array([0.45, 0.5, 0.56, 0.65, 0.8])


def planted(law, n=40_000, seed=1):
    """Rows of each temperature that rearrange with the probability law(S, T)."""
    rng = np.random.default_rng(seed)
    s = rng.uniform(-2.0, 2.0, size=(len(TEMPERATURES), n))
    t = np.broadcast_to(TEMPERATURES[:, None], s.shape)
    moved = rng.random(s.shape) < np.minimum(law(s, t), 1.0)
    return s.ravel(), moved.ravel(), t.ravel()


def barrier(s, t):
    """Delta E = 1.5 - 0.5 S, and lines that meet at T = 0.9."""
    return np.exp(-0.5 / 0.9 * s - (1.5 - 0.5 * s) / t)


def test_a_planted_barrier_is_found():
    found = rearrangement_probability(*planted(barrier), bins=8)
    assert found.count.sum() == 200_000
    assert np.all(np.diff(found.softness) > 0)
    test = arrhenius_test(found)
    assert test.warnings == ()
    assert abs(test.slope + 0.5) < 4 * test.slope_error < 0.2
    assert abs(test.onset_temperature - 0.9) < 4 * test.onset_error < 0.3
    known = ~np.isnan(test.p_value)
    expected = 1.5 - 0.5 * found.softness[known]
    # a bin has the mean probability of what is in it, a little above that of its mean
    assert (np.abs(test.barrier[known] - expected) < 4 * test.barrier_error[known] + 0.05).all()
    assert str(test).startswith("barrier falls by 0.")


def test_errors_are_those_of_many_samples():
    ends = [rearrangement_probability(*planted(barrier, 4000, seed), bins=5) for seed in range(40)]
    spread = np.std([end.probability for end in ends], axis=0)
    error = np.mean([end.error for end in ends], axis=0)
    assert np.allclose(error, spread, rtol=0.5)
    assert error.mean() == pytest.approx(spread.mean(), rel=0.1)
    onset = [(t.onset_temperature - 0.9) / t.onset_error for t in map(arrhenius_test, ends)]
    assert 0.6 < np.sqrt(np.mean(np.square(np.clip(onset, -5, 5)))) < 1.6


def test_configurations_that_differ_widen_errors():
    """All particles of a configuration do the same: as many samples as configurations."""
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(50), 100)
    moved = rng.random(50)[group] < 0.3
    found = rearrangement_probability(rng.normal(size=5000), moved, np.ones(5000), groups=group, bins=1)
    p = found.probability[0, 0]
    assert found.error[0, 0] == pytest.approx(np.sqrt(p * (1 - p) / 50), rel=0.05)
    alone = rearrangement_probability(rng.normal(size=5000), moved, np.ones(5000), bins=1)
    assert alone.error[0, 0] == pytest.approx(np.sqrt(p * (1 - p) / 5000), rel=1e-6)


@pytest.mark.parametrize(
    ("law", "words"),
    [
        (lambda s, t: np.exp(-1.0 + 0.4 * s - 1.0 / t), "the barrier does not fall with softness"),
        (lambda s, t: np.exp(-1.0 + 0.4 * s - (1.0 + 0.2 * s) / t), "the barrier does not fall with softness"),
        (lambda s, t: np.exp(0.3 * s - (2.0 - 0.5 * s) / t), "do not meet at any temperature"),
        (lambda s, t: np.exp(-1.0 - (0.6 / t) ** 3 + 0.1 * s), "no straight line in 1/T in"),
        (
            lambda s, t: np.exp(-2.0 - (np.tanh(2 * s) + 1) - (1.0 - 0.9 * (np.tanh(2 * s) + 1)) / t),
            "not linear in softness",
        ),
    ],
)
def test_what_is_no_barrier_is_told(law, words):
    test = arrhenius_test(rearrangement_probability(*planted(law), bins=8))
    assert any(words in warning for warning in test.warnings), test.warnings
    assert f"warning: {test.warnings[0]}" in str(test)


@pytest.mark.parametrize("model", [None, LogisticRegression()])
def test_a_planted_plane_is_found(model):
    """Features of very different sizes; half of the rows have no label, some of the labels are wrong."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(6000, 5))
    direction = np.array([0.6, 0.0, -0.8, 0.0, 0.0])
    truth = z @ direction
    labels = np.where(np.abs(truth + 0.3 * rng.normal(size=6000)) > 0.5, (truth > 0).astype(float), np.nan)
    x, groups = z * np.array([1.0, 100.0, 1e-3, 5.0, 1.0]) + 7.0, np.arange(6000) % 6
    x[17, 0] = np.nan
    found = softness(x, labels, groups, model=model)
    assert np.isnan(found.distance[17])
    assert np.isnan(found.distance).sum() == 1
    keep = np.arange(6000) != 17
    # standardised features: the distance is the projection itself
    assert np.corrcoef(found.distance[keep], truth[keep])[0, 1] > 0.995
    assert found.distance[keep].std() == pytest.approx(1.0, rel=0.25)
    assert found.groups == [[0], [1], [2], [3], [4], [5]]
    assert found.accuracy.shape == found.roc_auc.shape == (6,)
    assert (found.accuracy > 0.95).all()
    assert len(softness(x, labels, groups, model=model, n_folds=3).groups) == 3


def test_no_plane_has_seen_its_group():
    """Other labels of a configuration change no distance of its own, but those of all others."""
    rng = np.random.default_rng(4)
    groups, x = np.repeat(np.arange(4), 200), rng.normal(size=(800, 3))
    labels = (x[:, 0] + rng.normal(size=800) > 0).astype(float)
    labels[rng.random(800) < 0.3] = np.nan
    other = np.where(groups == 2, 1.0 - labels, labels)
    first, second = (softness(x, given, groups) for given in (labels, other))
    same = first.distance == second.distance
    assert same[groups == 2].all()
    assert not same[groups != 2].any()
    assert np.array_equal(first.distance, softness(x, labels, groups).distance)
    # of a configuration without labels, too
    labels[groups == 1] = np.nan
    found = softness(x, labels, groups)
    assert np.isfinite(found.distance).all()
    assert np.isnan(found.accuracy).tolist() == [False, True, False, False]


def test_labels_of_hops():
    """By hand: a jump after a long rest, then unknown frames at the end."""
    path = np.full((40, 2, 2), 2.0) + 0.01 * np.random.default_rng(5).normal(size=(40, 2, 2))
    path[25:, 0, 0] += 1.0
    trajectory = gd.from_arrays(path, species=["A", "A"], box=[9.0, 9.0], time=np.arange(40) * 0.5)
    found = hops(trajectory, window=4.0, threshold=0.2)
    (jump,) = np.flatnonzero(found["hop"].values[:, 0])
    labels = hop_labels(found, quiet=5.0, before=1.0)
    assert labels.values[jump - 2, 0] == 1.0
    assert np.nansum(labels.values) == 1.0
    moving = found["p_hop"].values[:, 0] >= 0.2
    still = [not moving[f : f + 11].any() and f >= 4 and f + 10 <= 35 for f in range(40)]
    assert np.array_equal(labels.values[:, 0] == 0.0, still)
    assert labels.dims == ("frame", "particle")
    with pytest.raises(ParameterError, match=r"quiet 100 and before 0: expected an interval of 0\.5"):
        hop_labels(found, quiet=100.0)
    with pytest.raises(SchemaError, match=r"expected the result of glassdask\.dynamics\.hops"):
        hop_labels(xr.Dataset(), quiet=1.0)


def test_refusals():
    x = np.random.default_rng(6).normal(size=(40, 2))
    with pytest.raises(ParameterError, match="labels: expected 40 values 0, 1 or NaN"):
        softness(x, np.full(40, 2.0), np.arange(40) % 2)
    with pytest.raises(ParameterError, match="groups: found 1, expected at least 2"):
        softness(x, x[:, 0] > 0, np.zeros(40))
    with pytest.raises(ParameterError, match=r"0 rows that rearrange and \d+ that stay are left to learn from"):
        softness(x, np.zeros(40), np.arange(40) % 2)
    with pytest.raises(ParameterError, match="3 distances, 3 rearranged, 2 temperatures"):
        rearrangement_probability(np.ones(3), np.ones(3), np.ones(2))
    with pytest.raises(ParameterError, match="3 defined rows in 10 bins"):
        rearrangement_probability(np.arange(3.0), np.ones(3), np.ones(3))
    found = rearrangement_probability(*(part[:80_000] for part in planted(barrier)))
    with pytest.raises(ParameterError, match="0 bins have 10 events at three temperatures"):
        arrhenius_test(found)
