"""Mean-square displacement by particle and axis: its means, by hand, without drift, in blocks."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask import dynamics


@pytest.fixture
def walk():
    rng = np.random.default_rng(0)
    position = 4 + np.cumsum(rng.normal(scale=[0.1, 0.2, 0.0], size=(30, 9, 3)), axis=0)
    image = np.zeros(position.shape, int)
    return gd.from_arrays(position, species=["A", "B", "B"] * 3, box=[20.0] * 3, time=np.arange(30) * 0.5, image=image)


def test_sums_and_means(walk):
    found = dynamics.particle_msd(walk)
    assert found.dims == ("particle", "space", "lag")
    every = dynamics.mean_square_displacement(walk)
    np.testing.assert_array_equal(found["lag"], every["lag"])
    np.testing.assert_allclose(found.sum("space").mean("particle"), every["msd_total"], rtol=1e-12)
    of_b = found.isel(particle=np.flatnonzero(walk["species"].values == "B"))
    np.testing.assert_allclose(of_b.sum("space").mean("particle"), every["msd"].sel(species="B"), rtol=1e-12)
    assert not found.isel(space=2).any()


@pytest.mark.parametrize("remove_drift", [False, True])
def test_by_hand_and_in_blocks(walk, remove_drift, monkeypatch):
    path = walk["position"].values
    if remove_drift:
        path = path - path.mean(axis=1, keepdims=True)
    given = {"lags": [1.0, 2.5], "remove_drift": remove_drift}
    found = dynamics.particle_msd(walk, **given)
    for lag, steps in zip(range(2), (2, 5)):
        expected = ((path[steps:] - path[:-steps]) ** 2).mean(axis=0)
        np.testing.assert_allclose(found[..., lag], expected, rtol=1e-10, atol=1e-14)
    monkeypatch.setattr("glassdask.dynamics.paths.task_bytes", lambda: 16 * 30 * 3 * 4)
    lazy = dynamics.particle_msd(walk.chunk(frame=7), **given)
    assert lazy.chunks[0] == (4, 4, 1)
    np.testing.assert_allclose(lazy, found, rtol=1e-12)
