"""The commands ``glassdask sweep run|status|retry``."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from glassdask.cli.sweep import app
from glassdask.errors import ParameterError, SimulationError, StoreError
from tests.sweep.liquids import SIMULATED, save_sweep


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result.output


def test_run_status_retry(tmp_path):
    file, store = save_sweep(tmp_path), tmp_path / "sweep.zarr"
    chunk = next(c for c in (tmp_path / "data/gas/T=0.6/1.zarr/position/c").rglob("*") if c.is_file())
    content = chunk.read_bytes()
    chunk.write_bytes(b"")
    # two tasks of a job array, without any cluster; the second one has the bad state
    text = invoke("run", file, "--share", "1/2", "--quiet")
    assert "describe: 2 complete\n" in text
    assert "T=0.6" not in text
    text = invoke("run", file, "--share", "2/2", "--quiet", code=1)
    assert "describe: 1 complete, 1 failed\n" in text
    assert "reduce: 1 complete, 1 waiting\n" in text
    assert "gas/T=0.6000/seed=1: describe: CorruptStoreError: " in text
    assert f"glassdask sweep retry {store}" in text
    assert invoke("status", file) == invoke("status", store)
    text = invoke("status", store)
    line = next(line for line in text.splitlines() if "0.6" in line)
    assert [cell.strip() for cell in line.split("│")[1:-1]] == ["gas", "0.6", "1/2", "1/2", "1/2"]
    assert "describe: 3 complete, 1 failed\n" in text
    found = json.loads(invoke("status", store, "--json"))
    assert found["stages"] == ["describe", "reduce", "correlate"]
    assert found["runs"] == []
    failed = {state["label"]: state for state in found["states"]}["gas/T=0.6000/seed=1"]
    assert (failed["describe"], failed["reduce"], failed["correlate"]) == ("failed", "waiting", "failed")
    assert failed["density"] is None
    chunk.write_bytes(content)
    invoke("run", store, "--cluster", "threads", "--quiet", code=1)  # what has failed is left alone
    text = invoke("retry", store, "--cluster", "threads", "--only", "describe", "--quiet")
    assert "describe: 4 complete" in text
    assert "correlate" not in text
    text = invoke("retry", store, "--cluster", "threads", "--quiet", code=1)
    assert "reduce: 3 complete, 1 absent" in text  # it had not failed itself
    text = invoke("run", store, "--cluster", "threads", "--quiet")
    assert text == "describe: 4 complete\nreduce: 4 complete\ncorrelate: 4 complete\n"
    file.write_text(file.read_text().replace("k = 7.0", "k = 6.0"))
    with pytest.raises(StoreError, match="--overwrite"):
        invoke("run", file, "--cluster", "threads", "--quiet")
    assert "correlate: 4 complete" in invoke("run", file, "--cluster", "threads", "--quiet", "--overwrite")


def test_a_file_without_a_command(tmp_path):
    (tmp_path / "empty.toml").touch()
    for command in ("status", "retry"):
        with pytest.raises(ParameterError, match=r"empty\.toml: runs: no \[\[runs\]\]"):
            invoke(command, tmp_path / "empty.toml")
    with pytest.raises(ParameterError, match=r"what of a\.toml\? glassdask sweep run a\.toml, or status"):
        invoke("a.toml")


@pytest.mark.parametrize("share", ["3", "a/b", "0/2", "3/2", "1/0", "-1/2"])
def test_wrong_share(tmp_path, share):
    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=1)
    with pytest.raises(ParameterError, match="such as"):
        invoke("run", file, f"--share={share}")


def test_names_of_models_are_no_markup(tmp_path):
    file = save_sweep(tmp_path, temperatures=(0.5,), seeds=1)
    (tmp_path / "data/gas").rename(tmp_path / "data/[bold]gas")
    invoke("run", file, "--cluster", "threads", "--quiet")
    assert "[bold]gas" in invoke("status", tmp_path / "sweep.zarr")


def test_without_lammps_nothing_starts(tmp_path, monkeypatch):
    (tmp_path / "runs.toml").write_text(SIMULATED)
    monkeypatch.setattr("glassdask.sweep.simulating.find_spec", lambda name: None)
    monkeypatch.setattr("glassdask.cluster.connect", lambda *_, **__: pytest.fail("a cluster was started"))
    for options in ((), ("--dry-run",), ("--cluster", "threads")):
        with pytest.raises(SimulationError, match="1 state is to be simulated, and LAMMPS is not installed"):
            invoke("run", tmp_path / "runs.toml", *options)
    assert not (tmp_path / "runs.zarr").exists()
