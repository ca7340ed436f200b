"""Zarr stores: create, open, append, verify, resume, provenance.

A store is a Zarr 3 group for each state point. Its arrays are the variables of `glassdask.schema`;
`descriptors/NAME` and `reductions/NAME` are groups below it. Every chunk is a file that ends with a crc32c of its
compressed content and is put in place at once; a chunk that should exist and does not is an error, never a fill
value.

Names are imported on first use, so that what a store says of itself is read without dask and xarray.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
