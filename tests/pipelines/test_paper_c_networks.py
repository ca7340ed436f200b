"""Which of paper C's networks is taken, and what is said of numbers that come from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch")

from paper_c import images, needs, readings, sections, sources, structure
from paper_c.published import KAM, SYSTEMS
from report import Report

LABELS = np.array(["glass", "liquid"] * 2)
SAMPLE: Any = SimpleNamespace(title="KAM", system=KAM, classes=["glass", "liquid"], labels=lambda role: LABELS)


@dataclass
class Trained:
    """What a network that was trained has of itself: a seed, and how well it knows the validation's images."""

    seed: int

    @property
    def validation_loss_(self):
        return [0.1, (0.5, 0.2, 0.3)[self.seed]]


@pytest.mark.parametrize(("blind", "taken"), [((), 1), ((1,), 2), ((0, 1, 2), 1)])
def test_which_network_is_taken(blind, taken, monkeypatch, tmp_path):
    """The one that knows the validation best, but for one whose Grad-CAM of the glass is nothing."""

    def cam(model, seen, label):
        return np.full(len(seen), float(label == "liquid" or model.seed not in blind))

    monkeypatch.setattr(images, "train", lambda sample, network, *_: Trained(network["seed"]))
    monkeypatch.setattr(images, "grad_cam", cam)
    monkeypatch.setattr(images, "of_role", lambda *_: da.zeros((4, 1, 8, 8)))
    assert images.chosen(SAMPLE, {}, tmp_path, images.Pictures(0.7), 3).seed == taken


def rows(*values):
    """Networks of one kind that tell the classes, with a correlation each."""
    right = {"glass": 1.0, "liquid": 1.0}
    return [
        readings.Row("KAM", "own", "", "", seed, right, {c: [(value, 0.1)] * 3 for c in right}, {"glass": 6}, 3.0, 0.1)
        for seed, value in enumerate(values)
    ]


def compared(study, known, telling):
    """Numbers of Table S2, published as 0.3 and 0.9 where ours are 0.3: with Gamma, and without."""
    report = Report(Path("unwritten"), "Paper C")
    for quantity, most in (("C(Gamma, Upsilon)", telling), ("C(Theta, Upsilon)", np.inf)):
        for published in (0.3, 0.9):
            report.compare(sections.Comparison("Table S2", "KAM, glass", quantity, published, 0.3, 0.01, telling=most))
    found = [readings._judged(readings._of_networks(c, study, known), study, known) for c in report.comparisons]
    report.comparisons = found
    needs.decide([study], report)
    return report.comparisons


def test_a_network_at_chance_decides_nothing():
    """Neither that a number with Gamma agrees nor why it differs; numbers without Gamma are judged as ever."""
    study = sections.Study(SAMPLE, sources.HOUR["KAM"], able=False)
    found = compared(study, rows(0.9), telling=0.0)
    assert [c.verdict for c in found] == ["undecided", "undecided", "agrees", "differs, with a reason shown"]
    assert all(c.core_hours > 1 for c in found[:2])
    able = compared(replace(study, able=True), rows(0.9), telling=sections.VAGUE)
    assert [c.verdict for c in able] == ["agrees", "differs, with a reason shown"] * 2


def test_networks_that_differ_in_their_seed():
    """Their spread is a part of the error of what Gamma gives, and where it is large agreement says nothing."""
    study = sections.Study(SAMPLE, sources.HOUR["KAM"])
    found = compared(study, rows(0.3, 0.34), telling=sections.VAGUE)
    assert found[0].error == pytest.approx(np.hypot(0.01, 0.04 / np.sqrt(2)))
    assert found[2].error == 0.01
    assert found[0].verdict == "agrees"
    wide = compared(study, rows(0.3, 0.6), telling=sections.VAGUE)
    assert wide[0].verdict == "undecided"
    some = [replace(row, accuracy={"glass": 0.5, "liquid": 0.5}) for row in rows(0.3, 0.6)]
    assert compared(study, some, telling=sections.VAGUE)[0].error == 0.01


def test_a_step_that_is_too_small_shows_nothing():
    """A reading has to leave at most half of the difference, even where the spread of all reaches beyond it."""
    study = sections.Study(SAMPLE, sources.HOUR["KAM"])
    published = sections.Comparison("Table S2", "KAM, glass", "C(Gamma, Upsilon)", -0.828, -0.79, 0.001)
    near, far = (readings._judged(published, study, rows(value)) for value in (-0.82, -0.803))
    assert near.shown
    assert not far.shown


def test_the_paper_beside_another_training():
    """Where a profile's network is another one, the paper's is the next, without what the paper does not do."""
    sizes = replace(sources.HOUR["KAM"], network=sources.FEW | {"epochs": 9}, literal=sources.literal(12, 30), seeds=3)
    own, near, literal, *_ = readings.variants(KAM, sizes)
    assert own.network == sources.FEW | {"epochs": 9}
    assert list(own.seeds) == [0, 1, 2]
    assert near.network == sources.NEAR | {"epochs": 9}
    assert (own.name, near.name) == ("kernels of 5, 6, 5 points", "kernels of 3, 3, 3 points")
    model = images.ConvolutionalClassifier(**{**sizes.network, **literal.network})
    assert (literal.name, model.augment, model.standardize, model.decay) == ("as the paper", False, False, 1.0)
    assert model.strides == (1, 1, 1)
    for profile in (sources.SMALL, sources.HOUR, sources.DAY):
        for name, some in profile.items():
            for variant in readings.variants(SYSTEMS[name], some):
                images.ConvolutionalClassifier(**{**some.network, **variant.network}).check_parameters()


def test_the_size_of_a_domain_is_where_zero_is_within_the_spread():
    """C(r) = 1 - r / 5 with a spread of 0.2 over configurations: 4; of one configuration, where it is zero itself."""
    r = np.arange(0.25, 8.0, 0.5)
    mean = xr.DataArray(1.0 - r / 5.0, dims="r", coords={"r": r})
    curves = xr.concat([mean - 0.2, mean + 0.2], "frame")
    assert structure.domain(curves) == pytest.approx(4.0)
    assert structure.domain(curves.isel(frame=[0]) + 0.2) == pytest.approx(5.0)
