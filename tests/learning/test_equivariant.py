"""Equivariant networks: symmetries, planted laws, shuffled targets, resuming, files, what is refused."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.errors import (
    BoxError,
    ConvergenceError,
    FormatError,
    ParameterError,
    SchemaError,
    SpeciesError,
    StoreError,
)
from glassdask.learning import EquivariantNetwork, load_model, save_model
from glassdask.learning.surroundings import averages_of, functions, table_of
from glassdask.neighborhood.configuration import Configuration

pytest.importorskip("torch")

LENGTH = 6.0
SMALL = {"rounds": 2, "channels": 8, "n_vectors": 4, "n_messages": 4, "hidden": 16, "epochs": 3, "n_repeats": 2,
         "device": "cpu"}  # fmt: skip


def liquid(n_frames=4, n=150, space=3, seed=0):
    """A disturbed lattice with vacancies, of two species, with other structures and numbers of the same particles."""
    rng = np.random.default_rng(seed)
    side = 6 if space == 3 else 14
    sites = np.stack(np.meshgrid(*[np.arange(side)] * space), axis=-1).reshape(-1, space)
    chosen = np.stack([sites[rng.permutation(len(sites))[:n]] for _ in range(n_frames)])
    place = (chosen + 0.5 + 0.08 * rng.normal(size=chosen.shape)) * LENGTH / side
    made = gd.from_arrays(place, species=["A"] * (n - n // 5) + ["B"] * (n // 5), box=[LENGTH] * space)
    dims = ("frame", "particle", "space")
    return made.assign(
        inherent_position=(dims, (place + 0.1 * rng.normal(size=place.shape)) % LENGTH),
        cage_position=(dims, (place + 0.05 * rng.normal(size=place.shape)) % LENGTH),
        scalars=(("frame", "particle", "feature"), rng.normal(size=(n_frames, n, 3))),
    )


def way(frames):
    """From the positions to the inherent ones."""
    away = frames["inherent_position"].values - frames["position"].values
    return away - LENGTH * np.round(away / LENGTH)


def near(frames):
    """Weights (frame, i, j) of the neighbours that the laws are about, and the vectors to them."""
    place = frames["position"].values
    apart = place[:, None] - place[:, :, None]
    apart -= LENGTH * np.round(apart / LENGTH)
    r = np.linalg.norm(apart, axis=-1)
    weight = np.where((r < 1.6) & (r > 0), (1 - (r / 1.6) ** 2) ** 2, 0.0)
    return weight, apart / np.where(r > 0, r, 1.0)[..., None]


@pytest.fixture(scope="module")
def fitted():
    frames = liquid()
    y = np.random.default_rng(1).normal(size=(4, 150, 2))
    y[:, 120:] = np.nan
    return frames, y, EquivariantNetwork(**SMALL, validation_fraction=0.0).fit(frames, y)


def turned(frames, matrix, shift):
    """The configurations after a linear map that keeps the box, and a translation."""
    out = frames.copy()
    for name in ("position", "inherent_position", "cage_position"):
        out[name] = (frames[name].dims, (frames[name].values @ matrix.T + shift) % LENGTH)
    return out


SYMMETRIES = {
    "rotation": np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    "another": np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]),
    "reflection": np.diag([1.0, -1, 1]),
    "inversion": -np.eye(3),
}


@pytest.mark.parametrize("name", SYMMETRIES)
def test_nothing_depends_on_how_the_box_lies(fitted, name):
    frames, _, model = fitted
    expected = model.predict(frames).values
    found = model.predict(turned(frames, SYMMETRIES[name], [1.0, 2.0, -0.7])).values
    assert expected[:, :120].std() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.nanstd(expected))


def test_any_rotation():
    """An isolated cluster, which any rotation leaves as it is."""
    frames = liquid()
    y = np.random.default_rng(1).normal(size=(4, 150))
    model = EquivariantNetwork(**SMALL, validation_fraction=0.0).fit(frames, y)
    rng = np.random.default_rng(2)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    ball = rng.normal(size=(1, 150, 3))
    away = 0.1 * rng.normal(size=(2, 1, 150, 3))

    def cluster(matrix):
        places = [(ball + more) @ matrix.T + 20.0 for more in (0.0 * ball, *away)]
        made = gd.from_arrays(places[0], species=frames["species"].values, box=[40.0] * 3)
        dims = ("frame", "particle", "space")
        return made.assign(
            inherent_position=(dims, places[1]), cage_position=(dims, places[2]), scalars=frames["scalars"][:1]
        )

    expected = model.predict(cluster(np.eye(3))).values
    np.testing.assert_allclose(model.predict(cluster(rotation)).values, expected, atol=1e-4 * expected.std())
    stretched = model.predict(cluster(rotation @ np.diag([1.0, 1.0, 1.05]))).values
    assert np.abs(stretched - expected).max() > 1e-2 * expected.std()  # what is no rotation is noticed


def test_order_of_the_particles(fitted):
    frames, _, model = fitted
    order = np.random.default_rng(3).permutation(150)
    expected = model.predict(frames).values[:, order]
    np.testing.assert_allclose(model.predict(frames.isel(particle=order)).values, expected, atol=1e-5)


def test_two_dimensions():
    frames = liquid(space=2)
    y = np.random.default_rng(1).normal(size=(4, 150))
    model = EquivariantNetwork(**SMALL, validation_fraction=0.0).fit(frames, y)
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    expected = model.predict(frames).values
    found = model.predict(turned(frames, quarter, [0.3, 0.4])).values
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())
    with pytest.raises(ParameterError, match="3 scalars in 3 dimensions, but the model was trained on 3 in 2"):
        model.predict(liquid())


def test_planted_laws_are_found():
    """Of distances, of directions of the ways, and of the neighbours' numbers: unseen configurations show it."""
    frames, unseen = liquid(8, seed=5), liquid(3, seed=6)

    def law(frames):
        weight, toward = near(frames)
        number = frames["scalars"].values[..., 0]
        flow = np.einsum("fij,fijs,fjs->fi", weight, toward, way(frames))
        return weight.sum(axis=2) + 3.0 * flow + 0.5 * np.einsum("fij,fj->fi", weight, number)

    model = EquivariantNetwork(rounds=1, epochs=60, n_repeats=1, learning_rate=0.01, relative=False, device="cpu",
                               dropout=0.0).fit(frames, law(frames))  # fmt: skip
    predicted, actual = model.predict(unseen).values, law(unseen)
    assert np.corrcoef(predicted.ravel(), actual.ravel())[0, 1] > 0.95
    assert model.score(unseen, actual) > 0.9


def test_shuffled_targets_teach_nothing():
    frames, unseen = liquid(8, seed=5), liquid(4, seed=6)
    weight, _ = near(frames)
    rng = np.random.default_rng(0)
    y = rng.permuted(weight.sum(axis=2), axis=1)
    model = EquivariantNetwork(**SMALL | {"epochs": 20}, learning_rate=0.01).fit(frames, y)
    predicted = model.predict(unseen).values
    actual = near(unseen)[0].sum(axis=2)
    assert abs(np.corrcoef(predicted.ravel(), rng.permuted(actual, axis=1).ravel())[0, 1]) < 0.15
    assert (np.nanmin(model.validation_loss_, axis=1) > 0.93 * model.validation_loss_[:, 0]).all()


def test_training_that_goes_on_is_the_same(fitted, tmp_path):
    """Stopped in the middle of the second network, between the two, and in the middle of both."""
    import torch

    frames, _, _ = fitted
    y = near(frames)[0].sum(axis=2)
    model = EquivariantNetwork(**SMALL, learning_rate=0.02).fit(frames, y)

    class Stopped(Exception):
        pass

    before = torch.get_num_threads()
    for stop, threads in (((1, 1), 1), ((0, 2), 1), ((1, 1), 2)):
        file = tmp_path / f"{stop} {threads}.pt"
        torch.set_num_threads(threads)

        def callback(repeat, epoch, losses, stop=stop):
            if (repeat, epoch) == stop:
                raise Stopped

        try:
            with pytest.raises(Stopped):
                EquivariantNetwork(**SMALL, learning_rate=0.02).fit(frames, y, checkpoint=file, callback=callback)
        finally:
            torch.set_num_threads(before)
        again = EquivariantNetwork(**SMALL, learning_rate=0.02).fit(frames, y, checkpoint=file)
        for one, other in zip(model.weights_, again.weights_, strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(model.training_loss_, again.training_loss_)
    with pytest.raises(StoreError, match="other data or with other parameters"):
        EquivariantNetwork(**SMALL | {"seed": 1}).fit(frames, y, checkpoint=file)
    file.write_bytes(b"nothing")
    with pytest.raises(FormatError, match="not a checkpoint"):
        EquivariantNetwork(**SMALL).fit(frames, y, checkpoint=file)


def test_networks_side_by_side_are_those_that_are_trained_one_by_one(tmp_path):
    import torch

    frames = liquid()
    y, settings = near(frames)[0].sum(axis=2), SMALL | {"n_repeats": 3, "dropout": 0.3}
    before, found, order = torch.get_num_threads(), [], []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            order.append([])
            model = EquivariantNetwork(**settings)
            found.append(model.fit(frames, y, callback=lambda *told: order[-1].append(told[:2])))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    one, two = found
    for first, second in zip(one.weights_, two.weights_, strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one.training_loss_, two.training_loss_)
    np.testing.assert_array_equal(one.validation_loss_, two.validation_loss_)
    assert order[0] == sorted(order[0])
    assert sorted(order[1]) == order[0]
    # they differ, and dropout does what it says
    assert len(np.unique(one.training_loss_[:, 0])) == 3
    from glassdask.learning.equivariant_network import Dropout

    dropout, ones = Dropout(0.3, torch.Generator().manual_seed(1)), torch.ones(20_000)
    np.testing.assert_allclose(dropout(ones).unique(), [0.0, 1 / 0.7], rtol=1e-6)
    assert float(dropout(ones).mean()) == pytest.approx(1.0, abs=0.02)
    assert dropout.eval()(ones) is ones


def test_stored_without_pickle(fitted, tmp_path):
    frames, _, model = fitted
    again = load_model(save_model(model, tmp_path / "model.npz"))
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.predict(frames).values, model.predict(frames).values)


def test_kept_is_the_best_epoch():
    frames = liquid()
    model = EquivariantNetwork(**SMALL | {"epochs": 12}, learning_rate=0.02).fit(frames, near(frames)[0].sum(axis=2))
    assert model.validation_loss_.shape == (2, 12)
    assert (np.nanargmin(model.validation_loss_, axis=1) == model.best_epochs_).all()
    assert model.held_out_.sum(axis=1).tolist() == [1, 1]


def test_errors_that_neighbours_share_are_set_aside():
    """By hand: e - w S e of what a network that has learned nothing misses, of those particles that have targets."""
    from glassdask.learning.equivariant_network import Network
    from glassdask.learning.equivariant_training import Samples

    frames = liquid(n_frames=2)
    y = np.random.default_rng(1).normal(size=(2, 150))
    y[:, 120:] = np.nan
    settings = SMALL | {"epochs": 1, "n_repeats": 1, "validation_fraction": 0.0}
    model = EquivariantNetwork(**settings, whitening=0.7, relative=False).fit(frames, y)
    data = Samples(model, frames, (frames["species"].values == "B").astype(int), y[..., None], "cpu")
    found = float(data.loss(Network(model).eval(), 1).detach())  # it begins with zero everywhere
    place = frames["position"].values[1, :120]
    apart = place[:, None] - place
    r = np.linalg.norm(apart - LENGTH * np.round(apart / LENGTH), axis=-1)
    weight = np.where(r < model.shell, np.exp(-r / model.shell), 0.0)
    e = (y[1, :120] - model.mean_[0]) / model.scale_[0]
    expected = ((e - 0.7 * weight @ e / weight.sum(axis=1)) ** 2).mean()
    assert found == pytest.approx(expected, rel=1e-5)
    assert abs(found - (e**2).mean()) > 0.01


def test_held_out_configurations_are_predicted_by_networks_without_them():
    frames = liquid()
    y = near(frames)[0].sum(axis=2)
    model = EquivariantNetwork(**SMALL | {"n_repeats": 3}, learning_rate=0.02).fit(frames, y)
    assert model.held_out_.shape == (3, 4)
    found = model.predict_held_out(frames).values
    never = np.flatnonzero(~model.held_out_.any(axis=0))
    assert len(never) == 1
    assert np.isnan(found[never]).all()
    # the network that held a configuration out is the same as one that has never had its targets
    alone = EquivariantNetwork(**SMALL | {"n_repeats": 1}, learning_rate=0.02).fit(frames, y)
    (k,) = np.flatnonzero(alone.held_out_[0])
    np.testing.assert_array_equal(alone.predict_held_out(frames).values[k], found[k])
    np.testing.assert_array_equal(alone.predict(frames).values[k], found[k])
    assert np.abs(model.predict(frames).values[k] - found[k]).max() > 1e-6
    each = model.predict_each(frames)
    assert each.dims == ("frame", "particle", "repeat")
    np.testing.assert_array_equal(each.values[k, :, model.held_out_[:, k]][0], found[k])
    np.testing.assert_allclose(each.mean("repeat"), model.predict(frames), rtol=1e-12, atol=1e-12)
    alike = frames[["position", "species", "box"]]
    for others in (alike.isel(frame=[0]), alike.isel(frame=[0, 1, 2, 3, 0])):  # fewer, and more
        with pytest.raises(ParameterError, match="expected all 4 that were given to fit"):
            model.predict_held_out(others)


def test_groups_are_held_out_together():
    frames = liquid(6)
    groups = np.array(["b", "a", "c", "a", "b", "b"])
    model = EquivariantNetwork(**SMALL | {"n_repeats": 3}).fit(frames, near(frames)[0].sum(axis=2), groups=groups)
    assert sorted(row.tolist() for row in model.held_out_) == sorted((groups == label).tolist() for label in "abc")
    assert np.isfinite(model.predict_held_out(frames).values).all()


def test_configurations_with_little_weight_are_hardly_learned_from():
    """Half of them have the opposite law: with equal weights nothing is left of it."""
    frames = liquid(9)
    y = near(frames)[0].sum(axis=2)
    y -= y.mean(axis=1, keepdims=True)
    given = np.where(np.arange(8)[:, None] % 2, -y[:8], y[:8])
    weights = np.where(np.arange(8) % 2, 0.02, 1.0)
    settings = SMALL | {"n_repeats": 1, "epochs": 12, "validation_fraction": 0.0, "learning_rate": 0.02}
    r = []
    for chosen in (weights, 50 * weights, None):
        model = EquivariantNetwork(**settings).fit(frames.isel(frame=slice(8)), given, sample_weight=chosen)
        r.append(np.corrcoef(model.predict(frames.isel(frame=[8])).values[0], y[8])[0, 1])
    assert r[0] > 0.9
    assert r[1] == pytest.approx(r[0], abs=1e-6)  # only ratios matter
    assert abs(r[2]) < 0.6


def test_noisy_configurations_help_by_their_number():
    """Fifteen targets that are known well, and twelve configurations of them that are noise to three parts in four."""
    frames = liquid(14, n=100)
    y = near(frames)[0].sum(axis=2)
    y = (y - y.mean()) / y.std()
    noise = np.where(np.arange(13) < 1, 0.0, np.sqrt(3.0))[:, None]
    given = y[:13] + noise * np.random.default_rng(0).normal(size=(13, 100))
    given[0, 15:] = np.nan
    settings = SMALL | {"n_repeats": 1, "validation_fraction": 0.0, "learning_rate": 0.01}
    missed = []
    for count in (1, 13):
        model = EquivariantNetwork(**settings | {"epochs": 9 if count > 1 else 60})
        weights = np.where(np.arange(count) < 1, 1.0, 0.25)
        model.fit(frames.isel(frame=slice(count)), given[:count], sample_weight=weights)
        found = model.predict(frames.isel(frame=[13])).values[0, :80]
        missed.append(1.0 - np.corrcoef(found, y[13, :80])[0, 1] ** 2)
    assert missed[1] < 0.5 * missed[0]


def test_last_epoch_is_kept_where_none_is_chosen(tmp_path):
    """Of a held-out configuration with the opposite law, which would choose the beginning; and so when it goes on."""
    frames = liquid(3)
    held_out = np.random.default_rng(0).permutation(3)[0]
    y = near(frames)[0].sum(axis=2)
    y[held_out] *= -1
    settings = SMALL | {"n_repeats": 1, "epochs": 4, "learning_rate": 0.02, "patience": None}

    class Stopped(Exception):
        pass

    def stop(repeat, epoch, losses):
        if epoch == 2:
            raise Stopped

    model = EquivariantNetwork(**settings).fit(frames, y)
    assert model.best_epochs_.tolist() == [3]
    assert np.isfinite(model.validation_loss_).all()
    assert np.ptp(model.predict(frames).values[held_out]) > 0
    with pytest.raises(Stopped):
        EquivariantNetwork(**settings).fit(frames, y, checkpoint=tmp_path / "c.pt", callback=stop)
    again = EquivariantNetwork(**settings).fit(frames, y, checkpoint=tmp_path / "c.pt")
    for one, other in zip(model.weights_, again.weights_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_learns_nothing_of_use_predicts_the_mean():
    """The law of the held-out configuration is the opposite of that of the others."""
    frames = liquid(3)
    held_out = np.random.default_rng(0).permutation(3)[0]
    y = near(frames)[0].sum(axis=2)
    y[held_out] *= -1
    settings = SMALL | {"n_repeats": 1, "epochs": 6}
    model = EquivariantNetwork(**settings, learning_rate=0.02, patience=2).fit(frames, y)
    assert model.best_epochs_.tolist() == [-1]
    assert np.isnan(model.validation_loss_[0, 2:]).all()  # after so many epochs without progress it ends
    np.testing.assert_array_equal(model.predict(frames).values, 0.0)


def test_others_have_no_prediction(fitted):
    frames, _, model = fitted
    found = model.predict(frames)
    assert found.dims == ("frame", "particle", "target")
    assert model.centers_ == ["A"]
    assert np.isnan(found.values[:, 120:]).all()
    assert np.isfinite(found.values[:, :120]).all()
    np.testing.assert_allclose(found.values[:, :120].mean(axis=1), 0.0, atol=1e-12)  # relative


def test_lazy_and_chunked(fitted, two_workers):
    frames, _, model = fitted
    expected = model.predict(frames).values
    lazy = frames.chunk(frame=1)
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_array_equal(model.predict(lazy).values, expected)
    np.testing.assert_allclose(model.predict(lazy).values, expected, atol=1e-12)


def test_functions_of_the_neighbours():
    """By hand: squares of one degree add up to 2 l + 1 times that of the radial part, which ends at the cutoff."""
    place = np.array([[1.0, 1, 1], [2.0, 1.4, 0.7], [1.0, 2.59, 1.0]])
    cluster = Configuration(place, np.zeros(3, int), 10.0 * np.eye(3), ("A",))
    table = table_of(cluster, 1.6)
    assert table.index[0].tolist() == [1, 2] or table.index[0].tolist() == [2, 1]
    found = functions(table, slice(0, 3), 4).reshape(3, 9, 4, -1)
    radial = found[:, 0]
    for l in range(3):
        square = (found[:, l * l : (l + 1) ** 2] ** 2).sum(axis=1)
        np.testing.assert_allclose(square, (2 * l + 1) * radial**2, atol=1e-6)
    r = table.distance[0, 0]
    expected = np.exp(-0.5 * ((r - np.linspace(0.8, 1.6, 4)) / (0.8 / 3)) ** 2) * (1 - (r / 1.6) ** 2) ** 2
    np.testing.assert_allclose(radial[0, :, 0], expected, rtol=1e-6)
    found = averages_of(cluster, 1.6)
    first = slice(*found.offsets[:2])
    e = np.exp(-np.linalg.norm(place[found.index[first]] - place[0], axis=1) / 1.6)
    assert sorted(found.index[first].tolist()) == [1, 2]
    np.testing.assert_allclose(found.weight[first], e / (1 + e.sum()), rtol=1e-6)
    np.testing.assert_allclose(found.own[0], 1 / (1 + e.sum()), rtol=1e-6)


def test_sums_and_their_gradients_are_products_with_a_matrix():
    """By matrices of all pairs; some particles of a gas have no neighbours."""
    import torch

    from glassdask.learning.equivariant_network import sample_of, summed, taken

    rng, box = np.random.default_rng(3), np.diag([9.0, 9.0, 10.0])
    position = rng.random((150, 3)) @ box
    place = Configuration(position, np.zeros(150, int), box, ("A",))
    model = EquivariantNetwork(cutoff=1.2, shell=1.5)
    model.n_scalars_, model.places_, model.dimension_, model.species_ = 0, [], 3, ["A"]
    sample = sample_of(model, place, np.zeros(150, int), {}, "cpu", keep=True)
    x = torch.from_numpy(rng.normal(size=(150, 4)).astype(np.float32)).requires_grad_()
    apart = position[:, None] - position
    apart -= np.diag(box) * np.round(apart / np.diag(box))
    r = np.linalg.norm(apart, axis=-1)
    weight = np.where((r < 1.5) & (r > 0), np.exp(-r / 1.5), 0.0)
    weight /= 1 + weight.sum(axis=1, keepdims=True)
    assert ((weight > 0).sum(axis=1) == 0).any()
    found, above = summed(x, sample.far), rng.normal(size=(150, 4)).astype(np.float32)
    np.testing.assert_allclose(found.detach().numpy(), weight @ x.detach().numpy(), atol=1e-5)
    (gradient,) = torch.autograd.grad(found, x, torch.from_numpy(above))
    np.testing.assert_allclose(gradient.numpy(), weight.T @ above, atol=1e-5)
    mine, index = taken(x, sample.places), sample.near.index
    np.testing.assert_array_equal(mine.detach().numpy(), x.detach().numpy()[index])
    above = rng.normal(size=mine.shape).astype(np.float32)
    (gradient,) = torch.autograd.grad(mine, x, torch.from_numpy(above))
    expected = np.zeros((150, 4))
    np.add.at(expected, index.ravel(), above.reshape(-1, 4))
    np.testing.assert_allclose(gradient.numpy(), expected, atol=1e-5)


def test_particles_some_at_a_time(fitted, monkeypatch):
    from glassdask.learning import surroundings

    frames, y, model = fitted
    expected, settings = model.predict(frames).values, SMALL | {"epochs": 1, "n_repeats": 1}
    whole = EquivariantNetwork(**settings).fit(frames, y).training_loss_
    monkeypatch.setattr(surroundings, "BLOCK", 40)
    np.testing.assert_allclose(model.predict(frames).values, expected, atol=1e-5)
    np.testing.assert_allclose(EquivariantNetwork(**settings).fit(frames, y).training_loss_, whole, rtol=1e-4)


def test_films_are_learned_as_they_are_predicted(fitted):
    """Nothing is beyond an open face, in training as in predictions; what may be beyond it is not guessed."""
    from glassdask.learning.equivariant_training import Samples

    frames, y, model = fitted
    film = frames.assign(periodic=("axis", [True, True, False]))
    film["periodic"].attrs["beyond"] = "nothing"
    place = Samples(model, film, np.zeros(150, int), y, "cpu").configuration(0)
    expected = gd.neighbors(film, 1.6)[0].counts
    assert np.array_equal((table_of(place, 1.6).distance < 1.6).sum(axis=1), expected)
    assert expected.sum() < gd.neighbors(frames, 1.6)[0].counts.sum()
    cut = frames.assign(periodic=("axis", [True, True, False]))
    with pytest.raises(BoxError, match="open borders hide neighbours"):
        EquivariantNetwork(**SMALL).fit(cut, y)
    with pytest.raises(BoxError, match="open borders hide neighbours"):
        model.predict(cut)


@pytest.mark.parametrize("given", [{"n_radial": 1}, {"cutoff": 0.8}])
def test_one_function_or_a_short_cutoff(given):
    frames = liquid(n_frames=2)
    y = np.random.default_rng(1).normal(size=(2, 150))
    settings = SMALL | {"epochs": 1, "validation_fraction": 0.0, **given}
    assert np.isfinite(EquivariantNetwork(**settings).fit(frames, y).predict(frames)).all()


def test_alone_in_the_box(fitted):
    """A particle without neighbours has a prediction like any other."""
    frames, _, model = fitted
    few = frames.isel(frame=[0], particle=[0, 1, 149]).copy()
    for name in ("position", "inherent_position", "cage_position"):
        few[name] = (few[name].dims, np.array([[[0.5, 0.5, 0.5], [3.5, 3.5, 3.5], [0.5, 3.5, 3.5]]]))
    assert np.isfinite(model.predict(few).values[0, :2]).all()


def test_what_is_refused(fitted):
    frames, y, model = fitted
    with pytest.raises(ParameterError, match="y has shape"):
        EquivariantNetwork(**SMALL).fit(frames, y[:, :3])
    with pytest.raises(ParameterError, match="NaN everywhere"):
        EquivariantNetwork(**SMALL).fit(frames, np.full((4, 150), np.nan))
    some = np.array(y, dtype=float)
    some[[1, 3]] = np.nan
    with pytest.raises(ParameterError, match="y is NaN everywhere in frame 1, as in 2 of 4 frames"):
        EquivariantNetwork(**SMALL).fit(frames, some)
    with pytest.raises(ParameterError, match="1 configurations, 1 of them held out"):
        EquivariantNetwork(**SMALL).fit(frames.isel(frame=[0]), y[:1])
    with pytest.raises(ParameterError, match="1 groups of configurations, 1 of them held out"):
        EquivariantNetwork(**SMALL).fit(frames, y, groups=[0, 0, 0, 0])
    with pytest.raises(ParameterError, match=r"groups has shape \(3,\), expected \(4,\)"):
        EquivariantNetwork(**SMALL).fit(frames, y, groups=[0, 1, 2])
    for weights in ([1.0, 1.0], [1.0, 0.0, 1.0, 1.0], [1.0, np.nan, 1.0, 1.0]):
        with pytest.raises(ParameterError, match="a positive number for each of 4 configurations"):
            EquivariantNetwork(**SMALL).fit(frames, y, sample_weight=weights)
    with pytest.raises(ParameterError, match="no cage_position"):
        model.predict(frames.drop_vars("cage_position"))
    with pytest.raises(ParameterError, match="0 scalars in 3 dimensions"):
        model.predict(frames.drop_vars("scalars"))
    other = frames.assign(species=("particle", ["C"] * 150))
    with pytest.raises(SpeciesError, match="species C are not among"):
        model.predict(other)
    with pytest.raises(SchemaError):
        model.predict(frames.drop_vars("box"))
    bad = frames.copy(deep=True)
    bad["scalars"][1, 2, 0] = np.inf
    with pytest.raises(ParameterError, match="frame 1: scalars are not finite"):
        EquivariantNetwork(**SMALL).fit(bad, y)
    with pytest.raises(ConvergenceError, match="lower learning_rate"):
        EquivariantNetwork(**SMALL | {"epochs": 30}, learning_rate=1e30, validation_fraction=0.0).fit(frames, y)
    assert isinstance(model.predict(frames), xr.DataArray)


def half_known(n_frames, seed):
    """Configurations with targets of which half of the variance, of particles and of regions, follows from scalars."""
    frames = liquid(n_frames, n=100, seed=seed)
    rng = np.random.default_rng(seed)
    place, wave = frames["position"].values, 2 * np.pi / LENGTH
    halves = []
    for k in range(2):
        region = np.sqrt(2.0) * np.sin(wave * place[..., k] + 2 * np.pi * rng.random((n_frames, 1)))
        halves.append(region + 0.5 * rng.normal(size=region.shape))
    return frames.assign(scalars=(("frame", "particle", "feature"), halves[0][..., None])), halves[0] + halves[1]


def largest_waves(frames, field):
    """S_4 at the smallest wavenumber: the mean of |sum_j (y_j - <y>) exp(i k r_j)|^2 / N."""
    wave = np.exp(2j * np.pi / LENGTH * frames["position"].values)
    deviation = field - field.mean(axis=1, keepdims=True)
    return (np.abs((deviation[..., None] * wave).sum(axis=1)) ** 2).mean() / field.shape[1]


def test_variation_of_the_field_is_learned():
    """Least squares make its waves half of what they are, as R^2 is; with the other loss they are within 20 %."""
    frames, y = half_known(16, seed=1)
    unseen, actual = half_known(16, seed=2)
    found = {}
    for variation in (0.0, 10.0):
        model = EquivariantNetwork(
            **{**SMALL, "rounds": 1, "epochs": 20, "n_repeats": 1}, learning_rate=0.02, dropout=0.0,
            validation_fraction=0.0, variation=variation,
        )  # fmt: skip
        predicted = model.fit(frames, y).predict(unseen).values
        waves = largest_waves(unseen, predicted) / largest_waves(unseen, actual)
        found[variation] = waves, predicted.var() / actual.var(), np.corrcoef(predicted.ravel(), actual.ravel())[0, 1]
    assert found[0.0][:2] == pytest.approx((0.5, 0.5), abs=0.1), found
    assert found[10.0][:2] == pytest.approx((1.0, 1.0), abs=0.2), found
    assert found[10.0][2] == pytest.approx(found[0.0][2], abs=0.05), found  # R is hardly less
