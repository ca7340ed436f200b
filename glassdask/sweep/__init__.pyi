"""The public names, and where they are: what `__init__.py` imports on first use."""

from .description import Sweep as Sweep
from .description import read_sweep as read_sweep
from .progress import status as status
from .running import run_sweep as run_sweep
from .state import State as State
