"""Distribution functions beside open borders: those of the whole system, without a trace of the faces."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import BoxError, ParameterError
from tests.neighborhood.cut_outs import CELLS, CUTS, cut, face_distances, liquid

PAIRS = {("A", "A"): 1.5, ("A", "B"): 1.3, ("B", "B"): 1.1}


def part_of(name, seeds=(0,), **options):
    shape, periodic = CUTS[name]
    frames = []
    for seed in seeds:
        position, species = liquid(CELLS[shape], seed)
        kept, inside, box = cut(position, CELLS[shape], periodic)
        frames.append((inside, species[kept]))
    most = max(len(position) for position, _ in frames)
    d = len(box)
    position, codes = np.full((len(frames), most, d), np.nan), np.zeros((len(frames), most), int)
    for k, (inside, species) in enumerate(frames):
        position[k, : len(inside)], codes[k, : len(inside)] = inside, species
    names, present = np.array(["A", "B"])[codes], np.isfinite(position[..., 0])
    return gd.from_arrays(position, species=names, box=box, periodic=periodic, present=present, **options)


@pytest.mark.parametrize("name", list(CUTS))
@pytest.mark.parametrize("beyond", ["unknown", "nothing"])
def test_centres_count_up_to_the_nearest_open_face(name, beyond):
    part = part_of(name, seeds=(0, 1), beyond=beyond)
    edges = np.linspace(0, 2.4, 13)
    found = gd.radial_distribution(part, r_max=2.4, n_bins=12)
    counts, centers, possible = np.zeros((2, 2, 12)), np.zeros((2, 12)), np.zeros((2, 2, 12))
    box, periodic = part["box"].values[0], CUTS[name][1]
    for position, names in zip(part["position"].values, part["species"].values):
        here = np.isfinite(position[:, 0])
        position, species = position[here], (names[here] == "B").astype(int)
        depth = face_distances(position, box, periodic)
        images = np.stack(np.meshgrid(*[[-1, 0, 1] if p else [0] for p in periodic], indexing="ij"), -1)
        number = np.bincount(species)
        for i in range(len(position)):
            vector = position + (images.reshape(-1, len(box)) @ box)[:, None] - position[i]
            distance = np.linalg.norm(vector, axis=-1)
            usable = edges[1:] <= depth[i]
            centers[species[i]] += usable
            possible[species[i]] += usable * (number - (np.arange(2) == species[i]))[:, None]
            for b in range(2):
                own = np.histogram(distance[:, (species == b) & (np.arange(len(species)) != i)], edges)[0]
                counts[species[i], b] += own * usable
    np.testing.assert_array_equal(found["counts"], counts)
    np.testing.assert_array_equal(found["centers"], centers)
    shells = (np.pi if len(box) == 2 else 4 / 3 * np.pi) * np.diff(edges ** len(box))
    volume = abs(np.linalg.det(box))
    expected = volume * (counts + counts.swapaxes(0, 1)) / (possible + possible.swapaxes(0, 1)) / shells
    np.testing.assert_allclose(found["g"], expected, rtol=1e-12)
    np.testing.assert_allclose(
        found["g_total"], volume * counts.sum((0, 1)) / possible.sum((0, 1)) / shells, rtol=1e-12
    )
    within = np.cumsum(counts / centers[:, None], axis=-1)
    np.testing.assert_allclose(found["coordination"][..., 1:], within, rtol=1e-12)
    chunked = gd.radial_distribution(part.chunk(frame=1), r_max=2.4, n_bins=12)
    np.testing.assert_allclose(chunked["g"], found["g"], rtol=1e-12)


@pytest.mark.parametrize("name", ["film", "skewed film", "block", "strip", "window"])
def test_the_ideal_gas_is_one_in_every_bin(name):
    shape, periodic = CUTS[name]
    box = CELLS[shape] * 0.5
    position = np.random.default_rng(2).random((300, 60, len(box))) @ box
    gas = gd.from_arrays(position, species=["B"] * 5 + ["A"] * 55, box=box, periodic=periodic)
    found = gd.radial_distribution(gas, r_max=1.5, n_bins=6)
    error = 1 / np.sqrt(found["counts"].values / 2)
    assert np.all(np.abs(found["g"].values - 1) < 5 * error)
    assert np.all(np.abs(found["g_total"].values - 1) < 5 / np.sqrt(found["counts"].values.sum((0, 1)) / 2))


def test_first_minima_of_a_film_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    cubic = np.stack(np.meshgrid(*[np.arange(8.0)] * 3), axis=-1).reshape(1, 512, 3)
    position = np.array(
        [frame[frame[:, 2] < 7.7][:400] for frame in (cubic + 0.5 + rng.normal(scale=0.05, size=(6, 512, 3)))]
    )
    film = gd.from_arrays(position, species=["A"] * 400, box=[8.0, 8.0, 7.7], periodic=(True, True, False))
    whole = gd.from_arrays(cubic + 0.5 + rng.normal(scale=0.05, size=(6, 512, 3)), species=["A"] * 512, box=[8.0] * 3)
    assert gd.first_minima(film)[("A", "A")] == pytest.approx(gd.first_minima(whole)[("A", "A")], abs=0.02)


def test_no_centre_is_left_where_the_faces_are_too_close():
    thin = gd.from_arrays(
        np.random.default_rng(0).random((1, 500, 3)) * [8, 8, 2], species=["A"] * 500, box=[8.0, 8.0, 2.0],
        periodic=(True, True, False),
    )  # fmt: skip
    found = gd.radial_distribution(thin, r_max=2.0, n_bins=8)
    assert np.isnan(found["g_total"].values).tolist() == [False] * 3 + [True] * 5
    with pytest.raises(BoxError, match="half of the narrowest"):
        gd.radial_distribution(thin, r_max=4.1)
    outside = gd.from_arrays(np.full((1, 3, 2), -1.0), species=["A"] * 3, box=[1.0, 1.0], periodic=False)
    with pytest.raises(ParameterError, match="no A is away from the open faces"):
        gd.first_minima(outside)


@pytest.mark.parametrize("name", ["film", "skewed block", "skewed strip"])
@pytest.mark.parametrize("rule", [PAIRS, gd.KNearest(6), gd.SANN(), gd.Voronoi()], ids=str)
def test_bond_angles_are_those_of_the_centres_whose_neighbours_are_known(name, rule):
    shape, periodic = CUTS[name]
    part = part_of(name)
    found = gd.bond_angle_distribution(part, rule, n_bins=12)["triplets"].sum("center")
    position, species = liquid(CELLS[shape])
    whole = gd.from_arrays(position, species=np.array(["A", "B"])[species], box=CELLS[shape])
    described = gd.describe(part, [gd.BondOrder(**({"cutoffs": rule} if rule is PAIRS else {"neighbors": rule}))])
    known = np.isfinite(described["bo"].values[0, :, 0])
    kept = cut(position, CELLS[shape], periodic)[0][known]

    def angles(configuration):
        used = gd.Cutoff(rule) if rule is PAIRS else rule
        near = used.find(configuration, kept)
        counts = np.zeros((2, 2, 12))
        for c in range(len(kept)):
            rows = slice(near.offsets[c], near.offsets[c + 1])
            unit, kind = near.vector[:3, rows] / near.vector[3, rows], configuration.species[near.index[rows]]
            angle = np.degrees(np.arccos(np.clip(unit.T @ unit, -1, 1)))
            for j, k in zip(*np.triu_indices(len(kind), 1)):
                counts[kind[j], kind[k], min(int(angle[j, k] / 15), 11)] += 1
        counts += counts.swapaxes(0, 1)
        counts[[0, 1], [0, 1]] /= 2
        return counts

    expected = gd.map_frames(angles, whole, dims={"a": 2, "b": 2, "angle": 12}).values[0]
    np.testing.assert_array_equal(found.values, expected)
    assert expected.sum() > 100


@pytest.mark.parametrize("name", [name for name, (_, periodic) in CUTS.items() if any(periodic)])
def test_wave_vectors_are_those_of_the_axes_that_repeat(name):
    part, periodic = part_of(name, seeds=(0, 1)), np.array(CUTS[name][1])
    found = gd.structure_factor(part, k_max=5.0, n_bins=10, modes_per_bin=10**6)
    lattice = part["box"].values[0][periodic]
    reciprocal = 2 * np.pi * np.linalg.pinv(lattice).T  # the shortest k with k . a_i = 2 pi delta_ij
    n = np.stack(np.meshgrid(*[np.arange(-9, 10)] * len(lattice), indexing="ij"), -1).reshape(-1, len(lattice))
    k = n @ reciprocal
    length = np.linalg.norm(k, axis=1)
    k, bins = k[(length > 0) & (length < 5)], np.floor(length[(length > 0) & (length < 5)] / 0.5).astype(int)
    total, number = np.zeros(10), 0
    for position in part["position"].values:
        position = position[np.isfinite(position[:, 0])]
        total += np.bincount(bins, abs(np.exp(-1j * k @ position.T).sum(axis=1)) ** 2, minlength=10)
        number += len(position)
    with np.errstate(invalid="ignore"):
        expected = total / np.bincount(bins, minlength=10) / number
    np.testing.assert_array_equal(found["modes"], np.bincount(bins, minlength=10))
    np.testing.assert_allclose(found["S_total"], expected, rtol=1e-9)


def test_the_structure_factor_of_a_film_is_that_of_the_plane_and_a_cluster_has_none():
    gas = gd.from_arrays(
        np.random.default_rng(1).random((40, 200, 3)) * [8, 8, 3], species=["A"] * 200, box=[8.0, 8.0, 3.0],
        periodic=(True, True, False),
    )  # fmt: skip
    found = gd.structure_factor(gas, k_max=9.0, n_bins=3)
    assert np.all(np.abs(found["S_total"] - 1) < 5 / np.sqrt(found["modes"]))
    with pytest.raises(BoxError, match="repeats along no axis"):
        gd.structure_factor(part_of("block"))
