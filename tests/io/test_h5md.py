"""H5MD and ZarrMD: written by hand after the specification, by MDAnalysis, and read back bit-equal."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
import glassdask.io as gio
from glassdask import errors
from glassdask.io import isolation
from tests.io.sample_files import CUBIC, FLAT, TILTED, sample
from tests.io.test_lammps_dump import read, same

h5py = pytest.importorskip("h5py")

DATA = Path(__file__).parents[1] / "data"


def in_time(group, name, values, run, clock="arrays"):
    """An element in time, in the ways that the format has for steps and times."""
    element = group.create_group(name)
    element["value"] = values
    if clock == "arrays":
        element["step"], element["time"] = run.step, run.time
    elif clock == "increments":
        for key, found in (("step", run.step), ("time", run.time)):
            element[key] = found[1] - found[0]
            element[key].attrs["offset"] = found[0]
    return element


def write(path, run, clock="arrays", names=("image", "velocity", "id"), box="time"):
    with h5py.File(path, "w") as file:
        file.create_group("h5md").attrs["version"] = [1, 1]
        particles = file.create_group("particles/all")
        in_time(particles, "position", run.position, run, clock)
        for name in {"image", "velocity"} & set(names):
            in_time(particles, name, getattr(run, name), run, clock)
        particles["species"] = run.species.astype(int)
        if "id" in names:
            particles["id"] = run.id
        cell = particles.create_group("box")
        cell.attrs["dimension"], cell.attrs["boundary"] = run.box.shape[-1], ["periodic"] * run.box.shape[-1]
        if box == "time":
            in_time(cell, "edges", run.box, run, clock)
        else:
            cell["edges"] = run.box[0].diagonal() if box == "edges" else run.box[0]
    return path


@pytest.mark.parametrize("cell", [CUBIC, TILTED, FLAT], ids=["cubic", "tilted", "flat"])
@pytest.mark.parametrize("clock", ["arrays", "increments", "none"])
def test_all_elements(tmp_path, cell, clock):
    run = sample(cell=cell)
    found = read(write(tmp_path / "run.h5", run, clock))
    same(found, run, "image velocity" + (" step time" if clock != "none" else ""))
    np.testing.assert_array_equal(read(tmp_path / "run.h5", 2, 4)["position"], run.position[2:4])


@pytest.mark.parametrize("box", ["edges", "cell"])
def test_fixed_elements(tmp_path, box):
    run = sample(cell=CUBIC if box == "edges" else TILTED)
    scaled = run.scaled
    run.box[:] = run.box[0]
    run.position = scaled @ run.box[0]
    same(read(write(tmp_path / "run.h5md", run, box=box)), run, "image step time")


def test_one_fixed_configuration(tmp_path):
    run = sample(n_frames=1)
    path = write(tmp_path / "run.h5", run, box="edges", names=())
    with h5py.File(path, "a") as file:
        del file["particles/all/position"]
        file["particles/all/position"] = run.position[0]
    same(read(path), run, "")


def test_species_are_words_enumerations_or_come_in_time_and_rarely(tmp_path):
    run = sample()
    words = np.where(run.species == "1", "Si", "O")
    kind = h5py.enum_dtype({"Si": 1, "O": 2}, basetype="i")
    for stored in (words.astype("S2"), words.astype(object), run.species.astype(int).astype(kind)):
        path = write(tmp_path / "run.h5", run)
        with h5py.File(path, "a") as file:
            del file["particles/all/species"]
            if stored.dtype.kind == "i":
                file.create_dataset("particles/all/species", data=stored, dtype=kind)
            else:
                file["particles/all/species"] = stored
        np.testing.assert_array_equal(read(path)["species"], words)
    with h5py.File(path, "a") as file:  # as dump h5md with its 'every', and as ESPResSo, with one component
        del file["particles/all/species"]
        species = file.create_group("particles/all/species")
        species["step"], species["value"] = run.step[:1], run.species.astype(int)[None, :, None]
    same(read(path), run, "image")


def test_what_is_not_there_at_every_step_is_not_read_and_told(tmp_path):
    run = sample()
    path = write(tmp_path / "run.h5", run)
    with h5py.File(path, "a") as file:
        del file["particles/all/velocity/step"]
        file["particles/all/velocity/step"] = run.step + 50
        force = file.create_group("particles/all/force")  # every second frame
        force["step"], force["value"] = run.step[::2], run.velocity[::2]
    same(read(path), run, "image")
    assert gio.scan(path).notes == ("'velocity' is not there at step 0, where 'position' is: it is not read",)
    with pytest.raises(errors.FormatError, match=r"run.h5.*'force' is not there at step 100, where 'position' is"):
        read(path, keep=["force"])
    with h5py.File(path, "a") as file:
        del file["particles/all/box/edges/step"]
        file["particles/all/box/edges/step"] = run.step + 50
    with pytest.raises(errors.FormatError, match="'box/edges' is not there at step 0, where 'position' is"):
        read(path)


def test_single_precision_is_read_as_it_is(tmp_path):
    run = sample()
    run.position = run.position.astype(np.float32)
    np.testing.assert_array_equal(read(write(tmp_path / "run.h5", run))["position"], run.position)


def test_groups_of_particles(tmp_path):
    run = sample()
    path = write(tmp_path / "run.h5", run)
    with h5py.File(path, "a") as file:
        file.copy("particles/all", "particles/some")
        file["particles/some/species"][:] = 7
        file.create_group("particles/walls")  # without positions
    with pytest.raises(errors.FormatError, match=r"run.h5: several groups of particles: found all, some: choose one"):
        read(path)
    same(read(path, group="all"), run, "image")
    assert gio.scan(path, group="some").species == ("7",)
    with pytest.raises(errors.FormatError, match="no particles 'walls': found all, some"):
        read(path, group="walls")


def test_mdanalysis_writes_it(tmp_path):
    MDAnalysis = pytest.importorskip("MDAnalysis")
    from MDAnalysis.coordinates.memory import MemoryReader

    run = sample()
    run.position = run.position.astype(np.float32)
    cells = np.array([[*np.diag(box), 90, 90, 90] for box in run.box], dtype=np.float32)
    universe = MDAnalysis.Universe.empty(20, trajectory=True, velocities=True)
    universe.load_new(run.position, format=MemoryReader, dimensions=cells, velocities=run.velocity.astype(np.float32))
    with MDAnalysis.Writer(str(tmp_path / "run.h5md"), 20, n_frames=5, convert_units=False) as writer:
        for _ in universe.trajectory:
            writer.write(universe)
    with pytest.raises(errors.FormatError, match=r"run.h5md: has no species: give `topology=FILE`"):
        gio.scan(tmp_path / "run.h5md")
    found = read(tmp_path / "run.h5md", species=run.species.tolist())
    np.testing.assert_array_equal(found["position"], run.position)
    np.testing.assert_array_equal(found["velocity"], run.velocity.astype(np.float32))
    np.testing.assert_allclose(found["box"], run.box, rtol=1e-7)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", ["run.zarrmd", "run.zarrmd.zip"])
def test_zarrmd(tmp_path, name, zarr_format):
    import zarr

    run = sample(cell=TILTED)
    source = write(tmp_path / "run.h5", run)
    folder = tmp_path / "run.zarrmd"
    root = zarr.open_group(folder, mode="w", zarr_format=zarr_format)

    def copy(key, found):
        target = root.require_group(key) if isinstance(found, h5py.Group) else root.create_array(key, data=found[()])
        target.attrs.update({k: np.asarray(value).tolist() for k, value in found.attrs.items()})

    with h5py.File(source) as file:
        file.visititems(copy)
    if name.endswith("zip"):
        shutil.make_archive(str(folder), "zip", folder)
    same(read(tmp_path / name), run, "image velocity step time")
    gd.ingest(tmp_path / name, tmp_path / "store.zarr")
    np.testing.assert_array_equal(gd.open_trajectory(tmp_path / "store.zarr")["position"], run.position)


def test_damaged_files_are_one_line(tmp_path):
    path = write(tmp_path / "run.h5", sample())
    whole = path.read_bytes()
    for cut in (10, len(whole) // 2, len(whole) - 100):
        (tmp_path / "cut.h5").write_bytes(whole[:cut])
        with pytest.raises(errors.FormatError, match=r"cut.h5: not a readable H5MD or ZarrMD file"):
            read(tmp_path / "cut.h5")
    with h5py.File(path, "a") as file:
        del file["particles/all/velocity/value"]
        file["particles/all/velocity/value"] = np.zeros((2, 20, 3))
        del file["particles/all/velocity/step"], file["particles/all/velocity/time"]
    assert any("'velocity' has 2 frames, 'position' has 5" in line for line in gio.scan(path).notes)
    assert "velocity" not in read(path)
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["temperature"] = [1.0]
    with pytest.raises(errors.FormatError, match=r"none.h5: no particles with positions: found temperature"):
        read(tmp_path / "none.h5")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(errors.FormatError, match=r"folder.npz: is a folder: name the files in it"):
        gio.scan(tmp_path / "folder.npz")


def test_a_file_on_which_the_library_never_returns_is_refused(monkeypatch):
    """A file of `write`, of which a few bytes were changed at random: the HDF5 library turns in circles."""
    monkeypatch.setattr(isolation, "LEAST_CPU", 1.0)
    with pytest.raises(
        errors.FormatError, match=r"endless\.h5: was not read after 1 s of processor time: it is damaged"
    ):
        gio.scan(DATA / "endless.h5")


def test_the_other_process_answers_what_was_asked(tmp_path, monkeypatch):
    for place, frames in (("one", 3), ("two", 5)):
        (tmp_path / place).mkdir()
        write(tmp_path / place / "run.h5", sample(frames))
    for place, frames in (("one", 3), ("two", 5)):
        monkeypatch.chdir(tmp_path / place)
        assert gio.scan("run.h5").n_frames == frames

    def interrupt(*given):  # Ctrl-C
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(isolation.select, "select", interrupt)
        with pytest.raises(KeyboardInterrupt):
            gio.scan("run.h5")
    assert gio.scan(tmp_path / "one/run.h5").n_frames == 3
