# SPDX-License-Identifier: Apache-2.0
"""The best mapping with a certificate: branch and bound over the space of nba.nest.space, all orders included.

What moves into a level is a product of one number per loop (the blocks' tree of that loop), for each operand. Whatever the
order, the innermost loop with several blocks leaves at most one operand alone (`canonical_orders`), so the energy of a level is
at least that of the cheapest of five classes: weights, or inputs, stay and inputs slide along Q or P; or outputs stay. In each
class an unknown factor is at least the least one among the loop's sizes that fit by themselves.
Latency is at least computing with the places that the axes leave, and, where loads overlap computing, first loads and last
drains of every execution on top, or the busiest wires alone.

Level 1 is enumerated first; its members are taken in the order of their bounds, and the levels inside are
searched loop by loop. A member of the space that the bounds leave is judged by the model under every order of its loops.
The optimum is proved when no bound is below the best mapping found, up to `ROUNDING`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nba.compiled import compiled
from nba.nest.evolve import Found, weights_of, worth
from nba.nest.hierarchy import Hierarchy
from nba.nest.layer import WALKS, NestLayer
from nba.nest.mapping import Mapping
from nba.nest.model import (
    CONSTANT, DOUBLE, DRAIN, HOP, I_BITS, I_FILL, MERGE, N_OUTPUTS, O_PARENT, PARTIAL_BITS, REREAD, RESULT_BITS, SHARED,
    STRIDE, W_BITS, W_FILL, W_INNER, W_OUTER, W_PARENT, Machine, Scratch, encoded, evaluate, machine, scratch,
)  # fmt: skip
from nba.nest.space import Room, as_mapping, blocked, level_orders, overfull, room

ROUNDING = 1e-9
"""A bound that is within this part of the best value counts as reached: sums of floats in another order."""
MAX_ROOTS = 3_000_000
"""Members of level 1 that are kept."""
SECONDS = 60.0
"""Time limit unless said otherwise."""
_WALKS = np.array(WALKS)
_SEQUENCE = np.array([0, 1, 6, 7, 2, 3, 4, 5], np.int64)
"""Loops in the order of the search: N, G, R, S, M, C, P, Q; kernel rows before the rows that they share inputs with."""
# Columns of an option of one loop at one level.
_A, _T, _AXIS, _FAN, _OWN, _NA, _NT, _NF, _RA, _RT, _FIRST, _RFIRST, _LAST = range(13)
_COLUMNS = 13
_STAYS = np.array([0, 0, 1, 1, 2], np.int64)
"""Operand that stays in the classes."""
_SLIDES = np.array([5, 4, 5, 4, -1], np.int64)
"""Loop along which inputs slide."""


class Tree(NamedTuple):
    """State of the search; L levels, V = 8 L variables (a loop at a level), O options at most.

    sizes, times [L, 8, 2 L + 1], used [L, 8]: tiles of a loop, all instances; first_ the same for the first instance.
    options [L, 8, O, columns], n_options [L, 8], cursor [V]. n_tiles, n_first_path [L, 8]: tiles, all and of the first
    instance; own [L, 8]: their extents summed. partial [V + 1, 5, 6]: by class, sent and received elements of
    the three operands as far as known. least [L, 9, 5, 6]: product of the least factors of the loops from here on.
    fans [V + 1, X]: instances along the axes. compute [V + 1], least_compute [L, 9], rest [L, 9]: products of summed extents as
    known, least, and of the level above. energy [L, 5]: by class, of complete levels. done [L + 1]: least energies of the
    levels outside. plan [3, L, 8]: the member, with its parts arrays, tiles,
    orders [L, 8]; axes [L, 8]. floor [L + 1]: least energy of this level and all
    inside whatever the mapping. places [L + 1]: instances of this level and all inside, at most, for one of the level above. carried [L]: least
    cycles of loads and drains of complete levels.
    """

    sizes: np.ndarray
    times: np.ndarray
    used: np.ndarray
    first_sizes: np.ndarray
    first_times: np.ndarray
    first_used: np.ndarray
    options: np.ndarray
    n_options: np.ndarray
    cursor: np.ndarray
    n_tiles: np.ndarray
    n_first_path: np.ndarray
    own: np.ndarray
    partial: np.ndarray
    least: np.ndarray
    fans: np.ndarray
    compute: np.ndarray
    least_compute: np.ndarray
    rest: np.ndarray
    energy: np.ndarray
    done: np.ndarray
    plan: np.ndarray
    arrays: np.ndarray
    tiles: np.ndarray
    axes: np.ndarray
    orders: np.ndarray
    floor: np.ndarray
    places: np.ndarray
    carried: np.ndarray


def _tree(space: Room, depth: int) -> Tree:
    ints = np.int64
    most = 0
    for d in range(8):
        sizes = 2 * int(np.sqrt(space.extents[d])) + 2
        fans = 1
        for level in range(depth):
            fans = max(fans, int(space.axis[level].sum()) + 1)
        most = max(most, sizes * min(fans, int(space.extents[d]) * space.axis.shape[1] + 1))
    nodes = 2 * depth + 1
    plan = np.ones((3, depth, 8), ints)
    tree = Tree(
        sizes=np.zeros((depth, 8, nodes), ints),
        times=np.zeros((depth, 8, nodes), ints),
        used=np.zeros((depth, 8), ints),
        first_sizes=np.zeros((depth, 8, nodes), ints),
        first_times=np.zeros((depth, 8, nodes), ints),
        first_used=np.zeros((depth, 8), ints),
        options=np.zeros((depth, 8, most, _COLUMNS), ints),
        n_options=np.zeros((depth, 8), ints),
        cursor=np.zeros(8 * depth, ints),
        n_tiles=np.ones((depth, 8), ints),
        n_first_path=np.ones((depth, 8), ints),
        own=np.ones((depth, 8), ints),
        partial=np.ones((8 * depth + 1, 5, 6)),
        least=np.ones((depth, 9, 5, 6)),
        fans=np.ones((8 * depth + 1, space.axis.shape[1]), ints),
        compute=np.ones(8 * depth + 1),
        least_compute=np.ones((depth, 9)),
        rest=np.ones((depth, 9)),
        energy=np.zeros((depth, 5)),
        done=np.zeros(depth + 1),
        plan=plan,
        arrays=plan[0],
        tiles=plan[1],
        axes=np.zeros((depth, 8), ints),
        orders=plan[2],
        floor=np.zeros(depth + 1),
        places=np.ones(depth + 1),
        carried=np.zeros(depth),
    )
    tree.arrays[0] = tree.tiles[0] = tree.own[0] = space.extents
    tree.sizes[0, :, 0] = tree.first_sizes[0, :, 0] = space.extents
    tree.times[0, :, 0] = tree.first_times[0, :, 0] = 1
    tree.used[0] = tree.first_used[0] = 1
    for level in range(depth - 1, -1, -1):
        tree.places[level] = tree.places[level + 1] * float(np.prod(np.maximum(1, space.axis[level])))
    return tree


@compiled
def _cut(sizes: np.ndarray, times: np.ndarray, used: int, size: int, to: np.ndarray, to_times: np.ndarray) -> int:
    """Cut tiles into parts of `size` and what is left; how many different parts there are."""
    rest, full = 0, 0
    for k in range(used):
        whole = sizes[k] // size
        left = sizes[k] - whole * size
        full += times[k] * whole
        if left > 0:
            to[rest], to_times[rest] = left, times[k]
            rest += 1
    if full > 0:
        to[rest], to_times[rest] = size, full
        rest += 1
    return rest


@compiled
def _options(space: Room, tree: Tree, level: int, d: int, to: np.ndarray, to_times: np.ndarray) -> None:
    """List the sizes and unrollings of loop d at `level`, given those outside."""
    outside = tree.tiles[level - 1, d]
    unit = np.ones(8, np.int64)
    count = 0
    array = outside
    stride = space.stride
    while True:
        tile = -1
        for fan in range(1, array + 1):
            smaller = (array + fan - 1) // fan
            if smaller == tile:
                continue
            tile = smaller
            if fan > 1:
                widest = 0
                for axis in range(space.axis.shape[1]):
                    if space.may[level, axis, d]:
                        widest = max(widest, space.axis[level, axis])
                if (array + tile - 1) // tile > widest:
                    break
            if space.unit[level, d] and tile > 1:
                continue
            unit[d] = tile
            if overfull(space, level, unit) >= 0:
                continue
            real = (array + tile - 1) // tile
            for axis in range(space.axis.shape[1]):
                if real == 1 and axis > 0:
                    break
                if real > 1 and not (space.may[level, axis, d] and real <= space.axis[level, axis]):
                    continue
                row = tree.options[level, d, count]
                row[_A], row[_T], row[_AXIS], row[_FAN] = array, tile, axis, real
                _count(tree, row, level, d, stride, to, to_times)
                count += 1
        if array == 1:
            break
        array = blocked(outside, (outside - 1) // ((outside + array - 1) // array))
    tree.n_options[level, d] = count


@compiled
def _count(
    tree: Tree, row: np.ndarray, level: int, d: int, stride: int, to: np.ndarray, to_times: np.ndarray
) -> None:
    """Fill in the columns of an option that follow from its sizes."""
    array, tile = row[_A], row[_T]
    used = tree.used[level - 1, d]
    sizes, times = tree.sizes[level - 1, d], tree.times[level - 1, d]
    first = 0
    for k in range(used):
        first += times[k] * ((min(array, sizes[k]) + tile - 1) // tile)
    row[_NF] = first
    parts = _cut(sizes, times, used, array, to, to_times)
    n, reach = 0, 0
    n_t, reach_t = 0, 0
    for k in range(parts):
        n += to_times[k]
        reach += to_times[k] * min(stride, to[k])
        whole = to[k] // tile
        left = to[k] - whole * tile
        n_t += to_times[k] * whole
        reach_t += to_times[k] * whole * min(stride, tile)
        if left > 0:
            n_t += to_times[k]
            reach_t += to_times[k] * min(stride, left)
    row[_NA], row[_RA], row[_NT], row[_RT] = n, reach, n_t, reach_t
    own, firsts, reach_first, lasts = 0, 0, 0, 0
    for k in range(tree.first_used[level - 1, d]):
        size, many = tree.first_sizes[level - 1, d, k], tree.first_times[level - 1, d, k]
        whole = size // array
        left = size - whole * array
        own += many * (whole * tile + min(left, tile))
        block = min(array, size)
        firsts += many * block
        reach_first += many * min(stride, block)
        lasts += many * (left if left > 0 else block)
    row[_OWN], row[_FIRST], row[_RFIRST], row[_LAST] = own, firsts, reach_first, lasts


@compiled
def _settled(tree: Tree, level: int, to: np.ndarray, to_times: np.ndarray) -> None:
    """All loops of `level` are chosen: the tiles that the next level starts from."""
    for d in range(8):
        array, tile = tree.arrays[level, d], tree.tiles[level, d]
        used = _cut(tree.sizes[level - 1, d], tree.times[level - 1, d], tree.used[level - 1, d], array, to, to_times)
        used = _cut(to, to_times, used, tile, tree.sizes[level, d], tree.times[level, d])
        tree.used[level, d] = used
        n = 0
        for k in range(used):
            n += tree.times[level, d, k]
        tree.n_tiles[level, d] = n
        used = tree.first_used[level - 1, d]
        used = _cut(tree.first_sizes[level - 1, d], tree.first_times[level - 1, d], used, array, to, to_times)
        n, own = 0, 0
        for k in range(used):
            tree.first_sizes[level, d, k] = min(tile, to[k])
            tree.first_times[level, d, k] = to_times[k]
            n += to_times[k]
            own += to_times[k] * min(tile, to[k])
        tree.first_used[level, d] = used
        tree.n_first_path[level, d], tree.own[level, d] = n, own


@compiled
def _begin(facts: Machine, space: Room, tree: Tree, level: int, to: np.ndarray, to_times: np.ndarray) -> bool:
    """List the options of a level and their least factors; False if a loop has none."""
    for d in range(8):
        _options(space, tree, level, d, to, to_times)
        if tree.n_options[level, d] == 0:
            return False
    base = tree.partial[8 * level]
    extents = tree.arrays[0]
    for c in range(5):
        base[c, 0] = base[c, 3] = extents[1] * extents[2] * extents[3] * extents[6] * extents[7]
        base[c, 1] = base[c, 4] = extents[0] * extents[1] * extents[3]
        base[c, 2] = base[c, 5] = extents[0] * extents[1] * extents[2] * extents[4] * extents[5]
    tree.fans[8 * level] = 1
    tree.compute[8 * level] = 1.0
    tree.least[level, 8] = 1.0
    tree.least_compute[level, 8] = 1.0
    tree.rest[level, 8] = 1.0
    factors = np.ones((5, 6))
    lowest = np.ones((5, 6))
    for k in range(7, -1, -1):
        d = _SEQUENCE[k]
        lowest[:, :] = np.inf
        least_own = np.inf
        for o in range(tree.n_options[level, d]):
            row = tree.options[level, d, o]
            if d == 4 or d == 5:
                # Inputs: with the whole kernel, which is the least.
                _factors(facts, tree, level, d, row, _whole(tree, level, d + 2), factors)
            else:
                _factors(facts, tree, level, d, row, row, factors)
            for c in range(5):
                for t in range(6):
                    lowest[c, t] = min(lowest[c, t], factors[c, t])
            least_own = min(least_own, float(row[_OWN]))
        for c in range(5):
            for t in range(6):
                tree.least[level, k, c, t] = tree.least[level, k + 1, c, t] * lowest[c, t]
        tree.least_compute[level, k] = tree.least_compute[level, k + 1] * least_own
        tree.rest[level, k] = tree.rest[level, k + 1] * tree.own[level - 1, d]
    return True


@compiled
def _whole(tree: Tree, level: int, d: int) -> np.ndarray:
    """Of the options of a kernel loop, columns with the least reach: blocks first, and parts."""
    found = tree.options[level, d, 0].copy()
    for o in range(tree.n_options[level, d]):
        row = tree.options[level, d, o]
        found[_RA] = min(found[_RA], row[_RA])
        found[_RT] = min(found[_RT], row[_RT])
    found[_A] = found[_T]
    return found


@compiled
def _factors(
    facts: Machine, tree: Tree, level: int, d: int, row: np.ndarray, kernel: np.ndarray, factors: np.ndarray
) -> None:
    """By class, what an option of loop d multiplies sent and received elements of the operands with. kernel: for P and
    Q, the option of R or S, with which inputs are counted."""
    before = tree.n_tiles[level - 1, d]
    for c in range(5):
        for operand in range(3):
            if _WALKS[operand, d]:
                factors[c, operand] = 1.0
                factors[c, operand + 3] = 1.0
            elif _STAYS[c] == operand:
                factors[c, operand] = before
                factors[c, operand + 3] = row[_NF]
            else:
                factors[c, operand] = row[_NA]
                factors[c, operand + 3] = row[_NT]
        if d == 4 or d == 5:
            blocks, parts = row[_NA], row[_NT]
            if _SLIDES[c] == d and row[_A] == row[_T] and kernel[_A] == kernel[_T]:
                blocks = parts = before
            extent, taps = tree.arrays[0, d], tree.arrays[0, d + 2]
            factors[c, 1] = (extent - blocks) * kernel[_RA] + blocks * taps
            factors[c, 4] = (extent - parts) * kernel[_RT] + parts * taps


@compiled
def _level_energy(facts: Machine, level: int, terms: np.ndarray) -> float:
    """At least the energy of what moves into a level, of at least so many elements [6].

    What a level reads of its own outputs to drain them is what it saves in reading partial sums before it merges others:
    the two cancel between levels, and only outputs of level 0 are left out.
    """
    pj = facts.pj
    total = 0.0
    for operand in range(2):
        if facts.facts[level, W_PARENT + operand] >= 0:
            total += terms[operand] * pj[level, W_OUTER + operand] + terms[operand + 3] * pj[level, W_INNER + operand]
    parent = facts.facts[level, O_PARENT]
    if parent < 0:
        return total
    outputs = facts.facts[0, N_OUTPUTS]
    merged = hop = np.inf
    for kind in range(2):
        # Results only if each output comes once.
        if kind == 1 or terms[2] <= outputs:
            each = pj[level, MERGE + kind] + pj[level, REREAD + kind]
            saved = outputs * pj[level, REREAD + kind] if parent == 0 else 0.0
            merged = min(merged, terms[2] * each - saved)
        if kind == 1 or terms[5] <= outputs:
            hop = min(hop, terms[5] * pj[level, HOP + kind])
    return total + merged + hop


@compiled
def _floors(facts: Machine, tree: Tree) -> None:
    """Energy that every mapping pays, level by level: each element comes once."""
    depth = tree.arrays.shape[0]
    extents = tree.arrays[0]
    terms = np.zeros(6)
    rows = (extents[4] - 1) * min(facts.facts[0, STRIDE], extents[6]) + extents[6]
    columns = (extents[5] - 1) * min(facts.facts[0, STRIDE], extents[7]) + extents[7]
    terms[0] = terms[3] = extents[1] * extents[2] * extents[3] * extents[6] * extents[7]
    terms[1] = terms[4] = extents[0] * extents[1] * extents[3] * rows * columns
    terms[2] = terms[5] = facts.facts[0, N_OUTPUTS]
    tree.floor[depth] = 0.0
    for level in range(depth - 1, 0, -1):
        tree.floor[level] = tree.floor[level + 1] + _level_energy(facts, level, terms)


@compiled
def _bound(
    facts: Machine, space: Room, tree: Tree, weights: np.ndarray, level: int, k: int, least_cycles: float
) -> float:  # fmt: skip
    """At least the value of every member whose first k loops of `level`, and all levels outside, are as chosen."""
    v = 8 * level + k
    left = tree.places[level + 1]
    for axis in range(space.axis.shape[1]):
        left *= max(1, space.axis[level, axis]) // tree.fans[v, axis]
    own = tree.compute[v] * max(tree.least_compute[level, k] / tree.places[level + 1], tree.rest[level, k] / left)
    own = max(own, least_cycles)
    terms = np.empty(6)
    lowest = np.inf
    for c in range(5):
        for t in range(6):
            terms[t] = tree.partial[v, c, t] * tree.least[level, k, c, t]
        energy = tree.done[level] + _level_energy(facts, level, terms) + tree.floor[level + 1]
        cycles = _moving(facts, tree, level, terms, own)
        for outer in range(level - 1, 0, -1):
            cycles = max(cycles, tree.carried[outer]) if facts.facts[outer, DOUBLE] else cycles + tree.carried[outer]
        lowest = min(lowest, worth(weights, energy, cycles))
    return lowest


@compiled
def _wires(row: np.ndarray, weight: float, image: float) -> float:
    """At least the cycles in which so many bits of weights and inputs pass the wires of a level (a row of facts)."""
    if row[SHARED]:
        return (weight + image) / row[W_FILL]
    return max(weight / row[W_FILL], image / row[I_FILL])


@compiled
def _moving(facts: Machine, tree: Tree, level: int, terms: np.ndarray, own: float) -> float:
    """At least the cycles of a level, all executions of one instance, in which so many elements [6] move and computing takes
    `own`."""
    parallel = tree.places[0] / tree.places[level]
    row = facts.facts[level]
    loads = _wires(row, terms[0] * row[W_BITS], terms[1] * row[I_BITS])
    width = row[PARTIAL_BITS] if terms[2] > facts.facts[0, N_OUTPUTS] else min(row[RESULT_BITS], row[PARTIAL_BITS])
    drains = terms[2] * width / row[DRAIN]
    if facts.facts[level, DOUBLE]:
        return max(own, loads / parallel, drains / parallel)
    return own + (loads + drains) / parallel

@compiled
def _carry(facts: Machine, tree: Tree, level: int) -> None:
    """Note the least cycles that loads and drains of a complete level take."""
    least = np.inf
    for c in range(5):
        least = min(least, _moving(facts, tree, level, tree.partial[8 * level + 8, c], 0.0))
    tree.carried[level] = least


@compiled
def _cycles(facts: Machine, tree: Tree) -> float:
    """At least the latency of the complete member, whatever the orders."""
    depth = tree.arrays.shape[0]
    total = tree.compute[8 * depth]
    for level in range(depth - 1, 0, -1):
        parallel = tree.places[0] / tree.places[level]
        first_w = float(facts.facts[level, W_BITS])
        first_i = float(facts.facts[level, I_BITS])
        last_o = float(min(facts.facts[level, RESULT_BITS], facts.facts[level, PARTIAL_BITS]))
        for d in range(8):
            row = tree.options[level, d, tree.cursor[8 * level + _PLACE[d]]]
            path = tree.n_first_path[level - 1, d]
            first_w *= row[_FIRST] if _WALKS[0, d] else path
            last_o *= row[_LAST] if _WALKS[2, d] else path
            if d < 4:
                first_i *= row[_FIRST] if _WALKS[1, d] else path
            elif d < 6:
                kernel = tree.options[level, d + 2, tree.cursor[8 * level + _PLACE[d + 2]]]
                first_i *= (row[_FIRST] - path) * kernel[_RFIRST] + path * kernel[_FIRST]
        # Of the classes, the least that each operand moves.
        all_w = all_i = all_o = np.inf
        for c in range(5):
            all_w = min(all_w, tree.partial[8 * level + 8, c, 0])
            all_i = min(all_i, tree.partial[8 * level + 8, c, 1])
            all_o = min(all_o, tree.partial[8 * level + 8, c, 2])
        wires = facts.facts[level]
        lightest = _wires(wires, all_w * wires[W_BITS], all_i * wires[I_BITS]) / parallel
        first = _wires(wires, first_w, first_i)
        drains = all_o * min(wires[RESULT_BITS], wires[PARTIAL_BITS]) / parallel / wires[DRAIN]
        last = last_o / wires[DRAIN]
        if facts.facts[level, DOUBLE]:
            total = max(total + first + last, max(lightest + last, drains + first))
        else:
            total += lightest + drains
    return total


_PLACE = np.argsort(_SEQUENCE)
"""Where a loop stands in the search's sequence."""


@compiled
def _judge(
    facts: Machine, tree: Tree, weights: np.ndarray, work: Scratch, best: np.ndarray, best_member: np.ndarray,
) -> None:  # fmt: skip
    """Evaluate the member under the orders in tree.orders; best [4]: value, energy, cycles, how many were evaluated."""
    energy, cycles = evaluate(facts.facts, facts.pj, tree.plan, work.work, work.table)
    value = worth(weights, energy, cycles)
    best[3] += 1
    if value < best[0]:
        best[0], best[1], best[2] = value, energy, cycles
        depth = tree.arrays.shape[0]
        for level in range(depth):
            best_member[0, level] = tree.arrays[level]
            best_member[1, level] = tree.tiles[level]
            best_member[2, level] = tree.axes[level]
            best_member[3, level] = tree.orders[level]


@compiled
def _next_order(order: np.ndarray, begin: int, end: int) -> bool:
    """The next permutation of order[begin:end]; False, and the first one again, after the last."""
    i = end - 2
    while i >= begin and order[i] >= order[i + 1]:
        i -= 1
    low, high = max(begin, i + 1), end - 1
    if i < begin:
        low = begin
    else:
        j = end - 1
        while order[j] <= order[i]:
            j -= 1
        order[i], order[j] = order[j], order[i]
    while low < high:
        order[low], order[high] = order[high], order[low]
        low += 1
        high -= 1
    return i >= begin


@compiled
def _orders(
    facts: Machine, tree: Tree, choices: np.ndarray, forced: np.ndarray, weights: np.ndarray, work: Scratch,
    best: np.ndarray, best_member: np.ndarray, cycles: float,
) -> None:  # fmt: skip
    """Judge the member under all its orders, unless the bound says that none can be better: canonical ones first."""
    depth = tree.arrays.shape[0]
    number = np.zeros(depth, np.int64)
    level = 0
    while level >= 0:
        if level == depth - 1:
            _judge(facts, tree, weights, work, best, best_member)
            level -= 1
        elif number[level] < choices.shape[1]:
            tree.orders[level] = choices[level, number[level]]
            number[level] += 1
            level += 1
            if level < depth - 1:
                number[level] = 0
        else:
            level -= 1
    energy = tree.done[depth]
    if worth(weights, energy, cycles) >= best[0] * (1 - ROUNDING):
        return
    # All others: permutations of the loops with several blocks; rules of a level (`forced`) keep some of them inside.
    parts = np.zeros((depth, 3), np.int64)
    for level in range(depth - 1):
        place = 0
        for kind in range(3):
            parts[level, kind] = place
            for d in range(8):
                busy = tree.tiles[level, d] > tree.arrays[level + 1, d]
                if (kind == 0 and not busy) or (busy and kind == (2 if forced[level, d] else 1)):
                    tree.orders[level, place] = d
                    place += 1
    while True:
        _judge(facts, tree, weights, work, best, best_member)
        moved = False
        for level in range(depth - 1):
            if _next_order(tree.orders[level], parts[level, 1], parts[level, 2]) or _next_order(
                tree.orders[level], parts[level, 2], 8
            ):
                moved = True
                break
        if not moved:
            return


@compiled
def _search(
    facts: Machine, space: Room, tree: Tree, weights: np.ndarray, choices: np.ndarray, forced: np.ndarray, work: Scratch,
    best: np.ndarray, best_member: np.ndarray, start: int, stop: int, roots: np.ndarray, bounds: np.ndarray,
    limits: np.ndarray,
) -> int:  # fmt: skip
    """Search from level `start`. At level `stop` (< L - 1) complete members are put down with their bounds instead.

    limits [3]: nodes so far, nodes allowed, least cycles of any mapping. Returns roots put down, or -1: a limit was met.
    """
    depth = tree.arrays.shape[0]
    to, to_times = np.zeros(2 * depth + 1, np.int64), np.zeros(2 * depth + 1, np.int64)
    count = 0
    if not _begin(facts, space, tree, start, to, to_times):
        return 0
    factors = np.ones((5, 6))
    v = 8 * start
    tree.cursor[v] = -1
    tile = np.ones(8, np.int64)
    while v >= 8 * start:
        level, k = v // 8, v % 8
        d = _SEQUENCE[k]
        tree.cursor[v] += 1
        if tree.cursor[v] >= tree.n_options[level, d]:
            v -= 1
            continue
        limits[0] += 1
        if limits[0] > limits[1]:
            return -1
        row = tree.options[level, d, tree.cursor[v]]
        axis = row[_AXIS]
        if tree.fans[v, axis] * row[_FAN] > max(1, space.axis[level, axis]):
            continue
        tile[:] = 1
        for j in range(k):
            tile[_SEQUENCE[j]] = tree.tiles[level, _SEQUENCE[j]]
        tile[d] = row[_T]
        if overfull(space, level, tile) >= 0:
            continue
        kernel = row
        if d == 4 or d == 5:
            kernel = tree.options[level, d + 2, tree.cursor[8 * level + _PLACE[d + 2]]]
        _factors(facts, tree, level, d, row, kernel, factors)
        for c in range(5):
            for t in range(6):
                tree.partial[v + 1, c, t] = tree.partial[v, c, t] * factors[c, t]
        tree.fans[v + 1] = tree.fans[v]
        tree.fans[v + 1, axis] *= row[_FAN]
        tree.compute[v + 1] = tree.compute[v] * row[_OWN]
        value = _bound(facts, space, tree, weights, level, k + 1, limits[2])
        if value >= best[0] * (1 - ROUNDING):
            continue
        tree.arrays[level, d], tree.tiles[level, d], tree.axes[level, d] = row[_A], row[_T], axis
        if k < 7:
            v += 1
            tree.cursor[v] = -1
            continue
        lowest = np.inf
        for c in range(5):
            tree.energy[level, c] = _level_energy(facts, level, tree.partial[v + 1, c])
            lowest = min(lowest, tree.energy[level, c])
        tree.done[level + 1] = tree.done[level] + lowest
        _carry(facts, tree, level)
        if level == depth - 1:
            cycles = max(limits[2], _cycles(facts, tree))
            if worth(weights, tree.done[depth], cycles) < best[0] * (1 - ROUNDING):
                _orders(facts, tree, choices, forced, weights, work, best, best_member, cycles)
            continue
        _settled(tree, level, to, to_times)
        if not _begin(facts, space, tree, level + 1, to, to_times):
            continue
        value = max(value, _bound(facts, space, tree, weights, level + 1, 0, limits[2]))
        if value >= best[0] * (1 - ROUNDING):
            continue
        if level == stop:
            if count == len(bounds):
                return -1
            for e in range(8):
                roots[count, e] = tree.cursor[8 * level + e]
            bounds[count] = value
            count += 1
            continue
        v += 1
        tree.cursor[v] = -1
    return count


@compiled
def _restore(facts: Machine, space: Room, tree: Tree, root: np.ndarray) -> None:
    """Make the choices of a root of level 1 again, whose options are still listed."""
    to, to_times = np.zeros(2 * len(tree.arrays) + 1, np.int64), np.zeros(2 * len(tree.arrays) + 1, np.int64)
    factors = np.ones((5, 6))
    for k in range(8):
        v, d = 8 + k, _SEQUENCE[k]
        tree.cursor[v] = root[k]
        row = tree.options[1, d, root[k]]
        kernel = row
        if d == 4 or d == 5:
            kernel = tree.options[1, d + 2, root[_PLACE[d + 2]]]
        _factors(facts, tree, 1, d, row, kernel, factors)
        for c in range(5):
            for t in range(6):
                tree.partial[v + 1, c, t] = tree.partial[v, c, t] * factors[c, t]
        tree.compute[v + 1] = tree.compute[v] * row[_OWN]
        tree.arrays[1, d], tree.tiles[1, d], tree.axes[1, d] = row[_A], row[_T], row[_AXIS]
    lowest = np.inf
    for c in range(5):
        tree.energy[1, c] = _level_energy(facts, 1, tree.partial[16, c])
        lowest = min(lowest, tree.energy[1, c])
    tree.done[2] = tree.done[1] + lowest
    _carry(facts, tree, 1)
    _settled(tree, 1, to, to_times)


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What the search proved: no mapping in the space is better than `lower` (in the objective's unit).

    status: optimal (nothing is better than `best` by more than ROUNDING), or bound. value: of the best mapping. nodes: of the
    tree. evaluations: of the model.
    """

    status: str
    best: Found
    value: float
    lower: float
    nodes: int
    evaluations: int
    seconds: float

    @property
    def gap(self) -> float:
        """How far the best may be above the optimum, as a part of it."""
        return self.value / self.lower - 1.0


def solve(
    layer: NestLayer,
    hierarchy: Hierarchy,
    *,
    objective: str = "edp",
    weights: tuple[float, float] | None = None,
    incumbent: Mapping | None = None,
    seconds: float = SECONDS,
    progress: Callable[[float], None] | None = None,
) -> Certificate:
    """The best mapping of the space, or the best found and a bound when time is up.

    incumbent: a good mapping (that of `evolve`) to start from. progress: called with the part of level 1's members
    that are finished. Raises NbaError if no mapping fits.
    """
    began = time.monotonic()
    depth = len(hierarchy.levels)
    facts, space, work = machine(layer, hierarchy), room(layer, hierarchy), scratch(depth)
    choices = level_orders(hierarchy)
    forced = np.zeros((depth, 8), np.bool_)
    for number, level in enumerate(hierarchy.levels):
        forced[number, list(level.innermost)] = True
    goal = np.array(weights if weights is not None else weights_of(objective))
    tree = _tree(space, depth)
    best, member = np.array([np.inf, 0.0, 0.0, 0.0]), np.zeros((4, depth, 8), np.int64)
    if incumbent is not None:
        tree.plan[:] = encoded(incumbent)
        tree.axes[:] = np.array(incumbent.axes, np.int64)
        _judge(facts, tree, goal, work, best, member)
        tree.arrays[0] = tree.tiles[0] = space.extents
    _floors(facts, tree)
    tree.done[1] = float(facts.pj[0, CONSTANT])
    least_cycles = float(layer.macs) / tree.places[0]
    limits = np.array([0.0, 2e9, least_cycles])
    floor = float(worth(goal, float(facts.pj[0, CONSTANT]) + tree.floor[1], least_cycles))
    stop = 1 if depth > 2 else depth
    roots, bounds = np.zeros((MAX_ROOTS, 8), np.int16), np.zeros(MAX_ROOTS)
    count = _search(
        facts, space, tree, goal, choices, forced, work, best, member, 1, stop, roots, bounds, limits
    )  # fmt: skip
    lower = np.inf
    if count < 0:
        lower = floor
    else:
        order = np.argsort(bounds[:count], kind="stable")
        allowed = 20_000_000.0
        waiting = [int(i) for i in order]
        done = 0
        while waiting and time.monotonic() - began < seconds:
            later = []
            for position, i in enumerate(waiting):
                if bounds[i] >= best[0] * (1 - ROUNDING):
                    break
                if time.monotonic() - began > seconds:
                    later += [j for j in waiting[position:] if bounds[j] < best[0] * (1 - ROUNDING)]
                    break
                _restore(facts, space, tree, roots[i])
                limits[1] = limits[0] + allowed
                if (
                    _search(
                        facts, space, tree, goal, choices, forced, work, best, member, 2, depth, roots, bounds, limits
                    )
                    < 0
                ):  # fmt: skip
                    later.append(i)
                done += 1
                if progress is not None:
                    progress(done / max(1, count))
            waiting, allowed = later, allowed * 8
        for i in waiting:
            lower = min(lower, float(bounds[i]))
    value = float(best[0])
    optimal = lower >= value * (1 - ROUNDING)
    return Certificate(
        status="optimal" if optimal else "bound",
        best=Found(
            mapping=as_mapping(member[0], member[1], member[2], member[3, : depth - 1]),
            energy_pj=float(best[1]),
            cycles=int(best[2]),
        ),
        value=value,
        lower=value if optimal else lower,
        nodes=int(limits[0]),
        evaluations=int(best[3]),
        seconds=time.monotonic() - began,
    )
