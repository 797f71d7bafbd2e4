# SPDX-License-Identifier: Apache-2.0
"""Operators are rows: what the product knows of each kind of layer stands here, and nowhere else.

A row holds facts. What follows from them is a method of `Operator`, and every other module asks the row:

- legality: `attributes`, `problems` (nba.ir.network_rules);
- integer semantics: `accumulate`, `reduce` (nba.ir.reference), documented by the table of docs/numerics.md, which a
  test compares with the rows;
- work, weights and the width of sums: `reduction`, `counted_bits`, `weight_shape`, `accumulator_bits`;
- program word, memories and HLS: `mixes`, `operand_bits`, `memory_bits`, `Reduce.pad_code` (nba.emit);
- placement: `kind`, the kind of chunk that executes it (nba.explore, nba.machine.accelerator_rules);
- training: `mixes`, `stores_weights` and `averages` (nba.learn.quant);
- the mapping model: `loops` (nba.loopnest.network).

Shapes: N input and M output channels, KH x KW taps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Literal

import numpy as np

from nba.ir.rules import Problems, limit

if TYPE_CHECKING:
    from nba.ir.network import Layer, Tensor

Op = Literal["dense", "depthwise", "avgpool", "maxpool"]
"""Names of the operators: what `Layer.op` may be."""
Kind = Literal["dense", "depthwise"]
"""Names of the kinds of engine: what `Chunk.kind` may be."""
MIXING: Kind = "dense"
"""The engine that sums over the channels of its input: pm x pn x pp multipliers."""
PER_CHANNEL: Kind = "depthwise"
"""The engine whose output channels each see their own input channel: pm x pp multipliers."""
KINDS: tuple[Kind, ...] = (MIXING, PER_CHANNEL)

UNIT_WEIGHT_BITS = 2
"""Bits of the signed weight 1, which stands for all weights of an operator that stores none."""
NEUTRAL = {
    "kernel_h": 1,
    "kernel_w": 1,
    "stride_h": 1,
    "stride_w": 1,
    "pad_top": 0,
    "pad_left": 0,
    "groups": 1,
    "rotate": 0,
}
"""Attributes of a layer that not every operator has, and their value for one that has not."""
WINDOW = ("kernel_h", "kernel_w", "stride_h", "stride_w", "pad_top", "pad_left")
"""Attributes of an operator with a window."""
Axis = Literal["M", "N / groups", "KH", "KW"]


def engine_kind(mixes: bool) -> Kind:
    """The kind of engine that sums over input channels, or the one that does not."""
    return MIXING if mixes else PER_CHANNEL


def accumulator_bits(terms: int, act_bits: int, signed: bool, largest_weight: int) -> int:
    """Bits of a signed accumulator that `terms` products of an activation of `act_bits` bits and a weight of at most
    `largest_weight` (a magnitude) can never overflow."""
    a_max = 1 << (act_bits - 1) if signed else (1 << act_bits) - 1
    return (terms * a_max * largest_weight).bit_length() + 1


def second_group(outputs: int, rotate: int) -> np.ndarray:
    """bool [M]: whether an output channel of a layer of two groups sees the second half of the input channels."""
    return (np.arange(outputs) + rotate) // (outputs // 2) % 2 == 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Reduce:
    """How the products of a window become one accumulator.

    combine: joins two of them. grows: the result may be as large as all of them together, and not only as the largest
    one. pad_code: the master code that stands outside the map, given the tensor that is read.
    """

    name: str
    combine: np.ufunc
    grows: bool
    pad_code: Callable[[Tensor], int]


SUM = Reduce(name="sum", combine=np.add, grows=True, pad_code=lambda source: source.zero_point)
MAX = Reduce(name="max", combine=np.maximum, grows=False, pad_code=lambda source: source.code_min)


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """One kind of layer.

    title: what documents and messages call it. product: what is reduced, in the notation of docs/numerics.md.
    attributes: which fields of NEUTRAL a layer of it may set. mixes: an output channel depends on all input channels of
    its group, otherwise on its own input channel alone (then N = M). weight_axes: axes of the stored weights; none:
    all weights are 1. averages: the real value is the accumulator's over the number of taps; the division is part of
    the requantisation multipliers. reduce: what becomes of the products of a window.
    """

    op: Op
    title: str
    product: str
    attributes: tuple[str, ...]
    mixes: bool
    weight_axes: tuple[Axis, ...]
    averages: bool = False
    reduce: Reduce = SUM

    @property
    def kind(self) -> Kind:
        """The kind of chunk that executes it: any chunk of this kind may."""
        return engine_kind(self.mixes)

    @property
    def stores_weights(self) -> bool:
        """Whether its weights are data; otherwise they are all 1, and one word of ones serves the whole layer."""
        return bool(self.weight_axes)

    @property
    def selects(self) -> bool:
        """Whether an output is one of the codes that it reads: there is nothing to multiply, to add or to round."""
        return not self.stores_weights and not self.reduce.grows

    @property
    def definition(self) -> str:
        """The accumulator of output channel m, as docs/numerics.md has it."""
        return f"{self.reduce.name} over {'n, ' if self.mixes else ''}ky, kx of {self.product}"

    def problems(self, layer: Layer, inputs: int, outputs: int) -> Problems:
        """What `layer`, from N = inputs to M = outputs channels, has and this operator does not allow."""
        if not self.mixes and inputs != outputs:
            yield f"{self.op} from {inputs} to {outputs} channels; legal: equal"
        for name, neutral in NEUTRAL.items():
            if name not in self.attributes and getattr(layer, name) != neutral:
                others = ", ".join(row.op for row in OPERATORS.values() if name in row.attributes)
                yield f"{self.op} with {name} {getattr(layer, name)}; legal: {neutral} (others for {others} only)"
        if "groups" not in self.attributes:
            return
        if layer.groups == 1 and layer.rotate != 0:
            yield f"rotate is {layer.rotate} with one group; legal: 0"
        if layer.groups == 2:
            for what, channels in (("input", inputs), ("output", outputs)):
                if channels % 2:
                    yield f"{channels} {what} channels in 2 groups; legal: an even number"
            yield from limit("rotate", layer.rotate, 0, outputs - 1)

    def reduction(self, layer: Layer, inputs: int) -> int:
        """Products that make one output value."""
        return layer.kernel_h * layer.kernel_w * (inputs // layer.groups if self.mixes else 1)

    def loops(self, layer: Layer, inputs: int, outputs: int) -> tuple[int, int, int] | None:
        """(groups, output channels of a group, input channels of a group) of its loop nest; None where it has no
        weights to multiply with."""
        if not self.stores_weights:
            return None
        return (layer.groups, outputs // layer.groups, inputs // layer.groups) if self.mixes else (outputs, 1, 1)

    def weight_shape(self, layer: Layer, inputs: int, outputs: int) -> tuple[int, ...]:
        """Shape of the stored weights; (0,) if there are none."""
        sizes: dict[Axis, int] = {
            "M": outputs, "N / groups": inputs // layer.groups, "KH": layer.kernel_h, "KW": layer.kernel_w,
        }  # fmt: skip
        return tuple(sizes[axis] for axis in self.weight_axes) or (0,)

    def operand_bits(self, layer: Layer) -> int:
        """Bits of the weight that the multiplier sees."""
        return layer.weight_bits if self.stores_weights else UNIT_WEIGHT_BITS

    def memory_bits(self, layer: Layer) -> int:
        """Bits of a weight in the memory of its chunk."""
        return layer.weight_store_bits if self.stores_weights else UNIT_WEIGHT_BITS

    def counted_bits(self, layer: Layer) -> int:
        """Bits of a weight where operations are counted: 1 where no weight is stored."""
        return layer.weight_bits if self.stores_weights else 1

    def accumulator_bits(self, layer: Layer, source: Tensor) -> int:
        """Bits of a signed accumulator that can never overflow, from bitwidths and shape alone."""
        largest = 1 << (layer.weight_bits - 1) if self.stores_weights else 1
        terms = self.reduction(layer, source.channels) if self.reduce.grows else 1
        return accumulator_bits(terms, layer.act_bits, source.signed, largest)

    def accumulate(
        self, layer: Layer, size: tuple[int, int], operand: np.ndarray, weight: np.ndarray | None
    ) -> np.ndarray:
        """Accumulators of `size` output rows and columns, int64 [B, H_out, W_out, M], before the bias.

        operand: nested input codes [B, (H_out - 1) * stride_h + KH, (W_out - 1) * stride_w + KW, N], padded. weight:
        nested weights of `weight_shape`,
        or None where none are stored. Both are of one floating type in which every partial sum is exact.
        """
        if not self.mixes:
            return _per_channel(self.reduce, layer, size, operand, weight)
        assert weight is not None
        assert self.reduce is SUM
        if layer.groups == 1:
            return _mixing(layer, size, operand, weight)
        m, n = weight.shape[:2]
        second = second_group(m, layer.rotate)
        acc = np.empty((operand.shape[0], *size, m), np.int64)
        for begin, outputs in ((0, ~second), (n, second)):
            acc[..., outputs] = _mixing(layer, size, operand[..., begin : begin + n], weight[outputs])
        return acc


def _mixing(layer: Layer, size: tuple[int, int], operand: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """weight: [M, N, KH, KW]. One matrix product over unfolded windows."""
    batch, _, _, channels = operand.shape
    taps = (layer.kernel_h, layer.kernel_w)
    windows = np.lib.stride_tricks.sliding_window_view(operand, taps, axis=(1, 2))
    windows = windows[:, :: layer.stride_h, :: layer.stride_w]
    unfolded = np.ascontiguousarray(windows.transpose(0, 1, 2, 4, 5, 3)).reshape(-1, taps[0] * taps[1] * channels)
    acc = unfolded @ weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])
    return acc.reshape(batch, *size, -1).astype(np.int64)


def _per_channel(
    how: Reduce, layer: Layer, size: tuple[int, int], operand: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    """weight: [M, KH, KW], or None for ones. The taps are joined one after the other."""
    span_h, span_w = (size[0] - 1) * layer.stride_h + 1, (size[1] - 1) * layer.stride_w + 1

    def product(tap: tuple[int, ...]) -> np.ndarray:
        ky, kx = tap
        seen = operand[:, ky : ky + span_h : layer.stride_h, kx : kx + span_w : layer.stride_w]
        return seen if weight is None else seen * weight[:, ky, kx]

    return reduce(how.combine, map(product, np.ndindex(layer.kernel_h, layer.kernel_w))).astype(np.int64)


OPERATORS: dict[str, Operator] = {
    row.op: row
    for row in (
        Operator(
            op="dense",
            title="convolution",
            product="w[m, n, ky, kx] * a[n]",
            attributes=(*WINDOW, "groups", "rotate"),
            mixes=True,
            weight_axes=("M", "N / groups", "KH", "KW"),
        ),
        Operator(
            op="depthwise",
            title="depthwise convolution",
            product="w[m, ky, kx] * a[m]",
            attributes=WINDOW,
            mixes=False,
            weight_axes=("M", "KH", "KW"),
        ),
        Operator(
            op="avgpool",
            title="average pooling",
            product="a[m]",
            attributes=WINDOW,
            mixes=False,
            weight_axes=(),
            averages=True,
        ),
        Operator(
            op="maxpool",
            title="max pooling",
            product="a[m]",
            attributes=WINDOW,
            mixes=False,
            weight_axes=(),
            reduce=MAX,
        ),
    )
}
"""Every operator by the name that `Layer.op` has."""
