"""Principal components that all temperatures have in common: those of all rows together, however they are found."""

from __future__ import annotations

from pathlib import Path

import dask
import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError, SchemaError, StoreError
from glassdask.learning import PCA
from glassdask.sweep import read_sweep, run_sweep, status
from tests.sweep.liquids import save_liquid, save_sweep, stored

STAGES = """
[describe]
cutoffs = {A-A = 1.3, A-B = 1.3, B-B = 1.3}
centers = "A"
[describe.descriptors.bo]
l_max = 3
[common]
n_components = 2
"""


@pytest.fixture(autouse=True)
def _synchronous():
    with dask.config.set(scheduler="synchronous"):
        yield


def check_common(paths):
    """The components, their shares and the projections are those of the stacked matrix of all states."""
    matrices = [np.asarray(gd.feature_matrix(gd.open_descriptors(path)["bo"]), dtype=float) for path in paths]
    pca = PCA(n_components=2).fit(np.vstack(matrices))
    for path, matrix in zip(paths, matrices):
        found = gd.open_reduction(path, "bo_common").load()
        np.testing.assert_allclose(found["direction"], pca.components_, atol=1e-6)
        np.testing.assert_allclose(found["explained_variance_ratio"], pca.explained_variance_ratio_, atol=1e-6)
        projection = gd.feature_matrix(found["projection"])
        np.testing.assert_allclose(projection, pca.transform(matrix), atol=1e-5)
        assert gd.store.verify(path) == []


def test_they_are_those_of_all_rows_together(tmp_path):
    file = save_sweep(tmp_path, temperatures=(0.5, 0.6, 0.7), seeds=1, stages=STAGES)
    assert read_sweep(file).stages == ("describe", "moments", "common")
    table = run_sweep(file)
    assert (table[["describe", "moments", "common"]] == "complete").all().all(), table["common_error"].tolist()
    check_common(table["path"])
    before, seen = stored(tmp_path), []
    run_sweep(file, progress=lambda done, total: seen.append(total))
    assert seen == [0]
    assert stored(tmp_path) == before

    # another temperature: what is common to all is out of date, what each has of its own is not
    save_liquid(tmp_path / "data/gas/T=0.8/0.zarr", 900)
    with pytest.raises(StoreError, match=r"common of gas/T=0.5000/seed=0: done with other parameters"):
        run_sweep(file)
    table = run_sweep(file, overwrite=True, progress=lambda done, total: seen.append(total))
    assert seen[-1] == 3 + 3  # all units of the new state, and the common ones of the others
    check_common(table["path"])

    # other components: what they are found from stays
    file.write_text(file.read_text().replace("n_components = 2", "n_components = 3"))
    with pytest.raises(
        StoreError, match=r"--overwrite to replace it \(that makes common of 4 states anew and keeps all"
    ):
        run_sweep(file)
    moments = {path: (Path(path) / "reductions/bo_moments/zarr.json").stat().st_mtime_ns for path in table["path"]}
    run_sweep(file, overwrite=True, progress=lambda done, total: seen.append(total))
    assert seen[-1] == 4
    assert all((Path(p) / "reductions/bo_moments/zarr.json").stat().st_mtime_ns == at for p, at in moments.items())
    # of a descriptor more, only what it adds
    file.write_text(file.read_text().replace("[common]", "[describe.descriptors.ld]\nl_max = 3\n[common]"))
    with pytest.raises(StoreError, match=r"makes describe of 4 states and moments of 4 states and common of 4"):
        run_sweep(file)
    bo = {path: (Path(path) / "descriptors/bo/zarr.json").stat().st_mtime_ns for path in table["path"]}
    table = run_sweep(file, overwrite=True)
    assert (table["common"] == "complete").all()
    assert all((Path(p) / "descriptors/bo/zarr.json").stat().st_mtime_ns == at for p, at in bo.items())


def test_on_a_cluster_and_in_shares_they_are_the_same(tmp_path, two_workers):
    file = save_sweep(tmp_path, temperatures=(0.5, 0.6, 0.7), seeds=1, stages=STAGES)
    table = run_sweep(file, two_workers)
    assert (table["common"] == "complete").all(), table["common_error"].tolist()
    check_common(table["path"])


def test_shares_wait_for_each_other(tmp_path):
    file = save_sweep(tmp_path, temperatures=(0.5, 0.6, 0.7), seeds=1, stages=STAGES)
    table = run_sweep(file, share=(1, 2))
    assert (table["common"] == "absent").all()
    assert (table["moments"] == "complete").tolist() == [True, False, True]
    table = run_sweep(file, share=(2, 2))
    assert (table["common"] == "complete").tolist() == [False, True, False]
    table = run_sweep(file, share=(1, 2))
    assert (table["common"] == "complete").all()
    check_common(table["path"])


def test_what_fails_in_one_state_is_waited_for_in_all(tmp_path):
    file = save_sweep(tmp_path, temperatures=(0.5, 0.6), seeds=1, stages=STAGES)
    chunk = next(f for f in (tmp_path / "data/gas/T=0.6/0.zarr/position/c").rglob("*") if f.is_file())
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-1] + b"x")
    table = run_sweep(file)
    assert table["moments"].tolist() == ["complete", "waiting"]
    assert table["common"].tolist() == ["waiting", "waiting"]
    assert status(table.attrs["store"])["common"].tolist() == ["waiting", "waiting"]
    chunk.write_bytes(whole)
    table = run_sweep(file, retry=True)
    assert (table["common"] == "complete").all(), table.T
    check_common(table["path"])


def test_other_centers_are_refused(tmp_path):
    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=1, stages=STAGES)
    save_liquid(tmp_path / "more/T=0.9.zarr", 5)
    file.write_text(
        file.read_text().replace("[describe]\n", "[[runs]]\ntrajectories = 'more/T={temperature}.zarr'\nmodel = 'gas'\n"
                                 "centers = 'B'\n[describe]\n", 1)
    )  # fmt: skip
    with pytest.raises(ParameterError, match=r"states of gas have other centers \(.*\): name the models apart"):
        read_sweep(file)
    file.write_text(file.read_text().replace("[common]", "[common]\ndescriptors = ['sbo']"))
    with pytest.raises(ParameterError, match=r"common.descriptors: sbo: \[describe\] has bo"):
        read_sweep(file)


def test_in_python_several_features_are_reduced_together():
    liquid = gd.example("wahnstrom").isel(particle=slice(0, 900))
    parts = [gd.describe(liquid.isel(frame=[k]), gd.BondOrder(cutoffs=1.4))["bo"] for k in range(3)]
    whole = gd.reduce(gd.describe(liquid, gd.BondOrder(cutoffs=1.4))["bo"])
    found = gd.reduce(parts[1], together=[parts[0], parts[2]])
    np.testing.assert_allclose(found["direction"], whole["direction"], atol=1e-9)
    np.testing.assert_allclose(found["explained_variance"], whole["explained_variance"], atol=1e-12)
    np.testing.assert_allclose(found["projection"], whole["projection"].isel(frame=[1]), atol=1e-9)
    np.testing.assert_allclose(gd.project(parts[2], found), whole["projection"].isel(frame=[2]), atol=1e-9)
    with pytest.raises(SchemaError, match=r"together\[0\]: its l differs"):
        gd.reduce(parts[0], together=[parts[1].isel(l=slice(3))])
    with pytest.raises(ParameterError, match="only the exact method"):
        gd.reduce(parts[0], together=[parts[1]], method="incremental")
