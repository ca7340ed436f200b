"""What a sweep would take, and what of it remains."""

from __future__ import annotations

import json

import pytest

from glassdask.sweep import read_sweep, run_sweep, status
from glassdask.sweep.estimating import _Law, estimate
from glassdask.sweep.remaining import told
from glassdask.sweep.starting import Starting
from tests.sweep.liquids import STAGES, save_liquid, save_sweep
from tests.sweep.test_sweep_cli import invoke


@pytest.fixture
def file(tmp_path):
    file = save_sweep(tmp_path, temperatures=(), stages=STAGES)
    for number, temperature in enumerate((0.5, 0.6)):
        save_liquid(tmp_path / f"data/gas/T={temperature}/0.zarr", number, frames=20)
    return file


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_pieces_tell_what_grows():
    law = _Law.of((10.0, 30.0), (3.0, 7.0))
    assert (law.a, law.b, law(100.0)) == (1.0, 0.2, 21.0)
    assert _Law.of((10.0, 30.0), (5.0, 4.0))(1000.0) == 4.5  # noise makes nothing shrink


def test_what_it_takes_and_what_remains(file, tmp_path):
    before = size(tmp_path)
    found = estimate(read_sweep(file))
    assert found.notes == []
    assert found.units == {"describe": 2, "reduce": 2, "correlate": 2}
    assert all(seconds >= 0 for seconds in found.seconds.values())
    assert size(tmp_path) == before, "nothing is written"
    run_sweep(file, stages=["describe"])
    left = estimate(read_sweep(file))
    assert left.units == {"describe": 0, "reduce": 2, "correlate": 2}
    kept = status(tmp_path / "sweep.zarr").attrs["remaining"]
    assert {stage: part["units"] for stage, part in kept.items()} == left.units
    assert kept["describe"]["seconds"] == 0.0
    assert kept["reduce"]["seconds"] is None
    assert told(kept, False) == [
        "4 units remain; how long reduce, correlate take is known once a unit of each has ended"
    ]
    assert "4 units remain" in invoke("status", tmp_path / "sweep.zarr")
    run_sweep(file)
    assert told(status(tmp_path / "sweep.zarr").attrs["remaining"], False) == []
    written = size(tmp_path) - before - size(tmp_path / "sweep.zarr")
    assert found.bytes == pytest.approx(written, rel=0.1)


def test_seconds_are_those_of_starting_and_of_all_units(file):
    found = estimate(read_sweep(file), workers=2)
    stages = ("describe", "reduce", "correlate")
    units, seconds, start, elapsed = found.only(stages)
    assert units == 6
    work = sum(found.seconds[stage] for stage in stages)
    assert seconds == pytest.approx(start + work)
    two = Starting(2, found.starting.loading)
    assert start == two.seconds(6) + two.watching(elapsed)
    # two states at once, which take the same
    assert found.longest == pytest.approx(work / 2)
    assert elapsed == pytest.approx(Starting(1, found.starting.loading).seconds(6) + work / 2)
    assert found.only(["reduce"])[0] == 2


def test_the_command(file, tmp_path):
    text = invoke("run", file, "--dry-run", "--quiet")
    assert "core-hours" in text
    assert "memory" in text
    told = json.loads(invoke("run", file, "--dry-run", "--quiet", "--json", "--only", "describe"))
    assert told["states"] == 2
    assert list(told["stages"]) == ["describe"]
    assert told["compiling"] >= 0
    assert not (tmp_path / "sweep.zarr").exists()
