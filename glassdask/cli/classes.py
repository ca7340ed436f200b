"""Subcommands classify and embed: classes of particles that are alike, and a map of some particles."""

from __future__ import annotations

import json
import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from glassdask.cli.analysis import FEATURE_SECONDS
from glassdask.cli.completion import stored
from glassdask.cli.options import (
    Cluster,
    Json,
    Overwrite,
    Quiet,
    Store,
    Workers,
    cluster_for,
    print_json,
    progress_bar,
)
from glassdask.errors import ParameterError
from glassdask.files import check_links

app = typer.Typer()
PASSES = 40  # over the features, roughly, of a fit
Method = StrEnum("Method", ["mixture", "kmeans", "communities"])
Stored = Annotated[
    str,
    typer.Argument(help="Name of a stored descriptor, such as sbo", autocompletion=stored("descriptors")),
]


@app.command()
def classify(
    store: Store,
    descriptor: Stored,
    classes: Annotated[int, typer.Option(min=1, help="Number of classes")] = 2,
    method: Annotated[
        Method,
        typer.Option(help="mixture of Gaussians, kmeans, or communities whose histograms tell most of them"),
    ] = Method.mixture,
    components: Annotated[
        int | None, typer.Option(min=1, help="Classify so many principal components instead of the features")
    ] = None,
    scale: Annotated[bool, typer.Option("--scale", help="Divide each feature by its standard deviation")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the starts")] = 0,
    name: Annotated[str | None, typer.Option(help="Name of the result; default DESCRIPTOR_classes")] = None,
    overwrite: Overwrite = False,
    cluster: Cluster = "auto",
    workers: Workers = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Find classes of particles with similar structure; each particle's class is stored as reductions/NAME."""
    import glassdask as gd
    from glassdask.cluster import connect
    from glassdask.descriptors.classify import METHODS
    from glassdask.store.layout import checked_part

    check_links(store)
    called = checked_part(name or f"{descriptor}_classes")
    features = gd.open_descriptors(store, [descriptor])[descriptor]
    if components is not None and components > math.prod(features.shape[2:]):
        raise ParameterError(f"--components {components}: {descriptor} has {math.prod(features.shape[2:])} features")
    model = getattr(gd.learning, METHODS[method.value])(n_classes=classes, seed=seed)
    with connect(cluster_for(cluster, PASSES * FEATURE_SECONDS * features.size), workers=workers):
        found = gd.classify(features, model, n_components=components, scale=scale)
        with progress_bar("classify", quiet) as progress:
            gd.save_reduction(found, store, called, overwrite=overwrite, progress=progress)
    told = json.loads(found.attrs["reduction"])
    share = found["share"].values
    if as_json:
        print_json({"reduction": called, "share": share, **told})
        return
    print(f"{store}: reductions/{called}{_quality(told)}")
    for number, part in enumerate(share):
        print(f"class {number}: {100 * part:.1f} % of the particles")


def _quality(told: dict[str, Any]) -> str:
    """How well the classes describe the features.

    >>> _quality({"bic": 1234.5678})
    ', bic = 1234.57 (compare other --classes: the least is best)'
    >>> _quality({"mutual_information": 0.25}), _quality({})
    (', mutual information = 0.25 bits', '')
    """
    if "bic" in told:
        return f", bic = {told['bic']:.6g} (compare other --classes: the least is best)"
    if "mutual_information" in told:
        return f", mutual information = {told['mutual_information']:.4g} bits"
    if "inertia" in told:
        return f", mean squared distance = {told['inertia'] / told['n_samples']:.4g}"
    return ""


@app.command()
def embed(
    store: Store,
    descriptor: Stored,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="PNG, PDF or SVG to write; its numbers go beside it as CSV")
    ],
    color: Annotated[
        str, typer.Option(help="What colours the points: species, theta, reductions/sbo_classes/assignment ...")
    ] = "species",
    samples: Annotated[int, typer.Option(min=10, help="Particles that are drawn at random")] = 2000,
    perplexity: Annotated[float, typer.Option(help="Roughly the number of neighbours on the map")] = 30.0,
    scale: Annotated[bool, typer.Option("--scale", help="Divide each feature by its standard deviation")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of particles")] = 0,
) -> None:
    """Draw a map of some particles on which similar ones are neighbours (t-SNE), for a look."""
    import glassdask as gd
    from glassdask import plotting
    from glassdask.io.columns import columns_of

    plotting.check_output(output)
    trajectory = gd.open_trajectory(store)
    values = trajectory["species"]
    if color != "species":
        columns = columns_of(trajectory, color)
        if len(columns) > 1:
            raise ParameterError(f"--color {color}: it has {len(columns)} numbers: choose one of {', '.join(columns)}")
        ((label, values),) = columns.items()
        values = values.rename(label)
    features = gd.open_descriptors(store, [descriptor])[descriptor]
    found = gd.embed(features, n_samples=samples, perplexity=perplexity, scale=scale, seed=seed)
    drawn, axes = plotting.figure(size=(4.6, 3.6))
    plotting.save(drawn, output, plotting.embedding(axes[0, 0], found, values))
    print(" and ".join(str(path) for path in plotting.paths(output)))
