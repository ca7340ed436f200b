"""Hops, bonds, strings and clusters: planted ones are found, brute force, chunks, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from scipy.sparse.csgraph import connected_components

import glassdask as gd
from glassdask import dynamics
from glassdask.errors import BoxError, ParameterError, SchemaError, SpeciesError
from glassdask.kernels import events as kernels
from tests.dynamics.test_collective import fixed, skewed
from tests.dynamics.test_fluctuations import as_trajectory


def distances(first, second, box):
    """Shortest distances (n, m) of all periodic images, by brute force."""
    apart = second[None] - first[:, None]
    apart -= np.rint(apart @ np.linalg.inv(box)) @ box
    images = [apart + np.array(m) @ box for m in itertools.product((-1, 0, 1), repeat=len(box))]
    return np.linalg.norm(images, axis=-1).min(axis=0)


class TestHops:
    def caged(self, n_frames=200, n=40, seed=2):
        """Particles in cages of 0.05, each of which jumps by 1 once; and when."""
        rng = np.random.default_rng(seed)
        path = 5.0 + 0.05 * rng.normal(size=(n_frames, n, 3))
        when = rng.integers(min(30, n_frames // 2), max(n_frames - 30, n_frames // 2 + 1), n)
        direction = rng.normal(size=(n, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        path += np.where(np.arange(n_frames)[:, None] >= when, 1.0, 0.0)[..., None] * direction
        return as_trajectory(path, np.arange(n_frames) * 0.5), when, path

    def test_statistics_of_planted_hops(self):
        """Each particle jumps once by 1, in the time in which p_hop is known of it."""
        t, _, _ = self.caged()
        found = dynamics.hop_statistics(t, window=10.0, threshold=0.2)
        hops = dynamics.hops(t, window=10.0, threshold=0.2)
        duration = 0.5 * (np.isfinite(hops["p_hop"]).all("particle").sum() - 1)
        assert float(found["hop_rate_total"] * duration) == pytest.approx(1.0, rel=1e-9)
        assert 0.8 < float(found["hop_length_total"]) < 1.05
        np.testing.assert_array_equal(found["hop_rate"], [found["hop_rate_total"]])
        times = dynamics.waiting_times(hops)
        np.testing.assert_array_equal(found["persistence_total"], times["persistence_total"])
        none = dynamics.hop_statistics(t, window=10.0, threshold=50.0)
        assert float(none["hop_rate_total"]) == 0.0
        assert none["hop_length"].isnull().all()

    def test_errors_are_those_of_repeated_runs(self):
        rng = np.random.default_rng(5)
        runs = []
        for _ in range(40):
            jumps = (rng.random((240, 16, 1)) < 0.01) * rng.uniform(0.7, 1.5, (240, 16, 1)) * [1.0, 0.0, 0.0]
            path = 5.0 + 0.03 * rng.normal(size=(240, 16, 3)) + np.cumsum(jumps, axis=0)
            runs.append(dynamics.hop_statistics(as_trajectory(path), window=6.0, threshold=0.2))
        for name in ("hop_rate", "hop_length"):
            scatter = np.std([float(run[f"{name}_total"]) for run in runs], ddof=1)
            told = np.sqrt(np.mean([float(run[f"{name}_total_error"]) ** 2 for run in runs]))
            assert told == pytest.approx(scatter, rel=0.35)
            assert runs[0][f"{name}_error"].dims == ("species",)

    def test_planted_hops_are_found(self):
        t, when, _ = self.caged()
        found = dynamics.hops(t, window=10.0, threshold=0.2)
        frame, particle = np.nonzero(found["hop"].values)
        assert sorted(particle) == list(range(40))
        # the frame before the jump, or the one after it
        assert set(frame - when[particle]) <= {-1, 0}
        jumps = found["jump"].values[frame, particle]
        assert np.abs(jumps - 10 / 11).max() < 0.1  # one of eleven frames is on the other side
        quiet = found["p_hop"].values[:15]
        assert np.nanmean(quiet) == pytest.approx(3 * 0.05**2, rel=0.2)
        assert found.attrs == {"window": 10.0, "threshold": 0.2}

    def test_equals_brute_force(self):
        t, _, path = self.caged(40, 5)
        found = dynamics.hops(t, window=4.0, threshold=0.01)
        for f, p in itertools.product(range(40), range(5)):
            if not 4 <= f < 36:
                assert np.isnan(found["p_hop"][f, p])
                continue
            a, b = path[f - 4 : f + 1, p], path[f : f + 5, p]
            before = ((a - b.mean(axis=0)) ** 2).sum(axis=1).mean()
            after = ((b - a.mean(axis=0)) ** 2).sum(axis=1).mean()
            assert float(found["p_hop"][f, p]) == pytest.approx(np.sqrt(before * after), rel=1e-9)
            assert float(found["jump"][f, p]) == pytest.approx(np.linalg.norm(b.mean(0) - a.mean(0)), rel=1e-9)
        p_hop = np.nan_to_num(found["p_hop"].values)
        for p in range(5):
            above = np.append(p_hop[:, p] > 0.01, False)
            edges = np.flatnonzero(np.diff(np.append(False, above).astype(int)))
            expected = [begin + np.argmax(p_hop[begin:end, p]) for begin, end in edges.reshape(-1, 2)]
            assert np.flatnonzero(found["hop"].values[:, p]).tolist() == expected

    def test_chunks_and_plain_python(self):
        t, _, path = self.caged(60, 12)
        whole = dynamics.hops(t, window=4.0, threshold=0.05)
        lazy = dynamics.hops(t.chunk(frame=7, particle=5), window=4.0, threshold=0.05)
        assert lazy["p_hop"].chunks is not None
        xr.testing.assert_allclose(lazy.compute(), whole)
        outputs = [np.full((12, 60), np.nan), np.full((12, 60), np.nan), np.zeros((12, 60), bool)]
        kernels.hop_function.py_func(path.transpose(1, 0, 2).copy(), 4, *outputs[:2])
        kernels.label_hops.py_func(outputs[0], 0.05, outputs[2])
        for name, values in zip(("p_hop", "jump", "hop"), outputs):
            np.testing.assert_allclose(whole[name].values.T, values, rtol=1e-9, atol=1e-12)

    def test_bad_input(self):
        t, *_ = self.caged(10, 3)
        for window in (0.1, 99.0):
            with pytest.raises(ParameterError, match="expected at least two intervals"):
                dynamics.hops(t, window=window, threshold=0.2)
        with pytest.raises(SchemaError, match="evenly spaced"):
            dynamics.hops(t.assign_coords(time=("frame", np.arange(10.0) ** 2)), window=4.0, threshold=0.2)
        with pytest.raises(SchemaError, match="no variable 'time'"):
            dynamics.hops(t.drop_vars("time"), window=4.0, threshold=0.2)


class TestWaitingTimes:
    def events(self, hop, species=None):
        coords = {
            "time": ("frame", np.arange(len(hop)) * 0.5),
            "species": ("particle", np.array(["A"] * hop.shape[1]) if species is None else species),
        }
        dims = ("frame", "particle")
        return xr.Dataset({"hop": (dims, hop), "p_hop": (dims, np.where(hop, 1.0, 0.0))}, coords=coords)

    @pytest.mark.parametrize("n_frames", [25, 400])
    def test_hops_without_memory(self, n_frames):
        """Both are 0.9^n, also where most intervals are cut by the end; of a few and of many frames."""
        hop = np.random.default_rng(0).random((n_frames, 40000 // n_frames)) < 0.1
        found = dynamics.waiting_times(self.events(hop))
        lag = found["lag"].values
        assert lag[1] == 0.5
        for name in ("persistence", "exchange"):
            np.testing.assert_allclose(found[f"{name}_total"][:20], 0.9 ** (2 * lag[:20]), atol=0.03)
            np.testing.assert_array_equal(found[name][0], found[f"{name}_total"])

    def test_slow_and_fast_particles(self):
        """Half of the particles hop ten times as often: they do most hops, but fewer of the moments are theirs."""
        rate = np.repeat([0.2, 0.02], 200)
        hop = np.random.default_rng(1).random((1000, 400)) < rate
        found = dynamics.waiting_times(self.events(hop, np.repeat(["A", "B"], 200)))
        mean = {name: float(found[f"{name}_total"].sum()) for name in ("persistence", "exchange")}
        assert mean["persistence"] == pytest.approx(0.5 * (5 + 50), rel=0.05)
        assert mean["exchange"] == pytest.approx((0.2 * 5 + 0.02 * 50) / 0.22, rel=0.05)
        for name in mean:
            np.testing.assert_allclose(found[name].sum("lag"), [5, 50], rtol=0.06)

    def test_equals_brute_force(self):
        hop = np.random.default_rng(2).random((12, 30)) < 0.2
        found = dynamics.waiting_times(self.events(hop))
        spans = {"persistence": [], "exchange": []}
        for p in range(30):
            at = np.flatnonzero(hop[:, p])
            for start in range(12):
                later = at[at > start]
                span = (later[0] - start, True) if len(later) else (11 - start, False)
                spans["persistence"].append(span)
                if hop[start, p]:
                    spans["exchange"].append(span)
        for name, of in spans.items():
            left = 1.0
            for n in range(1, 12):
                waiting = sum(length >= n for length, _ in of)
                left *= 1 - sum(length == n and ended for length, ended in of) / waiting if waiting else np.nan
                np.testing.assert_allclose(found[f"{name}_total"][n], left)

    def test_errors_are_those_of_repeated_runs(self):
        hop = np.random.default_rng(3).random((60, 200, 100)) < 0.1
        runs = [dynamics.waiting_times(self.events(one)).isel(lag=[1, 3, 6, 10]) for one in hop]
        for name in ("persistence", "exchange"):
            scatter = np.std([run[f"{name}_total"] for run in runs], axis=0, ddof=1)
            told = np.mean([run[f"{name}_total_error"] for run in runs], axis=0)
            np.testing.assert_allclose(told, scatter, rtol=0.3)

    def test_errors_where_most_particles_never_hop(self):
        """Nearly all waiting begins with the trajectory: its moments, not its beginning, are what is left out."""
        hop = np.random.default_rng(4).random((40, 400, 150)) < 0.0005
        runs = [dynamics.waiting_times(self.events(one)).isel(lag=[5, 10, 20, 40]) for one in hop]
        scatter = np.std([run["persistence_total"] for run in runs], axis=0, ddof=1)
        told = np.mean([run["persistence_total_error"] for run in runs], axis=0)
        np.testing.assert_allclose(told, scatter, rtol=0.4)

    def test_of_hops(self):
        t, *_ = TestHops().caged()
        found = dynamics.waiting_times(dynamics.hops(t, window=10.0, threshold=0.2))
        assert float(found["exchange_total"][1]) == 1.0  # each hops once
        with pytest.raises(SchemaError, match="give the result of hops"):
            dynamics.waiting_times(found)


CUTOFFS = {("A", "A"): 1.6, ("A", "B"): 1.4, ("B", "B"): 1.3}


class TestBonds:
    @pytest.mark.parametrize("dimension", [2, 3])
    @pytest.mark.parametrize("make", [skewed, fixed])
    def test_equals_brute_force(self, dimension, make):
        t, path, box, species = make(dimension)
        found = dynamics.bond_breaking(t, cutoffs=CUTOFFS, factor=1.25)
        reach = np.array([[CUTOFFS[tuple(sorted((a, b)))] for b in species] for a in species])
        for lag in range(1, 6):
            kept, bonds = np.zeros((2, 40))
            for f in range(6 - lag):
                near = (distances(path[f], path[f], box[f]) < reach) & ~np.eye(40, dtype=bool)
                still = distances(path[f + lag], path[f + lag], box[f + lag]) < 1.25 * reach
                kept += (near & still).sum(axis=1)
                bonds += near.sum(axis=1)
            at = found.sel(lag=lag)
            np.testing.assert_allclose(at["cb_total"], kept.sum() / bonds.sum())
            for name in "AB":
                expected = kept[species == name].sum() / bonds[species == name].sum()
                np.testing.assert_allclose(at["cb"].sel(species=name), expected)

    def test_drift_and_waves_break_no_bonds(self):
        cubic = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), axis=-1).reshape(1, 125, 3)
        drift = np.arange(6.0)[:, None, None] * [0.3, 0.1, 0.0]
        wave = 0.08 * np.sin(2 * np.pi * cubic[..., :1] / 5 + np.arange(6.0)[:, None, None])
        found = dynamics.bond_breaking(as_trajectory(cubic + drift + wave, length=5.0), cutoffs=1.2, factor=1.3)
        np.testing.assert_array_equal(found["cb"], 1.0)

    def test_cutoffs_are_measured_where_none_are_given(self, shipped):
        t = shipped[1]
        lags = [float(t["time"][1] - t["time"][0])]
        found = dynamics.bond_breaking(t, lags)
        same = dynamics.bond_breaking(t, lags, cutoffs=gd.first_minima(t))
        xr.testing.assert_identical(found, same)
        assert 0.4 < float(found["cb_total"][0]) < 0.95

    def test_replicas(self):
        t, path, box, species = fixed(3)
        start = t.isel(frame=[0])
        moved = dynamics.replica_displacements(path[0], path[None, 1:3].repeat(2, axis=0), lag=[1.0, 2.0])
        found = dynamics.replica_bonds(moved, start, CUTOFFS)
        assert found.dims == ("replica", "lag", "particle")
        reach = np.array([[CUTOFFS[tuple(sorted((a, b)))] for b in species] for a in species])
        near = (distances(path[0], path[0], box[0]) < reach) & ~np.eye(40, dtype=bool)
        for lag in (1, 2):
            still = distances(path[lag], path[lag], box[0]) < 1.2 * reach
            with np.errstate(invalid="ignore"):
                expected = (near & still).sum(axis=1) / near.sum(axis=1)
            for replica in range(2):
                np.testing.assert_allclose(found[replica, lag - 1], expected)
        xr.testing.assert_allclose(dynamics.replica_bonds(moved.chunk(replica=1), start, CUTOFFS).compute(), found)

    def test_bad_input(self):
        t, *_ = fixed(3)
        with pytest.raises(ParameterError, match="factor: expected at least 1"):
            dynamics.bond_breaking(t, cutoffs=1.3, factor=0.9)
        with pytest.raises(BoxError, match="more than half"):
            dynamics.bond_breaking(t, cutoffs=2.2, factor=2.0)
        with pytest.raises(ParameterError, match="lacks B-B"):
            dynamics.bond_breaking(t, cutoffs={("A", "A"): 1.0, ("A", "B"): 1.0})


class TestStrings:
    def planted(self, lengths, seed=4):
        """A lattice that rattles, in which rows of so many particles move on by one place; and the mobile ones."""
        rng = np.random.default_rng(seed)
        start = np.stack(np.meshgrid(*[np.arange(8.0)] * 3, indexing="ij"), axis=-1).reshape(512, 3)
        end = start + rng.uniform(-0.1, 0.1, (512, 3))
        for row, length in enumerate(lengths):
            of = [int(x * 64 + row * 2 * 8) for x in range(length)]  # along x, every other y
            end[of, 0] += 1.0
            end[of[-1]] += [-0.4, 0.0, 0.5]  # no row ends at the beginning of itself
        return as_trajectory(np.stack([start, end]) + 0.3, length=8.0)

    def test_planted_strings_are_found(self):
        found = dynamics.strings(self.planted([5, 3, 2]), lag=1.0, distance=0.4, fraction=10 / 512)
        assert found["clusters"].values.tolist() == [0, 1, 1, 0, 1]
        assert found["size"].values.tolist() == [1, 2, 3, 4, 5]
        assert float(found["mean_size"]) == pytest.approx(10 / 3)
        assert float(found["weighted_size"]) == pytest.approx((25 + 9 + 4) / 10)

    def test_planted_clusters_are_found(self):
        found = dynamics.mobile_clusters(self.planted([5, 3, 2]), lag=1.0, distance=1.2, fraction=10 / 512)
        assert found["clusters"].values.tolist() == [0, 1, 1, 0, 1]

    @pytest.mark.parametrize("make", [skewed, fixed])
    def test_equal_brute_force(self, make):
        t, path, box, species = make(3, n=60)
        for function in (dynamics.strings, dynamics.mobile_clusters):
            found = function(t, lag=2.0, distance=1.1, fraction=0.5, species="A")
            expected = np.zeros(20)
            for f in range(4):
                of = np.flatnonzero(species == "A")
                mobile = of[np.argsort(((path[f + 2] - path[f])[of] ** 2).sum(axis=1))[-20:]]
                before = path[f][mobile]
                if function is dynamics.strings:
                    deformed = before @ np.linalg.inv(box[f]) @ box[f + 2]
                    near = distances(deformed, path[f + 2][mobile], box[f + 2]) < 1.1
                else:
                    near = distances(before, before, box[f]) < 1.1
                _, label = connected_components(near | near.T, directed=False)
                expected += np.bincount(np.bincount(label), minlength=21)[1:] / 4
            longest = len(found["size"])
            np.testing.assert_allclose(found["clusters"], expected[:longest])
            assert not expected[longest:].any()
            chunked = function(t.chunk(frame=2, particle=30), lag=2.0, distance=1.1, fraction=0.5, species="A")
            xr.testing.assert_allclose(chunked, found)

    def test_bad_input(self):
        t, *_ = fixed(3)
        with pytest.raises(ParameterError, match="at least one that is mobile"):
            dynamics.strings(t, lag=1.0, distance=0.5, fraction=1e-3)
        with pytest.raises(SpeciesError, match="unknown species C"):
            dynamics.strings(t, lag=1.0, distance=0.5, species="C")
        with pytest.raises(BoxError, match="more than half"):
            dynamics.mobile_clusters(t, lag=1.0, distance=9.0)
