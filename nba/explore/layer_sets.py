# SPDX-License-Identifier: Apache-2.0
"""What chunks weigh at least that execute a given set of layers (nba.explore.partitions).

Of a set all widths are known, and so are the groups of chunks on the other side of its buffers: the host, the chunk
itself, others of either kind. What is left out is never negative: memories in LUTs, what parameters and addresses take
beyond the fewest bits, further buffers of the same group. LUTs count in thousandths, as in nba.explore.weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.boards import Platform
from nba.core.compiled import compiled
from nba.explore.weights import MANY_WORDS, PRICES, host_row, lut_milli
from nba.machine.designs import (
    ACC_BITS,
    ACT_BITS,
    CODE_BITS,
    INPUT,
    MIXES,
    MOST_DEGREE,
    PACKED,
    PADS,
    RESIDUAL,
    SHIFT_BITS,
    SHIFT_LEAST,
    SHIFT_MOST,
    STORE_BITS,
    WEIGHT_BITS,
)
from nba.machine.geometry import input_word
from nba.machine.kernels import products
from nba.machine.logic import FEATURES, features, stated
from nba.machine.parts import (
    C_ACC,
    C_ACT,
    C_CHAINS,
    C_DEGREE,
    C_DST,
    C_JOBS,
    C_MIXES,
    C_NEST_ACT,
    C_NEST_WEIGHT,
    C_PACKING,
    C_PAD_WORDS,
    C_PARAM_WORDS,
    C_PM,
    C_PN,
    C_PP,
    C_PQ,
    C_PROGRAM_WORDS,
    C_RES,
    C_SHIFT,
    C_SHIFT_LEAST,
    C_SHIFT_MOST,
    C_SRC,
    C_STORE,
    C_WEIGHT,
    C_WEIGHT_WORDS,
    CHUNK_COLUMNS,
    E_DEPTH,
    E_LANES,
    E_RINGS,
    E_WRITE,
    EDGE_COLUMNS,
    H_ADDRESS,
    H_BANKS,
    H_CODE_BITS,
    H_PP,
)
from nba.machine.placement import (
    PRODUCT_ITEM,
    REQUANT_ITEM,
    adder_milli,
    compiled_mac_dsp,
    multiplier_table,
    saved_dsp,
)

MOST_ROWS = 60_000
"""Chunks near the lightest of their sets that are listed."""
_WIDTHS = (
    C_ACT, C_WEIGHT, C_STORE, C_ACC, C_DEGREE, C_RES, C_NEST_ACT, C_NEST_WEIGHT, C_SHIFT, C_PAD_WORDS, C_SHIFT_LEAST,
    C_SHIFT_MOST,
)  # fmt: skip
"""What a chunk has of its layers, in the order of `_Sets.widths`."""
_RINGS = FEATURES.index(("rings", "rings"))
_RING_BITS = FEATURES.index(("rings", "rings times address bits"))
_OUTPUT_EDGES = FEATURES.index(("control", "output edges"))
_FURTHER_WORDS = FEATURES.index(("control", "bits of input words from further edges"))
_RESIDUAL_WORDS = FEATURES.index(("control", "bits of residual words"))
# Columns of what an engine weighs: LUTs that it always has; DSP blocks of its products, LUTs that these take as adders
# instead (-1: they cannot); the same of its requantisers; LUTs of a further buffer on the main port, on the residual.
_LUT, _PRODUCTS, _PRODUCT_ADDERS, _REQUANTS, _REQUANT_ADDERS, _MAIN, _SECOND = range(7)
_WEIGHT_COLUMNS = 7


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sets:
    """All sets of the layers of a kind, by number: bit n is layers[n]. widths [S, 12]: by _WIDTHS; edges [S, 4]:
    buffers that a chunk with these layers reads at least on the main and on the residual port, and that it writes;
    1 where one of the first is that of a layer of its own."""

    layers: np.ndarray
    widths: np.ndarray
    edges: np.ndarray


def sets_of(table: np.ndarray, kind: int) -> Sets:
    """The sets of the layers of the table that mix channels (kind 0), or of the others (1)."""
    layers = np.flatnonzero(table[:, MIXES] == 1 - kind)
    widths = np.zeros((1 << len(layers), len(_WIDTHS)), np.int64)
    edges = np.zeros((1 << len(layers), 4), np.int64)
    for number in range(1, len(widths)):
        mine = table[[i for n, i in enumerate(layers.tolist()) if number >> n & 1]]
        widths[number] = (
            mine[:, ACT_BITS].max(), max(2, mine[:, WEIGHT_BITS].max()),
            max(2, mine[:, STORE_BITS].max(), mine[:, WEIGHT_BITS].max()), mine[:, ACC_BITS].max(),
            mine[:, MOST_DEGREE].max(), (mine[:, RESIDUAL] >= 0).any(), (mine[:, ACT_BITS] < mine[:, CODE_BITS]).any(),
            (mine[:, WEIGHT_BITS] < mine[:, STORE_BITS]).any(), mine[:, SHIFT_BITS].max(),
            MANY_WORDS * mine[:, PADS].max(), mine[:, SHIFT_LEAST].min(), mine[:, SHIFT_MOST].max(),
        )  # fmt: skip
        inside = {i for n, i in enumerate(layers.tolist()) if number >> n & 1}
        edges[number] = _edges(table, inside)
    return Sets(layers=layers, widths=widths, edges=edges)


def _edges(table: np.ndarray, inside: set[int]) -> tuple[int, int, int, int]:
    """Buffers to and from a chunk with the layers `inside`: those of different groups of chunks on the other side (the
    host, itself, others of either kind) are different ones; whether it reads what it writes."""

    def side(i: int) -> tuple[bool, bool]:
        return i in inside, bool(table[i, MIXES])

    reads = [
        {"host" if tensor == 0 else side(tensor - 1) for tensor in table[sorted(inside), port].tolist() if tensor >= 0}
        for port in (INPUT, RESIDUAL)
    ]
    written = {
        (side(i), port) for port in (INPUT, RESIDUAL) for i, row in enumerate(table.tolist())
        if row[port] > 0 and row[port] - 1 in inside
    }  # fmt: skip
    itself = any(row[INPUT] - 1 in inside for i, row in enumerate(table.tolist()) if i in inside)
    return len(reads[0]), len(reads[1]), len(written) + (len(table) - 1 in inside), int(itself)


@compiled
def _writer(lanes: int, host: np.ndarray, table: np.ndarray) -> int:
    """LUTs of a buffer with words of `lanes` channels in block RAM, without its ring; as many codes are written at once
    as take the fewest."""
    edges = np.zeros((1, EDGE_COLUMNS), np.int64)
    edges[0, E_LANES] = lanes
    edges[0, E_DEPTH] = MANY_WORDS
    edges[0, E_RINGS] = 1
    counts = np.zeros(len(table), np.int64)
    nothing = np.zeros(len(table), np.int64)
    none = np.zeros((0, CHUNK_COLUMNS), np.int64)
    features(none, edges[:0], host, 0, 0, 0, nothing)
    least = np.int64(1) << 60
    for written in range(1, lanes + 1):
        if lanes % written == 0:
            edges[0, E_WRITE] = written
            counts[:] = 0
            features(none, edges, host, 0, 0, 0, counts)
            lut = np.int64(0)
            for f in range(len(table)):
                lut += (counts[f] - nothing[f]) * table[f]
            least = min(least, lut)
    return least - table[_RINGS] - host[H_ADDRESS] * table[_RING_BITS]


# One compiled loop: its arguments are what all engines of one kind share.
@compiled
def _weigh(
    sizes: np.ndarray, widths: np.ndarray, columns: np.ndarray, chunk: np.ndarray, host: np.ndarray, table: np.ndarray,
    adders: np.ndarray, wide_bits: int, buffers: np.ndarray, found: np.ndarray,
) -> None:  # fmt: skip
    """found [P, E, 7] of engines of sizes [E, 3] with the layers' widths [P, 12]; buffers [.]: LUTs of a buffer, by the
    channels of its words."""
    pp, code_bits, bits = host[H_PP], host[H_CODE_BITS], host[H_BANKS] * host[H_CODE_BITS]
    chunks = chunk.reshape(1, -1).copy()
    c = chunks[0]
    edges = np.zeros((0, EDGE_COLUMNS), np.int64)
    counts = np.zeros(len(table), np.int64)
    nothing = np.zeros(len(table), np.int64)
    features(chunks[:0], edges, host, 0, 0, 0, nothing)
    for p in range(widths.shape[0]):
        for f in range(columns.size):
            c[columns[f]] = widths[p, f]
        kind = products(c[C_MIXES] == 1, c[C_ACT], c[C_WEIGHT], c[C_ACC], c[C_PACKING])
        for e in range(sizes.shape[0]):
            c[C_PM] = sizes[e, 0]
            c[C_PN] = sizes[e, 1]
            c[C_PQ] = sizes[e, 2]
            lanes = input_word(c[C_MIXES] == 1, c[C_PM], c[C_PN])
            counts[:] = 0
            features(chunks, edges, host, 0, 0, 0, counts)
            lut = stated(chunks, host, 0) + buffers[lanes] + c[C_RES] * buffers[c[C_PQ]]
            for f in range(len(table)):
                lut += (counts[f] - nothing[f]) * table[f]
            found[p, e, _LUT] = lut
            found[p, e, _PRODUCTS] = compiled_mac_dsp(c[C_PM], c[C_PN], pp, kind)
            found[p, e, _PRODUCT_ADDERS] = -1
            if saved_dsp(c, pp, PRODUCT_ITEM, wide_bits) > 0:
                found[p, e, _PRODUCT_ADDERS] = adder_milli(c, pp, code_bits, PRODUCT_ITEM, adders)[0]
            found[p, e, _REQUANTS] = saved_dsp(c, pp, REQUANT_ITEM, wide_bits)
            found[p, e, _REQUANT_ADDERS] = adder_milli(c, pp, code_bits, REQUANT_ITEM, adders)[0]
            found[p, e, _MAIN] = buffers[lanes] + table[_FURTHER_WORDS] * bits * lanes
            found[p, e, _SECOND] = buffers[c[C_PQ]] + table[_RESIDUAL_WORDS] * bits * c[C_PQ]


@compiled
def _weight(w: np.ndarray, edges: np.ndarray, output_edge: int, price: int) -> int:
    """What an engine of weights [7] weighs at this price with the buffers [4] of its layers."""
    lut = w[_LUT] + (edges[0] - 1) * w[_MAIN] + max(0, edges[1] - 1) * w[_SECOND] + (edges[2] - 1) * output_edge
    blocks = price * w[_PRODUCTS]
    if w[_PRODUCT_ADDERS] >= 0:
        blocks = min(blocks, w[_PRODUCT_ADDERS])
    return lut + blocks + min(price * w[_REQUANTS], w[_REQUANT_ADDERS])


@compiled
def _loads(work: np.ndarray, e: int, load: np.ndarray) -> None:
    """load [S]: cycles of every set of layers on engine e; work [L, E]."""
    for s in range(1, load.size):
        low = 0
        while not (s >> low) & 1:
            low += 1
        load[s] = load[s & (s - 1)] + work[low, e]


# One compiled loop over engines and sets: its arguments are those of a `Side`.
@compiled
def _lightest(
    work: np.ndarray, weights: np.ndarray, profile: np.ndarray, edges: np.ndarray, feeds_itself: np.ndarray,
    output_edge: int, prices: np.ndarray, limit: int, least: np.ndarray,
) -> None:  # fmt: skip
    load = np.zeros(edges.shape[0], np.int64)
    least[:] = np.int64(1) << 60
    for e in range(work.shape[1]):
        _loads(work, e, load)
        for s in range(1, load.size):
            if load[s] > limit or (edges[s, 3] == 1 and not feeds_itself[e]):
                continue
            for p in range(prices.size):
                total = _weight(weights[profile[s], e], edges[s], output_edge, prices[p])
                if total < least[p, s]:
                    least[p, s] = total


# One compiled loop over engines and sets, as `_lightest`.
@compiled
def _near(
    work: np.ndarray, weights: np.ndarray, profile: np.ndarray, edges: np.ndarray, feeds_itself: np.ndarray,
    output_edge: int, prices: np.ndarray, limit: int, most: np.ndarray, sets: np.ndarray, engines: np.ndarray,
    found: np.ndarray,
) -> int:  # fmt: skip
    load = np.zeros(edges.shape[0], np.int64)
    row = np.zeros(prices.size, np.int64)
    count = 0
    for e in range(work.shape[1]):
        _loads(work, e, load)
        for s in range(1, load.size):
            if load[s] > limit or (edges[s, 3] == 1 and not feeds_itself[e]):
                continue
            near = True
            for p in range(prices.size):
                row[p] = _weight(weights[profile[s], e], edges[s], output_edge, prices[p])
                if row[p] > most[p, s]:
                    near = False
                    break
            if near:
                if count < sets.size:
                    sets[count] = s
                    engines[count] = e
                    found[count] = row
                count += 1
    return count


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Near:
    """Chunks of a kind, by the first layers of their sets: numbers of these and of their engines [N], and what they
    weigh [N, P] at every price."""

    sets: np.ndarray
    engines: np.ndarray
    weights: np.ndarray


class Side:
    """The sets of layers of one kind on engines of sizes [E, 3] at one pp; work [E, L]: cycles of the layers."""

    def __init__(
        self, table: np.ndarray, kind: int, sets: Sets, sizes: np.ndarray, work: np.ndarray, pp: int,
        platform: Platform,
    ):  # fmt: skip
        self.sets, self.sizes = sets, sizes
        self.lanes = sizes[:, 1 if kind == 0 else 0].copy()
        widths, profile = np.unique(sets.widths[1:], axis=0, return_inverse=True)
        profile = np.concatenate([[0], profile.reshape(-1)])
        chunk = np.zeros(CHUNK_COLUMNS, np.int64)
        chunk[[C_JOBS, C_PROGRAM_WORDS, C_SRC, C_DST, C_CHAINS]] = 1
        chunk[[C_WEIGHT_WORDS, C_PARAM_WORDS]] = MANY_WORDS
        first = table[sets.layers[0]]
        chunk[C_MIXES], chunk[C_PACKING], chunk[C_PP] = first[MIXES], first[PACKED], pp
        host, luts = host_row(table, pp), lut_milli(platform)
        buffers = np.array([_writer(n, host, luts) if n else 0 for n in range(int(sizes.max()) + 1)])
        weights = np.zeros((len(widths), len(sizes), _WEIGHT_COLUMNS), np.int64)
        _weigh(
            sizes, widths, np.array(_WIDTHS), chunk, host, luts, multiplier_table(platform.logic),
            platform.family.wide_bits, buffers, weights,
        )  # fmt: skip
        self._weights, self._profile = weights, profile
        self.output_edge = int(luts[_OUTPUT_EDGES])
        self._arrays = (
            np.ascontiguousarray(work.T).astype(np.int64), weights, profile, sets.edges,
            self.lanes % sizes[:, 2] == 0, self.output_edge, np.array(PRICES),
        )  # fmt: skip

    def lightest(self, limit: int) -> np.ndarray:
        """The least weight [P, S] of a chunk with every set of layers within `limit` cycles, at every price."""
        least = np.empty((len(PRICES), len(self.sets.widths)), np.int64)
        _lightest(*self._arrays, limit, least)
        return least

    def near(self, limit: int, most: np.ndarray) -> Near | None:
        """The chunks within `limit` cycles that weigh at most what their set may, `most` [P, S]; None if there are more
        than MOST_ROWS."""
        sets, engines = np.empty(MOST_ROWS, np.int64), np.empty(MOST_ROWS, np.int64)
        weights = np.empty((MOST_ROWS, len(PRICES)), np.int64)
        count = _near(*self._arrays, limit, most, sets, engines, weights)
        if count > MOST_ROWS:
            return None
        sets, engines, weights = sets[:count], engines[:count], weights[:count]
        order = np.argsort(sets & -sets, kind="stable")
        return Near(sets=sets[order], engines=engines[order], weights=weights[order])

    def rows(self, near: Near, masks: np.ndarray) -> np.ndarray:
        """int64 [N, 12]: what an enumeration knows of these chunks (nba.explore.partitions); masks [S, 3]: the first
        three columns, by sets."""
        w = self._weights[self._profile[near.sets], near.engines]
        edges = self.sets.edges[near.sets]
        lut = w[:, _LUT] + (edges[:, 0] - 1) * w[:, _MAIN] + np.maximum(0, edges[:, 1] - 1) * w[:, _SECOND]
        lut += (edges[:, 2] - 1) * self.output_edge
        columns = (
            masks[near.sets], self.lanes[near.engines, None], self.sizes[near.engines, 2:], w[:, [_MAIN, _SECOND]],
            lut[:, None], w[:, [_PRODUCTS, _PRODUCT_ADDERS, _REQUANTS, _REQUANT_ADDERS]],
        )  # fmt: skip
        return np.concatenate(columns, axis=1)
