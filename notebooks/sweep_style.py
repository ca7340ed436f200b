"""How the dashboard looks: the papers' colours, and HTML of the parts that are text."""

from __future__ import annotations

import html
from typing import Any

import pandas as pd

from glassdask.plotting import LIGHT_BLUE, RED

COLORS = (RED, "#1f5fa8", "#3a9d5d", "#e08a00", "#7a4fa3", "#8c6d46")
WIDTH, LEFT, CHOOSER = 1330, 570, 310  # of the page, of the left column, of a widget
FONTS = {"title": "10pt", "labels": "10pt", "ticks": "8pt", "legend": "9pt"}
CURVE: dict[str, Any] = {"width": 365, "height": 280, "toolbar": None, "padding": 0.08, "fontsize": FONTS}
PLOT: dict[str, Any] = {"width": 655, "height": 430, "toolbar": "above", "fontsize": FONTS}
GRID: dict[str, Any] = {
    "cmap": ["#ffffff", "#e6f1fa", LIGHT_BLUE],
    "clim": (0.0, 1.0),
    "clipping_colors": {"min": "#f2a3ad", "NaN": "#e4e4e4"},
    "tools": ["hover", "tap"],
    "toolbar": None,
    "xlabel": "",
    "ylabel": "",
    "line_color": "white",
    "fontsize": FONTS,
}
CSS = """
:host { font-family: Helvetica, Arial, sans-serif; font-size: 13px; color: #222; }
h2 { margin: 4px 0 6px; font-size: 20px; font-weight: 600; }
.path { color: #666; font-weight: 400; font-size: 13px; margin-left: 10px; }
.bars { display: flex; gap: 28px; flex-wrap: wrap; align-items: center; }
.bar { width: 230px; }
.track { height: 8px; background: #e4e4e4; display: flex; }
.problem { color: #c8102e; }
.nothing { color: #777; padding: 20px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 3px 10px 3px 0; border-bottom: 1px solid #e4e4e4; font-weight: normal; }
th { color: #666; }
.scroll { max-height: 120px; overflow-y: auto; }
"""
SHOWN = 100  # failures in the table


def heading(store: str, content: str, read: str = "") -> str:
    """The title with what is below it."""
    when = f" &middot; read {read}" if read else ""
    return f"<h2>Sweep<span class=path>{html.escape(store)}{when}</span></h2>{content}"


def problem(text: str) -> str:
    """Why there is nothing to see."""
    return f"<p class=problem>{html.escape(text)}</p>"


def stage_bars(table: pd.DataFrame) -> str:
    """One bar for each stage: what is done, and what failed."""
    bars = []
    for stage in table.attrs["stages"]:
        n, done, failed = len(table), (table[stage] == "complete").sum(), (table[stage] == "failed").sum()
        share = 100 * table.loc[table[stage] != "failed", f"{stage}_fraction"].sum() / n
        text = f"{done} of {n}" + (f", <span class=problem>{failed} failed</span>" if failed else "")
        bars.append(
            f"<div class=bar>{html.escape(stage)}: {text}<div class=track>"
            f"<div style='width:{share:.1f}%;background:{LIGHT_BLUE}'></div>"
            f"<div style='width:{100 * failed / n:.1f}%;background:{RED}'></div></div></div>"
        )
    runs = [html.escape(f"{run['host']} (process {run['pid']}, {run['user']})") for run in table.attrs["runs"]]
    by = f"running on {', '.join(runs)}" if runs else "not running now"
    return f"<div class=bars>{''.join(bars)}<div>{by}</div></div>"


def table_of(failed: pd.DataFrame) -> str:
    """What failed, with its error."""
    if failed.empty:
        return ""
    more = f"<p>and {len(failed) - SHOWN} more: glassdask sweep status</p>" if len(failed) > SHOWN else ""
    rows = failed.head(SHOWN).to_html(index=False, border=0, escape=True)
    return f"<div class=scroll>{rows}{more}</div>"
