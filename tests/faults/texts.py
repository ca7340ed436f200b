"""Texts that people type or edit, changed at random: each is refused in one line, or means what it says.

    python -m tests.faults.texts [N]

changes every kind of text N times, and lists whatever ends in another error than the package's own.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from glassdask.errors import GlassdaskError

SLOWEST = 5.0  # seconds; a text of some lines takes milliseconds
VALUES = [
    "true", "1e300", "-1e300", "1e-300", "inf", "-inf", "nan", "-1", "0", "-0.0", "1.5", "'x'", "''", "[]", "{}",
    "[true]", "[[]]", "{a = 1}", "2020-01-01", "12:00:00", "9223372036854775808", "1" * 5000, "'\\u0000'", "'ü'",
    "'''a\nb'''", "[" * 3000 + "]" * 3000, "{a=" * 1500 + "1" + "}" * 1500, "'sann'", "{type='k_nearest',k=12}",
    "{type='voronoi',weighted=1}", "'" + "a" * 10_000 + "'", "1e400", "0x10", "1_0",
]  # fmt: skip
CHARACTERS = "=:,.'\"[]{}()#*-+_ \n\t\\/eE0159aZüß\u2028\x00\ufeff\U0001f600"

DESCRIPTORS = [
    "sbo:l_max=8,gamma=8,cutoffs={A-A=1.4,A-B=1.3,B-B=1.2}",
    "soap:r_cut=1.6,n_max=6,l_max=8,sigma=0.2,spectrum='full'",
    "bo:l_max=6,neighbors={type='k_nearest',k=12}",
    "ld:neighbors='sann',l_max=4",
    "bo:name='minkowski',neighbors={type='voronoi',weighted=true,diameters={A=1.0,B=0.9}}",
    "ace:r_cut=1.5,degree=4,body_order=3",
]
MODELS = [
    "name = 'mine'\nspecies = ['A', 'B']\nfractions = [0.8, 0.2]\nmasses = [1.0, 1.0]\ndensity = 1.2\n"
    "timestep = 0.004\n" + 3 * "[[pairs]]\ntype = 'wca'\nepsilon = 1.0\nsigma = 1.0\n",
    "model = 'kob_andersen'",
]
SWEEP = """
store = "runs.zarr"
seeds = [1, 2]
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
temperatures = [1.0, 0.9]
densities = [1.2]
centers = "B"
cutoffs = {A-A = 1.4, A-B = 1.3, B-B = 1.3}
[describe]
structures = "instantaneous"
[describe.descriptors.sbo]
l_max = 4
[reduce]
n_components = 2
[correlate]
k = 7.0
"""
PROFILE = """
kind = "slurm"
workers = 3
lifetime = "50m"
tls = "temporary"
[options]
queue = "debug"
cores = 2
processes = 2
memory = "4GiB"
walltime = "01:00:00"
interface = "lo"
local_directory = "/tmp"
"""


def changed(text: str, rng: np.random.Generator) -> str:
    """The text with one or two changes: of a value, a name, a line or a character."""
    for _ in range(rng.integers(1, 3)):
        way, lines = rng.integers(6), text.split("\n")
        if way < 3 and (values := list(re.finditer(r"(?<=[=,\[])\s*[^=,\[\]{}\n]+", text))):
            value = values[rng.integers(len(values))]
            text = text[: value.start()] + VALUES[rng.integers(len(VALUES))] + text[value.end() :]
        elif way == 3:
            k = rng.integers(len(lines))
            text = "\n".join([*lines[:k], *lines[k : k + 1] * int(2 * rng.integers(2)), *lines[k + 1 :]])
        elif way == 4 and (names := list(re.finditer(r"\w+(?=\s*=)", text))):
            name = names[rng.integers(len(names))]
            other = ["x", "", "a" * 10_000, ".".join("a" * 1500), "'ü b'", "type", "path", "__class__"][rng.integers(8)]
            text = text[: name.start()] + other + text[name.end() :]
        else:
            k, character = rng.integers(len(text) + 1), CHARACTERS[rng.integers(len(CHARACTERS))]
            text = text[:k] + character + text[k + rng.integers(2) :]
    return text


def read_descriptor(text: str, folder: Path) -> Any:
    from glassdask.cli.analysis import _wanted
    from glassdask.descriptors import registry

    return [
        registry.make(name, values, {"cutoffs": lambda: 1.4}, where)
        for name, (where, values) in _wanted([text], None).items()
    ]


def read_model(text: str, folder: Path) -> Any:
    from glassdask.simulation.models import read_model
    from glassdask.texts import read_toml

    content = read_toml(_file(folder, text))
    return read_model(content.get("model", content), "model")


def read_sweep(text: str, folder: Path) -> Any:
    from glassdask.sweep import read_sweep

    return read_sweep(_file(folder, text))


def read_profile(text: str, folder: Path) -> Any:
    from glassdask.cluster import read_profile

    return read_profile(_file(folder, text))


def read_yaml_profile(text: str, folder: Path) -> Any:
    from glassdask.cluster import read_profile

    return read_profile(_file(folder, text, "file.yaml"))


def _file(folder: Path, text: str, name: str = "file.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8", newline="")
    return file


YAML = """
kind: slurm
adaptive: {minimum: 1, maximum: 4}
options: {cores: 1, processes: 1, memory: 2GiB, walltime: "00:30:00", interface: lo, local_directory: /tmp}
"""
READERS: dict[str, tuple[list[str], Callable[[str, Path], Any]]] = {
    "descriptor": (DESCRIPTORS, read_descriptor),
    "model": (MODELS, read_model),
    "sweep": ([SWEEP], read_sweep),
    "profile": ([PROFILE], read_profile),
    "YAML profile": ([YAML], read_yaml_profile),
}


def attack(kind: str, tries: int, folder: Path, seed: int = 0) -> Iterator[tuple[str, str, str]]:
    """(outcome, text, message) of so many changed texts: accepted, refused, or unclear."""
    texts, read = READERS[kind]
    rng = np.random.default_rng(seed)
    for k in range(tries):
        text, begun = changed(texts[k % len(texts)], rng), time.process_time()
        try:
            read(text, folder)
            outcome, message = "accepted", ""
        except GlassdaskError as error:
            message = str(error)
            outcome = "refused" if "\n" not in message and len(message) < 2000 else "unclear"
        except Exception as error:
            outcome, message = "unclear", f"{type(error).__name__}: {error}"
        if time.process_time() - begun > SLOWEST:
            outcome, message = "unclear", f"took {time.process_time() - begun:.0f} s"
        yield outcome, text, message


def main(tries: int) -> int:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in READERS:
            found[kind] = Counter()
            for outcome, text, message in attack(kind, tries, Path(folder)):
                found[kind][outcome] += 1
                if outcome == "unclear":
                    print(f"{kind}: {text[:300]!r}: {message[:300]}", flush=True)
    print("| text | tries | accepted | refused in one line | unclear |", "|" + " --- |" * 5, sep="\n")
    for kind, counts in found.items():
        numbers = [counts[outcome] for outcome in ("accepted", "refused", "unclear")]
        print(f"| {kind} | {tries} | {' | '.join(map(str, numbers))} |")
    return int(any(counts["unclear"] for counts in found.values()))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
