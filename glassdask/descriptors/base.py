"""What a descriptor is: a declaration of its parameters that can make a plan for a set of species."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any, ClassVar

import numpy as np

from glassdask.declarations import Declaration, hints, required, shown
from glassdask.errors import ParameterError, StoreError, near
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.neighborhood.shortest import ModifiedVoronoi  # noqa: F401
from glassdask.neighborhood.voronoi import Voronoi  # noqa: F401  (all rules must be there to be named in files)
from glassdask.store.layout import checked_name
from glassdask.variables import TRAJECTORY, VARIABLES

# What datasets of descriptors run over, or have of their trajectory
TAKEN = {*TRAJECTORY, *(name for name, variable in VARIABLES.items() if name in variable.dims), "frame", "particle"}
LONGEST = 200  # of a name in bytes, as file systems take 255

# Parameters that are measured where text describes, and so may be left out there
MEASURED = {
    "cutoffs": "give a number, or cutoffs=gd.first_minima(trajectory), or describe '{kind}', which measures them",
    "diameters": "give diameters=gd.first_peaks(gd.radial_distribution(trajectory)), or describe '{kind}', which "
    "measures them",
}
# Who is searched: everybody within distances (S, S), or whom a rule names.
Search = np.ndarray | Neighborhood


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How one descriptor is computed for given species: its output's layout, its neighbours and its function.

    Attributes
    ----------
    dims, shape : tuple of str or tuple of int
        Names and sizes of the feature dimensions; both empty, the default, for one number per particle.
    coords : dict
        Coordinates of the features, name -> (dimension, values).
    search : whose neighbours `compute` is given; of centres whose neighbours an open border may hide, the values are
        made NaN afterwards. Distances (S, S): at least everybody within them, in a search that is
        shared with other descriptors and may reach further. A rule: its neighbours, shared with all plans of an equal
        rule. None: the descriptor finds its neighbours by itself, and sees to open borders (`Neighbors.known`)
    compute : with `search`, ``compute(configuration, neighbors, out)`` for a batch of centres, otherwise
        ``compute(configuration, centers, out)`` for all centres of a block; `out` has shape (centres, *shape)
    microseconds : float, default 5.0
        What a particle takes, roughly, from which the size of a task follows.
    needs_diameters : bool, default False
        Whether particles must have diameters of their own.
    """

    search: Search | None
    compute: Callable[..., None]
    dims: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    coords: dict[str, tuple[str, np.ndarray]] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)
    microseconds: float = 5.0
    needs_diameters: bool = False


class _Called(type):
    """Lets a descriptor that lacks a parameter, or is given an unknown one, say so in one line."""

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of the parameters, for help, completion and the documentation, which tells their types in words."""
        known = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
        told = [known[name] for name in own_first(cls)] if is_dataclass(cls) else list(known.values())[1:]
        return inspect.Signature([parameter.replace(annotation=inspect.Parameter.empty) for parameter in told])

    def __call__(cls, *args: Any, **given: Any) -> Any:
        known: list[str] = list(hints(cls)) if is_dataclass(cls) else []
        for name in given:
            if known and name not in known:
                raise ParameterError(
                    f"{cls.__name__}.{name}: unknown, expected some of {', '.join(known)}{near(name, known)}"
                )
        missing = [name for name in required(cls) if name not in given] if known and not args else []
        if missing:
            given_so = ", ".join(f"{name}=..." for name in missing if name not in MEASURED)
            remedy = MEASURED.get(missing[0], f"give {given_so}").format(kind=getattr(cls, "name", "sbo"))
            raise ParameterError(f"{cls.__name__}.{missing[0]}: is missing: {remedy}")
        return super().__call__(*args, **given)


class Descriptor(Declaration, metaclass=_Called):
    """Base of all descriptors: fields are parameters, `name` is the variable that `describe` writes.

    A subclass is a dataclass, ``@dataclass(frozen=True, kw_only=True)``, whose annotations say what each parameter
    may be.
    """

    name: ClassVar[str]

    @classmethod
    def measured(cls, given: Mapping[str, Any]) -> list[str]:
        """Parameters that are measured where text describes, as neither they nor a rule for neighbours are `given`."""
        wanted = [name for name in MEASURED if name in hints(cls) and name not in given]
        return [name for name in wanted if name in required(cls) or "neighbors" not in given]

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """Check the parameters against the species `names` and the number of dimensions, and prepare the work."""
        raise NotImplementedError


def own_first(cls: Any) -> list[str]:
    """The parameters of a descriptor as people are told of them: its own before those of its bases."""
    known = hints(cls)
    own = [name for name in inspect.get_annotations(cls) if name in known]
    return [*own, *(name for name in known if name not in own)]


def check_name(name: Any, where: str = "descriptors") -> None:
    """`ParameterError` where a descriptor cannot be called so: as a variable of a dataset, and as a part of a store.

    >>> check_name("time")
    Traceback (most recent call last):
        ...
    glassdask.errors.ParameterError: descriptors: a descriptor cannot be called time, as a coordinate is: rename it
    """
    if not isinstance(name, str):
        raise ParameterError(f"{where}: expected names of descriptors as text, found {shown(name)}")
    if name in TAKEN:
        raise ParameterError(f"{where}: a descriptor cannot be called {name}, as a coordinate is: rename it")
    try:
        checked_name(name)
    except StoreError as error:
        raise ParameterError(f"{where}: {error}") from None
    if "/" in name:
        raise ParameterError(f"{where}: a descriptor cannot be called {name}: leave out the '/'")
    if len(name.encode()) > LONGEST:
        raise ParameterError(f"{where}: {shown(name)} is longer than {LONGEST} bytes: give a shorter name")


def degree_range(l_min: int, l_max: int) -> np.ndarray:
    """The degrees l_min..l_max, checked: 0 <= l_min <= l_max <= 32."""
    if not 0 <= l_min <= l_max <= 32:
        raise ParameterError(f"degrees l_min = {l_min} to l_max = {l_max}: expected 0 <= l_min <= l_max <= 32")
    return np.arange(l_min, l_max + 1)
