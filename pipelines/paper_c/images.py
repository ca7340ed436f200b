"""Configurations as images, and the network that tells their classes (Sec. III A, supplement I A-C)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np

import glassdask as gd
from glassdask.code import digest
from glassdask.fields.coarse import normalize
from glassdask.fields.grid import to_grid
from glassdask.learning import ConvolutionalClassifier, grad_cam, load_model, save_model
from glassdask.store import content_hash, write_dataset
from paper_c.sources import Part, Sample


@dataclass(frozen=True)
class Pictures:
    """How configurations become images: the distance of the points, and what is scaled to [0, 1].

    That is each "image", as the paper is understood here, or "all" images alike, by the extremes of those trained on.
    """

    spacing: float
    scaled: str = "image"

    @property
    def group(self) -> str:
        """Name of the reduction."""
        return f"images-{self.spacing:g}-{self.scaled}"


def points(sample: Sample, spacing: float, multiple: int) -> tuple[int, ...]:
    """Points of the grid along each cell vector, about `spacing` apart, multiples of what the strides need."""
    edges = np.linalg.norm(sample.first["box"].values[0], axis=1)
    return tuple(multiple * int(n) for n in np.maximum(np.rint(edges / spacing / multiple), 4))


def make(sample: Sample, network: Mapping[str, Any], pictures: Pictures) -> None:
    """Eqs. S1-S2, into the store of every trajectory; what is there is kept."""
    strides = ConvolutionalClassifier(**network).strides
    shape = points(sample, pictures.spacing, int(np.prod(strides)))
    for store in dict.fromkeys(part.store for part in sample.parts):
        images = to_grid(gd.open_trajectory(store), shape, sample.sizes)
        if pictures.scaled == "image":
            images = normalize(images, [dim for dim in images.dims if dim != "frame"])
        parameters = {"shape": shape, "sizes": dict(sample.sizes), "scaled": pictures.scaled}
        group = pictures.group
        write_dataset(images.astype(np.float32).to_dataset(name=group), store, f"reductions/{group}",
                      parameters=parameters, code=digest(to_grid, normalize), overwrite=True)  # fmt: skip


def of_part(part: Part, pictures: Pictures) -> da.Array:
    """Images (sample, 1, x, y[, z]) of a part, lazy; where all are scaled alike they are densities still."""
    images = gd.open_reduction(part.store, pictures.group)[pictures.group].data
    if part.frames != tuple(range(images.shape[0])):
        images = images[list(part.frames)]
    return images[:, None]


def of_role(sample: Sample, role: str, pictures: Pictures) -> da.Array:
    """Images of all parts for one purpose, as the network sees them."""
    images = da.concatenate([of_part(part, pictures) for part in sample.role(role)])
    return scaling(sample, pictures)(images)


def scaling(sample: Sample, pictures: Pictures) -> Callable[[Any], Any]:
    """What makes images of what is stored: nothing, or the scale of all training images."""
    if pictures.scaled == "image":
        return lambda images: images
    dense = da.concatenate([of_part(part, pictures) for part in sample.role("train")])
    low, high = (float(x) for x in dask.compute(dense.min(), dense.max()))
    return lambda images: (images - low) / (high - low)


def train(
    sample: Sample, network: Mapping[str, Any], folder: Path, pictures: Pictures, progress: Any = None
) -> ConvolutionalClassifier:
    """The trained network; training goes on where it was interrupted, and a finished one is read from its file."""
    model = ConvolutionalClassifier(**network)
    file = folder / f"network-{identity(sample, network, pictures)}.npz"
    if file.exists():
        return load_model(file)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = file.with_name(file.name.replace("network", "training")).with_suffix(".pt")
    model.fit(
        of_role(sample, "train", pictures),
        sample.labels("train"),
        validation=(of_role(sample, "validation", pictures), sample.labels("validation")),
        checkpoint=checkpoint,
        callback=progress,
    )
    save_model(model, file)
    checkpoint.unlink(missing_ok=True)
    return model


def chosen(
    sample: Sample, network: Mapping[str, Any], folder: Path, pictures: Pictures, seeds: int, progress: Any = None
) -> ConvolutionalClassifier:
    """Of networks that begin and are shuffled differently, the one that knows the validation's images best.

    One whose Grad-CAM is zero all over the validation's images of a class, because it goes by what the other class has,
    is taken only where all are like that.
    """
    first = int(network.get("seed", 0))
    trained = [train(sample, {**network, "seed": first + k}, folder, pictures, progress) for k in range(seeds)]
    trained.sort(key=lambda model: float(model.validation_loss_[-1]))
    return next((model for model in trained if _readable(sample, model, pictures)), trained[0])


def _readable(sample: Sample, model: ConvolutionalClassifier, pictures: Pictures) -> bool:
    seen, labels = of_role(sample, "validation", pictures).compute(), sample.labels("validation")
    return all(grad_cam(model, seen[labels == label], label).any() for label in sample.classes)


def identity(sample: Sample, network: Mapping[str, Any], pictures: Pictures) -> str:
    """Digest of all that a trained network depends on."""
    model = ConvolutionalClassifier(**network)
    parts = [part for role in ("train", "validation") for part in sample.role(role)]
    contents = [[part.role, part.frames, part.labels, content_hash(part.store)] for part in parts]
    parameters = {k: v for k, v in model.get_params().items() if k != "device"}
    described = [parameters, contents, asdict(pictures), of_part(sample.parts[0], pictures).shape[1:]]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:12]


def accuracies(sample: Sample, model: ConvolutionalClassifier, pictures: Pictures) -> dict[str, tuple[float, int]]:
    """Table 2: the fraction of test configurations of each class that is recognised, and their number."""
    labels = sample.labels("test")
    right = np.asarray(model.predict(of_role(sample, "test", pictures))) == labels
    return {label: (float(right[labels == label].mean()), int((labels == label).sum())) for label in sample.classes}
