"""Tables of particles, a row for each in every frame: CSV and parquet, of trackpy, TrackMate and `glassdask.export`.

Columns: the frame, x, y(, z), and if they are there the number of the track, species, time and step, radius or
diameter, images, velocities and an energy, under the names of these programs (`COLUMNS`) or those of
``columns={"position": "x_um,y_um", "id": "cell"}``. Frames are in the order of their numbers, which are the steps. A
row without a track is a particle of its own. Without a column of species all particles are of the species 1. ``keep=``
names further columns. Tables are read as a whole.

A CSV file has no box: give ``box=``. In parquet files of `glassdask.export` it is in the metadata.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from glassdask.errors import FormatError, brief, install
from glassdask.files import sha256
from glassdask.io.frame import Frame, Survey, encode, named_column
from glassdask.io.tables import ALL, kept_columns, of_diameters

COLUMNS = {
    "frame": ("frame", "FRAME", "Frame"),
    "id": ("id", "particle", "TRACK_ID", "track_id", "trajectory"),
    "species": ("species", "type", "element"),
    "step": ("step",),
    "time": ("time", "POSITION_T"),
    "energy": ("energy",),
    "diameter": ("diameter", "radius", "RADIUS"),
}
VECTORS = {
    "position": (("x", "y", "z"), ("X", "Y", "Z"), ("POSITION_X", "POSITION_Y", "POSITION_Z")),
    "image": (("ix", "iy", "iz"),),
    "velocity": (("vx", "vy", "vz"),),
}
REMARKS = 3  # lines of TrackMate below the names: what they mean, and their units


def survey(path: str, columns: dict[str, str] | None = None, keep: Sequence[str] = ()) -> Survey:
    """Count the frames of a table."""
    digest = sha256(path)
    table, _ = _read(path)
    roles = _roles(table, columns or {}, path)
    numbers = _numbers(table, roles["frame"], path)
    frames = np.unique(numbers)
    steps = _of_frames(table, roles.get("step", roles["frame"]), numbers, path)
    whole = bool((steps == np.rint(steps)).all())
    times = _of_frames(table, roles["time"], numbers, path) if "time" in roles else None
    return Survey(len(frames), digest, None, False, steps=steps.astype(np.int64) if whole else None, times=times)


def read(
    path: str, start: int, stop: int, offset: int = 0, columns: dict[str, str] | None = None, keep: Sequence[str] = ()
) -> Generator[Frame, None, None]:
    """Frames of a table."""
    table, about = _read(path)
    roles = _roles(table, columns or {}, path)
    vectors = _vectors(table, columns or {}, path)
    numbers = _numbers(table, roles["frame"], path)
    frames = np.unique(numbers)
    order = np.argsort(numbers, kind="stable")
    edges = np.searchsorted(numbers[order], [*frames, np.inf])
    values = {
        role: np.stack([_numbers(table, name, path) for name in names], axis=1) for role, names in vectors.items()
    }
    values |= {role: _numbers(table, roles[role], path) for role in ("energy", "diameter") if role in roles}
    notes: list[str] = []
    if "diameter" in roles:
        sizes, line = of_diameters(np.asarray(values.pop("diameter"), dtype=np.float64), roles["diameter"])
        values |= {} if sizes is None else {"diameter": sizes}
        notes += line
    ids = None
    if "id" in roles:
        ids, alone = _tracks(table, roles["id"], path)
        notes += [f"{alone} rows are of no track: each is a particle of its own"] if alone else []
    if "species" in roles:
        labels = table[roles["species"]].astype(str).to_numpy(dtype=str)
    else:
        labels = np.full(len(table), "1")
        notes.append("no column says what the species are: all particles are of the species 1")
    steps = _of_frames(table, roles.get("step", roles["frame"]), numbers, path)
    times = _of_frames(table, roles["time"], numbers, path) if "time" in roles else None
    for name, first in ((roles.get("step"), steps), (roles.get("time"), times)):
        if name is None or first is None:
            continue
        if (_numbers(table, name, path)[order] != np.repeat(first, np.diff(edges))).any():
            notes.append(f"{name} differs between rows of one frame: that of its first row is taken")
    used = {*roles.values(), *(name for names in vectors.values() for name in names)}
    numeric = [str(name) for name in table if table[name].dtype.kind in "fiub"]
    kept_names = kept_columns(keep, numeric if ALL in keep else [str(name) for name in table], _read_as(roles, vectors))
    kept = {name: _numbers(table, name, path) for name in kept_names}
    n_space = values["position"].shape[1]
    names: list[str | int] = []
    for number in range(start, stop):
        rows = order[edges[number] : edges[number + 1]]
        here: dict[str, Any] = {role: array[rows] for role, array in values.items()}
        cell = about["box"][number if len(about["box"]) > 1 else 0] if about else None
        origin = about["origin"][number if len(about["origin"]) > 1 else 0] if about else None
        place = here.pop("position")
        codes = encode(labels[rows], names)
        yield Frame(
            place if origin is None else place - np.asarray(origin),
            tuple(str(name) for name in names),
            codes,
            None if cell is None else np.asarray(cell, dtype=np.float64),
            tuple(about["periodic"]) if about else (True,) * n_space,
            None if origin is None else np.asarray(origin, dtype=np.float64),
            image=here.pop("image").astype(np.int64) if "image" in here else None,
            time=None if times is None else float(times[number]),
            step=int(steps[number]) if (steps == np.rint(steps)).all() else None,
            id=None if ids is None else ids[rows],
            told=False,
            kept={name: column[rows] for name, column in kept.items()},
            unread=tuple(str(name) for name in table if name not in used and name not in kept),
            notes=tuple(notes),
            **here,
        )


def _read(path: str) -> tuple[Any, dict[str, Any]]:
    """The table, and what of the box is in its metadata."""
    import pandas

    try:
        with open(path, "rb") as raw:
            if raw.read(4) != b"PAR1":
                table = pandas.read_csv(path, low_memory=False, skipinitialspace=True, compression=_compression(path))
                frame = next((name for name in COLUMNS["frame"] if name in table), None)
                if frame is not None:  # the first lines of TrackMate are remarks, and make text of all columns
                    first = pandas.to_numeric(table[frame].head(REMARKS), errors="coerce").isna()
                    skipped = int(first.cumprod().sum())
                    if skipped:
                        lines = range(1, 1 + skipped)
                        table = pandas.read_csv(
                            path, skiprows=lines, low_memory=False, skipinitialspace=True,
                            compression=_compression(path),
                        )  # fmt: skip
                return table, {}
        try:
            from pyarrow import parquet
        except ImportError:
            raise FormatError(f"{path}: parquet needs the package pyarrow: {install('io')}") from None
        found = parquet.read_table(path)
        about = json.loads((parquet.read_metadata(path).metadata or {}).get(b"glassdask", b"{}"))
        return found.to_pandas(), about
    except FormatError:
        raise
    except Exception as error:  # pandas and pyarrow raise many
        raise FormatError(f"{path}: not a readable table ({brief(error)}): write or copy it again") from None


def _compression(path: str) -> Any:
    from glassdask.io.compression import compression

    return {"gzip": "gzip", "zstd": "zstd", "bzip2": "bz2", "xz": "xz"}.get(compression(path) or "")


def _roles(table: Any, columns: dict[str, str], path: str) -> dict[str, str]:
    found = [str(name) for name in table]
    try:
        roles = {role: named_column(columns, role, names, found) for role, names in COLUMNS.items()}
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    if roles["frame"] is None and len(found) == 1:
        raise FormatError(f"{path}: a single column '{found[0][:60]}': write the table with commas between the columns")
    if roles["frame"] is None:
        raise FormatError(
            f"{path}: no column for the frame: found {' '.join(found)}; name it, such as `columns={{'frame': "
            f"'{found[0]}'}}`"
        )
    return {role: name for role, name in roles.items() if name is not None}


def _read_as(roles: dict[str, str], vectors: dict[str, list[str]]) -> dict[str, str]:
    """What each column is read as."""
    return {name: role for role, name in roles.items()} | {
        name: role for role, names in vectors.items() for name in names
    }


def _vectors(table: Any, columns: dict[str, str], path: str) -> dict[str, list[str]]:
    """Columns of positions, images and velocities."""
    found: dict[str, list[str]] = {}
    if "position" in columns:
        found["position"] = [name.strip() for name in columns["position"].split(",")]
    for role, spellings in VECTORS.items():
        for names in spellings:
            if role not in found and all(name in table for name in names[:2]):
                found[role] = [name for name in names if name in table]
    missing = [name for name in found.get("position", []) if name not in table]
    if "position" not in found or missing or len(found["position"]) not in (2, 3):
        used = {*_roles(table, columns, path).values(), *columns.values()}
        rest = [name for name in map(str, table) if name not in used]
        pair = ",".join(sorted(rest, key=lambda name: name.lower()[:1] not in "xy")[:2])
        raise FormatError(
            f"{path}: no columns x, y(, z): found {' '.join(map(str, table))}; name them, such as "
            f"`columns={{'position': '{pair}'}}`"
        )
    n_space = len(found["position"])
    return {role: names for role, names in found.items() if len(names) == n_space}


def _numbers(table: Any, name: str, path: str) -> np.ndarray:
    values = table[name].to_numpy()
    if values.dtype.kind not in "fiub":
        bad = next((row for row, value in enumerate(values.tolist()) if not _is_number(value)), 0)
        raise FormatError(f"{path}: column {name}, row {bad}: '{str(values[bad])[:40]}' is no number: repair it")
    return np.asarray(values)


def _is_number(value: Any) -> bool:
    try:
        float(value)
        return True
    except (TypeError, ValueError):
        return False


def _of_frames(table: Any, name: str, numbers: np.ndarray, path: str) -> np.ndarray:
    """The value of a column at the first row of each frame."""
    _, first = np.unique(numbers, return_index=True)
    return _numbers(table, name, path)[first]


def _tracks(table: Any, name: str, path: str) -> tuple[np.ndarray, int]:
    """Ids of all rows, those without a track above all others, and how many these are."""
    import pandas

    values = pandas.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
    alone = np.isnan(values)
    ids = np.where(alone, 0, values).astype(np.int64)
    if (ids != np.where(alone, 0, values)).any():
        raise FormatError(f"{path}: column {name} has numbers that are not whole: name another as id, or repair them")
    ids[alone] = ids.max(initial=0) + 1 + np.arange(int(alone.sum()))
    return ids, int(alone.sum())
