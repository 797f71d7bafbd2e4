# SPDX-License-Identifier: Apache-2.0
"""Helpers of the datapath benches: packed lanes, corner values, and a stream of steps through a stall-free pipeline."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

Inputs = Mapping[str, int]
"""Values of the driven ports in one cycle."""


def pack(values: Sequence[int], width: int) -> int:
    """Lane 0 in the low bits, each lane in two's complement of `width` bits."""
    return sum((value & ((1 << width) - 1)) << (i * width) for i, value in enumerate(values))


def unpack(word: int, width: int, count: int, signed: bool = True) -> list[int]:
    """The `count` lanes of a packed word."""
    lanes = [word >> (i * width) & ((1 << width) - 1) for i in range(count)]
    return [lane - (1 << width) if signed and lane >> (width - 1) else lane for lane in lanes]


def draw(rand: random.Random, low: int, high: int) -> int:
    """A value of low..high, every other time one of the ends or next to them, or next to zero."""
    if rand.random() < 0.5:
        return rand.randint(low, high)
    corners = (low, low + 1, -1, 0, 1, high - 1, high)
    return rand.choice([value for value in corners if low <= value <= high])


def nest(code: int, shift: int, bits: int, signed: bool) -> int:
    """A code as a multiplier of `bits` bits sees it after dropping `shift` bits (docs/numerics.md, nested bits)."""
    if shift == 0:
        return code
    return min((code + (1 << (shift - 1))) >> shift, (1 << (bits - 1 if signed else bits)) - 1)


def most_operand(s_degree: int) -> int:
    """The largest operand of a step of 2^s_degree columns; the smallest is its negative."""
    return (1 << (8 >> s_degree)) - 1


def spread(columns: Sequence[int]) -> int:
    """Operands of 1, 2 or 4 columns as one of nba_pair, each in a field above the one before."""
    return sum(value << (16 // len(columns) * i) for i, value in enumerate(columns))


async def stream(dut, output: str, latency: int, steps: Sequence[Inputs]) -> list[int]:
    """Drive one step per cycle and return the output's value `latency` cycles after each of them.

    The cycles behind the last step carry its inputs again."""
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    port = getattr(dut, output)
    seen: list[int] = []
    for cycle in range(len(steps) + latency + 1):
        await RisingEdge(dut.clk)
        # The cycle that just ended carried step cycle - 1 at its inputs.
        if cycle - 1 >= latency:
            assert port.value.is_resolvable, f"cycle {cycle}: {output} is {port.value}"
            seen.append(port.value.to_unsigned())
        for name, value in steps[min(cycle, len(steps) - 1)].items():
            getattr(dut, name).value = value
    cocotb.log.info("%d steps", len(steps))
    return seen
