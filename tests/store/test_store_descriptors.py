"""Descriptors stored apart are opened as one dataset."""

import dask
import numpy as np
import pytest
import xarray as xr

from glassdask import errors, store
from glassdask.store import appending
from tests.store.store_cases import make_trajectory


@pytest.fixture
def run(tmp_path, small_chunks):
    path = tmp_path / "run.zarr"
    store.save_trajectory(make_trajectory(time=np.arange(7.0)), path)
    return path


def save(path, name, dim, labels, *, center=None, **parameters):
    """A descriptor with one feature dimension; its values are drawn from its name."""
    trajectory = store.open_trajectory(path)
    rng = np.random.default_rng([ord(letter) for letter in name])
    values = rng.random((7, 30, len(labels)))
    dataset = xr.Dataset(
        {name: (("frame", "particle", dim), values, {"long_name": name.upper()})},
        coords={dim: labels, "species": trajectory["species"].variable, "time": trajectory["time"].variable},
    ).chunk(frame=2, particle=20)
    if center is not None:
        dataset = dataset.assign_coords(center=("particle", trajectory["species"].values == center))
    store.write_dataset(dataset.set_coords(["species"]), path, f"descriptors/{name}", parameters=parameters)
    return values


def test_none_one_and_several(run):
    with pytest.raises(errors.StoreError, match=r"no descriptor.*found none: describe it first"):
        store.open_descriptors(run)
    values = {name: save(run, name, "l", [1, 2, 3], center="B", gamma=i) for i, name in enumerate(["bo", "sbo"])}
    opened = store.open_descriptors(run)
    assert set(opened.data_vars) == {"bo", "sbo"}
    assert set(opened.coords) == {"l", "species", "time", "center"}
    assert opened["sbo"].data.chunks == ((2, 2, 2, 1), (20, 10), (3,))
    assert opened["sbo"].attrs["parameters"] == {"gamma": 1}
    assert opened["sbo"].attrs["long_name"] == "SBO"
    assert opened["center"].dtype == bool
    np.testing.assert_array_equal(opened["species"], store.open_trajectory(run)["species"])
    for name, expected in values.items():
        np.testing.assert_array_equal(opened[name], expected)
        np.testing.assert_array_equal(store.open_descriptors(run, [name])[name], expected)
    assert set(store.open_descriptors(run, ["sbo"]).data_vars) == {"sbo"}
    with pytest.raises(errors.StoreError, match=r"no descriptor soap is stored, found bo, sbo"):
        store.open_descriptors(run, ["sbo", "soap"])


def test_names_that_clash_are_told_apart(run):
    first = save(run, "bo", "l", [1, 2, 3], center="A")
    second = save(run, "long", "l", [1, 2, 3, 4], center="B")
    third = save(run, "sbo", "l", [1, 2, 3], center="A")
    fourth = save(run, "shifted", "l", [2, 3, 4])
    opened = store.open_descriptors(run)
    dims = {name: opened[name].dims[-1] for name in opened.data_vars}
    assert dims == {"bo": "l", "long": "l_long", "sbo": "l", "shifted": "l_shifted"}
    for name, expected in {"bo": first, "long": second, "sbo": third, "shifted": fourth}.items():
        np.testing.assert_array_equal(opened[name], expected)
    assert opened["l_long"].values.tolist() == [1, 2, 3, 4]
    assert opened["l_shifted"].values.tolist() == [2, 3, 4]
    np.testing.assert_array_equal(opened["center_long"], ~opened["center"])


def test_labels_that_are_text(run):
    """Pairs of species as labels of features, also a second one along the same dimension."""
    pairs = ["A-A", "A-B", "B-B"]
    dataset = xr.Dataset(
        {"soap": (("frame", "particle", "pair"), np.ones((7, 30, 3)))},
        coords={"pair": pairs, "tex": ("pair", [f"$g_{{{pair}}}$" for pair in pairs])},
    ).chunk(frame=2)
    store.write_dataset(dataset, run, "descriptors/soap", parameters={})
    xr.testing.assert_identical(store.open_descriptors(run).load().drop_attrs(), dataset.load().drop_attrs())


def test_an_interrupted_one_is_left_out_unless_asked_for(run):
    save(run, "bo", "l", [1, 2])
    save(run, "sbo", "l", [1, 2])
    store.set_attributes(run / "descriptors/sbo", status="writing")
    assert set(store.open_descriptors(run).data_vars) == {"bo"}
    with pytest.raises(errors.IncompleteStoreError, match="sbo: not written completely: run the same command again"):
        store.open_descriptors(run, ["sbo"])


def test_after_an_append_the_old_ones_are_refused(run):
    save(run, "bo", "l", [1, 2])
    trajectory = make_trajectory(time=np.arange(7.0))
    stage = appending.begin(run, 8)
    for name in ("position", "box", "time"):
        store.write_region(stage, name, (slice(7, 8),), trajectory[name].values[:1])
    assert store.open_descriptors(run).sizes["frame"] == 7
    appending.commit(run)
    with pytest.raises(errors.StoreError, match=r"was computed before the trajectory was changed: .*`overwrite=True`"):
        store.open_descriptors(run)


def test_descriptors_without_their_trajectory(tmp_path):
    """A store may hold only what was derived, and get its trajectory later."""
    trajectory = make_trajectory()
    dataset = (trajectory[["position"]] * 2).rename(position="double").chunk(frame=2)
    store.write_dataset(dataset, tmp_path / "results", "reductions/double", parameters={})
    opened = store.open_reduction(tmp_path / "results", "double")
    np.testing.assert_array_equal(opened["double"], trajectory["position"] * 2)
    store.save_trajectory(trajectory, tmp_path / "results")
    np.testing.assert_array_equal(store.open_trajectory(tmp_path / "results")["position"], trajectory["position"])
    with pytest.raises(errors.StoreError, match="before the trajectory was changed"):
        store.open_reduction(tmp_path / "results", "double")


def test_small_results_in_memory_are_stored_in_one_chunk(run):
    dataset = xr.Dataset(
        {"ratio": ("component", [0.6, 0.2]), "vectors": (("component", "l"), np.eye(2, 5)), "n": ((), 3)},
        coords={"component": [1, 2], "weight": ("frame", np.arange(7.0))},
    )
    store.write_dataset(dataset, run, "reductions/pca", parameters={"n_components": 2})
    opened = store.open_reduction(run, "pca")
    xr.testing.assert_equal(opened.load(), dataset)
    assert all(entry["files"] == 1 for entry in store.info(run / "reductions/pca")["arrays"].values())


def test_blocks_of_uneven_size_and_variables_without_particles(run):
    """A selection of frames leaves uneven chunks; they are evened out."""
    position = store.open_trajectory(run)["position"].isel(frame=slice(1, None)).reset_coords(drop=True)
    dataset = xr.Dataset({"r": position, "mean": position.mean("particle"), "sum": position.sum("frame")})
    assert dataset["r"].data.chunks[0] == (1, 2, 2, 1)
    store.write_dataset(dataset, run, "reductions/some", parameters={})
    opened = store.open_reduction(run, "some")
    assert opened["r"].data.chunks[0] == (2, 2, 2)
    xr.testing.assert_allclose(opened.load(), dataset.load(), rtol=1e-14)


def test_what_cannot_be_stored_says_so(run):
    class Thing:
        pass

    frame = xr.Dataset({"x": ("frame", np.zeros(7))})
    with pytest.raises(errors.StoreError, match="of type Thing cannot be stored: use numbers, text or lists"):
        store.write_dataset(frame, run, "reductions/x", parameters={"thing": Thing()})
    things = frame.assign(thing=("what", np.array([Thing()], dtype=object)))
    with pytest.raises(errors.StoreError, match="dtype object holds other things than text"):
        store.write_dataset(things, run, "reductions/x", parameters={})
    with pytest.raises(errors.StoreError, match=r"no reduction 'x' is stored, found none: reduce it first"):
        store.open_reduction(run, "x")


def test_numpy_parameters_become_plain_ones(run):
    parameters = {
        "n": np.int64(3),
        "r": np.array([1.0, 2.5]),
        "pair": ("A", "B"),
        "none": None,
        "nested": {"x": np.True_},
    }
    store.write_dataset(xr.Dataset({"x": ("frame", np.zeros(7))}), run, "reductions/x", parameters=parameters)
    stored = {"n": 3, "r": [1.0, 2.5], "pair": ["A", "B"], "none": None, "nested": {"x": True}}
    assert store.info(run)["reductions"]["x"]["parameters"] == stored


def test_codes_without_a_name_are_found_when_opened(run):
    store.set_attributes(run / "species", flag_meanings=["A"], flag_values=[0])
    with pytest.raises(errors.CorruptStoreError, match=r"species: codes without a name \(there are 1 names\)"):
        store.open_trajectory(run)


def test_the_key_does_not_see_how_a_dtype_is_spelled(run):
    """Coordinates that went through a merge have dtype "float64", those that were read "<f8": the same numbers."""
    values = save(run, "bo", "l", [1, 2, 3])
    stored = store.open_descriptors(run, ["bo"])
    spelled = stored.assign_coords(time=("frame", stored["time"].values.astype(np.dtype("<f8").newbyteorder("<"))))
    renamed = stored.assign_coords(time=("frame", np.array(stored["time"].values.tolist())))
    for dataset in (spelled, renamed):
        reduced = (dataset[["bo"]] * 2).chunk(frame=2, particle=20)
        store.write_dataset(reduced, run, "reductions/bo", parameters={"by": 2})
    np.testing.assert_array_equal(store.open_reduction(run, "bo")["bo"].values, 2 * values)


def test_what_was_measured_while_the_trajectory_changed_is_named(run):
    """Frames are added, or all is overwritten, between the first and the last block of what is computed."""
    trajectory = make_trajectory(time=np.arange(9.0), n_frames=9)

    def add(block):
        if store.open_trajectory(run).sizes["frame"] == 7:
            stage = appending.begin(run, 9)
            for name in ("position", "box", "time"):
                for first, last in store.frame_blocks(7, 9, store.arrays.array_info(run, name).unit[0]):
                    store.write_region(stage, name, (slice(first, last),), trajectory[name].values[first:last])
            appending.commit(run)
        return block

    lazy = store.open_trajectory(run)[["position"]].rename(position="same")
    lazy["same"].data = lazy["same"].data.map_blocks(add, meta=np.empty((0, 0, 0)))
    changed = r"descriptors/same: was computed before the trajectory was changed"
    with pytest.raises(errors.StoreError, match=changed), dask.config.set(scheduler="synchronous"):  # one adds frames
        store.write_dataset(lazy, run, "descriptors/same", parameters={})
    with pytest.raises(errors.StoreError, match="was computed before the trajectory was changed"):
        store.open_descriptors(run, ["same"])
    assert "before the trajectory was changed" in store.info(run)["descriptors"]["same"]["out_of_date"]


def test_results_are_out_of_date_with_all_that_they_were_made_from(run):
    """Input, descriptor, reduction, propensity: the last knows of the first, whether code is told or not."""
    for code in ("c", ""):
        for number in (1.0, 2.0):
            values = (store.open_trajectory(run)[["position"]] * number).rename(position="x")
            options = {"parameters": {}, "code": code, "overwrite": True}
            store.write_dataset(values, run, "descriptors/x", **{**options, "parameters": {"n": number if code else 0}})
            if number == 2.0:
                for name in ("y", "z"):
                    with pytest.raises(errors.StoreError, match=r"before (descriptors/x|reductions/y) was changed"):
                        store.open_reduction(run, name)
                    assert any(f"reductions/{name}: was computed before" in problem for problem in store.verify(run))
            for before, name in (("descriptors/x", "y"), ("reductions/y", "z")):
                made_from = {before: store.origins.version_of(run / before)}
                result = (values * 3).rename(x=name)
                store.write_dataset(result, run, f"reductions/{name}", **options, made_from=made_from)
            assert store.verify(run) == []
