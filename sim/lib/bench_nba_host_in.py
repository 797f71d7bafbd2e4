# SPDX-License-Identifier: Apache-2.0
"""nba_host_in against docs/template.md, 'Input (host)': every token, beat and step in its cycle, under idle streams and
late tokens; without them row n starts max(beats, 2) cycles after row n - 1."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge
from stepping import RATES, Source, begin, parameter, reset, rng

INPUTS = ("s_data", "s_valid", "start_pulse", "cfg_frames", "tok_free")


class Model:
    """What must be seen in each cycle; `busy`, `rows_left` and the row under way, counted in beats."""

    def __init__(self, rows: int, groups: int, words: int):
        self.rows, self.words, self.beats = rows, words, groups * words
        self.busy = False
        self.rows_left = -1
        self.beat: int | None = None
        self.step: tuple[int, bool, bool] | None = None
        self.data: int | None = None

    def cycle(self, start: bool, frames: int, valid: bool, data: int, token: bool) -> tuple:
        """Advance one cycle; returns (ready, token taken, busy, flags, codes) of the cycle with these inputs: the flags
        of a step, and the codes of the step before it."""
        seen_step, self.step = self.step, None
        seen_data, self.data = self.data, None if seen_step is None else seen_step[0]
        busy, beat = self.busy, self.beat
        ready = beat is not None and beat < self.beats
        if ready and valid:
            self.step = (data, beat % self.words == self.words - 1, beat == self.beats - 1)
            self.beat = beat = beat + 1
        # A row of one beat ends one cycle after it.
        if beat == self.beats and (beat > 1 or not ready):
            self.beat = beat = None
            self.rows_left -= self.rows_left > 0
            self.busy = self.rows_left != 0
        taken = self.busy and beat is None and token
        if taken:
            self.beat = 0
        if start and not busy:
            self.busy, self.rows_left = True, frames * self.rows if frames else -1
        return ready, taken, busy, seen_step, seen_data


async def run(dut, frames: int, idle: float, late: float, rand: random.Random, cut: int | None = None) -> list[int]:
    """Start a run and compare it with the model cycle by cycle; returns the cycles of the tokens (start = cycle -1).

    `cut`: give up after so many cycles (a run without end, or a reset)."""
    rows, groups, words = (parameter(dut, n) for n in ("ROWS", "COL_GROUPS", "CHAN_WORDS"))
    n_beats = (frames or 20) * rows * groups * words
    beats = [rand.getrandbits(len(dut.s_data)) for _ in range(n_beats + 5)]
    source, model = Source(dut, "s_", beats, idle, rand), Model(rows, groups, words)
    free, tokens, steps = 2, [], 0
    dut.start_pulse.value, dut.cfg_frames.value = 1, frames
    dut.tok_free.value = 1
    token, start = True, True
    for now in range(-1, 100 + 12 * (n_beats + 3 * rows * (frames or 20))):
        await RisingEdge(dut.clk)
        offered = beats[len(source.sent)] if source.active else 0
        ready, taken, busy, step, data = model.cycle(start, frames, source.active, offered, token)
        assert bool(dut.s_ready.value) == ready, f"cycle {now}: s_ready"
        assert bool(dut.tok_start_pulse.value) == taken, f"cycle {now}: tok_start_pulse"
        assert bool(dut.stat_busy.value) == busy, f"cycle {now}: stat_busy"
        assert bool(dut.step_valid.value) == (step is not None), f"cycle {now}: step_valid"
        if step is not None:
            steps += 1
            seen = tuple(int(s.value) for s in (dut.step_col_last, dut.step_row_last))
            assert seen == tuple(map(int, step[1:])), f"cycle {now}: step {seen}, expected {step[1:]}"
        if data is not None:
            assert int(dut.step_data.value) == data, f"cycle {now}: step_data"
        if taken:
            tokens.append(now)
            free -= 1
        source.step()
        free += free < 3 and (not late or rand.random() >= late)
        token = free > 0 if late else True
        # A start while busy must change nothing, whatever the number of frames says.
        start = bool(busy and model.busy and rand.random() < 0.1)
        dut.tok_free.value, dut.start_pulse.value, dut.cfg_frames.value = int(token), int(start), rand.getrandbits(8)
        frames = frames if busy or now < 0 else 0
        if cut is not None and now >= cut:
            break
        if cut is None and now >= 0 and not model.busy and model.step is None and model.data is None and not busy:
            break
    dut.start_pulse.value = 0
    dut.s_valid.value = 0
    if cut is None:
        assert steps == n_beats
        assert len(source.sent) == n_beats
    return tokens


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(idle=RATES, late=[0.0, 0.95])
async def every_cycle_as_in_the_contract(dut, idle: float, late: float) -> None:
    await begin(dut, INPUTS)
    rand = rng(idle, late)
    period = max(parameter(dut, "COL_GROUPS") * parameter(dut, "CHAN_WORDS"), 2)
    for frames in (1, 3):
        tokens = await run(dut, frames, idle, late, rand)
        if not idle and not late:
            assert tokens == [n * period for n in range(frames * parameter(dut, "ROWS"))]


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def without_end_until_reset(dut) -> None:
    await begin(dut, INPUTS)
    rand = rng()
    period = max(parameter(dut, "COL_GROUPS") * parameter(dut, "CHAN_WORDS"), 2)
    rows = parameter(dut, "ROWS")
    tokens = await run(dut, 0, 0.0, 0.0, rand, cut=6 * rows * period + 1)
    assert tokens == [n * period for n in range(6 * rows + 1)]
    await reset(dut, 1)
    assert dut.stat_busy.value == 0
    await run(dut, 2, 0.3, 0.5, rand)
