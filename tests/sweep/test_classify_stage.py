"""The stage of a sweep that finds classes: those of gd.classify, found once, and refused where they make no sense."""

from __future__ import annotations

import dask
import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError, StoreError
from glassdask.sweep import read_sweep, run_sweep
from tests.sweep.liquids import save_sweep, stored

STAGES = """
[describe]
cutoffs = {A-A = 1.3, A-B = 1.3, B-B = 1.3}
[describe.descriptors.bo]
l_max = 3
[describe.descriptors.coordination]
[reduce]
descriptors = ["bo"]
[classify]
method = "kmeans"
seed = 2
"""


@pytest.fixture(autouse=True)
def _synchronous():
    with dask.config.set(scheduler="synchronous"):
        yield


def test_classes_of_each_state_and_descriptor(tmp_path):
    file = save_sweep(tmp_path, seeds=1, stages=STAGES)
    assert read_sweep(file).stages == ("describe", "reduce", "classify")
    table = run_sweep(file)
    assert (table["classify"] == "complete").all(), table["classify_error"].tolist()
    for path in table["path"]:
        for name in ("bo", "coordination"):
            found = gd.open_reduction(path, f"{name}_classes")
            expected = gd.classify(gd.open_descriptors(path, [name])[name], gd.learning.KMeans(n_classes=2, seed=2))
            np.testing.assert_array_equal(found["assignment"], expected["assignment"])
            np.testing.assert_allclose(found["class_mean"], expected["class_mean"], rtol=1e-6)
        assert gd.store.verify(path) == []
    before = stored(tmp_path)
    run_sweep(file)
    assert stored(tmp_path) == before
    # other classes: what they are made of is kept
    file.write_text(file.read_text().replace("seed = 2", "classes = 3"))
    with pytest.raises(StoreError, match=r"classify of gas/T=0.5000/seed=0: done with other parameters"):
        run_sweep(file)
    run_sweep(file, overwrite=True)
    assert gd.open_reduction(table["path"].iloc[0], "bo_classes").sizes["class"] == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[classify]", '[classify]\ndescriptors = ["sbo"]', r"classify.descriptors: sbo: \[describe\] has bo, coord"),
        ("[classify]", "[classify]\nclasses = 0", "classify.classes: expected a whole number of at least 1"),
        ('"kmeans"', '"means"', "classify.method: expected one of 'mixture', 'kmeans', 'communities', found 'means'"),
        ("[classify]", "[classify]\nn_components = 2", r"\[classify\]: coordination is one number of a particle"),
        ("descriptors.coordination]", 'descriptors.bo_classes]\ntype = "bo"', r"bo_classes is a descriptor, too"),
    ],
)
def test_what_cannot_be_classified(tmp_path, old, new, message):
    file = save_sweep(tmp_path, seeds=1, stages=STAGES)
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ParameterError, match=message):
        read_sweep(file)
