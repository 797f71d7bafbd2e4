# SPDX-License-Identifier: Apache-2.0
"""A layer as eight nested loops (docs/mapping-model.md)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod

from nba.core.errors import NbaError

DIMS = ("N", "G", "M", "C", "P", "Q", "R", "S")
"""The loops: images, groups, output and input channels of a group, output rows and columns, kernel rows and columns."""
N, G, M, C, P, Q, R, S = range(8)
OPERANDS = ("weights", "inputs", "outputs")
WEIGHTS, INPUTS, OUTPUTS = range(3)
WALKS = (
    (False, True, True, True, False, False, True, True),
    (True, True, False, True, True, True, True, True),
    (True, True, True, False, True, True, False, False),
)
"""WALKS[operand][loop]: whether the loop walks the operand. The others reuse it."""
MAX_MACS = 2**48
"""Multiply-accumulates of the largest layer: bits and cycles of 16 levels then fit the 64-bit integers of the model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NestLayer:
    """A convolution (dense, grouped or depthwise) or a fully connected layer.

    n .. s: extents of the loops. stride_h, stride_w: of rows and of columns, in input elements. weight_bits,
    act_bits: of operands."""

    name: str
    n: int = 1
    g: int = 1
    m: int
    c: int
    p: int = 1
    q: int = 1
    r: int = 1
    s: int = 1
    stride_h: int = 1
    stride_w: int = 1
    weight_bits: int = 8
    act_bits: int = 8

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "name" and (not isinstance(value, int) or value < 1):
                raise NbaError(f"layer {self.name}: {field.name} is {value!r}; it must be an integer of at least 1")
        if self.macs > MAX_MACS or max(self.strides) > MAX_MACS:
            raise NbaError(
                f"layer {self.name}: its multiply-accumulates or its strides are more than {MAX_MACS:,}, beyond which "
                "the mapping model does not count exactly; map a part of the layer"
            )

    @property
    def extents(self) -> tuple[int, ...]:
        """Extents of the loops, in the order of DIMS."""
        return (self.n, self.g, self.m, self.c, self.p, self.q, self.r, self.s)

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return prod(self.extents)

    @property
    def strides(self) -> tuple[int, int]:
        """Of rows and of columns."""
        return self.stride_h, self.stride_w

    @property
    def stride_text(self) -> str:
        """`2`, or `2x1` where rows and columns differ."""
        return str(self.stride_h) if self.stride_h == self.stride_w else f"{self.stride_h}x{self.stride_w}"

    @property
    def shape(self) -> tuple[int, ...]:
        """All that the cost depends on: layers with equal shapes are mapped once."""
        return (*self.extents, *self.strides, self.weight_bits, self.act_bits)

    def elements(self, operand: int) -> int:
        """Number of elements of an operand that the layer touches."""
        return elements(operand, self.extents, self.strides)


def touched(outputs: int, taps: int, stride: int) -> int:
    """Input rows that `outputs` consecutive output rows touch through `taps` consecutive kernel rows: h(p, r)."""
    return (outputs - 1) * min(stride, taps) + taps


def elements(operand: int, extents: tuple[int, ...], strides: tuple[int, int]) -> int:
    """Elements of a tile of an operand; `extents` [8] are those of its loops."""
    n, g, m, c, p, q, r, s = extents
    if operand == WEIGHTS:
        return g * m * c * r * s
    if operand == INPUTS:
        return n * g * c * touched(p, r, strides[0]) * touched(q, s, strides[1])
    return n * g * m * p * q
