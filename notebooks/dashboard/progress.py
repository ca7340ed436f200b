"""How far a sweep is: cells of a map, what failed, how fast it goes and what is left, and what happened when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from glassdask.sweep.records import Record

COMPLETE, FAILED, WAITING, RUNNING = "complete", "failed", "waiting", "running"


def cells(table: pd.DataFrame, model: str) -> pd.DataFrame:
    """One row for each temperature and stage of a model: share that is done, what to write there, first error.

    ``value`` is the mean fraction of the states of the cell; -1 where one failed, NaN where all wait for one that did.
    """
    rows = []
    for temperature, states in table[table["model"] == model].groupby("temperature"):
        for stage in table.attrs["stages"]:
            found = states[stage]
            done, failed = (found == COMPLETE).sum(), (found == FAILED).sum()
            value = -1.0 if failed else np.nan if (found == WAITING).all() else states[f"{stage}_fraction"].mean()
            if failed:
                text = "✗" if len(states) == 1 else f"{failed} ✗"
            elif done == len(states):
                text = "✓"
            else:
                text = f"{100 * value:.0f}%" if value > 0 else ""
            error = next((error for error in states[f"{stage}_error"] if error), "")
            rows.append((f"{temperature:g}", stage, value, text, ", ".join(sorted(set(found))), error, temperature))
    columns = ["temperature", "stage", "value", "text", "status", "error", "number"]
    return pd.DataFrame(rows, columns=columns).astype({"value": float})


def failures(table: pd.DataFrame) -> pd.DataFrame:
    """State, stage and error of everything that failed or needs somebody to look."""
    parts = []
    for stage in table.attrs["stages"]:
        found = table[(table[f"{stage}_error"] != "") & (table[stage] != COMPLETE)]
        parts.append(pd.DataFrame({"state": found.index, "stage": stage, "error": found[f"{stage}_error"].to_numpy()}))
    return pd.concat(parts, ignore_index=True)


def pace(table: pd.DataFrame, records: Mapping[tuple[str, str], Record]) -> pd.DataFrame:
    """How fast each stage goes: one row a stage.

    ``done``, ``failed`` and ``total`` units, ``share`` that is done; ``mean`` seconds of a unit (of its own model
    where one is known), ``hourly`` units, from the first that began to the last that ended; ``work`` seconds that are
    left, of one worker, and ``left`` seconds until it is done with as many workers as are busy now. NaN where nothing
    tells: no unit is done, or nobody runs the sweep.
    """
    busy = sum(record.status == RUNNING for record in records.values()) if table.attrs["runs"] else 0
    rows = {}
    for stage in table.attrs["stages"]:
        own = {label: record for (label, name), record in records.items() if name == stage}
        ended = {label: r for label, r in own.items() if r.status == COMPLETE and r.seconds is not None}
        seconds = pd.Series({label: record.seconds for label, record in ended.items()}, dtype=float)
        of_model = seconds.groupby(table["model"].reindex(seconds.index)).mean()
        mean = float(seconds.mean()) if len(seconds) else np.nan
        open_ = table.loc[~table[stage].isin([COMPLETE, FAILED, WAITING])]
        each = open_["model"].map(of_model).fillna(mean).astype(float)
        work = float(((1.0 - open_[f"{stage}_fraction"]) * each).sum()) if len(seconds) else np.nan
        work = 0.0 if open_.empty else work
        span = _span(ended)
        rows[stage] = {
            "done": int((table[stage] == COMPLETE).sum()),
            "failed": int((table[stage] == FAILED).sum()),
            "total": len(table),
            "share": float(table.loc[table[stage] != FAILED, f"{stage}_fraction"].sum() / len(table)),
            "mean": mean,
            "hourly": 3600 * len(ended) / span if span else np.nan,
            "work": work,
            "left": work / busy if busy else 0.0 if open_.empty else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def time_left(paces: pd.DataFrame) -> float:
    """Seconds until all is done; NaN while a stage that is not done gives no measure."""
    return float(paces["left"].sum(skipna=False))


def duration(seconds: float) -> str:
    """A time that people read.

    >>> duration(0.25), duration(75), duration(7260), duration(200000), duration(float("nan"))
    ('0.2 s', '1 min 15 s', '2 h 1 min', '2 d 7 h', '')
    """
    if np.isnan(seconds):
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 or seconds == 0 else f"{seconds:.1f} s"
    for (big, small), (large, name, part) in zip(
        ((86400, 3600), (3600, 60), (60, 1)), ((86400, "d", "h"), (3600, "h", "min"), (60, "min", "s"))
    ):
        if seconds >= large:
            rest = int(seconds % big // small)
            return f"{int(seconds // big)} {name}" + (f" {rest} {part}" if rest else "")
    raise AssertionError("unreachable")


def events(records: Mapping[tuple[str, str], Record]) -> pd.DataFrame:
    """What happened, the newest first: time, state, stage, status, seconds, host, error and its traceback."""
    rows = []
    for (label, stage), record in records.items():
        error = record.error or {}
        text = f"{error.get('class', '')}: {error.get('message', '')}" if error else ""
        rows.append(
            (
                record.ended or record.started or "",
                label,
                stage,
                record.status,
                record.seconds,
                f"{record.host} ({record.pid})" if record.host else "",
                text,
                error.get("traceback", ""),
            )
        )
    columns = ["time", "state", "stage", "status", "seconds", "host", "error", "traceback"]
    return pd.DataFrame(rows, columns=columns).sort_values("time", ascending=False, kind="stable", ignore_index=True)


def _span(ended: Mapping[str, Record]) -> float:
    """Seconds from the first that began to the last that ended."""
    begun = [datetime.fromisoformat(r.started) for r in ended.values() if r.started]
    over = [datetime.fromisoformat(r.ended) for r in ended.values() if r.ended]
    return (max(over) - min(begun)).total_seconds() if begun and over else 0.0


def clock(moment: str) -> str:
    """The time of a record as people here read it."""
    if not moment:
        return ""
    then = datetime.fromisoformat(moment).astimezone()
    today = datetime.now(UTC).astimezone().date()
    return then.strftime("%H:%M:%S" if then.date() == today else "%Y-%m-%d %H:%M")
