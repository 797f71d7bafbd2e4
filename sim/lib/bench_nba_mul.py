# SPDX-License-Identifier: Apache-2.0
"""nba_mul: a product every cycle; operands at their ends in all combinations, and others."""

from __future__ import annotations

from itertools import product

import cocotb
from cocotb.triggers import RisingEdge
from lanes import draw, pack
from stepping import begin, parameter, rng


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def products(dut) -> None:
    a_w, b_w, p_w = (parameter(dut, name) for name in ("A_W", "B_W", "P_W"))
    b_signed, latency, rand = parameter(dut, "B_SIGNED"), parameter(dut, "STAGES"), rng()
    a_low, a_high = -(1 << (a_w - 1)), (1 << (a_w - 1)) - 1
    b_low = -(1 << (b_w - 1)) if b_signed else 0
    b_high = b_low + (1 << b_w) - 1
    cases = list(product((a_low, a_low + 1, -1, 0, 1, a_high), (b_low, b_low + 1, 0, 1, b_high - 1, b_high)))
    for _ in range(4000):
        cases.append((draw(rand, a_low, a_high), draw(rand, b_low, b_high)))
    rand.shuffle(cases)
    await begin(dut, ("s_a", "s_b"))
    seen = []

    def case(cycle: int) -> tuple[int, int]:
        return cases[min(max(cycle, 0), len(cases) - 1)]

    for cycle in range(len(cases) + latency + 1):
        await RisingEdge(dut.clk)
        if cycle > latency:
            seen.append(dut.m_p.value.to_unsigned())
        dut.s_a.value, dut.s_b.value = pack([case(cycle)[0]], a_w), pack([case(cycle)[1]], b_w)
    assert len(seen) == len(cases)
    for (a, b), found in zip(cases, seen, strict=True):
        assert found == a * b % (1 << p_w), (a, b, found)
