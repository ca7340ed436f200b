"""SOAP: peers, brute-force twins, the radial functions' definition, invariances, limits, continuity."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

import glassdask as gd
from glassdask.descriptors import radial_basis
from glassdask.descriptors.soap import SOAP
from glassdask.errors import ParameterError, SpeciesError
from glassdask.kernels import expansion
from glassdask.kernels import soap as kernels
from tests.conftest import DATA

PAPER = {"r_cut": 1.6, "n_max": 6, "l_max": 8, "sigma": 0.2}
# distance between r_cut and the last neighbour, in units of sigma
PADDING = np.sqrt(-2 * np.log(1e-3))


def spectrum(trajectory, **parameters):
    return gd.describe(trajectory, [SOAP(**parameters)])["soap"]


def cluster(vectors, species, box=20.0):
    """A central A particle and neighbours at `vectors`, alone in a box; only the central one is described."""
    position = np.concatenate([np.zeros((1, 3)), vectors]) + 0.5 * box
    return gd.from_arrays(position, species=["A", *species], box=[box] * 3)


@pytest.mark.parametrize("basis", ["polynomial", "gto"])
def test_equals_dscribe(peer, basis):
    """Within the rounding of its overlap matrices; ours come from singular values, see the data's README."""
    name, trajectory, _ = peer
    kept = np.load(DATA / f"{name}_soap.npz")
    q = spectrum(trajectory, **PAPER, basis=basis, by_species=True)
    column = {
        key: k for k, key in enumerate(zip(*(q[f"soap_{c}"].values.tolist() for c in ("species", "l", "n", "n2"))))
    }
    columns = []
    for a, b, l, n, n2 in kept["index"]:
        # its pairs are B-B, B-A, A-A; it counts n from 0
        (a, n), (b, n2) = sorted([(a, n), (b, n2)], key=lambda pair: pair[0])
        columns.append(column[f"{'AB'[a]}-{'AB'[b]}", l, n + 1, n2 + 1])
    assert sorted(columns) == list(range(702))
    ours = q.values[0, kept[f"{basis}_rows"]][:, columns]
    np.testing.assert_allclose(ours, kept[basis], rtol=0, atol=2e-8)


@pytest.mark.parametrize("basis", ["polynomial", "gto"])
def test_basis_is_loewdins(basis):
    """Orthonormal, and the overlap with the primitive functions, S^(1/2), symmetric and positive: this defines it."""
    r_cut, n_max, l_max, sigma = 1.6, 6, 4, 0.2
    r, functions = radial_basis.orthonormal(basis, r_cut, n_max, l_max, sigma)
    end = r_cut if basis == "polynomial" else 2.5 * r_cut
    weight = np.polynomial.legendre.leggauss(len(r))[1] * end / 2
    n = np.arange(1, n_max + 1)
    for l, f in enumerate(functions):
        g = f / (r * weight)[:, None]
        np.testing.assert_allclose((g * r[:, None] ** 2 * weight[:, None]).T @ g, np.eye(n_max), atol=1e-12)
        if basis == "polynomial":
            primitive = (r_cut - r[:, None]) ** (n + 2)
        else:
            radius = np.linspace(1, r_cut, n_max)
            alpha = np.log(radius**l / 0.001) / radius**2
            primitive = r[:, None] ** l * np.exp(-alpha * r[:, None] ** 2)
        root = (g * (r**2 * weight)[:, None]).T @ primitive
        np.testing.assert_allclose(root, root.T, atol=1e-12 * np.abs(root).max())
        assert np.linalg.eigvalsh(root).min() > 0


@pytest.mark.parametrize("basis", ["polynomial", "gto"])
def test_integral_over_space(basis):
    """c_nlm by quadrature over r, theta and phi of the density of three neighbours and the centre."""
    r_cut, n_max, l_max, sigma = 1.5, 3, 3, 0.3
    vectors = np.array([[0.9, 0.2, -0.1], [-0.3, 1.1, 0.5], [0.2, -0.6, 1.4]])
    species = ["A", "B", "B"]
    q = spectrum(
        cluster(vectors, species), r_cut=r_cut, n_max=n_max, l_max=l_max, sigma=sigma, basis=basis, by_species=True
    )[0, 0]

    end = r_cut if basis == "polynomial" else 2.5 * r_cut
    x, w = np.polynomial.legendre.leggauss(60)
    r, wr = 0.5 * end * (x + 1), 0.5 * end * w
    u, wu = np.polynomial.legendre.leggauss(40)
    phi = 2 * np.pi * np.arange(40) / 40
    theta = np.arccos(u)
    direction = np.stack(np.broadcast_arrays(
        np.sin(theta)[:, None] * np.cos(phi), np.sin(theta)[:, None] * np.sin(phi), u[:, None]
    ), axis=-1)  # fmt: skip
    points = r[:, None, None, None] * direction
    n = np.arange(1, n_max + 1)
    c = {}
    for kind, centres in (("A", [np.zeros(3), vectors[0]]), ("B", vectors[1:])):
        rho = sum(np.exp(-((points - centre) ** 2).sum(axis=-1) / (2 * sigma**2)) for centre in centres)
        for l in range(l_max + 1):
            if basis == "polynomial":
                primitive = (r_cut - r[:, None]) ** (n + 2)
            else:
                radius = np.linspace(1, r_cut, n_max)
                primitive = r[:, None] ** l * np.exp(-np.log(radius**l / 0.001) / radius**2 * r[:, None] ** 2)
            overlap = primitive.T @ (primitive * (r**2 * wr)[:, None])
            e, v = np.linalg.eigh(overlap)
            g = primitive @ (v / np.sqrt(e)) @ v.T
            for m in range(-l, l + 1):
                y = sph_harm_y(l, m, theta[:, None], phi[None, :])
                shells = np.einsum("rup,up,u->r", rho, y, wu) * 2 * np.pi / len(phi)
                c[kind, l, m] = g.T @ (shells * r**2 * wr)
    for pair, l, n1, n2, value in zip(
        q["soap_species"].values, q["soap_l"].values, q["soap_n"].values, q["soap_n2"].values, q.values
    ):
        a, b = pair.split("-")
        terms = [np.conj(c[a, l, m][n1 - 1]) * c[b, l, m][n2 - 1] for m in range(-l, l + 1)]
        assert value == pytest.approx(np.sqrt(8 * np.pi**2 / (2 * l + 1)) * np.sum(terms).real, abs=1e-9)


@pytest.mark.parametrize(("n_max", "l_max", "basis"), [(1, 0, "gto"), (3, 16, "polynomial"), (9, 2, "polynomial")])
def test_sum_over_neighbours(liquid, n_max, l_max, basis):
    """The density's coefficients as f_nl(r) Y_lm, written out for all pairs, also in a triclinic box."""
    r_cut, sigma = 1.2, 0.25
    one = liquid.isel(frame=[1])
    q = spectrum(one, r_cut=r_cut, n_max=n_max, l_max=l_max, sigma=sigma, basis=basis, by_species=True)[0, :60].values

    position, box = one["position"].values[0], one["box"].values[0]
    shifts = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ box
    vectors = position[None, :, None] - position[:60, None, None] + shifts
    distance = np.linalg.norm(vectors, axis=-1)
    i, j, image = np.nonzero(distance < r_cut + PADDING * sigma)  # the centre is its own neighbour
    r, vectors = distance[i, j, image], vectors[i, j, image]
    with np.errstate(invalid="ignore"):
        theta = np.where(r > 0, np.arccos(np.clip(vectors[:, 2] / r, -1, 1)), 0.0)
    phi = np.arctan2(vectors[:, 1], vectors[:, 0])
    nodes, functions = radial_basis.orthonormal(basis, r_cut, n_max, l_max, sigma)
    f = radial_basis.projections(r, sigma, nodes, functions)
    expected = []
    kind = one["species"].values[j]
    c = {}
    for name in ("A", "B"):
        for l in range(l_max + 1):
            terms = [f[:, l] * (sph_harm_y(l, m, theta, phi) * (kind == name))[:, None] for m in range(-l, l + 1)]
            c[name, l] = np.zeros((60, 2 * l + 1, n_max), complex)
            np.add.at(c[name, l], i, np.stack(terms, axis=1))
    for a, b in (("A", "A"), ("A", "B"), ("B", "B")):
        for l in range(l_max + 1):
            product = np.einsum("imn,imk->ink", c[a, l].conj(), c[b, l]).real * np.sqrt(8 * np.pi**2 / (2 * l + 1))
            upper = np.triu_indices(n_max) if a == b else np.indices((n_max, n_max)).reshape(2, -1)
            expected.append(product[:, upper[0], upper[1]])
    np.testing.assert_allclose(q, np.concatenate(expected, axis=1), rtol=0, atol=1e-9 * np.abs(q).max())


def test_features_and_their_order():
    trajectory = cluster(np.array([[1.0, 0, 0]]), ["B"])
    blind = spectrum(trajectory, **PAPER)
    assert blind.sizes["soap_feature"] == 189
    assert set(blind["soap_species"].values) == {"all"}
    assert spectrum(trajectory, **{**PAPER, "n_max": 8}).sizes["soap_feature"] == 324
    pairs = spectrum(trajectory, **PAPER, by_species=True)
    assert list(dict.fromkeys(pairs["soap_species"].values)) == ["A-A", "A-B", "B-B"]
    assert pairs.sizes["soap_feature"] == 2 * 189 + 324
    first = [tuple(blind[f"soap_{c}"].values[k] for c in ("l", "n", "n2")) for k in (0, 1, 6, 21)]
    assert first == [(0, 1, 1), (0, 1, 2), (0, 2, 2), (1, 1, 1)]


def test_diagonal_is_the_diagonal(peer):
    _, trajectory, _ = peer
    for by_species in (False, True):
        full = spectrum(trajectory, **PAPER, by_species=by_species)
        diagonal = spectrum(trajectory, **PAPER, by_species=by_species, spectrum="diagonal")
        same = full.isel(soap_feature=(full["soap_n"] == full["soap_n2"]).values)
        np.testing.assert_allclose(diagonal, same, rtol=1e-12, atol=1e-13)
        for coordinate in ("soap_l", "soap_n", "soap_n2", "soap_species"):
            np.testing.assert_array_equal(diagonal[coordinate], same[coordinate])
    assert diagonal.sizes["soap_feature"] == 3 * 6 * 9


def test_species_add_up(peer):
    """c = c^A + c^B, so the blind spectrum is Q^AA + Q^BB + Q^AB_nn' + Q^AB_n'n."""
    _, trajectory, _ = peer
    blind = spectrum(trajectory, **PAPER)
    pairs = spectrum(trajectory, **PAPER, by_species=True)
    columns = ["soap_species", "soap_l", "soap_n", "soap_n2"]
    of = pairs.set_index(soap_feature=columns)
    upper = {"soap_l": blind["soap_l"], "soap_n": blind["soap_n"], "soap_n2": blind["soap_n2"]}
    swapped = {**upper, "soap_n": blind["soap_n2"], "soap_n2": blind["soap_n"]}

    def part(pair, which):
        keys = zip(*(which[c].values for c in columns[1:]))
        return of.values[..., [of.indexes["soap_feature"].get_loc((pair, *key)) for key in keys]]

    total = part("A-A", upper) + part("B-B", upper) + part("A-B", upper) + part("A-B", swapped)
    np.testing.assert_allclose(total, blind, rtol=0, atol=1e-11)


def test_normalized(peer):
    _, trajectory, _ = peer
    plain = spectrum(trajectory, **PAPER)
    unit = spectrum(trajectory, **PAPER, normalize=True)
    length = np.linalg.norm(plain, axis=-1, keepdims=True)
    np.testing.assert_allclose(unit, plain / length, rtol=1e-12, atol=1e-14)


def test_one_radial_function_is_bond_order():
    """n_max = 1 and all neighbours at one distance: sqrt(Q_11l) is N_b Q_l times that of a single one."""
    rng = np.random.default_rng(2)
    directions = rng.normal(size=(11, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    parameters = {**PAPER, "n_max": 1, "center": False}
    many, single = (
        spectrum(cluster(1.1 * of, ["A"] * len(of), box=40.0), **parameters).values[0, 0]
        for of in (directions, directions[:1])
    )
    bonds = gd.BondOrder(l_max=8, l_min=0, cutoffs=1.101)
    order = gd.describe(cluster(1.1 * directions, ["B"] * 11, box=40.0), [bonds], centers="A")["bo"]
    np.testing.assert_allclose(np.sqrt(many / single), 11 * order.values[0, 0], rtol=1e-9)


def test_norm_of_the_density():
    """Completeness: sum_nlm |c_nlm|^2 tends to int rho^2 from below as the basis grows."""
    sigma, vectors = 0.35, np.array([[0.7, 0.1, 0.2], [-0.4, 0.8, -0.1]])
    apart = np.sum((vectors[0] - vectors[1]) ** 2)
    exact = (np.pi * sigma**2) ** 1.5 * (2 + 2 * np.exp(-apart / (4 * sigma**2)))
    reached = []
    for n_max, l_max in ((2, 4), (4, 8), (6, 12), (10, 16)):
        q = spectrum(
            cluster(vectors, ["A", "A"], box=30.0),
            r_cut=2.6, n_max=n_max, l_max=l_max, sigma=sigma, center=False, spectrum="diagonal",
        )[0, 0]  # fmt: skip
        reached.append(float(np.sum(q / np.sqrt(8 * np.pi**2 / (2 * q["soap_l"] + 1)))))
    assert reached == sorted(reached)
    assert reached[-1] <= exact
    assert reached[-1] == pytest.approx(exact, rel=1e-4)


def test_invariances(liquid):
    rng = np.random.default_rng(4)
    turn = Rotation.random(random_state=5).as_matrix()
    position, box, species = liquid["position"].values, liquid["box"].values, liquid["species"].values
    order = rng.permutation(liquid.sizes["particle"])
    images = np.einsum("fpa,fas->fps", rng.integers(-2, 3, position.shape).astype(float), box)
    sheared = box.copy()
    sheared[:, 2] += box[:, 0]  # other vectors of the same lattice of images
    twins = {
        "turned": (gd.from_arrays(position @ turn, species=species, box=box @ turn), slice(None)),
        "mirrored": (gd.from_arrays(-position, species=species, box=box), slice(None)),
        "moved": (gd.from_arrays(position + np.array([0.3, -7.7, 2.2]), species=species, box=box), slice(None)),
        "rewrapped": (gd.from_arrays(position + images, species=species, box=box), slice(None)),
        "other cell": (gd.from_arrays(position, species=species, box=sheared), slice(None)),
        "permuted": (gd.from_arrays(position[:, order], species=species[order], box=box), order),
    }
    for basis in ("polynomial", "gto"):
        parameters = {"r_cut": 1.3, "n_max": 4, "l_max": 6, "sigma": 0.25, "basis": basis, "by_species": True}
        reference = spectrum(liquid, **parameters).values
        for twin, rows in twins.values():
            q = spectrum(twin, **parameters).values
            np.testing.assert_allclose(q, reference[:, rows], rtol=0, atol=1e-11 * np.abs(reference).max())


@pytest.mark.parametrize("basis", ["polynomial", "gto"])
def test_continuity(basis):
    """The largest jump is where a neighbour crosses r_cut + padding; everywhere else a step of 1e-6 changes by 1e-5."""
    ring = np.array([[0.9, 0.3, 0], [0, 1.0, 0.4], [-0.8, 0.2, 0.6], [0.1, -0.9, -0.5]])
    reach = PAPER["r_cut"] + PADDING * PAPER["sigma"]

    def at(r):
        vectors = np.concatenate([ring, [[0, 0, -r]]])
        return spectrum(cluster(vectors, ["A"] * 5), **PAPER, basis=basis).values[0, 0]

    largest = np.abs(at(reach - 0.3)).max()
    jump = np.abs(at(reach + 5e-7) - at(reach - 5e-7)).max() / largest
    # polynomials vanish at r_cut, GTOs do not
    assert 1e-8 < jump < (1e-5 if basis == "polynomial" else 5e-3)
    for r in (0.3, 1.0, 1.6, 2.0, *np.random.default_rng(1).uniform(0.2, reach - 1e-5, 4)):
        assert np.abs(at(r + 5e-7) - at(r - 5e-7)).max() / largest < 1e-5


def test_two_dimensions():
    """Particles in a plane have the same surroundings whether the system is called two- or three-dimensional."""
    position = np.random.default_rng(8).random((150, 2)) * 10
    flat = gd.from_arrays(position, species=["A"] * 150, box=[10.0] * 2)
    deep = gd.from_arrays(np.c_[position, np.full(150, 3.0)], species=["A"] * 150, box=[10.0] * 3)
    np.testing.assert_allclose(spectrum(flat, **PAPER), spectrum(deep, **PAPER), rtol=1e-11, atol=1e-13)


def test_lonely_and_coincident_particles():
    position = np.array([[1.0, 1, 1], [6.0, 6, 6], [6.0, 6, 6]])
    trajectory = gd.from_arrays(position, species=["A"] * 3, box=[12.0] * 3)
    q = spectrum(trajectory, **PAPER)
    assert (q[0, 0].values[q["soap_l"] == 0] != 0).any()
    np.testing.assert_allclose(q[0, :, (q["soap_l"] > 0).values], 0, atol=1e-13)
    np.testing.assert_allclose(q[0, 1], 4 * q[0, 0], rtol=1e-12, atol=1e-13)
    alone = spectrum(trajectory, **PAPER, center=False)
    np.testing.assert_array_equal(alone[0, 0], 0.0)
    assert np.isnan(spectrum(trajectory, **PAPER, center=False, normalize=True)[0, 0]).all()


def test_more_neighbours_than_asked_for(liquid):
    soap = SOAP(r_cut=0.8, n_max=3, l_max=3, sigma=0.15)
    both = gd.describe(liquid, {"soap": soap, "bo": gd.BondOrder(cutoffs=2.5)})
    alone = gd.describe(liquid, [soap])["soap"]
    np.testing.assert_allclose(both["soap"].values, alone.values, rtol=0, atol=1e-13 * np.abs(alone.values).max())


def test_kernels_as_plain_python(monkeypatch):
    rng = np.random.default_rng(3)
    vector = 0.5 * rng.normal(size=(4, 21))
    vector[3] = np.linalg.norm(vector[:3], axis=0)
    kind = rng.integers(0, 2, 21).astype(np.int8)
    offsets, own = np.array([0, 9, 9, 21]), np.array([0, 1, 1], np.int8)
    n_max, l_max = 3, 2
    inverse_width, pieces = radial_basis.pieces("polynomial", 1.0, n_max, l_max, 0.3, 1.5)
    table = expansion.row_recurrence(l_max)

    def run(full):
        out = np.empty((3, 63 if full else 27))
        scratch = (
            np.empty((4, 21 + 9)), np.empty((9, 8)), np.empty((8, pieces.shape[1])), np.empty((2, 9, 8)),
            np.empty((8, 8)),
        )  # fmt: skip
        kernels.soap(
            offsets, vector, kind, own, True, 1.5, n_max, full, full, table, inverse_width, pieces, *scratch, out
        )
        return out

    compiled = run(True), run(False)
    for module in (expansion, kernels):
        for name, kernel in list(vars(module).items()):
            if hasattr(kernel, "py_func"):
                monkeypatch.setattr(module, name, kernel.py_func)
    for plain, fast in zip((run(True), run(False)), compiled):
        np.testing.assert_allclose(plain, fast, rtol=1e-11, atol=1e-14)
        assert np.abs(fast).max() > 1e-3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sigma": 0.0}, "SOAP.sigma: expected .*, found 0.0"),
        ({"sigma": -0.2}, "SOAP.sigma: expected .*, found -0.2"),
        ({"r_cut": 0.0}, "SOAP.r_cut: expected .*, found 0.0"),
        ({"r_cut": np.inf}, "SOAP.r_cut: expected .*, found inf"),
        ({"n_max": 0}, "SOAP.n_max: expected .*, found 0"),
        ({"l_max": 33}, "l_max = 33"),
        ({"l_max": -1}, "l_max = -1"),
        ({"basis": "bessel"}, "expected one of 'polynomial', 'gto', found 'bessel'"),
        ({"basis": "gto", "r_cut": 0.9}, "more than 1"),
        ({"spectrum": "bi"}, "expected one of 'full', 'diagonal', found 'bi'"),
        ({"sigma": 1e-4}, "cannot resolve this width, expected about r_cut / n_max"),
        ({"padding": -0.1}, "SOAP.padding: expected .*, found -0.1"),
    ],
)
def test_bad_parameters(changed, message):
    with pytest.raises(ParameterError, match=message):
        SOAP(**{**PAPER, **changed})


def test_too_many_radial_functions(liquid):
    with pytest.raises(ParameterError, match="linearly dependent"):
        spectrum(liquid, **{**PAPER, "n_max": 20})


def test_listed_species_give_different_mixtures_the_same_features(liquid):
    small = {"r_cut": 1.6, "n_max": 3, "l_max": 2, "sigma": 0.3, "by_species": True}
    own = spectrum(liquid, **small)
    wide = spectrum(liquid, **small, species=("C", "B", "A"))
    pure = spectrum(liquid.isel(particle=liquid["species"].values == "A"), **small, species=("C", "B", "A"))
    assert wide["soap_species"].values.tolist() == pure["soap_species"].values.tolist()
    key = ("soap_species", "soap_l", "soap_n", "soap_n2")
    columns = {labels: k for k, labels in enumerate(zip(*(wide[c].values.tolist() for c in key)))}
    for k, (pair, l, n, n2) in enumerate(zip(*(own[c].values.tolist() for c in key))):
        same = ("B-A", l, n2, n) if pair == "A-B" else (pair, l, n, n2)
        np.testing.assert_allclose(wide.values[..., columns[same]], own.values[..., k], rtol=1e-9, atol=1e-12)
    with_c = ["C" in pair for pair in wide["soap_species"].values]
    assert sum(with_c) == 3 * 6 + 2 * 3 * 9
    assert not wide.values[..., with_c].any()
    assert not pure.values[..., [pair != "A-A" for pair in pure["soap_species"].values]].any()
    with pytest.raises(SpeciesError, match=r"lists A, the trajectory has B, too: add it"):
        spectrum(liquid, **small, species=("A",))
    with pytest.raises(ParameterError, match="give by_species=True"):
        SOAP(**{**small, "by_species": False}, species=("A",))
    with pytest.raises(ParameterError, match="expected different names"):
        SOAP(**small, species=("A", "A"))
