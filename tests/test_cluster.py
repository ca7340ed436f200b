"""Where the work runs: profiles are checked before anything starts, and nothing listens where it should not."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import dask
import numpy as np
import pytest

from glassdask.cluster import connect, find_profile, read_profile
from glassdask.cluster.jobs import Keeper, _arguments, private_spill, refusal, with_private_scripts
from glassdask.cluster.overhead import low_overhead
from glassdask.cluster.profile import Adaptive
from glassdask.errors import ClusterError, ParameterError
from tests.certificates import write_certificates
from tests.listening import housekeeping, listening, worker_processes
from tests.strangers import somebody_was_first

GOOD = """
kind = "slurm"
workers = 3
lifetime = "50m"
lifetime_stagger = "5m"

[options]
queue = "debug"
cores = 2
processes = 2
memory = "4GiB"
walltime = "01:00:00"
interface = "lo"
local_directory = "/tmp"
"""


@pytest.fixture
def write_profile(tmp_path):
    def write(text, name="slurm.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def tls_settings(paths):
    """What a user writes into dask's configuration to connect to an address that begins with tls."""
    keys = {"ca-file": "ca", "client.cert": "certificate", "client.key": "key"}
    return {f"distributed.comm.tls.{key}": paths[name] for key, name in keys.items()}


@pytest.mark.cluster
def test_local_cluster_listens_on_loopback_only():
    before = listening(os.getpid())
    with connect("local", workers=1) as client:
        found = (listening(os.getpid()) - before) | listening(*worker_processes(client))
        assert {address for address, _ in found} == {"127.0.0.1"}
        # scheduler, its dashboard, nanny, worker and its dashboard at least
        assert len(found) >= 5
        assert all(address.startswith("tls://127.0.0.1:") for address in client.scheduler_info()["workers"])
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        assert client.submit(sum, [1, 2]).result() == 3
        assert housekeeping(client) == {("500ms", "100ms")}


def test_settings_of_the_user_stay():
    """Only dask's own defaults are replaced, not what somebody has chosen."""
    chosen = {"distributed.worker.profile.interval": "50ms"}
    assert set(chosen) < set(low_overhead())
    with dask.config.set(chosen):
        assert not set(chosen) & set(low_overhead())


@pytest.mark.cluster
def test_address_of_a_running_scheduler(two_workers):
    with connect(two_workers.scheduler.address) as client:
        assert client.submit(max, [1, 2]).result() == 2


@pytest.mark.cluster
def test_address_in_a_notebook(two_workers):
    """Notebooks run their cells inside of an event loop."""

    async def cell():
        with connect(two_workers.scheduler.address) as client:
            return client.submit(max, [1, 2]).result()

    assert asyncio.run(cell()) == 2


@pytest.mark.cluster
@pytest.mark.parametrize("kind", ["local", "files"])
def test_tls_carries_data_and_refuses_strangers(write_profile, tmp_path, kind):
    table = "[tls]\nca = 'tls/ca.pem'\ncertificate = 'tls/certificate.pem'\nkey = 'tls/key.pem'\n"
    paths = write_certificates(tmp_path / "tls")
    profile = write_profile(f"kind = 'local'\n{table}[options]\nmemory = '1GiB'\n", "local.toml")
    with connect(str(profile) if kind == "files" else "local", workers=1) as client:
        address = client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        assert all(worker.startswith("tls://127.0.0.1:") for worker in client.scheduler_info()["workers"])
        data = np.arange(100_000.0)
        assert client.submit(np.sum, client.scatter(data)).result() == data.sum()
        with pytest.raises(ClusterError, match="no certificate to show"), connect(address):
            pass
        with pytest.raises(ClusterError, match=r"no scheduler answers at tcp://"), connect(f"tcp{address[3:]}"):
            pass
        # a certificate that another authority has signed does not help
        with (
            dask.config.set(tls_settings(write_certificates(tmp_path / "strange"))),
            pytest.raises(ClusterError, match="TLS certificate does not match"),
            connect(address),
        ):
            pass
        if kind == "files":
            with dask.config.set(tls_settings(paths)), connect(address) as other:
                assert other.submit(max, [1, 2]).result() == 2


def test_profile(write_profile):
    profile = read_profile(write_profile(GOOD))
    assert (profile.kind, profile.workers, profile.lifetime, profile.lifetime_stagger) == ("slurm", 3, 3000.0, 300.0)
    assert profile.options["walltime"] == "01:00:00"
    assert profile.adaptive is None
    assert profile.tls is None


def test_profile_in_yaml(write_profile):
    text = """
    kind: slurm
    adaptive: {minimum: 1, maximum: 4}
    options: {cores: 1, processes: 1, memory: 2GiB, walltime: "00:30:00", interface: lo, local_directory: /tmp}
    """
    profile = read_profile(write_profile(text, "slurm.yaml"))
    assert profile.adaptive == Adaptive(minimum=1, maximum=4)
    assert profile.options["memory"] == "2GiB"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "slurm"', "kind = slurm", "not a TOML profile"),
        (
            'kind = "slurm"',
            'kind = "cray"',
            "kind: expected one of 'slurm', .*, found 'cray'",
        ),
        ('kind = "slurm"', 'kind = "slurm"\nwalltime = 3', "walltime: unknown, expected some of kind, workers"),
        ("workers = 3", "workers = 0", "workers: expected a whole number of at least 1, found 0"),
        ("[options]", "[options]\nqueu = 1", "options.queu: unknown, expected some of .*queue"),
        ("4GiB", "4GB", "options.memory: expected powers of 1024 such as '4GiB', found '4GB'"),
        ("4GiB", "4G", "options.memory: expected powers of 1024 such as '4GiB', found '4G'"),
        ('"50m"', '"55m"', "expected less than the walltime of 3600 s"),
        ('"50m"', '"soon"', "lifetime: expected a duration such as '55m' or '30s', found 'soon'"),
        ('interface = "lo"', "", "options.interface is missing"),
        ('interface = "lo"', 'interface = "ib7"', "interface 'ib7' is not on this machine, found .*lo"),
        ('local_directory = "/tmp"', "", "options.local_directory is missing .*scratch"),
        ('memory = "4GiB"', "", "options.memory is missing"),
        ("cores = 2", "cores = '2'", "options.cores: expected int, found '2'"),
        (
            'walltime = "01:00:00"',
            'walltime = "1h"',
            "options.walltime: expected text such as .*, found '1h'",
        ),
        ("workers = 3", "adaptive = {maximum = 0}", "adaptive.maximum: expected a whole number of at least 1, found 0"),
        ("workers = 3", "tls = true", "tls: expected 'temporary' or a table of ca, .*, found True"),
        ("workers = 3", "tls = {ca = 'a', certificate = 'b', key = 'c'}", "tls.ca: no file"),
        ("[options]", "[options]\nscheduler_options = {dashboard_address = ':8787'}", "listens on all interfaces"),
        ("[options]", "[options]\nscheduler_options = {dashboard_address = '0.0.0.0:1'}", "listens on all interfaces"),
        (
            "[options]",
            "[options]\nscheduler_options = {host = '0.0.0.0'}",
            "scheduler_options.host: unknown, expected",
        ),
        ("[options]", "[options]\nworker_extra_args = ['--host', '0.0.0.0']", "worker_extra_args has --host"),
        ('lifetime = "50m"', "lifetime = ''", "lifetime: expected a duration .*, found ''"),
        ('lifetime = "50m"', "lifetime = [1]", r"lifetime: expected a duration .*, found \[1\]"),
        ('lifetime = "50m"', "lifetime = true", "lifetime: expected a duration .*, found True"),
        ("workers = 3", "path = 'x'", "path: unknown"),
        ("workers = 3", "adaptive = {minimum = 4, maximum = 2}", "adaptive: minimum 4: expected at most maximum, 2"),
        ("cores = 2", "cores = true", "options.cores: expected int, found True"),
        ("[options]", "[options]\nworker_extra_args = '--nanny'", "options.worker_extra_args: expected list, found"),
        ('walltime = "01:00:00"', "walltime = 3600", "options.walltime: expected str, found 3600"),
        ("[options]", "[options]\nworker_extra_args = ['--lifetime=5m']", "worker_extra_args has --lifetime"),
    ],
)
def test_bad_profiles(write_profile, old, new, message):
    assert old in GOOD
    with pytest.raises(ParameterError, match=message) as caught:
        read_profile(write_profile(GOOD.replace(old, new)))
    assert "\n" not in str(caught.value)


def test_key_that_others_may_read(write_profile, tmp_path):
    paths = write_certificates(tmp_path / "tls")
    os.chmod(paths["key"], 0o644)
    with pytest.raises(ParameterError, match=r"others may read .*key\.pem: chmod 600"):
        read_profile(
            write_profile(f"tls = {{ca = 'tls/ca.pem', certificate = 'tls/ca.pem', key = 'tls/key.pem'}}{GOOD}")
        )


def test_slurm_is_a_profile_in_one_of_three_places(write_profile, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    monkeypatch.delenv("GLASSDASK_PROFILE", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ParameterError, match=r"no profile at slurm.toml, .*configuration/glassdask/slurm.toml: copy"):
        read_profile("slurm")
    user = tmp_path / "configuration" / "glassdask" / "slurm.toml"
    user.parent.mkdir(parents=True)
    user.write_text(GOOD)
    assert find_profile("slurm") == user
    (tmp_path / "here" / "slurm.toml").write_text(GOOD)
    assert find_profile("slurm").resolve() == tmp_path / "here" / "slurm.toml"
    monkeypatch.setenv("GLASSDASK_PROFILE", str(write_profile(GOOD, "mine.toml")))
    assert find_profile("slurm").name == "mine.toml"
    monkeypatch.setenv("GLASSDASK_PROFILE", str(tmp_path / "none.toml"))
    with pytest.raises(ParameterError, match=r"no profile at .*none.toml"):
        read_profile("slurm")


@pytest.mark.parametrize("target", ["nowhere.toml", "locl"])
def test_targets_that_are_nothing(target):
    expected = rf"cluster '{target}': expected local, threads, slurm, an address"
    with pytest.raises(ParameterError, match=expected), connect(target):
        pass


@pytest.mark.cluster
def test_check_of_this_machine(monkeypatch, capsys):
    """The worker is another process: it does not see that we pretend to have another numpy."""
    from glassdask import cli
    from glassdask.cluster import checking

    found = checking._versions()
    monkeypatch.setattr(checking, "_versions", lambda: {**found, "numpy": "0.1"})
    monkeypatch.setattr("sys.argv", ["glassdask", "cluster", "check", "local"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert f"numpy      0.1 here, {np.__version__} on the worker" in out
    assert "versions differ: numpy: install the same in both places" in out
    assert re.search(r"scratch    /\S+, [\d.]+ GiB free", out)
    assert re.search(r"worker     tls://127.0.0.1:\d+, dashboard 127.0.0.1:\d+", out)
    assert re.search(r"kernel     smoothed bond order, \d{4,} particles/s", out)


class FakeJob:
    """A job of two workers."""

    def __init__(self, job_id):
        self.job_id, self.closed = job_id, False

    async def close(self):
        self.closed = True


class FakeCluster:
    """A cluster of such jobs: `here` are the names of the workers that the scheduler knows."""

    def __init__(self, names, here=()):
        self.worker_spec = {name: {"group": ["-0", "-1"]} for name in names}
        self.workers = {name: FakeJob(str(number)) for number, name in enumerate(names)}
        self.scheduler = SimpleNamespace(workers={})
        self.set_here(here)
        self.submitted: list[str] = []
        self.refuses = False

    def set_here(self, names):
        self.scheduler.workers = {name: SimpleNamespace(name=name) for name in names}

    def __await__(self):
        missing = [name for name in self.worker_spec if name not in self.workers]
        if self.refuses and missing:
            raise RuntimeError("stderr:\nsbatch: error: Batch job submission failed: Job limit\n")
        for name in missing:
            self.submitted.append(name)
            self.workers[name] = FakeJob(f"new-{name}")
        return iter(())


@pytest.fixture
def keeper(write_profile):
    profile = dataclasses.replace(read_profile(write_profile(GOOD)), kind="pbs", lost_worker_timeout=0.0)
    return Keeper(FakeCluster(["x", "y"], here=["x-0", "y-0", "y-1"]), profile)


def test_jobs_of_several_workers_are_replaced_when_all_of_them_are_gone(keeper):
    cluster = keeper.cluster
    first = cluster.workers["x"]
    asyncio.run(keeper.look())
    assert cluster.submitted == []
    cluster.set_here(["x-0", "y-1"])  # one of two is lost: the job goes on
    asyncio.run(keeper.look())
    assert cluster.submitted == []
    cluster.set_here(["y-1"])
    asyncio.run(keeper.look())
    assert cluster.submitted == ["x"]
    assert first.closed
    assert cluster.workers["x"].job_id == "new-x"


def test_refused_jobs_are_submitted_later_and_later(keeper, caplog):
    asyncio.run(keeper.look())
    keeper.cluster.set_here(["y-1"])
    keeper.cluster.refuses = True
    pauses = []
    for _ in range(12):
        keeper.not_before = 0.0
        asyncio.run(keeper.look())
        pauses.append(keeper.not_before - time.monotonic())
    assert all(before < after + 0.1 for before, after in itertools.pairwise(pauses))
    assert pauses[0] < 15
    assert 290 < pauses[-1] <= 300
    assert [record.getMessage() for record in caplog.records if "refused" in record.getMessage()] == [
        f"{keeper.profile.path}: the batch system refused the worker's job (Job limit): correct the profile's options"
    ]
    asyncio.run(keeper.look())  # too early
    keeper.cluster.refuses = False
    keeper.not_before = 0.0
    asyncio.run(keeper.look())
    assert keeper.cluster.submitted == ["x"]
    keeper.cluster.set_here(["x-0", "y-1"])
    asyncio.run(keeper.look())
    assert keeper.failures == 0


def test_what_a_batch_system_says_is_one_line():
    error = RuntimeError(
        "Command exited with non-zero exit code.\nExit code: 1\nCommand:\nsbatch x.sh\nstdout:\n\nstderr:\n"
        "sbatch: error: invalid partition specified: nosuch\n"
        "sbatch: error: Batch job submission failed: Invalid partition name specified\n\n"
    )
    assert refusal(error) == (
        "the batch system refused the worker's job (invalid partition specified: nosuch; Invalid partition name "
        "specified): correct the profile's options"
    )
    absent = FileNotFoundError(2, "No such file or directory", "sbatch")
    assert "'sbatch' is not a command here" in refusal(absent)


@pytest.mark.cluster
@pytest.mark.parametrize("indent", ["", "    "])
def test_a_script_without_a_guard_is_told_what_to_write(tmp_path, indent):
    """The processes of a cluster run the script, which starts a cluster: Python says so in a hundred lines."""
    script = tmp_path / "script.py"
    script.write_text(
        "from glassdask.cluster import connect\n"
        + ('if __name__ == "__main__":\n' if indent else "")
        + f'{indent}with connect("local", workers=1) as client:\n'
        + f"{indent}    print(client.submit(sum, [1, 2]).result())\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, check=False)
    if indent:
        assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")
        return
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) < 25
    assert [k for k, line in enumerate(lines) if "Error" in line][-1] == len(lines) - 1
    assert lines[-1].startswith("glassdask.errors.ClusterError: ")
    assert lines[-1].endswith('put the lines that connect below `if __name__ == "__main__":`')


@pytest.mark.cluster
def test_workers_that_still_import_do_not_hear_ctrl_c(tmp_path):
    """Python runs the imports of a script in its workers first: they printed where they were."""
    script, mark = tmp_path / "script.py", tmp_path / "importing"
    script.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "from glassdask.cluster import connect\n"
        'if __name__ != "__main__":\n'
        f"    Path({str(mark)!r}).touch()\n"
        "    time.sleep(5.0)\n"
        'if __name__ == "__main__":\n'
        "    try:\n"
        '        with connect("local", workers=1):\n'
        "            time.sleep(60.0)\n"
        "    except KeyboardInterrupt:\n"
        '        sys.exit("interrupted")\n'
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = subprocess.Popen(
        [sys.executable, str(script)], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not mark.exists() and command.poll() is None:
        time.sleep(0.1)
    os.killpg(command.pid, signal.SIGINT)
    assert command.communicate()[1] == "interrupted\n"
    assert command.returncode == 1


def test_job_scripts_lie_where_nobody_else_can_write():
    """Between the writing of a script and its submission: in a shared /tmp it could be exchanged."""
    kind = with_private_scripts(type("Kind", (), {"job_cls": type("Job", (), {"job_script": lambda self: "run"})}))
    with kind.job_cls().job_file() as script:
        assert Path(script).read_text() == "run"
        assert Path(script).parent.stat().st_mode & 0o077 == 0
    assert not Path(script).exists()


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("way", ["fresh", "again", "others may write", "link", "file"])
def test_jobs_spill_where_nobody_else_can_write(tmp_path, monkeypatch, shell, way):
    """The lines of a job's script, in a scratch directory where somebody else was first."""
    scratch = tmp_path / "with blank"
    scratch.mkdir()
    folder = scratch / f"glassdask-{os.getuid()}"
    somebody_was_first(way, folder)
    monkeypatch.setenv("SCRATCH", str(scratch))
    lines = [*private_spill("$SCRATCH"), 'echo "$GLASSDASK_SPILL"; stat -c "%a %u" "$GLASSDASK_SPILL"']
    done = subprocess.run([shell, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    found, mode = done.stdout.splitlines()
    assert (found == str(folder)) == (way in ("fresh", "again"))
    assert found.startswith(str(folder))
    assert mode == f"700 {os.getuid()}"


def test_jobs_use_that_folder(write_profile):
    arguments = _arguments(
        read_profile(write_profile(GOOD.replace("[options]", "[options]\njob_script_prologue = ['module load x']")))
    )
    assert arguments["local_directory"] == '"$GLASSDASK_SPILL"'
    lines = arguments["job_script_prologue"]
    assert lines.index("module load x") < lines.index('GLASSDASK_SPILL="/tmp/glassdask-$(id -u)"')
