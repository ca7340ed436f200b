"""The commands and lines of Python in README.md and the READMEs of folders, as they stand there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError
from glassdask.sweep import read_sweep
from tests.texts import ROOT, block, dumps, shell, text

GUIDES = [
    "README.md", *sorted(str(path.relative_to(ROOT)) for folder in ("glassdask", "pipelines", "deploy", "notebooks")
                         for path in (ROOT / folder).rglob("*.md") if not {"reports", "pages"} & set(path.parts)),
    "tests/benchmarks/README.md", ".github/CONTRIBUTING.md",
]  # fmt: skip


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """A folder with dumps, in which the README's commands have run."""
    folder = tmp_path_factory.mktemp("readme")
    dumps(folder)
    lines = block("README.md", "sh", "glassdask ingest").strip().splitlines()
    assert lines[0].startswith("glassdask ingest dump.*.gz ")
    assert len(lines) == 3
    for line in lines:
        done = shell(line, folder)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    return folder


@pytest.mark.slow
def test_the_commands_run_as_typed(worked):
    stored = gd.open_trajectory(worked / "liquid.zarr")
    assert stored["step"].values.tolist() == [0, 200, 1000]
    assert sorted(set(stored["species"].values.tolist())) == ["A", "B"]
    assert (worked / "sbo.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_lines_of_python_run(worked, monkeypatch):
    """In a store of their own; the PNG and the components are those of the commands."""
    monkeypatch.chdir(worked)
    names: dict[str, object] = {}
    exec(block("README.md", "python", "gd.ingest").replace("liquid.zarr", "python.zarr"), names)
    theirs = gd.open_reduction(worked / "liquid.zarr", "sbo")["direction"].sel(component=1)
    np.testing.assert_allclose(gd.reduce(names["features"]["sbo"])["direction"].sel(component=1), theirs, atol=1e-5)
    assert "no data yet? liquid = gd.example(" in text("README.md")


@pytest.mark.slow
def test_the_commands_of_the_guide_to_files_run(worked):
    guide = "glassdask/io/README.md"
    lines = block(guide, "sh", "glassdask verify").strip().splitlines()
    lines += block(guide, "sh", "glassdask export").strip().splitlines()
    for line in lines:
        if "s3://" not in line:
            done = shell(line, worked)
            assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert {"liquid.lammpstrj", "first.extxyz.gz", "last.png"} <= {path.name for path in worked.iterdir()}


def test_a_descriptor_of_neighbors_is_as_long_as_the_guide_shows():
    names = {"gd": gd, "np": np, "dataclass": dataclass, "ClassVar": ClassVar}
    names["trajectory"] = one = gd.example("wahnstrom").isel(frame=[0])
    shown = block("glassdask/descriptors/README.md", "python", "OfBonds")
    exec(compile(shown, "guide", "exec", dont_inherit=True), names)
    found = names["features"]["asymmetry"].values[0]
    positions, edges = one["position"].values[0], np.diag(one["box"].values[0])
    for i in np.nonzero(one["species"].values == "B")[0][:5]:
        away = positions - positions[i]
        away -= edges * np.rint(away / edges)
        nearest = away[np.argsort((away**2).sum(axis=1))[1:13]]
        np.testing.assert_allclose(found[i], np.linalg.norm(nearest.sum(axis=0)), rtol=1e-6)
    own = names["Asymmetry"]
    assert "neighbor_species : str" in own.__doc__
    assert "cutoffs : float or dict" in own.__doc__
    for wrong in ({}, {"cutoffs": 1.2, "neighbors": gd.SANN()}):
        with pytest.raises(ParameterError, match="Asymmetry takes either cutoffs or neighbors"):
            own(**wrong)


@pytest.mark.slow
def test_the_commands_of_the_guide_to_descriptors_run(worked):
    guide = "glassdask/descriptors/README.md"
    (worked / "descriptors.toml").write_text(block(guide, "toml", "[soap]").replace("n_max = 6", "n_max = 2"))
    lines = block(guide, "sh", "glassdask describe").replace("\\\n", " ").strip().splitlines()
    for line in [*lines, *block(guide, "sh", "glassdask classify").strip().splitlines()]:
        done = shell(line, worked)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    names = {"gd": gd, "np": np, "trajectory": gd.example("wahnstrom").isel(frame=[0])}
    exec(block(guide, "python", "def nearest"), names)
    found = gd.map_frames(names["nearest"], names["trajectory"], dims=["particle"]).mean("particle")
    assert 0.8 < found.values[0] < 1.1


def test_the_sweep_of_the_front_page_begins(tmp_path):
    """What follows the template is run by the guide to sweeps, and the template by tests/sweep."""
    new, run, plot = block("README.md", "sh", "sweep new").strip().splitlines()
    assert shell(new, tmp_path).returncode == 0
    assert Path(read_sweep(tmp_path / run.split()[3]).store).name == plot.split()[2]


@pytest.mark.slow
def test_the_sweep_over_dumps_runs(tmp_path):
    """As the guide to sweeps has it, with two temperatures."""
    guide = "glassdask/sweep/README.md"
    for temperature in ("0.5800", "0.6000"):
        (tmp_path / f"T{temperature}").mkdir()
        dumps(tmp_path / f"T{temperature}", 1500)
    (tmp_path / "mixture.toml").write_text(block(guide, "toml", "[common]"))
    for line in block(guide, "sh", "mixture.toml --dry-run").strip().splitlines():
        done = shell(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert {"tau.png", "tau.csv", "fs.pdf"} <= {path.name for path in tmp_path.iterdir()}
    states = sorted((tmp_path / "mixture.zarr/mixture").glob("T=*"))
    one, other = (gd.open_reduction(state, "sbo_common")["direction"] for state in states)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("file", GUIDES)
def test_links_lead_somewhere(file):
    """Also those to a folder or an anchor's page; addresses are of few kinds."""
    for link in re.findall(r"\]\(([^)#]+)\)", text(file)):
        if re.match(r"https?://", link):
            assert " " not in link
        else:
            assert ((ROOT / file).parent / link).exists(), link


@pytest.mark.parametrize("file", GUIDES)
def test_nothing_is_installed_from_an_index_under_our_name(file):
    assert not re.search(r"pip install\s+['\"]?glassdask", text(file))


def test_no_hint_names_an_index_that_is_not_ours():
    for path in sorted([*(ROOT / "glassdask").rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")]):
        assert "pip install 'glassdask" not in path.read_text(), path


def test_links_of_the_first_screen_are_there():
    assert Path(ROOT / "deploy/docs/front.png").stat().st_size < 300_000
