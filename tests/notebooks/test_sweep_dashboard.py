"""The dashboard without a browser: choices, linked selection, refreshing, messages."""

from __future__ import annotations

import asyncio
import html
import shutil

import numpy as np
import pytest

pytest.importorskip("panel", reason="needs the extra 'notebooks'")
pytest.importorskip("datashader", reason="needs the extra 'notebooks'")
import holoviews as hv
import sweep_dashboard
from sweep_dashboard import Dashboard
from sweep_style import SHOWN, heading, problem, stage_bars, table_of
from sweep_workers import workers

from tests.notebooks.sweeps import DIFFUSION, make


@pytest.fixture
def dashboard(sweep_store):
    return Dashboard(str(sweep_store))


def plane(dashboard):
    """The values of the density that is shown."""
    return dashboard.plane().object[()].get(0).dimension_values("p", flat=False)


def sliced(dashboard):
    """The particles that are shown."""
    return dashboard.slice().object[()].data


@pytest.mark.slow
def test_a_temperature_leads_to_its_state(dashboard):
    dashboard.model = "slow"
    assert dashboard.param.temperature.objects == [0.5, 0.7, 1.0]
    dashboard.temperature = 1.0
    assert dashboard.state == "slow/T=1.0000"
    before = plane(dashboard)
    dashboard.temperature = 0.5
    assert dashboard.shown[0] == dashboard.state == "slow/T=0.5000"
    after = plane(dashboard)
    assert before.shape != after.shape or not np.array_equal(before, after, equal_nan=True)
    dashboard.model = "fast"
    assert dashboard.state == "fast/T=0.5000"


def test_sliders_follow_the_state(dashboard):
    import panel as pn

    (frame,) = dashboard._body.select(pn.widgets.IntSlider)
    (height,) = dashboard._body.select(pn.widgets.FloatSlider)
    assert (frame.start, frame.end) == (0, 59)
    assert (height.start, height.end, height.value) == (0.0, 6.0, 3.0)


def test_a_damaged_chunk_is_told(sweep_store, tmp_path):
    store = shutil.copytree(sweep_store.parent, tmp_path / "moved") / sweep_store.name
    for chunk in (store.parent / "fast-T=0.5.zarr" / "reductions" / "sbo" / "projection" / "c").rglob("0"):
        if chunk.is_file():
            chunk.write_bytes(chunk.read_bytes()[:-9])
    assert "sbo" in Dashboard(str(store)).plane().object


def test_a_click_on_a_cell_goes_there(dashboard):
    dashboard._go("slow", "1")
    assert dashboard.state == "slow/T=1.0000"


def test_a_box_selects_its_particles(dashboard):
    assert (sliced(dashboard)["kind"] != "in the box").all()
    everything = (-10.0, -10.0, 10.0, 10.0)
    dashboard.box = everything
    shown = sliced(dashboard)
    assert (shown["kind"] == "in the box").sum() == (shown["species"] == "B").sum() > 0
    dashboard.box = (0.0, -10.0, 10.0, 10.0)
    shown = sliced(dashboard)
    right = shown[shown["kind"] == "in the box"]
    assert 0 < len(right) < (shown["species"] == "B").sum()
    assert (right["X1"] > 0).all()
    dashboard.frame = 7
    assert not sliced(dashboard)["x"].equals(shown["x"])


def test_relaxation_times_are_drawn(dashboard):
    overlay = dashboard.relaxation().object
    drawn = {
        (float(x), float(y)) for curve in overlay.values() if isinstance(curve, hv.Curve) for x, y in curve.data.values
    }
    assert len(drawn) == len(DIFFUSION)
    for x, tau in drawn:
        assert any(tau == pytest.approx(1 / (49.0 * d), rel=0.05) and x == 1 / t for (_, t), d in DIFFUSION.items())


def test_a_failed_state_says_so(dashboard):
    assert "SpeciesError" in dashboard._failures.object
    assert "1 failed" in dashboard._head.object
    dashboard.model, dashboard.temperature = "slow", 0.7
    assert dashboard.shown == ("slow/T=0.7000", "sbo", None)
    assert "No principal components of slow/T=0.7000" in dashboard.plane().object


def test_a_sweep_that_begins_later_appears(sweep_store, tmp_path):
    sweep_store = shutil.copytree(sweep_store.parent, tmp_path / "moved") / sweep_store.name
    late = sweep_store.with_name("late.zarr")
    dashboard = Dashboard(str(late))
    assert "no sweep" in dashboard._head.object
    assert "looks again" in dashboard._head.object
    asyncio.run(dashboard.refresh())
    assert dashboard.table is None
    # begun: described, nothing done
    (late / ".sweep").mkdir(parents=True)
    shutil.copy(sweep_store / ".sweep" / "sweep.json", late / ".sweep")
    asyncio.run(dashboard.refresh())
    assert (dashboard.table["describe"] == "absent").all()
    assert "No relaxation time yet" in dashboard.relaxation().object
    assert "No principal components yet" in dashboard.variance().object
    shutil.copytree(sweep_store, late, dirs_exist_ok=True)
    chosen = dashboard.state
    asyncio.run(dashboard.refresh())
    assert dashboard.state == chosen
    assert np.nansum(plane(dashboard)) > 0
    assert "1 failed" in dashboard._head.object


def test_nothing_is_drawn_again_when_nothing_changed(dashboard):
    changed = []
    dashboard.param.watch(changed.append, ["table", "numbers", "shown", "state"])
    asyncio.run(dashboard.refresh())
    assert not changed


def test_text_of_others_is_no_html(dashboard):
    import pandas as pd

    evil = "<script>alert(1)</script>"
    failed = pd.DataFrame({"state": [evil] * (SHOWN + 3), "stage": "describe", "error": evil})
    for text in (table_of(failed), heading(evil, ""), problem(evil)):
        assert "<script>" not in text
        assert html.escape(evil) in text
    assert "and 3 more" in table_of(failed)


def test_names_of_stages_are_no_html():
    import pandas as pd

    evil = "<script>alert(1)</script>"
    table = pd.DataFrame({evil: ["complete"], f"{evil}_fraction": [1.0]})
    table.attrs = {"stages": [evil], "runs": [{"host": evil, "pid": 1, "user": evil}]}
    assert "<script>" not in stage_bars(table)


@pytest.mark.slow
def test_without_dynamics_all_else_is_shown(tmp_path):
    """Independent configurations have no relaxation time; everything else of the sweep is there to be seen."""
    import dask

    with dask.config.set(scheduler="synchronous"):
        store = make(tmp_path, broken=False, more="dynamics = false\n")
    dashboard = Dashboard(str(store))
    assert "problem" not in dashboard._head.object
    assert "No relaxation time" in dashboard.relaxation().object
    assert np.nansum(plane(dashboard)) > 0
    assert isinstance(dashboard.variance().object, hv.Overlay)


def test_the_page_refuses_to_be_open_to_all(sweep_store, monkeypatch):
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
    for worker in two_workers.scheduler_info(n_workers=-1)["workers"]:
        assert worker in shown
    import sweep_workers

    sweep_workers._client(address).close()
    sweep_workers._client.cache_clear()


def test_no_scheduler_is_no_error():
    assert "problem" in workers("tcp://127.0.0.1:9")
