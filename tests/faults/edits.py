"""Whatever is changed in a store is named: metadata, ledger, records and chunks are edited at random, one at a time.

    python -m tests.faults.edits [--tries N] [--seed S] [--repaired N]

makes a store with everything in it, and after each of N edits asks ``verify``, opens all that there is and reads it;
every fourth is repaired, too. It prints a table: kind of edit, tries, and what came of them. "named": verify said so in
one line that begins with a path in the store; "repaired": all is as it was after ``repair``; "lost": that said what is
lost. "silent", "unclear" and "traceback" are broken promises, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np

import glassdask as gd
from glassdask import store as stores
from glassdask.errors import GlassdaskError
from glassdask.sweep import run_sweep, status
from tests.faults import outcomes
from tests.sweep.liquids import save_sweep

STRANGE = (None, True, False, 0, 1, -1, 7, 1.5, -0.0, 1e300, 150_000_000_000, 2**63, "", "x", "complete", "writing")
STRANGE += ("../../x", "é\n", [], {}, [[]], ["x"], {"x": 1}, [None], {"status": "complete"}, float("nan"))  # type: ignore[assignment]
Edit = Callable[[Path, np.random.Generator], str]


def make(folder: Path) -> Path:
    """A sweep whose trajectory is described, reduced and correlated; returns the folder."""
    stages = "[describe]\ncutoffs = {A-A = 1.3, A-B = 1.3, B-B = 1.3}\n[describe.descriptors.bo]\nl_max = 2\n[reduce]\n"
    save_sweep(folder, temperatures=(0.5,), seeds=1, stages=stages + "n_components = 1\n[correlate]\n")
    with dask.config.set(scheduler="synchronous"):
        run_sweep(folder / "sweep.toml")
    return folder


def tops(folder: Path) -> list[Path]:
    """The stores in a folder: those of the states, and that of the sweep."""
    return sorted(path for path in folder.rglob("*.zarr") if path.is_dir())


def metadata_of(folder: Path) -> list[Path]:
    """Every metadata file, ledger and record, but for the locks of runs."""
    return sorted(
        file for pattern in ("zarr.json", "*.json") for file in folder.rglob(pattern) if "locks" not in file.parts
    )


def chunks_of(folder: Path) -> list[Path]:
    """Every chunk."""
    return sorted(file for file in folder.rglob("c/**/*") if file.is_file())


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the values in a JSON document are."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in below for place in ((*path, key), *_places(item, (*path, key)))]


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def edit_value(folder: Path, rng: np.random.Generator) -> str:
    """Replace, delete, rename, or exchange a value in a metadata file."""
    files = metadata_of(folder)
    while True:
        file = files[rng.integers(len(files))]
        before = json.loads(file.read_text())
        content = copy.deepcopy(before)
        places = _places(content)
        place = places[rng.integers(len(places))]
        holder, key = _at(content, place[:-1]), place[-1]
        how = rng.choice(["replace", "delete", "exchange", "retype", "nudge"])
        if how == "replace":
            holder[key] = STRANGE[rng.integers(len(STRANGE))]
        elif how == "delete":
            del holder[key]
        elif how == "exchange":
            other = places[rng.integers(len(places))]
            if other[: len(place)] == place or place[: len(other)] == other:
                continue
            elsewhere = _at(content, other[:-1])
            holder[key], elsewhere[other[-1]] = elsewhere[other[-1]], holder[key]
        elif how == "retype":
            holder[key] = str(holder[key]) if not isinstance(holder[key], str) else [holder[key]]
        elif isinstance(holder[key], bool) or not isinstance(holder[key], int | float):
            continue
        else:
            holder[key] += int(rng.choice([-1, 1]))
        if json.dumps(content, sort_keys=True) != json.dumps(before, sort_keys=True):
            file.write_text(json.dumps(content))
            return f"{how} {file.relative_to(folder)}: {'.'.join(map(str, place))}"


def tear_metadata(folder: Path, rng: np.random.Generator) -> str:
    """Cut a metadata file short, empty or remove it, flip a bit in it, or put another one in its place."""
    files = metadata_of(folder)
    file, other = (files[k] for k in rng.choice(len(files), 2, replace=False))
    content = file.read_bytes()
    how = rng.choice(["cut", "empty", "remove", "flip", "copy", "exchange"])
    if how == "cut":
        file.write_bytes(content[: rng.integers(1, len(content) - 1)])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "remove":
        file.unlink()
    elif how == "flip":
        place = rng.integers(len(content))
        file.write_bytes(content[:place] + bytes([content[place] ^ (1 << rng.integers(7))]) + content[place + 1 :])
    elif how == "copy" or other.read_bytes() == content:
        file.write_bytes(
            other.read_bytes() + b" " * (other.read_bytes() == content) + b"x" * (other.read_bytes() == content)
        )
    else:
        file.write_bytes(other.read_bytes())
        other.write_bytes(content)
    return f"{how} {file.relative_to(folder)} {other.relative_to(folder)}"


def edit_chunk(folder: Path, rng: np.random.Generator) -> str:
    """Flip a bit of a chunk, cut it, remove it, make it zeros, or put another one in its place."""
    files = chunks_of(folder)
    while True:
        file, other = (files[k] for k in rng.choice(len(files), 2, replace=False))
        content, theirs = file.read_bytes(), other.read_bytes()
        how = rng.choice(["flip", "cut", "remove", "zeros", "copy", "exchange"])
        if how in ("copy", "exchange") and content == theirs:
            continue
        if how == "flip":
            place = rng.integers(len(content))
            file.write_bytes(content[:place] + bytes([content[place] ^ (1 << rng.integers(8))]) + content[place + 1 :])
        elif how == "cut":
            file.write_bytes(content[: rng.integers(len(content))])
        elif how == "remove":
            file.unlink()
        elif how == "zeros":
            file.write_bytes(bytes(len(content)))
        else:
            file.write_bytes(theirs)
            if how == "exchange":
                other.write_bytes(content)
        return f"{how} {file.relative_to(folder)} {other.relative_to(folder)}"


def move_folder(folder: Path, rng: np.random.Generator) -> str:
    """Remove, rename or exchange folders of arrays, groups and ledgers."""
    places = sorted(
        file.parent for top in tops(folder) for file in top.rglob("zarr.json") if file.parent not in tops(folder)
    )
    place, other = (places[k] for k in rng.choice(len(places), 2, replace=False))
    how = rng.choice(["remove", "rename", "exchange"])
    if how == "exchange" and (place in other.parents or other in place.parents):
        how = "remove"
    if how == "remove":
        shutil.rmtree(place)
    elif how == "rename":
        place.rename(place.with_name("another"))
    else:
        spare = folder / "spare"
        place.rename(spare)
        other.rename(place)
        spare.rename(other)
    return f"{how} {place.relative_to(folder)} {other.relative_to(folder)}"


EDITS: dict[str, Edit] = {
    "values of metadata": edit_value,
    "metadata files": tear_metadata,
    "chunks": edit_chunk,
    "folders": move_folder,
}


def look(folder: Path) -> tuple[list[str], bool]:
    """What `verify` says of all stores, and whether reading everything was refused; errors of others come through."""
    problems: list[str] = []
    refused = False
    for top in tops(folder):
        try:
            problems += stores.verify(top)
        except GlassdaskError as error:
            problems.append(str(error))
        for read in (_trajectory, _descriptors, _reductions, stores.info):
            try:
                read(top)
            except GlassdaskError:
                refused = True
    try:
        standing = status(folder / "sweep.zarr")
        problems += [
            f"{folder}/sweep.zarr: {stage} is {standing[stage].tolist()}"  # a record that is gone counts as not begun
            for stage in standing.attrs["stages"]
            if (standing[stage] != "complete").any()
        ]
    except GlassdaskError as error:
        problems.append(str(error))
    return problems, refused


def _trajectory(top: Path) -> None:
    if not (top / ".sweep").exists():
        gd.open_trajectory(top).load()


def _descriptors(top: Path) -> None:
    if (top / "descriptors").exists():
        gd.open_descriptors(top).load()


def _reductions(top: Path) -> None:
    for place in sorted((top / "reductions").glob("*/zarr.json")):
        gd.open_reduction(top, place.parent.name).load()


def attack(undisturbed: Path, edit: Edit, seed: int, expected: dict[str, bytes] | None) -> tuple[str, str]:
    """One edit of a copy, and what came of it: outcome, and what was done. Without `expected` nothing is repaired."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "copy"
        shutil.copytree(undisturbed, folder)
        what = edit(folder, np.random.default_rng(seed))
        try:
            problems, refused = look(folder)
            if not problems:
                return "silent, refused" if refused else "silent", what
            if not all(problem.startswith(str(folder)) and "\n" not in problem for problem in problems):
                return "unclear", f"{what}: {problems}"
            if expected is None:
                return "named", what
            lost = [line for top in tops(folder) for line in gd.repair(top).lost]
        except GlassdaskError as error:
            return "unclear", f"{what}: {error}"
        except Exception as error:
            return "traceback", f"{what}: {type(error).__name__}: {error}"
        same = {name: content for name, content in content_of(folder).items() if name in expected} == expected
        return "named, repaired" if same and not lost else "named, lost" if lost else "unclear", what


def content_of(folder: Path) -> dict[str, bytes]:
    """All chunks by their place."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in chunks_of(folder)}


def table(
    undisturbed: Path, tries: int, seed: int, repaired: int, journal: outcomes.Journal | None = None
) -> tuple[dict[str, Counter[str]], list[str]]:
    """Outcomes of so many edits of all kinds together, and lines about those that break a promise.

    Each `repaired`th of them is also repaired.
    """
    expected = content_of(undisturbed)
    found: dict[str, Counter[str]] = {kind: Counter() for kind in EDITS}
    broken = []
    journal = journal or outcomes.Journal(None)
    for k in range(tries):
        kind = list(EDITS)[k % len(EDITS)]
        wanted = None if k // len(EDITS) % repaired else expected
        outcome, what = journal.once(f"{kind} {seed + k}", attack, undisturbed, EDITS[kind], seed + k, wanted)
        found[kind][outcome] += 1
        if not outcome.startswith("named"):
            broken.append(f"{outcome}: {what} (seed {seed + k})")
    return found, broken


def main() -> int:
    """The attack at length, by hand."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tries", type=int, default=1600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repaired", type=int, default=4, help="one of how many is repaired, too")
    parser.add_argument("--note", action="store_true", help="keep the outcomes for the table of deploy/PROMISES.md")
    parser.add_argument("--journal", type=Path, help="each try is kept here, and made once")
    options = parser.parse_args()
    journal = outcomes.Journal(options.journal)
    with tempfile.TemporaryDirectory() as folder:
        found, broken = table(make(Path(folder)), options.tries, options.seed, options.repaired, journal)
    for kind, counts in found.items():
        print(f"{kind:20} {counts.total():6}  {outcomes.counted(counts)}")
    print("\n".join(broken))
    if options.note:
        outcomes.note("edits", sum(found.values(), Counter()))
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
