"""Make the data: model liquids, protocols, and LAMMPS in a process of its own that writes into a store."""
