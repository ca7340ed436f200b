"""Public data sets of glassy configurations with their propensity, read into a store.

Three layouts are known; a file is one configuration, and files become frames:

- BOTAN (H. Shiba et al., J. Chem. Phys. 158, 084503 (2023)), ``.npz``: `types`, `initial_positions` (N, d) and
  `positions` (replica, N, d), where runs with fresh velocities have each particle later, not wrapped.
- GlassBench (G. Jung et al., Nat. Rev. Phys. (2025)), ``.npz``: `types`, `initial_positions`, optionally
  `initial_positions_inherent` and `initial_positions_cage`, `md_prop` (lag, N), optionally `bb_prop` (lag, N).
- DeepMind (V. Bapst et al., Nat. Phys. 16, 448 (2020)), pickles: `positions`, `types`, `box`, `time`,
  `trajectory_target_positions` (replica, N, d).

The first two hold no box: it is taken to be a cube of the given density.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from glassdask.code import digest
from glassdask.declarations import Positive, converted, flags
from glassdask.errors import FormatError, ParameterError, SpeciesError
from glassdask.files import RefusedError, unpickle
from glassdask.io.sources import checked_files
from glassdask.schema import from_arrays
from glassdask.variables import annotated

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

LETTERS = "ABCDEFGH"  # types are numbers from 0 in all three layouts
GROUP = "public"


def ingest_public(
    paths: Paths, store: str | os.PathLike[str], *, density: float = 1.2, overwrite: bool = False
) -> None:
    """Read public files and store them: the trajectory as the store `store`, all else as its reduction "public".

    Parameters
    ----------
    paths : path or paths
        As for `read_public`.
    store : path
        ``open_trajectory(store)`` and ``open_reduction(store, "public")`` give what `read_public` gives.
    density : float
        As for `read_public`.
    overwrite : bool
        Replace other data that are stored there. The same call again does nothing.

    Raises
    ------
    FormatError, SpeciesError, ParameterError, StoreError
    """
    from glassdask.store import save_trajectory, write_dataset

    flags(overwrite=overwrite)
    trajectory, known = read_public(paths, density=density)
    save_trajectory(trajectory, store, overwrite=overwrite)
    if len(known.data_vars):
        parameters = {"sources": trajectory.attrs["sources"], "density": density}
        made_by = digest(read_public)
        write_dataset(known, store, f"reductions/{GROUP}", parameters=parameters, code=made_by, overwrite=overwrite)


def read_public(paths: Paths, *, density: float = 1.2) -> tuple[xr.Dataset, xr.Dataset]:
    r"""Configurations of public data sets, one frame a file, and what is published about them.

    Parameters
    ----------
    paths : path or paths
        Files of one layout (see this module), found out by their content. All have the same particles.
    density : float
        Particles per volume, for layouts without a box: :math:`L = (N / \rho)^{1/d}`.

    Returns
    -------
    trajectory : Dataset of the schema
        The initial configurations; types 0, 1, ... are the species A, B, ...
    known : Dataset
        ``propensity`` (frame, particle, lag), the mean over runs of \|r(t) - r(0)\|, and where all files have them
        ``bond_breaking`` (frame, particle, lag), ``inherent_position`` and ``cage_position`` (frame, particle, space),
        wrapped. The coordinate ``lag`` is the time where the files tell it, and otherwise the number of the lag.

    Raises
    ------
    FormatError
        If a file is damaged, of another layout, lacks arrays or, for a pickle, holds anything but arrays, numbers and
        text: nothing in a file is executed.
    SpeciesError
        If particles or species differ between files.

    Examples
    --------
    >>> import tempfile
    >>> rng = np.random.default_rng(0)
    >>> start = rng.random((8, 3)) * 2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(folder + "/1.npz", types=[0] * 7 + [1], initial_positions=start, positions=[start, start + 1.0])
    ...     trajectory, known = read_public(folder + "/1.npz", density=1.0)
    >>> trajectory["box"].values[0].diagonal().tolist(), known["propensity"].dims
    ([2.0, 2.0, 2.0], ('frame', 'particle', 'lag'))
    >>> known["propensity"].values[0, :, 0].round(4).tolist()[:2]
    [0.866, 0.866]
    """
    density = converted(density, Positive, "density")
    names = [Path(path) for path in checked_files(paths)]
    if not names:
        raise ParameterError("no file to read: name at least one")
    configurations = [_read(path, density) for path in names]
    first = configurations[0]
    for path, other in zip(names, configurations):
        _compare(names[0], first, path, other)
    trajectory = from_arrays(
        np.stack([c.position for c in configurations]),
        species=np.array(list(LETTERS))[first.types],
        box=np.stack([np.diag(c.box) for c in configurations]),
        attrs={"sources": [{"name": str(path), "sha256": c.sha256} for path, c in zip(names, configurations)]},
    )
    variables: dict[str, Any] = {}
    for name in first.known:
        if all(name in c.known for c in configurations):
            values = np.stack([c.known[name] for c in configurations])
            last = "space" if name.endswith("position") else "lag"
            if last == "space":
                values = from_arrays(values, species=trajectory["species"], box=trajectory["box"])["position"].values
            variables[name] = (("frame", "particle", last), values)
    known = xr.Dataset(variables)
    if "lag" in known.dims:
        known = known.assign_coords(lag=np.arange(known.sizes["lag"]) if first.time is None else [first.time])
    if "propensity" in known:
        known = known.assign_coords(power=1)
    return trajectory, annotated(known, propensity={"units": "length"})


@dataclass(frozen=True)
class _Configuration:
    position: np.ndarray  # (N, d)
    types: np.ndarray  # (N,)
    box: np.ndarray  # (d,)
    time: float | None
    known: dict[str, np.ndarray]  # (N, lag) or (N, d)
    sha256: str


def _compare(first_path: Path, first: _Configuration, path: Path, other: _Configuration) -> None:
    if not np.array_equal(first.types, other.types) or first.position.shape != other.position.shape:
        raise SpeciesError(
            f"{path}: {len(other.types)} particles whose types are not those of the {len(first.types)} in "
            f"{first_path}: read them apart"
        )
    if other.time != first.time:
        raise FormatError(f"{path}: is of time {other.time}, {first_path} of {first.time}: read the times apart")
    for name in first.known.keys() & other.known.keys():
        if other.known[name].shape != first.known[name].shape:
            found, expected = other.known[name].shape, first.known[name].shape
            raise FormatError(f"{path}: {name} has shape {found}, in {first_path} {expected}: read them apart")


def _read(path: Path, density: float) -> _Configuration:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}): check the path and its permissions") from None
    is_archive = zipfile.is_zipfile(BytesIO(content))
    arrays = _archive(path, content) if is_archive else load_arrays(content, str(path))
    start = "initial_positions" if is_archive else "positions"
    for name in (start, "types"):
        if not isinstance(arrays.get(name), np.ndarray):
            raise FormatError(f"{path}: no array '{name}', found {', '.join(sorted(arrays))}: see glassdask.io.public")
    position, types = _numbers(path, start, arrays[start]), arrays["types"]
    if position.ndim != 2 or position.shape[1] not in (2, 3) or types.shape != position.shape[:1]:
        raise FormatError(
            f"{path}: '{start}' has shape {position.shape} and types {types.shape}, expected (N, 2 or 3) and (N,)"
        )
    if types.dtype.kind not in "iu" or not len(types) or types.min() < 0 or types.max() >= len(LETTERS):
        raise FormatError(f"{path}: types are {types.dtype}, expected whole numbers from 0 to {len(LETTERS) - 1}")
    n, d = position.shape
    if "box" in arrays:
        box = np.asarray(arrays["box"], dtype=np.float64)
        if box.shape not in ((), (d,)):
            raise FormatError(f"{path}: box has shape {box.shape}, expected edge lengths ({d},)")
        box = np.broadcast_to(box, (d,))
    else:
        box = np.full(d, (n / density) ** (1.0 / d))
    time = float(arrays["time"]) if isinstance(arrays.get("time"), (int, float)) else None
    known = _known(path, position, arrays, "positions" if is_archive else "trajectory_target_positions")
    return _Configuration(position, types, box, time, known, hashlib.sha256(content).hexdigest())


def _known(path: Path, position: np.ndarray, arrays: dict[str, Any], later: str) -> dict[str, np.ndarray]:
    known = {}
    if "md_prop" in arrays:
        known["propensity"] = arrays["md_prop"].T
    elif later in arrays:
        ends = _numbers(path, later, np.asarray(arrays[later]))
        if ends.ndim != 3 or ends.shape[1:] != position.shape or len(ends) == 0:
            raise FormatError(f"{path}: '{later}' has shape {ends.shape}, expected (replicas, *{position.shape})")
        known["propensity"] = np.linalg.norm(ends - position, axis=-1).mean(axis=0)[:, None]
    if "bb_prop" in arrays:
        known["bond_breaking"] = arrays["bb_prop"].T
    for name in ("inherent", "cage"):
        if f"initial_positions_{name}" in arrays:
            known[f"{name}_position"] = arrays[f"initial_positions_{name}"]
    for name, values in known.items():
        if values.ndim != 2 or len(values) != len(position):
            raise FormatError(f"{path}: {name} has shape {values.shape[::-1]}, expected {len(position)} particles")
        known[name] = _numbers(path, name, values)
    return known


def _numbers(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "fiu":
        raise FormatError(f"{path}: '{name}' has dtype {values.dtype}, expected real numbers")
    return values.astype(np.float64)


def _archive(path: Path, content: bytes) -> dict[str, Any]:
    try:
        with np.load(BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise FormatError(f"{path}: not a readable NumPy archive ({error}): copy it again") from None


def load_arrays(content: bytes, name: str = "pickle") -> dict[str, Any]:
    """The dictionary of arrays, numbers and text in a pickle, without running anything that the pickle names.

    Of all that a pickle can call, NumPy's ``_reconstruct``, ``ndarray`` and ``dtype`` are known, and even they are
    stand-ins written here. Pickles of Python 2 are read as well.

    Raises
    ------
    FormatError
        If the pickle needs anything else, is damaged, or is not a dictionary.

    Examples
    --------
    >>> import pickle
    >>> load_arrays(pickle.dumps({"types": np.array([0, 1]), "time": 0.5}))
    {'types': array([0, 1]), 'time': 0.5}
    >>> load_arrays(pickle.dumps({"types": print}), "bad.pickle")
    Traceback (most recent call last):
    glassdask.errors.FormatError: bad.pickle: needs builtins.print, which is not run: only arrays and numbers are read
    """
    try:
        found = unpickle(content, KNOWN, encoding="latin1")
        if isinstance(found, dict):
            return {str(key): _plain(value) for key, value in found.items()}
    except RefusedError as refused:
        raise FormatError(f"{name}: needs {refused}, which is not run: only arrays and numbers are read") from None
    # whatever a damaged or hostile file makes the machine of pickles stumble over
    except Exception as error:
        raise FormatError(f"{name}: not a readable pickle or archive ({error}): copy it again") from None
    raise FormatError(f"{name}: holds {type(found).__name__}, expected a dictionary of arrays")


class _Type:
    """Stands for numpy.dtype: numbers only."""

    def __init__(self, text: str, *_: Any):
        self.dtype = np.dtype(text)
        if self.dtype.kind not in "fiub":
            raise RefusedError(f"an array of {self.dtype}")

    def __setstate__(self, state: Any) -> None:
        if any(part is not None for part in state[2:5]):
            raise RefusedError("an array of records")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands for numpy.ndarray."""

    value: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Type) or not isinstance(data, (bytes, str)):
            raise RefusedError("an array of objects")
        raw = data.encode("latin1") if isinstance(data, str) else data
        flat = np.frombuffer(raw, dtype=kind.dtype)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


class _Reconstruct:
    """Stands for numpy's _reconstruct."""

    def __call__(self, *_: Any) -> _Array:
        return _Array()

    def __setstate__(self, _: Any) -> None:
        raise RefusedError("a change of numpy's _reconstruct")


KNOWN = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _Type,
    "numpy.core.multiarray._reconstruct": _Reconstruct(),
    "numpy._core.multiarray._reconstruct": _Reconstruct(),
}


def _plain(value: Any) -> Any:
    """Values with arrays in the place of what stands for them."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, (list, tuple)):
        items = [_plain(item) for item in value]
        arrays = bool(items) and all(isinstance(item, np.ndarray) for item in items)
        return np.stack(items) if arrays else items
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    raise RefusedError(f"a {type(value).__name__}")
