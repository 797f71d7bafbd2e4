# SPDX-License-Identifier: Apache-2.0
"""Compiled draws of accelerator choices: samples by weights and their gradient, variations and crossings of designs.

Parameters are filled in order (nba.explore.space.Rules); what a change before a parameter forbids is drawn anew.
"""

from __future__ import annotations

import numpy as np

from nba.core.compiled import compiled
from nba.explore.repair import N_NEEDS, Demand, area_time, busy_cycles, deal, repair_engines, repair_rings
from nba.explore.space import PER_CHUNK, PER_SLOT, Rules, chunk_option, chunk_sets, lowest, pick
from nba.machine.designs import ROWS
from nba.machine.timing import OVERHEAD_CYCLES, job_cycles

RESIZED = 8.0
"""Most engine parameters, on average, that a child draws anew."""
ATTEMPTS = 20
"""Engines drawn for a child until a bound of their interval is good enough."""
_SLACK = 0.04
"""Twice the part of the interval by which smaller rings may lengthen it."""


@compiled
def _credit(weights: np.ndarray, legal: int, option: int, worth: float, found: np.ndarray) -> None:
    total = 0.0
    for o in range(weights.size):
        total += weights[o] * (legal >> o & 1)
    share = worth / total
    for o in range(weights.size):
        found[o] -= share * weights[o] * (legal >> o & 1)
    found[option] += worth


# One compiled kernel: its arguments are the arrays of the space and of the parents.
@compiled
def _gradient(
    weights: np.ndarray, active: np.ndarray, choice: np.ndarray, worth: np.ndarray, found: np.ndarray,
    options: np.ndarray, counts: np.ndarray, kinds: np.ndarray, optional: np.ndarray, divides: np.ndarray,
    slot_kind: np.ndarray,
) -> None:  # fmt: skip
    n_chunks = kinds.size
    first_slot = 1 + PER_CHUNK * n_chunks
    # Parameters whose options never depend on others: one sum of credits and one of picks is enough.
    free = np.zeros(weights.shape)
    total = 0.0
    for b in range(choice.shape[0]):
        row = choice[b]
        total += worth[b]
        for i in range(first_slot):
            legal = chunk_option(row, i, counts, kinds, optional, divides)
            if legal & (legal - 1):
                _credit(weights[i, : counts[i]], legal, row[i], worth[b], found[i, : counts[i]])
        sets = chunk_sets(row, n_chunks)
        for s in range(slot_kind.size):
            i = first_slot + PER_SLOT * s
            if not active[i]:
                continue
            _credit(weights[i, : counts[i]], sets[slot_kind[s]], row[i], worth[b], found[i, : counts[i]])
            for j in range(i + 1, i + PER_SLOT):
                free[j, row[j]] += worth[b]
    for s in range(slot_kind.size):
        for j in range(first_slot + PER_SLOT * s + 1, first_slot + PER_SLOT * (s + 1)):
            if not active[j]:
                continue
            sum_weights = weights[j, : counts[j]].sum()
            for o in range(counts[j]):
                found[j, o] += free[j, o] - total * weights[j, o] / sum_weights


def gradient(
    rules: Rules, weights: np.ndarray, active: np.ndarray, choice: np.ndarray, worth: np.ndarray
) -> np.ndarray:
    """Sum over samples choice [B, parameters] of worth [B] times d log p / d log weights, float [parameters, options]:
    the one-hot less the probabilities among what was allowed."""
    found = np.zeros(weights.shape)
    _gradient(weights, active, choice, worth, found, *rules)
    return found


@compiled
def _drawn_anew(rng: np.random.Generator, weights: np.ndarray, legal: int, old: int) -> int:
    """A new option: every other time a neighbour of the old one, where that is legal."""
    if rng.random() < 0.5:
        near = old + (1 if rng.random() < 0.5 else -1)
        if near >= 0 and legal >> near & 1:
            return near
    return pick(weights, legal, rng.random())


# One compiled kernel: its arguments are the arrays of the space and of the parents.
@compiled
def _engines(
    rng: np.random.Generator, weights: np.ndarray, one: np.ndarray, two: np.ndarray, rate: float, anew: int,
    crossed: bool, row: np.ndarray, options: np.ndarray, counts: np.ndarray, kinds: np.ndarray, optional: np.ndarray,
    divides: np.ndarray, slot_kind: np.ndarray,
) -> None:  # fmt: skip
    """The parameters of pp and of the chunks of a child."""
    second = False
    for i in range(1 + PER_CHUNK * kinds.size):
        if i > 0 and (i - 1) % PER_CHUNK == 0:
            second = crossed and rng.random() < 0.5
        legal = chunk_option(row, i, counts, kinds, optional, divides)
        parent = two if second else one
        row[i] = parent[i]
        if not legal >> parent[i] & 1 or (i > 0 and (i - 1) // PER_CHUNK == anew):
            row[i] = pick(weights[i, : counts[i]], legal, rng.random())
        elif rng.random() < rate:
            row[i] = _drawn_anew(rng, weights[i, : counts[i]], legal, parent[i])


# One compiled loop: the parameters of a child are drawn in order, and each depends on those before.
@compiled
def _mixed(
    rng: np.random.Generator, weights: np.ndarray, active: np.ndarray, parents: np.ndarray, one: np.ndarray,
    two: np.ndarray, hot: np.ndarray, low: float, high: float, crossing: float, choice: np.ndarray,
    options: np.ndarray, counts: np.ndarray, kinds: np.ndarray, optional: np.ndarray, divides: np.ndarray,
    slot_kind: np.ndarray,
) -> None:  # fmt: skip
    """Fills choice [B, parameters] with children of parents one[b], two[b]. hot [parents, slots]: slots on the chunk
    that sets a parent's interval (none: all False)."""
    n_chunks, n_slots = kinds.size, slot_kind.size
    first_slot = 1 + PER_CHUNK * n_chunks
    n_active = 0
    for i in range(active.size):
        n_active += active[i]
    for b in range(choice.shape[0]):
        row = choice[b]
        rate = np.exp(low + (high - low) * rng.random()) / max(1, n_active)
        n_hot = 0
        for s in range(n_slots):
            n_hot += hot[one[b], s]
        # Half of the children of a parent with hot slots move one of these, perhaps in exchange for another one of its
        # kind; others get engines of other sizes: several at once, because the budget ties them together.
        moved = -1
        partner = -1
        anew = -1
        if n_hot > 0 and rng.random() < 0.5:
            nth = int(rng.random() * n_hot)
            for s in range(n_slots):
                if hot[one[b], s]:
                    if nth == 0:
                        moved = s
                    nth -= 1
            if rng.random() < 0.5:
                partner = int(rng.random() * n_slots)
                if slot_kind[partner] != slot_kind[moved] or hot[one[b], partner]:
                    partner = -1
            if rng.random() < 0.8:
                rate = 0.0
        engine_rate = rate
        if moved < 0 or rng.random() < 0.2:
            if rng.random() < 0.3:
                anew = int(rng.random() * n_chunks)
            else:
                engine_rate = max(rate, RESIZED * rng.random() / (PER_CHUNK * n_chunks))
                if n_hot > 0 and rng.random() < 0.7:
                    rate = 0.0
        crossed = rng.random() < crossing
        _engines(
            rng, weights, parents[one[b]], parents[two[b]], engine_rate, anew, crossed, row, options, counts,
            kinds, optional, divides, slot_kind,
        )  # fmt: skip
        sets = chunk_sets(row, n_chunks)
        cut = crossed and rng.random() < 0.5
        for s in range(n_slots):
            i = first_slot + PER_SLOT * s
            legal = sets[slot_kind[s]]
            if not active[i]:
                row[i] = pick(weights[i, : counts[i]], lowest(legal), 0.0)
                row[i + 1] = 0
                row[i + 2] = 0
                continue
            if crossed and rng.random() < 0.1:
                cut = not cut
            parent = parents[two[b] if cut else one[b]]
            here = parent[i]
            if s == moved:
                others = legal & ~(1 << here)
                if partner >= 0:
                    here = parent[first_slot + PER_SLOT * partner]
                elif others:
                    here = pick(weights[i, : counts[i]], others, rng.random())
            elif s == partner:
                here = parent[first_slot + PER_SLOT * moved]
            elif rate > 0.0 and rng.random() < rate:
                here = pick(weights[i, : counts[i]], legal, rng.random())
            row[i] = here if legal >> here & 1 else pick(weights[i, : counts[i]], legal, rng.random())
            for j in range(i + 1, i + PER_SLOT):
                row[j] = parent[j]
                if rate > 0.0 and rng.random() < rate:
                    row[j] = pick(weights[j, : counts[j]], (1 << counts[j]) - 1, rng.random())


# One compiled loop: the parameters of a child are drawn in order, and each depends on those before.
@compiled
def _resized(
    rng: np.random.Generator, weights: np.ndarray, parents: np.ndarray, one: np.ndarray, limit: int, goal: float,
    choice: np.ndarray, layers: np.ndarray, slots: np.ndarray, groups: np.ndarray, words: np.ndarray,
    parts: np.ndarray, needs: np.ndarray, order: np.ndarray, maps: np.ndarray, acc_bits: int, minimal: int,
    whole: int, options: np.ndarray, counts: np.ndarray, kinds: np.ndarray, optional: np.ndarray, divides: np.ndarray,
    slot_kind: np.ndarray,
) -> None:  # fmt: skip
    """Fills choice [B, parameters] with children of parents one[b]: engines of other sizes within `limit` DSPs, drawn
    again while a bound of their interval is above `goal`, their layers dealt out anew and rings as small as may be."""
    n_layers, n_chunks = slots.size, kinds.size
    first_slot = 1 + PER_CHUNK * n_chunks
    had = np.zeros(n_chunks, np.int64)
    may = np.zeros(n_chunks, np.int64)
    pq = np.ones(n_chunks, np.int64)
    dsp = np.zeros(n_chunks, np.int64)
    load = np.zeros(n_chunks, np.int64)
    owner = np.zeros(n_layers, np.int64)
    busy = np.zeros(n_layers, np.int64)
    per_row = np.zeros(n_layers, np.int64)
    cycles = np.zeros((n_layers, n_chunks), np.int64)
    asked = np.zeros(2, np.int64)
    for i in range(n_layers):
        asked[slot_kind[slots[i]]] |= needs[i]
    for b in range(choice.shape[0]):
        row = choice[b]
        parent = parents[one[b]]
        row[:] = parent
        had[:] = 0
        for i in range(n_layers):
            had[parent[first_slot + PER_SLOT * slots[i]]] |= needs[i]
        for _ in range(ATTEMPTS):
            rate = RESIZED * rng.random() / (PER_CHUNK * n_chunks)
            anew = int(rng.random() * n_chunks) if rng.random() < 0.1 else -1
            _engines(
                rng, weights, parent, parent, rate, anew, False, row, options, counts, kinds, optional, divides,
                slot_kind,
            )  # fmt: skip
            # What a chunk had no DSPs for it mostly still gets none for; sometimes it is spared more.
            for k in range(n_chunks):
                may[k] = asked[1 if row[1 + PER_CHUNK * k] == 0 else 0]
                for bit in range(N_NEEDS):
                    if rng.random() < (0.1 if had[k] >> bit & 1 else 0.8):
                        may[k] &= ~(1 << bit)
            careful = rng.random() < 0.5
            repair_engines(rng, row, limit, may, acc_bits, careful, pq, dsp, options, counts, divides)
            sets = chunk_sets(row, n_chunks)
            for i in range(n_layers):
                legal = sets[slot_kind[slots[i]]]
                able = legal
                for k in range(n_chunks):
                    if needs[i] & ~may[k]:
                        able &= ~(1 << k)
                if able == 0:
                    able = legal
                for k in range(n_chunks):
                    cycles[i, k] = 0
                    if able >> k & 1:
                        mine = busy_cycles(row, i, k, pq[k], layers, groups, words, parts, options)
                        cycles[i, k] = job_cycles(layers[i, ROWS], mine)
            if area_time(cycles, dsp) <= goal:
                break
        deal(rng, order, cycles, load, owner)
        for i in range(n_layers):
            per_row[i] = (cycles[i, owner[i]] - OVERHEAD_CYCLES) // layers[i, ROWS]
        slack = 1.0 + _SLACK * max(0.0, rng.random() - 0.5)
        repair_rings(
            row, first_slot, slack, layers, slots, maps, per_row, pq, owner, load, minimal, whole, busy, options
        )  # fmt: skip
        for s in range(slot_kind.size):
            p = first_slot + PER_SLOT * s
            if not sets[slot_kind[s]] >> row[p] & 1:
                row[p] = pick(weights[p, : counts[p]], lowest(sets[slot_kind[s]]), 0.0)


def vary(
    rng: np.random.Generator, rules: Rules, weights: np.ndarray, active: np.ndarray, parents: np.ndarray,
    hot: np.ndarray, share: np.ndarray, mutations: tuple[float, float], choice: np.ndarray,
) -> None:  # fmt: skip
    """Fills choice int8 [B, parameters] with variations of parents [P, parameters], drawn by their `share` [P]: a slot
    of the busiest chunk moves (`hot` bool [P, slots]), or all of one chunk is drawn anew by weights [parameters,
    options], or a few parameters are, log-uniform between the two of `mutations`."""
    one = rng.choice(len(parents), len(choice), p=share)
    low, high = np.log(mutations)
    _mixed(rng, weights, active, parents, one, one, hot, low, high, 0.0, choice, *rules)


def resize_engines(
    rng: np.random.Generator, rules: Rules, weights: np.ndarray, parents: np.ndarray, share: np.ndarray,
    wanted: Demand, limit: int, goal: float, choice: np.ndarray,
) -> None:  # fmt: skip
    """Fills choice int8 [B, parameters] with variations of parents [P, parameters], drawn by their `share` [P]: engines
    of other sizes that use `limit` DSPs up, for what the network has `wanted`; engines whose interval is surely above
    `goal` cycles are drawn again a few times."""
    one = rng.choice(len(parents), len(choice), p=share)
    policy = rules.options[3 + PER_CHUNK * len(rules.kinds), :]
    minimal, whole = int(policy.argmin()), int(np.abs(policy - 1).argmin())
    _resized(rng, weights, parents, one, limit, goal, choice, *wanted, minimal, whole, *rules)


def cross(
    rng: np.random.Generator, rules: Rules, active: np.ndarray, parents: np.ndarray, one: np.ndarray,
    two: np.ndarray, mutations: tuple[float, float], crossing: float, choice: np.ndarray,
) -> None:  # fmt: skip
    """Fills choice int8 [B, parameters] with children of parents one[b] and two[b] int64 [B]: with probability
    `crossing` some whole chunks and some runs of slots are the second's; a few parameters are drawn anew, and, every
    other time, all of one chunk."""
    low, high = np.log(mutations)
    nothing = np.zeros((len(parents), len(rules.slot_kind)), np.bool_)
    weights = np.ones(rules.options.shape)
    _mixed(rng, weights, active, parents, one, two, nothing, low, high, crossing, choice, *rules)
