"""Configurations that are kept with the sources: positions as 16-bit fractions of the box, packed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

import glassdask as gd

LEVELS = 65536


def fractions(position: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Positions (frame, particle, space) as 16-bit fractions of the boxes (frame, space, space)."""
    fraction = np.einsum("fpi,fij->fpj", position, np.linalg.inv(box)) % 1.0
    return np.minimum(fraction * LEVELS, LEVELS - 1).astype(np.uint16)


def positions(fraction: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The positions again, off by at most half of 1 / 65536 of the box."""
    return ((fraction + 0.5) / LEVELS) @ box


def pack(trajectory: xr.Dataset, path: Path) -> Path:
    """Write positions to 1 / 65536 of their boxes' edges, species, boxes, times and (float32) energies as .npz."""
    np.savez_compressed(path, **columns(trajectory))
    return path


def columns(trajectory: xr.Dataset) -> dict[str, np.ndarray]:
    """What `pack` writes, by name; times and energies where there are any."""
    found = trajectory.load()
    box = found["box"].values
    names, codes = np.unique(found["species"].values.astype(str), return_inverse=True)
    packed = {
        "fraction": fractions(found["position"].values, box),
        "box": box,
        "names": names,
        "species": codes.astype(np.uint8),
    }
    if "time" in found:
        packed["time"] = found["time"].values
    if "energy" in found:
        packed["energy"] = found["energy"].values.astype(np.float32)
    return packed


def is_packed(path: Path) -> bool:
    """Whether `pack` wrote it."""
    with np.load(path) as found:
        return "fraction" in found


def unpack(path: Path) -> xr.Dataset:
    """The trajectory again: every coordinate is off by at most half of 1 / 65536 of the box."""
    with np.load(path) as found:
        return trajectory_of(found)


def trajectory_of(found: Mapping[str, np.ndarray]) -> xr.Dataset:
    """The trajectory of what `columns` gives."""
    position = positions(found["fraction"], found["box"])
    energy = found["energy"].astype(np.float64) if "energy" in found else None
    time = found.get("time")
    return gd.from_arrays(
        position, species=found["names"][found["species"]], box=found["box"], time=time, energy=energy
    )


def store(path: Path, target: Path) -> Path:
    """The configurations of a packed file in a store; what is there already is kept."""
    gd.save_trajectory(unpack(path), target)
    return target
