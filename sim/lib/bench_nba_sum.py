# SPDX-License-Identifier: Apache-2.0
"""nba_sum: the accumulator of every cycle, with random gaps between sums; products at their ends and anywhere.

Products and sums are exact integers here, taken modulo 2^ACC_BITS at the end."""

from __future__ import annotations

import cocotb
from cocotb.triggers import RisingEdge
from lanes import draw, pack
from stepping import RATES, begin, parameter, rng

INPUTS = ("s_products", "s_valid", "s_first", "s_max")


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(idle=RATES, often=[0.1, 0.6], ends=[False, True])
async def accumulator_of_every_cycle(dut, idle: float, often: float, ends: bool) -> None:
    """often: how many of the sums replace the accumulator; ends: all products of a cycle are the same extreme."""
    pn, p_bits, acc_bits, has_max = (parameter(dut, name) for name in ("PN", "P_BITS", "ACC_BITS", "HAS_MAX"))
    levels, half, product_half = (pn - 1).bit_length(), 1 << (acc_bits - 1), 1 << (p_bits - 1)
    rand = rng(idle, often, ends)
    await begin(dut, INPUTS)
    await RisingEdge(dut.clk)
    sums: list[int | None] = [None] * levels
    acc: int | None = None
    after: int | None = None
    checked = 0
    for cycle in range(300):
        products = [draw(rand, -product_half, product_half - 1) for _ in range(pn)]
        if ends:
            products = [rand.choice((-product_half, product_half - 1))] * pn
        sums.append(sum(products))
        valid, first, largest = rand.random() >= idle, rand.random() < often or cycle == levels, rand.random() < 0.5
        dut.s_products.value = pack(products, p_bits)
        dut.s_valid.value, dut.s_first.value, dut.s_max.value = int(valid), int(first), int(largest)
        found = sums.pop(0)
        if valid and found is not None:
            found = (found + half) % (2 * half) - half
            if first:
                after = found
            elif after is not None:
                after = max(after, found) if largest and has_max else (after + found + half) % (2 * half) - half
        await RisingEdge(dut.clk)
        if acc is not None:
            word = dut.m_acc.value
            assert word.is_resolvable, f"after {checked} comparisons: {word}"
            assert word.to_signed() == acc, f"after {checked} comparisons"
            checked += 1
        acc = after
    assert checked > 200
