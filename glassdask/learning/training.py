"""Training of autoencoders in torch: rows by chunk, and networks side by side. Imported by `Autoencoder.fit` only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
import torch

from glassdask.errors import ParameterError
from glassdask.graphs import compute

IN_MEMORY = 2**30  # bytes of rows that are kept on the device; beyond them chunks are read anew in every epoch
PIECE = 2**16  # rows that are evaluated at a time


def device_of(name: str) -> torch.device:
    """A torch device; "auto" is CUDA if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ParameterError(f"device '{name}' cannot be used ({str(error).splitlines()[0]}): use 'auto'") from None


@contextmanager
def threads_for(n_features: int) -> Iterator[None]:
    """One thread for small networks: on a busy machine two threads that wait for each other took 15 times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if n_features <= 64 else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Rows:
    """Standardised rows without NaN as tensors, chunk by chunk, divided into training and validation."""

    def __init__(self, model: Any, X: Any, device: Any):
        self.model, self.device = model, device
        self.n_chunks = X.numblocks[0] if isinstance(X, da.Array) else 1
        self.blocks = X.to_delayed().ravel() if isinstance(X, da.Array) else [X]
        size = 4 * model.n_samples_ * model.n_features_in_
        self.kept: dict[int, Any] | None = {} if size <= IN_MEMORY else None
        most = max(IN_MEMORY // (4 * model.n_features_in_ * self.n_chunks), 1)
        held_out = []
        for chunk in range(self.n_chunks):
            rows = self.load(chunk)
            held_out.append(rows[self.split(chunk, len(rows))[1][:most]])
        self.validation = torch.cat(held_out)
        if not 0 < len(self.validation) < model.n_samples_:
            raise ParameterError(
                f"{len(self.validation)} of {model.n_samples_} rows in {self.n_chunks} chunks are held out: "
                "use larger chunks or another validation_fraction"
            )

    def load(self, chunk: int) -> Any:
        """All defined rows of a chunk."""
        if self.kept is not None and chunk in self.kept:
            return self.kept[chunk]
        block = np.asarray(compute(self.blocks[chunk])[0], dtype=np.float64)
        block = block[~np.isnan(block).any(axis=1)]
        block = ((block - self.model.mean_) / self.model.scale_).astype(np.float32)
        rows = torch.from_numpy(block).to(self.device)
        if self.kept is not None:
            self.kept[chunk] = rows
        return rows

    def split(self, chunk: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Training and validation rows of a chunk, the same in every epoch."""
        order = np.random.default_rng((self.model.seed, chunk)).permutation(n)
        n_validation = min(round(self.model.validation_fraction * n), n)
        return order[n_validation:], order[:n_validation]

    def batches(self, epoch: int) -> Iterator[Any]:
        """Training rows, shuffled anew in every epoch."""
        rng = np.random.default_rng((self.model.seed, self.n_chunks, epoch))
        for chunk in rng.permutation(self.n_chunks):
            rows = self.load(int(chunk))
            training = self.split(int(chunk), len(rows))[0]
            order = torch.from_numpy(rng.permutation(training)).to(self.device)
            for start in range(0, len(order), self.model.batch_size):
                yield rows[order[start : start + self.model.batch_size]]

    def everything(self) -> Iterator[Any]:
        """All rows, in pieces."""
        for chunk in range(self.n_chunks):
            yield from self.load(chunk).split(PIECE)


class Networks:
    """All repeats of the network side by side: weights (repeat, in, out)."""

    def __init__(self, model: Any, n_features: int, l2: float, device: Any):
        self.l2 = l2
        generator = torch.Generator().manual_seed(model.seed)
        sizes = [n_features, 5 * n_features, model.n_components, 5 * n_features, n_features]
        self.w, self.b = [], []
        for n_in, n_out in pairwise(sizes):
            limit = (6.0 / (n_in + n_out)) ** 0.5  # Glorot and Bengio (2010), uniform
            start = (torch.rand(model.n_repeats, n_in, n_out, generator=generator) * 2 - 1) * limit
            self.w.append(start.to(device).requires_grad_())
            self.b.append(torch.zeros(model.n_repeats, 1, n_out, device=device).requires_grad_())
        # torch adds weight_decay * w to the gradient, that of half the penalty
        groups = [{"params": self.w, "weight_decay": 2 * l2}, {"params": self.b, "weight_decay": 0.0}]
        # fused: the same numbers by one pass over all weights, not by several over each array
        self.optimizer = torch.optim.SGD(groups, lr=model.learning_rate, momentum=model.momentum, fused=True)

    def reconstruct(self, rows: Any) -> Any:
        """What each network makes of rows (row, feature): (repeat, row, feature)."""
        w, b = self.w, self.b
        x = rows.expand(len(w[0]), -1, -1)
        reduced = torch.baddbmm(b[1], torch.tanh(torch.baddbmm(b[0], x, w[0])), w[1])
        return torch.baddbmm(b[3], torch.tanh(torch.baddbmm(b[2], reduced, w[2])), w[3])

    def penalty(self) -> Any:
        """L2 penalty of each network."""
        with torch.no_grad():
            return self.l2 * sum((w * w).sum(dim=(1, 2)) for w in self.w)

    def train(self, batches: Iterator[Any]) -> np.ndarray:
        """One step a batch; the mean loss of each repeat."""
        total, n_batches = torch.zeros_like(self.penalty()), 0
        for rows in batches:
            self.optimizer.zero_grad(set_to_none=True)
            losses = ((self.reconstruct(rows) - rows) ** 2).mean(dim=(1, 2))
            losses.sum().backward()  # repeats share no weights, so neither do their gradients
            total += losses.detach() + self.penalty()
            self.optimizer.step()
            n_batches += 1
        return (total / n_batches).cpu().numpy().astype(np.float64)

    def loss(self, rows: Any) -> np.ndarray:
        """Loss of each network on rows that are not learned from."""
        error = np.sum([self.squared_error(piece) for piece in rows.split(PIECE)], axis=0)
        found: np.ndarray = error / rows.numel() + self.penalty().cpu().numpy()
        return found

    def squared_error(self, rows: Any) -> np.ndarray:
        """Sum of squared differences of each network."""
        with torch.no_grad():
            error: np.ndarray = ((self.reconstruct(rows) - rows) ** 2).double().sum(dim=(1, 2)).cpu().numpy()
        return error

    def weights(self, repeat: int) -> list[np.ndarray]:
        """Weights (in, out) and biases (out,) of the four layers of one network, in turn."""
        layers = [array for w, b in zip(self.w, self.b) for array in (w[repeat], b[repeat, 0])]
        return [layer.detach().cpu().numpy().astype(np.float64) for layer in layers]
