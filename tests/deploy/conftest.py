"""A SLURM for the tests: the one that is there, or one on this machine."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

SLURM = Path(__file__).parents[2] / "deploy" / "slurm"


def start_slurm(folder, auth="none"):
    """Start a SLURM in a folder by the developers' scripts, or skip the test; what gives it back as a context."""
    daemons = ("slurmctld", "slurmd", "sbatch", "scancel", *(["munged"] if auth == "munge" else []))
    absent = [name for name in daemons if shutil.which(name) is None]
    if absent:
        pytest.skip(f"no {', '.join(absent)} here: deploy/local/system.sh installs them as root on Debian")
    if os.getuid() != 0:
        pytest.skip("starting a SLURM needs root: export SLURM_CONF of one that runs")
    return _started(folder, auth)


@contextmanager
def _started(folder, auth):
    port = str(random.randrange(20_000, 30_000, 10))
    settings = {**os.environ, "SLURM_FOLDER": str(folder), "SLURM_PORT": port, "SLURM_AUTH": auth}
    up = subprocess.run(["sh", SLURM / "developer-up.sh"], env=settings, capture_output=True, text=True, timeout=180)
    try:
        assert up.returncode == 0, up.stderr
        yield str(folder / "slurm.conf")
    finally:
        down = ["sh", SLURM / "developer-down.sh"]
        subprocess.run(down, env=settings, capture_output=True, timeout=120, check=True)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """Commands such as sbatch speak to a SLURM from here on."""
    if "SLURM_CONF" in os.environ:
        answer = subprocess.run(["sinfo", "-h"], capture_output=True, text=True, timeout=60)
        if answer.returncode:
            pytest.skip(f"the SLURM of SLURM_CONF does not answer: {answer.stderr.strip()}")
        yield
        return
    with start_slurm(tmp_path_factory.mktemp("slurm")) as configuration:
        os.environ["SLURM_CONF"] = configuration
        yield
        del os.environ["SLURM_CONF"]
