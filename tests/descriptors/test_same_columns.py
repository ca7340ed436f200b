"""What was fitted to features is applied to the same columns in the same order, or refused: by their labels."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError, SchemaError


@pytest.fixture(scope="module")
def liquid():
    rng = np.random.default_rng(1)
    return gd.from_arrays(rng.random((2, 80, 3)) * 4, species=["A", "B"] * 40, box=[4.0] * 3)


def change(liquid, kind):
    """Features, and others with as many columns that are not the same."""
    if kind == "a table in another order":
        features = gd.describe(liquid, gd.RadialBondOrder(l_max=2, grid=(1.0, 1.3)))["rbo"]
        return features, features.transpose("frame", "particle", "r", "l")
    if kind == "columns in another order":
        features = gd.describe(liquid, gd.BondOrder(l_max=3, cutoffs=1.5))["bo"]
        return features, features.isel(l=[2, 0, 1])
    if kind == "other columns":
        features = gd.describe(liquid, gd.BondOrder(l_max=4, cutoffs=1.5))["bo"]
        return features.isel(l=[0, 1]), features.isel(l=[2, 3])
    renamed = liquid.assign(species=("particle", np.where(liquid["species"] == "A", "small", "big")))
    descriptor = gd.SOAP(r_cut=1.5, n_max=1, l_max=1, sigma=0.3, by_species=True)
    if kind == "species, as a dimension":
        descriptor = gd.Coordination(cutoffs=1.5, by_species=True)
    both = [gd.describe(each, descriptor)[descriptor.name] for each in (liquid, renamed)]
    return both[0], both[1]


KINDS = (
    "a table in another order",
    "columns in another order",
    "other columns",
    "species, as a dimension",
    "species, beside others",
)


@pytest.mark.parametrize("kind", KINDS)
def test_other_columns_are_refused(liquid, kind):
    features, other = change(liquid, kind)
    assert features.shape[2:] == other.shape[2:] or kind == KINDS[0]
    reduced = gd.reduce(features, n_components=1)
    np.testing.assert_allclose(gd.project(features, reduced).values, reduced["projection"].values, atol=1e-12)
    classes = gd.classify(features, gd.learning.KMeans(n_classes=2))
    for use in (
        lambda: gd.project(other, reduced),
        lambda: gd.reduce(features, n_components=1, together=[other]),
        lambda: gd.classify(other, classes),
        lambda: gd.classify(features, together=[other]),
    ):
        with pytest.raises(SchemaError, match=r"in another order than|differs from that of"):
            use()


def test_the_advice_on_tables_works(liquid):
    features, other = change(liquid, KINDS[0])
    reduced = gd.reduce(features, n_components=2)
    with pytest.raises(SchemaError, match=r"say \.transpose\('frame', 'particle', 'l', 'r'\)"):
        gd.project(other, reduced)
    back = other.transpose("frame", "particle", "l", "r")
    np.testing.assert_allclose(gd.project(back, reduced).values, reduced["projection"].values, atol=1e-12)


def test_one_descriptor_beside_others_has_the_same_columns(liquid):
    """Its dimension is called otherwise there, and so are labels without coordinates."""
    soap = {"soap": gd.SOAP(r_cut=1.5, n_max=1, l_max=1, sigma=0.3, by_species=True)}
    alone = gd.describe(liquid, soap)["soap"]
    smaller = gd.SOAP(r_cut=1.5, n_max=2, l_max=1, sigma=0.3, by_species=True)
    beside = gd.describe(liquid, {"first": smaller, **soap})["soap"]
    assert alone.dims != beside.dims
    reduced = gd.reduce(alone, n_components=2)
    np.testing.assert_allclose(gd.project(beside, reduced).values, reduced["projection"].values, atol=1e-12)


def test_a_fitted_model_with_names(liquid):
    features = gd.describe(liquid, gd.BondOrder(l_max=3, cutoffs=1.5))["bo"]
    rows = features.stack(row=("frame", "particle")).transpose("row", "l")
    model = gd.learning.PCA(n_components=2).fit(rows)
    assert gd.project(features, model).shape == (2, 80, 2)
    with pytest.raises(ParameterError, match="feature 0 is 'l=3', but the model was fitted on 'l=1': reorder or refit"):
        gd.project(features.isel(l=[2, 0, 1]), model)


def test_one_frame_and_names_as_objects(liquid):
    """What isel(frame=0) leaves is refused with the way that works, as are names that a file of NetCDF gives back."""
    features = gd.describe(liquid, gd.BondOrder(l_max=3, cutoffs=1.5))["bo"]
    for use in (gd.reduce, gd.classify, gd.feature_matrix):
        with pytest.raises(SchemaError, match=r"choose one frame with \.isel\(frame=\[0\]\)"):
            use(features.isel(frame=0))
        with pytest.raises(SchemaError, match=r"expected \(frame, particle, features\.\.\.\): transpose them"):
            use(features.transpose("particle", "frame", "l"))
    assert gd.feature_matrix(features.isel(frame=[0])).shape == (80, 3)
    with pytest.raises(SchemaError, match=r"choose one frame with \.isel\(frame=\[0\]\), not"):
        gd.describe(liquid.isel(frame=0), gd.BondOrder(cutoffs=1.5))
    trajectory = liquid.assign(species=liquid["species"].astype(object))
    with pytest.raises(SchemaError, match=r"dtype object, .*: say \.assign\(species=") as caught:
        gd.describe(trajectory, gd.BondOrder(l_max=3, cutoffs=1.5))
    advised = str(caught.value).rpartition("say ")[2]
    mended = eval(f"trajectory{advised}", {"trajectory": trajectory})
    again = gd.describe(mended, gd.BondOrder(l_max=3, cutoffs=1.5))["bo"]
    np.testing.assert_array_equal(again.values, features.values)
