"""How much stress the surroundings of each particle bear before they rearrange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from glassdask.declarations import Count, Finite, Positive, Where
from glassdask.descriptors.base import Descriptor, Plan
from glassdask.errors import ParameterError
from glassdask.kernels import yielding as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.simulation.models import AnyModel, PairModel
from glassdask.simulation.polydisperse import PolydisperseModel
from glassdask.simulation.potentials import spline
from glassdask.simulation.species import refuse_others

MOST_DIRECTIONS = 1000
ROAMING = 0.5  # that a free particle may go against the strain before an event
MOST_EVALUATIONS = 5000  # of the forces at one strain


@dataclass(frozen=True, kw_only=True)
class LocalYieldStress(Descriptor):
    r"""Residual strength of the surroundings of each particle: the stress that they bear before they rearrange.

    Particles within `radius` of the centre are free, all others follow an affine shear in small steps, after each of
    which the energy of the free ones is minimised, up to the first plastic event. Of a shear in direction alpha (0: in
    x along y) the strength is the highest shear stress of the free region until then, minus that before any strain; of
    loading in direction beta

    .. math:: \Delta \tau = \min_\alpha \frac{\Delta \tau_\alpha}{\cos 2(\alpha - \beta)}, \qquad \|\alpha - \beta\|
        < 45^\circ

    [1]_, [2]_. Small where the next plastic events of a sheared glass happen. In three dimensions all directions lie in
    the plane of x and y. Shear here leaves volume and axes as they are (pure shear).

    Parameters
    ----------
    model : str or Model
        Name of one of `glassdask.simulation.MODELS` made of pairs, such as ``"kam_2d"``, or a model of your own. Its
        forces should be continuous at the cutoff.
    radius : float, default 5.0
        Of the free region; in three dimensions 3 or 4 is what one can afford.
    directions : int, default 5
        Number of directions alpha, evenly spread over the 90 degrees around `loading`.
    loading : float, default 0.0
        beta, in degrees: 0 is shear in x along y as of `glassdask.simulation.Shear`, 90 the opposite.
    strain : float, default 0.3
        At which one gives up.
    increment : float, default 2e-3
        Step of the strain.
    dissipation : float, default 1e-3
        An event is a step that dissipates more energy than this, see `glassdask.simulation.Shear`. Wider steps need
        more, as their square: 1e-2 for 4e-3.
    force : float, default 1e-5
        A minimum is where no component of a force exceeds this.

    Notes
    -----
    Output ``local_yield_stress`` (frame, particle) in units of energy/length^d; the stress is that of the free
    particles, half of each pair with others, by the volume of the sphere (area of the circle) of `radius`. Infinite
    where nothing happens up to `strain`; NaN where no minimum is found even without strain, while a later step after
    which none is found is an event. Where a structure gives way gradually, as a perfect crystal does, what counts as an
    event depends on `increment`. It is meant for inherent structures: others are minimised within the region first, and
    particles at the same place mean nothing. A particle takes some 0.3 s in two dimensions, several
    in three: use `centers`, more cores, and stores, which go on where they were interrupted.

    References
    ----------
    .. [1] S. Patinet, D. Vandembroucq and M. L. Falk, Phys. Rev. Lett. 117, 045501 (2016).
    .. [2] D. Richard et al., Phys. Rev. Mater. 4, 113609 (2020).

    Examples
    --------
    A crystal with a shear modulus of 24 bears much; its particles are a little off their places, which they would never
    leave by symmetry alone:

    >>> import glassdask as gd
    >>> cell = 2 ** (1 / 6) * np.array([[1.0, 0.0], [0.0, 3**0.5]])
    >>> places = [(np.array([i, j]) + k / 2) @ cell for i in range(12) for j in range(7) for k in (0, 1)]
    >>> places = places + 1e-3 * np.random.default_rng(1).normal(size=(168, 2))
    >>> crystal = gd.from_arrays(places[None], species=["A"] * 168, box=np.diag([12.0, 7.0]) @ cell)
    >>> strong = LocalYieldStress(model="kam_2d", radius=2.0, directions=1, increment=0.01, strain=0.6)
    >>> gd.describe(crystal, [strong])["local_yield_stress"][0, :2].round(1).values.tolist()
    [5.3, 5.3]
    """

    name: ClassVar[str] = "local_yield_stress"
    model: AnyModel
    radius: Positive = 5.0
    directions: Count = 5
    loading: Finite = 0.0
    strain: Annotated[float, Where(lambda x: 0 < x <= 1, "more than 0, at most 1")] = 0.3
    increment: Positive = 2e-3
    dissipation: Positive = 1e-3
    force: Positive = 1e-5

    def check(self) -> None:
        """At least one step, of a model of pairs."""
        if not self.increment <= self.strain <= 1e6 * self.increment:
            raise ParameterError(
                f"strain {self.strain:g} and increment {self.increment:g}: expected 1 to a million steps"
            )
        if not 1e-9 < self.radius < 1e9:
            raise ParameterError(f"radius {self.radius:g}: expected a few diameters")
        if self.directions > MOST_DIRECTIONS:
            raise ParameterError(f"directions {self.directions}: expected at most {MOST_DIRECTIONS}")
        model = self.model
        if not isinstance(model, PairModel | PolydisperseModel) or model.chains is not None:
            raise ParameterError(f"model: {model.name}: expected particles that interact in pairs, without bonds")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        model = self.model
        refuse_others(model, names, dimension)
        attrs = {"long_name": f"residual strength of the surroundings, {model.name}", "units": "energy/length^d"}
        search = np.full((len(names),) * 2, self.outer)
        free = model.density * (np.pi * self.radius**2 if dimension == 2 else 4.0 / 3.0 * np.pi * self.radius**3)
        took = float(np.clip(2e3 * free * self.directions, 1e3, 1e7))
        return Plan(
            search=search, compute=_OfRegions(self, names), attrs=attrs,
            microseconds=took, needs_diameters=isinstance(model, PolydisperseModel),
        )  # fmt: skip

    @property
    def outer(self) -> float:
        """Within which particles come within reach of the free ones, at the latest where the strain ends.

        It shortens what lies across it by exp(-strain / 2).
        """
        return float(self.radius + ROAMING + self.model.reach * np.exp(self.strain / 2.0))

    def planes(self) -> np.ndarray:
        """sin 2 alpha, cos 2 alpha and 1 / cos 2 (alpha - beta) of each direction, (A, 3)."""
        apart = np.radians((np.arange(self.directions) - (self.directions - 1) / 2.0) * 90.0 / self.directions)
        # the middle first: it is seldom much stronger than the weakest, and the others end where they are
        apart = apart[np.argsort(np.abs(apart), kind="stable")]
        alpha = apart + np.radians(self.loading)
        return np.stack([np.sin(2.0 * alpha), np.cos(2.0 * alpha), 1.0 / np.cos(2.0 * apart)], axis=1)


class _OfRegions:
    """Strengths of a batch of centres. The splined tables are made anew where a graph sends this."""

    def __init__(self, declared: LocalYieldStress, names: tuple[str, ...]):
        self.declared, self.names = declared, names
        model = declared.model
        if isinstance(model, PairModel):
            self.table = np.array([[spline(model.pair(a, b)) for b in names] for a in names])
            self.nonadditivity = 0.0
        else:
            assert isinstance(model, PolydisperseModel)
            self.table = np.array([[spline(model.form)] * len(names)] * len(names))
            self.nonadditivity = model.nonadditivity

    def __reduce__(self) -> tuple[Any, ...]:
        return _OfRegions, (self.declared, self.names)

    def __call__(self, configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
        own, reach = self.declared, self.declared.model.reach
        n = int(neighbors.counts.max(initial=0)) + 1
        owner = np.repeat(np.arange(len(out)), neighbors.counts)
        inside = neighbors.distance < own.radius
        free = int(np.bincount(owner[inside], minlength=1).max(initial=0)) + 1
        sized = isinstance(own.model, PolydisperseModel)
        diameter = configuration.known_diameters() if sized else np.ones(len(configuration.position))
        start, q, trial = np.zeros((3, n, 3))
        gradient, new, direction = np.zeros((3, free, 3))
        steps, changes = np.zeros((2, kernels.MEMORY, free, 3))
        kernels.yield_stresses(
            neighbors.centers, neighbors.offsets, neighbors.index, neighbors.vector, configuration.species, diameter,
            own.radius, own.outer, reach, self.table, self.nonadditivity, own.planes(), own.increment,
            round(own.strain / own.increment), own.dissipation, own.force, MOST_EVALUATIONS, start, q, trial, gradient,
            new, steps, changes, direction, np.zeros(kernels.MEMORY), np.zeros(free + 1, np.int64),
            np.zeros(free * n, np.int32), np.zeros(n, np.int64), np.zeros(n), out,
        )  # fmt: skip
        out /= np.pi * own.radius**2 if own.model.dimension == 2 else 4.0 / 3.0 * np.pi * own.radius**3
