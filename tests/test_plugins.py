"""What other packages add by entry points, and what happens when they are wrong."""

from __future__ import annotations

import sys

import pytest

import glassdask as gd
from glassdask import plugins
from glassdask.errors import FormatError, ParameterError, PluginError

ENTRIES = {
    "good-package": (
        "fine = good:Fine\nbad = good:nothing\nwrong = good:Other\nbroken = gone:x\n",
        "sided = good:Fine\n",
    ),
    "second-package": ("twice = good:Fine\nours = good:Other\n", ""),
    "third-package": ("twice = good:Fine\n", ""),
}


class Part:
    """What others are to subclass."""


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    for package, (parts, others) in ENTRIES.items():
        folder = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[glassdask.parts]\n{parts}[glassdask.others]\n{others}")
    (tmp_path / "good.py").write_text(
        f"from {__name__} import Part\nclass Fine(Part):\n    pass\nclass Other:\n    pass\n"
    )
    (tmp_path / "gone.py").write_text("raise RuntimeError('one\\ntwo')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_outside", plugins._outside.__wrapped__)
    yield plugins.Catalog("part", {"ours": "json:dumps", "it": Part}, Part)
    for name in ("good", "gone"):
        sys.modules.pop(name, None)


def test_names_are_known_before_anything_is_imported(catalog):
    assert list(catalog) == ["bad", "broken", "fine", "it", "ours", "twice", "wrong"]
    assert len(catalog) == 7
    assert "fine" in catalog
    assert "sided" not in catalog
    assert "good" not in sys.modules


def test_each_is_imported_when_it_is_asked_for(catalog):
    import json

    assert catalog["ours"] is json.dumps  # not the one of the second package
    assert catalog["it"] is Part
    assert catalog.find("fine").__module__ == "good"
    assert catalog.get("none") is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bad", r"part 'bad' of good-package cannot be imported \(AttributeError: .*\): repair or uninstall"),
        ("broken", r"part 'broken' of good-package cannot be imported \(RuntimeError: one\): repair or uninstall"),
        ("wrong", r"part 'wrong' of good-package is good:Other, expected a Part: correct its entry point"),
        ("twice", r"part 'twice' is added by (second|third)-package and (second|third)-package: uninstall all but one"),
    ],
)
def test_what_cannot_be_used_says_whose_it_is(catalog, name, message):
    with pytest.raises(PluginError, match=f"^{message}"):
        catalog.find(name)
    assert catalog["fine"]  # the others go on


def test_unknown_names_list_what_there_is(catalog):
    with pytest.raises(ParameterError, match=r"^run.part: part 'none' is not known: expected one of bad, broken, fine"):
        catalog.find("none", "run.part")


def test_a_model_of_another_package(tmp_path, monkeypatch):
    """Found by its name wherever a model is named, and refused where it is none."""
    from glassdask.descriptors.local_energy import LocalEnergy
    from glassdask.simulation.models import MODELS

    folder = tmp_path / "their_liquids-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: their-liquids\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[glassdask.models]\nsoft = theirs:SOFT\nnone = theirs:NAME\n")
    (tmp_path / "theirs.py").write_text(
        "from glassdask.simulation import Harmonic, PairModel\n"
        "SOFT = PairModel(name='soft', species=('A',), fractions=(1,), masses=(1,), density=1, timestep=0.01,\n"
        "                 pairs=(Harmonic(epsilon=1, sigma=1),))\n"
        "NAME = 'soft'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_outside", plugins._outside.__wrapped__)
    assert "soft" in list(MODELS)
    assert LocalEnergy(model="soft").model.species == ("A",)
    with pytest.raises(PluginError, match="'none' of their-liquids is theirs:NAME, expected a Model"):
        LocalEnergy(model="none")
    sys.modules.pop("theirs")


READER = """
import hashlib
from pathlib import Path
import numpy as np
from glassdask.io.frame import Frame, Survey, encode
from glassdask.io.formats import Format

FORMAT = Format("rows", (".rows",), ("scale",))

def survey(path, scale=1.0):
    content = Path(path).read_bytes()
    return Survey(len(content.splitlines()), hashlib.sha256(content).hexdigest(), None, True)

def read(path, start, stop, offset, scale=1.0):
    for line in Path(path).read_text().splitlines()[start:stop]:
        x = scale * np.array(line.split(), dtype=float)
        names = ["A"]
        position = np.stack([x, x], axis=1)
        yield Frame(position, ("A",), encode(np.full(len(x), "A"), names), 4.0 * np.eye(2))
"""


def test_a_reader_of_another_package(tmp_path, monkeypatch):
    """It is found by its suffix or its name, and takes options of its own."""
    folder = tmp_path / "rows-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: rows\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[glassdask.readers]\nrows = rows:FORMAT\n")
    (tmp_path / "rows.py").write_text(READER)
    (tmp_path / "run.rows").write_text("0.5 1.5\n0.75 1.25\n1.0 1.0\n")
    (tmp_path / "run.txt").write_text("0.25 0.5\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_outside", plugins._outside.__wrapped__)
    try:
        gd.ingest(tmp_path / "run.rows", tmp_path / "run.zarr")
        gd.ingest(tmp_path / "run.txt", tmp_path / "scaled.zarr", format="rows", scale=2.0)
        assert gd.open_trajectory(tmp_path / "run.zarr")["position"].values[:, :, 0].tolist() == [
            [0.5, 1.5],
            [0.75, 1.25],
            [1.0, 1.0],
        ]
        assert gd.open_trajectory(tmp_path / "scaled.zarr")["position"].values[0, :, 1].tolist() == [0.5, 1.0]
        with pytest.raises(ParameterError, match="format rows has no option columns: it has scale"):
            gd.ingest(tmp_path / "run.rows", tmp_path / "no.zarr", columns={"x": "y"})
        with pytest.raises(FormatError, match=r"known; known are .*\.rows"):
            gd.ingest(tmp_path / "run.txt", tmp_path / "no.zarr")
    finally:
        sys.modules.pop("rows", None)
