"""Numba kernels: arrays in, arrays out, one configuration. No xarray, no dask, no strings, no exceptions.

Every kernel writes into arrays that its caller owns. Kernels see three dimensions only: a two-dimensional system is
embedded at z = 0 in a box whose height exceeds twice the cutoff.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from glassdask.kernels.cache import remember

FASTMATH: Any = {"contract", "reassoc", "nsz", "arcp"}
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call, and keep what was compiled.

    `nnan` and `ninf` stay out: a particle without neighbours gives 0/0 = NaN on purpose. One thread per task: dask
    brings the parallelism, so the GIL is released and `parallel` is off.

    Kernels that others call become part of these. Of a function that is called there are two machine codes, its own
    and one made again with its caller: which of them runs would depend on whether the caller was compiled in this
    process or read from the cache, and with it the order of sums and the last bit.
    """
    return remember(njit(**OPTIONS, fastmath=FASTMATH, forceinline=True)(function))


def inlined(function: Callable[..., Any]) -> Any:
    """A kernel that becomes part of those that call it before their types are known.

    So it is compiled with each of them, and not once more for itself: half of the time that the largest take.
    """
    return remember(njit(**OPTIONS, fastmath=FASTMATH, inline="always")(function))


def exact_kernel(function: Callable[..., Any]) -> Any:
    """A kernel whose additions and products are rounded one by one, as they are written.

    It says so itself: what a function leaves open, it has from the kernel that happens to be compiled with it first.
    """
    return remember(njit(**OPTIONS, fastmath=False, forceinline=True)(function))


__all__ = ["exact_kernel", "inlined", "kernel"]
