# SPDX-License-Identifier: Apache-2.0
"""The parts of a machine and what each does in one frame, as tables of integers: what energy and logic are made of.

`parts` takes them from a program, `fill` from the arrays of designs; both give the same numbers (tests/unit).

An event is counted where the RTL does it, whether or not its data matter: a step multiplies in every lane, a step in
the padding still reads its banks (tests/eda counts them in simulation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.core.compiled import compiled
from nba.machine.closed_form import (
    ACC_BITS,
    ACT_BITS,
    CODE_BITS,
    COLS,
    DENSE,
    EARLIER_RES,
    EARLIER_USE,
    GROUPS,
    HEIGHT_IN,
    INPUT,
    MAX_LANES,
    POOL,
    RESIDUAL,
    ROTATE,
    ROWS,
    STORE_BITS,
    STRIDE,
    TAPS,
    WEIGHT_BITS,
    WIDTH_IN,
    M,
    N,
    compiled_channel_words,
)  # fmt: skip
from nba.machine.program import ChunkProgram, Program, program_depth

# Columns of the table of chunks. Engine, widths, words of its memories, numbers of jobs and edges; events of a frame:
# steps of the array (each reads a weight word, and a word of each of pp banks), drain steps (each reads a parameter
# word, and requantises pq x pp values), and those among them that read a residual word from each of pp banks.
(
    C_DENSE, C_PM, C_PN, C_PQ, C_ACT, C_WEIGHT, C_STORE, C_ACC, C_NEST_ACT, C_NEST_WEIGHT, C_WEIGHT_WORDS,
    C_PARAM_WORDS, C_JOBS, C_SRC, C_RES, C_DST, C_STEPS, C_DRAINS, C_RES_DRAINS, C_PROGRAM_WORDS,
) = range(20)  # fmt: skip
CHUNK_COLUMNS = 20

# Columns of the table of edges. Codes in a word, codes written at once, words and rings; events of a frame: words read
# from, and sub-words written to, each of pp banks.
E_LANES, E_WRITE, E_DEPTH, E_RINGS, E_READS, E_WRITES = range(6)
EDGE_COLUMNS = 6

# Columns of the host's row: columns in parallel; channels per input and output beat, columns per output beat; beats of
# a frame; bits of a code, in the whole machine.
H_PP, H_IN_LANES, H_OUT_LANES, H_OUT_COLS, H_IN_BEATS, H_OUT_BEATS, H_CODE_BITS = range(7)
HOST_COLUMNS = 7

MIN_WEIGHT_BITS = 2
"""Weight bits of a chunk of average pooling alone."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Parts:
    """chunks: int64 [K, 20], edges: int64 [E, 6], host: int64 [7], by the columns of this module."""

    chunks: np.ndarray
    edges: np.ndarray
    host: np.ndarray


def parts(program: Program) -> Parts:
    """The parts of the machine that `program` describes."""
    host_beats = program.in_rows * program.in_col_groups * program.in_chan_words
    out_beats = program.out_rows * program.out_col_groups * program.out_chan_words
    edges = np.array(
        [(e.lanes, e.write_lanes, e.depth_words, len(e.rings), 0, 0) for e in program.edges], np.int64
    )  # fmt: skip
    for use in program.host_in:
        edges[use.edge, E_WRITES] += host_beats
    edges[program.host_out.edge, E_READS] += out_beats
    chunks = np.array([_chunk(program, k, chunk, edges) for k, chunk in enumerate(program.chunks)], np.int64)
    host = (program.pp, program.in_lanes, program.out_lanes, program.out_cols, host_beats, out_beats, program.code_bits)
    return Parts(chunks=chunks, edges=edges, host=np.array(host, np.int64))


def _chunk(program: Program, k: int, chunk: ChunkProgram, edges: np.ndarray) -> tuple[int, ...]:
    """The row of chunk `k`; adds its reads and writes to `edges`."""
    steps = drains = res_drains = 0
    for job in chunk.jobs:
        groups = job.rows_out * job.col_groups * job.m_groups
        steps += groups * job.steps
        drains += groups * chunk.drain_cycles
        edges[job.src_edge, E_READS] += groups * job.steps
        if job.res_edge is not None and job.res_ring is not None:
            words = program.edges[job.res_edge].rings[job.res_ring].col_words
            edges[job.res_edge, E_READS] += job.rows_out * job.col_groups * words
            res_drains += job.rows_out * job.col_groups * words
        for use in job.destinations:
            edge = program.edges[use.edge]
            places = edge.rings[use.ring].col_words * (edge.lanes // edge.write_lanes)
            written = min(job.m_groups * chunk.drain_cycles, places)
            edges[use.edge, E_WRITES] += job.rows_out * job.col_groups * written
    sources = [e for e in program.edges if e.consumer == k]
    return (
        int(chunk.kind == "dense"), chunk.pm, chunk.pn, chunk.pq, chunk.act_bits, chunk.weight_bits,
        chunk.weight_store_bits, chunk.acc_bits, int(chunk.nested_act), int(chunk.nested_weight), chunk.weight_depth,
        chunk.param_depth, len(chunk.jobs), sum(e.port == "main" for e in sources),
        sum(e.port == "residual" for e in sources), sum(e.producer == k for e in program.edges), steps, drains,
        res_drains, program_depth(len(chunk.jobs), chunk.n_modes),
    )  # fmt: skip


def n_edge_slots(n_chunks: int) -> int:
    """Rows of the table of edges that `fill` needs: a place for every edge that may be."""
    return (n_chunks + 1) * n_chunks * 2 * MAX_LANES + 1


@compiled
def _ceil(a: int, b: int) -> int:
    return (a + b - 1) // b


@compiled
def fill(
    layers: np.ndarray, pp: int, in_lanes: int, out_lanes: int, out_rows: int, dense: np.ndarray, pm: np.ndarray,
    pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray,
    chunks: np.ndarray, edges: np.ndarray, host: np.ndarray,
) -> None:  # fmt: skip
    """The parts of one design, into chunks [K, 20], edges [n_edge_slots(K), 6] and host [7].

    Chunks without jobs and edges without rings are not there. layers: nba.machine.closed_form.layer_table; the rest:
    one row of nba.machine.closed_form.Designs.
    """
    n_layers, n_chunks = layers.shape[0], pm.size
    chunks[:] = 0
    edges[:] = 0
    chunks[:, C_WEIGHT] = MIN_WEIGHT_BITS
    chunks[:, C_STORE] = MIN_WEIGHT_BITS
    in_beats = layers[0, HEIGHT_IN] * _ceil(layers[0, WIDTH_IN], pp) * _ceil(layers[0, N], in_lanes)
    z = n_layers - 1
    out_groups, out_words = _ceil(layers[z, COLS], pp), _ceil(layers[z, M], out_lanes)
    for i in range(n_layers):
        layer = layers[i]
        k = chunk[i]
        row = chunks[k]
        lanes = pn[k] if dense[k] == 1 else pm[k]
        m_groups, col_groups, drain = _ceil(layer[M], pm[k]), _ceil(layer[COLS], pp), pm[k] // pq[k]
        words = 1
        if layer[DENSE] == 1:
            words = compiled_channel_words(layer[N], pn[k], layer[M], pm[k], layer[GROUPS], layer[ROTATE])
        steps = words * layer[TAPS]
        groups = layer[ROWS] * col_groups * m_groups
        row[C_DENSE] = dense[k]
        row[C_PM] = pm[k]
        row[C_PN] = pn[k] if dense[k] == 1 else 1
        row[C_PQ] = pq[k]
        row[C_ACT] = max(row[C_ACT], layer[ACT_BITS])
        row[C_WEIGHT] = max(row[C_WEIGHT], layer[WEIGHT_BITS])
        row[C_STORE] = max(row[C_STORE], max(layer[STORE_BITS], layer[WEIGHT_BITS]))
        row[C_ACC] = max(row[C_ACC], layer[ACC_BITS])
        if layer[ACT_BITS] < layer[CODE_BITS]:
            row[C_NEST_ACT] = 1
        if layer[WEIGHT_BITS] < layer[STORE_BITS]:
            row[C_NEST_WEIGHT] = 1
        row[C_WEIGHT_WORDS] += 1 if layer[POOL] == 1 else m_groups * steps
        row[C_PARAM_WORDS] += m_groups * drain
        row[C_JOBS] += 1
        row[C_PROGRAM_WORDS] += 1
        row[C_STEPS] += groups * steps
        row[C_DRAINS] += groups * drain
        for use in range(2):
            tensor = layer[INPUT] if use == 0 else layer[RESIDUAL]
            if tensor < 0:
                continue
            channels = layer[N] if use == 0 else layer[M]
            wide = lanes if use == 0 else pq[k]
            col_words = _ceil(channels, wide)
            lane = 0
            other = layer[EARLIER_USE] if use == 0 else layer[EARLIER_RES]
            while other >= 0:
                lane += chunk[other] == k
                other = layers[other, EARLIER_USE if use == 0 else EARLIER_RES]
            p = n_chunks if tensor == 0 else chunk[tensor - 1]
            edge = edges[((p * n_chunks + k) * 2 + use) * MAX_LANES + min(lane, MAX_LANES - 1)]
            width = layer[WIDTH_IN] if use == 0 else layer[COLS]
            columns = _ceil(width, pp)
            if use == 0 and layer[STRIDE] == 2:
                columns = 2 * _ceil(_ceil(width, 2), pp)
            if edge[E_RINGS] == 0:
                if use == 0:
                    row[C_SRC] += 1
                else:
                    row[C_RES] += 1
                if tensor > 0:
                    chunks[p, C_DST] += 1
            edge[E_LANES] = wide
            edge[E_WRITE] = in_lanes if tensor == 0 else pq[p]
            edge[E_DEPTH] += (main_rows[i] if use == 0 else res_rows[i]) * columns * col_words
            edge[E_RINGS] += 1
            if use == 0:
                edge[E_READS] += groups * steps
            else:
                edge[E_READS] += layer[ROWS] * col_groups * col_words
                row[C_RES_DRAINS] += layer[ROWS] * col_groups * col_words
            if tensor == 0:
                edge[E_WRITES] += in_beats
            else:
                source = layers[tensor - 1]
                made = _ceil(source[M], pm[p]) * (pm[p] // pq[p])
                written = min(made, col_words * (wide // pq[p]))
                edge[E_WRITES] += source[ROWS] * _ceil(source[COLS], pp) * written
    last = chunk[z]
    edge = edges[edges.shape[0] - 1]
    edge[E_LANES] = out_lanes
    edge[E_WRITE] = pq[last]
    edge[E_DEPTH] = out_rows * out_groups * out_words
    edge[E_RINGS] = 1
    edge[E_READS] = layers[z, ROWS] * out_groups * out_words
    made = _ceil(layers[z, M], pm[last]) * (pm[last] // pq[last])
    edge[E_WRITES] = layers[z, ROWS] * out_groups * min(made, out_words * (out_lanes // pq[last]))
    chunks[last, C_DST] += 1
    host[H_PP] = pp
    host[H_IN_LANES] = in_lanes
    host[H_OUT_LANES] = out_lanes
    host[H_OUT_COLS] = 1 if layers[z, COLS] == 1 else pp
    host[H_IN_BEATS] = in_beats
    host[H_OUT_BEATS] = layers[z, ROWS] * out_groups * out_words
    host[H_CODE_BITS] = layers[0, CODE_BITS]
