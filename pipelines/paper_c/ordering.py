"""Theta and Upsilon without any network: C(Theta, Upsilon) against the sigma_AB that Theta takes for unlike particles.

The paper takes the potential's sigma_ab, but for KAM an additive sigma_AB "rather than the parameters used in the
simulations". Both classes of configurations are read with values on either side of what it says; the cooling runs that
come with the pipeline serve for it, those of each rate. What is found of a file is kept beside the networks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from report import Comparison, Report

import glassdask as gd
from glassdask import plotting
from glassdask.code import digest
from glassdask.files import read_json, write_json
from glassdask.learning import pearson, spearman
from paper_c import archive, figures, holding, structure
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
    runs: int  # that are independent of each other


def write(studies: Sequence[Study], folder: Path, report: Report, done: Any) -> None:
    """Table, figure, and what they say of the published numbers that differ."""
    panels, table = {}, []
    for study in studies:
        assert study.system is not None
        files = [*archive.files(study.system), *filter(Path.exists, [holding.file_of(study.system)])]
        points = [point for file in files for point in _kept(study, file, folder)]
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
    # one liquid that was held is one sample, which decides nothing
    own = [p for p in points if p.label == label and p.length == study.pair_length and p.runs > 1]
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
    columns = [field.name for field in fields(Point)]
    described = [
        hashlib.sha256(file.read_bytes()).hexdigest(),
        FACTORS,
        lengths,
        columns,
        digest(gd.describe, gd.TongTanaka),
    ]
    name = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:12]
    path = folder / study.sample.name / f"theta-{name}.json"
    if (known := read_json(path)) is not None:
        return [Point(**point) for point in known["points"]]
    points = list(_measure(study, file, lengths))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"points": [asdict(point) for point in points]})
    return points


def _measure(study: Study, file: Path, lengths: Sequence[float]) -> Iterator[Point]:
    assert study.system is not None
    additive = 0.5 * (study.system.sizes["A"] + study.system.sizes["B"])
    readings = {f"x{k}": structure.Reading(mixed=additive * factor) for k, factor in enumerate(FACTORS)}
    found: dict[tuple[str, str, float], list[tuple[float, float]]] = {}
    rate, hold, runs, alike, parts = _parts(study, file)
    for label, trajectory in parts:
        chosen = {name: reading.theta(study.sample) for name, reading in readings.items()}
        described = gd.describe(trajectory, {"voronoi": gd.VoronoiCell(), **chosen}).load()
        volume = described["voronoi"].sel(voronoi_feature="volume", drop=True)
        for length in lengths:
            cells = structure.smooth(volume, trajectory, length)
            for name in readings:
                theta = structure.smooth(described[name], trajectory, length)
                both = [(float(pearson(x, y)), float(spearman(x, y))) for x, y in zip(theta, cells)]
                found.setdefault((label, name, length), []).extend(both)
    for (label, name, length), pairs in found.items():
        values = np.array(pairs)
        mean, spread, n = values.mean(axis=0), values.std(axis=0, ddof=1), len(values)
        error = spread / np.sqrt(n / alike)
        mixed = round(float(readings[name].mixed or additive), 4)
        yield Point(rate, hold, label, mixed, length, mean[0], error[0], spread[0], mean[1], error[1], n, runs)


def _parts(study: Study, file: Path) -> tuple[float, float, int, int, Iterable[tuple[str, xr.Dataset]]]:
    """Rate, time at T_L, runs, how many configurations count as one, and the configurations by class."""
    assert study.system is not None
    if file == holding.file_of(study.system):
        held = holding.read(file)
        late = np.flatnonzero(held.time >= holding.SETTLED)
        glasses = np.flatnonzero(held.time[held.begun] >= holding.SETTLED)
        parts = [("liquid", held.liquid.isel(frame=late)), ("glass", held.glass.isel(frame=glasses))]
        return held.rate, float(held.time[-1]), 1, holding.INDEPENDENT, parts
    sizes, runs = archive.sizes_of(file), archive.trajectories(file)
    classes = (("liquid", 0), ("glass", 1))
    both = ((label, run.isel(frame=slice(first, None, 2))) for run in runs for label, first in classes)
    return float(sizes["rate"]), float(sizes["hold"]), int(sizes["runs"]), 1, both
