# SPDX-License-Identifier: Apache-2.0
"""The exact schedule of many designs at once: from the arrays of `Designs` straight to the schedule's tables, without
the objects of nba.machine.program in between (nba.machine.program.lower and nba.machine.schedule.tables define those
tables)."""

from __future__ import annotations

import numpy as np

from nba.core.compiled import compiled
from nba.ir.accelerator import HOST
from nba.machine import schedule as pipeline
from nba.machine.designs import (
    COLS,
    DEGREE,
    EARLIER_RES,
    EARLIER_USE,
    HEIGHT_IN,
    INPUT,
    KERNEL_H,
    PACKED,
    PAD_TOP,
    RESIDUAL,
    ROWS,
    STRIDE_H,
    WIDTH_IN,
    Designs,
    M,
    N,
    bank_count,
    row_work,
    source_rows,
)
from nba.machine.geometry import edge_number, row_beats, stream_columns, use_lane
from nba.machine.recurrence import N_TURNS, ROWS_OUT, STORE, TURN_ROWS, TURN_SLICE
from nba.machine.schedule import NO_FETCHES, NO_READER, Tables, no_shares
from nba.machine.timing import (
    FETCH_CYCLES,
    drain_cycles,
    host_written_cycles,
    lane_cycles,
    last_beat_cycles,
    released_cycles,
    residual_cycles,
    row_cycles,
    written_cycles,
)

_JOB, _TURN, _AGENT = STORE + 1, TURN_SLICE + 1, N_TURNS + 1
_advance = pipeline._advance


@compiled
def _programs(
    chunk: np.ndarray, stage: np.ndarray, position: np.ndarray, n_chunks: int, agent: np.ndarray, order: np.ndarray,
    turns: np.ndarray, agents: np.ndarray,
) -> int:  # fmt: skip
    """Fills agent [K] (number of a chunk among those in use, or -1), order [L] (layers, agent by agent), and of
    `turns` and `agents` what belongs to chunks, but for the rows of a turn; returns how many such agents there are."""
    n_layers = chunk.size
    n_agents = 0
    n_jobs = 0
    for k in range(n_chunks):
        begin = n_jobs
        high = 0
        for i in range(n_layers):
            if chunk[i] != k:
                continue
            at = n_jobs
            while at > begin and position[order[at - 1]] > position[i]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = i
            n_jobs += 1
            high = max(high, stage[i])
        agent[k] = -1
        if n_jobs > begin:
            agent[k] = n_agents
            agents[n_agents] = (begin, n_jobs - begin, FETCH_CYCLES, 1, high, begin, n_jobs - begin)
            n_agents += 1
            for at in range(begin, n_jobs):
                turns[at] = (at, 0, stage[order[at]], 0, 0)
    return n_agents


# One compiled kernel: its arguments are the arrays of a design and of `Tables`.
@compiled
def _rings(
    layers: np.ndarray, chunk: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray, out_rows: int,
    agent: np.ndarray, source: np.ndarray, dest_of: np.ndarray, ring_rows: np.ndarray, ring_height: np.ndarray,
) -> int:  # fmt: skip
    """Numbers the rings edge by edge. Fills source [L, 2] (ring of the input, of the residual or -1), dest_of [L + 1,
    2] (0, and the number of the destinations of every tensor), rows and heights; returns how many rings there are."""
    n_layers = chunk.size
    n_agents = 0
    for k in range(agent.size):
        n_agents = max(n_agents, agent[k] + 1)
    keys = np.empty(2 * n_layers + 1, np.int64)
    n = 0
    earlier = (layers[:, EARLIER_USE], layers[:, EARLIER_RES])
    # A ring's place: its edge; then tensor, consumer layer, port: the order of its edge's rings.
    for i in range(n_layers + 1):
        for port in range(2):
            tensor = n_layers
            if i < n_layers:
                tensor = layers[i, INPUT] if port == 0 else layers[i, RESIDUAL]
            if tensor < 0 or (i == n_layers and port == 1):
                continue
            producer = agent[chunk[tensor - 1]] if tensor > 0 else HOST
            consumer = agent[chunk[i]] if i < n_layers else HOST
            lane = use_lane(earlier[port], chunk, i) if i < n_layers else 0
            edge = edge_number(producer, consumer, port, lane, n_agents, n_layers + 1)
            keys[n] = ((edge * (n_layers + 1) + tensor) * (n_layers + 1) + i) * 2 + port
            n += 1
    keys = np.sort(keys[:n])
    source[:] = -1
    dest_of[:] = 0
    for ring in range(n):
        port = keys[ring] % 2
        i = keys[ring] // 2 % (n_layers + 1)
        tensor = keys[ring] // (2 * (n_layers + 1)) % (n_layers + 1)
        dest_of[tensor, 1] += 1
        ring_height[ring] = source_rows(layers, tensor)
        if i == n_layers:
            ring_rows[ring] = out_rows
            source[n_layers, 0] = ring
        else:
            ring_rows[ring] = main_rows[i] if port == 0 else res_rows[i]
            source[i, port] = ring
    return n


# One compiled kernel: its arguments are the arrays of a design and of `Tables`.
@compiled
def _flatten(
    layers: np.ndarray, pp: int, in_lanes: int, out_lanes: int, out_rows: int, mixes: np.ndarray, pm: np.ndarray,
    pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray, position: np.ndarray, main_rows: np.ndarray,
    res_rows: np.ndarray, jobs: np.ndarray, turns: np.ndarray, agents: np.ndarray, dests: np.ndarray,
    ring_rows: np.ndarray, ring_height: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """Fills the arrays of Tables, of the greatest size that is possible; returns the numbers of agents and rings."""
    n_layers, n_chunks = chunk.size, pm.size
    agent = np.empty(n_chunks, np.int64)
    order = np.empty(n_layers, np.int64)
    source = np.empty((n_layers + 1, 2), np.int64)
    dest_of = np.empty((n_layers + 1, 2), np.int64)
    n_agents = _programs(chunk, stage, position, n_chunks, agent, order, turns, agents)
    n_rings = _rings(layers, chunk, main_rows, res_rows, out_rows, agent, source, dest_of, ring_rows, ring_height)
    # Destinations follow the jobs, the input stream's after them.
    n = 0
    for j in range(n_layers + 1):
        tensor = order[j] + 1 if j < n_layers else 0
        dest_of[tensor, 0] = n
        n += dest_of[tensor, 1]
        dest_of[tensor, 1] = 0
    producer = np.full(n_rings, n_layers, np.int64)
    for i in range(n_layers):
        for port in range(2):
            if source[i, port] >= 0:
                producer[source[i, port]] = layers[i, INPUT if port == 0 else RESIDUAL]
    for ring in range(n_rings):
        tensor = producer[ring]
        dests[dest_of[tensor, 0] + dest_of[tensor, 1]] = ring
        dest_of[tensor, 1] += 1
    for j in range(n_layers):
        i = order[j]
        k = chunk[i]
        layer = layers[i]
        work, drain = row_work(layer, pp, pm[k], pn[k], pq[k]), layer[DEGREE] * drain_cycles(pm[k], pq[k])
        lanes = lane_cycles(pn[k], layer[PACKED])
        jobs[j] = (
            layer[ROWS], row_cycles(work), written_cycles(work, drain, lanes),
            released_cycles(row_cycles(work)), residual_cycles(work, drain, lanes), layer[STRIDE_H], layer[PAD_TOP],
            layer[KERNEL_H], source_rows(layers, layer[INPUT]), source[i, 0],
            source[i, 1], dest_of[i + 1, 0], dest_of[i + 1, 1], 1, -1,
        )  # fmt: skip
        turns[j, TURN_ROWS] = layer[ROWS]
    columns = stream_columns(bank_count(layers, pp))
    beats = row_beats(layers[0, WIDTH_IN], layers[0, N], columns, in_lanes)
    rows = layers[0, HEIGHT_IN]
    agents[n_agents] = (n_layers, 1, 0, 0, 0, n_layers, 1)
    turns[n_layers] = (n_layers, rows, 0, 0, 0)
    jobs[n_layers] = (
        rows, row_cycles(beats), host_written_cycles(beats), 0, 0, 1, 0, 1, rows, -1, -1, dest_of[0, 0],
        dest_of[0, 1], 1, -1,
    )  # fmt: skip
    z = n_layers - 1
    beats = row_beats(layers[z, COLS], layers[z, M], columns, out_lanes)
    rows = layers[z, ROWS]
    agents[n_agents + 1] = (n_layers + 1, 1, 0, 0, 0, n_layers + 1, 1)
    turns[n_layers + 1] = (n_layers + 1, rows, 0, 0, 0)
    jobs[n_layers + 1] = (
        rows, row_cycles(beats), 0, released_cycles(row_cycles(beats)), 0, 1, 0, 1, rows, source[n_layers, 0], -1,
        n_rings, 0, 1, -1,
    )  # fmt: skip
    return n_agents + 2, n_rings


# One compiled kernel: its arguments are the arrays of `Designs`.
@compiled
def _outputs(
    layers: np.ndarray, pp: np.ndarray, in_lanes: np.ndarray, out_lanes: np.ndarray, out_rows: np.ndarray,
    mixes: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray,
    position: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray, n_frames: int, output: np.ndarray,
) -> None:  # fmt: skip
    """output [B, n_frames]: cycle of the last beat of every frame, -1 where the design deadlocks."""
    n_layers, n_chunks = layers.shape[0], pm.shape[1]
    most = 2 * n_layers + 2
    jobs = np.empty((n_layers + 2, _JOB), np.int64)
    turns = np.empty((n_layers + 2, _TURN), np.int64)
    agents = np.empty((n_chunks + 2, _AGENT), np.int64)
    dests = np.empty(most, np.int64)
    ring_rows = np.empty(most, np.int64)
    ring_height = np.empty(most, np.int64)
    base = np.zeros(n_layers + 2, np.int64)
    wait = np.zeros((n_layers + 2, n_frames, 4), np.int64)
    fetches, reader = np.zeros((0, 4), np.int64), np.zeros(8, np.int64)
    shares = no_shares(most)
    for b in range(pp.size):
        n_agents, n_rings = _flatten(
            layers, pp[b], in_lanes[b], out_lanes[b], out_rows[b], mixes[b], pm[b], pn[b], pq[b], chunk[b], stage[b],
            position[b], main_rows[b], res_rows[b], jobs, turns, agents, dests, ring_rows, ring_height,
        )  # fmt: skip
        n_rows = 0
        for j in range(n_layers + 2):
            base[j] = n_rows
            n_rows += jobs[j, ROWS_OUT] * n_frames
        row_start = np.empty(n_rows, np.int64)
        finished = _advance(
            jobs, turns, agents[:n_agents], dests, ring_rows[:n_rings], ring_height[:n_rings], shares, fetches,
            reader, n_frames, base, row_start, wait, np.zeros((n_agents, 3), np.int64), np.zeros(n_rings, np.int64),
            np.zeros(n_rings, np.int64), np.zeros(1, np.int64),
        )  # fmt: skip
        z = n_layers + 1
        columns = stream_columns(bank_count(layers, pp[b]))
        beats = row_beats(layers[n_layers - 1, COLS], layers[n_layers - 1, M], columns, out_lanes[b])
        for f in range(n_frames):
            output[b, f] = -1
            if finished:
                output[b, f] = row_start[base[z] + (f + 1) * jobs[z, ROWS_OUT] - 1] + last_beat_cycles(beats)


def output_cycles(layers: np.ndarray, designs: Designs, n_frames: int) -> np.ndarray:
    """int64 [B, n_frames]: the cycle of the last beat of every frame of every design, frames entering back to back, as
    nba.machine.schedule.schedule has it; -1 throughout where the design deadlocks."""
    assert n_frames >= 1, n_frames
    output = np.empty((len(designs.pp), n_frames), np.int64)
    _outputs(layers, *designs.arrays(), n_frames, output)
    return output


def schedule_tables(layers: np.ndarray, designs: Designs, b: int) -> Tables:
    """The tables of design number `b`, equal to those of its lowered program (chunks without layers left out)."""
    n_layers = len(layers)
    most = 2 * n_layers + 2
    jobs = np.empty((n_layers + 2, _JOB), np.int64)
    turns = np.empty((n_layers + 2, _TURN), np.int64)
    agents = np.empty((designs.pm.shape[1] + 2, _AGENT), np.int64)
    dests, rows, height = (np.empty(most, np.int64) for _ in range(3))
    d = designs
    n_agents, n_rings = _flatten(
        layers, int(d.pp[b]), int(d.in_lanes[b]), int(d.out_lanes[b]), int(d.out_rows[b]), d.mixes[b], d.pm[b],
        d.pn[b], d.pq[b], d.chunk[b], d.stage[b], d.position[b], d.main_rows[b], d.res_rows[b], jobs, turns,
        agents, dests, rows, height,
    )  # fmt: skip
    return Tables(
        jobs=jobs, turns=turns, agents=agents[:n_agents], dests=dests[:n_rings], ring_rows=rows[:n_rings],
        ring_height=height[:n_rings], shares=no_shares(n_rings), fetches=NO_FETCHES, reader=NO_READER,
    )  # fmt: skip
