"""Trajectories into files of other programs, with whatever is known of every particle as columns."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import flags, shown
from glassdask.errors import ParameterError, StoreError
from glassdask.files import check_links, one_line, replacing
from glassdask.io.columns import columns_of, labels_of
from glassdask.io.writers.formats import Writer, writer_of
from glassdask.io.writers.sheet import OWN, Sheet
from glassdask.io.writers.text import compressing
from glassdask.remote import place
from glassdask.schema import NOTHING, kept_variables, validate
from glassdask.store.progress import Progress
from glassdask.store.reading import open_trajectory
from glassdask.variables import TRAJECTORY

# Names that readers, of this package and others, take for what a trajectory is, whatever is in the column.
MEANT = frozenset({"position", "species", "box", "origin", "image", "velocity", "time", "step", "id", "periodic",
                   "present", "frame", "particle"})  # fmt: skip


@dataclass(frozen=True)
class Export:
    """What `export` wrote; `notes` are lines about what the file has not, or not as it was."""

    path: str
    format: str
    n_frames: int
    n_particles: int
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        line = f"{self.path}: {self.n_frames} frame{'s' * (self.n_frames != 1)} of {self.n_particles} particles"
        if self.columns:
            line += f", with {', '.join(self.columns)}"
        return "\n".join([line, *self.notes])


@one_line
def export(
    source: str | os.PathLike[str] | xr.Dataset,
    path: str | os.PathLike[str],
    *,
    columns: Any = (),
    frames: Any = None,
    format: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Export:
    """Write a trajectory as a file that other programs read, with columns of your own; memory holds some frames.

    Parameters
    ----------
    source : path or Dataset
        A store, or a trajectory in memory or lazy.
    path : path
        The suffix tells the format: ``.extxyz``, ``.lammpstrj``, ``.data`` (one frame), ``.gsd``, ``.h5md``, ``.csv``,
        ``.parquet``; of text also with ``.gz``, ``.zst``, ``.bz2`` or ``.xz``. The file appears when it is whole.
    columns : str, xarray.DataArray, list or mapping of them
        What is written beside positions, species, and the images, velocities, energies, diameters and ids that there
        are: variables of the trajectory, descriptors (``"sbo"``) and reductions (``"reductions/sbo"``) of its store, or
        any array over particles and perhaps frames. What has features becomes columns named by their labels: sbo_1,
        sbo_2.
    frames : slice, int or list of int, optional
        Which frames, as for a list of Python.
    format : str, optional
        Name of the format where the suffix does not tell: xyz, lammps, lammps_data, gsd, h5md, csv, parquet.
    overwrite : bool
        Replace the file.
    progress : callable, optional
        Called with the number of frames that are written and of all frames.

    Returns
    -------
    Export
        Printed, it says what was written, and what the format cannot hold.

    Raises
    ------
    ParameterError, SchemaError
        There is no such column or frame, or values are of other frames or particles.
    FormatError
        The suffix is of no format that is written.
    StoreError
        The file exists, or cannot be written.
    MissingPackageError
        The format needs a package; the line says how to install it.

    Notes
    -----
    Positions are counted from zero, as in the file that was read, not from the corner of the box, but for CSV and H5MD,
    which do not place it. Numbers in text are
    the shortest that are read as the same double. What is read back is bit-equal but for positions in a box that does
    not begin at zero, from which its corner is subtracted again, for edges of tilted or moved boxes in files of LAMMPS,
    which have bounds, and for GSD, which has single precision. Particles that are absent are left out. NaN is written
    as ``nan``.

    Examples
    --------
    >>> import tempfile, numpy as np, glassdask as gd
    >>> folder = tempfile.TemporaryDirectory()
    >>> t = gd.from_arrays([[[0.5, 0.5], [1.5, 0.5]]], species=["A", "B"], box=[2.0, 2.0], step=[10])
    >>> charge = xr.DataArray([1.0, -0.5], dims="particle", name="charge")
    >>> export(t, folder.name + "/t.lammpstrj", columns=charge).columns
    ('charge',)
    >>> print(Path(folder.name, "t.lammpstrj").read_text())
    ITEM: TIMESTEP
    10
    ITEM: NUMBER OF ATOMS
    2
    ITEM: BOX BOUNDS pp pp pp
    0.0 2.0
    0.0 2.0
    -0.5 0.5
    ITEM: ATOMS id type element x y z charge
    1 1 A 0.5 0.5 0 1
    2 2 B 1.5 0.5 0 -0.5
    >>> folder.cleanup()
    """
    flags(overwrite=overwrite)
    target = _target(path, overwrite)
    name, writer = writer_of(target, format)
    trajectory = validate(source) if isinstance(source, xr.Dataset) else open_trajectory(source)
    chosen = _chosen(frames, trajectory.sizes["frame"])
    found = columns_of(trajectory, _beside(trajectory, columns))
    if found and not writer.columns:
        raise ParameterError(f"{target}: {name} has no place for columns ({', '.join(found)}): leave them out")
    if writer.diameter and "diameter" in trajectory:
        sizes = trajectory["diameter"]
        found = {writer.diameter: sizes / 2 if writer.diameter == "radius" else sizes, **found}
    named = _named(found, writer, str(target))
    cut = {label: v.isel(frame=chosen) if "frame" in v.dims else v for label, v in named.items()}
    sheet = Sheet(trajectory.isel(frame=chosen), cut, str(target), progress)
    with replacing(target, new=not overwrite) as stream, compressing(stream, target.name.lower()) as out:
        writer.write(sheet, out)
    notes = tuple(f"{os.fspath(path)}: {note}" for note in _notes(sheet, found, name, writer))
    return Export(os.fspath(path), name, sheet.n_frames, sheet.n_particles, tuple(named), notes)


def _target(path: Any, overwrite: bool) -> Path:
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ParameterError(f"expected the path of a file, found {shown(path)}: give text or a pathlib.Path")
    target = place(path).absolute()
    check_links(target)
    if target.is_dir():
        raise StoreError(f"{target}: is a folder: give the name of a file")
    if not target.parent.is_dir():
        raise StoreError(f"{target}: its folder does not exist: make it first")
    if target.exists() and not target.is_file():
        raise StoreError(f"{target}: is no plain file: give another name")
    if target.exists() and not overwrite:
        raise StoreError(f"{target}: exists: choose another name, or say overwrite=True (--overwrite)")
    return target


def _chosen(frames: Any, n_frames: int) -> Any:
    """Frames as a slice, or as a list of numbers, for `isel`."""
    if frames is None:
        return slice(None)
    if isinstance(frames, slice):
        try:
            count = len(range(*frames.indices(n_frames)))
        except (TypeError, ValueError):
            raise ParameterError(
                f"frames: {frames} needs integers, and a step that is not 0: give a slice such as slice(0, 10)"
            ) from None
        if count == 0:
            raise ParameterError(f"frames: {frames} chooses none of the {n_frames} frames: choose some")
        return frames
    numbers = np.atleast_1d(np.asarray(frames))
    if numbers.ndim != 1 or not len(numbers) or numbers.dtype.kind not in "iu":
        raise ParameterError(f"frames: expected a slice, an integer or a list of them, found {shown(frames)}")
    if numbers.min() < -n_frames or numbers.max() >= n_frames:
        raise ParameterError(
            f"frames: {shown(frames)} goes beyond the {n_frames} frames: choose some of 0 to {n_frames - 1}"
        )
    return numbers.tolist()


def _beside(trajectory: xr.Dataset, columns: Any) -> Any:
    """What is asked for without what every file has anyway."""
    if columns is None:
        return ()
    if isinstance(columns, str):
        columns = [columns]
    if isinstance(columns, (Mapping, xr.DataArray)) or not isinstance(columns, Iterable):
        return columns
    return [item for item in columns if not (isinstance(item, str) and item in OWN and item in trajectory)]


def _named(columns: dict[str, xr.DataArray], writer: Writer, where: str) -> dict[str, xr.DataArray]:
    """The columns by the names that they get in the file: words, where it is text in columns."""
    named: dict[str, xr.DataArray] = {}
    for label, values in columns.items():
        word = re.sub(r"[\s:,;=\"']+", "_", label) if writer.words else label
        if not label.strip():
            raise ParameterError(f"{where}: a column has no name: give it one, columns={{'my_column': values}}")
        if word in writer.taken or word in MEANT or word in named:
            raise ParameterError(
                f"{where}: a column cannot be called {word!r}, which means something else there: give it another name, "
                f"columns={{'my_{word}': values}}"
            )
        named[word] = values
    return named


def _notes(sheet: Sheet, columns: Iterable[str], name: str, writer: Writer) -> Iterator[str]:
    """What of the trajectory the file has not, or not as it was."""
    lost = [str(key) for key in sheet.trajectory.variables if key in TRAJECTORY and key not in writer.holds]
    if lost:
        yield f"{name} has no place for {', '.join(lost)}"
    if "box" in lost and (sheet.box == sheet.box[0]).all():
        straight = not (sheet.box[0] * (1 - np.eye(sheet.n_space))).any()
        box = np.diagonal(sheet.box[0]) if straight else sheet.box[0]
        yield (
            f"`box={box.tolist()}` brings the box back when the file is ingested; positions are counted from its corner"
        )
    if not all(sheet.periodic):
        axes = "".join(axis for axis, repeats in zip("xyz", sheet.periodic) if repeats)
        if "periodic" in lost:
            yield f"`periodic={axes!r}` says when the file is ingested along which axes the box repeats"
        if sheet.trajectory["periodic"].attrs.get("beyond") == NOTHING:
            yield "that nothing is beyond the open faces is in no file: `beyond='nothing'` says so when it is ingested"
    for count in sorted(set(sheet.undefined.values())):
        named = [key for key, missing in sheet.undefined.items() if missing == count]
        some = named[0] if len(named) == 1 else f"each of {named[0]} to {named[-1]}"
        yield f"{count} numbers of {some} are NaN: particles that are no centers, or have no value"
    left: list[str] = []
    for key in kept_variables(sheet.trajectory):
        labels = labels_of(key, sheet.trajectory[key])
        absent = [label for label in labels if label not in columns]
        left += [key] if absent == labels else absent
    if left:
        yield f"not written, as not asked for: {', '.join(left)}"
    yield from writer.remarks(sheet)
