"""A short attack on every reader; `tests.io.mutations` is the long one."""

from __future__ import annotations

import pytest

from tests.io.mutations import attack, seeds


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
