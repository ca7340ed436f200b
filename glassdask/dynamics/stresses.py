"""How stress relaxes: the stress tensor of pair models, its autocorrelation, and the viscosity (Green and Kubo)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted, flags
from glassdask.dynamics.lags import even_step
from glassdask.dynamics.origins import Origins
from glassdask.dynamics.velocities import check_velocities
from glassdask.errors import ParameterError, SchemaError
from glassdask.frames import map_frames
from glassdask.graphs import compute
from glassdask.neighborhood.borders import refuse_open
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import species_codes, species_names, validate
from glassdask.simulation.interactions import interactions
from glassdask.simulation.mechanics import masses
from glassdask.simulation.mixture import Model
from glassdask.simulation.models import PairModel, read_model
from glassdask.simulation.species import masses_of, refuse_others
from glassdask.variables import annotated

# What a particle takes, in microseconds, roughly.
MICROSECONDS = 20.0
# Time origins of a lag: the stress is of all particles together, so that only many of them tell it well.
STRESS_ORIGINS = 20_000


def stress_tensor(trajectory: xr.Dataset, model: Model | str, *, kinetic: bool = True) -> xr.DataArray:
    r"""Stress tensor of each frame, of particles that interact in pairs (Irving and Kirkwood).

    sigma_ab = -1/V [ sum_i m_i v_ia v_ib + sum_{i<j} r_ij,a f_ij,b ],

    f_ij the force that pushes i and j apart: minus the pressure tensor, so that sigma_xy is what LAMMPS calls -Pxy.
    What a particle has of it without the velocities is `glassdask.simulation.stresses`.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory of the model, with ``velocity``, in memory or lazy.
    model : str or Model
        Name of one of `glassdask.simulation.MODELS`, such as ``"kob_andersen"``, or a `PairModel` of your own.
    kinetic : bool, default True
        With the part of the velocities. Without it none are needed.

    Returns
    -------
    DataArray (frame, space_a, space_b), lazy
        In the model's unit of energy over length^d.

    Raises
    ------
    SchemaError
        When there are no velocities.
    ParameterError, SpeciesError, BoxError
        When the model is no pair model, or has another dimension or other species, or the box does not repeat.

    Examples
    --------
    Two particles at rest that push each other apart along x:

    >>> import glassdask as gd
    >>> pair = gd.from_arrays([[[1.0, 1.0, 1.0], [2.0, 1.0, 1.0]]], species=["A", "A"], box=[9.0, 9.0, 9.0])
    >>> stress_tensor(pair, "kob_andersen", kinetic=False).values[0].round(4).tolist()
    [[-0.0329, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    flags(kinetic=kinetic)
    validate(trajectory)
    potential = _pair_model(model, trajectory)
    refuse_open(trajectory, "the stress of a cut-out", "drop_vars('periodic') where the box does repeat")
    values = []
    if kinetic:
        check_velocities(trajectory)
        values.append(trajectory["velocity"])
    d = trajectory.sizes["space"]
    found = map_frames(
        _Stress(potential), trajectory, *values, dims={"space_a": d, "space_b": d}, microseconds=MICROSECONDS
    )
    axes = list("xyz"[:d])
    return annotated(found.assign_coords(space_a=axes, space_b=axes).rename("stress_tensor"))


def stress_autocorrelation(
    trajectory: xr.Dataset,
    model: Model | str | None = None,
    lags: Sequence[float] | None = None,
    *,
    temperature: float | None = None,
    origins: int = STRESS_ORIGINS,
) -> xr.Dataset:
    r"""Relaxation modulus from the autocorrelation of the stress, and its integral, the viscosity (Green and Kubo).

    G(t) = V / (k_B T) < sigma_xy(0) sigma_xy(t) >,    eta(t) = int_0^t G(t') dt',

    where the viscosity is the plateau of eta(t). All components of the traceless symmetric part s of the stress are
    used: G = V / (k_B T) < s(0) : s(t) > / ((d - 1) (d + 2)), which is Daivis and Evans' average [1]_ (10 in three
    dimensions); the mean of the components off the diagonal is given besides. The integral is by the trapezoidal rule
    over all frames, whatever the lags, so that frames must be as close as the stress at short times needs: about a
    twentieth of the time in which a particle crosses its cage.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``time`` in even steps, in memory or lazy, and with ``velocity`` and a `model`, or with the
        stress of each frame, such as from a log of LAMMPS: ``trajectory.assign(stress_tensor=(("frame", "space_a",
        "space_b"), values))``.
    model : str or Model, optional
        Of `stress_tensor`; needed where the trajectory has no ``stress_tensor``.
    lags : sequence of float, optional
        Times besides 0; by default about 50 that occur.
    temperature : float, optional
        k_B T in the model's unit of energy; by default that of the velocities, with the model's masses.
    origins : int
        Time origins that are used of each lag at most, evenly spread over the trajectory.

    Returns
    -------
    xarray.Dataset
        ``modulus`` (lag) and ``viscosity`` (lag), eta(t); ``modulus_off_diagonal`` and ``viscosity_off_diagonal`` (lag)
        of the components off the diagonal alone; all with ``_error``, from blocks of origins as those of
        `self_correlations`. ``eta`` is eta(t) at the first lag at which G is less than its error, ``eta_lag``; NaN
        where the stress has not relaxed so far. A mean stress is not taken away: that of a liquid is zero, that of a
        glass does not relax. Computed, not lazy. Attributes ``temperature`` and ``volume``, the mean one.

    Raises
    ------
    SchemaError
        When there are no times, they are not evenly spaced, or velocities are missing.
    ParameterError
        When neither stress nor model nor temperature tell enough; and as `stress_tensor`.

    References
    ----------
    .. [1] P. J. Daivis and D. J. Evans, J. Chem. Phys. 100, 541 (1994).

    Examples
    --------
    A stress that is forgotten between frames has the integral of its first half interval:

    >>> import glassdask as gd
    >>> t = gd.from_arrays(np.zeros((40000, 1, 2)), species=["A"], box=[2.0, 2.0], time=np.arange(40000.0))
    >>> shear = np.random.default_rng(0).normal(size=40000)
    >>> tensor = np.stack([np.stack([shear * 0, shear], -1), np.stack([shear, shear * 0], -1)], -1)
    >>> t = t.assign(stress_tensor=(("frame", "space_a", "space_b"), tensor))
    >>> found = stress_autocorrelation(t, lags=[1.0, 2.0], temperature=4.0)
    >>> [(found[f"{name}_off_diagonal"].values.round(1) + 0.0).tolist() for name in ("modulus", "viscosity")]
    [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]
    """
    validate(trajectory)
    step = even_step(trajectory)
    temperature = converted(temperature, Positive | None, "temperature")
    found_origins = Origins.of(trajectory.drop_vars("id", errors="ignore"), lags, origins, zero=True)
    tensor, thermal = _measured(trajectory, model, temperature)
    d = trajectory.sizes["space"]
    volume = float(np.abs(np.linalg.det(trajectory["box"].values)).mean())
    trace = np.einsum("faa->f", tensor) / d
    parts = (
        (tensor - trace[:, None, None] * np.eye(d)).reshape(len(tensor), -1) / np.sqrt((d - 1) * (d + 2)),
        tensor[:, *np.triu_indices(d, 1)] / np.sqrt(d * (d - 1) / 2),
    )
    first, later = found_origins.pairs.T
    columns = []
    for part in parts:
        so_far = np.concatenate([np.zeros_like(part[:1]), np.cumsum(0.5 * step * (part[1:] + part[:-1]), axis=0)])
        for against in (part[later], so_far[later] - so_far[first]):
            columns.append(np.einsum("pc,pc->p", part[first], against))
    names = ("modulus", "viscosity", "modulus_off_diagonal", "viscosity_off_diagonal")
    averages = found_origins.averages(
        lambda means, counts: dict(zip(names, volume / thermal * np.moveaxis(means, -1, 0))), np.stack(columns, axis=-1)
    )
    variables: dict[str, Any] = {"origins": ("lag", found_origins.counts)}
    for name, (value, error) in averages.items():
        variables[name], variables[f"{name}_error"] = ("lag", value), ("lag", error)
    variables |= _plateau(found_origins.lags, averages)
    attrs = {"dimension": d, "particles": trajectory.sizes["particle"], "temperature": thermal, "volume": volume}
    return annotated(xr.Dataset(variables, coords={"lag": found_origins.lags}, attrs=attrs))


def _plateau(lags: np.ndarray, averages: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """The viscosity where the modulus is first less than its error."""
    modulus, error = averages["modulus"]
    done = np.flatnonzero(modulus < error)
    eta, eta_error = averages["viscosity"]
    at = done[0] if len(done) else None
    return {
        "eta": np.nan if at is None else eta[at],
        "eta_error": np.nan if at is None else eta_error[at],
        "eta_lag": np.nan if at is None else lags[at],
    }


def _measured(trajectory: xr.Dataset, model: Model | str | None, temperature: float | None) -> tuple[np.ndarray, float]:
    """The stress (frame, d, d), and k_B T."""
    if "stress_tensor" not in trajectory and model is None:
        raise ParameterError(
            "it is not known how the particles interact: give the model, stress:model='kob_andersen' at the prompt, "
            "model='kob_andersen' in Python, or a trajectory with the variable 'stress_tensor' (frame, space_a, "
            "space_b)"
        )
    if temperature is None and model is None:
        raise ParameterError("no temperature: give temperature, or model, whose masses and the velocities tell it")
    wanted = []
    if "stress_tensor" in trajectory:
        wanted.append(trajectory["stress_tensor"])
        d = trajectory.sizes["space"]
        expected = ("frame", "space_a", "space_b")
        if wanted[0].dims != expected or wanted[0].shape[1:] != (d, d) or wanted[0].dtype.kind not in "fiu":
            raise SchemaError(
                f"'stress_tensor' has dimensions {wanted[0].dims}, shape {wanted[0].shape}, dtype {wanted[0].dtype}: "
                f"expected {expected}, (frames, {d}, {d}) and real numbers"
            )
    else:
        assert model is not None
        wanted.append(stress_tensor(trajectory, model))
    if temperature is None:
        assert model is not None
        check_velocities(trajectory)
        liquid, names = _pair_model(model, trajectory), species_names(trajectory)
        heavy = masses_of(liquid, names)[species_codes(trajectory)]
        n, d = trajectory.sizes["particle"], trajectory.sizes["space"]
        if n < 2:
            raise ParameterError("the velocity of one particle tells no temperature: give temperature")
        kinetic = xr.dot(trajectory["velocity"] ** 2, xr.DataArray(heavy, dims="particle"), dim=...)
        wanted.append(kinetic / (trajectory.sizes["frame"] * d * (n - 1)))
    found = compute(*wanted)
    tensor = np.asarray(found[0].values, dtype=np.float64)
    if not np.isfinite(tensor).all():
        frame = int(np.argwhere(~np.isfinite(tensor))[0, 0])
        raise SchemaError(f"frame {frame}: the stress is not finite: leave out that frame and those before or after it")
    thermal = float(found[1]) if temperature is None else temperature
    if not thermal > 0:
        raise ParameterError("all velocities are zero: give temperature")
    return 0.5 * (tensor + tensor.transpose(0, 2, 1)), thermal


def _pair_model(model: Model | str, trajectory: xr.Dataset) -> PairModel:
    """The model, which must be one of pairs and of these species and dimension."""
    found = read_model(model, "model")
    if not isinstance(found, PairModel):
        raise ParameterError(
            f"{found.name} is no model of pairs: give the stress of each frame, as LAMMPS tells it, as the variable "
            "'stress_tensor' (frame, space_a, space_b)"
        )
    refuse_others(found, species_names(trajectory), trajectory.sizes["space"])
    return found


class _Stress:
    """The stress of a frame."""

    def __init__(self, model: PairModel):
        self.model = model

    def __call__(self, configuration: Configuration, velocity: np.ndarray | None = None) -> np.ndarray:
        d = configuration.dimension
        pairs = interactions(self.model, configuration, "stress_tensor")
        total = np.einsum("p,pa,pb->ab", pairs.slope / pairs.distance, pairs.vector, pairs.vector)
        if velocity is not None:
            total -= (velocity * masses(self.model, configuration)[:, None]).T @ velocity
        return total / abs(np.linalg.det(configuration.box[:d, :d]))
