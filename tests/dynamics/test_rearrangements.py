"""D2min: nothing under affine deformations, the same from every side, and what is planted is found."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.dynamics import d2min, d2min_fields, nonaffine_motion, replica_d2min
from glassdask.errors import BoxError, ParameterError, PositionError, SchemaError
from glassdask.kernels import rearrangements as kernels
from glassdask.neighborhood.configuration import Configuration

PAIRS = {("A", "A"): 1.8, ("A", "B"): 1.6, ("B", "B"): 1.4}
MATRIX = np.array([[1.8, 1.6], [1.6, 1.4]])


def liquid_of(dimension, n=150, seed=0):
    rng = np.random.default_rng(seed)
    box = np.array([[6.0, 0, 0], [1.4, 5.5, 0], [-0.8, 0.6, 5.0]])[:dimension, :dimension]
    return rng.random((n, dimension)) @ box, np.where(np.arange(n) % 4 == 0, "B", "A"), box


def as_dataset(position, species, box):
    return gd.from_arrays(position, species=species, box=box)


def rotation(dimension, seed=1):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, dimension)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q)) ** (np.arange(dimension) == 0)


def brute_force(old, new, codes, box, new_box, matrix):
    """Least squares for every particle on its own; the image nearest to where the box takes a pair."""
    result, number = np.full(len(old), np.nan), np.zeros(len(old))
    inverse, new_inverse = np.linalg.inv(box), np.linalg.inv(new_box)
    for i in range(len(old)):
        s = (old - old[i]) @ inverse
        s -= np.rint(s)
        best = s @ box
        for shift in np.ndindex(*[3] * old.shape[1]):  # the nearest image in a slanted box
            other = (s + np.array(shift) - 1) @ box
            closer = (other**2).sum(axis=1) < (best**2).sum(axis=1)
            best[closer] = other[closer]
        r = np.sqrt((best**2).sum(axis=1))
        near = (r < matrix[codes[i], codes]) & (np.arange(len(old)) != i)
        number[i] = near.sum()
        if near.sum() < old.shape[1]:
            continue
        s = best[near] @ inverse
        after = (new[near] - new[i]) @ new_inverse
        after = (after - np.rint(after - s)) @ new_box
        map_ = np.linalg.lstsq(best[near], after, rcond=None)[0]
        result[i] = ((after - best[near] @ map_) ** 2).sum()
    return result, number


@pytest.mark.parametrize("dimension", [2, 3])
def test_equals_brute_force(dimension):
    old, species, box = liquid_of(dimension)
    rng = np.random.default_rng(2)
    new_box = box @ (np.eye(dimension) + 0.1 * rng.normal(size=(dimension, dimension)))
    new = old @ np.linalg.inv(box) @ new_box + 0.2 * rng.normal(size=old.shape)
    found = d2min(as_dataset(old, species, box), as_dataset(new, species, new_box), PAIRS)
    expected, number = brute_force(old, new, (species == "B").astype(int), box, new_box, MATRIX)
    np.testing.assert_array_equal(found["neighbors"][0], number)
    exact = number > dimension
    assert exact.sum() > 100
    np.testing.assert_allclose(found["d2min"][0, exact], expected[exact], rtol=1e-8, atol=1e-12)
    assert np.isnan(found["d2min"][0, number < dimension]).all()


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("size", [1e-5, 0.1, 0.4])
def test_nothing_under_affine_deformations(dimension, size):
    old, species, box = liquid_of(dimension)
    rng = np.random.default_rng(3)
    gradient = np.eye(dimension) + size * rng.uniform(-1, 1, size=(dimension, dimension))
    assert np.linalg.det(gradient) > 0
    for turn in (np.eye(dimension), rotation(dimension)):
        map_ = gradient @ turn
        shift = rng.normal(size=dimension) * 10
        found = d2min(as_dataset(old, species, box), as_dataset(old @ map_ + shift, species, box @ map_), PAIRS)
        known = found["d2min"].notnull()
        assert known.mean() > 0.9
        assert found["d2min"].max() < 1e-12
        # row vectors: r' = r map, F = map^T
        expected = 0.5 * (map_ @ map_.T - np.eye(dimension))
        deviation = (found["local_strain"] - xr.DataArray(expected, dims=("space_a", "space_b"))).where(known)
        assert np.abs(deviation).max() < 1e-9


@pytest.mark.parametrize("dimension", [2, 3])
def test_invariances(dimension):
    old, species, box = liquid_of(dimension)
    rng = np.random.default_rng(4)
    new = old + 0.15 * rng.normal(size=old.shape)
    reference = d2min(as_dataset(old, species, box), as_dataset(new, species, box), PAIRS)

    def same(other, order=slice(None)):
        np.testing.assert_allclose(other["d2min"][0], reference["d2min"][0, order], rtol=1e-7, atol=1e-12)

    turn, other_turn = rotation(dimension), rotation(dimension, seed=5)
    # both turned, each in its own way, and shifted
    turned = d2min(
        as_dataset(old @ turn + 0.3, species, box @ turn),
        as_dataset(new @ other_turn - 7.0, species, box @ other_turn),
        PAIRS,
    )
    same(turned)
    whole = rng.integers(-3, 4, size=(2, *old.shape)) @ box
    same(d2min(as_dataset(old + whole[0], species, box), as_dataset(new + whole[1], species, box), PAIRS))
    order = rng.permutation(len(old))
    same(
        d2min(as_dataset(old[order], species[order], box), as_dataset(new[order], species[order], box), PAIRS),
        order,
    )
    twice = {pair: 2 * cutoff for pair, cutoff in PAIRS.items()}
    scaled = d2min(as_dataset(2 * old, species, 2 * box), as_dataset(2 * new, species, 2 * box), twice)
    same(scaled / 4)
    np.testing.assert_allclose(scaled["local_strain"], reference["local_strain"], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("dimension", [2, 3])
def test_flips_of_the_cell_do_not_matter(dimension):
    old, species, box = liquid_of(dimension)
    shear = np.eye(dimension)
    shear[1, 0] = 0.02
    new = old @ shear + 0.05 * np.random.default_rng(5).normal(size=old.shape)
    flipped = box @ shear
    flipped[1] -= flipped[0]
    reference = d2min(as_dataset(old, species, box), as_dataset(new, species, box @ shear), PAIRS)
    found = d2min(as_dataset(old, species, box), as_dataset(new, species, flipped), PAIRS)
    np.testing.assert_allclose(found["d2min"], reference["d2min"], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found["local_strain"], reference["local_strain"], rtol=1e-8, atol=1e-10)


def test_a_planted_rearrangement_is_found(shipped):
    _, t = shipped
    t = t.isel(frame=[0])
    position, box = t["position"].values[0], t["box"].values[0]
    half = box[0, 0] / 2
    distance = np.linalg.norm((position - position[100] + half) % box[0, 0] - half, axis=1)
    distance[100] = np.inf
    pair = [100, int(np.argmin(distance))]
    # the two turn around each other in the sheared liquid
    along = (position[pair[1]] - position[pair[0]] + half) % box[0, 0] - half
    across = np.cross(along, [0.3, 0.5, 0.8])
    across *= np.linalg.norm(along) / np.linalg.norm(across)
    middle = position[pair[0]] + along / 2
    moved = position.copy()
    moved[pair[0]], moved[pair[1]] = middle - across / 2, middle + across / 2
    shear = np.eye(3)
    shear[1, 0] = 0.05
    found = d2min(t, as_dataset(moved @ shear, t["species"].values, box @ shear), 2.0)["d2min"].values[0]
    assert set(np.argsort(found)[-2:]) == set(pair)
    far = (distance > 2 * 2.0) & (np.arange(len(position)) != 100)
    assert far.sum() > 0.8 * len(position)
    assert found[far].max() < 1e-20
    assert found[pair].min() > 1.0


def test_small_motion_on_top_of_a_strain():
    # as between two steps of a quasistatic shear: the residual is far below the squares it is made of
    old, species, box = liquid_of(3)
    noise = 1e-7 * np.random.default_rng(6).normal(size=old.shape)
    shear = np.eye(3)
    shear[1, 0] = 5e-5
    still = d2min(as_dataset(old, species, box), as_dataset(old + noise, species, box), 1.8)
    sheared = d2min(as_dataset(old, species, box), as_dataset((old + noise) @ shear, species, box @ shear), 1.8)
    np.testing.assert_allclose(sheared["d2min"], still["d2min"], rtol=1e-3)
    assert 1e-14 < np.median(still["d2min"]) < 1e-11


@pytest.mark.parametrize("dimension", [2, 3])
def test_too_few_neighbours(dimension):
    # a row of particles spans a line only, and a pair nothing
    row = np.ones((6, dimension))
    row[:, 0] = np.arange(6) * 1.0
    row[5, 0] = 8.0
    t = as_dataset(row, ["A"] * 6, np.eye(dimension) * 12)
    found = d2min(t, t, 2.5)
    assert np.isnan(found["d2min"]).all()
    assert np.isnan(found["local_strain"]).all()
    assert found["neighbors"].values[0].tolist() == [2, 3, 4, 3, 2, 0]
    row[:, 1] += [0.0, 0.5, 0.0, 0.5, 0.0, 0.0]
    row[:, -1] += [0.0, 0.5, 0.3, 0.0, 0.0, 0.0]
    t = as_dataset(row, ["A"] * 6, np.eye(dimension) * 12)
    assert d2min(t, t, 4.5)["d2min"][0, :5].notnull().all()


def test_frames_and_chunks(task_rows):
    rng = np.random.default_rng(7)
    old, species, box = liquid_of(3, n=300)
    path = old + np.cumsum(0.1 * rng.normal(size=(5, 300, 3)), axis=0)
    run = gd.from_arrays(path, species=species, box=box, time=np.arange(5.0))
    steps = d2min(run.isel(frame=slice(None, -1)), run.isel(frame=slice(1, None)), PAIRS)
    assert steps["d2min"].chunks is not None
    assert steps["time"].values.tolist() == [1.0, 2.0, 3.0, 4.0]
    since = d2min(run.isel(frame=[0]), run, PAIRS)
    until = d2min(run, run.isel(frame=[4]), PAIRS)
    for k in range(4):
        alone = d2min(run.isel(frame=[k]), run.isel(frame=[k + 1]), PAIRS)
        for name in steps:
            np.testing.assert_allclose(steps[name][k], alone[name][0], rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(since["d2min"][4], until["d2min"][0], rtol=1e-9, atol=1e-13)
    assert since["d2min"][0].max() < 1e-25
    assert until["d2min"][4].max() < 1e-25
    task_rows(70)
    lazy = run.chunk(frame=2, particle=41)
    for first, second, whole in ((run.isel(frame=[0]), lazy, since), (lazy, lazy.isel(frame=[4]), until)):
        again = d2min(first, second, PAIRS)
        assert len(again["d2min"].chunks[1]) > 1
        for name in whole:
            np.testing.assert_allclose(again[name], whole[name], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("dimension", [2, 3])
def test_replicas(dimension):
    old, species, box = liquid_of(dimension)
    rng = np.random.default_rng(8)
    moved = xr.DataArray(
        0.2 * rng.normal(size=(3, 2, *old.shape)), dims=("replica", "lag", "particle", "space"), coords={"lag": [1, 2]}
    )
    start = as_dataset(old, species, box)
    found = replica_d2min(moved, start, PAIRS)
    assert found.dims == ("replica", "lag", "particle")
    for replica, lag in np.ndindex(3, 2):
        end = as_dataset(old + moved.values[replica, lag], species, box)
        np.testing.assert_allclose(
            found[replica, lag], d2min(start, end, PAIRS)["d2min"][0], rtol=1e-8, atol=1e-12
        )  # fmt: skip
    lazy = replica_d2min(moved.chunk(replica=1, particle=17), start.chunk(), PAIRS)
    assert lazy.chunks is not None
    np.testing.assert_allclose(lazy, found, rtol=1e-12)
    # displacements are exact beyond half of the box: quadratic in their size
    np.testing.assert_allclose(replica_d2min(100 * moved, start, PAIRS), 1e4 * found, rtol=1e-9, atol=1e-9)


def test_kernel_as_plain_python():
    old, _, box = liquid_of(3, n=60)
    configuration = Configuration(old, np.zeros(60), box, ("A",))
    found = configuration.neighbors(np.arange(60), np.array([[1.8]]))
    rng = np.random.default_rng(9)
    moved = 0.02 * rng.normal(size=(60, 3)) + rng.integers(-2, 3, size=(60, 3))
    affine = np.eye(3) + 0.1 * rng.normal(size=(3, 3))
    results = []
    for function in (kernels.nonaffine, kernels.nonaffine.py_func):
        residual, gradient = np.empty(60), np.empty((60, 3, 3))
        function(
            found.centers, found.offsets, found.index, found.vector, moved, 1.0, affine, box @ affine, 3,
            np.empty((3, int(found.counts.max()))), residual, gradient,
        )  # fmt: skip
        results.append((residual, gradient))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-8, atol=1e-20)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("dimension", [2, 3])
def test_particles_of_the_same_id_are_compared(dimension):
    """Files of a run may list their particles in any order; the result is in that of the reference."""
    rng = np.random.default_rng(10)
    old, species, box = liquid_of(dimension)
    new = old + 0.1 * rng.normal(size=old.shape)
    ids = rng.permutation(len(old)) + 1
    reference = gd.from_arrays(old, species=species, box=box, id=ids)
    moved = gd.from_arrays(new, species=species, box=box, id=ids)
    expected = d2min(reference, moved, PAIRS)
    for order in (np.argsort(ids), rng.permutation(len(old))):
        for deformed in (moved.isel(particle=order), moved.isel(particle=order).chunk(particle=40)):
            xr.testing.assert_identical(d2min(reference, deformed, PAIRS).compute(), expected.compute())
    shuffled = d2min(reference.isel(particle=order), moved, PAIRS)
    xr.testing.assert_allclose(shuffled.compute(), expected.isel(particle=order).compute(), rtol=1e-9)
    # without ids on either side the order counts, as told
    np.testing.assert_array_equal(d2min(reference.drop_vars("id"), moved, PAIRS)["d2min"], expected["d2min"])
    with pytest.raises(
        SchemaError, match=r"the ids differ \(particle 1 is in one only\): give .* or drop_vars\('id'\)"
    ):
        d2min(reference, moved.assign(id=("particle", ids + 1)), PAIRS)
    twice = np.where(ids == 1, 2, ids)
    with pytest.raises(SchemaError, match="twice"):
        d2min(reference.assign(id=("particle", twice)), moved.assign(id=("particle", twice[::-1])), PAIRS)


def test_bad_arguments():
    old, species, box = liquid_of(3)
    t = as_dataset(old, species, box)
    three = xr.concat([t, t, t], "frame", data_vars="minimal", join="exact", coords="minimal", compat="equals")
    with pytest.raises(SchemaError, match="150, deformed has 149"):
        d2min(t, t.isel(particle=slice(1, None)), 1.5)
    with pytest.raises(SchemaError, match="species differ"):
        d2min(t, as_dataset(old, species[::-1], box), 1.5)
    with pytest.raises(SchemaError, match="3 frames, deformed has 2"):
        d2min(three, three.isel(frame=[0, 1]), 1.5)
    with pytest.raises(BoxError, match="half of the narrowest"):
        d2min(t, t, 3.0)
    with pytest.raises(ParameterError, match="cutoffs"):
        d2min(t, t, -1.0)
    broken = three.chunk(frame=1)
    broken["position"] = broken["position"].where((broken["frame"] != 2) | (broken["particle"] != 7))
    with pytest.raises(PositionError, match="frame 2, particle 7"):
        d2min(t, broken, 1.5)["d2min"].compute()
    with pytest.raises(SchemaError, match="3 frames"):
        replica_d2min(xr.DataArray(old, dims=("particle", "space")), three, 1.5)


@pytest.mark.parametrize(("height", "spans"), [(3e-5, True), (3e-6, False)])
def test_neighbours_on_a_line_span_no_plane(height, spans):
    """det Y / (tr Y / 2)^2 = 8 height^2 for three neighbours in a row whose middle ones lie off it: 1e-10 decides."""
    rows = np.array([[5.0, 5.0], [6.0, 5.0 + height], [4.0, 5.0 + height], [4.0, 5.0 - height]])
    line = as_dataset(rows[None], ["A"] * 4, np.eye(2) * 12)
    found = d2min(line, line, 1.5)
    assert found["neighbors"].values[0, 0] == 3
    assert np.isfinite(found["d2min"].values[0, 0]) == spans


def moving(frames=9, n=80, dimension=3, seed=3):
    """A liquid that is sheared and moves at random; times."""
    position, species, box = liquid_of(dimension, n, seed)
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(scale=0.03, size=(frames, n, dimension)), axis=0) + position
    return gd.from_arrays(
        path, species=species, box=np.broadcast_to(box, (frames, *box.shape)), time=0.5 * np.arange(frames)
    )


@pytest.mark.parametrize("dimension", [2, 3])
def test_fields_are_d2min_of_pairs_of_frames(dimension):
    t = moving(dimension=dimension)
    found = d2min_fields(t, [0.5, 3.5], cutoffs=PAIRS, origins=100)
    assert found["d2min"].sizes == {"lag": 2, "origin": 8, "particle": 80}
    np.testing.assert_array_equal(found["start"][1], [0.0, 0.5, *[np.nan] * 6])
    codes = (t["species"].values == "B").astype(int)
    position, box = t["position"].values, t["box"].values[0]
    for lag, n, origin in ((0, 1, 4), (1, 7, 1)):
        expected, _ = brute_force(position[origin], position[origin + n], codes, box, box, MATRIX)
        np.testing.assert_allclose(found["d2min"][lag, origin], expected, rtol=1e-9, atol=1e-12)
    assert found["d2min"][1, 2:].isnull().all()
    mean = nonaffine_motion(t, [0.5, 3.5], cutoffs=PAIRS, origins=100)
    np.testing.assert_allclose(mean["d2min"].T, found["d2min"].mean("origin"), rtol=1e-12)
    of_b = found["d2min"].isel(particle=codes == 1).mean("particle").mean("origin")
    np.testing.assert_allclose(mean["d2min_mean"].sel(species="B"), of_b, rtol=1e-12)
    np.testing.assert_allclose(mean["d2min_mean_total"], found["d2min"].mean("particle").mean("origin"), rtol=1e-12)
    assert mean["origins"].values.tolist() == [8, 2]


def test_fields_show_where_something_happens():
    """A crystal that drifts and is sheared: only around the particle that jumps between two frames is anything seen."""
    cubic = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 3)
    paths, boxes = [], []
    for frame in range(6):
        shear = np.eye(3)
        shear[1, 0] = 0.02 * frame
        moved = cubic.copy()
        moved[100, 2] += 0.3 * (frame >= 3)
        paths.append((moved + 0.1 * frame) @ shear)
        boxes.append(6.0 * shear)
    t = gd.from_arrays(paths, species=["A"] * 216, box=boxes, time=np.arange(6.0))
    found = d2min_fields(t, [1.0], cutoffs=1.2)["d2min"].values[0]
    assert (found[[0, 1, 3, 4]] < 1e-20).all()
    assert found[2].argmax() == 100
    assert np.count_nonzero(found[2] > 1e-10) == 7
    # seen once in five origins
    mean = nonaffine_motion(t, [1.0], cutoffs=1.2)
    np.testing.assert_allclose(mean["d2min"][100], found[2, 100] / 5, rtol=1e-9)


def test_fields_by_chunks_and_workers(two_workers, tmp_path):
    t = moving(frames=6)
    gd.save_trajectory(t, tmp_path / "t.zarr")
    stored = gd.open_trajectory(tmp_path / "t.zarr")
    assert d2min_fields(stored, [1.0], cutoffs=PAIRS)["d2min"].chunks is not None
    whole, parts = (nonaffine_motion(some, [0.5, 1.0], cutoffs=PAIRS) for some in (t, stored))
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-12)


def test_fields_refuse():
    t = moving(frames=4)
    for match, call in (
        ("no two frames are 7 apart", lambda: d2min_fields(t, [7.0], cutoffs=1.5)),
        ("no variable 'time'", lambda: nonaffine_motion(t.drop_vars("time"), cutoffs=1.5)),
        ("origins", lambda: d2min_fields(t, [0.5], cutoffs=1.5, origins=0)),
    ):
        with pytest.raises((ParameterError, SchemaError), match=match) as raised:
            call()
        assert "\n" not in str(raised.value)
