"""Digests of the code that computes something, so that a result is known to be that of the code at hand.

A digest is the SHA-256 of the syntax trees of all that a class or function uses, directly or not: its own definition,
and the functions, classes and constants that it names, in its module and in those that it imports (lazily, too).
Comments, docstrings and formatting leave no trace. What is not named makes no difference either: a function that is new
in a module, or another model liquid, changes only the digest of what uses it. Code is read, not run; names that are put
together while a program runs are not followed.

Which rooms of glassdask count
------------------------------
Those that decide the numbers: kernels, neighborhood, schema, descriptors, correlations, fields, dynamics, learning,
simulation, the readers of files, and the walk over frames, whose order of summation decides the last bits. The others
move numbers without making any (files, store, graphs, cluster, sweep), show them (cli, plotting, variables), or check
what is given (errors, declarations, plugins): what is computed with is in the parameters of a result. Where a function
of one of these rooms is what computes, its own module counts.

Of code outside of glassdask, the same package counts, and what is not installed: scripts and what lies beside them.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import subprocess
import sys
import sysconfig
import textwrap
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from glassdask import LOADED
from glassdask.errors import StoreError

ROOT = "glassdask"
ROOMS = (
    "kernels", "neighborhood", "schema", "descriptors", "correlations", "fields", "dynamics", "learning", "simulation",
    "io", "frames", "configurations",
)  # fmt: skip
APART = ("glassdask.kernels.cache",)  # where compiled code is kept
# Decorators of definitions that are found by their names alone; others may enter a definition somewhere
PLAIN = {
    "kernel", "inlined", "njit", "jit", "intrinsic", "dataclass", "cache", "cached_property", "lru_cache",
    "contextmanager", "wraps", "delayed", "final", "total_ordering", "runtime_checkable",
}  # fmt: skip
DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
WITH_DOCSTRING = (*DEFINITION, ast.Module)
ALWAYS = "*"  # the name of the statements of a module that act when it is imported
PROMPT = "__main__"

Target = tuple[str, str]  # a module, and a dotted name in it; "" is all of the module


@dataclass(frozen=True)
class Part:
    """A statement: the digest of its tree, the dotted names that it uses, and what it imports itself."""

    digest: str
    uses: frozenset[str]
    imports: frozenset[Target]


@dataclass
class Module:
    """The statements of a module by the names that they define, and where the names that it imports come from."""

    name: str
    is_package: bool = False
    parts: dict[str, list[Part]] = field(default_factory=dict)
    bound: dict[str, Target] = field(default_factory=dict)

    def find(self, name: str) -> list[Part] | Target | None:
        """What a name is: statements of this module, something in another module, or nothing that is known here."""
        return self.parts.get(name) or self.bound.get(name)


@cache
def version() -> str:
    """What people call this code: the newest tag and the commits since, of a checkout; otherwise what is installed.

    No key has it: two versions that compute something in the same way give the same result.
    """
    folder = Path(__file__).parents[1]
    if (folder / ".git").exists():
        for question in (["describe", "--tags", "--long", "--match", "v[0-9]*"], ["log", "-1", "--format=v0-0-g%h"]):
            command = ["git", "-C", str(folder), *question]
            with suppress(OSError, subprocess.SubprocessError):
                said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
                tag, commits, commit = said.rsplit("-", 2)
                since = "" if commits == "0" else f".post{commits}"
                return tag[1:] if tag != "v0" and not since else f"{tag[1:]}{since}+{commit}"
    try:
        return importlib.metadata.version(ROOT)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def digest(*computing: Any, apart: tuple[str, ...] = ()) -> str:
    """SHA-256 of the code of functions, classes, modules and declarations, and of all that they use.

    Parameters
    ----------
    *computing : functions, classes and modules, or where they are, as ``"module:name"`` or ``"module"``; of a
        declaration (an instance of a dataclass), its class and those of the declarations in it
    apart : tuple of str, optional
        Modules and packages that are known to make no difference here.

    Raises
    ------
    StoreError
        A file of glassdask was edited after this process had loaded it: what computes is not known any more.
    LookupError
        There is no source by a name that was given.

    Examples
    --------
    >>> import glassdask as gd
    >>> digest(gd.SOAP) == digest(gd.SOAP), digest(gd.SOAP) == digest(gd.BondOrder)
    (True, False)
    """
    targets: set[Target] = set()
    alone: list[str] = []
    for thing in computing:
        for part in _declared(thing):
            target = _target(part)
            if isinstance(target, Part):  # of no module that can be read
                alone.append(target.digest)
                targets |= {*target.imports, *((PROMPT, name) for name in target.uses)}
            else:
                targets.add(target)
    # what was asked for counts, whatever room it is in
    ours = all(module.partition(".")[0] == ROOT for module, _ in targets)
    walk = _walked if ours else _walked.__wrapped__  # what is not ours may be edited and loaded again
    found = walk(frozenset(targets), frozenset(module for module, _ in targets), (*apart, *APART))
    return hashlib.sha256(" ".join([found, *sorted(alone)]).encode()).hexdigest() if alone else found


def _declared(value: Any) -> Iterator[Any]:
    """Functions, classes and modules as they are; the classes of a declaration and of those in it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield type(value)
        for entry in dataclasses.fields(value):
            held = getattr(value, entry.name)
            inside = held.values() if isinstance(held, Mapping) else held if isinstance(held, (tuple, list)) else [held]
            for item in inside:
                if dataclasses.is_dataclass(item) and not isinstance(item, type):
                    yield from _declared(item)
    else:
        yield value


def _target(thing: Any) -> Target | Part:
    """Where something is defined; a `Part` of its own where that cannot be read."""
    if isinstance(thing, str):
        module, _, name = thing.partition(":")
        scope = _module(module)
        if scope is None or (name and not scope.find(name.partition(".")[0])):
            raise LookupError(f"{thing}: no source of this name")
        return module, name
    if isinstance(thing, types.ModuleType):
        return thing.__name__, ""
    while isinstance(thing, functools.partial) or hasattr(thing, "py_func"):
        thing = thing.func if isinstance(thing, functools.partial) else thing.py_func
    thing = inspect.unwrap(thing)
    if not hasattr(thing, "__qualname__"):
        thing = type(thing)
    module, name = str(thing.__module__), thing.__qualname__.partition(".")[0]
    scope = _module(module)
    return (module, name) if scope is not None and scope.find(name) else _part_of(thing)


@cache
def _walked(targets: frozenset[Target], asked: frozenset[str], apart: tuple[str, ...]) -> str:
    found: dict[Target, str] = {}
    seen: set[Target] = set()
    waiting = list(targets)
    while waiting:
        target = waiting.pop()
        if target not in seen and not f"{target[0]}.".startswith(tuple(f"{name}." for name in apart)):
            seen.add(target)
            waiting += _followed(target, asked, found)
    lines = [f"{module} {name} {value}" for (module, name), value in sorted(found.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _followed(target: Target, asked: frozenset[str], found: dict[Target, str]) -> Iterator[Target]:
    """Put what a target is into `found`, and give what it uses."""
    module, dotted = target
    scope = _module(module) if _counts(module, asked) else None
    if scope is None:
        return
    name, _, rest = dotted.partition(".")
    if not name:
        yield from ((module, part) for part in scope.parts if module != ROOT)
    elif scope.is_package and _file(f"{module}.{name}") is not None:
        yield f"{module}.{name}", rest
    elif isinstance(what := scope.find(name), tuple):
        yield what[0], ".".join(filter(None, (what[1], rest)))
    elif what:
        found[module, name] = " ".join(part.digest for part in what)
        yield module, ALWAYS
        for part in what:
            yield from part.imports
            yield from ((module, use) for use in part.uses)


def _counts(module: str, asked: frozenset[str]) -> bool:
    """Whether the code of a module belongs into digests."""
    top, _, rest = module.partition(".")
    if top == ROOT:
        return not rest or module in asked or rest.partition(".")[0] in ROOMS
    if module == PROMPT or top in {name.partition(".")[0] for name in asked}:
        return True
    file = _file(module)
    installed = ("site-packages", "dist-packages")
    return file is not None and not file.is_relative_to(_standard()) and not {*installed} & {*file.parts}


@cache
def _standard() -> Path:
    return Path(sysconfig.get_path("stdlib")).resolve()


@cache
def _file(name: str) -> Path | None:
    """The source of a module, found without importing it."""
    loaded = sys.modules.get(name)
    file = getattr(loaded, "__file__", None)
    if file is None and "." in name:
        top, *inner = name.split(".")
        above = _file(top)
        if above is None or above.name != "__init__.py":
            return None
        place = above.parent.joinpath(*inner)
        file = next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
    elif file is None and loaded is None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        file = spec.origin if spec is not None else None
    path = Path(file).resolve() if file is not None else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


# Python 3.11 counts the depth of what it parses once for all threads, and fails where two parse at a time.
_parsing = threading.Lock()


def _tree(source: str | bytes, name: str = "<unknown>") -> ast.Module:
    with _parsing:
        return ast.parse(source, name)


def _module(name: str) -> Module | None:
    """The module of this name; None where its source cannot be read."""
    file = _file(name)
    if file is not None:
        return _read(name, file, file.stat().st_mtime_ns)
    return Prompt(name) if name == PROMPT else None


@cache
def _read(name: str, file: Path, changed: int) -> Module:
    if name.partition(".")[0] == ROOT and name in sys.modules and changed > 1e9 * LOADED:
        raise StoreError(
            f"{file}: was edited after this process had loaded glassdask, so that results would be stored as those of "
            "other code: start the program (or notebook) again"
        )
    module = Module(name, file.name == "__init__.py")
    _add_statements(module, _tree(file.read_bytes(), str(file)).body)
    stub = file.with_suffix(".pyi")
    if module.is_package and stub.is_file():  # names that are imported on first use
        _bind(module, _tree(stub.read_bytes(), str(stub)))
    return module


def _add_statements(module: Module, body: Iterable[ast.stmt]) -> None:
    for node in body:
        if _is_text(node) or _is_for_typing(node) or _is_for_main(node):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            _bind(module, node)
            if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
                module.parts.setdefault(ALWAYS, []).append(_parsed(node, module.name, module.is_package))
            continue
        part = _parsed(node, module.name, module.is_package)
        names = _defined(node)
        for name in names or [ALWAYS]:
            module.parts.setdefault(name, []).append(part)
        if isinstance(node, DEFINITION) and not all(_is_plain(decorator) for decorator in node.decorator_list):
            module.parts.setdefault(ALWAYS, []).append(part)
        if not names:
            _bind(module, node)  # imports inside of `try` and `if`


def _defined(node: ast.stmt) -> list[str]:
    """Names that a statement defines, if it does nothing else."""
    if isinstance(node, DEFINITION):
        return [node.name]
    targets = list(node.targets) if isinstance(node, ast.Assign) else []
    targets += [node.target] if isinstance(node, ast.AnnAssign) else []
    flat = [item for target in targets for item in (target.elts if isinstance(target, ast.Tuple) else [target])]
    names = [item.id for item in flat if isinstance(item, ast.Name)]
    return names if len(names) == len(flat) else []


def _is_plain(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)) in PLAIN


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_for_typing(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not node.orelse


def _is_for_main(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "'__main__'" in ast.dump(node.test) and not node.orelse


def _bind(module: Module, tree: ast.AST) -> None:
    """Note where the names that a tree imports come from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module.bound[alias.asname or alias.name.partition(".")[0]] = (
                    (alias.name, "") if alias.asname else (alias.name.partition(".")[0], "")
                )
        elif isinstance(node, ast.ImportFrom):
            source = _source(node, module.name, module.is_package)
            module.bound |= {alias.asname or alias.name: (source, alias.name) for alias in node.names}


def _source(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The module that a ``from`` names."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    above = parts[: len(parts) - node.level + (1 if is_package else 0)]
    return ".".join([*above, *([node.module] if node.module else [])])


def _parsed(tree: ast.AST, module: str, is_package: bool = False) -> Part:
    """A syntax tree without positions and docstrings, and the names in it."""
    text: list[str] = []
    uses: set[str] = set()
    imports: set[Target] = set()

    def walk(node: ast.AST, chained: bool = False) -> None:
        if isinstance(node, ast.Name) and not chained:
            uses.add(node.id)
        elif isinstance(node, ast.Attribute) and not chained:
            if (name := _dotted(node)) is not None:
                uses.add(name)
                chained = True
        elif isinstance(node, ast.Import):
            imports.update((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _source(node, module, is_package)
            imports.update((source, "" if alias.name == "*" else alias.name) for alias in node.names)
        text.append(type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                text.append(name)
                walk(value, chained)
            elif isinstance(value, list):
                documented = name == "body" and isinstance(node, WITH_DOCSTRING) and _is_text(value[0])
                items = value[1:] if documented else value
                if items:
                    text.append(f"{name}[")
                    for item in items:
                        if isinstance(item, ast.AST):
                            walk(item)
                        else:
                            text.append(repr(item))
                    text.append("]")
            elif value is not None:
                text.append(f"{name}={value!r}")
        text.append(")")

    walk(tree)
    return Part(hashlib.sha256(" ".join(text).encode()).hexdigest(), frozenset(uses), frozenset(imports))


def _dotted(node: ast.expr) -> str | None:
    """``a.b.c`` of names only."""
    if isinstance(node, ast.Name):
        return node.id
    above = _dotted(node.value) if isinstance(node, ast.Attribute) else None
    return f"{above}.{node.attr}" if above is not None and isinstance(node, ast.Attribute) else None


class Prompt(Module):
    """What was typed at a prompt or in a notebook: there is no file, but the things themselves are there."""

    def find(self, name: str) -> list[Part] | Target | None:
        """What a name is now."""
        value = vars(sys.modules[self.name]).get(name)
        if isinstance(value, types.ModuleType):
            return value.__name__, ""
        if isinstance(value, (int, float, complex, str, bytes, tuple, frozenset)):
            return [Part(hashlib.sha256(repr(value).encode()).hexdigest(), frozenset(), frozenset())]
        value = inspect.unwrap(getattr(value, "py_func", value)) if callable(value) else None
        if value is None or not hasattr(value, "__qualname__"):
            return None
        if value.__module__ != self.name:
            return str(value.__module__), value.__qualname__.partition(".")[0]
        return [_part_of(value)]


def _part_of(thing: Callable[..., Any] | type) -> Part:
    """A function or class by itself: its source, or what it was compiled to."""
    try:
        return _parsed(_tree(textwrap.dedent(inspect.getsource(thing))), str(thing.__module__))
    except (OSError, TypeError, SyntaxError):
        functions: list[Any] = [value for value in vars(thing).values() if inspect.isfunction(value)] or [thing]
        parts = [_compiled(function.__code__) for function in functions if hasattr(function, "__code__")]
        uses = frozenset(name for _, names in parts for name in names)
        return Part(hashlib.sha256(repr([text for text, _ in parts]).encode()).hexdigest(), uses, frozenset())


def _compiled(code: types.CodeType) -> tuple[str, set[str]]:
    """Instructions, constants and names of a code object and of those in it, without their places."""
    text, names = [code.co_code.hex(), *code.co_names], set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner, more = _compiled(constant)
            text.append(inner)
            names |= more
        else:
            text.append(repr(constant))
    return " ".join(text), names
