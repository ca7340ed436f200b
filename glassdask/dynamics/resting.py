"""How particles set off from a structure in which nobody has a velocity."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted
from glassdask.dynamics.cages import pair_liquid
from glassdask.errors import SimulationError
from glassdask.frames import map_frames
from glassdask.kernels import motion as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.mechanics import masses
from glassdask.simulation.models import PairModel
from glassdask.simulation.protocols import Isoconfigurational, StoredStart
from glassdask.variables import annotated

STEP_MICROSECONDS = 0.4  # what a step takes, roughly
# Pairs are listed up to FAR beyond their cutoffs, and of these, more often, up to NEAR; in a step nobody may go STRIDE.
FAR, NEAR, STRIDE = 1.6, 0.3, 0.1


def motion_from_rest(
    trajectory: xr.Dataset, model: PairModel | str, lags: Sequence[float], *, timestep: float | None = None
) -> xr.Dataset:
    r"""Where particles go that begin at rest: the motion that is in a structure, without that of a temperature.

    Newton's equations are integrated (velocity Verlet) from every configuration with all velocities zero. The first
    term, :math:`F t^2 / 2m`, is the mean displacement of an isoconfigurational ensemble, whose velocities have no
    preferred direction, to the lowest order in t. Later the particles meet each other and spread over their cages with
    the energy by which the structure exceeds its inherent one; so their mean positions tell where cages are as seen
    from the structure. Nothing random enters, and nothing of the motion at a temperature.

    Parameters
    ----------
    trajectory : Dataset of the schema
        Instantaneous structures: in an inherent structure nobody sets off.
    model : PairModel, or the name of one
        Without bonds; any potentials.
    lags : sequence of float
        When the particles are looked at, increasing; each becomes the nearest whole number of steps.
    timestep : float, optional
        That of the model by default.

    Returns
    -------
    Dataset, lazy
        - ``displacement_from_rest`` (frame, particle, lag, space): r(t) - r(0)
        - ``mean_displacement_from_rest`` (frame, particle, lag, space): its mean over all steps up to t
        - ``cage_size_from_rest`` (frame, particle, lag): the mean of \|r - <r>\|^2 over these steps

        A frame of 4096 particles of the Kob-Andersen mixture takes a second for a time of three, and 22 kB of memory
        for each particle. Paths diverge exponentially: after some ten collisions the last bit of the positions decides
        where a particle is, but hardly where it is on average.

    Raises
    ------
    ParameterError, BoxError, SimulationError
        When the model does not fit or the lags do not increase; the box has open borders, unless nothing is beyond
        them; when it is computed, where particles are so near to each other that one goes 0.1 in a step.

    Examples
    --------
    Two particles that push each other apart:

    >>> import glassdask as gd
    >>> dimer = gd.from_arrays([[[4.0, 4.0, 4.0], [5.1, 4.0, 4.0]]], species=["A", "A"], box=[8.0] * 3)
    >>> moved = gd.dynamics.motion_from_rest(dimer, "kob_andersen", [0.1, 0.2])["displacement_from_rest"]
    >>> moved.sel(space="x").values[0].round(3).tolist()
    [[-0.007, -0.019], [0.007, 0.019]]
    """
    liquid = pair_liquid(trajectory, model, "motion_from_rest")
    step = liquid.timestep if timestep is None else converted(timestep, Positive, "motion_from_rest.timestep")
    wanted = converted(np.ravel(lags).tolist(), tuple[Positive, ...], "motion_from_rest.lags")
    # as those of an ensemble that begins with velocities, with which this is compared
    begun = Isoconfigurational(
        model=liquid, start=StoredStart(path=""), temperature=1.0, lags=wanted, timestep=step, replicas=1
    )
    steps = np.array(begun.steps)
    d, n = trajectory.sizes["space"], trajectory.sizes["particle"]
    work = partial(_paths, model=liquid, steps=tuple(steps.tolist()), step=step)
    microseconds = STEP_MICROSECONDS * int(steps[-1])
    packed = map_frames(
        work, trajectory, dims={"particle": n, "lag": len(steps), "column": 2 * d + 1}, microseconds=microseconds
    )
    # these are variables of trajectories, beside which the others may be put
    packed = packed.drop_vars(["species", "step", "id"], errors="ignore")
    paths = [packed.isel(column=slice(k * d, (k + 1) * d)).rename(column="space") for k in range(2)]
    found = {
        "displacement_from_rest": paths[0],
        "mean_displacement_from_rest": paths[1],
        "cage_size_from_rest": packed.isel(column=2 * d),
    }
    return annotated(xr.Dataset(found, coords={"space": trajectory["space"], "lag": steps * step}))


def _paths(configuration: Configuration, *, model: PairModel, steps: tuple[int, ...], step: float) -> np.ndarray:
    """Displacement, its mean, and the size of the cage of every particle (N, lag, 2 d + 1)."""
    names, species, d = configuration.names, configuration.species, configuration.dimension
    n = len(species)
    table, cutoffs = model.table(names, inner_only=True), model.cutoffs(names)
    impulse = 0.5 * step / masses(model, configuration)
    far2, near2 = (0.5 * (FAR - NEAR) - STRIDE) ** 2, (0.5 * NEAR) ** 2
    motion, force, sums, pruned, listed = np.zeros((2, 3, n)), np.empty((3, n)), np.zeros((4, n)), *np.empty((2, 3, n))
    out, done, pairs = np.empty((n, len(steps), 2 * d + 1)), 0, None
    for k, end in enumerate(steps):
        while done < end:
            if pairs is None:
                pairs = _pairs(configuration, motion[0], cutoffs + FAR)
                near = np.empty_like(pairs[0]), np.empty_like(pairs[1])
                listed[:] = pairs[2][:, :n]
                kernels.pull(*pairs[:3], species, table, force)
            done += kernels.integrate(
                *pairs, species, table, (cutoffs + NEAR) ** 2, impulse, step, near2, far2, end - done, motion, force,
                sums, *near, pruned, listed,
            )  # fmt: skip
            fastest = float(np.abs(motion[1]).max()) * step
            if not fastest < STRIDE:
                raise SimulationError(
                    f"{configuration.label}: a particle of {model.name} goes {fastest:.3g} in one step, at a time of "
                    f"{done * step:.4g}: particles are too near to each other; begin with another structure, or take a "
                    "smaller timestep"
                )
            if not kernels.farthest2(pairs[2], listed) < far2:
                pairs = None
        mean = sums[:3] / done
        out[:, k, :d], out[:, k, d : 2 * d] = motion[0, :d].T, mean[:d].T
        out[:, k, 2 * d] = sums[3] / done - (mean**2).sum(axis=0)
    return out


def _pairs(configuration: Configuration, shift: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, ...]:
    """What the kernel needs of the moved particles: offsets, partners, places, and of the images whose and how far."""
    c, d = configuration, configuration.dimension
    moved = Configuration((c.position + shift.T)[:, :d], c.species, c.box[:d, :d], c.names, c.label, borders=c.borders)
    n = len(c.species)
    found = moved.neighbors(np.arange(n), reach)
    offsets, index = np.empty((n, len(c.names) + 1), np.int64), np.empty(len(found.index), np.int32)
    turns, images, bounds = (
        np.empty((len(index), 3), np.int32),
        np.empty((len(index), 4), np.int32),
        np.empty((2, 3), int),
    )
    kernels.arrange(
        found.offsets, found.index, found.vector, moved.position, moved.inverse, c.species, offsets, index, turns,
        bounds,
    )  # fmt: skip
    numbers = np.zeros((n, *(bounds[1] - bounds[0] + 1).tolist()), np.int32)
    images = images[: kernels.number_images(index, turns, bounds[0], numbers, images)]
    origin, translation = images[:, 0].copy(), np.ascontiguousarray((images[:, 1:] @ moved.box).T)
    place = np.concatenate([moved.position.T, moved.position.T[:, origin] + translation], axis=1)
    return offsets, index, place, origin, translation
