"""The dashboard as a page, in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.notebooks.browser import MARKS, PROBE, Page, chromium, need

need("panel", "datashader", "selenium")
APP = Path(__file__).parents[2] / "notebooks" / "sweep_dashboard.py"
pytestmark = MARKS


@pytest.fixture(scope="module")
def server(sweep_store):
    command = [sys.executable, "-m", "panel", "serve", str(APP), "--address", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--args", str(sweep_store)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/\w+", line):
                yield found[0]
                break
        else:
            pytest.fail("".join(said))
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield Page(driver, server)


def test_a_temperature_changes_the_plots(page):
    page.open("particles")
    before, place = page.images(), page.figure(0)
    assert page.ask("selects[2].value") == "fast/T=0.5000"
    pixels = page.driver.get_screenshot_as_png()
    page.choose(1, "1.0")
    page.until(lambda: page.ask("selects[2].value") == "fast/T=1.0000" and page.images() not in ([], before))
    assert page.driver.get_screenshot_as_png() != pixels
    # the page is not rearranged, and its address is what is seen
    assert page.figure(0) == pytest.approx(place, abs=3)
    page.until(lambda: "temperature=1.0" in page.driver.current_url)


def test_what_is_selected_in_one_plot_is_seen_in_the_other(page):
    page.open("particles")
    assert re.search(r"\b0 of 100 described particles selected", page.ask("text"))
    page.drag(0, (0.15, 0.25), (0.7, 0.75))
    found = page.until(lambda: re.search(r"\b([1-9]\d*) of 100 described", page.ask("text")))
    discs = "models.filter(m => m.type === 'ColumnDataSource' && m.data.radius).map(m => m.selected.indices.length)"
    points = "models.filter(m => m.glyph && m.glyph.type === 'Scatter').map(m => m.data_source.data.x.length)"
    (in_plane,) = page.ask(points)
    assert in_plane == int(found[1])
    assert 0 < page.ask(discs)[-1] <= in_plane
    # among the particles
    page.drag(1, (0.35, 0.3), (0.6, 0.6))
    page.until(lambda: page.ask(points) not in ([in_plane], [0]))


def test_a_click_on_a_cell_goes_there(page):
    page.open("overview")
    page.until(lambda: page.ask("figures.length") == 2)
    # the last of three temperatures of the second model: the cells are right of the names of the stages
    width = page.figure(1)[2]
    page.drag(1, (1 - (width - 75) / width / 6, 0.4), None)
    page.until(lambda: page.images() and page.ask("selects[2].value") == "slow/T=1.0000")
    page.until(lambda: "tab=particles" in page.driver.current_url)


def test_a_failed_state_is_told(page):
    page.open("overview")
    assert "SpeciesError" in page.ask("text")
    page.open("particles", model="slow", temperature="0.7", state="slow/T=0.7000")
    page.until(lambda: "No principal components of slow/T=0.7000" in page.ask("text"))


def test_the_store_is_read_again_and_again(page):
    page.open("overview")
    first = re.search(r"read \d\d:\d\d:\d\d", page.ask("text"))[0]
    page.until(lambda: first not in page.ask("text"))


@pytest.mark.parametrize("width", [1300, 400])
def test_nothing_overlaps_and_all_fits(page, width):
    for tab, figures in {"overview": 2, "dynamics": 4, "particles": 2}.items():
        page.open(tab, width=width)
        page.until(lambda n=figures: page.ask("figures.length") == n)
        wide, seen = page.ask("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= seen
        boxes = [page.figure(number) for number in range(figures)]
        for k, (left, top, size, height) in enumerate(boxes):
            assert left >= 0
            assert left + size <= seen
            for other_left, other_top, other_width, other_height in boxes[:k]:
                beside = left >= other_left + other_width - 1 or other_left >= left + size - 1
                below = top >= other_top + other_height - 1 or other_top >= top + height - 1
                assert beside or below


def test_no_request_leaves_and_no_script_fails(page):
    """In the dark, with three dimensions, on every tab: nothing is asked of any other machine."""
    page.driver.get_log("performance")
    page.driver.get_log("browser")
    for tab in ("overview", "temperature", "compare", "log"):
        page.open(tab, theme="dark")
    page.open("particles", theme="dark")
    button = "elements.find(e => e.tagName === 'BUTTON' && e.textContent === 'in 3-D')"
    page.driver.execute_script(PROBE + f"{button}.click();")
    page.until(lambda: page.ask("elements.some(e => e.tagName === 'CANVAS' && e.closest('.gl-container'))"))
    asked = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    names = {m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"}
    host = page.url.rsplit("/", 1)[0]
    assert len(names) > 3
    assert [name for name in names if not name.startswith((host, "data:", "blob:"))] == []
    assert [entry for entry in page.driver.get_log("browser") if entry["level"] == "SEVERE"] == []
