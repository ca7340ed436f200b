"""Trajectories and looks at files that the tests of the store share."""

import numpy as np

from glassdask.schema import from_arrays


def make_trajectory(n_frames=7, n_particles=30, dimension=3, seed=0, species=("A", "B"), triclinic=False, **optional):
    """Random particles in a box that changes from frame to frame."""
    rng = np.random.default_rng(seed)
    box = np.eye(dimension) * rng.uniform(4, 5, (n_frames, 1, dimension))
    if triclinic:
        box += np.tril(rng.uniform(-1, 1, (n_frames, dimension, dimension)), -1)
    fraction = rng.random((n_frames, n_particles, dimension))
    names = np.array(species)[np.arange(n_particles) % len(species)]
    return from_arrays(np.einsum("fpa,fas->fps", fraction, box), species=names, box=box, **optional)


def chunk_files(store):
    """Content of all chunk files, by path inside the store."""
    return {str(file.relative_to(store)): file.read_bytes() for file in sorted(store.rglob("c/**/*")) if file.is_file()}
