"""The reports of the papers as pages: whatever lies in pipelines/reports/NAME."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

TITLES = {
    "paper_a": "Paper A: dimensionality reduction of local structure",
    "paper_b": "Paper B: rearrangements with the atomic cluster expansion",
    "paper_c": "Paper C: glass and liquid by a convolutional network",
}
ABOUT = """# Papers

What the [pipelines](../pipelines/README.md) found, with every published number beside ours.

- Paper A: [Coslovich, Jack and Paret (2022)](https://doi.org/10.1063/5.0128265), dimensionality reduction of local
  structure
- Paper B: [Rottler and Ortner (2024)](https://arxiv.org/abs/2410.03216), rearrangements classified with the atomic
  cluster expansion
- Paper C: [Oyama, Koyama and Kawasaki (2023)](https://doi.org/10.3389/fphy.2022.1007861), a convolutional network that
  tells glasses from liquids, and what it looks at
"""


def add(folder: Path, place: Path) -> list[tuple[str, str, str]]:
    """Copy the reports; their pictures as (picture, page, title)."""
    place.mkdir(parents=True, exist_ok=True)
    found = sorted(path.parent for path in folder.rglob("report.md")) if folder.is_dir() else []
    pictures, entries = [], []
    for report in found:
        name = report.relative_to(folder).as_posix().replace("/", "_")
        shutil.copytree(report, place / name, ignore=shutil.ignore_patterns("*.html", "*.zarr"))
        page = place / name / "report.md"
        text, shown = with_pictures(page.read_text(encoding="utf-8"), place / name)
        page.write_text(text, encoding="utf-8")
        entries.append(f"{TITLES.get(name, name)} <{name}/report>")
        pictures += [(f"papers/{name}/{file}", f"papers/{name}/report", f"{TITLES.get(name, name).partition(':')[0]}: "
                      f"{Path(file).stem}") for file in shown]  # fmt: skip
    listed = "\n".join(entries)
    none = "No report is stored yet: `sh deploy/local/run.sh --profile small` makes the first.\n"
    index = f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n" if entries else none
    (place / "index.md").write_text(f"{ABOUT}\n{index}", encoding="utf-8")
    return pictures


def with_pictures(text: str, folder: Path) -> tuple[str, list[str]]:
    """Pictures and tables that are not stored are not shown; the names of the pictures that are."""
    shown: list[str] = []

    def picture(found: re.Match[str]) -> str:
        if not (folder / found[2]).is_file():
            return ""
        shown.append(found[2])
        return found[0]

    text = re.sub(r"!\[([^\]]*)\]\(([^)\s]+)\)", picture, text)
    text = re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:)([^)\s#]+)\)",
                  lambda m: m[0] if (folder / m[2]).is_file() else m[1], text)  # fmt: skip
    # headings must begin with the first level and go down one by one
    return (text if text.startswith("# ") else f"# Report\n\n{text}"), shown
