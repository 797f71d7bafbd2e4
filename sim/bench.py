# SPDX-License-Identifier: Apache-2.0
"""The bench of an emitted bundle: cocotb tests over its AXI ports. Started by run_sim.py, which also judges the trace.

bundle.json (ports, beats), registers.json, vectors/*.hex and the environment (NBA_BUNDLE, NBA_FRAMES, NBA_MODE,
NBA_SEED, for the test `given` also NBA_INPUT) are all that it needs. Every test begins with a reset, so they may run
in any order and number. Batches that are marked as ideal meet neither pauses nor stalls: run_sim.py compares each of
them with the prediction, cycle by cycle.
"""

import itertools
import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.triggers import with_timeout
from cocotbext.axi import AxiResp
from control import check_all
from host import INFO, SEED, Host, frames_in, frames_out, given_frames, vectors
from registers import BUSY, COUNTER_PARTS, COUNTERS, COUNTERS_CHUNK, COUNTERS_JOB, DONE, ID, IDLE, READ_ERROR
from run_sim import n_modes

FRAMES = int(os.environ["NBA_FRAMES"])
MODE = int(os.environ["NBA_MODE"])
BEATS = -(-INFO["out"]["width"] // INFO["out"]["columns"]) * -(-INFO["out"]["channels"] // INFO["out"]["lanes"])
BEATS *= INFO["out"]["height"]
"""Beats of a frame on the output stream."""
BEATS_IN = -(-INFO["in"]["width"] // INFO["in"]["columns"]) * -(-INFO["in"]["channels"] // INFO["in"]["lanes"])
BEATS_IN *= INFO["in"]["height"]
"""Beats of a frame on the input stream."""
INSIDE = 8
"""More beats than fit between the output's memory and its port."""
BATCHES = (1, 2, 1)
MODE_FRAMES = 2
SOAK_FRAMES = 40
"""Most frames of a batch of the test `soak`."""


def mode_walk(count):
    """Modes of a row of batches: up and down, so that each follows both of its neighbours, and the last directly the
    first."""
    return [*range(count), *range(count - 2, -1, -1), count - 1, 0]


def test(function):
    """A cocotb test that also fails where a port broke its protocol."""

    async def watched(dut):
        host = Host(dut)
        await function(host)
        host.keeps_protocol()

    watched.__name__ = watched.__qualname__ = function.__name__
    watched.__doc__, watched.__module__ = function.__doc__, function.__module__
    return cocotb.test(timeout_time=10, timeout_unit="sec")(watched)


async def begin(host):
    """Reset, and choose the mode MODE."""
    await host.reset()
    if MODE:
        assert await host.set_mode(MODE) == AxiResp.OKAY


async def keep_result(host, mismatches):
    """Write result.json behind a batch of FRAMES frames: what was compared, and all counters. mismatches: output codes
    that differ from those expected; None where nothing is expected."""
    await host.regs.expect(id=ID, status=DONE, frames_done=FRAMES)
    counters = []
    for k, jobs in enumerate(INFO["jobs"]):
        places = [COUNTERS + k * COUNTERS_CHUNK + j * COUNTERS_JOB for j in range(len(jobs))]
        counters.append([[(await host.regs.get(place + part))[0] for part in COUNTER_PARTS] for place in places])
    total = await host.regs.cycles()
    result = {"images": FRAMES, "mismatches": mismatches, "counters": counters, "cycles": total}
    Path("result.json").write_text(json.dumps(result))


@test
async def cycles(host):
    """Frames back to back in mode MODE: every output bit; the trace holds the cycles; the counters agree with it."""
    await begin(host)
    wrong = await host.checked(frames_in(FRAMES), frames_out(FRAMES, MODE), ideal=True)
    await keep_result(host, sum(wrong.values()))
    assert not wrong, f"codes that differ, by frame: {wrong}"


@test
async def given(host):
    """The FRAMES frames of the file NBA_INPUT, back to back in mode MODE; what comes out goes to outputs.hex."""
    await begin(host)
    inputs = given_frames()
    outputs = await with_timeout(host.batch(inputs, True, None), host.limit_us(len(inputs)), "us")
    await keep_result(host, None)
    Path("outputs.hex").write_text("".join(f"{frame.hex()}\n" for frame in outputs))


@test
async def stalls(host):
    """Random idle on the input and random stall on the output change nothing but time."""
    count = min(FRAMES, 3)
    # A frame comes in within some two intervals, so that the machine waits for its input.
    starving = min(max(128, 256 - 128 * BEATS_IN // INFO["interval_cycles"]), 252)
    for trial, pauses in enumerate(({"idle": starving}, {"stall": 180, "hold": 15}, {"idle": 154, "stall": 154})):
        await host.reset(SEED * 16 + trial)
        host.pauses(**pauses)
        wrong = await host.checked(frames_in(count), frames_out(count))
        assert not wrong, f"{pauses}: codes that differ, by frame: {wrong}"


@test
async def blocked(host):
    """The output is not taken until the machine stands still, every buffer full; then its beats leave, with a pause
    behind some of them. Nothing is lost, and a batch that is not out is not done."""
    await host.reset(SEED)
    count = max(2, -(-INSIDE // BEATS))
    host.sink.ready(False)
    host.pauses(hold=3)

    async def release():
        await host.wait(INFO["latency_cycles"] + count * INFO["interval_cycles"] + 16 * INSIDE)
        assert host.sink.frames.empty(), "a frame left through a port that was not ready"
        await host.regs.expect(status=BUSY, frames_done=0)
        host.sink.ready(True)

    wrong = await host.checked(frames_in(count), frames_out(count), meanwhile=release)
    assert not wrong, f"behind a blocked output: codes that differ, by frame: {wrong}"


@test
async def resets(host):
    """A reset in the middle of a batch, by the pin and by the register, leaves a machine that computes the same in the
    same cycles."""
    rng = random.Random(SEED)
    inputs, expected = frames_in(2), frames_out(2)
    await host.reset()
    for kind in ("register", "blocked", "pin"):
        host.sink.ready(kind != "blocked")
        host.source.send(inputs)
        await host.start(len(inputs))
        if kind == "blocked":
            await host.wait(INFO["latency_cycles"] + INFO["interval_cycles"])
        await host.wait(rng.randrange(20, 20 + INFO["latency_cycles"]))
        if kind == "pin":
            await host.reset()
        else:
            await host.soft_reset()
        await host.regs.expect(status=IDLE, frames_done=0, cycles=0, cycles_high=0)
        await host.regs.expect(n_frames=0 if kind == "pin" else len(inputs))
        wrong = await host.checked(inputs, expected, ideal=True)
        assert not wrong, f"after a reset, {kind}: codes that differ, by frame: {wrong}"


@test
async def batches(host):
    """Batches follow each other without a reset, the next one's data waiting at the port."""
    await host.reset()
    host.source.send(itertools.chain.from_iterable(map(frames_in, BATCHES)))
    await host.wait(4)
    for size in BATCHES:
        await host.start(size, ideal=True)
        outputs = await with_timeout(host.finish(size), host.limit_us(size), "us")
        wrong = host.compare(outputs, frames_out(size))
        assert not wrong, f"batch of {size}: codes that differ, by frame: {wrong}"


@test
async def control(host):
    """Every register: what it reads, what it takes, what a start, a batch and a reset do to it; and the channels of
    the bus in any order and with answers that wait."""
    await host.reset()
    await check_all(host)


@test
async def memory(host):
    """External memory whose answers come late and in pieces changes nothing but time; other weights in it, and back
    again, without a reset; a read that fails is said, and nothing hangs."""
    count = min(FRAMES, 2)
    inputs, expected, others = frames_in(count), frames_out(count), vectors("expected_other_weights.hex", count)

    async def weights_at(place):
        await host.regs.write("weights_lo", place)

    await host.reset(SEED * 16)
    host.memory(jitter=1)
    wrong = await host.checked(inputs, expected)
    assert not wrong, f"late answers: codes that differ, by frame: {wrong}"
    host.source.send(inputs)
    await host.start(count)
    await host.wait(INFO["latency_cycles"])
    await host.soft_reset()
    await host.regs.expect(status=IDLE)
    host.pauses(idle=128, stall=128)
    # What is written while a batch runs is for the next one.
    wrong = await host.checked(inputs, expected, meanwhile=lambda: weights_at(INFO["memory"]["other_image"]))
    assert not wrong, f"late answers, pauses: codes that differ, by frame: {wrong}"
    host.memory()
    host.pauses()
    wrong = await host.checked(inputs, others, ideal=True, meanwhile=lambda: weights_at(0))
    assert not wrong, f"other weights: codes that differ, by frame: {wrong}"
    # No memory is there: every read fails, whatever comes out, in as many cycles.
    await host.regs.write("weights_hi", 1)
    host.reads_fail = True
    await with_timeout(host.batch(inputs, True, None), host.limit_us(count), "us")
    await host.regs.expect(status=DONE | READ_ERROR)
    await host.regs.write("weights_hi", 0)
    host.memory(jitter=1, faults=2)
    wrong = await host.checked(inputs, expected)
    assert not wrong, f"answers with errors: codes that differ, by frame: {wrong}"
    host.memory()
    wrong = await host.checked(inputs, expected, ideal=True)
    assert not wrong, f"behind reads that failed: codes that differ, by frame: {wrong}"


@test
async def modes(host):
    """Batches in changing modes without a reset, with random stalls and then without: the mode that is written while a
    batch runs is that of the next one, and what names no mode is refused."""
    await host.reset(SEED)
    count, rng = n_modes(INFO), random.Random(SEED)
    inputs, expected = frames_in(MODE_FRAMES), [frames_out(MODE_FRAMES, m) for m in range(count)]
    await host.regs.expect(n_modes=count, mode=0)
    for stalled in (True, False):
        host.pauses(*(128, 128) if stalled else ())
        for mode, following in itertools.pairwise((*mode_walk(count), 0)):

            async def choose(following=following):
                assert await host.set_mode(following) == AxiResp.OKAY
                assert await host.set_mode(rng.choice([count, 16, 256, 1 << 31])) == AxiResp.SLVERR
                await host.regs.expect(mode=following)

            wrong = await host.checked(inputs, expected[mode], ideal=not stalled, meanwhile=choose)
            assert not wrong, f"mode {mode}, stalls {stalled}: codes that differ, by frame: {wrong}"


async def disturb(host, rng, kind, inputs):
    """What the test `soak` does before a batch: nothing, or a reset of either kind, half of them in the middle of a
    batch of `inputs`, pauses and late answers included."""
    if rng.random() < 0.5 and kind != "nothing":
        host.source.send(inputs)
        await host.start(len(inputs))
        await host.wait(rng.randrange(4, INFO["latency_cycles"] + len(inputs) * INFO["interval_cycles"]))
    if kind == "pin":
        await host.reset(rng.getrandbits(32))
    elif kind == "register":
        await host.soft_reset()
    if kind != "nothing":
        await host.regs.expect(status=IDLE, frames_done=0)


@test
async def soak(host):
    """FRAMES frames in batches of random sizes, with resets of both kinds between and in them. Half of the batches meet
    random pauses on both streams and, where there is external memory, late answers and errors; the others take the
    predicted cycles. No frame is lost, and none comes out twice."""
    rng = random.Random(SEED)
    inputs, expected = frames_in(FRAMES), frames_out(FRAMES)
    await host.reset(SEED)
    done, batches = 0, 0
    while done < FRAMES:
        await disturb(host, rng, rng.choice(("nothing", "nothing", "register", "pin")), inputs[:SOAK_FRAMES])
        count, ideal = min(rng.randint(1, SOAK_FRAMES), FRAMES - done), rng.random() < 0.5
        if ideal:
            host.pauses()
            host.memory()
        else:
            host.pauses(idle=rng.choice((0, 64, 224)), stall=rng.choice((0, 64, 224)), hold=rng.choice((0, 0, 31)))
            host.memory(jitter=1, faults=rng.choice((0, 0, 1, 2)))
        wrong = await host.checked(inputs[done : done + count], expected[done : done + count], ideal)
        assert not wrong, f"batch {batches} of {count} from frame {done} on: codes that differ, by frame: {wrong}"
        assert host.sink.frames.empty(), f"batch {batches} from frame {done} on: more frames came out than went in"
        done, batches = done + count, batches + 1
