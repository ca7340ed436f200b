"""A headless Chromium, and what is asked of a page with the dashboard in it."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MARKS = [
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
const texts = ['H2', 'P', 'TD', 'SPAN', 'B'];
const text = elements.filter(e => texts.includes(e.tagName)).map(e => e.textContent).join(' ');
const models = window.Bokeh ? Bokeh.documents.flatMap(d => [...d._all_models.values()]) : [];
const titles = models.filter(m => m.type === 'Figure' && m.title).map(m => m.title.text);
const images = models.filter(m => m.type === 'GlyphRenderer' && m.glyph.type === 'Image')
  .map(m => [...m.data_source.data.image[0]].filter(v => v === v).reduce((a, b) => a + b * b, 0));
"""


def need(*packages: str) -> None:
    """Skip a module where a package is missing that only processes use which it starts: JupyterLab alone takes three
    seconds to load."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}, which the extra 'notebooks' or 'dev' brings", allow_module_level=True)


class Page:
    """A browser with the dashboard in it."""

    def __init__(self, driver, url):
        self.driver, self.url = driver, url

    def open(self, tab="overview", width=1300, height=1140, **query):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        asked = "&".join(f"{name}={value}" for name, value in {"tab": tab, **query}.items())
        self.driver.get(f"{self.url}?{asked}")
        self.until(lambda: "gases" in self.ask("text"))
        if tab == "particles" and "state" not in query:
            self.until(lambda: self.images() and self.title("|z"))

    def ask(self, expression):
        return self.driver.execute_script(PROBE + f"return {expression};")

    def until(self, condition, wait=WAIT):
        end = time.monotonic() + wait
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.25)
        raise AssertionError(f"not within {wait} s: {self.ask('[text, titles, images]')}")

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

    def figure(self, number):
        """Left, top, width and height of a plot."""
        box = f"figures.at({number}).getBoundingClientRect()"
        return self.ask(f"[{box}.left, {box}.top, {box}.width, {box}.height]")

    def drag(self, number, begin, end):
        """With the mouse from one point of a plot to another, in shares of its width and height."""
        from selenium.webdriver import ActionChains

        left, top, width, height = self.figure(number)
        actions = ActionChains(self.driver, duration=50)
        actions.w3c_actions.pointer_action.move_to_location(
            int(left + begin[0] * width), int(top + begin[1] * height)
        )  # fmt: skip
        actions.click_and_hold()
        if end is not None:
            actions.move_by_offset(int((end[0] - begin[0]) * width), int((end[1] - begin[1]) * height))
        actions.release().perform()


@contextmanager
def chromium(folder: Path) -> Iterator[Any]:
    """A driver of a browser that asks no machine for anything by itself; `folder` is for what it keeps."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for name in ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync",
                 "disable-background-networking", "disable-component-update", "disable-dev-shm-usage",
                 "enable-unsafe-swiftshader", f"user-data-dir={folder}"):  # fmt: skip
        options.add_argument(f"--{name}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()
