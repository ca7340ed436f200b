"""The stage *dynamics*: what it stores is what the functions give, once, and what cannot be measured is told."""

from __future__ import annotations

import dask
import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError
from glassdask.sweep import read_sweep, run_sweep
from tests.sweep.liquids import save_sweep, stored

STAGES = """
[dynamics]
quantities = ["chi4", "fs:k=3.6", "chi4:name='narrow',a=0.1"]
"""


@pytest.fixture(autouse=True)
def _synchronous():
    with dask.config.set(scheduler="synchronous"):
        yield


def test_events_of_every_state(tmp_path):
    """Hops, rearrangements and bonds are stored as curves are; fields of particles, too."""
    stages = """
[dynamics]
quantities = ["hops:threshold=0.01", "d2min:lags=[1.0],cutoffs=1.3", "cb:lags=[1.0],cutoffs=1.2"]
"""
    table = run_sweep(save_sweep(tmp_path, seeds=1, stages=stages, frames=12))
    assert (table["dynamics"] == "complete").all(), table["dynamics_error"].tolist()
    for path in table["path"]:
        t = gd.open_trajectory(path)
        found = gd.open_reduction(path, "hops")
        window = found.attrs["window"]
        expected = gd.dynamics.hop_statistics(t, window=window, threshold=0.01)
        np.testing.assert_array_equal(found["hop_rate"], expected["hop_rate"])
        field = gd.dynamics.nonaffine_motion(t, [1.0], cutoffs=1.3)
        np.testing.assert_array_equal(gd.open_reduction(path, "d2min")["d2min"], field["d2min"])


def test_quantities_of_every_state(tmp_path):
    file = save_sweep(tmp_path, seeds=1, stages=STAGES, frames=6)
    sweep = read_sweep(file)
    assert sweep.stages == ("dynamics",)
    assert sweep.states[0].units["dynamics"].groups == ("reductions/chi4", "reductions/fs", "reductions/narrow")
    table = run_sweep(file)
    assert (table["dynamics"] == "complete").all(), table["dynamics_error"].tolist()
    for path in table["path"]:
        t = gd.open_trajectory(path)
        spacing = (27 / 30) ** (1 / 3)
        for name, expected in {
            "chi4": gd.dynamics.dynamic_susceptibility(t, a=float(f"{0.3 * spacing:.4g}")),
            "fs": gd.dynamics.self_intermediate_scattering(t, k=3.6),
            "narrow": gd.dynamics.dynamic_susceptibility(t, a=0.1),
        }.items():
            found = gd.open_reduction(path, name)
            for variable in expected:
                np.testing.assert_array_equal(found[variable], expected[variable])
        assert gd.store.verify(path) == []
    # again: nothing is done; another quantity: the others stay as they are
    before = stored(tmp_path)
    seen = []
    run_sweep(file, progress=lambda done, total: seen.append(total))
    assert seen == [0]
    assert stored(tmp_path) == before
    file.write_text(file.read_text().replace('["chi4", ', '["msd", "chi4", '))
    table = run_sweep(file, overwrite=True)
    assert (table["dynamics"] == "complete").all()
    after = stored(tmp_path / "data/gas/T=0.5/0.zarr")
    kept = {name: content for name, content in after.items() if name.startswith("reductions/chi4")}
    assert kept
    assert all(before[f"data/gas/T=0.5/0.zarr/{name}"] == content for name, content in kept.items())
    assert any(name.startswith("reductions/msd") for name in after)


def test_states_that_cannot_be_followed(tmp_path):
    """Independent configurations have no times: told with the quantity, and the other stages are done."""
    more = "[correlate]\ndynamics = false\n"
    table = run_sweep(save_sweep(tmp_path, seeds=1, stages=STAGES + more, timed=False))
    assert (table["correlate"] == "complete").all()
    assert (table["dynamics"] == "failed").all()
    assert table["dynamics_error"].str.contains("chi4: .*time").all()


def test_names_that_others_have(tmp_path):
    more = "[describe.descriptors.chi4]\ntype = 'bo'\ncutoffs = 1.3\n[reduce]\n"
    with pytest.raises(ParameterError, match="what it stores as reductions/chi4 another stage stores, too"):
        read_sweep(save_sweep(tmp_path, seeds=1, stages=STAGES + more))
