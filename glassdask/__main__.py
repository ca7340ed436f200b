"""``python -m glassdask`` is the command ``glassdask``."""

import gc
import threading

RESTING = 5.0  # seconds in which most commands have imported, and compiled, what they need


def main() -> None:
    """Run the command in this process, which is all its own.

    Python looks for garbage again and again among all that imports and numba make, a fifth of the time of a short
    command: it begins to look only after the start.
    """
    gc.disable()
    waking = threading.Timer(RESTING, gc.enable)
    waking.daemon = True
    waking.start()

    from glassdask import cli

    cli.main()


if __name__ == "__main__":
    main()
