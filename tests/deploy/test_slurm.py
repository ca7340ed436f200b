"""On a real SLURM: workers come, are lost in every way that clusters know, and the bytes are the same.

The work is slow on purpose and not hard (most of it sleeps), so that it lasts longer than the workers.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import xarray as xr

import glassdask as gd
from glassdask.cluster import check, connect
from glassdask.errors import ClusterError
from glassdask.store import open_trajectory, save_trajectory, write_dataset
from glassdask.sweep import run_sweep
from tests.certificates import write_certificates
from tests.deploy.conftest import start_slurm
from tests.listening import housekeeping, listening, worker_processes
from tests.strangers import somebody_was_first
from tests.sweep.liquids import save_sweep

pytestmark = [pytest.mark.slurm, pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SLURM = ROOT / "deploy" / "slurm"
PATIENCE = 120.0  # seconds for what takes a few on a free machine


@pytest.fixture
def write_profile(slurm, tmp_path):
    def write(lines="", **options):
        path = tmp_path / "profile.toml"
        wanted = {
            "queue": "debug",
            "cores": 1,
            "processes": 1,
            "memory": "1GiB",
            "walltime": "00:10:00",
            "interface": "lo",
            "local_directory": str(tmp_path),
            "log_directory": str(tmp_path / "logs"),
            "death_timeout": 30,
            **options,
        }
        table = "\n".join(f"{key} = {value!r}" for key, value in wanted.items())
        path.write_text(f'kind = "slurm"\nworkers = 2\nlost_worker_timeout = "1s"\n{lines}\n[options]\n{table}\n')
        return str(path)

    return write


@pytest.fixture
def store(tmp_path):
    """A trajectory of 30 small frames."""
    path = tmp_path / "liquid.zarr"
    save_trajectory(liquid(), path)
    return path


def liquid(frames=30):
    rng = np.random.default_rng(20261121)
    return gd.from_arrays(6.0 * rng.random((frames, 200, 3)), species=["A", "B"] * 100, box=[6.0, 6.0, 6.0])


def content(path):
    """The bytes of every chunk below a path."""
    files = sorted(file for file in Path(path).rglob("*") if file.is_file() and "c" in file.relative_to(path).parts)
    assert files
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def slow_work(store, seconds, log):
    """A dataset whose every block takes a while, and is noted in a file by the process that computes it."""

    def block(position):
        with open(log, "a") as out:
            out.write(f"{os.getpid()}\n")
        time.sleep(seconds)
        return np.sqrt(position)

    position = open_trajectory(store)["position"].chunk(frame=1)
    return xr.Dataset({"root": position.copy(data=position.data.map_blocks(block))})


def undisturbed(path, frames=30):
    """The content that any interrupted run must have."""
    save_trajectory(liquid(frames), path)
    write_dataset(slow_work(path, 0.0, path.with_suffix(".log")), path, "descriptors/root", parameters={})
    return content(path)


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.2)


def glassdask(*arguments, cwd=None):
    command = [sys.executable, "-m", "glassdask", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, cwd=cwd)


LONG_RUN = """
import sys
from glassdask.cluster import connect
from tests.deploy.test_slurm import slow_work, write_dataset

if __name__ == "__main__":
    profile, store, log, seconds = sys.argv[1:]
    with connect(profile):
        write_dataset(slow_work(store, float(seconds), log), store, "descriptors/root", parameters={})
"""


def begin(folder, lines, walltime, seconds):
    """Work in a process of its own, which goes on while other tests run."""
    (folder / "profile.toml").write_text(
        f'kind = "slurm"\nlost_worker_timeout = "1s"\n{lines}\n[options]\ncores = 1\nprocesses = 1\n'
        f"memory = '1GiB'\nwalltime = '{walltime}'\ninterface = 'lo'\nlocal_directory = '{folder}'\n"
        f"log_directory = '{folder}'\n"
    )
    (folder / "run.py").write_text(LONG_RUN)
    save_trajectory(liquid(16), folder / "liquid.zarr")
    arguments = [folder / name for name in ("run.py", "profile.toml", "liquid.zarr", "log")]
    with open(folder / "errors", "w") as errors:
        command = [sys.executable, *arguments, str(seconds)]
        return subprocess.Popen(command, stderr=errors, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.fixture(scope="module")
def long_runs(slurm, tmp_path_factory):
    """Work that lasts longer than its workers, begun before the other tests; a minute is SLURM's least wall time."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("walltime", "lifetime")}
    runs = {
        "walltime": begin(folders["walltime"], "workers = 1", "00:01:00", seconds=5.0),
        "lifetime": begin(
            folders["lifetime"], 'workers = 2\nlifetime = "20s"\nlifetime_stagger = "2s"', "00:10:00", seconds=3.5
        ),
    }
    yield runs, folders
    for process in runs.values():
        process.kill()
        process.wait()


def test_developer_scripts_with_munge():
    """Up, a job, and down without a trace."""
    folder = Path(f"/run/glassdask-test-{os.getpid()}")  # munge wants a folder that all may enter
    with start_slurm(folder, auth="munge") as configuration:
        answer = subprocess.run(
            ["srun", "--quiet", "hostname"],
            env={**os.environ, "SLURM_CONF": configuration},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert answer.stdout.strip() == os.uname().nodename, answer.stderr
    assert not folder.exists()
    left = [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"]]
    assert not [process for process in left if any(str(folder) in part for part in process.info["cmdline"])]


def test_check_of_a_profile_that_works(long_runs, write_profile, tmp_path):
    done = glassdask("cluster", "check", write_profile())
    assert done.returncode == 0, done.stderr
    for expected in ("memory     1.00 GiB", f"scratch    {tmp_path}", "worker     tcp://127.0.0.1:", "particles/s"):
        assert expected in done.stdout


def test_check_says_in_one_line_why_no_worker_comes(write_profile):
    done = glassdask("cluster", "check", write_profile(queue="nosuch"))
    assert done.returncode == 1
    assert "the batch system refused the worker's job (invalid partition specified: nosuch" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": "900GiB"}, r"refused the worker's job \(Memory specification can not be satisfied"),
        ({"job_extra_directives": ["-C gpu"]}, r"refused the worker's job \(Invalid feature specification"),
        (
            {"cores": 64},
            r"pends in SLURM's queue \(PartitionConfig\): it asks for more than a node of",
        ),
        (
            {"python": "/nowhere/python"},
            r"ended before its worker came \(JobState FAILED, ExitCode 127.*No such file",
        ),
    ],
)
def test_reasons_why_no_worker_comes(write_profile, options, message):
    with pytest.raises(ClusterError, match=message):
        check(write_profile(**options), float, timeout=6)


def test_describe_with_the_profile_of_the_environment(write_profile, store, tmp_path, monkeypatch):
    monkeypatch.setenv("GLASSDASK_PROFILE", write_profile("adaptive = {minimum = 1, maximum = 2}"))
    save_trajectory(liquid(), tmp_path / "local.zarr")
    arguments = ["sbo:l_max=4,gamma=8", "--cutoff", "A-A=1.4", "--cutoff", "A-B=1.4", "--cutoff", "B-B=1.4", "--quiet"]
    for path, cluster in ((store, "slurm"), (tmp_path / "local.zarr", "threads")):
        done = glassdask("describe", path, *arguments, "--cluster", cluster)
        assert done.returncode == 0, done.stderr
    assert content(store) == content(tmp_path / "local.zarr")


def test_a_cancelled_worker_is_replaced(write_profile, store, tmp_path):
    log, cancelled = tmp_path / "log", []

    def cancel(done, total):
        if 4 <= done < total and not cancelled:
            cancelled.extend(jobs()[:1])
            subprocess.run(["scancel", *cancelled], check=True)

    with connect(write_profile(), workers=2) as client:

        def jobs():
            return [job.job_id for job in client.cluster.workers.values()]

        client.wait_for_workers(2, timeout=PATIENCE)
        assert housekeeping(client) == {("500ms", "100ms")}
        work = slow_work(store, 0.5, log)
        write_dataset(work, store, "descriptors/root", parameters={}, on_block=cancel)
        assert cancelled
        wait_for(lambda: len(client.scheduler_info()["workers"]) == 2, "a second worker")
        assert not set(cancelled) & set(jobs())
    assert content(store) == undisturbed(tmp_path / "undisturbed.zarr")
    # 30 blocks, and the few that the lost worker was about, or had done since the client last looked
    assert len(log.read_text().split()) <= 40


def test_nothing_listens_everywhere_and_strangers_are_refused(write_profile, tmp_path):
    """And what workers spill lies where nobody else can write, also where somebody else was first."""
    paths = write_certificates(tmp_path / "tls")
    somebody_was_first("others may write", tmp_path / f"glassdask-{os.getuid()}")
    before = listening(os.getpid())
    lines = f"tls = {{ca = '{paths['ca']}', certificate = '{paths['certificate']}', key = '{paths['key']}'}}"
    with connect(write_profile(lines), workers=1) as client:
        client.wait_for_workers(1, timeout=PATIENCE)
        (worker,) = client.scheduler_info()["workers"].items()
        assert worker[0].startswith("tls:")
        spilled = Path(worker[1]["local_directory"])
        (private,) = [place for place in spilled.parents if place.parent == tmp_path]
        assert private.name.startswith(f"glassdask-{os.getuid()}")
        assert private.name != f"glassdask-{os.getuid()}"
        assert private.stat().st_mode & 0o777 == 0o700
        found = (listening(os.getpid()) - before) | listening(*worker_processes(client))
        assert {address for address, _ in found} == {"127.0.0.1"}
        assert len(found) >= 5  # scheduler, its dashboard, nanny, worker and its dashboard
        assert client.submit(np.sum, client.scatter(np.arange(1000.0))).result() == 499500.0
        with pytest.raises(ClusterError, match="no certificate"), connect(client.scheduler.address):
            pass


@pytest.mark.parametrize("script", ["sweep.sbatch", "array.sbatch"])
def test_slurm_knows_every_directive(slurm, script):
    done = subprocess.run(["sbatch", "--test-only", SLURM / script, "x.toml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_sweep_in_one_job_and_as_an_array(write_profile, tmp_path):
    """Both scripts, at the same time; what they store is what one process here stores."""
    profile = write_profile()
    path = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    arguments = {"sweep.sbatch": ["--time=10", SLURM / "sweep.sbatch", "sweep.toml", profile]}
    arguments["array.sbatch"] = ["--time=10", "--array=1-2", SLURM / "array.sbatch", "sweep.toml"]
    jobs = {}
    for name, rest in arguments.items():
        folder = save_sweep(tmp_path / name).parent
        jobs[name] = subprocess.Popen(["sbatch", "--wait", *rest], cwd=folder, env=path, stdout=subprocess.DEVNULL)
    run_sweep(save_sweep(tmp_path / "here"))
    for name, job in jobs.items():
        logs = list((tmp_path / name).glob("*.log"))
        assert job.wait(timeout=2 * PATIENCE) == 0, [log.read_text() for log in logs]
        assert len(logs) == (1 if name == "sweep.sbatch" else 2)
        assert content(tmp_path / name / "data") == content(tmp_path / "here" / "data")
        done = glassdask("sweep", "status", "sweep.zarr", cwd=tmp_path / name)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["lifetime", "walltime"])
def test_work_goes_on_over_the_end_of_its_workers(long_runs, name):
    runs, folders = long_runs
    folder = folders[name]
    assert runs[name].wait(timeout=4 * PATIENCE) == 0, (folder / "errors").read_text()
    assert content(folder / "liquid.zarr") == undisturbed(folder / "undisturbed.zarr", 16)
    done = (folder / "log").read_text().split()
    workers = set(done)
    assert len(workers) >= (2 if name == "walltime" else 3)
    # what a worker was about when it ended is done again, and what it had just read; nothing that was stored
    assert len(done) <= 16 + 3 * len(workers)
    # SLURM says so in the log of a job that it ended
    ended_by_slurm = [file for file in folder.glob("*.err") if "DUE TO TIME LIMIT" in file.read_text()]
    assert bool(ended_by_slurm) == (name == "walltime")
