"""Run a sweep: units of work, a bounded number at a time, whose failures stop nothing but what depends on them."""

from __future__ import annotations

import heapq
import os
import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassdask.declarations import flags
from glassdask.errors import BusyStoreError, CorruptStoreError, SimulationKilledError, StoreError
from glassdask.graphs import within_task
from glassdask.store.arrays import arrays, missing_chunks
from glassdask.store.groups import is_group
from glassdask.store.restoring import recover_plain
from glassdask.sweep import progress as progress_of
from glassdask.sweep import records
from glassdask.sweep.description import Sweep, read_sweep
from glassdask.sweep.lock import locked
from glassdask.sweep.stages import stage_named
from glassdask.sweep.state import Settings, State, Unit

if TYPE_CHECKING:
    import pandas as pd

# Units that are outstanding at least, and for each thread, where a cluster may adapt to the work in sight: it grows
# only where that is more than its workers can do. Elsewhere a thread has one, so that what it makes possible is next.
LEAST_OUTSTANDING = 8
PER_THREAD = 2
COUNT_SECONDS = 2.0  # between two counts of the workers
GATHER_AT = 100  # states that are complete, so that a small sweep keeps its records where each can be looked at
ATTEMPTS = 3  # of a unit that somebody else interrupts
ATTEMPTS_TO_BEGIN = 20  # of a unit that waited on workers which others have killed
NOT_BEGUN = "not begun"
# A simulation that is killed from outside, as when a job is cancelled; a worker of a killed run that still writes.
INTERRUPTIONS = (SimulationKilledError, BusyStoreError)


@dataclass(frozen=True)
class Task:
    """One unit of work, as a worker gets it."""

    store: str
    state: State
    settings: Settings
    stage: str
    overwrite: bool
    run: str  # which run of the sweep this belongs to

    @property
    def key(self) -> str:
        """Of the unit."""
        return self.state.units[self.stage].key

    @property
    def record(self) -> Path:
        """The file of the unit's record."""
        return records.unit_file(self.store, self.state.label, self.stage)


def run_sweep(
    sweep: Sweep | str | os.PathLike[str],
    client: Any = None,
    *,
    stages: Sequence[str] | None = None,
    share: tuple[int, int] | None = None,
    overwrite: bool = False,
    retry: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Do what is not done yet of a sweep; a unit that fails does not stop the others. The same call resumes.

    Parameters
    ----------
    sweep : Sweep, str or path
        Of `read_sweep`, or a TOML file or a store for it.
    client : object, optional
        A `distributed.Client`; without one, units run one at a time in this process and their chunks by the current
        dask scheduler.
    stages : sequence of str, optional
        Only these of "simulate", "describe", "reduce", "classify", "moments", "common", "correlate", "dynamics".
    share : tuple of 2 int, optional
        (number from 1, of how many): only this share of the states, for job arrays.
    overwrite : bool, default False
        Replace what was stored with other parameters or by other code; what is the same is kept.
    retry : bool, default False
        Only units that failed; without it these are left alone.
    progress : callable, optional
        Called with the numbers of finished and of all units that this call works on.

    Returns
    -------
    pandas.DataFrame
        The `status` of all states of the sweep afterwards.

    Raises
    ------
    ParameterError
        The description, a stage or the share is wrong; before any work.
    StoreError
        Somebody else runs these states, or the store cannot be written.
    ClusterError
        Inside `glassdask.cluster.connect`: the scheduler was lost.
    """
    flags(overwrite=overwrite, retry=retry)
    described = sweep if isinstance(sweep, Sweep) else read_sweep(sweep)
    wanted = described.checked_stages(stages)
    chosen = described if share is None else described.share(*share)
    with locked(described.store, share) as still_ours:
        recover_plain(Path(described.store))
        plan = _Plan(chosen, wanted, overwrite, retry, described)
        records.write_description(described.store, described.description())
        if progress is not None:
            progress(0, plan.total)
        for done in _run(plan, client):
            still_ours()
            plan.gather()
            if progress is not None:
                progress(done, plan.total)
    table = progress_of.status(described.store)
    table.attrs["remarks"] = remarks(chosen, wanted)
    return table


def remarks(sweep: Sweep, stages: Sequence[str]) -> list[str]:
    """What the stages remark of the states, see `Stage.remarks`."""
    return [line for state in sweep.states for line in _remarks(sweep, state, stages)]


def _remarks(sweep: Sweep, state: State, stages: Sequence[str]) -> list[str]:
    settings = sweep.settings[state.label]
    return [line for name in stages if name in state.units for line in stage_named(name).remarks(state, settings)]


def perform(task: Task) -> str:
    """Do a unit on a worker, and record how it ended; the status is what returns."""
    started, clock = records.now(), time.monotonic()
    records.write_record(task.record, records.RUNNING, task.key, started=started, run=task.run)

    def ended(status: str, **more: Any) -> str:
        took = {"started": started, "ended": records.now(), "seconds": round(time.monotonic() - clock, 3)}
        records.write_record(task.record, status, task.key, **took, **more)
        return status

    try:
        stage_named(task.stage).run(task.state, task.settings, task.overwrite)
        if not _whole(task.state, task.stage):
            raise CorruptStoreError(
                f"{task.state.path}: {task.stage} finds all done, but files are missing (glassdask verify names them): "
                "remove what they belong to and retry"
            )
        content = progress_of.trajectory_content(task.state.path)
        return ended(records.COMPLETE, input=content)
    except Exception as error:
        if _closing():  # what fails while a worker shuts down says nothing about the state
            raise
        status = records.INTERRUPTED if isinstance(error, INTERRUPTIONS) else records.FAILED
        return ended(status, error=records.failure(error, traceback.format_exc()))


def on_worker(task: Task) -> str:
    """`perform` with its chunks one after the other, because the workers are busy with other units."""
    with within_task():
        return perform(task)


class _Plan:
    """The units that are to be done, and which of them can begin."""

    def __init__(self, sweep: Sweep, stages: Sequence[str], overwrite: bool, retry: bool, whole: Sweep):
        self.sweep = sweep
        self.run = uuid.uuid4().hex[:8]
        self.overwrite = overwrite
        self.ready: list[tuple[int, int, Task]] = []
        self.open: dict[str, set[str]] = {}  # of each state: stages that are not complete
        self.states = {state.label: (number, state) for number, state in enumerate(sweep.states)}
        self.wanted: set[tuple[str, str]] = set()
        self.mended: set[tuple[str, str]] = set()  # what failed with other settings: it may be replaced
        found = progress_of.standings(Path(sweep.store), sweep.states)
        lost = _lost(sweep, found)
        if overwrite:
            lost |= {
                (state.label, stage) for state in sweep.states if _remarks(sweep, state, stages) for stage in stages
            }
        if not overwrite:
            _refuse_stale(sweep, stages, found)
        for state, units in zip(sweep.states, found):
            self.open[state.label] = left = set()
            for stage, (status, *_) in units.items():
                if status == progress_of.COMPLETE and (state.label, stage) not in lost:
                    continue
                left.add(stage)
                if self._is_mended(state, stage):
                    self.mended.add((state.label, stage))
                mended = (state.label, stage) in self.mended
                again = overwrite or mended or (status == progress_of.FAILED) == retry
                if stage in stages and (again or status == progress_of.WAITING):
                    self.wanted.add((state.label, stage))
        # of what is made of several states: those in which something before it is open, of other shares too
        self.before: dict[tuple[str, str], set[str]] = {}
        self.sharing: dict[tuple[str, str], list[str]] = {}
        for state, opened in _sharing(whole, self.open):
            for stage, unit in state.units.items():
                if unit.among is not None:
                    place = stage, unit.among
                    self.sharing.setdefault(place, []).append(state.label)
                    if not opened.isdisjoint(unit.after):
                        self.before.setdefault(place, set()).add(state.label)
        # a stage that waits for one that is not to be done is not done either
        never: set[tuple[str, str | None]] = set()
        for state in sweep.states:
            left = self.open[state.label]
            for stage, unit in state.units.items():
                if any(before in left and (state.label, before) not in self.wanted for before in unit.after):
                    self.wanted.discard((state.label, stage))
                    never.add((stage, unit.among))
        outside = {place for place, labels in self.before.items() if not labels <= self.open.keys()}
        for state in sweep.states:
            for stage, unit in state.units.items():
                if unit.among is not None and (stage, unit.among) in never | outside:
                    self.wanted.discard((state.label, stage))
        self.total = len(self.wanted)
        self.done = 0
        kept = Path(sweep.store) / records.FOLDER / records.UNITS
        self.complete = [label for label, left in self.open.items() if not left and (kept / label).is_dir()]
        self.gather()
        for label in self.states:
            self._release(label)

    def _is_mended(self, state: State, stage: str) -> bool:
        """Whether a unit failed, and has other settings since."""
        record = records.read_record(records.unit_file(self.sweep.store, state.label, stage))
        return record is not None and record.status == records.FAILED and record.key != state.units[stage].key

    def _release(self, label: str) -> None:
        """Make ready what depends on nothing that is open."""
        number, state = self.states[label]
        for place, (stage, unit) in enumerate(state.units.items()):
            others = unit.among is not None and self.before.get((stage, unit.among))
            if (label, stage) in self.wanted and self.open[label].isdisjoint(unit.after) and not others:
                self.wanted.discard((label, stage))
                settings = self.sweep.settings[label]
                overwrite = self.overwrite or (label, stage) in self.mended
                task = Task(self.sweep.store, state, settings, stage, overwrite, self.run)
                # in the order of the states, so that one that was begun is ended before another one is begun
                heapq.heappush(self.ready, (number, place, task))

    def gather(self) -> None:
        """Gather the records of complete states, seldom: all that are gathered are written again each time."""
        if len(self.complete) >= max(GATHER_AT, len(self.states) // 10):
            with suppress(StoreError):  # on a full disk they stay where they are
                records.gather(self.sweep.store, self.complete)
            self.complete = []

    def next(self) -> Task:
        """The unit that is to be begun next."""
        return heapq.heappop(self.ready)[2]

    def ended(self, task: Task, status: str) -> None:
        """Note how a unit ended: what depends on it can begin, or is given up."""
        label = task.state.label
        self.done += 1
        if status == records.COMPLETE:
            self.open[label].discard(task.stage)
            self._release(label)
            for stage, unit in task.state.units.items():
                waiting = self.before.get((stage, str(unit.among)), set())
                if label in waiting and self.open[label].isdisjoint(unit.after):
                    waiting.discard(label)
                    for other in () if waiting else self._members(stage, unit):
                        self._release(other)
            if not self.open[label]:
                self.complete.append(label)
            return
        dropped = {
            (other, stage)
            for stage, unit in task.state.units.items()
            if task.stage in unit.after
            for other in {label, *self._members(stage, unit)}
        }
        self.total -= len(self.wanted & dropped)
        self.wanted -= dropped

    def _members(self, stage: str, unit: Unit) -> list[str]:
        """The states that have a unit in common, of those that are worked on."""
        found = self.sharing.get((stage, unit.among), []) if unit.among is not None else []
        return [label for label in found if label in self.states]


def _refuse_stale(sweep: Sweep, stages: Sequence[str], found: list[dict[str, progress_of.Standing]]) -> None:
    """`StoreError` where places are taken, which says what would be made anew."""
    stale = [
        (state.label, stage, standing[stage].error)
        for state, standing in zip(sweep.states, found)
        for stage in standing
        if stage in stages and standing[stage].error in (progress_of.STALE, progress_of.CHANGED)
    ]
    if stale:
        label, stage, error = stale[0]
        counts = Counter(stage for _, stage, _ in stale)
        anew = " and ".join(f"{name} of {n} state{'s' * (n > 1)}" for name, n in counts.items())
        raise StoreError(
            f"{sweep.store}: {stage} of {label}: {error} (that makes {anew} anew and keeps all else), or choose "
            "another store"
        )


def _sharing(whole: Sweep, known: dict[str, set[str]]) -> Iterator[tuple[State, set[str]]]:
    """The states that have units in common with others, and their stages that are not complete."""
    states = [state for state in whole.states if any(unit.among is not None for unit in state.units.values())]
    outside = [state for state in states if state.label not in known]
    found = dict(zip((state.label for state in outside), progress_of.standings(Path(whole.store), outside)))
    for state in states:
        standing = found.get(state.label, {})
        yield (
            state,
            known.get(state.label) or {s for s, each in standing.items() if each.status != progress_of.COMPLETE},
        )


def _lost(sweep: Sweep, found: list[dict[str, progress_of.Standing]]) -> set[tuple[str, str]]:
    """Units that were complete and have lost a file since."""
    units = [
        (state, stage)
        for state, standing in zip(sweep.states, found)
        for stage in standing
        if standing[stage].status == progress_of.COMPLETE
    ]
    whole = records.mapped(_whole, *zip(*units)) if units else []
    return {(state.label, stage) for (state, stage), there in zip(units, whole) if not there}


def _whole(state: State, stage: str) -> bool:
    """Whether every file that a unit stores is there."""
    groups = [Path(state.path) / group for group in state.units[stage].groups]
    return all(is_group(group) for group in groups) and not any(
        missing_chunks(info) for group in groups for info in arrays(group)
    )


def _run(plan: _Plan, client: Any) -> Iterator[int]:
    """Work through a plan; gives the number of finished units after each of them."""
    if client is None:
        while plan.ready:
            task = plan.next()
            plan.ended(task, _persistent(task))
            yield plan.done
        return
    from distributed import as_completed

    attempts: dict[tuple[str, str], int] = {}
    running: dict[Any, Task] = {}
    arrived = as_completed()
    most = _Outstanding(client)

    def submit(task: Task) -> None:
        identity = (task.state.label, task.stage)
        attempts[identity] = attempts.get(identity, 0) + 1
        key = f"sweep-{plan.run}-{task.stage}-{task.state.label}-{attempts[identity]}"
        # what waits at the workers is taken in the order of the states, too
        future = client.submit(on_worker, task, key=key, pure=False, priority=-plan.states[task.state.label][0])
        running[future] = task
        arrived.add(future)

    try:
        while plan.ready or running:
            while plan.ready and len(running) < most():
                submit(plan.next())
            if plan.ready and not _arrives(arrived, COUNT_SECONDS):
                continue  # workers may have come
            future = next(arrived)
            task = running.pop(future)
            status = _outcome(future, task)
            again = {records.INTERRUPTED: ATTEMPTS, NOT_BEGUN: ATTEMPTS_TO_BEGIN}.get(status, 0)
            if attempts[task.state.label, task.stage] < again:
                submit(task)
                continue
            plan.ended(task, status)
            yield plan.done
    finally:
        client.cancel(list(running))


def _persistent(task: Task) -> str:
    """`perform`, again if somebody else interrupts it: what kill -9 has ended may write for seconds to a slow disk."""
    for _ in range(ATTEMPTS):
        status = perform(task)
        if status != records.INTERRUPTED:
            break
    return status


def _arrives(futures: Any, seconds: float) -> bool:
    """Whether one of the futures of `as_completed` ends within some seconds."""
    with futures.thread_condition:
        return bool(futures.thread_condition.wait_for(futures.has_ready, timeout=seconds))


def _outcome(future: Any, task: Task) -> str:
    """How a unit ended; that its workers were lost is recorded here, because they could not."""
    from distributed import KilledWorker

    try:
        return str(future.result())
    except Exception as error:
        if future.cancelled():  # the scheduler is gone
            raise
        # dask also gives up what only waited on the workers that died, behind the unit that killed them
        if isinstance(error, KilledWorker) and getattr(records.read_record(task.record), "run", None) != task.run:
            return NOT_BEGUN
        lost = records.failure(error, "".join(traceback.format_exception(error)))
        records.write_record(task.record, records.FAILED, task.key, ended=records.now(), error=lost)
        return records.FAILED


class _Outstanding:
    """How many units may be at the scheduler.

    One for each thread of the workers that are there now: a thread that gets free goes on with a state that was begun.
    Some more where the cluster adapts, or may do so because it was begun elsewhere.
    """

    def __init__(self, client: Any):
        self.client, self.most, self.counted = client, 1, -COUNT_SECONDS
        self.adapts = client.cluster is None or getattr(client.cluster, "_adaptive", None) is not None

    def __call__(self) -> int:
        if time.monotonic() - self.counted > COUNT_SECONDS:
            threads = sum(self.client.nthreads().values())
            self.most = max(LEAST_OUTSTANDING, PER_THREAD * threads) if self.adapts else max(1, threads)
            self.counted = time.monotonic()
        return self.most


def _closing() -> bool:
    """Whether this process, or the dask worker in it, is about to end."""
    if not threading.main_thread().is_alive():
        return True
    try:
        from distributed import get_worker

        return bool(get_worker().status.name.startswith(("clos", "stop")))
    except (ImportError, ValueError):
        return False
