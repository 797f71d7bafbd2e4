# SPDX-License-Identifier: Apache-2.0
"""nba_fetch (in tests/eda/fetch_axi.v) against an AXI4 slave that is not ours, cocotbext.axi.AxiRamRead: every beat of
every slice, in order."""

from __future__ import annotations

from collections.abc import Iterator

import cocotb
from bench_nba_fetch import in_order, read_list
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiRamRead, AxiReadBus
from stepping import begin, parameter, reset, rng

INPUTS = ("axi_rst", "start_pulse", "cfg_frames", "free")
BASE = 0x3000


def pauses(share: float, salt: str) -> Iterator[bool]:
    """A share of pauses, for ever."""
    rand = rng(salt, share)
    while True:
        yield rand.random() < share


@cocotb.test(timeout_time=9, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.5], free=[1.0, 0.3])
async def every_beat_of_a_foreign_slave(dut, stall: float, free: float) -> None:
    dut.rst.value = 1
    await begin(dut, INPUTS, 0)
    dut.axi_rst.value = 1
    await reset(dut, 2)
    dut.axi_rst.value = 0
    await reset(dut, 3)
    targets, bytes_ = parameter(dut, "N_TARGETS"), len(dut.m_data) // 8
    size = BASE + parameter(dut, "WORDS") * bytes_
    slave = AxiRamRead(AxiReadBus.from_prefix(dut, "m_axi"), dut.clk, dut.axi_rst, size=1 << size.bit_length())
    rand = rng(stall, free)
    image = rand.randbytes(size)
    slave.write(0, image)
    slave.ar_channel.set_pause_generator(pauses(stall, "ar"))
    slave.r_channel.set_pause_generator(pauses(stall, "r"))
    frames, want, seen = 3, [], []
    for fetch, skipped in in_order(read_list(), frames, parameter(dut, "MAX_STAGE")):
        first = BASE + fetch.first * parameter(dut, "BURST") * bytes_
        for i in range(0 if skipped else fetch.beats):
            data = int.from_bytes(image[first + i * bytes_ :][:bytes_], "little")
            want.append((1 << fetch.target, data, i == fetch.beats - 1))
    dut.start_pulse.value, dut.cfg_frames.value = 1, frames
    for cycle in range(100_000):
        await RisingEdge(dut.clk)
        if int(dut.m_valid.value):
            seen.append((int(dut.m_valid.value), int(dut.m_data.value), bool(dut.m_last.value)))
        dut.start_pulse.value = 0
        dut.free.value = sum(1 << i for i in range(targets) if rand.random() < free)
        if cycle > 1 and not dut.stat_busy.value:
            break
    assert seen == want
    assert not dut.stat_error.value
