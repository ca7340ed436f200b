"""Stages that other packages add: one class and one entry point, then they are stages like ours."""

from __future__ import annotations

import sys

import dask
import pytest

import glassdask as gd
from glassdask import plugins
from glassdask.errors import ParameterError, PluginError
from glassdask.sweep import read_sweep, run_sweep, stages
from tests.sweep.liquids import save_sweep

STAGE = """
from dataclasses import dataclass
import xarray as xr
import glassdask as gd
from glassdask.declarations import Count, Declaration
from glassdask.sweep.stage import Stage

@dataclass(frozen=True, kw_only=True)
class SpreadTable(Declaration):
    first: Count = 1
    unit: str = "sigma"

class Spread(Stage):
    "Standard deviation of the first components of each state."
    name = "spread"
    table = SpreadTable
    needs = ("reduce",)
    of_runs = ("first",)

    def groups(self, state, settings):
        return ["reductions/spread"]

    def run(self, state, settings, overwrite):
        found = gd.open_reduction(state.path, "bo")["projection"].std(("frame", "particle")).load()
        chosen = found[:settings["spread"].first].rename("spread").to_dataset()
        gd.store.write_dataset(chosen.drop_attrs(), state.path, "reductions/spread", overwrite=overwrite,
                               parameters={"key": state.units["spread"].key})

class Early(Stage):
    name = "early"
    table = SpreadTable
    needs = ("later",)

class Later(Early):
    name = "later"
    needs = ("early",)

class Same(Spread):
    name = "same"
    def groups(self, state, settings):
        return ["reductions/structure"]

class Misnamed(Spread):
    name = "other"

class Evil(Spread):
    name = "<script>"

class Column(Spread):
    name = "seed"

class Tableless(Stage):
    name = "tableless"
"""
ENTRIES = ("spread:Spread", "early:Early", "later:Later", "same:Same", "misnamed:Misnamed", "evil:Evil", "seed:Column")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of somebody else that adds stages, most of them wrong."""
    folder = tmp_path / "their_stages-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: their-stages\nVersion: 1.0\n")
    lines = [f"{name} = their_stages:{cls}\n" for name, cls in (entry.split(":") for entry in ENTRIES)]
    lines += ["tableless = their_stages:Tableless\n", "broken = their_stages:Nothing\n"]
    (folder / "entry_points.txt").write_text(f"[glassdask.stages]\n{''.join(lines)}")
    (tmp_path / "their_stages.py").write_text(STAGE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_outside", plugins._outside.__wrapped__)
    yield
    stages._added.cache_clear()
    sys.modules.pop("their_stages", None)


@pytest.mark.slow
@pytest.mark.usefixtures("package")
def test_a_stage_of_another_package(tmp_path):
    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=2)
    text = file.read_text()
    file.write_text(text + "[spread]\nfirst = 2\n")
    sweep = read_sweep(file)
    assert sweep.stages == ("describe", "reduce", "correlate", "spread")
    state = sweep.states[0]
    assert state.units["spread"].after == ("reduce",)
    assert state.units["spread"].groups == ("reductions/spread",)
    seen = []
    with dask.config.set(scheduler="synchronous"):
        table = run_sweep(file)
        assert (table[list(sweep.stages)] == "complete").all(axis=None), table["spread_error"].tolist()
        found = gd.open_reduction(state.path, "spread")["spread"]
        assert found.values.tolist() == [gd.open_reduction(state.path, "bo")["projection"].std().values.tolist()]
        # its settings are part of its key, and so are those of the stage that it needs; nothing else is done again
        for change, number in ((("first = 2", "first = 1"), 2), (("l_max = 2", "l_max = 1"), 6)):
            file.write_text(file.read_text().replace(*change))
            seen.clear()
            run_sweep(file, overwrite=True, progress=lambda done, total: seen.append(total))
            assert seen[-1] == number
    # what a run may give itself, and the path of what is wrong
    for given, message in {
        "first = 0": r"runs\[0\].first: expected a whole number of at least 1, found 0",
        "unit = 3": r"runs\[0\].unit: unknown",
    }.items():
        file.write_text(text.replace("[[runs]]", f"[[runs]]\n{given}") + "[spread]\n")
        with pytest.raises(ParameterError, match=message):
            read_sweep(file)
    file.write_text(text.replace("[[runs]]", "[[runs]]\nfirst = 3") + "[spread]\n")
    assert read_sweep(file).settings[state.label]["spread"].first == 3
    file.write_text(text + "[spread]\nfirst = '1'\n")
    with pytest.raises(ParameterError, match=r"sweep.toml: spread.first: expected int, found '1'"):
        read_sweep(file)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("tables", "error", "message"),
    [
        ("[early]\n[later]", PluginError, "need each other"),
        ("[misnamed]", PluginError, "its name is not that of its entry point, 'misnamed'"),
        ("[evil]", PluginError, "its name is not that of its entry point, 'evil'"),
        ("[tableless]", PluginError, r"its table is no Declaration: say what is in \[tableless\]"),
        ("[broken]", PluginError, "'broken' of their-stages cannot be imported"),
        ("[same]", ParameterError, "what it stores as reductions/structure another stage stores, too"),
        ("[unheard]", ParameterError, "unheard: unknown, expected some of store, .*describe.*spread"),
    ],
)
def test_what_is_wrong_with_a_stage_is_told(tmp_path, tables, error, message):
    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=1)
    read_sweep(file)  # what a sweep does not use may be broken
    file.write_text(file.read_text() + tables)
    with pytest.raises(error, match=message):
        read_sweep(file)


@pytest.mark.usefixtures("package")
def test_a_stage_is_no_column():
    with pytest.raises(PluginError, match="its name is not that of its entry point, 'seed', or is taken"):
        stages.ordered(["seed"])


def test_an_unknown_stage():
    with pytest.raises(ParameterError, match="stage 'none' is not known: expected one of classify, common, corr"):
        stages.stage_named("none")
