# SPDX-License-Identifier: Apache-2.0
"""nba_skid: every word comes out once, in order, one cycle later; no bubble without stalls; registered ready."""

from __future__ import annotations

import cocotb
from cocotb.triggers import RisingEdge
from stepping import RATES, Sink, Source, begin, parameter, reset, rng

N_WORDS = 300


async def transfer(dut, idle: float, stall: float, n_words: int = N_WORDS) -> Sink:
    """Send random words through and return what came out; asserts equality."""
    rand = rng(idle, stall)
    words = [rand.getrandbits(parameter(dut, "W")) for _ in range(n_words)]
    source, sink = Source(dut, "s_", words, idle, rand), Sink(dut, "m_", stall, rand)
    for cycle in range(20 + 8 * n_words):
        await RisingEdge(dut.clk)
        before = len(source.sent) - len(sink.words)
        sink.step(cycle)
        source.step()
        assert before <= 2, "more words inside than the module has registers"
        if len(sink.words) == n_words:
            break
    assert sink.words == words
    dut.s_valid.value = 0
    return sink


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(idle=RATES, stall=RATES)
async def every_word_once(dut, idle: float, stall: float) -> None:
    await begin(dut, ("s_data", "s_valid", "m_ready"))
    sink = await transfer(dut, idle, stall)
    if not idle and not stall:
        # Driven from cycle 1 on, taken in cycle 1, on offer in cycle 2.
        assert sink.cycles == list(range(2, 2 + N_WORDS))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_drops_what_is_inside(dut) -> None:
    await begin(dut, ("s_data", "s_valid", "m_ready"))
    dut.s_valid.value = 1
    for _ in range(4):
        await RisingEdge(dut.clk)
    assert dut.m_valid.value == 1
    assert dut.s_ready.value == 0
    dut.s_valid.value = 0
    await reset(dut, 1)
    assert dut.m_valid.value == 0
    await transfer(dut, 0.3, 0.3, 40)
