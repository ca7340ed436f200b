"""What a sweep consists of: states, and of each its units of work. The same in memory, on workers and on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from glassdask.declarations import Declaration
from glassdask.errors import GlassdaskError, ParameterError, PluginError
from glassdask.store.layout import checked_name
from glassdask.sweep.advice import toml

# Of each stage of a state, what its table of the sweep's file says (or how the state is simulated).
Settings = Mapping[str, Any]

ENSEMBLE = "isoconfigurational/reductions/isoconfigurational"


@dataclass(frozen=True, kw_only=True)
class Unit(Declaration):
    """One stage of one state.

    Attributes
    ----------
    key : str
        Hash of its settings, of the code that computes it, and of the keys of the stages before it.
    groups : tuple of str
        What it stores, relative to the store of its state; "" is that store itself.
    after : tuple of str, optional
        The stages that must be complete before it.
    among : str, optional
        They must be complete in all states whose unit of this stage has the same name here.
    """

    key: str
    groups: tuple[str, ...]
    after: tuple[str, ...] = ()
    among: str | None = None

    def check(self) -> None:
        """Groups lead nowhere else."""
        for group in self.groups:
            if group:
                checked_name(group)


@dataclass(frozen=True, kw_only=True)
class State(Declaration):
    """One state of a sweep: a trajectory, and what is to be made of it.

    Attributes
    ----------
    label : str
        What tells it from the others, such as ``kob_andersen/T=0.4500/seed=1``.
    path : str
        Its store; in a description on disk relative to that of the sweep.
    model, temperature, density, seed : str or float or int
        What it is; the last two are None where they are not told.
    units : dict
        Its stages in order, each with what is known of it before it is run.
    """

    label: str
    path: str
    model: str
    temperature: float
    density: float | None = None
    seed: int | None = None
    units: dict[str, Unit] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        """Labels and names of stages become paths, columns and HTML."""
        checked_name(self.label)
        for stage in self.units:
            checked_stage(stage)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of this state, in order."""
        return tuple(self.units)


def checked_stage(name: str) -> str:
    """The name of a stage, or `ParameterError`."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise ParameterError(f"{name!r} cannot name a stage: use small letters, digits and '_'")
    return name


def label_of(model: str, temperature: float, density: float | None, seed: int | None) -> str:
    """Name of a state.

    >>> label_of("kob_andersen", 0.45, 1.2, 7)
    'kob_andersen/rho=1.2000/T=0.4500/seed=7'
    """
    levels = [model, *([] if density is None else [f"rho={density:.4f}"]), f"T={temperature:.4f}"]
    levels += [] if seed is None else [f"seed={seed}"]
    return checked_name("/".join(levels))


def twice(first: State, second: State) -> ParameterError:
    """The error of two states that have one label, and with it one folder.

    >>> one, other = (State(label="gas/T=1.0000", path="", model="gas", temperature=t) for t in (1.0, 1.00001))
    >>> str(twice(one, other))[:63]
    'gas/T=1.0000 is asked for twice, with temperatures 1.0 and 1.00'
    """
    known = [(name, getattr(first, name), getattr(second, name)) for name in ("temperature", "density")]
    apart = [f"{name}s {one} and {other}" for name, one, other in known if one != other]
    told = "have four decimals" if apart else "tell model, density, temperature and seed alone"
    return ParameterError(
        f"{first.label} is asked for twice{', with ' if apart else ''}{', '.join(apart)}: leave one out, or give it a "
        f"file and store of its own, as labels {told}"
    )


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Say where in a sweep's file a mistake is that is found inside, in one line."""
    try:
        yield
    except PluginError:
        raise
    except GlassdaskError as error:
        raise ParameterError(toml(" ".join(f"{where}: {error}".splitlines()))) from None
