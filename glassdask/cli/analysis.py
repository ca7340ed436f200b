"""Subcommands that analyse a store: cutoffs, describe, reduce."""

from __future__ import annotations

import json
import math
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperCommand

from glassdask.cli.advice import tell_other_code
from glassdask.cli.completion import descriptor_names, stored
from glassdask.cli.options import (
    Cluster,
    Json,
    Overwrite,
    Quiet,
    Store,
    Workers,
    cluster_for,
    console,
    key_values,
    print_json,
    progress_bar,
    value_of,
)
from glassdask.errors import ParameterError, StoreError, WorkerMemoryError
from glassdask.files import check_links

app = typer.Typer()
# Of one core, roughly: what g(r), and a descriptor, takes for a particle, and what is read of a feature.
PAIRS_SECONDS = 4e-6
DESCRIPTOR_SECONDS = 15e-6
FEATURE_SECONDS = 5e-8
# In mean spacings: stands in for cutoffs that are not measured yet.
SHORT = 0.5


@app.command()
def cutoffs(
    store: Store,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write g(r) as PNG and CSV here")] = None,
    cutoff: Annotated[
        list[str] | None, typer.Option(help="Of all pairs, such as 1.4, or of one, A-B=1.25; repeatable")
    ] = None,
    cluster: Cluster = "auto",
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Find the first minima of the partial g(r) and show how they were chosen."""
    from glassdask import plotting
    from glassdask.cluster import connect
    from glassdask.correlations.measured import Measured
    from glassdask.declarations import pair_text

    if output is not None:
        plotting.check_output(output)
    trajectory = _open(store)
    table = Console()
    measured = Measured(
        trajectory, _cutoffs(cutoff, trajectory), lambda found: None if as_json else _tell(found, table)
    )
    with connect(cluster_for(cluster, PAIRS_SECONDS * _rows(trajectory)), workers=workers):
        distribution, chosen = measured.distribution, measured.cutoffs
    if output is not None:
        drawn, axes = plotting.figure(1, len(chosen))
        plotting.save(drawn, output, plotting.pair_correlations(axes[0], distribution["g"], chosen))
    if as_json:
        shells = {pair_text(*pair): vars(shell) for pair, shell in measured.shells.items()}
        print_json({"cutoffs": {pair_text(*pair): value for pair, value in chosen.items()}, "shells": shells})


class _WithDescriptors(TyperCommand):
    """A command whose help lists the descriptors, those of other packages too."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The usual help, then the name of each descriptor."""
        from glassdask.cli.descriptors import with_papers
        from glassdask.descriptors.registry import DESCRIPTORS, descriptor_class
        from glassdask.errors import PluginError

        super().format_help(ctx, formatter)
        formatter.write("Descriptors (glassdask descriptors NAME tells parameters and examples):\n\n")
        rows = []
        for name in DESCRIPTORS:
            try:
                title = (descriptor_class(name).__doc__ or "").strip().partition("\n")[0]
                rows.append((f"  {name}", with_papers(title)))
            except PluginError as error:
                rows.append((f"  {name}", str(error)))
        formatter.write_dl(rows)


@app.command(cls=_WithDescriptors)
def describe(
    store: Store,
    descriptors: Annotated[
        list[str] | None,
        typer.Argument(
            help="Descriptors, such as bo, SmoothedBondOrder:l_max=8 or, with a name, wide=sbo:gamma=4",
            autocompletion=descriptor_names,
            show_default=False,
        ),
    ] = None,
    parameters: Annotated[
        Path | None, typer.Option(help="TOML file with a table of parameters for each descriptor")
    ] = None,
    centers: Annotated[str | None, typer.Option(help="Species of the central particles, such as B or A,B")] = None,
    cutoff: Annotated[
        list[str] | None, typer.Option(help="Cutoff of all pairs, such as 1.4, or of one, A-B=1.25; repeatable")
    ] = None,
    block: Annotated[
        int | None, typer.Option(min=1, help="Particles to a task, fewer for workers of little memory")
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="In which numbers are stored: float32, or float64, twice the size")
    ] = "float32",
    overwrite: Overwrite = False,
    cluster: Cluster = "auto",
    workers: Workers = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compute descriptors of every particle, all in one pass. The same command continues where it was interrupted.

    Cutoffs that are not given are the first minima of the partial g(r), diameters the first peaks of g_aa(r).
    """
    import glassdask as gd
    from glassdask.cli.needs import advised
    from glassdask.cluster import connect
    from glassdask.correlations.measured import Measured
    from glassdask.declarations import pair_text

    check_links(store)
    wanted = _wanted(descriptors, parameters)
    trajectory = _open(store)
    chosen: dict[str, float] = {}  # where cutoffs are measured

    def told(found: Measured) -> None:
        if not as_json:
            _tell(found)
        for pair in found.pairs:
            chosen[pair_text(*pair)] = found.given[pair] if pair in found.given else found.shells[pair].minimum

    measured = Measured(trajectory, _cutoffs(cutoff, trajectory), told)
    _check(trajectory, wanted, measured, centers, block)
    _check_stored(store, wanted, overwrite)
    seconds = _rows(trajectory) * (PAIRS_SECONDS + DESCRIPTOR_SECONDS * len(wanted))
    features = None
    try:
        with connect(cluster_for(cluster, seconds), workers=workers):
            features = _described(trajectory, wanted, measured, centers, block)
            with progress_bar("describe", quiet) as progress:
                gd.save_descriptors(features, store, dtype=dtype, overwrite=overwrite, progress=progress)
    except WorkerMemoryError as error:
        if features is None:
            raise
        raise advised(error, store, _made(wanted, measured), _species_of(centers), features) from None
    groups = [f"descriptors/{name}" for name in wanted]
    if as_json:
        print_json({"store": str(store), "stored": groups, "cutoffs": chosen})
        return
    print(f"{store}: " + ", ".join(groups))


@app.command()
def reduce(
    store: Store,
    descriptor: Annotated[
        str,
        typer.Argument(
            help="Name of a stored descriptor, such as sbo; or one with its parameters, such as soap:r_cut=2 or sbo:, "
            "which is computed here, twice, and never stored",
            autocompletion=stored("descriptors"),
        ),
    ],
    components: Annotated[int | None, typer.Option(min=1, help="Number of components; default all")] = None,
    method: Annotated[str, typer.Option(help="exact, or incremental (dask-ml)")] = "exact",
    scale: Annotated[bool, typer.Option("--scale", help="Divide each feature by its standard deviation")] = False,
    name: Annotated[str | None, typer.Option(help="Name of the reduction; default that of the descriptor")] = None,
    centers: Annotated[str | None, typer.Option(help="As of describe, for what is computed here")] = None,
    cutoff: Annotated[list[str] | None, typer.Option(help="As of describe, for what is computed here")] = None,
    overwrite: Overwrite = False,
    cluster: Cluster = "auto",
    workers: Workers = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Principal components of a descriptor, with the projections of every particle.

    What is described here is never stored: a first sweep finds the moments of the features, a second one projects them.
    """
    import glassdask as gd
    from glassdask.cluster import connect
    from glassdask.learning.directions import check_method
    from glassdask.learning.incremental import needed
    from glassdask.store.layout import checked_part

    check_links(store)
    here = ":" in descriptor
    if here:
        from glassdask.correlations.measured import Measured

        wanted = _wanted([descriptor], None)
        trajectory = _open(store)
        measured = Measured(trajectory, _cutoffs(cutoff, trajectory), _tell)
        _check(trajectory, wanted, measured, centers)
        (stored_as,) = wanted
        seconds = 2 * _rows(trajectory) * (PAIRS_SECONDS + DESCRIPTOR_SECONDS)
    elif centers or cutoff:
        raise ParameterError(
            f"--centers and --cutoff are of what is computed, and {descriptor} is what is stored: leave them out, or "
            f"write '{descriptor}:' with its parameters"
        )
    else:
        stored_as = descriptor
        features = gd.open_descriptors(store, [descriptor])[descriptor]
        seconds = FEATURE_SECONDS * features.size
        tell_other_code(store, f"descriptors/{descriptor}")
        if components is not None and components > math.prod(features.shape[2:]):
            raise ParameterError(
                f"--components {components}: {descriptor} has {math.prod(features.shape[2:])} features"
            )
    checked_part(name or stored_as)
    check_method(method)
    if method == "incremental":
        needed()
    with connect(cluster_for(cluster, seconds), workers=workers):
        if here:
            features = _described(trajectory, wanted, measured, centers)[stored_as]
        reduced = gd.reduce(features, n_components=components, method=method, scale=scale)
        with progress_bar("reduce", quiet) as progress:
            gd.save_reduction(reduced, store, name or stored_as, overwrite=overwrite, progress=progress)
    ratios = reduced["explained_variance_ratio"].values
    if as_json:
        print_json(
            {
                "reduction": name or stored_as,
                "explained_variance_ratio": ratios,
                **json.loads(reduced.attrs["reduction"]),
            }
        )
        return
    for k, ratio in enumerate(ratios[:8], start=1):
        print(f"PC{k}: {100 * ratio:.1f} % of the variance")


def _open(store: Path) -> Any:
    import glassdask as gd

    return gd.open_trajectory(store)


def _rows(trajectory: Any) -> int:
    return int(trajectory.sizes["frame"] * trajectory.sizes["particle"])


def _tell(measured: Any, out: Console = console) -> None:
    """Print how the cutoffs were chosen."""
    from glassdask.declarations import pair_text

    table = Table("pair", "first peak", "g", "first minimum", "g", "cutoff", "note", title="partial g(r)")
    for pair in measured.pairs:
        name = pair_text(*pair)
        if pair in measured.given:
            table.add_row(name, "", "", "", "", f"{measured.given[pair]:.3f}", "given")
            continue
        shell = measured.shells[pair]
        numbers = (shell.peak, shell.height, shell.minimum, shell.depth, shell.minimum)
        table.add_row(name, *(f"{number:.3f}" for number in numbers), shell.note)
    out.print(table)


def _wanted(descriptors: list[str] | None, parameters: Path | None) -> dict[str, tuple[str, dict[str, Any]]]:
    """Variable name -> (path in errors, parameters) from arguments and a parameter file."""
    from glassdask.descriptors.registry import read_texts
    from glassdask.texts import read_toml

    wanted = read_texts(descriptors or [])
    for name, values in ({} if parameters is None else read_toml(parameters)).items():
        if not isinstance(values, dict):
            raise ParameterError(
                f"{parameters}: '{name}' stands outside of a table: put it below [sbo] or another name"
            )
        wanted[name] = (f"{parameters}: {name}", values)
    if not wanted:
        raise ParameterError("no descriptors: name at least one, such as sbo, or give --parameters FILE")
    return wanted


def _described(trajectory: Any, wanted: Any, measured: Any, centers: str | None, block: int | None = None) -> Any:
    """The lazy features of `_wanted` descriptors; cutoffs and diameters that they leave open are measured now."""
    from glassdask.descriptors.describe import describe

    return describe(trajectory, _made(wanted, measured), centers=_species_of(centers), block=block)


def _made(wanted: Any, measured: Any) -> dict[str, Any]:
    from glassdask.descriptors.registry import make

    return {name: make(name, values, measured.defaults(), where) for name, (where, values) in wanted.items()}


def _check(trajectory: Any, wanted: Any, measured: Any, centers: str | None, block: int | None = None) -> None:
    """Find what is wrong before anything is measured and any worker starts: with lengths that fit every box."""
    from glassdask.descriptors.describe import describe
    from glassdask.descriptors.registry import make
    from glassdask.neighborhood.boxes import mean_spacing

    short = SHORT * mean_spacing(trajectory)
    names = {name for pair in measured.pairs for name in pair}
    lengths = {"cutoffs": lambda: short, "diameters": lambda: dict.fromkeys(names, short)}
    made = {name: make(name, values, lengths, where) for name, (where, values) in wanted.items()}
    describe(trajectory, made, centers=_species_of(centers), block=block)


def _check_stored(store: Path, wanted: Any, overwrite: bool) -> None:
    """Raise `StoreError` where something else is stored under a name, as far as that is seen by what is given."""
    from glassdask.declarations import TAG, plain
    from glassdask.descriptors.registry import kind_of
    from glassdask.store.groups import attributes, is_group

    for name, (_, values) in wanted.items():
        group = Path(store) / "descriptors" / name
        if overwrite or not is_group(group):
            continue
        kept = attributes(group).get("parameters") or {}
        given = {**{key: plain(value) for key, value in values.items()}, TAG: kind_of(values.get(TAG, name))}
        other = [key for key, value in given.items() if key in kept and _unlike(kept[key], value)]
        if other:
            changes = ", ".join(f"{key} {kept[key]}, now {given[key]}" for key in other)
            raise StoreError(
                f"{store}: descriptors/{name} is stored with other parameters ({changes}): give the new one another "
                f"name, such as {name}_2={given[TAG]}:..., or replace it with --overwrite"
            )


def _unlike(kept: Any, given: Any) -> bool:
    """Whether two plain values differ; what is spelled in another way is looked at when it is stored."""
    return isinstance(kept, (int, float, str)) and isinstance(given, (int, float, str)) and kept != given


def _species_of(centers: str | None) -> list[str] | None:
    return None if centers is None else centers.split(",")


def _cutoffs(texts: list[str] | None, trajectory: Any) -> dict[tuple[str, str], float]:
    """Cutoffs that are given, by pairs of species of the trajectory; a number by itself is for all others."""
    from glassdask.declarations import converted, pair_text, read_pairs
    from glassdask.schema import species_names

    known = species_names(trajectory)
    numbers = [text for text in texts or () if "=" not in text]
    for text in numbers:
        if not isinstance(value_of(text), (int, float)):
            raise ParameterError(f"--cutoff {text}: expected a number for all pairs, or KEY=VALUE, such as A-B=1.25")
    if len(numbers) > 1:
        raise ParameterError(f"--cutoff {' --cutoff '.join(numbers)}: give one number for all pairs")
    pairs = [text for text in texts or () if "=" in text]
    given = {key: value_of(value) for key, value in key_values(pairs, "--cutoff", "1.4 or A-B=1.25")}
    result = read_pairs(given, "--cutoff")
    assert isinstance(result, dict)
    for number in numbers:
        everywhere = converted(read_pairs(value_of(number), "--cutoff"), float, "--cutoff")
        result = {pair: result.get(pair, everywhere) for pair in combinations_with_replacement(sorted(known), 2)}
    for pair in result:
        if not set(pair) <= set(known):
            raise ParameterError(f"--cutoff {pair_text(*pair)}: the species of this store are {', '.join(known)}")
    return result
