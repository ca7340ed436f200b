"""All kernels are compiled at once, by one process at a time, and found where nobody can write."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import dask
import pytest
from numba.core.dispatcher import Dispatcher

import glassdask.kernels
from glassdask import cli
from glassdask.cli import compiling
from glassdask.kernels import cache

PROGRAM = """
import os, sys, time
from pathlib import Path
from glassdask.kernels import cache
from one_kernel.kernels import twice

folder = Path(sys.argv[1])
save, stored = cache.Kept.save_overload, cache.Kept._stored

def slow(self, *data):
    while len(list(folder.glob("asked-*"))) < 2:  # both have looked, and found nothing
        time.sleep(0.01)
    save(self, *data)

def asking(self, *arguments):
    found = stored(self, *arguments)
    (folder / f"asked-{os.getpid()}").touch()
    return found

cache.Kept.save_overload, cache.Kept._stored = slow, asking
print(twice(21.0), sum(twice.stats.cache_misses.values()))
"""
KERNEL = """
from glassdask.kernels import kernel

@kernel
def twice(x):
    return 2.0 * x
"""


def test_every_kernel_is_used_by_the_small_works():
    found = {
        f"{module.name}.{name}": kernel
        for module in pkgutil.iter_modules(glassdask.kernels.__path__)
        for name, kernel in vars(importlib.import_module(f"glassdask.kernels.{module.name}")).items()
        if isinstance(kernel, Dispatcher)
    }
    with dask.config.set(scheduler="synchronous"):
        works = [work() for work in compiling._works()]
    assert len(works) == compiling.WORKS
    of_kernels = {name for kernel in found.values() for name in kernel.py_func.__code__.co_names}
    assert [n for n, k in found.items() if not k.signatures and n.rpartition(".")[2] not in of_kernels] == []


def test_the_command_marks_the_folder(tmp_path, monkeypatch, capsys):
    done = []
    monkeypatch.setattr(compiling, "_works", lambda: iter([lambda: done.append(1), lambda: done.append(2)]))
    monkeypatch.setattr(cache, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["glassdask", "compile", "--quiet"])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert done == [1, 2]
    assert (tmp_path / cache.FILLED).read_text() == cache.processor()
    assert f"0 kernels in {tmp_path}" in capsys.readouterr().out.replace("\n", "")
    monkeypatch.setattr(cache, "FOLDER", None)
    with pytest.raises(SystemExit, match=r"no folder can be written.*set NUMBA_CACHE_DIR"):
        cli.main()


def test_one_process_compiles_what_two_want_at_once(tmp_path):
    package = tmp_path / "one_kernel"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "kernels.py").write_text(KERNEL)
    paths = os.pathsep.join([str(Path(glassdask.__file__).parents[1]), str(tmp_path)])
    env = {**os.environ, "PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    running = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=120)[0].split()[-1] for process in running)
    assert said == ["0", "1"]
    assert not list((tmp_path / "cache").rglob("*.lock"))


def test_a_filled_folder_is_used_though_nobody_can_write_there(tmp_path, monkeypatch):
    mine, filled = tmp_path / "mine", tmp_path / "image"
    (filled / "kernels").mkdir(parents=True)
    monkeypatch.setattr(cache, "places", lambda: [mine, filled])
    assert cache.folder_for("kernels") == mine / "kernels"
    (filled / "kernels" / cache.FILLED).write_text("another processor")
    assert cache.folder_for("kernels") == mine / "kernels"
    (filled / "kernels" / cache.FILLED).write_text(cache.processor())
    assert cache.folder_for("kernels") == filled / "kernels"
