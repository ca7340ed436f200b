"""What no average over time can be taken of is refused in one line, whichever the quantity."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask import dynamics
from glassdask.dynamics.quantities import QUANTITIES, completed, measure
from glassdask.errors import GlassdaskError
from tests.test_cli import ARGS, run

GIVEN = {
    "fs": {"k": 7.0}, "overlap": {"a": 0.3}, "chi4": {"a": 0.3}, "s4": {"lag": 1.0, "a": 0.3}, "f": {"k": 7.0},
    "van_hove": {"lags": [1.0], "r_max": 2.0}, "collective_overlap": {"a": 0.3}, "skw": {"k": 7.0},
    "currents": {"k": 7.0}, "displacement": {"lags": [1.0]}, "cb": {"cutoffs": 1.4}, "d2min": {"cutoffs": 1.4},
    "hops": {"window": 4.0, "threshold": 0.2}, "stress": {"model": "kob_andersen"},
    "strings": {"lag": 1.0, "distance": 0.6}, "clusters": {"lag": 1.0, "distance": 1.4},
}  # fmt: skip
# Of these each frame stands for itself, or particles are followed by their velocities.
EVEN = ("spectrum", "skw", "hops", "stress")
LAGGED = [name for name in QUANTITIES if name not in EVEN and name not in ("s4", "strings", "clusters")]


def liquid(frames=24, n=64):
    rng = np.random.default_rng(0)
    cells = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, n, 3) + 0.5
    path = cells + np.cumsum(rng.normal(scale=0.02, size=(frames, n, 3)), axis=0)
    return gd.from_arrays(
        path, species=["A"] * n, box=[4.0] * 3, time=np.arange(float(frames)), image=np.zeros(path.shape, int),
        velocity=rng.normal(size=path.shape),
    )  # fmt: skip


def refused(call):
    with pytest.raises(GlassdaskError) as raised:
        call()
    text = str(raised.value)
    assert "\n" not in text
    return text


def test_every_quantity_is_here():
    assert {*GIVEN} <= {*QUANTITIES}
    for name in QUANTITIES:
        assert completed(name, GIVEN.get(name, {}), liquid()) is not None


@pytest.mark.parametrize("name", QUANTITIES)
def test_no_times(name):
    assert "no variable 'time'" in refused(lambda: measure(name, GIVEN.get(name, {}), liquid().drop_vars("time")))


def test_in_the_shell(tmp_path, monkeypatch, capsys):
    """The same is refused there in one line, in the words of files and options, with an exit code of 1."""
    rng = np.random.default_rng(1)
    t = liquid()
    present = np.ones((24, 64), bool)
    present[np.arange(64) % 24, np.arange(64)] = False
    far = t.drop_vars("image").assign(position=(t["position"].dims, rng.random(t["position"].shape) * 4.0))
    uneven = t.isel(frame=[0, 1, 2, 4, 8, 16, 21])
    for number, (trajectory, quantity, words) in enumerate(
        (
            (t.drop_vars("time"), "chi4:a=0.3", "no variable 'time'"),
            (uneven, "skw:k=7.0", "evenly spaced"),
            (uneven, "spectrum", "evenly spaced"),
            (far, "fs:k=7.0", "'image'"),
            (t, "msd:lags=[0.37]", "no two frames are 0.37 apart"),
            (t, "s4:lag=0.37,a=0.3", "no two frames are 0.37 apart"),
            (t, "chi4:a=0.3,lags=[23.0]", "fluctuations need at least 2"),
            (t.assign(present=(("frame", "particle"), present), position=t["position"].where(present[..., None])),
             "msd", "no particle is in every frame"),
            (t.assign(species=(("frame", "particle"), rng.permuted(np.array([["A"] * 32 + ["B"] * 32] * 24), axis=1))),
             "van_hove", "change from frame to frame"),
        )
    ):  # fmt: skip
        store = tmp_path / f"{number}.zarr"
        gd.save_trajectory(trajectory, store)
        code, _, error = run(monkeypatch, capsys, "dynamics", store, quantity, *ARGS)
        assert code == 1
        assert words in error
        assert "\n" not in error.strip()


@pytest.mark.parametrize("name", QUANTITIES)
def test_stored_in_chunks_and_measured_by_two_workers(name, two_workers, tmp_path):
    """As in memory, of every quantity; sums over parts of the particles are in another order."""
    t = liquid()
    gd.save_trajectory(t.chunk(frame=5), tmp_path / "t.zarr")
    parameters = completed(name, GIVEN.get(name, {}), t)
    with two_workers.as_current():
        there = measure(name, parameters, gd.open_trajectory(tmp_path / "t.zarr"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glassdask.graphs._client", lambda: None)
        here = measure(name, parameters, t)
    assert {*there} == {*here}
    for variable in here:
        np.testing.assert_allclose(there[variable], here[variable], rtol=1e-9, atol=1e-11)


def test_hops_of_frames_after_several_origins():
    """The quantity is of the frames that are evenly spaced; the function itself is told which."""
    t = liquid(frames=25)
    time = np.concatenate([4.0 * np.arange(8)[:, None] + [0.0, 0.1, 1.0]], axis=0).ravel()[:22]
    t = t.isel(frame=slice(0, 22)).assign_coords(time=("frame", time))
    found = measure("hops", {"window": 8.0, "threshold": 0.2}, t)
    expected = dynamics.hop_statistics(t.isel(frame=slice(0, None, 3)), window=8.0, threshold=0.2)
    np.testing.assert_array_equal(found["persistence_total"], expected["persistence_total"])
    assert completed("hops", {}, t)["window"] == 8.0


@pytest.mark.parametrize("name", EVEN)
def test_unequal_spacing(name):
    uneven = liquid().isel(frame=[0, 1, 2, 4, 8, 16, 21])
    function = QUANTITIES[name]
    assert "evenly spaced" in refused(lambda: function(uneven, **GIVEN.get(name, {})))


@pytest.mark.parametrize("name", LAGGED)
def test_lag_that_does_not_occur(name):
    told = refused(lambda: measure(name, {**GIVEN.get(name, {}), "lags": [0.37]}, liquid()))
    assert "no two frames are 0.37 apart" in told


@pytest.mark.parametrize("name", ["s4", "strings", "clusters"])
def test_the_lag_does_not_occur(name):
    assert "no two frames are 0.37 apart" in refused(lambda: measure(name, {**GIVEN[name], "lag": 0.37}, liquid()))


# What is no quantity with a name in the shell.
OTHERS = {
    "unwrapped": dynamics.unwrapped, "displacements": dynamics.displacements,
    "self_correlations": dynamics.self_correlations, "hops": lambda t: dynamics.hops(t, 4.0, 0.2),
    "d2min_fields": lambda t: dynamics.d2min_fields(t, [1.0], cutoffs=1.4),
    "debye_waller": lambda t: dynamics.debye_waller(t, 4.0),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_functions(name):
    t, function = liquid(), OTHERS[name]
    assert "there is nothing to work on" in refused(lambda: function(t.isel(frame=[])))
    kinds = np.random.default_rng(1).permuted(np.array([["A"] * 32 + ["B"] * 32] * 24), axis=1)
    swapped = t.assign(species=(("frame", "particle"), kinds))
    assert "change from frame to frame" in refused(lambda: function(swapped))
    if name not in ("unwrapped", "displacements"):
        assert "no variable 'time'" in refused(lambda: function(t.drop_vars("time")))
        assert "increase from frame to frame" in refused(lambda: function(t.isel(frame=slice(None, None, -1))))
    if name in ("hops", "debye_waller"):
        assert "evenly spaced" in refused(lambda: function(t.isel(frame=[0, 1, 2, 4, 8, 16, 21])))


def test_results_that_are_none_of_theirs():
    for function, words in (
        (dynamics.relaxation_time, "give the result of self_correlations with k"),
        (dynamics.diffusion_coefficient, "give the result of mean_square_displacement"),
        (dynamics.waiting_times, "give the result of hops"),
    ):
        assert words in refused(lambda function=function: function(liquid()))


def test_fewer_than_two_origins():
    told = refused(lambda: dynamics.dynamic_susceptibility(liquid(), a=0.3, lags=[23.0]))
    assert "fluctuations need at least 2" in told


@pytest.mark.parametrize("name", [name for name in QUANTITIES if name not in ("vacf", "spectrum")])
def test_particles_that_change(name):
    t = liquid()
    present = np.ones((24, 64), bool)
    present[5, 3] = False
    gone = t.assign(present=(("frame", "particle"), present), position=t["position"].where(present[..., None]))
    function = QUANTITIES[name]
    assert refused(lambda: function(gone, **GIVEN.get(name, {})))


def test_nobody_stays(tmp_path):
    """Where files are measured, of the particles that are in every frame; there has to be one."""
    t = liquid()
    present = np.ones((24, 64), bool)
    present[5, 3] = False
    gone = t.assign(present=(("frame", "particle"), present), position=t["position"].where(present[..., None]))
    rest = t.isel(particle=np.delete(np.arange(64), 3))
    assert measure("msd", {}, gone).drop_attrs().equals(measure("msd", {}, rest).drop_attrs())
    present[np.arange(64) % 24, np.arange(64)] = False
    nobody = gone.assign(present=(("frame", "particle"), present))
    assert "no particle is in every frame" in refused(lambda: measure("msd", {}, nobody))


@pytest.mark.parametrize("name", ["msd", "fs", "chi4", "s4", "van_hove", "hops", "strings"])
def test_images_that_are_missing(name):
    """Frames so far apart that nobody can say which way a particle has gone."""
    t = liquid().drop_vars("image")
    rng = np.random.default_rng(1)
    far = t.assign(position=(t["position"].dims, rng.random(t["position"].shape) * 4.0))
    assert "image" in refused(lambda: measure(name, GIVEN.get(name, {}), far))
