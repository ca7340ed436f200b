"""What the paper shows, figure by figure, and how our numbers compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from report import Comparison, Report

import glassdask as gd
from glassdask import plotting
from paper_b import experiments, figures, kept, sizing
from paper_b.activity import AVALANCHE, RADIUS, DataSet
from paper_b.classify import PENALTIES, Study
from paper_b.experiments import Finding, Findings
from paper_b.published import ACTIVATIONS, POLYMER, PROPENSITY, RADII, SYSTEMS, System
from paper_b.sources import DAY, Mechanical, Sizes, Thermal

Studies = Mapping[str, Mapping[float, Study]]  # by title of the data set and cutoff


def methods(data: Mapping[str, DataSet], sizes: Sizes, findings: Findings, report: Report) -> None:
    """Fig. 1, Fig. 2, and what the text says of the simulations."""
    path = report.figure("fig1_radial_basis", "Fig. 1: the first six radial basis functions, r_cut = 4.")
    figures.radial_basis(gd.ACE(r_cut=4.0, degree=6, n_max=6, body_order=2), path)
    path = report.figure(
        "fig2_slices",
        "Fig. 2: D2min in slices one diameter thick, type A only. Top: isoconfigurational averages; bottom: one event.",
    )
    panels = {}
    for title, found in data.items():
        # the strongest event that is kept, the first of the liquids
        shown = found.activities[0]
        if found.activation == "mechanical":
            shown = max(found.activities, key=lambda activity: np.nansum(activity.shown > 0.6))
        panels[title] = (shown.configuration, shown.shown)
    figures.slices(panels, path)

    rows = []
    for title, found in data.items():
        n, groups = len(found.labels), len(np.unique(found.groups))
        particles = found.activities[0].configuration.sizes["particle"]
        rows.append([title, str(particles), str(groups), str(len(found.activities)), str(n)])
    header = ["data set", "particles", "independent configurations", "configurations or windows", "learned from"]
    report.tables.append(("Data sets", header, rows))
    for title, found in data.items():
        if found.activation == "thermal":
            r = [
                gd.learning.pearson(a.d2min[known], a.propensity[known])
                for a in found.activities
                for known in [np.isfinite(a.d2min)]
            ]
            report.compare(
                _comparison(
                    "Methods", found, sizes, findings, "R", WORDS["R"], (PROPENSITY, 0.005),
                    (float(np.mean(r)), _standard_error(r)),
                )
            )  # fmt: skip
        if found.activation == "thermal" and found.system is POLYMER:
            density = [
                a.configuration.sizes["particle"] / np.linalg.det(a.configuration["box"].values[0])
                for a in found.activities
            ]
            report.compare(
                Comparison("Methods", title, DENSITY, POLYMER.density, float(np.mean(density)),
                           _standard_error(density), 0.005, "cooled within a shorter time")
            )  # fmt: skip


def _standard_error(values: list[float]) -> float | None:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def why_not(data: DataSet, sizes: Sizes) -> str:
    """Where a difference from the paper comes from."""
    name = data.system.name
    n = len(data.labels)
    if data.activation == "thermal":
        made: Thermal = sizes.thermal[name]
        if made.lag == data.system.relaxation:
            return f"{n} particles to learn from"
        return (
            f"motion over {made.lag:g} (the paper: {data.system.relaxation:g}), {made.replicas} replicas, {n} "
            "particles to learn from"
        )
    sheared: Mechanical = sizes.mechanical[name]
    return (
        f"{sheared.realisations} glasses of {sheared.particles} particles, {n} particles to learn from, strain steps "
        f"of {sheared.increment:g}"
    )


def accuracies(data: Mapping[str, DataSet], studies: Studies, sizes: Sizes, findings: Findings, report: Report) -> None:
    """Figs. 3, 4 and 7, and the accuracies that the text gives."""
    borders = {title: next(iter(found.values())).borders for title, found in studies.items()}
    labels = {title: {f"$r_\\mathrm{{cut}} = {r:g}$": r for r in found} for title, found in studies.items()}
    path = report.figure("fig3_accuracy", "Fig. 3: accuracy against the number of features in body order.")
    curves = {t: {name: studies[t][r].accuracy for name, r in some.items()} for t, some in labels.items()}
    printed = {title: _printed(found, borders[title]) for title, found in data.items()}
    figures.against_features(curves, borders, path, label="accuracy", published=printed)
    path = report.figure("fig7_pearson", "Fig. 7: R of Bayesian ARD regression of D2min, features in body order.")
    curves = {t: {name: studies[t][r].pearson for name, r in some.items()} for t, some in labels.items()}
    figures.against_features(curves, borders, path, label="Pearson's $R$")
    path = report.figure("fig4_distributions", "Fig. 4: the first radial descriptor (A1), active and inactive.")
    panels: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for title, found in data.items():
        largest = studies[title][RADII["thermal"]]
        panels.setdefault(found.system.title, {})[found.activation] = (largest.first, found.labels)
    figures.distributions(panels, path)
    for title, found in data.items():
        _compare(found, studies[title], sizes, findings, report)
    for activation in ACTIVATIONS:
        some = {t: found for t, found in data.items() if found.activation == activation}
        if some:
            _order_of_systems(activation, some, studies, report)


def _printed(data: DataSet, borders: Mapping[str, int]) -> list[tuple[int, float, float]]:
    """The accuracies of the text: number of features, value, rounding."""
    text = data.system.accuracies[data.activation]
    enough = borders["2-body" if data.system.mixture else "3-body"]
    pairs = ((1, text.first), (10, text.ten), (borders["A-A"], text.same), (enough, text.best))
    return [(n, *pair) for n, pair in pairs if pair is not None]


def _comparison(
    where: str,
    data: DataSet,
    sizes: Sizes,
    findings: Findings,
    quantity: str,
    what: str,
    published: tuple[float, float],
    ours: tuple[float, float | None],
) -> Comparison:
    """With what it is of, which experiment shows why it differs, and the cost of the `day` profile where none does."""
    shown = experiments.reason(findings, data.system.name, data.activation, quantity, ours, published)
    cost = sizing.core_hours(DAY)[data.system.name, data.activation] if sizes is not DAY else 0.0
    return Comparison(
        where, data.title, what, published[0], *ours, published[1], why_not(data, sizes), sample=sample_of(data, sizes),
        shown=shown, core_hours=cost, telling=experiments.TELLING[quantity],
    )  # fmt: skip


def sample_of(data: DataSet, sizes: Sizes) -> str:
    """Which simulations a number is of, in few words."""
    particles = data.activities[0].configuration.sizes["particle"]
    if data.activation == "mechanical":
        return f"{sizes.mechanical[data.system.name].realisations} glasses of {particles}"
    plan = sizes.thermal[data.system.name]
    kept_one = ", kept sample" if plan.kept else ""
    return f"{plan.starts} x {particles}, lag {plan.lag:g}, {plan.replicas} runs{kept_one}"


def _compare(found: DataSet, studies: Mapping[float, Study], sizes: Sizes, findings: Findings, report: Report) -> None:
    title, published = found.title, found.system.accuracies[found.activation]
    main = studies[RADII[found.activation]]
    borders = main.borders
    enough = "2-body" if found.system.mixture else "3-body"
    for quantity, what, expected, n in (
        ("first", "the first feature alone", published.first, 1),
        ("ten", "the first ten features", published.ten, 10),
        ("A-A", "all radial features of A-A", published.same, borders["A-A"]),
        ("best", f"all {enough} features", published.best, borders[enough]),
    ):
        if expected is not None:
            ours = main.accuracy.at(n)
            report.compare(
                _comparison("Fig. 3", found, sizes, findings, quantity, f"accuracy, {what} ({n})", expected, ours)
            )
    if published.first is not None and found.activation == "thermal":
        ours = studies[RADII["thermal"]].accuracy.at(1)
        what = "accuracy, the first feature alone"
        report.compare(_comparison("Fig. 4", found, sizes, findings, "first", what, (0.74, 0.005), ours))
    scores = {r: study.accuracy.at(borders[enough]) for r, study in studies.items()}
    listed = ", ".join(f"{r:g}: {value:.3f} ± {error:.3f}" for r, (value, error) in scores.items())
    report.notes.append(
        f"{title}: accuracy with all {enough} features by r_cut: {listed} "
        f"(the paper: saturates at {RADII[found.activation]:g})."
    )
    if found.system.mixture:
        same, error = main.accuracy.at(borders["A-A"])
        both, error_both = main.accuracy.at(borders["2-body"])
        begun, error_begun = main.accuracy.at(borders["A-A"] + 1)
        report.notes.append(
            f"{title}: accuracy with A neighbours alone {same:.3f} ± {error:.3f}, with the first feature of B "
            f"neighbours {begun:.3f} ± {error_begun:.3f}, with all of them {both:.3f} ± {error_both:.3f}."
        )
    radial, radial_error = main.accuracy.at(borders["2-body"])
    report.notes.append(
        f"{title}: a linear support vector machine on all radial features {main.machine[0]:.3f} ± "
        f"{main.machine[1]:.3f}, logistic regression {radial:.3f} ± {radial_error:.3f} (the paper: nearly identical)."
    )


def _order_of_systems(activation: str, data: Mapping[str, DataSet], studies: Studies, report: Report) -> None:
    best = {}
    for title, found in data.items():
        main = studies[title][RADII[activation]]
        enough = "2-body" if found.system.mixture else "3-body"
        best[found.system.title] = main.accuracy.at(main.borders[enough])
    ordered = sorted(best, key=lambda name: -best[name][0])
    listed = " > ".join(f"{name} {best[name][0]:.3f} ± {best[name][1]:.3f}" for name in ordered)
    expected = " (the paper: Wahnström > Kob-Andersen > polymer)" if activation == "thermal" else ""
    report.notes.append(f"{activation}, order of the systems: {listed}{expected}.")


def selection(data: Mapping[str, DataSet], studies: Studies, report: Report) -> None:
    """Figs. 5 and 6: which features come first, and how much data they need."""
    path = report.figure("fig5_selection", "Fig. 5: accuracy in the selected, the standard and the PCA order.")
    figures.orders({title: studies[title][RADII[found.activation]].orders for title, found in data.items()}, path)
    path = report.figure("fig6_learning", "Fig. 6: learning curves, on configurations left out and on those learned.")
    figures.learning({title: studies[title][RADII[found.activation]].learning for title, found in data.items()}, path)
    rows = []
    for title, found in data.items():
        main = studies[title][RADII[found.activation]]
        published = found.system.accuracies[found.activation].selected
        rows.append([title, ", ".join(published), ", ".join(main.selected), ", ".join(main.radial_selected)])
    header = ["data set", "published, first", "ours, of 2- and 3-body features", "ours, of radial features"]
    report.tables.append(("Fig. 5: features selected first", header, rows))
    report.notes.append(
        "Fig. 5: the names are those selected by the cross-validated accuracy of the classifier, as in the paper, from "
        "all rows; for the curves each next feature is the one that lowers the error of least squares to the labels "
        "most, in the training configurations of each fold, which costs far less."
    )


def about(sizes: Sizes, profile: str) -> str:
    """What was done, and where it departs from the paper, in words."""
    text = (
        "J. Rottler and C. Ortner, Analysis of local structure of mechanical and thermal rearrangements in glasses "
        f"with the atomic cluster expansion (2024); profile {profile}. Lennard-Jones mixtures are smoothed between 2.2 "
        f"and 2.5 as in the paper. D2min is summed over the neighbours within {RADIUS['thermal']:g} in liquids and "
        f"{RADIUS['mechanical']:g} in shear, radii that the paper does not give. In the liquids its reference is the "
        "inherent structure of the initial configuration. In shear it is that of single events, each particle's "
        "largest in a window of 1 % strain; descriptors are those at the "
        f"beginning of the window, and what comes after an avalanche (more than {AVALANCHE:.0%} of the particles "
        f"active) is left out. The penalty of logistic regression is "
        f"the best of C = {', '.join(f'{c:g}' for c in PENALTIES)} (features in units of their deviations) among the "
        "configurations that are learned from."
    )
    if profile == "small":
        text += (
            " The liquids are the configurations that are shipped, at their temperatures (Kob-Andersen 0.45, the paper "
            "0.44), brought to the paper's potentials for a short time; motion is measured over a small fraction of "
            "tau_alpha, since the whole of it is hours of one core. Glasses are quenched faster, and strained in "
            "larger steps before and after 10 %, through several windows each."
        )
    if profile == "day":
        text += (
            " The Kob-Andersen liquid is a public sample near tau_alpha that is kept beside the pipelines; the others "
            "start from the configurations that are shipped. Glasses are smaller than the paper's, and strained in "
            "larger steps before 10 %."
        )
    return text


def settings(sizes: Sizes, report: Report) -> None:
    """Sizes, seeds and what they cost, and what each claim needs."""
    hours = sizing.core_hours(sizes)
    for name, thermal in sizes.thermal.items():
        seeds = "none: kept sample" if thermal.kept else f"seeds 0 to {thermal.starts - 1}"
        report.settings[f"{SYSTEMS[name].title}, thermal"] = (
            f"{thermal.starts} starts x {thermal.replicas} runs over {thermal.lag:g} at T = {thermal.temperature:g}; "
            f"{seeds}; about {hours[name, 'thermal']:.2g} core-hours"
        )
    for name, glass in sizes.mechanical.items():
        report.settings[f"{SYSTEMS[name].title}, mechanical"] = (
            f"{glass.realisations} glasses of {glass.particles}, quenched within {glass.quench:g}, strain steps of "
            f"{glass.first:g} to 10 %, then of {glass.increment:g} through {glass.windows} x 1 %; seeds 1000 to "
            f"{999 + glass.realisations}; about {hours[name, 'mechanical']:.2g} core-hours"
        )
    rows = [
        [
            need.system,
            need.claim,
            f"{need.wanted:.3f}",
            str(need.configurations),
            str(need.planned),
            f"{need.error:.3f}",
        ]
        for need in sizing.needs(sizes)
    ]
    header = ["system", "claim", "error wanted", "configurations for it", "planned", "error expected"]
    report.tables.append(("What the thermal claims need", header, rows))


def why(found: Findings, mains: Mapping[tuple[str, str], str], report: Report) -> None:
    """The experiments: numbers as a table and a CSV file, trends as a figure, what is selected first."""
    if not found.numbers:
        return
    plotting.write_table(report.folder / "experiments.csv", experiments.table(found))
    few_runs(found, mains, report)
    for name, activation in dict.fromkeys((f.system, f.activation) for f in found.numbers):
        title = f"{SYSTEMS[name].title}, {activation}"
        path = report.figure(
            f"experiments_{activation}_{name}",
            f"{title}: accuracies against what is varied, dotted the published ones. All: experiments.csv.",
        )
        panels: dict[str, dict[str, list[Finding]]] = {}
        main = mains[name, activation]
        runs = experiments.of_runs(found.of(name, activation, "who moved", "best"))
        longest = max(runs, key=lambda measured: len(runs[measured]), default="")
        numbers_of_runs = {f.value: number for number, f in runs.get(longest, [])}
        for label, varied, pick in (
            (f"runs averaged over ({longest})", "who moved", lambda value, of=numbers_of_runs: of.get(value, "")),
            ("time", "who moved", lambda value, main=main: _time(value, main)),
            ("radius of D2min", "who moved", lambda value, main=main: _radius(value, main)),
            ("r_cut", "r_cut", lambda value: value),
            ("fraction of each kind", "fraction", lambda value: value),
            ("threshold of D2min", "threshold", lambda value: value),
            ("configurations", "configurations", lambda value: value),
        ):
            for quantity in ("A-A", "A-A and B1", "best"):
                some = [
                    replace(f, value=pick(f.value))
                    for f in found.of(name, activation, varied, quantity)
                    if pick(f.value)
                ]
                some.sort(key=lambda f: float("inf") if f.value == "all" else float(f.value))
                if len(some) > 1:
                    panels.setdefault(label, {})[quantity] = some
        figures.trends(panels, path)
        rows = []
        for (varied, value), group in _by_experiment(found, name, activation).items():
            numbers = {f.quantity: f"{f.ours:.3f} ± {f.error:.3f}" for f in group}
            first = found.selected.get((name, activation, varied, value), [])
            rows.append(
                [varied, value, str(group[0].rows), *[numbers.get(q, "") for q in QUANTITIES],
                 ", ".join(f"{feature} ({score:.3f})" for feature, score in first)]
            )  # fmt: skip
        published = {
            f.quantity: f
            for f in found.numbers
            if f.published is not None and (f.system, f.activation) == (name, activation)
        }
        paper = [
            f"{published[q].published:g} ± {published[q].rounding:g}" if q in published else "" for q in QUANTITIES
        ]
        names = ", ".join(SYSTEMS[name].accuracies[activation].selected)
        rows.insert(0, ["published", "", "", *paper, names])
        header = ["varied", "value", "rows", *QUANTITIES, "selected first (accuracy with it)"]
        report.tables.append((f"Experiments: {title}", header, rows))


def few_runs(found: Findings, mains: Mapping[tuple[str, str], str], report: Report) -> None:
    """What the mean over few runs costs, from the sample of which many are known."""
    known = found.of("kob_andersen", "thermal", "who moved", "best")
    one = [f for f in known if f.value == kept.one_run(mains.get(("kob_andersen", "thermal"), ""))]
    every = [f for f in known if f.value == mains.get(("kob_andersen", "thermal"))]
    few = [SYSTEMS[name].title for (name, _), main in mains.items() if " run" in main]
    if one and every and few:
        report.notes.append(
            f"Of {', '.join(few)} so far few runs of each configuration are known. In the Kob-Andersen sample the "
            f"highest accuracy is {one[0].ours:.3f} ± {one[0].error:.3f} with one run of each and {every[0].ours:.3f} "
            f"± {every[0].error:.3f} with all 32, that of A-A features alone hardly changes: the highest accuracies of "
            "few runs are lower bounds, and those of A-A features alone are not."
        )


QUANTITIES = ("first", "A-A", "A-A and B1", "best", "ten", "R")


def _time(value: str, main: str) -> str:
    """The time of a reading that is otherwise the main one."""
    parts, mains = value.split(", "), main.split(", ")
    timed = parts[0].startswith("lag ") and parts[1:] == mains[1:]
    return parts[0].removeprefix("lag ") if timed else ""


def _radius(value: str, main: str) -> str:
    """The radius of D2min in a reading that is otherwise the main one."""
    parts, mains = value.split(", "), main.split(", ")
    if len(parts) != len(mains):
        return ""
    # in shear there is no time before it
    differ = [part for part, other in zip(parts, mains) if part != other] or [m for m in mains if m.startswith("D2min")]
    alike = len(differ) == 1 and differ[0].startswith("D2min") and "neighbour" not in differ[0]
    return differ[0].removeprefix("D2min ") if alike else ""


def _by_experiment(found: Findings, name: str, activation: str) -> dict[tuple[str, str], list[Finding]]:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for f in found.numbers:
        if (f.system, f.activation) == (name, activation):
            groups.setdefault((f.varied, f.value), []).append(f)
    return groups


def from_experiments(found: Findings, mains: Mapping[tuple[str, str], str], report: Report) -> None:
    """All published numbers where only the experiments were done: those of the kept samples, the others undecided."""
    hours = sizing.core_hours(DAY)
    for (name, activation), cost in hours.items():
        system = SYSTEMS[name]
        published = system.accuracies[activation]
        wanted = {"first": published.first, "ten": published.ten, "A-A": published.same, "best": published.best}
        if activation == "thermal":
            wanted["R"] = (PROPENSITY, 0.005)
        main = mains.get((name, activation))
        known = {f.quantity: f for f in found.numbers if (f.system, f.activation, f.value) == (name, activation, main)}
        density = _shipped_density(system) if system is POLYMER and activation == "thermal" else None
        if density:
            report.compare(
                Comparison("Methods", f"{system.title}, {activation}", DENSITY, POLYMER.density, *density, 0.005,
                           sample="configurations that are shipped")
            )  # fmt: skip
        numbers = [("Methods" if q == "R" else "Fig. 3", q, value) for q, value in wanted.items() if value is not None]
        if published.first is not None and activation == "thermal":
            numbers.insert(1, ("Fig. 4", "first", (0.74, 0.005)))
        for where, quantity, value in numbers:
            mine = known.get(quantity)
            report.compare(
                Comparison(
                    where, f"{system.title}, {activation}", WORDS[quantity], value[0],
                    mine.ours if mine else float("nan"), mine.error if mine else None, value[1],
                    "" if mine else "not simulated here",
                    sample=f"kept sample, {main}" if mine else "",
                    shown=experiments.reason(found, name, activation, quantity, (mine.ours, mine.error), value)
                    if mine
                    else "",
                    core_hours=cost, telling=experiments.TELLING[quantity],
                )
            )  # fmt: skip


def _shipped_density(system: System) -> tuple[float, float | None]:
    with np.load(system.configurations) as file:
        density = file["position"].shape[1] / np.prod(file["box"], axis=1)
    return float(density.mean()), _standard_error(density.tolist())


DENSITY = "density at T = 0.47, p = 1"
WORDS = {
    "first": "accuracy, the first feature alone",
    "ten": "accuracy, the first ten features",
    "A-A": "accuracy, all radial features of A-A",
    "best": "the highest accuracy",
    "R": "R of D2min with the propensity",
}
