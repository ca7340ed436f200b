"""Radial distribution functions against freud, and waves by transforms against sums: one thread, in turn.

Run with ``python -m tests.benchmarks.bench_correlations``. The numbers of pairs are compared first. freud tells all
particles alike; glassdask gives the three partial functions as well.
"""

from __future__ import annotations

from tests.benchmarks.peers import TINY, report, wahnstrom  # isort: skip (sets the number of threads)

import dask
import freud
import numpy as np

import glassdask as gd
from glassdask import dynamics
from glassdask.correlations import waves


def against_sums(rng) -> None:
    """S(k) and S_4 of all waves of a box at small k, by FINUFFT where it is installed, and without it."""
    transform = waves._finufft()

    def summed(work):
        waves._finufft = lambda: None
        try:
            return work()
        finally:
            waves._finufft = lambda: transform

    n = 500 if TINY else 100_000
    for d in (2, 3):
        length = (n / 1.2) ** (1 / d)
        x = rng.random((n, d)) * length
        path = np.stack([x, x + rng.normal(scale=0.2, size=x.shape)])
        image = np.floor(path / length).astype(int)
        run = gd.from_arrays(path - image * length, species=["A"] * n, box=[length] * d, time=[0.0, 1.0], image=image)
        for name, work in {
            "S(k), k < 3, all waves": lambda run=run: gd.structure_factor(run.isel(frame=[0]), 3.0, 30, 10**6)[
                "S_total"
            ].values[5:],
            "S_4, all waves": lambda run=run: (
                dynamics.four_point(run, 1.0, 0.3, modes_per_bin=10**6)["s4_total"].values
            ),
        }.items():
            others = {"sums": lambda work=work: summed(work)} if transform else {}
            report(f"{name}, d = {d}, N = {n}: a particle", n, work, others, rtol=1e-10)


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
    against_sums(np.random.default_rng(0))


if __name__ == "__main__":
    with dask.config.set(scheduler="synchronous"):
        main()
