"""Every key of a sweep's file with every kind of wrong value: one line with the file and the key, before any work."""

from __future__ import annotations

import copy
import datetime
import math
import tomllib

import pytest

from glassdask.errors import ParameterError
from glassdask.sweep import description

FILE = tomllib.loads("""
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
between = 1
ensemble = "nvt"
pressure = 1.0
inherent = true
replicas = 2
lags = [0.1, 1.0]
keep = false

[[runs]]
model = "kam_2d"
temperatures = [1.0, 0.9]
densities = [1.2]
centers = "B"
cutoffs = {A-A = 1.4, A-B = 1.3, B-B = 1.3}

[[runs]]
trajectories = "data/{temperature}.zarr"
model = "gas"
density = 1.0
seed = 3

[describe]
structures = "instantaneous"
centers = ["B"]
cutoffs = {A-A = 1.4}
[describe.descriptors.sbo]
l_max = 4
[describe.descriptors.first]
type = "bo"
l_max = 4
[reduce]
descriptors = ["sbo"]
n_components = 2
scale = false
[dynamics]
quantities = ["chi4", "fs:k=7.2"]
[correlate]
k = 7.0
dynamics = true
""")

DATES = [datetime.date(2020, 1, 1), datetime.time(1, 2), datetime.datetime(2020, 1, 1)]
TABLES = [{}, {"a": 1}, {"A-A": -1.0}, {"": {}}]
LISTS = [[], [[]], [1], [1.5], ["a"], [True], [{}]]
TEXTS = ["", " ", "text", "1", "no", "true", "a\nb"]
NOT_FINITE = [math.inf, -math.inf, math.nan]
# what is no number of at least 1, no positive number, ...
COUNT = [0, -1, 1.5, 2.0, 2**31, True, *NOT_FINITE, *TEXTS, *LISTS, *TABLES, *DATES]
SOME = [value for value in COUNT if value is True or value != 0]
POSITIVE = [0, -1, -0.5, True, *NOT_FINITE, *TEXTS, *LISTS, *TABLES, *DATES]
FINITE = [value for value in POSITIVE if value is True or value not in (0, -1, -0.5)]
WHOLE = [value for value in FINITE if value not in (0, -1)] + [1.5]
TRUTH = [0, 1, 1.0, *NOT_FINITE, *TEXTS, *LISTS, *TABLES, *DATES]
CHOICE = [1, 1.5, True, *NOT_FINITE, *TEXTS, *LISTS, *TABLES, *DATES]
WORDS = [1, 1.5, True, *NOT_FINITE, "", " ", *LISTS, *TABLES, *DATES]
TABLE = [1, 1.5, True, *NOT_FINITE, *TEXTS, *LISTS, {"a": 1}, *DATES]
LIST = [1, 1.5, True, *NOT_FINITE, *TEXTS, [], [[]], ["a"], [True], [{}], [math.nan], *TABLES, *DATES]
TEMPERATURES = [*LIST, [0], [-1.0], [1.0, math.inf], [1.0, 1.0], [1.0, "0.9"]]
CENTERS = [1, 1.5, True, *NOT_FINITE, "", " ", [], [[]], [1], [True], [{}], ["B", "B"], ["B", ""], *TABLES, *DATES]
CUTOFFS = [0, -1, True, *NOT_FINITE, *TEXTS, *LISTS, *DATES, {"A": 1.0}, {"A-B-B": 1.0}, {"A-": 1.0}]
CUTOFFS += [{"A-A": 0}, {"A-A": "1"}, {"A-A": True}, {"A-A": [1.0]}, {"A-B": 1.2, "B-A": 1.4}]

WRONG = {
    "store": WORDS,
    "seeds": [*LIST, [1.0], [1, 1], [1, "2"]],
    "protocol": TABLE,
    "protocol.particles": COUNT,
    "protocol.melt": POSITIVE,
    "protocol.melt_time": POSITIVE,
    "protocol.rate": POSITIVE,
    "protocol.equilibrate": POSITIVE,
    "protocol.produce": POSITIVE,
    "protocol.every": POSITIVE,
    "protocol.between": SOME,
    "protocol.ensemble": CHOICE,
    "protocol.pressure": FINITE,
    "protocol.inherent": TRUTH,
    "protocol.replicas": SOME,
    "protocol.lags": [*LIST[LIST.index([]) + 1 :], [0], [1.0, -1.0]],
    "protocol.keep": TRUTH,
    "protocol.potential": [value for value in WORDS if value not in ("", " ")],
    "runs": [*TABLE, {}],
    "runs[0].model": CHOICE,
    "runs[0].temperatures": TEMPERATURES,
    "runs[0].densities": TEMPERATURES,
    "runs[0].centers": [*CENTERS, "text", ["a"]],
    "runs[0].cutoffs": [*CUTOFFS, {"A-C": 1.0}],
    "runs[0].rate": POSITIVE,
    "runs[0].inherent": TRUTH,
    "runs[0].every": [*POSITIVE, 1e-9],
    "runs[0].lags": [[1.0, 0.1], [1e-9]],
    "runs[1].trajectories": [*CENTERS, "data/{temperature}/none.zarr", "data/{temp}.zarr"],
    "runs[1].model": [1, True, *NOT_FINITE, *LISTS, *TABLES, *DATES, "", "../x", "a b"],
    "runs[1].temperature": POSITIVE,
    "runs[1].density": POSITIVE,
    "runs[1].seed": WHOLE,
    "describe": TABLE,
    "describe.structures": CHOICE,
    "describe.centers": CENTERS,
    "describe.cutoffs": CUTOFFS,
    "describe.descriptors": [*TABLE, {}, {"thermo": {"type": "bo"}}, {"a/b": {"type": "bo"}}],
    "describe.descriptors.sbo": TABLE,
    "describe.descriptors.sbo.l_max": [-1, 33, 1.5, 2.0, True, *NOT_FINITE, *TEXTS, *LISTS, *TABLES],
    "describe.descriptors.first.type": CHOICE,
    "describe.descriptors.sbo.cutoffs": [*CUTOFFS, {"A-C": 1.2}],
    "describe.descriptors.sbo.neighbor_species": ["C", ["A", "C"], 1, [1], {"a": 1}],
    "reduce": TABLE,
    "reduce.descriptors": [*LIST, ["sbo", "sbo"], ["none"]],
    "reduce.n_components": [0, -1, 1.5, 2.0, *COUNT[COUNT.index(True) :]],
    "reduce.scale": TRUTH,
    "correlate": TABLE,
    "correlate.k": POSITIVE,
    "correlate.dynamics": TRUTH,
    "dynamics": TABLE,
    "dynamics.quantities": [
        *LIST, "chi5", ["chi4", "chi4"], ["fs:q=7.2"], ["fs:k="], ["fs:name='relaxation'"], ["fs:name='../b'"],
    ],
}  # fmt: skip


def steps(path):
    """'runs[0].model' as ["runs", 0, "model"]."""
    return [int(s) if s.isdigit() else s for s in path.replace("[", ".").replace("]", "").split(".")]


def changed(path, value):
    content = copy.deepcopy(FILE)
    at = content
    *above, last = steps(path)
    for step in above:
        at = at[step]
    at[last] = value
    return content


@pytest.fixture
def file(tmp_path):
    place = tmp_path / "data/0.5.zarr"
    place.mkdir(parents=True)
    (place / "zarr.json").touch()
    return tmp_path / "sweep.toml"


def read(file, content):
    """The sweep that a parsed file describes."""
    with description.naming(str(file)):
        return description._read(file, content, "", None)


def test_the_file_itself_is_right(file):
    assert len(read(file, FILE).states) == 3


@pytest.mark.parametrize("path", WRONG)
def test_wrong_values(file, path):
    for value in WRONG[path]:
        content = changed(path, value)
        with pytest.raises(ParameterError) as caught:
            print(f"{path} = {value!r}", read(file, content))
        text = str(caught.value)
        key = next(step for step in reversed(steps(path)) if isinstance(step, str))
        assert text.startswith(f"{file}: ")
        assert key in text, (value, text)
        assert "\n" not in text


@pytest.mark.parametrize("path", ["", "protocol", "runs[0]", "runs[1]", "describe", "reduce", "correlate", "dynamics"])
def test_unknown_keys(file, path):
    content = copy.deepcopy(FILE)
    at = content
    for step in steps(path) if path else ():
        at = at[step]
    at["unheard"] = 1
    where = f"{path}.unheard" if path else "unheard"
    with pytest.raises(ParameterError) as caught:
        read(file, content)
    assert str(caught.value).startswith(f"{file}: {where}: unknown, expected some of ")


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ({"replicas": 3, "lags": []}, r"runs\[0\]: replicas = 3 without lags"),
        ({"between": 3, "every": None}, r"runs\[0\]: between = 3 without every"),
        ({"ensemble": "npt", "pressure": None}, r"runs\[0\]: ensemble = 'npt' without pressure"),
        ({"produce": None, "every": 1.0}, r"runs\[0\].produce: is missing: give it there or under \[protocol\]"),
        ({"inherent": False}, r"runs\[0\]: \[describe\] wants inherent structures of kam_2d: set inherent = true"),
    ],
)
def test_what_does_not_go_together(file, protocol, message):
    content = changed("describe.structures", "inherent")
    content["protocol"] |= protocol
    content["protocol"] = {key: value for key, value in content["protocol"].items() if value is not None}
    with pytest.raises(ParameterError, match=message):
        read(file, content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[describe", "cannot be read as TOML"),
        ("a = 1\na = 2", "cannot be read as TOML"),
        ("[[describe]]\n", "describe: expected a table of descriptors, structures, centers, cutoffs"),
        ("runs = 3", "runs: expected"),
        ("[runs]\nmodel = 'gas'", r"runs: a table \[runs\], expected a list of them: write \[\[runs\]\]"),
        ("[[runs]]\nmodel = 'gas'", r"runs\[0\].temperatures: is missing: give them, or the trajectories"),
        ("[[runs]]\ntemperatures = [1.0]\ncenters = 'A'", r"runs\[0\].centers: means nothing without \[describe\]"),
    ],
)
def test_wrong_files(tmp_path, text, message):
    file = tmp_path / "sweep.toml"
    file.write_text(text)
    with pytest.raises(ParameterError, match=message):
        description.read_sweep(file)
    file.write_bytes(b"store = '\xff'")
    with pytest.raises(ParameterError, match="cannot be read as TOML"):
        description.read_sweep(file)
