"""A part of a periodic system with open borders: what is defined is what it is in the whole, and no more is lost."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.neighborhood.nearest import SANN, Cutoff, KNearest
from glassdask.neighborhood.voronoi import Voronoi
from tests.neighborhood.cut_outs import CELLS, CUTS, cut, face_distances, liquid
from tests.neighborhood.test_borders import NAMES, PAIRS

REACH = np.array([1.5, 1.3])  # of the two species of a centre in PAIRS
DIAMETERS = {"A": 1.0, "B": 0.8}
RULES = {
    "nearest": KNearest(8), "sann": SANN(), "voronoi": Voronoi(DIAMETERS), "areas": Voronoi(weighted=True),
    "cutoff": Cutoff(PAIRS),
}  # fmt: skip
ALIKE = {name: rule for name, rule in RULES.items() if not rule.weighted}
# what is computed, and from where: the distance from a centre by its species, a rule, or one with the neighbours' own
FIXED = {
    "bo": (gd.BondOrder(cutoffs=PAIRS), REACH),
    "sbo": (gd.SmoothedBondOrder(cutoffs=PAIRS, enlargement=1.2), 1.2 * REACH),
    "other": (gd.SmoothedBondOrder(cutoffs=PAIRS, neighbor_species="other", gamma=np.inf, enlargement=1.0), [1.3, 1.3]),
    "to_b": (gd.BondOrder(cutoffs=PAIRS, neighbor_species=("B",)), [1.3, 1.1]),
    "coordination": (gd.Coordination(cutoffs=PAIRS, by_species=True), REACH),
    "smooth": (gd.Coordination(cutoffs=PAIRS, gamma=8), 1.3 * REACH),
    "tetrahedrality": (gd.Tetrahedrality(cutoffs=PAIRS), REACH),
    "rbo": (gd.RadialBondOrder(grid=(1.0, 1.4), delta=0.1), [1.65, 1.65]),
    "density": (gd.RadialDensity(grid=(1.0, 1.4), delta=0.1), [1.65, 1.65]),
    "soap": (gd.SOAP(r_cut=1.5, n_max=3, l_max=3, sigma=0.1, padding=0.3, by_species=True), [1.8, 1.8]),
    "ace": (gd.ACE(r_cut=1.9, degree=5), [1.9, 1.9]),
    "ld": (gd.LechnerDellago(cutoffs=PAIRS), (Cutoff(PAIRS),)),
    "w": (gd.ThirdOrderInvariants(cutoffs=PAIRS, normalized=False), REACH),
    "w_averaged": (gd.ThirdOrderInvariants(cutoffs=PAIRS, normalized=False, averaged=True), (Cutoff(PAIRS),)),
    "acsf": (gd.SymmetryFunctions(r_cut=1.6, radial=((1.0, 1.0),), angular=((1.0, 2, 1.0),)), [1.6, 1.6]),
    "entropy": (gd.PairEntropy(r_max=1.5, padding=0.2, local_density=True), [1.7, 1.7]),
    "solid": (gd.SolidLiquid(cutoffs=PAIRS), (Cutoff(PAIRS),)),
}
BY_RULE = {
    **{f"bo {name}": (gd.BondOrder(neighbors=rule), rule) for name, rule in RULES.items()},
    **{f"ld {name}": (gd.LechnerDellago(neighbors=rule), (rule,)) for name, rule in RULES.items()},
    **{f"sbo {name}": (gd.SmoothedBondOrder(cutoffs=PAIRS, neighbors=rule), rule) for name, rule in RULES.items()},
    **{f"soap {name}": (gd.SOAP(r_cut=1.5, n_max=2, l_max=2, sigma=0.1, neighbors=rule), rule)
       for name, rule in ALIKE.items()},
    **{f"ace {name}": (gd.ACE(r_cut=1.9, degree=4, neighbors=rule), rule) for name, rule in ALIKE.items()},
    **{f"rbo {name}": (gd.RadialBondOrder(grid=(1.0,), neighbors=rule), rule) for name, rule in ALIKE.items()},
    **{f"density {name}": (gd.RadialDensity(grid=(1.0,), neighbors=rule), rule) for name, rule in ALIKE.items()},
    **{f"z {name}": (gd.Coordination(neighbors=rule), rule) for name, rule in RULES.items()},
    **{f"tetrahedrality {name}": (gd.Tetrahedrality(neighbors=rule), rule) for name, rule in RULES.items()},
    **{f"solid {name}": (gd.SolidLiquid(neighbors=rule), (rule,)) for name, rule in RULES.items()},
    **{f"symmetry {name}": (gd.Centrosymmetry(neighbors=rule), rule) for name, rule in ALIKE.items()},
    "cell": (gd.VoronoiCell(), Voronoi()),
    "minkowski": (gd.MinkowskiStructure(), Voronoi()),
    "radical": (gd.VoronoiCell(diameters=DIAMETERS), Voronoi(DIAMETERS)),
}  # fmt: skip
IN_SPACE = {
    "theta": (gd.TongTanaka(diameters=DIAMETERS), (Voronoi(DIAMETERS),)),
    "theta cutoff": (gd.TongTanaka(sigma=1.0, neighbors=Cutoff(PAIRS)), Cutoff(PAIRS)),
    "topology": (gd.TopologicalClusters(neighbors=Voronoi(), role="middle"), (Voronoi(),)),
    "rings": (gd.Rings(cutoffs=PAIRS, max_size=3), (Cutoff(PAIRS),)),
    "cna": (gd.CommonNeighbors(), KNearest(14)),
    "angles": (gd.AcklandJones(), KNearest(14)),
    "cna cutoff": (gd.CommonNeighbors(cutoffs=PAIRS, output="pairs"), REACH),
    **{
        f"cna {name}": (gd.CommonNeighbors(neighbors=rule, output="pairs"), (rule,))
        for name, rule in ALIKE.items()
        if name != "cutoff"
    },
    "lfs": (gd.LocallyFavoredStructure(signature=(0, 3, 6, 4)), Voronoi()),
    "u": (gd.LocalEnergy(model="wahnstrom"), [2.5, 2.5 * 11 / 12]),
}
IN_PLANE = {
    "theta": (gd.TongTanaka(diameters=DIAMETERS), Voronoi(DIAMETERS)),
    "hexatic": (gd.Hexatic(cutoffs=PAIRS), REACH),
    **{f"hexatic {name}": (gd.Hexatic(neighbors=rule), rule) for name, rule in RULES.items()},
}


def trajectory(position, species, box, **options):
    return gd.from_arrays(position, species=np.array(NAMES)[species], box=box, **options)


def whole_and_part(name, **options):
    shape, periodic = CUTS[name]
    position, species = liquid(CELLS[shape])
    kept, inside, box = cut(position, CELLS[shape], periodic)
    whole = trajectory(position, species, CELLS[shape])
    part = trajectory(inside, species[kept], box, periodic=periodic, **options)
    return whole, part, kept, face_distances(inside, box, periodic)


def known(reach, part, depth):
    """Which centres see all that a value depends on."""
    if not isinstance(reach, tuple) and not isinstance(reach, (Cutoff, KNearest, SANN, Voronoi)):
        return np.asarray(reach)[(part["species"].values == "B").astype(int)] <= depth
    rule = reach[0] if isinstance(reach, tuple) else reach

    def of_rule(configuration):
        found = rule.find(configuration, np.arange(len(configuration.position)))
        owner = np.repeat(np.arange(len(found.centers)), found.counts)
        lost = np.bincount(owner, ~found.known[found.index], len(found.centers)) if isinstance(reach, tuple) else 0
        return found.known & (lost == 0)

    return gd.map_frames(of_rule, part, dims=["particle"], dtype=bool).values[0]


@pytest.mark.parametrize("name", list(CUTS))
def test_what_is_defined_is_that_of_the_whole(name):
    whole, part, kept, depth = whole_and_part(name)
    cases = FIXED | BY_RULE | (IN_SPACE if part.sizes["space"] == 3 else IN_PLANE)
    descriptors = {key.replace(" ", "_"): descriptor for key, (descriptor, _) in cases.items()}
    found, expected = (gd.describe(t, descriptors).compute(scheduler="synchronous") for t in (part, whole))
    for key, (_, reach) in cases.items():
        ours = found[key.replace(" ", "_")].values[0].reshape(len(kept), -1)
        theirs = expected[key.replace(" ", "_")].values[0, kept].reshape(len(kept), -1)
        sees = known(reach, part, depth)
        assert sees.sum() < len(kept), key
        assert sees.any() or isinstance(reach, tuple), key  # neighbours of neighbours may fill a block
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs) | ~sees[:, None], err_msg=key)
        scale = np.maximum(1.0, np.nanmax(np.abs(theirs), axis=0))
        np.testing.assert_allclose(ours[sees] / scale, theirs[sees] / scale, rtol=0, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("block", [60, 200])
def test_blocks_and_frames_do_not_matter(block):
    _, part, _, _ = whole_and_part("skewed film")
    both = xr.concat([part, part.isel(particle=slice(None, None, -1))], "frame", data_vars="minimal", coords="minimal",
                     compat="override", join="override")  # fmt: skip
    descriptors = {"ld": FIXED["ld"][0], "theta": IN_SPACE["theta"][0], "sann": gd.BondOrder(neighbors=SANN())}
    cut_up, whole = (gd.describe(both, descriptors, block=n).compute() for n in (block, 10**6))
    xr.testing.assert_allclose(cut_up, whole, rtol=0, atol=1e-12)
    xr.testing.assert_equal(whole["ld"][0], gd.describe(part, descriptors)["ld"].compute()[0])


@pytest.mark.parametrize("name", ["film", "block", "window", "skewed strip"])
def test_nothing_beyond_means_that_nothing_is_lost(name):
    """As far out in an empty box that repeats there is nobody either."""
    periodic = CUTS[name][1]
    _, part, _, _ = whole_and_part(name, beyond="nothing")
    is_open = ~np.array(periodic)
    box = part["box"].values[0] * np.where(is_open, 3.0, 1.0)[:, None]
    lonely = gd.from_arrays(part["position"].values, species=part["species"].values, box=box)
    descriptors = {key: descriptor for key, (descriptor, _) in FIXED.items()}
    descriptors |= {"near": gd.BondOrder(neighbors=KNearest(5)), "ld_near": gd.LechnerDellago(neighbors=KNearest(5))}
    found, expected = (gd.describe(t, descriptors).compute() for t in (part, lonely))
    for key in descriptors:
        np.testing.assert_allclose(found[key].values, expected[key].values, rtol=0, atol=1e-11)
    for key in ("bo", "soap", "near", "ld_near"):
        assert np.isfinite(found[key].values).mean() > 0.99


def test_what_is_outside_of_the_box_is_not_known():
    position = np.random.default_rng(0).random((200, 3)) * [6, 6, 8] - [0, 0, 1.0]
    film = gd.from_arrays(position, species=["A"] * 200, box=[6.0] * 3, periodic=(True, True, False))
    assert (film["position"].values[0] == position).all()
    values = gd.describe(film, [gd.Coordination(cutoffs=1.0)])["coordination"].values[0]
    np.testing.assert_array_equal(np.isfinite(values), (position[:, 2] >= 1.0) & (position[:, 2] <= 5.0))


def test_results_are_not_taken_for_those_of_other_borders(tmp_path):
    position = np.random.default_rng(0).random((1, 100, 3)) * 5
    borders = [{}, {"periodic": (True, True, False)}, {"periodic": (True, True, False), "beyond": "nothing"}]
    one, two, three = (trajectory(position, np.zeros(100, int), [5.0] * 3, **each) for each in borders)
    values = [gd.describe(t, [gd.BondOrder(cutoffs=1.2)])["bo"] for t in (one, two, three)]
    assert len({v.attrs["input"] for v in values}) == 3
    assert len({v.data.name for v in values}) == 3
    gd.save_trajectory(three, tmp_path / "film.zarr")
    again = gd.open_trajectory(tmp_path / "film.zarr")
    assert again["periodic"].values.tolist() == [True, True, False]
    xr.testing.assert_equal(gd.describe(again, [gd.BondOrder(cutoffs=1.2)])["bo"].compute(), values[2].compute())
    gd.save_trajectory(two, tmp_path / "other.zarr")
    other = gd.describe(gd.open_trajectory(tmp_path / "other.zarr"), [gd.BondOrder(cutoffs=1.2)])["bo"]
    assert other.attrs["input"] != gd.describe(again, [gd.BondOrder(cutoffs=1.2)])["bo"].attrs["input"]
