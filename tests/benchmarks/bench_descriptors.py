"""Every descriptor against every program that computes it: one configuration, one thread, in turn, neighbours included.

Run with ``python -m tests.benchmarks.bench_descriptors [NAME ...]``. Prints microseconds of CPU a particle and how many
times the time of glassdask each program takes (ratio of medians). Where another program gives the same numbers
they are compared first: times of different results would mean nothing.
"""

from __future__ import annotations

from tests.benchmarks.peers import DATA, TINY, alternate, record, wahnstrom  # isort: skip (sets the number of threads)

import sys
from collections.abc import Sequence
from functools import partial

import numpy as np

import glassdask as gd
from tests.benchmarks.programs import ANGULAR, CUTOFFS, DELTA, GRID, PROGRAMS, RADIAL, Freud, matscipy_rings

REFERENCES = ("freud", "OVITO", "mdapy")
PAIRS = {("A", "A"): CUTOFFS[0, 0], ("A", "B"): CUTOFFS[0, 1], ("B", "B"): CUTOFFS[1, 1]}
DIAMETERS = {"A": 1.07, "B": 0.89}

# name: descriptor, method of the programs, tolerance against the first of `REFERENCES` where it computes the same
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
    "symmetry functions, 4 + 6, 2.0": (
        gd.SymmetryFunctions(r_cut=2.0, radial=RADIAL, angular=ANGULAR), "symmetry_functions", None,
    ),
    "Minkowski l 1-8": (gd.MinkowskiStructure(), "minkowski", 2e-3),
    "w_l, l 2-8": (gd.ThirdOrderInvariants(cutoffs=PAIRS), "third_order", 5e-3),
    "q6.q6 bonds": (gd.SolidLiquid(cutoffs=PAIRS), "solid_liquid", 1.0),
    "CNA, adaptive": (gd.CommonNeighbors(), "common_neighbors", None),
    "Ackland-Jones": (gd.AcklandJones(), "ackland_jones", 0.0),
    "TCC, modified Voronoi": (gd.TCC(neighbors=gd.ModifiedVoronoi(1.8)), None, None),
    "bond angles": (gd.BondAngles(cutoffs=PAIRS), None, None),
    "dihedral angles": (gd.DihedralAngles(cutoffs=PAIRS), None, None),
    "nematic order": (gd.NematicOrder(cutoffs=PAIRS), None, None),
    "cubatic order": (gd.CubaticOrder(cutoffs=PAIRS), None, None),
    "rings to 5 within 1.4": (gd.Rings(cutoffs=1.4, max_size=5), None, None),
    "CNA within 1.4": (gd.CommonNeighbors(cutoffs=1.4), "common_neighbors_within", 0.0),
    "CNA pairs within 1.4": (gd.CommonNeighbors(cutoffs=1.4, output="pairs"), None, None),
    "centrosymmetry": (gd.Centrosymmetry(), "centrosymmetry", 1e-4),
    "pair entropy to 2.5": (
        gd.PairEntropy(r_max=2.5, sigma=0.125, step=0.125, padding=0.0, by_species=False), "pair_entropy", 1e-4,
    ),
    "pair entropy by species, fine": (gd.PairEntropy(r_max=2.5, sigma=0.125), None, None),
    "Warren-Cowley": (gd.WarrenCowley(cutoffs=PAIRS), None, None),
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
            found = gd.describe(trajectory, [descriptor])[descriptor.name].compute(scheduler="synchronous").values[0]
            return found[:, 0] if descriptor.name == "solid_liquid" else found

        works = {"glassdask": ours}
        works.update({name: getattr(p, method) for name, p in programs.items() if method and hasattr(p, method)})
        reference = next((name for name in REFERENCES if name in works), None)
        if tolerance is not None and reference is not None:
            worst = np.nanmax(np.abs(ours() - works[reference]()))
            if worst > tolerance:
                raise SystemExit(f"{title}: differs from {reference} by {worst}: the times mean nothing")
        record(title, alternate(works), n)
    if not chosen or "clusters" in chosen:
        everybody = {name: p.clusters for name, p in programs.items() if hasattr(p, "clusters")}
        ours = {"glassdask": lambda: gd.clusters(trajectory, cutoffs=1.0).compute(scheduler="synchronous")}
        record("clusters within 1.0", alternate(ours | everybody), n)
    if not chosen or "hexatic" in chosen:
        plane(programs)
    if not chosen or "rings" in chosen:
        network()


def plane(programs) -> None:
    """Hexatic order of a disturbed triangular lattice, by Voronoi cells; freud alone has it."""
    edge = 20 if TINY else 128
    x, y = np.meshgrid(np.arange(edge) + 0.0, np.arange(edge) + 0.0)
    position = np.stack([x + 0.5 * (y % 2), y * np.sqrt(0.75)], -1).reshape(-1, 2)
    position += np.random.default_rng(0).normal(scale=0.1, size=position.shape)
    size = np.array([edge, edge * np.sqrt(0.75)])
    crystal = gd.from_arrays(position, species=["A"] * len(position), box=size)
    theirs = Freud.hexatic(crystal) if "freud" in programs else {}
    for title, rule in {"psi_6 by Voronoi cells": gd.Voronoi(), "psi_6 of six nearest": gd.KNearest(6)}.items():

        def ours(rule=rule):
            found = gd.describe(crystal, gd.Hexatic(neighbors=rule))["hexatic"].compute(scheduler="synchronous")
            return found.values[0, :, 0] + 1j * found.values[0, :, 1]

        works = {"glassdask": ours}
        if theirs:
            works["freud"] = theirs[type(rule).__name__]
            differing = np.abs(ours() - works["freud"]()) > 1e-3  # rounding decides on faces that hardly exist
            if differing.mean() > 1e-3:
                raise SystemExit(f"{title}: {differing.sum()} particles differ from freud: the times mean nothing")
        record(title, alternate(works), len(position))


def network() -> None:
    """Rings of silica, of one configuration and of eight of them side by side; matscipy's are of whole frames."""
    kept = np.load(DATA / "silica_N2000_T0.3397.npz")
    position, box = kept["fraction"][0] / 65536 @ kept["box"][0], kept["box"][0]
    for copies in (1,) if TINY else (1, 2):
        shifts = np.array(list(np.ndindex(copies, copies, copies))) @ box
        everything = (position + shifts[:, None]).reshape(-1, 3)
        species = np.tile(kept["names"][kept["species"]], len(shifts))
        silica = gd.from_arrays(everything, species=species, box=copies * box)
        rings = gd.Rings(cutoffs=0.84, neighbor_species="other", max_size=12)

        def ours(silica=silica, rings=rings):
            return gd.describe(silica, [rings])["rings"].compute(scheduler="synchronous").values[0]

        works = {"glassdask": ours}
        try:
            works["matscipy"] = partial(matscipy_rings, silica, 0.84, 12)
            if not np.array_equal(ours().sum(axis=0) / np.arange(3, 13), works["matscipy"]()[3:]):
                raise SystemExit("rings: differ from matscipy: the times mean nothing")
        except ImportError as error:
            print(f"matscipy is left out: {error}")
            del works["matscipy"]
        record(f"rings of silica to 12, N = {len(everything)}", alternate(works), len(everything))


if __name__ == "__main__":
    main(sys.argv[1:])
