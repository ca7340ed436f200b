"""Processes that start sooner."""

from __future__ import annotations

import gc
import threading

RESTING = 5.0  # seconds in which most processes have imported, and compiled, what they need


def rest() -> None:
    """Let Python look for garbage in this process, which must be all our own, only after its start.

    It looks again and again among all that imports and numba make: a fifth of the time of a short command, a seventh
    of that until a worker works.
    """
    gc.disable()
    waking = threading.Timer(RESTING, gc.enable)
    waking.daemon = True
    waking.start()
