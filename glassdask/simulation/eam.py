"""Embedded-atom models, from a potential file (setfl, LAMMPS ``eam/alloy`` and ``eam/fs``) that the user has."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from glassdask.declarations import Positive
from glassdask.errors import FormatError
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.mixture import Model

if TYPE_CHECKING:
    from scipy.interpolate import CubicHermiteSpline


@dataclass(frozen=True, kw_only=True)
class EmbeddedAtom(Model):
    """Atoms of an alloy: u_i = F(sum_j rho(r_ij)) + 1/2 sum_j phi(r_ij), in eV, angstrom and ps.

    The density rho that atom j gives depends on its own element, or on both (Finnis and Sinclair, ``eam/fs``): the file
    tells, by how many functions it has.

    Parameters
    ----------
    file : str
        The potential file.
    name, species, fractions, masses, density, timestep : str, tuples and floats
        As for `Model`; the species are the names of the elements in the file.
    sha256 : str
        Of the file, found if it is not given: a file that has changed is another model.

    Raises
    ------
    FormatError
        The file is not there, is no setfl file, or lacks an element.
    """

    file: str
    sha256: str = ""
    timestep: Positive = 0.002

    tag: ClassVar[str] = "embedded_atom"
    units: ClassVar[str] = "metal"

    def check(self) -> None:
        """The file is there and has the elements."""
        super().check()
        path = Path(self.file)
        if not path.is_file():
            raise FormatError(
                f"{self.file}: no such potential file: download it from where its authors or the NIST repository of "
                "interatomic potentials offer it, and give its path"
            )
        object.__setattr__(self, "file", str(path.resolve()))
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if self.sha256 not in ("", found):
            raise FormatError(f"{self.file}: SHA-256 is {found}, expected {self.sha256}: give the file that was used")
        object.__setattr__(self, "sha256", found)
        missing = [name for name in self.species if name not in self._functions.elements]
        if missing:
            raise FormatError(
                f"{self.file}: no element {', '.join(missing)}, found {', '.join(self._functions.elements)}: give "
                "another file"
            )

    @property
    def _functions(self) -> Functions:
        return read_setfl(self.file, self.sha256)

    @property
    def reach(self) -> float:
        """The cutoff."""
        return self._functions.cutoff

    def interactions(self, folder: Path) -> list[str]:
        """See `Model.interactions`."""
        shutil.copyfile(self.file, folder / "potential.setfl")  # LAMMPS does not take every path
        return [f"pair_style eam/{self._functions.style}", f"pair_coeff * * potential.setfl {' '.join(self.species)}"]

    def energies(self, configuration: Configuration) -> np.ndarray:
        """Potential energy of each atom, shape (N,), with the same splines as LAMMPS."""
        functions = self._functions
        element = np.array([functions.elements.index(name) for name in configuration.names])[configuration.species]
        n = len(element)
        cutoffs = np.full((len(configuration.names),) * 2, functions.cutoff)
        density, pairs = np.zeros(n), np.zeros(n)
        for _, found in configuration.batches(np.arange(n), cutoffs):
            center = np.repeat(found.centers, found.counts)
            r = found.distance
            for a in range(len(functions.elements)):
                of_a = element[found.index] == a
                for b in range(len(functions.elements)):
                    both = of_a & (element[center] == b)
                    np.add.at(density, center[both], functions.density[a, b](r[both]))
                    np.add.at(pairs, center[both], 0.5 * functions.pair[max(a, b), min(a, b)](r[both]) / r[both])
        for a, embedding in enumerate(functions.embedding):
            of_a, most = element == a, functions.most_density
            inside = np.minimum(density[of_a], most)
            beyond = (density[of_a] - inside) * embedding(most, 1)
            pairs[of_a] += embedding(inside) + beyond
        return pairs


@dataclass(frozen=True)
class Functions:
    """The functions in a setfl file, as splines; `pair` holds r phi(r), `density` what element a gives at element b."""

    elements: tuple[str, ...]
    cutoff: float
    most_density: float
    embedding: list[CubicHermiteSpline]
    density: dict[tuple[int, int], CubicHermiteSpline]
    pair: dict[tuple[int, int], CubicHermiteSpline]
    style: str  # of LAMMPS: "alloy", one density for each element, or "fs", one for each two


@lru_cache(maxsize=4)
def read_setfl(path: str, sha256: str) -> Functions:
    """Read a setfl file; `sha256` of its content makes sure that a file which was changed is read again."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        count, *elements = lines[3].split()
        n_density, step_density, n_r, step_r, cutoff = lines[4].split()
        n, nd, nr = int(count), int(n_density), int(n_r)
        found = " ".join(lines[5:]).split()
        style = "fs" if len(found) >= n * (4 + nd + n * nr) + n * (n + 1) // 2 * nr and n > 1 else "alloy"
        words = iter(found)

        def take(number: int, step: float) -> CubicHermiteSpline:
            return _spline(np.array([float(next(words)) for _ in range(number)]), step)

        embedding, pair = [], {}
        density: dict[tuple[int, int], CubicHermiteSpline] = {}
        for a in range(n):
            for _ in range(4):  # atomic number, mass, lattice constant, lattice
                next(words)
            embedding.append(take(nd, float(step_density)))
            for b in range(n):
                density[a, b] = density[a, 0] if b and style == "alloy" else take(nr, float(step_r))
        for a in range(n):
            for b in range(a + 1):
                pair[a, b] = take(nr, float(step_r))
    except (IndexError, ValueError, StopIteration):
        raise FormatError(f"{path}: not a complete setfl file (eam/alloy, eam/fs): give such a file") from None
    most = (nd - 1) * float(step_density)
    return Functions(tuple(elements), float(cutoff), most, embedding, density, pair, style)


def _spline(values: np.ndarray, step: float) -> CubicHermiteSpline:
    """Cubic pieces with slopes from five points, two near the ends: the interpolation that LAMMPS uses."""
    from scipy.interpolate import CubicHermiteSpline

    slope = np.empty_like(values)
    slope[2:-2] = ((values[:-4] - values[4:]) + 8.0 * (values[3:-1] - values[1:-3])) / 12.0
    slope[[1, -2]] = 0.5 * (values[[2, -1]] - values[[0, -3]])
    slope[[0, -1]] = values[[1, -1]] - values[[0, -2]]
    return CubicHermiteSpline(step * np.arange(len(values)), values, slope / step)


def copper_zirconium(file: str) -> EmbeddedAtom:
    """Cu64Zr36 (A, App. A 5), where the potential is that of Cheng, Sheng and Ma, Phys. Rev. B 78, 014207 (2008).

    `file` is the potential in setfl format: theirs, or another of these elements, such as that of Mendelev, Sordelet
    and Kramer, J. Appl. Phys. 102, 043501 (2007), which LAMMPS brings (``potentials/CuZr_mm.eam.fs``). The density is
    that of a liquid to begin with; A works at zero pressure.
    """
    return EmbeddedAtom(
        file=file,
        name="copper_zirconium",
        species=("Cu", "Zr"),
        fractions=(0.64, 0.36),
        masses=(63.546, 91.224),
        density=0.058,
    )
