"""Subcommands about stores themselves: export, repair, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glassdask.cli.advice import printable, shell
from glassdask.cli.options import Json, Quiet, Store, frames_of, print_json, progress_bar

app = typer.Typer()


@app.command()
def repair(store: Store) -> None:
    """Take back an append that was interrupted, restore what can be, and say what is lost (exit code 1)."""
    import glassdask as gd

    found = gd.repair(store)
    print(printable(str(found)))
    if found.lost:
        raise typer.Exit(1)


@app.command()
def verify(store: Store, quiet: Quiet = False, as_json: Json = False) -> None:
    """Read every chunk of a store and name those that are missing, truncated or altered (exit code 1)."""
    from glassdask import store as stores

    with progress_bar("verify", quiet) as progress:
        problems = stores.verify(store, progress=progress)
    if as_json:
        print_json({"store": str(store), "problems": problems})
    for problem in problems if not as_json else ():
        print(printable(problem))
    if problems:
        raise typer.Exit(1)
    if not as_json:
        print(f"{store}: every chunk is there and intact")


@app.command()
def export(
    store: Store,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="File to write: .extxyz .lammpstrj .data .gsd .h5md .csv .parquet; text also .gz .zst",
        ),
    ],
    columns: Annotated[
        list[str] | None,
        typer.Option("--with", help="Further columns: a variable, a descriptor, or reductions/NAME; repeatable"),
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="Frames, as Python counts them: 5, -1, 0:10, ::100 or 0,5,7")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Format, where the suffix does not tell")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file")] = False,
    quiet: Quiet = False,
) -> None:
    """Write a trajectory, with what was computed of every particle, as a file for OVITO, ASE, LAMMPS and others."""
    from glassdask.io.export import export as run

    with progress_bar("export", quiet) as progress:
        result = run(
            store,
            output,
            columns=columns or (),
            frames=None if frames is None else frames_of(frames),
            format=format,
            overwrite=overwrite,
            progress=progress,
        )
    print(shell(str(result)))
