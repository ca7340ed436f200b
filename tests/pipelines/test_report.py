"""The report of a pipeline: verdicts, contents, and the small copy that is kept."""

from __future__ import annotations

import re

import numpy as np
import pytest
import report
from report import Comparison, Report, Stopwatch, draw_published, keep

from glassdask import plotting


def of(ours: float, **more) -> Comparison:
    return Comparison("Fig. 1", "liquid", "accuracy", 0.9, ours, 0.01, 0.005, **more)


@pytest.mark.parametrize(
    ("comparison", "verdict"),
    [
        (of(0.91), "agrees"),
        (of(0.91, telling=0.005), "undecided"),
        (of(0.8), "differs"),
        (of(0.8, why="it is small"), "differs"),
        (of(0.8, core_hours=40.0), "undecided"),
        (of(0.8, core_hours=40.0, shown="lag"), "differs, with a reason shown"),
        (of(np.nan), ""),
        (Comparison("Fig. 1", "liquid", "words", "one mode", 1.0), ""),
    ],
)
def test_verdict(comparison, verdict):
    assert comparison.verdict == verdict


@pytest.fixture
def written(tmp_path):
    report = Report(tmp_path / "made", "Title & more")
    stopwatch = Stopwatch(tell=lambda line: None)
    report.compare(of(0.91, sample="day"), of(0.7, core_hours=12.0), of(0.7, shown="the lag"))
    rng = np.random.default_rng(0)
    for name in ("fig1_noise", "fig2_line"):
        drawn, ((ax,),) = plotting.figure(1, 1)
        table = rng.random((2000, 2)) if name == "fig1_noise" else np.zeros((2, 2))
        ax.plot(*table.T, ".")
        draw_published(ax, 0.9, 0.005)
        plotting.save(drawn, report.figure(name, f"About {name}."), {"x": table[:, 0], "y": table[:, 1]})
    report.settings["seeds"] = "0-3"
    stopwatch("figures")
    report.times += stopwatch.rows
    report.notes.append("A note.")
    report.write()
    return report


def test_contents_lead_to_what_they_name(written):
    page = (written.folder / "report.html").read_text()
    anchors = set(re.findall(r'id="([^"]+)"', page))
    links = re.findall(r'href="#([^"]+)"', page)
    assert set(links) == anchors
    assert {"settings", "notes", "figures", "published-and-ours", "fig1_noise"} <= anchors
    text = (written.folder / "report.md").read_text()
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
    assert "1 of 3 published numbers agree" in text
    assert "1 differs, with a reason shown, 1 undecided" in text
    assert "undecided: about 12 core-hours" in text
    assert "shown by: the lag" in text
    assert "| seeds | 0-3 |" in text


def test_a_copy_is_small(written, tmp_path, monkeypatch):
    made = {file.name: file.stat().st_size for file in written.folder.iterdir()}
    for suffix in ("png", "csv"):  # of an earlier report into the same folder
        (written.folder / f"fig0_earlier.{suffix}").write_bytes((written.folder / f"fig1_noise.{suffix}").read_bytes())
    assert keep(written.folder, tmp_path / "kept") == []
    kept = {file.name: file.stat().st_size for file in (tmp_path / "kept").iterdir()}
    assert kept.keys() == made.keys()
    assert kept["fig1_noise.png"] < 0.7 * made["fig1_noise.png"]
    # pictures go before small tables, large tables before pictures, and the copy says so
    most = sum(kept.values()) - 1000
    assert keep(written.folder, tmp_path / "kept", most) == [
        max((name for name in kept if name.endswith(".png")), key=kept.get)
    ]
    monkeypatch.setattr(report, "LARGE_TABLE", kept["fig1_noise.csv"] - 1)
    assert keep(written.folder, tmp_path / "kept", most) == ["fig1_noise.csv"]
    assert "fig1_noise.csv" in (tmp_path / "kept" / "left_out.txt").read_text()
    assert (tmp_path / "kept" / "fig2_line.csv").exists()


def test_published_values_are_drawn():
    _drawn, ((ax,),) = plotting.figure(1, 1)
    draw_published(ax, 0.9, 0.05)
    draw_published(ax, 0.5, label="_")
    assert [line.get_ydata()[0] for line in ax.lines] == [0.9, 0.5]
    assert ax.get_legend_handles_labels()[1] == ["published"]
    assert len(ax.patches) == 1
