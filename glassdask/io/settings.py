"""What a user says of files: checked before any of them is read."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from glassdask import schema
from glassdask.declarations import Where, converted, shown
from glassdask.errors import BoxError, FormatError, GlassdaskError, ParameterError
from glassdask.files import sha256, unreadable
from glassdask.io.formats import FORMATS
from glassdask.names import names_given
from glassdask.store.groups import plain


def told(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a store keeps of the settings."""
    return {name: plain(value) for name, value in settings.items() if value is not None}


def key_of(sources: Iterable[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    """What decides whether a store holds the frames of these files, read with these options."""
    files = [[source.get("sha256"), source.get("format")] for source in sources]
    known: list[Any] = [files, told(settings)]
    if settings.get("topology") is not None:  # a file, too, whatever it is called
        try:
            known.append(sha256(settings["topology"]))
        except OSError as error:
            raise FormatError(unreadable(error)) from None
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def differing(known: Mapping[str, Any], sources: Iterable[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    """What a store was made of, in the words of an error, where that is not these sources and settings.

    >>> differing({"parameters": {"dt": 0.005}, "sources": []}, [], {"dt": 0.002})
    'the same files with dt 0.005, now 0.002'
    """
    before, now = known.get("parameters", {}), told(settings)
    options = _changes(before, now, {**before, **now})
    old, new = ([(s.get("sha256"), str(s.get("name"))) for s in some] for some in (known.get("sources", []), sources))
    if [digest for digest, _ in old] == [digest for digest, _ in new]:
        return f"the same files with {options or 'another topology or format'}"
    gone = [name for digest, name in old if digest not in {digest for digest, _ in new}]
    fresh = [name for digest, name in new if digest not in {digest for digest, _ in old}]
    changed = [name for name in fresh if os.path.basename(name) in map(os.path.basename, gone)]
    if changed:
        line = f"{changed[0]} as it was before it changed"
    elif gone:
        line = f"other files, such as {gone[0]}"
    else:
        line = f"these files without {fresh[0]}" if fresh else "these files in another order"
    return line + (f", with {options}" if options else "")


def unheeded(known: Mapping[str, Any], files: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Lines about options that files which a store has already are not read with.

    >>> unheeded({"parameters": {"box": [4, 4]}}, ["a.dump"], {"box": [4, 4], "dt": 0.002})
    ['a.dump: was read before, with dt not given, now 0.002: `overwrite=True` reads anew']
    """
    before, now = known.get("parameters") or {}, told(settings)
    options = _changes(before, now, now)
    return [f"{file}: was read before, with {options}: `overwrite=True` reads anew" for file in files if options]


def _changes(before: Mapping[str, Any], now: Mapping[str, Any], names: Iterable[str]) -> str:
    """Those of some options that differ, in words."""
    return ", ".join(
        f"{name} {before.get(name, 'not given')}, now {now.get(name, 'not given')}"
        for name in names
        if before.get(name) != now.get(name)
    )


LARGEST = sys.float_info.max
Name = Annotated[str, Where(bool, "a name such as 'A'")]


@dataclass(frozen=True)
class Settings:
    """What a user says of a file, checked: see `scan`."""

    species_names: dict[str, str]
    dimension: int | None
    dt: float | None
    box: np.ndarray | None
    periodic: tuple[bool, ...] | None
    options: dict[str, Any]


def checked_settings(
    path: str,
    name: str,
    *,
    species_names: Any = None,
    dimension: Any = None,
    dt: Any = None,
    box: Any = None,
    periodic: Any = None,
    **options: Any,
) -> Settings:
    """What is said of a file of format `name`; raises `ParameterError` or `BoxError` where it means nothing."""
    known = FORMATS[name].options
    options = {key: value for key, value in options.items() if value is not None}
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ParameterError(f"{path}: format {name} has no option {', '.join(unknown)}: it has {', '.join(known)}")
    whole = isinstance(dimension, (int, np.integer)) and not isinstance(dimension, bool)
    if dimension is not None and not (whole and dimension in (2, 3)):
        raise ParameterError(f"dimension is {dimension!r}, expected 2 or 3")
    if "columns" in options:
        options["columns"] = _columns(options["columns"], path, FORMATS[name].columns)
    if "keep" in options:
        options["keep"] = _names_to_keep(options["keep"])
    if "topology" in options:
        (options["topology"],) = checked_files([options["topology"]])
    if "species" in options:
        options["species"] = names_given(options["species"]).astype(str).tolist()
    return Settings(
        _new_names(species_names),
        None if dimension is None else int(dimension),
        _time_of_step(dt),
        _cell(box),
        _boundaries(periodic),
        options,
    )


def _time_of_step(dt: Any) -> float | None:
    dt = dt.item() if isinstance(dt, np.generic) else dt
    if dt is None:
        return None
    if isinstance(dt, bool) or not isinstance(dt, (int, float)) or not 0 < dt <= LARGEST:
        raise ParameterError(f"dt is {shown(dt)}, expected a positive number, the time of one step, such as 0.005")
    return float(dt)


def checked_files(paths: Any) -> list[str]:
    """A path, or paths, of files as text, or `ParameterError` where one is none."""
    one = isinstance(paths, (str, bytes, os.PathLike)) or getattr(paths, "ndim", 1) == 0
    given = [paths] if one or not isinstance(paths, Iterable) else list(paths)
    for path in given:
        if not isinstance(path, (str, os.PathLike)):
            raise ParameterError(f"expected the path of a file, found {shown(path)}: give text or a pathlib.Path")
    return [os.fspath(path) for path in given]


def _columns(columns: Any, path: str, known: tuple[str, ...] | None) -> dict[str, str]:
    """Names of columns by variable, of variables whose columns the reader looks up."""
    given: dict[str, str] = converted(columns, dict[str, str], "columns")
    unknown = [variable for variable in given if known is not None and variable not in known]
    if unknown and {*unknown} <= {"x", "y", "z"} and "position" in (known or ()):
        names = ",".join(given[variable] for variable in unknown)
        raise ParameterError(
            f"{path}: the columns of positions are named together: give `columns={{'position': '{names}'}}`"
        )
    if unknown:
        raise ParameterError(
            f"{path}: columns has {', '.join(unknown)}, expected some of {', '.join(known or ())}: give "
            f"`columns={{'{(known or ('species',))[0]}': 'NAME'}}` with a name in the file"
        )
    return given


def _boundaries(periodic: Any) -> tuple[bool, ...] | None:
    """Whether the box repeats along x, y and z, or None where it is not told."""
    if periodic is None:
        return None
    if isinstance(periodic, str) and not set(periodic) - set("xyz"):
        return tuple(axis in periodic for axis in "xyz")
    each = [periodic] * 3 if isinstance(periodic, (bool, np.bool_)) else periodic
    if (
        isinstance(each, (list, tuple, np.ndarray))
        and len(each) in (2, 3)
        and all(isinstance(one, (bool, np.bool_)) for one in each)
    ):
        return (*map(bool, each), True)[:3]
    raise ParameterError(f"periodic is {shown(periodic)}, expected axes such as 'xy', or true or false for each")


def _names_to_keep(keep: Any) -> tuple[str, ...]:
    """Names of columns, each of them once."""
    names = [keep] if isinstance(keep, str) else keep
    return tuple(dict.fromkeys(converted(list(names) if isinstance(names, tuple) else names, list[str], "keep")))


def _new_names(species_names: Any) -> dict[str, str]:
    if species_names is None:
        return {}
    if not isinstance(species_names, Mapping):
        raise ParameterError(
            f"species_names: expected a table such as {{1: 'A', 2: 'B'}}, found {shown(species_names)}"
        )
    return {str(key): converted(value, Name, f"species_names.{key}") for key, value in species_names.items()}


def _cell(box: Any) -> np.ndarray | None:
    """The cell vectors, from edge lengths too."""
    if box is None:
        return None
    try:
        array = schema.numbers("box", box).astype(np.float64)
    except GlassdaskError:
        raise BoxError(f"box is {shown(box)}, expected two or three edge lengths, or cell vectors as rows") from None
    if array.shape not in ((2,), (3,), (2, 2), (3, 3)):
        raise BoxError(f"box has shape {array.shape}, expected two or three edge lengths, or cell vectors as rows")
    cell = np.diag(array) if array.ndim == 1 else array
    schema.check_box(cell[None])
    return cell
