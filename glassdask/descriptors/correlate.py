"""How two variables of the particles are correlated."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from glassdask.descriptors.features import center_species, feature_matrix
from glassdask.errors import ParameterError, SchemaError, SpeciesError
from glassdask.graphs import compute
from glassdask.schema import check_kind, check_labels
from glassdask.variables import annotated

METHODS = ("pearson", "spearman")
FEWEST = 3  # particles of a frame: the coefficient of two is 1 or -1, whatever they are
LABELS = {"frame": ("step", "time", "frame"), "particle": ("id", "particle")}


def correlate(
    a: xr.DataArray, b: xr.DataArray, *, centers: str | Sequence[str] | None = None, method: str = "pearson"
) -> xr.Dataset:
    r"""Correlation coefficients between two variables of the particles, within configurations and pooled.

    Within configuration f the coefficient is Pearson's

    .. math::

        R_f = \frac{\sum_i (a_i - \bar a)(b_i - \bar b)}
                   {\left[\sum_i (a_i - \bar a)^2 \sum_i (b_i - \bar b)^2\right]^{1/2}}

    or Spearman's, which is the same of the ranks. Particles of one configuration are not independent of each other,
    but configurations are, or nearly so: the standard error of the mean of R_f is taken over them. The pooled
    coefficient, of all particles of all configurations together, also sees how configurations differ as a whole.

    Parameters
    ----------
    a, b : DataArray (frame, particle, ...) or (particle, ...)
        Two variables of the same particles, lazy or in memory, such as a projection and a propensity. Further
        dimensions (components, features, lags) give a coefficient for each pair of their values. Frames are matched by
        ``step``, ``time`` or ``frame``, particles by ``id`` or ``particle``, where both variables have such labels;
        what only one of them has is left out. Without labels both must have the same number, and are taken in order;
        where they were computed of different data, a warning says so.
    centers : str or list of str, optional
        Species that count, by default those for which `a` or `b` was computed (its attribute ``centers``), else all.
    method : {"pearson", "spearman"}
        Spearman's coefficient needs all values in memory.

    Returns
    -------
    xarray.Dataset
        ``r_within`` (dimensions of a, dimensions of b) is the mean of R_f and ``r_within_error`` its standard error,
        NaN with one frame; ``r_pooled`` and ``r_pooled_error`` the pooled coefficient and its error from resampling the
        frames; ``r_frame`` (frame, ...) is R_f, and ``n_used`` (frame) counts the particles in it. A particle that is
        NaN in any value of `a` or `b` is left out of its frame. A coefficient is NaN where fewer than three particles
        are left or a variable does not vary; such frames are left out of the mean.

    Raises
    ------
    SchemaError
        The variables are not of the same frames and particles, or their dimensions have the same names.
    SpeciesError
        `centers` are asked for, but the species are not known or not among them.
    ParameterError
        The method is not known, or no particle has both variables.

    See Also
    --------
    glassdask.learning.pearson, glassdask.learning.bootstrap_pearson : the same of plain matrices

    Examples
    --------
    The first principal component of the structure of small particles against their number of neighbours:

    >>> import glassdask as gd
    >>> liquid = gd.example("wahnstrom").isel(frame=slice(2))
    >>> descriptors = [gd.SmoothedBondOrder(cutoffs=1.4), gd.Coordination(cutoffs=1.4)]
    >>> features = gd.describe(liquid, descriptors, centers="B")
    >>> x1 = gd.reduce(features["sbo"])["projection"].sel(component=1)
    >>> found = correlate(x1, features["coordination"])
    >>> found["r_within"].dims, found["n_used"].values.tolist()
    ((), [2000, 2000])
    >>> bool(abs(found["r_within"] - found["r_pooled"]) < 0.05)
    True
    """
    from glassdask.learning.correlation import bootstrap_correlations, correlations
    from glassdask.learning.moments import grouped_moments, merge_moments

    if method not in METHODS:
        raise ParameterError(f"method is '{method}', expected one of {', '.join(METHODS)}")
    a, b = _matched(_with_frames(a, "a", b), _with_frames(b, "b", a))
    keep = _centers(a, b, centers)
    x, y = _rows(a, keep), _rows(b, keep)
    group = np.repeat(np.arange(a.sizes["frame"]), keep.sum(axis=1))
    if method == "spearman":
        x, y = _dense(x, y)
        within = grouped_moments(_ranked(x, group), _ranked(y, group), group)
        everyone = np.zeros_like(group)
        pooled = grouped_moments(_ranked(x, everyone), _ranked(y, everyone), group)
    else:
        within = pooled = grouped_moments(x, y, group)

    dims = (*a.dims[2:], *b.dims[2:])
    shape = (*a.shape[2:], *b.shape[2:])
    r = np.full((a.sizes["frame"], *shape), np.nan)
    used = np.zeros(a.sizes["frame"], dtype=np.int64)
    for frame, part in zip(np.unique(group), within.values()):
        used[frame] = part.n
        if part.n >= FEWEST:
            r[frame] = correlations(part).reshape(shape)
    if not used.any():
        raise ParameterError(
            f"none of the {len(group)} particles has a value of both variables: see that they are of the same species, "
            "or choose the features and lags that are defined"
        )
    everything, spread = correlations(merge_moments(pooled.values())), np.full(shape, np.nan)
    if (used > 0).sum() > 1:
        everything, spread = bootstrap_correlations(pooled)
    known = np.isfinite(r)
    n = known.sum(axis=0)
    mean = np.divide(np.where(known, r, 0.0).sum(axis=0), n, out=np.full(shape, np.nan), where=n > 0)
    square = np.where(known, (r - mean) ** 2, 0.0).sum(axis=0)
    error = np.sqrt(np.divide(square, n * (n - 1), out=np.full(shape, np.nan), where=n > 1))
    variables = {
        "r_within": (dims, mean),
        "r_within_error": (dims, error),
        "r_pooled": (dims, everything.reshape(shape)),
        "r_pooled_error": (dims, spread.reshape(shape)),
        "r_frame": (("frame", *dims), r),
        "n_used": (("frame",), used),
    }
    coords = {
        name: values.variable for one in (b, a) for name, values in one.coords.items()
        if set(values.dims) <= {"frame", *dims} and values.dims
    }  # fmt: skip
    return annotated(xr.Dataset(variables, coords=coords, attrs={"method": method}))


def _with_frames(values: xr.DataArray, name: str, other: xr.DataArray) -> xr.DataArray:
    """(frame, particle, ...); a variable without frames is of the only frame that the other one has."""
    check_kind(values, xr.DataArray, name, "give one variable, such as features['sbo'] or found['propensity']")
    if "particle" not in values.dims:
        raise SchemaError(f"{name} has dimensions {values.dims}, expected (frame, particle, ...): rename or transpose")
    if values.dtype.kind not in "fiub":
        raise SchemaError(f"{name} has dtype {values.dtype}, expected numbers or true and false: convert it")
    if "frame" not in values.dims:
        n = getattr(other, "sizes", {}).get("frame", 1)
        if n != 1:
            raise SchemaError(
                f"{name} has no frames and the other variable {n}: choose one there with .isel(frame=[0]), or say "
                f"{name}.expand_dims(frame={n}) of what is the same in all frames"
            )
        values = values.drop_vars([label for label in LABELS["frame"] if label in values.coords]).expand_dims("frame")
    return values.transpose("frame", "particle", ...)


def _matched(a: xr.DataArray, b: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Both with the frames and particles that both have, in the order of `a`."""
    both = set(a.dims[2:]) & set(b.dims[2:])
    if both:
        dim = sorted(map(str, both))[0]
        raise SchemaError(
            f"a and b both have the dimension {dim}: choose one of its values, or rename it in one of them"
        )
    other_data = len({values.attrs.get("input") for values in (a, b)} - {None}) == 2
    for dim, labels in LABELS.items():
        label = next((name for name in labels if _labels(a, name, dim) and _labels(b, name, dim)), None)
        if label is not None:
            _, ours, theirs = np.intersect1d(a[label].values, b[label].values, return_indices=True)
            if len(ours) == 0:
                raise SchemaError(
                    f"a and b have no {dim} in common: {label} begins with {a[label].values[0]} and "
                    f"{b[label].values[0]}: give values of the same {dim}s"
                )
            order = np.argsort(ours)
            if len(ours) < a.sizes[dim] or (np.diff(ours[order]) != 1).any():
                a = a.isel({dim: ours[order]})
            if len(theirs) < b.sizes[dim] or (np.diff(theirs[order]) != 1).any():
                b = b.isel({dim: theirs[order]})
        elif a.sizes[dim] != b.sizes[dim]:
            raise SchemaError(
                f"a has {a.sizes[dim]} {dim}s and b {b.sizes[dim]}, without labels to match them by: give values of "
                f"the same {dim}s"
            )
        elif dim == "frame" and other_data and a.sizes[dim] > 1:
            warnings.warn(
                "a and b were computed of different data, and nothing says which frames are the same: they are taken "
                "in their order; a coordinate 'step' or 'time' (frame) of both would tell",
                stacklevel=3,
            )
    check_labels(a, b.coords.to_dataset(), "a and b")
    return a, b


def _labels(values: xr.DataArray, name: str, dim: str) -> bool:
    """Whether a variable has labels of this name that tell its frames, or particles, from each other."""
    if name not in values.coords or values.coords[name].dims != (dim,):
        return False
    found = values.coords[name].values
    return len(np.unique(found)) == len(found)


def _centers(a: xr.DataArray, b: xr.DataArray, centers: str | Sequence[str] | None) -> np.ndarray:
    """Which particles of each frame count, (frame, particle)."""
    wanted = [centers] if isinstance(centers, str) else centers
    if wanted is None:
        own = [set(found) for found in (center_species(a), center_species(b)) if found is not None]
        wanted = sorted(set.intersection(*own)) if own else None
    everyone = np.ones((a.sizes["frame"], a.sizes["particle"]), bool)
    if wanted is None:
        return everyone
    species = next((values["species"] for values in (a, b) if "species" in values.coords), None)
    if species is None or "particle" not in species.dims:
        raise SpeciesError(
            f"the centers {', '.join(map(str, wanted))} are asked for, but neither variable has a coordinate species "
            "(particle): give it with .assign_coords(species=trajectory['species'])"
        )
    keep = everyone & np.isin(species.values, list(wanted))
    unknown = sorted(set(wanted) - set(np.unique(species.values).tolist()))
    if unknown or not keep.any():
        there = ", ".join(np.unique(species.values).tolist())
        raise SpeciesError(f"centers: no particle is of species {', '.join(unknown) or '(none)'}, found {there}")
    return keep


def _rows(values: xr.DataArray, keep: np.ndarray) -> Any:
    """(rows, columns) of the particles that count."""
    coords = {"species": (("frame", "particle"), np.where(keep, "counts", "other"))}
    plain = xr.DataArray(values.data, dims=("frame", "particle", *values.dims[2:]), coords=coords)
    plain.attrs["centers"] = ["counts"]
    matrix = feature_matrix(plain)
    return matrix.astype(np.float64) if matrix.dtype.kind == "b" else matrix


def _dense(*matrices: Any) -> list[np.ndarray]:
    """In memory, with NaN in whole rows of all where one has a NaN."""
    dense = [np.array(compute(m)[0] if hasattr(m, "dask") else m, dtype=np.float64) for m in matrices]
    undefined = np.isnan(np.hstack(dense)).any(axis=1)
    for values in dense:
        values[undefined] = np.nan
    return dense


def _ranked(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Ranks of the defined rows among those of their group."""
    from scipy.stats import rankdata

    rank = np.full(values.shape, np.nan)
    defined = ~np.isnan(values).any(axis=1)
    for one in np.unique(group):
        chosen = (group == one) & defined
        if chosen.any():
            rank[chosen] = rankdata(values[chosen], axis=0)
    return rank
