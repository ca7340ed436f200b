"""Who rearranges: D2min of type-A particles, thermal and mechanical, and the balanced sets that are learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

import glassdask as gd
from glassdask.dynamics import d2min, propensity, replica_d2min, replica_displacements
from glassdask.errors import ParameterError
from paper_b.published import FRACTION, THRESHOLD, System
from paper_b.sources import BEGIN, Ensemble

# Of the surroundings in D2min, which the paper does not give. Thermal: the range of the potential, as Falk and Langer
# have it. With it D2min in Kob and Andersen's mixture correlates with the propensity as the paper says (0.952, with the
# first shell 0.906), and A-A features alone are as bad as there (`paper_b.experiments`). In shear the first shell: with
# 2.5 a single event in a glass of 500 particles has half of them above the threshold.
RADIUS = {"thermal": 2.5, "mechanical": 1.5}
AVALANCHE = 0.2  # events in which more than this fraction of the particles rearranges are left out


@dataclass(frozen=True)
class Activity:
    """A configuration (one frame, an inherent structure) and how much each particle is going to rearrange.

    `d2min` (particle,) is NaN but for species A. `group` numbers independent configurations or realisations: nothing
    of one group is learned from when another particle of it is predicted. `shown` is the D2min of a single event, or
    `d2min` itself.
    """

    configuration: xr.Dataset
    d2min: np.ndarray
    group: int
    shown: np.ndarray
    propensity: np.ndarray | None = None


def thermal(ensembles: list[Ensemble]) -> list[Activity]:
    """Isoconfigurational averages of D2min over the time of the ensembles, and the propensity beside it.

    The reference of D2min is the inherent structure of the initial configuration, where the descriptors are taken from:
    what the particles happen to be displaced from it at the beginning is the same in all replicas, so that no average
    over replicas takes it out, and no descriptor of the inherent structure knows it.
    """
    return [_thermal(ensemble, group) for group, ensemble in enumerate(ensembles)]


def _thermal(ensemble: Ensemble, group: int) -> Activity:
    start = gd.open_trajectory(ensemble.store).load()
    inherent = gd.open_trajectory(ensemble.inherent).isel(frame=[0]).load()
    moved = gd.open_reduction(ensemble.store, "isoconfigurational")["replica_displacement"].load().isel(lag=-1)
    begin = replica_displacements(
        inherent["position"].values[0], start["position"].values, box=start["box"].values[0]
    ).isel(replica=0)
    moved = moved + begin.values
    found = replica_d2min(moved, inherent, RADIUS["thermal"]).mean("replica").values
    mobile = np.asarray(propensity(moved, power=1)["propensity"].values)
    majority = _majority(inherent)
    found = np.where(majority, found, np.nan)
    return Activity(inherent, found, group, found, np.where(majority, mobile, np.nan))


def mechanical(stores: list[Path]) -> list[Activity]:
    """The largest D2min of each particle in the events of each window of 1 % strain.

    D2min compares the configurations right before and right after an event, one strain step apart. Avalanches are left
    out, with all that comes after them in their window: the structure at its beginning is gone then.
    """
    found = []
    for group, store in enumerate(stores):
        run = gd.open_trajectory(store).load()
        found += [one for part in windows(run) if (one := window(run.isel(frame=part), group))]
    return found


def windows(run: xr.Dataset) -> list[np.ndarray]:
    """Frames of each window of strain: a window begins where the strain begins at 0 again."""
    strain = run["strain"].values
    begins = np.flatnonzero(np.diff(strain, prepend=np.inf) < 0)
    parts = np.split(np.arange(run.sizes["frame"]), begins)
    # what comes before the first 10 % ends there
    return [part for part in parts if len(part) and strain[part[-1]] < 0.5 * BEGIN]


def window(frames: xr.Dataset, group: int, radius: float = RADIUS["mechanical"]) -> Activity | None:
    """The activity in one window, None without any event that is kept."""
    majority = _majority(frames)
    strongest = np.full(frames.sizes["particle"], -np.inf)
    shown, seen = strongest, 0
    # first frame, pairs, last frame
    for k in range(1, frames.sizes["frame"] - 1, 2):
        event = d2min(frames.isel(frame=[k]), frames.isel(frame=[k + 1]), radius)["d2min"].values[0]
        active = int((event[majority] > THRESHOLD).sum())
        if active > AVALANCHE * majority.sum():
            break
        if active > seen:
            shown, seen = event, active
        strongest = np.fmax(strongest, event)
    if seen == 0:
        return None
    return Activity(
        frames.isel(frame=[0]), np.where(majority, strongest, np.nan), group, np.where(majority, shown, np.nan)
    )


def _majority(configuration: xr.Dataset) -> np.ndarray:
    return np.asarray(configuration["species"].values) == "A"


@dataclass(frozen=True)
class DataSet:
    """A balanced set of active and inactive particles.

    `particles` are positions in each configuration; `labels` (1 for active), `target`, which is D2min, and `groups`
    are of all of them, one configuration after the other.
    """

    system: System
    activation: str
    activities: list[Activity]
    particles: list[np.ndarray]
    labels: np.ndarray

    @property
    def title(self) -> str:
        """In words."""
        return f"{self.system.title}, {self.activation}"

    @property
    def target(self) -> np.ndarray:
        """D2min (row,)."""
        return np.concatenate([a.d2min[chosen] for a, chosen in zip(self.activities, self.particles)])

    @property
    def groups(self) -> np.ndarray:
        """Independent configuration or realisation (row,)."""
        sizes = [len(chosen) for chosen in self.particles]
        return np.repeat([a.group for a in self.activities], sizes)

    def features(self, r_cut: float) -> xr.DataArray:
        """Purified features of up to four bodies: (row, ace_feature)."""
        descriptor = gd.ACE(r_cut=r_cut, degree=self.system.degree, n_max=self.system.n_max)
        found = []
        for activity, chosen in zip(self.activities, self.particles):
            described = gd.describe(activity.configuration, [descriptor], centers="A")["ace"]
            found.append(described.isel(frame=0, particle=chosen).compute())
        return xr.concat(found, "particle", coords="minimal", compat="override").rename(particle="row")


def balanced(system: System, activation: str, activities: list[Activity]) -> DataSet:
    """The 5 % most and least mobile particles of each configuration; in shear those above the threshold.

    In shear, as many of the least active particles of the same window are added.
    """
    if len({activity.group for activity in activities}) < 2:
        raise ParameterError(
            f"{system.title}, {activation}: rearrangements in {len(activities)} configurations, expected some in two "
            "independent ones or more: simulate more of them"
        )
    values = np.concatenate([activity.d2min for activity in activities])
    which = np.repeat(np.arange(len(activities)), [len(activity.d2min) for activity in activities])
    if activation == "thermal":
        rows, labels = gd.learning.balanced_extremes(values, FRACTION, which)
    else:
        rows, labels = gd.learning.balanced_above(values, THRESHOLD, which)
    first = np.searchsorted(which, np.arange(len(activities)))
    particles = [rows[which[rows] == k] - first[k] for k in range(len(activities))]
    return DataSet(system, activation, activities, particles, labels)
