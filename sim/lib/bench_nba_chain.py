# SPDX-License-Identifier: Apache-2.0
"""nba_chain: both sums of two products, every cycle; weights and operands at their ends and elsewhere, in all
combinations of the ends of one operand with those of the other."""

from __future__ import annotations

from itertools import product

import cocotb
from cocotb.triggers import RisingEdge
from lanes import draw, pack, unpack
from stepping import begin, parameter, rng

LATENCY = 4
"""Cycles from the weights to the sums."""


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def both_sums(dut) -> None:
    a_bits, w_bits, links = (parameter(dut, name) for name in ("A_BITS", "W_BITS", "LINKS"))
    rand = rng()
    most, half = (1 << a_bits) - 1, 1 << (w_bits - 1)
    least = 1 - half if a_bits + w_bits == 16 else -half
    first = list(product((-half, 0, half - 1), (least, -1, half - 1), (-most, 0, most)))
    cases = list(product(first, first))
    for _ in range(6000):
        one, two = (
            (draw(rand, -half, half - 1), draw(rand, least, half - 1), draw(rand, -most, most)) for _ in range(2)
        )
        cases.append((one, two))
    rand.shuffle(cases)
    await begin(dut, ("s_w0", "s_w1", "s_a"))
    seen = []

    def case(cycle: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        return cases[min(max(cycle, 0), len(cases) - 1)]

    for cycle in range(len(cases) + LATENCY + 1):
        await RisingEdge(dut.clk)
        if cycle > LATENCY:
            ports = (dut.m_p0.value.to_unsigned(), dut.m_p1.value.to_unsigned())
            seen.append(tuple(unpack(port, a_bits + w_bits + 1, 1)[0] for port in ports))
        one, two = case(cycle)
        dut.s_w0.value, dut.s_w1.value = pack([one[0], two[0]], w_bits), pack([one[1], two[1]], w_bits)
        # The operands come one cycle after their weights.
        dut.s_a.value = pack([operand for _, _, operand in case(cycle - 1)], a_bits + 1)
    assert len(seen) == len(cases)
    for (one, two), found in zip(cases, seen, strict=True):
        assert found == tuple((links - 1) * one[i] * one[2] + two[i] * two[2] for i in range(2)), (one, two, found)
