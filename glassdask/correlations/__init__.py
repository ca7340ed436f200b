"""Averages over pairs and triplets of particles: g(r), its first minima, S(k), bond angles, compressibility."""

from glassdask.correlations.angles import bond_angle_distribution
from glassdask.correlations.compressibility import compressibility
from glassdask.correlations.modes import first_peak_wavenumber, structure_factor
from glassdask.correlations.radial import radial_distribution
from glassdask.correlations.shells import FirstShell, first_minima, first_peaks, first_shell, first_shells

__all__ = [
    "FirstShell",
    "bond_angle_distribution",
    "compressibility",
    "first_minima",
    "first_peak_wavenumber",
    "first_peaks",
    "first_shell",
    "first_shells",
    "radial_distribution",
    "structure_factor",
]


def __dir__() -> list[str]:
    """What is public, and no module that it stands in."""
    return __all__
