"""What the command line advises is typed as it stands, and works: paths with blanks, stored things, options."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import FormatError, SchemaError, StoreError
from glassdask.store import verify
from tests.test_cli import ARGS, run


def liquid(frames=4, scatter=0.12):
    rng = np.random.default_rng(5)
    lattice = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(1, 216, 3)
    position = lattice + rng.normal(scale=scatter, size=(frames, 216, 3))
    return gd.from_arrays(position, species=["A"] * 150 + ["B"] * 66, box=[6.0] * 3, time=np.arange(frames) * 1.0)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "a folder" / "s 1.zarr"
    path.parent.mkdir()
    gd.save_trajectory(liquid(), path)
    return path


def typed(monkeypatch, capsys, line):
    """A command that was advised: its exit code and what it says."""
    words = shlex.split(line)
    assert words[0] == "glassdask"
    code, out, error = run(monkeypatch, capsys, *words[1:])
    return code, out + error


@pytest.mark.parametrize("what", ["msd", "g"])
def test_what_is_not_measured_yet(monkeypatch, capsys, tmp_path, store, what):
    code, _, error = run(monkeypatch, capsys, "plot", store, what, "-o", tmp_path / "x.png")
    assert code == 1
    code, said = typed(monkeypatch, capsys, error.strip().rpartition("measure it first, ")[2])
    assert code == 0, said
    code, _, error = run(monkeypatch, capsys, "plot", store, what, "-o", tmp_path / "x.png")
    assert code == 0, error


def test_what_is_not_described_yet(monkeypatch, capsys, tmp_path, store):
    code, _, error = run(monkeypatch, capsys, "plot", store, "voronoi", "-o", tmp_path / "x.png")
    assert (code, error.strip().rpartition(": describe it first, ")[2]) == (1, f"glassdask describe '{store}' voronoi")


def test_what_is_out_of_date_is_overwritten_by_what_comes_next(monkeypatch, capsys, store):
    for words in (("describe", store, "bo:cutoffs=1.4"), ("reduce", store, "bo")):
        assert run(monkeypatch, capsys, *words, *ARGS)[0] == 0
    code, _, error = run(monkeypatch, capsys, "reduce", store, "bo", "--components", "2", *ARGS)
    assert (code, "replace it with --overwrite, or choose another name" in error) == (1, True)
    assert run(monkeypatch, capsys, "describe", store, "bo:cutoffs=1.5", "--overwrite", *ARGS)[0] == 0
    out = run(monkeypatch, capsys, "info", store)[1]
    assert "was changed: compute it again with --overwrite" in out
    advised = next(line for line in out.splitlines() if line.strip().startswith("next"))[12:].strip()
    assert advised == f"glassdask reduce '{store}' bo --overwrite"
    code, said = typed(monkeypatch, capsys, advised)
    assert code == 0, said
    assert "out of date" not in run(monkeypatch, capsys, "info", store)[1]


def test_diameters_that_cannot_be_measured_are_not_called_cutoffs(monkeypatch, capsys, store):
    code, _, error = run(monkeypatch, capsys, "describe", store, "voronoi", "--cutoff", "1.4", *ARGS)
    assert code == 1
    assert "give the diameters, diameters={A=..., B=...}, or diameters=none for the usual Voronoi cells" in error
    assert "--cutoff" not in error
    for given in ("{A=1.0,B=0.9}", "none"):
        words = ("describe", store, f"v{given[0]}=voronoi:diameters={given}".replace("{=", "own="), *ARGS)
        code, _, error = run(monkeypatch, capsys, *words)
        assert code == 0, error


def test_a_store_is_no_file(tmp_path, store):
    with pytest.raises(FormatError, match=r"s 1\.zarr: is a store already: use it as it is, or write it as a file"):
        gd.ingest(store, tmp_path / "x.zarr")


def test_options_that_change_nothing_are_told(monkeypatch, capsys, tmp_path, store):
    file = gd.export(liquid().drop_vars("time").assign(step=("frame", np.arange(4))), tmp_path / "a.lammpstrj").path
    target = tmp_path / "x.zarr"
    assert run(monkeypatch, capsys, "ingest", file, "-o", target, *ARGS)[0] == 0
    code, out, _ = run(monkeypatch, capsys, "ingest", file, "-o", target, "--append", "--dt", "0.5", *ARGS)
    assert (code, "was read before, with dt not given, now 0.5: --overwrite reads anew" in out) == (0, True)
    assert "time" not in gd.open_trajectory(target)
    assert "read before" not in run(monkeypatch, capsys, "ingest", file, "-o", target, "--append", *ARGS)[1]
    assert run(monkeypatch, capsys, "ingest", file, "-o", target, "--overwrite", "--dt", "0.5", *ARGS)[0] == 0
    assert gd.open_trajectory(target)["time"].values.tolist() == [0, 0.5, 1, 1.5]


def test_a_time_twice_is_named_and_the_advice_works():
    walk = liquid(5).assign_coords(time=("frame", [0.0, 1.0, 1.0, 2.0, 3.0]))
    with pytest.raises(SchemaError, match=r"frames 1 and 2 have the same time 1: keep one of them") as caught:
        gd.dynamics.mean_square_displacement(walk)
    advice = str(caught.value).partition(", as ")[2].partition(" does")[0]
    kept = eval(advice, {"np": np, "trajectory": walk})
    assert kept["time"].values.tolist() == [0, 1, 2, 3]
    found = gd.dynamics.mean_square_displacement(kept, lags=[1.0])["msd_total"]
    path = gd.dynamics.unwrapped(walk).values[[0, 1, 3, 4]]
    assert float(found[0]) == pytest.approx((np.diff(path, axis=0) ** 2).sum(axis=-1).mean())


def test_arrays_of_any_make(tmp_path):
    """Lazy ones are computed; those whose labels say another order than is meant are refused."""
    import dask.array as da
    import pandas as pd
    import xarray as xr

    rng = np.random.default_rng(1)
    path = np.cumsum(rng.normal(scale=2.0, size=(4, 40, 3)), axis=0)
    names = ["A"] * 20 + ["B"] * 20
    expected = gd.from_arrays(path, species=names, box=[5.0] * 3)
    assert "image" in expected
    lazy = da.from_array(path, chunks=((3, 1), (7, 33), (1, 2)))
    text = np.array(names, dtype=np.dtypes.StringDType())
    for position in (lazy, xr.DataArray(lazy), xr.DataArray(path, dims=("frame", "particle", "space"))):
        found = gd.from_arrays(position, species=text, box=da.from_array(np.full(3, 5.0)))
        xr.testing.assert_identical(found.drop_attrs(), expected.drop_attrs())
    turned = expected["position"].transpose("particle", "frame", "space")
    with pytest.raises(SchemaError, match=r"expected \('frame', 'particle', 'space'\): say \.transpose\('frame', "):
        gd.from_arrays(turned[:4], species=names, box=[5.0] * 3)
    table = pd.DataFrame(path[0][:, [1, 0, 2]], columns=["y", "x", "z"])
    with pytest.raises(SchemaError, match=r"the columns of position are y x z: say \[\['x', 'y', 'z'\]\]"):
        gd.from_arrays(table, species=names, box=[5.0] * 3)
    found = gd.from_arrays(table[["x", "y", "z"]], species=names, box=[5.0] * 3)
    np.testing.assert_array_equal(found["position"][0], expected["position"][0])


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.filterwarnings("ignore::Warning")
def test_stores_of_xarray_are_told_and_left_alone(monkeypatch, capsys, tmp_path, zarr_format):
    import xarray as xr

    other = tmp_path / "other.zarr"
    liquid().to_zarr(other, zarr_format=zarr_format)
    before = {file: file.read_bytes() for file in sorted(other.rglob("*")) if file.is_file()}
    for words in (("info",), ("describe", "bo:cutoffs=1.4"), ("verify",), ("repair",), ("ingest", "-o", "x.zarr")):
        code, _, error = run(monkeypatch, capsys, words[0], other, *words[1:])
        assert code == 1, words
        assert f"{other}: is a Zarr store that glassdask has not written: open it with xarray.open_zarr" in error
        assert "\n" not in error.strip()
    assert {file: file.read_bytes() for file in sorted(other.rglob("*")) if file.is_file()} == before
    gd.save_trajectory(xr.open_zarr(other), tmp_path / "ours.zarr")
    assert verify(tmp_path / "ours.zarr") == []
    np.testing.assert_array_equal(gd.open_trajectory(tmp_path / "ours.zarr")["position"], liquid()["position"])


@pytest.mark.parametrize("frames", ["::0", "1:x", "a"])
def test_frames_that_are_none(monkeypatch, capsys, tmp_path, store, frames):
    code, _, error = run(monkeypatch, capsys, "export", store, "-o", tmp_path / "x.extxyz", "--frames", frames)
    assert (code, "\n" in error.strip(), "frames" in error) == (1, False, True)
    assert not (tmp_path / "x.extxyz").exists()


def test_images_that_are_not_kept_are_not_said_to_be_read(tmp_path):
    file = tmp_path / "a.extxyz"
    head = 'Lattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3:q:R:1'
    for far, kept in (("1", False), ("7", True)):
        file.write_text(f"1\n{head}\nA 1 1 1 9\n1\n{head}\nA {far} 1 1 9\n")
        (note,) = gd.ingest(file, tmp_path / "x.zarr", overwrite=True).notes[-1:]
        assert (note, "image" in gd.open_trajectory(tmp_path / "x.zarr")) == (
            "read: position species; not kept: q",
            kept,
        )


def test_names_of_results_are_one_part(monkeypatch, capsys, store):
    """What lies deeper is neither listed nor drawn."""
    assert run(monkeypatch, capsys, "describe", store, "bo:cutoffs=1.4", *ARGS)[0] == 0
    for words in (("reduce", "bo", "--name", "a/b"), ("classify", "bo", "--name", "a/b"), ("dynamics", "a/b=msd")):
        code, _, error = run(monkeypatch, capsys, words[0], store, *words[1:], *ARGS)
        assert (code, "'a/b' cannot name one part of a store: leave out the '/', as in a_b" in error) == (1, True)
    reduced = gd.reduce(gd.open_descriptors(store, ["bo"])["bo"], n_components=1)
    with pytest.raises(StoreError, match="leave out the '/', as in a_b"):
        gd.save_reduction(reduced, store, "a/b")
    assert not (store / "reductions").exists()


def test_no_species_is_not_all_of_them(monkeypatch, capsys, store):
    """As where a variable of the shell is empty."""
    code, _, error = run(monkeypatch, capsys, "describe", store, "bo:cutoffs=1.4", "--centers", "", *ARGS)
    assert (code, "expected some of the species A, B" in error) == (1, True)
