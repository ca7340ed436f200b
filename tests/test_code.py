"""The digest of code: changed by what it computes with, and by nothing else."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import glassdask as gd
from glassdask import code
from glassdask.errors import StoreError

PACKAGE = Path(gd.__file__).parent
WHAT = {
    "soap": "glassdask.descriptors.soap:SOAP",
    "bond order": "glassdask.descriptors.bond_order:BondOrder",
    "coordination": "glassdask.descriptors.coordination:Coordination",
    "reduce": "glassdask.descriptors.reduce:reduce",
    "g(r)": "glassdask.correlations.radial:radial_distribution",
}


@pytest.fixture
def checkout(tmp_path):
    """A copy of the package that may be edited."""
    shutil.copytree(PACKAGE, tmp_path / "glassdask", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def answer(checkout: Path, program: str) -> str:
    """What a new process with this checkout prints."""
    env = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, env=env, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def digests(checkout: Path) -> dict[str, str]:
    program = f"""
    import json
    from glassdask import code
    from glassdask.simulation import engine, models, protocols
    found = {{name: code.digest(place) for name, place in {WHAT}.items()}}
    stages = (protocols.Dynamics(time=1.0, temperature=1.0),)
    start = protocols.RandomStart(n_particles=100)
    found["simulation"] = engine.key(protocols.Simulation(model=models.KOB_ANDERSEN, start=start, stages=stages))
    found["inherent"] = engine.key(models.KOB_ANDERSEN, *engine.INHERENT)
    print(json.dumps(found))
    """
    return json.loads(answer(checkout, program))


def changed(checkout: Path, *edits: tuple[str, str, str]) -> set[str]:
    """What has other digests after an edit: in a file, a pattern replaced by a text."""
    before = digests(checkout)
    for name, pattern, text in edits:
        file = checkout / "glassdask" / name
        edited, count = re.subn(pattern, text, file.read_text(), count=1, flags=re.MULTILINE)
        assert count == 1, name
        file.write_text(edited)
    after = digests(checkout)
    return {name for name in before if before[name] != after[name]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "edit, affected",
    [
        (("kernels/soap.py", r"last = pieces.shape\[0\]", "last = 1 + pieces.shape[0]"), {"soap"}),
        (("kernels/harmonics.py", r"\b2\.0 \* ", "3.0 * "), {"bond order"}),
        (("kernels/cells.py", r" < ", " <= "), {"soap", "bond order", "coordination", "g(r)"}),
        (("learning/moments.py", r"\bBLOCK = ", "BLOCK = 1 + "), {"reduce"}),
        (("learning/incremental.py", r"^from __future__", "import math\n\nmath.tau\n\nfrom __future__"), {"reduce"}),
        (("simulation/instance.py", r'"lj": 0\.3', '"lj": 0.4'), {"simulation", "inherent"}),
        (("simulation/protocols.py", r"steps = round\(stage", "steps = 1 + round(stage"), {"simulation"}),
        (("simulation/operations.py", r"FORCE_TOLERANCE = ", "FORCE_TOLERANCE = 2 * "), {"simulation", "inherent"}),
        (
            ("kernels/__init__.py", r'"reassoc", ', ""),
            {*WHAT, "simulation", "inherent"} - {"reduce"},
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_changes_what_computes_with_it(checkout, edit, affected):
    assert changed(checkout, edit) == affected


def test_nothing_else_changes_anything(checkout):
    everywhere = [
        ("kernels/soap.py", r"\Z", "\n\n# a comment\n\n\n@kernel\ndef unused(x):\n    return 2.0 * x\n"),
        ("kernels/soap.py", r'"""SOAP', '"""Smooth overlap of atomic positions; SOAP'),
        ("kernels/soap.py", r"^    last = ", "    # spread\n\n    last  =  "),
        ("descriptors/bond_order.py", r'\A"""', '"""Other words. '),
        ("simulation/models.py", r"\Z", "\nANOTHER = dataclasses.replace(KOB_ANDERSEN, density=1.3)\n"),
        ("simulation/models.py", r"^from __future__.*", r"\g<0>\n\nimport dataclasses"),
        ("simulation/checkpoints.py", r"\Z", "\nANOTHER = 1\n"),
        ("errors.py", r"\Z", "\n\nclass AnotherError(GlassdaskError):\n    '''Nothing.'''\n"),
        ("graphs.py", r"^OUTSTANDING = ", "OUTSTANDING = 2 * "),
        ("cli/__init__.py", r"\Z", "\nNAME = 1\n"),
        ("__init__.py", r"^LOADED", "OTHER = 1\nLOADED"),
    ]
    assert changed(checkout, *everywhere) == set()


def test_an_edit_after_loading_is_told(checkout):
    program = """
    import os, time
    import glassdask.descriptors.soap as soap
    from glassdask import code, errors
    later = time.time() + 10
    os.utime(soap.__file__, (later, later))
    try:
        print(code.digest(soap))
    except errors.StoreError as error:
        print(error)
    print(code.digest("glassdask.descriptors.coordination"))
    """
    first, second = answer(checkout, program).splitlines()
    assert re.fullmatch(r".*soap\.py: was edited after this process had loaded glassdask.* again", first)
    assert re.fullmatch("[0-9a-f]{64}", second)


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_the_version_comes_from_git_where_there_is_a_history(checkout):
    program = "import glassdask; print(glassdask.__version__)"
    installed = answer(checkout, program)
    assert installed

    def git(*arguments):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", str(checkout), *identity, *arguments], check=True, capture_output=True)

    git("init", "--quiet")
    assert answer(checkout, program) == installed  # nothing is committed yet
    git("commit", "--quiet", "--allow-empty", "--message", "one")
    assert re.fullmatch(r"0\+g[0-9a-f]{7,}", answer(checkout, program))
    git("tag", "v2.1")
    assert answer(checkout, program) == "2.1"
    git("commit", "--quiet", "--allow-empty", "--message", "two")
    assert re.fullmatch(r"2\.1\.post1\+g[0-9a-f]{7,}", answer(checkout, program))


# ---- code of other people ------------------------------------------------------------------------------------------

OURS = {
    "theirs/__init__.py": "",
    "theirs/shells.py": """
        from dataclasses import dataclass
        import glassdask as gd
        from glassdask.kernels.cells import find_neighbors
        from .numbers import weight
        import beside

        @dataclass(frozen=True, kw_only=True)
        class Shells:
            def compute(self):
                return weight(1) * beside.FACTOR + gd.first_minima
        """,
    "theirs/numbers.py": "def weight(x):\n    return 2 * x\n\n\ndef other(x):\n    return x\n",
    "beside.py": "FACTOR = 3\nOTHER = 4\n",
}


@pytest.mark.parametrize(
    "file, pattern, text, differs",
    [
        ("theirs/numbers.py", "2 \\* x", "3 * x", True),
        ("beside.py", "FACTOR = 3", "FACTOR = 5", True),
        ("glassdask/kernels/cells.py", " < ", " <= ", True),
        ("glassdask/correlations/shells.py", "^def first_minima", "@print\\n\\g<0>", True),
        ("theirs/numbers.py", "return x", "return 7 * x", False),
        ("beside.py", "OTHER = 4", "OTHER = 5", False),
        ("glassdask/kernels/soap.py", "1", "2", False),
    ],
)
def test_a_package_of_somebody_else(checkout, file, pattern, text, differs):
    for name, content in OURS.items():
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text(textwrap.dedent(content))
    program = "from glassdask import code; print(code.digest('theirs.shells:Shells'))"
    before = answer(checkout, program)
    edited, count = re.subn(pattern, text, (checkout / file).read_text(), count=1, flags=re.MULTILINE)
    assert count == 1
    (checkout / file).write_text(edited)
    assert (answer(checkout, program) != before) is differs


SCRIPT = """
import numpy as np
import glassdask as gd
from glassdask import code

FACTOR = {factor}

def helper(x):
    return FACTOR * x

def unused(x):
    return {unused}

def measure(x):  # {comment}
    return helper(np.asarray(x))

print(code.digest(measure))
"""


@pytest.mark.parametrize("way", ["script", "command", "prompt"])
def test_a_script_and_a_prompt(checkout, way):
    def found(**numbers):
        text = SCRIPT.format(**{"factor": 1, "unused": 2, "comment": "one", **numbers})
        if way == "script":
            (checkout / "script.py").write_text(text)
            return answer(checkout, "import runpy; runpy.run_path('script.py', run_name='__main__')").splitlines()[-1]
        if way == "prompt":  # a notebook has sources that inspect finds
            (checkout / "cell.py").write_text(text)
            text = f"import linecache; source = open('cell.py').read()\n{PROMPT}"
        return answer(checkout, text)

    first = found()
    assert found(factor=3) != first
    assert found(unused=7) == first
    assert found(comment="two") == first
    if way == "prompt":
        again = SCRIPT.format(factor=1, unused=2, comment="one") + "FACTOR = 5\nprint(code.digest(measure))\n"
        one, other = answer(checkout, again).splitlines()
        assert one != other


def test_what_is_defined_again(tmp_path, monkeypatch):
    module = tmp_path / "defined_again.py"
    monkeypatch.syspath_prepend(tmp_path)
    module.write_text("def measure(x):\n    return 2 * x\n")
    first = code.digest("defined_again:measure")
    module.write_text("def measure(x):\n    return 3 * x\n")
    os.utime(module, (1e9, 1e9))
    assert code.digest("defined_again:measure") != first


PROMPT = """
linecache.cache["<cell 1>"] = (len(source), None, source.splitlines(True), "<cell 1>")
exec(compile(source, "<cell 1>", "exec"))
"""


@pytest.mark.parametrize("name", ["glassdask.soap", "glassdask.descriptors.soap:Soap", "no_such_package:x"])
def test_names_of_nothing(name):
    with pytest.raises(LookupError, match=re.escape(name)):
        code.digest(name)


def test_what_a_function_is_wrapped_in(monkeypatch):
    from glassdask.descriptors.describe import describe

    assert code.digest(functools.partial(describe, centers="A")) == code.digest(describe)
    assert code.digest(gd.SOAP) == code.digest("glassdask.descriptors.soap:SOAP")


def test_declarations_bring_those_inside():
    cutoffs = {("A", "A"): 1.4}
    plain, voronoi = gd.BondOrder(cutoffs=cutoffs), gd.BondOrder(neighbors=gd.Voronoi())
    assert code.digest(plain) == code.digest(gd.BondOrder)
    assert code.digest(voronoi) == code.digest(gd.BondOrder, gd.Voronoi)
    assert code.digest(gd.LocalEnergy(model=gd.simulation.WAHNSTROM)) != code.digest(StoreError)
