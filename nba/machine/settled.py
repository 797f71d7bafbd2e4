# SPDX-License-Identifier: Apache-2.0
"""When a design settles to its steady interval, and whether a batch of frames is long enough to show it.

The first frames of a batch may leave at another rate than those that follow, while rings fill, and the last ones leave
early, since nothing follows them. A run of many frames tells the frame from which on every row event repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nba.machine.program import Program
from nba.machine.schedule import Schedule, run_tables, schedule, tables
from nba.machine.steady import Steady, steady_state

MIN_FRAMES = 24
_MAX_FRAMES = 1536
"""Where the wait for the steady state ends."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LongRun:
    """A schedule of as many frames as it takes until the cycles repeat: `period` frames from `frame` on take
    `period * interval` cycles. settled: the repetition was seen, not only expected."""

    schedule: Schedule
    state: Steady
    frame: int
    period: int
    settled: bool

    @property
    def interval(self) -> Fraction:
        """Cycles per frame in steady state."""
        return self.state.interval_cycles

    def first_steady_frame(self) -> int | None:
        """The first frame from which on all row events repeat after `period` frames; None if that was not seen."""
        if not self.settled:
            return None
        cycles, frame = int(self.period * self.interval), self.frame
        while frame > 0 and repeats(self.schedule, frame - 1, self.period, cycles):
            frame -= 1
        return frame


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """Whether a batch of frames shows the steady interval. first_frame: where the steady state begins in an endless run
    (None: not seen). latency_cycles: until the first output where frames follow without end. reached: the interval in
    the middle of the batch is that of the steady state, in which `period_frames` frames take turns."""

    interval_cycles: Fraction
    latency_cycles: int
    first_frame: int | None
    period_frames: int
    reached: bool


def repeats(exact: Schedule, frame: int, period: int, cycles: int) -> bool:
    """Whether every row, and the output, of frame `frame` comes again `cycles` cycles later in frame
    `frame + period`."""
    return all(bool(np.all(rows[frame + period] - rows[frame] == cycles)) for rows in _events(exact))


def _events(exact: Schedule) -> list[np.ndarray]:
    """Outputs [frames] and first cycles of all rows [frames, rows]."""
    return [exact.output_cycle, *(rows for chunk in exact.row_start for rows in chunk)]


def long_run(program: Program) -> LongRun:
    """Schedule as many frames as it takes until the cycles repeat. Raises DeadlockError."""
    flat, state = tables(program), steady_state(program)
    stages = max(chunk.last_stage for chunk in program.chunks)
    ratio = state.interval_cycles
    n_frames = MIN_FRAMES + 4 * stages
    while True:
        exact = run_tables(program, flat, n_frames)
        for multiple in (1, 2, 3, 4):
            period = multiple * ratio.denominator
            # The last rounds skip jobs of frames that do not come any more, so they are not like the others.
            frame = n_frames - 2 * period - 2 * stages - 4
            if frame > stages and repeats(exact, frame, period, int(period * ratio)):
                return LongRun(schedule=exact, state=state, frame=frame, period=period, settled=True)
        if n_frames >= _MAX_FRAMES:
            frame = max(0, n_frames - 2 * stages - 6)
            return LongRun(schedule=exact, state=state, frame=frame, period=1, settled=False)
        n_frames *= 4


def reach(program: Program, n_frames: int) -> Reach:
    """What a batch of `n_frames` frames shows of the steady state: its interval counts as reached if the period that
    begins with the frame before the middle one (where the interval of a batch is taken) is steady, and neither its rows
    nor its outputs are in other cycles than those of an endless run. Raises DeadlockError."""
    run = long_run(program)
    first, begin = run.first_steady_frame(), n_frames // 2 - 1
    end = begin + run.period
    reached = False
    if first is not None and first <= begin and end < n_frames:
        cycles, batch = int(run.period * run.interval), schedule(program, n_frames)
        frames = np.arange(begin, end + 1)
        turns, place = np.divmod(frames - first, run.period)
        reached = all(
            bool(np.array_equal((endless[first + place].T + turns * cycles).T, rows[frames]))
            for endless, rows in zip(_events(run.schedule), _events(batch), strict=True)
        )
    return Reach(
        interval_cycles=run.interval, latency_cycles=run.schedule.first_output_latency_cycles, first_frame=first,
        period_frames=run.period, reached=reached,
    )  # fmt: skip
