"""The map of temperatures and stages of a model; a click on a cell goes to its states."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, HoverTool, TapTool
from bokeh.plotting import figure

from dashboard.figures import plain_figure
from dashboard.progress import cells
from dashboard.style import Theme


def grid(table: pd.DataFrame, model: str, theme: Theme, go: Callable[[str, float], None]) -> figure:
    """One column a temperature, one row a stage; `go` is called with the model and the temperature of a cell."""
    found = cells(table, model)
    temperatures = list(dict.fromkeys(found["temperature"]))
    stages = list(table.attrs["stages"])
    shade = [_shade(value, theme) for value in found["value"]]
    source = ColumnDataSource({**{str(name): found[name].tolist() for name in found}, "shade": shade})
    drawn = plain_figure(
        theme,
        title=model,
        x_range=temperatures,
        y_range=stages[::-1],
        tools="",
        toolbar_location=None,
        height=70 + 26 * len(stages),
        max_width=120 + 60 * len(temperatures),
    )
    drawn.rect(
        "temperature",
        "stage",
        0.96,
        0.92,
        source=source,
        fill_color="shade",
        line_color=None,
        nonselection_fill_alpha=1.0,
    )
    drawn.text(
        "temperature",
        "stage",
        text="text",
        source=source,
        text_align="center",
        text_baseline="middle",
        text_font_size="11px",
        text_color=theme.ink,
        nonselection_text_alpha=1.0,
    )
    drawn.grid.visible = False
    drawn.outline_line_color = None
    drawn.xaxis.axis_label = "T"
    if len(temperatures) > 10:
        drawn.xaxis.major_label_orientation = 1.0
    tips = [("T", "@temperature"), ("stage", "@stage"), ("status", "@status"), ("error", "@error")]
    drawn.add_tools(HoverTool(tooltips=tips), TapTool())

    def clicked(_: str, __: list[int], chosen: list[int]) -> None:
        if chosen:
            go(model, float(found["number"].iloc[chosen[0]]))
            source.selected.indices = []

    source.selected.on_change("indices", clicked)
    return drawn


def _shade(value: float, theme: Theme) -> str:
    """Of a share from 0 to 1; of -1 (failed) and NaN (waits for what failed), too."""
    if np.isnan(value):
        return theme.nothing
    if value < 0:
        return theme.bad + "88"
    return theme.accent + f"{int(30 + 190 * value):02x}" if value > 0 else theme.line
