"""Every variable that glassdask stores or gives out, declared once: dimensions, kind, unit and meaning.

Descriptors are the exception: as other packages bring their own, each declares its variable itself.

Units are those of the model (length sigma, energy epsilon, time sqrt(m sigma^2 / epsilon)) unless the trajectory says
otherwise. To a declared name belong, with the same unit, ``_error``, its standard error, and ``_total``, the same of
all particles alike, without the dimensions of species.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from glassdask.errors import SchemaError

if TYPE_CHECKING:  # the command line reads this module, and xarray with pandas takes longer than all that it says
    import xarray as xr

Data = TypeVar("Data", "xr.Dataset", "xr.DataArray")
SCHEMA_VERSION = 1  # of trajectories and stores
SPECIES = ("species", "species_a", "species_b", "center")


@dataclass(frozen=True)
class Variable:
    """What a variable is.

    Attributes
    ----------
    dims : tuple of str
        Its dimensions; ``...`` at the end stands for those of features, or of what a function was given.
    kind : str
        Of the NumPy dtype.
    unit : str
        None where it depends on what was asked for; then the variable says it itself.
    meaning : str
        What it is, in a few words.
    required : bool, default False
        Whether every trajectory has it.
    lacking : tuple of str, optional
        Those of its dimensions that it may be without.
    also : tuple of str, optional
        Others that it may have.
    """

    dims: tuple[str, ...]
    kind: str
    unit: str | None
    meaning: str
    required: bool = False
    lacking: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def attrs(self) -> dict[str, str]:
        """Unit and meaning, as arrays have them."""
        return {"units": self.unit or "", "long_name": self.meaning}

    def misfit(self, found: xr.Variable) -> str | None:
        """What is other than declared: dimensions or dtype."""
        named = set(self.dims) - {"..."}
        missing, unknown = named - set(self.lacking) - set(found.dims), set(found.dims) - named - set(self.also)
        if missing or (unknown and "..." not in self.dims):
            return f"has dimensions {found.dims}, declared are {self.dims}: transpose or rename"
        if found.dtype.kind != self.kind:
            return f"has dtype {found.dtype}, declared is kind '{self.kind}': convert it"
        return None


def _v(dims: str, kind: str, unit: str | None, meaning: str, *, required: bool = False) -> Variable:
    """A declaration; it may lack dimensions in brackets, and also have those in parentheses."""
    names = dims.split()
    also = tuple(name.strip("()") for name in names if name.startswith("("))
    lacking = tuple(name.strip("[]") for name in names if name.startswith("["))
    own = tuple(name.strip("[]") for name in names if not name.startswith("("))
    return Variable(own, kind, unit, meaning, required, lacking, also)


VARIABLES = {
    # trajectories, see `TRAJECTORY`
    "position": _v("frame particle space", "f", "length", "positions in the box, from its corner", required=True),
    "species": _v("(frame) [particle] (species)", "U", "", "name of the species", required=True),
    "box": _v("frame axis space", "f", "length", "cell matrix, rows are the cell vectors", required=True),
    "origin": _v("frame space", "f", "length", "lower corner of the box; zero where it is not there"),
    "image": _v("frame particle axis", "i", "", "unwrapped position = origin + position + image @ box"),
    "velocity": _v("frame particle space", "f", "length/time", "velocities"),
    "energy": _v("[frame] [particle]", "f", "energy", "potential energy of a particle"),
    "time": _v("[frame] (sample)", "f", "time", "time"),
    "strain": _v("[frame] (sample)", "f", "", "shear strain since the shear began"),
    "step": _v("[frame] (sample)", "i", "", "integration step"),
    "id": _v("particle", "i", "", "identifier of each particle in its source"),
    "diameter": _v("(frame) particle", "f", "length", "diameter of a particle"),
    "periodic": _v("axis", "b", "", "whether the box repeats along this cell vector; it does where this is not there"),
    "present": _v("frame particle", "b", "", "whether the particle is in this frame; else its position is NaN"),
    # what a variable runs over
    "axis": _v("axis", "U", "", "cell vector"),
    "space": _v("space", "U", "", "Cartesian component"),
    "space_a": _v("space_a", "U", "", "Cartesian component, the first of two"),
    "space_b": _v("space_b", "U", "", "Cartesian component, the second of two"),
    "species_a": _v("species_a", "U", "", "species of the first particle of a pair"),
    "species_b": _v("species_b", "U", "", "species of the second particle of a pair"),
    "center": _v("center", "U", "", "species of the particle in the middle"),
    "lag": _v("[lag] (delta)", "f", "time", "time between two configurations"),
    "delta": _v("[delta] (lag) ...", "f", "length", "mean distance that particles have moved"),
    "power": _v("[power]", "i", "", "power of the distance that was averaged"),
    "replica": _v("[replica] (sample)", "i", "", "number of the run"),
    "component": _v("component", "i", "", "number of the principal component"),
    "direction": _v("component ...", "f", "", "principal direction in the space of features"),
    "range": _v("range", "U", "", "the lower or the upper part of a curve"),
    "l": _v("l", "i", "", "degree of the spherical harmonics"),
    "neighbor_species": _v("neighbor_species", "U", "", "species of the neighbours"),
    # structure
    "r": _v("[r]", "f", "length", "distance"),
    "r_edge": _v("r_edge", "f", "length", "upper end of the distances"),
    "g": _v("species_a species_b r", "f", "", "radial distribution function"),
    "counts": _v("species_a species_b r", "i", "", "pairs in all frames, the first particle is in the middle"),
    "centers": _v("species_a r", "i", "", "particles of species_a, in all frames, whose neighbours at r were counted"),
    "coordination": _v("species_a species_b r_edge", "f", "", "mean number of neighbours of species_b within r_edge"),
    "k": _v("[k]", "f", "1/length", "wave number"),
    "S": _v("species_a species_b k", "f", "", "structure factor"),
    "S_zero": _v("species_a species_b", "f", "", "structure factor at k = 0"),
    "S_zero_counts": _v("species_a species_b", "f", "", "covariance of the numbers of particles in parts of the box"),
    "compressibility": _v("", "f", "", "rho k_B T chi_T by the structure factor"),
    "compressibility_counts": _v("", "f", "", "rho k_B T chi_T by the numbers of particles in parts of the box"),
    "modes": _v("[k] (q)", "i", "", "wave vectors in all frames"),
    "angle": _v("angle", "f", "degree", "bond angle"),
    "probability": _v("center species_a species_b angle", "f", "1/degree", "distribution of bond angles"),
    "triplets": _v("center species_a species_b angle", "i", "", "triplets in all frames"),
    # fields
    "length": _v("length", "f", "length", "coarse-graining length"),
    "generation": _v("generation", "i", "", "times that the values of neighbours were averaged"),
    "correlation": _v("frame r", "f", "", "spatial correlation, 1 at r = 0"),
    "pairs": _v("frame r", "f", "", "pairs of particles in each bin"),
    "cluster": _v("frame particle", "f", "", "number of the cluster, 0 for the largest"),
    "cluster_size": _v("frame particle", "f", "", "particles of the cluster"),
    "percolation": _v("frame particle", "f", "", "directions in which the cluster meets its own images"),
    "grid": _v("frame grid_x grid_y [grid_z]", "f", "", "density on a grid"),
    "grid_x": _v("grid_x", "f", "", "fraction of the first cell vector"),
    "grid_y": _v("grid_y", "f", "", "fraction of the second cell vector"),
    "grid_z": _v("grid_z", "f", "", "fraction of the third cell vector"),
    # dynamics
    "unwrapped": _v("frame particle space", "f", "length", "positions that do not jump at the faces of the box"),
    "displacement": _v("frame particle space", "f", "length", "displacement since the frame of reference"),
    "replica_displacement": _v("(frame) replica [lag] particle space", "f", "length", "displacement of each replica"),
    "cage_relative": _v("particle space ...", "f", "length", "displacement relative to the cage"),
    "propensity": _v("particle (power) (lag) (delta) ...", "f", None, "mean of |dr|^power over the replicas"),
    "place_in_file": _v("frame particle", "i", "", "number of each particle in its file, from 0"),
    "bond_breaking": _v("frame particle lag", "f", "", "bond-breaking propensity"),
    "initial_position": _v("frame particle space", "f", "length", "positions before the others were made of them"),
    "inherent_position": _v("frame particle space", "f", "length", "positions in the minimum of the energy"),
    "cage_position": _v("frame particle space", "f", "length", "mean positions in the cages"),
    "displacement_from_rest": _v("frame particle lag space", "f", "length", "displacement of those that began at rest"),
    "mean_displacement_from_rest": _v("frame particle lag space", "f", "length", "its mean over times up to the lag"),
    "cage_size_from_rest": _v("frame particle lag", "f", "length^2", "mean square distance from that mean position"),
    "cage_size": _v("frame particle", "f", "length^2", "mean square distance from the mean position"),
    "d2min": _v("particle ...", "f", "length^2", "non-affine square displacement"),
    "d2min_mean": _v("species lag", "f", "length^2", "mean non-affine square displacement"),
    "start": _v("lag origin", "f", "time", "time of the origin"),
    "local_strain": _v("frame particle space_a space_b", "f", "", "Green-Lagrange strain of the best affine map"),
    "neighbors": _v("frame particle", "f", "", "neighbours in the reference"),
    "msd": _v("species lag", "f", "length^2", "mean-square displacement"),
    "particle_msd": _v("particle space lag", "f", "length^2", "mean-square displacement of a particle along an axis"),
    "alpha2": _v("species lag", "f", "", "non-Gaussian parameter"),
    "fs": _v("species lag (k)", "f", "", "self-intermediate scattering function"),
    "overlap": _v("species lag", "f", "", "fraction of the particles that moved less than a"),
    "chi4": _v("species lag", "f", "", "number of particles times the variance of the overlap"),
    "chi4_fs": _v("species lag", "f", "", "number of particles times the variance of F_s"),
    "chi4_within": _v("species lag", "f", "", "part of chi4 from replicas of one configuration"),
    "chi4_between": _v("species lag", "f", "", "part of chi4 from the means of configurations over their replicas"),
    "chi4_f": _v("species_a species_b k lag", "f", "", "number of particles times the variance of F_ab(k, t)"),
    "binder_f": _v("species_a species_b k lag", "f", "", "Binder cumulant of F_ab(k, t)"),
    "chi4_fs_within": _v("species lag", "f", "", "part of chi4_fs from replicas of one configuration"),
    "chi4_fs_between": _v("species lag", "f", "", "part of chi4_fs from the means of configurations"),
    "chi4_nvt": _v("species lag", "f", "", "chi4 of the overlap at constant temperature"),
    "chi4_nvt_fs": _v("species lag", "f", "", "chi4 of F_s at constant temperature"),
    "correction": _v("species lag", "f", "", "part of chi4_nvt from fluctuations of the energy"),
    "correction_fs": _v("species lag", "f", "", "part of chi4_nvt_fs from fluctuations of the energy"),
    "heat_capacity": _v("", "f", "", "heat capacity of a particle at constant volume, over k_B"),
    "binder": _v("species lag", "f", "", "Binder cumulant of the overlap"),
    "binder_fs": _v("species lag", "f", "", "Binder cumulant of F_s"),
    "f": _v("species_a species_b k lag", "f", "", "coherent intermediate scattering function; the S(k) of lag 0"),
    "gs": _v("species r lag", "f", "1/length^d", "self part of the van Hove function"),
    "gd": _v("species_a species_b r lag", "f", "", "distinct part of the van Hove function, 1 without correlations"),
    "collective_overlap": _v("species lag", "f", "", "particles that find a particle within a of their place"),
    "chi4_collective": _v("species lag", "f", "", "number of particles times the variance of the collective overlap"),
    "binder_collective": _v("species lag", "f", "", "Binder cumulant of the collective overlap"),
    "vacf": _v("species lag", "f", "length^2/time^2", "velocity autocorrelation, <v(0).v(t)>"),
    "omega": _v("omega", "f", "1/time", "angular frequency"),
    "skw": _v("species_a species_b k omega", "f", "time", "coherent dynamic structure factor"),
    "skw_self": _v("species k omega", "f", "time", "incoherent dynamic structure factor"),
    "longitudinal": _v(
        "species_a species_b k lag", "f", "length^2/time^2", "autocorrelation of the longitudinal current"
    ),
    "transverse": _v("species_a species_b k lag", "f", "length^2/time^2", "autocorrelation of the transverse current"),
    "vector": _v("r lag", "f", "", "correlation of displacements, 1 at r = 0"),
    "mobility": _v("r lag", "f", "", "correlation of the lengths of displacements, 1 at r = 0"),
    "vector_length": _v("lag", "f", "length", "where the correlation of displacements is 1/e"),
    "mobility_length": _v("lag", "f", "length", "where that of their lengths is 1/e"),
    "stress_tensor": _v("frame space_a space_b", "f", "energy/length^d", "stress tensor, minus the pressure tensor"),
    "modulus": _v("lag", "f", "energy/length^d", "relaxation modulus, from the traceless symmetric stress"),
    "viscosity": _v("lag", "f", "energy time/length^d", "integral of the relaxation modulus up to the lag"),
    "modulus_off_diagonal": _v("lag", "f", "energy/length^d", "relaxation modulus, from the stress off the diagonal"),
    "viscosity_off_diagonal": _v("lag", "f", "energy time/length^d", "integral of that modulus up to the lag"),
    "eta": _v("", "f", "energy time/length^d", "viscosity, where the modulus has decayed to its error"),
    "eta_lag": _v("", "f", "time", "lag at which the viscosity is read off"),
    "diffusion": _v("[species] ...", "f", "length^2/time", "diffusion coefficient"),
    "shortest": _v("[species] ...", "f", "time", "lag from which on motion is diffusive"),
    "xi": _v("", "f", "", "exponent of D ~ tau^-xi"),
    "ratio": _v("state", "f", "", "D tau over that of the first state"),
    "mode": _v("mode", "i", "", "number of the mode of vibration, by frequency"),
    "frequency": _v("mode", "f", "1/time", "angular frequency; negative where its square is"),
    "eigenvalue": _v("mode", "f", "1/time^2", "squared angular frequency"),
    "polarization": _v("mode particle space", "f", "", "displacement times the root of the mass, of square sum 1"),
    "residual": _v("mode", "f", "1/time^2", "what the Hessian makes of the polarization apart from its multiple"),
    "vdos": _v("omega", "f", "time", "density of vibrational states, of integral 1"),
    "resolution": _v("omega", "f", "1/time", "width that a line at this frequency has"),
    "participation_ratio": _v("mode", "f", "", "part of the particles that move"),
    "phase_quotient": _v("mode", "f", "", "1 where neighbours move alike, -1 where they move against each other"),
    "elastic": _v("strain_a strain_b", "f", "energy/length^space", "elastic constants"),
    "born": _v("strain_a strain_b", "f", "energy/length^space", "their affine part"),
    "stress": _v("strain_a", "f", "energy/length^space", "stress, negative under pressure"),
    "bulk_modulus": _v("", "f", "energy/length^space", "bulk modulus"),
    "shear_modulus": _v("", "f", "energy/length^space", "shear modulus, averaged over directions"),
    "nonaffine_displacement": _v("strain_a particle space", "f", "length", "non-affine displacement by unit strain"),
    "strain_a": _v("strain_a", "U", "", "component of the strain"),
    "strain_b": _v("strain_b", "U", "", "component of the strain, the second of two"),
    "label": _v("(frame) particle", "f", "", "1 where a particle is about to rearrange, 0 where it stays"),
    "vibrality": _v("(frame) particle", "f", "time^2", "harmonic mean square displacement for each temperature"),
    "debye_waller": _v("(frame) particle", "f", "length^2", "mean square distance from the mean position"),
    "spectrum": _v("species omega", "f", "time", "spectrum of the velocities, of integral 1"),
    "q": _v("q", "f", "1/length", "wave number, the mean of a bin"),
    "s4": _v("species q", "f", "", "four-point structure factor of the particles that stay"),
    "g4": _v("species r", "f", "", "four-point correlation function, 0 without correlations"),
    "xi4": _v("species", "f", "length", "length of the fit of Ornstein and Zernike to S_4"),
    "s4_zero": _v("species", "f", "", "S_4 of that fit at q = 0"),
    "q_fit": _v("species", "f", "1/length", "largest q of that fit"),
    "misfit": _v("[species] ...", "f", "", "root mean square of the deviations of a fit"),
    "p_hop": _v("frame particle", "f", "length^2", "hop function"),
    "jump": _v("frame particle", "f", "length", "distance of the mean positions before and after"),
    "hop": _v("frame particle", "b", "", "whether the particle hops"),
    "persistence": _v("species lag", "f", "", "probability that a particle has not hopped since any moment"),
    "exchange": _v("species lag", "f", "", "probability that a particle has not hopped since its last hop"),
    "hop_rate": _v("[species] ...", "f", "1/time", "hops of a particle in a unit of time"),
    "hop_length": _v("[species] ...", "f", "length", "mean distance of a hop"),
    "cb": _v("species lag", "f", "", "part of the bonds that has not broken"),
    "bonds_kept": _v("particle ...", "f", "", "part of the bonds of a particle that has not broken"),
    "size": _v("size", "i", "", "particles of a cluster"),
    "clusters": _v("size", "f", "", "clusters of that many particles in a configuration"),
    "mean_size": _v("", "f", "", "mean number of particles of a cluster"),
    "weighted_size": _v("", "f", "", "mean number of particles of the cluster of a particle"),
    "drift": _v("[lag]", "f", "length", "root mean square displacement of the mean of all particles"),
    "origins": _v("lag", "i", "", "time origins"),
    "tau": _v("[species] ...", "f", "time", "relaxation time"),
    "T_c": _v("", "f", "energy", "temperature where the power law of the relaxation time diverges"),
    "gamma": _v("", "f", "", "exponent of the relaxation time"),
    "tau_0": _v("", "f", "time", "amplitude of the relaxation time"),
    "activation_energy": _v("", "f", "energy", "activation energy of Arrhenius' law"),
    "strength": _v("", "f", "", "D of the law of Vogel, Fulcher and Tammann"),
    "T_0": _v("", "f", "energy", "temperature where that law diverges"),
    "barrier": _v("", "f", "energy", "J of the parabolic law"),
    "T_onset": _v("", "f", "energy", "onset temperature of the parabolic law"),
    "T_g": _v("", "f", "energy", "temperature at which the relaxation time is that of a glass"),
    "fragility": _v("", "f", "", "d log10(tau) / d(T_g / T) at T_g"),
    "law": _v("law", "U", "", "law of the relaxation time"),
    "aicc": _v("law", "f", "", "Akaike's criterion, minus that of the best law"),
    "amplitude": _v("[species] ...", "f", "", "amplitude of the stretched exponential"),
    "beta": _v("[species] ...", "f", "", "exponent of the stretched exponential"),
    "points": _v("[species] ...", "i", "", "values that were fitted"),
    "slope": _v("range", "f", "", "slope of the straight line"),
    "intercept": _v("range", "f", "energy", "intercept of the straight line"),
    # thermodynamics; of the sweep too
    "stage": _v("sample", "i", "", "number of the stage of the simulation"),
    "temperature": _v("(sample)", "f", "energy", "temperature"),
    "potential_energy": _v("sample", "f", "energy", "potential energy of a particle"),
    "kinetic_energy": _v("sample", "f", "energy", "kinetic energy of a particle"),
    "pressure": _v("sample", "f", "energy/length^d", "pressure"),
    "volume": _v("sample", "f", "length^d", "volume"),
    "shear_stress": _v("sample", "f", "energy/length^d", "shear stress"),
    "accepted_moves": _v("sample", "f", "", "part of the moves of particles that were accepted"),
    "accepted_exchanges": _v("sample", "f", "", "part of the exchanges of diameters that were accepted"),
    "largest_force": _v("sample", "f", "energy/length", "largest component of a force"),
    "inherent_energy": _v("frame", "f", "energy", "energy of a particle in the inherent structure"),
    # reductions, and what they have to do with the propensity
    "projection": _v("frame particle component", "f", "", "projection on the principal direction"),
    "explained_variance": _v("component", "f", "", "variance along the principal direction"),
    "explained_variance_ratio": _v("component", "f", "", "share of the variance"),
    "pearson": _v("species column lag", "f", "", "|Pearson R| with the propensity"),
    "column": _v("column", "U", "", "component or feature that is correlated"),
    "descriptor": _v("column", "U", "", "descriptor that the column is of"),
    "particles": _v("species", "i", "", "particles that were correlated"),
    "mean": _v("...", "f", "", "mean of each feature"),
    "scale": _v("...", "f", "", "standard deviation of each feature, by which it is divided"),
    "scatter": _v("feature feature_b", "f", "", "sum over particles of the products of what deviates from the means"),
    "embedding": _v("sample coordinate", "f", "", "place on a map on which similar particles are neighbours"),
    "class": _v("class", "i", "", "number of the class, in descending order of their sizes"),
    "assignment": _v("frame particle", "f", "", "number of the class"),
    "class_probability": _v("frame particle class", "f", "", "how probable each class is"),
    "share": _v("class", "f", "", "part of the particles that are of the class"),
    "class_mean": _v("class ...", "f", "", "mean of each feature in the class"),
    "covariance": _v("class coordinate coordinate_b", "f", "", "covariance in the class of what is classified"),
    "n_samples": _v("", "i", "", "particles whose features are defined"),
    "n_undefined": _v("", "i", "", "particles whose features are not all defined"),
    "rounding": _v("", "f", "", "spread over mean below which a feature does not vary"),
    # correlations between two variables of the particles
    "r_frame": _v("frame ...", "f", "", "correlation coefficient within each configuration"),
    "r_within": _v("...", "f", "", "mean over the configurations of the correlation coefficient within each"),
    "r_pooled": _v("...", "f", "", "correlation coefficient of all particles of all configurations together"),
    "n_used": _v("frame", "i", "", "particles of each configuration that have both variables"),
}

# Of a trajectory, in this order; the first three are required, and dimensions are exactly those that are declared,
# after the frame where a variable may be of each. Further variables of particles are the user's own.
TRAJECTORY = {
    name: VARIABLES[name]
    for name in (
        "position", "species", "box", "origin", "image", "velocity", "energy", "time", "strain", "step", "id",
        "diameter", "periodic", "present",
    )
}  # fmt: skip


def declared(name: str) -> Variable | None:
    """The declaration of a variable, also of an error and of what is of all particles alike.

    Examples
    --------
    >>> declared("fs_total_error").dims, declared("msd_error").meaning
    (('lag',), 'standard error: mean-square displacement')
    """
    if name in VARIABLES:
        return VARIABLES[name]
    whole, _, suffix = name.rpartition("_")
    known = declared(whole) if suffix in ("error", "total") else None
    if known is None:
        return None
    if suffix == "error":
        return replace(known, kind="f", meaning=f"standard error: {known.meaning}")
    dims = tuple(dim for dim in known.dims if dim not in SPECIES)
    return replace(known, dims=dims, meaning=f"{known.meaning}, all particles alike")


def annotated(data: Data, **details: dict[str, Any]) -> Data:
    """A result with the unit and the meaning of every variable, after a check of its dimensions and dtypes.

    Parameters
    ----------
    data : Dataset or DataArray
        Coordinates that are not declared so (of features, or the caller's own) stay as they are.
    **details : dict
        More attributes of some variables, by name.

    Raises
    ------
    SchemaError
        A variable is not declared, or is declared otherwise.

    Examples
    --------
    >>> import xarray as xr
    >>> found = annotated(xr.Dataset({"tau": ("species", [1.5])}, coords={"species": ["A"]}), tau={"level": 0.4})
    >>> found["tau"].attrs
    {'level': 0.4, 'units': 'time', 'long_name': 'relaxation time'}
    >>> annotated(xr.Dataset({"tua": 1.5}))
    Traceback (most recent call last):
    glassdask.errors.SchemaError: 'tua' is declared nowhere: add it to glassdask.variables
    """
    import xarray as xr

    result = data.copy(deep=False)
    variables = {str(name): c.variable for name, c in result.coords.items()}
    own = result.data_vars if isinstance(result, xr.Dataset) else {result.name: result}
    variables |= {str(name): values.variable for name, values in own.items()}
    for name, variable in variables.items():
        known = declared(name)
        wrong = known.misfit(variable) if known else "is declared nowhere: add it to glassdask.variables"
        if wrong and name in own:
            raise SchemaError(f"'{name}' {wrong}")
        if wrong or known is None:
            continue
        more = {**variable.attrs, **details.get(name, {})}
        units = more.pop("units", None) if known.unit is None else known.unit
        if units is None:
            raise SchemaError(f"'{name}' has no units: give them, they depend on what was asked for")
        variable.attrs = {**more, "units": units, "long_name": known.meaning}
    return result


def unmasked(name: str, value: Any) -> Any:
    """The array (dask stays lazy), which must not hide values: NumPy's functions would take what is behind the mask.

    >>> unmasked("x", np.ma.masked_equal([1, 2, 3], 2))
    Traceback (most recent call last):
        ...
    glassdask.errors.SchemaError: x is a masked array of which 1 values are masked: fill them or leave them out
    """
    if hasattr(value, "dask"):
        if isinstance(getattr(value, "_meta", None), np.ma.MaskedArray):
            raise SchemaError(f"{name} is lazy and of masked arrays: fill them, as dask.array.ma.filled does")
        return value
    if masked := _count_masked(value):
        raise SchemaError(f"{name} is a masked array of which {masked} values are masked: fill them or leave them out")
    return np.asarray(value)


def _count_masked(value: Any) -> int:
    """Masked values of an array, or of the arrays in a list."""
    if isinstance(value, (list, tuple)):
        return sum(_count_masked(item) for item in value if isinstance(item, (list, tuple, np.ma.MaskedArray)))
    return int(np.ma.count_masked(value)) if np.ma.is_masked(value) else 0


def _check_order(name: str, value: Any) -> None:
    """Raise `SchemaError` where labels say that an array has its dimensions, or components, in another order."""
    known = ("frame", *(dim for dim in VARIABLES[name].dims if dim != "frame")) if name in VARIABLES else ()
    dims = tuple(getattr(value, "dims", ()))
    wanted = tuple(dim for dim in known if dim in dims)
    if dims != wanted and len(dims) == len(wanted):
        raise SchemaError(f"{name} has the dimensions {dims}, expected {wanted}: say .transpose{wanted}")
    columns = [str(column) for column in getattr(value, "columns", ())]
    if columns != sorted(columns) and sorted(columns) in (["x", "y"], ["x", "y", "z"]):
        raise SchemaError(f"the columns of {name} are {' '.join(columns)}: say [{sorted(columns)}]")


def numbers(name: str, value: Any, kind: str = "f") -> np.ndarray:
    """The array in memory, as floats ("f"), as integers that fit 64 bits ("i"), or as what must be true or false ("b").

    >>> import xarray as xr
    >>> turned = xr.DataArray(np.zeros((2, 1, 3)), dims=("particle", "frame", "space"))
    >>> numbers("position", turned)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    glassdask.errors.SchemaError: position has the dimensions ('particle', 'frame', 'space'), expected ...
    """
    _check_order(name, value)
    try:
        array = np.asarray(unmasked(name, value))
    except ValueError as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError(f"{name} is no array of numbers ({error}): give every frame the same shape") from None
    if kind == "i" and array.dtype.kind == "f" and (np.abs(array) < 2.0**53).all() and (array == np.rint(array)).all():
        return array.astype(np.int64)
    if array.dtype.kind not in {"i": "iu", "b": "b"}.get(kind, "fiu"):
        expected = {"i": "integers", "b": "true or false"}.get(kind, "real numbers")
        raise SchemaError(f"{name} has dtype {array.dtype}, expected {expected}")
    if kind == "i" and array.dtype.kind == "u" and array.max(initial=0) > np.iinfo(np.int64).max:
        raise SchemaError(f"{name} holds {array.max()}, which does not fit 64 bits: repair it")
    return array if kind == array.dtype.kind or kind == "i" else array.astype(np.float64)
