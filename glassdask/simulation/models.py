"""The papers' model liquids: what LAMMPS is told, and the energy of each particle.

Each model is a frozen definition. All but `EmbeddedAtom` are in Lennard-Jones units: length sigma, energy epsilon and
mass of the reference particle (LAMMPS ``units lj``).

"A" is Coslovich, Jack and Paret (2022), "B" Rottler and Ortner (2024), "C" Oyama, Koyama and Kawasaki (2023).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassdask.errors import ParameterError, SpeciesError
from glassdask.files import replacing
from glassdask.kernels import pairs as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.eam import EmbeddedAtom
from glassdask.simulation.potentials import Chains, PairPotential

# LAMMPS' styles by scheme; what is missing is tabulated
LAMMPS_STYLES = {"shift": "lj/cut", "linear": "lj/smooth/linear", "smooth": "lj/smooth"}
TABLE_SIZE = 64_000
TABLE_BEGIN = 0.5  # in units of sigma, where the energy exceeds 16000 epsilon


@dataclass(frozen=True, kw_only=True)
class PairModel:
    """Particles that interact in pairs, as a mixture or as chains.

    Parameters
    ----------
    name : str
        How the model is called in sweeps and stores.
    species : tuple of str
        Names of the species.
    fractions, masses : tuple of float
        Of each species.
    pairs : tuple of PairPotential
        For the pairs of species in the order 1-1, 1-2, ..., 2-2, ...; all with the same `scheme`.
    density : float
        Particles per unit volume (area in two dimensions) that the papers use.
    timestep : float
        Of the integration.
    dimension : int
        2 or 3.
    chains : Chains, optional
        Bonds between consecutive particles.

    Examples
    --------
    >>> WAHNSTROM.pair("A", "B").sigma
    0.9166666666666666
    >>> WAHNSTROM.counts(1000), KAM_2D.counts(2000)
    ((500, 500), (1300, 700))
    """

    name: str
    species: tuple[str, ...]
    fractions: tuple[float, ...]
    masses: tuple[float, ...]
    pairs: tuple[PairPotential, ...]
    density: float
    timestep: float
    dimension: int = 3
    chains: Chains | None = None

    units = "lj"

    def __post_init__(self):
        n = len(self.species)
        if not len(self.fractions) == len(self.masses) == n or len(self.pairs) != n * (n + 1) // 2:
            raise ParameterError(
                f"{self.name}: {n} species, {len(self.fractions)} fractions, {len(self.masses)} masses and "
                f"{len(self.pairs)} pairs: expected {n}, {n} and {n * (n + 1) // 2}"
            )
        if abs(sum(self.fractions) - 1.0) > 1e-9 or len({pair.scheme for pair in self.pairs}) != 1:
            raise ParameterError(f"{self.name}: fractions must add up to 1 and all pairs have the same scheme")

    def pair(self, first: str, second: str) -> PairPotential:
        """The potential between two species."""
        for name in (first, second):
            if name not in self.species:
                raise SpeciesError(f"{self.name}: no species {name!r}, it has {', '.join(self.species)}: rename it")
        i, j = sorted((self.species.index(first), self.species.index(second)))
        return self.pairs[list(itertools.combinations_with_replacement(range(len(self.species)), 2)).index((i, j))]

    @property
    def reach(self) -> float:
        """The largest cutoff."""
        return max(pair.cutoff for pair in self.pairs)

    def counts(self, n_particles: int) -> tuple[int, ...]:
        """Particles of each species in a system of `n_particles`."""
        return species_counts(self.fractions, n_particles)

    def cutoffs(self, names: tuple[str, ...]) -> np.ndarray:
        """Cutoffs (S, S) for species in the order of `names`."""
        return self.table(names)[:, :, kernels.CUTOFF].copy()

    def table(self, names: tuple[str, ...]) -> np.ndarray:
        """Coefficients (S, S, 12) for `glassdask.kernels.pairs.pair_energies`, species in the order of `names`."""
        return np.array([[self.pair(a, b).table for b in names] for a in names])

    def energies(self, configuration: Configuration) -> np.ndarray:
        """Potential energy of each particle: half of the energy of its pairs and bonds.

        Parameters
        ----------
        configuration : Configuration
            One frame. For chains, the particles must be in the order of the chains.

        Returns
        -------
        array (N,)

        Examples
        --------
        >>> dimer = np.array([[1.0, 1.0, 1.0], [2.1, 1.0, 1.0]])
        >>> system = Configuration(dimer, np.zeros(2, int), 10.0 * np.eye(3), ("A",))
        >>> energies = KOB_ANDERSEN.energies(system)
        >>> bool(abs(energies.sum() - KOB_ANDERSEN.pair("A", "A").energy(1.1)) < 1e-14)
        True
        """
        out = np.empty(len(configuration.position))
        table = self.table(configuration.names)
        for rows, found in configuration.batches(np.arange(len(out)), table[:, :, kernels.CUTOFF]):
            batch = np.empty(len(rows))
            kernels.pair_energies(
                found.centers, found.offsets, found.index, found.distance, configuration.species, table, batch
            )
            out[rows] = batch
        if self.chains is not None:
            bonds = self.chains.bonds(len(out))
            first, second = configuration.position[bonds.T]
            fraction = (second - first) @ configuration.inverse
            length = np.linalg.norm((fraction - np.round(fraction)) @ configuration.box, axis=1)
            change = 0.5 * (self.chains.energy(length) - self.pairs[0].energy(length))
            np.add.at(out, bonds[:, 0], change)
            np.add.at(out, bonds[:, 1], change)
        return out

    def commands(self, folder: Path) -> list[str]:
        """LAMMPS commands that define the interactions, once the box exists; `folder` may take a file they read."""
        scheme = self.pairs[0].scheme
        style = LAMMPS_STYLES.get(scheme) if all(pair.attraction for pair in self.pairs) else None
        lines = [f"mass {i} {float(mass)!r}" for i, mass in enumerate(self.masses, start=1)]
        types = list(itertools.combinations_with_replacement(range(1, len(self.species) + 1), 2))
        if style is None:
            file = self._tabulate(folder)
            lines.append(f"pair_style table spline {TABLE_SIZE}")
            lines += [f"pair_coeff {i} {j} {file} PAIR_{i}_{j} {p.cutoff!r}" for (i, j), p in zip(types, self.pairs)]
        else:
            begin = f"{max(pair.begin for pair in self.pairs)!r} " if scheme == "smooth" else ""
            lines.append(f"pair_style {style} {begin}{self.reach!r}")
            for (i, j), pair in zip(types, self.pairs):
                begin = f"{pair.begin!r} " if scheme == "smooth" else ""
                lines.append(f"pair_coeff {i} {j} {pair.epsilon!r} {pair.sigma!r} {begin}{pair.cutoff!r}")
            if scheme != "linear":
                lines.append("pair_modify shift yes")
        if self.chains is not None:
            bond = self.chains
            lines += ["special_bonds fene", "bond_style fene"]
            lines.append(f"bond_coeff * {bond.k!r} {bond.r_max!r} {bond.epsilon!r} {bond.sigma!r}")
        return lines

    def _tabulate(self, folder: Path) -> Path:
        """Write the potentials as a table, for cutoffs that no style of LAMMPS has.

        Its splines are off by at most 1e-10, which is where the smoothing begins, and as fast as lj/cut; the style
        ``lepton``, exact, is six to twelve times slower (silica: 0.05 against 0.6 million particle-steps a second).
        """
        file = folder / f"{self.name}.table"
        if not file.exists():
            types = itertools.combinations_with_replacement(range(1, len(self.species) + 1), 2)
            with replacing(file, sync=False) as out:
                for (i, j), pair in zip(types, self.pairs):
                    first = TABLE_BEGIN * pair.sigma
                    r = np.sqrt(np.linspace(first**2, pair.cutoff**2, TABLE_SIZE))
                    within = np.minimum(r, np.nextafter(pair.cutoff, 0.0))
                    head = f"# {self.name}\n\nPAIR_{i}_{j}\nN {TABLE_SIZE} RSQ {first!r} {pair.cutoff!r}\n\n"
                    out.write(head.encode())
                    columns = [np.arange(1, TABLE_SIZE + 1), r, pair.energy(within), pair.force(within)]
                    np.savetxt(out, np.column_stack(columns), fmt="%d %.17g %.17g %.17g")
                    out.write(b"\n")
        return file


Model = PairModel | EmbeddedAtom


def species_counts(fractions: tuple[float, ...], n_particles: int) -> tuple[int, ...]:
    """Whole numbers of particles closest to the fractions, whose sum is `n_particles`.

    >>> species_counts((0.33, 0.67), 100), species_counts((0.5, 0.5), 7)
    ((33, 67), (4, 3))
    """
    edges = np.floor(np.cumsum([0.0, *fractions]) * n_particles + 0.5).astype(int)
    return tuple(int(n) for n in np.diff(edges))


def lennard_jones_pairs(
    epsilon: tuple[float, ...], sigma: tuple[float, ...], cutoff: float, scheme: str
) -> tuple[PairPotential, ...]:
    """Lennard-Jones potentials of all pairs of species, each cut off at `cutoff` times its sigma."""
    return tuple(
        PairPotential(epsilon=e, sigma=s, cutoff=cutoff * s, scheme=scheme) for e, s in zip(epsilon, sigma, strict=True)
    )


def smooth_pairs(epsilon: tuple[float, ...], sigma: tuple[float, ...]) -> tuple[PairPotential, ...]:
    """Lennard-Jones potentials smoothed between r = 2.2 and 2.5 (B), whatever the pair's sigma."""
    return tuple(
        PairPotential(epsilon=e, sigma=s, begin=2.2, cutoff=2.5, scheme="smooth")
        for e, s in zip(epsilon, sigma, strict=True)
    )


# G. Wahnström, Phys. Rev. A 44, 3752 (1991); A, App. A 1. The cutoff is not in these papers: 2.5 sigma_ab, as usual.
WAHNSTROM = PairModel(
    name="wahnstrom",
    species=("A", "B"),
    fractions=(0.5, 0.5),
    masses=(1.0, 0.5),
    pairs=lennard_jones_pairs((1.0, 1.0, 1.0), (1.0, 11 / 12, 5 / 6), 2.5, "shift"),
    density=1.297,
    timestep=0.004,
)

# W. Kob and H. C. Andersen, Phys. Rev. E 51, 4626 (1995); A, App. A 2
KOB_ANDERSEN = PairModel(
    name="kob_andersen",
    species=("A", "B"),
    fractions=(0.8, 0.2),
    masses=(1.0, 1.0),
    pairs=lennard_jones_pairs((1.0, 1.5, 0.5), (1.0, 0.8, 0.88), 2.5, "shift"),
    density=1.2,
    timestep=0.005,
)

# D. Coslovich and G. Pastore, J. Phys.: Condens. Matter 21, 285107 (2009); A, App. A 3. The numbers are those of the
# authors' data base of models (berni 0.2.1, "coslovich_pastore"): epsilon 1, 24, 1 without the factor 4 of A's Eqs. A1
# and A2, mass of O 0.57, cubic cutoffs. Its two sample configurations have the energies that it states (-4.9520294).
SILICA = PairModel(
    name="silica",
    species=("Si", "O"),
    fractions=(1 / 3, 2 / 3),
    masses=(1.0, 0.57),
    pairs=(
        PairPotential(epsilon=0.25, sigma=1.0, begin=1.8, scheme="cubic", attraction=False),
        PairPotential(epsilon=6.0, sigma=0.49, begin=1.078, scheme="cubic"),
        PairPotential(epsilon=0.25, sigma=0.85, begin=1.53, scheme="cubic", attraction=False),
    ),
    density=1.655,
    timestep=0.004,
)

# R. G. Della Valle, D. Gazzillo, R. Frattini and G. Pastore, Phys. Rev. B 49, 12625 (1994); A, App. A 4 (x_Ni = 0.33,
# density 1.5). The numbers, in units of sigma_YY, and the cutoff, which the original does not report, are those of
# the data base of one of A's authors (berni 0.2.1). Neither gives masses: equal ones change time, not structure.
NICKEL_YTTRIUM = PairModel(
    name="nickel_yttrium",
    species=("Y", "Ni"),
    fractions=(0.67, 0.33),
    masses=(1.0, 1.0),
    pairs=lennard_jones_pairs((1.0, 1.0, 1.0), (1.0, 0.772768, 0.69573), 2.5, "quadratic"),
    density=1.5,
    timestep=0.0025,
)

# B: "a version of the LJ potential that smoothly interpolates to zero between r = 2.2 and 2.5"; its sigma_AB = 0.88
# for Kob-Andersen is taken as a misprint of Kob and Andersen's 0.8.
KOB_ANDERSEN_SMOOTH = PairModel(
    name="kob_andersen_smooth",
    species=("A", "B"),
    fractions=(0.8, 0.2),
    masses=(1.0, 1.0),
    pairs=smooth_pairs((1.0, 1.5, 0.5), (1.0, 0.8, 0.88)),
    density=1.2,
    timestep=0.005,
)
# B: density 1.3, "the mass of the A type particles is twice the mass of the B type particles"
WAHNSTROM_SMOOTH = PairModel(
    name="wahnstrom_smooth",
    species=("A", "B"),
    fractions=(0.5, 0.5),
    masses=(1.0, 0.5),
    pairs=smooth_pairs((1.0, 1.0, 1.0), (1.0, 11 / 12, 5 / 6)),
    density=1.3,
    timestep=0.004,
)

# B: chains of 20 monomers, Lennard-Jones cut at 2.25 and shifted, density 1.04 at T = 0.47 and p = 1
POLYMER = PairModel(
    name="polymer",
    species=("A",),
    fractions=(1.0,),
    masses=(1.0,),
    pairs=(PairPotential(epsilon=1.0, sigma=1.0, cutoff=2.25),),
    density=1.04,
    timestep=0.005,
    chains=Chains(length=20),
)

# C, Eqs. 1 and 2, Table I
KAM_2D = PairModel(
    name="kam_2d",
    species=("A", "B"),
    fractions=(0.65, 0.35),
    masses=(1.0, 1.0),
    pairs=lennard_jones_pairs((1.0, 1.5, 0.5), (1.0, 0.8, 0.88), 2.5, "linear"),
    density=1.2,
    timestep=0.004,
    dimension=2,
)
ABM_2D = PairModel(
    name="abm_2d",
    species=("A", "B"),
    fractions=(0.5, 0.5),
    masses=(1.0, 1.0),
    pairs=lennard_jones_pairs((1.0, 1.0, 1.0), (5 / 6, 1.0, 7 / 6), 3.0, "linear"),
    density=1.09,
    timestep=0.004,
    dimension=2,
)

MODELS = {
    model.name: model
    for model in (
        WAHNSTROM,
        KOB_ANDERSEN,
        SILICA,
        NICKEL_YTTRIUM,
        KOB_ANDERSEN_SMOOTH,
        WAHNSTROM_SMOOTH,
        POLYMER,
        KAM_2D,
        ABM_2D,
    )
}
