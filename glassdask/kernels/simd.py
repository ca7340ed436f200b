"""Vectors of eight numbers as values inside kernels.

LLVM's own vectoriser handles one innermost loop at a time and cannot keep a tile of sums in registers across the loop
around it. Kernels that are nothing but such sums name their vectors themselves: on one core this makes the
accumulation of SOAP coefficients run at the processor's peak, three times faster than the same loops left to LLVM. On
processors with shorter registers LLVM splits the eight lanes.

Outside compiled code the same functions work on NumPy arrays of eight, so a kernel also runs as plain Python.
"""

from __future__ import annotations

import math
import operator

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, overload, register_model

LANES = 8

_DOUBLES = ir.VectorType(ir.DoubleType(), LANES)
_WORDS = ir.VectorType(ir.IntType(64), LANES)
_HALVES = ir.VectorType(ir.IntType(32), LANES)
# for each set of lanes, as bits, the lanes that are in it, one after the other
_LANES_OF = np.zeros((2**LANES, LANES), np.int32)
for _bits in range(2**LANES):
    _inside = [lane for lane in range(LANES) if _bits >> lane & 1]
    _LANES_OF[_bits, : len(_inside)] = _inside
# those of `glassdask.kernels.kernel`
_FLAGS = ("contract", "reassoc", "nsz", "arcp")

# exp(x) = 2^k exp(r), |r| <= log(2) / 2; adding this number leaves k in the low bits of the sum
_ROUND = 1.5 * 2.0**52
# below this the result is not a normal number: it is taken for zero
_LOWEST = -708.0


def padded(n: int) -> int:
    """The next multiple of `LANES`."""
    return -(-n // LANES) * LANES


def aligned(*shape: int) -> np.ndarray:
    """Uninitialised float64 array that starts on a cache line.

    A vector across two lines costs two loads: with the alignment NumPy gives, interpolation takes 1.7 times as long.
    """
    line = 8 * LANES
    raw = np.empty(8 * math.prod(shape) + line, np.uint8)
    first = -raw.ctypes.data % line
    return raw[first : first + 8 * math.prod(shape)].view(np.float64).reshape(shape)


def load(array, row, column):
    """The vector array[row, column : column + LANES]."""
    return array[row, column : column + LANES].copy()


def store(vector, array, row, column):
    """Write the vector to array[row, column : column + LANES]."""
    array[row, column : column + LANES] = vector


def full(value):
    """The vector with `value` in all lanes."""
    return np.full(LANES, value)


def exp(vector):
    """Exponential of every lane, for arguments up to 700; zero below -708. Relative error below (10 + |x|) 1e-16."""
    return np.where(vector < _LOWEST, 0.0, np.exp(np.maximum(vector, _LOWEST)))


def keep_below(value, vector, limit):
    """The lanes of `value` where those of the `vector` are below `limit`, zero in the others."""
    return np.where(vector < limit, value, 0.0)


def positions_below(vector, limit, valid, first, out, n):
    """Write ``first + lane`` of each of the first `valid` lanes below `limit` to ``out[n:]``; returns n with them.

    `out` is of 32-bit integers, and has room for all lanes: what lies behind the last one written is overwritten.
    """
    below = np.flatnonzero(np.asarray(vector)[:valid] < limit)
    out[n : n + len(below)] = first + below
    return n + len(below)


class _VectorType(types.Type):
    def __init__(self):
        super().__init__(name=f"vector{LANES}")


_vector = _VectorType()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, _DOUBLES)


def _splat(builder, number, kind=_DOUBLES):
    undefined = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _constant(value: float):
    return ir.Constant(_DOUBLES, [value] * LANES)


def _define(function, instruction):
    pairs = [(_vector, _vector), (_vector, types.float64), (types.float64, _vector)]

    class _Operator(ConcreteTemplate):
        cases = [signature(_vector, *pair) for pair in pairs]  # noqa: RUF012

    infer_global(function)(_Operator)

    def lower(context, builder, sig, args):
        left, right = (a if t == _vector else _splat(builder, a) for t, a in zip(sig.args, args))
        return getattr(builder, instruction)(left, right, flags=_FLAGS)

    for pair in pairs:
        lower_builtin(function, *pair)(lower)


for _function, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define(_function, _instruction)


def _address(context, builder, array_type, array, row, column):
    data = context.make_array(array_type)(context, builder, array)
    strides = cgutils.unpack_tuple(builder, data.strides)
    address = builder.bitcast(data.data, ir.IntType(8).as_pointer())
    address = builder.gep(address, [builder.mul(row, strides[0])])
    address = builder.gep(address, [builder.mul(column, ir.Constant(column.type, 8))])
    return builder.bitcast(address, _DOUBLES.as_pointer())


@intrinsic
def _load(typingctx, array, row, column):
    def generate(context, builder, sig, args):
        vector = builder.load(_address(context, builder, sig.args[0], *args))
        vector.align = 8
        return vector

    return _vector(array, types.intp, types.intp), generate


@intrinsic
def _store(typingctx, vector, array, row, column):
    def generate(context, builder, sig, args):
        builder.store(args[0], _address(context, builder, sig.args[1], *args[1:])).align = 8
        return context.get_dummy_value()

    return types.void(_vector, array, types.intp, types.intp), generate


@intrinsic
def _full(typingctx, value):
    def generate(context, builder, sig, args):
        return _splat(builder, args[0])

    return _vector(types.float64), generate


@intrinsic
def _exp(typingctx, vector):
    def generate(context, builder, sig, args):
        x = args[0]
        tiny = builder.fcmp_ordered("<", x, _constant(_LOWEST))
        x = builder.select(tiny, _constant(0.0), x)
        shifted = builder.fadd(builder.fmul(x, _constant(1.0 / math.log(2.0))), _constant(_ROUND))
        # k through integers: fast-math would simplify (y + round) - round to y
        bits = builder.bitcast(shifted, _WORDS)
        k = builder.sitofp(builder.trunc(bits, _HALVES), _DOUBLES)
        rest = builder.fadd(x, builder.fmul(k, _constant(-math.log(2.0)), flags=_FLAGS), flags=_FLAGS)
        # Taylor: the first term left out is below 1e-17 at log(2) / 2
        value = _constant(1.0 / math.factorial(13))
        for power in range(12, -1, -1):
            term = _constant(1.0 / math.factorial(power))
            value = builder.fadd(builder.fmul(value, rest, flags=_FLAGS), term, flags=_FLAGS)
        exponent = builder.shl(bits, ir.Constant(_WORDS, [52] * LANES))
        value = builder.bitcast(builder.add(builder.bitcast(value, _WORDS), exponent), _DOUBLES)
        return builder.select(tiny, _constant(0.0), value)

    return _vector(_vector), generate


@intrinsic
def _keep_below(typingctx, value, vector, limit):
    def generate(context, builder, sig, args):
        below = builder.fcmp_ordered("<", args[1], _splat(builder, args[2]))
        return builder.select(below, args[0], _constant(0.0))

    return _vector(_vector, _vector, types.float64), generate


@intrinsic
def _positions_below(typingctx, vector, limit, valid, first, out, n):
    def generate(context, builder, sig, args):
        vector, limit, valid, first, out, n = args
        word, half, byte = ir.IntType(64), ir.IntType(32), ir.IntType(8)
        below = builder.bitcast(builder.fcmp_ordered("<", vector, _splat(builder, limit)), byte)
        beyond = builder.shl(ir.Constant(half, -1), builder.trunc(valid, half))
        bits = builder.and_(below, builder.trunc(builder.not_(beyond), byte))
        rows = [ir.Constant(_HALVES, row) for row in _LANES_OF.tolist()]
        lanes = ir.Constant(ir.ArrayType(_HALVES, len(rows)), rows)
        table = cgutils.global_constant(builder, "lanes_of", lanes)
        found = builder.load(builder.gep(table, [ir.Constant(word, 0), builder.zext(bits, word)]))
        start = _splat(builder, builder.trunc(first, half), _HALVES)
        data = context.make_array(sig.args[4])(context, builder, out).data
        place = builder.bitcast(builder.gep(data, [n]), _HALVES.as_pointer())
        builder.store(builder.add(found, start), place).align = 4
        return builder.add(n, builder.zext(builder.ctpop(bits), word))

    ints = (types.intp,) * 2
    return types.intp(vector, types.float64, *ints, out, types.intp), generate


@overload(load)
def _load_overload(array, row, column):
    return lambda array, row, column: _load(array, row, column)  # type: ignore[call-arg]


@overload(store)
def _store_overload(vector, array, row, column):
    return lambda vector, array, row, column: _store(vector, array, row, column)  # type: ignore[call-arg]


@overload(full)
def _full_overload(value):
    return lambda value: _full(value)  # type: ignore[call-arg]


@overload(exp)
def _exp_overload(vector):
    return lambda vector: _exp(vector)  # type: ignore[call-arg]


@overload(keep_below)
def _keep_below_overload(value, vector, limit):
    return lambda value, vector, limit: _keep_below(value, vector, limit)  # type: ignore[call-arg]


@overload(positions_below)
def _positions_below_overload(vector, limit, valid, first, out, n):
    return lambda vector, limit, valid, first, out, n: _positions_below(  # type: ignore[call-arg]
        vector, limit, valid, first, out, n
    )
