"""Every command that writes, disturbed at every point of its writing, repeated, and compared byte for byte.

    python -m tests.faults.attack [--tries N] [--minutes M] [--only COMMAND ...] [--kinds KIND ...]

prints a table: command, attack, points, tries (of N points; all without it), and what came of them. "same bytes": the
same command again gave what an undisturbed one gives. "named": it, or ``verify``, said what is damaged, and what it
advised gave those bytes. "silent" and "unclear" are broken promises, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults import outcomes
from tests.faults.harness import fingerprint
from tests.faults.points import Ended, Fault, begin, main_of, run, wait, wait_until_stopped
from tests.sweep.liquids import save_sweep

GOLDEN = (5**0.5 - 1) / 2
KINDS = ("kill before", "kill after", "tear", "full", "stop", "delay")
STAGES = "[describe]\ncutoffs = {A-A = 1.3, A-B = 1.3, B-B = 1.3}\n[describe.descriptors.bo]\nl_max = 2\n[reduce]\n"
STAGES += "n_components = 1\n"
BO = "bo:l_max=2,cutoffs=1.3"
THREADS = ("--cluster", "threads", "--workers", "1", "-q")


@dataclass(frozen=True)
class Command:
    """A command below `root`, and what was there before."""

    name: str
    before: Callable[[Path], object]
    arguments: Callable[[Path], list[object]]


def write_dump(file: Path, frames: int) -> None:
    """A LAMMPS dump of 30 particles."""
    import numpy as np

    rng = np.random.default_rng(3)
    lines = []
    for frame in range(frames):
        lines += ["ITEM: TIMESTEP", str(100 * frame), "ITEM: NUMBER OF ATOMS", "30", "ITEM: BOX BOUNDS pp pp pp"]
        lines += ["0 3"] * 3 + ["ITEM: ATOMS id type x y z"]
        lines += [f"{k + 1} {1 + k % 3 // 2} {x} {y} {z}" for k, (x, y, z) in enumerate(rng.random((30, 3)) * 3)]
    file.write_text("\n".join(lines) + "\n")


def done(root: Path, *arguments: object) -> None:
    """A command that prepares another."""
    ended = run([*arguments], root)
    assert ended.code == 0, ended.said


def ingest(root: Path, *more: object) -> list[object]:
    """The command that reads the dump."""
    species = ["--species", "1=A", "--species", "2=B"]
    return ["ingest", root / "run.dump", "--store", root / "run.zarr", *species, *more, *THREADS]


def prepare(root: Path, frames: int, *steps: str) -> None:
    """A dump, and what is made of it before the command in question."""
    write_dump(root / "run.dump", frames)
    if steps:
        done(root, *ingest(root))
    if "grown" in steps:
        write_dump(root / "run.dump", 7)
    if "described" in steps:
        done(root, "describe", root / "run.zarr", BO, *THREADS)


ALL = (
    Command("ingest", lambda root: prepare(root, 7), ingest),
    Command("append", lambda root: prepare(root, 3, "ingested", "grown"), lambda root: ingest(root, "--append")),
    Command(
        "describe",
        lambda root: prepare(root, 7, "ingested"),
        lambda root: ["describe", root / "run.zarr", BO, *THREADS],
    ),
    Command(
        "reduce",
        lambda root: prepare(root, 7, "ingested", "described"),
        lambda root: ["reduce", root / "run.zarr", "bo", *THREADS],
    ),
    Command(
        "sweep",
        lambda root: save_sweep(root, temperatures=(0.5,), seeds=1, stages=STAGES, timed=False),
        lambda root: ["sweep", "run", root / "sweep.toml", *THREADS],
    ),
)
COMMANDS = {command.name: command for command in ALL}


def state(root: Path) -> dict[str, str]:
    """What counts of what a command leaves: its stores, without the records of a sweep, which have times."""
    stores = sorted({*root.glob("*.zarr"), *root.glob("data/**/*.zarr")})
    found = {k: v for store in stores for k, v in fingerprint(store).items()}
    return {name: digest for name, digest in found.items() if "/.sweep/" not in f"/{name}" and "-lock" not in name}


def verified(root: Path) -> bool:
    """Whether ``verify`` has nothing to say of any store."""
    stores = (*root.glob("run.zarr"), *root.glob("data/**/*.zarr"))
    return all(run(["verify", store, "-q"], root).code == 0 for store in stores)


def judged(
    command: Command, root: Path, undisturbed: dict[str, str], fresh: dict[str, str], disturbed: list[Ended]
) -> tuple[str, str]:
    """What came of it, and why where that is no good."""
    for ended in disturbed:
        if not ended.clear:
            return "unclear", ended.said
    repeated = run(command.arguments(root), root)
    if not repeated.clear:
        return "unclear", repeated.said
    if repeated.code == 0 and state(root) == undisturbed:
        return "same bytes", ""
    if repeated.code == 0 and verified(root):
        return "silent", str(sorted(set(state(root).items()) ^ set(undisturbed.items()))[:3])
    made = remade(command, root)
    if made.code or state(root) not in (undisturbed, fresh):
        return "unclear", f"{repeated.said} then {made.said}"
    return "named", repeated.said


def remade(command: Command, root: Path) -> Ended:
    """What the messages advise: repair, and the same command again; then with --overwrite."""
    for store in (*root.glob("run.zarr"), *root.glob("data/**/*.zarr")):
        run(["repair", store], root)
    if command.name == "sweep":
        run(["sweep", "retry", root / "sweep.zarr", *THREADS], root)
    ended = run(command.arguments(root), root)
    return ended if ended.code == 0 and verified(root) else overwritten(command, root)


def overwritten(command: Command, root: Path) -> Ended:
    """All of it made anew: what was appended is read with the rest."""
    arguments = [argument for argument in command.arguments(root) if argument != "--append"]
    return run([*arguments, "--overwrite"], root)


def attacked(
    command: Command, root: Path, undisturbed: dict[str, str], fresh: dict[str, str], fault: Fault
) -> tuple[str, str, str]:
    """One try: outcome, why, and the name of the point."""
    if fault.kind in ("stop", "delay"):  # a second command, meanwhile
        first = begin(command.arguments(root), root, fault)
        if fault.kind == "stop":
            wait_until_stopped(first)
        second = run(command.arguments(root), root)
        os.kill(first, signal.SIGCONT)
        ended = [wait(first, root), second]
    else:
        ended = [run(command.arguments(root), root, fault)]
    points = ended[0].points
    name = points[fault.number] if fault.number < len(points) else "none"
    return *judged(command, root, undisturbed, fresh, ended), name


def tried(
    command: Command, base: Path, root: Path, right: tuple[dict[str, str], dict[str, str]], kind: str, number: int
) -> tuple[str, str, str]:
    """The same from the start, for a journal."""
    shutil.rmtree(root)
    shutil.copytree(base, root)
    return attacked(command, root, *right, Fault(kind, number))


def spread(n: int, tries: int | None, start: float) -> list[int]:
    """Points in an order whose every beginning is spread evenly over all: all of them, or so many."""
    return sorted(range(n), key=lambda k: (k * GOLDEN + start) % 1)[:tries]


def attack(
    command: Command,
    kinds: tuple[str, ...],
    tries: int | None,
    say: Callable[[str], None],
    journal: outcomes.Journal,
    end: float = math.inf,
) -> dict[str, Counter]:
    """All points of a command, or so many: for each kind of fault how often what came of it, until time `end`."""
    with tempfile.TemporaryDirectory() as folder:
        base, root = Path(folder) / "base", Path(folder) / "root"  # paths are stored: all tries are at one place
        root.mkdir()
        command.before(root)
        shutil.copytree(root, base)
        ended = run(command.arguments(root), root)
        assert ended.code == 0, ended.said
        undisturbed, n = state(root), len(ended.points)
        again = overwritten(command, root)
        assert again.code == 0, again.said
        fresh = state(root)
        say(f"{command.name}: {n} points")
        found = {kind: Counter(points=n) for kind in kinds}
        chosen = [spread(n, tries, first / len(kinds)) for first in range(len(kinds))]
        for kind, number in [pair for numbers in zip(*chosen) for pair in zip(kinds, numbers)]:
            name = f"{command.name}, {kind} at {number}"
            if name not in journal.known and time.monotonic() > end:
                break
            outcome, why, place = journal.once(name, tried, command, base, root, (undisturbed, fresh), kind, number)
            found[kind][outcome] += 1
            if outcome in ("silent", "unclear"):
                say(f"{name} ({place}): {outcome}: {' '.join(why.split())[-600:]}")
        return found


def table(found: dict[str, dict[str, Counter]]) -> list[str]:
    """Lines of Markdown."""
    lines = ["| command | attack | points | tries | same bytes | named | silent | unclear |", "|" + " --- |" * 8]
    for name, kinds in found.items():
        for kind, counts in kinds.items():
            outcomes = [counts[outcome] for outcome in ("same bytes", "named", "silent", "unclear")]
            lines.append(
                f"| {name} | {kind} | {counts['points']} | {sum(outcomes)} | {' | '.join(map(str, outcomes))} |"
            )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, help="only so many points, spread over all")
    parser.add_argument("--only", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no try after so long")
    parser.add_argument("--journal", type=Path, help="each try is kept here, and made once")
    parser.add_argument("--note", action="store_true", help="keep the outcomes for the table of deploy/PROMISES.md")
    options = parser.parse_args()
    warm()
    journal, found, end = outcomes.Journal(options.journal), {}, time.monotonic() + 60 * options.minutes
    for k, name in enumerate(options.only):
        share = (end - time.monotonic()) / (len(options.only) - k)
        found[name] = attack(
            COMMANDS[name],
            tuple(options.kinds),
            options.tries,
            lambda line: print(line, flush=True),
            journal,
            time.monotonic() + share,
        )
    print(*table(found), sep="\n")
    if options.note:
        counts = sum((counts for kinds in found.values() for counts in kinds.values()), Counter())
        outcomes.note("points", Counter({name: n for name, n in counts.items() if name != "points"}), counts["points"])
    return int(any(counts["silent"] + counts["unclear"] for kinds in found.values() for counts in kinds.values()))


def warm() -> None:
    """Small chunks, so that there are several; and each command once in this process: forked ones need neither import
    what it uses, nor load compiled kernels, nor digest code, which is four fifths of their time."""
    import distributed  # noqa: F401

    import glassdask as gd
    from glassdask.cli import analysis, stores, sweep  # noqa: F401
    from glassdask.store import layout
    from glassdask.sweep import running  # noqa: F401

    for name in gd.__all__:
        getattr(gd, name)
    layout.CHUNK_BYTES = 2000
    for command in ALL:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            command.before(Path(folder))
            code = main_of([str(argument) for argument in command.arguments(Path(folder))])
            assert code == 0, command.name


if __name__ == "__main__":
    sys.exit(main())
