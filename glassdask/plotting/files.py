"""Figures, and where they are written: with their numbers beside them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from glassdask import files
from glassdask.errors import ParameterError, StoreError


def figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = (3.4, 2.8)) -> tuple[Figure, np.ndarray]:
    """A figure with a (rows, columns) array of Axes, each `size` inches large."""
    drawn = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    return drawn, np.asarray(drawn.subplots(rows, columns, squeeze=False))


# Formats by the end of a path; without one of them a figure is a PNG.
FORMATS = (".png", ".pdf", ".svg")


def paths(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Where a figure and its numbers are written. What is behind a dot is kept unless it is a format.

    Examples
    --------
    >>> [str(each) for each in paths("sbo_T=0.65")], [str(each) for each in paths("a.pdf")]
    (['sbo_T=0.65.png', 'sbo_T=0.65.csv'], ['a.pdf', 'a.csv'])
    """
    name = os.fspath(path)
    stem, end = os.path.splitext(name)
    known = end.lower() in FORMATS
    return Path(name if known else f"{name}.png"), Path(f"{stem if known else name}.csv")


def check_output(path: str | os.PathLike[str]) -> None:
    """Raise where a figure cannot be written, or its numbers would replace a CSV beside which there is no figure."""
    picture, table = paths(path)
    end = picture.suffixes[-2:-1] if picture.suffix == ".png" and not str(path).lower().endswith(".png") else []
    if end and end[0].lower() in (".jpg", ".jpeg", ".eps", ".ps", ".tif", ".tiff", ".gif", ".webp", ".bmp"):
        raise ParameterError(f"{path}: figures are written as {', '.join(FORMATS)}: choose one of them")
    if not picture.name.strip(".") or picture.name in FORMATS or Path(path).is_dir():
        raise ParameterError(f"{path}: expected the path of a file, such as sbo.png")
    if not picture.parent.is_dir():
        raise StoreError(f"{picture}: there is no folder {picture.parent}: make it first")
    if table.exists() and not any(table.with_suffix(end).exists() for end in FORMATS):
        raise StoreError(
            f"{table}: exists, and no figure beside it, whose numbers it could be: choose another --output, or remove "
            "it"
        )


def save(drawn: Figure, path: str | os.PathLike[str], table: Mapping[str, Any] | None = None) -> None:
    """Write a figure as PNG, PDF or SVG, as its path ends (PNG where it does not tell), and its numbers as CSV.

    `table` maps column names to one-dimensional sequences; shorter ones leave their last cells empty. The folder must
    be there: a path with a slip in it makes no others.

    Raises
    ------
    StoreError
        The file system refuses.
    """
    picture, numbers = paths(path)
    _take_formulas_as_they_are(drawn)
    with files.replacing(picture) as stream:
        drawn.savefig(stream, format=picture.suffix[1:].lower(), dpi=200)
    if table is not None:
        write_table(numbers, table)


def _take_formulas_as_they_are(drawn: Figure) -> None:
    """Draw as plain text what only looks like a formula, as names of species from elsewhere may."""
    from matplotlib.mathtext import MathTextParser
    from matplotlib.text import Text

    parser = MathTextParser("path")
    for text in drawn.findobj(Text):
        if isinstance(text, Text) and text.get_text().count("$") > 1:
            try:
                for line in text.get_text().split("\n"):
                    parser.parse(line)
            except ValueError:
                text.set_parse_math(False)


def write_table(path: str | os.PathLike[str], table: Mapping[str, Any]) -> None:
    """Write columns of different lengths as CSV.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_table(folder.name + "/t.csv", {"r": [1.0, 2.0], "g": [0.5]})
    >>> pathlib.Path(folder.name, "t.csv").read_text().split()
    ['r,g', '1.0,0.5', '2.0,']
    >>> folder.cleanup()
    """
    columns = {name: np.atleast_1d(values).tolist() for name, values in table.items()}
    length = max(map(len, columns.values()), default=0)
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in range(length):
        writer.writerow([values[row] if row < len(values) else "" for values in columns.values()])
    files.put(path, file.getvalue())
