"""Clusters with a middle: crystals that are made of them, known Voronoi cells, members, pieces, plain Python."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask.descriptors.topological_clusters import CLUSTERS
from glassdask.errors import ParameterError
from glassdask.kernels import common_neighbors as kernels
from tests.descriptors import crystals

FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def found(trajectory, role="middle", **given):
    made = gd.TopologicalClusters(role=role, **given)
    features = gd.describe(trajectory, [made])["topological_clusters"].sel(frame=0)
    return {name: features.sel(cluster_type=name).values for name in CLUSTERS}


def built(basis, species, edge=(1.0, 1.0, 1.0), n=3):
    corner = np.stack(np.meshgrid(*[np.arange(float(n))] * 3), -1).reshape(-1, 1, 3)
    position = ((corner + np.asarray(basis) % 1) * edge).reshape(1, -1, 3)
    return gd.from_arrays(position, species=np.tile(species, n**3), box=np.array(edge) * n)


def a15():
    chains = [[0.25, 0, 0.5], [0.75, 0, 0.5], [0.5, 0.25, 0], [0.5, 0.75, 0], [0, 0.5, 0.25], [0, 0.5, 0.75]]
    return built([[0, 0, 0], [0.5, 0.5, 0.5], *chains], ["Si"] * 2 + ["Cr"] * 6)


def laves():
    copper = np.array([[5, 5, 5], [5, 7, 7], [7, 5, 7], [7, 7, 5]]) / 8
    magnesium = np.concatenate([FCC, FCC + 0.25])
    return built([*magnesium, *(copper[:, None] + FCC).reshape(-1, 3)], ["Mg"] * 8 + ["Cu"] * 16)


def al2cu():
    x = 0.1541
    aluminium = np.array([[x, x + 0.5, 0], [-x, 0.5 - x, 0], [0.5 - x, x, 0], [x + 0.5, -x, 0]])
    half = np.concatenate([[[0, 0, 0.25], [0, 0, 0.75]], aluminium])
    names = ["Cu"] * 2 + ["Al"] * 4
    return built(np.concatenate([half, half + 0.5]), names * 2, (6.067, 6.067, 4.877))


def only(trajectory, kinds, **given):
    """Each species is the middle of one kind of cluster, and nothing else is."""
    species = trajectory["species"].values
    for name, values in found(trajectory, **given).items():
        wanted = np.isin(species, [s for s, kind in kinds.items() if kind == name])
        np.testing.assert_array_equal(values, wanted, err_msg=name)


def test_phases_of_frank_and_kasper():
    only(a15(), {"Si": "13A", "Cr": "FK14"}, neighbors=gd.Voronoi())
    only(laves(), {"Cu": "13A", "Mg": "FK16"}, neighbors=gd.Voronoi())
    # everybody belongs to clusters of both kinds
    both = found(laves(), role="member", neighbors=gd.Voronoi())
    assert both["13A"].all()
    assert both["FK16"].all()
    assert not both["FK14"].any()


def test_the_crystal_of_bicapped_square_antiprisms():
    """Copper has ten neighbours, and aluminium fifteen, as Frank and Kasper have them."""
    only(al2cu(), {"Cu": "11A", "Al": "FK15"}, cutoffs={"Al-Al": 3.3, "Al-Cu": 2.9, "Cu-Cu": 2.7})


@pytest.mark.parametrize("kind", ["fcc", "hcp", "bcc"])
def test_crystals_of_one_kind(kind):
    values = found(crystals.crystal(kind, noise=0.01), cutoffs=crystals.REACH[kind])
    assert {name for name, middle in values.items() if middle.any()} == {kind}
    assert values[kind].all()


def test_the_members_of_an_icosahedron():
    cluster = crystals.icosahedron()
    far = gd.from_arrays(
        np.concatenate([cluster["position"].values[0], [[9.0, 9, 9]]]), species=["A"] * 14, box=[10.0] * 3
    )
    assert found(far, cutoffs=1.1)["13A"].tolist() == [1] + 13 * [0]
    assert found(far, role="member", cutoffs=1.1)["13A"].tolist() == 13 * [1] + [0]


def test_glasses_have_what_their_voronoi_cells_say(peer):
    """Faces are rings of common neighbours; the few cells that differ have neighbours with common ones elsewhere."""
    name, trajectory, _ = peer
    values = found(trajectory, neighbors=gd.Voronoi())
    for kind, signature in {"13A": (0, 0, 12), "11A": (0, 2, 8), "FK14": (0, 0, 12, 2)}.items():
        cells = gd.describe(trajectory, [gd.LocallyFavoredStructure(signature=signature)])["lfs"].values[0]
        assert (values[kind] <= cells).all()
        assert (values[kind] == cells).mean() > 0.98
    if name == "wahn_N1000":
        assert values["13A"].sum() > 20


def test_members_are_in_the_shells_of_middles(peer):
    _, trajectory, cutoffs = peer
    for given in ({"cutoffs": cutoffs}, {"neighbors": gd.Voronoi()}):
        middle, member = (found(trajectory, role=role, **given) for role in ("middle", "member"))
        rule = given.get("neighbors") or gd.Cutoff(cutoffs)
        n = trajectory.sizes["particle"]
        near = gd.map_frames(_adjacency(rule), trajectory, dims={"i": n, "j": n}).values[0]
        for name in CLUSTERS:
            np.testing.assert_array_equal(member[name], (near @ middle[name] + middle[name]) > 0)
    blocks = gd.describe(trajectory, [gd.TopologicalClusters(neighbors=gd.Voronoi())], block=37)["topological_clusters"]
    for name in CLUSTERS:
        np.testing.assert_array_equal(blocks.sel(cluster_type=name).values[0], member[name])


def _adjacency(rule):
    def near(configuration):
        n = len(configuration.position)
        around = rule.find(configuration, np.arange(n))
        matrix = np.zeros((n, n))
        matrix[np.repeat(np.arange(n), around.counts), around.index] = 1
        return matrix

    return near


def test_planes_and_crowds_are_refused():
    flat = gd.from_arrays(np.zeros((1, 3, 2)), species=["A"] * 3, box=[4.0] * 2)
    with pytest.raises(ParameterError, match=r"^TopologicalClusters needs three dimensions"):
        gd.describe(flat, [gd.TopologicalClusters(cutoffs=1.0)])
    crowd = gd.from_arrays(np.random.default_rng(0).random((1, 400, 3)) * 4, species=["A"] * 400, box=[4.0] * 3)
    with pytest.raises(ParameterError, match=r"has more than 62 neighbours"):
        gd.describe(crowd, [gd.TopologicalClusters(cutoffs=1.9)]).compute()


def test_kernels_as_plain_python(monkeypatch):
    crystal = built([[0, 0, 0], [0.5, 0.5, 0.5]], ["A", "A"])
    expected = found(crystal, cutoffs=1.2)
    for name in ("centres", "connect_listed", "signature", "count"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    plain = found(crystal.isel(frame=[0]), cutoffs=1.2)
    assert plain["bcc"].all()
    for name in CLUSTERS:
        np.testing.assert_array_equal(plain[name], expected[name])
