"""Which files are read, and what is found in them: one scan of each, by the current dask scheduler."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from glassdask.declarations import converted
from glassdask.errors import FormatError
from glassdask.graphs import batched, compute
from glassdask.io.formats import FORMATS, find_format
from glassdask.io.reference import common_variables, of_files, same_ids
from glassdask.io.settings import checked_files, checked_settings
from glassdask.io.sources import SourceIndex, scan
from glassdask.io.tasks import later
from glassdask.store.layout import checked_path

SCANS = 64  # files that a task scans at most
BYTES = 4 << 20  # of several files that a task scans


def resolved(sources: Any) -> list[str]:
    """Paths of all files; what a pattern matches is sorted by name, with numbers by their value."""
    paths: list[str] = []
    for path in checked_files(sources):
        if any(character in path for character in "*?[") and not os.path.exists(path):
            found = sorted(glob.glob(path, recursive=True), key=_natural)
            if not found:
                bracket = " (a bracket that is part of a name is written [[])" if "[" in path else ""
                raise FormatError(f"{path}: no file matches: check the path{bracket}")
            paths += found
        else:
            paths.append(path)
    if not paths:
        raise FormatError("no file to ingest: name at least one")
    return paths


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def look(sources: Any, store: Any, *, format: str | None = None, **options: Any) -> list[str]:
    """Paths of all files; raises what `glassdask.ingest` does of files that are not there and options without meaning.

    No file is read, so it is told before a cluster is started.
    """
    checked_path(store)
    first: dict[str, str] = {}
    paths = resolved(sources)
    for path in paths:
        first.setdefault(find_format(path, format), path)
    for flag, kind in (("ordered", bool), ("wrapped", bool | None)):
        converted(options.pop(flag, True), kind, flag)
    for name, path in first.items():
        if not FORMATS[name].together:
            checked_settings(path, name, **options)
    return paths


def _parts(paths: list[str]) -> list[list[str]]:
    """Files that a task scans: one, or several small ones."""
    parts: list[list[str]] = []
    size = BYTES
    for path in paths:
        if size >= BYTES or len(parts[-1]) == SCANS:
            parts.append([])
            size = 0
        parts[-1].append(path)
        size += os.path.getsize(path)
    return parts


def _scans(files: list[tuple[str, str]], growing: bool, settings: dict[str, Any]) -> list[SourceIndex]:
    return [scan(path, name, growing=growing, **settings) for path, name in files]


def scanned(
    paths: list[str], formats: dict[str, str], settings: dict[str, Any], growing: bool
) -> tuple[list[SourceIndex], list[str]]:
    """Indexes of all files, and files that are there twice. Equal codes and ids are kept once.

    A file without steps or times that has the content of another one may be a frame like it, but not a run like it.
    """
    indexes: list[SourceIndex] = []
    repeated: list[str] = []
    seen: set[str] = set()
    paths, twice = list(dict.fromkeys(paths)), [path for path, n in Counter(paths).items() if n > 1]
    repeated += twice
    for batch in batched(_parts(paths)):
        calls = [later(_scans, [(path, formats[path]) for path in part], growing, settings) for part in batch]
        for index in itertools.chain.from_iterable(compute(*calls)):
            if index.sha256 in seen and index.n_frames > 1 and not index.clock_name:
                repeated.append(index.path)
                continue
            seen.add(index.sha256)
            if indexes and np.array_equal(index.codes, indexes[0].codes):
                ids = indexes[0].id if same_ids(index.id, indexes[0].id) else index.id
                index = replace(index, codes=indexes[0].codes, id=ids)
            indexes.append(index)
    return indexes, repeated


def understood(indexes: list[SourceIndex]) -> list[str]:
    """Lines about what was read of the files and what was not, each of them once."""
    lines = of_files((index.path, note) for index in indexes for note in index.notes)
    unread = dict.fromkeys(name for index in indexes for name in index.unread)
    read = common_variables(indexes) if indexes else ()
    if indexes and not indexes[0].told:  # images are found by wrapping, where the frames need them
        read = tuple(name for name in read if name != "image")
    if unread:
        lines.append(f"read: {' '.join(['position', 'species', *read])}; not kept: {' '.join(unread)}")
    return lines
