"""Which of a centre's candidates are its neighbours, when no fixed distance says so."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel


@kernel
def sort_by_distance(offsets, index, distance, first, nearest, order):
    """Slots of each centre's candidates, nearest first, in its part of `order`.

    Candidates at the same distance are put in the order of their `index`. `offsets` (C + 1,), `index` and `distance`
    (P,); output `order` (P,). They are put into bins of equal volume before, so that few change their places. Scratch:
    `first` (bins + 1,), `nearest`, as many as the longest list has.
    """
    for c in range(offsets.shape[0] - 1):
        begin = offsets[c]
        n = offsets[c + 1] - begin
        furthest = 0.0
        for slot in range(begin, begin + n):
            furthest = max(furthest, distance[slot])
        inverse = 1.0 / furthest if furthest > 0.0 else 0.0
        bins = min(n, first.shape[0] - 1)
        most = bins * (1.0 - 1e-9)
        for b in range(bins + 1):
            first[b] = 0
        for slot in range(begin, begin + n):
            u = distance[slot] * inverse
            first[int(u * u * u * most) + 1] += 1
        for b in range(bins):
            first[b + 1] += first[b]
        for slot in range(begin, begin + n):
            u = distance[slot] * inverse
            b = int(u * u * u * most)
            place = first[b]
            first[b] = place + 1
            nearest[place] = distance[slot]
            order[begin + place] = slot
        for k in range(1, n):
            d = nearest[k]
            slot = order[begin + k]
            place = k
            while place > 0 and nearest[place - 1] >= d:
                if nearest[place - 1] == d and index[order[begin + place - 1]] < index[slot]:
                    break
                nearest[place] = nearest[place - 1]
                order[begin + place] = order[begin + place - 1]
                place -= 1
            nearest[place] = d
            order[begin + place] = slot


@kernel
def keep_first(offsets, order, rows, counts, index, vector, kept_offsets, kept_index, kept_vector):
    """The first ``counts[c]`` candidates in `order` of each centre c of the `rows`, as lists of their own."""
    n = 0
    kept_offsets[0] = 0
    for k in range(rows.shape[0]):
        c = rows[k]
        for slot in range(offsets[c], offsets[c] + counts[k]):
            p = order[slot]
            kept_index[n] = index[p]
            for axis in range(4):
                kept_vector[axis, n] = vector[axis, p]
            n += 1
        kept_offsets[k + 1] = n


@kernel
def count_solid_angle(offsets, distance, radius, counts):
    """SANN in three dimensions: smallest m >= 3 with sum_{j <= m} r_j / (m - 2) <= r_{m+1}.

    `distance` (P,) sorted for each centre; of those that are not among its candidates nothing is known but that they
    are not closer than `radius` (C,). Output `counts` (C,): m, or -1 where the candidates do not decide.
    """
    for c in range(counts.shape[0]):
        begin = offsets[c]
        end = offsets[c + 1]
        total = 0.0
        counts[c] = -1
        for slot in range(begin, end):
            total += distance[slot]
            m = slot - begin + 1
            following = min(distance[slot + 1], radius[c]) if slot + 1 < end else radius[c]
            if m >= 3 and total <= (m - 2) * following:
                counts[c] = m
                break


@kernel
def count_plane_angle(offsets, distance, radius, counts):
    """SANN in two dimensions: smallest m >= 3 with sum_{j <= m} arccos(r_j / r_{m+1}) >= pi; see `count_solid_angle`.

    The shell radius R(m) solves sum_{j <= m} arccos(r_j / R) = pi. The sum grows with R, so R(m) <= r_{m+1} needs no
    root. On the square lattice R(4) is r_5 itself, so the comparison forgives rounding.
    """
    for c in range(counts.shape[0]):
        begin = offsets[c]
        end = offsets[c + 1]
        counts[c] = -1
        for slot in range(begin, end):
            m = slot - begin + 1
            following = min(distance[slot + 1], radius[c]) if slot + 1 < end else radius[c]
            if m < 3:
                continue
            angle = 0.0
            for j in range(begin, slot + 1):
                # the ratio is 0 / 0 when m + 1 particles sit on one point: each then counts as seen edge-on
                ratio = distance[j] / following if following > 0.0 else 0.0
                angle += np.arccos(min(ratio, 1.0))
            if angle >= np.pi * (1.0 - 1e-12):
                counts[c] = m
                break
