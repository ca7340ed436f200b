"""Secs. IV A-F and supplement I E-F: the propensity of one glass and what in its structure goes with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from report import Comparison, Report, explains

from glassdask import plotting
from paper_c import dynamics, figures
from paper_c.dynamics import Motion, Scan
from paper_c.published import DELTAS, ENSEMBLES, INDICATORS, System
from paper_c.sections import BLIND, NETWORK, Study
from paper_c.structure import Scored, smooth, unit

RUNS = (30, 100)  # in the paper's ensembles


@dataclass
class Mobility:
    """One glass with its indicators, its ensembles, and the lengths that are found of them."""

    study: Study
    glass: Scored
    motions: list[Motion]
    bare: dict[float, np.ndarray]  # propensity by delta
    own: dict[float, float]  # xi_Delta by delta, as the paper's runs would have it
    alone: dict[float, float]  # the same of the runs that there are
    fixed: float  # the one that serves for all deltas
    coarse: Scan
    plain: Scan

    @property
    def system(self) -> System:
        """The system of the paper."""
        assert self.study.system is not None
        return self.study.system

    def smoothed(self, delta: float) -> np.ndarray:
        """Propensity over its own length."""
        return smooth(dynamics.field(self.bare[delta]), self.glass.trajectory, self.own[delta])[0]

    def shown(self, name: str, length: float) -> np.ndarray:
        """An indicator over a length, in [0, 1], reversed where its order goes with slowness."""
        values = unit(smooth(self.glass.fields[name], self.glass.trajectory, length)[0])
        return values if self.system.slow[name] > 0 else 1.0 - values


def measure(study: Study, glass: Scored, motions: list[Motion]) -> tuple[Mobility | None, dict[float, Any]]:
    """Lengths of the propensity from C_Delta = 1/e, and of the indicators from their largest R; C_Delta by delta.

    Noise of few runs lets C_Delta fall at once, and would have the propensity smoothed over too little. So lengths are
    those of the paper's number of runs, from the spread of ours.
    """
    bare = dynamics.fields_at(motions)
    if not bare:
        return None, {}
    curves = {delta: dynamics.correlation_of_runs(motions, delta, RUNS[-1]) for delta in bare}
    longest = study.sample.longest_length
    own = {delta: min(dynamics.length(curve), longest) for delta, curve in curves.items()}
    alone = {delta: dynamics.length(dynamics.correlation(x, glass.trajectory)) for delta, x in bare.items()}
    fixed = own.get(dynamics.CENTRE, max(own.values()))
    lengths = np.arange(0.0, longest + 1e-9, 1.0)
    assert study.system is not None
    targets = {d: smooth(dynamics.field(x), glass.trajectory, own[d])[0] for d, x in bare.items()}
    coarse = dynamics.scan(glass, targets, study.system.slow, lengths)
    of_bare = dynamics.scan(glass, bare, study.system.slow, lengths)
    return Mobility(study, glass, motions, bare, own, alone, fixed, coarse, of_bare), curves


def write(found: Sequence[tuple[Mobility, dict[float, Any]]], report: Report) -> None:
    """Figs. 1-5, 7, S3-S8, Tables 3-5 and S1."""
    mobile = [mobility for mobility, _ in found]
    panels = {m.study.title: {rf"$\delta={delta:g}$": curve for delta, curve in curves.items()} for m, curves in found}
    path = report.figure(
        "fig03_propensity_correlations",
        f"Fig. 3: C_Delta(r) at several delta, as {RUNS[-1]} runs have it; dotted: 1/e.",
    )
    figures.decays(panels, path, float(np.exp(-1)), r"$C_\Delta(r)$")
    _lengths(mobile, report)
    for number, m in enumerate(mobile, start=1):
        _overview(m, number, report)
    for m in mobile:
        if m.study.title == "KAM" and 3 * m.motions[0].displacement.sizes["replica"] // 10 >= 1:
            _ensembles(m, report)
    _evolution(mobile, report)
    signs = {m.study.title: m.system.slow for m in mobile}
    for name, kind, caption in (
        (
            "figS3_lengths",
            "coarse",
            "Fig. S3: R with the coarse-grained propensity against the length of the indicator.",
        ),
        ("figS8_lengths_bare", "plain", "Fig. S8: the same with the bare propensity."),
    ):
        figures.scans({m.study.title: getattr(m, kind) for m in mobile}, signs, report.figure(name, caption))
    _optima(mobile, report)
    for k, m in enumerate(mobile):
        _bare_maps(m, k, report)


def _lengths(mobile: Sequence[Mobility], report: Report) -> None:
    """Table 3."""
    rows = []
    for m in mobile:
        published = m.system.published
        for delta, expected in zip(DELTAS, published.lengths):
            ours = m.own.get(delta, float("nan"))
            why = m.study.faster if delta in m.own else _unreached(m, delta)
            alone = m.alone.get(delta, float("nan"))
            rows.append([m.study.title, f"xi_Delta(delta = {delta:g})", f"{expected:g}", f"{ours:.2f}", f"{alone:.2f}"])
            report.compare(
                Comparison("Table 3", m.study.title, f"xi_Delta, delta = {delta:g}", expected, ours, None, 0.5, why, 2)
            )
        longest = f"; lengths were tried up to {m.study.sample.longest_length:.1f}, what the box allows"
        rows.append(
            [m.study.title, "xi of indicators", f"{published.structure_length:g}", f"{m.coarse.longest:.2f}", ""]
        )
        report.compare(
            Comparison("Table 3", m.study.title, "xi of the indicators", published.structure_length, m.coarse.longest,
                       None, 0.5, m.study.faster + longest, 1)
        )  # fmt: skip
    head = ["system", "length", "published", f"ours, as {RUNS[-1]} runs have it", "of our runs alone"]
    _table("Table 3", "table3", head, rows, report)


def _of_more_runs(m: Mobility, r: float, delta: float, own: float, expected: float) -> tuple[str, str]:
    """What noise lets an R with the propensity reach, and R of the paper's runs, where they lead to its number."""
    motion = dynamics.most_mobile(m.motions, delta)
    if motion is None:  # of an R that is NaN at all delta
        return "not defined", ""
    noise = dynamics.Noise.of(motion, delta, own)
    runs = motion.displacement.sizes["replica"]
    most = noise.ceiling(runs)
    few, many = (r * noise.ceiling(n) / most for n in RUNS)
    nearer = explains(r, few, expected) or explains(r, many, expected)
    shown = f"from the spread of the {runs} runs, {RUNS[0]} and {RUNS[1]} give {few:.3f} and {many:.3f}"
    return f"noise of {runs} runs lets R reach {most:.2f} at most", shown if nearer else ""


def _error(m: Mobility, r: float, length: float) -> float:
    """Standard error of an R of one glass, whose area has as many independent regions as squares of that length."""
    box = m.glass.trajectory["box"].values[0]
    area = abs(float(np.linalg.det(box[:2, :2])))
    return (1.0 - r**2) / float(np.sqrt(area)) * max(length, 1.0)


def _unreached(m: Mobility, delta: float) -> str:
    reached = max(motion.reached for motion in m.motions)
    return f"not reached: the longest run of this profile ends at delta = {reached:.2f}, before {delta:g}"


def _table(title: str, name: str, head: list[str], rows: list[list[str]], report: Report) -> None:
    report.tables.append((title, head, rows))
    plotting.write_table(report.folder / f"{name}.csv", {h: list(c) for h, c in zip(head, zip(*rows))})


def _overview(m: Mobility, number: int, report: Report) -> None:
    """Figs. 1 and 2."""
    above = [(figures.symbol(name, m.system.slow[name]), m.shown(name, m.coarse.longest)) for name in INDICATORS]
    below = [(rf"$\Delta(\delta={d:g})$", unit(m.smoothed(d)) if d in m.bare else None) for d in DELTAS]
    path = report.figure(
        f"fig{number:02d}_{m.system.name}",
        f"Fig. {number}: a glass of {m.study.title}, indicators and propensity, coarse-grained over "
        f"{m.coarse.longest:.2g} and " + ", ".join(f"{x:.2g}" for x in m.own.values()) + ", in [0, 1].",
    )
    figures.maps(m.glass.trajectory, [above, below], path)


def _ensembles(m: Mobility, report: Report) -> None:
    """Fig. 4, Table 4."""
    delta = dynamics.CENTRE if dynamics.CENTRE in m.bare else max(m.bare)
    motion = dynamics.most_mobile(m.motions, delta)
    assert motion is not None
    fields, table, n = dynamics.ensembles(motion, delta, m.fixed)
    total = motion.displacement.sizes["replica"]
    names = {
        "e30 A": f"$e_{{{n}}}^A$",
        "e30 B": f"$e_{{{n}}}^B$",
        "e30 C": f"$e_{{{n}}}^C$",
        "e100": f"$e_{{{total}}}$",
    }
    rows = [[(f"{head}{names[name]}", unit(fields[key + name])) for name in names]
            for head, key in (("bare ", ""), ("coarse ", "cg "))]  # fmt: skip
    path = report.figure(
        "fig04_ensembles", f"Fig. 4: propensity at delta = {delta:g} from ensembles of {n} and of {total} runs (KAM)."
    )
    figures.maps(m.glass.trajectory, rows, path)
    why = f"ensembles of {n} and {total} runs in place of {RUNS[0]} and {RUNS[1]}, delta = {delta:g}"
    larger = dynamics.Noise.of(motion, delta, m.fixed).table(*RUNS)
    for name, published in ENSEMBLES.items():
        shown = ""
        if explains(table[name], larger[name], published):
            shown = f"the paper's ensembles would have {larger[name]:.3f}, from the spread of the runs"
        report.compare(
            Comparison("Table 4", m.study.title, f"R({name})", published, table[name], None, 0.0005, why, shown=shown)
        )
    cells = [[name, f"{ENSEMBLES[name]:g}", f"{value:.3f}", f"{larger[name]:.3f}"] for name, value in table.items()]
    head = ["ensembles", "published", "ours", f"with {RUNS[0]} and {RUNS[1]} runs"]
    _table(f"Table 4 ({why})", "table4", head, cells, report)


def _evolution(mobile: Sequence[Mobility], report: Report) -> None:
    """Figs. 5 and 7, Table 5."""
    panels, signs, rows = {}, {}, []
    for m in mobile:
        title = m.study.title
        signs[title] = m.system.slow
        panels[title] = {
            motion.temperature: dynamics.evolution(m.glass, motion, m.system.slow, m.coarse.longest, m.fixed)
            for motion in m.motions
        }
        for name in INDICATORS:
            expected, at = m.system.published.propensity[name]
            curves = [found.sel(indicator=name) for found in panels[title].values()]
            points = [
                (float(r), float(delta))
                for c in curves
                for r, delta in zip(np.nan_to_num(c["r"].values, nan=-1.0), c["delta"].values)
            ]
            best, delta = max(points)
            noise, shown = _of_more_runs(m, best, delta, m.fixed, expected)
            peak, said = _peak(m, dict(zip(panels[title], curves)))
            sign = _sign(curves)
            reach = max(motion.reached for motion in m.motions)
            why = f"{sign}; {noise}; one glass; delta up to {reach:.2g}; {m.study.faster}"
            meant = m.study.meant(name)
            why += f"; {NETWORK}" if name == "Gamma" else ""
            why += "" if meant else f"; {BLIND}"
            report.compare(
                Comparison(
                    "Table 5",
                    title,
                    f"largest R of {name} with Delta",
                    expected,
                    best,
                    _error(m, best, min(m.fixed, m.coarse.longest)),
                    0.0005,
                    why,
                    shown=shown if meant else "",
                    telling=math.inf if meant else 0.0,
                ),
                Comparison(
                    "Table 5",
                    title,
                    f"delta* of {name}",
                    at,
                    peak.delta,
                    0.5 * (peak.high - peak.low),
                    0.0005,
                    said,
                    2,
                    telling=0.5 * at if meant else 0.0,
                ),
            )
            rows.append([title, name, f"{expected:g}", f"{best:.3f}", f"{at:g}", f"{peak.delta:.2f}"])
    path = report.figure("fig05_gamma", "Fig. 5: R of the Grad-CAM score with the propensity against delta.")
    figures.evolution(panels, signs, path, names=("Gamma",))
    path = report.figure("fig07_indicators", "Fig. 7: R of all three indicators with the propensity, all temperatures.")
    figures.evolution(panels, signs, path)
    head = ["system", "indicator", "C_max published", "C_max", "delta* published", "delta*"]
    _table("Table 5", "table5", head, rows, report)


@dataclass(frozen=True)
class Peak:
    """The largest R of a curve over delta, and from where to where R is the same within its error.

    `open` says that this is so at the end of the curve: then the largest R may be anywhere behind it.
    """

    r: float
    delta: float
    low: float
    high: float
    open: bool

    @classmethod
    def of(cls, delta: np.ndarray, r: np.ndarray, error: float) -> Peak:
        """Of a curve; the range goes half of the way to the next points.

        >>> delta = np.array([0.2, 0.4, 0.8, 1.6])
        >>> Peak.of(delta, np.array([0.5, 0.8, 0.78, 0.6]), 0.05)
        Peak(r=0.8, delta=0.4, low=0.30000000000000004, high=1.2000000000000002, open=False)
        >>> Peak.of(delta, np.array([0.5, 0.6, 0.8, 0.78]), 0.05).open
        True
        """
        order = np.argsort(delta)
        delta, r = delta[order], np.nan_to_num(r[order], nan=-1.0)
        between = np.concatenate([delta[:1], 0.5 * (delta[1:] + delta[:-1]), delta[-1:]])
        k = int(np.argmax(r))
        alike = np.flatnonzero(r >= r[k] - error)
        low, high = float(between[alike[0]]), float(between[alike[-1] + 1])
        return cls(float(r[k]), float(delta[k]), low, high, bool(alike[-1] == len(r) - 1))


def _peak(m: Mobility, curves: dict[float, Any]) -> tuple[Peak, str]:
    """Where R is largest: at the lowest temperature at which it falls again; else where runs go furthest."""
    found = {}
    for temperature, curve in curves.items():
        r, delta = curve["r"].values, curve["delta"].values
        error = _error(m, float(np.nanmax(r)) if np.isfinite(r).any() else 0.0, min(m.fixed, m.coarse.longest))
        found[temperature] = Peak.of(delta, r, error)
    closed = {temperature: peak for temperature, peak in found.items() if not peak.open}
    furthest = max(found, key=lambda temperature: float(curves[temperature]["delta"].max()))
    at = min(closed) if closed else furthest
    peak = found[at]
    ends = ", where the runs end" if peak.open else ""
    alike = f"from {peak.low:.2f} to {peak.high:.2f}{ends}"
    return peak, f"at T = {at:g} R is within its error of its largest, {peak.r:.3f}, {alike}"


def _sign(curves: Sequence[Any]) -> str:
    """Whether an indicator goes with mobility as published: by its mean R where cages break, not by its largest."""
    late = np.concatenate([c["r"].values[c["delta"].values >= DELTAS[0]] for c in curves])
    if len(late) == 0 or not np.isfinite(late).any():
        return "no delta above 0.3 is reached, so nothing is said of the sign"
    mean = float(np.nanmean(late))
    if abs(mean) < 0.1:
        return f"NO CLEAR SIGN: mean R {mean:+.2f} above delta = 0.3"
    kind = "sign as published" if mean > 0 else "SIGN OPPOSITE to the published one"
    return f"{kind}: mean R {mean:+.2f} above delta = 0.3"


def _optima(mobile: Sequence[Mobility], report: Report) -> None:
    """Table S1."""
    rows = []
    for m in mobile:
        for kind, found, published in (
            ("coarse-grained", m.coarse, m.system.published.optima),
            ("bare", m.plain, m.system.published.bare_optima),
        ):
            for name in INDICATORS:
                ours, expected = found.best(name), published[name]
                rows.append([m.study.title, kind, name, *(f"{x:g}" for x in expected), f"{ours[0]:.3f}",
                             *(f"{x:g}" for x in ours[1:])])  # fmt: skip
                own = m.own.get(ours[1], 0.0) if kind == "coarse-grained" else 0.0
                noise, shown = _of_more_runs(m, ours[0], ours[1], own, expected[0])
                meant = m.study.meant(name)
                report.compare(
                    Comparison("Table S1", m.study.title, f"largest R of {name}, {kind} Delta", expected[0], ours[0],
                               _error(m, ours[0], min(own, ours[2])), 0.0005,
                               f"at delta = {ours[1]:g}, xi = {ours[2]:g} (published {expected[1]:g}, "
                               f"{expected[2]:g}); {noise}; one glass; {m.study.faster}",
                               shown=shown if meant else "", telling=math.inf if meant else 0.0)
                )  # fmt: skip
    head = ["system", "Delta", "indicator", "C_max published", "delta* published", "xi* published", "C_max", "delta*",
            "xi*"]  # fmt: skip
    _table("Table S1", "tableS1", head, rows, report)


def _bare_maps(m: Mobility, k: int, report: Report) -> None:
    """Figs. S4-S7: the same fields before they are coarse-grained."""
    title, name = m.study.title, m.system.name
    above = [(rf"bare $\Delta({d:g})$", _robust(m.bare[d]) if d in m.bare else None) for d in DELTAS]
    below = [(rf"$\Delta({d:g})$", unit(m.smoothed(d)) if d in m.bare else None) for d in DELTAS]
    path = report.figure(
        f"figS{4 + k}_{name}_propensity", f"Fig. S{4 + k}: propensity of {title}, bare and coarse-grained."
    )
    figures.maps(m.glass.trajectory, [above, below], path)
    rows = []
    for head, lengths in (
        ("bare ", dict.fromkeys(INDICATORS, 0.0)),
        ("", {i: m.plain.best(i)[2] for i in INDICATORS}),
        ("", {i: m.coarse.best(i)[2] for i in INDICATORS}),
    ):
        line = []
        for indicator, length in lengths.items():
            length = 0.0 if not np.isfinite(length) else length
            values = m.shown(indicator, length)
            label = (
                head + figures.symbol(indicator, m.system.slow[indicator]) + ("" if head else rf", $\xi={length:g}$")
            )
            line.append((label, _robust(values) if length == 0 else values))
        rows.append(line)
    path = report.figure(
        f"figS{6 + k}_{name}_indicators",
        f"Fig. S{6 + k}: indicators of {title}: bare, and over the lengths of the largest R with the bare and with the "
        "coarse-grained propensity.",
    )
    figures.maps(m.glass.trajectory, rows, path)


def _robust(values: np.ndarray) -> np.ndarray:
    """In [0, 1] without the extreme two in a hundred, as the paper shows bare fields."""
    low, high = np.nanquantile(values, [0.01, 0.99])
    return np.clip((values - low) / (high - low), 0.0, 1.0) if high > low else unit(values)
