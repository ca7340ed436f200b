"""Public data sets of glassy configurations with what is known of their later motion.

Three layouts are known, found out by their content; a configuration is one file, or a file for each lag:

- BOTAN (H. Shiba et al., J. Chem. Phys. 158, 084503 (2023)), ``.npz``: `types`, `initial_positions` (N, d) and
  `positions` (replica, N, d), where runs with fresh velocities have each particle later, not wrapped, at one lag.
- GlassBench (G. Jung et al., Nat. Rev. Phys. (2025)), ``.npz``: as BOTAN, or `types`, `initial_positions`, `md_prop`
  (lag, N) and optionally `bb_prop` (lag, N); optionally `box`, `initial_positions_inherent`, `initial_positions_cage`.
- DeepMind (V. Bapst et al., Nat. Phys. 16, 448 (2020)), pickles: `positions`, `types`, `box`, `time`,
  `trajectory_target_positions` (replica, N, d).

Frames are the configurations; files with the same initial positions are lags of one. Types become A, B, ... from the
lowest on. Where their order differs between configurations, particles are sorted by type, and ``place_in_file`` (frame,
particle) says where each was, counted from 0. In the store are, as far as
the files have them, ``replica_displacement`` (frame, replica, lag, particle, space), which
`glassdask.dynamics.propensity` takes; ``propensity`` (frame, particle, lag), the mean over the replicas of the distance
between r(t) and r(0), or what is published;
``bond_breaking`` (frame, particle, lag); ``inherent_position`` and ``cage_position`` (frame, particle, space), wrapped.
A lag that a configuration has not is NaN.

Options: ``density``, of particles, for files without a box, which is then a cube (1.2, as of Kob-Andersen, by default);
``box``, its edge lengths; ``lags``, the times, where the files do not tell them: without it they are numbered in the
order of what the names of the files say (``tc05``, ``tc10``, ...).
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr

from glassdask import schema
from glassdask.declarations import Positive, converted
from glassdask.errors import FormatError, ParameterError, SpeciesError, brief
from glassdask.files import unreadable
from glassdask.io.pickles import load_arrays
from glassdask.io.reading import told
from glassdask.texts import unknown_values
from glassdask.variables import annotated
from glassdask.wrapping import wrap

LETTERS = "ABCDEFGH"
DENSITY = 1.2
POSITIONS = ("initial_positions", "positions")  # archives and pickles
LATER = ("positions", "trajectory_target_positions")
PLACES = ("inherent_position", "cage_position")
OPTIONS = ("density", "box", "lags", "species_names")


def gather(paths: Iterable[str], **options: Any) -> tuple[xr.Dataset, list[str]]:
    """Configurations as a trajectory whose replicas are lazy, and lines about what had to be understood.

    Raises
    ------
    FormatError
        If a file is damaged, of another layout, lacks arrays or, for a pickle, holds anything but arrays, numbers and
        text: nothing in a file is executed.
    SpeciesError
        If the composition differs between configurations.
    """
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ParameterError(f"public data have no option {', '.join(unknown)}: they have {', '.join(OPTIONS)}")
    density = converted(options.get("density", DENSITY), Positive, "density")
    files = []
    for path in paths:
        with told(path):
            files.append(_survey(Path(path)))
            for values in files[-1].places():
                schema.check_positions(values[None])
            if files[-1].box is not None:
                schema.check_box(np.diag(files[-1].box)[None])
    configurations: dict[str, list[_File]] = {}
    for file in files:
        configurations.setdefault(file.identity, []).append(file)
    heads = [found[0] for found in configurations.values()]
    lines: list[str] = []
    names, order = _species(heads, options.get("species_names"), lines)
    labels, lags = _lags(files, options.get("lags"), lines)
    box = np.stack([_box(head, density, options.get("box"), lines) for head in heads])
    for head, cell in zip(heads, box):
        with told(str(head.path)):
            for values in head.places():
                wrap(values[None], cell[None])
    numbers = {identity: k for k, identity in enumerate(configurations)}
    for file in files:
        _refuse_wrapped(file, np.diag(box[numbers[file.identity]]))
    trajectory = schema.from_arrays(
        np.stack([head.position[mine] for head, mine in zip(heads, order)]),
        species=names,
        box=box,
        attrs={
            "sources": [
                {"name": str(file.path), "sha256": file.sha256, "format": "public", "frame": numbers[file.identity]}
                for file in files
            ]
        },
    )
    trajectory["position"].attrs["matched_by"] = "nothing"  # from configuration to configuration
    variables: dict[str, Any] = {}
    if not any(isinstance(mine, slice) for mine in order):
        variables["place_in_file"] = (("frame", "particle"), np.stack(order))
    n_particles, n_space = heads[0].position.shape
    for name in ("propensity", "bond_breaking"):
        if all(name in file.known for file in files):
            values = np.full((len(heads), n_particles, len(lags)), np.nan)
            for frame, (found, mine) in enumerate(zip(configurations.values(), order)):
                for file in found:
                    values[frame][:, [labels.index(label) for label in file.labels]] = file.known[name][mine]
            variables[name] = (("frame", "particle", "lag"), values)
            absent = int(np.isnan(values).all(axis=1).sum())
            if absent and name == "propensity":
                lines.append(f"{absent} of {len(heads) * len(lags)} lags are not there for their configuration: NaN")
    for name in PLACES:
        if all(name in head.known for head in heads):
            values = np.stack([head.known[name][mine] for head, mine in zip(heads, order)])
            wrapped = schema.from_arrays(values, species=trajectory["species"], box=box)["position"].values
            variables[name] = (("frame", "particle", "space"), wrapped)
    if all(file.n_replicas for file in files):
        variables["replica_displacement"] = _replicas(list(configurations.values()), order, labels, n_space)
    made = trajectory.assign(variables)
    if lags.size:
        made = made.assign_coords(lag=lags)
    if "propensity" in variables:
        made = made.assign_coords(power=1)
    return annotated(made, propensity={"units": "length"}), lines


@dataclass(frozen=True)
class _File:
    """What is small of a file; `labels` tell one lag from another."""

    path: Path
    sha256: str
    identity: str
    position: np.ndarray  # (N, d)
    types: np.ndarray  # (N,)
    box: np.ndarray | None  # (d,)
    n_replicas: int
    later: np.ndarray | None  # (3, d): lowest and highest ends of all runs, and the longest way to one
    time: float | None
    labels: tuple[Any, ...] = ()
    known: dict[str, np.ndarray] = field(default_factory=dict)  # (N, lag) or (N, d)

    def places(self) -> list[np.ndarray]:
        """All positions that the particles have in the file, (N, d) each."""
        return [self.position, *(self.known[name] for name in PLACES if name in self.known)]


def _survey(path: Path) -> _File:
    content, arrays, is_archive = _content(path)
    start = POSITIONS[0 if is_archive else 1]
    for name in (start, "types"):
        if not isinstance(arrays.get(name), np.ndarray):
            raise FormatError(f"{path}: no array '{name}', found {', '.join(sorted(arrays))}: see glassdask.io.public")
    position, types = _numbers(path, start, arrays[start]), arrays["types"]
    if position.ndim != 2 or position.shape[1] not in (2, 3) or types.shape != position.shape[:1]:
        raise FormatError(
            f"{path}: '{start}' has shape {position.shape} and types {types.shape}, expected (N, 2 or 3) and (N,)"
        )
    if types.dtype.kind not in "iu" or not len(types) or types.min() < 0 or types.max() > len(LETTERS):
        raise FormatError(f"{path}: types are {types.dtype}, expected whole numbers from 0 to {len(LETTERS)}")
    box = None
    if "box" in arrays:
        given = _numbers(path, "box", np.asarray(arrays["box"]))
        if given.shape not in ((), (1,), position.shape[1:]):
            raise FormatError(f"{path}: box has shape {given.shape}, expected edge lengths ({position.shape[1]},)")
        box = np.broadcast_to(given, position.shape[1:])
    time = float(arrays["time"]) if isinstance(arrays.get("time"), (int, float)) else None
    known = {}
    for name, key in (("propensity", "md_prop"), ("bond_breaking", "bb_prop")):
        if key in arrays:
            known[name] = np.asarray(arrays[key]).T
            if known[name].ndim != 2 or len(known[name]) != len(position):
                raise FormatError(
                    f"{path}: '{key}' has shape {np.shape(arrays[key])}, expected (lags, {len(position)})"
                )
    moved = _moved(path, arrays, position, is_archive)
    if moved is not None and "propensity" not in known:
        with np.errstate(over="ignore"):
            known["propensity"] = np.linalg.norm(moved, axis=-1).mean(axis=0)[:, None]
    for name in ("inherent", "cage"):
        if f"initial_positions_{name}" in arrays:
            known[f"{name}_position"] = arrays[f"initial_positions_{name}"]
    for name, values in known.items():
        if values.ndim != 2 or len(values) != len(position):
            raise FormatError(f"{path}: {name} has shape {values.shape[::-1]}, expected {len(position)} particles")
        known[name] = _numbers(path, name, values)
        if np.isinf(known[name]).any():
            raise FormatError(f"{path}: {name} is infinite at {int(np.isinf(known[name]).sum())} places: repair it")
    counts = {known[name].shape[1] for name in ("propensity", "bond_breaking") if name in known}
    if len(counts) > 1:
        raise FormatError(f"{path}: md_prop and bb_prop are of different lags: leave out the one that is incomplete")
    if moved is not None and counts != {1}:
        raise FormatError(
            f"{path}: md_prop is of {max(counts)} lags, '{LATER[0 if is_archive else 1]}' of one, and of which is not "
            "told: leave out one of the two, or write a file for each lag"
        )
    count = known["propensity"].shape[1] if "propensity" in known else 0
    number = re.search(r"_tc(\d+)", path.name)
    labels = tuple(range(count)) if count != 1 else (int(number[1]) if number and time is None else time or 0,)
    identity = hashlib.sha256(position.tobytes() + types.astype(np.int64).tobytes()).hexdigest()
    n_replicas = 0 if moved is None else len(moved)
    later = None
    if moved is not None:
        ends = (moved + position).reshape(-1, position.shape[1])
        later = np.array([ends.min(axis=0), ends.max(axis=0), np.abs(moved).max(axis=(0, 1))])
    sha256 = hashlib.sha256(content).hexdigest()
    return _File(path, sha256, identity, position, types, box, n_replicas, later, time, labels, known)


def _refuse_wrapped(file: _File, edges: np.ndarray) -> None:
    """Raise `FormatError` where runs end within the box, all of them, and some of them half of it away."""
    if file.later is None:
        return
    lowest, highest, way = file.later
    inside = highest - lowest <= edges * (1 + 1e-6)
    if (inside & (way > edges / 2)).any():
        raise FormatError(
            f"{file.path}: all runs end within one box of edges {', '.join(f'{edge:.6g}' for edge in edges)}, and some "
            f"particles up to {way.max():.3g} from where they began, as if they had been wrapped: write positions "
            "that are not, or md_prop in place of them"
        )


def _species(heads: list[_File], names: Any, lines: list[str]) -> tuple[np.ndarray, list[Any]]:
    """Names of the species, and the order of the particles of each configuration."""
    first = heads[0]
    for head in heads:
        if head.position.shape != first.position.shape or (np.sort(head.types) != np.sort(first.types)).any():
            raise SpeciesError(
                f"{head.path}: {len(head.types)} particles whose types are not those of the {len(first.types)} in "
                f"{first.path}: ingest them into another store"
            )
    lowest = min(int(head.types.min()) for head in heads)
    kinds = [str(kind) for kind in np.unique(first.types)]
    given = {str(key): name for key, name in (names or {}).items()}
    if given and set(kinds) - set(given):
        advice = unknown_values("species_names", sorted(set(kinds) - set(given)))
        raise SpeciesError(f"{first.path}: not all species are given names: also {advice}")
    table = given or {kind: LETTERS[int(kind) - (1 if lowest else 0)] for kind in kinds}
    lines.append("types are named " + ", ".join(f"{kind}={table[kind]}" for kind in kinds))
    same = all(np.array_equal(head.types, first.types) for head in heads)
    order: list[Any] = [slice(None) if same else np.argsort(head.types, kind="stable") for head in heads]
    if not same:
        lines.append("types are in another order in each configuration: particles are sorted by type")
    return np.array([table[str(kind)] for kind in first.types[order[0]]]), order


def _lags(files: list[_File], given: Any, lines: list[str]) -> tuple[list[Any], np.ndarray]:
    """What tells the lags apart, sorted, and their times or numbers."""
    if len({len(file.labels) for file in files}) > 1 or len({file.time is None for file in files}) > 1:
        raise FormatError(f"{files[0].path}: not all files tell as many lags, or their times: ingest them apart")
    seen: dict[tuple[str, Any], Path] = {}
    for file in files:
        for label in file.labels:
            if (file.identity, label) in seen:
                raise FormatError(
                    f"{file.path}: has the configuration and the lag of {seen[file.identity, label]}: leave out one"
                )
            seen[file.identity, label] = file.path
    labels = sorted({label for file in files for label in file.labels})
    if files[0].time is not None and given is None:
        return labels, np.array(labels, dtype=np.float64)
    if given is not None:
        return labels, times_of_lags(given, len(labels))
    if labels:
        lines.append(
            f"the files do not tell their lags, {', '.join(map(str, labels))}: they are numbered from 0, or give their "
            "times with `lags=[...]`"
        )
    return labels, np.arange(len(labels), dtype=np.float64)


def times_of_lags(given: Any, count: int) -> np.ndarray:
    """The times that were given for so many lags, one for each.

    Raises
    ------
    ParameterError
        They are not as many, or not numbers from 0 that differ from each other.

    Examples
    --------
    >>> times_of_lags([0.1, 10], 2).tolist()
    [0.1, 10.0]
    """
    times = schema.numbers("lags", given).astype(np.float64)
    if times.shape != (count,):
        raise ParameterError(f"lags has shape {times.shape}, but the files have {count} lags: give one for each")
    if not (np.isfinite(times) & (times >= 0)).all() or len(set(times.tolist())) < count:
        raise ParameterError(
            f"lags are {', '.join(f'{time:g}' for time in times)}: give times that are not negative and all different"
        )
    return times


def _box(head: _File, density: float, given: Any, lines: list[str]) -> np.ndarray:
    n, d = head.position.shape
    if given is not None or head.box is not None:
        cell: np.ndarray = schema.cell_matrix(head.box if given is None else given, 1, d)[0]
        return cell
    edge = (n / density) ** (1.0 / d)
    shape = "a cube" if d == 3 else "a square"
    line = f"no box in the files: it is taken for {shape} of density {density:g}, edge {edge:.6g}"
    lines += [] if line in lines else [line]
    cube: np.ndarray = np.eye(d) * edge
    return cube


def _replicas(
    configurations: list[list[_File]], order: list[Any], labels: list[Any], n_space: int
) -> tuple[tuple[str, ...], da.Array]:
    """Displacements of all replicas, read file by file when they are computed."""
    counts = {file.n_replicas for found in configurations for file in found}
    if len(counts) > 1:
        raise FormatError(f"{min(counts)} to {max(counts)} replicas in a file: ingest files of as many together")
    (n_replicas,), n_particles = counts, len(configurations[0][0].position)
    shape = (n_replicas, 1, n_particles, n_space)
    frames = []
    for found, mine in zip(configurations, order):
        pieces = []
        for label in labels:
            file = next((file for file in found if label in file.labels), None)
            if file is None:
                pieces.append(da.full(shape, np.nan, chunks=shape))
                continue
            sorted_by = mine if isinstance(mine, slice) else mine.tolist()
            task = dask.delayed(_displacements)(
                str(file.path), file.sha256, sorted_by, dask_key_name=f"replicas-{file.sha256}"
            )
            pieces.append(da.from_delayed(task, shape, np.float64, name=f"replicas-array-{file.sha256}"))
        frames.append(da.concatenate(pieces, axis=1).rechunk((-1, -1, -1, -1)))
    return ("frame", "replica", "lag", "particle", "space"), da.stack(frames)


def _displacements(path: str, sha256: str, order: Any) -> np.ndarray:
    content, arrays, is_archive = _content(Path(path))
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FormatError(f"{path}: has changed while it was read: ingest it again")
    moved = _moved(
        Path(path), arrays, _numbers(Path(path), "start", arrays[POSITIONS[0 if is_archive else 1]]), is_archive
    )
    assert moved is not None
    return moved[:, None, order]


def _moved(path: Path, arrays: dict[str, Any], position: np.ndarray, is_archive: bool) -> np.ndarray | None:
    """Displacements (replica, particle, space), where the file has replicas."""
    later = LATER[0 if is_archive else 1]
    if later not in arrays:
        return None
    ends = _numbers(path, later, np.asarray(arrays[later]))
    if ends.ndim != 3 or ends.shape[1:] != position.shape or len(ends) == 0:
        raise FormatError(f"{path}: '{later}' has shape {ends.shape}, expected (replicas, *{position.shape})")
    if not np.isfinite(ends).all():
        raise FormatError(f"{path}: '{later}' is not finite everywhere: repair it, or leave out the replica")
    moved: np.ndarray = ends - position
    return moved


def _content(path: Path) -> tuple[bytes, dict[str, Any], bool]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(unreadable(error)) from None
    if not zipfile.is_zipfile(BytesIO(content)):
        return content, load_arrays(content, str(path)), False
    try:
        with np.load(BytesIO(content), allow_pickle=False) as file:
            return content, {name: _array(path, file, name) for name in file.files}, True
    except FormatError:
        raise
    except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise FormatError(f"{path}: not a readable NumPy archive ({brief(error)}): copy it again") from None


def _array(path: Path, file: Any, name: str) -> np.ndarray:
    try:
        values: np.ndarray = file[name]
    except ValueError as error:
        if "Object arrays" not in str(error):
            raise
        raise FormatError(f"{path}: array '{name}' has Python objects: save numbers, {name}.astype(...)") from None
    return values


def _numbers(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "fiu":
        raise FormatError(f"{path}: '{name}' has dtype {values.dtype}, expected real numbers")
    return values.astype(np.float64)
