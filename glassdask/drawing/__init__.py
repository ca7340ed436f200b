"""What is stored, as figures: of a trajectory's store, of a state, of a whole sweep."""

from glassdask.drawing.stored import draw, pictures
from glassdask.drawing.sweeps import draw_sweep, sweep_pictures

__all__ = ["draw", "draw_sweep", "pictures", "sweep_pictures"]


def __dir__() -> list[str]:
    """What is public, and no module that it stands in."""
    return __all__
