"""A page that plots kept tables over commits: ``python -m tests.benchmarks.history FOLDER [-o PAGE.html]``.

FOLDER has a JSON for each commit, as ``python -m tests.benchmarks --json FOLDER/NAME.json`` writes them; they are put
in the order of their times. Each line is one piece of work: how many times ours the best other program takes, so that
a slower or faster machine makes no difference, and the dashed line is what it should be at least.
"""

from __future__ import annotations

import argparse
import html
import json
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, MARGIN = 260, 90, 8


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.history", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks.html"))
    given = parser.parse_args(arguments)
    tables = [json.loads(file.read_text()) for file in sorted(given.folder.glob("*.json"))]
    tables = sorted((table for table in tables if not table["tiny"]), key=lambda table: table["time"])
    if not tables:
        parser.error(
            f"{given.folder}: no table: write one with python -m tests.benchmarks --json {given.folder}/NAME.json"
        )
    given.output.write_text(page(tables), encoding="utf-8")
    print(f"{given.output}: {len(tables)} tables, {len(ratios(tables))} pieces of work")


def ratios(tables: list[dict[str, Any]]) -> dict[str, list[dict[str, Any] | None]]:
    """Work -> its row in each table, None where it has none; without what no other program does."""
    rows = [{row["work"]: row for row in table["rows"] if row["ratio"]} for table in tables]
    return {work: [each.get(work) for each in rows] for work in dict.fromkeys(name for each in rows for name in each)}


def page(tables: list[dict[str, Any]]) -> str:
    """The page, with nothing that is loaded from elsewhere."""
    versions = [str(table["glassdask"]) for table in tables]
    plots = "\n".join(figure(work, rows, versions) for work, rows in ratios(tables).items())
    style = (
        "body{font:14px sans-serif;margin:2em;color:#222}main{display:flex;flex-wrap:wrap;gap:1.2em}"
        "figure{margin:0}figcaption{width:260px}svg{background:#f6f6f4}"
    )
    last = tables[-1]
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>glassdask: benchmarks</title>"
        f"<style>{style}</style>"
        f"<h1>Times of the best other program over ours</h1><p>{html.escape(versions[0])} to "
        f"{html.escape(versions[-1])}, {html.escape(last['time'])}, {html.escape(last['machine']['processor'])}. "
        f"Dashed: what it should be at least.</p><main>{plots}</main></html>\n"
    )


def figure(work: str, rows: list[dict[str, Any] | None], versions: list[str]) -> str:
    """One piece of work: a point for each table in which it is, with the version as its title."""
    found = [(k, row) for k, row in enumerate(rows) if row]
    last = found[-1][1]
    top = 1.1 * max([last["limit"], *(row["ratio"] for _, row in found)])

    def place(k: int, value: float) -> tuple[float, float]:
        across = k / (len(rows) - 1) if len(rows) > 1 else 0.5
        return MARGIN + across * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - value / top * (HEIGHT - 2 * MARGIN)

    points = [(*place(k, row["ratio"]), versions[k], row) for k, row in found]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
    level = place(0, last["limit"])[1]
    dots = "".join(
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='#1f5fa8'><title>{html.escape(version)}: "
        f"{row['ratio']:.2f}, {row['glassdask']:.3g} {row['unit']}</title></circle>"
        for x, y, version, row in points
    )
    return (
        f"<figure><svg width='{WIDTH}' height='{HEIGHT}' role='img' aria-label='{html.escape(work, quote=True)}'>"
        f"<line x1='0' x2='{WIDTH}' y1='{level:.1f}' y2='{level:.1f}' stroke='#999' stroke-dasharray='4 3'/>"
        f"<polyline points='{line}' fill='none' stroke='#1f5fa8'/>{dots}</svg>"
        f"<figcaption>{html.escape(work)}: {last['ratio']:.2f} ({html.escape(str(last['best']))})</figcaption></figure>"
    )


if __name__ == "__main__":
    main()
