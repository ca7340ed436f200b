"""Where configurations come from: cooling runs of the paper's systems, or stores of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import glassdask as gd
from paper_c.published import COOLING_RATE, System

MELT = 4.0  # temperature from which the paper cools


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is done for one system.

    A cooling run goes `cycles` times from the melt, held for `melt`, at the rate `descent` to T_L, held for `hold`, and
    at `rate` to T_G; the configurations at T_L and T_G are kept. `held_out` are the fractions of runs for validation
    and test, `spacing` is that of the grid. The propensity is of `replicas` runs at each of `temperatures`, up to the
    time `longest`.
    """

    particles: int
    runs: int
    cycles: int
    descent: float
    rate: float
    melt: float
    hold: float
    held_out: tuple[float, float]
    spacing: float
    network: Mapping[str, Any]
    energies: tuple[int, int]  # cooling runs for Fig. S9, and their particles
    temperatures: tuple[float, ...]
    replicas: int
    longest: tuple[float, ...]
    lags: int
    seeds: int = 1  # networks that are trained, of which `paper_c.images.chosen` takes one
    literal: Mapping[str, Any] | None = None  # the paper's training, where `network` is another
    readings: int = 0  # in how many other ways the paper is read, of those of `paper_c.readings`


# As the paper has it: images in [0, 1] as they are, no strides, a constant rate. A network's weights go as far as the
# paper's when learning rate times steps is the paper's 0.4 (250 epochs of 8000 images, 5 at a time, at 1e-6).
# Steps above 2e-4 do not learn: all ReLUs of a layer soon give zero and the loss stays at ln 2.
DISTANCE, LARGEST_RATE = 0.4, 1.5e-4
LITERAL = {"filters": (8, 16, 16), "kernel_sizes": (5, 5, 5), "strides": (1, 1, 1), "dense": 64, "batch_size": 5}


def literal(images: int, epochs: int, **changes: Any) -> dict[str, Any]:
    """The paper's training for fewer images: as far in fewer, larger steps, where these are not too large.

    >>> literal(8000, 250)["learning_rate"]
    1e-06
    """
    steps = epochs * -(-images // int(LITERAL["batch_size"]))
    return {**LITERAL, "epochs": epochs, "learning_rate": min(round(DISTANCE / steps, 9), LARGEST_RATE), **changes}


# For some hundred images or fewer, of which the paper's training learns what does not tell others: standardised, moved
# and mirrored at random, and learned in large steps they are recognised. Stride 2 is a third of the time.
FEW = {
    "filters": (8, 16, 16), "kernel_sizes": (5, 6, 5), "strides": (1, 2, 1), "dense": 16, "learning_rate": 1e-3,
    "decay": 0.98, "batch_size": 10, "augment": True, "standardize": True,
}  # fmt: skip
# The same with kernels of 3 points: a feature then sees 7 points, five particles, where those above see 18. With them
# C_Gamma of KAM's glasses is zero where the paper has that, and what goes with Gamma is nearer to what is published.
NEAR = {**FEW, "kernel_sizes": (3, 3, 3), "strides": (1, 1, 1)}
SMALL = {
    "KAM": Sizes(
        particles=2000, runs=10, cycles=10, descent=0.8, rate=0.02, melt=10.0, hold=5.0, held_out=(0.1, 0.2),
        spacing=0.73, network=literal(140, 40), energies=(2, 600), temperatures=(0.55, 0.8), replicas=10,
        longest=(80.0, 270.0), lags=16,
    ),
    "ABM": Sizes(
        particles=1000, runs=8, cycles=10, descent=0.5, rate=0.05, melt=10.0, hold=5.0, held_out=(0.1, 0.2),
        spacing=0.75, network=literal(100, 40), energies=(2, 600), temperatures=(1.5, 2.0), replicas=10,
        longest=(80.0, 160.0), lags=16,
    ),
}  # fmt: skip
# The composition may need long to get used to T_L (`paper_c.holding`). Particles move by delta = 3 in the longest runs.
_DAY: dict[str, Any] = {
    "particles": 2000, "runs": 100, "cycles": 2, "melt": 10.0, "hold": 200.0, "held_out": (0.1, 0.2), "spacing": 0.73,
    "network": literal(280, 100), "energies": (4, 2000), "replicas": 30, "lags": 30, "seeds": 3, "readings": 12,
}  # fmt: skip
DAY = {
    "KAM": Sizes(**_DAY, descent=0.8, rate=0.002, temperatures=(0.55, 0.65, 0.8), longest=(2500.0, 600.0, 1700.0)),
    "ABM": Sizes(**_DAY, descent=0.5, rate=0.005, temperatures=(1.35, 1.5, 2.0), longest=(600.0, 600.0, 2000.0)),
}
# What can be had in an hour of a core, of the cooling runs and the propensity that come with the pipeline. The training
# is the paper's unless the validation says that it is worse, as it does: of 448 images of KAM its accuracy and cross
# entropy are 0.90 and 0.24 (0.92 and 0.40 after a hundred epochs), where the other's are 0.97 and 0.09; of 112 of ABM
# 0.72 and 0.50, where the other's are 0.97 and 0.04.
_HOUR: dict[str, Any] = {
    "particles": 2000, "cycles": 4, "melt": 10.0, "spacing": 0.73, "seeds": 2,
    "temperatures": (), "replicas": 0, "longest": (), "lags": 0,
}  # fmt: skip
HOUR = {
    "KAM": Sizes(
        **_HOUR, runs=156, hold=10.0, held_out=(0.12, 0.2), descent=0.8, rate=0.02,
        network={**NEAR, "epochs": 90}, literal=literal(848, 16), readings=3, energies=(1, 600),
    ),
    "ABM": Sizes(
        **_HOUR, runs=48, hold=60.0, held_out=(0.17, 0.25), descent=0.5, rate=0.05,
        network={**FEW, "epochs": 120}, literal=literal(224, 30), readings=3, energies=(0, 0),
    ),
}  # fmt: skip
_PAPER: dict[str, Any] = {
    "particles": 2000, "runs": 500, "cycles": 10, "descent": COOLING_RATE, "rate": COOLING_RATE,
    "melt": 100.0, "hold": 100.0,
    "held_out": (0.08, 0.12), "spacing": 0.5,
    "network": {"epochs": 250, "batch_size": 5, "learning_rate": 1e-6}, "energies": (8, 2000),
    "replicas": 100, "lags": 40,
}  # fmt: skip
PAPER = {
    "KAM": Sizes(**_PAPER, temperatures=(0.37, 0.42, 0.46, 0.5, 0.55), longest=(1.2e6,) * 5),
    "ABM": Sizes(**_PAPER, temperatures=(1.0, 1.1, 1.2, 1.35, 1.5), longest=(1.2e6,) * 5),
}
PROFILES = {"small": SMALL, "hour": HOUR, "day": DAY, "paper": PAPER}


@dataclass(frozen=True)
class Part:
    """Frames of one store with their classes, all for training, for validation or for the test."""

    store: Path
    frames: tuple[int, ...]
    labels: tuple[str, ...]
    role: str

    @cached_property
    def trajectory(self) -> xr.Dataset:
        """Those frames."""
        return gd.open_trajectory(self.store).isel(frame=list(self.frames))


@dataclass(frozen=True)
class Sample:
    """Configurations of two or more classes of one system.

    `interesting` is the class whose structure is asked for, the glass. `notes` say how the sample was divided.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    interesting: str
    sizes: Mapping[str, float]
    contact: Any  # TongTanaka's sigma, or None: then its diameters are `sizes`
    system: System | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def classes(self) -> list[str]:
        """The class of interest first."""
        found = sorted({label for part in self.parts for label in part.labels})
        return [self.interesting, *(label for label in found if label != self.interesting)]

    def role(self, role: str) -> list[Part]:
        """Parts for "train", "validation" or "test"."""
        return [part for part in self.parts if part.role == role]

    def labels(self, role: str) -> np.ndarray:
        """Classes of the configurations of a role."""
        return np.concatenate([np.array(part.labels) for part in self.role(role)])

    @property
    def first(self) -> xr.Dataset:
        """One configuration."""
        return self.parts[0].trajectory.isel(frame=[0])

    @property
    def longest_length(self) -> float:
        """The largest coarse-graining length whose kernel, cut at twice the length, fits into half of the box."""
        box = np.linalg.inv(self.first["box"].values[0])
        return float(0.25 / np.linalg.norm(box, axis=0).max())


def cooling(system: System, sizes: Sizes, seed: int):
    """The protocol of one cooling run: frames 0, 2, ... are liquids at T_L and frames 1, 3, ... glasses at T_G."""
    from glassdask.simulation import MODELS, Dynamics, RandomStart, Simulation, quench

    down = quench(system.liquid, system.glass, sizes.rate)
    cycle = (
        Dynamics(time=sizes.melt, temperature=MELT),
        quench(MELT, system.liquid, sizes.descent),
        Dynamics(time=sizes.hold, temperature=system.liquid),
        quench(system.liquid, system.glass, sizes.rate, every=down.time),
    )
    start = RandomStart(n_particles=sizes.particles)
    return Simulation(model=MODELS[system.name], start=start, stages=cycle * sizes.cycles, seed=seed)


def stores_of(system: System, sizes: Sizes, folder: Path) -> list[Path]:
    """Where the cooling runs lie."""
    return [folder / system.name / f"cooling-{k:03d}.zarr" for k in range(sizes.runs)]


def cooling_tasks(system: System, sizes: Sizes, folder: Path) -> list[Any]:
    """The cooling runs; those that are stored, or come with the pipeline, are not done again."""
    from glassdask.simulation import simulate
    from paper_c import archive

    stores = stores_of(system, sizes, folder)
    kept = archive.kept(system, sizes)
    tasks = archive.unpacking_tasks(system, sizes, stores[:kept])
    return tasks + [simulate(cooling(system, sizes, 1 + k), str(stores[k])) for k in range(kept, sizes.runs)]


def simulated(system: System, sizes: Sizes, folder: Path) -> Sample:
    """Liquids and glasses of a system of the paper, of cooling runs that are done.

    The first runs are for the test: the glass whose propensity is measured is there first.
    """
    labels = ("liquid", "glass") * sizes.cycles
    stores = stores_of(system, sizes, folder)[::-1]
    parts, notes = divided(dict.fromkeys(stores, labels), sizes.held_out)
    return Sample(system.name, system.title, tuple(parts), "glass", system.sizes, system.contact, system, tuple(notes))


def given(texts: list[str], held_out: tuple[float, float] = (0.1, 0.2)) -> Sample:
    """Stores of the user's own, ``CLASS=PATH`` each; the class named first is the one of interest."""
    stores: dict[Path, tuple[str, ...]] = {}
    first = ""
    for text in texts:
        label, _, path = text.partition("=")
        if not label or not path:
            raise ValueError(f"{text!r}: expected CLASS=PATH, such as glass=cold.zarr")
        if Path(path) in stores:
            raise ValueError(f"{path} is given twice: every store has one class")
        stores[Path(path)] = (label,) * gd.open_trajectory(path).sizes["frame"]
        first = first or label
    if len({labels[0] for labels in stores.values()}) < 2:
        raise ValueError(f"stores of the class {first!r} only: give --store for two classes or more")
    parts, notes = divided(stores, held_out)
    reference = gd.open_trajectory(next(iter(stores)))
    sizes = gd.first_peaks(reference)
    return Sample("own", " against ".join(dict.fromkeys(labels[0] for labels in stores.values())), tuple(parts), first,
                  sizes, None, notes=tuple(notes))  # fmt: skip


def own_sizes(sample: Sample, spacing: float | None) -> Sizes:
    """The small profile's network for configurations of the user's own; nothing is simulated."""
    apart = 0.5 * float(np.mean(list(sample.sizes.values()))) if spacing is None else spacing
    return Sizes(
        particles=sample.first.sizes["particle"], runs=0, cycles=0, descent=0.0, rate=0.0, melt=0.0, hold=0.0,
        held_out=(0.1, 0.2), spacing=apart, network={**FEW, "epochs": 120}, energies=(0, 0), temperatures=(),
        replicas=0, longest=(), lags=0,
    )  # fmt: skip


def divided(stores: Mapping[Path, tuple[str, ...]], held_out: tuple[float, float]) -> tuple[list[Part], list[str]]:
    """Parts for training, validation and test: whole runs wherever a class has three stores or more, else frames.

    Configurations of one run have a common past, so a run is never divided if that can be avoided; the last ones are
    for the test.
    """
    parts: list[Part] = []
    notes: list[str] = []
    groups: dict[tuple[str, ...], list[Path]] = {}
    for store, labels in stores.items():
        groups.setdefault(tuple(sorted(set(labels))), []).append(store)
    for kinds, members in groups.items():
        if len(members) >= 3:
            for store, role in zip(members, roles(len(members), held_out)):
                parts.append(Part(store, tuple(range(len(stores[store]))), stores[store], role))
            continue
        notes.append(
            f"{', '.join(kinds)}: {len(members)} store(s) only, whose frames are divided in their order (70 % train, "
            "10 % validate, 20 % test): frames of one run are related, so the accuracy is an upper bound. Give three "
            "independent runs or more."
        )
        for store in members:
            labels = stores[store]
            if len(labels) < 3:
                raise ValueError(f"{store}: {len(labels)} frames cannot be divided: give three frames or three stores")
            borders = np.searchsorted(_order(len(labels), held_out), [0, 1, 2, 3])
            for k, role in enumerate(("train", "validation", "test")):
                frames = tuple(range(int(borders[k]), int(borders[k + 1])))
                parts.append(Part(store, frames, tuple(labels[f] for f in frames), role))
    return parts, notes


def _order(n: int, held_out: tuple[float, float]) -> list[int]:
    validation, test = (max(1, round(n * fraction)) for fraction in held_out)
    return [0] * (n - validation - test) + [1] * validation + [2] * test


def roles(n: int, held_out: tuple[float, float]) -> list[str]:
    """What each of `n` runs is for, in their order."""
    return [("train", "validation", "test")[k] for k in _order(n, held_out)]
