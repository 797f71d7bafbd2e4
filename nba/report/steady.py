# SPDX-License-Identifier: Apache-2.0
"""A steady frame of the exact schedule, and the rows of the host streams that the schedule leaves out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.machine.program import Program
from nba.machine.recurrence import (
    DEST,
    FIRST_JOB,
    HEIGHT_IN,
    N_DEST,
    N_JOBS,
    PAD_TOP,
    RELEASED,
    RES,
    RES_RELEASED,
    ROW_CYCLES,
    ROWS_OUT,
    SRC,
    STRIDE,
    WRITTEN,
)
from nba.machine.schedule import Schedule, Tables, tables
from nba.machine.settled import LongRun, long_run


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SteadyFrames(LongRun):
    """A long run and its rows: where it is not settled, what is shown is an ordinary frame, and the page says so.

    rows[a][j][f, y]: first cycle of row y of frame f of job j of agent a (chunks, then input stream, then output
    stream); row_cycles[a][j]: cycles of one of its rows.
    """

    rows: tuple[tuple[np.ndarray, ...], ...]
    row_cycles: tuple[tuple[int, ...], ...]


def _releases(flat: Tables, job: int, start: np.ndarray) -> np.ndarray:
    """Cycle in which the release of every row of the input of `job` is seen, for row starts `start` [frames, rows]."""
    j = flat.jobs[job].tolist()
    count = []
    for y in range(j[ROWS_OUT]):
        top = y * j[STRIDE] - j[PAD_TOP]
        after = j[HEIGHT_IN] if y == j[ROWS_OUT] - 1 else max(0, top + j[STRIDE])
        count.append(after - max(0, top))
    ends: np.ndarray = np.repeat((start + j[RELEASED]).ravel(), np.tile(count, start.shape[0]))
    return ends


def stream_rows(flat: Tables, schedule: Schedule) -> tuple[np.ndarray, np.ndarray]:
    """First cycle of every row, int64 [frames, rows], of the input and of the output stream: the rules of
    nba.machine.schedule, applied to the events of the jobs around them, those of their last slice."""
    heights = flat.jobs[:, ROWS_OUT].tolist()
    every = [rows for chunk in schedule.row_start for rows in chunk]
    starts = [rows[:, -height:] for rows, height in zip(every, heights, strict=False)]
    n = schedule.n_frames
    source, sink = flat.jobs[-2].tolist(), flat.jobs[-1].tolist()
    free: list[tuple[int, np.ndarray]] = []
    for ring in flat.dests[source[DEST] : source[DEST] + source[N_DEST]].tolist():
        for job in range(len(starts)):
            if flat.jobs[job, SRC] == ring:
                free.append((int(flat.ring_rows[ring]), _releases(flat, job, starts[job])))
            elif flat.jobs[job, RES] == ring:
                free.append((int(flat.ring_rows[ring]), (starts[job] + flat.jobs[job, RES_RELEASED]).ravel()))
    inputs = np.zeros(n * source[ROWS_OUT], np.int64)
    ready = 0
    for row in range(inputs.size):
        at = max([ready, *(int(seen[row - rows]) for rows, seen in free if row >= rows)])
        inputs[row] = at + 1
        ready = at + source[ROW_CYCLES]
    outputs = np.zeros(n * sink[ROWS_OUT], np.int64)
    (producer,) = (
        j for j, job in enumerate(flat.jobs[:-2].tolist())
        if sink[SRC] in flat.dests[job[DEST] : job[DEST] + job[N_DEST]]
    )  # fmt: skip
    written = (starts[producer] + flat.jobs[producer, WRITTEN]).ravel()
    ready = 0
    for row in range(outputs.size):
        at = max(ready, int(written[row]))
        outputs[row] = at + 1
        ready = at + sink[ROW_CYCLES]
    return inputs.reshape(n, -1), outputs.reshape(n, -1)


def steady_frames(program: Program) -> SteadyFrames:
    """The steady frames of a run that is long enough (nba.machine.settled). Raises DeadlockError."""
    flat, run = tables(program), long_run(program)
    first, last = stream_rows(flat, run.schedule)
    jobs = flat.jobs[:, ROW_CYCLES].tolist()
    bounds = [(int(a[FIRST_JOB]), int(a[FIRST_JOB] + a[N_JOBS])) for a in flat.agents]
    return SteadyFrames(
        schedule=run.schedule,
        state=run.state,
        frame=run.frame,
        period=run.period,
        settled=run.settled,
        rows=(*run.schedule.row_start, (first,), (last,)),
        row_cycles=tuple(tuple(jobs[a:b]) for a, b in bounds),
    )
