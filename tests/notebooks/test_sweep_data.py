"""What the dashboard reads: known relaxation times, densities chunk by chunk, slices."""

from __future__ import annotations

import shutil
import tracemalloc

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import glassdask as gd
from glassdask.errors import StoreError

pytest.importorskip("datashader", reason="needs the extra 'notebooks'")
from dashboard.particles import SPECIES, Snapshot, values_of, variables
from dashboard.plane import density, extent, inside
from dashboard.progress import cells, clock, duration, events, failures, pace, time_left
from dashboard.store import SweepStore

from tests.notebooks.sweeps import DIFFUSION, LENGTH, WAVE_NUMBER

STATE = "slow/T=0.5000"


@pytest.fixture(scope="module")
def store(sweep_store):
    return SweepStore(str(sweep_store))


@pytest.fixture(scope="module")
def table(store):
    return store.status()


def of(x: np.ndarray, chunks) -> xr.DataArray:
    return xr.DataArray(da.from_array(x, chunks=chunks), dims=("frame", "particle", "component"))


def test_relaxation_times_are_those_of_the_gases(store, table):
    numbers = store.numbers(table).set_index(["model", "temperature"])
    for state, diffusion in DIFFUSION.items():
        assert numbers.loc[state, "tau"] == pytest.approx(1 / (WAVE_NUMBER**2 * diffusion), rel=0.05)
        assert numbers.loc[state, "d_tau"] == pytest.approx(1 / WAVE_NUMBER**2, rel=0.3)
        assert 0.2 < numbers.loc[state, "sbo EVR1"] < 0.5
    assert np.isnan(numbers.loc[("slow", 0.7), "tau"])
    assert np.isnan(numbers.loc[("slow", 0.7), "sbo EVR1"])


def test_many_numbers_are_read_little_by_little(store, table, monkeypatch):
    monkeypatch.setattr(SweepStore, "_read", {})
    assert store.numbers(table, seconds=-1.0).drop(columns=["model", "temperature"]).isna().all(axis=None)
    assert store.numbers(table)["tau"].notna().sum() == 4
    assert store.numbers(table, seconds=-1.0)["tau"].notna().sum() == 4  # kept


def test_numbers_are_read_again_when_they_are_computed_again(sweep_store, tmp_path):
    # the trajectories, which hold their own results, lie beside the store
    copy = shutil.copytree(sweep_store.parent, tmp_path / "moved") / sweep_store.name
    store = SweepStore(str(copy))
    table = store.status()
    before = store.numbers(table).loc[STATE, "tau"]
    path = table.loc[STATE, "path"]
    assert path.startswith(str(tmp_path))
    found = gd.open_reduction(path, "relaxation").load().drop_attrs(deep=False)
    gd.store.write_dataset(
        found.assign(tau_total=2 * found["tau_total"]), path, "reductions/relaxation", parameters={"other": 1},
        overwrite=True,
    )  # fmt: skip
    assert store.numbers(store.status()).loc[STATE, "tau"] == pytest.approx(2 * before)


def test_cells_and_failures(table):
    slow = cells(table, "slow").set_index(["temperature", "stage"])
    assert list(dict.fromkeys(slow.index.get_level_values("temperature"))) == ["0.5", "0.7", "1"]
    assert slow.loc[("0.5", "reduce"), ["value", "text"]].tolist() == [1.0, "✓"]
    assert slow.loc[("0.7", "describe"), ["value", "text"]].tolist() == [-1.0, "✗"]
    assert "SpeciesError" in slow.loc[("0.7", "describe"), "error"]
    assert np.isnan(slow.loc[("0.7", "reduce"), "value"])
    found = failures(table)
    assert found["state"].tolist() == ["slow/T=0.7000"] * 2
    assert found["stage"].tolist() == ["describe", "dynamics"]


def test_cells_of_several_seeds():
    rows = {"model": "KA", "temperature": 0.5, "simulate": ["complete", "partial", "absent", "failed"],
            "simulate_fraction": [1.0, 0.5, 0.0, 0.2], "simulate_error": ["", "", "", "E: x"]}  # fmt: skip
    table = pd.DataFrame(rows, index=list("abcd"))
    table.attrs["stages"] = ["simulate"]
    assert cells(table, "KA")[["value", "text", "error"]].values.tolist() == [[-1.0, "1 ✗", "E: x"]]
    healthy = table.iloc[:3]
    healthy.attrs["stages"] = ["simulate"]
    assert cells(healthy, "KA")[["value", "text"]].values.tolist() == [[0.5, "50%"]]
    running = table.iloc[[1]]
    running.attrs["stages"] = ["simulate"]
    assert cells(running, "KA")[["value", "text"]].values.tolist() == [[0.5, "50%"]]


def test_without_a_sweep_the_error_says_so(tmp_path):
    with pytest.raises(StoreError, match="no sweep"):
        SweepStore(str(tmp_path)).status()


def test_reading_changes_nothing(store, sweep_store):
    def files():
        return {f: (f.stat().st_mtime_ns, f.stat().st_size) for f in sweep_store.parent.rglob("*") if f.is_file()}

    before = files()
    table = store.status()
    store.numbers(table)
    projection = store.projection(STATE, "sbo")
    density(projection, extent(projection), 16)
    assert files() == before


def test_density_is_that_of_a_histogram():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(7, 50, 3)) * [1.0, 0.5, 9.0]
    x[:, ::3] = np.nan  # particles of a species that is not described
    projection = of(x, (2, 20, 3))
    low, high = extent(projection)
    plane = x.reshape(-1, 3)[:, :2]
    np.testing.assert_array_equal(low, np.nanmin(plane, axis=0))
    np.testing.assert_array_equal(high, np.nanmax(plane, axis=0))
    within = np.array([[-2.0, -1.0], [2.0, 1.0]])
    x1, x2, p = density(projection, within, bins=20)
    expected, *edges = np.histogram2d(*plane[~np.isnan(plane).any(axis=1)].T, bins=20, range=within.T, density=True)
    np.testing.assert_allclose(p.T, expected, rtol=1e-12)
    np.testing.assert_allclose(x1, 0.5 * (edges[0][1:] + edges[0][:-1]))
    np.testing.assert_allclose(x2, 0.5 * (edges[1][1:] + edges[1][:-1]))


def test_no_defined_particle_has_no_extent():
    assert np.isnan(extent(of(np.full((2, 5, 2), np.nan), (1, 5, 2)))).all()


@pytest.mark.slow
def test_ten_million_particles_are_never_in_memory_together():
    n_frames, n_particles = 100, 100_000

    def block(block_info=None):
        (number, *_) = block_info[None]["chunk-location"]
        return np.random.default_rng(number).normal(size=(1, n_particles, 2))

    points = da.map_blocks(block, chunks=((1,) * n_frames, n_particles, 2), dtype=float)
    projection = xr.DataArray(points, dims=("frame", "particle", "component"))
    density(projection[:1], np.array([[-1.0, -1.0], [1.0, 1.0]]))  # compiles datashader
    tracemalloc.start()
    with dask.config.set(scheduler="threads", num_workers=2):
        within = extent(projection)
        x1, x2, p = density(projection, within)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.35 * n_frames * n_particles * 2 * 8
    assert (p * (x1[1] - x1[0]) * (x2[1] - x2[0])).sum() == pytest.approx(1.0)
    assert p.max() == pytest.approx(1 / (2 * np.pi), rel=0.2)


class Liquid:
    """What is read of a state, from memory."""

    def __init__(self, position, projection, box, **more):
        n = position.shape[1]
        species = ["A" if k % 3 else "B" for k in range(n)]
        self._trajectory = gd.from_arrays(position, species=species, box=box, **more)
        self._projection = of(projection, projection.shape)

    def trajectory(self, state, descriptor):
        return self._trajectory

    def projection(self, state, descriptor):
        return self._projection

    def features(self, state, descriptor):
        n = self._projection.sizes["particle"]
        return xr.DataArray(np.arange(2.0 * n).reshape(1, n, 2), dims=("frame", "particle", "l"))


def test_slice_is_periodic_and_holds_what_is_near():
    position = np.array([[[1.0, 1.0, 0.2], [2.0, 2.0, 59.9], [3.0, 3.0, 30.0]]])
    liquid = Liquid(
        position, np.arange(9.0).reshape(1, 3, 3), [LENGTH, LENGTH, 10 * LENGTH], energy=np.array([[1.0, 2.0, 3.0]])
    )
    shot = Snapshot.read(liquid, "", "sbo", 0, SPECIES)
    order, told = shot.slice(0.0, most=100)
    assert order.tolist() == [1, 0]  # the lower one first
    assert told.endswith("2 of 3 particles")
    columns = shot.columns(order)
    assert columns["x"].tolist() == [2.0, 1.0]
    assert columns["X2"].tolist() == [4.0, 1.0]
    assert columns["value"].tolist() == ["A", "B"]
    assert inside(*shot.plane, (2.5, 3.0, 3.5, 5.0)).tolist() == [False, True, False]
    assert inside(*shot.plane, None).tolist() == [False] * 3
    # what colours them
    assert variables(liquid, "", "sbo") == ["species", "sbo PC1", "sbo PC2", "sbo PC3", "energy", "sbo 1", "sbo 2"]
    for name, expected in {"sbo PC2": [1.0, 4.0, 7.0], "energy": [1.0, 2.0, 3.0], "sbo 2": [1.0, 3.0, 5.0]}.items():
        assert Snapshot.read(liquid, "", "sbo", 0, name).value.tolist() == expected
        assert values_of(liquid, "", "sbo", name).isel(frame=0).values.tolist() == expected


def test_two_dimensions_are_seen_whole_and_of_very_many_particles_the_middle():
    rng = np.random.default_rng(1)
    liquid = Liquid(4 * rng.random((1, 900, 2)), np.zeros((1, 900, 2)), [4.0, 4.0])
    shot = Snapshot.read(liquid, "", "sbo", 0, SPECIES)
    order, told = shot.slice(0.0, most=900)
    assert (len(order), told) == (900, "all 900 particles")
    order, told = shot.slice(0.0, most=100)
    assert told == "the middle 100 of 900 particles"
    away = np.abs(shot.position - 2.0).max(axis=1)
    assert away[order].max() <= np.delete(away, order).min()


def test_spheres_are_a_bounded_number_and_know_their_particles():
    rng = np.random.default_rng(1)
    liquid = Liquid(4 * rng.random((1, 90, 3)), np.zeros((1, 90, 2)), [4.0] * 3)
    shot = Snapshot.read(liquid, "", "sbo", 0, SPECIES)
    for most in (90, 40):
        drawn, numbers = shot.spheres(most, np.arange(10), "#ff0000")
        assert sum(map(len, numbers.values())) == most
        for trace, particles in numbers.items():
            assert np.array_equal(drawn.data[trace].x, shot.position[particles, 0])
            assert set(shot.species[particles]) == {drawn.data[trace].name}
        shown = np.concatenate(list(numbers.values()))
        assert len(drawn.data[-1].x) == np.isin(np.arange(10), shown).sum()
    assert drawn.layout.title.text == "the middle 40 of 90 particles"


def test_pace_and_what_is_left():
    from glassdask.sweep.records import Record

    table = pd.DataFrame({"model": ["a", "a", "b", "b"], "simulate": ["complete", "partial", "absent", "failed"],
                          "simulate_fraction": [1.0, 0.5, 0.0, 0.2]}, index=list("wxyz"))  # fmt: skip
    table.attrs = {"stages": ["simulate"], "runs": [{"pid": 1}]}
    begun = {"key": "k", "started": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T01:00:00+00:00"}
    records = {
        ("w", "simulate"): Record(status="complete", seconds=3600.0, **begun),
        ("x", "simulate"): Record(status="running", key="k", started="2026-01-01T01:00:00+00:00"),
        ("z", "simulate"): Record(status="failed", error={"class": "E", "message": "m", "traceback": "t"}, **begun),
    }
    row = pace(table, records).loc["simulate"]
    # half of x is left, and y, of whose model nothing is known yet
    assert row[["done", "failed", "total", "mean", "hourly", "work", "left"]].tolist() == [1, 1, 4, 3600, 1, 5400, 5400]
    assert time_left(pace(table, records)) == 5400
    table.attrs["runs"] = []
    assert np.isnan(pace(table, records).loc["simulate", "left"])  # nobody is at it
    assert np.isnan(pace(table, {}).loc["simulate", "work"])
    happened = events(records)
    assert set(happened["state"]) == {"w", "x", "z"}
    assert happened.set_index("state").loc["z", ["error", "traceback"]].tolist() == ["E: m", "t"]
    assert duration(5400) == "1 h 30 min"
    assert clock("2026-01-01T00:00:00+00:00").startswith(("2025-12-31", "2026-01-01"))


def test_what_every_unit_did_is_known(store, table):
    records = store.records()
    assert len(records) == 19  # but for what waits for the one that failed
    assert {unit for unit, record in records.items() if record.error} == {
        ("slow/T=0.7000", "describe"), ("slow/T=0.7000", "dynamics")
    }  # fmt: skip
    happened = events(records)
    assert happened["time"].is_monotonic_decreasing
    paces = pace(table, records)
    assert paces["done"].to_dict() == {"describe": 4, "reduce": 4, "correlate": 5, "dynamics": 4}
    assert (paces["mean"] > 0).all()
