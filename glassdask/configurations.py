"""Frames as configurations: what all tasks of a walk have in common, and each frame of one task.

See `glassdask.frames`, which makes the tasks.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from glassdask.errors import SchemaError
from glassdask.neighborhood.borders import Borders
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.scratch import Scratch
from glassdask.schema import check_diameters, check_positions


class Mark:
    """What tells one job of a process from others, as long as it is there."""


@dataclass(frozen=True)
class Job:
    """What the tasks of a walk have in common: one node of the graph, which a worker gets once."""

    function: Callable[..., Any]
    names: tuple[str, ...]
    codes: np.ndarray | None  # None where they are of each frame, as the diameters may be
    diameter: np.ndarray | None
    box: np.ndarray
    borders: Borders | None
    own: tuple[str, ...]  # what the frames have besides their positions and the values: present, codes, diameter
    axes: tuple[int | None, ...]  # of the particles, in one frame of each of the values
    sources: tuple[Any, ...]  # of all arrays that tasks read from a store themselves, else None
    mark: Mark = field(default_factory=lambda: Mark(), compare=False)


@dataclass(frozen=True)
class Frame:
    """One frame without the absent particles, and its part of the values."""

    configuration: Configuration
    values: list[np.ndarray]
    present: np.ndarray | None

    def numbers(self, items: slice) -> np.ndarray:
        """The numbers that these particles have in the configuration."""
        if self.present is None:
            return np.arange(items.start, items.stop)
        return np.count_nonzero(self.present[: items.start]) + np.arange(np.count_nonzero(self.present[items]))


class _Parts:
    """The frame that was used last of those that are cut into several tasks: read, checked and sorted once a process.

    Each task would otherwise do so for all particles of the frame, whatever few of them are its own. It stays until as
    many tasks have had it as it has parts, or, where other processes do some of them, as long as the job does.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner: weakref.ref[Mark] | None = None
        self.number, self.left = -1, 0
        self.frame: Frame | None = None

    def find(self, job: Job, number: int, blocks: Sequence[np.ndarray], parts: int) -> Frame:
        """One frame for one of so many tasks."""
        with self.lock:
            found = self.frame
            if found is None or self.owner is None or self.owner() is not job.mark or self.number != number:
                found = self.frame = None  # not both at a time
                found = next(each_frame(job, slice(number, number + 1), blocks))
                found.configuration.share()
                self.owner, self.number, self.left = weakref.ref(job.mark, self.forget), number, parts
            self.left -= 1
            self.frame = found if self.left else None
        return replace(found, configuration=found.configuration.borrowed())

    def forget(self, owner: weakref.ref[Mark]) -> None:
        """Give the memory back when the job is done."""
        if self.owner is owner:
            self.frame = None


_parts = _Parts()


def each_frame(job: Job, frames: slice, blocks: Sequence[np.ndarray], parts: int = 1) -> Iterator[Frame]:
    """Each frame of a task; they share the scratch memory of the task. `parts`: of how many tasks each frame is."""
    if parts > 1:
        yield _parts.find(job, frames.start, blocks, parts)
        return
    scratch = Scratch()
    given = iter(blocks)
    arrays = [
        next(given) if source is None else source[frames if source.shape[0] > 1 else slice(0, 1)]
        for source in job.sources
    ]
    for k, frame in enumerate(range(frames.start, frames.stop)):
        position, *rest = [array[k] if len(array) > 1 else array[0] for array in arrays]
        own, values = dict(zip(job.own, rest)), rest[len(job.own) :]
        number = frame if len(job.box) > 1 else 0
        present = own.get("present")
        check_positions(position[None], number, None if present is None else present[None])
        codes: Any = own.get("codes", job.codes)
        diameter: Any = own.get("diameter", job.diameter)
        if present is not None:
            if not present.any():
                raise SchemaError(f"frame {number}: no particle is there: leave the frame out")
            position, codes = position[present], codes[present]
            diameter = None if diameter is None else diameter[present]
            values = [v if axis is None else v.compress(present, axis) for v, axis in zip(values, job.axes)]
        if "diameter" in job.own:
            check_diameters(diameter, f"frame {number}")
        configuration = Configuration(
            position, codes, job.box[number], job.names, f"frame {number}", scratch, diameter, job.borders
        )
        yield Frame(configuration, values, present)
