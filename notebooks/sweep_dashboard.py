"""Watch a sweep and look at what it has found: in Jupyter, or as a page of its own.

    panel serve notebooks/sweep_dashboard.py --address 127.0.0.1 --args sweep.zarr [tcp://SCHEDULER:8786]

The store is only read. While the sweep runs, its progress is read again every few seconds.
"""

from __future__ import annotations

import sys
from typing import Any

import panel as pn
import psutil
from bokeh.core.validation import silence
from bokeh.core.validation.warnings import FIXED_SIZING_MODE, MISSING_RENDERERS
from dashboard.page import VIEW, Dashboard
from dashboard.style import LIGHT, problem

__all__ = ["Dashboard"]

# scripts are put into the notebook itself, and a server gives its own: nothing comes from the internet
pn.extension("plotly", inline=True)
silence(FIXED_SIZING_MODE, True)  # panes that take the size of what is in them, as they should
silence(MISSING_RENDERERS, True)  # a plot in which nothing is yet


def _listens_everywhere() -> bool:
    """Whether a server in this process accepts connections from any network."""
    listening = (c.laddr.ip for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN)
    return any(ip in ("0.0.0.0", "::") for ip in listening)


def _page(arguments: list[str]) -> Any:
    """What `panel serve` shows."""
    if not 1 <= len(arguments) <= 2:
        text = f"expected --args STORE [SCHEDULER], found {arguments}"
        return pn.pane.HTML(problem(text), stylesheets=[LIGHT.css])
    if _listens_everywhere():
        text = "this server listens on all network interfaces: start it with --address 127.0.0.1, or name another one"
        return pn.pane.HTML(problem(text), stylesheets=[LIGHT.css])
    dashboard = Dashboard(arguments[0], arguments[1] if len(arguments) > 1 else None)
    if pn.state.location is not None:
        pn.state.location.sync(dashboard, list(VIEW))  # the address of the page is the view: to be kept or sent
    return dashboard


if __name__.startswith("bokeh_app"):
    _page(sys.argv[1:]).servable(title="glassdask sweep")
