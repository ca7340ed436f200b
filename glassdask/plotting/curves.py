"""Datasets of curves, as figures and as their numbers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from glassdask.errors import ParameterError
from glassdask.plotting.files import figure
from glassdask.plotting.panels import curve
from glassdask.plotting.style import BLACK, GREY, as_written, labelled_decades, logarithmic

# What curves may run over; of several of them the first.
ALONG = ("r", "q", "omega", "size", "lag", "k", "sample", "frame")
MOST_LABELS = 12  # of a legend
# Names in the field's symbols; other variables are called as they are stored.
SYMBOLS = {
    "g": "$g(r)$", "S": "$S(k)$", "fs": "$F_s(k, t)$", "msd": r"$\langle \Delta r^2(t) \rangle$",
    "chi4": r"$\chi_4(t)$", "chi4_fs": r"$\chi_4(t)$ of $F_s$", "alpha2": r"$\alpha_2(t)$", "overlap": "$Q(t)$",
    "chi4_f": r"$\chi_4(t)$ of $F$", "binder_f": "Binder cumulant of $F$",
    "binder": "Binder cumulant of $Q$", "binder_fs": "Binder cumulant of $F_s$",
    "energy": "$E/N$", "inherent_energy": r"$E_\mathrm{IS}/N$", "s4": "$S_4(q)$", "g4": "$G_4(r)$", "lag": "$t$",
    "f": "$F(k, t)$", "gs": "$G_s(r, t)$", "gd": "$G_d(r, t)$", "vacf": "$Z(t)$", "cb": "$C_B(t)$",
    "skw": r"$S(k, \omega)$", "skw_self": r"$S_s(k, \omega)$", "longitudinal": "$C_L(k, t)$",
    "transverse": "$C_T(k, t)$", "modulus": "$G(t)$", "viscosity": r"$\eta(t)$", "d2min_mean": r"$D^2_\mathrm{min}(t)$",
    "modulus_off_diagonal": r"$G(t)$ of $\sigma_{xy}$", "viscosity_off_diagonal": r"$\eta(t)$ of $\sigma_{xy}$",
    "vector": "$g_u(r, t)$", "mobility": "$g_m(r, t)$",
    "r": "$r$", "k": "$k$", "q": "$q$", "omega": r"$\omega$",
}  # fmt: skip
LOGARITHMIC = ("msd",)  # growing over decades


def curves(found: xr.Dataset) -> tuple[Figure, dict[str, Any]]:
    """Every variable of a dataset of curves with its errors, such as chi_4 or F_s: a plot for each, a line a species.

    Lags are drawn on a logarithmic scale; where F_s is drawn and its relaxation time is known, that is marked. Gives
    the figure and its numbers.

    Examples
    --------
    >>> overlap = xr.DataArray([[0.9, 0.5]], dims=("species", "lag"))
    >>> drawn, table = curves(xr.Dataset({"overlap": overlap}, coords={"species": ["A"], "lag": [1.0, 2.0]}))
    >>> {name: values.tolist() for name, values in table.items()}
    {'lag': [1.0, 2.0], 'overlap A': [0.9, 0.5]}
    """
    axis = {str(name): [dim for dim in ALONG if dim in found[name].dims] for name in found}
    drawable = [
        name
        for name in axis
        if axis[name]
        and "particle" not in found[name].dims
        and found[name].dtype.kind == "f"
        and not name.endswith("_error")
        and found[name].notnull().any()
    ]
    whole = [name for name in drawable if name.endswith("_total") and name.removesuffix("_total") in drawable]
    names = [name for name in drawable if name not in whole and name not in ("time", "step")]
    names.sort(key=lambda name: list(SYMBOLS).index(name) if name in SYMBOLS else len(SYMBOLS))
    if not names:
        raise ParameterError(f"nothing to draw: no curves among {', '.join(axis) or 'no variables'}")
    drawn, axes = figure(-(-len(names) // 2), min(len(names), 2))
    table: dict[str, Any] = {}
    for ax, name in zip(axes.ravel(), names):
        dim = axis[name][0]
        timed = dim in ("sample", "frame") and "time" in found and found["time"].dims == (dim,)
        along = found["time"] if timed else None
        x = found[dim].values if along is None else along.values
        base = name.removesuffix("_total")
        ax.set(xlabel=_label(found[dim] if along is None else along), ylabel=_label(found[name], base))
        if dim == "lag":
            logarithmic(ax)
            if base in LOGARITHMIC:
                ax.set_yscale("log")
        for key in (name, f"{name}_total"):
            if key in found:
                table.setdefault(dim if along is None else "time", x)
                _lines(ax, found, key, dim, x, table, alone=key == name)
        if base in LOGARITHMIC and dim == "lag":
            labelled_decades(ax.yaxis)
        if base == "fs" and "tau_total" in found and np.isfinite(found["tau_total"]).all():
            tau = float(found["tau_total"])
            ax.axhline(np.exp(-1), color=GREY, linewidth=0.7)
            ax.axvline(tau, color=GREY, linewidth=0.7, linestyle="--", label=rf"$\tau_\alpha$ = {tau:.4g}")
        if base == "fs" and "k" in found and found["k"].ndim == 0:
            ax.set_title(f"k = {float(found['k']):.4g}", fontsize="small")
        if len(ax.lines) <= MOST_LABELS and (len(ax.lines) > 1 or ax.lines[0].get_label() != "all"):
            ax.legend(frameon=False, fontsize="x-small")
    for ax in axes.ravel()[len(names) :]:
        ax.set_visible(False)
    return drawn, table


def _lines(
    ax: Any, found: xr.Dataset, key: str, dim: str, x: np.ndarray, table: dict[str, Any], *, alone: bool
) -> None:
    """The lines of one variable, with their errors."""
    lines = found[key].transpose(..., dim)
    error = found.get(f"{key}_error")
    errors = np.full(lines.shape, np.nan) if error is None else error.transpose(..., dim).values
    pairs = [str(d) for d in lines.dims[:2]] == ["species_a", "species_b"]
    for index in np.ndindex(lines.shape[:-1]):
        if pairs and index[0] > index[1]:  # the same pair as one before
            continue
        words = [_word(str(d), lines[d].values[i]) for d, i in zip(lines.dims, index)]
        words = ["-".join(words[:2]), *words[2:]] if pairs else words
        text = " ".join(["all", *words] if key.endswith("_total") or not words else words)
        y = lines.values[index]
        shown = np.isfinite(y) & (x > 0 if dim == "lag" else True)
        style = {"color": BLACK} if not alone and lines.ndim == 1 else {}
        # one run of many begins anew: no line leads back
        for k, run in enumerate(np.split(np.flatnonzero(shown), np.flatnonzero(np.diff(x[shown]) < 0) + 1)):
            drawn = {**style, **({"label": text} if k == 0 else {"color": ax.lines[-1].get_color()})}
            curve(ax, x[run], y[run], errors[index][run], **drawn, **({"marker": "o"} if len(run) == 1 else {}))
        table[f"{key} {text}"] = lines.values[index]


def _word(dim: str, value: Any) -> str:
    """What a line is of: a species, or a number with its symbol."""
    return f"{SYMBOLS[dim]} = {value:.4g}" if dim in SYMBOLS else as_written(str(value))


def _label(values: xr.DataArray, name: str | None = None) -> str:
    units = re.sub(r"\^(-?\w+)", r"$^{\1}$", values.attrs.get("units", ""))
    shown = SYMBOLS.get(name or str(values.name), name or str(values.name).replace("_", " "))
    return f"{shown}{f' ({units})' if units else ''}"
