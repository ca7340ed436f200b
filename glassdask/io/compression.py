"""Compressed files, told by their first bytes whatever they are called: gzip, zstd, bzip2 and xz."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

from glassdask.errors import FormatError, install

BLOCK = 1 << 20
MARK = b"\xef\xbb\xbf"  # with which editors of Windows begin text
PIECE = 1 << 12  # of compressed bytes at a time: a file of zeros, a thousandth of its size, fills no memory
HEAD = 1 << 12
# Text that grows to more than this, and to more than so many times the file, is no trajectory but made to fill a disk.
BOMB, BOMB_RATIO = 256 << 20, 1200
MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "bzip2": b"BZh", "xz": b"\xfd7zXZ\0"}
SUFFIXES = (".gz", ".zst", ".bz2", ".xz")
PROGRAMS = {"gzip": "zcat", "zstd": "zstdcat", "bzip2": "bzcat", "xz": "xzcat"}


def compression(path: str) -> str | None:
    """'gzip', 'zstd', 'bzip2', 'xz' or None."""
    with open(path, "rb") as raw:
        return _kind(raw.read(8))


def head(path: str) -> bytes:
    """The first bytes of a file, decompressed, without `MARK`; fewer, or none, where the stream is damaged."""
    with open(path, "rb") as raw:
        data = raw.read(HEAD)
        kind = _kind(data)
        if kind is None:
            return ended(data.removeprefix(MARK))
        raw.seek(0)
        new = _decompressor(kind)
        data = b""
        with suppress(EOFError, FormatError):  # which the reader will tell
            for text in _decompressed(raw, kind, new, None, HEAD):
                data += text
                if len(data) >= HEAD:
                    break
        return ended(data[:HEAD].removeprefix(MARK))


def ended(text: bytes) -> bytes:
    r"""Text with ``\n`` at the ends of lines that ``\r`` alone ends, as old Macs wrote them; others are as they are.

    >>> ended(b"2\r\rA 0 0 0\r"), ended(b"2\r\n\r\n")
    (b'2\n\nA 0 0 0\n', b'2\r\n\r\n')
    """
    old = b"\r" in text and b"\n" not in text and b"\0" not in text
    return text.replace(b"\r", b"\n") if old else text


def blocks(path: str, offset: int = 0, digest: Any = None, size: int | None = None) -> Generator[bytes, None, None]:
    """Decompressed bytes from `offset` on, in blocks; `digest` sees the bytes of the file.

    A plain file is entered by a seek, a compressed one is decompressed from its beginning. `EOFError` means that a
    stream ends too early.
    """
    size = BLOCK if size is None else size
    with open(path, "rb") as raw:
        kind = _kind(raw.read(8))
        raw.seek(offset if kind is None else 0)
        if kind is None:
            while data := raw.read(size):
                if digest is not None:
                    digest.update(data)
                yield data
            return
        for data in _joined(_decompressed(raw, kind, _decompressor(kind), digest, size), size):
            if offset < len(data):
                yield data[offset:]
            offset = max(0, offset - len(data))


def _kind(data: bytes) -> str | None:
    return next((kind for kind, magic in MAGIC.items() if data.startswith(magic)), None)


def _joined(parts: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The parts together in blocks of at least `size` bytes."""
    kept: list[bytes] = []
    length = 0
    try:
        for part in parts:
            kept.append(part)
            length += len(part)
            if length >= size:
                yield b"".join(kept)
                kept, length = [], 0
    except EOFError:
        yield b"".join(kept)
        raise
    yield b"".join(kept)


def _decompressed(raw: Any, kind: str, new: Callable[[], Any], digest: Any, size: int) -> Iterator[bytes]:
    stream = new()
    begun = False
    given, found = 0, 0
    while data := raw.read(size):
        if digest is not None:
            digest.update(data)
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            given += len(piece)
            while piece:
                if not begun:
                    piece = piece.lstrip(b"\0")  # zeros between streams and after the last one are padding
                    if not piece:
                        break
                try:
                    begun = True
                    text = stream.decompress(piece)
                except Exception as error:  # zlib.error, OSError, lzma.LZMAError or zstandard.ZstdError
                    raise FormatError(f"damaged {kind} stream ({error}): copy the file again") from None
                if text:
                    found += len(text)
                    if found > BOMB and found > BOMB_RATIO * given:
                        raise FormatError(
                            f"{given} bytes of {kind} hold more than {BOMB_RATIO} times as much: no trajectory does; "
                            "decompress the file first if you trust it"
                        )
                    yield text
                piece = b""
                if stream.eof:
                    piece, stream, begun = stream.unused_data, new(), False
    if begun:
        raise EOFError


def _decompressor(kind: str) -> Callable[[], Any]:
    if kind == "gzip":
        return lambda: zlib.decompressobj(wbits=31)
    if kind == "bzip2":
        return bz2.BZ2Decompressor
    if kind == "xz":
        return lzma.LZMADecompressor
    try:
        import zstandard
    except ImportError:
        raise FormatError(f"zstd needs the package zstandard: {install('io')}") from None
    return lambda: zstandard.ZstdDecompressor().decompressobj()
