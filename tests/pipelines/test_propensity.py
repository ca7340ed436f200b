"""The propensity pipeline on tiny public files with a planted law, and on shuffled targets."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from tests.pipelines.lattices import TYPES, disturbed

pytest.importorskip("lammps")

PIPELINE = Path(__file__).parents[2] / "pipelines" / "propensity.py"
SMALL = [
    "--descriptor", "radial_density:grid=[0.9,1.2,1.5],delta=0.2", "local_energy:model='kob_andersen'",
    "--generations", "1", "--sweeps", "20",
]  # fmt: skip


def write(folder, count, first=0, shuffled=False):
    """Files of lattices with a planted law."""
    paths = []
    for k in range(first, first + count):
        rng = np.random.default_rng(k)
        start, far = disturbed(rng)
        if shuffled:
            far = rng.permutation(far)
        ends = start + np.array([1.0, -1.0])[:, None, None] * far[:, None] * np.array([0.6, 0.0, 0.8])
        paths.append(folder / f"{k}.npz")
        np.savez(paths[-1], types=TYPES, initial_positions=start, positions=ends)
    return [str(path) for path in paths]


def test_what_begins_at_rest_is_known_at_short_lags(tmp_path, run_here):
    """Propensities that are the ways of particles that begin at rest, and nothing that descriptors could tell."""
    files = []
    for k in range(4):
        rng = np.random.default_rng(k)
        places = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 3) * 1.1
        start, types = places + 0.04 * rng.normal(size=places.shape), (np.arange(216) % 3 == 0).astype(int)
        frame = gd.from_arrays(start[None], species=np.array(["A", "B"])[types], box=[6.6] * 3)
        moved = gd.dynamics.motion_from_rest(frame, "kob_andersen", [0.2])["displacement_from_rest"].values[0, :, 0]
        files.append(tmp_path / f"{k}.npz")
        np.savez(files[-1], types=types, initial_positions=start, positions=(start + moved)[None], box=[6.6] * 3)
    scores = {}
    for rest in ((), ("--rest", "0.1", "0.2", "0.5")):
        output = tmp_path / f"results_{len(rest)}"
        code, _, err = run_here(
            "propensity", "--train", *files, "--structure", "initial", "--output", output, *SMALL, *rest
        )  # fmt: skip
        assert code == 0, err
        with open(output / "scores.csv") as file:
            scores[len(rest)] = float(next(csv.DictReader(file))["pooled_r"])
    assert scores[0] < 0.8
    assert scores[4] > 0.95
    # other times in the same folder: what replaces them is told as it is typed
    code, _, err = run_here(
        "propensity", "--train", *files, "--structure", "initial", "--output", output, *SMALL, "--rest", "0.1", "0.3"
    )  # fmt: skip
    assert code == 1
    assert "from_rest: holds data of other input, parameters or code: replace it with --overwrite, or" in err


@pytest.mark.slow
def test_planted_law_is_found_and_applied(tmp_path, run_here):
    files, output = write(tmp_path, 5), tmp_path / "results"
    new = write(tmp_path, 2, first=5)
    structures = ("--structure", "initial", "cage")
    command = [sys.executable, PIPELINE, "--train", *files, "--predict", *new, *structures, "--output", output, *SMALL]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    with open(output / "scores.csv") as file:
        scores = {row["structure"]: float(row["pooled_r"]) for row in csv.DictReader(file)}
    assert scores["initial"] > 0.98  # the law is one of the initial structure
    assert scores["cage"] < scores["initial"]
    with np.load(output / "predictions.npz") as file:
        predictions = dict(file)
    assert np.corrcoef(predictions["initial"], predictions["measured"])[0, 1] > 0.98
    assert len(predictions["particle"]) == 2 * 240
    for name in ("learning_curve", "predicted_initial", "predicted_cage"):
        assert (output / f"{name}.png").stat().st_size > 5000
        assert len((output / f"{name}.csv").read_text().splitlines()) > 2
    # the model alone predicts files without any propensity, and the same numbers
    bare = tmp_path / "bare.npz"
    with np.load(new[0]) as known:
        np.savez(bare, types=known["types"], initial_positions=known["initial_positions"])
    again = ("--predict", bare, "--structure", "initial", "--output", output)
    code, _, err = run_here("propensity", *again)
    assert code == 1
    assert "holds data of other input" in err
    code, _, err = run_here("propensity", *again, "--overwrite")
    assert code == 0, err
    with np.load(output / "predictions.npz") as file:
        repeated = dict(file)
    np.testing.assert_allclose(repeated["initial"], predictions["initial"][:240], rtol=1e-9)
    assert "measured" not in repeated


@pytest.mark.slow
def test_shuffled_targets_cannot_be_predicted(tmp_path, run_here):
    files = write(tmp_path, 5, shuffled=True)
    where = ("--output", tmp_path / "results")
    code, _, err = run_here("propensity", "--train", *files, "--structure", "initial", *where, *SMALL)
    assert code == 0, err
    with open(tmp_path / "results" / "scores.csv") as file:
        assert abs(float(next(csv.DictReader(file))["mean_r"])) < 0.15


def test_tables_name_the_file_and_the_place_in_it(tmp_path, run_here):
    """Of files of equal names, one for each lag, whose types are in another order in each configuration."""
    far = {}
    for k in range(5):
        rng = np.random.default_rng(k)
        start, way = disturbed(rng)
        order = rng.permutation(len(start))
        for lag in (5, 7):
            ends = start + np.array([1.0, -1.0])[:, None, None] * (lag * way)[:, None] * np.array([0.6, 0.0, 0.8])
            path = tmp_path / str(k) / f"run_tc{lag:02d}.npz"
            path.parent.mkdir(exist_ok=True)
            np.savez(path, types=TYPES[order], initial_positions=start[order], positions=ends[:, order])
        far[str(tmp_path / str(k) / "run_tc05.npz")] = 7 * way[order]
    files = [tmp_path / str(k) / f"run_tc{lag:02d}.npz" for k in range(5) for lag in (5, 7)]
    where = ("--structure", "initial", "--output", tmp_path / "results")
    code, _, err = run_here("propensity", "--train", *files[:6], *where, *SMALL)
    assert code == 0, err
    with open(tmp_path / "results" / "scores_by_configuration.csv") as file:
        found = list(csv.DictReader(file))
    assert [row["configuration"] for row in found] == list(far)[:3]
    assert all(float(row["initial"]) > 0.9 for row in found)
    code, _, err = run_here("propensity", "--predict", *files[8:], *files[6:8], *where)
    assert code == 0, err
    with open(tmp_path / "results" / "predictions.csv") as file:
        for row in csv.DictReader(file):
            expected = far[row["configuration"]][int(row["particle"])]
            assert float(row["measured"]) == pytest.approx(expected, rel=1e-9)


def test_what_is_missing_is_said(tmp_path, run_here):
    code, _, err = run_here("propensity", "--output", tmp_path)
    assert code == 2
    assert "nothing to do" in err
    code, _, err = run_here("propensity", "--predict", "a.npz", "--output", tmp_path)
    assert code == 1
    assert "holds no trained model" in err
    where = ("--train", *write(tmp_path, 3), "--output", tmp_path)
    for wrong, message in (
        (("--lag", 1), "--lag 1: the files have 1 lags: give 0 to 0, or -1 for the last"),
        (("--centers", "C"), "no species C, only A, B: give --centers"),
    ):
        code, _, err = run_here("propensity", *where, *wrong)
        assert code == 1
        assert message in err
