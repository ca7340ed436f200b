"""Sums over frames and blocks of particles, as dask tasks whose results are added in a tree."""

from __future__ import annotations

from collections.abc import Callable

import dask
import numpy as np
import xarray as xr
from dask.delayed import Delayed, delayed

from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import check_positions, species_codes, species_names, validate
from glassdask.store import in_frames, task_rows, task_shape

# Particles of one task at most: about a second of work.
TASK_ROWS = 1 << 18
# Partial results that one task adds up.
FAN_IN = 16

# What one task computes of one frame: arrays whose sum over all frames and all blocks of `items` is wanted.
Contribution = Callable[[Configuration, np.ndarray], tuple[np.ndarray, ...]]


def sum_over_frames(
    trajectory: xr.Dataset, contribution: Contribution, items: int | None = None, rows: int | None = None
) -> tuple[np.ndarray, ...]:
    """Sum of ``contribution(configuration, items)`` over all frames and all items, by the current dask scheduler.

    Parameters
    ----------
    trajectory : Dataset of the schema, in memory or lazy; at most the frames of the running tasks are loaded
    contribution : arrays for one frame and an array of item numbers, to be added
    items : number of items of a frame that may be split over tasks; by default the particles
    rows : items of one task; by default as many as make a task of about a second

    Raises
    ------
    SchemaError, PositionError, BoxError
        Of the first frame that a task finds bad.
    """
    validate(trajectory)
    n_frames, n_particles = trajectory.sizes["frame"], trajectory.sizes["particle"]
    items = n_particles if items is None else items
    rows = task_rows(n_frames * items, most=TASK_ROWS) if rows is None else rows
    of_task, items_of_task = task_shape(n_frames, items, rows)
    frames = in_frames(trajectory["position"], of_task)
    box = np.asarray(trajectory["box"].values)
    names = species_names(trajectory)
    # one node of the graph, however many tasks read it
    codes = delayed(species_codes(trajectory), pure=False)
    spans = [(begin, min(begin + items_of_task, items)) for begin in range(0, items, items_of_task)]
    partial = []
    first = 0
    for part, size in zip(frames.to_delayed().reshape(-1), frames.chunks[0]):
        for span in spans:
            partial.append(_frames(part, box[first : first + size], codes, names, first, span, contribution))
        first += size
    return dask.compute(_tree(partial))[0]


def volumes(trajectory: xr.Dataset) -> np.ndarray:
    """Volume (area in two dimensions) of the box of each frame, (frame,)."""
    return np.abs(np.linalg.det(np.asarray(trajectory["box"].values)))


def mean_spacing(trajectory: xr.Dataset) -> float:
    """Edge of the cube (square) that a particle has on average."""
    return float((volumes(trajectory).mean() / trajectory.sizes["particle"]) ** (1 / trajectory.sizes["space"]))


@delayed(pure=False)
def _frames(position, box, codes, names, first, span, contribution):
    check_positions(position, first_frame=first)
    items = np.arange(*span)
    total = None
    for k in range(len(position)):
        configuration = Configuration(position[k], codes, box[k], names, label=f"frame {first + k}")
        part = contribution(configuration, items)
        total = part if total is None else tuple(a + b for a, b in zip(total, part))
    return total


@delayed(pure=False)
def _add(parts):
    return tuple(sum(arrays[1:], start=arrays[0]) for arrays in zip(*parts))


def _tree(parts: list[Delayed]) -> Delayed:
    while len(parts) > 1:
        parts = [_add(parts[i : i + FAN_IN]) for i in range(0, len(parts), FAN_IN)]
    return parts[0]
