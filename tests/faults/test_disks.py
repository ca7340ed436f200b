"""The disk is full, a chunk is cut short after the fact, two commands want the same group."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess

import pytest

import glassdask as gd
from glassdask import errors
from tests.faults.harness import CHUNKS, OTHER, SLOW, ended, fingerprint, message, n_chunks, run, start, wait_for

pytestmark = pytest.mark.slow
THREADS = ("--cluster", "threads", "-q")


@pytest.fixture
def disk(tmp_path):
    """A file system of 8 MB, and how to make it larger."""
    mount, folder = shutil.which("mount"), tmp_path / "disk"
    folder.mkdir()
    made = mount and subprocess.run([mount, "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True)
    if not made or made.returncode:
        pytest.skip("may not mount a tmpfs here: a full disk is not tested")
    yield folder, lambda size: subprocess.run([mount, "-o", f"remount,size={size}", folder], check=True)
    subprocess.run([shutil.which("umount"), folder], check=True)


def test_disk_full(disk, store, undisturbed):
    folder, enlarge = disk
    path = shutil.move(store, folder / "run.zarr")
    text = message(run("describe", path, SLOW, *THREADS))
    assert f"{path}/descriptors/sbo/sbo: cannot be written (No space left on device)" in text
    assert f"MB are free in {folder}" in text
    assert "up to 16.4 MB are still to be written" in text
    assert "free space or choose another disk, then run the same command again (what is stored stays)" in text
    assert 0 < n_chunks(path / "descriptors/sbo") < CHUNKS
    enlarge("64m")
    assert run("describe", path, SLOW, *THREADS)[0] == 0
    assert fingerprint(path) == undisturbed


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
    wait_for(lambda: n_chunks(store / "descriptors/sbo") >= 1, first)
    os.kill(first.pid, signal.SIGSTOP)  # so that it is at it, however slow the others are to begin
    same = start("describe", store, SLOW, *THREADS)
    other = start("describe", store, OTHER, "--overwrite", *THREADS)
    for result in (ended(same), ended(other)):
        text = message(result)
        assert f"descriptors/sbo: is being written by process {first.pid} on {socket.gethostname()} since 20" in text
        assert "wait until it has ended" in text
    os.kill(first.pid, signal.SIGCONT)
    assert ended(first)[0] == 0
    assert fingerprint(store) == undisturbed
    text = message(run("describe", store, OTHER, *THREADS))
    assert "holds data of other input, parameters or code: overwrite it or choose another name" in text
    assert fingerprint(store) == undisturbed
