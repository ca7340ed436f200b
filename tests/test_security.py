"""Files and names from elsewhere run nothing, and write nothing outside of the store that they belong to."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import store as stores
from glassdask.errors import FormatError, GlassdaskError, ParameterError, SimulationError, StoreError
from glassdask.io.pickles import load_arrays
from glassdask.simulation.checkpoints import load_state
from glassdask.simulation.operations import State
from glassdask.simulation.recorders import MeansRecorder, TrajectoryRecorder

ROOT = Path(__file__).parents[1]


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, call, *arguments):
        self.made_of = (call, arguments)

    def __reduce__(self):
        return self.made_of


@pytest.fixture
def bombs(tmp_path):
    """Pickles of every way to call something, and the file that appears if one of them does."""
    victim = tmp_path / "ran"
    command = f"touch {victim}"
    pickles = {
        "system": pickle.dumps({"positions": Bomb(os.system, command)}),
        "eval": pickle.dumps(Bomb(eval, f"open({str(victim)!r}, 'w')")),
        # opcodes that pickle.dumps does not make: INST, OBJ, GLOBAL with REDUCE, an extension, a persistent id
        "inst": f"(S'{command}'\nios\nsystem\n.".encode(),
        "obj": f"(cos\nsystem\nS'{command}'\no.".encode(),
        "global": f"cos\nsystem\n(S'{command}'\ntR.".encode(),
        "stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + bytes([len(command)]) + command.encode() + b"\x85R.",
        "extension": b"\x80\x02\x82\x01.",
        "persistent": b"Pmodule\n.",
        "build": b"cnumpy.core.multiarray\n_reconstruct\n}S'__call__'\ncos\nsystem\nsb.",
        "dotted": b"\x80\x04\x8c\x05numpy\x8c\x13ndarray.__init__.x\x93.",
    }
    return pickles, victim


def test_public_pickles_run_nothing(bombs, tmp_path):
    pickles, victim = bombs
    for name, content in pickles.items():
        with pytest.raises(FormatError):
            load_arrays(content, name)
        file = tmp_path / f"{name}.pickle"
        file.write_bytes(content)
        with pytest.raises(FormatError):
            gd.ingest(file, tmp_path / "x.zarr")
    assert not victim.exists()


def endless():
    """Pickles of some hundred bytes that mean very much, or take very long, or claim that they will."""
    shared, arrays, tuples = ["x"], [np.ones(9)], b"\x80\x04}(\x8c\x01x\x85"
    for _ in range(60):
        shared, arrays = [shared, shared], [arrays, arrays]
    for number in range(60):
        tuples += bytes([0x94, ord("h"), number, ord("h"), number, 0x86])
    return {
        "lists": pickle.dumps({"positions": shared}),
        "arrays": pickle.dumps({"positions": arrays}),
        "keys": tuples + b"K\x01u.",
        "key": tuples.replace(b"(", b"", 1) + b"K\x01s.",
        "dictionary": tuples.replace(b"}(", b"(", 1) + b"K\x01d.",
        "set": tuples.replace(b"}", b"\x8f", 1) + b"\x90.",
        "memo": b"\x80\x04}r\xff\xff\xff\x7f.",
        "bytes": b"\x80\x05}\x8c\x01x\x96" + (1 << 36).to_bytes(8, "little") + b"s.",
        "itself": b"\x80\x04}\x94\x8c\x01x]\x94h\x01as.",
    }


@pytest.mark.parametrize("name", endless())
def test_pickles_that_never_end(name):
    """In a process with a second or two of time and 1 GB more of memory than it has."""
    program = (
        "import resource, sys, time\nfrom pathlib import Path\nfrom glassdask.io.pickles import load_arrays\n"
        "from glassdask.errors import FormatError\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30),) * 2)\n"
        "seconds = int(time.process_time()) + 10\nresource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))\n"
        "content = sys.stdin.buffer.read()\n"
        "try: print('read', len(load_arrays(content, 'it')))\nexcept FormatError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=endless()[name], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().startswith(("it: ", "read")), done.stdout
    assert done.stdout.startswith(b"it: ") == (name not in ("lists", "memo", "itself")), done.stdout


def test_checkpoints_run_nothing(bombs):
    pickles, victim = bombs
    for name, content in pickles.items():
        with pytest.raises(SimulationError, match=f"{name}.*: remove this checkpoint"):
            load_state(content, name)
    hidden = State(recorder=Bomb(os.system, f"touch {victim}"))
    with pytest.raises(SimulationError, match=r"needs posix.system, which is not run"):
        load_state(pickle.dumps(hidden), "state.pickle")
    assert not victim.exists()


def test_checkpoints_that_simulations_write_are_read():
    trajectory = TrajectoryRecorder("x.zarr", 3, ("A", "B"), {"model": "KA"})
    trajectory.frames.append({"position": np.ones((4, 3)), "step": np.int64(7), "time": 0.5})
    means = MeansRecorder("folder", "x.zarr", ("A",), range(2, 4), 5, True)
    for recorder in (trajectory, means):
        state = State(recorder=recorder, memory=(np.arange(3.0), 2, 0.1), thermo=[(1.0, 2.0)], columns=("a", "b"))
        found = load_state(pickle.dumps(state), "state.pickle")
        assert found.thermo == state.thermo
        assert set(vars(found.recorder)) == set(vars(recorder))
        np.testing.assert_array_equal(found.memory[0], state.memory[0])


@pytest.mark.parametrize("kind", ["archive", "public", "model"])
def test_archives_with_objects_run_nothing(tmp_path, kind):
    victim = tmp_path / "ran"
    objects = np.array([Bomb(os.system, f"touch {victim}")] * 4, dtype=object)
    names = {"archive": ("position", "species", "box"), "public": ("initial_positions", "types")}
    path = tmp_path / "objects.npz"
    np.savez(path, allow_pickle=True, **dict.fromkeys(names.get(kind, ("model", "components")), objects))
    read = {
        "archive": lambda: gd.ingest(path, tmp_path / "x.zarr"),
        "public": lambda: gd.ingest(path, tmp_path / "x.zarr"),
        "model": lambda: gd.learning.load_model(path),
    }[kind]
    with pytest.raises(GlassdaskError):
        read()
    assert not victim.exists()


def test_weights_with_objects_run_nothing(tmp_path):
    torch = pytest.importorskip("torch")
    victim = tmp_path / "ran"
    torch.save({"weight": Bomb(os.system, f"touch {victim}")}, tmp_path / "weights.pt")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "weights.pt", weights_only=True)
    assert not victim.exists()


def test_what_could_run_a_file_is_used_nowhere_else():
    """Every call that could run what it reads stands here, with the reason why it does not."""
    known = {
        "glassdask/files.py": "the unpickler that refuses all but what is listed",
        "glassdask/simulation/worker.py": "the job that the parent process wrote a moment before",
    }
    calls = (
        r"\bpickle\.(loads?|Unpickler)\b|\"_Unpickler\"|(?<![.\w])eval\(|(?<![.\w])exec\(|allow_pickle=True|shell=True"
    )
    calls += r"|yaml\.(unsafe_|full_)?load\(|joblib\.load|shelve\.|marshal\.loads?|os\.system"
    calls += r"|torch\.load\((?!.*weights_only=True)"
    found = {
        str(file.relative_to(ROOT))
        for folder in ("glassdask", "pipelines", "notebooks")
        for file in (ROOT / folder).rglob("*.py")
        if re.search(calls, file.read_text())
    }
    assert found == set(known)


def trajectory():
    rng = np.random.default_rng(0)
    return gd.from_arrays(3.0 * rng.random((2, 20, 3)), species=["A"] * 20, box=[3.0, 3.0, 3.0])


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "inner" / "liquid.zarr"
    gd.save_trajectory(trajectory(), path)
    return path


def outside(store):
    """Every file that is not in the store."""
    top = store.parents[1]
    return {str(file.relative_to(top)) for file in top.rglob("*") if store not in [file, *file.parents]}


BAD_NAMES = ["../../escape", "..", "/tmp/escape", "a/../../escape", ".hidden", "", "a\\b", "a b", "c", "zarr.json"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_lead_nowhere_else(store, name):
    before = outside(store)
    half = (gd.open_trajectory(store)[["position"]] / 2).rename(position="half")
    described = gd.describe(gd.open_trajectory(store), {"bo": gd.BondOrder(l_max=2, cutoffs=1.0)})
    reduced = gd.reduce(described["bo"])
    with pytest.raises(StoreError, match="cannot name a part of a store"):
        stores.write_dataset(half, store, f"descriptors/{name}", parameters={})
    with pytest.raises(StoreError, match="cannot name a part of a store"):
        gd.save_reduction(reduced, store, name)
    for read in (gd.open_reduction, lambda path, wanted: gd.open_descriptors(path, [wanted])):
        with pytest.raises((GlassdaskError, KeyError)):
            read(store, name)
    assert outside(store) == before


@pytest.mark.parametrize("path", ["liquid.zarr/../escape", "liquid.zarr/a/../../escape.zarr", "a\0.zarr"])
def test_paths_do_not_step_upwards_inside_a_store(store, path):
    before = outside(store)
    with pytest.raises(StoreError, match="is not the path of a store"):
        gd.save_trajectory(trajectory(), store.parent / path)
    assert outside(store) == before


LINKS = ["descriptors", "descriptors/half", "descriptors/half/half", "descriptors/half/half/c"]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("name", ["liquid.zarr", "liquid"])
def test_nothing_is_written_through_a_link_in_a_store(store, tmp_path, link, overwrite, name):
    """A store from elsewhere may hold links; what they name stays as it is, also where a group is to be continued."""
    store = store.rename(store.with_name(name))
    half = (gd.open_trajectory(store)[["position"]] / 2).rename(position="half").chunk(frame=1)
    stores.write_dataset(half, store, "descriptors/half", parameters={})
    if not overwrite:
        (store / "descriptors/half/half/c/0/0/0").unlink()
    victim = tmp_path / "victim"
    (store / link).rename(victim)
    (store / link).symlink_to(victim)
    before = {file: file.read_bytes() for file in victim.rglob("*") if file.is_file()}
    parameters = {"other": 1} if overwrite else {}
    try:
        stores.write_dataset(half, store, "descriptors/half", parameters=parameters, overwrite=overwrite)
        assert overwrite  # then the link was removed, with the group that held it
        assert not (store / link).is_symlink()
    except StoreError as error:
        assert "is a symbolic link, through which nothing is written" in str(error)  # noqa: PT017
    assert {file: file.read_bytes() for file in victim.rglob("*") if file.is_file()} == before


def test_a_store_may_be_a_link(store, tmp_path):
    (tmp_path / "link.zarr").symlink_to(store)
    half = (gd.open_trajectory(tmp_path / "link.zarr")[["position"]] / 2).rename(position="half")
    stores.write_dataset(half, tmp_path / "link.zarr", "descriptors/half", parameters={})
    xr.testing.assert_equal(gd.open_descriptors(store)["half"].compute(), half["half"].compute())


def test_members_of_an_archive_lead_nowhere(tmp_path):
    """Names in an archive are names of arrays, not of files."""
    rng = np.random.default_rng(0)
    arrays = {"position": rng.random((2, 8, 3)), "species": np.ones(8, int), "box": np.ones(3), "../../escape": [1.0]}
    np.savez(tmp_path / "run.npz", **arrays)
    before = {file.name for file in tmp_path.parent.iterdir()}
    gd.ingest(tmp_path / "run.npz", tmp_path / "inner" / "run.zarr")
    assert {file.name for file in tmp_path.parent.iterdir()} == before
    assert {file.name for file in tmp_path.iterdir()} == {"run.npz", "inner"}


def test_codecs_of_a_store_run_nothing(store):
    """A codec that unpickles is no codec of glassdask's stores."""
    file = store / "position" / "zarr.json"
    metadata = json.loads(file.read_text())
    for name in ("pickle", "numcodecs.pickle", "numcodecs.json2"):
        file.write_text(json.dumps({**metadata, "codecs": [{"name": name, "configuration": {}}]}))
        with pytest.raises(Exception, match=r"(?i)codec"):
            gd.open_trajectory(store)["position"].values  # noqa: B018


@pytest.mark.parametrize(
    "lines",
    [
        "[[runs]]\ntrajectories = 'liquid.zarr'\nmodel = '../../escape'\ntemperature = 1.0",
        "[[runs]]\ntrajectories = 'liquid.zarr'\nmodel = '/tmp/escape'\ntemperature = 1.0",
        "store = 'x.zarr'\n[[runs]]\nmodel = '../kob_andersen'\ntemperatures = [1.0]",
    ],
)
def test_labels_of_a_sweep_lead_nowhere(store, lines):
    from glassdask.sweep import read_sweep

    before = outside(store)
    file = store.parent / "sweep.toml"
    file.write_text(f"{lines}\n[describe.descriptors.bo]\nl_max = 2\n")
    with pytest.raises((ParameterError, StoreError)):
        read_sweep(file)
    assert outside(store) - {"inner/sweep.toml"} == before
