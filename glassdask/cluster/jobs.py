"""Workers that are jobs of a batch system: submitted, kept at the wanted number, and asked why they do not come."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glassdask.cluster.local import private_folder
from glassdask.cluster.overhead import exported, low_overhead
from glassdask.cluster.profile import BATCH_SYSTEMS, Profile
from glassdask.cluster.tls import security
from glassdask.errors import ClusterError

logger = logging.getLogger(__name__)

KEEP_SECONDS = 5.0  # between two looks at whether the wanted number of jobs is there
ASK_SECONDS = 30.0  # between two questions to the batch system about jobs whose workers have not come
# Workers that may be lost in the same task before it is given up. On a batch system it is not the task's fault that
# they end, by lifetime, wall time or preemption; dask's 3 are too few for a simulation of a day.
ALLOWED_FAILURES = 10
LONGEST_PAUSE = 300.0  # between submissions when one job after the other fails

SPILL = "GLASSDASK_SPILL"  # the variable of a job's shell with the folder for what workers spill

# What SLURM's reasons mean; the others are spelled as SLURM does.
REASONS = {
    "Resources": "it waits for nodes that are free",
    "Priority": "jobs of higher priority come first",
    "None": "SLURM has not looked at it yet",
    "PartitionConfig": "it asks for more than a node of the partition has: correct cores, memory or queue",
    "PartitionNodeLimit": "it asks for more nodes than the partition allows: correct queue",
    "PartitionTimeLimit": "its walltime is longer than the partition allows: correct walltime or queue",
    "BadConstraints": "no node has what it asks for: correct cores, memory, queue or job_extra_directives",
    "ReqNodeNotAvail": "the nodes it asks for are down or reserved",
    "AssocGrpCpuLimit": "the account's cores are in use",
    "QOSMaxCpuPerUserLimit": "your share of cores is in use",
}


@contextmanager
def batch_cluster(profile: Profile, workers: int | None = None) -> Iterator[Any]:
    """A dask-jobqueue cluster with its jobs submitted; they end with the block.

    Raises
    ------
    ClusterError
        The batch system refuses every job, or its commands are not here.
    """
    import dask
    import dask_jobqueue

    jobs = math.ceil((workers or profile.workers) / profile.options["processes"])
    settings = {
        "distributed.deploy.lost-worker-timeout": profile.lost_worker_timeout,
        "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
        **low_overhead(),
        "temporary-directory": private_folder(),  # of the scheduler, which is here
    }
    arguments = _arguments(profile)
    kind = with_private_scripts(getattr(dask_jobqueue, BATCH_SYSTEMS[profile.kind]))
    with dask.config.set(settings), kind(**arguments) as cluster:
        if profile.adaptive and workers is None:
            cluster.adapt(minimum=profile.adaptive.minimum, maximum=profile.adaptive.maximum)
            yield cluster
            return
        keeper = Keeper(cluster, profile)
        cluster.sync(keeper.start, jobs)
        try:
            yield cluster
        finally:
            cluster.sync(keeper.stop)


def with_private_scripts(cluster: type) -> type:
    """A cluster of dask-jobqueue whose job scripts lie where nobody else can write until they are submitted.

    dask-jobqueue's own are opened in ``/tmp`` by a name that was given back before, so that another user of the machine
    may be faster, and write what is then run as the user.
    """

    class Job(cluster.job_cls):  # type: ignore[name-defined]
        @contextmanager
        def job_file(self) -> Iterator[str]:
            with tempfile.TemporaryDirectory() as folder:  # of mode 700
                script = Path(folder) / "job.sh"
                script.write_text(self.job_script())
                yield str(script)

    return type(cluster.__name__, (cluster,), {"job_cls": Job})


def _arguments(profile: Profile) -> dict[str, Any]:
    """Arguments of the dask-jobqueue class: the profile's options, and what makes them safe."""
    options = dict(profile.options)
    # without an address of its own, a worker's dashboard listens on all interfaces, even with --no-dashboard
    extra = [*options.get("worker_extra_args", []), "--dashboard-address", "127.0.0.1:0"]
    if profile.lifetime is not None:
        extra += ["--lifetime", f"{profile.lifetime:g}s", "--lifetime-stagger", f"{profile.lifetime_stagger:g}s"]
    options["worker_extra_args"] = extra
    options["scheduler_options"] = {"dashboard_address": "127.0.0.1:0", **options.get("scheduler_options", {})}
    asked, options["local_directory"] = options["local_directory"], f'"${SPILL}"'
    prologue = [*options.get("job_script_prologue", []), *private_spill(asked)]
    options["job_script_prologue"] = [*exported(low_overhead()), *prologue]
    options["log_directory"] = _log_directory(profile)
    if profile.tls is not None:
        options["security"] = security(profile)
        if profile.tls == "temporary" and not options.get("shared_temp_directory"):
            folder = Path.home() / ".cache" / "glassdask"  # homes are what all nodes share
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            options["shared_temp_directory"] = str(folder)
    return options


def private_spill(folder: str) -> list[str]:
    """Lines of a job's script that name a folder below the scratch directory which nobody else can write to.

    Workers spill pickles there. dask's own, ``dask-scratch-space``, belongs to whoever makes it first, who could put
    others in their place. This one is as that of `glassdask.cluster.local.private_folder`, found by the node's shell.

    Examples
    --------
    >>> print(*private_spill("$TMPDIR")[:2], sep="\\n")
    GLASSDASK_SPILL="$TMPDIR/glassdask-$(id -u)"
    mkdir -m 700 "$GLASSDASK_SPILL" 2>/dev/null
    """
    name = f'"${SPILL}"'
    ours = f'[ -O {name} ] && [ ! -L {name} ] && [ "$(stat -c %a {name})" = 700 ]'
    return [
        f'{SPILL}="{folder}/glassdask-$(id -u)"',
        f"mkdir -m 700 {name} 2>/dev/null",
        f'{ours} || {SPILL}=$(mktemp -d "${SPILL}-XXXXXX") || exit 1',
    ]


def _log_directory(profile: Profile) -> str | None:
    """The whole path of where jobs write their logs."""
    given = profile.options.get("log_directory")
    return str(Path(os.path.expandvars(given)).expanduser().absolute()) if given else None


class Keeper:
    """Keeps a fixed number of jobs.

    dask-jobqueue submits a job once: a worker that ends by its lifetime or the wall time, is cancelled, or is lost with
    its node, is not replaced, and neither is a job that was refused or ended before its worker came. (Its adaptive
    scaling replaces some of them, with gaps in which nothing runs.) This looks every few seconds which jobs are gone,
    and submits them again; when one job after the other fails it waits longer and longer, and says why.
    """

    def __init__(self, cluster: Any, profile: Profile):
        self.cluster, self.profile = cluster, profile
        self.seen: dict[str, float] = {}  # job id -> when one of its workers was there
        self.asked = time.monotonic()
        self.failures = 0
        self.not_before = 0.0
        self.said = ""

    async def start(self, jobs: int) -> None:
        """Submit the jobs; raises `ClusterError` where the batch system takes none of them."""
        from tornado.ioloop import PeriodicCallback

        while len(self.cluster.worker_spec) < jobs:
            self.cluster.worker_spec.update(self.cluster.new_worker_spec())
        refused = await self._submit()
        if refused and not any(job.job_id for job in self.cluster.workers.values()):
            raise ClusterError(f"{self.profile.path}: {refused}")
        self._failed(refused)
        self.callback = PeriodicCallback(self.look, 1000 * KEEP_SECONDS)
        self.callback.start()

    async def stop(self) -> None:
        """Look no more."""
        self.callback.stop()

    async def look(self) -> None:
        """Forget the jobs that are gone, and submit others in their place."""
        now = time.monotonic()
        for name, job in self._lost(now) + await self._never_came(now):
            await job.close()
            self.cluster.workers.pop(name, None)
        if now >= self.not_before:
            self._failed(await self._submit())

    async def _submit(self) -> str:
        """Submit what `worker_spec` has and `workers` has not; what the batch system said where it refused."""
        from distributed.core import Status

        try:
            await self.cluster
        except (RuntimeError, OSError) as error:
            for job in self.cluster.workers.values():
                if job.job_id is None:
                    job.status = Status.failed  # as the cluster expects when it closes
            return refusal(error)
        return ""

    def _lost(self, now: float) -> list[tuple[str, Any]]:
        """Jobs all of whose workers were there and have been gone for a while."""
        here = {worker.name for worker in self.cluster.scheduler.workers.values()}
        lost = []
        for name, job in list(self.cluster.workers.items()):
            suffixes = self.cluster.worker_spec.get(name, {}).get("group", [""])
            if any(f"{name}{suffix}" in here for suffix in suffixes):
                if job.job_id not in self.seen:
                    self.failures, self.said = 0, ""
                self.seen[job.job_id] = now
            elif now - self.seen.get(job.job_id, now) > self.profile.lost_worker_timeout:
                lost.append((name, job))
        return lost

    async def _never_came(self, now: float) -> list[tuple[str, Any]]:
        """Jobs that were refused, or ended before a worker of theirs came."""
        waiting = [(name, job) for name, job in self.cluster.workers.items() if job.job_id not in self.seen]
        gone = [(name, job) for name, job in waiting if job.job_id is None]
        if self.profile.kind == "slurm" and len(waiting) > len(gone) and now - self.asked > ASK_SECONDS:
            self.asked = now
            present = await asyncio.to_thread(_queued_jobs)
            ended = [(name, job) for name, job in waiting if present is not None and job.job_id not in {None, *present}]
            if ended:
                self._failed(await asyncio.to_thread(why_no_worker, self.cluster, self.profile, ended[0][1]))
            gone += ended
        return gone

    def _failed(self, why: str) -> None:
        if not why:
            return
        self.failures += 1
        self.not_before = time.monotonic() + min(LONGEST_PAUSE, KEEP_SECONDS * 2**self.failures)
        if why != self.said:
            logger.warning("%s: %s", self.profile.path, why)
        self.said = why


def refusal(error: Exception) -> str:
    """What the batch system said when it refused a job, from dask-jobqueue's message of many lines."""
    if isinstance(error, FileNotFoundError):
        return f"'{error.filename}' is not a command here: run this where jobs can be submitted"
    text = str(error)
    said = text.partition("stderr:\n")[2].strip() or text
    prefix = r"^\w+: (error: )?(Batch job submission failed: )?"
    reasons = [re.sub(prefix, "", line.strip()) for line in said.splitlines() if line.strip()]
    return f"the batch system refused the worker's job ({'; '.join(reasons)}): correct the profile's options"


def why_no_worker(cluster: Any, profile: Profile, job: Any = None) -> str:
    """What has become of a job whose worker has not come, in words and as far as SLURM tells."""
    job = job or next(iter(cluster.workers.values()), None)
    if job is None or job.job_id is None:
        return "no job was submitted"
    if profile.kind != "slurm":
        return f"job {job.job_id} has not become a worker: look at the batch system's queue and the job's log"
    state, _, reason = (_answer("squeue", "-h", "-j", job.job_id, "-o", "%T|%r") or "").partition("|")
    if state == "PENDING":
        return f"job {job.job_id} pends in SLURM's queue ({reason}): {_meaning(reason)}"
    log = _last_words(profile, cluster, job)
    if state:
        reach = f"see whether it starts python, and whether its interface reaches {cluster.scheduler_address}"
        return f"job {job.job_id} is {state.lower()} but its worker has not come: {reach}{log}"
    answer = _answer("scontrol", "-o", "show", "job", job.job_id)
    found = dict(part.split("=", 1) for part in answer.split() if "=" in part)
    told = [f"{key} {found[key]}" for key in ("JobState", "ExitCode", "Reason") if found.get(key, "None") != "None"]
    how = ", ".join(told) or "SLURM knows no more of it"
    return f"job {job.job_id} ended before its worker came ({how}){log}"


def _meaning(reason: str) -> str:
    known = next((words for key, words in REASONS.items() if reason.startswith(key)), "")
    if known:
        return known
    if reason.startswith(("Assoc", "QOS")):
        return "a limit of your account is reached"
    return "see `squeue --start` and the partition's limits in `scontrol show partition`"


def _last_words(profile: Profile, cluster: Any, job: Any) -> str:
    """The last line of a job's error log, where the profile says where logs go."""
    folder = _log_directory(profile)
    if folder is None:
        return "; set log_directory to see its log"
    file = Path(folder) / f"{job.job_name or 'worker'}-{job.job_id}.err"
    try:
        lines = [line.strip() for line in file.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return f"; it has no log at {file}"
    return f"; {file} ends with: {lines[-1]}" if lines else f"; {file} is empty"


def _answer(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _queued_jobs() -> set[str] | None:
    """The user's jobs that SLURM knows as waiting or running; None where it does not answer."""
    try:
        answer = subprocess.run(["squeue", "-h", "--me", "-o", "%A"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return set(answer.stdout.split()) if answer.returncode == 0 else None
