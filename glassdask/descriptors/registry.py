"""Descriptors by the short names of their variables, for the command line and parameter files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from glassdask import declarations
from glassdask.declarations import TAG, hints, parts, required, shown
from glassdask.descriptors.base import Descriptor
from glassdask.errors import ParameterError, PluginError
from glassdask.plugins import Catalog
from glassdask.texts import parse_toml

# Ours by where they are, so that one can be had without importing the others, and those of other packages.
DESCRIPTORS: Catalog[type[Descriptor]] = Catalog(
    "descriptor",
    {
        "ace": "glassdask.descriptors.ace:ACE",
        "bo": "glassdask.descriptors.bond_order:BondOrder",
        "coordination": "glassdask.descriptors.coordination:Coordination",
        "ld": "glassdask.descriptors.bond_order:LechnerDellago",
        "lfs": "glassdask.descriptors.voronoi_cell:LocallyFavoredStructure",
        "local_energy": "glassdask.descriptors.local_energy:LocalEnergy",
        "radial_density": "glassdask.descriptors.radial_bond_order:RadialDensity",
        "rbo": "glassdask.descriptors.radial_bond_order:RadialBondOrder",
        "sbo": "glassdask.descriptors.bond_order:SmoothedBondOrder",
        "soap": "glassdask.descriptors.soap:SOAP",
        "tetrahedrality": "glassdask.descriptors.tetrahedrality:Tetrahedrality",
        "theta": "glassdask.descriptors.tong_tanaka:TongTanaka",
        "voronoi": "glassdask.descriptors.voronoi_cell:VoronoiCell",
    },
    Descriptor,
)


def descriptor_class(name: str, where: str | None = None) -> type[Descriptor]:
    """The class of the descriptor whose variable is called `name`; errors begin with `where`.

    Examples
    --------
    >>> descriptor_class("sbo").__name__
    'SmoothedBondOrder'
    """
    found = DESCRIPTORS.find(name, where)
    if getattr(found, "name", None) != name:
        raise PluginError(
            f"descriptor '{name}' of {found.__module__} calls itself {getattr(found, 'name', None)!r}: give its class "
            "and its entry point the same name"
        )
    return found


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of ``"sbo"`` or ``"sbo:l_max=8, gamma=8"``; the values are those of TOML.

    Examples
    --------
    >>> parse("bo: l_max=6, neighbors={type='k_nearest', k=12}")
    ('bo', {'l_max': 6, 'neighbors': {'type': 'k_nearest', 'k': 12}})
    """
    name, _, parameters = text.partition(":")
    try:
        return name.strip(), parse_toml(f"given = {{{parameters}}}")["given"]
    except ValueError as error:
        raise ParameterError(
            f"descriptor {shown(text)}: {error}: write name:parameter=value, ..., with quotes around words, such as "
            "sbo:l_max=8,neighbor_species='other'"
        ) from None


def make(
    name: str,
    values: Mapping[str, Any],
    defaults: Mapping[str, Callable[[], Any]] | None = None,
    where: str | None = None,
) -> Descriptor:
    """The descriptor of a table of parameters, as files and the command line have it.

    Parameters
    ----------
    name : of the table, which is the kind of the descriptor too unless the table has a ``type``
    values : parameters
    defaults : parameters such as ``cutoffs``, with functions that measure them from the data; one is called only when
        the descriptor has that parameter and neither it nor what stands in for it (``neighbors``) is given
    where : begins the path in errors, by default `name`

    Examples
    --------
    >>> make("sharp", {"type": "bo", "l_max": 4}, {"cutoffs": lambda: 1.4}).cutoffs
    1.4
    >>> make("soap", {"r_cut": 1.6, "n_max": 6.5, "l_max": 8, "sigma": 0.2}, where="describe.soap")
    Traceback (most recent call last):
        ...
    glassdask.errors.ParameterError: describe.soap.n_max: expected int, found 6.5
    """
    place = declarations.joined(None, name) if where is None else where
    given = dict(values)
    kind = declarations.converted(given.pop(TAG, name), str, declarations.joined(where or name, TAG))
    cls = descriptor_class(kind, where)
    given = parts(cls, given, place)  # what is wrong shows before anything is measured
    for key, measure in (defaults or {}).items():
        if key in hints(cls) and key not in given and (key in required(cls) or "neighbors" not in given):
            given[key] = measure()
    return declarations.make(cls, given, place)
