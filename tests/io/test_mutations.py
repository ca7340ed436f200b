"""A short attack on every reader; `tests.io.mutations` is the long one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.io.mutations import SPECIES, attack, outcome, seeds

DAMAGED = Path(__file__).parents[1] / "data/damaged.zip"
READ = ("glassbench-009.npz",)  # bond breaking is NaN there, as it is read; positions are whole


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return seeds(tmp_path_factory.mktemp("seeds"))


def test_damaged_files_end_in_one_line_or_are_read(files):
    wrong = []
    for kind, (path, options) in files.items():
        counts = attack(kind, path, options, 6 if kind in ("trr", "xtc") else 25)
        wrong += [found for found in counts if found not in ("refused", "read")]
        assert counts["refused"], kind
    assert not wrong


@pytest.mark.parametrize("name", zipfile.ZipFile(DAMAGED).namelist())
def test_files_that_once_ended_in_tracebacks_or_killed_the_process(tmp_path, name):
    """Each is refused in one line with its name, or read as what it holds."""
    with zipfile.ZipFile(DAMAGED) as archive:
        path = Path(archive.extract(name, tmp_path))
    found = outcome(path, {"species": SPECIES} if path.suffix in (".trr", ".xtc") else {})
    assert found == ("read" if name in READ else "refused")
