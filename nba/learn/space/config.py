# SPDX-License-Identifier: Apache-2.0
"""The section `network` of a spec: the frame of the networks that are searched, and the choices of their blocks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from nba.core.section import Section, with_preset
from nba.ir.network import LEGAL_BITS, LEGAL_BITS_TEXT
from nba.learn.space.operators import OPERATOR, SKIP
from nba.learn.space.presets import NETWORKS

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
    wrong = [op for op in operators if op != SKIP and not OPERATOR.fullmatch(op)]
    if wrong:
        raise ValueError(
            f"{', '.join(wrong)}: an operator is `skip`, k<kernel>_e<expansion> or k<kernel>_e<expansion>_g2, such "
            "as k3_e6"
        )
    if len(set(operators)) != len(operators):
        raise ValueError("an operator is listed twice")
    if set(operators) == {SKIP}:
        raise ValueError("at least one operator must not be `skip`")
    return operators


Bits = Annotated[int, Field(strict=True, json_schema_extra={"enum": list(LEGAL_BITS)}), AfterValidator(_legal_bits)]
Bitwidths = Annotated[tuple[Bits, ...], Field(min_length=1), AfterValidator(_distinct_rising)]
Operators = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_known_operators)]


class StageSpace(Section):
    """`blocks` blocks of `channels` output channels; the first has stride `stride`. `operators` and `bitwidths` stand
    in for those of the whole network in these blocks."""

    channels: Annotated[int, Field(ge=1, le=2048, strict=True)]
    blocks: Annotated[int, Field(ge=1, le=MAX_BLOCKS, strict=True)]
    stride: Literal[1, 2] = 1
    operators: Operators | None = None
    bitwidths: Bitwidths | None = None


class NetworkSpace(Section):
    """The networks that are searched: a fixed frame of stem, stages and head; one operator per block.

    `preset` gives every field that does not stand beside it. `bits_per`: what shares one searched bitwidth.
    `expand_at_one`: operators of expansion 1 have an expand layer too.
    """

    preset: Literal["auto-nba-cifar", "auto-nba-imagenet"] | None = None
    stem_channels: Annotated[int, Field(ge=1, le=1024, strict=True)]
    stem_stride: Literal[1, 2] = 1
    stages: Annotated[tuple[StageSpace, ...], Field(min_length=1, max_length=MAX_STAGES)]
    operators: Operators = BLOCK_OPERATORS
    expand_at_one: Annotated[bool, Field(strict=True)] = False
    head_channels: Annotated[int, Field(ge=1, le=4096, strict=True)]
    stem_bits: Bits = 8
    head_bits: Bits = 8
    classifier_bits: Bits = 8
    bits_per: BitsPer = "block"

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, raw: Any) -> Any:
        return with_preset(raw, NETWORKS)
