"""Training of equivariant networks in torch: epochs, early stopping, checkpoints."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from glassdask.errors import ParameterError
from glassdask.learning.checkpoints import load_checkpoint, save_checkpoint
from glassdask.learning.equivariant_network import Network, Sample, sample_of, summed
from glassdask.learning.training import device_of, side_by_side
from glassdask.neighborhood.borders import borders_of
from glassdask.neighborhood.configuration import Configuration

CHECKPOINT = "a state for each network"  # of which kind they are
KEPT = 2**31  # bytes of functions of neighbours that are kept between epochs


class Samples:
    """Configurations with targets, made one by one and kept as far as memory is meant for them."""

    def __init__(
        self,
        model: Any,
        X: xr.Dataset,
        codes: np.ndarray,
        targets: np.ndarray,
        device: Any,
        weights: np.ndarray | None = None,
    ):
        self.model, self.X, self.codes, self.device, self.borders = model, X, codes, device, borders_of(X)
        self.weights = np.ones(len(targets)) if weights is None else weights
        scaled = (targets - model.mean_[codes]) / model.scale_[codes]
        for k in np.unique(codes) if model.relative else ():
            mine = codes == k
            known = np.isfinite(targets[:, mine])
            count = np.maximum(known.sum(axis=1, keepdims=True), 1)
            mean = np.where(known, targets[:, mine], 0.0).sum(axis=1, keepdims=True) / count
            scaled[:, mine] = (targets[:, mine] - mean) / model.scale_[k]
        self.targets = torch.from_numpy(scaled.astype(np.float32)).to(device)
        self.made: dict[int, Sample] = {}
        neighbors = 20 * (model.cutoff / 1.6) ** 3
        size = 4 * X.sizes["particle"] * (9 * model.n_radial + 1) * neighbors
        self.kept = int(KEPT // size)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, frame: int) -> Sample:
        if frame in self.made:
            return self.made[frame]
        place = self.configuration(frame)
        names = [*(["scalars"] if self.model.n_scalars_ else []), *self.model.places_]
        values = {name: np.asarray(self.X[name].isel(frame=frame).values) for name in names}
        keep = len(self.made) < self.kept  # two threads may make the same one; either will do
        sample = sample_of(self.model, place, self.codes, values, self.device, keep)
        if keep:
            self.made[frame] = sample
        return sample

    def configuration(self, frame: int) -> Configuration:
        """The particles of a frame."""
        position, box = self.X["position"].isel(frame=frame).values, self.X["box"].values
        return Configuration(
            position, self.codes, box[frame if len(box) > 1 else 0], self.model.species_, f"frame {frame}",
            borders=self.borders,
        )  # fmt: skip

    def loss(self, network: Network, frame: int) -> Any:
        """Mean square of what is missed of the targets of a configuration, less the share that neighbours miss too."""
        target, sample = self.targets[frame], self[frame]
        known = torch.isfinite(target)
        found = network(sample)
        if self.model.relative:
            found = relative(found, self.codes, known)
        # a target that is not known is NaN; a prediction that is NaN has to be seen
        found, target = torch.where(known, found, 0.0), torch.where(known, torch.nan_to_num(target), 0.0)
        missed = found - target
        if self.model.whitening:
            missed = missed - self.model.whitening * averaged(missed, known, sample)
        loss = (missed[known] ** 2).mean()
        if self.model.variation:
            loss = loss + self.model.variation * different_variation(found, target, known, sample)
        return loss


def different_variation(found: Any, target: Any, known: Any, sample: Sample) -> Any:
    """Squares of the differences of root mean squares, of particles and of averages over the shell; others are zero."""
    total: Any = 0.0
    for values, others in ((found, target), tuple(averaged(field, known, sample) for field in (found, target))):
        count = known.sum(0).clamp(min=1)
        size, wanted = (
            (torch.where(known, field, 0.0).square().sum(0) / count + 1e-12).sqrt() for field in (values, others)
        )
        total = total + (size - wanted).square().mean()
    return total


def averaged(values: Any, known: Any, sample: Sample) -> Any:
    """Averages (N, target) over the shell of what is known, with the particles themselves; others must be zero."""
    sums = [summed(v, sample.far) + sample.far.own * v for v in (values, known.to(values.dtype))]
    averages: Any = sums[0] / sums[1].clamp(min=1e-9)
    return averages


def relative(found: Any, codes: np.ndarray, known: Any) -> Any:
    """Less the mean over each species, of those that are known."""
    out = torch.empty_like(found)
    for k in np.unique(codes):
        mine = torch.from_numpy(codes == k).to(found.device)
        weight = known[mine].to(found.dtype)
        mean = (found[mine] * weight).sum(0) / weight.sum(0).clamp(min=1.0)
        out[mine] = found[mine] - mean
    return out


def train(
    model: Any,
    X: xr.Dataset,
    codes: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    checkpoint: Any,
    callback: Callable[[int, int, dict[str, float]], Any] | None,
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Losses (repeat, epoch, 2), weights (repeat, ...) of each layer, and the epochs of which they are."""
    device = device_of(model.device)
    data = Samples(model, X, codes, targets, device, weights)
    _scales(model, data)
    file = Path(checkpoint) if checkpoint is not None else None
    key = _key(model, X, targets, weights) if file is not None else ""
    n = model.n_repeats
    state: dict[str, Any] = {"history": [[] for _ in range(n)], "networks": [None] * n, "running": [None] * n}
    if file is not None and file.exists():
        state = load_checkpoint(file, key, device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        left = {repeat: _network(model, repeat, device) for repeat in range(n) if state["networks"][repeat] is None}
    training = _Training(model, data, state, file, key, callback)
    # each network by itself takes little from a second thread; what each gets does not depend on how many are left
    with side_by_side(n, device) as (pool, _):
        jobs = [pool.submit(training.train, repeat, network) for repeat, network in left.items()]
        try:
            for job in as_completed(jobs):
                job.result()
        finally:
            training.stopped.set()
    history = np.full((n, model.epochs, 2), np.nan)
    for repeat, rows in enumerate(state["history"]):
        history[repeat, : len(rows)] = rows
    best = [one["best"] for one in state["networks"]]
    layers = [np.stack([one[name].cpu().numpy() for one in best]) for name in best[0]]
    return history, layers, np.array([one["best_epoch"] for one in state["networks"]])


def _network(model: Any, repeat: int, device: Any) -> Network:
    """A network that has learned nothing."""
    torch.manual_seed(_seed(model, repeat, -1))
    return Network(model, device).to(device)


class _Training:
    """Networks of one model in training, each in a thread of its own, and the checkpoint that they share."""

    def __init__(self, model: Any, data: Samples, state: dict[str, Any], file: Path | None, key: str, callback: Any):
        self.model, self.data, self.state, self.file, self.key = model, data, state, file, key
        self.callback, self.lock, self.stopped = callback, threading.Lock(), threading.Event()

    def train(self, repeat: int, network: Network) -> None:
        """Train one network of several, or go on with it."""
        model, data = self.model, self.data
        held_out, learned = np.flatnonzero(model.held_out_[repeat]), np.flatnonzero(~model.held_out_[repeat])
        choosing = len(held_out) > 0 and model.patience is not None  # the epoch
        # fused: one pass over all weights, not several over each of a hundred small arrays
        optimizer = torch.optim.AdamW(network.parameters(), lr=model.learning_rate, weight_decay=model.l2, fused=True)
        running, history = self.state["running"][repeat], list(self.state["history"][repeat])
        best: dict[str, Any] = {}
        best_loss, best_epoch = math.inf, -1
        if running is not None:
            network.load_state_dict(running["network"])
            optimizer.load_state_dict(running["optimizer"])
            best, best_loss, best_epoch = running["best"], running["best_loss"], running["best_epoch"]
        elif choosing:  # a network that learns nothing of use stays as it begins: it predicts the mean
            best, best_loss = _copy(network), _evaluate(network, data, held_out)
        for epoch in range(len(history), model.epochs):
            if choosing and epoch - best_epoch > model.patience:
                break
            # every epoch has random numbers of its own: training that goes on is the same as one that never stopped
            network.generator.manual_seed(_seed(model, repeat, epoch))
            rng = np.random.default_rng((model.seed, repeat, epoch))
            for group in optimizer.param_groups:
                group["lr"] = model.learning_rate * 0.5 * (1.0 + math.cos(math.pi * epoch / model.epochs))
            network.train()
            losses, used = [], []
            for frame in rng.permutation(learned).tolist():
                if self.stopped.is_set():
                    return
                optimizer.zero_grad(set_to_none=True)
                loss = data.loss(network, frame)
                (data.weights[frame] * loss).backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                losses.append(float(loss.detach()))
                used.append(data.weights[frame])
            row = [float(np.average(losses, weights=used)), _evaluate(network, data, held_out)]
            history.append(row)
            if not choosing or row[1] < best_loss:
                best = _copy(network)
                best_loss, best_epoch = row[1], epoch
            kept = {"best": best, "best_loss": best_loss, "best_epoch": best_epoch}
            states = {"network": _copy(network), "optimizer": copy.deepcopy(optimizer.state_dict())}
            with self.lock:
                if self.callback is not None:
                    self.callback(repeat, epoch, {"training_loss": row[0], "validation_loss": row[1]})
                self._keep("running", repeat, history, states | kept)
            if not np.isfinite(row[0]):
                break
        with self.lock:
            self.state["running"][repeat] = None
            self._keep("networks", repeat, history, {"best": best, "best_epoch": best_epoch})

    def _keep(self, name: str, repeat: int, history: list[list[float]], value: Any) -> None:
        """Put what is known of a network into the checkpoint."""
        self.state["history"][repeat], self.state[name][repeat] = list(history), value
        if self.file is not None:
            save_checkpoint(self.file, self.key, self.state)


def _copy(network: Network) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _evaluate(network: Network, data: Samples, frames: np.ndarray) -> float:
    """Mean loss of configurations that are not learned from; NaN where there are none."""
    if not len(frames):
        return math.nan
    network.eval()
    with torch.no_grad():
        losses = [float(data.loss(network, frame)) for frame in frames.tolist()]
    return float(np.average(losses, weights=data.weights[frames]))


def predict(
    model: Any, configuration: Configuration, codes: np.ndarray, used: np.ndarray, *given: np.ndarray
) -> np.ndarray:
    """Targets (N, network, target) of a configuration by every network; NaN by those that are not used."""
    names = [*(["scalars"] if model.n_scalars_ else []), *model.places_]
    device = device_of(model.device)
    found = np.full((len(codes), len(used), model.n_targets_), np.nan)
    if not used.any():
        return found
    with one_thread(), torch.no_grad():
        sample = sample_of(model, configuration, codes, dict(zip(names, given)), device, keep=True)
        network = Network(model).to(device).eval()
        for repeat in np.flatnonzero(used).tolist():
            layers = zip(network.state_dict(), model.weights_, strict=True)
            network.load_state_dict({name: torch.from_numpy(layer[repeat]) for name, layer in layers})
            found[:, repeat] = network(sample).double().cpu().numpy()
    for k, name in enumerate(model.species_):
        mine = codes == k
        if name not in model.centers_:
            found[mine] = np.nan
        elif mine.any():
            if model.relative:
                found[mine] -= found[mine].mean(axis=0)
            found[mine] = found[mine] * model.scale_[k] + (0.0 if model.relative else model.mean_[k])
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Frames are predicted side by side by threads of dask: torch needs none of its own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seed(model: Any, repeat: int, epoch: int) -> int:
    return random.Random(f"{model.seed} {repeat} {epoch}").getrandbits(63)


def _scales(model: Any, data: Samples) -> None:
    """Mean and spread of the inputs over all configurations."""
    X = data.X
    if model.n_scalars_:
        values = np.asarray(X["scalars"].values, dtype=np.float64)
        bad = ~np.isfinite(values).all(axis=(1, 2))
        if bad.any():
            raise ParameterError(f"frame {int(np.argmax(bad))}: scalars are not finite everywhere: leave it out")
        values = values.reshape(-1, model.n_scalars_)
        model.scalar_mean_, spread = values.mean(axis=0), values.std(axis=0)
        model.scalar_scale_ = np.where(spread > 0, spread, 1.0)
    square = np.zeros((len(data), len(model.places_)))
    for frame in range(len(data)):
        here = data.configuration(frame)
        for k, name in enumerate(model.places_):
            place = X[name].isel(frame=frame).values
            square[frame, k] = (here.short_way(here.position[:, : model.dimension_], place) ** 2).mean()
    scale = np.sqrt(square.mean(axis=0))
    model.place_scale_ = np.where(scale > 0, scale, 1.0)


def _key(model: Any, X: xr.Dataset, targets: np.ndarray, weights: np.ndarray) -> str:
    """What a training depends on besides its device."""
    settings = {name: value for name, value in model.get_params(deep=False).items() if name != "device"}
    digest = hashlib.sha256(json.dumps([CHECKPOINT, settings], sort_keys=True, default=float).encode())
    for values in (X["position"], X["box"], *(X[name] for name in ("scalars", *model.places_) if name in X)):
        digest.update(np.ascontiguousarray(values.values, dtype=np.float64).tobytes())
    digest.update(json.dumps([model.species_, X["species"].values.tolist()]).encode())
    if (borders := borders_of(X)) is not None:
        digest.update(repr(borders).encode())
    for values in (targets, weights, model.held_out_):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
