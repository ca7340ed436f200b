"""chi_4: independent particles, particles that move together, brute force, repeated runs, chunks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf, j0

import glassdask as gd
from glassdask.dynamics import dynamic_susceptibility, walk
from glassdask.errors import ParameterError, SchemaError
from glassdask.schema import wrap


def as_trajectory(path, time=None, species=None, length=10.0):
    box = np.broadcast_to(np.eye(path.shape[2]) * length, (len(path), path.shape[2], path.shape[2]))
    position, image = wrap(path, box)
    species = ["A"] * path.shape[1] if species is None else species
    time = np.arange(float(len(path))) if time is None else time
    return gd.from_arrays(position, species=species, box=box, image=image, time=time)


def two_states(n_frames, n, groups, seed=0):
    """Particles at one of two places, 1 apart, drawn anew in every frame, `groups` of them each for itself."""
    side = np.random.default_rng(seed).integers(0, 2, (n_frames, groups)).repeat(n // groups, axis=1)
    path = np.full((n_frames, n, 3), 5.0)
    path[:, :, 0] += side
    return as_trajectory(path)


def test_what_does_not_fluctuate_has_no_shape():
    """At rest in most blocks, where rounding was taken for fluctuations: cumulants of 1e15."""
    path = np.random.default_rng(5).random((1, 90, 3)) * 9.0 + np.zeros((40, 1, 1))
    for frame in (31, 34, 36):
        path[frame:, :7, 0] += 0.9
    found = dynamic_susceptibility(as_trajectory(path, species=["A"] * 60 + ["B"] * 30), a=0.3)
    for name in ("binder", "binder_error", "binder_total", "binder_total_error"):
        assert not np.any(np.abs(found[name].values) > 100.0), name
    assert np.isnan(found["binder"].sel(species="B")).all()


@pytest.mark.parametrize("dimension", [2, 3])
def test_equals_brute_force(dimension):
    rng = np.random.default_rng(3)
    path = np.cumsum(rng.normal(scale=0.3, size=(24, 30, dimension)), axis=0)
    species = np.where(np.arange(30) % 3 == 0, "B", "A")
    found = dynamic_susceptibility(as_trajectory(path, np.arange(24) * 0.5, species), a=0.6, k=3.0)
    for lag in found["lag"].values:
        n = round(lag / 0.5)
        r = np.linalg.norm(path[n:] - path[:-n], axis=-1)
        weights = {"": r < 0.6, "_fs": np.sinc(3.0 * r / np.pi) if dimension == 3 else j0(3.0 * r)}
        for end, weight in weights.items():
            for name, of in (("A", species == "A"), ("B", species == "B"), (None, slice(None))):
                total = "_total" if name is None else ""
                at = found.sel(lag=lag) if name is None else found.sel(lag=lag, species=name)
                q = weight[:, of].mean(axis=1)
                chi4 = weight[:, of].shape[1] * q.var(ddof=1)
                np.testing.assert_allclose(at[f"chi4{end}{total}"], chi4, atol=1e-12)
                if q.var():
                    binder = 1 - ((q - q.mean()) ** 4).mean() / (3 * q.var() ** 2)
                    np.testing.assert_allclose(at[f"binder{end}{total}"], binder, atol=1e-9)
                np.testing.assert_allclose(at[f"{'fs' if end else 'overlap'}{total}"], q.mean(), atol=1e-12)


@pytest.mark.parametrize("groups", [400, 40])
def test_particles_that_move_together_are_counted(groups):
    """Independent particles: the binomial q (1 - q); groups of ten, which move as one: ten times as much."""
    found = dynamic_susceptibility(two_states(4000, 400, groups), a=0.5, lags=[1.0], origins=4000)
    deviation = found["chi4_total"] - 0.25 * 400 / groups
    assert abs(float(deviation[0])) < 4 * float(found["chi4_total_error"][0]) < 0.25 * 400 / groups
    assert abs(float(found["binder_total"][0])) < 0.2  # many groups: Gaussian


def test_one_group_has_two_values():
    """All move as one, half of the times: chi_4 = N / 4, and the Binder cumulant of two values is 2/3."""
    found = dynamic_susceptibility(two_states(3000, 10, 1), a=0.5, lags=[1.0], origins=3000)
    assert float(found["chi4_total"][0]) == pytest.approx(2.5, abs=0.02)
    assert float(found["binder_total"][0]) == pytest.approx(2 / 3, abs=0.01)


@pytest.mark.parametrize("dimension", [2, 3])
def test_ideal_gas(dimension):
    """Random walks: overlap and F_s have their Gaussian values, and chi_4 is the variance of one particle's weight."""
    rng = np.random.default_rng(7)
    path = np.cumsum(rng.normal(scale=0.3, size=(1500, 200, dimension)), axis=0)
    found = dynamic_susceptibility(as_trajectory(path), a=0.5, k=2.0, lags=[1.0], origins=1500)
    x = 0.5 / 0.3
    q = 1 - np.exp(-0.5 * x**2) if dimension == 2 else erf(x / 2**0.5) - (2 / np.pi) ** 0.5 * x * np.exp(-0.5 * x**2)
    r = 0.3 * np.linalg.norm(rng.normal(size=(10**6, dimension)), axis=1)
    weight = np.sinc(2.0 * r / np.pi) if dimension == 3 else j0(2.0 * r)
    for name, expected in {
        "overlap": q, "fs": np.exp(-0.5 * 2.0**2 * 0.3**2), "chi4": q * (1 - q), "chi4_fs": weight.var(),
        "binder": 0.0, "binder_fs": 0.0,
    }.items():  # fmt: skip
        deviation = abs(float(found[f"{name}_total"][0]) - expected)
        assert deviation < 4.5 * float(found[f"{name}_total_error"][0]) < 0.5


def test_errors_are_those_of_repeated_runs():
    runs = [dynamic_susceptibility(two_states(200, 50, 50, seed), a=0.5, lags=[1.0], origins=200) for seed in range(60)]
    scatter = np.std([float(run["chi4_total"][0]) for run in runs], ddof=1)
    reported = np.sqrt(np.mean([float(run["chi4_total_error"][0]) ** 2 for run in runs]))
    assert 0.75 < reported / scatter < 1.35
    assert np.mean([float(run["chi4_total"][0]) for run in runs]) == pytest.approx(0.25, abs=4 * scatter / 60**0.5)


def test_chunks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(8)
    path = np.cumsum(rng.normal(scale=0.2, size=(20, 700, 3)), axis=0)
    t = as_trajectory(path, species=np.where(np.arange(700) < 650, "A", "B"))
    whole = dynamic_susceptibility(t, a=0.5, k=4.0)
    monkeypatch.setattr(walk, "SMALLEST_TASK_PARTICLES", 100)
    for chunks in ({"frame": 3}, {"frame": 1, "particle": 130}):
        again = dynamic_susceptibility(t.chunk(chunks), a=0.5, k=4.0)
        for name in whole:
            np.testing.assert_allclose(again[name], whole[name], rtol=1e-8, atol=1e-10)


def test_nothing_moves():
    found = dynamic_susceptibility(as_trajectory(np.full((5, 3, 3), 2.0)), a=0.3, k=7.0)
    for end in ("", "_fs"):
        np.testing.assert_array_equal(found[f"chi4{end}"], 0.0)
        assert np.isnan(found[f"binder{end}"]).all()


def test_one_particle_has_the_same_density_everywhere():
    """|rho|^2 is 1 wherever it is, but for rounding, of which a cumulant had been made."""
    path = 5.0 + np.cumsum(np.random.default_rng(4).normal(scale=0.1, size=(9, 1, 3)), axis=0)
    found = gd.dynamics.intermediate_scattering(as_trajectory(path), k=[2.1], lags=[1.0])
    for end in ("", "_total"):
        assert found[f"chi4_f{end}"].values[..., 0].ravel().tolist() == [0.0]
        assert np.isnan(found[f"binder_f{end}"].values[..., 0]).all()
        assert np.isfinite(found[f"binder_f{end}"].values[..., 1]).all()


def test_lags_of_one_origin():
    t = as_trajectory(np.full((5, 3, 3), 2.0))
    assert dynamic_susceptibility(t, a=0.3)["lag"].values.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ParameterError, match="lag 4 has 1 time origin, fluctuations need at least 2"):
        dynamic_susceptibility(t, a=0.3, lags=[1.0, 4.0])
    with pytest.raises(ParameterError, match="at least 2"):
        dynamic_susceptibility(t, a=0.3, origins=1)
    with pytest.raises(ParameterError, match="give a length a"):
        dynamic_susceptibility(t)
    with pytest.raises(SchemaError, match="no variable 'time'"):
        dynamic_susceptibility(t.drop_vars("time"), a=0.3)


def test_blocks_are_those_of_array_split():
    """The error of a mean is the scatter of blocks whose lengths differ by one at most."""
    rng = np.random.default_rng(2)
    found = gd.dynamics.origins.Origins.of(as_trajectory(rng.random((48, 2, 3))), [1.0], 47)
    values = rng.normal(size=(47, 1))
    mean, error = found.averages(lambda means, counts: {"x": means}, values)["x"]
    parts = np.array_split(values[:, 0], 10)
    left = [np.concatenate([p for q, p in enumerate(parts) if q != n]).mean() for n in range(10)]
    assert float(mean[0, 0]) == pytest.approx(values.mean(), rel=1e-12)
    assert float(error[0, 0]) == pytest.approx(np.sqrt(0.9 * np.sum((left - np.mean(left)) ** 2)), rel=1e-10)
