"""Fitted models in files without pickle: arrays, and a JSON that says what they are."""

from __future__ import annotations

import json
import os
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from glassdask.code import version
from glassdask.errors import FormatError, ParameterError, StoreError, StoreVersionError
from glassdask.files import replacing
from glassdask.learning.arrays import feature_names

FORMAT = 2  # 1 had feature_names_, a list or None, for feature_names_in_
DESCRIPTION = "model.json"
MODELS = (
    "ARDRegression",
    "Autoencoder",
    "CommunityInference",
    "ConvolutionalClassifier",
    "EquivariantNetwork",
    "ForwardSelection",
    "GaussianMixture",
    "KMeans",
    "LinearRegression",
    "LinearSVM",
    "LogisticRegression",
    "PCA",
    "PrincipalComponentRegression",
    "Ridge",
    "RidgeCV",
)


def save_model(model: Any, path: str | os.PathLike[str], features: xr.DataArray | None = None) -> Path:
    """Write a fitted model of this package to one file, a zip archive of .npy arrays and a ``model.json``.

    Parameters
    ----------
    model : Estimator
        A fitted one of `glassdask.learning`.
    path : str or path
        Usually ends in ``.npz``. A file of that name is replaced once the new one is complete.
    features : DataArray (frame, particle, features...), optional
        The descriptor that the model was fitted on, as `describe` gave it: its feature coordinates and parameters are
        written too, and `load_model` compares them.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ParameterError
        If the model is not fitted, not of this package, or has another number of features.
    StoreError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from glassdask.learning import PCA
    >>> x = np.arange(12.0).reshape(4, 3) ** 2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_model(PCA(n_components=2).fit(x), folder + "/pca.npz")
    ...     bool((load_model(path).transform(x) == PCA(n_components=2).fit(x).transform(x)).all())
    True
    """
    arrays: dict[str, np.ndarray] = {}
    description = {"format": FORMAT, "glassdask": version(), "numpy": np.__version__}
    description |= _describe(model, "", arrays)
    if features is not None:
        names = feature_names(features)
        n_features = _n_features(features)
        if n_features != model.n_features_in_:
            raise ParameterError(f"the descriptor has {n_features} features, but the model {model.n_features_in_}")
        description["features"] = {"names": names, "descriptor": _parameters_of(features)}
    target = Path(path)
    with replacing(target) as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
        with zipfile.ZipFile(stream, "a") as archive:
            archive.writestr(DESCRIPTION, json.dumps(description, indent=1))
    return target


def load_model(path: str | os.PathLike[str], features: xr.DataArray | None = None) -> Any:
    """Read a model that `save_model` wrote; nothing in the file is executed.

    Parameters
    ----------
    path : str or path
    features : DataArray (frame, particle, features...), optional
        The descriptor that the model shall be applied to. If the one it was fitted on has other coordinates or other
        parameters, such as cutoffs, that is an error; leave it out to apply the model nevertheless.

    Raises
    ------
    ParameterError
        If the features do not match.
    FormatError, StoreVersionError, StoreError
        If the file is not a model, is written by a newer version, or cannot be read.
    """
    source = Path(path)
    try:
        with zipfile.ZipFile(source) as archive:
            description = json.loads(archive.read(DESCRIPTION))
        with np.load(source, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != DESCRIPTION}
    except OSError as error:
        raise StoreError(f"{source}: cannot be read ({error.strerror or error}): check the path") from None
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError):
        raise FormatError(f"{source}: not a model of glassdask, or damaged: save the model again") from None
    if description.get("format", 0) > FORMAT:
        raise StoreVersionError(f"{source}: format {description['format']} is newer than {FORMAT}: upgrade glassdask")
    model = _rebuild(description, "", arrays, source)
    written = description.get("features")
    if features is not None:
        _compare(written or {"names": model.names, "descriptor": None}, features, source)
    return model


def _describe(model: Any, prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Class, parameters and attributes of a model; arrays go to `arrays` under `prefix`."""
    name = type(model).__name__
    if name not in MODELS or not type(model).__module__.startswith("glassdask.learning."):
        raise ParameterError(f"{name} is not a model of glassdask.learning: expected one of {', '.join(MODELS)}")
    learned = {key: value for key, value in vars(model).items() if key.endswith("_")}
    model.check_fitted()
    values: dict[str, Any] = {}
    for key, value in learned.items():
        if isinstance(value, np.ndarray):
            arrays[prefix + key] = value.astype(str) if value.dtype == object else value  # names
        elif isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            arrays |= {f"{prefix}{key}{i}": array for i, array in enumerate(value)}
            values[key] = {"arrays": len(value)}
        elif hasattr(value, "get_params"):
            values[key] = {"model": _describe(value, f"{prefix}{key}.", arrays)}
        else:
            values[key] = _plain(value)
    parameters = {key: _plain(value) for key, value in model.get_params(deep=False).items()}
    return {"model": name, "parameters": parameters, "attributes": values}


def _plain(value: Any) -> Any:
    """A parameter as JSON can hold it."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _rebuild(description: dict[str, Any], prefix: str, arrays: dict[str, np.ndarray], source: Path) -> Any:
    name = description.get("model")
    if name not in MODELS:
        raise FormatError(f"{source}: unknown model '{name}', expected one of {', '.join(MODELS)}")
    try:
        model = getattr(import_module("glassdask.learning"), name)(**description["parameters"])
        for key, value in description["attributes"].items():
            if key == "feature_names_":  # of format 1
                key, value = "feature_names_in_", np.array(value, dtype=object)
                if value.ndim == 0:  # None: there were no names
                    continue
            if isinstance(value, dict) and "arrays" in value:
                value = [arrays[f"{prefix}{key}{i}"] for i in range(value["arrays"])]
                for i in range(len(value)):
                    del arrays[f"{prefix}{key}{i}"]
            elif isinstance(value, dict):
                value = _rebuild(value["model"], f"{prefix}{key}.", arrays, source)
            setattr(model, key, value)
    except (KeyError, TypeError) as error:
        raise FormatError(f"{source}: {error} does not belong to {name} or is missing: save the model again") from None
    for key, array in arrays.items():
        if key.startswith(prefix) and "." not in key[len(prefix) :]:
            setattr(model, key[len(prefix) :], array)
    return model


def _n_features(features: xr.DataArray) -> int:
    columns = features.shape[2:] if features.dims[:2] == ("frame", "particle") else features.shape[-1:]
    return int(np.prod(columns, dtype=int))


def _parameters_of(features: xr.DataArray) -> dict[str, Any] | None:
    parameters = features.attrs.get("parameters")
    if parameters is None:
        return None
    return {**json.loads(parameters), "centers": _listed(features.attrs.get("centers", []))}


def _listed(centers: str | list[str]) -> list[str]:
    """Species of the centres; one text with blanks between them in older files."""
    return centers.split() if isinstance(centers, str) else list(centers)


def _compare(written: dict[str, Any], features: xr.DataArray, source: Path) -> None:
    expected, found = written["names"], feature_names(features)
    if expected is not None and expected != found:
        others = found or ["without a name"] * _n_features(features)
        pairs = zip(expected, others)
        first = next((f"'{b}' instead of '{a}'" for a, b in pairs if a != b), f"{len(others)} in number")
        raise ParameterError(
            f"{source}: the model was fitted on {len(expected)} features, these differ ({first}): describe again"
        )
    parameters, other = written["descriptor"], _parameters_of(features)
    if parameters is not None:
        parameters = {**parameters, "centers": _listed(parameters.get("centers", []))}
    if parameters is not None and parameters != other:
        other = other or {}
        key = next(key for key in sorted({*parameters, *other}) if parameters.get(key) != other.get(key))
        raise ParameterError(
            f"{source}: the model was fitted on features with {key} = {parameters.get(key)}, these have "
            f"{other.get(key)}: describe again, or load the model without features to use it nevertheless"
        )
