"""``glassdask plot``: whatever is stored, as a figure."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from glassdask.cli.advice import tell_other_code
from glassdask.cli.options import Json, Store, console, is_sweep
from glassdask.errors import ParameterError

app = typer.Typer()


def _known(store: Path) -> dict[str, str]:
    from glassdask import drawing

    return drawing.sweep_pictures(store) if is_sweep(store) else drawing.pictures(store)


def _names(ctx: typer.Context, incomplete: str) -> list[str]:
    """What can be drawn of the store on the line."""
    store = ctx.params.get("store")
    return [] if store is None else [name for name in _known(store) if name.startswith(incomplete)]


@app.command()
def plot(
    store: Store,
    what: Annotated[
        str | None,
        typer.Argument(
            help="A reduction (sbo, chi4, structure), one of its curves (fs, g, S), a descriptor, evr or particles; of "
            "a sweep tau, energy or evr. Without it: what there is",
            autocompletion=_names,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="PNG, PDF or SVG to write; its numbers go beside it as CSV"),
    ] = None,
    color: Annotated[
        str, typer.Option(help="What colours the particles: species, theta, sbo_4, reductions/sbo ...")
    ] = "species",
    frame: Annotated[int, typer.Option(help="Frame of the particles; -1 is the last one")] = 0,
    normal: Annotated[str, typer.Option(help="Axis along which one looks at particles: x, y or z")] = "z",
    between: Annotated[str | None, typer.Option(help="Ends of the slice along it, such as 3.0:4.0")] = None,
    as_json: Json = False,
) -> None:
    """Draw what is stored of a trajectory, or of all states of a sweep. Nothing that is out of date is drawn."""
    from glassdask import drawing, plotting

    if what is None and output is not None:
        raise ParameterError(f"say what is to be drawn: one of {', '.join(_known(store))}")
    if what is None:
        _list(store, as_json)
        return
    if output is None:
        raise ParameterError(f"where to? Give a file, such as -o {what.replace('/', '_')}.png")
    plotting.check_output(output)
    ends = _ends(between)
    if is_sweep(store):
        drawn, table = drawing.draw_sweep(store, what, lambda text: console.print(text, markup=False))
    else:
        _check_described(store, what)
        drawn, table = drawing.draw(store, what, color=color, frame=frame, normal=normal, between=ends)
    plotting.save(drawn, output, table)
    for used in [] if is_sweep(store) else _used(store, what, color):
        tell_other_code(store, used)
    written = [str(path) for path in plotting.paths(output)]
    print(json.dumps(written) if as_json else " and ".join(written))


def _used(store: Path, what: str, color: str) -> list[str]:
    """The descriptors and reductions of which a figure is: of all components, or of what colours the particles."""
    if what not in ("evr", "particles"):
        return [what]
    names = {name: name.removeprefix("descriptors/") for name in _known(store)}
    if what == "evr":
        return [f"reductions/{name}" for name in names]
    shown = color.removeprefix("reductions/")
    return [name for name, of in names.items() if shown == of or shown.startswith(f"{of}_")]


def _list(store: Path, as_json: bool) -> None:
    known = _known(store)
    if as_json:
        print(json.dumps(known, indent=2))
        return
    out = Console(highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, meaning in known.items():
        table.add_row(escape(name), escape(meaning))
    out.print(table)
    if known:
        out.print(
            f"\nglassdask plot {shlex.quote(str(store))} {next(iter(known))} -o picture.png",
            soft_wrap=True,
            markup=False,
        )
    else:
        out.print(f"{store}: nothing to draw yet", soft_wrap=True, markup=False)


def _check_described(store: Path, what: str) -> None:
    """Raise `ParameterError` where a descriptor is to be drawn that nobody has described yet, nor something like it."""
    from glassdask.descriptors.registry import DESCRIPTORS, kind_of

    kind = kind_of(what)
    if kind in DESCRIPTORS and not any(what in name.split("/") for name in _known(store)):
        path = shlex.quote(str(store))
        raise ParameterError(f"{store}: no '{what}' is stored: describe it first, glassdask describe {path} {kind}")


def _ends(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(word) for word in text.split(":"))
    except ValueError:
        raise ParameterError(f"--between {text}: expected two numbers, such as 3.0:4.0") from None
    return low, high
