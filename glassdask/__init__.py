"""Local structure and dynamics of glass-forming liquids, from a laptop to a cluster.

Names are imported on first use: ``import glassdask`` costs little more than ``import xarray``.
"""

import time

import lazy_loader

from glassdask.errors import unknown

LOADED = time.time()  # code that was edited later is not what computes here
_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":  # asked of git, and so not before somebody wants to know
        from glassdask.code import version

        return version()
    try:
        return _public(name)
    except AttributeError:
        raise unknown(__name__, name, __all__) from None
