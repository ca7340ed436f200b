"""What is drawn: the numbers that were given, where they were given."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from glassdask import plotting
from glassdask.errors import StoreError


def test_heat_table(tmp_path):
    drawn, axes = plotting.figure()
    ax = axes[0, 0]
    plotting.heat_table(ax, np.array([[1.0, -0.25, np.nan], [0.0, 0.5, -1.0]]), ["a", "b"], ["1", "2", "3"])
    written = {tuple(round(c) for c in text.get_position()): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "1.00", (1, 0): "-0.25", (0, 1): "0.00", (1, 1): "0.50", (2, 1): "-1.00"}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "3"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    image = ax.images[0]
    red, blue = (image.cmap(image.norm(value)) for value in (0.9, -0.9))
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    plotting.save(drawn, tmp_path / "table", {"r": [1.0]})
    assert (tmp_path / "table.png").stat().st_size > 1000
    assert (tmp_path / "table.csv").read_text() == "r\n1.0\n"


@pytest.mark.parametrize(("where", "remedy"), [("none/x", "make its folder first"), ("file/x", "a parent is a file")])
def test_a_plot_makes_no_folders(tmp_path, where, remedy):
    drawn, _ = plotting.figure()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=rf"x\.png: cannot be written .*{remedy}"):
        plotting.save(drawn, tmp_path / where, {"r": [1.0]})
    with pytest.raises(StoreError, match=rf"x\.csv: cannot be written .*{remedy}"):
        plotting.write_table(tmp_path / f"{where}.csv", {"r": [1.0]})
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("suffix", [".png", ".csv"])
def test_a_full_disk_keeps_the_plot_before(tmp_path, monkeypatch, suffix):
    drawn, _ = plotting.figure()
    plotting.save(drawn, tmp_path / "x", {"r": [1.0]})
    before = (tmp_path / "x.png").read_bytes(), (tmp_path / "x.csv").read_bytes()
    sync = os.fsync

    def refuse(descriptor):
        if suffix in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=rf"x\{suffix}: cannot be written .*MB are free in .*free space"):
        plotting.save(drawn, tmp_path / "x", {"r": [1.0]})
    assert before == ((tmp_path / "x.png").read_bytes(), (tmp_path / "x.csv").read_bytes())
    assert len(list(tmp_path.iterdir())) == 2


def test_curve():
    _, axes = plotting.figure()
    ax = axes[0, 0]
    plotting.curve(ax, np.array([1.0, 2.0]), np.array([0.2, 0.4]), np.array([0.1, 0.05]), color="red")
    plotting.curve(ax, np.array([1.0, 2.0]), np.array([0.2, 0.4]))
    assert len(ax.lines) == 2
    assert len(ax.collections) == 1
    corners = ax.collections[0].get_paths()[0].vertices
    assert {tuple(point) for point in corners.round(3)} == {(1.0, 0.1), (1.0, 0.3), (2.0, 0.35), (2.0, 0.45)}
