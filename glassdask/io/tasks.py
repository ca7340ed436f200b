"""The tasks of an ingestion: each reads a stretch of frames and writes the blocks of the store that begin in it.

A block (whole chunks of frames) has one writer. Blocks that begin in a file that can be entered anywhere are a task
each. Blocks that begin in a compressed file are one task together, which decompresses the file once: it passes over the
frames that belong to the block before, and reads on into the next files for the rest of its last block.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import dask
import numpy as np

from glassdask.declarations import Declaration, make
from glassdask.errors import CorruptStoreError, GlassdaskError, ParameterError, StoreError
from glassdask.files import put, read_json, writing
from glassdask.graphs import batched, compute_batches
from glassdask.io import kept
from glassdask.io.frame import Frame
from glassdask.io.order import Stretch
from glassdask.io.roster import Census
from glassdask.io.sources import SourceIndex, frames
from glassdask.schema import CODE
from glassdask.store.arrays import STAGE, array_info, chunk_exists, read_region, write_region
from glassdask.store.groups import attributes
from glassdask.store.progress import Progress, watched

Block = tuple[int, int]

FAILED = "failed"
# of what is in a store, where it is no float
DTYPES: dict[str, type] = {
    "image": np.int32,
    "step": np.int64,
    "id": np.int64,
    "species": CODE,
    "present": np.bool_,
    "periodic": np.bool_,
}


@dataclass(frozen=True)
class Piece:
    """Frames start to stop of one file, the first of which is `number` in the store."""

    index: SourceIndex
    start: int
    stop: int
    number: int


@dataclass(frozen=True, kw_only=True)
class Receipt(Declaration):
    """What is noted of a block that was written: how many particles were wrapped in it, the span, marks of columns.

    And what some of its frames have `more` than the first ones of their files, which is not kept.
    """

    wrapped: int
    span: tuple[tuple[float, ...], tuple[float, ...]] | None
    marks: Mapping[str, str | None] = field(default_factory=dict)
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """Blocks of frames and the pieces of files, in order, that hold them."""

    blocks: tuple[Block, ...]
    pieces: tuple[Piece, ...]


def plan(stretches: list[Stretch], blocks: list[Block], first: int) -> list[Task]:
    """Tasks that write `blocks` of a store in which the stretches follow each other from frame `first` on."""
    edges = first + np.concatenate([[0], np.cumsum([stretch.n_frames for stretch in stretches])])
    owners = [int(np.searchsorted(edges, start, side="right")) - 1 for start, _ in blocks]

    def task_of(k: int) -> tuple[int, int]:
        return owners[k], k if stretches[owners[k]].index.random_access else -1

    tasks = []
    for _, group in itertools.groupby(range(len(blocks)), key=task_of):
        mine = tuple(blocks[k] for k in group)
        start, stop = mine[0][0], mine[-1][1]
        pieces = []
        for file in range(int(np.searchsorted(edges, start, side="right")) - 1, len(stretches)):
            low, high = max(start, int(edges[file])), min(stop, int(edges[file + 1]))
            if low < high:
                shift = stretches[file].start - int(edges[file])
                begin = low + shift
                pieces.append(Piece(_light(stretches[file].index, begin), begin, high + shift, low))
        tasks.append(Task(mine, tuple(pieces)))
    return tasks


def run(group: Path, tasks: list[Task], n_blocks: int, progress: Progress | None) -> None:
    """Carry the tasks out by the current dask scheduler; raises the first error in the order of the frames.

    A task that finds an error leaves a mark that ends the others at their next block, and all have ended when the
    error is raised.
    """
    with writing(group):
        receipts(group).mkdir(exist_ok=True)
        (receipts(group) / FAILED).unlink(missing_ok=True)
    blocks = [block for task in tasks for block in task.blocks]
    key = attributes(group).get("key")
    calls = ([later(write, str(group), task, key) for task in batch] for batch in batched(tasks))
    with watched(blocks, lambda block: _receipt(group, block).exists(), n_blocks - len(blocks), progress):
        for errors in compute_batches(calls):
            for error in errors:
                if error is not None:
                    raise error
    if progress is not None:
        progress(n_blocks, n_blocks)


def later(function: Callable[..., Any], *given: Any) -> Any:
    """A call as a task; dask does not look into what is given, which takes long for thousands of files."""
    return dask.delayed(partial(function, *given), pure=False, traverse=False)()


def write(group: str, task: Task, key: str | None) -> GlassdaskError | None:
    """Write the blocks of a task into a group that has this key; returns the error that was found."""
    path = Path(group)
    try:
        with closing(_stream(task.pieces, _particles(path))) as stream:
            for block in task.blocks:
                if (receipts(path) / FAILED).exists():
                    return None
                _write_block(path, block, stream, key)
    except GlassdaskError as error:
        with writing(path):
            (receipts(path) / FAILED).touch()
        return error
    return None


def check(group: str, task: Task, constant: tuple[str, ...] = ()) -> np.ndarray | None:
    """Read all frames of a task as `write` does, and write nothing; returns the `joined` span of its frames.

    The columns that are `constant` in the group must be so in the frames.
    """
    values = kept.stored(Path(group), constant)

    def spans() -> Iterator[np.ndarray | None]:
        for number, frame, _ in _stream(task.pieces, _particles(Path(group))):
            piece = next(piece for piece in reversed(task.pieces) if piece.number <= number)
            where = f"{piece.index.path}, frame {piece.start + number - piece.number}"
            kept.check_constant(where, frame, values)
            yield frame.span

    return joined(spans())


def census(task: Task) -> Census:
    """Whom the frames of a task have."""
    found = Census()
    for piece in task.pieces:
        with closing(frames(replace(piece.index, variables=()), piece.start, piece.stop, alone=True)) as stream:
            for frame in stream:
                found.count(frame)
    return found


def joined(spans: Iterable[np.ndarray | None]) -> np.ndarray | None:
    """The `glassdask.wrapping.span` of all frames together; None where there is nothing to tell."""
    known = [span for span in spans if span is not None]
    return np.stack([np.min(known, axis=0)[0], np.max(known, axis=0)[1]]) if known else None


def receipts(group: Path) -> Path:
    """The folder of the receipts, one file for each block: how many particles were wrapped in it, and the span."""
    return group / ".ingest"


def _receipt(group: Path, block: Block) -> Path:
    return receipts(group) / str(block[0])


def stored(group: Path, block: Block, variables: tuple[str, ...]) -> bool:
    """Whether a block was written by an earlier run of the same ingestion."""
    region = (slice(*block),)
    return _note(group, block) is not None and all(chunk_exists(group, name, region) for name in variables)


def found(group: Path, blocks: list[Block]) -> tuple[int, np.ndarray | None, list[str], set[str]]:
    """Particles that were wrapped in all blocks, their `joined` span, and the columns that are equal in all frames.

    And what later frames of a file have and its first one has not.
    """
    notes = [_note(group, block) for block in blocks]
    missing = [block for block, note in zip(blocks, notes) if note is None]
    if missing:
        raise StoreError(f"{_receipt(group, missing[0])}: is damaged: run the same command again to continue")
    known = [note for note in notes if note is not None]
    spans = (note.span and np.array(note.span) for note in known)
    more = {name for note in known for name in note.more}
    return sum(note.wrapped for note in known), joined(spans), kept.constant(dict(note.marks) for note in known), more


def _note(group: Path, block: Block) -> Receipt | None:
    """What is written in a receipt; None where there is none, or a loss of power has left it torn."""
    with suppress(CorruptStoreError, ParameterError):
        content = read_json(_receipt(group, block))
        return None if content is None else make(Receipt, content, "receipt")
    return None


def forget(group: Path) -> None:
    """Remove the receipts."""
    shutil.rmtree(receipts(group), ignore_errors=True)


def _light(index: SourceIndex, start: int) -> SourceIndex:
    """An index without what is long: it travels with every task, and the store has codes and ids."""
    return replace(
        index,
        codes=np.empty(0, dtype=CODE),
        clock=None,
        id=None if index.id is None else np.empty(0, dtype=np.int64),
        offsets=None if index.offsets is None else index.offsets[start : start + 1].copy(),
        first=start,
        roster=None if index.roster is None else index.roster.light(),
    )


def _particles(group: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Codes of the species (by sorted names, as in `SourceIndex`), where they are constant, and ids of a store."""
    group = group.parent if group.name == STAGE else group
    found = array_info(group, "species")
    whole = (slice(0, found.shape[-1]),)
    has_id = (group / "id" / "zarr.json").exists()
    codes = read_region(found, whole) if found.dims == ("particle",) else None
    return codes, read_region(array_info(group, "id"), whole) if has_id else None


def _stream(
    pieces: tuple[Piece, ...], particles: tuple[np.ndarray | None, np.ndarray | None]
) -> Generator[tuple[int, Frame, tuple[str, ...]], None, None]:
    codes, ids = particles
    for piece in pieces:
        index = piece.index
        if index.roster is not None:
            index = replace(index, roster=replace(index.roster, codes=codes, id=ids))
        elif codes is not None:
            index = replace(index, codes=codes, id=None if index.id is None else ids)
        with closing(frames(index, piece.start, piece.stop)) as stream:
            for number, frame in enumerate(stream, piece.number):
                yield number, frame, index.written


def single(position: np.ndarray) -> np.ndarray:
    """Positions in single precision, rounded down so that none comes to lie on the upper face of the box.

    Those that a file has in single precision stay what they are.
    """
    rounded: np.ndarray = position.astype(np.float32)
    return np.where(rounded > position, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _write_block(
    group: Path, block: Block, stream: Iterator[tuple[int, Frame, tuple[str, ...]]], key: str | None
) -> None:
    start, stop = block
    arrays: dict[str, np.ndarray] = {}
    loose: set[str] = set()
    more: set[str] = set()
    n_wrapped, bounds = 0, None
    for number, frame, variables in stream:
        if number < start:  # of a block that an earlier run has written
            continue
        loose = loose or {"diameter", *frame.kept}.intersection(variables)
        for name in ("box", *variables, "position"):
            value = np.asarray(frame.get(name))
            if name not in arrays:
                dtype = value.dtype if name in loose else np.dtype(DTYPES.get(name, np.float64))
                arrays[name] = np.empty((stop - start, *value.shape), dtype=dtype)
            arrays[name][number - start] = value
        n_wrapped += frame.wrapped
        more |= frame.more
        bounds = joined((bounds, frame.span))
        if number == stop - 1:
            break
    if array_info(group, "position").dtype == np.float32:
        arrays["position"] = single(arrays["position"])
    for name, values in arrays.items():
        write_region(group, name, (slice(start, stop),), values, key=key)
    marks = {name: kept.mark(arrays[name]) for name in sorted(loose)}
    edges = None if bounds is None else bounds.tolist()
    note = Receipt(wrapped=n_wrapped, span=edges, marks=marks, more=tuple(sorted(more)))
    put(_receipt(group, block), json.dumps(dataclasses.asdict(note)), sync=False)
