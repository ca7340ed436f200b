"""Run sweeps over trajectories that exist: failures, retries, other parameters, bounds, what status says meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter

import dask
import distributed
import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import BusyStoreError, ParameterError, SimulationKilledError, StoreError
from glassdask.graphs import within_task
from glassdask.store import locks, verify
from glassdask.sweep import measures, read_sweep, run_sweep, running, status
from glassdask.sweep.stages import OWN
from tests.sweep.liquids import FILE, STAGES, save_liquid, save_sweep, stored

NAMES = ["describe", "reduce", "correlate"]
FIRST, LAST = "gas/T=0.5000/seed=0", "gas/T=0.6000/seed=1"


def record(folder, label, stage):
    return json.loads((folder / "sweep.zarr/.sweep/units" / label / f"{stage}.json").read_text())


def states_of(table, stage):
    return table[stage].to_dict()


@pytest.fixture
def synchronous():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.mark.usefixtures("synchronous")
def test_every_stage(tmp_path):
    """What a sweep stores is what the single functions make of the same trajectory."""
    file = save_sweep(tmp_path)
    seen = []
    table = run_sweep(file, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 12) for n in range(13)]
    assert (table[NAMES] == "complete").all(axis=None)
    assert (table[[f"{name}_fraction" for name in NAMES]] == 1.0).all(axis=None)
    assert table.attrs["stages"] == NAMES
    assert table.loc[LAST, ["model", "temperature", "seed"]].tolist() == ["gas", 0.6, 1]
    path = tmp_path / "data/gas/T=0.6/1.zarr"
    assert table.loc[LAST, "path"] == str(path)
    trajectory = gd.open_trajectory(path)
    features = gd.describe(trajectory, [gd.BondOrder(l_max=2, cutoffs=1.3)])
    np.testing.assert_array_equal(gd.open_descriptors(path)["bo"], features["bo"].astype(np.float32))
    reduced = gd.reduce(features["bo"], n_components=1)
    stored_reduction = gd.open_reduction(path, "bo")
    np.testing.assert_allclose(
        stored_reduction["explained_variance_ratio"], reduced["explained_variance_ratio"], rtol=1e-6
    )
    np.testing.assert_allclose(stored_reduction["projection"], reduced["projection"], atol=1e-6)
    structure = gd.open_reduction(path, "structure")
    np.testing.assert_array_equal(structure["g"], gd.radial_distribution(trajectory, n_bins=300)["g"])
    relaxation = gd.open_reduction(path, "relaxation")
    curves = gd.dynamics.self_correlations(trajectory, k=7.0)
    np.testing.assert_array_equal(relaxation["fs"], curves["fs"])
    np.testing.assert_array_equal(relaxation["tau_total"], gd.dynamics.relaxation_time(curves)["tau_total"])
    assert float(relaxation["k"]) == 7.0
    tree = read_sweep(tmp_path / "sweep.zarr")[LAST]
    assert sorted(tree["reductions"].children) == ["bo", "relaxation", "structure"]
    assert tree["descriptors/bo"]["bo"].chunks is not None  # lazy
    with pytest.raises(ParameterError, match="no state 'gas/T=7'"):
        read_sweep(file)["gas/T=7"]
    # again, by the store alone: nothing is written
    before = stored(path)
    times = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    assert (run_sweep(tmp_path / "sweep.zarr")[NAMES] == "complete").all(axis=None)
    assert times == {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    # a chunk that is lost later is made again, the same
    chunk = next((path / "descriptors/bo/bo/c").rglob("0"))
    while chunk.is_dir():
        chunk = next(chunk.iterdir())
    chunk.unlink()
    run_sweep(file)
    assert stored(path) == before


def test_units_within_tasks_leave_the_scheduler_alone(tmp_path):
    """On a worker, a unit computes in its own thread, whatever the process computes with otherwise."""

    def refuse(*arguments, **options):
        raise AssertionError("the scheduler of the process was asked to compute")

    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=1)
    with dask.config.set(scheduler=refuse), within_task():
        table = run_sweep(file)
    assert table[[f"{name}_error" for name in NAMES]].to_numpy().tolist() == [["", "", ""]]
    assert (table[NAMES] == "complete").all(axis=None)


@pytest.mark.usefixtures("synchronous")
def test_inherent_and_measured(tmp_path):
    """Inherent structures that lie below a trajectory, cutoffs of their own g(r), k* of the trajectory's S(k)."""
    jitter = np.random.default_rng(0).normal(scale=0.05, size=(4, 512, 3))
    cubic = np.stack(np.meshgrid(*[np.arange(8.0)] * 3), axis=-1).reshape(1, 512, 3)
    path = tmp_path / "T=0.1.zarr"
    for scale, place in ((1.0, path), (0.5, path / "inherent")):
        crystal = gd.from_arrays(
            cubic + scale * jitter, species=["A"] * 512, box=[8.0] * 3, time=[0.0, 1.0, 2.0, 3.0],
            energy=np.full((4, 512), scale),
        )  # fmt: skip
        gd.save_trajectory(crystal, place)
    file = tmp_path / "crystal.toml"
    file.write_text("""
        [[runs]]
        model = "crystal"
        trajectories = "T={temperature}.zarr"
        [describe]
        structures = "inherent"
        [describe.descriptors.coordination]
        [describe.descriptors.bo]
        l_max = 3
        [reduce]
        descriptors = ["bo"]
        [correlate]
    """)
    table = run_sweep(file)
    assert (table[NAMES] == "complete").all(axis=None), table.filter(like="_error").values.tolist()
    found = read_sweep(file)["crystal/T=0.1000"]
    assert (found["inherent/descriptors/coordination"]["coordination"] == 6).all()
    minima = gd.first_minima(gd.open_trajectory(path / "inherent"))
    expected = gd.describe(gd.open_trajectory(path / "inherent"), [gd.Coordination(cutoffs=minima)])["coordination"]
    assert (
        found["inherent/descriptors/coordination"]["coordination"].attrs["parameters"] == expected.attrs["parameters"]
    )
    assert "bo" not in found["reductions"].children
    structure = found["reductions/structure"]
    assert structure["energy"].values.tolist() == [1.0] * 4
    assert structure["inherent_energy"].values.tolist() == [0.5] * 4
    assert float(found["reductions/relaxation"]["k"]) == pytest.approx(2 * np.pi, rel=0.02)


@pytest.mark.usefixtures("synchronous")
def test_swapped_particles_have_structure_and_the_error_says_how(tmp_path):
    """What the error of a state says about its file works: particles without identity have no dynamics."""
    rng = np.random.default_rng(0)
    species = [rng.permutation(["A", "B"] * 50) for _ in range(3)]
    swapped = gd.from_arrays(rng.random((3, 100, 3)) * 5, species=species, box=[5.0] * 3, time=[0.0, 1.0, 2.0])
    gd.save_trajectory(swapped, tmp_path / "T=1.zarr")
    text = 'store = "{}.zarr"\n[[runs]]\nmodel = "gas"\ntrajectories = "T={{temperature}}.zarr"\n[correlate]\nk = 2.0\n'
    (tmp_path / "first.toml").write_text(text.format("first"))
    error = run_sweep(tmp_path / "first.toml").loc["gas/T=1.0000", "correlate_error"]
    assert "species of particles change" in error
    assert "dynamics = false in [correlate]" in error
    (tmp_path / "second.toml").write_text(text.format("second") + "dynamics = false\n")
    assert run_sweep(tmp_path / "second.toml", overwrite=True).loc["gas/T=1.0000", "correlate"] == "complete"
    found = gd.open_reduction(tmp_path / "T=1.zarr", "structure")
    alone = gd.radial_distribution(swapped, n_bins=found.sizes["r"])
    np.testing.assert_allclose(found["g"], alone["g"])


@pytest.mark.usefixtures("synchronous")
def test_rules_for_neighbours(tmp_path):
    """Any rule, spelled out in the file, is that of the single functions; another one is another descriptor."""
    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=1)
    text = file.read_text()
    tables = [
        "neighbors = {type = 'k_nearest', k = 4}\n[describe.descriptors.few]\ntype = 'bo'\nneighbors = 'voronoi'\n",
        "neighbors = {type = 'k_nearest', k = 3}\n[describe.descriptors.few]\ntype = 'bo'\nneighbors = 'sann'\n",
    ]
    keys = []
    for table in tables:
        file.write_text(text.replace("l_max = 2\n", f"l_max = 2\n{table}"))
        keys.append(read_sweep(file).states[0].units["describe"].key)
    assert len(set(keys)) == 2
    file.write_text(text.replace("l_max = 2\n", f"l_max = 2\n{tables[0]}"))
    table = run_sweep(file)
    assert (table[NAMES] == "complete").all(axis=None), table.filter(like="_error").values.tolist()
    path = table.loc[FIRST, "path"]
    wanted = {"bo": gd.BondOrder(l_max=2, neighbors=gd.KNearest(4)), "few": gd.BondOrder(neighbors=gd.Voronoi())}
    features = gd.describe(gd.open_trajectory(path), wanted)
    for name in wanted:
        np.testing.assert_array_equal(gd.open_descriptors(path)[name], features[name].astype(np.float32))


@pytest.mark.usefixtures("synchronous")
def test_overwriting_leaves_what_is_the_same(tmp_path):
    """One of two descriptors is changed: the other, its reduction, g(r) and F_s are not written again."""
    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=1)
    other = "l_max = 2\n[describe.descriptors.other]\ntype = 'bo'\nl_max = 3\n"
    file.write_text(file.read_text().replace("l_max = 2\n", other))
    path = run_sweep(file).loc[FIRST, "path"]

    def times():
        files = (file for file in (tmp_path / path).rglob("*") if file.is_file())
        return {file.relative_to(path): file.stat().st_mtime_ns for file in files}

    before = times()
    file.write_text(file.read_text().replace("l_max = 3", "l_max = 4"))
    assert (run_sweep(file, overwrite=True)[NAMES] == "complete").all(axis=None)
    assert gd.open_descriptors(path)["other"].shape[-1] == 4
    after = times()
    changed = {file for file in before if after.get(file) != before[file]}
    assert {file.parts[1] for file in changed if file.parts[0] == ".glassdask"} == {
        "descriptors%2Fother",
        "reductions%2Fother",
    }
    changed = {file for file in changed if file.parts[0] != ".glassdask"}
    assert {"/".join(file.parts[:2]) for file in changed} == {"descriptors/other", "reductions/other"}


EARLIER = """{
  "version": 1, "folder": "..", "file": "sweep.toml", "stages": ["describe", "correlate"],
  "states": [{
    "label": "gas/T=0.5000/seed=0", "path": "../data/gas/T=0.5/0.zarr",
    "model": "gas", "temperature": 0.5, "density": null, "seed": 0,
    "units": {
      "describe": {"key": "bea4eb81478f4f806a9c", "groups": ["descriptors/bo"], "after": []},
      "correlate": {"key": "96f6e3751fe5ce8d219d", "groups": ["reductions/structure"], "after": ["describe"]}
    }
  }],
  "toml": ""
}"""


def earlier_sweep(folder, **record):
    """A sweep's store as the first version of glassdask wrote it, with one unit complete and one failed."""
    file = save_sweep(folder, temperatures=(0.5,), seeds=1)
    run_sweep(file)
    root = folder / "sweep.zarr"
    text = EARLIER.replace('"toml": ""', json.dumps({"toml": file.read_text()})[1:-1])
    (root / ".sweep/sweep.json").write_text(text)
    made = gd.store.content_hash(folder / "data/gas/T=0.5/0.zarr")
    done = {"status": "complete", "key": "bea4eb81478f4f806a9c", "host": "vm", "pid": 22956, "seconds": 6.8}
    done |= {"started": "2026-11-28T16:33:40+00:00", "ended": "2026-11-28T16:33:47+00:00", "input": made, **record}
    failed = {"status": "failed", "key": "96f6e3751fe5ce8d219d", "host": "vm", "pid": 1}
    failed |= {"error": {"class": "ValueError", "message": "no", "traceback": "..."}}
    for stage, content in (("describe", done), ("correlate", failed)):
        (root / ".sweep/units" / FIRST / f"{stage}.json").write_text(json.dumps(content))
    return root


@pytest.mark.usefixtures("synchronous")
def test_a_sweep_of_an_earlier_version(tmp_path):
    """Its table can be read; what other code has computed is computed again only when that is wanted."""
    root = earlier_sweep(tmp_path)
    row = status(root).loc[FIRST]
    assert row[["describe", "correlate", "correlate_error"]].tolist() == ["complete", "failed", "ValueError: no"]
    with pytest.raises(StoreError, match=r"by other code: run with --overwrite"):
        run_sweep(root)
    assert (run_sweep(root, overwrite=True)[NAMES] == "complete").all(axis=None)


@pytest.mark.usefixtures("synchronous")
@pytest.mark.parametrize("wrong", [{"status": "<b>"}, {"pid": "1"}, {"key": 3}, {"error": "x"}, {"other": 1}])
def test_a_damaged_record_counts_as_none(tmp_path, wrong):
    assert status(earlier_sweep(tmp_path, **wrong)).loc[FIRST, "describe"] == "absent"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"describe", "correlate"]', '"<script>alert(1)</script>"]'), "'<script>.* cannot name a stage"),
        (('"describe": {', '"<img src=x onerror=alert(1)>": {'), "cannot name a stage"),
        (('"describe": {', '"../../x": {'), "cannot name a stage"),
        (('"gas/T=0.5000/seed=0"', '"../../elsewhere"'), "cannot name a part of a store"),
        (('"descriptors/bo"', '"../../elsewhere"'), "cannot name a part of a store"),
        (('"temperature": 0.5', '"temperature": "0.5"'), r"states\[0\].temperature: expected float, found '0.5'"),
        (('"groups": ["descriptors/bo"]', '"groups": 3'), r"units.describe.groups: expected list, found 3"),
        (('"after": []', '"before": []'), "units.describe.before: unknown"),
        (('"states": [{', '"states": [3, {'), r"states\[0\]"),
        (('"folder": "..", ', ""), "folder: is missing"),
        (('"version": 1', '"version": 2'), "version 2: upgrade glassdask"),
        (('"version": 1', '"version": [1]'), "upgrade glassdask"),
    ],
)
def test_what_is_read_from_disk_is_checked(tmp_path, change, words):
    """A store may come from somebody else: what is shown, or used as a path, is what it claims to be."""
    assert change[0] in EARLIER
    (tmp_path / ".sweep").mkdir()
    (tmp_path / ".sweep/sweep.json").write_text(EARLIER.replace(change[0], change[1], 1))
    for read in (status, read_sweep):
        with pytest.raises(StoreError, match=words) as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("synchronous")
def test_failure_and_retry(tmp_path):
    """A state that fails stops nothing but what depends on it; retry mends it when its cause has gone."""
    file = save_sweep(tmp_path)
    path = tmp_path / "data/gas/T=0.5/0.zarr"
    chunk = next(file for file in (path / "position/c").rglob("*") if file.is_file())
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-4] + b"oops")
    table = run_sweep(file)
    assert table.loc[FIRST, NAMES].tolist() == ["failed", "waiting", "failed"]
    assert (table.drop(FIRST)[NAMES] == "complete").all(axis=None)
    assert "CorruptStoreError" in table.loc[FIRST, "describe_error"]
    assert str(path) in table.loc[FIRST, "describe_error"]
    kept = record(tmp_path, FIRST, "describe")
    assert kept["error"]["class"] == "CorruptStoreError"
    assert "Traceback" in kept["error"]["traceback"]
    assert {"host", "started", "ended", "pid"} <= set(kept)
    # a plain run leaves what has failed alone; retry works on nothing else
    chunk.write_bytes(content)
    seen = []
    table = run_sweep(file, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 0)]
    assert table.loc[FIRST, "describe"] == "failed"
    table = run_sweep(tmp_path / "sweep.zarr", retry=True, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3, 3)
    assert (table[NAMES] == "complete").all(axis=None)
    assert "error" not in record(tmp_path, FIRST, "describe")


@pytest.mark.usefixtures("synchronous")
def test_only_some_stages(tmp_path):
    file = save_sweep(tmp_path)
    table = run_sweep(file, stages=["reduce"])  # nothing is described yet
    assert (table[NAMES] == "absent").all(axis=None)
    table = run_sweep(file, stages=["describe", "correlate"], share=(1, 2))
    assert states_of(table, "describe") == {
        label: "absent" if n % 2 else "complete" for n, label in enumerate(table.index)
    }
    assert states_of(table, "correlate") == states_of(table, "describe")
    table = run_sweep(file, share=(2, 2))
    assert states_of(table, "reduce") == {
        label: "complete" if n % 2 else "absent" for n, label in enumerate(table.index)
    }
    with pytest.raises(ParameterError, match="no stage simulate"):
        run_sweep(file, stages=["simulate"])


@pytest.mark.slow
@pytest.mark.usefixtures("synchronous")
def test_other_parameters(tmp_path):
    """Other parameters are refused before any work; with overwrite they replace what depends on them, and no more."""
    file = save_sweep(tmp_path)
    run_sweep(file)
    path = tmp_path / "data/gas/T=0.5/0.zarr"
    before = stored(path)
    text = file.read_text()
    file.write_text(text.replace("l_max = 2", "l_max = 3"))
    with pytest.raises(StoreError, match=r"describe of gas/T=0.5000/seed=0: done with other parameters.*--overwrite"):
        run_sweep(file)
    assert stored(path) == before
    assert (status(tmp_path / "sweep.zarr")[NAMES] == "complete").all(axis=None)
    seen = []
    table = run_sweep(file, overwrite=True, progress=lambda done, total: seen.append(total))
    assert seen[-1] == 8
    assert (table[NAMES] == "complete").all(axis=None)
    assert gd.open_descriptors(path)["bo"].sizes["l"] == 3
    after = stored(path)
    same = [name for name in before if name.startswith(("position", "reductions/structure", "reductions/relaxation"))]
    assert len(same) > 20
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    # back again: bytes are those of the first time
    file.write_text(text)
    run_sweep(file, overwrite=True)
    assert stored(path) == before
    # another trajectory in the same place is noticed, too
    save_liquid(tmp_path / "other.zarr", seed=0, frames=3)
    for below in ("descriptors", "reductions"):
        shutil.copytree(path / below, tmp_path / "other.zarr" / below)
    shutil.rmtree(path)
    (tmp_path / "other.zarr").rename(path)
    with pytest.raises(StoreError, match=r"before the trajectory was changed.*--overwrite"):
        run_sweep(file)
    table = status(tmp_path / "sweep.zarr")
    assert table.loc[FIRST, NAMES].tolist() == ["absent"] * 3
    assert (table.drop(FIRST)[NAMES] == "complete").all(axis=None)
    assert (run_sweep(file, overwrite=True)[NAMES] == "complete").all(axis=None)
    assert gd.open_descriptors(path)["bo"].sizes["frame"] == 3


def test_status_meanwhile(tmp_path, monkeypatch):
    """What status says while a stage runs, after it was interrupted, and after it failed."""
    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=1)
    phases = []
    real = OWN["describe"].run

    def describe(state, settings, overwrite):
        phases.append(status(tmp_path / "sweep.zarr"))
        if len(phases) == 1:
            raise KeyboardInterrupt
        if len(phases) == 2:
            raise ValueError("two\nlines")
        real(state, settings, overwrite)
        phases.append(status(tmp_path / "sweep.zarr"))

    monkeypatch.setattr(OWN["describe"], "run", describe)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(file)
    assert phases[0].loc[FIRST, [*NAMES, "describe_fraction"]].tolist() == ["partial", "absent", "absent", 0.0]
    assert [run["pid"] for run in phases[0].attrs["runs"]] == [os.getpid()]
    interrupted = status(tmp_path / "sweep.zarr")
    assert interrupted.attrs["runs"] == []
    assert interrupted.loc[FIRST, NAMES].tolist() == ["partial", "absent", "absent"]
    table = run_sweep(file)
    assert table.loc[FIRST, NAMES].tolist() == ["failed", "waiting", "complete"]
    assert table.loc[FIRST, "describe_error"] == "ValueError: two lines"
    table = run_sweep(file, retry=True)
    assert phases[-1].loc[FIRST, ["describe", "describe_fraction"]].tolist() == ["partial", 1.0]
    assert (table[NAMES] == "complete").all(axis=None)


def many(folder, number):
    """Very many states that share one trajectory, complete already but for their records."""
    save_liquid(folder / "one.zarr", seed=0)
    (folder / "data/gas/T=1").mkdir(parents=True)
    for n in range(number):
        os.symlink(folder / "one.zarr", folder / f"data/gas/T=1/{n}.zarr")
    file = folder / "sweep.toml"
    file.write_text(FILE + STAGES)
    run_sweep(file, share=(1, number))
    return file


@pytest.mark.cluster
def test_few_outstanding(tmp_path, monkeypatch):
    """Of 600 states (1800 units) the scheduler knows a few for each worker, and the client no more."""
    file = many(tmp_path, 600)
    for name in NAMES:
        monkeypatch.setattr(OWN[name], "run", lambda state, settings, overwrite: None)
    known, held = [], []
    settings = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:

        def look(done, total):
            known.append(len(cluster.scheduler.tasks))
            held.append(len(client.futures))

        table = run_sweep(file, client, stages=["describe"], progress=look)
    assert len(known) == 600
    assert (table["describe"] == "complete").all()
    assert 1 < max(known) <= 2 * running.LEAST_OUTSTANDING
    assert max(held) <= 2 * running.LEAST_OUTSTANDING


@pytest.mark.cluster
def test_states_are_ended_one_after_the_other(tmp_path, monkeypatch):
    """What a unit makes possible comes before another state is begun, though each takes a while."""
    file = save_sweep(tmp_path, temperatures=(0.5, 0.6), seeds=4)
    order = []  # (stage, number of the state), as they begin
    labels = list(read_sweep(file))

    def slow(name):
        def run(state, settings, overwrite):
            order.append((name, labels.index(state.label)))
            time.sleep(0.05)

        return run

    for name in NAMES:
        monkeypatch.setattr(OWN[name], "run", slow(name))
    monkeypatch.setattr(running, "_whole", lambda state, stage: True)
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        run_sweep(file, client)
    assert sorted(order) == sorted((name, n) for name in NAMES for n in range(len(labels)))
    begun, open_at_once = set(), []
    left = Counter({n: len(NAMES) for n in range(len(labels))})
    for _, n in order:
        begun.add(n)
        left[n] -= 1
        open_at_once.append(sum(left[k] > 0 for k in begun))
    assert max(open_at_once) <= 2, order  # as many as there are workers


@pytest.mark.parametrize("with_client", [False, pytest.param(True, marks=pytest.mark.cluster)])
def test_interrupted_units_are_tried_again(tmp_path, monkeypatch, with_client):
    """What a dying process of an earlier run still writes, or a cancelled job killed, is no failure of the state."""
    file = save_sweep(tmp_path, temperatures=(0.5,))
    attempts, real = Counter(), OWN["describe"].run

    def describe(state, settings, overwrite):
        attempts[state.label] += 1
        if state.label == FIRST and attempts[FIRST] < 3:
            raise BusyStoreError("is being written by another process")
        if state.label != FIRST:
            raise SimulationKilledError("ended with signal SIGTERM")
        real(state, settings, overwrite)

    monkeypatch.setattr(OWN["describe"], "run", describe)
    if with_client:
        settings = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": "127.0.0.1:0"}
        with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
            table = run_sweep(file, client, stages=["describe"])
    else:
        table = run_sweep(file, stages=["describe"])
    assert set(attempts.values()) == {3}
    assert record(tmp_path, FIRST, "describe")["status"] == "complete"
    other = table.drop(FIRST).iloc[0]
    assert (other["describe"], other["reduce"]) == ("partial", "absent")
    assert other["describe_error"] == "SimulationKilledError: ended with signal SIGTERM"


def test_what_a_dying_process_writes_is_waited_for(tmp_path, monkeypatch):
    """A lock that is given back later than one attempt waits for leaves nothing undone, also without workers."""
    file = save_sweep(tmp_path, temperatures=(0.5,))
    monkeypatch.setattr(locks, "PATIENCE", 0.1)
    begun = tmp_path / "sweep.zarr/.sweep/units" / FIRST / "describe.json"
    held = threading.Event()

    def die_slowly():
        end = time.monotonic() + 30.0
        with locks.locked(tmp_path / "data/gas/T=0.5/0.zarr/descriptors/bo"):
            held.set()
            while not (begun.exists() and "interrupted" in begun.read_text()) and time.monotonic() < end:
                time.sleep(0.001)

    dying = threading.Thread(target=die_slowly)
    dying.start()
    held.wait()
    table = run_sweep(file, stages=["describe"])
    dying.join()
    assert (table["describe"] == "complete").all(), table["describe_error"].tolist()


class Deadly(distributed.WorkerPlugin):
    """A plugin of dask's workers: the first state kills them."""

    def setup(self, worker):
        real = OWN["describe"].run

        def describe(state, settings, overwrite):
            if state.label == FIRST:
                os.kill(os.getpid(), signal.SIGKILL)
            real(state, settings, overwrite)

        OWN["describe"].run = describe


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(300)
def test_lost_workers(tmp_path):
    """A state that kills every worker is recorded as failed; the others are done."""
    file = save_sweep(tmp_path)
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}
    with (
        # on a busy machine a new worker takes longer than the 15 s after which LocalCluster does without it
        dask.config.set(
            {"distributed.scheduler.allowed-failures": 1, "distributed.deploy.lost-worker-timeout": "300s"}
        ),
        distributed.LocalCluster(**settings) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_plugin(Deadly())
        table = run_sweep(file, client)
    assert table.loc[FIRST, NAMES].tolist() == ["failed", "waiting", "complete"]
    assert "KilledWorker" in table.loc[FIRST, "describe_error"]
    assert (table.drop(FIRST)[NAMES] == "complete").all(axis=None)


@pytest.mark.usefixtures("synchronous")
def test_two_runs_at_once(tmp_path, monkeypatch):
    """A second run says who is at work; runs of other shares may go on at the same time."""
    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=2)
    messages = []

    def describe(state, settings, overwrite):
        for share in (None, (1, 2), (2, 2), (1, 3)):
            try:
                run_sweep(file, stages=["correlate"], share=share)
            except StoreError as error:
                messages.append((share, str(error)))

    monkeypatch.setattr(OWN["describe"], "run", describe)
    run_sweep(file, stages=["describe"], share=(1, 2))
    assert [share for share, _ in messages] == [None, (1, 2), (1, 3)]
    assert all(f"process {os.getpid()}" in text for _, text in messages)
    messages.clear()
    run_sweep(file, stages=["describe"])
    assert [share for share, _ in messages][:4] == [None, (1, 2), (2, 2), (1, 3)]


@pytest.mark.usefixtures("synchronous")
def test_moved(tmp_path):
    """A sweep that is moved with its trajectories goes on where it was, by its store alone; so through a link."""
    old = tmp_path / "old"
    run_sweep(save_sweep(old), stages=["describe"])
    old.rename(tmp_path / "new")
    (tmp_path / "link").symlink_to(tmp_path / "new" / "sweep.zarr")
    for store in (tmp_path / "new" / "sweep.zarr", tmp_path / "link"):
        table = status(store)
        assert (table["describe"] == "complete").all()
        assert table.loc[LAST, "path"] == str(tmp_path / "new/data/gas/T=0.6/1.zarr")
    table = run_sweep(tmp_path / "new" / "sweep.zarr")
    assert (table[NAMES] == "complete").all(axis=None)


@pytest.mark.usefixtures("synchronous")
@pytest.mark.parametrize("retry", [True, False])
def test_what_failed_is_done_with_other_settings(tmp_path, monkeypatch, retry):
    """No --overwrite is needed: of a unit that failed nothing counts, though it has stored a part."""
    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=1)
    text, real = file.read_text(), measures.relaxation

    def relaxation(path, k):
        if k == 0.1:
            raise ParameterError("k is 0.1: too small")
        return real(path, k)

    monkeypatch.setattr(measures, "relaxation", relaxation)
    file.write_text(text.replace("k = 7.0", "k = 0.1"))
    table = run_sweep(file)
    assert table.loc[FIRST, NAMES].tolist() == ["complete", "complete", "failed"]
    file.write_text(text)
    table = run_sweep(file, retry=retry)
    assert (table[NAMES] == "complete").all(axis=None)
    assert float(gd.open_reduction(tmp_path / "data/gas/T=0.5/0.zarr", "relaxation")["k"]) == 7.0


@pytest.mark.usefixtures("synchronous")
def test_a_record_that_is_gone_is_missed(tmp_path):
    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=1, stages="[correlate]\ndynamics = false\n")
    run_sweep(file)
    store = tmp_path / "sweep.zarr"
    assert verify(store) == []
    for name in (f"units/{FIRST}/correlate.json", "sweep.json"):
        record, content = store / ".sweep" / name, (store / ".sweep" / name).read_bytes()
        record.unlink()
        assert [problem.partition(",")[0].partition(": run")[0] for problem in verify(store)] == [
            f"{record}: is missing"
        ]
        record.write_bytes(content)
    shutil.rmtree(store / ".sweep")
    assert verify(store) == [f"{store}: holds nothing: check the path"]
