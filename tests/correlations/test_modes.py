"""S(k): Bragg peaks, the ideal gas, g(r), a direct sum, every shape of box, and however the work is cut."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.correlations import modes as modes_of
from glassdask.correlations import waves
from glassdask.correlations.modes import first_peak_wavenumber, structure_factor, wave_vectors
from glassdask.correlations.radial import radial_distribution
from glassdask.errors import ParameterError, PositionError, SchemaError, SpeciesError
from glassdask.kernels import correlations as kernels
from tests.correlations.test_radial import BCC, FCC, crystal

SKEWED = np.array([[7.0, 0.0, 0.0], [3.0, 6.5, 0.0], [-2.0, 2.8, 6.0]])


def as_tuple(box):
    return tuple(map(tuple, np.asarray(box, float).tolist()))


def all_wave_vectors(box, k_max):
    """Every n with |k| < k_max, k = 2 pi n H^-T, by looking at far too many, without 0; both k and -k."""
    reciprocal = 2 * np.pi * np.linalg.inv(box).T
    m = 20 if len(box) == 3 else 50
    n = np.stack(np.meshgrid(*[np.arange(-m, m + 1)] * len(box), indexing="ij"), -1).reshape(-1, len(box))
    length = np.linalg.norm(n @ reciprocal, axis=1)
    keep = (length > 0) & (length < k_max)
    return n[keep], length[keep]


def brute_force(trajectory, k_max, n_bins):
    species = (trajectory["species"].values == "B").astype(int)
    sums, number = np.zeros((2, 2, n_bins)), np.zeros(n_bins)
    for position, box in zip(trajectory["position"].values, trajectory["box"].values):
        n, length = all_wave_vectors(box, k_max)
        phase = position @ (n @ (2 * np.pi * np.linalg.inv(box).T)).T
        rho = np.array([np.exp(-1j * phase[species == s]).sum(axis=0) for s in (0, 1)])
        product = (rho[:, None] * rho[None].conj()).real / len(position)
        here = (length / (k_max / n_bins)).astype(int)
        number += np.bincount(here, minlength=n_bins)
        for a, b in np.ndindex(2, 2):
            sums[a, b] += np.bincount(here, product[a, b], minlength=n_bins)
    return sums / np.where(number > 0, number, np.nan), number / 2


@pytest.mark.parametrize("dimension", [2, 3])
def test_equals_the_direct_sum(liquid, dimension):
    if dimension == 2:
        box = np.array([[9.0, 0.0], [4.0, 7.0]]) * np.array([1.0, 1.1])[:, None, None]
        position = np.einsum("fpa,fas->fps", np.random.default_rng(1).random((2, 100, 2)), box)
        liquid = gd.from_arrays(position, species=np.where(np.arange(100) % 3 == 0, "B", "A"), box=box)
    found = structure_factor(liquid, k_max=6.0, n_bins=9, modes_per_bin=10**6)
    expected, number = brute_force(liquid, 6.0, 9)
    assert np.array_equal(found["modes"], number)
    np.testing.assert_allclose(found["S"], expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["S_total"], expected.sum(axis=(0, 1)), rtol=1e-9)


@pytest.mark.parametrize("box", [np.eye(3) * 7, SKEWED, np.eye(2) * 9, np.diag([4.0, 30.0])])
@pytest.mark.parametrize("limit", [10**6, 15])
def test_wave_vectors_fit_the_box_and_their_bin(box, limit):
    d = len(box)
    n, bins = wave_vectors(as_tuple(box), 8.0, 16, limit, 0, 15)
    length = np.linalg.norm(n[:, :d] @ (2 * np.pi * np.linalg.inv(box).T), axis=1)
    assert np.array_equal(np.floor(length / 0.5), bins)
    both = np.concatenate([n, -n])
    assert len(np.unique(both, axis=0)) == len(both), "k and -k are one, each once"
    assert np.all(n[:, d:] == 0)
    _, lengths = all_wave_vectors(box, 8.0)
    available = np.bincount(np.floor(lengths / 0.5).astype(int), minlength=16) / 2
    used = np.bincount(bins, minlength=16)
    if limit == 10**6:
        assert np.array_equal(used, available)
    else:
        # bins with few wave vectors are complete, the others well filled
        assert np.all((used == available) | ((used <= limit) & (used > 0.7 * np.minimum(limit, available))))
        assert np.any(used < available)


def test_the_choice_of_wave_vectors_does_not_depend_on_the_blocks():
    whole, bins = wave_vectors(as_tuple(SKEWED), 9.0, 12, 30, 0, 11)
    parts = [wave_vectors(as_tuple(SKEWED), 9.0, 12, 30, first, min(first + 4, 11)) for first in (0, 5, 10)]
    together, of_bin = (np.concatenate(found) for found in zip(*parts, strict=True))
    order = np.lexsort(together.T[::-1])
    assert np.array_equal(together[order], whole)
    assert np.array_equal(of_bin[order], bins)


@pytest.mark.parametrize("basis, first", [(np.zeros((1, 3)), 1.0), (BCC, np.sqrt(2)), (FCC, np.sqrt(3))])
def test_bragg_peaks(basis, first):
    trajectory = crystal(basis, 5)
    n = trajectory.sizes["particle"]
    reciprocal, _ = wave_vectors(as_tuple(np.eye(3) * 5), 2.1 * 2 * np.pi, 50, 10**6, 0, 49)
    density = modes(trajectory, reciprocal)
    intensity = (density**2).sum(axis=(0, 1)) / n
    # every mode is N at a reciprocal lattice vector and 0 elsewhere
    cell = reciprocal / 5
    is_vector = (np.abs(cell - np.rint(cell)) < 1e-9).all(axis=1)
    structure = np.exp(-2j * np.pi * (np.rint(cell) @ basis.T)).sum(axis=1)
    expected = np.where(is_vector, n * np.abs(structure / len(basis)) ** 2, 0.0)
    np.testing.assert_allclose(intensity, expected, atol=1e-8)
    bright = intensity > 0.5 * n
    lowest = np.linalg.norm(reciprocal[bright], axis=1).min() / 5
    assert lowest == pytest.approx(first)


def modes(trajectory, n):
    fraction = np.ascontiguousarray((trajectory["position"].values[0] @ np.linalg.inv(trajectory["box"].values[0])).T)
    density = np.zeros((1, 2, len(n)))
    waves.add_waves(fraction, np.ones(fraction.shape[1]), np.array([0, fraction.shape[1]]), n, density)
    return density


def test_the_ideal_gas_is_one():
    rng = np.random.default_rng(2)
    gas = gd.from_arrays(rng.random((200, 90, 3)) @ SKEWED, species=["A"] * 60 + ["B"] * 30, box=SKEWED)
    found = structure_factor(gas, k_max=10.0, n_bins=5, modes_per_bin=50)
    error = 1 / np.sqrt(found["modes"].values)
    assert np.all(np.abs(found["S_total"].values - 1) < 5 * error)
    limits = np.array([[2 / 3, 0.0], [0.0, 1 / 3]])
    assert np.all(np.abs(found["S"].values - limits[:, :, None]) < 5 * error)


def test_agrees_with_the_transform_of_g(shipped):
    """S(k) = 1 + 4 pi rho int (g - 1) r sin(k r)/k dr, with a window against the cut at half the box."""
    _, trajectory = shipped
    half = 0.5 * float(trajectory["box"].values[0, 0, 0])
    g = radial_distribution(trajectory.isel(frame=[0, 1]), r_max=half, n_bins=600)
    s = structure_factor(trajectory.isel(frame=[0, 1]), k_max=14.0, n_bins=70)
    r, h = g["r"].values, g["g_total"].values - 1
    k = s["k"].values[:, None]
    window = np.sinc(r / half)
    n = trajectory.sizes["particle"] / np.linalg.det(trajectory["box"].values[0])
    transform = 1 + 4 * np.pi * n * (h * window * r * np.sin(k * r) / k).sum(axis=1) * (r[1] - r[0])
    beyond = s["k"].values > 4
    assert np.abs(transform - s["S_total"].values)[beyond].mean() < 0.1
    assert abs(k[np.argmax(transform), 0] - first_peak_wavenumber(s)) < 0.3


def test_first_peak_of_the_shipped_liquids(shipped):
    name, trajectory = shipped
    s = structure_factor(trajectory)
    # Kob-Andersen: 7.2 is where its relaxation is measured throughout the literature
    if name == "kob_andersen":
        assert first_peak_wavenumber(s, "A") == pytest.approx(7.2, abs=0.1)
    assert first_peak_wavenumber(s) == pytest.approx(7.34 if name == "kob_andersen" else 7.74, abs=0.1)
    with pytest.raises(SpeciesError, match="unknown species C"):
        first_peak_wavenumber(s, "C")


def test_a_peak_beyond_the_last_k_is_an_error(shipped):
    _, trajectory = shipped
    with pytest.raises(ParameterError, match="raise k_max"):
        first_peak_wavenumber(structure_factor(trajectory.isel(frame=[0]), k_max=6.0))
    with pytest.raises(ParameterError, match="raise k_max"):
        first_peak_wavenumber(structure_factor(trajectory.isel(frame=[0]), k_max=1.0))


def test_translation_and_long_boxes_change_nothing(liquid):
    whole = structure_factor(liquid, k_max=8.0, n_bins=20)
    moved = liquid["position"].values + np.array([1.3, -0.4, 17.0])
    again = gd.from_arrays(moved, species=liquid["species"].values, box=liquid["box"].values)
    xr.testing.assert_allclose(structure_factor(again, k_max=8.0, n_bins=20), whole, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("rows", [1, 2, 40])
def test_blocks_and_chunks_give_the_same_numbers(liquid, task_rows, rows):
    whole = structure_factor(liquid, k_max=8.0, n_bins=20)
    task_rows(rows)
    chunked = da.from_array(liquid["position"].values, chunks=(2, 100, 3))
    cut = liquid.assign(position=(liquid["position"].dims, chunked))
    with dask.config.set(scheduler="threads"):
        xr.testing.assert_allclose(structure_factor(cut, k_max=8.0, n_bins=20), whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("transformed", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_frames_that_are_cut_give_the_same_numbers(weighted, transformed, monkeypatch):
    """Boxes that change, particles that are absent, an open border; each task has few of the particles of a frame."""
    if transformed:
        pytest.importorskip("finufft", reason="needs the extra 'transforms'")
    cost = (lambda number, _: 0.001 * number) if transformed else (lambda *_: np.inf)
    for module in (waves, modes_of):
        monkeypatch.setattr(module, "transform_microseconds", cost)
    transforms = []
    transform = waves._transformed
    monkeypatch.setattr(waves, "_transformed", lambda *a: transforms.append(a) or transform(*a))
    rng = np.random.default_rng(8)
    box = np.stack([np.eye(3) * 7, SKEWED])
    x = rng.random((2, 150, 3)) @ box
    x[1, 140:] = np.nan
    liquid = gd.from_arrays(
        x, species=np.where(np.arange(150) < 40, "B", "A"), box=box, present=np.isfinite(x[..., 0])
    ).assign(periodic=("axis", [True, True, False]))  # fmt: skip
    values = xr.DataArray(rng.normal(size=(2, 150)), dims=("frame", "particle")) if weighted else None
    given = {"k_max": 6.0, "n_bins": 6, "modes_per_bin": 40, "values": values}
    whole = structure_factor(liquid, **given)
    cuts, numbers = [], []
    add = modes_of.add_waves
    monkeypatch.setattr(modes_of, "add_waves", lambda *a: numbers.append(int(a[2][-1])) or add(*a))
    in_parts = modes_of._modes_in_parts
    monkeypatch.setattr(modes_of, "_modes_in_parts", lambda *a, **k: cuts.append(a[2]) or in_parts(*a, **k))
    transforms.clear()
    with dask.config.set({"glassdask.task.seconds": 1e-7, "scheduler": "threads"}):
        found = structure_factor(liquid, **given)
    # of most tasks all particles are of one species
    assert cuts[0] < 30
    assert bool(transforms) == transformed
    # so what a task needs does not grow with the frame, and every particle is in one of them
    assert max(numbers) <= cuts[0]
    assert sum(numbers) == 150 + 140
    xr.testing.assert_allclose(found, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seconds", [100.0, 1e-7])
def test_errors_are_those_of_the_whole_trajectory_when_frames_are_cut(seconds, liquid):
    n_frames, n_particles = liquid.sizes["frame"], liquid.sizes["particle"]
    with dask.config.set({"glassdask.task.seconds": seconds}):
        for other in (1, n_frames + 1):
            values = xr.DataArray(np.ones((other, n_particles)), dims=("frame", "particle"))
            with pytest.raises(SchemaError, match=f"'frame': {other}, .* the trajectory {n_frames} frames"):
                structure_factor(liquid, k_max=8.0, n_bins=20, values=values)
        lost = liquid["position"].values.copy()
        lost[1, 3] = np.nan
        bad = liquid.assign(position=(liquid["position"].dims, da.from_array(lost, chunks=(1, -1, -1))))
        bad = bad.assign(box=(("frame", *liquid["box"].dims[1:]), np.repeat(liquid["box"].values[:1], n_frames, 0)))
        with pytest.raises(PositionError, match=r"^frame 1, particle 3: "):
            structure_factor(bad, k_max=8.0, n_bins=20)


def test_below_the_smallest_wave_vector_is_nan(liquid):
    s = structure_factor(liquid, k_max=8.0, n_bins=40)
    empty = s["modes"].values == 0
    assert empty[:2].all()
    assert np.array_equal(np.isnan(s["S_total"]), empty)


def test_bad_parameters(liquid):
    for options in ({"k_max": 0.0}, {"k_max": np.inf}, {"n_bins": 0}, {"modes_per_bin": 0}):
        with pytest.raises(ParameterError, match="expected"):
            structure_factor(liquid, **options)


@pytest.mark.parametrize("dimension", [2, 3])
def test_kernel_as_plain_python(dimension, monkeypatch):
    """Of more particles than are read at once, and fewer; some waves share integers with the one before."""
    rng = np.random.default_rng(3)
    n = rng.integers(-4, 5, (11, dimension))
    n = np.pad(n[np.lexsort(n.T[::-1])], ((0, 0), (0, 3 - dimension)))
    fraction = rng.random((3, 40))
    starts = np.array([0, 5, 5, 40])
    weight = rng.normal(size=40)
    compiled, plain = np.zeros((3, 2, 11)), np.zeros((3, 2, 11))
    waves.add_waves(fraction, weight, starts, n, compiled)
    monkeypatch.setattr(waves, "PARTICLES_AT_ONCE", 32)
    for name in ("density_modes", "unit_phases", "powers"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    waves.add_waves(fraction, weight, starts, n, plain)
    np.testing.assert_allclose(compiled, plain, atol=1e-13)
    phase = weight * np.exp(-2j * np.pi * n @ fraction)
    for s in range(3):
        expected = phase[:, starts[s] : starts[s + 1]].sum(axis=1)
        np.testing.assert_allclose(plain[s, 0] + 1j * plain[s, 1], expected, atol=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_transforms_equal_sums(dimension, monkeypatch):
    """Of two species, of which one has few particles, and with weights; in a triclinic box."""
    pytest.importorskip("finufft", reason="needs the extra 'transforms'")
    rng = np.random.default_rng(5)
    box = SKEWED[:dimension, :dimension] * 2
    x = rng.random((1, 600, dimension)) @ box
    liquid = gd.from_arrays(x, species=np.where(np.arange(600) < 7, "B", "A"), box=box)
    weight = xr.DataArray(rng.normal(size=(1, 600)), dims=("frame", "particle"))
    found = {}
    for cost in (np.inf, 0.0):
        monkeypatch.setattr(waves, "transform_microseconds", lambda *_, cost=cost: cost)
        found[cost] = [structure_factor(liquid, k_max=6.0, n_bins=6, values=values) for values in (None, weight)]
    for summed, transformed in zip(found[np.inf], found[0.0]):
        xr.testing.assert_allclose(transformed, summed, rtol=1e-10, atol=1e-12)
        assert (transformed["S_total"] != summed["S_total"]).any()


@pytest.mark.parametrize("there", [True, False])
def test_a_transform_is_taken_where_it_pays(there, monkeypatch):
    monkeypatch.setattr(waves, "_finufft", lambda: waves if there else None)
    assert (waves.transform_microseconds(10**5, np.array([22, 22, 22])) < waves.SUMMED * 10**5 * 6000) == there
    assert waves.transform_microseconds(10**5, np.array([150, 150, 150])) == np.inf


def _brute_force(position, edge, weight, k_max, n_bins):
    """|sum_j w_j exp(-i k.r_j)|^2 / N of each frame, averaged over all wave vectors of each bin, (frame, bin)."""
    top = int(np.ceil(k_max * edge / (2 * np.pi)))
    n = np.stack(np.meshgrid(*[np.arange(-top, top + 1)] * 3), -1).reshape(-1, 3)
    k = 2 * np.pi * n / edge
    length = np.linalg.norm(k, axis=1)
    k, length = k[(length > 0) & (length < k_max)], length[(length > 0) & (length < k_max)]
    bins = (length / k_max * n_bins).astype(int)
    power = np.abs(np.einsum("fpk,fp->fk", np.exp(-1j * np.einsum("fpa,ka->fpk", position, k)), weight)) ** 2
    number = np.bincount(bins, minlength=n_bins)
    sums = np.stack([np.bincount(bins, row, minlength=n_bins) for row in power])
    return np.where(number > 0, sums / np.maximum(number, 1), np.nan) / position.shape[1]


def test_values_and_errors_equal_brute_force(task_rows):
    rng = np.random.default_rng(7)
    position, values = rng.random((5, 60, 3)) * 6, rng.normal(size=(5, 60))
    species = np.array(["A", "B"])[np.arange(60) % 2]
    trajectory = gd.from_arrays(position, species=species, box=[6.0] * 3)
    mobility = xr.DataArray(values, dims=("frame", "particle"))
    expected = _brute_force(position, 6.0, values, 6.0, 12)
    for rows in (10**6, 5):
        task_rows(rows)
        found = structure_factor(trajectory, k_max=6.0, n_bins=12, modes_per_bin=10**6, values=mobility)
        np.testing.assert_allclose(found["S_total"], expected.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(found["S_total_error"], expected.std(axis=0, ddof=1) / np.sqrt(5), rtol=1e-9)
    only_b = _brute_force(position, 6.0, values * (species == "B"), 6.0, 12)
    np.testing.assert_allclose(found["S"].sel(species_a="B", species_b="B"), only_b.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(
        found["S_error"].sel(species_a="B", species_b="B"), only_b.std(axis=0, ddof=1) / np.sqrt(5), rtol=1e-9
    )
    plain = structure_factor(trajectory, k_max=6.0, n_bins=12, modes_per_bin=10**6)
    ones = structure_factor(trajectory, k_max=6.0, n_bins=12, modes_per_bin=10**6, values=xr.ones_like(mobility))
    xr.testing.assert_equal(plain, ones)


def test_values_of_absent_particles_of_one_frame_and_of_another_system(liquid):
    alone = structure_factor(liquid.isel(frame=[0]))
    assert np.isnan(alone["S_total_error"]).all()
    energy = xr.DataArray(np.random.default_rng(0).normal(size=240), dims="particle")
    whole = structure_factor(liquid, k_max=6.0, values=energy)
    holes = energy.where(np.arange(240) % 2 == 0)
    half = structure_factor(liquid.isel(particle=np.arange(0, 240, 2)), k_max=6.0, values=energy[::2])
    np.testing.assert_allclose(
        structure_factor(liquid, k_max=6.0, values=holes)["S_total"], half["S_total"] / 2, rtol=1e-9
    )
    assert not np.allclose(whole["S_total"], half["S_total"], equal_nan=True)
    with pytest.raises(SchemaError, match="give values of the same frames and particles"):
        structure_factor(liquid, values=energy[:100])
