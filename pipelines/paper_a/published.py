"""What the paper says: its five models, their samples, and every number that is printed in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"

Direction = tuple[float, ...]


@dataclass(frozen=True)
class Directions:
    """Table II or III for one model: explained variance ratios and elements of the first two directions."""

    ratio: tuple[float, float]
    directions: tuple[Direction, Direction]


@dataclass(frozen=True)
class Reproduction:
    """Table I for one model and species: |R| of features and their errors, EVR of both methods, validation loss."""

    r: tuple[tuple[float, float], tuple[float, float]]
    r_error: tuple[tuple[float, float], tuple[float, float]]
    evr: float
    evr_error: float
    evr_pca: float
    loss: float
    loss_error: float


@dataclass(frozen=True)
class Mixture:
    """A model liquid in the paper.

    `centers` are its small and big species, `signature` the Voronoi cell of its locally favored structure (None: that
    is z = 4), `sample` the particles and configurations that the paper has, `relaxation` the structural relaxation time
    (where the paper gives none, an order of magnitude to simulate by), `highest_r` the largest |R| of PC1 with the
    propensity, `text_ratio` the EVR that the text gives beside Table II. `short` says that `configurations` are of a
    short preparation, which larger profiles replace by one of their own.
    """

    name: str
    title: str
    temperature: float
    centers: dict[str, str]
    signature: tuple[int, ...] | None
    sample: tuple[int, int]
    relaxation: float
    small: Directions
    big: Directions | None = None
    autoencoder: dict[str, Reproduction] | None = None
    highest_r: float | None = None
    text_ratio: tuple[float, float] | None = None
    epochs: int = 250
    gamma: float = 8
    neighbor_species: str = "all"
    bimodal: bool = False
    configurations: Path | None = None
    short: bool = False

    @property
    def network(self) -> bool:
        """Whether it forms a network of bonds (silica), not a close packing."""
        return self.neighbor_species == "other"


WAHNSTROM = Mixture(
    name="wahnstrom",
    title="Wahnström",
    temperature=0.58,
    centers={"small": "B", "big": "A"},
    signature=(0, 0, 12),  # icosahedron
    sample=(20000, 10),
    relaxation=160.0,
    small=Directions(
        (0.61, 0.20),
        (
            (-0.03, -0.04, -0.06, -0.13, -0.41, +0.68, -0.50, -0.31),
            (-0.05, +0.01, +0.03, +0.12, +0.72, +0.09, -0.64, +0.22),
        ),
    ),
    big=Directions(
        (0.49, 0.26),
        (
            (-0.00, -0.00, +0.02, +0.07, +0.20, +0.74, -0.63, -0.06),
            (+0.04, +0.01, +0.04, +0.09, +0.22, -0.39, -0.44, +0.77),
        ),
    ),
    autoencoder={
        "small": Reproduction(
            ((0.998, 0.03), (0.06, 0.999)), ((0.003, 0.02), (0.04, 0.001)), 0.8016, 0.0006, 0.8009, 0.00073, 0.00001
        ),
        "big": Reproduction(
            ((0.999, 0.03), (0.05, 0.999)), ((0.001, 0.01), (0.02, 0.001)), 0.7501, 0.0006, 0.7503, 0.000594, 0.000009
        ),
    },
    highest_r=0.5,
    text_ratio=(0.62, 0.18),
    bimodal=True,
    configurations=DATA / "wahn_N4000_T0.58.npz",
)
KOB_ANDERSEN = Mixture(
    name="kob_andersen",
    title="Kob-Andersen",
    temperature=0.45,
    centers={"small": "B", "big": "A"},
    signature=(0, 2, 8),  # twisted bicapped square prism
    sample=(20000, 10),
    relaxation=900.0,
    small=Directions(
        (0.37, 0.31),
        (
            (+0.06, +0.07, +0.19, +0.66, -0.51, +0.05, +0.49, +0.12),
            (+0.07, +0.01, +0.02, -0.39, -0.50, +0.65, +0.01, -0.40),
        ),
    ),
    big=Directions(
        (0.48, 0.22),
        (
            (-0.01, -0.01, +0.00, +0.04, +0.12, +0.75, -0.64, +0.07),
            (+0.06, +0.03, +0.03, +0.06, +0.06, -0.43, -0.40, +0.80),
        ),
    ),
    autoencoder={
        "small": Reproduction(
            ((0.998, 0.05), (0.05, 0.998)), ((0.003, 0.03), (0.04, 0.003)), 0.680, 0.001, 0.681, 0.00101, 0.00001
        ),
        "big": Reproduction(
            ((1.000, 0.03), (0.02, 0.999)), ((0.001, 0.02), (0.01, 0.001)), 0.6993, 0.0008, 0.6995, 0.000551, 0.000004
        ),
    },
    highest_r=0.35,
    text_ratio=(0.37, 0.31),
    epochs=500,
    configurations=DATA / "ka_N2000_T0.45.npz",
)
NICKEL_YTTRIUM = Mixture(
    name="nickel_yttrium",
    title="Ni$_{33}$Y$_{67}$",
    temperature=0.55,
    centers={"small": "Ni", "big": "Y"},
    signature=(0, 2, 8),
    sample=(4000, 40),
    relaxation=500.0,
    text_ratio=(0.39, 0.29),
    configurations=DATA / "nickel_yttrium_N1000_T0.55.npz",
    short=True,
    small=Directions(
        (0.38, 0.29),
        (
            (+0.09, +0.06, +0.06, +0.25, -0.82, +0.31, +0.40, -0.03),
            (-0.02, -0.00, +0.10, +0.78, +0.12, -0.41, +0.10, +0.43),
        ),
    ),
    big=Directions(
        (0.46, 0.25),
        (
            (-0.02, -0.02, -0.01, +0.04, +0.19, +0.87, -0.42, -0.12),
            (+0.07, +0.02, +0.03, +0.02, -0.01, -0.21, -0.65, +0.72),
        ),
    ),
)
COPPER_ZIRCONIUM = Mixture(
    name="copper_zirconium",
    title="Cu$_{64}$Zr$_{36}$",
    temperature=800.0,
    centers={"small": "Cu", "big": "Zr"},
    signature=(0, 0, 12),
    sample=(16000, 11),
    relaxation=3.0,
    small=Directions(
        (0.65, 0.18),
        (
            (-0.03, -0.04, -0.05, -0.16, -0.53, +0.65, -0.42, -0.31),
            (+0.03, -0.01, -0.01, -0.07, -0.69, -0.16, +0.70, -0.09),
        ),
    ),
    big=Directions(
        (0.41, 0.36),
        (
            (+0.07, +0.04, +0.01, +0.08, +0.24, +0.41, -0.82, +0.31),
            (+0.00, +0.02, -0.01, +0.01, +0.07, +0.73, +0.13, -0.67),
        ),
    ),
    bimodal=True,
)
SILICA = Mixture(
    name="silica",
    title="SiO$_2$",
    temperature=0.3397,
    centers={"small": "Si"},
    signature=None,
    sample=(2000, 20),
    relaxation=100.0,
    configurations=DATA / "silica_N2000_T0.3397.npz",
    small=Directions(
        (0.65, 0.16),
        (
            (+0.25, +0.61, -0.05, +0.04, +0.60, -0.08, -0.02, +0.44),
            (+0.11, -0.41, -0.34, +0.29, +0.04, -0.71, +0.17, +0.28),
        ),
    ),
    gamma=18,
    neighbor_species="other",
)

# in the order of the paper's panels
MIXTURES = {m.name: m for m in (KOB_ANDERSEN, NICKEL_YTTRIUM, WAHNSTROM, COPPER_ZIRCONIUM, SILICA)}
