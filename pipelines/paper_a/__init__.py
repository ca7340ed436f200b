"""The parts of `pipelines/local_structure.py`: Coslovich, Jack and Paret, J. Chem. Phys. 157, 204503 (2022)."""
