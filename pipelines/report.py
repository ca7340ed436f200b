"""The report: every published number beside ours with its error, as Markdown and HTML, and a small copy to keep."""

from __future__ import annotations

import html
import math
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WITHIN = 2.0  # errors that a number may be off and still agree
KEPT_BYTES = 5_500_000  # of the copy of a report that is kept beside the pipelines: all pictures of two systems
LARGE_TABLE = 100_000  # bytes: such a table is what a picture of many particles was drawn from


@dataclass(frozen=True)
class Comparison:
    """A published number and ours.

    `rounding` is half of the published number's last digit, or the published error. `sample` says which systems our
    number is of. Of a number that differs, `why` says what may be behind it and `shown` which experiment shows that it
    is; `core_hours` is what a decision would cost where nothing smaller decides. An error larger than `telling`
    decides nothing, even if the numbers agree within it.
    """

    where: str
    system: str
    quantity: str
    published: float | str
    ours: float
    error: float | None = None
    rounding: float = 0.0
    why: str = ""
    digits: int = 3
    sample: str = ""
    shown: str = ""
    core_hours: float = 0.0
    telling: float = math.inf

    @property
    def agrees(self) -> bool | None:
        """Whether the two differ by less than two errors; None where that cannot be said."""
        if isinstance(self.published, str) or not math.isfinite(self.ours):
            return None
        return abs(self.ours - self.published) <= WITHIN * math.hypot(self.error or 0.0, self.rounding)

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`, or nothing where no number is published or none of ours is wanted."""
        if self.agrees is None:
            return "undecided" if self.core_hours and not isinstance(self.published, str) else ""
        if self.agrees:
            return "agrees" if (self.error or 0.0) <= self.telling else "undecided"
        if self.shown:
            return "differs, with a reason shown"
        return "undecided" if self.core_hours else "differs"

    @property
    def remark(self) -> str:
        """Agreement, or by how much and why not."""
        if self.agrees is None:
            cost = f"undecided: about {self.core_hours:.2g} core-hours" if self.verdict else ""
            return "; ".join(part for part in (self.why, cost) if part)
        if self.agrees:
            cost = f": about {self.core_hours:.2g} core-hours" if self.core_hours else ""
            return "agrees" if self.verdict == "agrees" else f"undecided, the error is too large to tell{cost}"
        published = float(self.published)
        difference = f"off by {self.ours - published:+.{self.digits}f}"
        if self.error:
            difference += f" ({abs(self.ours - published) / math.hypot(self.error, self.rounding):.1f} errors)"
        reasons = [self.why, f"shown by: {self.shown}" if self.shown else ""]
        if self.core_hours and not self.shown:
            reasons.append(f"undecided: about {self.core_hours:.2g} core-hours")
        reason = "; ".join(part for part in reasons if part)
        return f"{difference}: {reason}" if reason else difference

    def cells(self) -> list[str]:
        """As a row of a table."""
        ours = f"{self.ours:.{self.digits}f}" if math.isfinite(self.ours) else "-"
        if self.error is not None and math.isfinite(self.error):
            ours += f" ± {self.error:.{self.digits}f}"
        published = self.published if isinstance(self.published, str) else f"{self.published:g}"
        return [self.where, plain(self.system), self.quantity, published, ours, self.remark]


HEADER = ["where", "system", "quantity", "published", "ours", "remark"]
VERDICTS = ("agrees", "differs, with a reason shown", "undecided", "differs")


def explains(ours: float, other: float, published: float) -> bool:
    """Whether another number is at most half as far from the published one as ours: a smaller step shows no reason.

    >>> explains(0.3, 0.82, 0.77), explains(0.3, 0.31, 0.77)
    (True, False)
    """
    return abs(other - published) <= 0.5 * abs(ours - published)


class Stopwatch:
    """Prints what is done and when, and remembers it for the report.

    >>> stopwatch = Stopwatch(tell=lambda line: None)
    >>> stopwatch("figures")
    >>> [what for what, seconds in stopwatch.rows]
    ['figures']
    """

    def __init__(self, tell: Any = None):
        self.begun = self.last = time.monotonic()
        self.rows: list[tuple[str, float]] = []
        self.tell = tell or (lambda line: print(line, flush=True))

    def __call__(self, what: str) -> None:
        """Something is done."""
        now = time.monotonic()
        self.rows.append((what, now - self.last))
        self.last = now
        self.tell(f"{now - self.begun:6.0f} s  {what}")


def draw_published(ax: Any, value: float, rounding: float = 0.0, *, label: str = "published", **line: Any) -> None:
    """A published value as a dotted horizontal line with its rounding or error as a band; an x range by `xmin`, `xmax`.

    Give ``label="_"`` for all but the first of an axis, which keeps them out of the legend.
    """
    from glassdask import plotting

    color = line.pop("color", plotting.GREY)
    if rounding:
        ax.axhspan(value - rounding, value + rounding, color=color, alpha=0.25, linewidth=0, zorder=0, **line)
    ax.axhline(value, color=color, linestyle=":", linewidth=1.4, zorder=1, label=label, **line)


@dataclass
class Report:
    """What is found on the way, written at the end; `errors` says in a sentence what the errors of our numbers are.

    `settings` are sizes, seeds and parameters by name, `times` what was done and the seconds that it took (those of a
    `Stopwatch`: of the last call of a pipeline that goes on where it was interrupted).
    """

    folder: Path
    title: str
    errors: str = "Errors are standard errors over configurations."
    paragraphs: list[str] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: list[tuple[str, list[str], list[list[str]]]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    times: list[tuple[str, float]] = field(default_factory=list)

    def compare(self, *comparisons: Comparison) -> None:
        """Add numbers that are printed in the paper."""
        self.comparisons += comparisons

    def figure(self, name: str, caption: str) -> Path:
        """The path of a figure (without suffix), which then appears in the report."""
        self.figures.append((name, caption))
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def write(self) -> Path:
        """Write report.md and report.html; the former's path."""
        from glassdask.plotting import write_table

        self.folder.mkdir(parents=True, exist_ok=True)
        write_table(
            self.folder / "comparison.csv",
            {
                "where": [c.where for c in self.comparisons],
                "system": [plain(c.system) for c in self.comparisons],
                "quantity": [c.quantity for c in self.comparisons],
                "published": [c.published for c in self.comparisons],
                "ours": [c.ours for c in self.comparisons],
                "error": ["" if c.error is None else c.error for c in self.comparisons],
                "verdict": [c.verdict for c in self.comparisons],
                "sample": [c.sample for c in self.comparisons],
                "remark": [c.remark for c in self.comparisons],
            },
        )
        (self.folder / "report.md").write_text(self._markdown(), encoding="utf-8")
        (self.folder / "report.html").write_text(self._html(), encoding="utf-8")
        return self.folder / "report.md"

    @property
    def summary(self) -> str:
        """How many published numbers agree, and what became of the others."""
        judged = [c for c in self.comparisons if c.verdict]
        counts = {verdict: sum(c.verdict == verdict for c in judged) for verdict in VERDICTS}
        rest = [f"{n} {verdict}" for verdict, n in counts.items() if n and verdict != "agrees"]
        return (
            f"{counts['agrees']} of {len(judged)} published numbers agree within two standard errors (ours and the "
            f"published rounding or error together){'; ' if rest else ''}{', '.join(rest)}. {self.errors}"
        )

    def _tables(self) -> list[tuple[str, Sequence[str], Sequence[Sequence[str]]]]:
        """All tables: title, header, rows."""
        header, rows = [*HEADER], [c.cells() for c in self.comparisons]
        if any(c.sample for c in self.comparisons):
            header.insert(5, "of")
            for row, c in zip(rows, self.comparisons):
                row.insert(5, c.sample)
        found: list[tuple[str, Sequence[str], Sequence[Sequence[str]]]] = [("Published and ours", header, rows)]
        found += self.tables
        if self.settings:
            found.append(("Settings", ["what", "value"], [[*item] for item in self.settings.items()]))
        if self.times:
            times = [[what, f"{seconds:.0f}"] for what, seconds in self.times]
            total = f"{sum(seconds for _, seconds in self.times):.0f}"
            found.append(("Time, of the last call", ["what", "seconds"], [*times, ["all", total]]))
        return found

    def _markdown(self) -> str:
        lines = [f"# {self.title}", "", *[part for p in self.paragraphs for part in (p, "")], self.summary, ""]
        tables = self._tables()
        names = [title for title, *_ in tables] + (["Notes"] if self.notes else []) + ["Figures"]
        lines += [*[f"- [{name}](#{_anchor(name)})" for name in names], ""]
        for title, header, rows in tables:
            lines += [f"## {title}", "", "| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
            lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
            lines.append("")
        if self.notes:
            lines += ["## Notes", "", *[f"- {note}" for note in self.notes], ""]
        lines += ["## Figures", ""]
        for name, caption in self.figures:
            lines += [f"![{name}]({name}.png)", "", f"{caption} Numbers: [{name}.csv]({name}.csv).", ""]
        return "\n".join(lines)

    def _html(self) -> str:
        e = html.escape
        body: list[str] = []
        contents: list[tuple[str, str]] = []

        def heading(title: str) -> None:
            contents.append((_anchor(title), title))
            body.append(f'<h2 id="{_anchor(title)}">{e(title)}</h2>')

        for title, header, rows in self._tables():
            heading(title)
            body.append("<table><tr>" + "".join(f"<th>{e(h)}</th>" for h in header) + "</tr>")
            body += ["<tr>" + "".join(f"<td>{e(cell)}</td>" for cell in row) + "</tr>" for row in rows]
            body.append("</table>")
        if self.notes:
            heading("Notes")
            body += ["<ul>", *[f"<li>{e(note)}</li>" for note in self.notes], "</ul>"]
        heading("Figures")
        for name, caption in self.figures:
            numbers = f'<a href="{e(name)}.csv">{e(name)}.csv</a>'
            body.append(
                f'<figure id="{e(name)}"><img src="{e(name)}.png" alt="{e(name)}"><figcaption>{e(caption)} Numbers: '
                f"{numbers}.</figcaption></figure>"
            )
        drawn = "".join(f'<li><a href="#{e(name)}">{e(caption)}</a></li>' for name, caption in self.figures)
        listed = "".join(f'<li><a href="#{e(anchor)}">{e(title)}</a></li>' for anchor, title in contents)
        head = [f"<h1>{e(self.title)}</h1>", *[f"<p>{e(p)}</p>" for p in [*self.paragraphs, self.summary]]]
        head.append(f"<nav><ul>{listed}</ul><ul>{drawn}</ul></nav>")
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{e(self.title)}</title>\n'
            f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join([*head, *body]) + "\n</body></html>\n"
        )


def keep(folder: Path, target: Path, most: int = KEPT_BYTES) -> list[str]:
    """Copy a written report with its figures and numbers to `target`, small enough to be kept with the sources.

    Figures of earlier reports in the folder, which this one does not show, stay there. Pictures get a palette of 256
    colours. Where all together is larger than `most` bytes, large tables are left out, then pictures, then other
    tables, the largest of each first; their names are returned and listed in the copy's ``left_out.txt``.
    """
    from io import BytesIO

    from PIL import Image

    files: dict[str, bytes] = {}
    shown = (folder / "report.md").read_text(encoding="utf-8")
    earlier = {file.stem for file in folder.glob("*.png") if f"({file.name})" not in shown}
    for file in sorted(folder.iterdir()):
        if file.stem in earlier:
            continue
        if file.suffix == ".png":
            small = BytesIO()
            Image.open(file).convert("RGB").quantize(256).save(small, "PNG", optimize=True)
            files[file.name] = min(small.getvalue(), file.read_bytes(), key=len)
        elif file.suffix in (".csv", ".md", ".html"):
            files[file.name] = file.read_bytes()
    left: list[str] = []

    def reluctance(name: str) -> int:
        if name.endswith(".png"):
            return 1
        return 0 if len(files[name]) > LARGE_TABLE else 2

    parts = [name for name in files if name.endswith((".csv", ".png"))]
    for name in sorted(parts, key=lambda name: (reluctance(name), -len(files[name]))):
        if sum(map(len, files.values())) <= most:
            break
        left.append(name)
        del files[name]
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name, content in files.items():
        (target / name).write_bytes(content)
    if left:
        (target / "left_out.txt").write_text(
            "Too large to be kept here, made again by the pipeline:\n" + "\n".join(left)
        )
    return left


def _anchor(title: str) -> str:
    """As GitHub makes anchors of headings."""
    return re.sub(r"[^\w\- ]", "", plain(title).lower()).replace(" ", "-")


STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;font-size:13px}td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left}"
    "img{max-width:100%}figure{margin:2em 0}nav{columns:2;font-size:13px}"
)


def plain(text: str) -> str:
    """Without the marks of TeX."""
    return text.replace("$_{", "").replace("}$", "").replace("$_2$", "2").replace("$", "")
