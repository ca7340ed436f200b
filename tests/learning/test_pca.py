import dask.array as da
import numpy as np
import pytest
import scipy.linalg
import sklearn.base
import sklearn.decomposition
import xarray as xr

from glassdask.errors import ParameterError
from glassdask.learning import PCA, compute_moments, principal_cosines

METHODS = ["exact", "incremental"]


def planted(n=5000, variances=(9.0, 4.0, 1.0, 0.25, 0.01), seed=0):
    """Normal rows with known orthogonal directions and variances."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(len(variances), len(variances))))[0]
    return (rng.normal(size=(n, len(variances))) * np.sqrt(variances)) @ directions + 3.0, directions


@pytest.mark.parametrize("method", METHODS)
def test_planted_directions_are_found(method):
    x, directions = planted(40000)
    pca = PCA(method=method).fit(da.from_array(x, chunks=(9000, 5)))
    assert np.abs(np.sum(pca.components_ * directions, axis=1)).min() > 0.999
    np.testing.assert_allclose(pca.explained_variance_, [9.0, 4.0, 1.0, 0.25, 0.01], rtol=0.03)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("chunks", [None, (5000, 5), (700, 2)])
def test_equals_scikit_learn(method, chunks):
    x, _ = planted()
    reference = sklearn.decomposition.PCA(svd_solver="full").fit(x)
    pca = PCA(method=method).fit(x if chunks is None else da.from_array(x, chunks=chunks))
    np.testing.assert_allclose(pca.explained_variance_, reference.explained_variance_, rtol=1e-10)
    np.testing.assert_allclose(pca.explained_variance_ratio_, reference.explained_variance_ratio_, rtol=1e-10)
    np.testing.assert_allclose(np.abs(pca.components_), np.abs(reference.components_), atol=1e-10)
    np.testing.assert_allclose(pca.mean_, reference.mean_, rtol=1e-12)
    np.testing.assert_allclose(np.abs(pca.transform(x)), np.abs(reference.transform(x)), atol=1e-9)


def test_chunked_equals_unchunked():
    x, _ = planted()
    whole = PCA().fit(x)
    for rows in (61, 411, 5000):
        part = PCA().fit(da.from_array(x, chunks=(rows, 5)))
        np.testing.assert_allclose(part.components_, whole.components_, atol=1e-12)
        np.testing.assert_allclose(part.explained_variance_, whole.explained_variance_, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_scaling_makes_units_irrelevant(method):
    x, _ = planted()
    a = PCA(scale=True, method=method).fit(x)
    b = PCA(scale=True, method=method).fit(x * [1, 10, 100, 1e3, 1e-3] + 7)
    np.testing.assert_allclose(a.components_, b.components_, atol=1e-9)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    reference = sklearn.decomposition.PCA(svd_solver="full").fit(scaled)
    np.testing.assert_allclose(a.explained_variance_, reference.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(np.abs(a.transform(x)), np.abs(reference.transform(scaled)), atol=1e-9)


def test_sign_convention():
    x, _ = planted()
    pca = PCA().fit(x)
    mirrored = PCA().fit(-x)
    largest = np.take_along_axis(pca.components_, np.abs(pca.components_).argmax(axis=1)[:, None], axis=1)
    assert (largest > 0).all()
    np.testing.assert_allclose(pca.components_, mirrored.components_, atol=1e-12)
    # two components of equal magnitude: the first decides, whatever the rounding
    line = np.arange(10.0)[:, None] * [1.0, -1.0]
    assert PCA(n_components=1).fit(line).components_[0, 0] > 0


@pytest.mark.parametrize("method", METHODS)
def test_rows_with_nan_are_left_out_and_stay_nan(method):
    x, _ = planted()
    x[::9, 1] = np.nan
    good = ~np.isnan(x).any(axis=1)
    reference = PCA().fit(x[good])
    array = da.from_array(x, chunks=(640, 5))
    pca = PCA(method=method).fit(array)
    assert (pca.n_samples_, pca.n_undefined_) == (good.sum(), (~good).sum())
    np.testing.assert_allclose(pca.components_, reference.components_, atol=1e-9)
    projected = pca.transform(array).compute()
    assert np.isnan(projected[~good]).all()
    np.testing.assert_allclose(projected[good], reference.transform(x[good]), atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_chunks_of_unknown_size_stay_lazy(method):
    x, _ = planted()
    array = da.from_array(x, chunks=(900, 5))
    kept = array[array[:, 0] > 3]
    pca = PCA(n_components=2, method=method).fit(kept)
    projected = pca.transform(kept)
    assert isinstance(projected, da.Array)
    np.testing.assert_allclose(projected.compute(), pca.transform(x[x[:, 0] > 3]), atol=1e-12)


def test_number_of_components():
    x, _ = planted()
    pca = PCA().fit(x)
    ratio = np.cumsum(pca.explained_variance_ratio_)
    assert ratio[-1] == pytest.approx(1.0, abs=1e-12)
    for wanted in (0.5, 0.8, 0.99, 1.0):
        n = pca.n_components_for(wanted)
        assert ratio[n - 1] >= wanted - 1e-12
        assert n == 1 or ratio[n - 2] < wanted
    assert PCA(n_components=0.8).fit(x).n_components_ == pca.n_components_for(0.8)
    assert PCA(n_components=1).fit(x).n_components_for(0.9) == pca.n_components_for(0.9)
    truncated = PCA(n_components=1, method="incremental").fit(x)
    with pytest.raises(ParameterError, match="n_components=None"):
        truncated.n_components_for(0.99)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        pca.n_components_for(80)


def test_inverse_transform():
    x, _ = planted()
    pca = PCA(scale=True).fit(x)
    array = da.from_array(x, chunks=(999, 5))
    np.testing.assert_allclose(pca.inverse_transform(pca.transform(array)).compute(), x, atol=1e-10)
    lossy = PCA(n_components=2).fit(x)
    lost = ((lossy.inverse_transform(lossy.transform(x)) - x) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum()
    assert lost == pytest.approx(1 - lossy.explained_variance_ratio_.sum(), rel=1e-9)
    np.testing.assert_array_equal(PCA(n_components=2).fit_transform(x), lossy.transform(x))


@pytest.mark.parametrize("method", METHODS)
def test_more_features_than_rows(method):
    x = np.random.default_rng(3).normal(size=(6, 20))
    pca = PCA(method=method).fit(da.from_array(x, chunks=(2, 20)))
    reference = sklearn.decomposition.PCA(svd_solver="full").fit(x)
    assert pca.components_.shape == (6, 20)
    np.testing.assert_allclose(pca.explained_variance_[:5], reference.explained_variance_[:5], rtol=1e-9)
    assert pca.explained_variance_[5] < 1e-12
    np.testing.assert_allclose(np.abs(pca.components_[:5]), np.abs(reference.components_[:5]), atol=1e-9)
    with pytest.raises(ParameterError, match="expected 1 to 6"):
        PCA(n_components=7, method=method).fit(x)


@pytest.mark.parametrize("method", METHODS)
def test_constant_feature(method):
    x, _ = planted()
    x[:, 3] = 0.1
    pca = PCA(method=method).fit(x)
    assert pca.explained_variance_[-1] < 1e-12
    names = xr.DataArray(x, dims=("sample", "l"), coords={"l": [1, 2, 3, 4, 5]})
    with pytest.raises(ParameterError, match=r"feature 3 \(l=4\) is constant"):
        PCA(scale=True, method=method).fit(names)
    with pytest.raises(ParameterError, match="none of the 5 features varies"):
        PCA(method=method).fit(np.full((9, 5), 0.1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [np.zeros((0, 3)), np.full((4, 3), np.nan), np.zeros((1, 3))])
def test_too_few_rows(method, rows):
    with pytest.raises(ParameterError, match="at least 2 are needed"):
        PCA(method=method).fit(rows)


@pytest.mark.parametrize("n_components", [0, -1, 1.5, 0.0, "all", True])
def test_wrong_n_components(n_components):
    with pytest.raises(ParameterError, match="n_components"):
        PCA(n_components=n_components).fit(planted(50)[0])


def test_wrong_method_and_features():
    x, _ = planted(50)
    with pytest.raises(ParameterError, match="expected one of"):
        PCA(method="randomized").fit(x)
    with pytest.raises(ParameterError, match="X has 3 features, but PCA is expecting 5"):
        PCA().fit(x).transform(x[:, :3])
    named = xr.DataArray(x, dims=("sample", "l"), coords={"l": [1, 2, 3, 4, 5]})
    with pytest.raises(ParameterError, match="feature 0 is 'l=5'"):
        PCA().fit(named).transform(named[:, ::-1])


def test_scikit_learn_contract():
    x, _ = planted(50)
    pca = PCA(n_components=2, scale=True)
    copy = sklearn.base.clone(pca)
    assert copy.get_params() == {"n_components": 2, "scale": True, "method": "exact"}
    assert copy.set_params(n_components=3).fit(x) is copy
    assert copy.components_.shape == (3, 5)


def test_targets_among_the_moments_are_ignored():
    x, _ = planted()
    pca = PCA().fit_moments(compute_moments(x, x[:, 0] ** 2))
    np.testing.assert_allclose(pca.components_, PCA().fit(x).components_, atol=1e-12)


def test_principal_cosines():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 8)), rng.normal(size=(3, 8))
    expected = np.sort(np.cos(scipy.linalg.subspace_angles(a.T, b.T)))[::-1]
    np.testing.assert_allclose(principal_cosines(a, b), expected, rtol=1e-12)
    # a plane is the same plane in any basis
    turned = rng.normal(size=(2, 2)) @ a
    np.testing.assert_allclose(principal_cosines(a, turned), [1, 1], rtol=1e-12)
    assert principal_cosines([1.0, 1.0, 0.0], [1.0, 0.0, 0.0]) == pytest.approx([np.sqrt(0.5)])
    with pytest.raises(ParameterError, match="not independent"):
        principal_cosines([[1.0, 0.0], [2.0, 0.0]], [[0.0, 1.0]])
    with pytest.raises(ParameterError, match="A has 2 features and B 3"):
        principal_cosines([[1.0, 0.0]], [[0.0, 1.0, 0.0]])
    with pytest.raises(ParameterError, match="finite"):
        principal_cosines([[np.nan, 0.0]], [[0.0, 1.0]])
