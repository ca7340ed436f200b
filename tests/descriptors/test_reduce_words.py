"""Datasets where one descriptor is meant, reductions applied to other features, and a package that is not there."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import MissingPackageError, ParameterError, SchemaError


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(1)
    liquid = gd.from_arrays(rng.random((2, 80, 3)) * 4, species=["A", "B"] * 40, box=[4.0] * 3)
    return gd.describe(
        liquid, {"bo": gd.BondOrder(cutoffs=1.5), "few": gd.BondOrder(l_max=3, cutoffs=1.5)}, centers="A"
    )


def test_a_dataset_of_one(features):
    expected = gd.reduce(features["bo"], n_components=2)
    found = gd.reduce(features[["bo"]], n_components=2)
    np.testing.assert_array_equal(found["direction"], expected["direction"])
    assert gd.feature_matrix(features[["bo"]]).shape == gd.feature_matrix(features["bo"]).shape
    for function in (gd.reduce, gd.feature_matrix, lambda x: gd.project(x, expected)):
        with pytest.raises(SchemaError, match=r"a dataset of bo, few: give one of them, such as features\['bo'\]"):
            function(features)
    with pytest.raises(SchemaError, match=r"expected an xarray\.DataArray"):
        gd.reduce(np.zeros((3, 3)))


def test_classes_have_no_components():
    rng = np.random.default_rng(2)
    liquid = gd.from_arrays(rng.random((1, 80, 3)) * 4, species=["A"] * 80, box=[4.0] * 3)
    with pytest.raises(
        SchemaError, match=r"^common_neighbors: has classes \(other, .*\.\.\.\), whose numbers are names"
    ):
        gd.reduce(gd.describe(liquid, [gd.CommonNeighbors()]))


@pytest.mark.parametrize("scale", [False, True])
def test_a_reduction_is_a_model(features, scale):
    reduced = gd.reduce(features["bo"], scale=scale)
    found = gd.project(features[["bo"]], reduced)
    np.testing.assert_allclose(found.values, reduced["projection"].values, atol=1e-12)
    half = gd.project(features["bo"].isel(frame=[1]), reduced)
    np.testing.assert_allclose(half.values, reduced["projection"].values[1:], atol=1e-12)
    assert ("scale" in reduced) == scale
    with pytest.raises(SchemaError, match="3 features, the reduction was made of 8"):
        gd.project(features["few"], reduced)
    with pytest.raises(ParameterError, match="give one of reduce, or a fitted PCA"):
        gd.project(features["bo"], features)
    if scale:
        with pytest.raises(ParameterError, match="was not stored: reduce them again"):
            gd.project(features["bo"], reduced.drop_vars("scale"))


def test_without_dask_ml(features, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_ml.decomposition", None)
    with pytest.raises(MissingPackageError, match=r"needs the package dask-ml .* or take the method 'exact'"):
        gd.reduce(features["bo"], method="incremental")
