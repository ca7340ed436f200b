"""Classes of particles and maps of them: crystals are told apart, stored, drawn and exported."""

import json

import matplotlib
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import plotting
from glassdask.cli.info import _derived
from glassdask.errors import ParameterError, SchemaError, StoreError
from tests.descriptors.crystals import REACH, crystal
from tests.test_cli import run


def described(kind, noise=0.05, n=4, frames=1):
    one = crystal(kind, n, noise)
    rng = np.random.default_rng(0)
    position = one["position"].values + rng.normal(size=(frames, *one["position"].shape[1:])) * 0.01
    box = np.diag(one["box"].values[0])
    liquid = gd.from_arrays(position, species=["A", "B"] * (position.shape[1] // 2), box=box)
    return liquid, gd.describe(liquid, [gd.SmoothedBondOrder(cutoffs=REACH[kind])])["sbo"]


@pytest.mark.parametrize("model", [None, gd.learning.KMeans(2)], ids=["mixture", "kmeans"])
@pytest.mark.parametrize("options", [{}, {"n_components": 2}, {"scale": True}, {"n_components": 3, "scale": True}])
def test_crystals_are_classes(model, options):
    """Classes common to noisy fcc and bcc are these, in the lattices themselves and in others of the same kind."""
    _, fcc = described("fcc", noise=0.02)
    _, bcc = described("bcc", noise=0.02)
    found = gd.classify(fcc, model, together=[bcc], **options)
    assert found.sizes["class"] == 2
    assert found["share"].values == pytest.approx([256 / 384, 128 / 384], abs=0.01)
    assert (found["assignment"].values == 0).mean() > 0.99
    other = gd.classify(bcc, found)
    assert (other["assignment"].values == 1).mean() > 0.99
    np.testing.assert_allclose(other["class_mean"], found["class_mean"])
    for k, features in enumerate([fcc, bcc]):  # projected on what was classified, and back
        exact = options.get("n_components") is None
        mean = features.values.reshape(-1, 8).mean(axis=0)
        np.testing.assert_allclose(found["class_mean"].values[k], mean, atol=0.01 if exact else 0.03)
    assert found["class_mean"].dims == ("class", "l")
    assert found["assignment"].attrs["classes"] == ["0", "1"]
    again = gd.classify(fcc, found)
    xr.testing.assert_equal(again["assignment"], found["assignment"])
    if model is None:
        np.testing.assert_allclose(found["class_probability"].sum("class"), 1.0)
        np.testing.assert_allclose(again["class_probability"], found["class_probability"], atol=1e-6)
        assert json.loads(found.attrs["reduction"])["bic"] < 1e6


def test_chunks_and_centres(monkeypatch):
    """Of several frames in chunks as of all of them in memory; only centres are classified, others are NaN."""
    liquid, _ = described("fcc", frames=6)
    lazy = gd.describe(liquid.chunk(frame=1), [gd.SmoothedBondOrder(cutoffs=0.85)], centers="B")["sbo"]
    expected = gd.classify(lazy.load().copy())
    monkeypatch.setattr("glassdask.descriptors.reduce.FIT_CHUNKS", 2)
    lazy = gd.describe(liquid.chunk(frame=1), [gd.SmoothedBondOrder(cutoffs=0.85)], centers="B")["sbo"]
    found = gd.classify(lazy)
    assert found["assignment"].chunks is not None
    np.testing.assert_allclose(found["share"], expected["share"], atol=1e-9)
    np.testing.assert_array_equal(found["assignment"].values, expected["assignment"].values)
    inside = liquid["species"].values == "B"
    assert np.isnan(found["assignment"].values[:, ~inside]).all()
    assert np.isfinite(found["assignment"].values[:, inside]).all()
    assert json.loads(found.attrs["reduction"])["n_samples"] == 6 * 128


def test_what_is_no_model():
    _, features = described("fcc")
    for model in ("kmeans", gd.learning.PCA()):
        with pytest.raises(ParameterError, match="model: expected one of GaussianMixture, KMeans"):
            gd.classify(features, model)
    with pytest.raises(ParameterError, match="model: the dataset is none of classify"):
        gd.classify(features, gd.reduce(features))
    with pytest.raises(ParameterError, match="leave n_components and scale out"):
        gd.classify(features, gd.learning.CommunityInference(), scale=True)
    found = gd.classify(features)
    with pytest.raises(ParameterError, match="n_components, scale and together are known"):
        gd.classify(features, found, n_components=2)
    with pytest.raises(SchemaError, match="features: its l differs from that of what was classified"):
        gd.classify(features[..., :4], found)


def test_maps():
    """Two crystals are two groups: of each particle's ten nearest on the map nine are of its own kind."""
    _, fcc = described("fcc")
    _, bcc = described("bcc")
    both = xr.concat([fcc.drop_vars("species"), bcc.drop_vars("species")], "particle").drop_attrs()
    found = gd.embed(both, n_samples=200, perplexity=15, scale=True)
    place, kind = found["embedding"].values, found["particle"].values >= 256
    apart = np.square(place[:, None] - place[None]).sum(axis=-1)
    nearest = np.argsort(apart, axis=1)[:, 1:11]
    assert (kind[nearest] == kind[:, None]).mean() > 0.9
    assert len(np.unique(found["particle"])) == 200
    xr.testing.assert_equal(gd.embed(both, n_samples=200, perplexity=15, scale=True), found)
    for values in (None, both[..., 0], xr.DataArray(np.array(["A", "B"] * 192), dims="particle", name="species")):
        drawn, axes = plotting.figure()
        table = plotting.embedding(axes[0, 0], found, values)
        assert len(table["x"]) == 200
        assert len(drawn.axes) == (2 if values is not None and values.name == "sbo" else 1)
    with pytest.raises(ParameterError, match="needs at least 31: take more samples or a lower one"):
        gd.embed(both, n_samples=20)
    with pytest.raises(ParameterError, match="all 60 particles have the same sbo: there is nothing to map"):
        gd.embed(both * 0.0, n_samples=60)
    with pytest.raises(ParameterError, match="perplexity: expected a positive finite number"):
        gd.embed(both, perplexity=0)


@pytest.fixture
def store(tmp_path):
    liquid, _ = described("fcc", noise=0.07, frames=3)
    gd.save_trajectory(liquid, tmp_path / "liquid.zarr")
    features = gd.describe(
        gd.open_trajectory(tmp_path / "liquid.zarr"),
        [gd.SmoothedBondOrder(cutoffs=0.85), gd.RadialDensity(grid=[0.6, 0.7, 0.8, 0.9])],
    )
    gd.save_descriptors(features, tmp_path / "liquid.zarr")
    return tmp_path / "liquid.zarr"


def test_in_the_shell_as_in_python(monkeypatch, capsys, store):
    commands = {
        ("sbo", "--components", "2"): gd.learning.GaussianMixture(2),
        ("sbo", "--method", "kmeans", "--classes", "3", "--scale", "--name", "k"): gd.learning.KMeans(3),
        ("radial_density", "--method", "communities"): gd.learning.CommunityInference(2),
    }
    features = gd.open_descriptors(store)
    for words, model in commands.items():
        code, out, error = run(monkeypatch, capsys, "classify", store, *words, "-q")
        assert (code, error) == (0, "")
        name = "k" if "k" in words else f"{words[0]}_classes"
        assert f"reductions/{name}" in out
        assert out.count("% of the particles") == model.n_classes
        options = {"n_components": 2} if "--components" in words else {"scale": "--scale" in words}
        expected = gd.classify(features[words[0]], model, **options)
        found = gd.open_reduction(store, name)
        np.testing.assert_array_equal(found["assignment"], expected["assignment"])
        np.testing.assert_allclose(found["class_mean"], expected["class_mean"])
        code, out, _ = run(monkeypatch, capsys, "plot", store, name, "-o", store.parent / f"{name}.png")
        assert code == 0
        assert (store.parent / f"{name}.png").stat().st_size > 5000
        assert run(monkeypatch, capsys, "classify", store, *words, "-q", "--json")[0] == 0  # nothing is to be done
    assert all(state == "" for _, state, _ in _derived(store)["reduced"].values())
    code, _, error = run(monkeypatch, capsys, "classify", store, "sbo", "--classes", "4", "-q")
    assert code == 1
    assert "sbo_classes" in error
    code, _, error = run(monkeypatch, capsys, "classify", store, "sbo", "--components", "9", "-q")
    assert code == 1
    assert "--components 9: sbo has 8 features" in error
    code, out, _ = run(monkeypatch, capsys, "plot", store)
    assert "classes: what each is like" in out


def test_classes_are_drawn_and_exported(monkeypatch, capsys, store):
    assert run(monkeypatch, capsys, "classify", store, "sbo", "--components", "2", "-q")[0] == 0
    picture, of = store.parent / "p.png", "reductions/sbo_classes/assignment"
    assert run(monkeypatch, capsys, "plot", store, "particles", "--color", of, "-o", picture)[0] == 0
    table = np.genfromtxt(picture.with_suffix(".csv"), delimiter=",", names=True)
    assert set(np.unique(table["value"])) <= {0.0, 1.0}
    file = store.parent / "l.extxyz"
    assert run(monkeypatch, capsys, "export", store, "-o", file, "--with", of)[0] == 0
    assert "sbo_classes_assignment:R:1" in file.read_text().splitlines()[1]
    for color in ("species", of, "sbo_6"):
        words = ("embed", store, "sbo", "--samples", "60", "--perplexity", "10", "--color", color)
        assert run(monkeypatch, capsys, *words, "-o", store.parent / "map.png")[0] == 0
    code, _, error = run(monkeypatch, capsys, "embed", store, "sbo", "--color", "sbo", "-o", store.parent / "x.png")
    assert code == 1
    assert "it has 8 numbers: choose one of sbo_1" in error


def test_what_is_stored_is_what_was_found(store):
    features = gd.open_descriptors(store)["sbo"]
    found = gd.classify(features, n_components=2)
    gd.save_reduction(found, store, "mine")
    drawn, table = plotting.classes(gd.open_reduction(store, "mine"))
    assert len(drawn.axes) == 3
    assert sum(isinstance(each, matplotlib.patches.Ellipse) for each in drawn.axes[0].patches) == 2
    np.testing.assert_allclose(table["part A"].sum(), 1.0)
    with pytest.raises(StoreError, match="changed since"):
        gd.save_reduction(found.assign(share=found["share"] * 0), store, "other")
    np.testing.assert_array_equal(
        gd.classify(features, gd.open_reduction(store, "mine"))["assignment"], found["assignment"]
    )
