# SPDX-License-Identifier: Apache-2.0
"""Whether an architecture is a point of its space."""

from __future__ import annotations

from nba.core.errors import SpecError
from nba.learn.space.network import Architecture, blocks, choices


def check_architecture(architecture: Architecture) -> None:
    """Raise SpecError unless `architecture` is a point of its own space."""
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
