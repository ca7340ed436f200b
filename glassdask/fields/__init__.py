"""Fields of per-particle values: coarse-graining, spatial correlation, grids (paper C)."""
