"""Averages over pairs and triplets of particles: g(r), its first minima, S(k), bond angles."""

from glassdask.correlations.radial import radial_distribution
from glassdask.correlations.shells import FirstShell, first_minima, first_peaks, first_shell, first_shells

__all__ = ["FirstShell", "first_minima", "first_peaks", "first_shell", "first_shells", "radial_distribution"]
