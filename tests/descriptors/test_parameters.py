"""What is no parameter of a descriptor is refused in one line, wherever it comes from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import glassdask as gd
from glassdask.descriptors.registry import DESCRIPTORS, make
from glassdask.errors import GlassdaskError

SOAP = {"r_cut": 1.6, "n_max": 6, "l_max": 8, "sigma": 0.2}
WRONG = [
    (
        "bo",
        {"neighbors": 1.3},
        "neighbors: expected Cutoff or KNearest or ModifiedVoronoi or SANN or ScaledCutoff or Voronoi, found 1.3",
    ),
    ("bo", {"neighbors": gd.SANN}, r"neighbors: expected an instance such as SANN\(...\), found the class"),
    ("bo", {"neighbors": {"type": "k_nearest", "k": 1.5}}, "neighbors.k: expected int, found 1.5"),
    ("bo", {"neighbors": {"type": "nearest"}}, "neighbors.type: expected one of"),
    ("bo", {"cutoffs": 1.5, "l_max": 8.0}, "l_max: expected int, found 8.0"),
    ("bo", {"cutoffs": 1.5, "l_max": True}, "l_max: expected int, found True"),
    ("bo", {"cutoffs": 1.5, "neighbor_species": 3}, "neighbor_species: expected str"),
    ("bo", {"cutoffs": [1, 2, 3]}, "cutoffs: expected a number, or one for each pair"),
    ("coordination", {"cutoffs": np.array([1.5, 1.0])}, "cutoffs: expected a number, or one for each pair"),
    ("coordination", {"cutoffs": np.array([[1.5, 1.0], [0.5, 1.5]])}, "cutoffs: expected a number"),
    ("coordination", {"cutoffs": "1.3"}, "cutoffs: expected a number, or one for each pair"),
    ("coordination", {"cutoffs": True}, "cutoffs: expected a number, or one for each pair"),
    ("coordination", {"cutoffs": {"A-B": 1.2, "B-A": 1.3}}, "cutoffs.A-B: found both 1.2 and 1.3"),
    ("coordination", {"cutoffs": 1.3, "by_species": "no"}, "by_species: expected bool, found 'no'"),
    ("coordination", {"gamma": 8, "neighbors": "sann"}, "Coordination with gamma needs cutoffs"),
    ("ld", {"cutoffs": 1.3, "neighbors": "sann"}, r"LechnerDellago takes .*, found both \(cutoffs=1.3, "),
    ("theta", {"sigma": [1.0, 0.8]}, "sigma: expected a number, or one for each pair"),
    ("theta", {"diameters": [1.0, 0.8]}, "diameters: expected a table, found"),
    ("voronoi", {"diameters": 1.0}, "diameters: expected a table, found 1.0"),
    ("voronoi", {"diameters": {"A": -1}}, "diameters.A: expected a positive finite number, found -1"),
    ("lfs", {"signature": 12}, "signature: expected table | list, found 12"),
    ("lfs", {"signature": [0, 0, 12.0]}, "signature"),
    ("rings", {"cutoffs": 1.3, "max_size": 2}, "max_size: expected a whole number from 3 to 40, such as 12, found 2"),
    ("soap", {**SOAP, "sigma": 1e-4}, "sigma = 0.0001: 6 radial functions on r_cut = 1.6 cannot resolve this width"),
    ("soap", {**SOAP, "n_max": 6.5}, "n_max: expected int, found 6.5"),
    ("soap", {**SOAP, "center": 1}, "center: expected bool, found 1"),
    ("rbo", {"grid": 1.0}, "grid: expected a list, found 1.0"),
    ("rbo", {"grid": (1.0, "x")}, r"grid\[1\]: expected float, found 'x'"),
    ("ace", {"r_cut": 2.0, "degree": 4, "body_order": 5}, "body_order"),
    (
        "acsf",
        {"r_cut": 1.5, "radial": (), "angular": ((1.0, 1.5, 1.0),)},
        r"angular\[0\]\[1\]: expected int, found 1.5",
    ),
    ("acsf", {"r_cut": 1.5, "radial": ()}, "SymmetryFunctions: give radial, angular or both"),
    ("common_neighbors", {"output": "pairs"}, "CommonNeighbors counts pairs of given neighbours"),
    ("common_neighbors", {"cutoffs": 1.3, "neighbors": "sann"}, "CommonNeighbors takes either cutoffs or neighbors"),
    (
        "pair_entropy",
        {"r_max": 1.5, "sigma": 1e-9},
        "PairEntropy: r_max = 1.5 in steps of 2.5e-10: expected 1 to 16384",
    ),
    ("pair_entropy", {"r_max": 0.01}, "PairEntropy: r_max = 0.01 in steps of 0.025"),
    ("hexatic", {"n": 0, "cutoffs": 1.3}, "n: expected a whole number of at least 1"),
    ("hexatic", {"n": 6}, "Hexatic takes either cutoffs or neighbors, found neither"),
    ("solid_liquid", {"cutoffs": 1.3, "threshold": 2}, "threshold: expected a product between -1 and 1"),
    ("third_order", {"cutoffs": 1.3, "l_min": 5, "l_max": 5}, "degrees l_min = 5 to l_max = 5: expected an even one"),
    (
        "third_order",
        {"cutoffs": 1.3, "averaged": True, "neighbor_species": "A"},
        "ThirdOrderInvariants averages over all",
    ),
    ("local_energy", {"model": 3}, "model: expected"),
    ("local_yield_stress", {"model": "polymer"}, "model: polymer: expected particles that interact in pairs"),
    ("local_yield_stress", {"model": "kam_2d", "increment": 0.4}, r"strain 0\.3 and increment 0\.4: expected 1 to"),
]


@pytest.mark.parametrize(("name", "given", "message"), WRONG, ids=[f"{name}-{m[:30]}" for name, _, m in WRONG])
def test_wrong_parameters_are_refused_in_python_and_from_files(name, given, message):
    cls = DESCRIPTORS[name]
    prefix = rf"({cls.__name__}\.)?"
    with pytest.raises(GlassdaskError, match=f"^{prefix}{message}") as python:
        cls(**given)
    with pytest.raises(GlassdaskError, match=rf"^describe\.x(\.|: ){prefix}{message}") as file:
        make("x", {"type": name, **given}, where="describe.x")
    assert "\n" not in f"{python.value}{file.value}"


GOOD = {
    "ace": {"r_cut": 1.5, "degree": 4}, "acsf": {"r_cut": 1.5, "radial": ((1.0, 1.0),)},
    "ackland_jones": {},
    "bo": {"cutoffs": 1.3}, "bond_angles": {"cutoffs": 1.3}, "centrosymmetry": {}, "common_neighbors": {},
    "coordination": {"cutoffs": 1.3}, "cubatic": {"cutoffs": 1.3}, "dihedral_angles": {"cutoffs": 1.3},
    "hexatic": {"cutoffs": 1.3}, "ld": {"cutoffs": 1.3}, "lfs": {"signature": (0, 0, 12)},
    "local_energy": {"model": "kob_andersen"},
    "local_yield_stress": {"model": "kob_andersen", "radius": 0.5, "directions": 1, "increment": 0.3},
    "minkowski": {}, "nematic": {"cutoffs": 1.3},
    "pair_entropy": {"r_max": 1.5},
    "radial_density": {"grid": (1.0,)},
    "solid_liquid": {"cutoffs": 1.3}, "third_order": {"cutoffs": 1.3},
    "topological_clusters": {"cutoffs": 1.3},
    "rbo": {"grid": (1.0,)}, "rings": {"cutoffs": 1.3, "max_size": 4}, "sbo": {"cutoffs": 1.1},
    "soap": {"r_cut": 1.5, "n_max": 2, "l_max": 2, "sigma": 0.3},
    "tcc": {"cutoffs": 1.3}, "tetrahedrality": {"cutoffs": 1.3}, "theta": {"sigma": 1.0}, "voronoi": {},
    "warren_cowley": {"cutoffs": 1.3},
}  # fmt: skip
ANYTHING = [
    None, True, 0, -1, 10**9, 10**400, 1.5, np.nan, np.inf, 1e-300, 1e300, "", "x", "1", b"x", (), [1, 2], ["A", "A"],
    [[1]], {}, {"A": 1}, {"A-B": 1}, {1: 2}, {"A": [0, 0, 12]}, {"type": "sann"}, {"type": []}, np.array([1.0, 2.0]),
    np.array(1.2), np.zeros((2, 2)), np.int64(3), np.bool_(True), object(), gd.SANN, gd.SANN(), gd.BondOrder, len, 1j,
    {1.0}, [None], {"A": None}, slice(3), np.datetime64("2026-01-01"),
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_anything_is_described_or_refused(name):
    """No error of NumPy, xarray or Python comes out, whatever is given for whichever parameter."""
    rng = np.random.default_rng(0)
    # few: some parameters make all of them neighbours of each other
    liquid = gd.from_arrays(rng.random((1, 30, 3)) * 6, species=["A", "B"] * 15, box=[6.0] * 3)
    messages = []
    for field in dataclasses.fields(DESCRIPTORS[name]):
        for value in ANYTHING:
            try:
                made = DESCRIPTORS[name](**{**GOOD[name], field.name: value})
                gd.describe(liquid, [made]).compute(scheduler="synchronous")
            except GlassdaskError as error:
                messages.append(str(error))
    assert not [message for message in messages if "\n" in message]
    assert len(messages) >= len(ANYTHING) // 2 * len(dataclasses.fields(DESCRIPTORS[name]))


def test_everything_is_tried():
    assert set(GOOD) == set(DESCRIPTORS)
