"""`glassdask info`: physics of a store and of a sweep, on a few lines, and commands that go on from there."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

import glassdask as gd
from glassdask.sweep import run_sweep
from tests.sweep.liquids import save_sweep
from tests.test_cli import ARGS, run


def lines(monkeypatch, capsys, *arguments):
    code, out, error = run(monkeypatch, capsys, "info", *arguments)
    assert code == 0, error
    return {line[2:12].strip(): line[13:] for line in out.splitlines()[1:]}, out


def liquid(n=60, frames=3, **more):
    rng = np.random.default_rng(4)
    species = np.where(np.arange(n) % 3 == 0, "B", "A")
    given = {"species": species, "box": [5.0, 4.0, 3.0], "time": [0.0, 0.5, 1.0][:frames], **more}
    return gd.from_arrays(rng.random((frames, n, 3)) * [5, 4, 3], **given)


def test_physics(monkeypatch, capsys, tmp_path):
    store = tmp_path / "x.zarr"
    gd.save_trajectory(liquid(periodic=(True, True, False)), store)
    found, _ = lines(monkeypatch, capsys, store)
    assert found["particles"] == "N = 60 in 3 dimensions: 40 A (66.7 %), 20 B (33.3 %)"
    assert found["box"] == "5 x 4 x 3, open along z; density 1"
    assert found["frames"] == "3, t = 0 to 1, 0.5 apart"
    assert "sigma" in found["units"]
    assert found["next"] == f"glassdask describe {store} sbo"
    physics = json.loads(run(monkeypatch, capsys, "info", store, "--json")[1])["physics"]
    assert physics["density"] == pytest.approx(1.0)
    assert physics["species"] == {"A": 40, "B": 20}
    assert physics["time"] == {"first": 0.0, "last": 1.0, "apart": [0.5, 0.5]}
    assert "position" in lines(monkeypatch, capsys, store, "--arrays")[1]


def test_what_changes_is_said(monkeypatch, capsys, tmp_path):
    boxes = np.diag([5.0, 4.0, 3.0]) * np.array([1.0, 1.1, 1.2])[:, None, None]
    swapped = np.where((np.arange(60) + np.arange(3)[:, None]) % 3 == 0, "B", "A")
    store = tmp_path / "x.zarr"
    gd.save_trajectory(liquid(species=swapped, box=boxes, time=[0.0, 0.1, 1.0]), store)
    found, out = lines(monkeypatch, capsys, store)
    assert found["particles"].endswith("in the first frame: species change from frame to frame")
    assert "in the first frame: it changes" in found["box"]
    assert found["frames"] == "3, t = 0 to 1, 0.1 to 0.9 apart"
    many = tmp_path / "many.zarr"
    gd.save_trajectory(liquid(species=[f"s{k}" for k in range(60)], time=None), many)
    found, out = lines(monkeypatch, capsys, many)
    assert found["particles"] == "N = 60 in 3 dimensions: 60 species"
    assert "no times are known" in found["frames"]
    assert len(out.splitlines()) < 10


def test_a_thousand_sources_are_one_line(monkeypatch, capsys, tmp_path):
    store = tmp_path / "x.zarr"
    gd.save_trajectory(liquid(), store)
    sources = [{"name": f"dump.{k:04d}", "sha256": "0" * 64, "n_frames": 1} for k in range(1000)]
    gd.store.set_attributes(store, sources=sources)
    found, _ = lines(monkeypatch, capsys, store)
    assert found["from"].startswith("1000 files, dump.0000 to dump.0999, 2")


def test_the_commands_that_are_advised_lead_on(monkeypatch, capsys, tmp_path):
    store = tmp_path / "x.zarr"
    cells = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(1, 216, 3)
    jitter = np.random.default_rng(1).normal(scale=0.05, size=(3, 216, 3))
    gd.save_trajectory(gd.from_arrays((cells + jitter) % 6.0, species=["A"] * 216, box=[6.0] * 3), store)
    monkeypatch.chdir(tmp_path)
    taken = []
    for _ in range(3):
        command = lines(monkeypatch, capsys, store)[0]["next"]
        taken.append(command.split()[1])
        options = ARGS if taken[-1] != "plot" else ()
        code, _, error = run(monkeypatch, capsys, *shlex.split(command)[1:], *options)
        assert code == 0, error
    assert taken == ["describe", "reduce", "plot"]
    assert (tmp_path / "sbo.png").exists()
    found, _ = lines(monkeypatch, capsys, store)
    assert (found["described"], found["reduced"]) == ("sbo (of A)", "sbo (of A)")
    assert run(monkeypatch, capsys, "describe", store, "sbo:l_max=4", "--overwrite", *ARGS)[0] == 0
    found, _ = lines(monkeypatch, capsys, store)
    assert "was computed before descriptors/sbo was changed" in found["reduced"]


def test_what_is_advised_has_features_of_its_own(monkeypatch, capsys, tmp_path):
    store = tmp_path / "a b.zarr"
    gd.save_trajectory(liquid(periodic=(True, True, True)), store)
    # a number of each particle has no principal components
    for word, name, action in (
        ("coordination", "coordination", "plot"),
        ("voronoi:diameters=none", "voronoi", "reduce"),
    ):
        assert run(monkeypatch, capsys, "describe", store, word, "--cutoff", "1.5", *ARGS)[0] == 0
        assert shlex.split(lines(monkeypatch, capsys, store)[0]["next"])[1:4] == [action, str(store), name]
    assert run(monkeypatch, capsys, "reduce", store, "coordination", *ARGS)[0] == 0
    assert shlex.split(lines(monkeypatch, capsys, store)[0]["next"])[1:] == ["reduce", str(store), "voronoi"]
    assert run(monkeypatch, capsys, "reduce", store, "voronoi", *ARGS)[0] == 0
    found, _ = lines(monkeypatch, capsys, store)
    assert found["described"] == "coordination (of A, B), voronoi (of A, B)"
    assert shlex.split(found["next"])[1:] == ["plot", str(store), "voronoi", "-o", "voronoi.png"]


def test_descriptors_of_several_structures_say_of_which(monkeypatch, capsys, tmp_path):
    store = tmp_path / "a.zarr"
    both = liquid().assign(inherent_position=liquid()["position"])
    gd.save_trajectory(both, store)
    structures = ["position", "inherent_position"]
    stored = gd.describe(gd.open_trajectory(store), [gd.Coordination(cutoffs=1.5)], structures=structures, centers="B")
    gd.save_descriptors(stored, store)
    found, _ = lines(monkeypatch, capsys, store)
    assert found["described"] == "coordination (of B; at position, inherent_position)"


def test_sweeps(monkeypatch, capsys, tmp_path):
    file = save_sweep(tmp_path)
    run_sweep(file, stages=["describe"])
    store = tmp_path / "sweep.zarr"
    found, out = lines(monkeypatch, capsys, store)
    assert out.startswith(f"{store}: a sweep of 4 states\n")
    assert "gas: T = 0.5, 0.6, 2 seeds" in out
    assert (found["describe"], found["reduce"]) == ("4 of 4 complete", "0 of 4 complete")
    assert found["next"] == f"glassdask sweep status {store}"
    told = json.loads(run(monkeypatch, capsys, "info", store, "--json")[1])
    assert (told["states"], told["complete"]["describe"]) == (4, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("describe", "STORE", "bo", "--centers", "Q"), "expected some of the species A, B"),
        (("describe", "STORE", "bo:neighbors=k_nearest"), "bo.neighbors.k: is missing"),
        (("describe", "STORE", "theta:diameters=own"), "no diameters of their own"),
        (("describe", "STORE", "bo:l_max=99"), "degrees l_min = 1 to l_max = 99"),
        (("describe", "STORE", "sharp=bo:gamma=4"), "bo.gamma: unknown"),
        (("describe", "STORE", "bo:l_max=3"), "stored with other parameters (l_max 4, now 3)"),
        (("reduce", "STORE", "bo", "--components", "99"), "--components 99: bo has 4 features"),
        (("reduce", "STORE", "bo", "--method", "magic"), "method is 'magic'"),
        (("reduce", "STORE", "bo", "--name", "../x"), "cannot name a part of a store"),
        (("sweep", "run", "SWEEP", "--only", "nothing"), "has no stage nothing: choose from describe"),
        (("cutoffs", "STORE", "-o", "none/x.png"), "there is no folder none"),
        (("dynamics", "STORE", "nothing"), "unknown quantity 'nothing'"),
        (("export", "STORE", "-o", "x.nothing"), "no format that is written has this suffix"),
    ],
)
def test_slips_are_told_before_anything_begins(monkeypatch, capsys, tmp_path, arguments, message):
    store = tmp_path / "x.zarr"
    gd.save_trajectory(liquid(), store)
    gd.save_descriptors(gd.describe(gd.open_trajectory(store), gd.BondOrder(l_max=4, cutoffs=1.4)), store)
    sweep = save_sweep(tmp_path, temperatures=(0.5,), seeds=1)

    def never(*_, **__):
        raise AssertionError("began")

    monkeypatch.setattr("glassdask.cluster.connect", never)
    monkeypatch.setattr("glassdask.correlations.measured.radial_distribution", never)
    monkeypatch.chdir(tmp_path)
    places = {"STORE": store, "SWEEP": sweep}
    code, _, error = run(monkeypatch, capsys, *(places.get(word, word) for word in arguments))
    assert code == 1
    assert message in error
    assert "\n" not in error


@pytest.mark.parametrize("command", ["info", "plot", "cutoffs", "verify", "repair", "export", "describe", "dynamics"])
@pytest.mark.parametrize("what", ["nothing.zarr", "a_file", "a_folder"])
def test_what_is_no_store_is_one_line(monkeypatch, capsys, tmp_path, command, what):
    (tmp_path / "a_file").write_text("hello")
    (tmp_path / "a_folder").mkdir()
    more = {"plot": ["bo", "-o", "x.png"], "export": ["-o", "x.extxyz"], "describe": ["bo"], "dynamics": ["msd"]}
    monkeypatch.chdir(tmp_path)
    code, out, error = run(monkeypatch, capsys, command, what, *more.get(command, []))
    assert code == 1
    (line,) = (out + error).strip().splitlines()
    assert what in line
