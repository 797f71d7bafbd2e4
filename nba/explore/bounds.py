# SPDX-License-Identifier: Apache-2.0
"""Compiled parts of the exact mapping: tuples of engines that an interval does not rule out, and makespan problems on
unrelated machines.

Work in floating point (exact: far below 2**53), `FORBIDDEN` where a layer may not run on an engine. Bounds are those
of docs/decisions/0009: for weights y >= 0 with sum y <= 1, interval >= sum_i min_k y_k * work[k, i].
"""

from __future__ import annotations

import numpy as np

from nba.core.compiled import fast

FORBIDDEN = 1e15
"""Work of a layer on an engine that cannot execute it."""
SLACK = 1e-6
"""Relative rounding of a bound that is allowed for: integers are compared with bounds less this."""
DUAL_STEPS = 40
"""Steps of the dual ascent of one tuple."""


@fast
def undominated(work: np.ndarray, lanes: np.ndarray, pq: np.ndarray) -> np.ndarray:
    """bool [n]: options, in ascending order of their DSPs, that no earlier one can stand in for: as fast on every layer
    of work [n, L], with the same drain and input words that every drain fits into that fitted before."""
    n, n_layers = work.shape
    kept = np.zeros(n, np.bool_)
    for a in range(n):
        alive = True
        for b in range(a):
            if not kept[b] or pq[b] != pq[a] or lanes[b] % lanes[a] != 0:
                continue
            better = True
            for i in range(n_layers):
                if work[b, i] > work[a, i]:
                    better = False
                    break
            if better:
                alive = False
                break
        kept[a] = alive
    return kept


@fast
def _to_go(work: np.ndarray, y: np.ndarray, parent: np.ndarray, legal: np.ndarray, here: np.ndarray,
           below: np.ndarray) -> float:  # fmt: skip
    """Least sum of y_k * work over the layers of a forest, every layer on an engine that its parent's engine may feed
    (legal [K, K]: producer, consumer). here [L, K]: of a layer and all below it on engine k; below [L, K]: of a layer
    and all below it if its parent is on engine k."""
    n_chunks, n_layers = work.shape
    for i in range(n_layers):
        for k in range(n_chunks):
            here[i, k] = y[k] * work[k, i]
    total = 0.0
    for i in range(n_layers - 1, -1, -1):
        p = parent[i]
        if p < 0:
            least = here[i, 0]
            for k in range(1, n_chunks):
                least = min(least, here[i, k])
            total += least
            continue
        for o in range(n_chunks):
            least = FORBIDDEN
            for k in range(n_chunks):
                if legal[o, k] and here[i, k] < least:
                    least = here[i, k]
            below[i, o] = least
            here[p, o] += least
    return total


@fast
def dual(
    work: np.ndarray, parent: np.ndarray, legal: np.ndarray, y: np.ndarray, goal: float, steps: int, owner: np.ndarray
) -> tuple[float, float]:  # fmt: skip
    """Ascent of the bound over the simplex, from y [K] (left at its best point), until `goal` is reached. Returns the
    bound and the busiest engine of the best assignment met on the way, which owner [L] takes."""
    n_chunks, n_layers = work.shape
    here = np.empty((n_layers, n_chunks))
    below = np.empty((n_layers, n_chunks))
    loads = np.empty(n_chunks)
    trial = np.empty(n_layers, np.int64)
    best = -1.0
    upper = FORBIDDEN * n_layers
    best_y = y.copy()
    for step in range(steps):
        value = _to_go(work, y, parent, legal, here, below)
        if value > best:
            best = value
            best_y[:] = y
            if best >= goal:
                break
        loads[:] = 0.0
        for i in range(n_layers):
            k = -1
            for o in range(n_chunks):
                if (parent[i] < 0 or legal[trial[parent[i]], o]) and (k < 0 or here[i, o] < here[i, k]):
                    k = o
            if k < 0:
                return FORBIDDEN, upper
            trial[i] = k
            loads[k] += work[k, i]
        if loads.max() < upper:
            upper = loads.max()
            owner[:] = trial
        rate = 0.5 / (1.0 + 0.35 * step)
        total = 0.0
        for k in range(n_chunks):
            y[k] *= np.exp(rate * min(1.5, max(-1.5, loads[k] / value - 1.0)))
            total += y[k]
        for k in range(n_chunks):
            y[k] /= total
    y[:] = best_y
    return best, upper


# One compiled loop: an enumeration whose state lives in local arrays.
@fast
def tuples(
    work: np.ndarray, dsp: np.ndarray, lanes: np.ndarray, pq: np.ndarray, parent: np.ndarray, n_chunks: int,
    budget: float, goal: float, max_nodes: int, found: np.ndarray, bound: np.ndarray,
) -> tuple[int, int, float]:  # fmt: skip
    """Every multiset of `n_chunks` options (dsp [n] descending) within `budget` whose bound is below `goal`: fills
    found [., n_chunks] and bound [.]. Returns their number, the nodes visited, and the least bound of what was left
    unvisited for want of nodes or room (`goal` if nothing was)."""
    n, n_layers = work.shape
    area = np.empty((n, n_layers))
    least_area = np.empty((n, n_layers))
    for o in range(n - 1, -1, -1):
        for i in range(n_layers):
            area[o, i] = dsp[o] * work[o, i]
            least_area[o, i] = area[o, i] if o == n - 1 else min(area[o, i], least_area[o + 1, i])
    best = np.empty((n_chunks + 1, n_layers))
    best[0] = FORBIDDEN * 1e6
    used = np.zeros(n_chunks + 1)
    index = np.zeros(n_chunks, np.int64)
    matrix = np.empty((n_chunks, n_layers))
    y = np.empty(n_chunks)
    legal = np.empty((n_chunks, n_chunks), np.bool_)
    owner = np.empty(n_layers, np.int64)
    count = 0
    nodes = 0
    left = goal
    depth = 0
    index[0] = -1
    while depth >= 0:
        index[depth] += 1
        o = index[depth]
        if o >= n:
            depth -= 1
            continue
        now = used[depth] + dsp[o]
        rest = n_chunks - 1 - depth
        if now + rest * dsp[n - 1] > budget:
            continue
        nodes += 1
        # What this and all later options at this depth could reach: dsp only falls.
        most = min(budget, used[depth] + (rest + 1) * dsp[o])
        value = 0.0
        for i in range(n_layers):
            value += min(best[depth, i], least_area[o, i])
        if most <= 0.0 or value >= goal * most:
            depth -= 1
            continue
        if nodes > max_nodes or count == len(bound):
            left = min(left, value / most)
            depth -= 1
            continue
        value = 0.0
        for i in range(n_layers):
            best[depth + 1, i] = min(best[depth, i], area[o, i])
        if rest > 0:
            most = min(budget, now + rest * dsp[o])
            for i in range(n_layers):
                value += min(best[depth + 1, i], least_area[o, i])
            if value >= goal * most:
                continue
            used[depth + 1] = now
            depth += 1
            index[depth] = o - 1
            continue
        for i in range(n_layers):
            value += best[depth + 1, i]
        if now > 0.0 and value >= goal * now:
            continue
        for k in range(n_chunks):
            matrix[k] = work[index[k]]
            y[k] = dsp[index[k]] / now
            for c in range(n_chunks):
                legal[k, c] = lanes[index[c]] % pq[index[k]] == 0
        value = dual(matrix, parent, legal, y, goal, DUAL_STEPS, owner)[0]
        if value < goal:
            found[count] = index
            bound[count] = value
            count += 1
    return count, nodes, left


@fast
def _fits(i: int, k: int, owner: np.ndarray, parent: np.ndarray, other: np.ndarray, legal: np.ndarray,
          together: np.ndarray) -> bool:  # fmt: skip
    """Whether layer i may run on engine k next to all others as they are."""
    if parent[i] >= 0 and not legal[owner[parent[i]], k]:
        return False
    if other[i] >= 0 and not together[owner[other[i]], k]:
        return False
    for j in range(i + 1, owner.size):
        if parent[j] == i and not legal[k, owner[j]]:
            return False
        if other[j] == i and not together[k, owner[j]]:
            return False
    return True


@fast
def _improve(
    work: np.ndarray, owner: np.ndarray, parent: np.ndarray, other: np.ndarray, legal: np.ndarray,
    together: np.ndarray,
) -> float:  # fmt: skip
    """Moves and swaps away from the busiest engine while they shorten it and stay legal, in place; the busiest."""
    n_chunks, n_layers = work.shape
    loads = np.zeros(n_chunks)
    for i in range(n_layers):
        loads[owner[i]] += work[owner[i], i]
    while True:
        k = int(loads.argmax())
        best = loads[k] - 0.5
        move_i, move_j, move_k = -1, -1, -1
        for i in range(n_layers):
            if owner[i] != k:
                continue
            for o in range(n_chunks):
                value = max(loads[k] - work[k, i], loads[o] + work[o, i])
                if o != k and value < best and _fits(i, o, owner, parent, other, legal, together):
                    best, move_i, move_j, move_k = value, i, -1, o
            for j in range(n_layers):
                o = owner[j]
                if o == k:
                    continue
                value = max(loads[k] - work[k, i] + work[k, j], loads[o] - work[o, j] + work[o, i])
                if value < best:
                    owner[i], owner[j] = o, k
                    if _fits(i, o, owner, parent, other, legal, together) and _fits(
                        j, k, owner, parent, other, legal, together
                    ):
                        best, move_i, move_j, move_k = value, i, j, o
                    owner[i], owner[j] = k, o
        if move_i < 0:
            return loads[k]
        loads[k] -= work[k, move_i]
        loads[move_k] += work[move_k, move_i]
        owner[move_i] = move_k
        if move_j >= 0:
            loads[move_k] -= work[move_k, move_j]
            loads[k] += work[k, move_j]
            owner[move_j] = k


# One compiled loop: a branch and bound whose state lives in local arrays.
@fast
def makespan(
    work: np.ndarray, parent: np.ndarray, other: np.ndarray, legal: np.ndarray, together: np.ndarray, y: np.ndarray,
    limit: float, max_nodes: int, owner: np.ndarray,
) -> tuple[float, float, int]:  # fmt: skip
    """The shortest busiest engine of work [K, L] (integers): (proved lower bound, found, nodes); fills owner [L].

    parent, other [L]: the layers that write a layer's input and residual, or -1; legal, together [K, K]: which engine
    may feed which on either port. Dual ascent from y, local search, then branch and bound in the order of the layers by
    the dual's weights; what is not below `limit` is not searched for.
    """
    n_chunks, n_layers = work.shape
    lower, upper = dual(work, parent, legal, y, limit, 3 * DUAL_STEPS, owner)
    lower = np.ceil(lower * (1.0 - SLACK) - SLACK)
    if lower >= limit:
        return lower, FORBIDDEN, 0
    consistent = True
    for i in range(n_layers):
        consistent = consistent and (other[i] < 0 or together[owner[other[i]], owner[i]])
    upper = _improve(work, owner, parent, other, legal, together) if consistent else FORBIDDEN
    if lower >= upper:
        return lower, upper, 0
    here = np.empty((n_layers, n_chunks))
    below = np.empty((n_layers, n_chunks))
    bound = np.empty(n_layers + 1)
    bound[0] = _to_go(work, y, parent, legal, here, below)
    rank = np.empty((n_layers, n_chunks), np.int64)
    for i in range(n_layers):
        rank[i] = np.argsort(here[i])
    ceiling = min(upper, limit)
    at = np.full(n_layers, -1, np.int64)
    state = np.zeros(n_layers, np.int64)
    part = np.zeros((n_layers + 1, n_chunks))
    nodes = 0
    i = 0
    while i >= 0:
        at[i] += 1
        if at[i] >= n_chunks or nodes > max_nodes:
            at[i] = -1
            i -= 1
            continue
        nodes += 1
        k = rank[i, at[i]]
        p = parent[i]
        if (p >= 0 and not legal[state[p], k]) or (other[i] >= 0 and not together[state[other[i]], k]):
            continue
        new = part[i, k] + work[k, i]
        if new > ceiling - 0.5:
            continue
        least = here[i, rank[i, 0]] if p < 0 else below[i, state[p]]
        value = bound[i] - least + here[i, k]
        if value * (1.0 - SLACK) - SLACK > ceiling - 1.0:
            continue
        state[i] = k
        for o in range(n_chunks):
            part[i + 1, o] = part[i, o]
        part[i + 1, k] = new
        bound[i + 1] = value
        if i == n_layers - 1:
            owner[:] = state
            upper = _improve(work, owner, parent, other, legal, together)
            ceiling = min(ceiling, upper)
            if upper <= lower:
                return lower, upper, nodes
            continue
        i += 1
    if nodes <= max_nodes:
        lower = max(lower, ceiling)
    return lower, upper, nodes
