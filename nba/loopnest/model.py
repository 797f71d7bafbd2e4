# SPDX-License-Identifier: Apache-2.0
"""The model of a mapping in closed form, compiled (docs/mapping-model.md; nba/loopnest/reference.py executes the same).

The blocks of the loops form one tree per loop, and the steps of a mapping are all combinations of them, so that what
moves is a product of one number per loop. Time needs the larger of computing and moving in every step: steps are
counted by class (which loops are at a smaller last block) and by the loops that advance before and after them.

Compiled functions get few flat arrays, since every array costs them a handful of arguments per call:
plan int64 [3, L, 8] (arrays, tiles and orders of a mapping; `encoded`), facts int64 [L, _FACTS] and pj float64
[L, _PJ] (a layer on a hierarchy; `Machine`), work int64 [L + 1, _WORK] and table int64 [L, 256, 6] (`Scratch`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nba.core.compiled import compiled, inlined
from nba.loopnest.cost import AccessCounts, Operands
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import OUTPUTS, WALKS, NestLayer, P, Q, R, S
from nba.loopnest.mapping import Mapping, mac_bits

_WALKS_W, _WALKS_I, _WALKS_O = (sum(1 << d for d in range(8) if walks[d]) for walks in WALKS)
ARRAYS, TILES, ORDERS = range(3)

# Columns of `facts`. W_BITS, I_BITS, RESULT_BITS, PARTIAL_BITS: of elements, 0 of an operand that the level does not
# hold. W_FILL, I_FILL, DRAIN: bits per cycle of the wires; SHARED: weights and inputs come on the same ones.
W_PARENT, I_PARENT, O_PARENT, W_BITS, I_BITS, RESULT_BITS, PARTIAL_BITS, W_FILL, I_FILL, DRAIN = range(10)
SHARED, DOUBLE = 10, 11
_FACTS = 12
STRIDE_H, STRIDE_W, N_OUTPUTS = range(3)
"""Columns of row 0 of `facts`: level 0 has no parent."""

# Columns of `pj`, of one element: read at the parent; received; by what moves, results or partial sums, merged, read
# again at the parent, and carried; by what the level holds, drained.
W_OUTER, I_OUTER, W_INNER, I_INNER, MERGE, REREAD, HOP, DRAINED = 0, 1, 2, 3, 4, 6, 8, 10
_PJ = 12
CONSTANT = 0
"""Column of row 0 of `pj`: what every mapping pays."""

# Columns of `work`. Eight each: blocks and tiles of every loop, and instances that first blocks take, over the whole
# layer (`_trees`); of one execution: blocks, last block, block at hand, tile, places in the order of the loops with
# several blocks, loops whose last block is smaller.
N_ARRAYS, N_TILES, N_FIRST, BLOCKS, LAST, BLOCK, EXTENTS, ACTIVE, UNEVEN_LOOPS = 0, 8, 16, 24, 32, 40, 48, 56, 65
# (`_begin` writes one place beyond the last of ACTIVE.) One each: how many ACTIVE and UNEVEN_LOOPS, bits of the
# latter, class of steps at hand; over the other loops products of tiles, bits of weights, inputs (rows and columns
# apart), outputs.
LOOPS, N_UNEVEN, UNEVEN, CLASS, EVEN_TILE, EVEN_WEIGHT, EVEN_IMAGE, EVEN_OUT = range(73, 81)
# Positions; the loop along which inputs slide or -1; whether drains move results; whether the level holds results.
AT_W, AT_I, AT_O, SLIDES, RESULTS, HOLDS_RESULTS = range(81, 87)
# Sums over blocks and tiles of min(stride, kernel rows or columns); what moves.
REACH_ARRAYS, REACH_TILES, OUTER, INNER = 87, 89, 91, 94
_WORK = 97
# Of the last row: a list of block sizes, and how often each occurs.
_SIZES, _COUNTS = 0, 48

# Columns of `table`, by class of steps: cycles of one; bits of its weights, inputs, inputs that sliding loads; cycles
# of its loads when the innermost loop advances, and of its drain.
CYCLES, WEIGHT, IMAGE, SLID, LOADED_IN, DRAINED_IN = range(6)


class Machine(NamedTuple):
    """A layer on a hierarchy for compiled code: facts int64 [L, _FACTS], pj float64 [L, _PJ]."""

    facts: np.ndarray
    pj: np.ndarray


class Scratch(NamedTuple):
    """Working memory of one evaluation, one per thread: work int64 [L + 1, _WORK], table int64 [L, 256, 6]."""

    work: np.ndarray
    table: np.ndarray


def scratch(levels: int) -> Scratch:
    """Working memory for hierarchies of so many levels."""
    return Scratch(work=np.zeros((levels + 1, _WORK), np.int64), table=np.zeros((levels, 256, 6), np.int64))


def machine(layer: NestLayer, hierarchy: Hierarchy) -> Machine:
    """A layer on a hierarchy, for compiled code. Raises NbaError if the hierarchy has no MAC of the layer's bits."""
    depth = len(hierarchy.levels)
    mac = hierarchy.mac(mac_bits(layer))
    bits = (layer.weight_bits, layer.act_bits, layer.act_bits, mac.accumulator_bits)
    facts, pj = np.zeros((depth, _FACTS), np.int64), np.zeros((depth, _PJ))
    facts[1:, : O_PARENT + 1] = -1
    facts[0, [STRIDE_H, STRIDE_W, N_OUTPUTS]] = *layer.strides, layer.elements(OUTPUTS)
    constant = layer.macs * mac.pj
    for level in range(1, depth):
        spec = hierarchy.levels[level]
        facts[level, DOUBLE] = spec.double_buffered
        facts[level, SHARED] = spec.link(0) is not None and spec.link(0) is spec.link(1)
        facts[level, W_FILL] = facts[level, I_FILL] = facts[level, DRAIN] = 1
        for operand in range(3):
            memory = spec.memory(operand)
            if memory is None:
                continue
            source = hierarchy.parent(level, operand)
            above, wire = hierarchy.levels[source].memory(operand), spec.link(operand)
            assert above is not None
            assert wire is not None
            facts[level, W_PARENT + operand] = source
            if operand == OUTPUTS:
                facts[level, RESULT_BITS], facts[level, PARTIAL_BITS] = bits[2:]
                facts[level, DRAIN] = wire.drain_bits_per_cycle
                for kind, width in enumerate(bits[2:]):
                    share = above.words_per_element(width)
                    pj[level, MERGE + kind], pj[level, REREAD + kind] = above.write_pj * share, above.read_pj * share
                    pj[level, HOP + kind] = width * wire.pj_per_bit
                    if level < depth - 1:
                        pj[level, DRAINED + kind] = memory.read_pj * memory.words_per_element(width)
            else:
                width = bits[operand]
                facts[level, W_BITS + operand] = width
                facts[level, W_FILL + operand] = wire.fill_bits_per_cycle
                pj[level, W_OUTER + operand] = above.read_pj * above.words_per_element(width)
                received = memory.write_pj * memory.words_per_element(width)
                pj[level, W_INNER + operand] = received + width * wire.pj_per_bit
            if level == depth - 1:
                # A MAC reads all three operands and writes one; partial sums that it does not read are drained instead.
                width = bits[3] if operand == OUTPUTS else bits[operand]
                each = memory.read_pj + (memory.write_pj if operand == OUTPUTS else 0.0)
                constant += layer.macs * memory.words_per_element(width) * each
    pj[0, CONSTANT] = constant
    return Machine(facts=facts, pj=pj)


def encoded(mapping: Mapping) -> np.ndarray:
    """The plan [3, L, 8] of a mapping, for compiled code; the innermost level has no order."""
    orders = (*mapping.orders, tuple(range(8)))
    return np.array((mapping.arrays, mapping.tiles, orders), np.int64)


def access_counts(layer: NestLayer, hierarchy: Hierarchy, mapping: Mapping) -> AccessCounts:
    """What moves under a legal mapping, and the latency."""
    (facts, pj), (work, table) = machine(layer, hierarchy), scratch(len(hierarchy.levels))
    _, cycles = evaluate(facts, pj, encoded(mapping), work, table)
    outer, inner = work[:-1, OUTER : OUTER + 3], work[:-1, INNER : INNER + 3]
    return AccessCounts(cycles=int(cycles), outer=_operands(outer), inner=_operands(inner))


def _operands(columns: np.ndarray) -> tuple[Operands, ...]:
    return tuple((int(w), int(i), int(o)) for w, i, o in columns)


@compiled
def _trees(plan: np.ndarray, facts: np.ndarray, work: np.ndarray) -> None:
    """Count the blocks and tiles of every loop at every level: N_ARRAYS, N_TILES, N_FIRST, REACH_..."""
    depth = plan.shape[1]
    for d in range(8):
        work[depth, _SIZES] = plan[TILES, 0, d]
        work[depth, _COUNTS] = 1
        work[0, N_TILES + d] = 1
        used, nodes = 1, 1
        for level in range(1, depth):
            array, tile = plan[ARRAYS, level, d], plan[TILES, level, d]
            if used == 1 and work[depth, _SIZES] == array == tile:
                work[level, N_FIRST + d] = work[level, N_ARRAYS + d] = work[level, N_TILES + d] = nodes
            else:
                first = 0
                for k in range(used):
                    first += work[depth, _COUNTS + k] * ((min(array, work[depth, _SIZES + k]) + tile - 1) // tile)
                work[level, N_FIRST + d] = first
                used, nodes = _split(work, depth, used, array)
                work[level, N_ARRAYS + d] = nodes
                if d >= R:
                    work[level, REACH_ARRAYS + d - R] = _reach(work, depth, used, facts[0, STRIDE_H + d - R])
                if tile != array:
                    used, nodes = _split(work, depth, used, tile)
                work[level, N_TILES + d] = nodes
            if d >= R:
                reach = _reach(work, depth, used, facts[0, STRIDE_H + d - R])
                work[level, REACH_TILES + d - R] = reach
                if array == tile:
                    work[level, REACH_ARRAYS + d - R] = reach


@compiled
def _split(work: np.ndarray, depth: int, used: int, size: int) -> tuple[int, int]:
    """Cut the listed blocks into blocks of `size`; (length of the list, number of blocks)."""
    full = rest = nodes = 0
    for k in range(used):
        length, times = work[depth, _SIZES + k], work[depth, _COUNTS + k]
        whole = length // size
        left = length - whole * size
        full += times * whole
        if left > 0:
            work[depth, _SIZES + rest] = left
            work[depth, _COUNTS + rest] = times
            nodes += times
            rest += 1
    if full > 0:
        work[depth, _SIZES + rest] = size
        work[depth, _COUNTS + rest] = full
        nodes += full
        rest += 1
    return rest, nodes


@compiled
def _reach(work: np.ndarray, depth: int, used: int, stride: int) -> int:
    total = 0
    for k in range(used):
        total += work[depth, _COUNTS + k] * min(stride, work[depth, _SIZES + k])
    return total


# One compiled loop: the operands share the positions that one pass over the loops of a level finds.
@compiled
def moves(facts: np.ndarray, plan: np.ndarray, work: np.ndarray) -> None:
    """Elements that move into every level (INNER) and at its parent (OUTER), positions and what follows from them."""
    depth = plan.shape[1]
    _trees(plan, facts, work)
    n, g, m, c = plan[TILES, 0, 0], plan[TILES, 0, 1], plan[TILES, 0, 2], plan[TILES, 0, 3]
    p, q, r, s = plan[TILES, 0, 4], plan[TILES, 0, 5], plan[TILES, 0, 6], plan[TILES, 0, 7]
    weights, images, outputs = g * m * c * r * s, n * g * c, facts[0, N_OUTPUTS]
    for level in range(1, depth):
        # Positions, as places in the order (-1: loaded once), and the loops outside them, as bits.
        at_w = at_i = at_o = -1
        outside = outside_w = outside_i = outside_o = 0
        for i in range(8):
            d = plan[ORDERS, level - 1, i]
            outside |= 1 << d
            if plan[TILES, level - 1, d] > plan[ARRAYS, level, d]:
                if (_WALKS_W >> d) & 1:
                    at_w, outside_w = i, outside
                if (_WALKS_I >> d) & 1:
                    at_i, outside_i = i, outside
                if (_WALKS_O >> d) & 1:
                    at_o, outside_o = i, outside
        out_w, in_w, out_i, in_i, out_o, in_o = weights, weights, images, images, outputs, outputs
        for d in (0, P, Q):
            again = (outside_w >> d) & 1
            out_w *= work[level, N_ARRAYS + d] if again else work[level - 1, N_TILES + d]
            in_w *= work[level, N_TILES + d] if again else work[level, N_FIRST + d]
        again = (outside_i >> 2) & 1
        out_i *= work[level, N_ARRAYS + 2] if again else work[level - 1, N_TILES + 2]
        in_i *= work[level, N_TILES + 2] if again else work[level, N_FIRST + 2]
        for d in (3, R, R + 1):
            again = (outside_o >> d) & 1
            out_o *= work[level, N_ARRAYS + d] if again else work[level - 1, N_TILES + d]
            in_o *= work[level, N_TILES + d] if again else work[level, N_FIRST + d]
        slides = plan[ORDERS, level - 1, at_i] if at_i >= 0 else -1
        if slides not in (P, Q) or not (
            plan[ARRAYS, level, slides] == plan[TILES, level, slides]
            and plan[ARRAYS, level, slides + 2] == plan[TILES, level, slides + 2]
        ):
            slides = -1
        blocks, parts = work[level, N_ARRAYS + P], work[level, N_TILES + P]
        if slides == P:
            blocks = parts = work[level - 1, N_TILES + P]
        out_i *= (p - blocks) * work[level, REACH_ARRAYS] + blocks * r
        in_i *= (p - parts) * work[level, REACH_TILES] + parts * r
        blocks, parts = work[level, N_ARRAYS + Q], work[level, N_TILES + Q]
        if slides == Q:
            blocks = parts = work[level - 1, N_TILES + Q]
        out_i *= (q - blocks) * work[level, REACH_ARRAYS + 1] + blocks * s
        in_i *= (q - parts) * work[level, REACH_TILES + 1] + parts * s
        has_w, has_i = facts[level, W_PARENT] >= 0, facts[level, I_PARENT] >= 0
        has_o = facts[level, O_PARENT] >= 0
        work[level, OUTER], work[level, INNER] = (out_w, in_w) if has_w else (0, 0)
        work[level, OUTER + 1], work[level, INNER + 1] = (out_i, in_i) if has_i else (0, 0)
        work[level, OUTER + 2], work[level, INNER + 2] = (out_o, in_o) if has_o else (0, 0)
        work[level, AT_W], work[level, AT_I], work[level, AT_O] = at_w, at_i, at_o
        work[level, SLIDES] = slides
        work[level, RESULTS] = out_o == outputs
        work[level, HOLDS_RESULTS] = 0
        if has_o:
            work[facts[level, O_PARENT], HOLDS_RESULTS] = out_o == outputs


@compiled
def energy(facts: np.ndarray, pj: np.ndarray, work: np.ndarray) -> float:
    """pJ of what `moves` counted."""
    total = pj[0, CONSTANT]
    for level in range(1, facts.shape[0]):
        total += work[level, OUTER] * pj[level, W_OUTER] + work[level, INNER] * pj[level, W_INNER]
        total += work[level, OUTER + 1] * pj[level, I_OUTER] + work[level, INNER + 1] * pj[level, I_INNER]
        parent = facts[level, O_PARENT]
        if parent >= 0:
            merged, drained = work[level, OUTER + 2], work[level, INNER + 2]
            kind, own = 1 - work[level, RESULTS], 1 - work[level, HOLDS_RESULTS]
            started = facts[0, N_OUTPUTS] if parent == 0 else work[parent, INNER + 2]
            total += merged * pj[level, MERGE + kind] + (merged - started) * pj[level, REREAD + kind]
            # What the wires carry: partial sums if several are added on the way to one output.
            wire = 0 if drained == facts[0, N_OUTPUTS] else 1
            total += drained * (pj[level, HOP + wire] + pj[level, DRAINED + own])
    return float(total)


@compiled
def _begin(facts: np.ndarray, plan: np.ndarray, work: np.ndarray, level: int) -> None:
    """Prepare one execution of `level` on the tile in its EXTENTS: its loops, and what all classes of steps share."""
    child = level + 1
    n_uneven, uneven, several = 0, 0, 0
    product = 1
    weight, image = facts[child, W_BITS], facts[child, I_BITS]
    out = facts[child, RESULT_BITS] if work[child, RESULTS] else facts[child, PARTIAL_BITS]
    for d in range(8):
        block, extent = plan[ARRAYS, child, d], work[level, EXTENTS + d]
        n, last = 1, extent
        if extent > block:
            n = (extent + block - 1) // block
            last = extent - (n - 1) * block
            several |= 1 << d
            if last != block:
                uneven |= 1 << d
                work[level, UNEVEN_LOOPS + n_uneven] = d
                n_uneven += 1
        work[level, BLOCKS + d] = n
        work[level, LAST + d] = last
        # Uneven loops count as one element here.
        block = last if last == block or n == 1 else 1
        tile = min(plan[TILES, child, d], block)
        work[level, BLOCK + d] = block
        work[child, EXTENTS + d] = tile
        product *= tile
        if (_WALKS_W >> d) & 1:
            weight *= block
        if (_WALKS_O >> d) & 1:
            out *= block
        if (_WALKS_I >> d) & 1 and d < P:
            image *= block
    loops = 0
    for i in range(8):
        work[level, ACTIVE + loops] = i
        loops += (several >> plan[ORDERS, level, i]) & 1
    work[level, LOOPS], work[level, UNEVEN], work[level, CLASS] = loops, uneven, uneven
    work[level, N_UNEVEN] = n_uneven
    work[level, EVEN_TILE], work[level, EVEN_WEIGHT] = product, weight
    work[level, EVEN_IMAGE], work[level, EVEN_OUT] = image, out


@compiled
def _classify(facts: np.ndarray, plan: np.ndarray, work: np.ndarray, table: np.ndarray, level: int, row: int) -> None:
    """Fill a row of table[level], the class of steps that it is named after (bit of a loop: it is at its smaller last
    block). Its CYCLES are right if the innermost level is next; otherwise they are those of an execution of the tile
    that is left in EXTENTS."""
    child = level + 1
    product, weight = work[level, EVEN_TILE], work[level, EVEN_WEIGHT]
    image, out = work[level, EVEN_IMAGE], work[level, EVEN_OUT]
    for k in range(work[level, N_UNEVEN]):
        d = work[level, UNEVEN_LOOPS + k]
        block = work[level, LAST + d] if (row >> d) & 1 else plan[ARRAYS, child, d]
        tile = min(plan[TILES, child, d], block)
        work[level, BLOCK + d] = block
        work[child, EXTENTS + d] = tile
        product *= tile
        if (_WALKS_W >> d) & 1:
            weight *= block
        if (_WALKS_O >> d) & 1:
            out *= block
        if (_WALKS_I >> d) & 1 and d < P:
            image *= block
    p, q = work[level, BLOCK + P], work[level, BLOCK + Q]
    r, s = work[level, BLOCK + R], work[level, BLOCK + S]
    step_r, step_s = min(facts[0, STRIDE_H], r), min(facts[0, STRIDE_W], s)
    rows, columns = (p - 1) * step_r + r, (q - 1) * step_s + s
    table[level, row, CYCLES] = product
    table[level, row, WEIGHT], table[level, row, IMAGE] = weight, image * rows * columns
    slides = work[child, SLIDES]
    if slides == P:
        rows = p * step_r
    elif slides == Q:
        columns = q * step_s
    table[level, row, SLID] = image * rows * columns
    speed = facts[child, DRAIN]
    table[level, row, DRAINED_IN] = (out + speed - 1) // speed
    if work[level, LOOPS] > 0:
        inner = work[level, ACTIVE + work[level, LOOPS] - 1]
        table[level, row, LOADED_IN] = _load(facts, work, table, level, row, inner)


@inlined
def _load(facts: np.ndarray, work: np.ndarray, table: np.ndarray, level: int, row: int, event: int) -> int:
    """Cycles of the loads for a step of class `row`, before which the loop at place `event` of the order advanced (-1:
    the first step of an execution)."""
    child = level + 1
    at = work[child, AT_I]
    weight = table[level, row, WEIGHT] if event <= work[child, AT_W] else 0
    image = table[level, row, SLID] if event == at and event >= 0 else table[level, row, IMAGE] if event <= at else 0
    speed = facts[child, W_FILL]
    if facts[child, SHARED]:
        return (weight + image + speed - 1) // speed
    cycles = (weight + speed - 1) // speed
    speed = facts[child, I_FILL]
    return max(cycles, (image + speed - 1) // speed)


@inlined
def _drain(work: np.ndarray, table: np.ndarray, level: int, row: int, event: int) -> int:
    """Cycles of the drain after a step of class `row`, after which the loop at place `event` advanced (-1: the
    execution ended)."""
    return table[level, row, DRAINED_IN] if event <= work[level + 1, AT_O] else 0


@inlined
def _slot(double: int, compute: int, load: int, drain: int) -> int:
    return max(compute, load, drain) if double else compute + load + drain


@inlined
def _times(plan: np.ndarray, work: np.ndarray, level: int, loops: int, of_class: int) -> int:
    """Combinations of blocks of the first `loops` active loops that are of a class."""
    times, uneven = 1, work[level, UNEVEN]
    for a in range(loops):
        d = plan[ORDERS, level, work[level, ACTIVE + a]]
        if not (uneven >> d) & 1:
            times *= work[level, BLOCKS + d]
        elif not (of_class >> d) & 1:
            times *= work[level, BLOCKS + d] - 1
    return times


# One compiled loop: all classes of steps share the table of the level.
@compiled
def _end(facts: np.ndarray, plan: np.ndarray, work: np.ndarray, table: np.ndarray, level: int) -> int:
    """Cycles of one execution of `level`, all classes of whose steps are in the table.

    The innermost active loop runs once for every combination of the others. Its first step follows, and its last one
    precedes, an advance of a loop outside it; the steps between know only its own advances.
    """
    loops, uneven, double = work[level, LOOPS], work[level, UNEVEN], facts[level + 1, DOUBLE]
    total = _load(facts, work, table, level, 0, -1) + _drain(work, table, level, uneven, -1)
    if loops == 0:
        return total + table[level, 0, CYCLES]
    inner = work[level, ACTIVE + loops - 1]
    d_in = plan[ORDERS, level, inner]
    n_in = work[level, BLOCKS + d_in]
    bit_in = uneven & (1 << d_in)
    second = bit_in if n_in == 2 else 0
    outside = uneven & ~bit_in
    # The first step of all, and the last.
    total += _slot(double, table[level, 0, CYCLES], table[level, second, LOADED_IN], 0)
    drain = _drain(work, table, level, outside, inner)
    total += _slot(double, table[level, uneven, CYCLES], 0, drain)
    if n_in > 2:
        row = outside
        while True:
            drain = _drain(work, table, level, row, inner)
            compute = table[level, row, CYCLES]
            every = _slot(double, compute, table[level, row, LOADED_IN], drain)
            before_last = every
            if bit_in:
                before_last = _slot(double, compute, table[level, row | bit_in, LOADED_IN], drain)
            total += _times(plan, work, level, loops - 1, row) * ((n_in - 3) * every + before_last)
            if row == 0:
                break
            row = (row - 1) & outside
    # Loop `a` advances: the last step before, the first one after.
    before = 0
    for a in range(loops - 1):
        event = work[level, ACTIVE + a]
        d = plan[ORDERS, level, event]
        bit, blocks = uneven & (1 << d), work[level, BLOCKS + d]
        ends = outside & ~before & ~bit
        row = before
        while True:
            times = _times(plan, work, level, a, row)
            old = row | ends | bit_in
            compute = table[level, old, CYCLES]
            drain_before = _drain(work, table, level, row | ends, inner)
            drain_old = _drain(work, table, level, old, event)
            for at_last in range(2 if bit else 1):
                new = row | (bit if at_last else 0)
                pair = _slot(double, compute, _load(facts, work, table, level, new, event), drain_before)
                load = table[level, new | second, LOADED_IN]
                pair += _slot(double, table[level, new, CYCLES], load, drain_old)
                total += times * ((1 if at_last else blocks - 2) if bit else blocks - 1) * pair
            if row == 0:
                break
            row = (row - 1) & before
        before |= bit
    return total


@compiled
def latency(facts: np.ndarray, plan: np.ndarray, work: np.ndarray, table: np.ndarray) -> int:
    """Cycles of the layer; after `moves`.

    Executions are nested: level by level the classes of steps are gone through, and the execution that a class stands
    for is finished before the next.
    """
    depth = plan.shape[1]
    for d in range(8):
        work[0, EXTENTS + d] = plan[TILES, 0, d]
    level = 0
    _begin(facts, plan, work, 0)
    while True:
        _classify(facts, plan, work, table, level, work[level, CLASS])
        if level + 1 < depth - 1:
            level += 1
            _begin(facts, plan, work, level)
            continue
        while work[level, CLASS] == 0:
            cycles = _end(facts, plan, work, table, level)
            if level == 0:
                return cycles
            level -= 1
            table[level, work[level, CLASS], CYCLES] = cycles
        work[level, CLASS] = (work[level, CLASS] - 1) & work[level, UNEVEN]


@compiled
def evaluate(
    facts: np.ndarray, pj: np.ndarray, plan: np.ndarray, work: np.ndarray, table: np.ndarray
) -> tuple[float, int]:
    """(energy [pJ], latency [cycles]) of one legal mapping, plan [3, L, 8]."""
    moves(facts, plan, work)
    return energy(facts, pj, work), latency(facts, plan, work, table)


@compiled
def evaluate_all(
    facts: np.ndarray, pj: np.ndarray, plans: np.ndarray, work: np.ndarray, table: np.ndarray,
    energies: np.ndarray, cycles: np.ndarray,
) -> None:  # fmt: skip
    """`evaluate` of B mappings, plans [B, 3, L, 8], into energies [B] and cycles [B]."""
    for b in range(len(plans)):
        energies[b], cycles[b] = evaluate(facts, pj, plans[b], work, table)
