"""Softness: how far surroundings of particles are from those of particles that stay, and whether it is a barrier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import chi2 as chi2_distribution
from sklearn.base import clone

from glassdask.declarations import Count, NotNegative, Positive, converted
from glassdask.errors import ParameterError, SchemaError
from glassdask.learning.arrays import as_labels, as_matrix
from glassdask.learning.classification import LinearClassifier, LinearSVM, accuracy, roc_auc
from glassdask.learning.validation import folds
from glassdask.variables import annotated

LEAST_EVENTS = 10  # in a bin, for the logarithm of a probability to have a normal error
UNLIKELY = 0.01  # probability of a chi^2 below which a law is not that of the data
SURE = 3.0  # standard errors


@dataclass(frozen=True)
class SoftnessScores:
    """Softness of every row by a plane that has not seen its group.

    Attributes
    ----------
    distance : array (sample,)
        S, the signed distance from the plane in the space of standardised features, positive where particles are about
        to rearrange; NaN where a feature is.
    groups : list of lists
        The groups of each fold.
    accuracy, roc_auc : arrays (fold,)
        Of the labelled rows of a fold; NaN where it has none, the area also where they are all alike.
    """

    distance: np.ndarray
    groups: list[list[Any]]
    accuracy: np.ndarray
    roc_auc: np.ndarray


@dataclass(frozen=True)
class RearrangementProbability:
    """How likely particles of a given softness are to rearrange, by temperature.

    Attributes
    ----------
    temperature : array (T,)
        Increasing.
    softness : array (B,)
        Mean S of each bin.
    probability, error : arrays (T, B)
        P_R(S, T) and its standard error; NaN where a bin is empty.
    events, count : arrays (T, B)
        Particles that rearranged, and all.
    """

    temperature: np.ndarray
    softness: np.ndarray
    probability: np.ndarray
    error: np.ndarray
    events: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class ArrheniusTest:
    """Whether softness is a barrier: ln P_R(S, T) = prefactor(S) - barrier(S) / T.

    Attributes
    ----------
    softness : array (B,)
        Of the bins.
    barrier, barrier_error, prefactor, prefactor_error : arrays (B,)
        Of each bin's straight line; NaN where fewer than three temperatures have ten events.
    p_value : array (B,)
        How likely such deviations from the line are, if it is the law.
    slope, slope_error : float
        d barrier / dS; negative where soft particles have lower barriers.
    onset_temperature, onset_error : float
        Where P_R no longer depends on S: slope of the barrier over that of the prefactor; NaN where that is negative.
    warnings : tuple of str
        Why the distance is no barrier; empty where nothing speaks against it.
    """

    softness: np.ndarray
    barrier: np.ndarray
    barrier_error: np.ndarray
    prefactor: np.ndarray
    prefactor_error: np.ndarray
    p_value: np.ndarray
    slope: float
    slope_error: float
    onset_temperature: float
    onset_error: float
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        """A report of a few lines."""
        lines = [
            f"barrier falls by {-self.slope:.4g} +- {self.slope_error:.2g} for each unit of softness",
            f"onset temperature {self.onset_temperature:.4g} +- {self.onset_error:.2g}",
            *(f"warning: {warning}" for warning in self.warnings),
        ]
        return "\n".join(lines)


def hop_labels(found: xr.Dataset, quiet: float, before: float = 0.0) -> xr.DataArray:
    """Labels for softness from hops: 1 where a particle is about to hop, 0 where it stays for long.

    Parameters
    ----------
    found : xarray.Dataset
        Of `glassdask.dynamics.hops`, in memory or lazy.
    quiet : float
        How long p_hop must stay below the threshold, from a frame on, for a particle to count as one that stays; in the
        unit of the times.
    before : float, default 0.0
        How long before the hop the surroundings are looked at.

    Returns
    -------
    DataArray (frame, particle)
        1, 0, or NaN: neither, or not known as the trajectory ends.

    Raises
    ------
    SchemaError, ParameterError
        When `found` is no result of `hops`; when times are negative or longer than the trajectory.

    Examples
    --------
    >>> hop = np.zeros((6, 1), bool)
    >>> hop[4] = True
    >>> dims = ("frame", "particle")
    >>> events = xr.Dataset({"hop": (dims, hop), "p_hop": (dims, np.where(hop, 1.0, 0.0))}, attrs={"threshold": 0.2})
    >>> events = events.assign_coords(time=("frame", np.arange(6.0)))
    >>> hop_labels(events, quiet=2.0, before=1.0).values[:, 0].tolist()
    [0.0, 0.0, nan, 1.0, nan, nan]
    """
    if not {"hop", "p_hop", "time"} <= set(found.variables) or "threshold" not in found.attrs:
        raise SchemaError("expected the result of glassdask.dynamics.hops, with p_hop, hop and time")
    quiet, before = converted(quiet, Positive, "quiet"), converted(before, NotNegative, "before")
    time = found["time"].values
    step = float(np.diff(time).mean()) if len(time) > 1 else np.inf
    lag, stay = round(before / step), round(quiet / step)
    if stay < 1 or max(lag, stay) >= len(time):
        raise ParameterError(
            f"quiet {quiet:g} and before {before:g}: expected an interval of {step:g} or more, less than the trajectory"
        )
    hop = found["hop"].transpose("frame", "particle").values
    p_hop = found["p_hop"].transpose("frame", "particle").values
    # a NaN is a frame that is not known
    moving = np.cumsum(np.vstack([np.zeros((1, hop.shape[1])), ~(p_hop < found.attrs["threshold"])]), axis=0)
    labels = np.full(hop.shape, np.nan)
    still = moving[stay + 1 :] == moving[: len(moving) - stay - 1]
    labels[: len(still)][still] = 0.0
    labels[: len(hop) - lag][hop[lag:]] = 1.0
    return annotated(xr.DataArray(labels, dims=("frame", "particle"), coords=found["hop"].coords, name="label"))


def softness(
    X: Any,
    labels: Any,
    groups: Any,
    *,
    model: LinearClassifier | None = None,
    n_folds: int | None = None,
    seed: int = 0,
) -> SoftnessScores:
    """Softness of all particles, cross-validated by configuration.

    For each fold of groups, the plane between the surroundings of particles that rearrange and of those that stay is
    found from the labelled rows of all other groups, as many of either kind; the rows of the fold get their distance
    from it (E. D. Cubuk et al., Phys. Rev. Lett. 114, 108001 (2015); S. S. Schoenholz et al., Nat. Phys. 12, 469
    (2016)).

    Parameters
    ----------
    X : array (sample, feature)
        Features of all particles, such as `glassdask.feature_matrix` of ``RadialDensity``.
    labels : array (sample,)
        1 where a particle rearranges, 0 where it stays, NaN where it is neither: of `hop_labels`, or of D2min by
        `balanced_extremes`.
    groups : array (sample,)
        Configuration of each row; frames of one trajectory that are close in time belong together.
    model : LinearSVM or LogisticRegression, optional
        By default ``LinearSVM()``.
    n_folds : int, optional
        By default every group is a fold.
    seed : int, default 0
        Of the choice among the kind of which there are more.

    Returns
    -------
    SoftnessScores
        ``distance`` (sample,) and how good the planes are.

    Raises
    ------
    ParameterError
        When labels are others than 0, 1 and NaN, there are fewer than two groups, or a fold leaves no labels of a kind.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=(2000, 3))
    >>> found = softness(x, x[:, 0] > 0.0, groups=np.arange(2000) // 500)
    >>> bool(np.corrcoef(found.distance, x[:, 0])[0, 1] > 0.99), len(found.groups)
    (True, 4)
    """
    X = np.asarray(as_matrix(X)[0], dtype=np.float64)
    kind = np.asarray(getattr(labels, "values", labels), dtype=np.float64).ravel()
    if len(kind) != len(X) or not np.isin(kind[~np.isnan(kind)], (0.0, 1.0)).all():
        raise ParameterError(f"labels: expected {len(X)} values 0, 1 or NaN, one for each row of X")
    group = np.asarray(as_labels(groups, X, what="groups"))
    names = list(dict.fromkeys(group.tolist()))
    if len(names) < 2:
        raise ParameterError(f"groups: found {len(names)}, expected at least 2: one is left out of each fit")
    known = ~np.isnan(kind) & ~np.isnan(X).any(axis=1)
    distance, parts, scores = np.full(len(X), np.nan), [], []
    for number, held_out in enumerate(folds(names, n_folds)):
        rng = np.random.default_rng([seed, number])
        inside = np.isin(group, np.array(list(held_out)))
        rows = _balanced(np.flatnonzero(known & ~inside), kind, rng)
        fitted = clone(LinearSVM() if model is None else model).fit(X[rows], kind[rows].astype(int))
        norm = np.linalg.norm(fitted.coef_ * X[rows].std(axis=0))
        decision = np.asarray(fitted.decision_function(X[inside]))
        distance[inside] = decision / norm
        parts.append(list(held_out))
        told = known[inside]
        truth, sign = kind[inside][told].astype(int), decision[told]
        both = len(np.unique(truth)) == 2
        scores.append((accuracy(truth, (sign > 0).astype(int)) if told.any() else np.nan,
                       roc_auc(truth, sign) if both else np.nan))  # fmt: skip
    return SoftnessScores(distance, parts, *np.array(scores, dtype=float).T)


def _balanced(rows: np.ndarray, kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many of either kind, in ascending order."""
    soft, hard = rows[kind[rows] == 1.0], rows[kind[rows] == 0.0]
    number = min(len(soft), len(hard))
    if number == 0:
        raise ParameterError(
            f"{len(soft)} rows that rearrange and {len(hard)} that stay are left to learn from: choose fewer folds or "
            "another threshold"
        )
    chosen = [rng.choice(some, number, replace=False) for some in (soft, hard)]
    return np.sort(np.concatenate(chosen))


def rearrangement_probability(
    distance: Any, rearranged: Any, temperature: Any, *, groups: Any = None, bins: int = 10
) -> RearrangementProbability:
    """P_R(S, T): the part of the particles of a given softness that rearrange, at each temperature.

    Parameters
    ----------
    distance, rearranged, temperature : arrays (sample,)
        S of each row, whether it rearranges (in a time that is the same for all), and its temperature. Rows with NaN
        are left out.
    groups : array (sample,), optional
        Configuration of each row. Errors are then from the jackknife over the groups of a temperature, where these
        are larger than those of independent particles.
    bins : int, default 10
        With equally many rows each, over all temperatures.

    Returns
    -------
    RearrangementProbability
        For `arrhenius_test`.

    Raises
    ------
    ParameterError
        When the arrays differ in length, temperatures are not positive, or there are fewer rows than bins.

    Examples
    --------
    >>> s = np.linspace(-1.0, 1.0, 1000)
    >>> found = rearrangement_probability(s, s > 0.0, np.ones(1000), bins=2)
    >>> found.softness.round(2).tolist(), found.probability.tolist()
    ([-0.5, 0.5], [[0.0, 1.0]])
    """
    s, moved, t = (
        np.asarray(getattr(x, "values", x), dtype=np.float64).ravel() for x in (distance, rearranged, temperature)
    )
    bins = converted(bins, Count, "bins")
    if not len(s) == len(moved) == len(t):
        raise ParameterError(
            f"{len(s)} distances, {len(moved)} rearranged, {len(t)} temperatures: give as many of each"
        )
    label = np.zeros(len(s)) if groups is None else np.asarray(as_labels(groups, s[:, None], what="groups"))
    defined = ~np.isnan(s) & ~np.isnan(moved)
    s, moved, t, label = s[defined], moved[defined], t[defined], label[defined]
    if len(s) < bins or not (t > 0).all():
        raise ParameterError(f"{len(s)} defined rows in {bins} bins: expected more rows, with positive temperatures")
    inner = np.quantile(s, np.arange(1, bins) / bins)
    where = np.searchsorted(inner, s, side="right")
    temperatures = np.unique(t)
    mean = np.bincount(where, s, bins) / np.maximum(np.bincount(where, minlength=bins), 1)
    events, count = np.zeros((2, len(temperatures), bins))
    error = np.full(events.shape, np.nan)
    for k, one in enumerate(temperatures):
        rows = t == one
        count[k] = np.bincount(where[rows], minlength=bins)
        events[k] = np.bincount(where[rows], moved[rows], bins)
        with np.errstate(invalid="ignore", divide="ignore"):
            p = events[k] / count[k]
            error[k] = np.sqrt(p * (1.0 - p) / count[k])
            names = np.unique(label[rows])
            if len(names) > 1:
                part = [rows & (label == name) for name in names]
                less = [np.bincount(where[r], moved[r], bins) for r in part]
                fewer = [np.bincount(where[r], minlength=bins) for r in part]
                left = (events[k] - np.array(less)) / (count[k] - np.array(fewer))
                spread = np.sqrt((len(names) - 1) * np.var(left, axis=0))
                error[k] = np.fmax(error[k], spread)
    with np.errstate(invalid="ignore", divide="ignore"):
        return RearrangementProbability(temperatures, mean, events / count, error, events, count)


def arrhenius_test(found: RearrangementProbability) -> ArrheniusTest:
    r"""Whether the distance from the plane is a barrier: P_R(S, T) = exp[Sigma(S) - Delta E(S) / T].

    Straight lines in 1/T by weighted least squares for each bin of S, with a chi^2 test; then, of all bins together,
    with Delta E = e_0 + e_1 S and Sigma = s_0 + s_1 S, the slope e_1 and the onset temperature T_0 = e_1 / s_1, where
    P_R no longer depends on S (S. S. Schoenholz et al., Nat. Phys. 12, 469 (2016)).

    Parameters
    ----------
    found : RearrangementProbability
        Of at least three temperatures.

    Returns
    -------
    ArrheniusTest
        ``print`` it for a report; its ``warnings`` say where the distance is not a barrier: the lines are not straight,
        the barrier does not fall with S, or there is no temperature at which all lines meet.

    Raises
    ------
    ParameterError
        When fewer than two bins have ten events at three temperatures.

    Examples
    --------
    >>> t, s = np.array([0.5, 0.6, 0.8]), np.array([-1.0, 0.0, 1.0])
    >>> p = np.exp(1.0 - s * 0.5 - (2.0 - 0.4 * s) / t[:, None])  # they meet at T = 0.8
    >>> n = np.full(p.shape, 1e6)
    >>> test = arrhenius_test(RearrangementProbability(t, s, p, np.sqrt(p * (1 - p) / n), n * p, n))
    >>> test.barrier.round(3).tolist(), round(test.onset_temperature, 3), test.warnings
    ([2.4, 2.0, 1.6], 0.8, ())
    """
    n_bins = len(found.softness)
    lines, covariances, p_value = np.full((n_bins, 2), np.nan), np.full((n_bins, 2, 2), np.nan), np.full(n_bins, np.nan)
    for b in range(n_bins):
        use = (found.events[:, b] >= LEAST_EVENTS) & (found.error[:, b] > 0)
        if use.sum() < 3:
            continue
        p, error = found.probability[use, b], found.error[use, b] / found.probability[use, b]
        columns = np.column_stack([np.ones(use.sum()), -1.0 / found.temperature[use]])
        lines[b], covariances[b], chi2 = _line(columns, np.log(p), error)
        p_value[b] = chi2_distribution.sf(chi2, use.sum() - 2)
    known = np.flatnonzero(~np.isnan(p_value))
    if len(known) < 2:
        raise ParameterError(
            f"{len(known)} bins have {LEAST_EVENTS} events at three temperatures, expected at least two: give more "
            "temperatures or particles, or fewer bins"
        )
    prefactor_error, barrier_error = np.sqrt(covariances[:, 0, 0]), np.sqrt(covariances[:, 1, 1])
    slope, slope_error, onset, onset_error, likely = _plane(found)
    warnings = []
    crooked = int((p_value[known] * len(known) < UNLIKELY).sum())
    if crooked:
        warnings.append(
            f"ln P_R is no straight line in 1/T in {crooked} of {len(known)} bins: no barrier that is the same at all "
            "temperatures"
        )
    if slope > -SURE * slope_error:
        warnings.append("the barrier does not fall with softness: the distance foretells rearrangements by other means")
    elif not onset > 0:
        warnings.append("the lines of all bins do not meet at any temperature: there is no onset")
    elif likely < UNLIKELY and not crooked:
        warnings.append("barrier and prefactor are not linear in softness: the onset temperature is that of a mean")
    return ArrheniusTest(
        found.softness, lines[:, 1], barrier_error, lines[:, 0], prefactor_error, p_value, slope, slope_error, onset,
        onset_error, tuple(warnings),
    )  # fmt: skip


def _plane(found: RearrangementProbability) -> tuple[float, float, float, float, float]:
    """Slope of the barrier in S, onset temperature, both with errors, and how likely such deviations from it are.

    ln P_R = s_0 + s_1 S - (e_0 + e_1 S) / T at all temperatures and bins together, T_0 = e_1 / s_1.
    """
    rows = (found.events >= LEAST_EVENTS) & (found.error > 0)
    k, b = np.nonzero(rows)
    s, rate = found.softness[b], -1.0 / found.temperature[k]
    p = found.probability[rows]
    columns = np.column_stack([np.ones(len(p)), s, rate, s * rate])
    values, covariance, chi2 = _line(columns, np.log(p), found.error[rows] / p)
    _, s1, _, e1 = values
    gradient = np.array([0.0, -e1 / s1**2, 0.0, 1.0 / s1])
    onset = float(e1 / s1)
    onset_error = float(np.sqrt(gradient @ covariance @ gradient))
    likely = float(chi2_distribution.sf(chi2, len(p) - 4)) if len(p) > 4 else np.nan
    return float(e1), float(np.sqrt(covariance[3, 3])), onset if onset > 0 else np.nan, onset_error, likely


def _line(columns: np.ndarray, values: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients, their covariance and chi^2 of weighted least squares."""
    a, y = columns / error[:, None], values / error
    covariance = np.linalg.inv(a.T @ a)
    found = covariance @ (a.T @ y)
    return found, covariance, float(((y - a @ found) ** 2).sum())
