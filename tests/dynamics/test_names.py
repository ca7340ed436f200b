"""The calls that a newcomer copies run as they are written, on one trajectory."""

from __future__ import annotations

import numpy as np

import glassdask as gd
from tests.dynamics.test_fluctuations import as_trajectory


def test_calls_as_they_are_written():
    rng = np.random.default_rng(0)
    cells = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(1, 216, 3)
    trajectory = as_trajectory(cells + rng.normal(scale=0.06, size=(105, 216, 3)) + 0.5, length=6.0)
    chi4 = gd.dynamics.dynamic_susceptibility(trajectory, a=0.3, k=7.2)
    assert {"chi4", "chi4_error", "chi4_fs", "chi4_fs_error", "chi4_total", "chi4_fs_total"} <= set(chi4)
    four = gd.dynamics.four_point(trajectory, lag=100.0, a=0.3)
    assert four["s4_total"].dims == ("q",)
    assert four["g4_total"].dims == ("r",)
    assert {"xi4_total", "xi4_total_error"} <= set(four)
    scattering = gd.dynamics.intermediate_scattering(trajectory, k=[7.2])
    assert scattering["f"].dims == ("species_a", "species_b", "k", "lag")
    assert scattering["fs"].dims == ("species", "k", "lag")
    van_hove = gd.dynamics.van_hove(trajectory, lags=[1.0, 10.0])
    assert {"gs", "gd"} <= set(van_hove)
    assert not gd.dynamics.hops(trajectory, window=10.0, threshold=0.2)["hop"].any()
    assert float(gd.dynamics.bond_breaking(trajectory, lags=[10.0])["cb_total"][0]) > 0.99
