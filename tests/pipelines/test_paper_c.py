"""The parts of paper C's pipeline: what is printed in it, what it computes on planted data, what it writes."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch")

import glass_vs_liquid
from paper_c import (
    archive,
    dynamics,
    holding,
    images,
    mobility,
    needs,
    ordering,
    readings,
    runs,
    sections,
    sources,
    structure,
)
from paper_c.published import ABM, INDICATORS, KAM, SYSTEMS
from report import Report

import glassdask as gd
from glassdask.simulation.protocols import Dynamics, Simulation

NETWORK = {
    "filters": (6, 6), "kernel_sizes": (5, 5), "strides": (1, 1), "dense": 8, "epochs": 60, "batch_size": 6,
    "learning_rate": 2e-3, "augment": True, "standardize": True, "device": "cpu", "seed": 1,
}  # fmt: skip


def crystal(n, space, jitter, rng, spacing=0.95):
    """A square or cubic lattice of n^space particles, each away from its place by `jitter`; positions and box."""
    places = np.stack(np.meshgrid(*[np.arange(n) * spacing] * space), axis=-1).reshape(-1, space)
    return places + rng.normal(scale=jitter, size=places.shape), np.full(space, n * spacing)


def trajectory(jitters, n=16, space=2, seed=0):
    rng = np.random.default_rng(seed)
    made = [crystal(n, space, jitter, rng) for jitter in jitters]
    species = np.where(np.arange(n**space) % 3 == 0, "B", "A")
    return gd.from_arrays(np.array([p for p, _ in made]), species=species, box=made[0][1])


@pytest.fixture(scope="module")
def sizes():
    return sources.Sizes(
        particles=256, runs=6, cycles=3, descent=1.0, rate=0.1, melt=1.0, hold=1.0, held_out=(0.17, 0.34), spacing=0.7,
        network=NETWORK, energies=(2, 256), temperatures=(0.5,), replicas=10, longest=(10.0,), lags=6, readings=3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sizes):
    """Six runs of liquids and glasses in turn, as the cooling runs are stored."""
    folder = tmp_path_factory.mktemp("paper_c")
    for k, store in enumerate(sources.stores_of(KAM, sizes, folder)):
        gd.save_trajectory(trajectory([0.7, 0.1] * 3, seed=k), store)
    return folder


@pytest.fixture(scope="module")
def study(folder, sizes):
    """What the network makes of them."""
    made = sections.Study(sources.simulated(KAM, sizes, folder), sizes)
    images.make(made.sample, sizes.network, made.pictures)
    made.model = images.train(made.sample, sizes.network, folder / "network", made.pictures)
    made.scored = list(structure.tested(made.sample, made.pictures, made.model))
    return made


def test_what_the_paper_says():
    """A slip in copying the numbers would show: signs in the maps are those of the correlations."""
    for system in SYSTEMS.values():
        published = system.published
        assert sum(system.slow[name] for name in INDICATORS) == -1
        for name in INDICATORS:
            assert published.propensity[name][0] > published.bare_optima[name][0] > 0.5
            assert published.optima[name][2] <= published.structure_length
        for spreads in published.pairs.values():
            for mean, deviation, rank, rank_deviation in spreads:
                assert abs(mean - rank) < 0.1
                assert abs(deviation - rank_deviation) < 0.02
        # Gamma and Upsilon go with Delta in the same sense where they go with each other
        assert np.sign(published.pairs["glass"][0][0]) == system.slow["Gamma"] * system.slow["Upsilon"]
    assert ABM.contact["A", "B"] == pytest.approx(0.5 * (5 / 6 + 7 / 6))


def test_what_is_simulated():
    """The paper's 5000 configurations of each class, and two frames a cycle: at T_L and at T_G."""
    for name, profile in sources.PAPER.items():
        system = SYSTEMS[name]
        assert profile.runs * profile.cycles == 5000
        assert profile.rate == pytest.approx(8.33e-5)
        train = sources.roles(profile.runs, profile.held_out)
        assert [train.count(role) * profile.cycles for role in ("train", "validation", "test")] == [4000, 400, 600]
        for some in (profile, sources.SMALL[name]):
            protocol = sources.cooling(system, some, seed=1)
            assert isinstance(protocol, Simulation)
            assert protocol.model.counts(2000) == ((1300, 700) if name == "KAM" else (1000, 1000))
            _, n_frames = protocol.operations(0, False)
            assert n_frames == 2 * some.cycles
            last = protocol.stages[3]
            assert isinstance(last, Dynamics)
            assert last.temperature == (system.liquid, system.glass)
            assert last.frames(protocol.step) == (0, round(last.time / protocol.step))
        day = sources.DAY[name]
        assert day.rate <= 0.1 * sources.SMALL[name].rate
        held = sources.roles(day.runs, day.held_out).count("test") * day.cycles
        spreads = [pair[1] for label in ("glass", "liquid") for pair in system.published.pairs[label]]
        assert held >= needs.configurations(max(spreads))
        assert day.replicas >= needs.replicas(0.958, 30, 0.971)
    hours = [
        hours(system, sources.DAY[name])
        for name, system in SYSTEMS.items()
        for hours in (needs.cooling_hours, needs.propensity_hours, needs.energy_hours)
    ]
    assert 5 < sum(hours) < 30


def test_runs_are_not_divided(tmp_path):
    stores = {tmp_path / f"{k}": ("a",) * 5 for k in range(10)}
    parts, notes = sources.divided(stores, (0.1, 0.2))
    assert notes == []
    assert [part.role for part in parts] == ["train"] * 7 + ["validation"] + ["test"] * 2
    assert all(part.frames == (0, 1, 2, 3, 4) for part in parts)
    few = {tmp_path / "a": ("a",) * 10, tmp_path / "b": ("b",) * 10}
    parts, notes = sources.divided(few, (0.1, 0.2))
    assert len(notes) == 2
    assert "upper bound" in notes[0]
    of_a = {part.role: part.frames for part in parts if part.labels[0] == "a"}
    assert of_a == {"train": tuple(range(7)), "validation": (7,), "test": (8, 9)}
    with pytest.raises(ValueError, match="cannot be divided"):
        sources.divided({tmp_path / "a": ("a", "a")}, (0.1, 0.2))


@pytest.mark.slow
def test_images_and_network(study, folder, sizes, monkeypatch):
    sample = study.sample
    assert [len(sample.role(role)) for role in ("train", "validation", "test")] == [3, 1, 2]
    picture = images.of_role(sample, "test", study.pictures)
    assert picture.shape == (12, 1, 22, 22)  # 15.2 / 0.7
    values = picture.compute()
    np.testing.assert_array_equal(values.min(axis=(1, 2, 3)), 0.0)
    np.testing.assert_array_equal(values.max(axis=(1, 2, 3)), 1.0)
    assert sample.labels("test").tolist() == ["liquid", "glass"] * 6
    found = images.accuracies(sample, study.model, study.pictures)
    assert found["glass"] == (1.0, 6)
    assert found["liquid"] == (1.0, 6)
    # a second time neither images nor network are made again
    monkeypatch.setattr(images.ConvolutionalClassifier, "fit", lambda *_, **__: pytest.fail("trained again"))
    images.make(sample, sizes.network, study.pictures)
    again = images.train(sample, sizes.network, folder / "network", study.pictures)
    np.testing.assert_array_equal(again.weights_[0], study.model.weights_[0])
    assert [path.suffix for path in (folder / "network").iterdir()] == [".npz"]


def test_kept_runs(folder, sizes, tmp_path, monkeypatch):
    """Runs that come with the pipeline are those that were simulated, to half a step of 16 bits, and not done again."""
    monkeypatch.setattr(archive, "FOLDER", tmp_path)
    stores = sources.stores_of(KAM, sizes, folder)
    assert archive.kept(KAM, sizes) == 0
    file = archive.pack(KAM, sizes, stores[:2])
    assert archive.files(KAM) == [file]
    assert archive.kept(KAM, sizes) == 2
    assert archive.kept(KAM, replace(sizes, rate=0.01)) == archive.kept(KAM, replace(sizes, melt=2.0)) == 0
    assert replace(sizes, **archive.sizes_of(file)) == replace(sizes, runs=2)
    tasks = sources.cooling_tasks(KAM, sizes, tmp_path)
    assert len(tasks) == 6
    for _ in range(2):
        assert [task.compute() for task in tasks[:2]] == [str(s) for s in sources.stores_of(KAM, sizes, tmp_path)[:2]]
    for store, original in zip(sources.stores_of(KAM, sizes, tmp_path), stores[:2]):
        ours, theirs = gd.open_trajectory(store), gd.open_trajectory(original)
        away = (ours["position"] - theirs["position"]).values
        away -= 15.2 * np.rint(away / 15.2)
        assert np.abs(away).max() <= 0.5 * 15.2 / 2**16 + 1e-9
        assert (ours["species"].values == theirs["species"].values).all()


@pytest.mark.slow
def test_other_readings(study, folder, sizes, tmp_path, monkeypatch):
    """Two maps without a network bracket what one can find; an interrupted study goes on with the next variant."""
    monkeypatch.setattr(archive, "FOLDER", tmp_path)
    archive.pack(KAM, replace(sizes, rate=0.5), sources.stores_of(KAM, sizes, folder)[:1])
    some = [v for v in readings.variants(KAM, sizes) if v.name in ("as the paper", "a fourth of the epochs")]
    some.append(readings.Variant("all images scaled alike", "", {"epochs": 2}, {"scaled": "all"}))
    monkeypatch.setattr(readings, "variants", lambda *_: some)
    report = Report(tmp_path, "Paper C")
    sections.classification([study], report)
    sections.interpretation([study], report)
    before = [c.verdict for c in report.comparisons]
    done = []
    readings.write([study], tmp_path, report, done.append)
    assert [line.split(": ")[1] for line in done] == [
        "as the paper, seed 0", "cooled at a rate of 0.5, seed 1", "a fourth of the epochs, seed 0",
        "all images scaled alike, seed 0",
    ]  # fmt: skip
    with open(tmp_path / "readings.csv") as file:
        rows = {row["reading"]: row for row in csv.DictReader(file)}
    assert len(rows) == 1 + len(readings.ways(KAM)) + 3
    assert readings.ways(ABM) == readings.WAYS  # additive: the potential's sigma_AB is the paper's
    assert float(rows["PUBLISHED"]["C(Gamma, Upsilon), glass"]) == -0.828
    uniform, image = (rows[f"as the paper: no network, {what}"] for what in ("a uniform map", "the image itself"))
    assert float(uniform["C(Gamma, Upsilon), glass"]) > 0.9 > float(image["C(Gamma, Upsilon), glass"])
    signed = rows["as the paper: no ReLU in Eq. 4"]
    assert signed["C(Gamma, Upsilon), glass"] != rows["as the paper"]["C(Gamma, Upsilon), glass"]
    assert signed["C(Theta, Upsilon), glass"] == rows["as the paper"]["C(Theta, Upsilon), glass"]
    other = rows["as the paper: Theta with the potential's sigma_AB"]
    assert other["C(Gamma, Upsilon), glass"] == rows["as the paper"]["C(Gamma, Upsilon), glass"]
    assert other["C(Theta, Upsilon), glass"] != rows["as the paper"]["C(Theta, Upsilon), glass"]
    needs.decide([study], report)
    decided = [c for c, old in zip(report.comparisons, before) if old == "differs"]
    assert decided
    assert all(c.shown or 1 < c.core_hours < 10 for c in decided)  # what a day costs
    assert {c.sample for c in report.comparisons} == {"6 x 3 of each class at 0.1"}
    assert "networks that tell the classes give" in report.write().read_text()
    monkeypatch.setattr(images.ConvolutionalClassifier, "fit", lambda *_, **__: pytest.fail("trained again"))
    again = list(readings.run(study, tmp_path, done.append))
    assert [row.name for row in again] == [name for name in rows if name != "PUBLISHED"]


def test_theta_with_other_distances(folder, sizes, tmp_path, monkeypatch):
    """With the paper's sigma_AB the numbers are those of Table S2; of one that differs it is said what others give."""
    monkeypatch.setattr(archive, "FOLDER", tmp_path)
    stores = sources.stores_of(KAM, sizes, folder)[:2]
    archive.pack(KAM, sizes, stores)
    study = sections.Study(sources.simulated(KAM, sizes, folder), sizes)
    done = []
    report = Report(tmp_path, "Paper C")
    report.compare(sections.Comparison("Table S2", "KAM, glass", "C(Theta, Upsilon)", -0.597, -5.0, 0.01, 0.0, "fast"))
    report.compare(sections.Comparison("Table S2", "KAM, glass", "C(Gamma, Theta)", 0.426, -5.0, 0.01, 0.0, "fast"))
    ordering.write([study], tmp_path, report, done.append)
    assert done == ["KAM: Theta with other sigma_AB"]
    with open(tmp_path / "why_theta.csv") as file:
        rows = [row for row in csv.DictReader(file) if float(row["length"]) == study.pair_length]
    assert {float(row["rate"]) for row in rows} == {0.1}
    assert len(rows) == 2 * len(ordering.FACTORS)
    for label, first in (("liquid", 0), ("glass", 1)):
        expected = []
        for trajectory in archive.trajectories(archive.file_of(KAM, sizes)):
            frames = trajectory.isel(frame=slice(first, None, 2))
            found = gd.describe(frames, [gd.VoronoiCell(), gd.TongTanaka(sigma=KAM.contact)]).load()
            fields = xr.Dataset({
                "Gamma": found["theta"], "Theta": found["theta"],
                "Upsilon": found["voronoi"].sel(voronoi_feature="volume", drop=True),
            })  # fmt: skip
            scored = structure.Scored(label, frames, fields)
            expected.append(structure.pair_coefficients(scored, study.pair_length)["pearson"][:, 2])
        own = next(row for row in rows if row["label"] == label and float(row["mixed"]) == KAM.contact["A", "B"])
        assert float(own["pearson"]) == pytest.approx(np.mean(expected), abs=1e-12)
    ours, other = report.comparisons
    assert "sigma_AB from 0.80 to 1.02" in f"{ours.shown} {ours.why}"
    assert other.why == "fast"
    monkeypatch.setattr(ordering, "_measure", lambda *_: pytest.fail("measured again"))
    ordering.write([study], tmp_path, Report(tmp_path, "Paper C"), done.append)


def test_liquids_that_are_held(folder, sizes, tmp_path, monkeypatch):
    """Frames of the long run are what the glasses begin from; what is kept gives the numbers of what was simulated."""
    monkeypatch.setattr(archive, "FOLDER", tmp_path)
    asked = []
    monkeypatch.setattr(
        "glassdask.simulation.simulate", lambda *what, after=None: asked.append((*what, after)) or "run"
    )
    assert len(holding.tasks(ABM, tmp_path)) == 11
    (first, store, _), *others = asked
    assert first.operations(0, False)[1] == 11  # at the beginning and every 24
    assert {(one.start.path, after) for one, _, after in others} == {(store, "run")}
    assert [one.start.frame for one, *_ in others] == list(range(1, 11))
    assert {one.stages[-1].temperature for one, *_ in others} == {(ABM.liquid, ABM.glass)}

    liquid, glass = trajectory([0.7] * 11), trajectory([0.1] * 10, seed=1)
    time = holding.EVERY * np.arange(11)
    made = holding.Held(liquid, time, glass, np.arange(1, 11), 0.02)
    made.write(holding.file_of(KAM))
    assert holding.tasks(KAM, tmp_path) == []
    assert [len(file) for file in (archive.files(KAM), archive.files(ABM))] == [0, 0]
    study = sections.Study(sources.simulated(KAM, sizes, folder), sizes)
    expected = holding.coefficients(KAM, glass, study.pair_length)
    kept = holding.read(holding.file_of(KAM))
    for ours, theirs in zip(holding.coefficients(KAM, kept.glass, study.pair_length), expected):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)
    mean, error = holding.settled(time[kept.begun], expected[0])
    assert mean == pytest.approx(expected[0][1:].mean())
    report, done = Report(tmp_path, "Paper C"), []
    for published in (mean, mean + 0.9):
        report.compare(
            sections.Comparison("Table S2", "KAM, glass", "C(Theta, Upsilon)", published, mean + 2, 0.01, why="fast")
        )
    holding.write([study], folder, report, done.append)
    assert done == ["KAM: liquids that are held"]
    told = f"why_held: {mean:+.2f} ± {error:.2f}, cooled at 0.02 from one liquid that was at T_L for 48 or longer"
    assert [(c.shown, c.why) for c in report.comparisons] == [("", f"{told}; fast")] * 2
    with open(tmp_path / "why_held.csv") as file:
        assert [row["class"] for row in csv.DictReader(file)] == ["liquid"] * 11 + ["glass"] * 10


def test_what_claims_need():
    assert needs.configurations(0.179) == 36
    # Table 4 of the paper: ensembles of 30 and 30 runs tell the noise of one, and so R of 30 and of all 100
    noise = dynamics.Noise(np.ones((2, 2)), np.full((2, 2), 30 * (1 / 0.958 - 1)))
    assert noise.r((1, 1), (30, 30)) == pytest.approx(0.958)
    assert noise.r((1, 1), (30, 100), 30) == pytest.approx(0.985, abs=5e-4)
    few = needs.replicas(0.958, 30, 0.971)
    assert noise.ceiling(few) >= 0.971 > noise.ceiling(few - 1)
    learning = sources.literal(8000, 250)
    assert learning["learning_rate"] == pytest.approx(1e-6)


def test_indicators(study):
    """The Grad-CAM score of the particles adds up to that of the image; Theta rises with disorder."""
    from glassdask.learning import grad_cam

    glass, liquid = (study.of_class(label)[0] for label in ("glass", "liquid"))
    assert glass.fields.sizes == {"frame": 3, "particle": 256}
    part = study.sample.role("test")[0]
    score = grad_cam(study.model, images.of_part(part, study.pictures)[[1, 3, 5]].compute(), "glass")
    np.testing.assert_allclose(glass.fields["Gamma"].sum("particle"), score.sum(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(glass.fields["Upsilon"].sum("particle"), 15.2**2, rtol=1e-9)
    assert float(glass.fields["Theta"].mean()) < float(liquid.fields["Theta"].mean())
    coefficients = structure.pair_coefficients(glass, 2.0)
    assert coefficients["pearson"].shape == coefficients["spearman"].shape == (3, 3)
    bare = structure.smooth(glass.fields["Upsilon"], glass.trajectory, 0.0)
    np.testing.assert_array_equal(bare, glass.fields["Upsilon"].values)


def planted(study, replicas=20):
    """Displacements whose size grows with the coarse-grained Voronoi volume, of both particles and lags."""
    glass = study.of_class("glass")[-1]
    one = structure.Scored("glass", glass.trajectory.isel(frame=[0]), glass.fields.isel(frame=[0]))
    size = 0.2 + structure.unit(structure.smooth(one.fields["Upsilon"], one.trajectory, 2.0)[0])
    rng = np.random.default_rng(0)
    lag = np.array([0.3, 1.0, 3.0, 10.0])
    moved = rng.normal(size=(replicas, 4, 256, 2)) * (0.5 * lag * 0.6)[None, :, None, None] * size[:, None]
    displacement = xr.DataArray(moved, dims=("replica", "lag", "particle", "space"), coords={"lag": lag})
    return one, [dynamics.Motion(0.5, one.trajectory, displacement)]


def test_planted_propensity(study):
    """The Voronoi volume predicts what follows it, best over the length that was planted."""
    one, motions = planted(study)
    measured, curves = mobility.measure(study, one, motions)
    assert set(curves) == {0.3, 1.0}
    assert motions[0].reached < 3.0
    best, _, length = measured.coarse.best("Upsilon")
    assert best > 0.95
    assert length in (1.0, 2.0, 3.0)
    assert best > measured.plain.best("Upsilon")[0] > 0.6
    found = dynamics.evolution(one, motions[0], KAM.slow, 2.0, 1.0)
    assert (found["r"].sel(indicator="Upsilon") > 0.9).all()
    turned = dynamics.evolution(one, motions[0], {**KAM.slow, "Upsilon": -1}, 2.0, 1.0)
    np.testing.assert_allclose(turned["r"].sel(indicator="Upsilon"), -found["r"].sel(indicator="Upsilon"), atol=1e-12)
    most = dynamics.Noise.of(motions[0], 1.0, 1.0).ceiling(20)
    assert float(found["r"].sel(indicator="Upsilon").max()) < most < 1.0
    # Table 4: coarse-graining takes out the noise of few replicas
    _, table, n = dynamics.ensembles(motions[0], 1.0, 1.0)
    assert n == 6
    assert table["cg e30, cg e30"] > table["e30, e30"]
    assert table["cg e30, cg e100"] > table["cg e30, cg e30"]


def test_more_runs(study):
    """The spread of a few runs tells R between ensembles of many; one run tells nothing."""
    _, (motion,) = planted(study, 40)
    _, table, n = dynamics.ensembles(motion, 1.0, 1.0)
    some = dynamics.Motion(0.5, motion.start, motion.displacement.isel(replica=slice(10)))
    predicted = dynamics.Noise.of(some, 1.0, 1.0).table(n, 40)
    assert predicted == pytest.approx(table, abs=0.04)
    assert dynamics.ensembles(some, 1.0, 1.0)[1]["e30, e30"] < table["e30, e30"] - 0.1
    alone = dynamics.Motion(0.5, motion.start, motion.displacement.isel(replica=[0]))
    assert np.isnan(dynamics.Noise.of(alone, 1.0, 1.0).ceiling(1))
    # and C_Delta, which is theirs for as many runs as there are
    own, more, less = (dynamics.correlation_of_runs([one], 1.0, n) for one, n in ((motion, 40), (some, 40), (some, 10)))
    np.testing.assert_allclose(own, dynamics.correlation(motion.at([1.0])["propensity"].values[0], motion.start))
    near = slice(3, 8)  # before it there are few pairs
    assert np.abs((more - own).values[near]).max() < 0.6 * np.abs((less - own).values[near]).max()
    of_one = dynamics.correlation_of_runs([alone], 1.0, 40)
    np.testing.assert_allclose(of_one, dynamics.correlation(alone.at([1.0])["propensity"].values[0], alone.start))


def test_the_length_of_alike_noise():
    """Noise that neighbours share, beside a field that reaches further: C_Delta of many runs is the field's."""
    rng = np.random.default_rng(3)
    spots = np.stack(np.meshgrid(*[np.arange(24.0)] * 2), axis=-1).reshape(1, -1, 2) + 0.5
    start = gd.from_arrays(spots, species=["A"] * 576, box=[24.0, 24.0])

    def waves(largest, n):
        q = 2 * np.pi * rng.integers(-largest, largest + 1, size=(n, 2)) / 24
        return np.cos(spots[0] @ q.T + rng.uniform(0, 2 * np.pi, n)).sum(axis=1) / np.sqrt(0.5 * n)

    field = 3.0 + 0.3 * waves(2, 12)
    size = np.array([[field + waves(6, 60)] for _ in range(12)])
    moved = xr.DataArray(
        np.stack([size, 0 * size], axis=-1), dims=("replica", "lag", "particle", "space"), coords={"lag": [1.0]}
    )
    motion = dynamics.Motion(0.5, start, moved)
    delta = motion.reached
    found = [dynamics.length(dynamics.correlation_of_runs([motion], delta, n)) for n in (1, 12, 10**6)]
    true = dynamics.length(dynamics.correlation(field, start))
    assert found[0] < found[1] < found[2]
    assert found[2] == pytest.approx(true, rel=0.25)
    assert found[0] < 0.6 * true


@pytest.mark.slow
def test_report_of_planted_data(study, folder, sizes, tmp_path, monkeypatch):
    """Every figure and table, and whether the signs are those published."""
    report = Report(tmp_path, "Paper C")
    curve = np.linspace(4.0, 0.05, 60)
    inherent = np.where(curve < 0.4, -3.0, -3.0 + 0.5 * (curve - 0.4))
    made = runs.Energies(curve, inherent + curve, 0.01 * curve, np.minimum(inherent, -2.7), 0.01 * curve)
    monkeypatch.setattr(runs, "energies", lambda *_: made)
    sections.energies([study], folder, report)
    sections.pair_correlations([study], report)
    sections.classification([study], report)
    assert study.able
    sections.interpretation([study], report)
    one, motions = planted(study)
    mobility.write([mobility.measure(study, one, motions)], report)
    text = report.write().read_text()
    for name, _ in report.figures:
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
        assert len((tmp_path / f"{name}.csv").read_text().splitlines()) > 1
    drawn = {name.split("_")[0] for name, _ in report.figures}
    assert drawn >= {"fig01", "fig03", "fig04", "fig05", "fig06", "fig07", "fig08", "figS3", "figS4", "figS6", "figS8",
                     "figS9", "figS10"}  # fmt: skip
    for table in ("table2", "table3", "table4", "table5", "tableS1", "tableS2"):
        assert (tmp_path / f"{table}.csv").stat().st_size > 50
    assert "100.0 % of 12 configurations that the network has never seen are recognised; 95 % are reached" in text
    assert "of the signs that the paper has clearly" in text
    assert "not reached: the longest run of this profile ends at delta" in text
    with open(tmp_path / "comparison.csv") as file:
        rows = {(row["where"], row["quantity"]): row for row in csv.DictReader(file)}
    assert float(rows["Fig. S9", "T*"]["ours"]) == pytest.approx(0.4, abs=0.01)
    assert "sign as published" in rows["Table 5", "largest R of Upsilon with Delta"]["remark"]
    assert rows["Table 2", "accuracy, glass"]["remark"] == "agrees"


def test_signs_are_said_plainly():
    def curve(r, delta):
        return xr.Dataset({"r": ("delta", r)}, {"delta": delta})

    early = curve([0.9, 0.5], [0.1, 0.2])
    assert "nothing is said" in mobility._sign([early])
    assert "OPPOSITE" in mobility._sign([early, curve([0.6, -0.3, -0.4], [0.25, 0.5, 1.0])])
    assert "NO CLEAR SIGN" in mobility._sign([curve([0.1, -0.2], [0.5, 1.0])])
    assert "sign as published: mean R +0.50" in mobility._sign([curve([-0.9, 0.5], [0.1, 0.3])])
    assert sections._sign(-0.2, -0.8, 0.05) == "sign as published"
    assert "OPPOSITE" in sections._sign(0.2, -0.8, 0.05)
    assert "without a clear sign" in sections._sign(0.2, -0.01, 0.2)


def test_energies_of_cooling_runs(tmp_path, sizes):
    """The temperature of a frame is that of the protocol at its time; the frame at T_L is there once."""
    time = np.array([1.0, 20.75, 33.0, 33.0, 37.0, 40.5])
    for k in range(2):
        store = tmp_path / KAM.name / f"energies-{k:03d}.zarr"
        thermal = trajectory([0.1] * 6)
        energy = np.arange(6.0)[:, None] * np.ones(256) + k
        for path, shift in ((store, 0.0), (f"{store}/inherent", -10.0)):
            full = gd.from_arrays(
                thermal["position"].values, species=thermal["species"].values, box=thermal["box"].values, time=time,
                step=np.rint(time / 0.004).astype(int), energy=energy + shift,
            )  # fmt: skip
            gd.save_trajectory(full, path)
    found = runs.energies(KAM, sizes, tmp_path)
    np.testing.assert_allclose(found.temperature, [4.0, 2.025, 0.8, 0.4, 0.05], atol=1e-9)
    np.testing.assert_allclose(found.energy, [0.5, 1.5, 2.5, 4.5, 5.5])
    np.testing.assert_allclose(found.inherent, found.energy - 10.0)
    np.testing.assert_allclose(found.energy_error, 0.5)


@pytest.mark.slow
def test_own_classes_in_three_dimensions(tmp_path, monkeypatch, capsys):
    """Two preparations of the user's own, from the command line to the report."""
    for k in range(3):
        for name, jitter in (("aged", 0.06), ("fresh", 0.5)):
            gd.save_trajectory(trajectory([jitter] * 4, n=7, space=3, seed=k), tmp_path / f"{name}{k}.zarr")
    monkeypatch.setattr(sources, "FEW", {**NETWORK, "learning_rate": 2e-3})
    arguments = [f"--store={name}={tmp_path}/{name}{k}.zarr" for name in ("aged", "fresh") for k in range(3)]
    monkeypatch.setattr(
        sys, "argv", ["x", *arguments, "--output", str(tmp_path), "--cluster", "threads", "--spacing", "0.8"]
    )
    original = sources.own_sizes
    monkeypatch.setattr(sources, "own_sizes", lambda *a: replace(original(*a), network={**NETWORK, "epochs": 20}))
    glass_vs_liquid.main()
    assert "report:" in capsys.readouterr().out
    text = (tmp_path / "paper_c" / "report.md").read_text()
    assert "aged against fresh" in text
    assert "| aged against fresh | aged | " in text
    assert "of 8 configurations that the network has never seen" in text
    assert (tmp_path / "paper_c" / "fig01_example.png").stat().st_size > 10_000


def test_stores_that_cannot_be_used(tmp_path):
    gd.save_trajectory(trajectory([0.1] * 3, n=8), tmp_path / "a.zarr")
    for texts, message in (
        (["glass"], "expected CLASS=PATH"),
        ([f"glass={tmp_path}/a.zarr"], "two classes or more"),
        ([f"glass={tmp_path}/a.zarr", f"liquid={tmp_path}/a.zarr"], "given twice"),
    ):
        with pytest.raises(ValueError, match=message):
            sources.given(texts)
