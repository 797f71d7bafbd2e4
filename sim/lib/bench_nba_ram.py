# SPDX-License-Identifier: Apache-2.0
"""nba_ram powers up as zero; a word reads back as last written, sub-word by sub-word; latency of 1 + OUT_REG cycles."""

from __future__ import annotations

import cocotb
from cocotb.triggers import RisingEdge
from stepping import begin, parameter, rng

INPUTS = ("w_en", "w_addr", "w_data", "r_addr")


async def content(dut) -> list[int]:
    """All words of the memory, read through its port."""
    words = []
    for address in range(parameter(dut, "DEPTH")):
        dut.r_addr.value = address
        for _ in range(2 + parameter(dut, "OUT_REG")):
            await RisingEdge(dut.clk)
        words.append(dut.r_data.value.to_unsigned())
    return words


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_powers_up_as_zero(dut) -> None:
    await begin(dut, INPUTS)
    assert await content(dut) == [0] * parameter(dut, "DEPTH")


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(write_rate=[0.0, 0.3, 1.0])
async def reads_what_was_written(dut, write_rate: float) -> None:
    width, depth, sub = (parameter(dut, n) for n in ("WIDTH", "DEPTH", "SUB_W"))
    rand, n_sub = rng(write_rate), width // sub
    await begin(dut, INPUTS)
    # The tests of one simulation share the memory.
    model = await content(dut)
    expected: list[int | None] = [None] * parameter(dut, "OUT_REG")
    checked = 0
    write = data = enable = 0
    read = depth - 1
    for _ in range(600):
        await RisingEdge(dut.clk)
        due = expected.pop(0) if len(expected) > parameter(dut, "OUT_REG") else None
        if due is not None:
            assert dut.r_data.value.to_unsigned() == due
            checked += 1
        # The edge that just passed read `read` and wrote `write`.
        expected.append(model[read] if not (enable and read == write) else None)
        for i in range(n_sub):
            if enable >> i & 1:
                mask = ((1 << sub) - 1) << (i * sub)
                model[write] = model[write] & ~mask | data & mask
        write, read, data = rand.randrange(depth), rand.randrange(depth), rand.getrandbits(width)
        enable = rand.getrandbits(n_sub) if rand.random() < write_rate else 0
        dut.w_en.value, dut.w_addr.value, dut.w_data.value, dut.r_addr.value = enable, write, data, read
    assert checked > 100 or depth == 1
