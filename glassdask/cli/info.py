"""``glassdask info``: what a store holds, in the words of physics, and what can be done next."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from glassdask.cli.advice import printable, shell
from glassdask.cli.options import Json, Store, is_sweep

app = typer.Typer()
MOST_GROUPS = 20


@app.command()
def info(
    store: Store,
    arrays: Annotated[
        bool, typer.Option("--arrays", help="Also shapes, chunks, files and bytes of all arrays")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a store or a sweep holds: particles, box, times, what is described, and what to do next."""
    from glassdask.store import checks
    from glassdask.store.groups import COMPLETE, attributes
    from glassdask.store.layout import checked_path
    from glassdask.store.others import refuse_others

    if is_sweep(store):
        _sweep(Path(str(store)), as_json)
        return
    refuse_others(checked_path(store), store)
    attrs = attributes(store)
    trajectory = attrs.get("status") == COMPLETE and "input" not in attrs
    physics = _physics(store) if trajectory else {}
    if as_json:
        print(json.dumps({**checks.info(store), "physics": physics}, indent=2, default=str))
        return
    out = Console(highlight=False)
    if trajectory:
        derived = _derived(store)
        lines = _lines(store, physics, attrs, derived)
        _tell(lines, _next(store, lines, derived), store, out)
    if arrays or not trajectory:
        _table(checks.info(store), out)


def _physics(store: Any) -> dict[str, Any]:
    """Numbers of a trajectory, from its metadata and small arrays, without all that computes with the others."""
    from glassdask.physics import SMALL, numbers, physics
    from glassdask.store.arrays import arrays, read_region
    from glassdask.store.encoding import decode_names
    from glassdask.store.groups import attributes, content_hash
    from glassdask.variables import TRAJECTORY

    state = content_hash(store)
    found = {info.name: info for info in arrays(store)}
    if not {"position", "box", "species"} <= found.keys():
        import glassdask as gd

        return physics(gd.open_trajectory(store))  # which tells what is wrong with it
    small = {}
    for name in found.keys() & {*SMALL}:
        info = found[name]
        first = slice(0, 1 if info.dims == ("frame", "particle") else info.shape[0])
        small[name] = read_region(info, (first, *(slice(0, size) for size in info.shape[1:])))
    small["species"], _ = decode_names(small["species"], found["species"].attrs, str(found["species"].path))
    attrs, position = attributes(store), found["position"]
    text = attrs.get("text", {})
    labels = {*str(attrs.get("coordinates", "")).split(), *position.dims}
    labels |= {name for name, stored in text.items() if stored.get("coordinate")}
    names = [name for name in (*found, *text) if name not in labels]
    names.sort(key=lambda name: list(TRAJECTORY).index(name) if name in TRAJECTORY else len(TRAJECTORY))
    units = str(position.attrs.get("units", ""))
    result = numbers(small, dict(zip(position.dims, position.shape)), units, names)
    return result if content_hash(store) == state else _physics(store)


def _lines(store: Any, found: dict[str, Any], attrs: dict[str, Any], derived: dict[str, Any]) -> dict[str, str]:
    """Topic -> what there is."""
    from glassdask.physics import physics_lines
    from glassdask.store.checks import append_of
    from glassdask.store.groups import is_group
    from glassdask.store.layout import checked_path

    lines = physics_lines(found)
    lines["from"] = _sources(attrs)
    if (append := append_of(checked_path(store))) is not None:
        lines["append"] = _append(append)
    for word, groups in derived.items():
        told = []
        for name, (details, _, _) in list(groups.items())[:MOST_GROUPS]:
            told.append(f"{name} ({'; '.join(details)})" if details else name)
        lines[word] = ", ".join(told) + (f" and {len(groups) - MOST_GROUPS} more" if len(groups) > MOST_GROUPS else "")
    others = [name for name in ("inherent", "isoconfigurational") if is_group(checked_path(store) / name)]
    lines["below"] = ", ".join(f"{store}/{name}" for name in others)
    return {key: text for key, text in lines.items() if text}


def _append(found: dict[str, Any]) -> str:
    return f"{found['frames']} frames of {', '.join(found['files'])} are being added, or that was interrupted"


def _sources(attrs: dict[str, Any]) -> str:
    """Where it came from, on one line however many files there were."""
    sources = attrs.get("sources") or []
    when = f", {str(attrs['created'])[:10]}" if "created" in attrs else ""
    parameters = attrs.get("parameters")
    if isinstance(parameters, dict) and parameters.get("type") == "simulation":
        return f"a simulation of {parameters['model']['name']} with LAMMPS{when}"
    if not sources:
        return ""
    names = [str(source.get("name")) for source in sources]
    told = names[0] if len(names) == 1 else f"{len(names)} files, {names[0]} to {names[-1]}"
    return f"{told}{when}"


def _derived(store: Any) -> dict[str, dict[str, tuple[list[str], str, bool]]]:
    """What is described and reduced: by name what is told of it, what is wrong, and whether it has several features."""
    from glassdask.descriptors.codes import outdated
    from glassdask.store.groups import COMPLETE, attributes, children, is_group
    from glassdask.store.layout import checked_path
    from glassdask.store.metadata import read_metadata
    from glassdask.store.origins import out_of_date

    root = checked_path(store)
    found = {}
    for kind, word in (("descriptors", "described"), ("reductions", "reduced")):
        groups = {}
        for group in children(root / kind, "group") if is_group(root / kind) else []:
            attrs = attributes(group)
            parameters = attrs.get("parameters") or {}
            state = "" if attrs.get("status") == COMPLETE else "not complete: run the same command again"
            state = state or shell(out_of_date(group) or "")
            state = state or ("made by other code: --overwrite computes it anew" if outdated(kind, attrs) else "")
            known = parameters if isinstance(parameters, dict) else {}
            of = [f"of {', '.join(known['centers'])}"] if known.get("centers") else []
            of += [f"at {', '.join(known['structures'])}"] if known.get("structures") else []
            arrays = [array for array in children(group, "array") if array.name == group.name]
            features = any(len(read_metadata(array / "zarr.json")["shape"]) > 2 for array in arrays)
            groups[group.name] = ([*of, *([state] if state else [])], state, features)
        found[word] = groups
    return found


def _next(store: Any, lines: dict[str, str], derived: dict[str, Any]) -> list[str]:
    """Commands that go on from here, with what is complete and up to date."""
    path = shlex.quote(str(store))
    described, reduced = ({n: g for n, g in derived[word].items() if not g[1]} for word in ("described", "reduced"))
    several = [name for name, (_, _, features) in described.items() if features]
    again = {word: {n for n, g in derived[word].items() if "--overwrite" in g[1]} for word in derived}
    if not described:
        first = "hexatic" if "in 2 dimensions" in lines["particles"] else "sbo"
        first += " --overwrite" if first in again["described"] else ""
        commands = [f"glassdask describe {path} {first}", "glassdask descriptors"]
    elif several and not reduced.keys() & several:
        more = " --overwrite" if several[0] in again["reduced"] else ""
        commands = [f"glassdask reduce {path} {shlex.quote(several[0])}{more}"]
    else:
        first = next((name for name in several if name in reduced), next(iter(described)))
        commands = [f"glassdask plot {path} {shlex.quote(first)} -o {shlex.quote(f'{first}.png')}"]
    if (
        "relaxation" not in reduced
        and "msd" not in reduced
        and "t = " in lines["frames"]
        and "apart" in lines["frames"]
    ):
        commands.append(f"glassdask dynamics {path} msd fs chi4")
    return commands


def _tell(lines: dict[str, str], commands: list[str], store: Any, out: Console) -> None:
    out.print(f"[bold]{store}[/bold]", soft_wrap=True)
    for key, text in lines.items():
        out.print(f"  {key:10} {printable(text)}", soft_wrap=True, markup=False)
    for number, command in enumerate(commands):
        out.print(f"  {'' if number else 'next':10} {command}", soft_wrap=True, markup=False)


def _table(found: dict[str, Any], out: Console) -> None:
    """Arrays with their layout, and what else is known of a group that is no complete trajectory."""
    table = Table("array", "shape", "dtype", "chunks", "files", "MB", title=str(found["path"]), title_justify="left")
    for name, array in found["arrays"].items():
        size = f"{array['bytes_stored'] / 1e6:.2f} / {array['bytes'] / 1e6:.2f}"
        files = f"{array['files']} of {array['files_expected']}"
        table.add_row(name, str(tuple(array["shape"])), array["dtype"], str(tuple(array["chunks"])), files, size)
    if found["arrays"]:
        out.print(table)
    made = f", created {found['created']} by glassdask {found['glassdask_version']}" if "created" in found else ""
    out.print(printable(f"{found['path']}: status {found['status']}{made}"), soft_wrap=True, markup=False)
    if "append" in found:
        out.print(_append(found["append"]))
    if "groups" in found:
        names = found["groups"]
        more = f" and {len(names) - MOST_GROUPS} more" if len(names) > MOST_GROUPS else ""
        out.print(printable(f"holds {', '.join(names[:MOST_GROUPS])}{more}"), soft_wrap=True, markup=False)


def _sweep(store: Path, as_json: bool) -> None:
    """What a sweep is of, and how far it is."""
    from glassdask.sweep import status

    table = status(store)
    stages = table.attrs["stages"]
    done = {stage: int((table[stage] == "complete").sum()) for stage in stages}
    models = {
        str(model): sorted({float(t) for t in states["temperature"]})
        for model, states in table.groupby("model", sort=False)
    }
    if as_json:
        found = {"path": str(store), "status": "sweep", "states": len(table), "models": models, "complete": done}
        print(json.dumps({**found, "labels": list(table.index)}, indent=2))
        return
    out = Console(highlight=False)
    out.print(f"[bold]{store}[/bold]: a sweep of {len(table)} states", soft_wrap=True)
    for model, temperatures in models.items():
        of = table[table["model"] == model]
        seeds = of["seed"].nunique()
        told = ", ".join(f"{t:g}" for t in temperatures[:12]) + (" ..." if len(temperatures) > 12 else "")
        out.print(f"  {model}: T = {told}{f', {seeds} seeds' if seeds > 1 else ''}", soft_wrap=True, markup=False)
    for stage in stages:
        out.print(f"  {stage:10} {done[stage]} of {len(table)} complete", markup=False)
    whole = all(count == len(table) for count in done.values())
    path = min(table["path"].iloc[0], os.path.relpath(table["path"].iloc[0]), key=len)
    place, one = shlex.quote(str(store)), shlex.quote(path)
    commands = [f"glassdask plot {place}", f"glassdask info {one}"] if whole else [f"glassdask sweep status {place}"]
    for number, command in enumerate(commands):
        out.print(f"  {'' if number else 'next':10} {command}", soft_wrap=True, markup=False)
