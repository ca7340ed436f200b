"""Each package knows only those that it may, no module itself through others: wrong arrows and circles fail here."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[1] / "glassdask"
BASE = {
    "errors",
    "remote",
    "code",
    "files",
    "variables",
    "names",
    "wrapping",
    "declarations",
    "plugins",
    "graphs",
    "texts",
    "reporting",
    "about",
    "physics",
}
DATA = BASE | {"schema", "store"}
SPACE = BASE | {"schema", "kernels", "neighborhood"}
WALK = SPACE | {"store", "frames", "configurations"}
MAY_IMPORT = {
    "errors": set(),
    "about": {"errors", "physics"},
    "physics": {"errors"},
    "code": {"errors"},
    "declarations": {"errors"},
    "texts": {"errors"},
    "plugins": {"errors"},
    "starting": set(),
    "reporting": {"errors", "declarations"},
    "files": {"errors", "remote"},
    "remote": {"errors"},
    "variables": {"errors"},
    "graphs": {"errors"},
    "names": {"errors", "variables"},
    "sizes": BASE | {"schema"},
    "wrapping": {"errors"},
    "schema": BASE,
    "store": BASE | {"schema"},
    "io": DATA | {"kernels"},
    "kernels": {"errors", "files"},
    "neighborhood": BASE | {"schema", "kernels"},
    "configurations": SPACE,
    "frames": SPACE | {"store", "configurations"},
    "simulation": SPACE | {"store", "starting"},
    "examples": {"errors", "schema"},
    "correlations": WALK,
    "neighbor_lists": WALK,
    "descriptors": WALK | {"simulation", "learning", "correlations"},
    "dynamics": WALK | {"simulation", "correlations", "fields"},
    "fields": WALK,
    "learning": WALK,
    "appearance": {"errors"},
    "plotting": {"appearance", "errors", "files"},
    "sweep": SPACE | {"store", "io", "simulation", "correlations", "dynamics", "descriptors", "learning"},
    "drawing": DATA | {"plotting", "sweep", "io", "correlations", "dynamics"},
    "cluster": BASE,
}
# the front doors may know everything
DOORS = {"__init__", "__main__", "cli"}


def module_name(file: Path) -> str:
    """The dotted name of a module; that of its package for an ``__init__``."""
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(ROOT.rglob("*.py"))}


def imported(file: Path) -> set[str]:
    """Dotted names of the modules of glassdask that a module imports, wherever the statement stands.

    Also below a function and ``TYPE_CHECKING``. What a package loads on first use stands in its ``.pyi``.
    """
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0 or file.suffix == ".pyi", f"{file}: write out the names of packages"
            module = node.module or ""
            if node.level:
                module = ".".join([*file.relative_to(ROOT.parent).parent.parts, module]).rstrip(".")
            names = [f"{module}.{alias.name}" for alias in node.names if alias.name not in ("__version__", "LOADED")]
            found |= {name if name in MODULES else module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in MODULES}


@cache
def circles() -> list[set[str]]:
    """Modules that import each other, directly or through others."""
    names = list(MODULES)
    arrows = np.zeros((len(names), len(names)), dtype=bool)
    for name, file in MODULES.items():
        stub = file.with_suffix(".pyi")
        for other in imported(file) | (imported(stub) if stub.exists() else set()):
            arrows[names.index(name), names.index(other)] = True
    _, label = connected_components(csr_array(arrows), directed=True, connection="strong")
    return [set(np.array(names)[label == k]) for k in np.flatnonzero(np.bincount(label) > 1)]


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_arrows_point_one_way(file):
    room = file.relative_to(ROOT).parts[0].removesuffix(".py")
    if room in DOORS:
        return
    wrong = {name.removeprefix("glassdask.").split(".")[0] for name in imported(file)} - MAY_IMPORT[room] - {room}
    assert not wrong, f"{room} imports {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("room", sorted([*MAY_IMPORT, *DOORS]))
def test_no_module_imports_itself_through_others(room):
    assert [circle for circle in circles() if any(name.split(".")[1:2] == [room] for name in circle)] == []


def test_every_room_is_known():
    rooms = {p.name.removesuffix(".py") for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert rooms - DOORS == set(MAY_IMPORT)


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_modules_are_short(file):
    assert len(file.read_text().splitlines()) <= 500


def test_the_top_level_has_no_more_than_it_should():
    """A test may leave something beside the sources, and whoever commits all takes it along."""
    root = ROOT.parent
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a checkout of git")
    found = {line.split("/")[0] for line in listed.splitlines()}
    known = {"pyproject.toml", "glassdask", "pipelines", "deploy", "tests", "notebooks", "README.md", "LICENSE"}
    assert {name for name in found if not name.startswith(".")} == known
