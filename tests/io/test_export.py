"""Everything that goes in comes out again: each format is written, and read by us and by others."""

import gzip
import warnings

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import glassdask as gd
from glassdask.cli import app
from glassdask.errors import BoxError, FormatError, ParameterError, SchemaError, SpeciesError, StoreError
from glassdask.io.writers.formats import WRITERS
from glassdask.io.writers.lammps import upper

N, F = 40, 3
READ = {"xyz": "extxyz", "lammps": "lammpstrj", "gsd": "gsd", "h5md": "h5md"}
SINGLE = ("gsd",)


def trajectory(n_space=3, tilted=False, moved=False, n_frames=F, n=N, seed=0, **more):
    """Frames with all that files may have."""
    rng = np.random.default_rng(seed)
    box = np.diag(rng.uniform(3.0, 5.0, n_space))
    if tilted:
        box[1, 0] = 0.7
    if tilted and n_space == 3:
        box[2, :2] = -0.3, 0.2
    boxes = box * np.linspace(1.0, 1.1, n_frames)[:, None, None]
    position = np.einsum("fpa,fas->fps", rng.random((n_frames, n, n_space)), boxes)
    return gd.from_arrays(
        position,
        species=np.where(np.arange(n) % 3 == 0, "B", "A"),
        box=boxes,
        origin=rng.normal(size=(n_frames, n_space)) if moved else None,
        image=rng.integers(-3, 4, position.shape),
        velocity=rng.normal(size=position.shape),
        step=1000 * np.arange(n_frames),
        time=0.1 * np.arange(n_frames) + 0.05,
        id=2 * np.arange(n) + 1,
        **more,
    )


def features(n_frames=F, n=N, n_l=10):
    values = np.random.default_rng(1).normal(size=(n_frames, n, n_l))
    values[0, 3, 2] = np.nan
    return xr.DataArray(values, dims=("frame", "particle", "l"), coords={"l": np.arange(n_l)}, name="sbo")


def back(path, folder, **options):
    gd.ingest(path, folder / "back.zarr", overwrite=True, **options)
    return gd.open_trajectory(folder / "back.zarr").compute()


@pytest.mark.parametrize(
    "n_space, tilted, moved", [(3, False, False), (3, True, True), (2, False, True), (2, True, False)]
)
@pytest.mark.parametrize("name", READ)
def test_what_is_written_is_read(tmp_path, name, n_space, tilted, moved):
    given = trajectory(n_space, tilted, moved)
    gd.export(given, tmp_path / f"t.{READ[name]}", columns=features())
    found = back(tmp_path / f"t.{READ[name]}", tmp_path)
    for variable in given.data_vars:
        rounded = {"position"} if moved else set()
        rounded |= {"box", "origin"} if name == "lammps" and (moved or tilted) else set()
        exact = name not in SINGLE and variable not in rounded
        if exact or variable in ("species", "image", "step", "id"):
            np.testing.assert_array_equal(found[variable], given[variable], err_msg=variable)
        else:
            np.testing.assert_allclose(found[variable], given[variable], atol=1e-6 if name in SINGLE else 1e-14)


@pytest.mark.parametrize("suffix", ["extxyz", "lammpstrj.gz", "gsd", "h5md", "csv.zst", "parquet"])
def test_ten_columns_come_back(tmp_path, suffix):
    given, sbo = trajectory(n_frames=1), features(1)
    names = gd.export(given, tmp_path / f"t.{suffix}", columns=sbo).columns
    found = back(
        tmp_path / f"t.{suffix}",
        tmp_path,
        keep=list(names),
        **({"box": given["box"].values[0]} if "csv" in suffix else {}),
    )
    for l, name in enumerate(names):
        np.testing.assert_array_equal(found[name].values.reshape(-1), sbo.values[0, :, l])


@pytest.mark.parametrize("n_space, tilted", [(2, False), (3, True)])
def test_a_data_file_is_one_frame(tmp_path, n_space, tilted):
    given = trajectory(n_space, tilted).isel(frame=[2])
    with pytest.raises(ParameterError, match=r"has one frame, 3 are to be written.*frames=-1"):
        gd.export(trajectory(n_space, tilted), tmp_path / "t.data")
    with pytest.raises(ParameterError, match="no place for columns"):
        gd.export(trajectory(n_space, tilted), tmp_path / "t.data", columns=features(), frames=-1)
    assert "no place for time, step" in str(gd.export(trajectory(n_space, tilted), tmp_path / "t.data", frames=-1))
    found = back(tmp_path / "t.data", tmp_path)
    for variable in ("position", "box", "image", "velocity", "species", "id"):
        np.testing.assert_array_equal(found[variable], given[variable], err_msg=variable)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_tables_have_a_row_for_each_particle_of_each_frame(tmp_path, suffix):
    pandas = pytest.importorskip("pandas")
    given, sbo = trajectory(), features()
    found = gd.export(given, tmp_path / f"t.{suffix}", columns=sbo)
    table = (pandas.read_parquet if suffix == "parquet" else pandas.read_csv)(tmp_path / f"t.{suffix}")
    assert list(table)[:8] == ["frame", "step", "time", "id", "species", "x", "y", "z"]
    assert found.columns == tuple(f"sbo_{l}" for l in range(10))
    np.testing.assert_array_equal(table[[*"xyz"]].to_numpy().reshape(F, N, 3), given["position"])
    np.testing.assert_array_equal(table[list(found.columns)].to_numpy().reshape(F, N, 10), sbo)
    np.testing.assert_array_equal(table["species"].to_numpy().reshape(F, N)[1].astype(str), given["species"])
    np.testing.assert_array_equal(table["time"].to_numpy()[::N], given["time"])


@pytest.mark.parametrize("name", ["xyz", "lammps", "gsd"])
def test_ovito_finds_the_columns(tmp_path, name):
    ovito = pytest.importorskip("ovito.io")
    given, sbo = trajectory(tilted=True, moved=True), features()
    gd.export(given, tmp_path / f"t.{READ[name]}", columns=sbo)
    data = ovito.import_file(str(tmp_path / f"t.{READ[name]}"), sort_particles=False)
    found = data.compute(2)
    assert data.source.num_frames == F
    columns = np.stack([found.particles[f"sbo_{l}"] for l in range(10)], axis=1)
    np.testing.assert_allclose(columns, sbo[2], rtol=3e-16)  # OVITO reads decimals to the last bit but one
    types = {kind.id: kind.name for kind in found.particles.particle_types.types}
    assert [types[number] for number in found.particles.particle_types] == given["species"].values.tolist()
    corner = given["origin"][2].values if name != "gsd" else -given["box"][2].values.sum(axis=0) / 2
    np.testing.assert_allclose(found.particles.positions, given["position"][2] + corner, atol=1e-6)
    np.testing.assert_allclose(found.cell[:, :3].T, given["box"][2], atol=1e-6)


def test_ase_reads_species_that_are_no_elements(tmp_path):
    ase = pytest.importorskip("ase.io")
    given, sbo = trajectory(periodic=(True, True, False)), features()
    gd.export(given, tmp_path / "t.extxyz", columns=sbo)
    atoms = ase.read(tmp_path / "t.extxyz", index=1)
    assert atoms.arrays["type"].tolist() == given["species"].values.tolist()
    np.testing.assert_array_equal(atoms.positions, given["position"][1])
    np.testing.assert_array_equal(atoms.arrays["sbo_7"], sbo[1, :, 7])
    assert atoms.pbc.tolist() == [True, True, False]
    gd.export(given.assign(species=("particle", np.where(given["species"] == "A", "Ni", "P"))), tmp_path / "n.extxyz")
    assert ase.read(tmp_path / "n.extxyz", index=1).get_chemical_symbols()[:3] == ["P", "Ni", "Ni"]


def test_times_that_are_steps_need_no_item_that_others_do_not_know(tmp_path):
    mda = pytest.importorskip("MDAnalysis")
    given = trajectory().assign_coords(time=("frame", 0.005 * 1000 * np.arange(F))).reset_coords("time")
    notes = gd.export(given, tmp_path / "t.lammpstrj").notes
    assert any("`dt=0.005` brings them back" in note for note in notes)
    np.testing.assert_array_equal(back(tmp_path / "t.lammpstrj", tmp_path, dt=0.005)["time"], given["time"])
    with warnings.catch_warnings(action="ignore"):  # about masses
        universe = mda.Universe(str(tmp_path / "t.lammpstrj"), format="LAMMPSDUMP", topology_format="LAMMPSDUMP")
    assert universe.trajectory.n_frames == F
    np.testing.assert_allclose(universe.atoms.positions, given["position"][0], atol=1e-6)


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_absent_open_sized_and_swapped_is_written_so(tmp_path, name):
    rng = np.random.default_rng(3)
    present = rng.random((F, N)) < 0.8
    names = np.where(rng.random((F, N)) < 0.5, "A", "B")
    given = gd.from_arrays(
        4.0 * rng.random((F, N, 3)), species=names, box=[4.0] * 3, periodic=(True, True, False), present=present,
        diameter=rng.uniform(0.5, 1.5, (F, N)), step=np.arange(F),
    )  # fmt: skip
    frames = -1 if name == "lammps_data" else None
    path = tmp_path / f"t{WRITERS[name].suffixes[0]}"
    column = {"q": features()[..., 0].drop_vars("l")}
    gd.export(given, path, frames=frames, columns=() if name == "lammps_data" else column)
    here = present[2]
    if name == "lammps":
        text = path.read_text()
        assert text.count("ITEM: BOX BOUNDS pp pp ff") == F
        rows = text.split("\n")[-here.sum() - 1 : -1]
        assert text.split("ITEM: ATOMS")[3].split("\n")[0] == " id type element x y z radius q"
    elif name == "xyz":
        text = path.read_text()
        assert text.count('pbc="T T F"') == F
        rows = text.split("\n")[-here.sum() - 1 : -1]
    else:
        return
    table = [row.split() for row in rows]
    first = 2 if name == "lammps" else 0
    assert [row[first] for row in table] == names[2][here].tolist()
    np.testing.assert_array_equal(
        np.array([row[first + 1 : first + 4] for row in table], float), given["position"][2][here]
    )
    np.testing.assert_array_equal(np.array([row[-1] for row in table], float), features()[2, here, 0])
    np.testing.assert_array_equal(np.array([row[-2] for row in table], float), given["diameter"][2, here] / 2)


@pytest.mark.parametrize("name", READ)
def test_what_is_absent_open_and_sized_is_read_so(tmp_path, name):
    rng = np.random.default_rng(5)
    present = rng.random((F, N)) < 0.8
    present[0] |= ~present.any(axis=0)  # who is never there is in no file
    given = gd.from_arrays(
        4.0 * rng.random((F, N, 3)), species=["A", "B"] * (N // 2), box=[4.0] * 3, periodic=(True, True, False),
        present=present, diameter=rng.uniform(0.5, 1.5, N), step=np.arange(F), id=3 * np.arange(N),
    )  # fmt: skip
    notes = gd.export(given, tmp_path / f"t.{READ[name]}").notes
    found = back(tmp_path / f"t.{READ[name]}", tmp_path)
    given["diameter"] = given["diameter"].where(given["present"]).transpose("frame", "particle")
    for variable in ("position", "diameter", "present", "id", *(() if name == "gsd" else ("periodic",))):
        if found[variable].dtype.kind == "f":
            atol = 1e-6 if name == "gsd" else 0.0
            np.testing.assert_allclose(found[variable], given[variable], rtol=0.0, atol=atol, err_msg=variable)
        else:
            np.testing.assert_array_equal(found[variable], given[variable], err_msg=variable)
    assert any("gsd has no place for periodic" in note for note in notes) == (name == "gsd")


def test_names_of_a_store_mean_its_variables_descriptors_and_reductions(tmp_path):
    given = trajectory(n_frames=4).assign(radius=("particle", np.arange(float(N))))
    store = tmp_path / "x.zarr"
    gd.save_trajectory(given, store)
    opened = gd.open_trajectory(store)
    found = gd.describe(
        opened, [gd.BondOrder(l_min=5, l_max=6, cutoffs=dict.fromkeys([("A", "A"), ("A", "B"), ("B", "B")], 1.4))]
    )
    gd.save_descriptors(found, store)
    gd.save_reduction(gd.reduce(gd.open_descriptors(store)["bo"]), store, "bo")
    pca = gd.open_reduction(store, "bo")["projection"]
    asked = ["bo", "radius", "reductions/bo"]
    for source, frames, kept in ((store, slice(1, 3), [1, 2]), (opened.isel(frame=slice(1, 4, 2)), None, [1, 3])):
        wrote = gd.export(source, tmp_path / "x.parquet", columns=asked, frames=frames, overwrite=True)
        assert wrote.columns == ("bo_5", "bo_6", "radius", "bo_projection_1", "bo_projection_2")
        pandas = pytest.importorskip("pandas")
        table = pandas.read_parquet(tmp_path / "x.parquet")
        np.testing.assert_array_equal(table["bo_projection_2"].to_numpy().reshape(2, N), pca[kept, :, 1])
        np.testing.assert_array_equal(table["radius"].to_numpy().reshape(2, N)[1], np.arange(N))
    with pytest.raises(ParameterError, match=r"column 'ob': .*found .*radius, bo, reductions/bo"):
        gd.export(store, tmp_path / "y.csv", columns="ob")
    assert any("not written, as not asked for: radius" in note for note in gd.export(store, tmp_path / "y.csv").notes)
    # a variable with features is asked for with all of its columns, or with some
    way = xr.DataArray(np.zeros((N, 2)), dims=("particle", "part"), coords={"part": ["x", "y"]})
    charged = opened.drop_vars("radius").assign(way=way)
    for columns, missing in (("way", ""), ("way_y", "way_x"), ((), "way")):
        notes = gd.export(charged, tmp_path / "v.csv", columns=columns, overwrite=True).notes
        told = [note.rpartition(": ")[2] for note in notes if "not asked for" in note]
        assert told == ([missing] if missing else [])
    result = CliRunner().invoke(
        app, ["export", str(store), "-o", str(tmp_path / "z.lammpstrj.gz"), "--with", "bo", "--with", "reductions/bo",
              "--frames", "0:2", "-q"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "2 frames of 40 particles, with bo_5, bo_6, bo_projection_1" in result.output
    header = (
        gzip.decompress((tmp_path / "z.lammpstrj.gz").read_bytes()).decode().split("ITEM: ATOMS ")[1].split("\n")[0]
    )
    assert header.split()[-4:] == ["bo_5", "bo_6", "bo_projection_1", "bo_projection_2"]


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "lammps_data"])
def test_cut_in_parts_a_file_is_the_same(tmp_path, name, monkeypatch):
    given, sbo = trajectory(n_frames=3, n=12), features(3, 12, 3)
    suffix = WRITERS[name].suffixes[0]
    lazy = given.chunk(frame=2)
    columns = sbo.chunk(frame=1, particle=7)
    gd.export(given, tmp_path / f"whole{suffix}", columns=sbo)
    for rows in (30, 7):  # some frames at a time, and parts of one
        monkeypatch.setattr("glassdask.io.writers.sheet.task_bytes", lambda rows=rows: rows * 120)
        gd.export(lazy, tmp_path / f"parts{suffix}", columns=columns, overwrite=True)
        if name in ("h5md", "parquet"):
            continue
        assert (tmp_path / f"parts{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()


def test_nothing_is_overwritten_or_left_half(tmp_path):
    given = trajectory()
    gd.export(given, tmp_path / "t.xyz")
    before = (tmp_path / "t.xyz").read_bytes()
    with pytest.raises(StoreError, match=r"exists: choose another name, or say overwrite=True"):
        gd.export(given, tmp_path / "t.xyz", frames=0)

    def fail(block):
        raise FormatError("not now")

    broken = xr.DataArray(
        da.zeros((F, N), chunks=(1, N)).map_blocks(fail, meta=np.empty((0, 0))), dims=("frame", "particle")
    )
    with pytest.raises(FormatError, match="not now"):
        gd.export(given, tmp_path / "t.xyz", columns={"q": broken}, overwrite=True)
    assert (tmp_path / "t.xyz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["t.xyz"]


@pytest.mark.parametrize(
    "path, how, error, message",
    [
        ("t.pdb", {}, FormatError, "no format that is written has this suffix"),
        ("t.gsd.gz", {}, FormatError, "leave out .gz"),
        ("t.GSD.GZ", {}, FormatError, "leave out .GZ"),
        ("no/t.xyz", {}, StoreError, "its folder does not exist"),
        ("t.xyz", {"format": "npz"}, FormatError, "choose one of xyz, lammps"),
        ("t.xyz", {"frames": slice(7, 9)}, ParameterError, "chooses none of the 3 frames"),
        ("t.xyz", {"frames": [0, 3]}, ParameterError, "goes beyond the 3 frames"),
        ("t.xyz", {"frames": "0:2"}, ParameterError, "expected a slice"),
        ("t.xyz", {"columns": features().rename("id")[..., 0]}, ParameterError, "cannot be called 'id'"),
        ("t.gsd", {"columns": {"id": features()[..., 0]}}, ParameterError, "cannot be called 'id'"),
        ("t.gsd", {"columns": {"energy": features()[..., 0]}}, ParameterError, "cannot be called 'energy'"),
        ("t.xyz", {"columns": {"position": features()[..., 0]}}, ParameterError, "cannot be called 'position'"),
        ("t.lammpstrj", {"columns": {"velocity": features()[..., 0]}}, ParameterError, "cannot be called 'velocity'"),
        ("t.h5md", {"columns": {"": features()[..., 0]}}, ParameterError, "a column has no name"),
        ("t.lammpstrj", {"columns": {" ": features()[..., 0]}}, ParameterError, "a column has no name"),
        ("t.xyz", {"columns": [features(), features()]}, ParameterError, "sbo_0 is asked for twice"),
        ("t.xyz", {"columns": features(2)}, SchemaError, "has 2 frames, the trajectory 3"),
        ("t.xyz", {"columns": "sbo"}, ParameterError, "not in the dataset"),
        ("t.xyz", {"columns": [3]}, ParameterError, "expected a name or an xarray.DataArray"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, path, how, error, message):
    with pytest.raises(error, match=message) as found:
        gd.export(trajectory(), tmp_path / path, **how)
    assert "\n" not in str(found.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["t.data", "t.gsd", "t.csv", "t.extxyz"])
@pytest.mark.parametrize("periodic", [(True, False, True), (False, False, False)])
def test_what_brings_open_faces_back_is_told_and_works(tmp_path, name, periodic):
    """Positions beyond open faces would be wrapped where a file does not say that they are open."""
    position = np.random.default_rng(0).uniform(-1.0, 5.0, (1, N, 3))
    given = gd.from_arrays(position, species=["A", "B"] * (N // 2), box=[4.0] * 3, periodic=periodic, beyond="nothing")
    gd.save_trajectory(given, tmp_path / "t.zarr")
    result = CliRunner().invoke(app, ["export", str(tmp_path / "t.zarr"), "-o", str(tmp_path / name)])
    assert result.exit_code == 0
    assert "`" not in result.output
    wanted = [word for word in ("--box 4.0,4.0,4.0", "--periodic xz", "--periodic none", "--beyond nothing")
              if word in result.output]  # fmt: skip
    assert "--beyond nothing" in wanted
    assert (name == "t.extxyz") == (not any("--periodic" in word for word in wanted))
    options = " ".join(wanted).split()
    again = ["ingest", str(tmp_path / name), "--store", str(tmp_path / "back.zarr"), *options]
    result = CliRunner().invoke(app, again)
    assert result.exit_code == 0
    assert "`" not in result.output
    found = gd.open_trajectory(tmp_path / "back.zarr").compute()
    np.testing.assert_array_equal(found["periodic"], given["periodic"])
    assert found["periodic"].attrs["beyond"] == "nothing"
    np.testing.assert_allclose(found["position"], given["position"], atol=1e-6 if name == "t.gsd" else 1e-15)


def test_names_that_are_no_words_and_cells_that_gsd_has_not(tmp_path):
    given = trajectory()
    blank = given.assign(species=("particle", np.where(given["species"] == "A", "big A", "B")))
    with pytest.raises(SpeciesError, match="'big A' is no word"):
        gd.export(blank, tmp_path / "t.lammpstrj")
    gd.export(blank, tmp_path / "t.csv")
    rotation = [[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]
    turned = given.assign(box=(given["box"].dims, given["box"].values @ rotation))
    with pytest.raises(BoxError, match="first vector lies along x"):
        gd.export(turned, tmp_path / "t.gsd")
    gd.export(turned, tmp_path / "t.lammpstrj")
    np.testing.assert_array_equal(back(tmp_path / "t.lammpstrj", tmp_path)["box"], turned["box"])


def test_bounds_give_the_very_length():
    rng = np.random.default_rng(0)
    for length, above in zip(rng.uniform(8, 15, 200), rng.uniform(0, 0.3, 200)):
        assert upper(0.0, length, 0.0, above) - above == length or length + above >= 16


def test_columns_that_are_not_numbers_everywhere_are_told(tmp_path):
    """As many NaN as there are particles of other species, in each frame; nothing is said of what is whole."""
    liquid, store, file = gd.example("wahnstrom").isel(frame=slice(2)), tmp_path / "run.zarr", tmp_path / "run.extxyz"
    gd.save_trajectory(liquid, store)
    gd.save_descriptors(gd.describe(gd.open_trajectory(store), "bo:l_max=3", centers="B"), store)
    others = 2 * int((liquid["species"] == "A").sum())
    why = "particles that are no centers, or have no value"
    assert (
        f"{file}: {others} numbers of each of bo_1 to bo_3 are NaN: {why}" in gd.export(store, file, columns="bo").notes
    )
    whole = liquid["position"].isel(space=0).rename("x0").drop_vars("space")
    assert not any("NaN" in note for note in gd.export(liquid, tmp_path / "w.extxyz", columns=whole).notes)


def test_values_along_time_are_no_columns_of_particles(tmp_path):
    """One of each frame would be written, each beside all frames."""
    rng = np.random.default_rng(0)
    pair = gd.from_arrays(rng.random((3, 2, 2)), species=["A", "B"], box=[1.0, 1.0], time=[0.0, 1.0, 2.0])
    values = xr.DataArray(rng.random((3, 2)), dims=("frame", "particle"), coords={"time": ("frame", [0.0, 1.0, 2.0])})
    along = values.swap_dims(frame="time")
    with pytest.raises(SchemaError, match=r"'q' has the dimension time for frame: say \.swap_dims\(time='frame'\)"):
        gd.export(pair, tmp_path / "a.extxyz", columns={"q": along})
    assert not (tmp_path / "a.extxyz").exists()
    gd.export(pair, tmp_path / "a.extxyz", columns={"q": along.swap_dims(time="frame")})
    gd.ingest(tmp_path / "a.extxyz", tmp_path / "a.zarr", keep="q")
    np.testing.assert_array_equal(gd.open_trajectory(tmp_path / "a.zarr")["q"], values)
