"""Why numbers differ: one thing is varied at a time, and each result stands beside the published value.

The samples are those that are kept (`paper_b.kept`). Each experiment is stored as soon as it is done, and is not done
again; ``experiments.csv`` has one line for each quantity of each experiment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from report import explains
from sklearn.model_selection import StratifiedKFold

import glassdask as gd
from glassdask import learning
from glassdask.files import read_json, write_json
from paper_b import activity, classify, kept, stepwise
from paper_b.published import FRACTION, PROPENSITY, RADII, System

CUTOFFS = (2.0, 3.0, 4.0, 5.0)
FRACTIONS = (0.025, 0.05, 0.1)
THRESHOLDS = (0.3, 0.6, 1.2)
PENALTIES = (0.01, 1.0, 100.0)
SPLITS = {"by configuration": True, "particles at random": False}
# Errors that tell what has to be told apart; those of the first features as of A-A features alone
TELLING = {"first": 0.035, "ten": 0.035, "A-A": 0.035, "best": 0.025, "R": 0.01}
LEAST = 3  # independent configurations: with two, one is learned from and errors are not known
ENOUGH = {True: 2, False: 3}  # bodies that the highest accuracy needs, in mixtures and in the polymer


@dataclass(frozen=True)
class Finding:
    """One quantity of one experiment; `published` None where the paper has no number for it."""

    system: str
    activation: str
    varied: str
    value: str
    quantity: str
    ours: float
    error: float
    published: float | None
    rounding: float
    rows: int

    @property
    def errors_off(self) -> float:
        """Distance from the published value in standard errors of both, NaN without one."""
        if self.published is None:
            return float("nan")
        return float((self.ours - self.published) / max(np.hypot(self.error, self.rounding), 1e-12))


@dataclass
class Findings:
    """All quantities, and the features selected first: (system, activation, varied, value) -> names with accuracies."""

    numbers: list[Finding]
    selected: dict[tuple[str, str, str, str], list[tuple[str, float]]]

    def of(self, system: str, activation: str, varied: str, quantity: str) -> list[Finding]:
        """One quantity against what is varied."""
        wanted = (system, activation, varied, quantity)
        return [f for f in self.numbers if (f.system, f.activation, f.varied, f.quantity) == wanted]


def run(system: System, activation: str, sample: kept.Sample, folder: Path, done: Callable) -> Findings:
    """All experiments with one sample: of all its readings, and of what else is varied with its main one.

    What is done is in ``folder/experiments``; remove a file there to do its experiments again.
    """
    path = folder / "experiments" / f"{activation}_{system.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = read_json(path) or {}
    study = _Experiments(system, activation, sample)
    for (varied, value), work in study.plan().items():
        name = f"{varied}: {value}"
        if name not in stored:
            numbers, selected = work()
            stored[name] = {
                "numbers": [asdict(study.finding(varied, value, *n)) for n in numbers],
                "selected": selected,
            }
            write_json(path, stored)
            done(f"experiment: {system.title}, {activation}, {name}")
    found = Findings([], {})
    for varied, value in study.plan():
        one = stored[f"{varied}: {value}"]
        found.numbers += [Finding(**number) for number in one["numbers"]]
        if one["selected"]:
            found.selected[system.name, activation, varied, value] = [tuple(pair) for pair in one["selected"]]
    return found


class _Experiments:
    """The experiments with one sample."""

    def __init__(self, system: System, activation: str, sample: kept.Sample):
        self.system, self.activation, self.sample, self.main = system, activation, sample, sample.main
        self.r_cut = RADII[activation]
        self.known: dict[tuple[float, int], Any] = {}

    def plan(self) -> dict[tuple[str, str], Callable[[], tuple[list, list]]]:
        """What is varied and its value -> the work."""
        found: dict[tuple[str, str], Callable] = {}
        for name in self.sample.activity:
            if len(np.unique(self.sample.group[self.sample.known(name)])) < LEAST:
                continue
            found["who moved", name] = lambda name=name: self._accuracies(name, select=3)
        half = 0.5 * np.min(self.sample.configurations["box"].values[:, range(3), range(3)])
        for r_cut in (r for r in CUTOFFS if r < half):
            found["r_cut", f"{r_cut:g}"] = lambda r=r_cut: self._accuracies(self.main, r_cut=r, select=2)
        told, values = ("fraction", FRACTIONS) if self.activation == "thermal" else ("threshold", THRESHOLDS)
        for value in values:
            found[told, f"{value:g}"] = lambda v=value: self._accuracies(self.main, active=v, select=2)
        for name, apart in SPLITS.items():
            found["split", name] = lambda apart=apart: self._accuracies(self.main, apart=apart)
        for C in PENALTIES:
            found["C of the regression", f"{C:g}"] = lambda C=C: self._accuracies(self.main, C=C)
        groups = np.unique(self.sample.group[self.sample.known(self.main)])
        for n in sorted({max(2, len(groups) // 4), max(2, len(groups) // 2), len(groups)}):
            found["configurations", str(n)] = lambda n=n: self._accuracies(self.main, only=groups[:n])
        found["features to select from", "2- and 3-body"] = lambda: self._accuracies(self.main, select=3, bodies=3)
        return found

    def finding(self, varied: str, value: str, quantity: str, ours: float, error: float, rows: int) -> Finding:
        """With the published value."""
        published = self.system.accuracies[self.activation]
        pairs = {"first": published.first, "A-A": published.same, "best": published.best, "ten": published.ten}
        if self.activation == "thermal":
            pairs["R"] = (PROPENSITY, 0.005)
        value_of, rounding = pairs.get(quantity) or (None, 0.0)
        return Finding(
            self.system.name, self.activation, varied, value, quantity, ours, error, value_of, rounding, rows
        )

    def _features(self, r_cut: float, bodies: int) -> list[Any]:
        """Of all particles of type A, configuration by configuration."""
        if (r_cut, bodies) not in self.known:
            descriptor = gd.ACE(
                r_cut=r_cut, degree=self.system.degree, n_max=self.system.n_max, body_order=bodies
            )  # fmt: skip
            frames = self.sample.configurations
            self.known = {  # the last one
                (r_cut, bodies): [
                    gd.describe(frames.isel(frame=[k]), [descriptor], centers="A")["ace"].isel(frame=0).compute()
                    for k in range(frames.sizes["frame"])
                ]
            }
        return self.known[r_cut, bodies]

    def _accuracies(
        self,
        name: str,
        *,
        r_cut: float | None = None,
        active: float | None = None,
        apart: bool = True,
        C: float = 1.0,
        only: Iterable[int] | None = None,
        select: int = 0,
        bodies: int | None = None,
    ) -> tuple[list[tuple[str, float, float, int]], list[tuple[str, float]]]:
        """Accuracies of features in body order, R with the propensity, and the features selected first."""
        sample = self.sample
        frames = sample.known(name)
        if only is not None:
            frames = frames[np.isin(sample.group[frames], list(only))]
        features = self._features(self.r_cut if r_cut is None else r_cut, bodies or ENOUGH[self.system.mixture])
        x, labels, groups = self.rows(name, frames, features, active)
        borders = classify.body_orders(features[0])
        sizes = {"first": 1, "A-A": borders["A-A"], "best": x.shape[1]}
        if self.system.mixture:
            sizes |= {"A-A and B1": borders["A-A"] + 1, "best": borders["2-body"]}
        if self.system.accuracies[self.activation].ten is not None:
            sizes["ten"] = 10
        model = learning.LogisticRegression(C=C)
        numbers = []
        for quantity, size in sizes.items():
            right = np.zeros(len(labels), bool)
            for train, test in self._folds(labels, groups, apart):
                fitted = model.fit(x[train, :size], labels[train])
                right[test] = fitted.predict(x[test, :size]) == labels[test]
            numbers.append((quantity, *classify.accuracy(right, groups), len(labels)))
        beside = self._propensity(name)
        if beside is not None:
            r = [learning.pearson(sample.activity[name][k], sample.activity[beside][k]) for k in frames]
            numbers.append(("R", float(np.mean(r)), float(np.std(r, ddof=1) / np.sqrt(len(r))), len(labels)))
        selected: list[tuple[str, float]] = []
        if select:
            order, scores = stepwise.select(x, labels, classify.folds(groups), select, C)
            selected = [(str(features[0]["ace_feature"].values[k]), s) for k, s in zip(order, scores)]
        return numbers, selected

    def rows(
        self, name: str, frames: np.ndarray, features: list[Any], active: float | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features, labels and groups of the balanced set of a reading.

        `active` is the fraction of the most mobile particles, in shear the D2min above which a particle has rearranged;
        the pipeline's where it is None.
        """
        values, which = self.sample.activity[name][frames], np.repeat(frames, self.sample.majority.sum())
        if self.activation == "thermal":
            rows, labels = learning.balanced_extremes(values.ravel(), active or FRACTION, which)
        else:
            rows, labels = learning.balanced_above(values.ravel(), active or activity.THRESHOLD, which)
        x = np.concatenate([features[k].values[self.sample.majority] for k in frames])[rows]
        return x, labels, self.sample.group[which[rows]]

    def _propensity(self, name: str) -> str | None:
        """The reading of the propensity over the same time, of all runs."""
        lag, *rest = name.split(", ")
        some = [other for other in self.sample.activity if other.startswith(f"{lag}, propensity")]
        alike = [other for other in some if other.split(", ")[2:] == rest[1:]] or some
        return alike[0] if alike and name not in some else None

    @staticmethod
    def _folds(labels: np.ndarray, groups: np.ndarray, apart: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        """The folds of the pipeline, or ones that divide configurations, as a careless split does."""
        if apart:
            return classify.folds(groups)
        return list(StratifiedKFold(classify.FOLDS, shuffle=True, random_state=0).split(labels, labels))


def radial_rows(system: System, activation: str, sample: kept.Sample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radial features, labels and groups of the balanced set of the main reading."""
    study = _Experiments(system, activation, sample)
    return study.rows(sample.main, sample.known(sample.main), study._features(study.r_cut, 2))


def table(found: Findings) -> Mapping[str, list]:
    """All numbers as columns."""
    names = ("system", "activation", "varied", "value", "quantity", "ours", "error", "published", "rows")
    columns: dict[str, list] = {name: [getattr(f, name) for f in found.numbers] for name in names}
    columns["published"] = ["" if p is None else p for p in columns["published"]]
    columns["errors off"] = ["" if np.isnan(f.errors_off) else round(f.errors_off, 2) for f in found.numbers]
    return columns


def reason(
    found: Findings,
    system: str,
    activation: str,
    quantity: str,
    ours: tuple[float, float | None],
    published: tuple[float, float],
) -> str:
    """The experiment that explains why a number differs from the published one, in words, or which way leads there.

    It is within two errors of it, off ours by more than either error, and at most half as far from it as ours. An
    experiment whose error is too large to tell is none, nor is one with fewer configurations. Else it is the way that
    runs or configurations lead (`_trend`), or nothing.
    """
    known = [f for f in found.numbers if (f.system, f.activation, f.quantity) == (system, activation, quantity)]
    value, rounding = published
    near = [
        f for f in known
        if abs(f.ours - value) <= 2 * np.hypot(f.error, rounding) and f.error <= TELLING[quantity]
        and f.varied != "configurations" and explains(ours[0], f.ours, value)
        and abs(f.ours - ours[0]) > max(f.error, ours[1] or 0.0)
    ]  # fmt: skip
    if not near:
        return _trend(known, value)
    best = min(near, key=lambda f: (abs(f.ours - value) / np.hypot(f.error, rounding), f.error))
    return f"{best.varied} {best.value}: {best.ours:.3f} ± {best.error:.3f}"


def of_runs(known: Iterable[Finding]) -> dict[str, list[tuple[str, Finding]]]:
    """Each way to measure who moved of which several numbers of runs are known: these in order, at last all ("all").

    >>> some = ["lag 3, D2min 2", "lag 3, D2min 2, 8 runs", "lag 3, D2min 2, 1 run", "lag 3, propensity"]
    >>> known = [Finding("polymer", "thermal", "who moved", x, "best", 0.8, 0.1, None, 0.0, 9) for x in some]
    >>> {measured: [number for number, _ in steps] for measured, steps in of_runs(known).items()}
    {'lag 3, D2min 2': ['1', '8', 'all']}
    """
    moved = [f for f in known if f.varied == "who moved"]
    series: dict[str, list[tuple[float, Finding]]] = {}
    for f in moved:
        if counted := re.fullmatch(r"(.*), (\d+) runs?", f.value):
            series.setdefault(counted[1], []).append((float(counted[2]), f))
    for f in moved:
        if f.value in series:
            series[f.value].append((float("inf"), f))
    return {
        measured: [("all" if n == float("inf") else f"{n:g}", f) for n, f in sorted(steps, key=lambda step: step[0])]
        for measured, steps in series.items()
        if len(steps) > 1
    }


def _trend(known: Sequence[Finding], published: float) -> str:
    """How more of what the paper has more of, runs or configurations, leads step by step to a published value.

    At least two steps, each a fifth of the way or more, the way more than two errors of any and half of the distance.
    """
    ways = {f"{measured}: with {{}} runs": steps for measured, steps in of_runs(known).items()}
    ways["with {} configurations"] = [(f.value, f) for f in known if f.varied == "configurations"]
    best, most = "", 0.0
    for told, steps in ways.items():
        gaps = [abs(f.ours - published) for _, f in steps]
        if len(gaps) < 3 or not explains(steps[0][1].ours, steps[-1][1].ours, published):
            continue
        way = gaps[0] - gaps[-1]
        least = min(before - later for before, later in pairwise(gaps))
        if least >= 0.2 * way and way > max(most, 2 * max(f.error for _, f in steps)):
            most = way
            listed = ", ".join(f"{f.ours:.3f}" for _, f in steps)
            best = f"{told.format(', '.join(n for n, _ in steps))} {listed} ± {steps[-1][1].error:.3f}"
    return best


__all__ = ["Finding", "Findings", "of_runs", "radial_rows", "reason", "run", "table"]
