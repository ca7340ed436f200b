"""Subcommands about stores themselves: export, info, repair, verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from glassdask.cli.advice import shell
from glassdask.cli.options import (
    Quiet,
    Store,
    frames_of,
    progress_bar,
)

app = typer.Typer()


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
    made = f", created {found['created']} by glassdask {found['glassdask_version']}" if "created" in found else ""
    out.print(f"status {found['status']}{made}")
    if "species" in found:
        of_frames = ", in all frames together" if "frame" in found["arrays"]["species"]["dims"] else ""
        out.print("species " + ", ".join(f"{name}: {n}" for name, n in found["species"].items()) + of_frames)
    for source in found.get("sources", []):
        frames = f"{source['n_frames']} frames, " if "n_frames" in source else ""
        out.print(f"from {source.get('name')} ({frames}sha256 {str(source.get('sha256'))[:16]}...)")
    if "append" in found:
        files = ", ".join(found["append"]["files"])
        out.print(f"{found['append']['frames']} frames of {files} are being added, or that was interrupted")
    for kind in ("descriptors", "reductions"):
        for name, group in found.get(kind, {}).items():
            other = ", made by other code than is installed" if _outdated(kind, group) else ""
            other += f", {group['out_of_date']}" if group["out_of_date"] else ""
            out.print(f"{kind}/{name}: {group['status']}{other}, {json.dumps(group['parameters'], sort_keys=True)}")


def _outdated(kind: str, group: dict[str, Any]) -> bool:
    """Whether a descriptor, or a reduction of one, was computed by other code; what others have made is not known."""
    from glassdask.descriptors.saving import codes_now

    made_by = (group["code"] or "").split()
    now = codes_now(kind, group["parameters"]) if made_by else []
    return any(known not in (None, made) for made, known in zip(made_by, now))


@app.command()
def repair(store: Store) -> None:
    """Take back an append that was interrupted, restore what can be, and say what is lost (exit code 1)."""
    import glassdask as gd

    found = gd.repair(store)
    print(found)
    if found.lost:
        raise typer.Exit(1)


@app.command()
def verify(store: Store, quiet: Quiet = False) -> None:
    """Read every chunk of a store and name those that are missing, truncated or altered (exit code 1)."""
    from glassdask import store as stores

    with progress_bar("verify", quiet) as progress:
        problems = stores.verify(store, progress=progress)
    for problem in problems:
        print(problem)
    if problems:
        raise typer.Exit(1)
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
