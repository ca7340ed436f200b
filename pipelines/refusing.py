"""How a pipeline ends that cannot go on: in one line, as the commands of glassdask do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from glassdask.errors import GlassdaskError

INTERRUPTED = 130  # as shells have it after Ctrl-C


def line(error: GlassdaskError) -> str:
    """What an error says, with what replaces stored results as it is typed at a prompt.

    >>> line(GlassdaskError("q.zarr: holds others: replace it with `overwrite=True`, or choose another name"))
    'q.zarr: holds others: replace it with --overwrite, or choose another name'
    """
    return str(error).replace("`overwrite=True`", "--overwrite")


def told(main: Callable[[], None], words: Callable[[GlassdaskError], str] = str) -> Callable[[], None]:
    """A pipeline that ends without a traceback: with the words of a `GlassdaskError`, or by Ctrl-C.

    What was stored before Ctrl-C is not computed again by the same command. A pipeline that has ``--overwrite`` takes
    `line` for its words.
    """

    @wraps(main)
    def run() -> None:
        try:
            main()
        except GlassdaskError as error:
            sys.exit(words(error))
        except KeyboardInterrupt:
            print(f"{Path(sys.argv[0]).name}: interrupted; the same command goes on from here", file=sys.stderr)
            sys.exit(INTERRUPTED)

    return run
