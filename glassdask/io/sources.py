"""One way to read all formats: find the reader, survey a file, and give its frames checked, sorted and wrapped."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from glassdask import files, schema
from glassdask.declarations import converted, flags
from glassdask.errors import BoxError, FormatError, GlassdaskError, ParameterError, SpeciesError
from glassdask.io import reading
from glassdask.io.formats import FORMATS, find_format
from glassdask.io.frame import Frame, Survey
from glassdask.io.kept import Kept, check_names, described, fit_columns
from glassdask.io.roster import TOGETHER, OtherParticlesError, Roster
from glassdask.io.settings import checked_files, checked_settings
from glassdask.texts import unknown_values
from glassdask.wrapping import add_images, enclosing, span, wrap

OPTIONAL = ("origin", "image", "velocity", "energy", "diameter", "time", "step")
TOLD = (*OPTIONAL[1:], "id")  # what a frame either has or has not; an origin that is not given is zero

UNKNOWN_MARK = (-1, -1, -1)


@dataclass(frozen=True)
class SourceIndex:
    """What `scan` finds in a file: how to read it, and what all its frames have in common.

    `codes` are indices into `species`, the sorted names that the particles get in the trajectory; `renamed` gives them
    for the names in the file (empty: they are the same). `offsets` are the bytes of text before each frame, beginning
    with frame `first`. `told` is false where neither the file nor the user says whether its positions are wrapped.
    Along axes that are not `periodic` nothing is wrapped; with `forced` the user says so. `single` is true where the
    file has positions in single precision. `clock` are the steps of all frames, or else their times, as `clock_name`
    says; `unfinished` is true where the file ends within a frame that is not counted. With a `roster`, frames may have
    other particles than frame 0. `mark` is what `files.mark` said of the file when it was scanned. `kept` describes the
    columns that become variables, diameters among them; `unread` are the names of those that do not, `found` what frame
    0 has, of `TOLD` and of columns that are not read, and `notes` lines about what had to be understood.
    """

    path: str
    format: str
    sha256: str
    n_frames: int
    n_particles: int
    n_space: int
    variables: tuple[str, ...]
    species: tuple[str, ...]
    codes: np.ndarray
    id: np.ndarray | None
    random_access: bool
    offsets: np.ndarray | None = None
    first: int = 0
    told: bool = True
    wrapped: bool | None = None
    periodic: tuple[bool, ...] = (True, True, True)
    forced: bool = False
    clock: np.ndarray | None = None
    clock_name: str = ""
    unfinished: bool = False
    single: bool = False
    kept: Kept = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    found: frozenset[str] | None = None
    notes: tuple[str, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)
    dimension: int | None = None
    dt: float | None = None
    box: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    roster: Roster | None = None
    mark: tuple[int, ...] = ()

    @property
    def written(self) -> tuple[str, ...]:
        """What every frame has besides its positions and its box."""
        return (*self.variables, *(() if self.roster is None else self.roster.variables))


def scan(
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    species_names: dict[Any, str] | None = None,
    dimension: int | None = None,
    dt: float | None = None,
    box: Any = None,
    wrapped: bool | None = None,
    periodic: Any = None,
    ordered: bool = True,
    growing: bool = False,
    **options: Any,
) -> SourceIndex:
    """Survey a file in one streaming pass: number of frames and particles, variables, species, SHA-256.

    Parameters
    ----------
    path : path
        A file of one of `FORMATS`.
    format : str, optional
        Name of the format; otherwise the content of the file tells, or its suffix.
    species_names : dict, optional
        New names of the species, such as ``{1: "A", 2: "B"}``. All species of the file must be in it.
    dimension : {2, 3}, optional
        2 drops the z components. By default a file is two-dimensional if it has no z, or if all particles of every
        frame have the same z and the cell is not tilted along z.
    dt : float, optional
        Time of one step, for files that know the step and not the time.
    box : array, optional
        Edge lengths or cell vectors (rows), for files that have no box. Where the file has one, they must agree.
    wrapped : bool, optional
        Whether positions without images have been wrapped, for files that do not say: XYZ, NumPy archives, and what
        mdtraj reads. By default `ingest` takes them to be unwrapped where they do not all fit into one cell.
    periodic : str or sequence of bool, optional
        Along which axes the box repeats, such as "xy" or (True, True, False), whatever the file says of it. "" and
        False are a cluster, which then needs no box: it is the one around the particles of a frame.
    ordered : bool
        False says that frames are independent configurations: their steps and times are not read.
    growing : bool
        Whether a text file may end within a frame, which is then left out.
    **options : object
        For the reader, see its module: ``columns`` for all, ``keep`` for text, ``topology`` for mdtraj.

    Returns
    -------
    SourceIndex

    Raises
    ------
    FormatError, BoxError, PositionError, SpeciesError, ParameterError
        In one line that names file, frame and remedy. Only the first frame is parsed here, the others by `frames`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.xyz"
    >>> text = "2\\ncell:4.0,4.0,4.0 step:0\\nA 1.0 1.0 1.0\\nB 5.0 2.0 3.0\\n"
    >>> _ = path.write_text(text)
    >>> index = scan(path)
    >>> index.n_frames, index.n_particles, index.species, index.variables
    (1, 2, ('A', 'B'), ('step',))
    >>> [frame.position.tolist() for frame in frames(index)]
    [[[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]]]
    """
    flags(ordered=ordered, growing=growing)
    wrapped = converted(wrapped, bool | None, "wrapped")
    (path,) = checked_files([path])
    name = find_format(path, format)
    if FORMATS[name].together:
        raise FormatError(f"{path}: format {name} is read by glassdask.ingest, all files together")
    settings = checked_settings(
        path, name, species_names=species_names, dimension=dimension, dt=dt, box=box, periodic=periodic, **options
    )
    dimension, dt, box, options = settings.dimension, settings.dt, settings.box, settings.options
    try:
        size, mark = os.stat(path).st_size, files.mark(path)
        if not (FORMATS[name].folders and os.path.isdir(path)):
            with open(path, "rb"):
                pass
    except OSError as error:
        raise FormatError(files.unreadable(error)) from None
    if size == 0:
        raise FormatError(f"{path}: the file is empty: write it again or leave it out")
    survey = reading.survey(path, name, **options, **({"growing": growing} if FORMATS[name].text else {}))
    after = files.mark(path)
    if after != mark:  # it grows, or is written anew: its content tells when it has been read, see `check_unchanged`
        mark = (*UNKNOWN_MARK, after[-1])
    if survey.n_frames == 0:
        raise FormatError(f"{path}: the file has no frames: write it again or leave it out")
    with closing(reading.read(path, name, 0, 1, 0, **options)) as stream:
        first = next(stream)
    if len(first.position) == 0:
        raise FormatError(f"{path}, frame 0: no particles: write it again or leave it out")
    first = sorted_by_id(first, f"{path}, frame 0")
    if first.species_column is not None:  # all frames have their species from where the first one has them
        options = {**options, "columns": {**options.get("columns", {}), "species": first.species_column}}
    check_names(path, first.kept)
    sizes = {} if first.diameter is None else {"diameter": first.diameter}
    used = [first.species[code] for code in np.unique(first.codes)]
    renamed = _renamed(path, used, settings.species_names)
    index = SourceIndex(
        path=path,
        mark=mark,
        format=name,
        sha256=survey.sha256,
        n_frames=survey.n_frames,
        n_particles=len(first.position),
        n_space=dimension or _n_space(first),
        variables=(),
        species=tuple(sorted({renamed.get(name, name) for name in used})),
        codes=first.codes,
        id=first.id,
        random_access=survey.random_access,
        offsets=survey.offsets,
        renamed=renamed,
        dimension=dimension,
        dt=dt,
        box=box,
        unfinished=survey.unfinished,
        single=first.position.dtype == np.float32,
        told=first.told or first.image is not None or wrapped is not None,
        wrapped=wrapped,
        periodic=settings.periodic or (*first.periodic, True)[:3],
        forced=settings.periodic is not None,
        options=options,
        kept=described({**sizes, **first.kept}),
        unread=first.unread,
        notes=(*survey.notes, *first.notes),
    )
    index = replace(index, codes=_codes(first, index), periodic=index.periodic[: index.n_space])
    if not all(index.periodic) and not index.forced:
        line = f"the box repeats along {_axes(index.periodic)}, positions are not wrapped along the other axes"
        index = replace(index, notes=(*index.notes, f"{line}: if it repeats along all, say `periodic='xyz'`"))
    if dt is not None:
        _check_times(path, dt, survey, first)
    with reading.told(path, 0):
        first = prepare(first, index, 0)
    left_out = (*(() if index.told else ("image",)), *(() if ordered else ("step", "time")))
    if survey.moved and first.origin is None:
        first.origin = np.zeros(index.n_space)
    names = [name for name in (*OPTIONAL, *first.kept) if first.get(name) is not None and name not in left_out]
    index = replace(index, variables=tuple(names), found=_found(first))
    for clock_name, clock in (("step", survey.steps), ("time", survey.times)):
        if clock is not None and ordered:
            if not np.isfinite(clock).all():
                frame = int(np.argmin(np.isfinite(clock)))
                raise FormatError(
                    f"{path}, frame {frame}: the time is {clock[frame]}: repair it, or say `ordered=False`"
                )
            return replace(index, clock=clock, clock_name=clock_name)
    return index


def check_unchanged(index: SourceIndex) -> None:
    """Raise `FormatError` unless a file that was read is the one that was scanned, perhaps with more at its end."""
    path = index.path
    with suppress(OSError):  # removed, after it was read
        if not os.path.isfile(path) or files.mark(path) == index.mark:
            return
        if files.sha256(path, index.mark[-1]) != index.sha256:
            raise FormatError(f"{path}: was replaced or written anew while it was read: run the same command again")


def frames(
    index: SourceIndex, start: int = 0, stop: int | None = None, *, alone: bool = False
) -> Generator[Frame, None, None]:
    """Frames of a scanned file, one after the other, with memory for one of them.

    Particles are sorted by id where there are ids, species and number of particles are checked to be those of frame 0,
    or of the roster, by which particles are put in their rows;
    positions are finite and wrapped, `image` says from where. It is what wrapping has found where the file does not say
    whether its positions were wrapped: `span` tells (`glassdask.wrapping.looks_wrapped`). A box that does not begin at
    zero is refused where ``origin`` is not among the variables.

    Frames `alone` are compared with nothing: each has its own particles, species and origin.

    Raises
    ------
    FormatError, BoxError, PositionError, SpeciesError
    """
    flags(alone=alone)
    stop = index.n_frames if stop is None else stop
    offset = 0 if index.offsets is None else int(index.offsets[start - index.first])
    with closing(reading.read(index.path, index.format, start, stop, offset, **index.options)) as stream:
        for number, frame in enumerate(stream, start):
            with reading.told(index.path, number):
                frame = prepare(frame, index, number, alone=alone)
            if not alone and "origin" not in index.variables and frame.origin is not None and frame.origin.any():
                raise FormatError(
                    f"{index.path}, frame {number}: the box begins at {frame.origin.tolist()}, and where it began in "
                    "the frames before is not known: ingest all files together into another store"
                )
            yield frame


def prepare(frame: Frame, index: SourceIndex, number: int, *, alone: bool = False) -> Frame:
    """A frame as the trajectory has it, checked against what frame 0 of the file has, or against the roster."""
    where = f"{index.path}, frame {number}"
    if not alone and index.roster is None and len(frame.position) != index.n_particles:
        raise OtherParticlesError(
            f"{where}: {len(frame.position)} particles, {index.n_particles} in frame 0: {TOGETHER}"
        )
    if index.found is not None and (frame.id is not None) != ("id" in index.found):
        has, not_so = ("ids", "has none") if frame.id is not None else ("no ids", "has them")
        raise FormatError(f"{where}: {has}, and frame 0 {not_so}: write all frames with ids, or split the file")
    frame = sorted_by_id(_flat(frame, index, where), where)
    frame = _with_species(frame, index, where, alone)
    if index.id is not None and not alone and (frame.id is None or not np.array_equal(frame.id, index.id)):
        raise OtherParticlesError(f"{where}: the ids are not those of frame 0: {TOGETHER}")
    if frame.time is None and index.dt is not None and frame.step is not None:
        frame.time = frame.step * index.dt
    if "time" in index.variables and frame.time is not None and not np.isfinite(frame.time):
        raise FormatError(f"{where}: the time is {frame.time}: repair it, or say `ordered=False`")
    if not index.told or (frame.image is None and index.wrapped is False):
        frame.image = np.zeros(frame.position.shape, dtype=np.int32)
    if frame.origin is None and "origin" in index.variables:
        frame.origin = np.zeros(index.n_space)
    missing = [name for name in index.variables if frame.get(name) is None]
    if missing:
        raise FormatError(f"{where}: no {', '.join(missing)}, which frame 0 has: all frames must have the same columns")
    if index.found is not None:
        frame.more = _found(frame) - index.found
    fit_columns(frame, index.kept, index.variables, where)
    for name in ("velocity", "energy"):
        values = getattr(frame, name)
        if name in index.variables and not np.isfinite(values).all():
            particle = int(np.argwhere(~np.isfinite(values))[0, 0])
            raise FormatError(f"{where}, particle {particle}: {name} is {values[particle]}: repair or remove the frame")
    box = np.asarray(frame.box, dtype=np.float64)[None]
    position = np.asarray(frame.position, dtype=np.float64)[None]
    try:
        schema.check_box(box, number)
        schema.check_positions(position, number)
        if "diameter" in index.variables:
            schema.check_diameters(np.asarray(frame.diameter), f"frame {number}")
    except GlassdaskError as error:
        unhelpful = ", or say with present= which particles are there"
        raise type(error)(f"{index.path}, {str(error).removesuffix(unhelpful)}") from None
    if not index.told:
        frame.span = span(position, box)
    repeats = np.array(index.periodic)
    position, shift = wrap(position, box, where, None if repeats.all() else repeats)
    if frame.image is not None:
        frame.image = np.where(repeats, add_images(frame.image, shift[0], where), np.int32(0))
    frame.box, frame.position = box[0], position[0]
    frame.wrapped = int(shift.any(axis=-1).sum()) if shift.any() else 0
    return frame if index.roster is None or alone else index.roster.seated(frame, where)


def _found(frame: Frame) -> frozenset[str]:
    """What a frame has besides its positions, and what of it is not read."""
    return frozenset(frame.unread).union(name for name in TOLD if getattr(frame, name) is not None)


def _with_species(frame: Frame, index: SourceIndex, where: str, alone: bool) -> Frame:
    """The frame with the names and codes of the trajectory; its own names where it is `alone`."""
    if alone:
        used = [frame.species[code] for code in np.unique(frame.codes)]
        renamed = _renamed(where, used, index.renamed)
        return replace(frame, species=tuple(renamed.get(name, name) for name in frame.species))
    codes = _codes(frame, index)
    known = index.codes if index.roster is None else np.where(codes < 0, 0, codes)
    if not np.array_equal(codes, known):
        particle = int(np.argmax(codes != known))
        found = frame.species[frame.codes[particle]]
        name = index.renamed.get(found, found)
        if index.roster is not None:
            raise SpeciesError(f"{where}, particle {particle}: no species {name} before: {TOGETHER}")
        raise OtherParticlesError(
            f"{where}, particle {particle}: species is {name}, in frame 0 it was "
            f"{index.species[index.codes[particle]]}: {TOGETHER}"
        )
    return replace(frame, species=index.species, codes=codes)


def _n_space(frame: Frame) -> int:
    """2 where the frame has no z, or all particles lie in one plane of a cell that is not tilted along z."""
    if frame.position.shape[1] == 2:
        return 2
    z = frame.position[:, 2]
    tilted = frame.box is not None and len(frame.box) == 3 and (frame.box[2, :2].any() or frame.box[:2, 2].any())
    return 2 if len(z) > 1 and (z == z[0]).all() and not tilted else 3


def _flat(frame: Frame, index: SourceIndex, where: str) -> Frame:
    """The frame in the dimension of the trajectory, with a box."""
    n_space = index.n_space
    if frame.position.shape[1] < n_space:
        raise FormatError(f"{where}: positions have no z, expected three dimensions: give `dimension=2`")
    periodic = index.periodic if index.forced else tuple(frame.periodic[:n_space])
    if periodic != index.periodic[:n_space]:
        raise FormatError(
            f"{where}: the box repeats along {_axes(periodic)}, in frame 0 along {_axes(index.periodic)}: split the "
            "file, or say along which axes it does, such as `periodic='xy'`"
        )
    box = frame.box
    if box is None and index.box is None and not any(periodic):
        lower, edges = enclosing(frame.position[None])
        frame, box = replace(frame, position=frame.position - lower, origin=lower), np.diag(edges)
    elif box is None:
        if index.box is None:
            seen = [note for note in frame.notes if "box" in note]
            example = ", ".join(["4.0"] * frame.position.shape[1])
            advice = f"give its edges, such as `box=[{example}]`, or say `periodic=''` where nothing repeats"
            raise FormatError(f"{where}: no box in the file: {'; '.join(seen) or advice}")
        box = index.box
    elif index.box is not None:
        if len(index.box) < n_space:
            raise BoxError(
                f"{where}: the box that you give has {len(index.box)} dimensions, the file {n_space}: leave the box out"
            )
        d = min(len(box), len(index.box))
        if not np.allclose(box[:d, :d], index.box[:d, :d], rtol=1e-6, atol=1e-6 * np.abs(box).max()):
            raise BoxError(
                f"{where}: the box in the file is {box.tolist()}, you say {index.box.tolist()}: leave the box out"
            )
    if box.ndim != 2 or len(box) < n_space:
        raise FormatError(
            f"{where}: the box has shape {box.shape}, expected {n_space} cell vectors: give `dimension=2` or "
            "`dimension=3`"
        )
    if n_space == 2 and frame.position.shape[1] == 3:
        z = frame.position[:, 2]
        if index.dimension is None and not (z == z[0]).all():
            raise FormatError(
                f"{where}: z differs, all z of frame 0 are equal: give `dimension=3` (or `dimension=2` to drop z)"
            )
        if len(box) == 3 and (box[2, :2].any() or box[:2, 2].any()):
            raise FormatError(f"{where}: the cell is tilted along z, it cannot be read in two dimensions")
    vectors = {
        name: value[:, :n_space]
        for name in ("position", "image", "velocity")
        if (value := getattr(frame, name)) is not None
    }
    origin = None if frame.origin is None else np.asarray(frame.origin, dtype=np.float64)[:n_space]
    return replace(frame, box=box[:n_space, :n_space], origin=origin, **vectors)


def _check_times(path: str, dt: float, survey: Survey, first: Frame) -> None:
    """Raise `ParameterError` where the file has times that are not those of its steps with this length."""
    steps, times = survey.steps, survey.times
    if steps is None or times is None:
        if first.step is None or first.time is None:
            return
        steps, times = np.array([first.step]), np.array([first.time])
    wrong = np.abs(times - dt * steps) > 1e-4 * np.abs(times)
    if wrong.any():
        k = int(np.argmax(wrong))
        raise ParameterError(
            f"{path}, frame {k}: the time in the file is {times[k]}, with the `dt={dt}` that you say step {steps[k]} "
            f"would be at {dt * steps[k]:.6g}: leave dt out"
        )


def _axes(periodic: tuple[bool, ...]) -> str:
    return " ".join(axis for axis, repeats in zip("xyz", periodic) if repeats) or "no axis"


def sorted_by_id(frame: Frame, where: str) -> Frame:
    """The frame with its particles in the order of their ids, if it has any."""
    if frame.id is None or (np.diff(frame.id) > 0).all():
        return frame
    order = np.argsort(frame.id, kind="stable")
    same = np.diff(frame.id[order]) == 0
    if same.any():
        raise FormatError(f"{where}: id {frame.id[order][:-1][same][0]} is there twice: the file is damaged")
    return frame.taken(lambda values: values[order])


def _codes(frame: Frame, index: SourceIndex) -> np.ndarray:
    """Codes of the particles of a frame as indices into `index.species`, -1 for a species that frame 0 has not."""
    names = [index.renamed.get(name, "") if index.renamed else name for name in frame.species]
    known = {name: code for code, name in enumerate(index.species)}
    codes: np.ndarray = np.array([known.get(name, -1) for name in names], dtype=schema.CODE)[frame.codes]
    return codes


def _renamed(path: str, found: list[str], given: dict[str, str]) -> dict[str, str]:
    unknown = [name for name in found if given and name not in given]
    if unknown:
        raise SpeciesError(
            f"{path}: the species are {', '.join(sorted(found))}, and only {', '.join(given)} are given names: name "
            f"all, also {unknown_values('species_names', sorted(unknown))}"
        )
    return given
