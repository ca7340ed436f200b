"""A package of somebody else adds a descriptor: built as a wheel, installed in a folder, used like one of ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import IncompleteStoreError

pytest.importorskip("hatchling")

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "their-shells"
version = "1.0"

[project.entry-points."glassdask.descriptors"]
shells = "their_shells:Shells"
"""
# all that somebody has to write
DESCRIPTOR = '''
"""Particles in a spherical shell."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glassdask.declarations import Positive
from glassdask.descriptors.base import Descriptor, Plan
from glassdask.errors import ParameterError
from their_shells.counting import count


@dataclass(frozen=True, kw_only=True)
class Shells(Descriptor):
    """Number of particles between two distances."""

    name: ClassVar[str] = "shells"
    inner: Positive = 0.5
    outer: Positive

    def check(self) -> None:
        if self.inner >= self.outer:
            raise ParameterError(f"inner = {self.inner}: expected less than outer = {self.outer}")

    def plan(self, names, dimension):
        def compute(configuration, neighbors, out):
            out[:] = count(neighbors, self.inner, self.outer)

        reach = np.full((len(names), len(names)), self.outer)
        return Plan(dims=(), shape=(), coords={}, search=reach, compute=compute, microseconds=1e5)
'''
# a helper in another module, which says when and where it worked, and dawdles for the test that kills it
HELPER = """
import os
import time

import numpy as np


def count(neighbors, inner, outer):
    with open(os.environ["SHELLS_LOG"], "a") as log:
        log.write(f"{os.getpid()}\\n")
    time.sleep(float(os.environ.get("SHELLS_PAUSE", 0)))
    inside = (neighbors.distance > inner) & (neighbors.distance < outer)
    return np.add.reduceat(np.append(inside, False), neighbors.offsets[:-1]) * (neighbors.counts > 0)
"""
FRAMES = 24


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder in which the package is installed, by pip and without a network."""
    folder = tmp_path_factory.mktemp("somebody")
    source = folder / "source" / "their_shells"
    source.mkdir(parents=True)
    (source.parent / "pyproject.toml").write_text(PROJECT)
    (source / "__init__.py").write_text(DESCRIPTOR)
    (source / "counting.py").write_text(HELPER)
    pip = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index", "--no-cache-dir"]
    run([*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", folder / "wheels", source.parent])
    (wheel,) = (folder / "wheels").glob("their_shells-1.0-*.whl")
    run([*pip, "install", *offline, "--target", folder / "site", wheel])
    return folder / "site"


@pytest.fixture
def work(installed, tmp_path):
    """What runs the command with that package, and a store."""
    rng = np.random.default_rng(2)
    liquid = gd.from_arrays(rng.random((FRAMES, 40, 3)) * 5, species=["A"] * 40, box=[5.0] * 3)
    gd.save_trajectory(liquid, tmp_path / "run.zarr")
    return Work(installed, tmp_path, liquid)


class Work:
    def __init__(self, site, folder, liquid):
        self.store, self.log, self.site, self.liquid = folder / "run.zarr", folder / "log", site, liquid
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(site), str(Path(gd.__file__).parents[1])]),
            "SHELLS_LOG": str(self.log),
            "COLUMNS": "120",
        }

    def command(self, *arguments):
        return [sys.executable, "-m", "glassdask", *map(str, arguments)]

    def describe(self, *options, outer=1.5, cluster="local"):
        """How the command ended, which works on two processes, or threads, and writes down who was called."""
        self.log.write_text("")
        given = self.command("describe", self.store, f"shells:outer={outer}", "--cluster", cluster, "-q", *options)
        return run([*given, "--workers", "2"], self.environment, check=False)

    def calls(self):
        """Process of each call of the package's code since `describe` began."""
        return self.log.read_text().split() if self.log.exists() else []

    def is_right(self):
        """Whether what is stored are the numbers of an independent count."""
        position = self.liquid["position"].values
        vector = position[:, :, None] - position[:, None]
        distance = np.linalg.norm(vector - 5 * np.rint(vector / 5), axis=-1)
        expected = ((distance > 0.5) & (distance < 1.5)).sum(-1)
        return np.array_equal(gd.open_descriptors(self.store)["shells"].values, expected)


def run(command, environment=None, check=True):
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=300)
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_the_help_lists_it(work):
    assert "shells" in run(work.command("describe", "--help"), work.environment).stdout
    found = " ".join(run(work.command("descriptors", "shells"), work.environment).stdout.split())
    assert "Number of particles between two distances." in found
    assert "inner a positive finite number; default 0.5" in found


@pytest.mark.slow
def test_mistakes_are_one_line(work):
    for given, message in ((-1.0, "shells.outer: expected a positive finite number"), (0.4, "shells: inner = 0.5")):
        done = work.describe(outer=given, cluster="threads")
        assert done.returncode == 1
        assert done.stderr.startswith(f"glassdask: {message}")
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.cluster
def test_it_goes_on_after_a_kill_and_knows_its_code(work):
    given = work.command("describe", work.store, "shells:outer=1.5", "--cluster", "local", "-q", "--workers", "2")
    slow = {**work.environment, "SHELLS_PAUSE": "1"}
    process = subprocess.Popen(given, env=slow, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        stored = len(list((work.store / "descriptors").rglob("shells/shells/c/*")))
        if stored >= 6 and len(set(work.calls())) == 2:  # both processes
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 6 <= stored < FRAMES
    assert len(set(work.calls())) == 2
    with pytest.raises(IncompleteStoreError):
        gd.open_descriptors(work.store, ["shells"])

    assert work.describe().returncode == 0
    assert 0 < len(work.calls()) <= FRAMES - stored  # what was there is not done again
    assert work.is_right()

    helper = work.site / "their_shells" / "counting.py"
    before = helper.read_text()
    try:
        helper.write_text(before.replace("import time", "import time  # of day"))
        assert work.describe(cluster="threads").returncode == 0
        assert work.calls() == []
        helper.write_text(before.replace("(neighbors.distance > inner)", "(neighbors.distance >= inner)"))
        refused = work.describe(cluster="threads")
        assert refused.returncode == 1
        assert "overwrite" in refused.stderr
        assert work.calls() == []
        assert work.describe("--overwrite").returncode == 0
        assert len(work.calls()) == FRAMES
        assert work.is_right()
    finally:
        helper.write_text(before)
