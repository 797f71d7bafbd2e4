# SPDX-License-Identifier: Apache-2.0
"""The section `switchable` of a spec: the configuration of cascade distillation, and of what is made of the network."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from nba.core.section import Section, Weight
from nba.ir.network import MASTER_BITS, SWITCHABLE_BITS, SWITCHABLE_BITS_TEXT

Teachers = Literal["all", "highest", "none"]
"""Which bitwidths teach a lower one."""
ArchitectureBits = Literal["lowest", "highest", "all"]
"""The bitwidths whose validation loss the architecture learns from; of all: its mean."""


def _switchable_bits(bits: int) -> int:
    if bits not in SWITCHABLE_BITS:
        raise ValueError(f"not a legal number of bits; legal: {SWITCHABLE_BITS_TEXT}")
    return bits


def _rising(bits: tuple[int, ...]) -> tuple[int, ...]:
    if list(bits) != sorted(set(bits)):
        raise ValueError(f"{list(bits)}: give each bitwidth once, in rising order")
    return bits


def _with_shared_codes(bits: tuple[int, ...]) -> tuple[int, ...]:
    if bits[0] > MASTER_BITS:
        raise ValueError(f"the lowest is {bits[0]}; legal: at most {MASTER_BITS}, the bits of the shared codes")
    return bits


SwitchableBits = Annotated[
    int, Field(strict=True, json_schema_extra={"enum": list(SWITCHABLE_BITS)}), AfterValidator(_switchable_bits)
]


class Cascade(Section):
    """Cascade distillation training at one bitwidth or several. All layers work at one of `bitwidths`, but for the
    first where `stem_bits` and the last where `classifier_bits` give it 2..8 bits at every bitwidth. beta: weight of
    the distillation, after `beta_warmup_epochs` of linear rise. teachers: all higher bitwidths, the highest or none.
    teacher_sum: the distances to several teachers are added (as published) or averaged."""

    bitwidths: Annotated[tuple[SwitchableBits, ...], Field(min_length=1), AfterValidator(_rising)] = (4, 8, 12, 16, 32)
    beta: Weight = 1.0
    teachers: Teachers = "all"
    teacher_sum: Literal["sum", "mean"] = "sum"
    beta_warmup_epochs: Annotated[float, Field(ge=0, le=10_000, strict=True)] = 0.0
    stem_bits: Annotated[int, Field(ge=2, le=MASTER_BITS, strict=True)] | None = None
    classifier_bits: Annotated[int, Field(ge=2, le=MASTER_BITS, strict=True)] | None = None

    def recipe(self) -> dict[str, Any]:
        """All fields that shape what is trained."""
        return self.model_dump(include=set(Cascade.model_fields))


class Switchable(Cascade):
    """One network for several bitwidths, trained by cascade distillation (InstantNet): all of its layers work at one of
    `bitwidths`, weights and activations alike, but for the first where `stem_bits` and the last where `classifier_bits`
    fix theirs. Up to 8 bits they share one stored set of 8-bit codes.

    Every bitwidth learns the labels and, with weight `beta` (after `beta_warmup_epochs` of linear rise), the logits of
    its teachers: all higher bitwidths, the highest, or none. teacher_sum: distances to several are added or averaged.

    The weights of the search see every bitwidth; architecture_bits: what its operators are chosen by, the lowest, the
    highest or all of them. hierarchy: the loop-nest model whose energy and latency are the cost of the search, and on
    which every bitwidth is mapped: eyeriss-like, tpu-like, mcu-class, chunk-<platform> (our own template, which has no
    12 and 32 bits), or the path of a description in YAML. mapping_effort: loop nests that are evaluated for every layer
    (null: as many as `map` does). hardware_bits: the one bitwidth (8 or less) that is emitted as hardware (null: all of
    them, as modes of one accelerator, chosen at run time).
    """

    bitwidths: Annotated[
        tuple[SwitchableBits, ...], Field(min_length=2), AfterValidator(_rising), AfterValidator(_with_shared_codes)
    ] = (4, 8, 12, 16, 32)
    architecture_bits: ArchitectureBits = "lowest"
    hierarchy: Annotated[str, Field(min_length=1)] = "eyeriss-like"
    mapping_effort: Annotated[int, Field(ge=100, le=100_000_000, strict=True)] | None = None
    hardware_bits: Annotated[int, Field(ge=2, le=MASTER_BITS, strict=True)] | None = None

    @model_validator(mode="after")
    def _hardware_is_trained(self) -> Switchable:
        if self.hardware_bits is not None and self.hardware_bits not in self.bitwidths:
            legal = ", ".join(str(b) for b in self.bitwidths if b <= MASTER_BITS)
            raise ValueError(f"hardware_bits {self.hardware_bits}: not one of its bitwidths; legal: {legal}")
        return self

    def modes(self) -> tuple[int, ...]:
        """The bitwidths whose integer networks become hardware, rising: `hardware_bits`, or all of up to 8 bits, as
        modes of one accelerator."""
        if self.hardware_bits is not None:
            return (self.hardware_bits,)
        return tuple(bits for bits in self.bitwidths if bits <= MASTER_BITS)
