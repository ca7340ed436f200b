"""What is drawn as lines, without saying with what: curves of all temperatures, numbers against T, and CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from dashboard.store import COMPLETE, PROPENSITY, RELAXATION, STRUCTURE, SweepStore

ALONG = ("r", "k", "q", "omega", "size", "lag")  # what curves run over
AXES = {"r": "r", "k": "k", "q": "q", "omega": "ω", "size": "size", "lag": "t"}
NAMES = {
    "g_total": "g(r)",
    "S_total": "S(k)",
    "fs_total": "Fₛ(k*, t)",
    "msd_total": "⟨Δr²(t)⟩",
    "alpha2_total": "α₂(t)",
    "chi4_total": "χ₄(t)",
    "chi4_fs_total": "χ₄(t) of Fₛ",
    "overlap_total": "Q(t)",
    "s4_total": "S₄(q)",
    "g4_total": "G₄(r)",
    "f_total": "F(k, t)",
    "vacf_total": "Z(t)",
    "energy": "E/N",
    "inherent_energy": "E(IS)/N",
    "tau": "τα",
}
POWERS = ("msd", "overlap_length")  # are drawn with a logarithmic ordinate
OF_RELAXATION = (
    ("fs", "self-intermediate scattering", np.exp(-1)),
    ("msd", "mean square displacement", None),
    ("alpha2", "non-Gaussian parameter", None),
)


@dataclass(frozen=True)
class Line:
    """One curve; `value` is what colours it (a temperature), or `number` where the lines are of different things."""

    label: str
    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None = None
    value: float | None = None
    number: int = 0
    dash: str = "solid"


@dataclass(frozen=True)
class Chart:
    """A plot: lines, the names of its axes and how they are scaled."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    x_log: bool = False
    y_log: bool = False
    points: bool = False
    level: float | None = None  # a horizontal line
    nothing: str = ""  # said in place of lines

    def table(self) -> pd.DataFrame:
        """One row a point."""
        parts = []
        for line in self.lines:
            error = np.full(len(line.y), np.nan) if line.error is None else line.error
            names = {"plot": self.title, "line": line.label, self.x: line.x, self.y: line.y, "error": error}
            parts.append(pd.DataFrame(names).rename(columns={self.x: "x", self.y: "y"}))
        columns = ["plot", "line", "x", "y", "error"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


@dataclass
class Series:
    """The states of one model that differ in their seeds only, at one temperature and density."""

    temperature: float
    density: float
    labels: list[str] = field(default_factory=list)

    def name(self, densities: bool) -> str:
        """T = 0.45, with the density where there are several."""
        return f"T = {self.temperature:g}" + (f", ρ = {self.density:g}" if densities else "")


def series(table: pd.DataFrame, model: str) -> list[Series]:
    """The series of a model in the order of temperature."""
    found: dict[tuple[float, float], Series] = {}
    for label, row in table[table["model"] == model].iterrows():
        density = np.nan if row.get("density") is None else float(row.get("density", np.nan))
        point = (float(row["temperature"]), -1.0 if np.isnan(density) else density)
        found.setdefault(point, Series(row["temperature"], density)).labels.append(str(label))
    return [found[point] for point in sorted(found)]


def csv(charts: Iterable[Chart]) -> str:
    """All points of some charts."""
    parts = [chart.table() for chart in charts if chart.lines]
    return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()).to_csv(index=False)


def structure(store: SweepStore, table: pd.DataFrame, model: str) -> list[Chart]:
    """g(r) and S(k) of a model, a line for each temperature."""
    done = table[table.get("correlate", pd.Series("", table.index)) == COMPLETE]
    nothing = "Not measured yet." if "correlate" in table else "The sweep has no [correlate]."
    return [
        _overlaid(store, done, model, STRUCTURE, "g_total", "pair correlations", nothing=nothing),
        _overlaid(store, done, model, STRUCTURE, "S_total", "structure factor", nothing=nothing),
    ]


def dynamics(store: SweepStore, table: pd.DataFrame, model: str) -> list[Chart]:
    """F_s, mean square displacement and alpha_2 of a model, what [dynamics] has measured, |R|(t)."""
    done = table[table.get("correlate", pd.Series("", table.index)) == COMPLETE]
    nothing = "Not measured, or not yet: motion is followed where [correlate] has dynamics = true."
    charts = [
        _overlaid(store, done, model, RELAXATION, f"{name}_total", title, level, nothing=nothing)
        for name, title, level in OF_RELAXATION
        if name not in store.quantities(table)  # measured with more care
    ]
    measured = table[table.get("dynamics", pd.Series("", table.index)) == COMPLETE]
    for name in store.quantities(table):
        charts += _of_quantity(store, measured, model, name)
    if any(store.curves(label, PROPENSITY) is not None for label in done.index[done["model"] == model]):
        for descriptor in store.descriptors(table):
            charts.append(_structure_and_propensity(store, done, model, descriptor))
    return charts


def against_temperature(numbers: pd.DataFrame | None, descriptor: str | None) -> list[Chart]:
    """tau_alpha and D tau_alpha (1/T), inherent energies and explained variance ratios of all models."""
    found = pd.DataFrame(columns=["model", "temperature"]) if numbers is None else numbers
    evr = [f"{descriptor} EVR{k}" for k in (1, 2)]
    return [
        _models(
            found.assign(x=1 / found["temperature"]),
            {"tau": "solid"},
            "relaxation time",
            "1/T",
            "τα",
            True,
            "No relaxation time yet: F_s(k*, t) of no state has fallen to 1/e.",
        ),
        _models(
            found.assign(x=1 / found["temperature"]),
            {"d_tau": "solid"},
            "diffusion and relaxation, Stokes and Einstein's law",
            "1/T",
            "D τα",
            True,
            "No state has both a relaxation time and diffusive motion yet.",
        ),
        _models(
            found.assign(x=found["temperature"]),
            {evr[0]: "solid", evr[1]: "dashed"},
            f"explained variance of {descriptor} (PC2 dashed)",
            "T",
            "EVR",
            False,
            "No principal components yet.",
        ),
        _models(
            found.assign(x=found["temperature"]),
            {"inherent_energy": "solid"},
            "inherent structures",
            "T",
            "E(IS)/N",
            False,
            "No energies of inherent structures: they need inherent = true in [protocol].",
        ),
    ]


def _models(found: pd.DataFrame, names: dict[str, str], title: str, x: str, y: str, y_log: bool, nothing: str) -> Chart:
    """A line for each model and number through the means over the seeds at one x, with standard errors."""
    lines = []
    for number, (model, states) in enumerate(found.groupby("model", sort=False)):
        for k, (name, dash) in enumerate(names.items()):
            if name not in states or not states[name].notna().any():
                continue
            known = states[states[name].notna()]
            mean = known.groupby("x")[name].mean()
            error = known.groupby("x")[name].sem()
            if f"{name}_error" in known:  # of a single seed, its own
                error = error.fillna(known.groupby("x")[f"{name}_error"].first())
            label = str(model) if len(names) == 1 else f"{model} PC{k + 1}"
            lines.append(Line(label, mean.index.to_numpy(float), mean.to_numpy(), error.to_numpy(), None, number, dash))
    return Chart(title, x, y, tuple(lines), y_log=y_log, points=True, nothing=nothing)


def _overlaid(
    store: SweepStore,
    table: pd.DataFrame,
    model: str,
    group: str,
    name: str,
    title: str,
    level: float | None = None,
    nothing: str = "",
    choose: Callable[[xr.Dataset], xr.DataArray | None] | None = None,
) -> Chart:
    """A variable of a reduction, a line for each temperature: the mean over the seeds with its standard error."""
    found = series(table, model)
    densities = len({one.density for one in found if not np.isnan(one.density)}) > 1
    lines, dim = [], "lag"
    for one in found:
        curves = []
        for label in one.labels:
            dataset = store.curves(label, group)
            values = None if dataset is None else choose(dataset) if choose else dataset.get(name)
            if values is None:
                continue
            dims = [d for d in ALONG if d in values.dims]
            if not dims or values.ndim != 1:
                continue
            dim = dims[0]
            error = dataset.get(f"{name}_error") if dataset is not None else None
            curves.append((values[dim].values, values.values, None if error is None else error.values))
        if curves:
            lines.append(_mean(one.name(densities), one.temperature, curves))
    ordinate = NAMES.get(name, name.removesuffix("_total"))
    powers = name.startswith(POWERS)
    return Chart(
        title, AXES[dim], ordinate, tuple(lines), x_log=dim == "lag", y_log=powers, level=level, nothing=nothing
    )


def _mean(label: str, temperature: float, curves: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]) -> Line:
    """Over seeds whose curves have the same abscissae; of one seed, and where they differ, the first with its error."""
    x, y, error = curves[0]
    same = [values for at, values, _ in curves if at.shape == x.shape and np.allclose(at, x, rtol=1e-6)]
    if len(same) > 1:
        y, error = np.mean(same, axis=0), np.std(same, axis=0, ddof=1) / np.sqrt(len(same))
        label += f" ({len(same)} seeds)"
    shown = x > 0 if np.any(x > 0) and np.any(x == 0) else np.ones(len(x), bool)
    return Line(label, x[shown], y[shown], None if error is None else error[shown], temperature)


def _of_quantity(store: SweepStore, table: pd.DataFrame, model: str, name: str) -> list[Chart]:
    """A chart for each curve that a quantity of [dynamics] has of all species together."""
    example = next(
        (
            found
            for label in table.index[table["model"] == model]
            if (found := store.curves(str(label), name)) is not None
        ),
        None,
    )
    nothing = "Not measured yet."
    if example is None:
        return [Chart(name, "t", name, (), nothing=nothing)]
    names = [
        str(key)
        for key, values in example.items()
        if values.ndim == 1 and values.dtype.kind == "f" and values.dims[0] in ALONG and not str(key).endswith("_error")
    ]
    # chi_4 comes with the overlap that it is made of, and with its fourth cumulant
    names = [key for key in names if key.startswith("chi4")] or names
    titles = [name if len(names) == 1 else f"{name}: {key.removesuffix('_total')}" for key in names]
    return [_overlaid(store, table, model, name, key, title, nothing=nothing) for key, title in zip(names, titles)]


def _structure_and_propensity(store: SweepStore, table: pd.DataFrame, model: str, descriptor: str) -> Chart:
    """|R|(t) of the first component of a descriptor with the propensity, mean over the species that have it."""

    def choose(found: xr.Dataset) -> xr.DataArray | None:
        wanted = f"{descriptor} PC1"
        if wanted not in found["column"].values.tolist():
            return None
        return found["pearson"].sel(column=wanted).dropna("species", how="all").mean("species")

    chart = _overlaid(
        store,
        table,
        model,
        PROPENSITY,
        "pearson",
        f"|R|(t) of {descriptor} PC1 with the propensity",
        choose=choose,
        nothing="Not measured yet: it needs replicas in [protocol].",
    )
    return Chart(**{**chart.__dict__, "y": "|R|"})


def facts(store: SweepStore, numbers: pd.DataFrame, label: str) -> dict[str, Any]:
    """The numbers of a state, for a table."""
    row = numbers.loc[label]
    found: dict[str, Any] = {"model": row["model"], "T": row["temperature"]}
    for name, value in row.drop(["model", "temperature"]).items():
        if isinstance(value, float) and np.isfinite(value) and not str(name).endswith("_error"):
            error = row.get(f"{name}_error", np.nan)
            text = f"{value:.4g}" + (f" ± {error:.2g}" if np.isfinite(error) else "")
            found[NAMES.get(str(name), str(name))] = text
    return found
