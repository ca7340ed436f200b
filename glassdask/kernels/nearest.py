"""Which of a centre's candidates are its neighbours, when no fixed distance says so."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel


@kernel
def sort_by_distance(offsets, index, distance, limit, order):
    """Slots of each centre's `limit` nearest candidates, nearest first, in the first entries of its part of `order`.

    Candidates at the same distance are put in the order of their `index`. `offsets` (C + 1,), `index` and `distance`
    (P,); output `order` (P,).
    """
    for c in range(offsets.shape[0] - 1):
        begin = offsets[c]
        filled = begin
        for slot in range(begin, offsets[c + 1]):
            d = distance[slot]
            j = index[slot]
            place = filled
            while place > begin:
                other = order[place - 1]
                if distance[other] < d or (distance[other] == d and index[other] < j):
                    break
                place -= 1
            if place - begin >= limit:
                continue
            filled = min(filled + 1, begin + limit)
            for k in range(filled - 1, place, -1):
                order[k] = order[k - 1]
            order[place] = slot


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
