# SPDX-License-Identifier: Apache-2.0
"""nba_axil: register map, byte strobes, error answers, pulses and the counter window, with random pauses on every
channel and address and data in any order."""

from __future__ import annotations

import itertools
import json
import logging
from pathlib import Path

import cocotb
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
from stepping import begin, parameter, rng

CHANNELS = ["awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready"]
INPUTS_STATUS = ["cnt_data", "stat_busy", "stat_done", "stat_error", "stat_frames", "stat_cycles"]
INPUTS = [*(f"s_axil_{name}" for name in CHANNELS), *INPUTS_STATUS]
HI_KEY = 0x5A5A1234
MAP = json.loads((Path(__file__).resolve().parent.parent / "registers.json").read_text())
REGISTER = {register["name"]: register["offset"] for register in MAP["registers"]}
ID, VERSION, CTRL, STATUS = (REGISTER[name] for name in ("ID", "VERSION", "CTRL", "STATUS"))
N_FRAMES, FRAMES_DONE = REGISTER["N_FRAMES"], REGISTER["FRAMES_DONE"]
CYCLES, CYCLES_HIGH = REGISTER["CYCLES"], REGISTER["CYCLES_HIGH"]
DESIGN_ID, N_CHUNKS = REGISTER["DESIGN_ID"], REGISTER["N_CHUNKS"]
MODE, N_MODES = REGISTER["MODE"], REGISTER["N_MODES"]
WEIGHTS = (REGISTER["WEIGHTS_LO"], REGISTER["WEIGHTS_HI"])
"""Registers of a machine of several modes, and of one with external memory; of another, addresses like those that name
nothing."""
COUNTERS, CHUNK, JOB = (MAP["counters"][key] for key in ("offset", "chunk_stride", "job_stride"))
WRITABLE = (CTRL, N_FRAMES)


def counter(chunk: int, job: int, end: int) -> int:
    """Content of the counter memories of the machine around the module."""
    return (chunk << 24 | job << 8 | end << 4 | 0xA000_0005) & 0xFFFF_FFFF


async def surroundings(dut, pulses: list[tuple[str, int]]) -> None:
    """Counter memories with two cycles of latency, a cycle counter whose halves belong together, a pulse log."""
    stage = 0
    for now in itertools.count():
        await RisingEdge(dut.clk)
        dut.cnt_data.value = stage
        if dut.cnt_chunk.value.is_resolvable and dut.cnt_job.value.is_resolvable:
            stage = counter(int(dut.cnt_chunk.value), int(dut.cnt_job.value), int(dut.cnt_end.value))
        low = now * 0x01234567 & 0xFFFF_FFFF
        dut.stat_cycles.value = (low ^ HI_KEY) << 32 | low
        if dut.start_pulse.value == 1:
            pulses.append(("start", int(dut.cfg_frames.value)))
            assert int(dut.cfg_mode.value) < parameter(dut, "N_MODES")
        if dut.soft_rst_pulse.value == 1:
            pulses.append(("soft_rst", 0))


def master(dut, pause: float) -> AxiLiteMaster:
    """A bus master whose five channels pause at random."""
    logging.getLogger("cocotb.nba_axil").setLevel(logging.WARNING)
    bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    channels = (
        bus.write_if.aw_channel, bus.write_if.w_channel, bus.write_if.b_channel,
        bus.read_if.ar_channel, bus.read_if.r_channel,
    )  # fmt: skip
    for i, channel in enumerate(channels if pause else ()):
        rand = rng("pause", i)
        channel.set_pause_generator(rand.random() < pause for _ in itertools.count())
    return bus


async def get(bus: AxiLiteMaster, address: int) -> tuple[int, AxiResp]:
    """Read one word."""
    answer = await bus.read(address, 4)
    return int.from_bytes(answer.data, "little"), answer.resp


async def put(bus: AxiLiteMaster, address: int, value: int) -> AxiResp:
    """Write one word."""
    return (await bus.write(address, value.to_bytes(4, "little"))).resp


async def ready(dut, pause: float) -> tuple[AxiLiteMaster, list[tuple[str, int]]]:
    """Reset, then a bus master and the log of pulses."""
    bus = master(dut, pause)
    await begin(dut, INPUTS)
    pulses: list[tuple[str, int]] = []
    cocotb.start_soon(surroundings(dut, pulses))
    return bus, pulses


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(pause=[0.0, 0.5])
async def register_map(dut, pause: float) -> None:
    bus, _ = await ready(dut, pause)
    n_chunks = parameter(dut, "N_CHUNKS")
    dut.stat_frames.value = 0x1234_5678
    assert await put(bus, N_FRAMES, 77) == AxiResp.OKAY
    fixed = {
        ID: int.from_bytes(b"NBAC", "little"), VERSION: parameter(dut, "VERSION"), CTRL: 0, STATUS: 0, N_FRAMES: 77,
        FRAMES_DONE: 0x1234_5678, DESIGN_ID: parameter(dut, "DESIGN_ID"), N_CHUNKS: n_chunks,
    }  # fmt: skip
    for address, value in fixed.items():
        assert await get(bus, address) == (value, AxiResp.OKAY), hex(address)
    for between in (ID, CYCLES_HIGH, COUNTERS):
        low = (await get(bus, CYCLES))[0]
        await get(bus, between)
        assert (await get(bus, CYCLES_HIGH))[0] == low ^ HI_KEY
    rand = rng(pause)
    for _ in range(40):
        chunk, job, end = rand.randrange(48), rand.randrange(128), rand.randrange(2)
        value, resp = await get(bus, COUNTERS + chunk * CHUNK + job * JOB + end * 4)
        if chunk < n_chunks:
            assert (value, resp) == (counter(chunk, job, end), AxiResp.OKAY)
        else:
            assert (value, resp) == (0, AxiResp.SLVERR)
    n_modes = parameter(dut, "N_MODES")
    several = n_modes > 1
    assert await get(bus, MODE) == (0, AxiResp.OKAY if several else AxiResp.SLVERR)
    assert await get(bus, N_MODES) == ((n_modes, AxiResp.OKAY) if several else (0, AxiResp.SLVERR))
    memory = parameter(dut, "MEMORY") != 0
    for address in WEIGHTS:
        assert await get(bus, address) == (0, AxiResp.OKAY if memory else AxiResp.SLVERR)
    for address in (WEIGHTS[1] + 4, 0x1000, COUNTERS - 4, COUNTERS + n_chunks * CHUNK):
        assert await get(bus, address) == (0, AxiResp.SLVERR), hex(address)
    for address in (*REGISTER.values(), WEIGHTS[1] + 4, COUNTERS):
        writable = address in WRITABLE or (several and address == MODE) or (memory and address in WEIGHTS)
        expected = AxiResp.OKAY if writable else AxiResp.SLVERR
        assert await put(bus, address, 0) == expected, hex(address)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(pause=[0.0, 0.5])
async def byte_strobes(dut, pause: float) -> None:
    bus, _ = await ready(dut, pause)
    rand, model = rng(pause), bytearray(4)
    for _ in range(40):
        first = rand.randrange(4)
        data = bytes(rand.getrandbits(8) for _ in range(rand.randint(1, 4 - first)))
        model[first : first + len(data)] = data
        assert (await bus.write(N_FRAMES + first, data)).resp == AxiResp.OKAY
        assert await get(bus, N_FRAMES) == (int.from_bytes(model, "little"), AxiResp.OKAY)
    dut.stat_busy.value = 0
    assert (await bus.write(CTRL + 1, b"\x01")).resp == AxiResp.OKAY
    assert dut.start_pulse.value == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(pause=[0.0, 0.5])
async def start_done_and_soft_reset(dut, pause: float) -> None:
    bus, pulses = await ready(dut, pause)
    await put(bus, N_FRAMES, 5)
    await put(bus, CTRL, 1)
    assert pulses == [("start", 5)]
    dut.stat_busy.value = 1
    assert await get(bus, STATUS) == (1, AxiResp.OKAY)
    await put(bus, N_FRAMES, 9)
    await put(bus, CTRL, 1)
    assert pulses == [("start", 5)]
    assert int(dut.cfg_frames.value) == 5
    dut.stat_busy.value, dut.stat_done.value = 0, 1
    await RisingEdge(dut.clk)
    dut.stat_done.value = 0
    assert await get(bus, STATUS) == (2, AxiResp.OKAY)
    await put(bus, CTRL, 0)
    assert len(pulses) == 1
    assert await get(bus, STATUS) == (2, AxiResp.OKAY)
    await put(bus, CTRL, 1)
    assert pulses == [("start", 5), ("start", 9)]
    assert await get(bus, STATUS) == (0, AxiResp.OKAY)
    await put(bus, CTRL, 3)
    assert pulses[2:] == [("soft_rst", 0)]


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(pause=[0.0, 0.5])
async def mode_of_the_next_batch(dut, pause: float) -> None:
    """Legal words are taken and reach the machine with a start; others change nothing, and say so."""
    bus, pulses = await ready(dut, pause)
    n_modes, rand, chosen, running = parameter(dut, "N_MODES"), rng(pause), 0, 0
    for trial in range(60):
        value = rand.choice([rand.randrange(16), rand.randrange(16), n_modes, n_modes - 1, 1 << 4, 1 << 8, 1 << 31])
        size = rand.choice([4, 4, 4, 1, 2])
        legal = n_modes > 1 and size == 4 and value < n_modes
        answer = await bus.write(MODE, (value & ((1 << (8 * size)) - 1)).to_bytes(size, "little"))
        assert answer.resp == (AxiResp.OKAY if legal else AxiResp.SLVERR), (value, size)
        chosen = value if legal else chosen
        assert (await get(bus, MODE))[0] == chosen
        assert int(dut.cfg_mode.value) == running
        if trial % 3 == 0:
            dut.stat_busy.value = rand.randrange(2)
            await put(bus, CTRL, rand.choice([1, 1, 2]))
            if pulses and pulses[-1][0] == "start":
                running = chosen
            pulses.clear()
            assert int(dut.cfg_mode.value) == running
    dut.stat_busy.value = 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(pause=[0.0, 0.5])
async def weights_of_the_next_batch(dut, pause: float) -> None:
    """Whole words are taken and reach the machine with a start; parts change nothing; an error of a read is shown."""
    bus, pulses = await ready(dut, pause)
    memory, rand, chosen, running = parameter(dut, "MEMORY") != 0, rng(pause), [0, 0], 0
    for trial in range(60):
        value, part, size = rand.getrandbits(32), rand.randrange(2), rand.choice([4, 4, 4, 1, 2])
        answer = await bus.write(WEIGHTS[part], (value & ((1 << (8 * size)) - 1)).to_bytes(size, "little"))
        assert answer.resp == (AxiResp.OKAY if memory and size == 4 else AxiResp.SLVERR), (value, size)
        if memory and size == 4:
            chosen[part] = value
        assert [(await get(bus, address))[0] for address in WEIGHTS] == chosen
        assert int(dut.cfg_weights.value) == running
        dut.stat_error.value = rand.randrange(2)
        assert (await get(bus, STATUS))[0] & 4 == 4 * int(memory and dut.stat_error.value == 1)
        if trial % 3 == 0:
            dut.stat_busy.value = rand.randrange(2)
            await put(bus, CTRL, rand.choice([1, 1, 2]))
            if pulses and pulses[-1][0] == "start":
                running = chosen[1] << 32 | chosen[0]
            pulses.clear()
            assert int(dut.cfg_weights.value) == running
    dut.stat_busy.value = 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def start_right_after_soft_reset(dut) -> None:
    bus, pulses = await ready(dut, 0.0)

    async def machine() -> None:
        dut.stat_busy.value = 1
        while dut.soft_rst_pulse.value != 1:
            await RisingEdge(dut.clk)
        # Low two cycles after the pulse, through one register and the modules' own reset.
        await RisingEdge(dut.clk)
        dut.stat_busy.value = 0

    cocotb.start_soon(machine())
    writes = [bus.init_write(CTRL, value.to_bytes(4, "little")) for value in (1, 2, 1)]
    for event in writes:
        await event.wait()
    await RisingEdge(dut.clk)
    assert pulses == [("soft_rst", 0), ("start", 0)]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def back_to_back(dut) -> None:
    bus, _ = await ready(dut, 0.0)
    rand = rng()
    values = [rand.getrandbits(32) for _ in range(20)]
    writes = [bus.init_write(N_FRAMES, value.to_bytes(4, "little")) for value in values]
    reads = [bus.init_read(ID, 4) for _ in range(20)]
    for event in (*writes, *reads):
        await event.wait()
    assert all(event.data.resp == AxiResp.OKAY for event in (*writes, *reads))
    assert (await get(bus, N_FRAMES))[0] == values[-1]
