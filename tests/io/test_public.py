"""Public layouts: the same small configurations written in each of them, and files that must be refused."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import FormatError, ParameterError, SpeciesError
from glassdask.io.public import ingest_public, load_arrays, read_public

N, LENGTH = 30, (30 / 1.2) ** (1 / 3)
TYPES = np.array([0] * 24 + [1] * 6)


@pytest.fixture
def start(rng):
    return rng.random((2, N, 3)) * LENGTH


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def botan(folder, start, ends):
    paths = [folder / f"{k}.npz" for k in range(len(start))]
    for path, initial, later in zip(paths, start, ends):
        np.savez(path, types=TYPES.astype(np.int8), initial_positions=initial, positions=later)
    return paths


def test_botan(tmp_path, start, rng):
    ends = start[:, None] + rng.normal(size=(2, 5, N, 3)) * 3  # far out of the box: not to be wrapped
    trajectory, known = read_public(botan(tmp_path, start, ends))
    np.testing.assert_allclose(trajectory["position"], start)
    np.testing.assert_allclose(trajectory["box"], np.broadcast_to(np.eye(3) * LENGTH, (2, 3, 3)))
    assert trajectory["species"].values.tolist() == ["A"] * 24 + ["B"] * 6
    expected = [
        [np.mean([np.sqrt(sum((e[i] - s[i]) ** 2)) for e in later]) for i in range(N)] for s, later in zip(start, ends)
    ]
    np.testing.assert_allclose(known["propensity"].values[..., 0], expected, rtol=1e-13)


def test_glassbench(tmp_path, start, rng):
    centred = start - LENGTH / 2  # wrapped to [-L/2, L/2)
    propensity, broken = rng.random((2, 10, N)), rng.random((2, 10, N))
    paths = [tmp_path / f"{k}.npz" for k in range(2)]
    for k, path in enumerate(paths):
        np.savez(
            path, types=TYPES, initial_positions=centred[k], initial_positions_inherent=centred[k] + 0.01,
            initial_positions_cage=centred[k] + 0.02, md_prop=propensity[k], bb_prop=broken[k],
        )  # fmt: skip
    trajectory, known = read_public(paths)
    np.testing.assert_allclose(known["propensity"].transpose("frame", "lag", "particle"), propensity)
    np.testing.assert_allclose(known["bond_breaking"].transpose("frame", "lag", "particle"), broken)
    assert known["lag"].values.tolist() == list(range(10))
    for name, shift in (("inherent_position", 0.01), ("cage_position", 0.02)):
        moved = known[name].values - trajectory["position"].values
        np.testing.assert_allclose(moved - LENGTH * np.round(moved / LENGTH), shift, atol=1e-12)
        assert known[name].values.min() >= 0


def test_glassbench_in_two_dimensions(tmp_path, rng):
    start = rng.random((8, 2)) - 0.5
    np.savez(tmp_path / "a.npz", types=np.arange(8) % 3, initial_positions=start, md_prop=rng.random((4, 8)))
    trajectory, known = read_public(tmp_path / "a.npz", density=2.0)
    np.testing.assert_allclose(trajectory["box"].values[0], 2.0 * np.eye(2))
    assert trajectory["species"].values.tolist() == list("ABCABCAB")
    assert list(known) == ["propensity"]


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
    trajectory, known = read_public([tmp_path / "0.pickle", tmp_path / "1.pickle"])
    np.testing.assert_allclose(trajectory["position"], start)
    np.testing.assert_allclose(trajectory["box"].values[0], np.diag(box))
    expected = np.linalg.norm(ends - start[:, None], axis=-1).mean(axis=1)
    np.testing.assert_allclose(known["propensity"].values[..., 0], expected)
    assert known["lag"].values.tolist() == [7.5]


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
        read_public(path)
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
            read_public(tmp_path / "a.pickle")
    (tmp_path / "b.npz").write_bytes(botan(tmp_path, start, start[:, None])[0].read_bytes()[:-40])
    with pytest.raises(FormatError, match=r"b\.npz: "):
        read_public(tmp_path / "b.npz")
    with pytest.raises(FormatError, match="cannot be read"):
        read_public(tmp_path / "none.npz")


def test_what_does_not_fit_is_refused(tmp_path, start):
    paths = botan(tmp_path, start, start[:, None])
    np.savez(tmp_path / "other.npz", types=TYPES[::-1], initial_positions=start[0])
    with pytest.raises(SpeciesError, match="types are not those"):
        read_public([*paths, tmp_path / "other.npz"])
    np.savez(tmp_path / "short.npz", types=TYPES, initial_positions=start[0], positions=start[:, :5])
    with pytest.raises(FormatError, match="'positions' has shape"):
        read_public(tmp_path / "short.npz")
    np.savez(tmp_path / "lacking.npz", initial_positions=start[0])
    with pytest.raises(FormatError, match="no array 'types'"):
        read_public(tmp_path / "lacking.npz")
    for density in (0.0, np.nan):
        with pytest.raises(ParameterError, match="density"):
            read_public(paths, density=density)
    with pytest.raises(ParameterError, match="no file"):
        read_public([])


def test_into_a_store(tmp_path, start, rng):
    paths = botan(tmp_path, start, start[:, None] + rng.normal(size=(2, 3, N, 3)))
    store = tmp_path / "public.zarr"
    for _ in range(2):  # the second time nothing is to be done
        ingest_public(paths, store)
    trajectory, known = read_public(paths)
    np.testing.assert_array_equal(gd.open_trajectory(store)["position"], trajectory["position"])
    np.testing.assert_array_equal(gd.open_reduction(store, "public")["propensity"], known["propensity"])
    assert gd.store.verify(store) == []
