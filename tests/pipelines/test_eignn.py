"""EIGNN's checkpoint: the numbers of the published program, symmetries, and what is no such checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from glassdask.errors import ParameterError

torch = pytest.importorskip("torch")
from benchmark.eignn import Eignn  # noqa: E402

REFERENCE = Path(__file__).parents[1] / "data" / "eignn_reference.npz"


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE) as file:
        return dict(file)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, reference):
    """Random weights of two layers, in the layout of the published file."""
    rng, state = np.random.default_rng(5), {}
    for name, shape in sorted(json.loads(str(reference["shapes"])).items()):
        values = 0.3 * rng.normal(size=tuple(shape))
        state[name] = torch.tensor(np.abs(values) + 0.5 if "running_var" in name else values, dtype=torch.float32)
    for name, values in reference.items():
        if name.startswith("coupling_"):
            place = "interactions.0.I2EConv.equi_sc._compiled_main_left_right._w3j_"
            state[place + name.removeprefix("coupling_")] = torch.from_numpy(values)
    file = tmp_path_factory.mktemp("eignn") / "checkpoint.pt"
    torch.save({"net": state, "optimizer": {}, "epoch": 99}, file)
    return file


def configuration(reference):
    return [reference[name].astype(float) for name in ("initial", "inherent", "cage")]


def test_it_is_the_published_program(checkpoint, reference):
    found = Eignn(checkpoint).standardised(
        *configuration(reference), reference["codes"].astype(int), reference["box"]
    )  # fmt: skip
    assert found.shape == (120, 20)
    np.testing.assert_allclose(found, reference["output"], atol=2e-5 * np.abs(reference["output"]).max())


def test_rotation_reflection_translation_and_order(checkpoint, reference):
    network, codes, box = Eignn(checkpoint), reference["codes"].astype(int), reference["box"]
    places = configuration(reference)
    before = network.standardised(*places, codes, box)
    close = 3e-5 * np.abs(before).max()
    turned = network.standardised(*(place[:, [1, 2, 0]] for place in places), codes, box)
    np.testing.assert_allclose(turned, before, atol=close)
    shift = np.array([0.3, -1.7, 2.9])
    shifted = network.standardised(*((place + shift) % box for place in places), codes, box)
    np.testing.assert_allclose(shifted, before, atol=close)
    order = np.random.default_rng(3).permutation(len(codes))
    other = network.standardised(*(place[order] for place in places), codes[order], box)
    np.testing.assert_allclose(other, before[order], atol=close)


class Given:
    """As much of a study as predictions need."""

    def __init__(self, reference, temperature=0.44, model="kob_andersen"):
        from benchmark.sources import Settings

        import glassdask as gd

        names = np.array(["A", "B"])[reference["codes"].astype(int)]
        initial, inherent, cage = (place[None] for place in configuration(reference))
        dims = ("frame", "particle", "space")
        self.trajectory = gd.from_arrays(initial, species=names, box=reference["box"]).assign(
            inherent_position=(dims, inherent), cage_position=(dims, cage)
        )
        self.species, self.is_center, self.n_configurations = names, names == "A", 1
        self.model, self.temperature, self.settings = model, temperature, Settings()
        self.files = ["N4096T0.44_7_tc07.npz", "N4096T0.44_401_tc07.npz"]


def test_lags_and_species_are_those_of_the_benchmark(checkpoint, reference, capsys):
    network, study = Eignn(checkpoint), Given(reference)
    network.check(study, [("propensity", 4120.0)])
    assert "of --test it knows [7]" in capsys.readouterr().out
    found = network.predict(study)
    assert len(found) == 10
    np.testing.assert_allclose(
        found["propensity", 4120.0][0], reference["output"][reference["codes"] == 0, 6], rtol=1e-3, atol=1e-2
    )  # fmt: skip
    for wrong, tasks, told in (
        (Given(reference, temperature=0.5), [("propensity", 4120.0)], "the files are kob_andersen at T = 0.5"),
        (study, [("bond_breaking", 4120.0)], "knows the propensity only"),
        (study, [("propensity", 7.0)], "does not know the propensity at 7:"),
    ):
        with pytest.raises(ParameterError, match=told):
            network.check(wrong, tasks)
    # files of the archive have bond breaking beside the propensity
    network.check(study, [("propensity", 4120.0), ("bond_breaking", 4120.0)])
    assert "it does not know bond_breaking" in capsys.readouterr().out


def test_a_model_that_does_not_know_all_targets_is_scored_on_those_that_it_knows(tmp_path):
    import glassbench

    rng = np.random.default_rng(2)
    tasks = [("propensity", 4120.0), ("bond_breaking", 4120.0)]
    actual = {task: rng.normal(size=(3, 50)) for task in tasks}
    predictions = {("ridge", "cage"): actual, ("eignn", "all"): {tasks[0]: actual[tasks[0]]}}
    rows = glassbench.score(predictions, SimpleNamespace(targets=actual), tasks, tmp_path)
    assert [(row["model"], row["target"]) for row in rows] == [
        ("ridge", "propensity"), ("eignn", "propensity"), ("ridge", "bond_breaking"),
    ]  # fmt: skip


def test_what_is_no_checkpoint(tmp_path, checkpoint):
    with pytest.raises(ParameterError, match=r"absent.pt: not found: get t044_EIGNN_cage.pt"):
        Eignn(tmp_path / "absent.pt")
    other = torch.load(checkpoint, weights_only=True)
    other["net"]["out.lins.1.weight"] = other["net"]["out.lins.1.weight"][:4]
    torch.save(other, tmp_path / "other.pt")
    with pytest.raises(ParameterError, match="another network than that for 10 lags of 2 species"):
        Eignn(tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("nothing")
    torch.save({"net": {"a": torch.zeros(2)}}, tmp_path / "else.pt")
    torch.save({"weights": {}}, tmp_path / "more.pt")
    torch.save([1.0], tmp_path / "list.pt")
    torch.save({"net": [1.0]}, tmp_path / "layers.pt")
    less = torch.load(checkpoint, weights_only=True)
    del less["net"]["lin_embedding.weight"]
    torch.save(less, tmp_path / "less.pt")
    for name in ("text.pt", "else.pt", "more.pt", "list.pt", "layers.pt", "less.pt", "."):
        with pytest.raises(ParameterError, match="is no checkpoint of EIGNN"):
            Eignn(tmp_path / name)
