# SPDX-License-Identifier: Apache-2.0
"""Compiled draws of accelerator choices: samples by weights and their gradient, variations and crossings of designs.

Parameters are filled in order (nba.space.accelerator.Rules); what a change before a parameter forbids is drawn anew.
"""

from __future__ import annotations

import numpy as np

from nba.cost.pipeline import compiled
from nba.space.accelerator import PER_CHUNK, PER_SLOT, Rules, chunk_option, chunk_sets, draw, lowest, pick

draw_scored = draw


@compiled
def _credit(weights: np.ndarray, legal: int, option: int, worth: float, found: np.ndarray) -> None:
    total = 0.0
    for o in range(weights.size):
        total += weights[o] * (legal >> o & 1)
    share = worth / total
    for o in range(weights.size):
        found[o] -= share * weights[o] * (legal >> o & 1)
    found[option] += worth


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
            legal = chunk_option(row, i, options, counts, kinds, optional, divides, slot_kind)
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
def _mixed(
    rng: np.random.Generator, weights: np.ndarray, active: np.ndarray, parents: np.ndarray, one: np.ndarray,
    two: np.ndarray, low: float, high: float, crossing: float, choice: np.ndarray, options: np.ndarray,
    counts: np.ndarray, kinds: np.ndarray, optional: np.ndarray, divides: np.ndarray, slot_kind: np.ndarray,
) -> None:  # fmt: skip
    """Fills choice [B, parameters] with children of parents one[b], two[b]."""
    n_chunks = kinds.size
    first_slot = 1 + PER_CHUNK * n_chunks
    n_active = 0
    for i in range(active.size):
        n_active += active[i]
    from_two = np.zeros(n_chunks, np.bool_)
    for b in range(choice.shape[0]):
        row = choice[b]
        rate = np.exp(low + (high - low) * rng.random()) / max(1, n_active)
        # Every other child draws all of one chunk anew: its sizes only make sense together.
        anew = int(rng.random() * 2 * n_chunks)
        crossed = rng.random() < crossing
        for k in range(n_chunks):
            from_two[k] = crossed and rng.random() < 0.5
        cut = from_two[0]
        for i in range(first_slot):
            k = (i - 1) // PER_CHUNK
            legal = chunk_option(row, i, options, counts, kinds, optional, divides, slot_kind)
            parent = parents[two[b] if i > 0 and from_two[k] else one[b]]
            keep = rng.random() >= rate and not (i > 0 and k == anew)
            if keep and legal >> parent[i] & 1:
                row[i] = parent[i]
            else:
                row[i] = pick(weights[i, : counts[i]], legal, rng.random())
        sets = chunk_sets(row, n_chunks)
        for s in range(slot_kind.size):
            i = first_slot + PER_SLOT * s
            legal = sets[slot_kind[s]]
            if not active[i]:
                row[i] = pick(weights[i, : counts[i]], lowest(legal), 0.0)
                row[i + 1] = 0
                row[i + 2] = 0
                continue
            if crossed and rng.random() < 0.1:
                cut = not cut
            parent = parents[two[b] if crossed and cut else one[b]]
            if rng.random() >= rate and legal >> parent[i] & 1:
                row[i] = parent[i]
            else:
                row[i] = pick(weights[i, : counts[i]], legal, rng.random())
            for j in range(i + 1, i + PER_SLOT):
                if rng.random() >= rate:
                    row[j] = parent[j]
                else:
                    row[j] = pick(weights[j, : counts[j]], (1 << counts[j]) - 1, rng.random())


def vary(
    rng: np.random.Generator, rules: Rules, weights: np.ndarray, active: np.ndarray, parents: np.ndarray,
    share: np.ndarray, mutations: tuple[float, float], choice: np.ndarray,
) -> None:  # fmt: skip
    """Fills choice int8 [B, parameters] with variations of parents [P, parameters], drawn by their `share` [P]: a few
    parameters, log-uniform between the two of `mutations`, are drawn anew by weights [parameters, options], and, every
    other time, all of one chunk."""
    one = rng.choice(len(parents), len(choice), p=share)
    low, high = np.log(mutations)
    _mixed(rng, weights, active, parents, one, one, low, high, 0.0, choice, *rules)


def cross(
    rng: np.random.Generator, rules: Rules, active: np.ndarray, parents: np.ndarray, one: np.ndarray,
    two: np.ndarray, mutations: tuple[float, float], crossing: float, choice: np.ndarray,
) -> None:  # fmt: skip
    """Fills choice int8 [B, parameters] with children of parents one[b] and two[b] int64 [B]: with probability
    `crossing` some whole chunks and some runs of slots are the second's, and as in `vary` a few parameters are new."""
    low, high = np.log(mutations)
    _mixed(
        rng, np.ones(rules.options.shape), active, parents, one, two, low, high, crossing, choice, *rules
    )  # fmt: skip
