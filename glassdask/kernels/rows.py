"""Rings with their spindles as rows of seven: who is in them, what two of them share, what they make members.

A row has the particles of a ring of three to five, then up to two spindles, -1 where there is none. ``start`` and
``near`` list who is bound to whom, both ways.
"""

from __future__ import annotations

from glassdask.kernels import kernel


@kernel
def bound(i, j, start, near):
    """Whether two particles are bound to each other."""
    for e in range(start[i], start[i + 1]):  # noqa: SIM110  (a generator is slow here)
        if near[e] == j:
            return True
    return False


@kernel
def has(row, first, last, i):
    """Whether i is in the columns from `first` to before `last`."""
    for k in range(first, last):  # noqa: SIM110
        if row[k] == i:
            return True
    return False


@kernel
def common(row, other):
    """How many particles two rings share."""
    n = 0
    for k in range(5):
        if row[k] >= 0 and has(other, 0, 5, row[k]):
            n += 1
    return n


@kernel
def other_spindle(row, s):
    """Of two spindles the one that is not s."""
    return row[6] if row[5] == s else row[5]


@kernel
def mark(row, column, out):
    """All of a ring and its spindles belong to a cluster."""
    for k in range(7):
        if row[k] >= 0:
            out[row[k], column] = True


@kernel
def mark_both(row, other, column, out):
    """All of two rings and their spindles do."""
    mark(row, column, out)
    mark(other, column, out)
