"""NumPy archives (.npz): position, species, box and optional origin, time, step, velocity, energy, image, id.

Shapes are those of `glassdask.from_arrays`. The arrays of a value per particle are read frame by frame from inside the
archive. ``columns={"position": "positions"}`` names arrays that are called otherwise, ``keep=["q"]`` further ones of
all particles, in each frame or constant; ``diameter`` or ``radius`` becomes the diameter.
"""

from __future__ import annotations

import difflib
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from glassdask import schema
from glassdask.errors import FormatError, GlassdaskError, brief
from glassdask.files import sha256
from glassdask.io.frame import Frame, Survey, encode
from glassdask.io.tables import SIZES, further
from glassdask.names import names_given
from glassdask.variables import TRAJECTORY

MOST = 12  # names of arrays that an error lists
SKIP = 1 << 20


class Frames:
    """One array of an archive, a frame at a time; an array without the frame dimension is one frame."""

    def __init__(self, stream: Any, name: str, rank: int):
        self._stream = stream
        version = np.lib.format.read_magic(self._stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, self.dtype = header(self._stream)
        if self.dtype.hasobject:
            raise FormatError(f"array '{name}' has Python objects: save numbers, {name}.astype(float)")
        if fortran and len(shape) > 1:
            raise FormatError(f"array '{name}' has Fortran order: save numpy.ascontiguousarray({name})")
        if len(shape) not in (rank - 1, rank):
            raise FormatError(f"array '{name}' has shape {shape}, expected {rank} dimensions (the first is frame)")
        self.shape = shape if len(shape) == rank else (1, *shape)
        self._bytes = self.dtype.itemsize * int(np.prod(self.shape[1:]))

    def skip(self, n_frames: int) -> None:
        """Pass over frames."""
        left = n_frames * self._bytes
        while left > 0:
            left -= len(self._read(min(left, SKIP)))

    def next(self) -> np.ndarray:
        """The next frame."""
        return np.frombuffer(self._read(self._bytes), dtype=self.dtype).reshape(self.shape[1:])

    def _read(self, count: int) -> bytes:
        data: bytes = self._stream.read(count)
        if len(data) < count:
            raise FormatError("truncated: copy the file again")
        return data


def survey(path: str, columns: dict[str, str] | None = None, keep: Sequence[str] = ()) -> Survey:
    """Count the frames of an archive."""
    digest = sha256(path)
    with _opened(path) as (archive, stack):
        names = _names(archive, columns)
        name = names["position"]
        n_frames = Frames(stack.enter_context(archive.open(f"{name}.npy")), name, 3).shape[0]
        with np.load(path, allow_pickle=False) as arrays:
            found = {role: _clock(role, arrays[names[role]]) for role in ("step", "time") if role in names}
    clocks = {f"{role}s": values for role, values in found.items() if len(values) == n_frames}
    return Survey(n_frames, digest, None, False, steps=clocks.get("steps"), times=clocks.get("times"))


def read(
    path: str, start: int, stop: int, offset: int = 0, columns: dict[str, str] | None = None, keep: Sequence[str] = ()
) -> Generator[Frame, None, None]:
    """Frames of an archive."""
    with _opened(path) as (archive, stack):
        names = _names(archive, columns)
        ranks = {"position": 3, "velocity": 3, "image": 3, "energy": 2}
        streams = {
            role: Frames(stack.enter_context(archive.open(f"{names[role]}.npy")), names[role], rank)
            for role, rank in ranks.items()
            if role in names
        }
        n_frames, n_particles, n_space = streams["position"].shape
        for role, stream in streams.items():
            if stream.shape[:2] != (n_frames, n_particles):
                raise FormatError(
                    f"'{names[role]}' has shape {stream.shape}, expected ({n_frames}, {n_particles}, ...)"
                )
        with np.load(path, allow_pickle=False) as arrays:
            small = {
                role: arrays[name] for role, name in names.items() if role in ("box", "origin", "time", "step", "id")
            }
            name = names["species"]
            try:
                species = arrays[name]
            except ValueError:
                raise FormatError(f"array '{name}' has Python objects: save text, {name}.astype(str)") from None
            species = names_given(species)
        for role in small.keys() & {"time", "step"}:
            small[role] = _clock(role, small[role])
            if small[role].size != n_frames:
                raise FormatError(f"'{names[role]}' has shape {small[role].shape}, expected ({n_frames},)")
        if species.ndim == 1:
            species = species[None]
        if species.shape not in ((1, n_particles), (n_frames, n_particles)):
            raise FormatError(f"'{names['species']}' has shape {species.shape}, expected ({n_particles},)")
        box = schema.cell_matrix(small["box"], n_frames, n_space) if "box" in small else None
        origin = small.get("origin")
        if origin is not None and origin.dtype.kind in "US":  # a text that says where the data are from
            origin = None
        if origin is not None:
            origin = schema.numbers("origin", origin)
            if origin.shape not in ((n_space,), (n_frames, n_space)):
                raise FormatError(f"'{names['origin']}' has shape {origin.shape}, expected ({n_frames}, {n_space})")
            origin = np.broadcast_to(origin, (n_frames, n_space)).astype(np.float64)
        if "id" in small:
            small["id"] = schema.numbers("id", small["id"], "i")
            if small["id"].shape != (n_particles,):
                raise FormatError(f"'{names['id']}' has shape {small['id'].shape}, expected ({n_particles},)")
        rest = _others(archive, stack, [*names.values()], keep, (n_frames, n_particles))
        for stream in (*streams.values(), *(found for found in rest.values() if isinstance(found, Frames))):
            stream.skip(start)
        table: list[str | int] = []
        codes = encode(species[0], table)
        for number in range(start, stop):
            if number and len(species) > 1:
                codes = encode(species[number], table)
            values: dict[str, Any] = {
                role: schema.numbers(role, stream.next(), TRAJECTORY[role].kind) for role, stream in streams.items()
            }
            here = {name: found.next() if isinstance(found, Frames) else found for name, found in rest.items()}
            values |= further(list(here), keep, here.__getitem__)
            if origin is not None:
                values["position"] = values["position"] - origin[number]
            yield Frame(
                species=tuple(str(name) for name in table),
                codes=codes,
                box=None if box is None else box[number],
                origin=None if origin is None else origin[number],
                time=float(small["time"].flat[number]) if "time" in small else None,
                step=int(small["step"].flat[number]) if "step" in small else None,
                id=small.get("id"),
                told=False,
                **values,
            )


def _others(
    archive: zipfile.ZipFile, stack: ExitStack, used: list[str], keep: Sequence[str], shape: tuple[int, int]
) -> dict[str, Any]:
    """Further arrays of numbers of all particles: constant ones, and those of every frame."""
    found: dict[str, Any] = {}
    for name in (entry.removesuffix(".npy") for entry in archive.namelist()):
        if name in used and name not in SIZES:
            continue
        with archive.open(f"{name}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            size, fortran, dtype = header(stream)
            if dtype.kind not in "fiub" or (fortran and len(size) > 1):
                continue
            if size[:1] == shape[1:] and len(size) < 3 and size[:2] != shape:
                values = np.frombuffer(stream.read(), dtype=dtype)
                found[name] = values.reshape(size)
        if size[:2] == shape and len(size) < 4:
            found[name] = Frames(stack.enter_context(archive.open(f"{name}.npy")), name, len(size))
    return found


def _clock(role: str, values: np.ndarray) -> np.ndarray:
    return schema.numbers(role, values.reshape(-1), TRAJECTORY[role].kind)


def _names(archive: zipfile.ZipFile, columns: dict[str, str] | None) -> dict[str, str]:
    found = [name.removesuffix(".npy") for name in archive.namelist()]
    names = {role: (columns or {}).get(role, role) for role in TRAJECTORY}
    missing = [
        name for role, name in names.items() if name not in found and role in {"position", "species", *(columns or {})}
    ]
    if missing:
        role = next(role for role, name in names.items() if name in missing)
        near = difflib.get_close_matches(role, [name for name in found if name not in names.values()], 1, 0.0)
        remedy = f"; name them, such as `columns={{{role!r}: {near[0]!r}}}`" if near else ": write it with them"
        more = f" and {len(found) - MOST} more" if len(found) > MOST else ""
        raise FormatError(f"no array {', '.join(missing)}: found {', '.join(sorted(found)[:MOST])}{more}{remedy}")
    return {role: name for role, name in names.items() if name in found}


@contextmanager
def _opened(path: str) -> Iterator[tuple[zipfile.ZipFile, ExitStack]]:
    """The archive, and a stack for the arrays that are opened in it: each keeps the file open until it is closed."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(zipfile.ZipFile(path)), stack
        except GlassdaskError as error:
            raise type(error)(f"{path}: {error}") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
            raise FormatError(f"{path}: not a readable NumPy archive ({brief(error)}): save or copy it again") from None
