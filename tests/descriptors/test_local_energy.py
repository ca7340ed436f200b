"""The local energy: LAMMPS' values, a twin with all images, bonded models."""

from __future__ import annotations

import pickle
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest

import glassdask as gd
from glassdask.declarations import grammar, plain
from glassdask.descriptors.coordination import Coordination
from glassdask.descriptors.local_energy import LocalEnergy
from glassdask.errors import ParameterError, SpeciesError
from glassdask.simulation.forms import Dzugutov, LennardJones
from glassdask.simulation.models import KAM_2D, KOB_ANDERSEN, POLYMER
from tests.conftest import SHIPPED, SHIPPED_FILES
from tests.neighborhood.brute_neighbors import pairs


def test_equals_lammps(shipped):
    name, trajectory = shipped
    stored = np.load(SHIPPED / SHIPPED_FILES[name])["energy"]
    # the wider list of another descriptor in the same pass must not matter
    features = gd.describe(trajectory, [LocalEnergy(model=name), Coordination(cutoffs=3.0)])
    # stored and written in single precision; positions too
    np.testing.assert_allclose(features["local_energy"].values, stored, atol=2e-6)
    assert features["local_energy"].dims == ("frame", "particle")


@pytest.mark.parametrize("model", [KOB_ANDERSEN, KAM_2D])
def test_equals_brute_force(model):
    rng = np.random.default_rng(8)
    n = 6
    box = np.array([[7.0, 0, 0], [2.0, 6.5, 0], [-1.0, 0.5, 6.2]])[: model.dimension, : model.dimension]
    site = np.stack(np.meshgrid(*[np.arange(n)] * model.dimension), -1).reshape(-1, model.dimension) / n
    position = (site + rng.normal(0, 0.02, site.shape)) @ box
    species = np.where(np.arange(len(site)) % 5 == 0, "B", "A")
    trajectory = gd.from_arrays(position, species=species, box=box)
    found = gd.describe(trajectory, [LocalEnergy(model=model)])["local_energy"].values[0]
    expected = np.zeros(len(site))
    for i, j, vector in pairs(trajectory["position"].values[0], box, 2.5):
        expected[i] += 0.5 * model.pair(species[i], species[j]).energy(np.linalg.norm(vector))
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_chains_count_their_bonds():
    line = np.arange(20) * 0.97
    chain = gd.from_arrays(np.stack([line, line * 0, line * 0], -1), species=["A"] * 20, box=[30.0, 30, 30])
    found = gd.describe(chain, [LocalEnergy(model=POLYMER)], block=7)["local_energy"].values[0]
    bond = POLYMER.chains.energy(0.97)
    # bonds replace the potential between bonded monomers; the next ones are at 1.94
    assert found[0] == pytest.approx(0.5 * (bond + POLYMER.pair("A", "A").energy(1.94)))
    assert found[10] == pytest.approx(bond + POLYMER.pair("A", "A").energy(1.94))


@pytest.mark.parametrize("form", [LennardJones(epsilon=1, sigma=1, cutoff=2.5), Dzugutov(epsilon=1, sigma=1)])
def test_particles_at_the_same_place(form):
    model = replace(KOB_ANDERSEN, name="a", species=("A",), fractions=(1,), masses=(1,), pairs=(form,))
    position = [[[1.0, 1, 1], [1, 1, 1], [2, 1, 1], [3.1, 1, 1]]]
    found = gd.describe(gd.from_arrays(position, species=["A"] * 4, box=[8.0] * 3), [LocalEnergy(model=model)])
    energies = found["local_energy"].values[0]
    assert np.isnan(energies[:2]).all()
    assert energies[2] == pytest.approx(form.energy(1.0) + 0.5 * form.energy(1.1), rel=1e-10)


def test_graphs_stay_small():
    """Every task carries its plan: the splines, megabytes where there are many species, are not in it."""
    form = Dzugutov(epsilon=1.0, sigma=1.0)
    model = replace(KOB_ANDERSEN, name="two", pairs=(form,) * 3)
    plan = LocalEnergy(model=model).plan(("A", "B"), 3)
    sent = cloudpickle.dumps(plan)
    assert len(sent) < 5000 < plan.compute.table.nbytes
    np.testing.assert_array_equal(pickle.loads(sent).compute.table, plan.compute.table)


def test_a_model_as_a_table():
    """As a file has it: the same as the one that it spells out; and what is wrong is named by its path."""
    table = plain(KAM_2D)
    del table["type"]
    assert LocalEnergy(model=table) == LocalEnergy(model="kam_2d") == LocalEnergy(model=KAM_2D)
    table["masses"] = [1.0, "1"]
    with pytest.raises(ParameterError, match=r"^LocalEnergy.model.masses\[1\]: expected float, found '1'"):
        LocalEnergy(model=table)


def test_what_help_says():
    assert grammar(LocalEnergy) == [
        ("model", 'the name of a model such as "kob_andersen", or a table of its fields', "")
    ]


def test_limits_and_errors(liquid):
    far = gd.from_arrays([[[1.0, 1, 1], [4.0, 1, 1]]], species=["A", "A"], box=[9.0, 9, 9])
    assert gd.describe(far, [LocalEnergy(model="wahnstrom")])["local_energy"].values.tolist() == [[0, 0]]
    with pytest.raises(ParameterError, match="kob_andersen"):
        LocalEnergy(model="kob-andersen")
    with pytest.raises(ParameterError, match="2-dimensional"):
        gd.describe(far, [LocalEnergy(model="kam_2d")])
    with pytest.raises(SpeciesError, match="silica"):
        gd.describe(far, [LocalEnergy(model="silica")])
