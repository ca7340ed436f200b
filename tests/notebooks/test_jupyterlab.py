"""The dashboard in JupyterLab: a cell is run in a real browser, and plots follow what is chosen there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.notebooks.browser import MARKS, WAIT, Page, chromium, need

need("panel", "datashader", "jupyterlab", "selenium")
pytestmark = MARKS
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CELL = """from sweep_dashboard import Dashboard
dashboard = Dashboard({store!r})
dashboard.tab = "particles"
dashboard"""


def notebook(store):
    """As the stored ones, with one cell."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cell = {"cell_type": "code", "id": "one", "metadata": {}, "outputs": [], "execution_count": None}
    cell["source"] = CELL.format(store=str(store)).splitlines(keepends=True)
    return {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture(scope="module")
def lab(sweep_store, tmp_path_factory):
    """Address of a JupyterLab with the notebook, for this machine only."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "look.ipynb").write_text(json.dumps(notebook(sweep_store)))
    places = {f"JUPYTER_{name}": str(folder / name.lower()) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")}
    paths = os.pathsep.join([str(NOTEBOOKS), str(NOTEBOOKS.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root",
               "--expose-app-in-browser", "--LabApp.extension_manager=readonly",
               f"--ServerApp.root_dir={folder}"]  # fmt: skip
    environment = {**os.environ, **places, "PYTHONPATH": paths}
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", line):
                yield found[0].replace("/lab?", "/lab/tree/look.ipynb?")
                break
        else:
            pytest.fail("".join(said))
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_the_dashboard_in_jupyterlab(lab, tmp_path):
    """A choice goes to the kernel and comes back as another plot."""
    with chromium(tmp_path) as driver:
        driver.set_window_size(1400, 1200)
        driver.get(lab)
        page = Page(driver, lab)
        ready = "window.jupyterapp && elements.some(e => e.dataset.status === 'idle') && elements.some(e => e.matches"
        page.until(lambda: page.ask(f"{ready}('.jp-CodeCell'))"))
        # asked again until the kernel has taken it
        prompt = "document.querySelector('.jp-InputPrompt').textContent"
        run = f"if ({prompt} === '[ ]:') jupyterapp.commands.execute('notebook:run-all-cells');"
        page.until(lambda: driver.execute_script(run) or page.ask(f"{prompt} !== '[ ]:'"))
        page.until(lambda: page.images() and page.title("|z"), wait=3 * WAIT)  # the kernel imports all there is
        assert min(page.figure(0)[2:]) > 150
        before = page.images()
        page.choose(page.ask("selects.findIndex(s => [...s.options].some(o => o.value === '1.0'))"), "1.0")
        page.until(lambda: page.images() not in ([], before))
