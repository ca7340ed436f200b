"""Text into numbers: those that Python's own float gives, to the last bit."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from glassdask.kernels import parsing


def spelled(rng: random.Random) -> str:
    """A number in one of the ways in which programs write it; also the middle between two doubles, and near it."""
    x = rng.uniform(-10, 10)
    kind = rng.randrange(9)
    if kind == 0:
        return repr(x)
    if kind == 1:
        return f"{x:.{rng.randint(1, 20)}g}"
    if kind == 2:
        return f"{x:.{rng.randint(0, 17)}f}"
    if kind == 3:
        return f"{x * 10.0 ** rng.randint(-190, 190):.{rng.randint(3, 17)}e}"
    if kind == 4:
        return f"{x * 10.0 ** rng.randint(-290, 290):.16E}".replace("E", rng.choice("eEdD"))
    if kind == 5:
        return str(rng.randint(-(10**18), 10**18))
    if kind == 6:
        return rng.choice(["0", "-0.0", "+.5", "5.", "000.1250", "0e5", "1e22", "1e23", "9007199254740993", "-1e-300"])
    a = np.ldexp(float(rng.getrandbits(53) | (1 << 52)), rng.randint(-60, 10))
    middle = Fraction(float(a)) + Fraction(float(np.spacing(a))) / 2
    digits = rng.choice([16, 17, 18])
    shift = digits - 1 - int(np.floor(np.log10(float(a))))
    return f"{int(middle * Fraction(10) ** shift)}e{-shift}"


def parsed(words: list[str], compiled: bool = True) -> tuple[np.ndarray, list[int]]:
    """Numbers of words, and the rows of those that the kernel leaves to others."""
    data = np.frombuffer(("\n".join(words) + "\n").encode(), np.uint8)
    floats, odd, state = np.empty((len(words), 1)), np.empty((len(words), 4), np.int64), np.zeros(4, np.int64)
    nothing = np.empty((0, 1), np.int64)
    parse = parsing.parse if compiled else parsing.parse.py_func
    why = parse(
        data, len(data), state, np.array([parsing.FLOAT], np.int8), np.zeros(1, np.int8), True, floats,
        np.empty((len(words), 0), np.int64), np.empty((len(words), 0), np.int32), np.zeros((0, 1, 64), np.uint8),
        nothing, nothing, np.zeros(0, np.int64), odd,
    )  # fmt: skip
    assert why == parsing.DONE
    assert state[parsing.POSITION] == len(data)
    return floats[:, 0], odd[: state[parsing.N_ODD], 0].tolist()


@pytest.mark.parametrize("compiled", [True, False])
def test_numbers_are_those_of_python(compiled):
    rng = random.Random(1)
    words = [spelled(rng) for _ in range(60_000 if compiled else 600)]
    found, odd = parsed(words, compiled)
    expected = np.array([float(word.replace("d", "e").replace("D", "E")) for word in words])
    known = np.ones(len(words), dtype=bool)
    known[odd] = False
    wrong = np.flatnonzero(known & (found.view(np.int64) != expected.view(np.int64)))
    assert [words[k] for k in wrong] == []
    assert known.mean() > 0.85
    plain = [k for k in odd if len(words[k].strip("+-0.")) < 16 and "e" not in words[k].lower()]
    assert [words[k] for k in plain] == []  # what is short is never left to others


def test_doubt_is_told():
    """Between 2^53 and 2^53 + 2 lies an integer that is no double: all of its digits decide."""
    assert parsed(["9007199254740993", "9007199254740993.0000000000"])[1] == [1]
    for exponent in (-201, 201):
        assert parsing.decimal(123, exponent)[1] is False or not parsing.decimal(123, exponent)[1]


@pytest.mark.parametrize("compiled", [True, False])
def test_passing_over_lines(compiled):
    skip = parsing.skip if compiled else parsing.skip.py_func
    data = np.frombuffer(b"a b\n\n  \nc\r\n\r\nd\n", np.uint8)
    ends = [skip(data, 0, len(data), k) for k in (1, 2, 3, 4)]
    assert ends == [(4, 0), (11, 0), (15, 0), (15, 1)]


@pytest.mark.parametrize("compiled", [True, False])
def test_names_have_one_code_each(compiled):
    find = parsing.find_name if compiled else parsing.find_name.py_func
    words = [b"A", b"B", b"AB", b"A", b"BA", b"\xc3\xa9", b"B"]
    table, lengths = np.zeros((5, 8), np.uint8), np.zeros(5, np.int64)
    slots, count = np.full(10, -1, np.int64), np.zeros(1, np.int64)
    codes = [find(np.frombuffer(word, np.uint8), 0, len(word), table, lengths, slots, count) for word in words]
    assert codes == [0, 1, 2, 0, 3, 4, 1]
    assert find(np.frombuffer(b"new", np.uint8), 0, 3, table, lengths, slots, count) == -1
