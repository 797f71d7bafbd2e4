# SPDX-License-Identifier: Apache-2.0
"""The best mapping with a certificate: branch and bound over the space of nba.loopnest.space, all orders included.

What moves into a level is a product of one number per loop (the blocks' tree of that loop), for each operand. Whatever
the order, the innermost loop with several blocks leaves at most one operand alone (`canonical_orders`), so the energy
of a level is at least that of the cheapest of five classes: weights, or inputs, stay and inputs slide along Q or P; or
outputs stay. In each class an unknown factor is at least the least one among the loop's sizes that fit by themselves.
Latency is at least computing with the places that the axes leave, and, where loads overlap computing, first loads and
last drains of every execution on top, or the busiest wires alone.

Level 1 is enumerated first; its members are taken in the order of their bounds, and the levels inside are searched
loop by loop. A member of the space that the bounds leave is judged by the model under every order of its loops. The
optimum is proved when no bound is below the best mapping found, up to `ROUNDING`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nba.core.compiled import compiled
from nba.loopnest.bounds import begin_level, bound, carry, least_latency, level_energy, set_floors
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import NestLayer
from nba.loopnest.mapping import Mapping
from nba.loopnest.model import CONSTANT, Machine, Scratch, encoded, evaluate, machine, scratch
from nba.loopnest.objective import Found, weights_of, worth
from nba.loopnest.space import Room, as_mapping, level_orders, overfull, room
from nba.loopnest.tree import ARRAY, AXIS, FAN, OWN, PLACE, SEQUENCE, TILE, Tree, cut_tiles, factors_of, new_tree

ROUNDING = 1e-9
"""A bound that is within this part of the best value counts as reached: sums of floats in another order."""
MAX_ROOTS = 3_000_000
"""Members of level 1 that are kept."""
SECONDS = 60.0
"""Limit of CPU time unless said otherwise."""


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
    energy = float(tree.done[depth])
    if worth(weights, energy, cycles) >= best[0] * (1 - ROUNDING):
        return
    # All others: permutations of the loops with several blocks; rules of a level (`forced`) keep some loops inside.
    parts = np.zeros((depth, 4), np.int64)
    for level in range(depth - 1):
        place = 0
        for part in range(4):
            parts[level, part] = place
            for d in range(8):
                busy = tree.tiles[level, d] > tree.arrays[level + 1, d]
                if busy == (part % 2 == 1) and forced[level, d] == (part >= 2):
                    tree.orders[level, place] = d
                    place += 1
    while True:
        _judge(facts, tree, weights, work, best, best_member)
        moved = False
        for level in range(depth - 1):
            if _next_order(tree.orders[level], parts[level, 1], parts[level, 2]) or _next_order(
                tree.orders[level], parts[level, 3], 8
            ):
                moved = True
                break
        if not moved:
            return


@compiled
def _mirrored(tree: Tree, level: int) -> bool:
    """Whether rows and columns exchanged (P, R with Q, S) give another member of `level` that comes first."""
    for d in (4, 6):
        for table in (tree.arrays, tree.tiles, tree.axes):
            if table[level, d] != table[level, d + 1]:
                return table[level, d] < table[level, d + 1]
    return False


def _alike(space: Room, forced: np.ndarray) -> bool:
    """Whether rows and columns may be exchanged in every mapping without changing what it costs."""
    rows, columns = [4, 6], [5, 7]
    return all(
        np.array_equal(table[..., rows], table[..., columns])
        for table in (space.extents, space.may, space.unit, forced)
    )


# One compiled loop: a depth-first search whose tree lives in the arrays that are its arguments.
@compiled
def _search(
    facts: Machine, space: Room, tree: Tree, weights: np.ndarray, choices: np.ndarray, forced: np.ndarray,
    work: Scratch,
    best: np.ndarray, best_member: np.ndarray, start: int, stop: int, roots: np.ndarray, bounds: np.ndarray,
    limits: np.ndarray,
) -> int:  # fmt: skip
    """Search from level `start`. At level `stop` (< L - 1) complete members are put down with their bounds instead.

    limits [4]: nodes so far, nodes allowed, least cycles of any mapping, whether rows and columns are alike. Returns
    roots put down, or -1: a limit was met.
    """
    depth = tree.arrays.shape[0]
    to, to_times = np.zeros(2 * depth + 1, np.int64), np.zeros(2 * depth + 1, np.int64)
    count = 0
    if not begin_level(space, tree, start, to, to_times):
        return 0
    factors = np.ones((5, 6))
    v = 8 * start
    tree.cursor[v] = -1
    tile = np.ones(8, np.int64)
    while v >= 8 * start:
        level, k = v // 8, v % 8
        d = SEQUENCE[k]
        tree.cursor[v] += 1
        if tree.cursor[v] >= tree.n_options[level, d]:
            v -= 1
            continue
        limits[0] += 1
        if limits[0] > limits[1]:
            return -1
        row = tree.options[level, d, tree.cursor[v]]
        axis = row[AXIS]
        if tree.fans[v, axis] * row[FAN] > max(1, space.axis[level, axis]):
            continue
        tile[:] = 1
        for j in range(k):
            tile[SEQUENCE[j]] = tree.tiles[level, SEQUENCE[j]]
        tile[d] = row[TILE]
        if overfull(space, level, tile) >= 0:
            continue
        kernel = row
        if d == 4 or d == 5:
            kernel = tree.options[level, d + 2, tree.cursor[8 * level + PLACE[d + 2]]]
        factors_of(tree, level, d, row, kernel, factors)
        for c in range(5):
            for t in range(6):
                tree.partial[v + 1, c, t] = tree.partial[v, c, t] * factors[c, t]
        tree.fans[v + 1] = tree.fans[v]
        tree.fans[v + 1, axis] *= row[FAN]
        tree.compute[v + 1] = tree.compute[v] * row[OWN]
        value = bound(facts, space, tree, weights, level, k + 1, limits[2])
        if value >= best[0] * (1 - ROUNDING):
            continue
        tree.arrays[level, d], tree.tiles[level, d], tree.axes[level, d] = row[ARRAY], row[TILE], axis
        if k < 7:
            v += 1
            tree.cursor[v] = -1
            continue
        lowest = np.inf
        for c in range(5):
            tree.energy[level, c] = level_energy(facts, level, tree.partial[v + 1, c])
            lowest = min(lowest, tree.energy[level, c])
        tree.done[level + 1] = tree.done[level] + lowest
        carry(facts, tree, level)
        if level == depth - 1:
            cycles = max(limits[2], least_latency(facts, tree))
            if worth(weights, float(tree.done[depth]), cycles) < best[0] * (1 - ROUNDING):
                _orders(facts, tree, choices, forced, weights, work, best, best_member, cycles)
            continue
        cut_tiles(tree, level, to, to_times)
        if not begin_level(space, tree, level + 1, to, to_times):
            continue
        value = max(value, bound(facts, space, tree, weights, level + 1, 0, limits[2]))
        if value >= best[0] * (1 - ROUNDING):
            continue
        if level == stop:
            if limits[3] > 0 and _mirrored(tree, level):
                continue
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
def _restore(facts: Machine, tree: Tree, root: np.ndarray) -> None:
    """Make the choices of a root of level 1 again, whose options are still listed."""
    to, to_times = np.zeros(2 * len(tree.arrays) + 1, np.int64), np.zeros(2 * len(tree.arrays) + 1, np.int64)
    factors = np.ones((5, 6))
    for k in range(8):
        v, d = 8 + k, SEQUENCE[k]
        tree.cursor[v] = root[k]
        row = tree.options[1, d, root[k]]
        kernel = row
        if d == 4 or d == 5:
            kernel = tree.options[1, d + 2, root[PLACE[d + 2]]]
        factors_of(tree, 1, d, row, kernel, factors)
        for c in range(5):
            for t in range(6):
                tree.partial[v + 1, c, t] = tree.partial[v, c, t] * factors[c, t]
        tree.compute[v + 1] = tree.compute[v] * row[OWN]
        tree.arrays[1, d], tree.tiles[1, d], tree.axes[1, d] = row[ARRAY], row[TILE], row[AXIS]
    lowest = np.inf
    for c in range(5):
        tree.energy[1, c] = level_energy(facts, 1, tree.partial[16, c])
        lowest = min(lowest, tree.energy[1, c])
    tree.done[2] = tree.done[1] + lowest
    carry(facts, tree, 1)
    cut_tiles(tree, 1, to, to_times)


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingCertificate:
    """What the search proved: no mapping in the space is better than `lower` (in the objective's unit).

    status: optimal (nothing is better than `best` by more than ROUNDING), or bound. value: of the best mapping. nodes:
    of the tree. evaluations: of the model.
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


def _below(
    bounds: np.ndarray, best: np.ndarray, finished: Callable[[int, float], bool], until: float
) -> list[int]:  # fmt: skip
    """Search below the members of level 1, those of the least bound first, each for some nodes and then, round after
    round, for eight times as many. Returns those that are not finished when the process has used `until` CPU seconds.

    best [4]: the best mapping so far, its value first, which `finished` improves.
    """
    allowed = 20_000_000.0
    waiting = [int(i) for i in np.argsort(bounds, kind="stable")]
    while waiting and time.process_time() < until:
        later = []
        for position, i in enumerate(waiting):
            if bounds[i] >= best[0] * (1 - ROUNDING):
                break
            if time.process_time() > until:
                later += [j for j in waiting[position:] if bounds[j] < best[0] * (1 - ROUNDING)]
                break
            if not finished(i, allowed):
                later.append(i)
        waiting, allowed = later, allowed * 8
    return waiting


def solve(
    layer: NestLayer,
    hierarchy: Hierarchy,
    *,
    objective: str = "edp",
    incumbent: Mapping | None = None,
    seconds: float = SECONDS,
) -> MappingCertificate:
    """The best mapping of the space, or the best found and a bound when time is up.

    seconds: of CPU time. incumbent: a good mapping (that of `evolve`) to start from. Raises NbaError if no mapping
    fits.
    """
    began, began_cpu = time.monotonic(), time.process_time()
    depth = len(hierarchy.levels)
    facts, space, work = machine(layer, hierarchy), room(layer, hierarchy), scratch(depth)
    choices = level_orders(hierarchy)
    forced = _forced(hierarchy)
    goal = np.array(weights_of(objective))
    tree = new_tree(space, depth)
    best, member = np.array([np.inf, 0.0, 0.0, 0.0]), np.zeros((4, depth, 8), np.int64)
    if incumbent is not None:
        tree.plan[:] = encoded(incumbent)
        tree.axes[:] = np.array(incumbent.axes, np.int64)
        _judge(facts, tree, goal, work, best, member)
        tree.arrays[0] = tree.tiles[0] = space.extents
    set_floors(facts, tree)
    tree.done[1] = float(facts.pj[0, CONSTANT])
    least_cycles = float(layer.macs) / tree.places[0]
    limits = np.array([0.0, 2e9, least_cycles, float(_alike(space, forced))])
    floor = float(worth(goal, float(facts.pj[0, CONSTANT]) + tree.floor[1], least_cycles))
    stop = 1 if depth > 2 else depth
    roots, bounds = np.zeros((MAX_ROOTS, 8), np.int16), np.zeros(MAX_ROOTS)
    count = _search(facts, space, tree, goal, choices, forced, work, best, member, 1, stop, roots, bounds, limits)
    if count < 0:
        return _certificate(best, member, floor, nodes=int(limits[0]), seconds=time.monotonic() - began)

    def finished(root: int, allowed: float) -> bool:
        """Whether the search below a member of level 1 ends within so many more nodes."""
        _restore(facts, tree, roots[root])
        limits[1] = limits[0] + allowed
        found = _search(facts, space, tree, goal, choices, forced, work, best, member, 2, depth, roots, bounds, limits)
        return found >= 0

    waiting = _below(bounds[:count], best, finished, began_cpu + seconds)
    lower = min((float(bounds[i]) for i in waiting), default=np.inf)
    return _certificate(best, member, lower, nodes=int(limits[0]), seconds=time.monotonic() - began)


def _forced(hierarchy: Hierarchy) -> np.ndarray:
    """bool [levels, 8]: the loops that every level keeps innermost."""
    forced = np.zeros((len(hierarchy.levels), 8), np.bool_)
    for number, level in enumerate(hierarchy.levels):
        forced[number, list(level.innermost)] = True
    return forced


def _certificate(
    best: np.ndarray, member: np.ndarray, lower: float, *, nodes: int, seconds: float
) -> MappingCertificate:  # fmt: skip
    """best [4]: value, energy, cycles and evaluations; member int64 [4, levels, 8]: the mapping."""
    value = float(best[0])
    optimal = lower >= value * (1 - ROUNDING)
    found = Found(
        mapping=as_mapping(member[0], member[1], member[2], member[3, : member.shape[1] - 1]),
        energy_pj=float(best[1]),
        cycles=int(best[2]),
    )
    return MappingCertificate(
        status="optimal" if optimal else "bound",
        best=found,
        value=value,
        lower=value if optimal else lower,
        nodes=nodes,
        evaluations=int(best[3]),
        seconds=seconds,
    )
