"""Cluster profiles: TOML or YAML files that say how workers are started, checked before anything is."""

from __future__ import annotations

import inspect
import math
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from glassdask.declarations import Count, Declaration, Read, Where, Whole, converted, hints, joined, make, shown
from glassdask.errors import GlassdaskError, MissingPackageError, ParameterError, install
from glassdask.texts import UTF8, parse_toml, parse_yaml

# Batch systems by the names that a profile may use, and the classes of dask-jobqueue that speak to them.
BATCH_SYSTEMS = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}
# what every batch profile must say, and why: dask-jobqueue's own defaults are unsafe (all interfaces) or a surprise
REQUIRED = {
    "cores": "",
    "processes": "",
    "memory": " (of a job, such as '4GiB')",
    "walltime": "",
    "interface": " (the network that workers and scheduler use; without it they would listen on all)",
    "local_directory": " (the scratch directory of the nodes, where workers spill)",
}
# parameters of dask-jobqueue's jobs that are set here, or that it no longer wants
HIDDEN = ("self", "scheduler", "name", "protocol", "security", "config_name")
DEPRECATED = ("extra", "env_extra", "header_skip", "job_extra", "project")
# arguments of `dask worker` that decide who may connect or how long it lives
RESERVED = (
    "--dashboard-address",
    "--no-dashboard",
    "--host",
    "--listen-address",
    "--contact-address",
    "--lifetime",
    "--lifetime-stagger",
)
MEMORY = re.compile(r"\d+(\.\d+)? ?[KMGT]iB")
WALLTIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>\d\d)(?::(?P<seconds>\d\d))?")
EVERYWHERE = ("", "*", "0.0.0.0", "::", "[::]")  # addresses that mean all interfaces

Memory = Annotated[str, Where(lambda text: MEMORY.fullmatch(text) is not None, "powers of 1024 such as '4GiB'")]
Walltime = Annotated[
    str, Where(lambda text: WALLTIME.fullmatch(text) is not None, "text such as '04:00:00' or '2-12:00:00'")
]
Address = Annotated[
    str,
    Where(
        lambda text: ":" in text and text.rpartition(":")[0] not in EVERYWHERE,
        "HOST:PORT such as 127.0.0.1:8787, which no address is that listens on all interfaces",
    ),
]


def read_seconds(value: Any, where: str) -> float:
    """A duration in seconds, from a number or from text such as ``"55m"``."""
    from dask.utils import parse_timedelta

    try:
        seconds = float(parse_timedelta(converted(value, float | str, where)))
    except (ParameterError, ValueError, KeyError, IndexError):
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise ParameterError(f"{where}: expected a duration such as '55m' or '30s', found {shown(value)}")
    return seconds


Seconds = Annotated[float, Read(read_seconds)]
Lifetime = Annotated[Seconds, Where(lambda seconds: seconds > 0, "a duration such as '55m' or '30s'")]


@dataclass(frozen=True, kw_only=True)
class Adaptive(Declaration):
    """Least and largest number of workers, where the number follows the work."""

    minimum: Whole = 0
    maximum: Count

    def check(self) -> None:
        """See `Declaration.check`."""
        if self.minimum > self.maximum:
            raise ParameterError(f"minimum {self.minimum}: expected at most maximum, {self.maximum}")


@dataclass(frozen=True, kw_only=True)
class Certificates(Declaration):
    """Files of TLS."""

    ca: str
    certificate: str
    key: str


def read_tls(value: Any, where: str) -> str | Certificates | None:
    """The word ``"temporary"``, or files."""
    if value is None or value == "temporary" or isinstance(value, Certificates):
        return value
    if not isinstance(value, dict):
        raise ParameterError(
            f"{where}: expected 'temporary' or a table of ca, certificate and key, found {shown(value)}"
        )
    return make(Certificates, value, where)


@dataclass(frozen=True, kw_only=True)
class SchedulerOptions(Declaration):
    """Where the scheduler listens."""

    interface: str | None = None
    port: int | None = None
    dashboard_address: Address = "127.0.0.1:0"


@dataclass(frozen=True, kw_only=True)
class JobOptions(Declaration):
    """What is known of the options of a batch system; the others are dask-jobqueue's."""

    cores: Count
    processes: Count
    memory: Memory
    walltime: Walltime
    interface: str
    local_directory: str
    scheduler_options: SchedulerOptions = SchedulerOptions()
    worker_extra_args: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The wall time."""
        match = WALLTIME.fullmatch(self.walltime)
        assert match is not None
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)

    def check(self) -> None:
        """Refuse what would listen on all interfaces, or on one that is not here."""
        import psutil

        here = sorted(psutil.net_if_addrs())
        name = self.scheduler_options.interface or self.interface
        if name not in here:
            raise ParameterError(
                f"interface {shown(name)} is not on this machine, found {', '.join(here)}: name one the nodes reach; "
                "where the nodes call theirs otherwise, set interface for them and scheduler_options.interface here"
            )
        taken = sorted({argument.split("=")[0] for argument in self.worker_extra_args} & {*RESERVED})
        if taken:
            raise ParameterError(
                f"worker_extra_args has {', '.join(taken)}: leave out what is made from interface and lifetime"
            )


@dataclass(frozen=True, kw_only=True)
class LocalOptions(Declaration):
    """The options of processes on this machine."""

    memory: Memory | None = None
    local_directory: str | None = None


@dataclass(frozen=True, kw_only=True)
class Profile(Declaration):
    """The content of a profile; see ``deploy/slurm/profile.toml`` for what each key means.

    Durations are in seconds. `path` is the file it was read from.
    """

    kind: Literal["slurm", "pbs", "lsf", "sge", "local"]
    workers: Count = 1
    options: dict[str, Any] = field(default_factory=dict)
    lifetime: Lifetime | None = None
    lifetime_stagger: Seconds = 0.0
    lost_worker_timeout: Seconds = 15.0
    adaptive: Adaptive | None = None
    tls: Annotated[Literal["temporary"] | Certificates | None, Read(read_tls)] = None
    path: str = field(init=False, default="profile")

    def check(self) -> None:
        """What the kind of workers needs."""
        if self.kind == "local":
            make(LocalOptions, self.options, "options")
            if self.lifetime or self.adaptive:
                raise ParameterError("lifetime and adaptive are for batch systems: leave them out")
            return
        known = _batch_options(self.kind)
        for name in self.options:
            if name not in known:
                raise ParameterError(f"{joined('options', name)}: unknown, expected some of {', '.join(known)}")
        for name, why in REQUIRED.items():
            if self.options.get(name) in (None, ""):
                raise ParameterError(f"options.{name} is missing{why}: add it")
        ours = {name: value for name, value in self.options.items() if name in hints(JobOptions)}
        walltime = make(JobOptions, ours, "options").seconds
        longest = (self.lifetime or 0.0) + self.lifetime_stagger
        if self.lifetime is not None and longest >= walltime:
            raise ParameterError(
                f"lifetime and lifetime_stagger are {longest:g} s together, expected less than the walltime of "
                f"{walltime:g} s, so that workers end before they are killed"
            )


def find_profile(target: str | os.PathLike[str]) -> Path:
    """The file that ``--cluster TARGET`` means.

    A path is itself. The word ``slurm`` is the file that the environment variable GLASSDASK_PROFILE names, else
    ``slurm.toml`` in the current folder, else ``~/.config/glassdask/slurm.toml``.

    Raises
    ------
    ParameterError
        There is no such file.

    Examples
    --------
    >>> try:
    ...     find_profile("nowhere.toml")
    ... except ParameterError as error:
    ...     print(str(error)[:79])
    cluster 'nowhere.toml': expected local, threads, slurm, an address such as tcp:
    """
    if str(target) == "slurm":
        configuration = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        places = [Path("slurm.toml"), configuration / "glassdask" / "slurm.toml"]
        if named := os.environ.get("GLASSDASK_PROFILE"):
            places = [Path(named)]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            looked = ", ".join(map(str, places))
            raise ParameterError(
                f"cluster 'slurm': no profile at {looked}: copy deploy/slurm/profile.toml to one of these and edit it, "
                "or set GLASSDASK_PROFILE to its path"
            )
        return found
    file = Path(target)
    if not file.is_file():
        raise ParameterError(
            f"cluster '{target}': expected local, threads, slurm, an address such as tcp://host:8786, or the path of a "
            "TOML or YAML profile"
        )
    return file


def number_of_workers(target: str, workers: int | None = None) -> int:
    """How many workers `connect` has for a target: those asked for, of its profile, or one for each core here.

    0 is this process. Of a scheduler that runs already, or a cluster that adapts, it is a guess.

    >>> number_of_workers("threads"), number_of_workers("local", 3)
    (0, 3)
    """
    if target == "threads":
        return 0
    here = target == "local" or "://" in target
    return workers or (len(os.sched_getaffinity(0)) if here else read_profile(target).workers)


def read_profile(target: str | os.PathLike[str]) -> Profile:
    """Read and check a profile; nothing is started or submitted.

    Parameters
    ----------
    target : str or path
        Path of a TOML or YAML file, or ``"slurm"`` (see `find_profile`).

    Raises
    ------
    ParameterError
        A key is unknown, missing, or has a value that would fail later: memory in GB (the powers of 1000 that dask
        understands are less than what batch systems grant by that name), a lifetime that does not end before the wall
        time, an interface that this machine has not, an address that listens everywhere, a TLS file that is not there.
    MissingPackageError
        dask-jobqueue is needed and not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "two.yaml")
    ...     _ = file.write_text("{kind: local, workers: 2, options: {memory: 4GiB}}")
    ...     profile = read_profile(file)
    >>> profile.kind, profile.workers, profile.options
    ('local', 2, {'memory': '4GiB'})
    """
    file = find_profile(target)
    try:
        profile = make(Profile, _parsed(file))
        if isinstance(profile.tls, Certificates):
            profile = replace(profile, tls=_found(profile.tls, file.parent.absolute()))
    except GlassdaskError as error:
        raise type(error)(f"{file}: {error}") from None
    object.__setattr__(profile, "path", str(file))
    return profile


def _parsed(file: Path) -> Any:
    is_yaml = file.suffix in (".yaml", ".yml")
    try:
        text = file.read_text(encoding=UTF8)
        return parse_yaml(text) if is_yaml else parse_toml(text)
    except (OSError, ValueError) as error:
        raise ParameterError(f"not a {'YAML' if is_yaml else 'TOML'} profile ({error})") from None


def _found(tls: Certificates, folder: Path) -> Certificates:
    """The whole paths of files that are there, and of a key that nobody else may read."""
    paths = {name: folder / Path(os.path.expandvars(getattr(tls, name))).expanduser() for name in hints(Certificates)}
    for name, path in paths.items():
        if not path.is_file():
            raise ParameterError(f"tls.{name}: no file {path}: give its path, relative to the profile or whole")
    if paths["key"].stat().st_mode & 0o077:
        raise ParameterError(f"tls.key: others may read {paths['key']}: chmod 600 it")
    return Certificates(**{name: str(path) for name, path in paths.items()})


def _batch_options(kind: str) -> list[str]:
    """The options that dask-jobqueue's class for this batch system takes."""
    try:
        import dask_jobqueue
    except ImportError:
        raise MissingPackageError(
            f"{kind} profiles need dask-jobqueue: {install('cluster')}, or dask-jobqueue alone"
        ) from None
    job: Any = getattr(dask_jobqueue, BATCH_SYSTEMS[kind]).job_cls
    makers = [vars(part)["__init__"] for part in job.__mro__ if "__init__" in vars(part)]
    found = {name for maker in makers for name in inspect.signature(maker).parameters}
    names = found - {*HIDDEN, *DEPRECATED, "args", "kwargs", "base_class_kwargs"}
    return sorted(names | {"scheduler_options", "shared_temp_directory"})
