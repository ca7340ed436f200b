"""How the dashboard looks: two themes, and the HTML of the parts that are text; what is from a store is escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dashboard.progress import clock, duration
from glassdask.plotting import LIGHT_BLUE, RED

SHOWN = 100  # failures, and events of the log


@dataclass(frozen=True)
class Theme:
    """Colours of the page and of its plots; `range` is the part of the map of temperatures that can be seen on it."""

    name: str
    page: str
    card: str
    ink: str
    soft: str
    line: str
    accent: str
    bad: str
    good: str
    nothing: str
    colors: tuple[str, ...]
    range: tuple[float, float]

    @property
    def css(self) -> str:
        """The style sheet of every part that is HTML."""
        names = ("page", "card", "ink", "soft", "line", "accent", "bad", "good")
        variables = "".join(f"--{name}: {getattr(self, name)}; " for name in names)
        return f":host {{ {variables} color-scheme: {self.name}; }}\n{CSS}"


LIGHT = Theme(
    "light",
    "#f5f6f8",
    "#ffffff",
    "#1c2330",
    "#667085",
    "#e3e6eb",
    LIGHT_BLUE,
    RED,
    "#3a9d5d",
    "#d9d9d9",
    ("#1f5fa8", RED, "#3a9d5d", "#e08a00", "#7a4fa3", "#8c6d46"),
    (0.0, 0.85),
)
DARK = Theme(
    "dark",
    "#14181f",
    "#1d232c",
    "#e6e9ef",
    "#9aa4b2",
    "#333c48",
    "#4b8fc9",
    "#ff6b7a",
    "#56c27c",
    "#4a515c",
    (LIGHT_BLUE, "#ff6b7a", "#6bcf8e", "#f2b134", "#b79be0", "#cda87c"),
    (0.2, 1.0),
)
CSS = """
:host { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 13px; color: var(--ink); }
* { box-sizing: border-box; }
h2 { margin: 0; font-size: 20px; font-weight: 650; overflow-wrap: anywhere; }
h3 { margin: 0 0 8px; font-size: 14px; font-weight: 600; }
p { margin: 4px 0; overflow-wrap: anywhere; }
.head { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; }
.soft, .nothing { color: var(--soft); }
.nothing { padding: 16px 4px; }
.chip { border-radius: 999px; padding: 2px 10px; font-size: 12px; font-weight: 600; color: var(--page);
        background: var(--soft); white-space: nowrap; }
.chip.running { background: var(--accent); } .chip.done { background: var(--good); }
.chip.failed { background: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 10px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; }
.card b { font-size: 18px; }
.track { height: 6px; border-radius: 3px; background: var(--line); display: flex; overflow: hidden; margin: 6px 0; }
.track div:first-child { background: var(--accent); } .track div:last-child { background: var(--bad); }
.problem { color: var(--bad); }
.scroll { max-height: 340px; overflow: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line);
         font-weight: normal; }
th { color: var(--soft); position: sticky; top: 0; background: var(--card); }
td.text { overflow-wrap: anywhere; min-width: 140px; }
td.when { white-space: nowrap; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 11px; margin: 6px 0; padding: 8px; max-height: 260px;
      overflow: auto; background: var(--page); border-radius: 6px; }
summary { cursor: pointer; color: var(--soft); }
@media (max-width: 640px) {
  .rows th { display: none; }
  .rows tr { display: block; padding: 4px 0; border-bottom: 1px solid var(--line); }
  .rows td { display: inline-block; border: none; padding: 1px 12px 1px 0; }
  .rows td.text { display: block; }
}
"""

TABS = """
.bk-header { scrollbar-width: none; border-color: var(--line); }
.bk-tab, .bk-tab.bk-active { color: var(--ink); border: none; background: none; }
.bk-tab.bk-active { font-weight: 650; box-shadow: inset 0 -3px var(--accent); }
"""


def heading(title: str, status: str, kind: str, more: str = "") -> str:
    """The title of the page: the sweep's name, how it stands, and what else is known."""
    chip = f"<span class='chip {kind}'>{html.escape(status)}</span>" if status else ""
    return f"<div class=head><h2>{html.escape(title)}</h2>{chip}<span class=soft>{html.escape(more)}</span></div>"


def note(text: str) -> str:
    """A paragraph about something that is as it should be."""
    return f"<p class=soft>{html.escape(text)}</p>"


def problem(text: str) -> str:
    """Why there is nothing to see."""
    return f"<p class=problem>{html.escape(text)}</p>"


def nothing(text: str) -> str:
    """Words in place of what is not there yet."""
    return f"<p class=nothing>{html.escape(text)}</p>"


def stage_cards(paces: pd.DataFrame, runs: list[dict[str, Any]]) -> str:
    """One card for each stage: what is done, what failed, how fast it goes, what is left; and who is at it."""
    cards = []
    for stage, row in paces.iterrows():
        failed = f" <span class=problem>{row['failed']:.0f} failed</span>" if row["failed"] else ""
        facts = []
        if not np.isnan(row["mean"]):
            facts.append(f"{duration(row['mean'])} each")
        if not np.isnan(row["hourly"]) and 1 < row["done"] < row["total"]:
            rate = float(f"{row['hourly']:.3g}")
            facts.append(f"{rate:g} per hour")
        if row["left"] > 0:
            facts.append(f"{duration(row['left'])} left")
        elif row["work"] > 0:
            facts.append(f"{duration(row['work'])} of one worker to do")
        cards.append(
            f"<div class=card><h3>{html.escape(str(stage))}</h3><b>{row['done']:.0f}</b> of {row['total']:.0f}{failed}"
            f"<div class=track><div style='width:{100 * row['share']:.1f}%'></div>"
            f"<div style='width:{100 * row['failed'] / max(row['total'], 1):.1f}%'></div></div>"
            f"<span class=soft>{html.escape(' · '.join(facts))}&nbsp;</span></div>"
        )
    who = [f"{run['user']} on {run['host']}, process {run['pid']}" for run in runs]
    by = f"Run by {'; '.join(who)}." if who else "Not running now."
    return f"<div class=cards>{''.join(cards)}</div><p class=soft>{html.escape(by)}</p>"


def failures_of(failed: pd.DataFrame, traces: Mapping[tuple[str, str], str]) -> str:
    """What failed or needs somebody to look: state, stage, error, and the log of it to unfold."""
    if failed.empty:
        return nothing("Nothing has failed.")
    rows = []
    for row in failed.head(SHOWN).itertuples(index=False):
        trace = traces.get((row.state, row.stage), "")
        unfold = f"<details><summary>log</summary><pre>{html.escape(trace)}</pre></details>" if trace else ""
        rows.append(
            f"<tr><td>{html.escape(str(row.state))}</td><td>{html.escape(str(row.stage))}</td>"
            f"<td class='text problem'>{html.escape(str(row.error))}{unfold}</td></tr>"
        )
    more = f"<p class=soft>and {len(failed) - SHOWN} more: glassdask sweep status</p>" if len(failed) > SHOWN else ""
    head = "<tr><th>state</th><th>stage</th><th>error</th></tr>"
    return f"<div class=scroll><table class=rows>{head}{''.join(rows)}</table></div>{more}"


def log_of(events: pd.DataFrame) -> str:
    """What happened, the newest first."""
    if events.empty:
        return nothing("Nothing has happened yet.")
    rows = []
    for row in events.head(SHOWN).itertuples(index=False):
        kind = " class=problem" if row.status == "failed" else ""
        took = "" if row.seconds is None or np.isnan(row.seconds) else duration(row.seconds)
        unfold = f"<details><summary>log</summary><pre>{html.escape(row.traceback)}</pre></details>"
        error = f"<span class=problem>{html.escape(row.error)}</span>{unfold}" if row.error else ""
        cells = (
            ("when", clock(row.time)),
            ("", row.state),
            ("", row.stage),
            ("", row.status),
            ("when", took),
            ("", row.host),
        )
        texts = "".join(f"<td class='{name}'>{html.escape(str(text))}</td>" for name, text in cells)
        rows.append(f"<tr{kind}>{texts}<td class=text>{error}</td></tr>")
    head = "".join(f"<th>{name}</th>" for name in ("time", "state", "stage", "status", "took", "host", ""))
    more = f"<p class=soft>The newest {SHOWN} of {len(events)}.</p>" if len(events) > SHOWN else ""
    return f"<div class=scroll><table class=rows><tr>{head}</tr>{''.join(rows)}</table></div>{more}"


def facts_of(left: Mapping[str, Any], right: Mapping[str, Any], names: tuple[str, str]) -> str:
    """The numbers of two states beside each other."""
    rows = "".join(
        f"<tr><td class=soft>{html.escape(key)}</td><td>{html.escape(str(left.get(key, '')))}</td>"
        f"<td>{html.escape(str(right.get(key, '')))}</td></tr>"
        for key in dict.fromkeys([*left, *right])
    )
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("", *names))
    return f"<div class=card><table><tr>{head}</tr>{rows}</table></div>"
