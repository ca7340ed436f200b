"""Models of the benchmark: ridge regression on a structure, and an equivariant network on what it leaves."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from propensity import MEAN, REST

from benchmark.backwards import Ends
from benchmark.scores import within
from benchmark.sources import Study, Task
from benchmark.spending import Spending, cpu_seconds
from glassdask.learning import PCA, EquivariantNetwork, Moments, RidgeCV, grouped_moments, merge_moments, save_model

ALPHAS = tuple(10.0 ** (0.5 * k) for k in range(13))
MOST_FOLDS = 10
WHITENING = 0.8
COMPONENTS = 6
CLEAR = 2.0  # standard errors
MOST = 2.0  # times what networks say, to be added
REPEATS = 4  # choices of training configurations for a point of the learning curve


class Linear:
    """Ridge regression on the smoothed descriptors of one structure, a model for each target and lag.

    Beside the descriptors there are products of two of their first principal components. What it minimises are the
    errors less `WHITENING` times their averages over a shell: whole regions are faster or slower than structure tells,
    and plain squares would make much of how few of them there are.

    Where there are ends of runs (see `backwards`), it learns from them too. They count by the inverse of what it misses
    of them, as compared with the configurations themselves, when it has not learned from them.
    """

    name = "ridge"

    def __init__(self, structure: str):
        self.structure = structure
        self.seconds = 0.0
        self.fitted: dict[Task, Any] = {}

    def fit(self, study: Study, tasks: list[Task], folder: Path, ends: Ends | None = None) -> Linear:
        """Learn from all configurations; penalties are chosen by cross-validation among them."""
        started = cpu_seconds()  # descriptors and their averages are part of what learning takes
        varying = _varying(study.features(self.structure))
        self.components = PCA(min(COMPONENTS, varying.sizes["feature"]), scale=True).fit(varying)
        self.parts, self.local = self._moments(study, tasks, np.arange(study.n_configurations))
        if ends is not None:
            self._learn_backwards(study, ends)
        for task in tasks:
            self.fitted[task] = self._learned(task, list(self.parts[task]))
        self.seconds = cpu_seconds() - started
        for (target, lag), model in self.fitted.items():
            save_model(model, folder / f"ridge_{self.structure}_{target}_{lag:g}.npz")
        save_model(self.components, folder / f"components_{self.structure}.npz")
        return self

    def columns(self, study: Study) -> xr.DataArray:
        """Descriptors and products of their components (sample, column); each less its mean in the configuration."""
        x = study.features(self.structure)
        z = np.asarray(self.components.transform(_varying(x)))
        first, second = np.triu_indices(z.shape[1])
        products = study.by_configuration(z[:, first] * z[:, second])
        products = (products - products.mean(axis=1, keepdims=True)).reshape(len(z), -1)
        names = [*x["feature"].values, *(f"component {a} times {b}" for a, b in zip(first, second))]
        return xr.DataArray(
            np.concatenate([x.values, products], axis=1), dims=x.dims, coords={"feature": names}
        )  # fmt: skip

    def _moments(self, study: Study, tasks: list[Task], of: np.ndarray) -> list[dict[Task, dict[Any, Moments]]]:
        """Of configurations that belong to the groups `of`: as they are, and less a share of averages over shells."""
        x, groups = self.columns(study), np.repeat(of, int(study.is_center.sum()))
        y = np.stack([study.targets[task].ravel() for task in tasks], axis=1)
        local_x, local_y = (
            values - WHITENING * study.averaged(values, self.structure) for values in (x.values, y)
        )  # fmt: skip
        return [
            {task: grouped_moments(x.copy(data=a), b[:, k], groups) for k, task in enumerate(tasks)}
            for a, b in ((x.values, y), (local_x, local_y))
        ]

    def _learn_backwards(self, study: Study, ends: Ends) -> None:
        (task,) = ends.targets
        here = study.targets[task] - self.unseen(study)[task]
        there = ends.targets[task] - self.unseen_ends(ends)[task]
        self.weight = _spread(here) / _spread(there)
        _, local = self._moments(ends, [task], ends.of)
        for group, part in local[task].items():
            self.local[task][group] = merge_moments([self.local[task][group], part.weighted(self.weight)])
        del self._left_out  # those had not learned from ends
        print(
            f"{self.name}, {self.structure}: learns from {len(there)} runs backwards, each with the weight "
            f"{self.weight:.3f}", flush=True,
        )  # fmt: skip

    def predict(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions (configuration, centre)."""
        x = self.columns(study)
        return {task: study.by_configuration(np.asarray(model.predict(x))) for task, model in self.fitted.items()}

    @cached_property
    def _left_out(self) -> dict[Task, list[Any]]:
        """For each configuration a model without it."""
        return {
            task: [self._learned(task, [group for group in parts if group != left_out]) for left_out in parts]
            for task, parts in self.parts.items()
        }

    def unseen(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions for the configurations that were learned from, each by a model without it."""
        x = study.by_configuration(self.columns(study).values)
        return {
            task: np.array([np.asarray(model.predict(mine)) for model, mine in zip(models, x)])
            for task, models in self._left_out.items()
        }

    def unseen_ends(self, ends: Ends) -> dict[Task, np.ndarray]:
        """Predictions for ends of runs, each by a model that has not learned from the configuration it comes from."""
        x = ends.by_configuration(self.columns(ends).values)
        return {
            task: np.array([np.asarray(models[of].predict(mine)) for of, mine in zip(ends.of.tolist(), x)])
            for task, models in self._left_out.items()
        }

    def learned_from_fewer(self, task: Task, size: int) -> list[Any]:
        """Models of a task that learned from `size` configurations only, chosen at random."""
        rng = np.random.default_rng(size)
        return [self._learned(task, rng.permutation(len(self.parts[task]))[:size].tolist()) for _ in range(REPEATS)]

    def _learned(self, task: Task, groups: list[Any]) -> RidgeCV:
        """A model that has learned from some configurations; its mean is theirs, which no whitening must change."""
        model = RidgeCV(ALPHAS, n_folds=min(MOST_FOLDS, len(groups)))
        model.fit_groups({group: self.local[task][group] for group in groups})
        moments = merge_moments(self.parts[task][group] for group in groups)
        model.intercept_ = float(moments.y_mean[0] - model.coef_ @ moments.x_mean)
        return model


class Chosen:
    """Of several regressions, for each task the one that tells best what it has not learned from.

    That is the last one, unless another is better by twice the standard error of their difference: initial structures
    tell of short lags what no cage does.
    """

    def __init__(self, models: list[Linear], study: Study, tasks: list[Task]):
        unseen = [model.unseen(study) for model in models]
        self.of: dict[Task, Linear] = {}
        for task in tasks:
            r = np.array([within(found[task], study.targets[task]) for found in unseen])
            gain, error = (r - r[-1]).mean(axis=1), (r - r[-1]).std(axis=1, ddof=1) / np.sqrt(r.shape[1])
            clear = np.flatnonzero(gain > CLEAR * error)
            self.of[task] = models[clear[gain[clear].argmax()] if clear.size else -1]

    def predict(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions (configuration, centre)."""
        return self._of_each({model: model.predict(study) for model in self._used})

    def unseen(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions for the configurations that were learned from, each by a model without it."""
        return self._of_each({model: model.unseen(study) for model in self._used})

    @property
    def _used(self) -> list[Linear]:
        return list(dict.fromkeys(self.of.values()))

    def _of_each(self, found: dict[Linear, dict[Task, np.ndarray]]) -> dict[Task, np.ndarray]:
        return {task: found[model][task] for task, model in self.of.items()}


class FromRest:
    """How far particles are on average that begin at rest, which nothing is learned for.

    The average is up to the time of the motion whose ratio to the lag is nearest to one.
    """

    name = "motion from rest"
    structure = "initial"
    seconds = 0.0

    def __init__(self, study: Study, tasks: list[Task]):
        times = np.array(study.linear["rest"])
        nearest = {task: int(np.abs(np.log(times / task[1])).argmin()) for task in tasks}
        # after the displacements at all times their means
        self.column = {task: len(times) + number for task, number in nearest.items()}

    def predict(self, study: Study) -> dict[Task, np.ndarray]:
        """The means (configuration, centre)."""
        far = study.trajectory[REST].values[:, study.is_center]
        return {task: far[..., column] for task, column in self.column.items()}

    unseen = predict


def _varying(x: xr.DataArray) -> xr.DataArray:
    """The columns that are not the same for all particles of a configuration."""
    return x[:, [k for k, name in enumerate(x["feature"].values) if not name.startswith(MEAN)]]


class Network:
    """What ridge regression leaves of all targets and lags at once, by equivariant networks on three structures.

    They learn from whole configurations only: ends of runs, with the little that each may count, made epochs several
    times as long and no better, and the regression has learned from them.

    Each network holds some configurations out, in turn, and their predictions for these configurations tell how much of
    what the networks say is to be added to the ridge regression. What it leaves of the others is told by ridge
    regressions that have seen those configurations: scores of them are a little too good, and none for a final test.
    """

    name = "network"
    structure = "cage+inherent+initial"

    def __init__(self, base: Linear | Chosen, parameters: dict[str, Any]):
        self.base, self.parameters = base, parameters
        self.seconds = 0.0

    def fit(self, study: Study, tasks: list[Task], folder: Path) -> Network:
        """Learn from all configurations; a training that was interrupted goes on."""
        self.tasks = tasks
        started = cpu_seconds()
        linear = self.base.unseen(study)
        y = _rests(study, tasks, linear)
        inputs = study.structures(linear)
        digest = hashlib.sha256(json.dumps([self.parameters, tasks]).encode() + y.tobytes()).hexdigest()
        checkpoint = folder / "checkpoints" / f"network_{digest[:12]}.pt"
        self.model = EquivariantNetwork(**self.parameters)
        with Spending(folder / "network.json", "network", digest, started) as spent:
            self.model.fit(inputs, y, checkpoint=checkpoint, callback=_tell)
        self.seconds = spent.seconds
        held_out = self._of_tasks(self.model.predict_held_out(inputs), study)
        self.shares = {task: _share(held_out[task], study.targets[task] - linear[task]) for task in tasks}
        hold = self.model.held_out_.sum(axis=0)
        self.alone = float(hold[hold > 0].mean()) if hold.any() else float(self.model.n_repeats)
        self._unseen = {task: linear[task] + self.shares[task] * held_out[task] for task in tasks}
        save_model(self.model, folder / "network.npz")
        for (target, lag), share in self.shares.items():
            print(f"{target}, lag {lag:g}: {share:.2f} times what the networks say is added to the ridge regression")
        return self

    def predict(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions (configuration, centre)."""
        linear = self.base.predict(study)
        each = self.model.predict_each(study.structures(linear)).transpose("repeat", ...)
        said = [self._of_tasks(one, study) for one in each.load()]
        found = {}
        for task in self.tasks:
            of_networks = np.array([one[task] for one in said])
            share = min(MOST, self.shares[task] * _steadier(of_networks, self.alone))
            found[task] = linear[task] + share * of_networks.mean(axis=0)
        return found

    def unseen(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions for the configurations that were learned from, by networks without them; NaN where none is."""
        return self._unseen

    def _of_tasks(self, found: Any, study: Study) -> dict[Task, np.ndarray]:
        values = found.values.reshape(*found.shape[:2], -1)[:, study.is_center]
        return {task: values[..., k] for k, task in enumerate(self.tasks)}


Model = Linear | Network | FromRest


def _rests(study: Study, tasks: list[Task], linear: dict[Task, np.ndarray]) -> np.ndarray:
    """What predictions leave of the targets (configuration, particle, task); NaN for other species."""
    y = np.full((study.n_configurations, len(study.species), len(tasks)), np.nan)
    for k, task in enumerate(tasks):
        y[:, study.is_center, k] = study.targets[task] - linear[task]
    return y


def _spread(rests: np.ndarray) -> float:
    """Mean over the configurations (configuration, centre) of the variance within them."""
    return float(rests.var(axis=1).mean())


def _share(said: np.ndarray, left: np.ndarray) -> float:
    """Least squares of what is left on what is said within configurations, from 0 to 2; 1 where nothing is known."""
    known = np.isfinite(said).all(axis=1)
    said, left = (values[known] - values[known].mean(axis=1, keepdims=True) for values in (said, left))
    square = float((said**2).sum())
    return float(np.clip((said * left).sum() / square, 0.0, MOST)) if square > 0 else float(not known.any())


def _steadier(said: np.ndarray, few: float) -> float:
    """By how much more of the mean of all networks should be added than of the mean of a few.

    Least squares are the covariance with what is left, which is the same for both, over the variance of what is said
    (network, configuration, centre) within configurations. The latter is what networks say alike and, divided by their
    number, what each says by chance. No target enters.
    """
    n = len(said)
    if n == 1:
        return 1.0
    single, mean = (_spread(values) for values in (said.reshape(-1, said.shape[-1]), said.mean(axis=0)))
    chance = max(single - mean, 0.0) / (1.0 - 1.0 / n)
    return (single - chance + chance / few) / mean if mean > 0 else 1.0


def _tell(repeat: int, epoch: int, losses: dict[str, float]) -> None:
    words = ", ".join(f"{name.split('_')[0]} {value:.4f}" for name, value in losses.items())
    print(f"network {repeat}, epoch {epoch}: {words}", flush=True)
