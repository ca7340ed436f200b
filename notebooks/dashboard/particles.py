"""The particles of one frame: where they are, how large, what colours them; a bounded number is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from dashboard.store import SweepStore
from glassdask import plotting

SPECIES = "species"
MOST_DISCS, MOST_SPHERES = 20_000, 20_000  # that a browser draws without delay
MOST_FEATURES = 32  # of a descriptor among the variables
SCHEMA = ("position", "velocity", "image", "species", "present", "particle_id")  # are no colours


def variables(store: SweepStore, state: str, descriptor: str) -> list[str]:
    """Names of what can colour the particles of a state."""
    projection = store.projection(state, descriptor)
    names = [SPECIES, *(f"{descriptor} PC{k}" for k in range(1, projection.sizes["component"] + 1))]
    trajectory = store.trajectory(state, descriptor)
    for name, values in trajectory.items():
        own = {"frame", "particle"} >= set(values.dims) and "particle" in values.dims
        if own and name not in SCHEMA and values.dtype.kind in "fiub":
            names.append(str(name))
    features = store.features(state, descriptor)
    if features is not None:
        count = int(np.prod([features.sizes[d] for d in features.dims if d not in ("frame", "particle")], dtype=int))
        names += [f"{descriptor} {k}" for k in range(1, min(count, MOST_FEATURES) + 1)]
    return names


def values_of(store: SweepStore, state: str, descriptor: str, name: str) -> xr.DataArray | None:
    """A variable (frame, particle) or (particle) by its name, lazy; None for the species."""
    if name == SPECIES:
        return None
    head, _, last = name.rpartition(" ")
    if head == descriptor and last.startswith("PC"):
        return (
            store.projection(state, descriptor)
            .isel(component=int(last[2:]) - 1)
            .drop_vars("component", errors="ignore")
            .rename(name)
        )
    if head == descriptor and last.isdigit():
        features = store.features(state, descriptor)
        if features is not None:
            own = [d for d in features.dims if d not in ("frame", "particle")]
            at = np.unravel_index(int(last) - 1, [features.sizes[d] for d in own]) if own else ()
            return features.isel(dict(zip(own, map(int, at)))).reset_coords(drop=True).rename(name)
    return store.trajectory(state, descriptor)[name]


@dataclass(frozen=True)
class Snapshot:
    """A frame: `plane` are the first two components of all particles, `value` what colours them.

    `names` are the values where these are words, `range` the ends of the colours where they are numbers.
    """

    trajectory: xr.Dataset
    values: xr.DataArray | None
    frame: int
    position: np.ndarray
    box: np.ndarray
    species: np.ndarray
    diameter: np.ndarray
    plane: tuple[np.ndarray, np.ndarray]
    value: np.ndarray
    names: list[str]
    range: tuple[float, float]
    label: str

    @classmethod
    def read(cls, store: SweepStore, state: str, descriptor: str, frame: int, colour: str) -> Snapshot:
        """Read one frame; nothing else of the state is."""
        trajectory = store.trajectory(state, descriptor)
        frame = min(frame, trajectory.sizes["frame"] - 1)
        here = (
            trajectory[[n for n in ("position", "box", "species", "diameter") if n in trajectory]]
            .isel(frame=frame)
            .load()
        )
        position, box = here["position"].values, here["box"].values
        species = here["species"].values.astype(str)
        values = values_of(store, state, descriptor, colour)
        names: list[str] = []
        if values is None:
            value: np.ndarray = species
            names = sorted(set(species.tolist()))
        else:
            value = np.asarray((values.isel(frame=frame) if "frame" in values.dims else values).values, float)
        spacing = float((abs(np.linalg.det(box)) / max(1, len(position))) ** (1 / len(box)))
        diameter = here["diameter"].values if "diameter" in here else np.full(len(position), 0.9 * spacing)
        components = store.projection(state, descriptor).isel(frame=frame).values
        second = components[:, 1] if components.shape[1] > 1 else np.zeros(len(components))
        finite = value[np.isfinite(value)] if not names else np.zeros(0)
        ends = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        return cls(
            trajectory,
            values,
            frame,
            position,
            box,
            species,
            diameter,
            (components[:, 0], second),
            value,
            names,
            ends if ends[0] < ends[1] else (ends[0], ends[0] + 1.0),
            colour,
        )

    @property
    def edges(self) -> tuple[float, float]:
        """Lengths of the box along x and y."""
        return float(self.box[0, 0]), float(self.box[1, 1])

    @property
    def cropped(self) -> bool:
        """Whether only the middle of the box is drawn as discs."""
        return self.position.shape[1] == 2 and len(self.position) > MOST_DISCS

    def slice(self, height: float, most: int) -> tuple[np.ndarray, str]:
        """Numbers of the particles that are drawn as discs, and which these are in words.

        In three dimensions a layer around z = `height`, periodic, as thick as particles are apart; in two all, or those
        in the middle where they are more than `most`.
        """
        n = len(self.position)
        there = np.isfinite(self.position).all(axis=1)
        if self.position.shape[1] == 2:
            if there.sum() <= most:
                return np.flatnonzero(there), f"all {there.sum():,} particles"
            away = np.abs(self.position - 0.5 * self.box.sum(axis=0)).max(axis=1)
            kept = np.sort(np.argsort(np.where(there, away, np.inf), kind="stable")[:most])
            return kept, f"the middle {most:,} of {n:,} particles"
        thick = 2.0 * float((abs(np.linalg.det(self.box)) / n) ** (1 / 3))
        away = self.position[:, 2] - height
        away = away - self.box[2, 2] * np.rint(away / self.box[2, 2])
        near = np.flatnonzero(there & (np.abs(away) <= 0.5 * thick))
        told = f"|z - {height:.3g}| < {0.5 * thick:.2g}: {len(near):,} of {n:,} particles"
        if len(near) > most:
            near = near[np.argsort(np.abs(self.position[near, :2] - 0.5 * np.array(self.edges)).max(axis=1))[:most]]
            told += f", the middle {most:,} drawn"
        return near[np.argsort(away[near], kind="stable")], told

    def columns(self, order: np.ndarray, *, all_axes: bool = False) -> dict[str, Any]:
        """What is drawn or written of some particles."""
        found = {
            "particle": order,
            "x": self.position[order, 0],
            "y": self.position[order, 1],
            "radius": 0.5 * self.diameter[order],
            "species": self.species[order],
            "value": self.value[order],
            "X1": self.plane[0][order],
            "X2": self.plane[1][order],
        }
        if all_axes:
            found |= {"z": self.position[order, 2]} if self.position.shape[1] == 3 else {}
            found[self.label if self.label != SPECIES else "species"] = found.pop("value")
        return found

    def spheres(self, most: int, chosen: np.ndarray, colour: str) -> tuple[Any, dict[int, np.ndarray]]:
        """`glassdask.plotting.view` of the frame, with the chosen particles in another colour as its last trace.

        Also, for each trace of particles, their numbers. Of more than `most` particles those in the middle are drawn.
        """
        n, d = self.position.shape
        there = np.isfinite(self.position).all(axis=1)
        title = ""
        trajectory = self.trajectory.isel(frame=[self.frame])
        values = self.values
        if values is not None and "frame" in values.dims:
            values = values.isel(frame=[self.frame])
        if there.sum() > most:
            away = np.abs((self.position - 0.5 * self.box.sum(axis=0)) / np.diagonal(self.box)).max(axis=1)
            kept = np.sort(np.argsort(np.where(there, away, np.inf), kind="stable")[:most])
            trajectory = trajectory.isel(particle=kept)
            values = None if values is None else values.isel(particle=kept)
            title = f"the middle {most:,} of {n:,} particles"
        else:
            kept = np.arange(n)
        shown = kept[there[kept]]
        drawn = plotting.view(trajectory, values, limits=None if self.names else self.range)
        if self.names:
            groups = [shown[self.species[shown] == name] for name in sorted(set(self.species[shown].tolist()))]
        else:
            finite = np.isfinite(self.value[shown])
            groups = [shown[finite], shown[~finite]]
        own = [k for k, trace in enumerate(drawn.data) if trace.mode == "markers"]
        numbers = dict(zip(own, groups))
        if title:
            drawn.update_layout(title={"text": title, "font": {"size": 13}})
        position = np.zeros((n, 3))
        position[:, :d] = self.position
        red = position[chosen[np.isin(chosen, shown)]]
        size = np.max([np.max(drawn.data[k].marker.size, initial=1.0) for k in own], initial=1.0)
        marker = {"size": 1.15 * size, "color": colour, "line": {"width": 0}}
        drawn.add_scatter3d(
            x=red[:, 0],
            y=red[:, 1],
            z=red[:, 2],
            mode="markers",
            marker=marker,
            name="selected",
            showlegend=False,
            hoverinfo="skip",
        )
        return drawn, numbers
