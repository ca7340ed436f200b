"""The style of the figures: colours, and numbers without what is undefined."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis

RED, BLACK, LIGHT_BLUE, GREY = "#c8102e", "black", "#7fb7e6", "0.6"
SPECIES_COLOURS = (LIGHT_BLUE, RED, "#f2b134", "#3a7d44", "#8e6c8a", "#444444")
NOTHING = "#d9d9d9"  # of particles that have no value


def figure_of(ax: Axes) -> Any:
    """The figure that an Axes belongs to."""
    return ax.get_figure()


def finite(*columns: np.ndarray) -> list[np.ndarray]:
    """Columns of equal length without the rows in which one is NaN or infinite."""
    flat = [np.asarray(c, dtype=np.float64).ravel() for c in columns]
    kept = np.all([np.isfinite(c) for c in flat], axis=0)
    return [c[kept] for c in flat]


def symbol(dim: Hashable) -> str:
    """A dimension beside an axis: a letter as in formulas, words without underscores.

    >>> symbol("l"), symbol("soap_feature")
    ('$l$', 'soap feature')
    """
    text = str(dim)
    return f"${text}$" if len(text) == 1 else text.replace("_", " ")


def logarithmic(ax: Axes, ticks: np.ndarray | None = None) -> None:
    """A logarithmic x axis on which no labels overlap; with ticks at all values where these are few."""
    from matplotlib.ticker import NullFormatter, NullLocator

    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(NullFormatter())
    if ticks is not None and len(ticks) <= 6:
        ax.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())


def labelled_decades(axis: Axis) -> None:
    """A logarithmic axis of less than two decades has numbers between the powers of ten, too.

    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> _ = ax.semilogy([1, 2], [3.0, 40.0])
    >>> labelled_decades(ax.yaxis)
    >>> [text for text in ax.yaxis.get_major_formatter().format_ticks([5.0, 10.0, 20.0])]
    ['5', '10', '20']
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    if not 0 < low < high < 100 * low:
        return
    steps = (1.0, 2.0, 5.0) if high > 8 * low else tuple(np.arange(1.0, 10.0))
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axis.set_minor_formatter(NullFormatter())


def as_written(text: str) -> str:
    r"""Names of the user's as they are: "$" begins no formula, and bytes of a path that are no UTF-8 are "?".

    >>> print(as_written("cost in $"), as_written("caf\udce9"))
    cost in \$ caf?
    """
    return text.encode("utf-8", "replace").decode().replace("$", r"\$")
