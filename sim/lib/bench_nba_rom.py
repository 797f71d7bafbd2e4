# SPDX-License-Identifier: Apache-2.0
"""nba_rom: every word of the file at its address, 1 + OUT_REG cycles later."""

from __future__ import annotations

from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from stepping import parameter, rng


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reads_the_file(dut) -> None:
    words = [int(line, 16) for line in Path("nba_rom.mem").read_text().split()]
    depth = parameter(dut, "DEPTH")
    assert len(words) == depth
    dut.addr.value = 0
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    rand = rng()
    order = [*range(depth), *(rand.randrange(depth) for _ in range(200))]
    waiting: list[int] = []
    for address in [*order, 0, 0]:
        dut.addr.value = address
        await RisingEdge(dut.clk)
        if len(waiting) > parameter(dut, "OUT_REG"):
            assert dut.data.value.to_unsigned() == words[waiting.pop(0)]
        waiting.append(address)
