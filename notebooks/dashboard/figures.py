"""Charts on the screen (bokeh) and in files (matplotlib): the same lines in the same colours."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, Legend, LegendItem, Span, Whisker
from bokeh.plotting import figure
from matplotlib import colormaps
from matplotlib.colors import to_hex

from dashboard.charts import Chart, Line
from dashboard.style import Theme
from glassdask import plotting

HEIGHT = 320
MOST_ENTRIES = 12  # of a legend beside the lines


def colour(line: Line, lines: Sequence[Line], theme: Theme) -> str:
    """Of a temperature, from a map that is ordered and safe for the colour-blind; else one of a few for each number."""
    if line.value is None:
        return theme.colors[line.number % len(theme.colors)]
    values = sorted({other.value for other in lines if other.value is not None})
    low, high = theme.range
    place = values.index(line.value) / max(1, len(values) - 1)
    return to_hex(colormaps["plasma"](low + (high - low) * place))


def plain_figure(theme: Theme, **options: object) -> figure:
    """A figure in the colours of the theme, as wide as what is around it."""
    drawn = figure(
        **{"height": HEIGHT, "sizing_mode": "stretch_width", "toolbar_location": "above", "min_width": 240, **options}
    )
    drawn.toolbar.logo = None
    drawn.toolbar.autohide = True
    drawn.background_fill_color = drawn.border_fill_color = None
    drawn.outline_line_color = theme.line
    drawn.title.text_color, drawn.title.text_font_size = theme.ink, "13px"
    for axis in drawn.axis:
        axis.axis_label_text_color = axis.major_label_text_color = theme.ink
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = theme.soft
        axis.axis_label_text_font_style, axis.axis_label_text_font_size = "normal", "13px"
    drawn.grid.grid_line_color = theme.line
    return drawn


def few_decades(values: np.ndarray) -> FixedTicker | None:
    """Ticks at 1, 2 and 5 times powers of ten, where values cover less than two of them: bokeh's own crowd there.

    >>> few_decades(np.array([0.3, 2.0, 17.0])).ticks[6:12]
    [0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
    >>> few_decades(np.array([1e-3, 1e3])) is None
    True
    """
    found = values[np.isfinite(values) & (values > 0)]
    if not len(found) or found.max() > 100 * found.min():
        return None
    powers = range(int(np.floor(np.log10(found.min()))) - 2, int(np.ceil(np.log10(found.max()))) + 3)
    each = [[float(f"{k}e{power}") for k in (1, 2, 5)] for power in powers]
    minor = [float(f"{k}e{power}") for power in powers for k in (3, 4, 6, 7, 8, 9)]
    return FixedTicker(ticks=[tick for ticks in each for tick in ticks], minor_ticks=minor)


def on_screen(chart: Chart, theme: Theme) -> figure:
    """A chart with hover, zoom and errors; a click on an entry of the legend hides its line."""
    drawn = plain_figure(
        theme,
        title=chart.title,
        x_axis_label=chart.x,
        y_axis_label=chart.y,
        tools="pan,wheel_zoom,box_zoom,reset,hover",
        x_axis_type="log" if chart.x_log else "linear",
        y_axis_type="log" if chart.y_log else "linear",
        tooltips=[("", "@name"), (chart.x, "@x{0.0000}"), (chart.y, "@y{0.0000}"), ("±", "@error{0.0000}")],
    )
    drawn.toolbar.active_scroll = None
    entries = []
    for line in chart.lines:
        shade = colour(line, chart.lines, theme)
        error = np.full(len(line.y), np.nan) if line.error is None else line.error
        y = np.where(line.y > 0, line.y, np.nan) if chart.y_log else line.y
        source = ColumnDataSource(
            {
                "x": line.x,
                "y": y,
                "error": error,
                "name": [line.label] * len(line.x),
                "low": np.where(y - error > 0, y - error, np.nan) if chart.y_log else y - error,
                "high": y + error,
            }
        )
        parts = [drawn.line("x", "y", source=source, color=shade, line_dash=line.dash, line_width=1.6)]
        if chart.points or len(line.x) <= 60:
            parts.append(drawn.scatter("x", "y", source=source, color=shade, size=6 if chart.points else 4))
        if np.isfinite(error).any():
            whisker = Whisker(base="x", upper="high", lower="low", source=source, line_color=shade, level="annotation")
            whisker.upper_head.size = whisker.lower_head.size = 5
            whisker.upper_head.line_color = whisker.lower_head.line_color = shade
            drawn.add_layout(whisker)
        entries.append(LegendItem(label=line.label, renderers=parts))
    for axis, values, powers in (
        (drawn.xaxis, [line.x for line in chart.lines], chart.x_log),
        (drawn.yaxis, [line.y for line in chart.lines], chart.y_log),
    ):
        ticks = few_decades(np.concatenate(values)) if powers and values else None
        if ticks is not None:
            axis.ticker = ticks
    if chart.level is not None:
        drawn.add_layout(Span(location=chart.level, dimension="width", line_color=theme.soft, line_dash="dotted"))
    if entries:
        legend = Legend(
            items=entries,
            click_policy="hide",
            label_text_color=theme.ink,
            label_text_font_size="11px",
            spacing=8,
            background_fill_color=None,
            border_line_color=None,
            glyph_height=14,
            padding=4,
            orientation="horizontal",
            ncols=3,
        )
        drawn.add_layout(legend, "below")
        legend.location = "left"
        drawn.height = HEIGHT + 20 * (-(-len(entries) // 3))
    return drawn


def in_file(charts: Sequence[Chart], kind: str, theme: Theme) -> io.BytesIO:
    """All charts that have lines as one figure: "png", "svg" or "pdf"."""
    shown = [chart for chart in charts if chart.lines]
    drawn, axes = plotting.figure(max(1, -(-len(shown) // 3)), max(1, min(3, len(shown))), size=(4.2, 3.2))
    for ax in axes.ravel()[len(shown) :]:
        ax.set_visible(False)
    for ax, chart in zip(axes.ravel(), shown):
        for line in chart.lines:
            error = None if line.error is None or not np.isfinite(line.error).any() else line.error
            marker = "o" if chart.points or len(line.x) <= 60 else ""
            dash = "--" if line.dash == "dashed" else "-"
            ax.errorbar(
                line.x,
                line.y,
                error,
                label=line.label,
                color=colour(line, chart.lines, theme),
                marker=marker,
                linestyle=dash,
                markersize=3,
                linewidth=1.0,
                capsize=2,
            )
        if chart.level is not None:
            ax.axhline(chart.level, color=plotting.GREY, linewidth=0.7, linestyle=":")
        ax.set_title(chart.title, fontsize="small")
        ax.set(
            xlabel=chart.x,
            ylabel=chart.y,
            xscale="log" if chart.x_log else "linear",
            yscale="log" if chart.y_log else "linear",
        )
        if len(chart.lines) <= MOST_ENTRIES:
            ax.legend(frameon=False, fontsize="x-small")
    stream = io.BytesIO()
    drawn.savefig(stream, format=kind, dpi=200)
    stream.seek(0)
    return stream
