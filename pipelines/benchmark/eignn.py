"""A published network as a baseline: EIGNN (X. Jiang, Z. Tian, K. Li and W. Hu), trained on 100 configurations.

Its checkpoint is not part of this project: ``t044_EIGNN_cage.pt`` of https://github.com/xjiang-hnu/EIGNN. What is done
with it here follows the description of the network: edges join particles within 2 of each other in the initial or the
cage positions; particles know their species, their energy in the inherent structure and their way from the initial to
the cage position, and edges their vectors in both. Scalars of the particles weigh the spherical harmonics of the edges,
l = 0, 1, 2, whose means are multiplied with what the particles have of each l; what of that is scalar, and what
neighbours have in common, goes back into the scalars, seven times. The output is, for each species and each of ten
lags, the propensity less its mean in the configuration, over its standard deviation there.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import linear, one_hot, silu

from benchmark import published
from benchmark.sources import Study, Task
from glassdask.errors import ParameterError

MODEL, TEMPERATURE = "kob_andersen", 0.44  # what it was trained on
LEARNED = 100  # the configurations with these numbers
REACH = 2.0
LONGEST, WAVES = 2.5, 8  # of the Bessel functions of the lengths of edges
SPECIES, LAGS = ("A", "B"), 10
DEGREES = (0, 1, 2)
PARTS = {0: slice(0, 1), 1: slice(1, 4), 2: slice(4, 9)}
EPSILON, SIGMA = {"AA": 1.0, "AB": 1.5, "BB": 0.5}, {"AA": 1.0, "AB": 0.8, "BB": 0.88}
TINY = 1e-5  # in normalisations
# what comes of files that hold something else
UNREADABLE = (
    AttributeError, EOFError, IndexError, KeyError, OSError, RuntimeError, TypeError, ValueError,
    pickle.UnpicklingError,
)  # fmt: skip


class Eignn:
    """The trained network, as a model whose predictions are compared with those of others."""

    name = "eignn"
    structure = "cage+inherent+initial"

    def __init__(self, file: Path):
        try:
            found = torch.load(file, map_location="cpu", weights_only=True)["net"]
            self.state = {name: values for name, values in found.items() if isinstance(values, Tensor)}
            self.layers = 1 + max(int(name.split(".")[1]) for name in self.state if name.startswith("interactions."))
            self.coupling = {
                tuple(map(int, name.rpartition("_w3j_")[2].split("_"))): values
                for name, values in self.state.items()
                if ".0.I2EConv.equi_sc." in name and "_w3j_" in name
            }
            outputs = len(self.state["out.lins.1.weight"])
        except FileNotFoundError:
            raise ParameterError(f"{file}: not found: get t044_EIGNN_cage.pt of github.com/xjiang-hnu/EIGNN") from None
        except UNREADABLE as error:
            raise _refusal(file, error) from None
        if outputs != LAGS * len(SPECIES) or len(self.coupling) != 15:
            raise ParameterError(f"{file}: is another network than that for {LAGS} lags of {len(SPECIES)} species")
        try:  # weights that are missing or of another shape are told before the long work
            self.standardised(*3 * [np.eye(2, 3)], np.array([0, 1]), np.full(3, 6.0))
        except UNREADABLE as error:
            raise _refusal(file, error) from None

    def check(self, study: Study, tasks: list[Task]) -> None:
        """Raise `ParameterError` where something is asked for that it has not learned."""
        if study.model != MODEL or study.temperature != TEMPERATURE:
            raise ParameterError(
                f"--eignn has learned {MODEL} at T = {TEMPERATURE}, the files are {study.model} at T = "
                f"{study.temperature:g}: leave it out"
            )
        known = published.times(MODEL, TEMPERATURE)
        assert known is not None
        lags = [lag for target, lag in tasks if target == "propensity"]
        if not lags:
            raise ParameterError("--eignn knows the propensity only, of which the files tell nothing: leave it out")
        if wrong := [f"{lag:g}" for lag in lags if lag not in known]:
            raise ParameterError(
                f"--eignn does not know the propensity at {', '.join(wrong)}: leave it out, or give --lags in its times"
            )
        if others := {target for target, _ in tasks} - {"propensity"}:
            print(f"eignn is scored on the propensity, it does not know {', '.join(sorted(others))}", flush=True)
        numbers = {int(match[1]) for file in study.files if (match := re.search(r"_(\d+)(_tc\d+)?\.", Path(file).name))}
        if seen := sorted(number for number in numbers if number <= LEARNED):
            print(
                f"eignn has learned from configurations 1 to {LEARNED} of the benchmark; of --test it knows {seen}, if "
                "these are their numbers", flush=True,
            )  # fmt: skip

    def predict(self, study: Study) -> dict[Task, np.ndarray]:
        """Predictions (configuration, centre) of all lags, in standard deviations within a configuration."""
        known, first = published.times(MODEL, TEMPERATURE), LAGS * SPECIES.index(study.settings.centers)
        assert known is not None
        trajectory = study.trajectory
        codes = np.array([SPECIES.index(name) for name in study.species])
        found = []
        for frame in range(study.n_configurations):
            places = [trajectory[name].values[frame] for name in ("position", "inherent_position", "cage_position")]
            edges = np.diag(trajectory["box"].values[frame])
            found.append(self.standardised(*places, codes, edges)[study.is_center, first : first + LAGS])
        return {("propensity", lag): np.array(found)[..., k] for k, lag in enumerate(known.tolist())}

    def standardised(
        self, initial: np.ndarray, inherent: np.ndarray, cage: np.ndarray, codes: np.ndarray, box: np.ndarray
    ) -> np.ndarray:
        """The outputs (N, 20) for one configuration in a rectangular box of those edges; codes are 0 for A, 1 for B."""
        source, target = _edges((initial, cage), box)
        vectors = [_way(place[target] - place[source], box) for place in (initial, cage)]
        lengths = [np.linalg.norm(vector, axis=1) for vector in vectors]
        of_edges = np.column_stack([lengths[1] - lengths[0], _bessel(lengths[1]), _bessel(lengths[0])])
        way = _way(cage - initial, box)
        with torch.no_grad():
            sides = torch.from_numpy(source), torch.from_numpy(target)
            return self._forward(
                torch.from_numpy(codes), _float(_energies(inherent, codes, box)), _float(way), sides, _float(of_edges),
                _float(vectors[0]),
            ).numpy()  # fmt: skip

    def _forward(
        self, codes: Tensor, energy: Tensor, way: Tensor, sides: tuple[Tensor, Tensor], of_edges: Tensor, vector: Tensor
    ) -> Tensor:
        source, target = sides
        n = len(codes)
        degree = torch.bincount(target, minlength=n).clamp(min=1).unsqueeze(1)

        def mean(values: Tensor) -> Tensor:
            """Over the edges that end in each particle."""
            return values.new_zeros(n, values.shape[1]).index_add_(0, target, values) / degree

        def dense(name: str, values: Tensor) -> Tensor:
            return linear(values, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))

        waves, carried = _harmonics(vector), _harmonics(way)
        length = way.norm(dim=1, keepdim=True)
        first = dense("lin_embedding", torch.cat([one_hot(codes, 2).float(), energy.unsqueeze(1), length], dim=1))
        x = first
        for layer in range(self.layers):
            part = f"interactions.{layer}"
            inner = silu(dense(f"{part}.I2EConv.lin1", torch.cat([x[target], x[source], of_edges], dim=1)))
            weight = silu(dense(f"{part}.I2EConv.lin2", inner))
            sent = torch.cat([weight[:, [l]] * waves[:, PARTS[l]] for l in DEGREES], dim=1)
            scalars, carried = self._product(carried, mean(sent), self.state[f"{part}.I2EConv.o3_lin.weight"])
            x = dense(f"{part}.I2EConv.lin3", torch.cat([x, scalars], dim=1))
            met = _by_degree(sent * carried[source], [1.0, 3.0**-0.5, 5.0**-0.5])
            apart = _by_degree((carried[target] - carried[source]) ** 2, [1.0, 1.0, 1.0])
            gate = dense(f"{part}.E2IConv.lin_cat", torch.cat([of_edges, met, apart], dim=1)).sigmoid()
            x = x + mean(gate * silu(dense(f"{part}.E2IConv.lin_r", x))[source])
            x = self._even(f"{part}.norm", x)
            carried = self._scaled(f"{part}.e_norm", carried)
        x = silu(dense("lin_cat", torch.cat([first, x], dim=1)))
        x = mean(dense("agg_3.nn.lins.0", torch.cat([x[target], x[source] - x[target]], dim=1)))
        norm = {
            name: self.state[f"out.norms.0.module.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
        }
        x = dense("out.lins.0", x) - norm["running_mean"]
        x = x / (norm["running_var"] + TINY).sqrt() * norm["weight"] + norm["bias"]
        return dense("out.lins.1", x.relu())

    def _product(self, left: Tensor, right: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """All products of two sets of l = 0, 1, 2: the scalars, and a mixture of all for each l."""
        scalars, mixed, used = [], [], 0
        for l in DEGREES:
            products = [
                torch.einsum("na,nb,abc->nc", left[:, PARTS[i]], right[:, PARTS[j]], coupling) * (2 * l + 1) ** 0.5
                for (i, j, k), coupling in sorted(self.coupling.items())
                if k == l
            ]
            share = weight[used : used + len(products)] / len(products) ** 0.5
            used += len(products)
            mixed.append(sum(w * product for w, product in zip(share, products)))
            if l == 0:
                scalars = products
        return torch.cat(scalars, dim=1), torch.cat(mixed, dim=1)

    def _even(self, name: str, x: Tensor) -> Tensor:
        """Less a share of the mean over the particles, and over the deviation from that."""
        x = x - self.state[f"{name}.mean_scale"] * x.mean(dim=0)
        return self.state[f"{name}.weight"] * x / ((x**2).mean(dim=0) + TINY).sqrt() + self.state[f"{name}.bias"]

    def _scaled(self, name: str, carried: Tensor) -> Tensor:
        """Over the deviations of training."""
        factor = self.state[f"{name}.weight"] / (self.state[f"{name}.running_var"] + TINY).sqrt()
        parts = [factor[l] * carried[:, PARTS[l]] for l in DEGREES]
        parts[0] = parts[0] - factor[0] * self.state[f"{name}.running_mean"] + self.state[f"{name}.bias"]
        return torch.cat(parts, dim=1)


def _refusal(file: Path, error: Exception) -> ParameterError:
    return ParameterError(
        f"{file}: is no checkpoint of EIGNN ({type(error).__name__}): give t044_EIGNN_cage.pt of "
        "github.com/xjiang-hnu/EIGNN"
    )


def _float(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _way(vector: np.ndarray, box: np.ndarray) -> np.ndarray:
    return vector - box * np.round(vector / box)


def _edges(structures: tuple[np.ndarray, ...], box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of all pairs that are within reach in one of the structures, each pair in both directions."""
    pairs = [cKDTree(place % box, boxsize=box).query_pairs(REACH, output_type="ndarray") for place in structures]
    both = np.unique(np.concatenate([*pairs, *(pair[:, ::-1] for pair in pairs)]), axis=0).astype(np.int64)
    return both[:, 0].copy(), both[:, 1].copy()


def _energies(place: np.ndarray, codes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Half of the Lennard-Jones energies of the pairs of each particle, cut off at 2.5 sigma and not shifted."""
    first, second = cKDTree(place % box, boxsize=box).query_pairs(2.5, output_type="ndarray").T
    r = np.linalg.norm(_way(place[second] - place[first], box), axis=1)
    names = np.array(["AA", "AB", "BB"])[codes[first] + codes[second]]
    sigma, epsilon = (np.array([table[name] for name in names.tolist()]) for table in (SIGMA, EPSILON))
    inverse = np.where(r < 2.5 * sigma, sigma / r, 0.0)
    energy = 2.0 * epsilon * (inverse**12 - inverse**6)
    return np.bincount(first, energy, len(place)) + np.bincount(second, energy, len(place))


def _bessel(length: np.ndarray) -> np.ndarray:
    """Spherical Bessel functions that are zero at the longest length (edge, wave)."""
    wave = np.pi * np.arange(1, WAVES + 1)
    values = np.sqrt(2.0 / LONGEST) * np.sin(wave * length[:, None] / LONGEST) / length[:, None]
    return np.where(length[:, None] < LONGEST, values, 0.0)


def _harmonics(vector: Tensor) -> Tensor:
    """Real spherical harmonics of l = 0, 1, 2 of directions (n, 9), of mean square 1, in the order of e3nn."""
    x, y, z = (vector / vector.norm(dim=1, keepdim=True).clamp(min=1e-12)).unbind(dim=1)
    second = [x * z, x * y, (y**2 - 0.5 * (x**2 + z**2)) / 3.0**0.5, y * z, 0.5 * (z**2 - x**2)]
    first = [3.0**0.5 * component for component in (x, y, z)]
    return torch.stack([torch.ones_like(x), *first, *(15.0**0.5 * value for value in second)], dim=1)


def _by_degree(products: Tensor, factors: list[float]) -> Tensor:
    """Sums over the components of each l (n, 3)."""
    return torch.stack([factor * products[:, PARTS[l]].sum(dim=1) for l, factor in zip(DEGREES, factors)], dim=1)
