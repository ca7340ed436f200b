"""What is advised when workers die of too little memory: arithmetic of what was measured, and a measurement."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.cli import needs
from glassdask.errors import WorkerMemoryError

MIB = 2**20


@pytest.mark.parametrize(
    ("limit", "threads", "words"),
    [
        (490, 1, r"died; measured here: a task of 20000 particles takes 500 MiB, of 14000 particles 380 MiB: run it "),
        (490, 1, r" again with --block 14000 --overwrite$"),
        (490, 2, r"a task of 20000 particles in each of 2 threads takes 900 MiB, of 7300 particles 392 MiB: "),
        (120, 1, r"takes 500 MiB, of which 100 MiB whatever the block is: give workers 688 MiB$"),
        (700, 1, r"takes 500 MiB, which should fit: see what else its workers keep$"),
    ],
)
def test_what_is_advised(monkeypatch, limit, threads, words):
    """A process of 100 MiB, and 400 more for a task of 20000 particles; dask uses 80 % of the limit."""
    need = needs.Need(100 * MIB, 400 * MIB / 20000)
    monkeypatch.setattr(needs, "measure", lambda *arguments: need)
    features = xr.Dataset({"bo": (("frame", "particle"), da.zeros((8, 10_000), chunks=(4, 5000)))})
    error = needs.advised(WorkerMemoryError("died", limit * MIB, threads), "x.zarr", {}, None, features)
    with pytest.raises(WorkerMemoryError, match=words):
        raise error
    assert (error.limit, error.threads) == (limit * MIB, threads)


@pytest.mark.slow
@pytest.mark.cluster
def test_what_is_measured(tmp_path):
    """What is found with parts of a task foretells the whole: 189 numbers of each particle, with those between."""
    rng = np.random.default_rng(0)
    gas = gd.from_arrays(rng.random((1, 40_000, 3)) * 34, species=["A"] * 40_000, box=[34.0] * 3)
    gd.save_trajectory(gas, tmp_path / "gas.zarr")
    soap = {"soap": gd.SOAP(r_cut=1.2, n_max=6, l_max=8, sigma=0.3)}
    foretold = needs.measure(tmp_path / "gas.zarr", soap, None, 20_000)  # with 1250 and 10 000
    found = needs.measure(tmp_path / "gas.zarr", soap, None, 40_000)  # with 2500 and 20 000
    assert foretold.each > 8 * 189
    assert foretold(20_000) == pytest.approx(found(20_000), rel=0.1)
