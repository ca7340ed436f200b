"""The trajectories that come with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError
from glassdask.examples import EXAMPLES
from glassdask.simulation import MODELS
from tests.conftest import SHIPPED, SHIPPED_FILES

FOLDER = Path(gd.__file__).parent / "examples"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_the_liquid_that_it_says(name):
    liquid = gd.example(name)
    model, n = MODELS[name], liquid.sizes["particle"]
    volume = np.linalg.det(liquid["box"].values[0])
    assert liquid.attrs["density"] == pytest.approx(n / volume, rel=1e-6) == pytest.approx(model.density, rel=1e-3)
    names, counts = np.unique(liquid["species"].values, return_counts=True)
    assert dict(zip(names.tolist(), (counts / n).tolist())) == pytest.approx(dict(zip(model.species, model.fractions)))
    assert ((liquid["position"] >= 0) & (liquid["position"] < liquid["box"].values[0, 0, 0])).all()
    first = gd.radial_distribution(liquid, r_max=2.0)["g"].sel(species_a="A", species_b="A")
    assert 0.9 < first["r"].values[np.argmax(first.values)] < 1.2  # a liquid, its particles at contact


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_what_the_pipelines_have_in_single_precision(name):
    run = np.load(SHIPPED / SHIPPED_FILES[name])
    assert np.abs(gd.example(name)["position"].values - run["position"][:3]).max() < 1e-6


def test_they_are_small():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.npz")) < 300_000
    assert {path.stem for path in FOLDER.glob("*.npz")} == set(EXAMPLES)


def test_an_unknown_example_is_one_line():
    with pytest.raises(ParameterError, match="no example 'wahn', expected one of wahnstrom, kob_andersen"):
        gd.example("wahn")
