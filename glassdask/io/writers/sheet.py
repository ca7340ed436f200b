"""What all writers write: the rows of frames, one for each particle that is present, some blocks of them in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import xarray as xr

from glassdask.graphs import compute, task_bytes
from glassdask.schema import names_and_codes
from glassdask.store.layout import power_of_two
from glassdask.store.progress import Progress

PARTS = 4  # a block is this part of what a task may hold: there are the numbers, their columns and their text
OWN = ("position", "image", "velocity", "energy", "diameter", "id", "present")


@dataclass(frozen=True)
class Block:
    """Rows of some whole frames, or of a part of one frame that is too large to be in memory at once.

    `counts` are the rows of each of its `frames` that are in this block, `totals` those of the whole frames. `values`
    are columns (row,) or (row, d), by name.
    """

    frames: range
    particles: range
    counts: np.ndarray
    totals: np.ndarray
    values: dict[str, np.ndarray]

    @property
    def begins(self) -> bool:
        """Whether the first rows of its first frame are in it."""
        return self.particles.start == 0


@dataclass(frozen=True)
class Sheet:
    """Frames of a trajectory, and the columns that are written beside what every file has.

    Attributes
    ----------
    trajectory : xarray.Dataset
        The frames that are written, in this order.
    columns : dict
        Of numbers, (frame, particle) or (particle,), by the name that they get in the file.
    where : str
        The path, for errors.
    progress : callable, optional
        Called with the number of frames that are written, and of all.
    undefined : dict
        Of each column that has some, how many of its numbers are NaN, of those that `blocks` has given so far.
    """

    trajectory: xr.Dataset
    columns: Mapping[str, xr.DataArray]
    where: str
    progress: Progress | None = None
    undefined: dict[str, int] = field(default_factory=dict)

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.trajectory.sizes["frame"])

    @property
    def n_particles(self) -> int:
        """Number of particles, present or not."""
        return int(self.trajectory.sizes["particle"])

    @property
    def n_space(self) -> int:
        """2 or 3."""
        return int(self.trajectory.sizes["space"])

    @property
    def box(self) -> np.ndarray:
        """Cell matrices of all frames (frame, axis, space)."""
        return np.asarray(self.trajectory["box"].values, dtype=np.float64)

    @property
    def origin(self) -> np.ndarray:
        """Lower corners of the box (frame, space)."""
        if "origin" not in self.trajectory:
            return np.zeros((self.n_frames, self.n_space))
        return np.asarray(self.trajectory["origin"].values, dtype=np.float64)

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether the box is periodic along each cell vector."""
        if "periodic" not in self.trajectory:
            return (True,) * self.n_space
        return tuple(bool(value) for value in self.trajectory["periodic"].values)

    @property
    def steps(self) -> np.ndarray | None:
        """The step of each frame, where they are known."""
        return np.asarray(self.trajectory["step"].values) if "step" in self.trajectory else None

    @property
    def times(self) -> np.ndarray | None:
        """The time of each frame, where they are known."""
        return np.asarray(self.trajectory["time"].values) if "time" in self.trajectory else None

    def has(self, name: str) -> bool:
        """Whether the trajectory has a variable."""
        return name in self.trajectory

    def cells(self) -> tuple[np.ndarray, np.ndarray, tuple[bool, ...]]:
        """Boxes (frame, 3, 3), origins (frame, 3) and periodicity in three dimensions; of two, z is 1 long around 0."""
        if self.n_space == 3:
            return self.box, self.origin, self.periodic
        box = np.zeros((self.n_frames, 3, 3))
        box[:, :2, :2], box[:, 2, 2] = self.box, 1.0
        origin = np.concatenate([self.origin, np.full((self.n_frames, 1), -0.5)], axis=1)
        return box, origin, (*self.periodic, True)

    @cached_property
    def names_and_codes(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Names of the species, and of each particle (in each frame, where they change) the index of its name."""
        return names_and_codes(self.trajectory)

    def blocks(self, *, absent: bool = False, placed: bool = True) -> Iterator[Block]:
        """All rows, in the order of frames and particles.

        ``values`` has ``position``, counted from zero if `placed`, else from the corner of the box; the ``code`` of the
        species; ``id``, which is the number of the particle from 1 on where the trajectory has none; ``image``,
        ``velocity``, ``energy`` and ``diameter`` where it has them; and ``column NAME``. With `absent`, particles that
        are not there have rows, too, and ``present`` tells them.
        """
        codes = self.names_and_codes[1]
        variables = {name: self.trajectory[name].variable for name in OWN if self.has(name)}
        variables["code"] = xr.Variable(("frame", "particle")[-codes.ndim :], codes)
        variables.setdefault("id", xr.Variable("particle", np.arange(1, self.n_particles + 1)))
        variables |= {f"column {name}": values.variable for name, values in self.columns.items()}
        row = sum(v.dtype.itemsize * v.sizes.get("space", v.sizes.get("axis", 1)) for v in variables.values())
        for here, part in self._parts(task_bytes() // PARTS // row):
            block = _loaded(variables, here, part)
            totals = np.full(len(here), self.n_particles)
            if "present" in variables and not absent:
                totals = _loaded({"": variables["present"]}, here, range(self.n_particles))[""].sum(axis=1)
            if placed and self.has("origin"):
                block["position"] = block["position"] + self.origin[here.start : here.stop, None]
            kept = None if absent else block.pop("present", None)
            if kept is None:
                counts = np.full(len(here), len(part))
                rows = {name: values.reshape(-1, *values.shape[2:]) for name, values in block.items()}
            else:
                counts = kept.sum(axis=1)
                rows = {name: values[kept] for name, values in block.items()}
            for name in self.columns:
                missing = int(np.isnan(rows[f"column {name}"]).sum()) if rows[f"column {name}"].dtype.kind == "f" else 0
                if missing:
                    self.undefined[name] = self.undefined.get(name, 0) + missing
            yield Block(here, part, counts, totals, rows)
            if self.progress is not None:
                self.progress(here.stop, self.n_frames)

    def by_frame(self, **how: bool) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """The number and the values of each frame as a whole, see `blocks`."""
        parts: list[dict[str, np.ndarray]] = []
        for block in self.blocks(**how):
            edges = np.concatenate([[0], np.cumsum(block.counts)])
            for frame, begin, end in zip(block.frames, edges[:-1], edges[1:]):
                parts.append({name: values[begin:end] for name, values in block.values.items()})
                if block.particles.stop == self.n_particles:
                    yield frame, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
                    parts = []

    def changes(self, name: str) -> bool:
        """Whether a variable of `blocks` is of every frame."""
        if name == "code":
            return self.names_and_codes[1].ndim == 2
        if name.startswith("column "):
            return "frame" in self.columns[name.removeprefix("column ")].dims
        return self.has(name) and "frame" in self.trajectory[name].dims

    def _parts(self, rows: int) -> Iterator[tuple[range, range]]:
        """Frames and particles of blocks of about so many rows: whole frames, or equal parts of one."""
        together = power_of_two(min(self.n_frames, rows // self.n_particles))
        size = -(-self.n_particles // max(1, -(-self.n_particles // max(1, rows))))
        for first in range(0, self.n_frames, together):
            for start in range(0, self.n_particles, size):
                frames = range(first, min(first + together, self.n_frames))
                yield frames, range(start, min(start + size, self.n_particles))


def _loaded(variables: Mapping[str, xr.Variable], frames: range, particles: range) -> dict[str, np.ndarray]:
    """A part of each variable as an array (frame, particle, ...)."""
    where = {"frame": slice(frames.start, frames.stop), "particle": slice(particles.start, particles.stop)}
    parts = {name: v.isel(where, missing_dims="ignore") for name, v in variables.items()}
    found: dict[str, np.ndarray] = dict(zip(parts, compute(*[part.data for part in parts.values()])))
    for name, part in parts.items():
        if "frame" not in part.dims:
            found[name] = np.broadcast_to(found[name], (len(frames), *part.shape))
    return found
