"""Simulations of a study: each is heard of when it is done."""

from __future__ import annotations

import dask
import pytest
import simulating


def squares(*numbers):
    return [dask.delayed(pow, pure=False)(number, 2) for number in numbers]


@pytest.mark.cluster
def test_each_is_heard_of(two_workers):
    heard = []
    simulating.run({"thermal": squares(1, 2), "mechanical": squares(3)}, two_workers, heard.append)
    assert sorted(heard) == ["simulated: mechanical 1 of 1", "simulated: thermal 1 of 2", "simulated: thermal 2 of 2"]


def test_without_workers():
    heard = []
    simulating.run({"thermal": squares(1, 2), "mechanical": squares(3)}, None, heard.append)
    assert heard == ["simulated: thermal", "simulated: mechanical"]


@pytest.mark.cluster
def test_a_failure_ends_it(two_workers):
    with pytest.raises(ZeroDivisionError):
        simulating.run({"thermal": [dask.delayed(divmod, pure=False)(1, 0)]}, two_workers, lambda _: None)
