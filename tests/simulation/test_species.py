"""Particles that a model does not know are refused when a function is called, before any position is computed."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError, SpeciesError
from glassdask.simulation import (
    Dynamics,
    Isoconfigurational,
    Simulation,
    StoredStart,
    harmonic_debye_waller,
    hessian,
    inherent_structures,
    isoconfigurational,
    lowest_modes,
    simulate,
)
from glassdask.simulation.models import KAM_2D, KOB_ANDERSEN, POLYDISPERSE
from glassdask.simulation.species import masses_of

from .test_models import write_setfl

CUBIC = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(1, 216, 3)


def liquid(*names: str):
    """A crystal of these species, whose positions must not be computed."""

    def never(block):
        raise AssertionError("positions were computed")

    whole = gd.from_arrays(CUBIC, species=[*names] * (216 // len(names)), box=[6.0] * 3, velocity=np.ones_like(CUBIC))
    position = da.from_array(CUBIC).map_blocks(never, meta=np.empty((0, 0, 0)))
    return whole.assign(position=(("frame", "particle", "space"), position))


def alloy(folder):
    from glassdask.simulation.eam import copper_zirconium

    return copper_zirconium(str(write_setfl(folder / "toy")))


CALLS = {
    "motion_from_rest": lambda t, model: gd.dynamics.motion_from_rest(t, model, [0.1]),
    "cage_positions": lambda t, model: gd.dynamics.cage_positions(t, model, 0.5),
    "stress_tensor": gd.dynamics.stress_tensor,
    "local_energy": lambda t, model: gd.describe(t, [gd.LocalEnergy(model=model)]),
    "local_yield_stress": lambda t, model: gd.describe(t, [gd.LocalYieldStress(model=model, radius=1.5)]),
}


@pytest.mark.parametrize("call", CALLS)
def test_species_and_dimensions_of_another_model(call):
    with pytest.raises(SpeciesError, match=r"^kob_andersen: no species 'X', it has A, B: rename it$"):
        CALLS[call](liquid("A", "X"), KOB_ANDERSEN)
    with pytest.raises(ParameterError, match=r"^kam_2d is 2-dimensional, the trajectory 3-dimensional$"):
        CALLS[call](liquid("A", "B"), KAM_2D)


def test_energies_of_other_models(tmp_path):
    with pytest.raises(SpeciesError, match="copper_zirconium: no species 'A', it has Cu, Zr"):
        gd.describe(liquid("A"), [gd.LocalEnergy(model=alloy(tmp_path))])
    with pytest.raises(SpeciesError, match="polymer: no species 'X', it has A"):
        gd.describe(liquid("X"), [gd.LocalEnergy(model="polymer")])
    with pytest.raises(ParameterError, match="local_energy: the particles have no diameters of their own"):
        gd.describe(liquid("A"), [gd.LocalEnergy(model="polydisperse")])


def test_masses_of_classes_of_diameters():
    """They are species to whom it is by size, and have the mass that all particles have."""
    assert masses_of(POLYDISPERSE, ("small", "large")).tolist() == [1.0, 1.0]
    place = 0.9 * CUBIC + 0.05 * np.random.default_rng(0).random(CUBIC.shape)
    sized = gd.from_arrays(place, species=["s"] * 216, box=[5.4] * 3, diameter=np.linspace(0.8, 1.2, 216))
    bare, weighted = (hessian(POLYDISPERSE, sized, mass_weighted=weigh).toarray() for weigh in (False, True))
    assert np.abs(bare).max() > 1
    assert np.array_equal(bare, weighted)


def test_masses_of_modes():
    modes = lowest_modes(KOB_ANDERSEN, gd.from_arrays(CUBIC, species=["A"] * 216, box=[6.0] * 3), 4)
    modes = modes.assign_coords(species=("particle", ["X"] * 216))
    with pytest.raises(SpeciesError, match="kob_andersen: no species 'X'"):
        harmonic_debye_waller(modes, KOB_ANDERSEN, 0.1)


def starts(model, start, path):
    yield lambda: simulate(Simulation(model=model, start=start, stages=(Dynamics(time=1.0, temperature=1.0),)), path)
    yield lambda: isoconfigurational(Isoconfigurational(model=model, start=start, temperature=1.0, lags=(0.1,)), path)


def test_simulations_that_cannot_begin(tmp_path):
    """They are told of when they are described, where the start is there, and not by a task on a cluster."""
    store, path = str(tmp_path / "start.zarr"), str(tmp_path / "run.zarr")
    gd.save_trajectory(gd.from_arrays(CUBIC, species=["A"] * 216, box=[6.0] * 3), store)
    for run in (
        *starts(gd.simulation.SILICA, StoredStart(path=store), path),
        lambda: inherent_structures("silica", store, path),
    ):
        with pytest.raises(SpeciesError, match=r"start.zarr: silica: no species 'A', it has Si, O"):
            run()
    for run in (*starts(KAM_2D, StoredStart(path=store), path), lambda: inherent_structures("kam_2d", store, path)):
        with pytest.raises(ParameterError, match=r"start.zarr: kam_2d is 2-dimensional, the trajectory 3-dimensional"):
            run()
    for frame in (1, -2):  # was taken for frame 0 of the one that there is
        for run in starts(KOB_ANDERSEN, StoredStart(path=store, frame=frame), path):
            with pytest.raises(ParameterError, match=rf"start.zarr: no frame {frame}: expected one from -1 to 0"):
                run()
