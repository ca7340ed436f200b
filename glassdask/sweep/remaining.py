"""What of a sweep remains: units that are not complete, and the time that units of their kind have taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glassdask.reporting import clock
from glassdask.sweep import records
from glassdask.sweep.state import State

COMPLETE = "complete"


def remaining(
    stages: Sequence[str],
    states: Sequence[State],
    standing: Sequence[Mapping[str, Any]],
    known: Sequence[Mapping[str, records.Record]],
) -> dict[str, dict[str, Any]]:
    """Of each stage: ``units`` that are not complete, how many ``run``, and the ``seconds`` that they take.

    That is the mean of those that are complete, and None where no unit of the stage has ended yet and some remain.
    """
    found: dict[str, dict[str, Any]] = {}
    for stage in stages:
        took, left, run = [], 0, 0
        for state, stands, of in zip(states, standing, known):
            if stage not in state.units:
                continue
            record = of.get(stage)
            if stands[stage].status == COMPLETE:
                if record is not None and record.seconds is not None:
                    took.append(record.seconds)
                continue
            left += 1
            run += record is not None and record.status == records.RUNNING
        seconds = left * sum(took) / len(took) if took else None if left else 0.0
        found[stage] = {"units": left, "run": run, "seconds": seconds}
    return found


def told(found: Mapping[str, Mapping[str, Any]], running: bool) -> list[str]:
    """The same in a line or two; nothing where all is done.

    Examples
    --------
    >>> told({"describe": {"units": 6, "run": 2, "seconds": 60.0}}, True)
    ['6 units remain, about 0.0167 core-hours', 'about 0:00:30 with 2 at a time']
    >>> told({"reduce": {"units": 8, "run": 0, "seconds": None}}, False)
    ['8 units remain; how long reduce takes is known once a unit of it has ended']
    """
    units = sum(part["units"] for part in found.values())
    if not units:
        return []
    unknown = [stage for stage, part in found.items() if part["seconds"] is None]
    seconds = sum(part["seconds"] or 0.0 for part in found.values())
    line = f"{units} units remain"
    if len(unknown) < len(found) and seconds:
        line += f", about {seconds / 3600:.3g} core-hours"
    if unknown:
        takes, it = ("takes", "it") if len(unknown) == 1 else ("take", "each")
        line += f"; how long {', '.join(unknown)} {takes} is known once a unit of {it} has ended"
    at_once = sum(part["run"] for part in found.values())
    if not (running and at_once and seconds):
        return [line]
    return [line, f"about {clock(seconds / at_once)} with {at_once} at a time"]
