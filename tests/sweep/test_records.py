"""Records of complete states that are gathered in one file: the same table, whatever happens on the way."""

from __future__ import annotations

import gc
import json
import shutil

import dask
import pytest

import glassdask as gd
from glassdask.errors import StoreError
from glassdask.store import verify
from glassdask.sweep import records, run_sweep, running, status
from tests.sweep.liquids import save_sweep

NAMES = ["describe", "reduce", "correlate"]
FIRST = "gas/T=0.5000/seed=0"


@pytest.fixture(scope="module")
def gathered(tmp_path_factory):
    """A sweep whose records are gathered, and its table when each still had a file."""
    folder = tmp_path_factory.mktemp("gathered")
    with dask.config.set(scheduler="synchronous"), pytest.MonkeyPatch.context() as patch:
        table = run_sweep(save_sweep(folder))
        assert not (folder / "sweep.zarr/.sweep/records.json").exists()
        patch.setattr(running, "GATHER_AT", 2)
        run_sweep(folder / "sweep.toml")
    return folder, table


@pytest.fixture
def sweep(gathered, tmp_path):
    shutil.copytree(gathered[0], tmp_path / "copy")
    return tmp_path / "copy"


def test_gathered_records_say_the_same(gathered):
    folder, table = gathered
    root = folder / "sweep.zarr"
    assert [file.name for file in (root / ".sweep/units").rglob("*.json")] == []
    now = status(root)
    assert now.to_dict() == table.to_dict()
    assert verify(root) == []
    calls = []
    run_sweep(folder / "sweep.toml", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 0)]


def test_the_status_of_gathered_states_looks_at_no_record_of_theirs(gathered, monkeypatch):
    """And makes its objects without the collector of cycles, which would take as long as all else together."""
    root = gathered[0] / "sweep.zarr"
    collecting = []
    whole = records.read_description

    def watched(store):
        collecting.append(gc.isenabled())
        return whole(store)

    monkeypatch.setattr(records, "read_description", watched)
    monkeypatch.setattr(records, "read_record", lambda file: pytest.fail(f"{file} is read"))
    assert (status(root)[NAMES] == "complete").all(axis=None)
    with pytest.raises(StoreError, match="no sweep was run here"):
        status(root / "elsewhere")
    assert collecting == [False, False]
    assert gc.isenabled()


def test_a_newer_record_counts_more(sweep, monkeypatch):
    """What is run again has a file of its own, until it is gathered again."""
    file, root = sweep / "sweep.toml", sweep / "sweep.zarr"
    file.write_text(file.read_text().replace("l_max = 2", "l_max = 3"))
    with dask.config.set(scheduler="synchronous"):
        with pytest.raises(StoreError, match="other parameters"):
            run_sweep(file)
        table = run_sweep(file, overwrite=True)
        assert (table[NAMES] == "complete").all(axis=None)
        assert len(list((root / ".sweep/units").rglob("describe.json"))) == 4
        keys = {label: units["describe"].key for label, units in zip(table.index, read(root))}
        monkeypatch.setattr(running, "GATHER_AT", 4)
        assert (run_sweep(file)[NAMES] == "complete").all(axis=None)
    assert not list((root / ".sweep/units").rglob("*.json"))
    assert {label: units["describe"].key for label, units in zip(table.index, read(root))} == keys


def test_killed_between_the_file_and_the_files(sweep, monkeypatch):
    """The gathered file is there before any of the others goes."""
    root = sweep / "sweep.zarr"
    before = status(root)
    for units, state in zip(read(root), records.read_description(root).states):
        for stage, record in units.items():
            fields = {name: getattr(record, name) for name in records.ROW if name not in ("host", "pid", "key")}
            records.write_record(records.unit_file(root, state.label, stage), "complete", record.key, **fields)
    (root / ".sweep/records.json").unlink()

    unlink = records.Path.unlink

    def killed(file, *arguments, **more):
        if "units" not in file.parts and file.name != "records.json":
            return unlink(file, *arguments, **more)
        raise KeyboardInterrupt

    for place, name in ((records.metadata, "write_record"), (records.Path, "unlink")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, killed)
            with pytest.raises(KeyboardInterrupt):
                records.gather(root, before.index)
        assert status(root).to_dict() == before.to_dict()
    assert (root / ".sweep/records.json").exists()
    records.gather(root, before.index)
    assert status(root).to_dict() == before.to_dict()


def test_a_full_disk_leaves_the_records_where_they_are(sweep, monkeypatch):
    file, root = sweep / "sweep.toml", sweep / "sweep.zarr"
    file.write_text(file.read_text().replace("l_max = 2", "l_max = 3"))

    def full(*arguments):
        raise StoreError("no space")

    monkeypatch.setattr(running, "GATHER_AT", 1)
    monkeypatch.setattr(records, "gather", full)
    with dask.config.set(scheduler="synchronous"):
        assert (run_sweep(file, overwrite=True)[NAMES] == "complete").all(axis=None)
    assert len(list((root / ".sweep/units").rglob("*.json"))) == 8  # describe and reduce


@pytest.mark.parametrize("how", ["edited", "retyped", "cut", "lost"])
def test_damage_of_what_is_gathered(sweep, how):
    """Damage is named by `verify`; the units count as not begun, and are found done when they are run again."""
    root = sweep / "sweep.zarr"
    file = root / ".sweep/records.json"
    content = json.loads(file.read_text())
    if how == "edited":
        content["states"][FIRST]["describe"][0] = "0" * 20
        file.write_text(json.dumps(content))
    elif how == "retyped":
        content.pop("seal")
        content["states"][FIRST]["describe"][2] = "1"
        records.metadata.write_record(file, content, "records.json")
    elif how == "cut":
        file.write_text(file.read_text()[:-100])
    else:
        file.unlink()
    assert (status(root)[NAMES] == "absent").all(axis=None)
    if how in ("edited", "cut"):
        assert [problem for problem in verify(root) if "records.json" in problem]
    with dask.config.set(scheduler="synchronous"):
        assert (run_sweep(sweep / "sweep.toml")[NAMES] == "complete").all(axis=None)
    assert status(root).loc[FIRST, "describe"] == "complete"


def read(root):
    return records.read_records(root, records.read_description(root).states)


def _torn(file):
    text = file.read_bytes()
    file.write_bytes(text[: len(text) // 2] + bytes(len(text) // 2))


@pytest.mark.parametrize("damage", [_torn, lambda file: file.unlink()])
@pytest.mark.parametrize("mend", ["run again", "repaired"])
def test_the_root_of_a_sweep_has_no_data_and_is_made_anew(sweep, damage, mend):
    root = sweep / "sweep.zarr"
    before = (root / "zarr.json").read_bytes()
    damage(root / "zarr.json")
    (root / "zarr.json.00000000000000000000000000000000.partial").write_text("left by a killed run")
    assert any(line.startswith(str(root)) for line in verify(root))
    if mend == "repaired":
        (line,) = gd.repair(root).restored
        assert line.endswith("its metadata, those of a group without data of its own")
    else:
        table = run_sweep(sweep / "sweep.toml")
        assert (table[NAMES] == "complete").all(axis=None)
        assert not list(root.glob("*.partial"))
    assert verify(root) == []
    assert json.loads((root / "zarr.json").read_bytes()) == json.loads(before)
