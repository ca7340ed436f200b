"""Gaussian mixtures, k-means and community inference: what was planted is found, as scikit-learn finds it."""

import itertools

import dask.array as da
import numpy as np
import pytest
import sklearn.cluster
import sklearn.mixture

from glassdask.errors import ConvergenceError, ParameterError
from glassdask.learning import CommunityInference, GaussianMixture, KMeans, load_model, save_model
from glassdask.learning import classes as module

WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 1.0], [0.0, 4.0, -1.0]])
TURN = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
COVARIANCES = np.array([np.eye(3), np.diag([0.3, 1.0, 2.0]), TURN @ np.diag([0.2, 0.5, 1.5]) @ TURN.T])


def planted(n=6000, seed=0):
    """Rows of three normal distributions, and of which one each is."""
    rng = np.random.default_rng(seed)
    label = rng.choice(3, n, p=WEIGHTS)
    x = np.empty((n, 3))
    for k in range(3):
        x[label == k] = rng.multivariate_normal(MEANS[k], COVARIANCES[k], int((label == k).sum()))
    return x, label


def histograms(n=300, seed=1, bins=8):
    """Rows of counts, of two laws."""
    rng = np.random.default_rng(seed)
    laws = rng.dirichlet(np.ones(bins), 2)
    label = (np.arange(n) % 3 == 0).astype(int)
    return np.array([rng.multinomial(60, laws[k]) for k in label]).astype(float), label


def agree(found, expected):
    """Which part of the labels is the same, for the best names of the classes."""
    names = itertools.permutations(range(int(expected.max()) + 1))
    return max(float((np.array(name)[found] == expected).mean()) for name in names)


def test_a_planted_mixture_is_found():
    """Weights, means and covariances within five standard errors; no other number of classes has a lower criterion."""
    n = 6000
    x, label = planted(n)
    found = {k: GaussianMixture(n_classes=k, tol=1e-6).fit(x) for k in (1, 2, 3, 4)}
    three = found[3]
    np.testing.assert_allclose(three.weights_, WEIGHTS, atol=5 * np.sqrt(0.25 / n))
    for k in range(3):
        rows = n * WEIGHTS[k]
        assert np.abs(three.means_[k] - MEANS[k]).max() < 5 * np.sqrt(2.0 / rows)
        assert np.abs(three.covariances_[k] - COVARIANCES[k]).max() < 5 * np.sqrt(8.0 / rows)
    assert min(found, key=lambda k: found[k].bic_) == 3
    assert agree(three.predict(x), label) > 0.95
    # the criterion of one class is that of a normal distribution, in closed form
    cov = np.cov(x.T, bias=True)
    likelihood = -0.5 * n * (3 * np.log(2 * np.pi) + np.linalg.slogdet(cov)[1] + 3)
    assert found[1].log_likelihood_ == pytest.approx(likelihood, rel=1e-6)
    assert found[1].bic_ == pytest.approx(9 * np.log(n) - 2 * likelihood, rel=1e-6)


def test_mixtures_are_those_of_scikit_learn():
    x, _ = planted()
    ours = GaussianMixture(n_classes=3, tol=1e-10, max_iter=2000).fit(x)
    theirs = sklearn.mixture.GaussianMixture(3, tol=1e-10, max_iter=2000, reg_covar=1e-6, random_state=3).fit(x)
    order = np.argsort(-theirs.weights_)
    np.testing.assert_allclose(ours.weights_, theirs.weights_[order], atol=1e-4)
    np.testing.assert_allclose(ours.means_, theirs.means_[order], atol=1e-3)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_[order], atol=1e-3)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x)[:, order], atol=1e-3)
    assert ours.log_likelihood_ / len(x) == pytest.approx(theirs.score(x), abs=1e-6)
    assert ours.bic_ == pytest.approx(theirs.bic(x), rel=1e-6)


def test_k_means_is_that_of_scikit_learn():
    x, _ = planted()
    ours = KMeans(n_classes=3, tol=1e-12).fit(x)
    theirs = sklearn.cluster.KMeans(3, n_init=10, tol=0.0, random_state=3).fit(x)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-9)
    assert agree(ours.predict(x), theirs.labels_) == 1.0
    for k in range(3):
        np.testing.assert_allclose(ours.means_[k], x[ours.predict(x) == k].mean(axis=0), atol=1e-9)


def test_communities_tell_most():
    """The best of all partitions of twelve particles, by brute force; the definition as it is written."""
    x, _ = histograms(12, seed=4)
    p = x / x.sum(axis=1, keepdims=True)

    def information(label):
        total = 0.0
        for k in range(2):
            own = p[label == k].mean(axis=0)
            with np.errstate(divide="ignore", invalid="ignore"):
                total += (label == k).mean() * np.nansum(own * np.log2(own / p.mean(axis=0)))
        return total

    partitions = [np.array(bits) for bits in itertools.product((0, 1), repeat=11)][1:]
    best = max(information(np.append(label, 0)) for label in partitions)
    found = CommunityInference().fit(x)
    assert found.mutual_information_ == pytest.approx(best, rel=1e-12)
    assert found.mutual_information_ == pytest.approx(information(found.predict(x)), rel=1e-12)


def test_communities_that_share_nothing_have_the_entropy_of_their_fractions():
    x = np.zeros((100, 6))
    x[:25, :2], x[25:, 3:] = [1.0, 2.0], [1.0, 0.5, 3.0]
    found = CommunityInference().fit(x)
    assert found.weights_.tolist() == [0.75, 0.25]
    assert found.mutual_information_ == pytest.approx(-0.75 * np.log2(0.75) - 0.25 * np.log2(0.25))
    assert CommunityInference(n_classes=1).fit(x).mutual_information_ == pytest.approx(0.0, abs=1e-12)


def test_planted_communities_are_found():
    x, label = histograms()
    assert agree(CommunityInference().fit(x).predict(x), label) > 0.95


@pytest.mark.parametrize(
    "model", [KMeans(3), GaussianMixture(3), CommunityInference(2)], ids=lambda m: type(m).__name__
)
def test_chunks_make_no_difference(model, monkeypatch, tmp_path):
    """Nor do chunks of unknown size, rows with NaN, a sample to begin with, and a file."""
    monkeypatch.setattr(module, "SAMPLE", 900)
    x = planted(2000)[0] if model.n_classes == 3 else histograms(2000)[0]
    x[::50, 1] = np.nan
    whole = model.fit(x)
    expected, share, passes = whole.predict_proba(x), whole.weights_, whole.n_iter_
    assert (whole.n_samples_, whole.n_undefined_) == (1960, 40)
    assert np.isnan(expected[::50]).all()
    assert np.isfinite(expected[1::50]).all()
    np.testing.assert_array_equal(load_model(save_model(model, tmp_path / "m.npz")).predict_proba(x), expected)
    lazy = da.from_array(x, chunks=(301, 2))
    np.testing.assert_allclose(model.fit(lazy).predict_proba(lazy).compute(), expected, atol=1e-6)
    np.testing.assert_allclose(model.weights_, share, rtol=1e-9)
    assert model.n_iter_ == passes
    unknown = lazy[~da.isnan(lazy).any(axis=1)]
    labels = model.fit(unknown).predict(unknown).compute()
    assert labels.dtype.kind == "i"
    assert len(labels) == 1960
    with pytest.raises(ParameterError, match=r"row 0 \(and 39 more of 2000\) has a NaN"):
        model.predict(x)


def test_what_makes_no_difference():
    """Linear maps for mixtures; turns and shifts for k-means; sums of rows and the order of bins for communities."""
    x, _ = planted(3000)
    rng = np.random.default_rng(2)
    matrix, shift = rng.normal(size=(3, 3)), 100 * rng.normal(size=3)
    before, after = GaussianMixture(3).fit(x), GaussianMixture(3).fit(x @ matrix + shift)
    np.testing.assert_allclose(after.weights_, before.weights_, atol=2e-3)
    volume = np.linalg.slogdet(matrix)[1]
    assert after.log_likelihood_ == pytest.approx(before.log_likelihood_ - len(x) * volume, rel=1e-5)
    before, after = KMeans(3).fit(x), KMeans(3).fit(x @ TURN + shift)
    assert after.inertia_ == pytest.approx(before.inertia_, rel=1e-6)
    np.testing.assert_allclose(after.means_, before.means_ @ TURN + shift, atol=1e-2)
    counts, _ = histograms()
    before = CommunityInference().fit(counts)
    after = CommunityInference().fit(counts[:, ::-1] * rng.uniform(0.1, 9.0, size=(300, 1)))
    assert after.mutual_information_ == pytest.approx(before.mutual_information_, rel=1e-9)


def test_what_cannot_be_classified():
    x, _ = planted(100)
    with pytest.raises(ParameterError, match="compares histograms: give counts"):
        CommunityInference().fit(x)
    with pytest.raises(ParameterError, match="only 1 have any rows, take 1 or fewer"):
        KMeans().fit(np.ones((20, 2)))
    with pytest.raises(ConvergenceError, match="raise max_iter or tol"):
        GaussianMixture(3, max_iter=1, tol=1e-12).fit(x)
    with pytest.raises(ParameterError, match="n_classes: expected a whole number of at least 1, found 0"):
        KMeans(0).fit(x)
    with pytest.raises(ParameterError, match=r"1 sample\(s\) without NaN"):
        KMeans().fit([[1.0, 2.0], [np.nan, 1.0]])


@pytest.mark.cluster
def test_on_two_processes(two_workers):
    x, _ = planted(4000)
    lazy = da.from_array(x, chunks=(700, 3))
    expected = GaussianMixture(3).fit(x)
    found = GaussianMixture(3).fit(lazy)
    np.testing.assert_allclose(found.means_, expected.means_, atol=1e-9)
    np.testing.assert_array_equal(found.predict(lazy).compute(), expected.predict(x))
