"""What a dataset of ours is, in the words of physics: ``liquid.glassdask`` says it, and so do notebooks.

Trajectories, features and reductions are xarray's datasets, whose own display tells names and shapes. In a notebook
what they are stands above it.
"""

from __future__ import annotations

import html
import json
import sys
from typing import Any

import numpy as np
import xarray as xr

MOST_SPECIES = 8  # that are told one by one
MOST_PARTS = 6  # descriptors, or components
UNITS = "those of the model: length sigma, energy epsilon, time sqrt(m sigma^2 / epsilon)"
OWN = ("position", "box", "species", "origin", "time", "step", "id", "present", "periodic")
NO_TIMES = ", no times are known (ingest --dt gives them where steps are)"
STATE = ("model", "temperature", "seed")


@xr.register_dataset_accessor("glassdask")
@xr.register_dataarray_accessor("glassdask")
class About:
    """What an xarray object is, as text and in notebooks.

    Examples
    --------
    >>> import glassdask as gd
    >>> gd.example("wahnstrom").glassdask  # doctest: +ELLIPSIS
    a trajectory of wahnstrom, temperature 0.58
      particles  N = 4000 in 3 dimensions: 2000 A (50 %), 2000 B (50 %)
      box        14.5559 x 14.5559 x 14.5559, periodic; density 1.297
      frames     3, t = 0 to 320, 160 apart
      units      those of the model: ...
    """

    def __init__(self, values: xr.Dataset | xr.DataArray):
        self._values = values

    def lines(self) -> dict[str, str]:
        """Topic -> what there is, ``""`` for the first line; empty where nothing of it is ours."""
        return _lines(self._values)

    def __repr__(self) -> str:
        first, *rest = self.lines().items() or [("", "nothing that glassdask has made")]
        width = max((len(key) for key, _ in rest), default=0)
        return "\n".join([first[1], *(f"  {key:{width}}  {text}" for key, text in rest)])

    def _repr_html_(self) -> str:
        first, *rest = self.lines().items() or [("", "nothing that glassdask has made")]
        cell = "padding:0 1.2em 0 0;text-align:left;vertical-align:top"
        rows = "".join(
            f"<tr style='background:none'><td style='{cell}'>{html.escape(key)}</td>"
            f"<td style='{cell}'>{html.escape(text)}</td></tr>"
            for key, text in rest
        )
        return f"<div><b>{html.escape(first[1])}</b><table style='margin:0.3em 0 0.6em'>{rows}</table></div>"


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
    box = t["box"].values
    first = t["species"] if t["species"].ndim == 1 else t["species"].isel(frame=0)
    names, counts = np.unique(first.values.astype(str), return_counts=True)
    n, d = t.sizes["particle"], t.sizes["space"]
    volume = float(np.abs(np.linalg.det(box[0])))
    edges = np.linalg.norm(box[0], axis=1)
    found: dict[str, Any] = {
        "particles": n,
        "dimension": d,
        "species": dict(zip(names.tolist(), counts.tolist())),
        "species_of_each_frame": t["species"].ndim == 2,
        "density": (n if "present" not in t else None) and n / volume,
        "volume": volume,
        "box": box[0].tolist(),
        "edges": edges.tolist(),
        "box_changes": bool((box != box[0]).any()),
        "triclinic": bool(np.abs(box[0] - np.diag(np.diag(box[0]))).max() > 1e-9 * edges.max()),
        "periodic": t["periodic"].values.tolist() if "periodic" in t else [True] * d,
        "frames": t.sizes["frame"],
        "units": str(t["position"].attrs.get("units", "")),
        "variables": [str(name) for name in t.data_vars],
        "absent": "present" in t,
    }
    for name in ("time", "step"):
        if name in t and t.sizes["frame"]:
            values = t[name].values
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


def _lines(values: Any) -> dict[str, str]:
    attrs = values.attrs
    if isinstance(values, xr.Dataset) and {"position", "box", "species"} <= set(values.variables):
        if values["position"].dims != ("frame", "particle", "space") or not values.sizes["frame"]:
            return {}
        told = [f"{name} {attrs[name]}".removeprefix("model ") for name in STATE if attrs.get(name) is not None]
        head = "a trajectory" + (f" of {', '.join(told)}" if told else "")
        return {"": head, **physics_lines(physics(values)), **_kept(attrs)}
    if isinstance(values, xr.Dataset) and isinstance(attrs.get("reduction"), str):
        return _reduction(values)
    named = {str(n): v for n, v in values.data_vars.items()} if isinstance(values, xr.Dataset) else {"": values}
    features = {name or str(v.name): v for name, v in named.items() if {"parameters", "centers"} <= v.attrs.keys()}
    return _features(features, values) if features else {}


def _features(features: dict[str, Any], values: Any) -> dict[str, str]:
    lines = {"": "descriptors of particles" if len(features) > 1 else "a descriptor of particles"}
    for name, variable in list(features.items())[:MOST_PARTS]:
        given = json.loads(variable.attrs["parameters"])
        told = _parameters({key: value for key, value in given.items() if key != "type"})
        shape = ", ".join(f"{dim} ({size})" for dim, size in zip(variable.dims[2:], variable.shape[2:])) or "one number"
        of = f"; of {', '.join(variable.attrs['centers'])}"
        lines[name] = f"{given.get('type', '')}: {shape}{of}; {told}"
    if len(features) > MOST_PARTS:
        lines["and"] = f"{len(features) - MOST_PARTS} more"
    first = next(iter(features.values()))
    lines["of"] = f"{first.sizes.get('particle', 1)} particles in {first.sizes.get('frame', 1)} frames"
    lazy = any(variable.chunks is not None for variable in features.values())
    stored = any("made_from" in variable.attrs for variable in features.values())
    lines["values"] = ("read when used" if stored else "not computed yet") if lazy else "in memory"
    return lines | _kept(values.attrs)


def _reduction(values: xr.Dataset) -> dict[str, str]:
    made = json.loads(values.attrs["reduction"])
    ratios = np.asarray(values["explained_variance_ratio"].values, dtype=float)
    parts = ", ".join(f"{100 * ratio:.3g} %" for ratio in ratios[:MOST_PARTS])
    centers = f" of {', '.join(made['centers'])}" if made.get("centers") else ""
    described = made.get("descriptor") or {}
    lines = {
        "": f"principal components of {made.get('features')}{centers}",
        "components": f"{len(ratios)}; of the variance {parts}{' ...' if len(ratios) > MOST_PARTS else ''}",
        "fitted to": f"{made['n_samples']} particles of all frames, {made['n_undefined']} more are not defined",
        "features": ", ".join(map(str, values["mean"].dims)) + (", divided by their spread" if made["scale"] else ""),
    }
    if described:
        lines["descriptor"] = _parameters(described)
    return lines | _kept(values.attrs)


def _parameters(given: dict[str, Any]) -> str:
    """Parameters that are set, numbers as one reads them."""
    told = []
    for name, value in given.items():
        if isinstance(value, dict) and all(isinstance(each, float) for each in value.values()):
            value = " ".join(f"{key}={each:.4g}" for key, each in value.items())
        if value is not None:
            told.append(f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(told)


def _kept(attrs: dict[str, Any]) -> dict[str, str]:
    return {"stored in": str(attrs["store"])} if attrs.get("store") else {}


def _display(values: Any) -> str:
    """What a notebook shows: what it is, where it is ours, above what xarray shows."""
    about = values.glassdask
    return (about._repr_html_() if about.lines() else "") + values._repr_html_()


def in_notebooks() -> None:
    """Let IPython show datasets so; without it nothing happens."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        for kind in (xr.Dataset, xr.DataArray):
            shell.display_formatter.formatters["text/html"].for_type(kind, _display)


in_notebooks()
