import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
import sklearn.base
import torch

from glassdask.errors import ConvergenceError, ParameterError
from glassdask.learning import PCA, Autoencoder, align_rotation, training

SHORT = {"epochs": 40, "n_repeats": 3, "batch_size": 50, "device": "cpu"}


def planted(n=1500, seed=0):
    """Rows near a plane in six dimensions, as small in scale as bond-order parameters."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    return 0.05 * (rng.normal(size=(n, 6)) * [2.0, 1.2, 0.3, 0.3, 0.2, 0.2]) @ directions + 0.4


@pytest.fixture(scope="module")
def fitted():
    x = planted()
    return x, Autoencoder(**SHORT).fit(x)


def test_on_linear_data_it_finds_what_pca_finds(fitted):
    x, model = fitted
    pca = PCA(2).fit(x)
    assert model.explained_variance_ratio_ == pytest.approx(pca.explained_variance_ratio_.sum(), abs=0.02)
    _, rotation, r = align_rotation(model.transform(x), pca.transform(x))
    assert np.abs(np.diag(r)).min() > 0.98
    assert max(abs(r[0, 1]), abs(r[1, 0])) < 0.2
    rotated = model.transform(x) @ rotation
    assert np.corrcoef(rotated[:, 0], pca.transform(x)[:, 0])[0, 1] == pytest.approx(r[0, 0], abs=1e-12)


def test_explained_variance_is_equation_25(fitted):
    x, model = fitted
    lost = ((model.inverse_transform(model.transform(x)) - x) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum()
    assert model.explained_variance_ratio_ == pytest.approx(1 - lost, abs=1e-5)  # torch works in single precision
    assert model.explained_variance_ratio_ == model.repeats_explained_variance_ratio_[model.best_]


def test_the_repeat_of_least_validation_loss_is_kept(fitted):
    _, model = fitted
    assert model.validation_loss_.shape == model.training_loss_.shape == (40, 3)
    np.testing.assert_array_equal(model.repeats_validation_loss_, model.validation_loss_[-1])
    assert model.best_ == np.argmin(model.repeats_validation_loss_)
    assert len(set(model.repeats_validation_loss_)) == 3
    assert (model.validation_loss_[-1] < model.validation_loss_[0]).all()


def test_loss_is_mean_square_and_penalty(fitted):
    x, model = fitted
    rows = np.random.default_rng((0, 0)).permutation(len(x))[: round(0.3 * len(x))]  # those held out of the one chunk
    square = ((model.inverse_transform(model.transform(x[rows])) - x[rows]) ** 2).mean()
    penalty = 1e-5 * sum((w**2).sum() for w in model.weights_[::2])
    assert model.repeats_validation_loss_.min() == pytest.approx(square + penalty, rel=1e-4)


def test_architecture_and_glorot(fitted):
    _, model = fitted
    assert [w.shape for w in model.weights_] == [(6, 30), (30,), (30, 2), (2,), (2, 30), (30,), (30, 6), (6,)]
    cpu = training.device_of("cpu")
    with training.side_by_side(200, cpu) as threads:
        network = training.Networks(Autoencoder(n_repeats=200), 8, 0.0, cpu, *threads)
        start = np.concatenate([group.w[0].detach().numpy() for group in network.groups])
    assert start.shape == (200, 8, 40)
    assert np.abs(start).max() <= np.sqrt(6 / 48)
    assert start.std() == pytest.approx(np.sqrt(2 / 48), rel=0.01)


def test_seeds():
    x = planted(300)
    small = SHORT | {"epochs": 3}
    a, b = Autoencoder(**small).fit(x), Autoencoder(**small).fit(x)
    np.testing.assert_array_equal(a.validation_loss_, b.validation_loss_)
    assert (a.validation_loss_ != Autoencoder(**small, seed=1).fit(x).validation_loss_).all()
    assert Autoencoder(**(small | {"n_repeats": 1})).fit(x).best_ == 0


def test_streaming_equals_keeping_in_memory(monkeypatch):
    x = planted(600)
    x[::50] = np.nan
    reads = []

    def read(block):
        reads.append(len(block))
        return block

    array = da.from_array(x, chunks=(200, 6)).map_blocks(read, dtype=float, meta=np.empty((0, 0)))
    small = SHORT | {"epochs": 3}
    kept = Autoencoder(**small).fit(array)
    in_memory = len(reads)
    monkeypatch.setattr(training, "IN_MEMORY", 1000 * 24)
    same_validation = Autoencoder(**small).fit(array)
    np.testing.assert_array_equal(kept.validation_loss_, same_validation.validation_loss_)
    monkeypatch.setattr(training, "IN_MEMORY", 400 * 24)
    reads.clear()
    streamed = Autoencoder(**small).fit(array)
    assert len(reads) == in_memory + 4 * 3  # three epochs and the explained variance
    np.testing.assert_array_equal(streamed.validation_loss_, kept.validation_loss_)
    np.testing.assert_array_equal(streamed.weights_[0], kept.weights_[0])
    assert (streamed.n_samples_, streamed.n_undefined_) == (588, 12)


def test_chunks_without_a_row_to_learn_from_are_passed_over():
    """A step of a batch of no rows would be one of the optimiser's momentum, and its loss NaN."""
    x = planted(600)
    x[200:400] = np.nan
    model = Autoencoder(**(SHORT | {"epochs": 3})).fit(da.from_array(x, chunks=(200, 6)))
    assert model.n_samples_ == 400
    assert np.isfinite(model.training_loss_).all()


def test_lazy_transform_and_nan(fitted):
    x, model = fitted
    x = x.copy()
    x[3, 1] = np.nan
    reduced = model.transform(da.from_array(x, chunks=(400, 6)))
    assert isinstance(reduced, da.Array)
    assert np.flatnonzero(np.isnan(reduced.compute()).any(axis=1)).tolist() == [3]
    np.testing.assert_allclose(reduced.compute(), model.transform(x), rtol=1e-12)
    assert model.inverse_transform(reduced).shape == x.shape
    assert Autoencoder(epochs=1, n_repeats=1, device="auto").fit_transform(planted(50)).shape == (50, 2)


def test_units_do_not_matter_but_the_paper_network_is_there():
    x = planted(300)
    small = SHORT | {"epochs": 3, "l2": 0.0}
    a, b = Autoencoder(**small).fit(x), Autoencoder(**small).fit(1000 * x)
    np.testing.assert_allclose(a.validation_loss_ * 1e6, b.validation_loss_, rtol=1e-3)
    raw = Autoencoder(**small, unit=1.0).fit(x)
    np.testing.assert_array_equal(raw.scale_, 1.0)
    scaled = Autoencoder(**small, scale=True).fit(x)
    np.testing.assert_allclose(scaled.scale_, x.std(axis=0), rtol=1e-12)


def test_callback_sees_the_loss_and_stops():
    seen = []

    def look(epoch, training_loss, validation_loss):
        seen.append((epoch, len(training_loss), len(validation_loss)))
        return epoch == 1

    model = Autoencoder(**SHORT).fit(planted(200), callback=look)
    assert seen == [(0, 3, 3), (1, 3, 3)]
    assert len(model.validation_loss_) == 2


def test_divergence_is_said():
    with pytest.raises(ConvergenceError, match=r"not finite after \d+ epochs: lower learning_rate"):
        Autoencoder(**(SHORT | {"learning_rate": 1e6})).fit(planted(200))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epochs": 0}, "epochs: expected"),
        ({"n_components": 7}, "more than the 6 features"),
        ({"validation_fraction": 1.0}, "between 0 and 1"),
        ({"momentum": 1.0}, "momentum: expected"),
        ({"unit": 0.0}, "unit: expected"),
        ({"device": "abacus"}, "device 'abacus' cannot be used"),
        ({"validation_fraction": 1e-4}, "0 of 100 rows in 1 chunks are held out"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        Autoencoder(**(SHORT | parameters)).fit(planted(100))


def test_wrong_data():
    with pytest.raises(ParameterError, match="none of the 6 features varies"):
        Autoencoder(**SHORT).fit(np.ones((50, 6)))
    with pytest.raises(ParameterError, match="feature 2 is constant"):
        Autoencoder(**SHORT, scale=True).fit(planted(50) * [1, 1, 0, 1, 1, 1])
    with pytest.raises(ParameterError, match="at least 4"):
        Autoencoder(**SHORT).fit(planted(3))
    copy = sklearn.base.clone(Autoencoder(**SHORT))
    assert copy.get_params()["epochs"] == 40


def test_rotation_is_found():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 2)) * [3.0, 1.0]
    for planted_angle in (0, 35, 250):
        t = np.deg2rad(-planted_angle)
        turned = x @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
        angle, rotation, r = align_rotation(turned, da.from_array(x, chunks=(500, 2)))
        assert angle % 180 == planted_angle % 180  # |R| does not see a half turn
        np.testing.assert_allclose(np.abs(turned @ rotation), np.abs(x), atol=1e-9)
        np.testing.assert_allclose(np.abs(np.diag(r)), 1.0, rtol=1e-12)
    with pytest.raises(ParameterError, match="expected two and two"):
        align_rotation(x, x[:, :1])
    with pytest.raises(ParameterError, match="step is 0"):
        align_rotation(x, x, step=0)


@pytest.mark.slow
def test_torch_is_not_imported_before_training():
    code = "import sys, glassdask.learning as l; l.Autoencoder(); l.PCA(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_repeat_is_kept(fitted):
    x, model = fitted
    for k, ratio in enumerate(model.repeats_explained_variance_ratio_):
        one = model.repeat(k)
        rebuilt = one.inverse_transform(one.transform(x))
        explained = 1 - ((x - rebuilt) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum()
        assert explained == pytest.approx(ratio, abs=1e-5)
        assert one.explained_variance_ratio_ == ratio
    np.testing.assert_array_equal(model.repeat(model.best_).transform(x), model.transform(x))
    with pytest.raises(ParameterError, match="expected 0 to"):
        model.repeat(len(model.repeats_explained_variance_ratio_))


def test_threads_share_the_repeats_and_change_the_last_digits_only():
    before, models = torch.get_num_threads(), []
    x = planted(600)
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            models.append(Autoencoder(**{**SHORT, "epochs": 3}).fit(x))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    one, *others = models
    for other in others:
        for layer, same in zip(one.repeats_weights_, other.repeats_weights_, strict=True):
            np.testing.assert_allclose(layer, same, atol=1e-5)
        np.testing.assert_allclose(other.training_loss_, one.training_loss_, rtol=1e-5)
        np.testing.assert_allclose(other.validation_loss_, one.validation_loss_, rtol=1e-5)


def test_a_callback_that_fails_leaves_torch_as_it_was():
    before = torch.get_num_threads()

    def fails(*_):
        raise RuntimeError("the caller's own")

    with pytest.raises(RuntimeError, match="the caller's own"):
        Autoencoder(**SHORT).fit(planted(200), callback=fails)
    assert torch.get_num_threads() == before
