"""What is beyond open faces is told when files are ingested."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import glassdask as gd
from glassdask.cli import app
from glassdask.errors import BoxError, ParameterError


@pytest.fixture
def film(tmp_path):
    """An extended XYZ file, two frames of a film."""
    position = np.random.default_rng(0).random((2, 40, 3)) * [4, 4, 2]
    frames = [
        '40\nLattice="4 0 0 0 4 0 0 0 2" pbc="T T F" Properties=species:S:1:pos:R:3\n'
        + "".join(f"A {x} {y} {z}\n" for x, y, z in frame)
        for frame in position
    ]
    path = tmp_path / "film.xyz"
    path.write_text("".join(frames))
    return path


def test_a_film_that_ends(film, tmp_path):
    for beyond, defined in (("unknown", False), ("nothing", True)):
        store = tmp_path / f"{beyond}.zarr"
        gd.ingest(film, store, beyond=beyond)
        trajectory = gd.open_trajectory(store)
        values = gd.describe(trajectory, [gd.Coordination(cutoffs=1.5)])["coordination"].values
        assert np.isfinite(values).all() == defined
        assert gd.ingest(film, store, beyond=beyond).n_new == 0
    with pytest.raises(gd.errors.StoreError):
        gd.ingest(film, tmp_path / "nothing.zarr")


def test_on_the_command_line(film, tmp_path):
    result = CliRunner().invoke(
        app, ["ingest", str(film), "--store", str(tmp_path / "film.zarr"), "--beyond", "nothing"]
    )
    assert result.exit_code == 0, result.output
    assert gd.open_trajectory(tmp_path / "film.zarr")["periodic"].attrs["beyond"] == "nothing"


def test_what_means_nothing(film, tmp_path):
    with pytest.raises(ParameterError, match="beyond"):
        gd.ingest(film, tmp_path / "film.zarr", beyond="vacuum")
    with pytest.raises(BoxError, match="repeats along all axes, nothing is beyond it"):
        gd.ingest(film, tmp_path / "film.zarr", periodic="xyz", beyond="nothing")
    assert not (tmp_path / "film.zarr").exists()
