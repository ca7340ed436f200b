"""Where particles stay on average while none can leave its cage (Alkemade, Smallenburg and Filion 2023)."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Count, Positive, Whole, converted
from glassdask.errors import ParameterError
from glassdask.frames import map_frames
from glassdask.kernels import cages as kernels
from glassdask.neighborhood.borders import borders_of, refuse_open
from glassdask.neighborhood.boxes import check_radius
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import species_names, validate
from glassdask.simulation.models import PairModel, read_model
from glassdask.simulation.species import refuse_others
from glassdask.variables import annotated
from glassdask.wrapping import wrap

# Trial moves are uniform in a cube from -STEP to STEP: 4 of 10 are accepted in Kob-Andersen at T = 0.44.
STEP = 0.06
SWEEP_MICROSECONDS = 0.7  # what a trial move takes, roughly
SWEEPS_AT_ONCE = 50  # as many random numbers as fit into the cache of a core for some thousand particles


def cage_positions(
    trajectory: xr.Dataset,
    model: PairModel | str,
    temperature: float,
    *,
    radius: float = 0.3,
    sweeps: int = 5000,
    burn_in: int = 400,
    seed: int = 0,
) -> xr.Dataset:
    r"""Mean positions of all particles under dynamics in which no particle leaves its cage.

    Metropolis Monte Carlo at the given temperature in which every particle stays within `radius` of where it is in
    `trajectory`; the mean is over all sweeps after the first `burn_in`. This is the "cage state" of R. M. Alkemade,
    F. Smallenburg and L. Filion, J. Chem. Phys. 158, 134512 (2023), from which they predict propensity better than from
    initial or inherent structures. Nothing of the later motion enters.

    Parameters
    ----------
    trajectory : Dataset of the schema
        Best the inherent structures: their particles are in the middle of their cages.
    model : PairModel, or the name of one
        Without bonds; any potentials. Lennard-Jones that is not smoothed takes least time.
    temperature : float
        In the unit of energy.
    radius : float
        How far a particle may go; a rearrangement must be farther.
    sweeps, burn_in : int
        Trial moves of every particle.
    seed : int
        Frame k has the same random numbers whatever else is computed.

    Returns
    -------
    Dataset, lazy
        ``position`` (frame, particle, space), wrapped, and ``cage_size`` (frame, particle), the mean of
        \|r - <r>\|^2. A frame of 4096 particles takes 15 s with 5000 sweeps; <r> is then known to 0.014 sigma.

    Raises
    ------
    ParameterError, BoxError

    Examples
    --------
    >>> import glassdask as gd
    >>> from glassdask.simulation.models import KOB_ANDERSEN
    >>> cubic = np.stack(np.meshgrid(*[np.arange(7.0)] * 3), axis=-1).reshape(1, 343, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 343, box=[7.0, 7.0, 7.0])
    >>> cages = cage_positions(crystal, KOB_ANDERSEN, 0.1, sweeps=100, burn_in=20)
    >>> cages["position"].shape, cages["cage_size"].dims
    ((1, 343, 3), ('frame', 'particle'))
    """
    liquid = pair_liquid(trajectory, model, "cage_positions")
    temperature = converted(temperature, Positive, "cage_positions.temperature")
    radius = converted(radius, Positive, "cage_positions.radius")
    sweeps = converted(sweeps, Count, "cage_positions.sweeps")
    burn_in = converted(burn_in, Whole, "cage_positions.burn_in")
    seed = converted(seed, Whole, "cage_positions.seed")
    dimension = trajectory.sizes["space"]
    # a particle that meets its own images would have to move them, too
    check_radius(trajectory, float(liquid.cutoffs(species_names(trajectory)).max()) + 2.0 * radius)
    frames = xr.DataArray(np.arange(trajectory.sizes["frame"]), dims="frame")
    work = partial(
        _cage, model=liquid, temperature=temperature, radius=radius, sweeps=sweeps, burn_in=burn_in, seed=seed
    )
    dims = {"particle": trajectory.sizes["particle"], "column": dimension + 1}
    microseconds = SWEEP_MICROSECONDS * (sweeps + burn_in)
    packed = map_frames(work, trajectory, frames, dims=dims, microseconds=microseconds)
    # these are variables of trajectories, in which the positions may be put
    packed = packed.drop_vars(["species", "step", "id"], errors="ignore")
    position = packed.isel(column=slice(0, dimension)).rename(column="space")
    size = packed.isel(column=dimension)
    return annotated(xr.Dataset({"position": position, "cage_size": size}, coords={"space": trajectory["space"]}))


def pair_liquid(trajectory: xr.Dataset, model: PairModel | str, what: str) -> PairModel:
    """The model of particles that are moved here, in pairs and without bonds, if it is one of such a trajectory."""
    validate(trajectory)
    borders = borders_of(trajectory)
    if borders is not None and not borders.nothing_beyond:
        refuse_open(trajectory, what, "say beyond='nothing' where nothing is beyond its faces")
    liquid = read_model(model, f"{what}.model")
    if not isinstance(liquid, PairModel) or liquid.chains is not None:
        raise ParameterError(f"model {liquid.name}: expected particles that interact in pairs, without bonds")
    refuse_others(liquid, species_names(trajectory), trajectory.sizes["space"])
    return liquid


def _cage(
    configuration: Configuration, frame: np.ndarray, *, model, temperature, radius, sweeps, burn_in, seed
) -> np.ndarray:
    n, d = len(configuration.position), configuration.dimension
    names = configuration.names
    table = model.table(names, inner_only=True)
    offsets, index, vector = _static_neighbors(configuration, model.cutoffs(names) + 2.0 * radius)
    rng = np.random.default_rng([seed, int(frame)])
    shift, total, square = np.zeros((3, n)), np.zeros((3, n)), np.zeros(n)
    for count in (burn_in, sweeps):
        total[:], square[:] = 0.0, 0.0
        for first in range(0, count, SWEEPS_AT_ONCE):
            random = rng.random((min(SWEEPS_AT_ONCE, count - first), n, 4))
            random[:, :, :3] = STEP * (2.0 * random[:, :, :3] - 1.0)
            random[:, :, d:3] = 0.0
            kernels.sweep_cages(
                offsets, index, vector, configuration.species, table, 1.0 / temperature, radius, random, shift, total,
                square,
            )  # fmt: skip
    mean = (total / sweeps).T[:, :d]
    periodic = None if configuration.borders is None else np.array(configuration.borders.periodic)
    moved = (configuration.position[:, :d] + mean)[None]
    position, _ = wrap(moved, configuration.box[None, :d, :d], periodic=periodic)
    return np.column_stack([position[0], square / sweeps - (mean**2).sum(axis=1)])


def _static_neighbors(configuration: Configuration, cutoffs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours that can ever meet, sorted by species: offsets (N, S + 1), index (P,), vector (3, P)."""
    n, n_species = len(configuration.position), len(configuration.names)
    found = configuration.neighbors(np.arange(n), cutoffs)
    owner = np.repeat(np.arange(n), found.counts)
    order = np.argsort(owner * n_species + configuration.species[found.index], kind="stable")
    counts = np.bincount(owner * n_species + configuration.species[found.index], minlength=n * n_species)
    ends = found.offsets[:-1, None] + np.cumsum(counts.reshape(n, n_species), axis=1)
    offsets = np.column_stack([found.offsets[:-1], ends])
    return offsets, found.index[order], np.ascontiguousarray(found.vector[:3, order])
