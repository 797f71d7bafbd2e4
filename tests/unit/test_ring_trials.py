# SPDX-License-Identifier: Apache-2.0
"""The exact rate of trials of ring sizes, each of which starts from what the last one found, against that of the whole
design; and the choice of rings that is made with it."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DeadlockError
from nba.explore.budgets import Budgets
from nba.explore.finalise import BLOCK_PRICES, Candidate, build, finalise, pipelined, turned
from nba.explore.modulo import work_bound
from nba.explore.rings import PRICE_OF_A_CUT, RingMemory, RingSearch, Speed, speed
from nba.explore.turns import with_turns
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.machine.program import lower
from nba.machine.resources import predict
from nba.machine.steady import steady_interval
from tests.strategies import random_accelerator, random_network
from tests.unit.hw_networks import SMALL, blocks_network
from tests.unit.test_windows import in_order

BOARD = get("zc706")


@pytest.mark.parametrize("seed", range(30))
def test_trials_are_exact(seed: int) -> None:
    """With whole jobs and with turns, between rings that deadlock and rings of several maps."""
    rng = np.random.default_rng([seed, 54])
    network, _ = random_network(rng)
    accelerator = in_order(random_accelerator(rng, network))
    for plain in (accelerator, with_turns(network, accelerator)[0]):
        search = RingSearch(network, plain)
        for _ in range(8):
            rows = {use: int(rng.integers(search.low[use], search.low[use] + 4)) for use in search.uses}
            done = search.with_rows(rows)
            try:
                expected = speed(network, done)
            except DeadlockError:
                assert search.interval(rows) is search.measured(rows) is None
                assert not search.meets(rows, Speed(interval_cycles=1 << 40, first_output_latency_cycles=1 << 40))
                with pytest.raises(DeadlockError):
                    search.exact(rows)
                continue
            interval, latency = expected.interval_cycles, expected.first_output_latency_cycles
            assert interval == ceil(steady_interval(lower(network, done)))
            assert search.exact(rows) == search.measured(rows) == expected
            for least in (0, interval - 1, interval, interval + 7):
                assert search.interval(rows, least) == max(least, interval)
            for less in ((0, 0), (1, 0), (0, 1)):
                goal = Speed(interval_cycles=interval - less[0], first_output_latency_cycles=latency - less[1])
                assert search.meets(rows, goal) == (less == (0, 0))


def plain_cut(search: RingSearch, rows: dict, memory: RingMemory, cost: int) -> tuple[object, int, int]:  # type: ignore[type-arg]
    """What `_cut` finds, with every trial made."""
    found = []
    for use in search.uses:
        for target in {search.low[use], (search.low[use] + rows[use]) // 2}:
            saved = memory.size(rows) - memory.size({**rows, use: target})
            now = search.interval({**rows, use: target})
            if target < rows[use] and saved > 0 and now is not None:
                found.append(((now - cost + PRICE_OF_A_CUT * cost) / saved, use, target, now))
    return min(found)[1:]


def test_cuts_are_those_of_all_trials() -> None:
    base = build(SMALL, 1, 1, tuple(int(not layer.operator.mixes) for layer in SMALL.layers), engines())
    (search, rows), *_ = list(turned(SMALL, base))
    memory = RingMemory(lower(SMALL, search.with_rows(rows)), BOARD)
    cuts = 0
    cost = search.interval(rows)
    while cost is not None and any(rows[use] > search.low[use] for use in search.uses) and cuts < 8:
        found = search._cut(rows, memory, cost)
        assert found is not None
        assert found == plain_cut(search, rows, memory, cost)
        use, target, cost = found
        rows = {**rows, use: target}
        cuts += 1
    assert cuts > 4


def engines() -> tuple[tuple[bool, int, int, int], ...]:
    return (True, 4, 4, 4), (False, 4, 1, 4)


def test_row_programs_are_tried_where_whole_jobs_that_fit_are_slow() -> None:
    """In network order without stages the maps of these engines fit, with a timetable they do not."""
    network = blocks_network(((16, 3, 3, 1), (16, 3, 3, 1)), size=32)
    owner = tuple(int(not layer.operator.mixes) for layer in network.layers)
    base = build(network, 1, 4, owner, engines())
    bound = work_bound(network, base)
    search, rows = pipelined(network, base)
    whole = predict(lower(network, search.with_rows(rows)), BOARD).bram18
    ordered = RingSearch(network, base)
    goal = ordered.exact(ordered.high)
    slow = predict(lower(network, ordered.with_rows(ordered.shrink(ordered.high, goal))), BOARD).bram18
    assert slow < whole
    found = finalise(network, base, BOARD, slow, "interval", budgets=Budgets(dsp=900, bram=slow / 2))
    assert found is not None
    assert found.bram18 <= slow
    assert found.accelerator.chunks[0].turns
    assert bound <= found.speed.interval_cycles < goal.interval_cycles


def finalised(network: Network, base: Accelerator, budgets: Budgets) -> Candidate | None:
    return finalise(network, base, BOARD, budgets.bram18, "interval", budgets=budgets)


def test_block_ram_has_the_lowest_price_at_which_rings_fit() -> None:
    """Rings are cut, at the cost of cycles, only where no price meets the budgets of block RAM and LUTs."""
    network = blocks_network(((16, 3, 3, 1), (16, 3, 3, 1)), size=32)
    owner = tuple(int(not layer.operator.mixes) for layer in network.layers)
    base = build(network, 1, 4, owner, engines())
    loose = finalised(network, base, Budgets(dsp=900, bram=545, lut=218_600))
    assert loose is not None
    assert loose.accelerator.block_luts == 0
    assert loose.speed.interval_cycles == work_bound(network, base)
    prices = set()
    for less in range(2, 40, 6):
        budgets = Budgets(dsp=900, bram=(loose.bram18 - less) / 2, lut=218_600)
        found = finalised(network, base, budgets)
        assert found is not None
        assert found.fits(budgets)
        assert found.speed.interval_cycles == loose.speed.interval_cycles
        price = found.accelerator.block_luts
        cheaper = replace(found.accelerator, block_luts=price - 1)
        assert price > 1
        assert predict(lower(network, cheaper), BOARD).bram18 > budgets.bram18
        prices.add(price)
        tight = budgets.but(lut=found.cost.lut - 1)
        cut = finalised(network, base, tight)
        if cut is not None and cut.fits(tight):
            assert cut.speed.interval_cycles >= found.speed.interval_cycles
    assert not prices <= set(BLOCK_PRICES)
