"""Averages over pairs and triplets of particles: g(r), its first minima, S(k), bond angles."""
