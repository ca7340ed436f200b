"""The notebooks' own modules, and a sweep to look at."""

import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))


@pytest.fixture(scope="session")
def sweep_store(tmp_path_factory):
    """The store of a finished sweep, one state of which failed."""
    import dask

    from tests.notebooks.sweeps import make

    with dask.config.set(scheduler="synchronous"):
        return make(tmp_path_factory.mktemp("sweep"))
