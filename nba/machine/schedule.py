# SPDX-License-Identifier: Apache-2.0
"""The exact row schedule: the cycle of every row start, by the rules of docs/template.md ("Row tokens", "Cycles").

Every chunk, the input stream and the output stream are agents that start rows in a fixed order. A row starts at the
maximum of a handful of earlier events plus constants (a max-plus recurrence), so agents can be advanced in any order:
whoever has all the events it waits for goes on, and if nobody can, the design is deadlocked. The recurrence runs in
compiled code over flat tables (`tables`); `nba.machine.steady` finds its exact asymptotic rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.core.compiled import compiled
from nba.core.errors import DeadlockError
from nba.ir.accelerator import HOST
from nba.machine import timing
from nba.machine.program import ChunkProgram, Destination, JobProgram, Program
from nba.machine.recurrence import (
    DEST,
    FETCH_STORE,
    FIRST_JOB,
    FIRST_TURN,
    HEIGHT_IN,
    KERNEL_H,
    N_DEST,
    N_JOBS,
    PAD_TOP,
    RES,
    RING_PARTS,
    ROUNDS,
    ROWS_OUT,
    SLICES,
    SRC,
    STRIDE,
    WRITTEN,
    advance,
    batch_cycles,
)

WAIT_REASONS = ("input", "residual", "output", "weights")
"""What the last axis of `Schedule.job_wait` counts: waiting for input rows, a residual row, a free output row, weights
from external memory."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tables:
    """A Program as flat int64 arrays. Agents: the chunks, then the input stream, then the output stream; jobs and turns
    in agent order, one of each for each stream. Rings are numbered edge by edge.

    jobs: [n_jobs, 15], turns: [n_turns, 5], fetches: [n_fetches, 4], reader: [8] and agents: [n_chunks + 2, 7] by
    the column names of nba.machine.recurrence; dests: ring numbers that `DEST` points into; ring_rows, ring_height:
    [n_rings] rows of the ring and rows of its tensor per frame; shares: [n_rings, 4], who has its memory before it.
    """

    jobs: np.ndarray
    turns: np.ndarray
    agents: np.ndarray
    dests: np.ndarray
    ring_rows: np.ndarray
    ring_height: np.ndarray
    shares: np.ndarray
    fetches: np.ndarray
    reader: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Schedule:
    """Exact cycles of `n_frames` frames that enter back to back; cycle 0 is the first after the start pulse.

    job_start[k][j, f]: first cycle of the first row of job j of chunk k on frame f. job_end[k][j, f]: cycle of the
    last memory write of that job and frame. job_wait[k][j, f, reason]: cycles that rows of the job waited, by
    WAIT_REASONS (each wait is counted for the condition that was met last; ties go to the first reason).
    row_start[k][j][f, y]: first cycle of every row, those of one slice behind those of another. output_cycle[f]: cycle
    of the last beat of frame f.
    interval_cycles: between the outputs of frame n_frames // 2 and the one before it, in the middle of the batch where
    neither its beginning nor its end shows; -1 if there is only one frame. batch_cycles: from the start until the last
    frame is out and every agent is idle, as the register CYCLES counts them. All int64.
    """

    n_frames: int
    job_start: tuple[np.ndarray, ...]
    job_end: tuple[np.ndarray, ...]
    job_wait: tuple[np.ndarray, ...]
    row_start: tuple[tuple[np.ndarray, ...], ...]
    output_cycle: np.ndarray
    first_output_latency_cycles: int
    interval_cycles: int
    batch_cycles: int


def last_beat(program: Program) -> int:
    """Cycles from the start of a row of the output stream to the hand-over of its last beat."""
    return timing.last_beat_cycles(program.out_col_groups * program.out_chan_words)


def _job_row(chunk: ChunkProgram, job: JobProgram, first_ring: list[int]) -> tuple[int, ...]:
    """The row of a chunk's job in the job table, but for what it writes: columns ROWS_OUT to RES."""
    work = timing.work_cycles(job.col_groups, job.m_groups, job.slot_cycles)
    drain = job.degree * chunk.drain_cycles
    res = -1
    if job.res_edge is not None and job.res_ring is not None:
        res = first_ring[job.res_edge] + job.res_ring
    lanes = timing.lane_cycles(chunk.pn, chunk.packing)
    written, released = timing.written_cycles(work, drain, lanes), timing.released_cycles(job.row_cycles)
    return (
        job.rows_out, job.row_cycles, written, released, timing.residual_cycles(work, drain, lanes),
        job.stride_h, job.pad_top, job.kernel_h, job.height_in, first_ring[job.src_edge] + job.src_ring, res,
    )  # fmt: skip


# One table behind the other: every line is a field of it.
def tables(program: Program) -> Tables:
    """Flatten `program` for the compiled recurrence."""
    first_ring, n_rings = [], 0
    for edge in program.edges:
        first_ring.append(n_rings)
        n_rings += len(edge.rings)
    ring_rows = [ring.rows for edge in program.edges for ring in edge.rings]
    ring_height = [0] * n_rings
    jobs: list[tuple[int, ...]] = []
    turns: list[tuple[int, ...]] = []
    agents: list[tuple[int, ...]] = []
    dests: list[int] = []

    def write(destinations: tuple[Destination, ...], height: int) -> tuple[int, int]:
        begin = len(dests)
        for d in destinations:
            ring = first_ring[d.edge] + d.ring
            dests.append(ring)
            ring_height[ring] = height * program.edges[d.edge].rings[d.ring].parts
        return begin, len(destinations)

    store_of = {one.chunk: one.store for one in program.fetches}
    for k, chunk in enumerate(program.chunks):
        agents.append(
            (len(jobs), len(chunk.jobs), timing.FETCH_CYCLES, 1, chunk.last_stage, len(turns), len(chunk.turns))
        )
        turns += [(len(jobs) + turn.job, turn.rows, turn.stage, turn.first, turn.slice) for turn in chunk.turns]
        for job in chunk.jobs:
            store = store_of[k] if job.streamed else -1
            jobs.append((*_job_row(chunk, job, first_ring), *write(job.destinations, job.rows_out), job.slices, store))
    rows, beats = program.in_rows, program.in_col_groups * program.in_chan_words
    row, written = timing.row_cycles(beats), timing.host_written_cycles(beats)
    agents.append((len(jobs), 1, 0, 0, 0, len(turns), 1))
    turns.append((len(jobs), rows, 0, 0, 0))
    jobs.append((rows, row, written, 0, 0, 1, 0, 1, rows, -1, -1, *write(program.host_in, rows), 1, -1))
    rows, row = program.out_rows, timing.row_cycles(program.out_col_groups * program.out_chan_words)
    agents.append((len(jobs), 1, 0, 0, 0, len(turns), 1))
    turns.append((len(jobs), rows, 0, 0, 0))
    source = first_ring[program.host_out.edge] + program.host_out.ring
    jobs.append((rows, row, 0, timing.released_cycles(row), 0, 1, 0, 1, rows, source, -1, len(dests), 0, 1, -1))
    return Tables(
        jobs=np.array(jobs, np.int64),
        turns=np.array(turns, np.int64),
        agents=np.array(agents, np.int64),
        dests=np.array(dests, np.int64),
        ring_rows=np.array(ring_rows, np.int64),
        ring_height=np.array(ring_height, np.int64),
        shares=_shares(program, ring_height),
        fetches=_fetch_rows(program),
        reader=_reader(program),
    )


@compiled
def no_shares(n_rings: int) -> np.ndarray:
    """The table of rings that each have memory of their own, and all channels in a row."""
    found = np.full((n_rings, 5), -1, np.int64)
    found[:, RING_PARTS] = 1
    return found


def _shares(program: Program, ring_height: list[int]) -> np.ndarray:
    """The table of the rings of `program`."""
    found, first = no_shares(len(ring_height)), 0
    for edge in program.edges:
        for number, ring in enumerate(edge.rings):
            if ring.waits_for >= 0:
                other = first + ring.waits_for
                ago = int(ring.waits_for >= number)
                found[first + number, :RING_PARTS] = other, ago, ring_height[other], timing.SHARE_CYCLES
            found[first + number, RING_PARTS] = ring.parts
        first += len(edge.rings)
    return found


NO_FETCHES = np.zeros((0, 4), np.int64)
"""The table of fetches of a design whose weights are all on chip."""
NO_READER = np.zeros(8, np.int64)


def _fetch_rows(program: Program) -> np.ndarray:
    """The table of fetches of `program`."""
    if program.memory is None:
        return NO_FETCHES
    rows = [(one.store, one.stage, one.bursts(program.memory), one.beats) for one in program.fetches]
    return np.array(rows, np.int64).reshape(-1, NO_FETCHES.shape[1])


def _reader(program: Program) -> np.ndarray:
    """What the reader of weights of `program` is like."""
    if program.memory is None:
        return NO_READER
    return np.array(
        (
            program.memory.slots, max([one.stage for one in program.fetches], default=0), timing.READER_START_CYCLES,
            timing.READER_CYCLES, timing.READ_CYCLES + program.memory.latency, timing.LOADED_CYCLES,
            timing.UNLOADED_CYCLES, len(program.fetches),
        ),
        np.int64,
    )  # fmt: skip


_recurrence = compiled(advance)


# One compiled kernel: its arguments are the arrays of `Tables` and the state of the recurrence.
@compiled
def _advance(
    jobs: np.ndarray,
    turns: np.ndarray,
    agents: np.ndarray,
    dests: np.ndarray,
    ring_rows: np.ndarray,
    ring_height: np.ndarray,
    shares: np.ndarray,
    fetches: np.ndarray,
    reader: np.ndarray,
    n_frames: int,
    row_base: np.ndarray,
    row_start: np.ndarray,
    wait: np.ndarray,
    position: np.ndarray,
    n_written: np.ndarray,
    n_released: np.ndarray,
    reader_idle: np.ndarray,
) -> bool:
    """Fill row_start and wait, see nba.machine.recurrence.advance.

    position: [n_agents, 3], where every agent stopped: round, turn of the round, row of the turn. n_written,
    n_released: [n_rings], all rows ever written and released. These and wait must come in as zeros. False if
    deadlocked.
    """
    n_rings = ring_rows.size
    n_agents = agents.shape[0]
    n_stores = 0
    for f in range(fetches.shape[0]):
        n_stores = max(n_stores, fetches[f, FETCH_STORE] + 1)
    room = n_stores * fetches.shape[0] * n_frames
    base = np.zeros(n_rings + 1, np.int64)
    for r in range(n_rings):
        base[r + 1] = base[r] + ring_height[r] * n_frames
    return _recurrence(
        jobs, turns, agents, dests, ring_rows, shares, fetches, reader, n_frames, row_base, row_start, wait, position,
        n_written, n_released, np.zeros(n_stores, np.int64), np.zeros(n_stores, np.int64), base,
        np.empty(base[n_rings], np.int64), np.empty(base[n_rings], np.int64),
        np.empty(room, np.int64), np.empty(room, np.int64),
        np.zeros(n_agents, np.int64), np.zeros(n_agents, np.bool_), reader_idle,
    )  # fmt: skip


# One compiled kernel: its arguments are the arrays of `Tables`.
@compiled
def _last_rows(
    jobs: np.ndarray, turns: np.ndarray, agents: np.ndarray, dests: np.ndarray, ring_rows: np.ndarray,
    ring_height: np.ndarray, shares: np.ndarray, fetches: np.ndarray, reader: np.ndarray, n_frames: int,
) -> np.ndarray:  # fmt: skip
    """int64 [n_frames]: the start of the last row of the output stream in every frame; empty if deadlocked."""
    n_jobs, n_agents, n_rings = jobs.shape[0], agents.shape[0], ring_rows.size
    row_base = np.zeros(n_jobs + 1, np.int64)
    for j in range(n_jobs):
        row_base[j + 1] = row_base[j] + jobs[j, ROWS_OUT] * jobs[j, SLICES] * n_frames
    row_start = np.empty(row_base[n_jobs], np.int64)
    if not _advance(
        jobs, turns, agents, dests, ring_rows, ring_height, shares, fetches, reader, n_frames, row_base, row_start,
        np.zeros((n_jobs, n_frames, 4), np.int64), np.zeros((n_agents, 3), np.int64), np.zeros(n_rings, np.int64),
        np.zeros(n_rings, np.int64), np.zeros(1, np.int64),
    ):  # fmt: skip
        return np.empty(0, np.int64)
    rows = jobs[n_jobs - 1, ROWS_OUT]
    found = np.empty(n_frames, np.int64)
    for f in range(n_frames):
        found[f] = row_start[row_base[n_jobs - 1] + (f + 1) * rows - 1]
    return found


def beat_cycles(program: Program, flat: Tables, n_frames: int) -> np.ndarray | None:
    """The cycle of the last beat of each of `n_frames` >= 1 frames, int64 [n_frames], and nothing else of the schedule
    of `flat`, the tables of `program` (or with other `ring_rows`); None if it deadlocks."""
    assert n_frames >= 1, n_frames
    found = _last_rows(
        flat.jobs, flat.turns, flat.agents, flat.dests, flat.ring_rows, flat.ring_height, flat.shares, flat.fetches,
        flat.reader, n_frames,
    )  # fmt: skip
    return found + last_beat(program) if found.size else None


def schedule(program: Program, n_frames: int) -> Schedule:
    """The exact schedule of `n_frames` >= 1 frames.

    Raises DeadlockError, one line for every chunk or stream that can never go on: what it waits for, what there is.
    """
    return run_tables(program, tables(program), n_frames)


def run_tables(program: Program, flat: Tables, n_frames: int) -> Schedule:
    """`schedule` of tables made before by `tables(program)`."""
    assert n_frames >= 1, n_frames
    jobs = flat.jobs
    n_jobs = jobs.shape[0]
    of_frame = jobs[:, ROWS_OUT] * jobs[:, SLICES]
    rows = of_frame * n_frames
    row_base = np.zeros(n_jobs, np.int64)
    np.cumsum(rows[:-1], out=row_base[1:])
    row_start = np.empty(int(row_base[-1] + rows[-1]), np.int64)
    wait = np.zeros((n_jobs, n_frames, len(WAIT_REASONS)), np.int64)
    position = np.zeros((flat.agents.shape[0], 3), np.int64)
    n_written = np.zeros(flat.ring_rows.size, np.int64)
    n_released = np.zeros(flat.ring_rows.size, np.int64)
    reader_idle = np.zeros(1, np.int64)
    if not _advance(
        jobs, flat.turns, flat.agents, flat.dests, flat.ring_rows, flat.ring_height, flat.shares, flat.fetches,
        flat.reader, n_frames, row_base, row_start, wait, position, n_written, n_released, reader_idle,
    ):  # fmt: skip
        raise DeadlockError(
            f"row schedule of {n_frames} frame(s) deadlocks",
            _blocked(program, flat, n_frames, position, n_written, n_released),
        )
    frames = np.arange(n_frames)
    first = row_start[row_base[:, None] + frames * of_frame[:, None]]
    last = row_start[row_base[:, None] + (frames + 1) * of_frame[:, None] - 1]
    end = last + (jobs[:, WRITTEN, None] - 1)
    output = last[-1] + last_beat(program)
    middle = n_frames // 2
    bounds = [(int(a[FIRST_JOB]), int(a[FIRST_JOB] + a[N_JOBS])) for a in flat.agents[:-2]]
    by_row = [row_start[b : b + n].reshape(n_frames, -1) for b, n in zip(row_base.tolist(), rows.tolist(), strict=True)]
    return Schedule(
        n_frames=n_frames,
        job_start=tuple([first[a:b] for a, b in bounds]),
        job_end=tuple([end[a:b] for a, b in bounds]),
        job_wait=tuple([wait[a:b] for a, b in bounds]),
        row_start=tuple([tuple(by_row[a:b]) for a, b in bounds]),
        output_cycle=output,
        first_output_latency_cycles=int(output[0]) + 1,
        interval_cycles=int(output[middle] - output[middle - 1]) if n_frames > 1 else -1,
        batch_cycles=batch_cycles(last[:, -1], jobs, flat.turns, flat.agents, last_beat(program), int(reader_idle[0])),
    )


def _blocked(
    program: Program, flat: Tables, n_frames: int, position: np.ndarray, n_written: np.ndarray, n_released: np.ndarray
) -> list[str]:
    """One line for every agent that stopped before its end, with every condition that keeps it waiting."""
    names = []
    for e, edge in enumerate(program.edges):
        for r, ring in enumerate(edge.rings):
            names.append(f"ring {r} of edge {e} (tensor {ring.tensor} -> {_consumer(ring.consumer)}, {ring.rows} rows)")
    lines = []
    for a, agent in enumerate(flat.agents.tolist()):
        round_, turn, step = position[a].tolist()
        if round_ >= n_frames + agent[ROUNDS]:
            continue
        number, _, stage, first, piece = flat.turns[agent[FIRST_TURN] + turn].tolist()
        j = flat.jobs[number].tolist()
        frame, y, job = round_ - stage, first + step, number - agent[FIRST_JOB]
        row = frame * j[ROWS_OUT] + y
        ends = piece == j[SLICES] - 1
        reasons = []
        for what, ring in (("input", j[SRC]), ("residual", j[RES])):
            if ring < 0:
                continue
            height = j[HEIGHT_IN] if what == "input" else j[ROWS_OUT]
            parts = int(flat.shares[ring, RING_PARTS])
            held, need = (row, 1) if ends else (frame * height, height)
            if what == "input" and (ends or parts > 1):
                top = y * j[STRIDE] - j[PAD_TOP]
                held = (frame * parts + piece * (parts > 1)) * height + max(0, top)
                need = min(j[HEIGHT_IN], top + j[KERNEL_H]) - max(0, top)
            has = int(n_written[ring]) - held
            if has < need:
                reasons.append(f"{what} {names[ring]} needs {need} row(s), has {max(0, has)}")
        for ring in flat.dests[j[DEST] : j[DEST] + j[N_DEST]].tolist():
            other, ago, height, _, parts = flat.shares[ring].tolist()
            used = row - int(n_released[ring])
            if parts > 1:
                used += (frame * (parts - 1) + piece) * j[ROWS_OUT]
            if (piece == 0 or parts > 1) and used >= flat.ring_rows[ring]:
                reasons.append(f"output {names[ring]} is full, needs 1 free row, has 0")
            left = (frame + 1 - ago) * height - int(n_released[other]) if other >= 0 else 0
            if piece == 0 and y == 0 and left > 0:
                reasons.append(
                    f"output {names[ring]} waits for its memory until {names[other]} has released {left} row(s)"
                )
        if not reasons:
            reasons.append("the weights of its slice are not read")
        lines.append(f"{agent_name(program, a, job)} frame {frame} row {y} waits: {'; '.join(reasons)}")
    return lines


def _consumer(layer: int) -> str:
    return "host" if layer == HOST else f"layer {layer}"


def agent_name(program: Program, agent: int, job: int) -> str:
    """How messages call job number `job` of agent number `agent`."""
    if agent == len(program.chunks) + 2:
        return "reader of weights"
    if agent == len(program.chunks):
        return "input stream"
    if agent > len(program.chunks):
        return "output stream"
    return f"chunk {agent} job {job} (layer {program.chunks[agent].jobs[job].layer})"
