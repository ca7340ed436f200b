"""``python -m glassdask`` is the command ``glassdask``."""

from glassdask.starting import rest


def main() -> None:
    """Run the command in this process, which is all its own."""
    rest()  # before the imports

    from glassdask import cli

    cli.main()


if __name__ == "__main__":
    main()
