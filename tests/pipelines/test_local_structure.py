"""The main job on the configurations that are shipped, against the published Table II."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import glassdask as gd
from tests.conftest import pair_cutoffs

ROOT = Path(__file__).parents[2]
PIPELINE = ROOT / "pipelines" / "local_structure.py"
TABLE_II = {
    "wahnstrom": [
        [-0.03, -0.04, -0.06, -0.13, -0.41, 0.68, -0.50, -0.31],
        [-0.05, 0.01, 0.03, 0.12, 0.72, 0.09, -0.64, 0.22],
    ],
    "kob_andersen": [
        [0.06, 0.07, 0.19, 0.66, -0.51, 0.05, 0.49, 0.12],
        [0.07, 0.01, 0.02, -0.39, -0.50, 0.65, 0.01, -0.40],
    ],
}
PUBLISHED_RATIO = {"wahnstrom": (0.61, 0.20), "kob_andersen": (0.37, 0.31)}


def test_table_two(shipped):
    """The quickstart's lines. Wahnström by direction, Kob-Andersen (nearly degenerate) by the plane they span."""
    name, trajectory = shipped
    cutoffs = gd.first_minima(trajectory)
    if name == "kob_andersen":
        cutoffs = pair_cutoffs(np.array([[1.425, 1.25], [1.25, 1.075]]))
    features = gd.describe(trajectory, [gd.SmoothedBondOrder(l_max=8, gamma=8, cutoffs=cutoffs)], centers="B")
    pca = gd.learning.PCA(n_components=2).fit(gd.feature_matrix(features["sbo"]))
    published = np.array(TABLE_II[name])
    np.testing.assert_allclose(pca.explained_variance_ratio_, PUBLISHED_RATIO[name], atol=0.03)
    if name == "wahnstrom":
        cosines = np.abs(np.sum(pca.components_ * published, axis=1)) / np.linalg.norm(published, axis=1)
        assert cosines.min() > 0.98
    else:
        assert gd.learning.principal_cosines(pca.components_, published).min() > 0.97


def test_exact_and_incremental_agree(shipped):
    _, trajectory = shipped
    features = gd.describe(trajectory, [gd.SmoothedBondOrder(cutoffs=1.3)], centers="B")["sbo"].compute()
    matrix = gd.feature_matrix(features.chunk({"frame": 1}))
    exact = gd.learning.PCA(n_components=3).fit(matrix)
    incremental = gd.learning.PCA(n_components=3, method="incremental").fit(matrix)
    assert gd.learning.principal_cosines(exact.components_, incremental.components_).min() > 1 - 1e-3
    np.testing.assert_allclose(exact.explained_variance_ratio_, incremental.explained_variance_ratio_, atol=2e-3)


@pytest.mark.slow
@pytest.mark.cluster
def test_main_job(tmp_path, run_here, monkeypatch):
    """As the README's first command runs it; a second run finds everything done and says the same."""
    output = ("--output", str(tmp_path / "results"))
    command = [sys.executable, str(PIPELINE), "wahnstrom", *output]
    first = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=500)
    assert first.returncode == 0, first.stderr
    line = first.stdout.strip().splitlines()[-1]
    assert "published 61 % + 20 %" in line
    folder = tmp_path / "results" / "wahnstrom"
    for name in ("fig1_overview", "fig2_smoothed", "fig3_sharp", "fig4_bands", "fig5_spectrum", "pair_correlations"):
        assert (folder / f"{name}.png").stat().st_size > 10_000
        assert len((folder / f"{name}.csv").read_text().splitlines()) > 8
    with open(folder / "table2.csv") as file:
        rows = list(csv.DictReader(file))
    ours = np.array([float(row["pc1"]) for row in rows[1:]])
    assert abs(ours @ TABLE_II["wahnstrom"][0]) > 0.98

    store = folder / "store.zarr"
    assert gd.store.verify(store) == []
    reduced = gd.open_reduction(store, "sbo")
    small = reduced["species"].values == "B"
    assert np.isfinite(reduced["projection"].values[:, small]).all()
    assert np.isnan(reduced["projection"].values[:, ~small]).all()
    # locally favored particles lie at larger X_1, the paper's Fig. 1(b)
    lfs = gd.open_descriptors(store, ["lfs"])["lfs"].values[:, small] == 1
    x1 = reduced["projection"].values[:, small, 0]
    assert x1[lfs].mean() - x1[~lfs].mean() > x1.std()

    written = {file: file.stat().st_mtime_ns for file in store.rglob("c/*")}
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)  # they are the same, and take long
    code, out, err = run_here("local_structure", "wahnstrom", *output, "--cluster", "threads")
    assert code == 0, err
    assert out.strip().splitlines()[-1] == line
    assert {file: file.stat().st_mtime_ns for file in store.rglob("c/*")} == written

    code, _, err = run_here("local_structure", "lennard_jones", *output)
    assert code == 2
    assert "expected some of wahnstrom, kob_andersen" in err
