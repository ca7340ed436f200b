"""The parts of `pipelines/rearrangements.py`: Rottler and Ortner, atomic cluster expansion of rearrangements (2024)."""
