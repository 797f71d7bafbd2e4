# SPDX-License-Identifier: Apache-2.0
"""The model of a mapping in closed form, compiled (docs/mapping-model.md; nba/nest/reference.py executes the same).

The blocks of the loops form one tree per loop, and the steps of a mapping are all combinations of them, so that what
moves is a product of one number per loop. Time needs the larger of computing and moving in every step: steps are
counted by class (which loops are at a smaller last block) and by the loops that advance before and after them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nba.cost.pipeline import compiled
from nba.nest.cost import Counts, Operands
from nba.nest.hierarchy import Hierarchy
from nba.nest.layer import OUTPUTS, WALKS, C, NestLayer, P, Q, R, S
from nba.nest.mapping import Mapping, mac_bits

_WALKS = np.array(WALKS)


class Machine(NamedTuple):
    """A layer and a hierarchy as arrays for compiled code; L levels.

    extents [8]: of the layer. outputs: its elements of outputs. parent [L, 3]: level that an operand comes from, -1
    where a level does not hold it. link [L, 3]: wires of an operand, or -1. fill, drain [L, wires]: bits per cycle.
    double [L]: loads overlap computing. bits [4]: of a weight, an input, a result, a partial sum. Energy of an element
    [pJ]: outer, inner [L, 2] of weights and inputs, read at the parent, and received; by what moves, results (0) or
    partial sums (1): merge, reread, hop [L, 2] of outputs that go to the parent; drain [L, 2] of outputs read in the
    level, by what it holds. constant_pj: what every mapping pays.
    """

    extents: np.ndarray
    stride: int
    outputs: int
    parent: np.ndarray
    link: np.ndarray
    fill: np.ndarray
    drain: np.ndarray
    double: np.ndarray
    bits: np.ndarray
    outer_pj: np.ndarray
    inner_pj: np.ndarray
    merge_pj: np.ndarray
    reread_pj: np.ndarray
    drain_pj: np.ndarray
    hop_pj: np.ndarray
    constant_pj: float


def machine(layer: NestLayer, hierarchy: Hierarchy) -> Machine:
    """A layer on a hierarchy, for compiled code. Raises NbaError if the hierarchy has no MAC of the layer's bits."""
    depth = len(hierarchy.levels)
    mac = hierarchy.mac(mac_bits(layer))
    bits = (layer.weight_bits, layer.act_bits, layer.act_bits, mac.accumulator_bits)
    n_wires = max(len(level.links) for level in hierarchy.levels)
    parent, link = np.full((depth, 3), -1), np.full((depth, 3), -1)
    fill, drain = np.ones((depth, n_wires), np.int64), np.ones((depth, n_wires), np.int64)
    outer, inner = np.zeros((depth, 2)), np.zeros((depth, 2))
    merge, reread, own, hop = (np.zeros((depth, 2)) for _ in range(4))
    constant = layer.macs * mac.pj
    for level in range(1, depth):
        spec = hierarchy.levels[level]
        for wires, link_spec in enumerate(spec.links):
            fill[level, wires], drain[level, wires] = link_spec.fill_bits_per_cycle, link_spec.drain_bits_per_cycle
            for operand in link_spec.operands:
                link[level, operand] = wires
        for operand in range(3):
            memory = spec.memory(operand)
            if memory is None:
                continue
            source = hierarchy.parent(level, operand)
            above, wire = hierarchy.levels[source].memory(operand), spec.link(operand)
            assert above is not None
            assert wire is not None
            parent[level, operand] = source
            if operand == OUTPUTS:
                for kind, width in enumerate((bits[2], bits[3])):
                    share = above.words_per_element(width)
                    merge[level, kind], reread[level, kind] = above.write_pj * share, above.read_pj * share
                    hop[level, kind] = width * wire.pj_per_bit
                    if level < depth - 1:
                        own[level, kind] = memory.read_pj * memory.words_per_element(width)
            else:
                width = bits[operand]
                outer[level, operand] = above.read_pj * above.words_per_element(width)
                inner[level, operand] = memory.write_pj * memory.words_per_element(width) + width * wire.pj_per_bit
            if level == depth - 1:
                # A MAC reads all three operands and writes one; partial sums that it does not read are drained instead.
                width = bits[3] if operand == OUTPUTS else bits[operand]
                pj = memory.read_pj + (memory.write_pj if operand == OUTPUTS else 0.0)
                constant += layer.macs * memory.words_per_element(width) * pj
    return Machine(
        extents=np.array(layer.extents, np.int64),
        stride=layer.stride,
        outputs=layer.elements(OUTPUTS),
        parent=parent,
        link=link,
        fill=fill,
        drain=drain,
        double=np.array([level.double_buffered for level in hierarchy.levels]),
        bits=np.array(bits, np.int64),
        outer_pj=outer,
        inner_pj=inner,
        merge_pj=merge,
        reread_pj=reread,
        drain_pj=own,
        hop_pj=hop,
        constant_pj=constant,
    )


class Scratch(NamedTuple):
    """Working memory of one evaluation.

    outer, inner [L, 3]: what moves. n, last [L, 8]: blocks of the loops of one execution of a level, and the extent of
    the last one; extents [L, 8]: its tile; active [L, 8], loops [L]: indices into the order of the loops with several
    blocks, and how many; uneven [L]: bits of those whose last block is smaller. table [L, 256, 5]: by class of steps
    (bits of the uneven loops that are at their last block) cycles, bits of weights, inputs, inputs that sliding loads,
    outputs. The others are those of `trees` and `moves`.
    """

    outer: np.ndarray
    inner: np.ndarray
    n: np.ndarray
    last: np.ndarray
    extents: np.ndarray
    active: np.ndarray
    loops: np.ndarray
    uneven: np.ndarray
    table: np.ndarray
    masks: np.ndarray
    sizes: np.ndarray
    times: np.ndarray
    n_arrays: np.ndarray
    n_tiles: np.ndarray
    n_first: np.ndarray
    reach: np.ndarray
    results: np.ndarray
    holds_results: np.ndarray
    positions: np.ndarray
    slides: np.ndarray


def scratch(levels: int) -> Scratch:
    """Working memory for hierarchies of so many levels; one per thread."""
    ints = np.int64
    nodes = 2 * levels + 1
    return Scratch(
        outer=np.zeros((levels, 3), ints),
        inner=np.zeros((levels, 3), ints),
        n=np.zeros((levels, 8), ints),
        last=np.zeros((levels, 8), ints),
        extents=np.zeros((levels, 8), ints),
        active=np.zeros((levels, 8), ints),
        loops=np.zeros(levels, ints),
        uneven=np.zeros(levels, ints),
        table=np.zeros((levels, 256, 5), ints),
        masks=np.zeros(levels, ints),
        sizes=np.zeros(nodes, ints),
        times=np.zeros(nodes, ints),
        n_arrays=np.zeros((levels, 8), ints),
        n_tiles=np.zeros((levels, 8), ints),
        n_first=np.zeros((levels, 8), ints),
        reach=np.zeros((levels, 2, 2), ints),
        results=np.zeros(levels, np.bool_),
        holds_results=np.zeros(levels, np.bool_),
        positions=np.zeros((levels, 3), ints),
        slides=np.zeros(levels, ints),
    )


def encoded(mapping: Mapping) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """arrays, tiles [L, 8] and orders [L - 1, 8] of a mapping, for compiled code."""
    return (
        np.array(mapping.arrays, np.int64), np.array(mapping.tiles, np.int64), np.array(mapping.orders, np.int64)
    )  # fmt: skip


def counts(layer: NestLayer, hierarchy: Hierarchy, mapping: Mapping) -> Counts:
    """What moves under a legal mapping, and the latency."""
    facts, work = machine(layer, hierarchy), scratch(len(hierarchy.levels))
    arrays, tiles, orders = encoded(mapping)
    moves(facts, arrays, tiles, orders, work)
    cycles = int(latency(facts, arrays, tiles, orders, work))
    return Counts(cycles=cycles, outer=_operands(work.outer), inner=_operands(work.inner))


def _operands(table: np.ndarray) -> tuple[Operands, ...]:
    return tuple((int(w), int(i), int(o)) for w, i, o in table)


@compiled
def trees(arrays: np.ndarray, tiles: np.ndarray, stride: int, work: Scratch) -> None:
    """Blocks and tiles of every loop at every level, counted: work.n_arrays, n_tiles, n_first [L, 8], reach [L, 2, 2].

    n_first: instances that the first block of each execution takes, summed over the executions. reach: sum over the
    blocks (0) and tiles (1) of kernel rows (0) and columns (1) of min(stride, extent).
    """
    depth = arrays.shape[0]
    sizes, times = work.sizes, work.times
    for d in range(8):
        sizes[0], times[0] = tiles[0, d], 1
        used, nodes = 1, 1
        work.n_tiles[0, d] = 1
        for level in range(1, depth):
            array, tile = arrays[level, d], tiles[level, d]
            first = 0
            for k in range(used):
                first += times[k] * ((min(array, sizes[k]) + tile - 1) // tile)
            work.n_first[level, d] = first
            for part in range(2):
                size = array if part == 0 else tile
                if used > 1 or sizes[0] != size:
                    full = rest = nodes = 0
                    for k in range(used):
                        whole = sizes[k] // size
                        left = sizes[k] - whole * size
                        full += times[k] * whole
                        if left > 0:
                            sizes[rest], times[rest] = left, times[k]
                            nodes += times[k]
                            rest += 1
                    if full > 0:
                        sizes[rest], times[rest] = size, full
                        nodes += full
                        rest += 1
                    used = rest
                if part == 0:
                    work.n_arrays[level, d] = nodes
                else:
                    work.n_tiles[level, d] = nodes
                if d >= R:
                    reach = 0
                    for k in range(used):
                        reach += times[k] * min(stride, sizes[k])
                    work.reach[level, part, d - R] = reach


@compiled
def moves(facts: Machine, arrays: np.ndarray, tiles: np.ndarray, orders: np.ndarray, work: Scratch) -> None:
    """Elements that move into every level and at its parent: work.outer, work.inner [L, 3]; positions, results."""
    depth = arrays.shape[0]
    stride, extents = facts.stride, facts.extents
    trees(arrays, tiles, stride, work)
    n_arrays, n_tiles, n_first = work.n_arrays, work.n_tiles, work.n_first
    weights = extents[1] * extents[2] * extents[C] * extents[R] * extents[S]
    images = extents[0] * extents[1] * extents[C]
    outputs = extents[0] * extents[1] * extents[2] * extents[P] * extents[Q]
    for level in range(1, depth):
        # Positions, as indices into the order; -1: loaded once.
        at_w = at_i = at_o = -1
        for i in range(8):
            d = orders[level - 1, i]
            if tiles[level - 1, d] > arrays[level, d]:
                if _WALKS[0, d]:
                    at_w = i
                if _WALKS[1, d]:
                    at_i = i
                if _WALKS[2, d]:
                    at_o = i
        work.positions[level, 0], work.positions[level, 1], work.positions[level, 2] = at_w, at_i, at_o
        out_w, in_w, out_i, in_i, out_o, in_o = weights, weights, images, images, outputs, outputs
        for i in range(8):
            d = orders[level - 1, i]
            if not _WALKS[0, d]:
                out_w *= n_arrays[level, d] if i <= at_w else n_tiles[level - 1, d]
                in_w *= n_tiles[level, d] if i <= at_w else n_first[level, d]
            if not _WALKS[1, d]:
                out_i *= n_arrays[level, d] if i <= at_i else n_tiles[level - 1, d]
                in_i *= n_tiles[level, d] if i <= at_i else n_first[level, d]
            if not _WALKS[2, d]:
                out_o *= n_arrays[level, d] if i <= at_o else n_tiles[level - 1, d]
                in_o *= n_tiles[level, d] if i <= at_o else n_first[level, d]
        slides = -1
        if at_i >= 0:
            d = orders[level - 1, at_i]
            if d in (P, Q) and arrays[level, d] == tiles[level, d] and arrays[level, d + 2] == tiles[level, d + 2]:
                slides = d
        work.slides[level] = slides
        for k in range(2):
            walked, taps = P + k, R + k
            blocks, parts = n_arrays[level, walked], n_tiles[level, walked]
            if slides == walked:
                blocks = parts = n_tiles[level - 1, walked]
            out_i *= (extents[walked] - blocks) * work.reach[level, 0, k] + blocks * extents[taps]
            in_i *= (extents[walked] - parts) * work.reach[level, 1, k] + parts * extents[taps]
        work.outer[level, 0], work.inner[level, 0] = out_w, in_w
        work.outer[level, 1], work.inner[level, 1] = out_i, in_i
        work.outer[level, 2], work.inner[level, 2] = out_o, in_o
        work.results[level] = out_o == outputs
        work.holds_results[level] = False
        for operand in range(3):
            if facts.parent[level, operand] < 0:
                work.outer[level, operand] = 0
                work.inner[level, operand] = 0
                work.positions[level, operand] = -1
        if facts.parent[level, 2] > 0:
            work.holds_results[facts.parent[level, 2]] = work.results[level]


@compiled
def _begin(arrays: np.ndarray, orders: np.ndarray, work: Scratch, level: int) -> None:
    """Prepare one execution of `level` on the tile work.extents[level]."""
    extents, n, last = work.extents[level], work.n[level], work.last[level]
    loops, uneven = 0, 0
    for i in range(8):
        d = orders[level, i]
        block = arrays[level + 1, d]
        if extents[d] > block:
            n[d] = (extents[d] + block - 1) // block
            last[d] = extents[d] - (n[d] - 1) * block
            work.active[level, loops] = i
            loops += 1
            if last[d] != block:
                uneven |= 1 << d
        else:
            n[d] = 1
            last[d] = extents[d]
    work.loops[level], work.uneven[level] = loops, uneven


@compiled
def _classify(
    facts: Machine, arrays: np.ndarray, tiles: np.ndarray, orders: np.ndarray, work: Scratch, level: int, mask: int
) -> None:
    """Fill work.table[level, mask], but for the cycles where these are the execution of a level: its tile goes to
    work.extents."""
    child = level + 1
    n, last = work.n[level], work.last[level]
    weight, image = facts.bits[0], facts.bits[1]
    out = facts.bits[2] if work.results[child] else facts.bits[3]
    product = 1
    block_p = block_q = block_r = block_s = 1
    for d in range(8):
        block = last[d] if (n[d] == 1 or (mask >> d) & 1) else arrays[child, d]
        tile = min(tiles[child, d], block)
        work.extents[child, d] = tile
        product *= tile
        if _WALKS[0, d]:
            weight *= block
        if d < P:
            if _WALKS[1, d]:
                image *= block
            if _WALKS[2, d]:
                out *= block
        elif d == P:
            block_p = block
        elif d == Q:
            block_q = block
        elif d == R:
            block_r = block
        else:
            block_s = block
    step_r, step_s = min(facts.stride, block_r), min(facts.stride, block_s)
    rows, columns = (block_p - 1) * step_r + block_r, (block_q - 1) * step_s + block_s
    slid = rows * columns
    if work.slides[child] == P:
        slid = block_p * step_r * columns
    elif work.slides[child] == Q:
        slid = rows * block_q * step_s
    table = work.table[level, mask]
    table[0], table[1], table[2], table[3] = product, weight, image * rows * columns, image * slid
    table[4] = out * block_p * block_q


@compiled
def _load(facts: Machine, work: Scratch, level: int, mask: int, event: int) -> int:
    """Cycles of the loads for a step of class `mask`, before which the loop at index `event` of the order advanced (-1:
    the first step of an execution)."""
    child = level + 1
    table = work.table[level, mask]
    most = 0
    for wires in range(facts.fill.shape[1]):
        bits = 0
        if facts.link[child, 0] == wires and event <= work.positions[child, 0]:
            bits += table[1]
        if facts.link[child, 1] == wires and event <= work.positions[child, 1]:
            bits += table[3] if 0 <= event == work.positions[child, 1] else table[2]
        if bits > 0:
            speed = facts.fill[child, wires]
            most = max(most, (bits + speed - 1) // speed)
    return most


@compiled
def _drained(facts: Machine, work: Scratch, level: int, mask: int, event: int) -> int:
    """Cycles of the drain after a step of class `mask`, after which the loop at index `event` advanced (-1: the
    execution ended)."""
    child = level + 1
    wires = facts.link[child, 2]
    if wires < 0 or event > work.positions[child, 2]:
        return 0
    speed = facts.drain[child, wires]
    return (work.table[level, mask, 4] + speed - 1) // speed


@compiled
def _slot(double: bool, compute: int, load: int, drain: int) -> int:
    return max(compute, load, drain) if double else compute + load + drain


@compiled
def _times(orders: np.ndarray, work: Scratch, level: int, loops: int, mask: int) -> int:
    """Combinations of blocks of the first `loops` active loops that are of class `mask`."""
    times = 1
    for a in range(loops):
        d = orders[level, work.active[level, a]]
        if not (work.uneven[level] >> d) & 1:
            times *= work.n[level, d]
        elif not (mask >> d) & 1:
            times *= work.n[level, d] - 1
    return times


@compiled
def _end(facts: Machine, orders: np.ndarray, work: Scratch, level: int) -> int:
    """Cycles of one execution of `level`, all classes of whose steps are in work.table.

    The innermost active loop runs once for every combination of the others. Its first step follows, and its last one
    precedes, an advance of a loop outside it; the steps between know only its own advances.
    """
    loops, uneven, n, table = work.loops[level], work.uneven[level], work.n[level], work.table[level]
    double = facts.double[level + 1]
    if loops == 0:
        only = _load(facts, work, level, 0, -1) + table[0, 0]
        return only + _drained(facts, work, level, 0, -1)
    inner = work.active[level, loops - 1]
    n_in = n[orders[level, inner]]
    bit_in = uneven & (1 << orders[level, inner])
    second_in = bit_in if n_in == 2 else 0
    # The first step of all, and the last.
    total = _load(facts, work, level, 0, -1) + _drained(facts, work, level, uneven, -1)
    total += _slot(double, table[0, 0], _load(facts, work, level, second_in, inner), 0)
    total += _slot(double, table[uneven, 0], 0, _drained(facts, work, level, uneven & ~bit_in, inner))
    outside = uneven & ~bit_in
    if n_in > 2:
        mask = outside
        while True:
            drain = _drained(facts, work, level, mask, inner)
            compute = table[mask, 0]
            total += _times(orders, work, level, loops - 1, mask) * (
                (n_in - 3) * _slot(double, compute, _load(facts, work, level, mask, inner), drain)
                + _slot(double, compute, _load(facts, work, level, mask | bit_in, inner), drain)
            )
            if mask == 0:
                break
            mask = (mask - 1) & outside
    # Loop `a` advances: the last step before, the first one after.
    before = 0
    for a in range(loops - 1):
        event = work.active[level, a]
        d = orders[level, event]
        bit = uneven & (1 << d)
        ends = outside & ~before & ~bit
        mask = before
        while True:
            times = _times(orders, work, level, a, mask)
            old = mask | ends | bit_in
            compute_old = table[old, 0]
            drain_before = _drained(facts, work, level, mask | ends, inner)
            drain_old = _drained(facts, work, level, old, event)
            for at_last in range(2 if bit else 1):
                count = times * ((1 if at_last else n[d] - 2) if bit else n[d] - 1)
                new = mask | (bit if at_last else 0)
                load_new = _load(facts, work, level, new, event)
                load_next = _load(facts, work, level, new | second_in, inner)
                total += count * (
                    _slot(double, compute_old, load_new, drain_before)
                    + _slot(double, table[new, 0], load_next, drain_old)
                )
            if mask == 0:
                break
            mask = (mask - 1) & before
        before |= bit
    return total


@compiled
def latency(facts: Machine, arrays: np.ndarray, tiles: np.ndarray, orders: np.ndarray, work: Scratch) -> int:
    """Cycles of the layer; after `moves`.

    The executions of the levels are nested: level by level, the classes of steps are gone through, and each one's own
    execution is finished before the next.
    """
    depth = arrays.shape[0]
    masks = work.masks
    for d in range(8):
        work.extents[0, d] = tiles[0, d]
    level = 0
    _begin(arrays, orders, work, 0)
    masks[0] = work.uneven[0]
    while True:
        _classify(facts, arrays, tiles, orders, work, level, masks[level])
        if level + 1 < depth - 1:
            level += 1
            _begin(arrays, orders, work, level)
            masks[level] = work.uneven[level]
            continue
        while masks[level] == 0:
            cycles = _end(facts, orders, work, level)
            if level == 0:
                return cycles
            level -= 1
            work.table[level, masks[level], 0] = cycles
        masks[level] = (masks[level] - 1) & work.uneven[level]


@compiled
def energy(facts: Machine, work: Scratch) -> float:
    """pJ of what `moves` counted."""
    depth = facts.parent.shape[0]
    total = facts.constant_pj
    for level in range(1, depth):
        for operand in range(2):
            if facts.parent[level, operand] >= 0:
                total += work.outer[level, operand] * facts.outer_pj[level, operand]
                total += work.inner[level, operand] * facts.inner_pj[level, operand]
        parent = facts.parent[level, 2]
        if parent < 0:
            continue
        merged, drained = work.outer[level, 2], work.inner[level, 2]
        # What the parent holds: results if each comes once. What this level holds: by what came into it.
        kind = 0 if work.results[level] else 1
        own = 0 if work.holds_results[level] else 1
        started = facts.outputs if parent == 0 else work.inner[parent, 2]
        # What the wires carry: partial sums if several are added on the way to one output.
        wire = 0 if drained == facts.outputs else 1
        total += merged * facts.merge_pj[level, kind] + (merged - started) * facts.reread_pj[level, kind]
        total += drained * (facts.drain_pj[level, own] + facts.hop_pj[level, wire])
    return total


@compiled
def evaluate(
    facts: Machine, arrays: np.ndarray, tiles: np.ndarray, orders: np.ndarray, work: Scratch
) -> tuple[float, int]:
    """(energy [pJ], latency [cycles]) of one legal mapping: arrays, tiles [L, 8], orders [L - 1, 8]."""
    moves(facts, arrays, tiles, orders, work)
    return energy(facts, work), latency(facts, arrays, tiles, orders, work)


@compiled
def evaluate_all(
    facts: Machine, arrays: np.ndarray, tiles: np.ndarray, orders: np.ndarray, work: Scratch,
    energies: np.ndarray, cycles: np.ndarray,
) -> None:  # fmt: skip
    """`evaluate` of B mappings: arrays, tiles [B, L, 8], orders [B, L - 1, 8] into energies [B], cycles [B]."""
    for b in range(len(arrays)):
        energies[b], cycles[b] = evaluate(facts, arrays[b], tiles[b], orders[b], work)
