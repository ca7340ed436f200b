"""How particles move: averages over time origins, relaxation times, propensity, rearrangements."""

from glassdask.dynamics.averages import (
    mean_square_displacement,
    non_gaussian_parameter,
    overlap,
    self_correlations,
    self_intermediate_scattering,
)
from glassdask.dynamics.bonds import bond_breaking, replica_bonds
from glassdask.dynamics.cages import cage_positions
from glassdask.dynamics.currents import current_correlations
from glassdask.dynamics.ensembles import canonical_susceptibility, isoconfigurational_susceptibility
from glassdask.dynamics.fluctuations import dynamic_susceptibility
from glassdask.dynamics.four_points import four_point
from glassdask.dynamics.hopping import hop_statistics, hops, waiting_times
from glassdask.dynamics.laws import compare_laws, fit_law, stretched_exponential
from glassdask.dynamics.mobile import mobile_clusters, strings
from glassdask.dynamics.particles import particle_msd
from glassdask.dynamics.paths import displacements, unwrapped
from glassdask.dynamics.rattling import debye_waller
from glassdask.dynamics.rearrangements import d2min, d2min_fields, nonaffine_motion, replica_d2min
from glassdask.dynamics.relaxation import crossover_temperature, relaxation_time
from glassdask.dynamics.replicas import at_delta, cage_relative, propensity, replica_displacements
from glassdask.dynamics.resting import motion_from_rest
from glassdask.dynamics.scattering import intermediate_scattering
from glassdask.dynamics.spatial_motion import displacement_correlation
from glassdask.dynamics.spectra import dynamic_structure_factor, velocity_spectrum
from glassdask.dynamics.stresses import stress_autocorrelation, stress_tensor
from glassdask.dynamics.transport import diffusion_coefficient, stokes_einstein
from glassdask.dynamics.van_hove_functions import collective_overlap, van_hove
from glassdask.dynamics.velocities import velocity_autocorrelation

__all__ = [
    "at_delta",
    "bond_breaking",
    "cage_positions",
    "cage_relative",
    "canonical_susceptibility",
    "collective_overlap",
    "compare_laws",
    "crossover_temperature",
    "current_correlations",
    "d2min",
    "d2min_fields",
    "debye_waller",
    "diffusion_coefficient",
    "displacement_correlation",
    "displacements",
    "dynamic_structure_factor",
    "dynamic_susceptibility",
    "fit_law",
    "four_point",
    "hop_statistics",
    "hops",
    "intermediate_scattering",
    "isoconfigurational_susceptibility",
    "mean_square_displacement",
    "mobile_clusters",
    "motion_from_rest",
    "non_gaussian_parameter",
    "nonaffine_motion",
    "overlap",
    "particle_msd",
    "propensity",
    "relaxation_time",
    "replica_bonds",
    "replica_d2min",
    "replica_displacements",
    "self_correlations",
    "self_intermediate_scattering",
    "stokes_einstein",
    "stress_autocorrelation",
    "stress_tensor",
    "stretched_exponential",
    "strings",
    "unwrapped",
    "van_hove",
    "velocity_autocorrelation",
    "velocity_spectrum",
    "waiting_times",
]


def __dir__() -> list[str]:
    """What is public, and no module that it stands in."""
    return __all__


def __getattr__(name: str) -> object:
    """The function behind a name that the shell uses, such as msd, is told; there is one name for it here."""
    from glassdask.dynamics.quantities import QUANTITIES
    from glassdask.errors import unknown

    if name in QUANTITIES:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; did you mean {QUANTITIES[name].__name__!r}?"
        )
    raise unknown(__name__, name, __all__)
