"""What an error advises, as one types it at a prompt.

Messages say `` `name=value` `` of Python where an option of `glassdask.ingest` helps; here the same becomes an option
of the command line.
"""

from __future__ import annotations

import ast
import shlex
from pathlib import Path
from typing import Any

from glassdask.texts import ADVICE, CONTROL

FLAGS = {
    ("wrapped", True): "--wrapped",
    ("wrapped", False): "--unwrapped",
    ("ordered", False): "--unordered",
    ("append", True): "--append",
    ("overwrite", True): "--overwrite",
}
TABLES = {"columns": "--column", "species_names": "--species", "cutoffs": "--cutoff"}
KINDS = {"descriptors": "describe", "reductions": "reduce"}
OPTIONS = ("box", "dt", "dimension", "periodic", "beyond", "topology", "format")


def shell(message: str) -> str:
    """A message with its advice in the syntax of the shell.

    >>> shell("no box in the file: give its edges, such as `box=[4.0, 4.0]`")
    'no box in the file: give its edges, such as --box 4.0,4.0'
    >>> shell("`columns={'species': 'c_x[1]'}`, or `keep=['q', 'c_1']` and `ordered=False`; `density=1.2`")
    "--column 'species=c_x[1]', or --keep q c_1 and --unordered; --option density=1.2"
    >>> shell("`cutoffs={'B-B': ...}`, `species_names={3: ...}`")
    '--cutoff B-B=..., --species 3=...'
    """
    return ADVICE.sub(lambda found: _option(found[1], found[2]) or found[0], message)


def printable(text: str) -> str:
    """A text in which nothing controls a terminal: files and stores from elsewhere may have any names in them.

    >>> print(printable("a\\x1b]0;b\\x07\\n"), end="")
    a\\x1b]0;b\\x07
    """
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def tell_other_code(store: Path, what: str) -> None:
    """Say that what a command used was computed by other code: it may not be what this code would find.

    `what` is a descriptor or reduction as `glassdask plot` has it: ``sbo``, ``descriptors/sbo``, ``inherent/sbo``.
    """
    from glassdask.cli.options import console
    from glassdask.descriptors.codes import CLASSES, outdated
    from glassdask.store.groups import attributes, is_group

    *places, name = what.split("/")
    root = store.joinpath(*[place for place in places if place not in KINDS])
    for kind, command in KINDS.items():
        group = root / kind / name
        if (KINDS.keys() & {*places} and kind not in places) or not is_group(group):
            continue
        if outdated(kind, attrs := attributes(group)):
            classes = kind == "reductions" and attrs["parameters"].get("estimator") in CLASSES
            again = f"glassdask {'classify' if classes else command} with --overwrite computes it anew"
            console.print(f"{group}: made by other code than this: {again}", markup=False, soft_wrap=True)


def _option(name: str, text: str) -> str | None:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):  # a name for what the user knows better
        return f"--{name} {text}" if name in OPTIONS else f"--option {name}={text}"
    if isinstance(value, bool) and (name, value) in FLAGS:
        return FLAGS[name, value]
    if name in TABLES:
        words = {key: "..." if word is ... else word for key, word in value.items()}
        return " ".join(f"{TABLES[name]} {shlex.quote(f'{key}={word}')}" for key, word in words.items())
    if name == "keep":
        return "--keep " + " ".join(map(shlex.quote, value))
    if name in OPTIONS:
        return f"--{name} {shlex.quote(_text(value)) if value != '' else 'none'}"
    return f"--option {shlex.quote(f'{name}={_toml(value)}')}"


def _text(value: Any) -> str:
    """Numbers behind each other, row by row; words as they are."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    return str(value)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else str(value)
