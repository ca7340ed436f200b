"""Models of the benchmark: ridge regression on a structure, and an equivariant network on what it leaves."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.sources import Study, Task, cpu_seconds
from glassdask.learning import EquivariantNetwork, RidgeCV, grouped_moments, merge_moments, save_model

ALPHAS = tuple(10.0 ** (0.5 * k) for k in range(13))
MOST_FOLDS = 10
WHITENING = 0.8
REPEATS = 4  # choices of training configurations for a point of the learning curve


class Linear:
    """Ridge regression on the smoothed descriptors of one structure, a model for each target and lag.

    What it minimises are the errors less `WHITENING` times their averages over a shell: whole regions are faster or
    slower than structure tells, and plain squares would make much of how few of them there are.
    """

    name = "ridge"

    def __init__(self, structure: str):
        self.structure = structure
        self.seconds = 0.0
        self.fitted: dict[Task, Any] = {}

    def fit(self, study: Study, tasks: list[Task], folder: Path) -> Linear:
        """Learn from all configurations; penalties are chosen by cross-validation among them."""
        started = cpu_seconds()  # descriptors and their averages are part of what learning takes
        x = study.features(self.structure)
        groups = np.repeat(np.arange(study.n_configurations), int(study.is_center.sum()))
        y = np.stack([study.targets[task].ravel() for task in tasks], axis=1)
        local_x, local_y = (
            values - WHITENING * study.averaged(values, self.structure) for values in (x.values, y)
        )  # fmt: skip
        self.parts, self.local = {}, {}
        for k, task in enumerate(tasks):
            self.parts[task] = grouped_moments(x, y[:, k], groups)
            self.local[task] = grouped_moments(x.copy(data=local_x), local_y[:, k], groups)
            self.fitted[task] = self._learned(task, list(self.parts[task]))
        self.seconds = cpu_seconds() - started
        for (target, lag), model in self.fitted.items():
            save_model(model, folder / f"ridge_{self.structure}_{target}_{lag:g}.npz")
        return self

    def predict(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions (configuration, centre)."""
        x = study.features(self.structure)
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
        x = study.by_configuration(study.features(self.structure).values)
        return {
            task: np.array([np.asarray(model.predict(mine)) for model, mine in zip(models, x)])
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


class Network:
    """What ridge regression leaves of all targets and lags at once, by equivariant networks on three structures.

    Each network holds some configurations out, in turn, and their predictions for these tell how much of what the
    networks say is to be added to the ridge regression. What it leaves of the others is told by ridge regressions that
    have seen those configurations: scores of them are a little too good, and none for a final test.
    """

    name = "network"
    structure = "cage+inherent+initial"

    def __init__(self, base: Linear, parameters: dict[str, Any]):
        self.base, self.parameters = base, parameters
        self.seconds = 0.0

    def fit(self, study: Study, tasks: list[Task], folder: Path) -> Network:
        """Learn from all configurations; a training that was interrupted goes on."""
        self.tasks = tasks
        started = cpu_seconds()
        linear = self.base.unseen(study)
        y = np.full((study.n_configurations, len(study.species), len(tasks)), np.nan)
        for k, task in enumerate(tasks):
            y[:, study.is_center, k] = study.targets[task] - linear[task]
        inputs = study.structures(linear)
        digest = hashlib.sha256(json.dumps([self.parameters, tasks]).encode() + y.tobytes()).hexdigest()
        checkpoint = folder / "checkpoints" / f"network_{digest[:12]}.pt"
        self.model = EquivariantNetwork(**self.parameters)
        self.model.fit(inputs, y, checkpoint=checkpoint, callback=_tell)
        held_out = self._of_tasks(self.model.predict_held_out(inputs), study)
        self.shares = {task: _share(held_out[task], study.targets[task] - linear[task]) for task in tasks}
        self._unseen = {task: linear[task] + self.shares[task] * held_out[task] for task in tasks}
        self.seconds = cpu_seconds() - started
        save_model(self.model, folder / "network.npz")
        for (target, lag), share in self.shares.items():
            print(f"{target}, lag {lag:g}: {share:.2f} times what the networks say is added to the ridge regression")
        return self

    def predict(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions (configuration, centre)."""
        linear = self.base.predict(study)
        left = self._of_tasks(self.model.predict(study.structures(linear)), study)
        return {task: linear[task] + self.shares[task] * left[task] for task in self.tasks}

    def unseen(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions for the configurations that were learned from, by networks without them; NaN where none is."""
        return self._unseen

    def _of_tasks(self, found: Any, study: Study) -> dict[Task, np.ndarray]:
        values = found.values.reshape(*found.shape[:2], -1)[:, study.is_center]
        return {task: values[..., k] for k, task in enumerate(self.tasks)}


def _share(said: np.ndarray, left: np.ndarray) -> float:
    """Least squares of what is left on what is said within configurations, from 0 to 1; 1 where nothing is known."""
    known = np.isfinite(said).all(axis=1)
    said, left = (values[known] - values[known].mean(axis=1, keepdims=True) for values in (said, left))
    square = float((said**2).sum())
    return float(np.clip((said * left).sum() / square, 0.0, 1.0)) if square > 0 else float(not known.any())


def _tell(repeat: int, epoch: int, losses: dict[str, float]) -> None:
    words = ", ".join(f"{name.split('_')[0]} {value:.4f}" for name, value in losses.items())
    print(f"network {repeat}, epoch {epoch}: {words}", flush=True)
