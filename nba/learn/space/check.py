# SPDX-License-Identifier: Apache-2.0
"""Whether a network can be built from a macro-architecture, and whether an architecture is a point of its space."""

from __future__ import annotations

from nba.core.errors import SpecError
from nba.ir.network import LEGAL_BITS, LEGAL_BITS_TEXT
from nba.ir.network_rules import MAX_CHANNELS, MAX_DIM
from nba.learn.space.config import MAX_BLOCKS, MAX_STAGES
from nba.learn.space.network import Architecture, Macro, MacroStage, StemPool, blocks, choices
from nba.learn.space.operators import POOL_KERNELS, operators_problems
from nba.learn.space.strides import STRIDE_TEXT, Stride, is_stride, stride_text


def check_macro(macro: Macro) -> None:
    """Raise SpecError, naming every field that is out of range, unless a network can be built from `macro`."""
    problems = []
    most = {"height": MAX_DIM, "width": MAX_DIM}
    most |= dict.fromkeys(("channels", "stem_channels", "head_channels"), MAX_CHANNELS)
    for field, high in most.items():
        if not 1 <= getattr(macro, field) <= high:
            problems.append(f"network.{field}: {getattr(macro, field)} is not a positive number up to {high}")
    if not 2 <= macro.classes <= MAX_CHANNELS:
        problems.append(f"network.classes: {macro.classes}; at least 2 are needed, and at most {MAX_CHANNELS}")
    problems.extend(_stride_problems("network.stem_stride", macro.stem_stride))
    if macro.stem_pool is not None:
        problems.extend(_pool_problems("network.stem_pool", macro.stem_pool))
    for field in ("stem_bits", "head_bits", "classifier_bits"):
        problems.extend(_bits_problems(f"network.{field}", (getattr(macro, field),)))
    if not 1 <= len(macro.stages) <= MAX_STAGES:
        problems.append(
            f"network.stages: {len(macro.stages) or 'empty'}; at least one stage is needed, and at most {MAX_STAGES}"
        )
    if not macro.stages or any(stage.operators is None for stage in macro.stages):
        problems.extend(operators_problems("network.operators", macro.operators))
    if not macro.stages or any(stage.bitwidths is None for stage in macro.stages):
        problems.extend(_bits_problems("network.bitwidths", macro.bitwidths))
    before = macro.stem_channels
    for i, stage in enumerate(macro.stages):
        problems.extend(_stage_problems(f"network.stages[{i}]", stage, before, stage.operators or macro.operators))
        before = stage.channels
    if macro.bits_per == "network" and len({stage.bitwidths or macro.bitwidths for stage in macro.stages}) > 1:
        problems.append(
            "network.stages: bitwidths differ from stage to stage, but bits_per: network has one for all; "
            "give the same ones, or bits_per: stage"
        )
    if problems:
        raise SpecError("the network space is not valid:\n" + "\n".join(f"  - {p}" for p in problems))


def _stride_problems(where: str, stride: Stride) -> list[str]:
    return [] if is_stride(stride) else [f"{where}: {stride_text(stride)} is not {STRIDE_TEXT}"]


def _pool_problems(where: str, pool: StemPool) -> list[str]:
    problems = _stride_problems(f"{where}.stride", pool.stride)
    if pool.kernel not in POOL_KERNELS:
        problems.append(
            f"{where}.kernel: {pool.kernel} is not an odd number from {POOL_KERNELS[0]} to {POOL_KERNELS[-1]}"
        )
    return problems


def _bits_problems(where: str, bits: tuple[int, ...]) -> list[str]:
    problems = [
        f"{where}: {b} is not a legal number of bits; legal: {LEGAL_BITS_TEXT}" for b in bits if b not in LEGAL_BITS
    ]
    if not bits or list(bits) != sorted(set(bits)):
        problems.append(f"{where}: {list(bits)} must be distinct and ascending")
    return problems


def _stage_problems(where: str, stage: MacroStage, before: int, operators: tuple[str, ...]) -> list[str]:
    problems = _stride_problems(f"{where}.stride", stage.stride)
    if not (1 <= stage.channels <= MAX_CHANNELS and 1 <= stage.blocks <= MAX_BLOCKS):
        problems.append(
            f"{where}: channels {stage.channels}, blocks {stage.blocks}; both must be at least 1, and at most "
            f"{MAX_CHANNELS} and {MAX_BLOCKS}"
        )
    if stage.operators is not None:
        problems.extend(operators_problems(f"{where}.operators", stage.operators))
    if stage.bitwidths is not None:
        problems.extend(_bits_problems(f"{where}.bitwidths", stage.bitwidths))
    grouped = [op for op in operators if op.endswith("_g2")]
    odd = sorted({c for c in (before, stage.channels) if c % 2})
    if grouped and odd:
        problems.append(
            f"{where}: {', '.join(grouped)} need an even number of channels before and in the stage, found "
            f"{' and '.join(map(str, odd))}; change the channels, or give the stage operators without _g2"
        )
    return problems


def check_architecture(architecture: Architecture) -> None:
    """Raise SpecError unless `architecture` is a point of its own space."""
    check_macro(architecture.macro)
    places = blocks(architecture.macro)
    problems = []
    if len(architecture.ops) != len(places) or len(architecture.bits) != len(places):
        raise SpecError(
            f"architecture: {len(architecture.ops)} operators and {len(architecture.bits)} bitwidths "
            f"for {len(places)} blocks; give one of each per block"
        )
    group_bits: dict[int, int] = {}
    for i, (op, bits, block) in enumerate(zip(architecture.ops, architecture.bits, places, strict=True)):
        legal = choices(block)
        if op not in legal:
            problems.append(f"ops[{i}]: {op!r} is not one of {', '.join(legal)}")
        if bits not in block.bitwidths:
            problems.append(f"bits[{i}]: {bits} is not one of {', '.join(map(str, block.bitwidths))}")
        if group_bits.setdefault(block.bits_group, bits) != bits:
            problems.append(
                f"bits[{i}]: {bits}, but bits_per: {architecture.macro.bits_per} gives this block the same bits as "
                f"others that have {group_bits[block.bits_group]}"
            )
    if problems:
        raise SpecError("architecture:\n" + "\n".join(f"  - {p}" for p in problems))
