"""A network of messages between neighbours that turns with the configuration; torch is imported when one is used."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import xarray as xr
from sklearn.base import RegressorMixin

from glassdask.declarations import Count, NotNegative, Positive
from glassdask.errors import BoxError, ConvergenceError, ParameterError, SpeciesError
from glassdask.frames import map_frames
from glassdask.learning.estimators import Estimator, Seed, Share
from glassdask.neighborhood.borders import borders_of
from glassdask.schema import names_and_codes, validate
from glassdask.variables import unmasked

SCALARS = "scalars"
PLACES = ("initial_position", "inherent_position", "cage_position")


def _refuse_hidden(X: xr.Dataset) -> None:
    borders = borders_of(X)
    if borders is not None and not borders.nothing_beyond:
        raise BoxError(
            "EquivariantNetwork: open borders hide neighbours, and what they send: say beyond='nothing' where nothing "
            "is beyond the faces"
        )


class EquivariantNetwork(RegressorMixin, Estimator):
    r"""Numbers for every particle from its surroundings, whichever way the configuration is turned or mirrored.

    Every particle has numbers s and vectors v. In each of several rounds the neighbours j of particle i send some
    combinations of theirs, which are added up with fixed functions of the distance R_k and of the direction,

    .. math::
        a^{lm}_{ik} = \sum_{j: r_{ij} < r_c} R_k(r_{ij}) Y_{lm}(\hat r_{ij}) \, W s_j , \quad l = 0, 1, 2 , \qquad
        b_{ik} = \sum_j R_k(r_{ij}) \, V v_j , \qquad d_{ik} = \sum_j R_k(r_{ij}) \, \hat r_{ij} \cdot V v_j .

    Numbers that do not change under rotations are made of them: combinations of a^0 and d, squares of combinations of
    a^1 and of a^2, products of a^1 with v; and averages of as many combinations of s over a wider shell, with weights
    exp(-r/R). A small
    network makes of these what is added to s, and how much of a^1, b and v the new v has. After the last round another
    one reads the targets off s. Rotations, reflections, translations and the order of the particles change nothing but
    rounding; only mirror images cannot be told apart.

    The functions of the neighbours are not learned, so that a round is one product of small matrices for each particle:
    a configuration of 4096 particles takes about a second to predict with three rounds and five networks. The design is
    ours; the idea of messages with spherical harmonics is that of F. S. Pezzicoli, G. Charpiat and F. P. Landes,
    SciPost Phys. 16, 136 (2024).

    Several networks are trained that differ in their beginnings and in which configurations are held out, side by side
    on as many cores as torch has threads; each is kept as it was when it predicted those best (see `patience`), and
    their mean is the prediction. What is held out goes round, so that with enough networks `predict_held_out` has one
    of every configuration by networks that have not learned from it.

    Parameters
    ----------
    channels, n_vectors : int
        Numbers and vectors of each particle.
    n_messages : int
        Combinations of the numbers that neighbours send.
    n_radial : int
        Functions R_k.
    cutoff, shell : float
        r_c and R.
    rounds : int
    hidden : int
        Width of the small networks.
    dropout : float
    epochs : int
        How often all configurations are learned from.
    patience : int or None
        A network ends when it has not become better in so many epochs. None: each is kept as it is after the last
        epoch, and what is held out tells how well it predicts, without a choice by few configurations.
    learning_rate, l2 : float
        Of Adam with decoupled weight decay; the rate falls to zero along half a cosine.
    validation_fraction : float
        Of the configurations, or of their groups, that are held out from each network; at least one. 0: none is, and
        the last epoch is kept.
    relative : bool
        Learn and predict deviations from the mean over each species of a configuration. A handful of configurations
        cannot tell what distinguishes configurations as a whole.
    whitening : float
        w, at least 0 and less than 1. The loss is the mean square of e - w Se, with e what is missed of the targets and
        S the average over all particles within the shell that have targets, weighted with exp(-r/R). Whole regions are
        faster or slower than structure tells, so that errors of neighbours are alike, and with w = 0 a few
        configurations teach no more than their few regions do; with w near 1 every particle counts.
    variation : float
        v. Least squares favour predictions that vary less than what was measured, by R^2 where that is predictable with
        R, and so do S_4 and chi_4 of the predicted field. v times the mean over the targets of

        .. math:: (\sigma[\hat y] - \sigma[y])^2 + (\sigma[S \hat y] - \sigma[S y])^2

        is added to the loss, with sigma the root mean squares over a configuration, in units of the standard deviation
        and about the mean of training (of the configuration where `relative`), and S as above: the variance of the
        field, and its correlation in space. With v = 10 both are matched, at the price of larger errors. The idea of
        a loss with both is that of G. Jung, G. Biroli and L. Berthier, Phys. Rev. Lett. 130, 238202 (2023).
    n_repeats : int
        Networks.
    seed : int
        The same seed gives the same result on the same machine with the same number of torch's threads.
    device : str
        "auto" (CUDA if there is one, else the CPU) or a torch device.

    Attributes
    ----------
    species_, centers_ : list of str
        All species, and those that had targets: predictions for others are NaN.
    places_ : list of str
        The other structures.
    n_scalars_, n_targets_, dimension_ : int
    mean_, scale_ : arrays (species, target)
        What is subtracted from the targets, and what they are divided by.
    scalar_mean_, scalar_scale_ : arrays (scalar,)
    place_scale_ : array (place,)
        What the components of the ways are divided by.
    n_configurations_ : int
        Configurations that were given.
    held_out_ : array of bool (repeat, configuration)
        Whether a network has not learned from a configuration.
    weights_ : list of arrays (repeat, ...)
    training_loss_, validation_loss_ : arrays (repeat, epoch)
        Mean squares in units of the variance; NaN after a network has ended, and where nothing is held out.
    best_epochs_ : array (repeat,)
        When each network was as it is kept; -1 where it never was better than before it had learned anything, when it
        predicts the mean.

    Examples
    --------
    A number that neighbours decide, learned from one half of the configurations:

    >>> import glassdask as gd
    >>> rng = np.random.default_rng(0)
    >>> gas = gd.from_arrays(6.0 * rng.random((6, 200, 3)), species=["A"] * 200, box=[6.0] * 3)
    >>> near = gd.map_frames(lambda c: c.neighbors(np.arange(200), np.array([[1.5]])).counts, gas, dims=["particle"])
    >>> model = EquivariantNetwork(rounds=1, epochs=40, n_repeats=1, learning_rate=0.02, device="cpu")
    >>> predicted = model.fit(gas.isel(frame=slice(0, 4)), near[:4]).predict(gas.isel(frame=slice(4, 6)))
    >>> bool(np.corrcoef(predicted.values.ravel(), near[4:].values.ravel())[0, 1] > 0.9)
    True
    """

    def __init__(
        self,
        channels: Count = 32,
        n_vectors: Count = 8,
        n_messages: Count = 8,
        n_radial: Count = 6,
        cutoff: Positive = 1.6,
        shell: Positive = 2.1,
        rounds: Count = 3,
        hidden: Count = 64,
        dropout: Share = 0.1,
        epochs: Count = 30,
        patience: Count | None = 8,
        learning_rate: Positive = 3e-3,
        l2: NotNegative = 1e-2,
        validation_fraction: Share = 0.1,
        relative: bool = True,
        whitening: Share = 0.0,
        variation: NotNegative = 0.0,
        n_repeats: Count = 3,
        seed: Seed = 0,
        device: str = "auto",
    ):
        self.channels = channels
        self.n_vectors = n_vectors
        self.n_messages = n_messages
        self.n_radial = n_radial
        self.cutoff = cutoff
        self.shell = shell
        self.rounds = rounds
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.patience = patience
        self.learning_rate = learning_rate
        self.l2 = l2
        self.validation_fraction = validation_fraction
        self.relative = relative
        self.whitening = whitening
        self.variation = variation
        self.n_repeats = n_repeats
        self.seed = seed
        self.device = device

    def fit(
        self,
        X: xr.Dataset,
        y: Any,
        checkpoint: str | os.PathLike[str] | None = None,
        callback: Callable[[int, int, dict[str, float]], Any] | None = None,
        *,
        groups: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Train on configurations.

        Parameters
        ----------
        X : Dataset of the schema
            One configuration a frame; `position` decides who are neighbours. Optionally ``scalars`` (frame, particle,
            feature), numbers that do not change under rotations, such as descriptors or energies; and
            ``initial_position``, ``inherent_position`` and ``cage_position`` (frame, particle, space), other structures
            of the same particles: the ways there are the vectors that each particle has to begin with.
        y : array (frame, particle) or (frame, particle, target)
            NaN where there is nothing to learn, such as for particles of other species.
        checkpoint : path, optional
            A file that holds the state after every epoch. With the same data and parameters, training goes on from
            there, to the same weights as if it had not been interrupted.
        callback : callable, optional
            Called after each epoch with the number of the network, that of the epoch, and training_loss and
            validation_loss; from the thread of the network, of one at a time.
        groups : array (frame,), optional
            Labels; configurations of a group are held out together. By default each is one of its own.
        sample_weight : array (frame,), optional
            Positive weights of the configurations in the loss, such as the inverse of the noise of their targets; only
            ratios matter.

        Raises
        ------
        ParameterError, SchemaError
            When a parameter or a shape is wrong, or nothing is left to learn from.
        StoreError, FormatError
            When the checkpoint cannot be written, belongs to another training, or is damaged.
        ConvergenceError
            When the loss is not finite.
        BoxError
            When open borders hide neighbours.
        """
        self.check_parameters()
        self.require_target(y)
        validate(X)
        _refuse_hidden(X)
        names, codes = names_and_codes(X)
        targets = self._targets(X, y)
        n_frames = X.sizes["frame"]
        if codes.ndim == 2 or "present" in X:
            raise ParameterError("the species or the number of particles change from frame to frame: expected the same")
        self.species_ = list(names)
        self.dimension_ = int(X.sizes["space"])
        known = np.isfinite(targets).any(axis=(0, 2))
        self.centers_ = [name for k, name in enumerate(names) if known[codes == k].any()]
        if not self.centers_:
            raise ParameterError("y is NaN everywhere: there is nothing to learn")
        nothing = np.flatnonzero(~np.isfinite(targets).any(axis=(1, 2)))
        if nothing.size:
            raise ParameterError(
                f"y is NaN everywhere in frame {nothing[0]}, as in {nothing.size} of {n_frames} frames: expected a "
                "target in each: leave out those without"
            )
        self.n_configurations_ = n_frames
        self.held_out_ = self._turns(np.arange(n_frames) if groups is None else np.asarray(groups))
        weights = self._weights(np.ones(n_frames) if sample_weight is None else np.asarray(sample_weight, dtype=float))
        self.n_targets_ = targets.shape[2]
        self.n_scalars_ = int(X[SCALARS].sizes["feature"]) if SCALARS in X else 0
        self.places_ = [name for name in PLACES if name in X]
        self.set_features(self.n_scalars_ + len(self.places_) + 1, None)
        self.mean_, self.scale_ = np.zeros((2, len(names), self.n_targets_))
        self.scale_ += 1.0
        for k in range(len(names)):
            values = self._centred(targets[:, codes == k])
            if np.isfinite(values).any():
                each = np.where(np.isfinite(values), weights[:, None, None], 0.0)
                values, total = np.nan_to_num(values), each.sum(axis=(0, 1))
                self.mean_[k] = (each * values).sum(axis=(0, 1)) / total
                spread = np.sqrt((each * (values - self.mean_[k]) ** 2).sum(axis=(0, 1)) / total)
                self.scale_[k] = np.where(spread > 0, spread, 1.0)
        from glassdask.learning.equivariant_training import train

        history, self.weights_, self.best_epochs_ = train(self, X, codes, targets, weights, checkpoint, callback)
        self.training_loss_, self.validation_loss_ = history[..., 0], history[..., 1]
        if not np.isfinite(self.training_loss_[:, 0]).all():
            raise ConvergenceError(f"the loss is not finite: lower learning_rate, now {self.learning_rate}")
        return self

    def predict(self, X: xr.Dataset) -> xr.DataArray:
        """The targets (frame, particle[, target]) of every particle, lazy: each frame is a task."""
        self.check_fitted()
        return self._predict(X, np.ones((X.sizes["frame"], self.n_repeats), dtype=bool))

    def predict_each(self, X: xr.Dataset) -> xr.DataArray:
        """The same by every network by itself, (frame, particle, repeat[, target]), of which `predict` is the mean.

        They differ in how they began and in what they have not learned from: by how much tells what there is in their
        predictions that their number averages out.
        """
        self.check_fitted()
        return self._predict(X, np.ones((X.sizes["frame"], self.n_repeats), dtype=bool), each=True)

    def predict_held_out(self, X: xr.Dataset) -> xr.DataArray:
        """The same for the configurations of `fit`, in their order, each by those networks only that have not learned
        from it.

        NaN where every network has. With `patience` the weights of a network are those of the epoch in which it
        predicted what it has held out best, so that scores of these predictions are a little too good, and none for a
        final test.
        """
        self.check_fitted()
        if X.sizes["frame"] != self.n_configurations_:
            raise ParameterError(
                f"X has {X.sizes['frame']} configurations: expected all {self.n_configurations_} that were given to "
                "fit, in the same order"
            )
        return self._predict(X, self.held_out_.T)

    def _predict(self, X: xr.Dataset, used: np.ndarray, each: bool = False) -> xr.DataArray:
        """Means over the networks that are used (frame, repeat), NaN where none is; or those of `each`."""
        from glassdask.learning.equivariant_training import predict

        validate(X)
        _refuse_hidden(X)
        names, _ = names_and_codes(X)
        unknown = sorted(set(names) - set(self.species_))
        if unknown:
            raise SpeciesError(
                f"species {', '.join(unknown)} are not among those trained on: {', '.join(self.species_)}"
            )
        self._check_inputs(X)
        order = [self.species_.index(name) for name in names]
        given = [X[name] for name in (*([SCALARS] if self.n_scalars_ else []), *self.places_)]
        repeat = {"repeat": self.n_repeats} if each else {}
        dims = {"particle": X.sizes["particle"], **repeat, "target": self.n_targets_}

        def work(configuration: Any, used: np.ndarray, *values: np.ndarray) -> np.ndarray:
            found = predict(self, configuration, np.array(order)[configuration.species], used, *values)
            return found if each else found[:, used].sum(axis=1) / (used.sum() or np.nan)

        networks = xr.DataArray(used, dims=("frame", "network"))
        found = map_frames(work, X, networks, *given, dims=dims, microseconds=300.0)
        return found.isel(target=0) if self.n_targets_ == 1 else found

    def score(self, X: xr.Dataset, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination over all particles that have targets."""
        self.check_fitted()
        targets = self._targets(X, y)
        predicted = self.predict(X).values.reshape(targets.shape)
        error, total = 0.0, 0.0
        _, codes = names_and_codes(X)
        for k in np.unique(codes):
            values = self._centred(targets[:, codes == k])
            error += float(np.nansum((values - predicted[:, codes == k]) ** 2))
            total += float(np.nansum((values - np.nanmean(values, axis=(0, 1))) ** 2))
        return 1.0 - error / total

    def _turns(self, groups: np.ndarray) -> np.ndarray:
        """Which configurations are held out from each network (repeat, configuration), whole groups in turn."""
        if groups.shape != (self.n_configurations_,):
            raise ParameterError(f"groups has shape {groups.shape}, expected ({self.n_configurations_},)")
        labels = np.unique(groups)
        count = max(1, round(self.validation_fraction * len(labels))) if self.validation_fraction else 0
        if count >= len(labels):
            what = "configurations" if len(labels) == len(groups) else "groups of configurations"
            raise ParameterError(f"{len(labels)} {what}, {count} of them held out: give more, or validation_fraction=0")
        order = labels[np.random.default_rng(self.seed).permutation(len(labels))]
        return np.array([np.isin(groups, np.roll(order, -k * count)[:count]) for k in range(self.n_repeats)])

    def _weights(self, given: np.ndarray) -> np.ndarray:
        """Weights (configuration,) of which the largest is 1."""
        if given.shape != (self.n_configurations_,) or not (np.isfinite(given).all() and (given > 0).all()):
            raise ParameterError(
                f"sample_weight: expected a positive number for each of {self.n_configurations_} configurations"
            )
        weights: np.ndarray = given / given.max()
        return weights

    def _targets(self, X: xr.Dataset, y: Any) -> np.ndarray:
        values = np.asarray(unmasked("y", y.data if isinstance(y, xr.DataArray) else y), dtype=np.float64)
        shape = (X.sizes["frame"], X.sizes["particle"])
        if values.shape[:2] != shape or values.ndim not in (2, 3):
            raise ParameterError(f"y has shape {values.shape}, expected {shape} or {shape} and targets")
        return values.reshape(*shape, -1)

    def _centred(self, values: np.ndarray) -> np.ndarray:
        """Targets of one species (frame, particle, target), less their mean in each frame where that is wanted."""
        if not self.relative or not np.isfinite(values).any():
            return values
        known = np.isfinite(values)
        total, count = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
        deviation: np.ndarray = values - (total / np.where(count > 0, count, np.nan))[:, None]
        return deviation

    def _check_inputs(self, X: xr.Dataset) -> None:
        n_scalars = int(X[SCALARS].sizes["feature"]) if SCALARS in X else 0
        if n_scalars != self.n_scalars_ or X.sizes["space"] != self.dimension_:
            raise ParameterError(
                f"X has {n_scalars} scalars in {X.sizes['space']} dimensions, but the model was trained on "
                f"{self.n_scalars_} in {self.dimension_}: give the same"
            )
        missing = [name for name in self.places_ if name not in X]
        if missing:
            raise ParameterError(f"X has no {', '.join(missing)}, which the model was trained on: give it")
