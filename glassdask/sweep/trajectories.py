"""Trajectories that exist already: patterns of paths whose placeholders say what each one is."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from glassdask.declarations import Declaration, Positive, Read, converted, hints
from glassdask.errors import ParameterError
from glassdask.sweep.state import State, label_of, naming

PLACEHOLDERS = ("model", "temperature", "density", "seed")


def read_patterns(value: Any, where: str) -> tuple[str, ...]:
    """One pattern or a list of them."""
    patterns = (value,) if isinstance(value, str) else converted(value, tuple[str, ...], where)
    if not patterns or not all(patterns):
        raise ParameterError(f"{where}: expected the path of a store with placeholders, or a list, found {value!r}")
    return patterns


@dataclass(frozen=True, kw_only=True)
class Found(Declaration):
    """A table of ``[[runs]]`` whose trajectories exist already; what their paths do not tell stands beside them."""

    trajectories: Annotated[tuple[str, ...], Read(read_patterns)]
    model: str | None = None
    temperature: Positive | None = None
    density: Positive | None = None
    seed: int | None = None


def found_states(run: Found, folder: Path, place: str) -> Iterator[State]:
    """A state for every store that the patterns match.

    A pattern such as ``data/{model}/T={temperature}/*.zarr`` is relative to `folder`; ``*`` and a placeholder match any
    part of one folder's name.

    Raises
    ------
    ParameterError
        No store matches, or the model or the temperature is not told.
    """
    told = {name: getattr(run, name) for name in PLACEHOLDERS if getattr(run, name) is not None}
    for number, pattern in enumerate(run.trajectories):
        where = f"{place}.trajectories[{number}]"
        matches = [
            match for match in matching(pattern, folder, told, where) if (Path(match[0]) / "zarr.json").is_file()
        ]
        if not matches:
            raise ParameterError(f"{where}: no store matches {pattern!r}: expected trajectories in glassdask's stores")
        for path, known in matches:
            yield state_of(path, known, where)


def matching(
    pattern: str, folder: Path, told: dict[str, Any], where: str, more: tuple[str, ...] = ()
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Paths that a pattern matches, in order, each with what its placeholders and `told` say of it.

    `more` are names of placeholders that it may have besides.
    """
    whole = os.path.normpath(folder / pattern)
    parts = re.split(r"(\*|\{\w*\})", whole)
    names = [part[1:-1] for part in parts[1::2] if part != "*"]
    known = (*PLACEHOLDERS, *more)
    wrong = [name for name in names if name not in known or name in told or names.count(name) > 1]
    if wrong:
        raise ParameterError(
            f"{where}: {{{wrong[0]}}} in {pattern!r}: each of {', '.join(known)} can be told once, by the "
            "pattern or beside it"
        )
    missing = [name for name in PLACEHOLDERS[:2] if name not in names and name not in told]
    if missing:
        raise ParameterError(
            f"{where}: {pattern!r} does not tell the {missing[0]}: put {{{missing[0]}}} into it, or {missing[0]} = ... "
            "beside it"
        )
    expression = "".join(_expression(part) for part in parts)
    search = "".join("*" if k % 2 else glob.escape(part) for k, part in enumerate(parts))
    for path in sorted(glob.glob(search)):
        match = re.fullmatch(expression, path)
        if match is not None:
            yield path, {**told, **match.groupdict()}


def _expression(part: str) -> str:
    if part == "*":
        return "[^/]*"
    if part.startswith("{") and part.endswith("}"):
        return f"(?P<{part[1:-1]}>[^/]+)"
    return re.escape(part)


def state_of(path: str, told: dict[str, Any], where: str) -> State:
    """The state that a path is of, by what is told of it."""
    known: dict[str, Any] = {"density": None, "seed": None}
    for name, value in told.items():
        kind = {"model": str, "seed": int}.get(name, float)
        try:
            known[name] = converted(kind(value), hints(Found)[name], f"{where}: {name} of {path}")
        except ValueError as error:
            if isinstance(error, ParameterError):
                raise
            raise ParameterError(f"{where}: {name} of {path}: not a number where one is expected ({error})") from None
    with naming(f"{where}: model {known['model']!r}"):
        return State(label=label_of(**known), path=path, **known)
