"""H5MD files (P. de Buyl et al., Comput. Phys. Commun. 185, 1546 (2014)), and ZarrMD: the same tree inside Zarr.

Of the particles: ``position``, ``species``, ``box/edges``, and where they are there ``image``, ``velocity``, ``id`` and
``potential_energy``; each fixed or in time, with steps and times as arrays or as (increment, offset). Species,
ids, cells, charges, masses and diameters may be written more rarely than the positions, and then stay until they are
written again; what else is not there at every step of the positions is not read, and told. Numbers are those of the
file, in whatever units; cell vectors are rows, as the format has them. Where the box begins H5MD does not say; files of
ours have ``box/origin``.

``group=`` names one of several groups of particles, ``columns={"energy": "pe"}`` an element that is called otherwise,
``topology=`` or ``species=`` the species where the file has none (MDAnalysis writes none), ``keep=["charge"]`` further
elements to keep.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from glassdask.errors import FormatError, GlassdaskError, brief, install
from glassdask.files import sha256
from glassdask.io.frame import Frame, Survey, encode
from glassdask.io.tables import further
from glassdask.io.topology import species_of

ELEMENTS = {
    "position": "position",
    "species": "species",
    "image": "image",
    "velocity": "velocity",
    "energy": "potential_energy",
    "id": "id",
}


# What may be written more rarely than the positions: it stays until it is written again.
HELD = ("species", "id", "box/edges", "box/origin", "charge", "mass", "diameter", "radius")
OPTIONAL = ("image", "velocity", "energy")


class Element:
    """An element of the particles: a fixed array, or one in time with its steps and times."""

    def __init__(self, found: Any, name: str):
        self.name = name
        self.timed = not hasattr(found, "shape")
        if self.timed and "value" not in found:
            raise FormatError(f"'{name}' has no 'value': the file is damaged, or its run was interrupted")
        self.value = found["value"] if self.timed else found
        self.step, self.time = (
            _clock(found, clock, self.value.shape[0]) if self.timed else None for clock in ("step", "time")
        )

    def aligned(self, position: Element) -> Callable[[int], np.ndarray]:
        """The values that count at a frame of the positions: those of its step, or of the last step before."""
        if not self.timed:
            values = np.asarray(self.value[()])
            return lambda frame: values
        count = position.value.shape[0] if position.timed else 1
        place = np.arange(count)
        if self.step is not None and position.step is not None and not np.array_equal(self.step, position.step):
            place = np.searchsorted(self.step, position.step, side="right") - 1
            lost = (place < 0) | ((self.step[place] != position.step) & (self.name not in HELD))
            if lost.any():
                raise FormatError(f"'{self.name}' is not there at step {position.step[lost][0]}, where 'position' is")
        elif count > self.value.shape[0]:
            raise FormatError(
                f"'{self.name}' has {self.value.shape[0]} frames, 'position' has {count}: the file is damaged, or its "
                "run was interrupted"
            )
        return lambda frame: np.asarray(self.value[int(place[frame])])


def survey(
    path: str,
    columns: dict[str, str] | None = None,
    keep: Sequence[str] = (),
    group: str | None = None,
    topology: str | None = None,
    species: list[str] | None = None,
) -> Survey:
    """Count the frames of a file, and see to it that the library can read it."""
    with _opened(path) as root:
        position = Element(_particles(root, group)["position"], "position")
        n_frames = position.value.shape[0] if position.timed else 1
        found = Survey(n_frames, _digest(path), None, True, steps=position.step, times=position.time)
        _walk(_particles(root, group))
    if n_frames:
        with closing(read(path, 0, 1, 0, columns, keep, group, topology, species)) as frames:
            next(frames)
    return found


def _walk(particles: Any) -> None:
    """Follow what the HDF5 library follows to read any frame, but for the values: on damaged files it may not return.

    Nothing of the kind is known of Zarr.
    """

    def visited(name: str, found: Any) -> None:
        list(found.attrs.values())
        if getattr(found, "chunks", None):
            found.id.chunk_iter(lambda chunk: None)

    if hasattr(particles, "visititems"):
        particles.visititems(visited)


def read(
    path: str,
    start: int,
    stop: int,
    offset: int = 0,
    columns: dict[str, str] | None = None,
    keep: Sequence[str] = (),
    group: str | None = None,
    topology: str | None = None,
    species: list[str] | None = None,
) -> Generator[Frame, None, None]:
    """Frames of a file."""
    with _opened(path) as root:
        particles = _particles(root, group)
        names = ELEMENTS | (columns or {})
        missing = [names[role] for role in columns or {} if names[role] not in particles]
        if missing:
            raise FormatError(f"no element {', '.join(missing)}: found {', '.join(sorted(particles))}")
        position = Element(particles["position"], "position")
        *_, n_particles, n_space = position.value.shape
        elements = {role: Element(particles[name], name) for role, name in names.items() if name in particles}
        values, notes = {}, []
        for role, element in elements.items():
            try:
                values[role] = element.aligned(position)
            except FormatError as error:
                if role not in OPTIONAL:
                    raise
                notes.append(f"{error}: it is not read")
        words = _words(elements["species"].value) if "species" in elements else {}
        if "species" not in elements:
            given = species_of(path, n_particles, topology, species)
            values["species"] = lambda frame: given
        box = particles.get("box", None)
        periodic = _periodic(box, n_space)
        edges = None
        if box is not None and "edges" in box:
            edges = Element(box["edges"], "box/edges").aligned(position)
        # glassdask's own: where the corner is from which the positions are counted
        corner = Element(box["origin"], "box/origin").aligned(position) if box is not None and "origin" in box else None
        others = sorted({*particles} - {"box", *names.values()})

        @cache
        def further_values(name: str) -> Callable[[int], np.ndarray]:
            return Element(particles[name], name).aligned(position)

        known: list[str | int] = []
        for number in range(start, stop):
            here = further(others, keep, lambda name, number=number: further_values(name)(number))  # type: ignore[misc]
            here["notes"] = (*notes, *here["notes"])
            found: dict[str, Any] = {role: value(number) for role, value in values.items()}
            for role, value in found.items():
                rank = 2 if role in ("position", "image", "velocity") else 1
                found[role] = value.reshape(len(value), -1)[:, 0] if value.ndim > rank == 1 else value  # ESPResSo
                if len(value) != n_particles:
                    raise FormatError(
                        f"frame {number}: '{names[role]}' has shape {value.shape}, of {n_particles} particles"
                    )
            for name, value in here["kept"].items():
                if value.shape[:1] != (n_particles,):
                    raise FormatError(f"'{name}' has shape {value.shape}, of {n_particles} particles: it is not kept")
            if "id" in found and (found["id"] < 0).any():  # places for particles that are not there
                there = found["id"] >= 0
                found = {role: value[there] for role, value in found.items()}
                here["kept"] = {name: value[there] for name, value in here["kept"].items()}
                here["diameter"] = None if here["diameter"] is None else here["diameter"][there]
            cell = None if edges is None else np.asarray(edges(number), dtype=np.float64)
            codes = encode(_texts(found.pop("species")), known)
            yield Frame(
                species=tuple(words.get(name, str(name)) for name in known),
                codes=codes,
                box=np.diag(cell) if cell is not None and cell.ndim == 1 else cell,
                periodic=periodic,
                time=None if position.time is None else float(position.time[number]),
                step=None if position.step is None else int(position.step[number]),
                origin=None if corner is None else np.asarray(corner(number), dtype=np.float64),
                told=False,
                **here,
                **found,
            )


def _clock(found: Any, name: str, n_frames: int) -> np.ndarray | None:
    """Steps or times of all frames: given for each, or as an increment from an offset."""
    if name not in found:
        return None
    values: np.ndarray = np.asarray(found[name][()])
    if values.ndim == 0:
        values = found[name].attrs.get("offset", 0) + np.arange(n_frames) * values
    if len(values) < n_frames:
        raise FormatError(f"{len(values)} values of '{name}' for {n_frames} frames: the file is damaged")
    return values[:n_frames]


def _particles(root: Any, name: str | None) -> Any:
    """The group of particles that was asked for, or the only one with positions."""
    groups = root.get("particles", {})
    found = sorted(key for key in groups if "position" in groups[key])
    if not found:
        raise FormatError(
            f"no particles with positions: found {', '.join(sorted(root)) or 'nothing'}; an HDF5 file of mdtraj is "
            "read with `format='mdtraj'`"
        )
    if name is None and len(found) == 1:
        return groups[found[0]]
    if name not in found:
        asked = "several groups of particles" if name is None else f"no particles '{name}'"
        raise FormatError(f"{asked}: found {', '.join(found)}: choose one, such as `group='{found[0]}'`")
    return groups[name]


def _periodic(box: Any, n_space: int) -> tuple[bool, ...]:
    given = None if box is None else box.attrs.get("boundary")
    if given is None:
        return (True,) * n_space
    words = [given] if isinstance(given, (str, bytes)) else np.asarray(given).tolist()
    texts = [word.decode() if isinstance(word, bytes) else str(word) for word in words]
    return tuple(text == "periodic" for text in (texts * n_space if len(texts) == 1 else texts))


def _words(value: Any) -> dict[str | int, str]:
    """Names of the numbers of an HDF5 enumeration."""
    try:
        import h5py
    except ImportError:  # Zarr has no enumerations
        return {}
    known = h5py.check_enum_dtype(value.dtype) if isinstance(value, h5py.Dataset) else None
    return {number: name for name, number in (known or {}).items()}


def _texts(labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind in "SO":
        return np.array([word.decode() if isinstance(word, bytes) else str(word) for word in labels.tolist()])
    return labels


def _digest(path: str) -> str:
    """SHA-256 of a file, or of the names and contents of all files of a folder."""
    if not Path(path).is_dir():
        return sha256(path)
    digest = hashlib.sha256()
    for file in sorted(found for found in Path(path).rglob("*") if found.is_file()):
        digest.update(f"{file.relative_to(path)} {sha256(file)}\n".encode())
    return digest.hexdigest()


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """The root of the tree; what goes wrong inside names the file."""
    try:
        if Path(path).is_dir():
            yield zarr.open_group(path, mode="r")
            return
        if zipfile.is_zipfile(path):
            with closing(zarr.storage.ZipStore(path, mode="r")) as store:
                yield zarr.open_group(store, mode="r")
            return
        try:
            import h5py
        except ImportError:
            raise FormatError(f"H5MD needs the package h5py: {install('io')}") from None
        with h5py.File(path, "r") as root:
            yield root
    except GlassdaskError as error:
        raise type(error)(f"{path}: {error}".replace(f"{path}: {path}", path)) from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
        raise FormatError(
            f"{path}: not a readable H5MD or ZarrMD file ({brief(error)}): write or copy it again"
        ) from None
