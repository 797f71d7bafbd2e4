# SPDX-License-Identifier: Apache-2.0
"""The exact asymptotic interval between frames: the maximum cycle ratio of the row events' graph.

In steady state every row start of frame f is the maximum of row starts of frames f - d plus constants w (the same
recurrence as nba.machine.schedule). Such a system settles to lambda cycles per frame, lambda being the largest
sum(w) / sum(d) over the cycles of its graph (Baccelli, Cohen, Olsder, Quadrat: Synchronization and Linearity, ch. 3).
The search starts from the busiest agent's own loop and moves to the ratio of any cycle that exceeds the present value,
found by a longest-path relaxation, until there is none: exact in integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nba.core.compiled import compiled
from nba.core.errors import DeadlockError
from nba.machine.program import Program
from nba.machine.recurrence import (
    DEST,
    FETCH,
    FETCH_BEATS,
    FETCH_BURSTS,
    FETCH_STAGE,
    FETCH_STORE,
    FIRST_JOB,
    FIRST_TURN,
    GAP,
    KERNEL_H,
    LOADED,
    N_DEST,
    N_TURNS,
    PAD_TOP,
    READ,
    READER_GAP,
    RELEASED,
    RES,
    RES_RELEASED,
    RING_PARTS,
    ROOMS,
    ROW_CYCLES,
    ROWS_OUT,
    SHARE_AGO,
    SHARE_RING,
    SHARE_WAIT,
    SLICES,
    SRC,
    STORE,
    STRIDE,
    TURN_FIRST,
    TURN_JOB,
    TURN_ROWS,
    TURN_SLICE,
    TURN_STAGE,
    UNLOADED,
    WRITTEN,
)
from nba.machine.schedule import Tables, agent_name, tables

# Rows of the array of edges.
SOURCE, TARGET, WEIGHT, DISTANCE = range(4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Steady:
    """Steady state of a design. `critical` is one cycle of row events that sets the interval: (agent, job of the
    agent, row) in order; agents are the chunks, then the input stream, then the output stream."""

    interval_cycles: Fraction
    critical: tuple[tuple[int, int, int], ...]


def steady_interval(program: Program) -> Fraction:
    """Cycles per frame when frames enter back to back for ever. Raises DeadlockError if the design cannot run on."""
    return steady_state(program).interval_cycles


def steady_state(program: Program) -> Steady:
    """The exact interval and what limits it. Raises DeadlockError, naming the jobs of a cycle that has no tokens."""
    flat = tables(program)
    rate = Rate(flat)
    edges = rate.edges(flat.ring_rows)
    ratio, cycle = Fraction(0), np.zeros(0, np.int64)
    while True:
        found = rate.exceeding(edges, ratio)
        if not found.size:
            break
        cycle = found
        frames, cycles = int(edges[DISTANCE, cycle].sum()), int(edges[WEIGHT, cycle].sum())
        if frames <= 0:
            names = dict.fromkeys(_event(flat, rate.first_row, int(edges[TARGET, e]))[:2] for e in cycle)
            raise DeadlockError(
                "row schedule deadlocks: every one of these waits for a row of the one before it",
                [agent_name(program, agent, job) for agent, job in names],
            )
        ratio = Fraction(cycles, frames)
    assert cycle.size
    events = tuple(_event(flat, rate.first_row, int(edges[TARGET, e])) for e in cycle)
    return Steady(interval_cycles=ratio, critical=events)


class Rate:
    """The exact rate of a design whose rings have any number of rows; all else of it is that of `flat`.

    `edges`: int64 [4, edges] by SOURCE to DISTANCE, of the graph of row events; rows are numbered job by job, and slice
    by slice in a job, those of job j from first_row[j] on; behind them come the events of the reader of weights. What
    is known of one size of the rings is where the next one starts from, and so is `like`, the rate of another design,
    if it has as many events. critical: int64, the events of the last cycle of the graph that was too slow.
    """

    def __init__(self, flat: Tables, like: Rate | None = None):
        self._flat = flat
        self.critical = np.zeros(0, np.int64)
        self.first_row = np.zeros(flat.jobs.shape[0] + 1, np.int64)
        np.cumsum(flat.jobs[:, ROWS_OUT] * flat.jobs[:, SLICES], out=self.first_row[1:])
        self._height = np.zeros(int(self.first_row[-1]) + 2 * len(flat.fetches), np.int64)
        if like is not None and np.array_equal(like.first_row, self.first_row) and like.n_events == self.n_events:
            self._height = like._height
        self._reader = np.array(_reader_edges(flat, self.first_row.tolist()), np.int64).reshape(-1, 4).T

    @property
    def n_events(self) -> int:
        """How many events a frame has."""
        return int(self._height.size)

    def job_of(self, event: int) -> int | None:
        """The number of the job, in the order of `Tables.jobs`, that an event is a row of; None for reads of
        weights."""
        if event >= self.first_row[-1]:
            return None
        return int(np.searchsorted(self.first_row, event, side="right")) - 1

    def edges(self, ring_rows: np.ndarray) -> np.ndarray:
        """The graph with rings of ring_rows [n_rings] rows."""
        flat = self._flat
        rows = _event_graph(
            flat.jobs, flat.turns, flat.agents, flat.dests, ring_rows, flat.ring_height, flat.shares, self.first_row
        )  # fmt: skip
        return rows if not self._reader.size else np.concatenate((rows, self._reader), axis=1)

    def exceeding(self, edges: np.ndarray, ratio: Fraction) -> np.ndarray:
        """Edge numbers, in order, of a cycle of more than `ratio` cycles per frame; empty if there is none."""
        weight = edges[WEIGHT] * ratio.denominator - edges[DISTANCE] * ratio.numerator
        return _exceeding_cycle(edges[SOURCE], edges[TARGET], weight, np.zeros_like(self._height))

    def interval(self, ring_rows: np.ndarray, least: int = 0) -> int | None:
        """Cycles per frame, rounded up, or `least` if that is more; None if the design cannot run on."""
        edges = self.edges(ring_rows)
        while True:
            height = self._height.copy()
            weight = edges[WEIGHT] - edges[DISTANCE] * least
            cycle = _exceeding_cycle(edges[SOURCE], edges[TARGET], weight, height)
            if not cycle.size:
                self._height = height
                return least
            frames, cycles = int(edges[DISTANCE, cycle].sum()), int(edges[WEIGHT, cycle].sum())
            if frames <= 0:
                return None
            self.critical = edges[TARGET, cycle]
            least = -(-cycles // frames)

    def within(self, ring_rows: np.ndarray, interval: int) -> bool:
        """Whether frames follow each other within so many cycles."""
        edges, height = self.edges(ring_rows), self._height.copy()
        weight = edges[WEIGHT] - edges[DISTANCE] * interval
        cycle = _exceeding_cycle(edges[SOURCE], edges[TARGET], weight, height)
        if cycle.size:
            self.critical = edges[TARGET, cycle]
            return False
        self._height = height
        return True


def _event(flat: Tables, first_row: np.ndarray, node: int) -> tuple[int, int, int]:
    if node >= first_row[-1]:
        return len(flat.agents), 0, (node - int(first_row[-1])) // 2
    job = int(np.searchsorted(first_row, node, side="right")) - 1
    agent = int(np.searchsorted(flat.agents[:, FIRST_JOB], job, side="right")) - 1
    return agent, job - int(flat.agents[agent, FIRST_JOB]), node - int(first_row[job])


# One compiled kernel: its arguments are arrays and the numbers of a ring.
@compiled
def _put_ring(
    edges: np.ndarray, n: int, jobs: np.ndarray, first_row: np.ndarray, p: int, j: int, port: int, frame_rows: int,
    ring_rows: int, parts: int,
) -> int:  # fmt: skip
    """Writes the edges of the ring of ring_rows rows from job p to job j, from number n on; the next number."""
    rows_out = jobs[j, ROWS_OUT]
    height = frame_rows // parts
    releaser = np.empty(height, np.int64)
    # A row is written when the last slice of its producer has it; slices before a reader's last need the map. Where a
    # row has a part of the channels, every slice is a map of its own.
    done = first_row[p] + (jobs[p, SLICES] - 1) * jobs[p, ROWS_OUT] * (parts == 1)
    early = (jobs[j, SLICES] - 1) * rows_out * (parts == 1)
    mine = first_row[j] + early
    for y in range(early):
        _put(edges, n, done + height - 1, first_row[j] + y, jobs[p, WRITTEN] + 1, 0)
        n += 1
    freed = 0
    for y in range(rows_out):
        last = y
        after = y + 1
        if port == 0:
            top = y * jobs[j, STRIDE] - jobs[j, PAD_TOP]
            last = min(height, top + jobs[j, KERNEL_H]) - 1
            after = height if y == rows_out - 1 else max(0, top + jobs[j, STRIDE])
        while freed < after:
            releaser[freed] = y
            freed += 1
        for part in range(parts):
            _put(edges, n, done + part * height + last, mine + part * rows_out + y, jobs[p, WRITTEN] + 1, 0)
            n += 1
    release = jobs[j, RELEASED if port == 0 else RES_RELEASED] + 1
    for y in range(frame_rows):
        back = (y - ring_rows) // frame_rows
        old = y - ring_rows - back * frame_rows
        at = mine + old // height * rows_out + releaser[old % height]
        _put(edges, n, at, first_row[p] + y, release, -back)
        n += 1
    return n


# One compiled kernel: its arguments are the arrays of `Tables`.
@compiled
def _event_graph(
    jobs: np.ndarray, turns: np.ndarray, agents: np.ndarray, dests: np.ndarray, ring_rows: np.ndarray,
    ring_height: np.ndarray, shares: np.ndarray, first_row: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """int64 [4, edges]: source row, target row, cycles, frames of every edge of the recurrence."""
    n_jobs = jobs.shape[0]
    count = first_row[n_jobs] + ring_height.sum() + np.sum(shares[:, SHARE_RING] >= 0)
    for j in range(n_jobs):
        count += jobs[j, ROWS_OUT] * jobs[j, SLICES] * ((jobs[j, SRC] >= 0) + (jobs[j, RES] >= 0))
    edges = np.empty((4, count), np.int64)
    n = 0
    for a in range(agents.shape[0]):
        begin, n_turns = agents[a, FIRST_TURN], agents[a, N_TURNS]
        for i in range(n_turns):
            turn, before = turns[begin + i], turns[begin + (i - 1) % n_turns]
            j, p = turn[TURN_JOB], before[TURN_JOB]
            at = first_row[j] + turn[TURN_SLICE] * jobs[j, ROWS_OUT] + turn[TURN_FIRST]
            for y in range(1, turn[TURN_ROWS]):
                _put(edges, n, at + y - 1, at + y, jobs[j, ROW_CYCLES], 0)
                n += 1
            last = first_row[p] + before[TURN_SLICE] * jobs[p, ROWS_OUT] + before[TURN_FIRST] + before[TURN_ROWS] - 1
            cycles = jobs[p, ROW_CYCLES] + agents[a, FETCH] + agents[a, GAP]
            _put(edges, n, last, at, cycles, before[TURN_STAGE] - turn[TURN_STAGE] + (i == 0))
            n += 1
    producer = np.zeros(ring_rows.size, np.int64)
    for j in range(n_jobs):
        for d in range(jobs[j, DEST], jobs[j, DEST] + jobs[j, N_DEST]):
            producer[dests[d]] = j
    for j in range(n_jobs):
        for port in range(2):
            ring = jobs[j, SRC if port == 0 else RES]
            if ring >= 0:
                n = _put_ring(
                    edges, n, jobs, first_row, producer[ring], j, port, ring_height[ring], ring_rows[ring],
                    shares[ring, RING_PARTS],
                )  # fmt: skip
                for other in range(ring_rows.size):
                    if shares[other, SHARE_RING] == ring:
                        release = jobs[j, RELEASED if port == 0 else RES_RELEASED] + 1 + shares[other, SHARE_WAIT]
                        last = first_row[j + 1] - 1
                        _put(edges, n, last, first_row[producer[other]], release, shares[other, SHARE_AGO])
                        n += 1
    assert n == count
    return edges


def _slice_uses(flat: Tables, begin: list[int]) -> list[list[tuple[int, list[int], int]]]:
    """Per store, in the order in which its chunk uses them, the slices of a round: (stage, rows, row_cycles), rows by
    the numbers that they have in the graph."""
    n_stores = max(flat.fetches[:, FETCH_STORE].tolist(), default=-1) + 1
    found: list[list[tuple[int, list[int], int]]] = [[] for _ in range(n_stores)]
    jobs = flat.jobs.tolist()
    for turn in flat.turns.tolist():
        job = jobs[turn[TURN_JOB]]
        if job[STORE] >= 0 and turn[TURN_FIRST] == 0:
            first = begin[turn[TURN_JOB]] + turn[TURN_SLICE] * job[ROWS_OUT]
            rows = list(range(first, first + job[ROWS_OUT]))
            found[job[STORE]].append((turn[TURN_STAGE], rows, job[ROW_CYCLES]))
    return found


def _reader_edges(flat: Tables, begin: list[int]) -> list[tuple[int, int, int, int]]:
    """Edges of the graph to, from and between the events of the reader of weights: for fetch number i the decision,
    event 2 * i behind the rows, and its last beat, event 2 * i + 1."""
    fetches, reader, origin = flat.fetches.tolist(), flat.reader.tolist(), begin[-1]
    uses = _slice_uses(flat, begin)
    edges: list[tuple[int, int, int, int]] = []
    mine: list[list[int]] = [[] for _ in uses]
    for i, fetch in enumerate(fetches):
        mine[fetch[FETCH_STORE]].append(i)
        decision, beat = origin + 2 * i, origin + 2 * i + 1
        before = fetches[i - 1]
        turn = before[FETCH_STAGE] - fetch[FETCH_STAGE] + (i == 0)
        last = origin + 2 * (i - 1 if i else len(fetches) - 1)
        edges.append((last, decision, max(before[FETCH_BURSTS], reader[READER_GAP]), turn))
        edges.append((decision, beat, reader[READ] + fetch[FETCH_BEATS] - 1, 0))
        edges.append((last + 1, beat, fetch[FETCH_BEATS], turn))
    for order, used in zip(mine, uses, strict=True):
        for place, (i, (_, rows, row_cycles)) in enumerate(zip(order, used, strict=True)):
            edges += [(origin + 2 * i + 1, row, reader[LOADED] + 1, 0) for row in rows]
            # The room of this slice is that of a later one: so many places on in the order of the store.
            back, later = divmod(place + reader[ROOMS], len(order))
            shift = back + used[place][0] - used[later][0]
            edges.append((rows[-1], origin + 2 * order[later], row_cycles - 1 + reader[UNLOADED], shift))
    return edges


@compiled
def _put(edges: np.ndarray, n: int, source: int, target: int, weight: int, distance: int) -> None:
    edges[SOURCE, n] = source
    edges[TARGET, n] = target
    edges[WEIGHT, n] = weight
    edges[DISTANCE, n] = distance


@compiled
def _exceeding_cycle(source: np.ndarray, target: np.ndarray, weight: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Edge numbers, in order, of a cycle of positive weight; empty if there is none. height [nodes], any numbers to
    begin with: raised until no edge leads from a node to one that is lower than it says, or until the cycle shows."""
    n_nodes = height.size
    via = np.full(n_nodes, -1, np.int64)
    mark = np.zeros(n_nodes, np.int64)
    stamp = 0
    while True:
        changed = False
        for e in range(source.size):
            reached = height[source[e]] + weight[e]
            if reached > height[target[e]]:
                height[target[e]] = reached
                via[target[e]] = e
                changed = True
        if not changed:
            return np.zeros(0, np.int64)
        floor = stamp
        for node in range(n_nodes):
            stamp += 1
            at = node
            while via[at] >= 0 and mark[at] <= floor:
                mark[at] = stamp
                at = source[via[at]]
            if via[at] >= 0 and mark[at] == stamp:
                length, walk = 1, source[via[at]]
                while walk != at:
                    walk = source[via[walk]]
                    length += 1
                cycle = np.empty(length, np.int64)
                walk = at
                for i in range(length):
                    cycle[length - 1 - i] = via[walk]
                    walk = source[via[walk]]
                return cycle
