"""What can be added from outside: descriptors, models, readers and stages, ours and those of other packages.

A package adds one by an entry point in its ``pyproject.toml``; nothing of glassdask is edited or configured::

    [project.entry-points."glassdask.descriptors"]
    shells = "their_package:Shells"

The groups are ``glassdask.descriptors``, ``glassdask.models``, ``glassdask.readers`` and ``glassdask.stages``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from glassdask.errors import ParameterError, PluginError, near

T = TypeVar("T")


class Catalog(Mapping[str, T], Generic[T]):
    """Things of one kind by name: ours first, then those of other packages. Each is imported when it is asked for.

    Parameters
    ----------
    kind : str
        What one of them is called in errors, such as ``"descriptor"``; others' are in the group ``glassdask.KINDs``.
    own : dict
        Name -> the thing itself, or where it is, as ``"module:name"``; other packages cannot replace these.
    base : object, optional
        What others add must be an instance or a subclass of this class; None takes anything.

    Examples
    --------
    >>> numbers = Catalog("number", {"pi": "math:pi", "two": 2})
    >>> numbers["pi"], numbers["two"], list(numbers)
    (3.141592653589793, 2, ['pi', 'two'])
    >>> numbers.find("e", "run.number")
    Traceback (most recent call last):
        ...
    glassdask.errors.ParameterError: run.number: number 'e' is not known: expected one of pi, two
    """

    def __init__(self, kind: str, own: Mapping[str, Any], base: Any = None) -> None:
        self.kind, self.base = kind, base
        self._own = {name: _entry(name, value) if isinstance(value, str) else value for name, value in own.items()}

    def __getitem__(self, name: str) -> T:
        found = self._own.get(name)
        if found is None:
            return self._from_outside(name)
        return found.load() if isinstance(found, EntryPoint) else found

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._own, *_outside(f"glassdask.{self.kind}s")}))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in _outside(f"glassdask.{self.kind}s")

    def find(self, name: str, where: str | None = None, also: Iterable[str] = ()) -> T:
        """The thing called `name`; the error of an unknown one lists what there is and begins with `where`.

        It asks whether the nearest name was meant, of these or of others that things `also` go by.
        """
        if name not in self:
            place = f"{where}: " if where else ""
            raise ParameterError(
                f"{place}{self.kind} {name!r:.80} is not known: expected one of {', '.join(map(str, self))}"
                f"{near(name, [*also, *self])}"
            )
        return self[name]

    def places(self) -> dict[str, str]:
        """Where each is, as ``"module:name"``, by its name; nothing is imported. ``""`` is what is no module's."""
        own = {name: value.value if isinstance(value, EntryPoint) else "" for name, value in self._own.items()}
        return {name: entries[0].value for name, entries in _outside(f"glassdask.{self.kind}s").items()} | own

    def _from_outside(self, name: str) -> T:
        found = _outside(f"glassdask.{self.kind}s")[name]
        packages = " and ".join(entry.dist.name if entry.dist else entry.value for entry in found)
        if len(found) > 1:
            raise PluginError(f"{self.kind} '{name}' is added by {packages}: uninstall all but one")
        try:
            loaded = found[0].load()
        except Exception as error:  # whatever somebody else's module does when it is imported
            reason = str(error).partition("\n")[0]
            raise PluginError(
                f"{self.kind} '{name}' of {packages} cannot be imported ({type(error).__name__}: {reason}): "
                "repair or uninstall that package"
            ) from error
        if self.base is not None:
            fits = issubclass(loaded, self.base) if isinstance(loaded, type) else isinstance(loaded, self.base)
            if not fits:
                raise PluginError(
                    f"{self.kind} '{name}' of {packages} is {found[0].value}, expected a {self.base.__name__}: "
                    "correct its entry point"
                )
        return loaded


def _entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "")


@cache
def _outside(group: str) -> dict[str, list[EntryPoint]]:
    """Entry points of other packages by name; looked up once, which takes some tens of milliseconds."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=group):
        found.setdefault(entry.name, []).append(entry)
    return found
