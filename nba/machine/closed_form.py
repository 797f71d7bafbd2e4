# SPDX-License-Identifier: Apache-2.0
"""Closed forms, compiled and vectorised over designs: speed, as lower bounds of the exact schedule
(nba.machine.schedule), and DSP and block RAM, equal to nba.machine.resources.

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
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.boards import Platform
from nba.core.compiled import compiled
from nba.ir.accelerator import HOST, Accelerator
from nba.ir.network import MULT_BITS, Network
from nba.machine.kernels import bram18, channel_words, chunk_dsp, is_block
from nba.machine.program import FETCH_CYCLES, input_lanes
from nba.machine.schedule import HOST_OUT_CYCLES, HOST_WRITE_CYCLES, MIN_ROW_CYCLES, WRITE_CYCLES

# Columns of a layer table.
(
    DENSE, POOL, M, N, TAPS, ROWS, COLS, HEIGHT_IN, WIDTH_IN, STRIDE, PAD_TOP, KERNEL_H, INPUT, RESIDUAL, FIRST_NEED,
    LAST_NEED, FIRST_RELEASE, EARLIER_USE, EARLIER_RES, ACT_BITS, WEIGHT_BITS, STORE_BITS, ACC_BITS, GROUPS, ROTATE,
    CODE_BITS,
) = range(26)  # fmt: skip
_COLUMNS = 26

MAX_LANES = 4
"""Uses of one tensor on one port by one chunk that have buffers of their own in the closed forms of memory."""

compiled_chunk_dsp = compiled(chunk_dsp)
compiled_bram18 = compiled(bram18)
compiled_is_block = compiled(is_block)
compiled_channel_words = compiled(channel_words)

OVERHEAD_CYCLES = FETCH_CYCLES + 1
"""Engine time of a job besides its rows."""
OVERHEAD, MIN_ROW = float(OVERHEAD_CYCLES), float(MIN_ROW_CYCLES)


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
    """int64 [L, 26]: what the closed forms know of every layer, by the column names of this module."""
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
            network.master_bits,
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
    """Engine cycles G*S of one output row of `layer` [26]; the row takes max(this, 2)."""
    words = 1
    if layer[DENSE] == 1:
        words = compiled_channel_words(layer[N], pn, layer[M], pm, layer[GROUPS], layer[ROTATE])
    return _ceil(layer[COLS], pp) * _ceil(layer[M], pm) * max(words * layer[TAPS], pm // pq)


@compiled
def _ceil_by(less_half: float, inverse: float) -> int:
    """ceil(a / b) for a >= 1, from a - 0.5 and 1 / b, without a division.

    floor((a - 1) / b) + 1, and (a - 0.5) / b is at least 0.5 / b away from the integers around it, more than two
    roundings move it for a < 2**50.
    """
    return int(less_half * inverse) + 1


_SPEED_COLUMNS = [DENSE, INPUT, RESIDUAL, GROUPS, N, M, ROTATE]
# Columns of the numbers of a layer that the loop over designs takes as floating point.
_COLS, _M, _N, _TAPS, _ROWS, _HEIGHT, _NEED_FIRST, _NEED_LAST, _RELEASE, _PAD, _STRIDE = range(11)


def _speed_numbers(layers: np.ndarray) -> np.ndarray:
    """float64 [L, 11]: output columns, M, N less 0.5; taps; rows; rows of the input map; rows that the first and the
    last row read; two more than the first row that releases any; padding less 0.5; 1 / stride."""
    tensor = layers[:, INPUT]
    height = np.where(tensor == 0, layers[0, HEIGHT_IN], layers[tensor - 1, ROWS])
    return np.column_stack(
        [
            layers[:, COLS] - 0.5, layers[:, M] - 0.5, layers[:, N] - 0.5, layers[:, TAPS], layers[:, ROWS], height,
            layers[:, FIRST_NEED], layers[:, LAST_NEED], layers[:, FIRST_RELEASE] + 2, layers[:, PAD_TOP] - 0.5,
            1.0 / layers[:, STRIDE],
        ]
    )  # fmt: skip


ABREAST = 4
"""Designs whose layers `_speed` works through side by side. What a layer costs follows from the layers before it; while
the processor waits for one design it goes on with the others (nearly twice as fast; more fit its caches less well)."""
# Columns of an event: cycles of a row, cycles until it is seen written, start of the first and of the last row, cycles
# of its job. Columns of a chunk: cycles of all of its jobs, when it is ready, cycles of a drain, 1 / pm, 1 / pn.
_ROW, _SEEN, _FIRST, _LAST, _CYCLES = range(5)
_LOAD, _READY, _DRAIN, _PER_M, _PER_N = range(5)


@compiled
def _speed(
    ints: np.ndarray, numbers: np.ndarray, size_in: np.ndarray, pp: np.ndarray, in_lanes: np.ndarray,
    out_lanes: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray,
    position: np.ndarray, main_rows: np.ndarray, result: np.ndarray, busy: np.ndarray,
) -> None:  # fmt: skip
    """Fills result [B, 2] and busy [B, L] from ints [L, 7], numbers [L, 11] and size_in (rows, columns, channels of the
    input). Event n + 1 is layer n, event 0 the input stream.

    Cycles are floating point, exact below 2**53: maxima of floats need no branches, and which ring is short or which
    chunk is busy is as good as random, so that mispredicted branches would cost more than all of the arithmetic.
    """
    n_layers, n_chunks = ints.shape[0], pm.shape[1]
    event = np.zeros((ABREAST, n_layers + 1, 5))
    state = np.zeros((ABREAST, n_chunks, 5))
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
                state[w, k, _DRAIN] = np.floor((pm[b, k] + 0.5) / pq[b, k])
                state[w, k, _PER_M] = 1.0 / pm[b, k]
                state[w, k, _PER_N] = 1.0 / pn[b, k]
                before[w, k] = 0
            beats = _ceil(size_in[1], pp[b]) * _ceil(size_in[2], in_lanes[b])
            event[w, 0, _ROW] = max(beats, MIN_ROW_CYCLES)
            event[w, 0, _SEEN] = beats + HOST_WRITE_CYCLES + 1
            event[w, 0, _LAST] = 1.0 + (size_in[0] - 1) * event[w, 0, _ROW]
        for i in range(n_layers):
            layer, number = ints[i], numbers[i]
            cols, m, n, taps, rows, height, need_first, need_last, release, pad, per_stride = (
                number[_COLS], number[_M], number[_N], number[_TAPS], number[_ROWS], number[_HEIGHT],
                number[_NEED_FIRST], number[_NEED_LAST], number[_RELEASE], number[_PAD], number[_STRIDE],
            )  # fmt: skip
            # Numbers without a sign: no index is tried from the end of an array.
            source, other = np.uintp(layer[1]), np.uintp(max(0, layer[2]))
            dense, halved, inside, adds = layer[0] == 1, layer[3] == 2, layer[1] > 0, layer[2] >= 0
            producer = source - one
            whole = need_last == height - 1.0
            res_height = numbers[other - one, _ROWS] if layer[2] > 0 else float(size_in[0])
            for w in range(count):
                b = begins + w
                at = np.uintp(chunk[b, i])
                words = 1.0
                if dense:
                    words = np.floor(n * state[w, at, _PER_N]) + 1.0
                    if halved:
                        words = float(
                            compiled_channel_words(layer[4], pn[b, at], layer[5], pm[b, at], layer[3], layer[6])
                        )  # fmt: skip
                groups = np.floor(cols * inverse_pp[w]) + 1.0
                groups *= np.floor(m * state[w, at, _PER_M]) + 1.0
                drain = state[w, at, _DRAIN]
                work = groups * max(words * taps, drain)
                mine = max(work, MIN_ROW)
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
                    fills = release * mine + late * theirs + seen + 1.0
                    own = max(own, fills if tied & (late >= 0.0) else 0.0)
                    y1 = min(rows - 1.0, np.floor((short + pad) * per_stride))
                    drains = (need_first + 1.0) * theirs + seen + (y1 + 1.0) * mine + 1.0 + OVERHEAD
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
                event[w, i + 1, _SEEN] = work + drain + (WRITE_CYCLES + 1)
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
            beats = (np.floor(numbers[z - 1, _COLS] * inverse_pp[w]) + 1.0) * _ceil(ints[z - 1, 5], out_lanes[b])
            out_row = max(beats, MIN_ROW)
            seen = event[w, z, _SEEN]
            final = max(event[w, z, _LAST] + seen, event[w, z, _FIRST] + seen + (rows - 1.0) * out_row)
            result[b, 0] = np.int64(max(interval, rows * out_row))
            result[b, 1] = np.int64(final + beats + HOST_OUT_CYCLES)


def speed_bounds(layers: np.ndarray, designs: Designs) -> tuple[np.ndarray, np.ndarray]:
    """Lower bounds of every design: (interval, first-output latency) int64 [B, 2], and cycles per frame of every
    layer on its chunk, int64 [B, L], whose sums over chunks the interval is the maximum of."""
    b, n_layers = designs.chunk.shape
    result = np.empty((b, 2), np.int64)
    busy = np.empty((b, n_layers), np.int64)
    _speed(
        np.ascontiguousarray(layers[:, _SPEED_COLUMNS]), _speed_numbers(layers), layers[0, [HEIGHT_IN, WIDTH_IN, N]],
        designs.pp, designs.in_lanes, designs.out_lanes, designs.pm, designs.pn, designs.pq, designs.chunk,
        designs.stage, designs.position, designs.main_rows, result, busy,
    )  # fmt: skip
    return result, busy


_CACHE = 1 << 13
_MAX_CACHED = 4096
_DEPTH = 9
"""Block RAMs of every shape hold a multiple of 2**_DEPTH words: nba.machine.kernels.bram18 is the same for all numbers
of words with the same ceil(words / 2**_DEPTH)."""


@compiled
def _memory(
    width: int, words: int, sub_width: int, min_words: int, min_bits: int, keys: np.ndarray, values: np.ndarray
) -> int:
    """18 Kib blocks of a memory, remembered in a direct-mapped cache: few kinds of memory make up all designs."""
    if not compiled_is_block(width, words, min_words, min_bits):
        return 0
    depth = (words + (1 << _DEPTH) - 1) >> _DEPTH
    if depth >= _MAX_CACHED:
        return compiled_bram18(width, words, sub_width)
    key = (width << 28) | (sub_width << 12) | depth
    slot = ((key ^ (key >> 21)) * 0x9E3779B1 >> 15) & (_CACHE - 1)
    if keys[slot] != key:
        keys[slot] = key
        values[slot] = compiled_bram18(width, words, sub_width)
    return values[slot]


_RESOURCE_COLUMNS = [
    DENSE, POOL, TAPS, INPUT, RESIDUAL, STRIDE, EARLIER_USE, EARLIER_RES, GROUPS, N, M, ROTATE, ACT_BITS, WEIGHT_BITS,
    STORE_BITS, ACC_BITS, CODE_BITS,
]  # fmt: skip


@compiled
def _resources(
    ints: np.ndarray, halves: np.ndarray, pp: np.ndarray, in_lanes: np.ndarray, out_lanes: np.ndarray,
    out_rows: np.ndarray, dense: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray,
    main_rows: np.ndarray, res_rows: np.ndarray, min_words: int, min_bits: int, found: np.ndarray,
) -> None:  # fmt: skip
    """found [B, 2]: DSP and BRAM18 of every design; ints [L, 17], halves [L, 5]: columns, M, N, columns of the input
    and half of them, less 0.5."""
    n_layers, n_chunks, code_bits = ints.shape[0], pm.shape[1], ints[0, 16]
    most = np.zeros((n_chunks, 5), np.int64)
    words = np.zeros((n_chunks, 2), np.int64)
    drain = np.zeros(n_chunks, np.int64)
    lanes = np.zeros(n_chunks, np.int64)
    inverse = np.zeros((n_chunks, 3))
    # Words of the buffers between chunks; those in use are listed, so that only they are walked and cleared.
    depth = np.zeros((n_chunks + 1) * n_chunks * 2 * MAX_LANES, np.int64)
    used = np.zeros(depth.size, np.int64)
    keys = np.zeros(_CACHE, np.int64)
    values = np.zeros(_CACHE, np.int64)
    for b in range(pp.size):
        inverse_pp = 1.0 / pp[b]
        for k in range(n_chunks):
            most[k] = 0
            words[k] = 0
            drain[k] = pm[b, k] // pq[b, k]
            lanes[k] = pn[b, k] if dense[b, k] == 1 else pm[b, k]
            inverse[k, 0] = 1.0 / pm[b, k]
            inverse[k, 1] = 1.0 / lanes[k]
            inverse[k, 2] = 1.0 / pq[b, k]
        n_used = 0
        for i in range(n_layers):
            layer = ints[i]
            k = chunk[b, i]
            m_groups = _ceil_by(halves[i, 1], inverse[k, 0])
            per_column = _ceil_by(halves[i, 2], inverse[k, 1])
            if layer[1] == 1:
                words[k, 0] += 1
            elif layer[0] == 0:
                words[k, 0] += m_groups * layer[2]
            elif layer[8] == 2:
                tap = compiled_channel_words(layer[9], pn[b, k], layer[10], pm[b, k], layer[8], layer[11])
                words[k, 0] += m_groups * tap * layer[2]
            else:
                words[k, 0] += m_groups * per_column * layer[2]
            words[k, 1] += m_groups * drain[k]
            for f in range(4):
                most[k, f] = max(most[k, f], layer[12 + f])
            columns = _ceil_by(halves[i, 3], inverse_pp)
            if layer[5] == 2:
                columns = 2 * _ceil_by(halves[i, 4], inverse_pp)
            held = main_rows[b, i] * columns * per_column
            for use in range(2):
                tensor = layer[3 + use]
                if use == 1:
                    if tensor < 0:
                        break
                    most[k, 4] = 1
                    held = res_rows[b, i] * _ceil_by(halves[i, 0], inverse_pp) * _ceil_by(halves[i, 1], inverse[k, 2])
                lane = 0
                other = layer[6 + use]
                while other >= 0:
                    lane += chunk[b, other] == k
                    other = ints[other, 6 + use]
                p = n_chunks if tensor == 0 else chunk[b, tensor - 1]
                cell = ((p * n_chunks + k) * 2 + use) * MAX_LANES + min(lane, MAX_LANES - 1)
                if depth[cell] == 0:
                    used[n_used] = cell
                    n_used += 1
                depth[cell] += held
        dsp = 0
        blocks = 0
        for k in range(n_chunks):
            if words[k, 1] == 0:
                continue
            macs = pm[b, k] * (pn[b, k] if dense[b, k] == 1 else 1)
            dsp += compiled_chunk_dsp(
                macs, 1, pp[b], pq[b, k], most[k, 0], most[k, 1], most[k, 3], most[k, 4] > 0
            )  # fmt: skip
            store = max(most[k, 1], most[k, 2])
            blocks += _memory(macs * store, words[k, 0] + 1, 0, min_words, min_bits, keys, values)
            params = pq[b, k] * (most[k, 3] + MULT_BITS)
            blocks += _memory(params, words[k, 1] + 1, 0, min_words, min_bits, keys, values)
        for n in range(n_used):
            cell = used[n]
            use = cell // MAX_LANES % 2
            k = cell // (2 * MAX_LANES) % n_chunks
            p = cell // (2 * MAX_LANES * n_chunks)
            write = in_lanes[b] if p == n_chunks else pq[b, p]
            read = lanes[k] if use == 0 else pq[b, k]
            blocks += pp[b] * _memory(
                read * code_bits, depth[cell], write * code_bits, min_words, min_bits, keys, values
            )
            depth[cell] = 0
        z = n_layers - 1
        held = out_rows[b] * _ceil_by(halves[z, 0], inverse_pp) * _ceil(ints[z, 10], out_lanes[b])
        write = pq[b, chunk[b, z]]
        blocks += pp[b] * _memory(out_lanes[b] * code_bits, held, write * code_bits, min_words, min_bits, keys, values)
        found[b, 0] = dsp
        found[b, 1] = blocks


def resources(layers: np.ndarray, designs: Designs, platform: Platform) -> np.ndarray:
    """int64 [B, 2]: DSP blocks and 18-Kbit memory blocks of every design, as nba.machine.resources.predict counts
    them."""
    found = np.empty((len(designs.pp), 2), np.int64)
    columns = np.stack([layers[:, c] for c in (COLS, M, N, WIDTH_IN)] + [(layers[:, WIDTH_IN] + 1) // 2], axis=1)
    _resources(
        np.ascontiguousarray(layers[:, _RESOURCE_COLUMNS]), columns - 0.5,
        designs.pp, designs.in_lanes, designs.out_lanes, designs.out_rows,
        designs.dense, designs.pm, designs.pn, designs.pq, designs.chunk, designs.main_rows, designs.res_rows,
        platform.min_block_words, platform.min_block_bits, found,
    )  # fmt: skip
    return found
