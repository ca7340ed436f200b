"""Smooth overlap of atomic positions: SOAP (paper A, Sec. II A 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from glassdask.declarations import NotNegative, Positive, Where, pair_text
from glassdask.descriptors import radial_basis
from glassdask.descriptors.base import Descriptor, Plan, degree_range
from glassdask.descriptors.weights import everyone
from glassdask.errors import ParameterError, SpeciesError
from glassdask.kernels import soap as kernels
from glassdask.kernels.expansion import row_recurrence
from glassdask.kernels.simd import LANES, aligned, padded
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.nearest import Neighborhood, refuse_weights
from glassdask.schema import CODE

RadialFunctions = Annotated[int, Where(lambda n: 1 <= n <= 32, "1 to 32 radial functions")]
# Narrower Gaussians, in units of r_cut, only cost: at most 32 radial functions do not tell them from points, and the
# table of their projections grows.
SHARPEST = 200
# Broader ones, and tails further off, change nothing.
BROADEST, LONGEST = 100, 100


@dataclass(frozen=True, kw_only=True)
class SOAP(Descriptor):
    r"""Smooth overlap of atomic positions: power spectrum of the smeared density around each particle.

    rho(r) = sum_j exp(-|r - r_ij|^2 / 2 sigma^2),  c_nlm = int g_n(r) Y_lm(r) rho(r) dr,
    Q_nn'l = (8 pi^2 / (2 l + 1))^(1/2) sum_m c*_nlm c_n'lm  for n' >= n  (paper A, Eqs. 10-14).

    The sum runs over the neighbours closer than r_cut + padding, whose tails reach into the sphere of the expansion. A
    neighbour that crosses that distance makes the features jump, at the default padding by 1e-6 of the largest feature
    with polynomials, which vanish at r_cut, and by 1e-3 with GTOs, which do not: those want a larger padding.

    Parameters
    ----------
    r_cut : float
        Radius of the expansion; for the first shell slightly beyond the first minimum of g(r), 1.6 in paper A.
    n_max, l_max : int
        Number of radial functions, largest degree (at most 32).
    sigma : float
        Width of the Gaussians, about r_cut / n_max, at least r_cut / 200.
    basis : {"polynomial", "gto"}, default "polynomial"
        ``"polynomial"``, g_n = sum_n' beta_nn' (r_cut - r)^(n' + 2) (paper A, Eq. 15), or ``"gto"``, g_nl = r^l sum_n'
        beta_nn'l exp(-alpha_n'l r^2) with alpha_nl such that the n-th of n_max radii between 1 and r_cut sees it
        decayed to 0.001. Both are made orthonormal by beta = S^(-1/2), S the overlaps, in the unit of length of the
        positions. These are DScribe's conventions (Himanen et al., Comput. Phys. Commun. 247, 106949 (2020)), which
        paper A used.
    by_species : bool, default False
        Expand the density of each species and give the products of all pairs; otherwise species-blind.
    species : sequence of str, optional
        With `by_species`, the species to expand, in this order, whether a trajectory has them or not, so that different
        compositions have the same features: zero for a pair that is not there. By default those of the trajectory.
    spectrum : {"full", "diagonal"}, default "full"
        ``"full"``, or ``"diagonal"`` with n' = n only.
    normalize : bool, default False
        Divide the feature vector of each particle by its length.
    center : bool, default True
        The central particle is part of the density, as in DScribe.
    padding : float, optional
        By default sigma sqrt(-2 ln 0.001), where a Gaussian has decayed to 0.001, as in DScribe.
    neighbors : rule for neighbours, optional
        Who of those closer than r_cut + padding counts, such as ``Voronoi()``; None is everybody.

    Notes
    -----
    Output ``soap`` (frame, particle, soap_feature), no unit, with the coordinates ``soap_l``, ``soap_n``, ``soap_n2``
    (n') and ``soap_species`` (such as ``"A-B"``, ``"all"`` when species-blind) on it. l changes slowest, then n, then
    n'; pairs of species, in the order A-A, A-B, B-B, even slower. A pair of unlike species has n_max^2 combinations of
    n and n', n belonging to the first. Zero for a particle that sees nobody, `center` included; NaN then with
    `normalize`.

    Examples
    --------
    >>> import glassdask as gd
    >>> from glassdask.descriptors.soap import SOAP
    >>> cubic = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(1, 216, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 216, box=[6.0, 6.0, 6.0])
    >>> q = gd.describe(crystal, [SOAP(r_cut=1.6, n_max=6, l_max=8, sigma=0.2)])["soap"]
    >>> q.sizes["soap_feature"]
    189
    >>> q[0, 0].values[q["soap_l"] == 3].round(12).any()  # odd degrees vanish around a centre of symmetry
    np.False_
    """

    name: ClassVar[str] = "soap"
    r_cut: Positive
    n_max: RadialFunctions
    l_max: int
    sigma: Positive
    basis: Literal["polynomial", "gto"] = "polynomial"
    by_species: bool = False
    species: tuple[str, ...] | None = None
    spectrum: Literal["full", "diagonal"] = "full"
    normalize: bool = False
    center: bool = True
    padding: NotNegative | None = None
    neighbors: Neighborhood | None = None

    def check(self) -> None:
        """See `Declaration.check`."""
        degree_range(0, self.l_max)
        if self.species is not None and not self.by_species:
            raise ParameterError("species are listed, but the density is that of all alike: give by_species=True")
        if self.species is not None and len({*self.species}) != max(len(self.species), 1):
            raise ParameterError(f"species is {self.species}: expected different names")
        if self.basis == "gto" and self.r_cut <= 1:
            raise ParameterError(f"r_cut = {self.r_cut}: GTOs are placed between 1 and r_cut, expected more than 1")
        if self.sigma > BROADEST * self.r_cut or (self.padding or 0.0) > LONGEST * self.sigma:
            raise ParameterError(
                f"sigma = {self.sigma}, padding = {self.padding}: expected a width of at most {BROADEST} r_cut and a "
                f"padding of at most {LONGEST} widths, where nothing is left of a Gaussian"
            )
        if self.sigma < self.r_cut / SHARPEST:
            raise ParameterError(
                f"sigma = {self.sigma}: {self.n_max} radial functions on r_cut = {self.r_cut} cannot resolve this "
                f"width, expected about r_cut / n_max = {self.r_cut / self.n_max:.2g}, at least r_cut / {SHARPEST}"
            )
        refuse_weights(self.neighbors, "SOAP")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        padding = self.sigma * np.sqrt(-2 * np.log(1e-3)) if self.padding is None else self.padding
        reach = float(self.r_cut + padding)
        inverse_width, pieces = radial_basis.pieces(self.basis, self.r_cut, self.n_max, self.l_max, self.sigma, reach)
        table = row_recurrence(self.l_max)
        listed = names if self.species is None else self.species
        unknown = [name for name in names if name not in listed]
        if unknown:
            raise SpeciesError(f"SOAP.species lists {', '.join(listed)}, the trajectory has {unknown[0]}, too: add it")
        channels = len(listed) if self.by_species else 1
        channel_of = np.array([listed.index(name) if self.by_species else 0 for name in names], dtype=CODE)
        coords = self._coordinates(listed)

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            channel = channel_of[configuration.species]
            wide = padded(self.n_max)
            most = int(neighbors.counts.max(initial=0))
            kernels.soap(
                neighbors.offsets, neighbors.vector, channel[neighbors.index], channel[neighbors.centers],
                self.center, reach, self.n_max, self.spectrum == "full", self.normalize,
                table, inverse_width, pieces,
                np.empty((4, most + 1 + LANES)), aligned(len(table), LANES), aligned(LANES, pieces.shape[1]),
                aligned(channels, len(table), wide), aligned(wide, wide), out,
            )  # fmt: skip

        return Plan(
            dims=("soap_feature",),
            shape=(len(coords["soap_l"][1]),),
            coords=coords,
            search=everyone(reach, names, self.neighbors),
            compute=compute,
            attrs={"long_name": "SOAP power spectrum Q_nn'l", "units": ""},
        )

    def _coordinates(self, names: tuple[str, ...]) -> dict[str, tuple[str, np.ndarray]]:
        pairs = [(a, b) for a in range(len(names)) for b in range(a, len(names))] if self.by_species else [(0, 0)]
        n = np.arange(1, self.n_max + 1)
        rows = []
        labels = []
        for a, b in pairs:
            first, second = np.meshgrid(n, n, indexing="ij")
            keep = first == second if self.spectrum == "diagonal" else (first <= second) | (a != b)
            first, second = first[keep], second[keep]
            degree = np.repeat(np.arange(self.l_max + 1), len(first))
            rows.append(np.stack([degree, np.tile(first, self.l_max + 1), np.tile(second, self.l_max + 1)]))
            labels += [pair_text(names[a], names[b]) if self.by_species else "all"] * len(degree)
        columns = np.concatenate(rows, axis=1)
        named = {"soap_l": columns[0], "soap_n": columns[1], "soap_n2": columns[2], "soap_species": np.array(labels)}
        return {name: ("soap_feature", values) for name, values in named.items()}
