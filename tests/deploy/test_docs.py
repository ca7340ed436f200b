"""The documentation site is built, complete, and needs no network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import matplotlib.image
import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "deploy" / "docs"
sys.path.append(str(DOCS))

for package in ("sphinx", "numpydoc", "myst_nb", "pydata_sphinx_theme", "sphinx_design"):
    pytest.importorskip(package, reason="needs the extra 'docs'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag == "link" and "canonical" not in (given.get("rel") or ""):
            self.loads.append(given.get("href") or "")
        elif given.get("src"):
            self.loads.append(given["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site without outputs of notebooks; any warning of Sphinx ends the build."""
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, str(DOCS / "build.py"), str(out), "--notebooks", "skip"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.strip() == str(out / "index.html")
    return out


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


@pytest.mark.slow
def test_every_link_leads_somewhere(site, pages):
    broken = []
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto", "data"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.relative_to(site)}: {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                broken.append(f"{path.relative_to(site)}: no anchor {link}")
    assert not broken, "\n".join(broken[:20])


@pytest.mark.slow
def test_nothing_is_loaded_from_the_network(pages):
    for path, page in pages.items():
        assert not [load for load in page.loads if re.match(r"(https?:)?//", load)], path


@pytest.mark.slow
def test_every_public_name_has_a_page(site):
    import api_pages

    for module in api_pages.MODULES:
        table = (site / "api" / f"{module}.html").read_text()
        for name, _ in api_pages.public(module):
            assert f">{name}<" in table, f"{module}.{name}"
    soap = (site / "api" / "glassdask" / "SOAP.html").read_text()
    assert "https://doi.org/10.1063/5.0128265" in soap  # "paper A" is a link
    assert re.search(r"<strong>sigma</strong>.*?<span class=\"classifier\">float</span>", soap, re.DOTALL)


@pytest.mark.slow
def test_pages_of_readmes_notebooks_and_papers_are_there(site):
    for page in ("README", "guides", "gallery", "papers/index", "notebooks/quickstart", "deploy/slurm/README",
                 "project/CHANGELOG", "search"):  # fmt: skip
        assert (site / f"{page}.html").stat().st_size > 5000, page
    reports = {path.parent.name for path in (ROOT / "pipelines" / "reports").rglob("report.md")}
    assert all((site / "papers" / name / "report.html").is_file() for name in reports)


@pytest.mark.slow
def test_no_picture_is_blank(site):
    pictures = list((site / "_images").rglob("*.png"))
    assert pictures
    for path in pictures:
        assert matplotlib.image.imread(path)[..., :3].std() > 0.02, path


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser")
def test_a_search_without_a_server_finds_a_name(site, tmp_path):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-sync",
               f"--user-data-dir={tmp_path}", "--virtual-time-budget=10000", "--dump-dom",
               f"file://{site}/search.html?q=SmoothedBondOrder"]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "api/glassdask/SmoothedBondOrder.html" in found.stdout, found.stderr[-500:]


def test_pictures_that_are_not_stored_leave_no_hole(tmp_path):
    import report_pages

    folder = tmp_path / "reports" / "paper_z"
    folder.mkdir(parents=True)
    (folder / "report.md").write_text("# Z\n\n![fig1](fig1.png)\n\nCaption. Numbers: [fig1.csv](fig1.csv).\n")
    assert report_pages.add(tmp_path / "reports", tmp_path / "papers") == []
    assert (tmp_path / "papers" / "paper_z" / "report.md").read_text().split() == ["#", "Z", "Caption.", "Numbers:",
                                                                                     "fig1.csv."]  # fmt: skip
    assert "paper_z <paper_z/report>" in (tmp_path / "papers" / "index.md").read_text()


def test_what_is_wrong_with_the_call_is_told():
    done = subprocess.run(["sh", str(DOCS / "build.sh")], capture_output=True, text=True)
    assert (done.returncode, done.stderr.split(":")[0]) == (2, "usage")
