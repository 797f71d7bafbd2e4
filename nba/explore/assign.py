# SPDX-License-Identifier: Apache-2.0
"""Which layer runs on which engine, and how large the engines are: the busiest engine's work is minimised exactly
per partition of the layers (bisection over the interval, branch and bound over engine sizes) and by local search
over partitions. Engines couple only through summed resources and the rule that pq divides its consumers' lanes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.core.compiled import compiled
from nba.machine.kernels import chunk_dsp
from nba.machine.timing import engine_packing

INFINITE = np.int64(1) << 40
"""Interval of a partition that no engines within the budgets can execute."""
MAX_VISITS = 20_000
"""Branch and bound gives up on the proof of optimality after this many nodes."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EngineTable:
    """Engine options of a network at one pp and packing.

    pm, pn, pq, lanes: int64 [C]; mixes: bool [C]. bits: int64 [layers, 5], activation, weight and accumulator bits,
    whether there is a residual, and the number of the stored width of the weights among all that occur. work,
    weight_words, param_words: int64 [layers, C], cycles and memory words of a layer on an option (INFINITE cycles where
    the kinds differ); map_words: int64 [layers, 2, C], words per bank of its whole input map and of its residual
    operand's. bram18: int64 [C, 3 + widths, S], blocks of parameters, input buffer, residual buffer, and weights of
    every stored width, narrowest first, of s words, at s = 0, GRAIN, 2*GRAIN ... (depths between round up).
    """

    packing: int

    pm: np.ndarray
    pn: np.ndarray
    pq: np.ndarray
    lanes: np.ndarray
    mixes: np.ndarray
    bits: np.ndarray
    work: np.ndarray
    weight_words: np.ndarray
    param_words: np.ndarray
    map_words: np.ndarray
    bram18: np.ndarray


GRAIN = 64
"""Step, in words, of the tables of memory blocks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Budgets of the engines alone and the interval that cannot be beaten. free: what takes no DSP block: 0 nothing, 1
    requantisers, 2 all of the chunks that do not mix channels, too."""

    dsp: int
    bram18: int
    floor: int
    free: int = 0


# One compiled loop: a depth-first search whose state lives in local arrays; its arguments are the columns of a table.
@compiled
def _select(load, price, dsp, bram, mixes, kinds, group, n_groups, lanes, pq, main, res, limit, limits, chosen):  # type: ignore[no-untyped-def]
    """Engines of least price with load <= limit and summed DSPs and blocks within `limits`; fills `chosen`.

    load, price, dsp, bram [K, C]; kinds bool [K]; group [C] numbers the (pq, lanes) pairs; main, res bool [K, K]:
    producer, consumer. Returns the price, or -1.
    """
    n_chunks, n_options = load.shape
    best = np.full((n_chunks, n_groups), -1, np.int64)
    for k in range(n_chunks):
        for c in range(n_options):
            if mixes[c] == kinds[k] and load[k, c] <= limit and dsp[k, c] <= limits[0] and bram[k, c] <= limits[1]:
                g = group[c]
                b = best[k, g]
                if b < 0 or price[k, c] < price[k, b] or (price[k, c] == price[k, b] and load[k, c] < load[k, b]):
                    best[k, g] = c
    count = np.zeros(n_chunks, np.int64)
    ranked = np.zeros((n_chunks, n_groups), np.int64)
    rest = np.zeros((n_chunks + 1, 3), np.int64)
    for k in range(n_chunks - 1, -1, -1):
        n = 0
        least_dsp = INFINITE
        least_bram = INFINITE
        for g in range(n_groups):
            c = best[k, g]
            if c < 0 or (main[k, k] and lanes[c] % pq[c] != 0):
                continue
            i = n
            while i > 0 and price[k, ranked[k, i - 1]] > price[k, c]:
                ranked[k, i] = ranked[k, i - 1]
                i -= 1
            ranked[k, i] = c
            n += 1
            least_dsp = min(least_dsp, dsp[k, c])
            least_bram = min(least_bram, bram[k, c])
        count[k] = n
        if n == 0:
            return -1
        rest[k, 0] = rest[k + 1, 0] + price[k, ranked[k, 0]]
        rest[k, 1] = rest[k + 1, 1] + least_dsp
        rest[k, 2] = rest[k + 1, 2] + least_bram
    bound = INFINITE
    index = np.zeros(n_chunks, np.int64)
    used = np.zeros((n_chunks + 1, 3), np.int64)
    k = 0
    index[0] = -1
    visits = 0
    while k >= 0:
        index[k] += 1
        if index[k] >= count[k] or visits > MAX_VISITS:
            k -= 1
            continue
        c = ranked[k, index[k]]
        if used[k, 0] + price[k, c] + rest[k + 1, 0] >= bound:
            k -= 1
            continue
        visits += 1
        if used[k, 1] + dsp[k, c] + rest[k + 1, 1] > limits[0] or used[k, 2] + bram[k, c] + rest[k + 1, 2] > limits[1]:
            continue
        legal = True
        for o in range(k):
            d = ranked[o, index[o]]
            if (main[k, o] and lanes[d] % pq[c] != 0) or (main[o, k] and lanes[c] % pq[d] != 0):
                legal = False
            if (res[k, o] and pq[d] % pq[c] != 0) or (res[o, k] and pq[c] % pq[d] != 0):
                legal = False
        if not legal:
            continue
        used[k + 1, 0] = used[k, 0] + price[k, c]
        used[k + 1, 1] = used[k, 1] + dsp[k, c]
        used[k + 1, 2] = used[k, 2] + bram[k, c]
        if k == n_chunks - 1:
            bound = used[k + 1, 0]
            for o in range(n_chunks):
                chosen[o] = ranked[o, index[o]]
            continue
        k += 1
        index[k] = -1
    return bound if bound < INFINITE else np.int64(-1)


# One compiled function: loads, DSPs and blocks of all engines and options are summed into the same local arrays.
@compiled
def _fit(owner, t, kinds, edges, limits, weights, ceiling, chosen):  # type: ignore[no-untyped-def]
    """Smallest interval < `ceiling` of the partition `owner` [layers]; (interval, price), INFINITE if there is none.

    `t`: the arrays of an EngineTable as `climb` orders them; limits: DSP, BRAM18, floor, free; weights: price of a
    DSP and of a block.
    """
    pm, pn, pq, pp, packing, lanes, mixes, work, weight_words, param_words, map_words, blocks, bits, group, n_groups = t
    n_chunks = len(kinds)
    n_options = work.shape[1]
    last = blocks.shape[2] - 1
    load = np.zeros((n_chunks, n_options), np.int64)
    most = np.zeros((n_chunks, 5), np.int64)
    words = np.zeros((n_chunks, n_options), np.int64)
    params = np.zeros((n_chunks, n_options), np.int64)
    for i in range(len(owner)):
        k = owner[i]
        for f in range(5):
            most[k, f] = max(most[k, f], bits[i, f])
        for c in range(n_options):
            load[k, c] += work[i, c]
            words[k, c] += weight_words[i, c]
            params[k, c] += param_words[i, c]
    dsp = np.zeros((n_chunks, n_options), np.int64)
    bram = np.zeros((n_chunks, n_options), np.int64)
    price = np.zeros((n_chunks, n_options), np.int64)
    main = np.zeros((n_chunks, n_chunks), np.bool_)
    res = np.zeros((n_chunks, n_chunks), np.bool_)
    maps = np.zeros((2, n_chunks, n_chunks + 1, n_options), np.int64)
    for e in range(len(edges)):
        i = edges[e, 1]
        k = owner[i]
        p = n_chunks if edges[e, 0] < 0 else owner[edges[e, 0]]
        port = edges[e, 2]
        for c in range(n_options):
            maps[port, k, p, c] += map_words[i, port, c]
        if p < n_chunks:
            if port == 0:
                main[p, k] = True
            else:
                res[p, k] = True
    for port in range(2):
        for k in range(n_chunks):
            for p in range(n_chunks + 1):
                if maps[port, k, p, 0] > 0:
                    for c in range(n_options):
                        bram[k, c] += blocks[c, 1 + port, min(last, (maps[port, k, p, c] + GRAIN - 1) // GRAIN)]
    low = limits[2]
    for k in range(n_chunks):
        least = INFINITE
        for c in range(n_options):
            if mixes[c] == kinds[k]:
                bram[k, c] += blocks[c, 3 + most[k, 4], min(last, (words[k, c] + GRAIN - 1) // GRAIN)]
                bram[k, c] += blocks[c, 0, min(last, (params[k, c] + GRAIN - 1) // GRAIN)]
                dsp[k, c] = chunk_dsp(
                    kinds[k], pm[c], pn[c], pp, pq[c] if limits[3] == 0 else 0, most[k, 0], most[k, 1], most[k, 2],
                    most[k, 3] > 0, engine_packing(kinds[k], packing),
                )  # fmt: skip
                if limits[3] == 2 and not kinds[k]:
                    dsp[k, c] = 0
                price[k, c] = weights[0] * dsp[k, c] + weights[1] * bram[k, c]
                if load[k, c] < least and dsp[k, c] <= limits[0]:
                    least = load[k, c]
        low = max(low, least)
    if low >= ceiling:
        return INFINITE, np.int64(-1)
    trial = np.zeros(n_chunks, np.int64)
    total = _select(
        load, price, dsp, bram, mixes, kinds, group, n_groups, lanes, pq, main, res, ceiling - 1, limits, trial
    )
    if total < 0:
        return INFINITE, np.int64(-1)
    chosen[:] = trial
    while True:
        high = limits[2]
        for k in range(n_chunks):
            high = max(high, load[k, chosen[k]])
        if low >= high:
            return high, total
        middle = (low + high) // 2
        new = _select(
            load, price, dsp, bram, mixes, kinds, group, n_groups, lanes, pq, main, res, middle, limits, trial
        )
        if new >= 0:
            chosen[:] = trial
            total = new
        else:
            low = middle + 1


@compiled
def _climb(owner, t, kinds, edges, wanted, limits, weights, draws):  # type: ignore[no-untyped-def]
    """Local search over partitions from `owner` (changed in place): moves and swaps of layers that do not worsen
    (interval, price). draws: int64 [steps, 3] random numbers. Returns (interval, price, chosen [K])."""
    n_chunks = len(kinds)
    chosen = np.zeros(n_chunks, np.int64)
    trial = np.zeros(n_chunks, np.int64)
    interval, total = _fit(owner, t, kinds, edges, limits, weights, INFINITE, chosen)
    n_layers = len(owner)
    for s in range(len(draws)):
        i = draws[s, 0] % n_layers
        previous = owner.copy()
        if draws[s, 1] % 3 == 0:
            j = draws[s, 2] % n_layers
            if wanted[i] != wanted[j] or owner[i] == owner[j]:
                continue
            owner[i], owner[j] = owner[j], owner[i]
        else:
            k = draws[s, 2] % n_chunks
            if kinds[k] != wanted[i] or owner[i] == k:
                continue
            left = 0
            for o in range(n_layers):
                left += owner[o] == owner[i]
            if left == 1:
                continue
            owner[i] = k
        new, price = _fit(owner, t, kinds, edges, limits, weights, min(interval + 1, INFINITE), trial)
        if new < interval or (new == interval and price <= total and new < INFINITE):
            interval, total = new, price
            chosen[:] = trial
        elif interval < INFINITE:
            owner[:] = previous
    return interval, total, chosen


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """A partition of the layers and an engine (mixes?, pm, pn, pq) for every part; `interval` is the busiest one's."""

    interval: int
    price: int
    pp: int
    owner: tuple[int, ...]
    engines: tuple[tuple[bool, int, int, int], ...]


def climb(
    table: EngineTable,
    pp: int,
    owner: np.ndarray,
    kinds: np.ndarray,
    edges: np.ndarray,
    limits: Limits,
    weights: tuple[int, int],
    share: float | np.ndarray,
    steps: int,
    rng: np.random.Generator,
) -> Assignment | None:
    """Local search from the partition `owner` [layers]; kinds bool [K] (mixes?); edges int64 [E, 3] (producer layer
    or -1, consumer layer, 1 for residual); `weights`: price of a DSP and of a BRAM18; `share`: part of a map that a
    ring is taken to hold, of all or [layers, 2, 1] of every input and residual. None if nothing is within `limits`."""
    names, group = np.unique(table.pq * 4096 + table.lanes, return_inverse=True)
    t = (
        table.pm, table.pn, table.pq, pp, table.packing, table.lanes, table.mixes, table.work, table.weight_words,
        table.param_words, np.ceil(table.map_words * share).astype(np.int64), table.bram18, table.bits,
        group.astype(np.int64), len(names),
    )  # fmt: skip
    owner = owner.astype(np.int64).copy()
    draws = rng.integers(0, 1 << 30, size=(steps, 3))
    bounds = np.array([limits.dsp, limits.bram18, limits.floor, limits.free], np.int64)
    interval, price, chosen = _climb(owner, t, kinds, edges, kinds[owner], bounds, np.array(weights, np.int64), draws)
    if interval >= INFINITE:
        return None
    engines = tuple((bool(table.mixes[c]), int(table.pm[c]), int(table.pn[c]), int(table.pq[c])) for c in chosen)
    return Assignment(
        interval=int(interval), price=int(price), pp=pp, owner=tuple(int(o) for o in owner), engines=engines
    )
