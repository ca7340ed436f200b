"""What an error advises, as a sweep's file has it.

Messages say `` `name=value` `` of Python where a setting helps; here the same becomes a key of a table of ``[[runs]]``.
"""

from __future__ import annotations

import ast
from typing import Any

from glassdask.texts import ADVICE

OWN = {"dt": "dt", "format": "format", "species_names": "species", "cutoffs": "cutoffs"}


def toml(message: str) -> str:
    """A message with its advice in the syntax of the file.

    >>> toml("also `species_names={'3': ...}`; `dt=0.005`, or `overwrite=True`")
    'also species = {3 = "..."}; dt = 0.005, or --overwrite'
    >>> toml("give `box=[4.0, 4.0]`, or the cutoff of B-B, `cutoffs={'B-B': ...}`")
    'give options.box = [4.0, 4.0], or the cutoff of B-B, cutoffs = {B-B = ...} in [[runs]]'
    """
    return ADVICE.sub(lambda found: _key(found[1], found[2]), message)


def _key(name: str, text: str) -> str:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):  # a name for what the user knows better
        return f"{OWN.get(name, f'options.{name}')} = {text}"
    if name == "overwrite":
        return "--overwrite"
    if name == "cutoffs":  # descriptors have a key of this name, of all pairs
        return f"cutoffs = {_text(value, quoted=False)} in [[runs]]"
    return f"{OWN.get(name, f'options.{name}')} = {_text(value)}"


def _text(value: Any, quoted: bool = True) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_text(each, quoted)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_text, value)) + "]"
    if value is ...:
        return '"..."' if quoted else "..."
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
