"""The parts of `glass_vs_liquid.py` (Oyama, Koyama and Kawasaki, Front. Phys. 10, 1007861 (2023))."""
