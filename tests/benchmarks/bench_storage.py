"""What codecs of stored numbers save and cost, and what single precision changes in results.

Run with ``python -m tests.benchmarks.bench_storage [FILE ...]``. Codecs: size on disk, and MB of double precision that
are written and read in a second of CPU. Precision: principal components, and ridge regression of a target of every
particle, of the same features in double and in single precision, beside the statistical error, from a jackknife over
configurations. The target is the local energy of the shipped Wahnström frames; of FILEs with initial_positions,
positions (run, particle, 3) and types, Kob-Andersen of density 1.2 as BOTAN's, it is the propensity.
"""

from __future__ import annotations

from tests.benchmarks.peers import DATA, TINY, cpu_seconds, record  # isort: skip (sets the number of threads)

import sys

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

import glassdask as gd
from glassdask.learning import PCA, Ridge

CODECS = {
    "zstd": ZstdCodec(level=2),
    "lz4, bits shuffled": BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle"),
    "lz4, bytes shuffled": BloscCodec(cname="lz4", clevel=1, shuffle="shuffle"),
    "none": None,
}
SOAP = gd.SOAP(n_max=8, l_max=8, r_cut=2.2, sigma=0.2)


def shipped(n_frames):
    run = np.load(DATA / "wahn_N4000_T0.58.npz")
    species = np.where(run["species"] == 1, "A", "B")
    return gd.from_arrays(run["position"][:n_frames], species=species, box=run["box"])


def codecs(n_frames=1 if TINY else 2, repeats=1 if TINY else 3):
    """Rows: what, dtype, codec, size on disk over size in memory, MB (of float64) a second written and read."""
    trajectory = shipped(n_frames)
    sbo = gd.SmoothedBondOrder(cutoffs=1.4)
    features = gd.describe(trajectory, [sbo, SOAP]).compute(scheduler="synchronous")
    some = gd.describe(trajectory, [sbo], centers="B")["sbo"].values
    noise = np.random.default_rng(1).uniform(0.9, 1.0, trajectory["position"].shape)
    position = trajectory["position"].values * noise
    kinds = {
        "SOAP": features["soap"].values, "SBO": features["sbo"].values, "SBO of half": some,
        "positions": position, "positions of 5 decimals": position.round(5),
    }  # fmt: skip
    for name, values in kinds.items():
        for dtype in ("float64", "float32"):
            data = values.astype(dtype)
            for codec, made in CODECS.items():
                stored = {}
                array = zarr.create_array(
                    stored, shape=data.shape, chunks=data.shape, dtype=dtype, fill_value=np.nan,
                    compressors=[*([made] if made else []), Crc32cCodec()],
                )  # fmt: skip
                array = array.with_config({"write_empty_chunks": True})

                def write(array=array, data=data):
                    array[:] = data

                written = min(cpu_seconds(write) for _ in range(repeats))
                read = min(cpu_seconds(lambda array=array: array[:]) for _ in range(repeats))
                size = sum(len(part.to_bytes()) for key, part in stored.items() if "json" not in key) / data.nbytes
                yield name, dtype, codec, size, values.size * 8e-6 / written, values.size * 8e-6 / read


def precision(matrices, targets):
    """Rows: quantity, value, change by single precision, statistical error; configurations are items of the lists."""

    def measured(kept, dtype):
        X, y = (np.concatenate([each[k] for k in kept]) for each in (matrices, targets))
        X = X.astype(dtype)
        pca = PCA(n_components=3).fit(X)
        half = np.arange(len(X)) % 2 == 0
        model = Ridge(alpha=1e-4).fit(X[half], y[half])
        r = np.corrcoef(model.predict(X[~half]), y[~half])[0, 1]
        return np.array([*pca.explained_variance_ratio_[:2], *np.abs(pca.components_[0]).max(keepdims=True), r])

    everything = list(range(len(matrices)))
    double, single = (measured(everything, dtype) for dtype in ("float64", "float32"))
    parts = np.array([measured([k for k in everything if k != out], "float64") for out in everything])
    n = len(parts)
    error = np.sqrt((n - 1) / n * ((parts - parts.mean(axis=0)) ** 2).sum(axis=0))
    names = ("explained variance of PC 1", "of PC 2", "largest element of V(1)", "R of regression")
    return list(zip(names, double, np.abs(single - double), error))


def propensity_of(file):
    run = np.load(file)
    size = (len(run["types"]) / 1.2) ** (1 / 3)
    species = np.where(run["types"] == 0, "A", "B")
    start = gd.from_arrays(run["initial_positions"][None], species=species, box=[size] * 3)
    moved = np.linalg.norm(run["positions"] - run["initial_positions"], axis=-1).mean(axis=0)
    return start, moved


def main(files=()):
    print("what                     dtype    codec                size  MB/s written  read")
    measured = list(codecs())
    for name, dtype, codec, size, written, read in measured:
        print(f"{name:24s} {dtype} {codec:20s} {size:.3f} {written:13.0f} {read:5.0f}", flush=True)
    speed = {tuple(row[:3]): row[4:] for row in measured}
    for k, what in enumerate(("written", "read")):
        ours, before = speed["SOAP", "float32", "lz4, bits shuffled"][k], speed["SOAP", "float64", "zstd"][k]
        record(f"SOAP {what}: a MB of float64", {"glassdask": 1 / ours, "zstd": 1 / before}, 1, "ms", 2.0, 1e3)
    if files:
        states = [propensity_of(file) for file in files]
        frames, targets, centers = [start for start, _ in states], [moved for _, moved in states], "A"
    else:
        n_frames = 2 if TINY else 6
        whole = shipped(n_frames)
        frames, centers = [whole.isel(frame=[k]) for k in range(n_frames)], "B"
        energy = gd.describe(whole, [gd.LocalEnergy(model="wahnstrom")])["local_energy"].values
        targets = list(energy)
    kept = [frame["species"].values == centers for frame in frames]
    for descriptor in (gd.SmoothedBondOrder(cutoffs=1.4), *([] if TINY else [SOAP])):
        matrices = [
            np.asarray(gd.feature_matrix(gd.describe(frame, [descriptor], centers=centers)[descriptor.name]))
            for frame in frames
        ]
        print(f"\n{descriptor.name:30s} double       changed by   statistical error")
        for name, value, change, error in precision(matrices, [t[k] for t, k in zip(targets, kept)]):
            print(f"{name:28s} {value:9.6f} {change:14.1e} {error:14.1e}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
