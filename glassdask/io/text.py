"""Text files, plain or compressed, read once from front to end with memory for a block of a mebibyte."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np

from glassdask.errors import FormatError
from glassdask.io.compression import PROGRAMS, blocks, compression
from glassdask.io.frame import Frame, Survey, encode
from glassdask.schema import CODE

BLOCK = 1 << 20
LONGEST_LINE = 16 * BLOCK
SPECIES_WIDTH = 24


class Lines:
    """Lines of a text file, one at a time (`line`) or as a table of numbers (`table`).

    `offset` counts the bytes of decompressed text before the next line. A plain file is entered anywhere by a seek, a
    compressed one is decompressed from its beginning. `EOFError` means that the text stops where more must follow.
    """

    def __init__(self, path: str, offset: int = 0, digest: Any = None):
        self.offset = offset
        self._blocks = blocks(path, offset, digest, BLOCK)
        self._data = b""
        self._ends = np.empty(0, dtype=np.int64)
        self._next = 0

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.close()

    def line(self) -> str | None:
        """The next line, or None at the end of the file."""
        if self._next == len(self._ends) and not self._refill():
            return None
        return self._take(1).decode("utf-8", "replace").strip()

    def required(self) -> str:
        """The next line of a frame that has begun."""
        line = self.line()
        if line is None:
            raise EOFError
        return line

    def blocks(self, n_lines: int) -> Iterator[bytes]:
        """The next lines, as blocks of whole lines."""
        while n_lines > 0:
            if self._next == len(self._ends) and not self._refill():
                raise EOFError
            count = min(n_lines, len(self._ends) - self._next)
            n_lines -= count
            yield self._take(count)

    def table(self, n_lines: int, fields: list[tuple[str, str]], usecols: range | None = None) -> dict[str, Any]:
        """The next lines as columns: `fields` gives (name, dtype) of each column, a name of '' drops the column.

        The column "species" is returned as codes, with their names in "names".
        """
        kept = [name for name, _ in fields if name]
        dtype = np.dtype([(name or f"-{k}", kind) for k, (name, kind) in enumerate(fields)])
        columns: dict[str, Any] = {
            name: np.empty(n_lines, dtype=CODE if name == "species" else dtype[name]) for name in kept
        }
        names: list[str | int] = []
        start = 0
        for block in self.blocks(n_lines):
            try:
                rows = np.loadtxt(
                    io.BytesIO(block), dtype=dtype, comments=None, usecols=usecols, ndmin=1, encoding="utf-8"
                )
            except UnicodeDecodeError as error:
                raise FormatError(f"atom lines from {start} on are no UTF-8 ({error}): convert the file") from None
            except ValueError as error:
                raise FormatError(_bad_line(block, fields, start, usecols) or str(error)) from None
            count = block.count(b"\n")
            if len(rows) != count:
                raise FormatError(f"an empty line among atom lines {start} to {start + count}: remove it")
            for name in kept:
                values = rows[name]
                if name == "species":
                    if values.dtype.kind == "U" and (np.char.str_len(values) == SPECIES_WIDTH).any():
                        raise FormatError(f"a species name of {SPECIES_WIDTH} or more characters: shorten it")
                    values = encode(values, names)
                columns[name][start : start + count] = values
            start += count
        if "species" in columns:
            columns["names"] = tuple(str(name) for name in names)
        return columns

    def _take(self, count: int) -> bytes:
        begin = self._ends[self._next - 1] if self._next else 0
        self._next += count
        end = self._ends[self._next - 1]
        self.offset += int(end - begin)
        return self._data[begin:end]

    def _refill(self) -> bool:
        # all whole lines are used: what is left is the beginning of the next one
        rest = self._data[self._ends[-1] :] if len(self._ends) else self._data
        while block := next(self._blocks, b""):
            rest += block
            ends = np.flatnonzero(np.frombuffer(rest, dtype=np.uint8) == 10) + 1
            if len(ends):
                self._data, self._ends, self._next = rest, ends, 0
                return True
            if len(rest) > LONGEST_LINE:
                raise FormatError(f"no line end in {LONGEST_LINE >> 20} MiB: this is not a text file")
        if rest:
            raise EOFError
        return False


def survey(path: str, read_header: Callable[[Lines], Any], growing: bool = False) -> Survey:
    """Offsets, steps and times of all frames of a text file and its SHA-256, in one pass, atom lines unparsed.

    `read_header(lines)` reads the lines before the atom lines and returns an object with `n_particles`, `step` and
    `time`, or None at the end of the file. The last frame of a `growing` file may be unfinished.
    """
    digest = hashlib.sha256()
    offsets: list[int] = []
    steps: list[int | None] = []
    times: list[float | None] = []
    unfinished = False
    with Lines(path, digest=digest) as lines:
        while True:
            offset, frame = lines.offset, len(offsets)
            try:
                header = read_header(lines)
                if header is None:
                    break
                for _ in lines.blocks(header.n_particles):
                    pass
            except EOFError:
                if growing and frame > 0:
                    unfinished = True
                    break
                raise FormatError(_truncated(path, frame, offset)) from None
            except FormatError as error:
                raise FormatError(f"{path}, frame {frame}: {error}") from None
            offsets.append(offset)
            steps.append(header.step)
            times.append(header.time)
        plain = compression(path) is None
    return Survey(
        len(offsets),
        digest.hexdigest(),
        np.array(offsets, dtype=np.int64),
        plain,
        None if None in steps else np.array(steps, dtype=np.int64),
        None if None in times else np.array(times, dtype=np.float64),
        unfinished,
    )


def read(
    path: str,
    start: int,
    stop: int,
    offset: int,
    read_header: Callable[[Lines], Any],
    read_body: Callable[[Lines, Any], Frame],
) -> Generator[Frame, None, None]:
    """Frames start to stop of a text file; `offset` is where frame `start` begins."""
    with Lines(path, offset) as lines:
        for number in range(start, stop):
            offset = lines.offset
            try:
                header = read_header(lines)
                if header is None:
                    raise EOFError
                frame = read_body(lines, header)
            except EOFError:
                raise FormatError(_truncated(path, number, offset)) from None
            except FormatError as error:
                raise FormatError(f"{path}, frame {number}: {error}") from None
            yield frame


def _truncated(path: str, frame: int, offset: int) -> str:
    if frame == 0:
        return f"{path}: truncated in its first frame: copy the file again"
    cat = PROGRAMS.get(compression(path) or "", "cat")
    return (
        f"{path}, frame {frame}: truncated (the file ends within the frame): copy it again, or keep the {frame} "
        f"complete frames: {cat} FILE | head -c {offset}"
    )


def _bad_line(block: bytes, fields: list[tuple[str, str]], start: int, usecols: range | None) -> str | None:
    """Which line of the block is not what `fields` says, found slowly, after the fast way has failed."""
    for number, line in enumerate(block.decode("utf-8", "replace").splitlines(), start):
        words = line.split()
        if len(words) < len(fields) or (usecols is None and len(words) > len(fields)):
            return f"atom line {number} has {len(words)} columns, expected {len(fields)}: '{line.strip()[:60]}'"
        for word, (name, kind) in zip(words, fields):
            try:
                if kind[0] == "f":
                    float(word)
                elif kind[0] == "i":
                    int(word)
            except ValueError:
                what = "a number" if kind[0] == "f" else "an integer"
                return f"atom line {number}, column {name}: '{word}' is not {what}"
    return None
