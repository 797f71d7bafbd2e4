# SPDX-License-Identifier: Apache-2.0
"""The engines that a network could use, with their work and memories, as arrays for the assignment search."""

from __future__ import annotations

import numpy as np

from nba.boards import Platform
from nba.explore.assign import GRAIN, INFINITE, EngineTable
from nba.ir.network import MULT_BITS, Layer, Network
from nba.machine.accelerator_rules import MAX_WORDS
from nba.machine.closed_form import compiled_bram18
from nba.machine.kernels import is_block
from nba.machine.program import FETCH_CYCLES, ceil_div
from nba.machine.resources import rom_words

SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128)
"""Values of pm and pn that are tried."""
COARSE_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""The values for networks of more than FINE_LAYERS layers."""
FINE_LAYERS = 32
DRAINS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)
"""Values of pq that are tried (divisors of pm)."""


def layer_facts(network: Network) -> np.ndarray:
    """int64 [layers, 9]: dense?, M, N, taps, output rows, output columns, is average pooling?, groups, rotation"""
    facts = []
    for i, layer in enumerate(network.layers):
        out, src = network.result(i), network.source(layer)
        facts.append(
            (
                layer.op == "dense", out.channels, src.channels, layer.kernel_h * layer.kernel_w, out.height, out.width,
                layer.op == "avgpool", layer.groups, layer.rotate,
            )
        )  # fmt: skip
    return np.array(facts, np.int64)


def engine_sizes(network: Network, pp: int, max_macs: int, values: tuple[int, ...] = SIZES) -> np.ndarray:
    """int64 [C, 4]: (dense?, pm, pn, pq) of every engine of at most `max_macs` MACs that some layer can fill."""
    facts = layer_facts(network)
    found: list[tuple[int, int, int, int]] = []
    for dense in (1, 0):
        mine = facts[facts[:, 0] == dense]
        if not len(mine):
            continue
        for pm in sizes_up_to(int(mine[:, 1].max()), values):
            for pn in sizes_up_to(int(mine[:, 2].max()), values) if dense else (1,):
                if pm * pn * pp > max_macs:
                    continue
                found.extend((dense, pm, pn, pq) for pq in DRAINS if pm % pq == 0)
    return np.array(found, np.int64).reshape(-1, 4)


def sizes_up_to(most: int, values: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the ascending `values` that `most` channels can fill: up to the first that holds them all."""
    return tuple(v for i, v in enumerate(values) if i == 0 or values[i - 1] < most)


def work_table(facts: np.ndarray, sizes: np.ndarray, pp: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(cycles per frame, weight words, parameter words), int64 [layers, C], of layers on engines of their kind."""
    dense, m, n, taps, rows, cols, pool, layer_groups, rotate = (facts[:, i, None] for i in range(9))
    is_dense, pm, pn, pq = (sizes[None, :, i] for i in range(4))
    # As nba.machine.program.channel_words.
    halved = (layer_groups == 2) & (n % (2 * pn) == 0) & (m % (2 * pm) == 0) & (rotate % pm == 0)
    steps = np.where(is_dense == 1, np.where(halved, n // (2 * pn), -(-n // pn)), 1) * taps
    drain = pm // pq
    groups = -(-m // pm)
    row = np.maximum(-(-cols // pp) * groups * np.maximum(steps, drain), 2)
    work = np.where(dense == is_dense, rows * row + FETCH_CYCLES + 1, INFINITE)
    weight_words = np.where(pool == 1, 1, groups * steps)
    return work.astype(np.int64), weight_words.astype(np.int64), (groups * drain).astype(np.int64)


def engine_table(
    network: Network, platform: Platform, pp: int, max_macs: int, values: tuple[int, ...] = SIZES
) -> EngineTable:
    """All options at `pp` with pm and pn among `values`."""
    sizes = engine_sizes(network, pp, max_macs, values)
    dense, pm, pn, pq = (np.ascontiguousarray(c) for c in sizes.T)
    work, weight_words, param_words = work_table(layer_facts(network), sizes, pp)
    stored = sorted({_stored_bits(layer) for layer in network.layers})
    bits = [
        (
            layer.act_bits,
            2 if layer.op == "avgpool" else layer.weight_bits,
            network.acc_bits(i),
            layer.residual is not None,
            stored.index(_stored_bits(layer)),
        )
        for i, layer in enumerate(network.layers)
    ]
    acc_bits = max(network.acc_bits(i) for i in range(len(network.layers)))
    lanes = np.where(dense == 1, pn, pm)
    map_words = np.stack([_map_words(network, pp, lanes, False), _map_words(network, pp, pq, True)], axis=1)
    deepest = max(int(words.sum(0).max(initial=0)) for words in (weight_words, param_words, map_words))
    n_grains = min(-(-deepest // GRAIN), MAX_WORDS // GRAIN) + 1
    maps = (lanes * network.master_bits, pq * network.master_bits)
    widths = [pq * (acc_bits + MULT_BITS), *maps, *(pm * pn * b for b in stored)]
    blocks = np.zeros((len(sizes), len(widths), n_grains), np.int64)
    for m, width in enumerate(widths):
        for w in np.unique(width):
            blocks[width == w, m] = _memory_blocks(platform, int(w), n_grains, m in (1, 2)) * (pp if m in (1, 2) else 1)
    return EngineTable(
        pm=pm, pn=pn, pq=pq, lanes=lanes, dense=dense == 1, bits=np.array(bits, np.int64),
        work=work, weight_words=weight_words, param_words=param_words, map_words=map_words,
        bram18=blocks,
    )  # fmt: skip


def _stored_bits(layer: Layer) -> int:
    return 2 if layer.op == "avgpool" else max(layer.weight_store_bits, layer.weight_bits)


def _map_words(network: Network, pp: int, lanes: np.ndarray, residual: bool) -> np.ndarray:
    """int64 [layers, C]: words per bank of the whole input map (or residual operand) of every layer."""
    found = np.zeros((len(network.layers), len(lanes)), np.int64)
    for i, layer in enumerate(network.layers):
        tensor = layer.residual if residual else layer.input
        if tensor is not None:
            t = network.tensors[tensor]
            half = ceil_div(ceil_div(t.width, 2), pp)
            columns = 2 * half if layer.stride == 2 and not residual else ceil_div(t.width, pp)
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
