"""The dashboard as a page, in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("panel", reason="needs the extra 'notebooks'")
pytest.importorskip("datashader", reason="needs the extra 'notebooks'")
pytest.importorskip("selenium")

APP = Path(__file__).parents[2] / "notebooks" / "sweep_dashboard.py"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on this machine"),
]
WAIT = 90
# everything that is on the page, through all shadow roots, and what the plots hold
PROBE = """
function* deep(root) {
  for (const element of root.querySelectorAll('*')) {
    yield element;
    if (element.shadowRoot) yield* deep(element.shadowRoot);
  }
}
const elements = [...deep(document)];
const selects = elements.filter(e => e.tagName === 'SELECT');
const figures = elements.filter(e => e.classList.contains('bk-Figure'));
const text = elements.filter(e => e.tagName === 'H2' || e.tagName === 'P').map(e => e.textContent).join(' ');
const models = window.Bokeh && Bokeh.documents.length ? [...Bokeh.documents[0]._all_models.values()] : [];
const titles = models.filter(m => m.type === 'Figure' && m.title).map(m => m.title.text);
const images = models.filter(m => m.type === 'GlyphRenderer' && m.glyph.type === 'Image')
  .map(m => [...m.data_source.data.image[0]].filter(v => v === v).reduce((a, b) => a + b * b, 0));
"""


class Page:
    """A browser with the dashboard in it."""

    def __init__(self, driver, url):
        self.driver, self.url = driver, url

    def open(self, width=1400, height=1140):
        self.driver.set_window_size(width, height)
        self.driver.get(self.url)
        self.until(lambda: self.images() and self.title("slice"))

    def ask(self, expression):
        return self.driver.execute_script(PROBE + f"return {expression};")

    def until(self, condition):
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.25)
        raise AssertionError(f"not within {WAIT} s: {self.ask('[text, titles, images]')}")

    def images(self):
        return self.ask("images")

    def title(self, begin):
        return next((title for title in self.ask("titles") if title.startswith(begin)), None)

    def choose(self, number, value):
        """In the selector with this number: model, temperature, state, descriptor."""
        self.driver.execute_script(
            PROBE + "const s = selects[arguments[0]]; s.value = arguments[1]; s.dispatchEvent(new Event('change'));",
            number,
            value,
        )

    def figure(self, from_end):
        """Left, top, width and height of a plot."""
        box = f"figures[figures.length - {from_end}].getBoundingClientRect()"
        return self.ask(f"[{box}.left, {box}.top, {box}.width, {box}.height]")


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
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for name in ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync",
                 "disable-background-networking", "disable-component-update", "disable-dev-shm-usage",
                 f"user-data-dir={tmp_path_factory.mktemp('chromium')}"):  # fmt: skip
        options.add_argument(f"--{name}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        page = Page(driver, server)
        page.open()
        yield page
    finally:
        driver.quit()


def test_a_temperature_changes_the_plots(page):
    before, relaxed = page.images(), page.figure(4)
    assert page.ask("selects[2].value") == "fast/T=0.5000"
    pixels = page.driver.get_screenshot_as_png()
    page.choose(1, "1.0")
    page.until(lambda: page.ask("selects[2].value") == "fast/T=1.0000" and page.images() not in ([], before))
    page.until(lambda: page.title("slice"))
    assert page.driver.get_screenshot_as_png() != pixels
    # the page is not rearranged
    assert page.figure(4) == pytest.approx(relaxed, abs=3)


def test_a_box_in_the_plane_selects_particles(page):
    from selenium.webdriver import ActionChains

    page.open()
    assert re.search(r": 0 of [1-9]\d* particles", page.title("slice"))
    left, top, width, height = page.figure(2)
    actions = ActionChains(page.driver, duration=50)
    actions.w3c_actions.pointer_action.move_to_location(int(left + 0.15 * width), int(top + 0.25 * height))
    actions.click_and_hold().move_by_offset(int(0.55 * width), int(0.5 * height)).release().perform()
    page.until(lambda: re.search(r": [1-9]\d* of \d+ particles", page.title("slice") or ""))
    everything = "models.filter(m => m.type === 'ColumnDataSource' && m.data.kind).map(m => [...m.data.kind]).flat()"
    chosen = page.ask(everything).count("in the box")
    assert page.title("slice").split(": ")[1].startswith(f"{chosen} of")


def test_a_failed_state_is_told(page):
    page.open()
    assert "SpeciesError" in page.ask("elements.filter(e => e.tagName === 'TD').map(e => e.textContent).join(' ')")
    page.choose(0, "slow")
    page.until(lambda: page.ask("selects[2].value") == "slow/T=0.5000")
    page.choose(1, "0.7")
    page.until(lambda: "No principal components of slow/T=0.7000" in page.ask("text"))
    page.choose(1, "0.5")
    page.until(lambda: page.images() and page.title("slice"))


def test_the_store_is_read_again_and_again(page):
    page.open()
    first = page.ask("text")
    assert re.search(r"read \d\d:\d\d:\d\d", first)
    page.until(lambda: page.ask("text") != first)


def test_nothing_overlaps_and_all_fits(page):
    page.open()
    wide, seen = page.ask("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= seen
    boxes = [page.figure(number) for number in range(1, page.ask("figures.length") + 1)]
    assert len(boxes) == 6
    for k, (left, top, width, height) in enumerate(boxes):
        for other_left, other_top, other_width, other_height in boxes[:k]:
            beside = left >= other_left + other_width - 1 or other_left >= left + width - 1
            below = top >= other_top + other_height - 1 or other_top >= top + height - 1
            assert beside or below


def test_everything_comes_from_the_server_and_no_script_fails(page):
    page.open()
    loaded = page.ask("performance.getEntriesByType('resource').map(e => e.name)")
    host = page.url.rsplit("/", 1)[0]
    assert loaded
    assert all(name.startswith((host, "data:", "blob:")) for name in loaded)
    severe = [entry for entry in page.driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert not severe
