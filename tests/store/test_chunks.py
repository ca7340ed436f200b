"""Chunks that are written and read without Zarr are Zarr's, byte for byte."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import zarr

from glassdask import errors, store
from glassdask.store import arrays, chunks

LAYOUTS = {
    "of frames": ((5, 7, 3), (2, 7, 3)),
    "at two edges": ((4, 10), (3, 4)),
    "whole": ((5,), (5,)),
    "empty": ((0, 3), (1, 3)),
    "one number": ((), ()),
}


def of_zarr(shape, chunk, dtype, compressor, shards=None):
    """The files that Zarr makes, and its array."""
    memory = {}
    array = zarr.create_array(
        memory, shape=shape, chunks=chunk, shards=shards, dtype=dtype, attributes={"units": "length"},
        compressors=[compressor, zarr.codecs.Crc32cCodec()],
        fill_value=math.nan if dtype.kind == "f" else (False if dtype.kind == "b" else 0),
        dimension_names=[f"d{k}" for k in range(len(shape))], config={"write_empty_chunks": True},
    )  # fmt: skip
    return memory, array


def compressor_like(name):
    if name == "zstd":
        return zarr.codecs.ZstdCodec(level=2)
    return zarr.codecs.BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("decimal", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "i1", "u2", "b1"])
def test_files_are_those_that_zarr_writes(tmp_path, dtype, decimal, layout):
    (shape, chunk), kind = LAYOUTS[layout], np.dtype(dtype)
    dims = tuple(f"d{k}" for k in range(len(shape)))
    memory, array = of_zarr(shape, chunk, kind, compressor_like(chunks.codecs_of(kind, decimal)[1]["name"]))
    array[...] = values = (np.random.default_rng(1).normal(size=shape) * 50).astype(kind)

    store.create_group(tmp_path / "a.zarr")
    info = store.create_array(tmp_path / "a.zarr", "x", shape, chunk, kind, dims, {"units": "length"}, decimal=decimal)
    assert info.compressor is not None
    made = json.loads((info.path / "zarr.json").read_text())
    made["attributes"].pop("seal")
    assert made == json.loads(memory.pop("zarr.json").to_bytes())
    whole = tuple(slice(0, size) for size in shape)
    if values.size:
        store.write_region(tmp_path / "a.zarr", "x", whole, values)
    files = {
        file.relative_to(info.path).as_posix(): file.read_bytes()
        for file in info.path.rglob("c*/**/*")
        if file.is_file()
    }
    files |= {"c": (info.path / "c").read_bytes()} if not shape else {}
    assert files == {name: content.to_bytes() for name, content in memory.items()}
    found = arrays.read_region(info, whole)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == kind
    assert found.flags.writeable


def test_the_metadata_of_shards_are_those_of_zarr():
    memory, _ = of_zarr((8, 3), (2, 3), np.dtype("f4"), compressor_like("blosc"), shards=(4, 3))
    codecs = chunks.codecs_of(np.dtype("f4"), decimal=False)
    made = arrays._new_metadata((8, 3), (2, 3), (4, 3), np.dtype("f4"), ("d0", "d1"), {"units": "length"}, codecs)
    assert json.loads(json.dumps(made)) == json.loads(memory["zarr.json"].to_bytes())
    assert chunks.compressor_of(made["codecs"]) is None


@pytest.mark.parametrize("decimal", [False, True])
def test_any_part_is_read_from_whole_chunks(tmp_path, decimal):
    values = np.random.default_rng(2).normal(size=(7, 10, 3))
    store.create_group(tmp_path / "a.zarr")
    info = store.create_array(tmp_path / "a.zarr", "x", (7, 10, 3), (2, 4, 3), "f8", ("f", "p", "s"), decimal=decimal)
    store.write_region(tmp_path / "a.zarr", "x", (slice(0, 7),), values)
    for part in ((slice(0, 7), slice(3, 9), slice(1, 3)), (slice(6, 7), slice(8, 10), slice(0, 3)), (slice(2, 4),) * 3):
        part = tuple(slice(s.start, min(s.stop, n)) for s, n in zip(part, values.shape))
        np.testing.assert_array_equal(arrays.read_region(info, part), values[part])


@pytest.mark.parametrize("decimal", [False, True])
@pytest.mark.parametrize(
    "damage, reason",
    [
        (lambda content: content[:3], "checksum does not fit"),
        (lambda content: content[:-9] + content[-8:], "checksum does not fit"),
        (lambda content: content[:20] + bytes([content[20] ^ 1]) + content[21:], "checksum does not fit"),
    ],
)
def test_a_damaged_chunk_is_told(tmp_path, decimal, damage, reason):
    store.create_group(tmp_path / "a.zarr")
    info = store.create_array(tmp_path / "a.zarr", "x", (4,), (4,), "f8", ("x",), decimal=decimal)
    store.write_region(tmp_path / "a.zarr", "x", (slice(0, 4),), np.arange(4.0))
    file = info.path / "c" / "0"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(errors.CorruptStoreError, match=f"x/c/0: chunk is damaged .*{reason}"):
        arrays.read_region(info, (slice(0, 4),))


@pytest.mark.parametrize("decimal", [False, True])
def test_a_chunk_of_another_array_is_told_by_its_size(tmp_path, decimal):
    store.create_group(tmp_path / "a.zarr")
    for name, size in (("x", 4), ("y", 6)):
        store.create_array(tmp_path / "a.zarr", name, (size,), (size,), "f8", ("n",), decimal=decimal)
        store.write_region(tmp_path / "a.zarr", name, (slice(0, size),), np.arange(float(size)))
    (tmp_path / "a.zarr/y/c/0").replace(tmp_path / "a.zarr/x/c/0")
    with pytest.raises(errors.CorruptStoreError, match="it holds 48 bytes, expected 32"):
        arrays.read_region(arrays.array_info(tmp_path / "a.zarr", "x"), (slice(0, 4),))


def test_what_a_store_says_of_itself_needs_no_heavy_imports(tmp_path):
    import glassdask as gd

    run = tmp_path / "run.zarr"
    gd.save_trajectory(gd.example("wahnstrom").isel(frame=[0]), run)
    gd.save_descriptors(gd.describe(gd.open_trajectory(run), [gd.Coordination(cutoffs=1.4)]), run)
    program = (
        f"import sys; sys.argv = ['glassdask', 'info', {str(run)!r}]\n"
        "from glassdask.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'xarray', 'dask', 'pandas', 'zarr', 'numba', 'scipy'} & sys.modules.keys()))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "described  coordination (of A, B)" in said
    assert said.splitlines()[-1] == "[]"


def test_threads_that_begin_at_once_all_have_the_codecs(tmp_path):
    """Half of a module of numcodecs would make whole chunks look damaged, and `repair` would remove them."""
    group = tmp_path / "a.zarr"
    store.create_group(group)
    for name, dtype in (("x", "f4"), ("n", "i4")):  # blosc and zstd
        store.create_array(group, name, (8, 4), (1, 4), np.dtype(dtype), ("frame", "particle"))
        for k in range(8):
            store.write_region(group, name, (slice(k, k + 1),), np.full((1, 4), k, dtype))
    code = f"""
import threading
from pathlib import Path
from glassdask.store import arrays
infos = [arrays.array_info(Path({str(group)!r}), name) for name in "xn"]
start, wrong = threading.Barrier(16), []
def read(k):
    start.wait()
    try:
        arrays.read_region(infos[k % 2], (slice(k // 2, k // 2 + 1), slice(0, 4)))
    except Exception as error:
        wrong.append(error)
threads = [threading.Thread(target=read, args=(k,)) for k in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not wrong, wrong
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True)
