"""What is stored is what is opened, bit by bit, whatever the layout."""

import json
import re
import shutil

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

from glassdask import errors, store
from glassdask.errors import PositionError
from glassdask.schema import assemble
from glassdask.store import encoding
from tests.store.store_cases import chunk_files, make_trajectory

ADDED = {"glassdask_version", "created", "versions", "sources", "parameters", "store"}


def reopened(trajectory, path, **options):
    store.save_trajectory(trajectory, path, **options)
    opened = store.open_trajectory(path)
    assert set(opened.attrs) >= ADDED
    return (
        opened.assign_attrs()
        .drop_attrs(deep=False)
        .assign_attrs({name: value for name, value in opened.attrs.items() if name not in ADDED})
    )


def optional(n_frames, n_particles, dimension):
    rng = np.random.default_rng(1)
    return {
        "velocity": rng.normal(size=(n_frames, n_particles, dimension)).astype(np.float32),
        "energy": rng.normal(size=(n_frames, n_particles)),
        "image": rng.integers(-3, 3, (n_frames, n_particles, dimension)),
        "time": np.arange(n_frames) * 0.5,
        "step": np.arange(n_frames) * 100,
        "id": rng.permutation(n_particles),
    }


@pytest.mark.parametrize("layout", ["default", "small_chunks", "split_frames", "shards"])
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("dimension, triclinic", [(2, False), (3, True)])
def test_a_trajectory_comes_back_identical(tmp_path, request, layout, lazy, dimension, triclinic):
    if layout != "default":
        request.getfixturevalue(layout)
    trajectory = make_trajectory(
        dimension=dimension, triclinic=triclinic, attrs={"model": "KA", "T": 0.45}, **optional(7, 30, dimension)
    )
    # chunks of the lazy dataset are deliberately not those of the store
    given = trajectory.chunk(frame=3, particle=11) if lazy else trajectory
    opened = reopened(given, tmp_path / "run.zarr")
    lazy_names = {name for name in opened.variables if opened[name].chunks is not None}
    assert lazy_names == {"position", "velocity", "energy", "image"}
    xr.testing.assert_identical(opened.load(), trajectory)
    for name in trajectory.variables:
        assert opened[name].dtype == trajectory[name].dtype
    assert store.verify(tmp_path / "run.zarr") == []


@pytest.mark.parametrize("lazy", [False, True])
def test_what_changes_from_frame_to_frame_comes_back_identical(tmp_path, lazy, small_chunks):
    rng = np.random.default_rng(3)
    trajectory = make_trajectory(
        diameter=rng.random((7, 30)), periodic=[True, False, True], present=rng.random((7, 30)) < 0.9
    )
    trajectory["species"] = (("frame", "particle"), rng.choice(["A", "B b"], (7, 30)), trajectory["species"].attrs)
    trajectory["c_stress[1]"] = (("frame", "particle", "part"), rng.random((7, 30, 2), np.float32))
    trajectory["kind"] = ("particle", rng.integers(0, 3, 30))
    opened = reopened(trajectory.chunk(frame=3, particle=11) if lazy else trajectory, tmp_path / "run.zarr")
    lazy_names = {name for name in opened.variables if opened[name].chunks is not None}
    assert lazy_names == {"position", "diameter", "present", "c_stress[1]", "kind"}
    xr.testing.assert_identical(opened.load(), trajectory)
    assert store.verify(tmp_path / "run.zarr") == []


def test_plain_trajectory_and_one_frame(tmp_path):
    trajectory = make_trajectory(n_frames=1)
    xr.testing.assert_identical(reopened(trajectory, tmp_path / "run.zarr").load(), trajectory)


@pytest.mark.parametrize("number", [1, 127, 128, 129, 300])
def test_many_species(tmp_path, number):
    names = [f"p{k:03d}" for k in range(number)]
    trajectory = make_trajectory(n_particles=300, species=names)
    opened = reopened(trajectory, tmp_path / "many.zarr")
    np.testing.assert_array_equal(opened["species"], trajectory["species"])
    assert store.info(tmp_path / "many.zarr")["species"] == {
        name: 300 // number + (k < 300 % number) for k, name in enumerate(names)
    }


@pytest.mark.parametrize(
    "names", [["big A", "A"], ["A B", "A", "B"], [" A", "A", "A "], ["a\tb", "a\nb", "a  b"], ["Ä 1", "1"]]
)
def test_names_with_blanks(tmp_path, names):
    trajectory = make_trajectory(species=names)
    opened = reopened(trajectory, tmp_path / "blanks.zarr")
    np.testing.assert_array_equal(opened["species"], trajectory["species"])
    assert store.verify(tmp_path / "blanks.zarr") == []


def test_names_that_control_a_terminal(tmp_path, monkeypatch):
    """They are not stored, and not read from what others have stored."""
    trajectory = make_trajectory()
    trajectory = trajectory.assign(species=trajectory["species"].str.replace("A", "\x1b[2J"))
    with pytest.raises(errors.SpeciesError, match=r"the name '\\x1b\[2J' would control a terminal"):
        store.save_trajectory(trajectory, tmp_path / "run.zarr")
    with monkeypatch.context() as patch:
        patch.setattr(encoding, "CONTROL", re.compile("^$"))
        store.save_trajectory(trajectory, tmp_path / "theirs.zarr")
    with pytest.raises(errors.CorruptStoreError, match=r"species: the name '\\x1b\[2J' would control a terminal"):
        store.open_trajectory(tmp_path / "theirs.zarr")


def test_codes_of_older_stores(tmp_path):
    """Until there were wide codes a store had int8 and its names as one text."""
    trajectory = make_trajectory(species=["B", "A"])
    store.save_trajectory(trajectory, tmp_path / "old.zarr")
    group = tmp_path / "old.zarr"
    codes = np.unique(trajectory["species"], return_inverse=True)[1].astype(np.int8)
    shutil.rmtree(group / "species")
    flags = {"flag_values": [0, 1], "flag_meanings": "A B"}
    store.create_array(group, "species", codes.shape, codes.shape, np.int8, ("particle",), flags)
    store.write_region(group, "species", (slice(None),), codes)
    np.testing.assert_array_equal(store.open_trajectory(group)["species"], trajectory["species"])


def test_species_are_readable_codes_for_others(tmp_path):
    """Any Zarr reader finds the names of the species, and dimension names and types of the rest."""
    trajectory = make_trajectory(species=("Si", "O"), time=np.arange(7.0))
    store.save_trajectory(trajectory, tmp_path / "run.zarr")
    other = xr.open_zarr(tmp_path / "run.zarr", consolidated=False)
    assert other["species"].dtype == np.int32
    meanings = np.array(other["species"].attrs["flag_meanings"])
    np.testing.assert_array_equal(meanings[other["species"].values], trajectory["species"])
    np.testing.assert_array_equal(other["position"], trajectory["position"])
    assert "time" in other.coords


def test_codecs_and_layout_on_disk(tmp_path, small_chunks):
    store.save_trajectory(make_trajectory(), tmp_path / "run.zarr")
    metadata = json.loads((tmp_path / "run.zarr/position/zarr.json").read_text())
    assert [codec["name"] for codec in metadata["codecs"]] == ["bytes", "zstd", "crc32c"]
    assert metadata["dimension_names"] == ["frame", "particle", "space"]
    assert metadata["chunk_grid"]["configuration"]["chunk_shape"] == [2, 30, 3]
    assert len(list((tmp_path / "run.zarr/position").rglob("c/*/*/*"))) == 4
    attrs = json.loads((tmp_path / "run.zarr/zarr.json").read_text())["attributes"]
    assert attrs["status"] == "complete"
    assert attrs["schema_version"] == 1
    assert set(attrs["versions"]) == {"numpy", "zarr", "numba", "dask"}


def test_chunks_of_zeros_exist(tmp_path, small_chunks):
    """A chunk of nothing but fill values is a file too, or a lost chunk could not be told from it."""
    trajectory = make_trajectory(energy=np.full((7, 30), np.nan), image=np.zeros((7, 30, 3)))
    store.save_trajectory(trajectory, tmp_path / "run.zarr")
    for name in ("energy", "image"):
        assert len([key for key in chunk_files(tmp_path / "run.zarr") if key.startswith(name)]) == 4


def test_state_points_in_a_tree(tmp_path):
    runs = {f"KA/T={T:.3f}": make_trajectory(seed=i) for i, T in enumerate([0.45, 0.5])}
    for name, trajectory in runs.items():
        store.save_trajectory(trajectory, tmp_path / "sweep.zarr" / name)
    tree = xr.open_datatree(tmp_path / "sweep.zarr", engine="zarr", consolidated=False)
    for name, trajectory in runs.items():
        np.testing.assert_array_equal(tree[name]["position"], trajectory["position"])
        opened = store.open_trajectory(tmp_path / "sweep.zarr" / name)
        np.testing.assert_array_equal(opened["position"], trajectory["position"])
    assert store.info(tmp_path / "sweep.zarr")["groups"] == ["KA"]
    assert store.verify(tmp_path / "sweep.zarr") == []


def test_only_the_chunks_asked_for_are_read(tmp_path, small_chunks):
    trajectory = make_trajectory()
    store.save_trajectory(trajectory, tmp_path / "run.zarr")
    opened = store.open_trajectory(tmp_path / "run.zarr")
    for index in (0, 1, 3):
        (tmp_path / f"run.zarr/position/c/{index}/0/0").unlink()
    picked = opened["position"].isel(frame=[5, 4], particle=slice(3, 20, 2), space=-1)
    expected = trajectory["position"].isel(frame=[5, 4], particle=slice(3, 20, 2), space=-1)
    np.testing.assert_array_equal(picked, expected)


def test_a_lost_chunk_is_an_error_and_not_a_fill_value(tmp_path, small_chunks):
    store.save_trajectory(make_trajectory(), tmp_path / "run.zarr")
    (tmp_path / "run.zarr/position/c/2/0/0").unlink()
    opened = store.open_trajectory(tmp_path / "run.zarr")
    with pytest.raises(errors.CorruptStoreError, match="position/c/2/0/0: chunk is missing"):
        opened["position"].load()


def test_lazy_positions_are_checked_block_by_block(tmp_path, small_chunks):
    trajectory = make_trajectory()
    position = trajectory["position"].values.copy()
    position[5, 3, 1] = np.nan
    lazy = trajectory.assign(position=(trajectory["position"].dims, da.from_array(position, chunks=(1, 30, 3))))
    with pytest.raises(PositionError, match="frame 5, particle 3"), dask.config.set(scheduler="synchronous"):
        store.save_trajectory(lazy, tmp_path / "run.zarr")
    with pytest.raises(errors.IncompleteStoreError, match="run the same command again"):
        store.open_trajectory(tmp_path / "run.zarr")
    assert not (tmp_path / "run.zarr/position/c/2/0/0").exists()


def test_an_opened_trajectory_stored_again_keeps_its_sources(tmp_path):
    source = {"name": "a.dump", "sha256": "0" * 64, "n_frames": 7, "format": "lammps"}
    store.save_trajectory(make_trajectory(attrs={"sources": [source]}), tmp_path / "a.zarr")
    opened = store.open_trajectory(tmp_path / "a.zarr")
    store.save_trajectory(opened, tmp_path / "b.zarr")
    again = store.open_trajectory(tmp_path / "b.zarr")
    assert again.attrs["sources"] == [source]
    assert again.attrs["store"] == str(tmp_path / "b.zarr")
    xr.testing.assert_equal(again.load(), opened.load())


def test_extra_variables_survive(tmp_path):
    """Isoconfigurational runs and the like bring variables of their own."""
    trajectory = make_trajectory().assign_coords(replica=("frame", np.arange(7)), model="KA", pair=["A-A", "A-B"])
    trajectory["gr"] = ("pair", np.array([1.0, 2.0]))
    opened = reopened(trajectory, tmp_path / "run.zarr").load()
    xr.testing.assert_identical(opened, trajectory)


def test_content_hash_depends_on_the_content_alone(tmp_path):
    for name, seed in [("a", 0), ("b", 0), ("c", 1)]:
        store.save_trajectory(make_trajectory(seed=seed), tmp_path / f"{name}.zarr")
    a, b, c = (store.content_hash(tmp_path / f"{name}.zarr") for name in "abc")
    assert a == b != c


def test_low_level_calls_give_the_same_trajectory(tmp_path, small_chunks):
    """What the readers of files do: create, write blocks in any order, finish."""
    trajectory = make_trajectory(time=np.arange(7.0))
    names = ("position", "box", "time")
    path = tmp_path / "run.zarr"
    types = {name: trajectory[name].dtype for name in names}
    step = store.create_trajectory(path, n_frames=7, species=trajectory["species"], n_space=3, dtypes=types)
    blocks = store.frame_blocks(0, 7, step)
    assert blocks == [(0, 2), (2, 4), (4, 6), (6, 7)]
    for start, stop in reversed(blocks):
        for name in names:
            region = (slice(start, stop),)
            assert not store.chunk_exists(path, name, region)
            store.write_region(path, name, region, trajectory[name].values[start:stop])
            assert store.chunk_exists(path, name, region)
    store.finish(path, sources=[{"name": "x", "sha256": "ab"}])
    opened = store.open_trajectory(path)
    assert opened.attrs["sources"] == [{"name": "x", "sha256": "ab"}]
    xr.testing.assert_equal(opened.load(), trajectory)
    expected = assemble({name: trajectory[name].values for name in (*names, "species")})
    xr.testing.assert_identical(opened.drop_attrs(deep=False), expected.drop_attrs(deep=False))
