"""Neural network autoencoder (paper A, Secs. II.B.2 and V) in torch, which is imported when one is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from glassdask.declarations import Count, NotNegative, Positive
from glassdask.errors import ConvergenceError, ParameterError
from glassdask.learning.arrays import as_matrix, map_rows
from glassdask.learning.directions import feature_scale
from glassdask.learning.estimators import Estimator, Fraction, Seed, Share, check_width
from glassdask.learning.moments import compute_moments

Callback = Callable[[int, np.ndarray, np.ndarray], Any]


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Network of layers (M, 5M, P, 5M, M) that reproduces its input through a bottleneck of P numbers.

    Layers are tanh, linear (the bottleneck), tanh, linear; weights start from Glorot's uniform distribution, biases
    from zero. Mini-batch gradient descent with momentum minimises

    .. math:: \frac{1}{N M} \sum_i \|X(i) - X^R(i)\|^2 + \lambda \sum w^2

    on the training rows; the loss on the others is taken after each epoch. The defaults are the paper's. All
    `n_repeats` networks see the same batches, from different starting weights, and are trained at once; the one with
    the lowest last validation loss is kept.

    Parameters
    ----------
    n_components : int
        P.
    epochs, batch_size, learning_rate, momentum : int, int, float, float
        The paper takes 250 epochs for Wahnstrom's and 500 for Kob and Andersen's mixture.
    l2 : float
        :math:`\lambda`, in units of the squared features.
    validation_fraction : float
        Fraction of the rows that are not trained on.
    n_repeats : int
        Networks to choose from; the paper takes 10.
    scale : bool
        Divide each feature by its standard deviation first, as in `PCA`.
    unit : float or None
        Number by which the network divides all features, which makes the learning rate a number without units. None is
        their root mean variance; 1 is the paper's network. (On 12000 rows of SBO, which vary by 0.05 only, the latter
        was at an EVR of 0.61 to 0.74 after 250 epochs and needed 2500 for 0.802 and a validation loss of 7.6e-4;
        the former has 0.802 after 250.)
    seed : int
        Of starting weights, the choice of validation rows and the order of batches. Rows are shuffled within chunks
        and chunks among each other, so results depend on the chunks as well, and in the last digits on the number of
        torch's threads, which share the repeats.
    device : str
        "auto" (CUDA if there is one, else the CPU) or a torch device.

    Attributes
    ----------
    explained_variance_ratio_ : float
        Eq. (25), over all rows: :math:`1 - \sum_i \|X(i) - X^R(i)\|^2 / \sum_i \|X(i) - \langle X \rangle\|^2`.
    repeats_explained_variance_ratio_, repeats_validation_loss_ : arrays (repeat,)
        Of each network; their spread is the error in the paper's Table I.
    best_ : int
        The network kept.
    training_loss_, validation_loss_ : arrays (epoch, repeat)
        Loss with its penalty: mean over the batches of an epoch, and after it.
    weights_ : list of arrays
        Weights (in, out) and biases (out,) of the four layers of the network kept, in turn.
    repeats_weights_ : list of arrays
        The same of all networks, (repeat, in, out) and (repeat, out); see `repeat`.
    mean_, scale_ : arrays (feature,)
        What is subtracted and what is divided by, `unit` included.
    n_samples_, n_undefined_ : int
        Rows used, and rows with a NaN, which are left out.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(500, 1)) * [1.0, 2.0, -1.0]
    >>> model = Autoencoder(n_components=1, epochs=20, n_repeats=2, batch_size=20, device="cpu").fit(x)
    >>> bool(model.explained_variance_ratio_ > 0.95), model.transform(x).shape
    (True, (500, 1))
    """

    def __init__(
        self,
        n_components: Count = 2,
        epochs: Count = 250,
        batch_size: Count = 200,
        learning_rate: Positive = 0.05,
        momentum: Share = 0.2,
        l2: NotNegative = 1e-5,
        validation_fraction: Fraction = 0.3,
        n_repeats: Count = 10,
        scale: bool = False,
        unit: Positive | None = None,
        seed: Seed = 0,
        device: str = "auto",
    ):
        self.n_components = n_components
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.l2 = l2
        self.validation_fraction = validation_fraction
        self.n_repeats = n_repeats
        self.scale = scale
        self.unit = unit
        self.seed = seed
        self.device = device

    def fit(self, X: Any, y: Any = None, callback: Callback | None = None) -> Self:
        """Train on `X` (sample, feature); `y` is ignored.

        ``callback(epoch, training loss, validation loss)``, with one loss a repeat, is called after each epoch;
        training ends early where it returns True.
        """
        from glassdask.learning.training import SMALL, Networks, Rows, device_of, side_by_side

        self.check_parameters()
        X, names = as_matrix(X)
        if self.n_components > X.shape[1]:
            raise ParameterError(f"n_components is {self.n_components}, more than the {X.shape[1]} features")
        moments = compute_moments(X)
        moments.require_rows(4)
        if len(moments.constant_features()) == moments.n_features:
            raise ParameterError(f"none of the {moments.n_features} features varies in {moments.n} rows")
        scale = feature_scale(moments) if self.scale else np.ones(moments.n_features)
        total = float((np.diag(moments.xx) / scale**2).sum())
        unit = float(np.sqrt(total / moments.n / moments.n_features)) if self.unit is None else float(self.unit)
        self.mean_, self.scale_ = moments.x_mean, scale * unit
        self.n_samples_, self.n_undefined_ = moments.n, moments.n_undefined
        self.set_features(moments.n_features, names)

        device = device_of(self.device)
        data = Rows(self, X, device)
        with side_by_side(self.n_repeats, device, alone=moments.n_features <= SMALL) as threads:
            networks = Networks(self, moments.n_features, self.l2 / unit**2, device, *threads)
            self._train(data, networks, unit**2, callback)
            error = np.sum([networks.squared_error(rows) for rows in data.everything()], axis=0)
        self.repeats_explained_variance_ratio_ = 1.0 - error * unit**2 / total
        self.explained_variance_ratio_ = float(self.repeats_explained_variance_ratio_[self.best_])
        each = [networks.weights(k) for k in range(self.n_repeats)]
        self.repeats_weights_ = [np.stack(layer) for layer in zip(*each)]
        self.weights_ = each[self.best_]
        return self

    @property
    def _n_features_out(self) -> int:
        return len(self.weights_[3])

    def repeat(self, k: int) -> Autoencoder:
        """The same model with the k-th of the networks that were trained in place of the best one."""
        self.check_fitted()
        if not 0 <= k < len(self.repeats_validation_loss_):
            raise ParameterError(f"repeat {k}: expected 0 to {len(self.repeats_validation_loss_) - 1}")
        other = copy.copy(self)
        other.best_ = k
        other.weights_ = [layer[k] for layer in self.repeats_weights_]
        other.explained_variance_ratio_ = float(self.repeats_explained_variance_ratio_[k])
        return other

    def _train(
        self, data: Any, networks: Any, square: float, callback: Callable[[int, np.ndarray, np.ndarray], Any] | None
    ) -> None:
        training: list[np.ndarray] = []
        validation: list[np.ndarray] = []
        for epoch in range(self.epochs):
            training.append(networks.train(data.shuffled(epoch)) * square)
            validation.append(networks.loss(data.validation) * square)
            if not np.isfinite(validation[-1]).all():
                raise ConvergenceError(
                    f"the loss is not finite after {epoch + 1} epochs: lower learning_rate, now {self.learning_rate}"
                )
            if callback is not None and callback(epoch, training[-1], validation[-1]):
                break
        self.training_loss_, self.validation_loss_ = np.array(training), np.array(validation)
        self.repeats_validation_loss_ = validation[-1]
        self.best_ = int(np.argmin(self.repeats_validation_loss_))

    def transform(self, X: Any) -> Any:
        """Reduced features (sample, component): the bottleneck; lazy for dask, NaN for rows with NaN."""
        X = self.matrix(X)
        w1, b1, w2, b2 = self.weights_[:4]
        mean, scale = self.mean_, self.scale_

        def encode(block: np.ndarray) -> Any:
            return np.tanh((block - mean) / scale @ w1 + b1) @ w2 + b2

        return map_rows(encode, X, len(b2))

    def inverse_transform(self, X: Any) -> Any:
        """Features (sample, feature) reconstructed from reduced ones (sample, component); lazy for dask."""
        self.check_fitted()
        X, _ = as_matrix(X)
        w3, b3, w4, b4 = self.weights_[4:]
        check_width(X.shape[1], len(w3), "inverse_transform")
        mean, scale = self.mean_, self.scale_

        def decode(block: np.ndarray) -> Any:
            return (np.tanh(block @ w3 + b3) @ w4 + b4) * scale + mean

        return map_rows(decode, X, len(b4))

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Train on `X` and give its reduced features."""
        return self.fit(X).transform(X)
