"""Models of the benchmark: ridge regression on a structure, and an equivariant network on what it leaves."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.sources import Study, Task
from glassdask.learning import EquivariantNetwork, RidgeCV, grouped_moments, save_model

ALPHAS = tuple(10.0 ** (0.5 * k) for k in range(13))
MOST_FOLDS = 10
REPEATS = 4  # choices of training configurations for a point of the learning curve


class Linear:
    """Ridge regression on the smoothed descriptors of one structure, a model for each target and lag."""

    name = "ridge"

    def __init__(self, structure: str):
        self.structure = structure
        self.seconds = 0.0
        self.fitted: dict[Task, Any] = {}

    def fit(self, study: Study, tasks: list[Task], folder: Path) -> Linear:
        """Learn from all configurations; penalties are chosen by cross-validation among them."""
        x = study.features(self.structure)
        started = time.process_time()
        groups = np.repeat(np.arange(study.n_configurations), int(study.is_center.sum()))
        self.parts = {task: grouped_moments(x, study.targets[task].ravel(), groups) for task in tasks}
        for task, parts in self.parts.items():
            self.fitted[task] = self._model(len(parts)).fit_groups(parts)
        self.seconds = time.process_time() - started
        for (target, lag), model in self.fitted.items():
            save_model(model, folder / f"ridge_{self.structure}_{target}_{lag:g}.npz")
        return self

    def predict(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions (configuration, centre)."""
        x = study.features(self.structure)
        return {task: study.by_configuration(np.asarray(model.predict(x))) for task, model in self.fitted.items()}

    def unseen(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions for the configurations that were learned from, each by a model without it."""
        x = study.by_configuration(study.features(self.structure).values)
        out = {}
        for task, parts in self.parts.items():
            found = []
            for left_out in parts:
                others = {group: part for group, part in parts.items() if group != left_out}
                model = self._model(len(others)).fit_groups(others)
                found.append(np.asarray(model.predict(x[len(found)])))
            out[task] = np.array(found)
        return out

    def learned_from_fewer(self, task: Task, size: int) -> list[Any]:
        """Models of a task that learned from `size` configurations only, chosen at random."""
        parts, rng = self.parts[task], np.random.default_rng(size)
        choices = [rng.permutation(len(parts))[:size].tolist() for _ in range(REPEATS)]
        return [self._model(size).fit_groups({k: parts[k] for k in chosen}) for chosen in choices]

    def _model(self, n: int) -> RidgeCV:
        return RidgeCV(ALPHAS, n_folds=min(MOST_FOLDS, n))


class Network:
    """What ridge regression leaves of all targets and lags at once, by an equivariant network on three structures."""

    name = "network"
    structure = "cage+inherent+initial"

    def __init__(self, base: Linear, parameters: dict[str, Any]):
        self.base, self.parameters = base, parameters
        self.seconds = 0.0

    def fit(self, study: Study, tasks: list[Task], folder: Path) -> Network:
        """Learn from all configurations; a training that was interrupted goes on."""
        self.tasks = tasks
        unseen = self.base.unseen(study)
        y = np.full((study.n_configurations, len(study.species), len(tasks)), np.nan)
        for k, task in enumerate(tasks):
            y[:, study.is_center, k] = study.targets[task] - unseen[task]
        started = time.process_time()
        digest = hashlib.sha256(json.dumps([self.parameters, tasks]).encode() + y.tobytes()).hexdigest()
        checkpoint = folder / "checkpoints" / f"network_{digest[:12]}.pt"
        self.model = EquivariantNetwork(**self.parameters)
        self.model.fit(study.structures(), y, checkpoint=checkpoint, callback=_tell)
        self.seconds = time.process_time() - started
        save_model(self.model, folder / "network.npz")
        return self

    def predict(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions (configuration, centre)."""
        left = self.model.predict(study.structures()).values
        left = left.reshape(*left.shape[:2], -1)[:, study.is_center]
        linear = self.base.predict(study)
        return {task: linear[task] + left[..., k] for k, task in enumerate(self.tasks)}


def _tell(repeat: int, epoch: int, losses: dict[str, float]) -> None:
    words = ", ".join(f"{name.split('_')[0]} {value:.4f}" for name, value in losses.items())
    print(f"network {repeat}, epoch {epoch}: {words}", flush=True)
