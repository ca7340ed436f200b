"""What a file is: told by its content, whatever it is called."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pickle
import tarfile

import numpy as np
import pytest

import glassdask.io as gio
from glassdask import errors
from tests.io.sample_files import dump, extxyz, plain_xyz, sample
from tests.io.test_binary_formats import save, write_gsd

RUN = sample()
TEXTS = {
    "lammps": dump(RUN),
    "lammps ": "\n" + dump(RUN, extra=True),
    "xyz": extxyz(RUN),
    "xyz ": plain_xyz(RUN, None),
}
NAMES = [
    "dump.melt.0",
    "dump.*.atom",
    "melt",
    "run.xyz",
    "run.lammpstrj",
    "x.npz",
    "x.dump.gz",
    "x.zst",
    "a.gsd",
    "a.pdb",
]


def zstd(data: bytes) -> bytes:
    return pytest.importorskip("zstandard").ZstdCompressor(write_checksum=True).compress(data)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd, bz2.compress, lzma.compress])
@pytest.mark.parametrize("kind", TEXTS)
def test_content_decides_whatever_the_name(tmp_path, kind, compress):
    data = compress(TEXTS[kind].encode())
    for name in NAMES:
        path = tmp_path / name
        path.write_bytes(data)
        index = gio.scan(path)
        assert (index.format, index.n_frames) == (kind.strip(), 5)
    assert len(list(gio.frames(index))) == 5


@pytest.mark.parametrize("compress", [gzip.compress, zstd, bz2.compress, lzma.compress])
def test_streams_behind_each_other_are_one_text_and_cut_ones_are_truncated(tmp_path, compress):
    whole = compress(TEXTS["lammps"].encode())
    path = tmp_path / "run"
    path.write_bytes(whole + whole)
    assert gio.scan(path).n_frames == 10
    path.write_bytes(whole[:-9])
    with pytest.raises(errors.FormatError, match="truncated"):
        gio.scan(path)
    path.write_bytes(whole[:30])
    with pytest.raises(errors.FormatError, match="run: "):
        gio.scan(path, format="lammps")


def test_binary_files_are_recognised(tmp_path):
    archive = save(tmp_path / "x.npz", RUN)
    archive.rename(tmp_path / "archive")
    assert gio.find_format(tmp_path / "archive") == "npz"
    pytest.importorskip("gsd")
    write_gsd(tmp_path / "x.gsd", RUN)
    (tmp_path / "x.gsd").rename(tmp_path / "x.dump")
    assert gio.scan(tmp_path / "x.dump").format == "gsd"


def test_zeros_that_were_compressed_fill_no_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "run.dump"
    path.write_bytes(gzip.compress(b"ITEM: TIMESTEP\n" + bytes(40 << 20), compresslevel=1))
    tracemalloc.start()
    try:
        with pytest.raises(errors.FormatError, match="no line end in 16 MiB"):
            gio.scan(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"LAMMPS (2 Aug 2023)\nunits lj\n", "this is the log of a LAMMPS run, .*: name the dump"),
        (b"#!/bin/sh\necho\n", "this is a script"),
        (b"\x89PNG\r\n\x1a\n", "this is a picture"),
        (pickle.dumps({"a": 1}), "this is a Python pickle"),
        (b'{"a": [1, 2]}', "this is JSON"),
        (b"hello\nworld\n", "neither its content nor its suffix is known; known are .*dump .*xyz"),
        (b"", "the file is empty"),
    ],
)
def test_strangers_are_told_by_name(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(errors.FormatError, match=f"file: {message}"):
        gio.find_format(path)


def test_archives_of_files_and_of_one_array(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(errors.FormatError, match=r"this is a single NumPy array.*numpy\.savez"):
        gio.find_format(tmp_path / "x.npy")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "x.npy", "x.npy")
    with pytest.raises(errors.FormatError, match=r"this is a tar archive.*tar xf"):
        gio.find_format(tmp_path / "x.tar")


def test_pipes_and_devices(tmp_path):
    """They may never end, and nothing could be read twice."""
    os.mkfifo(tmp_path / "pipe.dump")
    for path in (tmp_path / "pipe.dump", "/dev/zero"):
        with pytest.raises(errors.FormatError, match=f"^{path}: is a pipe or a device, which may never end: write"):
            gio.scan(path)


def test_archives_of_very_many_arrays(tmp_path):
    np.savez(tmp_path / "x.npz", **{f"a{k}": [1.0] for k in range(40)})
    with pytest.raises(errors.FormatError, match=r"no array position, species: found a0, a1, .* and 28 more; name"):
        gio.scan(tmp_path / "x.npz")


def test_nothing_there(tmp_path):
    with pytest.raises(errors.FormatError, match=r"none\.dump: cannot be read \(No such file"):
        gio.find_format(tmp_path / "none.dump")
    with pytest.raises(errors.FormatError, match=r"is a folder: name the files in it"):
        gio.find_format(tmp_path)
