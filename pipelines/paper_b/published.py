"""What the paper says: its three glass formers, how they are prepared, and every number that is printed in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"

# D2min above which a particle has rearranged in shear, and the fraction of the most and the least mobile ones
THRESHOLD = 0.6
FRACTION = 0.05
STRAIN_INCREMENT = 5e-5
MELT = 1.0  # the temperature from which all are cooled
RADII = {"thermal": 4.0, "mechanical": 3.0}  # where the accuracy saturates


@dataclass(frozen=True)
class Accuracies:
    """What the text says of one system and activation; pairs are (value, half of the range or of the last digit).

    `first` is the first feature alone, `same` all radial features of A-A pairs, `ten` the first ten features, `best`
    the highest accuracy, and `selected` the features that are selected first.
    """

    first: tuple[float, float] | None = None
    same: tuple[float, float] | None = None
    ten: tuple[float, float] | None = None
    best: tuple[float, float] | None = None
    selected: tuple[str, ...] = ()


@dataclass(frozen=True)
class System:
    """A glass former of the paper.

    `relaxation` is the time that the paper measures motion over, about tau_alpha; `quench` the time of the slow
    quench; `degree` and `n_max` are of the atomic cluster expansion; `configurations` are those that are shipped.
    """

    name: str
    title: str
    model: str  # in glassdask.simulation.MODELS
    temperature: float
    density: float
    relaxation: float
    quench: float
    degree: float
    n_max: int
    configurations: Path
    accuracies: dict[str, Accuracies]
    pressure: float | None = None  # constant pressure instead of constant density

    @property
    def mixture(self) -> bool:
        """Whether there is a second species, B."""
        return self.pressure is None


POLYMER = System(
    name="polymer",
    title="polymer",
    model="polymer",
    temperature=0.47,
    density=1.04,
    relaxation=1000.0,
    quench=100_000.0,
    degree=18,
    n_max=20,
    configurations=DATA / "polymer_N1000_T0.47.npz",
    accuracies={
        "thermal": Accuracies(first=(0.75, 0.005), same=(0.80, 0.005), best=(0.85, 0.005), selected=("A1",)),
        "mechanical": Accuracies(first=(0.73, 0.005), best=(0.83, 0.005), selected=("A1",)),
    },
    pressure=1.0,
)
KOB_ANDERSEN = System(
    name="kob_andersen",
    title="Kob-Andersen",
    model="kob_andersen_smooth",
    temperature=0.44,
    density=1.2,
    relaxation=5000.0,
    quench=50_000.0,
    degree=10,
    n_max=10,
    configurations=DATA / "ka_N2000_T0.45.npz",
    accuracies={
        "thermal": Accuracies(same=(0.625, 0.025), best=(0.90, 0.005), selected=("B1", "A1")),
        "mechanical": Accuracies(ten=(0.70, 0.005), selected=("A1", "B1")),
    },
)
WAHNSTROM = System(
    name="wahnstrom",
    title="Wahnström",
    model="wahnstrom_smooth",
    temperature=0.58,
    density=1.3,
    relaxation=1000.0,
    quench=50_000.0,
    degree=10,
    n_max=10,
    configurations=DATA / "wahn_N4000_T0.58.npz",
    accuracies={
        "thermal": Accuracies(same=(0.625, 0.025), best=(0.97, 0.005), selected=("B1", "A1")),
        "mechanical": Accuracies(selected=("A8", "A7")),
    },
)

# in the order of the paper's panels
SYSTEMS = {system.name: system for system in (POLYMER, KOB_ANDERSEN, WAHNSTROM)}
ACTIVATIONS = ("thermal", "mechanical")
PROPENSITY = 0.95  # correlation of D2min with the propensity
