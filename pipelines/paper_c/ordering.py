"""Theta and Upsilon without any network: C(Theta, Upsilon) against the sigma_AB that Theta takes for unlike particles.

The paper takes the potential's sigma_ab, but for KAM an additive sigma_AB "rather than the parameters used in the
simulations". Both classes of configurations are read with values on either side of what it says; the cooling runs that
come with the pipeline serve for it, those of each rate. What is found of a file is kept beside the networks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from report import Comparison, Report

import glassdask as gd
from glassdask import plotting
from glassdask.code import digest
from glassdask.files import read_json, write_json
from glassdask.learning import pearson, spearman
from paper_c import archive, figures, structure
from paper_c.sections import Study

PAIR = ("Theta", "Upsilon")
FACTORS = (0.85, 0.89, 0.925, 0.96, 1.0, 1.04, 1.08)  # of the additive sigma_AB; KAM's own is 0.85 of it


@dataclass(frozen=True)
class Point:
    """C(Theta, Upsilon) of one class, over the configurations of one cooling rate."""

    rate: float
    hold: float  # the time at T_L
    label: str
    mixed: float  # sigma_AB
    length: float  # of the coarse-graining
    pearson: float
    error: float
    spread: float
    spearman: float
    spearman_error: float
    configurations: int


def write(studies: Sequence[Study], folder: Path, report: Report, done: Any) -> None:
    """Table, figure, and what they say of the published numbers that differ."""
    panels, table = {}, []
    for study in studies:
        points = [point for file in archive.files(study.system) for point in _kept(study, file, folder)]
        if not points:
            continue
        panels[study.title] = (points, study.system)
        table += [{"system": study.title, **asdict(point)} for point in points]
        report.comparisons = [_judged(c, study, points) for c in report.comparisons]
        done(f"{study.title}: Theta with other sigma_AB")
    if not table:
        return
    plotting.write_table(report.folder / "why_theta.csv", {name: [row[name] for row in table] for name in table[0]})
    path = report.figure(
        "why_theta",
        "C(Theta, Upsilon) against the sigma_AB of Theta, lengths of Fig. 6; bands: published, two errors of a mean of "
        "as many configurations; dotted: the potential's sigma_AB and the additive one.",
    )
    figures.orderings(panels, path)


def _judged(comparison: Comparison, study: Study, points: Sequence[Point]) -> Comparison:
    """A number C(Theta, Upsilon) that differs, with the sigma_AB that gives the published one, if any does."""
    assert study.system is not None
    title, _, label = comparison.system.partition(", ")
    rank = comparison.quantity.endswith("Spearman")
    if (
        title != study.title
        or comparison.agrees is not False
        or not comparison.quantity.startswith("C(Theta, Upsilon)")
    ):
        return comparison
    own = [p for p in points if p.label == label and p.length == study.pair_length]
    values = [(p.spearman if rank else p.pearson, p.spearman_error if rank else p.error, p) for p in own]
    if not values:
        return comparison
    ours, error, point = min(values, key=lambda v: abs(v[0] - float(comparison.published)))
    tried, found = [p.mixed for p in own], [value for value, *_ in values]
    said = (
        f"why_theta: sigma_AB from {min(tried):.2f} to {max(tried):.2f} gives {min(found):+.2f} to {max(found):+.2f}, "
        f"nearest {ours:+.2f} ± {error:.2f} with {point.mixed:.2f}, of {point.configurations} configurations cooled at "
        f"{point.rate:g} after {point.hold:g} at T_L"
    )
    if abs(ours - float(comparison.published)) <= 2 * error and error <= 0.1:
        return replace(comparison, shown=said)
    return replace(comparison, why=f"{said}; {comparison.why}")


def _kept(study: Study, file: Path, folder: Path) -> list[Point]:
    assert study.system is not None
    lengths = (0.0, study.pair_length)
    described = [hashlib.sha256(file.read_bytes()).hexdigest(), FACTORS, lengths, digest(gd.describe, gd.TongTanaka)]
    name = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:12]
    path = folder / study.sample.name / f"theta-{name}.json"
    if (known := read_json(path)) is not None:
        return [Point(**point) for point in known["points"]]
    points = list(_measure(study, file, lengths))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"points": [asdict(point) for point in points]})
    return points


def _measure(study: Study, file: Path, lengths: Sequence[float]) -> Iterator[Point]:
    system, sizes = study.system, archive.sizes_of(file)
    assert system is not None
    additive = 0.5 * (system.sizes["A"] + system.sizes["B"])
    readings = {f"x{k}": structure.Reading(mixed=additive * factor) for k, factor in enumerate(FACTORS)}
    found: dict[tuple[str, str, float], list[tuple[float, float]]] = {}
    for trajectory in archive.trajectories(file):
        chosen = {name: reading.theta(study.sample) for name, reading in readings.items()}
        described = gd.describe(trajectory, {"voronoi": gd.VoronoiCell(), **chosen}).load()
        volume = described["voronoi"].sel(voronoi_feature="volume", drop=True)
        for length in lengths:
            cells = structure.smooth(volume, trajectory, length)
            for name in readings:
                theta = structure.smooth(described[name], trajectory, length)
                for k in range(len(theta)):
                    label = ("liquid", "glass")[k % 2]
                    both = pearson(theta[k], cells[k]), spearman(theta[k], cells[k])
                    found.setdefault((label, name, length), []).append((float(both[0]), float(both[1])))
    for (label, name, length), pairs in found.items():
        values = np.array(pairs)
        mean, spread, n = values.mean(axis=0), values.std(axis=0, ddof=1), len(values)
        mixed = readings[name].mixed
        assert mixed is not None
        error = spread / np.sqrt(n)
        yield Point(
            sizes["rate"],
            sizes["hold"],
            label,
            round(mixed, 4),
            length,
            mean[0],
            error[0],
            spread[0],
            mean[1],
            error[1],
            n,
        )
