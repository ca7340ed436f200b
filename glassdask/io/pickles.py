"""Dictionaries of arrays in pickles, read without running anything that the pickle names."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassdask.errors import FormatError, brief
from glassdask.files import RefusedError, unpickle


def load_arrays(content: bytes, name: str = "pickle") -> dict[str, Any]:
    """The dictionary of arrays, numbers and text in a pickle, without running anything that the pickle names.

    Of all that a pickle can call, NumPy's ``_reconstruct``, ``ndarray`` and ``dtype`` are known, and even they are
    stand-ins written here. Pickles of Python 2 are read as well.

    Raises
    ------
    FormatError
        If the pickle needs anything else, is damaged, or is not a dictionary.

    Examples
    --------
    >>> import pickle
    >>> load_arrays(pickle.dumps({"types": np.array([0, 1]), "time": 0.5}))
    {'types': array([0, 1]), 'time': 0.5}
    >>> load_arrays(pickle.dumps({"types": print}), "bad.pickle")
    Traceback (most recent call last):
    glassdask.errors.FormatError: bad.pickle: needs builtins.print, which is not run: only arrays and numbers are read
    """
    try:
        found = unpickle(content, KNOWN, encoding="latin1")
        if isinstance(found, dict):
            plain = _Plain(len(content))
            return {str(key): plain(value) for key, value in found.items()}
    except RefusedError as refused:
        raise FormatError(f"{name}: needs {refused}, which is not run: only arrays and numbers are read") from None
    # whatever a damaged or hostile file makes the machine of pickles stumble over
    except Exception as error:
        raise FormatError(f"{name}: not a readable pickle or archive ({brief(error)}): copy it again") from None
    raise FormatError(f"{name}: holds {type(found).__name__}, expected a dictionary of arrays")


class _Type:
    """Stands for numpy.dtype: numbers only."""

    def __init__(self, text: str, *_: Any):
        self.dtype = np.dtype(text)
        if self.dtype.kind not in "fiub":
            raise RefusedError(f"an array of {self.dtype}")

    def __setstate__(self, state: Any) -> None:
        if any(part is not None for part in state[2:5]):
            raise RefusedError("an array of records")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands for numpy.ndarray."""

    value: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Type) or not isinstance(data, (bytes, str)):
            raise RefusedError("an array of objects")
        raw = data.encode("latin1") if isinstance(data, str) else data
        flat = np.frombuffer(raw, dtype=kind.dtype)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


class _Reconstruct:
    """Stands for numpy's _reconstruct."""

    def __call__(self, *_: Any) -> _Array:
        return _Array()

    def __setstate__(self, _: Any) -> None:
        raise RefusedError("a change of numpy's _reconstruct")


KNOWN = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _Type,
    "numpy.core.multiarray._reconstruct": _Reconstruct(),
    "numpy._core.multiarray._reconstruct": _Reconstruct(),
}


ROOM = 16  # bytes of arrays, and values in lists, that a byte of a pickle may stand for


class _Plain:
    """Values with arrays in the place of what stands for them.

    A list in a pickle may be told once and meant a thousand times: each is converted once, and what comes of all of
    them together is bounded by the size of the pickle.
    """

    def __init__(self, n_bytes: int):
        self.left = (1 << 20) + ROOM * n_bytes
        self.known: dict[int, Any] = {}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, _Array):
            return value.value
        if isinstance(value, (list, tuple, dict)):
            if id(value) not in self.known:
                self.known[id(value)] = None  # also of what holds itself
                self.known[id(value)] = self._container(value)
            return self.known[id(value)]
        if value is None or isinstance(value, (bool, int, float, str, bytes)):
            return value
        raise RefusedError(f"a {type(value).__name__}")

    def _container(self, value: Any) -> Any:
        self.left -= len(value)
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        items = [self(item) for item in value]
        if items and all(isinstance(item, np.ndarray) for item in items):
            self.left -= sum(item.nbytes for item in items)
            if self.left >= 0:
                return np.stack(items)
        if self.left < 0:
            raise ValueError("it holds the same again and again, more than its size allows")
        return items
