# SPDX-License-Identifier: Apache-2.0
"""Legality of a network and of its weights, as tables of rules (docs/numerics.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nba.ir.network import (
    MASTER_BITS,
    MAX_SHIFT,
    MULT_BITS,
    WIDE_BITS,
    LayerWeights,
    Network,
    Weights,
    weight_dtype,
    weight_shape,
)
from nba.ir.operators import OPERATORS
from nba.ir.rules import Problems, Rule, limit

MAX_DIM = 4095
"""Largest height and width of a feature map."""
MAX_CHANNELS = 8191
MAX_KERNEL = 128
MAX_STRIDE = 4
MAX_NAME = 200
"""Characters of a name."""
MIN_SCALE, MAX_SCALE = 1e-30, 1e30
"""The real value of one code step."""
MAX_ACC_BITS = 46
"""Bits of an accumulator: its product with a multiplier and all that is added to it then fit 64 bits (nba_requant)."""
BIAS_BITS = 32


def layer_name(network: Network, i: int) -> str:
    """Layer number `i` as messages name it."""
    return f"layer {i} ({network.layers[i].name!r})"


def tensor_name(network: Network, i: int) -> str:
    """Tensor number `i` as messages name it."""
    return f"tensor {i} ({network.tensors[i].name!r})"


def _counts(n: Network) -> Problems:
    if not n.layers:
        yield f"network {n.name!r}: has no layers; legal: at least one"
    if len(n.tensors) != len(n.layers) + 1:
        yield f"network {n.name!r}: {len(n.tensors)} tensors for {len(n.layers)} layers; legal: one more than layers"


def _names(n: Network) -> Problems:
    named = [("network", n.name), *((f"tensor {i}", t.name) for i, t in enumerate(n.tensors))]
    for what, name in (*named, *((f"layer {i}", layer.name) for i, layer in enumerate(n.layers))):
        if len(name) > MAX_NAME:
            yield f"{what}: its name has {len(name)} characters; legal: at most {MAX_NAME}"


def _scale(n: Network) -> Problems:
    for i, t in enumerate(n.tensors):
        if not MIN_SCALE <= t.scale <= MAX_SCALE:
            yield f"{tensor_name(n, i)}: scale is {t.scale}; legal: {MIN_SCALE:g}..{MAX_SCALE:g}"


def _topological(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        for what, index in (("input", layer.input), ("residual", layer.residual)):
            if index is not None:
                yield from limit(f"{layer_name(n, i)}: {what} tensor", index, 0, min(i, len(n.tensors) - 1))


def _dimensions(n: Network) -> Problems:
    for i, t in enumerate(n.tensors):
        yield from limit(f"{tensor_name(n, i)}: height", t.height, 1, MAX_DIM)
        yield from limit(f"{tensor_name(n, i)}: width", t.width, 1, MAX_DIM)
        yield from limit(f"{tensor_name(n, i)}: channels", t.channels, 1, MAX_CHANNELS)


def _master_bits(n: Network) -> Problems:
    for i, t in enumerate(n.tensors):
        if t.bits not in (MASTER_BITS, WIDE_BITS):
            yield f"{tensor_name(n, i)}: bits is {t.bits}; legal: {MASTER_BITS} or {WIDE_BITS}"
        elif t.bits != n.master_bits:
            yield f"{tensor_name(n, i)}: bits is {t.bits}; legal: {n.master_bits}, as of tensor 0 (one width for all)"


def _zero_point_range(n: Network) -> Problems:
    for i, t in enumerate(n.tensors):
        yield from limit(f"{tensor_name(n, i)}: zero_point", t.zero_point, t.code_min, t.code_max)


def _consumed(n: Network) -> Problems:
    for i in range(len(n.tensors) - 1):
        if not n.consumers(i):
            yield f"{tensor_name(n, i)}: no layer reads it; every tensor but the last needs a consumer"


def _op_known(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        if layer.op not in OPERATORS:
            yield f"{layer_name(n, i)}: op is {layer.op!r}; legal: {', '.join(OPERATORS)}"


def _operator(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        for line in layer.operator.problems(layer, n.source(layer).channels, n.result(i).channels):
            yield f"{layer_name(n, i)}: {line}"


def _kernel(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        yield from limit(f"{layer_name(n, i)}: kernel_h", layer.kernel_h, 1, MAX_KERNEL)
        yield from limit(f"{layer_name(n, i)}: kernel_w", layer.kernel_w, 1, MAX_KERNEL)


def _groups(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        yield from limit(f"{layer_name(n, i)}: groups", layer.groups, 1, 2)


def _stride(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        yield from limit(f"{layer_name(n, i)}: stride_h", layer.stride_h, 1, MAX_STRIDE)
        yield from limit(f"{layer_name(n, i)}: stride_w", layer.stride_w, 1, MAX_STRIDE)


def _padding(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        yield from limit(f"{layer_name(n, i)}: pad_top", layer.pad_top, 0, layer.kernel_h - 1)
        yield from limit(f"{layer_name(n, i)}: pad_left", layer.pad_left, 0, layer.kernel_w - 1)


def _windows(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        src, out = n.source(layer), n.result(i)
        for what, size_out, stride, pad, size in (
            ("row", out.height, layer.stride_h, layer.pad_top, src.height),
            ("column", out.width, layer.stride_w, layer.pad_left, src.width),
        ):
            begin = (size_out - 1) * stride - pad
            if begin > size - 1:
                yield (
                    f"{layer_name(n, i)}: the window of output {what} {size_out - 1} begins at input {what} {begin}; "
                    f"legal: at most {size - 1} (the input's last {what})"
                )


def _nested_bits(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        yield from _bits(f"{layer_name(n, i)}: act_bits", layer.act_bits, n.master_bits)
        yield from _bits(f"{layer_name(n, i)}: weight_store_bits", layer.weight_store_bits, WIDE_BITS)
        yield from _bits(f"{layer_name(n, i)}: weight_bits", layer.weight_bits, layer.weight_store_bits)


def _bits(what: str, value: int, widest: int) -> Problems:
    if value != WIDE_BITS or widest != WIDE_BITS:
        wide = f" or {WIDE_BITS}" if widest == WIDE_BITS else ""
        if not 2 <= value <= min(MASTER_BITS, widest):
            yield f"{what} is {value}; legal: 2..{min(MASTER_BITS, widest)}{wide}"


def _requantisation(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        yield from limit(f"{layer_name(n, i)}: shift", layer.shift, 1, MAX_SHIFT)
        yield from limit(f"{layer_name(n, i)}: res_mult", layer.res_mult, 0, (1 << MULT_BITS) - 1)
        if layer.residual is None and layer.res_mult != 0:
            yield f"{layer_name(n, i)}: res_mult is {layer.res_mult} without a residual; legal: 0"


def _shifts(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        if layer.shifts is None:
            continue
        name, found, channels = layer_name(n, i), layer.shifts, n.result(i).channels
        if len(found) != channels:
            yield f"{name}: {len(found)} shifts; legal: {channels}, one for every output channel, or none"
            continue
        for what, shift in (("smallest of shifts", min(found)), ("largest of shifts", max(found))):
            yield from limit(f"{name}: {what}", shift, 1, MAX_SHIFT)
        if layer.shift != min(found):
            yield f"{name}: shift is {layer.shift}; legal: {min(found)}, the smallest of its shifts"
        if layer.residual is not None and min(found) != max(found):
            yield (
                f"{name}: shifts {min(found)}..{max(found)} with a residual; legal: equal shifts (res_mult, which "
                "scales the residual, is one for all channels)"
            )


def _pad_codes(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        if layer.pad_codes is None:
            continue
        name, found, src = layer_name(n, i), layer.pad_codes, n.source(layer)
        if layer.operator.selects:
            yield f"{name}: pad_codes of {layer.op}; legal: none (padding inserts the least code, which never wins)"
        if not n.leaves_map(i):
            yield f"{name}: pad_codes of a layer whose windows lie in the map; legal: none"
        if len(found) != src.channels:
            yield f"{name}: {len(found)} pad_codes; legal: {src.channels}, one for every input channel, or none"
        elif not src.code_min <= min(found) <= max(found) <= src.code_max:
            yield f"{name}: pad_codes {min(found)}..{max(found)}; legal: {src.code_min}..{src.code_max}"


def _clamp(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        out = n.result(i)
        yield from limit(f"{layer_name(n, i)}: q_min", layer.q_min, out.code_min, out.code_max)
        yield from limit(f"{layer_name(n, i)}: q_max", layer.q_max, out.code_min, out.code_max)
        if layer.q_min > layer.q_max:
            yield f"{layer_name(n, i)}: q_min {layer.q_min} exceeds q_max {layer.q_max}; legal: q_min <= q_max"


def _zero_point_nests(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        step, zero = 1 << max(0, n.master_bits - layer.act_bits), n.source(layer).zero_point
        if zero % step:
            yield (
                f"{layer_name(n, i)}: {tensor_name(n, layer.input)} has zero_point {zero}; "
                f"legal with act_bits {layer.act_bits}: multiples of {step}"
            )


def _residual_shape(n: Network) -> Problems:
    for i, layer in enumerate(n.layers):
        if layer.residual is None:
            continue
        res, out = n.tensors[layer.residual], n.result(i)
        found, wanted = (res.height, res.width, res.channels), (out.height, out.width, out.channels)
        if found != wanted:
            what = tensor_name(n, layer.residual)
            yield f"{layer_name(n, i)}: residual {what} has shape {found}; legal: the output's {wanted}"


def _accumulator(n: Network) -> Problems:
    for i in range(len(n.layers)):
        if n.acc_bits(i) > MAX_ACC_BITS:
            yield (
                f"{layer_name(n, i)}: accumulator of {n.acc_bits(i)} bits ({n.reduction(i)} products); "
                f"legal: at most {MAX_ACC_BITS} (fewer act_bits or weight_bits, or a smaller reduction)"
            )


NETWORK_RULES: tuple[Rule[Network], ...] = (
    Rule(name="counts", find=_counts, step=-1),
    Rule(name="names", find=_names, step=-1),
    Rule(name="topological", find=_topological, step=0),
    Rule(name="dimensions", find=_dimensions),
    Rule(name="master bits", find=_master_bits, step=0),
    Rule(name="scale", find=_scale),
    Rule(name="zero point range", find=_zero_point_range),
    Rule(name="consumed", find=_consumed),
    Rule(name="op known", find=_op_known, step=0),
    Rule(name="operator", find=_operator),
    Rule(name="kernel", find=_kernel),
    Rule(name="groups", find=_groups, step=0),
    Rule(name="stride", find=_stride),
    Rule(name="padding", find=_padding),
    Rule(name="windows", find=_windows),
    Rule(name="nested bits", find=_nested_bits, step=0),
    Rule(name="requantisation", find=_requantisation),
    Rule(name="shifts", find=_shifts),
    Rule(name="pad codes", find=_pad_codes),
    Rule(name="clamp", find=_clamp),
    Rule(name="zero point nests", find=_zero_point_nests),
    Rule(name="residual shape", find=_residual_shape),
    Rule(name="accumulator", find=_accumulator),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Weighted:
    """A legal network and the weights that claim to be its own."""

    network: Network
    weights: Weights


def _weight_count(s: Weighted) -> Problems:
    if len(s.weights) != len(s.network.layers):
        yield f"weights: of {len(s.weights)} layers; legal: {len(s.network.layers)}, as many as the network has"


def _arrays(s: Weighted) -> Iterator[tuple[int, str, np.ndarray, str, tuple[int, ...]]]:
    for i, lw in enumerate(s.weights[: len(s.network.layers)]):
        channels = (s.network.result(i).channels,)
        yield i, "weight", lw.weight, weight_dtype(s.network.layers[i]), weight_shape(s.network, i)
        yield i, "bias", lw.bias, "int32", channels
        yield i, "mult", lw.mult, "int32", channels


def _weight_arrays(s: Weighted) -> Problems:
    for i, what, array, dtype, shape in _arrays(s):
        if str(array.dtype) != dtype:
            yield f"{layer_name(s.network, i)}: {what} is of dtype {array.dtype}; legal: {dtype}"
        if array.shape != shape:
            yield f"{layer_name(s.network, i)}: {what} has shape {array.shape}; legal: {shape}"


def _values(
    s: Weighted, what: str, array: Callable[[LayerWeights], np.ndarray], bits: Callable[[int], int]
) -> Problems:
    for i, lw in enumerate(s.weights):
        values, high = array(lw), (1 << (bits(i) - 1)) - 1
        if values.size and (int(values.min()) < -high - 1 or int(values.max()) > high):
            yield (
                f"{layer_name(s.network, i)}: {what} {int(values.min())}..{int(values.max())}; "
                f"legal: {-high - 1}..{high} ({bits(i)} bits signed)"
            )


def _weight_range(s: Weighted) -> Problems:
    yield from _values(s, "weight", lambda lw: lw.weight, lambda i: s.network.layers[i].weight_store_bits)


def _bias_range(s: Weighted) -> Problems:
    yield from _values(s, "bias", lambda lw: lw.bias, lambda i: min(BIAS_BITS, s.network.acc_bits(i)))


def _mult_range(s: Weighted) -> Problems:
    high = (1 << MULT_BITS) - 1
    for i, lw in enumerate(s.weights):
        if int(lw.mult.min()) < 0 or int(lw.mult.max()) > high:
            yield f"{layer_name(s.network, i)}: mult {int(lw.mult.min())}..{int(lw.mult.max())}; legal: 0..{high}"


WEIGHT_RULES: tuple[Rule[Weighted], ...] = (
    Rule(name="weight count", find=_weight_count, step=0),
    Rule(name="weight arrays", find=_weight_arrays, step=0),
    Rule(name="weight range", find=_weight_range),
    Rule(name="bias range", find=_bias_range),
    Rule(name="mult range", find=_mult_range),
)
