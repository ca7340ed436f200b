"""Random trajectories, and writers of the formats, written from their manuals and independent of the readers."""

from __future__ import annotations

import gzip
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import glassdask as gd

CUBIC = np.diag([6.0, 7.0, 8.0])
TILTED = np.array([[6.0, 0.0, 0.0], [1.5, 7.0, 0.0], [-2.0, 0.75, 8.0]])
FLAT = np.diag([6.0, 7.0])
# configurations that come with the pipelines, beside archives that only these read
SHIPPED = [
    file
    for file in sorted((Path(__file__).parents[2] / "pipelines/data").glob("*.npz"))
    if "position" in np.load(file).files
]


@dataclass
class Sample:
    """Wrapped positions with all that a file may know about them."""

    position: np.ndarray
    image: np.ndarray
    velocity: np.ndarray
    energy: np.ndarray
    box: np.ndarray
    origin: np.ndarray
    species: np.ndarray
    step: np.ndarray
    time: np.ndarray
    id: np.ndarray

    @property
    def unwrapped(self) -> np.ndarray:
        return self.position + np.einsum("fpa,fas->fps", self.image, self.box)

    @property
    def scaled(self) -> np.ndarray:
        return np.einsum("fps,fsa->fpa", self.position, np.linalg.inv(self.box))

    def trajectory(self, *names: str):
        """The dataset that a reader must give, with the optional variables `names`."""
        return gd.from_arrays(
            self.position, species=self.species, box=self.box, **{name: getattr(self, name) for name in names}
        )


def sample(n_frames: int = 5, n_particles: int = 20, cell: np.ndarray = CUBIC, seed: int = 1) -> Sample:
    """Positions well inside a box that breathes from frame to frame."""
    rng = np.random.default_rng(seed)
    d = len(cell)
    box = cell * (1.0 + 0.01 * np.arange(n_frames))[:, None, None]
    position = np.einsum("fpa,fas->fps", rng.uniform(0.01, 0.99, (n_frames, n_particles, d)), box)
    return Sample(
        position=position,
        image=rng.integers(-3, 4, (n_frames, n_particles, d)).astype(np.int32),
        velocity=rng.normal(size=(n_frames, n_particles, d)),
        energy=rng.normal(size=(n_frames, n_particles)),
        box=box,
        origin=np.zeros((n_frames, d)),
        species=np.where(np.arange(n_particles) % 3 == 0, "2", "1"),
        step=100 * np.arange(n_frames),
        time=0.5 * np.arange(n_frames),
        id=np.arange(n_particles) * 2 + 5,
    )


def bounds(cell: np.ndarray, origin: np.ndarray) -> str:
    """BOX BOUNDS of LAMMPS: of an orthogonal box, or of the parallelepiped's bounding box, from its eight corners."""
    low, high = origin, origin + np.diag(cell)
    if np.array_equal(cell, np.diag(np.diag(cell))):
        return "ITEM: BOX BOUNDS pp pp pp\n" + "".join(f"{a:.17g} {b:.17g}\n" for a, b in zip(low, high))
    corners = origin + np.array([np.array(c) @ cell for c in itertools.product((0, 1), repeat=3)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    tilts = (cell[1, 0], cell[2, 0], cell[2, 1])
    rows = "".join(f"{a:.17g} {b:.17g} {t:.17g}\n" for a, b, t in zip(low, high, tilts))
    return "ITEM: BOX BOUNDS xy xz yz pp pp pp\n" + rows


def columns_of(run: Sample, names: str, origin: np.ndarray, frame: int) -> list[list[str]]:
    """Text of each named column of a dump."""
    found = []
    origin = origin[: run.box.shape[1]]
    for name in names.split():
        axis = "xyz".find(name.lstrip("iv")[:1])
        kinds = {"x": run.position[frame] + origin, "xu": run.unwrapped[frame] + origin}
        kinds |= {"xs": run.scaled[frame], "xsu": run.scaled[frame] + run.image[frame]}
        if name in ("id", "type", "element", "mol"):
            values = {"id": run.id, "mol": run.id * 0}.get(name, run.species)
        elif name[0] == "i":
            values = run.image[frame][:, axis]
        elif name[0] == "v":
            values = run.velocity[frame][:, axis]
        elif name[0] in "xyz":
            values = kinds["x" + name[1:]][:, axis]
        else:
            values = run.energy[frame]
        found.append([f"{v:.17g}" if isinstance(v, float) else str(v) for v in values.tolist()])
    return found


def dump(
    run: Sample,
    names: str = "id type x y z",
    *,
    origin=(0.0, 0.0, 0.0),
    shuffle: int | None = None,
    extra: bool = False,
) -> str:
    """Text of a LAMMPS dump; `extra` adds the lines for units and time, `shuffle` seeds the order of the atoms."""
    text = []
    rng = np.random.default_rng(shuffle)
    for frame in range(len(run.position)):
        if extra:
            text.append(("ITEM: UNITS\nlj\n" if frame == 0 else "") + f"ITEM: TIME\n{run.time[frame]:.17g}\n")
        text.append(f"ITEM: TIMESTEP\n{run.step[frame]}\nITEM: NUMBER OF ATOMS\n{len(run.species)}\n")
        cell = np.eye(3)
        cell[: run.box.shape[1], : run.box.shape[1]] = run.box[frame]
        text.append(bounds(cell, np.asarray(origin)) + f"ITEM: ATOMS {names}\n")
        lines = [" ".join(words) + "\n" for words in zip(*columns_of(run, names, np.asarray(origin), frame))]
        order = np.arange(len(lines)) if shuffle is None else rng.permutation(len(lines))
        text += [lines[k] for k in order]
    return "".join(text)


def extxyz(run: Sample, *, rest: str = "", more: str = "") -> str:
    """Text of an extended XYZ file with velocities, energies and images."""
    text = []
    d = run.box.shape[1]
    for frame in range(len(run.position)):
        lattice = " ".join(f"{value:.17g}" for value in run.box[frame].ravel())
        text.append(
            f'{len(run.species)}\nLattice="{lattice}" Properties=species:S:1:pos:R:{d}:velo:R:{d}:pe:R:1'
            f":image:I:{d}{more} Time={run.time[frame]:.17g} Step={run.step[frame]}{rest}\n"
        )
        for k, name in enumerate(run.species):
            numbers = [*run.position[frame, k], *run.velocity[frame, k], run.energy[frame, k]]
            words = [name, *[f"{value:.17g}" for value in numbers], *run.image[frame, k].astype(str)]
            text.append(" ".join(words) + (f" {run.id[k]}" if more else "") + "\n")
    return "".join(text)


def plain_xyz(run: Sample, columns: str | None = "id,pos", *, cell: bool = True, shift: float = 0.0) -> str:
    """Text of an XYZ file as atooms and partycls write it."""
    text = []
    for frame in range(len(run.position)):
        comment = [f"step:{run.step[frame]}"]
        if columns:
            comment.append(f"columns:{columns}")
        if cell:
            comment.append("cell:" + ",".join(f"{edge:.17g}" for edge in np.diag(run.box[frame])))
        text.append(f"{len(run.species)}\n{' '.join(comment)}\n")
        for k, name in enumerate(run.species):
            position = run.position[frame, k] - shift * np.diag(run.box[frame])
            text.append(" ".join([name, *[f"{value:.17g}" for value in position]]) + "\n")
    return "".join(text)


def write(path: Path, text: str) -> Path:
    """Write text, compressed if the name says so."""
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), compresslevel=1))
    elif path.suffix == ".zst":
        import zstandard

        path.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(text.encode()))
    else:
        path.write_text(text)
    return path
