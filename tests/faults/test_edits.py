"""Random edits of a store: none is silent, none ends in an error of Python; at length by hand, see `edits`."""

from __future__ import annotations

import pytest

from tests.faults.edits import EDITS, make, table

pytestmark = pytest.mark.slow


def test_no_edit_is_silent(tmp_path):
    found, broken = table(make(tmp_path), tries=15 * len(EDITS), seed=0, repaired=8)
    assert not broken
    assert all(sum(outcomes.values()) == 15 for outcomes in found.values())
