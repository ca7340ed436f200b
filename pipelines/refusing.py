"""What a pipeline cannot do is told in one line, as the commands of glassdask tell it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps

from glassdask.errors import GlassdaskError


def line(error: GlassdaskError) -> str:
    """What an error says, with what replaces stored results as it is typed at a prompt.

    >>> line(GlassdaskError("q.zarr: holds others: replace it with `overwrite=True`, or choose another name"))
    'q.zarr: holds others: replace it with --overwrite, or choose another name'
    """
    return str(error).replace("`overwrite=True`", "--overwrite")


def told(main: Callable[[], None]) -> Callable[[], None]:
    """A pipeline whose `GlassdaskError` ends it with its line and the exit code 1, without a traceback."""

    @wraps(main)
    def run() -> None:
        try:
            main()
        except GlassdaskError as error:
            sys.exit(f"{error}")

    return run
