"""A store that was damaged in any way is repaired, or it is told what is lost; nothing that was right gets worse."""

import json
import shutil

import numpy as np
import pytest

import glassdask as gd
from glassdask import errors, store
from glassdask.store import appending, locks
from glassdask.store.metadata import SEAL
from tests.store.store_cases import chunk_files, make_trajectory


@pytest.fixture
def run(tmp_path, small_chunks):
    """A trajectory that was read from a file, and what was derived from it."""
    made = make_trajectory(n_frames=8)
    given = {name: made[name].values for name in ("position", "species", "box")}
    np.savez(tmp_path / "run.npz", **given)
    path = tmp_path / "run.zarr"
    gd.ingest(tmp_path / "run.npz", path)
    trajectory = store.open_trajectory(path)
    half = (trajectory[["position"]] / 2).rename(position="half", space="l").drop_vars(["l"])
    store.write_dataset(half, path, "descriptors/half", parameters={"by": 2})
    assert store.verify(path) == []
    return path


def whole(path):
    """Everything that a store says and holds, to be compared."""
    return store.content_hash(path), store.content_hash(path / "descriptors/half"), chunk_files(path)


def exchange(one, other):
    spare = one.with_name("spare")
    one.rename(spare)
    other.rename(one)
    spare.rename(other)


NODES = ["", "position", "box", "species", "descriptors", "descriptors/half", "descriptors/half/half"]


def unsealed(file):
    """Edited by somebody who has taken the checksum away."""
    content = json.loads(file.read_text())
    content["attributes"].pop(SEAL)
    file.write_text(json.dumps({**content, "attributes": {**content["attributes"], "note": 1}}))


DAMAGE = {
    "unsealed": unsealed,
    "a folder": lambda file: (file.unlink(), file.mkdir(), (file / "x").touch()),
    "torn": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "empty": lambda file: file.write_bytes(b""),
    "gone": lambda file: file.unlink(),
    "edited": lambda file: file.write_text(file.read_text().replace('"zarr_format": 3', '"zarr_format": 3, "a": 1')),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_metadata_are_restored(run, damage):
    before = whole(run)
    for node in NODES:
        DAMAGE[damage](run / node / "zarr.json")
        assert store.verify(run)
        found = gd.repair(run)
        assert not found.lost
        (line,) = found.restored
        assert str(run / node) in line
        assert store.verify(run) == []
        assert whole(run) == before
    for node in NODES:
        DAMAGE[damage](run / node / "zarr.json")
    assert not gd.repair(run).lost
    assert store.verify(run) == []
    assert whole(run) == before


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("entry", ["_", "descriptors%2Fhalf"])
def test_the_ledger_is_restored(run, damage, entry):
    before = whole(run)
    DAMAGE[damage](run / ".glassdask" / entry / "zarr.json")
    assert store.verify(run)
    assert not gd.repair(run).lost
    assert store.verify(run) == []
    assert whole(run) == before
    shutil.rmtree(run / ".glassdask")
    assert not gd.repair(run).lost
    assert store.verify(run) == []
    assert whole(run) == before


def test_what_is_in_the_way_is_removed(run):
    """A file in the place of the ledger; an array in that of a group."""
    before = whole(run)
    shutil.rmtree(run / ".glassdask")
    (run / ".glassdask").write_text("x")
    assert store.verify(run)
    assert not gd.repair(run).lost
    assert whole(run) == before
    for mend in (gd.repair, again):
        shutil.rmtree(run / "descriptors/half")
        shutil.copytree(run / "position", run / "descriptors/half")
        assert store.verify(run)
        mend(run)  # of which there are no chunks any more
        again(run)
        assert store.verify(run) == []
        assert whole(run) == before


def test_chunks_are_put_in_place_and_read_again(run):
    before = whole(run)
    places = sorted((run / "position/c").rglob("*/0/0"))
    exchange(places[0], places[2])
    assert [line.partition(": ")[0] for line in gd.repair(run).restored] == [str(places[0]), str(places[2])]
    assert whole(run) == before
    places[1].write_bytes(b"nonsense")
    places[3].unlink()
    shutil.rmtree(run / "box")
    found = gd.repair(run)
    assert not found.lost
    assert sum("read again from its file" in line for line in found.restored) >= 3
    assert store.verify(run) == []
    assert whole(run) == before


@pytest.mark.parametrize("what", ["has another content now", "is not there any more"])
def test_what_is_lost_is_told(run, what):
    source = run.parent / "run.npz"
    source.unlink() if "not there" in what else source.write_bytes(b"another")
    chunk = sorted((run / "position/c").rglob("*/0/0"))[1]
    chunk.write_bytes(b"nonsense")
    (run / "descriptors/half/half/c/0/0/0").unlink()
    lost = gd.repair(run).lost
    assert any(line.startswith(f"{chunk}: damaged (frame 2:4") for line in lost)
    assert any("half/c/0/0/0: missing (frame 0:2" in line for line in lost)
    assert any(line.endswith(f"{source} {what}") for line in lost)
    assert gd.repair(run).lost  # and again, as long as it is so


def test_a_missing_group_is_forgotten_once_it_was_told(run):
    shutil.rmtree(run / "descriptors/half")
    (line,) = gd.repair(run).lost
    assert line == f'{run}/descriptors/half: all of it ({{"by": 2}})'
    assert store.verify(run) == []
    assert str(gd.repair(run)).endswith("nothing was to be done")


def test_a_missing_group_is_not_read_again_with_the_frames(run):
    """The files bring chunks back, and no result that was computed of them."""
    shutil.rmtree(run / "descriptors/half")
    sorted((run / "position/c").rglob("*/0/0"))[1].write_bytes(b"nonsense")
    found = gd.repair(run)
    (line,) = found.lost
    assert line == f'{run}/descriptors/half: all of it ({{"by": 2}})'
    assert not any("half" in line for line in found.restored)
    assert any("read again from its file" in line for line in found.restored)


def without_checksums(path):
    """Make a store what those who knew no checksums have written."""
    shutil.rmtree(path / ".glassdask")
    for file in path.rglob("zarr.json"):
        content = json.loads(file.read_text())
        content["attributes"].pop(SEAL)
        file.write_text(json.dumps(content))


def test_a_store_without_checksums_gets_them_by_an_append(run):
    shutil.rmtree(run / "descriptors")
    (run / "later").mkdir()
    (run / "later/zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {"seal": ""}}')
    without_checksums(run)
    before = gd.open_trajectory(run)["position"].values
    more = make_trajectory(n_frames=3, seed=2)
    np.savez(run.parent / "more.npz", **{name: more[name].values for name in ("position", "species", "box")})
    gd.ingest(run.parent / "more.npz", run, append=True)
    (problem,) = store.verify(run)
    assert problem == (
        f"{run}/later: has no checksums (an older glassdask wrote it, or they were removed): glassdask repair restores "
        "what can be"
    )
    assert gd.repair(run).restored == (f"{run}/later: its checksum, of a group without data of its own",)
    assert store.verify(run) == []
    np.testing.assert_array_equal(gd.open_trajectory(run)["position"].values[:8], before)


def test_an_append_is_taken_back(run):
    before = whole(run)
    longer = make_trajectory(n_frames=11, seed=2)
    stage = appending.begin(run, 11, pending={"files": ["more.npz"]})
    store.write_region(stage, "position", (slice(8, 10),), longer["position"].values[8:10])
    found = gd.repair(run)
    assert not found.lost
    (line,) = found.restored
    assert "an append of more.npz that was interrupted was taken back" in line
    assert whole(run) == before
    assert not (run / ".append").exists()


def test_an_append_that_was_taken_back_is_not_restored_later(run, monkeypatch):
    """It was killed when the ledger knew of it already, and the group did not."""
    before = whole(run)
    more = make_trajectory(n_frames=3, seed=2)
    np.savez(run.parent / "more.npz", **{name: more[name].values for name in ("position", "box", "species")})

    def killed(group, **attrs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(appending, "set_attributes", killed)
        with pytest.raises(KeyboardInterrupt):
            gd.ingest(run.parent / "more.npz", run, append=True)
    assert "taken back" in gd.repair(run).restored[0]
    (run / "zarr.json").unlink()
    assert gd.repair(run).restored == (f"{run}: its metadata, from the ledger",)
    assert whole(run) == before


def test_the_stage_of_an_append_that_has_ended_is_not_called_one_that_was_taken_back(run, monkeypatch):
    longer = make_trajectory(n_frames=11, seed=2)
    more = {name: longer[name].values[8:] for name in ("position", "box")}
    np.savez(run.parent / "more.npz", **more, species=longer["species"].values)
    remove = shutil.rmtree

    def killed(path, **how):
        if (run / ".append").exists():
            raise KeyboardInterrupt
        remove(path, **how)

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        gd.ingest(run.parent / "more.npz", run, append=True)
    monkeypatch.undo()
    assert gd.open_trajectory(run).sizes["frame"] == 11
    assert gd.repair(run).restored == (f"{run}: what an append that was interrupted has left there was removed",)
    assert gd.open_trajectory(run).sizes["frame"] == 11
    assert not (run / ".append").exists()


def test_what_is_being_written_is_left_alone(run, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    with locks.locked(run / "descriptors/half"), pytest.raises(errors.BusyStoreError, match="is being written by"):
        gd.repair(run)


def again(run):
    """The commands that made the store of `run`, repeated."""
    gd.ingest(run.parent / "run.npz", run)
    half = (store.open_trajectory(run)[["position"]] / 2).rename(position="half", space="l").drop_vars(["l"])
    store.write_dataset(half, run, "descriptors/half", parameters={"by": 2})


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_same_command_sees_to_damaged_metadata(run, damage):
    before = whole(run)
    for node in NODES:
        if node == "descriptors":  # above what the commands write
            continue
        DAMAGE[damage](run / node / "zarr.json")
        again(run)
        assert store.verify(run) == [], node
        assert whole(run) == before


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("node", ["", "position"])
def test_what_was_never_complete_is_begun_anew(run, damage, node):
    before = whole(run)
    for group, derived in ((run, ""), (run / "descriptors/half", "half" if node else "")):
        store.set_attributes(group, status="writing", content=None)
        shutil.rmtree(run / ".glassdask" / ("_" if group == run else "descriptors%2Fhalf"))
        DAMAGE[damage](group / (derived or node) / "zarr.json")
        again(run)
        assert store.verify(run) == []
        assert whole(run) == before


@pytest.mark.parametrize("damage", DAMAGE)
def test_overwriting_needs_nothing_of_what_is_there(run, damage):
    for node in ("", "position"):
        shutil.rmtree(run / ".glassdask", ignore_errors=True)
        DAMAGE[damage](run / node / "zarr.json")
        store.save_trajectory(make_trajectory(n_frames=3), run, overwrite=True)
        assert store.verify(run) == []


def test_values_of_lost_metadata_are_not_taken_for_those_of_other_parameters(run):
    """Chunks without the metadata of their group are of nobody knows what."""
    for ledger in (True, False):
        if not ledger:
            shutil.rmtree(run / ".glassdask/descriptors%2Fhalf")
        (run / "descriptors/half/zarr.json").unlink()
        third = (store.open_trajectory(run)[["position"]] / 3).rename(position="half", space="l").drop_vars(["l"])
        store.write_dataset(third, run, "descriptors/half", parameters={"by": 3}, overwrite=True)
        np.testing.assert_array_equal(store.open_descriptors(run)["half"], third["half"])


TORN = {
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "half of zeros": lambda file: file.write_bytes(file.read_bytes()[:100] + bytes(max(1, file.stat().st_size - 100))),
    "empty": lambda file: file.write_bytes(b""),
}


@pytest.mark.parametrize("tear", TORN)
def test_torn_chunks_do_not_count_as_written(run, tear):
    """A machine loses power while a group is written: what its disk has left of the last chunks is seen through."""
    before = whole(run)
    for group in (run, run / "descriptors/half"):
        store.set_attributes(group, status="writing")
        for file in sorted(group.glob("*/c/*/0/0"))[::2]:
            TORN[tear](file)
    again(run)
    assert store.verify(run) == []
    assert whole(run) == before


def test_torn_chunks_and_receipts_of_an_append_do_not_count_either(run, monkeypatch):
    longer = make_trajectory(n_frames=14, seed=2)
    given = {name: longer[name].values for name in ("position", "box", "species")}
    np.savez(run.parent / "more.npz", **given)
    shutil.copytree(run, run.parent / "undisturbed.zarr")
    gd.ingest(run.parent / "more.npz", run.parent / "undisturbed.zarr", append=True)
    monkeypatch.setattr(appending, "commit", lambda *args, **attrs: None)
    gd.ingest(run.parent / "more.npz", run, append=True)
    monkeypatch.undo()
    monkeypatch.setattr("glassdask.store.layout.CHUNK_BYTES", 2 * 30 * 3 * 8)
    stage = run / ".append"
    TORN["zeros"](stage / "position/c/5/0/0")
    TORN["half"](stage / "box/c/6/0/0")
    (stage / ".ingest/16").write_bytes(b"\0\0\0")
    (stage / ".ingest/18").write_text('{"wrapped": "1"}')
    assert gd.ingest(run.parent / "more.npz", run, append=True).n_new == 14
    assert chunk_files(run) == chunk_files(run.parent / "undisturbed.zarr")
    (problem,) = store.verify(run)
    assert "descriptors/half: was computed before the trajectory was changed" in problem
