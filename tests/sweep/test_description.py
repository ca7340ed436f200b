"""From a sweep's file to its states; what is wrong in it is told before any work."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from glassdask.errors import ParameterError, StoreError
from glassdask.sweep import read_sweep, status
from tests.sweep.liquids import FILE as GIVEN
from tests.sweep.liquids import STAGES

FILE = """
store = "runs.zarr"
seeds = [1]

[protocol]
particles = 100
melt = 2.0
melt_time = 2.0
rate = 1.0
equilibrate = 2.0
produce = 2.0
every = 1.0

[[runs]]
model = "kam_2d"
temperatures = [1.0]
densities = [1.2]
inherent = true
replicas = 2
lags = [0.1, 1.0]
centers = "B"

[[runs]]
model = "polymer"
temperatures = [1.0]
pressure = 1.0
cutoffs = {A-A = 1.2}

[describe]
cutoffs = {A-A = 1.4, B-A = 1.3}
[describe.descriptors.first]
type = "bo"
l_max = 4
[reduce]
[correlate]
"""
PATHS = ["kam_2d/rho=1.2000/T=1.0000/seed=1", "polymer/T=1.0000/seed=1"]


def fake_sweep(folder, temperatures=(0.5, 0.6), stages=STAGES):
    """A sweep over places where trajectories seem to be: a description does not look into them."""
    for temperature in temperatures:
        for seed in (0, 1):
            path = folder / f"data/gas/T={temperature}/{seed}.zarr"
            path.mkdir(parents=True)
            (path / "zarr.json").touch()
    (folder / "sweep.toml").write_text(GIVEN + stages)
    return folder / "sweep.toml"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(FILE)
    return path


def test_the_mark_of_editors_is_no_word(file):
    states = list(read_sweep(file))
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert list(read_sweep(file)) == states


def test_simulated_states(file):
    sweep = read_sweep(file)
    assert sweep.stages == ("simulate", "describe", "reduce", "correlate")
    assert list(sweep) == PATHS  # the ensemble makes the first one the longer one
    first, second = sweep.states
    assert first.path == str(file.parent / "runs.zarr" / PATHS[0])
    assert (first.model, first.temperature, first.density, first.seed) == ("kam_2d", 1.0, 1.2, 1)
    one, two = (sweep.settings[state.label] for state in sweep.states)
    assert one["simulate"].simulation.start.density == 1.2
    assert two["simulate"].simulation.start.density is None
    assert [stage.time for stage in one["simulate"].simulation.stages] == [2.0, 1.0, 2.0, 2.0]
    assert [stage.ensemble for stage in two["simulate"].simulation.stages] == ["nvt", "npt", "npt", "nvt"]
    assert one["simulate"].simulation.seed != two["simulate"].simulation.seed
    assert one["simulate"].ensemble.replicas == 2
    assert two["simulate"].ensemble is None
    # what a run says of its own states, and what it does not
    assert one["describe"].centers == ("B",)
    assert two["describe"].centers is None
    assert one["describe"].cutoffs == {("A", "A"): 1.4, ("A", "B"): 1.3}
    assert two["describe"].cutoffs == {("A", "A"): 1.2}
    assert first.units["correlate"].groups[-1] == "reductions/propensity"
    assert first.units["correlate"].after == ("simulate", "describe", "reduce")
    assert second.units["correlate"].after == ("simulate",)
    file.write_text(FILE.replace("[correlate]", "[correlate]\ndynamics = false"))
    assert read_sweep(file).states[1].units["correlate"].groups == ("reductions/structure",)


OWN = """
[runs.model]
name = "soft"
species = ["A", "B"]
fractions = [0.5, 0.5]
masses = [1.0, 1.0]
density = 0.9
timestep = 0.004

[runs.model.pairs]
A-A = {type = "harmonic", epsilon = 1.0, sigma = 1.0}
B-A = {type = "hertzian", epsilon = 1.0, sigma = 1.2}
B-B = {type = "yukawa", epsilon = 1.0, sigma = 1.4, kappa = 3.0, cutoff = 3.5, scheme = "even"}
"""


def test_a_liquid_of_its_own(file):
    """A model that is spelled out in the file; what is wrong in it is named by its path, and belongs to the key."""
    text = FILE.replace('model = "kam_2d"\n', "").replace('centers = "B"\n', 'centers = "B"\n' + OWN)
    file.write_text(text)
    state = next(state for state in read_sweep(file).states if state.model == "soft")
    assert state.label == "soft/rho=1.2000/T=1.0000/seed=1"
    model = read_sweep(file).settings[state.label]["simulate"].simulation.model
    assert [type(pair).__name__ for pair in model.pairs] == ["Harmonic", "Hertzian", "Yukawa"]
    assert model.pair("A", "B").sigma == 1.2
    file.write_text(text.replace("sigma = 1.2", "sigma = 1.3"))
    other = next(state for state in read_sweep(file).states if state.model == "soft")
    assert other.units["simulate"].key != state.units["simulate"].key
    for change, message in {
        ("sigma = 1.2", "sigma = '1.2'"): r"runs\[0\].model.pairs.A-B.sigma: expected float, found '1.2'",
        ("B-A =", "B-C ="): r"runs\[0\].model: pairs.A-B: is missing or unknown: expected A-A, A-B, B-B",
        ("masses =", "mass ="): r"runs\[0\].model.mass: unknown",
        ("[0.5, 0.5]", "[0.5, 0.4]"): r"runs\[0\].model: soft: fractions add up to 0.9, expected 1",
        ('["A", "B"]', '["A", "A"]'): r"runs\[0\].model: soft: species",
        ("timestep = 0.004", 'timestep = 0.004\nfile = "a.eam"'): r"runs\[0\].model.*pairs: unknown",
    }.items():
        assert change[0] in text
        file.write_text(text.replace(*change))
        with pytest.raises(ParameterError, match=message):
            read_sweep(file)


def test_cold_and_long_first(file):
    file.write_text(FILE.replace("temperatures = [1.0]\npressure", "temperatures = [1.0, 1.4, 0.6]\npressure"))
    assert [state.temperature for state in read_sweep(file).states[1:]] == [0.6, 1.0, 1.4]
    # cooling further takes longer; at the same length the colder one comes first
    file.write_text(FILE.replace("produce = 2.0", "produce = 2.0\nrate = 1e9").replace("rate = 1.0\n", ""))
    assert list(read_sweep(file)) == PATHS


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (("rate = 1.0", ""), ParameterError, r"runs\[0\].rate: is missing: give it there or under \[protocol\]"),
        (("rate = 1.0", "speed = 1.0"), ParameterError, "protocol.speed: unknown"),
        (("[reduce]", "[reduces]"), ParameterError, "reduces: unknown"),
        (('"polymer"', '"glycerol"'), ParameterError, r"runs\[1\].model: no model 'glycerol'"),
        (('"polymer"', '"copper_zirconium"'), ParameterError, "potential: is missing"),
        (('"polymer"', '"copper_zirconium"\npotential = "x"'), ParameterError, "potential: .*no such potential file"),
        (
            ("[1.0]\npressure", "[1.0, 1.00001]\npressure"),
            ParameterError,
            "runs: polymer/.*T=1.0000.* is asked for twice, with temperatures 1.0 and 1.00001: leave one out, or give "
            "it a file and store of its own, as labels have four decimals",
        ),
        (("[[runs]]", "[[runs]"), ParameterError, "cannot be read as TOML"),
        (("[describe]", '[describe]\nstructures = "inherent"'), ParameterError, "polymer: set inherent = true"),
        (
            ("[describe]", '[describe]\nstructures = "frozen"'),
            ParameterError,
            "'inherent', found 'frozen'",
        ),
        (('type = "bo"', 'type = "bond"'), ParameterError, "'bond' is not known"),
        (('type = "bo"', 'descriptor = "bo"'), ParameterError, "first.descriptor: is called type now: rename it"),
        (("l_max = 4", "l_max = 400"), ParameterError, "descriptors.first.*400"),
        (("l_max = 4", "l_min = 4\nl_most = 6"), ParameterError, "descriptors.first.l_most: unknown"),
        (
            (
                "[describe.descriptors.first]",
                '[describe.descriptors.local_energy]\nmodel = "silica"\n[describe.descriptors.first]',
            ),
            ParameterError,
            r"runs\[0\]: descriptors.local_energy: silica is 3-dimensional, the trajectory 2-dimensional",
        ),
        (
            (
                "[describe.descriptors.first]",
                '[describe.descriptors.local_energy]\nmodel = "kam_2d"\n[describe.descriptors.first]',
            ),
            ParameterError,
            r"runs\[1\]: descriptors.local_energy: kam_2d is 2-dimensional, the trajectory 3-dimensional",
        ),
        (("A-A = 1.4", "AA = 1.4"), ParameterError, "describe.cutoffs: expected two species"),
        (("[reduce]", '[reduce]\ndescriptors = ["second"]'), ParameterError, "second.*first"),
        (
            ("[correlate]", "[correlate]\nk = -1"),
            ParameterError,
            "correlate.k: expected a positive finite number, found -1",
        ),
        (("[correlate]", "[correlate]\nlags = [1]"), ParameterError, "correlate.lags: unknown"),
        (
            ("describe.descriptors.first", "describe.descriptors.structure"),
            ParameterError,
            "cannot be called structure",
        ),
        *(
            (("describe.descriptors.first", f"describe.descriptors.{name}"), ParameterError, "describe.descriptors: .*")
            for name in ("time", "species", "l", "frame", "x" * 300, '"a/b"', '""')
        ),
        (("replicas = 2\nlags", "lags"), ParameterError, r"runs\[0\].lags: means nothing without replicas"),
        (("every = 1.0", "every = 2.5"), ParameterError, "every = 2.5 is longer than produce = 2"),
        (('centers = "B"', "centers = 2"), ParameterError, r"runs\[0\].centers: expected list, found 2"),
    ],
)
def test_errors(file, change, error, words):
    assert change[0] in FILE
    file.write_text(FILE.replace(*change))
    with pytest.raises(error, match=words):
        read_sweep(file)


def test_no_runs(tmp_path):
    (tmp_path / "empty.toml").write_text("seeds = [1]\n")
    with pytest.raises(ParameterError, match=r"no \[\[runs\]\]"):
        read_sweep(tmp_path / "empty.toml")
    with pytest.raises(ParameterError, match="cannot be read"):
        read_sweep(tmp_path / "none.toml")
    with pytest.raises(StoreError, match="no sweep was run here"):
        read_sweep(tmp_path)
    with pytest.raises(StoreError, match="no sweep was run here"):
        status(tmp_path)


def test_keys_know_what_matters(file):
    """The key of a stage changes with its settings and those before it, not with what comes after or where it lies."""
    keys = {state.label: {stage: unit.key for stage, unit in state.units.items()} for state in read_sweep(file).states}

    def changed(*change):
        assert change[0] in FILE
        file.write_text(FILE.replace(*change))
        found = read_sweep(file)
        units = [(s.label, stage, unit.key) for s in found.states for stage, unit in s.units.items()]
        return {(label, stage) for label, stage, key in units if key != keys[label][stage]}

    first, second = PATHS
    every = {"simulate", "describe", "reduce", "correlate"}
    assert changed("runs.zarr", "others.zarr") == set()
    assert changed("[[runs]]", "[[runs]] # the same") == set()
    assert changed("rate = 1.0", "rate = 2.0") == {(label, stage) for label in PATHS for stage in every}
    assert changed("replicas = 2", "replicas = 3") == {(first, stage) for stage in every}
    # |R| with the propensity hangs on the descriptors; g(r) and F_s of the other state do not
    after = every - {"simulate"}
    assert changed("l_max = 4", "l_max = 3") == {(first, s) for s in after} | {(second, "describe"), (second, "reduce")}
    assert changed('centers = "B"', "") == {(first, stage) for stage in after}
    assert changed("[correlate]", "[correlate]\nk = 7.0") == {(first, "correlate"), (second, "correlate")}


def test_trajectories(tmp_path):
    file = fake_sweep(tmp_path)
    sweep = read_sweep(file)
    assert list(sweep) == [f"gas/T={t:.4f}/seed={seed}" for t in (0.5, 0.6) for seed in (0, 1)]
    assert sweep.stages == ("describe", "reduce", "correlate")
    assert sweep.states[3].path == str(tmp_path / "data/gas/T=0.6/1.zarr")
    # told beside the pattern, with a list of patterns, and from another folder
    text = file.read_text()
    given = 'model = "ideal gas"\nseed = 4\ntrajectories = ["data/gas/T={temperature}/0.zarr"]'
    file.write_text(text.replace('trajectories = "data/{model}/T={temperature}/{seed}.zarr"', given))
    with pytest.raises(ParameterError, match="ideal gas"):  # a label is part of a path
        read_sweep(file)
    file.write_text(file.read_text().replace("ideal gas", "ideal"))
    assert list(read_sweep(file)) == ["ideal/T=0.5000/seed=4", "ideal/T=0.6000/seed=4"]
    other = tmp_path / "sweeps" / "file.toml"
    other.parent.mkdir()
    other.write_text(text.replace("data/", "../data/"))
    assert [state.path for state in read_sweep(other).states] == [state.path for state in sweep.states]
    assert read_sweep(other).store == str(tmp_path / "sweeps" / "sweep.zarr")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("{model}", "{modell}"), "modell"),
        (("{model}", "gas"), "does not tell the model"),
        (("{seed}", "{model}"), "model"),
        (("data/{model}", "data/{model}liquid"), "no store matches"),
        (("{seed}.zarr", "*.zarr"), "asked for twice: .*labels tell model, density, temperature and seed alone"),
        (("T={temperature}", "{temperature}"), "not a number"),
        (("[describe.descriptors.bo]", "[describes]"), "unknown"),
        (("[[runs]]", "[[runs]]\ntemperatures = [1.0]"), r"runs\[0\].temperatures: unknown"),
    ],
)
def test_trajectory_errors(tmp_path, change, words):
    file = fake_sweep(tmp_path, temperatures=(0.5,))
    assert change[0] in file.read_text()
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(ParameterError, match=words):
        read_sweep(file)


def test_nothing_to_do(tmp_path):
    file = fake_sweep(tmp_path, stages="")
    with pytest.raises(ParameterError, match="nothing to do"):
        read_sweep(file)


@pytest.mark.parametrize("of", [1, 2, 3, 4, 7])
def test_shares_are_disjoint_and_complete(tmp_path, of):
    sweep = read_sweep(fake_sweep(tmp_path, temperatures=(0.4, 0.5, 0.6)))
    shares = [list(sweep.share(number, of)) for number in range(1, of + 1)]
    assert sorted(chain(*shares)) == sorted(sweep)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    for wrong in (0, of + 1):
        with pytest.raises(ParameterError, match="counted from 1"):
            sweep.share(wrong, of)


def test_shipped_sweep_is_readable():
    sweep = read_sweep(Path(__file__).parents[2] / "pipelines" / "data" / "sweep_small.toml")
    assert {(state.model, state.temperature) for state in sweep.states} == {
        *(("kob_andersen", t) for t in (1.0, 0.8, 0.65, 0.55)),
        *(("wahnstrom", t) for t in (1.2, 1.0, 0.85, 0.75)),
    }
    assert sweep.stages == ("simulate", "describe", "reduce", "correlate")


@pytest.mark.parametrize("store", ["/", "//", "/data/..", "/."])
def test_the_root_of_the_file_system_is_no_store(file, store):
    file.write_text(FILE.replace('"runs.zarr"', f'"{store}"'))
    with pytest.raises(ParameterError, match=r"store: .* is all of the file system"):
        read_sweep(file)


def test_lags_of_all_runs_need_replicas_of_one(file):
    shared = FILE.replace("every = 1.0", "every = 1.0\nlags = [0.1, 1.0]").replace(
        "lags = [0.1, 1.0]\ncenters", "centers"
    )
    file.write_text(shared)
    assert len(read_sweep(file)) == 2
    file.write_text(shared.replace("replicas = 2\n", ""))
    with pytest.raises(ParameterError, match=r"protocol.lags: means nothing without replicas"):
        read_sweep(file)


def test_simulated_states_have_no_descriptors_to_reduce_but_their_own(file):
    text = FILE[: FILE.index("[describe]")] + '[reduce]\ndescriptors = ["first"]\n'
    file.write_text(text.replace('centers = "B"\n', "").replace("cutoffs = {A-A = 1.2}\n", ""))
    with pytest.raises(ParameterError, match=r"\[reduce\] without \[describe\] of states that are simulated"):
        read_sweep(file)
