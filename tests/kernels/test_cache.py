"""Compiled kernels belong to the sources of all kernels, and need no place on disk."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import glassdask
import glassdask as gd
from glassdask.kernels import cache, pairs

PACKAGE = Path(glassdask.__file__).parent
# What this program compiles is small, and so is what it imports
LITTLE = """
import numpy as np
from glassdask.kernels import cache, pairs
print(cache.FOLDER, float(sum(sum(pairs.piece(t)) for t in (0.3, np.float32(0.3), 1, np.int32(1)))).hex())
"""
BOND_ORDER = """
import numpy as np, glassdask as gd
from glassdask.kernels import cache
rng = np.random.default_rng(1)
liquid = gd.from_arrays(rng.random((1, 60, 3)) * 4, species=["A"] * 60, box=[4.0, 4.0, 4.0])
values = gd.describe(liquid, [gd.BondOrder(cutoffs=1.5, l_max=4)])["bo"].compute(scheduler="synchronous")
print(cache.FOLDER, float(values.sum()).hex())
"""


@pytest.fixture
def checkout(tmp_path):
    """A copy of the package that may be edited."""
    shutil.copytree(PACKAGE, tmp_path / "glassdask", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(checkout: Path, program: str = LITTLE, **env: str) -> tuple[str, float]:
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


def test_the_place_that_the_user_names(checkout, tmp_path):
    folder, _ = run(checkout, NUMBA_CACHE_DIR=str(tmp_path / "mine"))
    assert Path(folder).parent == tmp_path / "mine"
    assert list(Path(folder).glob("*.nbc"))


@pytest.mark.parametrize("where", ["home", "nowhere"])
def test_without_a_place_in_the_package(checkout, tmp_path, where):
    # a file stands where the folder would be: not even root can write there
    (checkout / "glassdask/kernels/__pycache__").write_text("")
    home = tmp_path / "home"
    if where == "nowhere":
        home.write_text("")
    usual = sum(sum(pairs.piece(t)) for t in (0.3, np.float32(0.3), 1, np.int32(1)))
    folder, value = run(checkout, HOME=str(home), PYTHONDONTWRITEBYTECODE="1")
    assert value == usual
    assert folder.startswith("None" if where == "nowhere" else str(home / ".cache/glassdask"))


def test_a_damaged_cache_and_a_full_disk_stop_nothing(checkout):
    folder, value = run(checkout)
    files = list(Path(folder).iterdir())
    assert {file.suffix for file in files} == {".nbi", ".nbc"}
    for k, file in enumerate(files):
        file.write_bytes(file.read_bytes()[: k % 7])
    assert run(checkout) == (folder, value)
    full = LITTLE.replace("from glassdask.kernels import cache, pairs", FULL)
    shutil.rmtree(folder)
    assert run(checkout, full) == (folder, value)
    assert not list(Path(folder).glob("*.nbc"))


def test_a_file_of_another_kernel_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path)

    def kept():
        """The functions of a package, as a new process has them."""
        monkeypatch.delitem(sys.modules, "odd_package", raising=False)
        cache.first_sources.cache_clear()
        module = importlib.import_module("odd_package")
        return {name: cache.remember(numba.njit(getattr(module, name))) for name in ("twice", "thrice")}

    package = tmp_path / "odd_package"
    package.mkdir()
    (package / "__init__.py").write_text("def twice(x):\n    return 2 * x\ndef thrice(x):\n    return 3 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [kernel(5) for kernel in kept().values()] == [10, 15]
    (one,), (other,) = tmp_path.glob("*twice*.nbc"), tmp_path.glob("*thrice*.nbc")
    shutil.copy(one, other)
    again = kept()
    assert [kernel(5) for kernel in again.values()] == [10, 15]
    assert [bool(kernel.stats.cache_hits) for kernel in again.values()] == [True, False]
    third = kept()
    assert [kernel(5) for kernel in third.values()] == [10, 15]
    assert [bool(kernel.stats.cache_hits) for kernel in third.values()] == [True, True]


FULL = """from glassdask.kernels import cache, pairs
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


PLUG_IN = """
from glassdask.kernels import kernel
from HELPERS import twice

@kernel
def doubled(x):
    return twice(x)
"""
HELPER = """
from glassdask.kernels import kernel

FACTOR = 2.0

@kernel
def twice(x):
    return FACTOR * x
"""
CALL = "from PLUG_IN import doubled; from glassdask.kernels import cache; print(cache.FOLDER, doubled(21.0).hex())"


@pytest.mark.parametrize(
    ("plug_in", "helpers"),
    [
        ("mine.kernels", "mine.helpers"),
        ("mine.inner.kernels", "mine.other.helpers"),
        ("mine", "mine.helpers"),
        ("single", "beside"),
    ],
)
def test_an_edited_helper_of_another_package_counts(tmp_path, plug_in, helpers):
    def place(module: str) -> Path:
        *folders, name = module.split(".")
        for depth in range(1, len(folders) + 1):
            folder = tmp_path.joinpath(*folders[:depth])
            folder.mkdir(exist_ok=True)
            (folder / "__init__.py").touch()
        whole = tmp_path.joinpath(*folders, name)
        return whole / "__init__.py" if whole.is_dir() else whole.with_suffix(".py")

    helper = place(helpers)
    helper.write_text(HELPER)
    place(plug_in).write_text(PLUG_IN.replace("HELPERS", helpers))
    paths = os.pathsep.join([str(PACKAGE.parent), str(tmp_path)])
    settings = {"PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    call = CALL.replace("PLUG_IN", plug_in)
    folder, value = run(tmp_path, call, **settings)
    assert value == 42.0
    kept = {file.name: file.stat().st_mtime_ns for file in Path(folder).glob("*doubled*.nbc")}
    assert bool(kept) == ("." in helpers)  # what a module that stands alone may use is not known
    helper.write_text(HELPER.replace("2.0", "3.0"))
    assert run(tmp_path, call, **settings) == (folder, 63.0)
    helper.write_text(HELPER)
    assert run(tmp_path, call, **settings) == (folder, 42.0)


def test_kernels_of_one_name_in_two_packages_are_kept_apart(tmp_path):
    paths = os.pathsep.join([str(PACKAGE.parent), str(tmp_path)])
    settings = {"PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    for package, factor in (("one", "2.0"), ("two", "3.0")):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "kernels.py").write_text(HELPER.replace("2.0", factor))
    for package, value in (("one", 2.0), ("two", 3.0)) * 2:
        call = CALL.replace("PLUG_IN", f"{package}.kernels").replace("doubled(21.0)", "twice(1.0)")
        folder, found = run(tmp_path, call.replace("import doubled", "import twice"), **settings)
        assert found == value
    assert len({file.name for file in Path(folder).glob("*twice*.nbi")}) == 2


def test_what_was_edited_since_it_was_imported_is_not_kept(tmp_path, monkeypatch):
    package = tmp_path / "edited_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helpers.py").write_text(HELPER)
    (package / "kernels.py").write_text(PLUG_IN.replace("HELPERS", "edited_package.helpers"))
    monkeypatch.syspath_prepend(tmp_path)
    kept = importlib.import_module("edited_package.helpers").twice
    assert isinstance(kept._cache, cache.Kept)
    (package / "helpers.py").write_text(HELPER.replace("2.0", "3.0"))
    doubled = importlib.import_module("edited_package.kernels").doubled
    assert not isinstance(doubled._cache, cache.Kept)


LOADED = """
import importlib, pkgutil
from numba.core.dispatcher import Dispatcher
from glassdask import kernels

loaded = 0
for module in pkgutil.iter_modules(kernels.__path__):
    for kernel in vars(importlib.import_module(f"glassdask.kernels.{module.name}")).values():
        if isinstance(kernel, Dispatcher):
            for signature, *_ in kernel._cache._cache_file._load_index():
                kernel.compile(signature)
                loaded += 1
            assert not kernel.stats.cache_misses, kernel
print(loaded)
"""


@pytest.mark.skipif(cache.FOLDER is None, reason="no folder can be written where kernels would be kept")
def test_what_is_stored_runs_without_all_that_numba_compiles_from():
    liquid = gd.from_arrays(np.random.default_rng(1).random((1, 60, 3)) * 4, species=["A"] * 60, box=[4.0, 4.0, 4.0])
    # a kernel that needed a symbol of numba's other modules would end the process where it is loaded
    gd.describe(liquid, [gd.BondOrder(cutoffs=1.5, l_max=4)])["bo"].compute(scheduler="synchronous")
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 3


def test_kernels_run_as_plain_python_where_numba_is_told_not_to_compile():
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", BOND_ORDER], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    liquid = gd.from_arrays(np.random.default_rng(1).random((1, 60, 3)) * 4, species=["A"] * 60, box=[4.0, 4.0, 4.0])
    values = gd.describe(liquid, [gd.BondOrder(cutoffs=1.5, l_max=4)])["bo"].compute(scheduler="synchronous")
    assert float.fromhex(done.stdout.split()[-1]) == pytest.approx(float(values.sum()), rel=1e-12)
