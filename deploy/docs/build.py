"""Assembles the pages of the documentation site from the project and has Sphinx build them.

    python deploy/docs/build.py OUT [--notebooks run|skip]

Pages are the Markdown files of the project, its notebooks (run here, and kept in build/docs until they or the package
change), the reports in pipelines/reports and one page for each public name; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

import api_pages  # noqa: E402
import notebook_pages  # noqa: E402
import report_pages  # noqa: E402

from tests.benchmarks import history  # noqa: E402

# of the project's pages, each under the name that it has there, so that links between them hold
PAGES = (
    "README.md", "glassdask/README.md", "glassdask/io/README.md", "glassdask/descriptors/README.md",
    "glassdask/dynamics/README.md", "glassdask/simulation/README.md", "glassdask/sweep/README.md", "deploy/README.md",
    "deploy/SCALING.md", "deploy/PROMISES.md", "deploy/slurm/README.md", "deploy/container/README.md",
    "deploy/kubernetes/README.md", "deploy/docs/README.md", "pipelines/README.md", "notebooks/README.md",
    "tests/benchmarks/README.md", ".github/CONTRIBUTING.md", ".github/CHANGELOG.md",
)  # fmt: skip


def main() -> None:
    """Assemble, build, and say where it is."""
    parser = argparse.ArgumentParser(description="Builds the documentation site.")
    parser.add_argument("out", type=Path, help="folder for the HTML")
    parser.add_argument("--notebooks", choices=("run", "skip"), default="run", help="run those that changed, or none")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        assemble(source, chosen.notebooks == "run")
        from sphinx.cmd.build import main as sphinx

        options = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(HERE), "-d", f"{folder}/doctrees"]
        failed = sphinx([*options, str(source), str(chosen.out)])
    if failed:
        raise SystemExit("the site has errors: see the lines above")
    print(f"{chosen.out / 'index.html'}")


def assemble(source: Path, run: bool) -> None:
    """Everything that Sphinx reads, in one folder."""
    shutil.copytree(HERE / "pages", source, ignore=shutil.ignore_patterns("_static"))  # which conf.py names
    for page in PAGES:
        place = source / published(page)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(with_links((ROOT / page).read_text(), page), encoding="utf-8")
    shutil.copy(HERE / "front.png", source / "deploy" / "docs" / "front.png")
    named = re.findall(r"\((\w+)\.ipynb\)", (ROOT / "notebooks" / "README.md").read_text())  # in the order of the table
    listed = "\n".join(dict.fromkeys([*named, *sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))]))
    with open(source / "notebooks" / "README.md", "a", encoding="utf-8") as file:
        file.write(f"\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n")
    (source / "tests" / "benchmarks" / "history.md").write_text(history_page(), encoding="utf-8")
    with open(source / "tests" / "benchmarks" / "README.md", "a", encoding="utf-8") as file:
        file.write("\nSee also the [benchmarks over commits](history.md).\n\n```{toctree}\n:hidden:\n\nhistory\n```\n")
    pictures = notebook_pages.add(ROOT / "notebooks", source / "notebooks", run)
    pictures += report_pages.add(ROOT / "pipelines" / "reports", source / "papers")
    api_pages.add(source / "api")
    (source / "gallery.md").write_text(gallery(pictures), encoding="utf-8")


def published(page: str) -> str:
    """Where a page is on the site: folders that begin with a dot are not shown by web servers."""
    return page.replace(".github/", "project/")


def with_links(text: str, page: str) -> str:
    """Links to what is on the site are kept, of other files only the words remain."""

    def link(found: re.Match[str]) -> str:
        words, target = found[2], found[3]
        path, _, anchor = target.partition("#")
        if re.match(r"https?:|mailto:", target) or not path:
            return found[0]
        place = os.path.normpath(os.path.join(os.path.dirname(page), path))
        if place not in PAGES and not place.startswith(("notebooks/", "deploy/docs/front.png")):
            return words
        to = os.path.relpath(published(place), os.path.dirname(published(page)))
        return f"{found[1]}[{words}]({to}{'#' + anchor if anchor else ''})"

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", link, text)


def history_page() -> str:
    """The kept tables of the benchmarks over commits, drawn by `tests.benchmarks.history`."""
    told = (
        "How many times what glassdask takes the best of the other programs takes, one thread, by turns: the times "
        "themselves change with the machine. A point is a commit, the dashed line what the ratio should be at least; "
        "below each figure are the newest values. The tables are in `tests/benchmarks/kept/tables`."
    )
    return (
        f"# Benchmarks over commits\n\n{told}\n\n```{{raw}} html\n{history.body(history.kept(history.TABLES))}\n```\n"
    )


def gallery(pictures: list[tuple[str, str, str]]) -> str:
    """Cards (picture, page, title), relative to the site's top."""
    cards = [
        f":::{{grid-item-card}} {title.lstrip('0123456789. ')}\n:img-top: {picture}\n"
        f":link: {page}\n:link-type: doc\n:::"
        for picture, page, title in pictures
    ]
    none = "Notebooks were not run for this build, so there are no pictures of them.\n"
    body = "::::{grid} 1 2 3 3\n:gutter: 3\n\n" + "\n\n".join(cards) + "\n\n::::\n" if cards else none
    return f"# Gallery\n\nClick a picture for the page that makes it.\n\n{body}"


if __name__ == "__main__":
    main()
