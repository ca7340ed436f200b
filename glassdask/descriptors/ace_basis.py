"""The algebra behind the atomic cluster expansion: radial basis, couplings, features and purification.

Everything here is done once for a set of parameters, in plain NumPy, and ends in the tables that the kernel reads.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial, floor, sqrt

import numpy as np

from glassdask.errors import ParameterError
from glassdask.kernels import ace as kernels

# one-particle function phi_v: (species code, n, l)
Function = tuple[int, int, int]
# product of one, two or three of them, in ascending order
Cluster = tuple[Function, ...]

FOUR_PI = 4.0 * np.pi
# rounding of n + w_l l sums, so that 1.5 * 2 + 7 <= 10 holds for every w_l
DEGREE_TOLERANCE = 1e-9
MAX_FEATURES = 100_000


def distance_transform(r_cut: float, r_0: float) -> np.ndarray:
    """(1 / r_cut, a, y(1), 1 / (y(0) - y(1))) of paper B below Eq. 3, with |y'(r)| largest at r = r_0.

    y = 1 / (1 + a w) with w(s) = s^4 / (1 + s^3), so y'' = 0 asks for a = w'' / (2 w'^2 - w w''), which is
    3 (2 - s^3) / (s^4 (10 + s^3)). This falls with s: there is one maximum, at s = r_0 / r_cut.
    """
    s = r_0 / r_cut
    a = 3 * (2 - s**3) / (s**4 * (10 + s**3))
    y1 = 2.0 / (2.0 + a)
    return np.array([1.0 / r_cut, a, y1, 1.0 / (1.0 - y1)])


def transformed_distance(r: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """x(r) of paper B below Eq. 3: 0 at r = 0, 1 at r_cut and beyond."""
    inverse, a, y1, scale = transform
    s = np.minimum(r * inverse, 1.0)
    y = (1 + s**3) / (1 + s**3 + a * s**4)
    return 1.0 - (y - y1) * scale * (1.0 - s**4)


def legendre(x: np.ndarray, n_max: int) -> np.ndarray:
    """Legendre polynomials orthonormal on 0 <= x <= 1, degrees 0..n_max - 1, shape (n_max, *x.shape)."""
    t = 2.0 * x - 1.0
    p = np.ones((n_max, *np.shape(x)))
    for k, (c, d) in enumerate(legendre_recurrence(n_max - 1)):
        p[k + 1] = c * t * p[k] - (d * p[k - 1] if k else 0.0)
    return p


def legendre_recurrence(count: int) -> np.ndarray:
    """Coefficients (count, 2) of P_(k+1) = c_k t P_k - d_k P_(k-1), t = 2 x - 1, for the orthonormal P_k."""
    k = np.arange(count, dtype=np.float64)
    c = np.sqrt((2 * k + 1) * (2 * k + 3)) / (k + 1)
    d = k / (k + 1) * np.sqrt((2 * k + 3) / np.maximum(2 * k - 1, 1))
    return np.stack([c, d], axis=-1)


class RadialProducts:
    """Products of radial functions as sums of radial functions.

    R_n = (x - 1) P_n-1(x), so R_n1 R_n2 = (x - 1) [(x - 1) P P], whose bracket is a polynomial of degree n1 + n2 - 1:
    an exact sum of R_1..R_(n1+n2). This is why purification needs no more than the densities A themselves.
    """

    def __init__(self, n_max: int):
        nodes, weights = np.polynomial.legendre.leggauss(n_max + 2)
        x = 0.5 * (nodes + 1.0)
        self._p = legendre(x, n_max)
        self._weights = 0.5 * weights
        self._envelope = x - 1.0
        self._cache: dict[tuple[int, ...], np.ndarray] = {}

    def __call__(self, *n: int) -> np.ndarray:
        """Coefficients of R_1..R_sum(n) in the product of the R_n."""
        if n not in self._cache:
            product = self._weights * self._envelope ** (len(n) - 1) * np.prod([self._p[k - 1] for k in n], axis=0)
            self._cache[n] = self._p[: sum(n)] @ product
        return self._cache[n]


@cache
def wigner_3j(l1: int, l2: int, l3: int, m1: int, m2: int, m3: int) -> float:
    """Wigner 3j symbol by Racah's sum in exact fractions."""
    if m1 + m2 + m3 or not abs(l1 - l2) <= l3 <= l1 + l2 or abs(m1) > l1 or abs(m2) > l2 or abs(m3) > l3:
        return 0.0
    f = factorial
    total = Fraction(0)
    for k in range(max(0, l2 - l3 - m1, l1 - l3 + m2), min(l1 + l2 - l3, l1 - m1, l2 + m2) + 1):
        below = f(k) * f(l3 - l2 + m1 + k) * f(l3 - l1 - m2 + k) * f(l1 + l2 - l3 - k) * f(l1 - m1 - k) * f(l2 + m2 - k)
        total += Fraction((-1) ** k, below)
    square = Fraction(f(l1 + l2 - l3) * f(l1 - l2 + l3) * f(l2 + l3 - l1), f(l1 + l2 + l3 + 1))
    square *= f(l1 + m1) * f(l1 - m1) * f(l2 + m2) * f(l2 - m2) * f(l3 + m3) * f(l3 - m3)
    sign = (-1) ** (l1 - l2 - m3) * (1 if total >= 0 else -1)
    return sign * sqrt(square * total**2)


def _complex_from_real(l: int) -> np.ndarray:
    """Matrix (m, mu) of Y_l^m (Condon-Shortley) in terms of the real harmonics."""
    u = np.zeros((2 * l + 1, 2 * l + 1), complex)
    u[l, l] = 1.0
    for m in range(1, l + 1):
        u[l + m, l + m] = (-1) ** m / sqrt(2)
        u[l + m, l - m] = (-1) ** m * 1j / sqrt(2)
        u[l - m, l + m] = 1 / sqrt(2)
        u[l - m, l - m] = -1j / sqrt(2)
    return u


@cache
def real_coupling(l1: int, l2: int, l3: int) -> np.ndarray:
    """The 3j symbols of paper B, Eq. 9, as a tensor (2 l1 + 1, 2 l2 + 1, 2 l3 + 1) over real harmonics.

    It is real because l1 + l2 + l3 is even.
    """
    tensor = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            tensor[l1 + m1, l2 + m2, l3 - m1 - m2] = wigner_3j(l1, l2, l3, m1, m2, -m1 - m2)
    turned = [_complex_from_real(l) for l in (l1, l2, l3)]
    return np.einsum("abc,ai,bj,ck->ijk", tensor, *turned, optimize=True).real


def same_direction(l1: int, l2: int, l3: int) -> float:
    """G in sum_(m1 m2) (3j) Y_l1^m1 Y_l2^m2 = G conj(Y_l3^m3), both harmonics of one direction."""
    return sqrt((2 * l1 + 1) * (2 * l2 + 1) / (FOUR_PI * (2 * l3 + 1))) * wigner_3j(l1, l2, l3, 0, 0, 0)


def whole(degree: float) -> int:
    """Whole part of a total degree, not one less for a hair of rounding."""
    return floor(degree + DEGREE_TOLERANCE)


def total_degree(cluster: Cluster, w_l: float) -> float:
    """sum_t (n_t + w_l l_t)."""
    return sum(n + w_l * l for _, n, l in cluster)


def features(n_species: int, degree: float, n_max: int, w_l: float, body_order: int, dimension: int) -> list[Cluster]:
    """The independent invariants, sorted by body order, species, degree, n and l.

    One for each multiset of one-particle functions whose l can be coupled: equal l of two, and for three an even sum
    that meets the triangle rule, since an odd sum changes sign under reflection. Such a coupling is unique and
    symmetric, and each is led by a different monomial of the densities: none vanishes and none depends on the others.
    In the plane the harmonic of l has no more than cos(l phi), sin(l phi) and what lower l have; only the couplings
    with l_max = l + l', the products of these, are new.
    """
    largest = whole(degree)
    one = [
        (s, n, l)
        for s in range(n_species)
        for n in range(1, min(n_max, largest - 1) + 1)
        for l in range(whole((degree - n - 1) / w_l) + 1)
    ]
    limit = degree + DEGREE_TOLERANCE
    found: list[Cluster] = [((s, n, 0),) for s in range(n_species) for n in range(1, n_max + 1)]
    weight = np.array([n + w_l * l for _, n, l in one])
    order_l = np.array([l for _, _, l in one], dtype=np.int64)
    for i in range(len(one) if body_order > 2 else 0):
        rest = slice(i, len(one))
        pair = weight[i] + weight[rest] <= limit
        found += [(one[i], one[i + j]) for j in np.flatnonzero(pair & (order_l[rest] == order_l[i]))]
        for j in i + np.flatnonzero(pair) if body_order > 3 else ():
            sides = np.sort(np.stack(np.broadcast_arrays(order_l[i], order_l[j], order_l[j:])), axis=0)
            gap = sides[0] + sides[1] - sides[2]
            allowed = (gap >= 0) & (gap % 2 == 0) if dimension == 3 else gap == 0
            allowed &= weight[i] + weight[j] + weight[j:] <= limit
            found += [(one[i], one[j], one[j + k]) for k in np.flatnonzero(allowed)]
        if len(found) > MAX_FEATURES:
            raise ParameterError(
                f"degree = {degree:g} for {n_species} species gives more than {MAX_FEATURES} features: "
                "lower degree, n_max or body_order"
            )

    def key(cluster: Cluster):
        s, n, l = zip(*cluster)
        return len(cluster), s, round(total_degree(cluster, w_l), 6), n, l

    return sorted(found, key=key)


def expansion(cluster: Cluster, purified: bool, products: RadialProducts) -> dict[Cluster, float]:
    """A feature as a sum of invariants with self-interaction, by inclusion and exclusion of equal neighbours.

    A sum over distinct j1, j2 is the free sum less the sum over j1 = j2; over distinct j1, j2, j3 it is the free sum
    less those with one pair equal plus twice that with all equal. A product of functions of one neighbour, coupled as
    here, is again R_k Y_l of that neighbour (`RadialProducts`, `same_direction`).
    """
    terms = {cluster: 1.0}
    if not purified or len(cluster) == 1:
        return terms

    def add(factor: float, s: int, n: tuple[int, ...], l: int, other: Cluster = ()) -> None:
        for k, c in enumerate(products(*n), start=1):
            if abs(c) > 1e-13:
                target = tuple(sorted(((s, k, l), *other)))
                terms[target] = terms.get(target, 0.0) + factor * c

    species, n, l = zip(*cluster)
    if len(cluster) == 2:
        if species[0] == species[1]:
            add(-(2 * l[0] + 1) / FOUR_PI, species[0], n, 0)
        return terms
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        if species[i] == species[j]:
            add(-same_direction(l[i], l[j], l[k]), species[i], (n[i], n[j]), l[k], (cluster[k],))
    if species[0] == species[1] == species[2]:
        add(2 * same_direction(*l) * (2 * l[2] + 1) / FOUR_PI, species[0], n, 0)
    return terms


def tables(clusters: list[Cluster], n_species: int, purified: bool, r_cut: float, r_0: float) -> kernels.Tables:
    """Lay out densities, products and their sums for the kernel."""
    products = RadialProducts(max(sum(n for _, n, _ in cluster) for cluster in clusters))
    expansions = [expansion(cluster, purified, products) for cluster in clusters]
    needed = {target for terms in expansions for target in terms}
    pairs: list[Cluster] = sorted(c for c in needed if len(c) == 2)
    triples: list[Cluster] = sorted(c for c in needed if len(c) == 3)

    # rows of the densities: species, then l, then m, then n padded to whole groups
    l_max = max(l for c in needed for _, _, l in c)
    deepest = np.zeros(l_max + 1, np.int64)
    for cluster in needed:
        for _, n, l in cluster:
            deepest[l] = max(deepest[l], n)
    depth = -(-deepest // kernels.GROUP) * kernels.GROUP
    base = np.concatenate([[0], np.cumsum((2 * np.arange(l_max + 1) + 1) * depth)])
    density_rows = int(n_species * base[-1])

    def row(function: Function, m: int) -> int:
        s, n, l = function
        return int(s * base[-1] + base[l] + (l + m) * depth[l] + n - 1)

    column_of: dict[Cluster, int] = {c: row(c[0], 0) for c in needed if len(c) == 1}
    column_of |= {c: density_rows + i for i, c in enumerate(pairs + triples)}
    pair_table = [(row(a, -a[2]), row(b, -b[2]), depth[a[2]], 2 * a[2] + 1) for a, b in pairs]
    triple_table, coupling, triple_start = [], [], [0]
    for cluster in triples:
        tensor = real_coupling(*(l for _, _, l in cluster))
        for entry in np.argwhere(np.abs(tensor) > 1e-14):
            triple_table.append([row(f, m - f[2]) for f, m in zip(cluster, entry.tolist())])
            coupling.append(tensor[tuple(entry)])
        triple_start.append(len(coupling))
    column, factor, start = [], [], [0]
    for terms in expansions:
        column += [column_of[c] for c in terms]
        # B of one function is the bare sum of R_n (Eq. 7), A_n00 has Y_00 in it
        factor += [value * (sqrt(FOUR_PI) if len(c) == 1 else 1.0) for c, value in terms.items()]
        start.append(len(column))
    return kernels.Tables(
        transform=distance_transform(r_cut, r_0),
        radial_recurrence=legendre_recurrence(int(depth.max())),
        harmonic_recurrence=_harmonic_recurrence(l_max),
        depth=depth,
        base=base[:-1],
        density_rows=density_rows,
        rows=density_rows + len(pairs) + len(triples),
        pairs=np.array(pair_table, np.int64).reshape(-1, 4),
        triple_start=np.array(triple_start, np.int64),
        triples=np.array(triple_table, np.int64).reshape(-1, 3),
        coupling=np.array(coupling, np.float64),
        start=np.array(start, np.int64),
        column=np.array(column, np.int64),
        factor=np.array(factor, np.float64),
    )


def _harmonic_recurrence(l_max: int) -> np.ndarray:
    """Coefficients (2, l_max + 1, l_max + 1) that `glassdask.kernels.ace.harmonics` describes."""
    table = np.zeros((2, l_max + 1, l_max + 1))
    table[0, 0, 0] = sqrt(1 / FOUR_PI)
    for m in range(l_max + 1):
        if m > 0:
            table[0, m, m] = sqrt((2 * m + 1) / (2 * m)) if m > 1 else sqrt(3 / FOUR_PI)
        for l in range(m + 1, l_max + 1):
            table[0, l, m] = sqrt((4 * l * l - 1) / (l * l - m * m))
            table[1, l, m] = sqrt((2 * l + 1) * ((l - 1) ** 2 - m * m) / ((2 * l - 3) * (l * l - m * m)))
    return table
