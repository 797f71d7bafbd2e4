# SPDX-License-Identifier: Apache-2.0
"""nba_pair: both products of every column, every cycle; weights and operands at their ends and elsewhere, in all
combinations of the ends where it takes one column; of several columns, steps of random degree."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product

import cocotb
from cocotb.triggers import RisingEdge
from lanes import draw, most_operand, pack, spread, unpack
from stepping import begin, parameter, rng

LATENCY = 3
"""Cycles from the weights to the products."""

Case = tuple[int, int, list[int]]
"""Two weights and the operands of a step's columns: 2^s_degree of them."""


def one_column(rand: random.Random, a_bits: int, w_bits: int) -> list[Case]:
    """All ends with each other, and others."""
    most, half = (1 << a_bits) - 1, 1 << (w_bits - 1)
    ends = (-half, -half + 1, -1, 0, 1, half - 1)
    cases = [(w0, w1, [a]) for w0, w1, a in product(ends, ends, (-most, 1 - most, -1, 0, 1, most - 1, most))]
    draws = ((draw(rand, -half, half - 1), draw(rand, -half, half - 1), draw(rand, -most, most)) for _ in range(6000))
    return cases + [(w0, w1, [a]) for w0, w1, a in draws]


def several_columns(rand: random.Random, s_degree: int, a_bits: int, w_bits: int) -> list[Case]:
    """Weights at their ends with operands at theirs, and others, within the limits of the degree."""
    most = min(most_operand(s_degree), (1 << a_bits) - 1)
    half = min(1 << (7 >> s_degree), 1 << (w_bits - 1))
    cases: list[Case] = []
    for w0, w1 in product((-half, half - 1), repeat=2):
        cases += [(w0, w1, list(case)) for case in product((-most, -1, 0, most), repeat=1 << s_degree)]
    for _ in range(4000):
        columns = [draw(rand, -most, most) for _ in range(1 << s_degree)]
        cases.append((draw(rand, -half, half - 1), draw(rand, -half, half - 1), columns))
    return cases


def products(word: int, degree: int, width: int) -> list[int]:
    """The columns of m_p0 or m_p1."""
    if degree == 1:
        return unpack(word, width, 1)
    fields = unpack(word, 16, 1) + unpack(word >> 16, 8, 1)
    return fields if degree == 2 else fields + unpack(word >> 24, 4, 2)


def compare(cases: Sequence[Case], seen: Sequence[tuple[list[int], list[int]]]) -> None:
    assert len(seen) == len(cases)
    for case, found in zip(cases, seen, strict=True):
        w0, w1, columns = case
        assert found[0][: len(columns)] == [w0 * a for a in columns], (case, found)
        assert found[1][: len(columns)] == [w1 * a for a in columns], (case, found)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def both_products(dut) -> None:
    a_bits, w_bits, degree = (parameter(dut, name) for name in ("A_BITS", "W_BITS", "DEGREE"))
    rand = rng()
    cases = one_column(rand, a_bits, w_bits)
    for s_degree in range(1, degree.bit_length()):
        cases += several_columns(rand, s_degree, a_bits, w_bits)
    rand.shuffle(cases)
    width = {1: a_bits + 1, 2: 13, 4: 15}[degree]
    await begin(dut, ("s_w0", "s_w1", "s_a", "s_degree_q1", "s_degree_q2"))
    seen = []

    def case(cycle: int) -> Case:
        return cases[min(max(cycle, 0), len(cases) - 1)]

    for cycle in range(len(cases) + LATENCY + 1):
        await RisingEdge(dut.clk)
        if cycle > LATENCY:
            ports = (dut.m_p0.value.to_unsigned(), dut.m_p1.value.to_unsigned())
            seen.append(tuple(products(port, degree, a_bits + w_bits) for port in ports))
        w0, w1, _ = case(cycle)
        dut.s_w0.value, dut.s_w1.value = pack([w0], w_bits), pack([w1], w_bits)
        # The operand comes one cycle after its weights, its degree one and two cycles after the operand.
        dut.s_a.value = pack([spread(case(cycle - 1)[2])], width)
        for port, late in ((dut.s_degree_q1, 2), (dut.s_degree_q2, 3)):
            port.value = len(case(cycle - late)[2]).bit_length() - 1 if degree > 1 else rand.getrandbits(2)
    compare(cases, seen)
