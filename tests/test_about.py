"""What datasets say of themselves, and that notebooks show it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

import glassdask as gd


@pytest.fixture(scope="module")
def liquid():
    return gd.example("wahnstrom").isel(frame=slice(2), particle=slice(0, 400))


@pytest.fixture(scope="module")
def features(liquid):
    return gd.describe(liquid, [gd.BondOrder(cutoffs=1.4), gd.Coordination(cutoffs=1.4)], centers="A")


def test_a_trajectory_says_its_physics(liquid):
    told = liquid.glassdask.lines()
    assert told[""] == "a trajectory of wahnstrom, temperature 0.58"
    assert told["particles"] == "N = 400 in 3 dimensions: 400 A (100 %)"
    assert told["frames"] == "2, t = 0 to 160, 160 apart"
    edge = liquid["box"].values[0, 0, 0]
    assert f"density {400 / edge**3:.6g}" in told["box"]


def test_features_and_reductions_say_what_they_are_of(features):
    told = features.glassdask.lines()
    assert told["bo"].startswith("bo: l (8); of A; cutoffs 1.4, ")
    assert told["of"] == "400 particles in 2 frames"
    assert told["values"] == "not computed yet"
    assert features["bo"].load().glassdask.lines()["values"] == "in memory"
    reduced = gd.reduce(features["bo"], n_components=2)
    told = reduced.glassdask.lines()
    share = 100 * reduced["explained_variance_ratio"].values[0]
    assert told[""] == "principal components of bo of A"
    assert told["components"].startswith(f"2; of the variance {share:.3g} %")
    made = json.loads(reduced.attrs["reduction"])
    assert made["n_samples"] + made["n_undefined"] == 800
    assert told["fitted to"].startswith(f"{made['n_samples']} particles of all frames, {made['n_undefined']} more")


def test_what_is_not_ours_says_nothing(features):
    assert repr(xr.Dataset({"a": ("x", np.arange(3))}).glassdask) == "nothing that glassdask has made"
    assert (features["bo"] * 2).drop_attrs().glassdask.lines() == {}


def test_notebooks_show_it_above_what_xarray_shows(liquid):
    IPython = pytest.importorskip("IPython")
    from IPython.testing.globalipapp import start_ipython

    from glassdask.about import in_notebooks

    shell = IPython.get_ipython() or start_ipython()
    in_notebooks()
    html = shell.display_formatter.formatters["text/html"]  # which a terminal does not show
    named = liquid.assign_attrs(model="<b>")
    assert html.lookup(named)(named).startswith("<div><b>a trajectory of &lt;b&gt;, temperature 0.58</b>")
    assert html.lookup(named)(named).count("xr-header") == named._repr_html_().count("xr-header") > 0
    other = xr.Dataset({"a": ("x", np.arange(3))})
    assert html.lookup(other)(other)[:20] == other._repr_html_()[:20]


def test_what_one_sees_after_a_dot_is_public():
    for name in ("correlations", "dynamics", "plotting", "cluster", "store", "io", "drawing"):
        room = getattr(gd, name)
        assert dir(room) == sorted(room.__all__)
    assert all(callable(getattr(gd.dynamics, name)) for name in dir(gd.dynamics))
