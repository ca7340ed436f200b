"""Zarr stores: create, open, append, verify, resume, provenance.

A store is a Zarr 3 group for each state point. Its arrays are the variables of `glassdask.schema`;
`descriptors/NAME` and `reductions/NAME` are groups below it. Every chunk is a file that ends with a crc32c of its
compressed content and is put in place at once; a chunk that should exist and does not is an error, never a fill
value.
"""

from glassdask.store.arrays import chunk_exists, content_hash, create_array, finish, write_region
from glassdask.store.checks import info, verify
from glassdask.store.groups import create_group, remove_group, set_attributes
from glassdask.store.identity import identity
from glassdask.store.layout import chunks_of, frame_blocks, trajectory_layout
from glassdask.store.reading import open_descriptors, open_reduction, open_trajectory
from glassdask.store.stored import in_frames, stored_source
from glassdask.store.writing import create_trajectory, save_trajectory, write_dataset, write_datasets

__all__ = [
    "chunk_exists",
    "chunks_of",
    "content_hash",
    "create_array",
    "create_group",
    "create_trajectory",
    "finish",
    "frame_blocks",
    "identity",
    "in_frames",
    "info",
    "open_descriptors",
    "open_reduction",
    "open_trajectory",
    "remove_group",
    "save_trajectory",
    "set_attributes",
    "stored_source",
    "trajectory_layout",
    "verify",
    "write_dataset",
    "write_datasets",
    "write_region",
]


def __dir__() -> list[str]:
    """What is public, and no module that it stands in."""
    return __all__
