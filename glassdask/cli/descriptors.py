"""``glassdask descriptors``: what descriptors there are."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from glassdask.cli.completion import descriptor_names
from glassdask.cli.options import Json

app = typer.Typer()
# What docstrings call papers A, B and C; deploy/docs/conf.py makes links of them.
PAPERS = {
    "A": "Coslovich, Jack and Paret (2022)",
    "B": "Rottler and Ortner (2024)",
    "C": "Oyama, Koyama and Kawasaki (2023)",
}


@app.command()
def descriptors(
    name: Annotated[
        str | None,
        typer.Argument(help="One of them, by its name or class", autocompletion=descriptor_names, show_default=False),
    ] = None,
    cost: Annotated[bool, typer.Option("--cost", help="Measure what each takes on this machine")] = False,
    as_json: Json = False,
) -> None:
    """List the descriptors, those of other packages too; of one its formula, parameters, cost and examples."""
    from glassdask.descriptors.catalogue import entries, entry, microseconds

    found = entries() if name is None else [entry(name)]
    costs = {each.name: microseconds(each.name) for each in found} if cost or name is not None else {}
    if as_json:
        tables = [_table(each, costs) for each in found]
        print(json.dumps(tables if name is None else tables[0], indent=2))
        return
    out = Console(highlight=False)
    if name is not None:
        _tell(found[0], _cost(costs[found[0].name]), out)
        return
    table = Table(box=None, pad_edge=False, show_header=bool(costs))
    for column in ("name", "class", *(["microseconds a particle"] if costs else []), "what it is"):
        table.add_column(column)
    for each in found:
        told = [_cost(costs[each.name])] if costs else []
        table.add_row(each.name, each.class_name, *told, _plain(each.title))
    out.print(table)
    out.print("\nMore of one: glassdask descriptors soap")


def _table(found: Any, costs: dict[str, float]) -> dict[str, Any]:
    """An entry as JSON has it."""
    keys = ("name", "kind", "default", "meaning")
    table = asdict(found)
    table |= {"title": with_papers(found.title), "text": with_papers(found.text)}
    table["parameters"] = [dict(zip(keys, map(with_papers, row))) for row in found.parameters]
    if found.name in costs:
        table["microseconds"] = None if math.isnan(costs[found.name]) else round(costs[found.name], 2)
    return {**table, "shell": found.shell, "toml": found.toml, "python": found.python}


def _tell(found: Any, cost: str, out: Console) -> None:
    out.print(f"[bold]{found.name}[/bold]  {found.class_name} of {found.module}", soft_wrap=True)
    out.print(f"{_plain(found.title)}\n\n{_plain(found.text)}\n", soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, kind, default, meaning in found.parameters:
        told = f"default {default}" if default else "needed"
        if name in found.measured:
            told = "measured where it is not given"
        table.add_row(name, f"{escape(f'{kind}; {told}')}\n{_plain(meaning)}")
    out.print(table)
    out.print(f"\ncost      {cost} microseconds of a core for a particle, measured now with the example")
    out.print(f"shell     glassdask describe STORE {escape(found.shell)}", soft_wrap=True)
    out.print(f"Python    gd.describe(trajectory, {escape(found.python)})", soft_wrap=True)
    first, *others = found.toml.splitlines()
    out.print("\n          ".join([f"TOML      {escape(first)}", *map(escape, others)]), soft_wrap=True)


def with_papers(text: str) -> str:
    """A docstring with the names of those whose papers it calls A, B and C.

    >>> with_papers("The `l` of paper A, Eq. 7")
    'The `l` of Coslovich, Jack and Paret (2022), Eq. 7'
    """
    return re.sub(r"\b[Pp]aper ([ABC])\b", lambda found: PAPERS[found[1]], text)


def _plain(text: str) -> str:
    """That without its marks."""
    return escape(with_papers(text).replace("`", ""))


def _cost(microseconds: float) -> str:
    return "?" if math.isnan(microseconds) else f"{microseconds:.3g}"
