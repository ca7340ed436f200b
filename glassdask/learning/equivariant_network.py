"""The network of messages in torch, and what it is told of a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import nn

from glassdask.errors import ParameterError
from glassdask.learning.surroundings import (
    Sums,
    Table,
    averages_of,
    blocks,
    functions,
    places_of,
    table_of,
)
from glassdask.neighborhood.configuration import Configuration

SENT = 4  # combinations of the vectors that neighbours send


@dataclass
class Sample:
    """One configuration as tensors; functions of the neighbours are made when they are asked for."""

    near: Table
    places: Places
    far: Sums  # of tensors
    scalars: Any  # (N, scalar)
    vectors: Any  # (N, 3, vector)
    kept: dict[int, Any] | None
    device: Any

    def pieces(self, n_radial: int) -> Iterator[Any]:
        """Functions of the neighbours of some particles after the other, divided by 4, a typical sum of them."""
        for number, rows in enumerate(blocks(len(self.scalars))):
            if self.kept is not None and number in self.kept:
                yield self.kept[number]
                continue
            piece = torch.from_numpy(functions(self.near, rows, n_radial) / np.float32(4)).to(self.device)
            if self.kept is not None:
                self.kept[number] = piece
            yield piece


@dataclass
class Places:
    """Whose values each particle takes, (N * M,), and where each particle is among these, for the gradient."""

    index: Any
    most: int
    order: Any
    offsets: Any


class Taken(torch.autograd.Function):
    """Values (N, column) of the neighbours, (N, M, column); torch's own gradient adds them one by one, and slowly."""

    @staticmethod
    def forward(ctx: Any, values: Any, places: Places) -> Any:
        """(N, column) to (N, M, column)."""
        ctx.places = places
        return torch.index_select(values, 0, places.index).unflatten(0, (-1, places.most))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Of every particle the sum over the places where its values are."""
        places = ctx.places
        return _bags(places.order, gradients[0].flatten(0, 1), places.offsets, None), None


class Summed(torch.autograd.Function):
    """Sums (N, column) of the values (N, column) of neighbours."""

    @staticmethod
    def forward(ctx: Any, values: Any, sums: Sums) -> Any:
        """The product with a sparse matrix."""
        ctx.sums = sums
        return _bags(sums.index, values, sums.offsets, sums.weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The product with its transpose."""
        sums = ctx.sums
        return _bags(sums.back_index, gradients[0], sums.back_offsets, sums.back_weight), None


taken: Any = Taken.apply  # torch does not say its type
summed: Any = Summed.apply


def _bags(index: Any, values: Any, offsets: Any, weight: Any) -> Any:
    return nn.functional.embedding_bag(index, values.contiguous(), offsets, mode="sum", per_sample_weights=weight)


class Dropout(nn.Module):
    """As torch's, with random numbers of its own: networks are trained side by side."""

    def __init__(self, share: float, generator: Any):
        super().__init__()
        self.share, self.generator = share, generator

    def forward(self, values: Any) -> Any:
        """Some are zero, and the others as much larger."""
        if not self.training or self.share == 0:
            return values
        kept = torch.empty_like(values).bernoulli_(1.0 - self.share, generator=self.generator)
        return values * kept.div_(1.0 - self.share)


class Round(nn.Module):
    """One round of messages."""

    def __init__(self, model: Any, generator: Any):
        super().__init__()
        c, v, k, a = model.channels, model.n_vectors, model.n_radial, model.n_messages
        self.sizes = (c, v, k)
        self.send, self.send_vectors, self.spread = nn.Linear(c, a), _linear(v, SENT), nn.Linear(c, a)
        self.a0, self.a1, self.a2 = nn.Linear(a * k, c), _linear(a * k, v), _linear(a * k, v)
        self.b, self.d = _linear(SENT * k, v), _linear(SENT * k, v)
        width = 2 * c + a + 4 * v
        self.update = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, model.hidden), nn.SiLU(), Dropout(model.dropout, generator),
            nn.Linear(model.hidden, c + 3 * v),
        )  # fmt: skip

    def forward(self, s: Any, v: Any, sample: Sample) -> tuple[Any, Any]:
        """New numbers (N, channel) and vectors (N, 3, vector)."""
        c, w, k = self.sizes
        sizes = [rows.stop - rows.start for rows in blocks(len(s))]
        sent = taken(self.send(s), sample.places).split(sizes)  # (particle, neighbour, a) of every piece
        sent_vectors = taken(self.send_vectors(v).flatten(1), sample.places).split(sizes)
        sums, turns = [], []
        for function, values, vectors in zip(sample.pieces(k), sent, sent_vectors, strict=True):
            sums.append(torch.bmm(function, values))
            turns.append(torch.bmm(function[:, : 4 * k], vectors))  # degrees 0 and 1
        a_lm = _joined(sums).unflatten(1, (9, k)).flatten(2).split([1, 3, 5], dim=1)
        turned = _joined(turns).unflatten(1, (4, k)).unflatten(3, (3, SENT)).unbind(1)
        a0, a1, a2 = self.a0(a_lm[0][:, 0]), self.a1(a_lm[1]), self.a2(a_lm[2])
        b = self.b(turned[0].transpose(1, 2).flatten(2))
        d = self.d((turned[1][:, :, 0] + turned[2][:, :, 1] + turned[3][:, :, 2]).flatten(1))
        spread = self.spread(s)
        same = [
            s,
            a0,
            summed(spread, sample.far) + sample.far.own * spread,
            (a1**2).sum(1),
            (a2**2).sum(1),
            (a1 * v).sum(1),
            d,
        ]
        change = self.update(torch.cat(same, dim=1))
        kept, from_a, from_b = change[:, None, c:].split(w, dim=2)
        return s + change[:, :c], v * torch.sigmoid(kept) + a1 * from_a + b * from_b


def _linear(n_in: int, n_out: int) -> nn.Linear:
    """Combinations without a constant, which alone keep what is zero by symmetry zero."""
    return nn.Linear(n_in, n_out, bias=False)


def _joined(pieces: list[Any]) -> Any:
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


class Network(nn.Module):
    """Numbers and vectors of the particles to their targets, (N, target)."""

    def __init__(self, model: Any, device: Any = "cpu"):
        super().__init__()
        self.generator = torch.Generator(device)
        self.scalars = nn.Linear(len(model.species_) + model.n_scalars_, model.channels)
        self.vectors = _linear(max(len(model.places_), 1), model.n_vectors)
        self.rounds = nn.ModuleList(Round(model, self.generator) for _ in range(model.rounds))
        last = nn.Linear(model.hidden, model.n_targets_)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.read = nn.Sequential(
            nn.LayerNorm(model.channels), nn.Linear(model.channels, model.hidden), nn.SiLU(), last
        )  # fmt: skip

    def forward(self, sample: Sample) -> Any:
        """Targets in units of their standard deviations."""
        s, v = self.scalars(sample.scalars), self.vectors(sample.vectors)
        for one in self.rounds:
            s, v = one(s, v, sample)
        return self.read(s)


def sample_of(model: Any, configuration: Configuration, codes: np.ndarray, values: dict[str, np.ndarray], device: Any,
              keep: bool) -> Sample:  # fmt: skip
    """The tensors of a configuration; `codes` are indices into the species that the model knows."""
    n = len(configuration.position)
    scalars = np.zeros((n, len(model.species_) + model.n_scalars_), dtype=np.float32)
    scalars[np.arange(n), codes] = 1.0
    if model.n_scalars_:
        scalars[:, len(model.species_) :] = (values["scalars"] - model.scalar_mean_) / model.scalar_scale_
    vectors = np.zeros((n, 3, max(len(model.places_), 1)), dtype=np.float32)
    d = model.dimension_
    for k, name in enumerate(model.places_):
        vectors[:, :d, k] = configuration.short_way(configuration.position[:, :d], values[name]) / model.place_scale_[k]
    for name, array in (("scalars", scalars), ("the other positions", vectors)):
        if not np.isfinite(array).all():
            raise ParameterError(f"{configuration.label}: {name} are not finite everywhere: leave it out or mend them")

    def tensor(array: np.ndarray) -> Any:
        return torch.from_numpy(array).to(device)

    near, far = table_of(configuration, model.cutoff), averages_of(configuration, model.shell)
    order, offsets = places_of(near.index.ravel(), n)
    lists: dict[str, Any] = {field.name: tensor(getattr(far, field.name)) for field in fields(far)}
    return Sample(
        near,
        Places(tensor(near.index.ravel()), near.index.shape[1], tensor(order), tensor(offsets)),
        Sums(**lists),
        tensor(scalars),
        tensor(vectors),
        {} if keep else None,
        device,
    )
