"""Every flag of a public function is true or false: the text "no" is true to Python, and data would be lost."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import glassdask as gd
import glassdask.io
from glassdask.errors import GlassdaskError, ParameterError


def public_flags() -> dict[str, tuple]:
    """The functions of ours that are public in the package or in a module of it, with each of their flags."""
    modules = [gd, glassdask.io, *(value for name in dir(gd) if inspect.ismodule(value := getattr(gd, name)))]
    found = {}
    for module in modules:
        for name in (name for name in dir(module) if not name.startswith("_")):
            function = getattr(module, name)
            if inspect.isfunction(function) and function.__module__.startswith("glassdask"):
                found |= {
                    f"{function.__name__} {p.name}": (function, p.name)
                    for p in inspect.signature(function).parameters.values()
                    if isinstance(p.default, bool)
                }
    return found


def called(function, **arguments):
    """Call it; a generator begins only where its first value is asked for."""
    result = function(**arguments)
    return next(result) if inspect.isgenerator(result) else result


FLAGS = public_flags()


def test_the_flags_are_found():
    assert {"ingest append", "ingest overwrite", "run_sweep retry", "save_trajectory overwrite"} <= set(FLAGS)


@pytest.mark.parametrize("value", ["no", "false", "", 1, 0, None, np.nan, []], ids=repr)
@pytest.mark.parametrize("flag", FLAGS)
def test_what_is_not_true_or_false_is_refused_before_all_else(flag, value):
    function, name = FLAGS[flag]
    needed = [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    others = dict.fromkeys(key for key in needed if key != "options")
    with pytest.raises(ParameterError, match=f"^{name}: expected bool, found "):
        called(function, **others, **{name: value})


def test_data_are_kept(tmp_path):
    old, new = (gd.from_arrays([[[x, 1.0]]], species=["A"], box=[4.0, 4.0]) for x in (1.0, 2.0))
    gd.save_trajectory(old, tmp_path / "a.zarr")
    for wrong in ("no", 1):
        with pytest.raises(GlassdaskError):
            gd.save_trajectory(new, tmp_path / "a.zarr", overwrite=wrong)
    assert gd.open_trajectory(tmp_path / "a.zarr")["position"].values[0, 0, 0] == 1.0
    gd.save_trajectory(new, tmp_path / "a.zarr", overwrite=np.bool_(True))
    assert gd.open_trajectory(tmp_path / "a.zarr")["position"].values[0, 0, 0] == 2.0
