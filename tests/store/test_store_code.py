"""A result belongs to the code that computed it: what other code has computed is refused, and never continued."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask import errors, store
from tests.store.store_cases import chunk_files, make_trajectory

PACKAGE = Path(gd.__file__).parent


@pytest.fixture
def run(tmp_path, small_chunks):
    path = tmp_path / "run.zarr"
    store.save_trajectory(make_trajectory(), path)
    return path


def write(run, codes, powers=(1, 2), **options):
    """Two groups of one call; gives how many of them were computed."""
    position = store.open_trajectory(run)["position"]
    log = []

    def times(block, power):
        if block.size:
            log.append(power)
        return block * power

    datasets = {
        f"descriptors/{name}": position.copy(
            data=position.data.map_blocks(times, power, dtype=float, meta=np.empty((0, 0, 0)))
        ).to_dataset(name=name)
        for name, power in zip("ab", powers)
    }
    parameters = {name: {"power": power} for name, power in zip(datasets, powers)}
    store.write_datasets(datasets, run, parameters=parameters, code=dict(zip(datasets, codes)), **options)
    return len(log) // 4


def test_other_code_is_refused_and_overwritten(run):
    assert write(run, ("x", "x")) == 2
    assert write(run, ("x", "x")) == 0
    assert store.open_descriptors(run)["a"].shape == (7, 30, 3)
    with pytest.raises(errors.StoreError, match=r"descriptors/b: holds results of other code \(glassdask .*overwrite"):
        write(run, ("x", "y"))
    before = chunk_files(run / "descriptors/a")
    times = {file: file.stat().st_mtime_ns for file in (run / "descriptors/a").rglob("*") if file.is_file()}
    assert write(run, ("x", "y"), overwrite=True) == 1  # only what differs
    assert chunk_files(run / "descriptors/a") == before
    assert all(file.stat().st_mtime_ns == time for file, time in times.items())
    assert store.info(run)["descriptors"]["b"]["code"] == "y"


def test_what_is_the_same_is_kept_by_overwriting(run):
    write(run, ("x", "x"))
    assert write(run, ("x", "x"), overwrite=True) == 0
    assert write(run, ("x", "x"), powers=(1, 3), overwrite=True) == 1
    (run / "descriptors/a/a/c/1/0/0").unlink()
    shutil.rmtree(run / "descriptors/b/b")
    assert write(run, ("x", "x"), powers=(1, 3), overwrite=True) > 0
    assert store.verify(run) == []
    chunk = run / "descriptors/a/a/c/1/0/0"
    chunk.write_bytes(chunk.read_bytes()[:-5])
    assert write(run, ("x", "x"), powers=(1, 3), overwrite=True) == 1  # of the damaged one
    assert store.verify(run) == []
    # who does not tell the code computes again
    assert [write(run, ("", ""), overwrite=True) for _ in range(2)] == [2, 2]


def test_what_other_code_has_begun_is_not_continued(run):
    write(run, ("x", "x"))
    (run / "descriptors/a/a/c/1/0/0").unlink()
    store.set_attributes(run / "descriptors/a", status="writing")
    before = chunk_files(run)
    with pytest.raises(errors.StoreError, match=r"descriptors/a: holds interrupted results of other code"):
        write(run, ("y", "x"))
    assert chunk_files(run) == before
    assert write(run, ("y", "x"), overwrite=True) == 1
    np.testing.assert_array_equal(store.open_descriptors(run)["a"], store.open_trajectory(run)["position"])


def test_stores_of_the_time_of_versions_open(run):
    write(run, ("x", "x"))
    for group in ("a", "b"):
        store.set_attributes(run / "descriptors" / group, code=None, key="of a version")
    assert set(store.open_descriptors(run)) == {"a", "b"}
    with pytest.raises(errors.StoreError, match="results of other code"):
        write(run, ("x", "x"))


def test_every_result_of_ours_tells_its_code():
    calls = [
        (file, node)
        for file in [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "pipelines").rglob("*.py")]
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("write_dataset", "write_datasets")
    ]
    assert len(calls) > 4
    silent = [f"{file}:{node.lineno}" for file, node in calls if "code" not in {word.arg for word in node.keywords}]
    assert silent == []


PROGRAM = """
import sys
import glassdask as gd

store, overwrite = sys.argv[1], "--overwrite" in sys.argv
chosen = [gd.BondOrder(cutoffs=1.5, l_max=4), gd.Coordination(cutoffs=1.5)]
try:
    if not overwrite and "again" not in sys.argv:
        liquid = gd.from_arrays(__import__("numpy").random.default_rng(1).random((2, 60, 3)) * 4, species=["A"] * 60,
                                box=[4.0, 4.0, 4.0])
        gd.save_trajectory(liquid, store)
    gd.save_descriptors(gd.describe(gd.open_trajectory(store), chosen), store, overwrite=overwrite)
    if not overwrite:
        gd.save_reduction(gd.reduce(gd.open_descriptors(store)["bo"]), store, "bo")
    print(float(gd.open_descriptors(store)["bo"].sum()), float(gd.open_descriptors(store)["coordination"].sum()))
    print(gd.open_reduction(store, "bo").attrs["code"])
except gd.errors.StoreError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_changed_kernel_recomputes_what_depends_on_it(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "glassdask", ignore=shutil.ignore_patterns("__pycache__"))
    env = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}

    def said(*arguments):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "run.zarr"), *arguments]
        env["PYTHONPATH"] = str(tmp_path)
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    first, code = said()
    assert len(code.split()) == 2
    helper = tmp_path / "glassdask/kernels/harmonics.py"
    helper.write_text("# a comment\n" + helper.read_text())
    assert said("again") == [first, code]
    edited, count = re.subn(r"\b2\.0 \* ", "3.0 * ", helper.read_text())
    assert count > 0
    helper.write_text(edited)
    assert re.search(r"descriptors/bo: holds results of other code .*replace it with", said("again")[0])
    other = tmp_path / "run.zarr/descriptors/coordination"
    times = {file: file.stat().st_mtime_ns for file in other.rglob("*") if file.is_file()}
    sums, stale = said("--overwrite")
    assert abs(float(sums.split()[0]) - float(first.split()[0])) > 1e-3
    assert sums.split()[1] == first.split()[1]
    assert all(file.stat().st_mtime_ns == time for file, time in times.items())
    assert "reductions/bo: was computed before descriptors/bo was changed" in stale


def test_another_trajectory_is_not_called_one_of_other_code(run):
    other = store.open_trajectory(run).load()
    other["position"][:] = 0.5
    with pytest.raises(errors.StoreError, match="holds data of other input, parameters or code"):
        store.save_trajectory(other.drop_attrs(deep=False), run)
    with pytest.raises(errors.StoreError, match="holds data of other input, parameters or code"):
        store.save_trajectory(other, run)
