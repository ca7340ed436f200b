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

from glassdask.physics import physics, physics_lines

MOST_PARTS = 6  # descriptors, or components
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
      units      those of the model or the files...
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
