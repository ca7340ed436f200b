"""Errors of means over a run, against the scatter of many runs."""

from __future__ import annotations

import numpy as np
import pytest

from glassdask.dynamics.in_time import error_in_time


def test_frames_that_are_alike_are_not_counted_one_by_one():
    """Of a run in which every frame is followed by others at short lags the mean is no better known than without."""
    rng = np.random.default_rng(1)
    starts = np.arange(40.0)
    time = (starts[:, None] + np.array([0.0, 0.005, 0.03, 0.17])).ravel()
    means, errors, alone = [], [], []
    for _ in range(200):
        values = rng.normal(size=40)
        means.append(values.mean())
        errors.append(error_in_time(np.repeat(values, 4), time))
        alone.append(error_in_time(values, starts))
    true = np.std(means)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(true, rel=0.12)
    assert np.sqrt(np.mean(np.square(alone))) == pytest.approx(true, rel=0.12)


def test_what_is_no_number_is_left_out_and_one_block_has_no_error():
    assert error_in_time([1.0, np.nan, 3.0], [0.0, 0.5, 1.0]) == 1.0
    for values, time in (([1.0], None), ([np.nan, np.nan], None), ([1.0, 2.0], [3.0, 3.0]), ([], None)):
        assert np.isnan(error_in_time(values, time))
