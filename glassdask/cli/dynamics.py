"""The subcommands that measure averages: how particles move, and where they are."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from glassdask.cli.completion import quantity_names
from glassdask.cli.options import (
    Cluster,
    Json,
    Overwrite,
    Quiet,
    Store,
    Workers,
    cluster_for,
    console,
    print_json,
    progress_bar,
    value_text,
)

app = typer.Typer()
FIRST = ("msd", "fs", "chi4")  # what is measured where nothing is asked for: what everybody looks at first
# Of one core, roughly: what a quantity takes for a particle in a frame.
SECONDS = 5e-6
STRUCTURE_SECONDS = 2e-5  # g(r) and S(k)


class _WithQuantities(TyperCommand):
    """A command whose help lists the quantities."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The usual help, then what each quantity is, with its parameters."""
        import inspect

        from glassdask.dynamics.quantities import QUANTITIES

        super().format_help(ctx, formatter)
        formatter.write("Quantities, and their parameters:\n")
        for name, function in QUANTITIES.items():
            first = (function.__doc__ or "").strip().partition("\n")[0]
            known = list(inspect.signature(function).parameters)[1:]
            formatter.write(f"\n{name}  {first}\n  {', '.join(known)}\n")


@app.command(cls=_WithQuantities)
def dynamics(
    store: Store,
    quantities: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Quantities, such as msd, chi4, s4 or fs:k=7.2; by default {', '.join(FIRST)}",
            autocompletion=quantity_names,
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    cluster: Cluster = "auto",
    workers: Workers = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure how particles move. Each quantity is stored as a reduction of its name, to be drawn by plot.

    What a quantity needs and is not given is found from the trajectory, and told: the length a is 0.3 mean spacings, k
    the first peak of S(k), the lag of s4, strings and clusters the time at which chi_4 is largest.
    """
    import glassdask as gd
    from glassdask.cluster import connect
    from glassdask.descriptors.registry import parse
    from glassdask.dynamics.quantities import completed, lasting, named, save_quantity

    wanted = named(parse(text, "quantity") for text in quantities or FIRST)
    trajectory = gd.open_trajectory(store)
    rows = trajectory.sizes["frame"] * trajectory.sizes["particle"]
    n = lasting(trajectory).sizes["particle"]
    if n < trajectory.sizes["particle"]:
        console.print(f"of the {n} particles that are in every frame, of {trajectory.sizes['particle']}")
    out = Console()
    made = {}
    with connect(cluster_for(cluster, SECONDS * rows * len(wanted)), workers=workers):
        for name, (kind, given) in wanted.items():
            parameters = completed(kind, given, trajectory)
            chosen = {key: value for key, value in parameters.items() if key not in given}
            if chosen:
                console.print(f"{name}: {', '.join(f'{key}={value_text(value)}' for key, value in chosen.items())}")
            with progress_bar(f"{name}", quiet):
                save_quantity(store, name, kind, parameters, trajectory, overwrite)
            found = gd.open_reduction(store, name)
            if kind == "msd":
                found = found.merge(gd.dynamics.diffusion_coefficient(found.load()))
            made[name] = {"quantity": kind, "parameters": parameters, "found": _scalars(found)}
            if as_json:
                continue
            out.print(f"{store}: reductions/{name}{_summary(kind, found)}", soft_wrap=True, highlight=False)

    if as_json:
        print_json(made)


@app.command()
def structure(
    store: Store,
    overwrite: Overwrite = False,
    cluster: Cluster = "auto",
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Measure g(r) and S(k), and store them as the reduction structure, to be drawn by plot: g, S.

    They are what a sweep's stage correlate stores.
    """
    import glassdask as gd
    from glassdask.cluster import connect
    from glassdask.files import check_links
    from glassdask.sweep.correlating import store_structure

    check_links(store)
    trajectory = gd.open_trajectory(store)
    rows = trajectory.sizes["frame"] * trajectory.sizes["particle"]
    with connect(cluster_for(cluster, STRUCTURE_SECONDS * rows), workers=workers), progress_bar("structure", quiet):
        store_structure(str(store), overwrite)
    k = gd.correlations.first_peak_wavenumber(gd.open_reduction(store, "structure").load())
    Console().print(
        f"{store}: reductions/structure, S(k) is largest at k = {k:.4g}; "
        f"glassdask plot {shlex.quote(str(store))} g -o g.png",
        soft_wrap=True, highlight=False,
    )  # fmt: skip


def _scalars(found: Any) -> dict[str, Any]:
    """What is one number, or one of each species in their order; curves are drawn, with their numbers as CSV."""
    few = {str(name): values for name, values in found.data_vars.items() if set(values.dims) <= {"species"}}
    return {name: values.compute().to_dict()["data"] for name, values in few.items()}


def _summary(kind: str, found: Any) -> str:
    """The number that people look for first."""
    if kind in ("chi4", "alpha2"):
        names = [name for name in ("chi4_total", "chi4_fs_total", "alpha2_total") if name in found]
        peaks = [(name, found[name].compute()) for name in names]
        told = [(n, v.max().item(), v["lag"][v.argmax("lag")].item()) for n, v in peaks if v.notnull().any()]
        return "".join(f", {name} is largest at the lag {lag:.4g}: {height:.4g}" for name, height, lag in told)
    if kind == "fs" and found["fs"].dims == ("species", "lag"):
        from glassdask.dynamics import relaxation_time

        later = found.sel(lag=found["lag"] > 0).compute()
        tau, error = (relaxation_time(later)[name].item() for name in ("tau_total", "tau_total_error"))
        if tau != tau:
            return ", which does not fall through 1/e within the lags"
        return f", tau_alpha = {tau:.4g}" + (f" +- {error:.2g}" if error == error else "")
    if kind == "msd":
        diffusion, error = (found[f"diffusion_total{end}"].item() for end in ("", "_error"))
        return f", D = {diffusion:.3g} +- {error:.2g}" if diffusion > 0 else ", motion is not diffusive at these lags"
    if kind == "s4":
        xi, error = found["xi4_total"].values, found["xi4_total_error"].values
        return f", xi4 = {xi:.3g} +- {error:.2g}" + (f"; {text}" if (text := found.attrs.get("finite_size")) else "")
    return ""
