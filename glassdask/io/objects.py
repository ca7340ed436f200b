"""Trajectories from the objects of other packages: ASE, MDAnalysis, mdtraj, freud, OVITO; lazily where those are lazy.

Each function knows how to ask one package for one frame; everything else is common to all. Numbers are those of the
object, in its units. Cells become rows whatever they are there: freud and OVITO have them as columns.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask.utils import SerializableLock

from glassdask import schema
from glassdask.declarations import shown
from glassdask.errors import BoxError, FormatError, ParameterError, SchemaError
from glassdask.names import names_given
from glassdask.wrapping import looks_wrapped, span

BLOCK = 1 << 24  # bytes of positions that are read at a time
_LOCK = SerializableLock("glassdask.io.objects")  # readers of other packages have one current frame

PER_PARTICLE = ("position", "species", "image", "velocity", "diameter", "id")


@dataclass(frozen=True)
class Source:
    """Frames by their number: arguments of `glassdask.from_arrays` and, under "kept", further values of particles."""

    what: str
    n_frames: int
    frame: Callable[[int], dict[str, Any]]
    lazy: bool
    box: Any = None


def from_ase(images: Any, *, keep: Iterable[str] = (), box: Any = None) -> xr.Dataset:
    """A trajectory from ASE's Atoms, a list of them, or an opened ``ase.io.Trajectory``, which stays on disk.

    Parameters
    ----------
    images : Atoms, sequence of Atoms, or ase.io.Trajectory
        Species are the array ``species`` where there is one, else the chemical symbols. Axes that are not ``pbc`` are
        open. Momenta become velocities; the array ``id`` orders the particles.
    keep : iterable of str, optional
        Names of further ``Atoms.arrays``.
    box : array_like, optional
        Edge lengths or cell, where the atoms have none.

    Returns
    -------
    xarray.Dataset
        As `from_arrays` gives it; lazy by blocks of frames where `images` is a file.

    Raises
    ------
    FormatError, BoxError, SchemaError, PositionError

    Examples
    --------
    >>> import glassdask as gd
    >>> from ase import Atoms
    >>> t = gd.from_ase(Atoms("SiO", positions=[[1, 1, 1], [2, 2, 2]], cell=[4, 4, 4], pbc=True))
    >>> t["species"].values.tolist(), t["box"].values[0].diagonal().tolist()
    (['Si', 'O'], [4.0, 4.0, 4.0])
    """
    single = hasattr(images, "get_positions")
    if isinstance(images, (str, os.PathLike)):
        raise SchemaError(f"images: found the name of a file, {shown(images)}: read it with ase.io.read, or ingest it")
    if not single and not (hasattr(images, "__len__") and hasattr(images, "__getitem__")):
        images = list(images) if isinstance(images, Iterable) else images
        if not isinstance(images, list):
            raise SchemaError(f"images: expected ASE's Atoms or a list of them, found {type(images).__name__}")
    if not single and len(images) and not hasattr(images[0], "get_positions"):
        raise SchemaError(f"images: expected ASE's Atoms, found {shown(images[0])} among them")
    frames = [images] if single else images
    on_disk = hasattr(images, "backend") or hasattr(images, "_readers")  # ase.io.Trajectory of one file or several
    return _trajectory(Source("image", len(frames), partial(_ase, frames, _names(keep)), on_disk, box))


def _ase(images: Any, keep: tuple[str, ...], number: int) -> dict[str, Any]:
    return of_atoms(images[number], keep)


def of_atoms(atoms: Any, keep: tuple[str, ...]) -> dict[str, Any]:
    """What ASE's Atoms have, as arguments of `glassdask.from_arrays` and, under "kept", further arrays."""
    cell = np.asarray(atoms.cell[:], dtype=np.float64)
    return {
        "position": atoms.get_positions(),
        "species": atoms.arrays["species"] if "species" in atoms.arrays else atoms.get_chemical_symbols(),
        "box": cell if cell.any() else None,
        "periodic": np.asarray(atoms.pbc, dtype=bool),
        "velocity": atoms.get_velocities() if "momenta" in atoms.arrays else None,
        "id": atoms.arrays.get("id"),
        "image": atoms.arrays.get("image"),
        "diameter": atoms.arrays.get("diameter"),
        "origin": atoms.get_celldisp().ravel() if atoms.get_celldisp().any() else None,
        "kept": {name: _found(atoms.arrays, name, "array") for name in keep},
    }


def from_mdanalysis(group: Any, *, species: Any = None, keep: Iterable[str] = (), box: Any = None) -> xr.Dataset:
    """A trajectory from a Universe or an AtomGroup of MDAnalysis, read from its file when it is computed.

    Parameters
    ----------
    group : Universe or AtomGroup
        All frames of its trajectory, which is passed through once, for the boxes and times. It may be used meanwhile.
    species : str or array, optional
        The attribute of the atoms that names them, such as ``"elements"``, or the names themselves. By default
        ``types``, or ``names`` where there are no types.
    keep : iterable of str, optional
        Attributes of the group, such as ``"charges"``.
    box : array_like, optional
        Edge lengths or cell, where frames have no dimensions.

    Returns
    -------
    xarray.Dataset
        As `from_arrays` gives it, with lazy positions and velocities; single precision, as MDAnalysis has it, in
        double.

    Raises
    ------
    FormatError, BoxError, SchemaError, PositionError

    Examples
    --------
    >>> import glassdask as gd, MDAnalysis
    >>> universe = MDAnalysis.Universe.empty(2, trajectory=True)
    >>> universe.dimensions, universe.atoms.positions = [4, 4, 4, 90, 90, 90], [[1, 1, 1], [2, 2, 2]]
    >>> gd.from_mdanalysis(universe, species=["A", "B"])["box"].values[0].diagonal().tolist()
    [4.0, 4.0, 4.0]
    """
    atoms = getattr(group, "atoms", None)
    if atoms is None or not hasattr(group, "universe"):
        raise SchemaError(f"group: expected a Universe or an AtomGroup of MDAnalysis, found {type(group).__name__}")
    if species is None or isinstance(species, str):
        known = [name for name in ((species,) if species else ("types", "names")) if hasattr(atoms, name)]
        if not known:
            raise FormatError(f"the atoms have no {species or 'types and no names'}: give species=['A', 'B', ...]")
        species = getattr(atoms, known[0])
    names = names_given(species).astype(str)
    return _trajectory(
        Source("frame", len(group.universe.trajectory), partial(_mdanalysis, atoms, names, _names(keep)), True, box)
    )


def _mdanalysis(atoms: Any, species: np.ndarray, keep: tuple[str, ...], number: int) -> dict[str, Any]:
    from glassdask.io.mdtraj import cells

    trajectory = atoms.universe.trajectory
    here = trajectory.frame
    try:
        step = trajectory[number]
        sizes = None if step.dimensions is None else np.asarray(step.dimensions, dtype=np.float64)[None]
        cell = None if sizes is None else cells(sizes[:, :3], sizes[:, 3:])
        return {
            "position": atoms.positions.astype(np.float64),
            "species": species,
            "box": None if cell is None or not cell.any() else cell[0],
            "velocity": atoms.velocities.astype(np.float64) if step.has_velocities else None,
            "time": float(step.time),
            "step": step.data.get("step"),
            "kept": {name: np.array(_attribute(atoms, name)) for name in keep},
        }
    finally:
        trajectory[here]


def from_mdtraj(trajectory: Any, *, species: Any = "name", box: Any = None) -> xr.Dataset:
    """A trajectory from one of mdtraj, whose single precision and nanometres stay as they are.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        Of any topology.
    species : object, default "name"
        "name", "element", or the names of all particles.
    box : array_like, optional
        Edge lengths or cell, where it has no unit cell.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    BoxError, SchemaError, PositionError
    """
    if not hasattr(trajectory, "xyz") or not hasattr(trajectory, "topology"):
        raise SchemaError(f"trajectory: expected one of mdtraj, found {type(trajectory).__name__}")
    if isinstance(species, str):
        from glassdask.io.topology import atom_names

        if species not in ("name", "element"):
            raise ParameterError(f"species is '{species}', expected 'name', 'element', or names of all particles")
        species = atom_names(trajectory.topology.atoms, species)
    names = names_given(species).astype(str)
    return _trajectory(Source("frame", len(trajectory.xyz), partial(_mdtraj, trajectory, names), False, box))


def _mdtraj(trajectory: Any, species: np.ndarray, number: int) -> dict[str, Any]:
    from glassdask.io.mdtraj import cells

    lengths, angles = trajectory.unitcell_lengths, trajectory.unitcell_angles
    cell = None if lengths is None else cells(lengths[number : number + 1], angles[number : number + 1])
    return {
        "position": trajectory.xyz[number].astype(np.float64),
        "species": species,
        "box": None if cell is None else cell[0],
        "time": float(trajectory.time[number]),
    }


def from_freud(box: Any, points: Any = None, species: Any = None) -> xr.Dataset:
    """A trajectory from a box of freud and points in it, counted from its centre.

    Parameters
    ----------
    box : freud.box.Box, or one for each frame, or, without points, pairs of both as `to_freud` gives them
        Its matrix has the cell vectors as columns; here they are rows. Axes that are not periodic there are open here.
    points : array (particle, 3) or (frame, particle, 3)
        Of a two-dimensional box z is left out.
    species : array of str (particle,) or (frame, particle), optional
        By default all are "A".

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    SchemaError, BoxError, PositionError

    Examples
    --------
    >>> import freud, glassdask as gd
    >>> t = gd.from_freud(freud.box.Box(4, 4, 4, xy=0.5), [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    >>> t["box"].values[0].tolist()[1], t["position"].values[0, 0].tolist()
    ([2.0, 4.0, 0.0], [3.0, 2.0, 2.0])
    """
    if points is None:
        try:
            box, points = zip(*[(one, place) for one, place in box])
        except (TypeError, ValueError):
            raise SchemaError("no points: give them, or pairs of a freud.box.Box and points for each frame") from None
    array = schema.numbers("points", points).astype(np.float64)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[2] != 3:
        raise SchemaError(f"points have shape {array.shape}, expected (particle, 3) or (frame, particle, 3)")
    boxes = list(box) if isinstance(box, (list, tuple)) else [box] * len(array)
    if len(boxes) != len(array) or not all(hasattr(one, "to_matrix") and hasattr(one, "is2D") for one in boxes):
        raise BoxError(f"box: expected a freud.box.Box, or {len(array)} of them, one for each frame of the points")
    names = np.full(array.shape[1], "A") if species is None else names_given(species).astype(str)
    return _trajectory(Source("frame", len(array), partial(_freud, boxes, array, names), False))


def _freud(boxes: list[Any], points: np.ndarray, species: np.ndarray, number: int) -> dict[str, Any]:
    box, n_space = boxes[number], 2 if boxes[number].is2D else 3
    cell = np.asarray(box.to_matrix(), dtype=np.float64).T[:n_space, :n_space]
    return {
        "position": points[number, :, :n_space],
        "species": species[number] if species.ndim == 2 else species,
        "box": cell,
        "origin": -cell.sum(axis=0) / 2,
        "periodic": np.array(box.periodic, dtype=bool)[:n_space],
    }


def from_ovito(data: Any, *, keep: Iterable[str] = ()) -> xr.Dataset:
    """A trajectory from a Pipeline of OVITO, all frames of which are evaluated, or from a DataCollection.

    It is in memory: OVITO crashes when it is used from other threads than the first, as dask would. Larger files are
    read with `ingest`.

    Parameters
    ----------
    data : ovito.pipeline.Pipeline or ovito.data.DataCollection
        OVITO's cell has its vectors as columns; here they are rows, and its origin is kept. Particle types are named
        as in OVITO, or by their number. Identifiers, velocities, periodic images and radii are taken where they are
        there; radii of particles become `diameter`.
    keep : iterable of str, optional
        Names of further particle properties, such as ``"Charge"``.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    FormatError, BoxError, SchemaError, PositionError
    """
    if not hasattr(data, "particles") and not hasattr(data, "compute"):
        raise SchemaError(f"data: expected a Pipeline or a DataCollection of OVITO, found {type(data).__name__}")
    n_frames = data.num_frames if hasattr(data, "compute") else 1
    return _trajectory(Source("frame", n_frames, partial(_ovito, data, _names(keep)), False))


def _ovito(data: Any, keep: tuple[str, ...], number: int) -> dict[str, Any]:
    found = data.compute(number) if hasattr(data, "compute") else data
    particles, cell = found.particles, found.cell
    if particles is None or particles.count == 0:
        raise FormatError(f"frame {number}: no particles: leave the frame out")
    n_space = 2 if cell is not None and cell.is2D else 3

    def values(name: str, width: int | None = None) -> np.ndarray | None:
        return np.array(particles[name])[..., :width] if name in particles else None

    species: Any = np.full(particles.count, "1")
    if "Particle Type" in particles:
        kinds = particles["Particle Type"]
        names = {kind.id: kind.name or str(kind.id) for kind in kinds.types}
        ids, place = np.unique(np.asarray(kinds), return_inverse=True)
        species = np.array([names.get(int(kind), str(kind)) for kind in ids])[place]
    radius, matrix = values("Radius"), None if cell is None else np.asarray(cell, dtype=np.float64)
    return {
        "position": values("Position", n_space),
        "species": species,
        "box": None if matrix is None else matrix[:n_space, :n_space].T,
        "origin": None if matrix is None else matrix[:n_space, 3],
        "periodic": None if cell is None else np.array(cell.pbc, dtype=bool)[:n_space],
        "image": values("Periodic Image", n_space),
        "velocity": values("Velocity", n_space),
        "id": values("Particle Identifier"),
        "diameter": None if radius is None else 2.0 * radius,
        "step": found.attributes.get("Timestep"),
        "time": found.attributes.get("Time"),
        "kept": {name: np.array(_found(particles, name, "property")) for name in keep},
    }


def _names(keep: Iterable[str]) -> tuple[str, ...]:
    if isinstance(keep, str) or not all(isinstance(name, str) for name in keep):
        raise ParameterError(f"keep is {keep!r}, expected a list of names")
    return tuple(keep)


def _found(table: Any, name: str, kind: str) -> Any:
    if name not in table:
        raise FormatError(f"no {kind} '{name}' to keep: found {', '.join(sorted(map(str, table.keys())))}")
    return table[name]


def _attribute(atoms: Any, name: str) -> Any:
    try:
        return getattr(atoms, name)
    except AttributeError:
        raise FormatError(f"the atoms have no {name} to keep") from None


def _trajectory(source: Source) -> xr.Dataset:
    """All frames as a dataset, in memory or lazily by blocks; what is small is read at once."""
    if source.n_frames == 0:
        raise FormatError(f"no {source.what}: there is nothing to read")
    first = _checked(source, 0)
    size = max(1, BLOCK // first["position"].nbytes) if source.lazy else source.n_frames
    blocks = [(start, min(start + size, source.n_frames)) for start in range(0, source.n_frames, size)]
    parts: dict[str, list[np.ndarray]] = {}
    spans, wrapped, constant = [], 0, dict.fromkeys(("species", "diameter", *first["kept"]), True)
    flat = _flat(first)
    for start, stop in blocks:
        made = _block(source, start, stop, flat)
        whole = made["position"].values + np.einsum("fpa,fas->fps", made["image"].values, made["box"].values)
        spans.append(span(whole, made["box"].values))
        wrapped += made["position"].attrs["wrapped"]
        for name, values in _values(made).items():
            if name in constant:
                constant[name] &= bool((values == parts.get(name, [values])[0][0]).all())
            # of what is read again when it is computed, only its shape and the first frame
            large = source.lazy and name != "species" and made[name].dims[:2] == ("frame", "particle")
            parts.setdefault(name, []).append(values[:1] if large else values)
    variables: dict[str, Any] = {}
    tasks = [dask.delayed(_computed, pure=False)(source, start, stop, flat) for start, stop in blocks]
    for name, found in parts.items():
        dims = made[name].dims
        if constant.get(name):
            variables[name] = ("particle", *dims[dims.index("particle") + 1 :]), found[0][0]
        elif dims[:1] != ("frame",) and name != "species":
            variables[name] = dims, found[0]
        elif source.lazy and name != "species" and dims[:2] == ("frame", "particle"):
            pieces = [
                da.from_delayed(task[name], (stop - start, *found[0].shape[1:]), found[0].dtype)
                for task, (start, stop) in zip(tasks, blocks)
            ]
            variables[name] = dims, da.concatenate(pieces)
        else:
            variables[name] = ("frame", "particle") if name == "species" else dims, np.concatenate(found)
    bounds = np.stack([np.min(spans, axis=0)[0], np.max(spans, axis=0)[1]])
    periodic = variables["periodic"][1] if "periodic" in variables else None
    if periodic is not None and periodic.all():
        del variables["periodic"]
    if first.get("image") is None and looks_wrapped(bounds, len(first["position"]), periodic):
        del variables["image"]
    dataset = schema.assemble({name: variables[name][1] for name in schema.TRAJECTORY if name in variables})
    dataset = dataset.assign({name: variables[name] for name in first["kept"]})
    dataset["position"].attrs["wrapped"] = wrapped
    return schema.validate(dataset)


def _values(made: xr.Dataset) -> dict[str, np.ndarray]:
    """What is in a block, species of each frame."""
    n_frames, found = made.sizes["frame"], {str(name): made[name].values for name in made.variables}
    found["species"] = np.broadcast_to(found["species"], (n_frames, made.sizes["particle"]))
    return {name: values for name, values in found.items() if name not in ("space", "axis")}


def _computed(source: Source, start: int, stop: int, flat: bool) -> dict[str, np.ndarray]:
    return _values(_block(source, start, stop, flat))


def _checked(source: Source, number: int) -> dict[str, Any]:
    """A frame, its particles sorted by their ids, with a cell."""
    with _LOCK:
        frame = source.frame(number)
    where = f"{source.what} {number}"
    frame = {"kept": {}, **{name: value for name, value in frame.items() if value is not None}}
    frame["position"] = np.asarray(frame["position"], dtype=np.float64)
    if not len(frame["position"]):
        raise FormatError(f"{where}: no particles: leave it out")
    if "box" not in frame:
        if source.box is None:
            raise BoxError(f"{where} has no cell: give box=[edge lengths]")
        frame["box"] = schema.cell_matrix(source.box, 1, frame["position"].shape[1])[0]
    if "id" in frame:
        order = np.argsort(frame["id"], kind="stable")
        frame |= {name: np.asarray(frame[name])[order] for name in PER_PARTICLE if name in frame}
        frame["kept"] = {name: values[order] for name, values in frame["kept"].items()}
    return frame


def _block(source: Source, start: int, stop: int, flat: bool) -> xr.Dataset:
    """Some frames as a dataset in memory, with the images that wrapping finds, and diameters of each frame."""
    frames = [_checked(source, number) for number in range(start, stop)]
    first = frames[0]
    for number, frame in enumerate(frames, start):
        where, before = f"{source.what} {number}", f"{source.what} {start}"
        if set(frame) != set(first):
            raise FormatError(
                f"{where} has {', '.join(sorted(frame))}, {before} {', '.join(sorted(first))}: split them"
            )
        if len(frame["position"]) != len(first["position"]):
            found, expected = len(frame["position"]), len(first["position"])
            raise FormatError(f"{where}: {found} particles, {expected} in {before}: make a trajectory of each part")
        for name, what in (("id", "ids"), ("periodic", "periodic axes")):
            if name in first and not np.array_equal(frame[name], first[name]):
                raise FormatError(f"{where}: other {what} than {before}: make a trajectory of each part")
        if flat and not _flat(frame):
            raise FormatError(f"{where}: not all particles lie in the plane of the first frame: move one off it")
    stacked: dict[str, Any] = {
        name: np.stack([frame[name] for frame in frames]) for name in first if name not in ("kept", "id", "periodic")
    }
    stacked |= {name: first[name] for name in ("id", "periodic") if name in first}
    if flat:
        stacked |= {name: stacked[name][..., :2] for name in PLANAR if name in stacked}
        stacked["box"] = stacked["box"][:, :2, :2]
    image = stacked.pop("image", np.zeros(stacked["position"].shape, dtype=np.int32))
    made = schema.from_arrays(**stacked, image=image, box_vectors="rows")
    for name in first["kept"]:
        values = np.stack([frame["kept"][name] for frame in frames])
        made[name] = ("frame", "particle", *(f"{name}_component",) * (values.ndim - 2)), values
    return schema.validate(made)


PLANAR = ("position", "image", "velocity", "origin", "periodic")


def _flat(frame: dict[str, Any]) -> bool:
    """Whether all particles of three-dimensional positions lie in one plane, along which the cell is not tilted."""
    position, box = frame["position"], frame["box"]
    if position.shape[1] == 2 or len(position) == 1:
        return False
    return bool((position[:, 2] == position[0, 2]).all()) and not box[2, :2].any() and not box[:2, 2].any()
