"""Cluster profiles: TOML or YAML files that say how workers are started, checked before anything is."""

from __future__ import annotations

import inspect
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassdask.errors import MissingPackageError, ParameterError

# Batch systems by the names that a profile may use, and the classes of dask-jobqueue that speak to them.
BATCH_SYSTEMS = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}
KEYS = ("kind", "workers", "lifetime", "lifetime_stagger", "lost_worker_timeout", "adaptive", "tls", "options")
LOCAL_OPTIONS = ("memory", "local_directory")
# what every batch profile must say: dask-jobqueue's own defaults are unsafe (all interfaces) or a surprise (30 minutes)
REQUIRED = ("cores", "processes", "memory", "walltime", "interface", "local_directory")
# parameters of dask-jobqueue's jobs that are set here, or that it no longer wants
HIDDEN = ("self", "scheduler", "name", "protocol", "security", "config_name")
DEPRECATED = ("extra", "env_extra", "header_skip", "job_extra", "project")
# arguments of `dask worker` that decide who may connect or how long it lives
RESERVED = ("--dashboard-address", "--no-dashboard", "--host", "--listen-address", "--contact-address", "--lifetime")
MEMORY = re.compile(r"\d+(\.\d+)? ?[KMGT]iB")
WALLTIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>\d\d)(?::(?P<seconds>\d\d))?")
EVERYWHERE = ("", "*", "0.0.0.0", "::", "[::]")  # addresses that mean all interfaces


@dataclass(frozen=True)
class Profile:
    """The checked content of a profile; see ``deploy/slurm/profile.toml`` for what each key means.

    `tls` holds absolute paths of ca, certificate and key, or is ``{"temporary": True}``. Durations are in seconds.
    `adaptive` is the least and the largest number of workers, where the number follows the work.
    """

    path: str
    kind: str
    workers: int
    options: dict[str, Any]
    lifetime: float | None = None
    lifetime_stagger: float = 0.0
    lost_worker_timeout: float = 15.0
    adaptive: tuple[int, int] | None = None
    tls: dict[str, Any] | None = None


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


def read_profile(target: str | os.PathLike[str]) -> Profile:
    """Read and check a profile; nothing is started or submitted.

    Parameters
    ----------
    target : path of a TOML or YAML file, or ``"slurm"`` (see `find_profile`)

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
    where, content = str(file), _parsed(file)
    _known(where, content, KEYS, "unknown keys")
    kind = content.get("kind")
    if kind not in (*BATCH_SYSTEMS, "local"):
        raise ParameterError(f"{where}: kind is {kind!r}, expected one of {', '.join([*BATCH_SYSTEMS, 'local'])}")
    options = dict(_table(where, content, "options"))
    profile = Profile(
        path=where,
        kind=kind,
        workers=_whole(where, "workers", content.get("workers", 1), least=1),
        options=options,
        lifetime=_seconds(where, content, "lifetime"),
        lifetime_stagger=_seconds(where, content, "lifetime_stagger") or 0.0,
        lost_worker_timeout=_seconds(where, content, "lost_worker_timeout") or Profile.lost_worker_timeout,
        adaptive=_adaptive(where, content),
        tls=_tls(file, content.get("tls")),
    )
    if not MEMORY.fullmatch(str(options.get("memory", "1GiB"))):
        raise ParameterError(
            f"{where}: memory is {options['memory']!r}, expected powers of 1024 such as "
            f"'{str(options['memory']).rstrip('iBb')}iB'"
        )
    if kind == "local":
        _known(where, options, LOCAL_OPTIONS, "unknown options")
        if profile.lifetime or profile.adaptive:
            raise ParameterError(f"{where}: lifetime and adaptive are for batch systems: leave them out")
    else:
        _check_batch(profile)
    return profile


def _parsed(file: Path) -> dict[str, Any]:
    is_yaml = file.suffix in (".yaml", ".yml")
    try:
        if is_yaml:
            import yaml

            try:
                content = yaml.safe_load(file.read_text(encoding="utf-8"))
            except yaml.YAMLError as error:
                raise ValueError(" ".join(str(error).split())) from None
        else:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ParameterError(f"{file}: not a {'YAML' if is_yaml else 'TOML'} profile ({error})") from None
    if not isinstance(content, dict):
        raise ParameterError(f"{file}: holds {type(content).__name__}, expected keys such as kind and options")
    return content


def _known(where: str, table: dict[str, Any], known: Any, what: str) -> None:
    unknown = sorted(map(str, set(table) - set(known)))
    if unknown:
        raise ParameterError(f"{where}: {what} {', '.join(unknown)}: expected {', '.join(known)}")


def _table(where: str, content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise ParameterError(f"{where}: {key} is {value!r}, expected a table")
    return value


def _whole(where: str, key: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ParameterError(f"{where}: {key} is {value!r}, expected a whole number of at least {least}")
    return value


def _seconds(where: str, content: dict[str, Any], key: str) -> float | None:
    from dask.utils import parse_timedelta

    value = content.get(key)
    if value is None:
        return None
    try:
        seconds = parse_timedelta(value)
    except (ValueError, KeyError, TypeError):
        seconds = -1.0
    if seconds <= 0:
        raise ParameterError(f"{where}: {key} is {value!r}, expected a duration such as '55m' or '30s'")
    return float(seconds)


def _adaptive(where: str, content: dict[str, Any]) -> tuple[int, int] | None:
    if "adaptive" not in content:
        return None
    table = _table(where, content, "adaptive")
    _known(where, table, ("minimum", "maximum"), "unknown keys of adaptive")
    least = _whole(where, "adaptive.minimum", table.get("minimum", 0), least=0)
    return least, _whole(where, "adaptive.maximum", table.get("maximum"), least=max(1, least))


def _tls(file: Path, value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if value == "temporary":
        return {"temporary": True}
    names = ("ca", "certificate", "key")
    if not isinstance(value, dict) or set(value) != set(names):
        raise ParameterError(f"{file}: tls is {value!r}, expected 'temporary' or a table of ca, certificate and key")
    paths = {name: file.parent.absolute() / Path(os.path.expandvars(value[name])).expanduser() for name in names}
    for name, path in paths.items():
        if not path.is_file():
            raise ParameterError(f"{file}: tls.{name}: no file {path}: give its path, relative to the profile or whole")
    if paths["key"].stat().st_mode & 0o077:
        raise ParameterError(f"{file}: tls.key: others may read {paths['key']}: chmod 600 it")
    return {name: str(path) for name, path in paths.items()}


def _check_batch(profile: Profile) -> None:
    where, options = profile.path, profile.options
    _known(where, options, _batch_options(profile.kind), "unknown options")
    absent = [key for key in REQUIRED if options.get(key) in (None, "")]
    if absent:
        reasons = {
            "interface": " (the network that workers and scheduler use; without it they would listen on all)",
            "local_directory": " (the scratch directory of the nodes, where workers spill)",
            "memory": " (of a job, such as '4GiB')",
        }
        raise ParameterError(f"{where}: options.{absent[0]} is missing{reasons.get(absent[0], '')}: add it")
    for key in ("cores", "processes"):
        _whole(where, f"options.{key}", options[key], least=1)
    walltime = _walltime(where, options["walltime"])
    if profile.lifetime is not None and profile.lifetime + profile.lifetime_stagger >= walltime:
        raise ParameterError(
            f"{where}: lifetime and lifetime_stagger are {profile.lifetime + profile.lifetime_stagger:g} s together, "
            f"expected less than the walltime of {walltime:g} s, so that workers end before they are killed"
        )
    _check_addresses(profile)


def _walltime(where: str, value: Any) -> float:
    match = WALLTIME.fullmatch(str(value))
    if not match:
        raise ParameterError(f"{where}: walltime is {value!r}, expected text such as '04:00:00' or '2-12:00:00'")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _check_addresses(profile: Profile) -> None:
    """Refuse what would listen on all interfaces, or on one that is not here."""
    import psutil

    where, options = profile.path, profile.options
    scheduler = _table(where, options, "scheduler_options")
    _known(where, scheduler, ("interface", "port", "dashboard_address"), "unknown scheduler_options")
    here = sorted(psutil.net_if_addrs())
    for name in {scheduler.get("interface", options["interface"])} - set(here):
        raise ParameterError(
            f"{where}: interface '{name}' is not on this machine, found {', '.join(here)}: name one that the nodes "
            "reach; where the nodes call theirs otherwise, set interface for them and scheduler_options.interface here"
        )
    dashboard = str(scheduler.get("dashboard_address", "127.0.0.1:0"))
    if ":" not in dashboard or dashboard.rpartition(":")[0] in EVERYWHERE:
        raise ParameterError(
            f"{where}: dashboard_address is '{dashboard}', which listens on all interfaces: expected HOST:PORT such as "
            "127.0.0.1:8787"
        )
    extra = options.get("worker_extra_args", [])
    if not isinstance(extra, list):
        raise ParameterError(f"{where}: worker_extra_args is {extra!r}, expected a list")
    taken = sorted({str(argument).split("=")[0] for argument in extra} & {*RESERVED, "--lifetime-stagger"})
    if taken:
        raise ParameterError(
            f"{where}: worker_extra_args has {', '.join(taken)}: leave out what is made from interface and lifetime"
        )


def _batch_options(kind: str) -> list[str]:
    """The options that dask-jobqueue's class for this batch system takes."""
    try:
        import dask_jobqueue
    except ImportError:
        raise MissingPackageError(
            f"{kind} profiles need dask-jobqueue: pip install 'glassdask[cluster]', or dask-jobqueue alone"
        ) from None
    job: Any = getattr(dask_jobqueue, BATCH_SYSTEMS[kind]).job_cls
    makers = [vars(part)["__init__"] for part in job.__mro__ if "__init__" in vars(part)]
    found = {name for maker in makers for name in inspect.signature(maker).parameters}
    names = found - {*HIDDEN, *DEPRECATED, "args", "kwargs", "base_class_kwargs"}
    return sorted(names | {"scheduler_options", "shared_temp_directory"})
