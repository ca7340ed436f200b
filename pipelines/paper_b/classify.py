"""Classifiers: accuracy against the number of features, orders of features, learning curves, regression.

Everything that is learned (scales, order of features, principal components, coefficients) is learned from the
configurations of the training folds; accuracies are of the configurations that were left out.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from sklearn.model_selection import GroupKFold

from glassdask import code, learning
from glassdask.files import put, read_json
from paper_b import stepwise
from paper_b.activity import DataSet

# C of the logistic regression that is chosen from, features in units of their deviations; the paper does not give its C
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
INNER_FOLDS = 4
ROUND = tuple(digit * 10**power for power in range(6) for digit in (1, 2, 5))
FOLDS = 10  # at most; with fewer configurations each is left out once
LARGEST_SELECTION = 30


@dataclass(frozen=True)
class Curve:
    """A score, its standard error over the groups, and what it is drawn against."""

    x: np.ndarray
    score: np.ndarray
    error: np.ndarray

    def at(self, x: float) -> tuple[float, float]:
        """Score and error at one x."""
        k = int(np.flatnonzero(self.x == x)[0])
        return float(self.score[k]), float(self.error[k])

    @property
    def best(self) -> tuple[float, float]:
        """The highest score and its error."""
        k = int(np.argmax(self.score))
        return float(self.score[k]), float(self.error[k])


def body_orders(features: xr.DataArray) -> dict[str, int]:
    """Number of features up to each border: of A-A pairs, of all pairs, with triplets, with quadruplets."""
    order = features["ace_body_order"].values
    same = (order == 2) & (features["ace_species1"].values == "A")
    return {"A-A": int(same.sum()), **{f"{n}-body": int((order <= n).sum()) for n in (2, 3, 4) if (order == n).any()}}


def steps(features: xr.DataArray) -> np.ndarray:
    """Numbers of features to look at: densely among the radial ones, some for each of the higher body orders."""
    borders = body_orders(features)
    radial = borders["2-body"]
    found = {*range(1, 6), *range(5, radial + 1, max(1, radial // 10)), borders["A-A"] + 1, *borders.values()}
    higher = [n for name, n in borders.items() if name in ("2-body", "3-body", "4-body")]
    for low, high in itertools.pairwise(higher):
        found |= set(np.linspace(low, high, 6).astype(int).tolist())
    return np.array(sorted(n for n in found if n <= features.shape[1]))


def folds(groups: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows; no group is divided."""
    n = len(np.unique(groups))
    return list(GroupKFold(min(n, FOLDS)).split(groups, groups, groups))


def accuracy(right: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Fraction of right predictions and its standard error over the groups, which may differ in size.

    The error of a ratio of sums, sum_g c_g / sum_g n_g, from the deviations c_g - a n_g of its groups.

    >>> accuracy(np.array([True, True, False, True]), np.array([0, 0, 1, 1]))
    (0.75, 0.25)
    """
    _, member = np.unique(groups, return_inverse=True)
    n, correct = np.bincount(member), np.bincount(member, weights=right)
    a = float(np.mean(right))
    if len(n) < 2:
        return a, float("nan")
    return a, float(np.sqrt(len(n) / (len(n) - 1) * np.sum((correct - a * n) ** 2)) / n.sum())


def against_features(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, order: str, sizes: Sequence[int], model: Any = None
) -> Curve:
    """Accuracy of logistic regression on the first so many features in an order (Figs. 3 and 5).

    `order` is "standard" (as they come), "forward" (each next feature lowers the error of least squares to the labels
    most, given those before) or "pca" (principal components by variance); both are found anew in each fold, and so is
    the penalty, unless a `model` is given: for the next of 1, 2, 5, 10, 20... features.
    """
    sizes = np.array(sizes)
    right = np.zeros((len(sizes), len(labels)), dtype=bool)
    for train, test in folds(groups):
        ordered = _ordered(features, labels, train, order, int(sizes.max()))
        chosen: dict[int, Any] = {}
        for k, size in enumerate(sizes):
            columns = ordered[:, :size]
            near = min(next(n for n in ROUND if n >= size), ordered.shape[1])
            if model is None and near not in chosen:
                chosen[near] = with_penalty(ordered[train, :near], labels[train], groups[train])
            fitted = (model or chosen[near]).fit(columns[train], labels[train])
            right[k, test] = fitted.predict(columns[test]) == labels[test]
    scores = np.array([accuracy(row, groups) for row in right])
    return Curve(sizes, scores[:, 0], scores[:, 1])


def with_penalty(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> learning.LogisticRegression:
    """Logistic regression with the penalty whose probabilities are best in configurations that are left out in turn.

    Best by the mean logarithm of the probability of the right class, which tells more than the accuracy of few rows.
    All rows that are given are for learning: whoever tests leaves his out before.
    """
    n = min(len(np.unique(groups)), INNER_FOLDS)
    if n < 2:
        return learning.LogisticRegression(C=PENALTIES[-2])
    likelihood = []
    for penalty in PENALTIES:
        model = learning.LogisticRegression(C=penalty)
        active = learning.cross_validate_classifier(model, features, labels, groups, n_folds=n).decision
        right = np.where(labels == labels.max(), active, 1.0 - active)
        likelihood.append(np.log(np.maximum(right, 1e-12)).sum())
    return learning.LogisticRegression(C=PENALTIES[int(np.argmax(likelihood))])


def _ordered(features: np.ndarray, labels: np.ndarray, train: np.ndarray, order: str, most: int) -> np.ndarray:
    """Columns in the order that the training rows give."""
    if order == "forward":
        moments = learning.compute_moments(features[train], labels[train].astype(float))
        found, _ = learning.forward_selection(moments, min(most, features.shape[1]))
        return features[:, found]
    if order == "pca":
        varying = learning.compute_moments(features[train]).varying_features()
        return np.asarray(learning.PCA(scale=True).fit(features[train][:, varying]).transform(features[:, varying]))
    return features


def first_selected(features: xr.DataArray, labels: np.ndarray, groups: np.ndarray, n: int = 4) -> list[str]:
    """The features that are selected first by the accuracy on configurations left out in turn, of all rows."""
    order, _ = stepwise.select(features.values, labels, folds(groups), n)
    return [str(features["ace_feature"].values[k]) for k in order]


def up_to(features: xr.DataArray, body_order: int) -> xr.DataArray:
    """The features of at most so many bodies."""
    return features[:, features["ace_body_order"].values <= body_order]


def learning_curve(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, fractions: Sequence[float], repeats: int
) -> tuple[Curve, Curve]:
    """Accuracy on configurations left out, and on the rows learned from, against the number of the latter (Fig. 6).

    Of each fold's training rows random ones are taken, as many active as inactive, `repeats` times.
    """
    rng = np.random.default_rng(0)
    models = [with_penalty(features[train], labels[train], groups[train]) for train, _ in folds(groups)]
    x, tested, trained = [], [], []
    for fraction in fractions:
        hits, seen, rows = np.zeros(len(labels)), [], []
        for model, (train, test) in zip(models, folds(groups)):
            active, inactive = (train[labels[train] == kind] for kind in (1, 0))
            n = max(2, int(fraction * min(len(active), len(inactive))))
            for _ in range(repeats):
                some = np.concatenate([rng.choice(kind, n, replace=False) for kind in (active, inactive)])
                fitted = model.fit(features[some], labels[some])
                hits[test] += (fitted.predict(features[test]) == labels[test]) / repeats
                seen.append(float(np.mean(fitted.predict(features[some]) == labels[some])))
                rows.append(2 * n)
        x.append(np.mean(rows))
        tested.append(accuracy(hits, groups))
        trained.append((np.mean(seen), np.std(seen, ddof=1) / np.sqrt(len(folds(groups)))))
    return (
        Curve(np.array(x), *np.array(tested).T),
        Curve(np.array(x), *np.array(trained).T),
    )


def pearson_curve(features: np.ndarray, target: np.ndarray, groups: np.ndarray, sizes: Sequence[int]) -> Curve:
    """R of Bayesian regression with automatic relevance determination, on configurations left out (Fig. 7)."""
    member = np.zeros(len(groups), dtype=int)
    for k, (_, test) in enumerate(folds(groups)):
        member[test] = k
    parts = learning.grouped_moments(features, target, member)
    model = learning.ARDRegression(max_iter=5000, tol=1e-2)
    found = []
    for size in sizes:
        few = {key: part.select(np.arange(size)) for key, part in parts.items()}
        scores = learning.cross_validate(model, few)
        found.append((scores.pooled_r[0], scores.error[0]))
    return Curve(np.array(sizes), *np.array(found).T)


@dataclass(frozen=True)
class Study:
    """What is learned from one data set with one cutoff; the last five for the cutoff of the paper's other figures."""

    borders: dict[str, int]
    accuracy: Curve
    pearson: Curve
    first: np.ndarray  # values of the first radial descriptor
    orders: dict[str, Curve]
    selected: list[str]
    radial_selected: list[str]
    learning: dict[str, Curve]
    machine: tuple[float, float]  # accuracy of a linear support vector machine on all radial features


def stored_study(path: Path, data: DataSet, r_cut: float, repeats: int, whole: bool) -> Study:
    """`study`, or what is stored of the same one at `path`: so that an interrupted pipeline learns nothing twice."""
    parts = [data.title, data.system.degree, data.system.n_max, r_cut, repeats, whole, code.digest(study)]
    identity = hashlib.sha256(repr(parts).encode())
    for values in (
        data.labels,
        data.groups,
        data.target,
        *(a.configuration["position"].values for a in data.activities),
    ):
        identity.update(np.ascontiguousarray(values).tobytes())
    found = read_json(path)
    if found is None or found.pop("key") != identity.hexdigest():
        made = study(data, r_cut, repeats, whole)
        put(path, json.dumps({"key": identity.hexdigest(), **asdict(made)}, default=np.ndarray.tolist))
        return made

    def curves(some: dict[str, Any]) -> dict[str, Curve]:
        return {name: Curve(**{key: np.array(values) for key, values in one.items()}) for name, one in some.items()}

    single = curves({name: found[name] for name in ("accuracy", "pearson")})
    several = {name: curves(found[name]) for name in ("orders", "learning")}
    return Study(
        **{**found, **single, **several, "first": np.array(found["first"]), "machine": tuple(found["machine"])}
    )


def study(data: DataSet, r_cut: float, repeats: int, whole: bool) -> Study:
    """Everything for one cutoff; orders of features, learning curves and the support vector machine if `whole`."""
    features, labels, groups = data.features(r_cut), data.labels, data.groups
    borders, sizes = body_orders(features), steps(features)
    values = features.values
    orders, selected, radial_selected, machine = {}, [], [], (np.nan, np.nan)
    learned: dict[str, Curve] = {}
    if whole:
        # "only 2- and 3-body terms are considered"
        few = up_to(features, 3)
        most = min(LARGEST_SELECTION, few.shape[1])
        some = [*range(1, 11), *range(12, most + 1, 3)]
        for name, order in (("selected", "forward"), ("standard", "standard"), ("PCA", "pca")):
            # what is not selected first has an order as well, until the rows cannot tell features apart any more
            wide = some if order == "forward" else [*some, *[n for n in sizes.tolist() if some[-1] < n <= few.shape[1]]]
            orders[name] = against_features(few.values, labels, groups, order, wide)
        selected = first_selected(few, labels, groups)
        radial = up_to(features, 2)
        radial_selected = first_selected(radial, labels, groups)
        machine = against_features(
            radial.values, labels, groups, "standard", [radial.shape[1]], learning.LinearSVM(max_iter=20_000)
        ).best
        # what the paper's accuracies are of: radial features are enough for mixtures
        enough = radial if data.system.mixture else few
        test, train = learning_curve(enough.values, labels, groups, (0.05, 0.1, 0.2, 0.4, 0.7, 1.0), repeats)
        learned = {"configurations left out": test, "learned from": train}
    fewer = sizes[sizes <= borders["3-body"]]
    return Study(
        borders,
        against_features(values, labels, groups, "standard", sizes),
        pearson_curve(values, data.target, groups, fewer[:: max(1, len(fewer) // 12)]),
        values[:, 0],
        orders,
        selected,
        radial_selected,
        learned,
        machine,
    )
