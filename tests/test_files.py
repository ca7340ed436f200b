"""Files are whole or not there, whatever kills their writer and however many write at once."""

from __future__ import annotations

import errno
import os
import pickle
import re
import signal
import subprocess
import sys
import threading

import pytest

from glassdask import files
from glassdask.errors import BusyStoreError, CorruptStoreError, StoreError
from glassdask.files import RefusedError, create, locked, put, read_json, replacing, unpickle, write_json

HOLD = (
    "import sys, pathlib; from glassdask.files import locked\n"
    "with locked(pathlib.Path(sys.argv[1]), 'x'): print('held', flush=True); input()"
)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("sync", [True, False])
def test_nobody_sees_half_a_file(tmp_path, sync):
    file = tmp_path / "a"
    put(file, "old", sync=sync)
    with replacing(file, sync=sync) as stream:
        stream.write(b"new")
        stream.flush()
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    with pytest.raises(TypeError), replacing(file, sync=sync) as stream:
        stream.write(b"half" + stream.write(b"half"))
    assert file.read_text() == "new"
    assert names(tmp_path) == ["a"]


def test_a_killed_writer_leaves_the_file_before(tmp_path):
    file = tmp_path / "a"
    put(file, "old")
    code = "import os, sys\nfrom glassdask.files import replacing\nwith replacing(sys.argv[1]) as stream:\n"
    code += "    stream.write(b'half'); stream.flush(); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, file]).returncode == -signal.SIGKILL
    assert file.read_text() == "old"
    assert [name for name in names(tmp_path) if not re.fullmatch(r"a\.[0-9a-f]{32}\.partial", name)] == ["a"]


@pytest.mark.parametrize("links", [True, False])
def test_one_of_many_creates_a_file(tmp_path, monkeypatch, links):
    def refuse(*_):
        raise OSError(errno.EPERM, "no hard links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    ready, made = threading.Barrier(8), []

    def make(k):
        ready.wait(60)
        if create(tmp_path / "a", str(k)):
            made.append(k)

    threads = [threading.Thread(target=make, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 1
    assert (tmp_path / "a").read_text() == str(made[0])
    assert names(tmp_path) == ["a"]


def test_unfinished_files_that_others_remove_are_written_again(tmp_path, monkeypatch):
    """Who has just finished a group clears the left-overs of killed writers, and may hit a living one's."""
    replace, seen = os.replace, []

    def cleared(source, target):
        seen.append(source)
        if len(seen) < files.ATTEMPTS:
            os.unlink(source)
        replace(source, target)

    monkeypatch.setattr(os, "replace", cleared)
    put(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"
    assert len(set(seen)) == files.ATTEMPTS


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, r"\d MB are free in .*: free space or choose another disk"),
        (errno.EDQUOT, "free space in your quota"),
        (errno.EROFS, "choose a place where you may write"),
        (errno.EIO, "see to the file system"),
    ],
)
@pytest.mark.parametrize("write", [put, create, lambda path, text: write_json(path, {"a": text})])
def test_what_the_file_system_refuses_is_one_line(tmp_path, monkeypatch, write, number, remedy):
    def refuse(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=remedy) as error:
        write(tmp_path / "a", "text")
    assert "\n" not in str(error.value)
    assert os.strerror(number) in str(error.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("free", "words"), [(0, "no more files"), (3, "no more than 3 files"), (1000, "MB are free")])
def test_inodes_that_are_used_up_are_no_full_disk(tmp_path, monkeypatch, free, words):
    def refuse(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    found = list(os.statvfs(tmp_path))
    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result([*found[:5], 5000, free, free, *found[8:]]))
    with pytest.raises(StoreError, match=f"{words}.* in {tmp_path}") as told:
        put(tmp_path / "a", "text")
    assert ("(its inodes are used up): free space" in str(told.value)) == (free < 1000)


@pytest.mark.parametrize(("where", "remedy"), [("none/a", "make its folder first"), ("file/a", "a parent is a file")])
def test_a_place_that_cannot_be(tmp_path, where, remedy):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=remedy):
        put(tmp_path / where, "x")


def test_json(tmp_path):
    file = tmp_path / "a.json"
    assert read_json(file) is None
    write_json(file, {"a": [1, 2.5, "é", None]})
    assert read_json(file) == {"a": [1, 2.5, "é", None]}
    assert read_json(file / "below") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"3", b"[" * 100_000], ids=range(6))
def test_json_that_is_none(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(CorruptStoreError, match=r"a\.json: "):
        read_json(tmp_path / "a.json")


def test_json_that_cannot_be_read(tmp_path):
    with pytest.raises(StoreError, match="Is a directory"):
        read_json(tmp_path)


def test_lock_says_who_holds_it_and_ends_with_its_owner(tmp_path):
    file = tmp_path / "lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"held\n"
        expected = rf"^run.zarr: is being written by process {process.pid} on \S+ since 20"
        with pytest.raises(BusyStoreError, match=expected), locked(file, "run.zarr", patience=0.0):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with locked(file, "run.zarr", patience=0.0):
        assert f"process {os.getpid()} " in file.read_text()
    assert names(tmp_path) == []


def test_one_at_a_time_holds_a_lock(tmp_path):
    """The file goes with each owner; who waits for the removed one does not enter beside its successor."""
    inside, most = [], []

    def enter():
        for _ in range(5):
            with locked(tmp_path / "lock", "x"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * 20
    assert names(tmp_path) == []


def test_without_locks_the_work_is_done_nevertheless(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    with locked(tmp_path / "lock", "x"), locked(tmp_path / "lock", "x"):
        pass
    with locked(tmp_path / "no folder" / "lock", "x"):
        pass


class Call:
    """Calls what it is given when it is unpickled."""

    def __init__(self, call, *arguments):
        self.made_of = (call, arguments)

    def __reduce__(self):
        return self.made_of


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Call(os.getcwd)),
        pickle.dumps(Call(getattr, range(3), "count")),
        b"\x80\x04\x8c\x08builtins\x8c\x0frange.__class__\x93.",  # a listed thing is no way to what hangs on it
        b"\x80\x04\x8c\x0ebuiltins.range\x8c\x05count\x93.",
        b"Pname\n.",
    ],
)
def test_pickles_call_nothing_but_what_is_listed(content):
    with pytest.raises(RefusedError):
        unpickle(content, {"builtins.range": None, "builtins.range.__class__": None})


def test_pickles_get_what_stands_for_a_thing():
    assert unpickle(pickle.dumps(Call(os.getcwd)), {"posix.getcwd": lambda: "elsewhere"}) == "elsewhere"
    assert unpickle(pickle.dumps(range(3)), {"builtins.range": None}) == range(3)


def test_every_file_that_others_may_read_goes_through_here():
    """What renames, links, locks or unpickles stands in one module, or here with its reason."""
    elsewhere = {
        "cluster/checking.py": "measures a disk",
        "simulation/checkpoints.py": "a checkpoint is a folder",
        "store/appending.py": "chunks move from the stage to their places",
        "store/groups.py": "a group that is removed is a folder",
    }
    root = files.Path(files.__file__).parent
    calls = r"\bos\.(replace|rename|link|fsync)\(|fcntl|O_EXCL|Unpickler\(|json\.dump\(|json\.load\(|NamedTemporaryFile"
    found = {str(file.relative_to(root)) for file in root.rglob("*.py") if re.search(calls, file.read_text())}
    assert found == {"files.py", *elsewhere}


@pytest.mark.parametrize(
    ("limit", "advice"), [("RLIMIT_NOFILE", r"ulimit -n"), ("RLIMIT_FSIZE", r"ulimit -f"), (None, "")], ids=str
)
def test_limits_of_the_shell(tmp_path, limit, advice):
    """In a process of its own, whose limits are its own."""
    code = (
        "import resource, sys\nfrom glassdask import files\nfrom glassdask.errors import StoreError\n"
        f"files.put({str(tmp_path / 'x')!r}, '{{}}')\nlimit = getattr(resource, sys.argv[1], None)\n"
        "if limit is not None: resource.setrlimit(limit, (3, 3))\n"
        "try: files.put(sys.argv[2], b'more than three bytes'); files.read_json(sys.argv[2])\n"
        "except StoreError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(limit), str(tmp_path / "x")], capture_output=True, text=True, check=True
    )
    assert re.search(advice, done.stdout), done.stdout
    assert len(done.stdout.splitlines()) == 1
