"""The papers' model liquids: what LAMMPS is told, and the energy of each particle.

Each model is a frozen definition. All but `EmbeddedAtom` are in Lennard-Jones units: length sigma, energy epsilon and
mass of the reference particle (LAMMPS ``units lj``). A file names one of them, or one of another package (entry points
``glassdask.models``), or has a model of its own as a table::

    [[runs]]
    temperatures = [0.5]

    [runs.model]
    name = "mine"
    species = ["A", "B"]
    fractions = [0.8, 0.2]
    masses = [1.0, 1.0]
    density = 1.2
    timestep = 0.005

    [runs.model.pairs]
    A-A = {type = "lennard_jones", epsilon = 1.0, sigma = 1.0, cutoff = 2.5}
    A-B = {type = "yukawa", epsilon = 1.5, sigma = 0.8, kappa = 3.0, cutoff = 3.0, scheme = "even"}
    B-B = {type = "wca", epsilon = 0.5, sigma = 0.88}

"A" is Coslovich, Jack and Paret (2022), "B" Rottler and Ortner (2024), "C" Oyama, Koyama and Kawasaki (2023).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from glassdask.declarations import TAG, Read, converted, pair_of, pair_text
from glassdask.errors import ParameterError, SpeciesError
from glassdask.files import replacing
from glassdask.kernels import pairs as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.plugins import Catalog
from glassdask.simulation.chains import Chains
from glassdask.simulation.eam import EmbeddedAtom
from glassdask.simulation.forms import InversePower, LennardJones
from glassdask.simulation.mixture import Model
from glassdask.simulation.polydisperse import POLYDISPERSE, POLYDISPERSE_2D, PolydisperseModel
from glassdask.simulation.potentials import PairPotential, spline

TABLE_SIZE = 64_000
TABLE = "pairs.table"
TABLE_ENERGY = 16_000.0  # tables begin where the energy is this many epsilon, or so far inside that nobody gets there


def read_pair_potentials(value: Any, where: str) -> tuple[PairPotential, ...] | dict[tuple[str, str], PairPotential]:
    """Potentials in the order 1-1, 1-2, ..., 2-2, ..., or a mapping from pairs of species to them."""
    if not isinstance(value, Mapping):
        found: tuple[PairPotential, ...] = converted(value, tuple[PairPotential, ...], where)
        return found
    by_pair: dict[tuple[str, str], PairPotential] = {}
    for key, item in value.items():
        pair = pair_of(key, where)
        if pair in by_pair:
            raise ParameterError(f"{where}.{pair_text(*pair)}: is given twice: give it once")
        by_pair[pair] = converted(item, PairPotential, f"{where}.{pair_text(*pair)}")
    return by_pair


@dataclass(frozen=True, kw_only=True)
class PairModel(Model):
    """Particles that interact in pairs, as a mixture or as chains.

    Parameters
    ----------
    name, species, fractions, masses, density, timestep, dimension : str, tuples, floats and int
        As for `Model`.
    pairs : tuple of PairPotential, or mapping
        For the pairs of species in the order 1-1, 1-2, ..., 2-2, ...; or by pair, ``{"A-B": LennardJones(...)}``. Any
        forms, any cutoffs.
    chains : Chains, optional
        Bonds between consecutive particles.

    Examples
    --------
    >>> WAHNSTROM.pair("A", "B").sigma
    0.9166666666666666
    >>> WAHNSTROM.counts(1000), KAM_2D.counts(2000)
    ((500, 500), (1300, 700))
    """

    pairs: Annotated[tuple[PairPotential, ...], Read(read_pair_potentials)]
    chains: Chains | None = None  # type: ignore[misc]

    tag: ClassVar[str] = "pair_model"
    units: ClassVar[str] = "lj"

    def check(self) -> None:
        """A potential for each pair of species."""
        super().check()
        n = len(self.species)
        order = ", ".join(itertools.starmap(pair_text, itertools.combinations_with_replacement(self.species, 2)))
        by_pair: Any = self.pairs
        if isinstance(by_pair, Mapping):
            expected = [pair_of(pair) for pair in itertools.combinations_with_replacement(self.species, 2)]
            for pair in [*expected, *by_pair]:
                if pair not in by_pair or pair not in expected:
                    raise ParameterError(f"pairs.{pair_text(*pair)}: is missing or unknown: expected {order}")
            object.__setattr__(self, "pairs", tuple(by_pair[pair] for pair in expected))
        if len(self.pairs) != n * (n + 1) // 2:
            raise ParameterError(
                f"{self.name}: {len(self.pairs)} pairs of {n} species: expected {order}, in this order"
            )

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
        return max(pair.end for pair in self.pairs)

    def cutoffs(self, names: tuple[str, ...]) -> np.ndarray:
        """Cutoffs (S, S) for species in the order of `names`."""
        return np.array([[self.pair(a, b).end for b in names] for a in names])

    def table(self, names: tuple[str, ...], *, inner_only: bool = False) -> np.ndarray:
        """Coefficients for the kernels, species in the order of `names`: see `glassdask.kernels.pairs`.

        A Lennard-Jones table (S, S, 12) where all potentials have that form, else a splined one (S, S, 1 + PIECES, 8);
        with `inner_only`, a Lennard-Jones table only if it has no outer parts.
        """
        rows = [pair.row for pair in self.pairs]
        if all(row is not None for row in rows) and not (inner_only and any(p.inner < p.end for p in self.pairs)):
            return np.array([[self.pair(a, b).row for b in names] for a in names])
        return np.array([[spline(self.pair(a, b)) for b in names] for a in names])

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
        names, species = configuration.names, configuration.species
        table = self.table(names)
        for rows, found in configuration.batches(np.arange(len(out)), self.cutoffs(names)):
            batch = np.empty(len(rows))
            kernels.pair_energies(found.centers, found.offsets, found.index, found.distance, species, table, batch)
            out[rows] = batch
        if self.chains is not None:
            bonds = self.chains.bonds(len(out))
            first, second = configuration.position[bonds.T]
            fraction = (second - first) @ configuration.inverse
            image = np.round(fraction)
            if configuration.borders is not None:
                image[:, configuration.borders.open] = 0.0
            length = np.linalg.norm((fraction - image) @ configuration.box, axis=1)
            change = 0.5 * self.chains.energy(length)
            for a, b in {tuple(pair) for pair in species[bonds].tolist()}:
                of_pair = (species[bonds] == (a, b)).all(axis=1)
                change[of_pair] -= 0.5 * self.pair(names[a], names[b]).energy(length[of_pair])
            np.add.at(out, bonds[:, 0], change)
            np.add.at(out, bonds[:, 1], change)
        return out

    def interactions(self, folder: Path) -> list[str]:
        """See `Model.interactions`: a style of LAMMPS that is exact for all pairs, or a table."""
        native = [pair.native for pair in self.pairs]
        types = list(itertools.combinations_with_replacement(range(1, len(self.species) + 1), 2))
        if len({style and style.style for style in native}) == 1 and native[0] is not None:
            widest = native[int(np.argmax([pair.end for pair in self.pairs]))]
            assert widest is not None
            lines = [f"pair_style {widest.style} {widest.reach}"]
            lines += [f"pair_coeff {i} {j} {style.coefficients}" for (i, j), style in zip(types, native) if style]
            lines += [f"pair_modify {widest.modify}"] if widest.modify else []
        else:
            file = self._tabulate(folder)
            lines = [f"pair_style table spline {TABLE_SIZE}"]
            lines += [f"pair_coeff {i} {j} {file.name} PAIR_{i}_{j} {p.end!r}" for (i, j), p in zip(types, self.pairs)]
        if self.chains is not None:
            bond = self.chains
            lines += ["special_bonds fene", "bond_style fene"]
            lines.append(f"bond_coeff * {bond.k!r} {bond.r_max!r} {bond.epsilon!r} {bond.sigma!r}")
        return lines

    def _tabulate(self, folder: Path) -> Path:
        """Write the potentials as a table, for those that no style of LAMMPS has.

        Its splines are off by at most 1e-10, which is where a smoothing begins (the force of Hertzian spheres by 1e-8
        epsilon, which is where they touch), and as fast as lj/cut; the style
        ``lepton``, exact, is six to twelve times slower (silica: 0.05 against 0.6 million particle-steps a second).
        """
        file = folder / TABLE
        if not file.exists():
            types = itertools.combinations_with_replacement(range(1, len(self.species) + 1), 2)
            with replacing(file, sync=False) as out:
                for (i, j), pair in zip(types, self.pairs):
                    first = _table_begin(pair)
                    r = np.sqrt(np.linspace(first**2, pair.end**2, TABLE_SIZE))
                    within = np.minimum(r, np.nextafter(pair.end, 0.0))
                    out.write(f"# glassdask\n\nPAIR_{i}_{j}\nN {TABLE_SIZE} RSQ {first!r} {pair.end!r}\n\n".encode())
                    columns = [np.arange(1, TABLE_SIZE + 1), r, pair.energy(within), pair.force(within)]
                    np.savetxt(out, np.column_stack(columns), fmt="%d %.17g %.17g %.17g")
                    out.write(b"\n")
        return file


def _table_begin(pair: PairPotential) -> float:
    """Where a table of the potential begins."""
    r = pair.end * np.geomspace(1e-3, 1.0, 2000)
    scale = getattr(pair, "epsilon", 0.0) or 1.0
    inside = np.flatnonzero(pair.energy(r) > TABLE_ENERGY * scale)
    return float(r[inside[-1]] if len(inside) else r[0])


def lennard_jones_pairs(
    epsilon: tuple[float, ...], sigma: tuple[float, ...], cutoff: float, scheme: Any
) -> tuple[PairPotential, ...]:
    """Lennard-Jones potentials of all pairs of species, each cut off at `cutoff` times its sigma."""
    return tuple(
        LennardJones(epsilon=e, sigma=s, cutoff=cutoff * s, scheme=scheme) for e, s in zip(epsilon, sigma, strict=True)
    )


def smooth_pairs(epsilon: tuple[float, ...], sigma: tuple[float, ...]) -> tuple[PairPotential, ...]:
    """Lennard-Jones potentials smoothed between r = 2.2 and 2.5 (B), whatever the pair's sigma."""
    return tuple(
        LennardJones(epsilon=e, sigma=s, begin=2.2, cutoff=2.5, scheme="smooth")
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
        InversePower(epsilon=1.0, sigma=1.0, n=12, begin=1.8, scheme="cubic"),
        LennardJones(epsilon=6.0, sigma=0.49, begin=1.078, scheme="cubic"),
        InversePower(epsilon=1.0, sigma=0.85, n=12, begin=1.53, scheme="cubic"),
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
    pairs=(LennardJones(epsilon=1.0, sigma=1.0, cutoff=2.25),),
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
# G. Jung, G. Biroli and L. Berthier, Phys. Rev. Lett. 130, 238202 (2023): the two-dimensional ternary relative of
# Kob-Andersen of the GlassBench data, which does not crystallise. Masses are equal; the pairs' table and the cutoff,
# u = 4 epsilon [(sigma/r)^12 - (sigma/r)^6 + c0 + c2 (r/sigma)^2 + c4 (r/sigma)^4] to 2.5 sigma with two continuous
# derivatives, are those of the authors' public code (600, 330 and 360 particles in a square of edge 32.8962).
KOB_ANDERSEN_TERNARY_2D = PairModel(
    name="kob_andersen_ternary_2d",
    species=("A", "B", "C"),
    fractions=(20 / 43, 11 / 43, 12 / 43),
    masses=(1.0, 1.0, 1.0),
    pairs=lennard_jones_pairs((1.0, 1.5, 0.75, 0.5, 1.5, 0.75), (1.0, 0.8, 0.9, 0.88, 0.8, 0.94), 2.5, "even"),
    density=1290 / 32.8962**2,
    timestep=0.005,
    dimension=2,
)

OWN = (
    WAHNSTROM,
    KOB_ANDERSEN,
    SILICA,
    NICKEL_YTTRIUM,
    KOB_ANDERSEN_SMOOTH,
    WAHNSTROM_SMOOTH,
    POLYMER,
    KAM_2D,
    ABM_2D,
    KOB_ANDERSEN_TERNARY_2D,
)
OF_SIZES = (POLYDISPERSE, POLYDISPERSE_2D)
MODELS: Catalog[Any] = Catalog("model", {model.name: model for model in (*OWN, *OF_SIZES)}, Model)


def _kind(table: Mapping[str, Any]) -> type[Model]:
    """What a table of fields is, by those that only one kind of model has."""
    return EmbeddedAtom if "file" in table else PolydisperseModel if "form" in table else PairModel


def read_model(value: Any, where: str) -> Model:
    """A model: itself, the name of one in `MODELS`, or a table of its fields.

    >>> read_model("silica", "model").species
    ('Si', 'O')
    """
    if isinstance(value, str):
        found: Model = MODELS.find(value, where)
        return found
    if isinstance(value, Mapping) and TAG not in value:
        value = {TAG: _kind(value).tag, **value}
    made: Model = converted(value, Model, where)
    return made


# How a declaration says that one of its fields is a model.
AnyModel = Annotated[Model, Read(read_model, 'the name of a model such as "kob_andersen", or a table of its fields')]
