"""Motion beside open borders: paths that stay as they are, and neighbours that are known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import dynamics, simulation
from glassdask.errors import BoxError, SchemaError
from tests.neighborhood.cut_outs import CELLS, CUTS, cut, face_distances, liquid

REACH = 1.4


def moving(name, **options):
    """Two frames of a whole system, and the same particles of a part of it; nobody goes far."""
    shape, periodic = CUTS[name]
    cell, d = CELLS[shape], len(periodic)
    position, species = liquid(cell)
    step = np.random.default_rng(1).normal(scale=0.1, size=position.shape)
    names, time = np.array(["A", "B"])[species], [0.0, 1.0]
    image = np.zeros((2, len(position), d), int)
    whole = gd.from_arrays(np.stack([position, position + step]), species=names, box=cell, time=time, image=image)
    kept, inside, box = cut(position, cell, periodic)
    frames = np.stack([inside, inside + step[kept]])
    part = gd.from_arrays(
        frames, species=names[kept], box=box, time=time, periodic=periodic, image=image[:, kept], **options
    )
    return whole, part, kept, face_distances(inside, box, periodic), step


@pytest.mark.parametrize("chunks", [None, {"frame": 1, "particle": 7}])
@pytest.mark.parametrize("box", [np.eye(3) * 4.0, np.array([[4.0, 0, 0], [1.0, 4.0, 0], [-1.5, 0.5, 4.0]])])
def test_paths_are_unwrapped_along_the_axes_that_repeat_only(chunks, box):
    rng = np.random.default_rng(0)
    path = rng.random((1, 20, 3)) @ box + np.cumsum(rng.normal(scale=0.1, size=(30, 20, 3)), axis=0)
    path += np.linspace(0, 1, 30)[:, None, None] * (np.array([6.0, 0.0, 29.0]) @ (box / 4.0))  # far out along c
    origin = np.array([1.0, 2.0, 3.0])
    known = {"origin": origin, "image": np.zeros(path.shape, int), "periodic": (True, True, False)}
    film = gd.from_arrays(path + origin, species=["A"] * 20, box=box, **known)
    assert not film["image"].values[..., 2].any()
    assert film["image"].values[..., 0].any()
    for known in (film, film.drop_vars("image")):
        found = dynamics.unwrapped(known if chunks is None else known.chunk(chunks))
        np.testing.assert_allclose(found - found[0], path - path[0], atol=1e-9)
    jump = film.drop_vars("image").isel(frame=[0, 2])
    beside = (dynamics.unwrapped(jump)[1] - jump["position"][1]).values - origin  # whole boxes along a and b
    assert np.abs(beside @ np.linalg.inv(box)[:, 2]).max() < 1e-9
    with pytest.raises(SchemaError, match="moves by"):
        dynamics.unwrapped(jump.drop_vars("periodic"))


@pytest.mark.parametrize("name", ["film", "skewed block", "window", "skewed strip"])
def test_what_neighbours_do_is_known_inside(name):
    whole, part, kept, depth, step = moving(name)
    moved = [
        xr.DataArray(s[None] * np.array([1.0, 2.0])[:, None, None], dims=("replica", "particle", "space"))
        for s in (step, step[kept])
    ]
    known = depth >= REACH
    assert 0 < known.sum() < len(known)
    functions = {
        "d2min": lambda t, _: dynamics.d2min(t.isel(frame=[0]), t.isel(frame=[1]), REACH)["d2min"][0],
        "neighbors": lambda t, _: dynamics.d2min(t.isel(frame=[0]), t.isel(frame=[1]), REACH)["neighbors"][0],
        "replica_d2min": lambda t, m: dynamics.replica_d2min(m, t.isel(frame=[0]), REACH)[1],
        "replica_bonds": lambda t, m: dynamics.replica_bonds(m, t.isel(frame=[0]), REACH)[1],
        "cage_relative": lambda t, m: dynamics.cage_relative(m, t.isel(frame=[0]), REACH)[1, :, 0],
    }
    for key, function in functions.items():
        ours, theirs = function(part, moved[1]).values, function(whole, moved[0]).values[kept]
        np.testing.assert_array_equal(np.isnan(ours), ~known | np.isnan(theirs), err_msg=key)
        np.testing.assert_allclose(ours[known], theirs[known], rtol=1e-9, atol=1e-12, err_msg=key)
    near = gd.describe(part.isel(frame=[0]), [gd.Coordination(cutoffs=REACH)])["coordination"].values[0]
    kept_bonds = functions["replica_bonds"](part, moved[1] * 0.5).values
    expected = np.nansum(kept_bonds * near) / np.nansum(near)
    found = dynamics.bond_breaking(part, cutoffs=REACH)["cb_total"].values
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("function", [dynamics.strings, dynamics.mobile_clusters])
def test_clusters_do_not_go_through_open_faces(function):
    _, part, _, _, _ = moving("film")
    box = part["box"].values[0] * np.array([1.0, 1.0, 3.0])[:, None]
    path = dynamics.unwrapped(part).values
    lonely = gd.from_arrays(
        path, species=part["species"].values, box=box, time=[0.0, 1.0], image=np.zeros(path.shape, int)
    )
    xr.testing.assert_allclose(*(function(t, lag=1.0, distance=0.9, fraction=0.3) for t in (part, lonely)))


def test_cages_at_faces_beyond_which_something_may_be_are_refused():
    with pytest.raises(
        BoxError, match="cage_positions needs a box that repeats along all axes, this one is open along c"
    ):
        dynamics.cage_positions(moving("film")[1].isel(frame=[0]), "kob_andersen", 0.4, sweeps=2, burn_in=1)


def test_cages_of_a_film_that_ends():
    row = np.arange(7.0)
    position = np.stack(np.meshgrid(row + 0.5, row + 0.5, row[:3]), -1).reshape(1, -1, 3)
    film = gd.from_arrays(position, species=["A"] * 147, box=[7.0] * 3, periodic=(True, True, False), beyond="nothing")
    found = dynamics.cage_positions(film, "kob_andersen", 0.1, sweeps=40, burn_in=5)["position"].values
    assert found[0, :, 2].min() < 0  # not wrapped to the other side
    assert np.abs(found - position).max() < 0.3


def test_replicas_are_not_folded_along_open_axes():
    start, end = np.array([[0.5, 0.5]]), np.array([[[3.5, 3.5]]])
    moved = dynamics.replica_displacements(start, end, box=[4.0, 4.0], periodic=(True, False))
    assert moved.values[0, 0].tolist() == [-1.0, 3.0]
    with pytest.raises(SchemaError, match="periodic has shape"):
        dynamics.replica_displacements(start, end, box=[4.0, 4.0], periodic=(True, False, True))


def test_no_simulation_goes_on_from_a_box_that_does_not_repeat(tmp_path):
    position = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), -1).reshape(1, -1, 3)
    film = gd.from_arrays(position, species=["A"] * 216, box=[6.0] * 3, periodic=(True, True, False))
    gd.save_trajectory(film, tmp_path / "film.zarr")
    start = simulation.StoredStart(path=str(tmp_path / "film.zarr"))
    going_on = simulation.Simulation(model="kob_andersen", start=start, stages=(simulation.Minimum(),))
    with pytest.raises(BoxError, match="a simulation needs a box that repeats along all axes"):
        simulation.simulate(going_on, str(tmp_path / "run.zarr")).compute()
