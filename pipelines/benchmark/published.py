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
LABELS = {("KA", t): 1 for t in ("0.44", "0.50", "0.56", "0.64")} | {("KA2D", t): 5 for t in ("0.23", "0.30")}
STEP = 0.005  # of the integration: lags are whole numbers of them
CEILINGS = {"propensity": "MD", "bond_breaking": "BB"}
SYSTEMS = {"kob_andersen": "KA", "kob_andersen_ternary_2d": "KA2D"}


def temperature_word(temperature: float) -> str:
    """A temperature in a name, with two digits as the benchmark has it, or all that it has: 0.444 is none of its.

    >>> temperature_word(0.5), temperature_word(0.4449)
    ('0.50', '0.4449')
    """
    word = f"{temperature:.2f}"
    return word if float(word) == temperature else f"{temperature:.10g}"


@cache
def tables() -> dict[str, dict[str, Any]]:
    """Everything that is published, by its path in the archive."""
    return {table["path"]: table for table in json.loads(FILE.read_text())}


def times(model: str, temperature: float) -> np.ndarray | None:
    """The lags of a system at a temperature, if it is one of the benchmark's."""
    system = SYSTEMS.get(model)
    table = tables().get(f"GlassBench/{system}_results/times_{temperature_word(temperature)}.dat")
    return None if table is None else np.array([row[0] for row in table["rows"]])


def relaxation_time(model: str, temperature: float) -> float | None:
    """The published lag that is about tau_alpha: the seventh in three dimensions, the last but one in two.

    Examples
    --------
    >>> relaxation_time("kob_andersen", 0.44), relaxation_time("kob_andersen_ternary_2d", 0.30)
    (4120.0, 1781.79)
    """
    known = times(model, temperature)
    return None if known is None else float(known[{"KA": 6, "KA2D": -2}[SYSTEMS[model]]])


def time_of(model: str, temperature: float, label: int) -> float | None:
    """The lag that the name of a file tells, as in ``_tc07``; None where nothing is published."""
    known, step = times(model, temperature), LABELS.get((SYSTEMS.get(model, ""), temperature_word(temperature)))
    if known is None or step is None or label % step or not 1 <= label // step <= len(known):
        return None
    return float(known[label // step - 1])


def label_of(model: str, temperature: float, lag: float) -> int | None:
    """What the names of files call a lag; None where it is no published time, nor one in whole steps of a simulation.

    Examples
    --------
    >>> label_of("kob_andersen", 0.5, 0.11)  # 0.108 in steps of 0.005
    1
    """
    known, step = times(model, temperature), LABELS.get((SYSTEMS.get(model, ""), temperature_word(temperature)))
    at = np.flatnonzero(np.isclose(known, lag, rtol=1e-2, atol=0.5 * STEP)) if known is not None else []
    return step * (int(at[0]) + 1) if step is not None and len(at) else None


def curves(model: str, temperature: float, target: str) -> dict[str, np.ndarray]:
    """Pooled R of the published models against ``t``, of the particles of type A; empty where nothing is published."""
    path = CURVES.get((SYSTEMS.get(model, ""), temperature_word(temperature), target))
    if path is None:
        return {}
    table = tables()[path]
    found = dict(zip(table["header"], np.array(table["rows"], dtype=np.float64).T))
    return {name: np.abs(values) for name, values in found.items()}


def transfer(model: str, trained_at: float, temperature: float) -> dict[str, float]:
    """Pooled R of the published models at about tau_alpha, of one temperature learned at another; empty where unknown.

    Examples
    --------
    >>> transfer("kob_andersen", 0.44, 0.5)["CAGE"] > transfer("kob_andersen", 0.44, 0.64)["CAGE"]
    True
    """
    rows = tables()["GlassBench/KA_results/FIG5.dat"] if SYSTEMS.get(model) == "KA" else {"header": [], "rows": []}
    end = temperature_word(trained_at)
    return {
        name.removesuffix(end): float(r)
        for row in rows["rows"] if abs(1 / row[0] - temperature) < 1e-3
        for name, r in zip(rows["header"], row) if name.endswith(end)
    }  # fmt: skip


def ceiling(model: str, temperature: float, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Times and rho_max, the R that the finite number of runs leaves to a perfect model."""
    name = f"GlassBench/{SYSTEMS.get(model)}_results/rhomax_T{temperature_word(temperature)}_{CEILINGS[target]}.dat"
    rows = [row for row in tables().get(name, {"rows": []})["rows"] if len(row) > 1]
    t, rho = np.array(rows, dtype=np.float64).reshape(-1, 2).T if rows else np.empty((2, 0))
    return t, rho
