"""Wheel and sdist: built, installed where the sources are not, and used; what describes the project agrees."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from glassdask.kernels import cache

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# in a folder of its own, with the packages of this interpreter but not these sources
TRY = """
import sys
import numpy as np
import glassdask as gd
assert gd.__file__.startswith(sys.argv[1]), gd.__file__
liquid = gd.example("wahnstrom").isel(frame=[0])
print(gd.__version__, round(float(gd.first_minima(liquid)["A", "A"]), 1), liquid.attrs["temperature"])
"""


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel and an sdist of a plain copy without git's history, which is what an archive of a host has."""
    pytest.importorskip("hatchling")
    pytest.importorskip("hatch_vcs")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    copy = tmp_path_factory.mktemp("copy")
    for name in listed.stdout.splitlines():
        if name.startswith(("glassdask/", "pyproject.toml", "README.md", "LICENSE")) and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    run(
        [sys.executable, "-m", "hatchling", "build"], cwd=copy, env={**os.environ, "GIT_CEILING_DIRECTORIES": str(copy)}
    )
    (wheel,) = (copy / "dist").glob("*.whl")
    (sdist,) = (copy / "dist").glob("*.tar.gz")
    return wheel, sdist


def installed(archive, folder):
    """What the archive gives in a folder of its own: its version, and two numbers of the quickstart."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
               "--disable-pip-version-check", "--target", str(folder / "site"), str(archive)]  # fmt: skip
    run(command, cwd=folder)
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    if cache.FOLDER is not None:  # the same kernels are compiled there already: found by their sources
        environment["NUMBA_CACHE_DIR"] = str(cache.FOLDER.parent)
    return run([sys.executable, "-c", TRY, str(folder)], cwd=folder, env=environment).split()


@pytest.mark.slow
def test_the_wheel_is_whole(built, tmp_path):
    """With the examples, the stubs of lazy imports, the type marker, the licence and the entry points."""
    wheel, _ = built
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        meta = next(name for name in names if name.endswith(".dist-info/METADATA"))
        about = content.read(meta).decode()
        entries = content.read(meta.replace("METADATA", "entry_points.txt")).decode()
    for name in ("examples/wahnstrom.npz", "examples/kob_andersen.npz", "__init__.pyi", "learning/__init__.pyi",
                 "py.typed"):  # fmt: skip
        assert f"glassdask/{name}" in names
    assert any("LICENSE" in name for name in names)
    assert "glassdask = glassdask.__main__:main" in entries
    assert "# glassdask" in about
    assert {name.split("/")[0] for name in names} == {"glassdask", meta.split("/")[0]}
    assert wheel.stat().st_size < 2e6
    assert installed(wheel, tmp_path)[1:] == ["1.4", "0.58"]


@pytest.mark.slow
def test_the_sdist_installs_without_git(built, tmp_path):
    _, sdist = built
    with tarfile.open(sdist) as content:
        assert any(name.endswith("glassdask/examples/wahnstrom.npz") for name in content.getnames())
    version, *numbers = installed(sdist, tmp_path)
    assert numbers == ["1.4", "0.58"]
    assert re.fullmatch(r"\d+\.\d+.*", version)


def test_what_describes_the_project_agrees():
    citation = yaml.safe_load((GITHUB / "CITATION.cff").read_text())
    codemeta = json.loads((GITHUB / "codemeta.json").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["license"] == codemeta["license"].rpartition("/")[2]
    assert codemeta["name"] == PROJECT["name"]
    assert codemeta["description"] == PROJECT["description"]
    known = {one["id"] for one in codemeta["referencePublication"]}
    assert known == {f"https://doi.org/{one['doi']}" if "doi" in one else one["url"] for one in citation["references"]}
    for one in citation["references"]:
        assert {"title", "authors", "year"} <= set(one)


def test_the_workflow_tries_every_python_and_publishes_nowhere_under_this_name():
    workflow = yaml.safe_load((GITHUB / "workflows" / "release.yml").read_text())
    jobs = workflow["jobs"]
    pythons = jobs["try"]["strategy"]["matrix"]["python"]
    assert pythons[0] == PROJECT["requires-python"].removeprefix(">=")
    assert jobs["publish"]["needs"] == "try"
    assert "pypi" not in (GITHUB / "workflows" / "release.yml").read_text().lower()
    for form in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml"):
        assert yaml.safe_load(form.read_text()), form
