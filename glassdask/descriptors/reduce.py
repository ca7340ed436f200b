"""Principal components of features, labelled: from (frame, particle, features...) to (frame, particle, component)."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from glassdask.code import digest
from glassdask.declarations import flags
from glassdask.descriptors.features import (
    center_species,
    check_alike,
    check_dimensions,
    feature_matrix,
    one_descriptor,
    project,
)
from glassdask.errors import ParameterError, SchemaError
from glassdask.store.identity import condition, fingerprint
from glassdask.variables import annotated

# Chunks whose moments are one graph: it stays bounded however long the trajectory is.
FIT_CHUNKS = 4096


def reduce(
    features: xr.DataArray,
    *,
    n_components: int | float | None = None,
    method: str = "exact",
    scale: bool = False,
    together: Sequence[xr.DataArray] = (),
) -> xr.Dataset:
    """Principal component analysis of one descriptor, with the projections of every particle.

    Paper A, Eqs. (22)-(24): directions are eigenvectors of the covariance matrix of the features, sorted by their
    explained variance ratio; a projection is the scalar product of the centred features with a direction. The sign of
    a direction is such that its largest element is positive.

    Parameters
    ----------
    features : xarray.DataArray (frame, particle, features...)
        Lazy or in memory; or a dataset of `describe` with this one variable.
    n_components, method, scale : int or float or str or bool
        See `glassdask.learning.PCA`.
    together : sequence of DataArray, optional
        Features of the same descriptor, such as those at other temperatures, that the directions are common to: they
        are fitted to all rows of all of them. `project` gives the projections of the others.

    Returns
    -------
    xarray.Dataset
        ``projection`` (frame, particle, component), lazy where `features` is and NaN where they are undefined;
        ``direction`` (component, features...), ``explained_variance_ratio`` and ``explained_variance`` (component),
        ``mean`` (features...), with `scale` also ``scale`` (features...), their standard deviations. The fit itself is
        computed at once, in one pass over the chunks. The attribute ``code`` names the code that computed the features
        and that of this reduction, ``origin`` says what the features were, for `save_reduction`.

    Raises
    ------
    SchemaError
        When the features are classes, or those of `together` are others.
    ParameterError
        When there are fewer features than components, or none of them varies.

    Examples
    --------
    >>> import glassdask as gd
    >>> rng = np.random.default_rng(1)
    >>> liquid = gd.from_arrays(rng.random((2, 60, 3)) * 4, species=["A"] * 60, box=[4.0, 4.0, 4.0])
    >>> features = gd.describe(liquid, [gd.SmoothedBondOrder(cutoffs=1.5)])
    >>> reduced = gd.reduce(features["sbo"], n_components=2)
    >>> reduced["direction"].dims, reduced["projection"].dims
    (('component', 'l'), ('frame', 'particle', 'component'))

    The same directions for a second frame:

    >>> first, second = features["sbo"].isel(frame=[0]), features["sbo"].isel(frame=[1])
    >>> common = gd.reduce(first, together=[second])
    >>> bool(np.allclose(abs(common["direction"].isel(component=0)), abs(reduced["direction"].isel(component=0))))
    True
    >>> gd.project(second, common).shape
    (1, 60, 8)
    """
    # not `PCA` itself: for its class every worker would load scikit-learn, a second and 40 MB each
    from glassdask.learning.directions import check_method, principal_directions
    from glassdask.learning.moments import merge_moments

    flags(scale=scale)
    features = one_descriptor(features)
    check_numbers(features.attrs, str(features.name))
    check_method(method)
    others = [one_descriptor(each) for each in together]
    for number, other in enumerate(others):
        check_alike(features, other, f"together[{number}]")
    if method == "exact":
        parts = [moments_of(each) for each in (features, *others)]
        found = principal_directions(merge_moments(parts), n_components, scale)
    elif others:
        raise ParameterError("together: of several features only the exact method finds common directions")
    else:
        from glassdask.learning.incremental import incremental_directions

        found = incremental_directions(feature_matrix(features), n_components, scale)
    more = {"together": 1 + len(others)} if others else {}
    return projected(features, found, method=method, scale=scale, code=digest(reduce), more=more)


def projected(
    features: xr.DataArray, found: Any, *, method: str, scale: bool, code: str, more: dict[str, Any]
) -> xr.Dataset:
    """The dataset of `reduce` for directions that are found already.

    Parameters
    ----------
    features : xarray.DataArray
        Of one descriptor.
    found : Directions
        Of these features, or common to them and others.
    method, scale : str or bool
        How they were found.
    code : str
        Digest of what found them.
    more : dict
        What else is said of the reduction.
    """
    projection = project(features, found)
    if projection.chunks is not None:
        projection.attrs["graph"] = projection.data.name
    dims, shape = features.dims[2:], features.shape[2:]
    n = len(found.components)
    coords = {name: c for name, c in features.coords.items() if c.dims and set(c.dims) <= set(dims)}
    dataset = xr.Dataset(
        {
            "projection": projection,
            "direction": (("component", *dims), found.components.reshape(n, *shape)),
            "explained_variance_ratio": ("component", found.explained_variance_ratio),
            "explained_variance": ("component", found.explained_variance),
            "mean": (dims, found.mean.reshape(shape)),
        },
        coords=coords,
    )
    if scale:
        dataset["scale"] = (dims, found.scale.reshape(shape))
    dataset = annotated(dataset)
    # of what computed the features, and of what reduces them
    dataset.attrs["code"] = " ".join([*features.attrs.get("code", "").split(), code])
    dataset.attrs["reduction"] = json.dumps(
        {
            "estimator": "PCA", "n_components": n, "method": method, "scale": scale, "features": str(features.name),
            "n_samples": int(found.n_samples), "n_undefined": int(found.n_undefined),
            "descriptor": json.loads(features.attrs.get("parameters", "null")),
            "centers": center_species(features) or [], **more,
        }
    )  # fmt: skip
    origin = {
        "input": features.attrs.get("input"), "made_from": features.attrs.get("made_from", {}),
        "name": str(features.name), "features": condition(features), "result": fingerprint(dataset),
    }  # fmt: skip
    return dataset.assign_attrs(origin=json.dumps(origin))


def check_numbers(attrs: Mapping[str, Any], name: str) -> None:
    """Raise `SchemaError` where features are classes: their numbers are names, of which no mean is taken."""
    if classes := attrs.get("classes"):
        listed = f"{', '.join(map(str, list(classes)[:3]))}, ..."
        raise SchemaError(
            f"{name}: has classes ({listed}), whose numbers are names and have no mean: take "
            "descriptors of numbers, and compare these with the classes"
        )


def moments_of(features: xr.DataArray) -> Any:
    """Moments of all rows of `feature_matrix`, computed some thousand chunks at a time."""
    from glassdask.learning.moments import compute_moments, merge_moments

    return merge_moments(compute_moments(matrix) for matrix in matrices(features))


def matrices(features: xr.DataArray) -> Iterator[Any]:
    """The `feature_matrix` of some thousand chunks after the other."""
    check_dimensions(features)
    chunks = features.chunks or ((features.sizes["frame"],),)
    edges = np.cumsum([0, *chunks[0]])
    others = math.prod(len(sizes) for sizes in chunks[1:])
    step = max(1, FIT_CHUNKS // others)
    bounds = [*edges[:-1:step], edges[-1]]
    for first, last in itertools.pairwise(bounds):
        yield feature_matrix(features.isel(frame=slice(first, last)))
