"""What every disturbed command is compared with: the same store, described without disturbance."""

from __future__ import annotations

import shutil

import pytest

import glassdask as gd
from tests.faults.harness import SLOW, ended, fingerprint, start, trajectory


@pytest.fixture(scope="session")
def _undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    gd.save_trajectory(trajectory(), folder / "run.zarr")
    shutil.copytree(folder / "run.zarr", folder / "plain" / "run.zarr")
    code, _, err = ended(start("describe", folder / "run.zarr", SLOW, "--cluster", "threads", "-q"))
    assert code == 0, err
    return folder, fingerprint(folder / "run.zarr")


@pytest.fixture
def undisturbed(_undisturbed):
    """Fingerprint of the store after one undisturbed describe."""
    return _undisturbed[1]


@pytest.fixture
def undisturbed_store(_undisturbed):
    """The described store itself, not to be changed."""
    return _undisturbed[0] / "run.zarr"


@pytest.fixture
def described(_undisturbed, tmp_path):
    """A copy of the described store."""
    return shutil.copytree(_undisturbed[0] / "run.zarr", tmp_path / "run.zarr")


@pytest.fixture
def store(_undisturbed, tmp_path):
    """A copy of the store that is not described yet."""
    return shutil.copytree(_undisturbed[0] / "plain" / "run.zarr", tmp_path / "run.zarr")
