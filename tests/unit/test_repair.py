# SPDX-License-Identifier: Apache-2.0
"""The repair of accelerator choices: engines within the budget, layers dealt out, rings that cost nothing."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from nba.explore.repair import area_time, busy_cycles, deal, demand, repair_rings
from nba.explore.sampling import resize_engines
from nba.explore.space import PER_SLOT
from nba.machine.closed_form import speed_bounds
from nba.machine.designs import ROWS, layer_table
from nba.machine.timing import OVERHEAD_CYCLES
from tests.unit.hw_networks import DIGITS
from tests.unit.test_gamma import ALL, digits_search

pytestmark = pytest.mark.slow

BUDGET = 84
"""DSP blocks that a fifth of random designs keep to."""


def test_dealt_layers_cannot_be_improved_by_one_move_or_exchange() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        cycles = rng.integers(1, 1000, (6, 3))
        cycles[rng.random(cycles.shape) < 0.3] = 0
        cycles[np.arange(6), rng.integers(0, 3, 6)] = rng.integers(1, 1000, 6)
        load, owner = np.zeros(3, np.int64), np.zeros(6, np.int64)
        deal(rng, np.argsort(-cycles.max(1)), cycles, load, owner)
        assert (cycles[np.arange(6), owner] > 0).all()
        assert np.array_equal(load, np.bincount(owner, weights=cycles[np.arange(6), owner], minlength=3))
        dsp = rng.integers(0, 50, 3)
        best = load.max()
        for other in product(range(3), repeat=6):
            others = np.array(other)
            if not (cycles[np.arange(6), others] > 0).all():
                continue
            peak = np.bincount(others, weights=cycles[np.arange(6), others], minlength=3).max()
            assert area_time(cycles, dsp) <= peak
            changed = np.flatnonzero(others != owner)
            exchange = len(changed) == 2 and np.array_equal(others[changed], owner[changed[::-1]])
            if len(changed) == 1 or exchange:
                assert peak >= best


def test_rings_that_get_smaller_leave_the_interval_alone() -> None:
    search = digits_search(0)
    layers = layer_table(DIGITS)
    wanted = demand(layers, ALL, search.rules)
    options, first_slot = search.rules.options, search.space.first_slot
    smaller = 0
    for row in search.space.sample(np.random.default_rng(1), 100):
        designs = search.space.decode(row[None], layers, ALL)
        owner, pq = designs.chunk[0], designs.pq[0]
        per_row = np.array(
            [
                busy_cycles(row, i, owner[i], pq[owner[i]], layers, wanted.groups, wanted.words, wanted.parts, options)
                for i in ALL
            ]
        )
        cycles = layers[:, ROWS] * per_row + OVERHEAD_CYCLES
        load = np.bincount(owner, weights=cycles, minlength=search.space.n_chunks).astype(np.int64)
        before = load.max()
        repair_rings(
            row, first_slot, 1.0, layers, wanted.slots, wanted.maps, per_row, pq, owner, load, 0, 1,
            np.zeros(len(ALL), np.int64), options,
        )  # fmt: skip
        plain = row.copy()
        plain[first_slot + 2 :: PER_SLOT] = 1
        bounds, busy = speed_bounds(layers, search.space.decode(np.stack([row, plain]), layers, ALL))
        assert np.array_equal(busy[1], cycles)
        assert np.array_equal(np.bincount(owner, weights=busy[0], minlength=len(load)), load)
        assert load.max() == before
        assert bounds[0, 0] == bounds[1, 0]
        smaller += int((row != plain).any())
    assert smaller > 50


def test_resized_engines_use_the_budget_up() -> None:
    """Children of random designs: most are within the DSP budget and near it, and their layers are better balanced."""
    search = digits_search(0)
    parents = search.space.sample(np.random.default_rng(2), 800)
    wanted = demand(layer_table(DIGITS), ALL, search.rules)
    choice = np.empty((800, search.space.n_parameters), np.int8)
    resize_engines(
        np.random.default_rng(3), search.rules, search.weights(), parents, np.full(800, 1 / 800), wanted, BUDGET,
        np.inf, choice,
    )  # fmt: skip
    before, after = (search.evaluate(DIGITS, ALL, x) for x in (parents, choice))
    assert (after.used.dsp <= BUDGET).mean() > 0.6
    assert (after.used.dsp <= BUDGET).mean() > 3 * (before.used.dsp <= BUDGET).mean()
    assert after.used.dsp.max() < before.used.dsp.max() / 2
    assert np.median(after.used.dsp) > 5 / 6 * BUDGET
    assert np.median(after.used.interval) < 0.6 * np.median(before.used.interval[before.used.dsp <= BUDGET])
