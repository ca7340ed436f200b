"""Symmetry functions: DScribe's values, sums written out, forms, kernels as plain Python."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError
from glassdask.kernels import symmetry_functions as kernels
from tests.conftest import DATA
from tests.descriptors import crystals
from tests.neighborhood.brute_neighbors import sets

RADIAL = ((0.0, 0.0), (4.0, 1.0), (8.0, 1.5))
ANGULAR = ((0.0, 1, 1.0), (0.3, 4, 1.0), (0.3, 2, -1.0), (0.7, 16, -1.0))


def values(trajectory, **given):
    return gd.describe(trajectory, [gd.SymmetryFunctions(**given)])["acsf"].values


@pytest.mark.parametrize("form", ["g4", "g5"])
def test_symmetry_functions_equal_dscribe(form):
    data, kept = np.load(DATA / "kalj_N150.npz"), np.load(DATA / "kalj_N150_acsf.npz")
    liquid = gd.from_arrays(data["position"], species=data["species"], box=data["box"])
    found = values(liquid, r_cut=2.0, radial=RADIAL, angular=ANGULAR, form=form)[0, kept["rows"]]
    np.testing.assert_allclose(found[:, :6], kept["radial"], rtol=1e-12)
    np.testing.assert_allclose(found[:, 6:], kept[form], rtol=1e-10, atol=1e-12)


def written_out(near, species, r_cut, form, b=None, c=None):
    """Radial and angular functions of one centre, of the species b, or b and c."""

    def f(r):
        return 1.0 if form == "cubuk" else 0.5 * (np.cos(np.pi * r / r_cut) + 1) * (r < r_cut)

    chosen = [v for j, v in near.items() if b is None or species[j] == b]
    radial = [
        sum(np.exp(-eta * (np.linalg.norm(v) - at) ** 2) * f(np.linalg.norm(v)) for v in chosen) for eta, at in RADIAL
    ]
    angular = np.zeros(len(ANGULAR))
    for (j, u), (k, v) in itertools.combinations(near.items(), 2):
        if b is not None and sorted((species[j], species[k])) != sorted((b, c)):
            continue
        p, q, s = (np.linalg.norm(w) for w in (u, v, u - v))
        for t, (eta, zeta, sign) in enumerate(ANGULAR):
            square = p * p + q * q + (0 if form == "g5" else s * s)
            one = (1 + sign * (u @ v) / p / q) ** zeta * np.exp(-eta * square) * f(p) * f(q)
            one *= f(s) if form == "g4" else 1.0
            angular[t] += one if form == "cubuk" else one * 2.0 ** (1 - zeta)
    return radial, angular


@pytest.mark.parametrize("form", ["g4", "g5", "cubuk"])
def test_symmetry_functions_written_out(liquid, form):
    given = {"r_cut": 1.5, "radial": RADIAL, "angular": ANGULAR, "form": form}
    made = {"apart": gd.SymmetryFunctions(**given), "alike": gd.SymmetryFunctions(by_species=False, **given)}
    found = gd.describe(liquid, made).compute()
    species = (liquid["species"].values == "B").astype(int)
    near = sets(liquid["position"].values[2], species, liquid["box"].values[2], np.full((2, 2), 1.5))
    label = found["acsf_feature"].values.tolist()
    assert label[:2] == ["G2 A 0 0", "G2 A 4 1"]
    assert label[-1] == f"{'psi' if form == 'cubuk' else form.upper()} B B 0.7 16 -1"
    for i in range(0, 240, 17):
        radial, angular = written_out(near[i], species, 1.5, form)
        np.testing.assert_allclose(found["alike"].values[2, i], [*radial, *angular], rtol=1e-10, atol=1e-13)
        apart = [written_out(near[i], species, 1.5, form, b, b)[0] for b in (0, 1)]
        apart += [written_out(near[i], species, 1.5, form, b, c)[1] for b, c in ((0, 0), (0, 1), (1, 1))]
        np.testing.assert_allclose(found["apart"].values[2, i], np.concatenate(apart), rtol=1e-10, atol=1e-13)


def test_angles_of_the_simple_cubic_lattice():
    """12 right angles and 3 straight ones: sum (1 + cos) = 12, and of (1 - cos)^2: 12 + 3 x 4."""
    crystal = crystals.crystal("sc")
    found = values(crystal, r_cut=1.2, radial=(), angular=((0.0, 1, 1.0), (0.0, 2, -1.0)), form="cubuk")
    np.testing.assert_allclose(found, np.tile([12.0, 24.0], (1, 64, 1)), rtol=1e-12)
    six = values(crystal, r_cut=1.9, radial=((0.0, 0.0),), form="cubuk", neighbors=gd.KNearest(6))
    np.testing.assert_allclose(six, 6.0)
    f = 0.5 * (1 + np.cos(np.pi / 1.2))
    np.testing.assert_allclose(values(crystal, r_cut=1.2, radial=((0.0, 0.0),)), 6 * f, rtol=1e-13)


def test_nobody_and_somebody_on_top():
    places = [[1.0, 1, 1], [5, 5, 5], [5, 5, 5], [5, 5.8, 5]]
    few = gd.from_arrays([places], species=["A", "A", "B", "B"], box=[8.0] * 3)
    found = values(few, r_cut=1.5, radial=RADIAL, angular=ANGULAR)[0]
    assert (found[0] == 0).all()
    assert np.isnan(found[1, -4:]).all()
    assert np.isfinite(found[1:, :6]).all()
    with pytest.raises(ParameterError, match=r"^SymmetryFunctions: give radial, angular or both"):
        gd.SymmetryFunctions(r_cut=1.5, radial=())


def test_the_kernel_as_plain_python(monkeypatch):
    rng = np.random.default_rng(6)
    vector = rng.normal(size=(4, 9))
    vector[3] = np.linalg.norm(vector[:3], axis=0)
    kind, row = np.arange(9, dtype=np.int32) % 2, np.array([[0, 1], [1, 2]])
    angular, zeta = np.array([(0.2, 1.0, 1.0), (0.2, -1.0, 0.125), (0.5, 1.0, 0.25)]), np.array([1, 4, 3])

    def run(kernel, form):
        out = np.zeros((2, 2 * 3 + 3 * 3))
        kernel(
            np.array([0, 0, 9]), vector, kind, 2.2, np.array(RADIAL), angular, zeta, form, row, np.empty((6, 25)),
            np.empty((2, 2), np.int64), np.empty((15, 8)), out,
        )  # fmt: skip
        return out

    compiled = [run(kernels.symmetry_functions, form) for form in (kernels.G4, kernels.G5, kernels.CUBUK)]
    for helper in ("gather_by_species", "falloff", "add_radial", "add_angular"):
        monkeypatch.setattr(kernels, helper, getattr(kernels, helper).py_func)
    for form, expected in enumerate(compiled):
        assert np.abs(expected[1]).min() > 0
        np.testing.assert_allclose(run(kernels.symmetry_functions.py_func, form), expected, rtol=1e-12)
