"""Checkpoints of simulations, read without running anything that is in them.

They lie in the store that the simulation fills, and a store may come from somebody else.
"""

from __future__ import annotations

import pickle
from io import BytesIO
from typing import Any

from glassdask.errors import SimulationError
from glassdask.simulation.acts import State

# All that a pickled `State` is made of. Recorders set nothing but their attributes when they are restored.
KNOWN = {
    "glassdask.simulation.acts": ("State",),
    "glassdask.simulation.recorders": ("TrajectoryRecorder", "MeansRecorder"),
    "glassdask.simulation.instance": ("Frame",),
    "builtins": ("range",),
    "pathlib": ("PosixPath",),
    "numpy": ("ndarray", "dtype"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy.core.numeric": ("_frombuffer",),
}


def load_state(content: bytes, name: str) -> State:
    """The `State` in a pickle; `SimulationError` where it asks for anything else, or is damaged.

    Examples
    --------
    >>> load_state(pickle.dumps(State(recorder=None, step=100)), "state.pickle").step
    100
    >>> load_state(pickle.dumps(print), "state.pickle")
    Traceback (most recent call last):
    glassdask.errors.SimulationError: state.pickle: needs builtins.print, which is not run: remove this checkpoint
    """
    try:
        state = _StateOnly(BytesIO(content)).load()
        if isinstance(state, State):
            return state
        found = f"holds {type(state).__name__}"
    except _RefusedError as refused:
        found = f"needs {refused}, which is not run"
    except Exception as error:  # whatever a damaged pickle makes the machine of pickles stumble over
        found = f"cannot be read ({error})"
    raise SimulationError(f"{name}: {found}: remove this checkpoint")


class _RefusedError(Exception):
    """A pickle asks for something that is no part of a checkpoint."""


class _StateOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in KNOWN.get(module, ()):
            raise _RefusedError(f"{module}.{name}")
        return super().find_class(module, name)
