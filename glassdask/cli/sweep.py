"""Subcommands ``glassdask sweep run|status|retry``."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from glassdask.cli.advice import printable
from glassdask.cli.options import Overwrite, Quiet, Workers, progress_bar
from glassdask.errors import ParameterError
from glassdask.reporting import clock

if TYPE_CHECKING:
    import pandas as pd


class _Sweep(TyperGroup):
    """The commands of sweeps, one of which is to stand before a file."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """See `TyperGroup`."""
        if args[0].endswith((".toml", ".zarr")):
            raise ParameterError(f"what of {args[0]}? glassdask sweep run {shlex.quote(args[0])}, or status, or retry")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Sweep,
    help="Sweeps over models, temperatures and seeds: simulate, describe, reduce, correlate.",
    no_args_is_help=True,
)

OPEN = ("partial", "failed", "waiting")
TOLD = 1.0  # seconds of compiling from which it is told of
MOST_ERRORS = 20  # lines; all of them are in the table of --json


def _store(path: Path) -> Path:
    """The store of a sweep, which its TOML file names as well."""
    from glassdask.sweep import read_sweep

    return Path(read_sweep(path).store) if path.suffix == ".toml" and path.is_file() else path


SweepStore = Annotated[
    Path,
    typer.Argument(help="Store of a sweep that was run before, or its TOML file"),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="local (a process for each core), threads (no workers: one state at a time, its chunks on all cores), "
        "slurm, tcp://HOST:PORT, or a TOML or YAML profile; default local, with --share threads",
        show_default=False,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Only this stage, such as simulate, describe, reduce or correlate; repeatable"),
]
Share = Annotated[
    str | None,
    typer.Option("--share", help="Only this share of the states, such as 3/100 (counted from 1): for job arrays"),
]


@app.command()
def run(
    sweep: Annotated[Path, typer.Argument(help="TOML file of the sweep, or the store of one that was run before")],
    only: Only = None,
    share: Share = None,
    overwrite: Overwrite = False,
    cluster: Cluster = None,
    workers: Workers = None,
    quiet: Quiet = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what it would take, by small pieces that are run now")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print as JSON")] = False,
) -> None:
    """Do all stages of all states that are not done yet. The same command continues where it was killed.

    A state that fails does not stop the others: its error is recorded, shown by status, and tried again by retry. The
    exit code is 1 unless all that was asked for is complete.
    """
    if dry_run:
        _estimate(sweep, only, share, cluster, workers, quiet, as_json)
        return
    _run(sweep, only, share, cluster, workers, quiet, overwrite=overwrite)


@app.command()
def retry(
    store: SweepStore,
    only: Only = None,
    share: Share = None,
    cluster: Cluster = None,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Run what has failed once more, and what waits for it."""
    _run(_store(store), only, share, cluster, workers, quiet, retry=True)


@app.command()
def status(
    store: SweepStore, as_json: Annotated[bool, typer.Option("--json", help="Print every state as JSON")] = False
) -> None:
    """Show how far a sweep is, also while it runs: complete states by model, temperature and stage, and all errors."""
    from glassdask.sweep import status as found
    from glassdask.sweep.remaining import told

    table = found(_store(store))
    if as_json:
        text = json.dumps(table.reset_index().to_dict("records"))
        states = json.loads(text, parse_constant=lambda _: None)  # what is not known, such as a density
        kept = {name: table.attrs[name] for name in ("stages", "runs", "remaining")}
        print(json.dumps({**kept, "states": states}, indent=2))
        return
    out = Console()
    out.print(_overview(table, out.width))
    for runs in table.attrs["runs"]:
        what = "all states" if runs["share"] == "all" else f"share {runs['share']}"
        out.print(
            f"{what}: run by {runs['user']} on {runs['host']}, process {runs['pid']}, since {runs['started']}",
            markup=False,
        )
    _summary(table, table.attrs["stages"], out)
    for line in told(table.attrs["remaining"], bool(table.attrs["runs"])):
        out.print(line, markup=False)


def _run(
    sweep: Path,
    only: list[str] | None,
    share: str | None,
    cluster: str | None,
    workers: int | None,
    quiet: bool,
    **how: Any,
) -> None:
    from glassdask.cluster import connect
    from glassdask.sweep import read_sweep, run_sweep
    from glassdask.sweep.simulating import refuse_without_lammps

    part = None if share is None else _parsed_share(share)
    described = read_sweep(sweep)
    states = (described if part is None else described.share(*part)).states
    wanted = described.checked_stages(only)
    if _target(cluster, share) in ("local", "threads"):  # elsewhere workers may have what is missing here
        refuse_without_lammps(described.store, states, wanted)
    with connect(_target(cluster, share), workers=workers) as client, progress_bar("sweep", quiet) as progress:
        table = run_sweep(described, client, stages=only, share=part, progress=progress, **how)
    stages = only or table.attrs["stages"]
    out = Console()
    for line in table.attrs["remarks"][:MOST_ERRORS]:
        out.print(printable(line), soft_wrap=True, highlight=False, markup=False)
    if len(table.attrs["remarks"]) > MOST_ERRORS:
        out.print(f"... and {len(table.attrs['remarks']) - MOST_ERRORS} more such states")
    complete = _summary(table.loc[[state.label for state in states]], stages, out)
    if not complete:
        raise typer.Exit(1)


def _target(cluster: str | None, share: str | None) -> str:
    """Where a sweep is run: by default by a worker for each core, a share of it in the process of the command."""
    return cluster or ("local" if share is None else "threads")


def _estimate(
    sweep: Path,
    only: list[str] | None,
    share: str | None,
    cluster: str | None,
    workers: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Print what a sweep, or what is left of it, takes."""
    from glassdask.cluster.profile import number_of_workers
    from glassdask.sweep import read_sweep
    from glassdask.sweep.estimating import estimate
    from glassdask.sweep.simulating import refuse_without_lammps

    described = read_sweep(sweep)
    described = described if share is None else described.share(*_parsed_share(share))
    stages = described.checked_stages(only)
    refuse_without_lammps(described.store, described.states, stages)
    processes = number_of_workers(_target(cluster, share), workers)
    with progress_bar("pieces", quiet) as progress:
        found = estimate(described, progress, processes)
    units, seconds, start, elapsed = found.only(stages)
    if as_json:
        told = {stage: {"units": found.units[stage], "seconds": found.seconds[stage]} for stage in stages}
        print(json.dumps({"states": len(described), "stages": told, "workers": processes, "starting": start,
                          "core_hours": seconds / 3600, "elapsed": elapsed, "bytes": found.bytes,
                          "memory": found.memory, "compiling": found.compiling, "notes": found.notes},
                         indent=2))  # fmt: skip
        return
    out = Console(highlight=False)
    out.print(f"{sweep}: {len(described)} states", markup=False, soft_wrap=True)
    table = Table("stage", "units to do", "core time", box=None, pad_edge=False)
    for stage in stages:
        part = found.seconds[stage]
        table.add_row(stage, str(found.units[stage]), "not known" if part is None else clock(part))
    table.add_row("starting", "", clock(start))
    table.add_row("all", str(units), f"{clock(seconds)}, {seconds / 3600:.3g} core-hours")
    out.print(table)
    where = f"with {processes} worker{'s' * (processes > 1)}" if processes else "in one process"
    out.print(f"time   {clock(elapsed)} {where}, longer where they share cores with other work")
    out.print(f"disk   {found.bytes / 1e6:.3g} MB")
    out.print(f"memory {found.memory / 2**20:.0f} MiB for a worker")
    if found.compiling > TOLD:
        out.print(
            f"besides, {clock(found.compiling)} were for kernels that were compiled now; each machine, or folder of "
            "caches, does that once: glassdask compile"
        )
    for note in found.notes:
        out.print(f"not known: {note}", markup=False, soft_wrap=True)


def _parsed_share(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None:
        raise ParameterError(f"--share {text}: expected two numbers such as 3/100, counted from 1")
    return int(match[1]), int(match[2])


def _overview(table: pd.DataFrame, width: int) -> Table:
    """One row for each model, density and temperature: complete states of all, by stage; short where narrow."""
    stages = table.attrs["stages"]
    levels = ["model", *(["density"] if table["density"].notna().any() else []), "temperature"]
    needs = sum(max(len(name), *(len(str(value)) for value in table[name])) + 3 for name in levels)
    narrow = needs + sum(max(len(stage), len("1 complete")) + 3 for stage in stages) + 1 > width
    title = escape(table.attrs["store"])
    shown = Table(title=title, title_justify="left", box=None if narrow else HEAVY_HEAD, pad_edge=not narrow)
    room = max(3, (width - needs) // len(stages) - 2)
    for column in (*levels, *stages):
        shown.add_column(
            column[:room] if narrow and column in stages else column, no_wrap=narrow or column not in stages
        )
    rows = [table[name].tolist() for name in (*levels, *stages)]
    points: dict[tuple[Any, ...], list[tuple[str, ...]]] = {}
    for row in zip(*rows):
        point = tuple(None if value != value else value for value in row[: len(levels)])
        points.setdefault(point, []).append(row[len(levels) :])
    for values in sorted(points, key=lambda point: [(value is None, value or 0) for value in point]):
        cells = []
        for found in map(Counter, zip(*points[values])):
            done = f"{found['complete']}/{found.total()}"
            others = [f"{found[name]} {name[:4] if narrow else name}" for name in OPEN if name in found]
            cells.append("\n".join([done, *others]))
        texts = (escape(value) if isinstance(value, str) else "" if value is None else f"{value:g}" for value in values)
        shown.add_row(*texts, *cells)
    return shown


def _summary(table: pd.DataFrame, stages: list[str], out: Console) -> bool:
    """Print counts and errors; tells whether all is complete."""
    names = ("complete", "partial", "failed", "waiting", "absent")
    for stage in stages:
        counts = table[stage].value_counts()
        out.print(f"{stage}: " + ", ".join(f"{counts[name]} {name}" for name in names if name in counts))
    errors = [
        f"{label}: {stage}: {row[f'{stage}_error']}"
        for stage in stages
        for label, row in table[table[f"{stage}_error"] != ""].iterrows()
    ]
    for line in errors[:MOST_ERRORS]:
        out.print(printable(line), soft_wrap=True, highlight=False, markup=False)
    path = shlex.quote(str(table.attrs["store"]))
    if len(errors) > MOST_ERRORS:
        out.print(f"... and {len(errors) - MOST_ERRORS} more: glassdask sweep status {path} --json")
    if (table[list(stages)] == "failed").any(axis=None):
        again = f"glassdask sweep retry {path}"
        out.print(f"mend what is wrong, then: {again}, or run the TOML file again if it is that", soft_wrap=True)
    return bool((table[list(stages)] == "complete").all(axis=None))


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="TOML file to write", show_default=False)],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file")] = False,
) -> None:
    """Write a file to begin a sweep with: every key with what it means; as it stands it runs in a minute or two."""
    from glassdask import files
    from glassdask.sweep.template import template

    if file.suffix != ".toml":
        raise ParameterError(f"{file}: expected a name that ends with .toml")
    if file.exists() and not overwrite:
        raise ParameterError(f"{file}: exists: choose another name, or replace it with --overwrite")
    files.put(file, template(file.name))
    print(f"{file}: edit it, then glassdask sweep run {shlex.quote(str(file))} --dry-run")
