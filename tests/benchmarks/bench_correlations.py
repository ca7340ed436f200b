"""Radial distribution functions against freud: one configuration, one thread, in turn.

Run with ``python -m tests.benchmarks.bench_correlations``. The numbers of pairs are compared first. freud tells all
particles alike; glassdask gives the three partial functions as well.
"""

from __future__ import annotations

from tests.benchmarks.peers import TINY, report, wahnstrom  # isort: skip (sets the number of threads)

import dask
import freud
import numpy as np

import glassdask as gd


def main() -> None:
    trajectory = wahnstrom()
    box = np.diag(trajectory["box"].values[0])
    system = freud.box.Box(*box), trajectory["position"].values[0] - box / 2
    n = trajectory.sizes["particle"]
    for r_max in (2.5, 3.4, *([] if TINY else [7.0])):  # half of the small box is less
        report(
            f"g(r) up to {r_max}, a particle", n,
            lambda r_max=r_max: gd.radial_distribution(trajectory, r_max, n_bins=200)["counts"].values.sum((0, 1)),
            {"freud": lambda r_max=r_max: freud.density.RDF(200, r_max).compute(system).bin_counts},
            # freud computes in single precision: pairs at the edge of a bin fall into its neighbour
            rtol=0.01,
        )  # fmt: skip


if __name__ == "__main__":
    with dask.config.set(scheduler="synchronous"):
        main()
