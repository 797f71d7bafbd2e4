# SPDX-License-Identifier: Apache-2.0
"""The other side of a bundle's ports: frames in, frames out, registers. Used by bench.py, inside cocotb.

Python runs once a beat, not once a cycle: pauses, stalls and the watch over the protocol are in nba_tb.v.
"""

import itertools
import json
import logging
import os
from collections import deque
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.queue import Queue
from cocotb.triggers import FallingEdge, RisingEdge, Timer, ValueChange, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
from registers import BUSY, DONE, READ_ERROR, REGISTER, SOFT_RESET, START
from run_sim import mark

BUNDLE = Path(os.environ["NBA_BUNDLE"])
SEED = int(os.environ["NBA_SEED"])
INFO = json.loads((BUNDLE / "bundle.json").read_text())
PERIOD_NS = 10
LONGEST_READ = 2000
"""Reads of the status behind a reset, until all that external memory was asked for must be there."""
ANSWER_US = 10
"""By when a register's port has answered, and an empty machine has taken a beat."""


def vectors(name, count):
    """`count` frames of the file, from its first one on and over again."""
    lines = (BUNDLE / "vectors" / name).read_text().split()
    return [bytes.fromhex(line) for line in itertools.islice(itertools.cycle(lines), count)]


def frames_in(count):
    """Input frames, as bytes in the stream's order."""
    return vectors("input.hex", count)


def given_frames():
    """The frames of the file NBA_INPUT, in the form of vectors/input.hex."""
    return [bytes.fromhex(line) for line in Path(os.environ["NBA_INPUT"]).read_text().split()]


def frames_out(count, mode=0):
    """What must come out of them in that mode."""
    return vectors(f"expected_{mode}.hex" if mode else "expected.hex", count)


def present():
    """Places of the codes in a frame on the output stream that are of channels and columns which exist."""
    out = INFO["out"]
    groups, words = -(-out["width"] // out["columns"]), -(-out["channels"] // out["lanes"])
    sizes = (out["height"], groups, words, out["columns"], out["lanes"])
    size = INFO["code_bytes"]
    places = [
        slice(i * size, (i + 1) * size)
        for i, (_, group, word, column, lane) in enumerate(itertools.product(*map(range, sizes)))
        if group * out["columns"] + column < out["width"] and word * out["lanes"] + lane < out["channels"]
    ]
    assert len(places) == out["height"] * out["width"] * out["channels"] > 0, "no output codes to compare"
    return places


class Source:
    """Offers the beats of queued frames, each until it is taken."""

    def __init__(self, dut):
        self.dut, self.beats, self.wake, self.task = dut, deque(), Queue(), None
        self.width = len(dut.s_axis_tdata) // 8

    def send(self, frames):
        """Queue whole frames."""
        for frame in frames:
            self.beats.extend(frame[i : i + self.width] for i in range(0, len(frame), self.width))
        self.wake.put_nowait(None)

    def clear(self):
        """Drop what is queued; what is on offer stays."""
        self.beats.clear()

    async def taken(self):
        """Behind `clear`: wait until the beat on offer, if there is one, has been taken, pauses included."""
        if self.dut.s_axis_tvalid.value:
            await FallingEdge(self.dut.s_axis_tvalid)

    def stop(self):
        """Offer nothing any more."""
        if self.task is not None:
            self.task.cancel()
        self.clear()
        self.dut.s_axis_tvalid.value = 0
        self.dut.s_axis_tlast.value = 0
        self.dut.s_axis_tdata.value = 0

    def go(self):
        """Offer what is sent from now on."""
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        dut = self.dut
        while True:
            while not self.beats:
                await self.wake.get()
            dut.s_axis_tvalid.value = 1
            while self.beats:
                dut.s_axis_tdata.value = int.from_bytes(self.beats.popleft(), "little")
                await ValueChange(dut.in_taken)
            dut.s_axis_tvalid.value = 0


class Sink:
    """Collects frames. `ready` opens and closes the port."""

    def __init__(self, dut):
        self.dut, self.frames, self.task = dut, Queue(), None
        self.width = len(dut.out_beat) // 8

    def ready(self, value):
        """Take beats from the next cycle on, or do not."""
        self.dut.m_axis_tready.value = int(value)

    def stop(self):
        """Forget what came."""
        if self.task is not None:
            self.task.cancel()
        self.frames = Queue()

    def go(self):
        """Collect what comes from now on."""
        self.ready(True)
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        dut, frame = self.dut, bytearray()
        while True:
            await ValueChange(dut.out_taken)
            frame += int(dut.out_beat.value).to_bytes(self.width, "little")
            if dut.out_last.value:
                self.frames.put_nowait(bytes(frame))
                frame.clear()


class Registers:
    """32-bit words over AXI4-Lite. `read` and `write` expect OKAY; `get` and `put` say what the answer was."""

    def __init__(self, dut):
        logging.getLogger("cocotb.nba_tb.s_axil").setLevel(logging.WARNING)
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)

    async def get(self, address):
        answer = await with_timeout(self.bus.read(address, 4), ANSWER_US, "us")
        return int.from_bytes(answer.data, "little"), answer.resp

    async def put(self, address, value, size=4):
        return (await with_timeout(self.bus.write(address, value.to_bytes(size, "little")), ANSWER_US, "us")).resp

    async def answers(self, events):
        """The answers to reads and writes that were queued with init_read and init_write."""
        for event in events:
            await with_timeout(event.wait(), ANSWER_US, "us")
        return [event.data for event in events]

    async def put_strobed(self, address, value, strobe):
        """Write the bytes of a word that `strobe` names, by hand: the library's master leaves none out in between."""
        port = self.bus.write_if
        where, what = port.aw_channel._transaction_obj(), port.w_channel._transaction_obj()
        where.awaddr, where.awprot, what.wdata, what.wstrb = address, 0, value, strobe
        await port.aw_channel.send(where)
        await port.w_channel.send(what)
        answer = await with_timeout(port.b_channel.recv(), ANSWER_US, "us")
        return AxiResp(int(answer.bresp))

    async def read(self, name):
        value, answer = await self.get(REGISTER[name])
        assert answer == AxiResp.OKAY, f"{name}: answered with {answer.name}"
        return value

    async def write(self, name, value):
        answer = await self.put(REGISTER[name], value)
        assert answer == AxiResp.OKAY, f"{name}: answered with {answer.name}"

    async def expect(self, **wanted):
        """The named registers hold these values."""
        for name, value in wanted.items():
            found = await self.read(name)
            assert found == value, f"{name} is {found:#x}, not {value:#x}"

    async def cycles(self):
        """The whole counter: the low word first, which holds the high one."""
        low = await self.read("cycles")
        return (await self.read("cycles_high")) << 32 | low


class Host:
    """Drives one device: two streams, one register port."""

    def __init__(self, dut):
        self.dut, self.source, self.sink, self.regs = dut, Source(dut), Sink(dut), None
        self.places, self.mode = present(), 0
        self.reads_fail = False
        for port in ("seed", "mark", "idle", "stall", "hold"):
            getattr(dut, port).value = 0
        self.memory()
        dut.rst.value = 1
        Clock(dut.clk, PERIOD_NS, unit="ns", impl="gpi").start()

    async def wait(self, cycles):
        """Let that many cycles pass."""
        await Timer(cycles * PERIOD_NS - PERIOD_NS // 2, "ns")
        await RisingEdge(self.dut.clk)

    async def reset(self, seed=0):
        """Reset pin for four cycles; both streams are emptied and pause no more."""
        self.dut.seed.value = seed
        self.dut.rst.value = 1
        self.mode = 0
        self.source.stop()
        self.sink.stop()
        self.pauses()
        self.memory()
        await self.wait(4)
        if self.regs is None:
            # Not before the ports say something.
            self.regs = Registers(self.dut)
        self.dut.rst.value = 0
        self.source.go()
        self.sink.go()
        await self.wait(4)

    def pauses(self, idle=0, stall=0, hold=0):
        """Shares of the cycles in 256 that the streams pause, and the longest pause behind every output beat."""
        self.dut.idle.value, self.dut.stall.value, self.dut.hold.value = idle, stall, hold

    def memory(self, jitter=0, faults=0):
        """How external memory answers, where there is one: late and in pieces, and some reads with an error."""
        self.reads_fail = faults != 0
        if "memory" in INFO:
            self.dut.memory_jitter.value, self.dut.memory_faults.value = jitter, faults

    async def soft_reset(self):
        """As a driver has to: stop the stream, reset, let what is on offer be taken, and drop that as well; then wait
        until the reads that are under way have come back."""
        self.source.clear()
        await self.regs.write("ctrl", SOFT_RESET)
        await self.wait(4)
        await with_timeout(self.source.taken(), ANSWER_US, "us")
        await self.regs.write("ctrl", SOFT_RESET)
        self.sink.stop()
        self.sink.go()
        for _ in range(LONGEST_READ):
            if not await self.regs.read("status") & BUSY:
                return
        raise AssertionError(f"busy behind a reset for {LONGEST_READ} reads of the status")

    async def start(self, frames, ideal=False):
        """Start a batch. ideal: nothing pauses, so the trace must hold the predicted cycles of its mode."""
        self.dut.mark.value = mark(frames, self.mode) if ideal else 0
        await self.regs.write("n_frames", frames)
        await self.regs.write("ctrl", START)

    async def set_mode(self, value):
        """Write the mode of the next batch; returns the bus's answer."""
        answer = await self.regs.put(REGISTER["mode"], value)
        if answer == AxiResp.OKAY:
            self.mode = value
        return answer

    async def finish(self, count, total=None):
        """The next `count` frames out; returns when the device says that it is done, with `total` frames: rows that no
        output depends on may be computed after the last frame is out."""
        outputs = [await self.sink.frames.get() for _ in range(count)]
        if self.dut.running.value:
            await FallingEdge(self.dut.running)
        status = await self.regs.read("status")
        assert status in ((DONE, DONE | READ_ERROR) if self.reads_fail else (DONE,)), f"status is {status:#x}"
        await self.regs.expect(frames_done=count if total is None else total)
        return outputs

    async def batch(self, inputs, ideal, meanwhile):
        """Send `inputs` as one batch; the data waits at the port before the start. Returns the output frames.
        `meanwhile` is called when the batch has begun."""
        self.source.send(inputs)
        await self.wait(4)
        await self.start(len(inputs), ideal)
        status = await self.regs.read("status")
        if self.reads_fail:
            status &= ~READ_ERROR
        assert status == BUSY or not self.dut.running.value, f"status is {status}, not {BUSY}, right after the start"
        if meanwhile is not None:
            await meanwhile()
        return await self.finish(len(inputs))

    def limit_us(self, count):
        """Far more time than `count` frames take."""
        return INFO["timeout_cycles"] * count * PERIOD_NS // 1000 + 100

    async def checked(self, inputs, expected, ideal=False, meanwhile=None):
        """Run `inputs` as a batch; returns {frame: number of differing codes} of the frames that differ."""
        outputs = await with_timeout(self.batch(inputs, ideal, meanwhile), self.limit_us(len(inputs)), "us")
        return self.compare(outputs, expected)

    def compare(self, outputs, expected):
        """{frame: number of differing codes} of the frames that differ."""
        wrong = {}
        for i, (a, b) in enumerate(zip(outputs, expected, strict=True)):
            assert len(a) == len(b), f"frame {i}: {len(a)} bytes came out, not {len(b)}"
            differing = 0 if a == b else sum(a[n] != b[n] for n in self.places)
            if differing:
                wrong[i] = differing
                cocotb.log.error("frame %d: %d codes differ: expected %s, found %s", i, differing, b.hex(), a.hex())
        return wrong

    def keeps_protocol(self):
        """No port changed what it offered, and every frame ended where it must (trace.txt says when and what)."""
        faults = int(self.dut.n_faults.value)
        assert not faults, f"{faults} breaches of a port's protocol, see the lines V of trace.txt"
