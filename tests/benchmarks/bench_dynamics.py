"""Dynamics against plain NumPy (with freud's neighbours), ripple-hpc and dynasor: D2min, averages over time origins.

Run with ``python -m tests.benchmarks.bench_dynamics``. One thread, in turn; the results are compared first.
"""

from __future__ import annotations

from tests.benchmarks.peers import TINY, report, wahnstrom  # isort: skip (sets the number of threads)

import dask
import freud
import numpy as np

import glassdask as gd
from glassdask import dynamics
from glassdask.dynamics.scattering import wave_shells
from tests.benchmarks.programs import Dynasor, Ripple


def numpy_d2min(old, new, length, radius):
    box = freud.box.Box.cube(length)
    query = freud.locality.AABBQuery(box, old - length / 2)
    pairs = query.query(old - length / 2, {"r_max": radius, "exclude_ii": True}).toNeighborList()
    i, j = pairs[:, 0].astype(int), pairs[:, 1].astype(int)
    before, after = old[j] - old[i], new[j] - new[i]
    before -= length * np.rint(before / length)
    after -= length * np.rint(after / length)
    begin = np.searchsorted(i, np.arange(len(old)))
    y = np.add.reduceat(before[:, :, None] * before[:, None, :], begin)
    x = np.add.reduceat(before[:, :, None] * after[:, None, :], begin)
    left = after - np.einsum("ns,nst->nt", before, np.linalg.solve(y, x)[i])
    return np.add.reduceat((left**2).sum(axis=1), begin)


def numpy_propensity(displacement):
    distance = np.linalg.norm(displacement, axis=-1)
    return np.array([distance.mean(axis=0), distance.std(axis=0, ddof=1) / np.sqrt(len(distance))])


def numpy_propensity_in_place(displacement):
    distance, square = displacement[..., 0] ** 2, np.empty(displacement.shape[:-1])
    for axis in range(1, displacement.shape[-1]):
        np.multiply(displacement[..., axis], displacement[..., axis], out=square)
        distance += square
    np.sqrt(distance, out=distance)
    mean = distance.mean(axis=0)
    distance -= mean
    np.multiply(distance, distance, out=distance)
    return np.array([mean, np.sqrt(distance.sum(axis=0) / (len(distance) * (len(distance) - 1)))])


def numpy_averages(path, lags, origins, k):
    result = []
    for lag in lags:
        first = np.rint(np.linspace(0, len(path) - 1 - lag, origins)).astype(int)
        r2 = ((path[first + lag] - path[first]) ** 2).sum(axis=-1)
        result.append((r2.mean(), (r2**2).mean(), np.sinc(k * np.sqrt(r2) / np.pi).mean()))
    return np.array(result)


def numpy_chi4(path, lags, origins, a):
    result = []
    for lag in lags:
        first = np.rint(np.linspace(0, len(path) - 1 - lag, origins)).astype(int)
        q = (((path[first + lag] - path[first]) ** 2).sum(axis=-1) < a**2).mean(axis=1)
        result.append(path.shape[1] * q.var(ddof=1))
    return np.array(result)


def fft_msd(path, lags):
    """All lags and origins, by Fourier transforms."""
    n, x = len(path), path - path.mean(axis=0)
    waves = np.fft.rfft(x, 2 * n, axis=0)
    products = np.fft.irfft((np.abs(waves) ** 2).sum(axis=(1, 2)), 2 * n)[:n]
    sums = np.cumsum(np.append(0.0, (x**2).sum(axis=(1, 2))))
    found = [(sums[n - lag] + sums[n] - sums[lag] - 2 * products[lag]) / (n - lag) for lag in lags]
    return np.array(found) / path.shape[1]


def against_ripple(rng) -> None:
    """chi_4 and the coherent F(k, t) of all pairs of frames, beside ripple-hpc where it is."""
    n, some, n_frames, last, length = (50, 50, 20, 3, 6.0) if TINY else (8000, 500, 120, 4, 19.0)
    path = np.cumsum(rng.normal(scale=0.05, size=(n_frames, n, 3)), axis=0) + rng.random((n, 3)) * length
    others = None
    try:
        others = Ripple(path, length)
    except ImportError as error:
        print(f"ripple is left out: {error}")
    image = np.floor(path / length).astype(int)
    run = gd.from_arrays(
        path - image * length, species=["A"] * n, box=[length] * 3, image=image, time=1.0 * np.arange(n_frames)
    )
    every = np.arange(1, n_frames - 1)
    numpy = {"NumPy": lambda: np.concatenate([numpy_chi4(path, [m], n_frames - m, 0.3) for m in every])}
    report(
        "chi_4, all pairs of frames: a pair and particle", n * n_frames * (n_frames - 1) // 2,
        lambda: dynamics.dynamic_susceptibility(run, a=0.3, lags=every, origins=n_frames)["chi4_total"].values,
        {**numpy, "ripple": lambda: others.chi4(0.3)[: len(every)]} if others else numpy,
    )  # fmt: skip
    if others:
        few, theirs = run.isel(frame=slice(0, 30), particle=slice(0, some)), Ripple(path[:30, :some], length)
        report(
            "coherent F(k, t): a frame and particle", some * len(few["time"]),
            lambda: dynamics.intermediate_scattering(
                few, [3.0], width=0.4, modes=10**6, lags=np.arange(1.0, last + 1), origins=n_frames
            )["f_total"][0].values,
            {"ripple": lambda: theirs.scattering(2.8, 3.2, last)},
        )  # fmt: skip


def against_dynasor(rng) -> None:
    """The coherent F(k, t) of the waves in a shell, alone and with F_s(k, t), beside dynasor where it is."""
    n, n_frames, last, length = (50, 20, 3, 6.0) if TINY else (16000, 60, 30, 24.0)
    path = np.cumsum(rng.normal(scale=0.05, size=(n_frames, n, 3)), axis=0) + rng.random((n, 3)) * length
    image = np.floor(path / length).astype(int)
    run = gd.from_arrays(
        path - image * length, species=["A"] * n, box=[length] * 3, image=image, time=1.0 * np.arange(n_frames)
    )
    try:
        theirs = Dynasor(path, length)
    except ImportError as error:
        print(f"dynasor is left out: {error}")
        return
    for k in (3.0, 7.2):
        ((modes,), width) = wave_shells(run, length * np.eye(3), [k], 0.4, 300)[:0:-1]
        waves = 2 * np.pi / length * modes
        for both in (False, True):
            name = "with F_s" if both else "alone"
            report(
                f"F(k = {k:g}, t) {name}, {len(modes)} waves: a frame and particle", n * n_frames,
                lambda k=k, width=width, both=both: dynamics.intermediate_scattering(
                    run, [k], width=width, modes=300, lags=np.arange(1.0, last + 1), origins=n_frames, self_part=both
                )["f_total"][0].values,
                {"dynasor": lambda waves=waves, both=both: theirs.scattering(waves, last, incoherent=both)},
            )  # fmt: skip


def main() -> None:
    rng = np.random.default_rng(0)
    start = wahnstrom(copies=1, keep=4000)
    length = float(start["box"].values[0, 0, 0])
    old = start["position"].values[0]
    n = len(old)
    new = old + rng.normal(scale=0.1, size=old.shape)
    moved = gd.from_arrays(new, species=start["species"].values, box=[length] * 3)
    for radius in (1.9, 2.5):
        report(
            f"D2min, radius {radius}, a particle", n,
            lambda radius=radius: dynamics.d2min(start, moved, radius)["d2min"].values[0],
            {"freud + NumPy": lambda radius=radius: numpy_d2min(old, new, length, radius)},
        )  # fmt: skip
    replicas = rng.normal(scale=0.3, size=(30, 10, n, 3))
    given = dynamics.replica_displacements(old, old + replicas, lag=np.arange(10.0))
    report(
        "propensity and error, 30 replicas: a particle and lag", replicas[0, ..., 0].size,
        lambda: dynamics.propensity(given, power=1)[["propensity", "propensity_error"]].to_array().values,
        {
            "NumPy": lambda: numpy_propensity(given.values),
            "NumPy in place": lambda: numpy_propensity_in_place(given.values),
        },
    )  # fmt: skip
    n_run, n_frames = (50, 200) if TINY else (1000, 1000)
    path = np.cumsum(rng.normal(scale=0.05, size=(n_frames, n_run, 3)), axis=0)
    image = np.floor(path / length).astype(int)
    run = gd.from_arrays(
        path - image * length, species=["A"] * n_run, box=[length] * 3, image=image, time=1.0 * np.arange(n_frames)
    )
    lags = np.unique(np.geomspace(1, n_frames // 2, 40).astype(int))
    names = ["msd_total", "fs_total"]
    report(
        "MSD, alpha_2, F_s: a particle, lag and origin", n_run * 100 * len(lags),
        lambda: dynamics.self_correlations(run, k=7.0, lags=lags)[names].to_array().values,
        {"NumPy": lambda: numpy_averages(path, lags, 100, 7.0)[:, [0, 2]].T},
    )  # fmt: skip
    report(
        "chi_4 of the overlap: a particle, lag and origin", n_run * 100 * len(lags),
        lambda: dynamics.dynamic_susceptibility(run, a=0.3, lags=lags)["chi4_total"].values,
        {"NumPy": lambda: numpy_chi4(path, lags, 100, 0.3)},
    )  # fmt: skip
    against_ripple(rng)
    against_dynasor(rng)
    every = np.arange(1.0, n_frames)
    others = {"NumPy's FFT": lambda: fft_msd(path, every.astype(int))}
    try:
        import tidynamics

        each = [np.ascontiguousarray(path[:, i]) for i in range(n_run)]  # it takes one particle at a time
        others["tidynamics"] = lambda: np.mean([tidynamics.msd(one) for one in each], axis=0)[1:]
    except ImportError as error:
        print(f"tidynamics is left out: {error}")
    report(
        "MSD of all lags and origins: a particle and frame", n_run * n_frames,
        lambda: dynamics.mean_square_displacement(run, every, origins=n_frames)["msd_total"].values,
        others,
    )  # fmt: skip


if __name__ == "__main__":
    with dask.config.set(scheduler="synchronous"):
        main()
