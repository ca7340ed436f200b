"""The same numbers as atooms-pp and dynasor; where theirs differ, a few lines show by what."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import glassdask as gd
from glassdask import dynamics
from glassdask.schema import wrap
from tests.conftest import DATA

LAGS, A, UNIT = [1.0, 2.0, 5.0, 9.0], 0.5, 2 * np.pi / 6
DIGITS = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture(scope="module")
def peers():
    return dict(np.load(DATA / "walks_N60.npz"))


@pytest.fixture(scope="module")
def walks(peers):
    path = peers["path"]
    box = np.broadcast_to(np.eye(3) * 6.0, (len(path), 3, 3))
    position, image = wrap(path, box)
    return gd.from_arrays(
        position, species=peers["species"], box=box, image=image, time=np.arange(16.0), velocity=peers["velocity"]
    )


def test_averages(peers, walks):
    found = dynamics.self_correlations(walks, a=A, lags=LAGS)
    np.testing.assert_allclose(found["msd_total"], peers["atooms_msd"], **DIGITS)
    np.testing.assert_allclose(
        dynamics.mean_square_displacement(walks, LAGS)["msd_total"], found["msd_total"], **DIGITS
    )
    np.testing.assert_allclose(found["overlap_total"], peers["atooms_overlap"], **DIGITS)
    # atooms-pp averages the ratio of each origin, we the moments
    path = peers["path"]
    for lag, theirs, ours in zip((1, 2, 5, 9), peers["atooms_alpha2"], found["alpha2_total"]):
        r2 = ((path[lag:] - path[:-lag]) ** 2).sum(axis=-1)
        np.testing.assert_allclose((0.6 * (r2**2).mean(axis=1) / r2.mean(axis=1) ** 2 - 1).mean(), theirs, **DIGITS)
        np.testing.assert_allclose(0.6 * (r2**2).mean() / r2.mean() ** 2 - 1, ours, **DIGITS)


def test_fluctuations(peers, walks):
    """atooms-pp divides the sum of squares by n origins, we by n - 1."""
    found = dynamics.dynamic_susceptibility(walks, a=A, lags=LAGS)
    n = found["origins"]
    np.testing.assert_allclose(found["chi4_total"] * (n - 1) / n, peers["atooms_chi4"], **DIGITS)


def test_velocities(peers, walks):
    found = dynamics.velocity_autocorrelation(walks, LAGS)
    np.testing.assert_allclose(found["vacf_total"], peers["atooms_vacf"], **DIGITS)


def test_collective_scattering(peers, walks):
    """Without its normalisation atooms-pp does not divide by N; the pair A-B of dynasor has both orders."""
    found = dynamics.intermediate_scattering(walks, [UNIT, 2 * UNIT, 3 * UNIT], width=0.1, lags=LAGS)
    np.testing.assert_allclose(60 * found["f_total"], peers["atooms_fkt"], **DIGITS)
    found = dynamics.intermediate_scattering(walks, 2 * UNIT, width=0.1, lags=list(np.arange(1.0, 10.0)))
    np.testing.assert_allclose(found["f_total"][0], peers["dynasor_Fqt_coh"], **DIGITS)
    ours = found["f"].isel(k=0)
    np.testing.assert_allclose(ours.sel(species_a="A", species_b="A"), peers["dynasor_Fqt_coh_A_A"], **DIGITS)
    np.testing.assert_allclose(ours.sel(species_a="B", species_b="B"), peers["dynasor_Fqt_coh_B_B"], **DIGITS)
    both = ours.sel(species_a="A", species_b="B") + ours.sel(species_a="B", species_b="A")
    np.testing.assert_allclose(both, peers["dynasor_Fqt_coh_A_B"], **DIGITS)
    # the self part along the three axes, ours over all directions
    path = peers["path"]
    along = [np.cos(2 * UNIT * (path[lag:] - path[: 16 - lag])).mean() for lag in range(10)]
    np.testing.assert_allclose(along, peers["dynasor_Fqt_incoh"], **DIGITS)
    np.testing.assert_allclose(found["fs_total"][0], along, atol=0.03)


def test_currents(peers, walks):
    found = dynamics.current_correlations(walks, 2 * UNIT, width=0.1, lags=list(np.arange(1.0, 10.0)))
    for ours, theirs in (("longitudinal", "Clqt"), ("transverse", "Ctqt")):
        np.testing.assert_allclose(found[f"{ours}_total"][0], peers[f"dynasor_{theirs}"], **DIGITS)
        pairs = found[ours].isel(k=0)
        for a, b in ("AA", "BB"):
            of = pairs.sel(species_a=a, species_b=b)
            np.testing.assert_allclose(of, peers[f"dynasor_{theirs}_{a}_{b}"], **DIGITS)
        both = 2 * pairs.sel(species_a="A", species_b="B")  # dynasor's pair A-B has both orders
        np.testing.assert_allclose(both, peers[f"dynasor_{theirs}_A_B"], **DIGITS)


def test_spectra(peers, walks):
    """dynasor takes no window, both signs of t and omega at multiples of 2 pi / 19; its S(k, omega) has no 1 / 2 pi."""
    found = dynamics.intermediate_scattering(walks, 2 * UNIT, width=0.1, lags=list(np.arange(1.0, 10.0)))
    currents = dynamics.current_correlations(walks, 2 * UNIT, width=0.1, lags=list(np.arange(1.0, 10.0)))
    omega, t = peers["dynasor_omega"], np.arange(10)
    np.testing.assert_allclose(omega, 2 * np.pi / 19 * np.arange(10), rtol=1e-12)
    both_signs = np.where(t > 0, 2.0, 1.0)
    for name, curve in (
        ("Sqw_coh", found["f_total"][0]),
        ("Clqw", currents["longitudinal_total"][0]),
        ("Ctqw", currents["transverse_total"][0]),
        ("Sqw_incoh", peers["dynasor_Fqt_incoh"]),
    ):
        theirs = np.cos(np.outer(omega, t)) @ (both_signs * np.asarray(curve))
        np.testing.assert_allclose(theirs, peers[f"dynasor_{name}"], **DIGITS)
    # ours, from the same curve: Hann's window, the trapezoidal rule, and 1 / pi of one sign of t
    ours = dynamics.dynamic_structure_factor(walks, 2 * UNIT, 9.0, width=0.1)
    window = 0.5 * (1 + np.cos(np.pi * t / 9)) * np.where(t > 0, 1.0, 0.5)
    expected = np.cos(np.outer(ours["omega"].values, t)) @ (window * found["f_total"][0].values) / np.pi
    np.testing.assert_allclose(ours["skw_total"][0], expected, **DIGITS)


def test_collective_overlap(peers, walks):
    """atooms-pp does not look across the faces of the box, where pairs are then missing."""
    found = dynamics.collective_overlap(walks, a=A, lags=LAGS)["collective_overlap_total"]
    position = walks["position"].values
    for lag, theirs, ours in zip((1, 2, 5, 9), peers["atooms_collective"], found):
        apart = position[lag:, None] - position[:-lag, :, None]
        open_faces = ((apart**2).sum(axis=-1) < A**2).sum(axis=(1, 2)).mean() / 60
        apart -= 6.0 * np.rint(apart / 6.0)
        np.testing.assert_allclose(open_faces, theirs, **DIGITS)
        np.testing.assert_allclose(((apart**2).sum(axis=-1) < A**2).sum(axis=(1, 2)).mean() / 60, ours, **DIGITS)


def test_self_van_hove(peers, walks):
    """atooms-pp does not divide by N; its last bin holds the largest displacement, at which it ends."""
    r = peers["atooms_gs_r"]
    found = dynamics.van_hove(walks, [2.0], r_max=r[0] + r[-1], n_bins=10)
    np.testing.assert_allclose(60 * found["gs_total"][:9, 0], peers["atooms_gs"][0, :9], rtol=1e-10)


def test_four_point_structure_factor(peers, walks):
    """atooms-pp subtracts the square of the sum over the wave vectors of <W>; its mean over origins should be zero."""
    found = dynamics.four_point(walks, 2.0, A, q_max=3.6, modes_per_bin=10**6)
    path = peers["path"]
    slow = ((path[2:] - path[:-2]) ** 2).sum(axis=-1) < A**2
    every = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    for m, theirs in zip((1, 2, 3), peers["atooms_s4"][0]):
        shell = every[np.abs(np.linalg.norm(every, axis=1) - m) < 1e-9]
        w = np.einsum("fp,fpm->fm", slow, np.exp(1j * UNIT * path[:-2] @ shell.T))
        square, mean = (np.abs(w) ** 2).mean(axis=0), w.mean(axis=0)
        np.testing.assert_allclose((square.sum() - np.abs(mean.sum()) ** 2) / 60 / len(shell), theirs, **DIGITS)
        if m < 3:  # a bin of ours ends above the length 3
            ours = found["s4_total"].sel(q=m * UNIT, method="nearest")
            np.testing.assert_allclose(ours, square.mean() / 60, **DIGITS)
