"""Chunks, blocks, laziness, labels: the numbers never depend on how the work is cut."""

from __future__ import annotations

import inspect
import json

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import frames
from glassdask.errors import BoxError, ParameterError, PositionError, SchemaError, SpeciesError
from glassdask.learning import moments
from tests.conftest import pair_cutoffs

CUTOFFS = pair_cutoffs(np.array([[1.3, 1.1], [1.1, 0.9]]))
DESCRIPTORS = [
    gd.BondOrder(cutoffs=CUTOFFS),
    gd.LechnerDellago(cutoffs=CUTOFFS),
    gd.SmoothedBondOrder(cutoffs=CUTOFFS),
]


def lazy(trajectory: xr.Dataset, chunks: tuple[int, ...]) -> xr.Dataset:
    position = da.from_array(trajectory["position"].values, chunks=chunks)
    return trajectory.assign(position=(trajectory["position"].dims, position))


@pytest.mark.parametrize("block", [1, 7, 100, 240, 480, 10_000])
def test_blocks_give_the_same_numbers(liquid, block):
    whole = gd.describe(liquid, DESCRIPTORS, block=10**6).compute(scheduler="synchronous")
    if block == 1:  # a task for each particle: a few are enough
        liquid = liquid.isel(frame=[0])
        whole = whole.isel(frame=[0])
    cut = gd.describe(liquid, DESCRIPTORS, block=block).compute(scheduler="threads")
    xr.testing.assert_allclose(cut, whole, rtol=0, atol=1e-12)


def test_only_what_is_asked_for_is_computed(liquid, monkeypatch):
    whole = gd.describe(liquid, DESCRIPTORS, block=100)
    expected, n_blocks = whole.compute(scheduler="synchronous"), whole["bo"].data.npartitions
    done = []
    fill = frames._fill

    def watched(*arguments, columns, **keywords):
        done.append(columns)
        return fill(*arguments, columns=columns, **keywords)

    monkeypatch.setattr(frames, "_fill", watched)
    for names in (["ld"], ["bo", "sbo"], ["bo", "ld", "sbo"]):
        done.clear()
        some = whole[names].compute(scheduler="synchronous")
        assert done == [8 * len(names)] * n_blocks
        xr.testing.assert_allclose(some, expected[names], rtol=0, atol=1e-12)
    done.clear()
    assert whole["sbo"].isel(frame=0)[:50].values.shape == (50, 8)
    assert done == [8]


@pytest.mark.parametrize("chunks", [(1, 240, 3), (2, 100, 3), (3, 7, 2)])
def test_chunks_of_the_input_do_not_matter(liquid, chunks):
    whole = gd.describe(liquid, DESCRIPTORS, block=10**6).compute()
    cut = gd.describe(lazy(liquid, chunks), DESCRIPTORS, block=100).compute()
    xr.testing.assert_allclose(cut, whole, rtol=0, atol=1e-12)


@pytest.mark.cluster
def test_two_processes_give_the_same_numbers(liquid, two_workers):
    whole = gd.describe(liquid, DESCRIPTORS, block=10**6).compute(scheduler="synchronous")
    spread = two_workers.compute(gd.describe(lazy(liquid, (1, 240, 3)), DESCRIPTORS, block=60)).result()
    xr.testing.assert_allclose(spread, whole, rtol=0, atol=1e-12)


def test_nothing_is_computed_before_it_is_asked_for(liquid):
    def refuse(*args, **kwargs):
        raise AssertionError("computed too early")

    with dask.config.set(scheduler=refuse):
        features = gd.describe(lazy(liquid, (1, 240, 3)), DESCRIPTORS, centers="B")
        matrix = gd.feature_matrix(features["sbo"])
    assert isinstance(matrix, da.Array)
    assert matrix.shape == (240, 8)


def test_labels_and_undefined_rows(liquid):
    features = gd.describe(liquid, DESCRIPTORS, centers="B").compute()
    is_b = liquid["species"].values == "B"
    for name in ("bo", "ld", "sbo"):
        assert features[name].dims == ("frame", "particle", "l")
        assert np.isnan(features[name].values[:, ~is_b]).all()
        assert np.isfinite(features[name].values[:, is_b]).mean() > 0.9
        stored = json.loads(features[name].attrs["parameters"])
        assert stored["cutoffs"] == {"A-A": 1.3, "A-B": 1.1, "B-B": 0.9}
    assert features["l"].values.tolist() == list(range(1, 9))


@pytest.mark.parametrize(
    "given", [gd.BondOrder, [gd.BondOrder], {"x": "bo"}, 3, None, [gd.SANN()], {"x": {"type": "bo"}}]
)
def test_what_is_no_descriptor(liquid, given):
    with pytest.raises(ParameterError, match=r"^descriptors: found .*, expected descriptors such as BondOrder"):
        gd.describe(liquid, given)


@pytest.mark.parametrize("given", [3, True, "C", ["A", "C"], [], [1], np.zeros((2, 2)), np.array("A"), {"A", "B"}])
def test_what_are_no_centers(liquid, given):
    with pytest.raises((ParameterError, SpeciesError), match=r"^centers.*: expected") as caught:
        gd.describe(liquid, [gd.BondOrder(cutoffs=1.0)], centers=given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, "cannot be called") for name in ("species", "time", "frame", "particle", "position", "space", "box")),
        *((name, "cannot be called") for name in ("l", "r", "lag", "component", "energy", "id", "l_ld", "a/b")),
        *((name, "cannot name a part of a store") for name in ("", " ", "..", ".hidden", "two words", "c", "a\\b")),
        ("x" * 300, "is longer than 200 bytes"),
        ("\u00e9" * 120, "is longer than 200 bytes"),
        (3, "expected names of descriptors as text, found 3"),
        (("a", "b"), "expected names of descriptors as text"),
    ],
)
def test_names_that_no_descriptor_can_have(liquid, name, message):
    wanted = {name: gd.BondOrder(cutoffs=CUTOFFS), "ld": gd.LechnerDellago(cutoffs=CUTOFFS, l_max=4)}
    with pytest.raises(ParameterError, match=message) as caught:
        gd.describe(liquid, wanted)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["soap_feature", "ace_feature"])
def test_no_descriptor_is_called_like_its_own_dimension(liquid, name):
    kind = {
        "soap_feature": gd.SOAP(r_cut=1.2, n_max=2, l_max=1, sigma=0.3),
        "ace_feature": gd.ACE(r_cut=1.2, degree=4),
    }[name]
    with pytest.raises(ParameterError, match=f"cannot be called {name}, as a coordinate is"):
        gd.describe(liquid, {name: kind})


def test_two_of_a_kind_need_names(liquid):
    two = [gd.BondOrder(cutoffs=1.0), gd.BondOrder(cutoffs=1.0, l_max=4)]
    with pytest.raises(ParameterError, match="give a mapping"):
        gd.describe(liquid, two)
    features = gd.describe(liquid, {"full": two[0], "short": two[1]})
    assert features["full"].dims[-1] == "l"
    assert features["short"].dims[-1] == "l_short"
    np.testing.assert_allclose(features["short"].values, features["full"].values[..., :4], atol=1e-13)


def test_two_of_a_kind_without_labels_of_their_dimension(liquid):
    small = gd.SOAP(r_cut=1.2, n_max=2, l_max=2, sigma=0.3)
    large = gd.SOAP(r_cut=1.2, n_max=3, l_max=2, sigma=0.3)
    features = gd.describe(liquid, {"small": small, "large": large, "again": small})
    assert features["small"].dims[-1] == features["again"].dims[-1] == "soap_feature"
    assert features["large"].dims[-1] == "soap_feature_large"
    assert features["soap_n_large"].max() == 3
    np.testing.assert_array_equal(features["small"].values, features["again"].values)


@pytest.mark.parametrize("block", [60, 100, 480, None])
def test_feature_matrix_order(liquid, block):
    features = gd.describe(liquid, [gd.SmoothedBondOrder(cutoffs=CUTOFFS)], centers="B", block=block)["sbo"]
    is_b = liquid["species"].values == "B"
    expected = features.values[:, is_b].reshape(-1, 8)
    np.testing.assert_array_equal(gd.feature_matrix(features).compute(), expected)
    np.testing.assert_array_equal(gd.feature_matrix(features.compute()), expected)


def test_projection_goes_back_to_its_particle(liquid):
    features = gd.describe(liquid, [gd.SmoothedBondOrder(cutoffs=CUTOFFS)], centers="B", block=100)["sbo"]
    reduced = gd.reduce(features, n_components=3)
    assert isinstance(reduced["projection"].data, da.Array)
    centred = features.values - reduced["mean"].values
    expected = np.einsum("fpl,cl->fpc", centred, reduced["direction"].values)
    np.testing.assert_allclose(reduced["projection"].values, expected, atol=1e-12)
    assert json.loads(reduced.attrs["reduction"])["n_samples"] <= 240


def test_errors_come_before_the_work(liquid):
    with pytest.raises(BoxError, match="frame 2"):
        gd.describe(liquid, [gd.BondOrder(cutoffs=29.6)])
    with pytest.raises(ParameterError, match="at least one"):
        gd.describe(liquid, [])
    with pytest.raises(ParameterError, match=r"describe\.block: expected a whole number of at least 1, found 0"):
        gd.describe(liquid, DESCRIPTORS, block=0)
    with pytest.raises(SchemaError, match="no variable 'box'"):
        gd.describe(liquid.drop_vars("box"), DESCRIPTORS)
    with pytest.raises(SchemaError, match="expected \\(frame, particle"):
        gd.feature_matrix(liquid["box"])


def test_lazy_nan_names_the_frame(liquid):
    position = liquid["position"].values.copy()
    position[1, 17, 2] = np.nan
    broken = lazy(liquid.assign(position=(liquid["position"].dims, np.zeros_like(position))), (1, 240, 3))
    broken["position"] = (liquid["position"].dims, da.from_array(position, chunks=(1, 240, 3)))
    with pytest.raises(PositionError, match="frame 1, particle 17"):
        gd.describe(broken, DESCRIPTORS).compute()


def test_moments_of_a_reduction_are_found_some_chunks_at_a_time(liquid, monkeypatch):
    """However the chunks are parted into graphs, the directions are those of all rows."""
    features = gd.describe(liquid, [gd.BondOrder(cutoffs=1.6)], centers="A", block=100)["bo"]
    whole = gd.reduce(features)
    sizes = []
    monkeypatch.setattr("glassdask.descriptors.reduce.FIT_CHUNKS", 3)
    merge = moments.merge_moments

    def merged(parts):
        parts = list(parts)
        sizes.append(len(parts))
        return merge(parts)

    monkeypatch.setattr(moments, "merge_moments", merged)
    parted = gd.reduce(features)
    assert sizes[-2:] == [3, 1]  # one frame of three blocks at a time; then the moments of the only dataset
    assert parted.attrs["reduction"] == whole.attrs["reduction"]
    xr.testing.assert_allclose(parted, whole, rtol=1e-10)


@pytest.mark.slow
def test_workers_need_no_scikit_learn(two_workers, tmp_path):
    """A second of imports and 40 MB for each of them, for a matrix product."""
    rng = np.random.default_rng(5)
    store = tmp_path / "run.zarr"
    gd.save_trajectory(gd.from_arrays(rng.random((4, 60, 3)) * 4, species=["A"] * 60, box=[4.0] * 3), store)
    gd.save_descriptors(gd.describe(gd.open_trajectory(store), [gd.BondOrder(cutoffs=1.5)], block=60), store)

    def loaded():
        import sys

        return "sklearn" in sys.modules

    two_workers.restart()  # other tests may have needed it
    gd.save_reduction(gd.reduce(gd.open_descriptors(store)["bo"]), store, "bo")
    assert not any(two_workers.run(loaded).values())


def test_slow_descriptors_have_smaller_tasks():
    """About a second each, but a frame is not cut for that."""
    quick, slow = gd.Coordination(cutoffs=1.4), gd.LocallyFavoredStructure(signature=(0, 0, 12))
    long = gd.from_arrays(np.zeros((1, 4000, 3)), species=["A"] * 4000, box=[16.0] * 3).isel(frame=[0] * 4000)
    chunks = [gd.describe(long, listed)["coordination"].chunks for listed in ([quick], [quick, slow])]
    assert [sizes[0][0] for sizes in chunks] == [32, 16]
    large = gd.from_arrays(np.zeros((1, 60_000, 3)), species=["A"] * 60_000, box=[40.0] * 3).isel(frame=[0] * 80)
    assert gd.describe(large, [quick, slow])["coordination"].chunks[1] == (60_000,)


@pytest.mark.parametrize("lazily", [True, False])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.assign_attrs(centers=["Z"]), SpeciesError, "centers Z, the particles of A, B"),
        (lambda f: f.isel(particle=f["species"].values == "A").assign_attrs(centers=["B"]), SpeciesError, "centers B"),
        (lambda f: f.drop_vars("species"), SchemaError, "no coordinate species"),
        (lambda f: f.assign_coords(species="A"), SchemaError, "no coordinate species"),
    ],
)
def test_centers_that_are_not_there(liquid, lazily, change, error, message):
    features = gd.describe(liquid, DESCRIPTORS[:1], centers="B")["bo"]
    with pytest.raises(error, match=message):
        gd.feature_matrix(change(features if lazily else features.compute()))


def test_help_shows_the_parameters_of_a_descriptor():
    """Not those of Python's machinery behind it."""
    assert list(inspect.signature(gd.SmoothedBondOrder).parameters)[:3] == ["l_max", "l_min", "gamma"]
    assert inspect.signature(gd.SmoothedBondOrder).parameters["gamma"].default == 8.0


def test_a_descriptor_that_lacks_something_says_what_to_give():
    """One line, in place of Python's TypeError, and its advice works."""
    liquid = gd.example("wahnstrom").isel(frame=[0])
    with pytest.raises(ParameterError, match=r"^SmoothedBondOrder.cutoffs: is missing: .*gd.first_minima.* 'sbo'"):
        gd.SmoothedBondOrder()
    assert gd.describe(liquid, gd.SmoothedBondOrder(cutoffs=gd.first_minima(liquid)))["sbo"].equals(
        gd.describe(liquid, "sbo")["sbo"]
    )
    with pytest.raises(ParameterError, match=r"^SOAP.r_cut: is missing: give r_cut=..., l_max=..., sigma=...$"):
        gd.SOAP(n_max=4)
    with pytest.raises(ParameterError, match=r"BondOrder.cutof: unknown, .*; did you mean 'cutoffs'\?$"):
        gd.BondOrder(cutof=1.4)
