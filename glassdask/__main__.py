"""``python -m glassdask`` is the command ``glassdask``."""

from glassdask.cli import main

if __name__ == "__main__":
    main()
