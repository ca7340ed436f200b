import json
import os
import zipfile

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.errors import FormatError, ParameterError, StoreError, StoreVersionError
from glassdask.learning import (
    PCA,
    ARDRegression,
    Autoencoder,
    ForwardSelection,
    LinearRegression,
    LinearSVM,
    LogisticRegression,
    PrincipalComponentRegression,
    Ridge,
    RidgeCV,
    load_model,
    save_model,
)


def data(n=120, m=8):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, m)) * np.arange(1, m + 1)
    return x, x @ rng.normal(size=(m, 2)) + rng.normal(size=(n, 2))


FITS = [
    lambda x, y: PCA(n_components=0.8, scale=True).fit(x),
    lambda x, y: LinearRegression().fit(x, y),
    lambda x, y: LinearRegression().fit(x, y[:, 0]),
    lambda x, y: Ridge(3.0).fit(x, y),
    lambda x, y: RidgeCV([0.1, 1.0]).fit(x, y, np.arange(len(x)) // 30),
    lambda x, y: PrincipalComponentRegression(2).fit(x, y),
    lambda x, y: ARDRegression().fit(x, y),
    lambda x, y: ForwardSelection(3).fit(x, y),
    lambda x, y: LogisticRegression(C=0.5).fit(x, y[:, 0] > 0),
    lambda x, y: LinearSVM().fit(x, np.where(y[:, 0] > 0, "fast", "slow")),
    lambda x, y: Autoencoder(epochs=2, n_repeats=2, device="cpu").fit(x),
]


@pytest.mark.parametrize("fit", FITS)
def test_round_trip(tmp_path, fit):
    x, y = data()
    model = fit(x, y)
    loaded = load_model(save_model(model, tmp_path / "model.npz"))
    assert type(loaded) is type(model)
    assert set(vars(loaded)) == set(vars(model))
    use = "transform" if hasattr(model, "transform") else "predict"
    found, expected = getattr(loaded, use)(x), getattr(model, use)(x)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    if hasattr(model, "pca_"):
        np.testing.assert_array_equal(loaded.pca_.transform(x), model.pca_.transform(x))
    # a second save says the same
    again = load_model(save_model(loaded, tmp_path / "again.npz"))
    np.testing.assert_array_equal(getattr(again, use)(x), expected)


def test_the_file_is_arrays_and_json_without_pickle(tmp_path):
    x, _ = data()
    path = save_model(PCA(n_components=2).fit(x), tmp_path / "pca.npz")
    with zipfile.ZipFile(path) as archive:
        description = json.loads(archive.read("model.json"))
        assert archive.testzip() is None
    assert description["model"] == "PCA"
    assert description["parameters"] == {"n_components": 2, "scale": False, "method": "exact"}
    assert description["glassdask"] == gd.__version__
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["components_"], PCA(n_components=2).fit(x).components_)
    assert os.listdir(tmp_path) == ["pca.npz"]  # no temporary file is left


def test_features_must_match(tmp_path):
    rng = np.random.default_rng(1)
    liquid = gd.from_arrays(rng.random((2, 60, 3)) * 4, species=["A", "B"] * 30, box=[4.0, 4.0, 4.0])
    q = gd.describe(liquid, [gd.SmoothedBondOrder(cutoffs=1.5)], centers="B")["sbo"]
    model = PCA(n_components=2).fit(gd.feature_matrix(q))
    path = save_model(model, tmp_path / "pca.npz", features=q)
    np.testing.assert_array_equal(load_model(path, features=q).components_, model.components_)

    def other(centers="B", **changed):
        descriptor = gd.SmoothedBondOrder(**({"cutoffs": 1.5} | changed))
        return gd.describe(liquid, [descriptor], centers=centers)["sbo"]

    for wrong, message in (
        (other(cutoffs=1.4), "with cutoffs = 1.5, these have"),
        (other(centers="A"), r"with centers = \['B'\], these have \['A'\]"),
        (other(l_max=6), "6 in number"),
        (q.assign_coords(l=q["l"] + 1), "'l=2' instead of 'l=1'"),
        (q.drop_vars("l"), "'without a name' instead of 'l=1'"),
    ):
        with pytest.raises(ParameterError, match=message):
            load_model(path, features=wrong)
        assert load_model(path).n_components_ == 2  # at the user's own risk
    with pytest.raises(ParameterError, match="has 6 features, but the model 8"):
        save_model(model, path, features=q[..., :6])


def test_names_learned_from_a_data_array_are_kept(tmp_path):
    x, y = data()
    named = xr.DataArray(x, dims=("sample", "l"), coords={"l": np.arange(8)})
    loaded = load_model(save_model(LinearRegression().fit(named, y), tmp_path / "model.npz"), features=named)
    with pytest.raises(ParameterError, match="feature 0 is 'l=7'"):
        loaded.predict(named[:, ::-1])
    with pytest.raises(ParameterError, match="'l=7' instead of 'l=0'"):
        load_model(tmp_path / "model.npz", features=named[:, ::-1])


def test_what_cannot_be_saved(tmp_path):
    from sklearn.linear_model import Lasso

    with pytest.raises(ParameterError, match="this PCA is not fitted"):
        save_model(PCA(), tmp_path / "m.npz")
    with pytest.raises(ParameterError, match="Lasso is not a model"):
        save_model(Lasso(), tmp_path / "m.npz")
    model = PCA().fit(data()[0])
    with pytest.raises(StoreError, match="cannot be written"):
        save_model(model, tmp_path / "nowhere" / "m.npz")
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_loaded(tmp_path):
    with pytest.raises(StoreError, match="cannot be read"):
        load_model(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("not a model")
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    for name in ("text.npz", "arrays.npz"):
        with pytest.raises(FormatError, match="not a model"):
            load_model(tmp_path / name)
    path = save_model(PCA().fit(data()[0]), tmp_path / "pca.npz")
    content = path.read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match="damaged"):
        load_model(tmp_path / "cut.npz")
    for change, error, message in (
        ({"format": 99}, StoreVersionError, "format 99 is newer"),
        ({"model": "os.system"}, FormatError, "unknown model 'os.system'"),
        ({"parameters": {"colour": "red"}}, FormatError, "save the model again"),
    ):
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "changed.npz", "w") as changed:
            for name in archive.namelist():
                text = archive.read(name)
                changed.writestr(name, json.dumps(json.loads(text) | change) if name == "model.json" else text)
        with pytest.raises(error, match=message):
            load_model(tmp_path / "changed.npz")


@pytest.mark.parametrize("names", [["l=1", "l=2", "l=3"], None])
def test_models_of_the_first_format_are_read(tmp_path, names):
    """Names of features were a list, or None, called feature_names_."""
    x, y = data(m=3)
    model = PrincipalComponentRegression().fit(x, y)
    with (
        zipfile.ZipFile(save_model(model, tmp_path / "new.npz")) as new,
        zipfile.ZipFile(tmp_path / "old.npz", "w") as old,
    ):
        for name in new.namelist():
            content = new.read(name)
            if name == "model.json":
                description = json.loads(content) | {"format": 1}
                for part in (description, description["attributes"]["pca_"]["model"]):
                    part["attributes"]["feature_names_"] = names
                content = json.dumps(description).encode()
            old.writestr(name, content)
    found = load_model(tmp_path / "old.npz")
    np.testing.assert_array_equal(found.predict(x), model.predict(x))
    for part in (found, found.pca_):
        assert (part.feature_names_in_.tolist() if names else hasattr(part, "feature_names_in_")) == (names or False)
