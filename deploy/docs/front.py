"""Draws the figure on the README's first screen: python deploy/docs/front.py [FILE.png].

Left and middle come from the Wahnström configurations that ship with glassdask, right from the relaxation times in
tau_alpha.csv, which `front.toml` simulates: glassdask sweep run deploy/docs/front.toml, then front.py --times STORE.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

import glassdask as gd
from glassdask import plotting

HERE = Path(__file__).parent
TIMES = HERE / "tau_alpha.csv"


def main() -> None:
    """Draw, or collect relaxation times from the store of the sweep."""
    if sys.argv[1:2] == ["--times"]:
        collect(sys.argv[2])
    else:
        draw(Path(sys.argv[1]) if sys.argv[1:] else HERE / "front.png")


def collect(store: str) -> None:
    """tau_alpha of every state, with its error, as CSV."""
    from glassdask.sweep import read_sweep

    rows = []
    for state in read_sweep(store).states:
        found = gd.open_reduction(state.path, "relaxation")
        rows.append((state.temperature, *(float(found[name]) for name in ("tau_total", "tau_total_error"))))
    temperature, tau, error = zip(*sorted(rows))
    plotting.write_table(TIMES, {"temperature": temperature, "tau": tau, "error": error})


def draw(path: Path) -> None:
    """Particles, density of the components, relaxation times, side by side."""
    liquid = gd.example("wahnstrom")
    sbo = gd.SmoothedBondOrder(cutoffs=gd.first_minima(liquid))
    projection = gd.reduce(gd.describe(liquid, [sbo], centers="B")["sbo"])["projection"].compute()
    with open(TIMES, encoding="utf-8") as file:
        temperature, tau, error = np.array([[float(v) for v in row.values()] for row in csv.DictReader(file)]).T

    figure, axes = plotting.figure(1, 3, size=(3.5, 3.0))
    left, middle, right = axes[0]
    first = projection.sel(component=1)
    edge = float(np.nanquantile(np.abs(first), 0.98))
    plotting.snapshot(left, liquid, first, diameters={"A": 1.0, "B": 0.85}, limits=(-edge, edge), cmap="RdBu_r")
    left.set_title("small particles by $\\tilde{X}_1$", fontsize="small")
    plotting.density(middle, projection[..., 0].values.ravel(), projection[..., 1].values.ravel())
    middle.set_title("Wahnström, T = 0.58", fontsize="small")
    right.errorbar(1 / temperature, tau, error, fmt="o", color=plotting.RED, markersize=5, linewidth=1, capsize=2)
    right.set(yscale="log", xlabel="$1/T$", ylabel=r"$\tau_\alpha$")
    plotting.labelled_decades(right.yaxis)
    right.set_title("Kob-Andersen, N = 400", fontsize="small")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
