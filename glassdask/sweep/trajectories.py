"""Trajectories that exist already: patterns of paths whose placeholders say what each one is."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import Any

from glassdask.errors import ParameterError
from glassdask.sweep.settings import check_keys

PLACEHOLDERS = ("model", "temperature", "density", "seed")


def found_trajectories(file: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Path, model, temperature, density and seed of every store that the patterns of a run match.

    A pattern such as ``data/{model}/T={temperature}/*.zarr`` is relative to the sweep's file; ``*`` and a placeholder
    match any part of one folder's name. What the pattern does not tell stands beside it in the run.

    Raises
    ------
    ParameterError
        No store matches, or the model or the temperature is not told.
    """
    check_keys(file, run, ("trajectories", *PLACEHOLDERS), "[[runs]] with trajectories")
    patterns = run["trajectories"] if isinstance(run["trajectories"], list) else [run["trajectories"]]
    told = {name: run[name] for name in PLACEHOLDERS if name in run}
    found = []
    for pattern in patterns:
        whole = os.path.normpath(file.parent / pattern)
        parts = re.split(r"(\*|\{\w*\})", whole)
        names = [part[1:-1] for part in parts[1::2] if part != "*"]
        wrong = [name for name in names if name not in PLACEHOLDERS or name in told or names.count(name) > 1]
        if wrong:
            raise ParameterError(
                f"{file}: {{{wrong[0]}}} in {pattern!r}: each of {', '.join(PLACEHOLDERS)} can be told once, by the "
                "pattern or beside it"
            )
        missing = [name for name in PLACEHOLDERS[:2] if name not in names and name not in told]
        if missing:
            raise ParameterError(f"{file}: {pattern!r} does not tell the {missing[0]}: put {{{missing[0]}}} into it")
        expression = "".join(_expression(part) for part in parts)
        search = "".join("*" if k % 2 else glob.escape(part) for k, part in enumerate(parts))
        matches = sorted(path for path in glob.glob(search) if (Path(path) / "zarr.json").is_file())
        if not matches:
            raise ParameterError(f"{file}: no store matches {pattern!r}: expected trajectories in glassdask's stores")
        for path in matches:
            match = re.fullmatch(expression, path)
            if match is not None:
                found.append(_described(file, path, {**told, **match.groupdict()}))
    return found


def _expression(part: str) -> str:
    if part == "*":
        return "[^/]*"
    if part.startswith("{") and part.endswith("}"):
        return f"(?P<{part[1:-1]}>[^/]+)"
    return re.escape(part)


def _described(file: Path, path: str, told: dict[str, Any]) -> dict[str, Any]:
    try:
        return {
            "path": path,
            "model": str(told["model"]),
            "temperature": float(told["temperature"]),
            "density": None if told.get("density") is None else float(told["density"]),
            "seed": None if told.get("seed") is None else int(told["seed"]),
        }
    except ValueError as error:
        raise ParameterError(f"{file}: {path}: not a number where one is expected ({error})") from None
