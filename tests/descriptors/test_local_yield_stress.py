"""The local yield stress: a twin with SciPy's minimiser, symmetries of a crystal and of a glass, blocks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

import glassdask as gd
from glassdask.descriptors.local_yield_stress import LocalYieldStress
from glassdask.errors import ParameterError
from glassdask.kernels import yielding as kernels
from glassdask.simulation.models import KAM_2D, KOB_ANDERSEN_SMOOTH
from tests.conftest import DATA

COARSE = {"increment": 4e-3, "dissipation": 1e-2}


def minimum(model):
    stored = np.load(DATA / "minima.npz")
    position, box, species = (stored[f"{model.name}_{what}"] for what in ("position", "box", "species"))
    return gd.from_arrays(position[None], species=species, box=box)


def strengths(trajectory, chosen=slice(None), **given):
    found = gd.describe(trajectory, [LocalYieldStress(**COARSE | given)], block=1)["local_yield_stress"]
    return found.isel(frame=0, particle=chosen).values


def twin(model, trajectory, center, radius, alpha, increment, dissipation):
    """Strength in one direction, with whole energies of PairPotential."""
    box, d = np.diag(trajectory["box"].values[0]), model.dimension
    q = trajectory["position"].values[0] - trajectory["position"].values[0, center]
    q = np.concatenate([q + box * (np.array(image) - 1) for image in np.ndindex((3,) * d)])
    order = np.argsort(np.linalg.norm(q, axis=1))
    order = order[np.linalg.norm(q[order], axis=1) < radius + 2.0 * model.reach]  # more than ever come near
    q, names = q[order], trajectory["species"].values[order % trajectory.sizes["particle"]]
    free = int((np.linalg.norm(q, axis=1) < radius).sum())
    i, j = np.nonzero(np.arange(free)[:, None] < np.arange(len(q)))
    share = np.where(j < free, 1.0, 0.5)
    plane = np.zeros((d, d))
    plane[:2, :2] = [[-np.sin(2 * alpha), np.cos(2 * alpha)], [np.cos(2 * alpha), np.sin(2 * alpha)]]
    kinds = [(model.pair(a, b), (names[i] == a) & (names[j] == b)) for a in "AB" for b in "AB"]

    def energy(x, deform):
        now = np.concatenate([x.reshape(free, d), q[free:]]) @ deform
        r = now[j] - now[i]
        distance = np.linalg.norm(r, axis=1)
        value, slope = np.zeros((2, len(i)))
        for pair, rows in kinds:
            value[rows], slope[rows] = pair.energy(distance[rows]), -pair.force(distance[rows])
        pull = (slope / distance)[:, None] * r
        force = np.zeros((len(q), d))
        np.add.at(force, i, -pull)
        np.add.at(force, j, pull)
        work = 0.5 * np.einsum("pa,ab,pb->p", pull, plane, r)
        return value.sum(), (force[:free] @ deform).ravel(), work.sum(), (share * work).sum()

    x, before, strength = q[:free].ravel(), None, 0.0
    for step in range(200):
        half = increment * step / 2
        deform = np.cosh(half) * np.eye(d) + np.sinh(half) * plane
        if d == 3:
            deform[2, 2] = 1.0
        x = scipy.optimize.minimize(
            lambda y, F=deform: energy(y, F)[:2], x, jac=True, method="L-BFGS-B",
            options={"gtol": 1e-6, "ftol": 0.0, "maxiter": 3000},
        ).x  # fmt: skip
        value, _, work, stress = energy(x, deform)
        if before is None:
            first = stress
        elif 0.5 * (work + before[1]) * increment - (value - before[0]) > dissipation:
            return strength / (np.pi * radius**2 if d == 2 else 4 / 3 * np.pi * radius**3)
        before, strength = (value, work), max(strength, stress - first)
    return np.inf


@pytest.mark.parametrize(
    ("model", "radius", "center", "degrees"),
    [(KAM_2D, 3.5, 0, 0.0), (KAM_2D, 3.5, 3, 50.0), (KOB_ANDERSEN_SMOOTH, 1.8, 5, 20.0)],
)
def test_equals_a_twin(model, radius, center, degrees):
    trajectory, coarse = minimum(model), {"increment": 1e-2, "dissipation": 3e-2}
    (found,) = strengths(trajectory, [center], model=model, radius=radius, directions=1, loading=degrees, **coarse)
    expected = twin(model, trajectory, center, radius, np.radians(degrees), **coarse)
    assert np.isfinite(expected)
    assert found == pytest.approx(expected, rel=1e-3)


def crystal(turn=0.0, shift=0.0):
    a = 2 ** (1 / 6)
    cell = a * np.array([[1.0, 0.0], [0.5, 0.75**0.5]])
    angle = np.radians(turn)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    # a little off their places: by symmetry alone they would stay there, stable or not
    off = 1e-4 * np.random.default_rng(1).normal(size=(196, 2))
    places = (np.array(list(np.ndindex(14, 14))) @ cell + off) @ rotation + shift
    return gd.from_arrays(places[None], species=["A"] * 196, box=14 * cell @ rotation, box_vectors="rows")


def test_crystals():
    """All particles are alike; so are directions 30 degrees apart, along and across which it is sheared alike.

    But for how soon what is a little off its place leaves it.
    """
    given = {"model": "kam_2d", "radius": 2.5, "directions": 1, "strain": 0.6}
    found = strengths(crystal(), slice(0, 4), **given)
    assert np.ptp(found) < 0.05 * found[0]
    assert 2.0 < found[0] < 20.0  # of a shear modulus of 24
    for degrees in (30.0, 60.0, 90.0, 120.0):
        assert strengths(crystal(), [0], loading=degrees, **given)[0] == pytest.approx(found[0], rel=0.05)
    other = strengths(crystal(), [0], loading=15.0, **given)[0]
    assert abs(other - found[0]) > 0.05 * found[0]
    assert strengths(crystal(turn=15.0), [0], **given)[0] != pytest.approx(found[0], rel=0.02)
    assert strengths(crystal(turn=15.0), [0], loading=-15.0, **given)[0] == pytest.approx(found[0], rel=1e-3)
    assert np.isinf(strengths(crystal(), [0], **given | {"strain": 0.02})[0])
    # the weakest of several directions, each by its part along the loading
    several = [
        strengths(crystal(), [0], loading=30.0 * k, **given)[0] / np.cos(np.radians(60.0 * k)) for k in (-1, 0, 1)
    ]
    assert strengths(crystal(), [0], **given | {"directions": 3})[0] == pytest.approx(min(several), rel=1e-6)


def test_a_glass_anywhere_and_turned():
    """Places do not matter; a quarter of a turn makes shear along x that along y, backwards."""
    trajectory, given = minimum(KAM_2D), {"model": "kam_2d", "radius": 3.0, "directions": 2}
    rows = [0, 7]
    found = strengths(trajectory, rows, **given)
    moved = trajectory.assign(position=(trajectory["position"] + [1.3, -2.9]) % np.diag(trajectory["box"].values[0]))
    assert np.allclose(strengths(moved, rows, **given), found, rtol=1e-4)
    turned = trajectory.assign(position=trajectory["position"].copy(data=trajectory["position"].values[..., ::-1]))
    assert np.allclose(np.ptp(np.diag(trajectory["box"].values[0])), 0.0)
    assert np.allclose(strengths(turned, rows, **given), found, rtol=1e-4)  # mirrored: x along y is y along x
    assert not np.allclose(strengths(trajectory, rows, loading=90.0, **given), found, rtol=1e-2)
    together = gd.describe(trajectory, [LocalYieldStress(**COARSE, **given)], centers="B", block=10**6)
    first = int(np.flatnonzero(trajectory["species"].values == "B")[0])
    whole = together["local_yield_stress"].values[0]
    assert np.isnan(whole[trajectory["species"].values == "A"]).all()
    assert whole[first] == strengths(trajectory, [first], **given)[0]


def test_compiled_and_plain(monkeypatch):
    given = {"model": "kam_2d", "radius": 1.3, "directions": 1, "increment": 0.05, "strain": 0.1}
    compiled = strengths(minimum(KAM_2D), [0], **given)
    names = ("energy_and_slope", "list_pairs", "region_energy", "product", "largest", "add", "downhill", "relax")
    for name in (*names, "yield_stresses"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    assert np.array_equal(strengths(minimum(KAM_2D), [0], **given), compiled)


def test_refusals():
    with pytest.raises(ParameterError, match="kam_2d is 2-dimensional, the trajectory 3-dimensional"):
        gd.describe(minimum(KOB_ANDERSEN_SMOOTH), [LocalYieldStress(model="kam_2d")])
    plain = minimum(KAM_2D)
    with pytest.raises(ParameterError, match="no diameters of their own"):
        gd.describe(plain, [LocalYieldStress(model="polydisperse_2d")])
