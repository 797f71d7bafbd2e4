# SPDX-License-Identifier: Apache-2.0
"""nba_pair: both products of every cycle; weights and operands at their ends and elsewhere, in all combinations of the
ends."""

from __future__ import annotations

from itertools import product

import cocotb
from cocotb.triggers import RisingEdge
from lanes import draw, pack, unpack
from stepping import begin, parameter, rng

LATENCY = 3
"""Cycles from the weights to the products."""


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def both_products(dut) -> None:
    a_bits, w_bits = parameter(dut, "A_BITS"), parameter(dut, "W_BITS")
    rand = rng()
    most, half = (1 << a_bits) - 1, 1 << (w_bits - 1)
    ends = (-half, -half + 1, -1, 0, 1, half - 1)
    cases = list(product(ends, ends, (-most, 1 - most, -1, 0, 1, most - 1, most)))
    cases += [(draw(rand, -half, half - 1), draw(rand, -half, half - 1), draw(rand, -most, most)) for _ in range(6000)]
    rand.shuffle(cases)
    await begin(dut, ("s_w0", "s_w1", "s_a"))
    seen = []
    for cycle in range(len(cases) + LATENCY + 1):
        await RisingEdge(dut.clk)
        if cycle > LATENCY:
            seen.append(tuple(unpack(port.value.to_unsigned(), a_bits + w_bits, 1)[0] for port in (dut.m_p0, dut.m_p1)))
        w0, w1, _ = cases[min(cycle, len(cases) - 1)]
        dut.s_w0.value, dut.s_w1.value = pack([w0], w_bits), pack([w1], w_bits)
        # The operand comes one cycle after its weights.
        dut.s_a.value = pack([cases[min(max(cycle - 1, 0), len(cases) - 1)][2]], a_bits + 1)
    assert len(seen) == len(cases)
    for case, found in zip(cases, seen, strict=True):
        assert found == (case[0] * case[2], case[1] * case[2]), (case, found)
