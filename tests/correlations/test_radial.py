"""g_ab(r): the ideal gas, crystals' shells, another program, a brute-force twin, and however the work is cut."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import graphs
from glassdask.correlations import radial
from glassdask.correlations.radial import radial_distribution
from glassdask.errors import BoxError, ParameterError, PositionError
from glassdask.frames import sum_frames
from glassdask.kernels import correlations as kernels
from glassdask.neighborhood.configuration import Configuration
from tests.conftest import DATA
from tests.neighborhood.brute_neighbors import pairs

FCC = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
BCC = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


def crystal(basis, n=5):
    d = basis.shape[1]
    cells = np.stack(np.meshgrid(*[np.arange(float(n))] * d, indexing="ij"), axis=-1).reshape(-1, 1, d)
    position = (cells + basis).reshape(-1, d)
    return gd.from_arrays(position, species=["A"] * len(position), box=[float(n)] * d)


def lazy(trajectory, chunks):
    position = da.from_array(trajectory["position"].values, chunks=chunks)
    return trajectory.assign(position=(trajectory["position"].dims, position))


def brute_force(trajectory, edges):
    """Histogram (a, b, r) of all ordered pairs of all frames, and g from its definition."""
    species = (trajectory["species"].values == "B").astype(int)
    number = np.bincount(species)
    d = trajectory.sizes["space"]
    shells = (np.pi if d == 2 else 4 / 3 * np.pi) * np.diff(edges**d)
    counts, g = np.zeros((2, 2, len(edges) - 1)), np.zeros((2, 2, len(edges) - 1))
    for position, box in zip(trajectory["position"].values, trajectory["box"].values):
        here = np.zeros_like(counts)
        for i, j, vector in pairs(position, box, edges[-1]):
            here[species[i], species[j], np.searchsorted(edges, np.linalg.norm(vector), side="right") - 1] += 1
        counts += here
        possible = np.outer(number, number) - np.diag(number)
        g += here * np.linalg.det(box) / possible[:, :, None] / shells / trajectory.sizes["frame"]
    return counts, g


@pytest.mark.parametrize("dimension", [2, 3])
def test_equals_brute_force(liquid, dimension):
    if dimension == 2:
        box = np.array([[9.0, 0.0], [4.0, 7.0]]) * np.array([1.0, 1.1])[:, None, None]
        fraction = np.random.default_rng(1).random((2, 100, 2))
        position = np.einsum("fpa,fas->fps", fraction, box)
        liquid = gd.from_arrays(position, species=np.where(np.arange(100) % 3 == 0, "B", "A"), box=box)
    found = radial_distribution(liquid, r_max=2.5, n_bins=20)
    counts, g = brute_force(liquid, np.linspace(0, 2.5, 21))
    assert np.array_equal(found["counts"].values, counts)
    np.testing.assert_allclose(found["g"].values, g, rtol=1e-12)
    assert np.array_equal(found["g"].values, found["g"].values.swapaxes(0, 1))


def test_equals_freud(peer):
    name, trajectory, _ = peer
    expected = np.load(DATA / f"{name}_neighbors.npz")
    found = radial_distribution(trajectory, r_max=2.4, n_bins=48)
    np.testing.assert_allclose(found["r"], expected["rdf_r"], rtol=1e-6)
    n = trajectory.sizes["particle"]
    # freud divides by N_b, not by N_b - 1, also where b is a
    np.testing.assert_allclose(found["g_total"] * (n - 1) / n, expected["rdf_all"], rtol=1e-5)
    for a, b in ("AA", "AB", "BB"):
        n_b = int((trajectory["species"] == b).sum())
        factor = (n_b - 1) / n_b if a == b else 1.0
        found_ab = found["g"].sel(species_a=a, species_b=b) * factor
        np.testing.assert_allclose(found_ab, expected[f"rdf_{a}{b}"], rtol=1e-5)


@pytest.mark.parametrize("box", [np.diag([9.0, 10.0, 11.0]), np.array([[9.0, 0], [5.0, 8.0]])])
def test_the_ideal_gas_is_one_in_every_bin(box):
    d = len(box)
    rng = np.random.default_rng(2)
    # five particles of species B: normalised by N (N - 1), they are one too
    position = rng.random((400, 60, d)) @ box
    gas = gd.from_arrays(position, species=["B"] * 5 + ["A"] * 55, box=box)
    found = radial_distribution(gas, r_max=3.5, n_bins=7)
    error = 1 / np.sqrt(found["counts"].values / 2)
    assert np.all(np.abs(found["g"].values - 1) < 5 * error)
    # and their mean over all bins, up to the noise of all pairs
    mean = (found["g"] * found["counts"]).sum("r") / found["counts"].sum("r")
    assert np.all(np.abs(mean.values - 1) < 5 / np.sqrt(found["counts"].sum("r").values / 2))


@pytest.mark.parametrize(
    "basis, shells",
    [
        (FCC, [(np.sqrt(0.5), 12), (1.0, 6), (np.sqrt(1.5), 24), (np.sqrt(2.0), 12)]),
        (BCC, [(np.sqrt(0.75), 8), (1.0, 6), (np.sqrt(2.0), 12)]),
        (np.zeros((1, 3)), [(1.0, 6), (np.sqrt(2.0), 12), (np.sqrt(3.0), 8), (2.0, 6)]),
        (np.zeros((1, 2)), [(1.0, 4), (np.sqrt(2.0), 4), (2.0, 4)]),
    ],
)
def test_shells_of_crystals(basis, shells):
    found = radial_distribution(crystal(basis), r_max=2.15, n_bins=215)
    per_bin = found["counts"].values[0, 0] / (5 ** basis.shape[1] * len(basis))
    for distance, number in shells:
        near = np.abs(found["r"].values - distance) < 0.011
        assert per_bin[near].sum() == number
    beyond = found["r_edge"].values > shells[-1][0] + 0.011
    coordination = found["coordination"].values[0, 0][beyond][0]
    assert coordination == sum(number for _, number in shells)


def test_integral_of_g_is_the_mean_number_of_neighbours(liquid):
    found = radial_distribution(liquid.isel(frame=[1]), r_max=2.6, n_bins=26)
    cutoffs = np.full((2, 2), 2.0)
    names = ("A", "B")
    position, box = liquid["position"].values[1], liquid["box"].values[1]
    species = (liquid["species"].values == "B").astype(int)
    configuration = Configuration(position, species, box, names)
    neighbors = configuration.neighbors(np.arange(240), cutoffs)
    volume = np.linalg.det(box)
    shells = 4 / 3 * np.pi * np.diff(found["r_edge"].values ** 3)
    for a, b in np.ndindex(2, 2):
        of_b = np.add.reduceat(species[neighbors.index] == b, neighbors.offsets[:-1]).mean(where=species == a)
        assert found["coordination"].values[a, b, 20] == pytest.approx(of_b)
        n_b = (species == b).sum() - (a == b)
        integral = (found["g"].values[a, b, :20] * shells[:20]).sum() * n_b / volume
        assert integral == pytest.approx(of_b)


def test_total_is_the_weighted_mean_of_the_partials(liquid):
    found = radial_distribution(liquid, r_max=2.5, n_bins=10)
    blind = liquid.assign(species=("particle", np.full(240, "X")))
    np.testing.assert_allclose(found["g_total"], radial_distribution(blind, r_max=2.5, n_bins=10)["g"][0, 0])


def test_a_species_of_one_particle_has_no_g_with_itself():
    rng = np.random.default_rng(3)
    two = gd.from_arrays(rng.random((3, 20, 3)) * 5, species=["B"] + ["A"] * 19, box=[5.0] * 3)
    g = radial_distribution(two, n_bins=5)["g"]
    assert np.isnan(g.sel(species_a="B", species_b="B")).all()
    assert np.isfinite(g.sel(species_a="A", species_b="B")).all()


@pytest.mark.parametrize("chunks", [(1, 240, 3), (3, 50, 3), (2, 240, 1)])
def test_chunks_give_the_same_numbers(liquid, chunks):
    whole = radial_distribution(liquid, r_max=2.5)
    xr.testing.assert_allclose(radial_distribution(lazy(liquid, chunks), r_max=2.5), whole, rtol=1e-12)


@pytest.mark.parametrize("rows", [7, 240, 500])
def test_blocks_of_particles_give_the_same_numbers(liquid, monkeypatch, task_rows, rows):
    whole = radial_distribution(liquid, r_max=2.5, n_bins=30)
    task_rows(rows)
    monkeypatch.setattr(graphs, "FAN_IN", 3)
    monkeypatch.setattr(graphs, "BATCH", 20)
    for scheduler in ("threads", "synchronous"):
        with dask.config.set(scheduler=scheduler):
            xr.testing.assert_allclose(radial_distribution(liquid, r_max=2.5, n_bins=30), whole, rtol=1e-12)


@pytest.mark.cluster
def test_worker_processes_give_the_same_numbers(liquid, two_workers):
    with dask.config.set(scheduler="synchronous"):
        whole = radial_distribution(liquid, r_max=2.5)
    xr.testing.assert_allclose(radial_distribution(lazy(liquid, (1, 240, 3)), r_max=2.5), whole, rtol=1e-12)


def test_no_task_sees_more_than_its_frames(liquid, task_rows):
    seen = []

    def look(configuration, items):
        seen.append((configuration.label, len(configuration.position), len(items)))
        return (np.zeros(1),)

    task_rows(100)
    with dask.config.set(scheduler="synchronous"):
        sum_frames(look, lazy(liquid, (1, 240, 3)))
    assert sorted(seen) == [(f"frame {f}", 240, 80) for f in range(3) for _ in range(3)]


def test_r_max_is_half_the_box_where_that_is_less():
    small = crystal(np.zeros((1, 3)), 3)
    assert radial_distribution(small)["r_edge"].values[-1] == pytest.approx(1.5)
    assert radial_distribution(crystal(np.zeros((1, 3)), 9))["r_edge"].values[-1] == pytest.approx(3.5)


def test_bad_parameters(liquid):
    for options in ({"r_max": 0.0}, {"r_max": -1.0}, {"r_max": np.nan}, {"n_bins": 0}):
        with pytest.raises(ParameterError, match="expected"):
            radial_distribution(liquid, **options)
    # the third frame has the smallest box
    half = 0.5 / np.linalg.norm(np.linalg.inv(liquid["box"].values), axis=1).max(axis=1)
    with pytest.raises(BoxError, match=r"frame 2: the cutoff .* use a cutoff up to"):
        radial_distribution(liquid, r_max=0.5 * (half[0] + half[2]))


def test_a_bad_frame_is_named_when_it_is_read(liquid):
    position = liquid["position"].values.copy()
    position[1, 17, 0] = np.nan
    bad = liquid.assign(position=(liquid["position"].dims, da.from_array(position, chunks=(1, 240, 3))))
    with pytest.raises(PositionError, match="frame 1, particle 17"):
        radial_distribution(bad)


@pytest.mark.parametrize("dimension", [2, 3])
def test_kernel_as_plain_python(dimension, monkeypatch):
    """Every pair once: boxes of two, three and six cells, and particles in any order."""
    rng = np.random.default_rng(4)
    species = rng.integers(0, 2, 60)
    for edge in (2.0, 3.2, 6.3):
        position = rng.random((60, dimension)) * edge
        configuration = Configuration(position, species, np.eye(dimension) * edge, ("A", "B"))
        assert configuration.grid(1.0).lists.n_cells[0] == int(edge)
        compiled, *_ = radial.count_pairs(configuration, np.arange(60), 1.0, 7)
        with monkeypatch.context() as patch:
            for name in ("histogram_pairs", "later_in_row"):
                patch.setattr(kernels, name, getattr(kernels, name).py_func)
            plain, *_ = radial.count_pairs(configuration, rng.permutation(60), 1.0, 7)
        assert np.array_equal(compiled, plain)
        assert compiled.sum() == len(list(pairs(position, np.eye(dimension) * edge, 1.0)))
