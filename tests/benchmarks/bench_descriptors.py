"""Every descriptor against every program that computes it: one configuration, one thread, in turn, neighbours included.

Run with ``python -m tests.benchmarks.bench_descriptors [NAME ...]``. Prints microseconds of CPU a particle and how many
times the time of glassdask each program takes (ratio of medians). Where another program gives the same numbers
they are compared first: times of different results would mean nothing.
"""

from __future__ import annotations

from tests.benchmarks.peers import alternate, record, wahnstrom  # isort: skip (sets the number of threads)

import sys
from collections.abc import Sequence

import numpy as np

import glassdask as gd
from tests.benchmarks.programs import CUTOFFS, DELTA, GRID, PROGRAMS

PAIRS = {("A", "A"): CUTOFFS[0, 0], ("A", "B"): CUTOFFS[0, 1], ("B", "B"): CUTOFFS[1, 1]}
DIAMETERS = {"A": 1.07, "B": 0.89}

# name: descriptor, method of the programs, tolerance against freud where it computes the same
WORKS = {
    "BO l 1-8": (gd.BondOrder(cutoffs=PAIRS), "bo", 5e-5),
    "neighbours within 1.4": (gd.Coordination(cutoffs=1.4), "neighbors", None),
    "Lechner-Dellago l 1-8": (gd.LechnerDellago(cutoffs=PAIRS), "ld", 5e-5),
    "SBO l 1-8": (gd.SmoothedBondOrder(cutoffs=PAIRS), "sbo", 5e-5),
    "RBO 8 x 14, R_max 2.7": (gd.RadialBondOrder(grid=tuple(GRID.round(6)), delta=DELTA), "rbo", 2e-3),
    "SOAP 6, 8, 1.6": (gd.SOAP(n_max=6, l_max=8, r_cut=1.6, sigma=0.2), None, None),
    "SOAP 6, 8, 1.6 by species": (gd.SOAP(n_max=6, l_max=8, r_cut=1.6, sigma=0.2, by_species=True), "soap", None),
    "SOAP GTO 6, 8, 1.6 by species": (
        gd.SOAP(n_max=6, l_max=8, r_cut=1.6, sigma=0.2, by_species=True, basis="gto"), "soap_gto", None,
    ),
    "SOAP 8, 8, 2.2": (gd.SOAP(n_max=8, l_max=8, r_cut=2.2, sigma=0.2), None, None),
    "ACE d 10, r_cut 4": (gd.ACE(r_cut=4.0, degree=10), None, None),
    "coordination": (gd.Coordination(cutoffs=PAIRS), None, None),
    "Theta, radical Voronoi": (gd.TongTanaka(diameters=DIAMETERS), None, None),
    "Voronoi cells": (gd.VoronoiCell(diameters=DIAMETERS), "voronoi", None),
    "local energy": (gd.LocalEnergy(model="wahnstrom"), "local_energy", None),
}  # fmt: skip


def main(chosen: Sequence[str] = ()) -> None:
    trajectory = wahnstrom()
    n = trajectory.sizes["particle"]
    programs = {}
    for name, cls in PROGRAMS.items():
        try:
            programs[name] = cls(trajectory)
        except (ImportError, OSError) as error:
            print(f"{name} is left out: {error}")
    print(f"{n} particles, one thread; microseconds a particle, x is the ratio to glassdask")
    for title, (descriptor, method, tolerance) in WORKS.items():
        if chosen and not any(word.lower() in title.lower() for word in chosen):
            continue

        def ours(descriptor=descriptor):
            return gd.describe(trajectory, [descriptor])[descriptor.name].compute(scheduler="synchronous").values[0]

        works = {"glassdask": ours}
        works.update({name: getattr(p, method) for name, p in programs.items() if method and hasattr(p, method)})
        if tolerance is not None and "freud" in works:
            worst = np.nanmax(np.abs(ours() - works["freud"]()))
            if worst > tolerance:
                raise SystemExit(f"{title}: differs from freud by {worst}: the times mean nothing")
        record(title, alternate(works), n)


if __name__ == "__main__":
    main(sys.argv[1:])
