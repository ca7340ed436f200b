"""What is drawn: the numbers that were given, where they were given."""

from __future__ import annotations

import numpy as np

from glassdask import plotting


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


def test_curve():
    _, axes = plotting.figure()
    ax = axes[0, 0]
    plotting.curve(ax, np.array([1.0, 2.0]), np.array([0.2, 0.4]), np.array([0.1, 0.05]), color="red")
    plotting.curve(ax, np.array([1.0, 2.0]), np.array([0.2, 0.4]))
    assert len(ax.lines) == 2
    assert len(ax.collections) == 1
    corners = ax.collections[0].get_paths()[0].vertices
    assert {tuple(point) for point in corners.round(3)} == {(1.0, 0.1), (1.0, 0.3), (2.0, 0.35), (2.0, 0.45)}
