"""Which reader a file is for: its first bytes decide, and its name only where they tell nothing."""

from __future__ import annotations

import glob
import mmap
import os
import re
import shlex
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glassdask.errors import FormatError
from glassdask.files import unreadable
from glassdask.io.compression import SUFFIXES, head
from glassdask.plugins import Catalog
from glassdask.store.others import refuse_others
from glassdask.variables import TRAJECTORY


@dataclass(frozen=True)
class Format:
    """Where a format is read, how its files are recognised, and which options its reader takes.

    The module has ``survey(path, **options)``, which gives a `Survey`, and ``read(path, start, stop, offset,
    **options)``, a generator of `Frame`; a text format's survey also takes ``growing``. The option ``columns`` may name
    the columns of the variables in `columns` (None: of any). With `folders` a folder may stand for a file. Another
    package adds one by the entry point ``glassdask.readers``, whose value is a `Format`.

    Where files mean something only together, the module has ``gather(paths, **options)`` instead, which gives a
    trajectory and lines for the user.

    `content` recognises a file: a regular expression that its first bytes (4096 at most, decompressed) match from the
    beginning, or a function of the path and these bytes. Where none is given, or several formats recognise a file, the
    suffix decides. `about` is what ``glassdask ingest --help`` says of it. Files of a `fragile` format, whose library
    may crash on damaged ones, are surveyed in another process.
    """

    module: str
    suffixes: tuple[str, ...]
    options: tuple[str, ...] = ("columns",)
    text: bool = False
    columns: tuple[str, ...] | None = None
    folders: bool = False
    content: bytes | Callable[[str, bytes], bool] | None = None
    about: str = ""
    together: bool = False
    fragile: bool = False

    def recognises(self, path: str, begin: bytes) -> bool:
        """Whether the first bytes of a file are those of this format."""
        if self.content is None:
            return False
        if isinstance(self.content, bytes):
            return re.match(self.content, begin) is not None
        return self.content(path, begin)


def _hdf5(*groups: str, zipped: str = "") -> Callable[[str, bytes], bool]:
    """Recognises HDF5 files with one of these groups or arrays, and zip files with the suffix `zipped`."""

    def recognised(path: str, begin: bytes) -> bool:
        if begin.startswith(b"PK"):
            return bool(zipped) and path.endswith(zipped)
        if not begin.startswith(HDF5):
            return False
        try:
            import h5py

            with h5py.File(path, "r") as file:
                return any(group in file for group in groups)
        except Exception:  # h5py is not there, or raises what it likes: the suffix must do, and the reader will tell
            return False

    return recognised


# a title, which may be empty, a number, and columns of fixed widths
GRO = rb"[^\n]*\n[ \t]*\d+[ \t]*\r?\n[ \d]{5}[^\n]{10}[ \d]{5}([ \t]*-?\d+\.\d+){3}"


def _mdtraj(path: str, begin: bytes) -> bool:
    """DCD of either byte order, XTC and TRR, HDF5 as mdtraj writes it, and GRO where the suffix says so."""
    if path.endswith(".gro") and re.match(GRO, begin):
        return True
    binary = re.match(rb"T\0\0\0CORD|\0\0\0TCORD|\0\0\x07[\xcb\xc9]", begin)
    return binary is not None or _hdf5("coordinates")(path, begin)


def _public(path: str, begin: bytes) -> bool:
    """An archive with the arrays that public data sets of propensities have, or a dictionary in a pickle."""
    try:
        if re.match(rb"(?s)\x80[\x02-\x05](\x95.{8})?\}|\(d", begin):
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return content.find(b"positions") >= 0
        with zipfile.ZipFile(path) as archive:
            return {"types.npy", "initial_positions.npy"} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return False


def _archive(path: str, begin: bytes) -> bool:
    return begin.startswith(b"PK\x03\x04") and not _public(path, begin)


def _netcdf(path: str, begin: bytes) -> bool:
    """NetCDF of the classic formats, and of HDF5 where atoms have coordinates in frames."""
    if re.match(rb"CDF[\x01\x02\x05]", begin):
        return True
    return _hdf5("coordinates")(path, begin) and _hdf5("cell_lengths", "spatial")(path, begin) and path.endswith(".nc")


def _ase(path: str) -> bool:
    """Whether ASE, where it is installed, knows the format and reads it."""
    try:
        from ase.io.formats import UnknownFileTypeError, filetype, ioformats
    except ImportError:
        return False
    try:
        found = ioformats.get(filetype(path))
    except (UnknownFileTypeError, OSError, ValueError):
        return False
    return found is not None and found.can_read and not path.startswith(("postgres", "mysql"))


HDF5 = b"\x89HDF\r\n\x1a\n"
OWN = {
    "lammps": Format(
        "glassdask.io.lammps",
        (".dump", ".lammpstrj", ".lammpsdump"),
        ("columns", "keep"),
        text=True,
        columns=("species", "energy", "diameter"),
        content=rb"\s*ITEM: ",
        about="LAMMPS dumps as text",
    ),
    "xyz": Format(
        "glassdask.io.xyz",
        (".xyz", ".extxyz"),
        ("columns", "keep"),
        text=True,
        columns=("position", "species", "velocity", "energy", "diameter", "image", "id"),
        content=rb"\s*(0[ \t]*\r?\n[^\n]*\n\s*)*\d+[ \t]*\r?\n([^\n]*\n[ \t]*\S+([ \t]+[-+.\w]+){2}|[^\n]*\Z)",
        about="extended and plain XYZ, also of ASE, OVITO, RUMD, atooms and partycls",
    ),
    "gsd": Format(
        "glassdask.io.gsd",
        (".gsd",),
        ("columns", "keep"),
        columns=("energy",),
        content=rb"\xdf\x65\xdf\x65\xdf\x65\xdf\x65",
        about="HOOMD",
    ),
    "h5md": Format(
        "glassdask.io.h5md",
        (".h5md", ".h5", ".hdf5", ".zarrmd", ".zarrmd.zip"),
        ("columns", "keep", "group", "topology", "species"),
        columns=("position", "species", "velocity", "energy", "image", "id"),
        folders=True,
        fragile=True,
        content=_hdf5("h5md", "particles", zipped=".zarrmd.zip"),
        about="H5MD and ZarrMD",
    ),
    "lammps_data": Format(
        "glassdask.io.lammps_data",
        (".data", ".lmp", ".lammps-data"),
        ("columns", "keep", "style"),
        text=True,
        columns=(),
        content=rb"(?s)[^\n]*\n(?!ITEM:).*?\d[ \t]+atoms\b.*?(xlo xhi|atom types|avec)",
        about="LAMMPS data files, one frame each",
    ),
    "npz": Format(
        "glassdask.io.npz",
        (".npz",),
        ("columns", "keep"),
        columns=tuple(TRAJECTORY),
        content=_archive,
        about="NumPy archives",
    ),
    "public": Format(
        "glassdask.io.public",
        (),
        ("density", "box", "lags"),
        content=_public,
        about="configurations with their propensity: BOTAN, GlassBench, DeepMind",
        together=True,
    ),
    "lammps_binary": Format(
        "glassdask.io.lammps_binary",
        (".bin", ".dump.bin"),
        ("columns", "keep"),
        columns=("species", "energy", "diameter", "all"),
        content=rb"(\xf8|\xf6)\xff{7}DUMP|\xff{7}(\xf8|\xf6)DUMP",
        about="binary LAMMPS dumps",
    ),
    "lammps_yaml": Format(
        "glassdask.io.lammps_yaml",
        (".yaml", ".yml"),
        ("columns", "keep"),
        text=True,
        columns=("species", "energy", "diameter"),
        content=rb"(?s)\s*---\s*\n.*?(creator: LAMMPS|timestep:)",
        about="LAMMPS dumps as yaml",
    ),
    "netcdf": Format(
        "glassdask.io.netcdf",
        (".nc", ".ncdf", ".netcdf"),
        ("columns", "keep", "topology", "species"),
        columns=("species", "energy", "diameter"),
        content=_netcdf,
        about="NetCDF in AMBER's convention, of LAMMPS and others",
        fragile=True,
    ),
    "cfg": Format(
        "glassdask.io.cfg",
        (".cfg",),
        ("columns", "keep"),
        text=True,
        columns=("species", "energy", "diameter"),
        content=rb"(\s*(#[^\n]*)?\n)*Number of particles *=",
        about="AtomEye's CFG, one frame each",
    ),
    "tracks": Format(
        "glassdask.io.tracks",
        (".csv", ".parquet"),
        ("columns", "keep"),
        columns=("frame", "position", "id", "species", "step", "time", "energy", "diameter"),
        content=rb"PAR1|[^\n]*\b(frame|FRAME)\b[^\n]*,[^\n]*\n|[^\n]*,[^\n]*\b(frame|FRAME)\b",
        about="tables of tracks: CSV and parquet, of trackpy, TrackMate and glassdask export",
    ),
    "ase": Format(
        "glassdask.io.ase",
        (".traj", ".cif", "poscar", "contcar", "xdatcar", "outcar", ".vasp", ".xsf", ".cube", ".castep", ".res"),
        ("columns", "keep"),
        columns=(),
        about="what else ASE reads: POSCAR, XDATCAR, CIF, .traj and more",
    ),
    "mdtraj": Format(
        "glassdask.io.mdtraj",
        (".dcd", ".xtc", ".trr", ".h5", ".hdf5", ".lh5", ".pdb", ".gro", ".mdcrd", ".dtr"),
        ("columns", "topology", "species"),
        columns=("species",),
        content=_mdtraj,
        about="what mdtraj reads: DCD, XTC, TRR, PDB, GRO and more",
        fragile=True,
    ),
}
FORMATS: Catalog[Format] = Catalog("reader", OWN, Format)

# What is no trajectory, or none that is read here: how it begins, what it is, and what to do with it.
STRANGERS = (
    (rb"LAMMPS \(", "the log of a LAMMPS run", "name the dump that the run wrote"),
    (rb"#!|\s*(import|from) \w", "a script", "name the files that it reads or writes"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|%PDF", "a picture or a document", "name the files of the trajectory"),
    (rb"PK\x05\x06|7z\xbc\xaf|Rar!", "an archive of files", "unpack it, and name the files in it"),
    (rb"(?s).{257}ustar", "a tar archive", "unpack it with tar xf, and name the files in it"),
    (rb"\x93NUMPY", "a single NumPy array", "save position, species and box together with numpy.savez"),
    (rb"\x80[\x02-\x05]", "a Python pickle", "save position, species and box with numpy.savez"),
    (rb"\s*[{\[]\s*[\"\[{\d]", "JSON", "write it as extended XYZ"),
)


def find_format(path: str | os.PathLike[str], format: str | None = None) -> str:
    """Name of the reader of a file: the one asked for, or the one that its content, or else its suffix, tells.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "dump.melt.0"
    >>> _ = path.write_text("ITEM: TIMESTEP\\n0\\n")
    >>> find_format(path), find_format("dump.melt", format="lammps")
    ('lammps', 'lammps')
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise FormatError(f"{path}: is a pipe or a device, which may never end: write what it gives to a file first")
    if format is not None:
        if not isinstance(format, str) or format not in FORMATS:
            raise FormatError(f"{path}: unknown format '{format}': choose one of {', '.join(FORMATS)}")
        return format
    path = os.fspath(path)
    names = [*OWN, *(other for other in FORMATS if other not in OWN)]
    name = Path(path).name.lower()
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    named = [known for known in names if name.endswith(FORMATS[known].suffixes)]
    if os.path.isdir(path) and any(FORMATS[known].folders for known in named):
        return next(known for known in named if FORMATS[known].folders)
    if os.path.isdir(path):
        refuse_others(Path(path), path)
        if os.path.isfile(os.path.join(path, "zarr.json")):
            raise FormatError(
                f"{path}: is a store already: use it as it is, or write it as a file with glassdask export"
            )
        example = shlex.quote(os.path.join(glob.escape(path), "*"))
        raise FormatError(f"{path}: is a folder: name the files in it, such as {example}")
    try:
        begin = head(path)
    except OSError as error:
        raise FormatError(unreadable(error) if error.filename else f"{path}: {unreadable(error)}") from None
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    if not begin and not os.path.getsize(path):
        raise FormatError(f"{path}: the file is empty: write it again or leave it out")
    if re.match(rb"\xff\xfe[^\0]\0|\xfe\xff\0[^\0]", begin):
        raise FormatError(
            f"{path}: is text in UTF-16, as the > of PowerShell writes it: convert it to UTF-8, such as with iconv -f "
            "UTF-16 -t UTF-8 FILE > NEW"
        )
    found = [known for known in names if FORMATS[known].recognises(path, begin)]
    for known in (*(known for known in found if known in named), *found, *named):
        return known
    if not begin:
        raise FormatError(f"{path}: truncated, nothing can be decompressed: copy the file again")
    for pattern, what, remedy in STRANGERS:
        if re.match(pattern, begin):
            raise FormatError(f"{path}: this is {what}, which is not read: {remedy}")
    if _ase(path):
        return "ase"
    suffixes = " ".join(suffix for described in FORMATS.values() for suffix in described.suffixes)
    raise FormatError(
        f"{path}: neither its content nor its suffix is known; known are {suffixes} (text also with "
        f"{' '.join(SUFFIXES)}): if it is one of them, name the format ({', '.join(FORMATS)}) with `format='lammps'`"
    )
