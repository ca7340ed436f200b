"""What becomes of the frames of a simulation: a trajectory in a store, or means over replicas.

Recorders are part of a checkpoint, so that a run that goes on adds nothing twice.
"""

from __future__ import annotations

import hashlib
import shutil
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import xarray as xr

from glassdask.errors import CorruptStoreError, SimulationError
from glassdask.files import put, replacing
from glassdask.simulation.instance import Frame
from glassdask.simulation.operations import Recorder, read_frame
from glassdask.variables import VARIABLES, annotated

DTYPES = {
    "position": "f8", "box": "f8", "origin": "f8", "image": "i4", "velocity": "f8", "energy": "f8", "step": "i8",
    "time": "f8", "strain": "f8", "diameter": "f8",
}  # fmt: skip

DAMAGES = (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error)  # what reading a damaged archive raises


class TrajectoryRecorder:
    """Writes frames into a store, a block as soon as it is full.

    Parameters
    ----------
    path : str
        The store.
    n_frames : int or None
        Frames to come; None where that is known only at the end (then all are kept in memory until then).
    names : tuple of str
        Names of the species.
    attrs : dict
        Attributes of the store.
    """

    def __init__(self, path: str, n_frames: int | None, names: tuple[str, ...], attrs: dict[str, Any]):
        self.path, self.n_frames, self.names, self.attrs = path, n_frames, names, attrs
        self.frames: list[dict[str, Any]] = []
        self.first = 0  # of those frames

    def add(self, frame: Frame, step: int, time: float, strain: float | None) -> None:
        """Take the next frame; write a block that has become full."""
        self.frames.append({**vars(frame), "step": step, "time": time, "strain": strain})
        if self.n_frames is not None:
            size = min(self._create(self.n_frames), self.n_frames - self.first)
            if len(self.frames) == size:
                self._write(size)

    def _create(self, n_frames: int) -> int:
        """Make the store where it is not yet; returns the frames in a block."""
        from glassdask.store import create_trajectory

        first = self.frames[0]
        names = np.array(self.names)[first["species"]]
        dtypes, columns = self._dtypes(), dict[str, Any]()
        if "diameter" in dtypes:  # particles exchange them
            columns["diameter"] = ((), (), dtypes.pop("diameter"), VARIABLES["diameter"].attrs)
        return create_trajectory(
            self.path, n_frames=n_frames, species=names, n_space=first["position"].shape[1], dtypes=dtypes,
            columns=columns, attrs=self.attrs,
        )  # fmt: skip

    def _dtypes(self) -> dict[str, str]:
        return {name: dtype for name, dtype in DTYPES.items() if self.frames[0].get(name) is not None}

    def _write(self, count: int) -> None:
        from glassdask.store import write_region

        for name, dtype in self._dtypes().items():
            values = np.stack([frame[name] for frame in self.frames[:count]]).astype(dtype)
            write_region(self.path, name, (slice(self.first, self.first + count),), values)
        self.first += count
        del self.frames[:count]

    def finish(self, thermo: dict[str, np.ndarray], lammps: int) -> None:
        """Store what is left, the version of LAMMPS, and the thermodynamic numbers as the reduction "thermo"."""
        from glassdask.store import finish

        if self.n_frames is None:
            n_frames = len(self.frames)
            size = self._create(n_frames)
            while self.frames:
                self._write(min(size, len(self.frames)))
        elif self.first != self.n_frames:
            raise SimulationError(f"{self.path}: {self.first} of {self.n_frames} frames were made: report this")
        finish(self.path, lammps=lammps)
        store_thermo(self.path, thermo, self.attrs.get("key", ""), self.attrs.get("code", ""))


def store_thermo(path: str, thermo: dict[str, np.ndarray], key: str, code: str) -> None:
    """Store thermodynamic numbers as ``reductions/thermo``, of the simulation with this key and code."""
    from glassdask.store import write_dataset

    whole = ("stage", "step", "replica")
    columns = {name: values.astype(np.int64) if name in whole else values for name, values in thermo.items()}
    dataset = annotated(xr.Dataset({name: ("sample", values) for name, values in columns.items()}))
    write_dataset(dataset, path, "reductions/thermo", parameters={"key": key}, code=code, overwrite=True)


class MeansRecorder:
    """Sums of |dr| and |dr|^2 over replicas that start from the first frame of the store `path`.

    Writes ``sums.npz`` into `folder` in the end, and with `keep` the displacements (lag, particle, space) of each
    replica as ``replica-NUMBER.npy``, whose checksums are in ``sums.npz``.
    """

    def __init__(self, folder: str, path: str, names: tuple[str, ...], replicas: range, lags: int, keep: bool):
        self.folder, self.path, self.names = Path(folder), path, names
        self.replicas, self.lags, self.keep = replicas, lags, keep
        self.count = 0
        self.start: Frame | None = None
        self.sums = np.zeros((2, lags, 0))
        self.kept = np.zeros((lags, 0, 0))
        self.checksums: dict[str, str] = {}

    def add(self, frame: Frame, step: int, time: float, strain: float | None) -> None:
        """Take the next lag of the current replica."""
        if self.start is None:
            self.start = read_frame(self.path, 0, self.names)[1]
            self.sums = np.zeros((2, self.lags, len(frame.position)))
            self.kept = np.zeros((self.lags, *frame.position.shape))
        displacement = unwrapped(frame) - unwrapped(self.start)
        squared = np.sum(displacement**2, axis=1)
        replica, lag = divmod(self.count, self.lags)
        self.sums[0, lag] += np.sqrt(squared)
        self.sums[1, lag] += squared
        self.count += 1
        if self.keep:
            self.kept[lag] = displacement
            if lag == self.lags - 1:
                name = f"replica-{self.replicas[replica]:05d}.npy"
                content = BytesIO()
                np.save(content, self.kept)
                self.checksums[name] = hashlib.sha256(content.getbuffer()).hexdigest()
                put(self.folder / name, content.getvalue())

    def finish(self, thermo: dict[str, np.ndarray], lammps: int) -> None:
        """Write the sums."""
        arrays: dict[str, Any] = {"lammps": lammps, "distance": self.sums[0], "squared": self.sums[1]}
        arrays["checksums"] = np.array(sorted(self.checksums.items()), str).reshape(-1, 2)
        arrays |= {f"thermo_{name}": values for name, values in thermo.items()}
        with replacing(self.folder / "sums.npz") as stream:
            np.savez(stream, **arrays)


def read_sums(folder: Path) -> tuple[dict[str, np.ndarray], list[Path]]:
    """The sums that a `MeansRecorder` wrote, and the files of its replicas.

    Raises
    ------
    CorruptStoreError
        One of them is damaged; then the folder is removed, so that the batch is simulated again.
    """
    try:
        with open(folder / "sums.npz", "rb") as stream, np.load(stream) as archive:
            sums = dict(archive)
        files = [(folder / str(name), checksum) for name, checksum in sums.pop("checksums")]
        for file, checksum in files:
            with open(file, "rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != checksum:
                    raise ValueError(f"{file.name} has another checksum")
    except DAMAGES as error:
        raise _removed(folder, error) from None
    return sums, [file for file, _ in files]


def _removed(folder: Path, error: BaseException) -> CorruptStoreError:
    """The error of a damaged folder, which is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    return CorruptStoreError(f"{folder}: damaged ({error}): run the same command again, which simulates it again")


class FramesRecorder:
    """Keeps frames as ``frame-NUMBER.npz`` in `folder`, and in the end ``thermo.npz``: the part of a trajectory."""

    def __init__(self, folder: str):
        self.folder, self.count = Path(folder), 0

    def add(self, frame: Frame, step: int, time: float, strain: float | None) -> None:
        """Write the next frame."""
        known: dict[str, Any] = {**vars(frame), "step": step, "time": time, "strain": strain}
        content = BytesIO()
        np.savez(content, **{name: value for name, value in known.items() if value is not None})
        put(self.folder / f"frame-{self.count:05d}.npz", content.getvalue())
        self.count += 1

    def finish(self, thermo: dict[str, np.ndarray], lammps: int) -> None:
        """Write the thermodynamic numbers."""
        arrays: dict[str, Any] = {"lammps": lammps, "frames": self.count, **thermo}
        with replacing(self.folder / "thermo.npz") as stream:
            np.savez(stream, **arrays)


def hand_on(folder: Path, recorder: Recorder) -> tuple[dict[str, np.ndarray], int]:
    """Give the frames that a `FramesRecorder` wrote to another recorder; the thermodynamic numbers and LAMMPS' version.

    Raises
    ------
    CorruptStoreError
        A file is damaged; then the folder is removed, so that this part is simulated again.
    """
    try:
        with open(folder / "thermo.npz", "rb") as stream, np.load(stream) as archive:
            thermo = dict(archive)
        lammps, count = int(thermo.pop("lammps")), int(thermo.pop("frames"))
        frames = []
        for number in range(count):
            with open(folder / f"frame-{number:05d}.npz", "rb") as stream, np.load(stream) as archive:
                frames.append(dict(archive))
    except DAMAGES as error:
        raise _removed(folder, error) from None
    for known in frames:
        step, time, strain = int(known.pop("step")), float(known.pop("time")), known.pop("strain", None)
        recorder.add(Frame(**known), step, time, None if strain is None else float(strain))
    return thermo, lammps


def unwrapped(frame: Frame) -> np.ndarray:
    """Positions that do not jump at the faces of the box, shape (N, d)."""
    place = frame.position if frame.image is None else frame.position + frame.image @ frame.box
    return place if frame.origin is None else place + frame.origin
