# SPDX-License-Identifier: Apache-2.0
"""nba_host_out against docs/template.md, 'Output (host)': the rows' words in order, TLAST, tokens; without stalls
every decision, release and hand-over in its cycle."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import cocotb
from cocotb.triggers import RisingEdge
from stepping import RATES, Sink, begin, parameter, reset, rng

INPUTS = ("m_ready", "start_pulse", "cfg_frames", "tok_avail", "r_row_addr", "r_data")


@dataclass
class Trace:
    """Cycles (0 = the first after the start pulse) of what happened, and the beats that must come."""

    starts: list[int] = field(default_factory=list)
    releases: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    beats: list[int] = field(default_factory=list)


def beat(dut, memory: list[int], base: int, i: int) -> int:
    """Beat `i` of a row whose first word is `base`: groups of columns side by side lie in the same words."""
    words, groups, width = parameter(dut, "CHAN_WORDS"), parameter(dut, "COL_GROUPS"), len(dut.m_data)
    places = parameter(dut, "PP") // parameter(dut, "OUT_COLS") if groups > 1 else 1
    group, word = divmod(i, words)
    across, place = divmod(group, places)
    return memory[(base + across * words + word) % len(memory)] >> (place * width) & ((1 << width) - 1)


async def run(
    dut, frames: int, stall: float, late: float, rand: random.Random, cut: int | None = None
) -> tuple[Trace, Sink]:
    """Start a run over a random memory and check it; `cut`: give up after so many cycles."""
    rows, groups, words = (parameter(dut, n) for n in ("ROWS", "COL_GROUPS", "CHAN_WORDS"))
    n_beats, n_rows, a_mask = groups * words, rows * frames, (1 << len(dut.r_addr)) - 1
    memory = [rand.getrandbits(len(dut.r_data)) for _ in range(a_mask + 1)]
    sink, trace = Sink(dut, "m_", stall, rand, last=True), Trace()
    ready_rows, row_open, base, start, done = 2, False, rand.randrange(a_mask + 1), True, 0
    was_busy = False
    dut.start_pulse.value, dut.cfg_frames.value = 1, frames
    dut.tok_avail.value, dut.r_row_addr.value = 1, base
    token, address = True, 0
    for now in range(-1, 200 + 40 * (n_beats + 3) * max(n_rows, 20)):
        await RisingEdge(dut.clk)
        release, begun = bool(dut.rel_pulse.value), bool(dut.tok_start_pulse.value)
        busy = bool(dut.stat_busy.value)
        assert busy == was_busy, f"cycle {now}: stat_busy"
        if release:
            assert row_open, f"cycle {now}: release without a row"
            trace.releases.append(now)
            row_open = False
        wanted = now >= 0 and busy and not row_open and (not frames or len(trace.starts) < n_rows)
        assert begun == (wanted and token), f"cycle {now}: tok_start_pulse"
        if begun:
            trace.starts.append(now)
            trace.beats += [beat(dut, memory, base, i) for i in range(n_beats)]
            row_open = True
            ready_rows -= 1
            base = rand.randrange(a_mask + 1)
        assert int(dut.stat_frames.value) == done or now < 0
        finished = sink.step(now) and sink.lasts[-1]
        assert bool(dut.stat_frame_pulse.value) == finished, f"cycle {now}: stat_frame_pulse"
        done += finished
        trace.frames += [now] * finished
        was_busy = now < 0 or (busy and not (frames and done == frames))
        # The memory: a word two cycles after its address, noise (kept out of the row's columns) never matters.
        dut.r_data.value = memory[address] if now > 0 else 0
        if dut.r_addr.value.is_resolvable:
            address = dut.r_addr.value.to_unsigned()
        ready_rows += ready_rows < 3 and (not late or rand.random() >= late)
        token = ready_rows > 0 if late else True
        start = was_busy and rand.random() < 0.1
        dut.tok_avail.value, dut.r_row_addr.value = int(token), base
        dut.start_pulse.value, dut.cfg_frames.value = int(start), rand.getrandbits(8)
        if (cut is not None and now >= cut) or (cut is None and now >= 0 and not was_busy and not busy):
            break
    dut.start_pulse.value = 0
    if cut is None:
        assert sink.words == trace.beats
        assert len(trace.starts) == len(trace.releases) == n_rows
        per_frame = rows * n_beats
        assert sink.lasts == [i % per_frame == per_frame - 1 for i in range(len(sink.words))]
        assert int(dut.stat_frames.value) == frames
    else:
        assert sink.words == trace.beats[: len(sink.words)]
    return trace, sink


@cocotb.test(timeout_time=3, timeout_unit="ms")
@cocotb.parametrize(stall=RATES, late=[0.0, 0.95])
async def every_word_once_in_its_cycle(dut, stall: float, late: float) -> None:
    await begin(dut, INPUTS)
    rand = rng(stall, late)
    beats = parameter(dut, "COL_GROUPS") * parameter(dut, "CHAN_WORDS")
    period = max(beats, 2)
    for frames in (1, 3):
        trace, sink = await run(dut, frames, stall, late, rand)
        if stall:
            continue
        assert trace.releases == [t + period for t in trace.starts]
        assert sink.cycles == [t + 1 + i + 5 for t in trace.starts for i in range(beats)]
        if not late:
            assert trace.starts == [n * period for n in range(frames * parameter(dut, "ROWS"))]


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def without_end_until_reset(dut) -> None:
    await begin(dut, INPUTS)
    rand = rng()
    period = max(parameter(dut, "COL_GROUPS") * parameter(dut, "CHAN_WORDS"), 2)
    rows = parameter(dut, "ROWS")
    trace, _ = await run(dut, 0, 0.0, 0.0, rand, cut=6 * rows * period + 1)
    assert trace.starts == [n * period for n in range(6 * rows + 1)]
    await reset(dut, 1)
    assert dut.stat_busy.value == 0
    assert dut.m_valid.value == 0
    await run(dut, 2, 0.4, 0.5, rand)
