# SPDX-License-Identifier: Apache-2.0
"""The speed bounds of nba.machine.closed_form, written down plainly: integers, one design, one layer after another."""

from __future__ import annotations

import numpy as np

from nba.machine.designs import (
    ACT_BITS,
    COLS,
    FIRST_NEED,
    FIRST_RELEASE,
    GROUPS,
    HEIGHT_IN,
    INPUT,
    LAST_NEED,
    MIXES,
    PACKING,
    PAD_TOP,
    RESIDUAL,
    ROTATE,
    ROWS,
    STRIDE_H,
    TAPS,
    WEIGHT_BITS,
    WIDTH_IN,
    Designs,
    M,
    N,
)
from nba.machine.geometry import channel_words, stream_columns
from nba.machine.timing import (
    HOST_OUT_CYCLES,
    HOST_WRITE_CYCLES,
    MIN_ROW_CYCLES,
    OVERHEAD_CYCLES,
    RELEASE_CYCLES,
    WRITE_CYCLES,
)


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def _row_work(layer: list[int], pp: int, pm: int, pn: int, pq: int) -> int:
    words = channel_words(layer[N], pn, layer[M], pm, layer[GROUPS], layer[ROTATE]) if layer[MIXES] else 1
    packing = layer[PACKING] if layer[MIXES] else 1
    groups = _ceil(layer[COLS], pp * _degree(layer)) * _ceil(layer[M], pm)
    return groups * max(words * layer[TAPS], packing * (pm // pq))


def _degree(layer: list[int]) -> int:
    """Columns that share a multiplier: as many as codes of the layer's bits fit in 8, in whole powers of two."""
    bits = max(layer[ACT_BITS], layer[WEIGHT_BITS])
    fit = 4 if bits <= 2 else 2 if bits <= 4 else 1
    return min(fit, layer[PACKING]) if layer[MIXES] else 1


def plain_bounds(table: np.ndarray, designs: Designs, b: int) -> tuple[int, int, list[int]]:
    """(interval bound, latency bound, cycles of every layer) of design number `b`."""
    layers = table.tolist()
    pp, in_lanes, out_lanes = (int(x[b]) for x in (designs.pp, designs.in_lanes, designs.out_lanes))
    pm, pn, pq = (x[b].tolist() for x in (designs.pm, designs.pn, designs.pq))
    chunk, stage, position, main_rows = (
        x[b].tolist() for x in (designs.chunk, designs.stage, designs.position, designs.main_rows)
    )
    load, previous = [0] * len(pm), [-1] * len(pm)
    row, written, busy, first, last = ([0] * len(layers) for _ in range(5))
    n_layers = len(layers)
    packing = layers[0][PACKING]
    columns = stream_columns(pp * packing)
    beats = _ceil(layers[0][WIDTH_IN], columns) * _ceil(layers[0][N], in_lanes)
    host_row = max(beats, MIN_ROW_CYCLES)
    host_written = beats + HOST_WRITE_CYCLES
    interval = layers[0][HEIGHT_IN] * host_row
    for i in range(n_layers):
        layer = layers[i]
        k = chunk[i]
        work = _row_work(layer, pp, pm[k], pn[k], pq[k])
        row[i] = max(work, MIN_ROW_CYCLES)
        spread = int(packing > 1 and layer[MIXES] == 1)
        written[i] = work + _degree(layer) * (pm[k] // pq[k]) + (pn[k] - 1).bit_length() + spread + WRITE_CYCLES
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
            source = last[p] if need_last == layers[p][ROWS] - 1 else first[p] + need_last * row[p]
            end = max(end, source + written[p] + 1)
            height = layers[p][ROWS]
            r = main_rows[i]
            if use == 0 and r < height and chunk[p] != k:
                if need_last >= r:
                    tied = (
                        (layer[FIRST_RELEASE] + 2) * row[i] + (need_last - r) * row[p] + written[p] + 2 + RELEASE_CYCLES
                    )
                    busy[i] = max(busy[i], tied)
                y1 = min(rows - 1, max(0, (height - r + layer[PAD_TOP] + layer[STRIDE_H] - 1) // layer[STRIDE_H] - 1))
                busy[p] = max(busy[p], (need_first + 1) * row[p] + written[p] + (y1 + 1) * row[i] + 2 + RELEASE_CYCLES)
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
    beats = _ceil(layers[z][COLS], columns) * _ceil(layers[z][M], out_lanes)
    out_row = max(beats, MIN_ROW_CYCLES)
    interval = max(interval, layers[z][ROWS] * out_row)
    final = max(last[z] + written[z] + 1, first[z] + written[z] + 1 + (layers[z][ROWS] - 1) * out_row)
    return interval, final + beats + HOST_OUT_CYCLES, busy
