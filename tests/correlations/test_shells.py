"""First peaks and minima: published cutoffs, the weak first peak of g_BB, crystals, curves that are known, noise."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.correlations.radial import radial_distribution
from glassdask.correlations.shells import (
    FirstShell,
    first_minima,
    first_peaks,
    first_shell,
    first_shells,
    typical_minima,
)
from glassdask.errors import ParameterError, SpeciesError
from tests.conftest import DATA

# Wahnström: minima of g_ab of these frames by an independent program; Kob-Andersen: those of
# Paret et al. (2020), used by paper A
CUTOFFS = {
    "wahnstrom": {("A", "A"): 1.404, ("A", "B"): 1.366, ("B", "B"): 1.254},
    "kob_andersen": {("A", "A"): 1.425, ("A", "B"): 1.25, ("B", "B"): 1.075},
}


def known(g, pairs=10**6, r_max=3.0, bins=600, seed=None):
    """A radial distribution whose g_AA is the function `g`, with as many pairs at random as asked."""
    edges = np.linspace(0, r_max, bins + 1)
    r = 0.5 * (edges[1:] + edges[:-1])
    shells = np.diff(edges**3)
    expected = g(r) * shells
    expected *= pairs / expected.sum()
    scale = (g(r) * shells).sum() / pairs
    counts = expected if seed is None else np.random.default_rng(seed).poisson(expected)
    values = counts * scale / shells
    dims = ("species_a", "species_b", "r")
    return xr.Dataset(
        {"g": (dims, values[None, None]), "counts": (dims, 2 * counts[None, None])},
        coords={"species_a": ["A"], "species_b": ["A"], "r": r, "r_edge": edges},
        attrs={"dimension": 3, "density": 1.0},
    )


def bump(r, at, width, height):
    return height * np.exp(-0.5 * ((r - at) / width) ** 2)


def liquid_like(r):
    return (
        bump(r, 1.05, 0.08, 3.5) + bump(r, 1.9, 0.2, 0.7) + 1 / (1 + np.exp(-(r - 1.6) / 0.08)) * 0.8 + 0.02 * (r > 0.8)
    )


def with_shoulder(r):
    """A weak first shell at 1 on the flank of a high second one at 1.4, as in g_BB of Kob-Andersen."""
    return bump(r, 1.0, 0.07, 0.5) + bump(r, 1.4, 0.13, 1.6) + 1 / (1 + np.exp(-(r - 1.8) / 0.05))


def test_cutoffs_of_the_shipped_liquids(shipped):
    name, trajectory = shipped
    found = first_minima(trajectory)
    assert list(found) == [("A", "A"), ("A", "B"), ("B", "B")]
    distribution = radial_distribution(trajectory)
    assert first_minima(distribution) == found
    assert first_peaks(distribution) == first_peaks(trajectory)
    for pair, expected in CUTOFFS[name].items():
        assert type(found[pair]) is float
        assert abs(found[pair] - expected) < 0.025, pair


def test_the_highest_peak_of_kob_andersen_is_not_the_first(shipped):
    name, trajectory = shipped
    shells = {shell.species: shell for shell in first_shells(radial_distribution(trajectory, n_bins=700))}
    for pair, shell in shells.items():
        trap = name == "kob_andersen" and pair == ("B", "B")
        assert shell.shoulder == trap
        assert (shell.highest > shell.minimum) == trap
        assert bool(shell.note) == trap
    if name == "kob_andersen":
        assert shells["B", "B"].highest == pytest.approx(1.36, abs=0.05)
        assert shells["B", "B"].note == (
            f"the first peak is a shoulder; the highest peak is a later one, at {shells['B', 'B'].highest:.3g}"
        )


def test_the_trap_with_too_few_pairs_is_an_error_not_a_wrong_cutoff(shipped):
    name, trajectory = shipped
    if name == "wahnstrom":
        found = first_minima(trajectory.isel(frame=[0]))
        assert all(abs(found[pair] - expected) < 0.05 for pair, expected in CUTOFFS[name].items())
        return
    one = trajectory.isel(frame=[0])
    with pytest.raises(ParameterError, match=r"g_BB .* begins at 0\.8.*first clear peak is at 1\.[34].* more frames"):
        first_minima(one)
    # what is advised is an argument that there is; quantities take cutoffs, of all pairs
    with pytest.raises(ParameterError, match=r"give the cutoff of B-B, `overrides={'B-B': \.\.\.}`"):
        first_minima(one)
    with pytest.raises(ParameterError, match=r"give all cutoffs, cutoffs={A-A=\.\.\.,A-B=\.\.\.,B-B=\.\.\.}"):
        typical_minima(one, 20)
    found = first_minima(one, overrides={("B", "B"): 1.075})
    assert found["B", "B"] == 1.075
    assert found["A", "A"] == pytest.approx(1.425, abs=0.03)


def test_nothing_above_the_noise_is_an_error(peer):
    name, trajectory, _ = peer
    if name == "kalj_N150":  # thirty particles of species B
        with pytest.raises(ParameterError, match=r"g_BB \(from \d+ pairs\) has no first peak .* give the cutoff of"):
            first_minima(trajectory)
    gas = gd.from_arrays(np.random.default_rng(1).random((3, 1000, 3)) * 10, species=["A"] * 1000, box=[10.0] * 3)
    with pytest.raises(ParameterError, match="g_AA"):
        first_minima(gas)


def test_overrides_in_any_spelling(shipped):
    _, trajectory = shipped
    found = first_minima(trajectory, overrides={"B-A": 1.3, ("B", "B"): 1.1})
    assert (found["A", "B"], found["B", "B"]) == (1.3, 1.1)
    with pytest.raises(SpeciesError, match="overrides name C: known species are A, B"):
        first_minima(trajectory, overrides={("A", "C"): 1.0})
    for bad in ({("A", "B"): -1.0}, {("A", "B"): np.nan}, {"AB": 1.0}):
        with pytest.raises((ParameterError, SpeciesError), match=r"overrides.*expected"):
            first_minima(trajectory, overrides=bad)


def test_first_peaks_are_the_diameters(shipped):
    name, trajectory = shipped
    expected = {"wahnstrom": (1.062, 0.896), "kob_andersen": (1.072, 1.0)}[name]
    found = first_peaks(trajectory)
    assert found["A"] == pytest.approx(expected[0], abs=0.01)
    assert found["B"] == pytest.approx(expected[1], abs=0.05 if name == "kob_andersen" else 0.01)


def exact_turning_points(g, low, middle, high):
    r = np.linspace(low, high, 200_001)
    values = g(r)
    first, second = r < middle, r >= middle
    return r[first][np.argmax(values[first])], r[second][np.argmin(values[second])]


def test_a_known_curve_to_less_than_a_bin():
    peak, minimum = exact_turning_points(liquid_like, 0.9, 1.2, 1.75)
    shell = first_shell(known(liquid_like, bins=150), "A", "A")
    assert shell.peak == pytest.approx(peak, abs=0.004)
    assert shell.minimum == pytest.approx(minimum, abs=0.012)
    assert shell.height == pytest.approx(liquid_like(np.array(peak)), rel=0.03)
    assert shell.depth == pytest.approx(liquid_like(np.array(minimum)), abs=0.02)
    assert shell.highest == pytest.approx(peak, abs=0.02)
    assert not shell.shoulder


@pytest.mark.parametrize("seed", range(5))
def test_noise_moves_the_minimum_little(seed):
    _, minimum = exact_turning_points(liquid_like, 0.9, 1.2, 1.75)
    shell = first_shell(known(liquid_like, pairs=50_000, seed=seed), "A", "A")
    assert shell.minimum == pytest.approx(minimum, abs=0.05)


@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3])
def test_a_shoulder_is_the_first_shell(seed):
    shell = first_shell(known(with_shoulder, pairs=200_000, seed=seed), "A", "A")
    # between the two shells, where g of the weak one is gone
    assert 1.0 < shell.minimum < 1.2
    assert shell.highest == pytest.approx(1.4, abs=0.03)
    assert "later one" in shell.note


def test_a_weak_first_peak_with_a_minimum_of_its_own():
    def g(r):
        return bump(r, 1.0, 0.06, 0.8) + bump(r, 1.5, 0.1, 2.0) + (r > 1.9)

    peak, minimum = exact_turning_points(g, 0.9, 1.1, 1.4)
    shell = first_shell(known(g), "A", "A")
    assert not shell.shoulder
    assert shell.peak == pytest.approx(peak, abs=0.005)
    assert shell.minimum == pytest.approx(minimum, abs=0.02)
    assert shell.note == "the highest peak is a later one, at 1.5"


def test_an_empty_gap_is_halved():
    jitter = np.random.default_rng(2).normal(scale=0.02, size=(2, 1000, 3))
    cubic = np.stack(np.meshgrid(*[np.arange(10.0)] * 3), axis=-1).reshape(1, 1000, 3)
    trajectory = gd.from_arrays(cubic + jitter, species=["A"] * 1000, box=[10.0] * 3)
    shell = first_shell(radial_distribution(trajectory, n_bins=700), "A", "A")
    assert shell.peak == pytest.approx(1.0, abs=0.01)
    assert shell.minimum == pytest.approx(0.5 * (1 + np.sqrt(2)), abs=0.03)
    assert shell.depth == pytest.approx(0.0, abs=1e-3)
    q = gd.describe(trajectory, [gd.BondOrder(cutoffs=first_minima(trajectory), l_max=4, l_min=4)])["bo"]
    assert q.mean() == pytest.approx(0.7638, abs=0.05)


def test_two_dimensions():
    data = np.load(DATA / "ka2d_N1290.npz")
    trajectory = gd.from_arrays(data["position"], species=np.array(["1", "2", "3"])[data["species"]], box=data["box"])
    distribution = radial_distribution(trajectory, n_bins=700)
    assert first_shell(distribution, "1", "1").minimum == pytest.approx(1.46, abs=0.03)
    # an attractive pair: sigma 0.8, and order of the names does not matter
    assert first_shell(distribution, "2", "1").minimum == first_shell(distribution, "1", "2").minimum
    assert first_shell(distribution, "1", "2").peak == pytest.approx(0.885, abs=0.02)


def test_unit_of_length_does_not_matter(shipped):
    _, trajectory = shipped
    large = trajectory.assign(position=trajectory["position"] * 3.4, box=trajectory["box"] * 3.4)
    for pair, r in first_minima(trajectory).items():
        assert first_minima(large)[pair] == pytest.approx(3.4 * r, rel=1e-3)


def test_a_species_of_one_particle_has_no_first_shell_with_itself():
    rng = np.random.default_rng(3)
    trajectory = gd.from_arrays(rng.random((2, 300, 3)) * 7, species=["B"] + ["A"] * 299, box=[7.0] * 3)
    with pytest.raises(ParameterError, match=r"g_BB \(from 0 pairs\) has no first peak"):
        first_shell(radial_distribution(trajectory), "B", "B")


def test_bins_too_wide_for_a_shell():
    with pytest.raises(ParameterError, match=r"are 0\.1 wide, expected at most 0\.03 .* raise n_bins"):
        first_shell(known(liquid_like, bins=30), "A", "A")


def test_unknown_species():
    with pytest.raises(SpeciesError, match="unknown species Q: known species are A"):
        first_shell(known(liquid_like), "A", "Q")


def test_the_note_of_a_plain_shell_is_empty():
    assert FirstShell(("A", "B"), 1.0, 3.0, 1.4, 0.4, 1.0, False).note == ""


@pytest.mark.parametrize("overlapping", [1, 3])
def test_overlapping_particles_do_not_hide_the_shell(overlapping):
    """One pair at 0.01 of a diameter is a g of thousands there."""
    whole = gd.example("wahnstrom")
    expected = gd.first_minima(whole)
    position = whole["position"].values.copy()
    is_a = np.flatnonzero(whole["species"].values == "A")
    position[0, is_a[1 : 1 + overlapping]] = position[0, is_a[100 : 100 + overlapping]] + [0.01, 0.0, 0.0]
    moved = whole.drop_vars("image", errors="ignore").assign(position=(whole["position"].dims, position))
    found = gd.first_minima(moved)
    assert found == pytest.approx(expected, rel=2e-3)
    shell = first_shell(gd.radial_distribution(moved), "A", "A")
    assert shell.strays == overlapping
    assert f"far closer than all others: {overlapping}" in shell.note
    assert first_shell(gd.radial_distribution(whole), "A", "A").strays == 0
