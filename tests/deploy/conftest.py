"""A SLURM for the tests: the one that is there, or one on this machine."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

SLURM = Path(__file__).parents[2] / "deploy" / "slurm"


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """Commands such as sbatch speak to a SLURM from here on."""
    if "SLURM_CONF" in os.environ:
        answer = subprocess.run(["sinfo", "-h"], capture_output=True, text=True, timeout=60)
        if answer.returncode:
            pytest.skip(f"the SLURM of SLURM_CONF does not answer: {answer.stderr.strip()}")
        yield
        return
    absent = [name for name in ("slurmctld", "slurmd", "sbatch", "scancel") if shutil.which(name) is None]
    if absent:
        pytest.skip(f"no {', '.join(absent)} here: deploy/local/system.sh installs them as root on Debian")
    if os.getuid() != 0:
        pytest.skip("starting a SLURM needs root: export SLURM_CONF of one that runs")
    folder = tmp_path_factory.mktemp("slurm")
    settings = {**os.environ, "SLURM_FOLDER": str(folder), "SLURM_PORT": str(random.randrange(20_000, 30_000, 10))}
    up = subprocess.run(["sh", SLURM / "developer-up.sh"], env=settings, capture_output=True, text=True, timeout=180)
    try:
        if up.returncode:
            pytest.skip(f"developer-up.sh failed: {up.stderr.strip()[-500:]}")
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        yield
    finally:
        os.environ.pop("SLURM_CONF", None)
        subprocess.run(["sh", SLURM / "developer-down.sh"], env=settings, capture_output=True, timeout=120)
