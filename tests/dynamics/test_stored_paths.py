"""Motion in trajectories as they are opened: each task reads its own frames, and finds what it does in memory."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr
from dask.callbacks import Callback

import glassdask as gd
from glassdask import dynamics, store
from glassdask.errors import PositionError

FUNCTIONS = {
    "self_correlations": lambda t: dynamics.self_correlations(t, k=7.0, a=0.3, lags=[1.0, 4.0], origins=7),
    "relative to cages": lambda t: dynamics.self_correlations(t, a=0.3, cage=1.4, lags=[1.0, 4.0], origins=7),
    "chi4": lambda t: dynamics.dynamic_susceptibility(t, a=0.3, lags=[1.0, 4.0], origins=7),
    "intermediate_scattering": lambda t: dynamics.intermediate_scattering(t, k=[5.0], lags=[1.0, 4.0], origins=7),
    "bond_breaking": lambda t: dynamics.bond_breaking(t, cutoffs=1.4, lags=[1.0, 4.0], origins=7),
    "van_hove": lambda t: dynamics.van_hove(t, r_max=1.5, n_bins=5, lags=[1.0, 4.0], origins=7),
    "four_point": lambda t: dynamics.four_point(t, lag=2.0, a=0.3, n_bins=5, origins=7),
    "strings": lambda t: dynamics.strings(t, lag=2.0, distance=0.6),
}
BOXES = {
    "a box that stays": {},
    "sheared, with a corner that moves": {"sheared": True, "origin": np.arange(33.0).reshape(11, 3) / 7},
    "a corner elsewhere": {"origin": np.array([0.1, -3.3, 2.0])},
    "a plane": {"d": 2},
}


def walks(d=3, sheared=False, n=120, frames=11, **options):
    """Walks far across a box, with images."""
    rng = np.random.default_rng(5)
    length = {2: 11.0, 3: 5.0}[d]
    box = np.repeat(np.eye(d)[None] * length, frames, axis=0)
    if sheared:
        box[:, 1, 0] = np.linspace(0.0, 1.0, frames)
    fraction = rng.random((n, d)) * 3 - 1 + np.cumsum(rng.normal(scale=0.3, size=(frames, n, d)), axis=0) / length
    image = np.floor(fraction).astype(int)
    inside = fraction - image
    inside[:, 0, 0] = -2e-9  # as far outside as rounding puts particles, with the image that goes with it
    position = np.einsum("fpa,fas->fps", inside, box)  # from the corner
    made = gd.from_arrays(
        position + np.asarray(options.get("origin", np.zeros(d)))[..., None, :],
        species=["A", "B", "B"] * (n // 3), box=box, image=image, time=np.arange(float(frames)), **options,
    )  # fmt: skip
    return made.assign(position=made["position"].copy(data=position), image=made["image"].copy(data=image))


@pytest.fixture
def small_files(monkeypatch):
    """Two frames in a file, some files to a task, which reads them itself however short it is."""
    monkeypatch.setattr("glassdask.dynamics.walk.READ_BYTES", np.inf)
    monkeypatch.setattr("glassdask.store.layout.CHUNK_BYTES", 2 * 120 * 3 * 8)
    with dask.config.set({"glassdask.task.bytes": 40_000}):
        yield


@pytest.fixture(params=BOXES)
def both(request, tmp_path, small_files):
    """A trajectory in memory and in files of two frames."""
    trajectory = walks(**BOXES[request.param])
    gd.save_trajectory(trajectory, tmp_path / "run.zarr")
    return trajectory, gd.open_trajectory(tmp_path / "run.zarr")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_opened_is_in_memory_to_the_last_bit(both, name):
    expected, found = (FUNCTIONS[name](t) for t in both)
    assert np.isfinite(expected[next(iter(expected.data_vars))]).any()
    xr.testing.assert_identical(found, expected)


def test_each_task_reads_its_own_frames(both):
    """As few tasks as results: none reads for another one, and nothing that was read is cut or sent about."""
    opened = both[1]
    done = []
    with Callback(pretask=lambda key, graph, state: done.append(key)):
        dynamics.four_point(opened, lag=2.0, a=0.3, n_bins=5)
    assert len(done) <= 2 * 9  # of nine pairs of frames
    assert not any("rechunk" in str(key) or "getitem" in str(key) for key in done)


def test_files_of_many_frames_are_not_read_for_each_pair(both, monkeypatch):
    """That would take longer than what is computed: the results are the same."""
    expected = FUNCTIONS["bond_breaking"](both[1])
    monkeypatch.setattr("glassdask.dynamics.walk.READ_BYTES", 1.0)
    done = []
    with Callback(pretask=lambda key, graph, state: done.append(key)):
        found = FUNCTIONS["bond_breaking"](both[1])
    assert any("rechunk" in str(key) or "getitem" in str(key) for key in done)
    xr.testing.assert_identical(found, expected)


def test_images_of_other_positions_are_told_with_the_frame(tmp_path, small_files):
    trajectory = walks()
    trajectory["position"][7, 3] += 6.0
    gd.save_trajectory(trajectory, tmp_path / "run.zarr")
    opened = gd.open_trajectory(tmp_path / "run.zarr")
    for function in (FUNCTIONS["chi4"], FUNCTIONS["four_point"]):
        with pytest.raises(PositionError, match=r"frame 7, particle 3: .* is outside the box, but there are images"):
            function(opened)


def test_frames_are_picked_in_any_order(tmp_path, small_files):
    trajectory = walks()
    gd.save_trajectory(trajectory, tmp_path / "run.zarr")
    opened = gd.open_trajectory(tmp_path / "run.zarr")
    for numbers in ([4, 1, 1, 9], [0, 1, 4, 5, 10], [7], [10, 9, 0]):
        found = store.picked(opened["position"][1:].rename("x"), np.array(numbers[:3]) % 10)
        source = store.stored_source(found)
        assert list(source.frames) == [number % 10 + 1 for number in numbers[:3]]
        np.testing.assert_array_equal(found, trajectory["position"][1:][np.array(numbers[:3]) % 10])
        np.testing.assert_array_equal(found[1:], trajectory["position"][1:][np.array(numbers[1:3]) % 10])
        np.testing.assert_array_equal(source[:2, 5:9], found.values[:2, 5:9])
