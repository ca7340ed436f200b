"""Local structure of glassy mixtures by dimensionality reduction (Coslovich, Jack, Paret, J. Chem. Phys. 157, 204503).

Methods. Configurations of two model liquids near their mode-coupling temperatures are ingested into a store. The first
coordination shell is delimited by the first minima of the partial radial distribution functions. Around every small
particle the bond order is measured twice: sharp (Eqs. 4-6) and smoothed (Eqs. 7-9, gamma = 8, R = 1.3 r_c), for
l = 1..8, with the coordination number z and the locally favored structure from a radical Voronoi tessellation beside
them, all in one pass. Principal component analysis (Eqs. 22-24), without feature scaling, reduces both descriptors.

Results, for each mixture in ``results/MIXTURE/``: the store, Table II and the figures of the paper (Figs. 1, 3, 4, 5
top), each as PNG with its numbers as CSV, and one line that compares the principal directions with those published.

    python pipelines/local_structure.py --help
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

import glassdask as gd
from glassdask import plotting

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Mixture:
    """A model liquid: its configurations, its locally favored structure and the paper's Table II."""

    title: str
    configurations: Path
    signature: tuple[int, ...]
    explained_variance_ratio: tuple[float, float]
    directions: tuple[tuple[float, ...], tuple[float, ...]]


MIXTURES = {
    "wahnstrom": Mixture(
        title="Wahnström, T = 0.58",
        configurations=DATA / "wahn_N4000_T0.58.npz",
        signature=(0, 0, 12),  # icosahedron
        explained_variance_ratio=(0.61, 0.20),
        directions=(
            (-0.03, -0.04, -0.06, -0.13, -0.41, +0.68, -0.50, -0.31),
            (-0.05, +0.01, +0.03, +0.12, +0.72, +0.09, -0.64, +0.22),
        ),
    ),
    "kob_andersen": Mixture(
        title="Kob-Andersen, T = 0.45",
        configurations=DATA / "ka_N2000_T0.45.npz",
        signature=(0, 2, 8),  # twisted bicapped square prism
        explained_variance_ratio=(0.37, 0.31),
        directions=(
            (+0.06, +0.07, +0.19, +0.66, -0.51, +0.05, +0.49, +0.12),
            (+0.07, +0.01, +0.02, -0.39, -0.50, +0.65, +0.01, -0.40),
        ),
    ),
}


def main() -> None:
    """Run the analysis for the chosen mixtures."""
    parser = argparse.ArgumentParser(description="Paper A's first-shell analysis on configurations of model liquids.")
    parser.add_argument("mixtures", nargs="*", metavar="MIXTURE", help=f"which of {', '.join(MIXTURES)}; default all")
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of the results")
    parser.add_argument("--cluster", default="local", help="local, threads, tcp://HOST:PORT or a TOML profile")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.mixtures) - set(MIXTURES))
    if unknown:
        parser.error(f"mixture {', '.join(unknown)} is not known: expected some of {', '.join(MIXTURES)}")
    with gd.cluster.connect(chosen.cluster):
        lines = [analyse(MIXTURES[name], chosen.output / name) for name in chosen.mixtures or MIXTURES]
    print(*lines, sep="\n")


def analyse(mixture: Mixture, folder: Path) -> str:
    """All results for one mixture; returns the comparison with the published table."""
    store = folder / "store.zarr"
    print(f"{mixture.title}: {folder}", flush=True)

    gd.ingest(mixture.configurations, store, species_names={1: "A", 2: "B"})
    trajectory = gd.open_trajectory(store)

    # The first coordination shell ends at the first minima of g_ab(r)
    cutoffs = gd.first_minima(trajectory)
    draw_pair_correlations(gd.radial_distribution(trajectory)["g"], cutoffs, folder)

    # Descriptors of the small particles, one pass over the same neighbours
    descriptors = [
        gd.SmoothedBondOrder(l_max=8, gamma=8, cutoffs=cutoffs),
        gd.BondOrder(l_max=8, cutoffs=cutoffs),
        gd.Coordination(cutoffs=cutoffs),
        gd.LocallyFavoredStructure(signature=mixture.signature, diameters=gd.first_peaks(trajectory)),
    ]
    gd.save_descriptors(gd.describe(trajectory, descriptors, centers="B"), store)
    features = gd.open_descriptors(store)

    # Dimensionality reduction
    for name in ("sbo", "bo"):
        gd.save_reduction(gd.reduce(features[name]), store, name)
    smoothed, sharp = (gd.open_reduction(store, name).load() for name in ("sbo", "bo"))

    draw_overview(smoothed, features["lfs"].values, folder)
    draw_bands(sharp, smoothed, features["coordination"].values, folder)
    draw_spectrum(smoothed, folder)
    return compare(mixture, smoothed, folder)


def draw_pair_correlations(g: xr.DataArray, cutoffs: dict[tuple[str, str], float], folder: Path) -> None:
    """Partial g_ab(r) with the chosen cutoffs."""
    drawn, axes = plotting.figure(1, len(cutoffs))
    plotting.save(drawn, folder / "pair_correlations", plotting.pair_correlations(axes[0], g, cutoffs))


def draw_overview(reduced: xr.Dataset, lfs: np.ndarray, folder: Path) -> None:
    """Fig. 1: density in the plane of the first two components, LFS, first direction, and all marginals."""
    x = reduced["projection"].values
    drawn, ((a, b), (c, d)) = plotting.figure(2, 2)
    table = plotting.density(a, x[..., 0], x[..., 1])

    first = x[..., 0][np.isfinite(x[..., 0])]
    edges = np.histogram_bin_edges(first, bins=60)
    table["x1_bin"], table["p_x1"] = plotting.distribution(
        b, first, bins=edges, color="black", label=r"$p(\tilde{X}_1)$"
    )
    locally_favored = x[..., 0][lfs == 1]
    _, table["p_x1_lfs"] = plotting.distribution(
        b, locally_favored, bins=edges, color=plotting.RED, label=r"$p(\tilde{X}_1|$LFS$)$"
    )
    b.set(xlabel=r"$\tilde{X}_1$", ylabel="probability density", ylim=(0, None))
    b.legend(frameon=False)

    plotting.direction(c, reduced["direction"].sel(component=1))
    table["l"], table["direction_1"] = reduced["l"].values, reduced["direction"].sel(component=1).values

    for j in range(x.shape[-1], 0, -1):
        style = {"color": plotting.RED, "zorder": 3} if j == 1 else {"color": "black", "alpha": 0.3 + 0.09 * (j - 2)}
        table[f"x{j}_bin"], table[f"p_x{j}_marginal"] = plotting.distribution(
            d, x[..., j - 1] - np.nanmean(x[..., j - 1]), linewidth=1, **style
        )
    spread = float(np.sqrt(reduced["explained_variance"].values[-1]))
    grid = np.linspace(-6 * spread, 6 * spread, 200)
    gauss = np.exp(-0.5 * (grid / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    d.plot(grid, gauss, color=plotting.LIGHT_BLUE, linewidth=2.5, zorder=1)
    d.set(xlabel=r"$\tilde{X}_j$", ylabel=r"$p(\tilde{X}_j)$", ylim=(0, None))
    for panel, letter in zip((a, b, c, d), "abcd"):
        panel.set_title(f"({letter})", loc="left")
    plotting.save(drawn, folder / "fig1_overview", table)


def draw_bands(sharp: xr.Dataset, smoothed: xr.Dataset, z: np.ndarray, folder: Path) -> None:
    """Figs. 2 and 3: density of the components, smoothed and sharp. Fig. 4: the sharp ones coloured by z."""
    for name, reduced in (("fig2_smoothed", smoothed), ("fig3_sharp", sharp)):
        x = reduced["projection"].values
        drawn, axes = plotting.figure(2, 1)
        table = plotting.density(axes[0, 0], x[..., 0], x[..., 1])
        table["x1_bin"], table["p_x1"] = plotting.distribution(axes[1, 0], x[..., 0], color="black")
        axes[1, 0].set(xlabel=r"$\tilde{X}_1$", ylabel=r"$p(\tilde{X}_1)$", ylim=(0, None))
        plotting.save(drawn, folder / name, table)
    x = sharp["projection"].values
    drawn, axes = plotting.figure()
    table = plotting.scatter(axes[0, 0], x[..., 0], x[..., 1], z, label="$z$")
    plotting.save(drawn, folder / "fig4_bands", {"x1": table["x1"], "x2": table["x2"], "z": table["color"]})


def draw_spectrum(reduced: xr.Dataset, folder: Path) -> None:
    """Fig. 5, top: explained variance ratio of every component."""
    ratio = reduced["explained_variance_ratio"].values
    drawn, axes = plotting.figure()
    plotting.spectrum(axes[0, 0], ratio)
    plotting.save(drawn, folder / "fig5_spectrum", {"component": reduced["component"].values, "evr": ratio})


def compare(mixture: Mixture, reduced: xr.Dataset, folder: Path) -> str:
    """Table II beside the published one, and one line that says how near they are.

    Two directions of nearly the same variance may come out mixed; then it is the plane that they span that is compared:
    both cosines of its principal angles with the published plane.
    """
    published = np.array(mixture.directions)
    ours = reduced["direction"].sel(component=[1, 2]).values
    ratio = reduced["explained_variance_ratio"].sel(component=[1, 2]).values
    # the sign of a direction means nothing: take the published one
    signs = np.sign(np.sum(ours * published, axis=1))
    table = {"quantity": ["EVR", *(f"Q_{l}" for l in reduced["l"].values)]}
    for k in range(2):
        table[f"pc{k + 1}"] = [ratio[k], *(signs[k] * ours[k])]
        table[f"pc{k + 1}_published"] = [mixture.explained_variance_ratio[k], *published[k]]
    plotting.write_table(folder / "table2.csv", table)

    cosines = np.abs(np.sum(ours * published, axis=1)) / np.linalg.norm(published, axis=1)
    plane = gd.learning.principal_cosines(ours, published)
    expected = " + ".join(f"{100 * r:.0f} %" for r in mixture.explained_variance_ratio)
    return (
        f"{mixture.title}: EVR {100 * ratio[0]:.1f} % + {100 * ratio[1]:.1f} % (published {expected}); with Table II "
        f"|cos| {cosines[0]:.3f} (PC1), {cosines[1]:.3f} (PC2), plane {plane.min():.3f}"
    )


if __name__ == "__main__":
    main()
