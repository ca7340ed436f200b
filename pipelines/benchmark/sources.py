"""From files of a public data set to inputs and targets: stores, structures, features, lags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import propensity as linear
import xarray as xr

import glassdask as gd
from benchmark import published
from benchmark.spending import Spending
from glassdask.dynamics import replica_bonds
from glassdask.errors import ParameterError
from glassdask.fields.shell_averages import average_shells
from glassdask.io.public import times_of_lags
from glassdask.simulation.models import MODELS

TARGETS = ("propensity", "bond_breaking")
MODEL_OF = {(3, 2): "kob_andersen", (2, 3): "kob_andersen_ternary_2d"}  # by dimension and number of species
BOND = 1.35  # two particles are bonded up to this times their sigma, and until they are BROKEN times farther
BROKEN = 1.7 / 1.35
ALIKE = 1e-4  # distances of one configuration, written in single precision
REST = (0.1, 0.25, 0.5, 1.25, 2.5, 5.0, 14.0, 40.0)  # times of the motion from rest
Task = tuple[str, float]  # a target at a lag


@dataclass(frozen=True)
class Settings:
    """What is the same for training and test.

    `lags` are the times, if they are given; `model` and `temperature` are found out where they are None. `density` is
    for files without a box. `rest` are the times of the motion from rest; None: those that tell of the lags.
    """

    centers: str = "A"
    model: str | None = None
    temperature: float | None = None
    density: float | None = None
    descriptors: tuple[str, ...] = linear.DESCRIPTORS[:1]
    shell: float = 2.1
    generations: int = 4
    sweeps: int = 10_000
    lags: tuple[float, ...] | None = None
    rest: tuple[float, ...] | None = None
    bonds: bool = False
    overwrite: bool = False


def temperature_of(files: list[str], given: float | None) -> float:
    """The temperature in the names of the files, as in ``N4096T0.44``, unless it is given."""
    if given is not None:
        return given
    found = {float(match[1]): match[1] for file in files if (match := re.search(r"T(\d+\.\d+)", Path(file).name))}
    if len(found) != 1:
        words = ", ".join(found[temperature] for temperature in sorted(found))
        said = f"tell the temperatures {words}" if found else "tell no temperature, as in T0.44"
        raise ParameterError(f"the names of {files[0]} and the others {said}: give --temperature, one for all")
    return next(iter(found))


class Study:
    """Some configurations: their stores, made once, and what models need of them.

    Reading the files is quick, and tells which model they are of and what is known of their motion.
    """

    def __init__(self, files: list[str], settings: Settings, folder: Path):
        self.files, self.settings, self.folder = files, settings, folder
        self.temperature = temperature_of(files, settings.temperature)
        initial = folder / "initial.zarr"
        ingested = gd.ingest(files, initial, **linear.given(density=settings.density), overwrite=settings.overwrite)
        trajectory = gd.open_trajectory(initial)
        self.species = trajectory["species"].values
        kinds = sorted(set(self.species.tolist()))
        self.model = settings.model or MODEL_OF.get((trajectory.sizes["space"], len(kinds)), "")
        if self.model not in MODELS:
            raise ParameterError(
                f"{files[0]}: {len(kinds)} species in {trajectory.sizes['space']} dimensions are no model of the "
                "benchmark: give --model"
            )
        if tuple(kinds) != MODELS[self.model].species:
            raise ParameterError(
                f"{files[0]}: the species are {', '.join(kinds)}, those of {self.model} are "
                f"{', '.join(MODELS[self.model].species)}: give another --model"
            )
        if settings.centers not in kinds:
            raise ParameterError(f"{files[0]}: no species {settings.centers}, only {', '.join(kinds)}: give --centers")
        self.linear = {
            "descriptor": [*settings.descriptors, f"local_energy:model='{self.model}'"],
            "centers": settings.centers, "generations": settings.generations, "shell": settings.shell,
            "model": self.model, "temperature": self.temperature, "sweeps": settings.sweeps,
        }  # fmt: skip
        print(*ingested.notes, sep="\n", flush=True)
        self.trajectory = trajectory
        self.linear["rest"] = self._rest()
        self._features: dict[str, xr.DataArray] = {}
        self.is_center = self.species == settings.centers

    def prepare(self, structures: list[str]) -> None:
        """Make the inherent and cage states: the long part, in `seconds` of CPU."""
        note, anew = self.folder / "preparation.json", self.settings.overwrite
        with Spending(note, "structures", [structures, self.linear, self.files], anew=anew) as spent:
            self.trajectory = linear.make_structures(structures, self.linear, self.folder, anew)
        self.seconds = spent.seconds

    @property
    def n_configurations(self) -> int:
        """Configurations, each of which may be several files."""
        return int(self.trajectory.sizes["frame"])

    @property
    def n_runs(self) -> int:
        """Runs of each configuration that the files have."""
        return int(self.trajectory.sizes.get("replica", 0))

    @cached_property
    def lags(self) -> np.ndarray:
        """Times: those given, else those published for as many lags, else numbers."""
        return self._numbers if self._times is None else self._times

    @property
    def _numbers(self) -> np.ndarray:
        return self.trajectory["lag"].values if "lag" in self.trajectory.coords else np.zeros(1)

    @cached_property
    def _times(self) -> np.ndarray | None:
        n = len(self._numbers)
        if self.settings.lags is not None:
            return times_of_lags(self.settings.lags, n)
        known = published.times(self.model, self.temperature)
        if known is None or len(known) == n:
            return known
        labels = {int(match[1]) for file in self.files if (match := re.search(r"_tc(\d+)", Path(file).name))}
        told = [published.time_of(self.model, self.temperature, label) for label in sorted(labels)]
        return np.array(told) if len(told) == n and None not in told else None

    def _rest(self) -> tuple[float, ...]:
        """Times of the motion from rest, if they are not given; from tau_alpha on it tells no more than cages do."""
        if self.settings.rest is not None:
            return self.settings.rest
        if self._times is None:
            print(f"{self.files[0]}: the times of its lags are not known: no motion from rest; give --lags", flush=True)
            return ()
        tau = published.relaxation_time(self.model, self.temperature)
        if tau is not None and self._times.min() >= tau:
            return ()
        return tuple(t for t in REST if t <= self._times.max())

    @cached_property
    def targets(self) -> dict[Task, np.ndarray]:
        """What is to be predicted, (configuration, centre), of every lag that all configurations have."""
        found: dict[Task, np.ndarray] = {}
        known = {name: self.trajectory[name] for name in TARGETS if name in self.trajectory}
        if self.settings.bonds and "bond_breaking" not in known and "replica_displacement" in self.trajectory:
            known["bond_breaking"] = self._broken_bonds()
        for name, values in known.items():
            values = values.transpose("frame", "particle", "lag").isel(particle=self.is_center).values
            for number, lag in enumerate(self.lags.tolist()):
                told = np.isfinite(values[..., number])
                if (told.any(axis=1) & ~told.all(axis=1)).any():
                    raise ParameterError(
                        f"{self.files[0]} and the others: at lag {lag:g} {name} is NaN for "
                        f"{int((~told).sum())} of {told.size} particles of {self.settings.centers}: repair "
                        "it, or make it NaN for all of a configuration to leave out the lag"
                    )
                if told.all():
                    found[name, lag] = values[..., number]
        if not found:
            raise ParameterError(
                f"{self.files[0]}: no lag of which all {self.n_configurations} configurations have a propensity "
                "(md_prop, or positions of later runs): give files that have, and a file of each lag of each"
            )
        return found

    @cached_property
    def errors(self) -> dict[Task, np.ndarray]:
        """Standard errors of the propensities, where the files have the runs."""
        if "replica_displacement" not in self.trajectory or self.trajectory.sizes["replica"] < 2:
            return {}
        errors = []
        for frame in range(self.n_configurations):
            moved = self.trajectory["replica_displacement"].isel(frame=frame, particle=self.is_center)
            distance = (moved**2).sum("space") ** 0.5
            error = distance.std("replica", ddof=1) / np.sqrt(moved.sizes["replica"])
            errors.append(error.transpose("lag", "particle").values)
        lags = self.lags.tolist()
        return {("propensity", lag): np.array([error[k] for error in errors]) for k, lag in enumerate(lags)}

    def _broken_bonds(self) -> xr.DataArray:
        model = MODELS[self.model]
        pairs = {(a, b): BOND * model.pair(a, b).sigma for a in model.species for b in model.species}
        kept = []
        for frame in range(self.n_configurations):
            start = self.trajectory[["position", "species", "box"]].isel(frame=[frame])
            moved = self.trajectory["replica_displacement"].isel(frame=frame)
            kept.append(replica_bonds(moved, start, pairs, factor=BROKEN).mean("replica").compute())
        return 1.0 - xr.concat(kept, "frame")

    def features(self, structure: str) -> xr.DataArray:
        """The matrix (sample, feature) of the centres of all configurations, made once."""
        if structure not in self._features:
            self._features[structure] = linear.features(self.trajectory, structure, self.linear)
        return self._features[structure]

    def averaged(self, values: np.ndarray, structure: str) -> np.ndarray:
        """Values (sample, column) of all centres, averaged over the centres within a shell around each."""
        places = self.trajectory.assign(position=self.trajectory[linear.STRUCTURES[structure]])
        everywhere = np.full((self.n_configurations, len(self.species), values.shape[1]), np.nan)
        everywhere[:, self.is_center] = self.by_configuration(values)
        columns = xr.DataArray(everywhere, dims=("frame", "particle", "column"))
        found = average_shells(columns, places, cutoff=self.settings.shell, generations=1)
        return found.isel(generation=1, particle=self.is_center).values.reshape(values.shape)

    def structures(self, predicted: dict[Task, np.ndarray]) -> xr.Dataset:
        """The cage positions, with what the networks are told of each particle beside them.

        These are the initial and the inherent positions; the energies in all three, the size of the cage, and the
        motion from rest; how far the centres are between them, and what is predicted for the centres (configuration,
        centre), which are 0 for other particles.
        """
        known = self.trajectory
        told = [*linear.ways(known, "cage", self.is_center).values(), *predicted.values()]
        of_centers = np.zeros((known.sizes["frame"], known.sizes["particle"], len(told)))
        of_centers[:, self.is_center] = np.stack(told, axis=-1)
        energies = linear.energies(known, linear.STRUCTURES, self.linear).values
        rest = [known[linear.REST].values] if linear.REST in known else []
        scalars = np.concatenate([energies, known["cage_size"].values[..., None], *rest, of_centers], axis=-1)
        inputs = known[["species", "box", "inherent_position"]]
        return inputs.assign(
            position=known["cage_position"], initial_position=known["position"],
            scalars=(("frame", "particle", "feature"), scalars),
        )  # fmt: skip

    def by_configuration(self, values: np.ndarray) -> np.ndarray:
        """Values (sample, ...) of all centres as (configuration, centre, ...)."""
        return values.reshape(self.n_configurations, int(self.is_center.sum()), *values.shape[1:])


def refuse_overlap(train: Study, test: Study) -> None:
    """Raise `ParameterError` where something is both learned from and scored on, or the two do not belong together."""
    for study, option in ((train, "--train"), (test, "--test")):
        refuse_twice(study, option)
    refuse_seen(train, test, "--test")
    refuse_other_models(train, test, "--test")
    if train.temperature != test.temperature:
        raise ParameterError(
            f"--train is at T = {train.temperature:g}, --test at {test.temperature:g}, by the names of the files: give "
            "those of another temperature to --transfer, or tell the one of all with --temperature"
        )
    if not set(train.targets) & set(test.targets):
        raise ParameterError(
            f"--train has the targets and lags {sorted(train.targets)}, --test {sorted(test.targets)}: none in common; "
            "if they are the same, give --lags"
        )


def refuse_twice(study: Study, option: str) -> None:
    """Raise `ParameterError` where two configurations of an option are one: what is held out would have been seen."""
    found = fingerprints(study.trajectory)
    for number in range(1, len(found)):
        alike = np.flatnonzero(np.abs(found[:number] - found[number]).max(axis=1) < ALIKE)
        if alike.size:
            raise ParameterError(
                f"configurations {alike[0]} and {number} of {option}, counted from 0, are the same one: give it once"
            )


def refuse_seen(train: Study, other: Study, option: str) -> None:
    """Raise `ParameterError` where a configuration of an option is one of those that are learned from."""
    theirs, ours = fingerprints(train.trajectory), fingerprints(other.trajectory)
    if theirs.shape[1] == ours.shape[1] and any((np.abs(theirs - one).max(axis=1) < ALIKE).any() for one in ours):
        raise ParameterError(f"a configuration of {option} is among those of --train: give it to one of the two")


def fingerprints(trajectory: xr.Dataset) -> np.ndarray:
    """Distances to the nearest neighbour of all particles of each frame, sorted: (frame, particle).

    They stay when particles are numbered otherwise, or all are shifted, turned or written in single precision.
    """
    return np.array([np.sort(near.distance) for near in gd.neighbors(trajectory, gd.KNearest(1))])


def refuse_other_models(train: Study, other: Study, option: str) -> None:
    """Raise `ParameterError` where the configurations of an option are not of the model of training."""
    if train.model != other.model or not np.array_equal(np.unique(train.species), np.unique(other.species)):
        raise ParameterError(f"--train is of {train.model}, {option} of {other.model}: expected the same model")
