"""The modules beside the pipelines, which find them as the pipelines do, and pipelines in this process."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "pipelines"))


@pytest.fixture
def run_here(monkeypatch, capsys):
    """A function that runs a pipeline in this process, where all is imported: its exit code, output and errors."""

    def run(name: str, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        code: object = 0
        try:
            importlib.import_module(name).main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return (code, out, err) if isinstance(code, int) else (1, out, f"{err}{code}")

    return run
