# SPDX-License-Identifier: Apache-2.0
"""The recurrence of the exact row schedule, over flat tables (nba.machine.schedule builds them from a program).

One text for two users: nba compiles `advance` with numba and gives it arrays; a bundle carries a copy of this file and
interprets it over dictionaries and lists, so that its simulation predicts batches of any size without nba and without
numpy. So this module imports nothing but types, and `table[i, column]` is all that `advance` does to a table.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

# Columns of the job table.
(
    ROWS_OUT, ROW_CYCLES, WRITTEN, RELEASED, RES_RELEASED, STRIDE, PAD_TOP, KERNEL_H, HEIGHT_IN, SRC, RES, DEST,
    N_DEST, SLICES, STORE,
) = range(15)  # fmt: skip
# Columns of the agent table.
FIRST_JOB, N_JOBS, FETCH, GAP, ROUNDS, FIRST_TURN, N_TURNS = range(7)
# Columns of the turn table: a number in the job table, rows, and as nba.machine.program.TurnProgram.
TURN_JOB, TURN_ROWS, TURN_STAGE, TURN_FIRST, TURN_SLICE = range(5)
# Columns of the table of fetches, the weights that are read from external memory in a round, in order.
FETCH_STORE, FETCH_STAGE, FETCH_BURSTS, FETCH_BEATS = range(4)
# Columns of the table of rings, a row for each: the ring that has its memory before it (-1: none), how
# many frames ago, the rows that this one has of a frame, and the cycles by which its last release is seen later than
# by the row that takes the released one's place; and the parts of the channels, one of which a row of the ring holds.
SHARE_RING, SHARE_AGO, SHARE_ROWS, SHARE_WAIT, RING_PARTS = range(5)
# What the reader of weights is like: rooms of a store, rounds more than frames, cycle of the first decision, cycles
# between decisions at least and for a skipped fetch, from a decision to the first beat, from the last beat until it is
# seen, from the last cycle of a row until its room is seen free, fetches of a round.
ROOMS, READER_ROUNDS, READER_START, READER_GAP, READ, LOADED, UNLOADED, N_FETCHES = range(8)


# One compiled loop: its arguments are the tables and the state of all agents, which a row changes in place.
def advance(
    jobs: Any, turns: Any, agents: Any, dests: Any, ring_rows: Any, shares: Any, fetches: Any, reader: Any,
    n_frames: int, row_base: Any, row_start: Any, wait: Any, position: Any, n_written: Any, n_released: Any,
    n_loaded: Any, n_unloaded: Any, base: Any, written: Any, released: Any, loaded: Any, unloaded: Any, ready: Any,
    entered: Any, reader_idle: Any,
) -> bool:  # fmt: skip
    """Advance every agent as far as it goes; True if all of them finish, False if they are deadlocked.

    Fills row_start (flat, row y of slice s of job j's frame f at row_base[j] + (f*SLICES + s)*ROWS_OUT + y) and wait
    [n_jobs, n_frames, 4].
    position: [n_agents, 3], where every agent stopped: round, turn of the round, row of the turn. n_written,
    n_released: [n_rings], all rows ever written and released; written, released: the cycles of these, those of ring r
    from base[r] on. n_loaded, n_unloaded: [n_stores], all slices of weights ever read and used up; loaded, unloaded:
    the cycles of these, those of store s from s * n_fetches * n_frames on.
    ready, entered: [n_agents], the cycle from which the next row may be decided, and whether its turn is fetched.
    position, wait, all n_*, ready and entered must come in as zeros. reader_idle: [1], the first cycle in which the
    reader of weights is idle behind the batch.
    """
    n_agents = len(ready)
    n_fetches = reader[N_FETCHES]
    room = n_fetches * n_frames
    fetch_round = 0
    fetch = 0
    fetch_ready = reader[READER_START]
    beat = -1
    finished = 0
    progress = True
    while progress and finished < n_agents:
        progress = False
        for a in range(n_agents):
            rounds = n_frames + agents[a, ROUNDS]
            job_fetch = agents[a, FETCH]
            while position[a, 0] < rounds:
                turn = agents[a, FIRST_TURN] + position[a, 1]
                j = turns[turn, TURN_JOB]
                frame = position[a, 0] - turns[turn, TURN_STAGE]
                step = position[a, 2]
                steps = turns[turn, TURN_ROWS]
                if step == 0 and not entered[a]:
                    ready[a] += job_fetch
                    if 0 <= frame < n_frames:
                        entered[a] = True
                    else:
                        step = steps
                if step < steps:
                    y = turns[turn, TURN_FIRST] + step
                    rows_out = jobs[j, ROWS_OUT]
                    piece = turns[turn, TURN_SLICE]
                    ends = piece == jobs[j, SLICES] - 1
                    # The row's conditions; an event that has not happened yet stops this agent.
                    at = ready[a]
                    reason = -1
                    src = jobs[j, SRC]
                    release = 0
                    if src >= 0:
                        height = jobs[j, HEIGHT_IN]
                        top = y * jobs[j, STRIDE] - jobs[j, PAD_TOP]
                        first = max(0, top)
                        need = min(height, top + jobs[j, KERNEL_H]) - first
                        after = height if y == rows_out - 1 else max(0, top + jobs[j, STRIDE])
                        release = after - first
                        parts = shares[src, RING_PARTS]
                        row = frame * height + first + need - 1
                        if parts > 1:
                            row += (frame * (parts - 1) + piece) * height
                        elif not ends:
                            # A slice behind which others come needs, and keeps, the whole map.
                            row = (frame + 1) * height - 1
                            release = 0
                        if row >= n_written[src]:
                            break
                        t = written[base[src] + row]
                        if t > at:
                            at = t
                            reason = 0
                    res = jobs[j, RES]
                    row = frame * rows_out + y
                    if res >= 0:
                        whole = row if ends else (frame + 1) * rows_out - 1
                        if whole >= n_written[res]:
                            break
                        t = written[base[res] + whole]
                        if t > at:
                            at = t
                            reason = 1
                    store = jobs[j, STORE]
                    if store >= 0:
                        if n_unloaded[store] >= n_loaded[store]:
                            break
                        t = loaded[store * room + n_unloaded[store]]
                        if t > at:
                            at = t
                            reason = 3
                    blocked = False
                    for d in range(jobs[j, DEST], jobs[j, DEST] + jobs[j, N_DEST]):
                        ring = dests[d]
                        parts = shares[ring, RING_PARTS]
                        old = row - ring_rows[ring]
                        if parts > 1:
                            old += (frame * (parts - 1) + piece) * rows_out
                        if (piece == 0 or parts > 1) and old >= 0:
                            if old >= n_released[ring]:
                                blocked = True
                                break
                            t = released[base[ring] + old]
                            if t > at:
                                at = t
                                reason = 2
                        other = shares[ring, SHARE_RING]
                        if piece == 0 and y == 0 and other >= 0 and frame >= shares[ring, SHARE_AGO]:
                            old = (frame + 1 - shares[ring, SHARE_AGO]) * shares[ring, SHARE_ROWS] - 1
                            if old >= n_released[other]:
                                blocked = True
                                break
                            t = released[base[other] + old] + shares[ring, SHARE_WAIT]
                            if t > at:
                                at = t
                                reason = 2
                    if blocked:
                        break
                    progress = True
                    if reason >= 0:
                        wait[j, frame, reason] += at - ready[a]
                    start = at + 1
                    row_start[row_base[j] + (frame * jobs[j, SLICES] + piece) * rows_out + y] = start
                    end = start + jobs[j, ROW_CYCLES] - 1
                    if src >= 0:
                        for _ in range(release):
                            released[base[src] + n_released[src]] = start + jobs[j, RELEASED]
                            n_released[src] += 1
                    if ends and res >= 0:
                        released[base[res] + row] = start + jobs[j, RES_RELEASED]
                        n_released[res] += 1
                    for d in range(jobs[j, DEST], jobs[j, DEST] + jobs[j, N_DEST]):
                        if ends or shares[dests[d], RING_PARTS] > 1:
                            written[base[dests[d]] + n_written[dests[d]]] = start + jobs[j, WRITTEN]
                            n_written[dests[d]] += 1
                    if store >= 0 and y == rows_out - 1:
                        unloaded[store * room + n_unloaded[store]] = end + reader[UNLOADED]
                        n_unloaded[store] += 1
                    ready[a] = end
                    step += 1
                    position[a, 2] = step
                    if step == steps:
                        ready[a] += agents[a, GAP]
                if step == steps:
                    progress = True
                    entered[a] = False
                    position[a, 2] = 0
                    position[a, 1] += 1
                    if position[a, 1] == agents[a, N_TURNS]:
                        position[a, 1] = 0
                        position[a, 0] += 1
                        if position[a, 0] == rounds:
                            finished += 1
        while n_fetches > 0 and fetch_round < n_frames + reader[READER_ROUNDS]:
            frame = fetch_round - fetches[fetch, FETCH_STAGE]
            if 0 <= frame < n_frames:
                store = fetches[fetch, FETCH_STORE]
                at = fetch_ready
                old = n_loaded[store] - reader[ROOMS]
                if old >= 0:
                    if old >= n_unloaded[store]:
                        break
                    at = max(at, unloaded[store * room + old])
                # The last beat: addresses are answered in order, a beat in every cycle.
                beat = max(at + reader[READ], beat + 1) + fetches[fetch, FETCH_BEATS] - 1
                reader_idle[0] = beat + reader[LOADED]
                loaded[store * room + n_loaded[store]] = beat + reader[LOADED]
                n_loaded[store] += 1
                fetch_ready = at + max(fetches[fetch, FETCH_BURSTS], reader[READER_GAP])
            else:
                fetch_ready += reader[READER_GAP]
                reader_idle[0] = max(reader_idle[0], fetch_ready - 1)
            progress = True
            fetch += 1
            if fetch == n_fetches:
                fetch = 0
                fetch_round += 1
    return finished == n_agents


def batch_cycles(last_start: Any, jobs: Any, turns: Any, agents: Any, last_beat: int, reader_idle: int) -> int:
    """What the register CYCLES holds when the batch is done: its last frame is out and every agent is idle.

    last_start: [n_jobs], the start of the last row of every job's last frame. last_beat: cycles from the start of a
    row of the output stream to the hand-over of its last beat. Behind its last row an agent fetches and skips the turns
    of its program that have no frame left; a chunk is idle only when its last row is in memory. reader_idle: see
    `advance`.
    """
    n_agents = len(agents)
    idle = reader_idle
    for a in range(n_agents):
        first, n_jobs = int(agents[a][FIRST_JOB]), int(agents[a][N_JOBS])
        if a == n_agents - 1:
            idle = max(idle, int(last_start[first]) + last_beat)
            continue
        first_turn, n_turns = int(agents[a][FIRST_TURN]), int(agents[a][N_TURNS])
        turn = max(range(first_turn, first_turn + n_turns), key=lambda i: (turns[i][TURN_STAGE], i))
        last = int(turns[turn][TURN_JOB])
        skipped = first_turn + n_turns - 1 - turn
        idle = max(idle, int(last_start[last] + jobs[last][ROW_CYCLES]) + int(agents[a][FETCH]) * skipped)
        if a < n_agents - 2:
            idle = max(idle, *(int(last_start[j] + jobs[j][WRITTEN]) - 1 for j in range(first, first + n_jobs)))
    return idle + 1


# One call with all that it fills, and what is read out of it.
def cycles(tables: dict[str, Any], n_frames: int) -> dict[str, Any] | None:
    """Cycles of a batch in the shape of nba.emit.predicted.Cycles, without the jobs' names; None if it deadlocks.

    tables: `jobs`, `turns`, `agents`, `dests`, `ring_rows`, `ring_height`, `shares`, `fetches`, `reader`, lists of
    lists as in nba.machine.schedule.Tables, and `last_beat`, see `batch_cycles`.
    """
    jobs, turns, agents, ring_rows = tables["jobs"], tables["turns"], tables["agents"], tables["ring_rows"]
    fetches = tables["fetches"]
    n_stores = max([-1, *(one[FETCH_STORE] for one in fetches)]) + 1
    room = len(fetches) * n_frames
    n_rings = len(ring_rows)
    row_base, base = [0], [0]
    for job in jobs:
        row_base.append(row_base[-1] + job[ROWS_OUT] * job[SLICES] * n_frames)
    for height in tables["ring_height"]:
        base.append(base[-1] + height * n_frames)
    row_start = [0] * row_base[-1]
    reader_idle = [0]
    wait: defaultdict[tuple[int, int, int], int] = defaultdict(int)
    position: defaultdict[tuple[int, int], int] = defaultdict(int)
    finished = advance(
        _by_place(jobs), _by_place(turns), _by_place(agents), tables["dests"], ring_rows, _by_place(tables["shares"]),
        _by_place(fetches), tables["reader"], n_frames, row_base, row_start, wait, position, [0] * n_rings,
        [0] * n_rings, [0] * n_stores, [0] * n_stores, base, [0] * base[-1], [0] * base[-1], [0] * (n_stores * room),
        [0] * (n_stores * room), [0] * len(agents), [False] * len(agents), reader_idle,
    )  # fmt: skip
    if not finished:
        return None
    frames = range(n_frames)
    of_frame = [(b, job[ROWS_OUT] * job[SLICES]) for b, job in zip(row_base, jobs, strict=False)]
    first = [[row_start[b + f * rows] for f in frames] for b, rows in of_frame]
    last = [[row_start[b + (f + 1) * rows - 1] for f in frames] for b, rows in of_frame]
    output = [start + tables["last_beat"] for start in last[-1]]
    middle = n_frames // 2
    return {
        "frames": n_frames,
        "first_output_latency": output[0] + 1,
        "batch_interval_cycles": output[middle] - output[middle - 1] if n_frames > 1 else -1,
        "batch": batch_cycles(
            [starts[-1] for starts in last], jobs, turns, agents, tables["last_beat"], reader_idle[0]
        ),
        "outputs": output,
        "jobs": [
            {
                "chunk": k,
                "job": j - agent[FIRST_JOB],
                "start": first[j],
                "end": [start + jobs[j][WRITTEN] - 1 for start in last[j]],
            }
            for k, agent in enumerate(agents[:-2])
            for j in range(agent[FIRST_JOB], agent[FIRST_JOB] + agent[N_JOBS])
        ],
    }


def _by_place(rows: list[list[int]]) -> dict[tuple[int, int], int]:
    return {(i, column): value for i, row in enumerate(rows) for column, value in enumerate(row)}
