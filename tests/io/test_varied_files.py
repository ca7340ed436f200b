"""Files whose frames have other particles, or particles of other species, than the first one."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import glassdask as gd
from glassdask import errors
from glassdask.io import tasks
from glassdask.store import layout, verify
from glassdask.store.groups import attributes

BOX = 5.0


def written(n_frames=9, species=True, number=True, ids=True, seed=0):
    """Frames of a grand-canonical or swap simulation: ids, names and positions of each."""
    rng = np.random.default_rng(seed)
    names = dict(zip(range(1, 31), rng.choice(["1", "2"], 30)))
    frames = []
    for _ in range(n_frames):
        there = np.sort(rng.choice(30, rng.integers(18, 27), replace=False)) + 1 if number else np.arange(1, 31)
        kinds = rng.permutation(list(names.values())) if species else [names[k] for k in there]
        frames.append((there if ids else None, np.asarray(kinds)[: len(there)], rng.random((len(there), 3)) * BOX))
    return frames


def dump(frames, first_step=0):
    text = ""
    rng = np.random.default_rng(1)
    for k, (ids, names, position) in enumerate(frames):
        text += f"ITEM: TIMESTEP\n{first_step + 100 * k}\nITEM: NUMBER OF ATOMS\n{len(names)}\n"
        text += "ITEM: BOX BOUNDS pp pp pp\n" + f"0 {BOX}\n" * 3
        text += f"ITEM: ATOMS {'id ' if ids is not None else ''}type x y z vx vy vz\n"
        rows = [
            f"{'' if ids is None else f'{ids[n]} '}{names[n]} {' '.join(f'{x:.17g}' for x in position[n])} {n} 0 1\n"
            for n in range(len(names))
        ]
        text += "".join(rows if ids is None else [rows[n] for n in rng.permutation(len(rows))])
    return text


def expected(frames, roster):
    """Species, positions and presence with a row for each particle of the roster, or the first rows of each frame."""
    n = max(len(names) for _, names, _ in frames) if roster is None else len(roster)
    species = np.full((len(frames), n), "", dtype="<U1")
    position, present = np.full((len(frames), n, 3), np.nan), np.zeros((len(frames), n), bool)
    for k, (ids, names, where) in enumerate(frames):
        rows = np.arange(len(names)) if ids is None else np.searchsorted(roster, ids)
        species[k, rows], position[k, rows], present[k, rows] = names, where, True
    return species, position, present


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(layout, "CHUNK_BYTES", 2 * 30 * 3 * 8)


CASES = pytest.mark.parametrize(
    ("species", "number", "ids"),
    [(True, False, True), (True, False, False), (False, True, True), (True, True, True), (True, True, False)],
)


@CASES
@pytest.mark.parametrize(("cut", "suffix"), [((9,), ""), ((3, 6), ".gz"), ((1,) * 9, "")])
def test_frames_are_put_together(tmp_path, small_blocks, species, number, ids, cut, suffix):
    frames = written(species=species, number=number, ids=ids)
    paths, begin = [], 0
    for n in cut:
        path = tmp_path / f"dump.{begin:03d}{suffix}"
        text = dump(frames[begin : begin + n], 100 * begin).encode()
        path.write_bytes(gzip.compress(text) if suffix else text)
        paths.append(path)
        begin += n
    report = gd.ingest(paths, tmp_path / "run.zarr", species_names={1: "A", 2: "B"})
    t = gd.open_trajectory(tmp_path / "run.zarr").compute()
    roster = np.unique(np.concatenate([f[0] for f in frames])) if ids else None
    names, position, present = expected(frames, roster)
    names = np.char.replace(np.char.replace(names, "1", "A"), "2", "B")
    np.testing.assert_allclose(t["position"], position, atol=1e-12)
    assert ("present" in t) == number
    if number:
        np.testing.assert_array_equal(t["present"], present)
        assert np.isnan(t["velocity"].values[~present]).all()
    per_frame = species or (number and not ids)
    assert t["species"].dims == (("frame", "particle") if per_frame else ("particle",))
    found = np.broadcast_to(t["species"].values, present.shape)
    np.testing.assert_array_equal(found[present], names[present])
    assert ("id" in t) == ids
    if ids:
        np.testing.assert_array_equal(t["id"], roster)
    assert any("species are those of each frame" in line for line in report.notes) == per_frame
    assert any("particles in a frame" in line for line in report.notes) == number
    assert verify(tmp_path / "run.zarr") == []
    again = gd.ingest(paths, tmp_path / "run.zarr", species_names={1: "A", 2: "B"})
    assert (again.n_new, again.n_frames) == (0, 9)
    gd.describe(t, [gd.Coordination(cutoffs=1.0)]).compute()


@CASES
def test_what_was_interrupted_goes_on(tmp_path, small_blocks, monkeypatch, species, number, ids):
    (tmp_path / "a.dump").write_text(dump(written(species=species, number=number, ids=ids)))
    gd.ingest(tmp_path / "a.dump", tmp_path / "whole.zarr")
    write = tasks._write_block

    def stop(group, block, *rest):
        if block[0] >= 4 and attributes(group).get("varied"):
            raise errors.StoreError("stopped")
        write(group, block, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "_write_block", stop)
        with pytest.raises(errors.StoreError, match="stopped"):
            gd.ingest(tmp_path / "a.dump", tmp_path / "run.zarr")
    with pytest.raises(errors.IncompleteStoreError):
        gd.open_trajectory(tmp_path / "run.zarr")
    gd.ingest(tmp_path / "a.dump", tmp_path / "run.zarr")
    one, other = (gd.open_trajectory(tmp_path / name).compute() for name in ("run.zarr", "whole.zarr"))
    assert one.equals(other)


@CASES
def test_frames_are_appended(tmp_path, small_blocks, species, number, ids):
    frames = written(species=species, number=number, ids=ids)
    # the first part has all ids and the most particles
    frames[0] = written(1, species=species, number=False, ids=ids)[0]
    frames[1] = written(1, species=species, number=number, ids=ids, seed=3)[0]
    (tmp_path / "a.dump").write_text(dump(frames[:5]))
    (tmp_path / "b.dump").write_text(dump(frames[4:], 400))
    (tmp_path / "ab.dump").write_text(dump(frames))
    gd.ingest(tmp_path / "a.dump", tmp_path / "run.zarr")
    report = gd.ingest(tmp_path / "b.dump", tmp_path / "run.zarr", append=True)
    assert (report.n_new, report.n_frames) == (4, 9)
    gd.ingest(tmp_path / "ab.dump", tmp_path / "both.zarr")
    one, other = (gd.open_trajectory(tmp_path / name).compute() for name in ("run.zarr", "both.zarr"))
    assert one.equals(other)


def test_others_are_refused_when_appended(tmp_path):
    (tmp_path / "same.dump").write_text(dump(written(3, species=False, number=False)))
    for name, change in {"species": {"number": False}, "number": {"species": False}}.items():
        (tmp_path / f"{name}.dump").write_text(dump(written(3, seed=0, **change), 300))
    gd.ingest(tmp_path / "same.dump", tmp_path / "run.zarr")
    before = gd.open_trajectory(tmp_path / "run.zarr").compute()
    for name in ("species", "number"):
        with pytest.raises(errors.GlassdaskError, match="ingest all files together into another store"):
            gd.ingest(tmp_path / f"{name}.dump", tmp_path / "run.zarr", append=True)
        assert gd.open_trajectory(tmp_path / "run.zarr").compute().equals(before)
        files = [tmp_path / "same.dump", tmp_path / f"{name}.dump"]
        assert gd.ingest(files, tmp_path / f"{name}.zarr").n_frames == 6
    new = written(2, species=True, number=False)
    new[1][1][3] = "7"
    (tmp_path / "new.dump").write_text(dump(new, 900))
    with pytest.raises(errors.SpeciesError, match=r"new.dump, frame 1, particle 3: no species 7 before: ingest all"):
        gd.ingest(tmp_path / "new.dump", tmp_path / "species.zarr", append=True)


def test_small_files(tmp_path):
    (tmp_path / "a.xyz").write_text(
        '2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nA 1 1 1\nB 2 2 2\n'
        '2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nB 3 2 2\nA 1 1 1\n'
        '3\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nB 3 2 2\nA 1 1 1\nC 2 3 1\n'
    )
    report = gd.ingest(tmp_path / "a.xyz", tmp_path / "a.zarr")
    t = gd.open_trajectory(tmp_path / "a.zarr")
    assert t["species"].values[:, :2].tolist() == [["A", "B"], ["B", "A"], ["B", "A"]]
    assert t["present"].values.tolist() == [[True, True, False], [True, True, False], [True, True, True]]
    assert "2 to 3 particles in a frame, without ids" in str(report)
    with pytest.raises(errors.SchemaError, match="cannot be followed"):
        gd.dynamics.displacements(t)
    with pytest.raises(
        errors.SpeciesError,
        match=r"frame 2: the species are .* also `species_names=\{'C': \.\.\.\}`",
    ):
        gd.ingest(tmp_path / "a.xyz", tmp_path / "b.zarr", species_names={"A": "x", "B": "y"})


@CASES
def test_columns_that_are_kept_stay_with_their_particles(tmp_path, small_blocks, species, number, ids):
    """A charge that is a function of the place, a radius, and a flag of every particle in every frame."""
    frames = written(species=species, number=number, ids=ids)
    lines = iter(dump(frames).splitlines())
    text = ""
    for line in lines:
        words = line.split()
        if line.startswith("ITEM: ATOMS"):
            columns = words[2:]
            line += " q radius kind"
        elif len(words) > 4 and words[0] != "ITEM:":
            row = dict(zip(columns, words))
            line += f" {2.0 * float(row['x']):.17g} {0.1 + float(row['y']):.17g} {int(10 * float(row['z']))}"
        text += line + "\n"
    (tmp_path / "a.dump").write_text(text)
    gd.ingest(tmp_path / "a.dump", tmp_path / "run.zarr", keep=["q", "kind"])
    t = gd.open_trajectory(tmp_path / "run.zarr").compute()
    there = np.isfinite(t["position"].values[..., 0])
    x, y, z = np.moveaxis(t["position"].values, -1, 0)
    np.testing.assert_allclose(t["q"], 2.0 * x, rtol=1e-12)
    np.testing.assert_allclose(t["diameter"], 2.0 * (0.1 + y), rtol=1e-12)
    np.testing.assert_array_equal(t["kind"].values[there], (10 * z[there]).astype(int))
    gd.describe(t, [gd.VoronoiCell(diameters="own")]).compute()
