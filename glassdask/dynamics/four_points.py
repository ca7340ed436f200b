"""How far the motion is correlated in space: S_4(q, t), G_4(r, t) and the length xi_4."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from glassdask.correlations.modes import wave_vectors
from glassdask.correlations.radial import count_pairs
from glassdask.declarations import Count, Positive, converted, flags
from glassdask.dynamics.averages import cage_rule, later_relative, rms_drift
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.paths import Scheme
from glassdask.dynamics.scattering import MODE_MICROSECONDS, density_modes
from glassdask.dynamics.walk import map_pairs
from glassdask.errors import ParameterError
from glassdask.neighborhood.borders import refuse_open
from glassdask.neighborhood.boxes import ball, check_radius, expected_neighbors, half_widths, mean_spacing
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.schema import species_codes, species_names, validate
from glassdask.variables import annotated

# Default reach of G_4 in mean spacings, and least reach of q in steps 2 pi / L.
REACH, Q_LEAST = 8.0, 3.0
# Width of the bins of q in steps 2 pi / L: with it the first shells of a cube, 1, sqrt(2), sqrt(3), 2 ..., are apart
# and none is at an edge.
Q_STEP = 0.27
# The Ornstein-Zernike form is fitted up to this q xi, and to this many values at least.
FIT_REACH, FIT_LEAST = 1.5, 4
# A box holds too few of lengths that are more than this part of its width.
LONGEST = 0.1
# Newton steps of the fit at most.
STEPS = 50
PAIR_MICROSECONDS = 0.003  # what a pair of particles takes, roughly


def four_point(
    trajectory: xr.Dataset,
    lag: float,
    a: float,
    *,
    q_max: float | None = None,
    r_max: float | None = None,
    n_bins: int = 100,
    modes_per_bin: int = 100,
    q_fit: float | None = None,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    r"""Four-point structure factor and correlation function of the particles that stay, and their correlation length.

    S_4(q, t) = 1/N < |sum_i w_i(t) exp(-i q.r_i(0))|^2 >,

    G_4(r, t) = V / (N (N - 1)) < sum_{i != j} w_i w_j delta(r - r_ij(0)) > / (4 pi r^2) - <Q>^2,

    where w_i is 1 when particle i moves less than `a` in the time t, else 0, and Q is the mean of w [1]_; N is that of
    the species, and the shell's volume is exact for each bin (2 pi r in two dimensions). The wave vectors are those of
    the periodic box; S_4 is averaged over those of about the same length. xi_4 is from a fit of

    S_4(q, t) = S_4(0, t) / (1 + (q xi_4)^2)  (Ornstein and Zernike)

    by maximum likelihood, to q up to 1.5 / xi_4 [2]_ and to four values at least.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``time``, in memory or lazy; see `self_correlations`.
    lag : float
        t, best where chi_4 has its maximum; see `dynamic_susceptibility`.
    a : float
        Length, in the unit of the positions.
    q_max : float, optional
        Largest q; by default pi over the mean spacing (V/N)^(1/d), about half of the first peak of S(k), or three times
        the shortest where that is more.
    r_max, n_bins : float or int
        Largest r and bins of G_4; by default 8 mean spacings, or half of the box where that is less.
    modes_per_bin : int, default 100
        About how many wave vectors of a length are used at most, q and -q counting as one.
    q_fit : float, optional
        Largest q of the fit, in place of 1.5 / xi_4.
    origins : int
        Time origins that are used at most, evenly spread over the trajectory.
    cage, remove_drift, scheme : rule for neighbours or float or dict or bool or str
        Of which displacements w is, see `self_correlations`; ``drift`` is a number here.

    Returns
    -------
    xarray.Dataset
        ``s4`` (species, q), ``g4`` (species, r), ``xi4`` (species), ``s4_zero`` (species), the S_4(0, t) of the fit;
        each with ``_error``, and ``_total`` of all particles alike. ``q`` are the mean lengths of the wave vectors of
        each bin, ``modes`` (q) their numbers. ``q_fit`` (species) and ``q_fit_total``: the largest q of each fit;
        ``misfit`` (species): the root of the mean square deviation of the fit, relative to S_4. ``xi4`` is NaN where
        S_4 does not fall with q. Where ``xi4_total`` is more than a tenth of the attribute ``box_width``, the attribute
        ``finite_size`` says so: the box holds too few of such lengths. Errors are from the jackknife over blocks of
        origins, as those of `self_correlations`; the fit is part of it. Computed, not lazy.

    Raises
    ------
    SchemaError, PositionError, ParameterError
        As `self_correlations`; and when q_max leaves fewer than four lengths of wave vectors.
    BoxError
        When r_max is more than half of the narrowest box width.

    References
    ----------
    .. [1] N. Lacevic, F. W. Starr, T. B. Schroder and S. C. Glotzer, J. Chem. Phys. 119, 7372 (2003).
    .. [2] E. Flenner and G. Szamel, Phys. Rev. Lett. 105, 217801 (2010).

    Examples
    --------
    A gas of which half of the particles, anywhere, stays: S_4 is 1/2 at all q, and nothing is correlated.

    >>> import glassdask as gd
    >>> rng = np.random.default_rng(0)
    >>> x = rng.random((4000, 3)) * 12
    >>> path = np.stack([x, x + rng.integers(0, 2, (4000, 1))])
    >>> image = np.floor(path / 12).astype(int)
    >>> t = gd.from_arrays(path - image * 12, species=["A"] * 4000, box=[12.0] * 3, time=[0.0, 1.0], image=image)
    >>> found = four_point(t, lag=1.0, a=0.3, n_bins=4)
    >>> float(found["s4_total"].weighted(found["modes"]).mean().round(1))
    0.5
    >>> bool(abs(found["g4_total"]).max() < 0.05)
    True
    """
    flags(remove_drift=remove_drift)
    validate(trajectory)
    refuse_open(trajectory, "four_point", "use dynamic_susceptibility")
    a, lag = (converted(value, Positive, name) for name, value in (("a", a), ("lag", lag)))
    q_fit = converted(q_fit, Positive | None, "q_fit")
    n_bins, modes_per_bin = (
        converted(value, Count, name) for name, value in (("n_bins", n_bins), ("modes_per_bin", modes_per_bin))
    )
    spacing, width = mean_spacing(trajectory), 2.0 * half_widths(trajectory).min()
    if q_max is None:
        q_max = max(math.pi / spacing, Q_LEAST * 2.0 * math.pi / width)
    q_max = converted(q_max, Positive, "q_max")
    r_max = converted(min(REACH * spacing, 0.5 * width) if r_max is None else r_max, Positive, "r_max")
    check_radius(trajectory, r_max)
    found_origins = Origins.of(trajectory, [lag], origins)
    q, modes, bin_of = _vectors(trajectory, q_max, modes_per_bin)
    names, number = species_names(trajectory), np.bincount(species_codes(trajectory)).astype(float)
    number = np.append(number, number.sum())[:, None]
    rule = cage_rule(trajectory, cage)
    sums = map_pairs(
        partial(
            _of_pair, a=a, rule=rule, modes=modes, bin_of=bin_of, r_max=r_max, n_bins=n_bins, remove_drift=remove_drift
        ),
        trajectory, found_origins.pairs, (len(number), len(q) + n_bins + 1),
        MODE_MICROSECONDS * len(modes) + PAIR_MICROSECONDS * expected_neighbors(trajectory, r_max)
        + (rule.microseconds if rule else 1.0), scheme=scheme,
    )  # fmt: skip
    d = trajectory.sizes["space"]
    shells = ball(1.0, d) * np.diff(np.linspace(0.0, r_max, n_bins + 1) ** d)
    weights = np.bincount(bin_of).astype(float)

    def quantities(means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        structure, pairs, slow = np.split(means / number, [len(q), -1], axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            # V / (N (N - 1)) of the sum over pairs
            correlation = pairs * (number[-1] / (number - 1.0)) / shells - slow**2
        return {"s4": structure, "g4": correlation, **_fits(q, structure, weights, q_fit)}

    averages = found_origins.averages(quantities, sums)
    dims = {"s4": ("q",), "g4": ("r",)}
    variables: dict[str, Any] = {"modes": ("q", weights.astype(int))}
    for name, both in averages.items():
        for end, values in zip(("", "_error"), both):
            if not (end and name in ("q_fit", "misfit")):
                variables[f"{name}{end}"] = (("species", *dims.get(name, ())), values[:-1, ..., 0])
                variables[f"{name}_total{end}"] = (dims.get(name, ()), values[-1, ..., 0])
    r = (np.arange(n_bins) + 0.5) * (r_max / n_bins)
    attrs: dict[str, Any] = {"a": a, "lag": lag, "origins": int(found_origins.counts[0]), "box_width": float(width)}
    if remove_drift:
        variables["drift"] = ((), rms_drift(trajectory, found_origins, scheme)[0])
    share = float(variables["xi4_total"][1]) / width
    if share > LONGEST:
        attrs["finite_size"] = f"xi4 is {share:.2g} of the box, which holds too few of such lengths: take a larger box"
    return annotated(xr.Dataset(variables, coords={"species": list(names), "q": q, "r": r}, attrs=attrs))


def _vectors(trajectory: xr.Dataset, q_max: float, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lengths q (Q,), integers of the wave vectors (M, 3) in the mean box, and for each of them the place in q (M,)."""
    cell = np.asarray(trajectory["box"].values, dtype=np.float64).mean(axis=0)
    step = Q_STEP * 2.0 * math.pi * np.linalg.norm(np.linalg.inv(cell), axis=0).min()
    n_bins = max(1, int(q_max / step))
    box = tuple(tuple(map(float, row)) for row in cell)
    modes, bin_of = wave_vectors(box, n_bins * step, n_bins, limit, 0, n_bins - 1)
    _, bin_of = np.unique(bin_of, return_inverse=True)
    number = np.bincount(bin_of)
    if len(number) < FIT_LEAST:
        raise ParameterError(
            f"q_max {q_max:.3g}: {len(number)} lengths of wave vectors of the box are below it, a fit needs at least "
            f"{FIT_LEAST}: give a larger q_max"
        )
    d = len(cell)
    length = np.linalg.norm(modes[:, :d] @ (2.0 * math.pi * np.linalg.inv(cell).T), axis=1)
    return np.bincount(bin_of, length) / number, modes, bin_of


def _of_pair(
    configuration: Configuration, later: np.ndarray, box: np.ndarray, moved: np.ndarray,
    *, a: float, rule: Neighborhood | None, modes: np.ndarray, bin_of: np.ndarray, r_max: float, n_bins: int,
    remove_drift: bool,
) -> np.ndarray:  # fmt: skip
    """Sums (S + 1, Q + bins + 1): |W(q)|^2, pairs of slow particles times V / N, and slow particles."""
    _, moved = later_relative(configuration, later, box, moved, rule=rule, remove_drift=remove_drift)
    slow = np.flatnonzero((moved**2).sum(axis=1) < a * a)
    d, n_species = configuration.dimension, len(configuration.names)
    slow = slow[np.argsort(configuration.species[slow], kind="stable")]
    species, position = configuration.species[slow], configuration.position[slow, :d]
    starts = np.searchsorted(species, np.arange(n_species + 1))
    inverse = configuration.inverse[:d, :d]
    waves = density_modes(np.ascontiguousarray(position.T)[None], starts, inverse=inverse[None], modes=modes)[0]
    waves = np.concatenate([waves, waves.sum(axis=0, keepdims=True)])
    square = (waves**2).sum(axis=1)
    n_q = int(bin_of.max()) + 1
    structure = np.stack([np.bincount(bin_of, row, n_q) for row in square]) / np.bincount(bin_of)
    pairs = np.zeros((n_species + 1, n_bins))
    if len(slow):
        names, scratch = configuration.names, configuration.scratch
        of_slow = Configuration(position, species, configuration.box[:d, :d], names, configuration.label, scratch)
        counts = count_pairs(of_slow, np.arange(len(slow)), r_max, n_bins)[0]
        pairs[:-1], pairs[-1] = np.einsum("ssr->sr", counts), counts.sum(axis=(0, 1))
    number = np.append(np.diff(starts), len(slow))
    return np.concatenate([structure, pairs / configuration.density, number[:, None]], axis=1)


def _fits(q: np.ndarray, structure: np.ndarray, weights: np.ndarray, q_fit: float | None) -> dict[str, np.ndarray]:
    """Ornstein-Zernike fits of (n, S, Q), in the range that the first of the n wants."""
    rows, n_species = structure.shape[:2]
    found = {name: np.full((rows, n_species), np.nan) for name in ("xi4", "s4_zero", "q_fit", "misfit")}
    for s in range(n_species):
        largest = _range(q, structure[0, s], weights) if q_fit is None else q_fit
        inside = q <= largest * (1 + 1e-9)
        if inside.sum() < FIT_LEAST:
            raise ParameterError(
                f"q_fit {largest:.3g}: {inside.sum()} lengths of wave vectors are below it, a fit needs at least "
                f"{FIT_LEAST}, up to {q[FIT_LEAST - 1]:.3g}"
            )
        for n in range(rows):
            found["s4_zero"][n, s], found["xi4"][n, s], found["misfit"][n, s] = ornstein_zernike(
                q[inside], structure[n, s, inside], weights[inside]
            )
        found["q_fit"][:, s] = largest
    return found


def _range(q: np.ndarray, structure: np.ndarray, weights: np.ndarray) -> float:
    """Largest q with q xi of at most `FIT_REACH`, xi being that of the fit up to there; four values at least."""
    last = len(q)
    while last > FIT_LEAST:
        _, xi, _ = ornstein_zernike(q[:last], structure[:last], weights[:last])
        # where there is no fit the range is too long
        wanted = 0 if math.isnan(xi) else int(np.searchsorted(q, FIT_REACH / xi, side="right"))
        if wanted >= last:
            break
        last = max(wanted, FIT_LEAST, last // 2)  # step by step: fits of too long a range may be far off
    return float(q[last - 1])


def ornstein_zernike(q: np.ndarray, structure: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """S(0), xi and the misfit of S(q) = S(0) / (1 + (q xi)^2), by maximum likelihood.

    `weights` are numbers of wave vectors. NaN where S is not positive, or does not fall with q.

    Examples
    --------
    >>> q = np.linspace(0.3, 1.0, 6)
    >>> [round(float(x), 6) for x in ornstein_zernike(q, 5.0 / (1 + (2.0 * q) ** 2), np.ones(6))]
    [5.0, 2.0, 0.0]
    """
    nothing = math.nan, math.nan, math.nan
    if not (structure > 0).all():
        return nothing
    # 1/S is linear in q^2; |W(q)|^2 is distributed exponentially, and Newton's method finds what is most likely
    design = np.stack([np.ones_like(q), q**2], axis=1)
    line = np.linalg.lstsq(design * (structure * np.sqrt(weights))[:, None], np.sqrt(weights), rcond=None)[0]
    for _ in range(STEPS):
        if not (design @ line > 0).all():
            return nothing
        fit = 1.0 / (design @ line)
        step = np.linalg.solve(
            design.T @ (design * (weights * fit**2)[:, None]), design.T @ (weights * (fit - structure))
        )
        line = line + step
        if np.abs(design @ step * fit).max() < 1e-12:
            break
    if not (line > 0).all():
        return nothing
    misfit = math.sqrt(np.sum(weights * (structure * (design @ line) - 1.0) ** 2) / weights.sum())
    return float(1.0 / line[0]), math.sqrt(line[1] / line[0]), misfit
