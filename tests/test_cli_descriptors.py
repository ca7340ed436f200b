"""What there is to be described, by which names, and what is told while it runs."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shlex
import subprocess
import sys
import time

import numpy as np
import pytest

import glassdask as gd
from glassdask import reporting
from glassdask.descriptors import registry
from glassdask.descriptors.catalogue import TYPICAL, entries, entry, microseconds
from glassdask.errors import GlassdaskError, ParameterError
from glassdask.texts import parse_toml, parse_words
from tests.test_cli import ARGS, run

ENTRIES = {each.name: each for each in entries()}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    rng = np.random.default_rng(3)
    cells = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(1, 216, 3)
    position = (cells + rng.normal(scale=0.05, size=(4, 216, 3))) % 6.0
    path = tmp_path_factory.mktemp("words") / "s.zarr"
    gd.save_trajectory(gd.from_arrays(position, species=["A", "B"] * 108, box=[6.0] * 3), path)
    return path


def test_the_list_has_all(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "descriptors")
    assert code == 0
    for name in registry.DESCRIPTORS:
        assert f"\n{name} " in f"\n{out}"
        assert registry.descriptor_class(name).__name__ in out
    found = json.loads(run(monkeypatch, capsys, "descriptors", "--json")[1])
    assert [each["name"] for each in found] == list(registry.DESCRIPTORS)
    help_text = run(monkeypatch, capsys, "describe", "-h")[1]
    assert all(f"  {name} " in help_text for name in registry.DESCRIPTORS)
    # papers go by the names of their authors wherever the shell tells of them
    for told in (out, json.dumps(found), help_text):
        assert "Paret (2022)" in " ".join(told.split())
        assert not re.search(r"\b[Pp]aper [ABC]\b", " ".join(told.split()))


def test_one_of_them(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "descriptors", "SmoothedBondOrder")
    assert code == 0
    for words in ("f(r) = exp(-(r/r_c)^gamma)", "Paret (2022), Eqs. 7", "default 8.0", "measured where it is not given",
                  "glassdask describe STORE sbo", "microseconds of a core"):  # fmt: skip
        assert words in out
    code, _, error = run(monkeypatch, capsys, "descriptors", "sboo")
    assert code == 1
    assert "'sboo' is not known: expected one of ace, ackland_jones" in error
    assert np.isfinite(microseconds("radial_density"))
    for word, meant in {
        "symmetry_function": "SymmetryFunctions",
        "topological_cluster": "topological_clusters",
    }.items():
        assert f"did you mean '{meant}'?" in run(monkeypatch, capsys, "descriptors", word)[2]


@pytest.mark.parametrize("name", ENTRIES)
def test_examples_are_the_same_in_the_shell_in_files_and_in_python(name):
    found = ENTRIES[name]
    (argument,) = shlex.split(found.shell)
    kind, values = registry.parse(argument)
    expected = registry.make(kind, values, TYPICAL)
    ((table, given),) = parse_toml(found.toml).items()
    assert registry.make(table, given, TYPICAL) == expected
    words = {"first_minima": lambda _: TYPICAL["cutoffs"](), "first_peaks": lambda _: TYPICAL["diameters"]()}
    front = type("gd", (), {**words, found.class_name: type(expected)})
    front.first_minima, front.first_peaks = map(staticmethod, words.values())
    made = eval(found.python, {"gd": front, "trajectory": None})
    assert type(made) is type(expected)
    for key in type(made).__dataclass_fields__:
        if key not in found.measured or key == "diameters":  # one distance is one for each pair
            assert getattr(made, key) == getattr(expected, key)
    assert all(meaning for *_, meaning in found.parameters), "every parameter is explained"


def test_analyses_that_need_no_lengths_measure_none(store):
    trajectory = gd.open_trajectory(store)
    for word, made in {
        "common_neighbors": gd.CommonNeighbors(),
        "minkowski": gd.MinkowskiStructure(),
        "voronoi:diameters=none": gd.VoronoiCell(),
        "common_neighbors:cutoffs=none": gd.CommonNeighbors(),
        "pair_entropy:r_max=1.5,average_radius=none": gd.PairEntropy(r_max=1.5),
    }.items():
        (name, found), *_ = registry.from_texts([word], trajectory).items()
        assert found == made, word
        np.testing.assert_array_equal(gd.describe(trajectory, word)[name], gd.describe(trajectory, made)[name])
    assert registry.from_texts(["common_neighbors:output=pairs"], trajectory)["common_neighbors"].cutoffs
    with pytest.raises(ParameterError, match=r"^bo: BondOrder takes either cutoffs or neighbors"):
        registry.from_texts(["bo:cutoffs=none"], trajectory)


@pytest.mark.parametrize("word", ["SBO", "sbo", "SmoothedBondOrder", "smoothed_bond_order"])
def test_names_of_classes_and_bare_words(word):
    assert registry.kind_of(word) == "sbo"
    assert entry(word).class_name == "SmoothedBondOrder"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("neighbors=voronoi,neighbors.weighted=true", {"neighbors": {"type": "voronoi", "weighted": True}}),
        ("cutoffs.A-A=1.4, cutoffs.A-B=.5", {"cutoffs": {"A-A": 1.4, "A-B": 0.5}}),
        ("x=inf,file=a/b.toml,word='a, b'", {"x": float("inf"), "file": "a/b.toml", "word": "a, b"}),
        ("n={type=k_nearest,k=12}", {"n": {"type": "k_nearest", "k": 12}}),
        ("", {}),
    ],
)
def test_words_need_no_quotes(text, expected):
    assert parse_words(text) == expected


@pytest.mark.parametrize("text", ["a=", "a", "a=1,,b=2", "a={b=1", "a=1 2", "a=$x", "a='b"])
def test_what_is_no_value(text):
    with pytest.raises(ParameterError, match="write name:parameter=value"):
        registry.parse(f"bo:{text}")


def test_two_versions_of_one(monkeypatch, capsys, store):
    words = (
        "SBO:cutoffs=1.4",
        "wide=SmoothedBondOrder:gamma=4,cutoffs=1.4",
        "near=bo:neighbors=k_nearest,neighbors.k=6",
    )
    code, out, error = run(monkeypatch, capsys, "describe", store, *words, *ARGS)
    assert code == 0, error
    assert out.strip().endswith("descriptors/sbo, descriptors/wide, descriptors/near")
    t, found = gd.open_trajectory(store), gd.open_descriptors(store)
    wanted = {"wide": gd.SmoothedBondOrder(gamma=4, cutoffs=1.4), "near": gd.BondOrder(neighbors=gd.KNearest(6))}
    expected = gd.describe(t, wanted)
    for name in ("wide", "near"):
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=1e-6)
    code, _, error = run(monkeypatch, capsys, "describe", store, "sbo", "sbo:gamma=4", *ARGS)
    assert code == 1
    assert "sbo is asked for twice: give one another name, such as sbo_2=sbo:..." in error


def test_words_in_python(store):
    t = gd.open_trajectory(store)
    found = gd.describe(t, ["sbo", "wide=SBO:gamma=4", gd.Coordination(cutoffs=1.2)])
    cutoffs = gd.first_minima(t)
    expected = gd.describe(t, {"wide": gd.SmoothedBondOrder(gamma=4, cutoffs=cutoffs)})
    assert list(found) == ["sbo", "wide", "coordination"]
    np.testing.assert_array_equal(found["wide"].values, expected["wide"].values)
    assert list(gd.describe(t, "bo:cutoffs=1.2")) == ["bo"]
    for wrong in ("nothing", "sbo:cutoffs=word", ["sbo", "sbo"], [3]):
        with pytest.raises(GlassdaskError):
            gd.describe(t, wrong)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("glassdask des", {"describe", "descriptors"}),
        ("glassdask describe s.zarr so", {"soap", "solid_liquid"}),
        ("glassdask descriptors t", {"tcc", "tetrahedrality", "theta", "third_order", "topological_clusters"}),
        ("glassdask dynamics s.zarr ch", {"chi4"}),
        ("glassdask describe s.zarr --cent", {"--centers"}),
        ("glassdask sweep st", {"status"}),
        ("glassdask reduce STORE ne", {"near"}),
    ],
)
def test_the_tab_key(monkeypatch, capsys, store, words, expected):
    place = store / "descriptors" / "near"
    place.mkdir(parents=True, exist_ok=True)
    (place / "zarr.json").touch()
    words = words.replace("STORE", str(store))
    monkeypatch.setenv("_GLASSDASK_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert set(run(monkeypatch, capsys)[1].split()) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_of_shells(monkeypatch, capsys, shell):
    code, out, _ = run(monkeypatch, capsys, "completion", shell)
    assert code == 0
    assert "_GLASSDASK_COMPLETE" in out
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=out, text=True).returncode == 0


def test_a_log_and_where_errors_come_from(monkeypatch, capsys, tmp_path, store):
    log = tmp_path / "run.log"
    assert run(monkeypatch, capsys, "descriptors", "--log", log)[0] == 0
    code, _, error = run(monkeypatch, capsys, "info", tmp_path / "nowhere.zarr", "--log", log, "--verbose")
    assert code == 1
    assert error.count("\n") == 0
    lines = log.read_text()
    assert lines.count("ended with exit code 0") == lines.count("ended with exit code 1") == 1
    assert "glassdask info" in lines
    assert "Traceback" in lines
    assert not logging.getLogger("glassdask").handlers
    code, _, error = run(monkeypatch, capsys, "info", store, "--log", tmp_path / "none" / "run.log")
    assert (code, "give a file in a folder that is there" in error) == (1, True)


def test_lines_where_there_is_no_terminal(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(reporting, "EVERY", 0.01)
    with reporting.progress("describe") as tell:
        tell(0, 12)
        tell(3, 12)
        while shown.getvalue().count("\n") < 2:
            time.sleep(0.01)
        tell(12, 12)
    lines = shown.getvalue().splitlines()
    assert lines[0].startswith("describe: 3 of 12, 0:00:0")
    assert "left" in lines[0]
    assert lines[-1].startswith("describe: 12 of 12, ")
    with reporting.progress("describe", quiet=True) as tell:
        assert tell is None


def test_what_was_done_before_does_not_shorten_what_is_left():
    state = reporting._State("describe")
    state.begun -= 20.0
    state.told(80, 100)
    assert "left" not in str(state)
    state.before = (80, state.before[1] - 10.0)
    state.told(85, 100)
    assert str(state) == "describe: 85 of 100, 0:00:20, about 0:00:30 left"


def test_progress_that_is_asked_for(monkeypatch):
    """Of work that cannot tell anything, such as that of other processes."""
    shown, asked = io.StringIO(), []

    def look():
        asked.append(1)
        return len(asked), 1_000_000

    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(reporting, "EVERY", 1e-3)
    monkeypatch.setattr(reporting, "REFRESH", 1e-3)
    with reporting.progress("minimise", look=look):
        while shown.getvalue().count("\n") < 2:
            time.sleep(0.001)
    first, *_, last = (int(line.split()[1]) for line in shown.getvalue().splitlines())
    assert 1 <= first < last <= len(asked)


def test_tasks_are_counted_where_nobody_tells(monkeypatch, store):
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(reporting, "EVERY", 0.0)
    monkeypatch.setattr(reporting, "REFRESH", 1e-3)
    with gd.progress("bond order"):
        gd.describe(gd.open_trajectory(store), "bo:cutoffs=1.2").compute()
        time.sleep(0.02)
    done, _, total = shown.getvalue().splitlines()[-1].split()[2:5]
    assert int(done) == int(total.rstrip(",")) > 0


def test_a_line_in_a_notebook(monkeypatch):
    lines: list[str] = []

    class Handle:
        def update(self, text):
            lines.append(text)

    kernel = type("Kernel", (), {"kernel": None})
    front = type("IPython", (), {"get_ipython": staticmethod(kernel)})
    display = type("display", (), {"Pretty": staticmethod(str), "display": staticmethod(lambda *_, **__: Handle())})
    monkeypatch.setitem(sys.modules, "IPython", front)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with gd.progress("reduce") as tell:
        tell(1, 2)
    assert lines[-1].startswith("reduce: 1 of 2, ")
    assert os.linesep not in lines[-1]
