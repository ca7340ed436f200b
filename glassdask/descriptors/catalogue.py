"""What descriptors there are, for people: parameters, cost, and examples that work as typed."""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import re
import shlex
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassdask.declarations import grammar, plain, required
from glassdask.descriptors.base import MEASURED, Descriptor, own_first
from glassdask.descriptors.describe import describe
from glassdask.descriptors.registry import DESCRIPTORS, descriptor_class, kind_of, make
from glassdask.errors import GlassdaskError
from glassdask.graphs import compute, within_task
from glassdask.schema import from_arrays

# A dense mixture that stands for the user's own where costs are measured, and what is measured of it elsewhere.
MORE = 4  # frames
DENSITY, TYPICAL = 1.2, {"cutoffs": lambda: 1.4, "diameters": lambda: {"A": 1.0, "B": 0.9}}


@dataclass(frozen=True)
class Entry:
    """One descriptor.

    Attributes
    ----------
    name, class_name : str
        For files and the shell, and in Python.
    module : str
        Where it is; other packages add descriptors, too.
    title : str
        One line.
    text : str
        Formula, source, output, and what is NaN.
    parameters : tuple of tuple of 4 str
        Of each its name, what it may be, its default ("" where there is none) and its meaning.
    example : dict
        Parameters that it does not work without.
    measured : tuple of str
        Parameters that are measured of the trajectory where files and the shell do not give them.
    """

    name: str
    class_name: str
    module: str
    title: str
    text: str
    parameters: tuple[tuple[str, str, str, str], ...]
    example: dict[str, Any]
    measured: tuple[str, ...]

    @property
    def shell(self) -> str:
        """As an argument of the command line."""
        given = ",".join(f"{key}={_word(plain(value))}" for key, value in self.example.items())
        return shlex.quote(f"{self.name}:{given}") if given else self.name

    @property
    def toml(self) -> str:
        """As a table of a file of parameters."""
        return "\n".join([f"[{self.name}]", *(f"{key} = {_toml(plain(value))}" for key, value in self.example.items())])

    @property
    def python(self) -> str:
        """As it is made in Python; cutoffs are then given."""
        cls = descriptor_class(self.name)
        given = {k: repr(v) for k, v in self.example.items()}
        if "cutoffs" in self.measured:
            given["cutoffs"] = "gd.first_minima(trajectory)"
        elif "diameters" in self.measured:
            given["diameters"] = "gd.first_peaks(trajectory)"
        package = "gd" if cls.__module__.startswith("glassdask.") else cls.__module__
        return f"{package}.{self.class_name}({', '.join(f'{key}={value}' for key, value in given.items())})"


def entry(name: str) -> Entry:
    """What is told of a descriptor.

    Examples
    --------
    >>> found = entry("SOAP")
    >>> found.name, found.shell
    ('soap', 'soap:r_cut=1.6,n_max=6,l_max=8,sigma=0.2')
    """
    cls = descriptor_class(name)
    doc = inspect.cleandoc(cls.__doc__ or "")
    title, _, rest = doc.partition("\n")
    text, meanings = _parted(rest)
    words = {key: (kind, default) for key, kind, default in grammar(cls)}
    rows = tuple((key, *words[key], meanings.get(key, "")) for key in own_first(cls))
    given = example(cls)
    measured = tuple(cls.measured(given))
    return Entry(kind_of(name), cls.__name__, cls.__module__, title, text, rows, given, measured)


def entries() -> list[Entry]:
    """Of all descriptors, those of other packages too."""
    return [entry(name) for name in DESCRIPTORS]


def example(cls: type[Descriptor]) -> dict[str, Any]:
    """The parameters without a default, as the example in the docstring of a descriptor gives them."""
    wanted = [name for name in required(cls) if name not in MEASURED]
    for part in doctest.DocTestParser().get_examples(cls.__doc__ or ""):
        for node in ast.walk(ast.parse(part.source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == cls.__name__:
                given = {word.arg: word.value for word in node.keywords if word.arg in wanted}
                with suppress(KeyError, ValueError):  # one that is missing, or is no plain value
                    return {name: ast.literal_eval(given[name]) for name in wanted}
    return dict.fromkeys(wanted, "...")


def microseconds(name: str) -> float:
    """What a particle takes, measured now on one core with the parameters of the example: 864 particles of a liquid.

    That is what some frames more of it take, without what is done once. NaN where the example does not fit two species
    in three dimensions.
    """
    rng = np.random.default_rng(1)
    cells = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 1, 3)
    corners = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])
    edge = (4 / DENSITY) ** (1 / 3)
    position = ((cells + corners).reshape(1, -1, 3) + rng.normal(scale=0.06, size=(MORE + 1, 864, 3))) * edge
    species = np.where(np.arange(864) % 5 == 0, "B", "A")
    liquid = from_arrays(position, species=species, box=[6 * edge] * 3)
    try:
        frames, first = (
            describe(part, make(name, example(descriptor_class(name)), TYPICAL))
            for part in (liquid, liquid.isel(frame=[0]))
        )
    except GlassdaskError:
        return float("nan")
    with within_task():
        compute(first)  # compiles, or reads what is compiled
        times = [time.process_time()]
        for lazy in (first, frames):
            compute(lazy)
            times.append(time.process_time())
        once, all_of_them = np.diff(times)
        return 1e6 * max(0.0, float(all_of_them - once)) / (MORE * 864)


def _parted(doc: str) -> tuple[str, dict[str, str]]:
    """The text of a docstring without its sections Parameters and Examples, and the meaning of each parameter."""
    body, _, _ = doc.partition("\nExamples\n--------")
    before, _, section = body.partition("\nParameters\n----------\n")
    listed, _, after = section.partition("\n\n")
    meanings: dict[str, str] = {}
    for block in re.split(r"\n(?=\w)", listed):
        names, _, kind = block.partition("\n")[0].partition(" : ")
        lines = [line.strip() for line in block.splitlines()[1:]]
        meanings |= dict.fromkeys(names.split(", "), " ".join(lines) or kind)  # where no type is told, what is there
    text = "\n\n".join(part.strip("\n") for part in (before, after) if part.strip())
    return text.replace("Notes\n-----\n", ""), meanings


def _word(value: Any) -> str:
    """A value as the command line takes it: words have no quotes there."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}={_word(item)}" for key, item in value.items()) + "}"
    return re.sub(r'[" ]', "", json.dumps(value))


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)
