# SPDX-License-Identifier: Apache-2.0
"""Evolutionary search over mappings (AutoMapper of InstantNet, Fu et al., DAC 2021), all of it in compiled code.

A member is a mapping (nba.loopnest.space). Children take the chains of sizes of every loop, and the order of every
level, from either of two parents chosen by tournament; are mutated in sizes, unrolling or orders; and replace the
worse of two members if they are better. Every now and then one is improved step by step (all neighbours in sizes,
unrolling and orders) until nothing helps. When a population stalls, the next one starts anew; the best members of all
meet in the last one. The search counts evaluations, not seconds, and owns its generator: the same seed and effort give
the same mapping.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from nba.core.compiled import compiled
from nba.loopnest.dataflows import Dataflow, constrained
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import NestLayer
from nba.loopnest.mapping import Mapping
from nba.loopnest.model import Machine, Scratch, encoded, machine, scratch
from nba.loopnest.objective import Found, weights_of
from nba.loopnest.space import Room, as_mapping, draw_integer, level_orders, random_member, room, settle
from nba.loopnest.variation import Pool, copy_member, grow, improve_member, judge, mutate, new_pool, respread

POPULATION = 48
FRONT = 64
"""Most (energy, latency) pairs kept that no other one beats in both."""
CHUNK = 20_000
"""Evaluations between two calls of the progress callback."""
EVALUATIONS = 240_000
"""Effort for one layer unless said otherwise."""
STALL = 6_000
"""Evaluations without a better member after which a population starts anew."""


@compiled
def _tournament(pool: Pool, state: np.ndarray, worst: bool) -> int:
    a, b = draw_integer(state, len(pool.value)), draw_integer(state, len(pool.value))
    return a if (pool.value[a] < pool.value[b]) != worst else b


# One compiled loop: a generation changes the populations in place, and every evaluation counts against the effort.
@compiled
def _round(
    facts: Machine, space: Room, work: Scratch, choices: np.ndarray, weights: np.ndarray, pool: Pool, trial: Pool,
    front: Pool, best: Pool, elite: Pool, state: np.ndarray, status: np.ndarray, until: int, total: int,
) -> None:  # fmt: skip
    """Evolve until status[0] evaluations reach `until`, of `total` in all.

    status: evaluations so far; evaluation at which the population began (-1: begin one) and that of its last
    improvement; populations so far; evaluations before the first one. Best of this population: the last one of `elite`.
    """
    n, depth = pool.arrays.shape[0], pool.arrays.shape[1]
    last = len(elite.value) - 1
    while status[0] < until:
        if status[0] == status[4]:
            # Every pair of loops begins to fill the axes once: each such member is improved, and the best ones remain.
            for pair in range(64):
                first, second = pair & 7, pair >> 3
                if space.extents[first] == 1 or space.extents[second] == 1 or status[0] > total // 3:
                    continue
                random_member(space, choices, trial.arrays[0], trial.tiles[0], trial.axes[0], trial.orders[0], state)
                trial.arrays[0, 1:], trial.tiles[0, 1:] = space.extents, space.extents
                respread(space, trial, 0, pair, state)
                grow(space, trial, 0, state)
                judge(facts, work, weights, trial, 0, front, best)
                worst = int(np.argmax(pool.value))
                copy_member(trial, 0, pool, worst)
                status[0] += 1 + improve_member(
                    facts, space, work, choices, weights, pool, worst, trial, front, best, state, 1
                )
            for i in range(n):
                if pool.value[i] == np.inf:
                    random_member(space, choices, pool.arrays[i], pool.tiles[i], pool.axes[i], pool.orders[i], state)
                    judge(facts, work, weights, pool, i, front, best)
                    status[0] += 1
            status[1] = status[2] = status[0]
            elite.value[last] = np.inf
            continue
        if status[1] < 0:
            reunion = status[0] > 3 * total // 4 and status[3] > 1
            for i in range(n):
                if reunion and i < min(last, status[3]):
                    copy_member(elite, i, pool, i)
                    continue
                random_member(space, choices, pool.arrays[i], pool.tiles[i], pool.axes[i], pool.orders[i], state)
                if draw_integer(state, 4):
                    respread(space, pool, i, -1, state)
                if draw_integer(state, 2):
                    grow(space, pool, i, state)
                judge(facts, work, weights, pool, i, front, best)
                status[0] += 1
            elite.value[last] = np.inf
            status[1] = status[2] = status[0]
        child = 0
        mother, father = _tournament(pool, state, False), _tournament(pool, state, False)
        copy_member(pool, mother, trial, child)
        if draw_integer(state, 4) > 0:
            for d in range(8):
                if draw_integer(state, 2):
                    for level in range(1, depth):
                        trial.arrays[child, level, d] = pool.arrays[father, level, d]
                        trial.tiles[child, level, d] = pool.tiles[father, level, d]
                        trial.axes[child, level, d] = pool.axes[father, level, d]
            for level in range(depth - 1):
                if draw_integer(state, 2):
                    trial.orders[child, level] = pool.orders[father, level]
        for _ in range(draw_integer(state, 4)):
            mutate(space, choices, trial, child, state)
        if draw_integer(state, 8) == 0:
            respread(space, trial, child, -1, state)
        settle(space, trial.arrays[child], trial.tiles[child], trial.axes[child], state)
        if draw_integer(state, 2):
            grow(space, trial, child, state)
        judge(facts, work, weights, trial, child, front, best)
        status[0] += 1
        twin = False
        for i in range(n):
            if pool.energy[i] == trial.energy[child] and pool.cycles[i] == trial.cycles[child]:
                twin = True
        if twin:
            continue
        loser = _tournament(pool, state, True)
        if trial.value[child] < pool.value[loser]:
            copy_member(trial, child, pool, loser)
            if draw_integer(state, 20) == 0 or trial.value[child] < elite.value[last]:
                status[0] += improve_member(
                    facts, space, work, choices, weights, pool, loser, trial, front, best, state, total - status[0]
                )
            if pool.value[loser] < elite.value[last]:
                if pool.value[loser] < elite.value[last] * (1 - 1e-4):
                    status[2] = status[0]
                copy_member(pool, loser, elite, last)
        if status[0] - status[2] > STALL:
            place = status[3] % last
            if status[3] < last or elite.value[last] < elite.value[place]:
                copy_member(elite, last, elite, place)
            status[3] += 1
            status[1] = -1


@compiled
def _polish(
    facts: Machine, work: Scratch, weights: np.ndarray, trial: Pool, front: Pool, best: Pool
) -> int:  # fmt: skip
    """Try every order of the loops with several blocks in the best member, level by level; how many evaluations."""
    depth = best.arrays.shape[1]
    used = 0
    order, counter = np.zeros(8, np.int64), np.zeros(8, np.int64)
    for level in range(depth - 1):
        loops = 0
        trivial = 0
        for k in range(8):
            d = best.orders[0, level, k]
            if best.tiles[0, level, d] <= best.arrays[0, level + 1, d]:
                order[trivial] = d
                trivial += 1
        for k in range(8):
            d = best.orders[0, level, k]
            if best.tiles[0, level, d] > best.arrays[0, level + 1, d]:
                order[trivial + loops] = d
                loops += 1
        if loops < 2 or loops > 6:
            continue
        # Heap's algorithm.
        counter[:] = 0
        k = 1
        while k < loops:
            if counter[k] < k:
                other = counter[k] if k % 2 else 0
                order[trivial + other], order[trivial + k] = order[trivial + k], order[trivial + other]
                copy_member(best, 0, trial, 0)
                trial.orders[0, level] = order
                judge(facts, work, weights, trial, 0, front, best)
                used += 1
                counter[k] += 1
                k = 1
            else:
                counter[k] = 0
                k += 1
    return used


@dataclass(frozen=True, kw_only=True, slots=True)
class Evolved:
    """best: by the objective. front: what was found that no other beats in energy and latency, by latency."""

    best: Found
    front: tuple[Found, ...]
    evaluations: int
    seconds: float


# Long by its signature and by the arrays that all steps of the search share: parts would hand a dozen to each other.
def evolve(
    layer: NestLayer,
    hierarchy: Hierarchy,
    *,
    objective: str = "edp",
    weights: tuple[float, float] | None = None,
    seed: int = 0,
    evaluations: int = EVALUATIONS,
    seeds: tuple[Mapping, ...] = (),
    flow: Dataflow | None = None,
) -> Evolved:
    """Search for the mapping of the least objective. weights: of energy and latency in a sum to minimise instead.

    evaluations: effort. seeds: mappings that take part. flow: a fixed dataflow to keep to. Raises NbaError if no
    mapping fits.
    """
    began = time.monotonic()
    depth = len(hierarchy.levels)
    facts, space, work = machine(layer, hierarchy), room(layer, hierarchy), scratch(depth)
    choices = level_orders(hierarchy)
    if flow is not None:
        space, choices = constrained(flow, hierarchy, space)
    goal = np.array(weights if weights is not None else weights_of(objective))
    pool, trial, front, best = (new_pool(n, depth) for n in (POPULATION, 1, FRONT, 1))
    elite = new_pool(POPULATION // 2, depth)
    front.cycles[:] = np.iinfo(np.int64).max
    state = np.array([seed], np.uint64)
    status = np.array([0, -1, 0, 0, 0], np.int64)
    for mapping in seeds:
        trial.plan[0] = encoded(mapping)
        trial.axes[0] = np.array(mapping.axes, np.int64)
        judge(facts, work, goal, trial, 0, front, best)
        status[0] += 1 + improve_member(
            facts, space, work, choices, goal, trial, 0, new_pool(1, depth), front, best, state, evaluations // 20
        )
        if status[3] < len(elite.value) - 1:
            copy_member(trial, 0, elite, status[3])
            status[3] += 1
    status[4] = status[0]
    while status[0] < evaluations:
        until = min(evaluations, int(status[0]) + CHUNK)
        _round(
            facts, space, work, choices, goal, pool, trial, front, best, elite, state, status, until, evaluations
        )  # fmt: skip
    if flow is None and not any(level.innermost for level in hierarchy.levels):
        status[0] += _polish(facts, work, goal, trial, front, best)
    members = [i for i in range(FRONT) if front.energy[i] < np.inf]
    members.sort(key=lambda i: (int(front.cycles[i]), float(front.energy[i])))
    return Evolved(
        best=_found(best, 0),
        front=tuple(_found(front, i) for i in members),
        evaluations=int(status[0]),
        seconds=time.monotonic() - began,
    )


def _found(pool: Pool, i: int) -> Found:
    mapping = as_mapping(pool.arrays[i], pool.tiles[i], pool.axes[i], pool.orders[i, :-1])
    return Found(mapping=mapping, energy_pj=float(pool.energy[i]), cycles=int(pool.cycles[i]))
