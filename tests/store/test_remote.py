"""Stores are read where they are: from a web server, which may list its folders or not, and from S3."""

import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import glassdask as gd
from glassdask.cli import app
from glassdask.errors import CorruptStoreError, GlassdaskError, StoreError
from glassdask.remote import Address, place


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store with a descriptor."""
    folder = tmp_path_factory.mktemp("served")
    rng = np.random.default_rng(0)
    given = gd.from_arrays(
        4.0 * rng.random((5, 30, 3)),
        species=["A", "B"] * 15,
        box=[4.0] * 3,
        step=range(5),
        velocity=rng.random((5, 30, 3)),
    )
    gd.save_trajectory(given, folder / "tree.zarr" / "run")
    opened = gd.open_trajectory(folder / "tree.zarr" / "run")
    found = gd.describe(opened, [gd.Coordination(cutoffs={("A", "A"): 1.0, ("A", "B"): 1.0, ("B", "B"): 1.0})])
    gd.save_descriptors(found, folder / "tree.zarr" / "run")
    return folder


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Unlisted(Silent):
    def list_directory(self, _):
        self.send_error(403)


@pytest.fixture(params=[Silent, Unlisted], ids=["listed", "unlisted"])
def web(folder, request):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(request.param, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/tree.zarr/run"
        server.shutdown()


@pytest.fixture
def bucket(folder, monkeypatch):
    server = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("s3fs")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="runs")
    for file in folder.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), "runs", str(file.relative_to(folder)))
    yield "s3://runs/tree.zarr/run"
    client.close()
    running.stop()


def same(address, folder):
    """All that a store has is the same there and here."""
    here = gd.open_trajectory(folder / "tree.zarr" / "run")
    there = gd.open_trajectory(address)
    xr.testing.assert_identical(there.drop_attrs(), here.drop_attrs())
    assert there.attrs["store"] == address
    np.testing.assert_array_equal(there["position"][3].values, here["position"][3])
    coordination = gd.open_descriptors(address, ["coordination"])["coordination"]
    np.testing.assert_array_equal(coordination, gd.open_descriptors(folder / "tree.zarr" / "run")["coordination"])
    with xr.open_dataset(address, engine="glassdask") as opened:
        np.testing.assert_array_equal(opened["velocity"], here["velocity"])
    with xr.open_dataset(address, engine="glassdask", group="descriptors/coordination", chunks={}) as opened:
        np.testing.assert_array_equal(opened["coordination"], coordination)


def test_a_web_server_is_enough(web, folder, tmp_path):
    same(web, folder)
    gd.export(web, tmp_path / "t.csv", columns="coordination", frames=0)
    assert (tmp_path / "t.csv").read_text().count("\n") == 31
    with pytest.raises(StoreError, match="does not exist"):
        gd.open_trajectory(f"{web}/none")
    for command in ("describe", "reduce"):
        found = CliRunner().invoke(app, [command, web, "coordination"])
        assert "nothing is written there" in str(found.exception)
    with pytest.raises(StoreError, match="nothing is written there"):
        gd.export(web, "s3://runs/t.csv")
    with pytest.raises(StoreError, match="nothing is written there"):
        gd.ingest(tmp_path / "t.csv", "s3://runs/t.zarr", box=[4.0] * 3)
    with pytest.raises(StoreError, match=r"no descriptor sbo is stored|does not list"):
        gd.open_descriptors(web, ["sbo"])


def test_a_bucket_is_read(bucket, folder):
    same(bucket, folder)
    assert gd.store.info(bucket)["arrays"] == gd.store.info(folder / "tree.zarr" / "run")["arrays"]
    np.testing.assert_array_equal(
        gd.open_descriptors(bucket)["coordination"], gd.open_descriptors(bucket, ["coordination"])["coordination"]
    )
    with pytest.raises(StoreError, match="nothing is written there"):
        gd.save_trajectory(gd.open_trajectory(bucket), "s3://runs/copy.zarr")
    with pytest.raises(StoreError, match="nothing is written there"):
        gd.save_descriptors(gd.describe(gd.open_trajectory(bucket), [gd.Coordination(cutoffs=1.0)]), bucket)


@pytest.mark.parametrize("how", ["altered", "missing", "metadata"])
def test_what_is_damaged_there_is_told(folder, tmp_path, how):
    import shutil

    shutil.copytree(folder / "tree.zarr", tmp_path / "tree.zarr")
    chunk = next(file for file in (tmp_path / "tree.zarr/run/position/c").rglob("*") if file.is_file())
    if how == "altered":
        content = bytearray(chunk.read_bytes())
        content[len(content) // 2] ^= 1
        chunk.write_bytes(content)
    elif how == "missing":
        chunk.unlink()
    else:
        file = tmp_path / "tree.zarr/run/position/zarr.json"
        file.write_text(file.read_text().replace("length", "meters"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/tree.zarr/run"
        with pytest.raises(CorruptStoreError) as found:
            gd.open_trajectory(address)["position"].values  # noqa: B018
        server.shutdown()
    assert address in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("address", ["nope://a/b.zarr", "http://127.0.0.1:9/b.zarr"])
def test_hosts_that_are_not_there_are_one_line(address):
    with pytest.raises(GlassdaskError) as found:
        gd.open_trajectory(address)
    assert "\n" not in str(found.value)


def test_addresses_are_paths():
    run = place("s3://runs/tree.zarr") / "run"
    assert str(run) == os.fspath(run) == "s3://runs/tree.zarr/run"
    assert run == Address("s3://runs/tree.zarr/run")
    assert hash(run) == hash(place(str(run)))
    assert [str(above) for above in run.parents] == ["s3://runs/tree.zarr", "s3://runs"]
    assert str(run.parent.with_name("x")) == "s3://runs/x"
    assert run.relative_to(run.parent).as_posix() == "run"
    assert place("file:///data/x.zarr") == Path("/data/x.zarr")


@pytest.mark.parametrize(
    "busy", ["descriptors/coordination/zarr.json", "velocity/zarr.json", "velocity/c/", ".glassdask/"]
)
def test_a_server_that_is_busy_has_not_lost_what_it_does_not_give(folder, busy):
    """A part that is left out, or a chunk that is said to be missing, would be a wrong answer without a word."""

    class Busy(Silent):
        def send_head(self):
            return self.send_error(503) if busy in self.path else super().send_head()

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Busy, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/tree.zarr/run"
        opening = gd.open_descriptors if "descriptors" in busy else lambda url: gd.open_trajectory(url).load()
        with pytest.raises(StoreError, match=r"503.*check the address and the connection"):
            opening(url)
        server.shutdown()
    with pytest.raises(StoreError, match=r"cannot be read .*check the address and the connection"):
        gd.open_trajectory(url)  # nobody listens any more
