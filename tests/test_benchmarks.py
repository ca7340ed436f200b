"""Every benchmark runs once, with tiny sizes, so that none rots; what it measures then means nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import bench_scheduler, history
from tests.benchmarks.__main__ import NAMES

ROOT = Path(__file__).parents[1]


def run(*arguments):
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks", *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


@pytest.mark.slow
def test_all_of_them_give_one_table(tmp_path):
    done = run("--tiny", "--json", tmp_path / "table.json")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "table.json").read_text())
    assert found["tiny"] is True
    assert found["versions"]["numba"]
    assert {*found["benchmarks"], *found["left_out"]} == {*NAMES}
    works = [row["work"] for row in found["rows"]]
    words = {
        "descriptors": "BO l 1-8", "learning": "PCA of", "storage": "SOAP written", "first": "glassdask --help",
        "correlations": "g(r)", "ingestion": "LAMMPS dump read", "export": "lammpstrj written",
        "simulation": "simulation, NVT",
    }  # fmt: skip
    for word in (word for name, word in words.items() if name not in found["left_out"]):
        assert any(work.startswith(word) for work in works), (word, works)
    assert all(row["glassdask"] > 0 and row["unit"] for row in found["rows"])
    assert all(row["work"][:45] in done.stdout for row in found["rows"])


def test_unknown_ones_are_named():
    done = run("descriptors", "nothing")
    assert done.returncode == 2
    assert "no benchmark is called nothing: expected some of descriptors" in done.stderr


def test_kept_tables_are_plotted_over_commits(tmp_path, capsys):
    def table(time, ratio, tiny=False):
        row = {
            "benchmark": "descriptors",
            "work": "BO <l>",
            "unit": "us",
            "glassdask": 2.0,
            "limit": 1.0,
            "best": "freud",
            "ratio": ratio,
        }
        alone = {**row, "work": "alone", "best": None, "ratio": None}
        machine = {"processor": "a core", "python": "3"}
        return {
            "glassdask": f"0+{time}",
            "committed": None if time == "2026-02-03" else time,
            "time": time,
            "machine": machine,
            "versions": {"numpy": "2 <x>"},
            "tiny": tiny,
            "rows": [row, alone],
        }

    kept = {"b": table("2026-02-03", 8.0), "a": table("2026-03-03", 9.0), "c": table("2026-04-03", 1.0, True)}
    for name, content in kept.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    history.main([str(tmp_path), "-o", str(tmp_path / "page.html")])
    assert "2 tables, 1 pieces of work" in capsys.readouterr().out
    page = (tmp_path / "page.html").read_text()
    assert page.count("<circle") == 2
    assert "<b>BO &lt;l&gt;</b>: 2 us, freud 9.00 times that" in page
    assert ">descriptors</h2>" in page
    assert page.count("fill='#c0392b'") == 0  # both are ahead
    # the newest table first: when, which code, where and beside what
    assert page.index(
        "<td>2026-03-03</td><td>0+2026-03-03, 2026-03-03</td><td>a core, Python 3</td><td>numpy 2 &lt;x&gt;</td>"
    ) < page.index("<td>2026-02-03</td>")
    assert page.index("0+2026-02-03: 8.00") < page.index("0+2026-03-03: 9.00")
    with pytest.raises(SystemExit):
        history.main([str(tmp_path / "nothing")])
    assert "write one with python -m tests.benchmarks --json" in capsys.readouterr().err


def test_tables_lie_in_the_order_of_the_commits_in_whatever_zone_these_were_made(tmp_path):
    for name, committed in {"b": "2026-03-01T01:30:00+02:00", "a": "2026-03-01T00:00:00+00:00"}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"name": name, "tiny": False, "committed": committed}))
    assert [table["name"] for table in history.kept(tmp_path)] == ["b", "a"]


@pytest.mark.parametrize(
    "name, said", [("limits", "search to 1.404"), ("gpu", "convolution"), ("cores", "copies of memory")]
)
def test_what_stands_alone_runs_with_tiny_sizes(name, said):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "GLASSDASK_BENCHMARKS": "tiny"}
    command = [sys.executable, "-W", "ignore", "-m", f"tests.benchmarks.bench_{name}"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert said in done.stdout


def test_a_scheduler_serves_workers_that_only_sleep(capsys):
    bench_scheduler.main(["2", "--rounds", "2", "--seconds", "0.05"])
    (row,) = capsys.readouterr().out.splitlines()[1:]
    assert row.split()[0] == "2"
