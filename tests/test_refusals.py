"""Slips end in one line of ours, before any work: never in an error of NumPy, xarray or Python."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import dynamics
from glassdask.correlations import first_shells
from glassdask.errors import GlassdaskError

X = np.random.default_rng(0).random((2, 60, 3)) * 6
LIQUID = gd.from_arrays(X, species=["A"] * 60, box=[6.0] * 3, time=[0.0, 1.0], image=np.zeros(X.shape, int))
ENERGY = xr.DataArray(X[..., 0], dims=("frame", "particle"))
MOVED = xr.DataArray(X[:, None], dims=("replica", "lag", "particle", "space"), coords={"lag": [1.0]})
FS = dynamics.self_correlations(LIQUID, k=2.0)
FEATURES = gd.describe(LIQUID, [gd.BondOrder(cutoffs=1.4, l_max=3)])
SIZES = {"A": 0.5}
# where a trajectory is expected
NO_TRAJECTORY = (X, LIQUID["position"], None, "liquid.zarr", xr.Dataset(), {"position": X})
NO_LABELS = (X[..., 0], None, 3.0, [1.0, 2.0], xr.Dataset({"x": ENERGY}))
NO_COUNT = (0, -1, 10.5, 10.0, "10", None, True, [3], np.nan)
NO_LENGTH = (0.0, -1.0, np.nan, np.inf, "1.0", [1.0], True, 1j)

CALLS = {
    "describe": lambda x: gd.describe(x, [gd.Coordination(cutoffs=1.4)]),
    "radial_distribution": gd.radial_distribution,
    "structure_factor": gd.structure_factor,
    "bond_angle_distribution": lambda x: gd.bond_angle_distribution(x, 1.4),
    "first_minima": gd.first_minima,
    "coarse_grain": lambda x: gd.coarse_grain(ENERGY, x, 1.0),
    "average_shells": lambda x: gd.average_shells(ENERGY, x, cutoff=1.0),
    "spatial_correlation": lambda x: gd.spatial_correlation(ENERGY, x),
    "to_grid": lambda x: gd.to_grid(x, 4, SIZES),
    "from_grid": lambda x: gd.from_grid(gd.to_grid(LIQUID, 4, SIZES), x, SIZES),
    "self_correlations": dynamics.self_correlations,
    "dynamic_susceptibility": lambda x: dynamics.dynamic_susceptibility(x, a=0.3),
    "intermediate_scattering": lambda x: dynamics.intermediate_scattering(x, k=[7.2]),
    "van_hove": dynamics.van_hove,
    "collective_overlap": lambda x: dynamics.collective_overlap(x, a=0.3),
    "velocity_autocorrelation": dynamics.velocity_autocorrelation,
    "velocity_spectrum": dynamics.velocity_spectrum,
    "four_point": lambda x: dynamics.four_point(x, lag=1.0, a=0.3),
    "hops": lambda x: dynamics.hops(x, window=10.0, threshold=0.2),
    "bond_breaking": lambda x: dynamics.bond_breaking(x, cutoffs=1.4),
    "replica_bonds": lambda x: dynamics.replica_bonds(MOVED, x, 1.4),
    "strings": lambda x: dynamics.strings(x, lag=1.0, distance=0.6),
    "mobile_clusters": lambda x: dynamics.mobile_clusters(x, lag=1.0, distance=1.2),
    "unwrapped": dynamics.unwrapped,
    "displacements": dynamics.displacements,
    "d2min": lambda x: dynamics.d2min(x, LIQUID, 1.4),
    "d2min, deformed": lambda x: dynamics.d2min(LIQUID, x, 1.4),
    "replica_d2min": lambda x: dynamics.replica_d2min(MOVED, x, 1.4),
    "cage_relative": lambda x: dynamics.cage_relative(MOVED, x, 1.4),
    "first_shells": first_shells,
    "identity": gd.store.identity,
    "save_descriptors": lambda x: gd.save_descriptors(x, "nowhere.zarr"),
    "save_reduction": lambda x: gd.save_reduction(x, "nowhere.zarr", "bo"),
    "save_trajectory": lambda x: gd.save_trajectory(x, "nowhere.zarr"),
}
SLIPS = {f"{name} of {type(value).__name__}": (call, value) for name, call in CALLS.items() for value in NO_TRAJECTORY}

VALUES = {
    "coarse_grain": lambda x: gd.coarse_grain(x, LIQUID, 1.0),
    "average_shells": lambda x: gd.average_shells(x, LIQUID, cutoff=1.0),
    "spatial_correlation": lambda x: gd.spatial_correlation(x, LIQUID),
    "from_grid": lambda x: gd.from_grid(x, LIQUID, SIZES),
    "normalize": gd.normalize,
    "feature_matrix": gd.feature_matrix,
    "project": lambda x: gd.project(x, gd.learning.PCA()),
    "reduce": gd.reduce,
    "replica_d2min": lambda x: dynamics.replica_d2min(x, LIQUID.isel(frame=[0]), 1.4),
    "propensity": dynamics.propensity,
}
for name, call in VALUES.items():  # a dataset of one variable is that variable to some
    others = NO_LABELS[:-1] if name in ("feature_matrix", "reduce") else NO_LABELS
    SLIPS |= {f"{name} of values {type(value).__name__}": (call, value) for value in others}
for name in ("coarse_grain", "average_shells", "spatial_correlation"):
    SLIPS |= {
        f"{name} of {dims}": (VALUES[name], xr.DataArray(np.zeros(shape), dims=dims))
        for dims, shape in ((("particle",), 59), (("frame", "space"), (2, 3)), (("frame", "particle"), (2, 59)))
    }
SLIPS |= {
    f"{function.__name__} of {type(value).__name__}": (function, value)
    for function in (
        dynamics.relaxation_time,
        dynamics.stretched_exponential,
        lambda x: dynamics.at_delta(x, 1.0),
        gd.first_peak_wavenumber,
    )
    for value in (X, None, ENERGY, xr.Dataset(), "fs")
}

NUMBERS = {
    "radial_distribution n_bins": (lambda n: gd.radial_distribution(LIQUID, n_bins=n), NO_COUNT),
    "radial_distribution r_max": (lambda r: gd.radial_distribution(LIQUID, r_max=r), NO_LENGTH),
    "structure_factor n_bins": (lambda n: gd.structure_factor(LIQUID, n_bins=n), NO_COUNT),
    "structure_factor modes": (lambda n: gd.structure_factor(LIQUID, modes_per_bin=n), NO_COUNT),
    "structure_factor k_max": (lambda k: gd.structure_factor(LIQUID, k_max=k), NO_LENGTH),
    "bond_angle_distribution": (lambda n: gd.bond_angle_distribution(LIQUID, 1.4, n_bins=n), NO_COUNT),
    "average_shells generations": (lambda n: gd.average_shells(ENERGY, LIQUID, generations=n), NO_COUNT),
    "average_shells cutoff": (lambda r: gd.average_shells(ENERGY, LIQUID, cutoff=r), NO_LENGTH),
    "coarse_grain": (lambda r: gd.coarse_grain(ENERGY, LIQUID, r), (*NO_LENGTH[:5], [], [1.0, 0.0], ["a"])),
    "coarse_grain cutoff": (lambda r: gd.coarse_grain(ENERGY, LIQUID, 1.0, cutoff=r), NO_LENGTH),
    "spatial_correlation width": (lambda r: gd.spatial_correlation(ENERGY, LIQUID, width=r), NO_LENGTH),
    "spatial_correlation r_max": (lambda r: gd.spatial_correlation(ENERGY, LIQUID, r_max=r), NO_LENGTH),
    "to_grid": (lambda n: gd.to_grid(LIQUID, n, SIZES), (*NO_COUNT[:7], np.int64(4), (4, 4), (4, 4, 0), (4, 4, 4.5))),
    "to_grid cutoff": (lambda r: gd.to_grid(LIQUID, 4, SIZES, cutoff=r), NO_LENGTH),
    "describe block": (lambda n: gd.describe(LIQUID, [gd.Coordination(cutoffs=1.4)], block=n), (0, -1, 2.5, "2", [2])),
    "describe centers": (lambda c: gd.describe(LIQUID, [gd.Coordination(cutoffs=1.4)], centers=c), (3, "C", [], [3])),
    "describe": (
        lambda d: gd.describe(LIQUID, d),
        (gd.BondOrder, [gd.BondOrder], "bo", ["bo"], [], {"bo": 3}, None),
    ),
    "reduce n_components": (lambda n: gd.reduce(FEATURES["bo"], n_components=n), (0, 99, 1.5, "2", True)),
    "reduce scale": (lambda s: gd.reduce(FEATURES["bo"], scale=s), ("false", 0, None)),
    "reduce method": (lambda m: gd.reduce(FEATURES["bo"], method=m), ("fast", None)),
    "lags": (
        lambda lags: dynamics.self_correlations(LIQUID, lags=lags),
        ([], [0.0], [-1.0], "1", ["1"], [7.0]),
    ),
    "origins": (lambda n: dynamics.self_correlations(LIQUID, origins=n), NO_COUNT),
    "k": (lambda k: dynamics.self_correlations(LIQUID, k=k), NO_LENGTH),
    "dynamic_susceptibility": (lambda a: dynamics.dynamic_susceptibility(LIQUID, a=a), (*NO_LENGTH, None)),
    "collective_overlap": (lambda a: dynamics.collective_overlap(LIQUID, a), NO_LENGTH),
    "intermediate_scattering k": (
        lambda k: dynamics.intermediate_scattering(LIQUID, k),
        (*NO_LENGTH[:5], [], "7", [-1.0]),
    ),
    "intermediate_scattering width": (lambda w: dynamics.intermediate_scattering(LIQUID, 3.0, width=w), NO_LENGTH),
    "intermediate_scattering modes": (lambda n: dynamics.intermediate_scattering(LIQUID, 3.0, modes=n), NO_COUNT),
    "van_hove r_max": (lambda r: dynamics.van_hove(LIQUID, r_max=r), NO_LENGTH),
    "van_hove n_bins": (lambda n: dynamics.van_hove(LIQUID, n_bins=n), NO_COUNT),
    "velocity_spectrum": (lambda t: dynamics.velocity_spectrum(LIQUID, t), NO_LENGTH),
    "four_point a": (lambda a: dynamics.four_point(LIQUID, 1.0, a), NO_LENGTH),
    "four_point lag": (lambda lag: dynamics.four_point(LIQUID, lag, 0.3), (*NO_LENGTH, 7.0)),
    "four_point q_max": (lambda q: dynamics.four_point(LIQUID, 1.0, 0.3, q_max=q), (*NO_LENGTH, 1.1)),
    "four_point q_fit": (lambda q: dynamics.four_point(LIQUID, 1.0, 0.3, q_fit=q), (*NO_LENGTH, 1.1)),
    "four_point r_max": (lambda r: dynamics.four_point(LIQUID, 1.0, 0.3, r_max=r), (*NO_LENGTH, 99.0)),
    "four_point n_bins": (lambda n: dynamics.four_point(LIQUID, 1.0, 0.3, n_bins=n), NO_COUNT),
    "four_point modes": (lambda n: dynamics.four_point(LIQUID, 1.0, 0.3, modes_per_bin=n), NO_COUNT),
    "hops window": (lambda w: dynamics.hops(LIQUID, w, 0.2), NO_LENGTH),
    "hops threshold": (lambda x: dynamics.hops(LIQUID, 1.0, x), NO_LENGTH),
    "bond_breaking cutoffs": (lambda r: dynamics.bond_breaking(LIQUID, cutoffs=r), (*NO_LENGTH, {}, {("A", "B"): 1.0})),
    "bond_breaking factor": (lambda f: dynamics.bond_breaking(LIQUID, cutoffs=1.4, factor=f), (*NO_LENGTH, 0.5)),
    "strings distance": (lambda r: dynamics.strings(LIQUID, 1.0, r), NO_LENGTH),
    "strings fraction": (lambda x: dynamics.strings(LIQUID, 1.0, 0.6, fraction=x), (*NO_LENGTH, 1e-3, 1.0)),
    "strings species": (lambda x: dynamics.strings(LIQUID, 1.0, 0.6, species=x), ("B", 3, ["A"])),
    "fit_law": (lambda law: dynamics.fit_law([1.0, 2.0], [2.0, 1.0], law), ("vogel", "vft", None, 3)),
    "compare_laws": (lambda laws: dynamics.compare_laws([1.0, 2.0], [2.0, 1.0], laws=laws), ("vft", ["x"], 3, [3])),
    "stretched_exponential": (lambda x: dynamics.stretched_exponential(FS, highest=x), (*NO_LENGTH, 0.01, 2.0)),
    "displacements": (lambda n: dynamics.displacements(LIQUID, n), ("0", 1.0, True, None, [0], 2, -3, 10**30)),
    "read_sweep": (gd.sweep.read_sweep, (None, 3, b"x", ["x"])),
    "run_sweep": (gd.sweep.run_sweep, (None, 3, ["x"])),
    "level": (lambda level: dynamics.relaxation_time(FS, level=level), (0, 1.0, -1.0, "0.5", None, np.nan)),
}
ROWS, GROUPS = np.random.default_rng(1).normal(size=(60, 2)), np.arange(60) % 6
PARTS = gd.learning.grouped_moments(ROWS, ROWS[:, 0], GROUPS)
LEAST_SQUARES, LOGISTIC = gd.learning.LinearRegression(), gd.learning.LogisticRegression()
NUMBERS |= {
    "cross_validate": (lambda n: gd.learning.cross_validate(LEAST_SQUARES, PARTS, n), (1, 7, 2.5, "3", True)),
    "cross_validate_classifier": (
        lambda n: gd.learning.cross_validate_classifier(LOGISTIC, ROWS, ROWS[:, 0] > 0, GROUPS, n),
        (1, 7, 2.5, "3", None),
    ),
    "learning_curve": (lambda n: gd.learning.learning_curve(LEAST_SQUARES, PARTS, n), ([6], [0], [1.5], "2", 2, None)),
    "bootstrap": (lambda n: gd.learning.bootstrap(lambda m: m.mean, PARTS, n), (1, 2.5, "3", None)),
    "bootstrap_pearson": (lambda n: gd.learning.bootstrap_pearson(ROWS, ROWS, GROUPS, n), (1, 2.5, "3", None)),
    "forward_selection": (
        lambda n: gd.learning.forward_selection(gd.learning.compute_moments(ROWS, ROWS[:, 0]), n),
        (3, -1, 1.5, "1"),
    ),
    "selection_curve": (lambda n: gd.learning.selection_curve(PARTS, sizes=n), ([3], [0], [1.5], "1", 1)),
    "selection_curve order": (lambda o: gd.learning.selection_curve(PARTS, order=o), ("best", [0], [0, 9])),
    "balanced_extremes": (lambda f: gd.learning.balanced_extremes(ROWS[:, 0], f), (0, 0.6, "0.1", None, np.nan)),
    "balanced_extremes of": (lambda a: gd.learning.balanced_extremes(a, 0.1), (ROWS, "a", ["a", "b"], None, [])),
    "balanced_above": (lambda t: gd.learning.balanced_above(ROWS[:, 0], t), (99.0, "1", None, np.nan)),
    "align_rotation": (lambda s: gd.learning.align_rotation(ROWS, ROWS, s), (0, -5, 200, "5", None)),
    "calibration": (lambda n: gd.learning.calibration(GROUPS % 2, GROUPS / 6, n), NO_COUNT),
    "n_components_for": (lambda v: gd.learning.PCA().fit(ROWS).n_components_for(v), (0.0, 1.5, np.nan)),
}
for name, (call, wrong) in NUMBERS.items():
    SLIPS |= {f"{name}={value!r}": (call, value) for value in wrong}


@pytest.mark.parametrize("slip", SLIPS)
def test_one_line_of_ours(slip):
    call, value = SLIPS[slip]
    with pytest.raises(GlassdaskError) as error:
        call(value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", [np.int64(4), np.int32(4), np.array(4), xr.DataArray(4)])
def test_numbers_of_any_origin_are_taken(number):
    xr.testing.assert_equal(gd.radial_distribution(LIQUID, n_bins=number), gd.radial_distribution(LIQUID, n_bins=4))
    expected = gd.coarse_grain(ENERGY, LIQUID, 1.0)
    for lengths in (np.float32(1.0), np.array([1.0]), [1], xr.DataArray([1.0]), range(1, 2)):
        xr.testing.assert_equal(gd.coarse_grain(ENERGY, LIQUID, lengths), expected)
