"""Why numbers differ: what is suspected is varied, and the trend says whether it leads to the published value.

Each experiment is a figure with its numbers; a comparison that differs gets what was shown by it, or what a decision
would cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from report import Comparison, Report, draw_published, plain

import glassdask as gd
from glassdask import plotting
from paper_a import figures, planning, reduction
from paper_a.dynamics import Ensembles, component_correlations, components
from paper_a.structure import Shell, spectrum, with_longer_cutoffs

FACTORS = (0.94, 0.97, 0.985, 1.0, 1.015, 1.03, 1.06)
FLAT = 0.1  # above its minimum, as a part of the first peak: where g_ab(r) is that low, one may put the cutoff
REPEATS = 2  # of every way to train a network
READING = "features in units of their spread"  # ours
MIXING = 3.0  # errors within which a turn of two directions in their plane is noise


def plausible_factors(shell: Shell) -> tuple[float, float]:
    """Least and largest factor of all cutoffs at which g_ab(r) of every pair of the centre is still in its minimum."""
    ends = []
    for (a, b), cutoff in shell.state.cutoffs.items():
        other = shell.state.mixture.neighbor_species == "other"
        if shell.species not in (a, b) or (other and a == b):
            continue
        found = gd.first_shell(shell.state.distribution, a, b)
        g = shell.state.distribution["g"].sel(species_a=a, species_b=b).coarsen(r=5, boundary="trim").mean()
        high = (g > found.depth + FLAT * (found.height - found.depth)).values
        r = g["r"].values
        below, above = r[high & (r < cutoff)], r[high & (r > cutoff)]
        ends.append((below.max(initial=found.peak) / cutoff, above.min(initial=2 * cutoff) / cutoff))
    low, high = np.array(ends).T
    return float(low.max()), float(high.min())


def vary_cutoffs(shell: Shell, report: Report) -> Callable[[Comparison], str]:
    """EVR of the first two components when all cutoffs are longer or shorter."""
    low, high = plausible_factors(shell)
    factors = np.unique([*FACTORS, *np.linspace(low, high, 5).round(3)])
    inside = (factors >= low - 5e-4) & (factors <= high + 5e-4)
    ratio = np.array([with_longer_cutoffs(shell, factor)[:2] for factor in factors])
    title = f"{shell.state.title}, {shell.role} particles"
    name = f"why_cutoffs_{shell.state.mixture.name}_{shell.role}"
    path = report.figure(name, f"{plain(title)}: EVR against the cutoffs, in units of the first minima of our g_ab(r); "
                               "grey: where g_ab(r) is still in its minimum.")  # fmt: skip
    published = shell.state.mixture.small if shell.role == "small" else shell.state.mixture.big
    drawn, axes = plotting.figure(1, 2)
    for k, ax in enumerate(axes[0]):
        ax.plot(factors, ratio[:, k], "o-", color="black", markersize=3, linewidth=1, label="ours")
        ax.axvspan(low, high, color="0.9", zorder=0, label="minimum of $g_{ab}(r)$")
        if published is not None:
            draw_published(ax, published.ratio[k], 0.005, color=plotting.RED)
        ax.set(xlabel="cutoffs / first minima", ylabel=f"EVR of PC$_{k + 1}$")
        ax.legend(frameon=False, fontsize=7)
    drawn.suptitle(title, fontsize=10)
    plotting.save(drawn, path, {"factor": factors, "evr_1": ratio[:, 0], "evr_2": ratio[:, 1],
                                "in_minimum": inside.astype(int)})  # fmt: skip

    def shown(comparison: Comparison) -> str:
        both = ratio.sum(axis=1)
        # what the autoencoder has more than PCA it has for all cutoffs
        trained = both + comparison.ours - both[factors == 1.0]
        varied = {"EVR of PC1": ratio[:, 0], "EVR of PC2": ratio[:, 1], "EVR of PCA": both, "EVR of AE": trained}
        values = varied.get(comparison.quantity.partition(",")[0])
        if values is None:
            return ""
        reach = (values[inside].min(), values[inside].max())
        slack = 2 * float(np.hypot(comparison.error or 0.0, comparison.rounding))
        if not reach[0] - slack <= float(comparison.published) <= reach[1] + slack:
            return ""
        return f"{name}: cutoffs within the minimum of g_ab(r) give {reach[0]:.3f} to {reach[1]:.3f}"

    return shown


def mixing(shell: Shell) -> Callable[[Comparison], str]:
    """Whether V(1) and V(2) are the published ones but for a turn in their plane that is within its error."""
    published = shell.state.mixture.small if shell.role == "small" else shell.state.mixture.big
    assert published is not None
    theirs = np.array(published.directions)
    theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)

    def angle(directions: np.ndarray) -> float:
        signs = np.sign(np.sum(directions * theirs, axis=1, keepdims=True))
        (a, b), (c, d) = (signs * directions) @ theirs.T
        return float(np.arctan2(b - c, a + d))

    parts = gd.learning.grouped_moments(shell.rows("sbo"), groups=shell.groups)
    turned, error = gd.learning.bootstrap(
        lambda moments: np.array([angle(gd.learning.PCA(2).fit_moments(moments).components_)]), parts
    )
    theta, error = float(turned[0]), float(error[0])
    found = gd.learning.PCA(2).fit_moments(gd.learning.merge_moments(parts.values())).components_
    found = np.sign(np.sum(found * theirs, axis=1, keepdims=True)) * found
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    cosines = np.sum((turn @ found) * theirs, axis=1)

    def shown(comparison: Comparison) -> str:
        if "|cos|" not in comparison.quantity or cosines.min() < 0.98 or abs(theta) > MIXING * error:
            return ""
        return (
            f"turned by {np.degrees(theta):.0f} degrees in their plane, with an error over configurations of "
            f"{np.degrees(error):.0f}, our directions have |cos| {cosines[0]:.3f} and {cosines[1]:.3f}"
        )

    return shown


def vary_sample(shell: Shell, report: Report) -> None:
    """EVR of samples of fewer configurations: whether the size of the sample matters."""
    parts = gd.learning.grouped_moments(shell.rows("sbo"), groups=shell.groups)
    groups = list(parts)
    rng = np.random.default_rng(0)
    numbers = [n for n in (1, 2, 3, 5, 8, 13) if n < len(groups)] + [len(groups)]
    rows = []
    for n in numbers:
        draws = [rng.choice(len(groups), n, replace=False) for _ in range(1 if n == len(groups) else 20)]
        values = np.array([
            gd.learning.PCA(2).fit_moments(gd.learning.merge_moments([parts[groups[i]] for i in draw]))
            .explained_variance_ratio_ for draw in draws
        ])  # fmt: skip
        rows.append((n, *values.mean(axis=0), *(values.std(axis=0, ddof=1) if len(values) > 1 else (0.0, 0.0))))
    n, first, second, error_1, error_2 = np.array(rows).T
    title = f"{shell.state.title}, {shell.role} particles"
    path = report.figure(f"why_sample_{shell.state.mixture.name}_{shell.role}",
                         f"{plain(title)}: EVR of samples of fewer configurations.")  # fmt: skip
    drawn, axes = plotting.figure()
    ax = axes[0, 0]
    for k, (y, error) in enumerate(((first, error_1), (second, error_2))):
        ax.errorbar(n, y, error, fmt="o-", color=figures.COLORS[k], markersize=3, capsize=2, linewidth=1,
                    label=f"PC$_{k + 1}$")  # fmt: skip
    published = shell.state.mixture.small if shell.role == "small" else shell.state.mixture.big
    for k, ratio in enumerate(published.ratio if published else ()):
        draw_published(ax, ratio, 0.005, color=figures.COLORS[k], label="published" if k == 0 else "_")
    ax.set(xlabel="configurations", ylabel="EVR", ylim=(0, None))
    ax.set_xticks(n.astype(int))
    ax.legend(frameon=False, fontsize=7)
    drawn.suptitle(title, fontsize=10)
    plotting.save(drawn, path, {"configurations": n, "evr_1": first, "spread_1": error_1, "evr_2": second,
                                "spread_2": error_2})  # fmt: skip


def vary_temperature(series: dict[str, list[Shell]], report: Report) -> None:
    """EVR against temperature beside the published ones: whether another temperature explains them."""
    for shells in series.values():
        shells = sorted((s for s in shells if s.role == "small"), key=lambda s: s.state.temperature)
        if len(shells) < 2:
            continue
        mixture, found = shells[0].state.mixture, [spectrum(s.rows("sbo"), s.groups) for s in shells]
        T = np.array([s.state.temperature for s in shells])
        table: dict[str, Any] = {"T": T}
        path = report.figure(f"why_temperature_{mixture.name}", f"{plain(mixture.title)}: EVR against temperature.")
        drawn, axes = plotting.figure()
        for k in range(2):
            y, error = np.array([f.ratio[k] for f in found]), np.array([f.ratio_error[k] for f in found])
            axes[0, 0].errorbar(T, y, error, fmt="o-", color=figures.COLORS[k], markersize=3, capsize=2,
                                label=f"PC$_{k + 1}$")  # fmt: skip
            draw_published(axes[0, 0], mixture.small.ratio[k], 0.005, color=figures.COLORS[k],
                           label="published" if k == 0 else "_")  # fmt: skip
            table |= {f"evr_{k + 1}": y, f"error_{k + 1}": error}
        axes[0, 0].axvline(mixture.temperature, color=plotting.GREY, linewidth=0.8, linestyle="-.", label="paper's T")
        axes[0, 0].set(xlabel="$T$", ylabel="EVR", ylim=(0, None))
        axes[0, 0].legend(frameon=False, fontsize=7)
        drawn.suptitle(mixture.title, fontsize=10)
        plotting.save(drawn, path, table)


def vary_replicas(ensemble: Ensembles, shell: Shell, report: Report) -> None:
    """|R| of PC1 with propensities of fewer replicas, and without noise."""
    if ensemble.replicas is None:
        return
    found = components(ensemble, shell.role, shell.reduction())[:, :1]
    groups, most = ensemble.groups(shell.role), min(map(len, ensemble.replicas))
    rows = []
    for n in range(1, most + 1):
        r, error = component_correlations(found, ensemble.mean_of(shell.role, range(n)), groups)
        rows.append((n * ensemble.runs, r[0], error[0]))
    share = ensemble.split_half(shell.role)
    title = f"{shell.state.title}, {shell.role} particles"
    caption = f"{plain(title)}: |R| of PC1 with propensities of fewer replicas, and without noise."
    path = report.figure(f"why_replicas_{shell.state.mixture.name}_{shell.role}", caption)
    drawn, axes = plotting.figure(size=(4.4, 3.2))
    ax, table = axes[0, 0], {"lag": ensemble.lag}
    alone = len(ensemble.lag) == 1  # then against the number of replicas
    for (n, r, error), color in zip(rows, figures.ordered_colors(len(rows) + 1)[1:]):
        if alone:
            ax.errorbar([n], r, error, fmt="o", color=color, markersize=4)
        else:
            plotting.curve(ax, ensemble.lag, r, error, color=color, linewidth=1.2, label=f"{n} replicas")
        table |= {f"r_{n}": r, f"error_{n}": error}
    if (share > 0).all():
        r = rows[-1][1] / np.sqrt(share)
        if alone:
            ax.errorbar([rows[-1][0]], r, rows[-1][2] / np.sqrt(share), fmt="o", color=plotting.RED, markersize=4,
                        markerfacecolor="none", label="without noise")  # fmt: skip
        else:
            plotting.curve(ax, ensemble.lag, r, rows[-1][2] / np.sqrt(share), color=plotting.RED, linestyle="--",
                           label="without noise")  # fmt: skip
        table |= {"r_without_noise": r, "share": share}
    if shell.role == "small" and shell.state.mixture.highest_r is not None:
        draw_published(ax, shell.state.mixture.highest_r, 0.02)
    ax.set(ylabel="$|R|$", ylim=(0, None))
    if alone:
        ax.set(xlim=(0, None), xlabel=f"replicas, at $t$ = {ensemble.lag[0]:g}")
    else:
        ax.set(xscale="log", xlabel="$t$")
    ax.legend(frameon=False, fontsize=7)
    drawn.suptitle(title, fontsize=10)
    plotting.save(drawn, path, table)


READINGS: dict[str, dict[str, Any]] = {
    READING: {},
    "without penalty": {"l2": 0.0},
    "features in their own units": {"unit": 1.0},
}


def vary_network(shell: Shell, report: Report, folder: Path) -> Callable[[Comparison], str]:
    """EVR and validation loss of autoencoders trained as the paper may have: its text leaves units and length open."""
    mixture = shell.state.mixture
    assert mixture.autoencoder is not None
    published, found = mixture.autoencoder[shell.role], {}
    for name, network in READINGS.items():
        # gradients of features that are not scaled are small: they need ten times the epochs
        epochs = mixture.epochs * (10 if "unit" in network else 1)
        found[name] = reduction.encode(shell.rows("sbo"), epochs, REPEATS, folder, **network)
    evr, loss = (np.array([getattr(one, name) for one in found.values()]) for name in ("evr", "loss"))
    title = f"{shell.state.title}, {shell.role} particles"
    name = f"why_network_{mixture.name}_{shell.role}"
    path = report.figure(name, f"{plain(title)}: EVR and validation loss of the autoencoder, trained in other ways.")
    drawn, axes = plotting.figure(1, 2, size=(4.0, 2.6))
    for ax, values, printed, error, label in (
        (axes[0, 0], evr, published.evr, published.evr_error, "EVR"),
        (axes[0, 1], loss, published.loss, published.loss_error, "validation loss"),
    ):
        for k, color in zip(range(len(found)), figures.COLORS):
            ax.plot(np.full(REPEATS, k), values[k], "o", color=color, markersize=4)
        draw_published(ax, printed, error)
        ax.set_xticks(range(len(found)), [text.replace(" in ", "\nin ") for text in found], fontsize=6)
        ax.set(ylabel=label)
        ax.legend(frameon=False, fontsize=7)
    drawn.suptitle(title, fontsize=10)
    plotting.save(drawn, path, {"reading": list(found), "evr": evr.mean(axis=1), "loss": loss.mean(axis=1)})

    def shown(comparison: Comparison) -> str:
        if comparison.quantity not in ("EVR of AE", "EVR of AE minus that of PCA", "validation loss"):
            return ""
        values = {"EVR of AE": evr, "validation loss": loss}.get(comparison.quantity, evr - found[READING].evr_pca)
        off = np.abs(values.mean(axis=1) - float(comparison.published))
        best = int(np.argmin(off))
        if off[best] <= 0.5 * abs(comparison.ours - float(comparison.published)):
            return f"{name}: {list(found)[best]}, the network gives {values[best].mean():.5f}"
        means = values.mean(axis=1)
        if comparison.quantity == "EVR of AE" or not means.min() <= float(comparison.published) <= means.max():
            return ""  # the EVR itself is also that of another sample
        return f"{name}: trained in these ways, the network gives {means.min():.5f} to {means.max():.5f}"

    return shown


def explain(
    report: Report,
    shells: list[Shell],
    series: dict[str, list[Shell]],
    ensembles: dict[str, list[Path]],
    networks: Path | None = None,
) -> None:
    """All experiments that the numbers of a report call for, and what they decide.

    With `networks`, a folder for what is trained, autoencoders are trained in other ways as well.
    """
    vary_temperature(series, report)
    for shell in shells:
        if shell.state.mixture.name in ensembles:
            vary_replicas(Ensembles.open(shell.state, ensembles[shell.state.mixture.name]), shell, report)
    decide(report, shells, networks)


def decide(report: Report, shells: Iterable[Shell], networks: Path | None = None) -> None:
    """What was shown, or what a decision would cost, for every number that differs."""
    by_title = {(s.state.title, s.role): s for s in shells}
    found: dict[Shell, list[Callable[[Comparison], str]]] = {}
    decided = []
    for comparison in report.comparisons:
        shell = _shell_of(comparison, by_title)
        if comparison.agrees is None or comparison.agrees or comparison.shown:
            decided.append(comparison)
            continue
        shown = _known(comparison, shell)
        if not shown and shell is not None:
            if shell not in found:
                vary_sample(shell, report)
                found[shell] = [vary_cutoffs(shell, report)]
                found[shell] += [mixing(shell)] if comparison.where.startswith("Table I") else []
                if networks is not None and shell.role in (shell.state.mixture.autoencoder or {}):
                    found[shell].append(vary_network(shell, report, networks))
            shown = "; ".join(filter(None, (experiment(comparison) for experiment in found[shell])))
        hours = comparison.core_hours
        if not (shown or shell is None or hours):
            trained = comparison.where == "Table I" and networks is None
            hours = planning.TRAINING if trained else planning.core_hours(comparison, shell.state)
        decided.append(replace(comparison, shown=shown, core_hours=hours))
    report.comparisons[:] = decided


def _known(comparison: Comparison, shell: Shell | None) -> str:
    """What needs no experiment but arithmetic, or another place of the paper."""
    if comparison.where == "Sec. III" and shell is not None:
        printed = shell.state.mixture.small.ratio[0 if "PC1" in comparison.quantity else 1]
        if abs(comparison.ours - printed) < abs(comparison.ours - float(comparison.published)):
            return f"Table II of the paper has {printed:g}"
    if comparison.quantity == "features of RBO, shells: 2":
        return "104 are 13 distances by 8 degrees; the text's grid, 0.9 to 2.2 in steps of 0.1, has 14"
    if comparison.quantity == "other components with more than one mode":
        chance = 1 - 0.95**7
        return (
            f"of seven tests at 5 % one is significant by chance in {chance:.0%} of samples"
            if comparison.ours <= 1
            else ""
        )
    return ""


def _shell_of(comparison: Comparison, by_title: dict[tuple[str, str], Shell]) -> Shell | None:
    """The shells that a comparison is of."""
    title, _, role = comparison.system.rpartition(", ")
    if (title, role) in by_title:
        return by_title[title, role]
    role = "big" if comparison.where == "Table III" else "small"
    return by_title.get((comparison.system, role))
