"""PCA and least squares of long matrices: one pass against dask-ml, scikit-learn and NumPy; time, memory and error.

Run with ``python -m tests.benchmarks.bench_learning``; ``--large`` adds 2e8 x 8 and 2e6 x 324 rows, which no other
method here is asked for. Every measurement is a process of its own, whose peak memory includes Python's 0.2 GB; all but
the large matrices are in memory before the clock runs. ``python -m tests.benchmarks`` has those of matrices in memory,
one thread.
"""

from __future__ import annotations

from tests.benchmarks.peers import TINY, record, alternate  # isort: skip (sets the number of threads)

import json
import resource
import subprocess
import sys
import time
import warnings

import dask
import dask.array as da
import numpy as np

SIZES = {"medium": (2_000_000, 8, 250_000), "wide": (100_000, 324, 20_000), "short": (20_000, 8, 5_000)}
LARGE = {"long": (200_000_000, 8, 1_000_000), "long and wide": (2_000_000, 324, 20_000)}


def matrix(n, m, rows):
    """Rows with known covariance about a mean that is far from zero, made chunk by chunk."""
    mixing = np.random.default_rng(1).normal(size=(m, m)) * 0.98 ** np.arange(m)[:, None]

    def block(block_info=None):
        (begin, end), _ = block_info[None]["array-location"]
        return np.random.default_rng(begin).normal(size=(end - begin, m)) @ mixing + 10

    chunks = (tuple(min(rows, n - start) for start in range(0, n, rows)), (m,))
    return da.map_blocks(block, chunks=chunks, dtype=np.float64, meta=np.empty((0, 0)))


def target(x):
    return da.map_blocks(
        lambda b: b @ np.linspace(-1, 1, b.shape[1]) + np.sin(1e3 * b[:, 0]), x, drop_axis=1, dtype=float
    )


def exact(x):
    from glassdask.learning import PCA

    return PCA().fit(x).components_


def incremental(x):
    from glassdask.learning import PCA

    return PCA(method="incremental").fit(x).components_


def scikit_learn(x):
    from sklearn.decomposition import PCA

    return PCA(svd_solver="covariance_eigh").fit(x.compute()).components_


def least_squares(x):
    from glassdask.learning import LinearRegression

    return LinearRegression().fit(x, target(x)).coef_


def lstsq(x):
    a = np.column_stack([x.compute(), np.ones(x.shape[0])])
    return np.linalg.lstsq(a, target(x).compute(), rcond=None)[0][:-1]


def _dask_ml(solver):
    def fit(x):
        from dask_ml.linear_model import LinearRegression

        # its default penalty of 1 is kept out of the way by C; .score raises on today's dask and is not used
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LinearRegression(solver=solver, C=1e12, max_iter=100, penalty="l2").fit(x, target(x))
        return np.asarray(model.coef_)[: x.shape[1]]

    fit.__name__ = f"dask_ml_{solver}"
    return fit


CASES = {
    "exact": (exact, "scikit_learn", ("medium", "wide")),
    "incremental": (incremental, "scikit_learn", ("medium", "wide")),
    "scikit_learn": (scikit_learn, "scikit_learn", ("medium", "wide")),
    "least_squares": (least_squares, "lstsq", ("medium", "wide", "short")),
    "lstsq": (lstsq, "lstsq", ("medium", "wide", "short")),
    "dask_ml_lbfgs": (_dask_ml("lbfgs"), "lstsq", ("short",)),
    "dask_ml_admm": (_dask_ml("admm"), "lstsq", ("short",)),
}


def measure(case, size):
    """In this process: seconds, peak memory in GB, and what was found."""
    x = matrix(*(SIZES | LARGE)[size])
    x = x.persist(scheduler="threads", num_workers=2) if size in SIZES else x
    with dask.config.set(scheduler="threads", num_workers=2):
        x[:10].compute()
        start = time.perf_counter()
        found = CASES[case][0](x)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "peak": peak, "found": np.asarray(found).tolist()}))


def difference(found, reference):
    """Largest angle between directions in radians, or largest relative error of coefficients."""
    found, reference = np.asarray(found), np.asarray(reference)
    if found.ndim == 1:
        return np.abs(found - reference).max() / np.abs(reference).max()
    sign = np.sign(np.sum(found * reference, axis=1, keepdims=True))
    return np.linalg.norm(found - sign * reference, axis=1).max()


def main():
    """Matrices in memory, for the table."""
    from sklearn import linear_model
    from sklearn.decomposition import PCA as Other

    from glassdask.learning import PCA, Ridge

    n, m = (2_000, 24) if TINY else (100_000, 324)
    double = matrix(n, m, n).compute(scheduler="synchronous")
    y = double @ np.linspace(-1, 1, m) + np.random.default_rng(2).normal(size=n)
    for x in (double, double.astype(np.float32)):
        works = {
            "glassdask": lambda x=x: PCA(n_components=8).fit(x),
            "scikit-learn": lambda x=x: Other(n_components=8, svd_solver="covariance_eigh").fit(x),
        }
        found, expected = (work() for work in works.values())
        assert difference(found.components_, expected.components_) < (1e-8 if x is double else 1e-2)
        record(f"PCA of {n} x {m}, {x.dtype}: a row", alternate(works), n)
    works = {
        "glassdask": lambda: Ridge(alpha=1.0, scale=False).fit(double, y),
        "scikit-learn": lambda: linear_model.Ridge(alpha=1.0, solver="cholesky").fit(double, y),
    }
    record(f"ridge regression of {n} x {m}: a row", alternate(works), n)


def processes(large):
    """Each case in a process of its own: seconds, memory, error."""
    found = {}
    runs = [(case, size) for case, (_, _, sizes) in CASES.items() for size in sizes]
    if large:
        runs += [(case, size) for case in ("exact", "least_squares") for size in LARGE]
    for case, size in runs:
        command = [sys.executable, "-m", "tests.benchmarks.bench_learning", case, size]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
        found[case, size] = json.loads(done.stdout) if done.returncode == 0 else done.stderr.splitlines()[-1]
    print(f"{'case':16s}{'rows x features':>20s}{'seconds':>10s}{'GB':>8s}{'error':>10s}")
    for (case, size), result in found.items():
        shape = "{} x {}".format(*(SIZES | LARGE)[size])
        if isinstance(result, str):
            print(f"{case:16s}{shape:>20s}  {result}")
            continue
        reference = found.get((CASES[case][1], size))
        error = f"{difference(result['found'], reference['found']):10.1e}" if isinstance(reference, dict) else ""
        print(f"{case:16s}{shape:>20s}{result['seconds']:10.1f}{result['peak']:8.2f}{error}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(*sys.argv[1:])
    else:
        processes("--large" in sys.argv)
