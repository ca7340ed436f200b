"""Where the work runs."""

from __future__ import annotations

import pytest

from glassdask.cluster import connect, read_profile
from glassdask.errors import ParameterError


@pytest.mark.cluster
def test_local_cluster_listens_on_loopback_only():
    with connect("local", workers=1) as client:
        addresses = [client.scheduler.address, *client.scheduler_info()["workers"]]
        assert all(address.startswith("tcp://127.0.0.1:") for address in addresses)
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        assert client.submit(sum, [1, 2]).result() == 3


@pytest.mark.cluster
def test_address_of_a_running_scheduler(two_workers):
    with connect(two_workers.scheduler.address) as client:
        assert client.submit(max, [1, 2]).result() == 2


def test_profile(tmp_path):
    profile = tmp_path / "slurm.toml"
    profile.write_text('kind = "slurm"\nworkers = 3\n[options]\nqueue = "debug"\ncores = 1\n')
    assert read_profile(profile) == {"kind": "slurm", "workers": 3, "options": {"queue": "debug", "cores": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind = slurm", "not a TOML profile"),
        ('kind = "cray"', "expected one of slurm"),
        ('kind = "slurm"\nwalltime = 3', "unknown keys walltime"),
    ],
)
def test_bad_profiles(tmp_path, text, message):
    profile = tmp_path / "profile.toml"
    profile.write_text(text)
    with pytest.raises(ParameterError, match=message):
        read_profile(profile)
