"""Where the paper leaves open what was done: the same configurations, read in several ways, beside what is published.

Each `Variant` changes one thing of the profile's training, of its images, of Grad-CAM, or of the preparation. What is
found of a variant is kept in a file of its own, so that an interrupted study goes on with the next one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from report import Comparison, Report, explains

import glassdask as gd
from glassdask import plotting
from glassdask.fields.spatial import spatial_correlation
from glassdask.files import replacing
from glassdask.store import content_hash
from paper_c import archive, figures, images, sources, structure
from paper_c.published import PAIRS, System
from paper_c.sections import ABLE, Study
from paper_c.structure import Reading

PAIR_NAMES = [f"C({a}, {b})" for a, b in PAIRS]
PLAIN = {"augment": False, "standardize": False, "decay": 1.0}  # what the paper does not do
FAST = "standardised, moved and mirrored, in large steps: so few images are recognised"
KERNELS = [{name: few[name] for name in ("kernel_sizes", "strides")} for few in (sources.FEW, sources.NEAR)]


@dataclass(frozen=True)
class Variant:
    """One way to read the paper: `what` is changed, of the network, or of its images."""

    name: str
    what: str
    network: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Any] = field(default_factory=dict)
    readings: Mapping[str, Reading] = field(default_factory=lambda: {"": Reading()})
    seeds: Sequence[int] = (0,)


WAYS = {
    "": Reading(),
    "no ReLU in Eq. 4": Reading(rectify=False),
    "second convolution": Reading(layer=1),
    "first convolution": Reading(layer=0),
    "shared without dividing by the density": Reading(share="undivided"),
    "mean over a particle's Gaussian": Reading(share="mean"),
    "no network, a uniform map": Reading(map="uniform"),
    "no network, the image itself": Reading(map="image"),
}


def ways(system: System) -> dict[str, Reading]:
    """What needs no further training; where the potential is not additive, Theta with other sigma_AB as well."""
    additive = system.contact["A", "B"]
    if additive == system.mixed:
        return WAYS
    between = 0.5 * (additive + system.mixed)
    return WAYS | {
        "Theta with the potential's sigma_AB": Reading(mixed=system.mixed),
        f"Theta with sigma_AB = {between:g}, halfway": Reading(mixed=between),
    }


def variants(system: System, sizes: sources.Sizes) -> list[Variant]:
    """All of them, the profile's own first."""
    paper = {**PLAIN, **(sizes.literal or sizes.network)}
    own = {**paper, **sources.FEW} if sizes.literal is None else dict(sizes.network)
    epochs, rate = int(paper["epochs"]), float(paper["learning_rate"])
    literal = Variant("as the paper", "images in [0, 1], no strides, a constant rate", paper)
    quick = [
        Variant(f"kernels of {', '.join(map(str, network['kernel_sizes']))} points", FAST, network)
        for network in (own, *({**own, **kernels} for kernels in KERNELS if not kernels.items() <= own.items()))
    ]
    first, *others = [literal, *quick] if sizes.literal is None else [*quick, literal]
    long = {**own, "epochs": 4 * int(own["epochs"])}
    changes: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        ("moved and mirrored", "images are moved and mirrored at random", {"augment": True}, {}),
        ("standardised", "mean and deviation of the training images are taken out", {"standardize": True}, {}),
        ("all images scaled alike", "by the extremes of all of them", {}, {"scaled": "all"}),
        ("a fourth of the epochs", "training stopped early", {"epochs": max(1, epochs // 4)}, {}),
        ("a fourth of the rate", "weights go a fourth as far", {"learning_rate": 0.25 * rate}, {}),
        ("half of the filters", "4, 8, 8 filters, dense layer of 32", {"filters": (4, 8, 8), "dense": 32}, {}),
        ("smaller kernels", "3 points in place of 5", {"kernel_sizes": (3, 3, 3)}, {}),
        ("grid spacing 0.5", "finer images", {}, {"spacing": 0.5}),
    ]
    augmented, *changed = [Variant(name, what, {**paper, **change}, shown) for name, what, change, shown in changes]
    return [
        replace(first, readings=ways(system), seeds=range(sizes.seeds)),
        *others,
        augmented,
        Variant("augmented, large steps, four times as long", "and learned by heart", long),
        *changed,
    ]


@dataclass(frozen=True)
class Row:
    """What a variant gives: accuracies and, by class, mean and spread over configurations of the coefficients."""

    system: str
    variant: str
    reading: str
    what: str
    seed: int
    accuracy: Mapping[str, float]
    pairs: Mapping[str, Sequence[tuple[float, float]]]
    tested: Mapping[str, int]
    domain: float  # distance at which C_Gamma of the glass is zero within its spread
    loss: float

    @property
    def able(self) -> bool:
        """Whether the network tells the classes."""
        return bool(np.mean([*self.accuracy.values()]) >= ABLE)

    @property
    def name(self) -> str:
        """Of the variant and the reading."""
        return f"{self.variant}: {self.reading}" if self.reading else self.variant

    def cells(self) -> dict[str, Any]:
        """As a row of the table."""
        cells: dict[str, Any] = {"system": self.system, "reading": self.name, "what": self.what, "seed": self.seed}
        for label, accuracy in self.accuracy.items():
            cells[f"accuracy, {label}"] = round(accuracy, 3)
        for label, found in self.pairs.items():
            for (a, b), (mean, spread) in zip(PAIRS, found):
                cells[f"C({a}, {b}), {label}"] = round(mean, 3)
                cells[f"its spread, C({a}, {b}), {label}"] = round(spread, 3)
        return {**cells, "C_Gamma = 0 at": round(self.domain, 2), "loss": round(self.loss, 3)}


@dataclass(frozen=True)
class Span:
    """Lowest and highest mean of all variants of a coefficient, and the variant nearest to what is published."""

    low: float
    high: float
    nearest: str
    value: float


def span(found: Sequence[tuple[float, str]], published: float) -> Span | None:
    """How far a number moves from variant to variant; None where it is nowhere defined."""
    defined = [(value, name) for value, name in found if np.isfinite(value)]
    if not defined:
        return None
    values = [value for value, _ in defined]
    value, name = min(defined, key=lambda one: abs(one[0] - published))
    return Span(min(values), max(values), name, value)


def write(studies: Sequence[Study], folder: Path, report: Report, done: Any) -> None:
    """The readings of each system: table, figure, and what they say about the numbers of Table S2 that differ."""
    table: list[dict[str, Any]] = []
    panels: dict[str, Any] = {}
    for study in studies:
        assert study.system is not None
        rows = list(run(study, folder, done))
        pairs = study.system.published.pairs
        published = {f"C({a}, {b}), {c}": pairs[c][k][0] for c in pairs for k, (a, b) in enumerate(PAIRS)}
        accuracy = dict(zip(("accuracy, glass", "accuracy, liquid"), study.system.published.accuracy))
        domain = {"C_Gamma = 0 at": "{:g}-{:g}".format(*study.system.published.domain)}
        head = {"system": study.title, "reading": "PUBLISHED", **accuracy, **published, **domain}
        table += [head, *[row.cells() for row in rows]]
        panels[study.title] = (rows, pairs)
        report.comparisons = [_judged(_of_networks(c, study, rows), study, rows) for c in report.comparisons]
    if not table:
        return
    columns = list(dict.fromkeys(name for line in table for name in line))
    plotting.write_table(report.folder / "readings.csv", {n: [str(row.get(n, "")) for row in table] for n in columns})
    shown = [name for name in columns if not name.startswith(("its spread", "what", "loss"))]
    cells = [[_text(row.get(name, "")) for name in shown] for row in table]
    report.tables.append(("The paper read in several ways (more in readings.csv)", shown, cells))
    caption = "C(Gamma, Upsilon) of glasses and of liquids, by how the paper is read: means and spreads over the test"
    path = report.figure("readings_pairs", f"{caption}; dotted: published, with its spread.")
    figures.readings(panels, path)


def _text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _of_networks(comparison: Comparison, study: Study, rows: Sequence[Row]) -> Comparison:
    """A number with Gamma, whose error has the spread over networks that differ in nothing but their seed."""
    title, _, label = comparison.system.partition(", ")
    if title != study.title or comparison.where != "Table S2" or "Gamma" not in comparison.quantity:
        return comparison
    number = PAIR_NAMES.index(comparison.quantity.removesuffix(", Spearman"))
    alike = [row for row in rows if (row.variant, row.reading) == (rows[0].variant, "") and row.able]
    means = np.array([row.pairs[label][number][0] for row in alike])
    means = means[np.isfinite(means)]
    if len(means) < 2:
        return comparison
    spread = float(means.std(ddof=1))
    said = f"the error has the spread over {len(means)} networks with other seeds, {spread:.2f}"
    return replace(comparison, error=math.hypot(comparison.error or 0.0, spread), why=f"{said}; {comparison.why}")


def _judged(comparison: Comparison, study: Study, rows: Sequence[Row]) -> Comparison:
    """A number of Tables 2 and S2 that differs, with what the variants say of it."""
    title, _, label = comparison.system.partition(", ")
    if title != study.title or comparison.agrees is not False:
        return comparison
    assert study.system is not None
    own = [row for row in rows if not row.reading.startswith("no network")]
    able = [row for row in own if row.able]
    if comparison.where == "Table 2":
        label = comparison.quantity.removeprefix("accuracy, ")
        found = span([(row.accuracy[label], row.name) for row in rows], float(comparison.published))
        spread = 0.01
    elif comparison.where == "Table S2":
        number = PAIR_NAMES.index(comparison.quantity.removesuffix(", Spearman"))
        found = span([(row.pairs[label][number][0], row.name) for row in able], float(comparison.published))
        spread = 0.5 * study.system.published.pairs[label][number][1]
    else:
        return comparison
    if found is None:
        return comparison
    between = (
        f"readings by networks that tell the classes give {found.low:+.2f} to {found.high:+.2f}, nearest "
        f"{found.value:+.2f} ({found.nearest})"
    )
    published = float(comparison.published)
    within = found.low - spread <= published <= found.high + spread
    if study.meant(comparison.quantity) and within and explains(comparison.ours, found.value, published):
        return replace(comparison, shown=between)
    return replace(comparison, why=f"{between}; {comparison.why}")


def otherwise_made(study: Study, folder: Path) -> Iterator[tuple[str, Study]]:
    """The same training with the test on configurations that were made otherwise and come with the pipeline."""
    assert study.system is not None
    for file in archive.files(study.system):
        sizes = replace(study.sizes, **archive.sizes_of(file))
        if archive.file_of(study.system, sizes) == archive.file_of(study.system, study.sizes):
            continue
        name = f"rate-{sizes.rate:g}-hold-{sizes.hold:g}"
        stores = sources.stores_of(study.system, sizes, folder / name)
        for task in archive.unpacking_tasks(study.system, sizes, stores):
            task.compute()
        labels = ("liquid", "glass") * sizes.cycles
        own = [part for part in study.sample.parts if part.role != "test"]
        tested = [sources.Part(store, tuple(range(len(labels))), labels, "test") for store in stores]
        held = "" if sizes.hold == study.sizes.hold else f", liquids held for {sizes.hold:g}"
        other = replace(study, sample=replace(study.sample, parts=(*own, *tested)))
        yield f"cooled at a rate of {sizes.rate:g}{held}", other


def run(study: Study, folder: Path, done: Any, only: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of all variants of a system, or of those named; what is kept already is read."""
    assert study.system is not None
    first, *others = [(study, variant) for variant in variants(study.system, study.sizes)[: study.sizes.readings]]
    same = (study.model.seed,)
    rates = [(other, Variant(name, "the same network", seeds=same)) for name, other in otherwise_made(study, folder)]
    chosen = [first, *rates, *others]
    for own, variant in chosen:
        if only and variant.name not in only:
            continue
        for seed in variant.seeds:
            rows = _kept(own, variant, seed, folder)
            done(f"{study.title}, read another way: {variant.name}, seed {seed}")
            yield from rows


def _kept(study: Study, variant: Variant, seed: int, folder: Path) -> list[Row]:
    network = {**study.sizes.network, **variant.network, "seed": seed}
    pictures = replace(study.pictures, **variant.pictures)
    place = folder / study.sample.name
    images.make(study.sample, network, pictures)
    described: list[Any] = [images.identity(study.sample, network, pictures), variant.name, variant.what]
    described.append([[str(part.store), part.frames, content_hash(part.store)] for part in study.sample.role("test")])
    described.append({name: asdict(reading) for name, reading in variant.readings.items()})
    file = place / f"reading-{hashlib.sha256(json.dumps(described).encode()).hexdigest()[:12]}.json"
    if file.exists():
        return [Row(**row) for row in json.loads(file.read_text())]
    model = images.train(study.sample, network, place, pictures)
    rows = list(_measure(study, variant, seed, model, pictures))
    with replacing(file) as stream:
        stream.write(json.dumps([asdict(row) for row in rows]).encode())
    return rows


def _measure(study: Study, variant: Variant, seed: int, model: Any, pictures: images.Pictures) -> Iterator[Row]:
    sample = study.sample
    accuracy = {label: share for label, (share, _) in images.accuracies(sample, model, pictures).items()}
    thetas = {name: reading.theta(sample) for name, reading in variant.readings.items()}
    alone = [theta for k, theta in enumerate(thetas.values()) if theta not in list(thetas.values())[:k]]
    found: dict[str, dict[str, list[np.ndarray]]] = {name: {c: [] for c in sample.classes} for name in variant.readings}
    curves: dict[str, list[xr.DataArray]] = {name: [] for name in variant.readings}
    for part, label, frames, seen in structure.recognised(sample, pictures, model):
        trajectory = part.trajectory.isel(frame=frames).load()
        chosen = {f"theta{k}": one for k, one in enumerate(alone)}
        described = gd.describe(trajectory, {"voronoi": gd.VoronoiCell(), **chosen}).load()
        volume = described["voronoi"].sel(voronoi_feature="volume", drop=True)
        for name, reading in variant.readings.items():
            theta = described[f"theta{alone.index(thetas[name])}"]
            fields = xr.Dataset({"Upsilon": volume, "Theta": theta})
            gamma = reading.gamma(model, seen, label, trajectory, sample.sizes).load()
            scored = structure.Scored(label, trajectory, fields.assign(Gamma=gamma))
            found[name][label].append(structure.pair_coefficients(scored, study.pair_length)["pearson"])
            if label == sample.interesting:
                curves[name].append(spatial_correlation(gamma, trajectory, width=0.25)["correlation"].load())
    for name in variant.readings:
        values = {
            c: np.concatenate(parts) if parts else np.full((1, len(PAIRS)), np.nan) for c, parts in found[name].items()
        }
        domain = structure.domain(xr.concat(curves[name], "frame")) if curves[name] else np.nan
        yield Row(
            study.title, variant.name, name, variant.what, seed, accuracy,
            {c: [_moments(x) for x in v.T] for c, v in values.items()},
            {c: len(v) for c, v in values.items()}, float(domain), float(model.training_loss_[-1]),
        )  # fmt: skip


def _moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and spread of what is defined."""
    defined = values[np.isfinite(values)]
    return (float(defined.mean()), float(defined.std())) if len(defined) else (np.nan, np.nan)
