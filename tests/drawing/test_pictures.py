"""Whatever is stored is drawn, with its state and N, in three formats; what is stale or wrong is one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import drawing, plotting
from glassdask.dynamics.quantities import save_quantity
from glassdask.errors import StoreError
from glassdask.sweep import read_sweep, run_sweep
from glassdask.variables import annotated
from tests.sweep.liquids import save_liquid, save_sweep
from tests.test_cli import ARGS, run

STAGES = """
[describe]
[describe.descriptors.bo]
cutoffs = 1.3
l_max = 3
[describe.descriptors.coordination]
cutoffs = 1.3
[reduce]
descriptors = ["bo"]
[correlate]
k = 7.0
"""
HEAD = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A sweep of two temperatures with two seeds; one state has thermodynamics, chi_4 and propensities as well."""
    folder = tmp_path_factory.mktemp("pictures")
    file = save_sweep(folder, temperatures=(), stages=STAGES)
    for number, temperature in enumerate((0.5, 0.6)):
        for seed in range(2):
            save_liquid(folder / f"data/gas/T={temperature}/{seed}.zarr", 10 * number + seed, frames=5)
    run_sweep(file)
    sweep = read_sweep(folder / "sweep.zarr")
    path = sweep.states[0].path
    t = gd.open_trajectory(path)
    save_quantity(path, "chi4", "chi4", {"a": 0.3}, t)
    rng = np.random.default_rng(1)
    lag = [0.1, 1.0]
    r = xr.Dataset(
        {"pearson": (("species", "column", "lag"), rng.random((2, 3, 2))), "particles": ("species", [20, 10])},
        coords={"species": ["A", "B"], "column": ["bo PC1", "bo 1", "bo 2"], "lag": lag},
    ).assign_coords(descriptor=("column", ["bo"] * 3))
    propensity = xr.Dataset(
        {"propensity": (("power", "lag", "particle"), rng.random((2, 2, t.sizes["particle"])), {"units": "length^p"})},
        coords={"power": [1, 2], "lag": lag},
    )
    thermo = xr.Dataset(
        {"temperature": ("sample", rng.random(6))}, coords={"time": ("sample", np.tile([0.0, 1.0, 2.0], 2))}
    )
    for name, dataset in (
        ("propensity", annotated(r)),
        ("isoconfigurational", annotated(propensity)),
        ("thermo", thermo),
    ):
        gd.store.write_dataset(dataset, path, f"reductions/{name}", parameters={})
    return folder / "sweep.zarr", path


def test_everything_that_is_listed_is_drawn(sweep, tmp_path):
    store, path = sweep
    known = drawing.pictures(path)
    assert {"particles", "bo", "structure", "relaxation", "propensity", "isoconfigurational", "thermo", "chi4", "evr",
            "structure/g", "structure/S", "relaxation/fs", "relaxation/msd", "chi4/chi4", "coordination",
            "descriptors/bo"} <= known.keys()  # fmt: skip
    for number, what in enumerate(known):
        drawn, table = drawing.draw(path, what)
        title = drawn.get_suptitle()
        assert "N = 30 (20 A, 10 B), density 1.111" in title, what
        assert table, what
        assert all(np.size(values) for values in table.values()), what
        end = list(HEAD)[number % 3]
        plotting.save(drawn, tmp_path / f"x{end}", table)
        assert (tmp_path / f"x{end}").read_bytes().startswith(HEAD[end]), what
    of_sweep = drawing.sweep_pictures(store)
    assert {"tau", "evr", "propensity", "structure/g", "structure/S", "relaxation/fs", "relaxation/msd",
            "chi4/chi4", "diffusion"} <= of_sweep.keys()  # fmt: skip
    for what in of_sweep:
        drawn, table = drawing.draw_sweep(store, what)
        assert drawn.axes[0].get_title() == "gas, N = 30"
        assert table["gas T"].tolist() == [0.5, 0.6], what


def test_curves_are_those_that_are_stored(sweep):
    store, path = sweep
    found = gd.open_reduction(path, "relaxation")
    drawn, table = drawing.draw(path, "fs")
    np.testing.assert_array_equal(table["fs_total all"], found["fs_total"])
    lines = {line.get_label(): line for line in drawn.axes[0].lines}
    shown = found["fs"].sel(species="A").dropna("lag")
    np.testing.assert_array_equal(lines["A"].get_ydata(), shown[shown["lag"] > 0])
    # over seeds the mean
    g = [gd.open_reduction(state.path, "structure")["g_total"].values for state in read_sweep(store).states
         if state.temperature == 0.5]  # fmt: skip
    assert len(g) == 2
    _, table = drawing.draw_sweep(store, "g")
    np.testing.assert_allclose(table["gas T = 0.5 g"], np.mean(g, axis=0))
    # pairs once, and no line from the end of one run to the begin of the next
    assert [line.get_label() for line in drawing.draw(path, "g")[0].axes[0].lines] == ["A-A", "A-B", "B-B", "all"]
    assert all((np.diff(line.get_xdata()) > 0).all() for line in drawing.draw(path, "thermo")[0].axes[0].lines)


def test_whole_numbers_are_counted(sweep):
    _, path = sweep
    _, table = drawing.draw(path, "coordination")
    z = gd.open_descriptors(path, ["coordination"])["coordination"].load()
    of_a = z.values[:, (z["species"] == "A").values].ravel()
    assert table["p A"].sum() == pytest.approx(1.0)
    assert table["p A"][0] == pytest.approx(np.mean(of_a == of_a.min()))


def test_features_with_names_have_a_distribution_each():
    rng = np.random.default_rng(1)
    plane = gd.from_arrays(rng.random((2, 60, 2)) * 8, species=["A"] * 40 + ["B"] * 20, box=[8.0] * 2)
    drawn, table = gd.plotting.descriptor(gd.describe(plane, gd.Hexatic(cutoffs=2.0))["hexatic"])
    words = [ax.get_xlabel().removeprefix("hexatic: ") for ax in drawn.axes[:3]]
    assert words == ["real", "imaginary", "modulus"]
    assert all(ax.get_ylim()[1] >= line.get_ydata().max() for ax in drawn.axes[:3] for line in ax.lines)
    width = np.diff(table["modulus A"])[0]
    assert np.nansum(table["p(modulus) A"]) * width == pytest.approx(1.0, rel=0.05)


def test_names_with_dots_and_formats(monkeypatch, capsys, sweep, tmp_path):
    _, path = sweep
    for name, picture, table in (
        ("bo_T=0.65", "bo_T=0.65.png", "bo_T=0.65.csv"),
        ("a.b.pdf", "a.b.pdf", "a.b.csv"),
        ("c.SVG", "c.SVG", "c.csv"),
    ):
        code, out, error = run(monkeypatch, capsys, "plot", path, "bo", "-o", tmp_path / name)
        assert code == 0, error
        assert out.strip() == f"{tmp_path / picture} and {tmp_path / table}"
        assert (tmp_path / picture).exists()
        assert (tmp_path / table).exists()
    assert json.loads(run(monkeypatch, capsys, "plot", path, "--json")[1]) == drawing.pictures(path)
    listed = run(monkeypatch, capsys, "plot", path)[1]
    assert f"glassdask plot {path} particles -o picture.png" in listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bo", "-o", "none/x.png"), "none/x.png: there is no folder none: make it first"),
        (("bo", "-o", "x.jpg"), "x.jpg: figures are written as .png, .pdf, .svg"),
        (("bo",), "where to?"),
        (("bo", "-o", "."), "expected the path of a file"),
        (("nothing", "-o", "x.png"), "no reduction, variable or descriptor 'nothing': expected one of particles"),
        (("chi4_total", "-o", "x.png"), "no reduction, variable or descriptor 'chi4_total'"),
        (("particles", "--color", "bo", "-o", "x.png"), "it has 3 numbers: choose one of bo_1, bo_2, bo_3"),
        (("particles", "--frame", "9", "-o", "x.png"), "frame 9 is not there: the trajectory has 5"),
        (("boo", "-o", "x.png"), "did you mean 'bo'?"),
        (("cb", "-o", "x.png"), "measure it first, glassdask dynamics "),
    ],
)
def test_what_cannot_be_drawn_is_one_line(monkeypatch, capsys, sweep, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, error = run(monkeypatch, capsys, "plot", sweep[1], *arguments)
    assert code == 1
    assert message in error
    assert "\n" not in error
    assert not list(tmp_path.iterdir())


def test_sweeps_say_what_they_lack(monkeypatch, capsys, sweep, tmp_path):
    store, _ = sweep
    code, _, error = run(monkeypatch, capsys, "plot", store, "nothing", "-o", tmp_path / "x.png")
    assert code == 1
    assert "no state has 'nothing' yet: expected one of" in error
    code, _, told = run(monkeypatch, capsys, "plot", store, "chi4", "-o", tmp_path / "x.png")
    assert code == 0
    assert "3 of 4 states have no current chi4/chi4, the first is gas/T=0.5000/seed=1" in " ".join(told.split())


def test_nothing_stale_is_drawn(monkeypatch, capsys, tmp_path):
    rng = np.random.default_rng(2)
    store = tmp_path / "s.zarr"
    gd.save_trajectory(gd.from_arrays(rng.random((2, 50, 3)) * 4, species=["A"] * 50, box=[4.0] * 3), store)
    describe = ("describe", store, *ARGS)
    assert run(monkeypatch, capsys, *describe, "bo:cutoffs=1.3")[0] == 0
    assert run(monkeypatch, capsys, "reduce", store, "bo", *ARGS)[0] == 0
    assert run(monkeypatch, capsys, "plot", store, "bo", "-o", tmp_path / "a")[0] == 0
    assert run(monkeypatch, capsys, *describe, "bo:cutoffs=1.2", "--overwrite")[0] == 0
    for what in ("bo", "evr"):
        with pytest.raises(StoreError, match="was computed before descriptors/bo was changed"):
            drawing.draw(store, what)
    code, _, error = run(monkeypatch, capsys, "plot", store, "bo", "-o", tmp_path / "b")
    assert (code, "compute it again with --overwrite" in error) == (1, True)
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize("name", ["caf\udce9.zarr", "cost in $, {_^.zarr"])
def test_names_are_no_formulas(tmp_path, name):
    """Stores and species are called what they are called, also where a name is no UTF-8."""
    x = np.random.default_rng(0).random((1, 20, 3)) * 4
    gd.save_trajectory(gd.from_arrays(x, species=["A$"] * 10 + ["$_B"] * 10, box=[4.0] * 3), tmp_path / name)
    drawn, _ = gd.drawing.draw(tmp_path / name, "particles")
    plotting.save(drawn, tmp_path / "particles.png")
    assert (tmp_path / "particles.png").stat().st_size > 5000
