"""One way to read all formats: find the reader, survey a file, and give its frames checked, sorted and wrapped."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np

from glassdask import schema
from glassdask.declarations import Where, converted, flags, shown
from glassdask.errors import BoxError, FormatError, GlassdaskError, ParameterError, SpeciesError
from glassdask.io import reading
from glassdask.io.formats import FORMATS, find_format
from glassdask.io.frame import Frame
from glassdask.io.kept import Kept, check_names, described
from glassdask.io.roster import TOGETHER, OtherParticlesError, Roster
from glassdask.wrapping import add_images, span, wrap

LARGEST = sys.float_info.max
Name = Annotated[str, Where(bool, "a name such as 'A'")]


OPTIONAL = ("origin", "image", "velocity", "energy", "diameter", "time", "step")


@dataclass(frozen=True)
class SourceIndex:
    """What `scan` finds in a file: how to read it, and what all its frames have in common.

    `codes` are indices into `species`, the sorted names that the particles get in the trajectory; `renamed` gives them
    for the names in the file (empty: they are the same). `offsets` are the bytes of text before each frame, beginning
    with frame `first`. `told` is false where neither the file nor the user says whether its positions are wrapped.
    `clock` are the steps of all frames, or else their times, as `clock_name` says; `unfinished` is true where the file
    ends within a frame that is not counted. With a `roster`, frames may have other particles than frame 0. `kept`
    describes the columns that become variables, diameters among them; `unread` are the names of those that do not, and
    `notes` lines about what had to be understood.
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
    clock: np.ndarray | None = None
    clock_name: str = ""
    unfinished: bool = False
    kept: Kept = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)
    dimension: int | None = None
    dt: float | None = None
    box: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    roster: Roster | None = None

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
    dimension : 2 or 3, optional
        2 drops the z components. By default a file is two-dimensional if it has no z, or if all particles of every
        frame have the same z and the cell is not tilted along z.
    dt : float, optional
        Time of one step, for files that know the step and not the time.
    box : array, optional
        Edge lengths or cell vectors (rows), for files that have no box. Where the file has one, they must agree.
    wrapped : bool, optional
        Whether positions without images have been wrapped, for files that do not say: XYZ, NumPy archives, and what
        mdtraj reads. By default `ingest` takes them to be unwrapped where they do not all fit into one cell.
    ordered : bool
        False says that frames are independent configurations: their steps and times are not read.
    growing : bool
        Whether a text file may end within a frame, which is then left out.
    **options
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
    unknown = sorted(set(options) - set(FORMATS[name].options))
    if unknown:
        raise ParameterError(
            f"{path}: format {name} has no option {', '.join(unknown)}: it has {', '.join(FORMATS[name].options)}"
        )
    whole = isinstance(dimension, (int, np.integer)) and not isinstance(dimension, bool)
    if dimension is not None and not (whole and dimension in (2, 3)):
        raise ParameterError(f"dimension is {dimension!r}, expected 2 or 3")
    dimension = None if dimension is None else int(dimension)
    dt, box = _time_of_step(dt), _cell(box)
    options = {key: value for key, value in options.items() if value is not None}
    if "columns" in options:
        options["columns"] = _columns(options["columns"], path, FORMATS[name].columns)
    if "keep" in options:
        options["keep"] = _names_to_keep(options["keep"])
    species_names = _new_names(species_names)
    try:
        size = os.stat(path).st_size
        if not (FORMATS[name].folders and os.path.isdir(path)):
            with open(path, "rb"):
                pass
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}): check the path and its permissions") from None
    if size == 0:
        raise FormatError(f"{path}: the file is empty: write it again or leave it out")
    survey = reading.survey(path, name, **options, **({"growing": growing} if FORMATS[name].text else {}))
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
    renamed = _renamed(path, used, species_names)
    index = SourceIndex(
        path=path,
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
        told=first.told or first.image is not None or wrapped is not None,
        wrapped=wrapped,
        options=options,
        kept=described({**sizes, **first.kept}),
        unread=first.unread,
        notes=(*survey.notes, *first.notes),
    )
    index = replace(index, codes=_codes(first, index))
    with reading.told(path, 0):
        first = prepare(first, index, 0)
    left_out = (*(() if index.told else ("image",)), *(() if ordered else ("step", "time")))
    names = [name for name in (*OPTIONAL, *first.kept) if first.get(name) is not None and name not in left_out]
    index = replace(index, variables=tuple(names))
    for clock_name, clock in (("step", survey.steps), ("time", survey.times)):
        if clock is not None and ordered:
            if not np.isfinite(clock).all():
                frame = int(np.argmin(np.isfinite(clock)))
                raise FormatError(f"{path}, frame {frame}: the time is {clock[frame]}: repair it, or say ordered=false")
            return replace(index, clock=clock, clock_name=clock_name)
    return index


def _time_of_step(dt: Any) -> float | None:
    if dt is None:
        return None
    if isinstance(dt, bool) or not isinstance(dt, (int, float, np.integer, np.floating)) or not 0 < dt <= LARGEST:
        raise ParameterError(f"dt is {shown(dt)}, expected a positive number, the time of one step, such as 0.005")
    return float(dt)


def checked_files(paths: Any) -> list[str]:
    """A path, or paths, of files as text, or `ParameterError` where one is none."""
    one = isinstance(paths, (str, bytes, os.PathLike)) or getattr(paths, "ndim", 1) == 0
    given = [paths] if one or not isinstance(paths, Iterable) else list(paths)
    for path in given:
        if not isinstance(path, (str, os.PathLike)):
            raise ParameterError(f"expected the path of a file, found {shown(path)}: give text or a pathlib.Path")
    return [os.fspath(path) for path in given]


def _columns(columns: Any, path: str, known: tuple[str, ...] | None) -> dict[str, str]:
    """Names of columns by variable, of variables whose columns the reader looks up."""
    given: dict[str, str] = converted(columns, dict[str, str], "columns")
    unknown = [variable for variable in given if known is not None and variable not in known]
    if unknown:
        raise ParameterError(
            f"{path}: columns has {', '.join(unknown)}, expected some of {', '.join(known or ())}: give "
            "columns={variable: name in the file}"
        )
    return given


def _names_to_keep(keep: Any) -> tuple[str, ...]:
    """Names of columns, each of them once."""
    names = [keep] if isinstance(keep, str) else keep
    return tuple(dict.fromkeys(converted(list(names) if isinstance(names, tuple) else names, list[str], "keep")))


def _new_names(species_names: Any) -> dict[str, str]:
    if species_names is None:
        return {}
    if not isinstance(species_names, Mapping):
        raise ParameterError(
            f"species_names: expected a table such as {{1: 'A', 2: 'B'}}, found {shown(species_names)}"
        )
    return {str(key): converted(value, Name, f"species_names.{key}") for key, value in species_names.items()}


def _cell(box: Any) -> np.ndarray | None:
    """The cell vectors, from edge lengths too."""
    if box is None:
        return None
    try:
        array = schema.numbers("box", box).astype(np.float64)
    except GlassdaskError:
        raise BoxError(f"box is {shown(box)}, expected two or three edge lengths, or cell vectors as rows") from None
    if array.shape not in ((2,), (3,), (2, 2), (3, 3)):
        raise BoxError(f"box has shape {array.shape}, expected two or three edge lengths, or cell vectors as rows")
    cell = np.diag(array) if array.ndim == 1 else array
    schema.check_box(cell[None])
    return cell


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
    frame = sorted_by_id(_flat(frame, index, where), where)
    frame = _with_species(frame, index, where, alone)
    if index.id is not None and not alone and (frame.id is None or not np.array_equal(frame.id, index.id)):
        raise OtherParticlesError(f"{where}: the ids are not those of frame 0: {TOGETHER}")
    if frame.time is None and index.dt is not None and frame.step is not None:
        frame.time = frame.step * index.dt
    if "time" in index.variables and frame.time is not None and not np.isfinite(frame.time):
        raise FormatError(f"{where}: the time is {frame.time}: repair it, or say ordered=false")
    if not index.told or (frame.image is None and index.wrapped is False):
        frame.image = np.zeros(frame.position.shape, dtype=np.int32)
    if frame.origin is None and "origin" in index.variables:
        frame.origin = np.zeros(index.n_space)
    missing = [name for name in index.variables if frame.get(name) is None]
    if missing:
        raise FormatError(f"{where}: no {', '.join(missing)}, which frame 0 has: all frames must have the same columns")
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
    except GlassdaskError as error:
        raise type(error)(f"{index.path}, {error}") from None
    if not index.told:
        frame.span = span(position, box)
    position, shift = wrap(position, box, where)
    if frame.image is not None:
        frame.image = add_images(frame.image, shift[0], where)
    frame.box, frame.position = box[0], position[0]
    frame.wrapped = int(shift.any(axis=-1).sum()) if shift.any() else 0
    return frame if index.roster is None or alone else index.roster.seated(frame, where)


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
        raise FormatError(f"{where}: positions have no z, expected three dimensions: give dimension=2")
    box = frame.box
    if box is None:
        if index.box is None:
            seen = [note for note in frame.notes if "box" in note]
            example = ", ".join(["4.0"] * frame.position.shape[1])
            raise FormatError(
                f"{where}: no box in the file: {'; '.join(seen) or f'give its edges, such as `box=[{example}]`'}"
            )
        box = index.box
    elif index.box is not None:
        if len(index.box) < n_space:
            raise BoxError(f"{where}: box= has {len(index.box)} dimensions, the file {n_space}: leave out box=")
        d = min(len(box), len(index.box))
        if not np.allclose(box[:d, :d], index.box[:d, :d], rtol=1e-6, atol=1e-6 * np.abs(box).max()):
            raise BoxError(
                f"{where}: the box in the file is {box.tolist()}, box= says {index.box.tolist()}: leave out box="
            )
    if box.ndim != 2 or len(box) < n_space:
        raise FormatError(
            f"{where}: the box has shape {box.shape}, expected {n_space} cell vectors: give dimension=2 or 3"
        )
    if not all(frame.periodic[:n_space]):
        raise FormatError(
            f"{where}: boundaries along {', '.join('xyz'[k] for k in range(n_space) if not frame.periodic[k])} are not "
            "periodic: glassdask needs a periodic box, run it with boundary p"
        )
    if n_space == 2 and frame.position.shape[1] == 3:
        z = frame.position[:, 2]
        if index.dimension is None and not (z == z[0]).all():
            raise FormatError(f"{where}: z differs, all z of frame 0 are equal: give dimension=3 (or 2 to drop z)")
        if len(box) == 3 and (box[2, :2].any() or box[:2, 2].any()):
            raise FormatError(f"{where}: the cell is tilted along z, it cannot be read in two dimensions")
    vectors = {
        name: value[:, :n_space]
        for name in ("position", "image", "velocity")
        if (value := getattr(frame, name)) is not None
    }
    origin = None if frame.origin is None else np.asarray(frame.origin, dtype=np.float64)[:n_space]
    return replace(frame, box=box[:n_space, :n_space], origin=origin, **vectors)


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
            f"{path}: species_names has no name for {', '.join(sorted(unknown))}: the file has "
            f"{', '.join(sorted(found))}, named are {', '.join(given)}"
        )
    return given
