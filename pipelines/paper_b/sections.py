"""What the paper shows, figure by figure, and how our numbers compare."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from report import Comparison, Report

import glassdask as gd
from paper_b import figures
from paper_b.activity import AVALANCHE, RADIUS, DataSet
from paper_b.classify import PENALTIES, Study
from paper_b.published import ACTIVATIONS, POLYMER, PROPENSITY, RADII
from paper_b.sources import Mechanical, Sizes, Thermal

Studies = Mapping[str, Mapping[float, Study]]  # by title of the data set and cutoff


def methods(data: Mapping[str, DataSet], sizes: Sizes, report: Report) -> None:
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
            why = why_not(found, sizes)
            report.compare(
                Comparison("Methods", title, "R of D2min with the propensity", PROPENSITY, float(np.mean(r)),
                           _standard_error(r), 0.005, why)
            )  # fmt: skip
        if found.activation == "thermal" and found.system is POLYMER:
            density = [
                a.configuration.sizes["particle"] / np.linalg.det(a.configuration["box"].values[0])
                for a in found.activities
            ]
            report.compare(
                Comparison("Methods", title, "density at T = 0.47, p = 1", POLYMER.density, float(np.mean(density)),
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


def accuracies(data: Mapping[str, DataSet], studies: Studies, sizes: Sizes, report: Report) -> None:
    """Figs. 3, 4 and 7, and the accuracies that the text gives."""
    borders = {title: next(iter(found.values())).borders for title, found in studies.items()}
    labels = {title: {f"$r_\\mathrm{{cut}} = {r:g}$": r for r in found} for title, found in studies.items()}
    path = report.figure("fig3_accuracy", "Fig. 3: accuracy against the number of features in body order.")
    curves = {t: {name: studies[t][r].accuracy for name, r in some.items()} for t, some in labels.items()}
    figures.against_features(curves, borders, path, label="accuracy")
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
        _compare(found, studies[title], sizes, report)
    for activation in ACTIVATIONS:
        some = {t: found for t, found in data.items() if found.activation == activation}
        if some:
            _order_of_systems(activation, some, studies, report)


def _compare(found: DataSet, studies: Mapping[float, Study], sizes: Sizes, report: Report) -> None:
    title, published = found.title, found.system.accuracies[found.activation]
    main = studies[RADII[found.activation]]
    borders, why = main.borders, why_not(found, sizes)
    enough = "2-body" if found.system.mixture else "3-body"
    for quantity, expected, n in (
        ("the first feature alone", published.first, 1),
        ("the first ten features", published.ten, 10),
        ("all radial features of A-A", published.same, borders["A-A"]),
        (f"all {enough} features", published.best, borders[enough]),
    ):
        if expected is not None:
            value, error = main.accuracy.at(n)
            what = f"accuracy, {quantity} ({n})"
            report.compare(Comparison("Fig. 3", title, what, expected[0], value, error, expected[1], why))
    if published.first is not None and found.activation == "thermal":
        value, error = studies[RADII["thermal"]].accuracy.at(1)
        report.compare(Comparison("Fig. 4", title, "accuracy, the first feature alone", 0.74, value, error, 0.005, why))
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
        "Fig. 5: the paper selects by the cross-validated accuracy of the classifier; here each next feature is the "
        "one that lowers the error of least squares to the labels most, in the training configurations of each fold."
    )


def about(sizes: Sizes, profile: str) -> str:
    """What was done, and where it departs from the paper, in words."""
    text = (
        "J. Rottler and C. Ortner, Analysis of local structure of mechanical and thermal rearrangements in glasses "
        f"with the atomic cluster expansion (2024); profile {profile}. Lennard-Jones mixtures are smoothed between 2.2 "
        f"and 2.5 as in the paper. D2min is summed over the neighbours within {RADIUS:g}, a radius that the paper does "
        "not give. In the liquids its reference is the inherent structure of the initial configuration. In shear it is "
        "that of single events, each particle's largest in a window of 1 % strain; descriptors are those at the "
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
    return text
