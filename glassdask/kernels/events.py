"""Sudden motion of single particles, and bonds that break."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel


@kernel
def hop_function(path, half, p_hop, jump):
    """p_hop of each frame, and the distance between the mean positions before and after it.

    `path` (n, F, d); `half` frames before and after, the frame itself belongs to both. The outputs (n, F) are left as
    they are where a side has fewer frames.
    """
    n_frames = path.shape[1]
    dimension = path.shape[2]
    number = half + 1.0
    sums = np.zeros((n_frames + 1, dimension + 1))
    mean = np.empty(dimension)
    for i in range(path.shape[0]):
        # counted from the mean, so that differences of sums are exact
        for d in range(dimension):
            mean[d] = 0.0
            for f in range(n_frames):
                mean[d] += path[i, f, d] / n_frames
            for f in range(n_frames):
                sums[f + 1, d] = sums[f, d] + path[i, f, d] - mean[d]
        for f in range(n_frames):
            square = 0.0
            for d in range(dimension):
                x = path[i, f, d] - mean[d]
                square += x * x
            sums[f + 1, dimension] = sums[f, dimension] + square
        for f in range(half, n_frames - half):
            # the mean square distance from the other side's mean: the variance, and the distance of the means
            before = (sums[f + 1, dimension] - sums[f - half, dimension]) / number
            after = (sums[f + half + 1, dimension] - sums[f, dimension]) / number
            apart = 0.0
            for d in range(dimension):
                a = (sums[f + 1, d] - sums[f - half, d]) / number
                b = (sums[f + half + 1, d] - sums[f, d]) / number
                before -= a * a
                after -= b * b
                apart += (b - a) * (b - a)
            p_hop[i, f] = np.sqrt((max(before, 0.0) + apart) * (max(after, 0.0) + apart))
            jump[i, f] = np.sqrt(apart)


@kernel
def label_hops(p_hop, threshold, hop):
    """Set `hop` at the largest `p_hop` of each run of frames in which it is above the threshold, both (n, F)."""
    for i in range(p_hop.shape[0]):
        best = -1
        for f in range(p_hop.shape[1]):
            if p_hop[i, f] > threshold:
                if best < 0 or p_hop[i, f] > p_hop[i, best]:
                    best = f
            elif best >= 0:
                hop[i, best] = True
                best = -1
        if best >= 0:
            hop[i, best] = True


@kernel
def _image2(a, b, g, box):
    """Square of the vector with the fractional components a, b, g."""
    x = a * box[0, 0] + b * box[1, 0] + g * box[2, 0]
    y = a * box[0, 1] + b * box[1, 1] + g * box[2, 1]
    z = a * box[0, 2] + b * box[1, 2] + g * box[2, 2]
    return x * x + y * y + z * z


@kernel
def count_kept(centers, offsets, index, species, later, box, inverse, cutoff2, kept):
    """Neighbours that are still closer than the cutoff of their pair: `kept` (C,).

    `centers` (C,), `offsets` (C + 1,), `index` (P,): neighbours at the beginning. `later` (N, 3) positions afterwards
    in the periodic `box` (3, 3), of which `inverse` (3, 3) is the inverse; the shortest image counts. `cutoff2` (S, S).
    """
    for c in range(centers.shape[0]):
        i = centers[c]
        number = 0
        for k in range(offsets[c], offsets[c + 1]):
            j = index[k]
            dx = later[j, 0] - later[i, 0]
            dy = later[j, 1] - later[i, 1]
            dz = later[j, 2] - later[i, 2]
            a = dx * inverse[0, 0] + dy * inverse[1, 0] + dz * inverse[2, 0]
            b = dx * inverse[0, 1] + dy * inverse[1, 1] + dz * inverse[2, 1]
            g = dx * inverse[0, 2] + dy * inverse[1, 2] + dz * inverse[2, 2]
            a -= np.floor(a + 0.5)
            b -= np.floor(b + 0.5)
            g -= np.floor(g + 0.5)
            limit = cutoff2[species[i], species[j]]
            near = _image2(a, b, g, box) < limit
            if not near:
                # in a skewed cell the shortest image may be the next one
                for u in range(-1, 2):
                    for v in range(-1, 2):
                        for w in range(-1, 2):
                            near |= _image2(a + u, b + v, g + w, box) < limit
            number += near
        kept[c] = number
