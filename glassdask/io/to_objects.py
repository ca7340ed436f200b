"""Trajectories as the objects of other packages: ASE, MDAnalysis, mdtraj, freud, OVITO; lazily where these can be.

Numbers are those of the trajectory, in its units. Positions are counted from zero, as in files, not from the corner of
the box; absent particles are left out. Positions are wrapped where the box repeats: only ASE and OVITO get images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, overload

import numpy as np
import xarray as xr

from glassdask.errors import BoxError, SchemaError, needed
from glassdask.io.columns import columns_of
from glassdask.io.writers.lammps import restricted, tilts
from glassdask.io.writers.sheet import Sheet
from glassdask.io.writers.text import ELEMENTS
from glassdask.schema import validate

T = TypeVar("T")
Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Frames(Sequence[T], Generic[T]):
    """One object for each frame, made when it is asked for; slices are lazy, too."""

    sheet: Sheet
    make: Callable[[Sheet, Values], T]
    numbers: range

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Frames[T]: ...
    def __getitem__(self, index: int | slice) -> T | Frames[T]:
        if isinstance(index, slice):
            return replace(self, numbers=self.numbers[index])
        return self.make(*_frame(self.sheet, self.numbers[index]))

    def __repr__(self) -> str:
        return f"<{len(self)} frames of {self.sheet.n_particles} particles, each made when it is asked for>"


def to_ase(trajectory: xr.Dataset, columns: Any = ()) -> Frames[Any]:
    """A sequence of ASE's Atoms, of which each is read when it is asked for.

    The names of species are the array ``species``, and the symbols where all of them are elements (else ``X``). Images,
    ids, diameters and `columns` (see `glassdask.export`) are arrays, step and time in ``info``, the corner of the box
    is the ``celldisp``. In two dimensions the third cell vector is 1 long and not periodic.

    Examples
    --------
    >>> import glassdask as gd
    >>> t = gd.from_arrays([[[0.5, 0.5], [1.5, 0.5]]], species=["A", "B"], box=[2.0, 2.0])
    >>> atoms = gd.to_ase(t)[0]
    >>> atoms.arrays["species"].tolist(), atoms.pbc.tolist()
    (['A', 'B'], [True, True, False])
    """
    needed("ase", "ase")
    return _frames(trajectory, columns, _atoms)


def _atoms(sheet: Sheet, values: Values) -> Any:
    from ase import Atoms

    box, origin, periodic = (part[0] if isinstance(part, np.ndarray) else part for part in sheet.cells())
    names = np.array(sheet.names_and_codes[0])[values["code"]]
    elements = set(sheet.names_and_codes[0]) <= ELEMENTS
    pbc = periodic if sheet.n_space == 3 else (*periodic[:2], False)
    position = _padded(values["position"])
    made: Any = Atoms(names.tolist() if elements else ["X"] * len(names), position, cell=box, pbc=pbc)
    if sheet.has("origin"):
        made.set_celldisp(origin if sheet.n_space == 3 else [*origin[:2], 0.0])
    made.arrays["species"] = names
    if "velocity" in values:
        made.set_velocities(_padded(values["velocity"]))
    if "image" in values:
        made.arrays["image"] = _padded(values["image"])
    for name in ("diameter", *(("id",) if sheet.has("id") or sheet.has("present") else ())):
        if name in values:
            made.arrays[name] = values[name]
    for name in sheet.columns:
        made.new_array(name, values[f"column {name}"])
    made.info |= _clock(sheet)
    return made


def to_freud(trajectory: xr.Dataset) -> Frames[tuple[Any, np.ndarray]]:
    """A sequence of (freud.box.Box, points (particle, 3)), which freud's analyses take, of each frame.

    They are read when they are asked for.

    Points are counted from the middle of the box, as freud wants them; z is 0 in two dimensions.

    Raises
    ------
    BoxError
        When it is asked for: the first vector of a cell is not along x, or the second not in the plane of x and y.
    """
    needed("freud", "freud-analysis")
    return _frames(trajectory, (), _freud)


def _freud(sheet: Sheet, values: Values) -> tuple[Any, np.ndarray]:
    import freud

    box, origin, periodic = _restricted(sheet, "freud")
    middle = (origin + box.sum(axis=0) / 2)[: sheet.n_space]
    (lx, ly, lz), (xy, xz, yz) = np.diag(box), tilts(box)
    flat = sheet.n_space == 2
    made = freud.box.Box(lx, ly, 0.0 if flat else lz, xy / ly, xz / lz, yz / lz, is2D=flat)
    made.periodic = [*periodic[: sheet.n_space], *[False] * (3 - sheet.n_space)]
    return made, _padded(values["position"] - middle)


def to_mdtraj(trajectory: xr.Dataset) -> Any:
    """The trajectory as one of mdtraj, which is in memory and in single precision.

    Numbers are not turned into nanometres. Atoms are named by their species, all in one residue. Positions are wrapped,
    without images, and the box repeats along all axes, also along those that are open here. Choose frames first where
    there are many: ``gd.to_mdtraj(trajectory.isel(frame=slice(0, None, 10)))``.

    Raises
    ------
    SchemaError
        Particles come and go, or species change.
    BoxError
        As for `to_freud`.
    """
    needed("mdtraj", "mdtraj")
    import mdtraj

    sheet = _sheet(trajectory, ())
    _followed(sheet, "mdtraj")
    topology = mdtraj.Topology()
    residue = topology.add_residue("LIQ", topology.add_chain())
    for code in sheet.names_and_codes[1]:
        topology.add_atom(sheet.names_and_codes[0][code], mdtraj.element.virtual, residue)
    position = np.empty((sheet.n_frames, sheet.n_particles, 3), dtype=np.float32)
    for frame, values in sheet.by_frame():
        position[frame] = _padded(values["position"])
    boxes = np.stack([_restricted(_frame_of(sheet, k), "mdtraj")[0] for k in range(sheet.n_frames)])
    made = mdtraj.Trajectory(position, topology, time=sheet.times)
    made.unitcell_vectors = boxes
    return made


def to_mdanalysis(trajectory: xr.Dataset, columns: Any = ()) -> Any:
    """A Universe of MDAnalysis whose frames are read when they are asked for; single precision, as it has them.

    Atoms have the species as ``types`` and ``names``, and the ``ids``; `columns` (see `glassdask.export`) are in
    ``universe.trajectory.ts.data``. Numbers are not turned into Ångström. Positions are wrapped, without images, and a
    box of MDAnalysis repeats along all axes, also along those that are open here.

    Raises
    ------
    SchemaError
        Particles come and go, or species change: atoms of MDAnalysis do not.
    BoxError
        When it is read: as for `to_freud`.
    """
    needed("MDAnalysis", "MDAnalysis")
    import MDAnalysis

    from glassdask.io.mdanalysis_reader import reader

    sheet = _sheet(trajectory, columns)
    _followed(sheet, "MDAnalysis")
    names = np.array(sheet.names_and_codes[0], dtype=object)[sheet.names_and_codes[1]]
    universe = MDAnalysis.Universe.empty(sheet.n_particles, trajectory=False)
    for attribute in ("types", "names"):
        universe.add_TopologyAttr(attribute, names)
    if sheet.has("id"):
        universe.add_TopologyAttr("ids", trajectory["id"].values)
    universe.trajectory = reader(sheet, lambda frame: _frame(sheet, frame), _restricted)
    return universe


def to_ovito(trajectory: xr.Dataset, columns: Any = ()) -> Any:
    """A Pipeline of OVITO whose frames are read when they are asked for, with `columns` as properties of particles.

    `columns` are those of `glassdask.export`; diameters are radii there.

    Examples
    --------
    ``gd.to_ovito(trajectory, "sbo").compute(3).particles["sbo_4"]``
    """
    needed("ovito", "ovito")
    from glassdask.io.ovito_source import pipeline

    sheet = _sheet(trajectory, columns)
    return pipeline(sheet, lambda frame: _frame(sheet, frame))


def _frames(trajectory: xr.Dataset, columns: Any, make: Callable[[Sheet, Values], T]) -> Frames[T]:
    sheet = _sheet(trajectory, columns)
    return Frames(sheet, make, range(sheet.n_frames))


def _sheet(trajectory: xr.Dataset, columns: Any) -> Sheet:
    return Sheet(validate(trajectory), columns_of(trajectory, columns), "the trajectory")


def _frame_of(sheet: Sheet, number: int) -> Sheet:
    """The same of one frame."""
    cut = {name: v.isel(frame=[number]) if "frame" in v.dims else v for name, v in sheet.columns.items()}
    found = replace(sheet, trajectory=sheet.trajectory.isel(frame=[number]), columns=cut)
    names, codes = sheet.names_and_codes
    # species have the same numbers in all frames
    found.__dict__["names_and_codes"] = names, codes[number : number + 1] if codes.ndim == 2 else codes
    return found


def _frame(sheet: Sheet, number: int) -> tuple[Sheet, Values]:
    one = _frame_of(sheet, number)
    ((_, values),) = one.by_frame()
    return one, values


def _clock(sheet: Sheet) -> dict[str, Any]:
    """Step and time of the first frame, where they are known."""
    found: dict[str, Any] = {} if sheet.steps is None else {"step": int(sheet.steps[0])}
    return found if sheet.times is None else {**found, "time": float(sheet.times[0])}


def _padded(vectors: np.ndarray) -> np.ndarray:
    """Vectors with a third component."""
    whole = np.zeros((len(vectors), 3), vectors.dtype)
    whole[:, : vectors.shape[1]] = vectors
    return whole


def _restricted(sheet: Sheet, program: str) -> tuple[np.ndarray, np.ndarray, tuple[bool, ...]]:
    """Box, origin and periodicity of the first frame."""
    box, origin, periodic = sheet.cells()
    if not restricted(box[0]):
        raise BoxError(
            f"{program} has cells whose first vector lies along x and whose second lies in the plane of x and y, found "
            f"{box[0].tolist()}: turn the box and the positions"
        )
    return box[0], origin[0], periodic


def _followed(sheet: Sheet, program: str) -> None:
    if sheet.has("present") or sheet.names_and_codes[1].ndim == 2:
        what = "particles come and go" if sheet.has("present") else "the species of particles change"
        raise SchemaError(
            f"{what}, which {program} does not know: choose frames or particles, or use to_ovito or to_ase"
        )
