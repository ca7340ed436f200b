"""The notebooks of the project as pages: run, with their pictures."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "docs"  # what was run before
SHOWN_ONLY = ("sweep_dashboard",)  # these live: on a page they would be dead


def add(folder: Path, place: Path, run: bool) -> list[tuple[str, str, str]]:
    """Copy the notebooks, run if asked for; the pictures in them as (picture, page, title)."""
    place.mkdir(parents=True, exist_ok=True)
    pictures = []
    for path in sorted(folder.glob("*.ipynb")):
        content = nbformat.read(path, as_version=4)
        if run and path.stem not in SHOWN_ONLY:
            content = executed(path, content)
        for cell in content.cells:
            for output in cell.get("outputs", []):  # widgets' and tables' other forms would need the network
                data = output.get("data", {})
                for kind in [kind for kind in data if kind.startswith("application/")]:
                    del data[kind]
        nbformat.write(content, place / path.name)
        pictures += pictures_of(content, path.stem, place)
    return pictures


def executed(path: Path, content: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with its outputs, from before if neither it nor the package has changed."""
    key = hashlib.sha256(path.read_bytes())
    for source in sorted((ROOT / "glassdask").rglob("*.py")):
        key.update(source.read_bytes())
    kept = KEPT / f"{path.stem}-{key.hexdigest()[:16]}.ipynb"
    if kept.exists():
        return nbformat.read(kept, as_version=4)
    print(f"running {path.name}", flush=True)
    import nbclient
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    # this interpreter and these sources, whatever kernels are installed
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    kernel = AsyncKernelManager()
    command = [sys.executable, "-m", "ipykernel_launcher", "--log-level=40", "-f", "{connection_file}"]
    kernel._kernel_spec = KernelSpec(argv=command, display_name="site", language="python", env=environment)
    nbclient.NotebookClient(content, km=kernel, timeout=1800, resources={"metadata": {"path": path.parent}}).execute()
    KEPT.mkdir(parents=True, exist_ok=True)
    for old in KEPT.glob(f"{path.stem}-*.ipynb"):
        old.unlink()
    nbformat.write(content, kept)
    return content


def pictures_of(content: nbformat.NotebookNode, name: str, place: Path) -> list[tuple[str, str, str]]:
    """Every PNG in the outputs, written beside the page, with the last heading before it."""
    found, heading = [], name
    for cell in content.cells:
        if cell.cell_type == "markdown":
            heads = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("#")]
            heading = heads[-1] if heads else heading
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                file = f"{name}-{len(found)}.png"
                (place / file).write_bytes(base64.b64decode(output["data"]["image/png"]))
                found.append((f"notebooks/{file}", f"notebooks/{name}", heading))
    return found


def clear() -> None:
    """Forget what was run before."""
    shutil.rmtree(KEPT, ignore_errors=True)
