"""Every variable that is given out is declared, and is what its declaration says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import dynamics
from glassdask.descriptors.registry import DESCRIPTORS
from glassdask.errors import SchemaError
from glassdask.sweep import common
from glassdask.variables import VARIABLES, annotated, declared

RNG = np.random.default_rng(5)
N = 64


@pytest.fixture(scope="module")
def liquid():
    """A lattice whose particles rattle and drift, of two species."""
    start = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, N, 3) * 1.1 + 0.3
    path = start + 0.05 * np.cumsum(RNG.normal(size=(9, N, 3)), axis=0)
    species = np.where(np.arange(N) % 3, "A", "B")
    image = np.zeros(path.shape, int)
    energy = RNG.normal(size=(9, N))
    return gd.from_arrays(path, species=species, box=[4.4] * 3, time=np.arange(9.0) * 0.1, image=image, energy=energy)


def moved(liquid):
    start = liquid["position"].values[0]
    return dynamics.replica_displacements(start, start + RNG.normal(size=(3, 2, N, 3)), lag=[1.0, 2.0])


def with_velocity(liquid):
    return liquid.assign(velocity=(liquid["position"].dims, RNG.normal(size=liquid["position"].shape)))


CUTOFFS = 1.5
KOB_ANDERSEN_SMALL = replace(
    gd.simulation.KOB_ANDERSEN,
    pairs=tuple(replace(pair, cutoff=1.9, scheme="linear") for pair in gd.simulation.KOB_ANDERSEN.pairs),
)


def lattice():
    places = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(1, 64, 1, 3)
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    return gd.from_arrays(((places + basis) * 1.55).reshape(1, 256, 3), species=["A"] * 256, box=[6.2] * 3)


def modes_of(t):
    start = t.isel(frame=[0])
    return gd.simulation.lowest_modes(KOB_ANDERSEN_SMALL, start, 5), start


def stable(t):
    return gd.simulation.lowest_modes(KOB_ANDERSEN_SMALL, t.isel(frame=[0]), 150).isel(mode=slice(149, None))


TEMPERATURE = np.array([0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0])
RESULTS = {
    "radial_distribution": lambda t: gd.radial_distribution(t, n_bins=10),
    "bond_angle_distribution": lambda t: gd.bond_angle_distribution(t, CUTOFFS, n_bins=10),
    "structure_factor": lambda t: gd.structure_factor(t, k_max=8.0, n_bins=4),
    "compressibility": lambda t: gd.compressibility(t),
    "particle_msd": lambda t: dynamics.particle_msd(t),
    "clusters": lambda t: gd.clusters(t, cutoffs=CUTOFFS),
    "to_grid": lambda t: gd.to_grid(t, 8, {"A": 1.0, "B": 0.8}, cutoff=2.0),
    "spatial_correlation": lambda t: gd.spatial_correlation(t["energy"], t, width=0.5),
    "d2min": lambda t: dynamics.d2min(t.isel(frame=[0]), t, CUTOFFS),
    "replica_d2min": lambda t: dynamics.replica_d2min(moved(t), t.isel(frame=[0]), CUTOFFS),
    "cage_positions": lambda t: dynamics.cage_positions(
        t.isel(frame=[0]).assign(box=2 * t["box"][[0]]), gd.simulation.MODELS["kob_andersen"], 0.4, sweeps=5, burn_in=2
    ),
    "motion_from_rest": lambda t: dynamics.motion_from_rest(lattice(), KOB_ANDERSEN_SMALL, [0.01]),
    "trajectory": lambda t: t,
    "reduce": lambda t: gd.reduce(gd.describe(t, [gd.BondOrder(cutoffs=CUTOFFS)])["bo"]),
    "moments": lambda t: common._moments(gd.describe(t, [gd.BondOrder(cutoffs=CUTOFFS)])["bo"]),
    "correlate": lambda t: gd.correlate(t["energy"], t["position"]),
    "unwrapped": dynamics.unwrapped,
    "displacements": dynamics.displacements,
    "self_correlations": lambda t: dynamics.self_correlations(t, k=7.0, a=0.3),
    "without drift": lambda t: dynamics.self_correlations(t, remove_drift=True),
    "dynamic_susceptibility": lambda t: dynamics.dynamic_susceptibility(t, a=0.3, k=7.2),
    "intermediate_scattering": lambda t: dynamics.intermediate_scattering(t, k=[7.2]),
    "van_hove": lambda t: dynamics.van_hove(t, lags=[0.1, 0.3]),
    "collective_overlap": lambda t: dynamics.collective_overlap(t, a=0.3),
    "velocity_autocorrelation": lambda t: dynamics.velocity_autocorrelation(with_velocity(t)),
    "velocity_spectrum": lambda t: dynamics.velocity_spectrum(with_velocity(t), 0.4),
    "four_point": lambda t: dynamics.four_point(t, lag=0.1, a=0.1, q_max=5.0),
    "debye_waller": lambda t: dynamics.debye_waller(t, 0.3),
    "lowest_modes": lambda t: modes_of(t)[0],
    "participation_ratio": lambda t: gd.simulation.participation_ratio(modes_of(t)[0]),
    "phase_quotient": lambda t: gd.simulation.phase_quotient(*modes_of(t), 1.5),
    "vibrality": lambda t: gd.simulation.vibrality(stable(t)),
    "harmonic_debye_waller": lambda t: gd.simulation.harmonic_debye_waller(stable(t), KOB_ANDERSEN_SMALL, 0.1),
    "density_of_states": lambda t: gd.simulation.density_of_states(KOB_ANDERSEN_SMALL, t.isel(frame=[0]), moments=20),
    "elastic_moduli": lambda t: gd.simulation.elastic_moduli(KOB_ANDERSEN_SMALL, lattice()),
    "hops": lambda t: dynamics.hops(t, window=0.4, threshold=0.2),
    "hop_labels": lambda t: gd.learning.hop_labels(dynamics.hops(t, window=0.2, threshold=0.01), quiet=0.1),
    "waiting_times": lambda t: dynamics.waiting_times(dynamics.hops(t, window=0.2, threshold=0.01)),
    "bond_breaking": lambda t: dynamics.bond_breaking(t, lags=[0.1], cutoffs=1.5),
    "replica_bonds": lambda t: dynamics.replica_bonds(moved(t), t.isel(frame=[0]), 1.5),
    "strings": lambda t: dynamics.strings(t, lag=0.1, distance=0.6),
    "mobile_clusters": lambda t: dynamics.mobile_clusters(t, lag=0.1, distance=1.2),
    "relaxation_time": lambda t: dynamics.relaxation_time(dynamics.self_correlations(t, k=7.0)),
    "fit_law": lambda t: dynamics.fit_law(TEMPERATURE, np.exp(1.0 / (TEMPERATURE - 0.4)), "vft", tau_g=1e6),
    "fit_law, parabolic": lambda t: dynamics.fit_law(
        TEMPERATURE, np.exp((1 / TEMPERATURE - 0.5) ** 2), "parabolic", tau_g=1e6
    ),
    "compare_laws": lambda t: dynamics.compare_laws(TEMPERATURE, TEMPERATURE**-2.0),
    "stretched_exponential": lambda t: dynamics.stretched_exponential(dynamics.self_correlations(t, k=7.0)),
    "crossover_temperature": lambda t: dynamics.crossover_temperature(
        np.arange(8.0), np.maximum(np.arange(8.0), 4.0), (0.0, 3.0), (5.0, 7.0)
    ),
    "replica_displacements": moved,
    "propensity": lambda t: dynamics.propensity(moved(t)),
    "at_delta": lambda t: dynamics.at_delta(dynamics.propensity(moved(t), power=1), 1.7),
    "cage_relative": lambda t: dynamics.cage_relative(moved(t), t.isel(frame=[0]), 1.5),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_what_is_declared(liquid, name):
    result = RESULTS[name](liquid)
    variables = {str(key): c.variable for key, c in result.coords.items()}
    own = result.data_vars if isinstance(result, xr.Dataset) else {result.name: result}
    variables |= {str(key): values.variable for key, values in own.items()}
    for key, variable in variables.items():
        known = declared(key)
        assert known is not None, f"{key} is not declared"
        assert known.misfit(variable) is None, key
        assert variable.attrs["long_name"] == known.meaning, key
        assert variable.attrs["units"] == known.unit if known.unit is not None else variable.attrs["units"], key


PARAMETERS = {
    "ace": {"r_cut": 2.0, "degree": 3},
    "ackland_jones": {},
    "acsf": {"r_cut": 1.5, "radial": ((1.0, 1.0),), "angular": ((1.0, 2, -1.0),)},
    "bo": {"cutoffs": CUTOFFS},
    "centrosymmetry": {},
    "common_neighbors": {},
    "coordination": {"cutoffs": CUTOFFS, "by_species": True},
    "hexatic": {"cutoffs": CUTOFFS},
    "ld": {"cutoffs": CUTOFFS},
    "lfs": {"signature": (0, 0, 12)},
    "local_energy": {"model": "kob_andersen"},
    "local_yield_stress": {"model": "kob_andersen"},
    "minkowski": {},
    "pair_entropy": {"r_max": 1.5},
    "rbo": {"grid": (1.0, 1.5), "delta": 0.1},
    "radial_density": {"grid": (1.0, 1.5), "delta": 0.1},
    "rings": {"cutoffs": CUTOFFS, "max_size": 5},
    "sbo": {"cutoffs": CUTOFFS},
    "soap": {"r_cut": 1.5, "n_max": 2, "l_max": 2, "sigma": 0.1},
    **{name: {"cutoffs": CUTOFFS} for name in ("bond_angles", "cubatic", "dihedral_angles", "nematic")},
    "solid_liquid": {"cutoffs": CUTOFFS},
    "third_order": {"cutoffs": CUTOFFS},
    "tcc": {"cutoffs": CUTOFFS},
    "tetrahedrality": {"cutoffs": CUTOFFS},
    "theta": {"neighbors": gd.Cutoff(CUTOFFS), "diameters": {"A": 1.0, "B": 0.8}},
    "topological_clusters": {"cutoffs": CUTOFFS},
    "voronoi": {},
    "warren_cowley": {"cutoffs": CUTOFFS},
}
IN_PLANE = {"hexatic"}


@pytest.mark.parametrize("name", sorted(DESCRIPTORS))
def test_descriptors_declare_themselves(name):
    plan = DESCRIPTORS[name](**PARAMETERS[name]).plan(("A", "B"), 2 if name in IN_PLANE else 3)
    assert plan.attrs["long_name"]
    assert isinstance(plan.attrs["units"], str)
    assert len(plan.dims) == len(plan.shape)
    for coordinate, (dim, values) in plan.coords.items():
        known = declared(coordinate)
        assert known is None or known.misfit(xr.Variable(dim, values)) is None, coordinate


def test_labels_of_features_are_annotated(liquid):
    described = gd.describe(liquid, [gd.RadialBondOrder(grid=(1.0, 1.5), delta=0.1)])
    units = {name: described[name].attrs["units"] for name in ("l", "r", "time")}
    assert units == {"l": "", "r": "length", "time": "time"}
    coarse = gd.coarse_grain(liquid["energy"], liquid, [0.5, 0.7])
    assert coarse["length"].attrs["units"] == "length"
    assert coarse.attrs["units"] == "energy"
    assert gd.average_shells(liquid["energy"], liquid, cutoff=1.5)["generation"].attrs["long_name"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (xr.Dataset({"nothing": 1.0}), "'nothing' is declared nowhere"),
        (xr.Dataset({"nothing_error": 1.0}), "'nothing_error' is declared nowhere"),
        (xr.Dataset({"msd": ("lag", [1.0])}), r"'msd' has dimensions \('lag',\), declared are \('species', 'lag'\)"),
        (xr.Dataset({"msd_total": (("species", "lag"), [[1.0]])}), "'msd_total' has dimensions"),
        (xr.Dataset({"origins": ("lag", [1.0])}), "'origins' has dtype float64, declared is kind 'i'"),
        (xr.Dataset({"propensity": ("particle", [1.0])}), "'propensity' has no units"),
        (xr.DataArray([1.0], dims="k", name="S"), "'S' has dimensions"),
    ],
)
def test_what_is_not_declared_is_refused(values, message):
    with pytest.raises(SchemaError, match=message):
        annotated(values)


def test_the_caller_keeps_what_he_had():
    before = xr.Dataset({"tau": ("species", [1.5], {"level": 0.5})}, coords={"species": ["A"], "mine": 3, "k": "x"})
    after = annotated(before, tau={"of": "fs"})
    assert before["tau"].attrs == {"level": 0.5}
    assert after["tau"].attrs == {"level": 0.5, "of": "fs", "units": "time", "long_name": "relaxation time"}
    assert after["mine"].attrs == after["k"].attrs == {}  # no wave number of ours


def test_declarations_are_in_order():
    for name, known in VARIABLES.items():
        assert known.kind in "fiUb", name
        assert known.meaning, name
        assert not known.meaning.endswith("."), name
        assert not name.endswith(("_error", "_total")), name
