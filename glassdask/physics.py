"""A trajectory in the words of physics, from its small arrays; `glassdask info` asks without xarray, which is slow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

MOST_SPECIES = 8  # that are told one by one
UNITS = "those of the model or the files; reduced: length sigma, energy epsilon, time sqrt(m sigma^2 / epsilon)"
OWN = ("position", "box", "species", "origin", "time", "step", "id", "present", "periodic", "axis")
NO_TIMES = ", no times are known (ingest --dt gives them where steps are)"
SMALL = ("box", "species", "periodic", "time", "step")  # arrays whose values are told of


def physics(trajectory: xr.Dataset) -> dict[str, Any]:
    """Numbers of a trajectory, from small arrays; of open systems the density is not told.

    Examples
    --------
    >>> import glassdask as gd
    >>> found = physics(gd.from_arrays([[[0.5, 0.5], [1.5, 0.5]]], species=["A", "B"], box=[2.0, 2.0]))
    >>> found["particles"], found["species"], found["density"]
    (2, {'A': 1, 'B': 1}, 0.5)
    """
    t = trajectory
    small = {name: t[name][:1] if t[name].dims == ("frame", "particle") else t[name] for name in SMALL if name in t}
    units = str(t["position"].attrs.get("units", ""))
    values = {name: array.values for name, array in small.items()}
    return numbers(values, t.sizes, units, [str(name) for name in t.data_vars])


def numbers(
    small: Mapping[str, np.ndarray], sizes: Mapping[Any, int], units: str, variables: list[str]
) -> dict[str, Any]:
    """The same of the values of `SMALL` arrays (of species of each frame those of the first are enough), the lengths of
    dimensions and the names of all variables.
    """
    box, species = small["box"], small["species"]
    names, counts = np.unique((species if species.ndim == 1 else species[0]).astype(str), return_counts=True)
    n, d = sizes["particle"], sizes["space"]
    volume = float(np.abs(np.linalg.det(box[0])))
    edges = np.linalg.norm(box[0], axis=1)
    found: dict[str, Any] = {
        "particles": n,
        "dimension": d,
        "species": dict(zip(names.tolist(), counts.tolist())),
        "species_of_each_frame": species.ndim == 2,
        "density": (n if "present" not in variables else None) and n / volume,
        "volume": volume,
        "box": box[0].tolist(),
        "edges": edges.tolist(),
        "box_changes": bool((box != box[0]).any()),
        "triclinic": bool(np.abs(box[0] - np.diag(np.diag(box[0]))).max() > 1e-9 * edges.max()),
        "periodic": small["periodic"].tolist() if "periodic" in small else [True] * d,
        "frames": sizes["frame"],
        "units": units,
        "variables": variables,
        "absent": "present" in variables,
    }
    for name in ("time", "step"):
        if name in small and sizes["frame"]:
            values = small[name]
            apart = np.diff(values)
            spacing = [float(apart.min()), float(apart.max())] if len(apart) else None
            found[name] = {"first": values[0].item(), "last": values[-1].item(), "apart": spacing}
    return found


def physics_lines(found: dict[str, Any]) -> dict[str, str]:
    """Topic -> what `physics` found, in words."""
    n, species = found["particles"], found["species"]
    shares = ", ".join(f"{count} {name} ({100 * count / n:.3g} %)" for name, count in species.items())
    mixture = shares if len(species) <= MOST_SPECIES else f"{len(species)} species"
    if found["species_of_each_frame"]:
        mixture += ", in the first frame: species change from frame to frame"
    if found["absent"]:
        mixture += "; not all are there in every frame"
    edges = " x ".join(f"{edge:.6g}" for edge in found["edges"])
    shape = "triclinic, " if found["triclinic"] else ""
    open_axes = [axis for axis, repeats in zip("xyz", found["periodic"]) if not repeats]
    borders = f"open along {', '.join(open_axes)}" if open_axes else "periodic"
    changes = ", in the first frame: it changes" if found["box_changes"] else ""
    density = "" if found["density"] is None else f"; density {found['density']:.6g}"
    lines = {
        "particles": f"N = {n} in {found['dimension']} dimensions: {mixture}",
        "box": f"{edges}, {shape}{borders}{changes}{density}",
        "frames": f"{found['frames']}{_span(found)}",
        "units": UNITS if found["units"] in ("", "length") else f"length in {found['units']}",
    }
    more = [name for name in found["variables"] if name not in OWN]
    if more:
        lines["also"] = ", ".join(more)
    return lines


def _span(found: dict[str, Any]) -> str:
    for name, symbol in (("time", "t"), ("step", "step")):
        if name not in found:
            continue
        first, last, apart = (found[name][key] for key in ("first", "last", "apart"))
        if apart is None:
            return f", {symbol} = {first:.6g}"
        low, high = apart
        even = high - low <= 1e-6 * abs(high)
        spacing = f"{high:.6g}" if even else f"{low:.6g} to {high:.6g}"
        return f", {symbol} = {first:.6g} to {last:.6g}, {spacing} apart{'' if name == 'time' else NO_TIMES}"
    return NO_TIMES
