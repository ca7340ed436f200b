"""Unwrapping: known paths are found again, with images and without."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.dynamics import displacements, unwrapped
from glassdask.errors import ParameterError, PositionError, SchemaError
from glassdask.kernels import dynamics as kernels
from glassdask.store import open_trajectory, save_trajectory
from glassdask.wrapping import wrap

BOX = np.array([[5.0, 0.0, 0.0], [1.5, 4.5, 0.0], [-1.0, 0.8, 4.0]])


def path_and_box(dimension, n_frames=120, n=50, step=0.3):
    """Random walks over many boxes, in a triclinic box that changes from frame to frame."""
    rng = np.random.default_rng(1)
    box = BOX[:dimension, :dimension] * (1 + 0.002 * np.arange(n_frames))[:, None, None]
    walk = rng.random((n, dimension)) + np.cumsum(rng.normal(scale=step, size=(n_frames, n, dimension)), axis=0)
    return walk, box


def trajectory(walk, box, *, images):
    position, image = wrap(walk, box)
    time = np.arange(len(walk)) * 0.1
    extra = {"image": image} if images else {}
    return gd.from_arrays(position, species=["A"] * walk.shape[1], box=box, time=time, **extra)


@pytest.mark.parametrize("dimension", [2, 3])
def test_images_give_the_path(dimension):
    walk, box = path_and_box(dimension)
    assert np.abs(walk).max() > 8  # beyond one box
    t = trajectory(walk, box, images=True)
    np.testing.assert_allclose(unwrapped(t), walk, atol=1e-12)
    np.testing.assert_allclose(displacements(t, reference=-1), walk - walk[-1], atol=1e-12)
    lazy = displacements(t.chunk(frame=7, particle=11), reference=3)
    assert lazy.chunks is not None
    np.testing.assert_allclose(lazy, walk - walk[3], atol=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_short_way_gives_the_path(dimension):
    walk, box = path_and_box(dimension)
    t = trajectory(walk, box, images=False)
    # the first frame is inside the box, so whole boxes are not known
    whole = np.einsum("pa,fas->fps", wrap(walk, box)[1][0], box)
    np.testing.assert_allclose(unwrapped(t), walk - whole, atol=1e-12)
    lazy = unwrapped(t.chunk(frame=7, particle=11))
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy, unwrapped(t))


def test_other_images_of_the_same_path():
    walk, box = path_and_box(3)
    box[:] = box[0]
    shift = np.random.default_rng(2).integers(-3, 4, size=(1, walk.shape[1], 3))
    moved = trajectory(walk + np.einsum("fpa,as->fps", shift, box[0]), box, images=True)
    np.testing.assert_allclose(displacements(moved), walk - walk[0], atol=1e-11)
    np.testing.assert_allclose(displacements(moved.drop_vars("image")), walk - walk[0], atol=1e-11)


def test_kernel_as_plain_python():
    walk, box = path_and_box(3, n_frames=30, n=5)
    position = np.ascontiguousarray(wrap(walk, box)[0].transpose(1, 0, 2))
    compiled, plain = np.empty_like(position), np.empty_like(position)
    found = kernels.follow(position, box, np.linalg.inv(box), compiled)
    assert found == pytest.approx(kernels.follow.py_func(position, box, np.linalg.inv(box), plain))
    np.testing.assert_allclose(compiled, plain, atol=1e-12)
    steps = np.abs(np.diff(np.einsum("fps,fsa->pfa", walk, np.linalg.inv(box)), axis=1))
    assert found[0] == pytest.approx(steps.max())
    assert steps[found[1], found[2] - 1].max() == steps.max()


def test_one_frame_stays_where_it_is():
    walk, box = path_and_box(3, n_frames=1)
    t = trajectory(walk, box, images=False)
    np.testing.assert_array_equal(unwrapped(t), t["position"])


@pytest.mark.parametrize("lazy", [False, True])
def test_ambiguous_steps_are_refused(lazy):
    position = np.full((3, 4, 3), 1.0)
    position[2, 2, 1] = 2.9
    t = gd.from_arrays(position, species=["A"] * 4, box=[4.0, 4.0, 4.0])
    with pytest.raises(SchemaError, match=r"particle 2 moves by 0\.47 of the box between frames 1 and 2"):
        unwrapped(t.chunk(frame=1, particle=2) if lazy else t).compute()
    position[2, 2, 1] = 2.7
    calm = gd.from_arrays(position, species=["A"] * 4, box=[4.0, 4.0, 4.0])
    np.testing.assert_allclose(unwrapped(calm), position)


def test_unknown_reference():
    t = gd.from_arrays(np.ones((2, 1, 3)), species=["A"], box=[4.0] * 3)
    with pytest.raises(ParameterError, match="frames 0 to 1"):
        displacements(t, reference=2)


def at_rest(n_frames=4, n=40):
    """Positions at rest in the laboratory, in boxes that breathe about their centre, move, and shear."""
    rng = np.random.default_rng(4)
    place = np.broadcast_to(rng.random((n, 3)) * 9.0 - 4.5, (n_frames, n, 3))
    edges = np.array([10.0, 10.4, 9.8, 10.6])[:n_frames, None, None] * np.eye(3)
    tilted = edges + np.array([[0, 0, 0], [1.0, 0, 0], [0.5, -0.7, 0]])
    centred = -0.5 * edges.sum(axis=1)
    moved = np.arange(n_frames)[:, None] * [0.5, -0.7, 0.2]
    return place, {
        "breathing": (edges, centred),
        "moved": (edges[:1], moved),
        "tilted": (tilted, -0.5 * tilted.sum(axis=1)),
        "still": (edges[0], centred[0]),
    }


@pytest.mark.parametrize("case", ["breathing", "moved", "tilted", "still"])
@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("lazy", [True, False])
def test_particles_at_rest_stay_where_the_box_moves(case, images, lazy):
    place, boxes = at_rest()
    box, origin = boxes[case]
    given = {"image": np.zeros(place.shape, int)} if images else {}
    t = gd.from_arrays(place, species=["A"] * 40, box=box, origin=origin, time=np.arange(4.0), **given)
    assert (t["position"].values @ np.linalg.inv(t["box"].values) >= 0).all()
    if not images:
        t = t.drop_vars("image", errors="ignore")
    t = t.chunk(frame=3, particle=7) if lazy else t
    np.testing.assert_allclose(displacements(t), 0.0, atol=1e-12)
    if images:
        np.testing.assert_allclose(unwrapped(t), place, atol=1e-12)
    msd = gd.dynamics.mean_square_displacement(t, lags=[1.0, 3.0])["msd_total"]
    np.testing.assert_allclose(msd, 0.0, atol=1e-20)


@pytest.mark.parametrize("lazy", [True, False])
def test_positions_outside_the_box_have_no_images(lazy):
    walk, box = path_and_box(3)
    t = trajectory(walk, box, images=True)
    other = t.assign(position=unwrapped(t))
    with pytest.raises(PositionError, match=r"frame \d+, particle \d+: position .* is outside the box") as caught:
        unwrapped(other.chunk(frame=7, particle=11) if lazy else other).compute()
    f, p = (int(word) for word in str(caught.value).replace(",", "").replace(":", "").split()[1:4:2])
    fraction = other["position"].values[f, p] @ np.linalg.inv(box[f])
    assert ((fraction < 0) | (fraction > 1)).any()


def test_stored_images_give_the_same_path(tmp_path):
    """Positions and images that are read by the tasks that need them, beside arrays of dask's own."""
    walk, box = path_and_box(3)
    whole = trajectory(walk, box, images=True)
    save_trajectory(whole, tmp_path / "run.zarr")
    np.testing.assert_array_equal(unwrapped(open_trajectory(tmp_path / "run.zarr")), unwrapped(whole))


def test_the_short_way_of_positions_that_are_nowhere():
    walk, box = path_and_box(3)
    t = trajectory(walk, box, images=False).drop_vars("image", errors="ignore")
    position = t["position"].copy(deep=True)
    position[5, 7, 0] = 1e17
    with pytest.raises(PositionError, match=r"frame 5, particle 7: position .* boxes away"):
        unwrapped(t.assign(position=position))


class TestToroidalScheme:
    """At constant pressure: steps are what they are, whatever the box does meanwhile."""

    def breathing(self, dimension=3, n_frames=400, seed=0):
        """Random walks by known steps in a box that breathes, far around it; the steps, and the trajectory."""
        rng = np.random.default_rng(seed)
        cell = np.array([[5.0, 0.0, 0.0], [1.0, 4.5, 0.0], [0.3, -0.4, 5.0]])[:dimension, :dimension]
        box = cell * (1 + 0.03 * rng.normal(size=(n_frames, 1, 1)))
        steps = rng.normal(scale=0.3, size=(n_frames - 1, 12, dimension))
        position = [rng.random((12, dimension)) @ box[0]]
        image = [np.zeros((12, dimension), int)]
        for f, step in enumerate(steps, start=1):
            fraction = (position[-1] + step) @ np.linalg.inv(box[f])
            position.append((fraction - np.floor(fraction)) @ box[f])
            image.append(image[-1] + np.floor(fraction).astype(int))
        time = np.arange(float(n_frames))
        t = gd.from_arrays(position, species=["A"] * 12, box=box, image=np.array(image), time=time)
        return t, np.concatenate([np.zeros((1, 12, dimension)), np.cumsum(steps, axis=0)])

    @pytest.mark.parametrize("dimension", [2, 3])
    @pytest.mark.parametrize("chunks", [None, {"frame": 30, "particle": 5}])
    @pytest.mark.parametrize("images", [True, False])
    def test_the_steps_are_added_up(self, dimension, chunks, images):
        t, expected = self.breathing(dimension)
        t = t if images else t.drop_vars("image")
        t = t if chunks is None else t.chunk(chunks)
        found = unwrapped(t, "toroidal")
        assert found.dims == ("frame", "particle", "space")
        np.testing.assert_allclose(found - found[0], expected, atol=1e-9)
        if images:
            lattice = unwrapped(t)
            assert np.abs(lattice - lattice[0] - expected).max() > 0.5

    def test_diffusion_is_that_of_the_steps(self):
        t, expected = self.breathing(n_frames=300)
        lags = [5.0, 50.0]
        square = [((expected[n:] - expected[:-n]) ** 2).sum(axis=-1).mean() for n in (5, 50)]
        for function in (gd.dynamics.mean_square_displacement, gd.dynamics.self_correlations):
            found = function(t, lags=lags, origins=1000, scheme="toroidal")["msd_total"]
            np.testing.assert_allclose(found, square, rtol=1e-9)
        few = gd.dynamics.self_correlations(t, lags=lags, origins=2, scheme="toroidal", remove_drift=True)
        mean = expected - expected.mean(axis=1, keepdims=True)
        for column, n in enumerate((5, 50)):
            moved = ((mean[n:] - mean[:-n]) ** 2).sum(axis=-1).mean(axis=1)[[0, -1]].mean()
            assert float(few["msd_total"][column]) == pytest.approx(moved)

    def test_it_is_the_other_one_in_a_box_that_stays(self):
        rng = np.random.default_rng(1)
        path = np.cumsum(rng.normal(scale=0.3, size=(50, 7, 2)), axis=0)
        origin = rng.normal(size=2)
        t = gd.from_arrays(path % 4.0 + origin, species=["A"] * 7, box=[4.0, 4.0], origin=origin)
        np.testing.assert_allclose(unwrapped(t, "toroidal"), unwrapped(t), atol=1e-10)

    @pytest.mark.parametrize("scheme", ["tor", None, 3])
    def test_other_schemes(self, scheme):
        t, _ = self.breathing(n_frames=3)
        with pytest.raises(ParameterError, match="scheme: expected"):
            unwrapped(t, scheme)


def test_positions_and_images_in_chunks_of_different_lengths(liquid, tmp_path):
    """As a store of many frames has them, since their numbers are not equally long; failed in four_point."""
    moved = liquid.assign_coords(time=("frame", [0.0, 1.0, 2.0]))
    moved = moved.assign(image=(("frame", "particle", "axis"), np.zeros(moved["position"].shape, np.int32)))
    expected = unwrapped(moved)
    lazy = moved.assign(position=moved["position"].chunk(frame=2), image=moved["image"].chunk(frame=3))
    np.testing.assert_array_equal(unwrapped(lazy), expected)
    found, whole = (gd.dynamics.four_point(t, lag=1.0, a=0.3, r_max=2.0) for t in (lazy, moved))
    xr.testing.assert_allclose(found, whole)
    gd.save_trajectory(moved, tmp_path / "s.zarr")
    with dask.config.set({"glassdask.task.bytes": 2 * 240 * 3 * 8 * 3}):
        stored = gd.open_trajectory(tmp_path / "s.zarr")
        np.testing.assert_allclose(unwrapped(stored), expected)


def test_a_breathing_box_moves_nobody():
    """Particles that rattle 400 boxes away: with whole vectors of each box they seem to go far, and come back."""
    rng = np.random.default_rng(6)
    n = 200
    box = np.eye(3) * 5 * (1 + 0.01 * np.sin(np.arange(n) / 7.0))[:, None, None]
    path = np.einsum("pa,fas->fps", rng.random((30, 3)) + np.array([400.0, 0, 0]), box) + 0.02 * rng.normal(
        size=(n, 30, 3)
    )
    position, image = gd.schema.wrap(path, box)
    t = gd.from_arrays(position, species=["A"] * 30, box=box, image=image, time=np.arange(float(n)))
    still = t.assign(image=(t["image"].dims, image - image[:1]))
    for function in (
        lambda t, **scheme: gd.dynamics.hop_statistics(t, 20.0, 0.05, **scheme)["hop_rate"],
        lambda t, **scheme: abs(gd.dynamics.displacements(t, **scheme)).max(),
        lambda t, **scheme: gd.dynamics.strings(t, 10.0, 0.6, **scheme)["clusters"],
        lambda t, **scheme: gd.dynamics.mobile_clusters(t, 10.0, 2.0, **scheme)["clusters"],
        lambda t, **scheme: gd.dynamics.intermediate_scattering(t, 5.0, lags=[10.0], **scheme)["fs_total"],
        lambda t, **scheme: gd.dynamics.dynamic_structure_factor(t, 5.0, 10.0, **scheme)["skw_self_total"],
    ):
        expected = function(still, scheme="toroidal")
        np.testing.assert_allclose(function(t, scheme="toroidal"), expected, rtol=1e-6, atol=1e-9)
        if expected.name != "clusters":
            assert not np.allclose(function(t), expected, rtol=0.1)
    assert float(gd.dynamics.hop_statistics(t, 20.0, 0.05, scheme="toroidal")["hop_rate_total"]) == 0.0
    assert float(gd.dynamics.hop_statistics(t, 20.0, 0.05)["hop_rate_total"]) > 0.0


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("place", [kernels.place, kernels.place.py_func])
def test_images_are_added_in_one_pass(dimension, place):
    rng = np.random.default_rng(0)
    box = BOX[:dimension, :dimension] * np.array([1.0, 1.2])[:, None, None]
    fraction, image = rng.random((2, 5, dimension)), rng.integers(-3, 4, (2, 5, dimension)).astype(np.int32)
    inverse, out = np.linalg.inv(box), np.empty(fraction.shape)
    assert place(fraction @ box, image, box, inverse, 1e-6, out) == (-1, -1)
    np.testing.assert_allclose(out, (fraction + image) @ box, atol=1e-12)
    for axis in range(dimension):
        beyond = fraction.copy()
        beyond[1, 3, axis] = 1.01 if axis else -0.01
        assert place(beyond @ box, image, box, inverse, 1e-6, out) == (1, 3)
