"""The same numbers as ripple-hpc and PyMatterSim; where theirs differ, a few lines show by what."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from glassdask import dynamics
from tests.conftest import DATA
from tests.dynamics.test_peers import DIGITS, UNIT, A, peers, walks  # noqa: F401 (fixtures)

LAGS = np.arange(1.0, 10.0)
# The shells of ripple: wave vectors whose length in 2 pi / L is from 1, 2 and 3 on.
SHELLS = ((1.0, 2.0), (2.0, 3.0), (3.0, 3.5 + 1e-9))
EVERY = np.array(list(itertools.product(range(-4, 5), repeat=3)))
LENGTH = np.linalg.norm(EVERY, axis=1)


@pytest.fixture(scope="module")
def more():
    return dict(np.load(DATA / "walks_N60_peers.npz"))


def shell(low, high):
    return UNIT * EVERY[(low - 1e-9 <= LENGTH) & (high - 1e-9 > LENGTH)]


def test_averages(more, walks):  # noqa: F811
    found = dynamics.self_correlations(walks, a=A, lags=LAGS)
    for theirs in (more["ripple_msd"][1:], more["pymattersim_msd"]):
        np.testing.assert_allclose(found["msd_total"], theirs, **DIGITS)
    for theirs in (more["ripple_alpha2"][1:], more["pymattersim_alpha2"]):
        np.testing.assert_allclose(found["alpha2_total"], theirs, **DIGITS)
    np.testing.assert_allclose(found["overlap_total"], more["pymattersim_Qt"], **DIGITS)


def test_self_scattering_along_wave_vectors(more, walks, peers):  # noqa: F811
    """Theirs along the wave vectors of the box (PyMatterSim: the axes), ours over all directions."""
    path = peers["path"]
    for lag in range(1, 10):
        moved = path[lag:] - path[:-lag]
        for column, ends in enumerate(SHELLS):
            np.testing.assert_allclose(np.cos(moved @ shell(*ends).T).mean(), more["ripple_fs"][lag, column], **DIGITS)
        np.testing.assert_allclose(np.cos(2 * UNIT * moved).mean(), more["pymattersim_isf"][lag - 1], **DIGITS)
    ours = dynamics.self_intermediate_scattering(walks, 2 * UNIT, LAGS)["fs_total"]
    np.testing.assert_allclose(ours, more["pymattersim_isf"], atol=0.03)


def test_fluctuations(more, walks):  # noqa: F811
    """Both divide the sum of squares by n origins, we by n - 1; ripple's are those of the particles that move."""
    found = dynamics.dynamic_susceptibility(walks, a=A, lags=LAGS)
    n = found["origins"]
    for theirs in (more["ripple_chi4"][1:], more["pymattersim_X4_Qt"]):
        np.testing.assert_allclose(found["chi4_total"] * (n - 1) / n, theirs, **DIGITS)


def test_collective_scattering(more, walks, peers):  # noqa: F811
    """ripple's F(k, t) of all particles is without the part of each with itself, along the same wave vectors."""
    path = peers["path"]
    for column, (ends, k, width) in enumerate(zip(SHELLS, (1.4, 2.45, 3.25), (1.0, 1.0, 0.6))):
        found = dynamics.intermediate_scattering(walks, k * UNIT, width=width * UNIT, modes=10**6, lags=LAGS)
        waves = shell(*ends)
        of_itself = [np.cos((path[lag:] - path[: 16 - lag]) @ waves.T).mean() for lag in range(10)]
        assert found["modes"].values.tolist() in ([len(waves)], [len(waves) // 2])
        np.testing.assert_allclose(found["f_total"][0] - of_itself, more["ripple_f"][:, column], **DIGITS)


def test_van_hove(more, walks):  # noqa: F811
    """ripple's distinct part is 1 for N - 1 other particles, as ours is."""
    found = dynamics.van_hove(walks, LAGS, r_max=3.0, n_bins=6)
    np.testing.assert_allclose(found["gs_total"].transpose("lag", "r"), more["ripple_gs"][1:], **DIGITS)
    np.testing.assert_allclose(found["gd_total"].transpose("lag", "r"), more["ripple_gd"][1:], **DIGITS)


def test_four_point_structure_factor(more, walks, peers):  # noqa: F811
    """ripple takes the mean overlap from each weight, PyMatterSim divides by the particles that stay, not by N."""
    path = peers["path"]
    slow = ((path[2:] - path[:-2]) ** 2).sum(axis=-1) < A**2
    for column, ends in enumerate(SHELLS):
        wave = np.exp(1j * path[:-2] @ shell(*ends).T)
        w = np.einsum("fp,fpm->fm", slow - slow.mean(), wave)
        np.testing.assert_allclose((np.abs(w) ** 2).mean() / 60, more["ripple_s4"][2, column], **DIGITS)
    found = dynamics.four_point(walks, 2.0, A, q_max=3.6, modes_per_bin=10**6)["s4_total"]
    for m, theirs in zip((1, 2), more["pymattersim_sq4"]):
        wave = np.exp(1j * path[:-2] @ (UNIT * EVERY[np.abs(LENGTH - m) < 1e-9]).T)
        square = np.abs(np.einsum("fp,fpm->fm", slow, wave)) ** 2
        # their table has six or seven digits
        np.testing.assert_allclose((square.mean(axis=1) / slow.sum(axis=1)).mean(), theirs, rtol=1e-8)
        np.testing.assert_allclose(found.sel(q=m * UNIT, method="nearest"), square.mean() / 60, **DIGITS)
