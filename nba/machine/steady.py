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
    HEIGHT_IN,
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
    ROOMS,
    ROW_CYCLES,
    ROWS_OUT,
    SLICES,
    SRC,
    STORE,
    STRIDE,
    TURN_FIRST,
    TURN_JOB,
    TURN_SLICE,
    TURN_STAGE,
    UNLOADED,
    WRITTEN,
)
from nba.machine.schedule import Tables, agent_name, tables


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
    jobs = flat.jobs
    first_row = np.zeros(jobs.shape[0] + 1, np.int64)
    np.cumsum(jobs[:, ROWS_OUT] * jobs[:, SLICES], out=first_row[1:])
    source, target, weight, distance = _event_graph(flat, first_row)
    ratio, cycle = Fraction(0), np.zeros(0, np.int64)
    while True:
        found = _exceeding_cycle(
            source,
            target,
            weight * ratio.denominator - distance * ratio.numerator,
            int(first_row[-1]) + 2 * len(flat.fetches),
        )
        if not found.size:
            break
        cycle = found
        frames, cycles = int(distance[cycle].sum()), int(weight[cycle].sum())
        if frames <= 0:
            names = dict.fromkeys(_event(flat, first_row, int(target[e]))[:2] for e in cycle)
            raise DeadlockError(
                "row schedule deadlocks: every one of these waits for a row of the one before it",
                [agent_name(program, agent, job) for agent, job in names],
            )
        ratio = Fraction(cycles, frames)
    assert cycle.size
    return Steady(interval_cycles=ratio, critical=tuple(_event(flat, first_row, int(target[e])) for e in cycle))


def _event(flat: Tables, first_row: np.ndarray, node: int) -> tuple[int, int, int]:
    if node >= first_row[-1]:
        return len(flat.agents), 0, (node - int(first_row[-1])) // 2
    job = int(np.searchsorted(first_row, node, side="right")) - 1
    agent = int(np.searchsorted(flat.agents[:, FIRST_JOB], job, side="right")) - 1
    return agent, job - int(flat.agents[agent, FIRST_JOB]), node - int(first_row[job])


def _event_graph(flat: Tables, first_row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Edges (source row, target row, cycles, frames) of the recurrence; rows are numbered job by job, and slice by
    slice in a job."""
    jobs = flat.jobs.tolist()
    begin = first_row.tolist()
    edges: list[tuple[int, int, int, int]] = []
    for agent in flat.agents.tolist():
        mine = flat.turns[agent[FIRST_TURN] : agent[FIRST_TURN] + agent[N_TURNS]].tolist()
        place = [begin[j] + piece * jobs[j][ROWS_OUT] + first for j, _, _, first, piece in mine]
        for i, (j, rows, stage, *_) in enumerate(mine):
            row_cycles, at = jobs[j][ROW_CYCLES], place[i]
            edges += [(at + y - 1, at + y, row_cycles, 0) for y in range(1, rows)]
            before, rows_before, stage_before, *_ = mine[i - 1]
            turn = jobs[before][ROW_CYCLES] + agent[FETCH] + agent[GAP]
            edges.append((place[i - 1] + rows_before - 1, at, turn, stage_before - stage + (i == 0)))
    producer = {}
    for j, job in enumerate(jobs):
        for ring in flat.dests[job[DEST] : job[DEST] + job[N_DEST]].tolist():
            producer[ring] = j
    for j, job in enumerate(jobs):
        for ring, main in ((job[SRC], True), (job[RES], False)):
            if ring < 0:
                continue
            p, height, rows = producer[ring], int(flat.ring_height[ring]), int(flat.ring_rows[ring])
            written = jobs[p][WRITTEN] + 1
            release = job[RELEASED if main else RES_RELEASED] + 1
            releaser = []
            # Its producer has written a row when the last slice has; all slices but its own last need the whole map.
            done = begin[p] + (jobs[p][SLICES] - 1) * jobs[p][ROWS_OUT]
            early = (job[SLICES] - 1) * job[ROWS_OUT]
            mine = begin[j] + early
            edges += [(done + height - 1, begin[j] + y, written, 0) for y in range(early)]
            for y in range(job[ROWS_OUT]):
                last = y
                if main:
                    top = y * job[STRIDE] - job[PAD_TOP]
                    last = min(height, top + job[KERNEL_H]) - 1
                    after = job[HEIGHT_IN] if y == job[ROWS_OUT] - 1 else max(0, top + job[STRIDE])
                    releaser += [y] * (after - max(0, top))
                else:
                    releaser.append(y)
                edges.append((done + last, mine + y, written, 0))
            for y in range(height):
                back, old = divmod(y - rows, height)
                edges.append((mine + releaser[old], begin[p] + y, release, -back))
    edges += _reader_edges(flat, begin)
    source, target, weight, distance = np.array(edges, np.int64).T
    return tuple(np.ascontiguousarray(a) for a in (source, target, weight, distance))  # type: ignore[return-value]


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
def _exceeding_cycle(source: np.ndarray, target: np.ndarray, weight: np.ndarray, n_nodes: int) -> np.ndarray:
    """Edge numbers, in order, of a cycle of positive weight; empty if there is none."""
    height = np.zeros(n_nodes, np.int64)
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
