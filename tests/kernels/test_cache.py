"""Compiled kernels belong to the sources of all kernels, and need no place on disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import glassdask
from glassdask.kernels import cache

PACKAGE = Path(glassdask.__file__).parent
PROGRAM = """
import numpy as np, glassdask as gd
from glassdask.kernels import cache
rng = np.random.default_rng(1)
liquid = gd.from_arrays(rng.random((1, 60, 3)) * 4, species=["A"] * 60, box=[4.0, 4.0, 4.0])
values = gd.describe(liquid, [DESCRIPTOR])["NAME"].compute(scheduler="synchronous")
print(cache.FOLDER, float(values.sum()).hex())
"""
BOND_ORDER = PROGRAM.replace("DESCRIPTOR", "gd.BondOrder(cutoffs=1.5, l_max=4)").replace("NAME", "bo")
COORDINATION = PROGRAM.replace("DESCRIPTOR", "gd.Coordination(cutoffs=1.5)").replace("NAME", "coordination")


@pytest.fixture
def checkout(tmp_path):
    """A copy of the package that may be edited."""
    shutil.copytree(PACKAGE, tmp_path / "glassdask", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(checkout: Path, program: str = COORDINATION, **env: str) -> tuple[str, float]:
    """The folder of the cache and the sum that a new process of this checkout finds."""
    usual = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**usual, "PYTHONPATH": str(checkout), **env},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    folder, value = done.stdout.split()
    return folder, float.fromhex(value)


@pytest.mark.slow
def test_an_edited_helper_gives_other_numbers(checkout):
    # harmonics.py is inlined into the kernels of other modules, whose files stay as they are
    folder, before = run(checkout, BOND_ORDER)
    assert run(checkout, BOND_ORDER) == (folder, before)
    helper = checkout / "glassdask/kernels/harmonics.py"
    source = helper.read_text()
    edited, count = re.subn(r"\b2\.0 \* ", "3.0 * ", source)
    assert count > 0
    helper.write_text(edited)
    other, after = run(checkout, BOND_ORDER)
    assert other != folder
    assert abs(after - before) > 1e-3
    helper.write_text(source)
    assert run(checkout, BOND_ORDER) == (folder, before)


@pytest.mark.slow
def test_the_place_that_the_user_names(checkout, tmp_path):
    folder, _ = run(checkout, NUMBA_CACHE_DIR=str(tmp_path / "mine"))
    assert Path(folder).parent == tmp_path / "mine"
    assert list(Path(folder).glob("*.nbc"))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["home", "nowhere"])
def test_without_a_place_in_the_package(checkout, tmp_path, where):
    # a file stands where the folder would be: not even root can write there
    (checkout / "glassdask/kernels/__pycache__").write_text("")
    home = tmp_path / "home"
    if where == "nowhere":
        home.write_text("")
    _, usual = run(PACKAGE.parent)
    folder, value = run(checkout, HOME=str(home), PYTHONDONTWRITEBYTECODE="1")
    assert value == usual
    assert folder.startswith("None" if where == "nowhere" else str(home / ".cache/glassdask"))


@pytest.mark.slow
def test_a_damaged_cache_and_a_full_disk_stop_nothing(checkout):
    folder, value = run(checkout)
    files = list(Path(folder).iterdir())
    assert {file.suffix for file in files} == {".nbi", ".nbc"}
    for k, file in enumerate(files):
        file.write_bytes(file.read_bytes()[: k % 7])
    assert run(checkout) == (folder, value)
    full = COORDINATION.replace("from glassdask.kernels import cache", FULL)
    shutil.rmtree(folder)
    assert run(checkout, full) == (folder, value)
    assert not list(Path(folder).glob("*.nbc"))


FULL = """from glassdask.kernels import cache
from numba.core.caching import IndexDataCacheFile
def save(*arguments):
    raise OSError(28, "no space left on device")
IndexDataCacheFile.save = save"""


def test_folders_do_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "places", lambda: [tmp_path])
    for k in range(cache.KEPT + 5):
        folder = cache.folder_for(f"{cache.PREFIX}{k}")
        os.utime(folder, (1000.0 + k, 1000.0 + k))
    (tmp_path / "other").mkdir()
    used_again = cache.folder_for(f"{cache.PREFIX}4")
    assert cache.folder_for(f"{cache.PREFIX}new").is_dir()
    left = {folder.name for folder in tmp_path.iterdir()}
    assert len(left) == cache.KEPT + 2
    assert {used_again.name, f"{cache.PREFIX}new", f"{cache.PREFIX}{cache.KEPT + 4}", "other"} <= left
    assert f"{cache.PREFIX}5" not in left
