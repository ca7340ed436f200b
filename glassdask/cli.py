"""The command ``glassdask``: a subcommand for each stage, from files to figures."""

from __future__ import annotations

import json
import logging
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from glassdask import __version__
from glassdask.errors import GlassdaskError, ParameterError

app = typer.Typer(
    help="Local structure and dynamics of glass-forming liquids: ingest, describe, reduce, plot.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(stderr=True)

Store = Annotated[Path, typer.Argument(help="Store, or a state point inside a tree: sweep.zarr/KA/T=0.450")]
Cluster = Annotated[
    str,
    typer.Option("--cluster", help="local (a process for each core), threads, tcp://HOST:PORT, or a TOML profile"),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Number of workers instead of the default")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there with other parameters")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars")]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version and exit")] = False) -> None:
    if version:
        print(f"glassdask {__version__}")
        raise typer.Exit


@app.command()
def ingest(
    sources: Annotated[list[Path], typer.Argument(help="Trajectory files in the order of time", show_default=False)],
    store: Annotated[Path, typer.Option("--store", "-o", help="Store to write")],
    format: Annotated[str | None, typer.Option(help="Reader, where the suffix does not tell")] = None,
    species: Annotated[list[str] | None, typer.Option(help="New name of a species, such as 1=A; repeatable")] = None,
    option: Annotated[list[str] | None, typer.Option(help="Option of the reader, KEY=VALUE; repeatable")] = None,
    append: Annotated[bool, typer.Option("--append", help="Add frames to a store")] = False,
    overwrite: Overwrite = False,
    cluster: Cluster = "local",
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Read trajectory files into a store. The same command continues where it was interrupted."""
    from glassdask.cluster import connect
    from glassdask.io import ingest as run

    names: dict[Any, str] = dict(_pairs(species, "--species", "1=A"))
    options = {key: _value(value) for key, value in _pairs(option, "--option", "dt=0.005")}
    with connect(cluster, workers=workers), _bar("ingest", quiet) as progress:
        result = run(
            sources,
            store,
            format=format,
            append=append,
            overwrite=overwrite,
            species_names=names or None,
            progress=progress,
            **options,
        )
    print(result)


@app.command()
def simulate(
    sweep: Annotated[Path, typer.Argument(help="TOML file of models, temperatures, densities, seeds and protocol")],
    overwrite: Overwrite = False,
    cluster: Cluster = "local",
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Simulate every state point of a sweep with LAMMPS, into stores. The same command continues where it was killed.

    A state point that fails does not stop the others; its error is printed and the exit code is 1.
    """
    from glassdask.cluster import connect
    from glassdask.simulation import read_sweep, run_sweep

    points = read_sweep(sweep)
    with connect(cluster, workers=workers) as client, _bar("simulate", quiet) as progress:
        failed = run_sweep(points, client, overwrite=overwrite, progress=progress)
    for point in points:
        print(f"{point.path}: {'failed: ' + str(failed[point.path]) if point.path in failed else 'complete'}")
    if failed:
        raise typer.Exit(1)


@app.command()
def info(store: Store, as_json: Annotated[bool, typer.Option("--json", help="Print as JSON")] = False) -> None:
    """Show what a store holds, how it is cut, and where it came from."""
    from glassdask import store as stores

    found = stores.info(store)
    if as_json:
        print(json.dumps(found, indent=2, default=str))
        return
    table = Table("array", "shape", "dtype", "chunks", "files", "MB", title=str(found["path"]), title_justify="left")
    for name, array in found["arrays"].items():
        size = f"{array['bytes_stored'] / 1e6:.2f} / {array['bytes'] / 1e6:.2f}"
        files = f"{array['files']} of {array['files_expected']}"
        table.add_row(name, str(tuple(array["shape"])), array["dtype"], str(tuple(array["chunks"])), files, size)
    out = Console()
    out.print(table)
    out.print(f"status {found['status']}, created {found['created']} by glassdask {found['glassdask_version']}")
    out.print("species " + ", ".join(f"{name}: {count}" for name, count in found["species"].items()))
    for source in found["sources"]:
        out.print(f"from {source['name']} ({source['n_frames']} frames, sha256 {source['sha256'][:16]}...)")
    for kind in ("descriptors", "reductions"):
        for name, group in found.get(kind, {}).items():
            out.print(f"{kind}/{name}: {group['status']}, {json.dumps(group['parameters'], sort_keys=True)}")


@app.command()
def verify(store: Store, quiet: Quiet = False) -> None:
    """Read every chunk of a store and name those that are missing, truncated or altered (exit code 1)."""
    from glassdask import store as stores

    with _bar("verify", quiet) as progress:
        problems = stores.verify(store, progress=progress)
    for problem in problems:
        print(problem)
    if problems:
        raise typer.Exit(1)
    print(f"{store}: every chunk is there and intact")


@app.command()
def cutoffs(
    store: Store,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write g(r) as PNG and CSV here")] = None,
    cutoff: Annotated[list[str] | None, typer.Option(help="Override a pair, such as A-B=1.25; repeatable")] = None,
    cluster: Cluster = "local",
    workers: Workers = None,
) -> None:
    """Find the first minima of the partial g(r) and show how they were chosen."""
    from glassdask.cluster import connect

    with connect(cluster, workers=workers):
        chosen, distribution = _measure_cutoffs(_open(store), _cutoffs(cutoff), Console())
    if output is not None:
        from glassdask import plotting

        drawn, axes = plotting.figure(1, len(chosen))
        plotting.save(drawn, output, plotting.pair_correlations(axes[0], distribution["g"], chosen))


@app.command()
def describe(
    store: Store,
    descriptors: Annotated[
        list[str] | None,
        typer.Argument(help="Descriptors, such as bo or sbo:l_max=8,gamma=8", show_default=False),
    ] = None,
    parameters: Annotated[
        Path | None, typer.Option(help="TOML file with a table of parameters for each descriptor")
    ] = None,
    centers: Annotated[str | None, typer.Option(help="Species of the central particles, such as B or A,B")] = None,
    cutoff: Annotated[list[str] | None, typer.Option(help="Cutoff of a pair, such as A-B=1.25; repeatable")] = None,
    overwrite: Overwrite = False,
    cluster: Cluster = "local",
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Compute descriptors of every particle, all in one pass. The same command continues where it was interrupted.

    Cutoffs that are not given are the first minima of the partial g(r), diameters the first peaks of g_aa(r).
    """
    import glassdask as gd
    from glassdask.cluster import connect
    from glassdask.descriptors import registry

    wanted = _wanted(descriptors, parameters)
    given = _cutoffs(cutoff)
    trajectory = _open(store)

    @cache
    def measured() -> dict[tuple[str, str], float]:
        return _measure_cutoffs(trajectory, given, console)[0]

    defaults = {"cutoffs": measured, "diameters": cache(lambda: gd.first_peaks(trajectory))}
    with connect(cluster, workers=workers):
        made = {name: registry.make(kind, values, defaults) for name, (kind, values) in wanted.items()}
        features = gd.describe(trajectory, made, centers=centers.split(",") if centers else None)
        with _bar("describe", quiet) as progress:
            gd.save_descriptors(features, store, overwrite=overwrite, progress=progress)
    print(f"{store}: " + ", ".join(f"descriptors/{name}" for name in made))


@app.command()
def reduce(
    store: Store,
    descriptor: Annotated[str, typer.Argument(help="Name of a stored descriptor, such as sbo")],
    components: Annotated[int | None, typer.Option(min=1, help="Number of components; default all")] = None,
    method: Annotated[str, typer.Option(help="exact, or incremental (dask-ml)")] = "exact",
    scale: Annotated[bool, typer.Option("--scale", help="Divide each feature by its standard deviation")] = False,
    name: Annotated[str | None, typer.Option(help="Name of the reduction; default that of the descriptor")] = None,
    overwrite: Overwrite = False,
    cluster: Cluster = "local",
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Principal components of a descriptor, with the projections of every particle."""
    import glassdask as gd
    from glassdask.cluster import connect

    with connect(cluster, workers=workers):
        features = gd.open_descriptors(store, [descriptor])[descriptor]
        reduced = gd.reduce(features, n_components=components, method=method, scale=scale)
        with _bar("reduce", quiet) as progress:
            gd.save_reduction(reduced, store, name or descriptor, overwrite=overwrite, progress=progress)
    for k, ratio in enumerate(reduced["explained_variance_ratio"].values[:8], start=1):
        print(f"PC{k}: {100 * ratio:.1f} % of the variance")


@app.command()
def plot(
    store: Store,
    reduction: Annotated[str, typer.Argument(help="Name of a stored reduction, such as sbo")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG to write; its numbers go beside it as CSV")],
) -> None:
    """Draw a reduction: density, marginal, directions and explained variance."""
    import glassdask as gd
    from glassdask import plotting

    drawn, table = plotting.reduction(gd.open_reduction(store, reduction))
    plotting.save(drawn, output, table)
    print(f"{output.with_suffix('.png')} and {output.with_suffix('.csv')}")


def main() -> None:
    """Run the command; failures of a known kind are one line and exit code 1."""
    # dask's workers announce every arrival and departure; a person at a prompt wants the errors
    logging.getLogger("distributed").setLevel(logging.ERROR)
    try:
        app()
    except GlassdaskError as error:
        sys.exit(f"glassdask: {error}")
    except KeyboardInterrupt:
        sys.exit("glassdask: interrupted; the same command goes on from here")


@contextmanager
def _bar(what: str, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar as the callback (done, total) that long work takes."""
    if quiet:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _open(store: Path) -> Any:
    import glassdask as gd

    return gd.open_trajectory(store)


def _measure_cutoffs(trajectory: Any, given: dict[tuple[str, str], float], out: Console) -> tuple[dict, Any]:
    """Cutoff of each pair, first minimum unless it is given, with a table of what was found; and the g(r)."""
    import glassdask as gd

    distribution = gd.radial_distribution(trajectory)
    names = [str(name) for name in distribution["species_a"].values]
    pairs = list(combinations_with_replacement(names, 2))
    unknown = sorted(set(given) - set(pairs))
    if unknown:
        raise ParameterError(f"--cutoff {'-'.join(unknown[0])}: the species of this store are {', '.join(names)}")
    table = Table("pair", "first peak", "g", "first minimum", "g", "cutoff", "note", title="partial g(r)")
    chosen = {}
    for pair in pairs:
        if pair in given:
            chosen[pair] = given[pair]
            table.add_row("-".join(pair), "", "", "", "", f"{chosen[pair]:.3f}", "given")
            continue
        shell = gd.first_shell(distribution, *pair)
        chosen[pair] = shell.minimum
        numbers = (shell.peak, shell.height, shell.minimum, shell.depth, chosen[pair])
        table.add_row("-".join(pair), *(f"{number:.3f}" for number in numbers), shell.note)
    out.print(table)
    return chosen, distribution


def _wanted(descriptors: list[str] | None, parameters: Path | None) -> dict[str, tuple[str, dict[str, Any]]]:
    """Variable name -> (kind of descriptor, its parameters) from arguments and a parameter file."""
    from glassdask.descriptors.registry import parse

    wanted = {}
    for text in descriptors or ():
        kind, values = parse(text)
        wanted[values.pop("name", kind)] = (kind, values)
    if parameters is not None:
        try:
            tables = tomllib.loads(parameters.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ParameterError(
                f"{parameters}: {error}: expected a TOML file with a table for each descriptor"
            ) from None
        for name, values in tables.items():
            if not isinstance(values, dict):
                raise ParameterError(
                    f"{parameters}: '{name}' stands outside of a table: put it below [sbo] or another name"
                )
            wanted[name] = (values.pop("descriptor", name), values)
    if not wanted:
        raise ParameterError("no descriptors: name at least one, such as sbo, or give --parameters FILE")
    return wanted


def _pairs(texts: list[str] | None, what: str, example: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ParameterError(f"{what} {text}: expected KEY=VALUE, such as {example}")
        pairs.append((key, value))
    return pairs


def _cutoffs(texts: list[str] | None) -> dict[tuple[str, str], float]:
    result = {}
    for key, value in _pairs(texts, "--cutoff", "A-B=1.25"):
        a, dash, b = key.partition("-")
        try:
            result[tuple(sorted((a, b)))] = float(value)
        except ValueError:
            dash = ""
        if not dash:
            raise ParameterError(f"--cutoff {key}={value}: expected two species and a number, such as A-B=1.25")
    return result  # type: ignore[return-value]


def _value(text: str) -> Any:
    """A TOML value, or the text itself: numbers, lists and quoted words mean what they say."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
