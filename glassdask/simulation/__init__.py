"""Make the data: model liquids, protocols, and LAMMPS in a process of its own that writes into a store.

Names are imported on first use, so that the worker process loads only what it needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
