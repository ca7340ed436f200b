"""Readers of trajectory files, and their ingestion into a store."""

from glassdask.io.ingestion import Ingestion, ingest
from glassdask.io.sources import FORMATS, SourceIndex, find_format, frames, scan

__all__ = ["FORMATS", "Ingestion", "SourceIndex", "find_format", "frames", "ingest", "scan"]
