"""Training of convolutional classifiers in torch: the network, images by chunk, checkpoints."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import torch
from torch import nn

from glassdask.errors import ParameterError
from glassdask.graphs import compute
from glassdask.learning.checkpoints import load_checkpoint, save_checkpoint
from glassdask.learning.images import feature_shape
from glassdask.learning.training import device_of

PIECE = 64  # images that are evaluated at a time
METRICS = ("training_loss", "training_accuracy", "validation_loss", "validation_accuracy")


class Network(nn.Module):
    """Convolutions with ReLU, dense, dropout, dense: images (sample, channel, x, y[, z]) to scores (sample, class)."""

    def __init__(self, model: Any):
        super().__init__()
        shape = model.image_shape_
        convolution: Any = nn.Conv2d if len(shape) == 3 else nn.Conv3d
        channels = [shape[0], *model.filters]
        layers: list[nn.Module] = []
        for k, (kernel, stride) in enumerate(zip(model.kernel_sizes, model.strides)):
            padding = {"padding": (kernel - stride) // 2, "padding_mode": "circular"}
            layers += [convolution(channels[k], channels[k + 1], kernel, stride, **padding), nn.ReLU()]
        points = int(np.prod(feature_shape(shape, model.kernel_sizes, model.strides)))
        self.maps = nn.Sequential(*layers)
        self.scores = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels[-1] * points, model.dense),
            nn.Dropout(model.dropout),
            nn.Linear(model.dense, len(model.classes_)),
        )

    def forward(self, images: Any) -> Any:
        """Scores before the softmax."""
        return self.scores(self.maps(images))


def network_of(model: Any, device: Any = "cpu") -> Network:
    """The network of a fitted model, for evaluation."""
    network = Network(model)
    state = dict(zip(network.state_dict(), map(torch.from_numpy, model.weights_)))
    network.load_state_dict(state)
    return network.to(device).eval()


def as_tensor(model: Any, images: np.ndarray, device: Any) -> Any:
    """Standardised images as float32 on a device."""
    tensor = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).to(device)
    return (tensor - model.mean_) / model.scale_


def probabilities(model: Any, images: np.ndarray) -> np.ndarray:
    """Softmax of the scores, (sample, class)."""
    device = device_of(model.device)
    network = network_of(model, device)
    with torch.no_grad(), deterministic():
        parts = [
            network(as_tensor(model, images[k : k + PIECE], device)).softmax(dim=1)
            for k in range(0, len(images), PIECE)
        ]
    return torch.cat(parts).double().cpu().numpy() if parts else np.empty((0, len(model.classes_)))


@contextmanager
def deterministic() -> Iterator[None]:
    """Kernels of the GPU that give the same result each time."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield


class Images:
    """Images and their codes, read chunk by chunk; at most `buffer` of them, or one chunk, are held."""

    def __init__(self, X: Any, codes: np.ndarray, buffer: int):
        self.X, self.codes, self.buffer = X, codes, buffer
        if isinstance(X, da.Array):
            sizes = X.chunks[0]
        else:
            sizes = [min(buffer, len(X) - k) for k in range(0, len(X), buffer)]
        self.borders = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        self.kept: dict[int, np.ndarray] | None = {} if len(codes) <= buffer else None

    def chunk(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Images and codes of a chunk."""
        first, last = self.borders[number : number + 2]
        if self.kept is not None and number in self.kept:
            return self.kept[number], self.codes[first:last]
        block = self.X.blocks[number] if isinstance(self.X, da.Array) else self.X[first:last]
        images = np.asarray(compute(block)[0], dtype=np.float32)
        bad = ~np.isfinite(images).reshape(len(images), -1).all(axis=1)
        if bad.any():
            raise ParameterError(f"image {first + int(np.argmax(bad))} is not finite: leave it out")
        if self.kept is not None:
            self.kept[number] = images
        return images, self.codes[first:last]

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number in range(len(self.borders) - 1):
            yield self.chunk(number)

    def groups(self, order: np.ndarray) -> Iterator[list[int]]:
        """Numbers of chunks, in the given order, that fit into the buffer together."""
        group: list[int] = []
        held = 0
        for number in order.tolist():
            size = int(self.borders[number + 1] - self.borders[number])
            if group and held + size > self.buffer:
                yield group
                group, held = [], 0
            group.append(number)
            held += size
        yield group

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All images once, in random order as far as the buffer allows."""
        for group in self.groups(rng.permutation(len(self.borders) - 1)):
            parts = [self.chunk(number) for number in group]
            images, codes = (np.concatenate(column) if len(parts) > 1 else column[0] for column in zip(*parts))
            order = rng.permutation(len(codes))
            for k in range(0, len(order), size):
                yield images[order[k : k + size]], codes[order[k : k + size]]


def moved(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image moved along its axes by random numbers of points, mirrored, axes of equal length exchanged."""
    out = np.empty_like(images)
    lengths = images.shape[2:]
    for image, target in zip(images, out):
        axes = list(range(len(lengths)))
        for length in set(lengths):
            same = [axis for axis in axes if lengths[axis] == length]
            for axis, other in zip(same, rng.permutation(same).tolist()):
                axes[axis] = other
        turned = image.transpose(0, *(1 + axis for axis in axes))
        flips = [1 + axis for axis in range(len(lengths)) if rng.random() < 0.5]
        shifts = [int(rng.integers(length)) for length in lengths]
        target[:] = np.roll(np.flip(turned, tuple(flips)), shifts, axis=tuple(range(1, 1 + len(lengths))))
    return out


def train(
    model: Any,
    training: tuple[Any, np.ndarray],
    validation: tuple[Any, np.ndarray] | None,
    checkpoint: Any,
    callback: Callable[[int, dict[str, float]], Any] | None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Train a network; the metrics (epoch, 4) in the order of `METRICS`, and the weights."""
    device = device_of(model.device)
    data = Images(*training, model.buffer)
    held_out = Images(*validation, model.buffer) if validation is not None else None
    model.mean_, model.scale_ = _moments(data) if model.standardize else (0.0, 1.0)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), deterministic():
        torch.manual_seed(model.seed)
        network = Network(model).to(device)
        optimizer = torch.optim.Adam(network.parameters(), lr=model.learning_rate, weight_decay=model.l2, fused=True)
        history: list[list[float]] = []
        file = Path(checkpoint) if checkpoint is not None else None
        key = _key(model, data) if file is not None else ""
        if file is not None and file.exists():
            history = _resume(file, key, network, optimizer, model.epochs, device)
        for epoch in range(len(history), model.epochs):
            # every epoch has random numbers of its own: training that goes on is the same as one that never stopped
            torch.manual_seed(random.Random(f"{model.seed} {epoch}").getrandbits(63))
            rng = np.random.default_rng((model.seed, epoch))
            optimizer.param_groups[0]["lr"] = model.learning_rate * model.decay**epoch
            row = [*_epoch(model, network, optimizer, data, rng, device), *_evaluate(model, network, held_out, device)]
            history.append(row)
            if file is not None:
                _save(file, key, network, optimizer, history)
            if callback is not None:
                callback(epoch, dict(zip(METRICS, row)))
            if not np.isfinite(row[0]):
                break
    weights = [value.detach().cpu().numpy().copy() for value in network.state_dict().values()]
    return np.array(history), weights


def _moments(data: Images) -> tuple[float, float]:
    """Mean and standard deviation of all numbers in the training images."""
    parts = [(x.size, x.mean(dtype=np.float64), x.var(dtype=np.float64)) for x, _ in data]
    n, mean, variance = np.array(parts).T
    total = float(n @ mean / n.sum())
    scale = float(np.sqrt(n @ (variance + (mean - total) ** 2) / n.sum()))
    if scale == 0.0:
        raise ParameterError("all training images are the same constant: there is nothing to learn from")
    return total, scale


def _epoch(
    model: Any, network: Network, optimizer: Any, data: Images, rng: np.random.Generator, device: Any
) -> tuple[float, float]:
    network.train()
    loss_sum = right = 0.0
    for images, codes in data.batches(model.batch_size, rng):
        if model.augment:
            images = moved(images, rng)
        target = torch.from_numpy(codes).to(device)
        optimizer.zero_grad(set_to_none=True)
        scores = network(as_tensor(model, images, device))
        loss = nn.functional.cross_entropy(scores, target)
        loss.backward()
        optimizer.step()
        loss_sum += float(loss.detach()) * len(codes)
        right += float((scores.argmax(dim=1) == target).sum())
    return loss_sum / len(data.codes), right / len(data.codes)


def _evaluate(model: Any, network: Network, data: Images | None, device: Any) -> tuple[float, float]:
    if data is None:
        return float("nan"), float("nan")
    network.eval()
    loss = right = 0.0
    with torch.no_grad():
        for images, codes in data:
            for k in range(0, len(codes), PIECE):
                scores = network(as_tensor(model, images[k : k + PIECE], device))
                target = torch.from_numpy(codes[k : k + PIECE]).to(device)
                loss += float(nn.functional.cross_entropy(scores, target, reduction="sum"))
                right += float((scores.argmax(dim=1) == target).sum())
    return loss / len(data.codes), right / len(data.codes)


def _key(model: Any, data: Images) -> str:
    """What a training depends on besides its length and device."""
    names = (
        "filters", "kernel_sizes", "strides", "dense", "dropout", "batch_size", "learning_rate", "l2", "decay",
        "augment", "standardize", "buffer", "seed",
    )  # fmt: skip
    digest = hashlib.sha256()
    digest.update(json.dumps([np.asarray(getattr(model, name)).tolist() for name in names]).encode())
    digest.update(json.dumps([model.image_shape_, model.classes_.tolist(), data.borders.tolist()]).encode())
    digest.update(data.codes.astype("<i8").tobytes())
    digest.update(np.ascontiguousarray(data.chunk(0)[0]).tobytes())
    return digest.hexdigest()


def _save(file: Path, key: str, network: Network, optimizer: Any, history: list[list[float]]) -> None:
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "history": history}
    save_checkpoint(file, key, state)


def _resume(file: Path, key: str, network: Network, optimizer: Any, epochs: int, device: Any) -> list[list[float]]:
    """Take up the state of a checkpoint; the metrics of its epochs."""
    state = load_checkpoint(file, key, device)
    history: list[list[float]] = state["history"]
    if len(history) > epochs:
        raise ParameterError(f"{file}: {len(history)} epochs are done, {epochs} asked for: choose another name")
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return history
