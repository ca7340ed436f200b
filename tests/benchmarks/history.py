"""A page that plots kept tables over commits: ``python -m tests.benchmarks.history [FOLDER] [-o PAGE.html]``.

FOLDER (by default ``kept/tables`` beside this file) has a JSON for each commit, as ``python -m tests.benchmarks --json
FOLDER/NAME.json`` writes them; they are put in the order of the commits. Each line is one piece of work: how many times
ours the best other program takes, so that a slower or faster machine makes no difference, and the dashed line is what
it should be at least.
"""

from __future__ import annotations

import argparse
import html
import json
from datetime import datetime
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parent / "kept" / "tables"
OLD = "in older tables only"
WIDTH, HEIGHT, MARGIN, FOOT = 250, 110, 10, 14
GROUND, LINE, BEHIND = "#f6f6f4", "#1f5fa8", "#c0392b"
STYLE = (
    ".history{display:flex;flex-wrap:wrap;gap:1.4em}.history figure{margin:0;width:250px}"
    ".history-title{font-size:1.3em;margin:1.6em 0 .6em}"
    ".history figure figcaption{font-size:13px;line-height:1.35;text-align:left;color:var(--pst-color-text-base,#222)}"
    f".history svg{{background:{GROUND};display:block}}"
    ".history-tables td,.history-tables th{padding:.2em .8em .2em 0;text-align:left;vertical-align:top;font-size:13px}"
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.history", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=TABLES)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks.html"))
    given = parser.parse_args(arguments)
    tables = kept(given.folder)
    if not tables:
        parser.error(
            f"{given.folder}: no table: write one with python -m tests.benchmarks --json {given.folder}/NAME.json"
        )
    given.output.write_text(page(tables), encoding="utf-8")
    print(f"{given.output}: {len(tables)} tables, {len(ratios(tables))} pieces of work")


def kept(folder: Path) -> list[dict[str, Any]]:
    """The tables of a folder, in the order of their commits; tiny ones mean nothing."""
    tables = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    return sorted(
        (table for table in tables if not table["tiny"]),
        key=lambda table: datetime.fromisoformat(table["committed"] or table["time"]),
    )


def ratios(tables: list[dict[str, Any]]) -> dict[str, list[dict[str, Any] | None]]:
    """Work -> its row in each table, None where it has none; without what no other program does."""
    rows = [{row["work"]: row for row in table["rows"] if row["ratio"]} for table in tables]
    return {work: [each.get(work) for each in rows] for work in dict.fromkeys(name for each in rows for name in each)}


def page(tables: list[dict[str, Any]]) -> str:
    """A page of its own, with nothing that is loaded from elsewhere."""
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>glassdask: benchmarks over commits</title>"
        "<style>body{font:14px sans-serif;margin:2em;color:#222}</style>"
        f"<h1>Times of the best other program over ours</h1>{body(tables)}</html>\n"
    )


def body(tables: list[dict[str, Any]]) -> str:
    """What `page` shows, to be put into another page: which tables there are, and a figure for each piece of work."""
    versions = [str(table["glassdask"]) for table in tables]
    groups: dict[str, list[str]] = {}
    for work, rows in ratios(tables).items():
        owner = next((row["benchmark"] for row in reversed(rows) if row and "benchmark" in row), OLD)
        groups.setdefault(owner, []).append(figure(work, rows, versions))
    plots = "".join(
        f"<h2 class='history-title'>{html.escape(owner)}</h2><div class='history'>{''.join(figures)}</div>"
        for owner, figures in sorted(groups.items(), key=lambda group: group[0] == OLD)
    )
    return f"<style>{STYLE}</style>{_listed(tables)}{plots}"


def _listed(tables: list[dict[str, Any]]) -> str:
    """When, where and with which versions the tables were made, the newest first."""
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in (
            table["time"].replace("T", " ").replace("+00:00", " UTC"),
            f"{table['glassdask']}, {(table['committed'] or '')[:10]}".rstrip(", "),
            f"{table['machine']['processor']}, Python {table['machine']['python']}",
            ", ".join(f"{name} {version}" for name, version in table["versions"].items()),
        )) + "</tr>"
        for table in reversed(tables)
    )  # fmt: skip
    head = "".join(f"<th>{name}</th>" for name in ("measured", "glassdask", "machine", "versions"))
    return f"<table class='history-tables'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def figure(work: str, rows: list[dict[str, Any] | None], versions: list[str]) -> str:
    """One piece of work: a point for each table in which it is, with the version as its title."""
    found = [(k, row) for k, row in enumerate(rows) if row]
    last = found[-1][1]
    top = 1.25 * max([last["limit"], *(row["ratio"] for _, row in found)])
    low, high = HEIGHT - FOOT, MARGIN

    def place(k: int, value: float) -> tuple[float, float]:
        across = k / (len(rows) - 1) if len(rows) > 1 else 0.5
        return 3 * MARGIN + across * (WIDTH - 6 * MARGIN), low - value / top * (low - high)

    points = [(*place(k, row["ratio"]), versions[k], row) for k, row in found]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
    level = place(0, last["limit"])[1]
    dots = "".join(
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{LINE if row['ratio'] >= row['limit'] else BEHIND}'>"
        f"<title>{html.escape(version)}: {row['ratio']:.2f}, {row['glassdask']:.3g} {row['unit']}</title></circle>"
        f"<text x='{x:.1f}' y='{y - 6:.1f}' font-size='10' text-anchor='middle' fill='#222' "
        f"stroke='{GROUND}' stroke-width='3' paint-order='stroke'>{row['ratio']:.3g}</text>"
        for x, y, version, row in points
    )
    return (
        f"<figure><svg width='{WIDTH}' height='{HEIGHT}' role='img' aria-label='{html.escape(work, quote=True)}'>"
        f"<line x1='0' x2='{WIDTH}' y1='{low}' y2='{low}' stroke='#444'/>"
        f"<line x1='0' x2='{WIDTH}' y1='{level:.1f}' y2='{level:.1f}' stroke='#999' stroke-dasharray='4 3'/>"
        f"<polyline points='{line}' fill='none' stroke='{LINE}'/>{dots}</svg>"
        f"<figcaption><b>{html.escape(work)}</b>: {last['glassdask']:.3g} {html.escape(last['unit'])}, "
        f"{html.escape(str(last['best']))} {last['ratio']:.2f} times that</figcaption></figure>"
    )


if __name__ == "__main__":
    main()
