# SPDX-License-Identifier: Apache-2.0
"""The engines that a network could use, with their work and memories, as arrays for the assignment search."""

from __future__ import annotations

import numpy as np

from nba.boards import Platform
from nba.core.compiled import compiled
from nba.explore.assign import GRAIN, INFINITE, EngineTable
from nba.ir.network import MULT_BITS, Network
from nba.machine.accelerator_rules import MAX_WORDS
from nba.machine.blocks import compiled_bram18
from nba.machine.designs import (
    ACC_BITS,
    ACT_BITS,
    MIXES,
    RESIDUAL,
    ROWS,
    SHIFT_BITS,
    STORE_BITS,
    STORED,
    TAPS,
    WEIGHT_BITS,
    M,
    N,
    layer_table,
    row_work,
    words_of,
)
from nba.machine.geometry import bank_columns, ceil_div, input_word, param_words, weight_words
from nba.machine.kernels import PAIRED, SINGLE, is_block, mac_dsp
from nba.machine.resources import rom_words
from nba.machine.timing import drain_cycles, job_cycles, row_cycles

SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128)
"""Values of pm and pn that are tried."""
COARSE_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""The values for networks of more than FINE_LAYERS layers."""
FINE_LAYERS = 32
DRAINS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)
"""Values of pq that are tried (divisors of pm)."""


def engine_sizes(layers: np.ndarray, pp: int, max_dsp: int, values: tuple[int, ...] = SIZES) -> np.ndarray:
    """int64 [C, 4]: (mixes?, pm, pn, pq) of every engine of no more MACs than `max_dsp` blocks multiply that some
    layer of the table can fill."""
    found: list[tuple[int, int, int, int]] = []
    for mixes in (1, 0):
        mine = layers[layers[:, MIXES] == mixes]
        if not len(mine):
            continue
        for pm in sizes_up_to(int(mine[:, M].max()), values):
            for pn in sizes_up_to(int(mine[:, N].max()), values) if mixes else (1,):
                if mac_dsp(pm, pn, pp, PAIRED if mixes else SINGLE) > max_dsp:
                    continue
                found.extend((mixes, pm, pn, pq) for pq in DRAINS if pm % pq == 0)
    return np.array(found, np.int64).reshape(-1, 4)


def sizes_up_to(most: int, values: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the ascending `values` that `most` channels can fill: up to the first that holds them all."""
    return tuple(v for i, v in enumerate(values) if i == 0 or values[i - 1] < most)


@compiled
def work_table(layers: np.ndarray, sizes: np.ndarray, pp: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(cycles per frame, weight words, parameter words), int64 [L, C], of layers [L, 37] on engines sizes [C, 4] of
    their kind (INFINITE cycles on others)."""
    shape = (layers.shape[0], sizes.shape[0])
    work, weights, params = np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.int64)
    for i in range(shape[0]):
        layer = layers[i]
        for c in range(shape[1]):
            mixes, pm, pn, pq = sizes[c]
            m_groups, words = ceil_div(layer[M], pm), words_of(layer, pm, pn)
            row = row_cycles(row_work(layer, pp, pm, pn, pq))
            work[i, c] = job_cycles(layer[ROWS], row) if layer[MIXES] == mixes else INFINITE
            weights[i, c] = weight_words(layer[STORED] == 1, m_groups, words * layer[TAPS])
            params[i, c] = param_words(m_groups, drain_cycles(pm, pq))
    return work, weights, params


def engine_table(
    network: Network, platform: Platform, pp: int, packing: int, max_dsp: int, values: tuple[int, ...] = SIZES
) -> EngineTable:
    """All options at `pp` and `packing` with pm and pn among `values` and MACs for `max_dsp` blocks."""
    layers, banks = layer_table(network, packing), pp * packing
    sizes = engine_sizes(layers, pp, max_dsp, values)
    mixes, pm, pn, pq = (np.ascontiguousarray(c) for c in sizes.T)
    work, weight_words, param_words = work_table(layers, sizes, pp)
    stored_bits = np.maximum(layers[:, STORE_BITS], layers[:, WEIGHT_BITS])
    stored, which = np.unique(stored_bits, return_inverse=True)
    bits = np.column_stack(
        [layers[:, ACT_BITS], layers[:, WEIGHT_BITS], layers[:, ACC_BITS], layers[:, RESIDUAL] >= 0, which]
    )  # fmt: skip
    acc_bits, shift_bits = int(layers[:, ACC_BITS].max()), int(layers[:, SHIFT_BITS].max())
    lanes = np.array([input_word(*size) for size in sizes[:, :3].tolist()], np.int64)
    map_words = np.stack([_map_words(network, banks, lanes, False), _map_words(network, banks, pq, True)], axis=1)
    deepest = max(int(words.sum(0).max(initial=0)) for words in (weight_words, param_words, map_words))
    n_grains = min(-(-deepest // GRAIN), MAX_WORDS // GRAIN) + 1
    maps = (lanes * network.master_bits, pq * network.master_bits)
    widths = [pq * (acc_bits + MULT_BITS + shift_bits), *maps, *(pm * pn * b for b in stored.tolist())]
    blocks = np.zeros((len(sizes), len(widths), n_grains), np.int64)
    for m, width in enumerate(widths):
        for w in np.unique(width):
            copies = banks if m in (1, 2) else 1
            blocks[width == w, m] = _memory_blocks(platform, int(w), n_grains, m in (1, 2)) * copies
    return EngineTable(
        packing=packing,
        pm=pm, pn=pn, pq=pq, lanes=lanes, mixes=mixes == 1, bits=np.ascontiguousarray(bits, np.int64),
        work=work, weight_words=weight_words, param_words=param_words, map_words=map_words,
        bram18=blocks,
    )  # fmt: skip


def _map_words(network: Network, banks: int, lanes: np.ndarray, residual: bool) -> np.ndarray:
    """int64 [layers, C]: words per bank of the whole input map (or residual operand) of every layer."""
    found = np.zeros((len(network.layers), len(lanes)), np.int64)
    for i, layer in enumerate(network.layers):
        tensor = layer.residual if residual else layer.input
        if tensor is not None:
            t = network.tensors[tensor]
            columns = bank_columns(t.width, banks, 1 if residual else layer.stride_w)
            found[i] = t.height * columns * -(-t.channels // lanes)
    return found


def _memory_blocks(platform: Platform, width: int, n_grains: int, written: bool) -> np.ndarray:
    """int64 [n_grains]: 18-Kbit blocks of a memory of 0, GRAIN ... words of `width` bits; ROMs have a guard."""
    found = np.zeros(n_grains, np.int64)
    for g in range(1, n_grains):
        words = g * GRAIN if written else rom_words(g * GRAIN)
        if is_block(width, words, platform.min_block_words, platform.min_block_bits):
            found[g] = compiled_bram18(width, words, width if written else 0)
    return found


def layer_edges(network: Network) -> np.ndarray:
    """int64 [E, 3]: (producer layer, -1 for the host; consumer layer; 1 for a residual operand) of every use."""
    found = []
    for i, layer in enumerate(network.layers):
        found.append((layer.input - 1, i, 0))
        if layer.residual is not None:
            found.append((layer.residual - 1, i, 1))
    return np.array(found, np.int64).reshape(-1, 3)
