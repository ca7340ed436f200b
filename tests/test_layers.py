"""Each package knows only those that it may: an arrow that points the wrong way fails here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "glassdask"
BASE = {"errors", "files", "declarations", "plugins"}
DATA = BASE | {"schema", "store"}
SPACE = BASE | {"schema", "kernels", "neighborhood"}
MAY_IMPORT = {
    "errors": set(),
    "declarations": {"errors"},
    "plugins": {"errors"},
    "files": {"errors"},
    "schema": BASE,
    "store": BASE | {"schema"},
    "io": DATA,
    "kernels": set(),
    "neighborhood": BASE | {"schema", "kernels"},
    "simulation": SPACE | {"store"},
    "correlations": SPACE | {"store"},
    "descriptors": SPACE | {"store", "simulation", "learning"},
    "dynamics": SPACE | {"store", "correlations", "fields", "simulation"},
    "fields": SPACE | {"store", "correlations"},
    "learning": BASE,
    "plotting": set(),
    "sweep": SPACE | {"store", "simulation", "correlations", "dynamics", "descriptors", "learning"},
    "cluster": BASE,
}
# the front doors may know everything
DOORS = {"__init__", "__main__", "cli"}


def imported(file: Path) -> set[str]:
    """First components below glassdask of everything that a module imports, wherever the statement stands."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            parts = node.module.split(".")
            if parts[0] == "glassdask":
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {parts[1] if len(parts) > 1 else "" for parts in names if parts[0] == "glassdask"}
    return found


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_arrows_point_one_way(file):
    room = file.relative_to(ROOT).parts[0].removesuffix(".py")
    if room in DOORS:
        return
    wrong = imported(file) - MAY_IMPORT[room] - {room, "__version__", ""}
    assert not wrong, f"{room} imports {', '.join(sorted(wrong))}"


def test_every_room_is_known():
    rooms = {p.name.removesuffix(".py") for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert rooms - DOORS == set(MAY_IMPORT)


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_modules_are_short(file):
    assert len(file.read_text().splitlines()) <= 500
