"""Compressibility: gases of single particles and of pairs, crystals, numbers counted by hand, what a box must have."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import BoxError, ParameterError, SchemaError

BOTH = ["compressibility", "compressibility_counts"]


def gas(frames, n, dimension, names=("A",), seed=0, edge=8.0):
    position = np.random.default_rng(seed).random((frames, n, dimension)) * edge
    return gd.from_arrays(position, species=np.resize(names, n), box=[edge] * dimension)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("names", [("A",), ("A", "B", "B")])
def test_ideal_gases(dimension, names):
    found = gd.compressibility(gas(600, 300, dimension, names))
    for name in BOTH:
        assert float(found[name]) == pytest.approx(1.0, abs=0.12)
    share = [names.count(name) / len(names) for name in found["species_a"].values]
    for name in ("S_zero", "S_zero_counts"):
        np.testing.assert_allclose(found[name], np.diag(share), atol=0.1)


def test_a_gas_of_pairs():
    """Density fluctuates as that of half as many particles of twice the mass: S(0) = 2."""
    rng = np.random.default_rng(1)
    first = rng.random((600, 200, 3)) * 8
    step = rng.normal(size=first.shape)
    second = first + 0.1 * step / np.linalg.norm(step, axis=-1, keepdims=True)
    pairs = gd.from_arrays(np.concatenate([first, second], axis=1), species=["A"] * 400, box=[8.0] * 3)
    found = gd.compressibility(pairs)
    for name in BOTH:
        assert float(found[name]) == pytest.approx(2.0, abs=0.2)


def test_liquids_hardly_fluctuate():
    """Both ways agree on that, and cells of any shape tell what cubes do."""
    liquid = gd.example("wahnstrom")
    found = gd.compressibility(liquid)
    assert 0.0 < float(found["compressibility"]) < 0.05
    assert abs(float(found["S_zero_counts"].sum())) < 0.1
    skewed = liquid.copy(deep=True)
    skewed["box"].values[:, 1, 0] += skewed["box"].values[:, 0, 0]  # the same lattice of boxes
    again = gd.compressibility(gd.from_arrays(
        skewed["position"].values, species=skewed["species"].values, box=skewed["box"].values
    ), k_max=found.attrs["k_max"])  # fmt: skip
    np.testing.assert_allclose(again["S_zero"], found["S_zero"], rtol=0.2, atol=2e-3)


def test_numbers_by_hand():
    """Of two divisions and three the line is through both."""
    some = gas(40, 60, 2, ("A", "B"), seed=3)
    found = gd.compressibility(some, k_max=4.0, divisions=3)["S_zero_counts"].values
    values = []
    for m in (2, 3):
        counts = np.zeros((40, 2, m, m))
        cell = (some["position"].values / 8 * m).astype(int)
        for f in range(40):
            for s in range(2):
                np.add.at(counts[f, s], tuple(cell[f, s::2].T), 1)
        counts = counts.reshape(40, 2, -1) - 30 / m**2
        values.append(np.einsum("fac,fbc->ab", counts, counts) / (40 * m**2) * m**2 / 60 / (1 - 1 / m**2))
    np.testing.assert_allclose(found, 3 * values[0] - 2 * values[1], atol=1e-12)


def test_waves_by_hand():
    """All waves of a few frames, in shells at the mean of their k^2, which is not that of the middle of a shell."""
    some = gas(5, 60, 2, ("A", "B"), seed=4)
    found = gd.compressibility(some, k_max=3.0)["S_zero"].values
    n = np.array([(x, y) for x in range(4) for y in range(-3, 4) if x > 0 or y > 0])
    k = 2 * np.pi / 8 * n
    length = np.linalg.norm(k, axis=1)
    k, length = k[length < 3.0], length[length < 3.0]
    rho = np.exp(-1j * np.einsum("fpd,kd->fpk", some["position"].values, k))
    rho = np.stack([rho[:, 0::2].sum(axis=1), rho[:, 1::2].sum(axis=1)])
    s = np.einsum("afk,bfk->abk", rho, rho.conj()).real / (5 * 60)
    shell = (length / 3.0 * 12).astype(int)
    used = np.unique(shell)
    number = np.array([(shell == b).sum() for b in used])
    x = np.array([(length[shell == b] ** 2).mean() for b in used])
    for a, b in np.ndindex(2, 2):
        y = [s[a, b, shell == which].mean() for which in used]
        assert found[a, b] == pytest.approx(np.polyfit(x, y, 1, w=np.sqrt(number))[1], abs=1e-10)


def test_lazy_and_in_one_piece_are_the_same():
    some = gas(20, 400, 3, ("A", "B"))
    lazy = gd.compressibility(some.chunk(frame=3))
    for name in BOTH:
        assert float(lazy[name]) == pytest.approx(float(gd.compressibility(some)[name]), rel=1e-12)


def test_what_cannot_be_extrapolated():
    some = gas(2, 50, 3)
    with pytest.raises(
        ParameterError, match=r"compressibility.k_max = 0.9: 1 shells of wave vectors are below, expected"
    ):
        gd.compressibility(some, k_max=0.9)
    with pytest.raises(
        ParameterError, match=r"compressibility.divisions: expected at least 3, to extrapolate, found 2"
    ):
        gd.compressibility(some, divisions=2)
    with pytest.raises(BoxError, match=r"compressibility: the box has open axes"):
        gd.compressibility(some.assign(periodic=("axis", [True, True, False])))


def test_numbers_that_are_not_fixed_are_refused():
    """What is absent from a frame would be a fluctuation, and so would another composition."""
    some = gas(3, 50, 3)
    present = np.ones((3, 50), bool)
    present[1, 7:9] = False
    position = some["position"].where(present[:, :, None])
    with pytest.raises(SchemaError, match=r"frame 1 has 48 of 50 particles, expected all of them in every frame"):
        gd.compressibility(some.assign(position=position, present=(("frame", "particle"), present)))
    kinds = np.array([["A"] * 20 + ["B"] * 30, ["A"] * 20 + ["B"] * 30, ["A"] * 21 + ["B"] * 29])
    with pytest.raises(SchemaError, match=r"frame 2 has other numbers of the species than frame 0"):
        gd.compressibility(some.assign(species=(("frame", "particle"), kinds)))


def test_species_that_change_places_are_those_of_each_frame():
    """As in swap Monte Carlo."""
    mixed, kinds = gas(40, 60, 3, ("A", "B", "B")), np.resize(["A", "B", "B"], (40, 60))
    order = np.random.default_rng(1).permuted(np.tile(np.arange(60), (40, 1)), axis=1)
    position = np.take_along_axis(mixed["position"].values, order[:, :, None], axis=1)
    moved = mixed.assign(position=(("frame", "particle", "space"), position)).assign(
        species=(("frame", "particle"), np.take_along_axis(kinds, order, axis=1))
    )
    for name, values in gd.compressibility(mixed)[BOTH].items():
        assert float(gd.compressibility(moved)[name]) == pytest.approx(float(values), rel=1e-9)
