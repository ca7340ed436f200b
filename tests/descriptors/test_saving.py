"""Results are stored with the data they were computed from, and with no others."""

from functools import partial

import dask
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import store as stores
from glassdask.declarations import plain
from glassdask.descriptors.codes import codes_now
from glassdask.descriptors.describe import code_of
from glassdask.errors import ParameterError, StoreError

COORDINATION = gd.Coordination(cutoffs=1.4)
BO = gd.BondOrder(cutoffs=1.5, l_max=4)


def liquid(seed=0, **options):
    rng = np.random.default_rng(seed)
    species = np.array(["A", "B"])[np.arange(60) % 2]
    return gd.from_arrays(rng.random((5, 60, 3)) * 5, species=species, box=[5.0] * 3, **options)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Five frames in chunks of two."""
    monkeypatch.setattr("glassdask.store.layout.CHUNK_BYTES", 2 * 60 * 3 * 8)
    gd.save_trajectory(liquid(time=np.arange(5.0)), tmp_path / "run.zarr")
    with dask.config.set({"glassdask.task.bytes": 2 * 60 * 3 * 8}):
        yield tmp_path / "run.zarr"


@pytest.fixture
def opened(path):
    return gd.open_trajectory(path)


# the same positions, boxes and species in the same order, whatever was done with the rest
SAME = {
    "as opened": lambda t: t,
    "loaded": lambda t: t.load(),
    "persisted": lambda t: t.persist(),
    "in other chunks": lambda t: t.chunk(frame=3).chunk(frame=1),
    "without its times": lambda t: t.drop_vars("time"),
    "with other attributes": lambda t: t.assign_attrs(title="mine"),
    "some variables": lambda t: t[["position", "box", "species"]],
    "merged": lambda t: xr.merge([t, xr.Dataset({"mass": ("particle", np.ones(60))})]),
    "all of it, in order": lambda t: t.isel(frame=slice(None)),
    "from arrays": lambda t: liquid(),
}
OTHER = {
    "other positions": lambda t: t.assign(position=0.5 * t.position + 1.0),
    "other positions in memory": lambda t: t.assign(position=0.5 * t.position.load() + 1.0),
    "reversed": lambda t: t.isel(frame=slice(None, None, -1)),
    "reversed in memory": lambda t: t.load().isel(frame=[4, 3, 2, 1, 0]),
    "permuted": lambda t: t.isel(particle=np.random.default_rng(1).permutation(60)),
    "rolled": lambda t: t.roll(frame=1),
    "one frame moved": lambda t: t.assign(position=xr.where(np.arange(5)[:, None, None] == 3, 1.0, t.position)),
    "some frames": lambda t: t.isel(frame=slice(0, 3)),
    "a frame twice": lambda t: t.isel(frame=[0, 1, 2, 3, 3]),
    "some particles": lambda t: t.isel(particle=slice(0, 30)),
    "another box": lambda t: t.assign(box=t.box * 1.01),
    "other species": lambda t: t.assign(species=("particle", ["B", "A"] * 30)),
    "rounded": lambda t: t.assign(position=t.position.astype(np.float32)),
    "from other arrays": lambda t: liquid(seed=1),
}


@pytest.mark.parametrize("how", SAME)
def test_the_same_trajectory_is_recognised(path, opened, how):
    expected = gd.describe(liquid(), [COORDINATION])["coordination"].values
    for _ in range(2):  # the second time there is nothing to do
        gd.save_descriptors(gd.describe(SAME[how](opened), [COORDINATION]), path)
        np.testing.assert_array_equal(gd.open_descriptors(path)["coordination"], expected)
    gd.save_reduction(gd.reduce(gd.describe(SAME[how](opened), [BO])["bo"]), path, "bo")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("how", OTHER)
def test_another_trajectory_is_refused(path, opened, how, overwrite):
    features = gd.describe(OTHER[how](opened), [COORDINATION, BO])
    with pytest.raises(StoreError, match=r"computed from other positions.*or save that trajectory as a store of its"):
        gd.save_descriptors(features, path, overwrite=overwrite)
    with pytest.raises(StoreError, match="reduction 'bo': computed from other positions"):
        gd.save_reduction(gd.reduce(features["bo"]), path, "bo", overwrite=overwrite)
    assert not (path / "descriptors").exists()
    assert not (path / "reductions").exists()


def test_another_trajectory_can_be_saved_as_a_store_of_its_own(path, opened, tmp_path):
    """As the message says."""
    inherent = opened.assign(position=0.5 * opened.position + 1.0)
    gd.save_trajectory(inherent, tmp_path / "inherent.zarr")
    gd.save_descriptors(gd.describe(gd.open_trajectory(tmp_path / "inherent.zarr"), [BO]), tmp_path / "inherent.zarr")
    gd.save_descriptors(gd.describe(inherent.load(), [BO]), tmp_path / "inherent.zarr")
    np.testing.assert_array_equal(
        gd.open_descriptors(tmp_path / "inherent.zarr")["bo"], gd.describe(inherent, [BO])["bo"].astype(np.float32)
    )


KEPT = {
    "one of several": lambda f: f[["bo"]],
    "a variable made a dataset": lambda f: f["bo"].to_dataset(),
    "renamed": lambda f: f.rename(bo="sharp", l="degree"),
    "merged": lambda f: xr.merge([f[["coordination"]], f[["bo"]]]),
    "persisted": lambda f: f.persist(),
    "in other chunks": lambda f: f.chunk(frame=2, particle=30),
    "without attributes of its own": lambda f: f.drop_attrs(deep=False),
}


@pytest.mark.parametrize("how", KEPT)
def test_features_that_are_what_describe_gave_are_stored(path, opened, how):
    features = KEPT[how](gd.describe(opened, [COORDINATION, BO]))
    gd.save_descriptors(features, path)
    gd.save_descriptors(features, path)
    back = gd.open_descriptors(path, list(features))
    for name in features:
        np.testing.assert_array_equal(back[name], features[name].astype(np.float32))
        reduced = gd.reduce(features[name]) if name == "bo" else None
        if reduced is not None:
            gd.save_reduction(reduced, path, "bo")
            np.testing.assert_array_equal(gd.open_reduction(path, "bo")["projection"], reduced["projection"])


CHANGED = {
    "doubled": lambda f: (f * 2).map(lambda v: v.assign_attrs(f[v.name].attrs)),
    "assigned": lambda f: f.map(lambda v: v.copy(data=v.data + 1.0)),
    "loaded": lambda f: f.load(),
    "loaded and doubled": lambda f: f.map(lambda v: v.copy(data=v.values * 2)),
    "reversed": lambda f: f.isel(frame=slice(None, None, -1)),
    "loaded and reversed": lambda f: f.load().isel(frame=slice(None, None, -1)),
    "permuted": lambda f: f.isel(particle=np.random.default_rng(1).permutation(60)),
    "some frames": lambda f: f.isel(frame=slice(0, 2)),
    "rounded": lambda f: f.astype(np.float32),
}


@pytest.mark.parametrize("how", CHANGED)
def test_features_that_were_changed_are_refused(path, opened, how):
    features = CHANGED[how](gd.describe(opened, [COORDINATION, BO]))
    with pytest.raises(StoreError, match=r"(changed since|in memory).*write_dataset under parameters of your own"):
        gd.save_descriptors(features, path)
    with pytest.raises(StoreError, match=r"(were changed|were in memory)"):
        gd.save_reduction(gd.reduce(features["bo"]), path, "bo")
    assert not (path / "descriptors").exists()


@pytest.mark.parametrize("make", [lambda f: f.assign(mine=f["bo"][..., 0].drop_attrs()), lambda f: f.drop_attrs()])
def test_what_describe_did_not_make_is_refused(path, opened, make):
    with pytest.raises(StoreError, match=r"no result of describe.*write_dataset"):
        gd.save_descriptors(make(gd.describe(opened, [BO])), path)


def test_other_parameters_are_refused_or_replace(path, opened):
    first, second = (gd.describe(opened, {"bo": gd.BondOrder(cutoffs=c, l_max=4)}) for c in (1.5, 1.6))
    gd.save_descriptors(first, path)
    with pytest.raises(StoreError, match="replace it with `overwrite=True`"):
        gd.save_descriptors(second, path)
    np.testing.assert_array_equal(gd.open_descriptors(path)["bo"], first["bo"].astype(np.float32))
    gd.save_descriptors(second, path, overwrite=True)
    np.testing.assert_array_equal(gd.open_descriptors(path)["bo"], second["bo"].astype(np.float32))


def test_stored_descriptors_are_not_overwritten_with_what_is_read_from_them(path, opened):
    features = gd.describe(opened, [BO])
    gd.save_descriptors(features, path)
    gd.save_descriptors(gd.open_descriptors(path), path, overwrite=True)
    np.testing.assert_array_equal(gd.open_descriptors(path)["bo"], features["bo"].astype(np.float32))
    gd.save_descriptors(gd.open_descriptors(path).rename(bo="again"), path)
    np.testing.assert_array_equal(gd.open_descriptors(path)["again"], features["bo"].astype(np.float32))


def test_numbers_are_stored_in_the_precision_that_is_asked_for(path, opened):
    features = gd.describe(opened, [BO, COORDINATION])
    gd.save_descriptors(features, path)
    assert {values.dtype for values in gd.open_descriptors(path).data_vars.values()} == {np.dtype(np.float32)}
    gd.save_descriptors(features, path, dtype="float32")  # the same
    with pytest.raises(StoreError, match="other input, parameters or code: replace it"):
        gd.save_descriptors(features, path, dtype="float64")
    gd.save_descriptors(features, path, dtype="float64", overwrite=True)
    np.testing.assert_array_equal(gd.open_descriptors(path)["bo"], features["bo"])
    attrs = [stores.groups.attributes(path / f"descriptors/{name}") for name in ("bo", "coordination")]
    assert all("dtype" not in each["parameters"] for each in attrs)  # so that older stores are what is asked for
    with pytest.raises(ParameterError, match=r"dtype: expected.*float32.*int8"):
        gd.save_descriptors(features, path, dtype="int8")


def test_components_of_what_is_stored_in_single_precision_are_those_of_the_features(path, opened):
    features = gd.describe(opened, [BO])
    gd.save_descriptors(features, path)
    stored, lazy = gd.reduce(gd.open_descriptors(path)["bo"]), gd.reduce(features["bo"])
    np.testing.assert_allclose(stored["direction"], lazy["direction"], atol=1e-6)
    np.testing.assert_allclose(stored["explained_variance"], lazy["explained_variance"], rtol=1e-6)
    np.testing.assert_allclose(stored["projection"], lazy["projection"], atol=1e-6)


def reduced_from(features, how=lambda f: f):
    return gd.reduce(how(features["bo"]), n_components=2)


@pytest.mark.parametrize("how", [lambda f: f, lambda f: f.load(), lambda f: f.chunk(frame=1), lambda f: f.persist()])
def test_stored_features_are_reduced_and_stored(path, opened, how):
    gd.save_descriptors(gd.describe(opened, [BO, COORDINATION]), path)
    for _ in range(2):
        reduced = reduced_from(gd.open_descriptors(path), how)
        gd.save_reduction(reduced, path, "bo")
        np.testing.assert_allclose(gd.open_reduction(path, "bo")["projection"], reduced["projection"], rtol=1e-12)
    assert stores.groups.attributes(path / "reductions/bo")["made_from"].keys() == {"descriptors/bo"}


@pytest.mark.parametrize(
    "how", [lambda f: f.load()[::-1], lambda f: f[::-1], lambda f: 2 * f.load(), lambda f: f.load().rename("other") + 1]
)
def test_stored_features_that_were_changed_are_not(path, opened, how):
    gd.save_descriptors(gd.describe(opened, [BO]), path)
    with pytest.raises(StoreError, match=r"(were changed|were in memory|no result)"):
        gd.save_reduction(reduced_from(gd.open_descriptors(path), how), path, "bo")


@pytest.mark.parametrize(
    "edit",
    [
        lambda r: r.assign(projection=2 * r["projection"]),
        lambda r: r.assign(direction=-r["direction"]),
        lambda r: r.isel(component=[1, 0]),
        lambda r: r.isel(frame=slice(None, None, -1)),
        lambda r: r.load(),
        lambda r: r.drop_attrs(deep=False),
    ],
)
def test_a_reduction_that_was_edited_is_refused(path, opened, edit):
    reduced = reduced_from(gd.describe(opened, [BO]))
    with pytest.raises(StoreError, match=r"(loaded into memory or changed|no result of reduce)"):
        gd.save_reduction(edit(reduced.copy()), path, "bo")
    gd.save_reduction(reduced.persist(), path, "bo")


def test_a_reduction_is_out_of_date_with_its_descriptor(path, opened):
    describe = partial(gd.save_descriptors, path=path)
    describe(gd.describe(opened, [BO]))
    features = gd.open_descriptors(path)
    before = reduced_from(features)
    gd.save_reduction(before, path, "bo")
    describe(gd.describe(opened, {"bo": gd.BondOrder(cutoffs=1.6, l_max=4)}), overwrite=True)
    with pytest.raises(
        StoreError, match="computed before descriptors/bo was changed: compute it again with `overwrite=True`"
    ):
        gd.open_reduction(path, "bo")
    with pytest.raises(StoreError, match="descriptors/bo was changed since it was opened"):
        gd.save_reduction(before, path, "bo", overwrite=True)
    again = reduced_from(gd.open_descriptors(path))
    with pytest.raises(StoreError, match="replace it with `overwrite=True`"):
        gd.save_reduction(again, path, "bo")
    gd.save_reduction(again, path, "bo", overwrite=True)
    np.testing.assert_array_equal(gd.open_reduction(path, "bo")["projection"], again["projection"])


def test_a_store_that_was_replaced_is_not_the_one_that_was_opened(path, opened):
    features = gd.describe(opened, [BO])
    gd.save_trajectory(liquid(seed=2), path, overwrite=True)
    with pytest.raises(StoreError, match="computed from other positions"):
        gd.save_descriptors(features, path)


def test_identities_of_equal_content_are_equal(tmp_path):
    paths = [tmp_path / "a.zarr", tmp_path / "b.zarr"]
    for path in paths:
        gd.save_trajectory(liquid(), path)
    first, second = (gd.open_trajectory(path) for path in paths)
    assert stores.identity(first) == stores.identity(second) == stores.content_hash(paths[0])
    assert stores.identity(first.load()) == stores.identity(liquid()) != stores.identity(liquid(seed=1))
    gd.save_descriptors(gd.describe(second, [BO]), paths[0])  # a copy


def test_what_is_stored_does_not_tell_the_graph(path):
    """The same result has the same bytes by whatever graph it was made: that of a resumed run is another one."""
    features = gd.describe(gd.open_trajectory(path), [BO])
    gd.save_descriptors(features, path)
    gd.save_reduction(gd.reduce(features["bo"]), path, "bo")
    metadata = [file.read_text() for file in path.rglob("zarr.json")]
    assert len(metadata) > 10
    assert not any(name in text for text in metadata for name in ('"graph"', features["bo"].data.name))


def test_a_descriptor_is_the_same_alone_and_with_others(path, opened):
    """Where two have a dimension of the same name and other labels, what is stored does not tell."""
    other = gd.BondOrder(cutoffs=1.5, l_max=6)
    gd.save_descriptors(gd.describe(opened, {"other": other}), path)
    before = {file: file.stat().st_mtime_ns for file in (path / "descriptors/other").rglob("*")}
    gd.save_descriptors(gd.describe(opened, {"bo": BO, "other": other}), path)
    assert {file: file.stat().st_mtime_ns for file in (path / "descriptors/other").rglob("*")} == before
    assert gd.open_descriptors(path, ["other"])["other"].dims == ("frame", "particle", "l")
    assert gd.open_descriptors(path)["other"].dims == ("frame", "particle", "l_other")


def test_nothing_is_saved_at_an_address(opened):
    features = gd.describe(opened, [BO])
    with pytest.raises(StoreError, match="nothing is written there"):
        gd.save_descriptors(features, "s3://bucket/run.zarr")
    with pytest.raises(StoreError, match="nothing is written there"):
        gd.save_reduction(gd.reduce(features["bo"], n_components=1), "s3://bucket/run.zarr", "bo")


@pytest.mark.parametrize("rule", [None, gd.KNearest(k=12)])
def test_the_code_of_what_is_stored_is_told_from_its_parameters(rule):
    descriptor = gd.BondOrder(neighbors=rule) if rule else gd.BondOrder(cutoffs={("A", "A"): 1.4, ("A", "B"): 1.3})
    assert codes_now("descriptors", plain(descriptor)) == [code_of(descriptor)]
