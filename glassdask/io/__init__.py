"""Readers of trajectory files, and their ingestion into a store."""

from glassdask.io.formats import FORMATS, find_format
from glassdask.io.ingestion import Ingestion, ingest
from glassdask.io.repairing import Repaired, repair
from glassdask.io.scanning import look
from glassdask.io.sources import SourceIndex, frames, scan

__all__ = [
    "FORMATS",
    "Ingestion",
    "Repaired",
    "SourceIndex",
    "find_format",
    "frames",
    "ingest",
    "look",
    "repair",
    "scan",
]


def __dir__() -> list[str]:
    """What is public, and no module that it stands in."""
    return __all__
