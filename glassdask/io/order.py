"""Which frames of which files make a trajectory, and in which order: that of their steps, each of them once."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glassdask.errors import FormatError
from glassdask.io.sources import SourceIndex, frames
from glassdask.store.arrays import array_info, read_region

# Repeated frames of two files that are compared: the first, the last, and some between.
COMPARED = 16
# Positions of the same frame may differ by this part of the box: a restart may have written them with fewer digits.
SAME = 1e-5


@dataclass(frozen=True)
class Stretch:
    """Frames start to stop of one file."""

    index: SourceIndex
    start: int
    stop: int

    @property
    def n_frames(self) -> int:
        """How many frames."""
        return self.stop - self.start


def arranged(indexes: list[SourceIndex]) -> tuple[list[Stretch], list[str]]:
    """The frames of all files in the order of their steps (or of their times), and lines about what is not as it came.

    A frame with the step of another one must be the same, and is taken once: a restart writes its first frame again.
    Where not all files have steps, or not all times, the files stay in their order.

    Raises
    ------
    FormatError
        When the steps of a file go back, or two frames with the same step differ.
    """
    name = {index.clock_name for index in indexes}
    if len(name) != 1 or name == {""}:
        return [Stretch(index, 0, index.n_frames) for index in indexes], []
    clock = np.concatenate([_increasing(index) for index in indexes])
    counts = [index.n_frames for index in indexes]
    file, frame = np.repeat(np.arange(len(indexes)), counts), np.concatenate([np.arange(n) for n in counts])
    order = np.argsort(clock, kind="stable")
    again = np.append(False, np.diff(clock[order]) == 0)
    kept = order[np.maximum.accumulate(np.where(again, 0, np.arange(len(order))))]
    lines = []
    for a, b in sorted(set(zip(file[kept[again]].tolist(), file[order[again]].tolist()))):
        pair = again & (file[kept] == a) & (file[order] == b)
        ours, theirs = frame[order[pair]], frame[kept[pair]]
        for k in _some(len(ours)):
            here, there = _place(indexes[b], ours[k]), _place(indexes[a], theirs[k])
            _check_same(indexes[b], ours[k], here, there, f"{indexes[a].path}, frame {theirs[k]}")
        lines.append(_again(indexes[b], ours, indexes[a].path))
    order = order[~again]
    cuts = np.flatnonzero((np.diff(file[order]) != 0) | (np.diff(frame[order]) != 1)) + 1
    parts = np.split(order, cuts)
    if (np.diff([file[part[0]] for part in parts]) < 0).any():
        lines.append(f"files are in the order of their {indexes[0].clock_name}s")
    return [Stretch(indexes[file[p[0]]], int(frame[p[0]]), int(frame[p[-1]]) + 1) for p in parts], lines


def following(stretches: list[Stretch], group: Path, n_frames: int, compare: bool) -> tuple[list[Stretch], list[str]]:
    """What of the `arranged` frames comes after the first `n_frames` of a store, and lines about what is there already.

    Without `compare` (when an append goes on) they have been looked at before.

    Raises
    ------
    FormatError
        When a frame is not the one that the store has at this step, or comes before the last one without being there.
    """
    name = stretches[0].index.clock_name if stretches else ""
    if not name or not (group / name / "zarr.json").exists():
        return stretches, []
    stored = read_region(array_info(group, name), (slice(0, n_frames),))
    new, lines = [], []
    for stretch in stretches:
        index = stretch.index
        assert index.clock is not None
        clock = index.clock[stretch.start : stretch.stop]
        n_old = int(np.searchsorted(clock, stored.max(), side="right"))
        numbers = np.arange(stretch.start, stretch.start + n_old)
        lost = ~np.isin(clock[:n_old], stored)
        if compare and lost.any():
            raise FormatError(
                f"{index.path}, frame {numbers[lost][0]}: {name} {clock[:n_old][lost][0]} comes before {name} "
                f"{stored.max()} of {group} and is not in it: ingest all files together into another store"
            )
        for k in _some(n_old if compare else 0):
            at = int(np.flatnonzero(stored == clock[k])[0])
            there = f"{group}, frame {at}"
            _check_same(index, numbers[k], _place(index, numbers[k]), _stored_place(group, at), there)
        if n_old:
            lines.append(_again(index, numbers, str(group)))
        if n_old < len(clock):
            new.append(replace(stretch, start=stretch.start + n_old))
    return new, lines


def _increasing(index: SourceIndex) -> np.ndarray:
    clock, name = index.clock, index.clock_name
    assert clock is not None
    back = np.flatnonzero(np.diff(clock) < 0)
    if len(back):
        k = int(back[0]) + 1
        raise FormatError(
            f"{index.path}, frame {k}: {name} {clock[k]} comes after {name} {clock[k - 1]}: split the file, or say "
            "`ordered=False` if its frames are independent configurations"
        )
    return clock


def _some(count: int) -> Iterable[int]:
    return np.unique(np.linspace(0, count - 1, min(count, COMPARED)).astype(int)).tolist() if count else []


Place = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def _place(index: SourceIndex, number: int) -> Place:
    """Position, box and origin of a frame of a file."""
    with closing(frames(replace(index, variables=()), int(number), int(number) + 1, alone=True)) as stream:
        frame = next(stream)
    assert frame.box is not None
    return frame.position, frame.box, frame.origin


def _stored_place(group: Path, number: int) -> Place:
    def of(name: str) -> np.ndarray:
        info = array_info(group, name)
        whole = (slice(0, size) for size in info.shape[1:])
        return np.asarray(read_region(info, (slice(number, number + 1), *whole))[0])

    position = of("position")
    there = position[~np.isnan(position[:, 0])]
    return there, of("box"), of("origin") if (group / "origin" / "zarr.json").exists() else None


def _check_same(index: SourceIndex, number: int, one: Place, other: Place, where: str) -> None:
    """Raise `FormatError` unless both frames have the same positions, up to images, in the same box."""
    (position, box, origin), (position2, box2, origin2) = one, other
    same = position.shape == position2.shape and np.allclose(box, box2, rtol=SAME, atol=SAME * np.abs(box).max())
    if same:
        moved = position - position2
        if origin is not None and origin2 is not None:
            moved = moved + origin - origin2
        fraction = moved @ np.linalg.inv(box)
        same = np.abs(fraction - np.rint(fraction)).max() < SAME
    if not same:
        assert index.clock is not None
        raise FormatError(
            f"{index.path}, frame {number}: has the {index.clock_name} {index.clock[number]} of {where}, but not its "
            "particles and positions: leave out one of the two, make a store of each if they are different runs (of "
            "several temperatures, say), or say `ordered=False` if these are independent configurations"
        )


def _again(index: SourceIndex, numbers: np.ndarray, where: str) -> str:
    assert index.clock is not None
    first, last = (f"{index.clock_name} {index.clock[numbers[k]]}" for k in (0, -1))
    if len(numbers) == 1:
        return f"{index.path}: frame {numbers[0]} ({first}) is in {where} already, and was taken once"
    return f"{index.path}: {len(numbers)} frames ({first} to {last}) are in {where} already, and were taken once"
