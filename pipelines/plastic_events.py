"""Which structure foretells plastic events: every indicator of a glass against where it rearranges under shear.

Methods (D. Richard et al., Phys. Rev. Mater. 4, 113609 (2020)). Two-dimensional glasses of Kob and Andersen's mixture
are quenched from the liquid to inherent structures and sheared athermally and quasistatically. Indicators are those of
the glass before any strain, each with the sign with which large means soft: the local yield stress (Patinet et al.
2016), vibrality (the harmonic Debye-Waller factor), the Debye-Waller factor of short dynamics, participation in the
lowest modes, the non-affine displacement by the same shear, local energy, Voronoi area, excess entropy s_2, hexatic
order, Theta, softness, and locally favoured structures. Softness (Cubuk et al. 2015) is the distance from a plane
between the radial surroundings of particles with the largest and the smallest D2min in an event, of either species its
own, found from the other glasses. The favoured structure is the commonest Voronoi cell of a small particle, by its
edges and small neighbours; fewer of them about a particle is softer. An event is where the D2min of a strain step is
largest. With p the part of the particles that are less soft than that one, C = 2 p - 1 is 1 where the indicator names
the place, 0 where it knows nothing; it is averaged over glasses, for the first event and by the strain of later ones.
Errors are standard errors over glasses.

    python pipelines/plastic_events.py                                   # some minutes
    python pipelines/plastic_events.py --glasses 50 --particles 2500 --cluster slurm.toml

What was interrupted goes on. `plastic_events.csv` has C of every event and indicator, `ranking.csv` and the figure the
means.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import dask
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from refusing import told
from simulating import run

import glassdask as gd
from glassdask import plotting, simulation

MODEL = "kam_2d"
LOWEST = 10  # modes of which particles take part
SIZES = {("A", "A"): 1.0, ("A", "B"): 0.8, ("B", "B"): 0.88}  # of the potentials
BINS = 6  # of the strain
COLD, RATTLE, FRAMES = 0.03, 20.0, 100  # temperature, duration and frames of the short dynamics
SHELLS = tuple(round(0.5 + 0.1 * k, 1) for k in range(26))  # radii of the surroundings
EXTREME = 0.05  # part of the particles of a species that counts as soft, and as many that count as hard
NEAREST = 2.5  # whose motion relative to a particle is its D2min


@told
def main() -> None:
    """Quench, shear, describe and rank."""
    parser = argparse.ArgumentParser(description="Rank indicators by how well they foretell plastic events.")
    parser.add_argument("--output", type=Path, default=Path("results/plastic_events"), help="folder of all results")
    parser.add_argument("--glasses", type=int, default=6, help="independent glasses, default 6")
    parser.add_argument("--particles", type=int, default=400, help="of each, default 400")
    parser.add_argument("--strain", type=float, default=0.05, help="up to which they are sheared, default 0.05")
    parser.add_argument("--increment", type=float, default=2e-4, help="step of the strain, default 2e-4")
    parser.add_argument("--rate", type=float, default=0.01, help="of cooling, temperature per time, default 0.01")
    parser.add_argument("--radius", type=float, default=4.0, help="of the local yield stress, default 4")
    parser.add_argument("--cluster", default="local", help="local, threads, tcp://HOST:PORT or a TOML profile")
    chosen = parser.parse_args()
    if chosen.glasses < 2:
        parser.error("--glasses: expected at least 2, for errors")
    chosen.output.mkdir(parents=True, exist_ok=True)
    places = [chosen.output / f"glass-{number:03d}" for number in range(chosen.glasses)]
    with gd.cluster.connect(chosen.cluster) as client:
        made = [simulated(place, number, chosen) for number, place in enumerate(places)]
        run({"glasses under shear": made}, client, print)
        rows = foretold(places, chosen.radius)
    if not rows:
        parser.error(f"no glass has rearranged up to a strain of {chosen.strain:g}: raise --strain")
    plotting.write_table(chosen.output / "plastic_events.csv", {key: [row[key] for row in rows] for key in rows[0]})
    for name, c, error in draw(rows, chosen.strain, chosen.output):
        print(f"{name:34} C of the first event {c:6.3f} +- {error:.3f}")


def foretold(places: list[Path], radius: float) -> list[dict[str, float | str]]:
    """C of every event of all glasses and every indicator."""
    soft, rows = [], []
    for place in places:
        soft.append(indicators(place, radius))
        print(f"described: {place.name}")
    for own, distance, favoured in zip(soft, softness(places), favoured_structures(places)):
        own |= {"softness": distance, "locally favoured structures": -favoured}
    for number, (place, own) in enumerate(zip(places, soft)):
        for strain, motion in events(place):
            where = int(np.nanargmax(motion))
            for name, values in own.items():
                row = {"glass": number, "strain": round(strain, 6), "particle": where, "indicator": name}
                rows.append({**row, "C": round(correlation(values, where), 5)})
    return rows


def simulated(place: Path, seed: int, chosen: argparse.Namespace) -> dask.delayed.Delayed:
    """The task that makes a glass, shears it and lets its particles rattle."""
    quenched = simulation.Simulation(
        model=MODEL,
        start=simulation.RandomStart(n_particles=chosen.particles),
        stages=(
            simulation.Dynamics(time=20.0, temperature=2.0),
            simulation.quench(2.0, 0.1, rate=chosen.rate),
            simulation.Minimum(),
        ),
        seed=seed,
    )
    sheared = simulation.Simulation(
        model=MODEL,
        start=simulation.StoredStart(path=str(place / "glass.zarr")),
        stages=(simulation.Shear(strain=chosen.strain, increment=chosen.increment, dissipation=1e-2),),
    )
    rattling = simulation.Simulation(
        model=MODEL,
        start=simulation.StoredStart(path=str(place / "glass.zarr")),
        stages=(
            simulation.Dynamics(time=RATTLE, temperature=COLD),
            simulation.Dynamics(time=RATTLE, temperature=COLD, every=RATTLE / FRAMES),
        ),
        seed=seed,
    )
    glass = simulation.simulate(quenched, str(place / "glass.zarr"))
    strained = simulation.simulate(sheared, str(place / "sheared.zarr"), after=glass)
    return simulation.simulate(rattling, str(place / "rattling.zarr"), after=strained)


def indicators(place: Path, radius: float) -> dict[str, np.ndarray]:
    """What is known of every particle of a glass, large where it is soft; (N,) each. The costly one is stored."""
    store = place / "glass.zarr"
    glass = gd.open_trajectory(store)
    strength = gd.LocalYieldStress(model=MODEL, radius=radius, directions=3, increment=4e-3, dissipation=1e-2)
    gd.save_descriptors(gd.describe(glass, [strength]), store)
    glass = glass.load()
    structure = gd.describe(
        glass,
        [
            gd.LocalEnergy(model=MODEL), gd.PairEntropy(r_max=2.5), gd.Hexatic(n=6, neighbors=gd.Voronoi()),
            gd.TongTanaka(sigma=SIZES, neighbors=gd.Voronoi()), gd.VoronoiCell(),
        ],
    ).isel(frame=0).compute()  # fmt: skip
    modes = simulation.lowest_modes(MODEL, glass, 2 * glass.sizes["particle"] - 2)
    moved = simulation.elastic_moduli(MODEL, glass)["nonaffine_displacement"].sel(strain_a="xy")
    rattled = gd.open_trajectory(place / "rattling.zarr").load()
    lowest = modes.isel(mode=slice(0, LOWEST))
    return {
        "local yield stress": -gd.open_descriptors(store)["local_yield_stress"].isel(frame=0).values,
        "vibrality": simulation.vibrality(modes).values,
        "Debye-Waller factor": gd.dynamics.debye_waller(rattled.isel(frame=slice(-FRAMES, None)), RATTLE).values,
        f"part in the {LOWEST} lowest modes": (lowest["polarization"] ** 2).sum(["mode", "space"]).values,
        "non-affine displacement": np.sqrt((moved**2).sum("space")).values,
        "local energy": structure["local_energy"].values,
        "excess entropy": structure["pair_entropy"].values,
        "hexatic order": -abs(structure["hexatic"]).values.reshape(glass.sizes["particle"], -1)[:, -1],
        "Theta": structure["theta"].values,
        "Voronoi area": structure["voronoi"].sel(voronoi_feature="volume").values,
    }


def softness(places: list[Path]) -> list[np.ndarray]:
    """Distances of the particles of each glass from the plane that the other glasses give; (N,) each."""
    rows, labels = [], []
    for place in places:
        glass = gd.open_trajectory(place / "glass.zarr").load()
        around = gd.describe(glass, [gd.RadialDensity(grid=SHELLS, delta=0.1)])["radial_density"]
        kind = glass["species"].values == "A"
        features = around.isel(frame=0).values.reshape(len(kind), -1)
        # linear in these means a plane for each species
        rows.append(np.hstack([features * kind[:, None], features * ~kind[:, None], kind[:, None]]))
        motion = np.max([np.zeros(len(kind)), *(found for _, found in events(place))], axis=0)
        label = np.full(len(kind), np.nan)
        if motion.any():
            active, known = gd.learning.balanced_extremes(motion, EXTREME, groups=kind)
            label[active] = known
        labels.append(label)
    if sum(np.isfinite(label).any() for label in labels) < 2:  # there must be another glass to learn from
        return [np.full(len(label), np.nan) for label in labels]
    group = np.repeat(np.arange(len(places)), [len(label) for label in labels])
    found = gd.learning.softness(np.vstack(rows), np.concatenate(labels), group)
    return [found.distance[group == number] for number in range(len(places))]


def favoured_structures(places: list[Path]) -> list[np.ndarray]:
    """How many favoured structures each particle of each glass belongs to; (N,) each."""
    cells, lists = [], []
    for place in places:
        glass = gd.open_trajectory(place / "glass.zarr").load()
        near = gd.neighbors(glass, gd.Voronoi())[0]
        small = glass["species"].values == "B"
        cells.append(np.where(small, 100 * near.counts + near.matrix() @ small, -1).astype(int))
        lists.append(near)
    kinds, counts = np.unique(np.concatenate([cell[cell >= 0] for cell in cells]), return_counts=True)
    favoured = kinds[counts.argmax()]
    print(f"locally favoured: small particles with {favoured // 100} neighbours, {favoured % 100} of them small")
    return [(cell == favoured) + near.matrix() @ (cell == favoured) for cell, near in zip(cells, lists)]


def events(place: Path) -> list[tuple[float, np.ndarray]]:
    """Strain of each event of a glass, and the D2min of the particles in it."""
    run = gd.open_trajectory(place / "sheared.zarr").load()
    before, after = run.isel(frame=slice(1, -1, 2)), run.isel(frame=slice(2, -1, 2))
    if not before.sizes["frame"]:
        return []
    motion = gd.dynamics.d2min(before, after, NEAREST)["d2min"].values
    return [(float(strain), row) for strain, row in zip(after["strain"].values, motion)]


def correlation(values: np.ndarray, where: int) -> float:
    """2 p - 1, p being the part of the others that are less soft than one particle; those that are alike count half.

    NaN where nothing is known of that one, or of no other.

    >>> correlation(np.array([0.0, 1.0, 2.0]), 2)
    1.0
    """
    others = np.delete(values, where)
    others = others[~np.isnan(others)]
    if np.isnan(values[where]) or not len(others):
        return np.nan
    return float(np.mean(values[where] > others) - np.mean(values[where] < others))


def draw(rows: list[dict], strain: float, folder: Path) -> list[tuple[str, float, float]]:
    """The figure and its numbers; indicators with C of the first event and its error, the best first."""
    events = xr.DataArray(
        [row["C"] for row in rows], dims="event",
        coords={name: ("event", [row[name] for row in rows]) for name in ("glass", "strain", "indicator")},
    )  # fmt: skip
    found = []
    for name in dict.fromkeys(row["indicator"] for row in rows):
        own = events[events["indicator"] == name]
        first = np.array([float(part[0]) for _, part in own.groupby("glass")])  # events come in order
        first, mean, error = first[~np.isnan(first)], np.nan, np.nan
        if len(first):
            mean = float(first.mean())
        if len(first) > 1:
            error = float(first.std(ddof=1) / len(first) ** 0.5)
        found.append((name, mean, error))
    found.sort(key=lambda row: -np.nan_to_num(row[1], nan=-2.0))  # what is not known comes last
    drawn, axes = plotting.figure(1, 2, (4.6, 4.2))
    ranked, decay = axes[0]
    colours = [plt.get_cmap("tab20")(k % 20) for k in range(len(found))]  # a bar is the legend of its curve
    names, values, errors = (list(column) for column in zip(*found))
    ranked.barh(names, values, xerr=errors, color=colours)
    ranked.invert_yaxis()
    ranked.set(xlabel="C of the first event", xlim=(np.nanmin([0.0, *np.subtract(values, errors)]) - 0.05, 1.0))
    edges = np.linspace(0.0, strain, BINS + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    table: dict[str, list] = {"indicator": names, "C_first": values, "C_first_error": errors, "strain": list(middle)}
    for name, colour in zip(names, colours):
        own = events[events["indicator"] == name]
        bins = np.clip(np.digitize(own["strain"], edges) - 1, 0, BINS - 1)
        means = [float(own[bins == k].mean()) if (bins == k).any() else np.nan for k in range(BINS)]
        decay.plot(middle, means, marker="o", markersize=3, color=colour)
        table[f"C {name}"] = means
    decay.set(
        xlabel="strain of the event",
        ylabel="C",
        title=f"{len(np.unique(events['glass']))} glasses, colours of the bars",
    )
    plotting.save(drawn, folder / "ranking.png", table)
    return found


if __name__ == "__main__":
    main()
