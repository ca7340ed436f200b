"""What is drawn: the numbers that were given, where they were given."""

from __future__ import annotations

import errno
import io
import os

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import glassdask as gd
from glassdask import plotting
from glassdask.cli import app
from glassdask.errors import GlassdaskError, ParameterError, SchemaError, StoreError


def test_heat_table(tmp_path):
    drawn, axes = plotting.figure()
    ax = axes[0, 0]
    plotting.heat_table(ax, np.array([[1.0, -0.25, np.nan], [0.0, 0.5, -1.0]]), ["a", "b"], ["1", "2", "3"])
    written = {tuple(round(c) for c in text.get_position()): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "1.00", (1, 0): "-0.25", (0, 1): "0.00", (1, 1): "0.50", (2, 1): "-1.00"}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "3"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    image = ax.images[0]
    red, blue = (image.cmap(image.norm(value)) for value in (0.9, -0.9))
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    plotting.save(drawn, tmp_path / "table", {"r": [1.0]})
    assert (tmp_path / "table.png").stat().st_size > 1000
    assert (tmp_path / "table.csv").read_text() == "r\n1.0\n"


def test_direction_of_soap_is_a_map():
    """A row for each l, a column for each n, n': every number where its indices say, whatever the order of features."""
    l, n, n2 = (grid.ravel() for grid in np.meshgrid([0, 1, 2], [1, 2, 3], [1, 2, 3], indexing="ij"))
    kept = np.flatnonzero(n2 >= n)[np.random.default_rng(0).permutation(18)]
    kept = kept[np.lexsort((n2[kept], n[kept]))]
    indices = {f"soap_{key}": ("soap_feature", of[kept]) for key, of in (("l", l), ("n", n), ("n2", n2))}
    values = xr.DataArray((l + 10.0 * n - n2)[kept], dims="soap_feature", coords=indices)
    _, axes = plotting.figure()
    plotting.direction(axes[0, 0], values)
    (image,) = axes[0, 0].images
    columns = [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3)]
    np.testing.assert_array_equal(image.get_array(), [[k + 10.0 * a - b for a, b in columns] for k in range(3)])
    assert [tick.get_text() for tick in axes[0, 0].get_xticklabels()] == ["1", "2", "3"]
    assert image.get_clim() == (-29.0, 29.0)


def test_bins_fit_the_statistics():
    """As wide as Freedman and Diaconis say, in one dimension and in two; the noise of counting is drawn."""
    x, y = np.random.default_rng(1).normal(size=(2, 16000))
    _, axes = plotting.figure(1, 2)
    middle, p = plotting.distribution(axes[0, 0], x)
    iqr = np.subtract(*np.percentile(x, [75, 25]))
    assert middle[1] - middle[0] == pytest.approx(2 * iqr * 16000 ** (-1 / 3), rel=0.05)
    band = axes[0, 0].collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() - p.max() == pytest.approx(np.sqrt(p.max() / (16000 * (middle[1] - middle[0]))), rel=0.05)
    found = plotting.density(axes[0, 1], x, y)
    width = np.unique(found["x1"])[1] - np.unique(found["x1"])[0]
    assert width == pytest.approx(2 * iqr * 16000 ** (-1 / 4), rel=0.1)
    area = width * np.diff(np.unique(found["x2"]))[0]
    assert found["density"].sum() * area == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(("where", "remedy"), [("none/x", "make its folder first"), ("file/x", "a parent is a file")])
def test_a_plot_makes_no_folders(tmp_path, where, remedy):
    drawn, _ = plotting.figure()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=rf"x\.png: cannot be written .*{remedy}"):
        plotting.save(drawn, tmp_path / where, {"r": [1.0]})
    with pytest.raises(StoreError, match=rf"x\.csv: cannot be written .*{remedy}"):
        plotting.write_table(tmp_path / f"{where}.csv", {"r": [1.0]})
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("suffix", [".png", ".csv"])
def test_a_full_disk_keeps_the_plot_before(tmp_path, monkeypatch, suffix):
    drawn, _ = plotting.figure()
    plotting.save(drawn, tmp_path / "x", {"r": [1.0]})
    before = (tmp_path / "x.png").read_bytes(), (tmp_path / "x.csv").read_bytes()
    sync = os.fsync

    def refuse(descriptor):
        if suffix in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=rf"x\{suffix}: cannot be written .*MB are free in .*free space"):
        plotting.save(drawn, tmp_path / "x", {"r": [1.0]})
    assert before == ((tmp_path / "x.png").read_bytes(), (tmp_path / "x.csv").read_bytes())
    assert len(list(tmp_path.iterdir())) == 2


def test_names_that_only_look_like_formulas(tmp_path):
    """A species from elsewhere may have any name; formulas stay formulas."""
    drawn, axes = plotting.figure()
    names = [r"$\frac{$", "a$\nb$", r"$\undefined{x}$", "$q$", "5 $"]
    drawn_names = [axes[0, 0].text(0.5, 0.5, name) for name in names]
    plotting.save(drawn, tmp_path / "names.png")
    assert [text.get_parse_math() for text in drawn_names] == [False, False, False, True, True]


def test_curve():
    _, axes = plotting.figure()
    ax = axes[0, 0]
    plotting.curve(ax, np.array([1.0, 2.0]), np.array([0.2, 0.4]), np.array([0.1, 0.05]), color="red")
    plotting.curve(ax, np.array([1.0, 2.0]), np.array([0.2, 0.4]))
    assert len(ax.lines) == 2
    assert len(ax.collections) == 1
    corners = ax.collections[0].get_paths()[0].vertices
    assert {tuple(point) for point in corners.round(3)} == {(1.0, 0.1), (1.0, 0.3), (2.0, 0.35), (2.0, 0.45)}


def mixture(n_space=3, **more):
    rng = np.random.default_rng(0)
    position = 6.0 * rng.random((2, 60, n_space))
    return gd.from_arrays(position, species=["A", "B"] * 30, box=[6.0] * n_space, **more)


def test_discs_are_particles_with_their_sizes_and_values():
    sizes = np.random.default_rng(1).uniform(0.5, 1.5, 60)
    flat = mixture(2, diameter=sizes)
    values = xr.DataArray(
        np.arange(120.0).reshape(2, 60), dims=("frame", "particle"), name="q", attrs={"units": "energy"}
    )
    values[1, 7] = np.nan
    drawn, axes = plotting.figure()
    ax = axes[0, 0]
    table = plotting.snapshot(ax, flat, values, frame=-1)
    discs = ax.collections[0]
    np.testing.assert_array_equal(discs.get_offsets(), flat["position"][1])
    np.testing.assert_array_equal(discs._widths * 2, sizes)
    np.testing.assert_array_equal(table["value"], values[1])
    drawn.savefig(io.BytesIO())
    colours = discs.get_facecolor()
    assert colours[7].tolist() == pytest.approx([0xD9 / 255] * 3 + [1.0])
    np.testing.assert_allclose(colours[0], discs.cmap(0.0))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x$ (length)", "$y$ (length)")
    assert drawn.axes[1].get_ylabel() == "q (energy)"
    box = ax.get_window_extent()
    low, high = ax.transData.transform([(0.0, 0.0), (1.0, 1.0)])
    assert high[0] - low[0] == pytest.approx(high[1] - low[1])  # discs, not ellipses
    assert box.width > 50


@pytest.mark.parametrize("normal, across", [("x", [1, 2]), ("y", [0, 2]), ("z", [0, 1])])
def test_a_slice_shows_what_is_in_it_the_nearest_on_top(normal, across):
    bulk = mixture()
    _, axes = plotting.figure()
    table = plotting.snapshot(axes[0, 0], bulk, normal=normal, between=(1.0, 3.0), diameters={"A": 1.0, "B": 0.8})
    depth = bulk["position"][0, :, "xyz".index(normal)].values
    assert sorted(table["particle"]) == np.flatnonzero((depth >= 1.0) & (depth < 3.0)).tolist()
    assert (np.diff(depth[table["particle"]]) >= 0).all()
    np.testing.assert_array_equal(
        np.stack([table["x"], table["y"]], 1), bulk["position"][0, table["particle"]][:, across]
    )
    np.testing.assert_array_equal(table["diameter"], np.where(bulk["species"][table["particle"]] == "A", 1.0, 0.8))
    assert [text.get_text() for text in axes[0, 0].get_legend().get_texts()] == ["A", "B"]


def test_absent_particles_are_not_drawn():
    present = np.ones((2, 60), dtype=bool)
    present[0, :20] = False
    _, axes = plotting.figure()
    assert plotting.snapshot(axes[0, 0], mixture(2, present=present))["particle"].tolist() == list(range(20, 60))


@pytest.mark.parametrize(
    "how, error, message",
    [
        ({"frame": 2}, ParameterError, "frame 2 is not there: the trajectory has 2"),
        ({"normal": "w"}, ParameterError, "expected 'x', 'y' or 'z'"),
        ({"between": (7.0, 8.0)}, ParameterError, "is no particle: choose another slice"),
        ({"diameters": {"A": 1.0}}, ParameterError, "none of species B"),
        (
            {"values": xr.DataArray(np.zeros((60, 3)), dims=("particle", "l"))},
            SchemaError,
            "one number for each particle",
        ),
        ({"values": xr.DataArray(np.zeros(5), dims="particle")}, SchemaError, "give values of the same particles"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(how, error, message):
    _, axes = plotting.figure()
    with pytest.raises(error, match=message):
        plotting.snapshot(axes[0, 0], mixture(), how.pop("values", None), **how)


def test_a_view_has_every_particle():
    pytest.importorskip("plotly")
    values = xr.DataArray(np.where(np.arange(60) < 10, np.nan, 1.0), dims="particle", name="q")
    for chosen, sizes in ((None, [30, 30]), (values, [50, 10])):
        drawn = plotting.view(mixture(), chosen, diameters=1.0)
        assert [len(trace.x) for trace in drawn.data[:-1]] == sizes
    assert drawn.data[0].marker.colorbar.title.text == "q"


def test_structures_have_their_names():
    crystal = mixture()
    codes = np.arange(60) % 2.0
    attrs = {"classes": ["other", "fcc"]}
    drawn, axes = plotting.figure()
    plotting.snapshot(axes[0, 0], crystal, xr.DataArray(codes, dims="particle", attrs=attrs))
    assert [label.get_text() for label in drawn.axes[-1].get_yticklabels()] == ["other", "fcc"]


def test_snapshots_from_the_command_line(tmp_path):
    store = tmp_path / "x.zarr"
    gd.save_trajectory(
        mixture().assign(charge=("particle", np.arange(60.0)), q=(("particle", "l"), np.zeros((60, 2)))), store
    )
    for name in ("species", "charge", "q_1"):
        result = CliRunner().invoke(
            app, ["plot", str(store), "particles", "--color", name, "-o", str(tmp_path / "x.png"), "--frame", "-1"]
        )
        assert result.exit_code == 0, result.output
        assert (tmp_path / "x.png").stat().st_size > 5000
    for arguments, message in (
        ([], "say what is to be drawn: one of particles"),
        (["particles", "--color", "q"], "it has 2 numbers: choose one of q_0, q_1"),
        (["particles", "--color", "r"], "expected a variable of the trajectory"),
        (["particles", "--color", "charge", "--between", "3"], "expected two numbers"),
    ):
        found = CliRunner().invoke(app, ["plot", str(store), *arguments, "-o", str(tmp_path / "y.png")])
        assert isinstance(found.exception, GlassdaskError)
        assert message in str(found.exception)
