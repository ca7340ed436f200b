"""Atomic cluster expansion of the surroundings of each particle (paper B, Eqs. 1-9 and 13)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from glassdask.declarations import Positive, Where
from glassdask.descriptors import ace_basis
from glassdask.descriptors.base import Descriptor, Plan
from glassdask.descriptors.weights import everyone
from glassdask.errors import ParameterError
from glassdask.kernels import ace as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.nearest import Neighborhood, refuse_weights

MAX_L = 32
TotalDegree = Annotated[float, Where(lambda degree: 1 <= degree < np.inf, "a total degree of at least 1, such as 10")]
RadialOrder = Annotated[int, Where(lambda n: 1 <= n <= 100, "a whole number from 1 to 100")]


@dataclass(frozen=True, kw_only=True)
class ACE(Descriptor):
    r"""Atomic cluster expansion: 2-, 3- and 4-body invariants of the neighbours' density (paper B, Eqs. 1-9 and 13).

    A_znlm(i) = sum_j delta_(z z_j) R_n(r_ij) Y_l^m(r_ij) over the neighbours j of i closer than r_cut (Eqs. 2, 4), with

    - 2-body  B_zn = sum_j delta_(z z_j) R_n(r_ij)  (Eq. 7),
    - 3-body  B = sum_m (-1)^m A_(z1 n1 l m) A_(z2 n2 l -m)  (Eq. 8),
    - 4-body  B = sum_(m1 m2 m3) (l1 l2 l3; m1 m2 m3) A_(z1 n1 l1 m1) A_(z2 n2 l2 m2) A_(z3 n3 l3 m3)  (Eq. 9, with the
      Wigner 3j symbol),

    R_n = (x - 1) P_(n-1)(x), n = 1, 2, ... (Eq. 3), where x(r) rises from 0 to 1 at r_cut and resolves distances best
    at r_0. The Legendre polynomials are orthonormal on the range of x: the integral over 0 <= x <= 1 of P_n P_n' dx is
    1 or 0. Y_l^m are orthonormal on the sphere. Another interval or scale would change the features, not their span.

    *Purified* features (Eq. 13) leave out clusters in which a neighbour occurs twice: they are the sums above over
    distinct j1, j2 (and j3). As R_n1 R_n2 is a sum of R_n with n <= n1 + n2, they follow from the same densities, at a
    cost linear in the number of neighbours. The species of i itself does not enter: choose `centers` in `describe`.

    Which features: with the total degree sum_t (n_t + w_l l_t) <= degree, one for each multiset of (z, n, l) whose l
    can be coupled: equal l in two; an even sum and the triangle rule in three, an odd sum being odd under reflection.
    Such a coupling is unique and each is led by another monomial of the A, so none vanishes and none is a linear
    combination of others. In two dimensions only triples with the largest l equal to the sum of the others are new.
    2-body features run over n = 1..n_max whatever the degree, as with n_max = 20 and degree 18 in the paper.

    Parameters
    ----------
    r_cut : float
        Cutoff.
    degree : int
        Largest total degree d of 3- and 4-body features; 10 for mixtures and 18 for a polymer in the paper.
    n_max : int, optional
        Largest radial order n; by default the whole part of `degree`.
    body_order : {2, 3, 4}, default 4
        2, 3 or 4: leave out features of more bodies.
    w_l : float, default 1.5
        Weight of l in the total degree, w_L.
    purified : bool, default True
        Without self-interaction.
    r_0 : float, default 1.0
        Distance of best resolution, about that of nearest neighbours.
    neighbors : rule for neighbours, optional
        Who of those closer than r_cut counts, such as ``SANN()``; None is everybody.

    Notes
    -----
    Output ``ace`` (frame, particle, ace_feature), no unit, sorted by body order, species, degree, n and l. The
    labels ``ace_feature`` look like ``"A1"``, ``"A1 B2 l=1"`` and ``"A1 A1 B2 l=1,1,0"``: species and n of each factor,
    then l. The coordinates ``ace_body_order``, ``ace_degree`` and, for each factor t = 1, 2, 3, ``ace_species<t>``,
    ``ace_n<t>``, ``ace_l<t>`` are there to select by, with "" and -1 where a feature has fewer factors. 0 for a centre
    without neighbours; a neighbour on top of the centre has no direction and makes features with l > 0 NaN.

    Parameters out of range, or more than 100,000 features, raise `ParameterError`.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> b = gd.describe(crystal, [ACE(r_cut=1.3, degree=5)])["ace"]
    >>> b["ace_feature"].values[b["ace_body_order"] == 3].tolist()
    ['A1 A1 l=0', 'A1 A2 l=0', 'A1 A3 l=0', 'A2 A2 l=0', 'A1 A1 l=1', 'A1 A4 l=0', 'A2 A3 l=0']
    >>> b.sel(ace_feature=["A1", "A1 A1 l=0"]).values[0, 0].round(4).tolist()
    [-1.5505, 0.1594]
    """

    name: ClassVar[str] = "ace"
    r_cut: Positive
    degree: TotalDegree
    n_max: RadialOrder | None = None
    body_order: Literal[2, 3, 4] = 4
    w_l: Positive = 1.5
    purified: bool = True
    r_0: Positive = 1.0
    neighbors: Neighborhood | None = None

    def check(self) -> None:
        """See `Declaration.check`."""
        if not 1e-3 <= self.r_0 / self.r_cut < 1:
            raise ParameterError(
                f"r_0 = {self.r_0}: expected the distance of nearest neighbours, such as 1, below r_cut = {self.r_cut} "
                "and at least a thousandth of it"
            )
        refuse_weights(self.neighbors, "ACE")
        largest = (self.degree - 2) / (2 * self.w_l)
        if self.body_order > 2 and largest >= MAX_L + 1:
            raise ParameterError(
                f"degree = {self.degree:g} and w_l = {self.w_l:g} give l up to {largest // 1:.0f}: "
                f"expected at most {MAX_L}, lower degree or raise w_l"
            )

    def radial_basis(self, r: Any) -> np.ndarray:
        """R_n(r) of paper B, Eq. 3 and Fig. 1, for n = 1..n_max: shape (n_max, *r.shape), 0 from r_cut on.

        Examples
        --------
        >>> r = np.array([0.0, 1.0, 2.0, 4.0])
        >>> ACE(r_cut=4.0, degree=10, n_max=2).radial_basis(r).round(4).tolist()
        [[-1.0, -0.6235, -0.0882, 0.0], [1.7321, 0.2668, -0.1258, 0.0]]
        """
        transform = ace_basis.distance_transform(self.r_cut, self.r_0)
        x = ace_basis.transformed_distance(np.asarray(r, dtype=np.float64), transform)
        return (x - 1.0) * ace_basis.legendre(x, self._n_max)

    @property
    def _n_max(self) -> int:
        return ace_basis.whole(self.degree) if self.n_max is None else self.n_max

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """The features of these species and the function that computes them."""
        sizes = (self.degree, self._n_max, self.w_l, self.body_order)
        clusters, tables = _prepare(len(names), sizes, dimension, self.purified, self.r_cut, self.r_0)

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            # the row behind the last neighbour takes those that are out of reach
            width = int(neighbors.counts.max(initial=0)) + 1
            kernels.expand(
                neighbors.offsets, neighbors.index, neighbors.vector, configuration.species, self.r_cut, tables,
                np.empty((len(names), 4, width)), np.empty(width), np.empty((int(tables.depth.max()), width)),
                np.empty((len(tables.depth) ** 2, width)), np.empty((tables.rows, kernels.LANES)),
                np.empty((len(clusters), kernels.LANES)), out,
            )  # fmt: skip

        return Plan(
            dims=("ace_feature",),
            shape=(len(clusters),),
            coords={name: ("ace_feature", values) for name, values in self._coordinates(clusters, names).items()},
            search=everyone(self.r_cut, names, self.neighbors),
            compute=compute,
            attrs={"long_name": f"{'purified ' if self.purified else ''}atomic cluster expansion", "units": ""},
        )

    def _coordinates(self, clusters: list[ace_basis.Cluster], names: tuple[str, ...]) -> dict[str, np.ndarray]:
        coords: dict[str, np.ndarray] = {
            "ace_feature": np.array([_label(cluster, names) for cluster in clusters]),
            "ace_body_order": np.array([len(cluster) + 1 for cluster in clusters]),
            "ace_degree": np.array([ace_basis.total_degree(cluster, self.w_l) for cluster in clusters]),
        }
        for slot in range(self.body_order - 1):
            factors = [cluster[slot] if slot < len(cluster) else None for cluster in clusters]
            coords[f"ace_species{slot + 1}"] = np.array([names[f[0]] if f else "" for f in factors])
            coords[f"ace_n{slot + 1}"] = np.array([f[1] if f else -1 for f in factors])
            coords[f"ace_l{slot + 1}"] = np.array([f[2] if f else -1 for f in factors])
        return coords


def _label(cluster: ace_basis.Cluster, names: tuple[str, ...]) -> str:
    factors = " ".join(f"{names[s]}{n}" for s, n, _ in cluster)
    if len(cluster) == 1:
        return factors
    degrees = [str(l) for _, _, l in cluster]
    return f"{factors} l={degrees[0] if len(cluster) == 2 else ','.join(degrees)}"


@lru_cache(maxsize=16)
def _prepare(
    n_species: int, sizes: tuple[float, int, float, int], dimension: int, purified: bool, r_cut: float, r_0: float
) -> tuple[list[ace_basis.Cluster], kernels.Tables]:
    """Features and tables; kept, because every task of a graph asks for the same."""
    clusters = ace_basis.features(n_species, *sizes, dimension)
    return clusters, ace_basis.tables(clusters, n_species, purified, r_cut, r_0)
