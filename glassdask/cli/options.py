"""Options and helpers that several subcommands share."""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from glassdask import remote
from glassdask.errors import ParameterError, StoreError
from glassdask.reporting import progress as progress_bar
from glassdask.texts import NUMBER, parse_toml

__all__ = ["progress_bar"]  # besides what is defined here

console = Console(stderr=True)


def there(text: str) -> Path:
    """The place of a store; a path that does not exist is told at once, before anything is imported that reads stores.

    >>> there("https://host/run.zarr").name
    'run.zarr'
    >>> there("nothing.zarr")
    Traceback (most recent call last):
    glassdask.errors.StoreError: nothing.zarr: does not exist: check the path, or ingest a trajectory first
    """
    found = remote.place(text)
    if not isinstance(found, remote.Address) and not found.exists():
        raise StoreError(f"{text}: does not exist: check the path, or ingest a trajectory first")
    return found


Store = Annotated[
    Path,
    typer.Argument(
        help="Store, or a state point inside a tree: sweep.zarr/KA/T=0.450; to read also s3:// and https://",
        parser=there,
        metavar="STORE",
    ),
]
Cluster = Annotated[
    str,
    typer.Option(
        "--cluster",
        help="auto (threads for small work, else local), local (a process for each core), threads, slurm, "
        "tcp://HOST:PORT, or a TOML or YAML profile",
    ),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Number of workers instead of the default")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what is there of other input, parameters or code")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress")]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON")]


def print_json(found: Any) -> None:
    """Print plain values, with NumPy's numbers as numbers and what is not finite as null."""
    import json

    print(json.dumps(_finite(found), indent=2, default=str))


def _finite(value: Any) -> Any:
    """The same without what JSON has no word for.

    >>> _finite({"a": (float("nan"), 1.5), "b": "x"})
    {'a': [None, 1.5], 'b': 'x'}
    """
    if isinstance(value, dict):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    return None if isinstance(value, float) and not isfinite(value) else value


# Seconds of one core that are done here sooner than workers have started and ended.
SMALL = 20.0


def cluster_for(cluster: str, seconds: float) -> str:
    """Where work of about so many seconds of one core is done: ``auto`` is this process unless that takes long.

    >>> cluster_for("auto", 1.0), cluster_for("auto", 1e4), cluster_for("threads", 1e4)
    ('threads', 'local', 'threads')
    """
    if cluster != "auto":
        return cluster
    return "threads" if seconds < SMALL else "local"


def is_sweep(store: Path) -> bool:
    """Whether a store is that of the states of a sweep."""
    from glassdask.store.checks import RECORDS

    return (Path(str(store)) / RECORDS).is_dir()


def key_values(texts: list[str] | None, what: str, example: str) -> list[tuple[str, str]]:
    """KEY=VALUE arguments of an option, cut at the first equals sign; none is there twice with another value.

    >>> key_values(["1=A", "2=B", "1=C"], "--species", "1=A")
    Traceback (most recent call last):
    glassdask.errors.ParameterError: --species 1: found both A and C: give one
    """
    pairs: list[tuple[str, str]] = []
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ParameterError(f"{what} {text}: expected KEY=VALUE, such as {example}")
        if other := next((known for name, known in pairs if name == key and known != value), None):
            raise ParameterError(f"{what} {key}: found both {other} and {value}: give one")
        pairs.append((key, value))
    return pairs


def listed(texts: list[str] | None) -> list[str]:
    """Pairs of which several may stand in one word.

    >>> listed(["1=A,2=B", "3=C"])
    ['1=A', '2=B', '3=C']
    """
    return [pair for text in texts or () for pair in re.split(r",(?=[^,=]+=)", text)]


def value_of(text: str) -> Any:
    """A TOML value, or the text itself: numbers, lists and quoted words mean what they say.

    >>> value_of("0.005"), value_of(".005"), value_of("[1, 2]"), value_of("c_1")
    (0.005, 0.005, [1, 2], 'c_1')
    """
    try:
        return parse_toml(f"value = {text}")["value"]
    except ValueError:
        return float(text) if NUMBER.fullmatch(text) else text


def value_text(value: Any) -> str:
    """A value as the command line takes it.

    >>> value_text(0.25), value_text("A"), value_text([1.0, 2.0])
    ('0.25', "'A'", '[1.0,2.0]')
    """
    return repr(value).replace(" ", "")


def frames_of(text: str) -> slice | list[int]:
    """The frames of an option, as Python counts them.

    >>> frames_of("0:10"), frames_of("::100"), frames_of("-1"), frames_of("0,5")
    (slice(0, 10, None), slice(None, None, 100), [-1], [0, 5])
    """
    try:
        if ":" in text:
            return slice(*[int(part) if part.strip() else None for part in text.split(":")])
        return [int(part) for part in text.split(",")]
    except (ValueError, TypeError):
        raise ParameterError(f"--frames {text}: expected frames such as 5, -1, 0:10, ::100 or 0,5,7") from None
