"""Clusters of selected particles: known shapes, a tiled system as twin, open borders, pieces, plain Python."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import glassdask as gd
from glassdask.errors import GlassdaskError, ParameterError
from glassdask.fields import clusters as module
from glassdask.kernels import clusters as kernels
from tests.neighborhood.brute_neighbors import sets

TIMES = 5  # copies along each axis


def line(*points, edge=6.0, **options):
    position = np.array(points, dtype=float)[None]
    return gd.from_arrays(position, species=["A"] * len(points), box=[edge] * position.shape[2], **options)


def percolation(trajectory, **given):
    return gd.clusters(trajectory, **given)["percolation"].values[0].tolist()


def test_lines_planes_and_spirals():
    grid = np.stack(np.meshgrid(*[np.arange(6.0)] * 3, indexing="ij"), -1).reshape(-1, 3)
    assert set(percolation(line(*grid), cutoffs=1.1)) == {3}
    assert set(percolation(line(*grid[grid[:, 0] == 0]), cutoffs=1.1)) == {2}
    row = grid[(grid[:, 0] == 0) & (grid[:, 1] == 0)]
    assert set(percolation(line(*row), cutoffs=1.1)) == {1}
    assert set(percolation(line(*row[1:]), cutoffs=1.1)) == {0}
    # a staircase that is back at its beginning after a turn around both axes: one direction, not two
    stairs = [[k + s, k, 0.0] for k in range(6) for s in (0, 1)]
    assert set(percolation(line(*stairs), cutoffs=1.1)) == {1}
    # a ring lies across the faces of the box and does not percolate
    ring = [[5, 5, 1], [0, 5, 1], [0, 0, 1], [5, 0, 1]]
    assert percolation(line(*ring), cutoffs=1.1) == [0] * 4
    # without a periodic axis nothing meets its image
    assert set(percolation(line(*row, periodic=(True, True, False)), cutoffs=1.1)) == {0}
    square = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), -1).reshape(-1, 2)
    assert set(percolation(line(*square), cutoffs=1.1)) == {2}


def gas(dimension=3, n=130, edge=6.0, frames=2):
    rng = np.random.default_rng(11)
    box = np.eye(dimension) * edge
    box[1, 0] = 1.5
    position = rng.random((frames, n, dimension)) @ box
    return gd.from_arrays(position, species=np.where(np.arange(n) % 3 == 0, "B", "A"), box=box)


@pytest.mark.parametrize(("dimension", "cutoff"), [(3, 1.1), (3, 1.5), (2, 0.8)])
def test_clusters_equal_those_of_copies(dimension, cutoff):
    """In a system of 5 copies along each axis a component holds 5^p copies of each of its particles."""
    n = 130 if dimension == 3 else 60
    trajectory = gas(dimension, n)
    wanted = xr.DataArray(np.random.default_rng(2).random((2, n)) < 0.7, dims=("frame", "particle"))
    found = gd.clusters(wanted, trajectory, cutoffs=cutoff).compute()
    seen = set()
    for frame in range(2):
        position, box = trajectory["position"].values[frame], trajectory["box"].values[frame]
        chosen = np.flatnonzero(wanted.values[frame])
        near = sets(position, np.zeros(n, int), box, np.array([[cutoff]]))
        row, column = [], []
        copies = np.stack(np.meshgrid(*[np.arange(TIMES)] * dimension, indexing="ij"), -1).reshape(-1, dimension)
        flat = TIMES ** np.arange(dimension)
        for i in chosen:
            for j, vector in near[i].items():
                if wanted.values[frame, j]:
                    step = np.rint((vector - position[j] + position[i]) @ np.linalg.inv(box)).astype(int)
                    row += (copies @ flat * n + i).tolist()
                    column += (((copies + step) % TIMES) @ flat * n + j).tolist()
        size = n * len(copies)
        _, label = connected_components(coo_array((np.ones(len(row)), (row, column)), shape=(size, size)), False)
        label = label.reshape(-1, n)
        cluster, count, rank = (found[name].values[frame] for name in module.COLUMNS)
        assert np.isnan(cluster[~wanted.values[frame]]).all()
        for i in chosen:
            together = np.isin(label, label[0, i]).any(axis=0) & wanted.values[frame]
            joined = {int(j) for j in np.flatnonzero(together)}
            assert {int(j) for j in np.flatnonzero(cluster == cluster[i])} == joined
            assert count[i] == len(joined)
            assert TIMES ** rank[i] == (label[:, i] == label[0, i]).sum()
        seen |= set(rank[chosen].tolist())
        order = [count[cluster == k][0] for k in range(int(np.nanmax(cluster)) + 1)]
        assert order == sorted(order, reverse=True)
    assert (3 if cutoff > 1.2 else 0) in seen


def test_selections_of_any_kind():
    trajectory = gas()
    features = gd.describe(trajectory, [gd.Coordination(cutoffs=1.1)])["coordination"]
    by_truth = gd.clusters(features > 2, trajectory, cutoffs=1.1)
    number = xr.where(features > 2, 1.0, xr.where(features > 1, 0.0, np.nan))
    xr.testing.assert_equal(by_truth.compute(), gd.clusters(number, trajectory, cutoffs=1.1).compute())
    kinds = gd.clusters(trajectory["species"] == "B", trajectory, cutoffs=1.4)
    only = gd.clusters(trajectory.isel(particle=trajectory["species"].values == "B"), cutoffs=1.4)
    of_b = kinds.isel(particle=trajectory["species"].values == "B")
    np.testing.assert_array_equal(of_b["cluster"], only["cluster"])
    nobody = gd.clusters(features > 99, trajectory, cutoffs=1.1)
    assert all(np.isnan(nobody[name]).all() for name in module.COLUMNS)


def test_what_is_infinite_is_selected_and_what_is_undefined_is_not():
    t = line([1, 1, 1], [2, 1, 1], [3, 1, 1], [4, 1, 1])
    found = gd.clusters(xr.DataArray([np.inf, -np.inf, np.nan, 2.0], dims="particle"), t, cutoffs=1.1)
    np.testing.assert_array_equal(found["cluster_size"].values[0], [2, 2, np.nan, 1])


def test_rules_connect_where_one_names_the_other():
    """The nearest of c is b, whose nearest is a: with one neighbour each all three hang together."""
    t = line([1, 1, 1], [2, 1, 1], [3.2, 1, 1], [3, 5, 4])
    found = gd.clusters(xr.DataArray([True, True, True, False], dims="particle"), t, neighbors=gd.KNearest(1))
    assert found["cluster_size"].values[0, :3].tolist() == [3, 3, 3]
    solid = gd.describe(gas(), [gd.SolidLiquid(threshold=0.3, connections=2, neighbors=gd.Voronoi())])["solid_liquid"]
    found = gd.clusters(solid.sel(solid_feature="solid", drop=True), gas(), neighbors=gd.Voronoi())
    assert 0 < np.isfinite(found["cluster"]).mean() < 1


def test_frames_in_any_chunks(two_workers):
    trajectory = gas(frames=6)
    wanted = trajectory["species"] == "A"
    whole = gd.clusters(wanted, trajectory, cutoffs=1.2).compute(scheduler="synchronous")
    cut = gd.clusters(wanted, trajectory.chunk(frame=1), cutoffs=1.2).compute()
    xr.testing.assert_equal(whole, cut)


def test_what_is_no_selection_is_refused():
    trajectory = gas()
    wanted = trajectory["species"] == "A"
    for given, message in {
        "none": ((wanted, trajectory), r"either cutoffs or neighbors"),
        "alone": ((wanted,), r"clusters\(selection, trajectory"),
    }.values():
        with pytest.raises(ParameterError, match=message):
            gd.clusters(*given, **({"cutoffs": 1.2} if len(given) == 1 else {}))
    for selection in (wanted.values, wanted.isel(particle=slice(5)), wanted.expand_dims(l=2), trajectory["species"]):
        with pytest.raises(GlassdaskError):
            gd.clusters(selection, trajectory, cutoffs=1.2)
    with pytest.raises(GlassdaskError, match="more than half of the narrowest box width"):
        gd.clusters(wanted, trajectory, cutoffs=4.0)
    with pytest.raises(ParameterError, match="diameters of their own"):
        gd.clusters(trajectory, neighbors=gd.ScaledCutoff(1.4))


def test_a_search_that_joins_gives_what_lists_of_neighbours_give():
    """Cutoffs are joined while they are searched; as a rule between species they come as lists."""
    for dimension, cutoff in ((3, 1.0), (3, 1.3), (2, 0.8)):
        trajectory = gas(dimension)
        sizes = {"A": 1.0, "B": 0.8}
        pairs = {("A", "A"): cutoff, ("A", "B"): 0.9 * cutoff, ("B", "B"): 0.8 * cutoff}
        own = trajectory.assign(diameter=("particle", [sizes[name] for name in trajectory["species"].values]))
        wanted = xr.DataArray(np.random.default_rng(4).random((2, 130)) < 0.8, dims=("frame", "particle"))
        joined = gd.clusters(wanted, trajectory, cutoffs=pairs).compute()
        xr.testing.assert_equal(joined, gd.clusters(wanted, own, neighbors=gd.ScaledCutoff(cutoff)).compute())
        assert joined["cluster"].max() > 0


def test_kernels_as_plain_python(monkeypatch):
    trajectory = gas(n=40, frames=1)
    rules = {"cutoffs": 1.6}, {"neighbors": gd.KNearest(3)}
    expected = [gd.clusters(trajectory, **rule).compute(scheduler="synchronous") for rule in rules]
    for name in ("images", "unite", "unite_within", "join", "finish", "root", "add_period", "later_in_row"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    for rule, found in zip(rules, expected, strict=True):
        xr.testing.assert_equal(gd.clusters(trajectory, **rule).compute(scheduler="synchronous"), found)
