"""What GlassBench has published: curves, times and ceilings (``pipelines/data/glassbench_published.json``)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parents[1] / "data" / "glassbench_published.json"
# R against time, by system, temperature and target
CURVES = {
    ("KA", "0.44", "propensity"): "GlassBench/KA_results/FIG1.dat",
    ("KA2D", "0.30", "propensity"): "GlassBench/KA2D_results/FIG3.dat",
    ("KA2D", "0.30", "bond_breaking"): "GlassBench/KA2D_results/FIG4.dat",
    ("KA2D", "0.23", "propensity"): "GlassBench/KA2D_results/FIGA1.dat",
}
# what the names of files call the first lag, second, ...: _tc01, _tc02 or _tc05, _tc10
LABELS = {("KA", "0.44"): 1, ("KA2D", "0.23"): 5}
CEILINGS = {"propensity": "MD", "bond_breaking": "BB"}
SYSTEMS = {"kob_andersen": "KA", "kob_andersen_ternary_2d": "KA2D"}


@cache
def tables() -> dict[str, dict[str, Any]]:
    """Everything that is published, by its path in the archive."""
    return {table["path"]: table for table in json.loads(FILE.read_text())}


def times(model: str, temperature: float) -> np.ndarray | None:
    """The lags of a system at a temperature, if it is one of the benchmark's."""
    system = SYSTEMS.get(model)
    table = tables().get(f"GlassBench/{system}_results/times_{temperature:.2f}.dat")
    return None if table is None else np.array([row[0] for row in table["rows"]])


def time_of(model: str, temperature: float, label: int) -> float | None:
    """The lag that the name of a file tells, as in ``_tc07``; None where nothing is published."""
    known, step = times(model, temperature), LABELS.get((SYSTEMS.get(model, ""), f"{temperature:.2f}"))
    if known is None or step is None or label % step or not 1 <= label // step <= len(known):
        return None
    return float(known[label // step - 1])


def curves(model: str, temperature: float, target: str) -> dict[str, np.ndarray]:
    """Pooled R of the published models against ``t``, of the particles of type A; empty where nothing is published."""
    path = CURVES.get((SYSTEMS.get(model, ""), f"{temperature:.2f}", target))
    if path is None:
        return {}
    table = tables()[path]
    found = dict(zip(table["header"], np.array(table["rows"], dtype=np.float64).T))
    return {name: np.abs(values) for name, values in found.items()}


def ceiling(model: str, temperature: float, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Times and rho_max, the R that the finite number of runs leaves to a perfect model."""
    name = f"GlassBench/{SYSTEMS.get(model)}_results/rhomax_T{temperature:.2f}_{CEILINGS[target]}.dat"
    rows = [row for row in tables().get(name, {"rows": []})["rows"] if len(row) > 1]
    t, rho = np.array(rows, dtype=np.float64).reshape(-1, 2).T if rows else np.empty((2, 0))
    return t, rho
