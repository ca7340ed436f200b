"""What an operator copies: every file under deploy/ is parsed, checked, and where it can be, run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import dask
import psutil
import pytest
import yaml

from glassdask.cluster import connect, read_profile
from tests.certificates import write_certificates
from tests.listening import listening

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SHELL = sorted([*DEPLOY.rglob("*.sh"), *DEPLOY.rglob("*.sbatch")])


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_shell_syntax(script):
    shell = "bash" if script.read_text().startswith("#!/bin/bash") else "sh"
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^set -(eu|euo pipefail)$", script.read_text(), re.M)


@pytest.mark.parametrize("folder", ["slurm", "container", "kubernetes"])
def test_every_folder_is_explained(folder):
    text = (DEPLOY / folder / "README.md").read_text()
    assert len(text.split("\n## ")[0].splitlines()) <= 25
    for name in re.findall(r"`([\w-]+\.(?:sh|toml|sbatch|yaml))`", text):
        if name not in ("slurm.toml", "sweep.toml"):  # what the reader writes
            assert (DEPLOY / folder / name).is_file(), name


@pytest.mark.parametrize("file", sorted((DEPLOY / "slurm").glob("*.sbatch")), ids=lambda path: path.name)
def test_directives_come_before_commands(file):
    lines = file.read_text().splitlines()
    first_command = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    directives = [n for n, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert directives
    assert max(directives) < first_command


def test_profile_passes_its_checks(tmp_path):
    text = (DEPLOY / "slurm" / "profile.toml").read_text()
    (tmp_path / "slurm.toml").write_text(text.replace('"ib0"', '"lo"'))
    profile = read_profile(tmp_path / "slurm.toml")
    assert profile.lifetime + profile.lifetime_stagger < 4 * 3600
    assert profile.tls == "temporary"
    assert {"queue", "cores", "processes", "memory", "interface", "local_directory", "log_directory"} <= set(
        profile.options
    )
    # what is commented out is right as well
    without = re.sub(r"^tls = .*$", "", text.replace('"ib0"', '"lo"').replace('"eth1"', '"lo"'), flags=re.M)
    write_certificates(tmp_path / "tls")
    everything = re.sub(r"^# (?=\w+ = )", "", without, flags=re.M)
    (tmp_path / "slurm.toml").write_text(everything)
    profile = read_profile(tmp_path / "slurm.toml")
    assert (profile.adaptive.minimum, profile.adaptive.maximum) == (2, 32)
    assert profile.tls.ca == str(tmp_path / "tls" / "ca.pem")


def instructions():
    """(instruction, arguments) of the Containerfile, with continued lines joined and comments left out."""
    text = (DEPLOY / "container" / "Containerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [line.split(maxsplit=1) for line in lines.replace("\\\n", " ").splitlines() if line.strip()]


def test_containerfile_refers_to_what_exists():
    found = instructions()
    assert {name for name, _ in found} <= {"FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "ENTRYPOINT", "CMD"}
    for name, arguments in found:
        if name == "COPY" and not arguments.startswith("--from=build"):
            *sources, _ = shlex.split(arguments)
            for source in sources:
                assert (ROOT / source).exists(), source
        if name in ("ENTRYPOINT", "CMD"):
            assert all(isinstance(part, str) for part in json.loads(arguments))
        if name == "RUN":
            assert subprocess.run(["sh", "-n", "-c", arguments]).returncode == 0
    install = next(arguments for name, arguments in found if name == "RUN" and "constraint" in arguments)
    (extras,) = re.findall(r'"\.\[([\w,]+)\]"', install)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    assert "deploy/local/constraints.txt" in install


def test_containers_python_is_one_that_the_project_supports():
    bases = {arguments.split()[0] for name, arguments in instructions() if name == "FROM"}
    (base,) = bases
    version = tuple(map(int, re.search(r"python:(\d+)\.(\d+)", base).groups()))
    least = tuple(map(int, re.search(r">=(\d+)\.(\d+)", PROJECT["requires-python"]).groups()))
    assert version >= least
    assert version == (3, 11)  # that of the constraints


def test_container_does_not_run_as_root():
    users = [arguments for name, arguments in instructions() if name == "USER"]
    assert users
    assert users[-1].isdigit()
    assert int(users[-1]) > 0


@pytest.fixture(scope="module")
def manifest():
    cluster, policy = yaml.safe_load_all((DEPLOY / "kubernetes" / "cluster.yaml").read_text())
    return cluster, policy


def test_kubernetes_cluster_has_what_the_operator_asks_for(manifest):
    cluster, policy = manifest
    assert (cluster["apiVersion"], cluster["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    assert set(cluster["spec"]) == {"scheduler", "worker"}
    assert set(cluster["spec"]["scheduler"]) == {"spec", "service"}
    assert set(cluster["spec"]["worker"]) == {"spec", "replicas"}
    name = cluster["metadata"]["name"]
    labels = {"dask.org/cluster-name": name, "dask.org/component": "scheduler"}
    service = cluster["spec"]["scheduler"]["service"]
    assert service["selector"] == labels
    # the operator finds the scheduler by these names
    assert [port["name"] for port in service["ports"]] == ["tcp-comm", "http-dashboard"]
    (scheduler,) = cluster["spec"]["scheduler"]["spec"]["containers"]
    assert {port["name"]: port["containerPort"] for port in scheduler["ports"]} == {
        port["name"]: port["port"] for port in service["ports"]
    }
    assert policy["spec"]["podSelector"]["matchLabels"] == {"dask.org/cluster-name": name}
    autoscaler = yaml.safe_load((DEPLOY / "kubernetes" / "autoscaler.yaml").read_text())
    assert (autoscaler["apiVersion"], autoscaler["kind"]) == ("kubernetes.dask.org/v1", "DaskAutoscaler")
    assert autoscaler["spec"]["cluster"] == name
    assert 0 <= autoscaler["spec"]["minimum"] <= autoscaler["spec"]["maximum"]


@pytest.mark.parametrize("part", ["scheduler", "worker"])
def test_kubernetes_pods_are_confined(manifest, part):
    pod = manifest[0]["spec"][part]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]


def test_kubernetes_worker_knows_its_memory(manifest):
    (worker,) = manifest[0]["spec"]["worker"]["spec"]["containers"]
    (limit,) = [argument.split("=")[1] for argument in worker["args"] if argument.startswith("--memory-limit")]
    assert worker["resources"]["limits"]["memory"] == "4Gi"
    assert 0.9 * 4 * 2**30 < dask.utils.parse_bytes(limit) < 4 * 2**30


@pytest.mark.cluster
@pytest.mark.slow
def test_commands_of_the_pods_make_a_cluster(manifest, tmp_path):
    """What the containers would run, run here: it listens where it should, and asks for certificates."""
    write_certificates(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    known = {
        "$(POD_IP)": "127.0.0.1",
        "$(DASK_WORKER_NAME)": "worker-1",
        "glassdask-scheduler:8786": f"127.0.0.1:{port}",
        "--port=8786": f"--port={port}",
        ":8787": ":0",
        "/tls/ca.crt": str(tmp_path / "ca.pem"),
        "/tls/tls.crt": str(tmp_path / "certificate.pem"),
        "/tls/tls.key": str(tmp_path / "key.pem"),
        "--local-directory=/tmp": f"--local-directory={tmp_path}",
    }
    processes = []
    try:
        for part in ("scheduler", "worker"):
            (container,) = manifest[0]["spec"][part]["spec"]["containers"]
            command = [*container["command"], *container["args"]]
            for name, value in known.items():
                command = [argument.replace(name, value) for argument in command]
            environment = {item["name"]: item["value"] for item in container["env"] if "value" in item}
            with open(tmp_path / f"{part}.log", "w") as log:
                start = [sys.executable, "-m", *command]
                processes.append(subprocess.Popen(start, stderr=log, env={**os.environ, **environment}))
        files = {"ca-file": "ca", "client.cert": "certificate", "client.key": "key"}
        settings = {f"distributed.comm.tls.{key}": str(tmp_path / f"{name}.pem") for key, name in files.items()}
        with dask.config.set(settings), connect(f"tls://127.0.0.1:{port}") as client:
            client.wait_for_workers(1, timeout=60)
            (worker,) = client.scheduler_info()["workers"].values()
            assert worker["name"] == "worker-1"
            assert worker["memory_limit"] == 3800 * 2**20
            assert client.submit(sum, [1, 2]).result() == 3
            family = [child.pid for process in processes for child in psutil.Process(process.pid).children(True)]
            found = listening(*(process.pid for process in processes), *family)
            assert {address for address, _ in found} == {"127.0.0.1"}
            assert len(found) >= 4
    finally:
        for process in processes[::-1]:
            process.terminate()
        for process in processes:
            process.wait(timeout=60)


@pytest.mark.skipif(shutil.which("apt-get") is None or os.getuid() != 0, reason="needs apt-get and root")
def test_packages_that_cannot_be_installed_are_no_error(tmp_path):
    """A stand-in for apt-get that fails, as without a network."""
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = DEPLOY / "local" / "system.sh"
    done = subprocess.run(["sh", script, "glassdask-nothing"], env=path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "apt-get failed, so these are not installed: glassdask-nothing" in done.stderr
