"""Memory that is used again."""

from __future__ import annotations

import math

import numpy as np


class Scratch:
    """Room for arrays that live for a batch of neighbours, by the name of their purpose.

    It belongs to one call, a task, and goes from frame to frame with the `Configuration`: no two threads have the same.
    Workers of dask give every freed array above 128 kB back to the system at once, and a new one then costs a page
    fault for each 4 kB: a fifth of the time of the kernels.

    Examples
    --------
    >>> scratch = Scratch()
    >>> weights = scratch("weights", 2, 3)
    >>> np.shares_memory(scratch("weights", 4), weights), np.shares_memory(scratch("features", 4), weights)
    (True, False)
    """

    def __init__(self) -> None:
        self._rooms: dict[str, np.ndarray] = {}
        # index and vector of the last search of neighbours, unless a search has them now
        self.pairs: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, purpose: str, *shape: int) -> np.ndarray:
        """An array of floats with whatever the last one of this purpose left in it, which must no longer be in use."""
        size = math.prod(shape)
        room = self._rooms.get(purpose)
        if room is None or size > len(room):
            room = self._rooms[purpose] = np.empty(size + size // 4)
        return room[:size].reshape(shape)
