"""Convolutional classifier and Grad-CAM: planted images, symmetry, resuming, streaming, the formulas by hand."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from glassdask.errors import FormatError, ParameterError, StoreError
from glassdask.learning import ConvolutionalClassifier, grad_cam, load_model, save_model

torch = pytest.importorskip("torch")

from glassdask.learning import convolution_training as training  # noqa: E402

SMALL = {
    "filters": (4, 4),
    "kernel_sizes": (3, 3),
    "strides": (1, 1),
    "dense": 8,
    "epochs": 3,
    "batch_size": 10,
    "learning_rate": 0.01,
    "device": "cpu",
}


def blobs(n, points=12, space=2, classes=("glass", "liquid"), seed=0):
    """Noise with a bump, wide in one class and narrow in the other, or of several widths, at a random place."""
    rng = np.random.default_rng(seed)
    labels = np.array(classes)[np.arange(n) % len(classes)]
    axis = np.arange(points) - points // 2
    square = sum(a**2 for a in np.meshgrid(*[axis] * space))
    images = 0.05 * rng.random((n, 1, *(points,) * space))
    for k, image in enumerate(images):
        bump = np.exp(-square / (1.0 + 3.0 * (k % len(classes))) ** 2)
        image += np.roll(bump, rng.integers(points, size=space), axis=tuple(range(space)))
    return images, labels


@pytest.fixture(scope="module")
def fitted():
    images, labels = blobs(60)
    model = ConvolutionalClassifier(**(SMALL | {"epochs": 12}), augment=True)
    return images, labels, model.fit(images, labels, validation=blobs(20, seed=1))


def test_unseen_images_are_classified(fitted):
    _, _, model = fitted
    images, labels = blobs(60, seed=2)
    assert model.score(images, labels) >= 0.95
    assert model.validation_accuracy_[-1] >= 0.95
    assert model.training_loss_[-1] < 0.5 * model.training_loss_[0]
    assert model.training_loss_.shape == model.validation_loss_.shape == (12,)
    probability = model.predict_proba(images)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, atol=1e-6)
    assert (model.predict(images) == model.classes_[probability.argmax(axis=1)]).all()


@pytest.mark.parametrize("space, classes", [(2, (1, 2, 3)), (3, ("a", "b"))])
def test_more_classes_and_three_dimensions(space, classes):
    images, labels = blobs(60, 8, space, classes)
    model = ConvolutionalClassifier(**(SMALL | {"epochs": 10})).fit(images, labels)
    assert model.score(images, labels) > 0.8
    assert model.predict_proba(images[:5]).shape == (5, len(classes))
    score = grad_cam(model, images[:3], classes[0])
    assert score.shape == (3, *(8,) * space)
    assert score.max() > 0


def test_grad_cam_is_equations_3_and_4(fitted):
    """By hand: the scores are linear in the last feature maps, so that their gradient is a product of weights."""
    images, _, model = fitted
    w1, b1, w2, b2, w3, b3, w4, b4 = model.weights_

    def convolve(x, w, b):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="wrap")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        return np.maximum(np.einsum("cxyij,fcij->fxy", windows, w) + b[:, None, None], 0.0)

    for code, label in enumerate(model.classes_):
        found = grad_cam(model, images[:4], label)
        for image, l in zip(images[:4], found):
            a = convolve(convolve(image, w1, b1), w2, b2)
            y = w4 @ (w3 @ a.ravel() + b3) + b4
            probability = np.exp(y - y.max()) / np.exp(y - y.max()).sum()
            np.testing.assert_allclose(probability, model.predict_proba(image[None])[0], atol=1e-5)
            gradient = (w4[code] @ w3).reshape(a.shape)
            alpha = gradient.mean(axis=(1, 2))  # Eq. 3
            total = np.einsum("m,mkl->kl", alpha, a)
            expected = np.maximum(total, 0.0)  # Eq. 4
            np.testing.assert_allclose(l, expected, atol=1e-5 * max(expected.max(), 1e-3))
            signed = grad_cam(model, image[None], label, rectify=False)[0]
            np.testing.assert_allclose(signed, total, atol=1e-5 * np.abs(total).max())


def test_grad_cam_of_an_earlier_convolution():
    """A last convolution that hands its maps on leaves the map of the one before; strides count up to the layer."""
    images, labels = blobs(12)
    settings = SMALL | {"filters": (4, 4), "kernel_sizes": (4, 3), "strides": (2, 1), "epochs": 1}
    model = ConvolutionalClassifier(**settings).fit(images, labels)
    last = np.zeros_like(model.weights_[2])
    last[np.arange(4), np.arange(4), 1, 1] = 1.0
    model.weights_[2], model.weights_[3] = last, np.zeros_like(model.weights_[3])
    model.weights_[1] = model.weights_[1] + 5.0  # no ReLU is zero, so none stops a gradient
    for rectify in (True, False):
        first, second = (grad_cam(model, images, "glass", layer=k, rectify=rectify) for k in (0, 1))
        assert first.shape == (12, 6, 6)
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)
    assert (grad_cam(model, images, "glass", layer=-2) == grad_cam(model, images, "glass", layer=0)).all()
    with pytest.raises(ParameterError, match="2 convolutions, expected -2 to 1, found 2"):
        grad_cam(model, images, "glass", layer=2)


def test_feature_maps_are_periodic(fitted):
    """Moving the image around the periodic box moves the feature maps, and so Grad-CAM, with it."""
    images, _, model = fitted
    shifted = np.roll(images[:2], (5, 3), axis=(2, 3))
    np.testing.assert_allclose(
        grad_cam(model, shifted, "glass"), np.roll(grad_cam(model, images[:2], "glass"), (5, 3), (1, 2)), atol=1e-6
    )


def test_strides_keep_points_in_the_middle():
    """With stride 2 and kernel 4 the mirror image has the mirrored feature maps: no half point is lost."""
    images, labels = blobs(12)
    settings = SMALL | {"kernel_sizes": (4, 3), "strides": (2, 1), "epochs": 1}
    model = ConvolutionalClassifier(**settings).fit(images, labels)
    assert grad_cam(model, images[:2], "glass").shape == (2, 6, 6)
    for k in (0, 2):
        model.weights_[k] = 0.5 * (model.weights_[k] + model.weights_[k][:, :, ::-1])
    mirrored = grad_cam(model, images[:2, :, ::-1], "glass")
    np.testing.assert_allclose(mirrored, grad_cam(model, images[:2], "glass")[:, ::-1], atol=1e-6)
    with pytest.raises(ParameterError, match="must be whole"):
        ConvolutionalClassifier(**(SMALL | {"strides": (2, 1)})).fit(images, labels)
    with pytest.raises(ParameterError, match="do not fit maps of"):
        ConvolutionalClassifier(**(SMALL | {"kernel_sizes": (5, 3), "strides": (5, 1)})).fit(images, labels)


def test_same_seed_same_weights():
    images, labels = blobs(30)
    a, b = (ConvolutionalClassifier(**SMALL, augment=True).fit(images, labels) for _ in range(2))
    for x, y in zip(a.weights_, b.weights_):
        np.testing.assert_array_equal(x, y)
    other = ConvolutionalClassifier(**SMALL, augment=True, seed=1).fit(images, labels)
    assert (a.training_loss_ != other.training_loss_).all()
    assert np.isnan(a.validation_loss_).all()
    state = torch.get_rng_state()
    ConvolutionalClassifier(**SMALL).fit(images, labels)
    assert torch.equal(state, torch.get_rng_state())  # whoever else uses torch is left alone


def test_killed_training_goes_on_to_the_same_result(tmp_path):
    images, labels = blobs(30)
    whole = ConvolutionalClassifier(**SMALL, augment=True, decay=0.5).fit(images, labels, validation=blobs(10, seed=1))

    class Killed(Exception):
        pass

    def kill(epoch, metrics):
        if epoch == 1:
            raise Killed

    file = tmp_path / "deep" / "training.pt"
    model = ConvolutionalClassifier(**SMALL, augment=True, decay=0.5)
    with pytest.raises(Killed):
        model.fit(images, labels, validation=blobs(10, seed=1), checkpoint=file, callback=kill)
    seen = []
    model.fit(images, labels, blobs(10, seed=1), file, callback=lambda epoch, metrics: seen.append((epoch, metrics)))
    assert [epoch for epoch, _ in seen] == [2]
    assert seen[0][1]["validation_loss"] == model.validation_loss_[2]
    for x, y in zip(model.weights_, whole.weights_):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(model.validation_loss_, whole.validation_loss_)
    assert [path.name for path in file.parent.iterdir()] == ["training.pt"]

    with pytest.raises(StoreError, match="other data or with other parameters"):
        ConvolutionalClassifier(**SMALL, seed=1).fit(images, labels, checkpoint=file)
    with pytest.raises(StoreError, match="other data"):
        model.fit(images + 1.0, labels, checkpoint=file)
    with pytest.raises(ParameterError, match="3 epochs are done, 1"):
        ConvolutionalClassifier(**(SMALL | {"epochs": 1}), augment=True, decay=0.5).fit(images, labels, checkpoint=file)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(FormatError, match="not a checkpoint"):
        model.fit(images, labels, checkpoint=file)


def test_images_are_streamed():
    """Of 40 images in 8 chunks at most 10 are held: every epoch reads each chunk once."""
    images, labels = blobs(40)
    reads = []

    def read(block):
        reads.append(len(block))
        return block

    lazy = da.from_array(images, chunks=(5, 1, 6, 12)).map_blocks(read, dtype=float, meta=np.empty((0,) * 4))
    model = ConvolutionalClassifier(**SMALL, buffer=10).fit(lazy, labels)
    assert len(reads) == 3 * 16  # three epochs, eight chunks of two pieces
    source = training.Images(da.from_array(images, chunks=(5, 1, 12, 12)), np.arange(40), 10)
    batches = list(source.batches(4, np.random.default_rng(0)))
    assert max(len(codes) for _, codes in batches) == 4
    order = np.concatenate([codes for _, codes in batches])
    assert sorted(order.tolist()) == list(range(40))
    assert order.tolist() != list(range(40))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), images[order].astype(np.float32))
    # shuffled over the borders of chunks: the first ten come from two of them
    assert len(set((order[:10] // 5).tolist())) == 2
    assert source.kept is None

    reads.clear()
    lazy = lazy.rechunk((5, 1, 12, 12))
    kept = ConvolutionalClassifier(**SMALL, buffer=40).fit(lazy, labels)
    assert len(reads) == 16  # all fit: read once
    predicted = kept.predict(lazy)
    assert isinstance(predicted, da.Array)
    assert (predicted.compute() == kept.predict(images)).all()
    assert kept.score(lazy, labels) == kept.score(images, labels)
    np.testing.assert_allclose(grad_cam(model, lazy, "glass").compute(), grad_cam(model, images, "glass"), atol=1e-6)


def test_a_store_larger_than_the_memory_that_is_allowed(tmp_path):
    """64 MB of images, trained on and predicted with half of that at most."""
    import tracemalloc

    import zarr

    stored = zarr.create_array(tmp_path / "x.zarr", shape=(256, 1, 256, 256), chunks=(8, 1, 256, 256), dtype="f4")
    for k in range(0, 256, 8):
        stored[k : k + 8] = np.random.default_rng(k).random((8, 1, 256, 256), dtype=np.float32)
    images = da.from_zarr(tmp_path / "x.zarr")
    labels = np.arange(256) % 2
    settings = {"filters": (1,), "kernel_sizes": (8,), "strides": (8,), "dense": 2, "epochs": 1, "batch_size": 32}
    tracemalloc.start()
    ConvolutionalClassifier(**settings, buffer=16, device="cpu").fit(images, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**25


def test_augmentation_is_a_symmetry():
    """Every image is a moved, mirrored, turned copy of itself; the channels stay together."""
    rng = np.random.default_rng(0)
    images = rng.random((20, 2, 5, 5))
    out = training.moved(images, rng)
    for image, found in zip(images, out):
        copies = [
            np.roll(np.flip(turned, flips), (i, j), (1, 2))
            for turned in (image, image.swapaxes(1, 2))
            for flips in ((), 1, 2, (1, 2))
            for i in range(5)
            for j in range(5)
        ]
        assert sum(np.array_equal(found, copy) for copy in copies) == 1
    assert not np.array_equal(images, out)
    assert training.moved(rng.random((1, 1, 4, 6)), rng).shape == (1, 1, 4, 6)


def test_saved_and_loaded(fitted, tmp_path):
    images, _, model = fitted
    loaded = load_model(save_model(model, tmp_path / "cnn.npz"))
    np.testing.assert_array_equal(loaded.predict_proba(images), model.predict_proba(images))
    np.testing.assert_array_equal(grad_cam(loaded, images[:2], "liquid"), grad_cam(model, images[:2], "liquid"))
    assert loaded.get_params() | {"filters": (4, 4), "kernel_sizes": (3, 3), "strides": (1, 1)} == model.get_params()


def test_weights_start_alike_and_l2_shrinks_them():
    images, labels = blobs(20)
    free, held = (ConvolutionalClassifier(**(SMALL | {"epochs": 10}), l2=l2).fit(images, labels) for l2 in (0.0, 0.3))
    assert sum((w**2).sum() for w in held.weights_) < 0.5 * sum((w**2).sum() for w in free.weights_)
    assert [w.shape for w in free.weights_] == [
        (4, 1, 3, 3), (4,), (4, 4, 3, 3), (4,), (8, 4 * 144), (8,), (2, 8), (2,)
    ]  # fmt: skip


def test_standardised_with_what_is_trained_on_only():
    """Units and offset of the images are lost; images that are not trained on have no part in it."""
    images, labels = blobs(30)
    other = 7.0 * images[:6] + 100.0
    a = ConvolutionalClassifier(**SMALL, standardize=True).fit(images, labels, validation=(other, labels[:6]))
    assert a.mean_ == pytest.approx(images.mean(), rel=1e-6)
    assert a.scale_ == pytest.approx(images.std(), rel=1e-6)
    b = ConvolutionalClassifier(**SMALL, standardize=True, buffer=7).fit(5.0 * images - 2.0, labels)
    assert b.mean_ == pytest.approx(5 * images.mean() - 2, rel=1e-6)
    one = ConvolutionalClassifier(**SMALL, standardize=True).fit(5.0 * images - 2.0, labels)
    np.testing.assert_allclose(one.training_loss_, a.training_loss_, rtol=1e-3)
    np.testing.assert_allclose(
        grad_cam(one, 5.0 * images[:3] - 2.0, "glass"), grad_cam(a, images[:3], "glass"), atol=1e-3
    )
    with pytest.raises(ParameterError, match="same constant"):
        ConvolutionalClassifier(**SMALL, standardize=True).fit(np.ones((4, 1, 6, 6)), [0, 1, 0, 1])


def test_learning_rate_decays():
    """Steps of a rate that vanishes after the first epoch: the weights stay what they were."""
    images, labels = blobs(20)
    once = ConvolutionalClassifier(**(SMALL | {"epochs": 1})).fit(images, labels)
    thrice = ConvolutionalClassifier(**SMALL, decay=1e-12).fit(images, labels)
    for a, b in zip(once.weights_, thrice.weights_):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_errors(fitted):
    images, labels, model = fitted
    small = ConvolutionalClassifier(**SMALL)
    with pytest.raises(ParameterError, match="expected numbers"):
        small.fit(images[:, 0], labels)
    with pytest.raises(ParameterError, match="give one label for each"):
        small.fit(images, labels[:-1])
    with pytest.raises(ParameterError, match="two or more"):
        small.fit(images, ["glass"] * 60)
    with pytest.raises(ParameterError, match="class 'crystal'"):
        small.fit(images, labels, validation=(images[:1], ["crystal"]))
    with pytest.raises(ParameterError, match="grid them so"):
        small.fit(images, labels, validation=(images[:1, :, :6], ["glass"]))
    with pytest.raises(ParameterError, match="grid them so"):
        model.predict(images[:, :, :6])
    with pytest.raises(ParameterError, match="not fitted"):
        small.predict(images)
    with pytest.raises(ParameterError, match="'crystal' is not among"):
        grad_cam(model, images, "crystal")
    broken = images.copy()
    broken[7, 0, 3, 3] = np.nan
    with pytest.raises(ParameterError, match="image 7 is not finite"):
        small.fit(broken, labels)
    for wrong in (
        {"filters": (4,)},
        {"dense": 0},
        {"dropout": 1.0},
        {"learning_rate": 0.0},
        {"decay": 0.0},
        {"device": "quantum"},
    ):
        with pytest.raises(ParameterError):
            ConvolutionalClassifier(**(SMALL | wrong)).fit(images, labels)
