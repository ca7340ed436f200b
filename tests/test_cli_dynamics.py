"""`glassdask dynamics`: what is stored is what the functions give; defaults are told, errors come before any work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import dynamics
from glassdask.descriptors.registry import parse
from glassdask.dynamics import fluctuations, quantities
from glassdask.errors import ParameterError, StoreError
from glassdask.plotting import curves
from glassdask.store.derived import derive
from tests.dynamics.test_fluctuations import as_trajectory
from tests.test_cli import ARGS, run


@pytest.fixture
def store(tmp_path):
    rng = np.random.default_rng(5)
    cells = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(1, 216, 3) + 0.5
    path = cells + np.cumsum(rng.normal(scale=0.07, size=(24, 216, 3)), axis=0)
    t = as_trajectory(path, species=np.where(np.arange(216) % 4, "A", "B"), length=6.0)
    gd.save_trajectory(t.assign(velocity=(t["position"].dims, rng.normal(size=path.shape))), tmp_path / "s.zarr")
    return tmp_path / "s.zarr"


def test_quantities_are_stored_and_drawn(monkeypatch, capsys, store, tmp_path):
    wanted = ("chi4", "fs:k=7.2", "s4:lag=4.0,a=0.25", "chi4:name='caged',a=0.3,cage=1.4", "f:k=7.2,lags=[1.0,4.0]")
    code, out, told = run(monkeypatch, capsys, "dynamics", store, *wanted, *ARGS)
    assert code == 0
    assert "chi4: a=0.3" in told
    lines = out.splitlines()
    assert [line.split("reductions/")[1].split(",")[0] for line in lines] == ["chi4", "fs", "s4", "caged", "f"]
    assert "chi4_total is largest at the lag" in lines[0]
    t = gd.open_trajectory(store)
    for name, expected in {
        "chi4": dynamics.dynamic_susceptibility(t, a=0.3),
        "fs": dynamics.self_intermediate_scattering(t, k=7.2),
        "s4": dynamics.four_point(t, lag=4.0, a=0.25),
        "caged": dynamics.dynamic_susceptibility(t, a=0.3, cage=1.4),
        "f": dynamics.intermediate_scattering(t, k=7.2, lags=[1.0, 4.0]),
    }.items():
        found = gd.open_reduction(store, name)
        assert set(found) == set(expected)
        for variable in expected:
            np.testing.assert_allclose(found[variable], expected[variable])
        figure = tmp_path / f"{name}.png"
        assert run(monkeypatch, capsys, "plot", store, name, "--output", figure)[0] == 0
        assert figure.read_bytes().startswith(b"\x89PNG")
    with open(tmp_path / "fs.csv") as table:
        assert table.readline().strip() == "lag,fs A,fs B,fs_total all"
    info = gd.store.info(store)["reductions"]["chi4"]["parameters"]
    assert info == {"quantity": "chi4", "a": 0.3}

    # the same again is there already; other parameters are refused unless they replace it
    def never(*_, **__):
        raise AssertionError("computed again")

    with monkeypatch.context() as changed:
        changed.setitem(quantities.QUANTITIES, "fs", dynamics.self_intermediate_scattering)
        changed.setattr(quantities, "measure", never)
        assert run(monkeypatch, capsys, "dynamics", store, "fs:k=7.2", *ARGS)[0] == 0
    code, _, error = run(monkeypatch, capsys, "dynamics", store, "fs:k=5.0", *ARGS)
    assert code == 1
    assert "overwrite" in error
    assert run(monkeypatch, capsys, "dynamics", store, "fs:k=5.0", "--overwrite", *ARGS)[0] == 0


def test_diffusion_is_told(monkeypatch, capsys, store):
    """Of random walks D = sigma^2 / 2, as text and as JSON."""
    code, out, _ = run(monkeypatch, capsys, "dynamics", store, "msd", *ARGS)
    assert code == 0
    expected = dynamics.diffusion_coefficient(dynamics.mean_square_displacement(gd.open_trajectory(store)))
    D, error = float(expected["diffusion_total"]), float(expected["diffusion_total_error"])
    assert pytest.approx(0.07**2 / 2, rel=0.2) == D
    assert f", D = {D:.3g} +- {error:.2g}" in out
    out = run(monkeypatch, capsys, "dynamics", store, "msd", "--json", *ARGS)[1]
    assert json.loads(out)["msd"]["found"]["diffusion_total"] == pytest.approx(D)


def test_every_quantity_has_what_it_needs(store):
    t = gd.open_trajectory(store)
    peak = fluctuations.dynamic_susceptibility(t, a=0.3)["chi4_total"]
    for name in quantities.QUANTITIES:
        without = ("s4", "strings", "clusters", "spectrum", "skw", "hops")
        given = {"lags": [1.0, 4.0]} if name not in without else {}
        given |= {"model": "kob_andersen"} if name == "stress" else {"cutoffs": 1.4} if name == "d2min" else {}
        given |= {"cutoffs": 1.4} if name == "cb" else {"r_max": 2.0} if name == "van_hove" else {}
        parameters = quantities.completed(name, given, t)
        if "lag" in parameters:
            assert parameters["lag"] == float(peak["lag"][peak.argmax("lag")])
        drawn, table = curves(quantities.measure(name, parameters, t))
        assert len(table) > 1
        assert drawn.axes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chi5", "unknown quantity 'chi5': known are msd, "),
        ("chi4:b=1", "chi4: unknown parameter 'b': known are a, k, "),
        ("fs:k=-1", "k: expected a positive"),
        ("fs:k=", "write name:parameter=value"),
        ("f:k=7,8", "such as f:k=[7,8]"),
        ("fs:name='../x'", "cannot name a part of a store"),
        ("strings:trajectory='x'", "unknown parameter 'trajectory'"),
        ("fs:origins=true", "fs.origins: expected int, found True"),
        ("fs:origins=10.5", "fs.origins: expected int, found 10.5"),
        ("fs:k='7'", "fs.k: expected float, found '7'"),
        ("fs:remove_drift=1", "fs.remove_drift: expected bool, found 1"),
    ],
)
def test_slips(monkeypatch, capsys, store, text, message):
    code, _, error = run(monkeypatch, capsys, "dynamics", store, text, *ARGS)
    assert code == 1
    assert message in error
    assert "\n" not in error.strip()


def test_what_everybody_looks_at_is_measured_where_nothing_is_asked_for(monkeypatch, capsys, store):
    code, out, told = run(monkeypatch, capsys, "dynamics", store, *ARGS)
    assert code == 0, told
    lines = out.splitlines()
    assert [line.split("reductions/")[1].split(",")[0] for line in lines] == ["msd", "fs", "chi4"]
    fs = gd.open_reduction(store, "fs").load()
    tau = float(dynamics.relaxation_time(fs.sel(lag=fs["lag"] > 0))["tau_total"])
    assert f"reductions/fs, tau_alpha = {tau:.4g}" in lines[1]


def test_stress_without_model_or_velocities_is_told_as_one_types_it(monkeypatch, capsys, store):
    code, _, error = run(monkeypatch, capsys, "dynamics", store, "stress", *ARGS)
    assert code == 1
    assert "give the model, stress:model='kob_andersen' at the prompt" in error
    still = gd.open_trajectory(store).drop_vars("velocity")
    gd.save_trajectory(still, store.parent / "still.zarr")
    code, _, error = run(monkeypatch, capsys, "dynamics", store.parent / "still.zarr", "vacf", *ARGS)
    assert code == 1
    assert "write velocities into the files that are ingested; in Python also" in error


def test_the_line_that_the_notebook_shows():
    text = (Path(__file__).parents[1] / "notebooks/dynamic_heterogeneity.ipynb").read_text()
    (line,) = re.findall(r"`glassdask dynamics STORE ([^`]+)`", text)
    found = quantities.named(map(parse, line.split()))
    assert found["msd"] == ("msd", {"scheme": "toroidal"})
    assert {"displacement", "spectrum", "hops", "chi4", "s4"} < {*found}


def test_two_of_one_name(monkeypatch, capsys, store):
    code, _, error = run(monkeypatch, capsys, "dynamics", store, "fs:k=1.0", "fs:k=2.0", *ARGS)
    assert code == 1
    assert "fs is asked for twice" in error


def test_nothing_to_draw():
    with pytest.raises(ParameterError, match="nothing to draw"):
        curves(xr.Dataset({"tau": 1.0}))


def test_what_curves_run_over():
    """F(k, t) is a line in time for each k, S(k, omega) one in omega; a single lag is a point, nothing is no plot."""
    k, t = [3.0, 6.5], np.geomspace(1, 100, 5)
    found = xr.Dataset(
        {
            "f_total": (("k", "lag"), np.ones((2, 5))), "skw_total": (("k", "omega"), np.ones((2, 3))),
            "empty": ("lag", np.full(5, np.nan)),
        },
        coords={"k": k, "lag": t, "omega": np.arange(3.0)},
    )  # fmt: skip
    drawn, table = curves(found)
    assert [ax.get_xlabel() for ax in drawn.axes] == ["$t$", r"$\omega$"]
    assert [line.get_label() for line in drawn.axes[0].lines] == ["all $k$ = 3", "all $k$ = 6.5"]
    assert len(table["lag"]) == 5
    drawn, _ = curves(found[["f_total"]].isel(lag=[2]))
    assert drawn.axes[0].lines[0].get_marker() == "o"


def test_structure_is_stored_as_sweeps_do(monkeypatch, capsys, store, tmp_path):
    code, out, error = run(monkeypatch, capsys, "structure", store, "-q", *ARGS)
    assert code == 0, error
    assert "S(k) is largest at k = " in out
    found, t = gd.open_reduction(store, "structure"), gd.open_trajectory(store)
    np.testing.assert_allclose(found["g_total"], gd.radial_distribution(t, n_bins=300)["g_total"])
    k_max = 4 * np.pi  # over the mean spacing, 1
    np.testing.assert_allclose(found["S_total"], gd.structure_factor(t, k_max=k_max)["S_total"])
    assert run(monkeypatch, capsys, "plot", store, "g", "-o", tmp_path / "g.png")[0] == 0
    (tmp_path / "s.toml").write_text(
        f"[[runs]]\nmodel = 'm'\ntemperature = 1\ntrajectories = '{store}'\n[correlate]\nk = 7\n"
    )
    before = {file: file.stat().st_mtime_ns for file in (store / "reductions/structure").rglob("*") if file.is_file()}
    assert run(monkeypatch, capsys, "sweep", "run", tmp_path / "s.toml", "--cluster", "threads", "-q")[0] == 0
    assert before == {file: file.stat().st_mtime_ns for file in before}


def test_words_of_the_shell_are_told_in_python():
    with pytest.raises(AttributeError, match="did you mean 'mean_square_displacement'"):
        _ = gd.dynamics.msd
    with pytest.raises(AttributeError, match="there are open_descriptors, open_reduction, open_trajectory"):
        _ = gd.open


def test_of_tracks_those_that_stay_are_followed(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = np.cumsum(np.random.default_rng(8).normal(scale=0.1, size=(6, 20, 2)), axis=0) + 20.0
    rows = [f"{f},{i},{x},{y}" for f, frame in enumerate(path) for i, (x, y) in enumerate(frame) if (f, i) != (3, 4)]
    Path("tracks.csv").write_text("\n".join(["frame,particle,x,y", *rows]))
    arguments = ("tracks.csv", "-o", "t.zarr", "--periodic", "none", "--dt", "0.1")
    assert run(monkeypatch, capsys, "ingest", *arguments, "--quiet")[0] == 0
    code, out, error = run(monkeypatch, capsys, "dynamics", "t.zarr", "msd", "--quiet")
    assert code == 0, error
    assert "of the 19 particles that are in every frame, of 20" in out + error
    found = gd.open_reduction("t.zarr", "msd")["msd_total"].load()
    moved = np.delete(path, 4, axis=1)
    np.testing.assert_allclose(found[-1], ((moved[5] - moved[0]) ** 2).sum(axis=-1).mean(), rtol=1e-5)


def test_true_is_not_one_where_results_are_stored(store):
    """Python says that they are equal; 7 and 7.0 are the same number."""
    made = xr.Dataset({"msd": ("lag", [1.0])}, coords={"lag": [1.0]})

    def derived(**parameters):
        return derive(store, "typed", lambda: made, quantities.code_of("msd"), parameters)

    assert derived(origins=1, k=7)
    assert not derived(origins=1, k=7.0)
    with pytest.raises(StoreError, match="data of other input, parameters or code"):
        derived(origins=True, k=7)
