"""Averages over time origins, lag by lag, with errors from blocks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from glassdask.dynamics.lags import frame_pairs
from glassdask.dynamics.paths import check_matched
from glassdask.errors import ParameterError

# Time origins of a lag: neighbouring ones tell much the same, and the work grows with their number.
ORIGINS = 100
# Blocks of origins whose scatter gives the errors.
BLOCKS = 10


@dataclass(frozen=True)
class Origins:
    """Pairs of frames, lag by lag.

    Attributes
    ----------
    lags : array (L,)
        Times.
    counts : array (L,)
        Origins of each lag.
    pairs : array (P, 2)
        Numbers of frames, those of the first lag first.
    blocks : array (L,)
        Blocks of successive origins, each at least as long as the lag; up to ten.
    """

    lags: np.ndarray
    counts: np.ndarray
    pairs: np.ndarray
    blocks: np.ndarray

    @classmethod
    def of(
        cls,
        trajectory: xr.Dataset,
        lags: Sequence[float] | None,
        origins: int = ORIGINS,
        *,
        least: int = 1,
        zero: bool = False,
    ) -> Origins:
        """The pairs of frames of `frame_pairs`; with `zero`, first of all each frame with itself.

        Lags that are not asked for, and of which there are fewer origins than `least`, are left out.

        Raises
        ------
        SchemaError, ParameterError
            As `frame_pairs`; when a lag that was asked for has fewer origins than `least`, or particles cannot be
            followed.
        """
        check_matched(trajectory)
        found, pairs = frame_pairs(trajectory, lags, origins)
        counts = np.array([len(part) for part in pairs])
        enough = counts >= least
        if not enough.any() or (lags is not None and not enough.all()):
            raise ParameterError(
                f"lag {found[~enough][0]:g} has {counts[~enough][0]} time origin, fluctuations need at least {least}: "
                "give shorter lags, more origins, or a longer trajectory"
            )
        if zero:
            frames = np.unique(
                np.linspace(0, trajectory.sizes["frame"] - 1, min(origins, trajectory.sizes["frame"])).astype(int)
            )
            found, pairs = np.append(0.0, found), [np.stack([frames, frames], axis=1), *pairs]
            counts, enough = np.append(len(frames), counts), np.append(True, enough)
        time = np.asarray(trajectory["time"].values, dtype=np.float64)
        spans = np.array([time[part[-1, 0]] - time[part[0, 0]] for part in pairs])
        # as many as fit, each as long as the lag
        fit = (spans / np.maximum(found, spans / BLOCKS + np.finfo(float).tiny) * (1 + 1e-9)).astype(int) + 1
        blocks = np.minimum(np.minimum(BLOCKS, counts), fit)
        kept = [part for part, good in zip(pairs, enough) if good]
        return cls(found[enough], counts[enough], np.concatenate(kept), blocks[enough])

    @cached_property
    def frames(self) -> np.ndarray:
        """Numbers of the frames that are needed, increasing."""
        return np.flatnonzero(np.bincount(self.pairs.ravel()))

    @cached_property
    def places(self) -> np.ndarray:
        """The pairs as places in `frames`."""
        place = np.zeros(self.frames[-1] + 1, np.int64)
        place[self.frames] = np.arange(len(self.frames))
        return place[self.pairs]

    @cached_property
    def first(self) -> np.ndarray:
        """Where the pairs of each lag begin, (L,)."""
        return np.concatenate([[0], np.cumsum(self.counts)[:-1]])

    def centered(self, values: np.ndarray) -> np.ndarray:
        """Values (P, ...) minus their mean over the origins of each lag."""
        means = np.add.reduceat(values, self.first) / self.counts.reshape(-1, *[1] * (values.ndim - 1))
        centred: np.ndarray = values - np.repeat(means, self.counts, axis=0)
        return centred

    def curves(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means (L, ...) of values (P, ...), and those without each of some blocks of origins, (B, L, ...).

        For what is made of a whole curve, such as a spectrum: the blocks are as many of all lags, and the same part of
        the trajectory; fewer than two, none, where the lag with fewest has no more.
        """
        n = int(self.blocks.min())
        whole, left = [], []
        for first, count in zip(self.first, self.counts):
            edges = np.arange(n) * (count // n) + np.minimum(np.arange(n), count % n)
            sums = np.add.reduceat(values[first : first + count], edges)
            rest = (count - np.diff([*edges, count])).reshape(-1, *[1] * (sums.ndim - 1))
            whole.append(sums.sum(axis=0) / count)
            left.append((sums.sum(axis=0) - sums) / np.maximum(rest, 1))
        return np.stack(whole), np.stack(left, axis=1)[: n if n > 1 else 0]

    def averages(
        self, function: Callable[[np.ndarray, np.ndarray], Mapping[str, np.ndarray]], values: np.ndarray
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Quantities, which are functions of means over origins, and their standard errors, with the lag as last axis.

        Parameters
        ----------
        function : ``function(means, counts)``
            Of means (n, ...) over some origins, and of how many (n, 1, ...), gives the quantities (n, ...) by name.
        values : array (P, ...)
            What is averaged.

        Returns
        -------
        dict
            The errors are from the jackknife: what changes when one of the blocks is left out. Of means that is the
            scatter of the blocks over the root of their number. NaN where there are fewer than two blocks.
        """
        columns: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for first, count, n in zip(self.first, self.counts, self.blocks):
            # blocks as those of np.array_split: the first ones are longer by one
            edges = np.arange(n) * (count // n) + np.minimum(np.arange(n), count % n)
            sums = np.add.reduceat(values[first : first + count], edges)
            total = sums.sum(axis=0)
            sizes = np.diff([*edges, count])
            parts = np.concatenate([total[None], total - sums]) if n > 1 else total[None]
            left = np.concatenate([[count], count - sizes] if n > 1 else [[count]]).reshape(-1, *[1] * (sums.ndim - 1))
            for name, found in function(parts / left, left).items():
                error = jackknife(found[1:])
                columns.setdefault(name, []).append((found[0], error))
        return {
            name: (np.stack([mean for mean, _ in lags], axis=-1), np.stack([error for _, error in lags], axis=-1))
            for name, lags in columns.items()
        }


def jackknife(left: np.ndarray) -> np.ndarray:
    """Standard error of a quantity from what it is without each of n parts of the data, (n, ...); NaN of n < 2.

    Examples
    --------
    >>> float(jackknife(np.array([2.5, 2.0, 1.5])).round(6))  # of the mean of 1, 2, 3
    0.57735
    """
    n = len(left)
    if n < 2:
        return np.full(left.shape[1:], np.nan)
    error: np.ndarray = np.sqrt(((left - left.mean(axis=0)) ** 2).sum(axis=0) * (n - 1) / n)
    return error
