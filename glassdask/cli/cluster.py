"""``glassdask cluster``: whether the workers of a profile come, and what they are."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from glassdask.errors import ParameterError

app = typer.Typer(name="cluster", help="Look at the clusters that --cluster uses.", no_args_is_help=True)


@app.command()
def check(
    profile: Annotated[
        str, typer.Argument(help="TOML or YAML profile, slurm, local, or the address of a scheduler with a worker")
    ],
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds to wait for the worker")] = 120.0,
) -> None:
    """Start one worker, run a kernel on it, and show what it has; exit code 1 where none comes, with the reason.

    Packages of other versions here and there are an exit code of 1 as well: results would not be recognised as the
    same.
    """
    from glassdask.cluster import check as run

    if profile == "threads":
        raise ParameterError("cluster 'threads' has no workers to check: give a profile, slurm or local")
    found = run(profile, kernel_speed, timeout=timeout)
    scratch, memory = found["scratch"], found["memory_limit"]
    print(f"host       {found['host']}, after {found['seconds']:.1f} s")
    print(f"cores      {found['cores']} used by the worker, {found['cores_allowed']} allowed")
    print(f"memory     {memory / 2**30:.2f} GiB" if memory else "memory     no limit")
    print(f"scratch    {scratch['folder']}, {scratch['free'] / 2**30:.1f} GiB free")
    print(f"           writes {scratch['write'] / 2**20:.0f}, reads {scratch['read'] / 2**20:.0f} MiB/s")
    print(f"worker     {found['worker']}, dashboard {found['dashboard']}")
    print(f"scheduler  {found['scheduler']}")
    print(f"kernel     smoothed bond order, {found['kernel']:.0f} particles/s on one core")
    for name, (here, there) in found["versions"].items():
        print(f"{name:11}{here}" + (f" here, {there} on the worker" if here != there else ""))
    if found["differences"]:
        print(f"versions differ: {', '.join(found['differences'])}: install the same in both places")
        raise typer.Exit(1)


def kernel_speed() -> float:
    """Particles per second that `SmoothedBondOrder` describes on one core of a random liquid; runs on the worker."""
    import numpy as np

    import glassdask as gd
    from glassdask.graphs import compute, within_task

    rng = np.random.default_rng(1)
    liquid = gd.from_arrays(10.0 * rng.random((1, 1000, 3)), species=["A"] * 1000, box=[10.0, 10.0, 10.0])
    order = gd.SmoothedBondOrder(l_max=8, gamma=8, cutoffs={("A", "A"): 1.4})
    with within_task():
        compute(gd.describe(liquid, [order])["sbo"])  # compiles, or reads what is compiled
        start = time.perf_counter()
        compute(gd.describe(liquid, [order])["sbo"])
        return 1000 / (time.perf_counter() - start)
