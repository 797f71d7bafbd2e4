# SPDX-License-Identifier: Apache-2.0
"""When a batch of frames shows the steady interval, and that nothing else is claimed of a shorter one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nba.core.errors import DeadlockError
from nba.emit.predicted import predicted_cycles
from nba.flow.metrics import table
from nba.machine.program import Program, lower
from nba.machine.schedule import schedule
from nba.machine.settled import long_run, reach
from nba.machine.steady import steady_interval
from nba.verify import steady_part
from nba.verify.frames import frames_that_show
from tests.strategies import NetworkLimits, random_pair
from tests.tiny import tiny_design


def program_of(seed: int) -> Program:
    return random_pair(np.random.default_rng([seed, 8])).program


def long_transient() -> Program:
    """A random design of which a batch of 2, 4 and 8 frames has three intervals."""
    return random_pair(np.random.default_rng([28, 8]), NetworkLimits(plain=True)).program


def test_a_batch_that_is_shorter_than_the_transient_shows_no_steady_interval() -> None:
    program = long_transient()
    steady = steady_interval(program)
    found = {n: reach(program, n) for n in (1, 2, 4, 8, 16)}
    assert {n: r.reached for n, r in found.items()} == {1: False, 2: False, 4: False, 8: True, 16: True}
    intervals = {n: schedule(program, n).interval_cycles for n in (2, 4, 8, 16)}
    assert intervals == {2: 139, 4: 251, 8: steady, 16: steady}
    assert {(r.interval_cycles, r.first_frame, r.period_frames) for r in found.values()} == {(steady, 3, 1)}


@pytest.mark.parametrize("group", range(4))
def test_what_is_said_to_be_steady_is_the_interval_of_the_batch(group: int) -> None:
    short = 0
    for seed in range(10 * group, 10 * group + 10):
        program = program_of(seed)
        try:
            steady = steady_interval(program)
        except DeadlockError:
            continue
        for n_frames in (2, 4, 8, 16):
            found, exact = reach(program, n_frames), schedule(program, n_frames)
            if found.reached:
                begin = n_frames // 2 - 1
                steps = exact.output_cycle[begin + found.period_frames] - exact.output_cycle[begin]
                assert Fraction(int(steps), found.period_frames) == steady
            elif found.first_frame is not None and exact.interval_cycles != steady:
                short += 1
        assert reach(program, 400).reached
    assert group != 0 or short >= 2, "no short batch was drawn"


def test_the_first_steady_frame_is_the_first() -> None:
    run = long_run(long_transient())
    first = run.first_steady_frame()
    assert first == 3
    starts = run.schedule.job_start
    steps = [np.diff(start, axis=1) for start in starts]
    assert all((step[:, first : first + 10] == run.interval).all() for step in steps)
    assert not all((step[:, first - 1] == run.interval).all() for step in steps)


@pytest.mark.parametrize("seed", range(12))
def test_the_latency_is_that_of_the_design(seed: int) -> None:
    design, _ = tiny_design(seed)
    program = lower(design.network, design.accelerator)
    assert reach(program, 2).latency_cycles == design.cost.first_output_latency_cycles


def test_a_batch_is_as_long_as_it_has_to_be() -> None:
    program = long_transient()
    assert frames_that_show((program,), 2) == 8
    assert not reach(program, 6).reached
    assert frames_that_show((program,), 11) == 11, "long enough already"
    assert frames_that_show((program,), 2, at_most=7) == 2, "no longer where that does not help"
    assert frames_that_show((program_of(0), program), 2) == max(frames_that_show((program_of(0),), 2), 8)


def test_a_batch_of_as_many_frames_as_asked_for_shows_the_interval() -> None:
    grown = 0
    for seed in range(20):
        try:
            frames = frames_that_show((program_of(seed),), 2)
        except DeadlockError:
            continue
        assert frames == 2 or reach(program_of(seed), frames).reached
        grown += frames > 2
    assert grown >= 5, "no short batch was drawn"


def said(seed: int, n_frames: int, **steady: object) -> str:
    """What the closing table says of a simulation that does what was predicted; `steady` stands in for what is known
    of the steady state."""
    design, _ = tiny_design(seed)
    program = lower(design.network, design.accelerator)
    cycles = predicted_cycles(design.network, program, n_frames)
    part = {"predicted": cycles, "steady": {**steady_part(program, n_frames), **steady}}
    part["simulated"] = {"icarus": cycles}
    (line,) = table({"cycles": part})
    assert line.holds
    return line.value


def test_the_table_says_which_interval_was_compared() -> None:
    assert said(10, 2).startswith("yes: latency 971, ")
    assert said(10, 2, first_output_latency_cycles=1000).startswith("yes: latency within the batch 971, ")
    assert ", interval within the batch 188 cycles, " in said(10, 2)
    assert said(10, 2).endswith(" x 2 frames; too few frames for the steady state, which begins with frame 3")
    assert ", steady interval 398 cycles, " in said(10, 8)
    assert said(10, 8).endswith(" x 8 frames")
    assert "interval" not in said(10, 1).partition(";")[0], "one frame has none"
