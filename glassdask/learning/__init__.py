"""Learning from descriptors: arrays (sample, feature) of any length, scikit-learn's contract.

Names are imported on first use, so that a principal component analysis needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
