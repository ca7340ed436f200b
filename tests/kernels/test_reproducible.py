"""The last bit does not depend on where arrays lie in memory.

A loop that writes to an array and adds up floats is vectorised where the addresses show that what it writes is not what
it reads, and runs one by one where they do not; the two add in different orders.
"""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from glassdask.descriptors.coefficients import workspace
from glassdask.kernels import bond_order as kernels
from glassdask.kernels import dynamics, harmonics

KERNELS = Path(dynamics.__file__).parent
SAFE = {
    "gather": "what is written at depends on what was read: never vectorised",
    "sweep_cages": "over the axes of one particle",
    "accumulate": "rows of scratch are far from each other, SHORTEST_ROW",
    "measure_corners": "writes the faces that are there one behind the other: never vectorised",
    "count_solid_angle": "ends when the sum is complete: never vectorised",
}


def _loops_that_write_and_add(function: ast.FunctionDef) -> bool:
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    floats = {
        target.id
        for node in assigned
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, float)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for loop in [node for node in ast.walk(function) if isinstance(node, ast.For)]:
        inside = [node for line in loop.body for node in ast.walk(line)]
        if any(isinstance(node, ast.For | ast.While) for node in inside):
            continue
        targets = [target for node in inside if isinstance(node, ast.Assign) for target in node.targets]
        sums = [node.target for node in inside if isinstance(node, ast.AugAssign)]
        writes = any(isinstance(target, ast.Subscript) for target in [*targets, *sums])
        if writes and any(isinstance(target, ast.Name) and target.id in floats for target in sums):
            return True
    return False


def test_no_kernel_adds_up_where_it_writes():
    found = {
        function.name
        for file in KERNELS.glob("*.py")
        for function in ast.parse(file.read_text()).body
        if isinstance(function, ast.FunctionDef) and _loops_that_write_and_add(function)
    }
    assert found == set(SAFE)


@pytest.mark.parametrize("first", ["path", "scratch"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_sums_over_paths_anywhere_in_memory(dimension, first):
    """Failed at random: msd_total of one state of twelve differed between two runs of a sweep."""
    n, rng = 30, np.random.default_rng(1)
    path, starts, pairs = rng.random((2, dimension, n)), np.array([0, 20, n]), np.array([[0, 1]])
    found = set()
    for gap in range(0, 48, 3):
        memory = np.empty(path.size + n + gap)
        square, moved = memory[:n], memory[n + gap :]
        if first == "path":
            moved, square = memory[: path.size], memory[path.size + gap :]
        moved = moved.reshape(path.shape)
        moved[:] = path
        out = np.empty((1, 2, dynamics.N_SUMS))
        dynamics.self_sums(moved, starts, pairs, 7.0, 0.1, square, out)
        found.add(out.tobytes())
    assert len(found) == 1


def test_bond_order_beside_a_particle_with_many_neighbours():
    """Rows of scratch are as long as the longest list, which depends on the block; sums do not."""
    rng = np.random.default_rng(2)
    vector = np.concatenate([rng.normal(size=(3, 12)), np.ones((1, 12))])
    vector[3] = np.sqrt((vector[:3] ** 2).sum(axis=0))
    offsets, table = np.array([0, 12]), harmonics.recurrence(8)
    found = set()
    for longest in (12, 13, 40, 500):
        counts = SimpleNamespace(counts=np.array([longest]))
        out = np.empty((1, 8))
        kernels.bond_order(offsets, vector, np.ones(12), 1, table, *workspace(counts, table), out)
        found.add(out.tobytes())
    assert len(found) == 1


PROGRAM = """
import numpy as np
from glassdask.kernels import bond_order, dynamics, harmonics
rng, sums, out = np.random.default_rng(0), [], np.empty((1, 2, 4))
for _ in range(50):
    path = rng.random((2, 3, 30))
    dynamics.self_sums(path, np.array([0, 20, 30]), np.array([[0, 1]]), 7.0, 0.1, np.empty(30), out)
    sums.append(out.tobytes().hex())
vector = np.concatenate([rng.normal(size=(3, 61)), rng.random((1, 61))])
q, table, degrees = np.empty((1, 8)), harmonics.recurrence(8), np.zeros((2, 9, 9))
offsets, weight = np.array([0, 61]), np.ones(61)
bond_order.bond_order(offsets, vector, weight, 1, table, np.empty((6, 64)), np.empty(64), *degrees, q)
print("".join(sums), q.tobytes().hex(), sum(dynamics.self_sums.stats.cache_misses.values()))
"""


def test_the_same_bits_whether_compiled_here_or_read_from_the_cache(tmp_path):
    """Failed at random, where two processes of a sweep had compiled kernels and had read them."""
    env = {**os.environ, "PYTHONPATH": str(KERNELS.parents[1]), "NUMBA_CACHE_DIR": str(tmp_path)}
    tmp_path.chmod(0o700)
    said = [
        subprocess.run([sys.executable, "-c", PROGRAM], env=env, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    (*compiled, misses), (*read, hits) = (line.split() for line in said)
    assert (misses, hits) == ("1", "0")
    assert compiled == read


def test_no_kernel_is_called_by_another_as_a_function_of_its_own():
    for file in KERNELS.glob("*.py"):
        module = importlib.import_module(f"glassdask.kernels.{file.stem}")
        for name, kernel in vars(module).items():
            if isinstance(kernel, Dispatcher):
                options = kernel.targetoptions
                assert options.get("forceinline") or options.get("inline") == "always", f"{file.stem}.{name}"
