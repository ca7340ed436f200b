"""Chunks as they lie in their files, without Zarr, which takes a millisecond longer for each and 0.2 s to import.

Only the layout that glassdask itself gives an array is known here: little-endian bytes, compressed, with a crc32c at
the end. Shards, other codecs and other machines are left to Zarr, which reads and writes the same files.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

CRC_BYTES = 4
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
ONE_BYTE = {"name": "bytes"}  # which has no order
CRC = {"name": "crc32c"}
# What is worth its time, as `python -m tests.benchmarks.bench_storage` measures it. Numbers that were decimal text
# shrink by a third with zstd, at level 2 as much as at the default level, codes and marks of particles to almost
# nothing. Of all other floats no codec saves more than a tenth or two, but many rows may be NaN: lz4, on bits of equal
# place side by side, gives both at three times the speed of zstd.
COMPACT: dict[str, Any] = {"name": "zstd", "configuration": {"level": 2, "checksum": False}}
QUICK: dict[str, Any] = {
    "name": "blosc",
    "configuration": {"typesize": 1, "cname": "lz4", "clevel": 1, "shuffle": "bitshuffle", "blocksize": 0},
}
SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


def codecs_of(dtype: np.dtype, decimal: bool) -> list[dict[str, Any]]:
    """The codecs of a new array; `decimal` says that its numbers may come from text.

    >>> [codec["name"] for codec in codecs_of(np.dtype("f4"), decimal=True)]
    ['bytes', 'blosc', 'crc32c']
    """
    if dtype.kind == "f" and not (decimal and dtype.itemsize == 8):
        codec = {**QUICK, "configuration": {**QUICK["configuration"], "typesize": dtype.itemsize}}
    else:
        codec = COMPACT
    return [BYTES if dtype.itemsize > 1 else ONE_BYTE, codec, CRC]


def compressor_of(codecs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The compressor of an array whose layout is ours; None of any other.

    >>> compressor_of([BYTES, COMPACT, CRC])["name"]
    'zstd'
    >>> compressor_of([BYTES, {"name": "gzip", "configuration": {"level": 2}}, CRC])
    """
    if len(codecs) != 3 or codecs[0] not in (BYTES, ONE_BYTE) or codecs[2] != CRC:
        return None
    known = {"zstd": COMPACT, "blosc": QUICK}.get(str(codecs[1].get("name")))
    configuration = codecs[1].get("configuration", {})
    return codecs[1] if known and configuration.keys() == known["configuration"].keys() else None


def codec_of(compressor: Mapping[str, Any]) -> Any:
    """The module of numcodecs that has a compressor.

    The package is imported first: of two threads that begin at once, one with the package and one with a module of it,
    Python gives one a module that is not complete.
    """
    import numcodecs  # noqa: F401

    return importlib.import_module(f"numcodecs.{compressor['name']}")


def encoded(values: np.ndarray, compressor: Mapping[str, Any], shape: tuple[int, ...], fill: Any) -> bytes:
    """The content of the file of a chunk; where it reaches beyond the array, there is the fill value."""
    import google_crc32c

    if values.shape != shape:
        inside, values = values, np.full(shape, fill, values.dtype)
        values[tuple(slice(0, size) for size in inside.shape)] = inside
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    given = compressor["configuration"]
    codec = codec_of(compressor)
    if compressor["name"] == "zstd":
        body = codec.compress(values, given["level"], given["checksum"])
    else:
        shuffle, name = SHUFFLES[given["shuffle"]], given["cname"].encode()
        body = codec.compress(values, name, given["clevel"], shuffle, given["blocksize"])
    crc: int = google_crc32c.value(body)
    return bytes(body) + crc.to_bytes(CRC_BYTES, "little")


def decoded(file: Path, compressor: Mapping[str, Any], shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The values of the chunk in a file; `ValueError` or `RuntimeError` where it is damaged."""
    import google_crc32c

    with open(file, "rb") as stream:
        body = stream.read(max(0, os.fstat(stream.fileno()).st_size - CRC_BYTES))
        given = stream.read()
    if len(given) != CRC_BYTES or google_crc32c.value(body) != int.from_bytes(given, "little"):
        raise ValueError("its checksum does not fit")
    values: np.ndarray = np.empty(shape, dtype.newbyteorder("<"))
    codec = codec_of(compressor)
    if compressor["name"] == "zstd":
        plain = codec.decompress(body)
        check_size(len(plain), values)
        return np.frombuffer(plain, values.dtype).reshape(shape)
    check_size(int.from_bytes(body[4:8], "little"), values)  # as Blosc's header tells
    codec.decompress(body, values)
    return values


def check_size(n_bytes: int, values: np.ndarray) -> None:
    """Raise `ValueError` unless a chunk has as many bytes as its values."""
    if n_bytes != values.nbytes:
        raise ValueError(f"it holds {n_bytes} bytes, expected {values.nbytes}")
