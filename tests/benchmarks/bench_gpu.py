"""What torch takes on a GPU and on the processor: ``python -m tests.benchmarks.bench_gpu``, three minutes with a GPU.

Autoencoder and convolutional network are trained for some epochs on the same data, by the seconds of the clock, and
what they give is compared. Where there is no GPU it says so and times the processor alone.
"""

from __future__ import annotations

from tests.benchmarks.peers import TINY  # isort: skip (sets the number of threads)

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from glassdask import learning

EPOCHS = 1 if TINY else 5


def autoencoder(device: str) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(200 if TINY else 200_000, 24)).astype(np.float32)
    model = learning.Autoencoder(n_components=2, epochs=EPOCHS, n_repeats=1, device=device).fit(x)
    return np.asarray(model.transform(x[:100]))


def convolution(device: str) -> np.ndarray:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 4 if TINY else 200)
    images = rng.normal(size=(len(labels), 1, 64, 64)).astype(np.float32) + labels[:, None, None, None]
    model = learning.ConvolutionalClassifier(epochs=EPOCHS, learning_rate=1e-4, device=device).fit(images, labels)
    return np.asarray(model.predict_proba(images[:20]))


WORKS: dict[str, Callable[[str], np.ndarray]] = {"autoencoder": autoencoder, "convolution": convolution}


def main() -> None:
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if len(devices) == 1:
        print("there is no GPU that torch can use: the processor alone is timed")
    print(f"{'':16s}" + "".join(f"{device:>10s}" for device in devices) + f"{'ratio':>8s}{'differ by':>12s}")
    for name, work in WORKS.items():
        found: dict[str, Any] = {}
        times = {}
        for device in devices:
            begun = time.perf_counter()
            found[device] = work(device)
            times[device] = time.perf_counter() - begun
        ratio = times["cpu"] / times[devices[-1]]
        apart = float(np.abs(found["cpu"] - found[devices[-1]]).max())
        print(f"{name:16s}" + "".join(f"{times[device]:8.2f} s" for device in devices) + f"{ratio:8.1f}{apart:12.1e}")


if __name__ == "__main__":
    main()
