"""The main job is killed with all its workers while it describes; repeated, its store is the undisturbed one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.faults.harness import ENVIRONMENT, ended, fingerprint, kill, n_chunks, start_process, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
PIPELINE = Path(__file__).parents[2] / "pipelines" / "local_structure.py"


def start_job(output: Path, cluster: str):
    options = ["--output", output, "--cluster", cluster]
    environment = {**ENVIRONMENT, "MPLBACKEND": "agg"}
    return start_process([sys.executable, PIPELINE, "kob_andersen", *options], environment)


def test_main_job_killed_and_repeated(tmp_path):
    code, _, err = ended(start_job(tmp_path / "undisturbed", "threads"))
    assert code == 0, err
    store = tmp_path / "killed" / "kob_andersen" / "store.zarr"
    job = start_job(tmp_path / "killed", "local")
    wait_for(lambda: n_chunks(store / "descriptors/sbo") >= 2, job)
    kill(job)
    assert not (store / "reductions").exists()
    code, out, err = ended(start_job(tmp_path / "killed", "threads"))
    assert code == 0, err
    assert "with Table II |cos|" in out
    assert fingerprint(store) == fingerprint(tmp_path / "undisturbed" / "kob_andersen" / "store.zarr")
