# SPDX-License-Identifier: Apache-2.0
"""nba_fifo: every word comes out once, in order; count, s_ready and m_valid tell the fill level of every cycle."""

from __future__ import annotations

import cocotb
from cocotb.triggers import RisingEdge
from stepping import RATES, Sink, Source, begin, parameter, reset, rng

N_WORDS = 300


async def transfer(dut, idle: float, stall: float, n_words: int = N_WORDS) -> tuple[Sink, int]:
    """Send random words through; returns what came out and the highest fill level; asserts every cycle's status."""
    rand, depth = rng(idle, stall), parameter(dut, "DEPTH")
    words = [rand.getrandbits(parameter(dut, "W")) for _ in range(n_words)]
    source, sink = Source(dut, "s_", words, idle, rand), Sink(dut, "m_", stall, rand)
    most = 0
    for cycle in range(20 + 8 * n_words):
        await RisingEdge(dut.clk)
        inside = len(source.sent) - len(sink.words)
        most = max(most, inside)
        status = (int(dut.count.value), bool(dut.m_valid.value), bool(dut.s_ready.value))
        assert status == (inside, inside > 0, inside < depth), f"cycle {cycle}: {status} with {inside} words inside"
        sink.step(cycle)
        source.step()
        if len(sink.words) == n_words:
            break
    assert sink.words == words
    dut.s_valid.value = 0
    return sink, most


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(idle=RATES, stall=[*RATES, 0.8])
async def every_word_once(dut, idle: float, stall: float) -> None:
    await begin(dut, ("s_data", "s_valid", "m_ready"))
    sink, most = await transfer(dut, idle, stall)
    if not idle and not stall:
        assert sink.cycles == list(range(2, 2 + N_WORDS))
    if stall > idle:
        assert most == parameter(dut, "DEPTH")


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_empties(dut) -> None:
    await begin(dut, ("s_data", "s_valid", "m_ready"))
    dut.s_valid.value = 1
    for _ in range(parameter(dut, "DEPTH") + 2):
        await RisingEdge(dut.clk)
    assert dut.s_ready.value == 0
    dut.s_valid.value = 0
    await reset(dut, 1)
    await transfer(dut, 0.3, 0.3, 40)
