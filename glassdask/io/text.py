"""Text files, plain or compressed, read once from front to end with memory for a block of a mebibyte."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from glassdask.errors import FormatError
from glassdask.io.compression import MARK, PROGRAMS, blocks, compression, ended
from glassdask.io.frame import Frame, Survey
from glassdask.kernels import parsing
from glassdask.schema import CODE

BLOCK = 1 << 20
LONGEST_LINE = 16 * BLOCK
SPECIES_WIDTH = 64
ODD = 1 << 12
NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eEdD]?([+-]\d{3})|[eEdD]([+-]?\d+))?")
INTEGER = re.compile(r"[+-]?\d+")

# A column: its name in the file, what it becomes (the columns of a vector alike), what it holds: a number ("f"), an
# integer ("i"), a word ("s"), or what is passed over (""); and which component of the vector it is.
Column = tuple[str, str, str, int]


class Lines:
    """Lines of a text file, one at a time (`line`), as a table of numbers (`table`), or passed over (`skip`).

    `offset` counts the bytes of decompressed text before the next line. A plain file is entered anywhere by a seek, a
    compressed one is decompressed from its beginning. `EOFError` means that the text stops where more must follow.
    `unended` is true once the last line was read and has no line end.
    """

    def __init__(self, path: str, offset: int = 0, digest: Any = None):
        self.unended = False
        self._blocks = blocks(path, offset, digest, BLOCK)
        self._base = offset  # of what is in memory
        self._data = b""
        self._next = self._end = 0  # of the next line, and of the last whole line

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.close()

    @property
    def offset(self) -> int:
        """Bytes of text before the next line."""
        return self._base + self._next

    def line(self) -> str | None:
        """The next line, or None at the end of the file."""
        found = self.peek()
        if found is not None:
            self._next = self._data.index(b"\n", self._next) + 1
        return found

    def peek(self) -> str | None:
        """The next line, which stays the next one."""
        if self._next == self._end and not self._refill():
            return None
        return self._data[self._next : self._data.index(b"\n", self._next)].decode("utf-8", "replace").strip()

    def filled(self) -> str | None:
        """The next line that is not blank, or None at the end of the file."""
        found = self.line()
        while found == "":
            found = self.line()
        return found

    def required(self) -> str:
        """The next line of a frame that has begun."""
        line = self.line()
        if line is None:
            raise EOFError
        return line

    def skip(self, n_lines: int, width: int = 0) -> None:
        """Pass over lines that are not blank; the last one of the file must have `width` words if it has no end."""
        n_lines = min(n_lines, 1 << 62)
        while n_lines:
            if self._next == self._end and not self._refill():
                raise EOFError
            data = np.frombuffer(self._data, np.uint8)
            self._next, n_lines = map(int, parsing.skip(data, self._next, self._end, n_lines))
        if self.unended and self._next == self._end:
            last = self._data[: self._end].rstrip()
            if len(last[last.rfind(b"\n") + 1 :].split()) < width:
                raise EOFError

    def table(self, n_lines: int, columns: Sequence[Column], whole: bool = True) -> dict[str, Any]:
        """The next lines that are not blank, as an array for each name; a line has no more columns if it is `whole`.

        Columns of the same name are together a vector. Text ("s") is given as codes, with the words in `words`.
        """
        read = [column for column in columns if column[2]]
        if twice := next((column[0] for k, column in enumerate(read) if column in read[:k]), None):
            raise FormatError(f"the column {twice} is there twice: write it once")
        names: dict[str, list[str]] = {}
        kinds = np.array([("", *"fis").index(kind) for _, _, kind, _ in columns], dtype=np.int8)
        places = np.zeros(len(columns), dtype=np.int8)
        for kind in "fis":
            roles = [role for _, role, other, _ in columns if other == kind]
            mine = [k for k, (_, _, other, _) in enumerate(columns) if other == kind]
            mine.sort(key=lambda k: (roles.index(columns[k][1]), columns[k][3]))
            places[mine] = np.arange(len(mine))
            names[kind] = [columns[k][1] for k in mine]
        numbers = self._parsed(n_lines, columns, kinds, places, [len(names[kind]) for kind in "fis"], whole)
        found: dict[str, Any] = {}
        for kind, array in zip("fis", numbers):
            for name in dict.fromkeys(names[kind]):
                first, count = names[kind].index(name), names[kind].count(name)
                found[name] = array[:, first] if count == 1 else array[:, first : first + count]
        found["words"] = dict(zip(names["s"], numbers[3]))
        return found

    def _parsed(
        self, n_lines: int, columns: Sequence[Column], kinds: Any, places: Any, sizes: list[int], whole: bool
    ) -> tuple[Any, ...]:
        floats = np.empty((n_lines, sizes[0]))
        integers = np.empty((n_lines, sizes[1]), dtype=np.int64)
        codes = np.empty((n_lines, sizes[2]), dtype=CODE)
        names: list[np.ndarray] = [
            np.zeros((sizes[2], 64, SPECIES_WIDTH), np.uint8),
            np.zeros((sizes[2], 64), np.int64),
        ]
        slots, counts = np.full((sizes[2], 128), -1, dtype=np.int64), np.zeros(sizes[2], dtype=np.int64)
        odd = np.empty((ODD, 4), dtype=np.int64)
        state = np.zeros(4, dtype=np.int64)
        why = parsing.MORE
        while why != parsing.DONE:
            if self._next == self._end and not self._refill():
                raise EOFError
            data = np.frombuffer(self._data, np.uint8)
            state[parsing.POSITION], state[parsing.N_ODD] = self._next, 0
            why = parsing.parse(
                data, self._end, state, kinds, places, whole, floats, integers, codes, *names, slots, counts, odd
            )
            self._next = int(state[parsing.POSITION])
            for row, column, start, stop in odd[: state[parsing.N_ODD]].tolist():
                word = self._data[start:stop].decode("utf-8", "replace")
                array, read = (floats, _float) if columns[column][2] == "f" else (integers, _integer)
                value = read(word)
                if value is None:
                    what = "a number" if array is floats else "an integer"
                    raise FormatError(f"atom line {row}, column {columns[column][0]}: '{word[:60]}' is not {what}")
                array[row, places[column]] = value
            if why in (parsing.SHORT, parsing.LONG):
                line = self.peek() or ""
                raise FormatError(
                    f"atom line {state[parsing.ROW]} has {len(line.split())} columns, expected {len(columns)}: "
                    f"'{line[:60]}'"
                )
            if why == parsing.NAME_LONG:
                raise FormatError(
                    f"atom line {state[parsing.ROW]}, column {columns[state[parsing.COLUMN]][0]}: a name of more than "
                    f"{SPECIES_WIDTH} characters: shorten it"
                )
            if why == parsing.NAMES_FULL:
                names, slots = _wider(names, counts)
        words = [
            [_word(table[code, : lengths[code]]) for code in range(count)]
            for table, lengths, count in zip(*names, counts.tolist())
        ]
        return floats, integers, codes, words

    def _refill(self) -> bool:
        # all whole lines are used: what is left is the beginning of the next one
        rest = self._data[self._end :]
        self._base, self._next = self._base + self._end, 0
        while block := next(self._blocks, b""):
            rest += ended(block)
            self._end = rest.rfind(b"\n") + 1
            if self._end:
                self._data = rest
                self._next = len(MARK) if self._base == 0 and rest.startswith(MARK) else 0
                return True
            if len(rest) > LONGEST_LINE:
                raise FormatError(f"no line end in {LONGEST_LINE >> 20} MiB: this is not a text file")
        self._data, self._end = rest, 0
        if not rest.strip():
            return False
        self._data, self.unended = rest + b"\n", True
        self._end = len(self._data)
        return True


def _wider(names: list[np.ndarray], counts: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Tables of names with twice the room, and the slots in which they are found."""
    wider = [np.concatenate([table, np.zeros_like(table)], axis=1) for table in names]
    slots = np.full((len(counts), 2 * wider[0].shape[1]), -1, dtype=np.int64)
    for table, lengths, slot, count in zip(*wider, slots, counts):
        again, one = table[:count].copy(), np.zeros(1, dtype=np.int64)
        for word, length in zip(again, lengths[:count].copy()):
            parsing.find_name(word, 0, length, table, lengths, slot, one)
    return wider, slots


def _word(letters: np.ndarray) -> str:
    try:
        return letters.tobytes().decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"a name in the atom lines is no UTF-8 ({error}): convert the file") from None


def _float(word: str) -> float | None:
    """A number in any way in which C and Fortran write it."""
    if word.isascii() and "_" not in word:
        with suppress(ValueError):
            return float(word)
    found = NUMBER.fullmatch(word) if word.isascii() else None
    return float(f"{found[1]}e{found[2] or found[3] or 0}") if found else None


def _integer(word: str) -> int | None:
    value = int(word) if word.isascii() and INTEGER.fullmatch(word) else None
    return value if value is not None and abs(value) < 1 << 63 else None


def numbers_of(words: Sequence[str]) -> list[float]:
    """Words as numbers, or nothing where one of them is none."""
    values = [_float(word) for word in words]
    return [] if None in values else [value for value in values if value is not None]


def whole(value: float, what: str, said: str | None = None) -> int:
    """A number as the integer that it must be, such as a step."""
    if not np.isfinite(value) or value != int(value) or abs(value) >= 1 << 63:
        found = value if said is None else repr(said[:60])
        raise FormatError(f"{what} is {found}, expected an integer of 64 bits: repair the file")
    return int(value)


def survey_one(path: str) -> Survey:
    """A file of one frame, read to its end for its SHA-256; what is in it is looked at when it is read."""
    digest = hashlib.sha256()
    with Lines(path, digest=digest) as lines, suppress(EOFError):
        while lines.line() is not None:
            pass
    return Survey(1, digest.hexdigest(), None, False)


def survey(path: str, read_header: Callable[[Lines], Any], growing: bool = False) -> Survey:
    """Offsets, steps and times of all frames of a text file and its SHA-256, in one pass, atom lines unparsed.

    `read_header(lines)` reads the lines before the atom lines and returns an object with `n_particles`, `width` (the
    words of an atom line), `step` and `time`, or None at the end of the file. Frames without particles are left out.
    The last frame of a `growing` file may be unfinished.
    """
    digest = hashlib.sha256()
    offsets: list[int] = []
    steps: list[int | None] = []
    times: list[float | None] = []
    unfinished, n_empty, moved = False, 0, False
    with Lines(path, digest=digest) as lines:
        while True:
            offset, frame = lines.offset, len(offsets)
            try:
                header = read_header(lines)
                if header is None:
                    break
                if header.n_particles == 0:
                    n_empty += 1
                    continue
                lines.skip(header.n_particles, header.width)
                if growing and frame > 0 and lines.unended:
                    raise EOFError
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
            moved |= header.origin is not None and bool(header.origin.any())
        plain = compression(path) is None
    notes = []
    if n_empty:
        notes.append(f"{n_empty} frame{'s' if n_empty > 1 else ''} without particles left out")
    if lines.unended and not unfinished:
        notes.append(
            "the last line has no line end, and was read: if the file was cut there, its last number may lack digits"
        )
    return Survey(
        len(offsets),
        digest.hexdigest(),
        np.array(offsets, dtype=np.int64),
        plain,
        None if None in steps else np.array(steps, dtype=np.int64),
        None if None in times else np.array(times, dtype=np.float64),
        unfinished,
        tuple(notes),
        moved,
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
                while header is not None and header.n_particles == 0:
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
        f"{path}, frame {frame}: truncated (the file ends within the frame): copy it again, let the frame wait with "
        f"`append=True`, or keep the {frame} complete frames: {cat} FILE | head -c {offset}"
    )
