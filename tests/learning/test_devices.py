"""A GPU gives what the processor gives, within single precision. Where there is none, these tests are skipped."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from glassdask.learning import Autoencoder, ConvolutionalClassifier  # noqa: E402

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU that torch can use: run this file where there is one"
)


@needs_gpu
def test_an_autoencoder_is_the_same_on_a_gpu():
    x = np.random.default_rng(0).normal(size=(400, 8)) @ np.random.default_rng(1).normal(size=(8, 8))
    made = [Autoencoder(epochs=3, n_repeats=2, batch_size=50, device=device) for device in ("cpu", "cuda")]
    found = [model.fit(x).transform(x) for model in made]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-4)


@needs_gpu
def test_a_convolutional_network_is_the_same_on_a_gpu():
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 10)
    images = rng.normal(size=(20, 1, 32, 32)) + labels[:, None, None, None]
    found = [
        ConvolutionalClassifier(epochs=3, learning_rate=1e-3, dropout=0.0, device=device).fit(images, labels)
        for device in ("cpu", "cuda")
    ]
    np.testing.assert_allclose(found[1].predict_proba(images), found[0].predict_proba(images), atol=1e-3)


def test_what_is_called_auto_is_a_gpu_where_there_is_one():
    from glassdask.learning.training import device_of

    assert device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
