"""One page for each public name, and one with a table for each module."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import glassdask as gd

# modules of the front door, and what their page says
MODULES = {
    "glassdask": "Everything at hand as `gd.NAME`: trajectories, descriptors, neighbours, reductions, fields, files.",
    "glassdask.dynamics": "How particles move.",
    "glassdask.learning": "Reduction, regression, classification, correlation.",
    "glassdask.simulation": "Model liquids and protocols, run by LAMMPS.",
    "glassdask.sweep": "Many states from one TOML file.",
    "glassdask.store": "Zarr stores.",
    "glassdask.plotting": "Figures.",
    "glassdask.cluster": "Where the work runs.",
    "glassdask.correlations": "g(r), S(k), bond angles.",
    "glassdask.io": "Readers and writers.",
    "glassdask.errors": "What can go wrong.",
}

# of the front door: where a name comes from, and under which heading it stands
HEADINGS = {
    "descriptors": "Descriptors, reduction and correlation", "neighborhood": "Neighbours",
    "correlations": "Pair correlations", "fields": "Fields",
    "frames": "Functions of your own", "io": "Files and objects",
    "store": "Stores", "schema": "Trajectories", "sizes": "Trajectories", "examples": "Trajectories",
}  # fmt: skip


def module(name: str) -> Any:
    """The module, by the way of a user: `gd.dynamics`."""
    return gd if name == "glassdask" else getattr(gd, name.partition(".")[2])


def public(name: str) -> Iterator[tuple[str, Any]]:
    """Names of a module that are public and its own, with what they are."""
    of = module(name)
    names = getattr(of, "__all__", None) or [
        key for key, value in vars(of).items()
        if getattr(value, "__module__", "").startswith(name) and (inspect.isclass(value) or inspect.isfunction(value))
    ]  # fmt: skip
    for key in sorted(names, key=str.lower):
        value = getattr(of, key)
        if not key.startswith("_") and not inspect.ismodule(value) and key != "LOADED":
            yield key, value


def summary(value: Any) -> str:
    """The first line of its docstring."""
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return f"{type(value).__name__}."
    text = (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ")
    if ":math:" not in text:
        text = text.replace("*", r"\*").replace("|", r"\|")
    return re.sub(r"(?<![`:])`([^`]+)`(?!`)", r"``\1``", text)


def add(place: Path) -> None:
    """Write the pages."""
    place.mkdir(parents=True, exist_ok=True)
    where: dict[int, str] = {}  # what the front door has already
    for name, about in MODULES.items():
        (place / name).mkdir()
        rows: dict[str, list[str]] = {}
        pages = []
        for key, value in public(name):
            known = where.setdefault(id(value), f"{name}/{key}")
            text = "As there."
            if known == f"{name}/{key}":
                (place / name / f"{key}.rst").write_text(page(name, key, value), encoding="utf-8")
                pages.append(f"   {name}/{key}")
                text = summary(value)
            origin = getattr(value, "__module__", "").split(".")
            heading = HEADINGS.get(origin[1], "Others") if name == "glassdask" and len(origin) > 1 else ""
            rows.setdefault(heading, []).append(f"   * - :doc:`{key} <{known}>`\n     - {text}")
        tables = [
            f"{head}\n{'-' * len(head)}\n\n{table(rows[head])}" if head else table(rows[head]) for head in sorted(rows)
        ]
        tree = "\n".join([".. toctree::", "   :hidden:", "", *pages])
        whole = "\n\n".join([f"{name}\n{'=' * len(name)}", about, *tables, tree])
        (place / f"{name}.rst").write_text(f"{whole}\n", encoding="utf-8")
    rows_of_all = [f"   * - :doc:`{name}`\n     - {about}" for name, about in MODULES.items()]
    tree = "\n".join([".. toctree::", "   :hidden:", "", *(f"   {name}" for name in MODULES)])
    (place / "index.rst").write_text(f"API\n===\n\n{table(rows_of_all)}\n\n{tree}\n", encoding="utf-8")


def table(rows: list[str]) -> str:
    """Of two columns."""
    return "\n".join([".. list-table::", "   :widths: 30 70", "", *rows])


def page(of: str, key: str, value: Any) -> str:
    """The page of a name."""
    name = f"{of}.{key}"
    head = f"{key}\n{'=' * len(key)}\n\n"
    if inspect.isclass(value):
        return f"{head}.. autoclass:: {name}\n   :members:\n   :exclude-members: plan\n"
    if inspect.isfunction(value):
        return f"{head}.. autofunction:: {name}\n"
    text = str(value) if isinstance(value, (str, int, float)) else f"of the class {type(value).__name__}"
    return f"{head}.. py:data:: {name}\n\n   A constant, {text}.\n"
