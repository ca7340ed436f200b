"""A map of some particles on which those with a similar structure are neighbours."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, Where, Whole, converted, flags
from glassdask.descriptors.features import is_center, one_descriptor
from glassdask.errors import ParameterError
from glassdask.graphs import compute
from glassdask.variables import annotated

FEWEST = 10
Samples = Annotated[int, Where(lambda n: n >= FEWEST, f"a whole number of at least {FEWEST}")]


def embed(
    features: xr.DataArray, *, n_samples: int = 2000, perplexity: float = 30.0, scale: bool = False, seed: int = 0
) -> xr.Dataset:
    """A map in the plane of some particles, t-SNE, for a look: similar particles are neighbours on it.

    L. van der Maaten and G. Hinton, J. Mach. Learn. Res. 9, 2579 (2008), by scikit-learn, from the first 50 principal
    components. Distances between groups and their sizes mean nothing: look whether there are groups at all, and
    whether those that `classify` finds are some.

    Parameters
    ----------
    features : xarray.DataArray (frame, particle, features...)
        Lazy or in memory; or a dataset of `describe` with this one variable.
    n_samples : int
        Particles that are drawn at random from the central particles of all frames; a few thousand take a minute.
    perplexity : float
        Roughly how many neighbours each particle has on the map.
    scale : bool
        Divide each feature by its standard deviation first.
    seed : int
        Of the choice of particles.

    Returns
    -------
    xarray.Dataset
        ``embedding`` (sample, coordinate), of no unit, with the coordinates ``frame`` and ``particle`` of each sample,
        so that ``values.isel(frame=found.frame, particle=found.particle)`` are the values to colour it by. Particles
        with a NaN are left out.

    Raises
    ------
    ParameterError
        Fewer than 10 particles, or not more than the perplexity, have features without NaN; or all are the same.

    Examples
    --------
    >>> import glassdask as gd
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=(2, 60, 3)) + 9.0 * (np.arange(60) % 2)[:, None]
    >>> features = xr.DataArray(x, dims=("frame", "particle", "feature"), name="x")
    >>> found = gd.embed(features, n_samples=50, perplexity=10)
    >>> found["embedding"].shape, found["frame"].dims
    ((50, 2), ('sample',))
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    flags(scale=scale)
    features = one_descriptor(features)
    n_samples = converted(n_samples, Samples, "n_samples")
    perplexity = converted(perplexity, Positive, "perplexity")
    seed = converted(seed, Whole, "seed")
    frame, particle = _chosen(features, n_samples, seed)
    where = {"frame": xr.DataArray(frame, dims="sample"), "particle": xr.DataArray(particle, dims="sample")}
    rows = np.asarray(compute(features.isel(where).data)[0], dtype=np.float64).reshape(len(frame), -1)
    kept = np.asarray(np.isfinite(rows).all(axis=1))
    rows, frame, particle = rows[kept], frame[kept], particle[kept]
    if len(rows) < FEWEST or len(rows) <= perplexity:
        raise ParameterError(
            f"{len(rows)} of {len(kept)} particles have features without NaN, but a map with the perplexity "
            f"{perplexity:g} needs at least {max(FEWEST, int(perplexity) + 1)}: take more samples or a lower one"
        )
    if (rows == rows[0]).all():
        raise ParameterError(f"all {len(rows)} particles have the same {features.name}: there is nothing to map")
    rows = rows - rows.mean(axis=0)
    if scale:
        deviation = rows.std(axis=0)
        rows = rows / np.where(deviation > 0, deviation, 1.0)
    if rows.shape[1] > 50:
        rows = PCA(n_components=min(50, len(rows)), random_state=seed).fit_transform(rows)
    found: Any = TSNE(perplexity=perplexity, random_state=seed, init="pca" if rows.shape[1] > 1 else "random")
    places = found.fit_transform(rows).astype(np.float64)
    coords = {"frame": ("sample", frame), "particle": ("sample", particle)}
    attrs = {"features": str(features.name)}
    return annotated(xr.Dataset({"embedding": (("sample", "coordinate"), places)}, coords=coords, attrs=attrs))


def _chosen(features: xr.DataArray, n_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames and particles of some centres, in order."""
    inside = is_center(features)
    inside = np.broadcast_to(inside, (features.sizes["frame"], features.sizes["particle"]))
    places = np.flatnonzero(inside)
    chosen = np.sort(np.random.default_rng(seed).choice(places, min(n_samples, len(places)), replace=False))
    return np.divmod(chosen, features.sizes["particle"])
