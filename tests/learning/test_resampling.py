"""Errors from resampling configurations, against the law of the mean and against resampled data."""

from __future__ import annotations

import numpy as np
import pytest

from glassdask.errors import ParameterError
from glassdask.learning import PCA, bootstrap, grouped_moments


def test_error_of_a_mean():
    """Groups that differ by more than their rows: the error is that of the groups, sigma / sqrt(groups)."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 50)
    x = rng.normal(size=(40, 1))[groups] + 0.1 * rng.normal(size=(2000, 1))
    mean, error = bootstrap(lambda m: m.x_mean[0], grouped_moments(x, groups=groups), n_resamples=2000)
    assert mean == pytest.approx(x.mean(), rel=1e-12)
    of_groups = x[:, 0].reshape(40, 50).mean(axis=1).std() / np.sqrt(40)
    assert error == pytest.approx(of_groups, rel=0.06)
    assert error > 4 * x.std() / np.sqrt(2000)  # what rows taken for independent would give


def test_the_same_as_resampling_rows():
    """The same draws applied to the data themselves."""
    rng = np.random.default_rng(1)
    frames = [rng.normal(size=(n, 3)) * [3.0, 2.0, 1.0] for n in (40, 60, 50)]
    groups = np.repeat([0, 1, 2], [40, 60, 50])
    value, error = bootstrap(
        lambda m: PCA().fit_moments(m).explained_variance_ratio_,
        grouped_moments(np.concatenate(frames), groups=groups),
        n_resamples=20,
        seed=5,
    )
    draws = np.random.default_rng(5).integers(3, size=(20, 3))
    each = [PCA().fit(np.concatenate([frames[i] for i in draw])).explained_variance_ratio_ for draw in draws]
    np.testing.assert_allclose(error, np.std(each, axis=0, ddof=1), rtol=1e-9)
    np.testing.assert_allclose(value, PCA().fit(np.concatenate(frames)).explained_variance_ratio_, rtol=1e-12)


def test_refused():
    parts = grouped_moments(np.eye(4), groups=[0, 0, 0, 0])
    with pytest.raises(ParameterError, match="1 groups with defined rows"):
        bootstrap(lambda m: m.x_mean, parts)
    two = grouped_moments(np.eye(4), groups=[0, 0, 1, 1])
    with pytest.raises(ParameterError, match="n_resamples: expected"):
        bootstrap(lambda m: m.x_mean, two, n_resamples=1)
