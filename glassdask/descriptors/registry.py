"""Descriptors by the short names of their variables, for the command line and parameter files."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from glassdask.descriptors.base import Descriptor
from glassdask.errors import ParameterError

HOME = {
    "ace": ("ace", "ACE"),
    "bo": ("bond_order", "BondOrder"),
    "coordination": ("coordination", "Coordination"),
    "ld": ("bond_order", "LechnerDellago"),
    "lfs": ("voronoi_cell", "LocallyFavoredStructure"),
    "local_energy": ("local_energy", "LocalEnergy"),
    "radial_density": ("radial_bond_order", "RadialDensity"),
    "rbo": ("radial_bond_order", "RadialBondOrder"),
    "sbo": ("bond_order", "SmoothedBondOrder"),
    "soap": ("soap", "SOAP"),
    "tetrahedrality": ("tetrahedrality", "Tetrahedrality"),
    "theta": ("tong_tanaka", "TongTanaka"),
    "voronoi": ("voronoi_cell", "VoronoiCell"),
}


def descriptor_class(name: str) -> type[Descriptor]:
    """The class of the descriptor whose variable is called `name`.

    Examples
    --------
    >>> descriptor_class("sbo").__name__
    'SmoothedBondOrder'
    """
    if name not in HOME:
        raise ParameterError(f"descriptor '{name}' is not known: expected one of {', '.join(sorted(HOME))}")
    module, class_name = HOME[name]
    return getattr(import_module(f"glassdask.descriptors.{module}"), class_name)


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of ``"sbo"`` or ``"sbo:l_max=8, gamma=8"``; the values are those of TOML.

    Examples
    --------
    >>> parse("sbo: l_max=6, neighbor_species='other'")
    ('sbo', {'l_max': 6, 'neighbor_species': 'other'})
    """
    name, _, parameters = text.partition(":")
    try:
        return name.strip(), tomllib.loads(f"given = {{{parameters}}}")["given"]
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(
            f"descriptor '{text}': {error}: write name:parameter=value, ..., with quotes around words, such as "
            "sbo:l_max=8,neighbor_species='other'"
        ) from None


def make(
    name: str, parameters: Mapping[str, Any], defaults: Mapping[str, Callable[[], Any]] | None = None
) -> Descriptor:
    """The descriptor `name` with these parameters.

    `defaults` maps parameters such as ``cutoffs`` to functions that measure them from the data; one is called only when
    the descriptor has that parameter and neither it nor an alternative (``neighbors``) is given.

    Examples
    --------
    >>> make("bo", {"l_max": 4}, {"cutoffs": lambda: 1.4}).cutoffs
    1.4
    """
    cls = descriptor_class(name)
    fields = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(parameters) - fields)
    if unknown:
        raise ParameterError(
            f"descriptor '{name}' has no parameter {', '.join(unknown)}: expected some of {', '.join(sorted(fields))}"
        )
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in parameters.items()}
    for key, measure in (defaults or {}).items():
        if key in fields and key not in values and values.get("neighbors") is None:
            values[key] = measure()
    try:
        return cls(**values)
    except TypeError as error:
        raise ParameterError(f"descriptor '{name}': {error}: expected some of {', '.join(sorted(fields))}") from None
