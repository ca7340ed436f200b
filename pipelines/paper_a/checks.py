"""Whether the simulated liquids are those of the literature: peaks of g_ab(r), coordination, angles, Voronoi cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from report import plain

import glassdask as gd
from paper_a.structure import State

# Vitreous silica, X-rays: R. L. Mozzi and B. E. Warren, J. Appl. Cryst. 2, 164 (1969): Si-O 1.62, O-O 2.65, Si-Si 3.12
# angstrom, Si-O-Si 144 degrees.
EXPERIMENT = "vitreous silica, Mozzi and Warren 1969"
# The model's authors keep two of their configurations with its definition (package berni 0.2.1, density 1.655: N = 300
# at T = 0.31, N = 255 at T = 0.666); these are glassdask's numbers of the colder one, whose peaks of g_ab(r) are sure
# to 0.01.
AUTHORS = "the authors' configuration, T = 0.31, N = 300"


@dataclass(frozen=True)
class Check:
    """A number of a liquid's structure, its range in the literature, and where that is from."""

    system: str
    quantity: str
    ours: float
    low: float
    high: float
    source: str

    def cells(self) -> list[str]:
        """As a row of a table."""
        within = self.low <= self.ours <= self.high
        return [plain(self.system), self.quantity, f"{self.ours:.3f}", f"{self.low:g} to {self.high:g}", self.source,
                "yes" if within else "no"]  # fmt: skip


HEADER = ["system", "quantity", "ours", "expected", "from", "within"]


def checks(states: Iterable[State]) -> list[Check]:
    """All checks of the liquids for which there are any."""
    known = {"silica": silica, "nickel_yttrium": nickel_yttrium, "copper_zirconium": copper_zirconium}
    return [check for state in states if state.mixture.name in known for check in known[state.mixture.name](state)]


def silica(state: State) -> list[Check]:
    """Si is fourfold, O twofold, O-Si-O tetrahedral; distances are those of silica in units of Si-O."""
    peak = _peaks(state)
    si, o = _coordination(state, "Si"), _coordination(state, "O")
    angles = gd.bond_angle_distribution(state.trajectory, state.cutoffs)
    title = state.title
    return [
        Check(title, "first peak of g_SiO", peak["O", "Si"], 0.535, 0.575, AUTHORS),
        Check(title, "first peak of g_OO over that of g_SiO", peak["O", "O"] / peak["O", "Si"], 1.55, 1.68, EXPERIMENT),
        Check(title, "first peak of g_SiSi over that of g_SiO", peak["Si", "Si"] / peak["O", "Si"], 1.89, 2.06,
              f"{EXPERIMENT} (1.93) and {AUTHORS} (2.02)"),
        Check(title, "mean number of O around Si", float(si.mean()), 3.8, 4.0, f"{AUTHORS} (3.96)"),
        Check(title, "mean number of Si around O", float(o.mean()), 1.9, 2.0, f"{AUTHORS} (1.95)"),
        Check(title, "share of fourfold Si", float((si == 4).mean()), 0.85, 0.97,
              f"{AUTHORS} (0.96), and 0.62 at T = 0.666"),
        Check(title, "share of Si with more than four O", float((si > 4).mean()), 0.0, 0.01,
              "the paper, Sec. III.B: defects are under-coordinated"),
        Check(title, "mean angle O-Si-O, degrees", _mean_angle(angles, "Si", "O"), 107.0, 110.0,
              "tetrahedron, 109.5"),
        Check(title, "mean angle Si-O-Si, degrees", _mean_angle(angles, "O", "Si"), 135.0, 160.0, EXPERIMENT),
    ]  # fmt: skip


def nickel_yttrium(state: State) -> list[Check]:
    """Peaks where the potentials have their minima, and (0,2,8) the most frequent cell around Ni."""
    peak, minimum = _peaks(state), 2 ** (1 / 6)
    rows = [
        Check(state.title, f"first peak of g_{a}{b}", peak[pair], 0.9 * minimum * sigma, 1.02 * minimum * sigma,
              "minimum of the potential, 2^(1/6) sigma")
        for pair, sigma in ((("Y", "Y"), 1.0), (("Ni", "Y"), 0.772768)) for a, b in [pair]
    ]  # fmt: skip
    source = "Coslovich and Pastore, J. Chem. Phys. 127, 124504 (2007): bicapped square antiprism"
    return [*rows, Check(state.title, "rank of the cell (0,2,8) around Ni", _rank(state), 1, 1, source)]


def copper_zirconium(state: State) -> list[Check]:
    """Distances of metallic radii, and icosahedra the most frequent cell around Cu."""
    peak, metallic = _peaks(state), "metallic diameters, 2.56 and 3.20 angstrom, and their mean, to 7 %"
    diameters = {("Cu", "Cu"): 2.56, ("Cu", "Zr"): 2.88, ("Zr", "Zr"): 3.20}
    rows = [
        Check(state.title, f"first peak of g_{a}{b}", peak[a, b], 0.93 * d, 1.07 * d, metallic)
        for (a, b), d in diameters.items()
    ]
    source = "Soklaski et al., Phys. Rev. B 87, 184203 (2013): icosahedra around Cu"
    return [*rows, Check(state.title, "rank of the cell (0,0,12) around Cu", _rank(state), 1, 1, source)]


def _peaks(state: State) -> dict[tuple[str, str], float]:
    return {pair: gd.first_shell(state.distribution, *pair).peak for pair in state.cutoffs}


def _coordination(state: State, species: str) -> np.ndarray:
    """Number of neighbours of the other species, of every particle of one."""
    counted = gd.Coordination(cutoffs=state.cutoffs, neighbor_species="other")
    found = gd.describe(state.trajectory, {"z": counted}, centers=species)["z"].compute()
    return np.asarray(gd.feature_matrix(found)).ravel()


def _mean_angle(angles: Any, center: str, other: str) -> float:
    p = angles["probability"].sel(center=center, species_a=other, species_b=other)
    return float((p * p["angle"]).sum() / p.sum())


def _rank(state: State) -> int:
    """How many kinds of Voronoi cells are at least as frequent around the small particles as the favored one."""
    cells = gd.describe(state.trajectory, [gd.VoronoiCell(diameters=state.diameters)],
                        centers=state.mixture.centers["small"])["voronoi"].compute()  # fmt: skip
    rows = np.asarray(gd.feature_matrix(cells))[:, 1:].astype(int)  # faces, n3, n4, n5, n6
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    signature = [*(state.mixture.signature or ()), 0, 0][:4]
    favored = (kinds == [sum(signature), *signature]).all(axis=1)
    return int((counts >= counts[favored].sum()).sum()) if favored.any() else len(kinds) + 1
