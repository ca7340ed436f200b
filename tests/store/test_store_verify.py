"""Every kind of damage is found and named by `verify`; what was not written for this version is refused."""

import json
import re
import shutil

import numpy as np
import pytest

from glassdask import errors, store
from tests.store.store_cases import chunk_files, make_trajectory


@pytest.fixture
def run(tmp_path, small_chunks):
    path = tmp_path / "run.zarr"
    trajectory = make_trajectory(image=np.zeros((7, 30, 3)))
    store.save_trajectory(trajectory, path)
    derived = (trajectory[["position"]] * 2).rename(position="double", space="l").drop_vars(["l"]).chunk(particle=10)
    store.write_dataset(derived, path, "descriptors/double", parameters={"by": 2})
    assert store.verify(path) == []
    return path


def found(path, file):
    """The one problem, which names the file."""
    (problem,) = store.verify(path)
    assert problem.startswith(f"{file}: ")
    assert "\n" not in problem
    return problem


def test_a_flipped_byte_anywhere_in_a_chunk_is_found(run):
    file = run / "image/c/1/0/0"  # all zeros: few bytes, so that each is tried
    content = file.read_bytes()
    assert len(content) < 100
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        assert "damaged (frame 2:4, particle 0:30" in found(run, file)
    file.write_bytes(content)
    assert store.verify(run) == []


@pytest.mark.parametrize("bit", [0, 7])
def test_flips_in_random_places_of_positions_are_found(run, bit):
    rng = np.random.default_rng(bit)
    file = run / "position/c/3/0/0"
    content = file.read_bytes()
    for place in rng.integers(len(content), size=10):
        file.write_bytes(content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :])
        assert "damaged (frame 6:7, particle 0:30" in found(run, file)


@pytest.mark.parametrize("length", [0, 1, 4, 40, -4, -1])
def test_a_truncated_chunk_is_found(run, length):
    file = run / "descriptors/double/double/c/0/2/0"
    file.write_bytes(file.read_bytes()[:length])
    problem = found(run, file)
    assert re.search(r"(damaged|empty) \(frame 0:7, particle 20:30", problem)
    assert "remove this file and run the command" in problem


def test_a_missing_chunk_is_found(run):
    file = run / "position/c/2/0/0"
    file.unlink()
    assert "missing (frame 4:6, particle 0:30): run the command" in found(run, file)


def exchange(one, other):
    spare = one.with_name("spare")
    one.rename(spare)
    other.rename(one)
    spare.rename(other)


def test_whole_chunks_in_the_wrong_place_are_found(run):
    (run / "position/c/0/0/0").write_bytes((run / "box/c/0/0/0").read_bytes())
    assert "damaged (frame 0:2" in found(run, run / "position/c/0/0/0")
    older = (run / "position/c/1/0/0").read_bytes()
    (run / "position/c/0/0/0").write_bytes(older)
    assert "not the chunk that was written last in this place (frame 0:2" in found(run, run / "position/c/0/0/0")


@pytest.mark.parametrize("layout_name", ["small_chunks", "shards"])
def test_chunks_that_were_exchanged_are_found(tmp_path, request, layout_name):
    """Also those of which an older state is put back, and shards whose chunks are of one length."""
    request.getfixturevalue(layout_name)
    path = tmp_path / "run.zarr"
    trajectory = make_trajectory(n_frames=8).drop_attrs(deep=False)
    store.save_trajectory(make_trajectory(n_frames=8, seed=1), path)
    older = chunk_files(path)
    store.save_trajectory(trajectory, path, overwrite=True)
    assert store.verify(path) == []
    places = sorted((path / "position/c").rglob("*/0/0"))
    exchange(places[0], places[1])
    assert [problem.partition(": ")[0] for problem in store.verify(path)] == list(map(str, places[:2]))
    exchange(places[0], places[1])
    assert store.verify(path) == []
    places[1].write_bytes(older[str(places[1].relative_to(path))])
    assert "not the chunk that was written last" in found(path, places[1])


@pytest.mark.parametrize(
    "one, other, named",
    [
        ("position", "image", ["position", "image"]),
        ("descriptors/double/zarr.json", "descriptors/zarr.json", ["descriptors/double", "descriptors"]),
        ("position/zarr.json", "image/zarr.json", ["position/zarr.json", "image/zarr.json"]),
        ("position/c/0/0/0", "image/c/0/0/0", ["position/c/0/0/0", "image/c/0/0/0"]),
        ("descriptors/double", "position", ["position", "descriptors/double"]),
        ("descriptors/double", ".glassdask/descriptors%2Fdouble", ["descriptors/double"]),
    ],
)
def test_what_was_exchanged_is_found(run, one, other, named):
    exchange(run / one, run / other)
    problems = store.verify(run)
    for name in named:
        assert any(problem.startswith(str(run / name)) for problem in problems), (name, problems)


@pytest.mark.parametrize(
    "name",
    ["position", "box", "species", "descriptors", "descriptors/double", "descriptors/double/double", ".glassdask"],
)
def test_missing_folders_are_found(run, name):
    shutil.rmtree(run / name)
    problems = store.verify(run)
    assert problems
    assert all("\n" not in problem for problem in problems)
    place = "descriptors/double" if name == "descriptors" else name
    assert any(problem.startswith(str(run / place)) for problem in problems), problems


def test_a_group_that_is_gone_is_missed_by_all_that_are_above_it(tmp_path):
    """The ledger may be that of a trajectory further up; and one that comes later is not asked for what was before."""
    outer, inner = tmp_path / "run.zarr", tmp_path / "run.zarr/inherent"
    for first, second in ((outer, inner), (inner, outer)):
        shutil.rmtree(outer, ignore_errors=True)
        for path in (first, second):
            store.save_trajectory(make_trajectory(), path)
            half = (make_trajectory()[["position"]] / 2).rename(position="half")
            store.write_dataset(half, path, "descriptors/half", parameters={"by": 2})
        assert [store.verify(path) for path in (outer, inner, inner / "descriptors")] == [[], [], []]
        shutil.rmtree(inner / "descriptors/half")
        for path in (outer, inner, inner / "descriptors"):
            (problem,) = store.verify(path)
            assert problem.startswith(f"{inner}/descriptors/half: is missing, though it was complete"), first


def test_what_was_renamed_or_put_in_from_elsewhere_is_found(run, tmp_path):
    (run / "descriptors/double").rename(run / "descriptors/single")
    problems = store.verify(run)
    assert any("descriptors/single: was stored as descriptors/double, and renamed" in problem for problem in problems)
    assert any("descriptors/double: is missing, though it was complete" in problem for problem in problems)
    with pytest.raises(errors.StoreError, match="was stored as descriptors/double, and renamed"):
        store.open_descriptors(run)
    store.save_trajectory(make_trajectory(time=np.arange(7.0)), tmp_path / "other.zarr")
    shutil.copytree(tmp_path / "other.zarr/time", run / "time")
    assert any("run.zarr/time: is no part of" in problem for problem in store.verify(run))


def test_what_was_made_of_another_state_is_found(run):
    store.save_trajectory(make_trajectory(seed=3), run.parent / "other.zarr")
    shutil.copytree(run / "descriptors", run.parent / "other.zarr/descriptors")
    problems = store.verify(run.parent / "other.zarr")
    assert any("was computed before the trajectory was changed: compute it again" in problem for problem in problems)


def test_damage_inside_a_shard_is_found(tmp_path, shards):
    trajectory = make_trajectory(image=np.zeros((7, 30, 3)))
    store.save_trajectory(trajectory, tmp_path / "run.zarr")
    entry = store.info(tmp_path / "run.zarr")["arrays"]["image"]
    assert (entry["chunks"], entry["shards"], entry["files"]) == ((2, 30, 3), (4, 30, 3), 2)
    file = tmp_path / "run.zarr/image/c/0/0/0"
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        assert store.verify(tmp_path / "run.zarr")
    file.write_bytes(content[: len(content) // 2])
    assert "damaged (frame 0:4, particle 0:30" in found(tmp_path / "run.zarr", file)


def test_all_damage_is_listed_at_once(run):
    (run / "position/c/2/0/0").unlink()
    (run / "descriptors/double/double/c/0/0/0").write_bytes(b"")
    (run / "box/zarr.json").write_text("{")
    (run / "id").mkdir()
    store.set_attributes(run / "descriptors/double", status="writing")
    problems = store.verify(run)
    assert len(problems) == 5
    named = ["position/c/2/0/0", "double/c/0/0/0", "box/zarr.json", "status is 'writing'", "run.zarr/id"]
    for part in named:
        assert sum(part in problem for problem in problems) == 1, part


def test_what_was_repaired_by_the_same_command_is_well_again(run):
    trajectory = make_trajectory(image=np.zeros((7, 30, 3)))
    damaged = run / "position/c/1/0/0"
    damaged.write_bytes(b"nonsense")
    opened = store.open_trajectory(run)
    with pytest.raises(errors.CorruptStoreError, match=r"position/c/1/0/0: chunk is damaged .*see glassdask verify"):
        opened["position"].load()
    damaged.unlink()
    store.save_trajectory(trajectory, run)
    assert store.verify(run) == []
    np.testing.assert_array_equal(store.open_trajectory(run)["position"], trajectory["position"])


def test_a_newer_schema_is_refused(run):
    store.set_attributes(run, schema_version=99)
    for action in (store.open_trajectory, store.info, store.open_descriptors, store.content_hash):
        with pytest.raises(errors.StoreVersionError, match=r"run.zarr: schema version 99 is newer .* upgrade"):
            action(run)
    with pytest.raises(errors.StoreVersionError):
        store.save_trajectory(make_trajectory(), run, overwrite=True)
    assert "schema version 99" in store.verify(run)[0]


def test_what_is_not_a_trajectory_is_refused(run, tmp_path):
    with pytest.raises(errors.StoreError, match=r"nothing\.zarr: does not exist"):
        store.open_trajectory(tmp_path / "nothing.zarr")
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.StoreError, match=r"file is not a store .* check the path"):
        store.open_trajectory(tmp_path / "file")
    with pytest.raises(errors.StoreError, match=r"descriptors: a group without data of its own.*one of double"):
        store.open_trajectory(run / "descriptors")
    with pytest.raises(errors.StoreError, match="double: not a trajectory"):
        store.open_trajectory(run / "descriptors/double")
    with pytest.raises(errors.StoreError, match="position: an array, expected a group"):
        store.open_trajectory(run / "position")
    with pytest.raises(errors.StoreError, match="not a store"):
        store.verify(run / "position")
    for action in (store.verify, store.info):
        with pytest.raises(errors.StoreError, match="not a store"):
            action(tmp_path / "nothing.zarr")


def test_metadata_that_make_no_sense(run):
    file = run / "position/zarr.json"
    content = json.loads(file.read_text())
    cases = {
        "shape": ([7, 30], "7", [7, 30, 1.5], [7, 30, -3], [True, 30, 3], 150_000_000_000, [10**12, 30, 3]),
        "data_type": ("float6", None, ["float64"], "complex128"),
        "chunk_grid": ({}, [], {"name": "regular", "configuration": {"chunk_shape": [0, 30, 3]}}),
        "codecs": ([], {}, [7]),
        "attributes": ([], {"flag_values": "A"}, {"units": "parsec"}),
        "zarr_format": (2, "3", None),
        "node_type": ("grou", 1),
    }
    for key, values in cases.items():
        for value in values:
            for known in (content, {**content, "attributes": {}}):  # with the checksum, and without one
                file.write_text(json.dumps({**known, key: value}))
                (problem, *_) = store.verify(run)
                assert problem.startswith(f"{file}: ")
                assert "\n" not in problem
                with pytest.raises(errors.CorruptStoreError, match=r"position/zarr\.json: "):
                    store.open_trajectory(run)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(errors.CorruptStoreError, match=r"zarr\.json: cannot be read"):
        store.open_trajectory(run)


def test_info(run):
    summary = store.info(run)
    assert summary["status"] == "complete"
    assert summary["sizes"] == {"frame": 7, "particle": 30, "space": 3, "axis": 3}
    assert summary["species"] == {"A": 15, "B": 15}
    assert summary["box"]["changes"]
    position = summary["arrays"]["position"]
    assert (position["shape"], position["chunks"], position["files"]) == ((7, 30, 3), (2, 30, 3), 4)
    assert position["bytes"] == 7 * 30 * 3 * 8
    assert position["bytes_stored"] == sum(file.stat().st_size for file in (run / "position/c").rglob("*/*/*"))
    assert summary["arrays"]["image"]["bytes_stored"] < summary["arrays"]["image"]["bytes"] / 4
    assert summary["descriptors"]["double"]["parameters"] == {"by": 2}
    json.dumps(summary)  # for machines to read
