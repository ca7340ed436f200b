"""Files into a store: scanned, checked, written block by block in parallel, continued where it was interrupted."""

from __future__ import annotations

import importlib
import os
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from glassdask.code import digest
from glassdask.declarations import converted, flags
from glassdask.errors import BoxError, FormatError, GlassdaskError, ParameterError, StoreError
from glassdask.files import one_line, writing
from glassdask.graphs import batched, compute_batches
from glassdask.io import kept, tasks
from glassdask.io.formats import FORMATS, find_format
from glassdask.io.order import Stretch, arranged, following
from glassdask.io.reference import Reference, alike, by_line, common_variables, left_out, stored_roster
from glassdask.io.roster import Census, OtherParticlesError, Roster
from glassdask.io.scanning import resolved, scanned, understood
from glassdask.io.settings import differing, key_of, told, unheeded
from glassdask.io.sources import OPTIONAL, SourceIndex, check_unchanged
from glassdask.schema import UNKNOWN, kept_variables
from glassdask.store import appending
from glassdask.store.arrays import array_info, arrays, finish, missing_chunks, write_region
from glassdask.store.groups import (
    COMPLETE,
    WRITING,
    attributes,
    derived_names,
    is_group,
    plain,
    remove_group,
    set_attributes,
)
from glassdask.store.layout import checked_path, frame_blocks
from glassdask.store.locks import locked
from glassdask.store.progress import Progress
from glassdask.store.reading import open_trajectory
from glassdask.store.restoring import recover, remove_torn
from glassdask.store.writing import create_trajectory, save_trajectory
from glassdask.wrapping import looks_wrapped

OTHER_READER = "other code (another version of glassdask) was interrupted while it read these files"
CENSUS_FRAMES = 64  # that a task counts the particles of


@dataclass(frozen=True)
class Ingestion:
    """What `ingest` did: frames in the store, new ones, positions wrapped in these, files that were there already.

    `notes` are lines about frames that were taken once or wait, files in another order, and particles without ids.
    """

    store: str
    n_frames: int
    n_new: int
    n_particles: int
    wrapped: int
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        line = f"{self.store}: {self.n_new} new frames, {self.n_frames} in all, of {self.n_particles} particles"
        if self.n_new:
            line += f"; {self.wrapped} positions outside the box were wrapped"
        if self.skipped:
            line += f"; there already: {', '.join(self.skipped)}"
        return "\n".join([line, *self.notes])


@one_line
def ingest(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    store: str | os.PathLike[str],
    *,
    format: str | None = None,
    append: bool = False,
    overwrite: bool = False,
    species_names: dict[Any, str] | None = None,
    beyond: str = UNKNOWN,
    progress: Progress | None = None,
    **options: Any,
) -> Ingestion:
    """Read trajectory files into a store, one after the other along `frame`.

    All files are scanned (frames, species, SHA-256), then written block by block, both by the current dask scheduler;
    memory is bounded by a block of frames for each thread. The same command continues an interrupted ingestion, and
    does nothing where the store has these files with these options already. An interrupted store does not open.

    Parameters
    ----------
    sources : path, pattern, or list of them
        Files of one run. Their frames are put in the order of their steps (or else of their times), each of which is
        taken once: frames with the same step must have the same positions. Where the files have neither, they follow
        each other as they are given; what a pattern such as ``run/dump.*.gz`` matches is sorted by name, with numbers
        by their value. Of such files one of several frames with the content of another one is skipped, and reported.
    store : path
        The store, or a state point inside a tree, such as ``sweep.zarr/KA/T=0.450``.
    format : str, optional
        Name of the reader, for files whose content does not tell.
    append : bool
        Add the frames to those of the store. Files that it has already are skipped, and reported, and of a file that
        has grown only the new frames are added; its last one waits while it is unfinished.
    overwrite : bool
        Replace what the store has, with all that was derived from it.
    species_names : dict, optional
        New names of the species, such as ``{1: "A", 2: "B"}``.
    beyond : "unknown" or "nothing"
        What is beyond the faces of a box that does not repeat along all axes: see `glassdask.from_arrays`. Frames that
        are appended take it from the store.
    progress : callable, optional
        Called with the number of blocks that are written and of all blocks.
    **options : object
        ``dimension``, ``dt``, ``box``, ``periodic``, ``wrapped``, ``ordered`` of `scan`; of readers ``columns``,
        ``keep``, ``topology``; of public data sets ``density``, ``lags``, see `glassdask.io.public`.

    Returns
    -------
    Ingestion
        The numbers of frames and of wrapped particles (also in the attribute ``wrapped`` of `position`).

    Raises
    ------
    FormatError, BoxError, PositionError, SpeciesError
        A file is not what it should be: the line names file, frame and remedy. A store that was begun is removed; to
        a store that was appended to, nothing was done.
    StoreError
        The store has other frames (append or overwrite), or cannot be written; what was written is kept then.

    Notes
    -----
    The variables of the first file (or of the store) are kept: a later file must have them too, and others that it has
    are left out and told; likewise the frames of a file. Only the ``origin`` of the box is kept where any file has it,
    and is zero in the others.

    What is not read of the files' columns is told in the notes. ``keep=["q", "c_stress[1]"]`` makes variables of them,
    ``keep="all"`` of all that hold numbers: (frame, particle), or (particle,) where all frames have the same values.

    Where files do not say whether their positions are wrapped (XYZ, NumPy archives, what mdtraj reads) the images that
    wrapping finds are kept if the positions of all frames do not fit into one cell
    (`glassdask.wrapping.looks_wrapped`), else there are none.

    Examples
    --------
    >>> import tempfile, numpy as np, glassdask as gd
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.savez(folder.name + "/a.npz", position=[[[0.5, 0.5], [2.5, 0.5]]], species=[1, 2], box=[2.0, 2.0])
    >>> print(ingest(folder.name + "/a.npz", folder.name + "/run.zarr", species_names={1: "A", 2: "B"}).n_new)
    1
    >>> gd.open_trajectory(folder.name + "/run.zarr")["position"].values.tolist()
    [[[0.5, 0.5], [0.5, 0.5]]]
    >>> folder.cleanup()
    """
    flags(append=append, overwrite=overwrite)
    beyond = converted(beyond, Literal["unknown", "nothing"], "beyond")
    group = checked_path(store)
    paths = resolved(sources)
    settings = {"species_names": species_names, **options}
    formats = {path: find_format(path, format) for path in dict.fromkeys(paths)}  # before hours are spent on one
    if together := [name for name in formats.values() if FORMATS[name].together]:
        return _gathered(group, paths, together[0], settings, append, overwrite, progress)
    indexes, skipped = scanned(paths, formats, settings, growing=append)
    if beyond != UNKNOWN:
        settings["beyond"] = beyond
        if indexes and all(indexes[0].periodic):
            raise BoxError(
                f"{indexes[0].path}: the box repeats along all axes, nothing is beyond it: say along which it does, "
                "such as `periodic='xy'`"
            )
    lines = [f"{index.path}: its last frame is unfinished, and waits" for index in indexes if index.unfinished]
    lines += understood(indexes)
    if sum(index.n_frames for index in indexes) > 1:
        lines += by_line(indexes)
    with locked(group):
        before = derived_names(group) if overwrite else []
        done = _ingested(group, indexes, skipped, settings, append, overwrite, progress)
        gone = [name for name in before if not is_group(group / name)]
    lines += [f"overwritten, with what was made of it: {', '.join(gone)}"] if gone else []
    return replace(done, notes=(*done.notes, *lines))


def _gathered(
    group: Path,
    paths: list[str],
    name: str,
    settings: dict[str, Any],
    append: bool,
    overwrite: bool,
    progress: Progress | None,
) -> Ingestion:
    """Store the trajectory that a reader makes of all files together."""
    if append:
        raise FormatError(f"{paths[0]}: files of format {name} are ingested all together: leave out append")
    options = {key: value for key, value in settings.items() if value is not None}
    trajectory, lines = importlib.import_module(FORMATS[name].module).gather(list(dict.fromkeys(paths)), **options)
    there = attributes(group) if is_group(group) else {}
    save_trajectory(trajectory, group, overwrite=overwrite, progress=progress)
    n_frames, n_particles = trajectory.sizes["frame"], trajectory.sizes["particle"]
    new = overwrite or there.get("status") != COMPLETE
    wrapped = trajectory["position"].attrs["wrapped"]
    return Ingestion(str(group), n_frames, n_frames if new else 0, n_particles, wrapped, notes=tuple(lines))


def _ingested(
    group: Path,
    indexes: list[SourceIndex],
    skipped: list[str],
    settings: dict[str, Any],
    append: bool,
    overwrite: bool,
    progress: Progress | None,
) -> Ingestion:
    known = _known(group)
    if known is not None and known["status"] == COMPLETE:
        tasks.forget(group)  # what a killed process had no time to
    if append and known is not None:
        present = {source.get("sha256") for source in known.get("sources", [])}
        if known["status"] == COMPLETE:  # else a creation was interrupted: to be continued as such
            skipped += [index.path for index in indexes if index.sha256 in present]
            indexes = [index for index in indexes if index.sha256 not in present]
            return _append(group, known, indexes, skipped, settings, progress)
    stretches, lines = arranged(indexes)
    key, code = key_of(_entries(stretches), settings), _code(indexes)
    if known and not _begun(group, known, key, code, overwrite, _entries(stretches), settings):
        n_frames, n_particles, _ = array_info(group, "position").shape
        return Ingestion(str(group), n_frames, 0, n_particles, 0, (*skipped, *(x.path for x in indexes)))
    try:
        done = _create(group, stretches, key, code, skipped, settings, progress, _counted(group, stretches))
    except OtherParticlesError:  # none of the store can be used
        if is_group(group):
            remove_group(group)
        done = _create(group, stretches, key, code, skipped, settings, progress, _census(stretches))
    return replace(done, notes=(*done.notes, *lines))


def _create(
    group: Path,
    stretches: list[Stretch],
    key: str,
    code: str,
    skipped: list[str],
    settings: dict[str, Any],
    progress: Progress | None,
    roster: Roster | None,
) -> Ingestion:
    indexes = [stretch.index for stretch in stretches]
    first = indexes[0]
    names, ids = np.array(first.species)[first.codes], first.id
    if roster is not None:
        names, ids = np.array(roster.names), roster.id
        names = names if roster.codes is None else names[roster.codes]
    variables = common_variables(indexes)
    columns = {
        name: kind for name, kind in kept.in_common(index.kept for index in indexes).items() if name in variables
    }
    reference = Reference(
        first.path, names, first.n_space, variables, ids, first.told, roster, first.periodic, columns=columns
    )
    stretches = [replace(stretch, index=alike(stretch.index, reference)) for stretch in stretches]
    n_frames = sum(stretch.n_frames for stretch in stretches)
    walls = () if all(first.periodic) else ("periodic",)
    wanted = {"position", "box", *walls, *stretches[0].index.written, *(() if ids is None else ("id",))}
    n_particles = len(names) if roster is None else roster.n_particles
    kept.forget_constant(group, columns)
    size = create_trajectory(
        group,
        n_frames=n_frames,
        species=names,
        n_particles=n_particles if "species" in stretches[0].index.written else None,
        n_space=first.n_space,
        dtypes={name: tasks.DTYPES.get(name, np.float64) for name in sorted(wanted - {"species", *columns})}
        | {"position": np.float32 if all(index.single for index in indexes) else np.float64},
        columns={
            name: (kept.dims_of(name, width, first.n_space), (width,) if width else (), dtype, kept.attrs_of(name))
            for name, (dtype, width) in columns.items()
        },
        attrs={
            "varied": roster is not None or None,
            "sources": _entries(stretches),
            "parameters": told(settings),
            "key": key,
            "code": code,
        },
    )
    if walls:
        write_region(group, "periodic", (slice(None),), np.array(first.periodic))
        if "beyond" in settings:
            set_attributes(group / "periodic", beyond=settings["beyond"])
    if ids is not None:
        write_region(group, "id", (slice(None),), ids)
    blocks = frame_blocks(0, n_frames, size)
    try:
        count, span, same, more = _write(group, stretches, blocks, 0, progress)
        _check_unchanged(stretches)
    except StoreError:
        raise
    except GlassdaskError:  # of the files: they must change, so nothing of the store can be used
        remove_group(group)
        raise
    set_attributes(group / "position", wrapped=count, span=span, matched_by="line" if by_line(indexes) else None)
    if (
        span is not None
        and "image" in reference.variables
        and looks_wrapped(span, n_particles, np.array(first.periodic))
    ):
        with writing(group):
            shutil.rmtree(group / "image")
    kept.make_constant(group, same)
    finish(group)
    tasks.forget(group)
    notes = (*left_out(indexes, variables, first.path, more), *(() if roster is None else roster.notes))
    return Ingestion(str(group), n_frames, n_frames, n_particles, count, tuple(skipped), notes)


def _counted(group: Path, stretches: list[Stretch]) -> Roster | None:
    """The roster of a store that was begun with one."""
    return _census(stretches) if is_group(group) and attributes(group).get("varied") else None


def _census(stretches: list[Stretch]) -> Roster:
    """All particles of all frames, which are read for it."""
    blocks = frame_blocks(0, sum(stretch.n_frames for stretch in stretches), CENSUS_FRAMES)
    plan = batched(tasks.plan(stretches, blocks, 0))
    counts = ([tasks.later(tasks.census, task) for task in batch] for batch in plan)
    found = Census()
    for batch in compute_batches(counts):
        for part in batch:
            found.merge(part)
    return found.roster()


def _append(
    group: Path,
    known: dict[str, Any],
    indexes: list[SourceIndex],
    skipped: list[str],
    settings: dict[str, Any],
    progress: Progress | None,
) -> Ingestion:
    shape = array_info(group, "position").shape
    old, stage = shape[0], appending.stage_of(group)
    begun = stage is not None
    trajectory = open_trajectory(group)
    columns = kept_variables(trajectory)
    variables = tuple(name for name in (*OPTIONAL, *columns) if name in trajectory)
    constant = tuple(
        name for name in variables if name in ("diameter", *columns) and "frame" not in trajectory[name].dims
    )
    ids = trajectory["id"].values if "id" in trajectory else None
    attrs = trajectory["position"].attrs
    span = np.array(attrs["span"]) if "span" in attrs else None
    periodic = tuple(trajectory["periodic"].values.tolist()) if "periodic" in trajectory else (True,) * shape[2]
    names, roster = trajectory["species"].values, stored_roster(group)
    dt, before = settings.get("dt"), known.get("parameters", {}).get("dt")
    if "time" in variables and None not in (dt, before) and dt != before:
        raise ParameterError(
            f"dt is {dt}, {group} was made with {before}, and times are steps times dt: say `dt={before}`, or ingest "
            "files that tell their times"
        )
    types = {name: kept.stored_as(group, name) for name in variables if name in ("diameter", *columns)}
    reference = Reference(str(group), names, shape[2], variables, ids, span is None, roster, periodic, constant, types)
    unmatched = by_line(indexes, ids=ids is not None)
    notes = unmatched[len(by_line(indexes)) :]
    read = indexes
    indexes = [alike(index, reference) for index in indexes]
    finer = [index.path for index in indexes if not index.single]
    if finer and array_info(group, "position").dtype == np.float32:
        raise FormatError(
            f"{finer[0]}: its positions are of double precision, those of {group} of single: ingest all files together "
            "into another store"
        )
    stretches, lines = arranged(indexes)
    lines += unheeded(known, skipped, settings)
    stretches, repeated = following(stretches, group, old, compare=not begun)
    key, code = key_of(_entries(stretches), settings), _code(indexes)
    pending = {} if stage is None else attributes(stage)["pending"]
    back = f"take it back with glassdask repair {shlex.quote(str(group))}"
    if begun and pending.get("code") != code:
        raise StoreError(f"{group}: {OTHER_READER}: {back}, and append again")
    if begun and pending.get("key") != key:
        raise StoreError(
            f"{group}: an append of {', '.join(pending['files'])} was interrupted: run it again, or {back}"
        )
    if not stretches:
        lines += [*left_out(read, variables, str(group)), *notes]
        return Ingestion(str(group), shape[0], 0, shape[1], 0, tuple(skipped), (*lines, *repeated))
    n_new = sum(stretch.n_frames for stretch in stretches)
    blocks = frame_blocks(old, old + n_new, array_info(group, "position").unit[0])
    if not begun:
        plan = batched(tasks.plan(stretches, blocks, old))
        # read all before the store is touched: a bad frame found later would leave it neither old nor new
        checks = ([tasks.later(tasks.check, str(group), task, constant) for task in batch] for batch in plan)
        span = tasks.joined([span, *(found for batch in compute_batches(checks) for found in batch)])
        files = [entry["name"] for entry in _entries(stretches)]
        if span is not None and "image" not in variables and not looks_wrapped(span, shape[1], np.array(periodic)):
            raise FormatError(
                f"{', '.join(files)}: the positions do not fit into one cell, as if they were unwrapped, and {group} "
                "has no images: ingest all files together into another store, or say `wrapped=True`"
            )
        matched_by = "line" if unmatched else attrs.get("matched_by")
        before = {"wrapped": attrs.get("wrapped", 0), "span": span, "matched_by": matched_by}
        pending = plain({"key": key, "code": code, "files": files, **before})
    stage = appending.begin(group, old + n_new, pending=pending)
    if begun:
        remove_torn(stage)
    count, _, _, more = _write(stage, stretches, blocks, old, progress)
    try:
        _check_unchanged(stretches)
    except FormatError:  # nothing of what was written can be used
        appending.take_back(group)
        raise
    lines += [*left_out(read, variables, str(group), more), *notes]
    known_of = {name: pending.get(name) for name in ("span", "matched_by")}
    set_attributes(stage / "position", wrapped=pending["wrapped"] + count, **known_of)
    sources = [*known.get("sources", []), *_entries(stretches)]
    appending.commit(group, sources=sources, key=key_of(sources, settings))
    return Ingestion(str(group), old + n_new, n_new, shape[1], count, tuple(skipped), (*lines, *repeated))


def _write(
    group: Path, stretches: list[Stretch], blocks: list[tasks.Block], first: int, progress: Progress | None
) -> tuple[int, np.ndarray | None, list[str], set[str]]:
    """Write the blocks that are missing; returns what `tasks.found` tells of all of them."""
    variables = ("position", "box", *stretches[0].index.written)
    missing = [block for block in blocks if not tasks.stored(group, block, variables)]
    tasks.run(group, tasks.plan(stretches, missing, first), len(blocks), progress)
    return tasks.found(group, blocks)


def _check_unchanged(stretches: list[Stretch]) -> None:
    for index in {stretch.index.path: stretch.index for stretch in stretches}.values():
        check_unchanged(index)


def _known(group: Path) -> dict[str, Any] | None:
    """Attributes of the trajectory that is there."""
    recover(group)
    if not is_group(group):
        return None
    appending.settle(group)
    found = attributes(group)
    if "status" not in found:
        raise StoreError(f"{group}: holds other groups, no trajectory: name a state point inside, such as {group}/KA")
    return found


def _begun(group: Path, known: Any, key: str, code: str, overwrite: bool, files: Any, settings: Any) -> bool:
    """Whether there is something to do; removes what is to be overwritten and refuses what must not be."""
    complete = known["status"] == COMPLETE
    same, by_us = known.get("key") == key, known.get("code", code) == code
    if same and not complete and not by_us and not overwrite:
        raise StoreError(f"{group}: {OTHER_READER}: say `overwrite=True`")
    if same and (by_us or complete) and not (complete and overwrite):
        if complete and not any(missing_chunks(info) for info in arrays(group)):
            return False
        set_attributes(group, status=WRITING)
        return True
    if not overwrite:
        state = f"{'frames' if complete else 'an interrupted ingestion'} of {differing(known, files, settings)}"
        raise StoreError(f"{group}: holds {state}: `append=True`, `overwrite=True`, or another name")
    remove_group(group)
    return True


def _entries(stretches: list[Stretch]) -> list[dict[str, Any]]:
    """What is noted of each file in the store, in the order of the frames."""
    found: dict[str, dict[str, Any]] = {}
    for stretch in stretches:
        index = stretch.index
        entry = found.setdefault(
            index.path,
            {
                "name": index.path,
                "sha256": index.sha256,
                "format": index.format,
                "n_frames": 0,
                "ingested": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )
        entry["n_frames"] += stretch.n_frames
    return list(found.values())


def _code(indexes: list[SourceIndex]) -> str:
    """The code that reads these files.

    It is no part of the key: a store of frames is an original, from which other results are made, and a reader that was
    rewritten is no reason to make all of them again. But frames of two readers are not put together in one call.
    """
    return digest("glassdask.io.sources", *sorted({FORMATS[index.format].module for index in indexes}))
