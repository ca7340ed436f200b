"""How far a sweep is: read from its records and from the metadata of its states, never from chunks."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from glassdask.errors import GlassdaskError
from glassdask.store.arrays import arrays
from glassdask.store.groups import COMPLETE as STORED
from glassdask.sweep import records
from glassdask.sweep.lock import holders
from glassdask.sweep.remaining import remaining
from glassdask.sweep.state import State, Unit

if TYPE_CHECKING:
    import pandas as pd

ABSENT, PARTIAL, COMPLETE, FAILED, WAITING = "absent", "partial", "complete", "failed", "waiting"
# errors of units that are absent, but whose place is taken
STALE = "done with other parameters or by other code: run with --overwrite to replace it"
CHANGED = "computed before the trajectory was changed: run with --overwrite to replace it"


class Standing(NamedTuple):
    """How a unit stands: status, the share of its files that are there, and one line where something is wrong."""

    status: str
    fraction: float = 0.0
    error: str = ""


DONE = Standing(COMPLETE, 1.0)


@contextmanager
def _at_once() -> Iterator[None]:
    """Make very many objects without looks for cycles among them, of which there are none: half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_at_once()
def status(store: str | os.PathLike[str]) -> pd.DataFrame:
    """How far a sweep is, while it runs or after it; reads only, and no chunks.

    Parameters
    ----------
    store : path
        The store of a sweep that was run at least once.

    Returns
    -------
    pandas.DataFrame
        One row for each state, with its label as index. Columns: ``model``, ``temperature``, ``density``, ``seed``
        (None or NaN where they are not told), ``path``; and for every stage of the sweep

        - ``STAGE``: "complete"; "partial", begun and not ended (it runs, or was interrupted); "failed"; "waiting" for a
          stage before it that failed; "absent", not begun, or done with other parameters, by other code or before the
          trajectory was changed (then the error says so)
        - ``STAGE_fraction``: from 0 to 1, the share of the files that are there, 0 to 1
        - ``STAGE_error``: one line, or ""

        A state without the stage, such as "simulate" of a trajectory that was there before, counts as complete.
        ``attrs["stages"]`` are the stages in order, ``attrs["runs"]`` who runs the sweep at the moment: a list of dicts
        with share, host, pid, user and started. ``attrs["remaining"]`` are, of each stage, the ``units`` that are not
        complete, how many of them ``run``, and the ``seconds`` that they take if they are like those that have ended.

    Raises
    ------
    StoreError
        No sweep was run in this store.

    Examples
    --------
    >>> import pathlib, tempfile, numpy as np, glassdask as gd
    >>> from glassdask.sweep import run_sweep
    >>> temporary = tempfile.TemporaryDirectory()
    >>> folder = pathlib.Path(temporary.name)
    >>> gas = gd.from_arrays(np.random.default_rng(1).random((2, 30, 3)) * 4, species=["A"] * 30, box=[4.0] * 3)
    >>> gd.save_trajectory(gas, folder / "T=0.5.zarr")
    >>> runs = '[[runs]]\\nmodel = "gas"\\ntrajectories = "T={temperature}.zarr"\\n'
    >>> _ = (folder / "gas.toml").write_text(runs + "[correlate]\\ndynamics = false")
    >>> run_sweep(folder / "gas.toml").loc["gas/T=0.5000", "correlate"]
    'complete'
    >>> status(folder / "gas.zarr").loc["gas/T=0.5000", ["correlate", "correlate_error"]].tolist()
    ['complete', '']
    >>> temporary.cleanup()
    """
    import pandas as pd

    root = Path(store)
    described = records.read_description(root)
    names = ("model", "temperature", "density", "seed", "path")
    columns = {name: [getattr(state, name) for state in described.states] for name in names}
    known = records.read_records(root, described.states)
    standing = _together(described.states, records.mapped(_of_state, described.states, known))
    for stage in described.stages:
        found = [units.get(stage, DONE) for units in standing]
        for column, values in zip(("", "_fraction", "_error"), zip(*found)):
            columns[stage + column] = list(values)
    index = pd.Index([state.label for state in described.states], name="label")
    texts = ("path", *(f"{stage}_error" for stage in described.stages))  # in which there may be any bytes
    kept = {name: pd.Series(columns[name], index=index, dtype=object) for name in texts}
    table = pd.DataFrame({**columns, **kept}, index=index)
    left = remaining(described.stages, described.states, standing, known)
    table.attrs = {
        "stages": list(described.stages), "runs": holders(root), "store": str(root.absolute()), "remaining": left,
    }  # fmt: skip
    return table


@_at_once()
def standings(root: Path, states: Sequence[State]) -> list[dict[str, Standing]]:
    """How every unit of every state stands."""
    return _together(states, records.mapped(_of_state, states, records.read_records(root, states)))


def _together(states: Sequence[State], found: list[dict[str, Standing]]) -> list[dict[str, Standing]]:
    """The same, in which units that are made of several states wait for what failed in any of them."""
    blocked = {
        (stage, unit.among)
        for state, standing in zip(states, found)
        for stage, unit in state.units.items()
        if unit.among is not None and any(standing[b].status in (FAILED, WAITING) for b in unit.after if b in standing)
    }
    for state, standing in zip(states, found) if blocked else ():
        for stage, unit in state.units.items():
            if (stage, unit.among) in blocked and standing[stage].status in (ABSENT, PARTIAL):
                standing[stage] = standing[stage]._replace(status=WAITING)
    return found


def _of_state(state: State, known: Mapping[str, records.Record]) -> dict[str, Standing]:
    content = trajectory_content(state.path)
    found: dict[str, Standing] = {}
    for stage, unit in state.units.items():
        standing = _standing(state.path, unit, known.get(stage), content)
        blocked = any(found[before].status in (FAILED, WAITING) for before in unit.after if before in found)
        if blocked and standing.status in (ABSENT, PARTIAL):
            standing = standing._replace(status=WAITING)
        found[stage] = standing
    return found


class _Attributes(msgspec.Struct):
    status: str = ""
    content: str | None = None


class _Node(msgspec.Struct):
    attributes: _Attributes


_decode = msgspec.json.Decoder(_Node).decode


def trajectory_content(path: str | os.PathLike[str]) -> str | None:
    """Content hash of the state's trajectory, None unless it is complete."""
    try:
        with open(os.path.join(path, "zarr.json"), "rb") as stream:
            found = _decode(stream.read()).attributes
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found.content if found.status == STORED else None


def _standing(path: str, unit: Unit, record: records.Record | None, content: str | None) -> Standing:
    if record is None:
        return Standing(ABSENT)
    stored = [os.path.isfile(os.path.join(path, group, "zarr.json")) for group in unit.groups]
    if record.key != unit.key:
        failed = record.status == records.FAILED  # with other settings, of which nothing counts
        return Standing(ABSENT, error=STALE if any(stored) and not failed else "")
    error = "{class}: {message}".format(**{"class": "", "message": "", **record.error}) if record.error else ""
    if record.status == records.FAILED:
        return Standing(FAILED, _fraction(path, unit.groups), error)
    if record.status != records.COMPLETE:
        return Standing(PARTIAL, _fraction(path, unit.groups), error)
    if content is None or record.input != content:
        return Standing(ABSENT, error=CHANGED if any(stored) else "")
    if not all(stored):
        return Standing(PARTIAL, _fraction(path, unit.groups), "a part was removed: run the sweep again")
    return DONE


def _fraction(path: str, groups: Sequence[str]) -> float:
    """Share of the files that are there, every group counting the same."""
    shares = []
    for group in groups:
        try:
            files = [info.file(region) for info in arrays(Path(path, group)) for region in info.regions()]
        except (GlassdaskError, OSError):
            files = []
        shares.append(sum(file.is_file() for file in files) / len(files) if files else 0.0)
    return sum(shares) / len(shares) if shares else 0.0
