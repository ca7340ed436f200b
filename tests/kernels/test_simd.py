"""Vectors of eight: the same results compiled and as NumPy arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest

from glassdask.kernels import expansion, kernel
from glassdask.kernels.simd import LANES, aligned, exp, full, keep_below, load, padded, positions_below, store


@kernel
def exponentials(x, out):
    for column in range(0, x.shape[1], LANES):
        store(exp(load(x, 0, column)), out, 0, column)


@kernel
def arithmetic(a, out):
    left = load(a, 0, 1)
    right = load(a, 1, 3)
    store(left + right, out, 0, 0)
    store(left - right, out, 1, 0)
    store(left * right, out, 2, 0)
    store(2.0 * left - right * a[0, 0], out, 3, 0)
    total = full(a[0, 2])
    for row in range(2):
        total = total + load(a, row, 0)
    store(total, out, 4, 2)
    store(keep_below(left, right, 0.1), out, 5, 0)


@kernel
def below(a, limit, valid, out):
    n = 0
    for row in range(a.shape[0]):
        n = positions_below(load(a, row, 0), limit, valid, 100 * row, out, n)
    return n


@pytest.mark.parametrize("valid", [1, 5, LANES])
@pytest.mark.parametrize("run", [below, below.py_func], ids=["compiled", "plain"])
def test_positions_below_a_limit(run, valid):
    a = np.random.default_rng(1).random((40, LANES))
    a[3, 2] = np.nan
    a[4] = 0.3  # nothing is below the limit, which is itself
    out = np.full(a.size + LANES, -1, np.int32)
    n = run(a, 0.3, valid, out)
    row, lane = np.nonzero(a[:, :valid] < 0.3)
    np.testing.assert_array_equal(out[:n], 100 * row + lane)


def test_exponential():
    x = np.linspace(-720.0, 700.0, 8000).reshape(1, -1)
    fast, plain = np.empty_like(x), np.empty_like(x)
    exponentials(x, fast)
    exponentials.py_func(x, plain)
    assert (fast[x < -708] == 0).all()
    normal = x >= -708
    for got in (fast, plain):
        error = np.abs(got[normal] / np.array([math.exp(v) for v in x[normal]]) - 1)
        assert (error < 1e-16 * (10 + np.abs(x[normal]))).all()


def test_arithmetic():
    a = np.random.default_rng(0).normal(size=(2, 16))
    fast, plain = np.zeros((6, 16)), np.zeros((6, 16))
    arithmetic(a, fast)
    arithmetic.py_func(a, plain)
    np.testing.assert_allclose(fast, plain, rtol=1e-14, atol=1e-15)
    left, right = a[0, 1:9], a[1, 3:11]
    np.testing.assert_allclose(fast[:4, :8], [left + right, left - right, left * right, 2 * left - right * a[0, 0]])
    np.testing.assert_allclose(fast[4, 2:10], a[0, 2] + a[:, :8].sum(axis=0))
    np.testing.assert_array_equal(fast[5, :8], np.where(right < 0.1, left, 0))
    assert 0 < np.count_nonzero(fast[5]) < LANES
    np.testing.assert_array_equal(fast[:, 10:], 0)


@pytest.mark.parametrize(("n", "expected"), [(1, 8), (8, 8), (9, 16)])
def test_padded(n, expected):
    assert padded(n) == expected


def test_aligned():
    for shape in ((3,), (5, 8), (2, 3, 16)):
        array = aligned(*shape)
        assert array.shape == shape
        assert array.dtype == np.float64
        assert array.ctypes.data % 64 == 0
        assert array.flags.c_contiguous


def test_harmonics_of_high_degree():
    """sum_m |C_lm|^2 = 1 for every unit vector, and the products of two of them are Legendre polynomials."""
    l_max = 32
    vectors = np.random.default_rng(1).normal(size=(3, LANES))
    work = np.concatenate([vectors / np.linalg.norm(vectors, axis=0), np.ones((1, LANES))])
    rows = np.empty(((l_max + 1) ** 2, LANES))
    expansion.harmonics(work, 0, expansion.row_recurrence(l_max), rows)
    cosines = work[:3].T @ work[:3]
    for l in range(l_max + 1):
        legendre = np.polynomial.legendre.Legendre.basis(l)(cosines)
        part = rows[l * l : (l + 1) ** 2]
        np.testing.assert_allclose(part.T @ part, legendre, atol=1e-12)
