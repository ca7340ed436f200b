"""What the paper says: its two systems and every number that is printed in it or in its supplement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

INDICATORS = ("Gamma", "Upsilon", "Theta")
SYMBOLS = {"Gamma": r"\Gamma", "Upsilon": r"\Upsilon", "Theta": r"\Theta", "Delta": r"\Delta"}
PAIRS = (("Gamma", "Upsilon"), ("Gamma", "Theta"), ("Theta", "Upsilon"))
DELTAS = (0.3, 1.0, 3.0)
COOLING_RATE = 8.33e-5

# mean and standard deviation over configurations, of Pearson's and of Spearman's coefficient
Spread = tuple[float, float, float, float]
# C_max, delta*, xi*
Optimum = tuple[float, float, float]


@dataclass(frozen=True)
class Published:
    """Numbers of one system.

    `accuracy` (glass, liquid) is Table 2; `lengths` xi_Delta at delta = 0.3, 1 and 3 (Table 3); `propensity` C_max and
    delta* of the three indicators (Table 5); `optima` those of Table S1 with and without coarse-graining of Delta;
    `pairs` Table S2 by class; `transition` T* and `domain` the distances between which C_Gamma
    becomes zero (Sec. IV G).
    """

    accuracy: tuple[float, float]
    lengths: tuple[float, float, float]
    fixed_length: float
    structure_length: float
    pair_length: float
    propensity: Mapping[str, tuple[float, float]]
    optima: Mapping[str, Optimum]
    bare_optima: Mapping[str, Optimum]
    pairs: Mapping[str, tuple[Spread, Spread, Spread]]
    transition: float
    onset: float
    domain: tuple[float, float] = (3.0, 4.0)


@dataclass(frozen=True)
class System:
    """A two-dimensional model liquid of the paper (Table 1).

    `sizes` are sigma_aa, `contact` sigma_ab for Theta (KAM: the additive assumption), `mixed` sigma_AB of the
    potential, `liquid` and `glass` the temperatures T_L and T_G, `slow` the sign with which each indicator goes with
    mobility (Figs. 1 and 2), `fits` the ranges of temperature whose lines cross at T* and at the onset.
    """

    name: str
    title: str
    sizes: Mapping[str, float]
    contact: Mapping[tuple[str, str], float]
    mixed: float
    liquid: float
    glass: float
    slow: Mapping[str, int]
    fits: Mapping[str, tuple[tuple[float, float], tuple[float, float]]]
    published: Published


KAM = System(
    name="kam_2d",
    title="KAM",
    sizes={"A": 1.0, "B": 0.88},
    contact={("A", "A"): 1.0, ("A", "B"): 0.94, ("B", "B"): 0.88},
    mixed=0.8,
    liquid=0.8,
    glass=0.05,
    slow={"Gamma": -1, "Upsilon": 1, "Theta": -1},
    fits={"T*": ((0.04, 0.26), (0.5, 0.85)), "T_L": ((0.5, 0.85), (1.4, 4.0))},
    published=Published(
        accuracy=(1.0, 0.998),
        lengths=(3.0, 4.0, 5.0),
        fixed_length=4.0,
        structure_length=8.0,
        pair_length=4.0,
        propensity={"Gamma": (0.925, 1.167), "Upsilon": (0.966, 2.860), "Theta": (0.885, 1.402)},
        optima={"Gamma": (0.907, 1.0, 6.0), "Upsilon": (0.971, 3.0, 8.0), "Theta": (0.848, 3.0, 8.0)},
        bare_optima={"Gamma": (0.746, 1.0, 4.0), "Upsilon": (0.784, 1.0, 4.0), "Theta": (0.608, 3.0, 6.0)},
        pairs={
            "glass": (
                (-0.828, 0.055, -0.816, 0.061),
                (0.426, 0.143, 0.407, 0.143),
                (-0.597, 0.111, -0.580, 0.116),
            ),
            "liquid": (
                (0.857, 0.047, 0.847, 0.052),
                (-0.014, 0.179, -0.016, 0.177),
                (-0.201, 0.170, -0.192, 0.169),
            ),
        },
        transition=0.37,
        onset=0.8,
    ),
)
ABM = System(
    name="abm_2d",
    title="ABM",
    sizes={"A": 5 / 6, "B": 7 / 6},
    contact={("A", "A"): 5 / 6, ("A", "B"): 1.0, ("B", "B"): 7 / 6},
    mixed=1.0,
    liquid=2.0,
    glass=0.05,
    slow={"Gamma": -1, "Upsilon": -1, "Theta": 1},
    fits={"T*": ((0.04, 0.6), (1.3, 2.0)), "T_L": ((1.3, 2.0), (2.4, 4.0))},
    published=Published(
        accuracy=(1.0, 1.0),
        lengths=(3.0, 3.0, 2.0),
        fixed_length=3.0,
        structure_length=5.0,
        pair_length=3.0,
        propensity={"Gamma": (0.712, 2.620), "Upsilon": (0.858, 2.620), "Theta": (0.790, 0.148)},
        optima={"Gamma": (0.683, 3.0, 4.0), "Upsilon": (0.825, 3.0, 3.0), "Theta": (0.749, 0.3, 5.0)},
        bare_optima={"Gamma": (0.546, 3.0, 0.0), "Upsilon": (0.730, 3.0, 1.0), "Theta": (0.615, 0.3, 4.0)},
        pairs={
            "glass": (
                (0.585, 0.094, 0.539, 0.093),
                (-0.378, 0.121, -0.311, 0.111),
                (-0.327, 0.129, -0.256, 0.116),
            ),
            "liquid": (
                (0.036, 0.180, 0.038, 0.178),
                (0.292, 0.110, 0.278, 0.109),
                (-0.225, 0.125, -0.196, 0.118),
            ),
        },
        transition=1.0,
        onset=2.0,
    ),
)
SYSTEMS = {"KAM": KAM, "ABM": ABM}
# Table 4: Pearson's R between propensities of different ensembles (KAM, delta = 1)
ENSEMBLES = {"e30, e30": 0.769, "cg e30, cg e30": 0.958, "e30, cg e30": 0.820, "e100, cg e100": 0.878,
             "cg e30, cg e100": 0.985}  # fmt: skip
