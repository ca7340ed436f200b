"""Bond order, sharp, averaged and smoothed, l = 1..8: glassdask against freud and partycls, neighbours included.

Run with ``python -m tests.benchmarks.bench_bond_order``. freud comes with the extra ``peers``; partycls has to be built
from its source distribution and is left out where it is not importable.
"""

from __future__ import annotations

from tests.benchmarks.peers import alternate, report, wahnstrom  # isort: skip (sets the number of threads)

import tempfile
from pathlib import Path

import numpy as np

import glassdask as gd

CUTOFFS = {("A", "A"): 1.404, ("A", "B"): 1.366, ("B", "B"): 1.254}
DEGREES = list(range(1, 9))


def ours(trajectory, descriptor):
    return lambda: gd.describe(trajectory, [descriptor]).compute(scheduler="synchronous")


class Freud:
    """The same through freud: a list up to the largest cutoff, cut by pair, then Steinhardt."""

    def __init__(self, trajectory):
        import freud

        self.freud = freud
        self.box = freud.box.Box(*np.diag(trajectory["box"].values[0]))
        self.points = self.box.wrap(trajectory["position"].values[0] - np.diag(trajectory["box"].values[0]) / 2)
        self.kind = (trajectory["species"].values == "B").astype(int)
        self.cutoff = np.array([[1.404, 1.366], [1.366, 1.254]])

    def neighbors(self, enlargement):
        query = self.freud.locality.AABBQuery(self.box, self.points)
        reach = self.cutoff * enlargement
        found = query.query(self.points, {"r_max": float(reach.max()), "exclude_ii": True}).toNeighborList()
        i, j = found.query_point_indices, found.point_indices
        found.filter(found.distances < reach[self.kind[i], self.kind[j]])
        return found

    def steinhardt(self, found, **options):
        computed = self.freud.order.Steinhardt(l=DEGREES, **options)
        return computed.compute((self.box, self.points), neighbors=found).particle_order

    def sharp(self):
        return self.steinhardt(self.neighbors(1.0))

    def averaged(self):
        return self.steinhardt(self.neighbors(1.0), average=True)

    def smoothed(self):
        found = self.neighbors(1.3)
        i, j = found.query_point_indices, found.point_indices
        weights = np.exp(-((found.distances / self.cutoff[self.kind[i], self.kind[j]]) ** 8))
        weighted = self.freud.locality.NeighborList.from_arrays(
            len(self.points), len(self.points), i, j, found.vectors, weights=weights
        )
        return self.steinhardt(weighted, weighted=True)


def partycls_works(trajectory):
    """Functions that run partycls' three descriptors, with its own search for neighbours."""
    np.prod = np.prod  # partycls 2.0.2 was written for NumPy 1
    import partycls
    from partycls import descriptors as d

    box = np.diag(trajectory["box"].values[0])
    rows = zip(trajectory["species"].values, trajectory["position"].values[0] - box / 2, strict=True)
    lines = [f"{name} {x:.15g} {y:.15g} {z:.15g}" for name, (x, y, z) in rows]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "configuration.xyz")
        cell = ",".join(f"{length:.15g}" for length in box)
        file.write_text(f"{len(lines)}\ncolumns:id,x,y,z cell:{cell}\n" + "\n".join(lines) + "\n")
        opened = partycls.Trajectory(str(file))

    def work(cls, **options):
        def run():
            opened.compute_nearest_neighbors("fixed", [1.404, 1.366, 1.366, 1.254])
            return cls(opened, lmin=1, lmax=8, verbose=False, **options).compute()

        return run

    return {
        "sharp": work(d.BondOrientationalDescriptor),
        "averaged": work(d.LechnerDellagoDescriptor),
        "smoothed": work(d.SmoothedBondOrientationalDescriptor, cutoff_enlargement=1.3, exponent=8),
    }


def main() -> None:
    trajectory = wahnstrom()
    freud = Freud(trajectory)
    try:
        partycls = partycls_works(trajectory)
    except ImportError:
        partycls = {}
    descriptors = {
        "sharp": gd.BondOrder(cutoffs=CUTOFFS),
        "averaged": gd.LechnerDellago(cutoffs=CUTOFFS),
        "smoothed": gd.SmoothedBondOrder(cutoffs=CUTOFFS),
    }
    for name, descriptor in descriptors.items():
        works = {"glassdask": ours(trajectory, descriptor), "freud": getattr(freud, name)}
        mine = next(iter(works["glassdask"]().data_vars.values())).values[0]
        worst = np.nanmax(np.abs(mine - works["freud"]()))
        if worst > 5e-5:
            raise SystemExit(f"{name}: differs from freud by {worst}: the times mean nothing")
        medians = alternate(works)
        if name in partycls:
            medians.update(alternate({"partycls": partycls[name]}, n=1))
        report(f"{name} bond order l = 1..8", medians, trajectory.sizes["particle"])


if __name__ == "__main__":
    main()
