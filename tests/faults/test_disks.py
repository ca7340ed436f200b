"""The disk is full, a chunk is cut short after the fact, two commands want the same group."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from contextlib import contextmanager

import numpy as np
import pytest

import glassdask as gd
from glassdask import errors
from tests.faults.harness import (
    CHUNKS,
    OTHER,
    SLOW,
    ended,
    fingerprint,
    go_on,
    message,
    n_chunks,
    run,
    start,
    stop_when,
    trajectory,
)

pytestmark = pytest.mark.slow
THREADS = ("--cluster", "threads", "-q")


@contextmanager
def mounted(folder, limit):
    """A file system of its own with a limit, and how to change this; skips the test where none may be mounted."""
    mount = shutil.which("mount")
    folder.mkdir()
    made = mount and subprocess.run([mount, "-t", "tmpfs", "-o", limit, "tmpfs", folder], capture_output=True)
    if not made or made.returncode:
        pytest.skip("may not mount a tmpfs here: neither a full disk nor used up inodes are tested")
    try:
        yield folder, lambda limit: subprocess.run([mount, "-o", f"remount,{limit}", folder], check=True)
    finally:
        subprocess.run([shutil.which("umount"), folder], check=True)


@pytest.fixture
def disk(tmp_path):
    """A file system of 5 MB, and how to make it larger."""
    with mounted(tmp_path / "disk", "size=5m") as (folder, change):
        yield folder, lambda size: change(f"size={size}")


def test_disk_full(disk, store, undisturbed):
    folder, enlarge = disk
    path = shutil.move(store, folder / "run.zarr")
    text = message(run("describe", path, SLOW, *THREADS))
    assert f"{path}/descriptors/sbo/sbo: cannot be written (No space left on device)" in text
    assert f"MB are free in {folder}" in text
    assert re.search(r"up to [\d.]+ MB are still to be written", text)
    assert "free space or choose another disk, then run the same command again (what is stored stays)" in text
    assert 0 < n_chunks(path / "descriptors/sbo") < CHUNKS
    enlarge("64m")
    assert run("describe", path, SLOW, *THREADS)[0] == 0
    assert fingerprint(path) == undisturbed


@pytest.mark.parametrize("then", ["more room", "taken back"])
def test_disk_full_while_frames_are_added(disk, tmp_path, then):
    """The frames before are there all the while; with more room the command ends, without its file it is undone."""
    folder, enlarge = disk
    path, files = folder / "run.zarr", [tmp_path / "first.npz", tmp_path / "more.npz"]
    for file, (n_frames, times) in zip(files, ((40, range(40)), (600, range(40, 640)))):
        made = trajectory(n_frames)
        given = {name: made[name].values for name in ("position", "species", "box")}
        np.savez(file, **given, time=np.array(times, dtype=float))
    assert run("ingest", files[0], "--store", path, *THREADS)[0] == 0
    before, position = fingerprint(path), gd.open_trajectory(path)["position"].values
    assert "cannot be written (No space left on device)" in message(
        run("ingest", files[1], "--store", path, "--append", *THREADS)
    )
    np.testing.assert_array_equal(gd.open_trajectory(path)["position"], position)
    assert run("verify", path, "-q")[0] == 0
    assert "are being added, or that was interrupted" in " ".join(run("info", path)[1].split())
    if then == "more room":
        enlarge("64m")
        assert run("ingest", files[1], "--store", path, "--append", *THREADS)[0] == 0
        assert gd.open_trajectory(path).sizes["frame"] == 640
        assert run("verify", path, "-q")[0] == 0
        return
    files[1].unlink()
    code, out, _ = run("repair", path)
    assert code == 0
    assert f"an append of {files[1]} that was interrupted was taken back" in out
    assert fingerprint(path) == before


def test_inodes_used_up(tmp_path):
    """There is room for bytes and not for files: a full disk is not what is told, and with more of them it goes on."""
    made = trajectory(64, 300)
    np.savez(tmp_path / "run.npz", **{name: made[name].values for name in ("position", "species", "box")})
    with mounted(tmp_path / "disk", "nr_inodes=9") as (folder, change):
        command = ("ingest", tmp_path / "run.npz", "--store", folder / "run.zarr", *THREADS)
        text = message(run(*command))
        assert "No space left on device" in text
        assert "its inodes are used up" in text
        change("nr_inodes=1000")
        assert run(*command)[0] == 0
        assert gd.store.verify(folder / "run.zarr") == []
        np.testing.assert_array_equal(gd.open_trajectory(folder / "run.zarr")["position"], made["position"])


def test_chunk_truncated_after_the_fact(described, undisturbed):
    chunk = described / "descriptors/sbo/sbo/c/3/0/0"
    os.truncate(chunk, chunk.stat().st_size // 2)
    code, out, _ = run("verify", described, "-q")
    assert code == 1
    assert out.startswith(f"{chunk}: damaged (frame 12:16, particle 0:1000; ")
    assert out.endswith("remove this file and run the command that wrote it again\n")
    with pytest.raises(errors.CorruptStoreError, match="sbo/c/3/0/0: chunk is damaged"):
        gd.open_descriptors(described)["sbo"].compute()
    assert "descriptors/sbo/sbo/c/3/0/0: chunk is damaged" in message(run("reduce", described, "sbo", *THREADS))
    chunk.unlink()
    assert run("describe", described, SLOW, *THREADS)[0] == 0
    assert fingerprint(described) == undisturbed
    # the other way: computed anew as a whole
    os.truncate(chunk, 5)
    assert run("describe", described, SLOW, "--overwrite", *THREADS)[0] == 0
    assert fingerprint(described) == undisturbed


def test_positions_truncated_after_the_fact(store):
    chunk = store / "position/c/0/0/0"
    os.truncate(chunk, chunk.stat().st_size // 2)
    assert f"{chunk}: chunk is damaged" in message(run("describe", store, SLOW, *THREADS))
    assert n_chunks(store / "descriptors/sbo") == 0


def test_two_at_once(store, undisturbed):
    """The second is told who is at it, whatever its parameters; afterwards all is as if it had never been."""
    first = start("describe", store, SLOW, "--workers", "1", *THREADS)
    stop_when(lambda: n_chunks(store / "descriptors/sbo") >= 1, first)
    for others in ((SLOW,), (OTHER, "--overwrite")):
        text = message(run("describe", store, *others, *THREADS))
        assert f"descriptors/sbo: is being written by process {first.pid} on {socket.gethostname()} since 20" in text
        assert "wait until it has ended" in text
    go_on(first)
    assert ended(first)[0] == 0
    assert fingerprint(store) == undisturbed
    text = message(run("describe", store, OTHER, *THREADS))
    assert "descriptors/sbo is stored with other parameters (l_max 32, now 30): give the new one another name" in text
    assert fingerprint(store) == undisturbed
