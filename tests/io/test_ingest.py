"""Files into a store: the same numbers whatever the files, the tasks and the interruptions."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glassdask as gd
import glassdask.io as gio
from glassdask import errors
from glassdask.io import tasks
from glassdask.io.order import Stretch
from glassdask.store import appending, layout, set_attributes, verify
from tests.io.sample_files import CUBIC, FLAT, SHIPPED, TILTED, Sample, dump, extxyz, plain_xyz, sample, write
from tests.io.test_binary_formats import save, write_gsd

FULL = "id type x y z vx vy vz ix iy iz c_pe"
VARIABLES = ("origin", "image", "velocity", "energy", "step", "id")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of a few small frames, so that little data makes many blocks."""
    monkeypatch.setattr(layout, "CHUNK_BYTES", 2 * 20 * 3 * 8)


def part(run: Sample, start: int, stop: int) -> Sample:
    per_frame = ("position", "image", "velocity", "energy", "box", "origin", "step", "time")
    values = {name: getattr(run, name)[start:stop] if name in per_frame else getattr(run, name) for name in vars(run)}
    return Sample(**values)


def joined(one: Sample, other: Sample) -> Sample:
    per_frame = ("position", "image", "velocity", "energy", "box", "origin", "step", "time")
    return Sample(
        **{
            name: np.concatenate([getattr(one, name), getattr(other, name)])
            if name in per_frame
            else getattr(one, name)
            for name in vars(one)
        }
    )


def dumps(folder: Path, run: Sample, edges: list[int], suffix: str = ".dump", names: str = FULL) -> list[Path]:
    """The frames of a run in several files that are cut at `edges`."""
    pairs = itertools.pairwise([0, *edges, len(run.position)])
    return [write(folder / f"run.{a}{suffix}", dump(part(run, a, b), names)) for a, b in pairs]


def same_values(store, expected) -> None:
    found = gd.open_trajectory(store)
    assert set(found.variables) == set(expected.variables)
    for name, variable in expected.variables.items():
        np.testing.assert_array_equal(found[name].values, variable.values, err_msg=str(name))
        assert found[name].dims == variable.dims
        assert found[name].dtype.kind == variable.dtype.kind
    assert found["position"].attrs["wrapped"] == expected["position"].attrs["wrapped"]
    assert verify(store) == []


@pytest.mark.parametrize("suffixes", [(".dump",), (".dump.gz",), (".dump", ".dump.gz"), (".dump.gz", ".dump")])
@pytest.mark.parametrize("edges", [[], [7], [1, 2, 3, 20], [33, 34, 39]])
def test_chunks_that_span_files(tmp_path, monkeypatch, suffixes, edges):
    monkeypatch.setattr(layout, "CHUNK_BYTES", 4 * 20 * 3 * 8)
    run = sample(n_frames=40)
    paths = []
    for k, (a, b) in enumerate(itertools.pairwise([0, *edges, 40])):
        paths.append(write(tmp_path / f"{k}{suffixes[k % len(suffixes)]}", dump(part(run, a, b), FULL)))
    report = gio.ingest(paths, tmp_path / "run.zarr")
    assert (report.n_frames, report.n_new, report.n_particles, report.wrapped) == (40, 40, 20, 0)
    same_values(tmp_path / "run.zarr", run.trajectory(*VARIABLES))
    assert not (tmp_path / "run.zarr" / ".ingest").exists()


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_plan_gives_each_block_one_task_and_each_frame_once(data):
    counts = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=6))
    access = data.draw(st.lists(st.booleans(), min_size=len(counts), max_size=len(counts)))
    size, first = data.draw(st.integers(1, 15)), data.draw(st.integers(0, 9))
    skipped = [data.draw(st.integers(0, 3)) for _ in counts]
    stretches = [
        Stretch(
            gio.SourceIndex("", "lammps", "", n, 1, 3, (), ("A",), np.zeros(1), None, free, 10 * np.arange(n + s)),
            s,
            n + s,
        )
        for n, s, free in zip(counts, skipped, access)
    ]
    blocks = layout.frame_blocks(first, first + sum(counts), size)
    pending = [block for block in blocks if data.draw(st.booleans())]
    source = [(file, s + k) for file, (n, s) in enumerate(zip(counts, skipped)) for k in range(n)]
    planned = tasks.plan(stretches, pending, first)
    assert [block for task in planned for block in task.blocks] == pending
    for task in planned:
        covered = [piece.number + k for piece in task.pieces for k in range(piece.stop - piece.start)]
        assert covered == list(range(task.blocks[0][0], task.blocks[-1][1]))
        for piece in task.pieces:
            file = source[piece.number - first][0]
            assert source[piece.number - first] == (file, piece.start)
            assert piece.stop <= counts[file] + skipped[file]
            assert piece.index.offsets.tolist() == [10 * piece.start]
            assert piece.index.first == piece.start
    # a compressed file is entered by the task of its own blocks, and by the one whose last block it ends
    for file, random_access in enumerate(access):
        if not random_access:
            owned = [task for task in planned if source[task.blocks[0][0] - first][0] == file]
            assert len(owned) <= 1


@pytest.mark.parametrize("cell", [CUBIC, TILTED, FLAT], ids=["cubic", "tilted", "flat"])
def test_all_formats_give_the_same_store(tmp_path, cell):
    pytest.importorskip("gsd")
    run = sample(cell=cell)
    columns = FULL if len(cell) == 3 else "id type x y vx vy ix iy c_pe"
    for name, text in (("run.dump.gz", dump(run, columns)), ("run.xyz", extxyz(run, more=":id:I:1"))):
        if len(cell) == 2 and name == "run.xyz":
            continue  # a lattice has three vectors
        gio.ingest(write(tmp_path / name, text), tmp_path / f"{name}.zarr")
    gio.ingest(save(tmp_path / "run.npz", run, *VARIABLES), tmp_path / "run.npz.zarr")
    same_values(tmp_path / "run.npz.zarr", run.trajectory(*VARIABLES))
    for store in tmp_path.glob("*.zarr"):
        found = gd.open_trajectory(store)
        for name in ("position", "velocity", "energy", "image", "step", "id", "species"):
            np.testing.assert_array_equal(found[name].values, getattr(run, name))
    gio.ingest(write_gsd(tmp_path / "run.gsd", run, dimensions=len(cell)), tmp_path / "gsd.zarr")
    found = gd.open_trajectory(tmp_path / "gsd.zarr")
    np.testing.assert_allclose(found["position"].values, run.position, atol=2e-6)
    np.testing.assert_array_equal(found["image"].values, run.image)


@pytest.mark.parametrize("number", [128, 129, 1200])
def test_many_species(tmp_path, number):
    pytest.importorskip("gsd")
    run = sample(n_frames=2, n_particles=1200)
    run.species = (np.random.default_rng(0).permutation(1200) % number).astype(str)
    files = [
        write(tmp_path / "run.dump.gz", dump(run, FULL, shuffle=1)),
        write(tmp_path / "run.xyz", extxyz(run, more=":id:I:1")),
        save(tmp_path / "run.npz", run, *VARIABLES),
        write_gsd(tmp_path / "run.gsd", run, types=[str(k) for k in range(number)]),
    ]
    for path in files:
        gio.ingest(path, tmp_path / f"{path.name}.zarr")
        np.testing.assert_array_equal(gd.open_trajectory(tmp_path / f"{path.name}.zarr")["species"], run.species)


def at_rest(n_frames: int = 8) -> tuple[Sample, np.ndarray]:
    """A run whose particles are where they are in a box that breathes and moves, and the corners of that box."""
    run = sample(n_frames=n_frames)
    place = sample(n_frames=1).position[0]
    centre = 0.5 * run.box[0].sum(axis=0) + 0.1 * np.arange(n_frames)[:, None]
    origin = centre - 0.5 * run.box.sum(axis=1)
    run.position[:] = place - origin[:, None]
    run.image[:] = 0
    return run, origin


def at_rest_file(folder: Path, kind: str) -> Path:
    """The run `at_rest` as a file in which the box has a place."""
    run, origin = at_rest()
    parts = [part(run, k, k + 1) for k in range(len(run.position))]
    if kind == "gsd":  # centred on zero
        run.position[:] = sample(n_frames=1).position[0] + 0.5 * (run.box - run.box[:1]).sum(axis=1)[:, None]
        return write_gsd(folder / "run.gsd", run)
    if kind == "npz":
        return save(folder / "run.npz", run, "image", "time", position=run.position + origin[:, None], origin=origin)
    if kind == "xyz":
        for one, corner in zip(parts, origin):
            one.position += corner
        text = [extxyz(one, rest=f' Origin="{" ".join(map(repr, c.tolist()))}"') for one, c in zip(parts, origin)]
        return write(folder / "run.xyz", "".join(text))
    return write(folder / "run.dump", "".join(dump(one, kind, origin=c) for one, c in zip(parts, origin)))


@pytest.mark.parametrize(
    "kind", ["id type x y z", "id type xs ys zs ix iy iz", "id type xu yu zu", "xyz", "npz", "gsd"]
)
def test_particles_at_rest_do_not_move_with_the_box(tmp_path, kind):
    if kind == "gsd":
        pytest.importorskip("gsd")
    gio.ingest(at_rest_file(tmp_path, kind), tmp_path / "run.zarr")
    found = gd.open_trajectory(tmp_path / "run.zarr")
    assert found["origin"].chunks is None
    tolerance = 1e-6 if kind == "gsd" else 1e-12
    np.testing.assert_allclose(gd.dynamics.displacements(found), 0.0, atol=tolerance)
    if kind != "gsd":
        np.testing.assert_allclose(found["origin"], at_rest()[1], atol=1e-12)
        np.testing.assert_allclose(gd.dynamics.unwrapped(found)[0], at_rest()[0].position[0] + at_rest()[1][0])


def test_the_origin_of_some_files(tmp_path):
    """It is zero where a file has none; but what was stored without is not known to be at zero."""
    run = sample(n_frames=2)
    plain = write(tmp_path / "plain.xyz", extxyz(run))
    before, after = (replace(run, step=run.step + by, time=run.time + by) for by in (-1000, 1000))
    moved = write(tmp_path / "moved.xyz", extxyz(after, rest=' Origin="1 2 3"'))
    first = write(tmp_path / "first.xyz", extxyz(before, rest=' Origin="1 2 3"'))
    for files in ([plain, moved], [first, plain]):
        gio.ingest(files, tmp_path / "run.zarr", overwrite=True)
        stored = gd.open_trajectory(tmp_path / "run.zarr")["origin"]
        np.testing.assert_array_equal(
            stored, [[float(file != plain) * x for x in (1, 2, 3)] for file in files for _ in (0, 1)]
        )
    gio.ingest(first, tmp_path / "moved.zarr")
    gio.ingest(plain, tmp_path / "moved.zarr", append=True)
    np.testing.assert_array_equal(
        gd.open_trajectory(tmp_path / "moved.zarr")["origin"], [[1, 2, 3]] * 2 + [[0, 0, 0]] * 2
    )
    gio.ingest(plain, tmp_path / "plain.zarr")
    with pytest.raises(
        errors.FormatError, match=r"moved.xyz, frame 0: the box begins at \[1.0, 2.0, 3.0\], and where it"
    ):
        gio.ingest(moved, tmp_path / "plain.zarr", append=True)
    assert gd.open_trajectory(tmp_path / "plain.zarr").sizes["frame"] == 2


def walk(n_frames: int = 12) -> Sample:
    """Particles that walk over many boxes, not wrapped."""
    run = sample(n_frames=n_frames)
    steps = np.random.default_rng(5).normal(scale=3.0, size=run.position.shape)
    run.position[:] = run.position[0] + np.cumsum(steps, axis=0) - steps[0]
    return run


def untold(folder: Path, run: Sample, kind: str, name: str = "run") -> tuple[Path, dict]:
    """A file that does not say whether its positions are wrapped, and the options that it needs."""
    if kind == "npz":
        return save(folder / f"{name}.npz", run, "time"), {}
    if kind == "xyz":
        return write(folder / f"{name}.xyz", plain_xyz(run)), {}
    mdtraj = pytest.importorskip("mdtraj")
    topology = mdtraj.Topology()
    residue = topology.add_residue("GLA", topology.add_chain())
    for _ in run.species:
        topology.add_atom("A", mdtraj.element.argon, residue)
    # DCD is in ångström, mdtraj in nanometres
    lengths, angles = 0.1 * np.diagonal(run.box, axis1=1, axis2=2), np.full((len(run.box), 3), 90.0)
    trajectory = mdtraj.Trajectory(0.1 * run.position, topology, unitcell_lengths=lengths, unitcell_angles=angles)
    trajectory[0].save(str(folder / "top.pdb"))
    trajectory.save(str(folder / f"{name}.dcd"))
    return folder / f"{name}.dcd", {"topology": str(folder / "top.pdb")}


@pytest.mark.parametrize("kind", ["xyz", "npz", "mdtraj"])
def test_unwrapped_positions_keep_their_images(tmp_path, kind):
    run = walk()
    path, options = untold(tmp_path, run, kind)
    report = gio.ingest(path, tmp_path / "run.zarr", **options)
    found = gd.open_trajectory(tmp_path / "run.zarr")
    assert found["image"].dtype == np.int32
    assert report.wrapped == found["position"].attrs["wrapped"] > 0
    np.testing.assert_allclose(gd.dynamics.unwrapped(found), run.position, atol=1e-4 if kind == "mdtraj" else 1e-10)
    assert verify(tmp_path / "run.zarr") == []
    again = gio.ingest(path, tmp_path / "run.zarr", **options)
    assert (again.n_new, again.n_frames) == (0, 12)
    gio.ingest(path, tmp_path / "told.zarr", wrapped=True, **options)
    assert "image" not in gd.open_trajectory(tmp_path / "told.zarr")


@pytest.mark.parametrize("kind", ["xyz", "npz", "mdtraj"])
@pytest.mark.parametrize("shift", [0.0, 0.5, -0.02, 3.3])
def test_wrapped_positions_have_no_images(tmp_path, kind, shift):
    """Whichever the cell is into which they are wrapped, and also where some stick out a little."""
    run = sample(n_frames=12, n_particles=40)
    run.position -= shift * np.diagonal(run.box, axis1=1, axis2=2)[:, None]
    path, options = untold(tmp_path, run, kind)
    gio.ingest(path, tmp_path / "run.zarr", **options)
    assert "image" not in gd.open_trajectory(tmp_path / "run.zarr")
    assert verify(tmp_path / "run.zarr") == []
    assert gio.ingest(path, tmp_path / "run.zarr", **options).n_new == 0
    gio.ingest(path, tmp_path / "told.zarr", wrapped=False, **options)
    found = gd.open_trajectory(tmp_path / "told.zarr")
    np.testing.assert_allclose(gd.dynamics.unwrapped(found), run.position, atol=1e-4 if kind == "mdtraj" else 1e-10)


def test_images_over_files_and_appends(tmp_path):
    run = walk()
    paths = [untold(tmp_path, part(run, a, b), "npz", f"{a}")[0] for a, b in itertools.pairwise([0, 1, 5, 12])]
    gio.ingest(paths[:2], tmp_path / "run.zarr")  # all of the first frame is inside
    gio.ingest(paths[2], tmp_path / "run.zarr", append=True)
    np.testing.assert_allclose(
        gd.dynamics.unwrapped(gd.open_trajectory(tmp_path / "run.zarr")), run.position, atol=1e-10
    )
    # inside the box, nothing tells: what comes then cannot be put to it
    gio.ingest(paths[0], tmp_path / "one.zarr")
    assert "image" not in gd.open_trajectory(tmp_path / "one.zarr")
    with pytest.raises(
        errors.FormatError, match=r"1.npz: the positions do not fit into one cell, as if they were unwr"
    ):
        gio.ingest(paths[1], tmp_path / "one.zarr", append=True)
    assert gd.open_trajectory(tmp_path / "one.zarr").sizes["frame"] == 1
    gio.ingest(paths[1], tmp_path / "one.zarr", append=True, wrapped=True)
    assert "image" not in gd.open_trajectory(tmp_path / "one.zarr")
    # images that were given, and a file that does not say what its positions are
    given = save(tmp_path / "given.npz", run, "image", "time")
    later = untold(tmp_path, replace(part(run, 1, 5), time=run.time[1:5] + 100), "npz", "later")[0]
    gio.ingest(given, tmp_path / "given.zarr")
    with pytest.raises(
        errors.FormatError, match=r"later.npz: no image, which .*given.zarr has: .* or say `wrapped=False`"
    ):
        gio.ingest(later, tmp_path / "given.zarr", append=True)
    gio.ingest(later, tmp_path / "given.zarr", append=True, wrapped=False)
    found = gd.dynamics.unwrapped(gd.open_trajectory(tmp_path / "given.zarr"))
    np.testing.assert_allclose(found[12:], run.position[1:5], atol=1e-10)


@pytest.mark.parametrize("suffix", [".dump", ".xyz", ".npz"])
def test_a_box_that_contradicts_the_file(tmp_path, suffix):
    run = sample(n_frames=1)
    texts = {".dump": dump(run), ".xyz": extxyz(run)}
    path = save(tmp_path / "run.npz", run) if suffix == ".npz" else write(tmp_path / f"run{suffix}", texts[suffix])
    with pytest.raises(errors.BoxError, match=r"frame 0: the box in the file is .*, you say .*: leave the box out"):
        gio.ingest(path, tmp_path / "run.zarr", box=[20, 20, 20])
    gio.ingest(path, tmp_path / "run.zarr", box=[6.0, 7.0, 8.0])
    np.testing.assert_array_equal(gd.open_trajectory(tmp_path / "run.zarr")["box"], run.box)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"dt": "2"}, "dt is '2', expected a positive number"),
        ({"dt": 0}, "dt is 0, expected a positive number"),
        ({"dt": -0.1}, "dt is -0.1"),
        ({"dt": np.nan}, "dt is nan"),
        ({"dt": True}, "dt is True"),
        ({"dt": [0.1]}, "dt is"),
        ({"box": "x"}, "box is 'x', expected two or three edge lengths"),
        ({"box": [1.0]}, r"box has shape \(1,\)"),
        ({"box": [1.0, 0.0, 1.0]}, "positive volume"),
        ({"wrapped": "no"}, "wrapped: expected bool"),
        ({"dimension": "2"}, "dimension is '2', expected 2 or 3"),
        ({"dimension": True}, "dimension is True, expected 2 or 3"),
        ({"dimension": 2.0}, "dimension is 2.0, expected 2 or 3"),
        ({"dimension": [2]}, r"dimension is \[2\], expected 2 or 3"),
        ({"dt": 10**400}, "dt is 1000"),
        ({"box": [10**400] * 3}, "expected two or three edge lengths"),
        ({"box": ["6", "7", "8"]}, "expected two or three edge lengths"),
        ({"box": np.array([6, 7, 8], complex)}, "expected two or three edge lengths"),
        ({"box": [6.0, 7.0]}, "frame 0: the box that you give has 2 dimensions, the file 3: leave the box out"),
        ({"species_names": ["A"]}, r"species_names: expected a table .* found \['A'\]"),
        ({"species_names": "A"}, "species_names: expected a table"),
        ({"species_names": ""}, "species_names: expected a table"),
        ({"species_names": {1: "A", 2: None}}, "species_names.2: expected str, found None"),
        ({"species_names": {1: "A", 2: ""}}, "species_names.2: expected a name"),
        ({"columns": 3}, "columns: expected table, found 3"),
        ({"columns": "x"}, "columns: expected table, found 'x'"),
        ({"columns": {"energy": 1}}, "columns"),
        ({"columns": {"a": "x"}}, "columns has a, expected some of species, energy"),
        ({"format": ["lammps"]}, "unknown format"),
    ],
)
def test_options_are_checked(tmp_path, option, message):
    path = write(tmp_path / "run.dump", dump(sample(n_frames=1)))
    with pytest.raises(errors.GlassdaskError, match=message):
        gio.ingest(path, tmp_path / "run.zarr", **option)
    assert not (tmp_path / "run.zarr").exists()


@pytest.mark.parametrize(
    "sources", [None, 3, b"run.dump", ["run.dump", 3], [None], {"run.dump": 1}.values(), 1.5, np.array("x")]
)
def test_sources_are_paths(tmp_path, sources):
    with pytest.raises(errors.ParameterError, match=r"^expected .* found .*: give text or a pathlib.Path$"):
        gio.ingest(sources, tmp_path / "run.zarr")
    with pytest.raises(errors.ParameterError, match=r"^expected the path of a file, found"):
        gio.scan(sources)
    assert not list(tmp_path.iterdir())


def test_dimensions_of_numpy_and_files_one_by_one(tmp_path):
    paths = [write(tmp_path / f"{k}.dump", dump(sample(n_frames=1))) for k in range(2)]
    done = gio.ingest((path for path in paths), tmp_path / "run.zarr", dimension=np.int64(3))
    assert done.n_frames == 1  # the same step


@pytest.mark.parametrize("store", [None, 3, b"run.zarr", ["run.zarr"]])
def test_stores_are_paths(tmp_path, store):
    path = write(tmp_path / "run.dump", dump(sample(n_frames=1)))
    for call in (lambda: gio.ingest(path, store), lambda: gd.open_trajectory(store)):
        with pytest.raises(errors.StoreError, match="is not the path of a store"):
            call()


@pytest.mark.parametrize("suffix", [".xyz", ".npz"])
def test_columns_without_effect_are_refused(tmp_path, suffix):
    run = sample(n_frames=1)
    path = save(tmp_path / "run.npz", run) if suffix == ".npz" else write(tmp_path / "run.xyz", extxyz(run))
    with pytest.raises(errors.ParameterError, match="columns has charge, expected some of position, species"):
        gio.scan(path, columns={"charge": "q"})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations(tmp_path, path):
    data = np.load(path)
    numbered = data["species"].dtype.kind in "iu"
    report = gio.ingest(path, tmp_path / "run.zarr", species_names={1: "A", 2: "B"} if numbered else None)
    assert report.n_frames == len(data["position"])
    names = np.where(data["species"] == 1, "A", "B") if numbered else data["species"]
    more = {name: data[name] for name in ("time", "velocity", "energy") if name in data}
    same_values(tmp_path / "run.zarr", gd.from_arrays(data["position"], species=names, box=data["box"], **more))


def test_wrapped_particles_are_counted(tmp_path):
    run = sample(n_frames=40)
    paths = dumps(tmp_path, run, [11], ".dump.gz", names="id type xu yu zu")
    outside = int((run.image != 0).any(axis=2).sum())
    assert gio.ingest(paths, tmp_path / "run.zarr").wrapped == outside
    assert gd.open_trajectory(tmp_path / "run.zarr")["position"].attrs["wrapped"] == outside
    later = part(run, 0, 5)
    later.step += 10_000
    more = write(tmp_path / "more.dump", dump(later, "id type xu yu zu"))
    added = int((run.image[:5] != 0).any(axis=2).sum())
    assert gio.ingest(more, tmp_path / "run.zarr", append=True).wrapped == added
    assert gd.open_trajectory(tmp_path / "run.zarr")["position"].attrs["wrapped"] == outside + added


def test_provenance(tmp_path):
    run = sample()
    path = dumps(tmp_path, run, [])[0]
    gio.ingest(path, tmp_path / "run.zarr", species_names={1: "A", 2: "B"}, dt=0.005)
    attrs = gd.open_trajectory(tmp_path / "run.zarr").attrs
    source = attrs["sources"][0]
    digest = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.split()[0]
    assert (source["name"], source["sha256"], source["format"], source["n_frames"]) == (str(path), digest, "lammps", 5)
    assert attrs["parameters"] == {"species_names": {"1": "A", "2": "B"}, "dt": 0.005}
    assert {"glassdask_version", "versions", "created"} <= set(attrs)


def test_patterns_sort_numbers_by_value(tmp_path):
    run = sample(n_frames=12)
    for k in range(12):
        write(tmp_path / f"dump.{k}.lammpstrj", dump(part(run, k, k + 1), FULL))
    gio.ingest(str(tmp_path / "dump.*.lammpstrj"), tmp_path / "run.zarr")
    same_values(tmp_path / "run.zarr", run.trajectory(*VARIABLES))
    with pytest.raises(errors.FormatError, match="no file matches"):
        gio.ingest(str(tmp_path / "no*.dump"), tmp_path / "other.zarr")
    with pytest.raises(errors.FormatError, match="no file to ingest"):
        gio.ingest([], tmp_path / "other.zarr")


def test_state_points_of_a_tree(tmp_path):
    run = sample()
    path = dumps(tmp_path, run, [])[0]
    gio.ingest(path, tmp_path / "sweep.zarr" / "KA" / "T=0.450")
    same_values(tmp_path / "sweep.zarr" / "KA" / "T=0.450", run.trajectory(*VARIABLES))
    with pytest.raises(errors.StoreError, match="holds other groups, no trajectory"):
        gio.ingest(path, tmp_path / "sweep.zarr" / "KA")


@pytest.mark.parametrize("suffix", [".dump", ".dump.gz"])
def test_append(tmp_path, suffix):
    run = sample(n_frames=23)
    paths = dumps(tmp_path, run, [10, 12], suffix)
    store = tmp_path / "run.zarr"
    assert gio.ingest(paths[0], store, append=True).n_new == 10  # there is nothing yet: as without append
    report = gio.ingest(paths, store, append=True)
    assert (report.n_new, report.n_frames, report.skipped) == (13, 23, (str(paths[0]),))
    assert "there already" in str(report)
    same_values(store, run.trajectory(*VARIABLES))
    sources = gd.open_trajectory(store).attrs["sources"]
    assert [source["name"] for source in sources] == [str(path) for path in paths]
    assert gio.ingest(paths[2:], store, append=True).n_new == 0
    # the store is now what one ingestion of all files would have made
    assert gio.ingest(paths, store).n_new == 0


def test_append_to_what_was_stored_from_memory(tmp_path):
    run = sample(n_frames=9)
    gd.save_trajectory(part(run, 0, 5).trajectory("velocity", "step"), tmp_path / "run.zarr")
    path = write(tmp_path / "run.dump", dump(part(run, 5, 9), FULL))
    gio.ingest(path, tmp_path / "run.zarr", append=True)
    same_values(tmp_path / "run.zarr", run.trajectory("velocity", "step"))


def test_append_of_what_does_not_fit_changes_nothing(tmp_path):
    run = sample(n_frames=9)
    first, second = dumps(tmp_path, run, [5])
    store = tmp_path / "run.zarr"
    gio.ingest(first, store)
    other = sample(n_frames=4)
    other.species = other.species[::-1]
    text = second.read_text()
    line = next(line for line in reversed(text.splitlines()) if line.startswith("9 1"))
    cases = {
        "count.dump": (dump(sample(4, 19), FULL), errors.FormatError, "19 particles, .* has 20: ingest all"),
        "species.dump": (dump(other, FULL), errors.SpeciesError, r"frame 0, particle 0: species is 1, in .* it is 2"),
        "bare.dump": (dump(run, "id type x y z"), errors.FormatError, "no image, velocity, energy, which"),
        "noid.dump": (dump(run, FULL.replace("id ", "")), errors.FormatError, "the ids are not those of"),
        "nan.dump": (
            text.replace(line, line.replace(line.split()[2], "nan")),
            errors.PositionError,
            "frame 3, particle 2",
        ),
        "late.dump": (text.replace(line, line.replace("9 1", "9 2")), errors.SpeciesError, "frame 3, particle 2"),
    }
    for name, (content, kind, message) in cases.items():
        with pytest.raises(kind, match=message):
            gio.ingest(write(tmp_path / name, content), store, append=True)
        same_values(store, part(run, 0, 5).trajectory(*VARIABLES))
    gio.ingest(second, store, append=True)
    same_values(store, run.trajectory(*VARIABLES))


def test_files_must_be_alike(tmp_path):
    run = sample(n_frames=4)
    first = write(tmp_path / "a.dump", dump(run, FULL))
    bare = write(tmp_path / "b.dump", dump(replace(run, step=run.step + 1000), "id type x y z"))
    with pytest.raises(errors.FormatError, match=r"b.dump: no image, velocity, energy, which .*a.dump has"):
        gio.ingest([first, bare], tmp_path / "run.zarr")
    assert not (tmp_path / "run.zarr").exists()
    # the variables of the first file are kept
    later = replace(run, step=run.step + 2000)
    gio.ingest([bare, write(tmp_path / "c.dump", dump(later, FULL))], tmp_path / "run.zarr")
    expected = joined(replace(run, step=run.step + 1000), later)
    same_values(tmp_path / "run.zarr", expected.trajectory("origin", "step", "id"))


def test_same_content_twice_is_skipped(tmp_path):
    run = sample()
    path = dumps(tmp_path, run, [])[0]
    shutil.copy(path, tmp_path / "copy.dump")
    report = gio.ingest([path, tmp_path / "copy.dump"], tmp_path / "run.zarr")
    assert (report.n_frames, report.notes) == (
        5,
        (f"{tmp_path}/copy.dump: 5 frames (step 0 to step 400) are in {path} already, and were taken once",),
    )
    report = gio.ingest([path, path], tmp_path / "same.zarr")
    assert (report.n_frames, report.skipped) == (5, (str(path),))


def clocked(folder: Path, steps: list[int], name: str, kind: str = "dump", seed: int = 1, digits: bool = False) -> Path:
    """A file with some steps of a long run of 20 particles; with other `digits` as a restart may write them."""
    run = sample(n_frames=12, seed=seed)
    chosen = [step // 100 for step in steps]
    per_frame = ("position", "image", "velocity", "energy", "box", "origin", "step", "time")
    run = replace(run, **{key: getattr(run, key)[chosen] for key in per_frame})
    if digits:
        run.position *= 1.0 + 1e-7
    if kind == "dump":
        return write(folder / f"{name}.dump.gz", dump(run, FULL))
    if kind == "gsd":
        return write_gsd(folder / f"{name}.gsd", run)
    if kind == "xyz":  # times only
        return write(folder / f"{name}.xyz", extxyz(run).replace(" Step=", " was="))
    return save(folder / f"{name}.npz", run, "step", "image")


@pytest.mark.parametrize("kind", ["dump", "gsd", "xyz", "npz"])
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([[0, 100], [100, 200]], [0, 100, 200]),
        ([[0, 100, 200, 300], [200, 300, 400]], [0, 100, 200, 300, 400]),
        ([[400, 500], [0, 100]], [0, 100, 400, 500]),  # in the order of the shell
        ([[0], [1000], [100], [200]], [0, 100, 200, 1000]),
        ([[0, 200, 400], [100, 300]], [0, 100, 200, 300, 400]),
        ([[0, 100], [0, 100]], [0, 100]),
        ([[0, 0, 100, 100]], [0, 100]),
    ],
)
def test_each_step_once_and_in_order(tmp_path, kind, files, expected):
    if kind == "gsd":
        pytest.importorskip("gsd")
    paths = [clocked(tmp_path, steps, str(k), kind, digits=k > 0) for k, steps in enumerate(files)]
    report = gio.ingest(paths, tmp_path / "run.zarr")
    found = gd.open_trajectory(tmp_path / "run.zarr")
    clock = found["time"].values * 200 if kind == "xyz" else found["step"].values
    assert clock.tolist() == expected
    whole = sample(n_frames=12)
    np.testing.assert_allclose(found["position"], whole.position[np.array(expected) // 100], atol=2e-6)
    given = list(itertools.chain(*files))
    assert bool(report.notes) == (given != expected)
    assert gio.ingest(paths, tmp_path / "run.zarr").n_new == 0
    if len(expected) == len(given):
        assert gio.ingest(paths[::-1], tmp_path / "run.zarr").n_new == 0


def test_steps_that_go_back_or_differ_are_refused(tmp_path):
    one = clocked(tmp_path, [0, 100, 200], "one")
    with pytest.raises(
        errors.FormatError, match=r"back.dump.gz, frame 2: step 100 comes after step 200: split the file"
    ):
        gio.ingest(clocked(tmp_path, [0, 200, 100], "back"), tmp_path / "run.zarr")
    other = clocked(tmp_path, [200, 300], "other", seed=2)
    with pytest.raises(
        errors.FormatError, match=r"other.dump.gz, frame 0: has the step 200 of .*one.dump.gz, frame 2, but"
    ):
        gio.ingest([one, other], tmp_path / "run.zarr")
    assert not (tmp_path / "run.zarr").exists()
    gio.ingest([one, other], tmp_path / "run.zarr", ordered=False)
    found = gd.open_trajectory(tmp_path / "run.zarr")
    assert found.sizes["frame"] == 5
    assert "step" not in found


@pytest.mark.parametrize("kind", ["dump", "gsd", "xyz", "npz"])
def test_a_grown_file_adds_what_is_new(tmp_path, kind):
    if kind == "gsd":
        pytest.importorskip("gsd")
    store = tmp_path / "run.zarr"
    for steps in ([0, 100], [0, 100, 200], [0, 100, 200, 300, 400], [400, 500]):
        path = clocked(tmp_path, steps, "grown", kind)
        with pytest.raises(errors.StoreError) if steps != [0, 100] else contextlib.nullcontext():
            gio.ingest(path, store)
        gio.ingest(path, store, append=True)
        report = gio.ingest(path, store, append=True)
        assert (report.n_new, report.n_frames) == (0, max(steps) // 100 + 1)
        found = gd.open_trajectory(store)
        np.testing.assert_allclose(found["position"], sample(n_frames=12).position[: max(steps) // 100 + 1], atol=2e-6)
        assert verify(store) == []
    with pytest.raises(errors.FormatError, match=r"early.*, frame 0: (step|time) .* comes before (step|time)|has the"):
        gio.ingest(clocked(tmp_path, [0, 600], "early", kind, seed=2), store, append=True)
    gio.ingest(clocked(tmp_path, [1000], "late", kind), store, append=True)
    with pytest.raises(
        errors.FormatError, match=r"gap.*, frame 0: (step|time) .* comes before (step|time) .* is not in it"
    ):
        gio.ingest(clocked(tmp_path, [800, 1100], "gap", kind), store, append=True)
    assert gd.open_trajectory(store).sizes["frame"] == 7


@pytest.mark.parametrize("suffix", [".dump", ".dump.gz"])
def test_an_unfinished_frame_waits(tmp_path, suffix):
    run = sample(n_frames=4)
    text, store, path = dump(run, FULL), tmp_path / "run.zarr", tmp_path / f"run{suffix}"
    ends = [len(dump(part(run, 0, k), FULL)) for k in range(1, 5)]
    rng = np.random.default_rng(0)
    for cut in sorted({*rng.integers(ends[0], ends[3], 12).tolist(), ends[2] - 1, ends[2], ends[3]}):
        write(path, text[:cut])
        report = gio.ingest(path, store, append=True)
        whole = sum(cut >= end for end in ends)
        assert report.n_frames == whole
        assert any("its last frame is unfinished, and waits" in line for line in report.notes) == (cut not in ends)
        np.testing.assert_array_equal(gd.open_trajectory(store)["position"], run.position[:whole])
    write(path, text.rstrip().rsplit(" ", 1)[0])
    with pytest.raises(errors.FormatError, match="truncated"):
        gio.ingest(path, tmp_path / "other.zarr")


def test_dumps_without_ids_are_told(tmp_path):
    """LAMMPS sorts its atoms now and then: a line is not the same particle in every frame."""
    run = sample()
    path = write(tmp_path / "run.dump", dump(run, "type x y z"))
    assert any("run.dump: no ids, and LAMMPS" in line for line in gio.ingest(path, tmp_path / "run.zarr").notes)
    stored = gd.open_trajectory(tmp_path / "run.zarr")
    for refused in (
        lambda: gd.dynamics.displacements(stored),
        lambda: gd.dynamics.mean_square_displacement(stored.assign_coords(time=stored["step"] * 1.0)),
        lambda: gd.dynamics.d2min(stored.isel(frame=[0]), stored.isel(frame=[1]), 2.0),
    ):
        with pytest.raises(errors.SchemaError, match="matched by their lines in files without ids"):
            refused()
    gd.dynamics.unwrapped(stored.isel(frame=[0]))
    gd.describe(stored, [gd.Coordination(cutoffs=2.0)]).compute()
    del stored["position"].attrs["matched_by"]
    gd.dynamics.d2min(stored.isel(frame=[0]), stored.isel(frame=[1]), 2.0).compute()
    one = write(tmp_path / "one.dump", dump(part(run, 0, 1), "type x y z"))
    assert gio.ingest(one, tmp_path / "one.zarr").notes == ()
    later = write(tmp_path / "later.dump", dump(part(run, 1, 3), "type x y z"))
    gio.ingest(later, tmp_path / "one.zarr", append=True)
    assert gd.open_trajectory(tmp_path / "one.zarr")["position"].attrs["matched_by"] == "line"
    told = write(tmp_path / "told.dump", dump(run, "id type x y z"))
    assert gio.ingest(told, tmp_path / "told.zarr").notes == ()


def test_equal_files_without_steps_are_frames(tmp_path):
    """Inherent structures, one a file: frame k is that of the k-th file."""
    run = sample(n_frames=3)
    run.position[2] = run.position[0]
    run.box[:] = run.box[0]
    texts = [plain_xyz(part(run, k, k + 1)).replace(f"step:{run.step[k]} ", "") for k in range(3)]
    paths = [write(tmp_path / f"{k}.xyz", text) for k, text in enumerate(texts)]
    for _ in range(2):
        assert gio.ingest(paths, tmp_path / "run.zarr").n_frames == 3
    np.testing.assert_array_equal(gd.open_trajectory(tmp_path / "run.zarr")["position"], run.position)
    # a run of many frames is no frame like another one
    both = [write(tmp_path / name, "".join(texts)) for name in ("a.xyz", "b.xyz")]
    assert gio.ingest(both, tmp_path / "many.zarr").skipped == (str(both[1]),)


def test_same_again_other_and_overwrite(tmp_path):
    one, other = sample(seed=1), sample(seed=2)
    path = write(tmp_path / "one.dump", dump(one, FULL))
    second = write(tmp_path / "other.dump", dump(other, FULL))
    store = tmp_path / "run.zarr"
    gio.ingest(path, store)
    before = {file: file.stat().st_mtime_ns for file in store.rglob("*")}
    assert gio.ingest(path, store).n_new == 0
    assert before == {file: file.stat().st_mtime_ns for file in store.rglob("*")}
    for sources, options, told in (
        (second, {}, f"other files, such as {path}"),
        (path, {"dt": 0.5}, "the same files with dt not given, now 0.5"),
        (second, {"dt": 0.5}, f"other files, such as {path}, with dt not given, now 0.5"),
    ):
        with pytest.raises(
            errors.StoreError, match=re.escape(f"run.zarr: holds frames of {told}: `append=True`, `over")
        ):
            gio.ingest(sources, store, **options)
    same_values(store, one.trajectory(*VARIABLES))
    gd.save_descriptors(gd.describe(gd.open_trajectory(store), [gd.BondOrder(cutoffs=1.0, l_max=1)]), store)
    assert gio.ingest(path, store, overwrite=True).notes == ("overwritten, with what was made of it: descriptors/bo",)
    assert gio.ingest(second, store, overwrite=True).notes == ()
    same_values(store, other.trajectory(*VARIABLES))


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_bad_frames_leave_no_store(tmp_path, scheduler):
    run = sample(n_frames=40)
    run.position[37, 3, 1] = np.nan
    paths = dumps(tmp_path, run, [20, 30])
    with (
        dask.config.set(scheduler=scheduler),
        pytest.raises(errors.PositionError, match=r"run.30.dump, frame 7, particle 3: .*not finite"),
    ):
        gio.ingest(paths, tmp_path / "run.zarr")
    assert not (tmp_path / "run.zarr").exists()
    gio.ingest(paths[:2], tmp_path / "run.zarr")
    assert verify(tmp_path / "run.zarr") == []


def test_unwritable_store(tmp_path):
    path = dumps(tmp_path, sample(), [])[0]
    with pytest.raises(errors.StoreError, match="cannot be written"):
        gio.ingest(path, path / "run.zarr")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(errors.StoreError, match="choose another path"):
        gio.ingest(path, tmp_path / "full")
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


def test_disk_full_keeps_what_is_stored(tmp_path, monkeypatch):
    run = sample(n_frames=40)
    path = dumps(tmp_path, run, [])[0]
    store = tmp_path / "run.zarr"
    real, calls = tasks.write_region, []

    def full(group, name, region, data, **options):
        calls.append((name, region))
        if len(calls) == 40:
            raise errors.StoreError(f"{group}: no space left")
        return real(group, name, region, data, **options)

    monkeypatch.setattr(tasks, "write_region", full)
    with dask.config.set(scheduler="synchronous"), pytest.raises(errors.StoreError, match="no space left"):
        gio.ingest(path, store)
    with pytest.raises(errors.IncompleteStoreError, match="not written completely"):
        gd.open_trajectory(store)
    first, calls[:] = calls[:39], ["counted"] * 40
    gio.ingest(path, store)
    again = [call for call in calls[40:] if call in first]
    assert len(again) < 7  # no more than the block in which it stopped
    same_values(store, run.trajectory(*VARIABLES))


KILLED = """
    import os, signal, sys, time
    import dask
    from glassdask.io import ingest, tasks
    from glassdask.store import layout, progress as watching
    layout.CHUNK_BYTES = 2 * 20 * 3 * 8
    watching.POLL_SECONDS = 0.001
    real = tasks.write_region
    def slow(*args, **options):
        time.sleep(0.02)
        return real(*args, **options)
    tasks.write_region = slow
    def progress(done, total):
        if done >= int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    append = sys.argv[3] == "append"
    ingest(sys.argv[4:], sys.argv[1], append=append, progress=progress)
"""


@pytest.mark.slow
def test_killed_ingestion_goes_on(tmp_path):
    run = sample(n_frames=60)
    paths = dumps(tmp_path, run, [33, 40], ".dump.gz")
    paths[0] = write(tmp_path / "run.0.dump", dump(part(run, 0, 33), FULL))
    store = tmp_path / "run.zarr"

    def killed(blocks: int, mode: str, files: list[Path]) -> None:
        script = textwrap.dedent(KILLED)
        ended = subprocess.run([sys.executable, "-c", script, store, str(blocks), mode, *files], check=False)
        assert ended.returncode == -signal.SIGKILL
        if mode == "append":  # the frames before it are there as they were
            same_values(store, part(run, 0, 40).trajectory(*VARIABLES))
            assert not verify(store)
            return
        with pytest.raises(errors.IncompleteStoreError):
            gd.open_trajectory(store)
        assert verify(store)

    killed(4, "create", paths[:2])
    with pytest.raises(errors.StoreError, match="an interrupted ingestion of these files without"):
        gio.ingest(paths, store)
    written = len(list((store / "position" / "c").glob("*/0/0")))
    assert 4 <= written < 20
    seen = []
    gio.ingest(paths[:2], store, progress=lambda done, total: seen.append((done, total)))
    assert seen[0][0] >= 4
    assert seen[-1] == (20, 20)
    same_values(store, part(run, 0, 40).trajectory(*VARIABLES))
    killed(1, "append", paths[2:])
    with pytest.raises(errors.StoreError, match="was interrupted: run it again"):
        gio.ingest(write(tmp_path / "x.dump", dump(sample(seed=9), FULL)), store, append=True)
    gio.ingest(paths, store, append=True)
    same_values(store, run.trajectory(*VARIABLES))


@pytest.mark.cluster
def test_two_processes_write_the_same_store(tmp_path, two_workers):
    run = sample(n_frames=60)
    paths = dumps(tmp_path, run, [33, 40], ".dump.gz")
    paths[1] = write(tmp_path / "run.33.dump", dump(part(run, 33, 40), FULL))
    gio.ingest(paths, tmp_path / "run.zarr")
    same_values(tmp_path / "run.zarr", run.trajectory(*VARIABLES))
    path = write(tmp_path / "bad.dump", dump(run, FULL).replace(" x y z ", " fx fy fz "))
    with pytest.raises(errors.FormatError, match=r"bad.dump, frame 0: found columns id type fx"):
        gio.ingest(path, tmp_path / "bad.zarr")
    run.position[50, 2] = np.inf
    with pytest.raises(errors.PositionError, match=r"inf.dump.gz, frame 50, particle 2"):
        gio.ingest(write(tmp_path / "inf.dump.gz", dump(run, FULL)), tmp_path / "bad.zarr")
    assert not (tmp_path / "bad.zarr").exists()


def test_lost_chunks_are_written_again(tmp_path):
    run = sample(n_frames=40)
    paths = dumps(tmp_path, run, [11], ".dump.gz")
    store = tmp_path / "run.zarr"
    gio.ingest(paths, store)
    lost = sorted((store / "position" / "c").glob("*/0/0"))[4]
    lost.unlink()
    assert verify(store)
    gio.ingest(paths, store)
    same_values(store, run.trajectory(*VARIABLES))


def test_what_other_code_was_reading_is_not_continued(tmp_path, monkeypatch):
    """Frames of two readers are never in one store without a word; what one of them has completed is an original."""
    first, second = dumps(tmp_path, sample(n_frames=6), [4], ".dump")
    store = tmp_path / "run.zarr"
    gio.ingest(first, store)
    assert len(gd.open_trajectory(store).attrs["code"]) == 64
    monkeypatch.setattr("glassdask.io.ingestion.digest", lambda *modules: "another")
    assert gio.ingest(first, store).n_new == 0
    set_attributes(store, status="writing")
    with pytest.raises(errors.StoreError, match=r"other code .* was interrupted while it .*: say `overwrite=True`"):
        gio.ingest(first, store)
    assert gio.ingest(first, store, overwrite=True).n_new > 0
    appending.begin(store, 6, pending={"key": "k", "code": "older", "files": []})
    with pytest.raises(errors.StoreError, match=r"other code .* was interrupted .* take it back with glassdask repair"):
        gio.ingest([first, second], store, append=True)
    appending.take_back(store)
    assert gio.ingest([first, second], store, append=True).n_new > 0


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("how", ["replaced", "written anew", "grown", "touched"])
def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch, how, append):
    """Between its scan and the end of its reading: only what follows the frames that were scanned may change."""
    run, store = sample(12, 20), tmp_path / "run.zarr"
    first, file = dumps(tmp_path, run, [6])
    if append:
        gd.ingest(first, store)
    before = gd.open_trajectory(store).load() if append else None
    real, content = tasks.run, file.read_bytes()

    def run_late(*given, **named):
        if how == "replaced":
            (tmp_path / "new").write_bytes(content.replace(b"0.5", b"0.6").replace(b"1", b"2", 1))
            (tmp_path / "new").replace(file)
        elif how == "written anew":
            file.write_bytes(content[:-3] + b"1 \n")
        elif how == "grown":
            file.write_bytes(content + content[: len(content) // 2])
        else:
            file.touch()
        return real(*given, **named)

    monkeypatch.setattr(tasks, "run", run_late)
    if how in ("grown", "touched"):
        assert gd.ingest(file, store, append=append).n_new == 6
        return
    with pytest.raises(errors.FormatError, match=f"{file}: was replaced or written anew while it was read"):
        gd.ingest(file, store, append=append)
    if append:
        assert verify(store) == []
        assert gd.open_trajectory(store).load().equals(before)
        assert gd.ingest(file, store, append=True).n_new == 6
    else:
        assert not store.exists()
