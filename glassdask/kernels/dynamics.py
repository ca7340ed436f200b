"""How far particles have moved: sums over particles for pairs of frames, and motion relative to the neighbours."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel

# Columns of the sums of `self_sums`.
SQUARE, FOURTH, SCATTERING, OVERLAP = range(4)
N_SUMS = 4

# Chebyshev series of J0(x), to 1e-13: below x = 8 in x^2, above it amplitudes of cosine and sine in (8/x)^2.
_NEAR = np.array([
    0.15772797147489012, -0.0087234423528522245, 0.2651786132033368, -0.37009499387264988,
    0.15806710233209736, -0.034893769411408947, 0.0048191800694677867, -0.00046062616620644623,
    3.2460328821333949e-05, -1.7619469080789612e-06, 7.6081636283469802e-08, -2.6792538758578663e-09,
    7.8487398679093365e-11, -1.9440236457649953e-12, 4.1664202951905179e-14,
])  # fmt: skip
_COSINE = np.array([
    0.99946034934751871, -0.0005365220468132037, 3.0751847873933259e-06, -5.1705945347535473e-08,
    1.630646395689439e-09, -7.8640940555873255e-11, 5.1687321089843866e-12, -4.3063330679160574e-13,
])  # fmt: skip
_SINE = np.array([
    -0.015555854605336979, 6.8385199426084645e-05, -7.4144984104004832e-07, 1.7972457330012183e-08,
    -7.2719163000251057e-10, 4.2201255297512905e-11, -3.2067610719610505e-12, 3.0064215006397886e-13,
])  # fmt: skip


@kernel
def sine(x):
    """sin(x) to 1e-15 for |x| < 1e4 without a branch: loops over it use the vector units, as calls of np.sin do not."""
    n = np.floor(x * (1.0 / np.pi) + 0.5)
    y = (x - n * 3.141592653589793) - n * 1.2246467991473532e-16
    z = y * y
    # Taylor's series to y^19, |y| <= pi/2
    series = 1.0 - z / 210.0 * (1.0 - z / 272.0 * (1.0 - z / 342.0))
    series = 1.0 - z / 72.0 * (1.0 - z / 110.0 * (1.0 - z / 156.0 * series))
    series = 1.0 - z / 6.0 * (1.0 - z / 20.0 * (1.0 - z / 42.0 * series))
    return (1.0 - 2.0 * (n - 2.0 * np.floor(0.5 * n))) * y * series


@kernel
def chebyshev(series, t):
    """Sum of ``series[n] T_n(t)``, by Clenshaw's recurrence."""
    b1 = 0.0
    b2 = 0.0
    for n in range(series.shape[0] - 1, 0, -1):
        b = 2.0 * t * b1 - b2 + series[n]
        b2 = b1
        b1 = b
    return t * b1 - b2 + series[0]


@kernel
def bessel_j0(x):
    """Bessel function J0(x) of x >= 0: the average of cos(k.r) over the directions in the plane, x = kr."""
    if x < 8.0:
        return chebyshev(_NEAR, x * x / 32.0 - 1.0)
    u = 8.0 / x
    t = 2.0 * u * u - 1.0
    phase = x - 0.25 * np.pi
    return np.sqrt(2.0 / (np.pi * x)) * (
        chebyshev(_COSINE, t) * np.cos(phase) - u * chebyshev(_SINE, t) * np.sin(phase)
    )


@kernel
def _square_sums(old, new, begin, end, a2, square, out):
    """Squares of the displacements between two frames (d, n); adds up r^2, r^4 and the number with r^2 < a2."""
    # slices of rows: a loop over an offset of an index does not use the vector units
    n = end - begin
    x0 = old[0][begin:end]
    y0 = old[1][begin:end]
    x1 = new[0][begin:end]
    y1 = new[1][begin:end]
    if old.shape[0] == 3:
        z0 = old[2][begin:end]
        z1 = new[2][begin:end]
        for i in range(n):
            dx = x1[i] - x0[i]
            dy = y1[i] - y0[i]
            dz = z1[i] - z0[i]
            square[i] = dx * dx + dy * dy + dz * dz
    else:
        for i in range(n):
            dx = x1[i] - x0[i]
            dy = y1[i] - y0[i]
            square[i] = dx * dx + dy * dy
    # in a loop without stores: where one writes and adds up, addresses decide how it is vectorised, and so the last bit
    second = 0.0
    fourth = 0.0
    inside = 0.0
    for i in range(n):
        r2 = square[i]
        second += r2
        fourth += r2 * r2
        inside += 1.0 if r2 < a2 else 0.0
    out[SQUARE] = second
    out[FOURTH] = fourth
    out[OVERLAP] = inside


@kernel
def self_sums(position, starts, pairs, k, a2, square, out):
    """Sums over the particles of each species of functions of their displacement between two frames.

    `position` (F, d, n) unwrapped, sorted by species, species s in ``starts[s]:starts[s + 1]``; `pairs` (P, 2) frames;
    `square` (n,) scratch. `out` (P, S, 4): |r|^2, |r|^4, the average of cos(k.r) over all directions (sin(kr)/(kr) in
    three dimensions, J0(kr) in two), and the number with |r|^2 < a2. With k = 0 the third is the number of particles.
    """
    dimension = position.shape[1]
    for p in range(pairs.shape[0]):
        for s in range(starts.shape[0] - 1):
            n = starts[s + 1] - starts[s]
            _square_sums(position[pairs[p, 0]], position[pairs[p, 1]], starts[s], starts[s + 1], a2, square, out[p, s])
            scattering = 0.0
            if k == 0.0:
                scattering += n
            elif dimension == 3:
                for i in range(n):
                    x = max(k * np.sqrt(square[i]), 1e-9)
                    scattering += sine(x) / x
            else:
                for i in range(n):
                    scattering += bessel_j0(k * np.sqrt(square[i]))
            out[p, s, SCATTERING] = scattering


@kernel
def place(position, image, box, inverse, margin, out):
    """position + image @ box of every frame, into `out` (F, n, d), in one pass.

    `position` and `image` (F, n, d), `box` and `inverse` (F, d, d). Returns frame and particle of the first position
    that is outside of the box by more than `margin` of it, -1 where there is none.
    """
    low = -margin
    high = 1.0 + margin
    for f in range(position.shape[0]):
        cell = box[f]
        back = inverse[f]
        for p in range(position.shape[1]):
            x = position[f, p, 0]
            y = position[f, p, 1]
            i = image[f, p, 0]
            j = image[f, p, 1]
            if position.shape[2] == 3:
                z = position[f, p, 2]
                k = image[f, p, 2]
                c = x * back[0, 2] + y * back[1, 2] + z * back[2, 2]
                if c < low or c > high:
                    return f, p
                out[f, p, 2] = z + (i * cell[0, 2] + j * cell[1, 2] + k * cell[2, 2])
                a = x * back[0, 0] + y * back[1, 0] + z * back[2, 0]
                b = x * back[0, 1] + y * back[1, 1] + z * back[2, 1]
                out[f, p, 0] = x + (i * cell[0, 0] + j * cell[1, 0] + k * cell[2, 0])
                out[f, p, 1] = y + (i * cell[0, 1] + j * cell[1, 1] + k * cell[2, 1])
            else:
                a = x * back[0, 0] + y * back[1, 0]
                b = x * back[0, 1] + y * back[1, 1]
                out[f, p, 0] = x + (i * cell[0, 0] + j * cell[1, 0])
                out[f, p, 1] = y + (i * cell[0, 1] + j * cell[1, 1])
            if a < low or a > high or b < low or b > high:
                return f, p
    return -1, -1


@kernel
def follow(position, box, inverse, out):
    """Unwrap paths by the shortest steps between frames.

    `position` (n, F, d), `box` and `inverse` (F, d, d), `out` (n, F, d). Returns the largest change of a fractional
    coordinate, its particle, and the frame it leads to.
    """
    dimension = position.shape[2]
    last = np.empty(dimension)
    image = np.empty(dimension)
    largest = 0.0
    at = 0
    frame = 0
    for p in range(position.shape[0]):
        image[:] = 0.0
        for f in range(position.shape[1]):
            for a in range(dimension):
                fraction = 0.0
                for s in range(dimension):
                    fraction += position[p, f, s] * inverse[f, s, a]
                if f > 0:
                    step = fraction - last[a]
                    whole = np.floor(step + 0.5)
                    image[a] -= whole
                    step = abs(step - whole)
                    if step > largest:
                        largest = step
                        at = p
                        frame = f
                last[a] = fraction
            for s in range(dimension):
                total = position[p, f, s]
                for a in range(dimension):
                    total += image[a] * box[f, a, s]
                out[p, f, s] = total
    return largest, at, frame


@kernel
def replica_moments(displacement, power, square, mean, squares, distance):
    """Mean over the replicas of |dr|^power, 1 or 2, the sum of squared differences from it, and the mean of |dr|.

    `displacement` (R, M, d); `square` scratch, `mean`, `squares` and `distance` (M,). One pass, by the updates of
    B. P. Welford, Technometrics 4, 419 (1962), of as many particles at a time as `square` has places.
    """
    for first in range(0, displacement.shape[1], square.shape[0]):
        n = min(square.shape[0], displacement.shape[1] - first)
        # slices of rows: a loop over an offset of an index does not use the vector units
        middle = mean[first : first + n]
        scatter = squares[first : first + n]
        far = distance[first : first + n]
        middle[:] = scatter[:] = far[:] = 0.0
        for r in range(displacement.shape[0]):
            share = 1.0 / (r + 1)
            if displacement.shape[2] == 3:
                for i in range(n):
                    x = np.float64(displacement[r, first + i, 0])
                    y = np.float64(displacement[r, first + i, 1])
                    z = np.float64(displacement[r, first + i, 2])
                    square[i] = x * x + y * y + z * z
            else:
                square[:n] = 0.0
                for axis in range(displacement.shape[2]):
                    for i in range(n):
                        x = np.float64(displacement[r, first + i, axis])
                        square[i] += x * x
            if power == 1:
                for i in range(n):
                    value = np.sqrt(square[i])
                    change = value - middle[i]
                    middle[i] += share * change
                    scatter[i] += change * (value - middle[i])
            else:
                for i in range(n):
                    value = square[i]
                    change = value - middle[i]
                    middle[i] += share * change
                    scatter[i] += change * (value - middle[i])
                    far[i] += share * (np.sqrt(value) - far[i])
        if power == 1:
            far[:] = middle


@kernel
def cage_relative(displacement, offsets, index, out):
    """Displacement of each particle minus the mean over itself and its neighbours.

    `displacement` (M, N, d), `offsets` (N + 1,) and `index` (P,) the neighbours of every particle, `out` (M, N, d).
    """
    for m in range(displacement.shape[0]):
        for i in range(displacement.shape[1]):
            share = 1.0 / (offsets[i + 1] - offsets[i] + 1)
            for axis in range(displacement.shape[2]):
                total = displacement[m, i, axis]
                for slot in range(offsets[i], offsets[i + 1]):
                    total += displacement[m, index[slot], axis]
                out[m, i, axis] = displacement[m, i, axis] - share * total


@kernel
def histogram_displacements(position, starts, pairs, bins_per_length, out):
    """Add to `out` (P, S, bins) the particles of each species that moved so far between two frames.

    `position`, `starts` and `pairs` as for `self_sums`. What moved further is in no bin.
    """
    n_bins = out.shape[2]
    for p in range(pairs.shape[0]):
        old = position[pairs[p, 0]]
        new = position[pairs[p, 1]]
        for s in range(starts.shape[0] - 1):
            for i in range(starts[s], starts[s + 1]):
                r2 = 0.0
                for d in range(old.shape[0]):
                    r2 += (new[d, i] - old[d, i]) ** 2
                b = np.sqrt(r2) * bins_per_length
                if b < n_bins:
                    out[p, s, int(b)] += 1.0


@kernel
def histogram_pairs(centers, offsets, index, distance, species, own, bins_per_length, out):
    """Add to `out` (S, S, bins) the pairs of a centre i and a neighbour j later; particle j has the index j + N.

    `species` (N,); with `own`, a particle and itself later are a pair.
    """
    n = species.shape[0]
    n_bins = out.shape[2]
    for c in range(centers.shape[0]):
        i = centers[c]
        for k in range(offsets[c], offsets[c + 1]):
            j = index[k] - n
            b = distance[k] * bins_per_length
            if (own or j != i) and b < n_bins:
                out[species[i], species[j], int(b)] += 1.0
