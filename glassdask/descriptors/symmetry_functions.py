"""Symmetry functions of Behler and Parrinello, and the structure functions of Cubuk et al."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from glassdask.declarations import Finite, NotNegative, Positive, Where
from glassdask.descriptors.base import Descriptor, Plan
from glassdask.descriptors.weights import everyone
from glassdask.errors import ParameterError
from glassdask.kernels import symmetry_functions as kernels
from glassdask.kernels.simd import LANES, aligned
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.nearest import Neighborhood, refuse_weights
from glassdask.schema import CODE

Zeta = Annotated[int, Where(lambda n: 1 <= n <= 128, "a whole number from 1 to 128")]
FORMS = {"g4": kernels.G4, "g5": kernels.G5, "cubuk": kernels.CUBUK}


@dataclass(frozen=True, kw_only=True)
class SymmetryFunctions(Descriptor):
    r"""Atom-centred symmetry functions, radial and angular.

    Radial: G2_b(i) = sum_{j of b} exp(-eta (r_ij - r_s)^2) f(r_ij). Angular, over pairs j < k of neighbours of species
    b and c: G4_bc(i) = 2^(1 - zeta) sum_jk (1 + lambda cos theta_jik)^zeta exp(-eta (r_ij^2 + r_ik^2 + r_jk^2)) f(r_ij)
    f(r_ik) f(r_jk), and G5 without r_jk, with f(r) = (1 + cos(pi r / r_cut)) / 2 (Behler and Parrinello, Phys. Rev.
    Lett. 98, 146401 (2007); Behler, J. Chem. Phys. 134, 074106 (2011)). Cubuk et al., Phys. Rev. Lett. 114, 108001
    (2015), who find softness with them, leave out f and 2^(1 - zeta); their L and xi are 1 / sqrt(eta).

    Parameters
    ----------
    r_cut : float
        Where the neighbours end.
    radial : tuple of tuple of float
        (eta, r_s) of each radial function, none or more; `RadialDensity` has many shells of one width in less time.
    angular : tuple of tuple, optional
        (eta, zeta, lambda) of each angular function, zeta a whole number.
    form : {"g4", "g5", "cubuk"}, default "g4"
        Which angular functions, and whether f is there.
    by_species : bool, default True
        Functions of each species, and of each pair of species; otherwise all neighbours are alike.
    neighbors : rule for neighbours, optional
        Who of those closer than r_cut counts, such as ``SANN()``; None is everybody.

    Notes
    -----
    Output ``acsf`` (frame, particle, acsf_feature), no unit, with names of the features such as ``G2 B 4 1`` and
    ``G4 A B 0.5 2 -1``: species, eta, r_s or zeta and lambda. Each pair of neighbours counts once. 0 where there is
    nobody; angular functions of a centre with a neighbour on top of it are NaN.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, 64, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 64, box=[4.0, 4.0, 4.0])
    >>> made = gd.SymmetryFunctions(r_cut=1.2, radial=((1.0, 1.0),), angular=((0.0, 1, 1.0),), form="cubuk")
    >>> gd.describe(crystal, [made])["acsf"].values[0, 0].round(9).tolist()
    [6.0, 12.0]
    """

    name: ClassVar[str] = "acsf"
    r_cut: Positive
    radial: tuple[tuple[NotNegative, Finite], ...]
    angular: tuple[tuple[NotNegative, Zeta, Finite], ...] = ()
    form: Literal["g4", "g5", "cubuk"] = "g4"
    by_species: bool = True
    neighbors: Neighborhood | None = None

    def check(self) -> None:
        """See `Declaration.check`."""
        if not self.radial and not self.angular:
            raise ParameterError("SymmetryFunctions: give radial, angular or both, such as radial=((4.0, 1.0),)")
        refuse_weights(self.neighbors, "SymmetryFunctions")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        labels = names if self.by_species else ("",)
        kinds = len(labels)
        row = np.zeros((kinds, kinds), np.int64)
        pairs = [(b, c) for b in range(kinds) for c in range(b, kinds)]
        for number, (b, c) in enumerate(pairs):
            row[b, c] = row[c, b] = number
        # those of equal eta share their exponentials
        order = sorted(range(len(self.angular)), key=lambda t: self.angular[t][0])
        radial = np.array(self.radial, dtype=np.float64).reshape(-1, 2)
        zeta = np.array([self.angular[t][1] for t in order], dtype=np.int64)
        factor = np.ones(len(order)) if self.form == "cubuk" else 2.0 ** (1 - zeta)
        angular = np.array([(*self.angular[t][::2], factor[n]) for n, t in enumerate(order)]).reshape(-1, 3)
        word = {"g4": "G4", "g5": "G5", "cubuk": "psi"}[self.form]
        features = [_label("G2", labels[b], *each) for b in range(kinds) for each in self.radial]
        features += [_label(word, labels[b], labels[c], *each) for b, c in pairs for each in self.angular]
        place = np.arange(len(features))
        for number in range(len(pairs)):  # as they were given
            begin = kinds * len(radial) + number * len(order)
            place[begin + np.array(order, int)] = np.arange(begin, begin + len(order))

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            kind = configuration.species[neighbors.index] if self.by_species else np.zeros(len(neighbors.index), CODE)
            most = int(neighbors.counts.max(initial=0)) + kinds * LANES
            found = np.empty(out.shape)
            kernels.symmetry_functions(
                neighbors.offsets, neighbors.vector, kind, self.r_cut, radial, angular, zeta, FORMS[self.form], row,
                np.empty((kernels.ROWS, most)), np.empty((2, kinds), np.int64), aligned(len(features), LANES), found,
            )  # fmt: skip
            out[:] = found[:, place]

        dim = "acsf_feature"
        return Plan(
            dims=(dim,),
            shape=(len(features),),
            coords={dim: (dim, np.array(features))},
            search=everyone(self.r_cut, names, self.neighbors),
            compute=compute,
            attrs={"long_name": "symmetry functions", "units": ""},
            microseconds=3.0 + 2.0 * len(angular),
        )


def _label(*parts: object) -> str:
    return " ".join(f"{part:g}" if isinstance(part, (int, float)) else str(part) for part in parts if part != "")
