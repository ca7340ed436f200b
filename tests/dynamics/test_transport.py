"""Diffusion, currents, frequencies, displacements in space: limits, brute force, planted motion, chunks, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import dynamics
from glassdask.errors import ParameterError, SchemaError
from tests.dynamics.test_collective import skewed
from tests.dynamics.test_fluctuations import as_trajectory


def with_velocities(dimension, **options):
    """Random walks in a box that changes, with velocities that have a mean, and all of it in chunks."""
    t, path, box, _ = skewed(dimension, **options)
    velocity = np.random.default_rng(4).normal(0.3, 1.0, path.shape)
    t = t.assign(velocity=(("frame", "particle", "space"), velocity))
    return t.chunk({"frame": 2, "particle": 7}), path, box, velocity


@pytest.mark.parametrize("dimension", [2, 3])
def test_currents_equal_brute_force(dimension):
    t, path, box, velocity = with_velocities(dimension)
    found = dynamics.current_correlations(t, k=[3.0, 5.0], width=0.8, modes=10**6)
    cell = box.mean(axis=0)
    every = np.array(list(itertools.product(range(-9, 10), repeat=dimension)))
    n_frames, n = path.shape[:2]
    for k in (3.0, 5.0):
        step = 0.8
        modes = every[np.abs(np.linalg.norm(every @ (2 * np.pi * np.linalg.inv(cell).T), axis=1) - k) < step / 2]
        assert int(found["modes"].sel(k=k)) == len(modes) // 2 > 5
        of = {name: t["species"].values == name for name in "AB"} | {"all": np.ones(n, bool)}
        j = {name: np.empty((n_frames, len(modes), dimension), complex) for name in of}
        along = {name: np.empty((n_frames, len(modes)), complex) for name in of}
        for f in range(n_frames):
            waves = 2 * np.pi * modes @ np.linalg.inv(box[f]).T
            e = waves / np.linalg.norm(waves, axis=1)[:, None]
            for name, rows in of.items():
                j[name][f] = np.exp(-1j * path[f][rows] @ waves.T).T @ velocity[f][rows]
                along[name][f] = (e * j[name][f]).sum(axis=1)
                j[name][f] -= e * along[name][f][:, None]
        for lag in range(n_frames):
            one, two = slice(0, n_frames - lag), slice(lag, None)
            for a, b in (("A", "A"), ("A", "B"), ("B", "A"), ("B", "B"), ("all", "all")):
                both = [
                    (along[x][one] * along[y][two].conj()).real.mean() / n for x, y in ((a, b), (b, a))
                ], [
                    (j[x][one] * j[y][two].conj()).real.sum(axis=-1).mean() / n / (dimension - 1)
                    for x, y in ((a, b), (b, a))
                ]  # fmt: skip
                for name, values in zip(("longitudinal", "transverse"), both):
                    ours = found[f"{name}_total"] if a == "all" else found[name].sel(species_a=a, species_b=b)
                    np.testing.assert_allclose(ours.sel(k=k, lag=lag), np.mean(values), rtol=1e-9, atol=1e-12)


def test_an_ideal_gas_flies():
    """F_s = exp(-(k t)^2 T / 2 m), and C_L = (T / m) (1 - (k t)^2 T / m) of the same, from its second derivative."""
    rng = np.random.default_rng(3)
    v = rng.normal(size=(2000, 3))
    time = np.arange(60) * 0.02
    path = rng.random((2000, 3)) * 10 + v * time[:, None, None]
    t = as_trajectory(path, time=time).assign(
        velocity=(("frame", "particle", "space"), np.broadcast_to(v, path.shape).copy())
    )
    k = 4.0
    found = dynamics.current_correlations(t, k, width=1.0, modes=400)
    tau = found["lag"].values * k
    np.testing.assert_allclose(found["longitudinal_total"][0], (1 - tau**2) * np.exp(-(tau**2) / 2), atol=0.12)
    np.testing.assert_allclose(found["transverse_total"][0], np.exp(-(tau**2) / 2), atol=0.12)
    # the spectrum of the self part is a Gaussian of width k v
    spectrum = dynamics.dynamic_structure_factor(t, k, duration=1.18)
    omega, values = spectrum["omega"].values, spectrum["skw_self_total"][0].values
    integral = (2 * values.sum() - values[0]) * (omega[1] - omega[0])
    assert integral == pytest.approx(1.0, abs=2e-3)
    expected = np.exp(-((omega / k) ** 2) / 2) / (k * np.sqrt(2 * np.pi))
    # Hann's window of 1.18 is a line as broad as 2.7
    np.testing.assert_allclose(values, expected, atol=0.25 * expected[0])
    np.testing.assert_allclose(
        2 * spectrum["skw"].sum("omega") - spectrum["skw"][..., 0],
        dynamics.intermediate_scattering(t, k)["f"][..., 0] / (omega[1] - omega[0]), rtol=1e-6,
    )  # fmt: skip


def test_spectrum_of_a_sound_wave():
    """Particles that swing together have a line at the frequency of their swing."""
    x = np.stack(np.meshgrid(*[np.arange(6.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    time, omega, k = np.arange(400) * 0.1, 3.0, 2 * np.pi / 6
    wave = 0.05 * np.cos(k * x[:, :1]) * np.array([1.0, 0.0, 0.0])
    t = as_trajectory(x + wave * np.cos(omega * time)[:, None, None], length=6.0, time=time)
    found = dynamics.dynamic_structure_factor(t, k, duration=30.0, width=0.05)["skw_total"][0]
    assert float(found["omega"][found[1:].argmax("omega") + 1]) == pytest.approx(omega, abs=np.pi / 30)


@pytest.mark.parametrize("dimension", [2, 3])
def test_diffusion_of_random_walks(dimension):
    rng = np.random.default_rng(5)
    path = np.cumsum(rng.normal(scale=0.1, size=(400, 200, dimension)), axis=0)
    msd = dynamics.mean_square_displacement(as_trajectory(path))
    found = dynamics.diffusion_coefficient(msd, exponent=0.5)
    assert abs(float(found["diffusion_total"]) - 0.005) < 4 * float(found["diffusion_total_error"])
    assert float(found["diffusion_total"]) == pytest.approx(0.005, rel=0.15)
    same = dynamics.diffusion_coefficient(msd, float(found["shortest_total"]))
    xr.testing.assert_allclose(same["diffusion_total"], found["diffusion_total"])


def test_no_diffusion_is_nan():
    lag = np.geomspace(1, 100, 10)
    curve = xr.Dataset({"msd_total": ("lag", 0.1 * lag**0.3)}, {"lag": lag}, {"dimension": 3})
    found = dynamics.diffusion_coefficient(curve)
    assert np.isnan(found["diffusion_total"])
    assert np.isnan(found["shortest_total"])


def test_stokes_einstein_with_errors():
    rng = np.random.default_rng(0)
    tau = np.geomspace(1, 1e4, 9)
    D = 0.2 * tau**-0.75 * np.exp(rng.normal(scale=0.02, size=9))
    found = dynamics.stokes_einstein(D, tau, 0.02 * D, 0.01 * tau)
    assert abs(float(found["xi"]) - 0.75) < 4 * float(found["xi_error"]) < 0.05
    assert np.isnan(dynamics.stokes_einstein(D[:2], tau[:2])["xi_error"])


def test_displacements_that_are_planted():
    """Slabs that slide against each other: particles of a slab move alike, those of the next one against them."""
    rng = np.random.default_rng(6)
    x = rng.random((3000, 3)) * 12
    direction = np.where(x[:, :1] // 6 == 0, 1.0, -1.0) * np.array([0.0, 0.2, 0.0])
    t = as_trajectory(np.stack([x, x + direction, x + 2 * direction]), length=12.0)
    found = dynamics.displacement_correlation(t, 1.0, r_max=6.0, width=0.5)
    # of a pair at the distance r, a part r / (2 L) is on both sides of a face, on average over directions
    expected = 1 - 2 * found["r"] / (2 * 6.0)
    np.testing.assert_allclose(found["vector"].sel(lag=1.0)[2:], expected[2:], atol=0.05)
    assert found["vector_length"].item() == pytest.approx(6 * (1 - np.exp(-1)), rel=0.1)


@pytest.mark.parametrize("dimension", [2, 3])
def test_displacement_correlation_equals_brute_force(dimension):
    t, path, box, _ = skewed(dimension, n_frames=4, n=60)
    found = dynamics.displacement_correlation(t.chunk(frame=1), [1.0, 2.0], r_max=2.0, width=0.5)
    for lag in (1, 2):
        origins = []
        for f in range(4 - lag):
            u = path[f + lag] - path[f]
            u -= u.mean(axis=0)
            m = np.linalg.norm(u, axis=1)
            m -= m.mean()
            apart = (path[f][:, None] - path[f]) @ np.linalg.inv(box[f])
            r = np.linalg.norm((apart - np.rint(apart)) @ box[f], axis=-1)
            bins = np.where(np.eye(len(r), dtype=bool), -1, (r / 0.5).astype(int))
            vector = [(u @ u.T)[bins == b].mean() / (u**2).sum(axis=1).mean() for b in range(4)]
            mobility = [np.outer(m, m)[bins == b].mean() / (m**2).mean() for b in range(4)]
            origins.append([vector, mobility])
        vector, mobility = np.mean(origins, axis=0)
        np.testing.assert_allclose(found["vector"].sel(lag=lag), vector, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(found["mobility"].sel(lag=lag), mobility, rtol=1e-8, atol=1e-10)


def test_two_workers(two_workers):
    t, *_ = with_velocities(3)
    with two_workers.as_current():
        for function in (
            lambda: dynamics.current_correlations(t, 3.0, width=0.8),
            lambda: dynamics.displacement_correlation(t, 1.0, r_max=2.0, width=0.5),
        ):
            there = function()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("glassdask.graphs._client", lambda: None)
                xr.testing.assert_identical(function(), there)


TWICE = xr.Dataset({"msd_total": ("lag", [0.06, 0.06])}, {"lag": [1.0, 1.0]}, {"dimension": 3})


def test_bad_input():
    t, *_ = skewed(3)
    velocities = with_velocities(3)[0]
    for function, error, words in (
        (lambda: dynamics.current_correlations(t, 3.0), SchemaError, "no variable 'velocity'"),
        (lambda: dynamics.current_correlations(velocities, []), ParameterError, "found none"),
        (lambda: dynamics.current_correlations(velocities, 0.01, width=0.001), ParameterError, "no wave vector"),
        (lambda: dynamics.dynamic_structure_factor(t, 3.0, 1.0), ParameterError, "at least two intervals"),
        (lambda: dynamics.dynamic_structure_factor(t.isel(frame=[0, 1, 3]), 3.0), SchemaError, "evenly spaced"),
        (lambda: dynamics.displacement_correlation(t, []), ParameterError, "found none"),
        (lambda: dynamics.displacement_correlation(t, 1.0, width=-1), ParameterError, "displacement_correlation.width"),
        (lambda: dynamics.displacement_correlation(t.drop_vars("time"), 1.0), SchemaError, "no variable 'time'"),
        (lambda: dynamics.diffusion_coefficient(xr.Dataset()), SchemaError, "no variable 'msd'"),
        # a line through one time has any slope
        (lambda: dynamics.diffusion_coefficient(TWICE), ParameterError, r"the lag 1 is there twice: leave one out"),
        (lambda: dynamics.stokes_einstein([1.0], [1.0]), ParameterError, "two states or more"),
        (lambda: dynamics.stokes_einstein([1.0, np.nan], [1.0, 2.0]), ParameterError, "leave out states"),
    ):
        with pytest.raises(error, match=words):
            function()


def test_the_mean_of_a_displacement_does_not_count():
    """A liquid that drifts as a whole moves no less alike."""
    t, path, box, _ = skewed(2, n_frames=3)
    moved = path + np.arange(3.0)[:, None, None] * np.array([0.7, -0.2])
    position, image = gd.schema.wrap(moved, box)
    drifting = t.assign(position=(t["position"].dims, position), image=(t["image"].dims, image))
    found = [dynamics.displacement_correlation(x, 1.0, r_max=1.5, width=0.5) for x in (t, drifting)]
    xr.testing.assert_allclose(found[0]["vector"], found[1]["vector"])
