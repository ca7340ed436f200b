"""Configurations as images, and the network that tells their classes (Sec. III A, supplement I A-C)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np

import glassdask as gd
from glassdask.code import digest
from glassdask.fields.coarse import normalize
from glassdask.fields.grid import to_grid
from glassdask.learning import ConvolutionalClassifier, load_model, save_model
from glassdask.store import content_hash, write_dataset
from paper_c.sources import Part, Sample, Sizes

GROUP = "images"


def points(sample: Sample, spacing: float, multiple: int) -> tuple[int, ...]:
    """Points of the grid along each cell vector, about `spacing` apart, multiples of what the strides need."""
    edges = np.linalg.norm(sample.first["box"].values[0], axis=1)
    return tuple(multiple * int(n) for n in np.maximum(np.rint(edges / spacing / multiple), 4))


def make(sample: Sample, sizes: Sizes) -> None:
    """Eqs. S1-S2, each image scaled to [0, 1], into the store of every trajectory; what is there is kept."""
    strides = ConvolutionalClassifier(**sizes.network).strides
    shape = points(sample, sizes.spacing, int(np.prod(strides)))
    for store in dict.fromkeys(part.store for part in sample.parts):
        grid = to_grid(gd.open_trajectory(store), shape, sample.sizes)
        images = normalize(grid, [dim for dim in grid.dims if dim != "frame"]).astype(np.float32)
        parameters = {"shape": shape, "sizes": dict(sample.sizes)}
        write_dataset(images.to_dataset(name=GROUP), store, f"reductions/{GROUP}", parameters=parameters,
                      code=digest(to_grid, normalize), overwrite=True)  # fmt: skip


def of_part(part: Part) -> da.Array:
    """Images (sample, 1, x, y[, z]) of a part, lazy."""
    images = gd.open_reduction(part.store, GROUP)[GROUP].data
    if part.frames != tuple(range(images.shape[0])):
        images = images[list(part.frames)]
    return images[:, None]


def of_role(sample: Sample, role: str) -> da.Array:
    """Images of all parts for one purpose."""
    return da.concatenate([of_part(part) for part in sample.role(role)])


def train(sample: Sample, network: Mapping[str, Any], folder: Path, progress: Any = None) -> ConvolutionalClassifier:
    """The trained network; training goes on where it was interrupted, and a finished one is read from its file."""
    model = ConvolutionalClassifier(**network)
    contents = [[str(part.role), part.frames, part.labels, content_hash(part.store)] for part in sample.parts]
    images = of_role(sample, "train")
    described = [{k: v for k, v in model.get_params().items() if k != "device"}, contents, images.shape[1:]]
    key = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:12]
    file = folder / f"network-{key}.npz"
    if file.exists():
        return load_model(file)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / f"training-{key}.pt"
    model.fit(
        images,
        sample.labels("train"),
        validation=(of_role(sample, "validation"), sample.labels("validation")),
        checkpoint=checkpoint,
        callback=progress,
    )
    save_model(model, file)
    checkpoint.unlink(missing_ok=True)
    return model


def accuracies(sample: Sample, model: ConvolutionalClassifier) -> dict[str, tuple[float, int]]:
    """Table 2: the fraction of test configurations of each class that is recognised, and their number."""
    labels = sample.labels("test")
    right = np.asarray(model.predict(of_role(sample, "test"))) == labels
    return {label: (float(right[labels == label].mean()), int((labels == label).sum())) for label in sample.classes}
