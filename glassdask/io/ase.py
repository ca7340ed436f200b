"""What ASE reads and glassdask does not: POSCAR, XDATCAR, CIF, ASE's .traj and many more.

Numbers are ASE's, in ångström. Species are chemical symbols, or the array ``species`` where a format keeps arrays; axes
without ``pbc`` are open. Files of several frames are read frame by frame where ASE can. ``keep=`` names further arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from glassdask.errors import FormatError, GlassdaskError, brief, install
from glassdask.files import sha256
from glassdask.io.frame import Frame, Survey, encode
from glassdask.io.objects import of_atoms


def survey(path: str, columns: dict[str, str] | None = None, keep: Sequence[str] = ()) -> Survey:
    """Count the frames of a file."""
    digest = sha256(path)
    with closing(_images(path, 0, None)) as images:
        return Survey(sum(1 for _ in images), digest, None, path.lower().endswith(".traj"))


def read(
    path: str, start: int, stop: int, offset: int = 0, columns: dict[str, str] | None = None, keep: Sequence[str] = ()
) -> Generator[Frame, None, None]:
    """Frames of a file."""
    names: list[str | int] = []
    with closing(_images(path, start, stop)) as images:
        for number, atoms in enumerate(images, start):
            try:
                found = of_atoms(atoms, tuple(keep))
            except GlassdaskError as error:
                raise type(error)(f"{path}, frame {number}: {error}") from None
            codes = encode(np.asarray(found["species"]).astype(str), names)
            yield Frame(
                found["position"],
                tuple(str(name) for name in names),
                codes,
                found["box"],
                tuple(bool(axis) for axis in found["periodic"]),
                velocity=found["velocity"],
                id=found["id"],
                told=False,
                kept=found["kept"],
            )


def _images(path: str, start: int, stop: int | None) -> Generator[Any, None, None]:
    try:
        import ase.io
    except ImportError:
        raise FormatError(f"{path}: this format needs the package ase: {install('io')}") from None
    try:
        with warnings.catch_warnings():  # about details of the format, which ASE has understood
            warnings.simplefilter("ignore")
            yield from ase.io.iread(path, index=slice(start, stop), do_not_split_by_at_sign=True)
    except GeneratorExit:
        raise
    except Exception as error:  # each of ASE's formats raises its own
        message = brief(f"{type(error).__name__} {error}")
        raise FormatError(f"{path}: ASE cannot read it ({message}): write or copy it again") from None
