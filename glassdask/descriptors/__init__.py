"""Descriptors: what the surroundings of a particle look like."""
