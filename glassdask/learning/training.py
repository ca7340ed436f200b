"""Training of autoencoders in torch: rows by chunk, and networks side by side. Imported by `Autoencoder.fit` only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
SMALL = 64  # features up to which several threads of one network would mostly wait for each other


def device_of(name: str) -> torch.device:
    """A torch device; "auto" is CUDA if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ParameterError(f"device '{name}' cannot be used ({str(error).splitlines()[0]}): use 'auto'") from None


@contextmanager
def side_by_side(n: int, device: torch.device, alone: bool = False) -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """Threads for `n` networks at once, and how many: they share those of torch, or have one each where `alone`.

    On a GPU there is one, which has all of the processor's. What waits is given up where the block ends.
    """
    threads = torch.get_num_threads()
    together = min(n, threads) if device.type == "cpu" else 1
    each = 1 if alone else threads // together
    pool = ThreadPoolExecutor(together, initializer=torch.set_num_threads, initargs=(each,))
    try:
        yield pool, together
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


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

    def shuffled(self, epoch: int) -> Iterator[tuple[Any, Any]]:
        """Rows of each chunk and which of them are learned from, in an order that is another in every epoch."""
        rng = np.random.default_rng((self.model.seed, self.n_chunks, epoch))
        for chunk in rng.permutation(self.n_chunks):
            rows = self.load(int(chunk))
            training = self.split(int(chunk), len(rows))[0]
            if len(training):  # torch makes a batch of no rows at all
                yield rows, torch.from_numpy(rng.permutation(training)).to(self.device)

    def everything(self) -> Iterator[Any]:
        """All rows, in pieces."""
        for chunk in range(self.n_chunks):
            yield from self.load(chunk).split(PIECE)


class Networks:
    """All repeats of the network, on as many of the processor's cores as torch has threads.

    Repeats share nothing, so each thread has some of them; they wait for each other at the end of a chunk only. How
    many lie side by side in one product of matrices changes its last digit, and no more than that.
    """

    def __init__(self, model: Any, n_features: int, l2: float, device: Any, pool: ThreadPoolExecutor, together: int):
        self.pool = pool
        generator = torch.Generator().manual_seed(model.seed)
        start = []
        for n_in, n_out in pairwise([n_features, 5 * n_features, model.n_components, 5 * n_features, n_features]):
            limit = (6.0 / (n_in + n_out)) ** 0.5  # Glorot and Bengio (2010), uniform
            start.append((torch.rand(model.n_repeats, n_in, n_out, generator=generator) * 2 - 1) * limit)
        shares = zip(*(layer.tensor_split(together) for layer in start))
        self.groups = [_Group(model, list(share), l2, device) for share in shares]

    def _all(self, of_group: Callable[[_Group], Any]) -> np.ndarray:
        """What the groups give, by repeat."""
        return np.concatenate(list(self.pool.map(of_group, self.groups)))

    def train(self, chunks: Iterator[tuple[Any, Any]]) -> np.ndarray:
        """One step a batch; the mean loss of each repeat."""
        sums, n_batches = [], 0
        for rows, order in chunks:
            sums.append(self._all(lambda group: group.train(rows, order)))  # noqa: B023 (is done before the next)
            n_batches += -(-len(order) // self.groups[0].batch_size)
        return np.asarray(np.sum(sums, axis=0, dtype=np.float64) / n_batches)

    def loss(self, rows: Any) -> np.ndarray:
        """Loss of each network on rows that are not learned from."""
        error = np.sum([self.squared_error(piece) for piece in rows.split(PIECE)], axis=0)
        found: np.ndarray = error / rows.numel() + self._all(lambda group: group.penalty().cpu().numpy())
        return found

    def squared_error(self, rows: Any) -> np.ndarray:
        """Sum of squared differences of each network."""
        return self._all(lambda group: group.squared_error(rows))

    def weights(self, repeat: int) -> list[np.ndarray]:
        """Weights (in, out) and biases (out,) of the four layers of one network, in turn."""
        networks = [(group, k) for group in self.groups for k in range(len(group.w[0]))]
        group, k = networks[repeat]
        layers = [array for w, b in zip(group.w, group.b) for array in (w[k], b[k, 0])]
        return [layer.detach().cpu().numpy().astype(np.float64) for layer in layers]


class _Group:
    """Some of the repeats, side by side: weights (repeat, in, out)."""

    def __init__(self, model: Any, start: list[Any], l2: float, device: Any):
        self.l2, self.batch_size = l2, model.batch_size
        self.w = [layer.clone().to(device).requires_grad_() for layer in start]
        self.b = [torch.zeros(len(layer), 1, layer.shape[2], device=device).requires_grad_() for layer in start]
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

    def train(self, rows: Any, order: Any) -> np.ndarray:
        """A step for each batch of rows in that order; the sum of the losses of each repeat."""
        total = torch.zeros_like(self.penalty())
        for chosen in order.split(self.batch_size):
            batch = rows[chosen]
            self.optimizer.zero_grad(set_to_none=True)
            losses = ((self.reconstruct(batch) - batch) ** 2).mean(dim=(1, 2))
            losses.sum().backward()  # repeats share no weights, so neither do their gradients
            total += losses.detach() + self.penalty()
            self.optimizer.step()
        found: np.ndarray = total.cpu().numpy()
        return found

    def squared_error(self, rows: Any) -> np.ndarray:
        """Sum of squared differences of each network."""
        with torch.no_grad():
            error: np.ndarray = ((self.reconstruct(rows) - rows) ** 2).double().sum(dim=(1, 2)).cpu().numpy()
        return error
