"""Commands disturbed at points of their writing: a few of each kind here, all of them by ``tests.faults.attack``."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.faults.harness import ENVIRONMENT


@pytest.mark.slow
def test_no_disturbance_is_silent_or_unclear():
    command = [sys.executable, "-m", "tests.faults.attack", "--tries", "1", "--only", "append", "describe"]
    done = subprocess.run(
        [*command, "--kinds", "kill after", "tear", "full"], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [re.split(r" *\| *", line)[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 6, done.stdout
    for _, _, points, tries, same, named, silent, unclear in rows:
        assert int(points) > 20
        assert int(tries) == int(same) + int(named) == 1
        assert (silent, unclear) == ("0", "0")
