"""The dashboard without a browser: choices, linked selection, refreshing, files, messages."""

from __future__ import annotations

import asyncio
import html
import io
import shutil

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("panel", reason="needs the extra 'notebooks'")
pytest.importorskip("datashader", reason="needs the extra 'notebooks'")
import panel as pn
import sweep_dashboard
from dashboard import charts, page, style
from dashboard.workers import logs, workers
from sweep_dashboard import Dashboard

from tests.notebooks.sweeps import DIFFUSION, WAVE_NUMBER, make

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def dashboard(sweep_store):
    return Dashboard(str(sweep_store))


@pytest.fixture
def explorer(dashboard):
    dashboard.tab = "particles"
    return dashboard.explorer


def image(explorer):
    """The density that is shown."""
    (found,) = [r for r in explorer._plane[0].object.renderers if type(r.glyph).__name__ == "Image"]
    return found.data_source.data["image"][0]


def test_a_temperature_leads_to_its_state(dashboard, explorer):
    dashboard.model = "slow"
    assert dashboard.param.temperature.objects == [0.5, 0.7, 1.0]
    dashboard.temperature = 1.0
    assert dashboard.state == explorer.state == "slow/T=1.0000"
    before = image(explorer)
    dashboard.temperature = 0.5
    assert dashboard.state == explorer.state == "slow/T=0.5000"
    after = image(explorer)
    assert before.shape != after.shape or not np.array_equal(before, after, equal_nan=True)
    dashboard.model = "fast"
    assert explorer.state == "fast/T=0.5000"


def test_sliders_follow_the_state(explorer):
    (frame,) = explorer.view.select(pn.widgets.IntSlider)
    (height,) = explorer.view.select(pn.widgets.FloatSlider)
    assert (frame.start, frame.end) == (0, 59)
    assert (height.start, height.end, height.value) == (0.0, 6.0, 3.0)


def test_a_damaged_chunk_is_told(sweep_store, tmp_path):
    store = shutil.copytree(sweep_store.parent, tmp_path / "moved") / sweep_store.name
    for chunk in (store.parent / "fast-T=0.5.zarr" / "reductions" / "sbo" / "projection" / "c").rglob("0"):
        if chunk.is_file():
            chunk.write_bytes(chunk.read_bytes()[:-9])
    dashboard = Dashboard(str(store))
    dashboard.tab = "particles"
    for part in (dashboard.explorer._plane, dashboard.explorer._particles):
        assert "sbo" in part[0].object


def test_a_click_on_a_cell_goes_there(dashboard):
    # of the second model, the third temperature, the second stage
    figure = dashboard._grids[1][0].object
    source = figure.renderers[0].data_source
    k = list(zip(source.data["temperature"], source.data["stage"])).index(("1", "reduce"))
    source.selected.indices = [k]
    assert (dashboard.state, dashboard.tab) == ("slow/T=1.0000", "particles")
    assert dashboard._tabs.active == page.TABS.index("particles")
    assert dashboard.explorer.state == "slow/T=1.0000"


def test_a_box_in_the_plane_selects_its_particles(explorer):
    assert explorer.selected == ()
    explorer.box = (-10.0, -10.0, 10.0, 10.0)
    assert len(explorer.selected) == 100  # all that are described
    assert "100 of 100" in explorer.told.object
    explorer.box = (0.0, -10.0, 10.0, 10.0)
    x1 = explorer.snapshot.plane[0]
    assert explorer.selected == tuple(np.flatnonzero(x1 >= 0.0))
    discs = explorer._discs
    chosen = discs.data["particle"][discs.selected.indices]
    assert set(chosen) == set(explorer.selected) & set(discs.data["particle"])
    np.testing.assert_array_equal(explorer._points.data["x"], x1[list(explorer.selected)])
    # the box stays when the frame changes, and selects others
    before = explorer.selected
    explorer.frame = 7
    assert explorer.selected == tuple(np.flatnonzero(explorer.snapshot.plane[0] >= 0.0)) != before
    explorer.box = None
    assert explorer.selected == ()


def test_particles_that_are_selected_are_highlighted_in_the_plane_and_stay_the_same(explorer):
    discs = explorer._discs
    described = np.flatnonzero(discs.data["species"] == "B")[:2]
    discs.selected.indices = described.tolist()
    numbers = tuple(discs.data["particle"][described].tolist())
    assert explorer.selected == numbers
    np.testing.assert_array_equal(explorer._points.data["y"], explorer.snapshot.plane[1][list(numbers)])
    explorer.frame = 5
    assert explorer.selected == numbers
    np.testing.assert_array_equal(explorer._points.data["y"], explorer.snapshot.plane[1][list(numbers)])
    explorer.shape = "in 3-D"
    spheres = explorer._particles[0].object
    np.testing.assert_array_equal(spheres.data[-1].x, explorer.snapshot.position[list(numbers), 0])
    # a click on a sphere
    explorer._particles[0].click_data = {"points": [{"curveNumber": 1, "pointNumber": 4}]}
    b = np.flatnonzero(explorer.snapshot.species == "B")
    assert explorer.selected == (b[4],)
    for colour in explorer.param.colour.objects[:3]:
        explorer.colour = colour
        assert explorer.selected == (b[4],)


def test_curves_of_all_temperatures(dashboard):
    for tab in ("structure", "dynamics", "temperature"):
        dashboard.tab = tab
    pairs, modes = dashboard._charts["structure"]
    assert (pairs.y, modes.y) == ("g(r)", "S(k)")
    assert [line.value for line in pairs.lines] == [0.5, 1.0]
    found = {chart.title: chart for chart in dashboard._charts["dynamics"]}
    fs = found["self-intermediate scattering"]
    for line in fs.lines:
        d = DIFFUSION["fast", line.value]
        early = line.x < 5
        np.testing.assert_allclose(line.y[early], np.exp(-(WAVE_NUMBER**2) * d * line.x[early]), atol=0.05)
        assert np.isfinite(line.error).any()
    assert found["chi4"].lines[0].x.tolist() == [1.0, 4.0, 16.0]
    tau, law, evr, energies = dashboard._charts["temperature"]
    drawn = {(line.label, float(x)): y for line in tau.lines for x, y in zip(line.x, line.y)}
    assert len(drawn) == len(DIFFUSION)
    for (model, t), d in DIFFUSION.items():
        assert drawn[model, 1 / t] == pytest.approx(1 / (WAVE_NUMBER**2 * d), rel=0.05)
    # free particles: D tau = 1 / k^2 of all
    values = np.concatenate([line.y for line in law.lines])
    assert len(values) == len(DIFFUSION)
    np.testing.assert_allclose(values, 1 / WAVE_NUMBER**2, rtol=0.3)
    assert len(evr.lines) == 4
    assert energies.lines == ()
    assert "inherent = true" in energies.nothing


def test_files(dashboard, explorer):
    dashboard.tab = "temperature"
    table = pd.read_csv(io.StringIO(charts.csv(dashboard._charts["temperature"])))
    assert list(table) == ["plot", "line", "x", "y", "error"]
    assert (table["plot"] == "relaxation time").sum() == 4
    buttons = dashboard._page.select(pn.widgets.FileDownload)
    assert sorted({button.label for button in buttons}) == ["CSV", "PNG", "SVG"]
    begins = {"PNG": b"\x89PNG", "SVG": b"<?xml"}
    for button in buttons[-6:]:
        content = button.callback().getvalue()
        if button.label in begins:
            assert content.startswith(begins[button.label]) or not explorer.version
    explorer.box = (0.0, -10.0, 10.0, 10.0)
    particles = pd.read_csv(explorer.table())
    assert len(particles) == 300
    assert particles["selected"].sum() == len(explorer.selected) > 0


def test_a_view_is_kept_and_shown_again(dashboard, sweep_store):
    dashboard.go("slow", 1.0)
    view = dashboard.view()
    other = Dashboard(str(sweep_store))
    other.param.update(**view)
    assert other.view() == view
    assert other.explorer.state == "slow/T=1.0000"


def test_two_states_beside_each_other(dashboard):
    dashboard.other = "slow/T=0.5000"
    dashboard.tab = "compare"
    left, right = dashboard._pair
    assert (left.state, right.state) == ("fast/T=0.5000", "slow/T=0.5000")
    ranges = [(e._plane[0].object.x_range.start, e._plane[0].object.y_range.end) for e in dashboard._pair]
    assert ranges[0] == ranges[1]  # planes are compared on the same axes
    assert "τα" in dashboard._facts.object
    dashboard.other = "slow/T=0.7000"
    assert "No principal components of slow/T=0.7000" in right._plane[0].object
    dashboard.other = "slow/T=1.0000"
    assert right.state == "slow/T=1.0000"
    assert np.nansum(image(right)) > 0


def test_a_failed_state_says_so(dashboard, explorer):
    assert "SpeciesError" in dashboard._failures.object
    assert "Traceback" in dashboard._failures.object
    assert "2 failed" in dashboard._head.object
    dashboard.model, dashboard.temperature = "slow", 0.7
    assert "No principal components of slow/T=0.7000" in explorer._plane[0].object
    dashboard.only = "failed"
    assert "SpeciesError" in dashboard._log.object
    assert "complete" not in dashboard._log.object
    dashboard.only = "nobody"
    assert "Nothing has happened" in dashboard._log.object


def test_the_title_is_the_name_of_the_sweep(dashboard, sweep_store):
    assert "<h2>gases</h2>" in dashboard._head.object
    assert str(sweep_store.parent) not in dashboard._head.object


def test_a_sweep_that_begins_later_appears(sweep_store, tmp_path):
    sweep_store = shutil.copytree(sweep_store.parent, tmp_path / "moved") / sweep_store.name
    late = sweep_store.with_name("late.zarr")
    dashboard = Dashboard(str(late))
    assert "Nothing has been run here yet" in dashboard._problem.object
    assert "looks again" in dashboard._problem.object
    asyncio.run(dashboard.refresh())
    assert dashboard.table is None
    # begun: described, nothing done
    (late / ".sweep").mkdir(parents=True)
    shutil.copy(sweep_store / ".sweep" / "sweep.json", late / ".sweep")
    asyncio.run(dashboard.refresh())
    assert dashboard._problem.object == ""
    assert (dashboard.table["describe"] == "absent").all()
    for tab in page.TABS:
        dashboard.tab = tab
    assert all(chart.lines == () for found in dashboard._charts.values() for chart in found)
    dashboard.tab = "temperature"
    assert "No relaxation time yet" in dashboard._charts["temperature"][0].nothing
    shutil.copytree(sweep_store, late, dirs_exist_ok=True)
    chosen = dashboard.state
    asyncio.run(dashboard.refresh())
    assert dashboard.state == chosen
    assert len(dashboard._charts["temperature"][0].lines) == 2
    assert "2 failed" in dashboard._head.object
    dashboard.tab = "particles"
    assert np.nansum(image(dashboard.explorer)) > 0


def test_nothing_is_drawn_again_when_nothing_changed(dashboard, explorer):
    dashboard.tab = "dynamics"
    drawn = [*dashboard._plots["dynamics"], *explorer._plane, *explorer._particles, *dashboard._grids]
    changed = []
    dashboard.param.watch(changed.append, ["table", "numbers", "state"])
    asyncio.run(dashboard.refresh())
    assert not changed
    again = [*dashboard._plots["dynamics"], *explorer._plane, *explorer._particles, *dashboard._grids]
    assert all(a is b for a, b in zip(drawn, again))


def test_text_of_others_is_no_html():
    failed = pd.DataFrame({"state": [EVIL] * (style.SHOWN + 3), "stage": "describe", "error": EVIL})
    happened = pd.DataFrame({"time": "", "state": [EVIL], "stage": EVIL, "status": EVIL, "seconds": None, "host": EVIL,
                             "error": EVIL, "traceback": EVIL})  # fmt: skip
    texts = [
        style.failures_of(failed, {(EVIL, "describe"): EVIL}), style.heading(EVIL, EVIL, "", EVIL), style.problem(EVIL),
        style.log_of(happened), style.nothing(EVIL), style.facts_of({EVIL: EVIL}, {EVIL: EVIL}, (EVIL, EVIL)),
    ]  # fmt: skip
    for text in texts:
        assert "<script>" not in text
        assert html.escape(EVIL) in text
    assert "and 3 more" in texts[0]


def test_names_of_stages_are_no_html():
    row = {"done": 1, "failed": 1, "total": 2, "share": 0.5, "mean": 1.0, "hourly": 1.0, "work": 0.0, "left": 0.0}
    found = style.stage_cards(pd.DataFrame(row, index=[EVIL]), [{"host": EVIL, "pid": 1, "user": EVIL}])
    assert "<script>" not in found


@pytest.mark.slow
def test_without_dynamics_all_else_is_shown(tmp_path):
    """Independent configurations have no relaxation time; everything else of the sweep is there to be seen."""
    import dask

    with dask.config.set(scheduler="synchronous"):
        store = make(tmp_path, broken=False, more="dynamics = false\n")
    dashboard = Dashboard(str(store))
    assert dashboard._problem.object == ""
    for tab in page.TABS:
        dashboard.tab = tab
    assert [len(chart.lines) for chart in dashboard._charts["structure"]] == [2, 2]
    assert dashboard._charts["dynamics"][0].lines == ()
    assert "dynamics = true" in dashboard._charts["dynamics"][0].nothing
    assert [len(chart.lines) for chart in dashboard._charts["temperature"]] == [0, 0, 4, 0]


def test_in_the_dark(sweep_store):
    dashboard = Dashboard(str(sweep_store), theme="dark")
    assert dashboard._page.styles["background"] == style.DARK.page
    dashboard.tab = "structure"
    assert dashboard._plots["structure"][0][0].object.title.text_color == style.DARK.ink


def test_the_page_refuses_to_be_open_to_all(sweep_store):
    assert "expected --args" in sweep_dashboard._page([]).object
    assert isinstance(sweep_dashboard._page([str(sweep_store)]), Dashboard)
    import socket

    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen()
        assert "--address 127.0.0.1" in sweep_dashboard._page([str(sweep_store)]).object


@pytest.mark.cluster
def test_workers_of_a_scheduler(two_workers):
    address = two_workers.scheduler.address
    shown = workers(address)
    assert "workers: 2" in shown
    told = logs(address)
    for worker in two_workers.scheduler_info(n_workers=-1)["workers"]:
        assert worker in shown
        assert worker in told
    from dashboard.workers import _client

    _client(address).close()
    _client.cache_clear()


def test_no_scheduler_is_no_error():
    assert "problem" in workers("tcp://127.0.0.1:9")
