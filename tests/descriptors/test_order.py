"""Orientational order: textbook constants, definitions written out, invariances, plain Python, other programs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

import glassdask as gd
from glassdask.descriptors.third_order import _wigner
from glassdask.errors import ParameterError
from glassdask.kernels import bond_order as kernels
from glassdask.kernels import local_order
from tests.conftest import DATA
from tests.descriptors import crystals
from tests.neighborhood.brute_neighbors import sets

CUTOFFS = {"A-A": 1.45, "A-B": 1.3, "B-B": 1.1}
MATRIX = np.array([[1.45, 1.3], [1.3, 1.1]])


def values(trajectory, descriptor, **options):
    return gd.describe(trajectory, [descriptor], **options)[descriptor.name].values


# Third-order invariants: Steinhardt et al. (1983), Table I; Mickel et al. (2013), Table I

CONSTANTS = {
    "icosahedron": {6: -0.169754},
    "fcc": {4: -0.159317, 6: -0.013161},
    "hcp": {4: 0.134097, 6: -0.012442},
    "bcc": {4: 0.159317, 6: 0.013161},
    "sc": {4: 0.159317, 6: 0.013161},
}


@pytest.mark.parametrize("kind", CONSTANTS)
def test_third_order_invariants_of_crystals(kind):
    shell = crystals.SHELLS[kind]
    found = values(shell, gd.ThirdOrderInvariants(cutoffs=crystals.REACH[kind]))[0, 0]
    for l, expected in CONSTANTS[kind].items():
        assert found[l // 2 - 1] == pytest.approx(expected, abs=2e-6)
    if kind != "icosahedron":  # each particle has what its neighbours have, and turned by nothing
        whole = crystals.crystal(kind)
        averaged = values(whole, gd.ThirdOrderInvariants(averaged=True, cutoffs=crystals.REACH[kind]))
        tolerance = 1e-9 if kind != "hcp" else 1.0  # whose two sites are turned against each other
        np.testing.assert_allclose(averaged[0, :, 1:3], np.tile(found[1:3], (averaged.shape[1], 1)), atol=tolerance)


def test_wigner_symbols():
    """Orthogonality: sum_m2 (l l l; m1 m2 m3)^2 (2 l + 1) = 1, with what the stored half says of the others."""
    for l in (2, 4, 6, 12, 32):
        symbol = np.array([[_wigner(l, a, b) if a + b <= l else 0.0 for b in range(l + 1)] for a in range(l + 1)])
        # (l l l; 0 m -m) for all m
        assert (2 * l + 1) * (symbol[0, 0] ** 2 + 2 * (symbol[0, 1:] ** 2).sum()) == pytest.approx(1.0, rel=1e-12)
        np.testing.assert_allclose(symbol, symbol.T, atol=1e-15)
    assert _wigner(2, 0, 0) == pytest.approx(-np.sqrt(2 / 35), rel=1e-14)
    assert _wigner(6, 0, 0) == pytest.approx(-20 * np.sqrt(1 / 46189), rel=1e-14)


def written_out(vectors, l):
    """W_l with all orders of the three numbers, harmonics of SciPy; symbols from products of three harmonics."""
    unit = np.array(vectors) / np.linalg.norm(vectors, axis=1)[:, None]
    theta, phi = np.arccos(unit[:, 2]), np.arctan2(unit[:, 1], unit[:, 0])
    q = {m: sph_harm_y(l, m, theta, phi).mean() for m in range(-l, l + 1)}
    # Gaunt: int Y Y Y = sqrt((2 l + 1)^3 / 4 pi) (l l l; 0 0 0) (l l l; m1 m2 m3)
    x, weight = np.polynomial.legendre.leggauss(2 * l + 2)
    harmonic = {m: sph_harm_y(l, m, np.arccos(x), 0.0).real for m in range(-l, l + 1)}
    scale = np.sqrt((2 * l + 1) ** 3 / (4 * np.pi)) * _wigner(l, 0, 0)
    total = 0.0
    for a, b in itertools.product(range(-l, l + 1), repeat=2):
        if abs(a + b) <= l:
            gaunt = 2 * np.pi * weight @ (harmonic[a] * harmonic[b] * harmonic[-a - b])
            total += gaunt / scale * q[a] * q[b] * q[-a - b]
    assert abs(total.imag) < 1e-12
    return total.real, sum(abs(x) ** 2 for x in q.values())


def test_third_order_invariants_written_out(liquid):
    plain = gd.ThirdOrderInvariants(l_min=3, normalized=False, cutoffs=CUTOFFS)
    found = values(liquid, plain)[1]
    normalized = values(liquid, gd.ThirdOrderInvariants(l_min=3, cutoffs=CUTOFFS))[1]
    species = (liquid["species"].values == "B").astype(int)
    near = sets(liquid["position"].values[1], species, liquid["box"].values[1], MATRIX)
    for i in range(0, 240, 23):
        if len(near[i]) == 0:
            assert np.isnan(found[i]).all()
            continue
        for column, l in enumerate((4, 6, 8)):
            w, square = written_out(list(near[i].values()), l)
            assert found[i, column] == pytest.approx(w, abs=1e-12)
            assert normalized[i, column] == pytest.approx(w / square**1.5, abs=1e-10)


def test_turning_and_mirroring(liquid):
    frame = liquid.isel(frame=[0])
    turn = Rotation.from_euler("zyx", [0.3, -1.1, 2.0]).as_matrix()
    made = [gd.ThirdOrderInvariants(cutoffs=CUTOFFS), gd.SolidLiquid(cutoffs=CUTOFFS), gd.MinkowskiStructure()]
    expected = gd.describe(frame, made).compute()
    for matrix in (turn, -turn):
        turned = gd.from_arrays(
            frame["position"].values @ matrix, species=frame["species"].values, box=frame["box"].values @ turn
        )
        found = gd.describe(turned, made).compute()
        for name in ("third_order", "solid_liquid", "minkowski"):
            np.testing.assert_allclose(found[name], expected[name], atol=1e-9)


# solid and liquid


def test_solid_and_liquid_written_out(liquid):
    found = values(liquid, gd.SolidLiquid(l=4, threshold=0.3, connections=2, cutoffs=CUTOFFS))[2]
    species = (liquid["species"].values == "B").astype(int)
    near = sets(liquid["position"].values[2], species, liquid["box"].values[2], MATRIX)
    q = np.full((240, 9), np.nan, complex)
    for i, around in enumerate(near):
        if around:
            unit = np.array(list(around.values()))
            unit /= np.linalg.norm(unit, axis=1)[:, None]
            theta, phi = np.arccos(unit[:, 2]), np.arctan2(unit[:, 1], unit[:, 0])
            q[i] = [sph_harm_y(4, m, theta, phi).mean() for m in range(-4, 5)]
    q /= np.linalg.norm(q, axis=1)[:, None]
    for i in range(0, 240, 7):
        if not near[i]:
            assert np.isnan(found[i]).all()
            continue
        s = np.array([(q[i] * q[j].conj()).sum().real for j in near[i]])
        assert found[i, 0] == (s > 0.3).sum()
        assert found[i, 1] == pytest.approx(s.mean(), abs=1e-12)
        assert found[i, 2] == (found[i, 0] >= 2)


def test_crystals_are_solid_and_gases_are_not(liquid):
    for kind in ("fcc", "bcc", "sc"):
        found = values(crystals.crystal(kind, noise=0.02), gd.SolidLiquid(cutoffs=crystals.REACH[kind], connections=6))
        assert (found[..., 2] == 1).all()
        assert found[..., 1].min() > 0.7
    assert np.nanmean(values(liquid, gd.SolidLiquid(cutoffs=1.2))[..., 2]) < 0.02


# Minkowski structure metrics

METRICS = {  # of perfect crystals: fcc of Mickel et al. (2013); bcc and sc from their cells
    "fcc": {4: 0.190941, 6: 0.574524},
    "bcc": {4: 0.219949, 6: 0.553340},
    "sc": {4: 0.763763, 6: 0.353553},
}


@pytest.mark.parametrize("noise", [0.0, 1e-7])
@pytest.mark.parametrize("kind", ["fcc", "sc"])
def test_minkowski_structure_of_crystals(kind, noise):
    found = gd.describe(crystals.crystal(kind, noise=noise), [gd.MinkowskiStructure(l_max=8)])["minkowski"]
    for l, expected in METRICS[kind].items():
        np.testing.assert_allclose(found.sel(l=l), expected, atol=1e-5)
    np.testing.assert_allclose(found.sel(l=1), 0.0, atol=1e-6)  # a closed surface


def test_minkowski_structure_is_bond_order_by_areas(liquid):
    radical = {"A": 1.0, "B": 0.7}
    rule = gd.Voronoi(radical, weighted=True)
    found = values(liquid, gd.MinkowskiStructure(l_max=6, l_min=2, diameters=radical))
    np.testing.assert_array_equal(found, values(liquid, gd.BondOrder(l_max=6, l_min=2, neighbors=rule)))


# hexatic order


def triangular(n=8, noise=0.0, turned=0.0):
    x, y = np.meshgrid(np.arange(float(n)), np.arange(float(n)))
    position = np.stack([x + 0.5 * y, y * np.sqrt(0.75)], -1).reshape(-1, 2)
    position += np.random.default_rng(4).normal(size=position.shape) * noise
    turn = np.array([[np.cos(turned), np.sin(turned)], [-np.sin(turned), np.cos(turned)]])
    box = np.array([[n, 0.0], [0.5 * n, n * np.sqrt(0.75)]]) @ turn
    return gd.from_arrays(position @ turn, species=["A"] * n * n, box=box)


def psi(trajectory, **given):
    found = values(trajectory, gd.Hexatic(**given))[0]
    np.testing.assert_allclose(np.hypot(found[:, 0], found[:, 1]), found[:, 2], atol=1e-14)
    return found[:, 0] + 1j * found[:, 1]


@pytest.mark.parametrize(
    "given", [{"neighbors": gd.Voronoi()}, {"neighbors": gd.KNearest(6)}, {"cutoffs": 1.2}, {"neighbors": gd.SANN()}]
)
def test_hexatic_order_of_the_triangular_lattice(given):
    np.testing.assert_allclose(psi(triangular(), **given), 1.0, atol=1e-12)
    np.testing.assert_allclose(psi(triangular(turned=0.1), **given), np.exp(0.6j), atol=1e-12)
    np.testing.assert_allclose(psi(triangular(turned=0.1), n=12, **given), np.exp(1.2j), atol=1e-12)
    np.testing.assert_allclose(psi(triangular(), n=5, **given), 0.0, atol=1e-12)


def test_hexatic_order_beside_a_vacancy():
    """Six particles have five bonds 60 degrees apart, each still along an axis of the lattice: |psi_6| stays 1, and
    |psi_2| is 1/5, that of the missing bond. Cells that grow into the hole meet in its middle, where none touches more.
    """
    whole = triangular()
    hole = whole.isel(particle=np.arange(64) != 27)
    np.testing.assert_allclose(psi(hole, cutoffs=1.2), 1.0, atol=1e-12)
    second = np.abs(psi(hole, n=2, cutoffs=1.2))
    assert (np.abs(second - 0.2) < 1e-12).sum() == 6
    assert (second < 1e-12).sum() == 57
    cells = np.abs(psi(hole, neighbors=gd.Voronoi(weighted=True)))
    np.testing.assert_allclose(cells, 1.0, atol=1e-9)
    assert (values(hole, gd.Coordination(neighbors=gd.Cutoff(1.2)))[0] == 5).sum() == 6


def test_hexatic_order_written_out():
    rng = np.random.default_rng(7)
    gas = gd.from_arrays(rng.random((1, 150, 2)) * 12, species=["A", "B"] * 75, box=[[12.0, 0.0], [2.0, 12.0]])
    names = gas["species"].values
    near = sets(gas["position"].values[0], np.zeros(150, int), gas["box"].values[0], np.array([[1.6]]))
    for others in ("all", "other"):
        found = psi(gas, n=5, cutoffs=1.6, neighbor_species=others)
        for i, around in enumerate(near):
            bonds = [v for j, v in around.items() if others == "all" or names[j] != names[i]]
            angles = np.array([np.arctan2(v[1], v[0]) for v in bonds])
            expected = np.exp(5j * angles).mean() if bonds else np.nan
            np.testing.assert_allclose(found[i], expected, atol=1e-12)


def test_hexatic_order_is_of_the_plane(liquid):
    with pytest.raises(ParameterError, match=r"^Hexatic needs two dimensions: in space use BondOrder"):
        gd.describe(liquid, [gd.Hexatic(neighbors=gd.Voronoi())])


def test_kernels_as_plain_python(monkeypatch):
    rng = np.random.default_rng(0)
    vector = rng.normal(size=(4, 30))
    vector[3] = np.linalg.norm(vector[:3], axis=0)
    offsets, index = np.array([0, 12, 12, 30]), rng.integers(0, 3, 30).astype(np.int32)
    weight, q = rng.random(30), rng.normal(size=(3, 14))
    row, own = np.array([2, 0, 1]), np.ones(3)
    terms = (np.array([0, 2]), np.array([3, 2]), np.array([1, 2]), np.array([0.4, -1.1]))
    calls = {
        (local_order, "hexatic"): ((offsets, vector, weight, 6), (3, 3)),
        (kernels, "solid_bonds"): ((offsets, index, weight, row, q, 0.1), (3, 2)),
        (kernels, "averages"): ((offsets, index, weight, own, row, q), (3, 14)),
        (kernels, "third_order"): ((q, 6, np.array([6]), *terms, True), (3, 1)),
    }
    compiled = {}
    for (module, name), (given, shape) in calls.items():
        compiled[name] = np.empty(shape)
        getattr(module, name)(*given, compiled[name])
    for helper in ("square", "weighted_sum"):
        monkeypatch.setattr(kernels, helper, getattr(kernels, helper).py_func)
    for (module, name), (given, shape) in calls.items():
        plain = np.empty(shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            getattr(module, name).py_func(*given, plain)
        np.testing.assert_allclose(plain, compiled[name], rtol=1e-12)


# freud 3.4.0, single precision inside


def test_order_in_space_equals_freud(peer):
    name, trajectory, cutoffs = peer
    kept = np.load(DATA / f"{name}_order.npz")
    made = {
        "w": gd.ThirdOrderInvariants(cutoffs=cutoffs),
        "W": gd.ThirdOrderInvariants(cutoffs=cutoffs, normalized=False),
        "w_averaged": gd.ThirdOrderInvariants(cutoffs=cutoffs, averaged=True),
        "minkowski": gd.MinkowskiStructure(),
        "solid_liquid": gd.SolidLiquid(threshold=0.5, cutoffs=cutoffs),
    }
    found = gd.describe(trajectory, made).compute()
    for key, tolerance in {"w": 5e-5, "W": 2e-6, "w_averaged": 1e-4, "minkowski": 2e-5}.items():
        np.testing.assert_allclose(found[key].values[0], kept[key], atol=tolerance, err_msg=key)
    connections = found["solid_liquid"].sel(solid_feature="connections").values[0]
    assert (connections == kept["connections"]).mean() > 0.99  # products at the threshold, in single precision
    assert np.abs(connections - kept["connections"]).max() <= 1


def test_hexatic_order_equals_freud():
    data, kept = np.load(DATA / "ka2d_N1290.npz"), np.load(DATA / "ka2d_N1290_order.npz")
    glass = gd.from_arrays(data["position"], species=data["species"].astype(str), box=data["box"])
    cells = gd.Voronoi()
    np.testing.assert_allclose(psi(glass, neighbors=cells), kept["psi6"], atol=5e-5)
    np.testing.assert_allclose(psi(glass, n=5, neighbors=cells), kept["psi5"], atol=5e-5)
    weighted = psi(glass, neighbors=gd.Voronoi(weighted=True))
    np.testing.assert_allclose(weighted, kept["psi6_weighted"], atol=5e-5)
    np.testing.assert_allclose(psi(glass, neighbors=gd.KNearest(6)), kept["psi6_nearest"], atol=5e-5)


def test_names_and_numbers_on_two_workers(two_workers):
    """As they are written in papers and in this project's plans; many frames, in pieces, by processes."""
    rng = np.random.default_rng(1)
    flat = gd.from_arrays(rng.random((4, 60, 2)) * 7, species=["A", "B"] * 30, box=[7.0] * 2).chunk(frame=1)
    bulk = gd.from_arrays(rng.random((4, 80, 3)) * 5, species=["A", "B"] * 40, box=[5.0] * 3).chunk(frame=1)
    in_plane = {"psi": gd.Hexatic(n=6, neighbors=gd.Voronoi()), "s": gd.PairEntropy(r_max=2.0)}
    in_space = [
        gd.MinkowskiStructure(l_max=8), gd.ThirdOrderInvariants(neighbors=gd.SANN()), gd.SolidLiquid(cutoffs=1.4),
        gd.CommonNeighbors(), gd.Centrosymmetry(), gd.PairEntropy(r_max=2.0), gd.WarrenCowley(cutoffs=1.4),
        gd.TopologicalClusters(neighbors=gd.Voronoi()),
        gd.SymmetryFunctions(r_cut=1.5, radial=(), angular=((1.0, 2, 1.0),)),
    ]  # fmt: skip
    for trajectory, made in ((flat, in_plane), (bulk, in_space)):
        features = gd.describe(trajectory, made, block=30)
        alone = gd.describe(trajectory, made).compute(scheduler="synchronous")
        found = features.compute()
        for name in alone:
            np.testing.assert_allclose(found[name], alone[name], rtol=1e-10, atol=1e-12, err_msg=name)
