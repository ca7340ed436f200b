"""What a stage of a sweep is: a new one is one class like this, in a module of its own, and one entry in `stages`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from glassdask.code import digest
from glassdask.declarations import Declaration, plain
from glassdask.sweep.state import Settings, State


class Stage:
    """One kind of work on a state, that may be killed and repeated at any time.

    A sweep whose file has a table ``[NAME]`` has the stage. Another package adds one of its own by the entry point
    ``glassdask.stages`` (see `glassdask.plugins`), whose name is that of the stage and whose value is the class.

    Attributes
    ----------
    name : str
        Of the stage, and of its table.
    table : type
        The declaration that its table is read as.
    needs : tuple of str, optional
        Stages that must be complete before it, where a sweep has them.
    of_runs : tuple of str, optional
        Keys of the table that a run may give for its own states.
    brings : tuple of str, optional
        Stages that a sweep with this one has, too, with the same settings.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Counting(Declaration):
    ...     least: int = 1
    >>> class Count(Stage):
    ...     name = "count"
    ...     table = Counting
    ...     def groups(self, state, settings):
    ...         return ["reductions/count"]
    ...     def run(self, state, settings, overwrite):
    ...         print(f"{state.path}: at least {settings['count'].least}")
    """

    name: ClassVar[str]
    table: ClassVar[type[Declaration]]
    needs: ClassVar[tuple[str, ...]] = ()
    of_runs: ClassVar[tuple[str, ...]] = ()
    brings: ClassVar[tuple[str, ...]] = ()

    def check(self, settings: Settings) -> None:
        """Raise `ParameterError` where the settings of this stage do not go with those of the others."""

    def after(self, state: State, settings: Settings) -> tuple[str, ...]:
        """The stages that must be complete before this one of a state; those that the sweep lacks do not count."""
        return self.needs

    def among(self, state: State) -> str | None:
        """Of a stage that is made of several states: a name that they share. The stages before it end in all of them.

        Then `joined` gives it the other states.
        """
        return None

    def joined(self, own: Any, states: Sequence[State], settings: Sequence[Settings]) -> Any:
        """Its settings, with what it takes of all states that share a name, and of their settings."""
        return own

    def groups(self, state: State, settings: Settings) -> list[str]:
        """What it stores, relative to the state's store: it is complete when all of these groups are."""
        raise NotImplementedError

    def identity(self, own: Any) -> Any:
        """What its results depend on, besides those of the stages before it, by its own settings; part of the key."""
        return [digest(*self.computing(own)), plain(own)]

    def computing(self, own: Any) -> tuple[Any, ...]:
        """The code that computes its results, as `glassdask.code.digest` takes it: by default this class."""
        return (type(self),)

    def remarks(self, state: State, settings: Settings) -> list[str]:
        """Lines of a state whose results are kept though its sources tell more by now; overwriting begins it anew."""
        return []

    def run(self, state: State, settings: Settings, overwrite: bool) -> None:
        """Do it, or what is left of it. What is stored already and the same is kept.

        Parameters
        ----------
        state : State
            Whose store is at `state.path`.
        settings : Settings
            Of all stages of the state, by name.
        overwrite : bool
            Replace what was stored with other settings; otherwise that is a `StoreError`.
        """
        raise NotImplementedError
