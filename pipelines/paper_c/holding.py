"""A liquid that stays at T_L for long, and glasses cooled from it: whether the time at T_L is behind what differs.

The paper's cooling takes tens of thousands of units of time to T_L, ours some ten: enough for the structure of the
first shells, but which particles are neighbours over several diameters, which Theta and Upsilon both depend on, may be
that of the melt still. Here one liquid is held at T_L, and a glass is cooled, fast, from each of its configurations.
What these have in common persists for long, so one liquid is one sample: it suggests, and shows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import configurations
import numpy as np
import xarray as xr
from report import Comparison, Report

import glassdask as gd
from glassdask.files import replacing
from glassdask.learning import pearson, spearman
from paper_c import archive, figures, structure
from paper_c.published import System
from paper_c.sections import Study
from paper_c.sources import HOUR, MELT

HELD, EVERY = 240.0, 24.0
SETTLED = 48.0  # from here the means over the liquids are taken
SEED = 501
INDEPENDENT = 5  # configurations that count as one: those of one liquid are alike for a time of 100 and more


@dataclass(frozen=True)
class Held:
    """A liquid (frame,) that was held for `time` (frame,), and the glasses (frame,) of its configurations `begun`."""

    liquid: xr.Dataset
    time: np.ndarray
    glass: xr.Dataset
    begun: np.ndarray
    rate: float

    def write(self, path: Path) -> None:
        """Keep it."""
        box = self.liquid["box"].values
        both = [
            configurations.fractions(one["position"].values, one["box"].values) for one in (self.liquid, self.glass)
        ]
        with replacing(path) as stream:
            np.savez_compressed(
                stream, liquid=both[0], time=self.time, glass=both[1], begun=self.begun, rate=self.rate, box=box[0],
                species=self.liquid["species"].values.astype("U"),
            )  # fmt: skip


def file_of(system: System) -> Path:
    """Where it is kept."""
    return archive.FOLDER / f"held_{system.name}.npz"


def read(path: Path) -> Held:
    """Read what `Held.write` has written."""
    with np.load(path) as data:
        both = [
            gd.from_arrays(configurations.positions(data[name], data["box"]), species=data["species"], box=data["box"])
            for name in ("liquid", "glass")
        ]
        return Held(both[0], data["time"], both[1], data["begun"], float(data["rate"]))


def stores(system: System, folder: Path) -> tuple[Path, list[Path]]:
    """Where the liquid and its glasses are simulated."""
    place = folder / system.name
    return place / "held.zarr", [place / f"held-glass-{k:02d}.zarr" for k in range(1, round(HELD / EVERY) + 1)]


def tasks(system: System, folder: Path) -> list[Any]:
    """What simulates them, nothing where they come with the pipeline."""
    from glassdask.simulation import MODELS, Dynamics, RandomStart, Simulation, StoredStart, quench, simulate

    if file_of(system).exists():
        return []
    sizes, model = HOUR["KAM" if system.name == "kam_2d" else "ABM"], MODELS[system.name]
    held, glasses = stores(system, folder)
    stages = (
        Dynamics(time=sizes.melt, temperature=MELT),
        quench(MELT, system.liquid, sizes.descent),
        Dynamics(time=HELD, temperature=system.liquid, every=EVERY),
    )
    start = RandomStart(n_particles=sizes.particles)
    first = simulate(Simulation(model=model, start=start, stages=stages, seed=SEED), str(held))
    found = [first]
    for k, store in enumerate(glasses, start=1):
        down = quench(system.liquid, system.glass, sizes.rate)
        again = (
            Dynamics(time=0.4, temperature=system.liquid, velocities=True),
            quench(system.liquid, system.glass, sizes.rate, every=down.time),
        )
        begin = StoredStart(path=str(held), frame=k)
        found.append(simulate(Simulation(model=model, start=begin, stages=again, seed=SEED), str(store), after=first))
    return found


def simulated(system: System, folder: Path, rate: float) -> Held:
    """What the tasks have made."""
    held, glasses = stores(system, folder)
    liquid = gd.open_trajectory(held)
    time = liquid["time"].values - liquid["time"].values[0]
    glass = xr.concat([gd.open_trajectory(store).isel(frame=[-1])[["position", "box"]] for store in glasses], "frame")
    arrays = gd.from_arrays(glass["position"].values, species=liquid["species"].values, box=glass["box"].values)
    return Held(liquid.load(), time, arrays, np.arange(1, len(glasses) + 1), rate)


def coefficients(system: System, trajectory: xr.Dataset, length: float) -> tuple[np.ndarray, np.ndarray]:
    """C(Theta, Upsilon) of every configuration: Pearson's (frame,) and Spearman's."""
    described = gd.describe(trajectory, [gd.VoronoiCell(), gd.TongTanaka(sigma=system.contact)]).load()
    volume = described["voronoi"].sel(voronoi_feature="volume", drop=True)
    theta, cells = (structure.smooth(values, trajectory, length) for values in (described["theta"], volume))
    both = [(float(pearson(x, y)), float(spearman(x, y))) for x, y in zip(theta, cells)]
    return np.array(both)[:, 0], np.array(both)[:, 1]


def write(studies: Sequence[Study], folder: Path, report: Report, done: Any) -> None:
    """Figure, and what it says of C(Theta, Upsilon) that differs."""
    panels = {}
    for study in studies:
        system = study.system
        assert system is not None
        path = file_of(system)
        if not path.exists() and not stores(system, folder)[0].exists():
            continue
        held = read(path) if path.exists() else simulated(system, folder, study.sizes.rate)
        found = {
            "liquid": (held.time, *coefficients(system, held.liquid, study.pair_length)),
            "glass": (held.time[held.begun], *coefficients(system, held.glass, study.pair_length)),
        }
        panels[study.title] = (found, system.published.pairs)
        report.comparisons = [_judged(c, study, found, held.rate) for c in report.comparisons]
        done(f"{study.title}: liquids that are held")
    if panels:
        caption = (
            f"C(Theta, Upsilon) of a liquid against the time for which it is at T_L, and of glasses cooled from it; "
            f"lines and bands: published means and spreads over configurations. Means are taken from {SETTLED:g} on."
        )
        figures.holdings(panels, report.figure("why_held", caption), SETTLED)


def settled(time: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Mean of what has settled, and its error.

    >>> settled(np.array([0.0, 48.0, 72.0, 96.0, 120.0]), np.array([9.0, 1.0, 3.0, 1.0, 3.0]))
    (2.0, 1.2909944487358056)
    """
    late = values[time >= SETTLED]
    return float(late.mean()), float(late.std(ddof=1) / np.sqrt(len(late) / INDEPENDENT))


def _judged(comparison: Comparison, study: Study, found: dict[str, Any], rate: float) -> Comparison:
    """A number C(Theta, Upsilon) that differs, with what it is where the liquid was held."""
    title, _, label = comparison.system.partition(", ")
    if (
        title != study.title
        or comparison.agrees is not False
        or not comparison.quantity.startswith("C(Theta, Upsilon)")
    ):
        return comparison
    time, *both = found[label]
    ours, error = settled(time, both[1 if comparison.quantity.endswith("Spearman") else 0])
    cooled = f", cooled at {rate:g} from one liquid" if label == "glass" else ", one liquid"
    said = f"why_held: {ours:+.2f} ± {error:.2f}{cooled} that was at T_L for {SETTLED:g} or longer"
    return replace(comparison, why=f"{said}; {comparison.why}")


__all__ = ["Held", "coefficients", "file_of", "read", "settled", "simulated", "stores", "tasks", "write"]
