"""Checkpoints of simulations, read without running anything that is in them.

They lie in the store that the simulation fills, and a store may come from somebody else.
"""

from __future__ import annotations

from glassdask.errors import SimulationError
from glassdask.files import RefusedError, unpickle
from glassdask.simulation.operations import State

# All that a pickled `State` is made of. Recorders set nothing but their attributes when they are restored.
KNOWN = dict.fromkeys(
    [
        "glassdask.simulation.operations.State",
        "glassdask.simulation.recorders.TrajectoryRecorder",
        "glassdask.simulation.recorders.MeansRecorder",
        "glassdask.simulation.instance.Frame",
        "builtins.range",
        "pathlib.PosixPath",
        "numpy.ndarray",
        "numpy.dtype",
        *(f"numpy.{core}.multiarray.{name}" for core in ("_core", "core") for name in ("_reconstruct", "scalar")),
        *(f"numpy.{core}.numeric._frombuffer" for core in ("_core", "core")),
    ]
)


def load_state(content: bytes, name: str) -> State:
    """The `State` in a pickle; `SimulationError` where it asks for anything else, or is damaged.

    Examples
    --------
    >>> import pickle
    >>> load_state(pickle.dumps(State(recorder=None, step=100)), "state.pickle").step
    100
    >>> load_state(pickle.dumps(print), "state.pickle")
    Traceback (most recent call last):
    glassdask.errors.SimulationError: state.pickle: needs builtins.print, which is not run: remove this checkpoint
    """
    try:
        state = unpickle(content, KNOWN)
        if isinstance(state, State):
            return state
        found = f"holds {type(state).__name__}"
    except RefusedError as refused:
        found = f"needs {refused}, which is not run"
    except Exception as error:  # whatever a damaged pickle makes the machine of pickles stumble over
        found = f"cannot be read ({error})"
    raise SimulationError(f"{name}: {found}: remove this checkpoint")
