"""Public layouts: the same small configurations written in each of them, and files that must be refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import FormatError, ParameterError, PositionError, SchemaError, SpeciesError
from glassdask.io.pickles import load_arrays

N, LENGTH = 30, (30 / 1.2) ** (1 / 3)
TYPES = np.array([0] * 24 + [1] * 6)


@pytest.fixture
def start(rng):
    return rng.random((2, N, 3)) * LENGTH


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def ingested(paths, **options):
    """What a plain ingest of the files makes, and its lines."""
    folder = (paths if isinstance(paths, Path) else paths[0]).parent
    store = folder / f"public-{len(list(folder.glob('*.zarr')))}.zarr"
    done = gd.ingest(paths, store, **options)
    return gd.open_trajectory(store), done.notes


def botan(folder, start, ends):
    paths = [folder / f"{k}.npz" for k in range(len(start))]
    for path, initial, later in zip(paths, start, ends):
        np.savez(path, types=TYPES.astype(np.int8), initial_positions=initial, positions=later)
    return paths


def test_botan(tmp_path, start, rng):
    ends = start[:, None] + rng.normal(size=(2, 5, N, 3)) * 3  # far out of the box: not to be wrapped
    trajectory, lines = ingested(botan(tmp_path, start, ends))
    np.testing.assert_allclose(trajectory["position"], start)
    np.testing.assert_allclose(trajectory["box"], np.broadcast_to(np.eye(3) * LENGTH, (2, 3, 3)))
    assert trajectory["species"].values.tolist() == ["A"] * 24 + ["B"] * 6
    expected = [
        [np.mean([np.sqrt(sum((e[i] - s[i]) ** 2)) for e in later]) for i in range(N)] for s, later in zip(start, ends)
    ]
    np.testing.assert_allclose(trajectory["propensity"].values[..., 0], expected, rtol=1e-13)
    moved = trajectory["replica_displacement"]
    assert moved.dims == ("frame", "replica", "lag", "particle", "space")
    np.testing.assert_array_equal(moved[:, :, 0], ends - start[:, None])
    propensity = gd.dynamics.propensity(moved, power=1)["propensity"]
    np.testing.assert_allclose(propensity.transpose("frame", "particle", "lag"), trajectory["propensity"], rtol=1e-13)
    assert "no box in the files: it is taken for a cube of density 1.2, edge 2.92402" in lines
    assert "types are named 0=A, 1=B" in lines
    with pytest.raises(SchemaError, match="frames are independent configurations"):
        gd.dynamics.displacements(trajectory, 1)


def test_glassbench(tmp_path, start, rng):
    centred = start - LENGTH / 2  # wrapped to [-L/2, L/2)
    propensity, broken = rng.random((2, 10, N)), rng.random((2, 10, N))
    paths = [tmp_path / f"{k}.npz" for k in range(2)]
    for k, path in enumerate(paths):
        np.savez(
            path, types=TYPES, initial_positions=centred[k], initial_positions_inherent=centred[k] + 0.01,
            initial_positions_cage=centred[k] + 0.02, md_prop=propensity[k], bb_prop=broken[k],
        )  # fmt: skip
    known, _ = ingested(paths)
    trajectory = known
    np.testing.assert_allclose(known["propensity"].transpose("frame", "lag", "particle"), propensity)
    np.testing.assert_allclose(known["bond_breaking"].transpose("frame", "lag", "particle"), broken)
    assert known["lag"].values.tolist() == list(range(10))
    times = np.geomspace(0.1, 100.0, 10)
    np.testing.assert_array_equal(ingested(paths, lags=times)[0]["lag"], times)
    with pytest.raises(ParameterError, match=r"lags has shape \(3,\), but the files have 10 lags"):
        ingested(paths, lags=[1.0, 2.0, 3.0])
    for wrong in ([1.0] * 10, [-1.0, *range(9)], [np.nan, *range(9)]):
        with pytest.raises(ParameterError, match="give times that are not negative and all different"):
            ingested(paths, lags=wrong)
    for name, shift in (("inherent_position", 0.01), ("cage_position", 0.02)):
        moved = known[name].values - trajectory["position"].values
        np.testing.assert_allclose(moved - LENGTH * np.round(moved / LENGTH), shift, atol=1e-12)
        assert known[name].values.min() >= 0


def test_glassbench_in_two_dimensions(tmp_path, rng):
    start = rng.random((8, 2)) - 0.5
    np.savez(tmp_path / "a.npz", types=np.arange(8) % 3, initial_positions=start, md_prop=rng.random((4, 8)))
    trajectory, _ = ingested(tmp_path / "a.npz", density=2.0)
    np.testing.assert_allclose(trajectory["box"].values[0], 2.0 * np.eye(2))
    assert trajectory["species"].values.tolist() == list("ABCABCAB")
    assert "replica_displacement" not in trajectory


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_deepmind(tmp_path, start, rng, protocol):
    ends = start[:, None] + rng.normal(size=(2, 4, N, 3))
    box = np.full(3, 2.0 * LENGTH)
    for k in range(2):
        content = {
            "positions": np.asfortranarray(start[k]), "types": TYPES, "box": box, "time": 7.5, "metadata": {"T": 0.44},
            "trajectory_target_positions": list(ends[k]), "trajectory_start_velocities": None,
        }  # fmt: skip
        (tmp_path / f"{k}.pickle").write_bytes(pickle.dumps(content, protocol=min(protocol, 4)))
    trajectory, _ = ingested([tmp_path / "0.pickle", tmp_path / "1.pickle"])
    np.testing.assert_allclose(trajectory["position"], start)
    np.testing.assert_allclose(trajectory["box"].values[0], np.diag(box))
    expected = np.linalg.norm(ends - start[:, None], axis=-1).mean(axis=1)
    np.testing.assert_allclose(trajectory["propensity"].values[..., 0], expected)
    assert trajectory["lag"].values.tolist() == [7.5]


def test_pickle_of_python_2():
    """Raw data come as text there, module paths are the old ones, numbers may be big-endian."""
    data = np.array([1.5, -2.25]).astype(">f8").tobytes()
    pushed = b"U" + bytes([len(data)]) + data
    content = (
        b"\x80\x02}U\x09positionscnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + pushed + b"tbs."
    )  # fmt: skip
    assert load_arrays(content)["positions"].tolist() == [1.5, -2.25]


class Hostile:
    def __init__(self, call, *arguments):
        self.parts = (call, arguments)

    def __reduce__(self):
        return self.parts


@pytest.mark.parametrize(
    "value, named",
    [
        (Hostile(os.system, "touch {}"), "system"),
        (Hostile(eval, "open('{}', 'w')"), "builtins.eval"),
        (Hostile(getattr, "text", "join"), "builtins.getattr"),
        (Hostile(np.load, "{}"), "numpy"),
        (np.float64(1.0), "scalar"),
        (np.array([{}, None], dtype=object), "object"),
        (np.zeros(2, dtype=[("a", "f8")]), "array of"),
        (np.ma.masked_array([1.0]), "numpy.ma"),
    ],
)
def test_hostile_pickles_are_refused(tmp_path, value, named):
    mark = tmp_path / "mark"
    if isinstance(value, Hostile):
        call, arguments = value.parts
        value = Hostile(call, *[a.format(mark) if isinstance(a, str) else a for a in arguments])
    path = tmp_path / "bad.pickle"
    path.write_bytes(pickle.dumps({"positions": value}, protocol=4))
    with pytest.raises(FormatError, match=rf"bad\.pickle: needs .*{named}"):
        ingested(path)
    assert not mark.exists()


def test_what_stands_for_numpy_cannot_be_changed():
    """A pickle may set attributes of what it names: here of the function that makes arrays."""
    content = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}U\x08__call__K\x01sb."
    with pytest.raises(FormatError, match="needs a change of"):
        load_arrays(content)


def test_damaged_files_are_refused(tmp_path, start):
    whole = pickle.dumps({"positions": start[0], "types": TYPES}, protocol=4)
    for content in (b"", b"plain text", whole[: len(whole) // 2], pickle.dumps([1, 2])):
        (tmp_path / "a.pickle").write_bytes(content)
        with pytest.raises(FormatError, match=r"a\.pickle: "):
            ingested(tmp_path / "a.pickle")
    (tmp_path / "a.pickle").write_bytes(pickle.dumps({"positions": Hostile(float, b"1.x" + b"\n" * 2000)}))
    with pytest.raises(FormatError, match=r"a\.pickle: ") as caught:
        ingested(tmp_path / "a.pickle")
    assert len(str(caught.value)) < 1000
    (tmp_path / "b.npz").write_bytes(botan(tmp_path, start, start[:, None])[0].read_bytes()[:-40])
    with pytest.raises(FormatError, match=r"b\.npz: "):
        ingested(tmp_path / "b.npz")
    with pytest.raises(FormatError, match="cannot be read"):
        ingested(tmp_path / "none.npz")


def test_what_does_not_fit_is_refused(tmp_path, start):
    paths = botan(tmp_path, start, start[:, None])
    np.savez(tmp_path / "other.npz", types=[0] * N, initial_positions=start[0] + 1, positions=start[:, :5])
    np.savez(tmp_path / "short.npz", types=TYPES, initial_positions=start[0], positions=start[:, :5])
    np.savez(tmp_path / "letters.npz", types=TYPES.astype(str), initial_positions=start[0])
    np.savez(tmp_path / "one.npz", types=TYPES, initial_positions=start[0] + 1, positions=start[[0, 0]])
    np.savez(tmp_path / "fewer.npz", types=TYPES, initial_positions=start[0])
    np.savez(tmp_path / "flat.npz", types=TYPES, initial_positions=start[0], md_prop=np.ones(N))
    np.savez(tmp_path / "objects.npz", types=TYPES.astype(object), initial_positions=start[0])
    for files, error, message in (
        ([*paths, tmp_path / "short.npz"], FormatError, "'positions' has shape"),
        ([*paths, tmp_path / "letters.npz"], FormatError, "types are <U"),
        ([*paths, tmp_path / "one.npz"], FormatError, "1 to 2 replicas in a file"),
        ([*paths, tmp_path / "fewer.npz"], FormatError, "not all files tell as many lags"),
        ([*paths, tmp_path / "flat.npz"], FormatError, r"'md_prop' has shape \(30,\), expected \(lags, 30\)"),
        ([*paths, tmp_path / "objects.npz"], FormatError, "array 'types' has Python objects: save numbers"),
    ):
        with pytest.raises(error, match=message) as caught:
            ingested(files)
        assert "\n" not in str(caught.value)
    with pytest.raises(FormatError, match=r"1.npz: has the configuration and the lag of"):
        ingested(botan(tmp_path, start[[0, 0]], start[:, None]))
    paths = botan(tmp_path, start, start[:, None])
    np.savez(tmp_path / "other.npz", types=[0] * N, initial_positions=start[0] + 1, positions=start[:1])
    with pytest.raises(SpeciesError, match=r"other.npz: 30 particles whose types are not those"):
        ingested([*paths, tmp_path / "other.npz"])
    far = start.copy()
    far[1, 3, 0] = 1e60  # a flipped bit
    with pytest.raises(PositionError, match=r"1\.npz: frame 0, particle 3: position .* boxes away"):
        ingested(botan(tmp_path, far, far[:, None]))
    for density in (0.0, np.nan):
        with pytest.raises(ParameterError, match="density"):
            ingested(paths, density=density)
    with pytest.raises(ParameterError, match="public data have no option dt: they have density, box, lags"):
        ingested(paths, dt=0.1)
    with pytest.raises(FormatError, match="are ingested all together: leave out append"):
        gd.ingest(paths, tmp_path / "x.zarr", append=True)
    with pytest.raises(FormatError, match=r"format public is read by glassdask.ingest, all files together"):
        gd.io.scan(paths[0])


def lags_in_files(folder, rng):
    """As KA2D of GlassBench: a file for each lag of a configuration, types from 1, in an order of their own."""
    kinds = [1] * 12 + [2] * 6 + [3] * 12
    runs = []
    for number in range(2):
        types, start = rng.permutation(kinds), rng.random((N, 2)) * 20 - 10
        ends = {lag: start + rng.normal(size=(4, N, 2)) * lag for lag in ((5, 10, 40) if number == 0 else (10,))}
        for lag, end in ends.items():
            path = folder / f"N{N}T0.23_{number}_tc{lag:02d}.npz"
            arrays = {"initial_positions": start, "initial_positions_inherent": start + 0.01, "positions": end}
            np.savez(path, types=types, box=5.0, **arrays)
        runs.append((types, start, ends))
    return sorted(folder.glob("*.npz"), reverse=True), runs


def test_lags_in_files_of_their_own(tmp_path, rng):
    paths, runs = lags_in_files(tmp_path, rng)
    found, lines = ingested(paths)
    assert found.sizes == {"frame": 2, "replica": 4, "lag": 3, "particle": N, "space": 2, "axis": 2}
    assert found["species"].values.tolist() == ["A"] * 12 + ["B"] * 6 + ["C"] * 12
    np.testing.assert_array_equal(found["box"], [np.eye(2) * 5.0] * 2)
    for frame, (types, start, ends) in zip((1, 0), runs):  # the files were given in reverse
        order = np.argsort(types, kind="stable")
        whole = found["position"][frame] + found["image"].values[frame] @ found["box"].values[frame]
        np.testing.assert_allclose(whole, start[order], atol=1e-13)
        for k, lag in enumerate((5, 10, 40)):
            moved = found["replica_displacement"].values[frame, :, k]
            if lag in ends:
                np.testing.assert_array_equal(moved, (ends[lag] - start)[:, order])
            else:
                assert np.isnan(moved).all()
                assert np.isnan(found["propensity"].values[frame, :, k]).all()
    np.testing.assert_array_equal(
        found["place_in_file"], [np.argsort(types, kind="stable") for types, _, _ in reversed(runs)]
    )
    assert [source["frame"] for source in found.attrs["sources"]] == [0, 1, 1, 1]  # configuration 1, then 0
    assert "types are in another order in each configuration: particles are sorted by type" in lines
    assert "2 of 6 lags are not there for their configuration: NaN" in lines
    assert "5, 10, 40: they are numbered from 0" in " ".join(lines)
    named, _ = ingested(paths, species_names={1: "big", 2: "mid", 3: "small"}, lags=[0.1, 1.0, 10.0])
    assert set(named["species"].values) == {"big", "mid", "small"}
    assert named["lag"].values.tolist() == [0.1, 1.0, 10.0]


def test_runs_of_one_lag_beside_published_means_of_several(tmp_path, start, rng):
    """Whose lag the runs are of is not told: they are not taken for those of every lag."""
    far = {"types": TYPES, "initial_positions": start[0], "positions": start[:1] + 5.0 * rng.normal(size=(4, N, 3))}
    np.savez(tmp_path / "a.npz", **far, md_prop=rng.random((3, N)))
    with pytest.raises(FormatError, match=r"a\.npz: md_prop is of 3 lags, 'positions' of one"):
        ingested(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **far, md_prop=rng.random((1, N)))
    assert ingested(tmp_path / "b.npz")[0].sizes["lag"] == 1


def test_wrapped_ends_are_not_taken_for_long_ways(tmp_path, start, rng):
    """A step over a face of the box would look like one through all of it."""
    ends = start[:1, None] + 0.3 * rng.normal(size=(1, 4, N, 3))
    trajectory, _ = ingested(botan(tmp_path, start[:1], ends))
    assert trajectory["propensity"].values.max() < 2.0
    with pytest.raises(FormatError, match="as if they had been wrapped"):
        ingested(botan(tmp_path, start[:1], ends % LENGTH))
    with pytest.raises(FormatError, match="as if they had been wrapped"):
        ingested(botan(tmp_path, start[:1] - LENGTH / 2, (ends % LENGTH) - LENGTH / 2))


def test_into_a_store_twice(tmp_path, start, rng):
    paths = botan(tmp_path, start, start[:, None] + rng.normal(size=(2, 3, N, 3)))
    first = gd.ingest(paths, tmp_path / "public.zarr")
    again = gd.ingest(paths, tmp_path / "public.zarr")
    assert (first.n_new, again.n_new, again.n_frames) == (2, 0, 2)
    assert gd.store.verify(tmp_path / "public.zarr") == []
