# SPDX-License-Identifier: Apache-2.0
"""DSP and block RAM of many designs, compiled and vectorised: equal to nba.machine.resources of each."""

from __future__ import annotations

import numpy as np

from nba.boards import Platform
from nba.core.compiled import compiled, kernel
from nba.ir.network import MULT_BITS
from nba.machine.designs import (
    ACC_BITS,
    ACT_BITS,
    CODE_BITS,
    COLS,
    EARLIER_RES,
    EARLIER_USE,
    GROUPS,
    INPUT,
    MIXES,
    PACKING,
    PADS,
    RESIDUAL,
    ROTATE,
    SHIFT_BITS,
    STORE_BITS,
    STORED,
    STRIDE_W,
    TAPS,
    WEIGHT_BITS,
    WIDTH_IN,
    Designs,
    M,
    N,
)
from nba.machine.geometry import (
    MAX_LANES,
    array_macs,
    ceil_div,
    channel_words,
    edge_number,
    edge_places,
    input_word,
    param_words,
    use_lane,
    use_word,
    weight_words,
)
from nba.machine.kernels import bram18, chunk_dsp, is_block
from nba.machine.resources import rom_words
from nba.machine.timing import drain_cycles, engine_packing

compiled_bram18 = compiled(bram18)


@kernel
def _ceil_by(less_half: float, inverse: float) -> int:
    """ceil(a / b) for a >= 1, from a - 0.5 and 1 / b, without a division.

    floor((a - 1) / b) + 1, and (a - 0.5) / b is at least 0.5 / b away from the integers around it, more than two
    roundings move it for a < 2**50.
    """
    return int(less_half * inverse) + 1


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
    if not is_block(width, words, min_words, min_bits):
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


@compiled
def _bank(
    width: int, words: int, sub_width: int, min_words: int, min_bits: int, block_luts: int, keys: np.ndarray,
    values: np.ndarray,
) -> int:  # fmt: skip
    """18 Kib blocks of a bank of a buffer."""
    if block_luts == 0:
        return _memory(width, words, sub_width, min_words, min_bits, keys, values)
    blocks = _memory(width, words, sub_width, 0, 0, keys, values)
    return blocks if 2 * width * ((words + 63) // 64) > block_luts * blocks else 0


_COLUMNS = [
    MIXES, STORED, TAPS, INPUT, RESIDUAL, STRIDE_W, GROUPS, N, M, ROTATE, ACT_BITS, WEIGHT_BITS, STORE_BITS, ACC_BITS,
    CODE_BITS, PACKING, SHIFT_BITS, PADS,
]  # fmt: skip
_BITS = 10
# Columns of what a chunk's layers need at most, besides the four widths: whether any has a residual operand; bits of a
# channel's shift.
_ADDS = 4
_SHIFTS = 5
_NEEDS = 6


@kernel
def _memory_words(
    layer: np.ndarray, m_groups: int, per_column: int, pm: int, pn: int, drain: int
) -> tuple[int, int]:  # fmt: skip
    """Words of weights and of parameters of a layer. per_column: words of its input; what its engine walks for a tap
    is that, or less where it has groups, or one word where it does not mix channels."""
    taps = per_column if layer[0] == 1 else 1
    if layer[6] == 2:
        taps = channel_words(layer[7], pn, layer[8], pm, layer[6], layer[9])
    return weight_words(layer[1] == 1, m_groups, taps * layer[2]), param_words(m_groups, drain)


# One compiled loop: its arguments are the arrays of `Designs`, and the layers share the memories of a chunk.
@compiled
def _block_counts(
    ints: np.ndarray, classes: np.ndarray, earlier: np.ndarray, pp: np.ndarray, in_lanes: np.ndarray,
    out_lanes: np.ndarray, out_rows: np.ndarray, mixes: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray,
    chunk: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray, min_words: int, min_bits: int, block_luts: int,
    wide_bits: int, found: np.ndarray,
) -> None:  # fmt: skip
    """found [B, 2]: DSP and BRAM18 of every design; ints [L, 18] by _COLUMNS, classes [L, 4]: columns, M, N, columns
    of the input by stride, less 0.5; earlier [2, L]: uses of the same tensor before, by port.

    One loop with its scratch, which is faster than parts that hand arrays to each other for every design.
    """
    n_layers, n_chunks, code_bits, packing = ints.shape[0], pm.shape[1], ints[0, 14], ints[0, 15]
    most = np.zeros((n_chunks, _NEEDS), np.int64)
    words = np.zeros((n_chunks, 3), np.int64)
    drain = np.zeros(n_chunks, np.int64)
    lanes = np.zeros(n_chunks, np.int64)
    inverse = np.zeros((n_chunks, 3))
    # Words of the buffers between chunks; those in use are listed, so that only they are walked and cleared.
    depth = np.zeros(edge_places(n_chunks, MAX_LANES), np.int64)
    reads = np.zeros(depth.size, np.int64)
    writes = np.zeros(depth.size, np.int64)
    used = np.zeros(depth.size, np.int64)
    keys = np.zeros(_CACHE, np.int64)
    values = np.zeros(_CACHE, np.int64)
    for b in range(pp.size):
        banks = pp[b] * packing
        inverse_banks = 1.0 / banks
        place = chunk[b]
        for k in range(n_chunks):
            most[k] = 0
            words[k] = 0
            drain[k] = drain_cycles(pm[b, k], pq[b, k])
            lanes[k] = input_word(mixes[b, k] == 1, pm[b, k], pn[b, k])
            inverse[k, 0] = 1.0 / pm[b, k]
            inverse[k, 1] = 1.0 / lanes[k]
            inverse[k, 2] = 1.0 / pq[b, k]
        n_used = 0
        for i in range(n_layers):
            layer = ints[i]
            k = place[i]
            m_groups = _ceil_by(classes[i, 1], inverse[k, 0])
            per_column = _ceil_by(classes[i, 2], inverse[k, 1])
            weights, params = _memory_words(layer, m_groups, per_column, pm[b, k], pn[b, k], drain[k])
            words[k, 0] += weights
            words[k, 1] += params
            words[k, 2] += layer[17] * per_column
            most[k, _SHIFTS] = max(most[k, _SHIFTS], layer[16])
            for f in range(4):
                most[k, f] = max(most[k, f], layer[_BITS + f])
            columns = layer[5] * _ceil_by(classes[i, 3], inverse_banks)
            held = main_rows[b, i] * columns * per_column
            for port in range(2):
                tensor = layer[3 + port]
                if port == 1:
                    if tensor < 0:
                        break
                    most[k, _ADDS] = 1
                    columns = _ceil_by(classes[i, 0], inverse_banks)
                    held = res_rows[b, i] * columns * _ceil_by(classes[i, 1], inverse[k, 2])
                lane = min(use_lane(earlier[port], place, i), MAX_LANES - 1)
                p = place[tensor - 1] if tensor > 0 else -1
                cell = edge_number(p, k, port, lane, n_chunks, MAX_LANES)
                if depth[cell] == 0:
                    used[n_used] = cell
                    n_used += 1
                    reads[cell] = use_word(port, lanes[k], pq[b, k])
                    writes[cell] = pq[b, p] if tensor > 0 else in_lanes[b]
                depth[cell] += held
        dsp = 0
        blocks = 0
        for k in range(n_chunks):
            if words[k, 1] == 0:
                continue
            macs = array_macs(mixes[b, k] == 1, pm[b, k], pn[b, k])
            dsp += chunk_dsp(
                mixes[b, k] == 1, pm[b, k], pn[b, k] if mixes[b, k] == 1 else 1, pp[b], pq[b, k], most[k, 0],
                most[k, 1], most[k, 3], most[k, _ADDS] > 0, engine_packing(mixes[b, k] == 1, packing),
                wide_bits,
            )  # fmt: skip
            store = max(most[k, 1], most[k, 2])
            blocks += _memory(macs * store, rom_words(words[k, 0]), 0, min_words, min_bits, keys, values)
            params = pq[b, k] * (most[k, 3] + MULT_BITS + most[k, _SHIFTS])
            blocks += _memory(params, rom_words(words[k, 1]), 0, min_words, min_bits, keys, values)
            if words[k, 2] > 0:
                pads = lanes[k] * code_bits
                blocks += _memory(pads, rom_words(words[k, 2]), 0, min_words, min_bits, keys, values)
        for n in range(n_used):
            cell = used[n]
            blocks += banks * _bank(
                reads[cell] * code_bits, depth[cell], writes[cell] * code_bits, min_words, min_bits, block_luts, keys,
                values,
            )  # fmt: skip
            depth[cell] = 0
        z = n_layers - 1
        held = out_rows[b] * _ceil_by(classes[z, 0], inverse_banks) * ceil_div(ints[z, 8], out_lanes[b])
        write = pq[b, place[z]]
        blocks += banks * _bank(
            out_lanes[b] * code_bits, held, write * code_bits, min_words, min_bits, block_luts, keys, values
        )
        found[b, 0] = dsp
        found[b, 1] = blocks


def block_counts(layers: np.ndarray, designs: Designs, platform: Platform, block_luts: int = 0) -> np.ndarray:
    """int64 [B, 2]: DSP blocks and 18-Kbit memory blocks of every design, as nba.machine.resources.predict counts
    them."""
    found = np.empty((len(designs.pp), 2), np.int64)
    columns = np.stack([*(layers[:, c] for c in (COLS, M, N)), -(-layers[:, WIDTH_IN] // layers[:, STRIDE_W])], axis=1)
    _block_counts(
        np.ascontiguousarray(layers[:, _COLUMNS]), columns - 0.5,
        np.ascontiguousarray(layers[:, [EARLIER_USE, EARLIER_RES]].T),
        designs.pp, designs.in_lanes, designs.out_lanes, designs.out_rows,
        designs.mixes, designs.pm, designs.pn, designs.pq, designs.chunk, designs.main_rows, designs.res_rows,
        platform.min_block_words, platform.min_block_bits, block_luts, platform.family.wide_bits, found,
    )  # fmt: skip
    return found
