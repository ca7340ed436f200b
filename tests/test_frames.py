"""One walk over frames: functions of a user, sizes of tasks, and what goes to the tasks."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import configurations, frames, graphs
from glassdask.errors import ParameterError, PositionError, SchemaError
from glassdask.frames import map_frames, sum_frames, task_shape


def contacts(configuration):
    """Number of neighbours closer than 1.2, in a way of its own."""
    r = configuration.position[:, None] - configuration.position
    fraction = r @ configuration.inverse
    r = (fraction - np.rint(fraction)) @ configuration.box
    return (np.sum(r**2, axis=-1) < 1.44).sum(axis=1) - 1.0


def weighted(configuration, energy, charge):
    return [configuration.density * energy.sum(), (energy * charge).sum()]


@pytest.fixture
def stored(liquid, tmp_path):
    gd.save_trajectory(liquid, tmp_path / "run.zarr")
    return gd.open_trajectory(tmp_path / "run.zarr")


def test_a_function_of_every_particle(liquid, stored):
    expected = gd.describe(liquid, [gd.Coordination(cutoffs=1.2)])["coordination"].values
    for trajectory in (liquid, stored, liquid.chunk(frame=1, particle=70)):
        found = map_frames(contacts, trajectory, dims=["particle"])
        assert found.chunks is not None
        np.testing.assert_array_equal(found, expected)
        assert found["species"].variable.equals(liquid["species"].variable)


def test_values_come_with_their_frame_or_whole(liquid):
    rng = np.random.default_rng(1)
    energy = xr.DataArray(rng.random((240, 3)), dims=("particle", "frame")).chunk(frame=1)
    charge = xr.DataArray(rng.random(240), dims="particle")
    found = map_frames(weighted, liquid, energy, charge, dims={"kind": 2})
    assert found.dims == ("frame", "kind")
    volume = np.abs(np.linalg.det(liquid["box"].values))
    np.testing.assert_allclose(found[:, 0], 240 / volume * energy.values.sum(axis=0))
    np.testing.assert_allclose(found[:, 1], charge.values @ energy.values)


def test_one_number_for_each_frame_and_other_types(liquid):
    found = map_frames(lambda configuration: len(configuration.names), liquid, dtype=np.int32)
    assert (found.dims, found.dtype, found.values.tolist()) == (("frame",), np.int32, [2, 2, 2])
    flat = gd.from_arrays(liquid["position"].values[..., :2], species=["A"] * 240, box=[9.0, 9.0])
    assert map_frames(lambda configuration: configuration.dimension, flat).values.tolist() == [2.0] * 3


def test_what_does_not_fit_is_refused(liquid):
    short = xr.DataArray(np.zeros((2, 240)), dims=("frame", "particle"))
    for values in (short, short[:1], xr.DataArray(np.zeros(7), dims="particle")):
        with pytest.raises(SchemaError, match="same frames and particles"):
            map_frames(weighted, liquid, values)
    with pytest.raises(ParameterError, match="no dimension bin: give sizes"):
        map_frames(contacts, liquid, dims=["particle", "bin"])
    with pytest.raises(ParameterError, match=r"frame 0: the function gave an array of shape \(240,\), expected \(3,\)"):
        map_frames(contacts, liquid, dims={"bin": 3}).compute()
    # a number is not spread over all of them
    with pytest.raises(ParameterError, match=r"shape \(\), expected \(240,\)"):
        map_frames(lambda configuration: 1.0, liquid, dims=["particle"]).compute()


def test_the_frame_of_a_bad_position_is_named(liquid):
    position = liquid["position"].values.copy()
    position[2, 5, 0] = np.inf
    broken = liquid.assign(position=(liquid["position"].dims, da.from_array(position, chunks=(1, 240, 3))))
    with pytest.raises(PositionError, match="frame 2, particle 5"):
        map_frames(contacts, broken, dims=["particle"]).compute()


@pytest.mark.cluster
def test_workers_give_the_same(stored, two_workers):
    def scaled(configuration):  # known to no module, as in a notebook
        return 2.0 * configuration.position[:, 0]

    with dask.config.set({"glassdask.task.seconds": 1e-6}):
        found = map_frames(scaled, stored, dims=["particle"])
    np.testing.assert_array_equal(found.compute(), 2.0 * stored["position"].values[..., 0])


def tasks(collection):
    return len(dict(dask.optimize(collection)[0].__dask_graph__()))


@pytest.mark.parametrize("cut", [lambda t: t, lambda t: t.isel(frame=slice(1, None)), lambda t: t.isel(frame=[0, 2])])
@pytest.mark.parametrize("block", [240, 100])
def test_what_is_stored_is_read_by_the_tasks_that_use_it(liquid, stored, cut, block):
    """One task for each block, and one thing that they share; nothing that was read waits for another task."""
    descriptors = [gd.BondOrder(cutoffs=1.3)]
    found = gd.describe(cut(stored), descriptors, block=block)["bo"]
    assert tasks(found.data) == found.data.npartitions + 1
    np.testing.assert_allclose(found, gd.describe(cut(liquid), descriptors)["bo"], rtol=0, atol=1e-12)
    # with what is done with a block afterwards, as it is when it is stored
    assert len(graphs.one_task_each(2.0 * found.data).dask) == found.data.npartitions + 1
    grid = gd.to_grid(cut(stored), 6, {"A": 0.5, "B": 0.5})
    assert tasks(grid.data) == grid.data.npartitions + 1


def test_a_plan_is_made_once_for_all_tasks(liquid, stored, monkeypatch):
    made = []
    plan = gd.SOAP.plan
    monkeypatch.setattr(gd.SOAP, "plan", lambda *args: made.append(args) or plan(*args))
    found = gd.describe(stored, [gd.SOAP(r_cut=1.3, n_max=2, l_max=2, sigma=0.3)], block=60)["soap"]
    assert found.data.npartitions == 12
    found.compute()
    assert len(made) == 1


DESCRIPTORS = [
    gd.BondOrder(cutoffs=1.5),
    gd.LechnerDellago(cutoffs=1.4),
    gd.SmoothedBondOrder(cutoffs=1.3),
    gd.RadialBondOrder(grid=(1.0, 1.4), delta=0.2, l_max=4),
    gd.SOAP(r_cut=1.4, n_max=3, l_max=3, sigma=0.3),
    gd.ACE(r_cut=1.6, degree=6),
    gd.Tetrahedrality(cutoffs=1.3),
    gd.ThirdOrderInvariants(cutoffs=1.3),
    gd.SymmetryFunctions(r_cut=1.4, radial=((1.0, 1.0),), angular=((1.0, 2, 1.0),)),
    gd.CommonNeighbors(),
    gd.TopologicalClusters(cutoffs=1.3),
    gd.CommonNeighbors(neighbors=gd.SANN(), output="pairs"),
    gd.Centrosymmetry(),
    gd.PairEntropy(r_max=1.8, sigma=0.15),
    gd.PairEntropy(r_max=1.8, sigma=0.15, average_radius=1.2),
    gd.WarrenCowley(cutoffs=1.3),
    gd.SolidLiquid(cutoffs=1.3),
    gd.MinkowskiStructure(),
    gd.TongTanaka(diameters={"A": 1.0, "B": 0.8}),
    gd.VoronoiCell(),
]


@pytest.mark.parametrize("descriptor", DESCRIPTORS, ids=lambda d: d.name)
def test_threads_share_a_plan_and_nothing_else(liquid, descriptor):
    """The plan is one object for all threads of a process: what it computes with belongs to each task."""
    # frames of very different densities, so that every thread needs other room
    factors = np.linspace(0.9, 1.4, 12)[:, None, None]
    frames_of = np.arange(12) % 3
    many = gd.from_arrays(
        liquid["position"].values[frames_of] * factors,
        species=liquid["species"].values,
        box=liquid["box"].values[frames_of] * factors,
    )
    found = gd.describe(many, [descriptor], block=80)[descriptor.name]
    alone = found.compute(scheduler="synchronous")
    for _ in range(3):
        with dask.config.set(scheduler="threads", num_workers=6):
            np.testing.assert_array_equal(found.compute(), alone)


def test_sizes_are_dask_s_configuration():
    assert task_shape(10_000, 4000, 10.0, row_bytes=64) == (16, 4000)
    with dask.config.set({"glassdask.task.seconds": 0.2}):
        assert task_shape(10_000, 4000, 10.0, row_bytes=64) == (4, 4000)
    with dask.config.set({"glassdask.task.bytes": "1 MiB"}):
        assert task_shape(10_000, 4000, 10.0, row_bytes=64) == (4, 4000)
    for name, value in (("seconds", 0), ("seconds", "soon"), ("bytes", "-1 MB"), ("bytes", None)):
        with (
            dask.config.set({f"glassdask.task.{name}": value}),
            pytest.raises(ParameterError, match=rf"glassdask.task.{name} is .* expected a positive number"),
        ):
            task_shape(10, 10, 1.0)


@pytest.mark.parametrize("n_frames", [1, 7, 1000, 100_000])
@pytest.mark.parametrize("n_items", [1, 150, 4000, 33_000, 10**6])
@pytest.mark.parametrize("microseconds", [1.0, 200.0])
def test_tasks_are_neither_tiny_nor_huge(n_frames, n_items, microseconds):
    shape = task_shape(n_frames, n_items, microseconds, row_bytes=100)
    assert 1 <= shape[0] <= n_frames
    assert 1 <= shape[1] <= n_items
    seconds = 1e-6 * microseconds * shape[0] * shape[1]
    assert shape[0] == 1 or seconds <= 1.0
    if n_items <= frames.WHOLE_FRAME:
        assert shape[1] == n_items
    else:
        assert shape[0] * shape[1] * 100 <= graphs.task_bytes()
    total = n_frames * n_items
    assert shape[0] * shape[1] >= min(total // 100, n_items, 5000)


@pytest.mark.parametrize("batch", [1, 4, 512])
def test_sums_are_the_same_however_many_tasks_are_known(liquid, monkeypatch, task_rows, batch):
    long = liquid.isel(frame=np.arange(40) % 3)
    expected = np.array([configuration_sum(long, k) for k in range(40)]).sum(axis=0)
    monkeypatch.setattr(graphs, "BATCH", batch)
    monkeypatch.setattr(graphs, "FAN_IN", 3)
    task_rows(100)
    known = []
    compute = graphs.compute_batches

    def watched(batches):
        for part in batches:
            known.append(len(dict(part[0].__dask_graph__())))
            yield from compute([part])

    monkeypatch.setattr(graphs, "compute_batches", watched)
    (found,) = sum_frames(lambda c, particles: (c.position[particles].sum(axis=0),), long)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert len(known) == -(-120 // batch)
    assert max(known) <= 4 * batch + 2


def configuration_sum(trajectory, frame):
    return trajectory["position"].values[frame].sum(axis=0)


def test_a_frame_that_several_tasks_share_is_sorted_once(liquid, monkeypatch):
    """Read, checked and put into cells by the first of its tasks in a process, and gone when the last is done."""
    made = []
    grid = configurations.Configuration.grid

    def counted(configuration, radius):
        if radius not in configuration._grids:
            made.append(configuration.label)
        return grid(configuration, radius)

    monkeypatch.setattr(configurations.Configuration, "grid", counted)
    descriptor = gd.BondOrder(cutoffs=1.4, l_max=4)
    whole = gd.describe(liquid, [descriptor])["bo"].values
    made.clear()
    for scheduler in ("synchronous", "threads"):
        features = gd.describe(liquid, [descriptor], block=100)["bo"]
        assert features.data.numblocks[1] > 2
        with dask.config.set(scheduler=scheduler, num_workers=1):
            np.testing.assert_array_equal(features.values, whole)
        assert sorted(made) == [f"frame {k}" for k in range(liquid.sizes["frame"])]
        made.clear()
        assert configurations._parts.frame is None


def test_tasks_of_one_frame_do_not_disturb_each_other(liquid):
    """Threads share the cells of a frame, each with memory of its own for what it finds."""
    descriptors = [gd.SmoothedBondOrder(cutoffs=1.4), gd.LechnerDellago(neighbors=gd.KNearest(k=12)), gd.VoronoiCell()]
    whole = gd.describe(liquid, descriptors).compute(scheduler="synchronous")
    parts = gd.describe(liquid, descriptors, block=70).compute(scheduler="threads", num_workers=8)
    xr.testing.assert_identical(parts.drop_attrs(), whole.drop_attrs())


def test_frames_of_other_trajectories_with_the_same_box_are_others(liquid):
    moved = liquid.assign(position=liquid["position"] * 0.999)
    tasks = [gd.describe(t, [gd.Coordination(cutoffs=1.4)], block=100)["coordination"] for t in (liquid, moved, liquid)]
    first, other, again = (task.compute(scheduler="synchronous").values for task in tasks)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
