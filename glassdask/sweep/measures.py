"""What the stage *correlate* computes of one trajectory: structure, relaxation, structure against propensity."""

from __future__ import annotations

import numpy as np
import xarray as xr

from glassdask.correlations import first_peak_wavenumber, radial_distribution, structure_factor
from glassdask.dynamics import diffusion_coefficient, relaxation_time, self_correlations
from glassdask.errors import StoreError
from glassdask.graphs import compute
from glassdask.learning import pearson
from glassdask.neighborhood.boxes import mean_spacing
from glassdask.store import open_descriptors, open_reduction, open_trajectory
from glassdask.store.groups import attributes, is_group
from glassdask.sweep.state import ENSEMBLE
from glassdask.variables import annotated

BINS = 300  # of g(r)
K_MAX = 4.0 * np.pi  # of S(k), over the mean spacing: about twice the wave number of the first peak


def structure(path: str) -> xr.Dataset:
    """`radial_distribution`, `structure_factor` and energies of a stored trajectory.

    ``energy`` (frame) is the mean energy of a particle and ``inherent_energy`` (frame) that of the inherent structures
    below `path`, each where it is stored.
    """
    trajectory = open_trajectory(path)
    k_max = K_MAX / mean_spacing(trajectory)
    pairs, modes = radial_distribution(trajectory, n_bins=BINS), structure_factor(trajectory, k_max=k_max)
    # every array is two files and more: a sweep has thousands of states
    found = xr.merge([pairs[["g", "g_total"]], modes.drop_vars(["S_error", "S_total_error"])])
    found = found.drop_vars("r_edge", errors="ignore")
    sources = {"energy": trajectory}
    if is_group(f"{path}/inherent"):
        sources["inherent_energy"] = open_trajectory(f"{path}/inherent")
    for name, source in sources.items():
        if "energy" in source:
            found[name] = compute(source["energy"].mean("particle"))[0].drop_vars("time", errors="ignore")
    return annotated(found)


def relaxation(path: str, k: float | None) -> xr.Dataset:
    """`self_correlations` at k, the first peak of the stored S(k) unless it is given, with what the curves tell.

    That is the `relaxation_time` and the `diffusion_coefficient`. ``k`` is the wave number. Of a trajectory without
    times, or of one frame, ``tau_total`` is NaN and there is no curve.
    """
    if k is None:
        k = first_peak_wavenumber(*compute(open_reduction(path, "structure")))
    trajectory = open_trajectory(path)
    if "time" not in trajectory or trajectory.sizes["frame"] < 2:
        return annotated(xr.Dataset({"k": k, "tau_total": np.nan, "tau_total_error": np.nan}))
    curves = self_correlations(trajectory, k=k)
    kept = [name for name in curves if str(name).startswith("fs") or name in ("msd_total", "alpha2_total")]
    diffusion = diffusion_coefficient(curves)
    diffusion = diffusion[[name for name in diffusion if str(name).startswith("diffusion")]]
    return annotated(xr.merge([curves[kept], relaxation_time(curves), diffusion]).assign(k=k))


def ensemble_key(path: str) -> str:
    """What identifies the isoconfigurational ensemble of a state."""
    found = attributes(f"{path}/{ENSEMBLE}")
    return str(found.get("parameters", {}).get("key", found.get("key")))  # of a simulation: wherever it lies


def propensity(path: str, described: str, descriptors: list[str], reductions: list[str]) -> xr.Dataset:
    """|R| of every principal component and descriptor column with the propensity <|r(t) - r(0)|^2>, at every lag.

    Parameters
    ----------
    path : str
        The state, with its ensemble below it.
    described : str
        The store with the descriptors and reductions of the same frames.
    descriptors, reductions : list of str
        Names of those that are correlated.

    Returns
    -------
    xarray.Dataset
        ``pearson`` (species, column, lag), NaN for species that are no centres and for columns that do not vary;
        coordinates ``column``, such as "sbo PC1" or "sbo 3" (counted from 1 through all features), and ``descriptor``
        (column). ``particles`` (species): rows that were correlated.
    """
    start = f"{path}/{ENSEMBLE.split('/')[0]}"
    found = open_reduction(start, "isoconfigurational")
    target = _values(found["propensity"].sel(power=2).transpose("particle", "lag"))
    frame = _frame_of(start, path)
    columns, names, owners = [], [], []
    for name in reductions:
        values = _values(open_reduction(described, name)["projection"].isel(frame=frame))
        columns.append(values)
        names += [f"{name} PC{k}" for k in range(1, values.shape[1] + 1)]
        owners += [name] * values.shape[1]
    for name in descriptors:
        values = _values(open_descriptors(described, [name])[name].isel(frame=frame))
        columns.append(values.reshape(len(values), -1))
        names += [f"{name} {k}" for k in range(1, columns[-1].shape[1] + 1)]
        owners += [name] * columns[-1].shape[1]
    species = np.asarray(open_trajectory(path)["species"].values)
    kinds = np.unique(species)
    r = np.full((len(kinds), len(names), target.shape[1]), np.nan)
    count = np.zeros(len(kinds), dtype=np.int64)
    matrix = np.concatenate(columns, axis=1)
    for k, kind in enumerate(kinds):
        rows = (species == kind) & ~np.isnan(matrix).any(axis=1)
        count[k] = rows.sum()
        if count[k] > 2:
            r[k] = np.abs(pearson(matrix[rows], target[rows]))
    lag = found["lag"].values
    coords = {"species": kinds.astype(str), "column": names, "descriptor": ("column", owners), "lag": lag}
    variables = {"pearson": (("species", "column", "lag"), r), "particles": ("species", count)}
    return annotated(xr.Dataset(variables, coords=coords))


def _values(array: xr.DataArray) -> np.ndarray:
    values: np.ndarray = compute(array.data)[0]
    return values


def _frame_of(start: str, path: str) -> int:
    """The frame of a trajectory that an ensemble starts from."""
    own = _values(open_trajectory(start)["position"][0])
    trajectory = open_trajectory(path)["position"]
    for frame in range(trajectory.sizes["frame"] - 1, -1, -1):  # usually the last
        if np.array_equal(_values(trajectory[frame]), own):
            return frame
    raise StoreError(f"{start}: starts from no frame of {path}: its propensity says nothing about these structures")
