# SPDX-License-Identifier: Apache-2.0
"""Which multipliers of a chunk may be made of adders, what that saves of DSP blocks, and what it takes of logic."""

from __future__ import annotations

from nba.core.compiled import compiled
from nba.ir.network import MULT_BITS

_TOTAL_BITS = 48
"""Bits of a requantised value before its shift, at least (nba_requant)."""
DSP_BITS = 25
"""Bits of the wider operand of a DSP48E1. A requantiser whose sums are no wider adds bias and offset in the block."""


@compiled
def multiplier_bits(
    a_bits: int, b_bits: int, b_signed: bool, product_bits: int, stages: int
) -> tuple[int, int, int]:  # fmt: skip
    """What nba_mul consists of: (bits of its rows, of its adders, of its registers).

    A row is a digit of b times a; rows are added in pairs, each sum as wide as it needs to be, and what lies below the
    second of a pair is not added. With three stages what two levels leave is added at the full width, its saved carries
    counted as adders."""
    digits = (b_bits + (1 if b_signed else 2)) // 2
    rows = digits + (1 if b_signed else 0)
    levels = 0
    while (1 << levels) < rows:
        levels += 1
    tree = levels if stages < 3 else min(levels, 2)
    early = levels // 2 if stages < 3 else min(levels - 1, 1)
    adders = product_bits * (((rows + (1 << tree) - 1) >> tree) - 1)
    registers = product_bits
    if early == 0:
        registers += digits * (a_bits + 1)
    for level in range(tree):
        first = 0
        while first < rows:
            second, last = first + (1 << level), min(first + (2 << level), digits) - 1
            low = max(0, 2 * first - 2)
            high = min(product_bits, a_bits + 2 * last + 2)
            if second < rows:
                adders += high - (2 * second - 2)
            if level + 1 == early or (stages > 2 and level + 1 == tree):
                registers += high - low if first < digits else 1
            first += 2 << level
    return digits * (a_bits + 1), adders, registers


@compiled
def requant_bits(pq: int, pp: int, acc_bits: int, code_bits: int, has_residual: bool) -> tuple[int, int, int]:
    """Bits of rows, adders and registers of the multipliers of pq x pp requantised values, with the operands that a DSP
    block would have in registers of its own."""
    rows, adders, registers = multiplier_bits(acc_bits + 1, MULT_BITS, False, acc_bits + 1 + MULT_BITS, 3)
    registers += acc_bits + 1
    most = acc_bits + (1 if code_bits > 8 else 0)
    total = most + 18 if most > 30 else _TOTAL_BITS
    if acc_bits < DSP_BITS:
        adders += acc_bits + 1 + total
        registers += total if has_residual else 2 * total
    if has_residual:
        more = multiplier_bits(MULT_BITS + 1, code_bits + 1, True, code_bits + 1 + MULT_BITS, 2)
        rows, adders, registers = rows + more[0], adders + more[1] + total, registers + more[2] + total
    values = pq * pp
    return values * rows, values * adders, values * registers + pq * MULT_BITS


@compiled
def product_bits(pm: int, pp: int, act_bits: int, weight_bits: int, acc_bits: int) -> tuple[int, int, int]:
    """Bits of rows, adders and registers of the pm x pp multipliers of an engine that does not mix channels."""
    product = min(act_bits + weight_bits, acc_bits)
    rows, adders, registers = multiplier_bits(act_bits + 1, weight_bits, True, product, 2)
    values = pm * pp
    return values * rows, values * adders, values * registers
