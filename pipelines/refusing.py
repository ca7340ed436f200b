"""What a pipeline cannot do is told in one line, as the commands of glassdask tell it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps

from glassdask.errors import GlassdaskError


def told(main: Callable[[], None]) -> Callable[[], None]:
    """A pipeline whose `GlassdaskError` ends it with its line and the exit code 1, without a traceback."""

    @wraps(main)
    def run() -> None:
        try:
            main()
        except GlassdaskError as error:
            sys.exit(f"{error}")

    return run
