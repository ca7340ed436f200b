"""Plots in the style of the papers: arrays in, a matplotlib Axes out, and the numbers of every figure as CSV.

The functions draw on Axes that the caller owns; no window system and no global state of pyplot is needed.
"""

from glassdask.plotting.classes import classes, embedding
from glassdask.plotting.correlated import correlation_with_propensity, propensity
from glassdask.plotting.curves import ALONG, curves
from glassdask.plotting.descriptors import descriptor
from glassdask.plotting.files import check_output, figure, paths, save, write_table
from glassdask.plotting.panels import (
    curve,
    density,
    direction,
    distribution,
    heat_table,
    pair_correlations,
    scatter,
    spectrum,
)
from glassdask.plotting.particles import snapshot, view
from glassdask.plotting.reductions import reduction
from glassdask.plotting.style import BLACK, GREY, LIGHT_BLUE, RED, SPECIES_COLOURS, labelled_decades, logarithmic

__all__ = [
    "ALONG",
    "BLACK",
    "GREY",
    "LIGHT_BLUE",
    "RED",
    "SPECIES_COLOURS",
    "check_output",
    "classes",
    "correlation_with_propensity",
    "curve",
    "curves",
    "density",
    "descriptor",
    "direction",
    "distribution",
    "embedding",
    "figure",
    "heat_table",
    "labelled_decades",
    "logarithmic",
    "pair_correlations",
    "paths",
    "propensity",
    "reduction",
    "save",
    "scatter",
    "snapshot",
    "spectrum",
    "view",
    "write_table",
]


def __dir__() -> list[str]:
    """What is public, and no module that it stands in."""
    return __all__
