# SPDX-License-Identifier: Apache-2.0
"""Evolutionary search over mappings (AutoMapper of InstantNet, Fu et al., DAC 2021), all of it in compiled code.

A member is a mapping (nba.nest.space). Children take the chains of sizes of every loop, and the order of every level, from
either of two parents chosen by tournament; are mutated in sizes, unrolling or orders; and replace the worse of two members if
they are better. Every now and then one is improved step by step (all neighbours in sizes, unrolling and orders) until nothing
helps. When a population stalls, the next one starts anew; the best members of all meet in the last one.
The search counts evaluations, not seconds, and owns its generator: the same seed and effort give the same mapping.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nba.compiled import compiled
from nba.errors import NbaError
from nba.nest.fixed import Dataflow, constrained
from nba.nest.hierarchy import Hierarchy
from nba.nest.layer import NestLayer
from nba.nest.mapping import Mapping
from nba.nest.model import Machine, Scratch, encoded, evaluate, machine, scratch
from nba.nest.space import Room, _chain, as_mapping, draw, draw_log, level_orders, random_member, room, settle

OBJECTIVES = ("edp", "energy", "latency", "fps")
"""What is minimised; fps is latency as far as one layer is concerned."""
POPULATION = 48
FRONT = 64
"""Most (energy, latency) pairs kept that no other one beats in both."""
CHUNK = 20_000
"""Evaluations between two calls of the progress callback."""
EVALUATIONS = 150_000
"""Effort for one layer unless said otherwise."""
STALL = 6_000
"""Evaluations without a better member after which a population starts anew."""


class Pool(NamedTuple):
    """Mappings and what they cost: plan [n, 3, L, 8] (nba.nest.model) with its parts arrays, tiles, orders [n, L, 8]; axes
    [n, L, 8]; energy, cycles, value [n]."""

    plan: np.ndarray
    arrays: np.ndarray
    tiles: np.ndarray
    axes: np.ndarray
    orders: np.ndarray
    energy: np.ndarray
    cycles: np.ndarray
    value: np.ndarray


def _pool(n: int, depth: int) -> Pool:
    plan = np.ones((n, 3, depth, 8), np.int64)
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


def weights_of(objective: str) -> tuple[float, float]:
    """(weight of energy, weight of latency) of the sum that an objective minimises; (0, 0) is their product, the EDP."""
    known = {"edp": (0.0, 0.0), "energy": (1.0, 0.0), "latency": (0.0, 1.0), "fps": (0.0, 1.0)}
    if objective not in known:
        raise NbaError(f"objective {objective!r} is not known; there are {', '.join(OBJECTIVES)}")
    return known[objective]


@compiled
def worth(weights: np.ndarray, energy: float, cycles: int) -> float:
    """The value to minimise: EDP, or a weighted sum in which a weight of 0 still breaks ties."""
    if weights[0] == 0.0 and weights[1] == 0.0:
        return energy * cycles
    return weights[0] * energy + weights[1] * cycles


@compiled
def better(weights: np.ndarray, energy: float, cycles: int, than_energy: float, than_cycles: int) -> bool:
    """Whether one (energy, cycles) is better than another: by value, then by the product."""
    value, other = worth(weights, energy, cycles), worth(weights, than_energy, than_cycles)
    return value < other or (value == other and energy * cycles < than_energy * than_cycles)


@compiled
def _copy(source: Pool, i: int, target: Pool, j: int) -> None:
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
        _copy(pool, i, front, free)
        return
    # Full: the new one takes the place of the worst product, if that is worse than its own.
    worst = np.argmax(front.energy * front.cycles)
    if energy * cycles < front.energy[worst] * front.cycles[worst]:
        _copy(pool, i, front, worst)


@compiled
def _judge(
    facts: Machine, work: Scratch, weights: np.ndarray, pool: Pool, i: int, front: Pool, best: Pool
) -> None:  # fmt: skip
    """Evaluate member i; keep it if it is the best so far."""
    energy, cycles = evaluate(facts.facts, facts.pj, pool.plan[i], work.work, work.table)
    pool.energy[i], pool.cycles[i], pool.value[i] = energy, cycles, worth(weights, energy, cycles)
    if energy * cycles < 1.5 * best.energy[0] * best.cycles[0] or best.energy[0] == np.inf:
        _keep(pool, i, front)
    if best.energy[0] == np.inf or better(weights, energy, cycles, best.energy[0], best.cycles[0]):
        _copy(pool, i, best, 0)


@compiled
def _mutate(space: Room, choices: np.ndarray, pool: Pool, i: int, state: np.ndarray) -> None:
    """Change one size, the unrolling of one loop, or one order of member i."""
    arrays, tiles, axes, orders = pool.arrays[i], pool.tiles[i], pool.axes[i], pool.orders[i]
    depth = arrays.shape[0]
    level = 1 + draw(state, depth - 1)
    kind = draw(state, 8)
    if kind == 0:
        orders[level - 1] = choices[level - 1, draw(state, choices.shape[1])]
        return
    d = 0
    for _ in range(16):
        d = draw(state, 8)
        if tiles[level - 1, d] > 1:
            break
    outside = tiles[level - 1, d]
    fan = (arrays[level, d] + tiles[level, d] - 1) // tiles[level, d]
    if kind <= 2:
        size = max(1, outside // draw_log(state, outside))
        tiles[level, d] = max(1, size // fan)
    elif kind <= 4:
        n = (outside + arrays[level, d] - 1) // arrays[level, d]
        if draw(state, 2):
            size = max(1, arrays[level, d] - 1)
        else:
            size = outside if n <= 2 else (outside + n - 2) // (n - 1)
        tiles[level, d] = max(1, (size + fan - 1) // fan)
    elif kind <= 6:
        axis = draw(state, space.axis.shape[1])
        room_left = space.axis[level, axis]
        if room_left > 1 and space.may[level, axis, d]:
            axes[level, d] = axis
            whole = min(outside, arrays[level, d])
            fan = 1 + draw(state, min(room_left, outside))
            if draw(state, 2):
                # The others keep their instances, and this one takes what is left of the axis.
                used = 1
                for other in range(8):
                    if other != d and axes[level, other] == axis:
                        used *= (arrays[level, other] + tiles[level, other] - 1) // tiles[level, other]
                fan = max(1, min(outside, room_left // used))
            else:
                # Something else gives way.
                for other in range(8):
                    if other != d and axes[level, other] == axis and draw(state, 2):
                        arrays[level, other] = tiles[level, other]
            if draw(state, 2):
                tiles[level, d] = (whole + fan - 1) // fan
    else:
        # A factor moves from one loop to another.
        other = draw(state, 8)
        factor = 2 + draw(state, 3)
        tiles[level, d] = max(1, tiles[level, d] // factor)
        more = (arrays[level, other] + tiles[level, other] - 1) // tiles[level, other]
        tiles[level, other] = min(tiles[level - 1, other], tiles[level, other] * factor)
        arrays[level, other] = min(tiles[level - 1, other], tiles[level, other] * more)
    arrays[level, d] = min(outside, fan * tiles[level, d])
    if space.unit[level, d]:
        tiles[level, d] = 1
        arrays[level, d] = min(outside, fan)


@compiled
def _sized(space: Room, pool: Pool, i: int, level: int, d: int, fan: int, tile: int, state: np.ndarray) -> None:
    """Wish a size of a loop, and settle."""
    outside = pool.tiles[i, level - 1, d]
    _chain(space, level, d, min(fan, outside), max(1, min(outside, tile)), pool.arrays[i], pool.tiles[i])
    settle(space, pool.arrays[i], pool.tiles[i], pool.axes[i], state)


@compiled
def _refine(
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
                _copy(pool, i, trial, 0)
                trial.orders[0, level - 1] = choices[level - 1, number]
                _judge(facts, work, weights, trial, 0, front, best)
                used += 1
                if better(weights, trial.energy[0], trial.cycles[0], pool.energy[i], pool.cycles[i]):
                    _copy(trial, 0, pool, i)
                    improved = True
            first = draw(state, 8)
            for step in range(8):
                d = (first + step) % 8
                outside = pool.tiles[i, level - 1, d]
                if outside == 1:
                    continue
                for move in range(4 + 4 * space.axis.shape[1]):
                    _copy(pool, i, trial, 0)
                    array, tile = trial.arrays[0, level, d], trial.tiles[0, level, d]
                    fan = (array + tile - 1) // tile
                    n = (outside + array - 1) // array
                    if move == 0:
                        tile = (outside - 1) // n // fan
                    elif move == 1:
                        if n == 1:
                            continue
                        tile = ((outside + n - 2) // (n - 1) + fan - 1) // fan
                    elif move == 2:
                        tile = tile // 2
                    elif move == 3:
                        tile = 2 * tile
                    else:
                        axis = (move - 4) // 4
                        if space.axis[level, axis] <= 1 or not space.may[level, axis, d]:
                            continue
                        if fan > 1 and axis != trial.axes[0, level, d] and (move - 4) % 4 != 0:
                            continue
                        trial.axes[0, level, d] = axis
                        kind = (move - 4) % 4
                        if kind == 1:
                            fan += 1
                        elif kind == 2:
                            fan = max(1, fan - 1)
                        elif kind == 3:
                            used_up = 1
                            for other in range(8):
                                if other != d and trial.axes[0, level, other] == axis:
                                    a, t = trial.arrays[0, level, other], trial.tiles[0, level, other]
                                    used_up *= (a + t - 1) // t
                            fan = max(1, space.axis[level, axis] // used_up)
                        if draw(state, 2):
                            tile = (array + fan - 1) // fan
                    _sized(space, trial, 0, level, d, fan, tile, state)
                    _judge(facts, work, weights, trial, 0, front, best)
                    used += 1
                    if better(weights, trial.energy[0], trial.cycles[0], pool.energy[i], pool.cycles[i]):
                        _copy(trial, 0, pool, i)
                        outside = pool.tiles[i, level - 1, d]
                        improved = True
        # Pairs of loops that exchange a factor, level by level.
        for _ in range(40):
            _copy(pool, i, trial, 0)
            for _ in range(2 + draw(state, 2)):
                _mutate(space, choices, trial, 0, state)
            settle(space, trial.arrays[0], trial.tiles[0], trial.axes[0], state)
            _judge(facts, work, weights, trial, 0, front, best)
            used += 1
            if better(weights, trial.energy[0], trial.cycles[0], pool.energy[i], pool.cycles[i]):
                _copy(trial, 0, pool, i)
                improved = True
    return used


@compiled
def _tournament(pool: Pool, state: np.ndarray, worst: bool) -> int:
    a, b = draw(state, len(pool.value)), draw(state, len(pool.value))
    return a if (pool.value[a] < pool.value[b]) != worst else b


@compiled
def _round(
    facts: Machine, space: Room, work: Scratch, choices: np.ndarray, weights: np.ndarray, pool: Pool, trial: Pool,
    front: Pool, best: Pool, elite: Pool, state: np.ndarray, status: np.ndarray, until: int, total: int,
) -> None:  # fmt: skip
    """Evolve until status[0] evaluations reach `until`, of `total` in all.

    status: evaluations so far; evaluation at which the population began (-1: begin one) and that of its last
    improvement; populations so far; best value of this population is member `elite[-1]`.
    """
    n, depth = pool.arrays.shape[0], pool.arrays.shape[1]
    last = len(elite.value) - 1
    while status[0] < until:
        if status[1] < 0:
            reunion = status[0] > 3 * total // 4 and status[3] > 1
            for i in range(n):
                if reunion and i < min(last, status[3]):
                    _copy(elite, i, pool, i)
                    continue
                random_member(space, choices, pool.arrays[i], pool.tiles[i], pool.axes[i], pool.orders[i], state)
                _judge(facts, work, weights, pool, i, front, best)
                status[0] += 1
            elite.value[last] = np.inf
            status[1] = status[2] = status[0]
        child = 0
        mother, father = _tournament(pool, state, False), _tournament(pool, state, False)
        _copy(pool, mother, trial, child)
        if draw(state, 4) > 0:
            for d in range(8):
                if draw(state, 2):
                    for level in range(1, depth):
                        trial.arrays[child, level, d] = pool.arrays[father, level, d]
                        trial.tiles[child, level, d] = pool.tiles[father, level, d]
                        trial.axes[child, level, d] = pool.axes[father, level, d]
            for level in range(depth - 1):
                if draw(state, 2):
                    trial.orders[child, level] = pool.orders[father, level]
        for _ in range(draw(state, 4)):
            _mutate(space, choices, trial, child, state)
        settle(space, trial.arrays[child], trial.tiles[child], trial.axes[child], state)
        _judge(facts, work, weights, trial, child, front, best)
        status[0] += 1
        twin = False
        for i in range(n):
            if pool.energy[i] == trial.energy[child] and pool.cycles[i] == trial.cycles[child]:
                twin = True
        if twin:
            continue
        loser = _tournament(pool, state, True)
        if trial.value[child] < pool.value[loser]:
            _copy(trial, child, pool, loser)
            if draw(state, 50) == 0 or trial.value[child] < elite.value[last]:
                status[0] += _refine(
                    facts, space, work, choices, weights, pool, loser, trial, front, best, state, total - status[0]
                )
            if pool.value[loser] < elite.value[last]:
                if pool.value[loser] < elite.value[last] * (1 - 1e-4):
                    status[2] = status[0]
                _copy(pool, loser, elite, last)
        if status[0] - status[2] > STALL:
            place = status[3] % last
            if status[3] < last or elite.value[last] < elite.value[place]:
                _copy(elite, last, elite, place)
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
                _copy(best, 0, trial, 0)
                trial.orders[0, level] = order
                _judge(facts, work, weights, trial, 0, front, best)
                used += 1
                counter[k] += 1
                k = 1
            else:
                counter[k] = 0
                k += 1
    return used


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A mapping, its energy [pJ] and latency [cycles]."""

    mapping: Mapping
    energy_pj: float
    cycles: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Evolved:
    """best: by the objective. front: what was found that no other beats in energy and latency, by latency."""

    best: Found
    front: tuple[Found, ...]
    evaluations: int
    seconds: float


def evolve(
    layer: NestLayer,
    hierarchy: Hierarchy,
    *,
    objective: str = "edp",
    weights: tuple[float, float] | None = None,
    seed: int = 0,
    evaluations: int = EVALUATIONS,
    seconds: float | None = None,
    seeds: tuple[Mapping, ...] = (),
    flow: Dataflow | None = None,
    progress: Callable[[int, Found], None] | None = None,
) -> Evolved:
    """Search for the mapping of the least objective. weights: of energy and latency in a sum to minimise instead.

    evaluations: effort. seconds: stop earlier (the result then depends on the machine). seeds: mappings that take part. flow:
    a fixed dataflow to keep to. progress: called with evaluations so far and the best now and then. Raises NbaError if
    no mapping fits.
    """
    began = time.monotonic()
    depth = len(hierarchy.levels)
    facts, space, work = machine(layer, hierarchy), room(layer, hierarchy), scratch(depth)
    choices = level_orders(hierarchy)
    if flow is not None:
        space, choices = constrained(flow, hierarchy, space)
    goal = np.array(weights if weights is not None else weights_of(objective))
    pool, trial, front, best = (_pool(n, depth) for n in (POPULATION, 1, FRONT, 1))
    elite = _pool(POPULATION // 2, depth)
    front.cycles[:] = np.iinfo(np.int64).max
    state = np.array([seed], np.uint64)
    status = np.array([0, -1, 0, 0], np.int64)
    for mapping in seeds:
        trial.plan[0] = encoded(mapping)
        trial.axes[0] = np.array(mapping.axes, np.int64)
        _judge(facts, work, goal, trial, 0, front, best)
        status[0] += 1 + _refine(
            facts, space, work, choices, goal, trial, 0, _pool(1, depth), front, best, state, evaluations // 20
        )
        if status[3] < len(elite.value) - 1:
            _copy(trial, 0, elite, status[3])
            status[3] += 1
    while status[0] < evaluations:
        until = min(evaluations, int(status[0]) + CHUNK)
        _round(
            facts, space, work, choices, goal, pool, trial, front, best, elite, state, status, until, evaluations
        )  # fmt: skip
        if progress is not None:
            progress(int(status[0]), _found(best, 0))
        if seconds is not None and time.monotonic() - began > seconds:
            break
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
