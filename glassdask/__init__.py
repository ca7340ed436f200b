"""Local structure and dynamics of glass-forming liquids, from a laptop to a cluster.

Names are imported on first use: ``import glassdask`` costs little more than ``import xarray``.
"""

import time

import lazy_loader

__version__ = "0.1.0"
LOADED = time.time()  # code that was edited later is not what computes here
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
