"""Convolutional classifier of whole configurations (paper C, Sec. III A); torch is imported when one is trained."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, Any, Self

import dask.array as da
import numpy as np
from sklearn.base import ClassifierMixin

from glassdask.declarations import Count, NotNegative, Positive, Where
from glassdask.errors import ConvergenceError, ParameterError
from glassdask.learning.arrays import checked_labels
from glassdask.learning.estimators import Estimator, Seed, Share
from glassdask.learning.images import as_images, check_shape, feature_shape, map_images
from glassdask.variables import unmasked


class ConvolutionalClassifier(ClassifierMixin, Estimator):
    r"""Convolutions with circular padding, no pooling, and two dense layers: which class is an image of?

    Each convolution is followed by a ReLU; the last feature maps go to a dense layer, dropout, and a dense layer with
    one score :math:`y^C` a class, whose softmax is the probability (paper C, Sec. III A and supplement I B; there is
    no activation between the dense layers). Adam minimises the cross entropy, with an L2 penalty on all weights. As in
    the paper, the number of epochs is fixed and the network after the last one is kept; validation images are only
    looked at. Numbers and sizes of filters are in a figure of the paper that was not to be had: the defaults are ours.

    Images are read in batches, chunk by chunk: a data set never needs to fit into memory.

    Parameters
    ----------
    filters, kernel_sizes, strides : sequences of int, one for each convolution
        Padding is (kernel - stride) / 2 points on all sides, around the periodic box, which must be whole: feature
        maps then have 1/stride as many points, in the middle of those they stand for.
    dense : int
        Width of the first dense layer.
    dropout : float
        Fraction of its outputs that are dropped while training.
    epochs, batch_size, learning_rate, l2 : int, int, float, float
        Of Adam; the paper takes 250, 5 and 1e-6 with 8000 images, and does not give the strength of L2. `l2` is
        torch's ``weight_decay``: the penalty is l2 / 2 times the sum of the squared weights.
    decay : float
        Factor by which the learning rate becomes smaller from epoch to epoch. 1 is the paper's.
    augment : bool
        Train on images that are moved along the axes by random numbers of points and mirrored, with axes of equal
        length exchanged: symmetries of a cubic periodic box. Not in the paper.
    standardize : bool
        Subtract the mean of all training images and divide by their standard deviation first. The paper feeds images
        in [0, 1]; a few hundred images are learned only so.
    buffer : int
        Images that are held in memory and shuffled together; fewer only where a chunk is larger.
    seed : int
        Of the starting weights, the order of images, dropout and augmentation. Results also depend on the chunks,
        `buffer` and the number of torch's threads.
    device : str
        "auto" (CUDA if there is one, else the CPU) or a torch device.

    Attributes
    ----------
    classes_ : array (class,)
        Labels in ascending order.
    weights_ : list of arrays
        Weights and biases, float32, layer by layer.
    mean_, scale_ : float
        What is subtracted from all images, and what they are divided by.
    image_shape_ : tuple
        (channel, x, y) or (channel, x, y, z).
    training_loss_, training_accuracy_ : arrays (epoch,)
        Means over the images of an epoch, as they were trained on (with dropout).
    validation_loss_, validation_accuracy_ : arrays (epoch,)
        Of the validation images after each epoch; NaN without any.
    n_features_in_, n_samples_ : int
        Numbers in an image, and images.

    Examples
    --------
    Stripes that run along x or along y, at any place:

    >>> rng = np.random.default_rng(0)
    >>> wave = np.cos(0.5 * np.pi * (np.arange(8) + rng.integers(4, size=(40, 1))))[:, None, :, None] + np.zeros(8)
    >>> label = np.array(["x", "y"] * 20)
    >>> wave[label == "y"] = wave[label == "y"].swapaxes(2, 3)
    >>> model = ConvolutionalClassifier(filters=(4,), kernel_sizes=(3,), strides=(1,), dense=8, epochs=15,
    ...                                 learning_rate=0.01, device="cpu").fit(wave, label)
    >>> model.score(wave, label), model.predict(wave[:2]).tolist()
    (1.0, ['x', 'y'])
    """

    classes_: np.ndarray

    def __init__(
        self,
        filters: tuple[Count, ...] = (8, 16, 16),
        kernel_sizes: tuple[Count, ...] = (5, 5, 5),
        strides: tuple[Count, ...] = (1, 1, 1),
        dense: Count = 64,
        dropout: Share = 0.5,
        epochs: Count = 250,
        batch_size: Count = 5,
        learning_rate: Positive = 1e-6,
        l2: NotNegative = 1e-5,
        decay: Annotated[float, Where(lambda x: 0 < x <= 1, "a number above 0 and at most 1")] = 1.0,
        augment: bool = False,
        standardize: bool = False,
        buffer: Count = 2048,
        seed: Seed = 0,
        device: str = "auto",
    ):
        self.filters = filters
        self.kernel_sizes = kernel_sizes
        self.strides = strides
        self.dense = dense
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.l2 = l2
        self.decay = decay
        self.augment = augment
        self.standardize = standardize
        self.buffer = buffer
        self.seed = seed
        self.device = device

    def fit(
        self,
        X: Any,
        y: Any,
        validation: tuple[Any, Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        callback: Callable[[int, dict[str, float]], Any] | None = None,
    ) -> Self:
        """Train on images `X` (sample, channel, x, y[, z]) with labels `y` (sample,).

        Parameters
        ----------
        X : NumPy, dask or DataArray
            Read anew in every epoch unless all images fit into `buffer`.
        y : array (sample,)
            Labels of two or more classes, numbers or text.
        validation : (X, y), optional
            Images that are not learned from.
        checkpoint : path, optional
            A file that holds the state after every epoch. With the same images, labels and parameters, training goes
            on from there, to the same result as if it had not been interrupted; with more `epochs`, too.
        callback : callable, optional
            Called after each epoch with its number and a dict of training_loss, training_accuracy, validation_loss
            and validation_accuracy.

        Raises
        ------
        ParameterError
            When a parameter, a shape or a label is wrong, or an image is not finite.
        StoreError, FormatError
            When the checkpoint cannot be written, belongs to another training, or is damaged.
        ConvergenceError
            When the loss is not finite.
        """
        self.check_parameters()
        layers = [self.filters, self.kernel_sizes, self.strides]
        if len({len(layer) for layer in layers}) != 1 or not len(self.filters):
            raise ParameterError(f"filters, kernel_sizes and strides have lengths {list(map(len, layers))}: one each")
        X, shape = as_images(X)
        labels = _labels(y, X.shape[0], "y")
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ParameterError(f"the labels have the classes {self.classes_.tolist()}, expected two or more")
        held_out = None
        if validation is not None:
            Xv, other = as_images(validation[0])
            check_shape(shape, other)
            held_out = (Xv, self._codes(_labels(validation[1], Xv.shape[0], "the validation's y")))
        feature_shape(shape, self.kernel_sizes, self.strides)
        self.image_shape_ = shape
        self.set_features(int(np.prod(shape)), None)
        self.n_samples_ = int(X.shape[0])
        from glassdask.learning.convolution_training import train

        history, self.weights_ = train(self, (X, self._codes(labels)), held_out, checkpoint, callback)
        if not np.isfinite(history[:, 0]).all():
            raise ConvergenceError(f"the loss is not finite: lower learning_rate, now {self.learning_rate}")
        self.training_loss_, self.training_accuracy_, self.validation_loss_, self.validation_accuracy_ = history.T
        return self

    def predict_proba(self, X: Any) -> Any:
        """Probabilities (sample, class), the classes in the order of `classes_`; lazy for dask."""
        from glassdask.learning.convolution_training import probabilities

        self.check_fitted()
        return map_images(probabilities, self, X, (len(self.classes_),))

    def predict(self, X: Any) -> Any:
        """The most probable class of each image, (sample,); lazy for dask."""
        probability = self.predict_proba(X)
        if isinstance(probability, da.Array):
            empty = np.empty(0, dtype=self.classes_.dtype)
            return da.map_blocks(self._most_probable, probability, drop_axis=1, dtype=empty.dtype, meta=empty)
        return self._most_probable(probability)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Fraction of images whose class is predicted."""
        found = np.asarray(self.predict(X)) == _labels(y, X.shape[0], "y")
        return float(np.average(found, weights=sample_weight))

    def _most_probable(self, probability: np.ndarray) -> np.ndarray:
        labels: np.ndarray = self.classes_[probability.argmax(axis=1)]
        return labels

    def _codes(self, labels: np.ndarray) -> np.ndarray:
        unknown = sorted(set(labels.tolist()) - set(self.classes_.tolist()))
        if unknown:
            raise ParameterError(f"class {unknown[0]!r} is not among those trained on: {self.classes_.tolist()}")
        return np.searchsorted(self.classes_, labels)


def _labels(y: Any, n: int, what: str) -> np.ndarray:
    labels = np.asarray(unmasked(what, y))
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (n,):
        raise ParameterError(f"{what} has shape {labels.shape} for {n} images: give one label for each")
    return checked_labels(labels, what)
