import dask
import dask.array as da
import numpy as np
import pytest

from glassdask.errors import ParameterError
from glassdask.learning import (
    PCA,
    Autoencoder,
    LinearRegression,
    cross_validate,
    folding_test,
    grouped_moments,
    skewness_kurtosis,
)


@pytest.fixture(scope="module")
def client():
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"distributed.admin.low-level-log-length": 0}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.mark.cluster
def test_two_processes_give_the_numbers_of_one(client):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6000, 6)) @ rng.normal(size=(6, 6)) + 3
    x[::100, 2] = np.nan
    y = np.nan_to_num(x) @ rng.normal(size=6) + rng.normal(size=6000)
    groups = np.arange(6000) // 1000
    array = da.from_array(x, chunks=(2100, 6))

    def results(matrix):
        parts = grouped_moments(matrix, y, groups)
        return [
            PCA().fit(matrix).components_,
            np.asarray(PCA(n_components=2).fit_transform(matrix)),
            PCA(scale=True, method="incremental").fit(matrix).explained_variance_,
            LinearRegression().fit(matrix, y).coef_,
            cross_validate(LinearRegression(), parts).r,
            np.array(skewness_kurtosis(matrix)),
            folding_test(matrix),
        ]

    on_cluster = results(array)
    with dask.config.set(scheduler="synchronous"):
        for found, expected in zip(on_cluster, results(array)):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    for found, expected in zip(on_cluster, results(x)):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.cluster
def test_errors_and_training_on_a_cluster(client):
    x = np.random.default_rng(0).normal(size=(400, 3)) * [1.0, 2.0, 0.1]
    array = da.from_array(x, chunks=(100, 3))
    small = {"n_components": 1, "epochs": 2, "n_repeats": 2, "device": "cpu"}
    a = Autoencoder(**small).fit(array)
    with dask.config.set(scheduler="synchronous"):
        b = Autoencoder(**small).fit(array)
    np.testing.assert_allclose(a.validation_loss_, b.validation_loss_, rtol=1e-6)
    x[321, 1] = -np.inf
    with pytest.raises(ParameterError, match="feature 1 is infinite in chunk 3"):
        PCA().fit(da.from_array(x, chunks=(100, 3)))
