"""Frozen declarations: made, checked, written, read and hashed here, and nowhere else.

A *declaration* is a frozen dataclass whose fields say what is wanted: a descriptor, a rule for neighbours, a model, a
protocol, a table of a sweep's file, a cluster profile. Its annotations are its grammar: `Declaration` converts what it
is given (an int where a float is expected, a list where a tuple is) and refuses the rest, in Python and from files
alike, with the path of the wrong value::

    describe.descriptors.soap.n_max: expected int, found 6.5

A *family* is a base class whose members are told apart by a tag: ``"sann"`` or ``{type = "k_nearest", k = 12}`` in a
file, ``KNearest(12)`` in Python.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
import math
import operator
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
import numpy as np

from glassdask.errors import GlassdaskError, ParameterError, SpeciesError, near

T = TypeVar("T")
TAG = "type"
_SCALARS = (str, int, float, bool)


class Declaration:
    """Base of frozen dataclasses that check themselves: fields by their annotations, then `check`.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Shell(Declaration):
    ...     radius: Positive
    ...     degrees: tuple[int, ...] = (4, 6)
    >>> Shell(radius=1, degrees=[6])
    Shell(radius=1.0, degrees=(6,))
    >>> make(Shell, {"radius": "1"}, "shell")
    Traceback (most recent call last):
        ...
    glassdask.errors.ParameterError: shell.radius: expected float, found '1'
    """

    tag: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        cls, own = type(self), self.__dict__
        for name, hint in hints(cls).items():
            own[name] = converted(own[name], hint, f"{cls.__name__}.{name}")
        self.check()

    def check(self) -> None:
        """Raise `ParameterError` where fields that are right each by itself do not go together."""


@dataclasses.dataclass(frozen=True)
class Where:
    """Annotation: the value must also satisfy this, as in ``Annotated[int, Where(lambda n: n > 0, "at least 1")]``."""

    holds: Callable[[Any], bool]
    expected: str


@dataclasses.dataclass(frozen=True)
class Read:
    """Annotation: the field is read by this function of value and path; `expected` tells people what it takes."""

    function: Callable[[Any, str], Any]
    expected: str = ""


Finite = Annotated[float, Where(math.isfinite, "a finite number")]
Positive = Annotated[float, Where(lambda x: 0 < x < math.inf, "a positive finite number")]
NotNegative = Annotated[float, Where(lambda x: 0 <= x < math.inf, "a finite number of at least 0")]
Count = Annotated[int, Where(lambda n: n >= 1, "a whole number of at least 1")]
Whole = Annotated[int, Where(lambda n: n >= 0, "a whole number of at least 0")]


def read_pairs(value: Any, where: str) -> float | dict[tuple[str, str], float] | None:
    """One positive number for all pairs of species, or a mapping from pairs to numbers with its keys as sorted pairs.

    Names that have a "-" in them cannot be told apart in "A-B-C": give a list of (species, species, number) instead.

    >>> read_pairs({"B-A": 1.2, ("A", "A"): 1}, "cutoffs")
    {('A', 'B'): 1.2, ('A', 'A'): 1.0}
    >>> read_pairs([["A", "B-C", 1.2]], "cutoffs")
    {('A', 'B-C'): 1.2}
    """
    if value is None:
        return None
    items: Iterable[tuple[Any, Any]]
    if isinstance(value, Mapping):
        items = value.items()
    elif (
        isinstance(value, (list, tuple)) and value and all(isinstance(t, (list, tuple)) and len(t) == 3 for t in value)
    ):
        items = [((a, b), number) for a, b, number in value]
    elif isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        pairs = "{'A-B': 1.2} or [['A', 'B-C', 1.2]]"
        raise ParameterError(f"{where}: expected a number, or one for each pair such as {pairs}, found {shown(value)}")
    else:
        return converted(value, Positive, where)
    found: dict[tuple[str, str], float] = {}
    for key, item in items:
        pair = pair_of(key, where)
        number = converted(item, Positive, f"{where}.{pair_text(*pair)}")
        if found.setdefault(pair, number) != number:
            raise ParameterError(f"{where}.{pair_text(*pair)}: found both {found[pair]:g} and {number:g}: give one")
    return found


def pair_text(first: str, second: str) -> str:
    """A pair of species for people: with a "-", unless one of them has that in its name.

    >>> print(pair_text("A", "B"), pair_text("A", "B-C"))
    A-B ('A', 'B-C')
    """
    pair = (str(first), str(second))
    return repr(pair) if "-" in first + second else "-".join(pair)


def pair_of(key: Any, where: str = "pair") -> tuple[str, str]:
    """Two species in the order of their names, from ("B", "A") or "B-A".

    >>> pair_of("B-A"), pair_of(("Si", "O"))
    (('A', 'B'), ('O', 'Si'))
    """
    parts = tuple(key.split("-")) if isinstance(key, str) else key
    if not isinstance(parts, tuple) or len(parts) != 2 or not all(isinstance(p, str) and p for p in parts):
        raise SpeciesError(f"{where}: expected two species such as 'A-B' or ('A', 'B'), found {shown(key)}")
    first, second = sorted(str(part) for part in parts)
    return first, second


# A number for all pairs of species or one for each pair: cutoffs, distances at contact.
PairValues = Annotated[Mapping[Any, float] | float, Read(read_pairs)]


def hints(cls: Any) -> dict[str, Any]:
    """Annotations of the fields of a declaration, by name."""
    return _hints(cls)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    found = typing.get_type_hints(cls, include_extras=True)
    return {field.name: found[field.name] for field in dataclasses.fields(cls) if field.init}


def required(cls: Any) -> list[str]:
    """Names of the fields of a declaration that have no default."""
    missing = dataclasses.MISSING
    return [f.name for f in dataclasses.fields(cls) if f.init and f.default is f.default_factory is missing]


def is_declaration(hint: Any) -> bool:
    """Whether an annotation names a declaration or a family of them."""
    return isinstance(hint, type) and issubclass(hint, Declaration)


def tag_of(cls: type) -> str:
    """How members of a family are told apart in files: the class's `tag`, else its name with underscores.

    >>> tag_of(type("KNearest", (), {})), tag_of(type("SANN", (), {}))
    ('k_nearest', 'sann')
    """
    own = cls.__dict__.get("tag") or getattr(cls, "name", None)
    return (
        own
        if isinstance(own, str)
        else re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()
    )


def family(base: type[T]) -> dict[str, type[T]]:
    """The concrete members of a family that are imported, by tag."""
    members: dict[str, type[T]] = {}
    waiting: list[type[T]] = [base]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if dataclasses.is_dataclass(cls) and not inspect.isabstract(cls):
            members[tag_of(cls)] = cls
    return members


def make(cls: type[T], values: Any, where: str | None = None) -> T:
    """A declaration from a mapping of its fields, as a file has it; `where` begins the path in errors.

    Raises
    ------
    ParameterError
        A field is unknown, missing or wrong: one line that names its path.
    """
    found = parts(cls, values, where)
    if missing := [name for name in required(cls) if name not in found]:
        also = f" and {', '.join(missing[1:])}" if missing[1:] else ""
        raise ParameterError(f"{joined(where, missing[0])}: is missing: {where or cls.__name__} needs it{also}")
    try:
        return cls(**found)
    except GlassdaskError as error:
        raise error if where is None else type(error)(f"{where}: {error}") from None


def rebuilt(cls: type[T], **fields: Any) -> T:
    """A declaration of all its fields, each of which has been checked already; for very many of them."""
    made = object.__new__(cls)
    made.__dict__.update(fields)
    return made


def parts(cls: type, values: Any, where: str | None = None) -> dict[str, Any]:
    """The fields that a mapping gives, each checked by itself; others may come from elsewhere before all is made."""
    known = hints(cls)
    if not isinstance(values, Mapping):
        raise ParameterError(f"{where or cls.__name__}: expected a table of {_listed(known)}, found {shown(values)}")
    for name in values:
        if name not in known:
            raise ParameterError(f"{joined(where, name)}: unknown, expected some of {_listed(known, name)}")
    return {name: converted(value, known[name], joined(where, name)) for name, value in values.items()}


def converted(value: Any, hint: Any, where: str) -> Any:
    """The value as its annotation wants it, or `ParameterError` that begins with `where`."""
    if type(value) is hint:
        return value
    inner, reader, conditions, members, leaf = _grammar(hint)
    if members is None:
        result = reader.function(value, where) if reader else converted(value, inner, where)
        for item in conditions:
            if not item.holds(result):
                raise ParameterError(f"{where}: expected {item.expected}, found {shown(value)}")
        return result
    if value is None and inner:  # or None
        return None
    if leaf is not None:
        return value if type(value) is leaf else _leaf(value, leaf, where)
    errors = []
    for member in members:
        try:
            return _member(value, member, where)
        except ParameterError as error:
            errors.append(error)
    # of several alternatives, the one that the value was meant for has found its mistake deepest inside
    raise max(errors, key=lambda error: len(re.findall(r"[.\[]", str(error).partition(": ")[0])))


def flags(**values: Any) -> None:
    """Raise `ParameterError` unless each is true or false: the text "no" and NaN are true to Python."""
    for name, value in values.items():
        converted(value, bool, name)


@functools.cache
def _grammar(hint: Any) -> tuple[Any, Read | None, tuple[Where, ...], tuple[Any, ...] | None, Any]:
    """What an annotation says, found out once.

    Of ``Annotated``: what is inside, our reader and conditions. Else: whether None is one of the alternatives, the
    others, and these as one where msgspec can serve them.
    """
    if typing.get_origin(hint) is Annotated:
        inner, *extra = typing.get_args(hint)
        reader = next((item for item in extra if isinstance(item, Read)), None)
        return inner, reader, tuple(item for item in extra if isinstance(item, Where)), None, None
    members = _flat(hint)
    others = tuple(member for member in members if member is not types.NoneType)
    leaf = None if any(map(_needs_us, others)) else functools.reduce(operator.or_, others)
    return len(others) < len(members), None, (), others, leaf


def _member(value: Any, hint: Any, where: str) -> Any:
    """The value as one alternative of its annotation."""
    if is_declaration(hint):
        return _declaration(value, hint, where)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated or origin is None or not _needs_us(hint):
        return converted(value, hint, where) if origin is Annotated else _leaf(value, hint, where)
    if origin is tuple:
        no_list = isinstance(value, (str, bytes, Mapping, set, frozenset)) or getattr(value, "ndim", 1) == 0
        if no_list or not isinstance(value, Iterable):
            raise ParameterError(f"{where}: expected a list, found {shown(value)}")
        items = list(value)
        each = [args[0]] * len(items) if args[-1:] == (...,) else list(args)
        if len(each) != len(items):
            raise ParameterError(f"{where}: expected {len(each)} values, found {len(items)}")
        return tuple(converted(item, kind, f"{where}[{k}]") for k, (item, kind) in enumerate(zip(items, each)))
    if not isinstance(value, Mapping):
        raise ParameterError(f"{where}: expected a table, found {shown(value)}")
    return {str(key): converted(item, args[1], f"{where}.{key}") for key, item in value.items()}


def _declaration(value: Any, cls: type, where: str) -> Any:
    """An instance of a declaration or of a member of its family."""
    if isinstance(value, cls):
        return value
    if isinstance(value, type) and issubclass(value, cls):
        raise ParameterError(f"{where}: expected an instance such as {value.__name__}(...), found the class")
    members: dict[str, Any] = family(cls)
    if isinstance(value, str) and members.keys() != {tag_of(cls)}:
        value = {TAG: value}
    if isinstance(value, Mapping):
        if TAG not in hints(cls) if dataclasses.is_dataclass(cls) else True:
            values = dict(value)
            chosen = values.pop(TAG, tag_of(cls) if cls in members.values() else None)
            if not isinstance(chosen, str) or chosen not in members:
                raise ParameterError(f"{joined(where, TAG)}: expected one of {_listed(members)}, found {shown(chosen)}")
            return make(members[chosen], values, where)
        return make(cls, value, where)
    raise ParameterError(f"{where}: expected {_article(cls, members)}, found {shown(value)}")


def _article(cls: type, members: Mapping[str, type]) -> str:
    names = sorted(member.__name__ for member in members.values())
    return f"{' or '.join(names)}" if names else cls.__name__


def _leaf(value: Any, hint: Any, where: str) -> Any:
    """A number, text, or lists and tables of them."""
    try:
        return msgspec.convert(_builtin(value), hint)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        place = place.rstrip("`")
        wanted, _, got = text.partition(", got ")
        expected = (
            wanted.replace("`", "").replace("Expected", "expected").replace("array", "list").replace("object", "table")
        )
        choices = [c for m in _flat(hint) if typing.get_origin(m) is typing.Literal for c in typing.get_args(m)]
        if choices and isinstance(value, str):
            expected = f"expected one of {_listed(map(repr, choices))}"
        if "[...]" in place:  # below a key that msgspec does not tell
            found = got.replace("`", "") or "another value"
        else:
            found = shown(functools.reduce(operator.getitem, map(int, re.findall(r"\[(\d+)\]", place)), value))
        raise ParameterError(f"{where}{place}: {expected}, found {found}") from None
    except TypeError as error:  # a hint that msgspec cannot serve is a mistake of ours
        raise TypeError(f"{where}: {error}") from None


def _builtin(value: Any) -> Any:
    """The value with NumPy's scalars, arrays and ranges as builtins, and paths as text."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "__array__"):  # also one with labels
        return np.asarray(value).tolist()
    if isinstance(value, range):
        return list(value)
    if isinstance(value, (set, frozenset)):
        return object()  # in no order, so no list
    if isinstance(value, (list, tuple)):
        return [_builtin(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _builtin(item) for key, item in value.items()}
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def shown(value: Any) -> str:
    """A value for an error, on one line and not too long.

    >>> shown(np.eye(2)), len(shown("a" * 1000))
    ('array([[1., 0.], [0., 1.]])', 83)
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:80]}..."


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _flat(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if _is_union(hint) else (hint,)


@functools.cache
def _needs_us(hint: Any) -> bool:
    """Whether an annotation has a declaration or one of our annotations somewhere inside."""
    if is_declaration(hint):
        return True
    if typing.get_origin(hint) is Annotated:
        inner, *extra = typing.get_args(hint)
        return any(isinstance(item, (Read, Where)) for item in extra) or _needs_us(inner)
    return any(_needs_us(argument) for argument in typing.get_args(hint) if argument is not ...)


def joined(where: str | None, name: Any) -> str:
    """The path of a member in errors, on one line and not too long.

    >>> joined("describe", "soap"), joined(None, "a\\nb")
    ('describe.soap', "'a\\\\nb'")
    """
    text = str(name)
    text = text if len(text) <= 80 and text.isprintable() else shown(text)
    return f"{where}.{text}" if where else text


def _listed(names: Iterable[Any], found: object = "") -> str:
    return ", ".join(map(str, names)) + near(found, names)


def plain(value: Any) -> Any:
    """The value as JSON has it: declarations as tables with their tag, pairs of species as "A-B", no NumPy types.

    Where a species has a "-" in its name, a mapping of pairs is a list of (species, species, value): see `read_pairs`.

    >>> plain({("A", "B"): (1, np.float64(2.5))}), plain({("A", "B-C"): 1.2})
    ({'A-B': [1, 2.5]}, [['A', 'B-C', 1.2]])
    """
    if value is None or (type(value) in _SCALARS and value == value):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return {TAG: tag_of(type(value)), **fields}
    if isinstance(value, Mapping):
        if any(isinstance(key, tuple) and any("-" in str(part) for part in key) for key in value):
            return [[*map(str, k if isinstance(k, tuple) else (k,)), plain(v)] for k, v in value.items()]
        table = {"-".join(map(str, k)) if isinstance(k, tuple) else str(k): plain(v) for k, v in value.items()}
        if len(table) < len(value):
            raise ParameterError(f"{shown(value)} cannot be written: two of its keys are the same text: rename one")
        return table
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, float) and math.isnan(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ParameterError(f"{shown(value)} of type {type(value).__name__} cannot be written: use numbers, text or lists")


def grammar(cls: Any) -> list[tuple[str, str, str]]:
    """Name, kind and default of each field of a declaration in the words of files, for people; "" is no default.

    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Shell(Declaration):
    ...     radius: Positive
    ...     degrees: tuple[int, ...] = (4, 6)
    ...     kind: typing.Literal["sharp", "smooth"] | None = None
    >>> for line in grammar(Shell):
    ...     print(line)
    ('radius', 'a positive finite number', '')
    ('degrees', 'list of int', '[4, 6]')
    ('kind', '"sharp" | "smooth"', 'none')
    """
    found = []
    known = hints(cls)
    for field in dataclasses.fields(cls):
        if field.name in known:
            default = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            text = "" if default is dataclasses.MISSING else json.dumps(plain(default)).replace("null", "none")
            found.append((field.name, _kind(known[field.name]), text))
    return found


def _kind(hint: Any) -> str:
    """An annotation in the words of files."""
    if typing.get_origin(hint) is Annotated:
        inner, *extra = typing.get_args(hint)
        told = (item.expected for item in extra if isinstance(item, (Where, Read)) and item.expected)
        return next(told, None) or _kind(inner)
    if _is_union(hint):
        return " | ".join(_kind(member) for member in typing.get_args(hint) if member is not types.NoneType)
    if is_declaration(hint):
        return " | ".join(f'"{tag}"' for tag in sorted(family(hint)))
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " | ".join(map(json.dumps, args))
    if origin is tuple:
        return f"list of {_kind(args[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table of {_kind(args[1])}"
    return getattr(hint, "__name__", str(hint))


def digest(*values: Any) -> str:
    """SHA-256 of the values as JSON: equal declarations have equal digests, wherever they were made."""
    return hashlib.sha256(json.dumps(plain(values), sort_keys=True).encode()).hexdigest()
