# SPDX-License-Identifier: Apache-2.0
"""Closed forms of speed, compiled and vectorised over designs: lower bounds of the exact schedule
(nba.machine.schedule).

Every job occupies its chunk from the start of its first row to the end of its last, and FETCH_CYCLES + 1 cycles more:

    busy = max(rows * row_cycles, what its rings impose) + FETCH_CYCLES + 1

The interval is at least the sum of a chunk's jobs, for every chunk, and the time of the input and output streams.
A ring of r rows, fewer than a map's H, ties producer p and consumer c (on different chunks) together: row r of the map
cannot start before c's first release, nor c's last row before the map's last row is written, hence

    busy(c) >= (y0 + 1) * row(c) + (last - r) * row(p) + written(p) + 2 + row(c)
    busy(p) >= need(0) * row(p) + written(p) + (y1 + 1) * row(c) + 2 + row(p)

with y0 the first row of c that releases anything, y1 the one that releases row H - 1 - r, `last` the last row that c
reads and need(0) the index of the last row that its first row reads. The latency follows one frame through the layers,
first rows and last rows. With rings that hold what a stall-free timetable needs (nba.explore.modulo) the interval bound
is attained exactly.

In a row program a job has at least one turn, and its rows are at least row_cycles apart, but between them the chunk
computes rows of others: a short ring ties nobody together, and a job need not wait for those before it.
"""

from __future__ import annotations

import numpy as np

from nba.core.compiled import compiled
from nba.machine.designs import (
    COLS,
    DEGREE,
    FIRST_NEED,
    FIRST_RELEASE,
    GROUPS,
    HEIGHT_IN,
    INPUT,
    LAST_NEED,
    MIXES,
    PACKED,
    PACKING,
    PAD_TOP,
    RESIDUAL,
    ROTATE,
    ROWS,
    STRIDE_H,
    TAPS,
    WIDTH_IN,
    Designs,
    M,
    N,
)
from nba.machine.geometry import ceil_div, channel_words, row_beats, stream_columns
from nba.machine.timing import (
    OVERHEAD_CYCLES,
    RELEASE_CYCLES,
    drain_cycles,
    host_written_cycles,
    lane_cycles,
    last_beat_cycles,
    row_cycles,
    slot_cycles,
    work_cycles,
    written_cycles,
)

OVERHEAD = float(OVERHEAD_CYCLES)
RELEASED = RELEASE_CYCLES + 1.0
"""From the end of a row to the start of one that waited for the rows that it released."""

_SPEED_COLUMNS = [MIXES, INPUT, RESIDUAL, GROUPS, N, M, ROTATE, PACKED]
# Columns of the numbers of a layer that the loop over designs takes as floating point.
_COLS, _M, _N, _TAPS, _ROWS, _HEIGHT, _NEED_FIRST, _NEED_LAST, _RELEASE, _PAD, _STRIDE, _DEGREE, _PACKED = range(13)


def _speed_numbers(layers: np.ndarray) -> np.ndarray:
    """float64 [L, 13]: output columns, M, N less 0.5; taps; rows; rows of the input map; rows that the first and the
    last row read; two more than the first row that releases any; padding less 0.5; 1 / stride; times pp columns that
    are worked on at once; packing of the engine."""
    tensor = layers[:, INPUT]
    height = np.where(tensor == 0, layers[0, HEIGHT_IN], layers[tensor - 1, ROWS])
    return np.column_stack(
        [
            layers[:, COLS] - 0.5, layers[:, M] - 0.5, layers[:, N] - 0.5, layers[:, TAPS], layers[:, ROWS], height,
            layers[:, FIRST_NEED], layers[:, LAST_NEED], layers[:, FIRST_RELEASE] + 2, layers[:, PAD_TOP] - 0.5,
            1.0 / layers[:, STRIDE_H], layers[:, DEGREE], layers[:, PACKED],
        ]
    )  # fmt: skip


ABREAST = 4
"""Designs whose layers `_speed` works through side by side. What a layer costs follows from the layers before it; while
the processor waits for one design it goes on with the others (nearly twice as fast; more fit its caches less well)."""
# Columns of an event: cycles of a row, cycles until it is seen written, start of the first and of the last row, cycles
# of its job. Columns of a chunk: cycles of all of its jobs, when it is ready, cycles of a drain and of the sum over
# lanes, 1 / pm, 1 / pn.
_ROW, _SEEN, _FIRST, _LAST, _CYCLES = range(5)
_LOAD, _READY, _DRAIN, _LANES, _PER_M, _PER_N = range(6)


# One compiled loop: its arguments are the arrays of `Designs`, and the bounds share one pass over the layers.
@compiled
def _speed(
    ints: np.ndarray, numbers: np.ndarray, size_in: np.ndarray, packing: int, pp: np.ndarray, in_lanes: np.ndarray,
    out_lanes: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray,
    position: np.ndarray, main_rows: np.ndarray, result: np.ndarray, busy: np.ndarray,
) -> None:  # fmt: skip
    """Fills result [B, 2] and busy [B, L] from ints [L, 8], numbers [L, 13] and size_in (rows, columns, channels of the
    input). Event n + 1 is layer n, event 0 the input stream.

    Cycles are floating point, exact below 2**53: maxima of floats need no branches, and which ring is short or which
    chunk is busy is as good as random, so that mispredicted branches would cost more than all of the arithmetic.
    """
    n_layers, n_chunks = ints.shape[0], pm.shape[1]
    event = np.zeros((ABREAST, n_layers + 1, 5))
    state = np.zeros((ABREAST, n_chunks, 6))
    before = np.zeros((ABREAST, n_chunks), np.int64)
    inverse_pp = np.zeros(ABREAST)
    one = np.uintp(1)
    event[:, 0, _FIRST] = 1.0
    for begins in range(0, pp.size, ABREAST):
        count = min(ABREAST, pp.size - begins)
        for w in range(count):
            b = begins + w
            inverse_pp[w] = 1.0 / pp[b]
            for k in range(n_chunks):
                state[w, k, _LOAD] = 0.0
                state[w, k, _READY] = 0.0
                state[w, k, _DRAIN] = drain_cycles(pm[b, k], pq[b, k])
                state[w, k, _LANES] = lane_cycles(pn[b, k], 1)
                state[w, k, _PER_M] = 1.0 / pm[b, k]
                state[w, k, _PER_N] = 1.0 / pn[b, k]
                before[w, k] = 0
            beats = row_beats(size_in[1], size_in[2], stream_columns(pp[b] * packing), in_lanes[b])
            event[w, 0, _ROW] = row_cycles(beats)
            event[w, 0, _SEEN] = host_written_cycles(beats) + 1
            event[w, 0, _LAST] = 1.0 + (size_in[0] - 1) * event[w, 0, _ROW]
        for i in range(n_layers):
            layer, number = ints[i], numbers[i]
            cols, m, n, taps, rows, height, need_first, need_last, release, pad, per_stride, degree, packed = (
                number[_COLS], number[_M], number[_N], number[_TAPS], number[_ROWS], number[_HEIGHT],
                number[_NEED_FIRST], number[_NEED_LAST], number[_RELEASE], number[_PAD], number[_STRIDE],
                number[_DEGREE], number[_PACKED],
            )  # fmt: skip
            cols /= degree
            spread = float(lane_cycles(1, layer[7]))
            # Numbers without a sign: no index is tried from the end of an array.
            source, other = np.uintp(layer[1]), np.uintp(max(0, layer[2]))
            mixes, halved, inside, adds = layer[0] == 1, layer[3] == 2, layer[1] > 0, layer[2] >= 0
            producer = source - one
            whole = need_last == height - 1.0
            res_height = numbers[other - one, _ROWS] if layer[2] > 0 else float(size_in[0])
            for w in range(count):
                b = begins + w
                at = np.uintp(chunk[b, i])
                words = 1.0
                if mixes:
                    words = np.floor(n * state[w, at, _PER_N]) + 1.0
                    if halved:
                        words = float(channel_words(layer[4], pn[b, at], layer[5], pm[b, at], layer[3], layer[6]))
                col_groups = np.floor(cols * inverse_pp[w]) + 1.0
                m_groups = np.floor(m * state[w, at, _PER_M]) + 1.0
                drain = state[w, at, _DRAIN]
                work = work_cycles(col_groups, m_groups, slot_cycles(words, taps, drain, packed))
                mine = row_cycles(work)
                more = (rows - 1.0) * mine
                theirs, seen = event[w, source, _ROW], event[w, source, _SEEN]
                first = event[w, source, _FIRST]
                begin = max(OVERHEAD, first + need_first * theirs + seen)
                end = (event[w, source, _LAST] if whole else first + need_last * theirs) + seen
                own = more + mine
                if inside:
                    held = float(main_rows[b, i])
                    short = height - held
                    tied = (short > 0.0) & (np.uintp(chunk[b, producer]) != at)
                    late = need_last - held
                    fills = release * mine + late * theirs + seen + RELEASED
                    own = max(own, fills if tied & (late >= 0.0) else 0.0)
                    y1 = min(rows - 1.0, np.floor((short + pad) * per_stride))
                    drains = (need_first + 1.0) * theirs + seen + (y1 + 1.0) * mine + RELEASED + OVERHEAD
                    event[w, source, _CYCLES] = max(event[w, source, _CYCLES], drains if tied else 0.0)
                if adds:
                    seen, first = event[w, other, _SEEN], event[w, other, _FIRST]
                    begin = max(begin, first + seen)
                    last = first + (rows - 1.0) * event[w, other, _ROW]
                    end = max(end, (event[w, other, _LAST] if rows == res_height else last) + seen)
                turn = (stage[b, i] << 32) + position[b, i]
                begin = max(begin, state[w, at, _READY] if before[w, at] < turn else 0.0)
                final = max(end, begin + more)
                state[w, at, _READY] = final + mine + OVERHEAD
                before[w, at] = turn
                event[w, i + 1, _ROW] = mine
                event[w, i + 1, _SEEN] = written_cycles(work, drain * degree, state[w, at, _LANES] + spread) + 1.0
                event[w, i + 1, _FIRST] = begin
                event[w, i + 1, _LAST] = final
                event[w, i + 1, _CYCLES] = own + OVERHEAD
        for w in range(count):
            b = begins + w
            for i in range(n_layers):
                state[w, np.uintp(chunk[b, i]), _LOAD] += event[w, i + 1, _CYCLES]
                busy[b, i] = np.int64(event[w, i + 1, _CYCLES])
            interval = size_in[0] * event[w, 0, _ROW]
            for k in range(n_chunks):
                interval = max(interval, state[w, k, _LOAD])
            z = n_layers
            rows = numbers[z - 1, _ROWS]
            out_groups = np.floor(numbers[z - 1, _COLS] / stream_columns(pp[b] * packing)) + 1.0
            beats = out_groups * ceil_div(ints[z - 1, 5], out_lanes[b])
            out_row = row_cycles(beats)
            seen = event[w, z, _SEEN]
            final = max(event[w, z, _LAST] + seen, event[w, z, _FIRST] + seen + (rows - 1.0) * out_row)
            result[b, 0] = np.int64(max(interval, rows * out_row))
            result[b, 1] = np.int64(final + last_beat_cycles(beats) + 1.0)


def speed_bounds(layers: np.ndarray, designs: Designs) -> tuple[np.ndarray, np.ndarray]:
    """Lower bounds of every design: (interval, first-output latency) int64 [B, 2], and cycles per frame of every
    layer on its chunk, int64 [B, L], whose sums over chunks the interval is the maximum of."""
    b, n_layers = designs.chunk.shape
    stage, position, main_rows = designs.stage, designs.position, designs.main_rows
    if designs.turned:
        stage = position = np.zeros((b, n_layers), np.int64)
        main_rows = np.tile(layers[:, HEIGHT_IN], (b, 1))
    result = np.empty((b, 2), np.int64)
    busy = np.empty((b, n_layers), np.int64)
    _speed(
        np.ascontiguousarray(layers[:, _SPEED_COLUMNS]), _speed_numbers(layers), layers[0, [HEIGHT_IN, WIDTH_IN, N]],
        int(layers[0, PACKING]), designs.pp, designs.in_lanes, designs.out_lanes, designs.pm, designs.pn, designs.pq,
        designs.chunk, stage, position, main_rows, result, busy,
    )  # fmt: skip
    return result, busy
