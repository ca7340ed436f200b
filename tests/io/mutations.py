"""Damaged files: valid ones of every format, changed at random, must end in one line about the file, or be read.

By hand, for longer than the tests do: ``python -m tests.io.mutations 2000 lammps xtc`` (all formats without names).
Rounds of 25 go over the formats in turn; with ``--journal FILE`` each is kept and made once, ``--minutes M`` ends
before all are done, and ``--note`` keeps the outcomes for the table of deploy/PROMISES.md. The exit code is 1 where
a file was taken in another way than "refused" in one line that names it, or "read" with finite numbers.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import math
import pickle
import resource
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

import glassdask as gd
from glassdask.errors import GlassdaskError
from glassdask.io.formats import FORMATS, find_format
from glassdask.io.sources import frames, scan
from tests.faults import outcomes
from tests.io.sample_files import dump, extxyz, sample, write

HERE = Path(__file__).parent
SPECIES = [str(name) for name in sample(3, 8).species]
# What is put in the place of a word of a text, or of a number of a binary file.
WORDS = (
    *("nan", "inf", "-inf", "-1", "0", "1e400", "1e308", "1e-320", "99999999999999999999", "1000000000000000000"),
    *("x", "²", "0x10", "1_0", "1d0", "-0", "é", "1.5", "'", '"'),
)
NUMBERS = (0, 1, 0xFF, 0x7F, 0x80, 2**31 - 1, 2**32 - 1, 2**63 - 1, 10**12)
ROOM = 3 << 30  # bytes of memory that reading a file of some kilobytes may ask for, which is far too much


def seeds(folder: Path) -> dict[str, tuple[Path, dict]]:
    """A small valid file of each kind, and the options that it needs."""
    run = sample(3, 8)
    names = "id type x y z vx vy vz ix iy iz c_pe"
    found: dict[str, tuple[Path, dict]] = {
        "lammps": (write(folder / "a.dump", dump(run, names)), {"columns": {"energy": "c_pe"}}),
        "lammpsgz": (write(folder / "b.dump.gz", dump(run, names)), {}),
        "lammpszst": (write(folder / "c.dump.zst", dump(run, names)), {}),
        "xyz": (write(folder / "d.xyz", extxyz(run)), {}),
    }
    start, rng = run.position[0], np.random.default_rng(0)
    arrays = {name: getattr(run, name) for name in ("position", "species", "box", "velocity", "energy", "step", "id")}
    np.savez(folder / "e.npz", **arrays)
    np.savez_compressed(folder / "f.npz", **arrays)
    known = {"types": np.arange(8) % 2, "initial_positions": start}
    np.savez(folder / "g.npz", **known, positions=start + rng.normal(size=(3, 8, 3)))
    np.savez(folder / "h.npz", **known, md_prop=rng.random((4, 8)), bb_prop=rng.random((4, 8)))
    content = {
        "positions": start, "types": np.arange(8) % 2, "box": np.full(3, 4.0), "time": 7.5,
        "trajectory_target_positions": list(start + rng.normal(size=(3, 8, 3))),
    }  # fmt: skip
    (folder / "i.pickle").write_bytes(pickle.dumps(content, protocol=4))
    found |= {"npz": (folder / "e.npz", {}), "npz packed": (folder / "f.npz", {})}
    found |= {
        "botan": (folder / "g.npz", {}),
        "glassbench": (folder / "h.npz", {}),
        "pickle": (folder / "i.pickle", {}),
    }
    for name in ("cell.data", "cell.custom.bin", "flat.atom.bin", "cell.yaml", "cell.0.cfg"):
        found[name] = (HERE / "lammps" / name, {})
    from tests.io.test_other_formats import tracks

    (folder / "m.csv").write_text(tracks(sample(3, 20)))
    found["csv"] = (folder / "m.csv", {"box": [8.0, 8.0], "keep": ["signal"]})
    if _there("netCDF4"):
        from tests.io.test_lammps_files import write_netcdf

        found["netcdf"] = (write_netcdf(folder / "n.nc", sample(5, 20), lammps=True), {})
    if _there("pyarrow"):
        gd.export(run.trajectory("image", "step", "id"), folder / "o.parquet")
        found["parquet"] = (folder / "o.parquet", {})
    if _there("ase"):
        import ase.io

        from tests.io.test_objects import atoms_of

        images = [atoms_of(run, k) for k in range(3)]
        for name, images_of in (("p.traj", images), ("q.cif", images[:1])):
            ase.io.write(folder / name, images_of)
            found[name] = (folder / name, {})
    if "gsd" in sys.modules or _there("gsd"):
        from tests.io.test_binary_formats import write_gsd

        found["gsd"] = (write_gsd(folder / "j.gsd", run), {})
    if _there("h5py"):
        from tests.io.test_h5md import write as write_h5md

        found["h5md"] = (write_h5md(folder / "k.h5", run), {})
    if _there("mdtraj"):
        from mdtraj.formats import DCDTrajectoryFile, TRRTrajectoryFile, XTCTrajectoryFile

        single, cells = run.position.astype(np.float32), run.box.astype(np.float32)
        step, clock = run.step.astype(np.int32), run.time.astype(np.float32)
        for kind, which in (("xtc", XTCTrajectoryFile), ("trr", TRRTrajectoryFile)):
            with which(str(folder / f"l.{kind}"), "w") as file:
                file.write(single, time=clock, step=step, box=cells)
            found[kind] = (folder / f"l.{kind}", {"species": SPECIES})
        with DCDTrajectoryFile(str(folder / "l.dcd"), "w") as file:
            file.write(single, np.full((3, 3), 7.0, np.float32), np.full((3, 3), 90.0, np.float32))
        found["dcd"] = (folder / "l.dcd", {"species": SPECIES})
    return found


def _there(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The file with one to three changes: of bytes, of words and lines of a text, of whole numbers, of its length."""
    text = b"\0" not in content
    for _ in range(rng.integers(1, 4)):
        kind = rng.choice(["bytes", "cut", *(["word", "word", "line", "line"] if text else ["number", "number"])])
        if not content:
            break
        place = int(rng.integers(len(content)))
        if kind == "bytes":
            new = bytes(rng.integers(0, 256, rng.integers(1, 5)).tolist())
            content = content[:place] + new + content[place + rng.choice([len(new), 0]) :]
        elif kind == "cut":
            content = content[:place] if rng.random() < 0.5 else content[:place] + content[place + 16 :]
        elif kind == "number":
            width = int(rng.choice([1, 2, 4, 8]))
            value = int(rng.choice(np.array(NUMBERS, dtype=object))) % 2 ** (8 * width)
            place -= place % width
            new = value.to_bytes(width, str(rng.choice(["little", "big"])))
            content = content[:place] + new + content[place + width :]
        else:
            lines = content.split(b"\n")
            at = int(rng.integers(len(lines)))
            if kind == "word":
                words = lines[at].split(b" ")
                words[int(rng.integers(len(words)))] = str(rng.choice(WORDS)).encode()
                lines[at] = b" ".join(words)
            else:
                other = lines[int(rng.integers(len(lines)))]
                lines[at : at + 1] = [[], [lines[at], other], [other], [b""]][int(rng.integers(4))]
            content = b"\n".join(lines)
    return content


def repacked(content: bytes, rng: np.random.Generator) -> bytes:
    """The archive with a changed array, and checksums that fit it: what zip cannot notice."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        chosen = str(rng.choice(old.namelist()))
        for name in old.namelist():
            data = old.read(name)
            if name == chosen and rng.random() < 0.2:
                array = np.array([{"a": 1}, None], dtype=object)
                stream = io.BytesIO()
                np.save(stream, array)
                data = stream.getvalue()
            elif name == chosen:
                header = data[:128].replace(b"(3", b"(9000000000000" if rng.random() < 0.5 else b"(4")
                data = mutated(header if rng.random() < 0.5 else data[:128], rng) + data[128:]
            new.writestr(name, data)
    return out.getvalue()


def outcome(path: Path, options: dict) -> str:
    """'refused', 'read', or what is wrong about how the file was taken."""
    try:
        name = find_format(path)
        if FORMATS[name].together:
            with tempfile.TemporaryDirectory() as folder:
                gd.ingest(path, Path(folder) / "x.zarr")
                trajectory = gd.open_trajectory(Path(folder) / "x.zarr").load()
            values = [trajectory[key].values for key in ("position", "box")]
        else:
            taken = {key: value for key, value in options.items() if key in (*FORMATS[name].options, "box")}
            index = scan(path, **taken)
            values = []
            for frame in frames(index, alone=True):
                values += [frame.position, frame.box, *(getattr(frame, key, None) for key in index.variables)]
        if not all(np.isfinite(value).all() for value in values if value is not None):
            return "read, and something is not finite"
        return "read"
    except GlassdaskError as error:
        text = str(error)
        return "refused" if path.name in text and "\n" not in text and len(text) < 1000 else f"unclear: {text[:300]}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def attack(kind: str, path: Path, options: dict, tries: int, seed: int = 0) -> collections.Counter:
    """Outcomes of so many damaged versions of a file; each that is wrong with the seed that makes it again."""
    content = path.read_bytes()
    counts: collections.Counter = collections.Counter()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, limits[1]))
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(seed, seed + tries):
                rng = np.random.default_rng([number, len(content)])
                packed = content.startswith(b"PK") and rng.random() < 0.6
                target = Path(folder) / f"damaged-{number}{''.join(path.suffixes)}"
                target.write_bytes(repacked(content, rng) if packed else mutated(content, rng))
                begun = time.process_time()
                found = outcome(target, options)
                if time.process_time() - begun > 20:
                    found = f"took {time.process_time() - begun:.0f} s"
                counts[found if found in ("read", "refused") else f"{kind} {number}: {found}"] += 1
                target.unlink()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    return counts


ROUND = 25  # tries of a format before those of the next


def main() -> int:
    """The attack at length, by hand."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tries", type=int)
    parser.add_argument("only", nargs="*", help="formats; all without any")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no round after so long")
    parser.add_argument("--journal", type=Path, help="each round is kept here, and made once")
    parser.add_argument("--note", action="store_true", help="keep the outcomes for the table of deploy/PROMISES.md")
    options = parser.parse_args()
    journal, end = outcomes.Journal(options.journal), time.monotonic() + 60 * options.minutes
    found: dict[str, collections.Counter[str]] = {}
    with tempfile.TemporaryDirectory() as made:
        files = {kind: file for kind, file in seeds(Path(made)).items() if kind in (options.only or [kind])}
        for begun in range(0, options.tries, ROUND):
            for kind, (file, needed) in files.items():
                name = f"{kind} {begun}"
                if name in journal.known or time.monotonic() < end:
                    counts = journal.once(name, attack, kind, file, needed, ROUND, begun)
                    found[kind] = found.get(kind, collections.Counter()) + collections.Counter(counts)
    for kind, counts in found.items():
        print(kind, json.dumps(counts, indent=1, ensure_ascii=False), flush=True)
    total: collections.Counter[str] = sum(found.values(), collections.Counter())
    wrong = total.total() - total["read"] - total["refused"]
    if options.note:
        least, most = (choose(counts.total() for counts in found.values()) for choose in (min, max))
        each = {"unclear": wrong} if wrong else {}
        outcomes.note("readers", collections.Counter(read=total["read"], refused=total["refused"], **each))
        print(f"{len(found)} formats, {least} to {most} tries of each")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
