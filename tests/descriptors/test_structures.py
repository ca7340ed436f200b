"""Crystal structures, centrosymmetry, pair entropy and chemical order: constants, plain Python, OVITO and mdapy."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError
from glassdask.kernels import bond_directions, entropy, exact_kernel, kernel
from glassdask.kernels import common_neighbors as kernels
from glassdask.kernels.simd import LANES
from tests.conftest import DATA
from tests.descriptors import crystals
from tests.neighborhood.brute_neighbors import sets

CODE = {"fcc": 1, "hcp": 2, "bcc": 3, "icosahedron": 4}
CUTOFFS = {"A-A": 1.45, "A-B": 1.3, "B-B": 1.1}
MATRIX = np.array([[1.45, 1.3], [1.3, 1.1]])


def values(trajectory, descriptor, **options):
    return gd.describe(trajectory, [descriptor], **options)[descriptor.name].values


def codes(trajectory):
    return (trajectory["species"].values == "B").astype(int)


# Common neighbours


@pytest.mark.parametrize("kind", CODE)
def test_structures_of_crystals_and_of_an_icosahedron(kind):
    shell, code = crystals.SHELLS[kind], CODE[kind]
    first = slice(0, 1) if kind == "icosahedron" else slice(None)
    fixed = values(shell, gd.CommonNeighbors(cutoffs=crystals.REACH[kind]))[0]
    assert (fixed[first] == code).all()
    if kind == "icosahedron":
        assert (fixed[1:] == 0).all()
    else:
        assert (values(shell, gd.CommonNeighbors()) == code).all()
        assert (values(crystals.crystal(kind, 5, noise=0.02), gd.CommonNeighbors()) == code).all()
    if kind in ("fcc", "hcp"):
        assert (values(shell, gd.CommonNeighbors(neighbors=gd.KNearest(12))) == code).all()
    attrs = gd.describe(shell, [gd.CommonNeighbors(cutoffs=1.0)])["common_neighbors"].attrs
    assert attrs["classes"][code] == ("icosahedral" if code == 4 else kind)


def test_an_icosahedron_in_a_crowd_is_found_without_cutoffs():
    """One particle in the middle of two shells: the second one is far enough, and of another kind."""
    shell = crystals.icosahedron()["position"].values[0]
    around = 5 + 1.9 * (shell[1:] - 5)
    both = gd.from_arrays(np.concatenate([shell, around]), species=["A"] * 25, box=[10.0] * 3)
    assert values(both, gd.CommonNeighbors())[0, 0] == 4


@pytest.mark.parametrize("kind", ["fcc", "hcp", "bcc"])
def test_structures_equal_those_of_ovito_and_mdapy(kind):
    kept = np.load(DATA / "crystals_structures.npz")
    position = kept[f"{kind}_position"].astype(np.float64)
    noisy = gd.from_arrays(position, species=["A"] * len(position), box=kept[f"{kind}_box"])
    np.testing.assert_array_equal(values(noisy, gd.CommonNeighbors())[0], kept[f"{kind}_adaptive"])
    fixed = values(noisy, gd.CommonNeighbors(cutoffs=crystals.REACH[kind]))[0]
    np.testing.assert_array_equal(fixed, kept[f"{kind}_fixed"])
    assert 0 < (fixed == 0).mean() < 0.6
    np.testing.assert_allclose(values(noisy, gd.Centrosymmetry())[0], kept[f"{kind}_symmetry"], atol=1e-6)


@pytest.mark.parametrize("kind", [*CODE])
def test_angles_of_crystals_and_of_an_icosahedron(kind):
    if kind == "icosahedron":  # with two more, further than the shell
        shell = crystals.icosahedron()["position"].values[0]
        far = np.concatenate([shell, 5 + 1.7 * (shell[1:4] - 5)])
        cluster = gd.from_arrays(far, species=["A"] * len(far), box=[10.0] * 3)
        assert values(cluster, gd.AcklandJones())[0, 0] == 4
        return
    for noise in (0.0, 0.015):
        assert (values(crystals.crystal(kind, 5, noise=noise), gd.AcklandJones()) == CODE[kind]).mean() > 0.99


def test_angles_as_ovito_has_them(peer):
    name, trajectory, _ = peer
    kept = np.load(DATA / "crystals_structures.npz")
    np.testing.assert_array_equal(values(trajectory, gd.AcklandJones())[0], kept[f"{name}_angles"])
    for kind in ("fcc", "hcp", "bcc"):
        position = kept[f"{kind}_position"].astype(np.float64)
        noisy = gd.from_arrays(position, species=["A"] * len(position), box=kept[f"{kind}_box"])
        np.testing.assert_array_equal(values(noisy, gd.AcklandJones())[0], kept[f"{kind}_angles"])


def test_angles_as_plain_python(monkeypatch):
    crystal = crystals.crystal("hcp", 2, noise=0.04)
    expected = values(crystal, gd.AcklandJones())
    assert len(np.unique(expected)) > 1
    for name in ("structure_by_angles", "judged"):
        monkeypatch.setattr(bond_directions, name, getattr(bond_directions, name).py_func)
    np.testing.assert_array_equal(values(crystal, gd.AcklandJones()), expected)
    flat = gd.from_arrays(np.zeros((1, 3, 2)), species=["A"] * 3, box=[4.0] * 2)
    with pytest.raises(ParameterError, match=r"^AcklandJones needs three dimensions"):
        gd.describe(flat, [gd.AcklandJones()])


def brute_signatures(near, cutoffs, species):
    """Of a centre with these neighbours (j -> vector): signatures by their definition, chains by their growth."""
    number = list(near)
    bonded = {
        (a, b)
        for a, b in itertools.permutations(number, 2)
        if np.linalg.norm(near[a] - near[b]) < cutoffs[species[a], species[b]]
    }
    found = []
    for j in number:
        common = [k for k in number if (j, k) in bonded]
        bonds = [(a, b) for a, b in itertools.combinations(common, 2) if (a, b) in bonded]
        groups: list[set] = [{bond} for bond in bonds]
        for a, b in itertools.combinations(range(len(bonds)), 2):
            if set(bonds[a]) & set(bonds[b]):
                one, other = (next(g for g in groups if bonds[k] in g) for k in (a, b))
                if one is not other:
                    groups.remove(other)
                    one |= other
        found.append(f"{len(common)}{len(bonds)}{max(map(len, groups), default=0)}")
    return found


def test_signatures_equal_brute_force(peer):
    _, trajectory, cutoffs = peer
    found = gd.describe(trajectory, [gd.CommonNeighbors(cutoffs=cutoffs, output="pairs")])["common_neighbors"]
    labels = found["signature"].values.tolist()
    species, position, box = codes(trajectory), trajectory["position"].values[0], trajectory["box"].values[0]
    matrix = np.array([[cutoffs["A", "A"], cutoffs["A", "B"]], [cutoffs["A", "B"], cutoffs["B", "B"]]])
    near = sets(position, species, box, matrix)
    for i in range(0, len(species), 9):
        expected = np.zeros(len(labels))
        for signature in brute_signatures(near[i], matrix, species):
            expected[labels.index(signature) if signature in labels else -1] += 1
        np.testing.assert_array_equal(found.values[0, i], expected)
    share = found.values[0].sum(axis=0) / found.values.sum()
    assert share[labels.index("555")] > 0.08  # a glass former
    assert share[-1] < 0.35


def test_lists_and_distances_give_the_same(peer):
    """A rule that names those within cutoffs, but which the descriptor does not take for one."""
    _, trajectory, cutoffs = peer
    sized = trajectory.assign(diameter=("particle", np.ones(trajectory.sizes["particle"])))
    for output in ("pairs", "structure"):
        by_rule = values(sized, gd.CommonNeighbors(neighbors=gd.ScaledCutoff(1.4), output=output))
        np.testing.assert_array_equal(by_rule, values(sized, gd.CommonNeighbors(cutoffs=1.4, output=output)))
    of_pairs = values(sized, gd.CommonNeighbors(cutoffs=cutoffs))
    np.testing.assert_array_equal(of_pairs, values(sized, gd.CommonNeighbors(neighbors=gd.Cutoff(cutoffs))))
    searched = gd.describe(sized, [gd.CommonNeighbors(cutoffs=cutoffs), gd.Coordination(cutoffs=2.2)])
    np.testing.assert_array_equal(searched["common_neighbors"], of_pairs)


def test_too_many_neighbours_are_refused(liquid):
    crowd = gd.from_arrays(np.random.default_rng(0).random((1, 400, 3)) * 4, species=["A"] * 400, box=[4.0] * 3)
    for descriptor in (gd.CommonNeighbors(cutoffs=1.8), gd.CommonNeighbors(neighbors=gd.KNearest(70))):
        with pytest.raises(ParameterError, match=r"^frame 0: particle \d+ has more than 62 neighbours: common"):
            values(crowd, descriptor)
    flat = gd.from_arrays(np.zeros((1, 3, 2)), species=["A"] * 3, box=[4.0] * 2)
    with pytest.raises(ParameterError, match=r"^CommonNeighbors needs three dimensions"):
        gd.describe(flat, [gd.CommonNeighbors()])


# Centrosymmetry


def test_centrosymmetry_written_out(liquid):
    rule = gd.KNearest(7)
    found = values(liquid, gd.Centrosymmetry(neighbors=rule))[1]
    frame = liquid.isel(frame=[1])
    nearest = values(frame, gd.Centrosymmetry(neighbors=gd.KNearest(2)))[0]
    species, position, box = codes(liquid), liquid["position"].values[1], liquid["box"].values[1]
    near = sets(position, species, box, np.full((2, 2), 2.4))
    for i in range(0, 240, 13):
        around = sorted(near[i].values(), key=np.linalg.norm)[:7]
        squares = sorted(np.sum((a + b) ** 2) for a, b in itertools.combinations(around, 2))
        assert found[i] == pytest.approx(sum(squares[:3]), rel=1e-12)
        assert nearest[i] == pytest.approx(np.sum((around[0] + around[1]) ** 2), rel=1e-12)
    assert np.isnan(values(frame, gd.Centrosymmetry(neighbors=gd.KNearest(1)))).all()
    for kind, n in (("fcc", 12), ("bcc", 8), ("sc", 6)):
        perfect = values(crystals.crystal(kind), gd.Centrosymmetry(neighbors=gd.KNearest(n)))
        assert np.abs(perfect).max() < 1e-12
    assert values(crystals.crystal("hcp"), gd.Centrosymmetry()).min() > 0.1


# Pair entropy


@pytest.mark.parametrize("kind", ["fcc", "hcp", "bcc"])
def test_pair_entropy_equals_mdapy(kind):
    """Whose radii are sigma apart, and who leaves out those beyond r_max."""
    kept = np.load(DATA / "crystals_structures.npz")
    position = kept[f"{kind}_position"].astype(np.float64)
    noisy = gd.from_arrays(position, species=["A"] * len(position), box=kept[f"{kind}_box"])
    given = {"r_max": 1.75, "sigma": 0.125, "step": 0.125, "padding": 0.0}
    made = {
        "entropy": gd.PairEntropy(**given),
        "entropy_averaged": gd.PairEntropy(average_radius=1.1, **given),
        "entropy_local": gd.PairEntropy(local_density=True, **given),
    }
    found = gd.describe(noisy, made)
    for name in made:
        np.testing.assert_allclose(found[name].values[0], kept[f"{kind}_{name}"], rtol=3e-7)


def written_out(near, species, density, given, dimension):
    """Gaussians at every radius, and g ln g as it stands in the formula."""
    r = np.linspace(0, given["r_max"], 6000)[1:]
    size = 4 * np.pi * r**2 if dimension == 3 else 2 * np.pi * r
    total = 0.0
    for b, rho in enumerate(density):
        found = np.array([np.linalg.norm(v) for j, v in near.items() if species[j] == b])
        s = given["sigma"]
        g = np.exp(-((r[:, None] - found) ** 2) / (2 * s * s)).sum(axis=1) / np.sqrt(2 * np.pi * s * s) / size / rho
        with np.errstate(invalid="ignore", divide="ignore"):
            total -= 0.5 * rho * np.trapezoid(size * (np.where(g > 0, g * np.log(g), 0.0) - g + 1), r)
    return total


@pytest.mark.parametrize("dimension", [2, 3])
def test_pair_entropy_written_out(dimension):
    rng = np.random.default_rng(5)
    n = 14 if dimension == 2 else 6  # a lattice, so that nobody is so close that g ln g diverges
    lattice = np.stack(np.meshgrid(*[np.arange(n)] * dimension), -1).reshape(1, -1, dimension)
    position = (lattice + rng.uniform(-0.15, 0.15, lattice.shape)) / n * 7
    names = np.where(np.arange(lattice.shape[1]) % 4 == 0, "B", "A")
    gas = gd.from_arrays(position, species=names, box=[7.0] * dimension)
    given = {"r_max": 1.8, "sigma": 0.08}
    found = values(gas, gd.PairEntropy(padding=1.0, step=0.01, **given))[0]
    usual = values(gas, gd.PairEntropy(**given))[0]
    alike = values(gas, gd.PairEntropy(by_species=False, **given))[0]
    species = (names == "B").astype(int)
    box = np.eye(dimension) * 7
    near = sets(gas["position"].values[0], species, box, np.full((2, 2), 2.8))
    density = np.bincount(species) / 7.0**dimension
    expected = np.array([written_out(near[i], species, density, given, dimension) for i in range(0, len(names), 19)])
    np.testing.assert_allclose(found[::19], expected, rtol=1e-3)
    np.testing.assert_allclose(usual[::19], expected, rtol=5e-3)
    one = [written_out(near[i], 0 * species, [density.sum()], given, dimension) for i in range(0, len(names), 19)]
    np.testing.assert_allclose(alike[::19], one, rtol=5e-3)
    averaged = values(gas, gd.PairEntropy(average_radius=1.3, **given))[0]
    close = sets(gas["position"].values[0], species, box, np.full((2, 2), 1.3))
    for i in range(0, len(names), 23):
        assert averaged[i] == pytest.approx(usual[[i, *close[i]]].mean(), rel=1e-12)


def test_pair_entropy_of_nobody_is_that_of_a_hole():
    """g = 0 up to r_max: s_2 = -rho / 2 times the volume."""
    alone = gd.from_arrays([[[1.0, 1, 1], [5, 5, 5]]], species=["A", "A"], box=[8.0] * 3)
    expected = -0.5 * 2 / 8**3 * 4 / 3 * np.pi * 2**3
    assert values(alone, gd.PairEntropy(r_max=2.0))[0] == pytest.approx(expected, rel=1e-3)
    tight = values(alone, gd.PairEntropy(r_max=2.0, local_density=True))
    assert tight.tolist() == [[0.0, 0.0]]  # the density there is none


# Warren and Cowley


def test_chemical_order_written_out(liquid):
    found = values(liquid, gd.WarrenCowley(cutoffs=CUTOFFS))[0]
    species, position, box = codes(liquid), liquid["position"].values[0], liquid["box"].values[0]
    near = sets(position, species, box, MATRIX)
    for i in range(0, 240, 7):
        if not near[i]:
            assert np.isnan(found[i]).all()
            continue
        share = np.bincount(species[list(near[i])], minlength=2) / len(near[i])
        np.testing.assert_allclose(found[i], 1 - share / [2 / 3, 1 / 3], atol=1e-14)
    pure = gd.from_arrays(position, species=["A"] * 240, box=box)
    np.testing.assert_allclose(values(pure, gd.WarrenCowley(neighbors=gd.KNearest(5))), 0.0, atol=1e-15)


# the kernels as plain Python


def test_kernels_as_plain_python(monkeypatch):
    shell = crystals.icosahedron()["position"].values[0]
    vector = np.concatenate([shell[1:].T - 5, np.ones((1, 12))])
    further = np.concatenate([vector[:, :2] * 1.7, vector[:, 2:5] * 1.8], axis=1)
    vector = np.concatenate([vector, further], axis=1)
    offsets, index = np.array([0, 17]), np.arange(1, 18, dtype=np.int32)
    zeros, room = np.zeros(18, np.int32), lambda: (np.empty(62, np.int64), np.empty(62, np.int64))
    ends = np.array([0, 17, *range(18, 35)])
    lists = (
        np.array([0]), ends, np.concatenate([index, np.zeros(17, np.int32)]),
        np.concatenate([vector, -vector * [[1], [1], [1], [-1]]], axis=1), np.arange(18),
    )  # fmt: skip
    lanes, size = np.arange(float(LANES))[None], 4 * np.pi * (np.arange(9) * 0.25) ** 2

    def results(run):
        one, pairs, three, four, five = np.empty((1, 1)), np.empty((1, 10)), np.empty((1, 10)), np.empty(1), np.empty(1)
        run(kernels.adaptive)(offsets, vector, np.empty((14, 14)), room()[0], one[:, 0])
        run(kernels.within)(np.array([0]), offsets, vector, zeros, zeros, np.array([[1.69]]), *room(), True, pairs)
        run(kernels.listed)(*lists, room()[0], True, three)
        run(kernels.centrosymmetry)(offsets, vector, np.empty(8), four)
        run(entropy.pair_entropy)(
            offsets, vector[3], np.zeros(17, np.int64), 0.25, size, np.full(9, 0.25), np.array([[0.1]]), 0.2, lanes,
            np.empty((1, 24)), five,
        )  # fmt: skip
        return one, pairs, three, four, five

    compiled = results(lambda kernel: kernel)
    assert compiled[0][0, 0] == 4
    assert compiled[1][0, 7] == 12
    for helper in ("closer", "connect", "tell", "structure", "signature", "count"):
        monkeypatch.setattr(kernels, helper, getattr(kernels, helper).py_func)
    plain = results(lambda kernel: kernel.py_func)
    for ours, theirs in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_structures_are_numbers_when_they_come_from_a_store(tmp_path):
    """Their attributes are none that xarray decodes into text."""
    gd.save_trajectory(crystals.crystal("bcc"), tmp_path / "bcc.zarr")
    trajectory = gd.open_trajectory(tmp_path / "bcc.zarr")
    gd.save_descriptors(gd.describe(trajectory, [gd.CommonNeighbors()]), tmp_path / "bcc.zarr")
    stored = gd.open_descriptors(tmp_path / "bcc.zarr", ["common_neighbors"])["common_neighbors"]
    assert stored.dtype == np.float32
    assert (stored == 3).all()
    assert list(stored.attrs["classes"])[3] == "bcc"
    drawn, table = gd.plotting.descriptor(stored)
    assert table["common_neighbors A"].tolist() == [0, 1, 2, 3, 4]  # those that nobody has are points at zero
    assert table["p A"].tolist() == drawn.axes[0].lines[0].get_ydata().tolist() == [0, 0, 0, 1, 0]
    assert table["common_neighbors class"].tolist() == list(stored.attrs["classes"])
    assert [label.get_text() for label in drawn.axes[0].get_xticklabels()] == list(stored.attrs["classes"])
    pairs = gd.describe(trajectory, [gd.CommonNeighbors(cutoffs=1.2, output="pairs")])["common_neighbors"]
    drawn, table = gd.plotting.descriptor(pairs)
    assert table["signature"].tolist() == pairs["signature"].values.tolist()
    assert [label.get_text() for label in drawn.axes[0].get_xticklabels()] == pairs["signature"].values.tolist()


def test_angles_are_judged_the_same_at_ties():
    """Where deviations from two structures are equal, compiled is as plain Python: rounding decides, as in OVITO."""
    rng = np.random.default_rng(5)
    drawn = rng.multinomial(91, [0.08, 0.03, 0.05, 0.3, 0.15, 0.1, 0.29, 0.0], size=5000)
    ties = 0
    for chi in [np.array([5, 0, 2, 30, 10, 3, 28, 0]), *drawn]:
        e, f, g = chi[4:7].tolist()
        ties += f + g != e and Fraction(35 * e, 100 * (f + g - e)) == abs(1 - Fraction(g, 24))
        for wider in (12, 13):
            assert bond_directions.judged(chi, wider) == bond_directions.judged.py_func(chi, wider)
    assert ties > 5


def test_exact_kernels_stay_exact_in_others():
    """What is compiled first, the caller or what it calls, does not decide how numbers are rounded."""
    exact = exact_kernel(bond_directions.judged.py_func)

    @kernel
    def caller(chi, wider):
        return exact(chi, wider)

    tie = np.array([5, 0, 2, 30, 10, 3, 28, 0])
    assert caller(tie, 12) == exact(tie, 12) == 3
