"""What was learned at one temperature, scored at others: lags with the same number belong together.

Of Kob and Andersen's mixture the published lags are, from the fourth on, as many relaxation times at every temperature.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import published, scores
from benchmark.models import Model
from benchmark.sources import Settings, Study, Task, refuse_other_models, refuse_seen, temperature_of


def studies(files: list[str], settings: Settings, train: Study, folder: Path) -> list[Study]:
    """The files sorted by the temperatures in their names, one study for each; the lags are those of the files."""
    of: dict[float, list[str]] = {}
    for file in files:
        of.setdefault(temperature_of([file], None), []).append(file)
    found = []
    for temperature, mine in sorted(of.items()):
        own = replace(settings, temperature=temperature, lags=None, rest=train.linear["rest"])
        found.append(Study(mine, own, folder / f"transfer_T{published.temperature_word(temperature)}"))
        refuse_seen(train, found[-1], "--transfer")
        refuse_other_models(train, found[-1], "--transfer")
    return found


def numbers(study: Study) -> dict[float, int]:
    """The number of each lag among the benchmark's times at this temperature, or else among the lags of the files."""
    known = published.times(study.model, study.temperature)
    lags = study.lags.tolist()
    if known is not None and set(lags) <= set(known.tolist()):
        return {lag: known.tolist().index(lag) for lag in lags}
    return {lag: number for number, lag in enumerate(lags)}


def same_tasks(train: Study, other: Study, tasks: list[Task]) -> dict[Task, Task]:
    """The tasks of training, and those of the other temperature with the same target and number of the lag."""
    mine, theirs = numbers(train), {number: lag for lag, number in numbers(other).items()}
    pairs = {(target, lag): (target, theirs[mine[lag]]) for target, lag in tasks if mine[lag] in theirs}
    return {task: theirs for task, theirs in pairs.items() if theirs in other.targets}


def table(models: list[Model], train: Study, other: Study, tasks: list[Task]) -> list[dict[str, Any]]:
    """Scores of all models at another temperature, and what is published of the same transfer."""
    pairs = same_tasks(train, other, tasks)
    rows = []
    where = {"trained_at": train.temperature, "temperature": other.temperature}
    for model in models if pairs else ():
        found = model.predict(other)
        for task, (target, lag) in pairs.items():
            row = scores.rows_of(found[task], other.targets[target, lag])
            rows.append({
                "model": model.name, "structure": model.structure, **where, "lag": lag, "target": target, **row,
            })  # fmt: skip
    known = published.transfer(train.model, train.temperature, other.temperature)
    tau = published.relaxation_time(other.model, other.temperature)
    if tau is not None:
        unknown = {"mean_r": np.nan, "error": np.nan, "n_configurations": 0}
        rows += [
            {"model": name, "structure": "published", **where, "lag": tau, "target": "propensity",
             "pooled_r": r, **unknown}
            for name, r in known.items()
        ]  # fmt: skip
    return rows
