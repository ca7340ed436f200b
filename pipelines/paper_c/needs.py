"""What each claim needs, from the errors that a smaller run has, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from report import Report

from paper_c import archive
from paper_c.published import ENSEMBLES, PAIRS, System
from paper_c.sources import DAY, MELT, PAPER, Sizes

ERROR = 0.03  # of the mean of a coefficient over the configurations of the test
SPEED = {"kam_2d": 6.0e6, "abm_2d": 3.4e6}  # particle-steps a second of one core, measured with 2000 particles
TIMESTEP = 0.004


def configurations(spread: float, error: float = ERROR) -> int:
    """How many configurations give a mean with that standard error.

    >>> configurations(0.18)
    36
    """
    return ceil(round((spread / error) ** 2, 9))


def replicas(measured: float, of: int, ceiling: float) -> int:
    """How many runs let R reach `ceiling`, where two propensities of `of` runs each have the R `measured`.

    >>> replicas(0.958, 30, 0.971)
    22
    """
    one = measured / (of - (of - 1) * measured)
    wanted = ceiling**2
    return ceil(wanted * (1.0 - one) / (one * (1.0 - wanted)))


def replicas_of(system: System, sizes: Sizes) -> int:
    """Runs from one glass: the profile's own, or where it has none those that come with the pipeline."""
    return sizes.replicas or min(archive.ensembles(system).values(), default=0)


def cooling_hours(system: System, sizes: Sizes) -> float:
    """Core-hours of all cooling runs."""
    time = (
        sizes.melt + (MELT - system.liquid) / sizes.descent + sizes.hold + (system.liquid - system.glass) / sizes.rate
    )
    return sizes.runs * sizes.cycles * _hours(system, sizes.particles, time)


def propensity_hours(system: System, sizes: Sizes) -> float:
    """Core-hours of all runs from one glass."""
    return sizes.replicas * _hours(system, sizes.particles, sum(sizes.longest))


def energy_hours(system: System, sizes: Sizes) -> float:
    """Core-hours of the runs of Fig. S9, without the minimisations."""
    runs, particles = sizes.energies
    return runs * _hours(system, particles, sizes.melt + (MELT - system.glass) / sizes.rate)


def _hours(system: System, particles: int, time: float) -> float:
    return particles * time / TIMESTEP / SPEED[system.name] / 3600.0


def _larger(name: str, sizes: Sizes) -> Sizes:
    """The profile that is the next step: the day's, or where that is done the paper's."""
    day = DAY[name]
    return PAPER[name] if sizes.runs * sizes.cycles >= day.runs * day.cycles and sizes.rate <= day.rate else day


def describe(studies: Sequence[Any], report: Report) -> None:
    """The table of what is needed, of what there is, and of what both this and the paper's size cost."""
    rows = []
    for study in studies:
        system, sizes = study.system, study.sizes
        spreads = {p: max(system.published.pairs[c][k][1] for c in ("glass", "liquid")) for k, p in enumerate(PAIRS)}
        tested = len(study.sample.labels("test")) // 2
        for (a, b), spread in spreads.items():
            need = f"{configurations(spread)} of each class: published spread {spread:g}, error {ERROR:g}"
            rows.append([study.title, f"C({a}, {b})", need, str(tested)])
        largest = max(r for r, _ in system.published.propensity.values())
        few = replicas(ENSEMBLES["cg e30, cg e30"], 30, largest)
        need = f"{few} runs: with fewer, noise keeps R below {largest:g} (Table 4)"
        rows.append([study.title, "largest R with Delta", need, str(replicas_of(system, sizes))])
        paper = PAPER["KAM" if system.name == "kam_2d" else "ABM"]
        for what, hours in (("cooling", cooling_hours), ("propensity", propensity_hours), ("Fig. S9", energy_hours)):
            need = f"{hours(system, paper):.3g} core-hours at the paper's size"
            rows.append([study.title, what, need, f"{hours(system, sizes):.2g} core-hours"])
    report.tables.append(("What the claims need, and what it costs", ["system", "claim", "needs", "here"], rows))


def decide(studies: Sequence[Any], report: Report) -> None:
    """Which sample each number is of, and what it costs to decide those that differ and that no experiment explains."""
    by_title = {study.title: study for study in studies}
    for k, comparison in enumerate(report.comparisons):
        study = by_title.get(comparison.system.partition(",")[0])
        if study is None:
            continue
        sizes, system = study.sizes, study.system
        sample = f"{sizes.runs} x {sizes.cycles} of each class at {sizes.rate:g}"
        comparison = replace(comparison, sample=sample)
        if comparison.verdict in ("differs", "undecided") and not comparison.core_hours:
            name = "KAM" if system.name == "kam_2d" else "ABM"
            larger = _larger(name, sizes)
            hours = {"Fig. S9": energy_hours(system, larger)}
            for table in ("Table 3", "Table 4", "Table 5", "Table S1"):
                # longer runs from one glass that was cooled as slowly as the paper's
                one = replace(PAPER[name], runs=1, cycles=1)
                hours[table] = propensity_hours(system, DAY[name]) + cooling_hours(system, one)
            cost = hours.get(comparison.where, cooling_hours(system, larger))
            comparison = replace(comparison, core_hours=cost)
        report.comparisons[k] = comparison
    vague = [
        c for c in report.comparisons if c.agrees and c.error and c.error > 0.1 * max(abs(float(c.published)), 0.3)
    ]
    if vague:
        listed = ", ".join(f"{c.system} {c.quantity}" for c in vague)
        report.notes.append(f"Agreement says little where our error is above a tenth of the number: {listed}.")
