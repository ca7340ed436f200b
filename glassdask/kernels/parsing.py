"""Columns of text into numbers: correctly rounded, at the speed of a disk."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassdask.kernels import exact_kernel

# What a column is.
SKIP, FLOAT, INTEGER, NAME = range(4)
# Why `parse` returned: all rows are there, the text is at its end, a line has too few or too many columns, the list of
# odd words is full, the table of names is full, a name is too long.
DONE, MORE, SHORT, LONG, ODD_FULL, NAMES_FULL, NAME_LONG = range(7)
# What `parse` changes in its state.
POSITION, ROW, N_ODD, COLUMN = range(4)

DIGITS = 18  # that fit 64 bits
LARGEST = 200
# Powers of ten as sums of two doubles: exact up to 10^44, 32 digits beyond.
TENS = np.array([float(10**k) for k in range(LARGEST + 1)])
RESTS = np.array([float(10**k - int(float(10**k))) for k in range(LARGEST + 1)])
SPLIT = 134217729.0  # 2^27 + 1
DOUBT = 1e-28

NEWLINE, BLANK, PLUS, MINUS, POINT, ZERO, NINE = 10, 32, 43, 45, 46, 48, 57


@exact_kernel
def lost(a, b, product):
    """What rounding has taken from a product of two doubles (T. J. Dekker, Numer. Math. 18, 224 (1971))."""
    big = SPLIT * a
    a_high = big - (big - a)
    a_low = a - a_high
    big = SPLIT * b
    b_high = big - (big - b)
    b_low = b - b_high
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@exact_kernel
def decimal(mantissa, exponent):
    """The double nearest to mantissa * 10^exponent, and whether it is that for sure.

    Both factors are sums of two doubles, and so is the result: 30 digits. Where these leave a doubt on which side of
    the middle between two doubles it lies, somebody else must look at all its digits.
    """
    high = np.float64(mantissa)
    low = np.float64(mantissa - np.int64(high))
    if mantissa == 0 or exponent == 0:
        return high, True
    k = abs(exponent)
    if k > LARGEST:
        return high, False
    ten, rest = TENS[k], RESTS[k]
    if low == 0.0 and k <= 22:
        return (high * ten if exponent > 0 else high / ten), True
    if exponent > 0:
        value = high * ten
        error = lost(high, ten, value) + (low * ten + high * rest)
    else:
        value = high / ten
        product = value * ten
        error = ((((high - product) - lost(value, ten, product)) + low) - value * rest) / ten
    doubt = DOUBT * value
    found = value + (error + doubt)
    return found, found == value + (error - doubt)


@exact_kernel
def skip(data, position, end, n_lines):
    """Pass over lines that are not blank; returns the position behind them and how many are left."""
    filled = False
    for i in range(position, end):
        c = data[i]
        if c > BLANK:
            filled = True
        elif c == NEWLINE and filled:
            n_lines -= 1
            filled = False
            if n_lines == 0:
                return i + 1, 0
    return end, n_lines


@exact_kernel
def find_name(data, start, stop, table, lengths, slots, count):
    """The code of a name in a table, which gets it where it is new; -1 where the table is full."""
    mixed = np.int64(1469598103)
    for i in range(start, stop):
        mixed = ((mixed ^ np.int64(data[i])) * 16777619) & 0xFFFFFFFF
    slot = mixed % len(slots)
    while slots[slot] >= 0:
        code = slots[slot]
        if lengths[code] == stop - start:
            same = True
            for i in range(stop - start):
                if table[code, i] != data[start + i]:
                    same = False
                    break
            if same:
                return code
        slot = (slot + 1) % len(slots)
    code = count[0]
    if code == len(table):
        return -1
    for i in range(stop - start):
        table[code, i] = data[start + i]
    lengths[code] = stop - start
    slots[slot] = code
    count[0] = code + 1
    return code


@exact_kernel
def number(data, i, integer):
    """Mantissa, exponent of ten, sign and end of a plain number at i; the end is -1 where it is none, or too long."""
    sign = 1
    if data[i] == MINUS:
        sign = -1
        i += 1
    elif data[i] == PLUS:
        i += 1
    mantissa: Any = 0
    exponent: Any = 0
    digits, seen = 0, 0
    c = np.int64(data[i])
    while ZERO <= c <= NINE:
        mantissa = mantissa * 10 + (c - ZERO)
        digits += mantissa != 0
        seen += 1
        if digits > DIGITS:
            return mantissa, exponent, sign, -1
        i += 1
        c = np.int64(data[i])
    if not integer:
        if c == POINT:
            i += 1
            c = np.int64(data[i])
            while ZERO <= c <= NINE:
                mantissa = mantissa * 10 + (c - ZERO)
                digits += mantissa != 0
                seen += 1
                exponent -= 1
                if digits > DIGITS:
                    return mantissa, exponent, sign, -1
                i += 1
                c = np.int64(data[i])
        if seen and (c | 32 == 101 or c | 32 == 100):  # e and E, d and D of Fortran
            i += 1
            turn = 1
            if data[i] == MINUS:
                turn = -1
                i += 1
            elif data[i] == PLUS:
                i += 1
            c = np.int64(data[i])
            power: Any = 0
            seen = 0
            while ZERO <= c <= NINE and power < 1000:
                power = power * 10 + (c - ZERO)
                seen += 1
                i += 1
                c = np.int64(data[i])
            exponent += turn * power
    if not seen or c > BLANK:
        return mantissa, exponent, sign, -1
    return mantissa, exponent, sign, i


@exact_kernel
def parse(data, end, state, kinds, places, whole, floats, integers, codes, tables, lengths, slots, counts, odd):
    """Lines of text, each of which ends before `end`, into rows; returns why it stopped, and where is in the `state`.

    `kinds` says what the columns are, `places` which column of `floats`, `integers` or `codes` gets them; with `whole`
    a line must have no more of them. Words that are no plain numbers are noted in `odd` (row, column, start, stop).
    """
    i, row, n_odd = state[POSITION], state[ROW], state[N_ODD]
    n_rows, n_columns = len(floats), len(kinds)
    while row < n_rows:
        while i < end and data[i] <= BLANK:
            i += 1
        if i >= end:
            state[POSITION], state[ROW], state[N_ODD] = end, row, n_odd
            return MORE
        begin, before = i, n_odd
        problem = DONE
        for column in range(n_columns):
            state[COLUMN] = column
            while data[i] <= BLANK and data[i] != NEWLINE:
                i += 1
            if data[i] == NEWLINE:
                problem = SHORT
                break
            start = i
            kind, place = kinds[column], places[column]
            if kind in (FLOAT, INTEGER):
                mantissa, exponent, sign, i = number(data, start, kind == INTEGER)
                sure = i >= 0
                if sure and kind == FLOAT:
                    value, sure = decimal(mantissa, exponent)
                    floats[row, place] = sign * value
                elif sure:
                    integers[row, place] = sign * mantissa
                if sure:
                    continue
                i = start
            while data[i] > BLANK:
                i += 1
            if kind == NAME:
                if i - start > tables.shape[2]:
                    problem = NAME_LONG
                    break
                code = find_name(data, start, i, tables[place], lengths[place], slots[place], counts[place : place + 1])
                if code < 0:
                    problem = NAMES_FULL
                    break
                codes[row, place] = code
            elif kind != SKIP:
                if n_odd == len(odd):
                    problem = ODD_FULL
                    break
                odd[n_odd, 0], odd[n_odd, 1], odd[n_odd, 2], odd[n_odd, 3] = row, column, start, i
                n_odd += 1
        if problem == DONE and whole:
            while data[i] <= BLANK and data[i] != NEWLINE:
                i += 1
            if data[i] != NEWLINE:
                problem = LONG
        if problem != DONE:
            state[POSITION], state[ROW], state[N_ODD] = begin, row, before
            return problem
        while data[i] != NEWLINE:
            i += 1
        i += 1
        row += 1
    state[POSITION], state[ROW], state[N_ODD] = i, row, n_odd
    return DONE
