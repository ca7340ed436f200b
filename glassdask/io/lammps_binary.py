"""Binary dumps of LAMMPS (``dump atom`` or ``custom`` into a file ``*.bin``), of versions that name the columns.

Positions, images and the rest are those of text dumps, see `glassdask.io.lammps`; numbers are exact. Versions of LAMMPS
before 2020 do not name the columns: ``columns={"all": "id type x y z"}`` does; those of ``dump atom`` are known.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from glassdask.errors import FormatError
from glassdask.files import sha256
from glassdask.io.frame import Frame, Survey
from glassdask.io.lammps import OLD, Header
from glassdask.io.lammps_arrays import frame_of_arrays

MAGIC = {8: b"DUMPATOM", 10: b"DUMPCUSTOM"}


@dataclass
class _Block:
    """A frame before its numbers."""

    header: Header
    n_columns: int
    names: list[str]
    n_chunks: int
    order: str


def survey(path: str, columns: dict[str, str] | None = None, keep: Sequence[str] = ()) -> Survey:
    """Find the frames of a dump."""
    digest = sha256(path)
    size, offsets, steps, times = os.path.getsize(path), [], [], []
    with open(path, "rb") as file:
        while file.tell() < size:
            offsets.append(file.tell())
            block = _block(file, path, len(offsets) - 1)
            for _ in range(block.n_chunks):
                (count,) = _unpack(file, block.order + "i", path, len(offsets) - 1)
                if count < 0 or file.tell() + 8 * count > size:
                    raise FormatError(_truncated(path, len(offsets) - 1))
                file.seek(8 * count, os.SEEK_CUR)
            steps.append(block.header.step)
            times.append(block.header.time)
    timed = None if None in times else np.array(times, dtype=np.float64)
    return Survey(len(offsets), digest, np.array(offsets), True, np.array(steps, dtype=np.int64), timed)


def read(
    path: str, start: int, stop: int, offset: int = 0, columns: dict[str, str] | None = None, keep: Sequence[str] = ()
) -> Generator[Frame, None, None]:
    """Frames of a dump."""
    given = dict(columns or {})
    named = given.pop("all", "").split()
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        file.seek(offset)
        for number in range(start, stop):
            block = _block(file, path, number)
            names = block.names or named or (OLD[: block.n_columns] if block.n_columns in (5, 8) else [])
            if len(names) != block.n_columns:
                raise FormatError(
                    f"{path}, frame {number}: {block.n_columns} columns, {len(names)} names: give columns={{'all': 'id "
                    "type x y z ...'}, as they were written"
                )
            parts = []
            for _ in range(block.n_chunks):
                (count,) = _unpack(file, block.order + "i", path, number)
                data = file.read(8 * max(count, 0)) if file.tell() + 8 * count <= size else b""
                if len(data) != 8 * count or count % block.n_columns:
                    raise FormatError(_truncated(path, number))
                parts.append(np.frombuffer(data, block.order + "f8").reshape(-1, block.n_columns))
            table = np.concatenate(parts)
            if len(table) != block.header.n_particles:
                raise FormatError(
                    f"{path}, frame {number}: {len(table)} rows for {block.header.n_particles} particles: the file is "
                    "damaged, copy it again"
                )
            try:
                yield frame_of_arrays(dict(zip(names, table.T)), block.header, given, keep)
            except FormatError as error:
                raise FormatError(f"{path}, frame {number}: {error}") from None


def _block(file: BinaryIO, path: str, number: int) -> _Block:
    """What is before the numbers of a frame (LAMMPS, dump_custom.cpp, header_binary)."""
    order = "<"
    (step,) = _unpack(file, "<q", path, number)
    revision = 0
    if step < 0:
        length = -step
        if length not in MAGIC:
            order, length = ">", -struct.unpack(">q", struct.pack("<q", step))[0]
        if length not in MAGIC or file.read(length) != MAGIC[length]:
            raise FormatError(f"{path}, frame {number}: no binary dump of LAMMPS, or a damaged one: copy it again")
        _, revision = _unpack(file, order + "ii", path, number)
        (step,) = _unpack(file, order + "q", path, number)
    n_particles, triclinic = _unpack(file, order + "qi", path, number)
    flags = _unpack(file, order + "6i", path, number)
    low, high = np.array(_unpack(file, order + "6d", path, number)).reshape(3, 2).T
    cell = np.diag(high - low)
    if triclinic == 1:
        # the bounds are those of the box that encloses the cell, as in text
        xy, xz, yz = _unpack(file, order + "3d", path, number)
        low = low - (min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0)
        high = high - (max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0)
        cell = np.array([[high[0] - low[0], 0, 0], [xy, high[1] - low[1], 0], [xz, yz, high[2] - low[2]]])
    elif triclinic == 2:
        rows = np.array(_unpack(file, order + "12d", path, number)).reshape(4, 3)
        cell, low = rows[:3], rows[3]
    (n_columns,) = _unpack(file, order + "i", path, number)
    time, names = None, []
    if revision > 1:
        _text(file, order, path, number)  # units
        (told,) = _unpack(file, order + "c", path, number)
        time = _unpack(file, order + "d", path, number)[0] if told != b"\0" else None
        names = _text(file, order, path, number).split()
    (n_chunks,) = _unpack(file, order + "i", path, number)
    if (
        not 0 < n_columns < 1 << 16
        or not 0 <= n_chunks < 1 << 24
        or n_particles < 1
        or (names and len(names) != n_columns)
    ):
        raise FormatError(f"{path}, frame {number}: {n_particles} particles, {n_columns} columns: the file is damaged")
    header = Header(n_particles, int(step), time, names, cell, low, tuple(flag == 0 for flag in flags[::2]))
    return _Block(header, n_columns, names, n_chunks, order)


def _text(file: BinaryIO, order: str, path: str, number: int) -> str:
    (length,) = _unpack(file, order + "i", path, number)
    if not 0 <= length < 1 << 20:
        raise FormatError(f"{path}, frame {number}: a text of {length} bytes: the file is damaged")
    return file.read(length).decode("utf-8", "replace")


def _unpack(file: BinaryIO, form: str, path: str, number: int) -> tuple[Any, ...]:
    data = file.read(struct.calcsize(form))
    if len(data) < struct.calcsize(form):
        raise FormatError(_truncated(path, number))
    return struct.unpack(form, data)


def _truncated(path: str, number: int) -> str:
    return f"{path}, frame {number}: truncated (the file ends within the frame): copy it again"
