"""Isoconfigurational runs that exist as files: their propensity, and what becomes of it in a sweep."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError
from glassdask.sweep import read_sweep, replicas, run_sweep
from glassdask.sweep.estimating import estimate

N, LENGTH, STEPS = 40, 4.0, (0, 200, 1000)
FILE = """
store = "sweep.zarr"
[[runs]]
files = "T{temperature}/dump.*"
replicas = "T{temperature}/iso{replica}.dump"
model = "mixture"
dt = 0.005
species = {1 = "A", 2 = "B"}
[describe]
[describe.descriptors.bo]
cutoffs = 1.3
l_max = 2
[reduce]
[correlate]
k = 7.0
"""


def dump(steps, frames, digits=17):
    text = ""
    for step, frame in zip(steps, frames):
        rows = [f"{k + 1} {1 + (k % 4 == 0)} " + " ".join(f"{x:.{digits}g}" for x in r) for k, r in enumerate(frame)]
        text += f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{N}\nITEM: BOX BOUNDS pp pp pp\n" + "0 4\n" * 3
        text += "ITEM: ATOMS id type xu yu zu\n" + "\n".join(rows) + "\n"
    return text


def paths(rng, start, steps):
    return np.concatenate([start[None], start + np.cumsum(rng.normal(scale=0.2, size=(steps, N, 3)), axis=0)])


@pytest.fixture
def files(tmp_path):
    """Two temperatures, the second without replicas; those of the first start from its second frame, in few digits."""
    rng = np.random.default_rng(8)
    moved = []
    for temperature in ("0.5", "0.7"):
        (tmp_path / f"T{temperature}").mkdir()
        run = paths(rng, rng.random((N, 3)) * LENGTH, 2)
        (tmp_path / f"T{temperature}/dump.all").write_text(dump(STEPS, run))
        if temperature == "0.5":
            for number in range(3):
                replica = paths(rng, run[1], 2)
                moved.append(replica[1:] - replica[0])
                (tmp_path / f"T0.5/iso{number:03d}.dump").write_text(dump((5, 25, 105), replica, digits=7))
    (tmp_path / "sweep.toml").write_text(FILE)
    return tmp_path, np.stack(moved)


def test_propensity_is_that_of_the_files(files):
    folder, moved = files
    sweep = read_sweep(folder / "sweep.toml")
    assert sweep.stages == ("ingest", "replicas", "describe", "reduce", "correlate")
    cold, warm = (sweep.states[k] for k in (0, 1))
    assert cold.units["correlate"].after == ("ingest", "replicas", "describe", "reduce")
    assert "replicas" not in warm.units
    found = estimate(sweep)
    assert found.notes == []
    assert found.units["replicas"] == 1
    assert found.seconds["replicas"] is not None
    table = run_sweep(sweep)
    assert (table[list(sweep.stages)] == "complete").all(axis=None)
    place = f"{cold.path}/isoconfigurational"
    start = gd.open_trajectory(place)
    np.testing.assert_array_equal(start["position"], gd.open_trajectory(cold.path)["position"][1:2])
    ensemble = gd.open_reduction(place, "isoconfigurational").load()
    assert ensemble["lag"].values == pytest.approx([0.1, 0.5])
    for power in (1, 2):
        expected = (np.linalg.norm(moved, axis=-1) ** power).mean(axis=0)
        np.testing.assert_allclose(ensemble["propensity"].sel(power=power), expected, rtol=1e-4)
    r = gd.open_reduction(cold.path, "propensity").load()["pearson"].sel(species="A", column="bo 1")
    bo = gd.open_descriptors(cold.path)["bo"].values[1, :, 0]
    of_a = gd.open_trajectory(cold.path)["species"].values == "A"
    square = (np.linalg.norm(moved, axis=-1) ** 2).mean(axis=0)
    assert r.values == pytest.approx([abs(np.corrcoef(bo[of_a], square[k][of_a])[0, 1]) for k in (0, 1)], rel=1e-3)
    # more frames of the state: all that was made of the old ones is made again
    with open(folder / "T0.5/dump.all", "a") as stream:
        stream.write(dump([2000], [moved[0, 0] + 1.0]))
    run_sweep(folder / "sweep.toml", overwrite=True)
    table = run_sweep(folder / "sweep.toml", overwrite=True)
    assert (table.iloc[0][list(sweep.stages)] == "complete").all()
    assert gd.open_trajectory(cold.path).sizes["frame"] == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("iso{replica}", "iso*", r"runs\[0\]\.replicas\[0\]: does not tell the replicas apart: put \{replica\} into"),
        ("iso{replica}", "isso{replica}", r"replicas\[0\]: no file matches"),
        ("iso{replica}.dump", "iso{replica}01.dump", r"mixture/T=0\.5000 has one: averages take two or more"),
        ("T{temperature}/dump", "T{temperature}/d{replica}", r"\{replica\} in .*: each of model, temperature"),
    ],
)
def test_slips(files, old, new, message):
    folder, _ = files
    (folder / "sweep.toml").write_text(FILE.replace(old, new))
    with pytest.raises(ParameterError, match=message):
        read_sweep(folder / "sweep.toml")


def test_replicas_of_something_else_are_told(files):
    folder, _ = files
    rng = np.random.default_rng(9)
    second = folder / "T0.5/iso001.dump"
    kept = second.read_text()

    def error():
        return run_sweep(folder / "sweep.toml", stages=["ingest", "replicas"], overwrite=True)["replicas_error"].iloc[0]

    second.write_text(kept.replace("TIMESTEP\n105", "TIMESTEP\n106"))
    assert "T0.5/iso001.dump: its lags 0.1 to 0.505 (2) are not those of T0.5/iso000.dump, 0.1 to 0.5 (2)" in error()
    other = rng.random((N, 3)) * LENGTH
    second.write_text(dump((5, 25, 105), paths(rng, other, 2)))
    assert "begins elsewhere than T0.5/iso000.dump" in error()
    for number in (0, 1, 2):
        (folder / f"T0.5/iso{number:03d}.dump").write_text(dump((5, 25, 105), paths(rng, other, 2)))
    assert "begins with no frame of the trajectory" in error()


def test_numbers_of_files_that_were_replaced_are_not_taken_for_those_of_the_new_ones(files, monkeypatch):
    """Also where the run that was to overwrite them was ended before it had."""
    folder, _ = files
    stages = ["ingest", "replicas"]
    run_sweep(folder / "sweep.toml", stages=stages)
    for path in (folder / "T0.5").glob("iso*"):
        path.write_text(path.read_text().replace("TIMESTEP\n105", "TIMESTEP\n1050"))

    def killed(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(replicas, "measured", killed)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(folder / "sweep.toml", stages=stages, overwrite=True)
    table = run_sweep(folder / "sweep.toml", stages=stages)
    assert "overwrite" in table["replicas_error"].iloc[0]
    table = run_sweep(folder / "sweep.toml", stages=stages, overwrite=True)
    assert table["replicas"].iloc[0] == "complete"
    place = f"{read_sweep(folder / 'sweep.toml').states[0].path}/isoconfigurational"
    assert gd.open_reduction(place, "isoconfigurational")["lag"].values == pytest.approx([0.1, 5.225])
