"""Fields beside open borders: brute-force twins that know no images there, and the values of the whole system."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.fields.grid import from_grid, to_grid
from tests.neighborhood.cut_outs import CELLS, CUTS, cut, face_distances, liquid

SIZES = {"A": 0.5, "B": 0.4}


def whole_and_part(name, **options):
    shape, periodic = CUTS[name]
    position, species = liquid(CELLS[shape])
    kept, inside, box = cut(position, CELLS[shape], periodic)
    names = np.array(["A", "B"])[species]
    whole = gd.from_arrays(position, species=names, box=CELLS[shape])
    part = gd.from_arrays(inside, species=names[kept], box=box, periodic=periodic, **options)
    return whole, part, kept, face_distances(inside, box, periodic)


def shifts(part):
    periodic = part["periodic"].values
    n = np.stack(np.meshgrid(*[[-1, 0, 1] if p else [0] for p in periodic], indexing="ij"), -1)
    return n.reshape(-1, len(periodic)) @ part["box"].values[0]


def close(part, reach):
    """(N, N) whether an image of one is closer to the other than `reach`."""
    position = part["position"].values[0]
    r = np.linalg.norm(position + shifts(part)[:, None, None] - position[:, None], axis=-1)
    return (r < reach).any(axis=0)


def as_field(values):
    return xr.DataArray(values[None], dims=("frame", "particle"))


@pytest.mark.parametrize("name", list(CUTS))
def test_coarse_graining(name):
    whole, part, kept, depth = whole_and_part(name)
    values = np.random.default_rng(0).normal(size=whole.sizes["particle"])
    found = gd.coarse_grain(as_field(values[kept]), part, [0.3, 0.6, 1.0]).values[0]
    expected = gd.coarse_grain(as_field(values), whole, [0.3, 0.6, 1.0]).values[0, kept]
    reach = 2 * np.array([0.3, 0.6, 1.0])
    np.testing.assert_array_equal(np.isnan(found), reach > depth[:, None])
    np.testing.assert_allclose(found, np.where(np.isnan(found), np.nan, expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["film", "skewed block", "skewed strip"])
@pytest.mark.parametrize("centers", [None, "B"])
def test_averages_of_what_is_itself_not_known_at_the_faces(name, centers):
    """Values of descriptors are undefined close to the faces: averages that would need them are, too, and no others."""
    whole, part, kept, depth = whole_and_part(name)
    descriptor = gd.BondOrder(cutoffs=1.0, l_max=6)
    q, expected_q = (gd.describe(t, [descriptor], centers=centers)["bo"].compute() for t in (part, whole))
    missing = np.isnan(q.values[0, :, -1])
    lost = missing & (part["species"].values == "B") if centers else missing
    assert 0 < lost.sum() < len(lost)
    reach = 1.2
    found = gd.coarse_grain(q, part, 0.6).values[0, :, :, 0]
    expected = gd.coarse_grain(expected_q, whole, 0.6).values[0, kept, :, 0]
    sees = (depth >= reach) & ~(close(part, reach) & lost).any(axis=1)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected) | ~sees[:, None])
    np.testing.assert_allclose(found[sees], expected[sees], rtol=0, atol=1e-12)

    found = gd.average_shells(q, part, cutoff=reach, generations=2).values[0]
    expected = gd.average_shells(expected_q, whole, cutoff=reach, generations=2).values[0, kept]
    np.testing.assert_array_equal(found[..., 0], q.values[0])
    for generation in (1, 2):
        lost = (depth < reach) | (close(part, reach) & lost).any(axis=1)
        defined = np.isfinite(found[..., generation])
        np.testing.assert_array_equal(defined, ~lost[:, None] & np.isfinite(expected[..., generation]))
        np.testing.assert_allclose(
            found[..., generation][defined], expected[..., generation][defined], rtol=0, atol=1e-12
        )
        assert defined.any() or generation == 2


def test_nothing_beyond_loses_nothing():
    _, part, _, _ = whole_and_part("block", beyond="nothing")
    values = np.random.default_rng(0).normal(size=part.sizes["particle"])
    values[::3] = np.nan
    position, known = part["position"].values[0], np.isfinite(values)
    r = np.linalg.norm(position - position[:, None], axis=-1)
    weight = np.where(r < 2.0, np.exp(-(r**2)), 0.0)
    expected = (weight @ np.where(known, values, 0.0)) / (weight @ known)
    found = gd.coarse_grain(as_field(values), part, 1.0).values[0, :, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    weight = np.where(r < 1.5, np.exp(-r / 1.5), 0.0)
    expected = (weight @ np.where(known, values, 0.0)) / (weight @ known)
    found = gd.average_shells(as_field(values), part, cutoff=1.5, generations=1).values[0, :, 1]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["film", "skewed block", "window", "skewed strip"])
def test_spatial_correlation_is_that_of_the_pairs_inside(name):
    _, part, _, _ = whole_and_part(name)
    values = np.random.default_rng(0).normal(size=part.sizes["particle"])
    values[::5] = np.nan
    found = gd.spatial_correlation(as_field(values), part, r_max=2.0, width=0.5)
    position, known = part["position"].values[0], np.isfinite(values)
    r = np.linalg.norm(position + shifts(part)[:, None, None] - position[:, None], axis=-1)
    deviation = np.where(known, values - values[known].mean(), 0.0)
    product, both = deviation[:, None] * deviation, known[:, None] & known & ~np.eye(len(known), dtype=bool)
    for k in range(4):
        bin_ = ((r >= 0.5 * k) & (r < 0.5 * (k + 1)) & both).sum(axis=0)
        assert found["pairs"].values[0, k] == bin_.sum() / 2
        if bin_.any():
            expected = (product * bin_).sum() / bin_.sum() / (deviation[known] ** 2).mean()
            assert found["correlation"].values[0, k] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["film", "skewed block", "window", "skewed strip"])
@pytest.mark.parametrize("beyond", ["unknown", "nothing"])
def test_grids(name, beyond):
    """Also of particles outside of the box, whose Gaussians come in through the faces and not on the other side."""
    shape, periodic = CUTS[name]
    rng, d = np.random.default_rng(1), len(periodic)
    box, is_open = CELLS[shape] * 0.6, ~np.array(periodic)
    fraction = rng.random((50, d))
    fraction[:, is_open] = 1.6 * fraction[:, is_open] - 0.3
    position = fraction @ box
    t = gd.from_arrays(position, species=["A", "B"] * 25, box=box, periodic=periodic, beyond=beyond)
    points, cutoff = (9, 8, 7)[:d], 2.5
    place = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n for n in points], indexing="ij"), axis=-1) @ box
    size = np.where(t["species"].values == "A", 0.5, 0.4).reshape(-1, *[1] * d)
    a = (np.linalg.det(box) / (0.64 * 50)) ** (1 / d)
    f = 0.0
    for shift in shifts(t):
        r = np.linalg.norm(place[None] - position.reshape(-1, *[1] * d, d) + shift, axis=-1)
        f = f + np.where(r < cutoff * size, np.exp(-((r / (a * size)) ** 2)), 0.0)
    density = f.sum(axis=0)
    score = rng.random(points)
    back = (f * np.divide(score, density, out=np.zeros(points), where=density > 0)).reshape(50, -1).sum(axis=1)
    if beyond == "unknown":
        hidden = (face_distances(place.reshape(-1, d), box, periodic) < cutoff * 0.5).reshape(points)
        assert 0 < hidden.sum() < hidden.size
        density[hidden] = np.nan
        lost = (f > 0)[:, hidden].any(axis=1) | (face_distances(position, box, periodic) < cutoff * size.ravel())
        back[lost] = np.nan
    grid = to_grid(t, points, SIZES, cutoff=cutoff)
    np.testing.assert_allclose(grid.values[0], density, rtol=1e-12, atol=1e-14)
    found = from_grid(grid.copy(data=score[None]), t, SIZES, cutoff=cutoff).values[0]
    np.testing.assert_allclose(found, back, rtol=1e-11, atol=1e-14)
