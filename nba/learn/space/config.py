# SPDX-License-Identifier: Apache-2.0
"""The section `network` of a spec: the frame of the networks that are searched, and the choices of their blocks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from nba.core.section import Section, with_preset
from nba.ir.network import LEGAL_BITS, LEGAL_BITS_TEXT
from nba.ir.network_rules import MAX_CHANNELS, MAX_STRIDE
from nba.learn.space.operators import KERNELS, POOL_KERNELS, SKIP, is_operator
from nba.learn.space.presets import NETWORK_PRESETS
from nba.learn.space.strides import STRIDE_TEXT, is_stride, shortest

BLOCK_OPERATORS = ("k3_e1", "k3_e3", "k3_e6", "k5_e3", "k5_e6", SKIP)
"""The default operator choices of a block."""
BITWIDTHS = (2, 4, 6, 8)
"""The default bitwidth choices of a block (weights and activations alike)."""
MAX_STAGES = 16
MAX_BLOCKS = 16
"""Stages of a space, and blocks of a stage."""

BitsPer = Literal["block", "stage", "network"]
"""What shares one searched bitwidth."""


def _legal_bits(bits: int) -> int:
    if bits not in LEGAL_BITS:
        raise ValueError(f"not a legal number of bits; legal: {LEGAL_BITS_TEXT}")
    return bits


def _distinct_rising(bits: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if bits is not None and len(set(bits)) != len(bits):
        raise ValueError("a bitwidth is listed twice")
    return None if bits is None else tuple(sorted(bits))


def _known_operators(operators: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if operators is None:
        return None
    wrong = [op for op in operators if not is_operator(op)]
    if wrong:
        raise ValueError(
            f"{', '.join(wrong)}: an operator is `skip`, k<kernel>_e<expansion> or k<kernel>_e<expansion>_g2, such "
            f"as k3_e6; a kernel is odd and at most {KERNELS[-1]}"
        )
    if len(set(operators)) != len(operators):
        raise ValueError("an operator is listed twice")
    if set(operators) == {SKIP}:
        raise ValueError("at least one operator must not be `skip`")
    return operators


def _legal_stride(value: Any) -> Any:
    """One number where both are equal; refused here, so that a wrong value has one error and not one per form."""
    stride = tuple(value) if isinstance(value, list | tuple) else value
    if not is_stride(stride):
        raise ValueError(f"input should be {STRIDE_TEXT}{f'; it is {list(stride)}' if stride is not value else ''}")
    return shortest(stride)


def _pool_kernel(kernel: int) -> int:
    if kernel not in POOL_KERNELS:
        raise ValueError(f"input should be an odd number from {POOL_KERNELS[0]} to {POOL_KERNELS[-1]}")
    return kernel


PoolKernel = Annotated[
    int,
    Field(strict=True, json_schema_extra={"minimum": POOL_KERNELS[0], "maximum": POOL_KERNELS[-1]}),
    AfterValidator(_pool_kernel),
]
Channels = Annotated[int, Field(ge=1, le=MAX_CHANNELS, strict=True)]
Steps = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": MAX_STRIDE})]
Strides = Annotated[Steps | tuple[Steps, Steps], BeforeValidator(_legal_stride)]
"""Of rows and columns together, or [rows, columns]."""
Bits = Annotated[int, Field(strict=True, json_schema_extra={"enum": list(LEGAL_BITS)}), AfterValidator(_legal_bits)]
Bitwidths = Annotated[tuple[Bits, ...], Field(min_length=1), AfterValidator(_distinct_rising)]
Operators = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_known_operators)]


class StageSpace(Section):
    """`blocks` blocks of `channels` output channels; the first has stride `stride`. `operators` and `bitwidths` stand
    in for those of the whole network in these blocks."""

    channels: Channels
    blocks: Annotated[int, Field(ge=1, le=MAX_BLOCKS, strict=True)]
    stride: Strides = 1
    operators: Operators | None = None
    bitwidths: Bitwidths | None = None


class StemPoolSpace(Section):
    """A max pooling of `kernel` x `kernel` codes, padded by half of the kernel."""

    kernel: PoolKernel = 3
    stride: Strides = 2


class NetworkFrame(Section):
    """What the section `network` says, and what the space that is made of it (`nba.learn.space.network.Macro`) has."""

    stem_channels: Channels
    stem_stride: Strides = 1
    stem_pool: StemPoolSpace | None = None
    stages: Annotated[tuple[StageSpace, ...], Field(min_length=1, max_length=MAX_STAGES)]
    operators: Operators = BLOCK_OPERATORS
    expand_at_one: Annotated[bool, Field(strict=True)] = False
    head_channels: Channels
    stem_bits: Bits = 8
    head_bits: Bits = 8
    classifier_bits: Bits = 8
    bits_per: BitsPer = "block"


class NetworkSpace(NetworkFrame):
    """The networks that are searched: a fixed frame of stem, stages and head; one operator per block.

    `preset` gives every field that does not stand beside it. `stem_pool`: a max pooling between the stem and the first
    stage, as in ResNet. `bits_per`: what shares one searched bitwidth.
    `expand_at_one`: operators of expansion 1 have an expand layer too.
    """

    preset: Literal["auto-nba-cifar", "auto-nba-imagenet"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, raw: Any) -> Any:
        return with_preset(raw, NETWORK_PRESETS)
