"""Another user of the machine, who was there first and tries all doors: secrets of jobs, stores, caches, workers."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import dask
import pytest

import glassdask as gd
from glassdask.cluster import connect, read_profile
from glassdask.cluster.jobs import _arguments, with_private_scripts
from glassdask.kernels import cache
from tests.faults.harness import trajectory
from tests.strangers import given_to_nobody, only_root, tried

pytestmark = only_root


@pytest.fixture
def public(monkeypatch, tmp_path):
    """A folder such as ``/tmp``, which is the temporary one; those of pytest, made before, nobody else can enter."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o1777)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    shutil.rmtree(folder)


def refused(lines: list[str], least: int) -> None:
    assert len(lines) >= least, lines
    may = [line for line in lines if not line.startswith("refused")]
    assert may == [], "\n".join(may)


@pytest.mark.cluster
def test_the_attempts_of_a_stranger_succeed_where_the_door_is_open(public):
    """Otherwise the tests below could not fail."""
    (public / "open").mkdir()
    (public / "open").chmod(0o777)
    (public / "open" / "file").touch()
    (public / "open" / "file").chmod(0o666)
    lines = tried(f"secret {public}/open")
    assert [line.split()[0:2] for line in lines].count(["may", "write"]) == 1
    assert {" ".join(line.split()[:2]) for line in lines} >= {
        "may list",
        "may add",
        "may read",
        "may write",
        "may rename",
    }


@pytest.mark.cluster
def test_secrets_and_scripts_of_jobs(public, monkeypatch):
    jobqueue = pytest.importorskip("dask_jobqueue")
    home = public / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    file = home / "slurm.toml"
    file.write_text(
        'kind = "slurm"\nworkers = 1\ntls = "temporary"\n[options]\ncores = 1\nprocesses = 1\nmemory = "1GiB"\n'
        f'walltime = "00:10:00"\ninterface = "lo"\nlocal_directory = "{public}"\nlog_directory = "{home}/logs"\n'
    )
    with with_private_scripts(jobqueue.SLURMCluster)(**_arguments(read_profile(file))) as cluster:
        script = cluster.job_script()
        keys = [word for word in script.split() if word.startswith(str(home)) and Path(word).is_file()]
        assert any("PRIVATE KEY" in Path(key).read_text() for key in keys), script
        assert "PRIVATE KEY" not in script
        with cluster._dummy_job.job_file() as waiting:
            found = [*keys, waiting, str(Path(waiting).parent)]
            lines = tried(*(f"secret {path}" for path in found), f"files {home}", f"reach {cluster.scheduler_address}")
        for secret in ("ca_file", "cert", "key"):  # they would go with the last reference to the cluster
            getattr(cluster, f"_job_{secret}").close()
    refused(lines, 3 * len(found) + 4)


@pytest.mark.cluster
@pytest.mark.slow
def test_workers_and_what_they_spill(public, tmp_path):
    """All names that can be foretold are taken by somebody else, who looks at all that is there while it works."""
    ours, dasks = (given_to_nobody(public / name) for name in (f"glassdask-{os.getuid()}", "dask-scratch-space"))
    store = public / "run.zarr"
    gd.save_trajectory(trajectory(4, 200), store)
    with dask.config.set({"temporary-directory": None}), connect("local", workers=1) as client:
        workers = client.scheduler_info()["workers"]
        addresses = [client.scheduler.address, *workers, *(worker["nanny"] for worker in workers.values())]
        assert not any(worker["local_directory"].startswith((f"{ours}/", f"{dasks}/")) for worker in workers.values())
        looked = [*sys.path, *(place for path in client.run(lambda: __import__("sys").path).values() for place in path)]
        assert not any(place.startswith((f"{ours}/", f"{dasks}")) for place in looked)
        lines = tried(f"files {public}", *(f"reach {address}" for address in addresses))
        gd.save_descriptors(gd.describe(gd.open_trajectory(store), [gd.BondOrder(l_max=2, cutoffs=1.3)]), store)
        lines += tried(f"files {public}")
    lines = [line for line in lines if line != f"may add to {public}"]  # there everybody may make files
    refused(lines, 40)
    assert gd.store.verify(store) == []
    assert [path for folder in (ours, dasks) for path in folder.iterdir()] == []


@pytest.mark.parametrize("way", ["theirs", "writable", "exchangeable", "a place of theirs", "link", "ours"])
def test_machine_code_of_others_is_not_run(public, monkeypatch, tmp_path, way):
    """Compiled kernels are pickles; a cache in a shared folder has a name that can be foretold."""
    place = public / "kernels" if way in ("exchangeable", "a place of theirs") else public
    place.mkdir(exist_ok=True)
    folder = place / "glassdask-0123456789abcdef"
    if way == "link":
        folder.symlink_to(given_to_nobody(public / "elsewhere"))
    else:
        folder.mkdir()
        (folder / cache.FILLED).write_text(cache.processor())
    if way == "theirs":
        given_to_nobody(folder, 0o755)
    elif way == "writable":
        folder.chmod(0o777)
    elif way == "exchangeable":
        place.chmod(0o777)
    elif way == "a place of theirs":
        given_to_nobody(place, 0o1777)
    own = tmp_path / "own"
    monkeypatch.setattr(cache, "places", lambda: [place, own])
    assert cache.folder_for(folder.name) == (folder if way == "ours" else own / folder.name)
    assert (own / folder.name).exists() == (way != "ours")
