"""Linear models of the dynamic propensity from local structure, on public data.

Methods. Public configurations (BOTAN, GlassBench or DeepMind files) are read into a store. Two more structures are made
of each: the inherent structure (minimum of the energy) and the cage state (Alkemade, Smallenburg and Filion 2023: mean
positions while no particle can leave its cage; nothing of the later motion enters). Around every particle of the chosen
species the descriptors are computed and averaged over successive shells of neighbours (Boattini, Smallenburg and Filion
2021). So are the ways between the structures: how far every particle is from the middle of its cage. All enter as
deviations from the mean of their configuration. With ``--rest`` there is also how far every particle gets that begins
at rest in the initial structure (`glassdask.dynamics.motion_from_rest`), which tells of short times, of particles and
of configurations. What else distinguishes configurations as a whole are the mean energies of their initial and inherent
structures: a handful of configurations cannot fix more than that.

A ridge regression is trained on all configurations but one and judged on that one, for each; its penalty is chosen by
cross-validation within the training configurations.

Results in ``--output``: the stores; for each structure the scores, the learning curve and predicted against actual
propensity (PNG, CSV), and the model fitted to all configurations (no pickle), which predicts further files.

    python pipelines/propensity.py --train data/*.npz
    python pipelines/propensity.py --predict new/*.npz
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from refusing import line, told

import glassdask as gd
from glassdask import code, plotting
from glassdask.declarations import plain
from glassdask.descriptors.registry import make, parse
from glassdask.dynamics.cages import cage_positions
from glassdask.dynamics.resting import motion_from_rest
from glassdask.errors import ParameterError
from glassdask.fields.shell_averages import average_shells
from glassdask.files import read_json, write_json
from glassdask.learning import RidgeCV, cross_validate, grouped_moments, load_model, pearson, save_model
from glassdask.learning.validation import pooled_r
from glassdask.simulation.models import MODELS
from glassdask.simulation.runs import inherent_structures, minimised
from glassdask.store import write_dataset

STRUCTURES = {"initial": "position", "inherent": "inherent_position", "cage": "cage_position"}  # and their variables
CAGE = "cage"
ALPHAS = tuple(10.0 ** (0.5 * k) for k in range(13))
MEAN = "mean energy,"  # columns that are the same for all particles of a configuration
REST = "from_rest"  # columns of each lag: displacement, its mean, and the root of the size of the cage
MOST_FOLDS = 10
REPEATS = 4  # choices of training configurations for a point of the learning curve
RADII = ", ".join(f"{0.8 + 0.15 * k:.2f}" for k in range(10))
DESCRIPTORS = (f"radial_density:grid=[{RADII}],delta=0.15", "local_energy:model='kob_andersen'")
# Pooled Pearson R, type A of Kob-Andersen at T = 0.44 and t = 4120, trained on 400 configurations
PUBLISHED = {
    "EIGNN": 0.818,
    "SE(3) network": 0.815,
    "averaged descriptors of cage positions (Alkemade et al. 2023)": 0.779,
    "GlassMLP": 0.768,
    "BOTAN": 0.755,
    "potential energy": 0.507,
    "density": 0.246,
}


@partial(told, words=line)
def main() -> None:
    """Train, predict, or both."""
    parser = argparse.ArgumentParser(description="Propensity from local structure by ridge regression, on public data.")
    parser.add_argument("--train", nargs="+", default=[], metavar="FILE", help="configurations with propensity")
    parser.add_argument("--predict", nargs="+", default=[], metavar="FILE", help="configurations to predict")
    parser.add_argument("--output", type=Path, default=Path("results/propensity"), help="folder of all results")
    parser.add_argument("--structure", nargs="+", choices=list(STRUCTURES), default=list(STRUCTURES),
                        help="default: all three")  # fmt: skip
    parser.add_argument("--descriptor", nargs="+", default=DESCRIPTORS, metavar="NAME:PARAMETERS",
                        help="such as rbo:grid=[1.0,1.5],l_max=6; default: radial densities and energy")  # fmt: skip
    parser.add_argument("--centers", default="A", help="species whose propensity is predicted")
    parser.add_argument("--generations", type=int, default=4, help="averages over shells, one after the other")
    parser.add_argument("--shell", type=float, default=2.1, help="radius of a shell")
    parser.add_argument("--model", default="kob_andersen", choices=sorted(MODELS), help="of the interactions")
    parser.add_argument("--temperature", type=float, default=0.44)
    parser.add_argument("--density", type=float, help="for files without a box; default: 1.2")
    parser.add_argument("--sweeps", type=int, default=10_000, help="Monte Carlo sweeps for the cage state")
    parser.add_argument("--rest", nargs="*", type=float, default=[], metavar="T",
                        help="times of the motion that begins at rest; default: none")  # fmt: skip
    parser.add_argument("--lag", type=int, default=-1, help="which lag of the propensity, where files have several")
    parser.add_argument("--overwrite", action="store_true", help="replace what other runs have left in the folder")
    parser.add_argument("--cluster", default="threads", help="local, threads, tcp://HOST:PORT or a TOML profile")
    chosen = parser.parse_args()
    if not chosen.train and not chosen.predict:
        parser.error("nothing to do: give --train FILE ..., --predict FILE ..., or both")
    kept = ("descriptor", "centers", "generations", "shell", "model", "temperature", "density", "sweeps", "rest", "lag")
    settings = {name: getattr(chosen, name) for name in kept}
    with gd.cluster.connect(chosen.cluster):
        if chosen.train:
            train(chosen.train, chosen.structure, settings, chosen.output, chosen.overwrite)
        if chosen.predict:
            predict(chosen.predict, chosen.structure, chosen.output, chosen.overwrite)


def train(files: list[str], structures: list[str], settings: dict[str, Any], folder: Path, overwrite: bool) -> None:
    """Cross-validate and fit a model on each structure; scores go to the screen and to files."""
    trajectory = prepare(files, structures, settings, folder / "train", overwrite)
    y = targets(trajectory, settings)
    if y is None or y.sizes["frame"] < 3:
        raise ParameterError(
            "training needs the propensity of three or more configurations: give more files of --train"
        )
    n_frames, n_centers = y.shape
    groups = np.repeat(np.arange(n_frames), n_centers)
    scores: dict[str, list[Any]] = {"structure": [], "pooled_r": [], "mean_r": [], "error": [], "features": []}
    per_configuration: dict[str, Any] = {"configuration": configurations(trajectory)}
    curves: dict[str, Any] = {"configurations": np.arange(2, n_frames)}
    for structure in structures:
        x = features(trajectory, structure, settings)
        parts = grouped_moments(x, y.values.ravel(), groups)
        model = RidgeCV(ALPHAS, n_folds=min(MOST_FOLDS, n_frames - 1))
        result = cross_validate(model, parts, min(MOST_FOLDS, n_frames))
        curves |= {f"{structure}_{name}": values for name, values in learn(parts, curves["configurations"]).items()}
        per_configuration[structure] = result.r[:, 0]
        row = (structure, result.pooled_r[0], result.r[:, 0].mean(), result.error[0], x.sizes["feature"])
        for column, value in zip(scores.values(), row):
            column.append(value)
        print(f"{structure:9s} pooled R {row[1]:.3f}, in a configuration {row[2]:.3f} +- {row[3]:.3f}", flush=True)
        draw_unseen(x, y, groups, result.groups, parts, model, folder / f"predicted_{structure}")
        save_model(model.fit_groups(parts), folder / f"model_{structure}.npz")
    write_json(folder / "settings.json", settings)
    plotting.write_table(folder / "scores.csv", scores)
    plotting.write_table(folder / "scores_by_configuration.csv", per_configuration)
    plotting.write_table(folder / "published.csv", {"model": list(PUBLISHED), "pooled_r": list(PUBLISHED.values())})
    print("published, trained on 400:", *(f"{name} {r:.3f}" for name, r in PUBLISHED.items()), sep="\n  ")
    draw_curves(curves, structures, folder / "learning_curve")


def learn(parts: dict[Any, Any], sizes: np.ndarray) -> dict[str, list[float]]:
    """R on each configuration in turn, learned from some of the others that are chosen at random.

    Pooled over all configurations for every size, so that the points of the curve can be compared, and the mean of R
    within a configuration; means and standard deviations over the choices.
    """
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {"pooled": [], "pooled_spread": [], "within": [], "within_spread": []}
    for size in sizes:
        r = []
        for _ in range(REPEATS):
            unseen = []
            for held_out, part in parts.items():
                others = rng.permutation([group for group in parts if group != held_out])[:size]
                model = RidgeCV(ALPHAS, n_folds=min(MOST_FOLDS, int(size)))
                fitted = model.fit_groups({group: parts[group] for group in others.tolist()})
                unseen.append(fitted.predicted_moments(part))
            r.append((pooled_r(unseen)[0], np.mean([pooled_r([part])[0] for part in unseen])))
        for name, values in zip(("pooled", "within"), np.transpose(r)):
            found[name].append(float(values.mean()))
            found[f"{name}_spread"].append(float(values.std()))
    return found


def predict(files: list[str], structures: list[str], folder: Path, overwrite: bool) -> None:
    """Propensity of further configurations, by the models that `train` left in the folder."""
    settings = read_json(folder / "settings.json")
    if settings is None:
        raise ParameterError(f"{folder}: holds no trained model: run --train first, with the same --output")
    trajectory = prepare(files, structures, settings, folder / "predict", overwrite)
    y = targets(trajectory, settings)
    particles = np.flatnonzero(trajectory["species"].values == settings["centers"])
    names = configurations(trajectory)
    # where types are in another order in each file, the store has sorted the particles
    places = np.broadcast_to(
        trajectory.get("place_in_file", trajectory["particle"]), (len(names), trajectory.sizes["particle"])
    )
    table: dict[str, Any] = {
        "configuration": np.repeat(names, len(particles)),
        "particle": places[:, particles].ravel(),
    }
    if y is not None:
        table["measured"] = y.values.ravel()
    for structure in structures:
        x = features(trajectory, structure, settings)
        table[structure] = np.asarray(load_model(folder / f"model_{structure}.npz").predict(x))
        if y is not None:
            by_frame = table[structure].reshape(len(names), -1)
            single = [float(pearson(p, m)) for p, m in zip(by_frame, y.values)]
            print(f"{structure:9s} pooled R {float(pearson(table[structure], table['measured'])):.3f}, "
                  f"in a configuration {np.mean(single):.3f} ({', '.join(f'{r:.3f}' for r in single)})")  # fmt: skip
    plotting.write_table(folder / "predictions.csv", table)
    np.savez_compressed(folder / "predictions.npz", **table)
    print(f"predictions of {table['particle'].size} particles: {folder / 'predictions.csv'}")


def configurations(trajectory: xr.Dataset) -> list[str]:
    """The file of each configuration, the first of those of its lags; with its folder where names are alike."""
    files: dict[int, str] = {}
    for number, source in enumerate(trajectory.attrs["sources"]):
        files.setdefault(source.get("frame", number), source["name"])
    paths = [files[frame] for frame in range(trajectory.sizes["frame"])]
    names = [Path(path).name for path in paths]
    return names if len(set(names)) == len(names) else paths


def prepare(
    files: list[str], structures: list[str], settings: dict[str, Any], folder: Path, overwrite: bool
) -> xr.Dataset:
    """The configurations with their inherent and, if wanted, cage positions; what is there is not computed again."""
    ingested = gd.ingest(files, folder / "initial.zarr", **given(density=settings["density"]), overwrite=overwrite)
    print(*ingested.notes, sep="\n")
    trajectory = gd.open_trajectory(folder / "initial.zarr")
    kinds = sorted(set(trajectory["species"].values.tolist()))
    if settings["centers"] not in kinds:
        raise ParameterError(f"{files[0]}: no species {settings['centers']}, only {', '.join(kinds)}: give --centers")
    targets(trajectory, settings)  # what is not there is found before the long work
    return make_structures(structures, settings, folder, overwrite)


def given(**options: Any) -> dict[str, Any]:
    """Those that are not None: readers are told of no option that nobody gave, because some files have none such."""
    return {name: value for name, value in options.items() if value is not None}


def make_structures(structures: list[str], settings: dict[str, Any], folder: Path, overwrite: bool) -> xr.Dataset:
    """The same of configurations that are in the folder's ``initial.zarr``; cage states lie with inherent ones."""
    initial, inherent = folder / "initial.zarr", folder / "inherent.zarr"
    start, model, lags = gd.open_trajectory(initial), MODELS[settings["model"]], settings.get("rest")
    motion, n = motion_from_rest(start, model, lags) if lags else None, start.sizes["frame"]
    with gd.progress(f"{folder.name}: inherent structures", look=lambda: (minimised(str(inherent)), n)) as tell:
        inherent_structures(model, str(initial), str(inherent), overwrite=overwrite).compute()
        tell(n, n)
    quiet = gd.open_trajectory(inherent)
    joined = start.assign(inherent_position=quiet["position"])
    if "cage" in structures:
        parameters = {"temperature": settings["temperature"], "sweeps": settings["sweeps"]}
        cages = cage_positions(quiet, model, **parameters)
        with gd.progress(f"{folder.name}: cage states") as tell:
            # in blocks of a configuration, or some where these are small: a trajectory's blocks are larger, and tasks
            # would be few
            write_dataset(
                cages, inherent, f"reductions/{CAGE}", parameters={**parameters, "model": plain(model)},
                code=code.digest(cage_positions), overwrite=overwrite, on_block=tell,
            )  # fmt: skip
        cage = gd.open_reduction(inherent, CAGE)
        joined = joined.assign(cage_position=cage["position"], cage_size=cage["cage_size"])
    if motion is not None:
        parameters = {"lags": [*lags], "model": plain(model)}
        with gd.progress(f"{folder.name}: motion from rest") as tell:
            write_dataset(
                motion, initial, f"reductions/{REST}", parameters=parameters, code=code.digest(motion_from_rest),
                overwrite=overwrite, on_block=tell,
            )  # fmt: skip
        joined = joined.assign({REST: from_rest(gd.open_reduction(initial, REST))})
    return joined


def from_rest(known: xr.Dataset) -> xr.DataArray:
    """How far particles get that begin at rest (frame, particle, column), and how large their cages are."""
    paths = known[["displacement_from_rest", "mean_displacement_from_rest"]]
    far = (paths**2).sum("space").assign(size=known["cage_size_from_rest"].clip(min=0.0)) ** 0.5
    columns = xr.concat([far[name] for name in far], "measure").transpose("frame", "particle", "measure", "lag")
    return columns.drop_vars("lag").stack(column=("measure", "lag"), create_index=False)


def energies(trajectory: xr.Dataset, structures: Iterable[str], settings: dict[str, Any]) -> xr.DataArray:
    """Potential energies (frame, particle, structure)."""
    wanted = {"total_energy": make("local_energy", {"model": settings["model"]})}
    return gd.describe(trajectory, wanted, structures=[STRUCTURES[name] for name in structures])["total_energy"]


def features(trajectory: xr.Dataset, structure: str, settings: dict[str, Any]) -> xr.DataArray:
    """The matrix (sample, feature) of all centres of all configurations of one structure."""
    is_center = trajectory["species"].values == settings["centers"]
    chosen = {name: make(name, parameters) for name, parameters in map(parse, settings["descriptor"])}
    described = gd.describe(trajectory, chosen, structures=[STRUCTURES[structure]]).isel(structure=0)
    if structure == "cage":
        described["cage_size"] = trajectory["cage_size"]
    places = trajectory.assign(position=trajectory[STRUCTURES[structure]])
    columns, names = [], []
    for name, values in described.data_vars.items():
        averaged = average_shells(values, places, cutoff=settings["shell"], generations=settings["generations"])
        data = averaged.values[:, is_center].reshape(trajectory.sizes["frame"], is_center.sum(), -1)
        columns.append(data - data.mean(axis=1, keepdims=True))
        names += [f"{name} {number}" for number in range(data.shape[-1])]
    for (first, second), apart in ways(trajectory, structure, is_center).items():
        columns += [power - power.mean(axis=1, keepdims=True) for power in (apart[..., None], apart[..., None] ** 2)]
        names += [f"way, {first} to {second}{square}" for square in ("", ", squared")]
    if REST in trajectory:
        # as they are: what they tell of particles they tell of configurations, whose energies few would have to teach
        begin = trajectory[REST].values[:, is_center]
        columns += [begin, begin**2]
        names += [f"from rest {number}{square}" for square in ("", ", squared") for number in range(begin.shape[-1])]
    others = ("initial", "inherent")
    for other, energy in zip(others, energies(trajectory, others, settings).mean("particle").values.T):
        columns.append(np.broadcast_to(energy[:, None, None], (*columns[0].shape[:2], 1)))
        names.append(f"{MEAN} {other}")
    matrix = np.concatenate(columns, axis=-1)
    return xr.DataArray(matrix.reshape(-1, len(names)), dims=("sample", "feature"), coords={"feature": names})


def ways(trajectory: xr.Dataset, structure: str, is_center: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """How far each centre is, the short way, between every two structures up to this one, (frame, centre)."""
    known = list(STRUCTURES)[: list(STRUCTURES).index(structure) + 1]
    found = {}
    for first, second in combinations(known, 2):
        way = gd.displacement_between(trajectory, STRUCTURES[first], STRUCTURES[second])
        found[first, second] = np.linalg.norm(way.values[:, is_center], axis=-1)
    return found


def targets(trajectory: xr.Dataset, settings: dict[str, Any]) -> xr.DataArray | None:
    """Propensity (frame, centre) at the chosen lag; None where the files have none."""
    if "propensity" not in trajectory:
        return None
    lag, n_lags = settings["lag"], trajectory.sizes["lag"]
    if not -n_lags <= lag < n_lags:
        raise ParameterError(f"--lag {lag}: the files have {n_lags} lags: give 0 to {n_lags - 1}, or -1 for the last")
    is_center = trajectory["species"].values == settings["centers"]
    return trajectory["propensity"].isel(lag=lag, particle=is_center).load()


def draw_unseen(x, y, groups, labels, parts, model, path: Path) -> None:
    """Propensity of every centre, as predicted by a model that has not seen its configuration, against the actual."""
    from sklearn.base import clone

    predicted = np.empty(y.size)
    for label in labels:
        fitted = clone(model).fit_groups({group: part for group, part in parts.items() if group != label})
        predicted[groups == label] = fitted.predict(x[groups == label])
    drawn, axes = plotting.figure()
    table = plotting.density(axes[0, 0], y.values.ravel(), predicted)
    low, high = np.quantile(y.values, [0.0, 1.0])
    axes[0, 0].plot([low, high], [low, high], color=plotting.GREY, linewidth=0.7)
    axes[0, 0].set(xlabel="propensity", ylabel="predicted")
    drawn.axes[-1].set_ylabel("probability density")
    plotting.save(drawn, path, {"propensity": table["x1"], "predicted": table["x2"], "density": table["density"]})


def draw_curves(curves: dict[str, Any], structures: list[str], path: Path) -> None:
    """R on configurations that were not learned from, against the number of those that were."""
    drawn, axes = plotting.figure(1, 2)
    colors = {"initial": plotting.GREY, "inherent": plotting.BLACK, "cage": plotting.RED}
    for ax, kind, label in zip(axes[0], ("pooled", "within"), ("pooled $R$", "$R$ within a configuration")):
        for name in structures:
            r, spread = curves[f"{name}_{kind}"], curves[f"{name}_{kind}_spread"]
            ax.errorbar(curves["configurations"], r, spread, color=colors[name], marker="o", markersize=3, linewidth=1,
                        label=name)  # fmt: skip
        ax.set(xlabel="training configurations", ylabel=label)
    axes[0, 0].legend(frameon=False)
    plotting.save(drawn, path, curves)


if __name__ == "__main__":
    main()
