"""Benchmark sets of our own: configurations with isoconfigurational runs, as files that `glassbench.py` reads.

Methods. A sweep (`glassdask.sweep`) melts, cools and equilibrates every configuration with random numbers of its own,
and runs it again and again with fresh velocities. Of each configuration and each lag a file is written in the
benchmark's layout (types, initial_positions, positions of all runs, box), with the published numbers of the lags in
their names, where all of these are published times; others are numbered from 101 on, which no published time is, and
`glassbench.py` is told them by its ``--lags``. States that are done already are not simulated again, and what is not
finished is left out.

    python pipelines/glassbench_sets.py pipelines/data/glassbench_sets.toml --output results/glassbench_sets
    python pipelines/glassbench_sets.py results/glassbench_sets.zarr --output results/glassbench_sets --no-run

A cluster runs the same sweep with `glassdask sweep run FILE --cluster PROFILE.toml`, and ``--no-run`` writes the files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmark import published
from refusing import told

import glassdask as gd
from glassdask.errors import ParameterError
from glassdask.simulation.models import MODELS
from glassdask.sweep import read_sweep, run_sweep, status

UNPUBLISHED = 101  # number of the first lag where not all of them are published times


@told
def main() -> None:
    """Run a sweep, or what is left of it, and write the files."""
    parser = argparse.ArgumentParser(description="Make benchmark sets: configurations with isoconfigurational runs.")
    parser.add_argument("sweep", type=Path, help="TOML file of the sweep, with replicas and keep = true, or its store")
    parser.add_argument("--output", type=Path, default=Path("results/glassbench_sets"), help="folder of the files")
    parser.add_argument("--cluster", default="local", help="local, threads, tcp://HOST:PORT or a TOML profile")
    parser.add_argument("--no-run", action="store_true", help="only write what is there, such as of a cluster")
    chosen = parser.parse_args()
    sweep = read_sweep(chosen.sweep)
    refuse_same_names(sweep.states)
    if chosen.no_run:
        table = status(sweep.store)
    else:
        with gd.cluster.connect(chosen.cluster) as client:
            table = run_sweep(sweep, client)
    written = [write(row, chosen.output) for _, row in table.iterrows() if row["simulate"] == "complete"]
    print(f"{len(written)} of {len(table)} configurations: {chosen.output}")
    sys.exit(0 if len(written) == len(table) or chosen.no_run else 1)


def name_of(state: Any) -> tuple[str, str, int]:
    """Model, temperature and seed in the names of the files of a state; 1 is one that has no seed."""
    seed = 1 if pd.isna(state.seed) else int(state.seed)
    return state.model, published.temperature_word(state.temperature), seed


def refuse_same_names(states: Iterable[Any]) -> None:
    """`ParameterError` where files of two states would have one name: it does not tell the density."""
    seen: dict[tuple[str, str, int], str] = {}
    for state in states:
        model, temperature, seed = name = name_of(state)
        if name in seen:
            raise ParameterError(
                f"{seen[name]} and {state.label} would have files of one name, {model}_N...T{temperature}_{seed}: give "
                "them sweeps of their own, and other folders by --output"
            )
        seen[name] = state.label


def labels(model: str, temperature: float, lags: list[float]) -> list[int]:
    """What the names of files call the lags, each of them differently, and no other time as a published one.

    >>> labels("kob_andersen", 0.5, [0.108, 2.17]), labels("kob_andersen", 0.5, [0.05, 0.108])
    ([1, 3], [101, 102])
    """
    known = [label for lag in lags if (label := published.label_of(model, temperature, lag)) is not None]
    return known if len(set(known)) == len(lags) else [UNPUBLISHED + number for number in range(len(lags))]


def write(row: pd.Series, folder: Path) -> list[Path]:
    """The files of one configuration, one for each lag."""
    place = f"{row['path']}/isoconfigurational"
    start = gd.open_trajectory(place).isel(frame=0)
    runs = gd.open_reduction(place, "isoconfigurational")
    species = np.array(MODELS[row["model"]].species)
    position, box = start["position"].values, gd.open_trajectory(place)["box"].values[0]
    folder.mkdir(parents=True, exist_ok=True)
    model, temperature, seed = name_of(row)
    files = []
    for number, label in enumerate(labels(row["model"], row["temperature"], runs["lag"].values.tolist())):
        name = f"{model}_N{len(position)}T{temperature}_{seed}_tc{label:02d}.npz"
        np.savez_compressed(
            folder / name, types=np.searchsorted(species, start["species"].values) + 1, initial_positions=position,
            positions=position + runs["replica_displacement"].isel(lag=number).values, box=np.diag(box),
        )  # fmt: skip
        files.append(folder / name)
    return files


if __name__ == "__main__":
    main()
