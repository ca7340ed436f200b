"""Small files of starts and of how far their particles move, so that Figs. 10-12 need no simulation.

A file is one .npz of one liquid: its starts, packed as by `configurations.pack`, and `squares` (start, part, lag,
particle), squared displacements in half precision, each the mean over `runs` runs of an isoconfigurational ensemble;
`origin` says whose they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import configurations
import numpy as np
import xarray as xr

from glassdask.files import replacing
from paper_a.published import DATA


def file_of(mixture: str, relaxed: bool = False) -> Path:
    """Where the ensembles of a liquid are kept; another file has those of starts that ran for a relaxation time."""
    return DATA / f"ensembles_{mixture}{'_relaxed' if relaxed else ''}.npz"


def known(mixtures: list[str]) -> dict[str, list[Path]]:
    """The kept ensembles of some liquids, as stores of ensembles are given."""
    return {name: [file_of(name)] for name in mixtures if file_of(name).exists()}


@dataclass(frozen=True)
class Sample:
    """Starts (frame, ...) of the schema, the lags, and squared displacements (start, part, lag, particle)."""

    starts: xr.Dataset
    lag: np.ndarray
    squares: np.ndarray
    runs: int
    origin: str

    def write(self, path: Path) -> None:
        """Write the file."""
        with replacing(path) as stream:
            np.savez_compressed(
                stream,
                **configurations.columns(self.starts),
                lag=self.lag,
                squares=self.squares.astype(np.float16),
                runs=self.runs,
                origin=self.origin,
            )


def read(path: Path) -> Sample:
    """Read a file that `Sample.write` has written."""
    with np.load(path, allow_pickle=False) as file:
        squares = file["squares"].astype(np.float64)
        return Sample(configurations.trajectory_of(file), file["lag"], squares, int(file["runs"]), str(file["origin"]))
