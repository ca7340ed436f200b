"""Block Lanczos: matrices whose eigenvalues are known, alike, few, or not to be found."""

from __future__ import annotations

import numpy as np
import pytest

from glassdask.errors import ConvergenceError
from glassdask.simulation import lanczos
from glassdask.simulation.lanczos import largest, turned


def rotated(value, seed=0):
    """A symmetric matrix with these eigenvalues, and its eigenvectors."""
    vector = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(value),) * 2))[0]
    return (vector * value) @ vector.T, vector


@pytest.mark.parametrize("many", [1, 20, 60])
def test_largest(many):
    """With a spectrum that needs restarts, so that all that are kept are used."""
    value = np.sort(np.random.default_rng(1).normal(size=500))
    matrix, vector = rotated(value)
    applied = []

    def apply(x):
        applied.append(x.shape)
        return matrix @ x

    found, e = largest(apply, np.random.default_rng(2).normal(size=(500, 8)), many, 1e-10)
    assert 8 * len(applied) > 3 * many + 48  # more than there is room for
    assert np.allclose(found, value[-many:], atol=1e-12)
    assert np.allclose(e.T @ e, np.eye(many), atol=1e-12)
    assert np.allclose(np.abs(np.sum(e * vector[:, -many:], axis=0)), 1.0, atol=1e-8)


def test_eight_that_are_alike():
    value = np.r_[np.linspace(0.0, 0.5, 192), np.ones(8)]
    matrix, vector = rotated(value)
    found, e = largest(lambda x: matrix @ x, np.random.default_rng(2).normal(size=(200, 8)), 8, 1e-10)
    assert np.allclose(found, 1.0)
    assert np.allclose(e @ e.T, vector[:, -8:] @ vector[:, -8:].T, atol=1e-8)


def test_a_space_that_ends():
    """Of rank 12: after that many vectors nothing is left of an image, and others are taken."""
    value = np.r_[np.zeros(288), np.arange(1.0, 13.0)]
    matrix, _ = rotated(value)
    found, e = largest(lambda x: matrix @ x, np.random.default_rng(2).normal(size=(300, 8)), 12, 1e-10)
    assert np.allclose(found, np.arange(1.0, 13.0))
    assert np.allclose(e.T @ e, np.eye(12), atol=1e-12)


def test_what_is_not_found_is_told(monkeypatch):
    monkeypatch.setattr(lanczos, "PATIENCE", 2)
    rng = np.random.default_rng(3)
    with pytest.raises(ConvergenceError, match="5 eigenvectors were not found: 5 of them are not exact"):
        largest(lambda x: rng.normal(size=x.shape), rng.normal(size=(400, 8)), 5, 1e-10)


def test_turning_in_place(monkeypatch):
    monkeypatch.setattr(lanczos, "BATCH", 7)
    rng = np.random.default_rng(1)
    basis, turn = rng.normal(size=(30, 9)), rng.normal(size=(6, 4))
    expected = basis[:, :6] @ turn
    assert np.allclose(turned(basis, turn), expected)
