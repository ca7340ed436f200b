"""Numba kernels: arrays in, arrays out, one configuration. No xarray, no dask, no strings, no exceptions.

Every kernel writes into arrays that its caller owns. Kernels see three dimensions only: a two-dimensional system is
embedded at z = 0 in a box whose height exceeds twice the cutoff.
"""

from __future__ import annotations

from numba import njit

# `nnan` and `ninf` stay out: a particle without neighbours gives 0/0 = NaN on purpose. One thread per task: dask brings
# the parallelism, so the GIL is released and `parallel` is off.
kernel = njit(
    nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz", "arcp"}, error_model="numpy", boundscheck=False
)

__all__ = ["kernel"]
