# SPDX-License-Identifier: Apache-2.0
"""Members of the evolutionary search: judged, mutated, improved step by step; compiled (nba.loopnest.evolve)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nba.core.compiled import compiled
from nba.loopnest.model import Machine, Scratch, evaluate
from nba.loopnest.objective import better, worth
from nba.loopnest.space import Room, blocked, chain, draw_integer, draw_log, overfull, settle


class Pool(NamedTuple):
    """Mappings and what they cost: plan [n, 3, L, 8] (nba.loopnest.model) with its parts arrays, tiles, orders [n, L,
    8]; axes [n, L, 8]; energy, cycles, value [n]."""

    plan: np.ndarray
    arrays: np.ndarray
    tiles: np.ndarray
    axes: np.ndarray
    orders: np.ndarray
    energy: np.ndarray
    cycles: np.ndarray
    value: np.ndarray


def new_pool(n: int, depth: int) -> Pool:
    """n members that any mapping is better than. A pool of one has an unused row more: without it numpy calls the
    parts of the plan contiguous, and everything would be compiled for two types of pools."""
    plan = np.ones((max(n, 2), 3, depth, 8), np.int64)
    plan[:, 2] = np.arange(8)
    return Pool(
        plan=plan,
        arrays=plan[:, 0],
        tiles=plan[:, 1],
        axes=np.zeros((n, depth, 8), np.int64),
        orders=plan[:, 2],
        energy=np.full(n, np.inf),
        cycles=np.zeros(n, np.int64),
        value=np.full(n, np.inf),
    )


@compiled
def copy_member(source: Pool, i: int, target: Pool, j: int) -> None:
    target.plan[j] = source.plan[i]
    target.axes[j] = source.axes[i]
    target.energy[j] = source.energy[i]
    target.cycles[j] = source.cycles[i]
    target.value[j] = source.value[i]


@compiled
def _keep(pool: Pool, i: int, front: Pool) -> None:
    """Put member i on the front if no member of that is as good in both."""
    energy, cycles = pool.energy[i], pool.cycles[i]
    free = -1
    for k in range(len(front.energy)):
        if front.energy[k] <= energy and front.cycles[k] <= cycles:
            return
        if energy <= front.energy[k] and cycles <= front.cycles[k]:
            front.energy[k] = np.inf
            front.cycles[k] = np.iinfo(np.int64).max
        if front.energy[k] == np.inf:
            free = k
    if free >= 0:
        copy_member(pool, i, front, free)
        return
    # Full: the new one takes the place of the worst product, if that is worse than its own.
    worst = int(np.argmax(front.energy * front.cycles))
    if energy * cycles < front.energy[worst] * front.cycles[worst]:
        copy_member(pool, i, front, worst)


@compiled
def judge(
    facts: Machine, work: Scratch, weights: np.ndarray, pool: Pool, i: int, front: Pool, best: Pool
) -> None:  # fmt: skip
    """Evaluate member i; keep it if it is the best so far."""
    energy, cycles = evaluate(facts.facts, facts.pj, pool.plan[i], work.work, work.table)
    pool.energy[i], pool.cycles[i], pool.value[i] = energy, cycles, worth(weights, energy, cycles)
    if energy * cycles < 1.5 * best.energy[0] * best.cycles[0] or best.energy[0] == np.inf:
        _keep(pool, i, front)
    if best.energy[0] == np.inf or better(weights, energy, cycles, best.energy[0], best.cycles[0]):
        copy_member(pool, i, best, 0)


# One compiled function: its branches are the kinds of change, with the random draws in a fixed order.
@compiled
def mutate(space: Room, choices: np.ndarray, pool: Pool, i: int, state: np.ndarray) -> None:
    """Change one size, the unrolling of one loop, or one order of member i."""
    arrays, tiles, axes, orders = pool.arrays[i], pool.tiles[i], pool.axes[i], pool.orders[i]
    depth = arrays.shape[0]
    level = 1 + draw_integer(state, depth - 1)
    kind = draw_integer(state, 8)
    if kind == 0:
        orders[level - 1] = choices[level - 1, draw_integer(state, choices.shape[1])]
        return
    d = 0
    for _ in range(16):
        d = draw_integer(state, 8)
        if tiles[level - 1, d] > 1:
            break
    outside = tiles[level - 1, d]
    fan = (arrays[level, d] + tiles[level, d] - 1) // tiles[level, d]
    if kind <= 2:
        size = max(1, outside // draw_log(state, outside))
        tiles[level, d] = max(1, size // fan)
    elif kind <= 4:
        n = (outside + arrays[level, d] - 1) // arrays[level, d]
        larger = outside if n <= 2 else (outside + n - 2) // (n - 1)
        size = max(1, arrays[level, d] - 1) if draw_integer(state, 2) else larger
        tiles[level, d] = max(1, (size + fan - 1) // fan)
    elif kind <= 6:
        axis = draw_integer(state, space.axis.shape[1])
        room_left = space.axis[level, axis]
        if room_left > 1 and space.may[level, axis, d]:
            axes[level, d] = axis
            whole = min(outside, arrays[level, d])
            fan = 1 + draw_integer(state, min(room_left, outside))
            if draw_integer(state, 2):
                # The others keep their instances, and this one takes what is left of the axis.
                used = 1
                for other in range(8):
                    if other != d and axes[level, other] == axis:
                        used *= (arrays[level, other] + tiles[level, other] - 1) // tiles[level, other]
                fan = max(1, min(outside, room_left // used))
            else:
                # Something else gives way.
                for other in range(8):
                    if other != d and axes[level, other] == axis and draw_integer(state, 2):
                        arrays[level, other] = tiles[level, other]
            if draw_integer(state, 2):
                tiles[level, d] = (whole + fan - 1) // fan
    else:
        # A factor moves from one loop to another.
        other = draw_integer(state, 8)
        factor = 2 + draw_integer(state, 3)
        tiles[level, d] = max(1, tiles[level, d] // factor)
        more = (arrays[level, other] + tiles[level, other] - 1) // tiles[level, other]
        tiles[level, other] = min(tiles[level - 1, other], tiles[level, other] * factor)
        arrays[level, other] = min(tiles[level - 1, other], tiles[level, other] * more)
    arrays[level, d] = min(outside, fan * tiles[level, d])
    if space.unit[level, d]:
        tiles[level, d] = 1
        arrays[level, d] = min(outside, fan)


@compiled
def grow(space: Room, pool: Pool, i: int, state: np.ndarray) -> None:
    """Enlarge tiles of one or more levels of member i, loop by loop in a random order, as long as they fit."""
    depth = pool.arrays.shape[1]
    arrays, tiles = pool.arrays[i], pool.tiles[i]
    for level in range(1, depth):
        if draw_integer(state, 2):
            continue
        first, step = draw_integer(state, 8), 1 + 2 * draw_integer(state, 4)
        for k in range(8):
            d = (first + k * step) % 8
            outside = tiles[level - 1, d]
            if space.unit[level, d]:
                continue
            while arrays[level, d] < outside:
                array, tile = arrays[level, d], tiles[level, d]
                fan = (array + tile - 1) // tile
                n = (outside + array - 1) // array
                arrays[level, d] = outside if n <= 2 else (outside + n - 2) // (n - 1)
                tiles[level, d] = (arrays[level, d] + fan - 1) // fan
                if overfull(space, level, tiles[level]) >= 0:
                    arrays[level, d], tiles[level, d] = array, tile
                    break
    settle(space, arrays, tiles, pool.axes[i], state)


@compiled
def respread(space: Room, pool: Pool, i: int, pair: int, state: np.ndarray) -> None:
    """Share out the instances of the levels of member i anew, by loops that fill the axes. pair: number of a
    combination of first loops of the axes, as if it had as many digits of base 8 as there are axes; -1: any."""
    depth = pool.arrays.shape[1]
    arrays, tiles, axes = pool.arrays[i], pool.tiles[i], pool.axes[i]
    for level in range(1, depth):
        if np.max(space.axis[level]) <= 1:
            continue
        taken = 0
        whole = arrays[level].copy()
        tiles[level] = whole
        for axis in range(space.axis.shape[1]):
            left = space.axis[level, axis]
            for attempt in range(8):
                d = draw_integer(state, 8)
                if attempt == 0 and pair >= 0:
                    d = (pair >> 3 * axis) & 7
                outside = tiles[level - 1, d]
                if left < 2 or outside < 2 or (taken >> d) & 1 or not space.may[level, axis, d]:
                    continue
                most = min(left, outside)
                fan = most if draw_integer(state, 2) or (attempt == 0 and pair >= 0) else 1 + draw_integer(state, most)
                taken |= 1 << d
                left //= fan
                axes[level, d] = axis
                size = max(whole[d], fan) if draw_integer(state, 2) else outside
                tiles[level, d] = (size + fan - 1) // fan
                arrays[level, d] = min(outside, fan * tiles[level, d])
        for d in range(8):
            if space.unit[level, d]:
                fan = (arrays[level, d] + tiles[level, d] - 1) // tiles[level, d]
                tiles[level, d] = 1
                arrays[level, d] = fan
    settle(space, arrays, tiles, axes, state)


@compiled
def _sized(space: Room, pool: Pool, i: int, level: int, d: int, fan: int, tile: int, state: np.ndarray) -> None:
    """Wish a size of a loop, and settle."""
    outside = pool.tiles[i, level - 1, d]
    chain(space, level, d, min(fan, outside), max(1, min(outside, tile)), pool.arrays[i], pool.tiles[i])
    settle(space, pool.arrays[i], pool.tiles[i], pool.axes[i], state)
    if draw_integer(state, 2):
        grow(space, pool, i, state)


# One compiled loop: all kinds of neighbours share the member on trial.
@compiled
def improve_member(
    facts: Machine, space: Room, work: Scratch, choices: np.ndarray, weights: np.ndarray, pool: Pool, i: int,
    trial: Pool, front: Pool, best: Pool, state: np.ndarray, limit: int,
) -> int:  # fmt: skip
    """Improve member i by its neighbours until none is better, with at most about `limit` evaluations; how many."""
    depth = pool.arrays.shape[1]
    used = 0
    improved = True
    while improved and used < limit:
        improved = False
        for level in range(1, depth):
            for number in range(choices.shape[1]):
                copy_member(pool, i, trial, 0)
                trial.orders[0, level - 1] = choices[level - 1, number]
                judge(facts, work, weights, trial, 0, front, best)
                used += 1
                if better(weights, trial.energy[0], trial.cycles[0], pool.energy[i], pool.cycles[i]):
                    copy_member(trial, 0, pool, i)
                    improved = True
            first = draw_integer(state, 8)
            for step in range(8):
                d = (first + step) % 8
                outside = pool.tiles[i, level - 1, d]
                if outside == 1:
                    continue
                # All sizes, and then all numbers of instances along either axis.
                array = outside
                while True:
                    copy_member(pool, i, trial, 0)
                    fan = (trial.arrays[0, level, d] + trial.tiles[0, level, d] - 1) // trial.tiles[0, level, d]
                    _sized(space, trial, 0, level, d, fan, (array + fan - 1) // fan, state)
                    judge(facts, work, weights, trial, 0, front, best)
                    used += 1
                    if better(weights, trial.energy[0], trial.cycles[0], pool.energy[i], pool.cycles[i]):
                        copy_member(trial, 0, pool, i)
                        improved = True
                    if array == 1:
                        break
                    array = blocked(outside, (outside - 1) // ((outside + array - 1) // array))
                for axis in range(space.axis.shape[1]):
                    if not space.may[level, axis, d]:
                        continue
                    for fan in range(1, min(outside, space.axis[level, axis]) + 1):
                        copy_member(pool, i, trial, 0)
                        array, tile = trial.arrays[0, level, d], trial.tiles[0, level, d]
                        trial.axes[0, level, d] = axis
                        if draw_integer(state, 2):
                            tile = (array + fan - 1) // fan
                        _sized(space, trial, 0, level, d, fan, tile, state)
                        judge(facts, work, weights, trial, 0, front, best)
                        used += 1
                        if better(weights, trial.energy[0], trial.cycles[0], pool.energy[i], pool.cycles[i]):
                            copy_member(trial, 0, pool, i)
                            improved = True
        # Pairs of loops that exchange a factor, level by level.
        for _ in range(40):
            copy_member(pool, i, trial, 0)
            for _ in range(2 + draw_integer(state, 2)):
                mutate(space, choices, trial, 0, state)
            settle(space, trial.arrays[0], trial.tiles[0], trial.axes[0], state)
            if draw_integer(state, 2):
                grow(space, trial, 0, state)
            judge(facts, work, weights, trial, 0, front, best)
            used += 1
            if better(weights, trial.energy[0], trial.cycles[0], pool.energy[i], pool.cycles[i]):
                copy_member(trial, 0, pool, i)
                improved = True
    return used
