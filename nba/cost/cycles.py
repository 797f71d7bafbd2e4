# SPDX-License-Identifier: Apache-2.0
"""Closed forms, compiled and vectorised over designs: speed, as lower bounds of the exact schedule
(nba.cost.pipeline), and DSP and block RAM, equal to nba.cost.resources.

Every job occupies its chunk from the start of its first row to the end of its last, and FETCH_CYCLES + 1 cycles more:

    busy = max(rows * row_cycles, what its rings impose) + FETCH_CYCLES + 1

The interval is at least the sum of a chunk's jobs, for every chunk, and the time of the input and output streams.
A ring of r rows, fewer than a map's H, ties producer p and consumer c (on different chunks) together: row r of the map
cannot start before c's first release, nor c's last row before the map's last row is written, hence

    busy(c) >= (y0 + 1) * row(c) + (last - r) * row(p) + written(p) + 2 + row(c)
    busy(p) >= need(0) * row(p) + written(p) + (y1 + 1) * row(c) + 2 + row(p)

with y0 the first row of c that releases anything, y1 the one that releases row H - 1 - r, `last` the last row that c
reads and need(0) the index of the last row that its first row reads. The latency follows one frame through the layers,
first rows and last rows. With rings that hold what a stall-free timetable needs (nba.mapper.modulo) the interval bound
is attained exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.cost.kernels import bram18, channel_words, chunk_dsp, is_block
from nba.cost.pipeline import HOST_OUT_CYCLES, HOST_WRITE_CYCLES, MIN_ROW_CYCLES, WRITE_CYCLES, compiled
from nba.ir.accelerator import HOST, Accelerator
from nba.ir.network import MASTER_BITS, MULT_BITS, Network
from nba.ir.program import FETCH_CYCLES, input_lanes
from nba.platform import Platform

# Columns of a layer table.
(
    DENSE, POOL, M, N, TAPS, ROWS, COLS, HEIGHT_IN, WIDTH_IN, STRIDE, PAD_TOP, KERNEL_H, INPUT, RESIDUAL, FIRST_NEED,
    LAST_NEED, FIRST_RELEASE, EARLIER_USE, EARLIER_RES, ACT_BITS, WEIGHT_BITS, STORE_BITS, ACC_BITS, GROUPS, ROTATE,
) = range(25)  # fmt: skip
_COLUMNS = 25

MAX_LANES = 4
"""Uses of one tensor on one port by one chunk that have buffers of their own in the closed forms of memory."""

compiled_chunk_dsp = compiled(chunk_dsp)
compiled_bram18 = compiled(bram18)
compiled_is_block = compiled(is_block)
compiled_channel_words = compiled(channel_words)

OVERHEAD_CYCLES = FETCH_CYCLES + 1
"""Engine time of a job besides its rows."""


_A = np.ndarray
_Arrays = tuple[_A, _A, _A, _A, _A, _A, _A, _A, _A, _A, _A, _A, _A]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Designs:
    """B accelerators for one network of L layers with K chunks, as arrays (int64).

    pp, in_lanes, out_lanes, out_rows: [B]. dense, pm, pn, pq: [B, K]; dense is 1 or 0. chunk, stage, position: [B, L],
    where a layer runs, its stage offset, and its place in the program. main_rows, res_rows: [B, L], rows of the rings
    it reads from.
    """

    pp: np.ndarray
    in_lanes: np.ndarray
    out_lanes: np.ndarray
    out_rows: np.ndarray
    dense: np.ndarray
    pm: np.ndarray
    pn: np.ndarray
    pq: np.ndarray
    chunk: np.ndarray
    stage: np.ndarray
    position: np.ndarray
    main_rows: np.ndarray
    res_rows: np.ndarray

    def arrays(self) -> _Arrays:
        """The arrays in the order of the fields."""
        return (
            self.pp, self.in_lanes, self.out_lanes, self.out_rows, self.dense, self.pm, self.pn, self.pq, self.chunk,
            self.stage, self.position, self.main_rows, self.res_rows,
        )  # fmt: skip


def layer_table(network: Network) -> np.ndarray:
    """int64 [L, 25]: what the closed forms know of every layer, by the column names of this module."""
    table = np.zeros((len(network.layers), _COLUMNS), np.int64)
    for i, layer in enumerate(network.layers):
        out, src = network.result(i), network.source(layer)
        last_top = (out.height - 1) * layer.stride - layer.pad_top
        first_release = 0
        while first_release < out.height - 1 and (first_release + 1) * layer.stride - layer.pad_top <= 0:
            first_release += 1
        table[i] = (
            layer.op == "dense", layer.op == "avgpool", out.channels, src.channels, layer.kernel_h * layer.kernel_w,
            out.height, out.width, src.height, src.width, layer.stride, layer.pad_top, layer.kernel_h,
            layer.input, -1 if layer.residual is None else layer.residual,
            min(src.height, layer.kernel_h - layer.pad_top) - 1, min(src.height, last_top + layer.kernel_h) - 1,
            first_release,
            _earlier(network, i, layer.input, "main"), _earlier(network, i, layer.residual, "residual"),
            layer.act_bits, 2 if layer.op == "avgpool" else layer.weight_bits,
            2 if layer.op == "avgpool" else layer.weight_store_bits, network.acc_bits(i), layer.groups, layer.rotate,
        )  # fmt: skip
    return table


def _earlier(network: Network, index: int, tensor: int | None, port: str) -> int:
    """The last layer before `index` that uses `tensor` on the same port, or -1."""
    if tensor is None:
        return -1
    return max((i for i, use in network.consumers(tensor) if use == port and i < index), default=-1)


def designs_of(network: Network, accelerators: list[Accelerator]) -> Designs:
    """Complete accelerators of `network`, with equal numbers of chunks, as arrays."""
    n_layers = len(network.layers)
    rows: list[list[list[int]]] = []
    for a in accelerators:
        place = a.place()
        jobs = {j.layer: (j.stage, n) for c in a.chunks for n, j in enumerate(c.jobs)}
        ring = {(r.consumer, r.port): r.rows for r in a.rings}
        layers = range(n_layers)
        rows.append(
            [
                [a.pp], [input_lanes(network, a)], [a.out_lanes], [ring[(HOST, "main")]],
                [int(c.kind == "dense") for c in a.chunks],
                [c.pm for c in a.chunks], [c.pn for c in a.chunks], [c.pq for c in a.chunks],
                [place[i] for i in layers], [jobs[i][0] for i in layers], [jobs[i][1] for i in layers],
                [ring[(i, "main")] for i in layers], [ring.get((i, "residual"), 0) for i in layers],
            ]
        )  # fmt: skip
    columns = [np.array([r[i] for r in rows], np.int64) for i in range(13)]
    return Designs(
        pp=columns[0][:, 0], in_lanes=columns[1][:, 0], out_lanes=columns[2][:, 0], out_rows=columns[3][:, 0],
        dense=columns[4], pm=columns[5], pn=columns[6], pq=columns[7], chunk=columns[8], stage=columns[9],
        position=columns[10], main_rows=columns[11], res_rows=columns[12],
    )  # fmt: skip


@compiled
def _ceil(a: int, b: int) -> int:
    return (a + b - 1) // b


@compiled
def row_work(layer: np.ndarray, pp: int, pm: int, pn: int, pq: int) -> int:
    """Engine cycles G*S of one output row of `layer` [25]; the row takes max(this, 2)."""
    words = 1
    if layer[DENSE] == 1:
        words = compiled_channel_words(layer[N], pn, layer[M], pm, layer[GROUPS], layer[ROTATE])
    return _ceil(layer[COLS], pp) * _ceil(layer[M], pm) * max(words * layer[TAPS], pm // pq)


@compiled
def _one(
    layers: np.ndarray, pp: int, in_lanes: int, out_lanes: int, out_rows: int, pm: np.ndarray, pn: np.ndarray,
    pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray, position: np.ndarray, main_rows: np.ndarray,
    row: np.ndarray, written: np.ndarray, busy: np.ndarray, first: np.ndarray, last: np.ndarray, load: np.ndarray,
    previous: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """(interval bound, latency bound) of one design; fills busy [L] and load [K], the rest is scratch."""
    n_layers = layers.shape[0]
    load[:] = 0
    previous[:] = -1
    beats = _ceil(layers[0, WIDTH_IN], pp) * _ceil(layers[0, N], in_lanes)
    host_row = max(beats, MIN_ROW_CYCLES)
    host_written = beats + HOST_WRITE_CYCLES
    interval = layers[0, HEIGHT_IN] * host_row
    for i in range(n_layers):
        layer = layers[i]
        k = chunk[i]
        work = row_work(layer, pp, pm[k], pn[k], pq[k])
        row[i] = max(work, MIN_ROW_CYCLES)
        written[i] = work + pm[k] // pq[k] + WRITE_CYCLES
        rows = layer[ROWS]
        busy[i] = rows * row[i]
        begin = OVERHEAD_CYCLES
        end = 0
        for use in range(2):
            tensor = layer[INPUT] if use == 0 else layer[RESIDUAL]
            if tensor < 0:
                continue
            need_first = layer[FIRST_NEED] if use == 0 else 0
            need_last = layer[LAST_NEED] if use == 0 else rows - 1
            if tensor == 0:
                begin = max(begin, 1 + need_first * host_row + host_written + 1)
                end = max(end, 1 + need_last * host_row + host_written + 1)
                continue
            p = tensor - 1
            begin = max(begin, first[p] + need_first * row[p] + written[p] + 1)
            source = last[p] if need_last == layers[p, ROWS] - 1 else first[p] + need_last * row[p]
            end = max(end, source + written[p] + 1)
            height = layers[p, ROWS]
            r = main_rows[i]
            if use == 0 and r < height and chunk[p] != k:
                if need_last >= r:
                    tied = (layer[FIRST_RELEASE] + 2) * row[i] + (need_last - r) * row[p] + written[p] + 2
                    busy[i] = max(busy[i], tied)
                y1 = min(rows - 1, max(0, (height - r + layer[PAD_TOP] + layer[STRIDE] - 1) // layer[STRIDE] - 1))
                busy[p] = max(busy[p], (need_first + 1) * row[p] + written[p] + (y1 + 1) * row[i] + 2)
        o = previous[k]
        if o >= 0 and (stage[o] < stage[i] or (stage[o] == stage[i] and position[o] < position[i])):
            begin = max(begin, last[o] + row[o] + OVERHEAD_CYCLES)
        previous[k] = i
        first[i] = begin
        last[i] = max(end, begin + (rows - 1) * row[i])
    for i in range(n_layers):
        busy[i] += OVERHEAD_CYCLES
        load[chunk[i]] += busy[i]
        interval = max(interval, load[chunk[i]])
    z = n_layers - 1
    beats = _ceil(layers[z, COLS], pp) * _ceil(layers[z, M], out_lanes)
    out_row = max(beats, MIN_ROW_CYCLES)
    interval = max(interval, layers[z, ROWS] * out_row)
    final = max(last[z] + written[z] + 1, first[z] + written[z] + 1 + (layers[z, ROWS] - 1) * out_row)
    return interval, final + beats + HOST_OUT_CYCLES


@compiled
def _many(
    layers: np.ndarray, pp: np.ndarray, in_lanes: np.ndarray, out_lanes: np.ndarray, out_rows: np.ndarray,
    dense: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray,
    position: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray, result: np.ndarray, busy: np.ndarray,
) -> None:  # fmt: skip
    n_layers, n_chunks = layers.shape[0], pm.shape[1]
    row = np.zeros(n_layers, np.int64)
    written = np.zeros(n_layers, np.int64)
    first = np.zeros(n_layers, np.int64)
    last = np.zeros(n_layers, np.int64)
    load = np.zeros(n_chunks, np.int64)
    previous = np.zeros(n_chunks, np.int64)
    for b in range(pp.size):
        result[b, 0], result[b, 1] = _one(
            layers, pp[b], in_lanes[b], out_lanes[b], out_rows[b], pm[b], pn[b], pq[b], chunk[b], stage[b], position[b],
            main_rows[b], row, written, busy[b], first, last, load, previous,
        )  # fmt: skip


def speed_bounds(layers: np.ndarray, designs: Designs) -> tuple[np.ndarray, np.ndarray]:
    """Lower bounds of every design: (interval, first-output latency) int64 [B, 2], and cycles per frame of every
    layer on its chunk, int64 [B, L], whose sums over chunks the interval is the maximum of."""
    b, n_layers = designs.chunk.shape
    result = np.zeros((b, 2), np.int64)
    busy = np.zeros((b, n_layers), np.int64)
    _many(layers, *designs.arrays(), result, busy)
    return result, busy


@compiled
def _memory(width: int, words: int, sub_width: int, min_words: int, min_bits: int) -> int:
    return compiled_bram18(width, words, sub_width) if compiled_is_block(width, words, min_words, min_bits) else 0


@compiled
def _resources(
    layers: np.ndarray, pp: np.ndarray, in_lanes: np.ndarray, out_lanes: np.ndarray, out_rows: np.ndarray,
    dense: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray,
    position: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray, min_words: int, min_bits: int, found: np.ndarray,
) -> None:  # fmt: skip
    """found [B, 2]: DSP and BRAM18 of every design."""
    n_layers, n_chunks = layers.shape[0], pm.shape[1]
    most = np.zeros((n_chunks, 5), np.int64)
    words = np.zeros((n_chunks, 2), np.int64)
    depth = np.zeros((n_chunks + 1, n_chunks, 2, MAX_LANES), np.int64)
    for b in range(pp.size):
        most[:] = 0
        words[:] = 0
        depth[:] = 0
        for i in range(n_layers):
            layer = layers[i]
            k = chunk[b, i]
            m_groups = _ceil(layer[M], pm[b, k])
            lanes = pn[b, k] if dense[b, k] == 1 else pm[b, k]
            chan_words = 1
            if layer[DENSE] == 1:
                chan_words = compiled_channel_words(
                    layer[N], pn[b, k], layer[M], pm[b, k], layer[GROUPS], layer[ROTATE]
                )  # fmt: skip
            words[k, 0] += 1 if layer[POOL] == 1 else m_groups * chan_words * layer[TAPS]
            words[k, 1] += m_groups * (pm[b, k] // pq[b, k])
            for f in range(4):
                most[k, f] = max(most[k, f], layer[ACT_BITS + f])
            for use in range(2):
                tensor = layer[INPUT] if use == 0 else layer[RESIDUAL]
                if tensor < 0:
                    continue
                most[k, 4] = max(most[k, 4], use)
                lane = 0
                other = layer[EARLIER_USE + use]
                while other >= 0:
                    lane += chunk[b, other] == k
                    other = layers[other, EARLIER_USE + use]
                if use == 0:
                    per_column = _ceil(layer[N], lanes)
                    width = layer[WIDTH_IN]
                    split = layer[STRIDE] == 2
                    rows = main_rows[b, i]
                else:
                    per_column = _ceil(layer[M], pq[b, k])
                    width = layer[COLS]
                    split = False
                    rows = res_rows[b, i]
                columns = 2 * _ceil(_ceil(width, 2), pp[b]) if split else _ceil(width, pp[b])
                p = n_chunks if tensor == 0 else chunk[b, tensor - 1]
                depth[p, k, use, min(lane, MAX_LANES - 1)] += rows * columns * per_column
        dsp = 0
        blocks = 0
        for k in range(n_chunks):
            if words[k, 1] == 0:
                continue
            dsp += compiled_chunk_dsp(
                pm[b, k], pn[b, k] if dense[b, k] == 1 else 1, pp[b], pq[b, k], most[k, 0], most[k, 1], most[k, 3],
                most[k, 4] > 0,
            )  # fmt: skip
            lanes = pn[b, k] if dense[b, k] == 1 else pm[b, k]
            macs = pm[b, k] * pn[b, k] if dense[b, k] == 1 else pm[b, k]
            store = max(most[k, 1], most[k, 2])
            blocks += _memory(macs * store, words[k, 0] + 1, 0, min_words, min_bits)
            blocks += _memory(pq[b, k] * (most[k, 3] + MULT_BITS), words[k, 1] + 1, 0, min_words, min_bits)
            for p in range(n_chunks + 1):
                for use in range(2):
                    for lane in range(MAX_LANES):
                        if depth[p, k, use, lane] > 0:
                            write = in_lanes[b] if p == n_chunks else pq[b, p]
                            read = lanes if use == 0 else pq[b, k]
                            blocks += pp[b] * _memory(
                                read * MASTER_BITS, depth[p, k, use, lane], write * MASTER_BITS, min_words, min_bits
                            )
        z = n_layers - 1
        rows = out_rows[b] * _ceil(layers[z, COLS], pp[b]) * _ceil(layers[z, M], out_lanes[b])
        write = pq[b, chunk[b, z]]
        blocks += pp[b] * _memory(out_lanes[b] * MASTER_BITS, rows, write * MASTER_BITS, min_words, min_bits)
        found[b, 0] = dsp
        found[b, 1] = blocks


def resources(layers: np.ndarray, designs: Designs, platform: Platform) -> np.ndarray:
    """int64 [B, 2]: DSP blocks and 18-Kbit memory blocks of every design, as nba.cost.resources.predict counts them."""
    found = np.zeros((len(designs.pp), 2), np.int64)
    _resources(layers, *designs.arrays(), platform.min_block_words, platform.min_block_bits, found)
    return found
