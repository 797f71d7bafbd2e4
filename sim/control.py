# SPDX-License-Identifier: Apache-2.0
"""What the test `control` of bench.py checks, in order. Each check leaves the machine idle."""

import cocotb
from cocotb.triggers import with_timeout
from cocotbext.axi import AxiResp
from host import INFO, frames_in, frames_out
from registers import (
    BUSY,
    COUNTERS,
    COUNTERS_CHUNK,
    DONE,
    FIELDS,
    ID,
    IDLE,
    MAX_CHUNKS,
    ONLY_WITH,
    REGISTER,
    SOFT_RESET,
    START,
    WHOLE_WORDS,
    reset_values,
)
from run_sim import n_modes

N_CHUNKS = len(INFO["jobs"])
SEVERAL = n_modes(INFO) > 1
MEMORY = "memory" in INFO
"""Whether the design streams weights from external memory."""
ABSENT = [*([] if SEVERAL else ONLY_WITH["modes"]), *([] if MEMORY else ONLY_WITH["memory"])]
PRESENT = [name for name in REGISTER if name not in ABSENT]
WRITABLE = [name for name in PRESENT if any("w" in field["access"] for field in FIELDS[name])]
HALF = 1 << 32


def version_word():
    """VERSION: major and minor number in a byte each, patch in two."""
    major, minor, patch = (int(part) for part in INFO["version"].split(".")[:3])
    return major << 24 | minor << 16 | patch


def nowhere():
    """Addresses that name nothing."""
    beyond = [COUNTERS + N_CHUNKS * COUNTERS_CHUNK] if N_CHUNKS < MAX_CHUNKS else []
    last = max(REGISTER.values())
    return (*(REGISTER[name] for name in ABSENT), last + 4, 0x1000, COUNTERS - 4, *beyond)


async def after_reset(host):
    """All registers as the reset leaves them, and what names nothing."""
    design = int(INFO["design_id"][:8], 16)
    fixed = {"version": version_word(), "design_id": design, "n_chunks": N_CHUNKS, "n_modes": n_modes(INFO)}
    # In the order of the addresses: a read of CYCLES fetches CYCLES_HIGH.
    expected = {"cycles_high": 0, **reset_values(), **fixed}
    await host.regs.expect(**{name: expected[name] for name in PRESENT})
    for address in nowhere():
        assert await host.regs.get(address) == (0, AxiResp.SLVERR), f"read of {address:#x}"


async def read_only(host):
    """Writes to what cannot be written are refused and change nothing."""
    fixed = [name for name in PRESENT if name not in WRITABLE]
    before = [await host.regs.read(name) for name in fixed]
    for address in (*(REGISTER[name] for name in fixed), *nowhere(), COUNTERS):
        assert await host.regs.put(address, 0xFFFF_FFFF) == AxiResp.SLVERR, f"write of {address:#x}"
    assert [await host.regs.read(name) for name in fixed] == before
    await host.regs.expect(n_frames=0, status=IDLE)


async def strobes(host):
    """Every byte of a word is written by itself."""
    model = 0x44332211
    await host.regs.write("n_frames", model)
    for strobe in (*range(16), 0b1001, 0b0110):
        value = (0x01020304 * (strobe + 1)) ^ 0xA5A5A5A5
        mask = sum(0xFF << (8 * i) for i in range(4) if strobe >> i & 1)
        model = model & ~mask | value & mask
        assert await host.regs.put_strobed(REGISTER["n_frames"], value, strobe) == AxiResp.OKAY
        await host.regs.expect(n_frames=model)


async def whole_words(host):
    """Registers that take whole words only refuse parts of one."""
    for name in set(WHOLE_WORDS) & set(WRITABLE):
        for value, strobe in ((0, 0b0111), (0xFFFF_FFFF, 0b1110), (0x5A5A_5A5A, 0), (0x0101_0101, 0b0001)):
            before = await host.regs.read(name)
            assert await host.regs.put_strobed(REGISTER[name], value, strobe) == AxiResp.SLVERR
            await host.regs.expect(**{name: before})
    for name in ("weights_lo", "weights_hi") if MEMORY else ():
        for value in (0xFFFF_FFFF, 0x1234_5678, 0):
            await host.regs.write(name, value)
            await host.regs.expect(**{name: value})


async def no_start(host):
    """Neither CTRL's other bytes nor a start together with a reset start anything."""
    for value, strobe in ((START, 0b1110), (START, 0), (0x101, 0b0010), (START | SOFT_RESET, 15), (0, 15), (4, 15)):
        assert await host.regs.put_strobed(REGISTER["ctrl"], value, strobe) == AxiResp.OKAY
        await host.wait(4)
        await host.regs.expect(status=IDLE)


async def channels(host):
    """Addresses before data, data before addresses, answers that wait: each write counts once, in order."""
    write, read = host.regs.bus.write_if, host.regs.bus.read_if
    for late in (write.w_channel, write.aw_channel, write.b_channel):
        late.pause = True
        values = [0x1234_0000 + i for i in range(3)]
        writes = [host.regs.bus.init_write(REGISTER["n_frames"], value.to_bytes(4, "little")) for value in values]
        await host.wait(12)
        found = await host.regs.read("n_frames")
        # With the answer on hold the first write is done, and the second one must not take its answer's place.
        assert found == values[0] if late is write.b_channel else found not in values
        late.pause = False
        assert [answer.resp for answer in await host.regs.answers(writes)] == [AxiResp.OKAY] * 3
        await host.regs.expect(n_frames=values[-1])
        await host.regs.write("n_frames", 0)
    read.r_channel.pause = True
    reads = [host.regs.bus.init_read(REGISTER[name], 4) for name in ("id", "version", "n_chunks")]
    await host.wait(20)
    read.r_channel.pause = False
    answers = await host.regs.answers(reads)
    assert [int.from_bytes(answer.data, "little") for answer in answers] == [ID, version_word(), N_CHUNKS]


async def starts_while_busy(host):
    """A start in a batch, with another number of frames, changes neither the batch nor its counters."""

    # Long enough for what is written meanwhile.
    count = 1 + max(0, 400 - INFO["latency_cycles"]) // INFO["interval_cycles"]

    async def again():
        for frames in (count + 1, 0, 77):
            await host.start(frames)
        assert host.dut.running.value, "the batch ended before it was tried to start another"

    wrong = await host.checked(frames_in(count), frames_out(count), ideal=True, meanwhile=again)
    assert not wrong, f"codes that differ, by frame: {wrong}"
    total = await host.regs.cycles()
    await host.wait(20)
    await host.regs.expect(n_frames=77, status=DONE, frames_done=count)
    assert await host.regs.cycles() == total, "CYCLES counts on behind the batch"


async def progress(host):
    """While frames leave, FRAMES_DONE is their number, and STATUS says busy and not done; CYCLES counts cycles."""
    await host.start(3)
    await host.regs.expect(status=BUSY, frames_done=0)
    first = await host.regs.cycles()
    await host.wait(100)
    second = await host.regs.cycles()
    assert 100 <= second - first <= 160, f"{second - first} cycles between two reads of CYCLES 100 cycles apart"
    host.regs.bus.read_if.r_channel.pause = True
    reading = host.regs.bus.init_read(REGISTER["cycles"], 4)
    await host.wait(20)
    host.regs.bus.read_if.r_channel.pause = False
    await host.regs.answers([reading])
    host.pauses(hold=7)
    host.source.send(frames_in(3))
    outputs = []
    while len(outputs) < 3:
        outputs.append(await with_timeout(host.sink.frames.get(), host.limit_us(3), "us"))
        host.sink.ready(False)
        await host.wait(12)
        outputs += [host.sink.frames.get_nowait() for _ in range(host.sink.frames.qsize())]
        if len(outputs) < 3:
            await host.regs.expect(status=BUSY, frames_done=len(outputs))
        host.sink.ready(True)
    await with_timeout(host.finish(0, 3), host.limit_us(3), "us")
    wrong = host.compare(outputs, frames_out(3))
    assert not wrong, f"codes that differ, by frame: {wrong}"
    host.pauses()


async def done_until_the_next_start(host):
    """DONE stays until a start or a reset, and a start makes the counters begin anew."""
    await host.regs.expect(status=DONE)
    await host.regs.write("ctrl", 0)
    await host.regs.expect(status=DONE)
    await host.start(1)
    await host.regs.expect(status=BUSY, frames_done=0)
    assert await host.regs.cycles() < 100, "CYCLES goes on from the batch before"
    host.source.send(frames_in(1))
    await with_timeout(host.finish(1), host.limit_us(1), "us")
    await host.regs.write("ctrl", SOFT_RESET)
    await host.regs.expect(status=IDLE, frames_done=0, cycles=0)


async def start_behind_a_reset(host):
    """A start that waits on the bus behind a soft reset is carried out, as is the reset."""
    await host.start(5)
    await host.regs.expect(status=BUSY)
    if MEMORY:
        # Reads that are under way come back first; a start before that is ignored.
        await host.soft_reset()
        await host.regs.expect(status=IDLE)
    writes = [("n_frames", 1), ("ctrl", SOFT_RESET), ("ctrl", START)]
    events = [host.regs.bus.init_write(REGISTER[name], value.to_bytes(4, "little")) for name, value in writes]
    await host.regs.answers(events)
    await host.regs.expect(status=BUSY, frames_done=0)
    host.source.send(frames_in(1))
    outputs = await with_timeout(host.finish(1), host.limit_us(1), "us")
    assert not host.compare(outputs, frames_out(1)), "codes differ"


async def without_end(host):
    """N_FRAMES = 0: frames come as long as there are inputs, and only a reset ends the batch."""
    # A job of a later stage is not begun before the frames behind its own have come in.
    count = 2 + sum(INFO["stages"])
    await host.start(0)
    host.source.send(frames_in(count))
    outputs = [await with_timeout(host.sink.frames.get(), host.limit_us(count), "us") for _ in range(2)]
    wrong = host.compare(outputs, frames_out(2))
    assert not wrong, f"codes that differ, by frame: {wrong}"
    await host.wait(INFO["latency_cycles"] + count * INFO["interval_cycles"])
    await host.regs.expect(status=BUSY, frames_done=2 + host.sink.frames.qsize())


async def high_word(host):
    """CYCLES has 64 bits, of which a read of the low word holds the high ones."""
    counter = host.dut.u_dut.cycle_q
    await host.regs.expect(status=BUSY)
    for high in (0, 0x5A5A_0F0E):
        counter.value = (high + 1) * HALF - 200
        await host.wait(2)
        low = await host.regs.read("cycles")
        assert HALF - 200 < low < HALF - 100, f"CYCLES is {low:#x}"
        await host.wait(200)
        await host.regs.expect(cycles_high=high)
        assert 0 < await host.regs.read("cycles") < 400, "CYCLES does not go on from zero"
        await host.regs.expect(cycles_high=high + 1)
        await host.regs.expect(status=BUSY, cycles_high=high + 1)
    await host.soft_reset()
    await host.regs.expect(status=IDLE, frames_done=0, cycles=0, cycles_high=0)


async def as_ever(host):
    """After all that, a batch of the predicted cycles."""
    wrong = await host.checked(frames_in(1), frames_out(1), ideal=True)
    assert not wrong, f"codes that differ, by frame: {wrong}"


CHECKS = (
    after_reset,
    read_only,
    strobes,
    whole_words,
    no_start,
    channels,
    starts_while_busy,
    progress,
    done_until_the_next_start,
    start_behind_a_reset,
    without_end,
    high_word,
    as_ever,
)


async def check_all(host):
    """Every check."""
    for check in CHECKS:
        cocotb.log.info("control: %s", check.__doc__)
        await check(host)
