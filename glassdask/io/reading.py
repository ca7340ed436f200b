"""The two calls of a reader, with whatever goes wrong in it as one line that names file and frame."""

from __future__ import annotations

import importlib
import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from glassdask.errors import FormatError, GlassdaskError, brief
from glassdask.io import isolation
from glassdask.io.formats import FORMATS
from glassdask.io.frame import Frame, Survey


def survey(path: str, name: str, **options: Any) -> Survey:
    """What one pass over a file of format `name` tells."""
    with told(path):
        if FORMATS[name].fragile and os.path.isfile(path):
            return isolation.survey(path, FORMATS[name].module, options)
        found: Survey = importlib.import_module(FORMATS[name].module).survey(path, **options)
        return found


def read(path: str, name: str, start: int, stop: int, offset: int, **options: Any) -> Generator[Frame, None, None]:
    """Frames start to stop of a file of format `name`, of which `survey` has found nothing wrong."""
    module = importlib.import_module(FORMATS[name].module)
    with closing(module.read(path, start, stop, offset, **options)) as stream:
        for number in range(start, stop):
            with told(path, number):
                frame = next(stream, None)
                if frame is None:
                    raise FormatError(f"the file ends, and had {stop} frames before: it has changed, read it again")
                _check(frame)
            yield frame


def _check(frame: Frame) -> None:
    """Raise `FormatError` unless everything in a frame is of the same particles, and every species has a name."""
    n_particles, n_space = np.shape(frame.position)
    expected = {
        "codes": (n_particles,), "box": (n_space, n_space), "origin": (n_space,), "velocity": (n_particles, n_space),
        "image": (n_particles, n_space), "energy": (n_particles,), "id": (n_particles,),
    }  # fmt: skip
    for name, shape in expected.items():
        value = getattr(frame, name)
        if value is not None and np.shape(value) != shape:
            raise FormatError(f"{name} has shape {np.shape(value)}, and position ({n_particles}, {n_space}): repair it")
    if len(frame.periodic) < n_space:
        raise FormatError(f"{len(frame.periodic)} boundaries in {n_space} dimensions: give as many")
    if n_particles and not 0 <= frame.codes.min() <= frame.codes.max() < len(frame.species):
        found = f"{frame.codes.min()} to {frame.codes.max()}"
        raise FormatError(f"types are the numbers {found}, with {len(frame.species)} names: repair them")


@contextmanager
def told(path: str, number: int | None = None) -> Iterator[None]:
    """Whatever is raised is a `GlassdaskError` that begins with the file, and the frame where it has a number."""
    where = path if number is None else f"{path}, frame {number}"
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # of numbers that are refused below
            yield
    except GlassdaskError as error:
        if path in str(error):
            raise
        raise type(error)(f"{where}: {error}") from None
    except MemoryError as error:
        raise FormatError(f"{where}: claims more than fits into memory: it is damaged, copy it again") from error
    except Exception as error:  # each library raises its own, and NumPy, zip and HDF5 many kinds
        raise FormatError(
            f"{where}: cannot be read ({type(error).__name__}: {brief(error)}): it is damaged, or of another format: "
            "copy it again, or name the format"
        ) from error
