# SPDX-License-Identifier: Apache-2.0
"""What an engine weighs under budgets of DSP blocks and LUTs, where multipliers may be made of either.

A design within both budgets also keeps every weighted sum of the two: price x DSP + LUT <= price x budget + budget. An
engine's share of that sum is at least that of its cheapest placement, with the least that the estimate of LUTs says of
it whatever layers it gets. So the exact search, which knows one resource, has a bound that is proved for both
(docs/decisions/0022-placement.md). LUTs count in thousandths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.boards import Platform
from nba.core.compiled import compiled
from nba.machine.designs import ACC_BITS, ACT_BITS, CODE_BITS, INPUT, PACKED, PACKING, RESIDUAL, WEIGHT_BITS
from nba.machine.geometry import LEAST_ADDRESS_BITS
from nba.machine.kernels import IN_LUTS, PAIRED, SINGLE, chains, products, requant_dsp
from nba.machine.logic import FEATURES, PlaceLimits, coefficients, features
from nba.machine.multipliers import product_bits, requant_bits
from nba.machine.parts import (
    C_ACC,
    C_ACT,
    C_DEGREE,
    C_DST,
    C_JOBS,
    C_MIXES,
    C_PACKING,
    C_PARAM_WORDS,
    C_PM,
    C_PN,
    C_PQ,
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
    H_IN_LANES,
    H_OUT_COLS,
    H_OUT_LANES,
    H_PP,
    HOST_COLUMNS,
)
from nba.machine.placement import compiled_mac_dsp, multiplier_table

PRICES = (3_000, 10_000, 25_000, 50_000, 100_000, 200_000, 400_000, 800_000, 3_000_000)
"""Thousandths of a LUT that a DSP block is worth, of which the exact search takes the one of the best bound."""
_SUMS = FEATURES.index(("array", "adder bits of the lane sums"))
_SMALL = FEATURES.index(("array", "bits of products too small for a DSP block"))
_BLOCK_PRODUCTS = FEATURES.index(("array", "bits of products that have a DSP block each"))
_PACKED = FEATURES.index(("array", "bits of products that are taken out of a packed one"))
_RINGS = FEATURES.index(("rings", "rings"))
_RING_BITS = FEATURES.index(("rings", "rings times address bits"))
MANY_WORDS = 1 << 20
"""Words of a memory that is in block RAM whatever its width."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Limits of DSP blocks and LUTs on a platform, and a price of the one in thousandths of the other."""

    platform: Platform
    limits: PlaceLimits
    price: int

    def total(self, layers: np.ndarray, pp: int) -> int:
        """What engines may weigh together in designs at `pp` for the network of `layers` (layer table)."""
        return self.price * self.limits[0] + 1000 * self.limits[1] - fixed_milli(layers, pp, self.platform)


def lut_milli(platform: Platform) -> np.ndarray:
    """int64 [53]: thousandths of a LUT per feature."""
    return np.ascontiguousarray(coefficients(platform.logic)[:, 0])


def fixed_milli(layers: np.ndarray, pp: int, platform: Platform) -> int:
    """LUTs that every design at `pp` has besides its engines: both streams, the buffer of the output, a ring for every
    use of a tensor."""
    host, edges = host_row(layers, pp), np.zeros((1, EDGE_COLUMNS), np.int64)
    host[[H_IN_LANES, H_OUT_LANES, H_OUT_COLS]] = 1
    edges[0, [E_LANES, E_WRITE]] = 1
    edges[0, E_DEPTH] = MANY_WORDS
    edges[0, E_RINGS] = 1 + int((layers[:, INPUT] >= 0).sum() + (layers[:, RESIDUAL] >= 0).sum())
    found = np.zeros(len(FEATURES), np.int64)
    features(np.zeros((0, CHUNK_COLUMNS), np.int64), edges, host, 0, 0, 0, found)
    return int(found @ lut_milli(platform))


def host_row(layers: np.ndarray, pp: int) -> np.ndarray:
    """What is known of the host's part (nba.machine.parts) of every design at `pp`, with the fewest address bits."""
    host = np.zeros(HOST_COLUMNS, np.int64)
    host[H_PP], host[H_BANKS], host[H_CODE_BITS] = pp, pp * layers[0, PACKING], layers[0, CODE_BITS]
    host[H_ADDRESS] = LEAST_ADDRESS_BITS
    return host


def engine_weights(
    layers: np.ndarray, allowed: np.ndarray, needs: tuple[int, int, int], mixes: bool, sizes: np.ndarray, pp: int,
    budget: Budget,
) -> np.ndarray:  # fmt: skip
    """int64 [n]: the least that engines of sizes [n, 3] (pm, pn, pq) weigh that get some of the layers allowed bool [L]
    of the table, and at least one of each of the `needs`: how it multiplies, DSP blocks per requantised value and per
    residual one."""
    kinds = np.array(
        [products(mixes, *(int(x) for x in row[[ACT_BITS, WEIGHT_BITS, ACC_BITS, PACKED]])) for row in layers]
    )
    scales = np.array([requant_dsp(int(row[ACC_BITS]), False) for row in layers])
    mine, multiplied = layers[allowed], layers[allowed & (kinds == needs[0])]
    scaled = layers[allowed & (scales == needs[1])]
    chunk = np.zeros(CHUNK_COLUMNS, np.int64)
    chunk[[C_JOBS, C_SRC, C_DST, C_DEGREE]] = 1
    chunk[[C_WEIGHT_WORDS, C_PARAM_WORDS]] = MANY_WORDS
    chunk[C_MIXES], chunk[C_PACKING] = mixes, layers[0, PACKED]
    chunk[C_ACT], chunk[C_WEIGHT] = mine[:, ACT_BITS].min(), mine[:, WEIGHT_BITS].min()
    chunk[C_STORE], chunk[C_ACC] = chunk[C_WEIGHT], mine[:, ACC_BITS].min()
    least = multiplied[:, [ACT_BITS, WEIGHT_BITS, ACC_BITS]].min(0)
    table = lut_milli(budget.platform)
    kept = table.copy()
    # How the chunk multiplies is not known from the least widths; `_weights` adds what is.
    kept[[_SUMS, _SMALL, _SMALL + 1, _BLOCK_PRODUCTS, _PACKED]] = 0
    found = np.empty(len(sizes), np.int64)
    _weights(
        sizes, chunk, host_row(layers, pp), kept, table, multiplier_table(budget.platform.logic), needs[0], needs[1],
        needs[2], least, int(scaled[:, ACC_BITS].min()), budget.price, found,
    )  # fmt: skip
    return found


# One compiled loop: its arguments are what all engines of one profile share.
@compiled
def _weights(
    sizes: np.ndarray, chunk: np.ndarray, host: np.ndarray, kept: np.ndarray, table: np.ndarray, adders: np.ndarray,
    kind: int, scale: int, res: int, least: np.ndarray, acc_bits: int, price: int, found: np.ndarray,
) -> None:  # fmt: skip
    pp, code_bits = host[H_PP], host[H_CODE_BITS]
    chunks = chunk.reshape(1, -1).copy()
    edges = np.zeros((1, EDGE_COLUMNS), np.int64)
    edges[0, E_LANES] = 1
    edges[0, E_WRITE] = 1
    edges[0, E_DEPTH] = MANY_WORDS
    edges[0, E_RINGS] = 1
    counts = np.zeros(len(kept), np.int64)
    nothing = np.zeros(len(kept), np.int64)
    features(chunks[:0], edges[:0], host, 0, 0, 0, nothing)
    mixes = chunk[C_MIXES] == 1
    product = min(least[0] + least[1], least[2])
    for o in range(sizes.shape[0]):
        pm, pn, pq = sizes[o, 0], sizes[o, 1], sizes[o, 2]
        chunks[0, C_PM] = pm
        chunks[0, C_PN] = pn
        chunks[0, C_PQ] = pq
        counts[:] = 0
        features(chunks, edges, host, 0, 0, 0, counts)
        lut = 0
        for f in range(len(kept)):
            lut += (counts[f] - nothing[f]) * kept[f]
        # The ring of the edge is among those of all uses.
        lut -= table[_RINGS] + host[H_ADDRESS] * table[_RING_BITS]
        macs = pm * pn * pp
        # Chains of two lanes take fewer adders than any other way.
        lanes, more = ((pn + 1) // 2, 2) if chains(kind, 1, pn) else (pn, 1)
        lut += table[_SUMS] * pm * pp * (lanes - 1) * (product + more)
        if kind == IN_LUTS:
            small = macs * (table[_SMALL] * product + table[_SMALL + 1] * (least[0] + 1) * least[1])
            lut += min(small, price * compiled_mac_dsp(pm, pn, pp, PAIRED if mixes else SINGLE))
        elif kind == PAIRED:
            lut += price * compiled_mac_dsp(pm, pn, pp, PAIRED)
        else:
            blocks = price * compiled_mac_dsp(pm, pn, pp, SINGLE)
            lut += macs * product * table[_BLOCK_PRODUCTS]
            if not mixes:
                bits = product_bits(pm, pp, least[0], least[1], least[2])
                blocks = min(blocks, bits[0] * adders[1, 0] + bits[1] * adders[1, 1])
            lut += blocks
        bits = requant_bits(pq, pp, acc_bits, code_bits, res > 0)
        lut += min(price * pq * pp * (scale + res), bits[0] * adders[0, 0] + bits[1] * adders[0, 1])
        found[o] = lut
