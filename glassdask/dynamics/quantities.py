"""Quantities of motion by name, with their parameters, as files and the command line have them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Any, get_args, get_type_hints

import xarray as xr

from glassdask.correlations.modes import first_peak_wavenumber, structure_factor
from glassdask.declarations import converted
from glassdask.dynamics import (
    averages,
    bonds,
    currents,
    fluctuations,
    four_points,
    hopping,
    mobile,
    rearrangements,
    scattering,
    spatial_motion,
    spectra,
    stresses,
    van_hove_functions,
    velocities,
)
from glassdask.dynamics.lags import even_frames, even_step
from glassdask.errors import ParameterError, SchemaError, near
from glassdask.neighborhood.boxes import mean_spacing
from glassdask.simulation.models import MODELS
from glassdask.store.derived import derive
from glassdask.store.layout import checked_part

QUANTITIES: dict[str, Callable[..., xr.Dataset]] = {
    "msd": averages.mean_square_displacement,
    "alpha2": averages.non_gaussian_parameter,
    "fs": averages.self_intermediate_scattering,
    "overlap": averages.overlap,
    "chi4": fluctuations.dynamic_susceptibility,
    "s4": four_points.four_point,
    "f": scattering.intermediate_scattering,
    "van_hove": van_hove_functions.van_hove,
    "collective_overlap": van_hove_functions.collective_overlap,
    "vacf": velocities.velocity_autocorrelation,
    "spectrum": spectra.velocity_spectrum,
    "skw": spectra.dynamic_structure_factor,
    "stress": stresses.stress_autocorrelation,
    "currents": currents.current_correlations,
    "displacement": spatial_motion.displacement_correlation,
    "cb": bonds.bond_breaking,
    "hops": hopping.hop_statistics,
    "d2min": rearrangements.nonaffine_motion,
    "strings": mobile.strings,
    "clusters": mobile.mobile_clusters,
}
# Lengths that are not given, in mean spacings (V/N)^(1/d).
A = 0.3
DISTANCE = {"strings": 0.6, "clusters": 1.4}
# A hop is at least as long as this, squared; and how many intervals between frames are looked at for one.
HOP = 0.45
HOP_INTERVALS = 20
# Types of parameters that are one number or word.
SCALARS = {bool, int, float, str, NoneType}
# Frames from which the peak of S(k) is found.
STRUCTURE_FRAMES = 20


def check_quantity(name: str, parameters: Mapping[str, Any]) -> None:
    """Raise `ParameterError` where a quantity or one of its parameters is unknown, or not of its type.

    >>> check_quantity("fs", {"k": 7, "origins": True})
    Traceback (most recent call last):
    glassdask.errors.ParameterError: fs.origins: expected int, found True
    """
    if name not in QUANTITIES:
        raise ParameterError(f"unknown quantity {name!r}: known are {', '.join(QUANTITIES)}{near(name, QUANTITIES)}")
    known = list(inspect.signature(QUANTITIES[name]).parameters)[1:]
    for key in parameters:
        if key not in known:
            raise ParameterError(f"{name}: unknown parameter {key!r}: known are {', '.join(known)}{near(key, known)}")
    hints = get_type_hints(QUANTITIES[name])
    for key, value in parameters.items():
        if {*(get_args(hints[key]) or [hints[key]])} <= SCALARS:  # of others the function itself knows more
            converted(value, hints[key], f"{name}.{key}")


def completed(name: str, parameters: Mapping[str, Any], trajectory: xr.Dataset) -> dict[str, Any]:
    """The parameters, with those that a quantity needs and that are not given: from the trajectory itself.

    ``a`` is 0.3 mean spacings, ``distance`` 0.6 for strings and 1.4 for clusters, ``k`` the first peak of S(k), and
    ``lag`` or ``lags`` the time at which chi_4 of the overlap is largest. Of hops ``threshold`` is the square of 0.45
    mean spacings, and ``window`` 20 intervals between frames, at most a tenth of the trajectory; of frames that are not
    evenly spaced those are taken that are. The ``model`` of the
    stress is the one that was simulated.

    Examples
    --------
    >>> import numpy as np, glassdask as gd
    >>> t = gd.from_arrays(np.zeros((1, 1000, 2)), species=["A"] * 1000, box=[100.0, 40.0])
    >>> completed("overlap", {"origins": 5}, t), completed("overlap", {"a": 0.4}, t)
    ({'origins': 5, 'a': 0.6}, {'a': 0.4})
    """
    check_quantity(name, parameters)
    found = dict(parameters)
    signature = inspect.signature(QUANTITIES[name]).parameters
    needed = [key for key, p in list(signature.items())[1:] if p.default is p.empty]
    if name == "stress" and "stress_tensor" not in trajectory and trajectory.attrs.get("model") in MODELS:
        found.setdefault("model", trajectory.attrs["model"])
    if name == "chi4" and not {"a", "k"} & found.keys():
        needed.append("a")
    for key in (key for key in sorted(needed) if key not in found):
        if key == "a":
            found[key] = _rounded(A * mean_spacing(trajectory))
        elif key == "distance":
            found[key] = _rounded(DISTANCE[name] * mean_spacing(trajectory))
        elif key == "threshold":
            found[key] = _rounded((HOP * mean_spacing(trajectory)) ** 2)
        elif key == "window":
            # of few frames, a tenth of the trajectory
            even = _seen(name, trajectory)
            intervals = max(2, min(HOP_INTERVALS, (even.sizes["frame"] - 1) // 10))
            found[key] = _rounded(intervals * even_step(even))
        elif key == "k":
            some = trajectory.isel(frame=slice(0, None, max(1, trajectory.sizes["frame"] // STRUCTURE_FRAMES)))
            found[key] = _rounded(first_peak_wavenumber(structure_factor(some)))
        elif key in ("lag", "lags"):
            a = found.get("a", _rounded(A * mean_spacing(trajectory)))
            chi4 = fluctuations.dynamic_susceptibility(trajectory, a=a)["chi4_total"]
            lag = float(chi4["lag"][chi4.argmax("lag")])
            found[key] = lag if key == "lag" else [lag]
    return found


def named(asked: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Quantity and parameters of each name that something is stored under: ``name`` of the parameters, or the quantity.

    Raises
    ------
    ParameterError
        A quantity or a parameter is unknown, or a name is asked for twice or cannot be one.

    Examples
    --------
    >>> named([("fs", {"k": 7.2}), ("fs", {"k": 3.6, "name": "fs_half"})])
    {'fs': ('fs', {'k': 7.2}), 'fs_half': ('fs', {'k': 3.6})}
    """
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for kind, given in asked:
        parameters = {key: value for key, value in given.items() if key != "name"}
        check_quantity(kind, parameters)
        name = checked_part(given.get("name", kind))
        if name in found:
            raise ParameterError(f"{name} is asked for twice: give one another name, such as {kind}:name='{name}_2'")
        found[name] = (kind, parameters)
    return found


def save_quantity(
    store: str | os.PathLike[str],
    name: str,
    kind: str,
    parameters: Mapping[str, Any],
    trajectory: xr.Dataset,
    overwrite: bool = False,
) -> None:
    """Store a quantity of the trajectory of a store as its reduction `name`, unless the same is there."""
    derive(
        store, name, lambda: measure(kind, parameters, trajectory), code_of(kind), {"quantity": kind, **parameters},
        overwrite=overwrite,
    )  # fmt: skip


def code_of(kind: str) -> str:
    """The function of a quantity, as `glassdask.code.digest` has it."""
    function = QUANTITIES[kind]
    return f"{function.__module__}:{function.__name__}"


def measure(name: str, parameters: Mapping[str, Any], trajectory: xr.Dataset) -> xr.Dataset:
    """The dataset of a quantity, of the function that `QUANTITIES` names."""
    check_quantity(name, parameters)
    return QUANTITIES[name](_seen(name, trajectory), **parameters)


def lasting(trajectory: xr.Dataset) -> xr.Dataset:
    """A trajectory with the particles that are in every frame; `SchemaError` where there are none."""
    if "present" not in trajectory:
        return trajectory
    stay = trajectory["present"].all("frame").values
    if not stay.any():
        raise SchemaError("no particle is in every frame, so that none can be followed: take fewer frames")
    return trajectory.isel(particle=stay)


def _seen(name: str, trajectory: xr.Dataset) -> xr.Dataset:
    """What a quantity is of: particles that never leave, and hops frames that are evenly spaced.

    Files cannot be asked to be like that; in Python it is chosen by who calls the function.
    """
    trajectory = lasting(trajectory)
    return trajectory.isel(frame=even_frames(trajectory)) if name == "hops" else trajectory


def _rounded(value: float) -> float:
    """To four digits: as it is told."""
    return float(f"{value:.4g}")
