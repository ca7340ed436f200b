"""The sections of the paper, one function each: what is computed, drawn and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from report import Comparison, Report, plain

import glassdask as gd
from glassdask import plotting
from paper_a import dynamics, figures, kept, planning, reduction
from paper_a.published import Directions
from paper_a.sources import DAY, Sizes
from paper_a.structure import Shell, State, correlations, modality, spectrum, with_longer_cutoffs

SMALLER = "our sample is smaller and prepared in another way"
DEGENERATE = "two directions of nearly equal variance mix; the plane that they span is what is determined"
SHELL = "the first minima of our g_ab(r) and the potential's truncation are not those of the paper"
PENALTY = (
    "the loss contains 1e-5 sum w^2: 0.00034 of the starting weights, which decay by a tenth only with the paper's "
    "units; ours train on features in units of their spread and decay further"
)


def first_shells(shells: list[Shell], report: Report) -> None:
    """Secs. III.A-C, App. B: Figs. 1-6, 15 and 16, Tables II and III."""
    small = {shell.state.title: shell for shell in shells if shell.role == "small"}
    big = {shell.state.title: shell for shell in shells if shell.role == "big"}
    for shell in small.values():
        if "l" in shell.measures:
            name = f"fig01_{shell.state.mixture.name}"
            path = report.figure(name, f"Fig. 1, {plain(shell.state.title)}: overview of the PCA of SBO.")
            lfs = np.full(shell.is_center.shape, np.nan) * np.ones((shell.state.trajectory.sizes["frame"], 1))
            lfs[:, shell.is_center] = shell.measures["l"].reshape(len(lfs), -1)
            figures.overview(shell.reduction(), lfs, path)
    _maps(small, "sbo", "fig02_smoothed", "Fig. 2: p(X1, X2) and p(X1) of SBO, small particles.", report)
    _maps(small, "bo", "fig03_sharp", "Fig. 3: the same of the sharp descriptor BO.", report)
    path = report.figure("fig04_bands", "Fig. 4: components of BO coloured by the coordination number.")
    figures.bands({title: (s.components("bo"), s.measures["z"]) for title, s in small.items()}, path)

    spectra = {shell: spectrum(shell.rows("sbo"), shell.groups) for shell in (*small.values(), *big.values())}
    path = report.figure("fig05_components", "Fig. 5: EVR of the components of SBO and their R with l, Theta, z, u.")
    tables = _measures(small, spectra, path)
    _individual(small, report)
    if big:
        _maps(big, "sbo", "fig15_big", "Fig. 15: p(X1, X2) and p(X1) of SBO, big particles.", report)
        path = report.figure("fig16_big_components", "Fig. 16: as Fig. 5, big particles.")
        _measures(big, spectra, path)
    for number, group in ((2, small), (3, big)):
        columns: dict[str, Any] = {"quantity": ["EVR", *(f"Q_{l}" for l in range(1, 9))]}
        for shell in group.values():
            published = shell.state.mixture.small if number == 2 else shell.state.mixture.big
            if published is not None:
                columns |= _directions(shell, spectra[shell], published, number, report)
        if len(columns) > 1:
            plotting.write_table(report.folder / f"table{number}.csv", columns)
            header = [name.replace("_", " ") for name in columns]
            cells = [[c if isinstance(c, str) else f"{c:+.3f}" for c in row] for row in zip(*columns.values())]
            report.tables.append((f"Table {'I' * number}", header, cells))
    for title, shell in small.items():
        names, r = tables[title].names, tables[title].r
        strongest = {name: int(np.nanargmax(np.abs(r[:, j]))) for j, name in enumerate(names)}
        report.notes.append(
            f"{plain(title)}, Fig. 5: largest |R| with "
            + ", ".join(f"{name} {abs(r[k, names.index(name)]):.2f} (PC{k + 1})" for name, k in strongest.items())
            + ". The paper's tables are printed as an image only, so there are no numbers to set beside these."
        )
        cross = np.abs(gd.learning.pearson(*[np.stack(list(shell.measures.values()), axis=1)] * 2))
        first, second = np.triu_indices(len(names), 1)
        pairs = cross[first, second]
        for which, k in (("smallest", np.argmin(pairs)), ("largest", np.argmax(pairs))):
            quantity, why = f"{which} |R| among l, Theta, z, u", f"{names[first[k]]} with {names[second[k]]}"
            report.compare(Comparison("Sec. III.C", title, quantity, "0.2-0.6", pairs[k], why=why, digits=2))


def _maps(shells: dict[str, Shell], name: str, figure: str, caption: str, report: Report) -> None:
    path = report.figure(figure, caption)
    figures.densities({title: shell.components(name) for title, shell in shells.items()}, path)


def _measures(shells: dict[str, Shell], spectra: dict[Shell, Any], path: Path) -> dict[str, Any]:
    found = {title: correlations(shell.components(), shell) for title, shell in shells.items()}
    panels = {t: (spectra[s].ratio, spectra[s].ratio_error, found[t]) for t, s in shells.items()}
    tables = {t: s.state.mixture.small if s.role == "small" else s.state.mixture.big for t, s in shells.items()}
    figures.measures(panels, path, published={t: table.ratio for t, table in tables.items() if table is not None})
    return found


def _individual(shells: dict[str, Shell], report: Report) -> None:
    path = report.figure(
        "fig06_individual", "Fig. 6: standard deviation of every Q_l of SBO and its R with l, Theta, z, u."
    )
    panels = {}
    for title, shell in shells.items():
        rows = shell.rows("sbo")
        parts = gd.learning.grouped_moments(rows, groups=shell.groups)
        deviation, error = gd.learning.bootstrap(lambda m: m.x_scale, parts)
        panels[title] = (deviation, error, correlations(rows, shell))
    figures.measures(panels, path, individual=True)


def _directions(shell: Shell, ours: Any, published: Directions, number: int, report: Report) -> dict[str, Any]:
    """Table II or III: columns of the table, and the comparisons of EVR, directions and plane."""
    where, title = f"Table {'I' * number}", shell.state.title
    theirs = np.array(published.directions)
    signs = np.sign(np.sum(ours.directions[:2] * theirs, axis=1))  # the sign of a direction means nothing
    cosines = np.abs(np.sum(ours.directions[:2] * theirs, axis=1)) / np.linalg.norm(theirs, axis=1)
    plane = gd.learning.principal_cosines(ours.directions[:2], theirs).min()
    gap = ours.ratio[0] - ours.ratio[1]
    near = gap < 5 * np.hypot(*ours.ratio_error[:2]) or gap < 0.1
    longer = with_longer_cutoffs(shell) - ours.ratio
    columns: dict[str, Any] = {}
    for k in range(2):
        report.compare(
            Comparison(where, title, f"EVR of PC{k + 1}", published.ratio[k], ours.ratio[k], ours.ratio_error[k], 0.005,
                       f"{SMALLER}; cutoffs 2 % longer change it by {longer[k]:+.3f}"),
            Comparison(where, title, f"|cos| of V({k + 1})", 1.0, cosines[k],
                       _cosine_error(ours, theirs, k), 0.003, DEGENERATE if near else SHELL),
        )  # fmt: skip
        name = shell.state.mixture.name
        columns[f"{name}_pc{k + 1}"] = [ours.ratio[k], *(signs[k] * ours.directions[k])]
        columns[f"{name}_pc{k + 1}_error"] = [ours.ratio_error[k], *ours.directions_error[k]]
        columns[f"{name}_pc{k + 1}_published"] = [published.ratio[k], *theirs[k]]
        if number == 2 and shell.state.mixture.text_ratio is not None:
            quantity, expected = f"EVR of PC{k + 1}, as in the text", shell.state.mixture.text_ratio[k]
            report.compare(
                Comparison("Sec. III", title, quantity, expected, ours.ratio[k], ours.ratio_error[k], 0.005,
                           "the text and Table II of the paper differ" if expected != published.ratio[k] else SMALLER)
            )  # fmt: skip
    report.compare(
        Comparison(where, title, "least cosine between the planes of V(1), V(2)", 1.0, plane, None, 0.01, SHELL)
    )
    return columns


def _cosine_error(ours: Any, theirs: np.ndarray, k: int) -> float:
    """How far |cos| may fall below 1 by the errors of the direction alone: half of their squared length."""
    return 0.5 * float(np.sum(ours.directions_error[k] ** 2))


def fine_structure(shells: list[Shell], report: Report, sizes: Sizes) -> None:
    """Sec. III.D: SOAP of the Wahnström and Kob-Andersen mixtures, Figs. 7-9."""
    chosen = {s.state.title: s for s in shells if s.role == "small" and s.state.mixture.highest_r is not None}
    if not chosen:
        return
    rows = {title: reduction.soap_rows(shell) for title, shell in chosen.items()}
    path = report.figure("fig07_soap", "Fig. 7: p(X1, X2) and p(X1) of SOAP (n 6, l 8, r_cut 1.6, sigma 0.2), scaled.")
    figures.densities({title: reduction.scaled_components(x) for title, x in rows.items()}, path)
    path = report.figure("fig07_soap_directions", "First direction of SOAP: weights of l against n and n'.")
    figures.directions({title: reduction.soap_direction(chosen[title], x) for title, x in rows.items()}, path)
    path = report.figure("fig08_soap_spectrum", "Fig. 8: EVR of the first 60 components of SOAP.")
    found = {t: spectrum(x, chosen[t].groups, scale=True, kept=60) for t, x in rows.items()}
    figures.spectra({title: (s.ratio, s.ratio_error) for title, s in found.items()}, path)
    for title, x in rows.items():
        report.compare(Comparison("Sec. IV.C", title, "features of SOAP, first shell", 189, x.shape[1], digits=0))
    path = report.figure("fig09_soap_parameters", "Fig. 9: |R| of X1 of SOAP with that of sigma = 0.2, r_cut = 1.6.")
    sigmas, radii = np.array(sizes.sigmas), np.array(sizes.radii)
    stable = {title: reduction.soap_stability(s, sizes.sigmas, sizes.radii) for title, s in chosen.items()}
    figures.stability(stable, sigmas, radii, path)
    for title, r in stable.items():
        report.notes.append(
            f"{plain(title)}, Fig. 9: |R| of X1 over the other parameters from {r.min():.2f} to "
            f"{np.sort(r.ravel())[-2]:.2f}, median {np.median(r):.2f} "
            "(the paper: rather stable in Wahnström, erratic in Kob-Andersen)."
        )


def structure_and_dynamics(states: list[State], ensembles: dict[str, list[Path]], report: Report) -> None:
    """Sec. IV: Figs. 10-12."""
    panels: dict[str, dict[str, Any]] = {"fig10": {}, "fig11": {}, "fig12": {}}
    for role, symbol in (("small", "B"), ("big", "A")):
        for state in states:
            if state.mixture.name not in ensembles or role not in state.mixture.centers:
                continue
            ensemble = dynamics.Ensembles.open(state, ensembles[state.mixture.name])
            curves = _curves(state, ensemble, role, report)
            title = f"{state.mixture.title}, $|R_{symbol}|$"
            for figure, found in curves.items():
                panels[figure][title] = (ensemble.lag, found, state.mixture.relaxation)
    captions = {
        "fig10": (
            "fig10_components",
            "Fig. 10: |R| of the PCs of SBO with the propensity, "
            "and that of PC1 divided by the square root of the share of its variance that is not noise.",
        ),
        "fig11": ("fig11_regression", "Fig. 11: R of least squares on SBO, on two PCs of SBO, and on z, l, Theta, u."),
        "fig12": ("fig12_shells", "Fig. 12: R of least squares on SOAP and RBO, one shell and two."),
    }
    dotted = " Dotted: predictions for starts that the fit has not seen."
    for figure, (name, caption) in captions.items():
        if panels[figure]:
            path = report.figure(name, caption + ("" if figure == "fig10" else dotted))
            largest = {f"{state.mixture.title}, $|R_B|$": state.mixture.highest_r for state in states}
            largest = {title: r for title, r in largest.items() if r is not None and figure == "fig10"}
            figures.against_time(panels[figure], path, published=largest)


def _longer(state: State, role: str) -> tuple[dynamics.Ensembles, np.ndarray, np.ndarray, np.ndarray] | None:
    """Other ensembles that are kept, up to a relaxation time: |R| and errors of the PCs, |R| of PC1 without noise."""
    file = kept.file_of(state.mixture.name, relaxed=True)
    if not file.exists():
        return None
    ensemble = dynamics.Ensembles.open(state, [file])
    components = dynamics.components(ensemble, role, Shell(state, role).reduction())
    r, error = dynamics.component_correlations(components, ensemble.targets(role), ensemble.groups(role))
    return ensemble, r, error, r[0] / np.sqrt(ensemble.split_half(role))


def _curves(state: State, ensemble: dynamics.Ensembles, role: str, report: Report) -> dict[str, dict[str, Any]]:
    """Curves of the three figures for one species, and what is printed about them."""
    found = dynamics.structure(ensemble, role)
    targets, groups = ensemble.targets(role), ensemble.groups(role)
    columns = dynamics.components(ensemble, role, Shell(state, role).reduction())
    r, error = dynamics.component_correlations(columns, targets, groups)
    fits = {
        "SBO": dynamics.regress(found.sbo, targets, groups),
        "PCR": dynamics.regress(found.sbo, targets, groups, gd.learning.PrincipalComponentRegression(2)),
        "physical": dynamics.regress(found.physical, targets, groups),
        "SOAP, 1": dynamics.regress(found.soap[0], targets, groups),
        "SOAP, 2": dynamics.regress(found.soap[1], targets, groups),
        "RBO, 1": dynamics.regress(found.rbo[0], targets, groups),
        "RBO, 2": dynamics.regress(found.rbo[1], targets, groups),
    }

    def pair(names: tuple[str, ...]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        seen = {name: (fits[name].r, fits[name].error) for name in names}
        return seen | {f"{name}, held out": (fits[name].held_out, fits[name].held_out_error) for name in names}

    _compare_dynamics(state, ensemble, role, r, error, fits, report)
    components = {f"PC$_{{{j + 1}}}$": (r[j], error[j]) for j in range(len(r))}
    share = ensemble.split_half(role)
    if (share > 0).all():
        components["PC$_{1}$, without noise"] = (r[0] / np.sqrt(share), error[0] / np.sqrt(share))
    return {
        "fig10": components,
        "fig11": pair(("SBO", "PCR", "physical")),
        "fig12": pair(("SOAP, 1", "SOAP, 2", "RBO, 1", "RBO, 2")),
    }


def _compare_dynamics(state, ensemble, role, r, error, fits, report: Report) -> None:
    title = f"{state.title}, {role}"
    best = int(np.argmax(r[0]))
    noise, halves = ensemble.reliability(role), ensemble.split_half(role)
    known = bool(np.isfinite(halves).all() and (halves > 0).all())
    if known:
        table = [[f"{t:g}", f"{x:.3f} ± {e:.3f}", f"{share:.2f}", f"{half:.2f}", f"{x / np.sqrt(half):.3f}"]
                 for t, x, e, share, half in zip(ensemble.lag, r[0], error[0], noise, halves)]  # fmt: skip
        header = ["lag", "|R| of PC1", "share not noise, from the spread of replicas", "from halves of them",
                  "|R| without noise"]  # fmt: skip
        report.tables.append((f"Propensity, {plain(title)}: what is not noise", header, table))
    later = _longer(state, role) if ensemble.origin else None
    if later:
        longer, r_later, error_later, clean_later = later
        report.notes += [
            f"{plain(title)}, Fig. 10, other runs: |R| of PC1 {r_later[0, k]:.3f} ± {error_later[0, k]:.3f} at t = "
            f"{t:g}, {clean_later[k]:.3f} without noise, the largest of the other PCs {r_later[1:, k].max():.3f}; "
            f"{longer.title}."
            for k, t in enumerate(longer.lag)
        ]
    if role == "small":
        published = state.mixture.highest_r
        clean = r[0] / np.sqrt(halves) if known else np.full_like(r[0], np.nan)
        why = f"lags to {ensemble.lag[-1]:g}"
        shown = ""
        if known:
            peak = int(np.argmax(clean))
            why += f"; at t = {ensemble.lag[best]:g} {halves[best]:.0%} of the variance is not noise"
            shown = (
                f"taking the noise of {ensemble.runs * len(ensemble.replicas[0])} replicas out gives {clean[best]:.2f}"
            )
            shown = shown if abs(clean[best] - published) < abs(r[0, best] - published) else ""
        hours, starts = 0.0, DAY.starts.get(state.mixture.name, 0)
        if len(ensemble.lag) == 1:  # which says nothing of the largest of all lags
            why, shown = f"{why}, the only one", ""
        if len(ensemble.lag) == 1 or len(ensemble.starts) < starts:
            n, longest = state.trajectory.sizes["particle"], DAY.longest.get(state.mixture.name, 0.0)
            hours = planning.ensemble_hours(state.mixture, n, starts, DAY.replicas, longest)
        if known:
            towards = ""
            if later and abs(clean_later.max() - published) < abs(clean[peak] - published):
                at = int(np.argmax(clean_later))
                spread = error_later[0, at] * clean_later[at] / r_later[0, at]
                towards = f"over longer times it is {clean_later[at]:.2f} ± {spread:.2f}, at t = {longer.lag[at]:g}"
            report.compare(
                Comparison("Fig. 10, Sec. IV.A", title, "the same, noise taken out", published, clean[peak],
                           error[0, peak] / np.sqrt(halves[peak]), 0.02, f"largest at t = {ensemble.lag[peak]:g}",
                           sample=ensemble.title, shown=towards, core_hours=hours)
            )  # fmt: skip
        report.compare(
            Comparison("Fig. 10, Sec. IV.A", title, "largest |R| of PC1 with the propensity", published, r[0, best],
                       error[0, best], 0.02, why, sample=ensemble.title, shown=shown, core_hours=hours)
        )  # fmt: skip
        report.notes.append(
            f"{plain(title)}, Fig. 10: PC1 {r[0, best]:.2f} at t = {ensemble.lag[best]:g}, the largest of the other "
            f"PCs {r[1:, best].max():.2f}."
        )
    if role == "small":
        for name, published_n in (("SOAP, 1", 189), ("SOAP, 2", 324), ("RBO, 2", 104)):
            remark = (
                "the grid of the text, 0.9 to 2.2 in steps of 0.1, has 14 distances and not 13"
                if name == "RBO, 2"
                else ""
            )
            quantity = f"features of {name.replace(', ', ', shells: ')}"
            report.compare(
                Comparison("Sec. IV.C", title, quantity, published_n, fits[name].n_features, why=remark, digits=0)
            )
    k = int(np.argmax(fits["SBO"].held_out))
    rows = [
        [name, str(fit.n_features), f"{fit.r[k]:.2f} ± {fit.error[k]:.2f}",
         f"{fit.held_out[k]:.2f} ± {fit.held_out_error[k]:.2f}"]
        for name, fit in fits.items()
    ]  # fmt: skip
    header = ["features", "number", "R of the fit, as in the paper", "R of unseen starts"]
    report.tables.append((f"Figs. 11 and 12, {plain(title)}: at t = {ensemble.lag[k]:g}", header, rows))
    gain = fits["SOAP, 1"].r[k] - fits["SBO"].r[k]
    report.notes.append(
        f"{plain(title)}, Fig. 12: at t = {ensemble.lag[k]:g} the fit of SOAP has an R {gain:+.2f} above that of SBO; "
        f"on starts that it has not seen {fits['SOAP, 1'].held_out[k] - fits['SBO'].held_out[k]:+.2f}. With "
        f"{len(ensemble.groups(role))} particles for {fits['SOAP, 1'].n_features} features a part of the former is "
        "fitted noise; the paper has up to 100000."
    )


def autoencoder(shells: list[Shell], report: Report, sizes: Sizes, folder: Path | None = None) -> None:
    """Sec. V: Figs. 13 and 14, Table I."""
    columns: dict[str, list[Any]] = {}

    def add(**row: Any) -> None:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)

    for shell in shells:
        mixture = shell.state.mixture
        if mixture.autoencoder is None or shell.role not in mixture.autoencoder:
            continue
        published = mixture.autoencoder[shell.role]
        found = reduction.encode(shell.rows("sbo"), mixture.epochs, sizes.repeats, folder)
        title = f"{shell.state.title}, {shell.role}"
        mean, spread = found.r.mean(axis=0), found.r.std(axis=0, ddof=1)
        system = {"mixture": mixture.name, "species": shell.role}
        for i in range(2):
            for j in range(2):
                quantity = f"|R|(AE {i + 1}, PCA {j + 1})"
                report.compare(
                    Comparison("Table I", title, quantity, published.r[i][j], mean[i, j], spread[i, j],
                               published.r_error[i][j], "the rotation has steps of 5 degrees")
                )  # fmt: skip
                add(**system, quantity=quantity, ours=mean[i, j], error=spread[i, j],
                    published=published.r[i][j], published_error=published.r_error[i][j])  # fmt: skip
        own = spectrum(shell.rows("sbo"), shell.groups)
        pca_error = float(np.hypot(*own.ratio_error[:2]))
        longer = float((with_longer_cutoffs(shell) - own.ratio)[:2].sum())
        sample = f"{SMALLER}; cutoffs 2 % longer change it by {longer:+.3f}"
        evr, spread_evr = found.evr.mean(), found.evr.std(ddof=1)
        above = "the network bends, on few rows" if evr > found.evr_pca else "the penalty holds the weights down"
        for quantity, theirs, theirs_error, ours, error, why in (
            ("EVR of AE", published.evr, published.evr_error, evr, float(np.hypot(spread_evr, pca_error)), sample),
            ("EVR of PCA, two components", published.evr_pca, 0.0005, found.evr_pca, pca_error, sample),
            ("EVR of AE minus that of PCA", round(published.evr - published.evr_pca, 4), published.evr_error,
             evr - found.evr_pca, spread_evr, f"{above} ({found.epochs} epochs)"),
            ("validation loss", published.loss, published.loss_error, found.loss.mean(), found.loss.std(ddof=1),
             PENALTY),
        ):  # fmt: skip
            report.compare(Comparison("Table I", title, quantity, theirs, ours, error, theirs_error, why, digits=5))
            add(**system, quantity=quantity, ours=ours, error=error, published=theirs, published_error=theirs_error)
        if shell.role == "small":
            path = report.figure(f"fig13_{mixture.name}", f"Fig. 13, {plain(title)}: features of the best autoencoder.")
            figures.rotation(found.reduced, found.rotated, found.angle, path)
            path = report.figure(f"fig14_{mixture.name}", f"Fig. 14, {plain(title)}: PCA against the autoencoder.")
            figures.agreement(found.pca, found.rotated, found.best_r, path)
    if columns:
        plotting.write_table(report.folder / "table1.csv", columns)


def modes(shells: list[Shell], report: Report) -> None:
    """Secs. III.C, VI.B and VI.C: dip and folding tests and non-Gaussianity of every component."""
    columns: dict[str, list[Any]] = {}
    for shell in shells:
        mixture = shell.state.mixture
        found = modality(shell.components(), shell.groups)
        for j in range(len(found["dip"])):
            row = {"mixture": mixture.name, "T": shell.state.temperature, "species": shell.role, "descriptor": "sbo"}
            for name, value in {**row, "component": j + 1, **{k: v[j] for k, v in found.items()}}.items():
                columns.setdefault(name, []).append(value)
        if shell.role == "small":
            which = f"{shell.state.title}, {shell.role}"
            many = int((1 - found["p"][1:] > 0.95).sum())
            expected = "close to 1" if mixture.bimodal else "one mode"
            report.compare(
                Comparison("Sec. III.C", which, "dip test of X1, 1 - p", expected,
                           1 - found["p"][0], why=_dip_remark(found["p"][0], mixture.bimodal)),
                Comparison("Sec. III.C", which, "other components with more than one mode", 0, many, digits=0),
            )  # fmt: skip
        if shell.role == "small" and mixture.highest_r is not None:
            for number, grid in ((1, dynamics.FIRST_SHELL), (2, dynamics.TWO_SHELLS[6:])):
                p = reduction.radial_modality(shell, grid)["p"][0]
                bimodal = mixture.bimodal and number == 1
                quantity, expected = (
                    f"RBO, shell {number} alone: dip test of X1, 1 - p",
                    "two modes" if bimodal else "one mode",
                )
                report.compare(
                    Comparison("Sec. VI.C", shell.state.title, quantity, expected, 1 - p, why=_dip_remark(p, bimodal))
                )
    if columns:
        plotting.write_table(report.folder / "modality.csv", columns)


def _dip_remark(p: float, bimodal: bool) -> str:
    seen = p < 0.05
    if seen == bimodal:
        return "agrees"
    if bimodal:
        return "the second mode is a shoulder in our sample: the dip test asks for a minimum that is above its noise"
    return "two modes are significant here"


def temperatures(series: dict[str, list[Shell]], report: Report) -> None:
    """Sec. VI.B, "not shown" in the paper: EVR, variances, non-Gaussianity, and directions from one T at another."""
    series = {title: sorted(shells, key=lambda s: s.state.temperature) for title, shells in series.items()}
    series = {title: shells for title, shells in series.items() if len(shells) > 1}
    if not series:
        return
    path = report.figure("temperature", "Sec. VI.B: EVR, variances, skewness and excess kurtosis against temperature.")
    found = {title: reduction.with_temperature(shells) for title, shells in series.items()}
    figures.temperature(found, path)
    path = report.figure("transfer", "Sec. VI.B: directions of one temperature (rows) at another (columns).")
    figures.transfer({title: reduction.transfer(shells) for title, shells in series.items()}, path)
    for title, data in found.items():
        low, high = data["variance"][0, 0], data["variance"][-1, 0]
        report.notes.append(
            f"{plain(title)}, Sec. VI.B: from T = {data['T'][-1]:g} to {data['T'][0]:g} the EVR of PC1 goes from "
            f"{data['evr'][-1, 0]:.3f} to {data['evr'][0, 0]:.3f} and its variance by a factor of {low / high:.2f} "
            "(the paper: models with icosahedral order are structurally more fragile)."
        )
