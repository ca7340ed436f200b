"""Descriptors by the short names of their variables, for the command line and parameter files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from glassdask import declarations
from glassdask.declarations import TAG, parts, shown
from glassdask.descriptors.base import Descriptor
from glassdask.descriptors.places import PLACES
from glassdask.errors import ParameterError, PluginError
from glassdask.plugins import Catalog
from glassdask.texts import parse_words

# ours, and those of other packages
DESCRIPTORS: Catalog[type[Descriptor]] = Catalog("descriptor", PLACES, Descriptor)


def kind_of(name: str) -> str:
    """The short name of a descriptor that is called by this, by the name of its class, or in other letters.

    Examples
    --------
    >>> kind_of("SBO"), kind_of("SmoothedBondOrder"), kind_of("nothing")
    ('sbo', 'sbo', 'nothing')
    """
    if not isinstance(name, str) or name in DESCRIPTORS:
        return name
    wanted = _folded(name)
    places = DESCRIPTORS.places()
    found = [kind for kind, place in places.items() if wanted in (_folded(kind), _folded(place.rpartition(":")[2]))]
    return found[0] if len(found) == 1 else name


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def descriptor_class(name: str, where: str | None = None) -> type[Descriptor]:
    """The class of the descriptor that is called `name` (see `kind_of`); errors begin with `where`.

    Examples
    --------
    >>> descriptor_class("sbo").__name__
    'SmoothedBondOrder'
    """
    kind = kind_of(name)
    places = {} if kind in DESCRIPTORS else DESCRIPTORS.places()
    found = DESCRIPTORS.find(kind, where, [place.rpartition(":")[2] for place in places.values()])
    if getattr(found, "name", None) != kind:
        raise PluginError(
            f"descriptor '{kind}' of {found.__module__} calls itself {getattr(found, 'name', None)!r}: give its class "
            "and its entry point the same name"
        )
    return found


EXAMPLES = {"descriptor": ("sbo:l_max=8,gamma=8", "wide=sbo:gamma=4"), "quantity": ("f:k=[7,8]", "late=s4:lag=100")}


def parse(text: str, what: str = "descriptor") -> tuple[str, dict[str, Any]]:
    """Kind and parameters of ``"sbo"``, ``"sbo:l_max=8,gamma=8"`` or, with a name, ``"wide=sbo:gamma=4"``.

    Values are those of TOML; words need no quotes, and what belongs to a rule stands behind it with a dot. `what` they
    are of, a descriptor or a quantity, is for errors.

    Examples
    --------
    >>> parse("bo:l_max=6,neighbors=k_nearest,neighbors.k=12")
    ('bo', {'l_max': 6, 'neighbors': {'type': 'k_nearest', 'k': 12}})
    >>> parse("wide=sbo:gamma=4")
    ('sbo', {'name': 'wide', 'gamma': 4})
    """
    kind, _, parameters = text.partition(":")
    name, equals, named = kind.partition("=")
    try:
        given = parse_words(parameters)
        if equals:
            if "name" in given:
                raise ValueError("it is given two names")
            kind, given = named, {"name": name.strip(), **given}
        return kind.strip(), given
    except ValueError as error:
        raise ParameterError(
            f"{what} {shown(text)}: {error}: write name:parameter=value,..., such as {EXAMPLES[what][0]} or, with "
            f"a name of your own, {EXAMPLES[what][1]}"
        ) from None


def from_texts(texts: list[str], trajectory: xr.Dataset) -> dict[str, Descriptor]:
    """Descriptors by name as `parse` reads them; what is not given is measured of the trajectory, at once."""
    from glassdask.correlations.measured import Measured

    measured = Measured(trajectory).defaults()
    wanted = read_texts(texts)
    return {name: make(name, values, measured, where) for name, (where, values) in wanted.items()}


def read_texts(texts: list[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name -> (path in errors, table of parameters), each name once."""
    wanted: dict[str, tuple[str, dict[str, Any]]] = {}
    for text in texts:
        kind, values = parse(text)
        kind = kind_of(kind)
        name = declarations.converted(values.pop("name", kind), str, declarations.joined(kind, "name"))
        if name in wanted:
            raise ParameterError(f"{name} is asked for twice: give one another name, such as {name}_2={kind}:...")
        wanted[name] = (declarations.joined(None, kind), {TAG: kind, **values})
    return wanted


def make(
    name: str,
    values: Mapping[str, Any],
    defaults: Mapping[str, Callable[[], Any]] | None = None,
    where: str | None = None,
) -> Descriptor:
    """The descriptor of a table of parameters, as files and the command line have it.

    Parameters
    ----------
    name : str
        Of the table, which is the kind of the descriptor too unless the table has a ``type``.
    values : dict
        Parameters; "none" is None where that is the default.
    defaults : dict, optional
        Parameters such as ``cutoffs``, with functions that measure them from the data; one is called only when the
        descriptor wants it (`Descriptor.measured`): neither it nor what stands in for it (``neighbors``) is given.
    where : str, optional
        Begins the path in errors, by default `name`.

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
    kind = kind_of(declarations.converted(given.pop(TAG, name), str, declarations.joined(where or name, TAG)))
    cls = descriptor_class(kind, where)
    for field in dataclasses.fields(cls):
        if field.default is None and isinstance(given.get(field.name), str) and given[field.name] == "none":
            given[field.name] = None  # for which files and the shell have no other word
    given = parts(cls, given, place)  # what is wrong shows before anything is measured
    given |= {key: defaults[key]() for key in cls.measured(given) if key in defaults} if defaults else {}
    return declarations.make(cls, given, place)
