"""How much is needed: from the errors of a smaller run to configurations, replicas and core-hours."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report import plain

from paper_a.published import MIXTURES, Mixture

RATES = {"copper_zirconium": 0.3e6}  # particle-steps a second of one core; the others:
RATE = 1.0e6
TIMESTEPS = {"copper_zirconium": 0.002, "wahnstrom": 0.004, "kob_andersen": 0.005, "silica": 0.004,
             "nickel_yttrium": 0.0025}  # fmt: skip
KEPT = Path(__file__).parents[1] / "reports" / "paper_a" / "comparison.csv"  # of the last small run
FEWEST, MOST = 5, 60  # configurations
TRAINING = 0.1  # core-hours of the autoencoders of one species, trained in other ways


def relaxation_hours(mixture: Mixture, n_particles: int, times: float = 1.0) -> float:
    """Core-hours of so many relaxation times."""
    steps = times * mixture.relaxation / TIMESTEPS[mixture.name]
    return steps * n_particles / RATES.get(mixture.name, RATE) / 3600.0


def sample_hours(mixture: Mixture, n_particles: int, configurations: int) -> float:
    """Core-hours of a sample from the melt: 31 relaxation times of preparation, then one from each to the next.

    >>> round(sample_hours(MIXTURES["nickel_yttrium"], 2000, 12), 1)
    4.7
    """
    return relaxation_hours(mixture, n_particles, 31 + configurations - 1)


def ensemble_hours(mixture: Mixture, n_particles: int, starts: int, runs: int, longest: float) -> float:
    """Core-hours of isoconfigurational ensembles.

    >>> round(ensemble_hours(MIXTURES["kob_andersen"], 2000, 5, 9, 900.0), 1)
    4.5
    """
    return starts * runs * relaxation_hours(mixture, n_particles, longest / mixture.relaxation)


def core_hours(comparison: Any, state: Any) -> float:
    """What would bring the error of a number down to half of its published rounding, at this size; 0 if it is there.

    Of a mixture whose configurations are of a short preparation, what the day's own sample costs.
    """
    sizes = state.trajectory.sizes
    if state.mixture.short:
        return sample_hours(state.mixture, 2000, 12)
    if not comparison.error or not comparison.rounding:
        return 0.0
    wanted = configurations(comparison.error, sizes["frame"], comparison.rounding)
    return relaxation_hours(state.mixture, sizes["particle"], max(wanted - sizes["frame"], 0))


def configurations(error: float, n: int, rounding: float) -> int:
    """How many independent configurations make an error as small as the rounding, if n give `error`.

    >>> configurations(0.01, 6, 0.005)
    24
    """
    return math.ceil(n * (error / rounding) ** 2)


@dataclass(frozen=True)
class Need:
    """What the numbers of one mixture need: the number that needs most, and with which error now."""

    mixture: Mixture
    quantity: str
    error: float
    wanted: float
    now: int
    configurations: int
    hours: float


def needs(path: Path, now: dict[str, tuple[int, int]]) -> list[Need]:
    """Configurations for every mixture of `now` (particles, configurations), from the errors in a comparison.csv.

    Without the file, or errors in it, the fewest. More than `MOST` are cut: what that leaves undecided the report says.
    """
    rows: list[dict[str, str]] = []
    if path.is_file():
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    found = []
    for name, (particles, n) in now.items():
        mixture = MIXTURES[name]
        asked = [("", 0.0, 0.005, FEWEST)]
        for row in rows:
            is_evr = row["quantity"].startswith("EVR of PC") and row["where"] in ("Table II", "Table III")
            if is_evr and _is_of(row["system"], mixture) and row["error"]:
                error = float(row["error"])
                asked.append((f"{row['where']}, {row['quantity']}", error, 0.005, configurations(error, n, 0.005)))
        quantity, error, wanted, most = max(asked, key=lambda item: item[3])
        count = min(max(most, FEWEST), MOST)
        hours = relaxation_hours(mixture, particles, max(count - n, 0))
        found.append(Need(mixture, quantity, error, wanted, n, count, hours))
    return found


def replicas(share: float, noise: float = 0.1) -> int:
    """Runs from one configuration that leave at most `noise` of the propensity's variance, where one has `share` of it.

    >>> replicas(0.5), replicas(0.2)
    (9, 36)
    """
    return math.ceil((1.0 - noise) / noise * (1.0 - share) / share - 1e-9)


def _is_of(system: str, mixture: Mixture) -> bool:
    return system.startswith(plain(mixture.title))


def table(found: Iterable[Need]) -> tuple[list[str], list[list[str]]]:
    """For the report."""
    header = ["system", "number that needs most", "error now", "wanted", "configurations now", "needed", "core-hours"]
    rows = [
        [plain(need.mixture.title), need.quantity or "-", f"{need.error:.4f}", f"{need.wanted:g}", str(need.now),
         str(need.configurations), f"{need.hours:.1f}"]
        for need in found
    ]  # fmt: skip
    return header, rows
