"""Figures of what a store holds: reductions, their variables, descriptors, particles."""

from __future__ import annotations

import math
import os
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from glassdask import plotting
from glassdask.dynamics.quantities import QUANTITIES
from glassdask.dynamics.relaxation import relaxation_time
from glassdask.errors import GlassdaskError, ParameterError, StoreError, near
from glassdask.plotting.style import as_written
from glassdask.store import open_descriptors, open_reduction, open_trajectory
from glassdask.store.arrays import ArrayInfo, arrays
from glassdask.store.groups import COMPLETE, attributes, children, is_group
from glassdask.store.layout import checked_path

# Stores that simulations make below the one of a trajectory.
BELOW = ("", "inherent", "isoconfigurational")
PARTICLES, SPECTRA = "particles", "evr"
UNDRAWN = ("lag", "origins", "k", "r", "modes")  # what curves run over, or are counted by
DESCRIPTORS = "descriptors/"
OF_STRUCTURE = ("structure", "g", "S")


def pictures(store: str | os.PathLike[str]) -> dict[str, str]:
    """What can be drawn of a store: what `draw` takes -> what it is.

    Examples
    --------
    >>> import tempfile, numpy as np, glassdask as gd
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = folder.name + "/x.zarr"
    >>> gd.save_trajectory(gd.from_arrays(np.zeros((1, 1, 3)), species=["A"], box=[2.0] * 3), path)
    >>> pictures(path)
    {'particles': 'a frame, coloured by species or by any variable'}
    >>> folder.cleanup()
    """
    root = checked_path(store)
    attributes(root)  # `StoreError` where there is no store
    found = {}
    if "position" in [child.name for child in children(root, "array")]:
        found[PARTICLES] = "a frame, coloured by species or by any variable"
    spectra = False
    for below, name, attrs in _groups(root, "reductions"):
        infos = {info.name: info for info in arrays(root / below / "reductions" / name)}
        if {"scatter", "n_samples"} <= infos.keys():
            continue  # of a sweep's common components, and no result by itself
        label = f"{below}/{name}" if below else name
        aside = {*UNDRAWN, *str(attrs.get("coordinates", "")).split()}
        found[label] = _kind([variable for variable in infos if variable not in aside], attrs)
        spectra |= "explained_variance_ratio" in infos
        if not below and not {"assignment", "projection", "pearson", "propensity"} & infos.keys():
            coordinates = str(attrs.get("coordinates", "")).split()
            shown = {_base(n) for n, info in infos.items() if n not in coordinates and _is_curve(info)}
            found |= {f"{label}/{n}": f"{n} alone" for n in sorted(shown)}
    if spectra:
        found[SPECTRA] = "explained variance ratios of all principal components"
    for below, name, _ in _groups(root, "descriptors"):
        label = f"{below}/{name}" if below else name
        key = f"{DESCRIPTORS}{name}" if label in found else label
        found[f"{below}/{DESCRIPTORS}{name}" if below and label in found else key] = "distribution of a descriptor"
    return found


def draw(
    store: str | os.PathLike[str],
    what: str,
    *,
    color: str = "species",
    frame: int = 0,
    normal: str = "z",
    between: tuple[float, float] | None = None,
) -> tuple[Figure, dict[str, Any]]:
    """A figure of something that is stored, and its numbers, as `glassdask.plotting.save` takes them.

    Parameters
    ----------
    store : of a trajectory, or a state of a sweep
    what : one of `pictures`: a reduction (``"sbo"``, ``"chi4"``, ``"structure"``), one of its variables
        (``"relaxation/fs"``, or only ``"fs"``), a descriptor, ``"evr"`` or ``"particles"``
    color, frame, normal, between : of particles: the variable that colours them, see `glassdask.plotting.snapshot`

    Raises
    ------
    ParameterError
        There is nothing of that name: the line says what there is.
    StoreError
        It was computed before the trajectory, or what it was made of, was changed; nothing stale is drawn.
    """
    root = checked_path(store)
    known = pictures(store)
    chosen = _chosen(what, known, store)
    below = next((name for name in BELOW[1:] if chosen.startswith(f"{name}/") and is_group(root / name)), "")
    place, name = root / below, chosen.removeprefix(f"{below}/") if below else chosen
    title = heading(place)
    if chosen == PARTICLES:
        return _particles(root, title, color, frame, normal, between)
    if chosen == SPECTRA:
        drawn, table = _spectra(root)
        label = "explained variance"
    elif is_group(place / "reductions" / name.partition("/")[0]) and not name.startswith(DESCRIPTORS):
        group, _, variable = name.partition("/")
        found = open_reduction(place, group)
        curve = found.get("fs_total")
        if curve is not None and curve.dims == ("lag",) and "tau_total" not in found:
            # marked in the curve, as that of a sweep
            found = found.assign(tau_total=relaxation_time(found.load())["tau_total"])
        drawn, table = reduction_figure(found, variable or None)
        label = f"{name}{_numbers(attributes(place / 'reductions' / group))}"
    else:
        key = name.removeprefix(DESCRIPTORS)
        drawn, table = plotting.descriptor(open_descriptors(place, [key])[key])
        label = key
    drawn.suptitle(f"{label}: {title}", fontsize="small")
    return drawn, table


def _numbers(attrs: dict[str, Any]) -> str:
    """The numbers with which a quantity of motion was measured.

    >>> _numbers({"parameters": {"quantity": "fs", "k": 7.25}}), _numbers({"parameters": {"n_components": 2}})
    (' (k = 7.25)', '')
    """
    given = attrs.get("parameters") or {}
    if not isinstance(given, dict) or "quantity" not in given:
        return ""
    told = [f"{name} = {value:.4g}" for name, value in given.items() if isinstance(value, float)]
    return f" ({', '.join(told)})" if told else ""


def reduction_figure(found: xr.Dataset, variable: str | None = None) -> tuple[Figure, dict[str, Any]]:
    """The figure of a stored reduction, of whichever kind it is, or of one of its variables."""
    if variable is not None:
        names = [name for name in found if _base(str(name)) == variable]
        kept = found[[*names, *[name for name in ("k", "tau_total", "time") if name in found and name not in names]]]
        return plotting.curves(kept)
    if "assignment" in found:
        return plotting.classes(found)
    if "projection" in found:
        return plotting.reduction(found)
    if "pearson" in found:
        return plotting.correlation_with_propensity(found)
    if "propensity" in found:
        return plotting.propensity(found)
    return plotting.curves(found)


def heading(path: str | os.PathLike[str]) -> str:
    """Model and state where they are known, else the name of the store; below N, composition, density and frames.

    Examples
    --------
    >>> import tempfile, numpy as np, glassdask as gd
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = folder.name + "/liquid.zarr"
    >>> gd.save_trajectory(gd.from_arrays(np.zeros((2, 2, 2)), species=["A", "B"], box=[2.0, 1.0]), path)
    >>> print(heading(path))
    liquid
    N = 2 (1 A, 1 B), density 1, 2 frames
    >>> folder.cleanup()
    """
    trajectory = open_trajectory(path)
    n_frames, n = trajectory.sizes["frame"], trajectory.sizes["particle"]
    names, counts = np.unique(trajectory["species"].values, return_counts=True)
    mixture = ""
    if trajectory["species"].ndim == 1 and 1 < len(names) <= 6:
        mixture = (
            f" ({', '.join(f'{count} {as_written(name)}' for name, count in zip(names.tolist(), counts.tolist()))})"
        )
    volume = float(np.abs(np.linalg.det(trajectory["box"].values[0])))
    told = f"{n_frames} frames" if n_frames > 1 else "1 frame"
    return f"{as_written(state_name(path))}\nN = {n}{mixture}, density {n / volume:.4g}, {told}"


def state_name(path: str | os.PathLike[str]) -> str:
    """What a store is called: its place inside a sweep or tree, or else its own name without ``.zarr``."""
    parts = Path(os.fspath(path)).absolute().parts
    stores = [k for k, part in enumerate(parts) if part.endswith(".zarr")]
    inside = parts[stores[-1] + 1 :] if stores else parts[-1:]
    name = ", ".join(map(_level, inside)) if inside else parts[-1].removesuffix(".zarr")
    attrs = attributes(path).get("parameters") or {}
    if not inside and isinstance(attrs, dict) and attrs.get("type") == "simulation":
        temperature = np.ravel(attrs["stages"][-1].get("temperature", math.nan))[-1]
        name = f"{attrs['model']['name']}, T = {temperature:g}"
    return name


def _level(part: str) -> str:
    """A folder of a tree as one reads it.

    >>> _level("T=0.4500"), _level("kob_andersen")
    ('T = 0.45', 'kob_andersen')
    """
    name, equals, value = part.partition("=")
    try:
        return f"{name} = {float(value):g}" if equals else part
    except ValueError:
        return part


def _chosen(what: str, known: dict[str, str], store: Any) -> str:
    """The picture that a name means: its own, or that of the only variable that is called so."""
    if what in known:
        return what
    short = [name for name in known if name.rpartition("/")[2] == what]
    if len(short) == 1:
        return short[0]
    if short:
        raise ParameterError(f"{store}: '{what}' may be {' or '.join(short)}: say which")
    group = checked_path(store) / "reductions" / what.partition("/")[0]
    if is_group(group) and attributes(group).get("status") != COMPLETE:
        raise StoreError(f"{group}: not written completely: run the same command again to continue")
    raise ParameterError(
        f"{store}: no reduction, variable or descriptor '{what}': expected one of {', '.join(known)}"
        f"{_how_to_get(what, shlex.quote(str(store))) or near(what, known)}"
    )


def _how_to_get(what: str, path: str) -> str:
    """The command after which there is something to draw, or nothing."""
    if what in OF_STRUCTURE:
        return f": measure it first, glassdask structure {path}"
    if what in QUANTITIES:
        return f": measure it first, glassdask dynamics {path} {what}"
    return ""


def _groups(root: Path, kind: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Where each complete descriptor or reduction of a store and of those below it is: store, name, attributes."""
    found = []
    for below in BELOW:
        folder = root / below / kind
        for child in children(folder, "group") if is_group(folder) else []:
            attrs = attributes(child)
            if attrs.get("status") == COMPLETE:
                found.append((below, child.name, attrs))
    return found


def _kind(names: list[str], attrs: dict[str, Any]) -> str:
    if "assignment" in names:
        return "classes: what each is like, and how many particles it has"
    if "projection" in names:
        return "principal components: their plane, directions and explained variance"
    if "pearson" in names:
        return "structure against propensity"
    if "propensity" in names:
        return "propensities of the particles"
    kept = (attrs.get("parameters") or {}) if isinstance(attrs.get("parameters"), dict) else {}
    of = f" of {kept['quantity']}" if "quantity" in kept else ""
    return f"curves{of}: {', '.join(sorted({_base(n) for n in names}))}"


def _base(name: str) -> str:
    return name.removesuffix("_error").removesuffix("_total")


def _is_curve(info: ArrayInfo) -> bool:
    """Whether an array is numbers along something, and not that something itself."""
    return info.dtype.kind == "f" and bool(set(info.dims) & set(plotting.ALONG)) and info.dims != (info.name,)


def _spectra(root: Path) -> tuple[Figure, dict[str, Any]]:
    """The explained variance ratios of all stored principal components in one plot."""
    drawn, axes = plotting.figure(size=(4.4, 3.2))
    table: dict[str, Any] = {}
    problems = []
    for below, name, _ in _groups(root, "reductions"):
        try:
            found = open_reduction(root / below, name)
        except GlassdaskError as error:
            problems.append(error)
            continue
        if "explained_variance_ratio" in found:
            ratio = found["explained_variance_ratio"].values
            label = f"{below}/{name}" if below else name
            axes[0, 0].plot(np.arange(1, len(ratio) + 1), ratio, "o-", markersize=4, linewidth=1, label=label)
            table[f"evr {label}"] = ratio
    if not table:
        raise problems[0]
    axes[0, 0].set(xlabel="principal component", ylabel="explained variance ratio", ylim=(0, None))
    axes[0, 0].legend(frameon=False)
    return drawn, table


def _particles(
    root: Path, title: str, color: str, frame: int, normal: str, between: tuple[float, float] | None
) -> tuple[Figure, dict[str, Any]]:
    trajectory = open_trajectory(root)
    drawn, axes = plotting.figure(size=(4.6, 3.8))
    values, sizes = _coloured(trajectory, color, frame)
    table = plotting.snapshot(
        axes[0, 0], trajectory, values, frame=frame, normal=normal, between=between, diameters=sizes
    )
    n_frames = trajectory.sizes["frame"]
    number = frame % n_frames
    when = f", frame {number}" if n_frames > 1 else ""
    if "time" in trajectory and n_frames > 1:
        when += f", t = {float(trajectory['time'].values[number]):.6g}"
    drawn.suptitle(f"{title}{when}", fontsize="small")
    return drawn, table


def _coloured(trajectory: xr.Dataset, name: str, frame: int) -> tuple[Any, dict[str, float] | None]:
    """What colours the particles, and the diameters of species where the store has none of particles."""
    from glassdask.correlations.shells import first_peaks
    from glassdask.io.columns import columns_of

    values = None
    if name != "species":
        found = columns_of(trajectory, name)
        if len(found) > 1:
            raise ParameterError(f"{name}: it has {len(found)} numbers: choose one of {', '.join(found)}")
        label, values = next(iter(found.items()))
        values = values.rename(label)
    if "diameter" in trajectory:
        return values, None
    try:
        return values, first_peaks(trajectory.isel(frame=[frame]))
    except (GlassdaskError, IndexError):  # too few particles to tell; a frame that is not there is told later
        return values, None
