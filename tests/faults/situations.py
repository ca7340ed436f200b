"""Stores in odd situations: several commands at once, odd places, clocks, permissions, copies in part, full disks.

    python -m tests.faults.situations [--rounds N] [--only NAME ...]

prints a table: situation, tries, and what came of them. "right": what was asked for was done; "named": one line says
why not. "silent" (a wrong result, or damage that ``verify`` does not name) and "unclear" are broken promises, and the
exit code is then 1.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from tests.faults import outcomes
from tests.faults.attack import BO, THREADS, done, ingest, prepare, warm, write_dump
from tests.faults.harness import ENVIRONMENT, fingerprint
from tests.faults.points import Ended, begin, run, wait
from tests.sweep.liquids import SIMULATED, save_sweep

LD = "ld:l_max=2,cutoffs=1.3"
OTHER = "bo:name='other',l_max=3,cutoffs=1.3"
Found = Iterator[tuple[str, str]]  # what was tried, and its outcome


class Situation:
    """A folder with a dump and a store of it that is described and reduced, made anew for every try."""

    def __init__(self, folder: Path, rounds: int):
        self.base, self.root, self.rounds = folder / "base", folder / "root", rounds
        self.store = self.root / "run.zarr"
        self.root.mkdir()
        prepare(self.root, 7, "ingested", "described")
        done(self.root, "reduce", self.store, "bo", *THREADS)
        shutil.copytree(self.root, self.base)
        self.undisturbed = fingerprint(self.store)

    def fresh(self) -> Path:
        """The store as it was; its path."""
        shutil.rmtree(self.root)
        shutil.copytree(self.base, self.root)
        return self.store

    def several(self, commands: list[list[object]], seed: int) -> list[Ended]:
        """Commands that begin at about the same time, in any order."""
        rng = np.random.default_rng(seed)
        begun = []
        for k in rng.permutation(len(commands)):
            begun.append(begin(commands[k], self.root))
            time.sleep(0.05 * rng.random())
        return [wait(pid, self.root) for pid in begun]

    def verified(self) -> Ended:
        """What ``verify`` says."""
        return run(["verify", self.store, "-q"], self.root)


def judged(ended: Ended, right: bool = True) -> str:
    """What came of a command that may be refused."""
    if not ended.clear or (ended.code and "\n" in ended.said.strip().rpartition("glassdask: ")[2]):
        return f"unclear ({ended.said[-300:]})"
    return "named" if ended.code else "right" if right else "silent"


def clients(at: Situation) -> Found:
    """Describes of the same and of other descriptors, a reduction, a reader and a verification, all at once."""
    store = at.store
    last = [["describe", store, LD, OTHER, *THREADS], ["reduce", store, "bo", *THREADS]]
    for command in last:
        done(at.root, *command)
    expected = fingerprint(store)
    for number in range(at.rounds):
        at.fresh()
        both = [["describe", store, LD, *THREADS], ["describe", store, OTHER, LD, *THREADS]]
        read = [["export", store, "-o", at.root / "x.csv"], ["verify", store, "-q"], ["info", store]]
        ended = at.several([*both, *last, *read], number)
        unclear = [one.said for one in ended if not one.clear and "status is 'writing'" not in one.said]
        again = [run(command, at.root) for command in last]
        same = all(one.code == 0 for one in again) and fingerprint(store) == expected
        yield f"round {number}", f"unclear {unclear}" if unclear else "right" if same else "silent"


def writers(at: Situation) -> Found:
    """Two appends at once, two ingestions at once, an append beside a describe."""
    store = at.store
    for number in range(at.rounds):
        for what in ("appends", "ingests", "other ingests", "append and describe"):
            at.fresh()
            if what in ("ingests", "other ingests"):
                shutil.rmtree(store)
                other = ingest(at.root)
                write_dump(at.root / "other.dump", 5)
                other[1] = at.root / "other.dump" if what == "other ingests" else other[1]
                ended = at.several([ingest(at.root), other], number)
                frames = {7} if what == "ingests" else {5, 7}
            else:
                write_dump(at.root / "run.dump", 9)
                beside = [ingest(at.root, "--append")] if what == "appends" else [["describe", store, LD, *THREADS]]
                ended = at.several([ingest(at.root, "--append"), *beside], number)
                frames = {9}
            found = json.loads((store / "position/zarr.json").read_text())["shape"][0]
            unclear = [one.said for one in ended if not one.clear]
            stale = [line for line in at.verified().said.splitlines() if "before the trajectory was" not in line]
            whole = found in frames and [line for line in stale if "intact" not in line] == []
            yield f"{what} {number}", f"unclear {unclear}" if unclear else "right" if whole else f"silent {stale}"


def ordinary() -> None:
    """Let this process, if it is root's, be refused what others are: modes of files count."""
    libc = ctypes.CDLL(None)
    libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())


def permissions(at: Situation) -> Found:
    """A chunk, a metadata file, a folder that may not be read; a store and a folder that may not be written."""
    store = at.store
    asked = ("verify", "info", "describe", "export", "repair")
    for place in (
        "position/c/0/0/0",
        "position/c",
        "position/zarr.json",
        "descriptors",
        "descriptors/bo/bo",
        ".glassdask",
        "",
    ):
        for command in asked[: 2 + at.rounds]:
            at.fresh()
            os.chmod(store / place, 0)
            given = {"describe": [LD, *THREADS], "export": ["-o", at.root / "x.csv", "-q"], "verify": ["-q"]}
            ended = run([command, store, *given.get(command, [])], at.root, prepare=ordinary)
            os.chmod(store / place, 0o755)
            wrong = command == "verify" and ended.code == 0
            if command == "verify" and ended.code and str(store / place) in ended.said and "Trace" not in ended.said:
                yield f"{place}, {command}", "named"
                continue
            yield f"{place}, {command}", judged(ended, not wrong)
    for what in ("store", "parent"):
        at.fresh()
        places = [store, *store.rglob("*")] if what == "store" else [at.root]
        for place in places:
            os.chmod(place, 0o555 if place.is_dir() else 0o444)
        for command in (["verify", store, "-q"], ["reduce", store, "bo", *THREADS], ["describe", store, LD, *THREADS]):
            ended = run(command, at.root, prepare=ordinary)
            refused = what == "store" and command[0] == "describe"
            yield f"{what} read-only, {command[0]}", judged(ended, not refused)
        for place in places:
            os.chmod(place, 0o755)


def clocks(at: Situation) -> Found:
    """All files have times of the future, of the past, of before 1970."""
    store = at.store
    for years in (30, -30, -60):
        at.fresh()
        write_dump(at.root / "run.dump", 9)
        for place in (store, *store.rglob("*"), at.root / "run.dump"):
            os.utime(place, (time.time() + years * 3e7,) * 2)
        for command in (["verify", store, "-q"], ["describe", store, BO, *THREADS], ingest(at.root, "--append")):
            ended = run(command, at.root)
            yield f"{years} years, {command[0]}", judged(ended) if ended.code == 0 else f"unclear {ended.said}"
        described = run(["describe", store, BO, "--overwrite", *THREADS], at.root)
        yield f"{years} years, described anew", judged(described) if described.code == 0 else "unclear"


NAMES = (
    "with blank", "br[ack]ets", "Ünïcödé-日本", "a#b", "a%20b", "quo'te", 'do"uble', "a;b&c|d", "$HOME", "*?", "-dash",
    "back\\slash", ":colon", "{x}", "~", "tab\tx", "trailing ", "e\u0301", os.fsdecode(b"latin\xe4"),
)  # fmt: skip


def names(at: Situation) -> Found:
    """A dump, a store, a sweep that simulates of odd names in such folders; also a store that was moved there."""
    for name in NAMES if at.rounds > 1 else NAMES[:4]:
        at.fresh()
        folder = at.root / name
        folder.mkdir()
        file, moved, made = folder / f"{name}.dump", folder / f"{name}.zarr", folder / f"{name} 2.zarr"
        shutil.copy(at.root / "run.dump", file)
        shutil.move(at.store, moved)
        (folder / f"{name}.toml").write_text(SIMULATED)
        species = ["--species", "1=A", "--species", "2=B"]
        for command in (
            ["ingest", file, "--store", made, *species, *THREADS],
            ["describe", moved, LD, *THREADS],
            ["describe", made, BO, *THREADS],
            ["plot", moved, "bo", "-o", folder / f"{name}.png"],
            ["export", made, "-o", folder / f"{name}.lammpstrj"],
            ["verify", moved, "-q"],
            ["repair", made],
            ["sweep", "run", folder / f"{name}.toml", *THREADS],
        ):
            ended = run(command, at.root)
            yield f"{name!r}, {command[0]}", "right" if ended.code == 0 else f"unclear {ended.said}"


def copies(at: Situation) -> Found:
    """A store that was copied in part, by rsync that was interrupted, or whose parts were renamed."""

    def removed(place: str) -> Callable[[], None]:
        return lambda: _remove(at.store / place)

    def hidden() -> None:  # as rsync names what it has not finished
        for file in [file for file in at.store.rglob("c/**/*") if file.is_file()][::3]:
            file.rename(file.with_name(f".{file.name}.Xa81Ds"))

    def halves() -> None:
        for file in sorted(file for file in at.store.rglob("*") if file.is_file())[::3]:
            os.truncate(file, file.stat().st_size // 2)

    bo = at.store / "descriptors/bo"
    damages: dict[str, Callable[[], object]] = {
        "no ledger": removed(".glassdask"),
        "no descriptors": removed("descriptors"),
        "no array": removed("position"),
        "no chunks of an array": removed("position/c"),
        "no zarr.json": removed("zarr.json"),
        "no reduction's array": removed("reductions/bo/projection"),
        "rsync was killed": hidden,
        "every third file a half": halves,
        "a descriptor renamed": lambda: shutil.move(bo, at.store / "descriptors/else"),
        "a descriptor twice": lambda: shutil.copytree(bo, at.store / "descriptors/else"),
    }
    for what, damage in damages.items():
        at.fresh()
        damage()
        said = at.verified()
        named = said.code == 1 and "Traceback" not in said.said
        yield f"{what}, verify", "named" if named else "unclear" if "Traceback" in said.said else "silent"
        for command in (["export", at.store, "-o", at.root / "x.csv", "-q"], ["repair", at.store]):
            ended = run(command, at.root)
            clear = ended.clear or "not restored: " in ended.said
            yield f"{what}, {command[0]}", "named" if ended.code and clear else "unclear" if ended.code else "right"


def _remove(place: Path) -> None:
    shutil.rmtree(place) if place.is_dir() else place.unlink()


def links(at: Situation) -> Found:
    """A chunk, a folder of chunks, an array, a group that is a symbolic link out of the store."""
    for place in ("position/c/0/0/0", "position/c/0", "position/c", "position", "descriptors/bo", "descriptors"):
        at.fresh()
        target = at.root / "elsewhere"
        (at.store / place).rename(target)
        (at.store / place).symlink_to(target)
        said = at.verified()
        yield f"{place}, verify", "named" if said.code == 1 and "is a symbolic link" in said.said else "silent"
        command = ["reduce", at.store, "bo", "--name", "again"] if "descr" in place else ["describe", at.store, LD]
        ended = run([*command, *THREADS], at.root)
        yield f"{place}, {command[0]}", "named" if "is a symbolic link" in ended.said else f"silent {ended.said}"


@contextmanager
def _full(at: Situation) -> Iterator[Path]:
    """A folder in which nothing can be written any more: a disk of its own."""
    folder = at.root.parent / "disk"
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        with open(folder / "full", "wb", buffering=0) as file:
            file.write(bytes(1 << 16))
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _print_to(file: Path) -> None:
    """Let what this process prints go to a file."""
    os.dup2(os.open(file, os.O_CREAT | os.O_WRONLY), 1)


def outputs(at: Situation) -> Found:
    """Figures, tables, exports and what is printed to a full disk, to missing folders, to what is no file."""
    store = at.store
    try:
        with _full(at) as disk:
            for name in ("x.csv", "x.gsd", "x.h5md", "x.parquet", "x.extxyz.gz", "x.extxyz.zst", "x.lammpstrj"):
                ended = run(["export", store, "-o", disk / name, "-q"], at.root)
                left = [file.name for file in disk.iterdir()]
                yield f"export {name}", judged(ended, False) if left == ["full"] else f"unclear {left}"
            sweep = save_sweep(at.root / "swept", temperatures=(0.5, 0.6), seeds=1, frames=4).with_suffix(".zarr")
            done(at.root, "sweep", "run", sweep.with_suffix(".toml"), *THREADS)
            for place, what in ((store, "bo"), (sweep, "evr"), (sweep, "g"), (sweep, "structure/S")):
                ended = run(["plot", place, what, "-o", disk / "x.png"], at.root)
                left = [file.name for file in disk.iterdir()]
                yield f"plot {what}", judged(ended, False) if left == ["full"] else f"unclear {left}"
            for command in (["info", store], ["sweep", "status", sweep, "--json"], ["plot", sweep], ["verify", store]):
                ended = run(command, at.root, prepare=lambda: _print_to(disk / "x"))
                yield f"{command[0]} to a full disk", judged(ended, False)
            ended = run(["info", store, "--log", disk / "log"], at.root)
            gone_on = ended.code == 0 and "the work goes on without it" in ended.said and "Trace" not in ended.said
            yield "a log", "right" if gone_on else f"unclear {ended.said}"
    except (OSError, subprocess.CalledProcessError):
        yield "a full disk", "not tried: no disk can be made here"
    for command in (["plot", store, "bo"], ["plot", store, "particles"], ["export", store, "-q"]):
        ended = run([*command, "-o", at.root / "missing/folder/x.csv"], at.root)
        yield f"{command[0]} to a missing folder", judged(ended, False)
        assert not (at.root / "missing").exists()
    os.mkfifo(at.root / "pipe.csv")
    ended = run(["export", store, "-q", "--overwrite", "-o", at.root / "pipe.csv"], at.root)
    yield "export to a pipe", judged(ended, False)


def twins(at: Situation) -> Found:
    """A copy whose files are hard links, as backups make them: nothing that is done to the store changes the copy."""
    store, twin = at.store, at.root / "twin" / "run.zarr"
    for what in ("append", "describe anew", "reduce anew", "ingest anew", "repair"):
        at.fresh()
        subprocess.run(["cp", "-al", f"{store}/.", _made(twin)], check=True)
        before = fingerprint(twin)
        write_dump(at.root / "run.dump", 9)
        if what == "repair":
            (store / "descriptors/bo/zarr.json").unlink()
        command = {
            "append": ingest(at.root, "--append"),
            "describe anew": ["describe", store, "bo:l_max=3,cutoffs=1.3", "--overwrite", *THREADS],
            "reduce anew": ["reduce", store, "bo", "--overwrite", *THREADS],
            "ingest anew": ingest(at.root, "--overwrite"),
            "repair": ["repair", store],
        }[what]
        ended = run(command, at.root)
        yield what, "silent" if fingerprint(twin) != before else "right" if ended.code == 0 else f"unclear {ended.said}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def limits(at: Situation) -> Found:
    """Few open files, or small ones only (``ulimit -n``, ``-f``); then again without a limit."""
    store = at.store
    commands = (
        ingest(at.root, "--append"), ["describe", store, LD, OTHER, *THREADS], ["verify", store, "-q"],
        ["export", store, "-o", at.root / "x.csv", "-q", "--overwrite"], ["plot", store, "bo", "-o", at.root / "x.png"],
    )  # fmt: skip
    files, size = resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE
    for kind, value in ((files, 10), (files, 12), (files, 16), (size, 1000), (size, 5000)):
        for command in commands:
            at.fresh()
            write_dump(at.root / "run.dump", 9)
            ended = run(command, at.root, prepare=partial(resource.setrlimit, kind, (value, value)))
            again = run(command, at.root)
            what = f"{'files' if kind == files else 'size'} {value}, {command[0]}"
            yield what, judged(ended) if again.code == 0 else f"unclear {ended.said} {again.said}"


SHORT = """
import os, sys
from pathlib import Path
from glassdask.simulation import Dynamics, RandomStart, Simulation, models, simulate
for number in range(int(sys.argv[2])):
    stages = (Dynamics(time=0.02, temperature=1.0, every=0.02),)
    run = Simulation(model=models.KAM_2D, start=RandomStart(n_particles=30), seed=number, stages=stages)
    simulate(run, f"{sys.argv[1]}/{number}.zarr").compute(scheduler="synchronous")
    print(*sorted(os.listdir("/dev/shm")) or ["nothing"], flush=True)
"""


def simulations(at: Situation) -> Found:
    """Twenty simulations a round, with 4 MB of shared memory that nobody else uses."""
    alone = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=4m tmpfs /dev/shm && exec "$@"', "sh"]
    command = [*alone, sys.executable, "-c", SHORT, str(at.root), str(20 * at.rounds)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    for number, left in enumerate(done.stdout.splitlines()):
        yield f"simulation {number}", "right" if left == "nothing" else f"silent: {left}"
    if done.returncode:
        yield "all", f"unclear {done.stderr}"


ALL = {
    one.__name__: one
    for one in (clients, writers, permissions, clocks, names, copies, links, outputs, twins, limits, simulations)
}


def tried(name: str, rounds: int) -> tuple[Counter[str], list[str]]:
    """Outcomes of a situation, and lines about those that break a promise."""
    found: Counter[str] = Counter()
    broken = []
    with tempfile.TemporaryDirectory() as folder:
        for what, outcome in ALL[name](Situation(Path(folder), rounds)):
            found[outcome.partition(" ")[0].rstrip(":")] += 1
            if not outcome.startswith(("right", "named", "not tried")):
                broken.append(f"{name}, {what}: {' '.join(outcome.split())[-900:]}")
    return found, broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(ALL), default=list(ALL))
    parser.add_argument("--note", action="store_true", help="keep the outcomes for the table of deploy/PROMISES.md")
    options = parser.parse_args()
    warm()
    bad = []
    for name in options.only:
        found, broken = tried(name, options.rounds)
        bad += broken
        print(f"{name:12} {found.total():4}  {outcomes.counted(found)}", *broken, sep="\n", flush=True)
        if options.note:
            outcomes.note(name, found)
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
