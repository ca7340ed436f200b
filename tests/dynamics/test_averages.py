"""Averages over displacements: exact results of simple motions, brute-force twins, independence of the chunks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import j0

import glassdask as gd
from glassdask.correlations import first_peak_wavenumber, structure_factor
from glassdask.dynamics import (
    averages,
    mean_square_displacement,
    non_gaussian_parameter,
    overlap,
    relaxation_time,
    self_correlations,
    self_intermediate_scattering,
    walk,
)
from glassdask.dynamics.lags import N_LAGS, frame_pairs
from glassdask.errors import ParameterError, PositionError, SchemaError
from glassdask.kernels import dynamics as kernels
from glassdask.wrapping import wrap


def as_trajectory(path, time, species=None, length=10.0):
    """A trajectory with images of an unwrapped `path` (frame, particle, space)."""
    box = np.broadcast_to(np.eye(path.shape[2]) * length, (len(path), path.shape[2], path.shape[2]))
    position, image = wrap(path, box)
    species = ["A"] * path.shape[1] if species is None else species
    return gd.from_arrays(position, species=species, box=box, image=image, time=time)


def brownian(dimension, n_frames, n, diffusion=0.5, dt=0.1, seed=0):
    rng = np.random.default_rng(seed)
    steps = rng.normal(scale=np.sqrt(2 * diffusion * dt), size=(n_frames, n, dimension))
    return as_trajectory(np.cumsum(steps, axis=0), np.arange(n_frames) * dt)


@pytest.mark.parametrize("function", [kernels.bessel_j0, kernels.bessel_j0.py_func])
def test_bessel_function(function):
    x = np.concatenate([np.linspace(0, 40, 1500), [7.9999999, 8.0, 8.0000001, 1e3, 1e4]])
    np.testing.assert_allclose([function(value) for value in x], j0(x), atol=2e-13)


@pytest.mark.parametrize("function", [kernels.sine, kernels.sine.py_func])
def test_sine(function):
    x = np.concatenate([np.linspace(-40, 40, 2001), [1e-9, 1e3, 1e4], np.arange(50) * np.pi / 2])
    np.testing.assert_allclose([function(value) for value in x], np.sin(x), atol=1e-14)


@pytest.mark.parametrize("dimension", [2, 3])
def test_kernel_sums(dimension):
    rng = np.random.default_rng(0)
    position = rng.normal(size=(3, dimension, 40)) * 2
    position[1, :, 3] = position[0, :, 3]
    starts, pairs = np.array([0, 25, 25, 40]), np.array([[0, 1], [1, 2], [0, 2]])
    arguments = (position, starts, pairs, 2.3, 2.25, np.empty(40))
    compiled, plain = np.empty((3, 3, 4)), np.empty((3, 3, 4))
    kernels.self_sums(*arguments, compiled)
    kernels.self_sums.py_func(*arguments, plain)
    np.testing.assert_allclose(compiled, plain, rtol=1e-12)
    moved = position[pairs[:, 1]] - position[pairs[:, 0]]
    r = np.linalg.norm(moved, axis=1)
    isotropic = np.sinc(2.3 * r / np.pi) if dimension == 3 else j0(2.3 * r)
    expected = np.stack([r**2, r**4, isotropic, r < 1.5], axis=-1)
    for s, (low, high) in enumerate(itertools.pairwise(starts)):
        np.testing.assert_allclose(compiled[:, s], expected[:, low:high].sum(axis=1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_equals_brute_force(dimension):
    rng = np.random.default_rng(3)
    path = np.cumsum(rng.normal(scale=0.4, size=(12, 30, dimension)), axis=0)
    species = np.where(np.arange(30) % 3 == 0, "B", "A")
    t = as_trajectory(path, np.arange(12) * 0.5, species)
    found = self_correlations(t, k=3.0, a=0.6)
    assert found["lag"].values.tolist() == [0.5 * n for n in range(1, 12)]
    for n in range(1, 12):
        moved = path[n:] - path[:-n]
        r = np.linalg.norm(moved, axis=-1)
        isotropic = np.sinc(3.0 * r / np.pi) if dimension == 3 else j0(3.0 * r)
        at = found.sel(lag=0.5 * n)
        assert int(at["origins"]) == 12 - n
        for name, of in (("A", species == "A"), ("B", species == "B"), (None, slice(None))):
            end = "_total" if name is None else ""
            value = at if name is None else at.sel(species=name)
            second, fourth = (r[:, of] ** 2).mean(), (r[:, of] ** 4).mean()
            np.testing.assert_allclose(value[f"msd{end}"], second)
            np.testing.assert_allclose(value[f"alpha2{end}"], dimension * fourth / (dimension + 2) / second**2 - 1)
            np.testing.assert_allclose(value[f"fs{end}"], isotropic[:, of].mean(), atol=1e-12)
            np.testing.assert_allclose(value[f"overlap{end}"], (r[:, of] < 0.6).mean())


@pytest.mark.parametrize("even", [True, False])
def test_displacements_of_all_frames_with_all_frames(even, monkeypatch):
    """The product of matrices, the walk over pairs, and the definition, with the same errors."""
    rng = np.random.default_rng(13)
    path = 3.0 + np.cumsum(rng.normal(scale=0.3, size=(40, 60, 3)), axis=0)
    time = np.arange(40.0) if even else np.cumsum(rng.integers(1, 3, 40))
    t = as_trajectory(path, time, np.where(np.arange(60) % 4 == 0, "B", "A"))
    lags = np.arange(1.0, 30.0)
    product = mean_square_displacement(t, lags, origins=10**6)
    monkeypatch.setattr(averages, "PRODUCT", 10.0)
    pairs = mean_square_displacement(t, lags, origins=10**6)
    assert set(product) == set(pairs)
    for name in pairs:
        np.testing.assert_allclose(product[name], pairs[name], rtol=1e-10)
    for lag in lags:
        f, g = np.nonzero(time[None] - time[:, None] == lag)
        square = ((path[g] - path[f]) ** 2).sum(axis=-1)
        np.testing.assert_allclose(product["msd_total"].sel(lag=lag), square.mean(), rtol=1e-10)
        np.testing.assert_allclose(product["msd"].sel(lag=lag, species="B"), square[:, ::4].mean(), rtol=1e-10)


@pytest.mark.parametrize("dimension", [2, 3])
def test_scattering_is_the_average_over_directions(dimension):
    moved = np.random.default_rng(5).normal(size=(1, 20, dimension))
    t = as_trajectory(np.concatenate([np.zeros_like(moved), moved]), [0.0, 1.0])
    if dimension == 2:
        angle = (np.arange(4000) + 0.5) / 4000 * 2 * np.pi
        directions = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    else:
        n = np.arange(200_000) + 0.5
        z, angle = 1 - n / 100_000, np.pi * (1 + 5**0.5) * n
        directions = np.stack([np.sqrt(1 - z**2) * np.cos(angle), np.sqrt(1 - z**2) * np.sin(angle), z], axis=-1)
    average = np.cos(7.2 * directions @ moved[0].T).mean()
    found = self_intermediate_scattering(t, k=7.2)
    np.testing.assert_allclose(found["fs_total"][0], average, atol=1e-6)


@pytest.mark.parametrize("dimension", [2, 3])
def test_brownian_motion(dimension):
    t = brownian(dimension, n_frames=300, n=500)
    found = self_correlations(t, k=1.5, origins=300)
    found = found.sel(lag=slice(None, 3.0))  # ten blocks and more
    lag = found["lag"].values
    expected = {"msd": 2 * dimension * 0.5 * lag, "fs": np.exp(-(1.5**2) * 0.5 * lag), "alpha2": 0 * lag}
    for name, value in expected.items():
        deviation = (found[f"{name}_total"] - value) / found[f"{name}_total_error"]
        assert np.abs(deviation).max() < 5
        assert (found[f"{name}_total_error"] < 0.05 * max(1.0, value.max())).all()
    tau = relaxation_time(self_intermediate_scattering(t, k=1.5))
    assert abs(tau["tau_total"] - 1 / (1.5**2 * 0.5)) < 4 * tau["tau_total_error"] < 0.1


def test_free_flight():
    rng = np.random.default_rng(4)
    velocity = rng.normal(size=(4000, 3))
    time = np.array([0.0, 0.1, 0.2, 0.5])
    t = as_trajectory(rng.random((4000, 3)) * 10 + velocity * time[:, None, None], time)
    found = self_correlations(t, k=2.0)
    np.testing.assert_allclose(found["msd_total"], (velocity**2).sum(axis=1).mean() * found["lag"] ** 2)
    np.testing.assert_allclose(found["fs_total"], np.exp(-2.0 * found["lag"] ** 2), atol=0.02)
    assert np.abs(found["alpha2_total"]).max() < 0.05


def test_particles_in_springs():
    # an Ornstein-Uhlenbeck process: <r^2> = 2 d s^2 (1 - exp(-t / tau))
    rng = np.random.default_rng(6)
    decay, width = np.exp(-0.1 / 2.0), 0.2
    x = [rng.normal(scale=width, size=(800, 3))]
    for _ in range(400):
        x.append(decay * x[-1] + np.sqrt(1 - decay**2) * rng.normal(scale=width, size=(800, 3)))
    t = as_trajectory(np.array(x) + 5.0, np.arange(401) * 0.1)
    found = self_correlations(t, lags=[0.1, 1.0, 10.0])
    expected = 6 * width**2 * (1 - np.exp(-found["lag"] / 2.0))
    np.testing.assert_allclose(found["msd_total"], expected, rtol=0.02)
    assert np.abs(found["msd_total"] - expected).max() < 5 * found["msd_total_error"].max()


def test_errors_are_those_of_repeated_runs():
    runs = [self_correlations(brownian(3, 100, 20, seed=seed), lags=[0.2], origins=100) for seed in range(60)]
    scatter = np.std([float(run["msd_total"][0]) for run in runs], ddof=1)
    reported = np.sqrt(np.mean([float(run["msd_total_error"][0]) ** 2 for run in runs]))
    assert 0.75 < reported / scatter < 1.3


def test_no_error_without_two_blocks():
    found = self_correlations(brownian(3, 11, 20), lags=[0.1, 0.5, 0.6, 1.0])
    assert np.isnan(found["msd_total_error"].values).tolist() == [False, False, True, True]
    assert np.isfinite(found["msd_total"]).all()


def test_static_particles():
    t = as_trajectory(np.full((4, 3, 3), 2.0), np.arange(4.0))
    found = self_correlations(t, k=7.0, a=0.3)
    np.testing.assert_array_equal(found["msd"], 0.0)
    np.testing.assert_array_equal(found["fs"], 1.0)
    np.testing.assert_array_equal(found["overlap"], 1.0)
    assert np.isnan(found["alpha2"]).all()


@pytest.mark.parametrize("images", [True, False])
def test_chunks_do_not_matter(images, monkeypatch):
    rng = np.random.default_rng(8)
    path = np.cumsum(rng.normal(scale=0.3, size=(20, 700, 3)), axis=0)
    t = as_trajectory(path, np.arange(20) * 0.5, np.where(np.arange(700) < 650, "A", "B"))
    t = t if images else t.drop_vars("image")
    whole = self_correlations(t, k=4.0, a=0.5)
    # tasks of 100 particles, two tasks at a time
    monkeypatch.setattr(walk, "SMALLEST_TASK_PARTICLES", 100)
    monkeypatch.setattr(walk, "PART_BYTES", 200 * 20 * 24)
    for chunks in ({"frame": 3}, {"frame": 1, "particle": 130}):
        lazy = t.assign({name: t[name].chunk(chunks) for name in ("position", "image") if name in t})
        again = self_correlations(lazy, k=4.0, a=0.5)
        for name in whole:
            np.testing.assert_allclose(again[name], whole[name], rtol=1e-10, atol=1e-13)


def test_permutation_of_particles():
    rng = np.random.default_rng(9)
    path = np.cumsum(rng.normal(size=(6, 50, 3)), axis=0)
    t = as_trajectory(path, np.arange(6.0), np.where(np.arange(50) % 2, "A", "B"))
    whole, other = self_correlations(t, k=2.0), self_correlations(t.isel(particle=rng.permutation(50)), k=2.0)
    np.testing.assert_allclose(other["fs"], whole["fs"], rtol=1e-12)
    np.testing.assert_allclose(other["msd"], whole["msd"], rtol=1e-12)


def test_named_functions_are_parts_of_the_whole():
    t = brownian(3, 20, 30)
    whole = self_correlations(t, k=2.0, a=0.4)
    assert set(mean_square_displacement(t)) == {"msd", "msd_error", "msd_total", "msd_total_error", "origins"}
    for part in (
        mean_square_displacement(t), non_gaussian_parameter(t), self_intermediate_scattering(t, 2.0), overlap(t, 0.4)
    ):  # fmt: skip
        for name in part:
            np.testing.assert_allclose(part[name], whole[name], rtol=1e-12)


def test_shipped_liquids_relax_in_the_time_between_frames(shipped):
    # frames are about tau_alpha apart and have no images
    _, t = shipped
    k = first_peak_wavenumber(structure_factor(t))
    found = self_correlations(t, k=k)
    assert 6.0 < k < 8.5
    assert 0.2 < found["fs_total"][0] < 0.6
    # small particles are faster
    assert found["fs"].sel(species="B")[0] < found["fs"].sel(species="A")[0]
    assert found["msd"].sel(species="B")[0] > found["msd"].sel(species="A")[0]


class TestLags:
    def make(self, time):
        return gd.from_arrays(np.ones((len(time), 1, 3)), species=["A"], box=[4.0] * 3, time=time)

    def test_even_times(self):
        lags, pairs = frame_pairs(self.make(np.arange(1000) * 0.005), None, 40)
        assert lags[0] == pytest.approx(0.005)
        assert lags[-1] > 4.5
        assert 30 < len(lags) <= N_LAGS
        assert np.all(np.diff(lags) > 0)
        assert max(len(found) for found in pairs) == 40
        for lag, found in zip(lags, pairs):
            np.testing.assert_allclose((found[:, 1] - found[:, 0]) * 0.005, lag)
        assert pairs[0][0].tolist() == [0, 1]
        assert pairs[0][-1].tolist() == [998, 999]

    def test_blocks_of_logarithmic_times(self):
        inside = np.array([0, 1, 2, 4, 8, 16, 32, 64])
        time = (np.arange(10)[:, None] * 100 + inside).reshape(-1) * 0.01
        lags, pairs = frame_pairs(self.make(time), None, 100)
        number = {round(lag / 0.01): len(found) for lag, found in zip(lags, pairs)}
        # lags within a block occur in every block
        assert number[1] == 20
        assert all(number[n] >= 10 for n in (1, 2, 4, 8, 16, 32) if n in number)
        assert 100 in number
        for lag, found in zip(lags, pairs):
            np.testing.assert_allclose(time[found[:, 1]] - time[found[:, 0]], lag, atol=2e-5)

    def test_lags_that_are_asked_for(self):
        t = self.make([0.0, 1.0, 2.0, 4.0, 8.0])
        lags, pairs = frame_pairs(t, [2.0, 4.0], 10)
        assert lags.tolist() == [2.0, 4.0]
        assert [found.tolist() for found in pairs] == [[[0, 2], [2, 3]], [[0, 3], [3, 4]]]
        with pytest.raises(ParameterError, match="no two frames are 5 apart"):
            frame_pairs(t, [1.0, 5.0], 10)
        with pytest.raises(ParameterError, match="positive"):
            frame_pairs(t, [-1.0], 10)
        for twice in ([2.0, 4.0, 2.0], [2.0, 2.0001]):  # else there is a curve with two values at one time
            with pytest.raises(ParameterError, match=r"lags: 2 and 2(\.0001)? are of the same frames: leave one out"):
                frame_pairs(t, twice, 10)

    def test_rounded_times(self):
        # times as float32 kept them
        t = self.make((np.arange(500) * 0.1).astype(np.float32).astype(float))
        _, pairs = frame_pairs(t, [0.1, 10.0], 1000)
        assert [len(found) for found in pairs] == [499, 400]

    @pytest.mark.parametrize("start, step", [(0.0, 0.01), (1e3, 0.01), (1e5, 0.5), (-500.0, 0.02), (1e6, 1.3)])
    @pytest.mark.parametrize("accumulated", [False, True])
    def test_times_of_single_precision(self, start, step, accumulated):
        """Even frames stay even, however much of the step the rounding is; also where float32 values are added up."""
        even = start + step * np.arange(2000)
        if accumulated:
            even = np.float32(start) + np.arange(2000, dtype=np.float32) * np.float32(step)
        t = self.make(even.astype(np.float32).astype(float))
        _, pairs = frame_pairs(t, [step, 10 * step, 1000 * step], 10**6)
        assert [len(found) for found in pairs] == [1999, 1990, 1000]
        lags, pairs = frame_pairs(t, None, 10**6)
        apart = np.rint(lags / step).astype(int)
        assert (np.diff(apart) > 0).all()
        assert [len(found) for found in pairs] == (2000 - apart).tolist()
        np.testing.assert_allclose(lags, apart * step, rtol=0.01)

    @pytest.mark.parametrize("time", [np.arange(8.0) + 2**24, np.array([1.0, 2.0, 3.0, 1e9]), np.arange(8.0) + 0.1])
    def test_exact_times_are_exact(self, time):
        with pytest.raises(ParameterError, match=r"no two frames are 1.01 apart"):
            frame_pairs(self.make(time), [1.01], 10)
        assert len(frame_pairs(self.make(time), [1.0], 10)[1][0]) > 0

    def test_bad_times(self):
        with pytest.raises(SchemaError, match="increase"):
            frame_pairs(self.make([0.0, 2.0, 1.0]), None, 10)
        with pytest.raises(SchemaError, match="at least two"):
            frame_pairs(self.make([0.0]), None, 10)
        with pytest.raises(SchemaError, match="no variable 'time'"):
            frame_pairs(self.make([0.0, 1.0]).drop_vars("time"), None, 10)
        with pytest.raises(ParameterError, match="origins"):
            frame_pairs(self.make([0.0, 1.0]), None, 0)


def test_bad_arguments():
    t = brownian(3, 5, 4)
    with pytest.raises(ParameterError, match="k: expected a positive"):
        self_correlations(t, k=-1.0)
    with pytest.raises(ParameterError, match="a: expected a positive"):
        self_correlations(t, a=np.inf)
    broken = t.chunk(frame=2)
    broken["position"] = broken["position"].where(broken["position"] != broken["position"][3, 2, 1])
    with pytest.raises(PositionError, match="particle 2"):
        self_correlations(broken)


def test_stored_trajectories(tmp_path):
    rng = np.random.default_rng(10)
    path = np.cumsum(rng.normal(scale=0.3, size=(15, 40, 3)), axis=0)
    t = as_trajectory(path, np.arange(15) * 0.5, np.where(np.arange(40) % 4, "A", "B"))
    gd.save_trajectory(t, tmp_path / "run.zarr")
    stored = gd.open_trajectory(tmp_path / "run.zarr")
    assert stored["position"].chunks is not None
    whole, again = self_correlations(t, k=3.0, origins=5), self_correlations(stored, k=3.0, origins=5)
    for name in whole:
        np.testing.assert_allclose(again[name], whole[name], rtol=1e-10, atol=1e-13)


def test_errors_are_the_scatter_of_blocks_of_origins():
    """The standard error of n blocks: their standard deviation, divided by n - 1, over the root of n."""
    run = brownian(3, 31, 40)
    path = gd.dynamics.unwrapped(run).values
    found = self_correlations(run, lags=[0.1], origins=1000)
    square = np.sum((path[1:] - path[:-1]) ** 2, axis=-1).mean(axis=1)
    blocks = [part.mean() for part in np.array_split(square, 10)]
    expected = np.sqrt(np.sum((blocks - np.mean(blocks)) ** 2) / 9 / 10)
    assert found["msd_total_error"].item() == pytest.approx(expected, rel=1e-10)


def test_overlap_counts_those_that_moved_less_than_a():
    """Exactly a is not less: displacements of 0, 0.25, 0.5 and 0.75 are exact in binary, as is a = 0.5."""
    path = np.full((2, 4, 2), 4.0)
    path[1, :, 0] += [0.0, 0.25, 0.5, 0.75]
    found = overlap(as_trajectory(path, np.array([0.0, 1.0])), a=0.5)
    assert found["overlap_total"].values.tolist() == [0.5]
