"""Cell lists: who is within a cutoff of whom, in any periodic cell.

The particles are sorted by cell together with the periodic images that a cutoff can reach ("ghosts"), so that the
search itself knows nothing about periodicity: it reads nine contiguous runs of three cells and compares distances.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.simd import LANES, load, positions_below


class CellLists(NamedTuple):
    """Particles and their ghosts, in the order of the padded cells in which they lie."""

    cell: np.ndarray  # (N,) padded cell of each particle
    n_cells: np.ndarray  # (3,) cells that tile the box; one more layer on each side holds the ghosts
    starts: np.ndarray  # (padded cells + 1,) first slot of each padded cell
    xyz: np.ndarray  # (3, slots and a vector that may be read behind them)
    particle: np.ndarray  # (slots,)
    kind: np.ndarray  # (slots,) species of that particle


@kernel
def any_outside(position, inverse, slack):
    """Whether a fractional coordinate is below -`slack` or above 1 + `slack`."""
    for i in range(position.shape[0]):
        x = position[i, 0]
        y = position[i, 1]
        z = position[i, 2]
        for a in range(3):
            fraction = x * inverse[0, a] + y * inverse[1, a] + z * inverse[2, a]
            if fraction < -slack or fraction > 1.0 + slack:
                return True
    return False


@kernel
def count_particles(position, inverse, n_cells, cell, counts):
    """Padded cell of each particle, and the population of each padded cell with its ghosts.

    `n_cells` (3,) cells that tile the box; one more layer on each side holds the ghosts. `cell` (N,) and `counts`
    (padded cells,) are outputs, `counts` zeroed by the caller. Returns the number of particles and ghosts together.
    """
    total = 0
    pad_y = n_cells[1] + 2
    pad_z = n_cells[2] + 2
    for i in range(position.shape[0]):
        x = position[i, 0]
        y = position[i, 1]
        z = position[i, 2]
        ix = int((x * inverse[0, 0] + y * inverse[1, 0] + z * inverse[2, 0]) * n_cells[0])
        iy = int((x * inverse[0, 1] + y * inverse[1, 1] + z * inverse[2, 1]) * n_cells[1])
        iz = int((x * inverse[0, 2] + y * inverse[1, 2] + z * inverse[2, 2]) * n_cells[2])
        # rounding may put a wrapped particle a hair outside
        ix = 0 if ix < 0 else n_cells[0] - 1 if ix >= n_cells[0] else ix
        iy = 0 if iy < 0 else n_cells[1] - 1 if iy >= n_cells[1] else iy
        iz = 0 if iz < 0 else n_cells[2] - 1 if iz >= n_cells[2] else iz
        cell[i] = ((ix + 1) * pad_y + iy + 1) * pad_z + iz + 1
        # images in the layer of ghosts are those of the first and the last cell
        for sx in range(-int(ix >= n_cells[0] - 1), 1 + int(ix <= 0)):
            cx = ix + sx * n_cells[0]
            for sy in range(-int(iy >= n_cells[1] - 1), 1 + int(iy <= 0)):
                cy = iy + sy * n_cells[1]
                for sz in range(-int(iz >= n_cells[2] - 1), 1 + int(iz <= 0)):
                    cz = iz + sz * n_cells[2]
                    counts[((cx + 1) * pad_y + cy + 1) * pad_z + cz + 1] += 1
                    total += 1
    return total


@kernel
def sort_particles(position, species, box, lists):
    """Put particles and ghosts in the order of their padded cells: fills `xyz`, `index` and `kind` of the `lists`."""
    cell, n_cells, starts, xyz, index, kind = lists
    pad_y = n_cells[1] + 2
    pad_z = n_cells[2] + 2
    for i in range(position.shape[0]):
        iz = cell[i] % pad_z - 1
        iy = (cell[i] // pad_z) % pad_y - 1
        ix = cell[i] // (pad_z * pad_y) - 1
        # images in the layer of ghosts are those of the first and the last cell
        for sx in range(-int(ix >= n_cells[0] - 1), 1 + int(ix <= 0)):
            cx = ix + sx * n_cells[0]
            for sy in range(-int(iy >= n_cells[1] - 1), 1 + int(iy <= 0)):
                cy = iy + sy * n_cells[1]
                for sz in range(-int(iz >= n_cells[2] - 1), 1 + int(iz <= 0)):
                    cz = iz + sz * n_cells[2]
                    target = ((cx + 1) * pad_y + cy + 1) * pad_z + cz + 1
                    slot = starts[target]
                    starts[target] = slot + 1
                    xyz[0, slot] = position[i, 0] + sx * box[0, 0] + sy * box[1, 0] + sz * box[2, 0]
                    xyz[1, slot] = position[i, 1] + sx * box[0, 1] + sy * box[1, 1] + sz * box[2, 1]
                    xyz[2, slot] = position[i, 2] + sx * box[0, 2] + sy * box[1, 2] + sz * box[2, 2]
                    index[slot] = i
                    kind[slot] = species[i]
    # each start has walked to the next cell's: walk back
    for target in range(starts.shape[0] - 1, 0, -1):
        starts[target] = starts[target - 1]
    starts[0] = 0


@kernel
def find_neighbors(centers, position, species, lists, cutoff2, offsets, neighbor, vector):
    """Neighbours of `centers` closer than the cutoff of their pair of species, by the cell `lists`.

    `cutoff2` (S, S) squared cutoffs. Outputs: `offsets` (C + 1,), `neighbor` (capacity,) 32-bit indices, `vector`
    (4, capacity) x, y, z of r_j - r_i and the distance. Returns the number of centres that were done: fewer than C when
    the buffers are full.
    """
    cell, n_cells, starts, xyz, index, kind = lists
    pad_y = n_cells[1] + 2
    pad_z = n_cells[2] + 2
    capacity = neighbor.shape[0]
    offsets[0] = 0
    n = 0
    for c in range(centers.shape[0]):
        i = centers[c]
        xi = position[i, 0]
        yi = position[i, 1]
        zi = position[i, 2]
        within = cutoff2[species[i]]
        reach = 0.0
        for s in range(within.shape[0]):
            reach = within[s] if within[s] > reach else reach
        for dx in range(3):
            for dy in range(3):
                row = cell[i] + ((dx - 1) * pad_y + dy - 1) * pad_z - 1
                begin = starts[row]
                end = starts[row + 3]
                if n + end - begin + LANES > capacity:
                    return c
                for slot in range(begin, end, LANES):
                    rx = load(xyz, 0, slot) - xi
                    ry = load(xyz, 1, slot) - yi
                    rz = load(xyz, 2, slot) - zi
                    d2 = rx * rx + ry * ry + rz * rz
                    n = positions_below(d2, reach, min(end - slot, LANES), slot, neighbor, n)
        kept = offsets[c]
        for m in range(offsets[c], n):
            slot = neighbor[m]
            j = index[slot]
            rx = xyz[0, slot] - xi
            ry = xyz[1, slot] - yi
            rz = xyz[2, slot] - zi
            d2 = rx * rx + ry * ry + rz * rz
            # written always, kept only when inside: cheaper than a branch that is taken at random
            neighbor[kept] = j
            vector[0, kept] = rx
            vector[1, kept] = ry
            vector[2, kept] = rz
            vector[3, kept] = np.sqrt(d2)
            kept += (j != i) & (d2 < within[kind[slot]])
        n = kept
        offsets[c + 1] = n
    return centers.shape[0]


@kernel
def find_further(
    box, repeats, origin, inverse, reach, centers, position, species, lists, cutoff2, offsets, neighbor, vector
):
    """What `find_neighbors` gives, of cutoffs of up to `reach` (3,) cells: for few centres, whose search is repeated.

    A place is that many cells from the `origin` (3,) as `inverse` (3, 3) makes of it. Cells beyond the box are those of
    the other side, moved by `box` (3, 3) along the axes that it `repeats` (3,). The neighbours come in another order.
    """
    _, n_cells, starts, xyz, index, kind = lists
    pad_y = n_cells[1] + 2
    pad_z = n_cells[2] + 2
    offsets[0] = 0
    n = 0
    for c in range(centers.shape[0]):
        i = centers[c]
        within = cutoff2[species[i]]
        xi = position[i, 0] - origin[0]
        yi = position[i, 1] - origin[1]
        zi = position[i, 2] - origin[2]
        # where it lies in its own cell decides which others are in reach: fewer than half of those beside each other
        at_x = xi * inverse[0, 0] + yi * inverse[1, 0] + zi * inverse[2, 0]
        at_y = xi * inverse[0, 1] + yi * inverse[1, 1] + zi * inverse[2, 1]
        at_z = xi * inverse[0, 2] + yi * inverse[1, 2] + zi * inverse[2, 2]
        for x in range(int(np.floor(at_x - reach[0])), int(np.floor(at_x + reach[0])) + 1):
            sx = x // n_cells[0]
            if sx != 0 and not repeats[0]:
                continue
            for y in range(int(np.floor(at_y - reach[1])), int(np.floor(at_y + reach[1])) + 1):
                sy = y // n_cells[1]
                if sy != 0 and not repeats[1]:
                    continue
                for z in range(int(np.floor(at_z - reach[2])), int(np.floor(at_z + reach[2])) + 1):
                    sz = z // n_cells[2]
                    if sz != 0 and not repeats[2]:
                        continue
                    row = (x - sx * n_cells[0] + 1) * pad_y + y - sy * n_cells[1] + 1
                    target = row * pad_z + z - sz * n_cells[2] + 1
                    begin = starts[target]
                    end = starts[target + 1]
                    if n + end - begin > neighbor.shape[0]:
                        return c
                    for slot in range(begin, end):
                        rx = xyz[0, slot] + (sx * box[0, 0] + sy * box[1, 0] + sz * box[2, 0]) - position[i, 0]
                        ry = xyz[1, slot] + (sx * box[0, 1] + sy * box[1, 1] + sz * box[2, 1]) - position[i, 1]
                        rz = xyz[2, slot] + (sx * box[0, 2] + sy * box[1, 2] + sz * box[2, 2]) - position[i, 2]
                        d2 = rx * rx + ry * ry + rz * rz
                        if d2 < within[kind[slot]] and index[slot] != i:
                            neighbor[n] = index[slot]
                            vector[0, n] = rx
                            vector[1, n] = ry
                            vector[2, n] = rz
                            vector[3, n] = np.sqrt(d2)
                            n += 1
        offsets[c + 1] = n
    return centers.shape[0]
