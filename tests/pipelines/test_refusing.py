"""Every pipeline ends in one line, by an error of ours and by Ctrl-C; what can be replaced there is told."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

import pytest

from glassdask.errors import StoreError

PIPELINES = sorted(
    path for path in (Path(__file__).parents[2] / "pipelines").glob("*.py") if "def main()" in path.read_text("utf-8")
)


@pytest.fixture(params=PIPELINES, ids=lambda path: path.stem)
def ended(request, monkeypatch, capsys):
    """How a pipeline ends after an error: its exit code and what it says."""

    def end(error):
        def fail(*_):
            raise error

        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", fail)
        monkeypatch.setattr(sys, "argv", [str(request.param)])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(request.param), run_name="__main__")
        code = caught.value.code
        said = capsys.readouterr().err
        return (1, said + f"{code}\n") if isinstance(code, str) else (code, said)  # as the interpreter does

    end.path = request.param
    return end


def test_every_pipeline_is_known():
    assert len(PIPELINES) >= 9


def test_interrupted(ended):
    expected = f"{ended.path.name}: interrupted; the same command goes on from here\n"
    assert ended(KeyboardInterrupt()) == (130, expected)


def test_refused(ended):
    replace = "--overwrite" if '"--overwrite"' in ended.path.read_text("utf-8") else "`overwrite=True`"
    expected = f"q.zarr: holds others: replace it with {replace}, or choose another name\n"
    assert ended(StoreError(expected.replace("--overwrite", "`overwrite=True`").strip())) == (1, expected)
