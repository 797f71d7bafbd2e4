# SPDX-License-Identifier: Apache-2.0
"""nba_spread: the sums of every step, of a random degree each; operands at the ends of their degree and elsewhere, and
all combinations of the ends in the first lane."""

from __future__ import annotations

from itertools import product

import cocotb
from lanes import Inputs, draw, most_operand, pack, spread, stream, unpack
from stepping import parameter, rng


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def sums(dut) -> None:
    pp, degree, lanes, bits = (parameter(dut, name) for name in ("PP", "DEGREE", "LANES", "OP_BITS"))
    width, rand = 13 if degree == 2 else 15, rng()
    firsts: list[tuple[int, list[int] | None]] = []
    for s_degree in range(degree.bit_length()):
        most = min(most_operand(s_degree), (1 << (bits - 1)) - 1)
        ends = sorted({-most, 1 - most, -1, 0, 1, most - 1, most})
        firsts += [(s_degree, list(case)) for case in product(ends, repeat=1 << s_degree)]
        firsts += [(s_degree, None)] * 500
    rand.shuffle(firsts)
    steps: list[Inputs] = []
    expected: list[list[int]] = []
    for s_degree, first in firsts:
        most = min(most_operand(s_degree), (1 << (bits - 1)) - 1)
        columns, half = 1 << s_degree, 1 << (bits - 1)
        # Columns beyond the step's degree carry anything.
        data = [
            [draw(rand, -most, most) if j < pp * columns else draw(rand, -half, half - 1) for _ in range(lanes)]
            for j in range(pp * degree)
        ]
        for i, value in enumerate(first or ()):
            data[i * pp][0] = value
        steps.append({"s_degree": s_degree, "s_data": pack([value for column in data for value in column], bits)})
        operands = [spread([data[p + i * pp][n] for i in range(columns)]) for p in range(pp) for n in range(lanes)]
        expected.append(operands)
    seen = await stream(dut, "m_data", 1, steps)
    for step, word, wanted in zip(steps, seen, expected, strict=True):
        assert unpack(word, width, pp * lanes) == wanted, step
