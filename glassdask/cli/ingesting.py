"""``glassdask ingest``: trajectory files into a store, with the options of readers as one types them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from glassdask import remote
from glassdask.cli.advice import shell
from glassdask.cli.options import (
    Cluster,
    Json,
    Overwrite,
    Quiet,
    Workers,
    cluster_for,
    console,
    key_values,
    listed,
    print_json,
    progress_bar,
    value_of,
)
from glassdask.errors import ParameterError

app = typer.Typer()
# Of one core, roughly: what a file, and a byte of it, takes.
FILE_SECONDS, BYTE_SECONDS = 1e-3, 5e-8
STORE = ("--store", "-o")
# options that take several words, up to the next option or file
SEVERAL = ("--keep", "--species", "--column")


IN_PYTHON = "In Python: gd.save_trajectory(trajectory.assign_coords(time=('frame', times)), 'other.zarr')"


class _Ingest(TyperCommand):
    """A command whose help lists the formats, and some of whose options take several words."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """``--keep radius q`` is what ``--keep radius --keep q`` is."""
        if args and args[-1].rstrip("/").endswith(".zarr") and not any(arg.split("=")[0] in STORE for arg in args):
            raise ParameterError(f"where is the store to be written? If that is {args[-1]}, say --store {args[-1]}")
        return super().parse_args(ctx, spelled_out(args))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The usual help, then what is read, and what each format takes."""
        from glassdask.errors import PluginError
        from glassdask.io import FORMATS

        super().format_help(ctx, formatter)
        formatter.write("Formats are recognised by their content, text also in gzip, zstd, bzip2 and xz:\n\n")
        rows = []
        for name in FORMATS:
            try:
                found = FORMATS[name]
                takes = [f"--{'column' if option == 'columns' else option}" for option in found.options]
                known = ("--column", "--keep", "--topology", "--box")
                words = [word if word in known else f"--option {word[2:]}=..." for word in takes]
                rows.append((f"  {name}", f"{found.about or ' '.join(found.suffixes)}; {', '.join(words)}"))
            except PluginError as error:
                rows.append((f"  {name}", str(error)))
        formatter.write_dl(rows)


def spelled_out(args: list[str]) -> list[str]:
    """Arguments in which each option has one word.

    >>> spelled_out(["a.dump", "--keep", "radius", "q", "--store", "x.zarr"])
    ['a.dump', '--keep', 'radius', '--keep', 'q', '--store', 'x.zarr']
    """
    out: list[str] = []
    option, words = "", 0
    for arg in args:
        if arg.startswith("-"):
            option, words = (arg, 0) if arg in SEVERAL else ("", 0)
        elif option:
            if words and Path(arg).exists():
                option = ""
            elif words:
                out.append(option)
            words += 1
        out.append(arg)
    return out


@app.command(cls=_Ingest)
def ingest(
    sources: Annotated[list[Path], typer.Argument(help="Trajectory files of one run", show_default=False)],
    store: Annotated[Path, typer.Option("--store", "-o", help="Store to write", parser=remote.place, metavar="PATH")],
    format: Annotated[str | None, typer.Option(help="Format, where the content does not tell")] = None,
    species: Annotated[list[str] | None, typer.Option(help="New names of species, such as 1=A 2=B")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Which column is what, such as species=type energy=c_1")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Columns to keep as variables, such as radius q 'c_stress[1]', or all")
    ] = None,
    box: Annotated[
        str | None, typer.Option(help="Edges such as 4,4,4, or all vectors one after the other, of files without a box")
    ] = None,
    periodic: Annotated[
        str | None, typer.Option(help="Axes along which the box repeats, such as xy, or none; default what files say")
    ] = None,
    beyond: Annotated[
        str, typer.Option(help="What is beyond the faces of a box that does not repeat: unknown or nothing")
    ] = "unknown",
    dt: Annotated[float | None, typer.Option(help="Time of one step, of files that know only steps")] = None,
    dimension: Annotated[int | None, typer.Option(help="2 drops z, 3 keeps it where all z are equal")] = None,
    topology: Annotated[
        Path | None, typer.Option(help="File with the same particles that tells the species: run.data, first.dump, ...")
    ] = None,
    wrapped: Annotated[
        bool | None,
        typer.Option("--wrapped/--unwrapped", help="Whether positions were wrapped, of files that do not say"),
    ] = None,
    unordered: Annotated[
        bool, typer.Option("--unordered", help="Frames are independent: their steps and times are not read")
    ] = False,
    option: Annotated[list[str] | None, typer.Option(help="Another option of the format, KEY=VALUE")] = None,
    append: Annotated[bool, typer.Option("--append", help="Add frames to a store")] = False,
    overwrite: Overwrite = False,
    cluster: Cluster = "auto",
    workers: Workers = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Read trajectory files into a store. The same command continues where it was interrupted."""
    from glassdask.cluster import connect
    from glassdask.io import ingest as run
    from glassdask.io import look

    options: dict[str, Any] = {key: value_of(value) for key, value in key_values(option, "--option", "density=1.2")}
    own = {
        "species_names": dict(key_values(listed(species), "--species", "1=A")) or None,
        "columns": dict(key_values(listed(column), "--column", "species=type")) or None,
        "keep": [name for words in keep for name in words.split(",")] if keep else None,
        "box": None if box is None else _cell(box),
        "periodic": "" if periodic == "none" else periodic,
        "dt": dt,
        "dimension": dimension,
        "topology": None if topology is None else str(topology),
        "wrapped": wrapped,
        "ordered": False if unordered else None,
    }
    options |= {key: value for key, value in own.items() if value is not None}
    paths = look(sources, store, format=format, **options)  # before a cluster is started
    seconds = sum(FILE_SECONDS + BYTE_SECONDS * Path(path).stat().st_size for path in paths)
    how: dict[str, Any] = {"format": format, "append": append, "overwrite": overwrite, "beyond": beyond}
    with connect(cluster_for(cluster, seconds), workers=workers), progress_bar("ingest", quiet) as progress:
        result = run(sources, store, progress=progress, **how, **options)
    if as_json:
        print_json({**vars(result), "notes": [shell(note) for note in result.notes]})
        return
    print(shell(str(result)))
    if result.n_new and not unordered:
        _tell_of_times(result.store, dt is not None)


def _tell_of_times(store: str, given: bool) -> None:
    """That frames without times say nothing of how fast particles move, while it is easy to mend."""
    from glassdask.store.arrays import arrays
    from glassdask.store.layout import checked_path

    found = {info.name: info for info in arrays(checked_path(store))}
    if "time" in found or found["position"].shape[0] < 2:
        return
    if "step" in found:
        line = "no times are known: for dynamics, say --dt 0.005, or whatever the time of a step is, and --overwrite"
    elif given:
        line = "--dt means nothing without steps, which the files do not have: no times are known. " + IN_PYTHON
    else:
        return
    console.print(line, soft_wrap=True, highlight=False)


def _cell(text: str) -> list[Any]:
    """Edges, or the rows of a cell matrix."""
    try:
        numbers = [float(word) for word in text.strip("[]()").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3, 4, 9):
        raise ParameterError(f"--box {text}: expected 2 or 3 edges such as 4,4,4, or 4 or 9 components of the vectors")
    d = int(len(numbers) ** 0.5)
    return [numbers[k : k + d] for k in range(0, d * d, d)] if len(numbers) > 3 else numbers
