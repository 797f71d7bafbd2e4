# SPDX-License-Identifier: Apache-2.0
"""The bench of an emitted bundle: cocotb tests over its AXI ports. Started by run_sim.py, which also judges the trace.

bundle.json (ports, beats, register map), vectors/*.hex and the environment (NBA_BUNDLE, NBA_FRAMES, NBA_SEED) are all
that it needs. Every test begins with a reset, so they may run in any order and number.
"""

import itertools
import json
import logging
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)
from run_sim import MODE_FRAMES, mode_walk, n_modes

BUNDLE = Path(os.environ["NBA_BUNDLE"])
FRAMES = int(os.environ["NBA_FRAMES"])
MODE = int(os.environ["NBA_MODE"])
SEED = int(os.environ["NBA_SEED"])
INFO = json.loads((BUNDLE / "bundle.json").read_text())
REGISTER = {"id": 0x00, "ctrl": 0x08, "status": 0x0C, "n_frames": 0x10, "frames_done": 0x14, "cycles": 0x18}
REGISTER |= {"mode": 0x28, "n_modes": 0x2C}
STATUS_DONE = 2
COUNTERS, COUNTERS_CHUNK = 0x4000, 0x400


def _vectors(name):
    lines = (BUNDLE / "vectors" / name).read_text().split()
    return [bytes.fromhex(line) for line in lines]


def _expected(mode):
    return _vectors(f"expected_{mode}.hex" if mode else "expected.hex")


def _present():
    """Places of the codes in a frame on the output stream that are of channels and columns which exist."""
    out = INFO["out"]
    groups, words = -(-out["width"] // out["columns"]), -(-out["channels"] // out["lanes"])
    sizes = (out["height"], groups, words, out["columns"], out["lanes"])
    beat = itertools.product(*map(range, sizes))
    size = INFO["code_bytes"]
    return [
        slice(i * size, (i + 1) * size)
        for i, (_, group, word, column, lane) in enumerate(beat)
        if group * out["columns"] + column < out["width"] and word * out["lanes"] + lane < out["channels"]
    ]


class Host:
    """Drives one device: two streams, one register port."""

    def __init__(self, dut):
        self.dut = dut
        for name in ("cocotb.nba_tb.s_axis", "cocotb.nba_tb.m_axis", "cocotb.nba_tb.s_axil"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        self.regs = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())

    async def reset(self):
        """Reset pin for four cycles; both streams are emptied."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.source.clear()
        self.sink.clear()
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 4)

    async def start(self, frames):
        await self.regs.write_dword(REGISTER["n_frames"], frames)
        await self.regs.write_dword(REGISTER["ctrl"], 1)

    async def mode(self, value):
        """Write the mode of the next batch; returns the bus's answer."""
        return (await self.regs.write(REGISTER["mode"], value.to_bytes(4, "little"))).resp

    async def batch(self, inputs, meanwhile=None):
        """Send `inputs` as one batch; the data waits at the port before the start. Returns the output frames, once the
        device says that it is done: rows that no output depends on may be computed after the last frame is out.
        `meanwhile` is called when the batch has begun."""
        for frame in inputs:
            self.source.send_nowait(AxiStreamFrame(frame))
        await ClockCycles(self.dut.clk, 4)
        await self.start(len(inputs))
        if meanwhile is not None:
            await meanwhile()
        outputs = [bytes((await self.sink.recv()).tdata) for _ in inputs]
        while await self.regs.read_dword(REGISTER["status"]) != STATUS_DONE:
            pass
        return outputs

    async def checked(self, inputs, expected, meanwhile=None):
        """Run `inputs` as a batch; returns {frame: number of differing codes} of the frames that differ."""
        limit_us = INFO["timeout_cycles"] * len(inputs) // 100 + 100
        outputs = await with_timeout(self.batch(inputs, meanwhile), limit_us, "us")
        present = _present()
        out = INFO["out"]
        assert len(present) == out["height"] * out["width"] * out["channels"] > 0, "no output codes to compare"
        pairs = zip(outputs, expected, strict=True)
        wrong = {}
        for i, (a, b) in enumerate(pairs):
            assert len(a) == len(b), f"frame {i}: {len(a)} bytes came out, not {len(b)}"
            differing = sum(a[n] != b[n] for n in present)
            if differing:
                wrong[i] = differing
                cocotb.log.error("frame %d: %d codes differ: expected %s, found %s", i, differing, b.hex(), a.hex())
        return wrong


@cocotb.test(timeout_time=10, timeout_unit="sec")
async def cycles(dut):
    """Frames back to back in mode MODE: every output bit; the trace holds the cycles; the counters agree with it."""
    host = Host(dut)
    await host.reset()
    if MODE:
        assert await host.mode(MODE) == AxiResp.OKAY
    inputs, expected = _vectors("input.hex")[:FRAMES], _expected(MODE)[:FRAMES]
    wrong = await host.checked(inputs, expected)
    assert await host.regs.read_dword(REGISTER["id"]) == 0x4341424E
    assert await host.regs.read_dword(REGISTER["status"]) == STATUS_DONE
    assert await host.regs.read_dword(REGISTER["frames_done"]) == FRAMES
    counters = []
    for k, jobs in enumerate(INFO["jobs"]):
        base = COUNTERS + k * COUNTERS_CHUNK
        counters.append(
            [[await host.regs.read_dword(base + j * 8 + part) for part in (0, 4)] for j in range(len(jobs))]
        )
    result = {"images": FRAMES, "mismatches": sum(wrong.values()), "counters": counters}
    Path("result.json").write_text(json.dumps(result))
    assert not wrong, f"codes that differ, by frame: {wrong}"


@cocotb.test(timeout_time=10, timeout_unit="sec")
async def stalls(dut):
    """Random idle on the input and random stall on the output change nothing but time."""
    host = Host(dut)
    inputs, expected = _vectors("input.hex")[:FRAMES], _expected(0)[:FRAMES]
    for trial, (idle, stall) in enumerate(((0.5, 0.0), (0.0, 0.7), (0.6, 0.6), (0.05, 0.95))):
        rng = random.Random(SEED * 16 + trial)
        await host.reset()
        host.source.set_pause_generator(rng.random() < idle for _ in itertools.count())
        host.sink.set_pause_generator(rng.random() < stall for _ in itertools.count())
        wrong = await host.checked(inputs[:4], expected[:4])
        assert not wrong, f"idle {idle}, stall {stall}: codes that differ, by frame: {wrong}"
        host.source.set_pause_generator(None)
        host.sink.set_pause_generator(None)
        host.source.pause = host.sink.pause = False


@cocotb.test(timeout_time=10, timeout_unit="sec")
async def resets(dut):
    """A reset in the middle of a frame, by the pin and by the register, leaves a machine that computes the same."""
    host = Host(dut)
    rng = random.Random(SEED)
    inputs, expected = _vectors("input.hex")[:2], _expected(0)[:2]
    for kind in ("pin", "register", "pin"):
        await host.reset()
        for frame in inputs:
            host.source.send_nowait(AxiStreamFrame(frame))
        await host.start(len(inputs))
        await ClockCycles(dut.clk, rng.randrange(20, 20 + INFO["latency_cycles"]))
        if kind == "register":
            host.source.pause = True
            await ClockCycles(dut.clk, 2)
            await host.regs.write_dword(REGISTER["ctrl"], 2)
            host.source.pause = False
        await host.reset()
        wrong = await host.checked(inputs, expected)
        assert not wrong, f"after a reset by {kind}: codes that differ, by frame: {wrong}"


@cocotb.test(timeout_time=10, timeout_unit="sec")
async def batches(dut):
    """Batches follow each other without a reset."""
    host = Host(dut)
    await host.reset()
    inputs, expected = _vectors("input.hex"), _expected(0)
    for size in (1, 2, 1):
        wrong = await host.checked(inputs[:size], expected[:size])
        assert not wrong, f"batch of {size}: codes that differ, by frame: {wrong}"


@cocotb.test(timeout_time=10, timeout_unit="sec")
async def modes(dut):
    """Batches in changing modes without a reset, with random stalls and then without: the mode that is written while a
    batch runs is that of the next one, and what names no mode is refused."""
    host = Host(dut)
    await host.reset()
    count, rng = n_modes(INFO), random.Random(SEED)
    inputs, expected = _vectors("input.hex")[:MODE_FRAMES], [_expected(m)[:MODE_FRAMES] for m in range(count)]
    assert await host.regs.read_dword(REGISTER["n_modes"]) == count
    assert await host.regs.read_dword(REGISTER["mode"]) == 0
    walk = mode_walk(count)
    for stalled in (True, False):
        if stalled:
            host.source.set_pause_generator(rng.random() < 0.5 for _ in itertools.count())
            host.sink.set_pause_generator(rng.random() < 0.5 for _ in itertools.count())
        else:
            host.source.set_pause_generator(None)
            host.sink.set_pause_generator(None)
            host.source.pause = host.sink.pause = False
        for mode, following in itertools.pairwise((*walk, 0)):

            async def choose(following=following):
                assert await host.mode(following) == AxiResp.OKAY
                assert await host.mode(rng.choice([count, 16, 256, 1 << 31])) == AxiResp.SLVERR
                assert await host.regs.read_dword(REGISTER["mode"]) == following

            wrong = await host.checked(inputs, expected[mode], choose)
            assert not wrong, f"mode {mode}, stalls {stalled}: codes that differ, by frame: {wrong}"
