# SPDX-License-Identifier: Apache-2.0
"""Lower bounds on energy and latency of all mappings that share the sizes chosen so far (nba.loopnest.exact)."""

from __future__ import annotations

import numpy as np

from nba.core.compiled import compiled
from nba.loopnest.layer import WALKS
from nba.loopnest.model import (
    DOUBLE,
    DRAIN,
    HOP,
    I_BITS,
    I_FILL,
    MERGE,
    N_OUTPUTS,
    O_PARENT,
    PARTIAL_BITS,
    REREAD,
    RESULT_BITS,
    SHARED,
    STRIDE_H,
    STRIDE_W,
    W_BITS,
    W_FILL,
    W_INNER,
    W_OUTER,
    W_PARENT,
    Machine,
)  # fmt: skip
from nba.loopnest.objective import worth
from nba.loopnest.space import Room
from nba.loopnest.tree import (
    FIRST,
    LAST,
    OWN,
    PLACE,
    REACH_FIRST,
    SEQUENCE,
    Tree,
    factors_of,
    list_options,
    whole_kernel,
)

_WALKS = np.array(WALKS)


@compiled
def begin_level(space: Room, tree: Tree, level: int, to: np.ndarray, to_times: np.ndarray) -> bool:
    """List the options of a level and their least factors; False if a loop has none."""
    for d in range(8):
        list_options(space, tree, level, d, to, to_times)
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
        d = SEQUENCE[k]
        lowest[:, :] = np.inf
        least_own = np.inf
        for o in range(tree.n_options[level, d]):
            row = tree.options[level, d, o]
            if d == 4 or d == 5:
                # Inputs: with the whole kernel, which is the least.
                factors_of(tree, level, d, row, whole_kernel(tree, level, d + 2), factors)
            else:
                factors_of(tree, level, d, row, row, factors)
            for c in range(5):
                for t in range(6):
                    lowest[c, t] = min(lowest[c, t], factors[c, t])
            least_own = min(least_own, float(row[OWN]))
        for c in range(5):
            for t in range(6):
                tree.least[level, k, c, t] = tree.least[level, k + 1, c, t] * lowest[c, t]
        tree.least_compute[level, k] = tree.least_compute[level, k + 1] * least_own
        tree.rest[level, k] = tree.rest[level, k + 1] * tree.own[level - 1, d]
    return True


@compiled
def level_energy(facts: Machine, level: int, terms: np.ndarray) -> float:
    """At least the energy of what moves into a level, of at least so many elements [6].

    What a level reads of its own outputs to drain them is what it saves in reading partial sums before it merges
    others: the two cancel between levels, and only outputs of level 0 are left out.
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
def set_floors(facts: Machine, tree: Tree) -> None:
    """Energy that every mapping pays, level by level: each element comes once."""
    depth = tree.arrays.shape[0]
    extents = tree.arrays[0]
    terms = np.zeros(6)
    rows = (extents[4] - 1) * min(facts.facts[0, STRIDE_H], extents[6]) + extents[6]
    columns = (extents[5] - 1) * min(facts.facts[0, STRIDE_W], extents[7]) + extents[7]
    terms[0] = terms[3] = extents[1] * extents[2] * extents[3] * extents[6] * extents[7]
    terms[1] = terms[4] = extents[0] * extents[1] * extents[3] * rows * columns
    terms[2] = terms[5] = facts.facts[0, N_OUTPUTS]
    tree.floor[depth] = 0.0
    for level in range(depth - 1, 0, -1):
        tree.floor[level] = tree.floor[level + 1] + level_energy(facts, level, terms)


@compiled
def bound(
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
        energy = tree.done[level] + level_energy(facts, level, terms) + tree.floor[level + 1]
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
    """At least the cycles of a level, all executions of one instance, in which so many elements [6] move and computing
    takes `own`."""
    parallel = tree.places[0] / tree.places[level]
    row = facts.facts[level]
    loads = _wires(row, terms[0] * row[W_BITS], terms[1] * row[I_BITS])
    width = row[PARTIAL_BITS] if terms[2] > facts.facts[0, N_OUTPUTS] else min(row[RESULT_BITS], row[PARTIAL_BITS])
    drains = terms[2] * width / row[DRAIN]
    if facts.facts[level, DOUBLE]:
        return max(own, loads / parallel, drains / parallel)
    return own + (loads + drains) / parallel


@compiled
def carry(facts: Machine, tree: Tree, level: int) -> None:
    """Note the least cycles that loads and drains of a complete level take."""
    least = np.inf
    for c in range(5):
        least = min(least, _moving(facts, tree, level, tree.partial[8 * level + 8, c], 0.0))
    tree.carried[level] = least


@compiled
def least_latency(facts: Machine, tree: Tree) -> float:
    """At least the latency of the complete member, whatever the orders."""
    depth = tree.arrays.shape[0]
    total = tree.compute[8 * depth]
    for level in range(depth - 1, 0, -1):
        parallel = tree.places[0] / tree.places[level]
        first_w = float(facts.facts[level, W_BITS])
        first_i = float(facts.facts[level, I_BITS])
        last_o = float(min(facts.facts[level, RESULT_BITS], facts.facts[level, PARTIAL_BITS]))
        for d in range(8):
            row = tree.options[level, d, tree.cursor[8 * level + PLACE[d]]]
            path = tree.n_first_path[level - 1, d]
            first_w *= row[FIRST] if _WALKS[0, d] else path
            last_o *= row[LAST] if _WALKS[2, d] else path
            if d < 4:
                first_i *= row[FIRST] if _WALKS[1, d] else path
            elif d < 6:
                kernel = tree.options[level, d + 2, tree.cursor[8 * level + PLACE[d + 2]]]
                first_i *= (row[FIRST] - path) * kernel[REACH_FIRST] + path * kernel[FIRST]
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
