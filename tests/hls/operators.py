# SPDX-License-Identifier: Apache-2.0
"""Designs with one layer each: every operator, every engine parameter, every corner of the contract."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring
from nba.ir.network import Layer, LayerWeights, Network, Tensor, weight_dtype, weight_shape
from nba.ir.operators import Op
from nba.ir.reference import accumulate, run
from nba.zoo.weights import random_codes
from tests.hls.bench import Case, design_of

IMAGES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """One layer and the engine that executes it. `kernel`, `pad`, `size` are (rows, columns); `pad` and the output size
    default to those of a "same" convolution. mult, shift and bias are calibrated to the data unless given. A case whose
    outputs take fewer than `values` different codes fails: it would test nothing."""

    name: str
    op: Op = "dense"
    size: tuple[int, int] = (6, 7)
    channels: int = 5
    out_channels: int = 6
    kernel: tuple[int, int] = (3, 3)
    stride: int = 1
    stride_w: int | None = None
    pad: tuple[int, int] | None = None
    out_size: tuple[int, int] | None = None
    signed: bool = False
    out_signed: bool = True
    zero: int = 0
    out_zero: int = 0
    residual: bool = False
    groups: int = 1
    rotate: int = 0
    code_bits: int = 8
    act_bits: int = 8
    weight_bits: int = 8
    store_bits: int = 8
    mult: int | None = None
    shift: int | None = None
    bias: int | None = None
    extreme: bool = False
    clamp: tuple[int, int] | None = None
    pm: int = 4
    pn: int = 2
    pq: int = 2
    pp: int = 2
    out_lanes: int = 4
    rows: int = 0
    values: int = 8
    per_channel: bool = False
    """Shifts that differ by up to 9 between channels, and pad codes per channel."""


FULL = Operator(
    name="all features at once",
    channels=6,
    residual=True,
    zero=64,
    out_zero=-9,
    act_bits=5,
    weight_bits=3,
    store_bits=6,
)
"""What the planted errors are tried on: padding with a zero point, nested bits, a residual."""
WIDE = Operator(
    name="16 bits", code_bits=16, act_bits=16, weight_bits=16, store_bits=16, channels=7, zero=-77, signed=True,
    out_zero=1234, values=200,
)  # fmt: skip
"""Codes and weights of 16 bits."""

HALVES = Operator(
    name="two groups, the channel shuffle", size=(5, 5), channels=8, out_channels=16, groups=2, rotate=4, zero=32,
    act_bits=6, weight_bits=5,
)  # fmt: skip
"""A layer whose channel groups read halves of the input words, in the order 0, 1, 1, 0."""

CHANNELS = Operator(
    name="shifts and pad codes per channel", channels=7, pn=3, per_channel=True, zero=32, act_bits=5, size=(4, 5)
)
"""Pad codes that are rounded to 5 bits."""

OPERATORS = (
    Operator(name="dense 1x1", kernel=(1, 1)),
    CHANNELS,
    Operator(name="depthwise, shifts and pad codes per channel", op="depthwise", pn=1, per_channel=True, signed=True),
    Operator(name="average pooling, pad codes per channel", op="avgpool", pn=1, per_channel=True, stride=2),
    replace(WIDE, name="16 bits, shifts and pad codes per channel", per_channel=True),
    replace(HALVES, name="two groups, pad codes per channel", per_channel=True),
    Operator(name="dense 3x3, channels do not divide lanes", channels=7, out_channels=5, pn=4, pm=8, pq=4, pp=4),
    Operator(name="dense 5x5, map smaller than the kernel", size=(3, 2), kernel=(5, 5), pp=8),
    Operator(name="dense 3x3 stride 2, odd size", size=(7, 9), stride=2, pp=4),
    Operator(name="dense 3x3 stride 2, one column bank", size=(5, 5), stride=2, pp=1, rows=3),
    Operator(name="dense 1x1 stride 2, last row unused", size=(6, 6), kernel=(1, 1), stride=2, pp=8, rows=2),
    Operator(name="dense 2x5 without padding", kernel=(2, 5), pad=(0, 0), out_size=(5, 3)),
    Operator(
        name="fully connected",
        size=(3, 4),
        kernel=(3, 4),
        pad=(0, 0),
        out_size=(1, 1),
        out_channels=10,
        pm=3,
        pq=1,
        out_lanes=5,
    ),
    Operator(
        name="dense, drain longer than the taps",
        kernel=(1, 1),
        channels=2,
        pm=12,
        pq=1,
        pn=2,
        out_channels=13,
        out_lanes=3,
    ),
    Operator(name="dense, lanes not a power of two", channels=10, pn=6, pm=9, pq=3, out_lanes=9, out_channels=11),
    HALVES,
    Operator(name="two groups, second half first", channels=8, out_channels=12, groups=2, rotate=10),
    Operator(name="two groups, not rotated", kernel=(1, 1), channels=8, out_channels=8, groups=2, pm=2, pp=4),
    Operator(name="two groups, input words in both", channels=6, out_channels=8, groups=2, rotate=2, out_signed=False),
    Operator(name="two groups, outputs in both", channels=8, out_channels=10, groups=2, rotate=7, zero=64, act_bits=5),
    Operator(name="depthwise 3x3", op="depthwise", pm=4, pn=1),
    Operator(
        name="depthwise 5x5 stride 2",
        op="depthwise",
        size=(9, 5),
        kernel=(5, 5),
        stride=2,
        channels=9,
        pm=6,
        pn=1,
        pq=3,
        out_lanes=3,
        pp=4,
    ),
    Operator(
        name="average pool, global", op="avgpool", size=(4, 5), kernel=(4, 5), pad=(0, 0), out_size=(1, 1), pm=4, pn=1
    ),
    Operator(
        name="average pool 2x2 stride 2", op="avgpool", kernel=(2, 2), stride=2, pad=(0, 0), out_size=(3, 3), pm=2, pn=1
    ),
    Operator(
        name="max pool 3x3 stride 2",
        op="maxpool",
        size=(7, 8),
        kernel=(3, 3),
        stride=2,
        pad=(1, 1),
        signed=True,
        zero=-48,
        act_bits=5,
        pm=4,
        pn=1,
        pp=4,
    ),
    Operator(
        name="max pool 2x3 strides 2 and 1",
        op="maxpool",
        size=(5, 6),
        kernel=(2, 3),
        stride=2,
        stride_w=1,
        values=20,
        pm=6,
        pn=1,
    ),
    Operator(name="dense 3x3 strides 1 and 2", size=(5, 7), stride=1, stride_w=2, pp=2),
    Operator(name="residual", channels=6, residual=True, signed=True),
    Operator(name="residual, zero points", channels=6, residual=True, zero=37, out_signed=False, out_zero=200),
    Operator(name="depthwise with residual", op="depthwise", channels=7, residual=True, pn=1, pm=6, pq=3, out_lanes=6),
    Operator(name="input zero point, signed", signed=True, zero=-40, out_zero=17),
    Operator(name="nested activations, 4 of 8 bits", act_bits=4, signed=True),
    Operator(name="nested activations, 2 of 8 bits, zero point", act_bits=2, zero=64),
    Operator(name="nested weights, 2 of 8 bits", weight_bits=2),
    Operator(name="nested weights, 3 of 5 bits", weight_bits=3, store_bits=5),
    Operator(name="stored weights of 2 bits", weight_bits=2, store_bits=2),
    Operator(name="stored weights of 7 bits", weight_bits=7, store_bits=7, pn=4, pm=6),
    Operator(name="largest sums", extreme=True, channels=16, pn=4),
    Operator(name="saturation at both ends", values=2, mult=65535, shift=1, bias=0, signed=True, out_signed=False),
    Operator(name="large shift", values=3, mult=65535, shift=35, bias=-1, extreme=True, channels=16),
    Operator(name="largest shift", mult=65535, shift=47, bias=-1, extreme=True, channels=16, out_zero=5, values=1),
    Operator(
        name="ties round up",
        kernel=(1, 1),
        channels=1,
        pn=1,
        weight_bits=2,
        store_bits=2,
        act_bits=4,
        mult=1,
        shift=1,
        bias=-7,
    ),
    WIDE,
    Operator(
        name="16 bits, residual, zero points",
        code_bits=16,
        act_bits=16,
        weight_bits=16,
        store_bits=16,
        channels=6,
        residual=True,
        zero=3001,
        out_signed=False,
        out_zero=40_000,
    ),
    Operator(
        name="16-bit codes, nested to 5 bits", code_bits=16, act_bits=5, signed=True, weight_bits=3, store_bits=16
    ),
    Operator(name="16-bit weights, 8-bit codes", act_bits=8, weight_bits=16, store_bits=16),
    Operator(name="16 bits, depthwise", op="depthwise", code_bits=16, act_bits=16, pm=4, pn=1),
    Operator(
        name="16 bits, largest sums",
        code_bits=16,
        act_bits=16,
        weight_bits=16,
        store_bits=16,
        extreme=True,
        channels=16,
        pn=4,
    ),
    Operator(name="rectifier with a ceiling", out_signed=False, clamp=(0, 90)),
    FULL,
)


def operator_case(o: Operator, seed: int = 0) -> Case:
    """The design, weights, inputs and expected outputs of one operator."""
    rng = np.random.default_rng([seed, len(o.name), *o.name.encode()])
    same = tuple(-(-n // stride) for n, stride in zip(o.size, (o.stride, o.stride_w or o.stride), strict=True))
    height, width = o.out_size or (same[0], same[1])
    pad = o.pad if o.pad is not None else ((o.kernel[0] - 1) // 2, (o.kernel[1] - 1) // 2)
    channels = o.out_channels if o.op == "dense" else o.channels
    first = Tensor(
        name="in",
        height=o.size[0],
        width=o.size[1],
        channels=o.channels,
        signed=o.signed,
        zero_point=o.zero,
        bits=o.code_bits,
    )
    out = Tensor(
        name="out",
        height=height,
        width=width,
        channels=channels,
        signed=o.out_signed,
        zero_point=o.out_zero,
        bits=o.code_bits,
    )
    q_min, q_max = o.clamp or (out.code_min, out.code_max)
    layer = Layer(
        name=o.name, op=o.op, input=0, residual=0 if o.residual else None, kernel_h=o.kernel[0], kernel_w=o.kernel[1],
        stride_h=o.stride, stride_w=o.stride_w or o.stride, pad_top=pad[0], pad_left=pad[1], groups=o.groups,
        rotate=o.rotate, act_bits=o.act_bits, weight_bits=o.weight_bits, weight_store_bits=o.store_bits, shift=1,
        q_min=q_min, q_max=q_max,
    )  # fmt: skip
    if o.per_channel:
        layer = replace(layer, pad_codes=tuple(rng.integers(first.code_min, first.code_max + 1, o.channels).tolist()))
    network = Network(name=o.name, tensors=(first, out), layers=(layer,))
    high = 1 << (o.store_bits - 1)
    drawn = rng.integers(-high, high, weight_shape(network, 0))
    if o.extreme:
        drawn[: channels // 2] = -high
    x = random_codes(rng, first, IMAGES)
    if o.extreme:
        x[0] = first.code_max
    empty = np.zeros(channels, np.int32)
    raw = LayerWeights(weight=drawn.astype(weight_dtype(layer)), bias=empty, mult=empty)
    acc = accumulate(network, (raw,), 0, x)
    step = max(1.0, float(acc.std())) / (40 << (o.code_bits - 8))
    shift = o.shift if o.shift is not None else int(np.clip(np.floor(np.log2(30000 * step)), 1, 47))
    mult = (
        np.full(channels, o.mult)
        if o.mult is not None
        else np.clip(rng.uniform(0.5, 1, channels) * 2.0**shift / step, 1, 65535)
    )
    middle = ((q_min + q_max) / 2 - o.out_zero) * step
    bias = np.full(channels, o.bias) if o.bias is not None else middle - acc.mean(axis=(0, 1, 2))
    res_mult = int(min(65535, 0.4 * 2.0**shift)) if o.residual else 0
    shifts = None
    if o.per_channel:
        fewer = rng.integers(0, 10, channels)
        shifts = tuple(np.maximum(shift - fewer, 1).tolist())
        mult = np.maximum(1, mult / 2.0 ** (shift - np.array(shifts)))
        shift = min(shifts)
    network = replace(network, layers=(replace(layer, shift=shift, shifts=shifts, res_mult=res_mult),))
    limit = 1 << (min(32, network.acc_bits(0)) - 1)
    weights = (
        LayerWeights(
            weight=raw.weight, bias=np.clip(bias, -limit, limit - 1).astype(np.int32), mult=mult.astype(np.int32)
        ),
    )
    expected = run(network, weights, x)
    assert len(np.unique(expected)) >= o.values, f"{o.name}: only {np.unique(expected)}"
    return Case(
        name=o.name,
        design=design_of(o.name, network, weights, _accelerator(o)),
        weights=weights,
        x=x,
        expected=expected,
    )


def _accelerator(o: Operator) -> Accelerator:
    kind = "dense" if o.op == "dense" else "depthwise"
    rows = max(o.rows, o.kernel[0], o.stride)
    rings = [Ring(tensor=0, consumer=0, rows=rows), Ring(tensor=1, consumer=HOST, rows=1)]
    if o.residual:
        # The host writes both uses of a row at once: the residual ring must hold the rows that the kernel waits for.
        rings.append(Ring(tensor=0, consumer=0, port="residual", rows=rows))
    chunk = Chunk(kind=kind, pm=o.pm, pn=o.pn, pq=o.pq, jobs=(Job(layer=0),))  # type: ignore[arg-type]
    return Accelerator(pp=o.pp, chunks=(chunk,), rings=tuple(rings), out_lanes=o.out_lanes)
