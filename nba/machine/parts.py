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
from nba.ir.accelerator import HOST
from nba.ir.operators import UNIT_WEIGHT_BITS
from nba.machine.designs import (
    ACC_BITS,
    ACT_BITS,
    CODE_BITS,
    COLS,
    DEGREE,
    EARLIER_RES,
    EARLIER_USE,
    HEIGHT_IN,
    INPUT,
    MOST_DEGREE,
    PACKED,
    PADS,
    RESIDUAL,
    ROWS,
    SHIFT_BITS,
    SHIFT_LEAST,
    SHIFT_MOST,
    STORE_BITS,
    STORED,
    STRIDE_W,
    TAPS,
    WEIGHT_BITS,
    WIDTH_IN,
    M,
    N,
    bank_count,
    column_groups,
    words_of,
)
from nba.machine.fetches import words_per_row
from nba.machine.geometry import (
    MAX_LANES,
    address_bits,
    bank_columns,
    ceil_div,
    edge_number,
    edge_places,
    input_word,
    param_words,
    row_beats,
    stream_columns,
    use_lane,
    use_word,
    weight_words,
    written_words,
)
from nba.machine.program import ChunkProgram, Program, program_depth
from nba.machine.timing import drain_cycles

# Columns of the table of chunks. Engine, widths, words of its memories, numbers of jobs and edges; events of a frame:
# steps of the array (each reads a weight word, and a word of every bank), drain steps (each reads a parameter
# word, and requantises pq x pp values), and those among them that read a residual word from every bank. The largest
# degree of any layer, and the packing of the engine. Bits of a channel's shift; words of pad codes, and the steps of a
# frame that read one. 1 where the multipliers of the requantisers, and of the products, are made of adders (`fill`
# leaves these two 0). 1 where lanes may add up in chains of DSP blocks: always, but in recorded syntheses of older
# Verilog. The least and the largest shift. Columns of the engine. Of its store of streamed weights, all 0 where it has
# none and in `fill`: rows, bits of a row, beats that a frame brings into it, 1 where it is built of UltraRAM.
(
    C_MIXES, C_PM, C_PN, C_PQ, C_ACT, C_WEIGHT, C_STORE, C_ACC, C_NEST_ACT, C_NEST_WEIGHT, C_WEIGHT_WORDS,
    C_PARAM_WORDS, C_JOBS, C_SRC, C_RES, C_DST, C_STEPS, C_DRAINS, C_RES_DRAINS, C_PROGRAM_WORDS, C_DEGREE, C_PACKING,
    C_SHIFT, C_PAD_WORDS, C_PAD_STEPS, C_REQUANT_LUT, C_PRODUCT_LUT,
    C_CHAINS, C_SHIFT_LEAST, C_SHIFT_MOST, C_PP, C_STORE_ROWS, C_STORE_WIDTH, C_STORE_BEATS, C_STORE_ULTRA,
) = range(35)  # fmt: skip
CHUNK_COLUMNS = 35

# Columns of the table of edges. Codes in a word, codes written at once, words and rings; events of a frame: words read
# from every bank, and sub-words written to single banks. 1 where it is built of UltraRAM (0 in `fill`).
E_LANES, E_WRITE, E_DEPTH, E_RINGS, E_READS, E_WRITES, E_ULTRA = range(7)
EDGE_COLUMNS = 7

# Columns of the host's row: columns of the engines; channels per input and output beat, columns per output beat; beats
# of a frame; bits of a code, in the whole machine; banks of every buffer; columns per input beat; bits of an address
# of the edges. Of the reader of streamed weights, all 0 where there is none and in `fill`: bits of its port, stores,
# fetches of a round.
(
    H_PP, H_IN_LANES, H_OUT_LANES, H_OUT_COLS, H_IN_BEATS, H_OUT_BEATS, H_CODE_BITS, H_BANKS, H_IN_COLS, H_ADDRESS,
    H_READ_BITS, H_STORES, H_FETCHES,
) = range(13)  # fmt: skip
HOST_COLUMNS = 13


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Parts:
    """chunks: int64 [K, 35], edges: int64 [E, 7], host: int64 [13], by the columns of this module."""

    chunks: np.ndarray
    edges: np.ndarray
    host: np.ndarray


def parts(program: Program) -> Parts:
    """The parts of the machine that `program` describes."""
    host_beats = program.in_rows * program.in_col_groups * program.in_chan_words
    out_beats = program.out_rows * program.out_col_groups * program.out_chan_words
    edges = np.array(
        [(e.lanes, e.write_lanes, e.depth_words, len(e.rings), 0, 0, int(e.ultra)) for e in program.edges], np.int64
    )  # fmt: skip
    for use in program.host_in:
        edges[use.edge, E_WRITES] += host_beats * program.in_cols
    edges[program.host_out.edge, E_READS] += out_beats
    chunks = np.array([_chunk(program, k, chunk, edges) for k, chunk in enumerate(program.chunks)], np.int64)
    host = (
        program.pp, program.in_lanes, program.out_lanes, program.out_cols, host_beats, out_beats, program.code_bits,
        program.banks, program.in_cols, address_bits(int(edges[:, E_DEPTH].max())),
        program.memory.bus_bits if program.memory is not None else 0, len({one.store for one in program.fetches}),
        len(program.fetches),
    )  # fmt: skip
    return Parts(chunks=chunks, edges=edges, host=np.array(host, np.int64))


def _chunk(program: Program, k: int, chunk: ChunkProgram, edges: np.ndarray) -> tuple[int, ...]:
    """The row of chunk `k`; adds its reads and writes to `edges`."""
    steps = drains = res_drains = pad_steps = 0
    for job in chunk.jobs:
        groups = job.rows_out * job.col_groups * job.all_groups
        steps += groups * job.steps
        pad_steps += groups * job.steps if job.pad_words else 0
        drains += groups * chunk.drain_cycles * job.degree
        edges[job.src_edge, E_READS] += groups * job.steps
        if job.res_edge is not None and job.res_ring is not None:
            words = program.edges[job.res_edge].rings[job.res_ring].col_words
            edges[job.res_edge, E_READS] += job.rows_out * job.col_groups * words * job.degree
            res_drains += job.rows_out * job.col_groups * words * job.degree
        for use in job.destinations:
            edge = program.edges[use.edge]
            ring = edge.rings[use.ring]
            col_words = ring.col_words * ring.parts
            written = written_words(job.all_groups, chunk.drain_cycles, col_words, edge.lanes, edge.write_lanes)
            edges[use.edge, E_WRITES] += job.rows_out * job.col_groups * written * job.degree * chunk.pp
    sources = [e for e in program.edges if e.consumer == k]
    store = weight_store(chunk)
    return (
        int(chunk.mixes), chunk.pm, chunk.pn, chunk.pq, chunk.act_bits, chunk.weight_bits,
        chunk.weight_store_bits, chunk.acc_bits, int(chunk.nested_act), int(chunk.nested_weight), chunk.weight_depth,
        chunk.param_depth, len(chunk.jobs), sum(e.port == "main" for e in sources),
        sum(e.port == "residual" for e in sources), sum(e.producer == k for e in program.edges), steps, drains,
        res_drains, program_depth(len(chunk.jobs), chunk.n_modes), chunk.degree, chunk.packing,
        chunk.shift_bits, chunk.pad_depth, pad_steps, int(chunk.requant == "lut"), int(chunk.products == "lut"), 1,
        chunk.shift_least, chunk.shift_most, chunk.pp, *store,
        sum(one.beats for one in program.fetches if one.chunk == k), int(chunk.ultra),
    )  # fmt: skip


def weight_store(chunk: ChunkProgram) -> tuple[int, int]:
    """Rows of the store of streamed weights of `chunk`, and bits of a row; (0, 0) where it has none."""
    if not chunk.slots:
        return 0, 0
    per = words_per_row(chunk.weight_width, chunk.bus_bits)
    rows = ceil_div(chunk.weight_depth, per) + chunk.slots * ceil_div(chunk.slot_words, per)
    return rows, per * chunk.weight_width


def n_edge_slots(n_chunks: int) -> int:
    """Rows of the table of edges that `fill` needs: a place for every edge that may be."""
    return edge_places(n_chunks, MAX_LANES)


@compiled
def _add_layer(layer: np.ndarray, row: np.ndarray, pp: int, mixes: int, pm: int, pn: int, pq: int) -> int:
    """Adds `layer`, on an engine, to the `row` of its chunk; returns its steps of the array per frame."""
    m_groups, drain = ceil_div(layer[M], pm), drain_cycles(pm, pq)
    steps = words_of(layer, pm, pn) * layer[TAPS]
    groups = layer[ROWS] * column_groups(layer, pp) * m_groups
    row[C_MIXES] = mixes
    row[C_PM] = pm
    row[C_PN] = pn if mixes == 1 else 1
    row[C_PQ] = pq
    row[C_ACT] = max(row[C_ACT], layer[ACT_BITS])
    row[C_WEIGHT] = max(row[C_WEIGHT], layer[WEIGHT_BITS])
    row[C_STORE] = max(row[C_STORE], max(layer[STORE_BITS], layer[WEIGHT_BITS]))
    row[C_ACC] = max(row[C_ACC], layer[ACC_BITS])
    if layer[ACT_BITS] < layer[CODE_BITS]:
        row[C_NEST_ACT] = 1
    if layer[WEIGHT_BITS] < layer[STORE_BITS]:
        row[C_NEST_WEIGHT] = 1
    row[C_WEIGHT_WORDS] += weight_words(layer[STORED] == 1, m_groups, steps)
    row[C_PARAM_WORDS] += param_words(m_groups, drain)
    row[C_JOBS] += 1
    row[C_PROGRAM_WORDS] += 1
    row[C_STEPS] += groups * steps
    row[C_DRAINS] += groups * drain * layer[DEGREE]
    row[C_DEGREE] = max(row[C_DEGREE], layer[MOST_DEGREE])
    row[C_PACKING] = layer[PACKED]
    row[C_CHAINS] = 1
    row[C_PP] = pp
    row[C_SHIFT] = max(row[C_SHIFT], layer[SHIFT_BITS])
    if row[C_JOBS] == 1 or layer[SHIFT_LEAST] < row[C_SHIFT_LEAST]:
        row[C_SHIFT_LEAST] = layer[SHIFT_LEAST]
    row[C_SHIFT_MOST] = max(row[C_SHIFT_MOST], layer[SHIFT_MOST])
    if layer[PADS] == 1:
        row[C_PAD_WORDS] += ceil_div(layer[N], input_word(mixes == 1, pm, pn))
        row[C_PAD_STEPS] += groups * steps
    return groups * steps


@compiled
def _written(layer: np.ndarray, pp: int, pm: int, pq: int, col_words: int, word: int) -> int:
    """Sub-words that the engine of `layer` writes per frame to a buffer of words of `word` channels, col_words to a
    column."""
    written = written_words(ceil_div(layer[M], pm), drain_cycles(pm, pq), col_words, word, pq)
    return layer[ROWS] * column_groups(layer, pp) * written * layer[DEGREE] * pp


# One compiled kernel: its arguments are the arrays of a design.
@compiled
def fill(
    layers: np.ndarray, pp: int, in_lanes: int, out_lanes: int, out_rows: int, mixes: np.ndarray, pm: np.ndarray,
    pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray,
    chunks: np.ndarray, edges: np.ndarray, host: np.ndarray,
) -> None:  # fmt: skip
    """The parts of one design, into chunks [K, 35], edges [n_edge_slots(K), 7] and host [13].

    Chunks without jobs and edges without rings are not there. layers: nba.machine.designs.layer_table; the rest: one
    row of nba.machine.designs.Designs.
    """
    n_layers, n_chunks = layers.shape[0], pm.size
    chunks[:] = 0
    edges[:] = 0
    chunks[:, C_WEIGHT] = UNIT_WEIGHT_BITS
    chunks[:, C_STORE] = UNIT_WEIGHT_BITS
    banks = bank_count(layers, pp)
    in_cols = stream_columns(banks)
    in_beats = layers[0, HEIGHT_IN] * row_beats(layers[0, WIDTH_IN], layers[0, N], in_cols, in_lanes)
    earlier = (layers[:, EARLIER_USE], layers[:, EARLIER_RES])
    for i in range(n_layers):
        layer = layers[i]
        k = chunk[i]
        row = chunks[k]
        steps = _add_layer(layer, row, pp, mixes[k], pm[k], pn[k], pq[k])
        for port in range(2):
            tensor = layer[INPUT] if port == 0 else layer[RESIDUAL]
            if tensor < 0:
                continue
            word = use_word(port, input_word(mixes[k] == 1, pm[k], pn[k]), pq[k])
            col_words = ceil_div(layer[N] if port == 0 else layer[M], word)
            lane = min(use_lane(earlier[port], chunk, i), MAX_LANES - 1)
            p = chunk[tensor - 1] if tensor > 0 else HOST
            edge = edges[edge_number(p, k, port, lane, n_chunks, MAX_LANES)]
            columns = bank_columns(
                layer[WIDTH_IN] if port == 0 else layer[COLS], banks, layer[STRIDE_W] if port == 0 else 1
            )
            if edge[E_RINGS] == 0:
                row[C_SRC if port == 0 else C_RES] += 1
                if tensor > 0:
                    chunks[p, C_DST] += 1
            edge[E_LANES] = word
            edge[E_WRITE] = in_lanes if tensor == 0 else pq[p]
            edge[E_DEPTH] += (main_rows[i] if port == 0 else res_rows[i]) * columns * col_words
            edge[E_RINGS] += 1
            if port == 0:
                edge[E_READS] += steps
            else:
                read = layer[ROWS] * column_groups(layer, pp) * col_words * layer[DEGREE]
                edge[E_READS] += read
                row[C_RES_DRAINS] += read
            edge[E_WRITES] += (
                in_beats * in_cols if tensor == 0 else _written(layers[tensor - 1], pp, pm[p], pq[p], col_words, word)
            )
    last, layer = chunk[n_layers - 1], layers[n_layers - 1]
    out_groups, out_words = ceil_div(layer[COLS], in_cols), ceil_div(layer[M], out_lanes)
    edge = edges[edge_number(last, HOST, 0, 0, n_chunks, MAX_LANES)]
    edge[E_LANES] = out_lanes
    edge[E_WRITE] = pq[last]
    edge[E_DEPTH] = out_rows * ceil_div(layer[COLS], banks) * out_words
    edge[E_RINGS] = 1
    edge[E_READS] = layer[ROWS] * out_groups * out_words
    edge[E_WRITES] = _written(layer, pp, pm[last], pq[last], out_words, out_lanes)
    chunks[last, C_DST] += 1
    host[H_PP] = pp
    host[H_IN_LANES] = in_lanes
    host[H_OUT_LANES] = out_lanes
    host[H_OUT_COLS] = 1 if layer[COLS] == 1 else in_cols
    host[H_BANKS] = banks
    host[H_IN_COLS] = in_cols
    host[H_ADDRESS] = address_bits(edges[:, E_DEPTH].max())
    host[H_IN_BEATS] = in_beats
    host[H_OUT_BEATS] = layer[ROWS] * out_groups * out_words
    host[H_CODE_BITS] = layers[0, CODE_BITS]
