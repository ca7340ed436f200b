"""S_4, G_4 and xi_4: independent particles, planted domains, brute force, the fit, chunks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from glassdask.dynamics import four_point, walk
from glassdask.dynamics.four_points import ornstein_zernike
from glassdask.errors import BoxError, ParameterError
from tests.dynamics.test_collective import fixed, skewed
from tests.dynamics.test_fluctuations import as_trajectory


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("make", [skewed, fixed])
def test_equals_brute_force(dimension, make):
    t, path, box, species = make(dimension, n_frames=6, n=50)
    found = four_point(t, lag=2.0, a=0.7, q_max=4.0, r_max=2.2, n_bins=6, modes_per_bin=10**6)
    every = np.array(list(itertools.product(range(-9, 10), repeat=dimension)))
    reciprocal = 2 * np.pi * np.linalg.inv(box.mean(axis=0)).T
    length = np.linalg.norm(every @ reciprocal, axis=1)
    step = 0.27 * 2 * np.pi * np.linalg.norm(np.linalg.inv(box.mean(axis=0)), axis=0).min()
    place = np.floor(length / step).astype(int)
    edges = np.linspace(0, 2.2, 7)
    shells = np.diff(edges**3) * 4 / 3 * np.pi if dimension == 3 else np.diff(edges**2) * np.pi
    for name, of in (("A", species == "A"), ("B", species == "B"), (None, species != "")):
        at, end = (found, "_total") if name is None else (found.sel(species=name), "")
        n = of.sum()
        structure, pairs, overlap = 0.0, 0.0, 0.0
        for f in range(4):
            slow = of & (np.linalg.norm(path[f + 2] - path[f], axis=1) < 0.7)
            fraction = path[f][slow] @ np.linalg.inv(box[f])
            structure = structure + np.abs(np.exp(-2j * np.pi * fraction @ every.T).sum(axis=0)) ** 2 / n / 4
            apart = fraction[:, None] - fraction[None]
            apart = (apart - np.rint(apart)) @ box[f]
            images = [apart + np.array(m) @ box[f] for m in itertools.product((-1, 0, 1), repeat=dimension)]
            r = np.linalg.norm(images, axis=-1).min(axis=0)
            counts = np.histogram(r[~np.eye(len(r), dtype=bool)], edges)[0]
            pairs = pairs + counts * abs(np.linalg.det(box[f])) / (n * (n - 1) * shells) / 4
            overlap = overlap + slow.sum() / n / 4
        np.testing.assert_allclose(at[f"g4{end}"], pairs - overlap**2, atol=1e-12)
        bins = [b for b in range(1, int(4.0 / step)) if (place == b).any()]
        assert found["modes"].values.tolist() == [(place == b).sum() // 2 for b in bins]
        np.testing.assert_allclose(found["q"], [length[place == b].mean() for b in bins])
        np.testing.assert_allclose(at[f"s4{end}"], [structure[place == b].mean() for b in bins], rtol=1e-9)


def test_independent_particles():
    """Random places, of which each keeps its particle for itself: S_4 = q + q^2 (S - 1) = q, and no length."""
    rng = np.random.default_rng(1)
    path = np.repeat(rng.random((40, 2000, 3)) * 10, 2, axis=0)
    path[1::2] += rng.integers(0, 2, (40, 2000, 1))
    t = as_trajectory(path, np.arange(80) // 2 * 100.0 + np.arange(80) % 2)
    found = four_point(t, lag=1.0, a=0.3)
    assert int(found.attrs["origins"]) == 40
    assert float(found["s4_total"].weighted(found["modes"]).mean()) == pytest.approx(0.5, abs=0.01)
    deviation = (found["g4_total"][10:] - 0.0) / found["g4_total_error"][10:]
    assert np.abs(deviation).max() < 5
    assert np.abs(found["g4_total"][10:]).max() < 0.02
    assert not float(found["xi4_total"]) > 0.5


LENGTH, CELLS, NUMBER = 20.0, 32, 3000


def domains(n_origins, xi, seed=3):
    """Random places where a Gaussian field says who stays, and S_4 of its sign at the wave vectors (32, 32, 32)."""
    rng = np.random.default_rng(seed)
    k = np.stack(np.meshgrid(*[np.fft.fftfreq(CELLS, 1 / CELLS)] * 3, indexing="ij"), axis=-1) * 2 * np.pi / LENGTH
    power = np.exp(-((k * xi) ** 2).sum(axis=-1) / 2)
    path = []
    for _ in range(n_origins):
        field = np.fft.ifftn(np.sqrt(power) * np.fft.fftn(rng.normal(size=power.shape))).real
        x = rng.random((NUMBER, 3)) * LENGTH
        stays = field[tuple((x / LENGTH * CELLS).astype(int).T)] > 0
        path += [x, x + ~stays[:, None]]
    time = np.arange(2 * n_origins) // 2 * 100.0 + np.arange(2 * n_origins) % 2
    # of two signs of a Gaussian field both are positive with the probability 1/4 + arcsin(C) / (2 pi)
    covariance = np.fft.ifftn(power).real
    both = np.arcsin(np.clip(covariance / covariance[0, 0, 0], -1, 1)) / (2 * np.pi)
    of_cell = np.prod(np.sinc(k * LENGTH / CELLS / (2 * np.pi)) ** 2, axis=-1)
    exact = 0.5 + (NUMBER - 1) / CELLS**3 * np.fft.fftn(both).real * of_cell
    return as_trajectory(np.array(path), time, length=LENGTH), exact


def test_planted_domains_have_their_length():
    for xi in (1.0, 2.0):
        t, exact = domains(40, xi)
        found = four_point(t, lag=1.0, a=0.3, q_max=2.2, modes_per_bin=10**6)
        n = np.array(list(itertools.product(range(-7, 8), repeat=3)))
        length = np.linalg.norm(n, axis=1)
        place = np.floor(length / 0.27).astype(int)
        bins = [b for b in range(1, int(2.2 / (0.27 * 2 * np.pi / LENGTH))) if (place == b).any()]
        expected = np.array([exact[tuple(n[place == b].T)].mean() for b in bins])
        deviation = (found["s4_total"] - expected) / found["s4_total_error"]
        assert np.abs(deviation).max() < 6
        assert np.sqrt((deviation**2).mean()) < 1.8
        inside = found["q"] <= found["q_fit_total"]
        zero, length, misfit = ornstein_zernike(
            found["q"].values[inside], expected[inside], found["modes"].values[inside]
        )
        assert abs(float(found["xi4_total"]) - length) < 4 * float(found["xi4_total_error"]) < 0.6 * length
        assert abs(float(found["s4_zero_total"]) - zero) < 4 * float(found["s4_zero_total_error"])
        assert 0.4 * xi < length < 1.2 * xi
        assert float(found["misfit_total"]) < misfit + 0.1
        assert float(found["q_fit_total"]) * length < 2.2
        assert float(found["g4_total"][3]) > 10 * float(abs(found["g4_total"][-1]))
        assert float(found["xi4_total"]) < 0.1 * LENGTH
        assert "finite_size" not in found.attrs


def test_a_box_that_is_too_small_is_told():
    t, _ = domains(12, 2.0)
    found = four_point(t, lag=1.0, a=0.3, n_bins=4)
    share = float(found["xi4_total"]) / LENGTH
    assert share > 0.1
    assert found.attrs["finite_size"].startswith(f"xi4 is {share:.2g} of the box, which holds too few")


def test_fit_of_noisy_values():
    """Averages of exponentially distributed squares: right on average, and what no fit can have is NaN."""
    rng = np.random.default_rng(0)
    q = np.linspace(0.3, 1.0, 8)
    weights = np.array([3.0, 6, 4, 3, 12, 12, 6, 15])
    exact = 5.0 / (1 + (2.0 * q) ** 2)
    fits = np.array(
        [ornstein_zernike(q, exact * rng.gamma(20 * weights) / (20 * weights), weights) for _ in range(400)]
    )
    scatter = fits.std(axis=0) / 20
    assert abs(fits[:, 0].mean() - 5.0) < 5 * scatter[0] < 0.5
    assert abs(fits[:, 1].mean() - 2.0) < 5 * scatter[1] < 0.2
    assert np.isnan(ornstein_zernike(q, 1.0 + q, weights)).all()
    assert np.isnan(ornstein_zernike(q, 0.0 * q, weights)).all()


def test_chunks_do_not_matter(monkeypatch):
    t, *_ = skewed(3, n=300)
    whole = four_point(t, lag=1.0, a=0.5, n_bins=5, q_max=4.0)
    monkeypatch.setattr(walk, "SMALLEST_TASK_PARTICLES", 50)
    for chunks in ({"frame": 2}, {"frame": 1, "particle": 130}):
        again = four_point(t.chunk(chunks), lag=1.0, a=0.5, n_bins=5, q_max=4.0)
        for name in whole:
            np.testing.assert_allclose(again[name], whole[name], rtol=1e-7, atol=1e-12)


def test_nobody_stays():
    path = np.cumsum(np.ones((4, 30, 3)), axis=0) + np.random.default_rng(0).random((1, 30, 3)) * 9
    found = four_point(as_trajectory(path), lag=1.0, a=0.3)
    assert found["q"].sizes["q"] > 4
    np.testing.assert_array_equal(found["s4"], 0.0)
    np.testing.assert_array_equal(found["g4"], 0.0)
    assert np.isnan(found["xi4"]).all()


def test_bad_input():
    t, *_ = fixed(3)
    with pytest.raises(ParameterError, match=r"q_max 0.1: 0 lengths"):
        four_point(t, lag=1.0, a=0.3, q_max=0.1)
    with pytest.raises(ParameterError, match=r"q_fit 1.5: 2 lengths of wave vectors are below it"):
        four_point(t, lag=1.0, a=0.3, q_max=4.0, q_fit=1.5)
    with pytest.raises(ParameterError, match="no two frames are 77 apart"):
        four_point(t, lag=77.0, a=0.3)
    with pytest.raises(BoxError, match="more than half"):
        four_point(t, lag=1.0, a=0.3, r_max=9.0)
