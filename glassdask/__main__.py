"""``python -m glassdask`` is the command ``glassdask``."""

import sys

from glassdask.starting import rest


def main() -> None:
    """Run the command in this process, which is all its own."""
    rest()  # before the imports
    try:
        from glassdask import cli

        cli.main()
    except KeyboardInterrupt:  # before a command began
        print("glassdask: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
