"""Classes of particles, labelled: from (frame, particle, features...) to the number of the class of each particle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from glassdask.code import digest
from glassdask.declarations import flags, shown
from glassdask.descriptors.codes import CLASSES, ESTIMATORS
from glassdask.descriptors.features import center_species, check_alike, one_descriptor, project
from glassdask.descriptors.reduce import check_numbers, matrices, moments_of
from glassdask.errors import ParameterError
from glassdask.store.identity import condition, fingerprint
from glassdask.variables import annotated

METHODS = dict(zip(("mixture", "kmeans", "communities"), CLASSES))
# what a fit is told by, as far as the estimator has it
QUALITIES = ("log_likelihood", "bic", "inertia", "mutual_information")


def classify(
    features: xr.DataArray,
    model: Any = None,
    *,
    n_components: int | float | None = None,
    scale: bool = False,
    together: Sequence[xr.DataArray] = (),
) -> xr.Dataset:
    """Classes of particles with a similar structure, and the class of every particle.

    Parameters
    ----------
    features : xarray.DataArray (frame, particle, features...)
        Lazy or in memory; or a dataset of `describe` with this one variable. They are read once for each pass of the
        fit: save or persist what is expensive to describe.
    model : estimator or Dataset, default ``GaussianMixture(n_classes=2)``
        One of `glassdask.learning.GaussianMixture`, `KMeans` and `CommunityInference`, which is fitted; or the dataset
        of an earlier `classify`, the classes of which are looked for in these features.
    n_components : int or float, optional
        So many principal components are classified instead of the features, see `glassdask.learning.PCA`.
    scale : bool
        Divide each feature by its standard deviation first.
    together : sequence of DataArray, optional
        Features of the same descriptor, such as those at other temperatures, that the classes are common to.
        ``classify(other, found)`` then gives the classes of the others.

    Returns
    -------
    xarray.Dataset
        ``assignment`` (frame, particle), the number of the class, from 0 on in descending order of their sizes, NaN
        where the features are; of mixtures ``class_probability`` (frame, particle, class); lazy where `features` is.
        ``share`` (class) of the particles that were fitted, ``class_mean`` (class, features...), of mixtures
        ``covariance`` (class, coordinate, coordinate_b) of what was classified. With `n_components` also
        ``projection``, ``direction``, ``explained_variance``, ``explained_variance_ratio`` and ``mean`` as of
        `reduce`, with `scale` ``mean`` and ``scale``. The fit itself is computed at once. `save_reduction` stores it
        all; the attribute ``reduction`` says what was fitted, and how well.

    Raises
    ------
    ParameterError
        The model is none of these, or was fitted to other features; what the model raises.

    Examples
    --------
    >>> import glassdask as gd
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=(1, 300, 2)) + 9.0 * (np.arange(300) % 3 == 0)[:, None]
    >>> features = xr.DataArray(x, dims=("frame", "particle", "feature"), name="x")
    >>> found = gd.classify(features, gd.learning.KMeans(n_classes=2))
    >>> found["assignment"].values[0, :6].tolist(), found["share"].values.round(2).tolist()
    ([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [0.67, 0.33])

    The same classes in other features:

    >>> gd.classify(features[:, ::3], found)["assignment"].values[0, :3].tolist()
    [1.0, 1.0, 1.0]
    """
    flags(scale=scale)
    features = one_descriptor(features)
    check_numbers(features.attrs, str(features.name))
    others = [one_descriptor(each) for each in together]
    for number, other in enumerate(others):
        check_alike(features, other, f"together[{number}]")
    if isinstance(model, xr.Dataset):
        if n_components is not None or scale or others:
            raise ParameterError("model: of classes that were found, n_components, scale and together are known")
        return _assigned(features, _Classes.of(model, features), json.loads(model.attrs["reduction"]))
    fitted, told = _fit(features, model, n_components, scale, others)
    return _assigned(features, fitted, told)


@dataclass(frozen=True)
class _Classes:
    """A partition of what `directions`, where there are some, make of features."""

    partition: Any
    directions: Any
    components: bool

    def transform(self, matrix: np.ndarray) -> np.ndarray:
        """How probable each class is for each row."""
        from glassdask.learning.partitions import probabilities

        return probabilities(self.partition, matrix if self.directions is None else self.directions.transform(matrix))

    @property
    def mean(self) -> np.ndarray:
        """Means of the features in each class."""
        means: np.ndarray = self.partition.mean_of_features
        if self.directions is None:
            return means
        lifted: np.ndarray = means @ self.directions.components * self.directions.scale + self.directions.mean
        return lifted

    @classmethod
    def of(cls, found: xr.Dataset, features: xr.DataArray) -> _Classes:
        """The classes of a dataset of `classify`, for features of the same descriptor."""
        from glassdask.learning import classes
        from glassdask.learning.directions import Directions

        told = json.loads(found.attrs.get("reduction", "{}"))
        if told.get("estimator") not in CLASSES or "class_mean" not in found:
            raise ParameterError("model: the dataset is none of classify: give one, or an estimator to be fitted")
        check_alike(features, found["class_mean"].expand_dims("frame"), "features", "what was classified")
        means = np.asarray(found["class_mean"].values).reshape(found.sizes["class"], -1)
        directions = None
        if "mean" in found:
            n = means.shape[1]
            ones = np.ones(n)
            scales = np.asarray(found["scale"].values).ravel() if "scale" in found else ones
            rows = np.asarray(found["direction"].values).reshape(-1, n) if "direction" in found else np.eye(n)
            variance = np.asarray(found["explained_variance"].values) if "direction" in found else ones
            ratio = np.asarray(found["explained_variance_ratio"].values) if "direction" in found else ones
            middle = np.asarray(found["mean"].values).ravel()
            directions = Directions(
                rows, variance, ratio, middle, scales, told["n_samples"], told["n_undefined"], None
            )  # fmt: skip
            means = directions.transform(means)
        shape = means.shape[1]
        given: dict[str, Any] = {"share": np.asarray(found["share"].values), "mean": means}
        given |= {"origin": np.zeros(shape), "unit": np.ones(shape)}
        if "covariance" in found:
            given |= {"covariance": np.asarray(found["covariance"].values), "added": 0.0}
        return cls(getattr(classes, told["estimator"]).kind(**given), directions, "direction" in found)


def _fit(
    features: xr.DataArray, model: Any, n_components: int | float | None, scale: bool, others: list[xr.DataArray]
) -> tuple[_Classes, dict[str, Any]]:
    from glassdask.learning.arrays import feature_names, map_rows
    from glassdask.learning.classes import Clustering, GaussianMixture
    from glassdask.learning.moments import merge_moments

    model = GaussianMixture() if model is None else model
    if not isinstance(model, Clustering):
        raise ParameterError(
            f"model: expected one of {', '.join(METHODS.values())} of glassdask.learning, or a dataset of classify, "
            f"found {shown(model)}"
        )
    name = type(model).__name__
    if name == "CommunityInference" and (scale or n_components is not None):
        raise ParameterError("CommunityInference compares histograms as they are: leave n_components and scale out")
    model.check_parameters()
    moments = merge_moments([moments_of(each) for each in (features, *others)])
    directions, kept = _directions(moments, n_components, scale)

    def rows() -> Iterator[Any]:
        for each in (features, *others):
            for matrix in matrices(each):
                yield (
                    matrix if directions is None else map_rows(directions.transform, matrix, len(directions.components))
                )

    names = feature_names(features) if directions is None else None
    model.fit_rows(rows, kept)
    model.set_features(kept.n_features, names)
    told = {
        "estimator": name, "parameters": model.get_params(), "n_components": None, "scale": scale,
        "features": str(features.name), "n_samples": model.n_samples_, "n_undefined": model.n_undefined_,
        "descriptor": json.loads(features.attrs.get("parameters", "null")), "centers": center_species(features) or [],
    }  # fmt: skip
    told |= {"together": 1 + len(others)} if others else {}
    told |= {quality: float(getattr(model, f"{quality}_")) for quality in QUALITIES if hasattr(model, f"{quality}_")}
    if n_components is not None:
        told["n_components"] = len(directions.components)
    return _Classes(model.partition(), directions, n_components is not None), told


def _directions(moments: Any, n_components: int | float | None, scale: bool) -> tuple[Any, Any]:
    """What the features are projected on, if on anything, and the moments of the projections."""
    from glassdask.learning.directions import Directions, feature_scale, principal_directions
    from glassdask.learning.moments import Moments

    if n_components is None and not scale:
        return None, moments
    if n_components is None:
        moments.require_rows(2)
        n = moments.n_features
        found = Directions(
            np.eye(n), np.ones(n), np.full(n, 1 / n), moments.x_mean, feature_scale(moments), moments.n,
            moments.n_undefined, moments.names,
        )  # fmt: skip
        scatter = moments.xx / np.outer(found.scale, found.scale)
    else:
        found = principal_directions(moments, n_components, scale)
        scatter = np.diag(found.explained_variance * (moments.n - 1))
    k = len(found.components)
    return found, Moments(moments.n, moments.n_undefined, np.zeros(k), scatter, k)


def _assigned(features: xr.DataArray, classes: _Classes, told: dict[str, Any]) -> xr.Dataset:
    """The dataset of `classify`."""
    found = classes.partition
    n = len(found.share)
    dims, shape = features.dims[2:], features.shape[2:]
    coords = {name: c for name, c in features.coords.items() if c.dims and set(c.dims) <= set(dims)}
    probability = project(features, classes).rename(component="class")
    probability["class"] = np.arange(n)
    number = _numbered(probability.data)
    assignment = probability.isel({"class": 0}, drop=True).copy(data=number)
    variables: dict[str, Any] = {
        "assignment": assignment, "share": ("class", found.share),
        "class_mean": (("class", *dims), classes.mean.reshape(n, *shape)),
    }  # fmt: skip
    if hasattr(found, "covariance"):
        variables |= {
            "class_probability": probability, "covariance": (("class", "coordinate", "coordinate_b"),
                                                       found.covariance_of_features),
        }  # fmt: skip
    directions = classes.directions
    if directions is not None:
        variables["mean"] = (dims, directions.mean.reshape(shape))
    if told["scale"]:
        variables["scale"] = (dims, directions.scale.reshape(shape))
    if classes.components:
        variables |= {
            "projection": project(features, directions),
            "direction": (("component", *dims), directions.components.reshape(-1, *shape)),
            "explained_variance": ("component", directions.explained_variance),
            "explained_variance_ratio": ("component", directions.explained_variance_ratio),
        }
    coords["class"] = np.arange(n)
    variables["assignment"].attrs["classes"] = [str(k) for k in range(n)]
    for values in variables.values():
        if isinstance(values, xr.DataArray) and values.chunks is not None:
            values.attrs["graph"] = values.data.name
    dataset = annotated(xr.Dataset(variables, coords=coords))
    code = digest(*ESTIMATORS[told["estimator"]])
    dataset.attrs["code"] = " ".join([*features.attrs.get("code", "").split(), code])
    dataset.attrs["reduction"] = json.dumps(told)
    origin = {
        "input": features.attrs.get("input"), "made_from": features.attrs.get("made_from", {}),
        "name": str(features.name), "features": condition(features), "result": fingerprint(dataset),
    }  # fmt: skip
    return dataset.assign_attrs(origin=json.dumps(origin))


def _numbered(probability: Any) -> Any:
    """The most probable class of each particle, from 0 on; NaN where there is none."""
    if isinstance(probability, da.Array):
        return da.map_blocks(_numbered, probability, drop_axis=2, dtype=np.float64, meta=np.empty((0, 0)))
    undefined = np.isnan(probability).any(axis=2)
    return np.where(undefined, np.nan, np.where(undefined[..., None], 0.0, probability).argmax(axis=2))
