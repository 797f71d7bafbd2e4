# SPDX-License-Identifier: Apache-2.0
"""The integer network: a layer graph in which every number is an integer code (docs/numerics.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from nba.ir.operators import OPERATORS, Op, Operator

MASTER_BITS = 8
"""Bits of the one stored (master) code of every feature map, where a network does not ask for WIDE_BITS."""
WIDE_BITS = 16
"""The other width of a code that a network may have, for all of its feature maps."""
MAY_LACK: Mapping[str, bool] = {"may_lack": True}
"""Metadata of a field that files leave out where it is None."""
LEGAL_BITS = (2, 3, 4, 5, 6, 7, 8, WIDE_BITS)
"""Bits of weights and activations."""
LEGAL_BITS_TEXT = "2..8, 16"
"""LEGAL_BITS as messages say them."""
FLOAT_BITS = 32
"""Stands for no rounding at all, where a bitwidth of a switchable-precision network is named."""
SWITCHABLE_BITS = (2, 3, 4, 5, 6, 7, 8, 12, WIDE_BITS, FLOAT_BITS)
"""What a bitwidth of a switchable-precision network may be; those beyond LEGAL_BITS are for training only."""
SWITCHABLE_BITS_TEXT = "2..8, 12, 16, 32"
"""SWITCHABLE_BITS as messages say them."""
MULT_BITS = 16
"""Bits of the unsigned requantisation multipliers `mult` and `res_mult`."""
MAX_SHIFT = 47
"""Largest requantisation shift; products fit in 48 bits + sign by construction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor:
    """A feature map of `height` x `width` x `channels` integer codes, stored as master codes of `bits` bits.

    `bits` is 8 or 16, and the same for all tensors of a network, so that buffers and streams are of one kind.
    `signed` says how the stored code is read; `zero_point` is the code of real zero (0 in native networks) and is
    what padding inserts; `scale` is the real value of one code step (information only: no integer depends on it).
    """

    name: str
    height: int
    width: int
    channels: int
    signed: bool
    zero_point: int = 0
    scale: float = 1.0
    bits: int = MASTER_BITS

    @property
    def code_min(self) -> int:
        """Smallest master code."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def code_max(self) -> int:
        """Largest master code."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def dtype(self) -> np.dtype:
        """The numpy integers that hold its codes, signed or not: int16 (8 bits) or int32 (16 bits)."""
        return np.dtype(np.int16 if self.bits == MASTER_BITS else np.int32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One job of the accelerator: `op` (nba.ir.operators), bias, requantisation, optional residual addition and clamp.

    `input` and `residual` are tensor indices of the network; layer i writes tensor i + 1. A fully connected layer is
    `dense` with a kernel as large as its input map. `act_bits` / `weight_bits` are the bits (2..8 or 16) that the
    multiplier sees (nested bits); `weight_store_bits` are the bits of the stored weight codes, which are rounded down
    to `weight_bits` on the way to the multiplier; an operator without stored weights ignores both.
    `q_min`, `q_max` clamp the output code (ReLU and ReLU6 are this clamp).

    `groups` 2 (where the operator has groups; even M and N): output channel m of M sees the half
    ((m + rotate) // (M / 2)) mod 2 of the input channels. With `rotate` M / 4 every half of the outputs holds as many
    channels of either group: a channel shuffle, up to the order of channels, that costs nothing
    (docs/decisions/0008-grouped-layers.md).

    `shifts` [M]: a requantisation shift for every output channel, of which `shift` is the least; None: all have
    `shift`. `pad_codes` [N]: the master code that padding inserts, for every input channel; None: what the operator
    inserts in all of them (docs/decisions/0020-shifts-and-pad-codes-per-channel.md).
    """

    name: str
    op: Op
    input: int
    residual: int | None = None
    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    groups: int = 1
    rotate: int = 0
    act_bits: int = MASTER_BITS
    weight_bits: int = 8
    weight_store_bits: int = 8
    shift: int
    res_mult: int = 0
    q_min: int
    q_max: int
    shifts: tuple[int, ...] | None = field(default=None, metadata=MAY_LACK)
    pad_codes: tuple[int, ...] | None = field(default=None, metadata=MAY_LACK)

    @property
    def operator(self) -> Operator:
        """What is known of its kind."""
        return OPERATORS[self.op]

    @property
    def shift_bits(self) -> int:
        """Bits that hold how far the shift of any channel is above `shift`; 0 where all are equal."""
        return (self.most_shift - self.shift).bit_length()

    @property
    def most_shift(self) -> int:
        """The largest shift of any channel; `shift` is the least."""
        return self.shift if self.shifts is None else max(self.shifts)

    def pad_row(self, source: Tensor) -> tuple[int, ...]:
        """The master codes [N] that padding inserts, of a layer that reads `source`."""
        return self.pad_codes or (self.operator.reduce.pad_code(source),) * source.channels


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """Layers in topological order. `tensors[0]` is the input, `tensors[i + 1]` the output of `layers[i]`;
    the last tensor is the network's output (logits for a classifier)."""

    name: str
    tensors: tuple[Tensor, ...]
    layers: tuple[Layer, ...]

    @property
    def master_bits(self) -> int:
        """Bits of the master codes of all its tensors."""
        return self.tensors[0].bits

    def source(self, layer: Layer) -> Tensor:
        """The tensor that `layer` convolves."""
        return self.tensors[layer.input]

    def result(self, index: int) -> Tensor:
        """The tensor that layer number `index` writes."""
        return self.tensors[index + 1]

    def reduction(self, index: int) -> int:
        """Products summed for one output value of layer `index`."""
        layer = self.layers[index]
        return layer.operator.reduction(layer, self.source(layer).channels)

    def products(self, index: int) -> int:
        """Operands that layer `index` reduces for one frame: what its engine is busy with."""
        out = self.result(index)
        return out.height * out.width * out.channels * self.reduction(index)

    def macs(self, index: int) -> int:
        """Multiply-accumulates of layer `index` for one frame; none where it compares."""
        return 0 if self.layers[index].operator.selects else self.products(index)

    def acc_bits(self, index: int) -> int:
        """Bits of a signed accumulator that layer `index` can never overflow, from bitwidths and shape alone.

        The bias of a channel is bound to the same width (nba.machine.check), so `acc + bias` needs one bit more.
        """
        layer = self.layers[index]
        return layer.operator.accumulator_bits(layer, self.source(layer))

    def leaves_map(self, index: int) -> bool:
        """Whether any window of layer `index` has rows or columns outside its input."""
        layer, src, out = self.layers[index], self.source(self.layers[index]), self.result(index)
        below = (out.height - 1) * layer.stride_h + layer.kernel_h - layer.pad_top > src.height
        right = (out.width - 1) * layer.stride_w + layer.kernel_w - layer.pad_left > src.width
        return layer.pad_top > 0 or layer.pad_left > 0 or below or right

    def consumers(self, tensor: int) -> tuple[tuple[int, str], ...]:
        """(layer index, "main" or "residual") of every use of tensor number `tensor`."""
        uses: list[tuple[int, str]] = []
        for i, layer in enumerate(self.layers):
            if layer.input == tensor:
                uses.append((i, "main"))
            if layer.residual == tensor:
                uses.append((i, "residual"))
        return tuple(uses)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LayerWeights:
    """Integers of one layer with M output channels and N input channels.

    weight: codes of `weight_store_bits` in the shape of `weight_shape`, int8 (int16 where those bits are 16).
    bias: int32 [M] in accumulator scale. mult: int32 [M], 0 <= mult < 2**MULT_BITS.
    """

    weight: np.ndarray
    bias: np.ndarray
    mult: np.ndarray


Weights = tuple[LayerWeights, ...]


def document(value: Any) -> dict[str, Any]:
    """The JSON object of a network, or of a dataclass that holds networks."""
    lacking = {f.name for f in fields(Layer) if f.metadata.get("may_lack")}
    return asdict(value, dict_factory=lambda items: {k: v for k, v in items if v is not None or k not in lacking})


def weight_shape(network: Network, index: int) -> tuple[int, ...]:
    """Shape of the stored weight array of layer `index`."""
    layer = network.layers[index]
    return layer.operator.weight_shape(layer, network.source(layer).channels, network.result(index).channels)


def weight_dtype(layer: Layer) -> str:
    """dtype of the stored weight array of `layer`."""
    return "int16" if layer.weight_store_bits == WIDE_BITS else "int8"


def widened(network: Network) -> Network:
    """`network` with master codes of 16 bits if a layer sees 16 bits of its input, else as it is.

    Zero points and clamps keep their real values: codes are shifted up, and a largest code stays the largest.
    """
    if network.master_bits == WIDE_BITS or all(layer.act_bits <= MASTER_BITS for layer in network.layers):
        return network
    up = WIDE_BITS - MASTER_BITS
    return replace(
        network,
        tensors=tuple(
            replace(t, bits=WIDE_BITS, zero_point=t.zero_point << up, scale=t.scale / (1 << up))
            for t in network.tensors
        ),
        layers=tuple(
            replace(
                layer,
                q_min=layer.q_min << up,
                q_max=((layer.q_max + 1) << up) - 1,
                pad_codes=None if layer.pad_codes is None else tuple(code << up for code in layer.pad_codes),
            )
            for layer in network.layers
        ),
    )


def weights_digest(weights: Weights) -> str:
    """sha256 over all integers of `weights`, independent of how they are stored."""
    h = hashlib.sha256()
    for lw in weights:
        weight = "<i2" if lw.weight.dtype == np.int16 else "<i1"
        for array, dtype in ((lw.weight, weight), (lw.bias, "<i4"), (lw.mult, "<i4")):
            a = np.ascontiguousarray(array, dtype=dtype)
            h.update(repr(a.shape).encode())
            h.update(a.tobytes())
    return h.hexdigest()
