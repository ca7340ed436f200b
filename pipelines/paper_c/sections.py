"""The sections of the paper, one function each: what is computed, drawn and compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from report import Comparison, Report

import glassdask as gd
from glassdask import plotting
from paper_c import figures, images, runs, structure
from paper_c.published import INDICATORS, PAIRS, System
from paper_c.sources import Sample, Sizes

FAST = "our cooling is {ratio:.0f} times as fast, and our configurations are fewer"
NETWORK = "the filters of Fig. S1 are not known; ours are other ones, trained on fewer images"
ABLE = 0.8  # accuracy from which Grad-CAM of a network says something of the classes: half is a guess
VAGUE = 0.1  # error of a correlation with Gamma above which agreement says nothing
BLIND = "this network hardly tells the classes, so that Gamma means little"


@dataclass
class Study:
    """One sample, its network and what has been found."""

    sample: Sample
    sizes: Sizes
    model: Any = None
    scored: list[structure.Scored] = field(default_factory=list)
    able: bool = True  # the network tells the classes of the test

    @property
    def title(self) -> str:
        """Of the panels."""
        return self.sample.title

    @property
    def system(self) -> System | None:
        """The system of the paper, if it is one."""
        return self.sample.system

    @property
    def pictures(self) -> images.Pictures:
        """How the network sees configurations."""
        return images.Pictures(self.sizes.spacing)

    def meant(self, quantity: str) -> bool:
        """Whether a quantity says something: where the network hardly tells the classes, none with Gamma does."""
        return self.able or "Gamma" not in quantity

    @property
    def faster(self) -> str:
        """Why numbers that depend on the preparation differ."""
        from paper_c.published import COOLING_RATE

        return FAST.format(ratio=self.sizes.rate / COOLING_RATE)

    @property
    def pair_length(self) -> float:
        """Coarse-graining length of Fig. 6: the paper's, or four mean spacings, as far as the box allows."""
        first = self.sample.first
        spacing = (np.linalg.det(first["box"].values[0]) / first.sizes["particle"]) ** (1 / first.sizes["space"])
        wanted = self.system.published.pair_length if self.system else 4.0 * spacing
        return min(wanted, self.sample.longest_length)

    def of_class(self, label: str) -> list[structure.Scored]:
        """Tested configurations of a class."""
        return [scored for scored in self.scored if scored.label == label]


def energies(studies: Sequence[Study], folder: Path, report: Report) -> None:
    """Supplement II A-C: Fig. S9, T* and the onset."""
    panels = {}
    for study in studies:
        system = study.system
        assert system is not None
        found = runs.energies(system, study.sizes, folder)
        lines = {}
        for name, published in (("T*", system.published.transition), ("T_L", system.published.onset)):
            value, error, lines[name] = found.crossing(*system.fits[name])
            why = study.faster if name == "T*" else "the paper chose T_L by eye; ours is where two lines meet"
            report.compare(
                Comparison("Fig. S9", study.title, name, published, value, error, 0.05 * published, why, digits=2)
            )
        panels[study.title] = (found, lines, (system.glass, system.liquid))
    path = report.figure(
        "figS9_energies",
        "Fig. S9: energy of configurations and of their inherent structures while cooling; dark and light circles: T_G "
        "and T_L; dotted: the lines that cross at T*.",
    )
    figures.energies(panels, path)


def pair_correlations(studies: Sequence[Study], report: Report) -> None:
    """Supplement II D: Fig. S10."""
    panels = {}
    for study in studies:
        panels[study.title] = {label: _distribution(study.sample, label) for label in study.sample.classes}
    path = report.figure("figS10_pair_correlations", "Fig. S10: g(r) of every class, and its first peak.")
    figures.pair_correlations(panels, path)


def _distribution(sample: Sample, label: str, most: int = 20) -> xr.DataArray:
    part = next(part for part in sample.parts if label in part.labels)
    frames = [k for k, found in enumerate(part.labels) if found == label][:most]
    return gd.radial_distribution(part.trajectory.isel(frame=frames), n_bins=350)["g_total"]


def classification(studies: Sequence[Study], report: Report) -> None:
    """Secs. III A, IV A: the networks and Table 2."""
    rows, columns = [], []
    for study in studies:
        model, sample = study.model, study.sample
        shape = " x ".join(map(str, model.image_shape_[1:]))
        layers = ", ".join(
            f"{f} filters of {k} points, stride {s}"
            for f, k, s in zip(model.filters, model.kernel_sizes, model.strides)
        )
        columns.append([
            study.title, shape, layers, str(model.dense), f"{model.learning_rate:g}", str(model.batch_size),
            f"{model.l2:g}", str(len(model.training_loss_)), str(len(sample.labels("train"))),
            str(len(sample.labels("validation"))), str(len(sample.labels("test"))),
        ])  # fmt: skip
        found = images.accuracies(sample, model, study.pictures)
        total = sum(share * n for share, n in found.values()) / sum(n for _, n in found.values())
        for k, (label, (share, n)) in enumerate(found.items()):
            error = float(np.sqrt(max(share * (1 - share), 0.25 / n) / n))
            rows.append([study.title, label, f"{share:.3f} ± {error:.3f}", str(n)])
            if study.system is not None:
                report.compare(
                    Comparison("Table 2", study.title, f"accuracy, {label}", study.system.published.accuracy[k], share,
                               error, 0.0005, f"{study.faster}; {NETWORK}")
                )  # fmt: skip
        study.able = total >= ABLE
        verdict = "reached" if total >= 0.95 else "NOT REACHED"
        report.notes.append(
            f"{study.title}: {100 * total:.1f} % of {len(sample.labels('test'))} configurations that the network has "
            f"never seen are recognised; 95 % are {verdict}. Of the validation's {len(sample.labels('validation'))} it "
            f"knows {100 * float(model.validation_accuracy_[-1]):.1f} %."
        )
        if not study.able:
            report.notes.append(f"{study.title}: {BLIND}: no number with Gamma is decided by it.")
        report.notes += [f"{study.title}: {note}" for note in sample.notes]
        if model.standardize or model.augment or model.decay < 1:
            report.notes.append(
                f"{study.title}: unlike in the paper, images are standardised with what the training images are, moved "
                "and mirrored at random while training, and the learning rate becomes smaller by a factor of "
                f"{model.decay:g} from epoch to epoch; the paper's 250 epochs at 1e-6 need its 8000 images."
            )
    header = ["system", "image", "convolutions", "dense", "learning rate", "batch", "L2", "epochs", "trained on",
              "validated on", "tested on"]  # fmt: skip
    report.tables.append(("Networks (in place of Fig. S1)", header, columns))
    head = ["system", "class", "accuracy", "configurations"]
    report.tables.append(("Table 2", head, rows))
    plotting.write_table(report.folder / "table2.csv", {name: list(c) for name, c in zip(head, zip(*rows))})
    path = report.figure("learning", "Cross entropy and accuracy while the networks are trained (not in the paper).")
    figures.learning({study.title: study.model for study in studies}, path)


def interpretation(studies: Sequence[Study], report: Report) -> None:
    """Secs. IV D, E, G: Figs. 6 and 8, Table S2."""
    panels: dict[str, dict[str, np.ndarray]] = {}
    rows: list[list[str]] = []
    for study in studies:
        panels[study.title] = {}
        for label in study.sample.classes:
            parts = [structure.pair_coefficients(s, study.pair_length) for s in study.of_class(label)]
            if not parts:
                report.notes.append(f"{study.title}: no {label} of the test is recognised, nothing is said about it.")
                continue
            values = {kind: np.concatenate([part[kind] for part in parts]) for kind in ("pearson", "spearman")}
            panels[study.title][label] = values["pearson"]
            rows += _pair_rows(study, label, values, report)
    _signs(panels, studies, report)
    path = report.figure(
        "fig06_pairs",
        "Fig. 6: Pearson's coefficient between indicators, distribution over the configurations of the test; dashed: "
        "quartiles. Lengths: " + ", ".join(f"{s.title} {s.pair_length:.2g}" for s in studies) + ".",
    )
    figures.violins(panels, path)
    head = ["system", "class", "pair", "Pearson", "spread", "Spearman", "spread of it", "configurations"]
    report.tables.append(("Table S2 (mean and standard deviation over configurations)", head, rows))
    plotting.write_table(report.folder / "tableS2.csv", {name: list(c) for name, c in zip(head, zip(*rows))})

    curves: dict[str, dict[str, xr.DataArray]] = {}
    for study in studies:
        each = [structure.correlations(scored) for scored in study.of_class(study.sample.interesting)]
        if not each:
            continue
        curves[study.title] = {name: xr.concat([e[name] for e in each], "frame") for name in INDICATORS}
        reach = structure.domain(curves[study.title]["Gamma"])
        expected: float | str = "-"
        within = 0.0
        if study.system:
            low, high = study.system.published.domain
            expected, within = 0.5 * (low + high), 0.25 * (high - low)  # of a range, as of a rounding, both ends agree
        name = "r at which C_Gamma = 0 within its spread"
        report.compare(
            Comparison("Sec. IV G", study.title, name, expected, reach, rounding=within, why=NETWORK, digits=2)
        )
    if curves:
        path = report.figure("fig08_correlations", "Fig. 8: C(r) of the bare indicators; inset: C_Gamma.")
        figures.structure_decays(curves, path)


def _signs(panels: dict[str, dict[str, np.ndarray]], studies: Sequence[Study], report: Report) -> None:
    """In a sentence, which of the signs that the paper has clearly are found."""
    for study in studies:
        if study.system is None:
            continue
        right, wrong = [], []
        for label, values in panels[study.title].items():
            for k, (a, b) in enumerate(PAIRS):
                expected, spread, *_ = study.system.published.pairs[label][k]
                if abs(expected) > spread and np.isfinite(values[:, k]).any():
                    mean = float(np.nanmean(values[:, k]))
                    same = np.sign(mean) == np.sign(expected)
                    (right if same else wrong).append(f"C({a}, {b}) of the {label} {mean:+.2f} ({expected:+.2f})")
        text = f"{study.title}: of the signs that the paper has clearly, these are found: {', '.join(right) or 'none'}"
        report.notes.append(f"{text}; THESE ARE NOT: {', '.join(wrong)}." if wrong else f"{text}; all of them.")


def _pair_rows(study: Study, label: str, values: dict[str, np.ndarray], report: Report) -> list[list[str]]:
    """Rows of Table S2, and the comparisons, of one class."""
    rows = []
    with np.errstate(invalid="ignore"):
        defined = [np.isfinite(values["pearson"][:, k]) for k in range(len(PAIRS))]
    for k, (a, b) in enumerate(PAIRS):
        p, s = (values[kind][defined[k], k] for kind in ("pearson", "spearman"))
        n = len(p)
        name = f"C({a}, {b})"
        if n == 0:
            rows.append([study.title, label, name, "-", "-", "-", "-", "0"])
            continue
        spread = [float(x.std(ddof=1)) if n > 1 else float("nan") for x in (p, s)]
        rows.append([study.title, label, name, f"{p.mean():+.3f}", f"{spread[0]:.3f}", f"{s.mean():+.3f}",
                     f"{spread[1]:.3f}", str(n)])  # fmt: skip
        if study.system is None:
            continue
        mean, deviation, rank, _ = study.system.published.pairs[label][k]
        gamma = "Gamma" in (a, b)
        why = study.faster + (f"; {NETWORK}" if gamma else "") + ("" if study.meant(name) else f"; {BLIND}")
        telling = 0.0 if not study.meant(name) else VAGUE if gamma else math.inf
        for quantity, ours, error, expected in (
            (name, p.mean(), spread[0] / np.sqrt(n), mean),
            (f"{name}, Spearman", s.mean(), spread[1] / np.sqrt(n), rank),
        ):
            report.compare(
                Comparison("Table S2", f"{study.title}, {label}", quantity, expected, float(ours), float(error),
                           deviation / np.sqrt(600), f"{_sign(ours, expected, deviation)}; {why}", telling=telling)
            )  # fmt: skip
    return rows


def _sign(ours: float, published: float, spread: float) -> str:
    """Whether the sign is the published one; of means that are smaller than their spread there is none."""
    if abs(published) < spread:
        return "published without a clear sign"
    return "sign as published" if np.sign(ours) == np.sign(published) else "SIGN OPPOSITE to the published one"


def examples(study: Study, report: Report) -> None:
    """The indicators of one configuration of the class of interest, as in Fig. 1."""
    found = study.of_class(study.sample.interesting)
    if not found:
        return
    one, trajectory = found[0], found[0].trajectory.isel(frame=[0])
    lengths = (0.0, study.pair_length)
    rows = []
    for length in lengths:
        line = []
        for name in INDICATORS:
            values = structure.smooth(one.fields[name].isel(frame=[0]), trajectory, length)[0]
            line.append((f"{figures.symbol(name)}" + ("" if length else ", bare"), structure.unit(values)))
        rows.append(line)
    path = report.figure(
        "fig01_example",
        f"As Fig. 1: indicators of a configuration of class {study.sample.interesting}, bare and coarse-grained over "
        f"{study.pair_length:.2g}, in [0, 1].",
    )
    figures.maps(trajectory, rows, path)
