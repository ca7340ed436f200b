"""Coherent scattering, van Hove functions, collective overlap and velocities: limits, brute force, chunks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import glassdask as gd
from glassdask import dynamics
from glassdask.dynamics import walk
from glassdask.errors import BoxError, ParameterError, PositionError, SchemaError
from tests.dynamics.test_fluctuations import as_trajectory

TRICLINIC = np.array([[6.0, 0.0, 0.0], [1.5, 5.5, 0.0], [-0.7, 0.9, 5.0]])


def skewed(dimension, n_frames=6, n=40, scale=0.3, seed=1):
    """Random walks in a triclinic box that grows, and their unwrapped path."""
    rng = np.random.default_rng(seed)
    box = TRICLINIC[:dimension, :dimension] * np.linspace(1.0, 1.1, n_frames)[:, None, None]
    path = rng.random((1, n, dimension)) @ box[0] + np.cumsum(rng.normal(scale=scale, size=(n_frames, n, dimension)), 0)
    position, image = gd.schema.wrap(path, box)
    species = np.where(np.arange(n) % 3 == 0, "B", "A")
    t = gd.from_arrays(position, species=species, box=box, image=image, time=np.arange(float(n_frames)))
    return t, path, box, species


def fixed(dimension, **options):
    """The same in a box that stays, chunked."""
    t, path, box, species = skewed(dimension, **options)
    box = box[:1].repeat(len(box), axis=0)
    position, image = gd.schema.wrap(path, box)
    return gd.from_arrays(position, species=species, box=box, image=image, time=t["time"].values), path, box, species


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("make", [skewed, fixed])
def test_scattering_equals_brute_force(dimension, make):
    t, path, box, species = make(dimension)
    found = dynamics.intermediate_scattering(t, k=[3.0, 5.0], width=0.8, modes=10**6)
    cell = box.mean(axis=0)
    every = np.array(list(itertools.product(range(-9, 10), repeat=dimension)))
    for k in (3.0, 5.0):
        step = 0.8
        length = np.linalg.norm(every @ (2 * np.pi * np.linalg.inv(cell).T), axis=1)
        modes = every[np.abs(length - k) < step / 2]
        assert int(found["modes"].sel(k=k)) == len(modes) // 2 > 5
        fraction = np.einsum("fps,fsa->fpa", path, np.linalg.inv(box))
        phase = np.exp(-2j * np.pi * fraction @ modes.T)
        rho = {name: phase[:, species == name].sum(axis=1) for name in "AB"}
        for lag in range(6):
            for a, b in itertools.product("AB", repeat=2):
                forth = (rho[a][: 6 - lag] * rho[b][lag:].conj()).real.mean()
                back = (rho[a][lag:] * rho[b][: 6 - lag].conj()).real.mean()
                value = found["f"].sel(species_a=a, species_b=b, k=k, lag=lag)
                np.testing.assert_allclose(value, 0.5 * (forth + back) / 40, atol=1e-12)
    np.testing.assert_allclose(found["f"].sum(("species_a", "species_b")), found["f_total"], atol=1e-12)
    same = dynamics.self_correlations(t, k=5.0)
    np.testing.assert_allclose(found["fs"].sel(k=5.0)[:, 1:], same["fs"], atol=1e-12)


def test_fluctuations_of_scattering_equal_brute_force():
    t, path, box, species = fixed(3, n_frames=8)
    found = dynamics.intermediate_scattering(t, k=[3.0], width=0.8, modes=10**6, lags=[2.0])
    every = np.array(list(itertools.product(range(-4, 5), repeat=3)))
    length = np.linalg.norm(every @ (2 * np.pi * np.linalg.inv(box[0]).T), axis=1)
    waves = every[np.abs(length - 3.0) < 0.4]
    phase = np.exp(-2j * np.pi * path @ np.linalg.inv(box[0]) @ waves.T)
    for of, columns in (({"name": "chi4_f_total"}, np.ones(40)), ({"name": "chi4_f"}, species == "A")):
        rho = phase[:, columns > 0].sum(axis=1)
        for n, lag in enumerate((0, 2)):
            f = (rho[: 8 - lag] * rho[lag:].conj()).real.mean(axis=1) / 40
            value = found[of["name"]][..., 0, n].values.ravel()[0]
            np.testing.assert_allclose(value, 40 * f.var(ddof=1), rtol=1e-9)
            m = f - f.mean()
            binder = found[of["name"].replace("chi4", "binder")][..., 0, n].values.ravel()[0]
            np.testing.assert_allclose(binder, 1 - (m**4).mean() / (3 * (m**2).mean() ** 2), rtol=1e-9)


def test_waves_of_a_gas_fluctuate_as_much_as_their_mean():
    """N S(k)^2 over the number of waves, S = 1."""
    x = np.random.default_rng(8).random((400, 100, 3)) * 6
    gas = gd.from_arrays(x, species=["A"] * 100, box=[6.0] * 3, time=np.arange(400.0), image=np.zeros(x.shape, int))
    found = dynamics.intermediate_scattering(gas, k=[3.0], width=1.0, modes=10**6, lags=[1.0], origins=400)
    assert float(found["chi4_f_total"][0, 0] * found["modes"][0]) == pytest.approx(100, rel=0.25)


def test_scattering_at_lag_zero_is_the_structure_factor():
    t, *_ = fixed(3, n=200)
    found = dynamics.intermediate_scattering(t, k=[4.5], width=1.0, modes=10**6)
    s = gd.structure_factor(t, k_max=5.0, n_bins=5, modes_per_bin=10**6)
    np.testing.assert_allclose(found["f"][:, :, 0, 0], s["S"][:, :, 4], rtol=1e-10)


@pytest.mark.parametrize("dimension", [2, 3])
def test_ideal_gas_has_no_collective_part(dimension):
    """Random walks of independent particles: F = F_s = exp(-k^2 D t), and S = 1."""
    rng = np.random.default_rng(7)
    path = rng.random((1, 400, dimension)) * 10 + np.cumsum(rng.normal(scale=0.1, size=(200, 400, dimension)), axis=0)
    found = dynamics.intermediate_scattering(as_trajectory(path), k=[3.0], width=1.0, lags=[5.0])
    expected = np.exp(-(3.0**2) * 0.005 * np.array([0.0, 5.0]))
    np.testing.assert_allclose(found["f_total"][0], expected, atol=0.1)
    np.testing.assert_allclose(found["fs_total"][0], expected, atol=0.01)
    assert found["modes"][0] > 20


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("make", [skewed, fixed])
def test_van_hove_equals_brute_force(dimension, make):
    t, path, box, species = make(dimension)
    found = dynamics.van_hove(t, r_max=2.2, n_bins=11)
    edges = np.linspace(0, 2.2, 12)
    shells = np.diff(edges**3) * 4 / 3 * np.pi if dimension == 3 else np.diff(edges**2) * np.pi
    shifts = np.array(list(itertools.product(range(-3, 4), repeat=dimension)))
    number = {name: (species == name).sum() for name in "AB"}
    for lag in (1, 4):
        own, pair = dict.fromkeys("AB", 0.0), dict.fromkeys(itertools.product("AB", repeat=2), 0.0)
        for f in range(6 - lag):
            g = f + lag
            moved = np.linalg.norm(path[g] - path[f], axis=-1)
            apart = path[g][None] - (path[f] @ np.linalg.inv(box[f]) @ box[g])[:, None]
            apart = apart - np.rint(apart @ np.linalg.inv(box[g])) @ box[g]
            apart = np.linalg.norm(apart[:, :, None] + shifts @ box[g], axis=-1).min(axis=-1)
            np.fill_diagonal(apart, np.inf)
            volume = abs(np.linalg.det(box[g]))
            for a in "AB":
                own[a] = own[a] + np.histogram(moved[species == a], edges)[0] / number[a] / shells / (6 - lag)
                for b in "AB":
                    counts = np.histogram(apart[species == a][:, species == b], edges)[0]
                    possible = number[a] * (number[b] - (a == b))
                    pair[a, b] = pair[a, b] + counts * volume / possible / shells / (6 - lag)
        for a in "AB":
            np.testing.assert_allclose(found["gs"].sel(species=a, lag=lag), own[a], rtol=1e-9)
            for b in "AB":
                np.testing.assert_allclose(found["gd"].sel(species_a=a, species_b=b, lag=lag), pair[a, b], rtol=1e-9)


def test_van_hove_of_random_walks():
    """G_s is Gaussian, G_d is 1: nobody knows of the others."""
    rng = np.random.default_rng(4)
    path = rng.random((1, 1000, 3)) * 8 + np.cumsum(rng.normal(scale=0.2, size=(40, 1000, 3)), axis=0)
    found = dynamics.van_hove(as_trajectory(path, length=8.0), [4.0], r_max=2.0, n_bins=10)
    r = np.linspace(0, 2, 2001)
    gauss = np.exp(-(r**2) / (2 * 4 * 0.04)) / (2 * np.pi * 4 * 0.04) ** 1.5
    of_bins = [np.average(gauss[m : m + 200], weights=r[m : m + 200] ** 2) for m in range(0, 2000, 200)]
    np.testing.assert_allclose(found["gs_total"][:7, 0], of_bins[:7], rtol=0.1)
    np.testing.assert_allclose(found["gd_total"][2:, 0], 1.0, atol=0.05)


def test_van_hove_at_rest_is_g():
    rng = np.random.default_rng(5)
    x = rng.random((1, 200, 3)).repeat(2, axis=0) * 6
    t = gd.from_arrays(x, species=np.where(np.arange(200) % 3, "A", "B"), box=[6.0] * 3, time=[0.0, 1.0])
    found, g = dynamics.van_hove(t, r_max=2.5, n_bins=25), gd.radial_distribution(t, r_max=2.5, n_bins=25)
    np.testing.assert_allclose(found["gd"][..., 0], g["g"], rtol=1e-10)
    np.testing.assert_allclose(found["gd_total"][..., 0], g["g_total"], rtol=1e-10)
    assert np.flatnonzero(found["gs_total"][:, 0]).tolist() == [0]


def test_collective_overlap_equals_brute_force():
    t, path, box, species = fixed(3, n_frames=12)
    found = dynamics.collective_overlap(t, a=0.9)
    for lag in found["lag"].values.astype(int):
        counts = []
        for f in range(12 - lag):
            apart = path[f + lag][None] - path[f][:, None]
            images = [apart - np.rint(apart @ np.linalg.inv(box[0])) @ box[0] + np.array(n) @ box[0]
                      for n in itertools.product((-1, 0, 1), repeat=3)]  # fmt: skip
            near = np.linalg.norm(images, axis=-1).min(axis=0) < 0.9
            counts.append([near.sum(), near[species == "A"][:, species == "A"].sum()])
        counts = np.array(counts)
        number = (species == "A").sum()
        at = found.sel(lag=lag)
        np.testing.assert_allclose(at["collective_overlap_total"], counts[:, 0].mean() / 40)
        np.testing.assert_allclose(at["collective_overlap"].sel(species="A"), counts[:, 1].mean() / number)
        np.testing.assert_allclose(at["chi4_collective_total"], counts[:, 0].var(ddof=1) / 40, atol=1e-12)
        np.testing.assert_allclose(at["chi4_collective"][0], counts[:, 1].var(ddof=1) / number, atol=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_coherent_part_alone_needs_no_paths(dimension):
    """Without images, of particles that have gone too far to be followed, in a box whose corner moves."""
    t, path, box, species = skewed(dimension, scale=1.0)
    corner = np.linspace(0.0, 1.0, len(box))[:, None] * np.ones(dimension)
    position, image = gd.schema.wrap(path - corner[:, None], box)
    given = {"species": species, "box": box, "time": t["time"].values, "origin": corner}
    both = dynamics.intermediate_scattering(gd.from_arrays(position + corner[:, None], image=image, **given), [3.0])
    without = gd.from_arrays(position + corner[:, None], **given)
    with pytest.raises(SchemaError, match="keep images or closer frames"):
        dynamics.intermediate_scattering(without, [3.0])
    alone = dynamics.intermediate_scattering(without, [3.0], self_part=False)
    for name in ("f", "f_error", "f_total", "chi4_f", "origins", "modes"):
        np.testing.assert_allclose(alone[name], both[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: dynamics.intermediate_scattering(t, k=[3.0, 4.0]),
        lambda t: dynamics.intermediate_scattering(t, k=[3.0, 4.0], self_part=False),
        lambda t: dynamics.van_hove(t, [1.0, 3.0], r_max=2.0, n_bins=5),
        lambda t: dynamics.collective_overlap(t, a=0.6),
        lambda t: dynamics.velocity_autocorrelation(t),
    ],
)
def test_chunks_do_not_matter(call, monkeypatch):
    t, path, *_ = skewed(3, n=300)
    t = t.assign(velocity=(t["position"].dims, np.diff(path, axis=0, append=path[:1])))
    whole = call(t)
    monkeypatch.setattr(walk, "SMALLEST_TASK_PARTICLES", 50)
    for chunks in ({"frame": 2}, {"frame": 1, "particle": 130}):
        again = call(t.chunk(chunks))
        for name in whole:
            # cumulants of two origins are what rounding leaves of them
            np.testing.assert_allclose(again[name], whole[name], rtol=1e-9, atol=1e-9)


def vibrating(frequencies, n_frames=400, step=0.05):
    """A harmonic crystal: each particle vibrates in its own phases about its place, the velocities are exact."""
    rng = np.random.default_rng(2)
    w = np.asarray(frequencies)[None, :, None]
    time = np.arange(n_frames) * step
    phase = w * time[:, None, None] + rng.random((1, len(frequencies), 3)) * 2 * np.pi
    places = rng.random((1, len(frequencies), 3)) * 8 + 1
    t = as_trajectory(places + 0.1 * np.cos(phase), time)
    return t.assign(velocity=(t["position"].dims, -0.1 * w * np.sin(phase)))


def test_harmonic_crystal():
    """<v(0).v(t)> = 3 a^2 w^2 cos(w t) / 2, MSD 3 a^2 (1 - cos(w t)), and a line in the spectrum."""
    t = vibrating([4.0] * 300)
    lags = np.arange(1, 40) * 0.05
    found = dynamics.velocity_autocorrelation(t, lags)
    expected = 1.5 * 0.01 * 16 * np.cos(4.0 * found["lag"])
    np.testing.assert_allclose(found["vacf_total"], expected, atol=0.01)
    msd = dynamics.mean_square_displacement(t, lags)["msd_total"]
    np.testing.assert_allclose(msd, 3 * 0.01 * (1 - np.cos(4.0 * lags)), atol=2e-3)


def test_spectrum_has_the_modes_and_integral_one():
    found = dynamics.velocity_spectrum(vibrating([4.0] * 60 + [9.0] * 60), duration=10.0)["spectrum_total"]
    omega = found["omega"].values
    weight = found.values * omega[1]
    weight[[0, -1]] *= 0.5
    assert weight.sum() == pytest.approx(1.0, rel=1e-10)
    low, high = (weight[np.abs(omega - w) < 1.0].sum() for w in (4.0, 9.0))
    assert low + high == pytest.approx(1.0, abs=0.05)
    assert high / low == pytest.approx(81 / 16, rel=0.1)  # each mode has its share of <v^2>
    assert omega[-1] == pytest.approx(np.pi / 0.05)


def test_errors_of_spectra_are_those_of_repeated_runs():
    """Velocities and steps that forget: each frequency scatters by its error; of too short a run there is none."""
    rng = np.random.default_rng(8)
    runs, waves = [], []
    for _ in range(40):
        velocity = rng.normal(size=(200, 8, 3))
        path = rng.random((1, 8, 3)) * 5 + np.cumsum(0.2 * velocity, axis=0)
        t = as_trajectory(path, length=5.0).assign(velocity=(("frame", "particle", "space"), velocity))
        runs.append(dynamics.velocity_spectrum(t, duration=8.0))
        waves.append(dynamics.dynamic_structure_factor(t, 2.6, duration=8.0))
    for found, name in ((runs, "spectrum_total"), (waves, "skw_total"), (waves, "skw_self_total")):
        scatter = np.std([run[name].values for run in found], axis=0, ddof=1)
        told = np.mean([run[f"{name}_error"].values for run in found], axis=0)
        assert np.sqrt((told**2).mean() / (scatter**2).mean()) == pytest.approx(1.0, abs=0.2)
    assert runs[0]["spectrum_error"].dims == ("species", "omega")
    assert waves[0]["skw_error"].dims == ("species_a", "species_b", "k", "omega")
    assert dynamics.velocity_spectrum(t, duration=150.0)["spectrum_error"].isnull().all()


def test_bad_input():
    t, *_ = fixed(3)
    with pytest.raises(ParameterError, match=r"k = 0.01: no wave vector of the box"):
        dynamics.intermediate_scattering(t, k=[5.0, 0.01])
    with pytest.raises(ParameterError, match="k: expected positive wave numbers, found none"):
        dynamics.intermediate_scattering(t, k=[])
    with pytest.raises(ParameterError, match="wave number 1e\\+09: expected at most"):
        dynamics.intermediate_scattering(t, k=1e9, self_part=False)
    for call in (lambda: dynamics.van_hove(t, r_max=99.0), lambda: dynamics.collective_overlap(t, a=99.0)):
        with pytest.raises(BoxError, match="more than half"):
            call()
    with pytest.raises(SchemaError, match="no variable 'velocity'"):
        dynamics.velocity_autocorrelation(t)
    with pytest.raises(SchemaError, match="evenly spaced"):
        dynamics.velocity_spectrum(t.assign_coords(time=("frame", [0.0, 1, 2, 3, 4, 6])))
    moving = vibrating([1.0] * 3, 12)
    with pytest.raises(ParameterError, match="at most the trajectory"):
        dynamics.velocity_spectrum(moving, duration=99.0)
    moving["velocity"][3, 1, 0] = np.nan
    with pytest.raises(PositionError, match="particle 1: a velocity is not finite"):
        dynamics.velocity_autocorrelation(moving)


@pytest.mark.parametrize(("k", "width"), [(7.2, 0.8), (7.2, 0.4), (3.0, 0.5), (7.2, 0.3), (0.9, 1.7)])
def test_shells_are_as_wide_as_they_are_asked_to_be(k, width):
    """All wave vectors within width / 2 of k, and none beyond; some of them where fewer are wanted."""
    length = 9.41
    gas = as_trajectory(np.random.default_rng(0).random((2, 20, 3)) * length, length=length)
    every = np.stack(np.meshgrid(*[np.arange(-13, 14)] * 3), axis=-1).reshape(-1, 3)
    inside = np.abs(np.linalg.norm(every, axis=1) * 2 * np.pi / length - k) <= width / 2
    expected = np.count_nonzero(inside & every.any(axis=1)) // 2
    found = dynamics.intermediate_scattering(gas, [k], width=width, modes=10**6)
    assert found["modes"].values.tolist() == [expected]
    few = dynamics.intermediate_scattering(gas, [k], width=width, modes=20)["modes"]
    assert min(15, expected) <= int(few[0]) <= min(27, expected)
