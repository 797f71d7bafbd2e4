# SPDX-License-Identifier: Apache-2.0
"""Closed forms of speed, compiled and vectorised over designs: lower bounds of the exact schedule (nba.cost.pipeline).

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

from dataclasses import dataclass, fields

import numpy as np

from nba.cost.pipeline import HOST_OUT_CYCLES, HOST_WRITE_CYCLES, MIN_ROW_CYCLES, WRITE_CYCLES, compiled
from nba.ir.accelerator import HOST, Accelerator
from nba.ir.network import Network
from nba.ir.program import FETCH_CYCLES, input_lanes

# Columns of a layer table.
(
    DENSE, POOL, M, N, TAPS, ROWS, COLS, HEIGHT_IN, WIDTH_IN, STRIDE, PAD_TOP, KERNEL_H, INPUT, RESIDUAL, FIRST_NEED,
    LAST_NEED, FIRST_RELEASE,
) = range(17)  # fmt: skip
_COLUMNS = 17

OVERHEAD_CYCLES = FETCH_CYCLES + 1
"""Engine time of a job besides its rows."""


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

    def arrays(self) -> tuple[np.ndarray, ...]:
        """The arrays in the order of the fields."""
        return tuple(getattr(self, f.name) for f in fields(self))


def layer_table(network: Network) -> np.ndarray:
    """int64 [L, 17]: what the closed forms know of every layer, by the column names of this module."""
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
        )  # fmt: skip
    return table


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
    """Engine cycles G*S of one output row of `layer` [17]; the row takes max(this, 2)."""
    words = _ceil(layer[N], pn) if layer[DENSE] == 1 else 1
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
