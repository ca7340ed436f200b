"""The report: every published number beside ours with its error, as Markdown and HTML."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from pathlib import Path

WITHIN = 2.0  # errors that a number may be off and still agree


@dataclass(frozen=True)
class Comparison:
    """A published number and ours.

    `rounding` is half of the published number's last digit, or the published error; `why` says where a difference
    comes from; `least` marks numbers that should be at least so large.
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

    @property
    def agrees(self) -> bool | None:
        """Whether the two differ by less than two errors; None where that cannot be said."""
        if isinstance(self.published, str) or not math.isfinite(self.ours):
            return None
        return abs(self.ours - self.published) <= WITHIN * math.hypot(self.error or 0.0, self.rounding)

    @property
    def remark(self) -> str:
        """Agreement, or by how much and why not."""
        if self.agrees is None:
            return self.why
        if self.agrees:
            return "agrees"
        published = float(self.published)
        difference = f"off by {self.ours - published:+.{self.digits}f}"
        if self.error:
            difference += f" ({abs(self.ours - published) / math.hypot(self.error, self.rounding):.1f} errors)"
        return f"{difference}: {self.why}" if self.why else difference

    def cells(self) -> list[str]:
        """As a row of a table."""
        ours = f"{self.ours:.{self.digits}f}" if math.isfinite(self.ours) else "-"
        if self.error is not None and math.isfinite(self.error):
            ours += f" ± {self.error:.{self.digits}f}"
        published = self.published if isinstance(self.published, str) else f"{self.published:g}"
        return [self.where, plain(self.system), self.quantity, published, ours, self.remark]


HEADER = ["where", "system", "quantity", "published", "ours", "remark"]


@dataclass
class Report:
    """What is found on the way, written at the end; `errors` says in a sentence what the errors of our numbers are."""

    folder: Path
    title: str
    errors: str = "Errors are standard errors over configurations."
    paragraphs: list[str] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: list[tuple[str, list[str], list[list[str]]]] = field(default_factory=list)

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
        rows = [c.cells() for c in self.comparisons]
        write_table(
            self.folder / "comparison.csv",
            {
                "where": [c.where for c in self.comparisons],
                "system": [plain(c.system) for c in self.comparisons],
                "quantity": [c.quantity for c in self.comparisons],
                "published": [c.published for c in self.comparisons],
                "ours": [c.ours for c in self.comparisons],
                "error": ["" if c.error is None else c.error for c in self.comparisons],
                "remark": [c.remark for c in self.comparisons],
            },
        )
        judged = [c.agrees for c in self.comparisons if c.agrees is not None]
        summary = (
            f"{sum(judged)} of {len(judged)} published numbers agree within two standard errors (ours and the "
            f"published rounding or error together). {self.errors}"
        )
        tables = [("Published and ours", HEADER, rows), *self.tables]
        (self.folder / "report.md").write_text(self._markdown(summary, tables), encoding="utf-8")
        (self.folder / "report.html").write_text(self._html(summary, tables), encoding="utf-8")
        return self.folder / "report.md"

    def _markdown(self, summary: str, tables: list) -> str:
        lines = [f"# {self.title}", "", *[part for p in self.paragraphs for part in (p, "")], summary, ""]
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

    def _html(self, summary: str, tables: list) -> str:
        e = html.escape
        body = [f"<h1>{e(self.title)}</h1>", *[f"<p>{e(p)}</p>" for p in [*self.paragraphs, summary]]]
        for title, header, rows in tables:
            body.append(f"<h2>{e(title)}</h2>\n<table><tr>" + "".join(f"<th>{e(h)}</th>" for h in header) + "</tr>")
            body += ["<tr>" + "".join(f"<td>{e(cell)}</td>" for cell in row) + "</tr>" for row in rows]
            body.append("</table>")
        if self.notes:
            body += ["<h2>Notes</h2>", "<ul>", *[f"<li>{e(note)}</li>" for note in self.notes], "</ul>"]
        body.append("<h2>Figures</h2>")
        for name, caption in self.figures:
            numbers = f'<a href="{e(name)}.csv">{e(name)}.csv</a>'
            body.append(
                f'<figure><img src="{e(name)}.png" alt="{e(name)}"><figcaption>{e(caption)} Numbers: {numbers}.'
                "</figcaption></figure>"
            )
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{e(self.title)}</title>\n'
            f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
        )


STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;font-size:13px}td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left}"
    "img{max-width:100%}figure{margin:2em 0}"
)


def plain(text: str) -> str:
    """Without the marks of TeX."""
    return text.replace("$_{", "").replace("}$", "").replace("$_2$", "2").replace("$", "")
