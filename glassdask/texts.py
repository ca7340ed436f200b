"""TOML and YAML that people type: whatever is wrong with a text is a `ValueError` of one line."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from glassdask.errors import ParameterError

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what controls a terminal, but for blanks and ends of lines
DEEPEST, MOST = 50, 1_000_000  # tables within tables, and values in all: far more than anybody types


def unknown_values(name: str, keys: Iterable[str]) -> str:
    """Advice to give a table whose values only the user knows.

    >>> unknown_values("species_names", ["3"])
    "`species_names={'3': ...}`"
    """
    return f"`{name}={{{', '.join(f'{key!r}: ...' for key in keys)}}}`"


def parse_toml(text: str) -> dict[str, Any]:
    """What a TOML text holds.

    Examples
    --------
    >>> parse_toml("a = [1, 2]")
    {'a': [1, 2]}
    >>> parse_toml("a = " + 10000 * "[")
    Traceback (most recent call last):
        ...
    ValueError: nested more than 50 deep
    """
    found: dict[str, Any] = _parsed(tomllib.loads, text)
    return found


# Of what people type: quoted text, signs, words.
TOKENS = re.compile(r""""(?:[^"\\\\]|\\\\.)*"|'[^']*'|[\[\]{},=]|[^\s\[\]{},='"]+|\s+|.""")
# Numbers that TOML does not take: without a digit on one side of the point.
# advice in errors: `name=value`, as one says it in Python; shell and files have words of their own for it
ADVICE = re.compile(r"`([a-z_]+)=([^`]+)`")
UTF8 = "utf-8-sig"  # with or without the mark with which editors of Windows begin a file
NUMBER = re.compile(r"[+-]?(\d+\.\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def parse_words(text: str) -> dict[str, Any]:
    """What ``"l_max=6, basis=gto"`` says: values of TOML, in which words need no quotes.

    A table whose type is a word may have its other parts behind dots.

    Examples
    --------
    >>> parse_words("l_max=6,basis=gto,cutoff=.5,signature=[A, B]")
    {'l_max': 6, 'basis': 'gto', 'cutoff': 0.5, 'signature': ['A', 'B']}
    >>> parse_words("neighbors=k_nearest,neighbors.k=12")
    {'neighbors': {'type': 'k_nearest', 'k': 12}}
    """
    tokens = TOKENS.findall(text)
    keys = [k for k, token in enumerate(tokens) if "".join(tokens[k + 1 :]).lstrip().startswith("=")]
    parted = {tokens[k].strip().partition(".")[0] for k in keys if "." in tokens[k]}
    for k, token in enumerate(tokens):
        if k in keys:
            tokens[k] = f"{token}.type" if token in parted and not _begins_table(tokens[k + 1 :]) else token
        elif token.strip() and token not in "[]{},=" and token[0] not in "\"'":
            tokens[k] = _value(token)
    found: dict[str, Any] = parse_toml(f"given = {{{''.join(tokens)}}}")["given"]
    return found


def _begins_table(tokens: list[str]) -> bool:
    return "".join(tokens).lstrip().removeprefix("=").lstrip().startswith("{")


def _value(word: str) -> str:
    """A word that no quotes surround, as TOML has it."""
    if NUMBER.fullmatch(word):
        return repr(float(word))
    try:
        tomllib.loads(f"value = {word}")
    except ValueError:
        return json.dumps(word) if re.fullmatch(r"[^\W\d][\w.+*/-]*", word) else word
    return word


def parse_yaml(text: str) -> Any:
    """What a YAML text holds; it runs nothing."""
    import yaml

    try:
        return _parsed(yaml.safe_load, text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a TOML file, or `ParameterError` that names the file."""
    try:
        return parse_toml(Path(path).read_text(encoding=UTF8))
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read ({error.strerror}): check the path") from None
    except ValueError as error:
        raise ParameterError(f"{path}: cannot be read as TOML ({error}): correct the file") from None


def _parsed(parse: Callable[[str], Any], text: str) -> Any:
    try:
        content = parse(text)
    except RecursionError:
        raise ValueError(f"nested more than {DEEPEST} deep") from None
    values, count = [(content, 0)], 0
    while values:  # aliases of YAML make a lot of little
        value, depth = values.pop()
        count += 1
        if depth > DEEPEST or count > MOST:
            raise ValueError(f"nested more than {DEEPEST} deep, or more than {MOST} values")
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        values += [(part, depth + 1) for part in inside]
    return content
