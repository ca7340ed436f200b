"""Stores in odd situations, a few of each kind here; at length by hand, see `situations`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.harness import ENVIRONMENT
from tests.faults.outcomes import PAGE, table

# the longest four, names, copies, limits and simulations, are for the hand
LEAST = {"clients": 1, "writers": 4, "permissions": 27, "clocks": 12, "links": 12, "outputs": 4, "twins": 5}


@pytest.mark.slow
def test_no_situation_is_silent_or_unclear():
    command = [sys.executable, "-m", "tests.faults.situations", "--rounds", "1", "--only", *LEAST]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    tries = {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines()}
    assert tries.keys() == LEAST.keys(), done.stdout
    assert all(tries[name] >= least for name, least in LEAST.items()), done.stdout


def test_the_table_of_the_promises_is_the_one_that_the_outcomes_make():
    assert PAGE.read_text().endswith(table())
