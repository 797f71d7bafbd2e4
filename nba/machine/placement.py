# SPDX-License-Identifier: Apache-2.0
"""Which multipliers of a design are made of adders (nba_mul) instead of DSP blocks: the requantisers of a chunk, and
the products of one that does not mix channels.

What a budget of DSP blocks lacks is freed with the fewest LUTs: a knapsack of at most two items per chunk, solved
exactly. Cycles and bits do not depend on it (docs/decisions/0022-placement.md).
"""

from __future__ import annotations

import numpy as np

from nba.boards import LogicTable
from nba.core.compiled import compiled
from nba.machine.kernels import SINGLE, mac_dsp, products, requant_dsp
from nba.machine.multipliers import product_bits, requant_bits
from nba.machine.parts import (
    C_ACC,
    C_ACT,
    C_JOBS,
    C_MIXES,
    C_PACKING,
    C_PM,
    C_PN,
    C_PP,
    C_PQ,
    C_PRODUCT_LUT,
    C_REQUANT_LUT,
    C_RES,
    C_WEIGHT,
    H_CODE_BITS,
    H_PP,
)

compiled_mac_dsp = compiled(mac_dsp)

REQUANT_ITEM, PRODUCT_ITEM = 0, 1
"""Items of a chunk."""


@compiled
def _kind(c: np.ndarray) -> int:
    return products(c[C_MIXES] == 1, c[C_ACT], c[C_WEIGHT], c[C_ACC], c[C_PACKING])


@compiled
def saved_dsp(c: np.ndarray, pp: int, which: int, wide_bits: int) -> int:
    """DSP blocks that a chunk [24] has for its requantisers, or for products that adders may make."""
    if which == REQUANT_ITEM:
        return c[C_PQ] * pp * requant_dsp(c[C_ACC], c[C_RES] > 0, wide_bits)
    return c[C_PM] * pp if c[C_MIXES] == 0 and _kind(c) == SINGLE else 0


@compiled
def adder_milli(c: np.ndarray, pp: int, code_bits: int, which: int, table: np.ndarray) -> tuple[int, int]:
    """Thousandths of LUTs and of flip-flops that the multipliers of an item of a chunk [24] take as adders; table
    [2, 3]: `multiplier_table`."""
    if which == REQUANT_ITEM:
        bits = requant_bits(c[C_PQ], pp, c[C_ACC], code_bits, c[C_RES] > 0)
    else:
        bits = product_bits(c[C_PM], pp, c[C_ACT], c[C_WEIGHT], c[C_ACC])
    return bits[0] * table[which, 0] + bits[1] * table[which, 1], bits[2] * table[which, 2]


def multiplier_table(logic: LogicTable) -> np.ndarray:
    """int64 [2, 3], by items: thousandths of a LUT per bit of a row and of an adder, of a flip-flop per bit of a
    register."""
    return np.array([logic.multipliers.requant, logic.multipliers.products], np.int64)


@compiled
def chosen_milli(chunks: np.ndarray, host: np.ndarray, table: np.ndarray) -> tuple[int, int]:
    """Thousandths of LUTs and flip-flops of all multipliers of chunks [K, 24] that are made of adders."""
    lut = 0
    ff = 0
    for k in range(len(chunks)):
        for which in range(2):
            if chunks[k, C_REQUANT_LUT + which] == 1:
                more = adder_milli(chunks[k], chunks[k, C_PP], host[H_CODE_BITS], which, table)
                lut += more[0]
                ff += more[1]
    return lut, ff


# One compiled loop: a knapsack whose tables are local arrays.
@compiled
def place_multipliers(
    chunks: np.ndarray, host: np.ndarray, table: np.ndarray, lut_milli: int, max_dsp: int, max_lut: int, wide_bits: int
) -> int:  # fmt: skip
    """Sets C_REQUANT_LUT and C_PRODUCT_LUT of chunks [K, 24] of a design that takes `lut_milli` with everything in DSP
    blocks; the DSP blocks that are freed.

    Of the choices that fit both limits, one of the fewest LUTs; if there is none, one whose excess over both limits
    together is least.
    """
    pp, code_bits = host[H_PP], host[H_CODE_BITS]
    n_items = 0
    units = np.zeros(2 * len(chunks), np.int64)
    costs = np.zeros(2 * len(chunks), np.int64)
    place = np.zeros(2 * len(chunks), np.int64)
    dsp = 0
    most = 0
    for k in range(len(chunks)):
        chunks[k, C_REQUANT_LUT] = 0
        chunks[k, C_PRODUCT_LUT] = 0
        c = chunks[k]
        if c[C_JOBS] == 0:
            continue
        dsp += compiled_mac_dsp(c[C_PM], c[C_PN], pp, _kind(c)) + saved_dsp(c, pp, REQUANT_ITEM, wide_bits)
        for which in range(2):
            saved = saved_dsp(c, pp, which, wide_bits)
            if saved > 0:
                units[n_items] = saved // pp
                costs[n_items] = adder_milli(c, pp, code_bits, which, table)[0]
                place[n_items] = 2 * k + which
                most += saved // pp
                n_items += 1
    if dsp <= max_dsp or n_items == 0:
        return 0
    goal = min(most, (dsp - max_dsp + pp - 1) // pp)
    infinite = np.int64(1) << 60
    best = np.full(goal + 1, infinite, np.int64)
    best[0] = 0
    taken = np.zeros((n_items, goal + 1), np.bool_)
    before = np.zeros((n_items, goal + 1), np.int64)
    for i in range(n_items):
        for f in range(goal, -1, -1):
            if best[f] >= infinite:
                continue
            to = min(goal, f + units[i])
            # Downwards, so that an item counts once; sums beyond the goal come down to it, from the goal itself too.
            if to > f and best[f] + costs[i] < best[to]:
                best[to] = best[f] + costs[i]
                taken[i, to] = True
                before[i, to] = f
    freed = goal
    if dsp - goal * pp > max_dsp or (lut_milli + best[goal] + 999) // 1000 > max_lut:
        least = -1.0
        for f in range(goal + 1):
            if best[f] >= infinite:
                continue
            over = max(1.0, (dsp - f * pp) / max(1, max_dsp)) * max(
                1.0, (lut_milli + best[f]) / 1000.0 / max(1, max_lut)
            )
            if least < 0.0 or over < least:
                least = over
                freed = f
    saved = 0
    f = freed
    for i in range(n_items - 1, -1, -1):
        if taken[i, f]:
            chunks[place[i] // 2, C_REQUANT_LUT + place[i] % 2] = 1
            saved += units[i] * pp
            f = before[i, f]
    return saved
